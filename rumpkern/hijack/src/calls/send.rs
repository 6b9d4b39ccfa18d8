//! sendto(2), sendmsg(2) and sendmmsg(2): what names an address or carries control messages. All else goes by itself.

use super::message::{Buffers, MMSGHDR, MSGHDR, Message, UIO_MAXIOV};
use super::outcome;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::{Ancillary, Request};
use rumpclient::sockaddr;
use rumpclient::wire::MAX_DATA;
use rustix::io::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A message to be sent by the node.
#[derive(Default)]
struct Outgoing {
    data: Vec<u8>,
    to: Option<Vec<u8>>,
    local: Option<Vec<u8>>,
    ifindex: Option<u32>,
    ttl: Option<u8>,
    tos: Option<u8>,
    flow_info: Option<u32>,
    headers: Option<Vec<u8>>,
}

impl Outgoing {
    fn ask(
        &self,
        sup: &mut Supervisor,
        call: &Call,
        sid: Sid,
        flags: u32,
        then: impl FnOnce(&mut Supervisor, &Call, Result<u64, Errno>) -> Outcome + 'static,
    ) -> Outcome {
        if flags & libc::MSG_FASTOPEN as u32 != 0
            && let Some((inode, _)) = sup.socket_of(call)
        {
            sup.enter_door(call, inode);
        }
        let with = Ancillary {
            local: self.local.as_deref(),
            ifindex: self.ifindex,
            ttl: self.ttl,
            tos: self.tos,
            flow_info: self.flow_info,
            headers: self.headers.as_deref(),
        };
        let request = Request::SendMsg { data: &self.data, flags, to: self.to.as_deref(), with };
        sup.ask(call, sid, &request, move |sup, call, answer| {
            if answer.result.is_err() {
                sup.clear_error(call);
            }
            then(sup, call, answer.result)
        })
    }
}

/// The call's flags; one on a descriptor that does not block has MSG_DONTWAIT.
fn flags(sup: &mut Supervisor, call: &Call, flags: u64) -> u32 {
    let dontwait = libc::MSG_DONTWAIT as u32;
    let flags = flags as u32;
    if flags & dontwait == 0 && sup.is_nonblocking(call) { flags | dontwait } else { flags }
}

