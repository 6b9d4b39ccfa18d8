//! `labctl link up|down|flap NODE:IF`: pulls a cable, or puts it back, or both.

use super::{Exit, Failure, Global, Output, number, running};
use crate::lab::interrupt::Interrupt;
use std::time::{Duration, Instant};

/// What becomes of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Change {
    /// The interface is on its bus
    Up,
    /// No frame in or out
    Down,
    /// Down, and up again after a while
    Flap,
}

/// Arguments of `link`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What becomes of it
    change: Change,
    /// The interfaces
    #[arg(value_name = "NODE:IF", required = true)]
    ports: Vec<String>,
    /// How long a flap lasts
    #[arg(long = "for", value_name = "S", default_value_t = 1.0, value_parser = number::seconds)]
    hold: f64,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    let ports = args.ports.iter().map(|port| parse(&session, port)).collect::<Result<Vec<_>, _>>()?;
    let set = |up| {
        for (node, interface) in &ports {
            let mut client = session.connect(node)?;
            client
                .link(interface, up)
                .map_err(|error| crate::lab::node::fault(session.dir.name(), node, error))?;
        }
        Ok::<_, Failure>(())
    };
    set(args.change == Change::Up)?;
    if args.change == Change::Flap {
        // Ctrl-C ends the wait, not the flap.
        Interrupt::catch()?.wait(None, Some(Instant::now() + Duration::from_secs_f64(args.hold)))?;
        set(true)?;
    }
    Ok(Exit::Done)
}

/// The node and the interface that `NODE:IF` names.
pub(super) fn parse<'p>(session: &crate::lab::session::Session, port: &'p str) -> Result<(&'p str, &'p str), Failure> {
    let Some((node, interface)) = port.split_once(':') else {
        return Err(Failure::usage(format!("`{port}` is not NODE:IF"), format!("write {port}:eth0")));
    };
    session.state.expect_node(node)?.expect_interface(&session.state.lab, interface)?;
    Ok((node, interface))
}
