//! RTM_*NEIGH: neighbours. The stack does not tell when it last used or confirmed one: NDA_CACHEINFO's times are 0.

use super::Socket;
use super::message::{Answer, Payload, Refusal, Request, refusal};
use super::rtnl::{DELNEIGH, NEWNEIGH, Served, Strictness, check_family, family, mac};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use netstack::net::ifnet::IfError;
use netstack::net::neigh::{Neighbour, NudState, Told};
use netstack::net::{IfIndex, MacAddr};
use std::net::IpAddr;

/// Octets of a `struct ndmsg`.
const HEADER: usize = 12;
/// `NDA_CACHEINFO`: confirmed, used and updated so long ago, and the count of users.
const NDA_CACHEINFO: u16 = 3;
const CACHEINFO: usize = 16;
const REFCNT: usize = 12;

/// RTM_GETNEIGH for all.
pub(super) fn dump(
    kernel: &Kernel,
    request: &Request<'_>,
    served: Served,
    strict: Strictness,
) -> Result<Answer, Refusal> {
    let mut message: NeighbourMessage = match strict {
        Strictness::Strict if request.body.len() < HEADER => {
            let text = "Invalid header for neighbor dump request";
            return Ok(Answer::NoDump(refusal(Errno::EINVAL, text)));
        }
        Strictness::Strict => request.parse()?,
        // What an old program leaves in the header means nothing, but its attributes do.
        Strictness::Lax => request.parse_padded(HEADER).unwrap_or_default(),
    };
    let mut filtered = false;
    let mut only = None;
    for attribute in message.attributes.drain(..) {
        match attribute {
            NeighbourAttribute::IfIndex(index) => (only, filtered) = (Some(IfIndex(index)), true),
            // Nobody here is part of a bridge.
            NeighbourAttribute::Controller(index) if index != 0 => return Ok(Answer::Filtered(Vec::new())),
            _ => {}
        }
    }
    // NTF_PROXY asks for the addresses that we answer for: none.
    let proxies = message.header.flags.contains(NeighbourFlags::Proxy);
    let stack = kernel.stack.borrow();
    let wanted = |n: &Neighbour| served.has(n.addr) && only.is_none_or(|only| only == n.ifindex) && !proxies;
    let payloads = stack.neighbours().filter(wanted).map(|n| payload(&n, NEWNEIGH)).collect();
    Ok(if filtered { Answer::Filtered(payloads) } else { Answer::Dump(payloads) })
}

/// RTM_GETNEIGH for one.
pub(super) fn get(kernel: &Kernel, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request, "Network address not specified")?;
    let stack = kernel.stack.borrow();
    stack.interface(asked.ifindex).ok_or(Errno::ENODEV)?;
    let found = stack.neighbours().find(|n| (n.ifindex, n.addr) == (asked.ifindex, asked.addr));
    let found = found.ok_or(refusal(Errno::ENOENT, "Neighbour entry not found"))?;
    Ok(Answer::One(payload(&found, NEWNEIGH)))
}

/// A neighbour as it is, or was.
pub(super) fn payload(neighbour: &Neighbour, kind: u16) -> Payload {
    let mut message = NeighbourMessage::default();
    message.header.family = family(neighbour.addr).into();
    message.header.ifindex = neighbour.ifindex.0;
    message.header.state = match neighbour.state {
        NudState::Incomplete => NeighbourState::Incomplete,
        NudState::Reachable => NeighbourState::Reachable,
        NudState::Stale => NeighbourState::Stale,
        NudState::Delay => NeighbourState::Delay,
        NudState::Probe => NeighbourState::Probe,
        NudState::Failed => NeighbourState::Failed,
        NudState::Permanent => NeighbourState::Permanent,
    };
    message.header.kind = RouteType::Unicast;
    message.header.flags.set(NeighbourFlags::Router, neighbour.router);
    let attributes = &mut message.attributes;
    attributes.push(NeighbourAttribute::Destination(match neighbour.addr {
        IpAddr::V4(addr) => NeighbourAddress::Inet(addr),
        IpAddr::V6(addr) => NeighbourAddress::Inet6(addr),
    }));
    attributes.extend(neighbour.mac.map(|mac| NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())));
    attributes.push(NeighbourAttribute::Probes(0));
    let mut cache = vec![0; CACHEINFO];
    cache[REFCNT] = u8::from(kind == NEWNEIGH);
    attributes.push(NeighbourAttribute::Other(DefaultNla::new(NDA_CACHEINFO, cache)));
    Payload::new(kind, &message)
}

