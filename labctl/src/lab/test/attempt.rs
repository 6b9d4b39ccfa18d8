//! One try of one check: what is asked of the lab, and whether the answer is the one wanted.
//!
//! Where the check itself has to listen (`tcp`, `udp`, `http` without `port`) the server runs on the target for as long
//! as the try, on a port that the node chooses.

use super::super::events::Condition;
use super::super::fault::Fault;
use super::super::judge::mismatch;
use super::super::session::Run;
use super::probe::{Patience, Probe, Server};
use super::tally::Seen;
use crate::topology::model::{Bound, Check, CheckKind, CounterOf, Lab, Output, Target, TextMatch, Zoned};
use ipnet::IpNet;
use rumpkern::ctl::proto::Table;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a try says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It is so.
    Holds(String),
    /// It is not so.
    Fails(String),
    /// Its time was over before it could be said: it is not so, not yet.
    Unfinished(String),
    /// It could not be asked.
    Broken(String),
}

impl From<Attempt> for Condition {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Holds(_) => Self::Holds,
            Attempt::Fails(said) | Attempt::Unfinished(said) => Self::Lacks(said),
            Attempt::Broken(said) => Self::Broken(said),
        }
    }
}

/// How long a program may be silent beyond what its work takes, if the check does not say.
const SILENCE: Duration = Duration::from_secs(10);
/// What a try has at least: one that begins just before its check's time is over is to be a try all the same.
const LEAST: Duration = Duration::from_millis(200);
/// How long a server may take to see that its client is done.
const SETTLE: Duration = Duration::from_secs(3);
/// Datagrams a second of a `udp` check: far below what any node takes, so that what is lost is lost by the network.
const DATAGRAM_RATE: &str = "1000";

/// A lab that is up, and its model.
pub(super) struct Bench<'a, P> {
    pub(super) lab: &'a Lab,
    pub(super) probe: &'a P,
    /// When the check's `within` is over.
    pub(super) until: Option<Duration>,
}

type Tried = Result<Attempt, Fault>;

