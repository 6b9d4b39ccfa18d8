//! The transmission control block: all that is known of one socket (RFC 9293 §3.3.1). Names are
//! the RFC's. What happens to it is told in the files beside this one.

use super::cc::{Algorithm, CongestionControl, Window};
use super::config::TcpConfig;
use super::ecn::Ecn;
use super::fastopen;
use super::listen::Listen;
use super::options::Settings;
use super::pace::Pace;
use super::plpmtud;
use super::pmtu::Sizes;
use super::prr::Prr;
use super::rack::Rack;
use super::rate::Rate;
use super::reass::Reassembly;
use super::rtt::Rtt;
use super::rtx::RtxQueue;
use super::seq::SeqNum;
use super::tally::Tally;
use super::undo::{Frto, Undo};
use super::{Shared, State, TcpId};
use crate::net::IfIndex;
use crate::netinet::IpLayer;
use crate::socket::sockbuf::{RecvBuf, SendBuf};
use crate::socket::{Family, Ready, SockError};
use crate::time::{Duration, Instant};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// What every step needs besides the connection: the floor below, the time, what all share.
pub(crate) struct Cx<'a> {
    pub(crate) ip: &'a mut dyn IpLayer,
    pub(crate) now: Instant,
    pub(crate) sh: &'a mut Shared,
}

/// Who frees the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A program has it open.
    Program,
    /// It is in a listener's SYN queue.
    SynQueue(TcpId),
    /// It is in a listener's accept queue.
    AcceptQueue(TcpId),
    /// Nobody: it goes when the protocol is done with it.
    Nobody,
}

/// RFC 6582 and RFC 6298: what the sender believes of losses and of congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// Nothing is missing.
    Open,
    /// A mark came (RFC 3168): the window comes down, until something sent after `until` is acknowledged.
    Cwr { until: SeqNum },
    /// Fast recovery, until everything sent before `until` is acknowledged.
    Fast { until: SeqNum },
    /// After a timeout, until everything sent before `until` is acknowledged.
    Timeout { until: SeqNum },
}

/// What `t_rtx` is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RtxTimer {
    /// An acknowledgment (RFC 6298).
    Retransmit,
    /// A window (RFC 9293 §3.8.6.1), or the end of a program's or Nagle's patience (§3.8.6.2.1).
    Persist,
}

/// How much of the congestion window was in use in the last window of data (Linux's `tcp_cwnd_validate`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// It was what limited the sender.
    pub(crate) limited: bool,
    /// Octets in flight, at most.
    pub(crate) most_in_flight: u32,
    /// What is known holds until this is acknowledged.
    until: Option<SeqNum>,
}

impl Usage {
    /// So much is in flight up to `nxt`, after a burst that the window has ended or has not.
    pub(super) fn note(&mut self, limited: bool, flight: u32, una: SeqNum, nxt: SeqNum) {
        let stale = self.until.is_none_or(|until| una.ge(until));
        if stale || limited || (!self.limited && flight > self.most_in_flight) {
            *self = Usage { limited, most_in_flight: flight, until: Some(nxt) };
        }
    }
}

/// One socket.
#[derive(Debug)]
pub(crate) struct Tcb {
    pub(crate) id: TcpId,
    pub(crate) family: Family,
    pub(crate) state: State,
    pub(crate) holder: Holder,
    /// Those that have set none share the defaults, the connections of a listener its own.
    pub(crate) set: Rc<Settings>,
    pub(crate) listen: Option<Box<Listen>>,

    // ---- the ends
    /// Unspecified and 0 until known.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// It has a binding of its own in the table.
    pub(crate) bound: bool,
    /// The program chose the local port: it stays after the connection's end.
    pub(crate) port_chosen: bool,
    /// A connection has ended whose port is to be given back.
    pub(crate) port_due: bool,
    /// The address that the program gave it, if it did.
    pub(crate) bound_addr: Option<IpAddr>,
    /// Its pair of ends is in the table.
    pub(crate) in_table: bool,
    pub(crate) ifindex: IfIndex,
    pub(crate) mtu: u32,
    pub(crate) search: plpmtud::Search,
    pub(crate) sizes: Sizes,

