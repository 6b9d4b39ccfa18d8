//! How a million delays are spread: the Kolmogorov-Smirnov test against the distribution that is meant.
//!
//! The distributions are those of netem's tables as iproute2 makes them, in units of the jitter, cut at
//! four of these:
//!
//! - normal: mean 0, deviation 1;
//! - pareto: of exponent 3 and least value 1, less its mean 3/2, times 4/3 (which makes its deviation
//!   1.155: iproute2 divides by the variance, and so do we);
//! - paretonormal: a quarter of the normal and three quarters of the Pareto value *of the same probability*.
//!
//! The laws are given as points (value, share that is not greater), so dense that what lies between them is
//! no matter; its bound is added to the distance.

use crate::floor::{MILLION, flood};
use netstack::link::{Distribution, ImpairConfig};
use netstack::time::Duration;

const DELAY: Duration = Duration::from_millis(50);
const JITTER: Duration = Duration::from_millis(10);
/// Points of a law.
const POINTS: u32 = 1 << 16;
/// No value is further from the mean.
const CUT: f64 = 4.0;

/// The delays of a million frames, in units of the jitter, less the mean; in order.
fn delays(distribution: Distribution, seed: u64) -> Vec<f64> {
    let config = ImpairConfig { delay: DELAY, jitter: JITTER, distribution, ..ImpairConfig::default() };
    let mut values = Vec::new();
    flood(config, seed, MILLION, Duration::from_millis(1), |arrival| {
        let ns = arrival.after.as_nanos() as f64 - DELAY.as_nanos() as f64;
        values.push(ns / JITTER.as_nanos() as f64);
    });
    values.sort_by(f64::total_cmp);
    values
}

/// The distance that as many draws of the law itself exceed with a probability of 0.01 (Kolmogorov's limit).
fn critical(n: usize) -> f64 {
    1.628 / libm::sqrt(n as f64)
}

/// The greatest distance between the shares that were seen and the law's.
fn distance(values: &[f64], law: &[(f64, f64)]) -> f64 {
    let share = |x: f64| values.partition_point(|v| *v <= x) as f64 / values.len() as f64;
    let at_points = law.iter().map(|(x, meant)| (share(*x) - meant).abs()).fold(0.0, f64::max);
    let between = law.windows(2).map(|two| two[1].1 - two[0].1).fold(0.0, f64::max);
    assert!(between < 1e-4, "the law's points are too far apart: {between}");
    at_points + between
}

/// A law whose value of the probability u is `quantile(u)`.
fn by_probability(quantile: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let points = (1..POINTS).map(|i| f64::from(i) / f64::from(POINTS));
    points.map(|u| (quantile(u), u)).filter(|(x, _)| x.abs() < CUT).collect()
}

/// A law of a normal variable: `value(z)` grows with z.
fn by_deviate(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let points = (0..=POINTS).map(|i| 9.0 * f64::from(i) / f64::from(POINTS) - 4.5);
    points.map(|z| (value(z), 1.0 - above(z))).filter(|(x, _)| x.abs() < CUT).collect()
}

/// The probability of a normal variable above z.
fn above(z: f64) -> f64 {
    0.5 * libm::erfc(z / core::f64::consts::SQRT_2)
}

/// The value of netem's Pareto distribution of which a share `above` is greater.
fn pareto(above: f64) -> f64 {
    ((libm::pow(above, -1.0 / 3.0) - 1.5) * 4.0 / 3.0).min(CUT)
}

#[track_caller]
fn assert_spread(distribution: Distribution, seed: u64, law: &[(f64, f64)]) {
    let values = delays(distribution.clone(), seed);
    assert_eq!(values.len() as u64, MILLION);
    let (d, limit) = (distance(&values, law), critical(values.len()));
    assert!(d < limit, "{distribution:?}: a distance of {d:.5}, at most {limit:.5} were meant");
}

#[test]
fn uniform() {
    assert_spread(Distribution::Uniform, 1, &by_probability(|u| 2.0 * u - 1.0));
}

#[test]
fn normal() {
    assert_spread(Distribution::Normal, 2, &by_deviate(|z| z));
}

#[test]
fn pareto_of_exponent_3() {
    assert_spread(Distribution::Pareto, 3, &by_probability(|u| pareto(1.0 - u)));
}

#[test]
fn a_quarter_normal_and_three_quarters_pareto() {
    let law = by_deviate(|z| 0.25 * z.clamp(-CUT, CUT) + 0.75 * pareto(above(z)));
    assert_spread(Distribution::ParetoNormal, 4, &law);
}

#[test]
fn a_table() {
    // Its values are steps: each point is the end of one.
    let values = [-1.5, -1.0, -0.25, 0.0, 0.5, 2.0, 3.5, 3.75];
    let seen = delays(Distribution::Table(values.map(|v| v as f32).into()), 5);
    let share = |x: f64| seen.partition_point(|v| *v <= x + 1e-6) as f64 / seen.len() as f64;
    for (i, x) in values.iter().enumerate() {
        let off = (share(*x) - (i + 1) as f64 / values.len() as f64).abs();
        assert!(off < critical(seen.len()), "{x}: off by {off:.5}");
    }
}

#[test]
fn frames_are_delayed_by_their_own_draws() {
    // Neighbours know nothing of each other: what the test above cannot see in values that are in order.
    let config = ImpairConfig {
        delay: DELAY,
        jitter: JITTER,
        distribution: Distribution::Normal,
        ..ImpairConfig::default()
    };
    let mut values = vec![0.0; MILLION as usize];
    flood(config, 6, MILLION, Duration::from_millis(1), |arrival| {
        let ns = arrival.after.as_nanos() as f64 - DELAY.as_nanos() as f64;
        values[arrival.n as usize] = ns / JITTER.as_nanos() as f64;
    });
    for lag in [1, 2, 7] {
        let product: f64 = values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
        let correlation = product / MILLION as f64;
        assert!(correlation.abs() < 3.0 / libm::sqrt(MILLION as f64), "{lag} apart: {correlation}");
    }
}