struct Asked {
    ifindex: IfIndex,
    addr: IpAddr,
    mac: Option<MacAddr>,
    state: NeighbourState,
    flags: NeighbourFlags,
}

fn asked(request: &Request<'_>, nameless: &'static str) -> Result<Asked, Refusal> {
    check_family(request.body.first().copied().unwrap_or(0))?;
    let message: NeighbourMessage = request.parse()?;
    let (mut addr, mut lladdr) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => addr = Some(IpAddr::V4(*v4)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => addr = Some(IpAddr::V6(*v6)),
            NeighbourAttribute::LinkLayerAddress(octets) => lladdr = Some(mac(octets)?),
            _ => {}
        }
    }
    let header = message.header;
    Ok(Asked {
        ifindex: IfIndex(header.ifindex),
        addr: addr.ok_or(refusal(Errno::EINVAL, nameless))?,
        mac: lladdr,
        state: header.state,
        flags: header.flags,
    })
}

/// RTM_NEWNEIGH
pub(super) fn add(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request, "Network address not specified")?;
    let old = {
        let stack = kernel.stack.borrow();
        let ifnet = stack.interface(asked.ifindex).ok_or(Errno::ENODEV)?;
        // As Linux: what has no link addresses has no neighbours.
        if ifnet.loopback {
            return Err(Errno::EINVAL.into());
        }
        stack.neighbours().find(|n| (n.ifindex, n.addr) == (asked.ifindex, asked.addr))
    };
    if asked.flags.contains(NeighbourFlags::Proxy) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    match old {
        Some(_) if request.excludes() => return Err(Errno::EEXIST.into()),
        None if !request.creates() => return Err(Errno::ENOENT.into()),
        Some(_) | None => {}
    }
    let told = if asked.flags.contains(NeighbourFlags::Use) { Wish::Use } else { wish(asked.state)? };
    // Without NLM_F_REPLACE what is known of the link address stays.
    let known = old.and_then(|n| n.mac).filter(|_| !request.replaces());
    let lladdr = known.or(asked.mac).or(old.and_then(|n| n.mac));
    let router = asked.flags.contains(NeighbourFlags::Router);
    let set = kernel.netlink_change(request.by(socket), |stack, now| match (told, lladdr) {
        (Wish::Use, _) => stack.neigh_use(now, asked.ifindex, asked.addr).map(Some),
        (Wish::Told(Told::Failed), mac) => {
            let mac = mac.unwrap_or_default();
            stack.neigh_set(now, (asked.ifindex, asked.addr), mac, Told::Failed, router).map(Some)
        }
        (Wish::Told(_), None) => Ok(None),
        (Wish::Told(told), Some(mac)) => {
            stack.neigh_set(now, (asked.ifindex, asked.addr), mac, told, router).map(Some)
        }
    });
    match set {
        Ok(Some(())) => Ok(Answer::Done),
        Ok(None) => Err(refusal(Errno::EINVAL, "No link layer address given")),
        Err(IfError::NoDevice(_)) => Err(Errno::ENODEV.into()),
        Err(_) => Err(refusal(Errno::EINVAL, "Invalid link address")),
    }
}

/// What is to become of a neighbour.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Told(Told),
    /// It is to be found.
    Use,
}

/// The wish that a state stands for.
fn wish(state: NeighbourState) -> Result<Wish, Refusal> {
    Ok(match state {
        NeighbourState::Permanent | NeighbourState::Noarp => Wish::Told(Told::Permanent),
        NeighbourState::Reachable => Wish::Told(Told::Reachable),
        NeighbourState::Stale => Wish::Told(Told::Stale),
        NeighbourState::Delay => Wish::Told(Told::Delay),
        NeighbourState::Probe => Wish::Told(Told::Probe),
        NeighbourState::Failed | NeighbourState::None => Wish::Told(Told::Failed),
        NeighbourState::Incomplete => Wish::Use,
        _ => return Err(Errno::EINVAL.into()),
    })
}

/// RTM_DELNEIGH
pub(super) fn del(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let asked = asked(request, "Network address not specified")?;
    kernel.stack.borrow().interface(asked.ifindex).ok_or(Errno::ENODEV)?;
    let known =
        kernel.netlink_change(request.by(socket), |stack, _| stack.neigh_del(asked.ifindex, asked.addr));
    if known { Ok(Answer::Done) } else { Err(Errno::ENOENT.into()) }
}

/// A neighbour that was forgotten.
pub(super) fn gone(neighbour: &Neighbour) -> Payload {
    payload(neighbour, DELNEIGH)
}
