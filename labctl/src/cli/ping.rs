//! `labctl ping FROM TO`: the node's own ping.

use super::family::Families;
use super::{Exit, Failure, Global, Output, number, running};
use crate::lab::session::Patience;
use rumpkern::ctl;
use std::io::Write;

/// Arguments of `ping`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node that asks
    from: String,
    /// A node, NODE:IF or an address; `fe80::1%eth0` on one link
    to: String,
    /// Stop after so many requests
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Seconds between requests
    #[arg(short, long, value_name = "S", value_parser = number::seconds)]
    interval: Option<f64>,
    /// The next request follows the reply: one is under way at a time
    #[arg(short = 'A', long)]
    adaptive: bool,
    /// Octets of data
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(..=i64::from(number::MOST_PAYLOAD)))]
    size: Option<u16>,
    /// Routers that a request may pass (64 if left out)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,
    /// Seconds to wait for the last answer
    #[arg(short = 'W', long, value_name = "S", value_parser = number::seconds)]
    wait: Option<f64>,
    #[command(flatten)]
    families: Families,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    session.state.expect_node(&args.from)?;
    let to = session.resolve(&args.from, &args.to, args.families.only())?;
    let mut argv = vec!["ping".to_owned(), "-c".to_owned(), args.count.to_string()];
    let options = [
        ("-i", args.interval.map(|seconds| seconds.to_string())),
        ("-s", args.size.map(|octets| octets.to_string())),
        ("-t", args.ttl.map(|ttl| ttl.to_string())),
        ("-W", args.wait.map(|seconds| seconds.to_string())),
    ];
    for (flag, value) in options {
        argv.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    argv.extend(args.adaptive.then(|| "-A".to_owned()));
    argv.push(to.to_string());
    program(&session, &args.from, &argv, global.json, out)
}

/// Runs a program on a node; its output is ours.
pub(super) fn program(
    session: &crate::lab::session::Session,
    node: &str,
    argv: &[String],
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let status = running::attended(session, |session| {
        session.stream(node, argv, json, Patience::Endless, |output| {
            // A reader that went away is found at the end.
            let _ = match output {
                ctl::Output::Out(text) => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
                ctl::Output::Err(text) => std::io::stderr().write_all(text.as_bytes()),
            };
        })
    })?;
    Ok(if status == 0 { Exit::Done } else { Exit::Failed })
}
