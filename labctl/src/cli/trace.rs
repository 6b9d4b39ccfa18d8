//! `labctl trace FROM TO`: the node's own traceroute.

use super::family::Families;
use super::{Exit, Failure, Global, Output, number, ping, running};

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node that asks
    from: String,
    /// A node, NODE:IF or an address; `fe80::1%eth0` on one link
    to: String,
    /// Probes a hop
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10))]
    queries: u64,
    /// Most hops
    #[arg(short, long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=255))]
    max_hops: u64,
    /// Seconds to wait for an answer
    #[arg(short, long, value_name = "S", default_value_t = 1.0, value_parser = number::seconds)]
    wait: f64,
    #[command(flatten)]
    families: Families,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    session.state.expect_node(&args.from)?;
    let to = session.resolve(&args.from, &args.to, args.families.only())?;
    let (queries, hops, wait) = (args.queries.to_string(), args.max_hops.to_string(), args.wait.to_string());
    let argv: Vec<String> =
        ["traceroute", "-q", &queries, "-m", &hops, "-w", &wait, &to.to_string()].map(str::to_owned).into();
    ping::program(&session, &args.from, &argv, global.json, out)
}
