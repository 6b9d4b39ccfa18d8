//! recvfrom(2), recvmsg(2) and recvmmsg(2) where somebody wants to know who sent it, or the error queue.

use super::message::{Buffers, Control, MMSGHDR, MSGHDR, Message};
use super::outcome;
use crate::seccomp_unsafe::Call;
use crate::sockets::Wants;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::{Body, Request};
use rumpclient::sockaddr::{SOCKADDR_IN, SOCKADDR_IN6, SockAddr};
use rumpclient::wire::MAX_DATA;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

/// Octets of the largest datagram, or message of netlink.
const LARGEST: usize = 256 * 1024;

/// What a datagram is received for.
#[derive(Clone)]
struct Receive {
    sid: Sid,
    wants: Wants,
    /// Packet sockets: octets before the network header (`tp_net`).
    net_offset: u16,
    flags: i32,
    buffers: Buffers,
    to: Place,
}

/// Where beside its octets it is told of.
#[derive(Clone)]
enum Place {
    /// recvfrom(2): an address and its length.
    Name { addr: u64, len: u64 },
    /// recvmsg(2)
    Message(Message),
}

pub(super) fn recvfrom(sup: &mut Supervisor, call: &Call) -> Outcome {
    let [_, place, len, flags, addr, addr_len] = call.args;
    let buffers = Buffers::one(place, len);
    receive_one(sup, call, flags as i32, buffers, Place::Name { addr, len: addr_len })
}

pub(super) fn recvmsg(sup: &mut Supervisor, call: &Call) -> Outcome {
    if !sup.is_ours(call) {
        return Outcome::Proceed;
    }
    let [_, place, flags, ..] = call.args;
    outcome(Message::read(sup.memory, call.tid, place).map(|message| {
        receive_one(sup, call, flags as i32, message.buffers.clone(), Place::Message(message))
    }))
}

fn receive_one(sup: &mut Supervisor, call: &Call, flags: i32, buffers: Buffers, to: Place) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let (sid, wants, net_offset) = (socket.sid, socket.wants, socket.net_offset());
    let receive = Receive { sid, wants, net_offset, flags, buffers, to };
    if socket.is_stream() && flags & libc::MSG_ERRQUEUE == 0 {
        return Outcome::Proceed;
    }
    if flags & (libc::MSG_ERRQUEUE | libc::MSG_OOB) != 0 {
        return from_node(sup, call, receive);
    }
    outcome(sup.end_of(call, inode).map(|end| {
        let dontwait = flags & libc::MSG_DONTWAIT != 0;
        sup.receive_on(call, end, dontwait, move |sup, call, end| {
            let receive = receive.clone();
            take(sup, call, end, &receive, |_, _, told| told.map_or_else(Outcome::Fail, Outcome::Value))
        })
    }))
}

