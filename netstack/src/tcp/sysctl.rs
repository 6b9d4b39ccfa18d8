//! The names by which programs and people know TCP's values: Linux's `net.ipv4.tcp_*` and `net.core.*`,
//! FreeBSD's `net.inet.tcp.*` and `kern.ipc.*`. A value has the unit that its name has there; several
//! names may stand for the same value.
//!
//! What is changed holds for sockets made later, and for what is not a socket's own at once.

use super::cc::Algorithm;
use super::config::{BufferSizes, InitialWindow, TcpConfig, TwReuse};
use super::ecn::EcnMode;
use super::fastopen::{FastOpen, Key};
use super::plpmtud::MtuProbing;
use super::profile::Profile;
use super::syncookie::SynCookies;
use crate::time::Duration;

/// Why a value was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// There is no such name (ENOENT).
    #[error("no value is called {0}")]
    Unknown(String),
    /// The value cannot be changed (EPERM).
    #[error("{0} can only be read")]
    ReadOnly(&'static str),
    /// The value is not of its kind, or too small or large (EINVAL).
    #[error("{name} takes {takes}")]
    Invalid {
        /// The name.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
    },
}

/// All names, in their order.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The value, as `sysctl -n` prints it.
pub fn get(config: &TcpConfig, name: &str) -> Option<String> {
    // A place is found by a function that may change it: it is given a copy.
    find(name).map(|row| row.value.print(&mut config.clone()))
}

/// Changes a value.
pub fn set(config: &mut TcpConfig, name: &str, value: &str) -> Result<(), SysctlError> {
    let row = find(name).ok_or_else(|| SysctlError::Unknown(name.to_owned()))?;
    if let Value::Fixed(_) = row.value {
        return Err(SysctlError::ReadOnly(row.name));
    }
    let mut changed = config.clone();
    let takes = match row.value.parse(&mut changed, value) {
        Some(()) if changed.is_sound() => {
            *config = changed;
            return Ok(());
        }
        Some(()) => "no value so small or so large beside the others",
        None => row.value.takes(),
    };
    Err(SysctlError::Invalid { name: row.name, takes })
}

/// Changes several values, one after the other; one that does not fit before another has changed (a least timeout above
/// the largest of now) is tried again after it. What is refused comes back with its place in the list; the rest is done.
pub fn set_all(config: &mut TcpConfig, values: &[(&str, &str)]) -> Vec<(usize, SysctlError)> {
    let mut left: Vec<usize> = (0..values.len()).collect();
    loop {
        let tried = left.len();
        let refused = |at: usize| Some((at, set(config, values[at].0, values[at].1).err()?));
        let refused: Vec<(usize, SysctlError)> = left.into_iter().filter_map(refused).collect();
        if refused.is_empty() || refused.len() == tried {
            return refused;
        }
        left = refused.iter().map(|(at, _)| *at).collect();
    }
}

fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// A place in the configuration.
type Place<T> = fn(&mut TcpConfig) -> &mut T;

struct Row {
    name: &'static str,
    value: Value,
}

