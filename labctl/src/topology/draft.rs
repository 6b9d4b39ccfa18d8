//! Between raw and model: nodes, buses and the interfaces between them, with spans and indices, not yet numbered.

use indexmap::IndexMap;
use indexmap::map::Entry;
use ipnet::IpNet;

use super::addr::{Addr, Cidr, Mac};
use super::diag::{Code, Diag, Span};
use super::impair::Impair;
use super::ipv6::{Dad, Ipv6, Privacy, Typed};
use super::model::MTU_DEFAULT;
use super::names::{IF_NAME_MAX, NAME_MAX, check_name, is_pattern, matches};
use super::ra::RawRa;
use super::raw;
use super::read::{Cx, Map, OneOrMany, Sp};
use super::repeat::{Copied, Repeated};

/// All nodes and buses.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) nodes: IndexMap<String, Node>,
    pub(super) buses: IndexMap<String, Bus>,
    /// How many interfaces lists have made.
    joined: usize,
}

/// Most interfaces that the lists of all buses make.
const PORTS_MAX: usize = 100_000;

/// A node: what was typed, and its interfaces so far.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) raw: Option<raw::Node>,
    pub(super) loopback: Vec<Sp<IpNet>>,
    pub(super) interfaces: Vec<Interface>,
    /// Names of interfaces that were typed but are faulty: nobody calls them unknown.
    ghosts: Vec<String>,
    /// How many interfaces were typed: those after them are `ethN`.
    typed: usize,
    /// N of the next `ethN`, if nobody took it.
    next: usize,
}

/// An interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) bus: usize,
    /// What was typed; `None`: number it from the bus's subnets.
    pub(super) ip: Option<Vec<Sp<Cidr>>>,
    /// Where `slaac` was typed.
    pub(super) slaac: Option<Span>,
    pub(super) addrs: Vec<Sp<IpNet>>,
    pub(super) dad: Option<Sp<Dad>>,
    pub(super) privacy: Option<Sp<Privacy>>,
    pub(super) ra: Option<Sp<RawRa>>,
    /// `None`: it speaks no IPv6. Known once it is numbered.
    pub(super) ipv6: Option<Ipv6>,
    pub(super) mac: Option<Sp<Mac>>,
    pub(super) mtu: Option<Sp<u16>>,
    pub(super) gateways: Vec<Sp<Addr>>,
    pub(super) impair: Option<Impair>,
}

/// A bus.
#[derive(Debug)]
pub(super) struct Bus {
    pub(super) span: Span,
    pub(super) raw: Option<raw::Bus>,
    pub(super) mtu: u16,
    pub(super) subnets: Vec<Sp<IpNet>>,
    /// Node and interface, by index, in the order of numbering.
    pub(super) members: Vec<(usize, usize)>,
}

impl Bus {
    pub(super) fn offload(&self) -> bool {
        self.raw.as_ref().and_then(|raw| raw.offload.as_ref()).is_none_or(|offload| offload.value)
    }
}

impl Node {
    pub(super) fn forward(&self) -> bool {
        self.raw.as_ref().and_then(|raw| raw.forward.as_ref()).is_some_and(|forward| forward.value)
    }

    /// Whether a fault in its table was noted already.
    pub(super) fn is_faulty(&self) -> bool {
        self.raw.is_none() || !self.ghosts.is_empty()
    }

    pub(super) fn has_interface(&self, name: &str) -> bool {
        self.interfaces.iter().any(|i| i.name == name) || self.ghosts.iter().any(|ghost| ghost == name)
    }
}

impl Draft {
    /// Puts nodes, buses and interfaces together.
    pub(super) fn new(
        nodes: Option<Repeated<raw::Node>>,
        buses: Option<Repeated<raw::Bus>>,
        cx: &mut Cx,
    ) -> Self {
        let mut draft = Self::default();
        let mut bound = Vec::new();
        for copied in buses.unwrap_or_default().0 {
            let Copied { name, bound: each, table, .. } = copied;
            let mtu = table.as_ref().and_then(|raw| raw.mtu.as_ref()).map_or(MTU_DEFAULT, |mtu| mtu.0 as u16);
            let bus =
                Bus { span: name.span.clone(), raw: table, mtu, subnets: Vec::new(), members: Vec::new() };
            if insert(&mut draft.buses, &name, bus, |bus| &bus.span, "bus", cx) {
                bound.push(each);
            }
        }
        for Copied { name, table, .. } in nodes.unwrap_or_default().0 {
            let node = Node {
                span: name.span.clone(),
                loopback: loopback(table.as_ref()),
                raw: table,
                interfaces: Vec::new(),
                ghosts: Vec::new(),
                typed: 0,
                next: 0,
            };
            insert(&mut draft.nodes, &name, node, |node| &node.span, "node", cx);
        }
        draft.typed_interfaces(cx);
        for (bus, each) in bound.into_iter().enumerate() {
            draft.join(bus, &each, cx);
        }
        draft.unlisted();
        for (name, node) in &draft.nodes {
            if node.interfaces.is_empty() && !cx.has_errors() {
                let message = format!("node \"{name}\" is on no bus");
                cx.push(Diag::new(Code::UnconnectedNode, node.span.clone(), message));
            }
        }
        draft
    }

