//! The vocabulary of sysproxy: the fields that frames carry, and which of them each call has.
//!
//! | call | request fields (beside the header's `sid`) | reply: `ret` and fields |
//! |---|---|---|
//! | HELLO | VERSIONS, NAME | pid; VERSIONS (settled twice), NAME (node), LIMITS |
//! | CANCEL | TARGET | 0, or `-ENOENT`: no such call |
//! | SOCKET | SOCKET | sid |
//! | BIND | ADDR | 0 |
//! | CONNECT | ADDR, FLAGS | 0 |
//! | LISTEN SHUTDOWN | ARG (backlog; how) | 0 |
//! | ACCEPT | FLAGS (SOCK_NONBLOCK) | sid; ADDR |
//! | SENDMSG | FLAGS, DATA, and if wanted ADDR (to), LOCAL (source), IFINDEX, TTL, TOS | octets |
//! | RECVMSG | FLAGS, LEN | octets; DATA, ADDR (from), LEN (the datagram's), LOCAL (to), IFINDEX, TTL, TOS, TIME, ERROR, OFFENDER, WIRE_LEN, HEADERS |
//! | CLOSE GETPID | | 0; pid |
//! | DUP | | sid |
//! | GETSOCKNAME GETPEERNAME | | 0; ADDR |
//! | SETSOCKOPT | OPTION, DATA | 0 |
//! | GETSOCKOPT | OPTION, LEN | 0; DATA |
//! | FCNTL IOCTL | OPTION (command, argument; of IOCTL what an `int` has before and after) | value |
//! | POLL | POLLFDS, and if bounded TIMEOUT | ready entries; POLLFDS |
//! | RESOLVE | NAME | 0; ADDR (port 0) |
//! | SOCKETPASS | SOCKET | sid; INODE (of the program's end), and that end as a descriptor |
//! | META | TIME (its stamp, from the Unix epoch) | 0; as RECVMSG without DATA |
//! | OPEN | DATA (path) | 0 and a memory file as a descriptor; 1 and DATA, the host's path; 2: the host's file of that path. Of no path: 0 and DATA, the paths that the topology lays over the host's, NAME, where the node's directories are, and LASTING |
//! | STRUCTIOCTL | OPTION (command, octets of the structure), DATA (the structure and what it points to) | what ioctl(2) returns; DATA, TARGET (where the structure points). Without DATA: the call needs LEN octets from TARGET |
//! | RINGPASS | and the program's end, as a descriptor | 0 and a memory file as a descriptor: what mmap(2) of the socket shows |
//! | RINGLOOK | | 0: the program's ends are readable if, and only if, their rings are |
//! | *event* CLOSED | | sid |
//! | *event* CONNECTED | | sid; LOCAL, ADDR |
//!
//! Numbers inside are Linux's ABI: domains, types, levels, option names, flags, `struct sockaddr`, option values.
//! FLAGS with MSG_DONTWAIT makes a blocking call answer at once; TTL and the like are absent when they are unknown.

use crate::sockaddr::MIN_ADDR;
use crate::wire::{
    BodyError, FIELD, Fields, FrameFlags, FrameWriter, HEADER, Header, MAX_ADDR, MAX_DATA, MAX_NAME,
    MAX_POLL, OPTIONAL, Op, Sid,
};

