//! From the model of a topology to what is written to disk: a config a node, a file a bus, `lab.json`.
//!
//! What the model can say and virtual time cannot run is refused here, by its name; it is never left out silently.

use super::fault::Fault;
use super::rundir::LabDir;
use super::state::{BusState, Epoch, InterfaceState, LabState, NodeState, Phase, Slaac, VERSION};
use crate::topology::addr::is_link_local;
use crate::topology::model::{
    Act, CheckKind, Dad, Duration, Interface, Ipv6, Lab, Node, NodeFile, Origin, Preference, Privacy, Ra,
};
use indexmap::IndexMap;
use rumpkern::config::{self, HostConfig, InterfaceConfig, NodeConfig, RouteConfig};
use rumpkern::ifs::impairment::Impairment;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

/// Everything that `up` writes.
#[derive(Debug)]
pub struct Plan {
    /// `lab.json`, in phase `starting`.
    pub state: LabState,
    /// A config a node, in the order of the file.
    pub nodes: Vec<NodeConfig>,
    /// The names that all nodes resolve: one file for all.
    pub hosts: Vec<HostConfig>,
}

/// Makes the plan of a lab for a run directory.
///
/// # Errors
/// The topology asks for something that this version does not have.
pub fn plan(lab: &Lab, topology: &Path, dir: &LabDir) -> Result<Plan, Fault> {
    plan_since(lab, topology, dir, Epoch::now(), seed(lab))
}

/// The seed of a lab: the topology's, or one that nobody chose.
pub fn seed(lab: &Lab) -> u64 {
    if lab.time.seed == 0 { fresh_seed() } else { lab.time.seed }
}

/// Makes the plan of a lab in virtual time with this seed: its paths are names, its time begins with the year 2000.
///
/// # Errors
/// The topology asks for something that there is in live labs only.
pub fn plan_virtual(lab: &Lab, topology: &Path, seed: u64) -> Result<Plan, Fault> {
    refuse_what_is_live(lab)?;
    let epoch = Epoch { unix_ns: 946_684_800_000_000_000, mono_ns: 0 };
    plan_since(lab, topology, &LabDir::nowhere(&lab.name), epoch, seed)
}

fn plan_since(lab: &Lab, topology: &Path, dir: &LabDir, epoch: Epoch, seed: u64) -> Result<Plan, Fault> {
    // One for the whole lab, another for another lab.
    let home = node_seed(0, &dir.path().to_string_lossy()) as usize;
    let nodes = lab
        .nodes
        .values()
        .map(|node| {
            Ok(NodeConfig {
                lab: lab.name.clone(),
                node: node.name.clone(),
                dir: dir.node(&node.name).path().to_owned(),
                epoch: rumpkern::config::Epoch { unix_ns: epoch.unix_ns, mono_ns: epoch.mono_ns },
                seed: node_seed(seed, &node.name),
                home: Some(home),
                forward: node.forward,
                ttl: NonZeroU8::new(node.ttl),
                tcp: Some(node.tcp.as_str().to_owned()),
                sysctl: node.sysctl.clone(),
                interfaces: node
                    .interfaces
                    .iter()
                    .map(|one| interface(lab, seed, node, one, dir))
                    .collect::<Result<_, _>>()?,
                loopback: node.loopback.clone(),
                routes: routes(node),
                hosts: Vec::new(),
                hosts_file: Some(dir.hosts()),
                files: files(node)?,
            })
        })
        .collect::<Result<_, Fault>>()?;
    let state = LabState {
        version: VERSION,
        lab: lab.name.clone(),
        phase: Phase::Starting,
        topology: topology.to_owned(),
        epoch,
        seed,
        buses: lab
            .buses
            .values()
            .map(|bus| BusState { name: bus.name.clone(), history: bus.history.0 })
            .collect(),
        nodes: lab.nodes.values().map(|node| node_state(lab, seed, node)).collect::<Result<_, _>>()?,
        programs: lab.programs.values().cloned().collect(),
    };
    Ok(Plan { state, nodes, hosts: hosts(lab) })
}

fn interface(
    lab: &Lab,
    seed: u64,
    node: &Node,
    one: &Interface,
    dir: &LabDir,
) -> Result<InterfaceConfig, Fault> {
    Ok(InterfaceConfig {
        name: one.name.clone(),
        bus: dir.bus(&one.bus),
        mac: netstack::net::MacAddr(one.mac.0),
        mtu: one.mtu.into(),
        addresses: one.addrs.clone(),
        ipv6: one.ipv6.as_ref().map(ipv6),
        offload: one.offload,
        impair: impairment(lab, seed, node, one)?,
        up: true,
    })
}

/// What the topology lets happen to frames that leave by an interface.
pub(super) fn impairment(
    lab: &Lab,
    seed: u64,
    node: &Node,
    one: &Interface,
) -> Result<Option<Impairment>, Fault> {
    let seed = super::impair::wire_seed(seed, &one.bus, &node.name, &one.name);
    lab.impair_of(one).map(|impair| super::impair::impairment(impair, seed, lab)).transpose()
}

