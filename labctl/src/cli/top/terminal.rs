//! The terminal: taken whole, and given back on every way out: keys, signals, errors and panics.
//!
//! A thread of its own looks at the lab, so that keys are answered at once, whatever a node does.

use super::Pace;
use super::draw::{self, Look};
use super::keys::Keyboard;
use super::rates::{Meter, Report};
use super::sampler::Sampler;
use super::screen::{Next, Screen};
use crate::cli::{Exit, Failure};
use crate::lab::fault::Fault;
use crate::lab::interrupt::{Interrupt, Woken};
use crate::lab::state::Epoch;
use ratatui::DefaultTerminal;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

/// How soon a new look at the lab or another size is noticed. Keys and signals are at once.
const TICK: Duration = Duration::from_millis(50);

/// Until a key, a signal, the lab's end or enough screens.
pub(super) fn run(sampler: Sampler, pace: Pace, colour: bool) -> Result<Exit, Failure> {
    // Before the thread: signals are not for it either.
    let interrupt = Interrupt::catch()?;
    let (reports, seen) = mpsc::sync_channel(1);
    // Dropped at the end: that ends the thread, which may be waiting for a node and is not waited for.
    let (_leave, left) = mpsc::channel();
    std::thread::spawn(move || look(sampler, pace.interval, &reports, &left));
    let keyboard = Keyboard::open().map_err(cannot)?;
    let mut taken = Taken::take().map_err(cannot)?;
    watch(&mut taken.0, &keyboard, &seen, &interrupt, pace, colour)
}

/// Looks at the lab until nobody wants to know.
fn look(
    mut sampler: Sampler,
    interval: Duration,
    reports: &SyncSender<Result<Report, Fault>>,
    left: &Receiver<()>,
) {
    let mut meter = Meter::default();
    let mut next = Instant::now();
    loop {
        let report = sampler.look(interval).map(|sample| meter.report(sample));
        let failed = report.is_err();
        if reports.send(report).is_err() || failed {
            return;
        }
        next = (next + interval).max(Instant::now());
        let pause = next.saturating_duration_since(Instant::now());
        if left.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    keyboard: &Keyboard,
    seen: &Receiver<Result<Report, Fault>>,
    interrupt: &Interrupt,
    pace: Pace,
    colour: bool,
) -> Result<Exit, Failure> {
    let mut screen = Screen::default();
    let (mut shown, mut stale, mut size) = (0, false, None);
    loop {
        match seen.try_recv() {
            Ok(report) => {
                stale |= screen.take(report?);
                shown += 1;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Err(Failure::Work(anyhow::anyhow!("nothing looks at the lab any more")));
            }
        }
        let now = terminal.size().map_err(cannot)?;
        stale |= size.replace(now) != Some(now);
        if stale && shown > 0 {
            let now = Epoch::now().unix_ns / 1_000_000_000;
            terminal.draw(|frame| draw::screen(frame, &mut screen, now, Look { colour })).map_err(cannot)?;
            stale = false;
        }
        if pace.count.is_some_and(|count| shown >= count) {
            return Ok(Exit::Done);
        }
        let woken = interrupt.wait(Some(keyboard.fd.as_fd()), Some(Instant::now() + TICK))?;
        // A terminal that is gone wants no answer.
        let Some(keys) = keyboard.read().filter(|_| woken != Woken::Interrupted) else {
            return Ok(Exit::Done);
        };
        for key in keys {
            if screen.key(key) == Next::Leave {
                return Ok(Exit::Done);
            }
            stale = true;
        }
    }
}

fn cannot(error: std::io::Error) -> Failure {
    Failure::host(
        format!("cannot use this terminal: {error}"),
        "labctl top -b prints plain tables".to_owned(),
    )
}

/// The terminal, raw and with a screen of its own.
struct Taken(DefaultTerminal);

impl Taken {
    /// Takes it. A panic, in whichever thread, gives it back before it is reported.
    fn take() -> std::io::Result<Self> {
        ratatui::try_init().map(Self).inspect_err(|_| {
            let _ = ratatui::try_restore();
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        // It may be gone, and then there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}
