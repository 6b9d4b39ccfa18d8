//! Quantities with units, as `tc` writes them: `20ms`, `50mbit`, `64kB`, `2%`.
//!
//! As in `tc`, `k`, `m`, `g` of octets are powers of 1024 and of bits powers of 1000, `bps` means octets per second, and case does not
//! matter. Unlike in `tc`, a bare number is refused: whether `delay = 20` means microseconds is not a thing to guess.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Time between two moments. Written `250us`, `20ms`, `1.5s`, `2min`, `1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub std::time::Duration);

/// Bits per second. Written `50mbit`, `1gbit`, `100kbps` (octets per second).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

/// Octets. Written `64kB`, `16MiB`, `1500b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Octets(pub u64);

/// A probability, 0 to 1. Written in percent: `2%`, `0.1%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

/// How long a queue may be. Written in octets, `64kB`, or in frames, `100p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLength {
    /// So many octets.
    Octets(Octets),
    /// So many frames.
    Frames(u32),
}

/// Why a quantity was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// No number at its start.
    #[error("not a number with a unit")]
    NotANumber,
    /// A number alone.
    #[error("a unit is missing")]
    MissingUnit,
    /// A unit that is not one of these.
    #[error("no unit is called \"{0}\"")]
    UnknownUnit(String),
    /// Negative, above 100 %, or past what 64 bits hold.
    #[error("out of range")]
    OutOfRange,
}

/// A quantity: how it is read, and an example of it for hints.
pub trait Quantity: Sized + fmt::Display {
    /// What it is called in a message.
    const NOUN: &'static str;
    /// Examples, for hints and for the schema.
    const EXAMPLE: &'static str;
    /// Reads it.
    ///
    /// # Errors
    /// [`UnitError`] says what is wrong with the text.
    fn parse(text: &str) -> Result<Self, UnitError>;
}

/// How long something lives, in whole seconds of 32 bits. Written as a duration, or `infinity` (RFC 4861 §4.6.2: all ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(pub u32);

/// The word for [`Lifetime::INFINITY`].
const INFINITY: &str = "infinity";

impl Lifetime {
    /// It never ends.
    pub const INFINITY: Self = Self(u32::MAX);
}

const DURATIONS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("nsec", 1.0),
    ("nsecs", 1.0),
    ("us", 1e3),
    ("usec", 1e3),
    ("usecs", 1e3),
    ("ms", 1e6),
    ("msec", 1e6),
    ("msecs", 1e6),
    ("s", 1e9),
    ("sec", 1e9),
    ("secs", 1e9),
    ("min", 60e9),
    ("h", 3600e9),
];

const RATES: &[(&str, f64)] = &[
    ("bit", 1.0),
    ("kbit", 1e3),
    ("mbit", 1e6),
    ("gbit", 1e9),
    ("tbit", 1e12),
    ("kibit", 1024.0),
    ("mibit", 1024.0 * 1024.0),
    ("gibit", 1024.0 * 1024.0 * 1024.0),
    ("bps", 8.0),
    ("kbps", 8e3),
    ("mbps", 8e6),
    ("gbps", 8e9),
];

const OCTETS: &[(&str, f64)] = &[
    ("b", 1.0),
    ("k", 1024.0),
    ("kb", 1024.0),
    ("kib", 1024.0),
    ("m", 1048576.0),
    ("mb", 1048576.0),
    ("mib", 1048576.0),
    ("g", 1073741824.0),
    ("gb", 1073741824.0),
    ("gib", 1073741824.0),
];

/// Splits number and unit and looks the unit up. `limit` is the largest value allowed, in the smallest unit.
fn quantity(text: &str, units: &[(&str, f64)], limit: f64) -> Result<f64, UnitError> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if text.starts_with('-') {
        return Err(UnitError::OutOfRange);
    }
    let number: f64 = number.parse().map_err(|_| UnitError::NotANumber)?;
    let unit = unit.trim();
    if unit.is_empty() {
        return Err(UnitError::MissingUnit);
    }
    let (_, scale) = units
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name))
        .ok_or_else(|| UnitError::UnknownUnit(unit.to_owned()))?;
    let value = number * scale;
    if value.is_finite() && value <= limit { Ok(value) } else { Err(UnitError::OutOfRange) }
}

impl Quantity for Duration {
    const NOUN: &'static str = "duration";
    const EXAMPLE: &'static str = "250us, 20ms, 1.5s, 2min, 1h";

    fn parse(text: &str) -> Result<Self, UnitError> {
        // At most 292 years, which is what 63 bits of nanoseconds hold.
        let ns = quantity(text, DURATIONS, i64::MAX as f64)?;
        Ok(Self(std::time::Duration::from_nanos(ns.round() as u64)))
    }
}

impl Quantity for Lifetime {
    const NOUN: &'static str = "lifetime";
    const EXAMPLE: &'static str = "30s, 90min, 24h, infinity";

    fn parse(text: &str) -> Result<Self, UnitError> {
        if text.trim() == INFINITY {
            return Ok(Self::INFINITY);
        }
        let seconds = Duration::parse(text)?.0.as_secs();
        u32::try_from(seconds).ok().filter(|s| *s < u32::MAX).map(Self).ok_or(UnitError::OutOfRange)
    }
}

impl Quantity for Rate {
    const NOUN: &'static str = "rate";
    const EXAMPLE: &'static str = "64kbit, 50mbit, 1gbit";

