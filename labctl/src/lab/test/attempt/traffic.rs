//! Checks that send: programs on nodes, and what they say.
//!
//! Where the check itself has to listen (`tcp`, `udp`, `http` without `port`, `throughput`) the server runs on the target for as
//! long as the try, on a port that the node chooses.

use super::{Attempt, Bench, LEAST, SILENCE, Tried, words};
use crate::lab::judge::mismatch;
use crate::lab::test::probe::{Probe, Server};
use crate::topology::model::{CheckKind, Proto, Rate, Target, TextMatch, Zoned};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a server may take to see that its client is done.
const SETTLE: Duration = Duration::from_secs(3);
/// Datagrams a second of a `udp` check: far below what any node takes, so that what is lost is lost by the network.
const DATAGRAM_RATE: &str = "1000";
/// Seconds between the requests of who waits for an answer to begin: what `convergence` is measured in.
const OFTEN: &str = "0.01";

impl<P: Probe> Bench<'_, P> {
    pub(super) fn ping(&self, kind: &CheckKind) -> Tried {
        let CheckKind::Ping { from, to, count, interval, size, ttl, loss, rtt } = kind else {
            return Ok(Attempt::Broken("not a ping".into()));
        };
        let address = self.address(from, to)?.to_string();
        let (requests, octets) = (count.to_string(), size.to_string());
        let every = interval.0.as_secs_f64().to_string();
        let ttl = ttl.map(|ttl| ttl.to_string());
        if self.hurry {
            return self.ping_until(from, &address, *count, &octets);
        }
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

    /// Asks again and again until there were so many answers.
    fn ping_until(&self, from: &str, address: &str, count: u32, octets: &str) -> Tried {
        let left = self.until.map_or(SILENCE, |until| until.saturating_sub(self.probe.now())).max(LEAST);
        let (count, left) = (count.to_string(), left.as_secs_f64().to_string());
        let words = ["ping", "-n", "-c", &count, "-i", OFTEN, "-w", &left, "-s", octets, address];
        let run = self.run(from, &words, Duration::ZERO)?;
        let Some(result) = run.json() else { return Ok(Attempt::Fails(run.complaint())) };
        let seen = format!("{} of {} answered", result["received"], result["transmitted"]);
        Ok(if run.status == 0 { Attempt::Holds(seen) } else { Attempt::Fails(seen) })
    }

    pub(super) fn trace(&self, from: &str, to: &Target, via: Option<&[Target]>, hops: Option<u8>) -> Tried {
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
    pub(super) fn all_of(&self, target: &Target) -> Vec<IpAddr> {
        match target {
            Target::Addr { addr } => vec![addr.addr],
            Target::Node { name, .. } => self.probe.addresses(name),
        }
    }

    /// To a server that runs already: that it accepts is all that is asked.
    pub(super) fn tcp_connect(&self, from: &str, to: &Target, port: u16) -> Tried {
        let at = self.address(from, to)?.to_string();
        let run = self.run(from, &["tcpsource", "-n", "1", &at, &port.to_string()], Duration::ZERO)?;
        Ok(match run.status {
            0 => Attempt::Holds(format!("{at} port {port} accepts")),
            _ => Attempt::Fails(run.complaint()),
        })
    }

    pub(super) fn tcp(&self, from: &str, to: &Target, octets: u64, rate: Option<u64>) -> Tried {
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

    pub(super) fn udp(
        &self,
        from: &str,
        to: &Target,
        port: Option<u16>,
        count: u32,
        size: u16,
        loss: f64,
    ) -> Tried {
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

    pub(super) fn http(
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

    pub(super) fn throughput(&self, kind: &CheckKind) -> Tried {
        let CheckKind::Throughput { from, to, proto, time, rate, size, min, max } = kind else {
            return Ok(Attempt::Broken("not a throughput".into()));
        };
        let (listener, at) = (self.listener(to)?, self.address(from, to)?.to_string());
        let (seconds, octets) = (time.0.as_secs_f64().to_string(), size.to_string());
        let bits = match proto {
            Proto::Tcp => {
                let server = self.probe.serve(listener, &words(&["tcpsink", "-n", "1", "0"]), true)?;
                let port = server.port().to_string();
                let run = self.run(from, &["tcpsource", "-t", &seconds, &at, &port], time.0)?;
                let json = run.json().filter(|_| run.status == 0);
                let Some(json) = json else { return Ok(Attempt::Fails(run.complaint())) };
                json["bits_per_second"].as_f64()
            }
            Proto::Udp => {
                let server = self.probe.serve(listener, &words(&["udpsink", "-n", "1", "0"]), true)?;
                let (port, every) =
                    (server.port().to_string(), (rate.0 as f64 / 8.0 / f64::from(*size)).to_string());
                let source = ["udpsource", "-t", &seconds, "-l", &octets, "-r", &every, &at, &port];
                let run = self.run(from, &source, time.0)?;
                if run.json().is_none() {
                    return Ok(Attempt::Fails(run.complaint()));
                }
                // What came, in the time in which it came: queues on the way go on for longer than the source.
                let sink = server.finish(SETTLE).and_then(|run| run.json());
                sink.and_then(|json| json["bits_per_second"].as_f64()).or(Some(0.0))
            }
        };
        let Some(bits) = bits else { return Ok(Attempt::Broken("the source measured nothing".into())) };
        let seen = format!("{:.2} Mbit/s", bits / 1e6);
        let too = |than: &Rate, word| {
            Ok(Attempt::Fails(format!("{seen}, wanted at {word} {:.2} Mbit/s", than.0 as f64 / 1e6)))
        };
        match (min, max) {
            (Some(min), _) if bits < min.0 as f64 => too(min, "least"),
            (_, Some(max)) if bits > max.0 as f64 => too(max, "most"),
            _ => Ok(Attempt::Holds(seen)),
        }
    }
}

/// Host and port in a URL; the mark before a zone is written as RFC 6874 has it.
fn authority(host: &Zoned, port: u16) -> String {
    match (&host.zone, host.addr) {
        (None, addr) => SocketAddr::new(addr, port).to_string(),
        (Some(zone), addr) => format!("[{addr}%25{zone}]:{port}"),
    }
}

fn micros(us: f64) -> String {
    if us < 1000.0 { format!("{us:.0} us") } else { format!("{:.2} ms", us / 1000.0) }
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
}