pub(super) fn recvmmsg(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((_, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    if socket.is_stream() {
        return Outcome::Proceed;
    }
    receive_from(sup, call, 0)
}

/// Receives the `nth` message and those after it; the call returns how many there were.
fn receive_from(sup: &mut Supervisor, call: &Call, nth: u64) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let (sid, wants, net_offset) = (socket.sid, socket.wants, socket.net_offset());
    let [_, vector, count, flags, ..] = call.args;
    if nth >= u64::from(count as u32) {
        return Outcome::Value(nth as i64);
    }
    let flags = flags as i32;
    let place = vector + nth * MMSGHDR;
    // MSG_WAITFORONE: only the first is waited for.
    let dontwait = flags & libc::MSG_DONTWAIT != 0 || nth > 0 && flags & libc::MSG_WAITFORONE != 0;
    let begun = Message::read(sup.memory, call.tid, place).and_then(|message| {
        let buffers = message.buffers.clone();
        let receive = Receive { sid, wants, net_offset, flags, buffers, to: Place::Message(message) };
        let end = sup.end_of(call, inode)?;
        Ok(sup.receive_on(call, end, dontwait, move |sup, call, end| {
            take(sup, call, end, &receive, move |sup, call, told| match told {
                Ok(octets) => {
                    let len = (octets as u32).to_le_bytes();
                    match sup.memory.write(call.tid, place + MSGHDR, &len) {
                        Ok(()) => receive_from(sup, call, nth + 1),
                        Err(errno) => Outcome::Fail(errno),
                    }
                }
                Err(errno) => Outcome::Fail(errno),
            })
        }))
    });
    match (begun, nth) {
        (Ok(Outcome::Fail(_)) | Err(_), 1..) => Outcome::Value(nth as i64),
        (begun, _) => outcome(begun),
    }
}

/// Takes a datagram off the program's end, asks the node what came with it, and tells the program.
fn take(
    sup: &mut Supervisor,
    call: &Call,
    end: &OwnedFd,
    receive: &Receive,
    then: impl FnOnce(&mut Supervisor, &Call, Result<i64, Errno>) -> Outcome + 'static,
) -> Result<Outcome, Errno> {
    let mut data = vec![0; receive.buffers.len().min(LARGEST)];
    let (len, full, stamp) = match receive_stamped(end, &mut data, receive.flags) {
        Err(Errno::CONNRESET) => return Ok(waiting_error(sup, call, receive.sid)),
        done => done?,
    };
    data.truncate(len);
    let receive = receive.clone();
    let Some(stamp) = stamp else {
        let told = tell(sup, call, &receive, &data, full, &Body::default(), 0);
        return Ok(then(sup, call, told));
    };
    Ok(sup.ask(call, receive.sid, &Request::Meta { time: stamp }, move |sup, call, answer| {
        // Nothing known is said, rather than the datagram lost.
        let body = answer.body().unwrap_or_default();
        let told = tell(sup, call, &receive, &data, full, &body, stamp);
        then(sup, call, told)
    }))
}

/// The end says that there is an error; the node knows which.
fn waiting_error(sup: &mut Supervisor, call: &Call, sid: Sid) -> Outcome {
    let request = Request::GetSockOpt {
        level: libc::SOL_SOCKET as u32,
        name: libc::SO_ERROR as u32,
        len: 4,
        asked: &[],
    };
    sup.ask(call, sid, &request, |_, _, answer| {
        let body = answer.body().unwrap_or_default();
        let errno = body.data.and_then(|data| data.first_chunk()).map(|word| i32::from_le_bytes(*word));
        // Told already: as if a signal had come, the caller tries again.
        Outcome::Fail(match errno {
            Some(errno @ 1..) => Errno::from_raw_os_error(errno),
            Some(_) | None => Errno::INTR,
        })
    })
}

/// Octets received, octets that there were, and the stamp (nanoseconds since the Unix epoch).
fn receive_stamped(end: &OwnedFd, data: &mut [u8], flags: i32) -> Result<(usize, usize, Option<u64>), Errno> {
    let peek = flags & libc::MSG_PEEK;
    let flags = nix::sys::socket::MsgFlags::from_bits_retain(libc::MSG_DONTWAIT | libc::MSG_TRUNC | peek);
    let mut control = nix::cmsg_space!(libc::timespec);
    let room = data.len();
    let mut iov = [std::io::IoSliceMut::new(data)];
    let received = nix::sys::socket::recvmsg::<()>(end.as_raw_fd(), &mut iov, Some(&mut control), flags)
        .map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
    let full = received.bytes;
    let mut stamp = None;
    for message in received.cmsgs().into_iter().flatten() {
        if let nix::sys::socket::ControlMessageOwned::ScmTimestampns(time) = message {
            stamp = Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64);
        }
    }
    Ok((full.min(room), full, stamp))
}