    // ---- what the program sees
    /// SO_ERROR
    pub(crate) error: Option<SockError>,
    /// The last ICMP error that was no reason to give up (RFC 5461); told if the connection times out.
    pub(crate) soft_error: Option<SockError>,
    /// `connect` was called and its end not yet told.
    pub(crate) connecting: bool,
    /// There was a connection: reading after its end is end of stream.
    pub(crate) was_connected: bool,
    pub(crate) fast_open: fastopen::Use,
    pub(crate) fast_open_fail: fastopen::FastOpenFail,
    /// The peer has taken the data of our SYN, or we of its.
    pub(crate) syn_data_acked: bool,
    pub(crate) shut_read: bool,
    pub(crate) shut_write: bool,
    /// A writer found no room: tell when there is.
    pub(crate) no_space: bool,

    // ---- send sequence space
    pub(crate) iss: SeqNum,
    pub(crate) snd_una: SeqNum,
    pub(crate) snd_nxt: SeqNum,
    /// Octets, scaled.
    pub(crate) snd_wnd: u32,
    pub(crate) max_snd_wnd: u32,
    pub(crate) snd_wl1: SeqNum,
    pub(crate) snd_wl2: SeqNum,
    /// End of urgent data sent: one after the urgent octet.
    pub(crate) snd_up: Option<SeqNum>,
    pub(crate) snd_shift: u8,
    /// Window scaling is offered (before the peer's SYN) or in use.
    pub(crate) scaling: bool,
    /// The sequence number of the send buffer's first octet.
    pub(crate) snd_buf_seq: SeqNum,
    pub(crate) sndbuf: SendBuf,
    pub(crate) rtx: RtxQueue,
    /// End of the last segment sent that was not full (Minshall's rule).
    pub(crate) snd_small: SeqNum,
    /// What was written before this number waits neither for more nor for an acknowledgment.
    pub(crate) pushed: SeqNum,
    /// MSG_MORE: the rest waits for more.
    pub(crate) more: bool,
    /// Ends of what was written with MSG_EOR, and is not acknowledged: no segment goes beyond one.
    pub(crate) records: Vec<SeqNum>,
    /// The end of what was written is no end for the receiver: it was written with MSG_MORE.
    pub(crate) unpushed: bool,
    /// What the peer takes; ours to send is less by the options and the path.
    pub(crate) peer_mss: u16,
    pub(crate) window: Window,
    pub(crate) cc_algorithm: Algorithm,
    pub(crate) cc: Box<dyn CongestionControl>,
    pub(crate) recovery: Recovery,
    /// Duplicate ACKs: segments that have left the network without being acknowledged.
    pub(crate) dup_acks: u32,
    /// The next retransmission does not ask the congestion window.
    pub(crate) retransmit_now: bool,
    /// Nothing older than this may cause a fast retransmission (RFC 6582's `recover`).
    pub(crate) recover: SeqNum,
    pub(crate) rack: Rack,
    pub(crate) prr: Prr,
    pub(crate) undo: Option<Box<Undo>>,
    /// The timestamp of the first retransmission of those under way: an ACK that echoes an older one is of an original.
    pub(crate) retrans_stamp: Option<u32>,
    pub(crate) frto: Frto,
    pub(crate) ecn: Ecn,
    pub(crate) rate: Rate,
    pub(crate) pace: Pace,
    /// The congestion window was what ended the last burst.
    pub(crate) cwnd_limited: bool,
    pub(crate) usage: Usage,

    // ---- receive sequence space
    pub(crate) irs: SeqNum,
    pub(crate) rcv_nxt: SeqNum,
    /// Right edge of the window offered so far; never moves left.
    pub(crate) rcv_adv: SeqNum,
    /// `rcv_nxt` of the last acknowledgment sent (RFC 7323's Last.ACK.sent).
    pub(crate) last_ack_sent: SeqNum,
    pub(crate) rcv_shift: u8,
    pub(crate) rcvbuf: RecvBuf,
    /// SO_RCVBUF as it is now: twice the largest window.
    pub(crate) rcvbuf_size: usize,
    pub(crate) reass: Reassembly,
    /// The sequence number of a FIN that came before its turn.
    pub(crate) early_fin: Option<SeqNum>,
    /// The peer's FIN was taken: RCV.NXT counts it.
    pub(crate) fin_received: bool,
    /// The urgent octet's sequence number.
    pub(crate) rcv_up: Option<SeqNum>,
    /// The urgent octet, taken out of the stream.
    pub(crate) urgent: Option<u8>,
    /// What we told the peer to send at most.
    pub(crate) adv_mss: u16,
    /// The size of its full segments, as seen.
    pub(crate) rcv_mss: u32,
    pub(crate) tune: super::window::Tuning,