/// Tags of fields, and with each the form of its value.
pub mod tag {
    /// Payload or option value: at most 64 KiB.
    pub const DATA: u16 = 1;
    /// A `struct sockaddr`: whom the call is about.
    pub const ADDR: u16 = 2;
    /// A `struct sockaddr`: the node's own side of a datagram.
    pub const LOCAL: u16 = 3;
    /// u32: `MSG_*`, `SOCK_*`.
    pub const FLAGS: u16 = 4;
    /// u32: octets wanted; octets that there were.
    pub const LEN: u16 = 5;
    /// i64: the call's plain argument.
    pub const ARG: u16 = 6;
    /// 3 × u32: domain, type, protocol.
    pub const SOCKET: u16 = 7;
    /// 2 × u32: level and name.
    pub const OPTION: u16 = 8;
    /// u64: a request.
    pub const TARGET: u16 = 9;
    /// u64: nanoseconds.
    pub const TIMEOUT: u16 = 10;
    /// 2 × u16: lowest and highest version.
    pub const VERSIONS: u16 = 11;
    /// UTF-8, at most 255 octets.
    pub const NAME: u16 = 12;
    /// u32: an interface.
    pub const IFINDEX: u16 = 13;
    /// u8: time to live, hop limit.
    pub const TTL: u16 = 14;
    /// u8: type of service, traffic class.
    pub const TOS: u16 = 15;
    /// u64: nanoseconds since the lab's epoch.
    pub const TIME: u16 = 16;
    /// n × {u32 sid, u16 events, u16 revents}, n at most 1024.
    pub const POLLFDS: u16 = 17;
    /// 3 × u32: descriptors, calls in flight, octets in flight that the node grants a session.
    pub const LIMITS: u16 = 18;
    /// u64: of a passed socket, as `fstat` shows it.
    pub const INODE: u16 = 19;
    /// A `struct sock_extended_err`: 16 octets.
    pub const ERROR: u16 = 20;
    /// A `struct sockaddr`: who says that there was an error.
    pub const OFFENDER: u16 = 21;
    /// u32: octets that a frame had before a filter cut it.
    pub const WIRE_LEN: u16 = 22;
    /// IPv6's extension headers: what the first one is, and their octets.
    pub const HEADERS: u16 = 23;
    /// u32: IPv6's traffic class and flow label, the 28 bits of its header; of what is to be sent, the label alone.
    pub const FLOW_INFO: u16 = 24;
    /// u32: octets of the largest packet that the path to ADDR takes; there is no payload then.
    pub const PATH_MTU: u16 = 25;
    /// Paths, a NUL behind each: of files that stand in the node's directories, and stay as they are.
    pub const LASTING: u16 = 26;
}

/// What the answer to LOOKUP says of a socket beside the type in SOCKET: the bits of FLAGS. From [`TOLD`] on, one for each of
/// [`TOLD_OPTIONS`] that is set.
pub const LISTENS: u32 = 1;
/// It has a peer.
pub const CONNECTED: u32 = 2;
/// See [`LISTENS`].
pub const TOLD: u32 = 4;
/// Level and name of the options that ask for control messages.
pub const TOLD_OPTIONS: [(u32, u32); 14] = [
    (0, 8),   // IP_PKTINFO
    (0, 12),  // IP_RECVTTL
    (0, 13),  // IP_RECVTOS
    (1, 29),  // SO_TIMESTAMP
    (1, 35),  // SO_TIMESTAMPNS
    (263, 8), // PACKET_AUXDATA
    (41, 49), // IPV6_RECVPKTINFO
    (41, 51), // IPV6_RECVHOPLIMIT
    (41, 66), // IPV6_RECVTCLASS
    (41, 53), // IPV6_RECVHOPOPTS
    (41, 56), // IPV6_RECVRTHDR
    (41, 58), // IPV6_RECVDSTOPTS
    (41, 11), // IPV6_FLOWINFO
    (41, 60), // IPV6_RECVPATHMTU
];

/// Octets of one entry of POLLFDS.
const POLLFD: usize = 8;

/// Octets of a `struct sock_extended_err`.
pub const EXTENDED_ERR: usize = 16;

/// One entry of POLL; events are `POLLIN` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollEntry {
    /// The descriptor.
    pub sid: Sid,
    /// Events asked for.
    pub events: u16,
    /// Events that are there; 0 in requests.
    pub revents: u16,
}

/// Entries of a POLLFDS field, still in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollEntries<'a>(&'a [u8]);

impl<'a> PollEntries<'a> {
    /// The entries in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = PollEntry> + 'a {
        self.0.chunks_exact(POLLFD).map(|entry| PollEntry {
            sid: Sid(u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]])),
            events: u16::from_le_bytes([entry[4], entry[5]]),
            revents: u16::from_le_bytes([entry[6], entry[7]]),
        })
    }

    /// Lays `entries` out in `buf` (which is emptied) as they stand in a frame.
    pub fn encode<'b>(entries: impl IntoIterator<Item = PollEntry>, buf: &'b mut Vec<u8>) -> PollEntries<'b> {
        buf.clear();
        for entry in entries.into_iter().take(MAX_POLL) {
            buf.extend_from_slice(&entry.sid.0.to_le_bytes());
            buf.extend_from_slice(&entry.events.to_le_bytes());
            buf.extend_from_slice(&entry.revents.to_le_bytes());
        }
        PollEntries(buf)
    }
}

