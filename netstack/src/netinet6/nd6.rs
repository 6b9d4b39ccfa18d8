//! Neighbour discovery: who on a link has which link address. RFC 4861 §7; RFC 4429 (optimistic
//! addresses), RFC 7527 (nonces), RFC 6980 (no fragments). The states of a neighbour are in [`crate::net::neigh`].

use super::in6_ifaddr::AddrState;
use crate::net::mbuf::Mbuf;
use crate::net::neigh::Advertised;
use crate::net::{IfIndex, MacAddr};
use crate::netinet::ip::Ip;
use crate::netinet::ip::{Way, WayKind};
use crate::netinet::{Fragment, IpRx};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{self, ty};
use crate::wire::ipv4::protocol;
use crate::wire::ndp::{self, Advert, HOP_LIMIT, NEIGHBOUR_LEN, Solicit, option};
use crate::wire::{ipv6, scope6};
use rand::Rng;
use std::net::{IpAddr, Ipv6Addr};

/// The octets that all of ICMPv6 begins with: type, code, checksum.
const COMMON: usize = 4;

impl Stack {
    /// A message of neighbour discovery.
    pub(crate) fn nd6_input(&mut self, rx: &IpRx, header: &icmpv6::Header, m: Mbuf, at: usize) {
        // RFC 4861 §7.1: who is not on the link cannot say 255. RFC 6980 §5: nor is anybody's message cut, which those who watch
        // a link for what is forged could not read.
        if rx.ttl != HOP_LIMIT || header.code != 0 || rx.fragmented {
            return self.ip.discard(Drop::Nd6Invalid, m);
        }
        let body = &m.data()[at + COMMON..];
        let taken = match header.ty {
            ty::ROUTER_SOLICIT => self.rtadv_solicited(rx, body),
            ty::ROUTER_ADVERT => self.nd6_router_advert(rx, body),
            ty::REDIRECT => self.nd6_redirected(rx, body),
            ty::NEIGHBOUR_SOLICIT => match Solicit::parse(body) {
                Ok(message) => self.nd6_solicited(rx, &message),
                Err(_) => false,
            },
            ty::NEIGHBOUR_ADVERT => match Advert::parse(body) {
                Ok(message) => self.nd6_advertised(rx, &message),
                Err(_) => false,
            },
            _ => return self.ip.discard(Drop::Icmp6Ignored, m),
        };
        if taken { self.ip.free(m) } else { self.ip.discard(Drop::Nd6Invalid, m) }
    }

