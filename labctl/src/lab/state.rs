//! `lab.json`: what was started, so that everything after `up` needs no topology file any more.
//!
//! Written whole to a temporary file and renamed: a reader finds the old state or the new one. What lives and what is
//! dead is never in it; that is asked of the host each time ([`super::view`]).

use super::fault::Fault;
use super::rundir::LabDir;
use crate::topology::addr::is_link_local;
use crate::topology::model::{Family, Program, Zoned};
use ipnet::IpNet;
use rumpkern::ifs::impairment::Impairment;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The shape of `lab.json`. Another version's lab can be taken down, not used.
pub const VERSION: u32 = 1;

/// How far the lab came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// `up` is at work, or was killed at it.
    Starting,
    /// `up` came to its end.
    Up,
    /// `down` is at work, or was killed at it.
    Stopping,
}

/// What was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabState {
    /// [`VERSION`].
    pub version: u32,
    /// The lab's name.
    pub lab: String,
    /// How far it came.
    pub phase: Phase,
    /// The topology file, absolute.
    pub topology: PathBuf,
    /// Time zero of the lab: nanoseconds of CLOCK_REALTIME and CLOCK_MONOTONIC, read at the same moment.
    pub epoch: Epoch,
    /// Seed of everything random in the lab.
    pub seed: u64,
    /// The buses, in the order of the file.
    pub buses: Vec<BusState>,
    /// The nodes, in the order of the file.
    pub nodes: Vec<NodeState>,
    /// Programs that run on them, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
}

/// Time zero, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Nanoseconds of CLOCK_REALTIME.
    pub unix_ns: u64,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub mono_ns: u64,
}

impl Epoch {
    /// Now.
    pub fn now() -> Self {
        let read = |clock| {
            let time = rustix::time::clock_gettime(clock);
            let part = |value: i64| u64::try_from(value).unwrap_or(0);
            part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
        };
        Self {
            unix_ns: read(rustix::time::ClockId::Realtime),
            mono_ns: read(rustix::time::ClockId::Monotonic),
        }
    }
}

/// A bus of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusState {
    /// Its name, and that of its file.
    pub name: String,
    /// Octets of traffic that it remembers.
    pub history: u64,
}

/// A node of the lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Stopped on purpose (`labctl stop`): that it does not run is no fault.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Its interfaces, in order.
    pub interfaces: Vec<InterfaceState>,
    /// Addresses of `lo` beside 127.0.0.1/8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loopback: Vec<IpNet>,
}

/// An interface as it was configured; whether it is up now, the node knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterfaceState {
    /// Its name in the node.
    pub name: String,
    /// The bus that it is on.
    pub bus: String,
    /// Ethernet address as text.
    pub mac: String,
    /// Octets of the largest IP packet.
    pub mtu: u32,
    /// Addresses with prefix lengths.
    pub addresses: Vec<IpNet>,
    /// How it comes to others.
    #[serde(default, skip_serializing_if = "Slaac::is_off")]
    pub slaac: Slaac,
    /// What the topology lets happen to frames that leave by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impairment>,
}

/// How an interface comes to addresses that only its node knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slaac {
    /// It does not.
    #[default]
    Off,
    /// By advertisements; the topology does not say whose.
    Hopes,
    /// By advertisements of a router of the topology.
    Expects,
}

