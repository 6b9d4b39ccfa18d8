//! `labctl start NODE…`: starts nodes that are stopped or dead, from their configs.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::interrupt::Interrupt;
use crate::lab::node;

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let dir = running::lab(global)?;
    node::start(&dir, &args.nodes, &Interrupt::catch()?)?;
    Ok(Exit::Done)
}
