//! Packet taps: sockets that see and send frames (AF_PACKET; BSD's `bpf`).
//!
//! `filter` chooses what they get, `fanout` who of several gets it. Not here: rings, which are the affair of whoever shares memory
//! with a program.

pub mod fanout;
pub mod filter;

use super::ifnet::Ifnet;
use super::mbuf::Mbuf;
use super::{IfIndex, MacAddr};
use crate::netinet::ip::Ip;
use crate::netinet::{Cast, IpLayer};
use crate::socket::table::{Datagram, Entry, Kind, Socket};
use crate::socket::{LinkAddr, Membership, PacketStats, PacketType, SendMeta, SockError, SockType, SocketId};
use crate::stack::Stack;
use crate::wire::ethernet::{self, Header};
use fanout::Group;
use filter::View;

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK`, for filters.
const ETHER: u16 = 1;
const LOOPBACK: u16 = 772;

/// The packet sockets of a stack.
#[derive(Debug, Default)]
pub(crate) struct Bpf {
    sockets: Vec<SocketId>,
    /// Those of them that share frames.
    groups: Vec<Group>,
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
        self.leave(id);
    }
}

/// A frame that is shown.
struct Shown<'a> {
    ifindex: IfIndex,
    header: Header,
    kind: PacketType,
    frame: &'a Mbuf,
}

impl Shown<'_> {
    /// Whether it is for those who are bound to this interface and EtherType; `own`: one of them has sent it.
    fn is_for(&self, ifindex: Option<IfIndex>, ethertype: u16, ignores_outgoing: bool, own: bool) -> bool {
        let leaves = self.kind == PacketType::Outgoing;
        let wanted = match ethertype {
            0 => false,
            ethernet::ALL => !(leaves && ignores_outgoing),
            // Linux shows what leaves to those only who asked for everything.
            t => t == self.header.ethertype && !leaves,
        };
        wanted && !(leaves && own) && ifindex.is_none_or(|i| i == self.ifindex)
    }

    /// As a filter sees it, whose data begin at `data`.
    fn view(&self, data: usize, ip: &Ip, random: u32) -> View<'_> {
        View {
            octets: self.frame.data(),
            data,
            net: ethernet::HEADER_LEN,
            link: Some(0),
            protocol: self.header.ethertype,
            packet_type: self.kind.number(),
            ifindex: self.ifindex.0,
            hatype: ip.ifs.get(self.ifindex).map_or(0, Ifnet::hatype),
            random,
        }
    }
}

impl From<Cast> for PacketType {
    fn from(cast: Cast) -> PacketType {
        match cast {
            Cast::Unicast => PacketType::Host,
            Cast::Broadcast => PacketType::Broadcast,
            Cast::Multicast => PacketType::Multicast,
        }
    }
}

impl Ifnet {
    /// `ARPHRD_*`, for filters.
    pub(crate) fn hatype(&self) -> u16 {
        if self.loopback { LOOPBACK } else { ETHER }
    }
}

impl Stack {
    /// Shows a frame that came in (`cast`: `None` if it was for another station).
    pub(crate) fn bpf_input(&mut self, ifindex: IfIndex, header: &Header, cast: Option<Cast>, frame: &Mbuf) {
        if self.bpf.is_idle() {
            return;
        }
        let kind = cast.map_or(PacketType::OtherHost, PacketType::from);
        // The wire may give more than the interface wants: somebody else's name for it is in use.
        if self.ip.ifs.get(ifindex).is_some_and(|i| i.hears(header.dst, kind)) {
            self.bpf_show(ifindex, header, kind, frame);
        }
    }

    /// Shows a frame that leaves; not to the socket that sent it.
    pub(crate) fn bpf_output(&mut self, ifindex: IfIndex, frame: &Mbuf) {
        if !self.bpf.is_idle()
            && let Some(header) = Header::parse(frame.data())
        {
            self.bpf_show(ifindex, &header, PacketType::Outgoing, frame);
        }
    }

    fn bpf_show(&mut self, ifindex: IfIndex, header: &Header, kind: PacketType, frame: &Mbuf) {
        let shown = Shown { ifindex, header: *header, kind, frame };
        for i in 0..self.bpf.sockets.len() {
            let id = self.bpf.sockets[i];
            let alone = !self.bpf.groups.iter().any(|group| group.members.contains(&id));
            let Some(Entry::Datagram(s)) = self.sockets.get(id) else { continue };
            let own = frame.owner == Some(id);
            if alone && shown.is_for(s.packet.ifindex, s.packet.ethertype, s.opts.ignore_outgoing, own) {
                self.bpf_deliver(id, &shown);
            }
        }
        for i in 0..self.bpf.groups.len() {
            let group = &mut self.bpf.groups[i];
            let own = frame.owner.is_some_and(|owner| group.members.contains(&owner));
            if !shown.is_for(group.ifindex, group.ethertype, group.ignores_outgoing(), own) {
                continue;
            }
            let view = shown.view(0, &self.ip, 0);
            let id = group.member(&mut self.ip, &mut self.sockets, &view);
            self.bpf_deliver(id, &shown);
        }
    }

    /// Puts a frame into a socket, if its filter wants it.
    fn bpf_deliver(&mut self, id: SocketId, shown: &Shown<'_>) {
        let Some(Entry::Datagram(s)) = self.sockets.get(id) else { return };
        let at = if s.ty == SockType::PacketDgram { ethernet::HEADER_LEN } else { 0 };
        let wanted = match s.opts.filter.clone() {
            Some(filter) => {
                let random = self.ip.random() as u32;
                filter.run(&shown.view(at, &self.ip, random)) as usize
            }
            None => usize::MAX,
        };
        if wanted == 0 {
            return;
        }
        let Shown { ifindex, header, kind, frame } = *shown;
        let mut m = self.ip.copy(frame.data());
        m.offload = frame.offload;
        m.complete_checksum(0);
        m.truncate(wanted.saturating_add(at));
        let link = LinkAddr { ifindex, ethertype: header.ethertype, mac: header.src, kind };
        let datagram = Datagram {
            m,
            at,
            wire_len: frame.len() - at,
            from: None,
            local: None,
            ifindex,
            ttl: 0,
            tos: 0,
            time: self.ip.now,
            link: Some(link),
            error: None,
            path_mtu: None,
        };
        let taken = self.datagram_push(id, datagram);
        if let Ok(s) = self.sockets.datagram(id) {
            s.packet.stats.packets += 1;
            s.packet.stats.drops += u32::from(!taken);
        }
    }

    /// What a packet socket has got since this was last asked (PACKET_STATISTICS).
    pub fn packet_stats(&mut self, id: SocketId) -> Result<PacketStats, SockError> {
        Ok(core::mem::take(&mut self.packet_socket(id)?.packet.stats))
    }

    /// What a packet socket is bound to: the interface (`None`: all) and the EtherType (0: nothing yet).
    pub fn packet_binding(&mut self, id: SocketId) -> Result<(Option<IfIndex>, u16), SockError> {
        let packet = &self.packet_socket(id)?.packet;
        Ok((packet.ifindex, packet.ethertype))
    }

    fn packet_socket(&mut self, id: SocketId) -> Result<&mut Socket, SockError> {
        let s = self.sockets.datagram(id)?;
        if s.kind == Kind::Packet { Ok(s) } else { Err(SockError::OpNotSupported) }
    }

    /// Binds a packet socket to an interface (`None`: all) and an EtherType ([`ethernet::ALL`]: every). One of a group
    /// ([`Stack::packet_join_fanout`]) stays as it is.
    pub fn bind_packet(
        &mut self,
        id: SocketId,
        ifindex: Option<IfIndex>,
        ethertype: u16,
    ) -> Result<(), SockError> {
        if ifindex.is_some_and(|i| self.ip.ifs.get(i).is_none()) {
            return Err(SockError::NoDevice);
        }
        if self.packet_fanout(id)?.is_some() {
            return Err(SockError::Invalid);
        }
        let s = self.packet_socket(id)?;
        s.packet.ifindex = ifindex;
        s.packet.ethertype = ethertype;
        Ok(())
    }

    /// A packet socket wants more frames of an interface (PACKET_ADD_MEMBERSHIP), for itself and so for all.
    pub(crate) fn packet_join(
        &mut self,
        id: SocketId,
        ifindex: IfIndex,
        what: Membership,
    ) -> Result<(), SockError> {
        if self.ip.ifs.get(ifindex).is_none() {
            return Err(SockError::NoDevice);
        }
        self.packet_socket(id)?.memberships.push((ifindex, what));
        self.widen(ifindex, what, 1);
        Ok(())
    }

    /// Takes that back, once.
    pub(crate) fn packet_leave(
        &mut self,
        id: SocketId,
        ifindex: IfIndex,
        what: Membership,
    ) -> Result<(), SockError> {
        let memberships = &mut self.packet_socket(id)?.memberships;
        let place = memberships.iter().position(|m| *m == (ifindex, what));
        memberships.remove(place.ok_or(SockError::AddrNotAvailable)?);
        self.widen(ifindex, what, -1);
        Ok(())
    }

    /// One socket more or less wants that.
    pub(crate) fn widen(&mut self, ifindex: IfIndex, what: Membership, change: i32) {
        let Some(i) = self.ip.ifs.get_mut(ifindex) else { return };
        i.filter_generation += 1;
        let count = match what {
            Membership::Promiscuous => &mut i.promiscuous,
            Membership::AllMulticast => &mut i.all_multicast,
            Membership::Multicast(mac) => i.link_groups.entry(mac).or_insert(0),
        };
        *count = count.saturating_add_signed(change);
        i.link_groups.retain(|_, sockets| *sockets > 0);
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
        let ifindex = meta.link.map(|l| l.ifindex).or(s.packet.ifindex).ok_or(SockError::NoAddress)?;
        let ifnet = self.ip.ifs.get(ifindex).ok_or(SockError::NoAddress)?;
        let loopback = ifnet.loopback;
        if !ifnet.usable() {
            return Err(SockError::NetDown);
        }
        let header = if ty == SockType::PacketDgram { 0 } else { ethernet::HEADER_LEN };
        if data.len() > ifnet.mtu as usize + header {
            return Err(SockError::MsgSize);
        }
        if data.len() < header {
            return Err(SockError::Invalid);
        }
        let src = ifnet.mac;
        let mut m = self.ip.copy(data);
        if ty == SockType::PacketDgram {
            let Some(LinkAddr { mac: dst, ethertype, .. }) = meta.link else {
                self.ip.free(m);
                return Err(SockError::Invalid);
            };
            Header { dst, src, ethertype }.emit(m.prepend(ethernet::HEADER_LEN));
        }
        m.owner = Some(id);
        if loopback {
            self.packet_loop(ifindex, m);
        } else {
            m.charge = m.len() as u32;
            self.sockets.datagram(id)?.tx_octets += m.len();
            self.ip.if_output(ifindex, m);
        }
        self.settle();
        Ok(data.len())
    }

    /// A frame sent on `lo`: it is seen leaving, and comes in.
    fn packet_loop(&mut self, ifindex: IfIndex, mut m: Mbuf) {
        self.bpf_output(ifindex, &m);
        m.owner = None;
        let Some(header) = Header::parse(m.data()) else { return self.ip.free(m) };
        let cast = (header.dst == MacAddr::default()).then_some(Cast::Unicast);
        if let Some(lo) = self.ip.ifs.get_mut(ifindex) {
            (lo.counters.in_packets, lo.counters.out_packets) =
                (lo.counters.in_packets + 1, lo.counters.out_packets + 1);
            lo.counters.in_octets += m.len() as u64;
            lo.counters.out_octets += m.len() as u64;
        }
        self.bpf_input(ifindex, &header, cast, &m);
        if cast.is_some() && header.ethertype == ethernet::IPV4 {
            m.trim_front(ethernet::HEADER_LEN);
            return self.ip_loop_input(ifindex, m);
        }
        self.ip.free(m);
    }
}
