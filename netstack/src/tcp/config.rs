//! What can be turned: one table of values. Whose values they are is in `profile`, by which names
//! programs and people know them in `sysctl`.

use super::cc::Algorithm;
use super::ecn::EcnMode;
use super::fastopen::{FastOpen, Key};
use super::plpmtud::MtuProbing;
use super::pmtu::PmtuClaims;
use super::profile::Profile;
use super::rack::RackRules;
use super::syncookie::SynCookies;
use crate::time::Duration;
use crate::wire::tcp::OptionOrder;

/// Least, first and largest size of a buffer that grows by itself, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// SO_SNDBUF and SO_RCVBUF cannot ask for less.
    pub min: usize,
    /// A new socket's.
    pub default: usize,
    /// How far it grows by itself.
    pub max: usize,
}

/// The window that a SYN offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynWindow {
    /// As many whole segments as the buffer takes (Linux).
    WholeSegments,
    /// All that the buffer takes (FreeBSD).
    Whole,
}

/// Which small segment waits for an acknowledgment (RFC 9293 §3.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagle {
    /// Any, while something is not acknowledged (RFC 896, FreeBSD).
    Classic,
    /// Any, while another small one is not acknowledged (draft-minshall-nagle-01, Linux).
    Minshall,
}

/// What the least RTO is a floor of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtoFloor {
    /// The four variances that are added to the round trip (Linux).
    Variance,
    /// The sum of both (RFC 6298 §2.4).
    Sum,
}

/// The first congestion window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialWindow {
    /// RFC 5681 §3.1: two to four segments, some 4380 octets.
    Rfc5681,
    /// RFC 6928: ten segments, but no more than 14,600 octets of segments larger than usual.
    Rfc6928,
    /// So many segments, whatever their size (Linux: 10).
    Segments(u32),
}

impl InitialWindow {
    /// Octets, for full segments of `mss` octets of payload.
    pub(crate) fn octets(self, mss: u32) -> u32 {
        match self {
            InitialWindow::Rfc5681 => match mss {
                0..=1095 => 4 * mss,
                1096..=2190 => 3 * mss,
                2191.. => mss.saturating_mul(2),
            },
            InitialWindow::Rfc6928 => mss.saturating_mul(10).min(mss.saturating_mul(2).max(14_600)),
            InitialWindow::Segments(n) => mss.saturating_mul(n),
        }
    }
}

/// When a connection may take over the ends of one of ours in TIME-WAIT (RFC 6191's reasoning for the other side).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwReuse {
    /// Never.
    Never,
    /// If timestamps tell their segments apart.
    Always,
    /// ... and it is to ourselves.
    Loopback,
}

