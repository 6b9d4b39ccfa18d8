//! Measurements of whole labs, through the command line, each beside its aim and, where there is one, a yardstick of the same run.
//! The bus alone is measured by `cargo bench -p shmif`, one node alone by `cargo bench -p rumpkern`, the stack by `cargo bench -p netstack`.

use crate::bounce;
use crate::families;
use crate::impaired;
use crate::netem;
use crate::ns3;
use crate::programs;
use crate::row;
use crate::veth::Veth;
use anyhow::{Context, Result, bail};
use lab_tests::{Place, User, root};
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// One figure.
#[derive(Serialize)]
pub(crate) struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What is aimed at, in the same unit, in words.
    aim: &'static str,
    /// The same quantity of the yardstick, measured in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    yardstick: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
}

pub(crate) fn figure(name: &'static str, value: f64, unit: &'static str, aim: &'static str) -> Figure {
    Figure { name, value, unit, aim, yardstick: None, ratio: None }
}

impl Figure {
    pub(crate) fn against(mut self, yardstick: Option<f64>) -> Figure {
        self.ratio = yardstick.map(|y| self.value / y);
        self.yardstick = yardstick;
        self
    }
}

/// A measurement: its name, and what gives its figures.
type Measure = fn(&Place, Option<&Veth>) -> Result<Vec<Figure>>;

const MEASURES: &[(&str, Measure)] = &[
    ("newcomer", newcomer),
    ("ping", ping),
    ("chain10", chain10),
    ("tcp", tcp),
    ("tcprtt", tcprtt),
    ("udp", udp),
    ("conn", conn),
    ("idle100k", idle100k),
    ("node", node),
    ("pairs1000", pairs1000),
    ("lan1000", lan1000),
    ("chain253", chain253),
    ("ipv6forward", families::forwarding),
    ("ipv6tcp", families::bulk),
    ("ipv6neighbours", families::neighbours),
    ("ipv6slaac", families::slaac),
    ("exec", programs::start),
    ("iperf3", programs::iperf),
    ("curl", programs::curl),
    ("redis", programs::redis),
    ("netem", netem::netem),
    ("impaired", impaired::impaired),
    ("ns3", ns3::ns3),
];

pub(crate) fn run(json: bool, words: &[String]) -> Result<()> {
    let veth = Veth::new();
    if let Err(e) = &veth {
        eprintln!("no veth yardstick: {e:#}");
    }
    for (name, measure) in MEASURES {
        if !words.is_empty() && !words.iter().any(|w| name.contains(w.as_str())) {
            continue;
        }
        let place = Place::new(User::Myself);
        let measured = catch_unwind(AssertUnwindSafe(|| measure(&place, veth.as_ref().ok())));
        match measured {
            Ok(Ok(figures)) => figures.iter().for_each(|f| print(f, json)),
            Ok(Err(e)) => eprintln!("{name}: {e:#}"),
            // What a place's command did not like, it has said.
            Err(_) => eprintln!("{name}: no figure"),
        }
    }
    Ok(())
}

fn print(f: &Figure, json: bool) {
    if json {
        println!("{}", serde_json::to_string(f).expect("a figure is plain data"));
        return;
    }
    let beside = match (f.yardstick, f.ratio) {
        (Some(y), Some(r)) => format!("   yardstick {y:.2} {}, ratio {r:.2}", f.unit),
        _ => String::new(),
    };
    println!("{:<44} {:>12.2} {:<8} aim {:<12}{beside}", f.name, f.value, f.unit, f.aim);
}

pub(crate) fn topology(name: &str) -> String {
    root().join("topologies").join(format!("{name}.lab.toml")).display().to_string()
}

fn millis(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of processor time (user and system) of this process's waited-for children so far.
fn children_cpu_ms() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("/proc/self/stat")?.split(' ').collect();
    let ticks: u64 = fields[13].parse::<u64>()? + fields[14].parse::<u64>()?;
    Ok(ticks as f64 * 10.0)
}

/// The first thing that a newcomer runs.
fn newcomer(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let lab = topology("hello");
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..5 {
        let cpu = children_cpu_ms()?;
        let wall = millis(|| {
            place.ok(&format!("-t {lab} up"));
            place.ok("ping h1 h2 -c 1");
            place.ok("dump left -w left.pcapng");
            place.ok("down");
        });
        best = (best.0.min(wall), best.1.min(children_cpu_ms()? - cpu));
    }
    Ok(vec![
        figure("newcomer: up, ping, dump, down", best.0, "ms", "< 100"),
        figure("newcomer: processor time of labctl", best.1, "ms", "< 100"),
    ])
}

/// One request under way at a time, the next at once: a flood would measure its own queues.
const BUSY: &str = "-A";
/// Long enough for everybody to fall asleep in between.
const ASLEEP: &str = "-i 0.02";

