//! Netlink messages: requests out of a datagram, and what answers them (netlink(7)).

use super::Socket;
use super::socket::Options;
use crate::syscall::Errno;
use netlink_packet_core::{
    DefaultNla, Emitable, NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_APPEND, NLM_F_CAPPED, NLM_F_CREATE, NLM_F_DUMP,
    NLM_F_DUMP_FILTERED, NLM_F_ECHO, NLM_F_EXCL, NLM_F_MULTIPART, NLM_F_REPLACE, NLM_F_REQUEST, NLMSG_DONE,
    NLMSG_ERROR, NetlinkBuffer, NetlinkHeader, Parseable,
};
use std::collections::VecDeque;

/// Octets of a `struct nlmsghdr`.
const HEADER: usize = 16;
/// Types below this are netlink's own (`NLMSG_MIN_TYPE`).
const MIN_TYPE: u16 = 16;
/// `NLMSGERR_ATTR_MSG`
const ATTR_MSG: u16 = 1;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: u16,
    flags: u16,
    seq: u32,
    /// What follows its header.
    pub(super) body: &'a [u8],
    /// All of it.
    whole: &'a [u8],
}

/// Whose request makes a change.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) port: u32,
    pub(super) seq: u32,
    /// NLM_F_ECHO
    pub(super) echo: bool,
    /// Flags for what is told of routes.
    pub(super) flags: u16,
}

/// The requests of a datagram. As on Linux the rest is left alone where a length is impossible.
pub(super) fn requests(mut rest: &[u8]) -> impl Iterator<Item = Request<'_>> {
    std::iter::from_fn(move || {
        let header = NetlinkBuffer::new_checked(rest).ok()?;
        let length = usize::try_from(header.length()).ok().filter(|n| (HEADER..=rest.len()).contains(n))?;
        let whole = &rest[..length];
        let request = Request {
            kind: header.message_type(),
            flags: header.flags(),
            seq: header.sequence_number(),
            body: &whole[HEADER..],
            whole,
        };
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some(request)
    })
}

impl Request<'_> {
    /// Whether the kernel has to do with it at all.
    pub(super) fn is_request(&self) -> bool {
        self.flags & NLM_F_REQUEST != 0 && self.kind >= MIN_TYPE
    }

    /// Whether it asks for a whole table.
    pub(super) fn is_dump(&self) -> bool {
        self.flags & NLM_F_DUMP == NLM_F_DUMP
    }

    /// NLM_F_CREATE
    pub(super) fn creates(&self) -> bool {
        self.flags & NLM_F_CREATE != 0
    }

    /// NLM_F_EXCL
    pub(super) fn excludes(&self) -> bool {
        self.flags & NLM_F_EXCL != 0
    }

    /// NLM_F_REPLACE
    pub(super) fn replaces(&self) -> bool {
        self.flags & NLM_F_REPLACE != 0
    }

    /// NLM_F_APPEND
    pub(super) fn appends(&self) -> bool {
        self.flags & NLM_F_APPEND != 0
    }

    /// The asker, for a change that comes of it.
    pub(super) fn by(&self, socket: &Socket) -> By {
        let echo = self.flags & NLM_F_ECHO != 0;
        By {
            port: socket.port().unwrap_or(0),
            seq: self.seq,
            echo,
            flags: self.flags & (NLM_F_CREATE | NLM_F_EXCL),
        }
    }

    /// The body as a message, with zeros for what is missing of its header of `least` octets: old programs ask for
    /// dumps with a `struct rtgenmsg` alone (getifaddrs(3) does).
    pub(super) fn parse_padded<T: Parseable<[u8]> + Default>(&self, least: usize) -> Result<T, Refusal> {
        let mut body = self.body.to_vec();
        body.resize(body.len().max(least), 0);
        T::parse(&body).map_err(|_| Refusal::from(Errno::EINVAL))
    }

    /// The body as a message. EINVAL: it is none.
    pub(super) fn parse<T: Parseable<[u8]>>(&self) -> Result<T, Refusal> {
        T::parse(self.body).map_err(|_| Refusal::from(Errno::EINVAL))
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    /// In words, for whom NETLINK_EXT_ACK tells them; Linux's where it has any.
    pub(super) text: Option<&'static str>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        Refusal { errno, text: None }
    }
}

/// A refusal in words.
pub(super) fn refusal(errno: Errno, text: &'static str) -> Refusal {
    Refusal { errno, text: Some(text) }
}

/// A message without its netlink header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    kind: u16,
    octets: Vec<u8>,
}

