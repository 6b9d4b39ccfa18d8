//! Small tables that programs look at: queueing disciplines (every interface's is `noqueue`), the parameters of
//! neighbour discovery, `net.ipv4.conf` (RTM_GETQDISC, RTM_GETNEIGHTBL, RTM_GETNETCONF).

use super::link::QDISC;
use super::message::Payload;
use super::rtnl::{INET, Served};
use crate::kernel::Kernel;
use netlink_packet_core::{DefaultNla, Emitable};
use netlink_packet_route::neighbour_table::{
    NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcHeader, TcMessage};
use netstack::stack::NeighConfig;
use netstack::time::Duration;
use std::net::Ipv4Addr;

/// `RTM_NEWQDISC`, `RTM_NEWNEIGHTBL`, `RTM_NEWNETCONF`.
const NEWQDISC: u16 = 36;
const NEWNEIGHTBL: u16 = 64;
const NEWNETCONF: u16 = 80;
/// Packets that wait for all of one neighbour's packets, in octets (Linux's `unres_qlen_bytes`).
const QUEUE_OCTETS: u32 = 212_992;
/// Linux's thresholds of garbage collection below the table's size.
const THRESHOLDS: (u32, u32) = (128, 512);
/// `NETCONFA_*`, and the index of what holds for all and for new interfaces.
const NETCONFA_IFINDEX: u16 = 1;
const NETCONFA_FORWARDING: u16 = 2;
const NETCONFA_RP_FILTER: u16 = 3;
const NETCONFA_MC_FORWARDING: u16 = 4;
const NETCONFA_PROXY_NEIGH: u16 = 5;
const NETCONFA_LINKDOWN: u16 = 6;
const NETCONFA_BC_FORWARDING: u16 = 8;
const ALL: u32 = -1_i32 as u32;
const DEFAULT: u32 = -2_i32 as u32;

/// RTM_GETQDISC for all.
pub(super) fn qdiscs(kernel: &Kernel) -> Vec<Payload> {
    let of = |ifnet: &netstack::net::ifnet::Ifnet| {
        let header = TcHeader {
            index: ifnet.index.0 as i32,
            parent: TcHandle::ROOT,
            info: 2, // the count of its users
            ..TcHeader::default()
        };
        let kind = TcAttribute::Kind(QDISC.to_owned());
        Payload::new(NEWQDISC, &TcMessage::from_parts(header, vec![kind, TcAttribute::HwOffload(0)]))
    };
    kernel.stack.borrow().interfaces().map(of).collect()
}

/// RTM_GETNEIGHTBL: ARP's table, then what holds for each interface.
pub(super) fn neighbour_tables(kernel: &Kernel, served: Served) -> Vec<Payload> {
    if !served.has(Ipv4Addr::UNSPECIFIED.into()) {
        return Vec::new();
    }
    let stack = kernel.stack.borrow();
    let config = &stack.config().neigh;
    let message = |attributes: Vec<NeighbourTableAttribute>| {
        let mut message = NeighbourTableMessage::default();
        message.header.family = INET.into();
        message.attributes = vec![NeighbourTableAttribute::Name("arp_cache".to_owned())];
        message.attributes.extend(attributes);
        Payload::new(NEWNEIGHTBL, &message)
    };
    let table = message(vec![
        NeighbourTableAttribute::GcInterval(millis(Duration::from_secs(30))),
        NeighbourTableAttribute::Threshold1(THRESHOLDS.0),
        NeighbourTableAttribute::Threshold2(THRESHOLDS.1),
        NeighbourTableAttribute::Threshold3(u32::try_from(config.entries).unwrap_or(u32::MAX)),
        NeighbourTableAttribute::Parms(parameters(config, None)),
    ]);
    let interfaces = stack
        .interfaces()
        .map(|ifnet| message(vec![NeighbourTableAttribute::Parms(parameters(config, Some(ifnet.index.0)))]));
    std::iter::once(table).chain(interfaces).collect()
}

fn parameters(config: &NeighConfig, ifindex: Option<u32>) -> Vec<NeighbourTableParameter> {
    let mut parameters: Vec<_> = ifindex.map(NeighbourTableParameter::Ifindex).into_iter().collect();
    parameters.extend([
        NeighbourTableParameter::ReferenceCount(1),
        NeighbourTableParameter::QueueLenbytes(QUEUE_OCTETS),
        NeighbourTableParameter::QueueLen(u32::try_from(config.queue).unwrap_or(u32::MAX)),
        NeighbourTableParameter::ProxyQlen(0),
        NeighbourTableParameter::AppProbes(0),
        NeighbourTableParameter::UcastProbes(config.unicast_solicits.into()),
        NeighbourTableParameter::McastProbes(config.multicast_solicits.into()),
        NeighbourTableParameter::McastReprobes(0),
        NeighbourTableParameter::ReachableTime(millis(config.reachable_time)),
        NeighbourTableParameter::BaseReachableTime(millis(config.reachable_time)),
        NeighbourTableParameter::GcStaletime(millis(Duration::from_secs(60))),
        NeighbourTableParameter::DelayProbeTime(millis(config.delay_first_probe)),
        NeighbourTableParameter::RetransTime(millis(config.retrans)),
        NeighbourTableParameter::AnycastDelay(0),
        NeighbourTableParameter::ProxyDelay(0),
        NeighbourTableParameter::Locktime(0),
    ]);
    parameters
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// RTM_GETNETCONF for all.
pub(super) fn netconf(kernel: &Kernel, served: Served) -> Vec<Payload> {
    if !served.has(Ipv4Addr::UNSPECIFIED.into()) {
        return Vec::new();
    }
    let stack = kernel.stack.borrow();
    let forwarding = u32::from(stack.forwarding());
    let of = |ifindex: u32| {
        let word = |kind: u16, value: u32| DefaultNla::new(kind, value.to_le_bytes().to_vec());
        let mut attributes = vec![word(NETCONFA_IFINDEX, ifindex), word(NETCONFA_FORWARDING, forwarding)];
        for kind in [
            NETCONFA_RP_FILTER,
            NETCONFA_MC_FORWARDING,
            NETCONFA_BC_FORWARDING,
            NETCONFA_PROXY_NEIGH,
            NETCONFA_LINKDOWN,
        ] {
            attributes.push(word(kind, 0));
        }
        Payload::new(NEWNETCONF, &Netconf { attributes })
    };
    let interfaces = stack.interfaces().map(|ifnet| of(ifnet.index.0));
    interfaces.chain([of(ALL), of(DEFAULT)]).collect()
}

/// `struct netconfmsg` (a family, padded) and its attributes.
struct Netconf {
    attributes: Vec<DefaultNla>,
}

impl Emitable for Netconf {
    fn buffer_len(&self) -> usize {
        4 + self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer[0] = INET;
        self.attributes.as_slice().emit(&mut buffer[4..]);
    }
}
