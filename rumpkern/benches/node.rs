//! Benchmarks of a node: `cargo bench -p rumpkern --bench node [-- FILTER…] [--json]`.
//!
//! Every figure is the best of a few short runs (the machines are noisy) and stands beside a
//! yardstick that was measured in the same run. Buses and run directories lie in /dev/shm.

use netstack::net::MacAddr;
use rumpkern::config::{Epoch, InterfaceConfig, NodeConfig, RouteConfig};
use rumpkern::ctl::proto::Table;
use rumpkern::ctl::{Client, Output};
use serde_json::{Value, json};
use shmif::{Bus, BusConfig, Offload, Port, PortConfig, Recv, Sent, TxFrame};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 5;

struct Report {
    json: bool,
    lines: Vec<Value>,
}

impl Report {
    fn add(&mut self, name: &str, value: f64, unit: &str, aim: &str, yardstick: (f64, &str)) {
        let (ratio, what) = (value / yardstick.0, yardstick.1);
        if self.json {
            self.lines.push(json!({"name": name, "value": value, "unit": unit, "aim": aim, "ratio": ratio, "yardstick": what}));
        } else {
            println!(
                "{name:34} {value:10.2} {unit:10} aim {aim:12} {ratio:6.2} x {what} ({:.2})",
                yardstick.0
            );
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut report = Report { json: args.iter().any(|arg| arg == "--json"), lines: Vec::new() };
    type Bench = fn(&mut Report);
    let benches: [(&str, Bench); 4] =
        [("ready", ready), ("memory", memory), ("ping", ping), ("forward", forward)];
    for (name, bench) in benches {
        if wanted(name) {
            bench(&mut report);
        }
    }
    if report.json {
        println!("{}", Value::Array(report.lines));
    }
}

// ---- labs ------------------------------------------------------------------------------------------

struct Lab {
    dir: tempfile::TempDir,
    epoch: shmif::Epoch,
    macs: u8,
}

struct Node {
    child: Child,
    dir: PathBuf,
}

impl Lab {
    fn new() -> Lab {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory in /dev/shm");
        Lab { dir, epoch: shmif::Epoch::now(), macs: 0 }
    }

    fn bus(&self, name: &str) -> Bus {
        let config = BusConfig { epoch: self.epoch, ..BusConfig::new("bench", name) };
        Bus::create(self.dir.path().join(name), &config).expect("a bus")
    }

    fn config(&mut self, name: &str, interfaces: &[(&Bus, &str)]) -> NodeConfig {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        let interfaces = interfaces.iter().enumerate().map(|(i, (bus, address))| {
            self.macs += 1;
            InterfaceConfig {
                name: format!("eth{i}"),
                bus: bus.path().to_owned(),
                mac: MacAddr([2, 0, 0, 0, 0, self.macs]),
                mtu: 1500,
                addresses: vec![address.parse().expect("an address")],
                ipv6: None,
                offload: true,
                impair: None,
                up: true,
            }
        });
        NodeConfig {
            lab: "bench".into(),
            node: name.into(),
            dir,
            epoch: Epoch { unix_ns: self.epoch.unix_ns, mono_ns: self.epoch.mono_ns },
            seed: 1,
            interfaces: interfaces.collect(),
            ..NodeConfig::default()
        }
    }
}

fn start(config: &NodeConfig) -> Node {
    let path = config.dir.join("config.json");
    std::fs::write(&path, serde_json::to_vec(config).expect("JSON")).expect("config.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rumpkern"));
    command.arg0("rumpkern").arg(&path).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a node");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.ends_with("ready\n"), "{line}");
    Node { child, dir: config.dir.clone() }
}

impl Node {
    fn ctl(&self) -> Client {
        Client::connect(&self.dir.join("ctl")).expect("the control socket")
    }

