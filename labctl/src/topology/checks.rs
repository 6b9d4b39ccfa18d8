//! Checks: exactly one kind each, names that exist, patterns written out.

use std::collections::HashMap;

use super::addr::Zoned;
use super::diag::{Code, Diag, Span};
use super::draft::{Draft, unknown_node};
use super::events::{destination, unknown_interface};
use super::finish::bus_names;
use super::model::{
    Bound, Check, CheckKind, CounterOf, Duration, Octets, Outcome, Output, Percent, Proto, Rate, Target,
};
use super::names::{is_pattern, matches};
use super::programs::{text, words};
use super::raw::{self, Family};
use super::read::{Cx, Int, List, OneOrMany, Quantified, Sp};
use super::values::HttpUrl;

/// Most checks that one `[[check]]` may stand for.
const CHECKS_MAX: usize = 10_000;

/// All checks, in the order of the file; and the filters in them, which are read when the lab is whole.
pub(super) fn checks(
    List(typed): List<raw::Check>,
    draft: &Draft,
    cx: &mut Cx,
) -> (Vec<Check>, Vec<Sp<String>>) {
    let mut filters = Vec::new();
    let mut checks = Vec::new();
    let mut names: HashMap<String, Span> = HashMap::new();
    for check in typed {
        if let Some(name) = &check.name {
            if let Some(first) = names.get(&name.value) {
                let message = format!("two checks are called \"{}\"", name.value);
                let diag = Diag::new(Code::DuplicateName, name.span.clone(), message);
                cx.push(diag.other(first.clone(), "first used here"));
            } else {
                names.insert(name.value.clone(), name.span.clone());
            }
        }
        let nested = check.convergence.as_ref().and_then(|of| of.wire.as_ref());
        filters.extend(check.wire.iter().chain(nested).flat_map(|wire| wire_filters(wire)));
        one(&check, draft, cx, &mut checks);
    }
    number_same(&mut checks);
    (checks, filters)
}

/// Derived names that are the same get numbers: `ping h1 -> h2`, `ping h1 -> h2 (2)`.
fn number_same(checks: &mut [Check]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for check in checks {
        let times = seen.entry(check.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            check.name = format!("{} ({times})", check.name);
        }
    }
}

/// What makes checks of what was typed.
type Make<'t> = dyn FnOnce(&Draft, &mut Cx) -> Vec<CheckKind> + 't;

/// A kind that was typed: its key, its place, and what is made of it.
struct Typed<'t> {
    key: &'static str,
    span: &'t Span,
    make: Box<Make<'t>>,
}

/// The kinds that a table has, of those that it may have: `typed!(check; ping, trace)`.
macro_rules! typed {
    ($table:expr; $($kind:ident),*) => {(
        [$(stringify!($kind)),*],
        [$($table.$kind.as_ref().map(|kind| Typed {
            key: stringify!($kind),
            span: &kind.span,
            make: Box::new(|draft, cx| self::$kind(kind, draft, cx)),
        })),*].into_iter().flatten().collect::<Vec<_>>(),
    )};
}