/// A place, and how it is written.
#[derive(Clone, Copy)]
enum Value {
    /// 0 or 1.
    Switch(Place<bool>),
    /// A small number.
    U8(Place<u8>),
    U16(Place<u16>),
    U32(Place<u32>),
    Usize(Place<usize>),
    Millis(Place<Duration>),
    Micros(Place<Duration>),
    Seconds(Place<Duration>),
    /// Half of the time, in milliseconds (FreeBSD's `msl`).
    HalfMillis(Place<Duration>),
    /// Least, first and largest size.
    Buffer(Place<BufferSizes>),
    Algorithm(Place<Algorithm>),
    Ecn(Place<EcnMode>),
    /// Segments.
    Window(Place<InitialWindow>),
    /// The first and the last port of a range.
    Ports(Place<(u16, u16)>),
    Key(Place<Option<Key>>),
    /// One of a few, by its number.
    Choice(&'static Choice),
    /// Cannot be changed.
    Fixed(fn(&TcpConfig) -> String),
}

/// A number that stands for one of a few things.
struct Choice {
    get: fn(&TcpConfig) -> u32,
    /// Whether the number stands for something.
    set: fn(&mut TcpConfig, u32) -> bool,
    takes: &'static str,
}

impl Value {
    fn print(self, c: &mut TcpConfig) -> String {
        match self {
            Value::Switch(at) => u8::from(*at(c)).to_string(),
            Value::U8(at) => at(c).to_string(),
            Value::U16(at) => at(c).to_string(),
            Value::U32(at) => at(c).to_string(),
            Value::Usize(at) => at(c).to_string(),
            Value::Millis(at) => at(c).as_millis().to_string(),
            Value::Micros(at) => at(c).as_micros().to_string(),
            Value::Seconds(at) => at(c).as_secs().to_string(),
            Value::HalfMillis(at) => (at(c).as_millis() / 2).to_string(),
            Value::Buffer(at) => {
                let b = at(c);
                format!("{}\t{}\t{}", b.min, b.default, b.max)
            }
            Value::Algorithm(at) => at(c).name().to_owned(),
            Value::Ecn(at) => at(c).number().to_string(),
            Value::Window(at) => match *at(c) {
                InitialWindow::Segments(n) => n.to_string(),
                // The segments of an Ethernet that they come to.
                rule => (rule.octets(1460) / 1460).to_string(),
            },
            Value::Ports(at) => {
                let (first, last) = at(c);
                format!("{first}\t{last}")
            }
            Value::Key(at) => at(c).unwrap_or(Key([0; 16])).to_string(),
            Value::Choice(choice) => (choice.get)(c).to_string(),
            Value::Fixed(print) => print(c),
        }
    }

    fn parse(self, c: &mut TcpConfig, text: &str) -> Option<()> {
        let text = text.trim();
        let time = |unit: fn(u64) -> Duration| number(text).map(|n| unit(n.into()));
        match self {
            Value::Switch(at) => *at(c) = number(text)? != 0,
            Value::U8(at) => *at(c) = number(text)?.try_into().ok()?,
            Value::U16(at) => *at(c) = number(text)?.try_into().ok()?,
            Value::U32(at) => *at(c) = number(text)?,
            Value::Usize(at) => *at(c) = usize::try_from(number(text)?).ok()?,
            Value::Millis(at) => *at(c) = time(Duration::from_millis)?,
            Value::Micros(at) => *at(c) = time(Duration::from_micros)?,
            Value::Seconds(at) => *at(c) = time(Duration::from_secs)?,
            Value::HalfMillis(at) => *at(c) = time(Duration::from_millis)? * 2,
            Value::Buffer(at) => {
                let mut sizes = text.split_whitespace().map(|n| number(n).map(|n| n as usize));
                let (min, default, max) = (sizes.next()??, sizes.next()??, sizes.next()??);
                let sound = sizes.next().is_none() && 0 < min && min <= default && default <= max;
                *at(c) = sound.then_some(BufferSizes { min, default, max })?;
            }
            Value::Algorithm(at) => *at(c) = Algorithm::by_name(text)?,
            Value::Ecn(at) => *at(c) = EcnMode::by_number(number(text)?.try_into().ok()?)?,
            Value::Window(at) => {
                *at(c) = InitialWindow::Segments(number(text).filter(|n| (1..=1000).contains(n))?);
            }
            Value::Ports(at) => {
                let mut ports = text.split_whitespace().map(|n| n.parse().ok());
                *at(c) = (ports.next()??, ports.next()??);
                ports.next().is_none().then_some(())?;
            }
            Value::Key(at) => *at(c) = Some(Key::parse(text)?),
            Value::Choice(choice) => (choice.set)(c, number(text)?).then_some(())?,
            Value::Fixed(_) => return None,
        }
        Some(())
    }

