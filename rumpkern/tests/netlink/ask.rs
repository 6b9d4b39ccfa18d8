//! A program with a netlink socket.

use crate::world::World;
use netstack::net::IfIndex;
use rumpkern::kernel::Kernel;
use rumpkern::netlink::Protocol;
use rumpkern::syscall::{Errno, Fd, Sys, sockopt_abi};
use std::cell::Cell;
use std::rc::Rc;

pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const MULTI: u16 = 0x2;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const ECHO: u16 = 0x8;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const REPLACE: u16 = 0x100;
pub(crate) const EXCL: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const FILTERED: u16 = 0x20;

pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;

/// The index of `eth0`.
pub(crate) const ETH0: u32 = 2;

/// A socket of a process of its own.
pub(crate) struct Asker {
    pub(crate) sys: Sys,
    pub(crate) fd: Fd,
    seq: Cell<u32>,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    pub(crate) port: u32,
    pub(crate) body: Vec<u8>,
}

impl Asker {
    /// NETLINK_ROUTE, with NETLINK_EXT_ACK and NETLINK_GET_STRICT_CHK, as iproute2 has it.
    pub(crate) fn new(kernel: &Rc<Kernel>) -> Asker {
        let asker = Asker::plain(kernel, Protocol::Route);
        for option in [11, 12] {
            asker.set(option, 1).unwrap();
        }
        asker
    }

    /// Any protocol, no options.
    pub(crate) fn plain(kernel: &Rc<Kernel>, protocol: Protocol) -> Asker {
        let sys = kernel.attach_process("asker");
        let fd = sys.netlink_socket(3, protocol).unwrap();
        Asker { sys, fd, seq: Cell::new(100) }
    }

    /// An option of SOL_NETLINK.
    pub(crate) fn set(&self, name: u32, value: u32) -> Result<(), Errno> {
        sockopt_abi::set(&self.sys, self.fd, 270, name, &value.to_le_bytes())
    }

    /// Joins groups.
    pub(crate) fn join(self, groups: &[u32]) -> Asker {
        for group in groups {
            self.set(1, *group).unwrap();
        }
        self
    }

    /// Its port.
    pub(crate) fn port(&self) -> u32 {
        self.sys.netlink(self.fd).unwrap().port().unwrap()
    }

    /// Sends a request and returns all that waits then.
    pub(crate) fn ask(&self, kind: u16, flags: u16, body: &[u8]) -> Vec<Message> {
        self.seq.set(self.seq.get() + 1);
        let octets = request(kind, REQUEST | flags, self.seq.get(), body);
        assert_eq!(self.sys.netlink_send(self.fd, &octets, None), Ok(octets.len()));
        self.heard()
    }

    /// A whole table, without its end, which must be there.
    pub(crate) fn table(&self, kind: u16, body: &[u8]) -> Vec<Message> {
        let mut messages = self.ask(kind, DUMP, body);
        let done = messages.pop().expect("a dump has an end");
        assert_eq!((done.kind, &done.body[..]), (DONE, &[0; 4][..]), "{done:?}");
        assert!(messages.iter().all(|m| m.flags & MULTI != 0 && m.seq == self.seq.get()));
        messages
    }

    /// A request that is only acknowledged: 0, or the number of its error.
    pub(crate) fn tell(&self, kind: u16, flags: u16, body: &[u8]) -> i32 {
        self.refused(kind, flags, body).0
    }

    /// The error of a request, and why.
    pub(crate) fn refused(&self, kind: u16, flags: u16, body: &[u8]) -> (i32, String) {
        let messages = self.ask(kind, ACK | flags, body);
        let acks: Vec<&Message> = messages.iter().filter(|m| m.kind == ERROR).collect();
        let [ack] = acks[..] else { panic!("one acknowledgment: {messages:?}") };
        (ack.error(), ack.words())
    }

    /// All that waits.
    pub(crate) fn heard(&self) -> Vec<Message> {
        let socket = self.sys.netlink(self.fd).unwrap();
        let mut messages = Vec::new();
        while let Ok(received) = socket.recv(1 << 16) {
            messages.extend(split(&received.octets));
        }
        messages
    }
}

/// A request.
pub(crate) fn request(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = (16 + body.len() as u32).to_le_bytes().to_vec();
    octets.extend(kind.to_le_bytes());
    octets.extend(flags.to_le_bytes());
    octets.extend(seq.to_le_bytes());
    octets.extend([0; 4]);
    octets.extend(body);
    octets
}

/// The messages of a datagram, which must be whole.
pub(crate) fn split(mut octets: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        let length = word(octets, 0) as usize;
        assert!((16..=octets.len()).contains(&length), "{length} of {}", octets.len());
        let half = |at: usize| u16::from_le_bytes([octets[at], octets[at + 1]]);
        let (kind, flags) = (half(4), half(6));
        let (seq, port, body) = (word(octets, 8), word(octets, 12), octets[16..length].to_vec());
        messages.push(Message { kind, flags, seq, port, body });
        octets = &octets[length.next_multiple_of(4)..];
    }
    messages
}

