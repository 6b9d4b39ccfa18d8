//! Packetisation layer path MTU discovery: RFC 4821, as Linux's `tcp_mtu_probing` does it. Needs no
//! ICMP: segments begin at a size that every path takes, and one of a larger size at a time is tried.
//!
//! Two ways to come here: always, or when a segment has timed out so often that the path may be a black
//! hole for large packets (RFC 2923 §2.1) whose ICMP errors are lost. The search is by halves between
//! the largest packet that has passed and the smallest that has not; it rests for a while when the two
//! meet, as paths change. The probe is made of data that waits, so that no octet is sent in vain, and
//! its loss alone is no sign of congestion (§7.5, §7.6).
//!
//! Also here: that a path MTU learned from ICMP ages (RFC 1191 §6.3).

use super::seq::SeqNum;
use super::tcb::{Cx, Recovery, Tcb};
use crate::time::{Duration, Instant};
use crate::wire::tcp::HEADER_LEN;

/// When the search is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuProbing {
    /// Never: what ICMP says.
    Never,
    /// When the path seems to be a black hole for large packets.
    BlackHole,
    /// From the beginning of every connection.
    Always,
}

/// RFC 1191 §6.3: so long after a path MTU was lowered it may be tried whether it is larger now. What the
/// floor below has learned is believed as long.
const AGE: Duration = Duration::from_secs(600);

/// A congestion window smaller than so many segments has no room for a trial (Linux).
const LEAST_WINDOW: u32 = 11;

/// A segment that is larger than others.
#[derive(Clone, Copy, Debug)]
struct Probe {
    start: SeqNum,
    end: SeqNum,
    /// Octets of its packet.
    size: u32,
}

/// What is known of packet sizes, in octets of IP packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    on: bool,
    /// Passes.
    low: u32,
    /// Larger ones do not.
    high: u32,
    probe: Option<Probe>,
    /// Since when the two have met.
    rests_since: Option<Instant>,
    /// When the path's MTU was lowered, or looked at since.
    lowered: Option<Instant>,
}

impl Search {
    /// Octets of the largest packet that may be sent, if the path says more.
    pub(super) fn limit(&self) -> u32 {
        if self.on { self.low } else { u32::MAX }
    }

    /// The path's MTU is another: `most` is what it and the peer take.
    pub(super) fn path_changed(&mut self, lowered: bool, most: u32, now: Instant) {
        if lowered {
            self.high = self.high.min(most);
            self.lowered = Some(now);
        } else {
            self.high = most;
        }
        self.low = self.low.min(self.high);
    }

    /// Something goes again: an acknowledgment says nothing any more about a probe that was under way.
    pub(super) fn forget_probe(&mut self) {
        self.probe = None;
    }
}

impl Tcb {
    /// Octets of the packet around a full segment that the path and the peer take.
    pub(super) fn largest_packet(&self) -> u32 {
        let headers = self.fixed_ip_header_len() + HEADER_LEN as u32;
        let ours = u32::from(self.set.max_seg.unwrap_or(u16::MAX));
        self.mtu.min(u32::from(self.peer_mss).min(ours) + headers)
    }

    /// Octets of headers of a segment of data.
    pub(super) fn headers(&self) -> u32 {
        self.ip_header_len() + HEADER_LEN as u32 + if self.timestamps { 12 } else { 0 }
    }

    /// The connection is made.
    pub(super) fn start_search(&mut self, cx: &Cx<'_>) {
        self.search.high = self.largest_packet();
        match cx.sh.config.mtu_probing {
            MtuProbing::Never | MtuProbing::BlackHole => {}
            MtuProbing::Always => self.search_from(cx, u32::from(cx.sh.config.base_mss)),
        }
    }

    fn search_from(&mut self, cx: &Cx<'_>, mss: u32) {
        let low = (mss + self.headers()).min(self.search.high);
        (self.search.on, self.search.low, self.search.rests_since) = (true, low, None);
        self.update_mss(cx.sh.config.min_mss);
    }