    // ---- selective acknowledgments (RFC 2018)
    /// Offered (before the peer's SYN) or in use, in both directions.
    pub(crate) sack: bool,
    /// What came a second time and was not reported yet (RFC 2883).
    pub(crate) dsack: Option<(SeqNum, SeqNum)>,

    // ---- timestamps (RFC 7323)
    pub(crate) timestamps: bool,
    pub(crate) ts_offset: u32,
    pub(crate) ts_recent: u32,
    pub(crate) ts_recent_at: Instant,

    // ---- acknowledgments
    /// To be sent with the next burst.
    pub(crate) ack_now: bool,
    /// Segments yet to be acknowledged at once.
    pub(crate) quick_acks: u8,
    /// Of the data that is not acknowledged, how often it looked like the end of something that was sent: up to 2.
    pub(crate) pushes: u8,
    /// Data answers data: acknowledgments ride on it (Linux's pingpong).
    pub(crate) interactive: bool,
    pub(crate) challenged_at: Option<Instant>,
    /// SYN-RECEIVED, and the handshake is over but for the data that TCP_DEFER_ACCEPT waits for.
    pub(crate) accept_deferred: bool,

    // ---- time
    pub(crate) rtt: Rtt,
    /// Retransmissions or probes without an answer.
    pub(crate) retries: u8,
    /// When the first of them was sent.
    pub(crate) stuck_since: Option<Instant>,
    pub(crate) t_rtx: Option<Instant>,
    pub(crate) rtx_timer: RtxTimer,
    /// RACK's reordering timer.
    pub(crate) t_reorder: Option<Instant>,
    /// The tail loss probe.
    pub(crate) t_probe: Option<Instant>,
    /// The next burst may leave.
    pub(crate) t_pace: Option<Instant>,
    pub(crate) t_delack: Option<Instant>,
    pub(crate) t_keep: Option<Instant>,
    pub(crate) keep_probes: u8,
    /// TIME-WAIT, FIN-WAIT-2.
    pub(crate) t_wait: Option<Instant>,
    /// A large buffer has become empty: give its memory back unless it is soon used again.
    pub(crate) t_idle: Option<Instant>,
    /// The deadline that stands in the heap for this socket; never later than the first of the above.
    pub(crate) in_heap: Option<Instant>,
    pub(crate) last_rx: Instant,
    pub(crate) last_tx: Instant,

    // ---- lists
    /// Counted among those that live on without a program.
    pub(crate) orphan: bool,
    /// Counted among those in TIME-WAIT.
    pub(crate) counted_wait: bool,
    /// There may be something to send.
    pub(crate) wants_output: bool,
    /// It stands in the list of those.
    pub(crate) in_ready: bool,
    /// Events not yet told; not empty: it stands in the list of those.
    pub(crate) events: Ready,
    pub(crate) new_events: Ready,

    // ---- counters of this connection
    pub(crate) total_retrans: u32,
    pub(crate) tally: Tally,
    pub(crate) octets_acked: u64,
    pub(crate) octets_received: u64,
}

/// `0.0.0.0:0` or `[::]:0`.
pub(crate) fn unspecified(family: Family) -> SocketAddr {
    match family {
        Family::Inet => (IpAddr::from(Ipv4Addr::UNSPECIFIED), 0).into(),
        Family::Inet6 => (IpAddr::from(Ipv6Addr::UNSPECIFIED), 0).into(),
    }
}

