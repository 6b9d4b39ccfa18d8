//! Buses as sources of frames: which files an argument means, who sent what, and frames as they stand on a real wire.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use shmif::{Bus, BusInfo, Captured, OpenError, PortId};

use super::names::Names;
use crate::lab::fault::{Fault, nearest};
use crate::lab::rundir::LabDir;
use crate::lab::state::LabState;

/// A record cannot be older than the one before it on its bus; senders that race stamp theirs up to so much out of order.
/// Times further back than this are nonsense and are left as they are.
const MAX_RACE_NS: u64 = 1_000_000_000;

/// One interface, when only its frames are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// Its node.
    pub node: String,
    /// Its name in the node.
    pub interface: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
}

impl Only {
    /// Whether the interface sent this frame or takes it: to its address, or to any group address from another
    /// (which groups it listens to is not asked).
    pub fn concerns(&self, sender: &Sender, frame: &[u8]) -> bool {
        let sent = sender.node == self.node && sender.interface == self.interface;
        sent || frame.starts_with(&self.mac) || frame.first().is_some_and(|first| first & 1 == 1)
    }
}

/// What an argument `BUS`, `NODE:IF`, `'*'` or a file means.
#[derive(Debug, Clone)]
pub struct Target {
    /// Bus files.
    pub paths: Vec<PathBuf>,
    /// Only this interface's frames.
    pub only: Option<Only>,
    /// What its lab's names stand for.
    pub names: Names,
    /// The lab that it was asked of; a bus file by itself is of none.
    pub lab: Option<LabDir>,
}

impl Target {
    /// A bus file by itself; nothing is known of its lab but what it says.
    pub fn file(path: &Path) -> Target {
        Target { paths: vec![path.to_owned()], only: None, names: Names::default(), lab: None }
    }

    /// Buses of a lab, dead or alive: `left`, `left,right`, `'*'`, `'wan*'`, or the bus of an interface `h1:eth0`.
    ///
    /// # Errors
    /// There is no such bus, node or interface.
    pub fn of_lab(dir: &LabDir, what: &str) -> Result<Target, Fault> {
        let state = LabState::load(dir)?;
        let names = state.as_ref().map(Names::of_lab).unwrap_or_default();
        let lab = || dir.name().to_owned();
        if let Some((node, interface)) = what.split_once(':') {
            let Some(state) = &state else { return Err(Fault::HalfUp { lab: lab() }) };
            let found = state.expect_node(node)?.expect_interface(&state.lab, interface)?;
            let path = dir.bus(&found.bus);
            let mac = super::filter::parse_mac(&found.mac).ok_or_else(|| Fault::Damaged {
                path: dir.state_file(),
                message: format!("`{}` is no Ethernet address", found.mac),
            })?;
            let only = Only { node: node.to_owned(), interface: interface.to_owned(), mac };
            return Ok(Target { paths: vec![path], only: Some(only), names, lab: Some(dir.clone()) });
        }
        let all = bus_names(dir)?;
        let mut paths: Vec<PathBuf> = Vec::new();
        for pattern in what.split(',') {
            let matching: Vec<&String> = all.iter().filter(|name| glob(pattern, name)).collect();
            if matching.is_empty() {
                let near = nearest(pattern, all.iter().map(String::as_str));
                return Err(Fault::NoSuch { lab: lab(), kind: "bus", name: pattern.to_owned(), near });
            }
            let new = matching.into_iter().map(|name| dir.bus(name)).filter(|path| !paths.contains(path));
            let new: Vec<PathBuf> = new.collect();
            paths.extend(new);
        }
        Ok(Target { paths, only: None, names, lab: Some(dir.clone()) })
    }
}

/// The buses of a lab, by name: those that have a file.
///
/// # Errors
/// The lab is not there.
pub fn bus_names(dir: &LabDir) -> Result<Vec<String>, Fault> {
    if !dir.exists()? {
        return Err(Fault::NotRunning { lab: dir.name().to_owned() });
    }
    let entries = match std::fs::read_dir(dir.buses()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Fault::io("read", &dir.buses())(error)),
    };
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // A file that is being created has a name of its own until it is whole.
    names.retain(|name| !name.ends_with(".new"));
    names.sort();
    Ok(names)
}

