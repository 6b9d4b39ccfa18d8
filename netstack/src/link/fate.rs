//! What happens to the n-th frame of a wire: lost, copied, spoiled, ahead of others. In the words and
//! by the models of Linux's netem; correlation: its `get_crandom`; bursts of losses: Gilbert 1960,
//! Elliott 1963.
//!
//! Each decision is drawn from the seed and the frame's number alone, whatever the time is: the n-th
//! frame meets the same fate live and in virtual time.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// How likely something is, and how much like the last time it turns out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Chance {
    /// 0 to 1.
    pub p: f64,
    /// 0 to 1: how much of the last draw is in the next.
    pub correlation: f64,
}

impl Chance {
    /// Each time for itself.
    pub const fn of(p: f64) -> Chance {
        Chance { p, correlation: 0.0 }
    }
}

/// How frames get lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each for itself, or (correlated) like the one before.
    Random(Chance),
    /// In bursts: a good and a bad state.
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

impl Default for Loss {
    fn default() -> Loss {
        Loss::Random(Chance::default())
    }
}

/// What is drawn for each frame; each has draws of its own, so that one setting does not change what
/// another one does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draw {
    Loss,
    State,
    Duplicate,
    Reorder,
    Corrupt,
    CorruptAt,
    Delay,
    DelayOfCopy,
}

/// A source of random numbers that are named, not counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// 64 bits for this draw of the n-th frame.
    pub(super) fn bits(self, n: u64, draw: Draw) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.0, draw as u64);
        h.write_u64(n);
        h.finish()
    }

    /// A number from 0 to below 1, of 53 bits.
    pub(super) fn unit(self, n: u64, draw: Draw) -> f64 {
        unit(self.bits(n, draw))
    }
}

pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws that depend on the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Correlated(f64);

impl Correlated {
    /// The next number from 0 to below 1, of which `fresh` is what is new.
    pub(super) fn next(&mut self, fresh: f64, correlation: f64) -> f64 {
        self.0 = fresh * (1.0 - correlation) + self.0 * correlation;
        self.0
    }

    fn happens(&mut self, fresh: f64, chance: Chance) -> bool {
        chance.p > 0.0 && self.next(fresh, chance.correlation) < chance.p
    }
}

/// What happens to one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// It does not arrive.
    pub lost: bool,
    /// It arrives twice.
    pub twice: bool,
    /// It arrives without delay, ahead of others.
    pub ahead: bool,
    /// This bit of it is turned, counted round.
    pub spoiled: Option<u64>,
}

/// Decides the fates of a wire's frames, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fates {
    dice: Dice,
    loss: Correlated,
    duplicate: Correlated,
    reorder: Correlated,
    corrupt: Correlated,
    /// Gilbert-Elliott: in the bad state.
    bad: bool,
}

impl Fates {
    pub(super) fn new(dice: Dice) -> Fates {
        let fresh = Correlated::default();
        Fates { dice, loss: fresh, duplicate: fresh, reorder: fresh, corrupt: fresh, bad: false }
    }

    /// The fate of frame number `n`; they are asked for in order.
    pub(super) fn of(&mut self, n: u64, config: &super::ImpairConfig) -> Fate {
        let draw = |d| self.dice.unit(n, d);
        let lost = config.lose.contains(&n)
            || match config.loss {
                Loss::Random(chance) => self.loss.happens(draw(Draw::Loss), chance),
                Loss::GilbertElliott { p, r, h, k } => {
                    let turns = draw(Draw::State) < if self.bad { r } else { p };
                    self.bad ^= turns;
                    draw(Draw::Loss) >= if self.bad { h } else { k }
                }
            };
        Fate {
            lost,
            twice: self.duplicate.happens(draw(Draw::Duplicate), config.duplicate),
            ahead: self.reorder.happens(draw(Draw::Reorder), config.reorder),
            spoiled: self
                .corrupt
                .happens(draw(Draw::Corrupt), config.corrupt)
                .then(|| self.dice.bits(n, Draw::CorruptAt)),
        }
    }
}
