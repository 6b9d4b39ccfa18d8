//! The grammar of sysproxy: a fixed header, then fields (type, length, value), all little-endian.
//!
//! ```text
//! header, 32 octets:  u32 len | u16 version | u16 op | u64 req | u32 sid | u32 flags | i64 ret
//! field:              u16 tag | u16 zero | u32 len | len octets
//! ```
//! A message carries one frame or more; `len` of a header counts its whole frame. `req` is chosen
//! by the client and echoed by the reply; `sid` names a descriptor of the session's process; `ret` of a reply is what
//! the call returns, `-errno` if it failed. An unknown field whose tag has the bit [`OPTIONAL`] is skipped, any other
//! unknown field is an error, so that both sides know whether they were understood.
//!
//! Nothing is believed: every length is checked against what is there before it is used, and decoding borrows, so a
//! hostile length costs no memory. Which fields belong to which call is [`crate::msg`]'s business.

/// The version of the protocol that this code speaks; HELLO settles which one is spoken.
pub const VERSION: u16 = 1;
/// Octets of the header. HELLO's frames have it as here in every version, with this version's number: 1.
pub const HEADER: usize = 32;
/// Octets before the value of a field.
pub const FIELD: usize = 8;
/// Most octets of payload in one call; a larger `send` is cut short like any stream write.
pub const MAX_DATA: usize = 64 * 1024;
/// Largest frame: a full payload and every other field at its largest.
pub const MAX_FRAME: usize = MAX_DATA + 16 * 1024;
/// Largest socket address: Linux's `sockaddr_storage`.
pub const MAX_ADDR: usize = 128;
/// Longest name, octets of UTF-8.
pub const MAX_NAME: usize = 255;
/// Most entries of one POLL.
pub const MAX_POLL: usize = 1024;
/// Tags with this bit may be skipped by who does not know them.
pub const OPTIONAL: u16 = 0x8000;

/// A descriptor of the session's process on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub u32);

impl Sid {
    /// In frames that concern no descriptor.
    pub const NONE: Sid = Sid(u32::MAX);
}

bitflags::bitflags! {
    /// Flags of a frame.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FrameFlags: u32 {
        /// The frame answers the request `req`.
        const REPLY = 1;
        /// The frame answers nothing: the node tells something (`req` is 0).
        const EVENT = 2;
        /// Nobody waits for the answer to this request, and none is sent.
        const QUIET = 4;
    }
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a frame asks for. Numbers are never reused; those from 0x80 on are for the interception of programs,
        /// and some of their answers carry a descriptor (`SCM_RIGHTS`); those from 0xc0 on are events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Op { $($(#[$doc])* $name = $number,)* }

        impl Op {
            /// All operations, in the order of their numbers.
            pub const ALL: &'static [Op] = &[$(Op::$name),*];

            /// The operation with this number.
            pub fn from_number(number: u16) -> Option<Op> {
                match number { $($number => Some(Op::$name),)* _ => None }
            }
        }
    };
}

