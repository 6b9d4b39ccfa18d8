//! What programs can turn on one socket: TCP's options (`setsockopt(IPPROTO_TCP, …)`) and those
//! of `SOL_SOCKET` and `IPPROTO_IP` that TCP acts on.

use super::State;
use super::cc::Algorithm;
use super::config::{Nagle, TcpConfig};
use super::fastopen::{FastOpen, Key};
use super::tcb::Tcb;
use crate::net::IfIndex;
use crate::netinet::FlowLabel;
use crate::netinet::in_pcb::Share;
use crate::socket::{Ready, SockError};
use crate::time::{Duration, Instant};
use crate::wire::tcp;
use std::rc::Rc;

/// An option with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOpt {
    /// TCP_NODELAY: small segments do not wait for an acknowledgment.
    NoDelay(bool),
    /// TCP_CORK: only full segments, until it is cleared.
    Cork(bool),
    /// TCP_QUICKACK: acknowledge at once (until the connection becomes interactive again).
    QuickAck(bool),
    /// SO_KEEPALIVE
    KeepAlive(bool),
    /// TCP_KEEPIDLE
    KeepIdle(Duration),
    /// TCP_KEEPINTVL
    KeepInterval(Duration),
    /// TCP_KEEPCNT
    KeepCount(u8),
    /// TCP_SYNCNT
    SynCount(u8),
    /// TCP_USER_TIMEOUT; zero: the default of retransmissions.
    UserTimeout(Duration),
    /// TCP_DEFER_ACCEPT: of a listener, how many times the SYN-ACK may have been sent again before a
    /// connection without data is accepted; 0: at once.
    DeferAccept(u8),
    /// TCP_WINDOW_CLAMP: octets of the largest window offered; 0: what the buffer allows.
    WindowClamp(u32),
    /// TCP_NOTSENT_LOWAT: with so many octets written and not sent a program may write no more.
    NotSentLowat(u32),
    /// TCP_LINGER2: stay in FIN-WAIT-2 after close.
    Linger2(Duration),
    /// TCP_MAXSEG: before connecting, the largest segment offered (0: what the path takes); afterwards, that in use.
    MaxSeg(u16),
    /// TCP_CONGESTION
    Congestion(Algorithm),
    /// SO_MAX_PACING_RATE: octets a second; `None`: no limit.
    MaxPacingRate(Option<u64>),
    /// TCP_FASTOPEN: of a listener, how many connections may be held before their handshake has ended.
    FastOpen(usize),
    /// TCP_FASTOPEN_CONNECT: `connect` waits for the first data, if it knows a cookie.
    FastOpenConnect(bool),
    /// TCP_FASTOPEN_NO_COOKIE: data goes and comes in a SYN without one.
    FastOpenNoCookie(bool),
    /// TCP_FASTOPEN_KEY: of a listener, what its cookies are made of; read as zeros while it has no key of its own.
    FastOpenKey(Key),
    /// SO_LINGER; zero: close resets the connection. The waiting is the kernel's affair.
    Linger(Option<Duration>),
    /// SO_OOBINLINE
    OobInline(bool),
    /// IPV6_ADDR_PREFERENCES: connections are rather from addresses that others may know (RFC 5014).
    PublicSource(bool),
    /// SO_SNDBUF: doubled and kept as it is, as on Linux.
    SndBuf(usize),
    /// SO_RCVBUF: likewise.
    RcvBuf(usize),
    /// SO_RCVLOWAT
    RcvLowat(usize),
    /// SO_REUSEADDR and SO_REUSEPORT
    Reuse(Share),
    /// SO_BINDTODEVICE
    BindToDevice(Option<IfIndex>),
    /// IPV6_V6ONLY
    V6Only(bool),
    /// IP_TTL, IPV6_UNICAST_HOPS
    Ttl(u8),
    /// IP_TOS, IPV6_TCLASS
    Tos(u8),
    /// IPV6_AUTOFLOWLABEL, or what the peer's address says.
    FlowLabel(FlowLabel),
}

