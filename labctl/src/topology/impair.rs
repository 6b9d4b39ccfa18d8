//! Impairments: what a wire does to frames, in the words of `tc-netem` and `tc-tbf`; and presets of them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::diag::{Code, Diag};
use super::read::{Cx, Int, Quantified, Read, Sp, Value, table, words};
use super::units::{Duration, Octets, Percent, Quantity, Rate};

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
    /// What happens to frames on the way out of a port. One-way: both directions of a bus have it each for itself.
    RawImpair {
        /// Begin with this preset; the other keys change it.
        preset: Option<Sp<String>>,
        /// How much later frames arrive.
        delay: Option<Sp<Quantified<Duration>>>,
        /// How much the delay varies.
        jitter: Option<Sp<Quantified<Duration>>>,
        /// How the jitter is spread: `uniform` (default), `normal`, `pareto`, `paretonormal`.
        distribution: Option<Sp<Distribution>>,
        /// Frames lost: `2%`, or a model.
        loss: Option<Sp<LossSpec>>,
        /// Frames that arrive twice.
        duplicate: Option<Sp<Quantified<Percent>>>,
        /// Frames sent at once, ahead of those that are delayed.
        reorder: Option<Sp<Quantified<Percent>>>,
        /// Frames with one bit turned.
        corrupt: Option<Sp<Quantified<Percent>>>,
        /// Bits per second.
        rate: Option<Sp<Quantified<Rate>>>,
        /// Octets that may leave at once after a pause.
        burst: Option<Sp<Quantified<Octets>>>,
        /// Octets that wait for the rate, at most.
        queue: Option<Sp<Quantified<Octets>>>,
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
    /// How the jitter is spread; uniform if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Frames lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Frames that arrive twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Percent>,
    /// Frames sent ahead of delayed ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Percent>,
    /// Frames with one bit turned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Percent>,
    /// Bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Octets that may leave at once after a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Octets>,
    /// Octets that wait for the rate, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Octets>,
    /// How these are managed; `tail` if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aqm: Option<Aqm>,
    /// Frames that wait, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The presets: name, what it is, and its keys in the words of `impair set`. Typical figures, one way.
pub const PRESETS: &[(&str, &str, &str)] = &[
    ("fiber", "fibre to the home", "delay 2ms rate 1gbit queue 1MiB"),
    ("cable", "DOCSIS", "delay 8ms jitter 1ms rate 100mbit queue 512kB"),
    ("dsl", "VDSL", "delay 12ms jitter 1ms rate 20mbit queue 128kB"),
    ("wifi", "a busy 802.11 cell", "delay 3ms jitter 2ms loss 0.5% rate 80mbit queue 256kB"),
    ("mobile-5g", "5G, good cell", "delay 8ms jitter 2ms loss 0.05% rate 200mbit queue 1MiB"),
    ("mobile-4g", "LTE, ordinary cell", "delay 25ms jitter 5ms loss 0.1% rate 30mbit queue 512kB"),
    ("mobile-3g", "HSPA", "delay 60ms jitter 15ms loss 0.5% rate 4mbit queue 256kB"),
    ("mobile-2g", "EDGE", "delay 200ms jitter 50ms loss 1% rate 200kbit queue 64kB"),
    ("satellite-leo", "low orbit", "delay 20ms jitter 6ms loss 0.3% rate 100mbit queue 1MiB"),
    ("satellite-geo", "geostationary orbit", "delay 280ms jitter 5ms loss 0.2% rate 20mbit queue 1MiB"),
    ("transatlantic", "a sea cable between continents", "delay 40ms jitter 500us"),
    ("lossy", "a bad line", "loss 5%"),
];

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
        needs(cx, raw.jitter.as_ref(), "jitter", "delay", raw.delay.is_some() || impair.delay.is_some());
        needs(cx, raw.reorder.as_ref(), "reorder", "delay", raw.delay.is_some() || impair.delay.is_some());
        needs(
            cx,
            raw.distribution.as_ref(),
            "distribution",
            "jitter",
            raw.jitter.is_some() || impair.jitter.is_some(),
        );
        let rate = raw.rate.is_some() || impair.rate.is_some();
        needs(cx, raw.burst.as_ref(), "burst", "rate", rate);
        needs(cx, raw.queue.as_ref(), "queue", "rate", rate);
        needs(cx, raw.aqm.as_ref(), "aqm", "rate", rate);
        if cx.diags.len() > faults {
            return None;
        }
        set(&mut impair.delay, raw.delay.map(|v| v.value.0));
        set(&mut impair.jitter, raw.jitter.map(|v| v.value.0));
        set(&mut impair.distribution, raw.distribution.map(|v| v.value));
        set(&mut impair.loss, raw.loss.map(|v| v.value.0));
        set(&mut impair.duplicate, raw.duplicate.map(|v| v.value.0));
        set(&mut impair.reorder, raw.reorder.map(|v| v.value.0));
        set(&mut impair.corrupt, raw.corrupt.map(|v| v.value.0));
        set(&mut impair.rate, raw.rate.map(|v| v.value.0));
        set(&mut impair.burst, raw.burst.map(|v| v.value.0));
        set(&mut impair.queue, raw.queue.map(|v| v.value.0));
        set(&mut impair.aqm, raw.aqm.map(|v| v.value));
        set(&mut impair.limit, raw.limit.map(|v| v.0 as u32));
        Some(Self(impair))
    }
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
        cx.push(diag.meant(name, PRESETS.iter().map(|(name, ..)| *name)));
    }
    found
}