ops! {
    /// The first frame of a session: the versions that the client speaks, and its name.
    Hello = 0x01,
    /// Ends the call `TARGET` of this session with EINTR, if it still blocks.
    Cancel = 0x02,
    /// socket(2)
    Socket = 0x10,
    /// bind(2)
    Bind = 0x11,
    /// listen(2)
    Listen = 0x12,
    /// accept(2)
    Accept = 0x13,
    /// connect(2)
    Connect = 0x14,
    /// send, sendto, sendmsg(2)
    SendMsg = 0x15,
    /// recv, recvfrom, recvmsg(2)
    RecvMsg = 0x16,
    /// shutdown(2)
    Shutdown = 0x17,
    /// close(2)
    Close = 0x18,
    /// dup(2)
    Dup = 0x19,
    /// getsockname(2)
    GetSockName = 0x1a,
    /// getpeername(2)
    GetPeerName = 0x1b,
    /// setsockopt(2)
    SetSockOpt = 0x1c,
    /// getsockopt(2)
    GetSockOpt = 0x1d,
    /// fcntl(2): F_GETFL and F_SETFL
    Fcntl = 0x1e,
    /// poll(2)
    Poll = 0x1f,
    /// getpid(2)
    GetPid = 0x40,
    /// The address of a host name, as the node sees it.
    Resolve = 0x41,
    /// socket(2), with a unix socket as the program's end: data flows through it
    SocketPass = 0x80,
    /// What came with a datagram that the program's end has received
    Meta = 0x81,
    /// ioctl(2) of an `int`
    Ioctl = 0x85,
    /// A file of the node, as a memory file
    Open = 0x86,
    /// ioctl(2) of a structure
    StructIoctl = 0x87,
    /// write(2) to a file of the node
    WriteFile = 0x88,
    /// The memory of a packet socket's ring, as a memory file; with it comes a copy of the program's end
    RingPass = 0x8a,
    /// What the program has given back of its rings is looked at now
    RingLook = 0x8b,
    /// What stands at a path of the node's files, itself if it is a link: a descriptor that only names it
    Look = 0x8c,
    /// The passed socket, whichever session's it is, whose end has this inode
    Lookup = 0x8d,
    /// The program has given the end of a passed socket to another: it outlives the session for as long as anybody holds it
    HandOn = 0x8e,
    /// Event: the program has closed its end of a passed socket
    Closed = 0xc1,
    /// Event: a passed stream's handshake, which nobody waited for, has ended well
    Connected = 0xc2,
}

/// Why a frame is not one. A peer that sends such a frame has lost its place: the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not even a header.
    #[error("frame of {len} octets is shorter than its header")]
    Short {
        /// Octets that came.
        len: usize,
    },
    /// The header's length is not the frame's.
    #[error("frame says {said} octets and has {len}")]
    Length {
        /// What the header says.
        said: u32,
        /// Octets that came.
        len: usize,
    },
    /// Another version than the one settled.
    #[error("frame of version {version}")]
    Version {
        /// What the header says.
        version: u16,
    },
}

/// Why the fields of a frame are not understood. The frame's header is, so it can be answered (EINVAL).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Octets are left that are no field.
    #[error("{left} octets at the end are no field")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A field is longer than the rest of its frame.
    #[error("field {tag:#x} of {len} octets reaches beyond its frame")]
    Overlong {
        /// The field.
        tag: u16,
        /// What it claims.
        len: u32,
    },
    /// A field that this side does not know and must.
    #[error("unknown field {tag:#x}")]
    Unknown {
        /// The field.
        tag: u16,
    },
    /// A field came twice.
    #[error("field {tag:#x} twice")]
    Twice {
        /// The field.
        tag: u16,
    },
    /// A field's value is of the wrong size, or not what it must be.
    #[error("field {tag:#x} is malformed ({len} octets)")]
    Malformed {
        /// The field.
        tag: u16,
        /// Its octets.
        len: usize,
    },
    /// A field that the operation needs is missing.
    #[error("field {tag:#x} is missing")]
    Missing {
        /// The field.
        tag: u16,
    },
}

/// The fixed part of a frame, without `len` and `version`, which the codec sees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of the operation; perhaps one that this side does not know.
    pub op: u16,
    /// The client's name for the call.
    pub req: u64,
    /// The descriptor it concerns.
    pub sid: Sid,
    /// Whether it asks, answers or tells.
    pub flags: FrameFlags,
    /// Result of the call: `-errno` or what it returns. 0 in requests.
    pub ret: i64,
}

/// A little-endian number at `at`. The caller has checked that it is there.
fn le<const N: usize>(octets: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&octets[at..at + N]);
    out
}

impl Header {
    /// Octets of the first of the frames in a message, all of which are there.
    pub fn first(message: &[u8]) -> Result<usize, FrameError> {
        if message.len() < HEADER {
            return Err(FrameError::Short { len: message.len() });
        }
        let said = u32::from_le_bytes(le(message, 0));
        match said as usize {
            len @ HEADER.. if len <= message.len() => Ok(len),
            _ => Err(FrameError::Length { said, len: message.len() }),
        }
    }

