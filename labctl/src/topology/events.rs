//! Events: the words after `labctl`, of the verbs that change a running lab.

use super::addr::{self, Dest};
use super::checks;
use super::diag::{Code, Diag, nearest};
use super::draft::{Draft, unknown_bus, unknown_node};
use super::impair::Impair;
use super::model::{Act, Again, Check, Duration, Event, Fault, Outcome, Percent, Port, RouteSpec, Wire};
use super::raw;
use super::read::{Cx, List, Sp};
use super::units::Quantity;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The verbs of events, and how each is written.
const VERBS: &[(&str, &str)] = &[
    ("link", "link up|down NODE:IF, link flap NODE:IF TIME"),
    ("impair", "impair set BUS|NODE:IF KEY VALUE…, impair reset BUS|NODE:IF"),
    ("partition", "partition BUS NODE,NODE… NODE,NODE…, partition BUS (whole again)"),
    ("addr", "addr add|del NODE:IF ADDRESS/LENGTH"),
    ("route", "route add|del NODE DESTINATION [via GATEWAY] [dev IF] [metric N]"),
    ("pause", "pause NODE"),
    ("resume", "resume NODE"),
    ("run", "run NODE PROGRAM ARGUMENTS…"),
    ("start", "start NODE"),
    ("stop", "stop NODE"),
    ("kill", "kill NODE"),
    ("restart", "restart NODE"),
    ("exec", "exec NODE -- CMD…"),
];

/// The hint of an event without words.
const EXAMPLE: &str = "for example \"link down r1:eth0\"";

/// All events: those at a time in the order in which they happen, and the filters of what they wait for.
pub(super) fn events(
    List(typed): List<raw::Event>,
    draft: &Draft,
    cx: &mut Cx,
) -> (Vec<Event>, Vec<Sp<String>>) {
    let wires = typed.iter().filter_map(|event| event.when.as_ref()?.wire.as_ref());
    let filters = wires.flat_map(|wire| checks::wire_filters(wire)).collect();
    let numbered = typed.iter().enumerate();
    let mut events: Vec<Event> = numbered.filter_map(|(n, event)| one(n, event, draft, cx)).collect();
    events.sort_by_key(|event| event.at);
    (events, filters)
}