fn ipv6(six: &Ipv6) -> config::Ipv6Config {
    config::Ipv6Config {
        slaac: six.slaac,
        dad: match six.dad {
            Dad::Off => config::Dad::Off,
            Dad::On => config::Dad::On,
            Dad::Optimistic => config::Dad::Optimistic,
        },
        privacy: match six.privacy {
            Privacy::Eui64 => config::Privacy::Eui64,
            Privacy::Stable => config::Privacy::Stable,
            Privacy::Temporary => config::Privacy::Temporary,
        },
        ra: six.ra.as_ref().map(ra),
    }
}

fn ra(ra: &Ra) -> config::RaConfig {
    // The topology's ranges are within what these hold.
    let ms = |time: Duration| u32::try_from(time.0.as_millis()).unwrap_or(u32::MAX);
    let seconds = |time: Duration| u32::try_from(time.0.as_secs()).unwrap_or(u32::MAX);
    config::RaConfig {
        prefixes: ra
            .prefixes
            .iter()
            .map(|prefix| config::PrefixConfig {
                prefix: prefix.prefix,
                onlink: prefix.onlink,
                autonomous: prefix.autonomous,
                valid: prefix.valid.0,
                preferred: prefix.preferred.0,
            })
            .collect(),
        lifetime: u16::try_from(seconds(ra.lifetime)).unwrap_or(u16::MAX),
        mtu: ra.mtu.map(u32::from),
        rdnss: ra.rdnss.clone(),
        // radvd's: two of the longest intervals.
        // RFC 8106 §5.1: three times MaxRtrAdvInterval.
        rdnss_lifetime: seconds(Duration(ra.interval.0 * 3)).max(1),
        preference: match ra.preference {
            Preference::High => config::Preference::High,
            Preference::Medium => config::Preference::Medium,
            Preference::Low => config::Preference::Low,
        },
        interval_ms: ms(ra.interval),
        min_interval_ms: ms(ra.min_interval),
        managed: ra.managed,
        other: ra.other,
        hop_limit: ra.hop_limit,
        reachable_ms: ra.reachable.map_or(0, ms),
        retrans_ms: ra.retrans.map_or(0, ms),
    }
}

fn routes(node: &Node) -> Vec<RouteConfig> {
    node.routes
        .iter()
        .map(|route| RouteConfig {
            to: route.to,
            via: route.via,
            dev: Some(route.dev.clone()),
            metric: route.metric,
            proto: match route.origin {
                Origin::Written => "static".into(),
                // What `ip route` calls routes that were there when the system came up.
                Origin::Derived => "boot".into(),
            },
        })
        .collect()
}

/// Absolute paths: the node lives on in another directory.
fn files(node: &Node) -> Result<IndexMap<String, PathBuf>, Fault> {
    let absolute = |file: &NodeFile| {
        let host = std::path::absolute(&file.host).map_err(Fault::io("find", &file.host))?;
        Ok((file.node.clone(), host))
    };
    node.files.iter().map(absolute).collect()
}

fn node_state(lab: &Lab, seed: u64, node: &Node) -> Result<NodeState, Fault> {
    let interface = |one: &Interface| {
        Ok(InterfaceState {
            name: one.name.clone(),
            bus: one.bus.clone(),
            mac: one.mac.to_string(),
            mtu: one.mtu.into(),
            addresses: one.addrs.clone(),
            slaac: match &one.ipv6 {
                Some(Ipv6 { slaac: true, .. }) if lab.advertises(&one.bus) => Slaac::Expects,
                Some(Ipv6 { slaac: true, .. }) => Slaac::Hopes,
                Some(Ipv6 { slaac: false, .. }) | None => Slaac::Off,
            },
            impair: impairment(lab, seed, node, one)?,
        })
    };
    Ok(NodeState {
        name: node.name.clone(),
        stopped: false,
        interfaces: node.interfaces.iter().map(interface).collect::<Result<_, Fault>>()?,
        loopback: node.loopback.clone(),
    })
}

/// The names that every node resolves: each node, those of its addresses that others may reach, IPv6 first.
fn hosts(lab: &Lab) -> Vec<HostConfig> {
    lab.nodes
        .values()
        .map(|node| {
            let all = node.loopback.iter().chain(node.interfaces.iter().flat_map(|one| &one.addrs));
            let mut addresses: Vec<IpAddr> = all.map(ipnet::IpNet::addr).collect();
            addresses.retain(|address| !is_link_local(*address));
            addresses.sort_by_key(IpAddr::is_ipv4);
            HostConfig { name: node.name.clone(), addresses }
        })
        .filter(|host| !host.addresses.is_empty())
        .collect()
}

/// Each node's randomness differs, and is the same for the same lab seed whatever else is in the lab.
fn node_seed(seed: u64, node: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(seed, 0);
    hasher.write(node.as_bytes());
    // 0 would mean: take it from the host.
    hasher.finish().max(1)
}

/// A seed that nobody chose: never 0, and below 2^53, so that whoever reads JSON numbers as doubles can give it back.
fn fresh_seed() -> u64 {
    let mut octets = [0; 8];
    let random = match rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => u64::from_ne_bytes(octets),
        _ => Epoch::now().unix_ns,
    };
    (random & ((1 << 53) - 1)).max(1)
}

