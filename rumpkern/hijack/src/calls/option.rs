//! setsockopt(2), getsockopt(2) and ioctl(2) of sockets.

use super::outcome;
use crate::process::file_inode;
use crate::seccomp_unsafe::Call;
use crate::sockets::Wants;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::msg::Request;
use rumpclient::wire::MAX_DATA;
use rumpclient::{Sid, pair};
use rustix::io::Errno;
use rustix::net::sockopt;

/// `SIOCOUTQ`, `SIOCATMARK`: of an `int`.
const SIOCOUTQ: u32 = 0x5411;
const SIOCATMARK: u32 = 0x8905;
/// Octets of a `struct sock_fprog`, and of each instruction that it points to.
const SOCK_FPROG: usize = 16;
const SOCK_FILTER: usize = 8;
/// Octets of the largest structure (`struct rtentry`), and some.
const STRUCTURE: usize = 128;

pub(super) fn setsockopt(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    let [_, level, name, place, len, _] = call.args;
    let (level, name) = (level as u32, name as u32);
    if socket.is_stream() && is_urgent(level, name) {
        return Outcome::Proceed;
    }
    let Ok(len) = usize::try_from(len as i32) else { return Outcome::Fail(Errno::INVAL) };
    let value = match (level as i32, name as i32) {
        (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER) => filter(sup, call, place, len),
        (libc::SOL_PACKET, libc::PACKET_FANOUT_DATA) if len == SOCK_FPROG => filter(sup, call, place, len),
        (libc::SOL_SOCKET, libc::SO_ATTACH_BPF | libc::SO_ATTACH_REUSEPORT_EBPF)
        | (libc::SOL_PACKET, libc::PACKET_FANOUT_DATA)
            if len == 4 =>
        {
            descriptor(sup, call, place)
        }
        _ => sup.memory.take(call.tid, place, len.min(MAX_DATA)),
    };
    outcome(value.map(|value| {
        if sup.hold_option(inode, level, name, &value) {
            return Outcome::Value(0);
        }
        let word = value.first_chunk().map(|word| u32::from_le_bytes(*word));
        let on = word.map_or(value.first() != Some(&0), |word| word != 0);
        sup.ask(call, sid, &Request::SetSockOpt { level, name, value: &value }, move |sup, call, answer| {
            if let (Ok(_), Some(word), true) = (answer.result, word, bounds_sending(level, name)) {
                bound_end(sup, call, inode, word);
            }
            if let (Ok(_), Some(wanted), Some(socket)) =
                (answer.result, wanted(level, name), sup.sockets.get_mut(inode))
            {
                if Wants::STAMPS.contains(wanted) {
                    socket.wants.remove(Wants::STAMPS);
                }
                socket.wants.set(wanted, on);
            }
            answer.result.into()
        })
    }))
}

/// SO_SNDBUF: a stream's end takes no more than it says, either.
fn bounds_sending(level: u32, name: u32) -> bool {
    matches!((level as i32, name as i32), (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_SNDBUFFORCE))
}

/// Bounds a stream's end; not that of another session's socket, whose node is not told of it.
fn bound_end(sup: &mut Supervisor, call: &Call, inode: u64, asked: u32) {
    if sup.sockets.get(inode).is_some_and(|socket| socket.is_stream() && !socket.met)
        && let Ok(end) = sup.end_of(call, inode)
    {
        let _ = sockopt::set_socket_send_buffer_size(&end, pair::send_buffer(asked as usize));
    }
}

/// The instructions that a `struct sock_fprog` points to.
fn filter(sup: &Supervisor, call: &Call, place: u64, len: usize) -> Result<Vec<u8>, Errno> {
    if len != SOCK_FPROG {
        return Err(Errno::INVAL);
    }
    let insns = sup.memory.number::<2>(call.tid, place)? as usize;
    if insns * SOCK_FILTER > MAX_DATA {
        return Err(Errno::INVAL);
    }
    let pointer = sup.memory.number::<8>(call.tid, place + 8)?;
    sup.memory.take(call.tid, pointer, insns * SOCK_FILTER)
}

/// A descriptor of the program's, which means nothing to the node: one that is not open is -1.
fn descriptor(sup: &Supervisor, call: &Call, place: u64) -> Result<Vec<u8>, Errno> {
    let fd = sup.memory.number::<4>(call.tid, place)? as u32 as i32;
    let open = file_inode(call.tid, fd).is_some();
    Ok(if open { fd } else { -1 }.to_le_bytes().to_vec())
}