    /// Runs a program that writes one JSON object.
    fn run(&self, argv: &[&str]) -> Value {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        let mut text = String::new();
        let status = self.ctl().run(&argv, true, |output| {
            let (Output::Out(piece) | Output::Err(piece)) = output;
            text.push_str(piece);
        });
        assert_eq!(status.expect("a status"), 0, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    fn counter(&self, group: &str, name: &str) -> u64 {
        let rows = self.ctl().show(Table::Stats).expect("stats");
        let row = rows.iter().find(|row| row["group"] == group && row["name"] == name);
        row.and_then(|row| row["value"].as_u64()).unwrap_or(0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.ctl().stop();
        let _ = self.child.wait();
    }
}

fn best(runs: usize, mut run: impl FnMut() -> f64) -> f64 {
    (0..runs).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

// ---- what is measured ------------------------------------------------------------------------------

fn ready(report: &mut Report) {
    let mut lab = Lab::new();
    let bus = lab.bus("lan");
    let config = lab.config("h1", &[(&bus, "10.0.0.1/24")]);
    let node = best(20, || {
        let began = Instant::now();
        let _node = start(&config);
        ms(began)
    });
    let bare = best(20, || {
        let began = Instant::now();
        assert!(Command::new("true").stdin(Stdio::null()).status().expect("true(1)").success());
        ms(began)
    });
    report.add("exec to ready, one interface", node, "ms", "< 3", (bare, "exec of true(1)"));
}

fn private_kb(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

fn memory(report: &mut Report) {
    let mut lab = Lab::new();
    let bus = lab.bus("lan");
    let (a, b) = (lab.config("h1", &[(&bus, "10.0.0.1/24")]), lab.config("h2", &[(&bus, "10.0.0.2/24")]));
    let (a, _b) = (start(&a), start(&b));
    a.run(&["ping", "-c", "3", "-i", "0.01", "10.0.0.2"]);
    let mut sleep = Command::new("sleep").arg("10").spawn().expect("sleep(1)");
    std::thread::sleep(Duration::from_millis(50));
    let (node, bare) = (private_kb(a.child.id()), private_kb(sleep.id()));
    let _ = sleep.kill();
    let _ = sleep.wait();
    report.add("private memory, idle after a ping", node, "kB", "< 1500", (bare, "sleep(1)"));
}

fn ping(report: &mut Report) {
    let mut lab = Lab::new();
    let bus = lab.bus("lan");
    let (a, b) = (lab.config("h1", &[(&bus, "10.0.0.1/24")]), lab.config("h2", &[(&bus, "10.0.0.2/24")]));
    let (a, _b) = (start(&a), start(&b));
    let median = |argv: &[&str]| a.run(argv)["rtt_us"]["p50"].as_f64().expect("p50");
    let yardstick = best(RUNS, || datagram_round_trip(20_000));
    let what = "round trip of unix datagrams";
    let busy = best(RUNS, || median(&["ping", "-f", "-c", "20000", "10.0.0.2"]));
    report.add("ping across one bus, busy, median", busy, "us", "< 5", (yardstick, what));
    let asleep = best(2, || median(&["ping", "-c", "40", "-i", "0.02", "10.0.0.2"]));
    report.add("ping across one bus, asleep, median", asleep, "us", "reported", (yardstick, what));
}

/// Microseconds of one round trip between two threads.
fn datagram_round_trip(count: u32) -> f64 {
    let (here, there) = UnixDatagram::pair().expect("a pair of sockets");
    let echo = std::thread::spawn(move || {
        let mut octet = [0];
        for _ in 0..count {
            there.recv(&mut octet).expect("receive");
            there.send(&octet).expect("send");
        }
    });
    let began = Instant::now();
    let mut octet = [0];
    for _ in 0..count {
        here.send(&octet).expect("send");
        here.recv(&mut octet).expect("receive");
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    echo.join().expect("the echo");
    each
}

const GENERATOR: [u8; 6] = [2, 0, 0, 0, 1, 1];
const SINK: [u8; 6] = [2, 0, 0, 0, 1, 2];

fn forward(report: &mut Report) {
    let mut lab = Lab::new();
    let (left, right) = (lab.bus("left"), lab.bus("right"));
    let mut config = lab.config("r1", &[(&left, "10.0.1.1/24"), (&right, "10.0.2.1/24")]);
    config.forward = true;
    config.routes.push(RouteConfig {
        to: "10.0.3.0/24".parse().expect("a net"),
        via: Some([10, 0, 2, 2].into()),
        dev: None,
        metric: 0,
        proto: "static".into(),
    });
    let router = start(&config);
    let mut from = left.attach(&PortConfig::new("generator", "eth0", GENERATOR)).expect("a port");
    let mut to = right.attach(&PortConfig::new("sink", "eth0", SINK)).expect("a port");
    let frame = datagram(config.interfaces[0].mac.0);
    // The first one makes the router ask for its neighbour.
    send_all(&left, &mut from, &frame, 1);
    answer_arp(&right, &mut to);
    let through = (0..RUNS).map(|_| flood(&left, &mut from, &mut to, &frame)).fold(0.0, f64::max);
    // Yardstick: no router between.
    let direct = datagram(SINK);
    let mut beside = left.attach(&PortConfig::new("sink", "eth1", SINK)).expect("a port");
    let bare = (0..RUNS).map(|_| flood(&left, &mut from, &mut beside, &direct)).fold(0.0, f64::max);
    report.add(
        "forwarding, 64-octet UDP",
        through / 1e6,
        "M/s",
        "1",
        (bare / 1e6, "the same without router"),
    );
    // None, unless the router did not get to run for longer than a sender waits for it (10 ms).
    let (lost, all) = (router.counter("if:eth0", "wire.rxLost"), router.counter("if:eth0", "wire.rxFrames"));
    let share = 100.0 * lost as f64 / (lost + all).max(1) as f64;
    report.add("lost on the router's bus", share, "%", "0", (100.0, "all"));
}

/// Frames a second that arrive at `to` for half a second, sent by `from` as fast as its bus takes them.
fn flood(bus: &Bus, from: &mut Port, to: &mut Port, frame: &[u8]) -> f64 {
    let mut buffer = [0; 2048];
    let batch = [TxFrame { data: frame, offload: Offload::NONE }; 32];
    let (mut sent, mut received) = (0u64, 0u64);
    let mut take = |received: &mut u64| {
        let mut idle = true;
        while let Recv::Frame(_) = to.recv(&mut buffer) {
            *received += 1;
            idle = false;
        }
        idle
    };
    let began = Instant::now();
    let end = began + Duration::from_millis(500);
    while Instant::now() < end {
        let (done, last) = from.send_batch(bus.epoch().now_ns(), &batch);
        sent += done as u64;
        if take(&mut received) && matches!(last, Sent::Wait { .. }) {
            std::thread::yield_now();
        }
    }
    let rate = received as f64 / began.elapsed().as_secs_f64();
    // What is still under way must not be counted by the next run.
    let end = Instant::now() + Duration::from_secs(2);
    while received < sent && Instant::now() < end {
        take(&mut received);
        std::thread::yield_now();
    }
    rate
}

fn send_all(bus: &Bus, port: &mut Port, frame: &[u8], count: usize) {
    for _ in 0..count {
        while port.send(bus.epoch().now_ns(), frame, Offload::NONE) != Sent::Ok {}
    }
}

/// Answers the router's question for 10.0.2.2 (RFC 826), and takes what it then sends.
fn answer_arp(bus: &Bus, port: &mut Port) {
    let mut buffer = [0; 2048];
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        assert!(Instant::now() < end, "the router never asked");
        let Recv::Frame(record) = port.recv(&mut buffer) else { continue };
        let frame = &buffer[..record.len];
        match (&frame[12..14], frame.get(20..22)) {
            ([8, 6], Some([0, 1])) if frame[38..42] == [10, 0, 2, 2] => {
                let mut answer = vec![0; 60];
                answer[..6].copy_from_slice(&frame[6..12]);
                answer[6..12].copy_from_slice(&SINK);
                answer[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
                answer[22..28].copy_from_slice(&SINK);
                answer[28..32].copy_from_slice(&[10, 0, 2, 2]);
                answer[32..42].copy_from_slice(&frame[22..32]);
                send_all(bus, port, &answer, 1);
            }
            ([8, 0], _) => return,
            _ => {}
        }
    }
}

/// A UDP datagram from 10.0.1.2 to 10.0.3.1 in a frame of 64 octets (60 and the FCS that a bus does not carry).
fn datagram(to: [u8; 6]) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&GENERATOR);
    frame[12..14].copy_from_slice(&[8, 0]);
    frame[14..34].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 1, 2, 10, 0, 3, 1]);
    let sum: u32 =
        frame[14..34].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..42].copy_from_slice(&[0x30, 0x39, 0, 9, 0, 26, 0, 0]);
    frame
}
