//! `/proc/net`: interfaces, routes, neighbours; and the table of all files there.

use super::{
    Opened, directory_of, proc_net_groups as groups, proc_net_inet6 as inet6, proc_net_sockets as sockets,
    proc_net_stat as stat,
};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use netstack::net::IfIndex;
use netstack::net::neigh::NudState;
use netstack::net::route::{Route, RouteKind};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Writes a file as it is at this moment.
type Writer = fn(&Kernel) -> String;

/// Every file.
const FILES: &[(&str, Writer)] = &[
    ("anycast6", |_| String::new()),
    ("arp", arp),
    ("dev", dev),
    ("dev_mcast", dev_mcast),
    ("fib_trie", fib_trie),
    ("icmp", sockets::icmp),
    ("icmp6", sockets::icmp6),
    ("if_inet6", inet6::if_inet6),
    ("igmp", groups::igmp),
    ("igmp6", groups::igmp6),
    ("ip6_mr_cache", |_| IP6_MR_CACHE.to_owned()),
    ("ip6_mr_vif", |_| IP6_MR_VIF.to_owned()),
    ("ip_mr_cache", |_| IP_MR_CACHE.to_owned()),
    ("ip_mr_vif", |_| IP_MR_VIF.to_owned()),
    ("ipv6_route", inet6::ipv6_route),
    ("mcfilter", groups::mcfilter),
    ("mcfilter6", groups::mcfilter6),
    ("netlink", |_| NETLINK.to_owned()),
    ("netstat", stat::netstat),
    ("packet", sockets::packet),
    ("protocols", sockets::protocols),
    ("psched", |_| PSCHED.to_owned()),
    ("ptype", |_| PTYPE.to_owned()),
    ("raw", sockets::raw),
    ("raw6", sockets::raw6),
    ("route", route),
    ("rt_cache", |_| padded(RT_CACHE)),
    ("snmp", stat::snmp),
    ("snmp6", stat::snmp6),
    ("sockstat", sockets::sockstat),
    ("sockstat6", sockets::sockstat6),
    ("tcp", sockets::tcp),
    ("tcp6", sockets::tcp6),
    ("udp", sockets::udp),
    ("udp6", sockets::udp6),
    ("udplite", sockets::udplite),
    ("udplite6", sockets::udplite6),
    ("wireless", |_| WIRELESS.to_owned()),
];

/// The file or directory `below` `/proc/net`.
pub(super) fn open(kernel: &Kernel, below: &str) -> Result<Opened, Errno> {
    match FILES.iter().find(|(name, _)| *name == below) {
        Some((_, write)) => Ok(Opened::Octets(write(kernel).into_bytes())),
        None => directory_of(FILES.iter().map(|(name, _)| *name), below),
    }
}

/// Ticks of the packet scheduler's clock, and of the timer's, in nanoseconds: those of every kernel.
const PSCHED: &str = "000003e8 00000040 000f4240 3b9aca00\n";

// Tables that are empty here: nothing forwards multicast, no route is cached.
const IP_MR_CACHE: &str = "Group    Origin   Iif     Pkts    Bytes    Wrong Oifs\n";
const IP_MR_VIF: &str = "Interface      BytesIn  PktsIn  BytesOut PktsOut Flags Local    Remote\n";
const IP6_MR_CACHE: &str = "Group                            Origin                           Iif      Pkts  Bytes     Wrong  Oifs\n";
const IP6_MR_VIF: &str = "Interface      BytesIn  PktsIn  BytesOut PktsOut Flags\n";

const PTYPE: &str = "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n";

const RT_CACHE: &str = "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\tIRTT\tTOS\tHHRef\t\
                        HHUptod\tSpecDst";

const NETLINK: &str =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n";

const WIRELESS: &str = "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n \
                        face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n";

/// A row of a table whose rows are 127 columns and the end of the line.
fn padded(row: &str) -> String {
    format!("{row:<127}\n")
}

/// An IPv4 address as the word that it is in memory, in hexadecimal.
pub(super) fn hex4(addr: Ipv4Addr) -> String {
    format!("{:08X}", u32::from_le_bytes(addr.octets()))
}

/// An IPv6 address as 32 digits.
pub(super) fn hex6(addr: Ipv6Addr) -> String {
    format!("{:032x}", addr.to_bits())
}

pub(super) fn name(kernel: &Kernel, ifindex: IfIndex) -> String {
    kernel.stack.borrow().interface(ifindex).map_or_else(String::new, |ifnet| ifnet.name.clone())
}

fn dev(kernel: &Kernel) -> String {
    let mut text = String::from(concat!(
        "Inter-|   Receive                                                |  Transmit\n",
        " face |bytes    packets errs drop fifo frame compressed multicast|",
        "bytes    packets errs drop fifo colls carrier compressed\n"
    ));
    let stack = kernel.stack.borrow();
    for ifnet in stack.interfaces() {
        let c = &ifnet.counters;
        let _ = writeln!(
            text,
            "{:>6}: {:>7} {:>7} {:>4} {:>4} {:>4} {:>5} {:>10} {:>9} {:>8} {:>7} {:>4} {:>4} {:>4} {:>5} {:>7} {:>10}",
            ifnet.name,
            c.in_octets,
            c.in_packets,
            0,
            c.in_discards,
            0,
            0,
            0,
            c.in_multicast,
            c.out_octets,
            c.out_packets,
            0,
            c.out_discards,
            0,
            0,
            0,
            0
        );
    }
    text
}