/// PACKET_HDRLEN: octets of the header of a frame in a ring of the version that the program asks for.
fn packet_header_len(version: u64) -> Result<u32, Errno> {
    match version {
        // TPACKET_V1, TPACKET_V2, TPACKET_V3.
        0 | 1 => Ok(32),
        2 => Ok(48),
        _ => Err(Errno::INVAL),
    }
}

/// SO_OOBINLINE: urgent octets are at a stream's own end.
fn is_urgent(level: u32, name: u32) -> bool {
    (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_OOBINLINE)
}

/// The control message that an option asks for.
pub(super) fn wanted(level: u32, name: u32) -> Option<Wants> {
    match (level as i32, name as i32) {
        (libc::SOL_IP, libc::IP_PKTINFO) => Some(Wants::PKTINFO),
        (libc::SOL_IP, libc::IP_RECVTTL) => Some(Wants::TTL),
        (libc::SOL_IP, libc::IP_RECVTOS) => Some(Wants::TOS),
        (libc::SOL_IPV6, libc::IPV6_RECVPKTINFO) => Some(Wants::PKTINFO6),
        (libc::SOL_IPV6, libc::IPV6_RECVHOPLIMIT) => Some(Wants::HOPLIMIT6),
        (libc::SOL_IPV6, libc::IPV6_RECVTCLASS) => Some(Wants::TCLASS6),
        (libc::SOL_IPV6, libc::IPV6_RECVHOPOPTS) => Some(Wants::HOPOPTS6),
        (libc::SOL_IPV6, libc::IPV6_RECVRTHDR) => Some(Wants::RTHDR6),
        (libc::SOL_IPV6, libc::IPV6_RECVDSTOPTS) => Some(Wants::DSTOPTS6),
        (libc::SOL_IPV6, libc::IPV6_RECVPATHMTU) => Some(Wants::PATHMTU6),
        (libc::SOL_IPV6, libc::IPV6_FLOWINFO) => Some(Wants::FLOWINFO6),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMP) => Some(Wants::TIMESTAMP),
        (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) => Some(Wants::TIMESTAMPNS),
        (libc::SOL_PACKET, libc::PACKET_AUXDATA) => Some(Wants::AUXDATA),
        _ => None,
    }
}

/// Octets of a value by which a node is told what is asked for: IP_MSFILTER, MCAST_MSFILTER.
fn asked_by(level: u32, name: u32) -> u32 {
    const MCAST_MSFILTER: i32 = 48;
    match (level as i32, name as i32) {
        (libc::SOL_IP, libc::IP_MSFILTER) => 16,
        (libc::SOL_IP | libc::SOL_IPV6, MCAST_MSFILTER) => 144,
        _ => 0,
    }
}

