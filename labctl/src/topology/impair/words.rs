//! Impairments as words, as `tc` and `impair set` take them: `delay 20ms jitter 2ms loss 2%`.

use super::spread::{Spread, Table};
use super::{Aqm, Drop, Impair, Loss, PRESETS};
use crate::topology::units::{Percent, Quantity};
use std::path::Path;

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
    pub fn with_words(self, words: &[&str]) -> Result<Self, String> {
        self.with_words_in(words, Path::new(""))
    }

    /// The same, with files relative to a folder.
    ///
    /// # Errors
    /// As [`Self::with_words`].
    pub fn with_words_in(mut self, words: &[&str], base: &Path) -> Result<Self, String> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if let Some(preset) = Self::preset_word(word) {
                self = preset;
                continue;
            }
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (*word, words.next().copied()),
            };
            let Some(value) = value else { return Err(format!("\"{key}\" needs a value")) };
            self.set_word(key, value, base)?;
        }
        Ok(self)
    }

    /// Whether a word of [`Self::with_words`] is followed by a filter, which has blanks.
    pub fn takes_filter(word: &str) -> bool {
        matches!(word, "only" | "drop")
    }

    /// A preset is looked up only by words that are no keys, so that presets may be written with keys.
    fn preset_word(word: &str) -> Option<Self> {
        PRESETS.iter().any(|(name, ..)| *name == word).then(|| Self::preset(word)).flatten()
    }

    fn set_word(&mut self, key: &str, value: &str, base: &Path) -> Result<(), String> {
        fn unit<T: Quantity>(value: &str) -> Result<Option<T>, String> {
            let bad = |e| format!("\"{value}\" is not a {}: {e}; write it as {}", T::NOUN, T::EXAMPLE);
            T::parse(value).map(Some).map_err(bad)
        }
        match key {
            "delay" => self.delay = unit(value)?,
            "jitter" => self.jitter = unit(value)?,
            "jitter_correlation" => self.jitter_correlation = unit(value)?,
            "distribution" => {
                let spread = Spread::read(value, base)?;
                if let Spread::Table(Table { measured: Some((mean, deviation)), .. }) = &spread {
                    self.delay.get_or_insert(*mean);
                    self.jitter.get_or_insert(*deviation);
                }
                self.distribution = Some(spread);
            }
            "lose" => self.lose = frames(value)?,
            "drop" => self.drop.push(Drop { filter: value.to_owned(), nth: Vec::new() }),
            "nth" => {
                let last = self.drop.last_mut().ok_or("\"nth\" follows a \"drop\"")?;
                last.nth = frames(value)?;
            }
            "only" => self.only = Some(value.to_owned()),
            "mtu" => {
                let octets = value.parse().ok().filter(|octets| *octets >= 68);
                self.mtu = Some(octets.ok_or_else(|| format!("\"{value}\" is no MTU: 68 to 65535 octets"))?);
            }
            "loss_correlation" => self.loss_correlation = unit(value)?,
            "duplicate_correlation" => self.duplicate_correlation = unit(value)?,
            "reorder_correlation" => self.reorder_correlation = unit(value)?,
            "corrupt_correlation" => self.corrupt_correlation = unit(value)?,
            // As `impair show` writes it: `loss gilbert-elliott p 1% r 30%`.
            "loss" if value == "gilbert-elliott" => {
                let (never, always) = (Percent(0.0), Percent(1.0));
                self.loss = Some(Loss::GilbertElliott { p: never, r: always, h: never, k: always });
            }
            "loss" => self.loss = unit(value)?.map(|p| Loss::Random { p }),
            "p" | "r" | "h" | "k" => {
                let Some(Loss::GilbertElliott { p, r, h, k }) = &mut self.loss else {
                    return Err(format!("\"{key}\" follows \"loss gilbert-elliott\""));
                };
                let which = match key {
                    "p" => p,
                    "r" => r,
                    "h" => h,
                    _ => k,
                };
                *which = unit(value)?.unwrap_or(*which);
            }
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
        say("jitter_correlation", self.jitter_correlation.map(|v| v.to_string()));
        say("distribution", self.distribution.as_ref().map(|v| v.to_string()));
        say(
            "loss",
            self.loss.map(|loss| match loss {
                Loss::Random { p } => p.to_string(),
                Loss::GilbertElliott { p, r, h, k } => format!("gilbert-elliott p {p} r {r} h {h} k {k}"),
            }),
        );
        say("loss_correlation", self.loss_correlation.map(|v| v.to_string()));
        let listed = |numbers: &[u64]| {
            let texts: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        };
        say("lose", listed(&self.lose));
        for drop in &self.drop {
            say("drop", Some(format!("\"{}\"", drop.filter)));
            say("nth", listed(&drop.nth));
        }
        say("only", self.only.as_ref().map(|only| format!("\"{only}\"")));
        say("mtu", self.mtu.map(|v| v.to_string()));
        say("duplicate", self.duplicate.map(|v| v.to_string()));
        say("duplicate_correlation", self.duplicate_correlation.map(|v| v.to_string()));
        say("reorder", self.reorder.map(|v| v.to_string()));
        say("reorder_correlation", self.reorder_correlation.map(|v| v.to_string()));
        say("corrupt", self.corrupt.map(|v| v.to_string()));
        say("corrupt_correlation", self.corrupt_correlation.map(|v| v.to_string()));
        say("rate", self.rate.map(|v| v.to_string()));
        say("burst", self.burst.map(|v| v.to_string()));
        say("queue", self.queue.map(|v| v.to_string()));
        say("aqm", self.aqm.map(|v| v.as_str().to_owned()));
        say("limit", self.limit.map(|v| v.to_string()));
        f.write_str(&words.join(" "))
    }
}

