//! IPv6 between two stacks on one wire: every way of a packet once, from end to end.

use crate::harness::{own_mac, peer_mac};
use netstack::SockError;
use netstack::net::ifnet::IfConfig;
use netstack::net::{IfIndex, MacAddr};
use netstack::netinet6::in6_ifaddr::{AddrState, Dad, Ipv6Config};
use netstack::socket::{Family, RecvFlags, SendMeta, SockType, SocketId};
use netstack::stack::{Stack, StackConfig};
use netstack::time::{Duration, Instant};
use std::net::{Ipv6Addr, SocketAddr};

/// Hosts on one wire.
struct Lan {
    hosts: Vec<Stack>,
    now: Instant,
    /// Frames so far.
    seen: Vec<Vec<u8>>,
}

const ETH0: IfIndex = IfIndex(2);

fn mac(n: usize) -> MacAddr {
    if n == 0 { own_mac(1) } else { peer_mac(n as u8) }
}

impl Lan {
    /// A host for each of `addrs`, without DAD.
    fn new(addrs: &[&str]) -> Lan {
        let mut lan = Lan::with(Dad::Off, addrs);
        // Their groups are told of first.
        lan.pass(Duration::from_secs(3));
        lan.seen.clear();
        lan
    }

    /// The same, as they are before anything has happened.
    fn with(dad: Dad, addrs: &[&str]) -> Lan {
        let mut lan = Lan { hosts: Vec::new(), now: Instant::from_millis(1000), seen: Vec::new() };
        for (n, addr) in addrs.iter().enumerate() {
            let mut stack = Stack::new(StackConfig::default(), [n as u8 + 1; 32]);
            let config = IfConfig { name: "eth0".into(), mac: mac(n), mtu: 1500 };
            let eth0 = stack.if_attach(config).unwrap();
            stack.if_set_up(lan.now, eth0, true).unwrap();
            let config = Ipv6Config { enabled: true, dad, ..Ipv6Config::default() };
            stack.if_set_ipv6(lan.now, eth0, config).unwrap();
            stack.addr_add(lan.now, eth0, addr.parse().unwrap()).unwrap();
            lan.hosts.push(stack);
        }
        lan
    }

    /// Lets everything happen that happens at once.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for n in 0..self.hosts.len() {
                while let Some(m) = self.hosts[n].poll_transmit(self.now, ETH0) {
                    moved = true;
                    let frame = m.data().to_vec();
                    self.hosts[n].recycle(m);
                    for (_, host) in self.hosts.iter_mut().enumerate().filter(|(other, _)| *other != n) {
                        let mut copy = host.rx_mbuf();
                        copy.extend(&frame);
                        host.input(self.now, ETH0, copy);
                    }
                    self.seen.push(frame);
                }
                if self.hosts[n].poll_timeout().is_some_and(|at| at <= self.now) {
                    moved = true;
                    self.hosts[n].handle_timeout(self.now);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        loop {
            self.settle();
            let next = self.hosts.iter_mut().filter_map(|h| h.poll_timeout()).min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = at,
                None => break,
            }
        }
        self.now = end;
        self.settle();
    }

    fn socket(&mut self, host: usize, ty: SockType, protocol: u8) -> SocketId {
        self.hosts[host].socket(Family::Inet6, ty, protocol).unwrap()
    }

    fn recv(&mut self, host: usize, id: SocketId) -> Result<(Vec<u8>, Option<SocketAddr>), SockError> {
        let mut buf = [0; 70_000];
        let meta = self.hosts[host].recv(self.now, id, &mut buf, RecvFlags::empty())?;
        Ok((buf[..meta.len].to_vec(), meta.from))
    }

    fn counter(&self, host: usize, name: &str) -> u64 {
        let stats = self.hosts[host].stats();
        stats.iter().find(|(_, n, _)| *n == name).unwrap().2
    }
}

