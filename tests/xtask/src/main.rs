//! Chores of the workspace that are neither tests nor the product: `cargo run --release -p xtask -- bench`.
#![forbid(unsafe_code)]

mod bench;
mod bounce;
mod families;
mod impaired;
mod netem;
mod ns3;
mod programs;
mod row;
mod rr;
mod uml;
mod veth;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Chores of the workspace")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure whole labs: start-up, memory, round trips, throughput, each beside its aim or a yardstick of the same run
    Bench {
        /// One object a line
        #[arg(long)]
        json: bool,
        /// Only measurements whose name contains one of these words
        words: Vec<String>,
    },
    /// One of the processes that `bench` compares chains with
    #[command(hide = true)]
    Row { dir: PathBuf, n: usize, count: usize },
    /// One of the two programs whose round trips over the host's TCP `bench` takes as a yardstick
    #[command(hide = true)]
    Rr { words: Vec<String> },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::Bench { json, words } => bench::run(json, &words),
        Chore::Row { dir, n, count } => row::member(&dir, n, count),
        Chore::Rr { words } => rr::run(&words),
    }
}
