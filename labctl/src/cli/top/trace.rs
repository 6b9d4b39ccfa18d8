//! The last minute of a rate, a value a second, and how it is drawn in a line of text.

use std::collections::VecDeque;
use std::time::Duration;

/// Seconds that are remembered.
const SECONDS: usize = 60;

/// Eighths of a cell.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A value a second, the newest last; `None` where nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Trace {
    values: VecDeque<Option<f64>>,
    /// The second of the newest value.
    second: u64,
}

impl Trace {
    /// What was measured in the time `over` that ended at `at`. Of several values in one second the greatest counts.
    pub(super) fn add(&mut self, at: Duration, over: Duration, value: Option<f64>) {
        let now = at.as_secs();
        let first = at.saturating_sub(over).as_secs().max(now.saturating_sub(SECONDS as u64 - 1));
        if self.values.is_empty() {
            self.values.push_back(None);
            self.second = first;
        }
        while self.second < now {
            self.values.push_back(None);
            self.second += 1;
            if self.values.len() > SECONDS {
                self.values.pop_front();
            }
        }
        // A second of which a beginning only was measured has its value from before.
        let first = if over.as_secs() > 0 { first + 1 } else { now };
        let seconds = usize::try_from(now.saturating_sub(first) + 1).unwrap_or(SECONDS);
        for slot in self.values.iter_mut().rev().take(seconds) {
            *slot = value.max_of(*slot);
        }
    }

    /// As bars in so many cells, the newest at the right; the highest of them is full.
    pub(super) fn bars(&self, width: usize) -> String {
        let most = self.values.iter().flatten().copied().fold(0.0, f64::max);
        let known = SECONDS - self.values.len();
        let bar = |cell: usize| {
            // The seconds that the cell stands for, counted from a minute ago.
            let (from, to) = (cell * SECONDS / width, ((cell + 1) * SECONDS).div_ceil(width));
            let seconds = (from..to).filter_map(|second| *self.values.get(second.checked_sub(known)?)?);
            match seconds.reduce(f64::max) {
                None => ' ',
                Some(_) if most == 0.0 => BARS[0],
                // 0 to 7: the truncation is meant.
                Some(value) => BARS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1],
            }
        };
        (0..width).map(bar).collect()
    }
}

trait MaxOf {
    fn max_of(self, other: Self) -> Self;
}

impl MaxOf for Option<f64> {
    fn max_of(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (one, None) | (None, one) => one,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_newest_is_at_the_right_and_the_highest_full() {
        let mut trace = Trace::default();
        assert_eq!(trace.bars(4), "    ");
        for (second, value) in (1..).zip([0.0, 8.0, 4.0, 1.0]) {
            trace.add(at(second * 1000), at(1000), Some(value));
        }
        assert_eq!(trace.bars(60), format!("{}▁█▄▁", " ".repeat(56)));
        // A cell of several seconds has the greatest.
        assert_eq!(trace.bars(30), format!("{}█▄", " ".repeat(28)));
        for second in 5..200 {
            trace.add(at(second * 1000), at(1000), Some(0.0));
        }
        assert_eq!(trace.bars(3), "▁▁▁");
    }

    #[test]
    fn several_looks_a_second_and_several_seconds_a_look() {
        let mut trace = Trace::default();
        for (ms, value) in [(1100, 2.0), (1200, 8.0), (1300, 1.0)] {
            trace.add(at(ms), at(100), Some(value));
        }
        assert_eq!(trace.values, [Some(8.0)]);
        trace.add(at(4300), at(3000), Some(4.0));
        assert_eq!(trace.values, [Some(8.0), Some(4.0), Some(4.0), Some(4.0)]);
        trace.add(at(6400), at(100), Some(4.0));
        assert_eq!(trace.bars(60).trim_start(), "█▄▄▄ ▄");
    }
}
