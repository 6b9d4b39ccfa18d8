//! A bar while many nodes start: on a terminal only, and only where it is worth a look.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Fewer nodes than these are up before a bar is drawn.
const WORTH_IT: usize = 50;

/// A bar, or nothing.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar for so many steps, if anybody looks.
    pub fn new(what: &str, steps: usize, quiet: bool) -> Self {
        if quiet || steps < WORTH_IT || !std::io::stderr().is_terminal() {
            return Self { bar: None };
        }
        let length = u64::try_from(steps).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(20));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        Self { bar: Some(bar) }
    }

    /// So many are done.
    pub fn set(&self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