/// Median round trip in microseconds; `pace` as `ping` takes it.
fn rtt(place: &Place, from: &str, to: &str, count: u32, pace: &str) -> Result<f64> {
    let report = place.json(&format!("ping {from} {to} -c {count} {pace}"));
    report["rtt_us"]["p50"].as_f64().context("rtt_us.p50")
}

fn ping(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    rtt(place, "a", "b", 100, BUSY)?;
    let busy = rtt(place, "a", "b", 20_000, BUSY)?;
    let asleep = rtt(place, "a", "b", 50, ASLEEP)?;
    let yardstick = veth.and_then(|v| v.ping_rtt_us().ok());
    Ok(vec![
        figure("ping across one bus, busy", busy, "us", "< 5").against(yardstick),
        figure("ping across one bus, asleep", asleep, "us", "report"),
    ])
}

fn chain10(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("chain10")));
    rtt(place, "left", "right", 100, BUSY)?;
    let busy = rtt(place, "left", "right", 2000, BUSY)?;
    let asleep = rtt(place, "left", "right", 50, ASLEEP)?;
    Ok(vec![
        figure("ping across ten routers, busy", busy, "us", "< 50")
            .against(row::round_trip_us(place, 12).ok()),
        figure("ping across ten routers, asleep", asleep, "us", "report"),
    ])
}

/// The best of some streams over a bus; `keys` is more about it.
fn stream(place: &Place, keys: &str) -> Result<f64> {
    let text = fs::read_to_string(topology("two-hosts"))?;
    let file = place.write("stream.lab.toml", &text.replace("link = { ", &format!("link = {{ {keys}")));
    place.ok(&format!("-t {} up", file.display()));
    let best = best_stream(place);
    place.ok(&format!("-t {} down", file.display()));
    best
}

/// The best of some streams in the lab that is up.
fn best_stream(place: &Place) -> Result<f64> {
    let mut best: f64 = 0.0;
    for _ in 0..3 {
        best = best.max(number(&place.json("perf tcp a b -t 2"), "/bits_per_second")? / 1e9);
    }
    Ok(best)
}

fn tcp(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    let whole = stream(place, "")?;
    let segments = stream(place, "offload = false, ")?;
    let iperf = veth.and_then(|v| {
        let report = v.iperf3("-t 2").inspect_err(|e| eprintln!("no yardstick: {e:#}")).ok()?;
        report["end"]["sum_received"]["bits_per_second"].as_f64()
    });
    let iperf = iperf.map(|b| b / 1e9);
    Ok(vec![
        figure("one TCP stream, MTU 1500", whole, "Gbit/s", "ratio 1.5").against(iperf),
        figure("the same, offload off", segments, "Gbit/s", "ratio 0.5").against(iperf),
    ])
}

/// Round trips and the yardstick of the same moments: a virtual machine's host moves its cores about.
fn tcprtt(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    place.json("perf rtt a b -t 0.2");
    let (mut trips, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        lines.push(bounce::round_trip_us()?);
        trips.push(number(&place.json("perf rtt a b -t 0.5"), "/rtt_us/p50")?);
    }
    let veth = veth.and_then(|v| v.tcp_rtt_us().inspect_err(|e| eprintln!("no yardstick: {e:#}")).ok());
    Ok(vec![
        figure("TCP, one octet there and back, busy", median(trips), "us", "< 3").against(veth),
        figure("a cache line there and back between cores", median(lines), "us", "report"),
    ])
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn udp(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    let mut best = (0.0_f64, 0.0);
    for _ in 0..3 {
        let report = place.json("perf udp a b -t 2 -l 22");
        let rate = report["packets_per_second"].as_f64().context("packets_per_second")? / 1e6;
        if rate > best.0 {
            best = (rate, report["lost"].as_f64().context("lost")?);
        }
    }
    let iperf = veth.and_then(|v| {
        let sum = v.iperf3("-u -b 0 -l 22 -t 2").ok()?["end"]["sum"].clone();
        Some(sum["packets"].as_f64()? / sum["seconds"].as_f64()? / 1e6)
    });
    Ok(vec![
        figure("UDP, 64-octet frames, one way", best.0, "M/s", "> 1").against(iperf),
        figure("UDP, 64-octet frames, lost", best.1, "packets", "0"),
    ])
}

pub(crate) fn number(report: &Value, pointer: &str) -> Result<f64> {
    report.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("{pointer} in {report}"))
}