impl Slaac {
    fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

/// An address that an interface of a node has now, whatever the topology says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// The interface.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

impl LabState {
    /// What the lab's directory says; `None` if it says nothing (yet).
    ///
    /// # Errors
    /// Unreadable, damaged, or another version's.
    pub fn load(lab: &LabDir) -> Result<Option<Self>, Fault> {
        let path = lab.state_file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io("read", &path)(error)),
        };
        let damaged = |message: String| Fault::Damaged { path: path.clone(), message };
        let state: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if state.version != VERSION {
            return Err(damaged(format!("it is of version {}, this labctl reads {VERSION}", state.version)));
        }
        if state.lab != lab.name() {
            return Err(damaged(format!("it speaks of a lab `{}`", state.lab)));
        }
        Ok(Some(state))
    }

    /// Puts the state where [`Self::load`] finds it.
    ///
    /// # Errors
    /// The host refuses.
    pub fn save(&self, lab: &LabDir) -> Result<(), Fault> {
        let path = lab.state_file();
        let text =
            serde_json::to_vec(self).map_err(|error| Fault::io("write", &path)(io::Error::from(error)))?;
        write_whole(&path, &text)
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeState> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The node of that name, or the fault that names the nearest.
    ///
    /// # Errors
    /// There is none.
    pub fn expect_node(&self, name: &str) -> Result<&NodeState, Fault> {
        self.node(name).ok_or_else(|| Fault::NoSuch {
            lab: self.lab.clone(),
            kind: "node",
            name: name.to_owned(),
            near: super::fault::nearest(name, self.nodes.iter().map(|node| node.name.as_str())),
        })
    }

    /// The bus of that name, or the fault that names the nearest.
    ///
    /// # Errors
    /// There is none.
    pub fn expect_bus(&self, name: &str) -> Result<&BusState, Fault> {
        self.buses.iter().find(|bus| bus.name == name).ok_or_else(|| Fault::NoSuch {
            lab: self.lab.clone(),
            kind: "bus",
            name: name.to_owned(),
            near: super::fault::nearest(name, self.buses.iter().map(|bus| bus.name.as_str())),
        })
    }

    /// Where `from` reaches `to`: an address on a bus that both are on, else one of its loopback, else its first one;
    /// IPv6 before IPv4 if `from` has any, or `family` alone. `to` may be an address or `NODE:IF` too; `learnt` are addresses
    /// of that node besides those of the topology.
    ///
    /// # Errors
    /// No such node or interface, or it has no such address.
    pub fn resolve(
        &self,
        from: &str,
        to: &str,
        family: Option<Family>,
        learnt: &[Learnt],
    ) -> Result<Zoned, Fault> {
        if let Ok(address) = to.parse() {
            return self.address(from, address, family);
        }
        let (name, interface) = node_of(to);
        let node = self.expect_node(name)?;
        if let Some(interface) = interface {
            node.expect_interface(&self.lab, interface)?;
        }
        let prefer =
            if self.node(from).is_some_and(NodeState::speaks_ipv6) { Family::Ipv6 } else { Family::Ipv4 };
        let shared =
            |bus: &str| self.node(from).is_some_and(|from| from.interfaces.iter().any(|one| one.bus == bus));
        let on_buses =
            node.interfaces.iter().filter(|one| interface.is_none_or(|name| one.name == name)).flat_map(
                |one| {
                    let own = one.addresses.iter().map(IpNet::addr);
                    let learnt = learnt.iter().filter(|learnt| learnt.interface == one.name);
                    let distance = if shared(&one.bus) { 0 } else { 2 };
                    own.chain(learnt.map(|learnt| learnt.address)).map(move |address| (distance, address))
                },
            );
        let on_loopback = node.loopback.iter().filter(|_| interface.is_none()).map(|net| (1, net.addr()));
        let mut best: Option<((bool, u8), IpAddr)> = None;
        let all = on_buses.chain(on_loopback).filter(|(_, address)| !is_link_local(*address));
        for (distance, address) in all.filter(|(_, address)| family.is_none_or(|family| family.has(*address)))
        {
            let rank = (!prefer.has(address), distance);
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, address));
            }
        }
        let what = match family {
            None => "address",
            Some(Family::Ipv4) => "IPv4 address",
            Some(Family::Ipv6) => "IPv6 address",
        };
        best.map(|(_, address)| address.into()).ok_or_else(|| Fault::Usage(format!("`{to}` has no {what}")))
    }

    /// An address that was written, as `from` can use it.
    fn address(&self, from: &str, address: Zoned, family: Option<Family>) -> Result<Zoned, Fault> {
        if let Some(family) = family.filter(|family| !family.has(address.addr)) {
            let other = match family {
                Family::Ipv4 => "IPv4",
                Family::Ipv6 => "IPv6",
            };
            return Err(Fault::Usage(format!("`{address}` is no {other} address")));
        }
        if address.lacks_zone() {
            return Err(Fault::Usage(format!(
                "`{address}` is on every link: name the interface, as in `{address}%eth0`"
            )));
        }
        if let Some(zone) = &address.zone {
            self.expect_node(from)?.expect_interface(&self.lab, zone)?;
        }
        Ok(address)
    }
}

