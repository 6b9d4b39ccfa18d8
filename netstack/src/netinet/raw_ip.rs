//! Raw IPv4 sockets: each gets a copy of every packet of its protocol, IP header included, and sends
//! packets with a header of ours, or (IP_HDRINCL) of its own.

use super::protosw::Quote;
use super::{IcmpError, IpRx};
use crate::net::mbuf::Mbuf;
use crate::netinet6::raw_ip6::of_family;
use crate::socket::table::Entry;
use crate::socket::{Family, SendMeta, SockError, SocketId};
use crate::stack::Stack;
use crate::wire::checksum::checksum;
use crate::wire::ipv4::{self, Header, protocol};
use std::net::{IpAddr, SocketAddr};

impl Stack {
    /// Shows a packet (whole, for us) to the raw sockets that want it; whether there was one.
    pub(crate) fn raw_input(&mut self, rx: &IpRx, protocol: u8, m: &Mbuf) -> bool {
        let mut any = false;
        for i in 0..self.raw.len() {
            let id = self.raw[i];
            if !self.raw_wants(id, rx, protocol, m.data()) {
                continue;
            }
            any = true;
            let mut copy = self.ip.copy(m.data());
            copy.offload = m.offload;
            copy.complete_checksum(crate::wire::ethernet::HEADER_LEN);
            self.datagram_deliver(id, rx, Some(SocketAddr::new(rx.src, 0)), copy, 0);
        }
        any
    }

    fn raw_wants(&self, id: SocketId, rx: &IpRx, protocol: u8, packet: &[u8]) -> bool {
        let Some(Entry::Datagram(s)) = self.sockets.get(id) else { return false };
        let filtered = || {
            let ty = packet.get(usize::from(packet[0] & 0xf) * 4).copied().unwrap_or(255);
            protocol == protocol::ICMP && ty < 32 && s.opts.icmp_filter & (1 << ty) != 0
        };
        s.family == Family::Inet
            && s.protocol == protocol
            && (s.local.ip().is_unspecified() || s.local.ip() == rx.dst)
            && s.remote.is_none_or(|r| r.ip() == rx.src)
            && s.opts.device.is_none_or(|d| d == rx.ifindex)
            && self.group_allows(id, rx)
            && !filtered()
    }

    /// An ICMP error about a packet of that protocol: for connected raw sockets, and
    /// those with an error queue.
    pub(crate) fn raw_error(&mut self, error: &IcmpError, protocol: u8, quoted: &[u8]) -> Quote {
        let mut quote = Quote::Strange;
        for i in 0..self.raw.len() {
            let id = self.raw[i];
            let Ok(s) = self.sockets.datagram(id) else { continue };
            if s.protocol != protocol
                || !of_family(s.family, error.dst)
                || s.remote.is_some_and(|r| r.ip() != error.dst)
                || s.opts.device.is_some_and(|d| d != error.ifindex)
            {
                continue;
            }
            if s.remote.is_some() || s.opts.recv_err(error.dst) {
                self.datagram_error(id, error, SocketAddr::new(error.dst, 0), quoted);
            }
            if self.quote_of(id, error.dst) == Quote::Ours {
                quote = Quote::Ours;
            }
        }
        quote
    }

    /// Sends one packet.
    pub(crate) fn raw_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        if data.len() > ipv4::MAX_LEN {
            return Err(SockError::MsgSize);
        }
        let s = self.sockets.datagram(id)?;
        let included = s.opts.header_included;
        let mut m = self.ip.copy(data);
        if !included {
            let out = self.datagram_out(id, meta)?;
            self.datagram_output(id, &out, m)?;
            return Ok(data.len());
        }
        let out = self.datagram_out(id, meta)?;
        let header = Header::parse_quoted(data).map_err(|_| SockError::Invalid)?;
        if data.len() > out.way.link_mtu as usize {
            self.local_too_big(id, &out, out.way.link_mtu);
            return Err(SockError::MsgSize);
        }
        // Linux's raw(7): total length and checksum are always filled in, source and id if zero.
        let src = match out.tx.src {
            IpAddr::V4(ours) if header.src.is_unspecified() => ours,
            IpAddr::V4(_) | IpAddr::V6(_) => header.src,
        };
        let id16 = if header.id == 0 { self.ip.ident(header.dst, header.protocol) } else { header.id };
        let octets = m.data_mut();
        octets[2..4].copy_from_slice(&(data.len() as u16).to_be_bytes());
        octets[4..6].copy_from_slice(&id16.to_be_bytes());
        octets[12..16].copy_from_slice(&src.octets());
        octets[10..12].fill(0);
        let sum = checksum(&octets[..header.header_len]);
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
        let header = Header { src, id: id16, total_len: data.len(), ..header };
        self.ip.stats.ip.out_requests += 1;
        self.ip.ip_send(out.way.ifindex, out.way.next, out.way.kind, u32::MAX, &header, m);
        self.settle();
        Ok(data.len())
    }
}