pub(super) fn sendto(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((_, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let (sid, stream, frames) = (socket.sid, socket.is_stream(), socket.is_packet() || socket.is_raw());
    let [_, place, len, call_flags, addr, addr_len] = call.args;
    let urgent = call_flags as i32 & libc::MSG_OOB != 0;
    if addr == 0 && !frames && !urgent {
        // Nothing, to the peer.
        return Outcome::Proceed;
    }
    if stream && call_flags as i32 & (libc::MSG_FASTOPEN | libc::MSG_OOB) == 0 {
        // A stream's peer is who it is, whatever address is given.
        return outcome(stream_send(sup, call, &Buffers::one(place, len), call_flags as u32));
    }
    outcome((|| {
        // A stream takes what it can of any amount.
        let len = if stream { len.min(MAX_DATA as u64) } else { len };
        let data = Buffers::one(place, len).gather(sup.memory, call.tid, MAX_DATA)?;
        let to = if addr == 0 { None } else { Some(sup.address(call, addr, addr_len)?) };
        let message = Outgoing { data, to, ..Outgoing::default() };
        let flags = flags(sup, call, call_flags);
        Ok(message.ask(sup, call, sid, flags, |_, _, sent| sent.into()))
    })())
}

/// Sends on the program's own end. It has room, or the program is told to come again.
fn stream_send(sup: &mut Supervisor, call: &Call, buffers: &Buffers, flags: u32) -> Result<Outcome, Errno> {
    let Some((inode, _)) = sup.socket_of(call) else { return Ok(Outcome::Proceed) };
    let data = buffers.gather_first(sup.memory, call.tid, MAX_DATA)?;
    let end = sup.end_of(call, inode)?;
    let flags = rustix::net::SendFlags::from_bits_retain(flags) | rustix::net::SendFlags::NOSIGNAL;
    let sent = rustix::net::send(&end, &data, flags | rustix::net::SendFlags::DONTWAIT)?;
    Ok(Outcome::Value(sent as i64))
}

pub(super) fn sendmsg(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((_, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let (sid, stream, connected) = (socket.sid, socket.is_stream(), socket.connected);
    let urgent = call.args[2] as i32 & (libc::MSG_FASTOPEN | libc::MSG_OOB) != 0;
    outcome(Message::read(sup.memory, call.tid, call.args[1]).and_then(|message| {
        if !urgent && (stream || connected && is_plain(&message)) {
            return Ok(Outcome::Proceed);
        }
        let outgoing = outgoing(sup, call, &message, stream)?;
        let flags = flags(sup, call, call.args[2]);
        Ok(outgoing.ask(sup, call, sid, flags, |_, _, sent| sent.into()))
    }))
}

/// Whether the program's end can send it by itself.
fn is_plain(message: &Message) -> bool {
    message.name == 0 && (message.control == 0 || message.control_len == 0)
}

pub(super) fn sendmmsg(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((_, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    if socket.is_stream() || call.args[2] == 0 {
        return Outcome::Proceed;
    }
    let sid = socket.sid;
    send_from(sup, call, sid, 0)
}

/// Sends the `nth` message and those after it; the call returns how many were sent.
fn send_from(sup: &mut Supervisor, call: &Call, sid: Sid, nth: u64) -> Outcome {
    let [_, vector, count, call_flags, ..] = call.args;
    let ended = |failed: Option<Errno>| match (nth, failed) {
        (0, Some(errno)) => Outcome::Fail(errno),
        (sent, _) => Outcome::Value(sent as i64),
    };
    if nth >= u64::from(count as u32).min(UIO_MAXIOV) {
        return ended(None);
    }
    let place = vector + nth * MMSGHDR;
    let message =
        Message::read(sup.memory, call.tid, place).and_then(|message| outgoing(sup, call, &message, false));
    let message = match message {
        Ok(message) => message,
        Err(errno) => return ended(Some(errno)),
    };
    let flags = flags(sup, call, call_flags);
    message.ask(sup, call, sid, flags, move |sup, call, sent| match sent {
        Ok(octets) => {
            let told = sup.memory.write(call.tid, place + MSGHDR, &(octets as u32).to_le_bytes());
            match told {
                Ok(()) => send_from(sup, call, sid, nth + 1),
                Err(errno) => Outcome::Fail(errno),
            }
        }
        Err(errno) if nth == 0 => Outcome::Fail(errno),
        Err(_) => Outcome::Value(nth as i64),
    })
}

fn outgoing(sup: &Supervisor, call: &Call, message: &Message, stream: bool) -> Result<Outgoing, Errno> {
    // A stream takes what it can of any amount.
    let data = if stream {
        message.buffers.gather_first(sup.memory, call.tid, MAX_DATA)?
    } else {
        message.buffers.gather(sup.memory, call.tid, MAX_DATA)?
    };
    let named = message.name != 0 && message.name_len != 0;
    let to = named.then(|| sup.address(call, message.name, message.name_len.into())).transpose()?;
    let mut outgoing = Outgoing { data, to, ..Outgoing::default() };
    let (mut hop_options, mut dst_options) = (None, None);
    for control in message.controls(sup.memory, call.tid)? {
        let word = control.value.first_chunk().map(|word| i32::from_le_bytes(*word));
        let octet = || word.and_then(|word| u8::try_from(word).ok()).or(control.value.first().copied());
        match (control.level, control.kind) {
            (libc::SOL_IP, libc::IP_PKTINFO) => {
                // ipi_ifindex, ipi_spec_dst, ipi_addr
                let index = word.ok_or(Errno::INVAL)?;
                let source: [u8; 4] =
                    control.value.get(4..8).and_then(|addr| addr.try_into().ok()).ok_or(Errno::INVAL)?;
                outgoing.ifindex = u32::try_from(index).ok().filter(|index| *index != 0);
                outgoing.local = local(Ipv4Addr::from(source).into());
            }
            (libc::SOL_IP, libc::IP_TTL) => outgoing.ttl = Some(octet().ok_or(Errno::INVAL)?),
            (libc::SOL_IP, libc::IP_TOS) => outgoing.tos = Some(octet().ok_or(Errno::INVAL)?),
            (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                // ipi6_addr, ipi6_ifindex
                let (source, index) = control.value.split_first_chunk::<16>().ok_or(Errno::INVAL)?;
                let index = index.first_chunk().map(|word| u32::from_le_bytes(*word)).ok_or(Errno::INVAL)?;
                outgoing.ifindex = Some(index).filter(|index| *index != 0);
                outgoing.local = local(Ipv6Addr::from(*source).into());
            }
            (libc::SOL_IPV6, libc::IPV6_HOPLIMIT) => outgoing.ttl = usual_or_octet(word)?,
            (libc::SOL_IPV6, libc::IPV6_TCLASS) => outgoing.tos = usual_or_octet(word)?,
            (libc::SOL_IPV6, libc::IPV6_FLOWINFO) => {
                let info = word.ok_or(Errno::INVAL)?;
                outgoing.flow_info = Some(u32::from_be(info as u32) & FLOW_LABEL);
            }
            (libc::SOL_IPV6, libc::IPV6_HOPOPTS) => once(&mut hop_options, &control.value)?,
            (libc::SOL_IPV6, libc::IPV6_DSTOPTS) => once(&mut dst_options, &control.value)?,
            // Those before a routing header, which there is never (RFC 3542 §9.2).
            (libc::SOL_IPV6, libc::IPV6_RTHDRDSTOPTS) => once(&mut None, &control.value)?,
            // As Linux: other levels are others' affair.
            (libc::SOL_IP | libc::SOL_IPV6, _) => return Err(Errno::INVAL),
            _ => {}
        }
    }
    outgoing.headers = chain([(HOP_BY_HOP, hop_options), (DESTINATION, dst_options)]);
    Ok(outgoing)
}

/// The bits of a flow label.
const FLOW_LABEL: u32 = 0xf_ffff;
/// "Next header" numbers.
const HOP_BY_HOP: u8 = 0;
const DESTINATION: u8 = 60;

/// An extension header as a control message has it, which may be there once: what is behind its end is not of it.
fn once(place: &mut Option<Vec<u8>>, value: &[u8]) -> Result<(), Errno> {
    let eights = *value.get(1).ok_or(Errno::INVAL)?;
    let header = value.get(..(usize::from(eights) + 1) * 8).ok_or(Errno::INVAL)?;
    match place.replace(header.to_vec()) {
        None => Ok(()),
        Some(_) => Err(Errno::INVAL),
    }
}

/// Extension headers in their order: what the first is, and all of them, each naming the one behind it.
fn chain(headers: [(u8, Option<Vec<u8>>); 2]) -> Option<Vec<u8>> {
    let there = headers.into_iter().filter_map(|(kind, header)| Some((kind, header?)));
    let mut octets = Vec::new();
    let mut named_at = 0;
    for (kind, header) in there {
        match octets.get_mut(named_at) {
            Some(names) => *names = kind,
            None => octets.push(kind),
        }
        named_at = octets.len();
        octets.extend(header);
    }
    Some(octets).filter(|octets| !octets.is_empty())
}

/// A source address as the node reads it; `None`: the node's choice.
fn local(source: IpAddr) -> Option<Vec<u8>> {
    (!source.is_unspecified()).then(|| sockaddr::encode_ip(source).as_octets().to_vec())
}

/// A hop limit or a traffic class; -1 is the usual one.
fn usual_or_octet(word: Option<i32>) -> Result<Option<u8>, Errno> {
    match word.ok_or(Errno::INVAL)? {
        -1 => Ok(None),
        word => u8::try_from(word).map(Some).map_err(|_| Errno::INVAL),
    }
}
