//! The command line: one file a verb, one place that prints errors, one place that exits.
//!
//! A new verb is a file with `Args` (derived from clap's) and `run`, and a row in the `verbs!` table below.

mod error;
mod family;
mod global;
mod number;
mod output;
mod running;
mod wire;

pub use error::{Exit, Failure};
pub use global::Global;
pub use output::Output;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Declares the verbs: their modules, their clap variants and their dispatch.
macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident = $module:ident,)*) => {
        $(pub mod $module;)*

        #[derive(Debug, Subcommand)]
        enum Verb { $($(#[$doc])* $variant($module::Args),)* }

        fn dispatch(verb: Verb, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
            match verb { $(Verb::$variant(args) => $module::run(args, global, out),)* }
        }
    };
}

verbs! {
    /// Start a lab and wait until every node is ready
    Up = up,
    /// Stop everything of a lab, also after a crash
    Down = down,
    /// Run the checks of topologies: up, checks, down
    Test = test,
    /// A lab in virtual time at a prompt: step it, look at it, change it
    Sim = sim,
    /// Show nodes, their state, addresses and processes
    Ps = ps,
    /// Live nodes, buses and counters
    Top = top,
    /// Run an unmodified program on a node
    Exec = exec,
    /// An interactive shell on a node
    Shell = shell,
    /// What programs and nodes wrote
    Logs = logs,
    /// Ping from a node
    Ping = ping,
    /// Trace the path of packets from a node
    Trace = trace,
    /// Measure throughput or round trips between two nodes
    Perf = perf,
    /// Show a node's addresses, routes, neighbours, sockets or counters
    Show = show,
    /// Show or change a node's TCP values
    Sysctl = sysctl,
    /// Pull the cable of an interface, or put it back
    Link = link,
    /// Delay, lose, spoil or slow frames on a wire
    Impair = impair,
    /// Part a bus into groups that do not hear each other
    Partition = partition,
    /// Add or remove an address of a node
    Addr = addr,
    /// Add or remove a route of a node
    Route = route,
    /// Run a built-in program on a node
    Run = run,
    /// Start nodes that are stopped or dead
    Start = start,
    /// Stop nodes cleanly
    Stop = stop,
    /// Kill nodes without a warning
    Kill = kill,
    /// Stop nodes and start them anew
    Restart = restart,
    /// Let nodes do nothing for a while
    Pause = pause,
    /// Let paused nodes go on
    Resume = resume,
    /// Validate a topology without touching anything
    Check = check,
    /// Draw the lab
    Graph = graph,
    /// Write a commented topology to begin with
    Init = init,
    /// Show what a bus remembers, or write it as pcapng; also of a dead lab
    Dump = dump,
    /// Follow a bus live: to the screen, to a file, or to Wireshark
    Capture = capture,
    /// Inspect buses
    Bus = bus,
    /// Put the frames of capture files onto a bus
    Replay = replay,
    /// Make buses appear in Wireshark's list of interfaces
    Extcap = extcap,
    /// Look at what this host allows
    Doctor = doctor,
    /// Remove labs that are dead or half made
    Gc = gc,
    /// Print the JSON Schema of the topology file
    Schema = schema,
    /// Print a completion script for a shell
    Completion = completion,
    /// Print the manual page
    #[command(hide = true)]
    Man = man,
}

/// A whole network in a directory, without root.
#[derive(Debug, Parser)]
#[command(name = "labctl", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// The whole command line, for completion and the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses the arguments, does the verb, prints what went wrong, and says how to exit.
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let mut cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(usage) => {
            // Also `--help` and `--version`, which print to standard output and are no failure.
            let code = usage.exit_code();
            return match usage.print() {
                Ok(()) => ExitCode::from(if code == 0 { Exit::Done } else { Exit::Usage }),
                Err(pipe) => ExitCode::from(Failure::from(pipe).exit()),
            };
        }
    };
    cli.global.forget_what_is_empty();
    let mut out = Output::new(&cli.global);
    let done = dispatch(cli.verb, &cli.global, &mut out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out.failure(&failure);
            failure.exit().into()
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
