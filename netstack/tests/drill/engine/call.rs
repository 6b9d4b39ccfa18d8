//! The calls of a script, and their words. What each does stands in `perform`.

use netstack::netinet::IcmpErrorKind;
use netstack::netinet::in_pcb::Share;
use netstack::socket::{RecvFlags, SendFlags};
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{Shutdown, Tally, TcpOpt, TcpOptName, TcpStats};
use netstack::time::Duration;
use std::net::SocketAddr;

/// A call.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// `listen [PORT [BACKLOG]]`
    Listen(u16, usize),
    /// `socket`: a new one, which the calls that follow are about.
    Socket,
    /// `connect [ADDRESS]`
    Connect(Option<SocketAddr>),
    /// `bind ADDRESS`
    Bind(SocketAddr),
    /// `accept`: the calls that follow are about the new connection.
    Accept,
    /// `backlog N`: `listen` on the socket.
    Backlog(usize),
    /// `send OCTETS [oob|more]`
    Send(usize, SendFlags),
    /// `sendto OCTETS`: connects by MSG_FASTOPEN.
    SendFastOpen(usize),
    /// `recv OCTETS [oob|peek|trunc]`
    Recv(usize, RecvFlags),
    /// `shut rd|wr|both`
    Shut(Shutdown),
    /// `close`, `close listener`
    Close { listener: bool },
    /// `abort`: from outside, as `tcpdrop(8)`.
    Abort,
    /// `set OPTION VALUE`
    Set(TcpOpt),
    /// `get OPTION`
    Get(TcpOptName),
    /// `ready`: what `poll` would say.
    Ready,
    /// `events`: what an edge-triggered `epoll` would say.
    Events,
    /// `error`: SO_ERROR
    Error,
    /// `state`
    State,
    /// `info FIELD`
    Info(Info),
    /// `sockets`: the states of all there are.
    Sockets,
    /// `timers`: whether one is set.
    Timers,
    /// `timers fewer N`: entries of the timer heap.
    TimersFewer(usize),
    /// `stat NAME`
    Stat(&'static str),
    /// `port N`: the peer's port from now on.
    Port(u16),
    /// `icmp KIND SEQ [MTU]`: an error about our segment that began at SEQ.
    Icmp(IcmpErrorKind, i64),
    /// The interface takes packets whose checksum and segmentation are left undone.
    Offload,
    /// `room N`: the interface takes N packets more.
    Room(usize),
    /// `mtu N`: of our interface.
    Mtu(u32),
    /// `lenient`: from here on packets that go out are not compared.
    Lenient,
    /// `strict`: from here on they are again.
    Strict,
}

/// A field of TCP_INFO.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Info {
    Cwnd,
    Ssthresh,
    Mss,
    RcvMss,
    Pmtu,
    Rto,
    Rtt,
    SndWnd,
    RcvWnd,
    InFlight,
    /// In flight, selectively acknowledged, lost, sent again.
    Segments,
    CaState,
    Backoff,
    Unsent,
    SendQueue,
    RecvQueue,
    Congestion,
    PacingRate,
    DeliveryRate,
    Reordering,
    FastOpenFail,
    Tally(Counter),
}

/// What a connection counts, by the name of the field of Linux's `struct tcp_info`.
type Counter = fn(&Tally) -> String;

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("no such number: {text}"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("no address: {text}"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let secs: f64 = number(text)?;
    if secs < 0.0 { Err(format!("no time: {text}")) } else { Ok(Duration::from_micros((secs * 1e6) as u64)) }
}

impl Call {
    pub(crate) fn parse(text: &str) -> Result<Call, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["listen"] => Call::Listen(80, 5),
            ["listen", port] => Call::Listen(number(port)?, 5),
            ["listen", port, backlog] => Call::Listen(number(port)?, number(backlog)?),
            ["socket"] => Call::Socket,
            ["connect"] => Call::Connect(None),
            ["connect", to] => Call::Connect(Some(address(to)?)),
            ["bind", to] => Call::Bind(address(to)?),
            ["accept"] => Call::Accept,
            ["backlog", n] => Call::Backlog(number(n)?),
            ["send", n] => Call::Send(number(n)?, SendFlags::empty()),
            ["send", n, "oob"] => Call::Send(number(n)?, SendFlags::OOB),
            ["send", n, "more"] => Call::Send(number(n)?, SendFlags::MORE),
            ["send", n, "eor"] => Call::Send(number(n)?, SendFlags::EOR),
            ["sendto", n] => Call::SendFastOpen(number(n)?),
            ["recv", n] => Call::Recv(number(n)?, RecvFlags::empty()),
            ["recv", n, "oob"] => Call::Recv(number(n)?, RecvFlags::OOB),
            ["recv", n, "peek"] => Call::Recv(number(n)?, RecvFlags::PEEK),
            ["recv", n, "trunc"] => Call::Recv(number(n)?, RecvFlags::TRUNC),
            ["shut", "rd"] => Call::Shut(Shutdown::Read),
            ["shut", "wr"] => Call::Shut(Shutdown::Write),
            ["shut", "both"] => Call::Shut(Shutdown::Both),
            ["close"] => Call::Close { listener: false },
            ["close", "listener"] => Call::Close { listener: true },
            ["abort"] => Call::Abort,
            ["set", ref option @ ..] => Call::Set(option_with_value(option)?),
            ["get", name] => Call::Get(option_name(name)?),
            ["ready"] => Call::Ready,
            ["events"] => Call::Events,
            ["error"] => Call::Error,
            ["state"] => Call::State,
            ["info", field] => Call::Info(Info::parse(field)?),
            ["sockets"] => Call::Sockets,
            ["timers"] => Call::Timers,
            ["timers", "fewer", n] => Call::TimersFewer(number(n)?),
            ["stat", name] => Call::Stat(
                TcpStats::default().iter().find(|s| s.1 == name).ok_or(format!("unknown counter {name}"))?.1,
            ),
            ["port", n] => Call::Port(number(n)?),
            ["icmp", kind, seq] => Call::Icmp(icmp_kind(kind, None)?, number(seq)?),
            ["icmp", kind, seq, mtu] => Call::Icmp(icmp_kind(kind, Some(number(mtu)?))?, number(seq)?),
            ["room", n] => Call::Room(number(n)?),
            ["mtu", n] => Call::Mtu(number(n)?),
            ["offload"] => Call::Offload,
            ["lenient"] => Call::Lenient,
            ["strict"] => Call::Strict,
            _ => return Err(format!("no such call: {}", text.trim())),
        })
    }
}

