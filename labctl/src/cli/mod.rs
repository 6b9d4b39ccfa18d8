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

use clap::{Args as _, FromArgMatches as _};

/// Declares the verbs: their modules, what the help says of each, and their dispatch. What clap's derive would make of an enum, but that
/// not all of them need to be declared.
macro_rules! verbs {
    ($(#[doc = $about:literal] $(#[$is:ident])? $variant:ident = $module:ident,)*) => {
        $(pub mod $module;)*

        #[derive(Debug)]
        enum Verb { $($variant($module::Args),)* }

        impl Verb {
            /// Adds those that are `wanted`, by their names.
            fn declare(mut command: clap::Command, wanted: impl Fn(&str) -> bool) -> clap::Command {
                $(if wanted(stringify!($module)) {
                    let verb = $module::Args::augment_args(clap::Command::new(stringify!($module)));
                    command = command.subcommand(verb.about($about.trim_start())$(.$is(true))?);
                })*
                command
            }

            fn parsed(matches: &clap::ArgMatches) -> Result<Verb, clap::Error> {
                match matches.subcommand() {
                    $(Some((stringify!($module), verb)) => {
                        $module::Args::from_arg_matches(verb).map(Verb::$variant)
                    })*
                    _ => Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand)),
                }
            }
        }

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
    #[hide]
    Man = man,
}

/// The whole command line, for completion and the manual.
pub fn command() -> clap::Command {
    declare(|_| true)
}

/// The command line with those verbs that are `wanted`.
fn declare(wanted: impl Fn(&str) -> bool) -> clap::Command {
    let command = Global::augment_args(clap::Command::new("labctl"))
        .about("A whole network in a directory, without root")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .max_term_width(100)
        .subcommand_required(true)
        .arg_required_else_help(true);
    Verb::declare(command, wanted)
}

fn parse(args: &[OsString]) -> Result<(Global, Verb), clap::Error> {
    let with = |command: &mut clap::Command| {
        let matches = command.try_get_matches_from_mut(args)?;
        Ok((Global::from_arg_matches(&matches)?, Verb::parsed(&matches)?))
    };
    // All verbs are 400 KiB and half a millisecond. One that is said is among the words; what is wrong or asked for all of them tell.
    with(&mut declare(|verb| args.iter().any(|arg| arg == verb))).or_else(|_: clap::Error| {
        let mut whole = command();
        with(&mut whole).map_err(|usage| usage.format(&mut whole))
    })
}

/// Parses the arguments, does the verb, prints what went wrong, and says how to exit.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (mut global, verb) = match parse(&args.into_iter().collect::<Vec<_>>()) {
        Ok(parsed) => parsed,
        Err(usage) => {
            // Also `--help` and `--version`, which print to standard output and are no failure.
            let code = usage.exit_code();
            return match usage.print() {
                Ok(()) => ExitCode::from(if code == 0 { Exit::Done } else { Exit::Usage }),
                Err(pipe) => ExitCode::from(Failure::from(pipe).exit()),
            };
        }
    };
    global.forget_what_is_empty();
    let mut out = Output::new(&global);
    let done = dispatch(verb, &global, &mut out).and_then(|exit| {
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
