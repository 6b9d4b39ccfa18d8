//! Socket options of IPv6 in Linux's numbers and layout: those of level IPPROTO_IPV6, and of raw sockets SOL_RAW's and
//! SOL_ICMPV6's. RFC 3493 §5, RFC 3542. Those about groups are in `group_abi`.
//!
//! Not here, and so ENOPROTOOPT: extension headers that come for streams, leases of flow labels (IPV6_FLOWLABEL_MGR: as on a
//! Linux on which nobody has one for himself, any label may be sent), and the names of RFC 2292. There is no routing header that
//! could be sent: as on a Linux that was built without any, one is EINVAL.

use super::{Errno, Family, Fd, SockOpt, SockOptName, SockType, Sys};
use netstack::net::IfIndex;
use netstack::socket::MtuDiscover;
use netstack::socket::{SockOpt6, SockOpt6Name, SourceKind, StickyPktInfo};
use rumpclient::sockaddr::SockAddrBuf;
use std::net::Ipv6Addr;

/// `IPPROTO_IPV6`, `IPPROTO_ICMPV6`, `SOL_RAW`.
const IPV6: u32 = 41;
const ICMPV6: u32 = 58;
const RAW: u32 = 255;
/// `AF_INET6`
const AF_INET6: i32 = 10;

/// `IPV6_PREFER_SRC_*`
const SRC_TMP: i32 = 0x1;
const SRC_PUBLIC: i32 = 0x2;
const SRC_COA: i32 = 0x4;
const SRC_CGA: i32 = 0x8;
const SRC_PUBTMP_DEFAULT: i32 = 0x100;
const SRC_HOME: i32 = 0x400;
const SRC_NONCGA: i32 = 0x800;

/// Whether options of this level are read here, of this socket.
pub(super) fn serves(sys: &Sys, fd: Fd, level: u32) -> Result<bool, Errno> {
    let ours = match (level, sys.socket_type(fd)?) {
        (IPV6, SockType::Stream | SockType::Dgram | SockType::Raw) | (RAW, SockType::Raw) => true,
        (ICMPV6, SockType::Raw) => sys.socket_info(fd)?.protocol == ICMPV6 as u8,
        _ => return Ok(false),
    };
    Ok(ours && sys.family(fd)? == Family::Inet6)
}

