//! Many seeds of one lab in virtual time, some at once.

use super::{CheckReport, LabReport, Options, Watcher, run_virtual};
use crate::lab::fault::Fault;
use crate::lab::interrupt::Interrupt;
use crate::topology::model::Lab;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How often is asked whether the person wants an end.
const TICK: Duration = Duration::from_millis(20);

/// Runs `count` seeds from `first` on, `jobs` at once, each on the lab that `lab` has for it; `each` is told of them in their
/// order, whichever is done first.
///
/// # Errors
/// Those of [`run_virtual`], and those of `each`; then no further seed begins.
#[allow(clippy::too_many_arguments)] // what there is to say of a run
pub fn run_seeds<'l, E: From<Fault>>(
    lab: &(dyn Fn(u64) -> Cow<'l, Lab> + Sync),
    topology: &Path,
    first: u64,
    count: u32,
    jobs: usize,
    options: &Options,
    interrupt: &Interrupt,
    mut each: impl FnMut(LabReport) -> Result<(), E>,
) -> Result<(), E> {
    let (next, cut) = (AtomicU32::new(0), AtomicBool::new(false));
    let (done, finished) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(count as usize) {
            let done = done.clone();
            let (next, cut) = (&next, &cut);
            scope.spawn(move || {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count || cut.load(Ordering::Relaxed) {
                        return;
                    }
                    // 0 stands for no seed.
                    let seed = first.wrapping_add(n.into()).max(1);
                    let cut = Box::new(|| cut.load(Ordering::Relaxed));
                    let report = run_virtual(&lab(seed), topology, seed, options, cut, &mut Nobody);
                    if done.send((n, report)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut told = 0;
        let mut tell = || loop {
            match finished.recv_timeout(TICK) {
                Ok((n, report)) => {
                    early.insert(n, report);
                    while let Some(report) = early.remove(&told) {
                        each(report?)?;
                        told += 1;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if interrupt.pending() {
                cut.store(true, Ordering::Relaxed);
            }
        };
        let told = tell();
        cut.store(true, Ordering::Relaxed);
        told
    })
}

/// Who is not told.
pub(super) struct Nobody;

impl Watcher for Nobody {
    fn ready(&mut self, _: usize, _: usize) {}
    fn up(&mut self, _: &Lab, _: Option<Duration>) {}
    fn checked(&mut self, _: &CheckReport) {}
}
