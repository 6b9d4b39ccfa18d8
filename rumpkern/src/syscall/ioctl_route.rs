//! ioctl(2) with a `struct rtentry`: `SIOCADDRT` and `SIOCDELRT`, as `route add` and `route del` of net-tools and busybox
//! make them.

use super::Errno;
use super::ioctl_ifreq::{device, inet, labelled, name};
use crate::kernel::Kernel;
use ipnet::{IpNet, Ipv4Net};
use netstack::net::route::{Route, RouteError, RouteKind, RouteProto};
use netstack::stack::Stack;
use std::net::{IpAddr, Ipv4Addr};

/// Octets of a `struct rtentry` of 64 bits.
pub(super) const RTENTRY: usize = 120;
/// Where the pointer to the interface's name is in it.
pub(super) const DEV: usize = 88;

/// Places of its other fields: three `struct sockaddr`, flags, metric.
const DST: usize = 8;
const GATEWAY: usize = 24;
const GENMASK: usize = 40;
const FLAGS: usize = 56;
const METRIC: usize = 80;

const RTF_GATEWAY: u16 = 0x2;
const RTF_HOST: u16 = 0x4;
const RTF_REJECT: u16 = 0x200;

/// Adds or removes the route that `arg` and the name `dev` describe.
pub(super) fn change(kernel: &Kernel, arg: &[u8], dev: Option<&[u8]>, add: bool) -> Result<i32, Errno> {
    let wanted = read(kernel, arg, dev)?;
    let mut stack = kernel.stack.borrow_mut();
    let changed = match add {
        true => {
            let route = complete(&stack, wanted)?;
            stack.route_add(route)
        }
        false => {
            let route = find(&stack, &wanted).ok_or(Errno::ESRCH)?;
            stack.route_del(route)
        }
    };
    changed.map(|()| 0).map_err(|error| errno(&error))
}

/// A route, as far as the program has said it.
struct Wanted {
    route: Route,
    /// Whether it said that there is a gateway.
    gateway: bool,
}

fn read(kernel: &Kernel, arg: &[u8], dev: Option<&[u8]>) -> Result<Wanted, Errno> {
    let short = |at: usize| u16::from_ne_bytes([arg[at], arg[at + 1]]);
    let field = |at: usize| inet(&arg[at..at + 16]);
    let flags = short(FLAGS);
    let dst = field(DST).ok_or(Errno::EAFNOSUPPORT)?;
    let prefix = match flags & RTF_HOST != 0 {
        true => 32,
        false => {
            let mask = Ipv4Addr::from(core::array::from_fn(|i| arg[GENMASK + 4 + i]));
            // Old programs leave the family of the mask 0 that says nothing.
            if field(GENMASK).is_none() && (short(GENMASK) != 0 || !mask.is_unspecified()) {
                return Err(Errno::EAFNOSUPPORT);
            }
            ipnet::ipv4_mask_to_prefix(mask).map_err(|_| Errno::EINVAL)?
        }
    };
    let to = Ipv4Net::new(dst, prefix).map_err(|_| Errno::EINVAL)?;
    if to != to.trunc() {
        return Err(Errno::EINVAL);
    }
    let (mut ifindex, mut src) = (None, None);
    if let Some(octets) = dev {
        let name = name(octets)?;
        ifindex = Some(device(&kernel.stack.borrow(), name)?.index);
        // The name of an address: what is sent by the route comes from there.
        if name.contains(':') {
            src = Some(IpAddr::V4(labelled(kernel, name).ok_or(Errno::ENODEV)?.addr()));
        }
    }
    let gateway = field(GATEWAY).filter(|gateway| !gateway.is_unspecified()).map(IpAddr::V4);
    let (via, dev, kind) = match flags & RTF_REJECT != 0 {
        true => (None, None, RouteKind::Unreachable),
        false => (gateway, ifindex, RouteKind::Unicast),
    };
    let route = Route {
        to: IpNet::V4(to),
        via,
        dev,
        // One more than meant, so that 0 is none.
        metric: u32::from(short(METRIC)).saturating_sub(1),
        // Linux's own for what comes by this call.
        proto: RouteProto::Boot,
        kind,
        src,
    };
    Ok(Wanted { route, gateway: flags & RTF_GATEWAY != 0 && kind == RouteKind::Unicast })
}

/// The route to add: by the interface on whose link its gateway is.
fn complete(stack: &Stack, Wanted { route, gateway }: Wanted) -> Result<Route, Errno> {
    match (route.via, gateway) {
        (None, true) => Err(Errno::EINVAL),
        (None, false) if route.dev.is_none() && route.kind == RouteKind::Unicast => Err(Errno::ENODEV),
        (None, false) => Ok(route),
        // One that is not said to be a gateway must be a neighbour of nobody.
        (Some(_), false) => Err(Errno::ENETUNREACH),
        (Some(via), true) => {
            let on_link = |r: &&Route| {
                let leads = r.kind == RouteKind::Unicast && r.via.is_none() && r.to.contains(&via);
                leads && (route.dev.is_none() || r.dev == route.dev)
            };
            let best = stack.routes().filter(on_link).max_by_key(|r| r.to.prefix_len());
            let dev = best.and_then(|r| r.dev).ok_or(Errno::ENETUNREACH)?;
            Ok(Route { dev: Some(dev), ..route })
        }
    }
}

/// The first route that agrees with all that was said: what was not said may be anything.
fn find(stack: &Stack, wanted: &Wanted) -> Option<Route> {
    let Route { to, via, dev, metric, kind, .. } = wanted.route;
    let agrees = |r: &&Route| {
        r.to == to
            && r.kind == kind
            && (via.is_none() || r.via == via)
            && (dev.is_none() || r.dev == dev)
            && (metric == 0 || r.metric == metric)
    };
    stack.routes().filter(agrees).min_by_key(|r| r.metric).copied()
}

fn errno(error: &RouteError) -> Errno {
    match error {
        RouteError::Exists(_) => Errno::EEXIST,
        RouteError::NotFound(_) => Errno::ESRCH,
        RouteError::NoDevice(_) | RouteError::NoNextHop => Errno::ENODEV,
        RouteError::Gateway(_) => Errno::ENETUNREACH,
        RouteError::HostBits(_) | RouteError::Family { .. } | RouteError::Source(_) => Errno::EINVAL,
    }
}