/// Names of the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of TcpOpt")]
pub enum TcpOptName {
    NoDelay,
    Cork,
    QuickAck,
    KeepAlive,
    KeepIdle,
    KeepInterval,
    KeepCount,
    SynCount,
    UserTimeout,
    DeferAccept,
    WindowClamp,
    NotSentLowat,
    Linger2,
    MaxSeg,
    Congestion,
    MaxPacingRate,
    FastOpen,
    FastOpenConnect,
    FastOpenNoCookie,
    FastOpenKey,
    Linger,
    OobInline,
    PublicSource,
    SndBuf,
    RcvBuf,
    RcvLowat,
    Reuse,
    BindToDevice,
    V6Only,
    Ttl,
    Tos,
    FlowLabel,
}

/// The options of one socket.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) nodelay: bool,
    pub(crate) nagle: Nagle,
    pub(crate) cork: bool,
    pub(crate) keepalive: bool,
    pub(crate) keep_idle: Duration,
    pub(crate) keep_interval: Duration,
    pub(crate) keep_count: u8,
    pub(crate) syn_retries: u8,
    pub(crate) user_timeout: Duration,
    pub(crate) defer_accept: u8,
    /// `u32::MAX`: none
    pub(crate) window_clamp: u32,
    pub(crate) notsent_lowat: u32,
    pub(crate) fin_wait_2: Duration,
    pub(crate) max_seg: Option<u16>,
    pub(crate) max_pacing_rate: Option<u64>,
    pub(crate) fast_open: usize,
    pub(crate) fast_open_connect: bool,
    pub(crate) fast_open_no_cookie: bool,
    pub(crate) fast_open_key: Option<Key>,
    pub(crate) linger: Option<Duration>,
    pub(crate) oob_inline: bool,
    pub(crate) public_source: bool,
    pub(crate) sndbuf_fixed: bool,
    pub(crate) rcvbuf_fixed: bool,
    pub(crate) rcvlowat: usize,
    pub(crate) adv_win_scale: u8,
    pub(crate) share: Share,
    pub(crate) bound_if: Option<IfIndex>,
    pub(crate) only_v6: bool,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) flow_label: FlowLabel,
    pub(crate) headers: Headers,
}

/// IPv6's extension headers of each segment (IPV6_HOPOPTS, IPV6_DSTOPTS).
#[derive(Clone, Debug)]
pub(crate) struct Headers {
    /// What the first of all headers is.
    pub(crate) first: u8,
    /// Their octets.
    pub(crate) chain: Box<[u8]>,
}

impl Settings {
    pub(crate) fn new(config: &TcpConfig) -> Settings {
        Settings {
            nodelay: false,
            nagle: config.nagle,
            cork: false,
            keepalive: config.always_keepalive,
            keep_idle: config.keep_idle,
            keep_interval: config.keep_interval,
            keep_count: config.keep_count,
            syn_retries: config.syn_retries,
            user_timeout: Duration::ZERO,
            defer_accept: 0,
            window_clamp: u32::MAX,
            notsent_lowat: config.notsent_lowat,
            fin_wait_2: config.fin_wait_2,
            max_seg: None,
            max_pacing_rate: None,
            fast_open: 0,
            fast_open_connect: false,
            fast_open_no_cookie: false,
            fast_open_key: None,
            linger: None,
            oob_inline: false,
            public_source: false,
            sndbuf_fixed: false,
            rcvbuf_fixed: false,
            rcvlowat: 1,
            adv_win_scale: config.adv_win_scale,
            share: Share::default(),
            bound_if: None,
            only_v6: false,
            ttl: config.ttl,
            tos: 0,
            flow_label: FlowLabel::Auto,
            headers: Headers { first: tcp::PROTOCOL, chain: Box::default() },
        }
    }
}