/// Makes the one kind that a table must have; `noun`: what the table is. What is wrong is noted.
fn only(
    (known, mut typed): (impl AsRef<[&'static str]>, Vec<Typed<'_>>),
    noun: &str,
    span: &Span,
    draft: &Draft,
    cx: &mut Cx,
) -> Option<Vec<CheckKind>> {
    if let [first, second, ..] = &typed[..] {
        let message = format!("{noun} is of one kind, not \"{}\" and \"{}\"", first.key, second.key);
        let diag = Diag::new(Code::ConflictingKeys, second.span.clone(), message);
        cx.push(diag.other(first.span.clone(), "the first kind").hint("write one for each"));
        return None;
    }
    match typed.pop() {
        Some(one) => Some((one.make)(draft, cx)),
        None => {
            let diag = Diag::new(Code::MissingKey, span.clone(), format!("{noun} needs a kind"));
            cx.push_of_table(diag.hint(format!("one of {}", known.as_ref().join(", "))), span);
            None
        }
    }
}

/// What an event waits for: patterns written out.
pub(super) fn conditions(when: &Sp<raw::When>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let typed = typed!(when; route, neigh, counter, drops, wire);
    only(typed, "a condition", &when.span, draft, cx).unwrap_or_default()
}

fn one(check: &Sp<raw::Check>, draft: &Draft, cx: &mut Cx, checks: &mut Vec<Check>) {
    if let (Some(within), Some(hold)) = (&check.within, &check.r#for) {
        let message = "\"within\" and \"for\" exclude each other";
        let diag = Diag::new(Code::ConflictingKeys, hold.span.clone(), message)
            .other(within.span.clone(), "\"within\" is here");
        cx.push(diag.hint("\"after\" delays a check that must hold \"for\" a time"));
    }
    if let (Some(within), Some(convergence)) = (&check.within, &check.convergence) {
        let message = "\"convergence\" has its own \"max\"";
        let diag = Diag::new(Code::ConflictingKeys, within.span.clone(), message);
        cx.push(diag.other(convergence.span.clone(), "the convergence"));
    }
    let typed = typed!(
        check; ping, trace, tcp, udp, http, route, neigh, counter, drops, wire, throughput, convergence, cmd
    );
    let span = check.span.clone();
    let Some(made) = only(typed, "a check", &span, draft, cx) else { return };
    if made.len() > CHECKS_MAX || checks.len() > CHECKS_MAX {
        let message = format!("these patterns stand for {} checks", made.len());
        cx.push(Diag::new(Code::TooMany, span, message).hint(format!("at most {CHECKS_MAX}")));
        return;
    }
    let several = made.len() > 1;
    for kind in made {
        let name = match &check.name {
            Some(name) if several => format!("{}: {}", name.value, kind.subject()),
            Some(name) => name.value.clone(),
            None => kind.to_string(),
        };
        checks.push(Check {
            name,
            after: check.after.as_ref().map(|after| after.value.0),
            within: check.within.as_ref().map(|within| within.value.0),
            hold: check.r#for.as_ref().map(|hold| hold.value.0),
            expect: check.expect.as_ref().map_or(Outcome::Pass, |expect| expect.value),
            kind,
        });
    }
}

/// The nodes that patterns stand for, in the order of the file.
fn nodes(patterns: &[Sp<String>], draft: &Draft, cx: &mut Cx) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for pattern in patterns {
        if draft.nodes.contains_key(&pattern.value) {
            found.push(pattern.value.clone());
        } else {
            let before = found.len();
            if is_pattern(pattern) {
                found.extend(draft.nodes.keys().filter(|name| matches(pattern, name)).cloned());
            }
            if found.len() == before {
                cx.push(unknown_node(pattern, draft.nodes.keys()));
            }
        }
    }
    found
}

/// Nodes by name or pattern, and addresses.
fn targets(patterns: &[Sp<String>], family: Option<&Sp<Family>>, draft: &Draft, cx: &mut Cx) -> Vec<Target> {
    let mut found = Vec::new();
    for pattern in patterns {
        match pattern.parse::<Zoned>() {
            Ok(addr) => {
                if let Some(family) = family.filter(|family| !family.has(addr.addr)) {
                    let message = format!("{addr} is not of the family \"{}\"", family.as_str());
                    let diag = Diag::new(Code::ConflictingKeys, family.span.clone(), message);
                    cx.push(diag.other(pattern.span.clone(), "the address"));
                }
                found.push(Target::Addr { addr });
            }
            Err(_) => {
                let named = nodes(std::slice::from_ref(pattern), draft, cx).into_iter();
                found.extend(named.map(|name| Target::Node { name, family: family.map(|f| f.value) }));
            }
        }
    }
    found
}

/// Whether each of the asking nodes has the interfaces that addresses need.
fn zones(sources: &[String], targets: &[Target], typed: &Sp<OneOrMany<String>>, draft: &Draft, cx: &mut Cx) {
    for target in targets {
        let Target::Addr { addr } = target else { continue };
        if addr.lacks_zone() {
            let message = format!("{addr} is on every link: by which interface is not said");
            let diag = Diag::new(Code::BadAddress, typed.span.clone(), message);
            cx.push(diag.hint(format!("for example \"{addr}%eth0\"")));
        }
        for (node, zone) in sources.iter().filter_map(|node| Some((node, addr.zone.as_ref()?))) {
            if !draft.nodes[node].has_interface(zone) {
                cx.push(unknown_interface(node, zone, typed.span.clone(), draft));
            }
        }
    }
}