fn conn(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    let mut best = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        let report = place.json("perf conn a b -t 2");
        best = (
            best.0.max(number(&report, "/connections_per_cpu_second")?),
            best.1.max(number(&report, "/connections_per_second")?),
        );
    }
    Ok(vec![
        figure("connections opened and closed: CPU of both", best.0 / 1e3, "k/s", "> 100"),
        figure("connections opened and closed: by the clock", best.1 / 1e3, "k/s", "report"),
    ])
}

/// Idle connections.
const MANY: u32 = 100_000;

fn idle100k(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    let report = place.json(&format!("perf conn a b --hold {MANY} -t 1"));
    let each = |end: &str| number(&report, &format!("/held/octets_per_connection/{end}"));
    let (from, to) = (each("from")?, each("to")?);
    let without = best_stream(place)?;
    let words = format!("perf conn a b --hold {MANY} -t 20");
    let mut hold = place.labctl(words.split(' ')).stdout(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(hold.stdout.take().context("stdout")?).lines();
    said.next().context("the connections were not opened")??;
    // The timers that their handshakes have left behind come up within a second.
    sleep(Duration::from_secs(2));
    let idle = idle_cpu(place, Duration::from_secs(5));
    let with = best_stream(place)?;
    if hold.try_wait()?.is_some() {
        bail!("the connections were let go before the stream was over");
    }
    said.try_for_each(|line| line.map(drop))?;
    hold.wait()?;
    Ok(vec![
        figure("100,000 idle connections: each, at the source", from, "octets", "< 2048"),
        figure("100,000 idle connections: each, at the sink", to, "octets", "< 2048"),
        figure("100,000 idle connections: CPU", idle, "% core", "< 1"),
        figure("one TCP stream beside them", with, "Gbit/s", "ratio 1").against(Some(without)),
    ])
}

/// Octets that only this process has (`Private_*` of smaps_rollup), in MiB.
fn private_mib(pid: i32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |key: &str| -> f64 {
        let row = text.lines().find_map(|l| l.strip_prefix(key));
        row.and_then(|r| r.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0.0)
    };
    Ok((kib("Private_Clean:") + kib("Private_Dirty:")) / 1024.0)
}

fn node(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    place.ok(&format!("-t {} up", topology("two-hosts")));
    let memory = private_mib(place.pid("two-hosts", "a"))?;
    Ok(vec![figure("node: private memory, idle", memory, "MiB", "< 1.5")])
}

/// Processor time of all nodes of the place, in seconds.
fn nodes_cpu(place: &Place) -> f64 {
    let ticks = |pid: i32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    };
    place.processes().iter().filter_map(|(pid, _)| ticks(*pid)).sum::<u64>() as f64 / 100.0
}

/// What all nodes of the place use for nothing, in per cent of a core.
fn idle_cpu(place: &Place, time: Duration) -> f64 {
    let (before, began) = (nodes_cpu(place), Instant::now());
    sleep(time);
    (nodes_cpu(place) - before) / began.elapsed().as_secs_f64() * 100.0
}

fn thousand(place: &Place, name: &'static str, from: &str, to: &str) -> Result<(f64, f64, f64, f64)> {
    let up = millis(|| drop(place.ok(&format!("-t {} up", topology(name)))));
    let ping = rtt(place, from, to, 10, BUSY)?;
    let idle = idle_cpu(place, Duration::from_secs(5));
    let down = millis(|| drop(place.ok("down")));
    Ok((up, ping, idle, down))
}

fn pairs1000(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let (up, ping, idle, down) = thousand(place, "pairs1000", "a1", "b1")?;
    Ok(vec![
        figure("1,000 nodes on 500 links: up", up, "ms", "< 2000"),
        figure("1,000 nodes on 500 links: ping", ping, "us", "report"),
        figure("1,000 nodes on 500 links: idle CPU", idle, "% core", "< 1"),
        figure("1,000 nodes on 500 links: down", down, "ms", "report"),
    ])
}

fn lan1000(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let (up, ping, idle, down) = thousand(place, "lan1000", "h1", "h1000")?;
    Ok(vec![
        figure("1,000 nodes on one bus: up", up, "ms", "< 2000"),
        figure("1,000 nodes on one bus: ping", ping, "us", "report"),
        figure("1,000 nodes on one bus: idle CPU", idle, "% core", "< 1"),
        figure("1,000 nodes on one bus: down", down, "ms", "report"),
    ])
}

fn chain253(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let up = millis(|| drop(place.ok(&format!("-t {} up", topology("chain253")))));
    rtt(place, "left", "right", 3, BUSY)?;
    let ping = rtt(place, "left", "right", 100, BUSY)?;
    Ok(vec![
        figure("253 routers: start until ready", up, "ms", "< 600"),
        figure("253 routers: ping from end to end", ping / 1e3, "ms", "< 2.5")
            .against(row::round_trip_us(place, 255).ok().map(|us| us / 1e3)),
    ])
}