fn arp(kernel: &Kernel) -> String {
    // Neighbours age by the clock, which the stack only learns when it is told.
    kernel.stack.borrow_mut().handle_timeout(kernel.clock());
    let mut text =
        String::from("IP address       HW type     Flags       HW address            Mask     Device\n");
    let stack = kernel.stack.borrow();
    for n in stack.neighbours().filter(|n| n.addr.is_ipv4()) {
        let flags = match n.state {
            NudState::Incomplete | NudState::Failed => 0x0,
            NudState::Reachable | NudState::Stale | NudState::Delay | NudState::Probe => 0x2, // ATF_COM
            NudState::Permanent => 0x6,                                                       // and ATF_PERM
        };
        let mac = n.mac.unwrap_or_default().to_string();
        let _ = writeln!(
            text,
            "{:<16} 0x{:<10x}0x{:<10x}{mac:<17}     *        {}",
            n.addr.to_string(),
            1,
            flags,
            name(kernel, n.ifindex)
        );
    }
    text
}

/// Routes that Linux would have: those of an interface that is down are gone there, and kept here.
pub(super) fn live_routes(kernel: &Kernel) -> Vec<Route> {
    let stack = kernel.stack.borrow();
    let up = |ifindex| stack.interface(ifindex).is_some_and(|ifnet| ifnet.up);
    let mut routes: Vec<Route> = stack.routes().filter(|r| r.dev.is_none_or(up)).copied().collect();
    // As a trie is walked: by address, and of one address the longest prefix first.
    routes.sort_by_key(|r| (r.to.network(), core::cmp::Reverse(r.to.prefix_len()), r.metric));
    routes
}

fn is_reject(route: &Route) -> bool {
    match route.kind {
        RouteKind::Unreachable | RouteKind::Prohibit => true,
        RouteKind::Unicast | RouteKind::Local | RouteKind::Broadcast | RouteKind::Blackhole => false,
    }
}

const RTF_UP: u16 = 0x1;
const RTF_GATEWAY: u16 = 0x2;
const RTF_HOST: u16 = 0x4;
const RTF_REJECT: u16 = 0x200;

fn flags(route: &Route) -> u16 {
    let mut flags = RTF_UP;
    if route.via.is_some() {
        flags |= RTF_GATEWAY;
    }
    if route.to.prefix_len() == route.to.max_prefix_len() {
        flags |= RTF_HOST;
    }
    if is_reject(route) {
        flags |= RTF_REJECT;
    }
    flags
}

fn route(kernel: &Kernel) -> String {
    let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
    let mut text = padded(header);
    for route in live_routes(kernel) {
        let (IpAddr::V4(to), IpAddr::V4(mask)) = (route.to.network(), route.to.netmask()) else { continue };
        let via = match route.via {
            Some(IpAddr::V4(via)) => via,
            Some(IpAddr::V6(_)) | None => Ipv4Addr::UNSPECIFIED,
        };
        let dev = route.dev.map_or_else(|| "*".to_owned(), |dev| name(kernel, dev));
        text += &padded(&format!(
            "{dev}\t{}\t{}\t{:04X}\t0\t0\t{}\t{}\t0\t0\t0",
            hex4(to),
            hex4(via),
            flags(&route),
            route.metric,
            hex4(mask)
        ));
    }
    text
}

fn dev_mcast(kernel: &Kernel) -> String {
    let stack = kernel.stack.borrow();
    let mut text = String::new();
    for ifnet in stack.interfaces().filter(|ifnet| ifnet.up && !ifnet.loopback) {
        for mac in ifnet.rx_filter().multicast {
            let mac: String = mac.0.iter().map(|octet| format!("{octet:02x}")).collect();
            let _ = writeln!(text, "{:<4} {:<15} {:<5} {:<5} {mac}", ifnet.index.0, ifnet.name, 1, 0);
        }
    }
    text
}

/// The routes by address, all of them leaves of one node: the shape that Linux's trie has besides is its own affair.
fn fib_trie(kernel: &Kernel) -> String {
    let stack = kernel.stack.borrow();
    let mut routes: Vec<Route> = stack.routes().chain(stack.local_routes()).copied().collect();
    routes.retain(|r| r.to.addr().is_ipv4());
    routes.sort_by_key(|r| (r.to.network(), core::cmp::Reverse(r.to.prefix_len()), r.metric));
    let mut tree = String::new();
    let mut last = None;
    for route in &routes {
        let network = route.to.network();
        if last.replace(network) != Some(network) {
            let _ = writeln!(tree, "     |-- {network}");
        }
        let (scope, kind) = match route.kind {
            RouteKind::Unicast if route.via.is_none() => ("link", "UNICAST"),
            RouteKind::Unicast => ("universe", "UNICAST"),
            RouteKind::Local => ("host", "LOCAL"),
            RouteKind::Broadcast => ("link", "BROADCAST"),
            RouteKind::Blackhole => ("universe", "BLACKHOLE"),
            RouteKind::Unreachable => ("universe", "UNREACHABLE"),
            RouteKind::Prohibit => ("universe", "PROHIBIT"),
        };
        let _ = writeln!(tree, "        /{} {scope} {kind}", route.to.prefix_len());
    }
    // Both tables are one as long as there are no rules.
    let root = "  +-- 0.0.0.0/0 0 0 0\n";
    format!("Main:\n{root}{tree}Local:\n{root}{tree}")
}