/// The host's programs know the host's time only.
fn refuse_what_is_live(lab: &Lab) -> Result<(), Fault> {
    let refuse = |what: String| Err(Fault::LiveOnly { what });
    if let Some(program) = lab.programs.keys().next() {
        return refuse(format!("the host program `{program}`"));
    }
    if let Some(check) = lab.checks.iter().find(|check| matches!(check.kind, CheckKind::Cmd { .. })) {
        return refuse(format!("the host program of check `{}`", check.name));
    }
    match lab.events.iter().find(|event| matches!(event.act, Act::Exec(..))) {
        Some(event) => refuse(format!("the host program of event `{}`", event.words.join(" "))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_absolute_paths() {
        let file = |node: &str, host: &str| NodeFile { node: node.into(), host: host.into() };
        let node = Node {
            name: "h1".into(),
            forward: false,
            ttl: 64,
            tcp: crate::topology::model::TcpProfile::Linux,
            sysctl: IndexMap::new(),
            loopback: Vec::new(),
            interfaces: Vec::new(),
            routes: Vec::new(),
            files: vec![file("/srv/index.html", "lab/www/index.html"), file("/etc/resolv.conf", "/r")],
        };
        let here = std::env::current_dir().unwrap();
        let want = [
            ("/srv/index.html".to_owned(), here.join("lab/www/index.html")),
            ("/etc/resolv.conf".to_owned(), "/r".into()),
        ];
        assert_eq!(files(&node).unwrap(), IndexMap::from(want));
    }

    #[test]
    fn names_are_of_both_families() {
        let text = r#"
            [node]
            r1 = { forward = true, loopback = ["192.0.2.1", "fd00:ff::1"], if.eth0 = { bus = "lan", ra = {} } }
            h1 = { if.eth0 = { bus = "lan", ip = ["10.0.0.7", "fe80::7/64", "fd00::7"] } }
            h2 = { if.eth0 = { bus = "lan", address = "slaac" } }
            h3 = { if.eth0 = { bus = "lan", ip = [], address = "slaac" } }
            [bus]
            lan = { subnet = "10.0.0.0/24", subnet6 = "fd00::/64" }
        "#;
        let lab = crate::topology::load_str("x.lab.toml", text).unwrap_or_else(|faults| panic!("{faults}"));
        let hosts: Vec<String> = hosts(&lab)
            .iter()
            .map(|host| {
                format!(
                    "{}: {}",
                    host.name,
                    host.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        // What only h2 and h3 know is not among them.
        assert_eq!(
            hosts,
            ["r1: fd00:ff::1 fd00::1 192.0.2.1 10.0.0.1", "h1: fd00::7 10.0.0.7", "h2: 10.0.0.2"]
        );
    }

    #[test]
    fn ipv6_reaches_the_node() {
        let text = r#"
            [node]
            r1 = { forward = true, if.eth0 = { bus = "lan", dad = "on", ra = { interval = "1s", rdnss = "fd00::1", preference = "high" } } }
            h1 = { if.eth0 = { bus = "lan", address = "slaac", dad = "off", privacy = "eui64" } }
            h2 = { if.eth0 = { bus = "four" } }
            [bus]
            lan = { subnet6 = "fd00::/64" }
            four = { subnet = "10.0.0.0/24" }
        "#;
        let lab = crate::topology::load_str("x.lab.toml", text).unwrap_or_else(|faults| panic!("{faults}"));
        let of = |node: &str| lab.nodes[node].interfaces[0].ipv6.as_ref().map(super::ipv6);
        let r1 = of("r1").unwrap();
        assert_eq!((r1.slaac, r1.dad, r1.privacy), (false, config::Dad::On, config::Privacy::Stable));
        let ra = r1.ra.unwrap();
        let prefix = &ra.prefixes[0];
        assert_eq!((ra.interval_ms, ra.min_interval_ms, ra.lifetime, ra.rdnss_lifetime), (1000, 330, 3, 3));
        assert_eq!((ra.preference, ra.hop_limit, ra.mtu), (config::Preference::High, 64, None));
        assert_eq!(
            (prefix.prefix.to_string().as_str(), prefix.valid, prefix.preferred),
            ("fd00::/64", 86_400, 14_400)
        );
        let h1 = of("h1").unwrap();
        let want = config::Ipv6Config {
            slaac: true,
            dad: config::Dad::Off,
            privacy: config::Privacy::Eui64,
            ra: None,
        };
        assert_eq!(h1, want);
        assert_eq!(of("h2"), None);
        let slaac = |node: &str| node_state(&lab, 1, &lab.nodes[node]).unwrap().interfaces[0].slaac;
        assert_eq!(["r1", "h1", "h2"].map(slaac), [Slaac::Off, Slaac::Expects, Slaac::Off]);
    }

    #[test]
    fn a_fresh_seed_is_a_double() {
        for _ in 0..64 {
            let seed = super::fresh_seed();
            assert!(seed > 0 && seed as f64 as u64 == seed && seed < 1 << 53, "{seed}");
        }
    }
}
