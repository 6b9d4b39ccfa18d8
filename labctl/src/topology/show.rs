//! The derived model as text for people: `labctl check --show`.

use std::fmt::Write;

use super::model::{
    Bound, Bus, Check, CheckKind, Interface, Ipv6, Lab, Node, Origin, Outcome, Preference, Program, Proto,
    Ra, RaPrefix, ReadyWhen, Route, TTL_DEFAULT, TcpProfile, TextMatch,
};

/// The whole lab.
pub fn text(lab: &Lab) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(lab, &mut out);
    out
}

fn write(lab: &Lab, out: &mut String) -> std::fmt::Result {
    let seed = if lab.time.seed == 0 { "random".to_owned() } else { lab.time.seed.to_string() };
    write!(out, "lab {}: {} time, seed {seed}", lab.name, lab.time.mode.as_str())?;
    if let Some(stop) = lab.time.stop {
        write!(out, ", stops at {stop}")?;
    }
    writeln!(out)?;
    if let Some(description) = &lab.description {
        writeln!(out, "{description}")?;
    }
    for bus in lab.buses.values() {
        self::bus(lab, bus, out)?;
    }
    for node in lab.nodes.values() {
        self::node(node, out)?;
    }
    for program in lab.programs.values() {
        self::program(program, out)?;
    }
    if !lab.events.is_empty() {
        writeln!(out, "\nevents")?;
        let rows = lab.events.iter().map(|event| vec![time(event), event.words.join(" ")]);
        table(rows.collect(), out)?;
    }
    if !lab.faults.is_empty() {
        writeln!(out, "\nfaults that may happen")?;
        let rows = lab.faults.iter().map(|fault| {
            let times = format!("{} times at {}", fault.times, fault.chance);
            vec![format!("{} to {}", fault.after, fault.before), fault.words.join(" "), times]
        });
        table(rows.collect(), out)?;
    }
    if !lab.checks.is_empty() {
        writeln!(out, "\nchecks")?;
        table(lab.checks.iter().map(check).collect(), out)?;
    }
    Ok(())
}

/// When an event happens.
fn time(event: &super::model::Event) -> String {
    let mut text = match &event.when[..] {
        [] => event.at.to_string(),
        [first, ..] => format!("from {} on when {}", event.at, first.kind),
    };
    if let Some(again) = event.again {
        text.push_str(&format!(", {} times more every {}", again.times, again.every));
    }
    text
}

fn bus(lab: &Lab, bus: &Bus, out: &mut String) -> std::fmt::Result {
    let subnets: String = bus.subnets.iter().map(|net| format!("  {net}")).collect();
    let offload = if bus.offload { "" } else { "  offload off" };
    writeln!(out, "\nbus {}{subnets}  mtu {}  history {}{offload}", bus.name, bus.mtu, bus.history)?;
    if let Some(impair) = &bus.impair {
        writeln!(out, "  impair {impair}")?;
    }
    let rows = bus.members.iter().map(|member| {
        let addrs = lab.interface(member).map(addresses).unwrap_or_default();
        vec![format!("{}:{}", member.node, member.interface), addrs]
    });
    table(rows.collect(), out)
}

fn node(node: &Node, out: &mut String) -> std::fmt::Result {
    let forwards = if node.forward { "  forwards" } else { "" };
    let ttl = if node.ttl == TTL_DEFAULT { String::new() } else { format!("  ttl {}", node.ttl) };
    let tcp = match node.tcp {
        TcpProfile::Linux => String::new(),
        TcpProfile::FreeBsd | TcpProfile::Rfc => format!("  tcp {}", node.tcp.as_str()),
    };
    writeln!(out, "\nnode {}{forwards}{ttl}{tcp}", node.name)?;
    let set = node.sysctl.iter().map(|(name, value)| vec!["sysctl".into(), format!("{name} = {value}")]);
    table(set.collect(), out)?;
    let mut rows = Vec::new();
    if !node.loopback.is_empty() {
        rows.push(vec!["lo".into(), join(node.loopback.iter(), " ")]);
    }
    for interface in &node.interfaces {
        let impair = interface.impair.as_ref().map(|impair| format!("impair {impair}")).unwrap_or_default();
        rows.push(vec![
            interface.name.clone(),
            addresses(interface),
            interface.mac.to_string(),
            format!("mtu {}", interface.mtu),
            format!("on {}", interface.bus),
            interface.ipv6.as_ref().map(ipv6).unwrap_or_default(),
            impair,
        ]);
    }
    table(rows, out)?;
    if !node.routes.is_empty() {
        table(node.routes.iter().map(route).collect(), out)?;
    }
    table(node.files.iter().map(|f| vec![f.node.clone(), format!("= {}", f.host.display())]).collect(), out)
}

