//! What comes over buses, as it comes.

use std::io;
use std::time::{Duration, Instant};

use shmif::{Captured, Follow, Followed};

use super::sink::Pipeline;
use super::source::Source;

/// Records taken from one bus before the others have their turn and the sinks are flushed.
const BURST: usize = 4096;
/// How long one bus alone is waited for before the person is asked whether to go on.
const NAP: Duration = Duration::from_millis(50);
/// The same where several have to be looked at.
const SHORT_NAP: Duration = Duration::from_millis(2);
/// How often it is looked whether the bus is still there.
const LOOK: Duration = Duration::from_millis(200);

/// Where a capture begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the next frame.
    Now,
    /// With the oldest that the bus remembers.
    Oldest,
}

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As many frames have come as were asked for.
    Full,
    /// The caller has had enough.
    Asked,
    /// The bus was removed: its lab is down.
    Gone,
}

/// Hands everything from `begin` on to the pipeline, until it is full, `enough` says so, or the buses are gone. The
/// sinks are flushed whenever there is nothing new.
///
/// # Errors
/// Those of the sinks.
pub fn capture(
    sources: &mut [Source],
    pipeline: &mut Pipeline,
    begin: Begin,
    mut enough: impl FnMut() -> bool,
) -> io::Result<End> {
    let follow = |source: &Source| match begin {
        Begin::Now => source.bus().follow(),
        Begin::Oldest => source.bus().follow().from_oldest(),
    };
    let mut follows: Vec<Follow> = sources.iter().map(follow).collect();
    let mut looked = Instant::now();
    let mut burst: Vec<(usize, Captured)> = Vec::new();
    loop {
        for (index, follow) in follows.iter_mut().enumerate() {
            for _ in 0..BURST {
                match follow.next() {
                    Followed::Frame(captured) => burst.push((index, captured)),
                    Followed::Lost(count) => pipeline.counts.lost += count,
                    Followed::Empty => break,
                }
            }
        }
        if !burst.is_empty() {
            if follows.len() > 1 {
                // Stable: the order of each bus is kept.
                burst.sort_by_key(|(_, captured)| captured.record.time_ns);
            }
            for (index, captured) in burst.drain(..) {
                pipeline.record(&mut sources[index], &captured)?;
                if pipeline.full() {
                    return Ok(End::Full);
                }
            }
            pipeline.flush()?;
        }
        if enough() {
            return Ok(End::Asked);
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if sources.iter().all(Source::is_gone) {
                return Ok(End::Gone);
            }
        }
        match follows.as_mut_slice() {
            [only] => {
                only.wait(NAP);
            }
            [first, ..] => {
                first.wait(SHORT_NAP);
            }
            [] => return Ok(End::Gone),
        }
    }
}