    /// The interfaces that were written at their nodes.
    fn typed_interfaces(&mut self, cx: &mut Cx) {
        for node in self.nodes.values_mut() {
            let Some(Map(typed)) = node.raw.as_mut().and_then(|raw| raw.r#if.take()).map(|sp| sp.value)
            else {
                continue;
            };
            for (name, typed) in typed {
                let fits = check_name(&name, "an interface", IF_NAME_MAX, cx);
                if name.value == "lo" {
                    let diag = Diag::new(
                        Code::BadName,
                        name.span.clone(),
                        "\"lo\" is the loopback interface of every node",
                    );
                    cx.push(
                        diag.hint("further addresses of it are written as `loopback = [\"203.0.113.1\"]`"),
                    );
                }
                let Some(typed) = typed.filter(|_| fits && name.value != "lo") else {
                    node.ghosts.push(name.value);
                    continue;
                };
                let Some(bus) = self.buses.get_index_of(&typed.bus.value) else {
                    cx.push(unknown_bus(&typed.bus, self.buses.keys()));
                    node.ghosts.push(name.value);
                    continue;
                };
                let Typed { ip, slaac } = Typed::new([typed.ip, typed.address]);
                node.interfaces.push(Interface {
                    ip,
                    slaac,
                    dad: typed.dad,
                    privacy: typed.privacy,
                    ra: typed.ra,
                    mac: typed.mac,
                    mtu: typed.mtu.map(|mtu| Sp { value: mtu.0 as u16, span: mtu.span }),
                    gateways: typed.gateway.map(|gateway| gateway.value.0).unwrap_or_default(),
                    impair: typed.impair.map(|impair| impair.value.0),
                    ..Interface::on(bus, name.value, name.span)
                });
            }
            node.typed = node.interfaces.len();
        }
    }

    /// Puts the nodes of a bus's list on it; those without an interface there get `ethN`.
    fn join(&mut self, bus: usize, each: &[Sp<String>], cx: &mut Cx) {
        if self.joined > PORTS_MAX {
            // That was said; what is more would only take time.
            return;
        }
        let mut listed: IndexMap<usize, Span> = IndexMap::new();
        let typed = self.buses[bus].raw.as_ref().and_then(|raw| raw.nodes.clone()).map(|list| list.value.0);
        for entry in each.iter().cloned().chain(typed.unwrap_or_default()) {
            if is_pattern(&entry) {
                let found: Vec<usize> = (0..self.nodes.len())
                    .filter(|at| self.nodes.get_index(*at).is_some_and(|(name, _)| matches(&entry, name)))
                    .collect();
                if found.is_empty() {
                    cx.push(unknown_node(&entry, self.nodes.keys()));
                }
                for node in found {
                    listed.entry(node).or_insert_with(|| entry.span.clone());
                }
            } else if let Some(node) = self.nodes.get_index_of(&entry.value) {
                match listed.entry(node) {
                    Entry::Vacant(free) => {
                        free.insert(entry.span);
                    }
                    Entry::Occupied(first) => {
                        let message = format!("\"{}\" is on this bus twice", entry.value);
                        let diag = Diag::new(Code::DuplicateMember, entry.span, message)
                            .other(first.get().clone(), "first named here");
                        let name = &entry.value;
                        cx.push(diag.hint(format!(
                            "a second port of one node is written there: `if.b = {{ bus = … }}` in [node.{name}]"
                        )));
                    }
                }
            } else {
                cx.push(unknown_node(&entry, self.nodes.keys()));
            }
        }
        for (node, span) in listed {
            let place = &mut self.nodes[node];
            let typed: Vec<usize> = (0..place.typed).filter(|i| place.interfaces[*i].bus == bus).collect();
            if !typed.is_empty() {
                self.buses[bus].members.extend(typed.into_iter().map(|i| (node, i)));
                continue;
            }
            self.joined += 1;
            if self.joined > PORTS_MAX {
                let message = format!("more than {PORTS_MAX} interfaces");
                cx.push(Diag::new(Code::TooMany, span, message));
                return;
            }
            let name = place.free_name();
            place.interfaces.push(Interface::on(bus, name, span));
            let last = place.interfaces.len() - 1;
            self.buses[bus].members.push((node, last));
        }
    }

    /// Appends the interfaces that name a bus that does not list their node.
    fn unlisted(&mut self) {
        let mut listed: Vec<std::collections::HashSet<(usize, usize)>> =
            self.buses.values().map(|bus| bus.members.iter().copied().collect()).collect();
        for (n, node) in self.nodes.values().enumerate() {
            for (i, interface) in node.interfaces.iter().enumerate() {
                if listed[interface.bus].insert((n, i)) {
                    self.buses[interface.bus].members.push((n, i));
                }
            }
        }
    }

    /// `r1:eth0`, for messages.
    pub(super) fn port(&self, (node, interface): (usize, usize)) -> String {
        let name = self.nodes.get_index(node).map_or("?", |(name, _)| name);
        format!("{name}:{}", self.nodes[node].interfaces[interface].name)
    }

    /// Every interface, by index.
    pub(super) fn ports(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let lens: Vec<usize> = self.nodes.values().map(|node| node.interfaces.len()).collect();
        lens.into_iter().enumerate().flat_map(|(node, len)| (0..len).map(move |i| (node, i)))
    }

    pub(super) fn interface(&self, (node, interface): (usize, usize)) -> &Interface {
        &self.nodes[node].interfaces[interface]
    }
}

impl Interface {
    fn on(bus: usize, name: String, span: Span) -> Self {
        Self {
            name,
            span,
            bus,
            ip: None,
            slaac: None,
            addrs: Vec::new(),
            dad: None,
            privacy: None,
            ra: None,
            ipv6: None,
            mac: None,
            mtu: None,
            gateways: Vec::new(),
            impair: None,
        }
    }
}

impl Node {
    /// The next `ethN` that nobody typed. Buses are joined in their order, so N grows with them.
    fn free_name(&mut self) -> String {
        loop {
            let name = format!("eth{}", self.next);
            self.next += 1;
            let typed = self.interfaces[..self.typed].iter().any(|i| i.name == name);
            if !typed && !self.ghosts.contains(&name) {
                return name;
            }
        }
    }
}

fn loopback(raw: Option<&raw::Node>) -> Vec<Sp<IpNet>> {
    let Some(OneOrMany(typed)) = raw.and_then(|raw| raw.loopback.as_ref()).map(|typed| &typed.value) else {
        return Vec::new();
    };
    let full = |cidr: &Cidr| match cidr.prefix {
        Some(prefix) => IpNet::new(cidr.addr, prefix).unwrap_or(cidr.addr.into()),
        None => cidr.addr.into(),
    };
    typed.iter().map(|cidr| Sp { value: full(cidr), span: cidr.span.clone() }).collect()
}

/// Adds a named thing, unless its name is bad or taken.
fn insert<T>(
    map: &mut IndexMap<String, T>,
    name: &Sp<String>,
    thing: T,
    span: impl Fn(&T) -> &Span,
    what: &str,
    cx: &mut Cx,
) -> bool {
    // A bad name is noted and kept: those who use it are not to blame.
    check_name(name, &format!("a {what}"), NAME_MAX, cx);
    match map.entry(name.value.clone()) {
        Entry::Vacant(free) => {
            free.insert(thing);
            true
        }
        Entry::Occupied(first) => {
            let message = format!("two {what}s are called \"{}\"", name.value);
            cx.push(
                Diag::new(Code::DuplicateName, name.span.clone(), message)
                    .other(span(first.get()).clone(), "the first comes from here"),
            );
            false
        }
    }
}

/// The fault of a name that no node has.
pub(super) fn unknown_node<'a>(name: &Sp<String>, known: impl Iterator<Item = &'a String>) -> Diag {
    let message = if is_pattern(name) {
        format!("no node matches \"{}\"", name.value)
    } else {
        format!("no node is called \"{}\"", name.value)
    };
    Diag::new(Code::UnknownNode, name.span.clone(), message).meant(name, known.map(String::as_str))
}

/// The fault of a name that no bus has.
pub(super) fn unknown_bus<'a>(name: &Sp<String>, known: impl Iterator<Item = &'a String>) -> Diag {
    let message = if is_pattern(name) {
        format!("no bus matches \"{}\"", name.value)
    } else {
        format!("no bus is called \"{}\"", name.value)
    };
    Diag::new(Code::UnknownBus, name.span.clone(), message).meant(name, known.map(String::as_str))
}
