//! `labctl link up|down NODE:IF`: pulls a cable, or puts it back.

use super::{Exit, Failure, Global, Output, running};

/// What becomes of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Change {
    /// The interface is on its bus
    Up,
    /// No frame in or out
    Down,
}

/// Arguments of `link`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What becomes of it
    change: Change,
    /// The interfaces
    #[arg(value_name = "NODE:IF", required = true)]
    ports: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    let ports = args.ports.iter().map(|port| parse(&session, port)).collect::<Result<Vec<_>, _>>()?;
    for (node, interface) in ports {
        let mut client = session.connect(node)?;
        client
            .link(interface, args.change == Change::Up)
            .map_err(|error| crate::lab::node::fault(session.dir.name(), node, error))?;
    }
    Ok(Exit::Done)
}

fn parse<'p>(session: &crate::lab::session::Session, port: &'p str) -> Result<(&'p str, &'p str), Failure> {
    let Some((node, interface)) = port.split_once(':') else {
        return Err(Failure::usage(format!("`{port}` is not NODE:IF"), format!("write {port}:eth0")));
    };
    session.state.expect_node(node)?.expect_interface(&session.state.lab, interface)?;
    Ok((node, interface))
}
