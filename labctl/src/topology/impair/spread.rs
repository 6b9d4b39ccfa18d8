//! How delays are spread by the jitter: by a formula, by a table of netem's, or as they were measured.
//!
//! A table (`/usr/lib/tc/*.dist`) is a list of whole numbers in ascending order: values of equal probability, 8192 for one
//! standard deviation. Measured delays have units; their mean is the delay, and their standard deviation the jitter. In both a `#`
//! begins a comment.

use super::super::units::{Duration, Quantity};
use crate::topology::read::words;
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

words! {
    /// How the delay is spread by the jitter.
    Distribution {
        /// Evenly, from delay - jitter to delay + jitter.
        Uniform = "uniform",
        /// The normal distribution; jitter is the standard deviation.
        Normal = "normal",
        /// The Pareto distribution.
        Pareto = "pareto",
        /// One quarter normal, three quarters Pareto.
        ParetoNormal = "paretonormal",
    }
}

/// How delays are spread.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// By a formula.
    By(Distribution),
    /// As a file says.
    Table(Table),
}

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// As it was written.
    pub path: String,
    /// Values of equal probability, in ascending order, in units of the jitter.
    pub values: Arc<[f32]>,
    /// Mean and standard deviation, if these are delays that were measured.
    pub measured: Option<(Duration, Duration)>,
}

/// One standard deviation in netem's tables (`NETEM_DIST_SCALE`).
const SCALE: f64 = 8192.0;
/// Values of a file at most: netem's tables have 4096.
const VALUES_MAX: usize = 1 << 20;
/// Values that a node is given: that many quantiles of a longer list.
const QUANTILES: usize = 4096;

impl Spread {
    /// A word, or a file relative to `base`.
    ///
    /// # Errors
    /// One line that says what is wrong with it.
    pub fn read(text: &str, base: &Path) -> Result<Self, String> {
        if let Some((_, word)) = Distribution::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(Self::By(*word));
        }
        let path: PathBuf = base.join(text);
        let content = std::fs::read_to_string(&path).map_err(|error| {
            let words: Vec<_> = Distribution::WORDS.iter().map(|(word, _)| *word).collect();
            format!("\"{text}\" is none of {}, and no file that can be read: {error}", words.join(", "))
        })?;
        let (values, measured) = table(&content).map_err(|fault| format!("{text}: {fault}"))?;
        Ok(Self::Table(Table { path: text.to_owned(), values, measured }))
    }
}

/// Mean and standard deviation of delays that were measured.
type Measured = (Duration, Duration);

/// Values in ascending order, in standard deviations; and of delays that were measured, what these come to.
fn table(content: &str) -> Result<(Arc<[f32]>, Option<Measured>), String> {
    let lines = content.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    if words.len() > VALUES_MAX {
        return Err(format!("more than {VALUES_MAX} values"));
    }
    let whole: Option<Vec<i32>> = words.iter().map(|word| word.parse().ok()).collect();
    match whole {
        Some(whole) if whole.len() >= 2 => {
            let values = whole.into_iter().map(|value| f64::from(value) / SCALE).collect();
            Ok((quantiles(values), None))
        }
        Some(_) => Err("a table of one value, or none".into()),
        None => {
            let delay = |word: &&str| {
                let parsed = Duration::parse(word);
                parsed.map(|time| time.0.as_nanos() as f64).map_err(|fault| format!("\"{word}\": {fault}"))
            };
            let delays = words.iter().map(delay).collect::<Result<Vec<_>, _>>()?;
            let n = delays.len() as f64;
            let mean = delays.iter().sum::<f64>() / n;
            let deviation = (delays.iter().map(|delay| (delay - mean).powi(2)).sum::<f64>() / n).sqrt();
            if delays.len() < 2 || deviation < 1.0 {
                return Err("delays that do not differ: write \"delay\"".into());
            }
            let values = delays.iter().map(|delay| (delay - mean) / deviation).collect();
            let time = |ns: f64| Duration(std::time::Duration::from_nanos(ns.round() as u64));
            Ok((quantiles(values), Some((time(mean), time(deviation)))))
        }
    }
}

/// In order; of many, some at equal distances.
fn quantiles(mut values: Vec<f64>) -> Arc<[f32]> {
    values.sort_by(f64::total_cmp);
    if values.len() <= QUANTILES {
        return values.into_iter().map(|value| value as f32).collect();
    }
    let len = values.len();
    (0..QUANTILES).map(|n| values[(2 * n + 1) * len / (2 * QUANTILES)] as f32).collect()
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::By(word) => f.write_str(word.as_str()),
            Self::Table(table) => f.write_str(&table.path),
        }
    }
}

impl Serialize for Spread {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_netem_s_is_in_standard_deviations() {
        let (values, measured) = table("# header\n -8192 0 4096\n 16384 # last\n").unwrap();
        assert_eq!((&values[..], measured), (&[-1.0, 0.0, 0.5, 2.0][..], None));
    }

    #[test]
    fn measured_delays_say_delay_and_jitter() {
        let (values, measured) = table("10ms\n30ms\n").unwrap();
        let ms = |ms| Duration(std::time::Duration::from_millis(ms));
        assert_eq!((&values[..], measured), (&[-1.0, 1.0][..], Some((ms(20), ms(10)))));
        let many: String = (0..100_000).map(|n| format!("{}us\n", 1000 + n)).collect();
        let (values, _) = table(&many).unwrap();
        assert_eq!(values.len(), QUANTILES);
        assert!(values.is_sorted() && values[0] < -1.7 && values[QUANTILES - 1] > 1.7, "{values:?}");
    }

    #[test]
    fn nonsense_is_said() {
        for (text, says) in [
            ("", "one value, or none"),
            ("5", "one value, or none"),
            ("5 x", "\"5\": a unit is missing"),
            ("5ms 6", "\"6\": a unit is missing"),
            ("5ms 5ms", "do not differ"),
        ] {
            let fault = table(text).unwrap_err();
            assert!(fault.contains(says), "{text}: {fault}");
        }
    }
}
