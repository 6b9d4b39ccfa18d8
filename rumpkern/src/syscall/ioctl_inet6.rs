//! ioctl(2) on sockets of AF_INET6: addresses by `struct in6_ifreq`, routes by `struct in6_rtmsg`, as `ifconfig` and `route` of net-tools
//! and busybox make them. What they ask of an interface otherwise is any socket's.

use super::Errno;
use super::ioctl_ifreq::errno;
use crate::kernel::Kernel;
use ipnet::{IpNet, Ipv6Net};
use netstack::net::IfIndex;
use netstack::net::route::{Route, RouteError, RouteKind, RouteProto};
use netstack::netinet6::in6_ifaddr::AddrOrigin;
use netstack::stack::Stack;
use std::net::{IpAddr, Ipv6Addr};

/// Octets of a `struct in6_ifreq`: an address, the length of its prefix, an interface.
pub(super) const IN6_IFREQ: usize = 24;
/// Octets of a `struct in6_rtmsg` of 64 bits.
pub(super) const IN6_RTMSG: usize = 80;

/// Places of its fields; the destination comes first.
const GATEWAY: usize = 32;
const DST_LEN: usize = 52;
const SRC_LEN: usize = 54;
const METRIC: usize = 56;
const FLAGS: usize = 72;
const IFINDEX: usize = 76;

const RTF_GATEWAY: u32 = 0x2;
const RTF_REJECT: u32 = 0x200;
/// Linux's IP6_RT_PRIO_USER.
const USUAL_METRIC: u32 = 1024;

fn word(arg: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([arg[at], arg[at + 1], arg[at + 2], arg[at + 3]])
}

fn addr(arg: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(core::array::from_fn::<u8, 16, _>(|i| arg[at + i]))
}

/// A prefix of which so many bits count.
fn net(addr: Ipv6Addr, len: u32) -> Result<Ipv6Net, Errno> {
    let len = u8::try_from(len).map_err(|_| Errno::EINVAL)?;
    Ipv6Net::new(addr, len).map_err(|_| Errno::EINVAL)
}

/// SIOCSIFADDR, SIOCDIFADDR
pub(super) fn address(kernel: &Kernel, arg: &[u8], add: bool) -> Result<i32, Errno> {
    let (net, ifindex) = (net(addr(arg, 0), word(arg, 16))?, IfIndex(word(arg, 20)));
    let (now, mut stack) = (kernel.now(), kernel.stack.borrow_mut());
    stack.interface(ifindex).ok_or(Errno::ENODEV)?;
    let done = match add {
        true => stack.addr6_add(now, ifindex, net, AddrOrigin::Manual, (None, None)),
        false => stack.addr_del(now, ifindex, IpNet::V6(net)),
    };
    drop(stack);
    kernel.if_filters_changed();
    done.map(|()| 0).map_err(|error| errno(&error))
}

/// SIOCADDRT, SIOCDELRT
pub(super) fn route(kernel: &Kernel, arg: &[u8], add: bool) -> Result<i32, Errno> {
    let short = |at: usize| u16::from_ne_bytes([arg[at], arg[at + 1]]);
    let to = net(addr(arg, 0), short(DST_LEN).into())?;
    if short(SRC_LEN) != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = word(arg, FLAGS);
    let dev = Some(IfIndex(word(arg, IFINDEX))).filter(|dev| dev.0 != 0);
    let via = (flags & RTF_GATEWAY != 0).then(|| IpAddr::V6(addr(arg, GATEWAY)));
    let reject = flags & RTF_REJECT != 0;
    let asked = Route {
        to: IpNet::V6(to.trunc()),
        via: via.filter(|_| !reject),
        dev: dev.filter(|_| !reject),
        metric: word(arg, METRIC),
        // Linux's own for what comes by this call.
        proto: RouteProto::Boot,
        kind: if reject { RouteKind::Unreachable } else { RouteKind::Unicast },
        src: None,
    };
    let mut stack = kernel.stack.borrow_mut();
    if dev.is_some_and(|dev| stack.interface(dev).is_none()) {
        return Err(Errno::ENODEV);
    }
    let done = match add {
        true => {
            let route = complete(&stack, asked)?;
            stack.route_add(route)
        }
        false => {
            let route = find(&stack, &asked).ok_or(Errno::ESRCH)?;
            stack.route_del(route)
        }
    };
    done.map(|()| 0).map_err(|error| match error {
        RouteError::Exists(_) => Errno::EEXIST,
        RouteError::NotFound(_) => Errno::ESRCH,
        RouteError::NoDevice(_) | RouteError::NoNextHop => Errno::ENODEV,
        RouteError::Gateway(_) => Errno::EHOSTUNREACH,
        RouteError::HostBits(_) | RouteError::Family { .. } | RouteError::Source(_) => Errno::EINVAL,
    })
}

/// The route to add: with the usual metric, by the interface on whose link its gateway is.
fn complete(stack: &Stack, asked: Route) -> Result<Route, Errno> {
    let metric = if asked.metric == 0 { USUAL_METRIC } else { asked.metric };
    let dev = match (asked.via, asked.dev) {
        (None, None) if asked.kind == RouteKind::Unicast => return Err(Errno::ENODEV),
        // Which link's is not said.
        (Some(IpAddr::V6(via)), None) if via.is_unicast_link_local() => return Err(Errno::EINVAL),
        (Some(IpAddr::V6(via)), dev) if !via.is_unicast_link_local() => {
            let on_link = |r: &&Route| {
                let leads =
                    r.kind == RouteKind::Unicast && r.via.is_none() && r.to.contains(&IpAddr::V6(via));
                leads && (dev.is_none() || r.dev == dev)
            };
            let best = stack.routes().filter(on_link).max_by_key(|r| r.to.prefix_len());
            Some(best.and_then(|r| r.dev).ok_or(Errno::EHOSTUNREACH)?)
        }
        (_, dev) => dev,
    };
    Ok(Route { metric, dev, ..asked })
}

/// The first route that agrees with all that was said: what was not said may be anything.
fn find(stack: &Stack, asked: &Route) -> Option<Route> {
    let agrees = |r: &&Route| {
        r.to == asked.to
            && r.kind == asked.kind
            && (asked.via.is_none() || r.via == asked.via)
            && (asked.dev.is_none() || r.dev == asked.dev)
            && (asked.metric == 0 || r.metric == asked.metric)
    };
    stack.routes().filter(agrees).min_by_key(|r| r.metric).copied()
}
