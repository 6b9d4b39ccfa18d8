//! Socket options in Linux's numbers and layout, to and from the kernel's typed ones: for whoever has a
//! program's octets at hand (remote clients, hosts that embed a kernel).
//!
//! IPv6's are in [`super::sockopt6_abi`]. Not here: what the stack has no option for: ENOPROTOOPT. Of SO_ATTACH_FILTER the
//! value is what its `struct sock_fprog` points to.

use super::{
    Errno, Fd, SockOpt, SockOptName, SockType, Sys, group_abi, netlink, packet_abi, sockopt6_abi, tcp_info,
};
use netstack::net::IfIndex;
use netstack::socket::MtuDiscover;
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{FastOpenKey, TcpOpt, TcpOptName};
use netstack::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

/// `SOL_SOCKET`, `IPPROTO_IP`, `IPPROTO_IPV6`, `IPPROTO_TCP`, `IPPROTO_UDP`, `IPPROTO_UDPLITE`, `SOL_RAW`.
const SOCKET: u32 = 1;
pub(super) const IP: u32 = 0;
pub(super) const IPV6: u32 = 41;
const TCP: u32 = 6;
const UDP: u32 = 17;
const UDPLITE: u32 = 136;
const RAW: u32 = 255;
/// `IFNAMSIZ`: octets of an interface's name, a NUL at its end included.
const IFNAMSIZ: usize = 16;
/// `TCP_CA_NAME_MAX`: octets of a congestion control's name, NULs behind it included.
const CA_NAME: usize = 16;

