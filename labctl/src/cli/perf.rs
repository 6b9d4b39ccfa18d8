//! `labctl perf tcp|udp|rtt|conn FROM TO`: a source on one node, a sink or echo on the other, one result.

mod conn;

use super::family::Families;
use super::{Exit, Failure, Global, Output, number, running};
use crate::lab::fault::Fault;
use crate::lab::session::{Patience, Run, Session};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// How long the sink may take after the source is done.
const SETTLE: Duration = Duration::from_secs(5);

/// Seconds that a connection may take: a lost SYN is sent again after 1, 3 and 7.
const CONNECT_WAIT: &str = "10";

/// Octets of the number and the time in each datagram of `udpsource`.
const UDP_HEADER: u64 = 16;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// Throughput of one TCP stream
    Tcp,
    /// Datagrams a second, and how many are lost
    Udp,
    /// Round trips of one octet over TCP
    Rtt,
    /// TCP connections opened and closed, or held
    Conn,
}

/// Arguments of `perf`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure
    measure: Measure,
    /// The node that sends
    from: String,
    /// The node that receives: NODE or NODE:IF
    to: String,
    /// How long, in seconds
    #[arg(short, long, value_name = "S", default_value_t = 2.0, value_parser = number::seconds)]
    time: f64,
    /// Topology file; `-t` is the time here
    // Of the same name as the global option: it stands in its place.
    #[arg(id = "topology", long, value_name = "FILE")]
    _topology: Option<std::path::PathBuf>,
    /// Octets of a write, a datagram or a message
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    length: Option<u64>,
    /// Datagrams a second; as fast as it goes if left out
    #[arg(short, long, value_name = "N", value_parser = number::rate)]
    rate: Option<f64>,
    /// Round trips over UDP instead of TCP
    #[arg(short, long)]
    udp: bool,
    /// Connections under way at a time
    #[arg(short = 'P', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    parallel: Option<u32>,
    /// Open so many connections and hold them idle for the time; tells what they weigh and cost
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=130_000))]
    hold: Option<u32>,
    #[command(flatten)]
    families: Families,
}

