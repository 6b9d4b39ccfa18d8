//! Congestion control: how the window of a connection moves (RFC 5681's two algorithms of
//! growth and its two cuts). One file an algorithm, one row in [`Algorithm`].
//!
//! How slow start ends before a loss ends it is `hystart`, for those that want it.
//!
//! Detection of losses and recovery from them are common to all and live in `ack`; an algorithm
//! says how fast the window grows without loss and how deep it is cut, or goes its own way by a model
//! of the path.

mod bbr;
mod cubic;
mod hystart;
mod newreno;

use super::config::TcpConfig;
use super::rate::Sample;
use super::seq::SeqNum;
use crate::time::{Duration, Instant};
use bbr::Bbr;
use cubic::Cubic;
use hystart::HyStart;
use newreno::NewReno;

/// What an algorithm moves. Octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Congestion window.
    pub(crate) cwnd: u32,
    /// Slow start threshold; `u32::MAX`: none yet.
    pub(crate) ssthresh: u32,
    /// Payload of a full segment.
    pub(crate) mss: u32,
}

impl Window {
    /// Whether the window grows exponentially.
    pub(crate) fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// A threshold of `percent` of what is in flight, two segments at least.
    fn reduced(&self, flight: u32, percent: u32) -> u32 {
        let reduced = u64::from(flight) * u64::from(percent) / 100;
        (reduced as u32).max(self.mss.saturating_mul(2))
    }

    /// RFC 5681 §3.1 with RFC 3465's count of octets; returns what slow start left over.
    pub(crate) fn slow_start(&mut self, acked: u32) -> u32 {
        let grown = self.cwnd.saturating_add(acked).min(self.ssthresh.max(self.cwnd));
        let used = grown - self.cwnd;
        self.cwnd = grown;
        acked - used
    }
}

/// What an algorithm may want to know of an acknowledgment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckInfo {
    /// Octets newly acknowledged.
    pub(crate) acked: u32,
    /// SND.UNA, after it.
    pub(crate) una: SeqNum,
    /// SND.NXT, before it lets anything go.
    pub(crate) nxt: SeqNum,
    /// The time.
    pub(crate) now: Instant,
    /// The round trip, if it measured one.
    pub(crate) rtt: Option<Duration>,
    /// Smoothed round trip.
    pub(crate) srtt: Option<Duration>,
    /// Octets of which it is news that they have arrived, selectively acknowledged ones included.
    pub(crate) arrived: u32,
    /// Octets that it shows to be lost.
    pub(crate) lost: u32,
    /// Octets believed to be in the network, after it.
    pub(crate) pipe: u32,
    /// Octets that have arrived in all.
    pub(crate) delivered: u64,
    /// How fast they were carried.
    pub(crate) rate: Option<Sample>,
    /// What is being repaired, after it.
    pub(crate) repair: Repair,
}

/// Whether losses are being repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Nothing was lost.
    #[default]
    Nothing,
    /// Fast recovery.
    Fast,
    /// After a timeout.
    Timeout,
}

/// What says that the network is congested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Congestion {
    /// A segment was lost.
    Loss,
    /// A segment was marked (RFC 3168).
    Mark,
}

/// An algorithm's own state and its answers.
pub(crate) trait CongestionControl: core::fmt::Debug + Send {
    /// New data was acknowledged, outside of fast recovery, while the window was what limited us.
    fn on_ack(&mut self, w: &mut Window, ack: &AckInfo);

    /// The same, but we sent less than the window allowed (RFC 9438 §5.8): it does not grow.
    fn on_app_limited(&mut self, _ack: &AckInfo) {}

    /// The network is congested: the new slow start threshold (RFC 5681 equation 4), given the octets
    /// in flight. `w` is the window as it was. Once a window of data.
    fn on_congestion(&mut self, w: &Window, flight: u32, why: Congestion, now: Instant) -> u32;

    /// The retransmission timer went off; [`CongestionControl::on_congestion`] was told before, unless the window was cut
    /// for the same data already.
    fn on_timeout(&mut self);

    /// A copy, to go back to if the loss turns out to be none. `None`: it does not believe in losses.
    fn copy(&self) -> Option<Box<dyn CongestionControl>>;

    /// The window after a silence longer than the retransmission timeout (RFC 5681 §4.1); `initial`: that of a new connection.
    fn after_idle(&self, w: &Window, initial: u32) -> u32 {
        w.cwnd.min(initial)
    }

    /// For an algorithm that goes by a model of the path: it is told of every acknowledgment, and its window takes the place
    /// of what growth, recovery and undo have made of `w`, the window before that.
    fn window_by_model(&mut self, _w: &Window, _ack: &AckInfo) -> Option<u32> {
        None
    }

    /// The rate at which segments leave, octets a second; `None`: as the window allows. Asked after a window by model.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

/// The algorithms there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 5681 with RFC 6582.
    NewReno,
    /// RFC 9438.
    Cubic,
    /// draft-cardwell-iccrg-bbr-congestion-control-00
    Bbr,
}

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Algorithm] = &[Algorithm::NewReno, Algorithm::Cubic, Algorithm::Bbr];

    /// The name that TCP_CONGESTION knows (Linux's).
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::NewReno => "reno",
            Algorithm::Cubic => "cubic",
            Algorithm::Bbr => "bbr",
        }
    }

    /// The algorithm of that name.
    pub fn by_name(name: &str) -> Option<Algorithm> {
        Self::ALL.iter().copied().find(|a| a.name() == name)
    }

    pub(crate) fn start(self, config: &TcpConfig) -> Box<dyn CongestionControl> {
        match self {
            Algorithm::NewReno => {
                Box::new(NewReno::new(config.newreno_hystart.then(HyStart::default), config.abe))
            }
            Algorithm::Cubic => Box::new(Cubic::new(config.abe)),
            Algorithm::Bbr => Box::new(Bbr::default()),
        }
    }
}

#[cfg(test)]
mod tests;
