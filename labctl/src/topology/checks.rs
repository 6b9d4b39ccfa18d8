//! Checks: exactly one kind each, names that exist, patterns written out.

use std::collections::HashMap;

use super::addr::Zoned;
use super::diag::{Code, Diag, Span};
use super::draft::{Draft, unknown_node};
use super::events::{destination, unknown_interface};
use super::finish::bus_names;
use super::model::{Bound, Check, CheckKind, CounterOf, Duration, Octets, Outcome, Output, Percent, Target};
use super::names::{is_pattern, matches};
use super::programs::{text, words};
use super::raw::{self, Family};
use super::read::{Cx, Int, List, OneOrMany, Sp};
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
        filters.extend(check.wire.as_ref().and_then(|wire| wire.filter.clone()));
        one(check, draft, cx, &mut checks);
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

/// The kinds that a check has, by key and place.
fn kinds(check: &raw::Check) -> Vec<(&'static str, Span)> {
    let raw::Check { ping, trace, tcp, udp, http, route, neigh, counter, wire, cmd, .. } = check;
    let all = [
        ("ping", ping.as_ref().map(|k| &k.span)),
        ("trace", trace.as_ref().map(|k| &k.span)),
        ("tcp", tcp.as_ref().map(|k| &k.span)),
        ("udp", udp.as_ref().map(|k| &k.span)),
        ("http", http.as_ref().map(|k| &k.span)),
        ("route", route.as_ref().map(|k| &k.span)),
        ("neigh", neigh.as_ref().map(|k| &k.span)),
        ("counter", counter.as_ref().map(|k| &k.span)),
        ("wire", wire.as_ref().map(|k| &k.span)),
        ("cmd", cmd.as_ref().map(|k| &k.span)),
    ];
    all.into_iter().filter_map(|(key, span)| Some((key, span?.clone()))).collect()
}

/// What an event waits for: exactly one kind, patterns written out.
pub(super) fn conditions(when: &Sp<raw::When>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let raw::When { route, neigh, counter, wire } = &when.value;
    match (route, neigh, counter, wire) {
        (Some(route), None, None, None) => self::route(route, draft, cx),
        (None, Some(neigh), None, None) => self::neigh(neigh, draft, cx),
        (None, None, Some(counter), None) => self::counter(counter, draft, cx),
        (None, None, None, Some(wire)) => self::wire(wire, draft, cx),
        _ => {
            let message = "an event waits for one thing";
            let diag = Diag::new(Code::ConflictingKeys, when.span.clone(), message);
            cx.push_of_table(diag.hint("one of route, neigh, counter, wire"), &when.span);
            Vec::new()
        }
    }
}

fn one(check: Sp<raw::Check>, draft: &Draft, cx: &mut Cx, checks: &mut Vec<Check>) {
    let kinds = kinds(&check);
    if let [(first, span), (second, again), ..] = &kinds[..] {
        let message = format!("a check is of one kind, not \"{first}\" and \"{second}\"");
        let diag = Diag::new(Code::ConflictingKeys, again.clone(), message);
        cx.push(diag.other(span.clone(), "the first kind").hint("write two [[check]]s"));
        return;
    }
    if let (Some(within), Some(hold)) = (&check.within, &check.r#for) {
        let message = "\"within\" and \"for\" exclude each other";
        let diag = Diag::new(Code::ConflictingKeys, hold.span.clone(), message)
            .other(within.span.clone(), "\"within\" is here");
        cx.push(diag.hint("\"after\" delays a check that must hold \"for\" a time"));
    }
    let Sp { value: check, span } = check;
    let made = match check {
        raw::Check { ping: Some(ping), .. } => self::ping(&ping, draft, cx),
        raw::Check { trace: Some(trace), .. } => self::trace(&trace, draft, cx),
        raw::Check { tcp: Some(tcp), .. } => self::tcp(&tcp, draft, cx),
        raw::Check { udp: Some(udp), .. } => self::udp(&udp, draft, cx),
        raw::Check { http: Some(http), .. } => self::http(&http, draft, cx),
        raw::Check { route: Some(route), .. } => self::route(&route, draft, cx),
        raw::Check { neigh: Some(neigh), .. } => self::neigh(&neigh, draft, cx),
        raw::Check { counter: Some(counter), .. } => self::counter(&counter, draft, cx),
        raw::Check { wire: Some(wire), .. } => self::wire(&wire, draft, cx),
        raw::Check { cmd: Some(cmd), .. } => self::cmd(cmd, draft, cx),
        _ => {
            let message = "a check needs a kind";
            let kinds = "one of ping, trace, tcp, udp, http, route, neigh, counter, wire, cmd";
            cx.push_of_table(Diag::new(Code::MissingKey, span.clone(), message).hint(kinds), &span);
            return;
        }
    };
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

fn wire(raw: &Sp<raw::Wire>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let buses = bus_names(&raw.bus.value.0, draft, cx);
    let bound = bound(raw.count.as_ref(), raw.min.as_ref(), raw.max.as_ref(), cx);
    let filter = raw.filter.as_ref().map(|filter| filter.value.clone());
    vec![CheckKind::Wire { buses, filter, bound }]
}

fn cmd(raw: Sp<raw::Cmd>, draft: &Draft, cx: &mut Cx) -> Vec<CheckKind> {
    let words = words(&raw.cmd, super::programs::EXAMPLE, cx);
    let found = nodes(&raw.node.value.0, draft, cx);
    let raw = raw.value;
    let exit = number(raw.exit.as_ref()).unwrap_or(0) as u8;
    let expect = Output { exit, stdout: text(raw.stdout), stderr: text(raw.stderr) };
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
            Self::Wire { filter, .. } => filter.clone().unwrap_or_else(|| "frames".into()),
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
            Self::Wire { .. } => "wire",
            Self::Cmd { .. } => "cmd",
        }
    }
}

impl std::fmt::Display for CheckKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.key(), self.subject())
    }
}
