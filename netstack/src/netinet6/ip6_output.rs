//! IPv6 output: header, fragments (by the source alone), and down to the link. RFC 8200 §3, §4.5,
//! RFC 6437 (flow labels).

use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::netinet::ip::{Ip, Upcall, Way, WayKind};
use crate::netinet::{FlowLabel, Fragment, IpTx};
use crate::socket::SockError;
use crate::stack::stats::Drop;
use crate::wire::ipv6::{self, Header};
use crate::wire::ipv6_ext::{self, FRAGMENT_LEN, next};
use crate::wire::scope6;
use rand::Rng;
use std::net::{IpAddr, Ipv6Addr};

impl Ip {
    /// Sends the transport packet `m`. Addresses are in embedded form.
    pub(crate) fn ip6_output(
        &mut self,
        tx: &IpTx,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        m: Mbuf,
    ) -> Result<(), SockError> {
        self.stats.ip6.out_requests += 1;
        let flow = self.flow6(src, dst, tx.protocol, Some(m.data()));
        match self.way6(dst, tx.bound, flow) {
            Ok(way) => self.ip6_output_by(&way, tx, src, dst, m),
            Err(e) => {
                self.discard(Drop::Ip6NoRoute, m);
                Err(e)
            }
        }
    }

    /// [`Ip::ip6_output`] by a way that is known.
    pub(crate) fn ip6_output_by(
        &mut self,
        way: &Way,
        tx: &IpTx,
        src: Ipv6Addr,
        dst: Ipv6Addr,
        mut m: Mbuf,
    ) -> Result<(), SockError> {
        let payload_len = m.len();
        let fits = m.longest_segment(ipv6::HEADER_LEN + payload_len) <= way.mtu as usize
            || way.kind == WayKind::Local;
        if ipv6::HEADER_LEN + payload_len > ipv6::MAX_LEN || (!fits && tx.fragment == Fragment::Dont) {
            self.stats.ip6.frag_fails += 1;
            self.discard(Drop::Ip6TooBig, m);
            return Err(SockError::MsgSize);
        }
        let flow = self.flow6(src, dst, tx.protocol, Some(m.data()));
        let header = Header {
            traffic_class: tx.tos,
            flow_label: match tx.label {
                FlowLabel::Auto => (flow >> 32) as u32 & 0xf_ffff,
                FlowLabel::Is(label) => label,
            },
            payload_len,
            hop_limit: tx.ttl,
            ..Header::new(scope6::clear(src), scope6::clear(dst), tx.protocol)
        };
        if fits {
            header.emit(m.prepend(ipv6::HEADER_LEN));
            self.ip6_send(way, dst, header.hop_limit, m);
        } else {
            self.ip6_fragment(way, dst, &header, m);
        }
        Ok(())
    }

    /// Sends the whole packet `m` to `dst` on its way; also to ourselves if we belong to those it is for.
    pub(crate) fn ip6_send(&mut self, way: &Way, dst: Ipv6Addr, hop_limit: u8, mut m: Mbuf) {
        match way.kind {
            WayKind::Local => {
                // As Linux's loopback does: the sender has paid until here.
                self.credit(&mut m);
                return self.upcalls.push_back(Upcall::Loop(way.ifindex, m));
            }
            WayKind::Multicast | WayKind::MulticastOthers => {
                let joined = self.ifs.get(way.ifindex).is_some_and(|i| i.wants_group(IpAddr::V6(dst)));
                if joined && way.kind == WayKind::Multicast {
                    let copy = self.copy(m.data());
                    self.upcalls.push_back(Upcall::Loop(way.ifindex, copy));
                }
                // Hop limit 0 and groups of the interface stay on the host.
                if hop_limit == 0 || ipv6::multicast_scope(dst) <= 1 || way.ifindex == IfIndex::LOOPBACK {
                    return self.free(m);
                }
            }
            WayKind::Unicast | WayKind::Broadcast => {}
        }
        self.link_output(way.ifindex, way.next, way.kind, m);
    }

    /// Cuts the payload `m` into fragments, each with `header`, hop-by-hop options if there are any, and a fragment header in front.
    fn ip6_fragment(&mut self, way: &Way, dst: Ipv6Addr, header: &Header, m: Mbuf) {
        let kept = match header.next_header {
            next::HOP_BY_HOP => ipv6_ext::len(m.data()).unwrap_or(0),
            _ => 0,
        };
        let (each, payload) = m.data().split_at(kept);
        let next_header = each.first().copied().unwrap_or(header.next_header);
        let first = if kept > 0 { next::HOP_BY_HOP } else { next::FRAGMENT };
        let room = (way.mtu as usize).saturating_sub(ipv6::HEADER_LEN + kept + FRAGMENT_LEN) & !7;
        if room == 0 || m.len() > ipv6::MAX_LEN - ipv6::HEADER_LEN {
            self.stats.ip6.frag_fails += 1;
            return self.discard(Drop::Ip6TooBig, m);
        }
        self.stats.ip6.frag_oks += 1;
        // RFC 7739: not to be guessed.
        let id = self.rng.random();
        // The owner pays by the last fragment for all of them.
        let (owner, charge) = (m.owner, m.charge);
        for at in (0..payload.len()).step_by(room) {
            let len = room.min(payload.len() - at);
            let more = at + len < payload.len();
            let mut part = self.copy(&payload[at..at + len]);
            let fragment = ipv6_ext::Fragment { next_header, offset: at, more, id };
            fragment.emit(part.prepend(FRAGMENT_LEN));
            part.prepend(kept).copy_from_slice(each);
            if let Some(named) = part.data_mut().first_mut().filter(|_| kept > 0) {
                *named = next::FRAGMENT;
            }
            let header = Header { payload_len: kept + FRAGMENT_LEN + len, next_header: first, ..*header };
            header.emit(part.prepend(ipv6::HEADER_LEN));
            if !more {
                (part.owner, part.charge) = (owner, charge);
            }
            self.stats.ip6.frag_creates += 1;
            self.ip6_send(way, dst, header.hop_limit, part);
        }
        self.pool.put(m);
    }
}
