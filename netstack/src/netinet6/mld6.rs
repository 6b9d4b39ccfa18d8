//! MLD, the host's part: RFC 3810, RFC 2710. When what is said is decided in
//! [`crate::net::multicast::report`]; here is how it is said and heard.
//!
//! Queries are believed of neighbours alone: a link-local source, hop limit 1 and the router alert
//! (RFC 3810 §6.2). Reports come from `::` as long as the interface has no link-local address
//! (RFC 3590), and again when it has one.

use crate::net::IfIndex;
use crate::net::ifnet::Ifnet;
use crate::net::mbuf::Mbuf;
use crate::net::multicast::Version;
use crate::net::multicast::record::pack;
use crate::net::multicast::report::Say;
use crate::netinet::ip::{Ip, Way, WayKind};
use crate::netinet::{FlowLabel, Fragment, IpRx, IpTx};
use crate::socket::Family;
use crate::stack::stats::Drop;
use crate::wire::icmpv6::{self, ty};
use crate::wire::ipv6_ext::{self, next, option};
use crate::wire::mld::{self as wire, Message};
use crate::wire::{ipv6, scope6};
use std::net::{IpAddr, Ipv6Addr};

/// Octets before a message.
const HEAD: usize = ipv6::HEADER_LEN + wire::ROUTER_ALERT.len();

impl Ip {
    /// A message for us, whose checksum is right.
    pub(super) fn mld6_input(&mut self, rx: &IpRx, m: Mbuf, at: usize) {
        self.stats.mld.in_msgs += 1;
        let Ok(message) = Message::parse(&m.data()[at..]) else {
            self.stats.mld.in_errors += 1;
            return self.discard(Drop::MldMalformed, m);
        };
        let IpAddr::V6(src) = rx.src else { return self.free(m) };
        let near = scope6::is_scoped(src) && rx.ttl == 1 && is_alerted(m.data());
        match message {
            Message::Query(_) if !near => {
                self.stats.mld.in_bad_queries += 1;
                return self.discard(Drop::MldBadQuery, m);
            }
            Message::Query(query) => {
                match query.version {
                    Version::V1 | Version::V2 => self.stats.mld.in_v1_queries += 1,
                    Version::V3 => self.stats.mld.in_v2_queries += 1,
                }
                self.group_event(rx.ifindex, Family::Inet6, |link, around| {
                    link.query(around, &query);
                    Vec::new()
                });
            }
            Message::Report(group) => {
                self.stats.mld.in_reports += 1;
                self.group_event(rx.ifindex, Family::Inet6, |link, around| {
                    link.heard_report(around, IpAddr::V6(group));
                    Vec::new()
                });
            }
            Message::Other => {}
        }
        self.free(m);
    }

    /// Sends what the groups' machine says.
    pub(crate) fn mld6_say(&mut self, ifindex: IfIndex, say: Say) {
        let v6 = |group: IpAddr| match group {
            IpAddr::V6(group) => group,
            IpAddr::V4(_) => unreachable!("a group of IPv6"),
        };
        match say {
            Say::Report(_, group) => {
                self.stats.mld.out_v1_reports += 1;
                self.mld6_output(ifindex, v6(group), &wire::emit(ty::MLD_REPORT, v6(group)));
            }
            Say::Leave(group) => {
                self.stats.mld.out_dones += 1;
                self.mld6_output(ifindex, ipv6::ALL_ROUTERS, &wire::emit(ty::MLD_DONE, v6(group)));
            }
            Say::Records(records) => {
                let mtu = self.ifs.get(ifindex).map_or(0, |i| i.mtu as usize);
                let room = mtu.saturating_sub(HEAD + wire::REPORT_LEN);
                for records in pack(records, room, wire::RECORD_LEN, wire::SOURCE_LEN) {
                    self.stats.mld.out_v2_reports += 1;
                    self.mld6_output(ifindex, wire::ALL_V2_ROUTERS, &wire::emit_report(&records));
                }
            }
        }
    }

    /// Others hear it, we do not.
    fn mld6_output(&mut self, ifindex: IfIndex, dst: Ipv6Addr, message: &[u8]) {
        let Some(ifnet) = self.ifs.get(ifindex) else { return };
        let src = link_local(ifnet).unwrap_or(Ipv6Addr::UNSPECIFIED);
        let (mtu, kind, fragment) = (ifnet.mtu, WayKind::MulticastOthers, Fragment::Dont);
        let (next, own) = (IpAddr::V6(dst), IpAddr::V6(src));
        let way = Way { ifindex, next, kind, mtu, link_mtu: mtu, fragment, src: Some(own) };
        let tx = IpTx {
            src: own,
            dst: next,
            protocol: next::HOP_BY_HOP,
            ttl: 1,
            tos: 0,
            fragment,
            bound: Some(ifindex),
            label: FlowLabel::Auto,
        };
        let mut m = self.copy(message);
        icmpv6::fill_checksum(src, dst, m.data_mut());
        m.prepend(wire::ROUTER_ALERT.len()).copy_from_slice(&wire::ROUTER_ALERT);
        self.stats.icmp6.out_msgs += 1;
        self.stats.ip6.out_requests += 1;
        // Nobody is there to hear that it could not be sent.
        let _ = self.ip6_output_by(&way, &tx, src, dst, m);
    }
}

/// The interface's link-local address, if it may be used.
fn link_local(ifnet: &Ifnet) -> Option<Ipv6Addr> {
    let usable = |a: &Ipv6Addr| a.is_unicast_link_local() && ifnet.is_assigned(IpAddr::V6(*a));
    ifnet.addrs6().map(|net| net.addr()).find(usable)
}

/// Whether a packet has the router alert for MLD, in the hop-by-hop header.
fn is_alerted(packet: &[u8]) -> bool {
    let options = packet.get(ipv6::HEADER_LEN..).unwrap_or_default();
    let len = ipv6_ext::len(options).unwrap_or(0);
    let alert = |o: ipv6_ext::OptionAt<'_>| o.kind == option::ROUTER_ALERT && o.data == [0, 0];
    packet[6] == next::HOP_BY_HOP && ipv6_ext::options(&options[..len]).any(|o| o.is_ok_and(alert))
}