impl<P: Probe> Bench<'_, P> {
    pub(super) fn attempt(&self, check: &Check) -> Attempt {
        let kind = &check.kind;
        let tried = match kind {
            CheckKind::Ping { .. } => self.ping(kind),
            CheckKind::Trace { from, to, via, hops } => self.trace(from, to, via.as_deref(), *hops),
            CheckKind::Tcp { from, to, port: Some(port), .. } => self.tcp_connect(from, to, *port),
            CheckKind::Tcp { from, to, port: None, send, rate } => {
                self.tcp(from, to, send.0, rate.map(|rate| rate.0))
            }
            CheckKind::Udp { from, to, port, count, size, loss } => {
                self.udp(from, to, *port, *count, *size, loss.0)
            }
            CheckKind::Http { from, to, port, path, status, body } => {
                self.http(from, to, *port, path, *status, body)
            }
            CheckKind::Route { node, to, via, dev, metric } => {
                self.route(node, *to, *via, dev.as_deref(), *metric)
            }
            CheckKind::Neigh { .. } => self.neigh(kind),
            CheckKind::Counter { of, name, bound } => self.counter(of, name).map(|found| match found {
                None => Attempt::Broken(format!("there is no counter `{name}`")),
                Some(n) if bound.holds(n) => Attempt::Holds(format!("{name} = {n}")),
                Some(n) => Attempt::Fails(format!("{name} = {n}, wanted {}", wanted(bound.min, bound.max))),
            }),
            CheckKind::Wire { bound, .. } => Ok(match self.probe.seen(&check.name) {
                Ok(seen) => verdict(&seen, bound),
                Err(fault) => Attempt::Broken(fault),
            }),
            CheckKind::Cmd { node, cmd, expect } => self.cmd(node, cmd, expect),
        };
        tried.unwrap_or_else(|fault| match fault {
            Fault::Unfinished { seconds, .. } => Attempt::Unfinished(format!("no answer in {seconds:.1} s")),
            Fault::NoProgress { .. } => Attempt::Unfinished(fault.to_string()),
            other => Attempt::Broken(other.to_string()),
        })
    }

    fn address(&self, from: &str, to: &Target) -> Result<Zoned, Fault> {
        match to {
            Target::Addr { addr } => Ok(addr.clone()),
            Target::Node { name, family } => self.probe.resolve(from, name, *family),
        }
    }

    /// The node on which a check listens: the target, or the one that has the address.
    fn listener<'a>(&'a self, to: &'a Target) -> Result<&'a str, Fault> {
        match to {
            Target::Node { name, .. } => Ok(name),
            Target::Addr { addr } => self
                .lab
                .nodes
                .values()
                .find(|node| {
                    let mut all =
                        node.loopback.iter().chain(node.interfaces.iter().flat_map(|one| &one.addrs));
                    all.any(|net| net.addr() == addr.addr)
                })
                .map(|node| node.name.as_str())
                .ok_or_else(|| {
                    Fault::Usage(format!("no node has the address {addr}: name the server's `port`"))
                }),
        }
    }

    fn run(&self, node: &str, argv: &[&str], work: Duration) -> Result<Run, Fault> {
        self.probe.run(node, &words(argv), true, self.patience(work, SILENCE))
    }

    /// How long a program may take whose work takes so long in any case: to the end of the check's time, else `silence`
    /// more.
    fn patience(&self, work: Duration, silence: Duration) -> Patience {
        let now = self.probe.now();
        match self.until {
            Some(until) => Patience::Until(until.max(now + LEAST) + work),
            None => Patience::Silence(work + silence),
        }
    }

    fn ping(&self, kind: &CheckKind) -> Tried {
        let CheckKind::Ping { from, to, count, interval, size, ttl, loss, rtt } = kind else {
            return Ok(Attempt::Broken("not a ping".into()));
        };
        let address = self.address(from, to)?.to_string();
        let (requests, octets) = (count.to_string(), size.to_string());
        let every = interval.0.as_secs_f64().to_string();
        let ttl = ttl.map(|ttl| ttl.to_string());
        let mut words = vec!["ping", "-n", "-c", &requests, "-i", &every, "-s", &octets, "-W", "1"];
        words.extend(ttl.iter().flat_map(|ttl| ["-t", ttl]));
        words.push(&address);
        let run = self.run(from, &words, interval.0 * count.saturating_sub(1))?;
        let Some(result) = run.json() else { return Ok(Attempt::Fails(run.complaint())) };
        let number = |key: &str| result[key].as_f64().unwrap_or_default();
        let median = result["rtt_us"]["p50"].as_f64();
        let seen = format!("{} of {} answered", number("received"), number("transmitted"));
        let seen = median.map_or(seen.clone(), |us| format!("{seen}, median {}", micros(us)));
        if number("received") == 0.0 || number("loss_percent") > loss.0 * 100.0 {
            return Ok(Attempt::Fails(seen));
        }
        match (rtt, median) {
            (Some(most), Some(us)) if us > most.0.as_secs_f64() * 1e6 => {
                Ok(Attempt::Fails(format!("{seen}, wanted at most {}", micros(most.0.as_secs_f64() * 1e6))))
            }
            _ => Ok(Attempt::Holds(seen)),
        }
    }

    fn trace(&self, from: &str, to: &Target, via: Option<&[Target]>, hops: Option<u8>) -> Tried {
        let address = self.address(from, to)?;
        let run = self.run(
            from,
            &["traceroute", "-q", "1", "-w", "1", &address.to_string()],
            // A second a hop, if every one is silent.
            if self.until.is_some() { Duration::ZERO } else { Duration::from_secs(30) },
        )?;
        let Some(result) = run.json() else { return Ok(Attempt::Fails(run.complaint())) };
        let path = path(&result);
        let seen = path
            .iter()
            .map(|hop| hop.map_or("*".into(), |hop| hop.to_string()))
            .collect::<Vec<_>>()
            .join(" ");
        if path.last().copied().flatten() != Some(address.addr) {
            return Ok(Attempt::Fails(format!("{address} was not reached: {seen}")));
        }
        if let Some(hops) = hops
            && path.len() != usize::from(hops)
        {
            return Ok(Attempt::Fails(format!("{} hops, wanted {hops}: {seen}", path.len())));
        }
        if let Some(via) = via {
            let between = &path[..path.len() - 1];
            let same = between.len() == via.len()
                && between
                    .iter()
                    .zip(via)
                    .all(|(hop, want)| hop.is_some_and(|hop| self.all_of(want).contains(&hop)));
            if !same {
                let want: Vec<_> = via.iter().map(ToString::to_string).collect();
                return Ok(Attempt::Fails(format!("by {seen}, wanted by {}", want.join(" "))));
            }
        }
        Ok(Attempt::Holds(format!("{} hops: {seen}", path.len())))
    }

    /// The addresses that a target stands for: all of a node's.
    fn all_of(&self, target: &Target) -> Vec<IpAddr> {
        match target {
            Target::Addr { addr } => vec![addr.addr],
            Target::Node { name, .. } => self.probe.addresses(name),
        }
    }

    /// To a server that runs already: that it accepts is all that is asked.
    fn tcp_connect(&self, from: &str, to: &Target, port: u16) -> Tried {
        let at = self.address(from, to)?.to_string();
        let run = self.run(from, &["tcpsource", "-n", "1", &at, &port.to_string()], Duration::ZERO)?;
        Ok(match run.status {
            0 => Attempt::Holds(format!("{at} port {port} accepts")),
            _ => Attempt::Fails(run.complaint()),
        })
    }

    fn tcp(&self, from: &str, to: &Target, octets: u64, rate: Option<u64>) -> Tried {
        let (listener, at) = (self.listener(to)?, self.address(from, to)?.to_string());
        let server = self.probe.serve(listener, &words(&["tcpsink", "-n", "1", "0"]), true)?;
        let (port, amount) = (server.port().to_string(), octets.max(1).to_string());
        // Room for 1 Mbit/s, however much it is, if the check does not say.
        let work = if self.until.is_some() { 0 } else { octets / 125_000 };
        let run = self.run(from, &["tcpsource", "-n", &amount, &at, &port], Duration::from_secs(work))?;
        if run.status != 0 {
            return Ok(Attempt::Fails(run.complaint()));
        }
        let arrived = server.finish(SETTLE).and_then(|run| run.json());
        let arrived = arrived.as_ref().and_then(|json| json["octets"].as_u64()).unwrap_or_default();
        if arrived != octets.max(1) {
            return Ok(Attempt::Fails(format!("{arrived} of {octets} octets arrived")));
        }
        let Some(bits) = run.json().and_then(|json| json["bits_per_second"].as_f64()) else {
            return Ok(Attempt::Broken("the source measured nothing".into()));
        };
        let seen = format!("{octets} octets, {:.1} Mbit/s", bits / 1e6);
        Ok(match rate {
            Some(least) if bits < least as f64 => {
                Attempt::Fails(format!("{seen}, wanted at least {:.1} Mbit/s", least as f64 / 1e6))
            }
            _ => Attempt::Holds(seen),
        })
    }

    fn udp(&self, from: &str, to: &Target, port: Option<u16>, count: u32, size: u16, loss: f64) -> Tried {
        let at = self.address(from, to)?.to_string();
        let (datagrams, octets) = (count.to_string(), size.to_string());
        let work = Duration::from_millis(u64::from(count));
        let (run, received) = if let Some(port) = port {
            let run = self.run(
                from,
                &["rtt", "-c", &datagrams, "-s", &octets, "udp", &at, &port.to_string()],
                work,
            )?;
            let received = run.json().and_then(|json| json["received"].as_u64());
            (run, received)
        } else {
            let server = self.probe.serve(self.listener(to)?, &words(&["udpsink", "-n", "1", "0"]), true)?;
            let (port, rate) = (server.port().to_string(), DATAGRAM_RATE);
            let source = ["udpsource", "-n", &datagrams, "-l", &octets, "-r", rate, &at, &port];
            let run = self.run(from, &source, work)?;
            let received = run.json().and_then(|json| json["received"].as_u64());
            (run, received)
        };
        let Some(received) = received else { return Ok(Attempt::Fails(run.complaint())) };
        let lost = 1.0 - received as f64 / f64::from(count.max(1));
        let seen = format!("{received} of {count} datagrams arrived");
        Ok(if received == 0 || lost > loss + 1e-9 { Attempt::Fails(seen) } else { Attempt::Holds(seen) })
    }

    fn http(
        &self,
        from: &str,
        to: &Target,
        port: Option<u16>,
        path: &str,
        status: u16,
        body: &TextMatch,
    ) -> Tried {
        let address = self.address(from, to)?;
        let server = match port {
            Some(_) => None,
            None => Some(self.probe.serve(self.listener(to)?, &words(&["httpd", "0"]), false)?),
        };
        let port = port.or(server.as_ref().map(Server::port)).unwrap_or(80);
        let url = format!("http://{}{path}", authority(&address, port));
        // The body comes on the standard output, `get: 200 OK: …` on the standard error.
        let argv = words(&["get", "-b", "-w", "5", &url]);
        let run = self.probe.run(from, &argv, false, self.patience(Duration::ZERO, SILENCE))?;
        let code = run
            .err
            .lines()
            .find_map(|line| line.strip_prefix("get: ")?.split(' ').next()?.parse::<u16>().ok());
        Ok(match code {
            None => Attempt::Fails(run.complaint()),
            Some(code) if code != status => Attempt::Fails(format!("status {code}, wanted {status}")),
            Some(code) => match mismatch("the body", body, &run.out) {
                Some(why) => Attempt::Fails(format!("status {code}, {why}")),
                None => Attempt::Holds(format!("status {code}, {} octets", run.out.len())),
            },
        })
    }

    /// A host program, from its begin to its end; what it leaves behind ends with it.
    fn cmd(&self, node: &str, cmd: &[String], expect: &Output) -> Tried {
        let until = self.until.map(|until| until.max(self.probe.now() + LEAST));
        self.probe.cmd(node, cmd, expect, until)
    }

    fn route(
        &self,
        node: &str,
        to: IpNet,
        via: Option<IpAddr>,
        dev: Option<&str>,
        metric: Option<u32>,
    ) -> Tried {
        let rows = self.probe.show(node, Table::Route)?;
        let to_it: Vec<_> = rows.iter().filter(|row| destination(row) == Some(to.trunc())).collect();
        let fits = |row: &&&Value| {
            via.is_none_or(|via| text_of(row, "via").and_then(|text| text.parse().ok()) == Some(via))
                && dev.is_none_or(|dev| text_of(row, "dev") == Some(dev))
                && metric.is_none_or(|metric| row["metric"].as_u64() == Some(metric.into()))
        };
        Ok(match (to_it.iter().find(fits), to_it.first()) {
            (Some(row), _) => Attempt::Holds(route_text(row)),
            (None, Some(other)) => Attempt::Fails(format!("it is {}", route_text(other))),
            (None, None) => Attempt::Fails(format!("{node} has no route to {to}")),
        })
    }

    fn neigh(&self, kind: &CheckKind) -> Tried {
        let CheckKind::Neigh { node, to, dev, mac, state } = kind else {
            return Ok(Attempt::Broken("not a neighbour".into()));
        };
        let rows = self.probe.show(node, Table::Neigh)?;
        let wanted = self.all_of(to);
        let of_it: Vec<_> = rows
            .iter()
            .filter(|row| {
                let address = text_of(row, "address").and_then(|text| text.parse().ok());
                address.is_some_and(|address| wanted.contains(&address))
            })
            .collect();
        let state = state.as_ref().and_then(|state| serde_json::to_value(state).ok());
        let fits = |row: &&&Value| {
            dev.as_deref().is_none_or(|dev| text_of(row, "dev") == Some(dev))
                && mac.is_none_or(|mac| {
                    text_of(row, "mac").is_some_and(|text| text.eq_ignore_ascii_case(&mac.to_string()))
                })
                && state.as_ref().and_then(Value::as_str).is_none_or(|state| {
                    text_of(row, "state").is_some_and(|text| text.eq_ignore_ascii_case(state))
                })
        };
        let words = |row: &Value| {
            let part = |key| text_of(row, key).unwrap_or("-");
            format!("{} dev {} mac {} {}", part("address"), part("dev"), part("mac"), part("state"))
        };
        Ok(match (of_it.iter().find(fits), of_it.first()) {
            (Some(row), _) => Attempt::Holds(words(row)),
            (None, Some(other)) => Attempt::Fails(format!("it is {}", words(other))),
            (None, None) => Attempt::Fails(format!("{node} knows no neighbour {to}")),
        })
    }

    fn counter(&self, of: &CounterOf, name: &str) -> Result<Option<u64>, Fault> {
        match of {
            CounterOf::Node(node) => {
                let rows = self.probe.show(node, Table::Stats)?;
                // `tcp.retransSegs` is RFC 4022's tcpRetransSegs.
                let joined = name.replace('.', "");
                let is_it = |row: &&Value| {
                    let (Some(group), Some(own)) = (text_of(row, "group"), text_of(row, "name")) else {
                        return false;
                    };
                    [name, &joined].iter().any(|name| own.eq_ignore_ascii_case(name))
                        || format!("{group}.{own}").eq_ignore_ascii_case(name)
                };
                let values: Vec<u64> =
                    rows.iter().filter(is_it).filter_map(|row| row["value"].as_u64()).collect();
                Ok((!values.is_empty()).then(|| values.iter().sum()))
            }
            CounterOf::Bus(bus) => self.probe.bus_counter(bus, name.trim_start_matches("bus.")),
        }
    }
}