/// Every pair of different nodes; a node may ask itself only if it is written so.
fn pairs(
    from: &Sp<OneOrMany<String>>,
    to: &Sp<OneOrMany<String>>,
    family: Option<&Sp<Family>>,
    draft: &Draft,
    cx: &mut Cx,
) -> Vec<(String, Target)> {
    let (sources, targets) = (nodes(&from.value.0, draft, cx), targets(&to.value.0, family, draft, cx));
    zones(&sources, &targets, to, draft, cx);
    if sources.len().saturating_mul(targets.len()) > CHECKS_MAX {
        let message = format!("these patterns stand for {} checks", sources.len() * targets.len());
        cx.push(Diag::new(Code::TooMany, to.span.clone(), message).hint(format!("at most {CHECKS_MAX}")));
        return Vec::new();
    }
    let alone = sources.len() == 1 && targets.len() == 1;
    let mut pairs = Vec::with_capacity(sources.len() * targets.len());
    for source in &sources {
        for target in &targets {
            if alone || !matches!(target, Target::Node { name, .. } if name == source) {
                pairs.push((source.clone(), target.clone()));
            }
        }
    }
    pairs
}

fn number<const LO: u64, const HI: u64>(typed: Option<&Sp<Int<LO, HI>>>) -> Option<u64> {
    typed.map(|number| number.0)
}

