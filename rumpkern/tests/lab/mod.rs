//! Live nodes: real processes on real buses, in a directory that goes when the test ends.

#![allow(dead_code, unreachable_pub)] // each test binary uses some of it

use rumpkern::config::{Epoch, HostConfig, InterfaceConfig, NodeConfig};
use rumpkern::ctl::{Client, Output};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with buses and nodes.
pub struct Lab {
    pub dir: tempfile::TempDir,
    epoch: shmif::Epoch,
    macs: u8,
}

/// A running node. Dropping it kills it.
pub struct Node {
    pub child: Child,
    pub dir: PathBuf,
    pub name: String,
}

impl Default for Lab {
    fn default() -> Lab {
        Lab { dir: tempfile::tempdir().unwrap(), epoch: shmif::Epoch::now(), macs: 0 }
    }
}

impl Lab {
    pub fn bus(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut config = shmif::BusConfig::new("test", name);
        config.epoch = self.epoch;
        shmif::Bus::create(&path, &config).unwrap();
        path
    }

    /// The configuration of a node with interfaces on buses: (bus, address).
    pub fn config(&mut self, name: &str, interfaces: &[(&Path, &str)]) -> NodeConfig {
        let dir = self.dir.path().join("node").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let interfaces = interfaces.iter().enumerate().map(|(i, (bus, address))| {
            self.macs += 1;
            InterfaceConfig {
                name: format!("eth{i}"),
                bus: bus.to_path_buf(),
                mac: netstack::net::MacAddr([2, 0, 0, 0, 0, self.macs]),
                mtu: 1500,
                addresses: vec![address.parse().unwrap()],
                ipv6: None,
                offload: true,
                impair: None,
                up: true,
            }
        });
        NodeConfig {
            lab: "test".into(),
            node: name.into(),
            dir,
            epoch: Epoch { unix_ns: self.epoch.unix_ns, mono_ns: self.epoch.mono_ns },
            seed: 1,
            interfaces: interfaces.collect(),
            hosts: vec![HostConfig { name: "h2".into(), addresses: vec![[10, 0, 0, 2].into()] }],
            ..NodeConfig::default()
        }
    }

    /// Two nodes, h1 = 10.0.0.1 and h2 = 10.0.0.2, on one bus.
    pub fn pair(&mut self) -> (Node, Node, PathBuf) {
        let bus = self.bus("lan");
        let h1 = self.config("h1", &[(&bus, "10.0.0.1/24")]);
        let h2 = self.config("h2", &[(&bus, "10.0.0.2/24")]);
        (start(&h1), start(&h2), bus)
    }
}

/// Writes the configuration and starts the node; returns it and its readiness line.
pub fn launch(config: &NodeConfig) -> (Node, String) {
    let path = config.dir.join("config.json");
    std::fs::write(&path, serde_json::to_vec(config).unwrap()).unwrap();
    launch_file(&path, &config.node)
}

/// Starts a node with a configuration file as it is.
pub fn launch_file(path: &Path, name: &str) -> (Node, String) {
    let dir = path.parent().unwrap().to_path_buf();
    let log = std::fs::File::create(dir.join("log")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rumpkern"))
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Node { child, dir, name: name.into() }, line)
}

/// Starts a node that must become ready.
pub fn start(config: &NodeConfig) -> Node {
    let (node, line) = launch(config);
    assert_eq!(line, format!("{} ready\n", config.node));
    node
}

impl Node {
    pub fn ctl(&self) -> Client {
        let mut client = Client::connect(&self.dir.join("ctl")).unwrap();
        client.set_timeout(Some(PATIENCE)).unwrap();
        client
    }

    /// Runs a program to its end: exit status and output.
    pub fn run(&self, argv: &[&str]) -> (i32, String) {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let mut text = String::new();
        let status = self.ctl().run(&argv, false, |output| {
            let (Output::Out(piece) | Output::Err(piece)) = output;
            text.push_str(piece);
        });
        (status.unwrap(), text)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends the node with SIGTERM and returns its exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit_status()
    }

    pub fn exit_status(&mut self) -> Option<i32> {
        let mut status = None;
        wait_for("the node's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    /// A number from /proc/PID/FILE, behind `key`.
    pub fn proc(&self, file: &str, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.map(|rest| rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Kilobytes of memory that are this node's alone and not the bus's.
    pub fn anonymous_kb(&self) -> u64 {
        self.proc("smaps_rollup", "Anonymous:")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub fn wait_for(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