/// setsockopt(2), of the octets `value`.
pub fn set(sys: &Sys, fd: Fd, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
    match (level, name) {
        (SOCKET, 20) if sys.netlink(fd).is_ok() => return sys.set_rcvtimeo(fd, timeval(value)?),
        (SOCKET, 21) if sys.netlink(fd).is_ok() => return sys.set_sndtimeo(fd, timeval(value)?),
        _ if sys.netlink(fd).is_ok() => return netlink::set(sys, fd, level, name, value),
        _ => {}
    }
    if group_abi::serves(sys, fd, level)?
        && let Some(option) = group_abi::option(sys, level, name, value)?
    {
        return sys.setsockopt(fd, option);
    }
    if !is_served(sys, fd, level)? {
        return Err(Errno::ENOPROTOOPT);
    }
    if level == packet_abi::SOL_PACKET {
        return packet_abi::set(sys, fd, name, value);
    }
    let least = match (level, name) {
        // Names may be shorter.
        (SOCKET, 25) => 0,
        (TCP, 13) => 1,
        // No option of these is smaller than an `int`, known or not.
        (SOCKET | TCP | UDP | UDPLITE, _) => 4,
        _ => 0,
    };
    if value.len() < least {
        return Err(Errno::EINVAL);
    }
    if sockopt6_abi::serves(sys, fd, level)? {
        return sockopt6_abi::set(sys, fd, level, name, value);
    }
    let option = match (level, name) {
        (SOCKET, 2) => SockOpt::ReuseAddr(flag(value)?),
        (SOCKET, 5) => SockOpt::DontRoute(flag(value)?),
        (SOCKET, 6) => SockOpt::Broadcast(flag(value)?),
        (SOCKET, 7 | 32) => SockOpt::SendBuffer(size(value)?),
        (SOCKET, 8 | 33) => SockOpt::RecvBuffer(size(value)?),
        (SOCKET, 9) => SockOpt::KeepAlive(flag(value)?),
        (SOCKET, 10) => SockOpt::OobInline(flag(value)?),
        (SOCKET, 12) => SockOpt::Priority(word(value)? as u32),
        (SOCKET, 13) => {
            let [on, seconds] = [word(value)?, word(value.get(4..).unwrap_or_default())?];
            // As Linux: a negative time is longer than any.
            let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(u32::MAX.into()));
            SockOpt::Linger((on != 0).then_some(time))
        }
        (SOCKET, 15) => SockOpt::ReusePort(flag(value)?),
        (SOCKET, 18) => SockOpt::RecvLowat(match word(value)? {
            // Linux: negative means as much as possible, 0 means 1.
            ..0 => i32::MAX as usize,
            octets => octets as usize,
        }),
        (SOCKET, 20) => return sys.set_rcvtimeo(fd, timeval(value)?),
        (SOCKET, 21) => return sys.set_sndtimeo(fd, timeval(value)?),
        (SOCKET, 25) => SockOpt::BindToDevice(device(sys, value)?),
        (SOCKET, 26) => SockOpt::AttachFilter(packet_abi::filter(value)?),
        (SOCKET, 27) => SockOpt::DetachFilter,
        (SOCKET, 29) => SockOpt::Timestamp(flag(value)?),
        (SOCKET, 35) => SockOpt::TimestampNs(flag(value)?),
        (SOCKET, 44) => SockOpt::LockFilter(flag(value)?),
        (SOCKET, 50 | 52) => return Err(packet_abi::extended_filter(sys, fd, value)?),
        (SOCKET, 47) => SockOpt::Tcp(TcpOpt::MaxPacingRate(rate(value)?)),
        (IP, 1) => SockOpt::Tos(small(value)? as u8),
        (IP, 2) => match small(value)? {
            -1 => SockOpt::Ttl(64),
            ttl => SockOpt::Ttl(u8::try_from(ttl).map_err(|_| Errno::EINVAL)?),
        },
        (IP, 3) => SockOpt::HeaderIncluded(flag(value)?),
        (IP, 4) => SockOpt::IpOptions(value.to_vec()),
        (IP, 8) => SockOpt::PktInfo(flag(value)?),
        (IP, 10) => SockOpt::MtuDiscover(match small(value)? {
            0 => MtuDiscover::Dont,
            1 => MtuDiscover::Want,
            2 => MtuDiscover::Do,
            3 => MtuDiscover::Probe,
            4 => MtuDiscover::Interface,
            5 => MtuDiscover::Omit,
            _ => return Err(Errno::EINVAL),
        }),
        (IP, 7) => SockOpt::RetOpts(flag(value)?),
        (IP, 11) => SockOpt::RecvErr(flag(value)?),
        (IP, 12) => SockOpt::RecvTtl(flag(value)?),
        (IP, 13) => SockOpt::RecvTos(flag(value)?),
        (IP, 32) => SockOpt::MulticastIf(match value.len() {
            0..4 => return Err(Errno::EINVAL),
            4..12 => interface(sys, address(value)?, 0)?,
            _ => interface(sys, address(&value[4..])?, word(&value[8..])?)?,
        }),
        (IP, 33) => match small(value)? {
            -1 => SockOpt::MulticastTtl(1),
            ttl => SockOpt::MulticastTtl(u8::try_from(ttl).map_err(|_| Errno::EINVAL)?),
        },
        (IP, 34) => SockOpt::MulticastLoop(small(value)? != 0),
        (TCP, 1) => SockOpt::Tcp(TcpOpt::NoDelay(flag(value)?)),
        (TCP, 2) => match word(value)? {
            // As Linux: 0 takes it back.
            size @ (0 | 88..=32_767) => SockOpt::Tcp(TcpOpt::MaxSeg(size as u16)),
            _ => return Err(Errno::EINVAL),
        },
        (TCP, 3) => SockOpt::Tcp(TcpOpt::Cork(flag(value)?)),
        (TCP, 4) => SockOpt::Tcp(TcpOpt::KeepIdle(seconds(value)?)),
        (TCP, 5) => SockOpt::Tcp(TcpOpt::KeepInterval(seconds(value)?)),
        (TCP, 6) => SockOpt::Tcp(TcpOpt::KeepCount(count(value)?)),
        (TCP, 7) => SockOpt::Tcp(TcpOpt::SynCount(count(value)?)),
        (TCP, 8) => {
            SockOpt::Tcp(TcpOpt::Linger2(Duration::from_secs(u64::try_from(word(value)?).unwrap_or(0))))
        }
        (TCP, 9) => SockOpt::Tcp(TcpOpt::DeferAccept(retransmissions_in(word(value)?))),
        (TCP, 10) => {
            let octets = u32::try_from(word(value)?).map_err(|_| Errno::EINVAL)?;
            SockOpt::Tcp(TcpOpt::WindowClamp(octets))
        }
        (TCP, 12) => SockOpt::Tcp(TcpOpt::QuickAck(flag(value)?)),
        (TCP, 13) => SockOpt::Tcp(TcpOpt::Congestion(algorithm(value)?)),
        (TCP, 18) => {
            let ms = u64::try_from(word(value)?).map_err(|_| Errno::EINVAL)?;
            SockOpt::Tcp(TcpOpt::UserTimeout(Duration::from_millis(ms)))
        }
        (TCP, 23) => {
            let waiting = usize::try_from(word(value)?).map_err(|_| Errno::EINVAL)?;
            SockOpt::Tcp(TcpOpt::FastOpen(waiting))
        }
        (TCP, 25) => SockOpt::Tcp(TcpOpt::NotSentLowat(word(value)? as u32)),
        (TCP, 30) => match word(value)? {
            on @ 0..=1 => SockOpt::Tcp(TcpOpt::FastOpenConnect(on != 0)),
            _ => return Err(Errno::EINVAL),
        },
        // A second one, of before, is not looked at.
        (TCP, 33) => match (value.len(), value.first_chunk()) {
            (16 | 32, Some(key)) => SockOpt::Tcp(TcpOpt::FastOpenKey(FastOpenKey(*key))),
            _ => return Err(Errno::EINVAL),
        },
        (TCP, 34) => match word(value)? {
            on @ 0..=1 => SockOpt::Tcp(TcpOpt::FastOpenNoCookie(on != 0)),
            _ => return Err(Errno::EINVAL),
        },
        // As Linux: of either level, but of UDP-Lite's sockets only.
        (UDP | UDPLITE, 10) if is_lite(sys, fd)? => SockOpt::SendCoverage(coverage(value)?),
        (UDP | UDPLITE, 11) if is_lite(sys, fd)? => SockOpt::RecvCoverage(coverage(value)?),
        (RAW, 1) => SockOpt::IcmpFilter(word(value)? as u32),
        _ => return Err(Errno::ENOPROTOOPT),
    };
    sys.setsockopt(fd, option)
}

