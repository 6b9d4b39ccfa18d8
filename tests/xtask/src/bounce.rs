//! The yardstick of short round trips: one cache line there and back between two cores, which is the least that two nodes can
//! exchange. Neighbouring cores need 0.1 us; a virtual machine's host may also put its two a socket apart, 0.4 us.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

/// Round trips of one measurement.
const ROUNDS: u32 = 200_000;

/// A number in a cache line of its own.
#[repr(align(128))]
struct Line(AtomicU32);

impl Line {
    fn await_number(&self, n: u32) {
        while self.0.load(Ordering::Acquire) != n {
            spin_loop();
        }
    }
}

/// Microseconds of a round trip between the first two cores that this process may use.
pub(crate) fn round_trip_us() -> Result<f64> {
    let anywhere = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| anywhere.is_set(core));
    let [here, there] = [cores.next(), cores.next()].map(|core| {
        let mut one = CpuSet::new();
        core.map(|core| one.set(core)).map(|()| one)
    });
    let (here, there) = (here.context("a core")?, there.context("a second core")?);
    let (ping, pong) = (Line(AtomicU32::new(0)), Line(AtomicU32::new(0)));
    sched_setaffinity(None, &here)?;
    let measured = thread::scope(|scope| {
        let answer = scope.spawn(|| -> Result<()> {
            let pinned = sched_setaffinity(None, &there);
            // It answers even if it could not move: the other side waits.
            for n in 1..=ROUNDS {
                ping.await_number(n);
                pong.0.store(n, Ordering::Release);
            }
            Ok(pinned?)
        });
        let mut began = Instant::now();
        for n in 1..=ROUNDS {
            // The first finds the other thread awake.
            if n == 2 {
                began = Instant::now();
            }
            ping.0.store(n, Ordering::Release);
            pong.await_number(n);
        }
        let took = began.elapsed();
        answer.join().map_err(|_| anyhow::anyhow!("the other core's thread"))??;
        Ok(took.as_secs_f64() * 1e6 / f64::from(ROUNDS - 1))
    });
    sched_setaffinity(None, &anywhere)?;
    measured
}
