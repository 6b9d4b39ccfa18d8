//! Datagrams of netlink requests, from two programs of a node with one interface.
//!
//! Before each datagram stands an octet: bit 0 whose it is, bit 1 whether for NETLINK_ROUTE or NETLINK_SOCK_DIAG, bit 2
//! whether the answers are read at once; then its length (16 bits, little-endian). Both programs are in all groups that
//! there are. Whatever is asked, all that comes back is whole messages, made of whole attributes where they have any.

use rumpkern::config::{InterfaceConfig, NodeConfig};
use rumpkern::evloop;
use rumpkern::kernel::Kernel;
use rumpkern::netlink::Protocol;
use rumpkern::rumpuser::{AttachError, Filter, Interest, PortNumber, Received, Rumpuser, Sent, Wake};
use rumpkern::syscall::{Errno, Fd, Sys, sockopt_abi};

use netstack::Mbuf;
use netstack::net::MacAddr;
use netstack::time::{Duration, Instant};
use std::cell::Cell;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// SOL_NETLINK
const NETLINK: u32 = 270;
/// Datagrams that are answered in one run: what they can make is bounded by them.
const MOST: usize = 64;

/// A world without anybody else in it.
struct Alone {
    now: Rc<Cell<Instant>>,
}

impl Rumpuser for Alone {
    fn now(&mut self) -> Instant {
        self.now.get()
    }
    fn epoch_unix_ns(&self) -> u64 {
        0
    }
    fn random(&mut self, octets: &mut [u8]) {
        octets.fill(7);
    }
    fn if_attach(&mut self, _: &InterfaceConfig) -> Result<PortNumber, AttachError> {
        Ok(PortNumber(0))
    }
    fn if_detach(&mut self, _: PortNumber) {}
    fn if_filter(&mut self, _: PortNumber, _: &Filter) {}
    fn if_recv(&mut self, _: PortNumber, _: &mut Mbuf) -> Received {
        Received::Empty
    }
    fn if_send(&mut self, _: PortNumber, _: Instant, frames: &[Mbuf]) -> (usize, Sent) {
        (frames.len(), Sent::Done)
    }
    fn if_counters(&self, _: PortNumber) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    fn wait_counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
    fn watch(&mut self, _: BorrowedFd<'_>, _: u64, _: Interest) -> Result<(), rustix::io::Errno> {
        Err(rustix::io::Errno::OPNOTSUPP)
    }
    fn unwatch(&mut self, _: BorrowedFd<'_>) {}
    fn wait(&mut self, _: Option<Instant>, _: &mut Vec<Wake>) -> Option<Instant> {
        None
    }
    fn log(&mut self, _: tracing::Level, _: fmt::Arguments<'_>) {}
}

/// Requests for a node.
pub fn netlink(octets: &[u8]) {
    let now = Rc::new(Cell::new(Instant::from_millis(1)));
    let config = NodeConfig {
        lab: "fuzz".into(),
        node: "h1".into(),
        interfaces: vec![InterfaceConfig {
            name: "eth0".into(),
            bus: "bus".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            addresses: vec!["10.0.0.1/24".parse().expect("an address")],
            ipv6: None,
            offload: true,
            impair: None,
            up: true,
        }],
        ..NodeConfig::default()
    };
    let kernel = Kernel::new(&config, Box::new(Alone { now: now.clone() }));
    kernel.configure(&config).expect("a sound configuration");
    let sys: [Sys; 2] = [kernel.attach_process("one"), kernel.attach_process("two")];
    let open = |sys: &Sys, protocol| sys.netlink_socket(3, protocol).expect("room for a descriptor");
    let sockets = sys.each_ref().map(|sys| [open(sys, Protocol::Route), open(sys, Protocol::SockDiag)]);
    for group in 1..=40u32 {
        let join = |n: usize| sockopt_abi::set(&sys[n], sockets[n][0], NETLINK, 1, &group.to_le_bytes());
        join(0).and(join(1)).expect("such a group");
    }
    // NETLINK_EXT_ACK, and NETLINK_GET_STRICT_CHK of one of them.
    for (n, option) in [(0, 11), (0, 12), (1, 11)] {
        sockopt_abi::set(&sys[n], sockets[n][0], NETLINK, option, &1u32.to_le_bytes()).expect("an option");
    }
    let mut rest = octets;
    for _ in 0..MOST {
        let Some((&[head, low, high], tail)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let (datagram, tail) = tail.split_at(tail.len().min(length));
        rest = tail;
        let (who, which) = (usize::from(head & 1), usize::from(head >> 1 & 1));
        // The only refusals of whole datagrams: to nobody there, too long.
        let sent = sys[who].netlink_send(sockets[who][which], datagram, None);
        assert!(matches!(sent, Ok(n) if n == datagram.len()), "{sent:?}");
        if head & 4 != 0 {
            hear(&sys[who], sockets[who][which]);
        }
        evloop::turn(&kernel);
        now.set(now.get() + Duration::from_millis(300));
    }
    for (sys, sockets) in sys.iter().zip(sockets) {
        for fd in sockets {
            hear(sys, fd);
        }
    }
    kernel.shutdown();
}

/// Reads all that waits.
fn hear(sys: &Sys, fd: Fd) {
    let socket = sys.netlink(fd).expect("a netlink socket");
    for datagrams in 0.. {
        assert!(datagrams < 100_000, "answers without end");
        match socket.recv(8192) {
            Ok(received) => messages(socket.protocol(), &received.octets),
            Err(Errno::EAGAIN) => break,
            Err(errno) => assert_eq!(errno, Errno::ENOBUFS),
        }
    }
}

/// The messages of a datagram.
fn messages(protocol: Protocol, mut octets: &[u8]) {
    assert!(!octets.is_empty(), "an empty datagram");
    while !octets.is_empty() {
        let word = |at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().expect("four octets"));
        let length = word(0) as usize;
        assert!((16..=octets.len()).contains(&length), "{length} of {}", octets.len());
        let kind = u16::from_le_bytes([octets[4], octets[5]]);
        let header = match (protocol, kind) {
            (Protocol::Route, 16) => Some(16),
            (Protocol::Route, 20 | 21) => Some(8),
            (Protocol::Route, 24 | 25 | 28 | 29 | 32) => Some(12),
            (Protocol::Route, 36) => Some(20),
            (Protocol::Route, 64 | 80) => Some(4),
            (Protocol::SockDiag, 20) => Some(72),
            // Errors and ends.
            (_, 2 | 3) => None,
            other => panic!("{other:?} answers nothing"),
        };
        if let Some(header) = header {
            attributes(&octets[16 + header..length]);
        }
        octets = &octets[length.next_multiple_of(4)..];
    }
}

fn attributes(mut octets: &[u8]) {
    while !octets.is_empty() {
        assert!(octets.len() >= 4, "{octets:?}");
        let length = usize::from(u16::from_le_bytes([octets[0], octets[1]]));
        assert!((4..=octets.len()).contains(&length), "{length} of {}", octets.len());
        octets = &octets[length.next_multiple_of(4).min(octets.len())..];
    }
}
