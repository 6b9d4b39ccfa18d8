//! `/proc/net/ipv6_route` and `if_inet6`: routes and addresses of IPv6.

use super::proc_net::{hex6, live_routes, name};
use crate::kernel::Kernel;
use crate::netlink::addr6;
use ipnet::IpNet;
use netstack::Stack;
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::time::Instant;
use netstack::wire::ndp_router::Preference;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

pub(super) fn ipv6_route(kernel: &Kernel) -> String {
    let mut text = String::new();
    let locals: Vec<Route> = kernel.stack.borrow().local_routes().copied().collect();
    for route in live_routes(kernel).into_iter().chain(locals) {
        let IpAddr::V6(to) = route.to.network() else { continue };
        let via = match route.via {
            Some(IpAddr::V6(via)) => via,
            Some(IpAddr::V4(_)) | None => Ipv6Addr::UNSPECIFIED,
        };
        let flags = flags6(&kernel.stack.borrow(), &route);
        let dev = route.dev.map_or_else(|| "lo".to_owned(), |dev| name(kernel, dev));
        let _ = writeln!(
            text,
            "{} {:02x} {:032x} 00 {} {:08x} {:08x} {:08x} {flags:08x} {dev:>8}",
            hex6(to),
            route.to.prefix_len(),
            0,
            hex6(via),
            route.metric,
            1,
            0
        );
    }
    text
}

const RTF_UP: u32 = 0x1;
const RTF_GATEWAY: u32 = 0x2;
const RTF_REJECT: u32 = 0x200;
const RTF_DEFAULT: u32 = 0x1_0000;
const RTF_ADDRCONF: u32 = 0x4_0000;
const RTF_PREFIX_RT: u32 = 0x8_0000;
const RTF_NONEXTHOP: u32 = 0x20_0000;
const RTF_EXPIRES: u32 = 0x40_0000;
const RTF_ROUTEINFO: u32 = 0x80_0000;
const RTF_LOCAL: u32 = 0x8000_0000;
/// Where the preference of a router's route stands (RFC 4191's two bits).
const RTF_PREF: u32 = 27;

/// The flags of an IPv6 route, which differ from IPv4's: hosts have none of their own, and what routers tell is marked.
fn flags6(stack: &Stack, route: &Route) -> u32 {
    let up = RTF_UP;
    match route.kind {
        RouteKind::Local => return RTF_LOCAL | RTF_NONEXTHOP | up,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => {
            return RTF_REJECT | RTF_NONEXTHOP;
        }
        RouteKind::Unicast | RouteKind::Broadcast => {}
    }
    let gateway = if route.via.is_some() { RTF_GATEWAY } else { 0 };
    let (Some(dev), IpNet::V6(to)) = (route.dev, route.to) else { return up | gateway };
    let expires = |until: Option<Instant>| if until.is_some() { RTF_EXPIRES } else { 0 };
    let told = match route.proto {
        RouteProto::Ra => {
            let heard = stack.ra_routes(dev).find(|h| h.to == to && Some(IpAddr::V6(h.router)) == route.via);
            heard.map_or(0, |heard| {
                let what = if to.prefix_len() == 0 { RTF_DEFAULT } else { RTF_ROUTEINFO };
                let preference = match heard.preference {
                    Preference::Medium => 0,
                    Preference::High => 1,
                    Preference::Low => 3,
                };
                RTF_ADDRCONF | what | preference << RTF_PREF | expires(heard.until)
            })
        }
        RouteProto::Kernel => {
            let prefix = stack.ra_prefixes(dev).find(|(prefix, _)| *prefix == to);
            prefix.map_or(0, |(_, until)| RTF_ADDRCONF | RTF_PREFIX_RT | expires(until))
        }
        RouteProto::Boot | RouteProto::Static | RouteProto::Dhcp | RouteProto::Other(_) => 0,
    };
    up | gateway | told
}

pub(super) fn if_inet6(kernel: &Kernel) -> String {
    let stack = kernel.stack.borrow();
    let mut text = String::new();
    for ifnet in stack.interfaces() {
        for net in ifnet.addrs() {
            let IpAddr::V6(addr) = net.addr() else { continue };
            // Flags as far as they fit; IPV6_ADDR_LOOPBACK, _LINKLOCAL, global.
            let known = stack.addr6(ifnet.index, addr);
            let flags = known.map_or(0, |known| addr6::flags(&known, kernel.now())) as u8;
            let scope = match addr {
                _ if addr.is_loopback() => 0x10,
                _ if addr.segments()[0] & 0xffc0 == 0xfe80 => 0x20,
                _ => 0x00,
            };
            let _ = writeln!(
                text,
                "{} {:02x} {:02x} {scope:02x} {flags:02x} {:>8}",
                hex6(addr),
                ifnet.index.0,
                net.prefix_len(),
                ifnet.name
            );
        }
    }
    text
}