impl Args {
    /// Refuses what cannot be said of what is measured.
    fn check(&self) -> Result<(), Failure> {
        let many = [("--parallel", self.parallel), ("--hold", self.hold)];
        if self.measure != Measure::Conn
            && let Some((option, _)) = many.iter().find(|(_, value)| value.is_some())
        {
            let message = format!("{option} is about many connections");
            return Err(Failure::usage(message, "`labctl perf conn` measures them".to_owned()));
        }
        let payload = u64::from(number::MOST_PAYLOAD);
        let (least, most) = match self.measure {
            Measure::Tcp => (1, 16 << 20),
            Measure::Udp => (UDP_HEADER, payload),
            Measure::Rtt => (1, payload),
            // They bring nothing.
            Measure::Conn => (0, 0),
        };
        match self.length {
            Some(length) if !(least..=most).contains(&length) => {
                let message = format!("--length {length} is not from {least} to {most}");
                Err(Failure::usage(message, "leave it out for the usual one".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn over_tcp(&self) -> bool {
        match self.measure {
            Measure::Tcp | Measure::Conn => true,
            Measure::Udp => false,
            Measure::Rtt => !self.udp,
        }
    }
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    args.check()?;
    let session = running::session(global)?;
    session.state.expect_node(&args.from)?;
    let to = args.to.split(':').next().unwrap_or_default();
    session.state.expect_node(to)?;
    let address = session.resolve(&args.from, &args.to, args.families.only())?.to_string();
    if args.measure == Measure::Conn {
        return conn::run(&args, &session, to, &address, global.json, out);
    }
    let measured = |session: &Session| measure(session, &args, to, &address, global.json, |_| ());
    let (source, sink) = running::attended(&session, measured)?;
    // A program that failed and has nothing to complain about has measured: that all was lost.
    let failed = source.status != 0;
    if failed && !source.err.trim().is_empty() {
        return Err(Failure::Work(anyhow::anyhow!("{}", why(&source, &args.to, &address))));
    }
    let exit = if failed { Exit::Failed } else { Exit::Done };
    if !global.json {
        write!(out, "{}", source.out)?;
        // What a sink of datagrams has counted, the source has asked it for.
        if let Some(sink) = sink.filter(|_| args.measure == Measure::Tcp) {
            write!(out, "{to} received from {}", sink.out)?;
        }
        return Ok(exit);
    }
    let Some(result) = source.json() else {
        return Err(Failure::Work(anyhow::anyhow!("the source measured nothing: {}", source.out.trim())));
    };
    out.json(&merged(args.measure, result, sink.and_then(|sink| sink.json())))?;
    Ok(exit)
}

/// Runs both ends; `heard` is told what the source has written so far, each time it writes.
fn measure(
    session: &Session,
    args: &Args,
    to: &str,
    address: &str,
    json: bool,
    mut heard: impl FnMut(&Run),
) -> Result<(Run, Option<Run>), Fault> {
    let transport = if args.over_tcp() { "tcp" } else { "udp" };
    let server = match args.measure {
        Measure::Tcp => "tcpsink -n 1 0".to_owned(),
        Measure::Udp => "udpsink -n 1 0".to_owned(),
        Measure::Rtt => format!("echo {transport} 0"),
        Measure::Conn => conn::sink(args),
    };
    let server: Vec<String> = server.split(' ').map(str::to_owned).collect();
    let server = session.serve(to, &server, json)?;
    let mut argv = vec!["-t".to_owned(), args.time.to_string()];
    let mut option = |flag: &str, value: Option<String>| {
        argv.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    };
    option("-w", args.over_tcp().then(|| CONNECT_WAIT.to_owned()));
    let length = args.length.map(|octets| octets.to_string());
    let mut port = server.port.to_string();
    let program = match args.measure {
        Measure::Tcp => {
            option("-l", length);
            "tcpsource"
        }
        Measure::Udp => {
            option("-l", length);
            option("-r", args.rate.map(|rate| rate.to_string()));
            "udpsource"
        }
        Measure::Rtt => {
            option("-s", length);
            argv.push(transport.to_owned());
            "rtt"
        }
        Measure::Conn => {
            option("-P", args.parallel.map(|n| n.to_string()));
            option("-n", args.hold.map(|n| n.to_string()));
            argv.extend(args.hold.map(|_| "-k".to_owned()));
            port = conn::ports(args, server.port);
            "connsource"
        }
    };
    argv.insert(0, program.to_owned());
    argv.extend([address.to_owned(), port]);
    // The connection, the time itself, and what then lies in buffers: `tcpsource` gives that as long again, or 10 s.
    // Held connections are opened before, and let go afterwards.
    let time = Duration::try_from_secs_f64(args.time).unwrap_or_default().min(Duration::from_secs(1 << 30));
    let patience = 2 * time + Duration::from_secs(30);
    let mut source = Run::default();
    source.status = session.stream(&args.from, &argv, json, Patience::Silence(patience), |output| {
        source.keep(output);
        heard(&source);
    })?;
    let sink = match args.measure {
        Measure::Tcp | Measure::Udp if source.status == 0 => server.finish(SETTLE),
        Measure::Tcp | Measure::Udp => None,
        // The other end has reset what was held: a sink that is ended before it knows would close what is no more.
        Measure::Conn if conn::held_all(&source) => server.finish(SETTLE),
        // These have no end of their own.
        Measure::Rtt | Measure::Conn => None,
    };
    Ok((source, sink))
}

/// Why the source failed: a connection that was not made, in words that know whom the person meant.
fn why(source: &Run, to: &str, address: &str) -> String {
    let complaint = source.complaint();
    // `tcpsource: connect to 10.0.2.2:49152: no answer in 10s`
    match complaint.split_once(": connect to ").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, reason)) if to == address => format!("cannot connect to {address}: {reason}"),
        Some((_, reason)) => format!("cannot connect to {to} ({address}): {reason}"),
        None => complaint,
    }
}

/// The source's result with what only the sink can know.
fn merged(measure: Measure, mut source: Value, sink: Option<Value>) -> Value {
    let Some(result) = source.as_object_mut() else { return source };
    let from_sink = |key: &str| sink.as_ref().map_or(Value::Null, |sink| sink[key].clone());
    match measure {
        Measure::Tcp => {
            result.insert("received".into(), from_sink("octets"));
            for key in ["retransmits", "mss", "congestion_control"] {
                result.entry(key).or_insert(Value::Null);
            }
        }
        Measure::Udp => {
            for key in ["lost", "received"] {
                if result.get(key).is_none_or(Value::is_null) {
                    result.insert(key.into(), from_sink(key));
                }
            }
        }
        Measure::Rtt => {
            result.entry("rtt_us").or_insert(json!({}));
        }
        Measure::Conn => {}
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_could_not_be_reached_is_named() {
        let run = |err: &str| Run { status: 1, err: err.into(), ..Run::default() };
        let lost = run("rtt: connect to 10.0.2.2:49152: no answer in 10s\n");
        assert_eq!(why(&lost, "h2", "10.0.2.2"), "cannot connect to h2 (10.0.2.2): no answer in 10s");
        let refused = run("tcpsource: connect to [fd00::2]:49152: Connection refused\n");
        assert_eq!(why(&refused, "h2", "fd00::2"), "cannot connect to h2 (fd00::2): Connection refused");
        assert_eq!(why(&run("tcpsource: send: Broken pipe\n"), "h2", "10.0.2.2"), "tcpsource: send: Broken pipe");
    }

    #[test]
    fn the_sink_fills_in_what_the_source_cannot_know() {
        let tcp = merged(Measure::Tcp, json!({"octets": 10, "mss": 1448}), Some(json!({"octets": 9})));
        assert_eq!(tcp, json!({"octets": 10, "mss": 1448, "received": 9, "retransmits": null, "congestion_control": null}));
        let udp = merged(Measure::Udp, json!({"lost": null, "received": 3}), Some(json!({"lost": 2, "received": 8})));
        assert_eq!(udp, json!({"lost": 2, "received": 3}));
    }
}
