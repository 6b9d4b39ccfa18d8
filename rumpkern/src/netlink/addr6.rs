//! RTM_*ADDR of AF_INET6: addresses that have states and end. RFC 4862 §5.4, §5.5.4.
//!
//! The stack knows all that is shown. A changed address is taken away and given anew, as good as it was. Refused are addresses with
//! a peer, and what the stack has no door for: IFA_F_NOPREFIXROUTE, IFA_F_MANAGETEMPADDR, IFA_F_HOMEADDRESS.

use super::Socket;
use super::message::{Answer, Refusal, Request, refusal};
use super::rtnl::INET6;
use crate::kernel::Kernel;
use crate::syscall::Errno;
use ipnet::{IpNet, Ipv6Net};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::net::ifnet::IfError;
use netstack::netinet6::in6_ifaddr::{Addr6, AddrOrigin, AddrState, Dad, Ipv6Config};
use netstack::time::{Duration, Instant};
use std::net::{IpAddr, Ipv6Addr};

/// `IFA_F_*`
const TEMPORARY: u32 = 0x01;
const NODAD: u32 = 0x02;
const OPTIMISTIC: u32 = 0x04;
const DADFAILED: u32 = 0x08;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;
const PERMANENT: u32 = 0x80;
/// IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR, IFA_F_NOPREFIXROUTE
const REFUSED: u32 = 0x10 | 0x100 | 0x200;
/// `INFINITY_LIFE_TIME`
const FOR_EVER: u32 = u32::MAX;
/// `IFAPROT_KERNEL_*`: who made an address.
const OF_LOOPBACK: u8 = 1;
const OF_ROUTER: u8 = 2;
const OF_LINK: u8 = 3;

/// What is shown of an address.
pub(super) struct Known {
    pub(super) flags: u32,
    /// Valid and preferred for so many seconds.
    pub(super) lifetimes: (u32, u32),
    pub(super) protocol: Option<u8>,
}

/// What the stack knows of `addr` at `now`.
pub(super) fn known(known: &Addr6, addr: Ipv6Addr, now: Instant) -> Known {
    let flags = flags(known, now);
    let protocol = match known.origin {
        AddrOrigin::Manual if addr.is_loopback() => Some(OF_LOOPBACK),
        AddrOrigin::Manual => None,
        AddrOrigin::LinkLocal => Some(OF_LINK),
        AddrOrigin::Autoconf | AddrOrigin::Temporary => Some(OF_ROUTER),
    };
    let left = |until: Option<Instant>| {
        until.map_or(FOR_EVER, |until| u32::try_from(until.since(now).as_secs()).unwrap_or(FOR_EVER))
    };
    Known { flags, lifetimes: (left(known.valid_until), left(known.preferred_until)), protocol }
}

/// `IFA_F_*` of an address.
pub(crate) fn flags(known: &Addr6, now: Instant) -> u32 {
    let temporary = if known.origin == AddrOrigin::Temporary { TEMPORARY } else { 0 };
    let permanent = if known.valid_until.is_none() { PERMANENT } else { 0 };
    let state = match known.state_at(now) {
        AddrState::Tentative => TENTATIVE,
        AddrState::Optimistic => TENTATIVE | OPTIMISTIC,
        AddrState::Preferred => 0,
        AddrState::Deprecated => DEPRECATED,
        AddrState::Duplicate => TENTATIVE | DADFAILED,
    };
    temporary | permanent | state
}

/// Whether a request is about an address of IPv6.
pub(super) fn is_of(request: &Request<'_>) -> bool {
    request.body.first() == Some(&INET6)
}

struct Asked {
    ifindex: IfIndex,
    net: Ipv6Net,
    flags: u32,
    /// Preferred and valid for so long.
    lifetimes: (Option<Duration>, Option<Duration>),
}

