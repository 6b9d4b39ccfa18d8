//! `labctl dump BUS [-w FILE|-] [--since T] [FILTER…]`: what a bus remembers, also when its lab is dead.

use super::wire::{self, Access, Options};
use super::{Exit, Failure, Global, Output};
use crate::capture::dump;
use crate::topology::units::{Duration, Quantity};

/// Arguments of `dump`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A bus, several (left,right or '*'), one interface (NODE:IF), LAB/BUS, or a bus file
    bus: String,
    #[command(flatten)]
    options: Options,
    /// Only the last so much time ("5s"; of a dead lab: before its newest frame), or from a time of the lab on ("@12.5s")
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// Only these frames, in the words of tcpdump: host h1 and tcp port 80
    filter: Vec<String>,
}

/// Gives what the buses remember to a file or to the screen.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let mut target = wire::target(&args.bus, global)?;
    let mut sources = wire::open(&mut target, Access::Look)?;
    let screen = !args.options.writes();
    let mut pipeline = args.options.pipeline(&target, &sources, &args.filter, screen, global, out)?;
    if let Some(since) = &args.since {
        let wrong = |error: crate::topology::units::UnitError| {
            Failure::usage(format!("--since {since}: {error}"), Some(format!("such as {} or @12.5s", Duration::EXAMPLE)))
        };
        let ns = |text: &str| Duration::parse(text).map(|time| time.0.as_nanos() as u64).map_err(wrong);
        pipeline.since_ns = match since.strip_prefix('@') {
            Some(at) => ns(at)?,
            None => {
                let alive = |source: &crate::capture::source::Source| source.bus().ports().iter().any(|port| port.alive);
                // Time goes on only where somebody lives.
                let now = match sources.iter().find(|source| alive(source)) {
                    Some(source) => source.bus().epoch().now_ns(),
                    None => dump::newest(&sources).unwrap_or_default(),
                };
                now.saturating_sub(ns(since)?)
            }
        };
    }
    dump::dump(&mut sources, &mut pipeline)?;
    let counts = pipeline.end()?;
    if let Some(file) = &args.options.write
        && file != std::path::Path::new("-")
        && !global.quiet
    {
        let lost = if counts.lost > 0 { format!(", {} lost", counts.lost) } else { String::new() };
        eprintln!("{} in {}{lost}", wire::frames(counts.taken), file.display());
    }
    let malformed: u64 = sources.iter().map(crate::capture::source::Source::malformed).sum();
    if malformed > 0 && !global.quiet {
        eprintln!("labctl: {malformed} records had offload metadata that makes no sense; they are given as they are");
    }
    Ok(Exit::Done)
}
