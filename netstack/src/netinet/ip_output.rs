//! IPv4 output: header, fragments, and down to the link. RFC 791 §3.2, 1122 §3.3, 6864.

use super::ip::{Ip, Upcall, Way, WayKind};
use super::{Fragment, IpTx};
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::socket::SockError;
use crate::stack::stats::Drop;
use crate::wire::ipv4::{self, Header};
use crate::wire::ipv4_options;
use std::net::{IpAddr, Ipv4Addr};

impl Ip {
    /// Sends the transport packet `m` with IP `options` (padded to four octets).
    pub(crate) fn ip_output(
        &mut self,
        tx: &IpTx,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        options: &[u8],
        m: Mbuf,
    ) -> Result<(), SockError> {
        self.stats.ip.out_requests += 1;
        let flow = self.flow4(src, dst, tx.protocol, Some(m.data()));
        let way = match self.way4(dst, tx.bound, flow) {
            Ok(w) => w,
            Err(e) => {
                self.discard(Drop::IpNoRoute, m);
                return Err(e);
            }
        };
        // Where discovery may not go as low as the path is, DF would stop everything.
        let fragment = if way.fragment == Fragment::May { Fragment::May } else { tx.fragment };
        self.ip_output_by(&way, &IpTx { fragment, ..*tx }, src, dst, options, m)
    }

    /// [`Ip::ip_output`] by a way that is known.
    pub(crate) fn ip_output_by(
        &mut self,
        way: &Way,
        tx: &IpTx,
        src: Ipv4Addr,
        dst: Ipv4Addr,
        options: &[u8],
        mut m: Mbuf,
    ) -> Result<(), SockError> {
        let header_len = ipv4::HEADER_LEN + options.len();
        let total_len = header_len + m.len();
        let gso = m.offload.gso.is_some();
        let fits = m.longest_segment(total_len) <= way.mtu as usize || way.kind == WayKind::Local;
        if total_len > ipv4::MAX_LEN || (!fits && tx.fragment == Fragment::Dont) {
            self.stats.ip.frag_fails += 1;
            self.discard(Drop::IpFragNeeded, m);
            return Err(SockError::MsgSize);
        }
        // RFC 6864 §4.1: the identification of an atomic datagram means nothing.
        let atomic = tx.fragment == Fragment::Dont;
        let id = if atomic && !gso { 0 } else { self.ident(dst, tx.protocol) };
        let header = Header {
            header_len,
            tos: tx.tos,
            total_len,
            id,
            dont_fragment: atomic,
            ttl: tx.ttl,
            ..Header::new(src, dst, tx.protocol)
        };
        let out = m.prepend(header_len);
        out[ipv4::HEADER_LEN..].copy_from_slice(options);
        header.emit(out);
        self.ip_send(way.ifindex, way.next, way.kind, if fits { u32::MAX } else { way.mtu }, &header, m);
        Ok(())
    }

    /// Sends the whole IP packet `m` (whose header is `header`) on its way, in fragments if it is
    /// longer than `mtu`; also to ourselves if we belong to those it is for.
    pub(crate) fn ip_send(
        &mut self,
        ifindex: IfIndex,
        next: IpAddr,
        kind: WayKind,
        mtu: u32,
        header: &Header,
        mut m: Mbuf,
    ) {
        match kind {
            WayKind::Local => {
                // As Linux's loopback does: the sender has paid until here.
                self.credit(&mut m);
                self.upcalls.push_back(Upcall::Loop(ifindex, m));
                return;
            }
            WayKind::Broadcast => {
                let copy = self.copy(m.data());
                self.upcalls.push_back(Upcall::Loop(ifindex, copy));
            }
            WayKind::Multicast | WayKind::MulticastOthers => {
                let joined = self.ifs.get(ifindex).is_some_and(|i| i.wants_group(IpAddr::V4(header.dst)));
                if joined && kind == WayKind::Multicast {
                    let copy = self.copy(m.data());
                    self.upcalls.push_back(Upcall::Loop(ifindex, copy));
                }
                // RFC 1112 §6.1: TTL 0 stays on the host; and `lo` has no wire.
                if header.ttl == 0 || ifindex == IfIndex::LOOPBACK {
                    self.free(m);
                    return;
                }
            }
            WayKind::Unicast => {}
        }
        if m.len() as u64 <= u64::from(mtu) {
            self.link_output(ifindex, next, kind, m);
        } else {
            self.ip_fragment(ifindex, next, kind, mtu, header, m);
        }
    }

    /// Cuts `m` into fragments (RFC 791 §3.2). A fragment is cut further the same way.
    fn ip_fragment(
        &mut self,
        ifindex: IfIndex,
        next: IpAddr,
        kind: WayKind,
        mtu: u32,
        header: &Header,
        m: Mbuf,
    ) {
        let room = (mtu as usize).saturating_sub(header.header_len) & !7;
        if room == 0 {
            self.stats.ip.frag_fails += 1;
            return self.discard(Drop::IpFragNeeded, m);
        }
        self.stats.ip.frag_oks += 1;
        let payload = header.payload_len();
        let mut options = [0; ipv4::MAX_HEADER_LEN - ipv4::HEADER_LEN];
        let options = &mut options[..header.header_len - ipv4::HEADER_LEN];
        options.copy_from_slice(&m.data()[ipv4::HEADER_LEN..header.header_len]);
        // The owner pays by the last fragment for all of them.
        let (owner, charge) = (m.owner, m.charge);
        for at in (0..payload).step_by(room) {
            let len = room.min(payload - at);
            let last = at + len == payload;
            let mut part = self.copy(&m.data()[header.header_len + at..][..len]);
            let out = part.prepend(header.header_len);
            out[ipv4::HEADER_LEN..].copy_from_slice(options);
            let fragment = Header {
                total_len: header.header_len + len,
                offset: header.offset + at,
                more_fragments: header.more_fragments || !last,
                ..*header
            };
            fragment.emit(out);
            if last {
                (part.owner, part.charge) = (owner, charge);
            }
            self.stats.ip.frag_creates += 1;
            self.link_output(ifindex, next, kind, part);
            if at == 0 {
                ipv4_options::clear_uncopied(options);
            }
        }
        self.pool.put(m);
    }
}
