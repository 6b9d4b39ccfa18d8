//! ARP: RFC 826, with the checks of RFC 1122 §2.3.2 and the conflict detection of RFC 5227 §2.4
//! (an address in use is defended once in ten seconds and never given up). The states of a
//! neighbour are in [`crate::net::neigh`].

use super::ip::{Ip, Upcall};
use super::{IcmpError, IcmpErrorKind};
use crate::net::mbuf::Mbuf;
use crate::net::neigh::{Due, Evidence};
use crate::net::{IfIndex, MacAddr};
use crate::stack::stats::Drop;
use crate::time::Duration;
use crate::timer::Timer;
use crate::wire::arp::{self, Op, Packet};
use crate::wire::icmpv4::{ty, unreach};
use crate::wire::{WireError, ethernet, ipv4};
use rand::Rng;
use std::collections::VecDeque;
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
        self.flush_queue(ifindex, mac, queue);
    }

    /// Sends the packets that waited for a link address.
    pub(crate) fn flush_queue(&mut self, ifindex: IfIndex, mac: MacAddr, queue: VecDeque<Mbuf>) {
        for m in queue {
            self.ether_output(ifindex, mac, ethernet::IPV4, m);
        }
    }

    /// Somebody else uses `addr`, which is ours: RFC 5227 §2.4 (b), defend it once per interval.
    fn arp_conflict(&mut self, ifindex: IfIndex, addr: Ipv4Addr) {
        self.stats.arp.conflicts += 1;
        if self.error_limit.allow_defence(self.now, addr) {
            self.arp_announce(ifindex, addr);
        }
        self.conflicts.push((ifindex, addr));
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

    /// A neighbour's timer is due.
    pub(crate) fn neigh_due(&mut self, slot: usize) {
        match self.neigh.due(self.now, slot, &mut self.timers) {
            Due::Nothing => {}
            Due::Solicit(ifindex, IpAddr::V4(addr), to) => self.arp_solicit(ifindex, addr, to),
            Due::Failed(ifindex, IpAddr::V4(addr), queue) => {
                self.stats.arp.failures += 1;
                // RFC 1122 §3.3.1.4: a dead gateway is not used.
                self.exceptions.forget(|_, r| (r.ifindex, r.to) == (ifindex, addr));
                self.neigh_failed(ifindex, queue);
            }
            Due::Solicit(_, IpAddr::V6(_), _) | Due::Failed(_, IpAddr::V6(_), _) => {}
        }
    }

    /// RFC 1812 §5.2.7.1, 1122 §2.3.2.2: packets whose next hop does not answer. Each sender hears of
    /// it: host unreachable by ICMP, and our own sockets directly.
    fn neigh_failed(&mut self, ifindex: IfIndex, queue: VecDeque<Mbuf>) {
        for mut m in queue {
            let header = match ipv4::Header::parse_quoted(m.data()) {
                Ok(h) if h.offset == 0 => h,
                // The sender hears of the first fragment only.
                Ok(_) | Err(_) => {
                    self.discard(Drop::NeighUnreachable, m);
                    continue;
                }
            };
            if self.is_local4(header.src) {
                let error = IcmpError {
                    kind: IcmpErrorKind::HostUnreachable,
                    from: IpAddr::V4(header.src),
                    src: IpAddr::V4(header.src),
                    dst: IpAddr::V4(header.dst),
                    ifindex,
                    wire: (ty::UNREACHABLE, unreach::HOST),
                };
                self.stats.drops.count(Drop::NeighUnreachable);
                self.credit(&mut m);
                m.trim_front(header.header_len);
                self.upcalls.push_back(Upcall::Error { error, protocol: header.protocol, quoted: m });
            } else {
                self.icmp_error(
                    ifindex,
                    &m,
                    &header,
                    super::Cast::Unicast,
                    ty::UNREACHABLE,
                    unreach::HOST,
                    0,
                );
                self.discard(Drop::NeighUnreachable, m);
            }
        }
    }
}

fn ifnet_has(ip: &Ip, ifindex: IfIndex, addr: Ipv4Addr) -> bool {
    ip.ifs.get(ifindex).is_some_and(|i| i.has_addr(addr))
}