/// setsockopt(2)
pub(super) fn set(sys: &Sys, fd: Fd, level: u32, name: u32, value: &[u8]) -> Result<(), Errno> {
    let stream = sys.socket_type(fd)? == SockType::Stream;
    let option = match (level, name) {
        (ICMPV6, 1) => SockOpt6::IcmpFilter(filter(value)),
        (ICMPV6, _) => return Err(Errno::ENOPROTOOPT),
        (_, 7) => SockOpt6::Checksum(checksum(sys, fd, level, int(value)?)?),
        (_, 36) if !stream => SockOpt6::HeaderIncluded(int(value)? != 0),
        (RAW, _) => return Err(Errno::ENOPROTOOPT),
        // Groups and hop limits of groups are datagrams'.
        (_, 17 | 18) if stream => return Err(Errno::ENOPROTOOPT),
        (_, 11) => SockOpt6::RecvFlowInfo(int(value)? != 0),
        (_, 16) => SockOpt6::UnicastHops(octet(value)?),
        (_, 17) => SockOpt6::MulticastIf(match int(value)? {
            0 => None,
            index => Some(interface(sys, index)?),
        }),
        (_, 18) => SockOpt6::MulticastHops(octet(value)?),
        (_, 19) => match int(value)? {
            on @ 0..=1 => SockOpt6::MulticastLoop(on != 0),
            _ => return Err(Errno::EINVAL),
        },
        (_, 23) => SockOpt6::MtuDiscover(match int(value)? {
            0 => MtuDiscover::Dont,
            1 => MtuDiscover::Want,
            2 => MtuDiscover::Do,
            3 => MtuDiscover::Probe,
            4 => MtuDiscover::Interface,
            5 => MtuDiscover::Omit,
            _ => return Err(Errno::EINVAL),
        }),
        (_, 25) => SockOpt6::RecvErr(int(value)? != 0),
        (_, 26) => {
            // The ports it may share are settled by then.
            if sys.getsockname(fd)?.port() != 0 {
                return Err(Errno::EINVAL);
            }
            SockOpt6::V6Only(int(value)? != 0)
        }
        (_, 33) => SockOpt6::FlowInfoSend(int(value)? != 0),
        (_, 49) => SockOpt6::RecvPktInfo(int(value)? != 0),
        (_, 50) => SockOpt6::PktInfo(pkt_info(sys, value)?),
        (_, 51) => SockOpt6::RecvHopLimit(int(value)? != 0),
        (_, 53) if !stream => SockOpt6::RecvHopOptions(int(value)? != 0),
        (_, 54) => SockOpt6::HopOptions(value.to_vec()),
        (_, 55) => SockOpt6::RoutingDstOptions(value.to_vec()),
        (_, 56) if !stream => SockOpt6::RecvRouting(int(value)? != 0),
        (_, 57) => return if value.is_empty() { Ok(()) } else { Err(Errno::EINVAL) },
        (_, 58) if !stream => SockOpt6::RecvDstOptions(int(value)? != 0),
        (_, 59) => SockOpt6::DstOptions(value.to_vec()),
        (_, 60) => SockOpt6::RecvPathMtu(int(value)? != 0),
        (_, 62) => SockOpt6::DontFrag(int(value)? != 0),
        (_, 66) => SockOpt6::RecvTrafficClass(int(value)? != 0),
        (_, 67) => SockOpt6::TrafficClass(octet(value)?.unwrap_or(0)),
        (_, 70) => SockOpt6::AutoFlowLabel(int(value)? != 0),
        (_, 72) => match preference(int(value)?)? {
            Some(kind) => SockOpt6::PreferSource(kind),
            None => return Ok(()),
        },
        _ => return Err(Errno::ENOPROTOOPT),
    };
    sys.setsockopt(fd, SockOpt::V6(option))
}

