//! Impairments: what a wire does to frames, in the words of `tc-netem` and `tc-tbf`.
//!
//! | file | what |
//! |---|---|
//! | `words` | the same as words: `delay 20ms loss 1%` |
//! | `presets` | the named ones |
//! | `spread` | distributions of delays, also from files |

mod presets;
mod spread;
mod words;

pub use presets::PRESETS;
pub use spread::{Distribution, Spread, Table};

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::diag::{Code, Diag};
use super::read::{Cx, Int, List, OneOrMany, Quantified, Read, Sp, Value, table, words};
use super::units::{Duration, Octets, Percent, QueueLength, Rate};

words! {
    /// How frames that wait for the rate are managed.
    Aqm {
        /// What does not fit is lost.
        Tail = "tail",
        /// Random early detection, from a quarter to three quarters of the queue.
        Red = "red",
        /// Controlled delay (RFC 8289), with ECN.
        Codel = "codel",
        /// The same for each flow (RFC 8290).
        FqCodel = "fq-codel",
    }
}

words! {
    /// How losses come.
    LossModel {
        /// Each frame for itself.
        Random = "random",
        /// In bursts: a good and a bad state.
        GilbertElliott = "gilbert-elliott",
    }
}

table! {
    /// Losses by a model.
    RawLoss {
        /// `random` (with `p`) or `gilbert-elliott` (with `p`, `r`, and perhaps `h`, `k`).
        model: Sp<LossModel>,
        /// Random: the probability of a loss. Gilbert-Elliott: that of going from the good to the bad state.
        p: Sp<Quantified<Percent>>,
        /// Gilbert-Elliott: the probability of going from the bad to the good state.
        r: Option<Sp<Quantified<Percent>>>,
        /// Gilbert-Elliott: the probability that a frame passes in the bad state (default 0%).
        h: Option<Sp<Quantified<Percent>>>,
        /// Gilbert-Elliott: the probability that a frame passes in the good state (default 100%).
        k: Option<Sp<Quantified<Percent>>>,
    }
}

table! {
    /// Frames lost by what they are: `{ filter = "tcp.flags.syn", nth = 2 }` is the second SYN.
    RawDrop {
        /// Which.
        filter: Sp<String>,
        /// Of these the ones with these numbers, from 1 (default all).
        nth: Option<Sp<OneOrMany<Int<1, { i64::MAX as u64 }>>>>,
    }
}

table! {
    /// What happens to frames on the way out of a port. One-way: both directions of a bus have it each for itself.
    RawImpair {
        /// Begin with this preset; the other keys change it.
        preset: Option<Sp<String>>,
        /// How much later frames arrive.
        delay: Option<Sp<Quantified<Duration>>>,
        /// How much the delay varies.
        jitter: Option<Sp<Quantified<Duration>>>,
        /// How much of the last frame's jitter is in the next one's.
        jitter_correlation: Option<Sp<Quantified<Percent>>>,
        /// How the jitter is spread: `uniform` (default), `normal`, `pareto`, `paretonormal`, or a file: a table of netem's, or
        /// delays that were measured (`12.5ms`, one a line), which say delay and jitter too.
        distribution: Option<Sp<String>>,
        /// Frames lost: `2%`, or a model.
        loss: Option<Sp<LossSpec>>,
        /// How much like the last frame the next one fares.
        loss_correlation: Option<Sp<Quantified<Percent>>>,
        /// Frames lost by their numbers among those that leave by the port, from 1.
        lose: Option<Sp<OneOrMany<Int<1, { i64::MAX as u64 }>>>>,
        /// Frames lost by what they are.
        drop: Option<Sp<List<RawDrop>>>,
        /// A filter: everything else here happens to these frames only.
        only: Option<Sp<String>>,
        /// Octets of the longest packet that gets through.
        mtu: Option<Sp<Int<68, 65535>>>,
        /// Frames that arrive twice.
        duplicate: Option<Sp<Quantified<Percent>>>,
        /// How much like the last frame the next one fares.
        duplicate_correlation: Option<Sp<Quantified<Percent>>>,
        /// Frames sent at once, ahead of those that are delayed.
        reorder: Option<Sp<Quantified<Percent>>>,
        /// How much like the last frame the next one fares.
        reorder_correlation: Option<Sp<Quantified<Percent>>>,
        /// Frames with one bit turned.
        corrupt: Option<Sp<Quantified<Percent>>>,
        /// How much like the last frame the next one fares.
        corrupt_correlation: Option<Sp<Quantified<Percent>>>,
        /// Bits per second.
        rate: Option<Sp<Quantified<Rate>>>,
        /// Octets that may leave at once after a pause.
        burst: Option<Sp<Quantified<Octets>>>,
        /// What waits for the rate, at most: octets (`64kB`) or frames (`100p`).
        queue: Option<Sp<Quantified<QueueLength>>>,
        /// How these are managed: `tail` (default), `red`, `codel`, `fq-codel`.
        aqm: Option<Sp<Aqm>>,
        /// Frames that wait for delay or rate, at most (default 1000, as in netem).
        limit: Option<Sp<Int<1, 10_000_000>>>,
    }
}