fn ping(raw: &Sp<raw::Ping>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let kind = |(from, to)| CheckKind::Ping {
        from,
        to,
        count: number(raw.count.as_ref()).unwrap_or(1) as u32,
        interval: raw.interval.as_ref().map_or(Duration(std::time::Duration::from_secs(1)), |i| i.value.0),
        size: number(raw.size.as_ref()).unwrap_or(56) as u16,
        ttl: number(raw.ttl.as_ref()).map(|ttl| ttl as u8),
        loss: raw.loss.as_ref().map_or(Percent(0.0), |loss| loss.value.0),
        rtt: raw.rtt.as_ref().map(|rtt| rtt.value.0),
    };
    pairs(&raw.from, &raw.to, raw.family.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn trace(raw: &Sp<raw::Trace>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let via = raw.via.as_ref().map(|via| targets(&via.value.0, None, draft, cx));
    let hops = number(raw.hops.as_ref()).map(|hops| hops as u8);
    if let (Some(via), Some(hops), Some(typed)) = (&via, hops, &raw.hops)
        && via.len() + 1 != usize::from(hops)
    {
        let message = format!("\"via\" has {} hops, and the target makes {}", via.len(), via.len() + 1);
        let diag = Diag::new(Code::ConflictingKeys, typed.span.clone(), message);
        cx.push(diag.hint("leave \"hops\" out"));
    }
    let kind = |(from, to)| CheckKind::Trace { from, to, via: via.clone(), hops };
    pairs(&raw.from, &raw.to, raw.family.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn tcp(raw: &Sp<raw::Tcp>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    if let (Some(port), Some(send)) = (&raw.port, &raw.send) {
        let message = "\"send\" needs the check's own listener, \"port\" names another";
        cx.push(
            Diag::new(Code::ConflictingKeys, send.span.clone(), message).other(port.span.clone(), "the port"),
        );
    }
    let kind = |(from, to)| CheckKind::Tcp {
        from,
        to,
        port: number(raw.port.as_ref()).map(|port| port as u16),
        send: raw.send.as_ref().map_or(Octets(64 << 10), |send| send.value.0),
        rate: raw.rate.as_ref().map(|rate| rate.value.0),
    };
    pairs(&raw.from, &raw.to, raw.family.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn udp(raw: &Sp<raw::Udp>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let kind = |(from, to)| CheckKind::Udp {
        from,
        to,
        port: number(raw.port.as_ref()).map(|port| port as u16),
        count: number(raw.count.as_ref()).unwrap_or(10) as u32,
        size: number(raw.size.as_ref()).unwrap_or(64) as u16,
        loss: raw.loss.as_ref().map_or(Percent(0.0), |loss| loss.value.0),
    };
    pairs(&raw.from, &raw.to, raw.family.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn http(raw: &Sp<raw::Http>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let status = number(raw.status.as_ref()).unwrap_or(200) as u16;
    let body = text(raw.body.clone());
    let (asked, port, path) = match (&raw.to, &raw.url) {
        (Some(to), Some(url)) => {
            let message = "\"to\" and \"url\" exclude each other";
            cx.push(
                Diag::new(Code::ConflictingKeys, url.span.clone(), message)
                    .other(to.span.clone(), "\"to\" is here"),
            );
            return Vec::new();
        }
        (None, None) => {
            let message = "an http check needs \"to\" or \"url\"";
            cx.push_of_table(Diag::new(Code::MissingKey, raw.span.clone(), message), &raw.span);
            return Vec::new();
        }
        (None, Some(typed)) => {
            if let Some(other) = raw.port.as_ref().map(|p| &p.span).or(raw.path.as_ref().map(|p| &p.span)) {
                let message = "the URL has port and path already";
                cx.push(
                    Diag::new(Code::ConflictingKeys, other.clone(), message)
                        .other(typed.span.clone(), "the URL"),
                );
            }
            let Some(url) = HttpUrl::parse(typed) else {
                let message = format!("\"{}\" is not an http URL", typed.value);
                let diag = Diag::new(Code::BadUrl, typed.span.clone(), message);
                cx.push(diag.hint("http://NODE:PORT/PATH or http://ADDRESS:PORT/PATH"));
                return Vec::new();
            };
            let host = Sp { value: url.host, span: typed.span.clone() };
            let to = Sp { value: OneOrMany(vec![host]), span: typed.span.clone() };
            (pairs(&raw.from, &to, raw.family.as_ref(), draft, cx), Some(url.port), url.path)
        }
        (Some(to), None) => {
            let path = raw.path.as_ref().map_or_else(|| "/".to_owned(), |path| path.value.clone());
            if let Some(typed) = raw.path.as_ref().filter(|path| !path.starts_with('/')) {
                let message = format!("the path \"{path}\" does not begin with \"/\"");
                cx.push(Diag::new(Code::BadUrl, typed.span.clone(), message));
            }
            (
                pairs(&raw.from, to, raw.family.as_ref(), draft, cx),
                number(raw.port.as_ref()).map(|port| port as u16),
                path,
            )
        }
    };
    let kind =
        |(from, to)| CheckKind::Http { from, to, port, path: path.clone(), status, body: body.clone() };
    asked.into_iter().map(kind).collect()
}

/// The nodes of a check, and whether each has the interface.
fn nodes_with(
    patterns: &OneOrMany<String>,
    dev: Option<&Sp<String>>,
    draft: &Draft,
    cx: &mut Cx,
) -> Vec<String> {
    let nodes = nodes(&patterns.0, draft, cx);
    for node in &nodes {
        if let Some(dev) = dev.filter(|dev| !draft.nodes[node].has_interface(dev)) {
            cx.push(unknown_interface(node, dev, dev.span.clone(), draft));
        }
    }
    nodes
}

fn route(raw: &Sp<raw::RouteCheck>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let kind = |node| CheckKind::Route {
        node,
        to: destination(raw.to.value, raw.via.as_ref().map(|via| via.value.0)),
        via: raw.via.as_ref().map(|via| via.value.0),
        dev: raw.dev.as_ref().map(|dev| dev.value.clone()),
        metric: number(raw.metric.as_ref()).map(|metric| metric as u32),
    };
    nodes_with(&raw.node.value, raw.dev.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn neigh(raw: &Sp<raw::Neigh>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let to = targets(std::slice::from_ref(&raw.to), None, draft, cx);
    let mut kinds = Vec::new();
    for node in nodes_with(&raw.node.value, raw.dev.as_ref(), draft, cx) {
        kinds.extend(to.iter().map(|to| CheckKind::Neigh {
            node: node.clone(),
            to: to.clone(),
            dev: raw.dev.as_ref().map(|dev| dev.value.clone()),
            mac: raw.mac.as_ref().map(|mac| mac.value),
            state: raw.state.as_ref().map(|state| state.value),
        }));
    }
    kinds
}

/// From `min` and `max`, or an exact number, to a bound.
fn bound<const LO: u64, const HI: u64>(
    exact: Option<&Sp<Int<LO, HI>>>,
    min: Option<&Sp<Int<LO, HI>>>,
    max: Option<&Sp<Int<LO, HI>>>,
    cx: &mut Cx,
) -> Bound {
    if let (Some(exact), Some(other)) = (exact, min.or(max)) {
        let message = "an exact number leaves no room for a bound";
        cx.push(
            Diag::new(Code::ConflictingKeys, other.span.clone(), message)
                .other(exact.span.clone(), "the number"),
        );
    }
    if let (Some(min), Some(max)) = (min, max)
        && min.0 > max.0
    {
        let message = format!("no number is at least {} and at most {}", min.0, max.0);
        cx.push(Diag::new(Code::OutOfRange, max.span.clone(), message).other(min.span.clone(), "at least"));
    }
    match (number(exact), number(min), number(max)) {
        (Some(exact), ..) => Bound { min: exact, max: Some(exact) },
        (None, None, None) => Bound { min: 1, max: None },
        (None, min, max) => Bound { min: min.unwrap_or(0), max },
    }
}

fn counter(raw: &Sp<raw::Counter>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let bound = bound(raw.equals.as_ref(), raw.min.as_ref(), raw.max.as_ref(), cx);
    let kind = |of| CheckKind::Counter { of, name: raw.name.value.clone(), bound };
    match (&raw.node, &raw.bus) {
        (Some(node), None) => {
            nodes(&node.value.0, draft, cx).into_iter().map(CounterOf::Node).map(kind).collect()
        }
        (None, Some(bus)) => {
            bus_names(&bus.value.0, draft, cx).into_iter().map(CounterOf::Bus).map(kind).collect()
        }
        (Some(node), Some(bus)) => {
            let message = "a counter is a node's or a bus's";
            let diag = Diag::new(Code::ConflictingKeys, bus.span.clone(), message);
            cx.push(diag.other(node.span.clone(), "the node is here"));
            Vec::new()
        }
        (None, None) => {
            let diag = Diag::new(Code::MissingKey, raw.span.clone(), "a counter needs \"node\" or \"bus\"");
            cx.push_of_table(diag, &raw.span);
            Vec::new()
        }
    }
}

fn drops(raw: &Sp<raw::Drops>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let bound = match bound(raw.count.as_ref(), raw.min.as_ref(), raw.max.as_ref(), cx) {
        _ if raw.count.is_none() && raw.min.is_none() && raw.max.is_none() => Bound::NONE,
        bound => bound,
    };
    let reasons = raw.reason.as_ref().map_or_else(
        || vec!["*".to_owned()],
        |reasons| reasons.value.0.iter().map(|reason| reason.value.clone()).collect(),
    );
    vec![CheckKind::Drops { nodes: nodes(&raw.node.value.0, draft, cx), reasons, bound }]
}

/// All filters of a `wire` check.
pub(super) fn wire_filters(wire: &raw::Wire) -> Vec<Sp<String>> {
    let order = wire.order.iter().flat_map(|order| order.value.0.iter().cloned());
    wire.filter.iter().chain(&wire.each).cloned().chain(order).collect()
}

fn wire(raw: &Sp<raw::Wire>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let buses = bus_names(&raw.bus.value.0, draft, cx);
    let mut bound = bound(raw.count.as_ref(), raw.min.as_ref(), raw.max.as_ref(), cx);
    if raw.never.as_ref().is_some_and(|never| never.value) {
        let counted = raw.count.as_ref().or(raw.min.as_ref()).or(raw.max.as_ref()).map(|other| &other.span);
        let other = counted.or(raw.each.as_ref().map(|each| &each.span));
        if let (Some(never), Some(other)) = (&raw.never, other) {
            let diag = Diag::new(
                Code::ConflictingKeys,
                other.clone(),
                "frames that must never come are not counted or compared",
            );
            cx.push(diag.other(never.span.clone(), "\"never\" is here"));
        }
        bound = Bound::NONE;
    }
    let text = |typed: &Option<Sp<String>>| typed.as_ref().map(|text| text.value.clone());
    let order: Vec<String> =
        raw.order.iter().flat_map(|order| order.value.0.iter().map(|one| one.value.clone())).collect();
    if let (Some(order), Some(other)) = (&raw.order, raw.filter.as_ref().or(raw.each.as_ref())) {
        let message = "\"order\" has filters of its own";
        let diag = Diag::new(Code::ConflictingKeys, other.span.clone(), message);
        cx.push(diag.other(order.span.clone(), "the order").hint("write two [[check]]s"));
    }
    vec![CheckKind::Wire { buses, filter: text(&raw.filter), each: text(&raw.each), order, bound }]
}

fn throughput(raw: &Sp<raw::Throughput>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let proto = raw.proto.as_ref().map_or(Proto::Tcp, |proto| proto.value);
    if let (Proto::Tcp, Some(other)) =
        (proto, raw.rate.as_ref().map(|r| &r.span).or(raw.size.as_ref().map(|s| &s.span)))
    {
        let message = "TCP finds its rate and its sizes itself";
        cx.push(Diag::new(Code::ConflictingKeys, other.clone(), message).hint("proto = \"udp\""));
    }
    if let (Some(min), Some(max)) = (&raw.min, &raw.max)
        && min.value.0 > max.value.0
    {
        let diag = Diag::new(Code::OutOfRange, max.span.clone(), "less than \"min\"");
        cx.push(diag.other(min.span.clone(), "at least"));
    }
    let rate = |typed: &Option<Sp<Quantified<Rate>>>| typed.as_ref().map(|rate| rate.value.0);
    let kind = |(from, to)| CheckKind::Throughput {
        from,
        to,
        proto,
        time: raw.time.as_ref().map_or(Duration(std::time::Duration::from_secs(2)), |time| time.value.0),
        rate: rate(&raw.rate).unwrap_or(Rate(10_000_000)),
        size: number(raw.size.as_ref()).unwrap_or(1400) as u16,
        min: rate(&raw.min),
        max: rate(&raw.max),
    };
    pairs(&raw.from, &raw.to, raw.family.as_ref(), draft, cx).into_iter().map(kind).collect()
}

fn convergence(raw: &Sp<raw::Convergence>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let typed = typed!(raw; ping, trace, tcp, http, route, neigh, counter, wire);
    let of = only(typed, "a convergence", &raw.span, draft, cx).unwrap_or_default();
    let (min, max) = (raw.min.as_ref().map(|min| min.value.0), raw.max.value.0);
    if let (Some(typed), Some(min)) = (&raw.min, min)
        && min > max
    {
        let diag = Diag::new(Code::OutOfRange, typed.span.clone(), "more than \"max\"");
        cx.push(diag.other(raw.max.span.clone(), "at most"));
    }
    of.into_iter().map(|of| CheckKind::Convergence { of: Box::new(of), min, max }).collect()
}

fn cmd(raw: &Sp<raw::Cmd>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let words = words(&raw.cmd, super::programs::EXAMPLE, cx);
    let found = nodes(&raw.node.value.0, draft, cx);
    let exit = number(raw.exit.as_ref()).unwrap_or(0) as u8;
    let expect = Output { exit, stdout: text(raw.stdout.clone()), stderr: text(raw.stderr.clone()) };
    found
        .into_iter()
        .map(|node| CheckKind::Cmd { node, cmd: words.clone(), expect: expect.clone() })
        .collect()
}

impl CheckKind {
    /// Whom it is about: `h1 -> h2`.
    pub fn subject(&self) -> String {
        match self {
            Self::Ping { from, to, .. }
            | Self::Trace { from, to, .. }
            | Self::Tcp { from, to, .. }
            | Self::Udp { from, to, .. }
            | Self::Http { from, to, .. } => format!("{from} -> {to}"),
            Self::Route { node, to, .. } => format!("{node} {to}"),
            Self::Neigh { node, to, .. } => format!("{node} {to}"),
            Self::Counter { of: CounterOf::Node(of) | CounterOf::Bus(of), name, .. } => {
                format!("{of} {name}")
            }
            Self::Drops { nodes, reasons, .. } => format!("{} {}", nodes.join(" "), reasons.join(" ")),
            Self::Wire { order, .. } if !order.is_empty() => order.join(", then "),
            Self::Wire { filter, each, .. } => {
                let filter = filter.clone().unwrap_or_else(|| "frames".into());
                each.as_ref().map_or(filter.clone(), |each| format!("{filter}: {each}"))
            }
            Self::Throughput { from, to, proto, .. } => format!("{} {from} -> {to}", proto.as_str()),
            Self::Convergence { of, .. } => of.to_string(),
            Self::Cmd { node, cmd, .. } => format!("{node}: {}", cmd.join(" ")),
        }
    }

    /// Its key in the file.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Ping { .. } => "ping",
            Self::Trace { .. } => "trace",
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Http { .. } => "http",
            Self::Route { .. } => "route",
            Self::Neigh { .. } => "neigh",
            Self::Counter { .. } => "counter",
            Self::Drops { .. } => "drops",
            Self::Wire { .. } => "wire",
            Self::Throughput { .. } => "throughput",
            Self::Convergence { .. } => "convergence",
            Self::Cmd { .. } => "cmd",
        }
    }
}

impl std::fmt::Display for CheckKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.key(), self.subject())
    }
}