impl Info {
    fn parse(text: &str) -> Result<Info, String> {
        Ok(match text {
            "cwnd" => Info::Cwnd,
            "ssthresh" => Info::Ssthresh,
            "mss" => Info::Mss,
            "rcvmss" => Info::RcvMss,
            "pmtu" => Info::Pmtu,
            "rto" => Info::Rto,
            "rtt" => Info::Rtt,
            "sndwnd" => Info::SndWnd,
            "rcvwnd" => Info::RcvWnd,
            "inflight" => Info::InFlight,
            "segments" => Info::Segments,
            "castate" => Info::CaState,
            "backoff" => Info::Backoff,
            "unsent" => Info::Unsent,
            "sendq" => Info::SendQueue,
            "recvq" => Info::RecvQueue,
            "congestion" => Info::Congestion,
            "reordering" => Info::Reordering,
            "fastopen_client_fail" => Info::FastOpenFail,
            "pacing" => Info::PacingRate,
            "delivery" => Info::DeliveryRate,
            "segs_in" => Info::Tally(|t| t.segs_in.to_string()),
            "segs_out" => Info::Tally(|t| t.segs_out.to_string()),
            "data_segs_in" => Info::Tally(|t| t.data_segs_in.to_string()),
            "data_segs_out" => Info::Tally(|t| t.data_segs_out.to_string()),
            "bytes_sent" => Info::Tally(|t| t.bytes_sent.to_string()),
            "bytes_retrans" => Info::Tally(|t| t.bytes_retrans.to_string()),
            "delivered" => Info::Tally(|t| t.delivered.to_string()),
            "dsack_dups" => Info::Tally(|t| t.dsack_dups.to_string()),
            "reord_seen" => Info::Tally(|t| t.reord_seen.to_string()),
            "rcv_ooopack" => Info::Tally(|t| t.rcv_ooopack.to_string()),
            "total_rto" => Info::Tally(|t| format!("{} in {}", t.total_rto, t.total_rto_recoveries)),
            "total_rto_time" => Info::Tally(|t| t.total_rto_time.as_millis().to_string()),
            "busy_time" => Info::Tally(|t| t.busy_time.as_millis().to_string()),
            "rwnd_limited" => Info::Tally(|t| t.rwnd_limited.as_millis().to_string()),
            "sndbuf_limited" => Info::Tally(|t| t.sndbuf_limited.as_millis().to_string()),
            other => return Err(format!("unknown field of TCP_INFO: {other}")),
        })
    }
}

