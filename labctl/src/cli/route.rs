//! `labctl route add|del NODE DESTINATION …`: the routes of a running node.

use super::{Exit, Failure, Global, Output, running};
use crate::topology::route_words;
use rumpkern::ctl::proto::Change;

/// What becomes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The node has it
    Add,
    /// The node has it no more
    Del,
}

/// Arguments of `route`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What becomes of it
    what: What,
    /// The node
    node: String,
    /// A prefix or "default", then via GATEWAY, dev IF, metric N
    #[arg(required = true, value_name = "DESTINATION")]
    route: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    session.state.expect_node(&args.node)?;
    let words: Vec<&str> = args.route.iter().map(String::as_str).collect();
    let route = route_words(&words)
        .map_err(|fault| Failure::usage(fault, "for example 10.1.0.0/16 via 10.0.0.1".to_owned()))?;
    let change = match args.what {
        What::Add => Change::Add(route),
        What::Del => Change::Del(route),
    };
    let mut client = session.connect(&args.node)?;
    client.route(change).map_err(|error| crate::lab::node::fault(session.dir.name(), &args.node, error))?;
    Ok(Exit::Done)
}
