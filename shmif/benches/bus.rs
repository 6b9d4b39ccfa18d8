//! Benchmarks of the bus: `cargo bench -p shmif --bench bus [-- FILTER…] [--json]`.
//!
//! Every figure is the best of a few short runs (the machines are noisy) and stands beside a yardstick that was measured in the same run.
//! The bus lies in /dev/shm. The other process is this program again.
#![cfg(not(loom))]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
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
    let bell =
        (role != "sink" && role != "poll").then(|| Doorbell::bind(path.with_extension("b")).expect("bind"));
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
            let bed = Bed::new(bell.expect("bound above"));
            loop {
                echo(&mut port, &mut buf);
                bed.sleep(&port);
            }
        }
        // A doorbell answers a doorbell.
        "bell" => {
            let bed = Bed::new(bell.expect("bound above"));
            let other = ringer(path.with_extension("a"));
            loop {
                bed.wait();
                rustix::io::write(&other, &[0]).expect("ring");
            }
        }
        other => panic!("role {other} {rest:?}"),
    }
}

fn ringer(path: PathBuf) -> OwnedFd {
    rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).expect("open")
}

fn echo(port: &mut Port, buf: &mut [u8]) {
    while let Recv::Frame(r) = port.recv(buf) {
        let (dst, src) = buf.split_at_mut(6);
        dst.swap_with_slice(&mut src[..6]);
        port.send(0, &buf[..r.len], Offload::NONE);
    }
}

/// Where a process sleeps, as a node does: one doorbell, edge-triggered.
struct Bed {
    bell: Doorbell,
    epoll: OwnedFd,
}

impl Bed {
    fn new(bell: Doorbell) -> Bed {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(0), flags).expect("epoll");
        Bed { bell, epoll }
    }

    fn sleep(&self, port: &Port) {
        if port.prepare_sleep() {
            self.wait();
            port.awake();
        }
    }

    fn wait(&self) {
        let mut room = [MaybeUninit::uninit(); 1];
        epoll::wait(&self.epoll, &mut room, None).expect("epoll");
        self.bell.answered();
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
            let _child = on_core(1, || lab.child("sink", &[]));
            lab.wait_for("child");
            let rate = on_core(0, || lossless(&lab, &mut port, len, batch, RUNS));
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
    let _child = on_core(1, || lab.child("sink", &[]));
    lab.wait_for("child");
    let counts = [0, 16, 100];
    let batches = [1, BATCH];
    let mut rates: [[Vec<f64>; 2]; 3] = Default::default();
    // Taken in turns, so that whatever else the machine does meets all of them alike; and the medians, for the best of a rate with two
    // humps is a matter of luck.
    for _ in 0..4 * RUNS + 1 {
        for (rates, count) in rates.iter_mut().zip(counts) {
            let attach =
                |n: u8| lab.bus.attach(&PortConfig::new(format!("idle{n}"), "eth0", [2, 1, 0, 0, 0, n]));
            let _idle: Vec<Port> = (0..count).map(|n| attach(n).expect("attach")).collect();
            for (rates, batch) in rates.iter_mut().zip(batches) {
                rates.push(on_core(0, || lossless(&lab, &mut port, 1514, batch, 1)));
            }
        }
    }
    let rates = rates.map(|row| {
        row.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        })
    });
    for (rate, count) in rates.iter().zip(counts) {
        for i in 0..2 {
            let name = format!("idle ports {count}, 1514 octets, {}", ["one by one", "by 32"][i]);
            let ratio = (rate[i] / rates[0][i], "no idle ports");
            report.add(&name, rate[i] / 1e6, "M frames/s", Some("0.95 of none"), Some(ratio));
        }
    }
}

/// Runs `work` on the `nth` core, counted round, and what it starts too.
fn on_core<T>(nth: usize, work: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None).expect("affinity");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).collect();
    let mut one = CpuSet::new();
    one.set(cores[nth % cores.len()]);
    sched_setaffinity(None, &one).expect("affinity");
    let result = work();
    sched_setaffinity(None, &all).expect("affinity");
    result
}

fn wakes(report: &mut Report) {
    let words = two_words();
    report.add("two words, both polling", words, "us", None, None);
    let polling = round_trip("poll");
    let ratio = Some((polling / words, "two words"));
    report.add("wake-up round trip, both polling", polling, "us", Some("1 us"), ratio);
    let (bare, asleep) = on_core(0, || (round_trip("bell"), round_trip("sleep")));
    report.add("doorbell answers doorbell, one core", bare, "us", None, None);
    let ratio = Some((asleep / bare, "the doorbells alone"));
    report.add("wake-up round trip, both asleep, one core", asleep, "us", Some("20 us"), ratio);
    // Where the host runs them: on an idle machine each wakes an idle core.
    report.add("wake-up round trip, both asleep, any core", round_trip("sleep"), "us", None, None);
}

/// Microseconds for a word to go from one core to another and back: what a round trip costs at least.
fn two_words() -> f64 {
    let (ping, pong, stop) = (Line::default(), Line::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                pong.0.store(ping.0.load(Ordering::Acquire), Ordering::Release);
            }
        });
        let mut turn = 0;
        let rounds = best(|| {
            for _ in 0..100 {
                turn += 1;
                ping.0.store(turn, Ordering::Release);
                while pong.0.load(Ordering::Acquire) != turn {
                    std::hint::spin_loop();
                }
            }
            100
        });
        stop.store(true, Ordering::Relaxed);
        1e6 / rounds
    })
}

/// A word with cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

/// Microseconds from a frame to its echo.
fn round_trip(role: &str) -> f64 {
    let lab = Lab::new();
    let bell = Doorbell::bind(lab.path.with_extension("a")).expect("bind");
    let config =
        PortConfig { doorbell: Some(bell.path().to_owned()), ..PortConfig::new("parent", "eth0", mac(1)) };
    let mut port = lab.bus.attach(&config).expect("attach");
    let bed = Bed::new(bell);
    let _child = lab.child(role, &[]);
    lab.wait_for("child");
    let other = (role == "bell").then(|| ringer(lab.path.with_extension("b")));
    let data = frame(64);
    let mut buf = [0; 2048];
    let mut echo = || {
        if let Some(other) = &other {
            rustix::io::write(other, &[0]).expect("ring");
            return bed.wait();
        }
        while port.send(0, &data, Offload::NONE) != Sent::Ok {}
        while !matches!(port.recv(&mut buf), Recv::Frame(_)) {
            match role {
                "sleep" => bed.sleep(&port),
                _ => std::hint::spin_loop(),
            }
        }
    };
    let rounds = best(|| {
        (0..100).for_each(|_| echo());
        100
    });
    let _ = std::fs::remove_file(lab.path.with_extension("b"));
    1e6 / rounds
}