    /// Takes a whole frame apart: the header, and the octets of its fields.
    pub fn decode(frame: &[u8]) -> Result<(Header, &[u8]), FrameError> {
        if frame.len() < HEADER {
            return Err(FrameError::Short { len: frame.len() });
        }
        let said = u32::from_le_bytes(le(frame, 0));
        if said as usize != frame.len() {
            return Err(FrameError::Length { said, len: frame.len() });
        }
        let version = u16::from_le_bytes(le(frame, 4));
        if version != VERSION {
            return Err(FrameError::Version { version });
        }
        let header = Header {
            op: u16::from_le_bytes(le(frame, 6)),
            req: u64::from_le_bytes(le(frame, 8)),
            sid: Sid(u32::from_le_bytes(le(frame, 16))),
            flags: FrameFlags::from_bits_retain(u32::from_le_bytes(le(frame, 20))),
            ret: i64::from_le_bytes(le(frame, 24)),
        };
        Ok((header, &frame[HEADER..]))
    }

    /// Makes a whole frame one about another descriptor.
    pub fn redirect(frame: &mut [u8], sid: Sid) {
        if let Some(place) = frame.get_mut(16..20) {
            place.copy_from_slice(&sid.0.to_le_bytes());
        }
    }
}

/// A frame under construction. The buffer is the caller's, so that it can be used again.
pub struct FrameWriter<'b> {
    buf: &'b mut Vec<u8>,
    start: usize,
}

impl<'b> FrameWriter<'b> {
    /// Begins a frame at the end of `buf`.
    pub fn new(buf: &'b mut Vec<u8>) -> FrameWriter<'b> {
        let start = buf.len();
        buf.resize(start + HEADER, 0);
        FrameWriter { buf, start }
    }

    /// Appends a field.
    pub fn field(&mut self, tag: u16, value: &[u8]) {
        self.buf.extend_from_slice(&tag.to_le_bytes());
        self.buf.extend_from_slice(&[0, 0]);
        self.buf.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.buf.extend_from_slice(value);
    }

    /// Writes the header and returns the frame's length.
    pub fn finish(self, header: &Header) -> usize {
        let len = self.buf.len() - self.start;
        let head = &mut self.buf[self.start..self.start + HEADER];
        head[0..4].copy_from_slice(&(len as u32).to_le_bytes());
        head[4..6].copy_from_slice(&VERSION.to_le_bytes());
        head[6..8].copy_from_slice(&header.op.to_le_bytes());
        head[8..16].copy_from_slice(&header.req.to_le_bytes());
        head[16..20].copy_from_slice(&header.sid.0.to_le_bytes());
        head[20..24].copy_from_slice(&header.flags.bits().to_le_bytes());
        head[24..32].copy_from_slice(&header.ret.to_le_bytes());
        len
    }
}

/// A frame whose first field is filled by somebody else, in place: a payload needs no copy on its way in.
pub struct DataFrame(Vec<u8>);

impl DataFrame {
    /// Room for `len` octets of `tag`.
    pub fn new(tag: u16, len: usize) -> DataFrame {
        let mut frame = vec![0; HEADER + FIELD + len];
        frame[HEADER..HEADER + 2].copy_from_slice(&tag.to_le_bytes());
        DataFrame(frame)
    }

    /// The room.
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.0[HEADER + FIELD..]
    }

