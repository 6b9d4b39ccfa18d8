//! NETLINK_SOCK_DIAG: sockets, as `ss` asks for them (sock_diag(7)), and their end (SOCK_DESTROY).
//!
//! Not here: the filter programs of requests (INET_DIAG_REQ_BYTECODE; `ss` filters what it gets once more), timers, and
//! the sockets of other families: nobody has any.

use super::Socket;
use super::message::{Answer, Payload, Refusal, Request};
use super::rtnl::{INET, INET6, family};
use crate::kernel::Kernel;
use crate::syscall::{Errno, tcp_info};
use netlink_packet_core::{DefaultNla, NlasIterator, Parseable, ParseableParametrized};
use netlink_packet_sock_diag::inet::nlas::{LegacyMemInfo, Nla};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, InetResponseHeader, SocketId as DiagId, StateFlags, Timer,
};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::socket::{SockOpt, SockOptName, SockType, SocketInfo};
use netstack::tcp::State;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Messages: `TCPDIAG_GETSOCK` and `DCCPDIAG_GETSOCK`, the old ones, `SOCK_DIAG_BY_FAMILY`, `SOCK_DESTROY`.
const TCPDIAG_GETSOCK: u16 = 18;
const DCCPDIAG_GETSOCK: u16 = 19;
const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
/// Families of sockets that nobody has: AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_XDP, AF_TIPC.
const OTHERS: [u8; 6] = [1, 16, 17, 40, 44, 30];
/// Families end before this (`AF_MAX`).
const AF_MAX: u8 = 46;
/// `IPPROTO_TCP`, `IPPROTO_UDP`, `IPPROTO_UDPLITE`, `IPPROTO_RAW`.
const TCP: u8 = 6;
const UDP: u8 = 17;
const UDPLITE: u8 = 136;
const RAW: u8 = 255;
/// `INET_DIAG_REQ_PROTOCOL`: the protocol, where its number does not fit into the request (Multipath TCP's).
const REQ_PROTOCOL: u16 = 3;
/// Octets of a `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// INET_DIAG_SKMEMINFO: the words of SO_MEMINFO.
const SKMEMINFO: u16 = 7;
/// `INET_DIAG_NOCOOKIE`
const NO_COOKIE: [u8; 8] = [0xff; 8];
/// `TCP_ESTABLISHED`, `TCP_CLOSE`.
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
/// `RCV_SHUTDOWN`, `SEND_SHUTDOWN`.
const SHUT_RECEIVING: u8 = 1;
const SHUT_SENDING: u8 = 2;