/// All of TCP's numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpConfig {
    /// The table that the numbers were taken from.
    pub profile: Profile,
    /// In which order a SYN names its options.
    pub option_order: OptionOrder,
    /// The window that a SYN offers.
    pub syn_window: SynWindow,
    /// Which small segment waits.
    pub nagle: Nagle,
    /// Time to live of segments; a stack sets it to its own.
    pub ttl: u8,
    /// RTO before the first measurement (RFC 6298 §2.1).
    pub rto_initial: Duration,
    /// Least RTO (RFC 6298 §2.4: 1 s).
    pub rto_min: Duration,
    /// What cannot be less than that.
    pub rto_floor: RtoFloor,
    /// Added to every measured RTO (FreeBSD's `rexmit_slop`).
    pub rto_slop: Duration,
    /// Largest RTO (RFC 6298 §2.5 allows no less than 60 s).
    pub rto_max: Duration,
    /// Added to two round trips before a tail loss probe (RFC 8985 §7.2): in less than two ticks of its
    /// clock Linux sends none, because a path of microseconds is less patient than a scheduler.
    pub probe_slack: Duration,
    /// Longest delay of an acknowledgment (Linux's `TCP_DELACK_MIN`; RFC 9293 §3.8.6.3: less than 500 ms).
    pub delayed_ack: Duration,
    /// Segments of a new connection that are acknowledged at once.
    pub quick_acks: u8,
    /// Whether what looks like the end of something that was sent is acknowledged when all has been read, and does not wait
    /// for an answer to ride on where there are none (Linux's `tcp_cleanup_rbuf`).
    pub ack_on_read: bool,
    /// Retransmissions of a SYN (`tcp_syn_retries`).
    pub syn_retries: u8,
    /// Retransmissions of a SYN-ACK (`tcp_synack_retries`).
    pub synack_retries: u8,
    /// After how many retransmissions IP should look for another way (RFC 1122's R1).
    pub retries1: u8,
    /// R2 (`tcp_retries2`): the connection ends after as long as this many take if the RTO begins
    /// at `rto_min`: 924.6 s.
    pub retries2: u8,
    /// The same for a connection that no program holds any more.
    pub orphan_retries: u8,
    /// Connections that no program holds any more, at most; more are reset.
    pub max_orphans: usize,
    /// Stay in TIME-WAIT (RFC 9293 §3.4.2: 2 MSL, 240 s).
    pub time_wait: Duration,
    /// Connections in TIME-WAIT, at most; more do not stay there (`tcp_max_tw_buckets`).
    pub max_time_waits: usize,
    /// When a new connection of ours may take over the ends of one in TIME-WAIT (`tcp_tw_reuse`).
    pub tw_reuse: TwReuse,
    /// Ports given to sockets that did not ask for one (`ip_local_port_range`), UDP's too.
    pub ephemeral_ports: (u16, u16),
    /// A connection that the accept queue has no room for is reset instead of kept waiting
    /// (`tcp_abort_on_overflow`).
    pub abort_on_overflow: bool,
    /// Stay in FIN-WAIT-2 when no program holds the connection.
    pub fin_wait_2: Duration,
    /// Ignore RSTs in TIME-WAIT (RFC 1337 §3, fix F1).
    pub rfc1337: bool,
    /// A new socket has SO_KEEPALIVE set (FreeBSD's `always_keepalive`).
    pub always_keepalive: bool,
    /// SO_KEEPALIVE: idle time before the first probe; time between probes; probes.
    pub keep_idle: Duration,
    /// See `keep_idle`.
    pub keep_interval: Duration,
    /// See `keep_idle`.
    pub keep_count: u8,
    /// TCP_NOTSENT_LOWAT of a new socket, octets.
    pub notsent_lowat: u32,
    /// Receive buffer.
    pub rcvbuf: BufferSizes,
    /// Send buffer.
    pub sndbuf: BufferSizes,
    /// SO_SNDBUF and SO_RCVBUF cannot ask for more (`wmem_max`, `rmem_max`).
    pub max_sockbuf: usize,
    /// How much of the receive buffer is for what the memory costs and is not offered as window:
    /// one part in 2 to this power; 0: nothing (Linux's `tcp_adv_win_scale`).
    pub adv_win_scale: u8,
    /// SO_SNDBUF and SO_RCVBUF are doubled, for the same reason (Linux's socket(7)).
    pub sockbuf_doubled: bool,
    /// A loss or a mark cuts the congestion window, whatever of it was in use (Linux); else what is in flight (RFC 5681 §3.1).
    pub cut_by_window: bool,
    /// Initial congestion window.
    pub initial_window: InitialWindow,
    /// Duplicate ACKs that mean a loss (RFC 5681 §3.2).
    pub dup_threshold: u32,
    /// Whose RACK-TLP it is.
    pub rack: RackRules,
    /// Segments by which one can be seen displaced, at most (`tcp_max_reordering`).
    pub max_reordering: u32,
    /// Begin again with the initial window after an idle RTO (RFC 5681 §4.1).
    pub slow_start_after_idle: bool,
    /// What leaves together ends with PSH even if there is more to come: a hint to the receiver's offload (Linux).
    pub push_trains: bool,
    /// Full segments that leave together, at least, if the windows allow (`tcp_min_tso_segs`).
    pub min_tso_segs: u32,
    /// How the congestion window moves.
    pub congestion_control: Algorithm,
    /// NewReno leaves slow start by HyStart++ (RFC 9406), as CUBIC always does. Linux's `reno` does not.
    pub newreno_hystart: bool,
    /// Explicit congestion notification (RFC 3168, `tcp_ecn`). The default is Linux's: nobody who does not ask meets it.
    pub ecn: EcnMode,
    /// A SYN that is sent again does not ask for it any more (RFC 3168 §6.1.1.1, `tcp_ecn_fallback`).
    pub ecn_fallback: bool,
    /// A mark cuts the window less than a loss does (RFC 8511; FreeBSD's `net.inet.tcp.cc.abe`). Off as there, and as on Linux,
    /// which has none: the RFC is an experiment, and pays only where queues mark early.
    pub abe: bool,
    /// Offer window scaling (RFC 7323 §2).
    pub window_scaling: bool,
    /// Offer selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Offer timestamps (RFC 7323 §3).
    pub timestamps: bool,
    /// Largest backlog of a listener (`somaxconn`).
    pub max_backlog: usize,
    /// Half-open connections of a listener, at most (`tcp_max_syn_backlog`).
    pub max_syn_backlog: usize,
    /// When listeners answer with cookies (`tcp_syncookies`).
    pub syncookies: SynCookies,
    /// What of Fast Open is in use (`tcp_fastopen`).
    pub fast_open: FastOpen,
    /// What Fast Open's cookies are made of (`tcp_fastopen_key`); `None`: of a secret of the stack's own.
    pub fast_open_key: Option<Key>,
    /// Data in a SYN that is none of Fast Open's waits for the end of the handshake (RFC 9293 §3.10.7.2);
    /// Linux and FreeBSD leave it to be sent again.
    pub queue_syn_data: bool,
    /// Least time between two challenge ACKs of a connection (RFC 5961 §7; Linux's `tcp_invalid_ratelimit`).
    pub challenge_interval: Duration,
    /// Payload of a segment to a peer that did not say (RFC 9293 §3.7.1), IPv4 and IPv6.
    pub default_mss: (u16, u16),
    /// No peer and no ICMP message can push the payload of a segment below this many octets.
    pub min_mss: u16,
    /// When an ICMP error's word about the path MTU counts.
    pub pmtu_claims: PmtuClaims,
    /// When packet sizes are found by trying (`tcp_mtu_probing`).
    pub mtu_probing: MtuProbing,
    /// Payload of a segment that such a search begins with (RFC 4821 §7.2), octets.
    pub base_mss: u16,
    /// It goes no lower than this, octets.
    pub mtu_probe_floor: u16,
    /// It ends when it knows the size to so many octets.
    pub probe_threshold: u16,
    /// How long it rests then.
    pub probe_interval: Duration,
    /// Ranges of early data that are remembered of one connection.
    pub max_reass_ranges: usize,
}

