//! NETLINK_ROUTE: which message is whose (rtnetlink(7)), and what all of its families have in common.

use super::message::{Answer, Refusal, Request};
use super::{Socket, addr, link, neigh, route, route_change, rule, tables};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use netstack::net::MacAddr;
use std::net::IpAddr;

pub(super) const NEWLINK: u16 = 16;
pub(super) const DELLINK: u16 = 17;
pub(super) const NEWADDR: u16 = 20;
pub(super) const DELADDR: u16 = 21;
pub(super) const NEWROUTE: u16 = 24;
pub(super) const DELROUTE: u16 = 25;
pub(super) const NEWNEIGH: u16 = 28;
pub(super) const DELNEIGH: u16 = 29;

/// `AF_INET`, `AF_BRIDGE`, `AF_INET6`; `RTNL_FAMILY_IPMR` and `RTNL_FAMILY_IP6MR`.
pub(super) const INET: u8 = 2;
const BRIDGE: u8 = 7;
pub(super) const INET6: u8 = 10;
const IPMR: u8 = 128;
const IP6MR: u8 = 129;

/// Answers a request.
pub(super) fn handle(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let strict = Strictness::of(socket);
    let served = Served::by(request.body.first().copied().unwrap_or(0));
    let dump = request.is_dump();
    match request.kind {
        NEWLINK | 19 => link::set(kernel, socket, request),
        DELLINK => link::del(kernel, request),
        18 if dump && served == Served::Nothing => Ok(Answer::Dump(Vec::new())),
        18 if dump => link::dump(kernel, request, strict),
        18 => link::get(kernel, request),
        NEWADDR => addr::add(kernel, socket, request),
        DELADDR => addr::del(kernel, socket, request),
        22 if dump => addr::dump(kernel, request, served, strict),
        NEWROUTE => route_change::add(kernel, socket, request),
        DELROUTE => route_change::del(kernel, socket, request),
        26 if dump => route::dump(kernel, request, served, strict),
        26 => route::get(kernel, request),
        NEWNEIGH => neigh::add(kernel, socket, request),
        DELNEIGH => neigh::del(kernel, socket, request),
        30 if dump => neigh::dump(kernel, request, served, strict),
        30 => neigh::get(kernel, request),
        34 if dump => Ok(Answer::Dump(rule::dump(served))),
        38 if dump => Ok(Answer::Dump(tables::qdiscs(kernel))),
        66 if dump => Ok(Answer::Dump(tables::neighbour_tables(kernel, served))),
        82 if dump => Ok(Answer::Dump(tables::netconf(kernel, served))),
        // Classes, filters, multicast groups of bridges, name spaces: there are none. Of next hops as objects (104 to 118) not even that is
        // said: who can list them takes it that they can be made.
        42 | 46 | 86 | 90 if dump => Ok(Answer::Dump(Vec::new())),
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

/// Which families of addresses a dump is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// AF_UNSPEC, and those that Linux takes for it.
    All,
    /// AF_INET
    V4,
    /// AF_INET6
    V6,
    /// Bridges, multicast routing: there is nothing of it.
    Nothing,
}

impl Served {
    /// By the number of the family.
    fn by(family: u8) -> Served {
        match family {
            INET => Served::V4,
            INET6 => Served::V6,
            BRIDGE | IPMR | IP6MR => Served::Nothing,
            _ => Served::All,
        }
    }

    /// Whether an address belongs to it.
    pub(super) fn has(self, addr: IpAddr) -> bool {
        match self {
            Served::All => true,
            Served::V4 => addr.is_ipv4(),
            Served::V6 => addr.is_ipv6(),
            Served::Nothing => false,
        }
    }
}

/// Whether a dump is filtered by what its request says (NETLINK_GET_STRICT_CHK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// It is.
    Strict,
    /// As old programs expect, who leave garbage there.
    Lax,
}

impl Strictness {
    fn of(socket: &Socket) -> Strictness {
        match socket.options().contains(super::socket::Options::STRICT) {
            true => Strictness::Strict,
            false => Strictness::Lax,
        }
    }
}

/// The family of an address.
pub(super) fn family(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    }
}

/// EOPNOTSUPP: a family whose addresses nobody can change here.
pub(super) fn check_family(family: u8) -> Result<(), Refusal> {
    match family {
        INET | INET6 => Ok(()),
        _ => Err(Errno::EOPNOTSUPP.into()),
    }
}

/// An Ethernet address.
pub(super) fn mac(octets: &[u8]) -> Result<MacAddr, Refusal> {
    <[u8; 6]>::try_from(octets).map(MacAddr).map_err(|_| Errno::EINVAL.into())
}