/// Whether a socket has options of this level at all.
fn is_served(sys: &Sys, fd: Fd, level: u32) -> Result<bool, Errno> {
    Ok(serves(sys.socket_type(fd)?, level) || sockopt6_abi::serves(sys, fd, level)?)
}

/// Whether sockets of a type have, apart from IPv6's.
fn serves(ty: SockType, level: u32) -> bool {
    match level {
        SOCKET => true,
        IP => !packet_abi::is_packet(ty),
        packet_abi::SOL_PACKET => packet_abi::is_packet(ty),
        TCP => ty == SockType::Stream,
        UDP | UDPLITE => ty == SockType::Dgram,
        RAW => ty == SockType::Raw,
        _ => false,
    }
}

/// getsockopt(2): the octets of the value, where there is room for `len`, which held `asked` before: all or the
/// beginning of it, as the option needs.
pub fn get_within(
    sys: &Sys,
    fd: Fd,
    level: u32,
    name: u32,
    len: usize,
    asked: &[u8],
) -> Result<Vec<u8>, Errno> {
    if group_abi::is_asked(level, name) && sys.netlink(fd).is_err() && group_abi::serves(sys, fd, level)? {
        let mut octets = group_abi::filter(sys, fd, level, name, asked)?;
        octets.truncate(len);
        return Ok(octets);
    }
    let mut octets = get(sys, fd, level, name)?;
    match (level, name) {
        // All of a filter; who has no room only asks how long it is.
        (SOCKET, 26) if (1..octets.len()).contains(&len) => return Err(Errno::EINVAL),
        (SOCKET, 26) => {}
        // All of a name or nothing.
        (SOCKET, 25) if !octets.is_empty() && len < IFNAMSIZ => return Err(Errno::EINVAL),
        // IP's `int`s become single octets where they fit.
        (IP, 1..=3 | 8..=14 | 33 | 34) if (1..4).contains(&len) && octets[1..] == [0; 3] => {
            octets.truncate(1)
        }
        _ => octets.truncate(len),
    }
    Ok(octets)
}