/// `loss = "2%"` or a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossSpec(pub Loss);

/// How frames get lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "model", rename_all = "kebab-case")]
pub enum Loss {
    /// Each frame for itself.
    Random {
        /// Probability of a loss.
        p: Percent,
    },
    /// Two states (Gilbert 1960, Elliott 1963).
    GilbertElliott {
        /// Good to bad.
        p: Percent,
        /// Bad to good.
        r: Percent,
        /// A frame passes in the bad state.
        h: Percent,
        /// A frame passes in the good state.
        k: Percent,
    },
}

/// What is meant: an impairment with its defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Impair {
    /// How much later frames arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// How much the delay varies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Duration>,
    /// How much of the last frame's jitter is in the next one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_correlation: Option<Percent>,
    /// How the jitter is spread; uniform if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Spread>,
    /// Frames lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// How much like the last frame the next one fares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_correlation: Option<Percent>,
    /// Frames lost by their numbers, from 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lose: Vec<u64>,
    /// Frames lost by what they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Drop>,
    /// Frames that all the rest happens to; all if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// Octets of the longest packet that gets through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Frames that arrive twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Percent>,
    /// How much like the last frame the next one fares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate_correlation: Option<Percent>,
    /// Frames sent ahead of delayed ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Percent>,
    /// How much like the last frame the next one fares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder_correlation: Option<Percent>,
    /// Frames with one bit turned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Percent>,
    /// How much like the last frame the next one fares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt_correlation: Option<Percent>,
    /// Bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Octets that may leave at once after a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Octets>,
    /// What waits for the rate, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueLength>,
    /// How these are managed; `tail` if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aqm: Option<Aqm>,
    /// Frames that wait, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Impair {
    /// Every filter in it, as it was written.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.drop.iter().map(|drop| drop.filter.as_str()).chain(self.only.as_deref())
    }
}

/// Frames of a kind that are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// Which, as it was written.
    pub filter: String,
    /// Of these the ones with these numbers, from 1; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
}

/// `impair = "mobile-4g"` or a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpairSpec(pub Impair);

impl Read for ImpairSpec {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        if let DeValue::String(_) = value.get_ref() {
            let name = Sp::<String>::read(value, cx)?;
            return preset(&name, cx).map(Self);
        }
        let raw = RawImpair::read(value, cx)?;
        let mut impair = match &raw.preset {
            Some(name) => preset(name, cx)?,
            None => Impair::default(),
        };
        let faults = cx.diags.len();
        let spread = raw.distribution.as_ref().and_then(|typed| spread(typed, cx));
        // Delays that were measured say the delay and the jitter.
        if let Some(Spread::Table(Table { measured: Some((mean, deviation)), .. })) = &spread {
            impair.delay = Some(*mean);
            impair.jitter = Some(*deviation);
        }
        let delay = raw.delay.is_some() || impair.delay.is_some();
        needs(cx, raw.jitter.as_ref(), "jitter", "delay", delay);
        needs(cx, raw.reorder.as_ref(), "reorder", "delay", delay);
        let jitter = raw.jitter.is_some() || impair.jitter.is_some();
        needs(cx, raw.distribution.as_ref(), "distribution", "jitter", jitter || spread.is_none());
        needs(cx, raw.jitter_correlation.as_ref(), "jitter_correlation", "jitter", jitter);
        let loss = raw.loss.is_some() || impair.loss.is_some();
        needs(cx, raw.loss_correlation.as_ref(), "loss_correlation", "loss", loss);
        let duplicate = raw.duplicate.is_some() || impair.duplicate.is_some();
        needs(cx, raw.duplicate_correlation.as_ref(), "duplicate_correlation", "duplicate", duplicate);
        let reorder = raw.reorder.is_some() || impair.reorder.is_some();
        needs(cx, raw.reorder_correlation.as_ref(), "reorder_correlation", "reorder", reorder);
        let corrupt = raw.corrupt.is_some() || impair.corrupt.is_some();
        needs(cx, raw.corrupt_correlation.as_ref(), "corrupt_correlation", "corrupt", corrupt);
        let rate = raw.rate.is_some() || impair.rate.is_some();
        needs(cx, raw.burst.as_ref(), "burst", "rate", rate);
        needs(cx, raw.queue.as_ref(), "queue", "rate", rate);
        needs(cx, raw.aqm.as_ref(), "aqm", "rate", rate);
        if cx.diags.len() > faults {
            return None;
        }
        cx.filters.extend(raw.only.clone());
        let drops = raw.drop.into_iter().flat_map(|list| list.value.0);
        impair.drop.extend(drops.map(|drop| {
            cx.filters.push(drop.filter.clone());
            Drop { filter: drop.filter.value.clone(), nth: numbers(drop.value.nth) }
        }));
        impair.lose.extend(numbers(raw.lose));
        let percent = |typed: Option<Sp<Quantified<Percent>>>| typed.map(|v| v.value.0);
        set(&mut impair.delay, raw.delay.map(|v| v.value.0));
        set(&mut impair.jitter, raw.jitter.map(|v| v.value.0));
        set(&mut impair.jitter_correlation, percent(raw.jitter_correlation));
        set(&mut impair.distribution, spread);
        set(&mut impair.loss, raw.loss.map(|v| v.value.0));
        set(&mut impair.loss_correlation, percent(raw.loss_correlation));
        set(&mut impair.only, raw.only.map(|v| v.value));
        set(&mut impair.mtu, raw.mtu.map(|v| v.0 as u16));
        set(&mut impair.duplicate, percent(raw.duplicate));
        set(&mut impair.duplicate_correlation, percent(raw.duplicate_correlation));
        set(&mut impair.reorder, percent(raw.reorder));
        set(&mut impair.reorder_correlation, percent(raw.reorder_correlation));
        set(&mut impair.corrupt, percent(raw.corrupt));
        set(&mut impair.corrupt_correlation, percent(raw.corrupt_correlation));
        set(&mut impair.rate, raw.rate.map(|v| v.value.0));
        set(&mut impair.burst, raw.burst.map(|v| v.value.0));
        set(&mut impair.queue, raw.queue.map(|v| v.value.0));
        set(&mut impair.aqm, raw.aqm.map(|v| v.value));
        set(&mut impair.limit, raw.limit.map(|v| v.0 as u32));
        Some(Self(impair))
    }
}

