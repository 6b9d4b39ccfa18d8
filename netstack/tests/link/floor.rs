//! The test floor: numbered frames over a wire, and how far figures may be from what is meant.

use netstack::Mbuf;
use netstack::link::{Impair, ImpairConfig};
use netstack::time::{Duration, Instant};

/// Frames of one measurement.
pub(crate) const MILLION: u64 = 1_000_000;
/// Where the number of a frame stands, behind an Ethernet header.
const NUMBER: std::ops::Range<usize> = 14..22;
/// What fills the rest.
pub(crate) const FILL: u8 = 0x55;

/// A frame that arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) n: u64,
    /// How long after it was sent.
    pub(crate) after: Duration,
    pub(crate) frame: Mbuf,
}

/// Frame number `n` of `len` octets, at least 22.
pub(crate) fn frame(n: u64, len: usize) -> Mbuf {
    let mut m = Mbuf::copy_of(&[FILL; 1514][..len]);
    m.data_mut()[NUMBER].copy_from_slice(&n.to_be_bytes());
    m
}

/// The number of a frame.
pub(crate) fn number(frame: &Mbuf) -> u64 {
    u64::from_be_bytes(frame.data()[NUMBER].try_into().expect("eight octets"))
}

/// Sends `count` frames of 60 octets, one each `gap`, the first at `gap`; shows what arrives.
pub(crate) fn flood(
    config: ImpairConfig,
    seed: u64,
    count: u64,
    gap: Duration,
    mut arrives: impl FnMut(Arrival),
) {
    let mut wire = Impair::new(config, seed);
    let sent = |n: u64| Instant::ZERO + gap * (n as u32 + 1);
    let mut take = |wire: &mut Impair, until: Instant| {
        while let Some(at) = wire.next().filter(|at| *at <= until) {
            while let Some(frame) = wire.pop(at) {
                let n = number(&frame);
                arrives(Arrival { n, after: at.since(sent(n)), frame });
            }
        }
        while wire.take_dropped().is_some() {}
    };
    for n in 0..count {
        take(&mut wire, sent(n));
        wire.push(sent(n), frame(n, 60));
    }
    take(&mut wire, Instant::from_nanos(u64::MAX));
    assert!(wire.is_empty());
}

/// Asserts that `seen` is within three standard deviations of `meant`.
#[track_caller]
pub(crate) fn within_3_sigma(what: &str, seen: f64, meant: f64, sigma: f64) {
    let off = (seen - meant).abs() / sigma;
    assert!(off <= 3.0, "{what}: {seen} instead of {meant}, off by {off:.1} standard deviations");
}

/// The same for how often something with probability `p` happened in `n` independent trials.
#[track_caller]
pub(crate) fn as_often_as(what: &str, seen: u64, n: u64, p: f64) {
    let n = n as f64;
    within_3_sigma(what, seen as f64, n * p, libm::sqrt(n * p * (1.0 - p)));
}

/// Random numbers for what is sent (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// One from `low` to below `high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (z ^ (z >> 31)) % (high - low)
    }
}