/// `*` stands for anything, `?` for one character.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    // The last star, and how far it had to reach: only that one ever needs to reach further.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p).is_some_and(|c| *c == '?' || *c == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, reach)) = star {
            p = at + 1;
            n = reach + 1;
            star = Some((at, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Who sent a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// The node; empty when nothing is known of the port any more.
    pub node: String,
    /// The interface in the node.
    pub interface: String,
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// `h1:eth0`, or `port 3.1`.
    pub label: String,
}

/// One frame as it stands on a real wire.
#[derive(Debug, Clone, Copy)]
pub struct WireFrame<'a> {
    /// The bus.
    pub bus: &'a str,
    /// The bus's lab.
    pub lab: &'a str,
    /// Who sent it.
    pub sender: &'a Sender,
    /// Nanoseconds since the lab's epoch.
    pub time_ns: u64,
    /// Nanoseconds since 1970.
    pub unix_ns: u64,
    /// Which of the frames of its record, from 1, and how many those are.
    pub segment: (usize, usize),
    /// From the destination address on, without FCS.
    pub octets: &'a [u8],
}

/// A bus that is being read.
#[derive(Debug)]
pub struct Source {
    bus: Bus,
    info: BusInfo,
    senders: BTreeMap<PortId, Sender>,
    last_ns: u64,
    malformed: u64,
    inode: Option<u64>,
}

impl Source {
    /// Opens a bus file for looking only.
    ///
    /// # Errors
    /// It is not a bus, or not readable.
    pub fn open(path: &Path) -> Result<Source, OpenError> {
        Ok(Source::of(Bus::open_readonly(path)?))
    }

    /// Opens a bus to follow: writers wake us if the file is ours to write, else we look every millisecond.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_live(path: &Path) -> Result<Source, OpenError> {
        Bus::open(path).or_else(|_| Bus::open_readonly(path)).map(Source::of)
    }

    fn of(bus: Bus) -> Source {
        let inode = inode(bus.path());
        let mut source =
            Source { info: bus.info(), bus, senders: BTreeMap::new(), last_ns: 0, malformed: 0, inode };
        source.learn();
        source
    }

    /// The bus.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its lab's name.
    pub fn lab(&self) -> &str {
        &self.info.lab
    }

    /// Nanoseconds since 1970 of a time of the lab.
    pub fn unix_ns(&self, time_ns: u64) -> u64 {
        self.info.epoch.unix_ns.saturating_add(time_ns)
    }

    /// Whether the file has been removed, or replaced, since it was opened: its lab is down.
    pub fn is_gone(&self) -> bool {
        let now = inode(self.bus.path());
        now.is_none() || now != self.inode
    }

    /// Records whose offload metadata made no sense: they were given as they are.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    fn learn(&mut self) {
        for port in self.bus.ports() {
            let label = format!("{}:{}", port.node, port.interface);
            let sender = Sender { node: port.node, interface: port.interface, mac: port.mac, label };
            self.senders.insert(port.id, sender);
        }
    }

    /// Gives every wire frame of a record to `each`: an ordinary record is one, octet for octet; one with offload metadata
    /// is segments within the MTU with valid checksums.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn frames<E>(
        &mut self,
        captured: &Captured,
        mut each: impl FnMut(&WireFrame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let id = captured.record.sender;
        if !self.senders.contains_key(&id) {
            // A port that came since.
            self.learn();
        }
        let sender = self
            .senders
            .entry(id)
            .or_insert_with(|| Sender { label: format!("port {id}"), ..Sender::default() });
        // The order of the bus is the truth; times that race are brought into it.
        let stamped = captured.record.time_ns;
        let back = self.last_ns.saturating_sub(stamped);
        let time_ns = if back <= MAX_RACE_NS { stamped.max(self.last_ns) } else { stamped };
        self.last_ns = time_ns;
        let unix_ns = self.info.epoch.unix_ns.saturating_add(time_ns);
        let (bus, lab) = (self.info.name.as_str(), self.info.lab.as_str());
        let whole =
            WireFrame { bus, lab, sender, time_ns, unix_ns, segment: (1, 1), octets: &captured.frame };
        if captured.record.offload.is_none() {
            return each(&whole);
        }
        let mut segments: Vec<Vec<u8>> = Vec::new();
        if captured.wire_frames(|octets| segments.push(octets.to_vec())).is_err() {
            self.malformed += 1;
            return each(&whole);
        }
        let count = segments.len();
        for (index, octets) in segments.iter().enumerate() {
            each(&WireFrame { segment: (index + 1, count), octets, ..whole })?;
        }
        Ok(())
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "lan"),
            ("wan*", "wan1"),
            ("*n1", "wan1"),
            ("w*n?", "wan1"),
            ("lan", "lan"),
            ("*a*a*", "banana"),
        ] {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("lan", "lan1"), ("", "lan"), ("?", ""), ("wan*2", "wan1"), ("*ab", "abc")] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
