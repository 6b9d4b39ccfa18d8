//! The impaired wire of an interface: which frames it is for, and what does not pass it at all; the rest is
//! [`netstack::link`]'s.

use super::impairment::{DropRule, Impairment};
use netstack::Mbuf;
use netstack::link::Impair;
use netstack::time::Instant;
use netstack::wire::ethernet;

/// What happens to frames on their way to a wire.
#[derive(Debug)]
pub(super) struct Impaired {
    said: Impairment,
    wire: Impair,
    /// Frames that each rule has chosen.
    chosen: Vec<u64>,
    /// Frames that were none of its business, dropped by a rule, too long.
    passed: u64,
    dropped: u64,
    too_long: u64,
    /// Frames that did not get as far as the wire, for their memory.
    refused: Vec<Mbuf>,
}

impl Impaired {
    pub(super) fn new(said: Impairment) -> Impaired {
        let wire = Impair::new(said.config(), said.seed);
        let chosen = vec![0; said.drop.len()];
        Impaired { said, wire, chosen, passed: 0, dropped: 0, too_long: 0, refused: Vec::new() }
    }

    /// Does something else from now on; frames on their way arrive.
    pub(super) fn set(&mut self, now: Instant, said: Impairment) {
        self.wire.set_config(now, said.config());
        if said.drop != self.said.drop {
            self.chosen = vec![0; said.drop.len()];
        }
        self.said = said;
    }

    /// What was asked for.
    pub(super) fn said(&self) -> &Impairment {
        &self.said
    }

    /// Whether nothing happens to frames any more.
    pub(super) fn is_idle(&self) -> bool {
        self.said.is_nothing() && self.wire.is_empty()
    }

    /// Takes a frame, or gives back one that it is not for.
    pub(super) fn push(&mut self, now: Instant, frame: Mbuf) -> Option<Mbuf> {
        let octets = frame.data();
        if self.said.only.as_ref().is_some_and(|only| !only.matches(octets)) {
            self.passed += 1;
            return Some(frame);
        }
        if self.said.mtu.is_some_and(|mtu| octets.len() > mtu + ethernet::HEADER_LEN) {
            self.too_long += 1;
            self.refused.push(frame);
            return None;
        }
        let mut drops = false;
        for (DropRule { filter, nth }, chosen) in self.said.drop.iter().zip(&mut self.chosen) {
            if filter.matches(octets) {
                *chosen += 1;
                drops |= nth.is_empty() || nth.contains(chosen);
            }
        }
        if drops {
            self.dropped += 1;
            self.refused.push(frame);
            return None;
        }
        self.wire.push(now, frame);
        None
    }

    /// The next frame that arrives until `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Mbuf> {
        self.wire.pop(now)
    }

    /// A frame that does not arrive, for its memory.
    pub(super) fn take_dropped(&mut self) -> Option<Mbuf> {
        self.refused.pop().or_else(|| self.wire.take_dropped())
    }

    /// When [`Impaired::pop`] may have a frame; `None`: never.
    pub(super) fn next(&self) -> Option<Instant> {
        self.wire.next()
    }

    /// What became of frames, as (name, value); what never happened is left out.
    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        let own = [
            ("impairPassed", self.passed),
            ("impairDropped", self.dropped),
            ("impairTooLong", self.too_long),
        ];
        let own = own.into_iter().filter(|(_, n)| *n > 0);
        self.wire.counters().iter().chain(own).collect()
    }
}
