//! What is shown of a connection: `TCP_INFO`, `ss`, `labctl show sockets` (STATUS of RFC 9293 §3.10.6).

use super::config::TcpConfig;
use super::fastopen::FastOpenFail;
use super::rtx::Segments;
use super::tally::Tally;
use super::tcb::{Recovery, RtxTimer, Tcb};
use super::{State, TcpId};
use crate::time::{Duration, Instant};
use std::net::SocketAddr;

/// What `TCP_INFO` and `ss` show.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpInfo {
    /// The socket.
    pub id: TcpId,
    /// State.
    pub state: State,
    /// Its ends; unspecified where not known.
    pub local: SocketAddr,
    /// See `local`.
    pub remote: SocketAddr,
    /// Octets that wait to be read; on a listener, connections that wait to be accepted.
    pub recv_queue: usize,
    /// Octets written and not acknowledged; on a listener, its backlog.
    pub send_queue: usize,
    /// Payload of a full segment sent.
    pub snd_mss: u32,
    /// Payload of the peer's full segments, as seen.
    pub rcv_mss: u32,
    /// Payload we told the peer to send at most.
    pub advmss: u16,
    /// MTU of the path.
    pub pmtu: u32,
    /// Shift counts sent and received, if both sides scale.
    pub wscale: (u8, u8),
    /// Whether selective acknowledgments are in use.
    pub sack: bool,
    /// Whether timestamps are in use.
    pub timestamps: bool,
    /// Whether congestion is notified explicitly (RFC 3168).
    pub ecn: bool,
    /// Retransmission timeout as of now.
    pub rto: Duration,
    /// Smoothed round trip, its variance, its least.
    pub rtt: Option<(Duration, Duration, Duration)>,
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Slow start threshold, octets; `u32::MAX`: none yet.
    pub ssthresh: u32,
    /// Window that the peer offers, octets.
    pub snd_wnd: u32,
    /// Window that we offer, octets.
    pub rcv_wnd: u32,
    /// Octets in flight.
    pub in_flight: u32,
    /// The same, segment by segment, with what is known of them.
    pub segments: Segments,
    /// What the sender believes of losses.
    pub congestion: Congestion,
    /// Retransmissions since the last progress.
    pub retransmits: u8,
    /// How often the timeout was doubled since the last progress.
    pub backoff: u8,
    /// Probes of a closed window or of an idle connection that were not answered.
    pub probes: u8,
    /// Segments sent again, all in all.
    pub total_retrans: u32,
    /// Octets the peer has acknowledged.
    pub octets_acked: u64,
    /// Octets of data received in order.
    pub octets_received: u64,
    /// Octets written that were not sent yet.
    pub unsent: usize,
    /// Counters.
    pub tally: Tally,
    /// Whether the data of the SYN was taken (RFC 7413): of ours by the peer, of its by us.
    pub syn_data: bool,
    /// Why the peer has not taken the data of our SYN.
    pub fast_open_fail: FastOpenFail,
    /// The delay of acknowledgments.
    pub ato: Duration,
    /// Segments by which one may be displaced without being missed: duplicates that mean a loss, or what was seen.
    pub reordering: u32,
    /// The round trip as the receiver sees it, if it was measured.
    pub rcv_rtt: Option<Duration>,
    /// Octets that the program reads in one, at most so far.
    pub rcv_space: usize,
    /// Largest window that the buffer allows, octets.
    pub rcv_ssthresh: u32,
    /// When something of the peer last came, and when data of ours last left.
    pub last_rx: Instant,
    /// See `last_rx`.
    pub last_tx: Instant,
    /// Rate at which segments leave, if that is limited, octets a second.
    pub pacing_rate: Option<u64>,
    /// What the program limits it to (SO_MAX_PACING_RATE).
    pub max_pacing_rate: Option<u64>,
    /// Rate at which the last octets that were acknowledged had arrived, octets a second.
    pub delivery_rate: Option<u64>,
    /// Name of the congestion control.
    pub congestion_control: &'static str,
    /// Name of the stack's profile.
    pub profile: &'static str,
    /// Sizes of the buffers, octets.
    pub sndbuf: usize,
    /// See `sndbuf`.
    pub rcvbuf: usize,
}

/// What a sender believes of losses, by the names of Linux's `tcp_ca_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congestion {
    /// Nothing is missing.
    Open,
    /// Duplicate or selective acknowledgments have come, too few for a loss.
    Disorder,
    /// A mark came (RFC 3168): the window comes down.
    Cwr,
    /// Fast recovery.
    Recovery,
    /// After a timeout.
    Loss,
}

impl Tcb {
    fn congestion(&self) -> Congestion {
        match self.recovery {
            Recovery::Cwr { .. } => Congestion::Cwr,
            Recovery::Fast { .. } => Congestion::Recovery,
            Recovery::Timeout { .. } => Congestion::Loss,
            Recovery::Open if self.dup_acks > 0 || self.rtx.sacked() > 0 => Congestion::Disorder,
            Recovery::Open => Congestion::Open,
        }
    }

    fn probes(&self) -> u8 {
        let window = if self.rtx_timer == RtxTimer::Persist { self.retries } else { 0 };
        window.max(self.keep_probes)
    }

    pub(super) fn info(&self, config: &TcpConfig) -> TcpInfo {
        let (recv_queue, send_queue) = match &self.listen {
            Some(l) => (l.accepted.len(), l.backlog),
            None => (self.readable(), self.sndbuf.len()),
        };
        TcpInfo {
            id: self.id,
            state: self.state,
            local: self.local,
            remote: self.remote,
            recv_queue,
            send_queue,
            snd_mss: self.window.mss,
            rcv_mss: self.rcv_mss,
            advmss: self.adv_mss,
            pmtu: self.mtu,
            wscale: (self.snd_shift, self.rcv_shift),
            sack: self.sack,
            timestamps: self.timestamps,
            ecn: self.ecn.on,
            rto: self.rtt.rto(config),
            rtt: self.rtt.srtt().zip(self.rtt.var()).zip(self.rtt.min()).map(|((s, v), m)| (s, v, m)),
            cwnd: self.window.cwnd,
            ssthresh: self.window.ssthresh,
            snd_wnd: self.snd_wnd,
            rcv_wnd: self.offered(),
            in_flight: self.flight(),
            segments: self.rtx.segments(),
            congestion: self.congestion(),
            retransmits: self.retries,
            backoff: self.rtt.backoff(),
            probes: self.probes(),
            total_retrans: self.total_retrans,
            octets_acked: self.octets_acked,
            octets_received: self.octets_received,
            unsent: self.sndbuf.len().saturating_sub(self.snd_nxt.since(self.snd_buf_seq) as usize),
            tally: Tally { reord_seen: self.rack.order.seen, ..self.tally },
            syn_data: self.syn_data_acked,
            fast_open_fail: self.fast_open_fail,
            ato: config.delayed_ack,
            reordering: self.rack.order.degree,
            rcv_rtt: self.tune.rtt(),
            rcv_space: self.tune.most(),
            rcv_ssthresh: self.rcv_space(),
            last_rx: self.last_rx,
            last_tx: self.last_tx,
            pacing_rate: self.pacing_rate(),
            max_pacing_rate: self.set.max_pacing_rate,
            delivery_rate: self.rate.sample().map(|s| s.rate()),
            congestion_control: self.cc_algorithm.name(),
            profile: config.profile.name(),
            sndbuf: self.sndbuf.limit,
            rcvbuf: self.rcvbuf_size,
        }
    }
}