    fn parse(text: &str) -> Result<Self, UnitError> {
        quantity(text, RATES, 1e15).map(|bits| Self(bits.round() as u64))
    }
}

impl Quantity for Octets {
    const NOUN: &'static str = "size";
    const EXAMPLE: &'static str = "1500b, 64kB, 16MiB";

    fn parse(text: &str) -> Result<Self, UnitError> {
        quantity(text, OCTETS, (1u64 << 50) as f64).map(|octets| Self(octets.round() as u64))
    }
}

impl Quantity for Percent {
    const NOUN: &'static str = "percentage";
    const EXAMPLE: &'static str = "2%, 0.1%";

    fn parse(text: &str) -> Result<Self, UnitError> {
        quantity(text, &[("%", 1.0)], 100.0).map(|percent| Self(percent / 100.0))
    }
}

impl Quantity for QueueLength {
    const NOUN: &'static str = "queue length";
    const EXAMPLE: &'static str = "64kB, 1MiB, 100p (frames)";

    fn parse(text: &str) -> Result<Self, UnitError> {
        match quantity(text, &[("p", 1.0)], 10e6) {
            Err(UnitError::UnknownUnit(_)) => Octets::parse(text).map(Self::Octets),
            // Without one of them nothing would ever pass.
            Ok(frames) if frames < 1.0 => Err(UnitError::OutOfRange),
            frames => frames.map(|frames| Self::Frames(frames as u32)),
        }
    }
}

/// Writes `value` with the largest unit that divides it.
fn exact(f: &mut fmt::Formatter<'_>, value: u64, units: &[(u64, &str)]) -> fmt::Result {
    let (scale, unit) = units
        .iter()
        .find(|(scale, _)| value.is_multiple_of(*scale) && value > 0)
        .unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{unit}", value / scale)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if ns == 0 {
            return f.write_str("0s");
        }
        exact(f, ns, &[(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"), (1, "ns")])
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::INFINITY => f.write_str(INFINITY),
            Self(seconds) => Duration(std::time::Duration::from_secs(seconds.into())).fmt(f),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exact(f, self.0, &[(1_000_000_000, "gbit"), (1_000_000, "mbit"), (1000, "kbit"), (1, "bit")])
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exact(f, self.0, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "b")])
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Six digits after the point and no trailing zeros: 0.1 % must not print as 0.100000000001 %.
        let text = format!("{:.6}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Display for QueueLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(octets) => octets.fmt(f),
            Self::Frames(frames) => write!(f, "{frames}p"),
        }
    }
}

macro_rules! as_text {
    ($($t:ty),*) => {$(
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    )*};
}
as_text!(Duration, Lifetime, Rate, Octets, Percent, QueueLength);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_those_of_tc() {
        assert_eq!(Octets::parse("64kB"), Ok(Octets(65536)));
        assert_eq!(Octets::parse("16MiB"), Ok(Octets(16 << 20)));
        assert_eq!(Rate::parse("50mbit"), Ok(Rate(50_000_000)));
        assert_eq!(Rate::parse("1Mbps"), Ok(Rate(8_000_000)));
        assert_eq!(Duration::parse("1.5ms"), Ok(Duration(std::time::Duration::from_micros(1500))));
        assert_eq!(Percent::parse("2%"), Ok(Percent(0.02)));
        assert_eq!(QueueLength::parse("64kB"), Ok(QueueLength::Octets(Octets(65536))));
        assert_eq!(QueueLength::parse("100p"), Ok(QueueLength::Frames(100)));
        assert_eq!(QueueLength::Frames(100).to_string(), "100p");
        assert_eq!(Lifetime::parse("24h"), Ok(Lifetime(86_400)));
        assert_eq!(Lifetime::parse("infinity"), Ok(Lifetime::INFINITY));
        assert_eq!(Lifetime::parse("4294967295s"), Err(UnitError::OutOfRange));
    }

    #[test]
    fn what_is_not_a_quantity_says_why() {
        assert_eq!(Duration::parse("20"), Err(UnitError::MissingUnit));
        assert_eq!(Duration::parse("20 parsecs"), Err(UnitError::UnknownUnit("parsecs".into())));
        assert_eq!(Duration::parse("soon"), Err(UnitError::NotANumber));
        assert_eq!(Duration::parse("-1s"), Err(UnitError::OutOfRange));
        assert_eq!(Percent::parse("101%"), Err(UnitError::OutOfRange));
        assert_eq!(QueueLength::parse("0p"), Err(UnitError::OutOfRange));
        assert_eq!(QueueLength::parse("5 frames"), Err(UnitError::UnknownUnit("frames".into())));
        assert_eq!(Rate::parse("99999999999tbit"), Err(UnitError::OutOfRange));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ns in 0u64..(1 << 52), bits in 0u64..(1 << 49), octets in 0u64..(1 << 50)) {
            let duration = Duration(std::time::Duration::from_nanos(ns));
            prop_assert_eq!(Duration::parse(&duration.to_string()), Ok(duration));
            let lifetime = Lifetime(octets as u32);
            prop_assert_eq!(Lifetime::parse(&lifetime.to_string()), Ok(lifetime));
            prop_assert_eq!(Rate::parse(&Rate(bits).to_string()), Ok(Rate(bits)));
            prop_assert_eq!(Octets::parse(&Octets(octets).to_string()), Ok(Octets(octets)));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (Duration::parse(&text), Rate::parse(&text), Octets::parse(&text), Percent::parse(&text));
        }
    }
}
