//! ARP: RFC 826, with the checks of RFC 1122 §2.3.2 and the conflict detection of RFC 5227 §2.4
//! (an address in use is defended once in ten seconds and never given up). The states of a
//! neighbour are in [`crate::net::neigh`].

use super::ip::Ip;
use crate::net::mbuf::Mbuf;
use crate::net::neigh::Evidence;
use crate::net::{IfIndex, MacAddr};
use crate::stack::stats::Drop;
use crate::time::Duration;
use crate::timer::Timer;
use crate::wire::arp::{self, Op, Packet};
use crate::wire::{WireError, ethernet};
use rand::Rng;
use std::net::{IpAddr, Ipv4Addr};

/// ANNOUNCE_NUM (RFC 5227 §1.1)
const ANNOUNCE_NUM: u8 = 2;
/// ANNOUNCE_INTERVAL (RFC 5227 §1.1)
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

impl Ip {
    /// The payload of an ARP frame.
    pub(crate) fn arp_input(&mut self, ifindex: IfIndex, m: Mbuf) {
        let packet = match Packet::parse(m.data()) {
            Ok(p) => p,
            Err(WireError::Truncated | WireError::Malformed | WireError::Checksum) => {
                return self.discard(Drop::ArpMalformed, m);
            }
        };
        match packet.op {
            Op::Request => self.stats.arp.in_requests += 1,
            Op::Reply => self.stats.arp.in_replies += 1,
        }
        let Some(ifnet) = self.ifs.get(ifindex) else { return self.discard(Drop::IfGone, m) };
        let odd = |a: Ipv4Addr| a.is_multicast() || a.is_broadcast() || a.is_loopback();
        if odd(packet.sender) || odd(packet.target) || packet.sender_mac.is_multicast() {
            return self.discard(Drop::ArpMartian, m);
        }
        // RFC 1122's weak host model: any address of ours, as on Linux (arp_ignore 0).
        let (own_mac, ours) = (ifnet.mac, self.is_local4(packet.target));
        self.free(m);
        if packet.sender_mac == own_mac {
            // Our own request, shown to us by a bus or a loop.
            return;
        }
        if ifnet_has(self, ifindex, packet.sender) {
            return self.arp_conflict(ifindex, packet.sender);
        }
        self.arp_learn(ifindex, &packet, ours);
        if ours && packet.op == Op::Request {
            self.stats.arp.out_replies += 1;
            let reply = Packet {
                op: Op::Reply,
                sender_mac: own_mac,
                sender: packet.target,
                target_mac: packet.sender_mac,
                target: packet.sender,
            };
            self.arp_output(ifindex, packet.sender_mac, &reply);
        }
    }

    /// RFC 826's merge: what the sender says of itself.
    fn arp_learn(&mut self, ifindex: IfIndex, packet: &Packet, to_us: bool) {
        // A probe asks without an address (RFC 5227 §2.1.1): nothing to learn.
        if packet.sender.is_unspecified() {
            return;
        }
        let (now, addr, mac) = (self.now, IpAddr::V4(packet.sender), packet.sender_mac);
        let queue = match packet.op {
            Op::Request if to_us => self.neigh.hint(now, ifindex, addr, mac, &mut self.timers),
            Op::Reply if to_us => {
                let random = self.rng.random();
                self.neigh.confirm(now, ifindex, addr, mac, Evidence::Answer(random), &mut self.timers)
            }
            // Somebody else's business, or gratuitous: updates what is known, adds nothing.
            Op::Request | Op::Reply => {
                self.neigh.confirm(now, ifindex, addr, mac, Evidence::Override, &mut self.timers)
            }
        };
        self.neigh_flush(ifindex, mac, queue);
    }

    /// Somebody else uses `addr`, which is ours: RFC 5227 §2.4 (b), defend it once per interval.
    fn arp_conflict(&mut self, ifindex: IfIndex, addr: Ipv4Addr) {
        self.stats.arp.conflicts += 1;
        if self.error_limit.allow_defence(self.now, addr) {
            self.arp_announce(ifindex, addr);
        }
        self.conflicts.push((ifindex, IpAddr::V4(addr)));
    }

    /// Asks for `addr`: everybody, or (probing) the neighbour itself.
    pub(crate) fn arp_solicit(&mut self, ifindex: IfIndex, addr: Ipv4Addr, to: Option<MacAddr>) {
        let Some(ifnet) = self.ifs.get(ifindex) else { return };
        let Some(sender) = ifnet.source_for(addr).or_else(|| self.any_source()) else { return };
        self.stats.arp.out_requests += 1;
        let request = Packet {
            op: Op::Request,
            sender_mac: ifnet.mac,
            sender,
            target_mac: MacAddr::default(),
            target: addr,
        };
        self.arp_output(ifindex, to.unwrap_or(MacAddr::BROADCAST), &request);
    }

    fn any_source(&self) -> Option<Ipv4Addr> {
        self.ifs.iter().flat_map(|i| i.addrs4()).map(|n| n.addr()).find(|a| !a.is_loopback())
    }

    /// Announces `addr` (a gratuitous request), [`ANNOUNCE_NUM`] times.
    pub(crate) fn arp_announce_start(&mut self, ifindex: IfIndex, addr: Ipv4Addr) {
        self.arp_announce_again(ifindex, addr, ANNOUNCE_NUM);
    }

    /// Announces `addr`, and `left` minus one times more.
    pub(crate) fn arp_announce_again(&mut self, ifindex: IfIndex, addr: Ipv4Addr, left: u8) {
        let current = self.ifs.get(ifindex).is_some_and(|i| i.usable() && i.has_addr(addr));
        if !current || left == 0 {
            return;
        }
        self.arp_announce(ifindex, addr);
        if left > 1 {
            let timer = Timer::Announce { ifindex, addr, left: left - 1 };
            self.timers.arm(self.now + ANNOUNCE_INTERVAL, timer);
        }
    }

    fn arp_announce(&mut self, ifindex: IfIndex, addr: Ipv4Addr) {
        let Some(ifnet) = self.ifs.get(ifindex) else { return };
        let announcement = Packet {
            op: Op::Request,
            sender_mac: ifnet.mac,
            sender: addr,
            target_mac: MacAddr::default(),
            target: addr,
        };
        self.stats.arp.out_requests += 1;
        self.arp_output(ifindex, MacAddr::BROADCAST, &announcement);
    }

    fn arp_output(&mut self, ifindex: IfIndex, to: MacAddr, packet: &Packet) {
        let mut m = self.pool.get();
        packet.emit(m.grow(arp::LEN));
        self.ether_output(ifindex, to, ethernet::ARP, m);
    }
}

fn ifnet_has(ip: &Ip, ifindex: IfIndex, addr: Ipv4Addr) -> bool {
    ip.ifs.get(ifindex).is_some_and(|i| i.has_addr(addr))
}
