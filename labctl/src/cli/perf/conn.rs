//! `labctl perf conn FROM TO`: connections opened and closed a second, or many that are held idle: what they weigh, what they cost.

use super::{Args, measure, why};
use crate::cli::{Exit, Failure, Output, running};
use crate::lab::process::Identity;
use crate::lab::session::{Run, Session};
use crate::lab::usage::Usage;
use crate::lab::view;
use serde_json::{Value, json};
use std::io::Write;

/// Held connections to one port of the other node: less than the 28,232 ephemeral ports that Linux has for them.
const A_PORT: u32 = 25_000;

/// What `connsource` says before it lets go of them.
const LETTING_GO: &str = "letting go";

/// Both nodes, at one time.
#[derive(Clone, Copy, Debug)]
struct Ends {
    from: Usage,
    to: Usage,
}

impl Ends {
    fn now([from, to]: [Identity; 2]) -> Option<Self> {
        Some(Self { from: Usage::of(from)?, to: Usage::of(to)? })
    }

    fn since(self, before: Self) -> Self {
        Self { from: self.from - before.from, to: self.to - before.to }
    }

    /// Seconds on a processor.
    fn cpu(self) -> [f64; 2] {
        [self.from, self.to].map(|usage| usage.cpu_ns as f64 / 1e9)
    }
}

/// What was seen of the nodes meanwhile.
#[derive(Debug, Default)]
struct Seen {
    begin: Option<Ends>,
    /// All were open, or opened and closed.
    open: Option<Ends>,
    /// They had lain idle for the time.
    held: Option<Ends>,
}

pub(super) fn run(
    args: &Args,
    session: &Session,
    to: &str,
    address: &str,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let node = |name: &str| view::running_node(&session.dir, &session.state, name);
    let nodes = [node(&args.from)?, node(to)?];
    let mut seen = Seen { begin: Ends::now(nodes), ..Seen::default() };
    let heard = |source: &Run| {
        if seen.open.is_none()
            && let Some(result) = source.json()
        {
            seen.open = Ends::now(nodes);
            if !json {
                // A reader that went away is found at the end.
                let _ = writeln!(out, "{}", first_lines(&result)).and_then(|()| out.flush());
            }
        }
        if seen.held.is_none() && source.err.contains(LETTING_GO) {
            seen.held = Ends::now(nodes);
        }
    };
    let (source, _) =
        running::attended(session, |session| measure(session, args, to, address, true, heard))?;
    let Some(mut result) = source.json() else {
        return Err(Failure::Work(anyhow::anyhow!("{}", why(&source, &args.to, address))));
    };
    if let Some((begin, open)) = seen.begin.zip(seen.open) {
        let [from, to] = open.since(begin).cpu();
        result["cpu_seconds"] = json!({ "from": from, "to": to });
        result["connections_per_cpu_second"] = json!(count(&result) / (from + to));
    }
    if let Some(((begin, open), held)) = seen.begin.zip(seen.open).zip(seen.held) {
        let grown = open.since(begin);
        let each = [grown.from, grown.to].map(|usage| (usage.private as f64 / count(&result)).round() as i64);
        let [from, to] = held.since(open).cpu();
        result["held"] = json!({
            "seconds": args.time,
            "octets_per_connection": { "from": each[0], "to": each[1] },
            "cpu_seconds": { "from": from, "to": to },
        });
    }
    if json {
        out.json(&result)?;
    } else {
        for line in last_lines(&result, &args.from, to) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(if source.status == 0 { Exit::Done } else { Exit::Failed })
}

/// How many ports `n` connections take.
fn rows(args: &Args) -> u16 {
    args.hold.map_or(1, |n| n.div_ceil(A_PORT) as u16)
}

/// The words of the sink.
pub(super) fn sink(args: &Args) -> String {
    let keep = args.hold.map_or(String::new(), |n| format!("-k -n {n} "));
    format!("connsink {keep}-p {} 0", rows(args))
}

/// Whether all were open at a time, and the sink has accepted as many as it was told.
pub(super) fn held_all(source: &Run) -> bool {
    source.status == 0 && source.err.contains(LETTING_GO)
}

/// Its ports, the first of which is known.
pub(super) fn ports(args: &Args, first: u16) -> String {
    format!("{first}-{}", first + (rows(args) - 1))
}

fn count(result: &Value) -> f64 {
    result["connections"].as_f64().unwrap_or_default()
}

/// What is said of the connections as soon as it is known.
fn first_lines(result: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let ms = |key: &str| format!("{:.3}", number(&result["connect_us"][key]) / 1e3);
    format!(
        "{} connections in {:.3} s, {:.0} a second, {} failed\nconnect p50/p99/max = {}/{}/{} ms",
        result["connections"],
        number(&result["seconds"]),
        number(&result["connections_per_second"]),
        result["failed"],
        ms("p50"),
        ms("p99"),
        ms("max"),
    )
}

/// What the nodes have used for them.
fn last_lines(result: &Value, from: &str, to: &str) -> Vec<String> {
    let cpu = |of: &Value| {
        let seconds = |end: &str| of["cpu_seconds"][end].as_f64().unwrap_or_default();
        format!("{from} {:.3} s, {to} {:.3} s", seconds("from"), seconds("to"))
    };
    let mut lines = Vec::new();
    if let Some(rate) = result["connections_per_cpu_second"].as_f64() {
        lines.push(format!("processor time: {}; {rate:.0} connections a second of it", cpu(result)));
    }
    if let Some(held) = result.get("held") {
        let octets = &held["octets_per_connection"];
        lines.push(format!("held for {} s: processor time {}", held["seconds"], cpu(held)));
        lines.push(format!("memory a connection: {from} {} octets, {to} {} octets", octets["from"], octets["to"]));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let result = json!({
            "seconds": 2.0, "connections": 200_000, "connections_per_second": 100_000.0, "failed": 1,
            "connect_us": {"p50": 12.0, "p99": 345.6, "max": 1000.0},
            "cpu_seconds": {"from": 1.0, "to": 0.5}, "connections_per_cpu_second": 133_333.3,
            "held": {"seconds": 5.0, "octets_per_connection": {"from": 900, "to": 1000},
                     "cpu_seconds": {"from": 0.0, "to": 0.001}},
        });
        assert_eq!(
            first_lines(&result),
            "200000 connections in 2.000 s, 100000 a second, 1 failed\nconnect p50/p99/max = 0.012/0.346/1.000 ms"
        );
        assert_eq!(
            last_lines(&result, "h1", "h2"),
            [
                "processor time: h1 1.000 s, h2 0.500 s; 133333 connections a second of it",
                "held for 5.0 s: processor time h1 0.000 s, h2 0.001 s",
                "memory a connection: h1 900 octets, h2 1000 octets",
            ]
        );
    }
}
