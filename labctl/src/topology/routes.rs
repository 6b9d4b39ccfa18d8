//! Routes: those written, seen to have a next hop, and those derived from the shape of the lab.
//!
//! The graph is one of *segments*: a subnet on a bus, with the interfaces that have an address in it. Shortest paths are found by a
//! breadth-first search from each destination over the nodes that forward; all neighbours nearer by one are next hops
//! (ECMP), at most 16 in a segment. The metric is the number of routers on the way.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use indexmap::IndexMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addr::{Addr, Dest, is_link_local};
use super::diag::{Code, Diag};
use super::draft::{Draft, Interface, Node};
use super::model::{Origin, Route};
use super::raw::{self, Routing};
use super::read::{Cx, Sp};

/// Most next hops of one derived route.
pub(super) const ECMP_MAX: usize = 16;

/// Most derived routes of a lab: a chain of 1400 routers has as many.
const ROUTES_MAX: usize = 2_000_000;

/// The routes of all nodes, by index of the node.
pub(super) fn routes(draft: &Draft, default: Routing, cx: &mut Cx) -> Vec<Vec<Route>> {
    let owners = owners(draft);
    let mut all: Vec<Vec<Route>> = Vec::with_capacity(draft.nodes.len());
    for node in draft.nodes.values() {
        let mut routes = gateways(draft, node, &owners, cx);
        let typed = node.raw.as_ref().and_then(|raw| raw.routes.as_ref());
        for route in typed.iter().flat_map(|list| &list.value.0) {
            written(node, route, &mut routes, cx);
        }
        all.push(routes);
    }
    let derives = |node: &Node| {
        let own = node.raw.as_ref().and_then(|raw| raw.routing.as_ref());
        own.map_or(default, |routing| routing.value) == Routing::Shortest
    };
    let wanted: Vec<bool> = draft.nodes.values().map(derives).collect();
    let graph = Graph::new(draft);
    for (at, node) in draft.nodes.values().enumerate() {
        if wanted[at] && !node.forward() {
            let routes = graph.host_defaults(draft, at, &all[at]);
            all[at].extend(routes);
        }
    }
    if !graph.shortest(draft, &wanted, &mut all) {
        let message = format!("more than {ROUTES_MAX} routes would be derived");
        let hint = "write `routing = \"none\"`, and the routes that are needed";
        cx.push(Diag::new(Code::TooMany, 0..0, message).hint(hint));
    }
    for routes in &mut all {
        routes.sort_by_key(|route| (route.to.addr(), route.to.prefix_len(), route.metric, route.via));
        routes.dedup();
    }
    all
}

fn owners(draft: &Draft) -> HashSet<IpAddr> {
    let mut owners: HashSet<IpAddr> = HashSet::new();
    for node in draft.nodes.values() {
        owners.extend(node.loopback.iter().map(|net| net.addr()));
        owners.extend(node.interfaces.iter().flat_map(|i| &i.addrs).map(|net| net.addr()));
    }
    owners
}