/// Puts what was received where the program wants it; what the call returns.
fn tell(
    sup: &mut Supervisor,
    call: &Call,
    receive: &Receive,
    data: &[u8],
    full: usize,
    body: &Body<'_>,
    stamp: u64,
) -> Result<i64, Errno> {
    receive.buffers.scatter(sup.memory, call.tid, data)?;
    let name = body.addr.unwrap_or_default();
    match &receive.to {
        Place::Name { addr: 0, .. } => {}
        Place::Name { addr, len } => sup.put_address(call, *addr, *len, name)?,
        Place::Message(message) => {
            let mut flags = if full > data.len() { libc::MSG_TRUNC } else { 0 };
            flags |= receive.flags & (libc::MSG_ERRQUEUE | libc::MSG_OOB);
            let controls = controls(receive.wants, receive.net_offset, body, stamp);
            message.complete(sup.memory, call.tid, name, &controls, flags)?;
        }
    }
    let all = receive.flags & libc::MSG_TRUNC != 0;
    Ok(if all { full as i64 } else { data.len() as i64 })
}

/// The control messages that the program asked for.
fn controls(wants: Wants, net_offset: u16, body: &Body<'_>, stamp: u64) -> Vec<Control> {
    let mut controls = Vec::new();
    let (seconds, nanos) = ((stamp / 1_000_000_000).to_le_bytes(), stamp % 1_000_000_000);
    if wants.contains(Wants::TIMESTAMPNS) {
        let value = [seconds, nanos.to_le_bytes()].concat();
        controls.push(Control::new(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &value));
    } else if wants.contains(Wants::TIMESTAMP) {
        let value = [seconds, (nanos / 1000).to_le_bytes()].concat();
        controls.push(Control::new(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &value));
    }
    ip_controls(wants, body, &mut controls);
    if let (true, Some(wire_len)) = (wants.contains(Wants::AUXDATA), body.wire_len) {
        // `tpacket_auxdata`: TP_STATUS_USER, the frame's octets and those received, where its headers are, no VLAN.
        let mut value = [1, wire_len, body.len.unwrap_or(0), 0, 0].map(u32::to_le_bytes).concat();
        value[14..16].copy_from_slice(&net_offset.to_le_bytes());
        controls.push(Control::new(libc::SOL_PACKET, libc::PACKET_AUXDATA, &value));
    }
    if let Some(error) = body.error {
        // `sock_extended_err`, and behind it the offender's address, whose room is a socket's of its family.
        let inet6 = [body.offender, body.addr].into_iter().flatten().any(|addr| address6(addr).is_some());
        let (level, kind, room) = match inet6 {
            true => (libc::SOL_IPV6, libc::IPV6_RECVERR, SOCKADDR_IN6),
            false => (libc::SOL_IP, libc::IP_RECVERR, SOCKADDR_IN),
        };
        let mut value = [error, body.offender.unwrap_or_default()].concat();
        value.resize(error.len() + room, 0);
        controls.push(Control::new(level, kind, &value));
    }
    controls
}

/// Those of IPv4 and IPv6. What came by IPv4 to a socket of AF_INET6 has a mapped address, and is both's.
fn ip_controls(wants: Wants, body: &Body<'_>, controls: &mut Vec<Control>) {
    let index = body.ifindex.unwrap_or(0).to_le_bytes();
    let inet6 = body.local.and_then(address6);
    let mapped = inet6.is_some_and(|addr| addr.to_ipv4_mapped().is_some());
    let inet = match inet6 {
        Some(addr) => addr.to_ipv4_mapped().map(|addr| addr.octets()),
        None => body.local.and_then(|addr| addr.get(4..)).and_then(<[u8]>::first_chunk).copied(),
    };
    if inet.is_some() || body.local.is_none() {
        if let (true, Some(local)) = (wants.contains(Wants::PKTINFO), inet) {
            controls.push(Control::new(libc::SOL_IP, libc::IP_PKTINFO, &[index, local, local].concat()));
        }
        if let (true, Some(ttl)) = (wants.contains(Wants::TTL), body.ttl) {
            controls.push(Control::new(libc::SOL_IP, libc::IP_TTL, &u32::from(ttl).to_le_bytes()));
        }
        if let (true, Some(tos)) = (wants.contains(Wants::TOS), body.tos) {
            controls.push(Control::new(libc::SOL_IP, libc::IP_TOS, &[tos]));
        }
    }
    let Some(local) = inet6 else { return };
    if let (Some(mtu), Some(peer)) = (body.path_mtu, body.addr) {
        // `struct ip6_mtuinfo`, and as on Linux nothing besides.
        if wants.contains(Wants::PATHMTU6) {
            controls.push(Control::new(
                libc::SOL_IPV6,
                libc::IPV6_PATHMTU,
                &[peer, &mtu.to_le_bytes()].concat(),
            ));
        }
        return;
    }
    if wants.contains(Wants::PKTINFO6) {
        let value = [&local.octets()[..], &index].concat();
        controls.push(Control::new(libc::SOL_IPV6, libc::IPV6_PKTINFO, &value));
    }
    if let (true, Some(hops), false) = (wants.contains(Wants::HOPLIMIT6), body.ttl, mapped) {
        controls.push(Control::new(libc::SOL_IPV6, libc::IPV6_HOPLIMIT, &u32::from(hops).to_le_bytes()));
    }
    header_controls(wants, body.headers.unwrap_or_default(), controls);
    if let (true, Some(info)) = (wants.contains(Wants::FLOWINFO6), body.flow_info) {
        controls.push(Control::new(libc::SOL_IPV6, libc::IPV6_FLOWINFO, &info.to_be_bytes()));
    }
    if let (true, Some(class), false) = (wants.contains(Wants::TCLASS6), body.tos, mapped) {
        controls.push(Control::new(libc::SOL_IPV6, libc::IPV6_TCLASS, &u32::from(class).to_le_bytes()));
    }
}

