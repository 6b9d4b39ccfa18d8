//! Losses, copies, turned bits and overtaking: how many of a million frames, and how they follow each other.

use crate::floor::{FILL, MILLION, as_often_as, flood, within_3_sigma};
use netstack::link::{Chance, ImpairConfig, Loss};
use netstack::time::Duration;

const GAP: Duration = Duration::from_micros(1);

/// Which of a million frames are lost.
fn lost(loss: Loss, seed: u64) -> Vec<bool> {
    let mut lost = vec![true; MILLION as usize];
    let config = ImpairConfig { loss, ..ImpairConfig::default() };
    flood(config, seed, MILLION, GAP, |arrival| lost[arrival.n as usize] = false);
    lost
}

fn count(lost: &[bool]) -> u64 {
    lost.iter().filter(|lost| **lost).count() as u64
}

/// The lengths of the bursts of losses.
fn bursts(lost: &[bool]) -> Vec<f64> {
    let bursts = lost.split(|lost| !lost).map(<[bool]>::len);
    bursts.filter(|len| *len > 0).map(|len| len as f64).collect()
}

/// Mean, and the standard deviation of that mean.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0);
    (mean, libm::sqrt(variance / n))
}

#[test]
fn each_frame_is_lost_for_itself() {
    for (p, seed) in [(0.0001, 11), (0.01, 12), (0.1, 13), (0.5, 14), (0.97, 15)] {
        let lost = lost(Loss::Random(Chance::of(p)), seed);
        as_often_as(&format!("lost of {p}"), count(&lost), MILLION, p);
        // Pairs overlap: that is in their variance.
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
        let n = MILLION as f64;
        let sigma = p * libm::sqrt(n * (1.0 - p) * (1.0 + 3.0 * p));
        within_3_sigma(&format!("two in a row of {p}"), pairs as f64, n * p * p, sigma);
    }
}

/// In the stationary chain the share of the bad state is B = p / (p + r); what one frame's state tells of the
/// next one's is l = 1 - p - r. With losses a = 1 - h there and b = 1 - k in the good state
///
/// - the mean loss is m = B a + (1 - B) b,
/// - frames that are i apart have the covariance c l^i, where c = (a - b)^2 B (1 - B): so n of them have
///   losses of variance n (m (1 - m) + 2 c l / (1 - l)),
/// - a burst begins where a loss follows none: their mean length is m / (m - m^2 - c l).
#[test]
fn gilbert_and_elliott_lose_as_much_and_in_such_bursts_as_their_formulas_say() {
    for ((p, r, h, k), seed) in [
        ((0.01, 0.25, 0.0, 1.0), 21),
        ((0.001, 0.1, 0.0, 1.0), 22),
        ((0.01, 0.3, 0.1, 0.999), 23),
        ((0.05, 0.2, 0.5, 0.99), 24),
        ((0.2, 0.9, 0.2, 0.9), 25),
    ] {
        let (a, b) = (1.0 - h, 1.0 - k);
        let (bad, l) = (p / (p + r), 1.0 - p - r);
        let m = bad * a + (1.0 - bad) * b;
        let c = (a - b) * (a - b) * bad * (1.0 - bad);
        let lost = lost(Loss::GilbertElliott { p, r, h, k }, seed);
        let n = MILLION as f64;
        let sigma = libm::sqrt(n * (m * (1.0 - m) + 2.0 * c * l / (1.0 - l)));
        let what = format!("p {p} r {r} h {h} k {k}");
        within_3_sigma(&format!("{what}: losses"), count(&lost) as f64, n * m, sigma);
        let (length, sigma) = mean(&bursts(&lost));
        within_3_sigma(&format!("{what}: lengths of bursts"), length, m / (m - m * m - c * l), sigma);
    }
}

