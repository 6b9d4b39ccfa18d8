//! Events: the words after `labctl`, of the verbs that change a running lab.

use super::addr;
use super::diag::{Code, Diag, nearest};
use super::draft::{Draft, unknown_bus, unknown_node};
use super::impair::Impair;
use super::model::{Act, Event, Port, Wire};
use super::raw;
use super::read::{Cx, List, Sp};

/// The verbs of events, and how each is written.
const VERBS: &[(&str, &str)] = &[
    ("link", "link up|down NODE:IF"),
    ("impair", "impair set BUS|NODE:IF KEY VALUE…, impair reset BUS|NODE:IF"),
    ("start", "start NODE"),
    ("stop", "stop NODE"),
    ("kill", "kill NODE"),
    ("restart", "restart NODE"),
    ("exec", "exec NODE -- CMD…"),
];

/// The hint of an event without words.
const EXAMPLE: &str = "for example \"link down r1:eth0\"";

/// All events, in the order in which they happen.
pub(super) fn events(List(typed): List<raw::Event>, draft: &Draft, cx: &mut Cx) -> Vec<Event> {
    let mut events: Vec<Event> = typed.iter().filter_map(|event| one(event, draft, cx)).collect();
    events.sort_by_key(|event| event.at);
    events
}

fn one(event: &Sp<raw::Event>, draft: &Draft, cx: &mut Cx) -> Option<Event> {
    let words = super::programs::words(&event.r#do, EXAMPLE, cx);
    let span = event.r#do.span.clone();
    let word = |text: &str| Sp { value: text.to_owned(), span: span.clone() };
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let act = match &texts[..] {
        [] => return None,
        ["link", "up", port] => Act::LinkUp(self::port(&word(port), draft, cx)?),
        ["link", "down", port] => Act::LinkDown(self::port(&word(port), draft, cx)?),
        ["impair", "set", wire, rest @ ..] if !rest.is_empty() => {
            let wire = self::wire(&word(wire), draft, cx);
            match Impair::default().with_words(rest) {
                Ok(impair) => Act::ImpairSet(wire?, impair),
                Err(fault) => {
                    cx.push(Diag::new(Code::BadEvent, span, fault));
                    return None;
                }
            }
        }
        ["impair", "reset", wire] => Act::ImpairReset(self::wire(&word(wire), draft, cx)?),
        ["start", node] => Act::Start(self::node(&word(node), draft, cx)?),
        ["stop", node] => Act::Stop(self::node(&word(node), draft, cx)?),
        ["kill", node] => Act::Kill(self::node(&word(node), draft, cx)?),
        ["restart", node] => Act::Restart(self::node(&word(node), draft, cx)?),
        ["exec", node, "--", cmd @ ..] if !cmd.is_empty() => {
            let cmd = cmd.iter().map(|word| (*word).to_owned()).collect();
            Act::Exec(self::node(&word(node), draft, cx)?, cmd)
        }
        [verb, ..] => {
            cx.push(misspelt(verb, span));
            return None;
        }
    };
    // Only now: what is wrong with the words is said whatever is wrong with the time.
    Some(Event { at: event.at.0.as_ref()?.value.0, words, act })
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

fn node(name: &Sp<String>, draft: &Draft, cx: &mut Cx) -> Option<String> {
    if draft.nodes.contains_key(&name.value) {
        return Some(name.value.clone());
    }
    cx.push(unknown_node(name, draft.nodes.keys()));
    None
}

/// `NODE:IF`.
fn port(text: &Sp<String>, draft: &Draft, cx: &mut Cx) -> Option<Port> {
    let Some((node, interface)) = text.split_once(':') else {
        let message = format!("\"{}\" is not a port", text.value);
        cx.push(Diag::new(Code::BadEvent, text.span.clone(), message).hint("a port is written NODE:IF"));
        return None;
    };
    let name = self::node(&Sp { value: node.to_owned(), span: text.span.clone() }, draft, cx)?;
    if !draft.nodes[&name].has_interface(interface) {
        cx.push(unknown_interface(&name, interface, text.span.clone(), draft));
        return None;
    }
    Some(Port { node: name, interface: interface.to_owned() })
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

/// `BUS` or `NODE:IF`.
fn wire(text: &Sp<String>, draft: &Draft, cx: &mut Cx) -> Option<Wire> {
    if text.contains(':') {
        return port(text, draft, cx).map(Wire::Port);
    }
    if draft.buses.contains_key(&text.value) {
        return Some(Wire::Bus(text.value.clone()));
    }
    cx.push(unknown_bus(text, draft.buses.keys()));
    None
}

/// Reads `default`, a prefix or an address as a destination; the family of `default` is the next hop's, else IPv4.
pub(super) fn destination(to: addr::Dest, via: Option<std::net::IpAddr>) -> ipnet::IpNet {
    match (to, via) {
        (addr::Dest::Net(net), _) => net,
        (addr::Dest::Default, Some(std::net::IpAddr::V6(_))) => ipnet::Ipv6Net::default().into(),
        (addr::Dest::Default, _) => ipnet::Ipv4Net::default().into(),
    }
}
