//! `labctl top`: live nodes, buses and counters: on the whole terminal, as plain text, or as JSON.
//!
//! `sampler` looks at the lab, `rates` makes of two looks what happened in between, `columns` says what is shown of it.
//! On a terminal `screen` is what keys change, `draw` paints it and `terminal` holds the two together; without one
//! `batch` prints tables, and `json` objects.

mod batch;
mod columns;
mod draw;
#[cfg(test)]
mod example;
mod json;
mod keys;
mod rates;
mod sampler;
mod screen;
mod terminal;
mod trace;

use super::{Exit, Failure, Global, Output, number, running};
use crate::lab::view;
use sampler::Sampler;
use std::io::IsTerminal;
use std::time::Duration;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys: up and down (k, j) select, Tab changes the table, s sorts by the next column,\n\
    r reverses, p (space) pauses, q leaves.\n\n  \
    labctl top -d 0.5\n  labctl top -b -n 10 >log\n  labctl top --once --json | jq '.nodes[] | select(.cpu_percent > 50)'"
)]
pub struct Args {
    /// Seconds between two looks
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = number::interval)]
    delay: f64,
    /// End after so many screens (the first has no rates yet)
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Plain tables one after the other, as where the output is no terminal
    #[arg(short, long)]
    batch: bool,
    /// One plain table with the rates of one interval, and end
    #[arg(long, conflicts_with_all = ["batch", "count"])]
    once: bool,
}

/// How often, and how many times.
#[derive(Clone, Copy, Debug)]
struct Pace {
    interval: Duration,
    /// Screens that are passed over, for their rates are not known.
    skip: u64,
    count: Option<u64>,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let dir = running::lab(global)?;
    view::alive(&dir)?;
    let sampler = Sampler::new(dir)?;
    let interval = Duration::from_secs_f64(args.delay);
    let (skip, count) = if args.once { (1, Some(1)) } else { (0, args.count) };
    let pace = Pace { interval, skip, count };
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if global.json || args.batch || args.once || dumb || !std::io::stdout().is_terminal() {
        return batch::run(sampler, pace, global.json, out);
    }
    terminal::run(sampler, pace, out.colour())
}