/// An interface's addresses, and where others come from.
fn addresses(interface: &Interface) -> String {
    let slaac = interface.ipv6.as_ref().is_some_and(|six| six.slaac).then(|| "slaac".to_owned());
    join(interface.addrs.iter().map(ToString::to_string).chain(slaac), " ")
}

/// What differs from the usual IPv6 of an interface.
fn ipv6(six: &Ipv6) -> String {
    let mut words = Vec::new();
    if six.dad != Ipv6::DAD_DEFAULT {
        words.push(format!("dad {}", six.dad.as_str()));
    }
    if six.privacy != Ipv6::PRIVACY_DEFAULT {
        words.push(format!("privacy {}", six.privacy.as_str()));
    }
    words.extend(six.ra.as_ref().map(advertised));
    words.join(" ")
}

fn advertised(ra: &Ra) -> String {
    let mut words = vec!["ra".to_owned()];
    for prefix in &ra.prefixes {
        words.push(prefix.prefix.to_string());
        let lives =
            [("valid", prefix.valid, RaPrefix::VALID), ("preferred", prefix.preferred, RaPrefix::PREFERRED)];
        let odd = lives.iter().filter(|(_, lives, usual)| lives != usual);
        words.extend(odd.map(|(word, lives, _)| format!("{word} {lives}")));
        for (flag, off) in [(prefix.onlink, "offlink"), (prefix.autonomous, "not autonomous")] {
            words.extend((!flag).then(|| off.to_owned()));
        }
    }
    words.push(format!("lifetime {} interval {} to {}", ra.lifetime, ra.min_interval, ra.interval));
    words.extend(ra.mtu.map(|mtu| format!("mtu {mtu}")));
    words.extend((!ra.rdnss.is_empty()).then(|| format!("rdnss {}", join(ra.rdnss.iter(), " "))));
    if ra.preference != Preference::Medium {
        words.push(format!("preference {}", ra.preference.as_str()));
    }
    for (flag, word) in [(ra.managed, "managed"), (ra.other, "other")] {
        words.extend(flag.then(|| word.to_owned()));
    }
    words.extend((ra.hop_limit != Ra::HOP_LIMIT).then(|| format!("hop limit {}", ra.hop_limit)));
    words.extend(ra.reachable.map(|time| format!("reachable {time}")));
    words.extend(ra.retrans.map(|time| format!("retrans {time}")));
    words.join(" ")
}

fn route(route: &Route) -> Vec<String> {
    let to = if route.to.prefix_len() == 0 && route.to.addr().is_ipv4() {
        "default".to_owned()
    } else {
        route.to.to_string()
    };
    vec![
        to,
        route.via.map(|via| format!("via {via}")).unwrap_or_default(),
        format!("dev {}", route.dev),
        format!("metric {}", route.metric),
        match route.origin {
            Origin::Written => "written".into(),
            Origin::Derived => "derived".into(),
        },
    ]
}

fn program(program: &Program, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nprogram {}  on {}", program.name, program.node)?;
    let mut rows = vec![vec!["runs".to_owned(), program.cmd.join(" ")]];
    if let Some(ready) = &program.ready {
        let when = match &ready.when {
            ReadyWhen::Tcp(port) => format!("tcp {port}"),
            ReadyWhen::Udp(port) => format!("udp {port}"),
            ReadyWhen::Log(regex) => format!("log /{regex}/"),
        };
        rows.push(vec!["ready".into(), format!("{when} within {}", ready.within)]);
    }
    if !program.after.is_empty() {
        rows.push(vec!["after".into(), program.after.join(" ")]);
    }
    if let Some(expect) = &program.expect {
        rows.push(vec!["expect".into(), format!("exit {}", expect.exit)]);
    }
    table(rows, out)
}

