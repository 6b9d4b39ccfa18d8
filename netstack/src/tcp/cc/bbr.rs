//! BBR: draft-cardwell-iccrg-bbr-congestion-control-00 (version 1), which is what Linux calls `bbr`. Its window and its rate
//! follow a model of the path: the largest delivery rate of the last ten round trips, and the least round trip of the last
//! ten seconds. Losses and marks are no news to it, but for one round trip in which it sends no more than arrives.
//!
//! Version 1 and not 3, which is a draft that still moves, twice as large, and not what the name means on Linux. Of Linux's
//! additions two are not here: the search for policers (`lt_bw`), and the allowance for acknowledgments that
//! come in clumps (`extra_acked`); the three bursts that §4.2.3.2 adds to the window cover those of a delayed acknowledgment.
//!
//! Octets and seconds; the arithmetic is that of IEEE 754's basic operations only, so that runs repeat on every machine.

use super::{AckInfo, Congestion, CongestionControl, Repair, Window};
use crate::tcp::pace::burst;
use crate::time::{Duration, Instant};
use std::collections::VecDeque;

/// 2/ln 2: the least gain that doubles the rate each round trip (§4.3.1).
const HIGH_GAIN: f64 = 2.885;
/// Gains of the phases of ProbeBW (§4.3.3.1): probe, drain what that has queued, cruise.
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// The window's gain in ProbeBW: room for acknowledgments that are delayed.
const CWND_GAIN: f64 = 2.0;
/// Rounds for which the largest delivery rate counts.
const BW_ROUNDS: u64 = 10;
/// For how long the least round trip counts.
const MIN_RTT_LIFETIME: Duration = Duration::from_secs(10);
/// How long ProbeRTT stays.
const PROBE_RTT: Duration = Duration::from_millis(200);
/// Segments in flight in ProbeRTT, and at least.
const MIN_PIPE: u32 = 4;
/// Startup has filled the pipe when the rate has not grown by a quarter for three rounds (§4.3.1.2).
const FULL_GROWTH: f64 = 1.25;
/// See [`FULL_GROWTH`].
const FULL_ROUNDS: u8 = 3;
/// What is sent is a hundredth slower than the model, so that a queue that was wrongly built drains.
const MARGIN: f64 = 0.99;
/// The round trip before there is a measurement.
const FIRST_RTT: Duration = Duration::from_millis(1);
/// The window before there is a model, in segments (RFC 6928).
const FIRST_WINDOW: u32 = 10;

/// §4.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Doubles the rate each round trip until the pipe is full.
    Startup,
    /// Drains the queue that Startup has built.
    Drain,
    /// Cruises, and looks for more from time to time; the phase, and when it began.
    ProbeBw { phase: usize, since: Instant },
    /// Empties the pipe to see how long it is; until when, once it is empty, and whether a round trip has passed since.
    ProbeRtt { until: Option<Instant>, round: bool },
}

/// One connection's model.
#[derive(Clone, Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    /// BtlBw: (round, octets a second), the older the larger; the first is the largest of the last rounds.
    bw: VecDeque<(u64, u64)>,
    /// RTprop, and when it was measured.
    min_rtt: Option<(Duration, Instant)>,
    /// Round trips, and where `delivered` is when this one ends.
    rounds: u64,
    round_end: u64,
    /// This acknowledgment began one.
    round_start: bool,
    /// The pipe was full, with this rate, for so many rounds.
    full_bw: u64,
    full_rounds: u8,
    /// What ProbeRTT sends says nothing of the path: samples of what was sent before `delivered` was there.
    limited_until: u64,
    /// The window before a recovery or ProbeRTT.
    prior_cwnd: u32,
    /// What was being repaired at the last acknowledgment.
    repair: Repair,
    /// The first round trip of a recovery: no more goes than arrives.
    conserving: bool,
    /// Nothing was in flight after the last acknowledgment.
    idle: bool,
    /// Octets a second.
    pacing_rate: Option<u64>,
}

impl Default for Bbr {
    fn default() -> Bbr {
        Bbr {
            mode: Mode::Startup,
            bw: VecDeque::new(),
            min_rtt: None,
            rounds: 0,
            round_end: 0,
            round_start: false,
            full_bw: 0,
            full_rounds: 0,
            limited_until: 0,
            prior_cwnd: 0,
            repair: Repair::Nothing,
            conserving: false,
            idle: false,
            pacing_rate: None,
        }
    }
}

impl CongestionControl for Bbr {
    fn on_ack(&mut self, _w: &mut Window, _ack: &AckInfo) {}

    fn on_congestion(&mut self, w: &Window, _flight: u32, _why: Congestion, _now: Instant) -> u32 {
        self.save_cwnd(w.cwnd);
        w.ssthresh
    }

    fn on_timeout(&mut self) {
        // The path may be another one: the pipe may have become wider.
        self.full_bw = 0;
    }

    fn copy(&self) -> Option<Box<dyn CongestionControl>> {
        // What it believes does not come from losses.
        None
    }

