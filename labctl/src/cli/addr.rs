//! `labctl addr add|del NODE:IF ADDRESS/LENGTH`: the addresses of a running node.

use super::{Exit, Failure, Global, Output, link, running};
use ipnet::IpNet;
use rumpkern::ctl::proto::Change;

/// What becomes of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The interface has it
    Add,
    /// The interface has it no more
    Del,
}

/// Arguments of `addr`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What becomes of it
    what: What,
    /// The interface
    #[arg(value_name = "NODE:IF")]
    port: String,
    /// The address, with the length of its prefix
    #[arg(value_name = "ADDRESS/LENGTH")]
    address: IpNet,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    let (node, interface) = link::parse(&session, &args.port)?;
    let change = match args.what {
        What::Add => Change::Add(args.address),
        What::Del => Change::Del(args.address),
    };
    let mut client = session.connect(node)?;
    client
        .addr(interface, change)
        .map_err(|error| crate::lab::node::fault(session.dir.name(), node, error))?;
    Ok(Exit::Done)
}