/// Numbers of frames: `17` or `17,18`.
fn frames(value: &str) -> Result<Vec<u64>, String> {
    let number = |text: &str| text.parse().ok().filter(|n| *n > 0);
    let numbers: Option<Vec<u64>> = value.split(',').map(number).collect();
    numbers.ok_or_else(|| format!("\"{value}\" is not a list of frames: they are counted from 1, \"17,18\""))
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
    fn every_word_is_written_back() {
        let words = [
            "delay",
            "1s",
            "jitter",
            "2ms",
            "jitter_correlation",
            "25%",
            "distribution",
            "normal",
            "loss",
            "1%",
            "loss_correlation",
            "30%",
            "lose",
            "17,18",
            "drop",
            "tcp.flags.syn",
            "nth",
            "2",
            "drop",
            "arp",
            "only",
            "not_udp",
            "mtu",
            "1400",
            "duplicate",
            "1%",
            "duplicate_correlation",
            "5%",
            "reorder",
            "2%",
            "reorder_correlation",
            "50%",
            "corrupt",
            "3%",
            "corrupt_correlation",
            "1%",
            "rate",
            "10mbit",
            "queue",
            "50p",
        ];
        let impair = Impair::default().with_words(&words).unwrap();
        let text = impair.to_string().replace('"', "");
        assert_eq!(Impair::default().with_words(&text.split(' ').collect::<Vec<_>>()), Ok(impair));
    }

    #[test]
    fn losses_in_bursts_are_written_back() {
        let words = ["loss", "gilbert-elliott", "p", "1%", "r", "30%", "k", "99%"];
        let impair = Impair::default().with_words(&words).unwrap();
        let text = impair.to_string();
        assert_eq!(text, "loss gilbert-elliott p 1% r 30% h 0% k 99%");
        assert_eq!(Impair::default().with_words(&text.split(' ').collect::<Vec<_>>()), Ok(impair));
        assert!(Impair::default().with_words(&["loss", "1%", "p", "1%"]).is_err());
    }

    #[test]
    fn words_are_those_of_tc() {
        let impair = Impair::default().with_words(&["mobile-4g", "loss=2%", "delay", "10ms"]).unwrap();
        assert_eq!(impair.to_string(), "delay 10ms jitter 5ms loss 2% rate 30mbit queue 512KiB");
        for bad in [
            &["delay"][..],
            &["delay", "20"],
            &["dealy", "20ms"],
            &["limit", "x"],
            &["queue", "0p"],
            &["lose", "0"],
            &["nth", "1"],
            &["mtu", "60"],
            &["distribution", "none.dist"],
        ] {
            assert!(Impair::default().with_words(bad).is_err(), "{bad:?}");
        }
    }
}