pub(super) fn getsockopt(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    let [_, level, name, place, len_place, _] = call.args;
    if socket.is_stream() && is_urgent(level as u32, name as u32) {
        return Outcome::Proceed;
    }
    let len = match sup.memory.number::<4>(call.tid, len_place) {
        Ok(len) => len as u32 as i32,
        Err(errno) => return Outcome::Fail(errno),
    };
    let Ok(len) = u32::try_from(len) else { return Outcome::Fail(Errno::INVAL) };
    if (level as i32, name as i32) == (libc::SOL_PACKET, libc::PACKET_HDRLEN) {
        // Of the ABI's options it alone is asked for by a value. It needs no node.
        return outcome((|| {
            if len < 4 {
                return Err(Errno::INVAL);
            }
            let octets = packet_header_len(sup.memory.number::<4>(call.tid, place)?)?;
            sup.memory.write(call.tid, place, &octets.to_le_bytes())?;
            sup.memory.write(call.tid, len_place, &4u32.to_le_bytes())?;
            Ok(Outcome::Value(0))
        })());
    }
    let (level, name, len) = (level as u32, name as u32, len.min(MAX_DATA as u32));
    let mut asked = vec![0; len.min(asked_by(level, name)) as usize];
    if let Err(errno) = sup.memory.read(call.tid, place, &mut asked) {
        return Outcome::Fail(errno);
    }
    // SO_GET_FILTER, which has the number of SO_ATTACH_FILTER, counts instructions.
    let filter = (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    let unit = if filter { SOCK_FILTER } else { 1 };
    let room = (len as usize * unit).min(MAX_DATA);
    let request = Request::GetSockOpt { level, name, len: room as u32, asked: &asked };
    if (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_ERROR) {
        if sup.is_well(call, inode) {
            return outcome(put(sup, call, &0u32.to_le_bytes()[..room.min(4)], room.min(4)));
        }
        sup.clear_error(call);
    }
    sup.ask(call, sid, &request, move |sup, call, answer| {
        if let Err(errno) = answer.result {
            return Outcome::Fail(errno);
        }
        sup.learn_names(inode, &answer);
        let body = answer.body().map_err(|_| Errno::PROTO);
        outcome(body.and_then(|body| {
            let value = body.data.unwrap_or_default();
            // Who has no room may ask how much it takes.
            put(sup, call, if room > 0 { value } else { &[] }, value.len() / unit)
        }))
    })
}

/// Puts an option's value where getsockopt(2) wants it, and how long it is.
fn put(sup: &Supervisor, call: &Call, value: &[u8], len: usize) -> Result<Outcome, Errno> {
    let [_, _, _, place, len_place, _] = call.args;
    sup.memory.write(call.tid, place, value)?;
    sup.memory.write(call.tid, len_place, &(len as u32).to_le_bytes())?;
    Ok(Outcome::Value(0))
}

pub(super) fn ioctl(sup: &mut Supervisor, call: &Call) -> Outcome {
    let [_, request, place, ..] = call.args;
    let request = request as u32;
    let socket = sup.socket_of(call);
    if request == SIOCATMARK && socket.is_some_and(|(_, socket)| socket.is_stream()) {
        return Outcome::Proceed;
    }
    let ours = socket.map(|(_, socket)| socket.sid);
    match (request, ours) {
        (SIOCOUTQ | SIOCATMARK, Some(sid)) => {
            sup.ask(call, sid, &Request::Ioctl { request, argument: 0 }, move |sup, call, answer| {
                outcome(answer.result.and_then(|value| {
                    sup.memory.write(call.tid, place, &(value as u32).to_le_bytes())?;
                    Ok(Outcome::Value(0))
                }))
            })
        }
        (SIOCOUTQ | SIOCATMARK, None) => Outcome::Proceed,
        // Interfaces are the node's on any socket: glibc asks on one of AF_UNIX.
        (_, ours) if ours.is_some() || sup.is_socket(call) => {
            let octets = sup.memory.take_up_to(call.tid, place, STRUCTURE);
            struct_ioctl(sup, call, ours.unwrap_or(Sid::NONE), request, 0, octets)
        }
        _ => Outcome::Proceed,
    }
}

/// Asks the node, with what the structure points to if it wants that, and writes both back.
fn struct_ioctl(
    sup: &mut Supervisor,
    call: &Call,
    sid: Sid,
    request: u32,
    split: u32,
    octets: Vec<u8>,
) -> Outcome {
    let place = call.args[2];
    let asked = Request::StructIoctl { request, split, octets: &octets };
    let sent = octets.clone();
    sup.ask(call, sid, &asked, move |sup, call, answer| {
        outcome(answer.result.and_then(|value| {
            let body = answer.body().map_err(|_| Errno::PROTO)?;
            let len = body.len.unwrap_or(0) as usize;
            match (body.data, body.target) {
                (Some(data), pointer) => {
                    let (structure, beyond) = data.split_at_checked(len).ok_or(Errno::PROTO)?;
                    sup.memory.write(call.tid, place, structure)?;
                    if let Some(pointer) = pointer {
                        sup.memory.write(call.tid, pointer, beyond)?;
                    }
                    Ok(Outcome::Value(value as i64))
                }
                (None, Some(pointer)) if split == 0 => {
                    let beyond = sup.memory.take_up_to(call.tid, pointer, len.min(MAX_DATA / 2));
                    if beyond.is_empty() {
                        return Err(Errno::FAULT);
                    }
                    let split = sent.len() as u32;
                    Ok(struct_ioctl(sup, call, sid, request, split, [sent, beyond].concat()))
                }
                (None, _) => Err(Errno::PROTO),
            }
        }))
    })
}
