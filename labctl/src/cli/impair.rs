//! `labctl impair set|show|reset BUS|NODE:IF`: what wires do to frames, from now on.

use super::{Exit, Failure, Global, Output, running};
use crate::capture::names::Names;
use crate::lab::impair;
use crate::lab::session::Session;
use crate::topology::model::Impair;
use rumpkern::ifs::impairment::Impairment;
use serde_json::json;
use std::io::Write;

/// What is done.
#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Impair wires; what is not named no longer happens
    #[command(after_help = "Words are those of the topology and of tc: a preset, or keys and values.\n\n  \
        labctl impair set wan delay 20ms jitter 2ms loss 1%\n  \
        labctl impair set h1:eth0 mobile-4g\n  labctl impair set wan rate 10mbit queue 64kB aqm fq-codel")]
    Set {
        /// A bus (all that leave by it), or one port
        #[arg(value_name = "BUS|NODE:IF")]
        wire: String,
        /// A preset, or keys and values
        #[arg(required = true, value_name = "PRESET|KEY VALUE")]
        words: Vec<String>,
    },
    /// Say what wires do
    Show {
        /// Buses or ports; none: all of the lab
        #[arg(value_name = "BUS|NODE:IF")]
        wires: Vec<String>,
    },
    /// Back to what the topology says
    Reset {
        /// Buses or ports
        #[arg(value_name = "BUS|NODE:IF", required = true)]
        wires: Vec<String>,
    },
}

/// Arguments of `impair`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// Words of the command line, of which one may hold several; a filter is one.
fn split(typed: &[String]) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in typed {
        match words.last().is_some_and(|last| Impair::takes_filter(last)) {
            true => words.push(word),
            false => words.extend(word.split_whitespace()),
        }
    }
    words
}

/// A port of a running lab.
struct Port<'s> {
    bus: &'s str,
    node: &'s str,
    interface: &'s str,
    /// What the topology says.
    written: Option<&'s Impairment>,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    match args.verb {
        Verb::Set { wire, words } => {
            let words = split(&words);
            let names = Names::of_lab(&session.state);
            let wanted = Impair::default()
                .with_words(&words)
                .map_err(|fault| Failure::usage(fault, "write delay 20ms loss 1%, or a preset".to_owned()))?;
            for port in ports(&session, &wire)? {
                let seed = impair::wire_seed(session.state.seed, port.bus, port.node, port.interface);
                ask(&session, &port, Some(impair::impairment(&wanted, seed, &names)?))?;
            }
        }
        Verb::Reset { wires } => {
            for wire in &wires {
                for port in ports(&session, wire)? {
                    let seed = impair::wire_seed(session.state.seed, port.bus, port.node, port.interface);
                    let nothing = Impairment { seed, ..Impairment::default() };
                    ask(&session, &port, Some(port.written.cloned().unwrap_or(nothing)))?;
                }
            }
        }
        Verb::Show { wires } => {
            let shown = match wires.is_empty() {
                true => all(&session),
                false => {
                    let each = wires.iter().map(|wire| ports(&session, wire));
                    each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
                }
            };
            let mut rows = Vec::new();
            for port in shown {
                let now = ask(&session, &port, None)?;
                let words = now.as_ref().map(impair::words);
                if global.json {
                    let mut row = json!({ "node": port.node, "if": port.interface, "bus": port.bus });
                    row["impair"] = json!(words);
                    rows.push(row);
                } else if let Some(words) = words {
                    writeln!(out, "{}:{}@{}  {words}", port.node, port.interface, port.bus)?;
                }
            }
            if global.json {
                out.json(&rows)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn ask(session: &Session, port: &Port<'_>, set: Option<Impairment>) -> Result<Option<Impairment>, Failure> {
    let mut client = session.connect(port.node)?;
    let done = client.impair(port.interface, set);
    Ok(done.map_err(|error| crate::lab::node::fault(session.dir.name(), port.node, error))?)
}

/// All ports of the lab.
fn all(session: &Session) -> Vec<Port<'_>> {
    let ports = session.state.nodes.iter().flat_map(|node| {
        node.interfaces.iter().map(move |one| Port {
            bus: &one.bus,
            node: &node.name,
            interface: &one.name,
            written: one.impair.as_ref(),
        })
    });
    ports.collect()
}

/// The ports that a word names: one, or all of a bus.
fn ports<'s>(session: &'s Session, wire: &str) -> Result<Vec<Port<'s>>, Failure> {
    if let Some((node, interface)) = wire.split_once(':') {
        session.state.expect_node(node)?.expect_interface(&session.state.lab, interface)?;
        let one = |port: &Port<'_>| (port.node, port.interface) == (node, interface);
        return Ok(all(session).into_iter().filter(one).collect());
    }
    session.state.expect_bus(wire)?;
    Ok(all(session).into_iter().filter(|port| port.bus == wire).collect())
}
