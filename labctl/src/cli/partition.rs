//! `labctl partition BUS NODE,NODE… …`: parts a bus into groups that do not hear each other.

use super::{Exit, Failure, Global, Output, running};
use crate::lab::deeds::{Deed, PortOn, partition};
use crate::lab::view;
use rumpkern::config::mac_text;

/// Arguments of `partition`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bus
    bus: String,
    /// Nodes that hear each other, with commas between them; those that no group names are one together. Without a
    /// group the bus is whole again
    #[arg(value_name = "NODE,NODE…")]
    groups: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, _: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    let state = &session.state;
    view::alive(&session.dir)?;
    state.expect_bus(&args.bus)?;
    let groups: Vec<Vec<String>> =
        args.groups.iter().map(|group| group.split(',').map(str::to_owned).collect()).collect();
    let mut named = std::collections::BTreeSet::new();
    for node in groups.iter().flatten() {
        state.expect_node(node)?;
        if !named.insert(node) {
            let message = format!("`{node}` is named twice");
            return Err(Failure::usage(message, "a node is in one group".to_owned()));
        }
    }
    let mut ports = Vec::new();
    for node in &state.nodes {
        for one in node.interfaces.iter().filter(|one| one.bus == args.bus) {
            let mac = mac_text::parse(&one.mac);
            ports.extend(mac.map(|mac| PortOn { node: &node.name, interface: &one.name, mac }));
        }
    }
    for deed in partition(&ports, &groups) {
        let Deed::Ask { node, op } = deed else { continue };
        // A node that is down hears nobody as it is.
        if view::running_node(&session.dir, state, &node).is_err() {
            continue;
        }
        let mut client = session.connect(&node)?;
        client.call(op).map_err(|error| crate::lab::node::fault(session.dir.name(), &node, error))?;
    }
    Ok(Exit::Done)
}
