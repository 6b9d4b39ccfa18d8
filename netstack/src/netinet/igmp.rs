//! IGMP, the host's part: RFC 3376, RFC 2236, RFC 1112 appendix I. When what is said is decided in
//! [`crate::net::multicast::report`]; here is how it is said and heard.
//!
//! Queries of versions 2 and 3 need the router alert, general ones come to the group of all
//! systems: RFC 3376 §9.1. Addresses of reports may be anything, 0.0.0.0 included (§4.2.13).

use super::ip::{Ip, Way, WayKind};
use super::protosw::Quote;
use super::{FlowLabel, Fragment, IcmpError, IpRx, IpTx};
use crate::net::IfIndex;
use crate::net::ifnet::ALL_SYSTEMS;
use crate::net::mbuf::Mbuf;
use crate::net::multicast::Version;
use crate::net::multicast::record::pack;
use crate::net::multicast::report::{Query, Say};
use crate::socket::Family;
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::igmp::{self as wire, Message, ty};
use crate::wire::ipv4::{self, protocol};
use crate::wire::ipv4_options as options;
use std::net::{IpAddr, Ipv4Addr};

/// RFC 3376 §4: precedence "internetwork control".
const INTERNET_CONTROL: u8 = 0xc0;
/// Octets before a message.
const HEAD: usize = ipv4::HEADER_LEN + wire::ROUTER_ALERT.len();

/// A message for us; see [`super::protosw::ProtoSw::input`].
pub(crate) fn input(stack: &mut Stack, rx: &IpRx, m: Mbuf, header_len: usize) {
    stack.ip.igmp_input(rx, m, header_len);
}

/// Errors about our messages, which are for groups, are about nothing.
pub(crate) fn error(_: &mut Stack, _: &IcmpError, _: &[u8]) -> Quote {
    Quote::Strange
}

impl Ip {
    fn igmp_input(&mut self, rx: &IpRx, m: Mbuf, header_len: usize) {
        self.stats.igmp.in_msgs += 1;
        let Ok(message) = Message::parse(&m.data()[header_len..]) else {
            self.stats.igmp.in_errors += 1;
            return self.discard(Drop::IgmpMalformed, m);
        };
        match message {
            Message::Query(query) => {
                let alerted = options::iter(&m.data()[ipv4::HEADER_LEN..header_len])
                    .any(|o| o.is_ok_and(|o| o.kind == options::kind::ROUTER_ALERT));
                if !believed(&query, rx.dst, alerted) {
                    self.stats.igmp.in_bad_queries += 1;
                    return self.discard(Drop::IgmpBadQuery, m);
                }
                match query.version {
                    Version::V1 => self.stats.igmp.in_v1_queries += 1,
                    Version::V2 => self.stats.igmp.in_v2_queries += 1,
                    Version::V3 => self.stats.igmp.in_v3_queries += 1,
                }
                self.group_event(rx.ifindex, Family::Inet, |link, around| {
                    link.query(around, &query);
                    Vec::new()
                });
            }
            Message::Report(group) => {
                self.stats.igmp.in_reports += 1;
                self.group_event(rx.ifindex, Family::Inet, |link, around| {
                    link.heard_report(around, IpAddr::V4(group));
                    Vec::new()
                });
            }
            Message::Other => {}
        }
        self.free(m);
    }

    /// Sends what the groups' machine says.
    pub(super) fn igmp_say(&mut self, ifindex: IfIndex, say: Say) {
        let v4 = |group: IpAddr| match group {
            IpAddr::V4(group) => group,
            IpAddr::V6(_) => unreachable!("a group of IPv4"),
        };
        match say {
            Say::Report(Version::V1, group) => {
                self.stats.igmp.out_v1_reports += 1;
                self.igmp_output(ifindex, v4(group), &wire::emit(ty::V1_REPORT, v4(group)), &[]);
            }
            Say::Report(Version::V2 | Version::V3, group) => {
                self.stats.igmp.out_v2_reports += 1;
                let message = wire::emit(ty::V2_REPORT, v4(group));
                self.igmp_output(ifindex, v4(group), &message, &wire::ROUTER_ALERT);
            }
            Say::Leave(group) => {
                self.stats.igmp.out_leaves += 1;
                let message = wire::emit(ty::LEAVE, v4(group));
                self.igmp_output(ifindex, wire::ALL_ROUTERS, &message, &wire::ROUTER_ALERT);
            }
            Say::Records(records) => {
                let mtu = self.ifs.get(ifindex).map_or(0, |i| i.mtu as usize);
                let room = mtu.saturating_sub(HEAD + wire::REPORT_LEN);
                for records in pack(records, room, wire::RECORD_LEN, wire::SOURCE_LEN) {
                    self.stats.igmp.out_v3_reports += 1;
                    let message = wire::emit_report(&records);
                    self.igmp_output(ifindex, wire::ALL_V3_ROUTERS, &message, &wire::ROUTER_ALERT);
                }
            }
        }
    }

    /// Others hear it, we do not. TTL 1; the source is the interface's own, or none (RFC 3376 §4.2.13).
    fn igmp_output(&mut self, ifindex: IfIndex, dst: Ipv4Addr, message: &[u8], options: &[u8]) {
        let Some(ifnet) = self.ifs.get(ifindex) else { return };
        let src = ifnet.addrs4().next().map_or(Ipv4Addr::UNSPECIFIED, |net| net.addr());
        let (mtu, kind, fragment) = (ifnet.mtu, WayKind::MulticastOthers, Fragment::Dont);
        let (next, own) = (IpAddr::V4(dst), IpAddr::V4(src));
        let way = Way { ifindex, next, kind, mtu, link_mtu: mtu, fragment, src: Some(own) };
        let tx = IpTx {
            src: own,
            dst: next,
            protocol: protocol::IGMP,
            ttl: 1,
            tos: INTERNET_CONTROL,
            fragment,
            bound: Some(ifindex),
            label: FlowLabel::Auto,
        };
        let m = self.copy(message);
        self.stats.ip.out_requests += 1;
        // Nobody is there to hear that it could not be sent.
        let _ = self.ip_output_by(&way, &tx, src, dst, options, m);
    }
}

/// RFC 3376 §9.1.
fn believed(query: &Query, dst: IpAddr, alerted: bool) -> bool {
    let to_all = dst == IpAddr::V4(ALL_SYSTEMS);
    match query.version {
        Version::V1 => to_all,
        Version::V2 | Version::V3 => alerted && (to_all || query.group.is_some()),
    }
}