/// Whether what was seen on the wires is what was wanted. Frames that went by unseen leave it open, unless more frames
/// would change nothing.
fn verdict(seen: &Seen, bound: &Bound) -> Attempt {
    let Seen { frames: n, missed } = seen;
    let (holds, want) = (bound.holds(*n), wanted(bound.min, bound.max));
    let settled = if holds { bound.max.is_none() } else { *n >= bound.min };
    match missed.first() {
        Some((bus, _)) if !settled => {
            let records: u64 = missed.iter().map(|(_, records)| records).sum();
            let others = if missed.len() > 1 { ", …" } else { "" };
            Attempt::Broken(format!(
                "{}, wanted {want}, but {} went by unseen on `{bus}`{others}: give it more `history`",
                frames(*n),
                frames(records),
            ))
        }
        _ if holds => Attempt::Holds(frames(*n)),
        _ => Attempt::Fails(format!("{}, wanted {want}", frames(*n))),
    }
}

/// Host and port in a URL; the mark before a zone is written as RFC 6874 has it.
fn authority(host: &Zoned, port: u16) -> String {
    match (&host.zone, host.addr) {
        (None, addr) => SocketAddr::new(addr, port).to_string(),
        (Some(zone), addr) => format!("[{addr}%25{zone}]:{port}"),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn frames(n: u64) -> String {
    if n == 1 { "1 frame".into() } else { format!("{n} frames") }
}

fn wanted(min: u64, max: Option<u64>) -> String {
    match max {
        Some(max) if max == min => max.to_string(),
        Some(max) if min == 0 => format!("at most {max}"),
        Some(max) => format!("{min} to {max}"),
        None => format!("at least {min}"),
    }
}

fn micros(us: f64) -> String {
    if us < 1000.0 { format!("{us:.0} us") } else { format!("{:.2} ms", us / 1000.0) }
}

fn text_of<'v>(row: &'v Value, key: &str) -> Option<&'v str> {
    row[key].as_str()
}