fn numbers(typed: Option<Sp<OneOrMany<Int<1, { i64::MAX as u64 }>>>>) -> Vec<u64> {
    typed.into_iter().flat_map(|list| list.value.0.into_iter().map(|number| number.0)).collect()
}

/// A word, or a file relative to the topology's folder.
fn spread(typed: &Sp<String>, cx: &mut Cx) -> Option<Spread> {
    let read = Spread::read(typed, &cx.base);
    read.map_err(|fault| cx.push(Diag::new(Code::BadDistribution, typed.span.clone(), fault))).ok()
}

fn set<T>(to: &mut Option<T>, typed: Option<T>) {
    if typed.is_some() {
        *to = typed;
    }
}

fn needs<T>(cx: &mut Cx, key: Option<&Sp<T>>, name: &str, other: &str, there: bool) {
    if let Some(key) = key.filter(|_| !there) {
        let message = format!("\"{name}\" needs \"{other}\"");
        cx.push(
            Diag::new(Code::MissingKey, key.span.clone(), message)
                .hint(format!("add \"{other}\", or leave \"{name}\" out")),
        );
    }
}

fn preset(name: &Sp<String>, cx: &mut Cx) -> Option<Impair> {
    let found = Impair::preset(name);
    if found.is_none() {
        let message = format!("no impairment preset is called \"{}\"", name.value);
        let diag = Diag::new(Code::UnknownPreset, name.span.clone(), message);
        let names: Vec<&str> = PRESETS.iter().map(|(name, ..)| *name).collect();
        let mut diag = diag.meant(name, names.iter().copied());
        // However many they are: nobody knows them by heart.
        diag.hint.get_or_insert_with(|| format!("known here: {}", names.join(", ")));
        cx.push(diag);
    }
    found
}

impl Read for LossSpec {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Quantified::<Percent>::read(value, cx).map(|p| Self(Loss::Random { p: p.0 }));
        }
        let raw = RawLoss::read(value, cx)?;
        let p = raw.p.value.0;
        match (raw.model.value, raw.r) {
            (LossModel::Random, None) => Some(Self(Loss::Random { p })),
            (LossModel::Random, Some(r)) => {
                let message = "\"r\" belongs to the model \"gilbert-elliott\"";
                cx.push(
                    Diag::new(Code::ConflictingKeys, r.span, message)
                        .other(raw.model.span, "the model is random"),
                );
                None
            }
            (LossModel::GilbertElliott, None) => {
                let message = "the model \"gilbert-elliott\" needs \"r\", the way back to the good state";
                cx.push(Diag::new(Code::MissingKey, raw.model.span, message));
                None
            }
            (LossModel::GilbertElliott, Some(r)) => {
                let h = raw.h.map_or(Percent(0.0), |h| h.value.0);
                let k = raw.k.map_or(Percent(1.0), |k| k.value.0);
                Some(Self(Loss::GilbertElliott { p, r: r.value.0, h, k }))
            }
        }
    }
}

impl JsonSchema for ImpairSpec {
    fn schema_name() -> Cow<'static, str> {
        "impair".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = PRESETS.iter().map(|(name, ..)| *name).collect();
        json_schema!({ "anyOf": [{ "type": "string", "enum": names }, generator.subschema_for::<RawImpair>()] })
    }
}

impl JsonSchema for LossSpec {
    fn schema_name() -> Cow<'static, str> {
        "loss".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let percent = generator.subschema_for::<Quantified<Percent>>();
        json_schema!({ "anyOf": [percent, generator.subschema_for::<RawLoss>()] })
    }
}