/// What a node grants a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open descriptors.
    pub descriptors: u32,
    /// Calls that have begun and are not answered.
    pub calls: u32,
    /// Octets of payload that such calls hold.
    pub octets: u32,
}

/// Every field that a frame may carry, decoded where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each is the tag of its name
pub struct Body<'a> {
    pub data: Option<&'a [u8]>,
    pub addr: Option<&'a [u8]>,
    pub local: Option<&'a [u8]>,
    pub flags: Option<u32>,
    pub len: Option<u32>,
    pub arg: Option<i64>,
    pub socket: Option<[u32; 3]>,
    pub option: Option<[u32; 2]>,
    pub target: Option<u64>,
    pub timeout: Option<u64>,
    pub versions: Option<[u16; 2]>,
    pub name: Option<&'a str>,
    pub ifindex: Option<u32>,
    pub ttl: Option<u8>,
    pub tos: Option<u8>,
    pub time: Option<u64>,
    pub pollfds: Option<PollEntries<'a>>,
    pub limits: Option<Limits>,
    pub inode: Option<u64>,
    pub error: Option<&'a [u8]>,
    pub offender: Option<&'a [u8]>,
    pub wire_len: Option<u32>,
    pub headers: Option<&'a [u8]>,
    pub flow_info: Option<u32>,
    pub path_mtu: Option<u32>,
    pub lasting: Option<&'a [u8]>,
}

/// Puts a decoded value into its place; a second one is a fault.
fn put<T>(place: &mut Option<T>, tag: u16, value: Option<T>, len: usize) -> Result<(), BodyError> {
    let value = value.ok_or(BodyError::Malformed { tag, len })?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(BodyError::Twice { tag }),
    }
}

/// `N` little-endian u32, and nothing else.
fn words<const N: usize>(value: &[u8]) -> Option<[u32; N]> {
    let mut out = [0; N];
    if value.len() != 4 * N {
        return None;
    }
    for (word, octets) in out.iter_mut().zip(value.chunks_exact(4)) {
        *word = u32::from_le_bytes(octets.try_into().ok()?);
    }
    Some(out)
}