    /// R1 timeouts in a row (RFC 4821 §7.7): if it was a large segment, smaller ones may pass. Called
    /// again after each that follows.
    pub(super) fn suspect_black_hole(&mut self, cx: &mut Cx<'_>) {
        let config = &cx.sh.config;
        if config.mtu_probing == MtuProbing::Never {
            return;
        }
        let (base, floor) = (u32::from(config.base_mss), u32::from(config.mtu_probe_floor));
        let next = if self.search.on {
            ((self.search.low - self.headers()) / 2).min(base).max(floor).max(u32::from(config.min_mss))
        } else {
            base
        };
        if self.rtx.head_len() > next {
            cx.sh.stats.mtu_black_holes += 1;
            self.search_from(cx, next);
            // RFC 5681 §3.1: the loss window is one segment.
            self.window.cwnd = self.window.mss;
        }
    }

    /// Whether the next segment is a probe: its end. `Err`: one is due when there is room in the
    /// congestion window.
    pub(super) fn next_probe(&mut self, cx: &Cx<'_>) -> Result<Option<SeqNum>, NoRoom> {
        if !self.search.on || self.search.probe.is_some() || self.recovery != Recovery::Open {
            return Ok(None);
        }
        let (config, mss) = (&cx.sh.config, self.window.mss);
        let (low, high) = (self.search.low, self.search.high);
        let size = low + (high - low) / 2;
        if high - low < u32::from(config.probe_threshold.max(1)) || size == low {
            let since = *self.search.rests_since.get_or_insert(cx.now);
            if cx.now.since(since) >= config.probe_interval {
                // The program may want less by now.
                (self.search.high, self.search.rests_since) = (self.largest_packet().max(low), None);
            }
            return Ok(None);
        }
        let len = size - self.headers();
        // Enough behind it that its loss is seen by duplicates (§7.4).
        let needed = len.saturating_add(config.dup_threshold.saturating_add(1).saturating_mul(mss));
        let quiet = self.rtx.lost() == 0 && self.rtx.sacked() == 0 && self.dup_acks == 0;
        let urgent = self.snd_up.is_some();
        if !quiet || urgent || self.window.cwnd < LEAST_WINDOW * mss {
            return Ok(None);
        }
        // Nothing is worth waiting for that even an empty path has no room for: the window may grow that large.
        if self.unsent() < needed || self.window_room() < needed || self.window.cwnd < len {
            return Ok(None);
        }
        if self.pipe() + len > self.window.cwnd {
            return Err(NoRoom);
        }
        Ok(Some(self.snd_nxt + len))
    }

    /// The probe goes out.
    pub(super) fn probe_sent(&mut self, start: SeqNum, end: SeqNum) {
        self.search.probe = Some(Probe { start, end, size: end.since(start) + self.headers() });
    }

    /// Something was acknowledged: if it was the probe, its size is that of segments from now on (§7.6.1).
    pub(super) fn probe_passed(&mut self, cx: &mut Cx<'_>) {
        if let Some(probe) = self.search.probe
            && probe.end.le(self.snd_una)
        {
            cx.sh.stats.mtu_probes_passed += 1;
            (self.search.probe, self.search.low) = (None, probe.size.min(self.search.high));
            self.update_mss(cx.sh.config.min_mss);
        }
    }

    /// Something was lost. True: it was the probe alone, which was too large, and no congestion (§7.6.2).
    /// Together with others it says nothing.
    pub(super) fn probe_was_too_large(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(probe) = self.search.probe.take() else { return false };
        let alone = probe.start == self.snd_una && self.rtx.lost() <= probe.end.since(probe.start);
        if alone {
            cx.sh.stats.mtu_probes_failed += 1;
            self.search.high = self.search.high.min(probe.size - 1).max(self.search.low);
            self.retransmit_now = true;
            // Nor is a tail loss probe needed for what follows.
            self.forget_probe();
        }
        alone
    }

    /// A path MTU that was lowered long ago may be larger now: the floor below knows what is still believed.
    pub(super) fn age_path_mtu(&mut self, cx: &mut Cx<'_>) {
        if self.search.lowered.is_some_and(|at| cx.now.since(at) >= AGE) {
            self.search.lowered = Some(cx.now);
            self.path_changed(cx);
        }
    }
}

/// A probe waits for room in the congestion window, and other data for the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;