/// `NODE` or `NODE:IF` in its parts.
pub(super) fn node_of(to: &str) -> (&str, Option<&str>) {
    to.split_once(':').map_or((to, None), |(name, interface)| (name, Some(interface)))
}

impl NodeState {
    /// Whether it has IPv6 addresses that others reach, or will have.
    pub fn speaks_ipv6(&self) -> bool {
        let mut all = self.loopback.iter().chain(self.interfaces.iter().flat_map(|one| &one.addresses));
        all.any(|net| net.addr().is_ipv6() && !is_link_local(net.addr()))
            || self.interfaces.iter().any(|one| one.slaac != Slaac::Off)
    }

    /// The interface of that name, or the fault that names the nearest.
    ///
    /// # Errors
    /// There is none.
    pub fn expect_interface(&self, lab: &str, name: &str) -> Result<&InterfaceState, Fault> {
        self.interfaces.iter().find(|one| one.name == name).ok_or_else(|| Fault::NoSuch {
            lab: lab.to_owned(),
            kind: "interface",
            name: format!("{}:{name}", self.name),
            near: super::fault::nearest(name, self.interfaces.iter().map(|one| one.name.as_str()))
                .map(|near| format!("{}:{near}", self.name)),
        })
    }
}

/// Writes a private file whole or not at all.
///
/// # Errors
/// The host refuses.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> Result<(), Fault> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(Fault::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::super::rundir::RunRoot;
    use super::*;
    use crate::topology::model::{Duration, Output, Ready, ReadyWhen, TextMatch};

    fn interface(name: &str, bus: &str, addresses: &[&str]) -> InterfaceState {
        InterfaceState {
            name: name.into(),
            bus: bus.into(),
            mac: "02:00:00:00:00:01".into(),
            mtu: 1500,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            slaac: Slaac::Off,
            impair: None,
        }
    }

    fn state() -> LabState {
        let node = |name: &str, interfaces, loopback: &[&str]| NodeState {
            name: name.into(),
            stopped: false,
            interfaces,
            loopback: loopback.iter().map(|text| text.parse().unwrap()).collect(),
        };
        LabState {
            version: VERSION,
            lab: "x".into(),
            phase: Phase::Up,
            topology: "/t/lab.toml".into(),
            epoch: Epoch::now(),
            seed: 7,
            buses: vec![
                BusState { name: "left".into(), history: 1 },
                BusState { name: "right".into(), history: 1 },
            ],
            nodes: vec![
                node("h1", vec![interface("eth0", "left", &["10.0.1.2/24"])], &[]),
                node(
                    "r1",
                    vec![
                        interface("eth0", "right", &["fd00::1/64", "10.0.2.1/24"]),
                        interface("eth1", "left", &["10.0.1.1/24"]),
                    ],
                    &["192.0.2.9/32"],
                ),
                node("h2", vec![interface("eth0", "right", &["fd00::2/64"])], &[]),
                node("mute", vec![], &[]),
            ],
            programs: vec![Program {
                name: "web".into(),
                node: "h1".into(),
                cmd: vec!["httpd".into(), "-p".into()],
                ready: Some(Ready {
                    when: ReadyWhen::Tcp(80),
                    within: Duration(std::time::Duration::from_millis(1500)),
                }),
                after: vec!["db".into()],
                expect: Some(Output {
                    exit: 3,
                    stdout: TextMatch { matches: Some("^x".into()), ..TextMatch::default() },
                    stderr: TextMatch::default(),
                }),
                env: [("A".to_owned(), "b".to_owned())].into(),
                dir: Some("/tmp".into()),
            }],
        }
    }

    #[test]
    fn names_resolve_to_the_nearest_address() {
        let state = state();
        let resolve = |from, to| state.resolve(from, to, None, &[]).map(|address| address.to_string());
        assert_eq!(resolve("h1", "r1").unwrap(), "10.0.1.1"); // the shared bus, though it is second
        assert_eq!(resolve("h2", "r1").unwrap(), "fd00::1"); // IPv6 first
        assert_eq!(resolve("mute", "r1").unwrap(), "192.0.2.9"); // no bus in common
        assert_eq!(resolve("h1", "r1:eth0").unwrap(), "10.0.2.1"); // h1 has no IPv6
        assert_eq!(resolve("r1", "r1:eth0").unwrap(), "fd00::1");
        assert_eq!(resolve("h1", "h2").unwrap(), "fd00::2"); // the only one
        assert_eq!(resolve("h1", "192.0.2.77").unwrap(), "192.0.2.77");
        assert_eq!(resolve("mute", "h1").unwrap(), "10.0.1.2");
        assert!(matches!(resolve("h1", "mute"), Err(Fault::Usage(_))));
        match resolve("h1", "r2") {
            Err(Fault::NoSuch { near, .. }) => assert!(near.is_some()),
            other => panic!("{other:?}"),
        }
        match resolve("h1", "r1:eth7") {
            Err(fault @ Fault::NoSuch { .. }) => {
                assert_eq!(fault.mend().unwrap(), "did you mean `r1:eth0`?");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_family_or_an_interface_can_be_asked_for() {
        let state = state();
        let resolve = |from, to, family| {
            state.resolve(from, to, Some(family), &[]).map(|to| to.to_string()).map_err(|f| f.to_string())
        };
        assert_eq!(resolve("h2", "r1", Family::Ipv4).unwrap(), "10.0.2.1");
        assert_eq!(resolve("h1", "r1", Family::Ipv6).unwrap(), "fd00::1");
        assert_eq!(resolve("h2", "h1", Family::Ipv6).unwrap_err(), "`h1` has no IPv6 address");
        assert_eq!(resolve("h1", "fd00::2", Family::Ipv4).unwrap_err(), "`fd00::2` is no IPv4 address");
        assert_eq!(resolve("h2", "fe80::1%eth0", Family::Ipv6).unwrap(), "fe80::1%eth0");
        let missing = resolve("h2", "fe80::1", Family::Ipv6).unwrap_err();
        assert_eq!(missing, "`fe80::1` is on every link: name the interface, as in `fe80::1%eth0`");
        assert!(matches!(state.resolve("h2", "fe80::1%eth9", None, &[]), Err(Fault::NoSuch { .. })));
    }

    #[test]
    fn addresses_that_only_the_node_knows_count() {
        let mut state = state();
        let h1 = state.nodes.iter_mut().find(|node| node.name == "h1").unwrap();
        h1.interfaces[0].slaac = Slaac::Expects;
        let learnt = ["fe80::2", "fd01::2"]
            .map(|address| Learnt { interface: "eth0".into(), address: address.parse().unwrap() });
        let resolve = |from, learnt: &[_]| state.resolve(from, "h1", None, learnt).unwrap().to_string();
        assert_eq!(resolve("r1", &learnt), "fd01::2");
        assert_eq!(resolve("r1", &[]), "10.0.1.2");
        assert_eq!(resolve("mute", &learnt), "10.0.1.2");
    }

    #[test]
    fn saved_loaded_and_damaged() {
        let tmp = tempfile::tempdir().unwrap();
        let lab = RunRoot::create_at(&tmp.path().join("run")).unwrap().lab("x");
        lab.create().unwrap();
        assert_eq!(LabState::load(&lab).unwrap(), None);
        let state = state();
        state.save(&lab).unwrap();
        assert_eq!(LabState::load(&lab).unwrap().unwrap(), state);
        let text = fs::read_to_string(lab.state_file()).unwrap();
        for bad in [
            &text[..text.len() / 2],
            "",
            "[]",
            &text.replace("\"version\":1", "\"version\":99"),
            &text.replace("\"lab\":\"x\"", "\"lab\":\"y\""),
        ] {
            fs::write(lab.state_file(), bad).unwrap();
            let fault = LabState::load(&lab).unwrap_err();
            assert!(matches!(fault, Fault::Damaged { .. }), "{fault}");
        }
    }
}