/// `to` of a route's row: a prefix, or `default`.
fn destination(row: &Value) -> Option<IpNet> {
    match text_of(row, "to")? {
        "default" => {
            let via: Option<IpAddr> = text_of(row, "via").and_then(|via| via.parse().ok());
            let any = if via.is_some_and(|via| via.is_ipv6()) { "::/0" } else { "0.0.0.0/0" };
            any.parse().ok()
        }
        text => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)),
    }
}

fn route_text(row: &Value) -> String {
    let mut text = text_of(row, "to").unwrap_or("?").to_owned();
    for key in ["via", "dev"] {
        if let Some(value) = text_of(row, key) {
            text.push_str(&format!(" {key} {value}"));
        }
    }
    match row["metric"].as_u64() {
        Some(metric) if metric > 0 => format!("{text} metric {metric}"),
        _ => text,
    }
}

/// The addresses of a path, hop by hop; `None` where nobody answered.
fn path(result: &Value) -> Vec<Option<IpAddr>> {
    let hops = result["hops"].as_array().map(Vec::as_slice).unwrap_or_default();
    let answer = |probe: &Value| probe["from"].as_str().and_then(|text| text.parse().ok());
    hops.iter().map(|hop| hop["probes"].as_array()?.iter().find_map(answer)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_in_urls() {
        let authority = |host: &str| authority(&host.parse().unwrap(), 80);
        assert_eq!(authority("10.0.0.1"), "10.0.0.1:80");
        assert_eq!(authority("fd00::1"), "[fd00::1]:80");
        assert_eq!(authority("fe80::1%eth0"), "[fe80::1%25eth0]:80");
    }

    #[test]
    fn destinations_of_routes() {
        let to = |row: Value| destination(&row).map(|net| net.to_string());
        assert_eq!(to(json!({"to": "10.0.0.0/8"})).unwrap(), "10.0.0.0/8");
        assert_eq!(to(json!({"to": "default", "via": "10.0.0.1"})).unwrap(), "0.0.0.0/0");
        assert_eq!(to(json!({"to": "default", "via": "fe80::1"})).unwrap(), "::/0");
        assert_eq!(to(json!({"to": "10.0.0.7"})).unwrap(), "10.0.0.7/32");
        assert_eq!(to(json!({"to": "x"})), None);
        assert_eq!(to(json!({})), None);
    }

    #[test]
    fn paths_with_and_without_answers() {
        let hop = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let result = json!({"hops": [
            {"ttl": 1, "probes": [{"from": "10.0.0.1"}]},
            {"ttl": 2, "probes": [{"from": null}]},
            {"ttl": 3, "probes": [{}, {"from": "10.0.1.2"}]},
        ]});
        assert_eq!(path(&result), [hop("10.0.0.1"), None, hop("10.0.1.2")]);
        assert_eq!(path(&json!({})), []);
    }

    #[test]
    fn frames_that_nobody_saw_decide_nothing() {
        let decide = |frames, missed: &[(&str, u64)], min, max| {
            let missed = missed.iter().map(|(bus, records)| ((*bus).to_owned(), *records)).collect();
            verdict(&Seen { frames, missed }, &Bound { min, max })
        };
        let holds = |frames: &str| Attempt::Holds(frames.into());
        assert_eq!(decide(2, &[], 2, None), holds("2 frames"));
        assert_eq!(decide(0, &[], 0, Some(0)), holds("0 frames"));
        assert_eq!(decide(1, &[], 2, None), Attempt::Fails("1 frame, wanted at least 2".into()));
        // There may have been more.
        for (frames, min, max) in [(1, 2, None), (0, 0, Some(0)), (2, 1, Some(3))] {
            let Attempt::Broken(text) = decide(frames, &[("lan", 7)], min, max) else { panic!("{frames}") };
            assert!(text.contains("7 frames went by unseen on `lan`: give"), "{text}");
        }
        // More would not change it.
        assert_eq!(decide(2, &[("lan", 7)], 2, None), holds("2 frames"));
        assert_eq!(decide(4, &[("lan", 7)], 0, Some(3)), Attempt::Fails("4 frames, wanted at most 3".into()));
    }

    #[test]
    fn bounds_in_words() {
        assert_eq!(wanted(0, Some(0)), "0");
        assert_eq!(wanted(1, None), "at least 1");
        assert_eq!(wanted(0, Some(5)), "at most 5");
        assert_eq!(wanted(2, Some(5)), "2 to 5");
    }
}