impl Tcb {
    pub(crate) fn new(id: TcpId, family: Family, config: &TcpConfig, set: Rc<Settings>) -> Tcb {
        let zero = SeqNum(0);
        let mss = u32::from(config.default_mss.0);
        Tcb {
            id,
            family,
            state: State::Closed,
            holder: Holder::Program,
            set,
            listen: None,
            local: unspecified(family),
            remote: unspecified(family),
            bound: false,
            port_chosen: false,
            port_due: false,
            bound_addr: None,
            in_table: false,
            ifindex: IfIndex::LOOPBACK,
            mtu: 0,
            search: plpmtud::Search::default(),
            sizes: Sizes::default(),
            error: None,
            soft_error: None,
            connecting: false,
            was_connected: false,
            fast_open: fastopen::Use::No,
            fast_open_fail: fastopen::FastOpenFail::Unspecified,
            syn_data_acked: false,
            shut_read: false,
            shut_write: false,
            no_space: false,
            iss: zero,
            snd_una: zero,
            snd_nxt: zero,
            snd_wnd: 0,
            max_snd_wnd: 0,
            snd_wl1: zero,
            snd_wl2: zero,
            snd_up: None,
            snd_shift: 0,
            scaling: false,
            snd_buf_seq: zero,
            sndbuf: SendBuf::new(config.sndbuf.default),
            rtx: RtxQueue::default(),
            snd_small: zero,
            pushed: zero,
            more: false,
            records: Vec::new(),
            unpushed: false,
            peer_mss: config.default_mss.0,
            window: Window { cwnd: config.initial_window.octets(mss), ssthresh: u32::MAX, mss },
            cc_algorithm: config.congestion_control,
            cc: config.congestion_control.start(config),
            recovery: Recovery::Open,
            dup_acks: 0,
            retransmit_now: false,
            recover: zero,
            rack: Rack::new(config.dup_threshold),
            prr: Prr::default(),
            undo: None,
            retrans_stamp: None,
            frto: Frto::Off,
            ecn: Ecn::default(),
            rate: Rate::default(),
            pace: Pace::default(),
            cwnd_limited: false,
            usage: Usage::default(),
            irs: zero,
            rcv_nxt: zero,
            rcv_adv: zero,
            last_ack_sent: zero,
            rcv_shift: 0,
            rcvbuf: RecvBuf::default(),
            rcvbuf_size: config.rcvbuf.default,
            reass: Reassembly::default(),
            early_fin: None,
            fin_received: false,
            rcv_up: None,
            urgent: None,
            adv_mss: config.default_mss.0,
            rcv_mss: mss,
            tune: super::window::Tuning::default(),
            sack: false,
            dsack: None,
            timestamps: false,
            ts_offset: 0,
            ts_recent: 0,
            ts_recent_at: Instant::ZERO,
            ack_now: false,
            quick_acks: config.quick_acks,
            pushes: 0,
            interactive: false,
            challenged_at: None,
            accept_deferred: false,
            rtt: Rtt::new(),
            retries: 0,
            stuck_since: None,
            t_rtx: None,
            rtx_timer: RtxTimer::Retransmit,
            t_reorder: None,
            t_probe: None,
            t_pace: None,
            t_delack: None,
            t_keep: None,
            keep_probes: 0,
            t_wait: None,
            t_idle: None,
            in_heap: None,
            last_rx: Instant::ZERO,
            last_tx: Instant::ZERO,
            orphan: false,
            counted_wait: false,
            wants_output: false,
            in_ready: false,
            events: Ready::empty(),
            new_events: Ready::empty(),
            total_retrans: 0,
            tally: Tally::default(),
            octets_acked: 0,
            octets_received: 0,
        }
    }

    /// Octets of sequence space sent and not acknowledged.
    pub(crate) fn flight(&self) -> u32 {
        self.snd_nxt.since(self.snd_una)
    }

    /// One after the last octet that the program wrote; a FIN has this number.
    pub(crate) fn data_end(&self) -> SeqNum {
        self.snd_buf_seq + self.sndbuf.len() as u32
    }

    /// Our FIN was sent.
    pub(crate) fn fin_sent(&self) -> bool {
        self.snd_nxt.gt(self.data_end())
    }

    /// Whether the program asked for the end of our stream (the FIN may wait behind data).
    pub(crate) fn fin_due(&self) -> bool {
        matches!(self.state, State::FinWait1 | State::Closing | State::LastAck)
    }

    /// Our SYN is not acknowledged.
    pub(crate) fn syn_in_flight(&self) -> bool {
        matches!(self.state, State::SynSent | State::SynReceived)
    }

