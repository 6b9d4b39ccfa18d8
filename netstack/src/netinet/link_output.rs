//! The last step to the link, for both families: the next hop's link address, by ARP or neighbour
//! discovery, and what becomes of packets whose next hop does not answer. The states of a neighbour
//! are in [`crate::net::neigh`].

use super::ip::{Ip, Upcall, WayKind};
use super::{Cast, IcmpError, IcmpErrorKind, IpLayer};
use crate::net::mbuf::Mbuf;
use crate::net::neigh::{Due, Resolve};
use crate::net::{IfIndex, MacAddr, ifnet};
use crate::stack::stats::Drop;
use crate::wire::icmpv6;
use crate::wire::ipv6_ext;
use crate::wire::{ethernet, icmpv4, ipv4, ipv6, scope6};
use std::collections::VecDeque;
use std::net::IpAddr;

impl Ip {
    /// Puts an IP packet on the link, to the neighbour or group `next`.
    pub(crate) fn link_output(&mut self, ifindex: IfIndex, next: IpAddr, kind: WayKind, m: Mbuf) {
        let mac = match kind {
            WayKind::Broadcast => MacAddr::BROADCAST,
            WayKind::Multicast | WayKind::MulticastOthers => ifnet::multicast_mac(next),
            WayKind::Local => unreachable!("never reaches a link"),
            WayKind::Unicast => match self.neigh.resolve(self.now, ifindex, next, m, &mut self.timers) {
                Resolve::Send(mac, m) => return self.ether_output(ifindex, mac, ethertype(next), m),
                Resolve::Wait { solicit, dropped } => {
                    if let Some(old) = dropped {
                        self.discard(Drop::NeighQueueFull, old);
                    }
                    if solicit {
                        self.solicit(ifindex, next, None);
                    }
                    return;
                }
                Resolve::NoRoom(m) => return self.discard(Drop::NeighTableFull, m),
            },
        };
        self.ether_output(ifindex, mac, ethertype(next), m);
    }

    /// Asks for a link address: everybody, or (probing) the neighbour itself.
    pub(crate) fn solicit(&mut self, ifindex: IfIndex, addr: IpAddr, to: Option<MacAddr>) {
        match addr {
            IpAddr::V4(a) => self.arp_solicit(ifindex, a, to),
            IpAddr::V6(a) => self.nd6_solicit(ifindex, a, to),
        }
    }

    /// Sends the packets that waited for a link address.
    pub(crate) fn neigh_flush(&mut self, ifindex: IfIndex, mac: MacAddr, queue: VecDeque<Mbuf>) {
        for m in queue {
            let ethertype = match m.data().first().map(|b| b >> 4) {
                Some(6) => ethernet::IPV6,
                Some(_) | None => ethernet::IPV4,
            };
            self.ether_output(ifindex, mac, ethertype, m);
        }
    }

    /// A neighbour's timer is due.
    pub(crate) fn neigh_due(&mut self, slot: usize) {
        match self.neigh.due(self.now, slot, &mut self.timers) {
            Due::Nothing => {}
            Due::Solicit(ifindex, addr, to) => self.solicit(ifindex, addr, to),
            Due::Failed(ifindex, addr, queue) => {
                match addr {
                    IpAddr::V4(_) => self.stats.arp.failures += 1,
                    IpAddr::V6(a) => {
                        self.stats.nd6.failures += 1;
                        self.router_answers(ifindex, a, false);
                    }
                }
                // RFC 1122 §3.3.1.4: a dead gateway is not used.
                self.exceptions.forget(|_, r| (r.ifindex, r.to) == (ifindex, addr));
                for m in queue {
                    self.unreachable(ifindex, m);
                }
            }
        }
    }

    /// RFC 1812 §5.2.7.1, 1122 §2.3.2.2, RFC 4861 §7.2.2: a packet whose next hop does not answer. Its
    /// sender hears of it: by ICMP, and our own sockets directly.
    fn unreachable(&mut self, ifindex: IfIndex, mut m: Mbuf) {
        let Some(quoted) = Quoted::of(&m, ifindex) else { return self.discard(Drop::NeighUnreachable, m) };
        if !self.is_local(quoted.src) {
            quoted.complain(self, ifindex, &m);
            return self.discard(Drop::NeighUnreachable, m);
        }
        let error = IcmpError {
            kind: IcmpErrorKind::HostUnreachable,
            from: quoted.src,
            src: quoted.src,
            dst: quoted.dst,
            ifindex,
            wire: match quoted.src {
                IpAddr::V4(_) => (icmpv4::ty::UNREACHABLE, icmpv4::unreach::HOST),
                IpAddr::V6(_) => (icmpv6::ty::UNREACHABLE, icmpv6::unreach::ADDRESS),
            },
        };
        self.stats.drops.count(Drop::NeighUnreachable);
        self.credit(&mut m);
        m.trim_front(quoted.at);
        self.upcalls.push_back(Upcall::Error { error, protocol: quoted.protocol, quoted: m });
    }
}

/// What is known of a packet that goes nowhere.
struct Quoted {
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    /// Octets before its transport header.
    at: usize,
}

impl Quoted {
    /// `None`: no packet, or not the first fragment of one, of which alone a sender hears.
    fn of(m: &Mbuf, ifindex: IfIndex) -> Option<Quoted> {
        if let Ok(h) = ipv4::Header::parse_quoted(m.data()) {
            let (src, dst) = (IpAddr::V4(h.src), IpAddr::V4(h.dst));
            return (h.offset == 0).then_some(Quoted { src, dst, protocol: h.protocol, at: h.header_len });
        }
        let h = ipv6::Header::parse_quoted(m.data()).ok()?;
        let upper = ipv6_ext::upper(m.data()).ok()?;
        let on_link = |a| IpAddr::V6(scope6::embed(a, ifindex));
        let (src, dst) = (on_link(h.src), on_link(h.dst));
        upper.is_first().then_some(Quoted { src, dst, protocol: upper.protocol, at: upper.at })
    }

    /// Tells the sender, who is somebody else.
    fn complain(&self, ip: &mut Ip, ifindex: IfIndex, m: &Mbuf) {
        match self.src {
            IpAddr::V4(_) => {
                if let Ok(h) = ipv4::Header::parse_quoted(m.data()) {
                    let (ty, code) = (icmpv4::ty::UNREACHABLE, icmpv4::unreach::HOST);
                    ip.icmp_error(ifindex, m, &h, Cast::Unicast, ty, code, 0);
                }
            }
            IpAddr::V6(_) => {
                let (ty, code) = (icmpv6::ty::UNREACHABLE, icmpv6::unreach::ADDRESS);
                ip.icmp6_error(ifindex, m, Cast::Unicast, ty, code, 0);
            }
        }
    }
}

fn ethertype(addr: IpAddr) -> u16 {
    match addr {
        IpAddr::V4(_) => ethernet::IPV4,
        IpAddr::V6(_) => ethernet::IPV6,
    }
}
