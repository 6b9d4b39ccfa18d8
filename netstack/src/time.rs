//! Time as the stack sees it: handed in with every call, never asked for.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;

/// A point in time: nanoseconds since the lab's epoch. 64 bits last for 584 years.
// Kept as one more, so that a time that may be missing takes no more room: a connection has a dozen of those.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The lab's epoch.
    pub const ZERO: Instant = Instant(NonZeroU64::MIN);

    /// `ns` nanoseconds after the epoch.
    pub const fn from_nanos(ns: u64) -> Instant {
        Instant(NonZeroU64::MIN.saturating_add(ns))
    }

    /// `ms` milliseconds after the epoch.
    pub const fn from_millis(ms: u64) -> Instant {
        Instant::from_nanos(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.as_nanos() / 1_000_000
    }

    /// Time passed since `earlier`, zero if `earlier` lies in the future.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }
}

impl Default for Instant {
    fn default() -> Instant {
        Instant::ZERO
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_nanos()).finish()
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(rhs)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, rhs: Duration) -> Instant {
        Instant::from_nanos(self.as_nanos().saturating_sub(nanos(rhs)))
    }
}

/// The most that fits, of what is longer.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_ends() {
        let (first, last) = (Instant::ZERO, Instant::ZERO + Duration::MAX);
        assert_eq!(
            (first.as_nanos(), first - Duration::from_nanos(1), Instant::default()),
            (0, first, first)
        );
        assert_eq!((last, last + Duration::from_nanos(1)), (Instant::from_nanos(u64::MAX), last));
        assert_eq!(last.since(first), Duration::from_nanos(u64::MAX - 1));
        assert_eq!((first.since(last), last - Duration::MAX), (Duration::ZERO, first));
        assert_eq!(format!("{:?}", Instant::from_millis(2)), "Instant(2000000)");
    }

    #[test]
    fn one_that_is_missing_takes_no_room() {
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }
}
