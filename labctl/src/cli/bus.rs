//! `labctl bus ls|show|fsck|create`: buses looked at from outside, dead or alive.

use std::path::{Path, PathBuf};

use serde_json::json;
use shmif::{Bus, BusConfig, PortFlags, PortInfo};

use super::wire::{self, Access};
use super::{Exit, Failure, Global, Output};
use crate::capture::print::{mac, printable};
use crate::capture::source::{Source, Target};
use crate::topology::units::{Octets, Quantity};

/// Arguments of `bus`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the lab's buses
    Ls {
        /// Only these: names, '*', or bus files
        buses: Vec<String>,
    },
    /// Show a bus: its header, ports and counters
    Show {
        /// A bus, LAB/BUS, or a bus file
        bus: String,
    },
    /// Create a bus file of no lab, to replay captures onto
    Create {
        /// Where; an existing file is not replaced
        file: PathBuf,
        /// Octets that it remembers: 4MiB, 1GiB
        #[arg(long, value_name = "SIZE", default_value = "4MiB")]
        history: String,
    },
    /// Look for damage; exit 1 if there is any
    Fsck {
        /// A bus, several ('*'), LAB/BUS, or a bus file
        bus: String,
    },
}

/// Does it.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Ls { buses } => ls(&buses, global, out),
        Verb::Show { bus } => show(&bus, global, out),
        Verb::Fsck { bus } => fsck(&bus, global, out),
        Verb::Create { file, history } => create(&file, &history, out),
    }
}

fn create(file: &Path, history: &str, out: &mut Output) -> Result<Exit, Failure> {
    let size = Octets::parse(history).map_err(|error| {
        Failure::usage(format!("--history {history}: {error}"), Some(format!("such as {}", Octets::EXAMPLE)))
    })?;
    if file.exists() {
        return Err(Failure::usage(format!("{} is there already", file.display()), None));
    }
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or("bus");
    let mut config = BusConfig::new("none", name);
    config.history = size.0;
    let bus = Bus::create(file, &config).map_err(anyhow::Error::from)?;
    out.say(format_args!("{}: remembers {} KiB", file.display(), bus.info().ring >> 10))?;
    Ok(Exit::Done)
}

/// What the ring holds.
struct Remembered {
    frames: u64,
    octets: u64,
    oldest_ns: Option<u64>,
    newest_ns: Option<u64>,
}

fn remembered(bus: &Bus) -> Remembered {
    let mut sum = Remembered { frames: 0, octets: 0, oldest_ns: None, newest_ns: None };
    for captured in bus.history() {
        sum.frames += 1;
        sum.octets += captured.record.len as u64;
        sum.oldest_ns.get_or_insert(captured.record.time_ns);
        sum.newest_ns = Some(captured.record.time_ns);
    }
    sum
}

fn ls(buses: &[String], global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let all = ["*".to_owned()];
    let buses = if buses.is_empty() { &all[..] } else { buses };
    let mut rows = vec![["BUS", "LAB", "PORTS", "FRAMES", "REMEMBERED", "OCTETS", "FILL", "SPAN"].map(str::to_owned)];
    let mut list = Vec::new();
    for what in buses {
        let mut target = wire::target(what, global)?;
        for source in wire::open(&mut target, Access::Look)? {
            let info = source.bus().info();
            let ports = source.bus().ports().iter().filter(|port| port.attached).count();
            let held = remembered(source.bus());
            let fill = info.head.saturating_sub(info.tail) as f64 * 100.0 / info.ring as f64;
            let span_ns = held.newest_ns.zip(held.oldest_ns).map(|(newest, oldest)| newest.saturating_sub(oldest));
            rows.push([
                info.name.clone(),
                info.lab.clone(),
                ports.to_string(),
                info.frames.to_string(),
                held.frames.to_string(),
                held.octets.to_string(),
                format!("{fill:.0}%"),
                span_ns.map_or("-".to_owned(), seconds),
            ]);
            list.push(json!({
                "bus": info.name, "lab": info.lab, "path": source.bus().path(), "ports": ports, "frames": info.frames,
                "history": { "frames": held.frames, "octets": held.octets, "size": info.ring, "fill_percent": fill,
                             "oldest_ns": held.oldest_ns, "newest_ns": held.newest_ns },
            }));
        }
    }
    if global.json {
        out.json(&json!({ "buses": list }))?;
    } else {
        table(out, &rows)?;
    }
    Ok(Exit::Done)
}

