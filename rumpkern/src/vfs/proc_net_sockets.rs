//! `/proc/net`: tables of sockets, and how many there are.
//!
//! A socket has no address in memory that a program could make something of, and everybody is root (`uid` 0).

use super::proc_net::hex4;
use crate::kernel::Kernel;
use netstack::SocketId;
use netstack::socket::{Family, SockType, SocketInfo};
use netstack::tcp::{State, TcpInfo};
use netstack::time::{Duration, Instant};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a row shows for a pointer of the kernel to those who may not see it (`kptr_restrict`).
const POINTER: &str = "0000000000000000";

const HEADER4: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const HEADER6: &str = "  sl  local_address                         remote_address                        st tx_queue \
                       rx_queue tr tm->when retrnsmt   uid  timeout inode";
/// What tables of datagram sockets have beside it.
const DATAGRAM: &str = " ref pointer drops";

/// ICMP's number, and its on IPv6.
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const UDP: u8 = 17;
const UDPLITE: u8 = 136;

pub(super) fn tcp(kernel: &Kernel) -> String {
    let mut text = format!("{HEADER4:<149}\n");
    for row in tcp_rows(kernel, Family::Inet) {
        let _ = writeln!(text, "{row:<149}");
    }
    text
}

pub(super) fn tcp6(kernel: &Kernel) -> String {
    let mut text = format!("{HEADER6}\n");
    for row in tcp_rows(kernel, Family::Inet6) {
        let _ = writeln!(text, "{row}");
    }
    text
}

fn tcp_rows(kernel: &Kernel, family: Family) -> Vec<String> {
    // What a timer has left is told by the clock.
    let now = kernel.clock();
    let stack = kernel.stack.borrow();
    let time_wait = stack.tcp_config().time_wait;
    let of_family = |s: &SocketInfo| s.family == family;
    let (listeners, others): (Vec<_>, Vec<_>) = stack
        .sockets()
        .filter(of_family)
        .filter_map(|s| Some((s.id, s.tcp?)))
        // Neither connected nor listening: in no table.
        .filter(|(_, info)| info.state != State::Closed)
        .partition(|(_, info)| info.state == State::Listen);
    let all = listeners.into_iter().chain(others).enumerate();
    all.map(|(sl, (id, info))| tcp_row(sl, inode(kernel, id), &info, now, time_wait)).collect()
}

fn tcp_row(sl: usize, inode: u64, info: &TcpInfo, now: Instant, time_wait: Duration) -> String {
    let (number, held) = match info.state {
        State::Closed => (0x07, true),
        State::Listen => (0x0a, true),
        State::SynSent => (0x02, true),
        State::SynReceived => (0x03, false),
        State::Established => (0x01, true),
        State::FinWait1 => (0x04, true),
        State::FinWait2 => (0x05, true),
        State::CloseWait => (0x08, true),
        State::Closing => (0x0b, true),
        State::LastAck => (0x09, true),
        State::TimeWait => (0x06, false),
    };
    let queues = match info.state {
        // The backlog stands nowhere.
        State::Listen => (0, info.recv_queue),
        State::SynReceived | State::TimeWait => (0, 0),
        State::Closed
        | State::SynSent
        | State::Established
        | State::FinWait1
        | State::FinWait2
        | State::CloseWait
        | State::Closing
        | State::LastAck => (info.send_queue, info.recv_queue),
    };
    // 1: retransmission, 3: TIME-WAIT; 4: probes of a closed window.
    let (timer, until) = if info.state == State::TimeWait {
        (3, info.last_rx.max(info.last_tx) + time_wait)
    } else if info.in_flight > 0 || info.state == State::SynReceived {
        (1, info.last_tx + info.rto)
    } else if info.probes > 0 {
        (4, info.last_tx + info.rto)
    } else {
        (0, now)
    };
    let start = format!(
        "{sl:>4}: {} {} {number:02X} {:08X}:{:08X} {timer:02X}:{:08X} {:08X} {:>5} {:>8}",
        endpoint(info.local),
        endpoint(info.remote),
        queues.0,
        queues.1,
        ticks(until.since(now)),
        info.retransmits,
        0,
        if held { info.probes } else { 0 }
    );
    match info.state {
        State::SynReceived => format!("{start} 0 0 {POINTER}"),
        State::TimeWait => format!("{start} 0 3 {POINTER}"),
        State::Listen => format!("{start} {inode} 1 {POINTER} {} 0 0 10 0", ticks(info.rto)),
        State::Closed
        | State::SynSent
        | State::Established
        | State::FinWait1
        | State::FinWait2
        | State::CloseWait
        | State::Closing
        | State::LastAck => {
            let mss = info.snd_mss.max(1);
            let ssthresh = match info.ssthresh {
                u32::MAX => "-1".to_owned(),
                octets => (octets / mss).to_string(),
            };
            let (rto, ato, cwnd) = (ticks(info.rto), ticks(info.ato), info.cwnd / mss);
            format!("{start} {inode} 1 {POINTER} {rto} {ato} 0 {cwnd} {ssthresh}")
        }
    }
}