impl Payload {
    /// Of type `kind`.
    pub(super) fn new(kind: u16, message: &impl Emitable) -> Payload {
        let mut octets = vec![0; message.buffer_len()];
        message.emit(&mut octets);
        Payload { kind, octets }
    }

    /// With its header.
    pub(super) fn framed(&self, flags: u16, seq: u32, port: u32) -> Vec<u8> {
        frame(self.kind, flags, seq, port, &self.octets)
    }
}

/// What answers a request that is granted.
#[derive(Debug)]
pub(super) enum Answer {
    /// Nothing but an acknowledgment, if that is asked for.
    Done,
    /// One message, then the acknowledgment.
    One(Payload),
    /// A table, whole.
    Dump(Vec<Payload>),
    /// A table, in part.
    Filtered(Vec<Payload>),
    /// No table, which is said at the end of the dump.
    NoDump(Refusal),
}

fn frame(kind: u16, flags: u16, seq: u32, port: u32, body: &[u8]) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.length = (HEADER + body.len()) as u32;
    header.message_type = kind;
    header.flags = flags;
    header.sequence_number = seq;
    header.port_number = port;
    let mut octets = vec![0; (HEADER + body.len()).next_multiple_of(4)];
    header.emit(&mut octets);
    octets[HEADER..HEADER + body.len()].copy_from_slice(body);
    octets
}

/// Puts the answer into the asker's queue.
pub(super) fn answer(socket: &Socket, request: &Request<'_>, answered: Result<Answer, Refusal>) {
    let port = socket.port().unwrap_or(0);
    let framed = |payload: &Payload, flags| payload.framed(flags, request.seq, port);
    let dump = |payloads: Vec<Payload>, flags, end: Option<Refusal>| {
        let flags = NLM_F_MULTIPART | flags;
        let mut messages: VecDeque<_> = payloads.iter().map(|payload| framed(payload, flags)).collect();
        let (code, tlvs) = (end.map_or(0, |end| -end.errno.number()), words(socket, end));
        let tlv_flag = if tlvs.is_empty() { 0 } else { NLM_F_ACK_TLVS };
        let body = [&code.to_le_bytes()[..], &tlvs].concat();
        messages.push_back(frame(NLMSG_DONE, flags | tlv_flag, request.seq, port, &body));
        // A dump has no acknowledgment.
        match socket.dump(messages) {
            Ok(()) => {}
            Err(errno) => acknowledge(socket, request, Some(errno.into())),
        }
    };
    match answered {
        Ok(Answer::Done) => {}
        Ok(Answer::One(payload)) => socket.deliver(framed(&payload, 0), super::NlAddr::default(), 0),
        Ok(Answer::Dump(payloads)) => return dump(payloads, 0, None),
        Ok(Answer::Filtered(payloads)) => return dump(payloads, NLM_F_DUMP_FILTERED, None),
        Ok(Answer::NoDump(why)) => return dump(Vec::new(), 0, Some(why)),
        Err(why) => return acknowledge(socket, request, Some(why)),
    }
    if request.flags & NLM_F_ACK != 0 {
        acknowledge(socket, request, None);
    }
}

/// NLMSG_ERROR: the error or 0, and the request, whole if it is an error.
fn acknowledge(socket: &Socket, request: &Request<'_>, why: Option<Refusal>) {
    let code = why.map_or(0, |why| -why.errno.number());
    let whole = why.is_some() && !socket.options().contains(Options::CAP_ACK);
    let (quoted, mut flags) =
        if whole { (request.whole, 0) } else { (&request.whole[..HEADER], NLM_F_CAPPED) };
    let mut body = [&code.to_le_bytes()[..], quoted].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let tlvs = words(socket, why);
    if !tlvs.is_empty() {
        flags |= NLM_F_ACK_TLVS;
        body.extend(tlvs);
    }
    let octets = frame(NLMSG_ERROR, flags, request.seq, socket.port().unwrap_or(0), &body);
    socket.deliver(octets, super::NlAddr::default(), 0);
}

/// The attributes of a refusal, for whom wants them.
fn words(socket: &Socket, why: Option<Refusal>) -> Vec<u8> {
    let text = why.and_then(|why| why.text).filter(|_| socket.options().contains(Options::EXT_ACK));
    let Some(text) = text else { return Vec::new() };
    let attribute = DefaultNla::new(ATTR_MSG, [text.as_bytes(), &[0]].concat());
    let mut octets = vec![0; attribute.buffer_len()];
    attribute.emit(&mut octets);
    octets
}
