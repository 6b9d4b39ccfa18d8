//! RTM_NEWROUTE and RTM_DELROUTE, with the rules of Linux's `fib_table_insert` and `fib_table_delete`: routes of one
//! destination and metric exclude each other, are replaced, or are added to each other, as NLM_F_* say.
//!
//! One difference: a route that is appended becomes an equal-cost path of those that are there (as Linux has it for IPv6)
//! where IPv4 of Linux would keep it in reserve.

use super::Socket;
use super::message::{Answer, By, Refusal, Request, refusal};
use super::route::{self, LOCAL, MAIN, Paths};
use super::rtnl::{INET6, check_family};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use ipnet::{IpNet, Ipv4Net};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteNextHopFlags};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::net::route::{Route, RouteError, RouteKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `RTNH_F_ONLINK`
const ONLINK: u32 = 4;
/// `RT_SCOPE_NOWHERE`: any scope, in RTM_DELROUTE.
const NOWHERE: u8 = 255;

/// What a request says of a route.
#[derive(Debug)]
struct Asked {
    to: IpNet,
    table: u32,
    kind: u8,
    scope: u8,
    protocol: u8,
    metric: Option<u32>,
    src: Option<IpAddr>,
    /// One next hop for RTA_GATEWAY and RTA_OIF.
    hops: Vec<Hop>,
    multipath: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Hop {
    via: Option<IpAddr>,
    dev: Option<IfIndex>,
    onlink: bool,
}

fn asked(request: &Request<'_>) -> Result<Asked, Refusal> {
    check_family(request.body.first().copied().unwrap_or(0))?;
    let message: RouteMessage = request.parse()?;
    let header = &message.header;
    let inet6 = u8::from(header.address_family) == INET6;
    if header.destination_prefix_length > if inet6 { 128 } else { 32 } {
        return Err(refusal(Errno::EINVAL, "Invalid prefix length"));
    }
    if header.source_prefix_length != 0 || header.tos != 0 {
        return Err(refusal(Errno::EOPNOTSUPP, "routes go by destination alone here"));
    }
    let any = if inet6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let (mut dst, mut hop) = (any, Hop::default());
    hop.onlink = header.flags.bits() & ONLINK != 0;
    let mut asked = Asked {
        to: IpNet::V4(Ipv4Net::default()),
        table: header.table.into(),
        kind: header.kind.into(),
        scope: header.scope.into(),
        protocol: header.protocol.into(),
        metric: None,
        src: None,
        hops: Vec::new(),
        multipath: false,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(addr) => dst = of_family(addr, inet6)?,
            RouteAttribute::Gateway(addr) => hop.via = gateway(of_family(addr, inet6)?),
            RouteAttribute::Oif(oif) => hop.dev = Some(IfIndex(*oif)).filter(|dev| dev.0 != 0),
            RouteAttribute::PrefSource(addr) => asked.src = Some(of_family(addr, inet6)?),
            RouteAttribute::Priority(metric) => asked.metric = Some(*metric).filter(|metric| *metric != 0),
            RouteAttribute::Table(table) => asked.table = *table,
            RouteAttribute::MultiPath(hops) => {
                if hops.windows(2).any(|two| two[0].hops != two[1].hops) {
                    return Err(refusal(Errno::EOPNOTSUPP, "next hops have equal weights here"));
                }
                asked.multipath = true;
                for hop in hops {
                    asked.hops.push(next_hop(hop.interface_index, hop.flags, &hop.attributes, inet6)?);
                }
            }
            RouteAttribute::Metrics(metrics) if metrics.is_empty() => {}
            RouteAttribute::Metrics(_) => {
                return Err(refusal(Errno::EOPNOTSUPP, "routes have no metrics here"));
            }
            RouteAttribute::Via(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::EncapType(_)
            | RouteAttribute::NhId(_)
            | RouteAttribute::NewDestination(_)
            | RouteAttribute::NewDestinationAddress(_)
            | RouteAttribute::Expires(_)
            | RouteAttribute::Realm(_) => return Err(Errno::EOPNOTSUPP.into()),
            // What is told rather than asked for.
            _ => {}
        }
    }
    if (hop.via, hop.dev) != (None, None) {
        asked.hops.insert(0, hop);
    }
    asked.to = IpNet::new(dst, header.destination_prefix_length).map_err(|_| Errno::EINVAL)?;
    Ok(asked)
}

/// An address of the family that the request is of.
fn of_family(addr: &RouteAddress, inet6: bool) -> Result<IpAddr, Refusal> {
    match addr {
        RouteAddress::Inet(addr) if !inet6 => Ok(IpAddr::V4(*addr)),
        RouteAddress::Inet6(addr) if inet6 => Ok(IpAddr::V6(*addr)),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn gateway(addr: IpAddr) -> Option<IpAddr> {
    Some(addr).filter(|addr| !addr.is_unspecified())
}

fn next_hop(
    dev: u32,
    flags: RouteNextHopFlags,
    attributes: &[RouteAttribute],
    inet6: bool,
) -> Result<Hop, Refusal> {
    let mut hop = Hop { via: None, dev: Some(IfIndex(dev)).filter(|dev| dev.0 != 0), onlink: false };
    hop.onlink = flags.contains(RouteNextHopFlags::Onlink);
    for attribute in attributes {
        match attribute {
            RouteAttribute::Gateway(addr) => hop.via = gateway(of_family(addr, inet6)?),
            RouteAttribute::Realm(_) => {}
            _ => return Err(Errno::EOPNOTSUPP.into()),
        }
    }
    Ok(hop)
}

/// The table that a route of `kind` is in. EOPNOTSUPP: there is no other.
fn check_table(asked: u32, kind: RouteKind) -> Result<(), Refusal> {
    match asked {
        0 => Ok(()),
        MAIN | LOCAL if asked == route::table(kind) => Ok(()),
        _ => Err(refusal(
            Errno::EOPNOTSUPP,
            "the tables are main and local here, each with its types of routes",
        )),
    }
}

/// RTM_NEWROUTE
pub(super) fn add(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request)?;
    let kind = route::kind_of(asked.kind)?;
    check_table(asked.table, kind)?;
    if asked.to != asked.to.trunc() {
        return Err(refusal(Errno::EINVAL, "Invalid prefix for given prefix length"));
    }
    let plain = Route {
        metric: asked.metric.unwrap_or(usual_metric(asked.to)),
        proto: route::protocol_of(asked.protocol),
        src: asked.src,
        ..Route::special(asked.to, kind)
    };
    let come = match kind {
        RouteKind::Unicast => paths(&kernel.stack.borrow(), &plain, &asked.hops)?,
        _ => vec![plain],
    };
    let there: Vec<Paths> = {
        let stack = kernel.stack.borrow();
        let rivals = stack.routes().chain(stack.local_routes()).filter(|route| {
            (route.to, route.metric) == (asked.to, plain.metric)
                && route::table(route.kind) == route::table(kind)
        });
        route::grouped(rivals)
    };
    let (gone, flags) = match there.first() {
        Some(_) if request.excludes() => return Err(Errno::EEXIST.into()),
        Some(first) if request.replaces() => (first.clone(), NLM_F_REPLACE),
        _ if !request.creates() => return Err(Errno::ENOENT.into()),
        Some(_) if request.appends() => (Vec::new(), NLM_F_CREATE | NLM_F_APPEND),
        Some(_) | None => (Vec::new(), request.by(socket).flags),
    };
    if gone == come {
        return Ok(Answer::Done);
    }
    let by = By { flags, ..request.by(socket) };
    kernel.netlink_change(by, |stack, _| stack.route_replace(&gone, &come)).map_err(refused)?;
    Ok(Answer::Done)
}

/// The metric of a route of which none is said: IPv6's is Linux's `IP6_RT_PRIO_USER`.
fn usual_metric(to: IpNet) -> u32 {
    match to {
        IpNet::V4(_) => 0,
        IpNet::V6(_) => 1024,
    }
}

/// The routes by all next hops, each with its interface.
fn paths(stack: &Stack, plain: &Route, hops: &[Hop]) -> Result<Paths, Refusal> {
    if hops.is_empty() {
        return Err(Errno::ENODEV.into());
    }
    let by = |hop: &Hop| {
        if hop.dev.is_some_and(|dev| stack.interface(dev).is_none()) {
            return Err(Errno::ENODEV.into());
        }
        let dev = match (hop.via, hop.dev) {
            // Every link has the neighbours of the prefix of links, and which one is meant must be said.
            (Some(IpAddr::V6(via)), None) if via.is_unicast_link_local() => {
                return Err(refusal(Errno::EINVAL, "Nexthop device required for a link local gateway"));
            }
            (Some(IpAddr::V6(via)), dev) if via.is_unicast_link_local() => dev,
            (Some(via), dev) if !hop.onlink || dev.is_none() => {
                let invalid = refusal(Errno::ENETUNREACH, "Nexthop has invalid gateway");
                Some(on_link(stack, via, dev).ok_or(invalid)?)
            }
            (_, dev) => dev,
        };
        if dev.and_then(|dev| stack.interface(dev)).is_some_and(|ifnet| !ifnet.up) {
            return Err(refusal(Errno::ENETDOWN, "Device for nexthop is not up"));
        }
        Ok(Route { via: hop.via, dev, ..*plain })
    };
    hops.iter().map(by).collect()
}

/// The interface on whose link `via` is: `dev`, if one is named.
fn on_link(stack: &Stack, via: IpAddr, dev: Option<IfIndex>) -> Option<IfIndex> {
    let leads = |route: &&Route| {
        route.kind == RouteKind::Unicast
            && route.via.is_none()
            && route.to.contains(&via)
            && route.dev.is_some()
            && dev.is_none_or(|dev| route.dev == Some(dev))
    };
    stack.routes().filter(leads).max_by_key(|route| route.to.prefix_len()).and_then(|route| route.dev)
}

/// RTM_DELROUTE: the first route that agrees with all that is said.
pub(super) fn del(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request)?;
    if asked.to != asked.to.trunc() {
        return Err(refusal(Errno::EINVAL, "Invalid prefix for given prefix length"));
    }
    let gone = {
        let stack = kernel.stack.borrow();
        let local = if asked.table == LOCAL { Some(stack.local_routes()) } else { None };
        let main = if matches!(asked.table, 0 | MAIN) { Some(stack.routes()) } else { None };
        let all = local.into_iter().flatten().chain(main.into_iter().flatten());
        let agrees = |route: &&Route| {
            route.to == asked.to
                && (asked.kind == 0 || route::kind_of(asked.kind) == Ok(route.kind))
                && (asked.scope == NOWHERE || asked.scope == route::scope(route))
                && (asked.protocol == 0 || route::protocol_of(asked.protocol) == route.proto)
                && asked.metric.is_none_or(|metric| metric == route.metric)
                && asked.src.is_none_or(|src| route.src == Some(src))
        };
        let leads = |hop: &Hop, path: &Route| {
            (hop.via.is_none() || hop.via == path.via) && (hop.dev.is_none() || hop.dev == path.dev)
        };
        let mut found = route::grouped(all.filter(agrees)).into_iter();
        match asked.hops[..] {
            [] => found.next(),
            // Of several paths the one that is named goes.
            [hop] if !asked.multipath => found
                .find_map(|paths| paths.into_iter().find(|path| leads(&hop, path)))
                .map(|path| vec![path]),
            _ => found.find(|paths| {
                paths.len() == asked.hops.len()
                    && asked.hops.iter().all(|hop| paths.iter().any(|path| leads(hop, path)))
            }),
        }
    };
    let gone = gone.ok_or(Errno::ESRCH)?;
    kernel.netlink_change(request.by(socket), |stack, _| stack.route_replace(&gone, &[])).map_err(refused)?;
    Ok(Answer::Done)
}

fn refused(error: RouteError) -> Refusal {
    match error {
        RouteError::Exists(_) => Errno::EEXIST.into(),
        RouteError::NotFound(_) => Errno::ESRCH.into(),
        RouteError::NoDevice(_) | RouteError::NoNextHop => Errno::ENODEV.into(),
        RouteError::Source(_) => refusal(Errno::EINVAL, "Invalid prefsrc address"),
        RouteError::Gateway(_) => refusal(Errno::EINVAL, "Nexthop has invalid gateway"),
        RouteError::HostBits(_) => refusal(Errno::EINVAL, "Invalid prefix for given prefix length"),
        RouteError::Family { .. } => Errno::EINVAL.into(),
    }
}
