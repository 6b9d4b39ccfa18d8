//! What happens to frames that leave by an interface, as a configuration and a request say it.

use crate::filter::Filter;
use netstack::link::queue::{CoDelConfig, QueueConfig};
use netstack::link::{Chance, Distribution, ImpairConfig, Loss};
use netstack::time::Duration;
use serde::{Deserialize, Serialize};

/// An impairment. What is left out does not happen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impairment {
    /// How much later frames arrive, in nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub delay_ns: u64,
    /// How much that varies, in nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter_ns: u64,
    /// How it does.
    #[serde(skip_serializing_if = "is_default")]
    pub distribution: Spread,
    /// How much of the last frame's jitter is in the next one's, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter_correlation: f64,
    /// Frames that do not arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Losses>,
    /// Frames that do not arrive, by their numbers among those that leave by the interface, from 1.
    #[serde(skip_serializing_if = "is_default")]
    pub lose: Vec<u64>,
    /// Frames that do not arrive, by filters.
    #[serde(skip_serializing_if = "is_default")]
    pub drop: Vec<DropRule>,
    /// Frames that all the rest happens to; others pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Filter>,
    /// Octets of the longest packet that passes, the Ethernet header not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<usize>,
    /// Share of frames that arrive twice, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate: f64,
    /// How much like the last frame the next one fares in that, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub duplicate_correlation: f64,
    /// Share of frames that arrive ahead of others, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub reorder: f64,
    /// How much like the last frame the next one fares in that, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub reorder_correlation: f64,
    /// Share of frames with one bit turned, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub corrupt: f64,
    /// How much like the last frame the next one fares in that, 0 to 1.
    #[serde(skip_serializing_if = "is_default")]
    pub corrupt_correlation: f64,
    /// Bits a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Octets that may leave at once after a pause.
    #[serde(skip_serializing_if = "is_default")]
    pub burst: usize,
    /// Octets that wait for the rate, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<usize>,
    /// Frames that do, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_frames: Option<usize>,
    /// How these are managed.
    #[serde(skip_serializing_if = "is_default")]
    pub aqm: Aqm,
    /// Frames that wait or are on their way, at most; 1000 if left out, as in netem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// What decides which frame meets which fate.
    pub seed: u64,
}

/// Frames of a kind that do not arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRule {
    /// Which.
    pub filter: Filter,
    /// Of these the ones with these numbers, from 1; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
}

/// How delays are spread by the jitter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spread {
    /// Evenly.
    #[default]
    Uniform,
    /// Normal.
    Normal,
    /// Pareto.
    Pareto,
    /// One quarter normal, three quarters Pareto.
    ParetoNormal,
    /// Values of equal probability, in order, in units of the jitter.
    Table(Vec<f32>),
}

/// How frames get lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum Losses {
    /// Each for itself.
    Random {
        /// Probability of a loss.
        p: f64,
        /// How much like the last frame the next one fares, 0 to 1.
        #[serde(default, skip_serializing_if = "is_default")]
        correlation: f64,
    },
    /// In bursts.
    GilbertElliott {
        /// Good to bad.
        p: f64,
        /// Bad to good.
        r: f64,
        /// A frame passes in the bad state.
        h: f64,
        /// A frame passes in the good state.
        k: f64,
    },
}

/// Queue management.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aqm {
    /// What does not fit is lost.
    #[default]
    Tail,
    /// Random early detection, from a quarter to three quarters of the queue.
    Red,
    /// Controlled delay (RFC 8289), with ECN.
    Codel,
    /// The same for each flow (RFC 8290).
    FqCodel,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Octets of a queue of which nobody has said how long it is, for [`Aqm::Red`].
const TYPICAL_QUEUE: usize = 128 << 10;
/// Octets of a full frame: what [`Aqm::Red`] takes one of a queue of frames for.
const FULL_FRAME: usize = 1514;
/// Flows and octets of a turn of [`Aqm::FqCodel`], as on Linux.
const FLOWS: (usize, usize) = (1024, 1514);

