//! Benchmarks of the bus: `cargo bench -p shmif --bench bus [-- FILTER…] [--json]`.
//!
//! Every figure is the best of a few short runs (the machines are noisy) and stands beside a yardstick that was measured in the same run.
//! The bus lies in /dev/shm. The other process is this program again.
#![cfg(not(loom))]

use std::hint::black_box;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use shmif::{Bus, BusConfig, Doorbell, Offload, Port, PortConfig, Recv, Sent, TxFrame};

const RUNS: usize = 5;
const RUN: Duration = Duration::from_millis(200);
const BATCH: usize = 32;

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

struct Report {
    json: bool,
    lines: Vec<serde_json::Value>,
}

impl Report {
    /// `aim` is in the same unit; `yardstick` says what `ratio` is a ratio to.
    fn add(&mut self, name: &str, value: f64, unit: &str, aim: Option<&str>, ratio: Option<(f64, &str)>) {
        if self.json {
            self.lines.push(serde_json::json!({ "name": name, "value": value, "unit": unit, "aim": aim,
                "ratio": ratio.map(|r| r.0), "yardstick": ratio.map(|r| r.1) }));
            return;
        }
        let aim = aim.map_or(String::new(), |aim| format!("  aim {aim}"));
        let ratio = ratio.map_or(String::new(), |(r, what)| format!("  {r:.2} of {what}"));
        println!("{name:42} {value:12.3} {unit:12}{aim}{ratio}");
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [role, path, rest @ ..] = &args[..]
        && let Some(role) = role.strip_prefix("child-")
    {
        return child(role, Path::new(path), rest);
    }
    let filters: Vec<&String> = args.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    let mut report = Report { json: args.iter().any(|a| a == "--json"), lines: Vec::new() };
    for (name, bench) in
        [("copy", copies as fn(&mut Report)), ("lossless", throughput), ("idle", idle_ports), ("wake", wakes)]
    {
        if wanted(name) {
            bench(&mut report);
        }
    }
    if report.json {
        println!("{}", serde_json::json!({ "benchmarks": report.lines }));
    }
}

/// Best rate of a few runs: `work` does a good many and says how many.
fn best(mut work: impl FnMut() -> u64) -> f64 {
    let mut best = 0f64;
    for _ in 0..RUNS {
        let start = Instant::now();
        let mut n = 0;
        while start.elapsed() < RUN / 8 {
            n += work();
        }
        best = best.max(n as f64 / start.elapsed().as_secs_f64());
    }
    best
}

/// Copies into a ring of 4 MiB, one record after the other; octets a second.
fn copy_rate(len: usize, mut copy: impl FnMut(&mut [u64], &[u8])) -> f64 {
    let from = vec![1u8; len];
    let mut ring = vec![0u64; (4 << 20) / 8];
    let step = (len + 64).next_multiple_of(64) / 8;
    let mut at = 0;
    best(|| {
        for _ in 0..100 {
            if at + step > ring.len() {
                at = 0;
            }
            copy(black_box(&mut ring[at..at + step]), black_box(&from));
            at += step;
        }
        100
    }) * len as f64
}

fn copies(report: &mut Report) {
    for len in [64, 1514, 65536] {
        let mut bytes = vec![0u8; 4 << 20];
        let from = vec![1u8; len];
        let step = (len + 64).next_multiple_of(64);
        let mut at = 0;
        let theirs = best(|| {
            for _ in 0..100 {
                if at + step > bytes.len() {
                    at = 0;
                }
                black_box(&mut bytes[at..at + len]).copy_from_slice(black_box(&from));
                at += step;
            }
            100
        }) * len as f64;
        let ours = copy_rate(len, shmif::bench_in);
        report.add(
            &format!("copy {len}"),
            ours / 1e9,
            "GB/s",
            Some("0.9 of memcpy"),
            Some((ours / theirs, "memcpy")),
        );
    }
}

struct Lab {
    path: PathBuf,
    bus: Bus,
}

impl Lab {
    fn new() -> Lab {
        let path = PathBuf::from(format!("/dev/shm/shmif-bench-{}", std::process::id()));
        let bus = Bus::create(&path, &BusConfig::new("bench", "bus")).expect("create");
        Lab { path, bus }
    }
    fn child(&self, role: &str, rest: &[&str]) -> Reaped {
        let mut command = Command::new(std::env::current_exe().expect("own path"));
        Reaped(
            command.arg(format!("child-{role}")).arg(&self.path).args(rest).spawn().expect("start the child"),
        )
    }
    fn wait_for(&self, node: &str) {
        while !self.bus.ports().iter().any(|p| p.node == node && p.flags.contains(shmif::PortFlags::UP)) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn child(role: &str, path: &Path, rest: &[String]) {
    let bus = Bus::open(path).expect("open");
    let bell = (role == "sleep").then(|| Doorbell::bind(path.with_extension("b")).expect("bind"));
    let mut config = PortConfig::new("child", "eth0", mac(2));
    config.doorbell = bell.as_ref().map(|b| b.path().to_owned());
    let mut port = bus.attach(&config).expect("attach");
    let mut buf = vec![0; 70_000];
    match role {
        // Reads for ever.
        "sink" => loop {
            match port.recv(&mut buf) {
                Recv::Empty => std::hint::spin_loop(),
                other => _ = black_box(other),
            }
        },
        "poll" => loop {
            echo(&mut port, &mut buf);
        },
        "sleep" => {
            let bell = bell.expect("bound above");
            loop {
                echo(&mut port, &mut buf);
                sleep(&port, &bell);
            }
        }
        other => panic!("role {other} {rest:?}"),
    }
}

fn echo(port: &mut Port, buf: &mut [u8]) {
    while let Recv::Frame(r) = port.recv(buf) {
        let (dst, src) = buf.split_at_mut(6);
        dst.swap_with_slice(&mut src[..6]);
        port.send(0, &buf[..r.len], Offload::NONE);
    }
}

fn sleep(port: &Port, bell: &Doorbell) {
    if port.prepare_sleep() {
        let mut fds = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
        poll(&mut fds, None).expect("poll");
        port.awake();
        bell.drain();
    }
}

fn frame(len: usize) -> Vec<u8> {
    let mut f = vec![7; len];
    f[..6].copy_from_slice(&mac(2));
    f[6..12].copy_from_slice(&mac(1));
    f
}

/// Lossless frames a second to a reading process.
fn lossless(lab: &Lab, port: &mut Port, len: usize, batch: usize, runs: usize) -> f64 {
    let data = frame(len);
    let frames = vec![TxFrame { data: &data, offload: Offload::NONE }; batch];
    let child = lab.bus.ports().into_iter().find(|p| p.node == "child" && p.attached).expect("it is there");
    let mut best = 0f64;
    for _ in 0..runs {
        let start = Instant::now();
        let (mut n, mut tries) = (0u64, 0u32);
        loop {
            let (done, sent) = if batch == 1 {
                let sent = port.send(0, &data, Offload::NONE);
                (usize::from(sent == Sent::Ok), sent)
            } else {
                port.send_batch(0, &frames)
            };
            n += done as u64;
            if let Sent::Wait { .. } = sent {
                std::hint::spin_loop();
            }
            tries += 1;
            if tries.is_multiple_of(256) && start.elapsed() >= RUN {
                break;
            }
        }
        best = best.max(n as f64 / start.elapsed().as_secs_f64());
    }
    let after = lab.bus.ports().into_iter().find(|p| p.id == child.id).expect("it is there");
    assert_eq!(after.counters.rx_lost, 0, "lossless");
    best
}

fn throughput(report: &mut Report) {
    for (len, aim) in [(64, None), (1514, Some("5 M/s")), (65_000, None)] {
        let yard = copy_rate(len, shmif::bench_in) / len as f64;
        for batch in [1, BATCH] {
            let lab = Lab::new();
            let mut port = lab.bus.attach(&PortConfig::new("parent", "eth0", mac(1))).expect("attach");
            let _child = lab.child("sink", &[]);
            lab.wait_for("child");
            let rate = lossless(&lab, &mut port, len, batch, RUNS);
            let name = format!(
                "lossless {len} octets, {}",
                if batch == 1 { "one by one".to_owned() } else { format!("by {batch}") }
            );
            report.add(&name, rate / 1e6, "M frames/s", aim, Some((rate / yard, "one copy of each")));
        }
    }
}

fn idle_ports(report: &mut Report) {
    let lab = Lab::new();
    let mut port = lab.bus.attach(&PortConfig::new("parent", "eth0", mac(1))).expect("attach");
    let _child = lab.child("sink", &[]);
    lab.wait_for("child");
    let counts = [0, 16, 100];
    let batches = [1, BATCH];
    let mut rates = [[0f64; 2]; 3];
    // Taken in turns, so that whatever else the machine does meets all of them alike.
    for _ in 0..2 * RUNS {
        for (rates, count) in rates.iter_mut().zip(counts) {
            let attach =
                |n: u8| lab.bus.attach(&PortConfig::new(format!("idle{n}"), "eth0", [2, 1, 0, 0, 0, n]));
            let _idle: Vec<Port> = (0..count).map(|n| attach(n).expect("attach")).collect();
            for (rate, batch) in rates.iter_mut().zip(batches) {
                *rate = rate.max(lossless(&lab, &mut port, 1514, batch, 1));
            }
        }
    }
    for (rate, count) in rates.iter().zip(counts) {
        for i in 0..2 {
            let name = format!("idle ports {count}, 1514 octets, {}", ["one by one", "by 32"][i]);
            let ratio = (rate[i] / rates[0][i], "no idle ports");
            report.add(&name, rate[i] / 1e6, "M frames/s", Some("0.95 of none"), Some(ratio));
        }
    }
}

fn wakes(report: &mut Report) {
    for (role, aim) in [("poll", "1 us"), ("sleep", "20 us")] {
        let lab = Lab::new();
        let bell = Doorbell::bind(lab.path.with_extension("a")).expect("bind");
        let config = PortConfig {
            doorbell: Some(bell.path().to_owned()),
            ..PortConfig::new("parent", "eth0", mac(1))
        };
        let mut port = lab.bus.attach(&config).expect("attach");
        let _child = lab.child(role, &[]);
        lab.wait_for("child");
        let data = frame(64);
        let mut buf = [0; 2048];
        let rounds = best(|| {
            for _ in 0..100 {
                while port.send(0, &data, Offload::NONE) != Sent::Ok {}
                loop {
                    if let Recv::Frame(_) = port.recv(&mut buf) {
                        break;
                    }
                    if role == "sleep" {
                        sleep(&port, &bell);
                    } else {
                        std::hint::spin_loop();
                    }
                }
            }
            100
        });
        let name = if role == "poll" {
            "wake-up round trip, both polling"
        } else {
            "wake-up round trip, both asleep"
        };
        report.add(name, 1e6 / rounds, "us", Some(aim), None);
        drop(_child);
        let _ = std::fs::remove_file(lab.path.with_extension("b"));
    }
}
