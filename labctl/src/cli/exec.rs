//! `labctl exec NODE -- CMD…`: an unmodified host program on a node.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::{doctor, exec, view};
use rumphijack::{Report, Status};
use std::ffi::OsString;

/// Exit status when `labctl` itself failed.
const OURSELVES: u8 = 125;

/// Arguments of `exec`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node
    node: String,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args, global: &Global, _out: &mut Output) -> Result<Exit, Failure> {
    program(&args.node, &args.command, &[], global)
}

/// Runs a program on a node, in the terminal, with these variables besides its environment; how it ended.
pub(super) fn program(
    node: &str,
    command: &[OsString],
    environment: &[(String, OsString)],
    global: &Global,
) -> Result<Exit, Failure> {
    let dir = running::lab(global)?;
    let state = view::started(&dir)?;
    state.expect_node(node)?;
    view::running_node(&dir, &state, node)?;
    let report = exec::foreground(&dir.node(node), command, environment)?;
    let name = || command[0].to_string_lossy().into_owned();
    Ok(match report {
        Report::Ended(Status::Exited(code)) => Exit::Program(code as u8),
        // As a shell has it.
        Report::Ended(Status::Signalled(signal)) => Exit::Program((128 + signal) as u8),
        Report::NotExecuted { code, why } => {
            eprintln!("labctl: {}: {why}", name());
            Exit::Program(code)
        }
        Report::NoNode(why) => {
            eprintln!("labctl: {node}: {why}");
            Exit::Program(OURSELVES)
        }
        Report::Refused(why) => return Err(doctor::no_programs(&why).into()),
        Report::Began(_) | Report::Stopped => Exit::Program(OURSELVES),
    })
}