impl Impairment {
    /// The same for the stack.
    pub fn config(&self) -> ImpairConfig {
        let frames = self.queue_frames.map(|frames| frames.saturating_mul(FULL_FRAME));
        let octets = self.queue.or(frames).unwrap_or(TYPICAL_QUEUE);
        ImpairConfig {
            delay: Duration::from_nanos(self.delay_ns),
            jitter: Duration::from_nanos(self.jitter_ns),
            distribution: match &self.distribution {
                Spread::Uniform => Distribution::Uniform,
                Spread::Normal => Distribution::Normal,
                Spread::Pareto => Distribution::Pareto,
                Spread::ParetoNormal => Distribution::ParetoNormal,
                Spread::Table(values) => Distribution::Table(values.as_slice().into()),
            },
            delay_correlation: self.jitter_correlation,
            loss: match self.loss {
                None => Loss::default(),
                Some(Losses::Random { p, correlation }) => Loss::Random(Chance { p, correlation }),
                Some(Losses::GilbertElliott { p, r, h, k }) => Loss::GilbertElliott { p, r, h, k },
            },
            lose: self.lose.clone(),
            duplicate: Chance { p: self.duplicate, correlation: self.duplicate_correlation },
            reorder: Chance { p: self.reorder, correlation: self.reorder_correlation },
            corrupt: Chance { p: self.corrupt, correlation: self.corrupt_correlation },
            rate: self.rate,
            burst: self.burst,
            queue: match self.aqm {
                Aqm::Tail => QueueConfig::Tail,
                Aqm::Red => {
                    QueueConfig::Red { min: octets / 4, max: octets / 4 * 3, probability: 0.02, ecn: true }
                }
                Aqm::Codel => QueueConfig::CoDel(CoDelConfig::default()),
                Aqm::FqCodel => {
                    QueueConfig::FqCoDel { codel: CoDelConfig::default(), flows: FLOWS.0, quantum: FLOWS.1 }
                }
            },
            queue_octets: self.queue,
            queue_frames: self.queue_frames,
            limit: self.limit.unwrap_or(ImpairConfig::default().limit),
        }
    }

    /// Whether nothing happens.
    pub fn is_nothing(&self) -> bool {
        self.config() == ImpairConfig::default() && self.drop.is_empty() && self.mtu.is_none()
    }

    /// What makes no sense in it.
    pub fn fault(&self) -> Option<&'static str> {
        let share = |p: f64| (0.0..=1.0).contains(&p);
        let loss = match self.loss {
            None => true,
            Some(Losses::Random { p, correlation }) => share(p) && share(correlation),
            Some(Losses::GilbertElliott { p, r, h, k }) => [p, r, h, k].into_iter().all(share),
        };
        match () {
            () if !loss => Some("a loss is a share from 0 to 1"),
            () if ![self.duplicate, self.reorder, self.corrupt].into_iter().all(share) => {
                Some("duplicate, reorder and corrupt are shares from 0 to 1")
            }
            () if ![
                self.jitter_correlation,
                self.duplicate_correlation,
                self.reorder_correlation,
                self.corrupt_correlation,
            ]
            .into_iter()
            .all(share) =>
            {
                Some("a correlation is a share from 0 to 1")
            }
            () if matches!(&self.distribution, Spread::Table(values) if values.is_empty() || !values.iter().all(|v| v.is_finite())) => {
                Some("a distribution needs numbers")
            }
            () if self.rate == Some(0) => Some("a rate of 0 lets nothing through"),
            () if self.limit == Some(0) => Some("a limit of 0 lets nothing through"),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_does_not_happen() {
        let said: Impairment = serde_json::from_str(r#"{"seed":7}"#).unwrap();
        assert!(said.is_nothing() && said.fault().is_none());
        let text = r#"{"delay_ns":5,"loss":{"model":"gilbert-elliott","p":0.1,"r":0.5,"h":0.0,"k":1.0},"aqm":"fq-codel","seed":7}"#;
        let said: Impairment = serde_json::from_str(text).unwrap();
        assert!(!said.is_nothing() && said.fault().is_none());
        assert_eq!(serde_json::to_string(&said).unwrap(), text);
        assert!(serde_json::from_str::<Impairment>(r#"{"seed":7,"delay":5}"#).is_err());
    }

    #[test]
    fn shares_are_shares() {
        let faulty = [
            Impairment { duplicate: 1.1, ..Impairment::default() },
            Impairment { loss: Some(Losses::Random { p: -0.1, correlation: 0.0 }), ..Impairment::default() },
            Impairment { jitter_correlation: 2.0, ..Impairment::default() },
            Impairment { distribution: Spread::Table(vec![f32::NAN]), ..Impairment::default() },
            Impairment { distribution: Spread::Table(vec![]), ..Impairment::default() },
            Impairment { corrupt: f64::NAN, ..Impairment::default() },
            Impairment { rate: Some(0), ..Impairment::default() },
            Impairment { limit: Some(0), ..Impairment::default() },
        ];
        assert!(faulty.iter().all(|one| one.fault().is_some()));
    }
}