fn one(n: usize, event: &Sp<raw::Event>, draft: &Draft, cx: &mut Cx) -> Option<Event> {
    let words = super::programs::words(&event.r#do, EXAMPLE, cx);
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let act = Reader { span: event.r#do.span.clone(), draft, cx }.act(&texts);
    let when = event.when.as_ref().map(|when| self::when(n, when, draft, cx)).unwrap_or_default();
    if event.at.is_none() && event.when.is_none() {
        let message = "an event needs \"at\", a time, or \"when\", a condition";
        cx.push_of_table(Diag::new(Code::MissingKey, event.span.clone(), message), &event.span);
        return None;
    }
    let again = match (&event.times, &event.every) {
        (Some(times), Some(every)) => Some(Again { times: times.0 as u32 - 1, every: every.value.0 }),
        (Some(alone), None) if alone.0 > 1 => {
            let diag = Diag::new(Code::MissingKey, alone.span.clone(), "\"times\" needs \"every\"");
            cx.push(diag.hint("every = \"5s\""));
            None
        }
        (None, Some(alone)) => {
            let diag = Diag::new(Code::MissingKey, alone.span.clone(), "\"every\" needs \"times\"");
            cx.push(diag.hint("times = 10"));
            None
        }
        (Some(_) | None, None) => None,
    };
    // Only now: what is wrong with the words is said whatever is wrong with the rest.
    let at = event.at.as_ref().map_or(Duration(std::time::Duration::ZERO), |at| at.value.0);
    Some(Event { at, when, again: again.filter(|again| again.times > 0), words, act: act? })
}

/// All that may happen.
pub(super) fn faults(List(typed): List<raw::Fault>, draft: &Draft, cx: &mut Cx) -> Vec<Fault> {
    let mut faults = Vec::new();
    for fault in &typed {
        let words = super::programs::words(&fault.r#do, EXAMPLE, cx);
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let act = Reader { span: fault.r#do.span.clone(), draft, cx }.act(&texts);
        let after = fault.after.as_ref().map_or(Duration(std::time::Duration::ZERO), |after| after.value.0);
        let before = fault.before.value.0;
        if let Some(typed) = fault.after.as_ref().filter(|_| after >= before) {
            let diag = Diag::new(Code::OutOfRange, typed.span.clone(), "not before \"before\"");
            cx.push(diag.other(fault.before.span.clone(), "before"));
        }
        let times = fault.times.as_ref().map_or(1, |times| times.0 as u32);
        let chance = fault.chance.as_ref().map_or(Percent(0.5), |chance| chance.value.0);
        faults.extend(act.map(|act| Fault { after, before, times, chance, words, act }));
    }
    faults
}

/// What an event waits for, as checks that nobody else has.
fn when(n: usize, when: &Sp<raw::When>, draft: &Draft, cx: &mut Cx) -> Vec<Check> {
    let kinds = checks::conditions(when, draft, cx);
    let named = kinds.into_iter().enumerate().map(|(part, kind)| Check {
        name: format!("event {n}.{part}: {kind}"),
        after: None,
        within: None,
        hold: None,
        expect: Outcome::Pass,
        kind,
    });
    named.collect()
}

/// The words of one event, where they stand, and the lab that they speak of.
struct Reader<'a, 'd> {
    span: std::ops::Range<usize>,
    draft: &'d Draft,
    cx: &'a mut Cx,
}

impl Reader<'_, '_> {
    fn act(&mut self, words: &[&str]) -> Option<Act> {
        Some(match words {
            [] => return None,
            ["link", "up", port] => Act::LinkUp(self.port(port)?),
            ["link", "down", port] => Act::LinkDown(self.port(port)?),
            ["link", "flap", port, time] => {
                let port = self.port(port);
                let time = Duration::parse(time).map_err(|fault| self.fault(fault.to_string())).ok();
                Act::LinkFlap(port?, time?)
            }
            ["impair", "set", wire, rest @ ..] if !rest.is_empty() => {
                let wire = self.wire(wire);
                let impair = Impair::default().with_words_in(rest, &self.cx.base);
                let impair = impair.map_err(|fault| self.fault(fault)).ok();
                let filters = impair.iter().flat_map(|impair| impair.filters()).map(|text| self.word(text));
                let filters: Vec<_> = filters.collect();
                self.cx.filters.extend(filters);
                Act::ImpairSet(wire?, Box::new(impair?))
            }
            ["impair", "reset", wire] => Act::ImpairReset(self.wire(wire)?),
            ["partition", bus] => Act::Heal(self.bus(bus)?),
            ["partition", bus, groups @ ..] => {
                let bus = self.bus(bus);
                Act::Partition(bus?, self.groups(groups)?)
            }
            ["addr", "add", port, addr] => Act::AddrAdd(self.port(port)?, self.prefix(addr)?),
            ["addr", "del", port, addr] => Act::AddrDel(self.port(port)?, self.prefix(addr)?),
            ["route", "add", node, rest @ ..] if !rest.is_empty() => {
                Act::RouteAdd(self.node(node)?, self.route(rest)?)
            }
            ["route", "del", node, rest @ ..] if !rest.is_empty() => {
                Act::RouteDel(self.node(node)?, self.route(rest)?)
            }
            ["pause", node] => Act::Pause(self.node(node)?),
            ["resume", node] => Act::Resume(self.node(node)?),
            ["run", node, argv @ ..] if !argv.is_empty() => Act::Run(self.node(node)?, self.program(argv)?),
            ["start", node] => Act::Start(self.node(node)?),
            ["stop", node] => Act::Stop(self.node(node)?),
            ["kill", node] => Act::Kill(self.node(node)?),
            ["restart", node] => Act::Restart(self.node(node)?),
            ["exec", node, "--", cmd @ ..] if !cmd.is_empty() => Act::Exec(self.node(node)?, owned(cmd)),
            [verb, ..] => {
                self.cx.push(misspelt(verb, self.span.clone()));
                return None;
            }
        })
    }

    fn fault(&mut self, message: String) {
        self.cx.push(Diag::new(Code::BadEvent, self.span.clone(), message));
    }

    fn word(&self, text: &str) -> Sp<String> {
        Sp { value: text.to_owned(), span: self.span.clone() }
    }

    fn node(&mut self, name: &str) -> Option<String> {
        if self.draft.nodes.contains_key(name) {
            return Some(name.to_owned());
        }
        self.cx.push(unknown_node(&self.word(name), self.draft.nodes.keys()));
        None
    }

    fn bus(&mut self, name: &str) -> Option<String> {
        if self.draft.buses.contains_key(name) {
            return Some(name.to_owned());
        }
        self.cx.push(unknown_bus(&self.word(name), self.draft.buses.keys()));
        None
    }

    /// `NODE:IF`.
    fn port(&mut self, text: &str) -> Option<Port> {
        let Some((node, interface)) = text.split_once(':') else {
            let diag = Diag::new(Code::BadEvent, self.span.clone(), format!("\"{text}\" is not a port"));
            self.cx.push(diag.hint("a port is written NODE:IF"));
            return None;
        };
        let node = self.node(node)?;
        if !self.draft.nodes[&node].has_interface(interface) {
            self.cx.push(unknown_interface(&node, interface, self.span.clone(), self.draft));
            return None;
        }
        Some(Port { node, interface: interface.to_owned() })
    }

    /// `BUS` or `NODE:IF`.
    fn wire(&mut self, text: &str) -> Option<Wire> {
        if text.contains(':') {
            return self.port(text).map(Wire::Port);
        }
        self.bus(text).map(Wire::Bus)
    }

    /// `NODE,NODE…` each; no node is in two.
    fn groups(&mut self, words: &[&str]) -> Option<Vec<Vec<String>>> {
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        for word in words {
            let mut group = Vec::new();
            for name in word.split(',') {
                let node = self.node(name)?;
                if !seen.insert(node.clone()) {
                    self.fault(format!("\"{node}\" is named twice: a node is in one group"));
                    return None;
                }
                group.push(node);
            }
            groups.push(group);
        }
        Some(groups)
    }

    fn prefix(&mut self, text: &str) -> Option<IpNet> {
        let parsed = text.parse();
        parsed.map_err(|_| self.fault(format!("\"{text}\" is no address with the length of its prefix"))).ok()
    }

    /// `DESTINATION [via GATEWAY] [dev IF] [metric N]`.
    fn route(&mut self, words: &[&str]) -> Option<RouteSpec> {
        let parsed = route_words(words);
        parsed.map_err(|fault| self.fault(fault)).ok()
    }

    fn program(&mut self, argv: &[&str]) -> Option<Vec<String>> {
        if rumpkern::prog::find(argv[0]).is_none() {
            let known: Vec<_> = rumpkern::prog::PROGRAMS.iter().map(|program| program.name).collect();
            let message = format!("there is no built-in program \"{}\"", argv[0]);
            let diag = Diag::new(Code::BadEvent, self.span.clone(), message);
            self.cx.push(diag.hint(format!("they are: {}", known.join(", "))));
            return None;
        }
        Some(owned(argv))
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Reads `DESTINATION [via GATEWAY] [dev IF] [metric N]`, as `ip route` takes it.
///
/// # Errors
/// One line that says which word is wrong.
pub(crate) fn route_words(words: &[&str]) -> Result<RouteSpec, String> {
    let [to, rest @ ..] = words else { return Err("a route needs its destination".into()) };
    let (mut via, mut dev, mut metric) = (None, None, None);
    let mut pairs = rest.chunks(2);
    for pair in &mut pairs {
        match pair {
            ["via", text] => {
                let gateway: Result<IpAddr, _> = text.parse();
                via = Some(gateway.map_err(|_| format!("\"{text}\" is no gateway's address"))?);
            }
            ["dev", name] => dev = Some((*name).to_owned()),
            ["metric", text] => {
                let number: Result<u32, _> = text.parse();
                metric = Some(number.map_err(|_| format!("\"{text}\" is no metric"))?);
            }
            [word, ..] => {
                return Err(format!("\"{word}\" is not \"via\", \"dev\" or \"metric\" with a value"));
            }
            [] => {}
        }
    }
    if via.is_none() && dev.is_none() {
        return Err("a route needs \"via\", a gateway, or \"dev\", an interface".into());
    }
    let to = addr::destination(to).map_err(|hint| format!("\"{to}\" is not a destination: {hint}"))?;
    Ok(RouteSpec { to: destination(to, via), via, dev, metric })
}

/// A verb that does not exist, or one whose words are wrong.
fn misspelt(verb: &str, span: std::ops::Range<usize>) -> Diag {
    if let Some((_, usage)) = VERBS.iter().find(|(known, _)| *known == verb) {
        return Diag::new(Code::BadEvent, span, format!("these are not the words of \"{verb}\""))
            .hint(*usage);
    }
    let known: Vec<&str> = VERBS.iter().map(|(verb, _)| *verb).collect();
    let diag = Diag::new(Code::UnknownVerb, span, format!("no event is called \"{verb}\""));
    match nearest(verb, &known) {
        Some(near) => diag.hint(format!("did you mean \"{near}\"?")),
        None => diag.hint(format!("events are: {}", known.join(", "))),
    }
}

/// The fault of an interface that a node does not have.
pub(super) fn unknown_interface(
    node: &str,
    interface: &str,
    span: std::ops::Range<usize>,
    draft: &Draft,
) -> Diag {
    let diag =
        Diag::new(Code::UnknownInterface, span, format!("node \"{node}\" has no interface \"{interface}\""));
    let known = draft.nodes.get(node).map(|node| &node.interfaces[..]).unwrap_or_default();
    diag.meant(interface, known.iter().map(|i| i.name.as_str()))
}

/// Reads `default`, a prefix or an address as a destination; the family of `default` is the next hop's, else IPv4.
pub(super) fn destination(to: Dest, via: Option<IpAddr>) -> IpNet {
    match (to, via) {
        (Dest::Net(net), _) => net,
        (Dest::Default, Some(IpAddr::V6(_))) => ipnet::Ipv6Net::default().into(),
        (Dest::Default, _) => ipnet::Ipv4Net::default().into(),
    }
}