#[test]
fn a_simple_gilbert_chain_has_bursts_of_1_by_r_and_pauses_of_1_by_p() {
    let (p, r) = (0.02, 0.4);
    let lost = lost(Loss::GilbertElliott { p, r, h: 0.0, k: 1.0 }, 31);
    let passed: Vec<bool> = lost.iter().map(|lost| !lost).collect();
    for (what, frames, meant) in [("bursts", lost, 1.0 / r), ("pauses", passed, 1.0 / p)] {
        let (length, sigma) = mean(&bursts(&frames));
        within_3_sigma(what, length, meant, sigma);
    }
}

#[test]
fn copies_come_as_often_as_is_said() {
    for (p, seed) in [(0.01, 41), (0.3, 42)] {
        let mut arrived = vec![0u8; MILLION as usize];
        let config = ImpairConfig { duplicate: Chance::of(p), ..ImpairConfig::default() };
        flood(config, seed, MILLION, GAP, |arrival| arrived[arrival.n as usize] += 1);
        assert!(arrived.iter().all(|times| (1..=2).contains(times)));
        let twice = arrived.iter().filter(|times| **times == 2).count();
        as_often_as("twice", twice as u64, MILLION, p);
    }
}

#[test]
fn one_bit_of_as_many_frames_as_is_said_is_turned_anywhere() {
    let p = 0.05;
    let (mut spoiled, mut halves) = (0, [0u64; 2]);
    let config = ImpairConfig { corrupt: Chance::of(p), ..ImpairConfig::default() };
    flood(config, 51, MILLION, Duration::ZERO, |arrival| {
        let octets = arrival.frame.data();
        let outside = octets.iter().enumerate().filter(|(at, _)| !(14..22).contains(at));
        let turned: u32 = outside.clone().map(|(_, octet)| (octet ^ FILL).count_ones()).sum();
        assert!(turned <= 1);
        if turned == 1 {
            spoiled += 1;
            let at = outside.clone().find(|(_, octet)| **octet != FILL).map_or(0, |(at, _)| at);
            halves[usize::from(at >= 30)] += 1;
        }
    });
    // Eight octets of the sixty are the number.
    as_often_as("spoiled beside the number", spoiled, MILLION, p * 52.0 / 60.0);
    as_often_as("in the first half", halves[0], spoiled, 22.0 / 52.0);
}

#[test]
fn as_many_frames_overtake_as_is_said() {
    let delay = Duration::from_micros(20);
    for (p, seed) in [(0.01, 61), (0.25, 62)] {
        let (mut ahead, mut overtaken, mut last) = (0, 0u64, 0);
        let config = ImpairConfig { delay, reorder: Chance::of(p), ..ImpairConfig::default() };
        flood(config, seed, MILLION, GAP, |arrival| {
            assert!(arrival.after == delay || arrival.after.is_zero());
            ahead += u64::from(arrival.after.is_zero());
            overtaken += u64::from(arrival.n < last);
            last = last.max(arrival.n);
        });
        as_often_as("ahead", ahead, MILLION, p);
        // A frame is overtaken if it is not ahead, but one of the nineteen is that are sent before it arrives.
        let meant = (1.0 - p) * (1.0 - libm::pow(1.0 - p, 19.0));
        // Frames up to nineteen apart have some of these in common.
        let sigma = libm::sqrt(MILLION as f64 * meant * (1.0 - meant) * 39.0);
        within_3_sigma("overtaken", overtaken as f64, MILLION as f64 * meant, sigma);
    }
}

#[test]
fn what_one_setting_does_changes_nothing_of_another() {
    let loss = Loss::Random(Chance::of(0.1));
    let alone = lost(loss, 71);
    let mut both = vec![true; MILLION as usize];
    let delay = Duration::from_micros(50);
    let config =
        ImpairConfig { loss, delay, jitter: delay / 2, reorder: Chance::of(0.2), ..ImpairConfig::default() };
    flood(config, 71, MILLION, GAP, |arrival| both[arrival.n as usize] = false);
    assert!(alone == both, "the same frames are lost");
}
