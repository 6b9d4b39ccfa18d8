//! Socket options about groups in Linux's numbers and layout: RFC 3493 §5.2, RFC 3678; ip(7), ipv6(7).
//!
//! A filter is read by an option whose value says which: what the program's buffer held when it asked.

use super::sockopt_abi::{IP, IPV6, address, interface, word};
use super::{Errno, Family, Fd, SockOpt, SockOptName, Sys, packet_abi};
use netstack::net::IfIndex;
use netstack::net::multicast::{FilterMode, SourceFilter};
use netstack::socket::{GroupSource, SockOpt6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Octets of a `struct sockaddr_storage`.
const SOCKADDR: usize = 128;
/// Octets of a `struct group_req`: the interface, padding, the group.
const GROUP_REQ: usize = 8 + SOCKADDR;
/// Octets of a `struct group_source_req`: the source besides.
const GROUP_SOURCE_REQ: usize = GROUP_REQ + SOCKADDR;
/// Octets of a `struct group_filter` without sources, which are a `sockaddr_storage` each.
const GROUP_FILTER: usize = GROUP_REQ + 8;
/// Octets of a `struct ip_msfilter` without sources, which are four octets each.
const IP_MSFILTER: usize = 16;
/// `optmem_max`: octets of the longest value.
const LONGEST: usize = 131_072;
/// MCAST_INCLUDE; MCAST_EXCLUDE is 0.
const INCLUDE: u32 = 1;

/// Whether a socket has such options at this level.
pub(super) fn serves(sys: &Sys, fd: Fd, level: u32) -> Result<bool, Errno> {
    match level {
        IP => Ok(!packet_abi::is_packet(sys.socket_type(fd)?)),
        IPV6 => Ok(sys.socket_info(fd)?.family == Family::Inet6),
        _ => Ok(false),
    }
}

/// Whether a read option is told by its value for which group it is.
pub(super) fn is_asked(level: u32, name: u32) -> bool {
    matches!((level, name), (IP, 41 | 48) | (IPV6, 48))
}

/// The option that the octets `value` set; none if it is not about groups.
pub(super) fn option(sys: &Sys, level: u32, name: u32, value: &[u8]) -> Result<Option<SockOpt>, Errno> {
    let option = match (level, name) {
        (IP, 35 | 36) => {
            let (group, ifindex) = mreq(sys, value)?;
            if name == 35 { SockOpt::Join(group, ifindex) } else { SockOpt::Leave(group, ifindex) }
        }
        (IP, 37..=40) => {
            let [group, by, source] = match value.len() {
                12 => [0, 4, 8].map(|at| address(&value[at..])),
                _ => return Err(Errno::EINVAL),
            };
            let (group, source) = (IpAddr::V4(group?), IpAddr::V4(source?));
            let what = GroupSource { group, source, ifindex: interface(sys, by?, 0)? };
            match name {
                37 => SockOpt::Unblock(what),
                38 => SockOpt::Block(what),
                39 => SockOpt::AddSource(what),
                _ => SockOpt::DropSource(what),
            }
        }
        (IP, 41) => ip_msfilter(sys, value)?,
        (IP | IPV6, 42 | 45) => {
            let (index, group) = group_req(value)?;
            // As Linux: the families have errors of their own.
            let wrong = if level == IP { Errno::EINVAL } else { Errno::EADDRNOTAVAIL };
            let (group, ifindex) = (sockaddr(level, group).ok_or(wrong)?, by_index(sys, index)?);
            if name == 42 { SockOpt::Join(group, ifindex) } else { SockOpt::Leave(group, ifindex) }
        }
        (IP | IPV6, 43 | 44 | 46 | 47) => {
            let value = value.get(..GROUP_SOURCE_REQ).ok_or(Errno::EINVAL)?;
            let (index, group) = group_req(value)?;
            let (group, source) = (sockaddr(level, group), sockaddr(level, &value[GROUP_REQ..]));
            let (Some(group), Some(source)) = (group, source) else { return Err(Errno::EADDRNOTAVAIL) };
            let what = GroupSource { group, source, ifindex: by_index(sys, index)? };
            match name {
                43 => SockOpt::Block(what),
                44 => SockOpt::Unblock(what),
                46 => SockOpt::AddSource(what),
                _ => SockOpt::DropSource(what),
            }
        }
        (IP | IPV6, 48) => group_filter(sys, level, value)?,
        (IP | IPV6, 29 | 49) if (level == IP) == (name == 49) => {
            let on = match value {
                [octet] | [octet, _] | [octet, _, _] if level == IP => (*octet).into(),
                _ => word(value)?,
            };
            match (level, on) {
                (IP, 0..=1) => SockOpt::MulticastAll(on != 0),
                (IPV6, _) => SockOpt::V6(SockOpt6::MulticastAll(on != 0)),
                _ => return Err(Errno::EINVAL),
            }
        }
        (IPV6, 20 | 21) => {
            let octets: [u8; 16] = *value.first_chunk().ok_or(Errno::EINVAL)?;
            let (group, ifindex) = (IpAddr::from(octets), by_index(sys, word(&value[16..])?)?);
            if name == 20 { SockOpt::Join(group, ifindex) } else { SockOpt::Leave(group, ifindex) }
        }
        _ => return Ok(None),
    };
    Ok(Some(option))
}

/// The octets of a filter, for the group that `asked` names and as many sources as it has room for.
pub(super) fn filter(sys: &Sys, fd: Fd, level: u32, name: u32, asked: &[u8]) -> Result<Vec<u8>, Errno> {
    let (at, each) = if name == 41 { (12, 4) } else { (GROUP_FILTER - 4, SOCKADDR) };
    let mut octets = asked.get(..at + 4).ok_or(Errno::EINVAL)?.to_vec();
    let (group, ifindex) = match name {
        41 => (IpAddr::V4(address(asked)?), interface(sys, address(&asked[4..])?, 0)?),
        _ => {
            let (index, group) = group_req(asked)?;
            (sockaddr(level, group).ok_or(Errno::EADDRNOTAVAIL)?, by_index(sys, index)?)
        }
    };
    let room = u32::from_le_bytes([asked[at], asked[at + 1], asked[at + 2], asked[at + 3]]) as usize;
    let SockOpt::MsFilter(_, _, filter) = sys.getsockopt(fd, SockOptName::MsFilter(group, ifindex))? else {
        return Err(Errno::EINVAL);
    };
    let mode = if filter.mode == FilterMode::Include { INCLUDE } else { 0 };
    octets[at - 4..at].copy_from_slice(&mode.to_le_bytes());
    octets[at..].copy_from_slice(&(filter.sources.len() as u32).to_le_bytes());
    for source in filter.sources.iter().take(room) {
        let source = match (each, source) {
            (SOCKADDR, source) => of_sockaddr(*source),
            (_, IpAddr::V4(source)) => source.octets().to_vec(),
            (_, IpAddr::V6(_)) => return Err(Errno::EINVAL),
        };
        octets.extend(source);
    }
    Ok(octets)
}

/// A `struct ip_mreq`, or `ip_mreqn`, whose index of an interface goes before the address of one.
fn mreq(sys: &Sys, value: &[u8]) -> Result<(IpAddr, Option<IfIndex>), Errno> {
    let by = address(value.get(4..).unwrap_or_default())?;
    let index = if value.len() >= 12 { word(&value[8..])? } else { 0 };
    Ok((IpAddr::V4(address(value)?), interface(sys, by, index)?))
}

fn ip_msfilter(sys: &Sys, value: &[u8]) -> Result<SockOpt, Errno> {
    let value = within(value, IP_MSFILTER)?;
    let ifindex = interface(sys, address(&value[4..])?, 0)?;
    let (mode, count) = (mode(&value[8..])?, count(sys, IP, &value[12..])?);
    let sources = value.get(IP_MSFILTER..IP_MSFILTER + count * 4).ok_or(Errno::EINVAL)?;
    let sources =
        sources.chunks_exact(4).map(|a| Ok(IpAddr::V4(address(a)?))).collect::<Result<_, Errno>>()?;
    Ok(SockOpt::MsFilter(IpAddr::V4(address(value)?), ifindex, SourceFilter { mode, sources }))
}

fn group_filter(sys: &Sys, level: u32, value: &[u8]) -> Result<SockOpt, Errno> {
    let value = within(value, GROUP_FILTER)?;
    let (index, group) = group_req(value)?;
    let count = count(sys, level, &value[GROUP_FILTER - 4..])?;
    let sources = value.get(GROUP_FILTER..GROUP_FILTER + count * SOCKADDR).ok_or(Errno::EINVAL)?;
    let mode = mode(&value[GROUP_REQ..])?;
    let group = sockaddr(level, group).ok_or(Errno::EADDRNOTAVAIL)?;
    let sources = sources.chunks_exact(SOCKADDR).map(|a| sockaddr(level, a).ok_or(Errno::EADDRNOTAVAIL));
    let filter = SourceFilter { mode, sources: sources.collect::<Result<_, _>>()? };
    Ok(SockOpt::MsFilter(group, by_index(sys, index)?, filter))
}

/// A value that has its fixed part, and is not longer than any may be.
fn within(value: &[u8], least: usize) -> Result<&[u8], Errno> {
    match value.len() {
        len if len < least => Err(Errno::EINVAL),
        len if len > LONGEST => Err(Errno::ENOBUFS),
        _ => Ok(value),
    }
}

fn mode(value: &[u8]) -> Result<FilterMode, Errno> {
    match word(value)? as u32 {
        0 => Ok(FilterMode::Exclude),
        INCLUDE => Ok(FilterMode::Include),
        _ => Err(Errno::EINVAL),
    }
}

/// A number of sources, not more than a socket may name.
fn count(sys: &Sys, level: u32, value: &[u8]) -> Result<usize, Errno> {
    let stack = sys.kernel().stack.borrow();
    let config = if level == IP { &stack.config().igmp } else { &stack.config().mld };
    let count = word(value)? as u32 as usize;
    if count <= config.sources { Ok(count) } else { Err(Errno::ENOBUFS) }
}

/// The interface's index and the octets of the group.
fn group_req(value: &[u8]) -> Result<(i32, &[u8]), Errno> {
    let value = value.get(..GROUP_REQ).ok_or(Errno::EINVAL)?;
    Ok((word(value)?, &value[8..]))
}

fn by_index(sys: &Sys, index: i32) -> Result<Option<IfIndex>, Errno> {
    interface(sys, Ipv4Addr::UNSPECIFIED, index)
}

/// The address in a socket address of the level's family.
fn sockaddr(level: u32, octets: &[u8]) -> Option<IpAddr> {
    match (level, octets) {
        (IP, [2, 0, _, _, a, b, c, d, ..]) => Some(IpAddr::from([*a, *b, *c, *d])),
        (IPV6, [10, 0, _, _, _, _, _, _, rest @ ..]) => {
            rest.first_chunk().map(|octets: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*octets)))
        }
        _ => None,
    }
}

/// The address as a `struct sockaddr_storage`.
fn of_sockaddr(addr: IpAddr) -> Vec<u8> {
    let mut octets = match addr {
        IpAddr::V4(addr) => [&[2, 0, 0, 0][..], &addr.octets()].concat(),
        IpAddr::V6(addr) => [&[10, 0, 0, 0, 0, 0, 0, 0][..], &addr.octets()].concat(),
    };
    octets.resize(SOCKADDR, 0);
    octets
}