/// getsockopt(2): the octets of the value, however many.
pub(super) fn get(sys: &Sys, fd: Fd, level: u32, name: u32) -> Result<Vec<u8>, Errno> {
    let stream = sys.socket_type(fd)? == SockType::Stream;
    let name = match (level, name) {
        (ICMPV6, 1) => SockOpt6Name::IcmpFilter,
        (ICMPV6, _) => return Err(Errno::ENOPROTOOPT),
        (_, 7) if !stream => SockOpt6Name::Checksum,
        (_, 36) if !stream => SockOpt6Name::HeaderIncluded,
        (RAW, _) => return Err(Errno::ENOPROTOOPT),
        (_, 1) => return Ok(AF_INET6.to_le_bytes().to_vec()),
        (_, 11) => SockOpt6Name::RecvFlowInfo,
        (_, 16) => SockOpt6Name::UnicastHops,
        (_, 17) => SockOpt6Name::MulticastIf,
        (_, 18) => SockOpt6Name::MulticastHops,
        (_, 19) => SockOpt6Name::MulticastLoop,
        (_, 23) => SockOpt6Name::MtuDiscover,
        (_, 24) => SockOpt6Name::Mtu,
        (_, 25) => SockOpt6Name::RecvErr,
        (_, 26) => SockOpt6Name::V6Only,
        (_, 29) => SockOpt6Name::MulticastAll,
        (_, 33) => SockOpt6Name::FlowInfoSend,
        (_, 49) => SockOpt6Name::RecvPktInfo,
        (_, 50) => SockOpt6Name::PktInfo,
        (_, 51) => SockOpt6Name::RecvHopLimit,
        (_, 53) if !stream => SockOpt6Name::RecvHopOptions,
        (_, 54) => SockOpt6Name::HopOptions,
        (_, 55) => SockOpt6Name::RoutingDstOptions,
        (_, 56) if !stream => SockOpt6Name::RecvRouting,
        (_, 57) => return Ok(Vec::new()),
        (_, 58) if !stream => SockOpt6Name::RecvDstOptions,
        (_, 59) => SockOpt6Name::DstOptions,
        (_, 60) => SockOpt6Name::RecvPathMtu,
        (_, 61) => return path_mtu(sys, fd),
        (_, 62) => SockOpt6Name::DontFrag,
        (_, 66) => SockOpt6Name::RecvTrafficClass,
        (_, 67) => SockOpt6Name::TrafficClass,
        (_, 70) => SockOpt6Name::AutoFlowLabel,
        (_, 72) => SockOpt6Name::PreferSource,
        _ => return Err(Errno::ENOPROTOOPT),
    };
    match sys.getsockopt(fd, SockOptName::V6(name))? {
        SockOpt::V6(option) => Ok(octets(sys, &option)),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// An option's value as Linux lays it out.
fn octets(sys: &Sys, option: &SockOpt6) -> Vec<u8> {
    let value = match option {
        SockOpt6::V6Only(on)
        | SockOpt6::MulticastLoop(on)
        | SockOpt6::MulticastAll(on)
        | SockOpt6::DontFrag(on)
        | SockOpt6::RecvErr(on)
        | SockOpt6::RecvPktInfo(on)
        | SockOpt6::RecvHopLimit(on)
        | SockOpt6::RecvTrafficClass(on)
        | SockOpt6::RecvPathMtu(on)
        | SockOpt6::AutoFlowLabel(on)
        | SockOpt6::FlowInfoSend(on)
        | SockOpt6::RecvFlowInfo(on)
        | SockOpt6::RecvHopOptions(on)
        | SockOpt6::RecvDstOptions(on)
        | SockOpt6::RecvRouting(on)
        | SockOpt6::HeaderIncluded(on) => i32::from(*on),
        SockOpt6::UnicastHops(hops) => hops.unwrap_or(sys.kernel().stack.borrow().config().ttl).into(),
        SockOpt6::MulticastHops(hops) => hops.unwrap_or(1).into(),
        SockOpt6::MulticastIf(ifindex) => ifindex.map_or(0, |ifindex| ifindex.0 as i32),
        SockOpt6::TrafficClass(class) => (*class).into(),
        SockOpt6::MtuDiscover(how) => match how {
            MtuDiscover::Dont => 0,
            MtuDiscover::Want => 1,
            MtuDiscover::Do => 2,
            MtuDiscover::Probe => 3,
            MtuDiscover::Interface => 4,
            MtuDiscover::Omit => 5,
        },
        // No address here is a home's, or away from it.
        SockOpt6::PreferSource(kind) => match kind {
            Some(SourceKind::Temporary) => SRC_HOME | SRC_TMP,
            Some(SourceKind::Public) => SRC_HOME | SRC_PUBLIC,
            None => SRC_HOME | SRC_PUBTMP_DEFAULT,
        },
        SockOpt6::Mtu(mtu) => i32::try_from(*mtu).unwrap_or(i32::MAX),
        SockOpt6::Checksum(at) => at.map_or(-1, i32::from),
        SockOpt6::PktInfo(info) => {
            let src = info.src.unwrap_or(Ipv6Addr::UNSPECIFIED).octets();
            return [&src[..], &info.ifindex.map_or(0, |ifindex| ifindex.0).to_le_bytes()].concat();
        }
        SockOpt6::HopOptions(header) | SockOpt6::DstOptions(header) | SockOpt6::RoutingDstOptions(header) => {
            return header.clone();
        }
        SockOpt6::IcmpFilter(words) => return words.iter().flat_map(|word| word.to_le_bytes()).collect(),
    };
    value.to_le_bytes().to_vec()
}

/// IPV6_ADDR_PREFERENCES (RFC 5014): what is said of public and temporary addresses; `None`: nothing. Of each pair of opposites one
/// at most may be said.
fn preference(bits: i32) -> Result<Option<Option<SourceKind>>, Errno> {
    let opposites = [SRC_HOME | SRC_COA, SRC_CGA | SRC_NONCGA];
    if opposites.iter().any(|both| (bits & both).count_ones() > 1) {
        return Err(Errno::EINVAL);
    }
    match bits & (SRC_TMP | SRC_PUBLIC | SRC_PUBTMP_DEFAULT) {
        0 => Ok(None),
        SRC_TMP => Ok(Some(Some(SourceKind::Temporary))),
        SRC_PUBLIC => Ok(Some(Some(SourceKind::Public))),
        SRC_PUBTMP_DEFAULT => Ok(Some(None)),
        _ => Err(Errno::EINVAL),
    }
}

/// IPV6_PKTINFO: a `struct in6_pktinfo`; zeros take it back.
fn pkt_info(sys: &Sys, value: &[u8]) -> Result<StickyPktInfo, Errno> {
    let (src, rest) = value.split_first_chunk::<16>().ok_or(Errno::EINVAL)?;
    let ifindex = match int(rest)? {
        0 => None,
        index => Some(interface(sys, index)?),
    };
    let src = Some(Ipv6Addr::from(*src)).filter(|src| !src.is_unspecified());
    Ok(StickyPktInfo { src, ifindex })
}

/// IPV6_PATHMTU: a `struct ip6_mtuinfo`.
fn path_mtu(sys: &Sys, fd: Fd) -> Result<Vec<u8>, Errno> {
    let SockOpt::V6(mtu) = sys.getsockopt(fd, SockOptName::V6(SockOpt6Name::Mtu))? else {
        return Err(Errno::ENOTCONN);
    };
    Ok([SockAddrBuf::from(sys.getpeername(fd)?).as_octets(), &octets(sys, &mtu)].concat())
}

/// IPV6_CHECKSUM: -1 is none. ICMPv6's is always put and looked at (RFC 3542 §3.1).
fn checksum(sys: &Sys, fd: Fd, level: u32, at: i32) -> Result<Option<u16>, Errno> {
    let info = sys.socket_info(fd)?;
    if info.ty != SockType::Raw {
        return Err(Errno::ENOPROTOOPT);
    }
    if level == IPV6 && info.protocol == ICMPV6 as u8 {
        return Err(Errno::EINVAL);
    }
    match at {
        ..0 => Ok(None),
        at => u16::try_from(at).map(Some).map_err(|_| Errno::EINVAL),
    }
}

/// `struct icmp6_filter`, as much of it as was given: the rest lets through.
fn filter(value: &[u8]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, octets) in words.iter_mut().zip(value.chunks(4)) {
        let mut whole = [0; 4];
        whole[..octets.len()].copy_from_slice(octets);
        *word = u32::from_le_bytes(whole);
    }
    words
}

/// A C `int`; longer values are cut.
fn int(value: &[u8]) -> Result<i32, Errno> {
    value.first_chunk().map(|word| i32::from_le_bytes(*word)).ok_or(Errno::EINVAL)
}

/// A hop limit or a traffic class; -1 is the usual one.
fn octet(value: &[u8]) -> Result<Option<u8>, Errno> {
    match int(value)? {
        -1 => Ok(None),
        octet => u8::try_from(octet).map(Some).map_err(|_| Errno::EINVAL),
    }
}

fn interface(sys: &Sys, index: i32) -> Result<IfIndex, Errno> {
    let index = IfIndex(u32::try_from(index).map_err(|_| Errno::ENODEV)?);
    let stack = sys.kernel().stack.borrow();
    stack.interface(index).map(|ifnet| ifnet.index).ok_or(Errno::ENODEV)
}
