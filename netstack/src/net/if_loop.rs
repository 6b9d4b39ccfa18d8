//! The loopback interface `lo`: what is sent to an own address comes back in without touching a wire.

use super::mbuf::Mbuf;
use super::{IfIndex, MacAddr};
use crate::netinet::Cast;
use crate::stack::Stack;
use crate::wire::ethernet::{self, Header};

impl Stack {
    /// An IP packet that looped, or a copy of one that was sent to a group or to all: comes in by `ifindex`.
    pub(crate) fn loop_input(&mut self, ifindex: IfIndex, m: Mbuf) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return self.ip.free(m) };
        if ifnet.loopback {
            ifnet.counters.in_packets += 1;
            ifnet.counters.in_octets += m.len() as u64;
            ifnet.counters.out_packets += 1;
            ifnet.counters.out_octets += m.len() as u64;
            self.bpf_loop(ifindex, &m);
        }
        match is_v6(&m) {
            true => self.ip6_loop_input(ifindex, m),
            false => self.ip_loop_input(ifindex, m),
        }
    }

    /// Shows a looped packet to packet sockets, which see Ethernet with zero addresses, as on Linux.
    fn bpf_loop(&mut self, ifindex: IfIndex, m: &Mbuf) {
        if self.bpf.is_idle() {
            return;
        }
        let ethertype = if is_v6(m) { ethernet::IPV6 } else { ethernet::IPV4 };
        let header = Header { dst: MacAddr::default(), src: MacAddr::default(), ethertype };
        let mut frame = self.ip.copy(m.data());
        frame.offload = m.offload;
        header.emit(frame.prepend(ethernet::HEADER_LEN));
        self.bpf_input(ifindex, &header, Some(Cast::Unicast), &frame);
        self.ip.free(frame);
    }
}

fn is_v6(m: &Mbuf) -> bool {
    m.data().first().is_some_and(|b| b >> 4 == 6)
}