impl Tcb {
    /// Sets an option that concerns this socket alone.
    pub(super) fn set_option(
        &mut self,
        now: Instant,
        config: &TcpConfig,
        opt: TcpOpt,
    ) -> Result<(), SockError> {
        let set = Rc::make_mut(&mut self.set);
        match opt {
            TcpOpt::NoDelay(on) => {
                set.nodelay = on;
                if on {
                    // What waits goes now, also what a cork holds (tcp(7)).
                    self.pushed = self.data_end();
                    self.wants_output = true;
                }
            }
            TcpOpt::Cork(on) => {
                set.cork = on;
                self.wants_output |= !on;
            }
            TcpOpt::QuickAck(on) => {
                self.quick_acks = if on { config.quick_acks } else { 0 };
                self.interactive = !on;
                if on && self.t_delack.is_some() {
                    (self.ack_now, self.wants_output) = (true, true);
                }
            }
            TcpOpt::KeepAlive(on) => {
                set.keepalive = on;
                self.restart_keepalive(now);
            }
            TcpOpt::KeepIdle(d) => {
                set.keep_idle = d.max(Duration::from_secs(1));
                self.restart_keepalive(now);
            }
            TcpOpt::KeepInterval(d) => set.keep_interval = d.max(Duration::from_secs(1)),
            TcpOpt::KeepCount(n) => set.keep_count = n.clamp(1, 127),
            TcpOpt::SynCount(n) => set.syn_retries = n.clamp(1, 127),
            TcpOpt::UserTimeout(d) => set.user_timeout = d,
            TcpOpt::DeferAccept(n) => set.defer_accept = n,
            TcpOpt::WindowClamp(0) if self.state != State::Closed => return Err(SockError::Invalid),
            TcpOpt::WindowClamp(0) => set.window_clamp = u32::MAX,
            TcpOpt::WindowClamp(n) => set.window_clamp = n.max(config.rcvbuf.min as u32 / 2),
            TcpOpt::NotSentLowat(n) => {
                set.notsent_lowat = n;
                self.no_space |= !self.writable();
                if self.writable() {
                    self.notify(Ready::WRITE);
                }
            }
            TcpOpt::Linger2(d) => set.fin_wait_2 = d.min(config.fin_wait_2),
            TcpOpt::MaxSeg(0) => set.max_seg = None,
            TcpOpt::MaxSeg(n) => {
                // Linux's MAX_TCP_WINDOW
                if n < config.min_mss || n > 32_767 {
                    return Err(SockError::Invalid);
                }
                set.max_seg = Some(n);
            }
            TcpOpt::Congestion(a) => {
                self.cc_algorithm = a;
                self.cc = a.start(config);
                self.pace.rate = None;
            }
            TcpOpt::MaxPacingRate(rate) => {
                set.max_pacing_rate = rate.map(|r| r.max(1));
                // What waits was promised at the old rate.
                self.pace.begin_anew();
                (self.t_pace, self.wants_output) = (None, true);
            }
            TcpOpt::FastOpen(n) => {
                if !matches!(self.state, State::Closed | State::Listen) {
                    return Err(SockError::Invalid);
                }
                set.fast_open = n.min(config.max_backlog);
            }
            TcpOpt::FastOpenConnect(on) => {
                if !config.fast_open.contains(FastOpen::CLIENT) {
                    return Err(SockError::OpNotSupported);
                }
                if self.state != State::Closed {
                    return Err(SockError::Invalid);
                }
                set.fast_open_connect = on;
            }
            TcpOpt::FastOpenNoCookie(on) => {
                if !matches!(self.state, State::Closed | State::Listen) {
                    return Err(SockError::Invalid);
                }
                set.fast_open_no_cookie = on;
            }
            TcpOpt::FastOpenKey(key) => set.fast_open_key = Some(key),
            TcpOpt::Linger(d) => set.linger = d,
            TcpOpt::OobInline(on) => set.oob_inline = on,
            TcpOpt::PublicSource(on) => set.public_source = on,
            TcpOpt::SndBuf(n) => {
                set.sndbuf_fixed = true;
                self.sndbuf.limit = config.sockbuf(n).max(config.sndbuf.min);
                self.no_space |= !self.writable();
                if self.writable() {
                    self.notify(Ready::WRITE);
                }
            }
            TcpOpt::RcvBuf(n) => {
                set.rcvbuf_fixed = true;
                self.rcvbuf_size = config.sockbuf(n).max(config.rcvbuf.min);
            }
            TcpOpt::RcvLowat(n) => {
                // As Linux: no more than the window can bring, and the buffer grows with it.
                let largest = if set.rcvbuf_fixed { self.rcvbuf_size } else { config.rcvbuf.max };
                set.rcvlowat = n.clamp(1, (largest / 2).max(1));
                self.rcvbuf_size = self.rcvbuf_size.max(2 * set.rcvlowat);
                self.notify(Ready::READ);
            }
            TcpOpt::Reuse(share) => set.share = share,
            TcpOpt::BindToDevice(i) => set.bound_if = i,
            TcpOpt::V6Only(on) => {
                if self.bound {
                    return Err(SockError::Invalid);
                }
                set.only_v6 = on;
            }
            TcpOpt::Ttl(0) => return Err(SockError::Invalid),
            TcpOpt::Ttl(n) => set.ttl = n,
            // The two bits of ECN are the protocol's.
            TcpOpt::Tos(n) => set.tos = n & !3,
            TcpOpt::FlowLabel(label) => set.flow_label = label,
        }
        Ok(())
    }

