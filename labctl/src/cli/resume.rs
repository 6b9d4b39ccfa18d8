//! `labctl resume NODE…`: lets paused nodes go on.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::node;

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    node::pause(&running::lab(global)?, &args.nodes, false)?;
    Ok(Exit::Done)
}
