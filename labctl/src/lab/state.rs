//! `lab.json`: what was started, so that everything after `up` needs no topology file any more.
//!
//! Written whole to a temporary file and renamed: a reader finds the old state or the new one. What lives and what is
//! dead is never in it; that is asked of the host each time ([`super::view`]).

use super::fault::Fault;
use super::rundir::LabDir;
use crate::topology::model::Program;
use ipnet::IpNet;
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// Where `from` reaches `to`: an address on a bus that both are on, else one of its loopback, else its first one;
    /// IPv4 before IPv6. `to` may be an address or `NODE:IF` too.
    ///
    /// # Errors
    /// No such node or interface, or it has no address.
    pub fn resolve(&self, from: &str, to: &str) -> Result<IpAddr, Fault> {
        if let Ok(address) = to.parse() {
            return Ok(address);
        }
        let (name, interface) =
            to.split_once(':').map_or((to, None), |(name, interface)| (name, Some(interface)));
        let node = self.expect_node(name)?;
        if let Some(interface) = interface {
            node.expect_interface(&self.lab, interface)?;
        }
        let shared =
            |bus: &str| self.node(from).is_some_and(|from| from.interfaces.iter().any(|one| one.bus == bus));
        let on_buses =
            node.interfaces.iter().filter(|one| interface.is_none_or(|name| one.name == name)).flat_map(
                |one| one.addresses.iter().map(|net| (if shared(&one.bus) { 0 } else { 2 }, net.addr())),
            );
        let on_loopback = node.loopback.iter().filter(|_| interface.is_none()).map(|net| (1, net.addr()));
        let mut best: Option<((bool, u8), IpAddr)> = None;
        for (distance, address) in on_buses.chain(on_loopback) {
            let rank = (address.is_ipv6(), distance);
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, address));
            }
        }
        best.map(|(_, address)| address).ok_or_else(|| Fault::Usage(format!("`{to}` has no address")))
    }
}

impl NodeState {
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
        let resolve = |from, to| state.resolve(from, to).map(|address| address.to_string());
        assert_eq!(resolve("h1", "r1").unwrap(), "10.0.1.1"); // the shared bus, though it is second
        assert_eq!(resolve("h2", "r1").unwrap(), "10.0.2.1"); // IPv4 first
        assert_eq!(resolve("mute", "r1").unwrap(), "192.0.2.9"); // no bus in common
        assert_eq!(resolve("h1", "r1:eth0").unwrap(), "10.0.2.1");
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