fn show(bus: &str, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let source = one(wire::target(bus, global)?)?;
    let bus = source.bus();
    let info = bus.info();
    let ports = bus.ports();
    let held = remembered(bus);
    if global.json {
        let ports: Vec<_> = ports.iter().map(port_json).collect();
        out.json(&json!({
            "bus": info.name, "lab": info.lab, "path": bus.path(), "version": shmif::layout::VERSION,
            "epoch": { "unix_ns": info.epoch.unix_ns, "mono_ns": info.epoch.mono_ns },
            "frames": info.frames, "head": info.head, "tail": info.tail, "max_ports": info.max_ports,
            "recoveries": info.recoveries, "repairs": info.repairs,
            "history": { "frames": held.frames, "octets": held.octets, "size": info.ring,
                         "oldest_ns": held.oldest_ns, "newest_ns": held.newest_ns },
            "ports": ports,
        }))?;
        return Ok(Exit::Done);
    }
    out.say(format_args!("bus {} of lab {}: {}", printable(&info.name), printable(&info.lab), bus.path().display()))?;
    out.say(format_args!(
        "  ring {} KiB, {} remembered, {} ever; format {}",
        info.ring >> 10,
        wire::frames(held.frames),
        info.frames,
        shmif::layout::VERSION
    ))?;
    if let (Some(oldest), Some(newest)) = (held.oldest_ns, held.newest_ns) {
        out.say(format_args!("  from {} to {} of the lab's time", seconds(oldest), seconds(newest)))?;
    }
    if info.recoveries + info.repairs > 0 {
        out.say(format_args!("  {} locks taken over from the dead, {} repairs", info.recoveries, info.repairs))?;
    }
    let mut rows = vec![
        ["PORT", "ID", "MAC", "OWNER", "FLAGS", "SENT", "RECEIVED", "LOST", "OVERRUNS", "WAITS", "BEHIND"]
            .map(str::to_owned),
    ];
    for port in &ports {
        let owner = match (port.attached, port.alive) {
            (true, true) => format!("pid {}", port.pid),
            (true, false) => format!("pid {} dead", port.pid),
            (false, _) => "detached".to_owned(),
        };
        let counters = port.counters;
        rows.push([
            format!("{}:{}", port.node, port.interface),
            port.id.to_string(),
            mac(port.mac),
            owner,
            flags(port.flags).join(","),
            counters.tx_frames.to_string(),
            counters.rx_frames.to_string(),
            (counters.rx_lost + counters.rx_errors + counters.tx_dropped).to_string(),
            counters.overruns.to_string(),
            counters.tx_waits.to_string(),
            port.behind.map_or("-".to_owned(), |from| info.head.saturating_sub(from).to_string()),
        ]);
    }
    out.say("")?;
    table(out, &rows)?;
    Ok(Exit::Done)
}

fn port_json(port: &PortInfo) -> serde_json::Value {
    let counters = port.counters;
    json!({
        "port": port.id.to_string(), "node": port.node, "interface": port.interface, "mac": mac(port.mac),
        "pid": port.pid, "alive": port.alive, "attached": port.attached, "flags": flags(port.flags),
        "rx_frames": counters.rx_frames, "rx_octets": counters.rx_octets, "rx_lost": counters.rx_lost,
        "rx_errors": counters.rx_errors, "tx_frames": counters.tx_frames, "tx_octets": counters.tx_octets,
        "tx_dropped": counters.tx_dropped, "tx_waits": counters.tx_waits, "overruns": counters.overruns,
    })
}

fn flags(flags: PortFlags) -> Vec<&'static str> {
    let all = [
        (PortFlags::UP, "up"),
        (PortFlags::PROMISCUOUS, "promiscuous"),
        (PortFlags::ALL_MULTICAST, "allmulti"),
        (PortFlags::MONITOR, "monitor"),
        (PortFlags::OFFLOAD, "offload"),
    ];
    all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name).collect()
}

fn fsck(what: &str, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let mut target = wire::target(what, global)?;
    let mut exit = Exit::Done;
    for source in wire::open(&mut target, Access::Look)? {
        let report = source.bus().fsck();
        if !report.is_clean() {
            exit = Exit::Failed;
        }
        if global.json {
            let findings: Vec<_> = report
                .findings
                .iter()
                .map(|finding| json!({ "finding": finding.to_string(), "damage": !finding.is_remains() }))
                .collect();
            out.json(&json!({
                "bus": source.name(), "path": source.bus().path(), "clean": report.is_clean(), "frames": report.frames,
                "octets": report.octets, "ports": report.ports, "findings": findings,
            }))?;
            continue;
        }
        let verdict = if report.is_clean() { "clean" } else { "DAMAGED" };
        out.say(format_args!(
            "{}: {verdict}, {}, {} octets, {} ports",
            printable(source.name()),
            wire::frames(report.frames),
            report.octets,
            report.ports
        ))?;
        for finding in &report.findings {
            let kind = if finding.is_remains() { "remains" } else { "damage" };
            out.say(format_args!("  {kind}: {}", printable(&finding.to_string())))?;
        }
    }
    Ok(exit)
}

fn one(mut target: Target) -> Result<Source, Failure> {
    let mut sources = wire::open(&mut target, Access::Look)?;
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => Err(Failure::usage("one bus at a time", "labctl bus ls lists them".to_owned())),
    }
}

fn seconds(ns: u64) -> String {
    format!("{:.3}s", ns as f64 / 1e9)
}

/// Columns: the first to the left, the others as their width asks.
fn table<const N: usize>(out: &mut Output, rows: &[[String; N]]) -> Result<(), Failure> {
    // Names come from a file that anybody may have written.
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.say(cells.join("  ").trim_end())?;
    }
    Ok(())
}