    /// A neighbour asks for a link address; false if it may not ask so (RFC 4861 §7.1.1).
    fn nd6_solicited(&mut self, rx: &IpRx, message: &Solicit) -> bool {
        self.ip.stats.nd6.in_solicits += 1;
        let (IpAddr::V6(src), IpAddr::V6(dst), ifindex) = (rx.src, rx.dst, rx.ifindex) else { return false };
        let probes = src.is_unspecified();
        let wrong = probes && (dst != ipv6::solicited_node(message.target) || message.source_link.is_some());
        if message.target.is_multicast() || wrong || !scope6::is_clear(message.target) {
            return false;
        }
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return true };
        let Some(known) = ifnet.in6.addr_mut(message.target) else { return true };
        match known.state {
            AddrState::Duplicate => return true,
            AddrState::Tentative | AddrState::Optimistic if probes => {
                // Our own, shown to us by the link, says nothing.
                if message.nonce != Some(known.nonce) {
                    self.dad_conflict(ifindex, message.target);
                }
                return true;
            }
            AddrState::Tentative => return true,
            AddrState::Optimistic | AddrState::Preferred | AddrState::Deprecated => {}
        }
        let replaces = known.state != AddrState::Optimistic;
        if let (false, Some(mac)) = (probes, message.source_link) {
            self.nd6_hint(ifindex, src, mac);
        }
        // Two whose addresses are both being tried: neither tells its link address by asking (RFC 4429 §3.2), so that each would
        // have to ask for the other's before it answers. Told to the group in which the one that asks is (RFC 4291 §2.7.1),
        // ours gets there; told to everybody, it would cost a large LAN that starts at once a frame to all for each pair.
        let mutual = !replaces && message.source_link.is_none();
        let (to, solicited) = match (probes, mutual) {
            (true, _) => (ipv6::ALL_NODES, false),
            (false, true) => (ipv6::solicited_node(src), false),
            (false, false) => (src, true),
        };
        self.ip.nd6_advertise(ifindex, message.target, to, solicited, replaces);
        true
    }

    /// A neighbour tells its link address (RFC 4861 §7.2.5); false if it may not tell so (§7.1.2).
    fn nd6_advertised(&mut self, rx: &IpRx, message: &Advert) -> bool {
        self.ip.stats.nd6.in_adverts += 1;
        let ifindex = rx.ifindex;
        if message.target.is_multicast()
            || (rx.dst.is_multicast() && message.solicited)
            || !scope6::is_clear(message.target)
        {
            return false;
        }
        let ours = self.ip.ifs.get(ifindex).and_then(|i| i.in6.addrs.get(&message.target));
        match ours.map(|known| known.state) {
            Some(AddrState::Tentative | AddrState::Optimistic) => {
                self.dad_conflict(ifindex, message.target);
                return true;
            }
            // RFC 4862 §5.4.4 leaves it to us: it is told, and nothing more.
            Some(AddrState::Preferred | AddrState::Deprecated) => {
                self.ip.conflicts.push((ifindex, IpAddr::V6(message.target)));
                return true;
            }
            Some(AddrState::Duplicate) => return true,
            None => {}
        }
        let random = self.ip.rng.random();
        let solicited = message.solicited.then_some(random);
        let (now, addr, link) = (self.ip.now, IpAddr::V6(message.target), message.target_link);
        let told = Advertised { link, solicited, replaces: message.replaces };
        let (mac, queue) = self.ip.neigh.advertised(now, ifindex, addr, told, &mut self.ip.timers);
        let heard = mac != MacAddr::default();
        self.ip.neigh_flush(ifindex, mac, queue);
        if heard {
            self.ip.router_answers(ifindex, message.target, true);
            self.ip.neigh.is_router(now, ifindex, addr, message.router);
            if !message.router {
                // RFC 4861 §7.2.5: it is no router (any more), nor any that redirects lead to.
                self.router_gone(ifindex, message.target);
            }
        }
        true
    }
}

impl Stack {
    /// A neighbour has told its link address beside what it said.
    pub(super) fn nd6_hint(&mut self, ifindex: IfIndex, addr: Ipv6Addr, mac: MacAddr) {
        let addr = IpAddr::V6(scope6::clear(addr));
        let queue = self.ip.neigh.hint(self.ip.now, ifindex, addr, mac, &mut self.ip.timers);
        self.ip.neigh_flush(ifindex, mac, queue);
        if let IpAddr::V6(addr) = addr {
            self.ip.router_answers(ifindex, addr, true);
        }
    }
}

impl Ip {
    /// Asks for the link address of `target` (as it stands on the wire): everybody, or (probing) the
    /// neighbour itself.
    pub(crate) fn nd6_solicit(&mut self, ifindex: IfIndex, target: Ipv6Addr, to: Option<MacAddr>) {
        let Some(src) = self.source6(scope6::embed(target, ifindex), ifindex) else { return };
        let dst = if to.is_some() { target } else { ipv6::solicited_node(target) };
        // RFC 4429 §3.2: what is not surely ours replaces nothing at our neighbours.
        let own = self.ifs.get(ifindex).and_then(|i| i.in6.addrs.get(&scope6::clear(src)));
        let sure = own.is_none_or(|known| known.state != AddrState::Optimistic);
        let option = sure.then_some(option::SOURCE_LINK);
        self.nd6_send(ifindex, (src, dst), (ty::NEIGHBOUR_SOLICIT, 0), target, option, None);
        self.stats.nd6.out_solicits += 1;
    }