/// `0.0.0.0/0` or `::/0`.
fn everything(family: IpAddr) -> IpNet {
    match family {
        IpAddr::V4(_) => Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Whether the address is a neighbour by this interface.
fn on_link(interface: &Interface, addr: IpAddr) -> bool {
    is_link_local(addr) || interface.addrs.iter().any(|net| net.contains(&addr) && net.addr() != addr)
}

/// What the interface has, for hints.
fn has(interface: &Interface) -> String {
    let addrs: Vec<String> = interface.addrs.iter().map(|net| net.value.to_string()).collect();
    if addrs.is_empty() { "no address".into() } else { addrs.join(", ") }
}

/// Default routes from `gateway`. A node's gateways are a list in order of preference (RFC 1122 §3.3.1.2): the metric
/// counts up.
fn gateways(draft: &Draft, node: &Node, owners: &HashSet<IpAddr>, cx: &mut Cx) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    for interface in &node.interfaces {
        for gateway in &interface.gateways {
            let addr = gateway.0;
            if !on_link(interface, addr) {
                let own = interface.addrs.iter().find(|net| net.addr() == addr);
                let message = match own {
                    Some(_) => format!("the gateway {addr} is this interface's own address"),
                    None => format!("the gateway {addr} is not on the subnet of \"{}\"", interface.name),
                };
                let diag = Diag::new(Code::UnreachableGateway, gateway.span.clone(), message);
                let diag = diag.other(interface.span.clone(), format!("has {}", has(interface)));
                cx.push(match routers(draft, interface) {
                    Some(hint) => diag.hint(hint),
                    None => diag,
                });
                continue;
            }
            if !owners.contains(&addr) && !is_link_local(addr) {
                let message = format!("no node of the lab has the gateway's address {addr}");
                let diag = Diag::new(Code::UnownedGateway, gateway.span.clone(), message);
                cx.push(match routers(draft, interface) {
                    Some(hint) => diag.hint(hint),
                    None => diag,
                });
            }
            let to = everything(addr);
            let metric = routes.iter().filter(|route| route.to == to).count() as u32;
            let dev = interface.name.clone();
            routes.push(Route { to, via: Some(addr), dev, metric, origin: Origin::Written });
        }
    }
    routes
}

/// The routers on an interface's bus, for hints.
fn routers(draft: &Draft, interface: &Interface) -> Option<String> {
    let members = draft.buses[interface.bus].members.iter();
    let routers: Vec<String> = members
        .filter(|(node, _)| draft.nodes[*node].forward())
        .filter_map(|port| {
            draft.interface(*port).addrs.first().map(|net| format!("{} ({})", net.addr(), draft.port(*port)))
        })
        .take(4)
        .collect();
    (!routers.is_empty()).then(|| format!("routers on this bus: {}", routers.join(", ")))
}

/// A route that was written.
fn written(node: &Node, route: &Sp<raw::Route>, routes: &mut Vec<Route>, cx: &mut Cx) {
    let metric = route.metric.as_ref().map_or(0, |metric| metric.0 as u32);
    let dev = match &route.dev {
        None => None,
        Some(dev) => match node.interfaces.iter().find(|i| i.name == dev.value) {
            Some(interface) => Some(interface),
            None if node.has_interface(dev) => return,
            None => {
                let message = format!("the node has no interface \"{}\"", dev.value);
                let diag = Diag::new(Code::UnknownInterface, dev.span.clone(), message);
                cx.push(diag.meant(dev, node.interfaces.iter().map(|i| i.name.as_str())));
                return;
            }
        },
    };
    let vias: &[Sp<Addr>] = route.via.as_ref().map_or(&[], |via| &via.value.0);
    if vias.is_empty() {
        let Some(dev) = dev else {
            let diag = Diag::new(Code::NoNextHop, route.span.clone(), "a route needs a next hop");
            cx.push(
                diag.hint(
                    "add `via = \"ADDRESS\"`, or `dev = \"INTERFACE\"` if the destination is on the link",
                ),
            );
            return;
        };
        let to = match route.to.value {
            Dest::Net(net) => net,
            Dest::Default => everything(Ipv4Addr::UNSPECIFIED.into()),
        };
        routes.push(Route { to, via: None, dev: dev.name.clone(), metric, origin: Origin::Written });
        return;
    }
    for via in vias {
        let addr = via.0;
        let to = match route.to.value {
            Dest::Default => everything(addr),
            Dest::Net(net) if net.addr().is_ipv4() == addr.is_ipv4() => net,
            Dest::Net(net) => {
                let message = format!("the next hop {addr} is not of the family of {net}");
                cx.push(
                    Diag::new(Code::NoNextHop, via.span.clone(), message)
                        .other(route.to.span.clone(), "the destination"),
                );
                continue;
            }
        };
        let found = match dev {
            Some(dev) => Some(dev).filter(|dev| on_link(dev, addr)),
            None => node.interfaces.iter().find(|i| !is_link_local(addr) && on_link(i, addr)),
        };
        let Some(found) = found else {
            if node.is_faulty() {
                continue;
            }
            let message = match dev {
                Some(dev) => format!("the next hop {addr} is not on the subnet of \"{}\"", dev.name),
                None => format!("no interface of the node reaches the next hop {addr}"),
            };
            let ours: Vec<String> =
                node.interfaces.iter().map(|i| format!("{} has {}", i.name, has(i))).take(4).collect();
            cx.push(Diag::new(Code::NoNextHop, via.span.clone(), message).hint(ours.join("; ")));
            continue;
        };
        let dev = found.name.clone();
        routes.push(Route { to, via: Some(addr), dev, metric, origin: Origin::Written });
    }
}

/// An address in a segment.
#[derive(Clone, Copy, Debug)]
struct Attached {
    node: usize,
    interface: usize,
    addr: IpAddr,
}

/// A subnet on a bus.
#[derive(Debug)]
struct Segment {
    net: IpNet,
    /// All who have an address in it.
    members: Vec<Attached>,
    /// Those of them that forward.
    routers: Vec<Attached>,
}

/// Segments, and which of them each node is on.
#[derive(Debug)]
struct Graph {
    segments: Vec<Segment>,
    of_node: Vec<Vec<usize>>,
}

impl Graph {
    fn new(draft: &Draft) -> Self {
        let mut segments: IndexMap<(usize, IpNet), Segment> = IndexMap::new();
        let mut of_node = vec![Vec::new(); draft.nodes.len()];
        for (node, interface) in draft.ports() {
            let port = draft.interface((node, interface));
            for net in port.addrs.iter().filter(|net| !is_link_local(net.addr())) {
                let entry = segments.entry((port.bus, net.trunc()));
                let at = entry.index();
                let segment = entry.or_insert_with(|| Segment {
                    net: net.trunc(),
                    members: Vec::new(),
                    routers: Vec::new(),
                });
                let attached = Attached { node, interface, addr: net.addr() };
                segment.members.push(attached);
                if draft.nodes[node].forward() {
                    segment.routers.push(attached);
                }
                if of_node[node].last() != Some(&at) {
                    of_node[node].push(at);
                }
            }
        }
        Self { segments: segments.into_values().collect(), of_node }
    }

    /// Default routes of a host: for each family, if exactly one of its neighbours forwards.
    fn host_defaults(&self, draft: &Draft, node: usize, written: &[Route]) -> Vec<Route> {
        let mut routes = Vec::new();
        for family in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            let to = everything(family);
            if written.iter().any(|route| route.to == to) {
                continue;
            }
            let mut segments = self.of_node[node].iter().map(|at| &self.segments[*at]);
            let mut routers = segments
                .by_ref()
                .filter(|s| s.net.addr().is_ipv4() == family.is_ipv4())
                .flat_map(|s| s.routers.iter().map(move |router| (s, *router)));
            let Some((segment, router)) = routers.next() else { continue };
            if routers.any(|(_, other)| other.node != router.node) {
                continue;
            }
            let Some(own) = segment.members.iter().find(|member| member.node == node) else { continue };
            let dev = draft.interface((node, own.interface)).name.clone();
            routes.push(Route { to, via: Some(router.addr), dev, metric: 1, origin: Origin::Derived });
        }
        routes
    }

    /// Routes of all nodes that forward, to every segment and every loopback address. False if they are too many.
    fn shortest(&self, draft: &Draft, wanted: &[bool], all: &mut [Vec<Route>]) -> bool {
        let mut total = 0;
        let written: Vec<HashSet<IpNet>> =
            all.iter().map(|routes| routes.iter().map(|route| route.to).collect()).collect();
        let mut search = Search::new(self, draft.nodes.len());
        let mut found = |to: IpNet, hops: &[(usize, Hop)]| {
            for (node, hop) in hops {
                if !wanted[*node] || written[*node].contains(&to) {
                    continue;
                }
                total += 1;
                let dev = draft.interface((*node, hop.interface)).name.clone();
                let (via, metric) = (Some(hop.via), hop.metric);
                all[*node].push(Route { to, via, dev, metric, origin: Origin::Derived });
            }
            total <= ROUTES_MAX
        };
        for segment in &self.segments {
            if segment.net.prefix_len() == segment.net.max_prefix_len() {
                continue;
            }
            let sources = segment.routers.iter().map(|router| router.node);
            if !found(segment.net, search.run(self, sources, segment.net.addr().is_ipv4())) {
                return false;
            }
        }
        for (at, node) in draft.nodes.values().enumerate() {
            for loopback in &node.loopback {
                let hops = search.run(self, std::iter::once(at), loopback.addr().is_ipv4());
                if !found(loopback.trunc(), hops) {
                    return false;
                }
            }
        }
        true
    }
}