    fn takes(self) -> &'static str {
        match self {
            Value::Switch(_) => "0 or 1",
            Value::U8(_) => "a number up to 255",
            Value::U16(_) => "a number up to 65535",
            Value::U32(_) | Value::Usize(_) => "a number",
            Value::Millis(_) | Value::HalfMillis(_) => "milliseconds",
            Value::Micros(_) => "microseconds",
            Value::Seconds(_) => "seconds",
            Value::Buffer(_) => "three sizes in octets: least, first, largest",
            Value::Ecn(_) => "0 (off), 1 (request) or 2 (accept)",
            Value::Algorithm(_) => "a congestion control: reno, cubic or bbr",
            Value::Window(_) => "1 to 1000 segments",
            Value::Ports(_) => "the first and the last port",
            Value::Key(_) => "a key: four numbers in hexadecimal with - between them",
            Value::Choice(choice) => choice.takes,
            Value::Fixed(_) => "nothing",
        }
    }
}

/// A number as C writes it, as both systems take it: decimal, `0x` and hexadecimal, or `0` and octal.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(&text[1..], 8).ok(),
        None => text.parse().ok(),
    }
}

const fn row(name: &'static str, value: Value) -> Row {
    Row { name, value }
}

/// The names of all algorithms.
fn algorithms(_: &TcpConfig) -> String {
    Algorithm::ALL.iter().map(|a| a.name()).collect::<Vec<_>>().join(" ")
}

/// `tcp_syncookies`
const SYNCOOKIES: Choice = Choice {
    get: |c| match c.syncookies {
        SynCookies::Never => 0,
        SynCookies::WhenFull => 1,
        SynCookies::Always => 2,
    },
    set: |c, n| {
        let all = [SynCookies::Never, SynCookies::WhenFull, SynCookies::Always];
        all.get(n as usize).inspect(|s| c.syncookies = **s).is_some()
    },
    takes: "0: never, 1: when the SYN queue is full, 2: always",
};

/// `tcp_fastopen`
const FAST_OPEN: Choice = Choice {
    get: |c| c.fast_open.bits(),
    set: |c, n| FastOpen::from_bits(n).inspect(|f| c.fast_open = *f).is_some(),
    takes: "a sum of 1 (client), 2 (server), 4, 0x200 (each without a cookie), 0x400 (all listeners)",
};

/// FreeBSD's `fastopen.client_enable`.
const FAST_OPEN_CLIENT: Choice = Choice {
    get: |c| u32::from(c.fast_open.contains(FastOpen::CLIENT)),
    set: |c, n| {
        c.fast_open.set(FastOpen::CLIENT, n != 0);
        true
    },
    takes: "0 or 1",
};

/// FreeBSD's `fastopen.server_enable`.
const FAST_OPEN_SERVER: Choice = Choice {
    get: |c| u32::from(c.fast_open.contains(FastOpen::SERVER)),
    set: |c, n| {
        c.fast_open.set(FastOpen::SERVER, n != 0);
        true
    },
    takes: "0 or 1",
};

/// `tcp_mtu_probing`
const MTU_PROBING: Choice = Choice {
    get: |c| match c.mtu_probing {
        MtuProbing::Never => 0,
        MtuProbing::BlackHole => 1,
        MtuProbing::Always => 2,
    },
    set: |c, n| {
        let all = [MtuProbing::Never, MtuProbing::BlackHole, MtuProbing::Always];
        all.get(n as usize).inspect(|m| c.mtu_probing = **m).is_some()
    },
    takes: "0: never, 1: when the path seems a black hole, 2: always",
};

/// FreeBSD's `pmtud_blackhole_detection`.
const BLACK_HOLES: Choice = Choice {
    get: |c| u32::from(c.mtu_probing != MtuProbing::Never),
    set: |c, n| {
        c.mtu_probing = if n == 0 { MtuProbing::Never } else { MtuProbing::BlackHole };
        true
    },
    takes: "0 or 1",
};