fn option_with_value(words: &[&str]) -> Result<TcpOpt, String> {
    let switch = |word: Option<&&str>| match word {
        None | Some(&"on") => Ok(true),
        Some(&"off") => Ok(false),
        Some(other) => Err(format!("on or off: {other}")),
    };
    Ok(match words {
        ["nodelay", on @ ..] if on.len() < 2 => TcpOpt::NoDelay(switch(on.first())?),
        ["cork", on @ ..] if on.len() < 2 => TcpOpt::Cork(switch(on.first())?),
        ["quickack", on @ ..] if on.len() < 2 => TcpOpt::QuickAck(switch(on.first())?),
        ["keepalive", on @ ..] if on.len() < 2 => TcpOpt::KeepAlive(switch(on.first())?),
        ["oobinline", on @ ..] if on.len() < 2 => TcpOpt::OobInline(switch(on.first())?),
        ["keepidle", t] => TcpOpt::KeepIdle(seconds(t)?),
        ["keepintvl", t] => TcpOpt::KeepInterval(seconds(t)?),
        ["keepcnt", n] => TcpOpt::KeepCount(number(n)?),
        ["syncnt", n] => TcpOpt::SynCount(number(n)?),
        ["usertimeout", t] => TcpOpt::UserTimeout(seconds(t)?),
        ["linger", "off"] => TcpOpt::Linger(None),
        ["linger", t] => TcpOpt::Linger(Some(seconds(t)?)),
        ["linger2", t] => TcpOpt::Linger2(seconds(t)?),
        ["pacing", "off"] => TcpOpt::MaxPacingRate(None),
        ["pacing", n] => TcpOpt::MaxPacingRate(Some(number(n)?)),
        ["rcvlowat", n] => TcpOpt::RcvLowat(number(n)?),
        ["rcvbuf", n] => TcpOpt::RcvBuf(number(n)?),
        ["sndbuf", n] => TcpOpt::SndBuf(number(n)?),
        ["maxseg", n] => TcpOpt::MaxSeg(number(n)?),
        ["deferaccept", n] => TcpOpt::DeferAccept(number(n)?),
        ["windowclamp", n] => TcpOpt::WindowClamp(number(n)?),
        ["notsentlowat", n] => TcpOpt::NotSentLowat(number(n)?),
        ["reuseaddr", on @ ..] if on.len() < 2 => {
            TcpOpt::Reuse(Share { addr: switch(on.first())?, ..Share::default() })
        }
        ["fastopen", n] => TcpOpt::FastOpen(number(n)?),
        ["fastopenconnect", on @ ..] if on.len() < 2 => TcpOpt::FastOpenConnect(switch(on.first())?),
        ["fastopennocookie", on @ ..] if on.len() < 2 => TcpOpt::FastOpenNoCookie(switch(on.first())?),
        ["ttl", n] => TcpOpt::Ttl(number(n)?),
        ["tos", n] => TcpOpt::Tos(number(n)?),
        ["congestion", name] => {
            TcpOpt::Congestion(Algorithm::by_name(name).ok_or(format!("unknown algorithm {name}"))?)
        }
        _ => return Err(format!("no such option: {}", words.join(" "))),
    })
}

fn option_name(name: &str) -> Result<TcpOptName, String> {
    Ok(match name {
        "nodelay" => TcpOptName::NoDelay,
        "cork" => TcpOptName::Cork,
        "quickack" => TcpOptName::QuickAck,
        "keepalive" => TcpOptName::KeepAlive,
        "oobinline" => TcpOptName::OobInline,
        "keepidle" => TcpOptName::KeepIdle,
        "keepintvl" => TcpOptName::KeepInterval,
        "keepcnt" => TcpOptName::KeepCount,
        "syncnt" => TcpOptName::SynCount,
        "usertimeout" => TcpOptName::UserTimeout,
        "linger" => TcpOptName::Linger,
        "linger2" => TcpOptName::Linger2,
        "pacing" => TcpOptName::MaxPacingRate,
        "rcvlowat" => TcpOptName::RcvLowat,
        "rcvbuf" => TcpOptName::RcvBuf,
        "sndbuf" => TcpOptName::SndBuf,
        "maxseg" => TcpOptName::MaxSeg,
        "deferaccept" => TcpOptName::DeferAccept,
        "windowclamp" => TcpOptName::WindowClamp,
        "notsentlowat" => TcpOptName::NotSentLowat,
        "fastopen" => TcpOptName::FastOpen,
        "fastopenconnect" => TcpOptName::FastOpenConnect,
        "fastopennocookie" => TcpOptName::FastOpenNoCookie,
        "ttl" => TcpOptName::Ttl,
        "tos" => TcpOptName::Tos,
        "congestion" => TcpOptName::Congestion,
        other => return Err(format!("unknown option {other}")),
    })
}

fn icmp_kind(kind: &str, mtu: Option<u32>) -> Result<IcmpErrorKind, String> {
    Ok(match (kind, mtu) {
        ("toobig", Some(mtu)) => IcmpErrorKind::PacketTooBig { mtu },
        ("port", None) => IcmpErrorKind::PortUnreachable,
        ("proto", None) => IcmpErrorKind::ProtoUnreachable,
        ("host", None) => IcmpErrorKind::HostUnreachable,
        ("net", None) => IcmpErrorKind::NetUnreachable,
        ("admin", None) => IcmpErrorKind::HostRefused,
        ("ttl", None) => IcmpErrorKind::TimeExceeded,
        ("param", None) => IcmpErrorKind::Parameter,
        _ => return Err(format!("no such ICMP error: {kind}")),
    })
}