/// Extension headers, each as it came (RFC 3542 §6, §8, §9): what the first is, and all of them.
fn header_controls(wants: Wants, headers: &[u8], controls: &mut Vec<Control>) {
    /// "Next header" numbers.
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let Some((first, mut rest)) = headers.split_first() else { return };
    let mut kind = *first;
    // A fragment header, which has no length of its own, has that of the shortest.
    while let &[next, eights, ..] = rest {
        let len = if matches!(kind, HOP_BY_HOP | ROUTING | DESTINATION) {
            (usize::from(eights) + 1) * 8
        } else {
            8
        };
        let Some((header, behind)) = rest.split_at_checked(len) else { return };
        let wanted = match kind {
            HOP_BY_HOP => Some((Wants::HOPOPTS6, libc::IPV6_HOPOPTS)),
            ROUTING => Some((Wants::RTHDR6, libc::IPV6_RTHDR)),
            DESTINATION => Some((Wants::DSTOPTS6, libc::IPV6_DSTOPTS)),
            _ => None,
        };
        if let Some((_, name)) = wanted.filter(|(want, _)| wants.contains(*want)) {
            controls.push(Control::new(libc::SOL_IPV6, name, header));
        }
        (kind, rest) = (next, behind);
    }
}

/// The address in a `sockaddr_in6`.
fn address6(octets: &[u8]) -> Option<Ipv6Addr> {
    match SockAddr::decode(octets) {
        Ok(SockAddr::Inet(SocketAddr::V6(addr))) => Some(*addr.ip()),
        Ok(SockAddr::Inet(SocketAddr::V4(_)) | SockAddr::Unspec) | Err(_) => None,
    }
}

/// The error queue and urgent octets are the node's.
fn from_node(sup: &mut Supervisor, call: &Call, receive: Receive) -> Outcome {
    let len = receive.buffers.len().min(MAX_DATA) as u32;
    let flags = (receive.flags | libc::MSG_DONTWAIT | libc::MSG_TRUNC) as u32;
    let sid = receive.sid;
    sup.clear_error(call);
    sup.ask(call, sid, &Request::RecvMsg { len, flags }, move |sup, call, answer| {
        outcome(answer.result.and_then(|_| {
            let body = answer.body().map_err(|_| Errno::PROTO)?;
            let data = body.data.unwrap_or_default();
            let full = body.len.map_or(data.len(), |len| len as usize);
            let now = clock_gettime(ClockId::Realtime);
            let now = now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs();
            let stamp = now.saturating_sub(body.arg.unwrap_or(0).unsigned_abs());
            Ok(Outcome::Value(tell(sup, call, &receive, data, full, &body, stamp)?))
        }))
    })
}