    /// Keeps the first `len` octets of the room, appends what `rest` writes, and completes the frame.
    pub fn finish(mut self, len: usize, header: &Header, rest: impl FnOnce(&mut FrameWriter<'_>)) -> Vec<u8> {
        self.0.truncate(HEADER + FIELD + len);
        let len = (self.0.len() - HEADER - FIELD) as u32;
        self.0[HEADER + 4..HEADER + FIELD].copy_from_slice(&len.to_le_bytes());
        let mut writer = FrameWriter { buf: &mut self.0, start: 0 };
        rest(&mut writer);
        writer.finish(header);
        self.0
    }
}

/// The fields of a frame, one after the other.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u16, &'a [u8]), BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let octets = std::mem::take(&mut self.0); // after an error there is nothing more
        if octets.is_empty() {
            return None;
        }
        if octets.len() < FIELD {
            return Some(Err(BodyError::Trailing { left: octets.len() }));
        }
        let tag = u16::from_le_bytes(le(octets, 0));
        if le::<2>(octets, 2) != [0, 0] {
            return Some(Err(BodyError::Malformed { tag, len: 0 }));
        }
        let len = u32::from_le_bytes(le(octets, 4));
        let rest = &octets[FIELD..];
        if len as usize > rest.len() {
            return Some(Err(BodyError::Overlong { tag, len }));
        }
        let (value, rest) = rest.split_at(len as usize);
        self.0 = rest;
        Some(Ok((tag, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        (any::<u16>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<i64>()).prop_map(
            |(op, req, sid, flags, ret)| Header {
                op,
                req,
                sid: Sid(sid),
                flags: FrameFlags::from_bits_retain(flags),
                ret,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(header in header(), fields in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..100)), 0..8)) {
            let mut buf = vec![7; 3];
            let mut writer = FrameWriter::new(&mut buf);
            for (tag, value) in &fields {
                writer.field(*tag, value);
            }
            let len = writer.finish(&header);
            prop_assert_eq!(buf.len(), 3 + len);
            let (read, body) = Header::decode(&buf[3..]).unwrap();
            prop_assert_eq!(read, header);
            let read: Vec<_> = Fields(body).map(|field| field.map(|(tag, value)| (tag, value.to_vec()))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn a_frame_filled_in_place_is_the_same(header in header(), value in proptest::collection::vec(any::<u8>(), 0..100), spare in 0usize..50) {
            let mut frame = DataFrame::new(1, value.len() + spare);
            frame.room()[..value.len()].copy_from_slice(&value);
            let frame = frame.finish(value.len(), &header, |rest| rest.field(2, &[3]));
            let mut same = Vec::new();
            let mut writer = FrameWriter::new(&mut same);
            writer.field(1, &value);
            writer.field(2, &[3]);
            writer.finish(&header);
            prop_assert_eq!(frame, same);
        }

        #[test]
        fn any_octets_are_a_frame_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((_, body)) = Header::decode(&octets) {
                for _ in Fields(body) {}
            }
            let mut octets = octets;
            if octets.len() >= 6 {
                let len = octets.len() as u32;
                octets[..4].copy_from_slice(&len.to_le_bytes());
                octets[4..6].copy_from_slice(&VERSION.to_le_bytes());
            }
            if let Ok((_, body)) = Header::decode(&octets) {
                prop_assert!(Fields(body).count() <= body.len() / FIELD + 1);
            }
        }

        #[test]
        fn a_truncated_frame_is_an_error(header in header(), value in proptest::collection::vec(any::<u8>(), 0..100), cut in any::<prop::sample::Index>()) {
            let mut buf = Vec::new();
            let mut writer = FrameWriter::new(&mut buf);
            writer.field(1, &value);
            let len = writer.finish(&header);
            let cut = cut.index(len);
            prop_assert!(Header::decode(&buf[..cut]).is_err());
        }
    }

    #[test]
    fn operations_have_one_number_each() {
        for &op in Op::ALL {
            assert_eq!(Op::from_number(op as u16), Some(op));
        }
        assert!(Op::ALL.windows(2).all(|pair| (pair[0] as u16) < (pair[1] as u16)));
        assert_eq!(Op::from_number(0), None);
    }

    #[test]
    fn another_version_is_refused() {
        let mut buf = Vec::new();
        let header = Header { op: 1, req: 0, sid: Sid::NONE, flags: FrameFlags::empty(), ret: 0 };
        FrameWriter::new(&mut buf).finish(&header);
        buf[4] = 2;
        assert_eq!(Header::decode(&buf), Err(FrameError::Version { version: 2 }));
    }
}
