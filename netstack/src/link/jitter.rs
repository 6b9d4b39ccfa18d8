//! How delays are spread: by netem's distributions as iproute2 makes its tables, in units of the jitter, of
//! mean 0 and cut at four as these are. Computed by a library in software, so that a seed gives the same
//! delays on every machine.

use super::fate::unit;
use std::sync::Arc;

/// How the delay varies.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Distribution {
    /// Evenly, from delay - jitter to delay + jitter.
    #[default]
    Uniform,
    /// The normal distribution; jitter is the standard deviation.
    Normal,
    /// The Pareto distribution with exponent 3 and least value 1, less its mean, times 4/3.
    Pareto,
    /// One quarter of the normal and three quarters of the Pareto value of the same probability.
    ParetoNormal,
    /// Values of equal probability, in order, in units of the jitter (netem's tables, divided by 8192).
    Table(Arc<[f32]>),
}

/// The exponent of the Pareto distribution.
const PARETO_SHAPE: f64 = 3.0;
/// Of deviation 1 it would have by sqrt(4/3): iproute2 divides by the variance.
const PARETO_SCALE: f64 = 4.0 / 3.0;
/// No value is further from the mean.
const CUT: f64 = 4.0;

impl Distribution {
    /// The value for 64 random bits, in units of the jitter.
    pub(super) fn value(&self, bits: u64) -> f64 {
        match self {
            Distribution::Uniform => 2.0 * unit(bits) - 1.0,
            Distribution::Normal => normal(bits).clamp(-CUT, CUT),
            Distribution::Pareto => pareto(1.0 - unit(bits)),
            Distribution::ParetoNormal => {
                let z = normal(bits);
                0.25 * z.clamp(-CUT, CUT) + 0.75 * pareto(above(z))
            }
            Distribution::Table(values) => match values.len() {
                0 => 0.0,
                len => f64::from(values[((unit(bits) * len as f64) as usize).min(len - 1)]),
            },
        }
    }
}

/// Box and Muller: of two halves of the bits.
fn normal(bits: u64) -> f64 {
    let half = |b: u64| ((b & 0xffff_ffff) as f64 + 0.5) / (1u64 << 32) as f64;
    let (a, b) = (half(bits >> 32), half(bits));
    libm::sqrt(-2.0 * libm::log(a)) * libm::cos(2.0 * core::f64::consts::PI * b)
}

/// The share of the normal distribution above `z`.
fn above(z: f64) -> f64 {
    0.5 * libm::erfc(z * core::f64::consts::FRAC_1_SQRT_2)
}

/// The value of the Pareto distribution of which a share `above` is greater.
fn pareto(above: f64) -> f64 {
    let mean = PARETO_SHAPE / (PARETO_SHAPE - 1.0);
    ((libm::pow(above, -1.0 / PARETO_SHAPE) - mean) * PARETO_SCALE).min(CUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::fate::{Dice, Draw};

    fn sorted(distribution: &Distribution, n: u64) -> Vec<f64> {
        let dice = Dice::new(7);
        let mut values: Vec<f64> = (0..n).map(|i| distribution.value(dice.bits(i, Draw::Delay))).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The greatest distance between what was drawn and what is meant: Kolmogorov and Smirnov's.
    fn distance(values: &[f64], meant: impl Fn(f64) -> f64) -> f64 {
        let n = values.len() as f64;
        let gap = |(i, v): (usize, &f64)| {
            (meant(*v) - i as f64 / n).abs().max((meant(*v) - (i + 1) as f64 / n).abs())
        };
        values.iter().enumerate().map(gap).fold(0.0, f64::max)
    }

    /// What n draws of the distribution itself stay below with a probability of 0.999.
    fn critical(n: u64) -> f64 {
        1.95 / libm::sqrt(n as f64)
    }

    #[test]
    fn delays_are_spread_as_is_said() {
        let n = 100_000;
        let uniform = sorted(&Distribution::Uniform, n);
        assert!(distance(&uniform, |x| (x + 1.0) / 2.0) < critical(n));
        let normal = sorted(&Distribution::Normal, n);
        let phi = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
        assert!(distance(&normal[1..normal.len() - 1], phi) < critical(n));
        let pareto = sorted(&Distribution::Pareto, n);
        let below: Vec<f64> = pareto.iter().copied().filter(|v| *v < CUT).collect();
        let scale = pareto.len() as f64 / below.len() as f64;
        let meant = |x: f64| (1.0 - libm::pow(x / PARETO_SCALE + 1.5, -3.0)) * scale;
        assert!(distance(&below, meant) < critical(n) * 2.0);
    }

    #[test]
    fn a_table_gives_each_of_its_values_as_often() {
        let table = Distribution::Table([-1.0, 0.0, 2.0].into());
        let values = sorted(&table, 30_000);
        for v in [-1.0, 0.0, 2.0] {
            let share = values.iter().filter(|x| **x == v).count();
            assert!((9_500..10_500).contains(&share), "{v}: {share}");
        }
        assert_eq!(Distribution::Table([].into()).value(9), 0.0);
    }

    #[test]
    fn means_and_deviations_are_those_of_the_unit() {
        for d in [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal] {
            let values = sorted(&d, 200_000);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.06, "{d:?}: {mean}");
        }
    }
}