    /// `poll(2)`'s bits, as Linux's `tcp_poll` makes them.
    pub(crate) fn ready(&self) -> Ready {
        let mut ready = Ready::empty();
        if let Some(listen) = &self.listen {
            ready.set(Ready::READ, !listen.accepted.is_empty());
            return ready;
        }
        ready.set(Ready::HUP, self.state == State::Closed || (self.shut_read && self.shut_write));
        ready.set(Ready::READ | Ready::RDHUP, self.shut_read);
        ready.set(Ready::ERROR, self.error.is_some());
        ready.set(Ready::WRITE, self.fast_open == fastopen::Use::Deferred);
        if !self.syn_in_flight() || self.fast_open_transmits() {
            let enough = self.set.rcvlowat.max(1).min(self.rcv_space() as usize);
            if self.readable() >= enough {
                ready |= Ready::READ;
            }
            ready.set(Ready::WRITE, self.shut_write || self.writable());
            ready.set(Ready::PRI, self.urgent_pending());
        }
        ready
    }

    /// Linux's `sk_stream_is_writeable`: a third of the buffer is free, and not half of what may wait
    /// to be sent does.
    pub(crate) fn writable(&self) -> bool {
        self.sndbuf.room() >= self.sndbuf.len() / 2
            && self.sndbuf.room() > 0
            && (self.set.notsent_lowat == u32::MAX || self.unsent() < self.set.notsent_lowat.div_ceil(2))
    }

    /// Octets that a program may write beside those that wait to be sent (TCP_NOTSENT_LOWAT).
    pub(crate) fn may_write(&self) -> usize {
        match self.set.notsent_lowat.saturating_sub(self.unsent()) {
            0 => 0,
            // No less than a segment, or there would never be a full one.
            n => n.max(self.window.mss) as usize,
        }
    }

    /// Tells the program, at the end of this call, that `bits` are set anew.
    pub(crate) fn notify(&mut self, bits: Ready) {
        self.new_events |= bits;
    }

    /// The first of the timers.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // Looked at after every segment: plain minima, no array in memory.
        let at = |t: Option<Instant>| t.map_or(u64::MAX, Instant::as_nanos);
        let first = at(self.t_rtx)
            .min(at(self.t_reorder))
            .min(at(self.t_probe))
            .min(at(self.t_pace))
            .min(at(self.t_delack))
            .min(at(self.t_keep))
            .min(at(self.t_wait))
            .min(at(self.t_idle));
        (first != u64::MAX).then(|| Instant::from_nanos(first))
    }

    /// Ends the connection: RFC 9293's "enter the CLOSED state, delete the TCB". What came in may
    /// still be read.
    pub(crate) fn enter_closed(&mut self, error: Option<SockError>) {
        self.state = State::Closed;
        if self.error.is_none() {
            self.error = error;
        }
        (self.shut_read, self.shut_write) = (true, true);
        self.port_due = !self.port_chosen;
        (self.t_rtx, self.t_delack, self.t_keep, self.t_wait, self.t_idle) = (None, None, None, None, None);
        self.t_pace = None;
        self.forget_probe();
        self.sndbuf.free();
        self.snd_buf_seq = self.snd_nxt;
        self.snd_una = self.snd_nxt;
        self.rtx = RtxQueue::default();
        self.reass.clear();
        self.ack_now = false;
        self.wants_output = false;
        let all = Ready::READ | Ready::WRITE | Ready::RDHUP | Ready::HUP;
        self.notify(if self.error.is_some() { all | Ready::ERROR } else { all });
    }

    /// RFC 9293 §3.10.7.4: "enter the TIME-WAIT state, start the time-wait timer, turn off the others".
    pub(crate) fn enter_time_wait(&mut self, cx: &mut Cx<'_>) {
        let mut stay = cx.sh.config.time_wait;
        if self.state != State::TimeWait {
            cx.sh.stats.time_waits += 1;
            cx.sh.time_waits += 1;
            self.counted_wait = true;
            if cx.sh.time_waits > cx.sh.config.max_time_waits {
                // The last acknowledgment is sent, and that is all.
                cx.sh.stats.time_wait_overflows += 1;
                stay = Duration::ZERO;
            }
        }
        self.state = State::TimeWait;
        (self.t_rtx, self.t_pace, self.t_keep, self.t_idle) = (None, None, None, None);
        self.forget_probe();
        self.t_wait = Some(cx.now + stay);
        self.ecn.echo = false;
        self.sndbuf.free();
        self.reass.clear();
        self.notify(Ready::HUP | Ready::WRITE);
    }
}