/// The octets of an option's value, however many.
pub fn get(sys: &Sys, fd: Fd, level: u32, name: u32) -> Result<Vec<u8>, Errno> {
    match (level, name) {
        (SOCKET, 20 | 21) => {}
        _ if sys.netlink(fd).is_ok() => return netlink::get(sys, fd, level, name),
        _ => {}
    }
    if !is_served(sys, fd, level)? {
        return Err(Errno::EOPNOTSUPP);
    }
    if level == packet_abi::SOL_PACKET {
        return packet_abi::get(sys, fd, name);
    }
    if sockopt6_abi::serves(sys, fd, level)? {
        return sockopt6_abi::get(sys, fd, level, name);
    }
    let int = |value: i32| Ok(value.to_le_bytes().to_vec());
    let name = match (level, name) {
        (SOCKET, 2) => SockOptName::ReuseAddr,
        (SOCKET, 3) => {
            return int(match sys.socket_info(fd)?.ty {
                SockType::Stream => 1,
                SockType::Dgram | SockType::PacketDgram => 2,
                SockType::Raw | SockType::Packet => 3,
            });
        }
        (SOCKET, 4) => return int(sys.take_error(fd)?.map_or(0, Errno::number)),
        (SOCKET, 5) => SockOptName::DontRoute,
        (SOCKET, 6) => SockOptName::Broadcast,
        (SOCKET, 7) => SockOptName::SendBuffer,
        (SOCKET, 8) => SockOptName::RecvBuffer,
        (SOCKET, 9) => SockOptName::KeepAlive,
        (SOCKET, 10) => SockOptName::OobInline,
        (SOCKET, 12) => SockOptName::Priority,
        (SOCKET, 13) => SockOptName::Linger,
        (SOCKET, 15) => SockOptName::ReusePort,
        (SOCKET, 18) => SockOptName::RecvLowat,
        // SO_SNDLOWAT, which nobody can set.
        (SOCKET, 19) => return int(1),
        (SOCKET, 20) => return Ok(of_timeval(sys.timeouts(fd)?.0)),
        (SOCKET, 21) => return Ok(of_timeval(sys.timeouts(fd)?.1)),
        (SOCKET, 25) => SockOptName::BindToDevice,
        (SOCKET, 26) => SockOptName::Filter,
        (SOCKET, 29) => SockOptName::Timestamp,
        (SOCKET, 35) => SockOptName::TimestampNs,
        (SOCKET, 44) => SockOptName::LockFilter,
        // SO_BPF_EXTENSIONS: up to SKF_AD_VLAN_TPID.
        (SOCKET, 48) => return int(64),
        (SOCKET, 30) => return int(i32::from(sys.socket_info(fd)?.state == "LISTEN")),
        (SOCKET, 47) => SockOptName::Tcp(TcpOptName::MaxPacingRate),
        (SOCKET, 55) => return Ok(tcp_info::meminfo(&sys.socket_info(fd)?)),
        (SOCKET, 38) => return int(sys.socket_info(fd)?.protocol.into()),
        (SOCKET, 39) => {
            return int(packet_abi::domain(&sys.socket_info(fd)?));
        }
        (IP, 1) => SockOptName::Tos,
        (IP, 2) => SockOptName::Ttl,
        (IP, 3) => SockOptName::HeaderIncluded,
        (IP, 4) => SockOptName::IpOptions,
        (IP, 7) => SockOptName::RetOpts,
        (IP, 8) => SockOptName::PktInfo,
        (IP, 10) => SockOptName::MtuDiscover,
        (IP, 11) => SockOptName::RecvErr,
        (IP, 12) => SockOptName::RecvTtl,
        (IP, 13) => SockOptName::RecvTos,
        (IP, 14) => SockOptName::Mtu,
        (IP, 32) => SockOptName::MulticastIf,
        (IP, 33) => SockOptName::MulticastTtl,
        (IP, 34) => SockOptName::MulticastLoop,
        (IP, 49) => SockOptName::MulticastAll,
        (TCP, 1) => SockOptName::Tcp(TcpOptName::NoDelay),
        (TCP, 2) => SockOptName::Tcp(TcpOptName::MaxSeg),
        (TCP, 3) => SockOptName::Tcp(TcpOptName::Cork),
        (TCP, 4) => SockOptName::Tcp(TcpOptName::KeepIdle),
        (TCP, 5) => SockOptName::Tcp(TcpOptName::KeepInterval),
        (TCP, 6) => SockOptName::Tcp(TcpOptName::KeepCount),
        (TCP, 7) => SockOptName::Tcp(TcpOptName::SynCount),
        (TCP, 8) => SockOptName::Tcp(TcpOptName::Linger2),
        (TCP, 9) => SockOptName::Tcp(TcpOptName::DeferAccept),
        (TCP, 10) => SockOptName::Tcp(TcpOptName::WindowClamp),
        (TCP, 11) => return Ok(tcp_info::octets(&sys.tcp_info(fd)?, sys.kernel().now())),
        (TCP, 12) => SockOptName::Tcp(TcpOptName::QuickAck),
        (TCP, 13) => {
            let mut name = sys.tcp_info(fd)?.congestion_control.as_bytes().to_vec();
            name.resize(CA_NAME, 0);
            return Ok(name);
        }
        (TCP, 18) => SockOptName::Tcp(TcpOptName::UserTimeout),
        (TCP, 23) => SockOptName::Tcp(TcpOptName::FastOpen),
        (TCP, 25) => SockOptName::Tcp(TcpOptName::NotSentLowat),
        (TCP, 30) => SockOptName::Tcp(TcpOptName::FastOpenConnect),
        (TCP, 33) => SockOptName::Tcp(TcpOptName::FastOpenKey),
        (TCP, 34) => SockOptName::Tcp(TcpOptName::FastOpenNoCookie),
        // TCP_CC_INFO: the algorithms that there are have nothing to say, as Linux's of these names.
        (TCP, 26) => return sys.tcp_info(fd).map(|_| Vec::new()),
        (UDP | UDPLITE, 10) => SockOptName::SendCoverage,
        (UDP | UDPLITE, 11) => SockOptName::RecvCoverage,
        (RAW, 1) => SockOptName::IcmpFilter,
        _ => return Err(Errno::ENOPROTOOPT),
    };
    octets(sys, sys.getsockopt(fd, name)?)
}