fn to(addr: &str) -> SendMeta {
    SendMeta { to: Some(addr.parse().unwrap()), ..SendMeta::default() }
}

fn echo(seq: u8, len: usize) -> Vec<u8> {
    let mut message = vec![128, 0, 0, 0, 0, 0, 0, seq];
    message.resize(8 + len, 7);
    message
}

#[test]
fn a_ping_there_and_back_after_neighbours_were_found() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    let s = lan.socket(0, SockType::Dgram, 58);
    lan.hosts[0].send(lan.now, s, &echo(1, 32), &to("[2001:db8::2]:0")).unwrap();
    lan.settle();
    let (reply, from) = lan.recv(0, s).unwrap();
    assert_eq!((reply[0], reply.len(), from), (129, 40, Some("[2001:db8::2]:0".parse().unwrap())));
    // Solicitation, advertisement, request, reply.
    assert_eq!(lan.seen.len(), 4);
    let known = lan.hosts[1].neighbours().next().unwrap();
    assert_eq!((known.addr.to_string(), known.mac), ("2001:db8::1".into(), Some(mac(0))));
}

/// RFC 4429 §3.2: an address that is being tried is never told as the source link address of a solicitation; whoever is asked
/// so, and is itself still trying, cannot answer before it has asked.
#[test]
fn hosts_whose_addresses_are_both_being_tried_reach_each_other_at_once() {
    let mut lan = Lan::with(Dad::Optimistic, &["2001:db8::1/64", "2001:db8::2/64"]);
    let s = lan.socket(0, SockType::Dgram, 58);
    lan.hosts[0].send(lan.now, s, &echo(1, 32), &to("[2001:db8::2]:0")).unwrap();
    lan.settle();
    assert_eq!(lan.recv(0, s).map(|(reply, _)| reply[0]), Ok(129));
    let addr = "2001:db8::2".parse().unwrap();
    assert_eq!(lan.hosts[1].addr6(ETH0, addr).unwrap().state, AddrState::Optimistic);
    let solicits = lan.seen.iter().filter(|frame| frame[54] == 135);
    for solicit in solicits {
        assert_eq!(solicit.len(), 14 + 40 + 24, "no link address: {solicit:02x?}");
    }
}

#[test]
fn link_local_addresses_need_their_link() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    let local = |h: &Stack| {
        let addrs = h.interface(ETH0).unwrap().addrs();
        addrs.iter().map(|n| n.addr()).find(|a| a.to_string().starts_with("fe80")).unwrap()
    };
    let peer = local(&lan.hosts[1]);
    assert_eq!(peer.to_string(), "fe80::ff:fe00:101");
    let s = lan.socket(0, SockType::Dgram, 58);
    let nowhere = to(&format!("[{peer}]:0"));
    assert_eq!(lan.hosts[0].send(lan.now, s, &echo(1, 8), &nowhere), Err(SockError::Invalid));
    lan.hosts[0].send(lan.now, s, &echo(1, 8), &to(&format!("[{peer}%2]:0"))).unwrap();
    lan.settle();
    let (_, from) = lan.recv(0, s).unwrap();
    assert_eq!(from, Some(format!("[{peer}%2]:0").parse().unwrap()));
    for frame in &lan.seen {
        assert_eq!(frame[14 + 8 + 2..14 + 8 + 4], [0, 0], "no zone on the wire: {frame:02x?}");
    }
}

#[test]
fn datagrams_larger_than_the_link_go_in_fragments() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    let (a, b) = (lan.socket(0, SockType::Dgram, 0), lan.socket(1, SockType::Dgram, 0));
    lan.hosts[1].bind(lan.now, b, "[::]:5000".parse().unwrap()).unwrap();
    let data: Vec<u8> = (0..60_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    lan.hosts[0].send(lan.now, a, &data, &to("[2001:db8::2]:5000")).unwrap();
    lan.settle();
    let (got, from) = lan.recv(1, b).unwrap();
    assert!(got == data, "it arrived whole");
    assert_eq!(from.unwrap().ip().to_string(), "2001:db8::1");
    assert_eq!((lan.counter(0, "ip6FragOKs"), lan.counter(1, "ip6ReasmOKs")), (1, 1));
    assert_eq!(lan.counter(0, "ip6FragCreates"), lan.counter(1, "ip6ReasmReqds"));
}