/// `tcp_tw_reuse`
const TW_REUSE: Choice = Choice {
    get: |c| match c.tw_reuse {
        TwReuse::Never => 0,
        TwReuse::Always => 1,
        TwReuse::Loopback => 2,
    },
    set: |c, n| {
        let all = [TwReuse::Never, TwReuse::Always, TwReuse::Loopback];
        all.get(n as usize).inspect(|r| c.tw_reuse = **r).is_some()
    },
    takes: "0: never, 1: always, 2: on the loopback interface",
};

/// FreeBSD's `syncookies`, beside which `syncookies_only` stands.
const SYNCOOKIES_AT_ALL: Choice = Choice {
    get: |c| u32::from(c.syncookies != SynCookies::Never),
    set: |c, n| {
        match (n, c.syncookies) {
            (0, _) => c.syncookies = SynCookies::Never,
            (_, SynCookies::Never) => c.syncookies = SynCookies::WhenFull,
            (_, SynCookies::WhenFull | SynCookies::Always) => {}
        }
        true
    },
    takes: "0 or 1",
};

/// FreeBSD's `syncookies_only`.
const SYNCOOKIES_ONLY: Choice = Choice {
    get: |c| u32::from(c.syncookies == SynCookies::Always),
    set: |c, n| {
        match (n, c.syncookies) {
            (0, SynCookies::Always) => c.syncookies = SynCookies::WhenFull,
            (0, SynCookies::Never | SynCookies::WhenFull) => {}
            (_, _) => c.syncookies = SynCookies::Always,
        }
        true
    },
    takes: "0 or 1",
};

