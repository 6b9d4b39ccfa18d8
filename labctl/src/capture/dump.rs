//! What buses remember, oldest first; several merged by time.

use std::io;
use std::iter::Peekable;

use shmif::{Captured, History};

use super::sink::Pipeline;
use super::source::Source;

/// Hands everything that the buses remember to the pipeline. The order of each bus is kept.
///
/// # Errors
/// Those of the sinks.
pub fn dump(sources: &mut [Source], pipeline: &mut Pipeline) -> io::Result<()> {
    let mut histories: Vec<Peekable<Counting>> =
        sources.iter().map(|source| Counting(source.bus().history()).peekable()).collect();
    while !pipeline.full() {
        // Few buses at a time: a scan beats a heap. Among equals the first bus.
        let oldest = histories
            .iter_mut()
            .enumerate()
            .filter_map(|(index, history)| {
                history.peek().map(|(captured, _)| (captured.record.time_ns, index))
            })
            .min();
        let Some((_, index)) = oldest else { break };
        if let Some((captured, lost)) = histories[index].next() {
            pipeline.counts.lost += lost;
            pipeline.record(&mut sources[index], &captured)?;
        }
    }
    Ok(())
}

/// A history, each record with how many were lost before it.
struct Counting(History);

impl Iterator for Counting {
    type Item = (Captured, u64);

    fn next(&mut self) -> Option<(Captured, u64)> {
        let before = self.0.lost();
        let captured = self.0.next()?;
        Some((captured, self.0.lost() - before))
    }
}

/// The time of the newest record of these buses, nanoseconds since the epoch; `None` when they are empty.
pub fn newest(sources: &[Source]) -> Option<u64> {
    sources
        .iter()
        .filter_map(|source| source.bus().history().last())
        .map(|captured| captured.record.time_ns)
        .max()
}