#[test]
fn nobody_at_the_port_is_told_to_a_connected_socket() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    let s = lan.socket(0, SockType::Dgram, 0);
    lan.hosts[0].connect(lan.now, s, "[2001:db8::2]:9".parse().unwrap()).unwrap();
    lan.hosts[0].send(lan.now, s, b"?", &SendMeta::default()).unwrap();
    lan.settle();
    assert_eq!(lan.recv(0, s), Err(SockError::ConnRefused));
}

#[test]
fn a_stream_over_ipv6_and_one_over_ipv4_to_the_same_listener() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    for (n, addr) in ["192.0.2.1/24", "192.0.2.2/24"].iter().enumerate() {
        lan.hosts[n].addr_add(lan.now, ETH0, addr.parse().unwrap()).unwrap();
    }
    let listener = lan.socket(1, SockType::Stream, 0);
    lan.hosts[1].bind(lan.now, listener, "[::]:80".parse().unwrap()).unwrap();
    lan.hosts[1].listen(lan.now, listener, 5).unwrap();
    for (to, from) in [("[2001:db8::2]:80", "2001:db8::1"), ("[::ffff:192.0.2.2]:80", "::ffff:192.0.2.1")] {
        let client = lan.socket(0, SockType::Stream, 0);
        let peer: SocketAddr = to.parse().unwrap();
        assert_eq!(lan.hosts[0].connect(lan.now, client, peer), Err(SockError::InProgress));
        lan.settle();
        assert_eq!(lan.hosts[0].peer_addr(client), Ok(peer));
        let (server, seen) = lan.hosts[1].accept(lan.now, listener).unwrap();
        assert_eq!(seen.ip().to_string(), from);
        lan.hosts[0].send(lan.now, client, &[7; 30_000], &SendMeta::default()).unwrap();
        lan.pass(Duration::from_secs(1));
        let (got, _) = lan.recv(1, server).unwrap();
        assert_eq!(got.len(), 30_000);
    }
}

#[test]
fn an_address_is_usable_when_dad_lets_it_be() {
    let mut lan = Lan::new(&["2001:db8::1/64", "2001:db8::2/64"]);
    let host = &mut lan.hosts[1];
    let config = Ipv6Config { enabled: true, dad: Dad::On, ..Ipv6Config::default() };
    host.if_set_ipv6(lan.now, ETH0, config).unwrap();
    host.addr_add(lan.now, ETH0, "2001:db8::3/64".parse().unwrap()).unwrap();
    host.addr_add(lan.now, ETH0, "2001:db8::1/64".parse().unwrap()).unwrap();
    let state = |lan: &Lan, a: &str| lan.hosts[1].addr6(ETH0, a.parse::<Ipv6Addr>().unwrap()).unwrap().state;
    assert_eq!(state(&lan, "2001:db8::3"), AddrState::Tentative);
    let s = lan.socket(1, SockType::Dgram, 0);
    let refused = lan.hosts[1].bind(lan.now, s, "[2001:db8::3]:1".parse().unwrap());
    assert_eq!(refused, Err(SockError::AddrNotAvailable));
    lan.pass(Duration::from_secs(3));
    assert_eq!(state(&lan, "2001:db8::3"), AddrState::Preferred);
    assert_eq!(state(&lan, "2001:db8::1"), AddrState::Duplicate);
    lan.hosts[1].bind(lan.now, s, "[2001:db8::3]:1".parse().unwrap()).unwrap();
}
