//! Packet taps: sockets that see and send frames (AF_PACKET; BSD's `bpf` without its filters).

use super::IfIndex;
use super::mbuf::Mbuf;
use crate::netinet::Cast;
use crate::socket::table::{Datagram, Entry, Kind};
use crate::socket::{LinkAddr, PacketType, SendMeta, SockError, SockType, SocketId};
use crate::stack::Stack;
use crate::wire::ethernet::{self, Header};

/// The packet sockets of a stack.
#[derive(Debug, Default)]
pub(crate) struct Bpf {
    sockets: Vec<SocketId>,
}

impl Bpf {
    /// Whether nobody looks: the packet path asks this once a frame.
    pub(crate) fn is_idle(&self) -> bool {
        self.sockets.is_empty()
    }

    pub(crate) fn attach(&mut self, id: SocketId) {
        self.sockets.push(id);
    }

    pub(crate) fn detach(&mut self, id: SocketId) {
        self.sockets.retain(|s| *s != id);
    }
}

impl Stack {
    /// Shows a frame that came in (`cast`: `None` if it was for another station).
    pub(crate) fn bpf_input(&mut self, ifindex: IfIndex, header: &Header, cast: Option<Cast>, frame: &Mbuf) {
        if self.bpf.is_idle() {
            return;
        }
        let kind = match cast {
            Some(Cast::Unicast) => PacketType::Host,
            Some(Cast::Broadcast) => PacketType::Broadcast,
            Some(Cast::Multicast) => PacketType::Multicast,
            None => PacketType::OtherHost,
        };
        self.bpf_show(ifindex, header, kind, frame);
    }

    /// Shows a frame that leaves.
    pub(crate) fn bpf_output(&mut self, ifindex: IfIndex, frame: &Mbuf) {
        if !self.bpf.is_idle()
            && let Some(header) = Header::parse(frame.data())
        {
            self.bpf_show(ifindex, &header, PacketType::Outgoing, frame);
        }
    }

    fn bpf_show(&mut self, ifindex: IfIndex, header: &Header, kind: PacketType, frame: &Mbuf) {
        for i in 0..self.bpf.sockets.len() {
            let id = self.bpf.sockets[i];
            let Some(Entry::Datagram(s)) = self.sockets.get(id) else { continue };
            let wanted = match s.packet.ethertype {
                0 => false,
                ethernet::ALL => true,
                // Linux shows what leaves to those only who asked for everything.
                t => t == header.ethertype && kind != PacketType::Outgoing,
            };
            if !wanted || s.packet.ifindex.is_some_and(|i| i != ifindex) {
                continue;
            }
            let at = if s.ty == SockType::PacketDgram { ethernet::HEADER_LEN } else { 0 };
            let mut m = self.ip.copy(frame.data());
            m.offload = frame.offload;
            m.complete_checksum(0);
            let link = LinkAddr { ifindex, ethertype: header.ethertype, mac: header.src, kind };
            let datagram = Datagram {
                m,
                at,
                from: None,
                local: None,
                ifindex,
                ttl: 0,
                tos: 0,
                time: self.ip.now,
                link: Some(link),
                error: None,
            };
            self.datagram_push(id, datagram);
        }
    }

    /// Binds a packet socket to an interface (`None`: all) and an EtherType ([`ethernet::ALL`]: every).
    pub fn bind_packet(
        &mut self,
        id: SocketId,
        ifindex: Option<IfIndex>,
        ethertype: u16,
    ) -> Result<(), SockError> {
        if ifindex.is_some_and(|i| self.ip.ifs.get(i).is_none()) {
            return Err(SockError::NoDevice);
        }
        let s = self.sockets.datagram(id)?;
        if s.kind != Kind::Packet {
            return Err(SockError::OpNotSupported);
        }
        let before = s.packet.ifindex;
        s.packet.ifindex = ifindex;
        s.packet.ethertype = ethertype;
        if s.opts.promiscuous {
            self.promiscuous(before, -1);
            self.promiscuous(ifindex, 1);
        }
        Ok(())
    }

    /// One packet socket more or less wants every frame of an interface (`None`: of all).
    pub(crate) fn promiscuous(&mut self, ifindex: Option<IfIndex>, change: i32) {
        for i in self.ip.ifs.iter_mut().filter(|i| ifindex.is_none_or(|x| x == i.index)) {
            i.promiscuous = i.promiscuous.saturating_add_signed(change);
            i.filter_generation += 1;
        }
    }

    /// Sends one frame.
    pub(crate) fn packet_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        let s = self.sockets.datagram(id)?;
        s.check_error()?;
        if s.tx_octets >= s.opts.send_buffer {
            return Err(SockError::WouldBlock);
        }
        let ty = s.ty;
        let ifindex = meta.link.map(|l| l.ifindex).or(s.packet.ifindex).ok_or(SockError::DestAddrRequired)?;
        let ifnet = self.ip.ifs.get(ifindex).ok_or(SockError::NoDevice)?;
        if !ifnet.usable() || ifnet.loopback {
            return Err(SockError::NetDown);
        }
        let header = if ty == SockType::PacketDgram { 0 } else { ethernet::HEADER_LEN };
        if data.len() > ifnet.mtu as usize + header {
            return Err(SockError::MsgSize);
        }
        if data.len() < header {
            return Err(SockError::Invalid);
        }
        let mut m = self.ip.copy(data);
        let charge = m.len() + ethernet::HEADER_LEN;
        m.owner = Some(id);
        m.charge = charge as u32;
        s.tx_octets += charge;
        match (ty, meta.link) {
            (SockType::PacketDgram, Some(l)) => self.ip.ether_output(ifindex, l.mac, l.ethertype, m),
            (SockType::PacketDgram, None) => {
                self.ip.free(m);
                self.settle();
                return Err(SockError::DestAddrRequired);
            }
            (SockType::Packet | SockType::Stream | SockType::Dgram | SockType::Raw, _) => {
                self.ip.if_output(ifindex, m);
            }
        }
        self.settle();
        Ok(data.len())
    }
}