impl Impair {
    /// The preset of that name.
    pub fn preset(name: &str) -> Option<Self> {
        let (.., words) = PRESETS.iter().find(|(known, ..)| *known == name)?;
        Self::default().with_words(&words.split(' ').collect::<Vec<_>>()).ok()
    }

    /// Changes it by words as `tc` takes them: a preset's name, or `delay 20ms jitter 2ms loss 2%` (`delay=20ms` too).
    ///
    /// # Errors
    /// One line that says which word is wrong.
    pub fn with_words(mut self, words: &[&str]) -> Result<Self, String> {
        let mut flat = words.iter().flat_map(|word| word.splitn(2, '=')).peekable();
        while let Some(key) = flat.next() {
            if let Some(preset) = Self::preset_word(key) {
                self = preset;
                continue;
            }
            let Some(value) = flat.next() else { return Err(format!("\"{key}\" needs a value")) };
            self.set_word(key, value)?;
        }
        Ok(self)
    }

    /// A preset is looked up only by words that are no keys, so that presets may be written with keys.
    fn preset_word(word: &str) -> Option<Self> {
        PRESETS.iter().any(|(name, ..)| *name == word).then(|| Self::preset(word)).flatten()
    }

    fn set_word(&mut self, key: &str, value: &str) -> Result<(), String> {
        fn unit<T: Quantity>(value: &str) -> Result<Option<T>, String> {
            let bad = |e| format!("\"{value}\" is not a {}: {e}; write it as {}", T::NOUN, T::EXAMPLE);
            T::parse(value).map(Some).map_err(bad)
        }
        match key {
            "delay" => self.delay = unit(value)?,
            "jitter" => self.jitter = unit(value)?,
            "distribution" => {
                let found = Distribution::WORDS.iter().find(|(word, _)| *word == value);
                self.distribution =
                    Some(found.ok_or_else(|| format!("no distribution is called \"{value}\""))?.1);
            }
            "loss" => self.loss = unit(value)?.map(|p| Loss::Random { p }),
            "duplicate" => self.duplicate = unit(value)?,
            "reorder" => self.reorder = unit(value)?,
            "corrupt" => self.corrupt = unit(value)?,
            "rate" => self.rate = unit(value)?,
            "burst" => self.burst = unit(value)?,
            "queue" => self.queue = unit(value)?,
            "aqm" => {
                let found = Aqm::WORDS.iter().find(|(word, _)| *word == value);
                self.aqm = Some(found.ok_or_else(|| format!("no queue management is called \"{value}\""))?.1);
            }
            "limit" => {
                self.limit =
                    Some(value.parse().map_err(|_| format!("\"{value}\" is not a number of frames"))?)
            }
            _ => return Err(format!("no impairment is called \"{key}\"")),
        }
        Ok(())
    }
}

impl std::fmt::Display for Impair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut words: Vec<String> = Vec::new();
        let mut say = |key: &str, value: Option<String>| words.extend(value.map(|v| format!("{key} {v}")));
        say("delay", self.delay.map(|v| v.to_string()));
        say("jitter", self.jitter.map(|v| v.to_string()));
        say("distribution", self.distribution.map(|v| v.as_str().to_owned()));
        say(
            "loss",
            self.loss.map(|loss| match loss {
                Loss::Random { p } => p.to_string(),
                Loss::GilbertElliott { p, r, h, k } => format!("gilbert-elliott p {p} r {r} h {h} k {k}"),
            }),
        );
        say("duplicate", self.duplicate.map(|v| v.to_string()));
        say("reorder", self.reorder.map(|v| v.to_string()));
        say("corrupt", self.corrupt.map(|v| v.to_string()));
        say("rate", self.rate.map(|v| v.to_string()));
        say("burst", self.burst.map(|v| v.to_string()));
        say("queue", self.queue.map(|v| v.to_string()));
        say("aqm", self.aqm.map(|v| v.as_str().to_owned()));
        say("limit", self.limit.map(|v| v.to_string()));
        f.write_str(&words.join(" "))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_reads_and_is_written_back() {
        for (name, _, words) in PRESETS {
            let preset = Impair::preset(name).unwrap_or_else(|| panic!("{name}"));
            let again = Impair::default().with_words(&preset.to_string().split(' ').collect::<Vec<_>>());
            assert_eq!(again, Ok(preset), "{name}: {words}");
        }
    }

    #[test]
    fn words_are_those_of_tc() {
        let impair = Impair::default().with_words(&["mobile-4g", "loss=2%", "delay", "10ms"]).unwrap();
        assert_eq!(impair.to_string(), "delay 10ms jitter 5ms loss 2% rate 30mbit queue 512KiB");
        for bad in [&["delay"][..], &["delay", "20"], &["dealy", "20ms"], &["limit", "x"]] {
            assert!(Impair::default().with_words(bad).is_err(), "{bad:?}");
        }
    }
}