pub(crate) fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

/// An attribute.
pub(crate) fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = (4 + value.len() as u16).to_le_bytes().to_vec();
    octets.extend(kind.to_le_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

/// An attribute that is a number.
pub(crate) fn attr32(kind: u16, value: u32) -> Vec<u8> {
    attr(kind, &value.to_le_bytes())
}

/// An attribute that is an IPv4 address.
pub(crate) fn ip(kind: u16, addr: &str) -> Vec<u8> {
    attr(kind, &addr.parse::<std::net::Ipv4Addr>().unwrap().octets())
}

/// The attributes in `octets`, which must be whole.
pub(crate) fn attrs(mut octets: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while !octets.is_empty() {
        let length = usize::from(u16::from_le_bytes([octets[0], octets[1]]));
        assert!((4..=octets.len()).contains(&length), "{length} of {}", octets.len());
        let kind = u16::from_le_bytes([octets[2], octets[3]]) & 0x3fff;
        found.push((kind, octets[4..length].to_vec()));
        octets = &octets[length.next_multiple_of(4)..];
    }
    found
}

impl Message {
    /// Octets of what stands before the attributes.
    pub(crate) fn header(&self) -> &[u8] {
        &self.body[..self.header_len()]
    }

    fn header_len(&self) -> usize {
        match self.kind {
            16..=19 => 16,
            20..=22 => 8,
            24..=30 => 12,
            32..=34 => 12,
            36..=38 => 20,
            64..=67 | 80..=82 => 4,
            kind => panic!("a message of type {kind}"),
        }
    }

    /// Its attributes.
    pub(crate) fn attrs(&self) -> Vec<(u16, Vec<u8>)> {
        attrs(&self.body[self.header_len()..])
    }

    /// One of them.
    pub(crate) fn attr(&self, kind: u16) -> Option<Vec<u8>> {
        self.attrs().into_iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// One that is a number.
    pub(crate) fn attr32(&self, kind: u16) -> Option<u32> {
        self.attr(kind).map(|value| word(&value, 0))
    }

    /// One that is text.
    pub(crate) fn text(&self, kind: u16) -> Option<String> {
        let value = self.attr(kind)?;
        let (end, text) = value.split_last().unwrap();
        assert_eq!(*end, 0, "text ends with NUL");
        Some(String::from_utf8(text.to_vec()).unwrap())
    }

    /// One that is an address.
    pub(crate) fn ip(&self, kind: u16) -> Option<String> {
        let octets: [u8; 4] = self.attr(kind)?.try_into().unwrap();
        Some(std::net::Ipv4Addr::from(octets).to_string())
    }

    /// The number of an error.
    pub(crate) fn error(&self) -> i32 {
        assert!(matches!(self.kind, ERROR | DONE), "{self:?}");
        -(word(&self.body, 0) as i32)
    }

    /// The words of an error; empty without any.
    pub(crate) fn words(&self) -> String {
        if self.flags & 0x200 == 0 {
            return String::new();
        }
        let at = match self.kind {
            DONE => 4,
            // The quoted request is whole unless the flag says that it is capped.
            _ if self.flags & 0x100 != 0 => 4 + 16,
            _ => 4 + (word(&self.body, 4) as usize).next_multiple_of(4),
        };
        let (_, text) = attrs(&self.body[at..]).into_iter().find(|(kind, _)| *kind == 1).unwrap();
        String::from_utf8(text[..text.len() - 1].to_vec()).unwrap()
    }
}

/// A host on a wire, and a program on it.
pub(crate) fn host() -> (World, Asker) {
    let world = World::lan(1);
    let asker = Asker::new(&world.kernels[0]);
    (world, asker)
}

/// The interface of a host, as the stack names it.
pub(crate) fn eth0() -> IfIndex {
    IfIndex(ETH0)
}

/// `struct ifinfomsg`
pub(crate) fn ifinfo(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [&[0; 4][..], &index.to_le_bytes(), &flags.to_le_bytes(), &change.to_le_bytes()].concat()
}

/// `struct ifaddrmsg` of AF_INET.
pub(crate) fn ifaddr(prefix: u8, index: u32) -> Vec<u8> {
    [&[2, prefix, 0, 0][..], &index.to_le_bytes()].concat()
}

/// `struct rtmsg` of AF_INET.
pub(crate) fn rtmsg(prefix: u8, table: u8, protocol: u8, scope: u8, kind: u8) -> Vec<u8> {
    vec![2, prefix, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]
}

/// `struct ndmsg` of AF_INET.
pub(crate) fn ndmsg(index: u32, state: u16) -> Vec<u8> {
    [&[2, 0, 0, 0][..], &index.to_le_bytes(), &state.to_le_bytes(), &[0, 0]].concat()
}