impl<'a> Body<'a> {
    /// Reads the fields after a header.
    pub fn decode(octets: &'a [u8]) -> Result<Body<'a>, BodyError> {
        let mut body = Body::default();
        for field in Fields(octets) {
            let (tag, value) = field?;
            let n = value.len();
            let word = || words::<1>(value).map(|[word]| word);
            let long = || value.try_into().ok().map(u64::from_le_bytes);
            let octet = || <[u8; 1]>::try_from(value).ok().map(|[octet]| octet);
            let at_most = |max| (n <= max).then_some(value);
            let address = || at_most(MAX_ADDR).filter(|_| n >= MIN_ADDR);
            match tag {
                tag::DATA => put(&mut body.data, tag, at_most(MAX_DATA), n)?,
                tag::ADDR => put(&mut body.addr, tag, address(), n)?,
                tag::LOCAL => put(&mut body.local, tag, address(), n)?,
                tag::FLAGS => put(&mut body.flags, tag, word(), n)?,
                tag::LEN => put(&mut body.len, tag, word(), n)?,
                tag::ARG => put(&mut body.arg, tag, value.try_into().ok().map(i64::from_le_bytes), n)?,
                tag::SOCKET => put(&mut body.socket, tag, words(value), n)?,
                tag::OPTION => put(&mut body.option, tag, words(value), n)?,
                tag::TARGET => put(&mut body.target, tag, long(), n)?,
                tag::TIMEOUT => put(&mut body.timeout, tag, long(), n)?,
                tag::VERSIONS => {
                    put(&mut body.versions, tag, word().map(|word| [word as u16, (word >> 16) as u16]), n)?;
                }
                tag::NAME => {
                    put(
                        &mut body.name,
                        tag,
                        at_most(MAX_NAME).and_then(|name| std::str::from_utf8(name).ok()),
                        n,
                    )?;
                }
                tag::IFINDEX => put(&mut body.ifindex, tag, word(), n)?,
                tag::TTL => put(&mut body.ttl, tag, octet(), n)?,
                tag::TOS => put(&mut body.tos, tag, octet(), n)?,
                tag::TIME => put(&mut body.time, tag, long(), n)?,
                tag::POLLFDS => {
                    let whole = n % POLLFD == 0;
                    put(
                        &mut body.pollfds,
                        tag,
                        at_most(MAX_POLL * POLLFD).filter(|_| whole).map(PollEntries),
                        n,
                    )?;
                }
                tag::INODE => put(&mut body.inode, tag, long(), n)?,
                tag::ERROR => {
                    put(&mut body.error, tag, at_most(EXTENDED_ERR).filter(|_| n == EXTENDED_ERR), n)?
                }
                tag::HEADERS => put(&mut body.headers, tag, at_most(MAX_DATA), n)?,
                tag::FLOW_INFO => put(&mut body.flow_info, tag, word(), n)?,
                tag::PATH_MTU => put(&mut body.path_mtu, tag, word(), n)?,
                tag::LASTING => put(&mut body.lasting, tag, at_most(MAX_DATA), n)?,
                tag::WIRE_LEN => put(&mut body.wire_len, tag, word(), n)?,
                tag::OFFENDER => put(&mut body.offender, tag, address(), n)?,
                tag::LIMITS => {
                    let limits = words(value).map(|[descriptors, calls, octets]| Limits {
                        descriptors,
                        calls,
                        octets,
                    });
                    put(&mut body.limits, tag, limits, n)?;
                }
                unknown if unknown & OPTIONAL != 0 => {}
                unknown => return Err(BodyError::Unknown { tag: unknown }),
            }
        }
        Ok(body)
    }

    /// Appends all fields that are there.
    pub fn encode(&self, frame: &mut FrameWriter<'_>) {
        let mut octets = |tag, value: Option<&[u8]>| {
            if let Some(value) = value {
                frame.field(tag, value);
            }
        };
        octets(tag::DATA, self.data);
        octets(tag::ADDR, self.addr);
        octets(tag::LOCAL, self.local);
        octets(tag::ERROR, self.error);
        octets(tag::OFFENDER, self.offender);
        octets(tag::HEADERS, self.headers);
        octets(tag::LASTING, self.lasting);
        octets(tag::NAME, self.name.map(str::as_bytes));
        octets(tag::POLLFDS, self.pollfds.map(|entries| entries.0));
        octets(tag::TTL, self.ttl.map(|ttl| [ttl]).as_ref().map(|ttl| &ttl[..]));
        octets(tag::TOS, self.tos.map(|tos| [tos]).as_ref().map(|tos| &tos[..]));
        let mut numbers = |tag, value: Option<&[u32]>| {
            if let Some(value) = value {
                let mut buf = [0; 12];
                for (place, word) in buf.chunks_exact_mut(4).zip(value) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
                frame.field(tag, &buf[..4 * value.len()]);
            }
        };
        let long = |value: u64| [value as u32, (value >> 32) as u32];
        numbers(tag::FLAGS, self.flags.as_ref().map(std::slice::from_ref));
        numbers(tag::LEN, self.len.as_ref().map(std::slice::from_ref));
        numbers(tag::ARG, self.arg.map(|arg| long(arg as u64)).as_ref().map(|arg| &arg[..]));
        numbers(tag::SOCKET, self.socket.as_ref().map(|socket| &socket[..]));
        numbers(tag::OPTION, self.option.as_ref().map(|option| &option[..]));
        numbers(tag::TARGET, self.target.map(long).as_ref().map(|target| &target[..]));
        numbers(tag::TIMEOUT, self.timeout.map(long).as_ref().map(|timeout| &timeout[..]));
        let versions = self.versions.map(|[low, high]| [u32::from(low) | u32::from(high) << 16]);
        numbers(tag::VERSIONS, versions.as_ref().map(|versions| &versions[..]));
        numbers(tag::IFINDEX, self.ifindex.as_ref().map(std::slice::from_ref));
        numbers(tag::FLOW_INFO, self.flow_info.as_ref().map(std::slice::from_ref));
        numbers(tag::PATH_MTU, self.path_mtu.as_ref().map(std::slice::from_ref));
        numbers(tag::WIRE_LEN, self.wire_len.as_ref().map(std::slice::from_ref));
        numbers(tag::INODE, self.inode.map(long).as_ref().map(|inode| &inode[..]));
        numbers(tag::TIME, self.time.map(long).as_ref().map(|time| &time[..]));
        let limits = self.limits.map(|limits| [limits.descriptors, limits.calls, limits.octets]);
        numbers(tag::LIMITS, limits.as_ref().map(|limits| &limits[..]));
    }
}

/// Appends a whole frame to `buf` and returns its length.
pub fn encode(header: &Header, body: &Body<'_>, buf: &mut Vec<u8>) -> usize {
    buf.reserve(HEADER + FIELD + body.data.map_or(0, <[u8]>::len) + 64);
    let mut frame = FrameWriter::new(buf);
    body.encode(&mut frame);
    frame.finish(header)
}

/// What a datagram carries beside its payload; absent parts are the kernel's choice, or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary<'a> {
    /// The node's address (`IP_PKTINFO`).
    pub local: Option<&'a [u8]>,
    /// The interface (`IP_PKTINFO`).
    pub ifindex: Option<u32>,
    /// `IP_TTL`, `IPV6_HOPLIMIT`.
    pub ttl: Option<u8>,
    /// `IP_TOS`, `IPV6_TCLASS`.
    pub tos: Option<u8>,
    /// `IPV6_FLOWINFO`: the flow label.
    pub flow_info: Option<u32>,
    /// `IPV6_HOPOPTS`, `IPV6_DSTOPTS`: what the first header is, and all of them, each naming the one behind it.
    pub headers: Option<&'a [u8]>,
}

