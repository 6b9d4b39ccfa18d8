//! The last step: from draft, routes and scenario to the [`Lab`].

use std::path::Path;

use indexmap::IndexMap;

use super::diag::{Code, Diag};
use super::draft::{self, Draft, unknown_bus};
use super::model::{
    Bus, Capture, HISTORY_DEFAULT, Interface, Keep, Lab, Member, Mode, Node, NodeFile, Octets, Route,
    TTL_DEFAULT, Time,
};
use super::names::{LAB_NAME_MAX, check_name, is_name, is_pattern, matches};
use super::number::{Macs, number};
use super::raw;
use super::raw::Routing;
use super::read::{Cx, Map, Sp};
use super::routes::routes;
use super::{checks, events, programs, tcp};

/// Octets a bus may remember: one page group to what a file can be mapped of.
const HISTORY_RANGE: std::ops::RangeInclusive<u64> = (64 << 10)..=(16 << 30);

/// Everything that is meant by the file. Faults are noted; what is returned then is as good as could be made.
pub(super) fn lab(file: raw::File, path: &Path, cx: &mut Cx) -> Lab {
    let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let name = lab_name(file.name.as_ref(), path, cx);
    let mut draft = Draft::new(file.node, file.bus, cx);
    number(&mut draft, cx);
    let routing = file.routing.as_ref().map_or(Routing::Shortest, |routing| routing.value);
    let routes = routes(&draft, routing, cx);
    let programs = programs::programs(file.program.unwrap_or_default(), &draft, &base, cx);
    let (events, awaited) = events::events(file.event.unwrap_or_default(), &draft, cx);
    let faults = events::faults(file.fault.unwrap_or_default(), &draft, cx);
    let (checks, mut filters) = checks::checks(file.check.unwrap_or_default(), &draft, cx);
    filters.extend(awaited);
    filters.append(&mut cx.filters);
    let capture = capture(file.capture.as_ref(), &draft, cx);
    let time = file.time.as_ref();
    let lab = Lab {
        nodes: nodes(&mut draft, routes, &name, &base, cx),
        buses: buses(&draft, cx),
        name,
        description: file.description.map(|text| text.value),
        base,
        time: Time {
            mode: time.and_then(|time| time.mode.as_ref()).map_or(Mode::Live, |mode| mode.value),
            seed: time.and_then(|time| time.seed.as_ref()).map_or(0, |seed| seed.0),
            stop: time.and_then(|time| time.stop.as_ref()).map(|stop| stop.value.0),
        },
        capture,
        programs,
        events,
        faults,
        checks,
        warnings: Default::default(),
    };
    super::filters::check(&filters, &lab, cx);
    lab
}

/// The name that was written, else the file's, else its folder's.
fn lab_name(typed: Option<&Sp<String>>, path: &Path, cx: &mut Cx) -> String {
    if let Some(name) = typed {
        check_name(name, "a lab", LAB_NAME_MAX, cx);
        return name.value.clone();
    }
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = file.strip_suffix(".lab.toml").or(file.strip_suffix(".toml")).unwrap_or(file);
    let stem = match stem {
        "lab" => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let folder = folder.canonicalize().ok();
            folder.and_then(|folder| Some(folder.file_name()?.to_str()?.to_lowercase())).unwrap_or_default()
        }
        stem => stem.to_lowercase(),
    };
    // What a file or a folder is called is nobody's fault: it is made to fit.
    let fit: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect();
    let fit: String = fit.trim_matches(['_', '.', '-']).chars().take(LAB_NAME_MAX).collect();
    if is_name(&fit, LAB_NAME_MAX) { fit } else { "lab".into() }
}

fn capture(typed: Option<&Sp<raw::Capture>>, draft: &Draft, cx: &mut Cx) -> Capture {
    let keep = typed.and_then(|typed| typed.keep.as_ref()).map_or(Keep::OnFailure, |keep| keep.value);
    let buses = match typed.and_then(|typed| typed.buses.as_ref()) {
        None => draft.buses.keys().cloned().collect(),
        Some(patterns) => bus_names(&patterns.value.0, draft, cx),
    };
    Capture { buses, keep }
}

/// The buses that patterns stand for, in the order of the file.
pub(super) fn bus_names(patterns: &[Sp<String>], draft: &Draft, cx: &mut Cx) -> Vec<String> {
    for pattern in patterns {
        // `*` of a lab without buses is nobody's mistake.
        if pattern.value != "*" && !draft.buses.keys().any(|bus| matches(pattern, bus)) {
            cx.push(unknown_bus(pattern, draft.buses.keys()));
        }
    }
    let wanted = |bus: &String| {
        patterns
            .iter()
            .any(|pattern| if is_pattern(pattern) { matches(pattern, bus) } else { pattern.value == *bus })
    };
    draft.buses.keys().filter(|bus| wanted(bus)).cloned().collect()
}