/// Hundredths of a second, in which Linux tells programs its time (`USER_HZ`).
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / 10).unwrap_or(u64::MAX)
}

/// Its number in the tables; 0: no program holds it.
fn inode(kernel: &Kernel, id: Option<SocketId>) -> u64 {
    id.map_or(0, |id| kernel.socket_inode(id))
}

/// An address and a port, each word as it lies in memory and the port as it is read.
fn endpoint(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) => hex4(ip),
        IpAddr::V6(ip) => {
            let word = |w: &[u8]| format!("{:08X}", w.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)));
            ip.octets().chunks(4).map(word).collect()
        }
    };
    format!("{ip}:{:04X}", addr.port())
}

/// Rows of datagram sockets that `wanted` picks; `slot` is the number at their head.
fn datagram_rows(
    kernel: &Kernel,
    wanted: impl Fn(&SocketInfo) -> bool,
    slot: impl Fn(&SocketInfo, SocketAddr) -> String,
) -> Vec<String> {
    let stack = kernel.stack.borrow();
    let row = |s: SocketInfo| {
        let any = match s.family {
            Family::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let none = SocketAddr::new(any, 0);
        let local = s.local.unwrap_or(none);
        let local = match s.ty {
            // The "port" of a raw socket is its protocol.
            SockType::Raw => SocketAddr::new(local.ip(), s.protocol.into()),
            SockType::Dgram | SockType::Stream | SockType::Packet | SockType::PacketDgram => local,
        };
        let state = if s.remote.is_some() { 1 } else { 7 };
        format!(
            "{}: {} {} {state:02X} {:08X}:{:08X} 00:00000000 00000000 {:>5} {:>8} {} 2 {POINTER} {}",
            slot(&s, local),
            endpoint(local),
            endpoint(s.remote.unwrap_or(none)),
            s.send_queue,
            s.recv_queue,
            0,
            0,
            inode(kernel, s.id),
            s.drops
        )
    };
    stack.sockets().filter(wanted).map(row).collect()
}

/// A table of sockets that have ports. A socket's place is its port, as in a table with a row for each.
fn port_table(kernel: &Kernel, family: Family, protocol: u8) -> Vec<String> {
    let wanted = |s: &SocketInfo| {
        // Until it is bound it is in no table.
        let bound = s.local.is_some_and(|local| local.port() != 0);
        s.family == family && s.ty == SockType::Dgram && s.protocol == protocol && bound
    };
    let mut rows = datagram_rows(kernel, wanted, |_, local| format!("{:>5}", local.port()));
    rows.sort();
    rows
}

fn table4(header: &str, rows: Vec<String>) -> String {
    let header = format!("{header}{DATAGRAM}");
    let mut text = format!("{header:<127}\n");
    for row in rows {
        let _ = writeln!(text, "{row:<127}");
    }
    text
}

fn table6(rows: Vec<String>) -> String {
    rows.iter().fold(format!("{HEADER6}{DATAGRAM}\n"), |text, row| text + row + "\n")
}

pub(super) fn udp(kernel: &Kernel) -> String {
    table4(&format!(" {HEADER4}"), port_table(kernel, Family::Inet, UDP))
}

pub(super) fn udp6(kernel: &Kernel) -> String {
    table6(port_table(kernel, Family::Inet6, UDP))
}

pub(super) fn udplite(kernel: &Kernel) -> String {
    table4(&format!(" {HEADER4}"), port_table(kernel, Family::Inet, UDPLITE))
}

pub(super) fn udplite6(kernel: &Kernel) -> String {
    table6(port_table(kernel, Family::Inet6, UDPLITE))
}

pub(super) fn icmp(kernel: &Kernel) -> String {
    table4(HEADER4, port_table(kernel, Family::Inet, ICMP))
}

pub(super) fn icmp6(kernel: &Kernel) -> String {
    table6(port_table(kernel, Family::Inet6, ICMP6))
}

fn raw_rows(kernel: &Kernel, family: Family) -> Vec<String> {
    let wanted = |s: &SocketInfo| s.family == family && s.ty == SockType::Raw;
    let mut rows = datagram_rows(kernel, wanted, |s, _| format!("{:>4}", s.protocol));
    rows.sort();
    rows
}

pub(super) fn raw(kernel: &Kernel) -> String {
    raw_rows(kernel, Family::Inet)
        .iter()
        .fold(format!("{HEADER4}{DATAGRAM}\n"), |text, row| text + row + "\n")
}

pub(super) fn raw6(kernel: &Kernel) -> String {
    table6(raw_rows(kernel, Family::Inet6))
}

pub(super) fn packet(kernel: &Kernel) -> String {
    let mut text = String::from("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
    let stack = kernel.stack.borrow();
    for s in stack.sockets() {
        let kind = match s.ty {
            SockType::Packet => 3,
            SockType::PacketDgram => 2,
            SockType::Stream | SockType::Dgram | SockType::Raw => continue,
        };
        let _ = writeln!(
            text,
            "{POINTER} {:<6} {kind:<4} {:04x}   {:<5} 1 {:<6} {:<6} {:<6}",
            3,
            s.protocol,
            0,
            s.recv_queue,
            0,
            inode(kernel, s.id)
        );
    }
    text
}

/// How many sockets there are, by what they speak.
#[derive(Default)]
struct Count {
    /// Those that a program holds.
    held: usize,
    tcp: [usize; 2],
    udp: [usize; 2],
    udplite: [usize; 2],
    raw: [usize; 2],
    ping: [usize; 2],
    packet: usize,
    /// Connections that no program holds.
    orphans: usize,
    time_waits: usize,
    /// TCP sockets in no table.
    closed: usize,
}

impl Count {
    fn of(kernel: &Kernel) -> Count {
        let mut n = Count::default();
        for s in kernel.stack.borrow().sockets() {
            n.held += usize::from(s.id.is_some());
            let family = match s.family {
                Family::Inet => 0,
                Family::Inet6 => 1,
            };
            match (s.ty, s.tcp.map(|info| info.state)) {
                (_, Some(State::TimeWait)) => n.time_waits += 1,
                (_, Some(State::Closed)) => n.closed += 1,
                (_, Some(state)) => {
                    n.tcp[family] += 1;
                    // Who waits for accept(2) is nobody's either, but has not begun to end.
                    let ends =
                        matches!(state, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck);
                    n.orphans += usize::from(s.id.is_none() && ends);
                }
                (SockType::Packet | SockType::PacketDgram, None) => n.packet += 1,
                (SockType::Raw, None) => n.raw[family] += 1,
                (SockType::Dgram, None) if s.protocol == UDP => n.udp[family] += 1,
                (SockType::Dgram, None) if s.protocol == UDPLITE => n.udplite[family] += 1,
                (SockType::Dgram | SockType::Stream, None) => n.ping[family] += 1,
            }
        }
        n
    }
}

pub(super) fn sockstat(kernel: &Kernel) -> String {
    let n = Count::of(kernel);
    format!(
        "sockets: used {}\nTCP: inuse {} orphan {} tw {} alloc {} mem 0\nUDP: inuse {} mem 0\nUDPLITE: inuse {}\n\
         RAW: inuse {}\nFRAG: inuse 0 memory 0\n",
        n.held,
        n.tcp[0],
        n.orphans,
        n.time_waits,
        n.tcp[0] + n.tcp[1] + n.closed,
        n.udp[0],
        n.udplite[0],
        n.raw[0]
    )
}

pub(super) fn sockstat6(kernel: &Kernel) -> String {
    let n = Count::of(kernel);
    format!(
        "TCP6: inuse {}\nUDP6: inuse {}\nUDPLITE6: inuse {}\nRAW6: inuse {}\nFRAG6: inuse 0 memory 0\n",
        n.tcp[1], n.udp[1], n.udplite[1], n.raw[1]
    )
}

/// What a node speaks, with Linux's sizes.
pub(super) fn protocols(kernel: &Kernel) -> String {
    let n = Count::of(kernel);
    let mut text = String::from(
        "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br ha uh gp em\n",
    );
    let rows = [
        (
            "PACKET",
            1600,
            n.packet,
            -1,
            "NI",
            0,
            "no ",
            "n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n",
        ),
        ("PING", 1016, n.ping[0], -1, "NI", 0, "yes", "y  y  y  n  n  y  n  n  y  y  y  y  y  y  n  y  y  n"),
        ("RAW", 1152, n.raw[0], -1, "NI", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  y  y  y  y  n  n"),
        ("UDP", 1344, n.udp[0], 0, "NI", 0, "yes", "y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n"),
        ("TCP", 2304, n.tcp[0], 0, "no", 192, "yes", "y  y  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y"),
    ];
    for (name, size, sockets, memory, pressure, header, slab, doors) in rows {
        let _ = writeln!(
            text,
            "{name:<9} {size:>4} {sockets:>6}  {memory:>6}   {pressure:<3} {header:>6}   {slab}  kernel      {doors}"
        );
    }
    text
}