/// A call, with its arguments where they stand. The descriptor is the header's `sid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the arguments are those of the system call
pub enum Request<'a> {
    Hello {
        versions: [u16; 2],
        name: &'a str,
    },
    Cancel {
        target: u64,
    },
    Socket {
        domain: u32,
        kind: u32,
        protocol: u32,
    },
    Bind {
        addr: &'a [u8],
    },
    Listen {
        backlog: i64,
    },
    Accept {
        flags: u32,
    },
    Connect {
        addr: &'a [u8],
        flags: u32,
    },
    SendMsg {
        data: &'a [u8],
        flags: u32,
        to: Option<&'a [u8]>,
        with: Ancillary<'a>,
    },
    RecvMsg {
        len: u32,
        flags: u32,
    },
    Shutdown {
        how: i64,
    },
    Close,
    Dup,
    GetSockName,
    GetPeerName,
    SetSockOpt {
        level: u32,
        name: u32,
        value: &'a [u8],
    },
    /// Some options are told by the value (`asked`) which of many is meant; for others it is empty.
    GetSockOpt {
        level: u32,
        name: u32,
        len: u32,
        asked: &'a [u8],
    },
    Fcntl {
        command: u32,
        argument: u32,
    },
    Ioctl {
        request: u32,
        argument: u32,
    },
    Poll {
        entries: PollEntries<'a>,
        timeout: Option<u64>,
    },
    GetPid,
    Resolve {
        name: &'a str,
    },
    SocketPass {
        domain: u32,
        kind: u32,
        protocol: u32,
    },
    Meta {
        time: u64,
    },
    Open {
        path: &'a [u8],
    },
    StructIoctl {
        request: u32,
        split: u32,
        octets: &'a [u8],
    },
    WriteFile {
        path: &'a str,
        octets: &'a [u8],
    },
    RingPass,
    RingLook,
    Look {
        path: &'a [u8],
        follow: u32,
    },
    Lookup {
        inode: u64,
    },
    HandOn,
}