/// Answers a request.
pub(super) fn handle(kernel: &Kernel, _: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let &[family, protocol, ..] = request.body else { return Err(Errno::EINVAL.into()) };
    match (request.kind, family) {
        (DCCPDIAG_GETSOCK, _) => none(request),
        (TCPDIAG_GETSOCK, _) => sockets(kernel, request, &old_request(request)?),
        (BY_FAMILY, INET | INET6) => sockets(kernel, request, &inet_request(request)?),
        (BY_FAMILY, other) if OTHERS.contains(&other) && request.is_dump() => Ok(Answer::Dump(Vec::new())),
        (DESTROY, INET | INET6) if protocol == TCP => destroy(kernel, &inet_request(request)?),
        (DESTROY, INET | INET6) => Err(Errno::EOPNOTSUPP.into()),
        (BY_FAMILY | DESTROY, ..AF_MAX) => Err(Errno::ENOENT.into()),
        (BY_FAMILY | DESTROY, AF_MAX..) => Err(Errno::EINVAL.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// `struct inet_diag_req_v2`
fn inet_request(request: &Request<'_>) -> Result<InetRequest, Refusal> {
    InetRequest::parse(request.body).map_err(|_| Errno::EINVAL.into())
}

/// `struct inet_diag_req`: family, two lengths, extensions, the socket, states.
fn old_request(request: &Request<'_>) -> Result<InetRequest, Refusal> {
    let body = request.body;
    let (Some(socket), Some(states)) = (body.get(4..52), body.get(52..56)) else {
        return Err(Errno::EINVAL.into());
    };
    let states = u32::from_le_bytes([states[0], states[1], states[2], states[3]]);
    Ok(InetRequest {
        family: body[0],
        protocol: TCP,
        extensions: ExtensionFlags::from_bits_truncate(body[3]),
        states: StateFlags::from_bits_truncate(states),
        socket_id: DiagId::parse_with_param(socket, body[0]).map_err(|_| Errno::EINVAL)?,
    })
}

/// The sockets that a request means: all of a kind, or one.
fn sockets(kernel: &Kernel, request: &Request<'_>, asked: &InetRequest) -> Result<Answer, Refusal> {
    if !matches!(asked.protocol, TCP | UDP | UDPLITE | RAW) || is_of_another_protocol(request) {
        return none(request);
    }
    let stack = kernel.stack.borrow();
    let all = stack.sockets().filter(|info| speaks(info, asked.protocol));
    if !request.is_dump() {
        let id = &asked.socket_id;
        let (local, remote) = ends(id);
        // The connection between the two ends, or else who would hear the first of them.
        let rank = |info: &SocketInfo| {
            let bound = info.local.filter(|bound| bound.port() == local.port());
            match (bound, info.remote) {
                (Some(bound), Some(peer)) if (bound, peer) == (local, remote) => 3,
                (Some(bound), None) if bound == local => 2,
                (Some(bound), None) if bound.ip().is_unspecified() => 1,
                _ => 0,
            }
        };
        let found = all.max_by_key(rank).filter(|info| rank(info) > 0 && fits_cookie(info, id));
        return Ok(Answer::One(payload(kernel, &stack, &found.ok_or(Errno::ENOENT)?, asked)));
    }
    let wanted = |info: &SocketInfo| {
        let (id, shown) = (&asked.socket_id, shown_id(&stack, info));
        family(shown.source_address) == asked.family
            && asked.states.bits() & 1 << state(info) != 0
            && (id.source_port == 0 || id.source_port == shown.source_port)
            && (id.destination_port == 0 || id.destination_port == shown.destination_port)
            && (id.interface_id == 0 || id.interface_id == shown.interface_id)
    };
    let found = all.filter(wanted).map(|info| payload(kernel, &stack, &info, asked)).collect();
    Ok(Answer::Dump(found))
}

/// ENOENT: nobody speaks this protocol.
fn none(request: &Request<'_>) -> Result<Answer, Refusal> {
    let none = Refusal::from(Errno::ENOENT);
    if request.is_dump() { Ok(Answer::NoDump(none)) } else { Err(none) }
}

/// Whether an attribute names a protocol of which there is nothing.
fn is_of_another_protocol(request: &Request<'_>) -> bool {
    let behind = request.body.get(REQUEST..).filter(|_| request.kind == BY_FAMILY).unwrap_or_default();
    let named = NlasIterator::new(behind).flatten().find(|attribute| attribute.kind() == REQ_PROTOCOL);
    named.is_some_and(|named| !matches!(named.value(), [TCP | UDP | UDPLITE | RAW, 0, 0, 0]))
}

fn ends(id: &DiagId) -> (SocketAddr, SocketAddr) {
    let local = SocketAddr::new(id.source_address, id.source_port);
    (local, SocketAddr::new(id.destination_address, id.destination_port))
}

/// Whether a socket is one of `protocol`; all raw sockets are of IPPROTO_RAW.
fn speaks(info: &SocketInfo, protocol: u8) -> bool {
    match info.ty {
        SockType::Stream | SockType::Dgram => info.protocol == protocol,
        SockType::Raw => protocol == RAW,
        SockType::Packet | SockType::PacketDgram => false,
    }
}

/// `TCP_*`; of datagrams, whether they have a peer.
fn state(info: &SocketInfo) -> u8 {
    let Some(tcp) = &info.tcp else {
        return if info.remote.is_some() { ESTABLISHED } else { CLOSE };
    };
    match tcp.state {
        State::Established => ESTABLISHED,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => CLOSE,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

/// Which directions are shut.
fn shutdown(info: &SocketInfo) -> u8 {
    match info.tcp.as_ref().map(|tcp| tcp.state) {
        Some(State::CloseWait) => SHUT_RECEIVING,
        Some(State::FinWait1 | State::FinWait2) => SHUT_SENDING,
        Some(State::Closing | State::LastAck | State::TimeWait) => SHUT_RECEIVING | SHUT_SENDING,
        Some(State::Closed | State::Listen | State::SynSent | State::SynReceived | State::Established) => 0,
        None => 0,
    }
}

/// `idiag_cookie`: names a socket for as long as it lives; zero, if no program holds it.
fn cookie(info: &SocketInfo) -> [u8; 8] {
    let words = info.id.map_or([0, 0], |id| [id.index + 1, id.generation]);
    let mut octets = [0; 8];
    octets[..4].copy_from_slice(&words[0].to_le_bytes());
    octets[4..].copy_from_slice(&words[1].to_le_bytes());
    octets
}

fn fits_cookie(info: &SocketInfo, id: &DiagId) -> bool {
    id.cookie == NO_COOKIE || id.cookie == [0; 8] || id.cookie == cookie(info)
}

fn shown_id(stack: &Stack, info: &SocketInfo) -> DiagId {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let (local, remote) = (info.local.unwrap_or(any), info.remote.unwrap_or(any));
    let device = info.id.and_then(|id| stack.option(id, SockOptName::BindToDevice).ok());
    DiagId {
        // A raw socket's number is its protocol's.
        source_port: if info.ty == SockType::Raw { info.protocol.into() } else { local.port() },
        destination_port: if info.ty == SockType::Raw { 0 } else { remote.port() },
        source_address: local.ip(),
        destination_address: remote.ip(),
        interface_id: match device {
            Some(SockOpt::BindToDevice(Some(IfIndex(index)))) => index,
            _ => 0,
        },
        cookie: cookie(info),
    }
}

fn payload(kernel: &Kernel, stack: &Stack, info: &SocketInfo, asked: &InetRequest) -> Payload {
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let state = state(info);
    let waits = info.tcp.as_ref().is_some_and(|tcp| tcp.state == State::TimeWait);
    let header = InetResponseHeader {
        family: info.local.map_or(INET, |local| family(local.ip())),
        state,
        timer: waits.then_some(Timer::TimeWait),
        socket_id: shown_id(stack, info),
        recv_queue: word(info.recv_queue),
        send_queue: word(info.send_queue),
        uid: 0,
        // Linux tells no more of it either.
        inode: info.id.map_or(0, |id| kernel.socket_inode(id) as u32),
    };
    // What waits is no socket any more, and has no more to say.
    let nlas = if waits { Vec::new() } else { attributes(kernel, stack, info, &asked.extensions) };
    Payload::new(BY_FAMILY, &InetResponse { header, nlas: nlas.into_iter().collect() })
}

fn attributes(kernel: &Kernel, stack: &Stack, info: &SocketInfo, asked: &ExtensionFlags) -> Vec<Nla> {
    let word = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut nlas = vec![Nla::Shutdown(shutdown(info))];
    if asked.contains(ExtensionFlags::TOS)
        && let Some(Ok(SockOpt::Tos(tos))) = info.id.map(|id| stack.option(id, SockOptName::Tos))
    {
        nlas.push(Nla::Tos(tos));
    }
    if asked.contains(ExtensionFlags::MEMINFO) {
        nlas.push(Nla::LegacyMemInfo(LegacyMemInfo {
            receive_queue: word(info.recv_queue),
            bottom_send_queue: word(info.send_queue),
            cache: 0,
            send_queue: word(info.send_queue),
        }));
    }
    if asked.contains(ExtensionFlags::SKMEMINFO) {
        nlas.push(Nla::Other(DefaultNla::new(SKMEMINFO, tcp_info::meminfo(info))));
    }
    let Some(tcp) = &info.tcp else { return nlas };
    if asked.contains(ExtensionFlags::INFO) {
        nlas.push(Nla::TcpInfo(tcp_info::octets(tcp, kernel.now())));
    }
    if asked.contains(ExtensionFlags::CONG) {
        nlas.push(Nla::Congestion(tcp.congestion_control.to_owned()));
    }
    nlas
}

/// SOCK_DESTROY: the connection between two ends is aborted.
fn destroy(kernel: &Kernel, asked: &InetRequest) -> Result<Answer, Refusal> {
    let (local, remote) = ends(&asked.socket_id);
    let now = kernel.clock();
    let mut stack = kernel.stack.borrow_mut();
    let found = stack.sockets().find(|info| (info.local, info.remote) == (Some(local), Some(remote)));
    let fits = found.is_some_and(|info| info.ty == SockType::Stream && fits_cookie(&info, &asked.socket_id));
    if fits && stack.tcp_drop(now, local, remote) { Ok(Answer::Done) } else { Err(Errno::ENOENT.into()) }
}
