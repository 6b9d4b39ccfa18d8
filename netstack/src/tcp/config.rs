//! What can be turned: one table of values. The defaults are Linux's; where an RFC says otherwise
//! the field names both.

use super::cc::Algorithm;
use crate::time::Duration;

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

/// All of TCP's numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpConfig {
    /// Time to live of segments; a stack sets it to its own.
    pub ttl: u8,
    /// RTO before the first measurement (RFC 6298 §2.1).
    pub rto_initial: Duration,
    /// Least RTO: 200 ms as Linux and FreeBSD; RFC 6298 §2.4 says 1 s.
    pub rto_min: Duration,
    /// Largest RTO (RFC 6298 §2.5 allows no less than 60 s).
    pub rto_max: Duration,
    /// Longest delay of an acknowledgment (`TCP_DELACK_MIN`; RFC 9293 allows 500 ms).
    pub delayed_ack: Duration,
    /// Segments of a new connection that are acknowledged at once.
    pub quick_acks: u8,
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
    /// Stay in TIME-WAIT: 60 s as Linux; RFC 9293's 2 MSL are 240 s.
    pub time_wait: Duration,
    /// Stay in FIN-WAIT-2 when no program holds the connection.
    pub fin_wait_2: Duration,
    /// Ignore RSTs in TIME-WAIT (RFC 1337 §3, fix F1). Linux does not.
    pub rfc1337: bool,
    /// SO_KEEPALIVE: idle time before the first probe; time between probes; probes.
    pub keep_idle: Duration,
    /// See `keep_idle`.
    pub keep_interval: Duration,
    /// See `keep_idle`.
    pub keep_count: u8,
    /// Receive buffer; half of it is offered as window (Linux's `tcp_adv_win_scale` 1).
    pub rcvbuf: BufferSizes,
    /// Send buffer.
    pub sndbuf: BufferSizes,
    /// SO_SNDBUF and SO_RCVBUF cannot ask for more (`wmem_max`, `rmem_max`).
    pub max_sockbuf: usize,
    /// Initial congestion window in segments (RFC 6928).
    pub initial_window: u32,
    /// Duplicate ACKs that mean a loss (RFC 5681 §3.2).
    pub dup_threshold: u32,
    /// Begin again with the initial window after an idle RTO (RFC 5681 §4.1).
    pub slow_start_after_idle: bool,
    /// How the congestion window moves.
    pub congestion_control: Algorithm,
    /// NewReno leaves slow start by HyStart++ (RFC 9406), as CUBIC always does. Linux's `reno` does not.
    pub newreno_hystart: bool,
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
    /// Least time between two challenge ACKs of a connection (RFC 5961 §7; Linux's `tcp_invalid_ratelimit`).
    pub challenge_interval: Duration,
    /// Payload of a segment to a peer that did not say (RFC 9293 §3.7.1), IPv4 and IPv6.
    pub default_mss: (u16, u16),
    /// No peer and no ICMP message can push the payload of a segment below this many octets.
    pub min_mss: u16,
    /// Ranges of early data that are remembered of one connection.
    pub max_reass_ranges: usize,
}

impl Default for TcpConfig {
    fn default() -> TcpConfig {
        TcpConfig {
            ttl: 64,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            delayed_ack: Duration::from_millis(40),
            quick_acks: 16,
            syn_retries: 6,
            synack_retries: 5,
            retries1: 3,
            retries2: 15,
            orphan_retries: 8,
            max_orphans: 8192,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            rfc1337: false,
            keep_idle: Duration::from_secs(7200),
            keep_interval: Duration::from_secs(75),
            keep_count: 9,
            rcvbuf: BufferSizes { min: 2304, default: 131_072, max: 6 << 20 },
            sndbuf: BufferSizes { min: 4608, default: 16_384, max: 4 << 20 },
            max_sockbuf: 4 << 20,
            initial_window: 10,
            dup_threshold: 3,
            slow_start_after_idle: true,
            congestion_control: Algorithm::Cubic,
            newreno_hystart: false,
            window_scaling: true,
            sack: true,
            timestamps: true,
            max_backlog: 4096,
            max_syn_backlog: 4096,
            challenge_interval: Duration::from_millis(500),
            default_mss: (536, 1220),
            min_mss: 48,
            max_reass_ranges: 256,
        }
    }
}