/// Why the arguments of a call cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No such operation here (ENOSYS).
    #[error("unknown operation {op:#x}")]
    Op {
        /// Its number.
        op: u16,
    },
    /// Its fields are not understood (EINVAL).
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl<'a> Request<'a> {
    /// Reads the request that `header` announces from the octets after it.
    pub fn decode(header: &Header, octets: &'a [u8]) -> Result<Request<'a>, RequestError> {
        let unknown = RequestError::Op { op: header.op };
        let op = Op::from_number(header.op).ok_or(unknown)?;
        let body = Body::decode(octets)?;
        fn need<T>(field: Option<T>, tag: u16) -> Result<T, BodyError> {
            field.ok_or(BodyError::Missing { tag })
        }
        Ok(match op {
            Op::Hello => Request::Hello {
                versions: need(body.versions, tag::VERSIONS)?,
                name: need(body.name, tag::NAME)?,
            },
            Op::Cancel => Request::Cancel { target: need(body.target, tag::TARGET)? },
            Op::Socket => {
                let [domain, kind, protocol] = need(body.socket, tag::SOCKET)?;
                Request::Socket { domain, kind, protocol }
            }
            Op::Bind => Request::Bind { addr: need(body.addr, tag::ADDR)? },
            Op::Listen => Request::Listen { backlog: need(body.arg, tag::ARG)? },
            Op::Accept => Request::Accept { flags: body.flags.unwrap_or(0) },
            Op::Connect => {
                Request::Connect { addr: need(body.addr, tag::ADDR)?, flags: body.flags.unwrap_or(0) }
            }
            Op::SendMsg => Request::SendMsg {
                data: need(body.data, tag::DATA)?,
                flags: body.flags.unwrap_or(0),
                to: body.addr,
                with: Ancillary {
                    local: body.local,
                    ifindex: body.ifindex,
                    ttl: body.ttl,
                    tos: body.tos,
                    flow_info: body.flow_info,
                    headers: body.headers,
                },
            },
            Op::RecvMsg => {
                Request::RecvMsg { len: need(body.len, tag::LEN)?, flags: body.flags.unwrap_or(0) }
            }
            Op::Shutdown => Request::Shutdown { how: need(body.arg, tag::ARG)? },
            Op::Close => Request::Close,
            Op::Dup => Request::Dup,
            Op::GetSockName => Request::GetSockName,
            Op::GetPeerName => Request::GetPeerName,
            Op::SetSockOpt => {
                let [level, name] = need(body.option, tag::OPTION)?;
                Request::SetSockOpt { level, name, value: need(body.data, tag::DATA)? }
            }
            Op::GetSockOpt => {
                let [level, name] = need(body.option, tag::OPTION)?;
                let asked = body.data.unwrap_or_default();
                Request::GetSockOpt { level, name, len: need(body.len, tag::LEN)?, asked }
            }
            Op::Fcntl => {
                let [command, argument] = need(body.option, tag::OPTION)?;
                Request::Fcntl { command, argument }
            }
            Op::Ioctl => {
                let [request, argument] = need(body.option, tag::OPTION)?;
                Request::Ioctl { request, argument }
            }
            Op::Poll => Request::Poll { entries: need(body.pollfds, tag::POLLFDS)?, timeout: body.timeout },
            Op::GetPid => Request::GetPid,
            Op::Resolve => Request::Resolve { name: need(body.name, tag::NAME)? },
            Op::SocketPass => {
                let [domain, kind, protocol] = need(body.socket, tag::SOCKET)?;
                Request::SocketPass { domain, kind, protocol }
            }
            Op::Meta => Request::Meta { time: need(body.time, tag::TIME)? },
            Op::Open => Request::Open { path: need(body.data, tag::DATA)? },
            Op::RingPass => Request::RingPass,
            Op::RingLook => Request::RingLook,
            Op::Lookup => Request::Lookup { inode: need(body.inode, tag::INODE)? },
            Op::HandOn => Request::HandOn,
            Op::Look => {
                Request::Look { path: need(body.data, tag::DATA)?, follow: need(body.flags, tag::FLAGS)? }
            }
            Op::StructIoctl => {
                let [request, split] = need(body.option, tag::OPTION)?;
                Request::StructIoctl { request, split, octets: need(body.data, tag::DATA)? }
            }
            Op::WriteFile => {
                Request::WriteFile { path: need(body.name, tag::NAME)?, octets: need(body.data, tag::DATA)? }
            }
            Op::Closed | Op::Connected => return Err(unknown),
        })
    }

    /// The operation's number and the fields with the arguments.
    pub fn parts(&self) -> (Op, Body<'a>) {
        let none = Body::default();
        match *self {
            Request::Hello { versions, name } => {
                (Op::Hello, Body { versions: Some(versions), name: Some(name), ..none })
            }
            Request::Cancel { target } => (Op::Cancel, Body { target: Some(target), ..none }),
            Request::Socket { domain, kind, protocol } => {
                (Op::Socket, Body { socket: Some([domain, kind, protocol]), ..none })
            }
            Request::Bind { addr } => (Op::Bind, Body { addr: Some(addr), ..none }),
            Request::Listen { backlog } => (Op::Listen, Body { arg: Some(backlog), ..none }),
            Request::Accept { flags } => (Op::Accept, Body { flags: Some(flags), ..none }),
            Request::Connect { addr, flags } => {
                (Op::Connect, Body { addr: Some(addr), flags: Some(flags), ..none })
            }
            Request::SendMsg { data, flags, to, with } => {
                let Ancillary { local, ifindex, ttl, tos, flow_info, headers } = with;
                (
                    Op::SendMsg,
                    Body {
                        data: Some(data),
                        flags: Some(flags),
                        addr: to,
                        local,
                        ifindex,
                        ttl,
                        tos,
                        flow_info,
                        headers,
                        ..none
                    },
                )
            }
            Request::RecvMsg { len, flags } => {
                (Op::RecvMsg, Body { len: Some(len), flags: Some(flags), ..none })
            }
            Request::Shutdown { how } => (Op::Shutdown, Body { arg: Some(how), ..none }),
            Request::Close => (Op::Close, none),
            Request::Dup => (Op::Dup, none),
            Request::GetSockName => (Op::GetSockName, none),
            Request::GetPeerName => (Op::GetPeerName, none),
            Request::SetSockOpt { level, name, value } => {
                (Op::SetSockOpt, Body { option: Some([level, name]), data: Some(value), ..none })
            }
            Request::GetSockOpt { level, name, len, asked } => {
                let data = Some(asked).filter(|asked| !asked.is_empty());
                (Op::GetSockOpt, Body { option: Some([level, name]), len: Some(len), data, ..none })
            }
            Request::Fcntl { command, argument } => {
                (Op::Fcntl, Body { option: Some([command, argument]), ..none })
            }
            Request::Ioctl { request, argument } => {
                (Op::Ioctl, Body { option: Some([request, argument]), ..none })
            }
            Request::Poll { entries, timeout } => {
                (Op::Poll, Body { pollfds: Some(entries), timeout, ..none })
            }
            Request::GetPid => (Op::GetPid, none),
            Request::Resolve { name } => (Op::Resolve, Body { name: Some(name), ..none }),
            Request::SocketPass { domain, kind, protocol } => {
                (Op::SocketPass, Body { socket: Some([domain, kind, protocol]), ..none })
            }
            Request::Meta { time } => (Op::Meta, Body { time: Some(time), ..none }),
            Request::Open { path } => (Op::Open, Body { data: Some(path), ..none }),
            Request::RingPass => (Op::RingPass, none),
            Request::RingLook => (Op::RingLook, none),
            Request::Lookup { inode } => (Op::Lookup, Body { inode: Some(inode), ..none }),
            Request::HandOn => (Op::HandOn, none),
            Request::Look { path, follow } => {
                (Op::Look, Body { data: Some(path), flags: Some(follow), ..none })
            }
            Request::StructIoctl { request, split, octets } => {
                (Op::StructIoctl, Body { option: Some([request, split]), data: Some(octets), ..none })
            }
            Request::WriteFile { path, octets } => {
                (Op::WriteFile, Body { name: Some(path), data: Some(octets), ..none })
            }
        }
    }

    /// Appends the request's frame to `buf` and returns its length.
    pub fn encode(&self, req: u64, sid: Sid, buf: &mut Vec<u8>) -> usize {
        self.encode_as(FrameFlags::empty(), req, sid, buf)
    }

    /// The same of a frame with these flags.
    pub fn encode_as(&self, flags: FrameFlags, req: u64, sid: Sid, buf: &mut Vec<u8>) -> usize {
        let (op, body) = self.parts();
        encode(&Header { op: op as u16, req, sid, flags, ret: 0 }, &body, buf)
    }
}

#[cfg(test)]
mod tests;