impl TcpConfig {
    /// Whether the numbers can live together.
    pub(crate) fn is_sound(&self) -> bool {
        let timeouts = !self.rto_min.is_zero()
            && self.rto_min <= self.rto_max
            && !self.rto_initial.is_zero()
            && !self.keep_idle.is_zero()
            && !self.keep_interval.is_zero();
        let sizes =
            |b: BufferSizes| 0 < b.min && b.min <= b.default && b.default <= b.max && b.max <= 1 << 30;
        // FreeBSD's least `mssdflt`
        let mss = [self.min_mss, self.default_mss.0, self.default_mss.1, self.base_mss, self.mtu_probe_floor];
        let mss = mss.into_iter().all(|mss| mss >= 40);
        let ports = 0 < self.ephemeral_ports.0 && self.ephemeral_ports.0 <= self.ephemeral_ports.1;
        ports && timeouts && sizes(self.rcvbuf) && sizes(self.sndbuf) && mss && self.dup_threshold > 0
    }

    /// The size of a buffer for which a program asked for `n` octets.
    pub(crate) fn sockbuf(&self, n: usize) -> usize {
        n.min(self.max_sockbuf) * if self.sockbuf_doubled { 2 } else { 1 }
    }
}

impl Default for TcpConfig {
    fn default() -> TcpConfig {
        Profile::Linux.config()
    }
}
