//! Ethernet: frames in from the wire, frames out to an interface's transmit queue. RFC 894, 1112.

use super::mbuf::Mbuf;
use super::{IfIndex, MacAddr};
use crate::netinet::Cast;
use crate::netinet::ip::Ip;
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::ethernet::{self, Header};

impl Stack {
    /// A frame from the wire: counts it, shows it to packet sockets, hands its payload to whom it concerns.
    pub(crate) fn ether_input(&mut self, ifindex: IfIndex, mut m: Mbuf) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return self.ip.discard(Drop::IfGone, m) };
        if !ifnet.usable() {
            ifnet.counters.in_discards += 1;
            return self.ip.discard(Drop::IfDown, m);
        }
        ifnet.counters.in_packets += 1;
        ifnet.counters.in_octets += m.len() as u64;
        let why = match Header::parse(m.data()) {
            None => Drop::EtherTruncated,
            Some(h) if h.src.is_multicast() => Drop::EtherBadSource,
            Some(_) if !m.offload.is_sound(m.len()) => Drop::OffloadInvalid,
            Some(header) => {
                let cast = match header.dst {
                    MacAddr::BROADCAST => Some(Cast::Broadcast),
                    d if d.is_multicast() => Some(Cast::Multicast),
                    d if d == ifnet.mac => Some(Cast::Unicast),
                    _ => None,
                };
                ifnet.counters.in_multicast += u64::from(header.dst.is_multicast());
                let wanted = cast != Some(Cast::Multicast) || ifnet.wants_group_mac(header.dst);
                self.bpf_input(ifindex, &header, cast, &m);
                match (cast, header.ethertype) {
                    (None, _) => Drop::EtherOtherHost,
                    (Some(_), _) if !wanted => Drop::EtherOtherGroup,
                    (Some(cast), ethernet::IPV4) => {
                        m.trim_front(ethernet::HEADER_LEN);
                        return self.ip_input(ifindex, m, cast);
                    }
                    (Some(cast), ethernet::IPV6) => {
                        m.trim_front(ethernet::HEADER_LEN);
                        return self.ip6_input(ifindex, m, cast);
                    }
                    (Some(_), ethernet::ARP) => {
                        m.trim_front(ethernet::HEADER_LEN);
                        return self.ip.arp_input(ifindex, m);
                    }
                    (Some(_), _) => Drop::EtherUnknownType,
                }
            }
        };
        if let Some(ifnet) = self.ip.ifs.get_mut(ifindex) {
            ifnet.counters.in_discards += 1;
        }
        self.ip.discard(why, m);
    }
}

impl Ip {
    /// Puts a header in front of `m` and queues the frame.
    pub(crate) fn ether_output(&mut self, ifindex: IfIndex, dst: MacAddr, ethertype: u16, mut m: Mbuf) {
        let src = self.ifs.get(ifindex).map_or(MacAddr::default(), |i| i.mac);
        Header { dst, src, ethertype }.emit(m.prepend(ethernet::HEADER_LEN));
        self.if_output(ifindex, m);
    }

    /// Queues a whole frame for the driver.
    pub(crate) fn if_output(&mut self, ifindex: IfIndex, m: Mbuf) {
        let limit = self.config.tx_queue;
        let why = match self.ifs.get_mut(ifindex) {
            None => Drop::IfGone,
            Some(i) if !i.usable() => {
                i.counters.out_discards += 1;
                Drop::IfDown
            }
            Some(i) if i.tx.len() >= limit => {
                i.counters.out_discards += 1;
                Drop::TxQueueFull
            }
            Some(i) => return i.tx.push(m),
        };
        self.discard(why, m);
    }
}
