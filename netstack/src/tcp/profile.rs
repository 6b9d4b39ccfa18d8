//! Whose TCP it is: tables of values, no second code path. `linux` is what Debian's kernel does,
//! `freebsd` FreeBSD 14's sysctl defaults, `rfc` what the RFCs' text asks for.
//!
//! What the two systems do differently in their code and not by a value is not here.

use super::cc::Algorithm;
use super::config::{BufferSizes, InitialWindow, Nagle, RtoFloor, SynWindow, TcpConfig, TwReuse};
use super::ecn::EcnMode;
use super::fastopen::FastOpen;
use super::plpmtud::MtuProbing;
use super::pmtu::PmtuClaims;
use super::rack::RackRules;
use super::syncookie::SynCookies;
use crate::time::Duration;
use crate::wire::tcp::OptionOrder;

/// A table of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Linux, with Debian's defaults.
    Linux,
    /// FreeBSD 14.
    FreeBsd,
    /// The text of RFC 9293, 5681, 5927, 6298, 6582, 7323 and 8985.
    Rfc,
}

impl Profile {
    /// All of them.
    pub const ALL: &'static [Profile] = &[Profile::Linux, Profile::FreeBsd, Profile::Rfc];

    /// `linux`, `freebsd`, `rfc`
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Linux => "linux",
            Profile::FreeBsd => "freebsd",
            Profile::Rfc => "rfc",
        }
    }

    /// The profile of that name.
    pub fn by_name(name: &str) -> Option<Profile> {
        Self::ALL.iter().copied().find(|p| p.name() == name)
    }

    /// Its values.
    pub fn config(self) -> TcpConfig {
        match self {
            Profile::Linux => linux(),
            Profile::FreeBsd => freebsd(),
            Profile::Rfc => rfc(),
        }
    }
}

fn linux() -> TcpConfig {
    TcpConfig {
        profile: Profile::Linux,
        option_order: OptionOrder::Linux,
        syn_window: SynWindow::WholeSegments,
        nagle: Nagle::Minshall,
        ttl: 64,
        rto_initial: Duration::from_secs(1),
        rto_min: Duration::from_millis(200),
        rto_floor: RtoFloor::Variance,
        rto_slop: Duration::ZERO,
        rto_max: Duration::from_secs(120),
        // TCP_TIMEOUT_MIN_US
        probe_slack: Duration::from_millis(2),
        delayed_ack: Duration::from_millis(40),
        quick_acks: 16,
        ack_on_read: true,
        syn_retries: 6,
        synack_retries: 5,
        retries1: 3,
        retries2: 15,
        orphan_retries: 8,
        max_orphans: 8192,
        time_wait: Duration::from_secs(60),
        max_time_waits: 65_536,
        tw_reuse: TwReuse::Loopback,
        ephemeral_ports: (32_768, 60_999),
        abort_on_overflow: false,
        fin_wait_2: Duration::from_secs(60),
        rfc1337: false,
        always_keepalive: false,
        keep_idle: Duration::from_secs(7200),
        keep_interval: Duration::from_secs(75),
        keep_count: 9,
        notsent_lowat: u32::MAX,
        rcvbuf: BufferSizes { min: 2304, default: 131_072, max: 15 << 20 },
        sndbuf: BufferSizes { min: 4608, default: 16_384, max: 4 << 20 },
        max_sockbuf: 4 << 20,
        adv_win_scale: 1,
        sockbuf_doubled: true,
        cut_by_window: true,
        initial_window: InitialWindow::Segments(10),
        dup_threshold: 3,
        rack: RackRules::Linux,
        max_reordering: 300,
        slow_start_after_idle: true,
        push_trains: true,
        min_tso_segs: 2,
        congestion_control: Algorithm::Cubic,
        newreno_hystart: false,
        ecn: EcnMode::Accept,
        ecn_fallback: true,
        abe: false,
        window_scaling: true,
        sack: true,
        timestamps: true,
        max_backlog: 4096,
        max_syn_backlog: 4096,
        syncookies: SynCookies::WhenFull,
        fast_open: FastOpen::CLIENT,
        fast_open_key: None,
        queue_syn_data: false,
        challenge_interval: Duration::from_millis(500),
        default_mss: (536, 1220),
        min_mss: 48,
        // tcp_v4_mtu_reduced; FreeBSD's tcp_ctlinput too
        pmtu_claims: PmtuClaims::AtOnce,
        mtu_probing: MtuProbing::Never,
        base_mss: 1024,
        mtu_probe_floor: 48,
        probe_threshold: 8,
        probe_interval: Duration::from_secs(600),
        max_reass_ranges: 256,
    }
}

fn freebsd() -> TcpConfig {
    TcpConfig {
        profile: Profile::FreeBsd,
        option_order: OptionOrder::FreeBsd,
        syn_window: SynWindow::Whole,
        nagle: Nagle::Classic,
        // rexmit_min and rexmit_slop: no less than 230 ms
        rto_min: Duration::from_millis(30),
        rto_floor: RtoFloor::Sum,
        rto_slop: Duration::from_millis(200),
        // TCPTV_REXMTMAX
        rto_max: Duration::from_secs(64),
        probe_slack: Duration::ZERO,
        delayed_ack: Duration::from_millis(100),
        quick_acks: 0,
        ack_on_read: false,
        // keepinit ends an attempt after 75 s.
        syn_retries: 5,
        synack_retries: 3,
        // TCP_MAXRXTSHIFT
        retries2: 12,
        always_keepalive: true,
        keep_count: 8,
        // recvspace, sendspace, recvbuf_max, sendbuf_max
        rcvbuf: BufferSizes { min: 2048, default: 65_536, max: 2 << 20 },
        sndbuf: BufferSizes { min: 2048, default: 32_768, max: 2 << 20 },
        max_sockbuf: 2 << 20,
        adv_win_scale: 0,
        sockbuf_doubled: false,
        initial_window: InitialWindow::Rfc6928,
        tw_reuse: TwReuse::Never,
        ephemeral_ports: (10_000, 65_535),
        // syncache.rst_on_sock_fail
        abort_on_overflow: true,
        // soacceptqueue
        max_backlog: 128,
        min_mss: 216,
        // pmtud_blackhole_mss
        base_mss: 1200,
        push_trains: false,
        cut_by_window: false,
        ..linux()
    }
}

fn rfc() -> TcpConfig {
    TcpConfig {
        profile: Profile::Rfc,
        syn_window: SynWindow::Whole,
        nagle: Nagle::Classic,
        // RFC 6298 §2.4, §2.5
        rto_min: Duration::from_secs(1),
        rto_floor: RtoFloor::Sum,
        rto_max: Duration::from_secs(60),
        // RFC 1122 §4.2.3.2 and what BSD made of it
        probe_slack: Duration::ZERO,
        delayed_ack: Duration::from_millis(200),
        quick_acks: 0,
        ack_on_read: false,
        // RFC 9293 §3.8.3: R2 of a SYN is at least 3 minutes.
        syn_retries: 7,
        synack_retries: 7,
        // RFC 9293 §3.4.2
        time_wait: Duration::from_secs(240),
        adv_win_scale: 0,
        initial_window: InitialWindow::Rfc5681,
        queue_syn_data: true,
        tw_reuse: TwReuse::Never,
        // RFC 6056 §3.2
        ephemeral_ports: (1024, 65_535),
        congestion_control: Algorithm::NewReno,
        pmtu_claims: PmtuClaims::OnTimeout,
        rack: RackRules::Rfc,
        push_trains: false,
        cut_by_window: false,
        ..linux()
    }
}
