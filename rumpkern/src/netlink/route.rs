//! RTM_GETROUTE: the tables `main` and `local`, and where a packet would go.
//!
//! The stack's equal-cost paths are routes of their own; programs see those of one destination, metric and origin as
//! one route with several next hops, and change them so. A route whose interface is down is kept by the stack, unused: it
//! is shown as dead, where Linux would have removed it.

use super::message::{Answer, Payload, Refusal, Request, refusal};
use super::rtnl::{DELROUTE, INET6, NEWROUTE, Served, Strictness, check_family, family};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use ipnet::IpNet;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RoutePreference, RouteScope,
};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::stack::Way;
use netstack::time::Instant;
use netstack::wire::ndp_router::Preference;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of a `struct rtmsg`.
const HEADER: usize = 12;
/// `RT_TABLE_MAIN`, `RT_TABLE_LOCAL`.
pub(super) const MAIN: u32 = 254;
pub(super) const LOCAL: u32 = 255;
/// `RTM_F_CLONED`, `RTM_F_FIB_MATCH`; `RTCF_LOCAL`, `RTCF_BROADCAST`.
const CLONED: u32 = 0x200;
const FIB_MATCH: u32 = 0x2000;
const RTCF_LOCAL: u32 = 0x8000_0000;
const RTCF_BROADCAST: u32 = 0x1000_0000;
/// RTA_CACHEINFO: `struct rta_cacheinfo`, of which only the count of users and the end (in hundredths of a second) are known.
const RTA_CACHEINFO: u16 = 12;
const CACHEINFO: usize = 32;
const EXPIRES: usize = 8;
/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_LINK`, `RT_SCOPE_HOST`.
const UNIVERSE: u8 = 0;
const LINK: u8 = 253;
const HOST: u8 = 254;

/// The paths of one route, as programs see it; never none.
pub(super) type Paths = Vec<Route>;

/// `rtm_table`
pub(super) fn table(kind: RouteKind) -> u32 {
    match kind {
        RouteKind::Local | RouteKind::Broadcast => LOCAL,
        RouteKind::Unicast | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => MAIN,
    }
}

/// `rtm_type`
fn kind(kind: RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast => 1,
        RouteKind::Local => 2,
        RouteKind::Broadcast => 3,
        RouteKind::Blackhole => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
    }
}

/// The kind that a program may ask for. EINVAL: one that there is not.
pub(super) fn kind_of(number: u8) -> Result<RouteKind, Refusal> {
    match number {
        1 => Ok(RouteKind::Unicast),
        2 => Ok(RouteKind::Local),
        6 => Ok(RouteKind::Blackhole),
        7 => Ok(RouteKind::Unreachable),
        8 => Ok(RouteKind::Prohibit),
        3 | 4 | 5 | 9 | 10 => Err(Errno::EOPNOTSUPP.into()),
        _ => Err(refusal(Errno::EINVAL, "Invalid route type")),
    }
}

/// `rtm_protocol`
pub(super) fn protocol(proto: RouteProto) -> u8 {
    match proto {
        RouteProto::Kernel => 2,
        RouteProto::Boot => 3,
        RouteProto::Static => 4,
        RouteProto::Ra => 9,
        RouteProto::Dhcp => 16,
        RouteProto::Other(number) => number,
    }
}

/// Who makes a route, by the number.
pub(super) fn protocol_of(number: u8) -> RouteProto {
    match number {
        2 => RouteProto::Kernel,
        3 => RouteProto::Boot,
        4 => RouteProto::Static,
        9 => RouteProto::Ra,
        16 => RouteProto::Dhcp,
        number => RouteProto::Other(number),
    }
}

/// `rtm_scope`
pub(super) fn scope(route: &Route) -> u8 {
    match (route.kind, route.via) {
        // IPv6's routes have none.
        _ if route.to.addr().is_ipv6() => UNIVERSE,
        (RouteKind::Local, _) => HOST,
        (RouteKind::Broadcast, _) | (RouteKind::Unicast, None) => LINK,
        (RouteKind::Unicast, Some(_)) => UNIVERSE,
        (RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit, _) => UNIVERSE,
    }
}

/// Whether two paths belong to one route.
pub(super) fn is_one(a: &Route, b: &Route) -> bool {
    // As Linux: what routers tell stands alone, each with its own preference and end.
    let alone = |r: &Route| matches!(r.proto, RouteProto::Kernel | RouteProto::Ra);
    let chosen = |r: &Route| r.kind == RouteKind::Unicast && !alone(r);
    (a.to, a.metric, a.proto, a.src) == (b.to, b.metric, b.proto, b.src) && chosen(a) && chosen(b)
}

/// Routes as programs see them, in the order of their first paths. `routes` come by destination.
pub(super) fn grouped<'a>(routes: impl Iterator<Item = &'a Route>) -> Vec<Paths> {
    let mut all: Vec<Paths> = Vec::new();
    for route in routes {
        let here = all.iter_mut().rev().take_while(|paths| paths[0].to == route.to);
        match here.into_iter().find(|paths| is_one(&paths[0], route)) {
            Some(paths) => paths.push(*route),
            None => all.push(vec![*route]),
        }
    }
    all
}

/// RTM_GETROUTE for all.
pub(super) fn dump(
    kernel: &Kernel,
    request: &Request<'_>,
    served: Served,
    strict: Strictness,
) -> Result<Answer, Refusal> {
    let invalid = |text| Ok(Answer::NoDump(refusal(Errno::EINVAL, text)));
    if strict == Strictness::Strict && request.body.len() < HEADER {
        return invalid("ipv4: Invalid header for FIB dump request");
    }
    let mut message: RouteMessage = request.parse_padded(HEADER)?;
    let cloned = message.header.flags.bits() & CLONED != 0;
    if strict == Strictness::Lax {
        message = RouteMessage::default();
    }
    let header = &message.header;
    let aimed = header.destination_prefix_length != 0 || header.source_prefix_length != 0 || header.tos != 0;
    if aimed || u8::from(header.scope) != UNIVERSE {
        return invalid("ipv4: Invalid values in header for FIB dump request");
    }
    let mut filter = Filter::default();
    filter.table = Some(header.table.into()).filter(|table| *table != 0);
    filter.protocol = Some(header.protocol.into()).filter(|protocol| *protocol != 0);
    filter.kind = Some(header.kind.into()).filter(|kind| *kind != 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => filter.table = Some(*table),
            RouteAttribute::Oif(oif) => filter.dev = Some(IfIndex(*oif)),
            _ => return invalid("ipv4: Unsupported attribute in dump request"),
        }
    }
    let stack = kernel.stack.borrow();
    if filter.dev.is_some_and(|dev| stack.interface(dev).is_none()) {
        return Ok(Answer::NoDump(Errno::ENODEV.into()));
    }
    if filter.table.is_some_and(|table| !matches!(table, MAIN | LOCAL)) {
        return Ok(Answer::NoDump(refusal(Errno::ENOENT, "ipv4: FIB table does not exist")));
    }
    // Routes that were made for one destination (redirects, path MTUs) are not told.
    let (main, local) = (grouped(stack.routes()), grouped(stack.local_routes()));
    let shown = main.into_iter().chain(local);
    let shown = shown.filter(|paths| !cloned && served.has(paths[0].to.addr()) && filter.fits(paths));
    let now = kernel.now();
    let payloads = shown.map(|paths| payload(&stack, &paths, NEWROUTE, now)).collect();
    Ok(if filter == Filter::default() { Answer::Dump(payloads) } else { Answer::Filtered(payloads) })
}

/// What a dump is asked to hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    table: Option<u32>,
    protocol: Option<u8>,
    kind: Option<u8>,
    dev: Option<IfIndex>,
}

impl Filter {
    fn fits(&self, paths: &[Route]) -> bool {
        let route = &paths[0];
        self.table.is_none_or(|asked| asked == table(route.kind))
            && self.protocol.is_none_or(|asked| asked == protocol(route.proto))
            && self.kind.is_none_or(|asked| asked == kind(route.kind))
            && self.dev.is_none_or(|dev| paths.iter().any(|path| path.dev == Some(dev)))
    }
}

/// A route that is there (RTM_NEWROUTE) or is gone (RTM_DELROUTE).
pub(super) fn payload(stack: &Stack, paths: &[Route], kind: u16, now: Instant) -> Payload {
    debug_assert!(matches!(kind, NEWROUTE | DELROUTE));
    Payload::new(kind, &message(stack, paths, now))
}

fn message(stack: &Stack, paths: &[Route], now: Instant) -> RouteMessage {
    let route = &paths[0];
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(route.to.addr()).into(),
        destination_prefix_length: route.to.prefix_len(),
        table: table(route.kind) as u8,
        protocol: protocol(route.proto).into(),
        scope: scope(route).into(),
        kind: kind(route.kind).into(),
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(table(route.kind)));
    if route.to.prefix_len() > 0 {
        attributes.push(RouteAttribute::Destination(route.to.addr().into()));
    }
    if route.metric > 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    // Of IPv6 the source of the kernel's own is chosen anew for each packet (RFC 6724).
    let chosen = route.to.addr().is_ipv4() || route.proto != RouteProto::Kernel;
    let src = route.src.filter(|_| chosen);
    attributes.extend(src.map(|src| RouteAttribute::PrefSource(src.into())));
    if route.to.addr().is_ipv6() {
        let told = told(stack, route);
        attributes.push(RouteAttribute::Preference(told.preference));
        if !told.metrics.is_empty() {
            attributes.push(RouteAttribute::Metrics(told.metrics));
        }
        attributes.extend(told.until.map(|until| cache_info(Some(until), now)));
    }
    match paths {
        [path] => {
            message.header.flags = RouteFlags::from_bits_retain(hop_flags(stack, path).bits().into());
            attributes.extend(path.via.map(|via| RouteAttribute::Gateway(via.into())));
            attributes.extend(path.dev.map(|dev| RouteAttribute::Oif(dev.0)));
        }
        paths => {
            let hops = paths.iter().map(|path| {
                let mut hop = RouteNextHop::default();
                hop.flags = hop_flags(stack, path);
                hop.interface_index = path.dev.map_or(0, |dev| dev.0);
                hop.attributes.extend(path.via.map(|via| RouteAttribute::Gateway(via.into())));
                hop
            });
            attributes.push(RouteAttribute::MultiPath(hops.collect()));
        }
    }
    message
}

/// What routers say of a route, or of the link that it leads to.
struct Told {
    preference: RoutePreference,
    until: Option<Instant>,
    metrics: Vec<RouteMetric>,
}

/// As Linux: the route of a router has its preference and lifetime, a default one what is told of the link besides; that of a
/// prefix has the prefix's lifetime.
fn told(stack: &Stack, route: &Route) -> Told {
    let mut told = Told { preference: RoutePreference::Medium, until: None, metrics: Vec::new() };
    let (Some(dev), IpNet::V6(to)) = (route.dev, route.to) else { return told };
    match route.proto {
        RouteProto::Ra => {
            let heard = stack.ra_routes(dev).find(|h| h.to == to && Some(IpAddr::V6(h.router)) == route.via);
            let Some(heard) = heard else { return told };
            told.until = heard.until;
            told.preference = match heard.preference {
                Preference::Low => RoutePreference::Low,
                Preference::Medium => RoutePreference::Medium,
                Preference::High => RoutePreference::High,
            };
            if let Some(link) = stack.ra_link(dev).filter(|_| to.prefix_len() == 0) {
                told.metrics.extend(link.mtu.map(RouteMetric::Mtu));
                told.metrics.extend(link.hop_limit.map(|hops| RouteMetric::Hoplimit(hops.into())));
            }
        }
        RouteProto::Kernel => {
            told.until =
                stack.ra_prefixes(dev).find(|(prefix, _)| *prefix == to).and_then(|(_, until)| until);
        }
        RouteProto::Boot | RouteProto::Static | RouteProto::Dhcp | RouteProto::Other(_) => {}
    }
    told
}

fn cache_info(until: Option<Instant>, now: Instant) -> RouteAttribute {
    let mut cache = vec![0; CACHEINFO];
    cache[0] = 1;
    if let Some(until) = until {
        let hundredths = until.max(now).since(now).as_millis() / 10;
        let hundredths = i32::try_from(hundredths).unwrap_or(i32::MAX);
        cache[EXPIRES..EXPIRES + 4].copy_from_slice(&hundredths.to_le_bytes());
    }
    RouteAttribute::Other(DefaultNla::new(RTA_CACHEINFO, cache))
}

/// `RTNH_F_*`: whether the path can be used.
fn hop_flags(stack: &Stack, path: &Route) -> RouteNextHopFlags {
    let ifnet = path.dev.and_then(|dev| stack.interface(dev)).filter(|_| path.kind == RouteKind::Unicast);
    let mut flags = RouteNextHopFlags::empty();
    flags.set(RouteNextHopFlags::Dead, ifnet.is_some_and(|ifnet| !ifnet.up));
    flags.set(RouteNextHopFlags::Linkdown, ifnet.is_some_and(|ifnet| !ifnet.carrier));
    flags
}

/// RTM_GETROUTE for one destination: where a packet would go, or (RTM_F_FIB_MATCH) which route says so.
pub(super) fn get(kernel: &Kernel, request: &Request<'_>) -> Result<Answer, Refusal> {
    check_family(request.body.first().copied().unwrap_or(0))?;
    if request.body.len() < HEADER {
        return Err(refusal(Errno::EINVAL, "ipv4: Invalid header for route get request"));
    }
    let message: RouteMessage = request.parse()?;
    let any = match u8::from(message.header.address_family) {
        INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let (mut dst, mut dev) = (any, None);
    let mut user = 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(addr)) => dst = IpAddr::V4(*addr),
            RouteAttribute::Destination(RouteAddress::Inet6(addr)) => dst = IpAddr::V6(*addr),
            RouteAttribute::Oif(oif) => dev = Some(IfIndex(*oif)).filter(|dev| dev.0 != 0),
            RouteAttribute::Uid(uid) => user = *uid,
            RouteAttribute::Iif(iif) if *iif != 0 => {
                return Err(refusal(Errno::EOPNOTSUPP, "ipv4: no way is told of packets that come in"));
            }
            _ => {}
        }
    }
    let stack = kernel.stack.borrow();
    if dst.is_ipv4() != any.is_ipv4() {
        return Err(Errno::EINVAL.into());
    }
    let way = stack.way(dst, dev).map_err(Errno::from)?;
    if message.header.flags.bits() & FIB_MATCH != 0 {
        let paths = matched(&stack, dst).ok_or(Errno::ENETUNREACH)?;
        return Ok(Answer::One(payload(&stack, &paths, NEWROUTE, kernel.now())));
    }
    let route = matched(&stack, dst).map(|paths| paths[0]).filter(|_| dst.is_ipv6());
    let told = route.as_ref().map(|route| told(&stack, route));
    let message = way_message(dst, &way, route.as_ref(), told, user, kernel.now());
    Ok(Answer::One(Payload::new(NEWROUTE, &message)))
}

/// The route that a packet to `dst` follows.
fn matched(stack: &Stack, dst: IpAddr) -> Option<Paths> {
    let usable = |route: &Route| {
        route.kind != RouteKind::Unicast
            || route.dev.is_none_or(|dev| stack.interface(dev).is_some_and(|ifnet| ifnet.usable()))
    };
    let all = grouped(stack.local_routes()).into_iter().chain(grouped(stack.routes()));
    let fitting = all.filter(|paths| paths[0].to.contains(&dst) && paths.iter().any(usable));
    // Of the longest prefix the least metric; of equal ones the first.
    fitting.min_by_key(|paths| (core::cmp::Reverse(paths[0].to.prefix_len()), paths[0].metric))
}

/// Where a packet goes; of IPv6 Linux tells of the route that says so, too, and that it is a route of its own only when it is one.
fn way_message(
    dst: IpAddr,
    way: &Way,
    route: Option<&Route>,
    told: Option<Told>,
    user: u32,
    now: Instant,
) -> RouteMessage {
    let here = match way.kind {
        RouteKind::Local => RTCF_LOCAL,
        RouteKind::Broadcast => RTCF_BROADCAST,
        RouteKind::Unicast | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => 0,
    };
    let number = if dst.is_multicast() { 5 } else { kind(way.kind) };
    let id = route.map_or(MAIN, |route| table(route.kind));
    let cloned = if dst.is_ipv4() || way.told_mtu.is_some() { CLONED } else { 0 };
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(dst).into(),
        destination_prefix_length: IpNet::from(dst).prefix_len(),
        table: id as u8,
        scope: RouteScope::from(UNIVERSE),
        kind: number.into(),
        flags: RouteFlags::from_bits_retain(cloned | here),
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(id));
    attributes.push(RouteAttribute::Destination(dst.into()));
    if dst.is_ipv6() {
        message.header.source_prefix_length = IpNet::from(dst).prefix_len();
        attributes.push(RouteAttribute::Source(IpAddr::V6(Ipv6Addr::UNSPECIFIED).into()));
    }
    if let Some(route) = route {
        message.header.protocol = protocol(route.proto).into();
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    attributes.push(RouteAttribute::Oif(way.ifindex.0));
    attributes.extend(way.src.map(|src| RouteAttribute::PrefSource(src.into())));
    attributes.extend(way.via.map(|via| RouteAttribute::Gateway(via.into())));
    if dst.is_ipv4() {
        attributes.push(RouteAttribute::Uid(user));
    }
    let Told { preference, until, mut metrics } =
        told.unwrap_or(Told { preference: RoutePreference::Medium, until: None, metrics: Vec::new() });
    if let Some((mtu, _)) = way.told_mtu {
        metrics.retain(|metric| !matches!(metric, RouteMetric::Mtu(_)));
        metrics.push(RouteMetric::Mtu(mtu));
    }
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    attributes.push(cache_info(way.told_mtu.map(|(_, until)| until).or(until), now));
    if dst.is_ipv6() {
        attributes.push(RouteAttribute::Preference(preference));
    }
    message
}