    /// Asks whether somebody else has `target`.
    pub(crate) fn nd6_solicit_dad(&mut self, ifindex: IfIndex, target: Ipv6Addr, nonce: [u8; 6]) {
        let ends = (Ipv6Addr::UNSPECIFIED, ipv6::solicited_node(target));
        self.nd6_send(ifindex, ends, (ty::NEIGHBOUR_SOLICIT, 0), target, None, Some(nonce));
        self.stats.nd6.out_solicits += 1;
    }

    /// The interface has another link address: everybody is told (RFC 4861 §7.2.6), but for addresses that
    /// are not surely ours (RFC 4429 §3.3).
    pub(crate) fn nd6_announce(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ifs.get(ifindex).filter(|i| i.usable() && !i.loopback) else { return };
        let sure = |s: AddrState| matches!(s, AddrState::Preferred | AddrState::Deprecated);
        let addrs = ifnet.in6.addrs.iter().filter(|(_, k)| sure(k.state));
        let addrs: Vec<Ipv6Addr> = addrs.map(|(a, _)| *a).collect();
        for addr in addrs {
            self.nd6_advertise(ifindex, addr, ipv6::ALL_NODES, false, true);
        }
    }

    /// Tells our link address for `target` to `to`.
    fn nd6_advertise(
        &mut self,
        ifindex: IfIndex,
        target: Ipv6Addr,
        to: Ipv6Addr,
        solicited: bool,
        replaces: bool,
    ) {
        let router = self.config.forwarding;
        let flags = Advert { router, solicited, replaces, target, target_link: None }.flags();
        let ends = (scope6::embed(target, ifindex), to);
        self.nd6_send(ifindex, ends, (ty::NEIGHBOUR_ADVERT, flags), target, Some(option::TARGET_LINK), None);
        self.stats.nd6.out_adverts += 1;
    }

    /// Sends a message about `target` with our link address as `link` option and a nonce, where there
    /// is one.
    fn nd6_send(
        &mut self,
        ifindex: IfIndex,
        (src, dst): (Ipv6Addr, Ipv6Addr),
        (ty, rest): (u8, u32),
        target: Ipv6Addr,
        link: Option<u8>,
        nonce: Option<[u8; 6]>,
    ) {
        let Some(mac) = self.ifs.get(ifindex).map(|i| i.mac) else { return };
        let mut m = self.pool.get();
        m.grow(NEIGHBOUR_LEN)[8..].copy_from_slice(&target.octets());
        let mut octets = [0; 8];
        if let Some(kind) = link {
            ndp::emit_link(&mut octets, kind, mac);
            m.extend(&octets);
        }
        if let Some(nonce) = nonce {
            (octets[0], octets[1]) = (option::NONCE, 1);
            octets[2..].copy_from_slice(&nonce);
            m.extend(&octets);
        }
        self.nd6_output(ifindex, (src, dst), icmpv6::Header { ty, code: 0, rest }, m);
    }

    /// Sends a message of neighbour discovery to a neighbour or group on a link: no route is asked.
    pub(crate) fn nd6_output(
        &mut self,
        ifindex: IfIndex,
        (src, dst): (Ipv6Addr, Ipv6Addr),
        header: icmpv6::Header,
        mut m: Mbuf,
    ) {
        let dst = scope6::embed(dst, ifindex);
        header.emit(src, dst, m.data_mut());
        self.stats.icmp6.out_msgs += 1;
        let payload_len = m.len();
        let (from, to) = (scope6::clear(src), scope6::clear(dst));
        let ip = ipv6::Header {
            payload_len,
            hop_limit: HOP_LIMIT,
            ..ipv6::Header::new(from, to, protocol::ICMPV6)
        };
        ip.emit(m.prepend(ipv6::HEADER_LEN));
        let kind = if dst.is_multicast() { WayKind::MulticastOthers } else { WayKind::Unicast };
        let mtu = ipv6::MIN_MTU;
        let fragment = Fragment::Dont;
        let way = Way { ifindex, next: IpAddr::V6(to), kind, mtu, link_mtu: mtu, fragment, src: None };
        self.ip6_send(&way, dst, HOP_LIMIT, m);
    }
}
