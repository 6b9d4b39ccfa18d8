//! Sequence numbers: RFC 9293 §3.4. They live on a circle, so they have no order; they can only be
//! compared within half of the circle, by the methods here.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct SeqNum(pub(crate) u32);

impl SeqNum {
    /// Octets from `earlier` to here; what lies behind counts as a very large distance.
    pub(crate) const fn since(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Signed distance from `other` to here.
    const fn from(self, other: SeqNum) -> i32 {
        self.since(other) as i32
    }

    /// Stands before `other`.
    pub(crate) const fn lt(self, other: SeqNum) -> bool {
        self.from(other) < 0
    }

    /// Stands before `other` or is it.
    pub(crate) const fn le(self, other: SeqNum) -> bool {
        self.from(other) <= 0
    }

    /// Stands after `other`.
    pub(crate) const fn gt(self, other: SeqNum) -> bool {
        self.from(other) > 0
    }

    /// Stands after `other` or is it.
    pub(crate) const fn ge(self, other: SeqNum) -> bool {
        self.from(other) >= 0
    }

    /// The one that stands later.
    pub(crate) const fn latest(self, other: SeqNum) -> SeqNum {
        if self.ge(other) { self } else { other }
    }

    /// The one that stands earlier.
    pub(crate) const fn earliest(self, other: SeqNum) -> SeqNum {
        if self.le(other) { self } else { other }
    }

    /// Whether it is one of the `len` numbers that begin at `start`.
    pub(crate) const fn within(self, start: SeqNum, len: u32) -> bool {
        self.since(start) < len
    }
}

impl Add<u32> for SeqNum {
    type Output = SeqNum;
    fn add(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(octets))
    }
}

impl Sub<u32> for SeqNum {
    type Output = SeqNum;
    fn sub(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(octets))
    }
}

impl AddAssign<u32> for SeqNum {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Does not compile if `SeqNum` has an order: then two impls of `Ambiguous` apply.
const _: fn() = || {
    trait Ambiguous<A> {
        fn check() {}
    }
    struct HasOrder;
    impl<T> Ambiguous<()> for T {}
    impl<T: PartialOrd> Ambiguous<HasOrder> for T {}
    <SeqNum as Ambiguous<_>>::check();
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn later_is_later_for_half_the_circle(a: u32, n in 1u32..0x8000_0000) {
            let (a, b) = (SeqNum(a), SeqNum(a) + n);
            prop_assert!(a.lt(b) || n == 0x8000_0000);
            prop_assert!(b.gt(a) && !b.le(a) && a.le(b) && !a.ge(b));
            prop_assert_eq!(b.since(a), n);
            prop_assert_eq!(b - n, a);
            prop_assert_eq!((a.latest(b), a.earliest(b)), (b, a));
        }

        #[test]
        fn comparison_does_not_depend_on_the_place(a: u32, b: u32, shift: u32) {
            let (a, b) = (SeqNum(a), SeqNum(b));
            prop_assert_eq!(a.lt(b), (a + shift).lt(b + shift));
            prop_assert_eq!(a.le(b), a == b || a.lt(b));
        }

        #[test]
        fn within_means_one_of_len_numbers(start: u32, len in 0u32..1000, at in 0u32..2000) {
            prop_assert_eq!((SeqNum(start) + at).within(SeqNum(start), len), at < len);
        }
    }
}