fn check(check: &Check) -> Vec<String> {
    let mut how = Vec::new();
    how.extend(check.after.map(|after| format!("after {after}")));
    how.extend(check.within.map(|within| format!("within {within}")));
    how.extend(check.hold.map(|hold| format!("for {hold}")));
    if check.expect == Outcome::Fail {
        how.push("must fail".into());
    }
    let kind = check.kind.to_string();
    let kind = if kind == check.name { String::new() } else { kind };
    vec![check.name.clone(), kind, terms(&check.kind), how.join(" ")]
}

/// What a check asks, defaults included.
fn terms(kind: &CheckKind) -> String {
    let mut terms: Vec<String> = Vec::new();
    let mut say =
        |what: &str, value: Option<String>| terms.extend(value.map(|value| format!("{what} {value}")));
    let text = |value: &dyn std::fmt::Display| Some(value.to_string());
    match kind {
        CheckKind::Ping { count, interval, size, ttl, loss, rtt, .. } => {
            say("count", text(count));
            say("interval", text(interval));
            say("size", text(size));
            say("ttl", ttl.map(|ttl| ttl.to_string()));
            say("loss <=", text(loss));
            say("rtt <=", rtt.map(|rtt| rtt.to_string()));
        }
        CheckKind::Trace { via, hops, .. } => {
            say("via", via.as_ref().map(|via| join(via.iter(), " ")));
            say("hops", hops.map(|hops| hops.to_string()));
        }
        CheckKind::Tcp { port, send, rate, .. } => {
            say("port", port.map(|port| port.to_string()));
            say("send", text(send));
            say("rate >=", rate.map(|rate| rate.to_string()));
        }
        CheckKind::Udp { port, count, size, loss, .. } => {
            say("port", port.map(|port| port.to_string()));
            say("count", text(count));
            say("size", text(size));
            say("loss <=", text(loss));
        }
        CheckKind::Http { port, path, status, body, .. } => {
            say("port", port.map(|port| port.to_string()));
            say("path", text(path));
            say("status", text(status));
            say("body", matched(body));
        }
        CheckKind::Route { via, dev, metric, .. } => {
            say("via", via.map(|via| via.to_string()));
            say("dev", dev.clone());
            say("metric", metric.map(|metric| metric.to_string()));
        }
        CheckKind::Neigh { dev, mac, state, .. } => {
            say("dev", dev.clone());
            say("lladdr", mac.map(|mac| mac.to_string()));
            say("state", state.map(|state| format!("{state:?}").to_uppercase()));
        }
        CheckKind::Counter { bound, .. } => say("in", Some(range(bound))),
        CheckKind::Drops { bound, .. } => say("count in", Some(range(bound))),
        CheckKind::Wire { buses, bound, order, .. } => {
            say("on", Some(buses.join(" ")));
            say("count in", order.is_empty().then(|| range(bound)));
        }
        CheckKind::Throughput { proto, time, rate, size, min, max, .. } => {
            say("time", text(time));
            say("rate", (*proto == Proto::Udp).then(|| rate.to_string()));
            say("size", (*proto == Proto::Udp).then(|| size.to_string()));
            say(">=", min.map(|min| min.to_string()));
            say("<=", max.map(|max| max.to_string()));
        }
        CheckKind::Convergence { of, min, max } => {
            say("<=", text(max));
            say(">=", min.map(|min| min.to_string()));
            let inner = self::terms(of);
            say("", (!inner.is_empty()).then_some(inner));
        }
        CheckKind::Cmd { expect, .. } => {
            say("exit", text(&expect.exit));
            say("stdout", matched(&expect.stdout));
            say("stderr", matched(&expect.stderr));
        }
    }
    terms.join(", ")
}

fn matched(text: &TextMatch) -> Option<String> {
    let contains = text.contains.as_ref().map(|part| format!("contains {part:?}"));
    let matches = text.matches.as_ref().map(|regex| format!("matches /{regex}/"));
    let json = text.json.as_ref().map(|json| format!("json {json}"));
    let all: Vec<String> = contains.into_iter().chain(matches).chain(json).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

fn range(bound: &Bound) -> String {
    format!("{}..{}", bound.min, bound.max.map(|max| max.to_string()).unwrap_or_default())
}

fn join(items: impl Iterator<Item = impl ToString>, between: &str) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

/// Rows with their columns under each other.
fn table(rows: Vec<Vec<String>>, out: &mut String) -> std::fmt::Result {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| Some(row.get(c)?.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = String::from(" ");
        for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            write!(line, " {cell:<width$} ")?;
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
