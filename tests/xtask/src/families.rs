//! IPv6 beside IPv4 of the same run, and what is of IPv6 alone.

use crate::bench::{Figure, figure};
use crate::veth::Veth;
use anyhow::{Context, Result, bail};
use lab_tests::Place;
use serde_json::Value;
use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A router between two hosts, which are on the same links by either family.
const ROUTED: &str = r#"
name = "families"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
"#;
const DIRECT: &str = r#"
name = "families"
[node]
a = {}
b = {}
[bus]
link = { subnet = "192.0.2.0/24", subnet6 = "fd00:1::/64", nodes = ["a", "b"] }
"#;
/// Runs of each family, by turns: who comes first has no advantage.
const TURNS: usize = 21;
/// Labs that are started; the median counts.
const STARTS: usize = 5;

/// The medians of IPv4 and of IPv6.
fn by_turns(mut once: impl FnMut(&str) -> Result<f64>) -> Result<(f64, f64)> {
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        four.push(once("-4")?);
        six.push(once("-6")?);
    }
    Ok((median(four), median(six)))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn up(place: &Place, text: &str) {
    let file = place.write("families.lab.toml", text);
    place.ok(&format!("-t {} up", file.display()));
}

pub(crate) fn forwarding(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    up(place, ROUTED);
    let (four, six) = by_turns(|flag| {
        let report = place.json(&format!("perf udp h1 h2 -t 0.4 -l 64 {flag}"));
        let seconds = report["seconds"].as_f64().context("seconds")?;
        Ok(report["received"].as_f64().context("received")? / seconds / 1e6)
    })?;
    Ok(vec![figure("IPv6: UDP through a router, received", six, "M/s", "ratio 0.95").against(Some(four))])
}

pub(crate) fn bulk(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, keys) in [("IPv6: one TCP stream", ""), ("IPv6: the same, offload off", "offload = false, ")] {
        up(place, &DIRECT.replace("link = { ", &format!("link = {{ {keys}")));
        let (four, six) = by_turns(|flag| {
            let report = place.json(&format!("perf tcp a b -t 0.4 {flag}"));
            Ok(report["bits_per_second"].as_f64().context("bits_per_second")? / 1e9)
        })?;
        figures.push(figure(name, six, "Gbit/s", "ratio 0.95").against(Some(four)));
        place.ok("down");
    }
    Ok(figures)
}

/// Hosts of one LAN in virtual time …
const HOSTS: usize = 10_000;
/// … and where IPv4 is beside IPv6: it asks everybody for everybody, the square of them.
const HOSTS_OF_BOTH: usize = 1000;

/// Each host but the first pings it, by its address: what a name stands for would be asked of all nodes.
fn lan(hosts: usize, subnet: &str, first: &str) -> String {
    format!(
        "name = \"neighbours\"\n[node]\nh = {{ count = {hosts} }}\n[bus]\n\
         lan = {{ {subnet}, nodes = [\"h*\"], history = \"64MiB\" }}\n\
         [[check]]\nping = {{ from = [{}], to = \"{first}\" }}\n",
        (2..=hosts).map(|n| format!("\"h{n}\"")).collect::<Vec<_>>().join(", ")
    )
}

/// Seconds and MiB that a LAN of IPv6 takes, or of IPv4.
fn ping_first(place: &Place, hosts: usize, flag: &str) -> Result<(f64, f64)> {
    let text = match flag {
        "-4" => lan(hosts, "subnet = \"10.0.0.0/16\"", "10.0.0.1"),
        _ => lan(hosts, "subnet6 = \"fd00:1::/64\"", "fd00:1::1"),
    };
    let file = place.write("neighbours.lab.toml", &text);
    let said = place.path().join("report.json");
    let began = Instant::now();
    let mut command = place.labctl(["test", "--virtual", "--json"]);
    let mut child = command.arg(file).stdout(File::create(&said)?).spawn()?;
    let mut peak = 0.0;
    while child.try_wait()?.is_none() {
        peak = peak_mib(child.id()).unwrap_or(peak);
        sleep(Duration::from_millis(5));
    }
    let took = began.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&std::fs::read(&said)?)?;
    if report["failed"] != 0 || report["passed"] != hosts - 1 {
        bail!("{} of {} neighbours answered", report["passed"], hosts - 1);
    }
    Ok((took, peak))
}

pub(crate) fn neighbours(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let (four, six) = by_turns(|flag| Ok(ping_first(place, HOSTS_OF_BOTH, flag)?.0))?;
    let (took, peak) = ping_first(place, HOSTS, "-6")?;
    Ok(vec![
        figure("IPv6: 1,000 neighbours ping one, virtual time", six, "s", "ratio 1.05").against(Some(four)),
        figure("IPv6: 10,000 neighbours ping one, virtual time", took, "s", "report"),
        figure("the same, memory of all nodes", peak, "MiB", "report"),
    ])
}

/// The most memory that a process has had, in MiB.
fn peak_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// A host that listens to a router, and how it tries its addresses.
fn listening(dad: &str) -> String {
    format!(
        "name = \"families\"\n[node]\n\
         r1 = {{ forward = true, if.eth0 = {{ bus = \"lan\", dad = \"off\", ra = {{}} }} }}\n\
         h1 = {{ if.eth0 = {{ bus = \"lan\", ip = [], address = \"slaac\", dad = \"{dad}\" }} }}\n\
         [bus]\nlan = {{ subnet6 = \"fd00:1::/64\", nodes = [\"r1\"] }}\n"
    )
}

pub(crate) fn slaac(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, dad) in [
        ("SLAAC: `up` to an address, DAD off", "off"),
        ("SLAAC: the same, optimistic DAD", "optimistic"),
        ("SLAAC: the same, DAD on", "on"),
    ] {
        let mut all = Vec::new();
        for _ in 0..STARTS {
            let began = Instant::now();
            up(place, &listening(dad));
            let is_good = |row: &Value| row["scope"] == "global" && row["tentative"] != true;
            while !place.json("show addr h1 -6").as_array().is_some_and(|rows| rows.iter().any(is_good)) {
                sleep(Duration::from_millis(2));
            }
            all.push(began.elapsed().as_secs_f64() * 1e3);
            place.ok("down");
        }
        figures.push(figure(name, median(all), "ms", "report"));
    }
    Ok(figures)
}
