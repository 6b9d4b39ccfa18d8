//! `labctl kill NODE…`: ends nodes without a warning, as a power cut would.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::node::{self, End};

/// Arguments of `kill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let dir = running::lab(global)?;
    node::end(&dir, &args.nodes, End::Kill)?;
    Ok(Exit::Done)
}