/// A next hop of a node.
#[derive(Clone, Copy, Debug)]
struct Hop {
    interface: usize,
    via: IpAddr,
    metric: u32,
}

/// A breadth-first search and its reusable memory.
#[derive(Debug)]
struct Search {
    /// Distance of each node from the destination; `u32::MAX` if it was not reached.
    distance: Vec<u32>,
    seen: Vec<bool>,
    hops: Vec<(usize, Hop)>,
}

impl Search {
    fn new(graph: &Graph, nodes: usize) -> Self {
        Self { distance: vec![u32::MAX; nodes], seen: vec![false; graph.segments.len()], hops: Vec::new() }
    }

    /// Next hops of all routers towards `sources`, nearest first.
    fn run(&mut self, graph: &Graph, sources: impl Iterator<Item = usize>, ipv4: bool) -> &[(usize, Hop)] {
        self.distance.fill(u32::MAX);
        self.seen.fill(false);
        self.hops.clear();
        let mut level: Vec<usize> = Vec::new();
        for source in sources {
            if self.distance[source] == u32::MAX {
                self.distance[source] = 0;
                level.push(source);
            }
        }
        let mut metric = 0;
        while !level.is_empty() {
            metric += 1;
            let mut next = Vec::new();
            // All of a level is known before its segments are crossed, so that equal paths are seen together.
            let near: Vec<usize> =
                level.iter().flat_map(|node| graph.of_node[*node].iter().copied()).collect();
            for at in near {
                let segment = &graph.segments[at];
                if segment.net.addr().is_ipv4() != ipv4 || std::mem::replace(&mut self.seen[at], true) {
                    continue;
                }
                let nearer = |member: &&Attached| self.distance[member.node] == metric - 1;
                let via: Vec<Attached> =
                    segment.members.iter().filter(nearer).take(ECMP_MAX).copied().collect();
                for router in &segment.routers {
                    match self.distance[router.node] {
                        u32::MAX => {
                            self.distance[router.node] = metric;
                            next.push(router.node);
                        }
                        distance if distance == metric => {}
                        _ => continue,
                    }
                    let hop = |via: &Attached| Hop { interface: router.interface, via: via.addr, metric };
                    self.hops.extend(via.iter().map(|via| (router.node, hop(via))));
                }
            }
            level = next;
        }
        &self.hops
    }
}