/// An option's value as Linux lays it out.
fn octets(sys: &Sys, option: SockOpt) -> Result<Vec<u8>, Errno> {
    let int = |value: i64| Ok(i32::try_from(value).unwrap_or(i32::MAX).to_le_bytes().to_vec());
    let whole = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match option {
        // They have a table of their own.
        SockOpt::V6(_) => Err(Errno::ENOPROTOOPT),
        SockOpt::ReuseAddr(on)
        | SockOpt::ReusePort(on)
        | SockOpt::DontRoute(on)
        | SockOpt::Timestamp(on)
        | SockOpt::TimestampNs(on)
        | SockOpt::Broadcast(on)
        | SockOpt::KeepAlive(on)
        | SockOpt::OobInline(on)
        | SockOpt::PktInfo(on)
        | SockOpt::RecvTtl(on)
        | SockOpt::RecvTos(on)
        | SockOpt::RetOpts(on)
        | SockOpt::RecvErr(on)
        | SockOpt::HeaderIncluded(on)
        | SockOpt::MulticastLoop(on)
        | SockOpt::MulticastAll(on)
        | SockOpt::LockFilter(on)
        | SockOpt::IgnoreOutgoing(on)
        | SockOpt::AuxData(on)
        | SockOpt::Tcp(TcpOpt::NoDelay(on) | TcpOpt::Cork(on) | TcpOpt::QuickAck(on))
        | SockOpt::Tcp(TcpOpt::FastOpenConnect(on) | TcpOpt::FastOpenNoCookie(on)) => int(on.into()),
        SockOpt::Tcp(TcpOpt::FastOpen(n)) => int(n as i64),
        SockOpt::Tcp(TcpOpt::FastOpenKey(FastOpenKey(key))) => Ok(key.to_vec()),
        SockOpt::Tcp(TcpOpt::DeferAccept(n)) => int(seconds_of(n)),
        SockOpt::Tcp(TcpOpt::WindowClamp(n)) => int(n.into()),
        SockOpt::Tcp(TcpOpt::NotSentLowat(n)) => Ok(n.to_le_bytes().to_vec()),
        SockOpt::RecvBuffer(n) | SockOpt::SendBuffer(n) | SockOpt::RecvLowat(n) => int(n as i64),
        SockOpt::Priority(n) => Ok(n.to_le_bytes().to_vec()),
        SockOpt::Linger(time) => {
            let (on, seconds) = (u8::from(time.is_some()), time.map_or(0, whole));
            Ok([int(on.into())?, int(seconds)?].concat())
        }
        SockOpt::Ttl(n) | SockOpt::Tos(n) | SockOpt::MulticastTtl(n) => int(n.into()),
        SockOpt::Mtu(n) => int(n.into()),
        SockOpt::SendCoverage(n) | SockOpt::RecvCoverage(n) => int(n.into()),
        SockOpt::MtuDiscover(mode) => int(match mode {
            MtuDiscover::Dont => 0,
            MtuDiscover::Want => 1,
            MtuDiscover::Do => 2,
            MtuDiscover::Probe => 3,
            MtuDiscover::Interface => 4,
            MtuDiscover::Omit => 5,
        }),
        SockOpt::IpOptions(octets) => Ok(octets),
        SockOpt::Filter(program) => Ok(packet_abi::told(program.as_ref())),
        SockOpt::IcmpFilter(bits) => Ok(bits.to_le_bytes().to_vec()),
        SockOpt::BindToDevice(index) => {
            let stack = sys.kernel().stack.borrow();
            let name = index.and_then(|index| stack.interface(index)).map(|ifnet| ifnet.name.clone());
            Ok(name.map(|name| [name.as_bytes(), &[0]].concat()).unwrap_or_default())
        }
        SockOpt::MulticastIf(index) => {
            let stack = sys.kernel().stack.borrow();
            let ifnet = index.and_then(|index| stack.interface(index));
            let v4 = ifnet.and_then(|ifnet| ifnet.addrs().iter().find_map(|net| v4(net.addr())));
            Ok(v4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets().to_vec())
        }
        SockOpt::Tcp(TcpOpt::MaxSeg(n)) => int(n.into()),
        SockOpt::Tcp(TcpOpt::KeepCount(n) | TcpOpt::SynCount(n)) => int(n.into()),
        SockOpt::Tcp(TcpOpt::KeepIdle(time) | TcpOpt::KeepInterval(time) | TcpOpt::Linger2(time)) => {
            int(whole(time))
        }
        // Who asks for four octets gets the lower half, which for no limit is Linux's ~0U.
        SockOpt::Tcp(TcpOpt::MaxPacingRate(rate)) => Ok(rate.unwrap_or(u64::MAX).to_le_bytes().to_vec()),
        SockOpt::Tcp(TcpOpt::UserTimeout(time)) => int(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
        SockOpt::Join(..)
        | SockOpt::Leave(..)
        | SockOpt::AddSource(_)
        | SockOpt::DropSource(_)
        | SockOpt::Block(_)
        | SockOpt::Unblock(_)
        | SockOpt::MsFilter(..)
        | SockOpt::PacketJoin(..)
        | SockOpt::PacketLeave(..)
        | SockOpt::AttachFilter(_)
        | SockOpt::DetachFilter
        | SockOpt::Tcp(_) => Err(Errno::ENOPROTOOPT),
    }
}

/// A C `int`; longer values are cut, as Linux does.
pub(super) fn word(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk().map(|word| i32::from_le_bytes(*word)).ok_or(Errno::EINVAL)
}

/// An `int`, or the single octet that IPPROTO_IP takes as well.
fn small(value: &[u8]) -> Result<i32, Errno> {
    match value {
        [octet] | [octet, _] | [octet, _, _] => Ok((*octet).into()),
        _ => word(value),
    }
}

fn flag(value: &[u8]) -> Result<bool, Errno> {
    Ok(small(value)? != 0)
}

/// A buffer's size; Linux reads it as unsigned, and so takes negative ones for huge.
fn size(value: &[u8]) -> Result<usize, Errno> {
    Ok(word(value)? as u32 as usize)
}

fn is_lite(sys: &Sys, fd: Fd) -> Result<bool, Errno> {
    Ok(u32::from(sys.socket_info(fd)?.protocol) == UDPLITE)
}

/// Octets that a checksum covers; as Linux, what is negative is as little as there may be.
fn coverage(value: &[u8]) -> Result<u16, Errno> {
    let octets = word(value)?;
    Ok(if octets < 0 { 1 } else { u16::try_from(octets).unwrap_or(u16::MAX) })
}

/// SO_MAX_PACING_RATE: octets a second in 32 bits or in 64; all ones are no limit.
fn rate(value: &[u8]) -> Result<Option<u64>, Errno> {
    let rate = match value.first_chunk() {
        Some(long) => Some(u64::from_le_bytes(*long)).filter(|rate| *rate != u64::MAX),
        None => Some(word(value)? as u32).filter(|rate| *rate != u32::MAX).map(u64::from),
    };
    Ok(rate)
}

/// TCP_CONGESTION: a name that ends with its first NUL or the value. ENOENT, as Linux, if nobody has it.
fn algorithm(value: &[u8]) -> Result<Algorithm, Errno> {
    let name = value[..value.len().min(CA_NAME - 1)].split(|octet| *octet == 0).next().unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
    Algorithm::by_name(name).ok_or(Errno::ENOENT)
}

fn count(value: &[u8]) -> Result<u8, Errno> {
    u8::try_from(word(value)?).ok().filter(|count| (1..=127).contains(count)).ok_or(Errno::EINVAL)
}

/// 1 to 32767 seconds, as Linux bounds TCP's.
fn seconds(value: &[u8]) -> Result<Duration, Errno> {
    match word(value)? {
        seconds @ 1..=32_767 => Ok(Duration::from_secs(seconds as u64)),
        _ => Err(Errno::EINVAL),
    }
}

/// Seconds as a number of retransmissions of a SYN-ACK, which are 1, 2, 4, … seconds apart and 120 at
/// most; TCP_DEFER_ACCEPT takes them so (tcp(7)).
fn retransmissions_in(seconds: i32) -> u8 {
    (0..=u8::MAX).find(|n| seconds_of(*n) >= seconds.into()).unwrap_or(u8::MAX)
}

/// The seconds that so many retransmissions take.
fn seconds_of(retransmissions: u8) -> i64 {
    (0..u32::from(retransmissions)).map(|n| (1 << n.min(7)).min(120)).sum()
}

/// `struct timeval`: two 64-bit numbers; zero means for ever, less that the time has passed already.
fn timeval(value: &[u8]) -> Result<Option<Duration>, Errno> {
    let long =
        |at: usize| value.get(at..).and_then(<[u8]>::first_chunk).map(|long| i64::from_le_bytes(*long));
    let (Some(seconds), Some(micros)) = (long(0), long(8)) else { return Err(Errno::EINVAL) };
    let micros = u32::try_from(micros).ok().filter(|micros| *micros < 1_000_000).ok_or(Errno::EDOM)?;
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(Some(Duration::from_nanos(1))) };
    let time = Duration::new(seconds, micros * 1000);
    Ok((!time.is_zero()).then_some(time))
}