fn asked(request: &Request<'_>) -> Result<Asked, Refusal> {
    let message: AddressMessage = request.parse()?;
    let (mut local, mut address, mut lifetimes) = (None, None, (None, None));
    let mut flags = u32::from(message.header.flags.bits());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V6(addr)) => local = Some(*addr),
            AddressAttribute::Address(IpAddr::V6(addr)) => address = Some(*addr),
            AddressAttribute::Local(IpAddr::V4(_)) | AddressAttribute::Address(IpAddr::V4(_)) => {
                return Err(Errno::EINVAL.into());
            }
            AddressAttribute::Flags(bits) => flags = bits.bits(),
            AddressAttribute::CacheInfo(info) => {
                if info.ifa_valid == 0 || info.ifa_preferred > info.ifa_valid {
                    return Err(refusal(Errno::EINVAL, "ipv6: address lifetime invalid"));
                }
                let so_long =
                    |seconds: u32| Some(Duration::from_secs(seconds.into())).filter(|_| seconds != FOR_EVER);
                lifetimes = (so_long(info.ifa_preferred), so_long(info.ifa_valid));
            }
            _ => {}
        }
    }
    if local.is_some() && address.is_some() && local != address {
        return Err(refusal(Errno::EOPNOTSUPP, "addresses have no peers here"));
    }
    let addr = local.or(address).ok_or(Errno::EINVAL)?;
    let invalid = refusal(Errno::EINVAL, "ipv6: Invalid prefix length");
    let net = Ipv6Net::new(addr, message.header.prefix_len).map_err(|_| invalid)?;
    Ok(Asked { ifindex: IfIndex(message.header.index), net, flags, lifetimes })
}

/// RTM_NEWADDR
pub(super) fn add(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request)?;
    if asked.flags & REFUSED != 0 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let (there, config) = {
        let stack = kernel.stack.borrow();
        let ifnet = stack.interface(asked.ifindex).ok_or(Errno::ENODEV)?;
        let there = ifnet.addrs().iter().find(|net| net.addr() == IpAddr::V6(asked.net.addr())).copied();
        (there, stack.if_ipv6(asked.ifindex).unwrap_or_default())
    };
    if there.is_some() && (request.excludes() || !request.replaces()) {
        return Err(refusal(Errno::EEXIST, "ipv6: address already assigned"));
    }
    // One that is there has been found to be ours alone.
    let dad = if there.is_some() || asked.flags & NODAD != 0 {
        Dad::Off
    } else if asked.flags & OPTIMISTIC != 0 {
        Dad::Optimistic
    } else {
        config.dad
    };
    let added = kernel.netlink_change(request.by(socket), |stack, now| {
        if let Some(net) = there {
            stack.addr_del(now, asked.ifindex, net)?;
        }
        give(stack, now, &asked, dad)
    });
    added.map_err(refused)?;
    kernel.if_filters_changed();
    Ok(Answer::Done)
}

/// Gives the interface the address, with this way of detecting duplicates for it alone.
fn give(stack: &mut Stack, now: Instant, asked: &Asked, dad: Dad) -> Result<(), IfError> {
    let give = |stack: &mut Stack| {
        stack.addr6_add(now, asked.ifindex, asked.net, AddrOrigin::Manual, asked.lifetimes)
    };
    match stack.if_ipv6(asked.ifindex) {
        Some(config) if config.dad != dad => {
            stack.if_set_ipv6(now, asked.ifindex, Ipv6Config { dad, enabled: true, ..config })?;
            let given = give(stack);
            stack.if_set_ipv6(now, asked.ifindex, Ipv6Config { enabled: true, ..config })?;
            given
        }
        Some(_) | None => give(stack),
    }
}

/// RTM_DELADDR
pub(super) fn del(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request)?;
    {
        let stack = kernel.stack.borrow();
        let ifnet = stack.interface(asked.ifindex).ok_or(Errno::ENODEV)?;
        if !ifnet.addrs().contains(&IpNet::V6(asked.net)) {
            return Err(refusal(Errno::EADDRNOTAVAIL, "ipv6: address not found"));
        }
    }
    let gone = kernel.netlink_change(request.by(socket), |stack, now| {
        stack.addr_del(now, asked.ifindex, IpNet::V6(asked.net))
    });
    gone.map_err(refused)?;
    kernel.if_filters_changed();
    Ok(Answer::Done)
}

fn refused(error: IfError) -> Refusal {
    match error {
        IfError::AddrExists(_) => refusal(Errno::EEXIST, "ipv6: address already assigned"),
        IfError::NoAddr(_) => refusal(Errno::EADDRNOTAVAIL, "ipv6: address not found"),
        IfError::BadAddr(_) => refusal(Errno::EADDRNOTAVAIL, "ipv6: Cannot assign requested address"),
        IfError::NoDevice(_) => Errno::ENODEV.into(),
        IfError::BadName(_)
        | IfError::BadMac(_)
        | IfError::BadMtu(_)
        | IfError::Exists(_)
        | IfError::Loopback => Errno::EINVAL.into(),
    }
}