fn nodes(
    draft: &mut Draft,
    routes: Vec<Vec<Route>>,
    lab: &str,
    base: &Path,
    cx: &mut Cx,
) -> IndexMap<String, Node> {
    let mut macs = Macs::new(draft);
    let bus_names: Vec<String> = draft.buses.keys().cloned().collect();
    let bus_mtus: Vec<u16> = draft.buses.values().map(|bus| bus.mtu).collect();
    let offloads: Vec<bool> = draft.buses.values().map(draft::Bus::offload).collect();
    let mut nodes = IndexMap::with_capacity(draft.nodes.len());
    for ((name, node), routes) in draft.nodes.iter_mut().zip(routes) {
        let typed = node.interfaces.iter().map(|interface| Interface {
            name: interface.name.clone(),
            bus: bus_names[interface.bus].clone(),
            mac: match &interface.mac {
                Some(mac) => mac.value,
                None => macs.derive(lab, name, &interface.name),
            },
            mtu: interface.mtu.as_ref().map_or(bus_mtus[interface.bus], |mtu| mtu.value),
            offload: offloads[interface.bus],
            addrs: interface.addrs.iter().map(|net| net.value).collect(),
            ipv6: interface.ipv6.clone(),
            gateways: interface.gateways.iter().map(|gateway| gateway.0).collect(),
            impair: interface.impair.clone(),
        });
        let (tcp, sysctl) = tcp::tcp(node.raw.as_ref(), cx);
        let made = Node {
            name: name.clone(),
            forward: node.forward(),
            ttl: ttl(node.raw.as_ref()),
            tcp,
            sysctl,
            loopback: node.loopback.iter().map(|net| net.value).collect(),
            interfaces: typed.collect(),
            routes,
            files: files(node.raw.as_ref(), base, cx),
        };
        nodes.insert(name.clone(), made);
    }
    nodes
}

fn ttl(node: Option<&raw::Node>) -> u8 {
    let typed = node.and_then(|node| node.ttl.as_ref());
    // The reader lets through what fits.
    typed.map_or(TTL_DEFAULT, |ttl| ttl.value.0 as u8)
}

fn files(node: Option<&raw::Node>, base: &Path, cx: &mut Cx) -> Vec<NodeFile> {
    let Some(Map(typed)) = node.and_then(|node| node.files.as_ref()).map(|files| &files.value) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for (path, host) in typed {
        let Some(host) = host else { continue };
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            let message = format!("\"{}\" is not an absolute path on the node", path.value);
            cx.push(
                Diag::new(Code::BadName, path.span.clone(), message).hint("for example \"/srv/index.html\""),
            );
            continue;
        }
        let file = base.join(&host.value);
        if !file.exists() {
            let message = format!("no such file: {}", file.display());
            let diag = Diag::new(Code::MissingFile, host.span.clone(), message);
            cx.push(diag.hint("host paths are relative to the topology file"));
        }
        files.push(NodeFile { node: path.value.clone(), host: file });
    }
    files
}

fn buses(draft: &Draft, cx: &mut Cx) -> IndexMap<String, Bus> {
    let node_names: Vec<&String> = draft.nodes.keys().collect();
    let mut buses = IndexMap::with_capacity(draft.buses.len());
    for (name, bus) in &draft.buses {
        let history = bus.raw.as_ref().and_then(|raw| raw.history.as_ref());
        if let Some(history) = history.filter(|history| !HISTORY_RANGE.contains(&history.value.0.0)) {
            let message = format!("a bus cannot remember {}", history.value.0);
            let (low, high) = (Octets(*HISTORY_RANGE.start()), Octets(*HISTORY_RANGE.end()));
            cx.push(
                Diag::new(Code::OutOfRange, history.span.clone(), message).hint(format!("{low} to {high}")),
            );
        }
        let member = |(node, interface): &(usize, usize)| Member {
            node: node_names[*node].clone(),
            interface: draft.interface((*node, *interface)).name.clone(),
        };
        let made = Bus {
            name: name.clone(),
            subnets: bus.subnets.iter().map(|net| net.value).collect(),
            history: history.map_or(Octets(HISTORY_DEFAULT), |history| history.value.0),
            mtu: bus.mtu,
            offload: bus.offload(),
            impair: bus.raw.as_ref().and_then(|raw| raw.impair.as_ref()).map(|impair| impair.value.0.clone()),
            members: bus.members.iter().map(member).collect(),
        };
        buses.insert(name.clone(), made);
    }
    buses
}
