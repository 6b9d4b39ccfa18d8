//! Raw IPv6 sockets: RFC 3542 §3. Each gets a copy of every packet of its protocol, without the IPv6
//! headers, and sends packets with headers of ours, or (IPV6_HDRINCL) of its own. Checksums of
//! ICMPv6 are the stack's affair; others' are where IPV6_CHECKSUM says.

use crate::net::mbuf::Mbuf;
use crate::netinet::IpRx;
use crate::socket::table::Entry;
use crate::socket::{Family, SendMeta, SockError, SocketId};
use crate::stack::Stack;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::protocol;
use crate::wire::{ethernet, ipv6, scope6};
use std::net::{IpAddr, SocketAddr};

/// Where in ICMPv6 the checksum stands.
const ICMPV6_CHECKSUM: u16 = 2;

/// Where the checksum of a socket's packets stands, if it is looked after.
fn checksum_at(protocol: u8, asked: Option<u16>) -> Option<usize> {
    let at = if protocol == protocol::ICMPV6 { Some(ICMPV6_CHECKSUM) } else { asked };
    at.map(usize::from)
}

impl Stack {
    /// Shows the packet `m`, whose headers of IPv6 end at `at`, to the raw sockets that want it;
    /// whether there was one.
    pub(crate) fn raw6_input(&mut self, rx: &IpRx, protocol: u8, m: &Mbuf, at: usize) -> bool {
        let mut any = false;
        for i in 0..self.raw.len() {
            let id = self.raw[i];
            if !self.raw6_wants(id, rx, protocol, m, at) {
                continue;
            }
            any = true;
            let mut copy = self.ip.copy(m.data());
            copy.offload = m.offload;
            copy.complete_checksum(ethernet::HEADER_LEN);
            self.datagram_deliver(id, rx, Some(SocketAddr::new(rx.src, 0)), copy, at);
        }
        any
    }

    fn raw6_wants(&self, id: SocketId, rx: &IpRx, protocol: u8, m: &Mbuf, at: usize) -> bool {
        let Some(Entry::Datagram(s)) = self.sockets.get(id) else { return false };
        let payload = m.data().get(at..).unwrap_or_default();
        let wanted =
            || protocol != protocol::ICMPV6 || payload.first().is_some_and(|&ty| s.opts.v6.wants_icmp(ty));
        let sound = || match checksum_at(protocol, s.opts.v6.checksum) {
            Some(_) if m.offload.is_partial() => true,
            Some(_) => Sum::pseudo_header(rx.src, rx.dst, protocol, payload.len()).add(payload).is_valid(),
            None => true,
        };
        s.family == Family::Inet6
            && s.protocol == protocol
            && (s.local.ip().is_unspecified() || s.local.ip() == rx.dst)
            && s.remote.is_none_or(|r| r.ip() == rx.src)
            && s.opts.device.is_none_or(|d| d == rx.ifindex)
            && self.group_allows(id, rx)
            && wanted()
            && sound()
    }

    /// Sends one packet.
    pub(crate) fn raw6_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        if data.len() > ipv6::MAX_LEN {
            return Err(SockError::MsgSize);
        }
        let out = self.datagram_out(id, meta)?;
        let s = self.sockets.datagram(id)?;
        let (protocol, included, asked) = (s.protocol, s.opts.v6.header_included, s.opts.v6.checksum);
        let mut m = self.ip.copy(data);
        if included {
            return self.raw6_send_whole(id, &out, m).map(|()| data.len());
        }
        if let Some(at) = checksum_at(protocol, asked) {
            let octets = m.data_mut();
            let field = octets.get_mut(at..at + 2).ok_or(SockError::Invalid)?;
            field.fill(0);
            let sum = Sum::pseudo_header(out.tx.src, out.tx.dst, protocol, octets.len()).add(octets).finish();
            octets[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.datagram_output(id, &out, m)?;
        Ok(data.len())
    }

    /// Sends a packet whose header the program wrote.
    fn raw6_send_whole(
        &mut self,
        id: SocketId,
        out: &crate::netinet::udp::Out,
        m: Mbuf,
    ) -> Result<(), SockError> {
        let header = ipv6::Header::parse_quoted(m.data()).map_err(|_| SockError::Invalid)?;
        if m.len() > out.way.link_mtu as usize {
            self.local_too_big(id, out, out.way.link_mtu);
            self.ip.free(m);
            return Err(SockError::MsgSize);
        }
        self.ip.stats.ip6.out_requests += 1;
        let dst = scope6::embed(header.dst, out.way.ifindex);
        self.ip.ip6_send(&out.way, dst, header.hop_limit, m);
        self.settle();
        Ok(())
    }
}

/// Whether a socket of `family` hears of packets to `addr`.
pub(crate) fn of_family(family: Family, addr: IpAddr) -> bool {
    (family == Family::Inet6) == addr.is_ipv6()
}
