//! `labctl replay FILE… BUS`: puts the Ethernet frames of capture files onto a bus.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context;

use super::wire;
use super::{Exit, Failure, Global, Output};
use crate::capture::replay::{Pace, Replayer};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Capture files: pcap or pcapng
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A bus, LAB/BUS, or a bus file
    bus: String,
    /// Keep the gaps between the frames
    #[arg(long)]
    timed: bool,
}

/// Sends them and says what became of them.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let target = wire::target(&args.bus, global)?;
    let [path] = target.paths.as_slice() else {
        return Err(Failure::usage("frames are replayed onto one bus", None));
    };
    let bus = shmif::Bus::open(path).map_err(wire::cannot_open)?;
    let mut replayer = Replayer::attach(&bus).map_err(anyhow::Error::from)?;
    let pace = if args.timed { Pace::AsCaptured } else { Pace::Flood };
    let mut exit = Exit::Done;
    for path in &args.files {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        if let Err(error) = replayer.file(file, pace, |_| {}) {
            eprintln!("labctl: {}: {error}", path.display());
            exit = Exit::Failed;
        }
    }
    let report = replayer.report;
    if global.json {
        out.json(&report)?;
    } else {
        out.say(format_args!(
            "{} of {} packets sent ({} of other link types, {} too short, {} too long, {} dropped)",
            report.sent, report.packets, report.other_link_type, report.too_short, report.too_long, report.dropped
        ))?;
    }
    Ok(exit)
}