    fn after_idle(&self, w: &Window, _initial: u32) -> u32 {
        w.cwnd
    }

    fn window_by_model(&mut self, w: &Window, ack: &AckInfo) -> Option<u32> {
        let probed = self.probes_rtt();
        self.update_bw(ack);
        self.update_phase(ack, w);
        self.check_full_pipe(ack);
        self.check_drain(ack, w);
        self.update_min_rtt(ack, w);
        self.set_pacing_rate(w, ack);
        // §4.3.4.4: ProbeRTT is over, the window comes back.
        let floor = if probed && !self.probes_rtt() { self.prior_cwnd } else { 0 };
        let cwnd = self.window(&Window { cwnd: w.cwnd.max(floor), ..*w }, ack);
        self.idle = ack.pipe == 0;
        Some(cwnd)
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.pacing_rate
    }
}

impl Bbr {
    /// BtlBw, octets a second.
    fn btl_bw(&self) -> u64 {
        self.bw.front().map_or(0, |(_, bw)| *bw)
    }

    fn pipe_is_full(&self) -> bool {
        self.full_rounds >= FULL_ROUNDS
    }

    fn probes_rtt(&self) -> bool {
        matches!(self.mode, Mode::ProbeRtt { .. })
    }

    fn pacing_gain(&self) -> f64 {
        match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => 1.0 / HIGH_GAIN,
            Mode::ProbeBw { phase, .. } => CYCLE[phase % CYCLE.len()],
            Mode::ProbeRtt { .. } => 1.0,
        }
    }

    fn cwnd_gain(&self) -> f64 {
        match self.mode {
            Mode::Startup | Mode::Drain => HIGH_GAIN,
            Mode::ProbeBw { .. } => CWND_GAIN,
            Mode::ProbeRtt { .. } => 1.0,
        }
    }

    /// §4.2.3.2: the octets in flight that are `gain` times what the path holds, and three bursts: one at the sender, one at
    /// the receiver, one on the way.
    fn inflight(&self, w: &Window, gain: f64) -> u32 {
        let Some((min_rtt, _)) = self.min_rtt else { return w.mss.saturating_mul(FIRST_WINDOW) };
        let bdp = (self.btl_bw() as f64 * min_rtt.as_secs_f64() * gain) as u32;
        let bursts = 3 * u64::from(burst(self.pacing_rate.unwrap_or(0), w.mss));
        let probing = matches!(self.mode, Mode::ProbeBw { phase: 0, .. });
        let more = if probing { 2 * u64::from(w.mss) } else { 0 };
        u32::try_from(u64::from(bdp) + bursts + more).unwrap_or(u32::MAX)
    }

    // ---- the model: §4.1 -------------------------------------------------------------------------

    /// §4.1.1: the round trips, and the largest rate.
    fn update_bw(&mut self, ack: &AckInfo) {
        self.round_start = false;
        let Some(sample) = ack.rate else { return };
        if sample.prior_delivered >= self.round_end {
            self.round_end = ack.delivered;
            self.rounds += 1;
            self.round_start = true;
            self.conserving = false;
        }
        let rate = sample.rate();
        let limited = sample.app_limited || sample.prior_delivered < self.limited_until;
        if limited && rate < self.btl_bw() {
            return;
        }
        self.bw.retain(|(round, bw)| round + BW_ROUNDS >= self.rounds && *bw > rate);
        self.bw.push_back((self.rounds, rate));
    }

    /// §4.3.3.3: the next phase of ProbeBW.
    fn update_phase(&mut self, ack: &AckInfo, w: &Window) {
        let Mode::ProbeBw { phase, since } = self.mode else { return };
        let Some((min_rtt, _)) = self.min_rtt else { return };
        let long = ack.now.since(since) > min_rtt;
        let prior_pipe = ack.pipe.saturating_add(ack.arrived);
        let gain = self.pacing_gain();
        let over = if gain > 1.0 {
            // Until the pipe is as full as asked for, or overflows.
            long && (ack.lost > 0 || prior_pipe >= self.inflight(w, gain))
        } else if gain < 1.0 {
            long || prior_pipe <= self.inflight(w, 1.0)
        } else {
            long
        };
        if over {
            self.mode = Mode::ProbeBw { phase: (phase + 1) % CYCLE.len(), since: ack.now };
        }
    }

    /// §4.3.1.2
    fn check_full_pipe(&mut self, ack: &AckInfo) {
        if self.pipe_is_full() || !self.round_start || ack.rate.is_some_and(|s| s.app_limited) {
            return;
        }
        if self.btl_bw() as f64 >= self.full_bw as f64 * FULL_GROWTH {
            (self.full_bw, self.full_rounds) = (self.btl_bw(), 0);
        } else {
            self.full_rounds += 1;
        }
    }

    /// §4.3.2
    fn check_drain(&mut self, ack: &AckInfo, w: &Window) {
        if self.mode == Mode::Startup && self.pipe_is_full() {
            self.mode = Mode::Drain;
        }
        if self.mode == Mode::Drain && ack.pipe <= self.inflight(w, 1.0) {
            self.enter_probe_bw(ack);
        }
    }

    /// §4.3.3.2: with any phase but the draining one. The numbers of the stream choose, which begin anywhere.
    fn enter_probe_bw(&mut self, ack: &AckInfo) {
        let any = ack.una.0.wrapping_mul(0x9e37_79b9) >> 16;
        let phase = match any as usize % (CYCLE.len() - 1) {
            0 => 0,
            n => n + 1,
        };
        self.mode = Mode::ProbeBw { phase, since: ack.now };
    }

    /// §4.1.2, §4.3.4: the least round trip, and how it is found again.
    fn update_min_rtt(&mut self, ack: &AckInfo, w: &Window) {
        let expired = self.min_rtt.is_some_and(|(_, at)| ack.now > at + MIN_RTT_LIFETIME);
        if let Some(rtt) = ack.rtt
            && (expired || self.min_rtt.is_none_or(|(min, _)| rtt < min))
        {
            self.min_rtt = Some((rtt, ack.now));
        }
        // Who had nothing in flight has emptied the pipe already.
        if expired && !self.idle && !self.probes_rtt() {
            self.save_cwnd(w.cwnd);
            self.mode = Mode::ProbeRtt { until: None, round: false };
        }
        let Mode::ProbeRtt { until, mut round } = self.mode else { return };
        self.limited_until = ack.delivered + u64::from(ack.pipe) + 1;
        let Some(until) = until else {
            if ack.pipe <= w.mss.saturating_mul(MIN_PIPE) {
                self.mode = Mode::ProbeRtt { until: Some(ack.now + PROBE_RTT), round: false };
                self.round_end = ack.delivered;
            }
            return;
        };
        round |= self.round_start;
        self.mode = Mode::ProbeRtt { until: Some(until), round };
        if round && ack.now >= until {
            self.min_rtt = self.min_rtt.map(|(min, _)| (min, ack.now));
            if self.pipe_is_full() {
                self.enter_probe_bw(ack);
            } else {
                self.mode = Mode::Startup;
            }
        }
    }

    // ---- what follows from it: §4.2 --------------------------------------------------------------

    /// §4.2.1
    fn set_pacing_rate(&mut self, w: &Window, ack: &AckInfo) {
        let rate = |bw: f64, gain: f64| (bw * gain * MARGIN) as u64;
        let wanted = rate(self.btl_bw() as f64, self.pacing_gain());
        self.pacing_rate = match self.pacing_rate {
            None => {
                let rtt = ack.srtt.unwrap_or(FIRST_RTT).as_secs_f64();
                Some(rate(f64::from(w.cwnd) / rtt, HIGH_GAIN).max(1))
            }
            // Not before the pipe is full: a rate that is too low now was the program's or slow start's.
            Some(before) if !self.pipe_is_full() && wanted < before => Some(before),
            Some(_) => Some(wanted.max(1)),
        };
    }

    /// §4.2.3
    fn window(&mut self, w: &Window, ack: &AckInfo) -> u32 {
        let least = w.mss.saturating_mul(MIN_PIPE);
        let mut cwnd = w.cwnd;
        if ack.arrived > 0 {
            cwnd = self.window_in_repair(w, ack);
            if !self.conserving {
                let target = self.inflight(w, self.cwnd_gain());
                let grown = cwnd.saturating_add(ack.arrived);
                if self.pipe_is_full() {
                    cwnd = grown.min(target);
                } else if cwnd < target || ack.delivered < u64::from(w.mss) * u64::from(FIRST_WINDOW) {
                    cwnd = grown;
                }
            }
            cwnd = cwnd.max(least);
        }
        if self.probes_rtt() { cwnd.min(least) } else { cwnd }
    }

    /// §4.2.3.4: packet conservation in the first round of a recovery, and the old window after it.
    fn window_in_repair(&mut self, w: &Window, ack: &AckInfo) -> u32 {
        let before = std::mem::replace(&mut self.repair, ack.repair);
        let mut cwnd = w.cwnd.saturating_sub(ack.lost).max(w.mss);
        let conserved = ack.pipe.saturating_add(ack.arrived);
        match (before, ack.repair) {
            (Repair::Nothing | Repair::Timeout, Repair::Fast) => {
                self.conserving = true;
                self.round_end = ack.delivered;
                cwnd = conserved;
            }
            (Repair::Fast | Repair::Timeout, Repair::Nothing) => {
                self.conserving = false;
                cwnd = cwnd.max(self.prior_cwnd);
            }
            (Repair::Nothing | Repair::Timeout, Repair::Nothing | Repair::Timeout)
            | (Repair::Fast, Repair::Fast | Repair::Timeout) => {}
        }
        if self.conserving { cwnd.max(conserved) } else { cwnd }
    }

    /// What the window was when all was well.
    fn save_cwnd(&mut self, cwnd: u32) {
        let well = self.repair == Repair::Nothing && !self.probes_rtt();
        self.prior_cwnd = if well { cwnd } else { self.prior_cwnd.max(cwnd) };
    }
}

#[cfg(test)]
mod tests;