    /// Reads an option.
    pub(super) fn option(&self, name: TcpOptName) -> TcpOpt {
        let set = &self.set;
        match name {
            TcpOptName::NoDelay => TcpOpt::NoDelay(set.nodelay),
            TcpOptName::Cork => TcpOpt::Cork(set.cork),
            TcpOptName::QuickAck => TcpOpt::QuickAck(self.quick_acks > 0),
            TcpOptName::KeepAlive => TcpOpt::KeepAlive(set.keepalive),
            TcpOptName::KeepIdle => TcpOpt::KeepIdle(set.keep_idle),
            TcpOptName::KeepInterval => TcpOpt::KeepInterval(set.keep_interval),
            TcpOptName::KeepCount => TcpOpt::KeepCount(set.keep_count),
            TcpOptName::SynCount => TcpOpt::SynCount(set.syn_retries),
            TcpOptName::UserTimeout => TcpOpt::UserTimeout(set.user_timeout),
            TcpOptName::DeferAccept => TcpOpt::DeferAccept(set.defer_accept),
            TcpOptName::WindowClamp => TcpOpt::WindowClamp(self.rcv_space()),
            TcpOptName::NotSentLowat => TcpOpt::NotSentLowat(set.notsent_lowat),
            TcpOptName::Linger2 => TcpOpt::Linger2(set.fin_wait_2),
            TcpOptName::MaxSeg => TcpOpt::MaxSeg(match (self.state, set.max_seg) {
                (State::Closed | State::Listen, Some(n)) => n,
                _ => self.window.mss.min(u32::from(u16::MAX)) as u16,
            }),
            TcpOptName::Congestion => TcpOpt::Congestion(self.cc_algorithm),
            TcpOptName::MaxPacingRate => TcpOpt::MaxPacingRate(set.max_pacing_rate),
            TcpOptName::FastOpen => TcpOpt::FastOpen(set.fast_open),
            TcpOptName::FastOpenConnect => TcpOpt::FastOpenConnect(set.fast_open_connect),
            TcpOptName::FastOpenNoCookie => TcpOpt::FastOpenNoCookie(set.fast_open_no_cookie),
            TcpOptName::FastOpenKey => TcpOpt::FastOpenKey(set.fast_open_key.unwrap_or(Key([0; 16]))),
            TcpOptName::Linger => TcpOpt::Linger(set.linger),
            TcpOptName::OobInline => TcpOpt::OobInline(set.oob_inline),
            TcpOptName::PublicSource => TcpOpt::PublicSource(set.public_source),
            TcpOptName::SndBuf => TcpOpt::SndBuf(self.sndbuf.limit),
            TcpOptName::RcvBuf => TcpOpt::RcvBuf(self.rcvbuf_size),
            TcpOptName::RcvLowat => TcpOpt::RcvLowat(set.rcvlowat),
            TcpOptName::Reuse => TcpOpt::Reuse(set.share),
            TcpOptName::BindToDevice => TcpOpt::BindToDevice(set.bound_if),
            TcpOptName::V6Only => TcpOpt::V6Only(set.only_v6),
            TcpOptName::Ttl => TcpOpt::Ttl(set.ttl),
            TcpOptName::Tos => TcpOpt::Tos(set.tos),
            TcpOptName::FlowLabel => TcpOpt::FlowLabel(set.flow_label),
        }
    }
}