fn of_timeval(time: Option<Duration>) -> Vec<u8> {
    let time = time.unwrap_or_default();
    [time.as_secs().to_le_bytes(), u64::from(time.subsec_micros()).to_le_bytes()].concat()
}

pub(super) fn address(value: &[u8]) -> Result<Ipv4Addr, Errno> {
    value.first_chunk().map(|octets: &[u8; 4]| Ipv4Addr::from(*octets)).ok_or(Errno::EINVAL)
}

fn v4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    }
}

/// The interface with this index, else with this address; `None` if neither is given.
pub(super) fn interface(sys: &Sys, addr: Ipv4Addr, index: i32) -> Result<Option<IfIndex>, Errno> {
    let stack = sys.kernel().stack.borrow();
    if index != 0 {
        let index = IfIndex(u32::try_from(index).map_err(|_| Errno::ENODEV)?);
        return stack.interface(index).map(|ifnet| Some(ifnet.index)).ok_or(Errno::ENODEV);
    }
    if addr.is_unspecified() {
        return Ok(None);
    }
    let has = |net: &ipnet::IpNet| net.addr() == IpAddr::V4(addr);
    let found = stack.interfaces().find(|ifnet| ifnet.addrs().iter().any(has));
    found.map(|ifnet| Some(ifnet.index)).ok_or(Errno::ENODEV)
}

/// SO_BINDTODEVICE: a name that ends with its first NUL; the empty one unbinds.
fn device(sys: &Sys, value: &[u8]) -> Result<Option<IfIndex>, Errno> {
    let name = value.split(|octet| *octet == 0).next().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    let name = std::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
    sys.kernel().stack.borrow().if_by_name(name).map(Some).ok_or(Errno::ENODEV)
}