/// The profile's name is ours: neither system has it.
const ROWS: &[Row] = &[
    row("net.tcp.profile", Value::Fixed(|c| Profile::name(c.profile).to_owned())),
    // ---- Linux
    row("net.core.rmem_max", Value::Usize(|c| &mut c.max_sockbuf)),
    row("net.core.somaxconn", Value::Usize(|c| &mut c.max_backlog)),
    row("net.core.wmem_max", Value::Usize(|c| &mut c.max_sockbuf)),
    row("net.ipv4.ip_local_port_range", Value::Ports(|c| &mut c.ephemeral_ports)),
    row("net.ipv4.tcp_abort_on_overflow", Value::Switch(|c| &mut c.abort_on_overflow)),
    row("net.ipv4.tcp_adv_win_scale", Value::U8(|c| &mut c.adv_win_scale)),
    row("net.ipv4.tcp_available_congestion_control", Value::Fixed(algorithms)),
    row("net.ipv4.tcp_base_mss", Value::U16(|c| &mut c.base_mss)),
    row("net.ipv4.tcp_congestion_control", Value::Algorithm(|c| &mut c.congestion_control)),
    row("net.ipv4.tcp_ecn", Value::Ecn(|c| &mut c.ecn)),
    row("net.ipv4.tcp_ecn_fallback", Value::Switch(|c| &mut c.ecn_fallback)),
    row("net.ipv4.tcp_fastopen", Value::Choice(&FAST_OPEN)),
    row("net.ipv4.tcp_fastopen_key", Value::Key(|c| &mut c.fast_open_key)),
    row("net.ipv4.tcp_fin_timeout", Value::Seconds(|c| &mut c.fin_wait_2)),
    row("net.ipv4.tcp_invalid_ratelimit", Value::Millis(|c| &mut c.challenge_interval)),
    row("net.ipv4.tcp_keepalive_intvl", Value::Seconds(|c| &mut c.keep_interval)),
    row("net.ipv4.tcp_keepalive_probes", Value::U8(|c| &mut c.keep_count)),
    row("net.ipv4.tcp_keepalive_time", Value::Seconds(|c| &mut c.keep_idle)),
    row("net.ipv4.tcp_max_orphans", Value::Usize(|c| &mut c.max_orphans)),
    row("net.ipv4.tcp_max_reordering", Value::U32(|c| &mut c.max_reordering)),
    row("net.ipv4.tcp_max_syn_backlog", Value::Usize(|c| &mut c.max_syn_backlog)),
    row("net.ipv4.tcp_max_tw_buckets", Value::Usize(|c| &mut c.max_time_waits)),
    row("net.ipv4.tcp_min_snd_mss", Value::U16(|c| &mut c.min_mss)),
    row("net.ipv4.tcp_min_tso_segs", Value::U32(|c| &mut c.min_tso_segs)),
    row("net.ipv4.tcp_mtu_probe_floor", Value::U16(|c| &mut c.mtu_probe_floor)),
    row("net.ipv4.tcp_mtu_probing", Value::Choice(&MTU_PROBING)),
    row("net.ipv4.tcp_notsent_lowat", Value::U32(|c| &mut c.notsent_lowat)),
    row("net.ipv4.tcp_orphan_retries", Value::U8(|c| &mut c.orphan_retries)),
    row("net.ipv4.tcp_probe_interval", Value::Seconds(|c| &mut c.probe_interval)),
    row("net.ipv4.tcp_probe_threshold", Value::U16(|c| &mut c.probe_threshold)),
    row("net.ipv4.tcp_reordering", Value::U32(|c| &mut c.dup_threshold)),
    row("net.ipv4.tcp_retries1", Value::U8(|c| &mut c.retries1)),
    row("net.ipv4.tcp_retries2", Value::U8(|c| &mut c.retries2)),
    row("net.ipv4.tcp_rfc1337", Value::Switch(|c| &mut c.rfc1337)),
    row("net.ipv4.tcp_rmem", Value::Buffer(|c| &mut c.rcvbuf)),
    row("net.ipv4.tcp_rto_max_ms", Value::Millis(|c| &mut c.rto_max)),
    row("net.ipv4.tcp_rto_min_us", Value::Micros(|c| &mut c.rto_min)),
    row("net.ipv4.tcp_sack", Value::Switch(|c| &mut c.sack)),
    row("net.ipv4.tcp_slow_start_after_idle", Value::Switch(|c| &mut c.slow_start_after_idle)),
    row("net.ipv4.tcp_syn_retries", Value::U8(|c| &mut c.syn_retries)),
    row("net.ipv4.tcp_synack_retries", Value::U8(|c| &mut c.synack_retries)),
    row("net.ipv4.tcp_syncookies", Value::Choice(&SYNCOOKIES)),
    row("net.ipv4.tcp_timestamps", Value::Switch(|c| &mut c.timestamps)),
    row("net.ipv4.tcp_tw_reuse", Value::Choice(&TW_REUSE)),
    row("net.ipv4.tcp_window_scaling", Value::Switch(|c| &mut c.window_scaling)),
    row("net.ipv4.tcp_wmem", Value::Buffer(|c| &mut c.sndbuf)),
    // ---- FreeBSD
    row("kern.ipc.maxsockbuf", Value::Usize(|c| &mut c.max_sockbuf)),
    row("kern.ipc.soacceptqueue", Value::Usize(|c| &mut c.max_backlog)),
    row("net.inet.ip.portrange.first", Value::U16(|c| &mut c.ephemeral_ports.0)),
    row("net.inet.ip.portrange.last", Value::U16(|c| &mut c.ephemeral_ports.1)),
    row("net.inet.tcp.always_keepalive", Value::Switch(|c| &mut c.always_keepalive)),
    row("net.inet.tcp.cc.abe", Value::Switch(|c| &mut c.abe)),
    row("net.inet.tcp.cc.algorithm", Value::Algorithm(|c| &mut c.congestion_control)),
    row("net.inet.tcp.cc.available", Value::Fixed(algorithms)),
    row("net.inet.tcp.delacktime", Value::Millis(|c| &mut c.delayed_ack)),
    row("net.inet.tcp.ecn.enable", Value::Ecn(|c| &mut c.ecn)),
    row("net.inet.tcp.fastopen.client_enable", Value::Choice(&FAST_OPEN_CLIENT)),
    row("net.inet.tcp.fastopen.server_enable", Value::Choice(&FAST_OPEN_SERVER)),
    row("net.inet.tcp.finwait2_timeout", Value::Millis(|c| &mut c.fin_wait_2)),
    row("net.inet.tcp.initcwnd_segments", Value::Window(|c| &mut c.initial_window)),
    row("net.inet.tcp.keepcnt", Value::U8(|c| &mut c.keep_count)),
    row("net.inet.tcp.keepidle", Value::Millis(|c| &mut c.keep_idle)),
    row("net.inet.tcp.keepintvl", Value::Millis(|c| &mut c.keep_interval)),
    row("net.inet.tcp.maxtcptw", Value::Usize(|c| &mut c.max_time_waits)),
    row("net.inet.tcp.minmss", Value::U16(|c| &mut c.min_mss)),
    row("net.inet.tcp.msl", Value::HalfMillis(|c| &mut c.time_wait)),
    row("net.inet.tcp.mssdflt", Value::U16(|c| &mut c.default_mss.0)),
    row("net.inet.tcp.pmtud_blackhole_detection", Value::Choice(&BLACK_HOLES)),
    row("net.inet.tcp.pmtud_blackhole_mss", Value::U16(|c| &mut c.base_mss)),
    row("net.inet.tcp.recvbuf_max", Value::Usize(|c| &mut c.rcvbuf.max)),
    row("net.inet.tcp.recvspace", Value::Usize(|c| &mut c.rcvbuf.default)),
    row("net.inet.tcp.rexmit_min", Value::Millis(|c| &mut c.rto_min)),
    row("net.inet.tcp.rexmit_slop", Value::Millis(|c| &mut c.rto_slop)),
    row("net.inet.tcp.rexmit_initial", Value::Millis(|c| &mut c.rto_initial)),
    row("net.inet.tcp.sack.enable", Value::Switch(|c| &mut c.sack)),
    row("net.inet.tcp.sendbuf_max", Value::Usize(|c| &mut c.sndbuf.max)),
    row("net.inet.tcp.sendspace", Value::Usize(|c| &mut c.sndbuf.default)),
    row("net.inet.tcp.syncache.rst_on_sock_fail", Value::Switch(|c| &mut c.abort_on_overflow)),
    row("net.inet.tcp.syncookies", Value::Choice(&SYNCOOKIES_AT_ALL)),
    row("net.inet.tcp.syncookies_only", Value::Choice(&SYNCOOKIES_ONLY)),
    row("net.inet.tcp.v6mssdflt", Value::U16(|c| &mut c.default_mss.1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_takes_what_it_prints() {
        for profile in Profile::ALL {
            let config = profile.config();
            for row in ROWS {
                let printed = get(&config, row.name).expect("a value");
                let mut again = config.clone();
                match (row.value, set(&mut again, row.name, &printed)) {
                    (Value::Fixed(_), r) => assert_eq!(r, Err(SysctlError::ReadOnly(row.name))),
                    (_, r) => assert_eq!(r, Ok(()), "{} = {printed}", row.name),
                }
                assert_eq!(get(&again, row.name), Some(printed), "{}", row.name);
            }
        }
    }

    #[test]
    fn names_are_in_order_and_unique_in_their_parts() {
        let mut all: Vec<&str> = names().collect();
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn all_congestion_controls_are_named() {
        let takes = Value::Algorithm(|c| &mut c.congestion_control).takes();
        assert!(Algorithm::ALL.iter().all(|a| takes.contains(a.name())), "{takes}");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let mut config = TcpConfig::default();
        for (name, value) in [
            ("net.ipv4.tcp_sack", "yes"),
            ("net.ipv4.tcp_syn_retries", "256"),
            ("net.ipv4.tcp_rmem", "4096 131072"),
            ("net.ipv4.tcp_rmem", "4096 1024 8192"),
            ("net.ipv4.tcp_congestion_control", "vegas"),
            ("net.ipv4.tcp_rto_min_us", "0"),
            ("net.ipv4.tcp_ecn", "3"),
            ("net.ipv4.tcp_rto_max_ms", "100"),
            ("net.ipv4.tcp_min_snd_mss", "8"),
            ("net.ipv4.tcp_syncookies", "3"),
            ("net.ipv4.tcp_fastopen", "8"),
            ("net.ipv4.ip_local_port_range", "2000 1000"),
            ("net.ipv4.ip_local_port_range", "1000"),
            ("net.inet.ip.portrange.first", "0"),
            ("net.inet.tcp.initcwnd_segments", "0"),
        ] {
            let r = set(&mut config, name, value);
            assert!(matches!(r, Err(SysctlError::Invalid { .. })), "{name} = {value}: {r:?}");
        }
        assert_eq!(
            set(&mut config, "net.ipv4.tcp_nothing", "1"),
            Err(SysctlError::Unknown("net.ipv4.tcp_nothing".into()))
        );
        assert_eq!(config, TcpConfig::default());
        let said = |name, value| set(&mut TcpConfig::default(), name, value).unwrap_err().to_string();
        assert_eq!(said("net.ipv4.tcp_rto_max_ms", "long"), "net.ipv4.tcp_rto_max_ms takes milliseconds");
        let small = "net.ipv4.tcp_rto_max_ms takes no value so small or so large beside the others";
        assert_eq!(said("net.ipv4.tcp_rto_max_ms", "100"), small);
    }

    #[test]
    fn numbers_are_written_as_in_c() {
        let mut config = TcpConfig::default();
        for (name, text, value) in [
            ("net.ipv4.tcp_fastopen", "0x3", "3"),
            ("net.ipv4.tcp_notsent_lowat", "0X10", "16"),
            ("net.ipv4.tcp_retries2", "010", "8"),
            ("net.ipv4.tcp_sack", "00", "0"),
            ("net.ipv4.tcp_rmem", "4096 0x20000 0x40000", "4096\t131072\t262144"),
        ] {
            assert_eq!(set(&mut config, name, text), Ok(()), "{name} = {text}");
            assert_eq!(get(&config, name).as_deref(), Some(value), "{name} = {text}");
        }
    }

    #[test]
    fn several_values_are_judged_together() {
        let mut config = TcpConfig::default();
        let values = [
            ("net.ipv4.tcp_rto_min_us", "300000000"),
            ("net.ipv4.tcp_sack", "yes"),
            ("net.ipv4.tcp_rto_max_ms", "600000"),
        ];
        let refused = set_all(&mut config, &values);
        assert_eq!(refused, [(1, SysctlError::Invalid { name: "net.ipv4.tcp_sack", takes: "0 or 1" })]);
        assert_eq!((config.rto_min, config.rto_max), (Duration::from_secs(300), Duration::from_secs(600)));
        // The later one of two names for one value.
        let values = [("net.core.wmem_max", "65536"), ("net.core.rmem_max", "32768")];
        assert_eq!(set_all(&mut config, &values), []);
        assert_eq!(config.max_sockbuf, 32768);
    }

    #[test]
    fn both_systems_name_the_same_value_in_their_own_unit() {
        let mut config = Profile::FreeBsd.config();
        set(&mut config, "net.inet.tcp.keepidle", "60000").expect("a value");
        assert_eq!(get(&config, "net.ipv4.tcp_keepalive_time").as_deref(), Some("60"));
        set(&mut config, "net.inet.tcp.msl", "1000").expect("a value");
        assert_eq!(config.time_wait, Duration::from_secs(2));
    }
}
