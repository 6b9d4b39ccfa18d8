//! RTM_*ADDR: addresses of interfaces.
//!
//! The stack knows an address and its prefix. What else a program says of one (broadcast address, scope, flags, lifetimes;
//! its name the kernel knows, for ioctls too) is remembered here and shown; lifetimes do not end an address. An address
//! with a peer is refused. Of IPv6 the stack knows more: see [`super::addr6`].

use super::message::{Answer, Payload, Refusal, Request, refusal};
use super::rtnl::{DELADDR, NEWADDR, Served, Strictness, check_family, family};
use super::{Netlink, Socket, addr6};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use ipnet::IpNet;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope, CacheInfo,
};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::net::ifnet::{IfError, Ifnet};
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::time::Instant;
use std::net::{IpAddr, Ipv4Addr};

/// Octets of a `struct ifaddrmsg`.
const HEADER: usize = 8;
/// Octets of a name at most.
const NAME_MAX: usize = 15;
/// `IFA_F_SECONDARY`, `IFA_F_NOPREFIXROUTE`, `IFA_F_PERMANENT`.
const SECONDARY: u32 = 0x01;
const PERMANENT: u32 = 0x80;
const NOPREFIXROUTE: u32 = 0x200;
/// Flags that a program may give an IPv4 address; the others are IPv6's.
const GIVEN: u32 = NOPREFIXROUTE | 0x400;
/// `INFINITY_LIFE_TIME`
const FOR_EVER: u32 = u32::MAX;
/// `RT_SCOPE_LINK`, `RT_SCOPE_HOST`.
const LINK: u8 = 253;
const HOST: u8 = 254;

/// What a program said of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    broadcast: Option<Ipv4Addr>,
    scope: u8,
    flags: u32,
    /// Valid and preferred for so many seconds.
    lifetimes: (u32, u32),
    protocol: Option<u8>,
    /// When it was added and when it was last changed.
    created: Instant,
    updated: Instant,
}

impl Label {
    /// That of an address that the topology has brought.
    fn of(ifnet: &Ifnet, net: IpNet) -> Label {
        let broadcast = match net {
            IpNet::V4(net) if net.prefix_len() < 31 && !ifnet.loopback => Some(net.broadcast()),
            IpNet::V4(_) | IpNet::V6(_) => None,
        };
        let link = match net.addr() {
            IpAddr::V4(addr) => addr.is_link_local(),
            IpAddr::V6(addr) => addr.segments()[0] & 0xffc0 == 0xfe80, // RFC 4291 §2.5.6
        };
        Label {
            broadcast,
            scope: if net.addr().is_loopback() {
                HOST
            } else if link {
                LINK
            } else {
                0
            },
            flags: 0,
            lifetimes: (FOR_EVER, FOR_EVER),
            protocol: None,
            created: Instant::ZERO,
            updated: Instant::ZERO,
        }
    }
}

impl Netlink {
    /// What is known of an address beside the stack's knowledge.
    fn label(&self, ifnet: &Ifnet, net: IpNet) -> Label {
        let labels = self.labels.borrow();
        labels.get(&(ifnet.index, net.addr())).cloned().unwrap_or_else(|| Label::of(ifnet, net))
    }
}

/// RTM_GETADDR for all.
pub(super) fn dump(
    kernel: &Kernel,
    request: &Request<'_>,
    served: Served,
    strict: Strictness,
) -> Result<Answer, Refusal> {
    let mut only = None;
    if strict == Strictness::Strict {
        if request.body.len() < HEADER {
            let text = "ipv4: Invalid header for address dump request";
            return Ok(Answer::NoDump(refusal(Errno::EINVAL, text)));
        }
        let message: AddressMessage = request.parse()?;
        only = Some(IfIndex(message.header.index)).filter(|ifindex| ifindex.0 != 0);
    }
    let stack = kernel.stack.borrow();
    if only.is_some_and(|ifindex| stack.interface(ifindex).is_none()) {
        return Ok(Answer::NoDump(Errno::ENODEV.into()));
    }
    let mut payloads = Vec::new();
    for ifnet in stack.interfaces().filter(|ifnet| only.is_none_or(|only| only == ifnet.index)) {
        let shown = ifnet.addrs().iter().filter(|net| served.has(net.addr()));
        let (first, second): (Vec<&IpNet>, Vec<&IpNet>) = shown.partition(|net| !is_secondary(ifnet, **net));
        payloads
            .extend(first.iter().chain(&second).map(|net| payload(kernel, &stack, ifnet, **net, NEWADDR)));
    }
    Ok(if only.is_some() { Answer::Filtered(payloads) } else { Answer::Dump(payloads) })
}

/// Whether another address of the same subnet was there before.
fn is_secondary(ifnet: &Ifnet, net: IpNet) -> bool {
    let before = ifnet.addrs().iter().take_while(|other| **other != net);
    net.addr().is_ipv4() && before.into_iter().any(|other| other.trunc() == net.trunc())
}

/// An address that is there; of one that is gone, with what is still known of it.
pub(super) fn payload(kernel: &Kernel, stack: &Stack, ifnet: &Ifnet, net: IpNet, kind: u16) -> Payload {
    let mut label = kernel.netlink.label(ifnet, net);
    if let IpAddr::V6(addr) = net.addr()
        && let Some(known) = stack.addr6(ifnet.index, addr)
    {
        let of = addr6::known(&known, addr, kernel.now());
        (label.flags, label.lifetimes, label.protocol) = (of.flags, of.lifetimes, of.protocol);
    }
    let secondary = if kind == NEWADDR && is_secondary(ifnet, net) { SECONDARY } else { 0 };
    let permanent = if label.lifetimes.0 == FOR_EVER { PERMANENT } else { 0 };
    let flags = label.flags | secondary | permanent;
    let mut message = AddressMessage::default();
    message.header.family = family(net.addr()).into();
    message.header.prefix_len = net.prefix_len();
    message.header.flags = AddressHeaderFlags::from_bits_retain(flags as u8);
    message.header.scope = AddressScope::from(label.scope);
    message.header.index = ifnet.index.0;
    let attributes = &mut message.attributes;
    attributes.push(AddressAttribute::Address(net.addr()));
    if net.addr().is_ipv4() {
        attributes.push(AddressAttribute::Local(net.addr()));
        attributes.extend(label.broadcast.map(AddressAttribute::Broadcast));
        attributes.push(AddressAttribute::Label(name(kernel, ifnet, net)));
    }
    attributes.extend(label.protocol.map(|protocol| AddressAttribute::Protocol(protocol.into())));
    attributes.push(AddressAttribute::Flags(AddressFlags::from_bits_retain(flags)));
    let mut cache = CacheInfo::default();
    (cache.ifa_valid, cache.ifa_preferred) = label.lifetimes;
    (cache.cstamp, cache.tstamp) = (hundredths(label.created), hundredths(label.updated));
    attributes.push(AddressAttribute::CacheInfo(cache));
    Payload::new(kind, &message)
}

/// IFA_LABEL
fn name(kernel: &Kernel, ifnet: &Ifnet, net: IpNet) -> String {
    let own = match net.addr() {
        IpAddr::V4(addr) => kernel.labels.borrow().get(&(ifnet.index, addr)).cloned(),
        IpAddr::V6(_) => None,
    };
    own.unwrap_or_else(|| ifnet.name.clone())
}

fn hundredths(time: Instant) -> u32 {
    (time.as_nanos() / 10_000_000) as u32
}

/// What RTM_NEWADDR and RTM_DELADDR are about.
struct Asked {
    ifindex: IfIndex,
    prefix_len: u8,
    local: Option<Ipv4Addr>,
    address: Option<Ipv4Addr>,
    name: Option<String>,
    message: AddressMessage,
}

fn asked(request: &Request<'_>) -> Result<Asked, Refusal> {
    check_family(request.body.first().copied().unwrap_or(0))?;
    let message: AddressMessage = request.parse()?;
    let (mut local, mut address, mut name) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(addr)) => local = Some(*addr),
            AddressAttribute::Address(IpAddr::V4(addr)) => address = Some(*addr),
            AddressAttribute::Local(IpAddr::V6(_)) | AddressAttribute::Address(IpAddr::V6(_)) => {
                return Err(Errno::EINVAL.into());
            }
            AddressAttribute::Label(label) => name = Some(label.clone()),
            _ => {}
        }
    }
    let (ifindex, prefix_len) = (IfIndex(message.header.index), message.header.prefix_len);
    Ok(Asked { ifindex, prefix_len, local, address, name, message })
}

/// RTM_NEWADDR
pub(super) fn add(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    if addr6::is_of(request) {
        return addr6::add(kernel, socket, request);
    }
    let asked = asked(request)?;
    if asked.prefix_len > 32 {
        return Err(refusal(Errno::EINVAL, "ipv4: Invalid prefix length"));
    }
    let local = asked.local.ok_or(refusal(Errno::EINVAL, "ipv4: Local address is not supplied"))?;
    if asked.address.is_some_and(|address| address != local) {
        return Err(refusal(Errno::EOPNOTSUPP, "addresses have no peers here"));
    }
    let net = IpNet::new(local.into(), asked.prefix_len).map_err(|_| Errno::EINVAL)?;
    if asked.name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_MAX) {
        return Err(Errno::EINVAL.into());
    }
    let (label, there) = {
        let stack = kernel.stack.borrow();
        let ifnet = stack.interface(asked.ifindex);
        let ifnet = ifnet.ok_or(refusal(Errno::ENODEV, "ipv4: Device not found"))?;
        let there = ifnet.addrs().contains(&net);
        (said(&asked.message, &Label::of(ifnet, net), kernel.now())?, there)
    };
    if there && (request.excludes() || !request.replaces()) {
        return Err(refusal(Errno::EEXIST, "ipv4: Address already assigned"));
    }
    let key = (asked.ifindex, IpAddr::V4(local));
    if there {
        let created = kernel.netlink.labels.borrow().get(&key).map_or(Instant::ZERO, |old| old.created);
        kernel.netlink.labels.borrow_mut().insert(key, Label { created, ..label });
        rename(kernel, (asked.ifindex, local), asked.name);
        super::monitor::address_changed(kernel, asked.ifindex, net, request.by(socket));
        return Ok(Answer::Done);
    }
    let without_route = label.flags & NOPREFIXROUTE != 0;
    // Before the address, so that what is told of it is all of it.
    kernel.netlink.labels.borrow_mut().insert(key, label);
    rename(kernel, (asked.ifindex, local), asked.name);
    let added = kernel.netlink_change(request.by(socket), |stack, now| {
        stack.addr_add(now, asked.ifindex, net)?;
        if without_route {
            prefix_route_del(stack, asked.ifindex, net);
        }
        Ok(())
    });
    if added.is_err() {
        kernel.netlink.labels.borrow_mut().remove(&key);
        rename(kernel, (asked.ifindex, local), None);
    }
    added.map_err(refused)?;
    Ok(Answer::Done)
}

/// Gives an address a name, which it loses if it is that of its interface.
fn rename(kernel: &Kernel, key: (IfIndex, Ipv4Addr), name: Option<String>) {
    let device = kernel.stack.borrow().interface(key.0).map(|ifnet| ifnet.name.clone());
    match name.filter(|name| Some(name) != device.as_ref()) {
        Some(name) => drop(kernel.labels.borrow_mut().insert(key, name)),
        None => drop(kernel.labels.borrow_mut().remove(&key)),
    }
}

/// IFA_F_NOPREFIXROUTE: the subnet gets no route.
fn prefix_route_del(stack: &mut Stack, ifindex: IfIndex, net: IpNet) {
    let its = |route: &&Route| {
        (route.to, route.dev, route.src) == (net.trunc(), Some(ifindex), Some(net.addr()))
            && (route.kind, route.proto) == (RouteKind::Unicast, RouteProto::Kernel)
    };
    let route = stack.routes().find(its).copied();
    if let Some(route) = route {
        // It is there.
        let _ = stack.route_replace(&[route], &[]);
    }
}

/// What a request says of its address beside the address; `plain` is what goes without saying.
fn said(message: &AddressMessage, plain: &Label, now: Instant) -> Result<Label, Refusal> {
    let scope = u8::from(message.header.scope);
    let mut flags = u32::from(message.header.flags.bits());
    let mut label = Label { broadcast: None, scope, created: now, updated: now, ..plain.clone() };
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Broadcast(addr) => label.broadcast = Some(*addr),
            AddressAttribute::Flags(bits) => flags = bits.bits(),
            AddressAttribute::CacheInfo(info) => label.lifetimes = (info.ifa_valid, info.ifa_preferred),
            AddressAttribute::Protocol(protocol) => label.protocol = Some((*protocol).into()),
            _ => {}
        }
    }
    if label.lifetimes.0 == 0 {
        return Err(Errno::EINVAL.into());
    }
    if label.lifetimes.1 > label.lifetimes.0 {
        return Err(refusal(
            Errno::EINVAL,
            "ipv4: address preferred lifetime is greater than valid lifetime",
        ));
    }
    label.flags = flags & GIVEN;
    Ok(label)
}

/// RTM_DELADDR
pub(super) fn del(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    if addr6::is_of(request) {
        return addr6::del(kernel, socket, request);
    }
    let asked = asked(request)?;
    let none = refusal(Errno::EADDRNOTAVAIL, "ipv4: Address not found");
    let net = {
        let stack = kernel.stack.borrow();
        let ifnet = stack.interface(asked.ifindex);
        let ifnet = ifnet.ok_or(refusal(Errno::ENODEV, "ipv4: Device not found"))?;
        let named =
            |net: &IpNet| asked.name.as_ref().is_none_or(|wanted| *wanted == name(kernel, ifnet, *net));
        let fits = |net: &&IpNet| {
            let addr = net.addr();
            let prefixed = net.prefix_len() == asked.prefix_len;
            addr.is_ipv4()
                && asked.local.is_none_or(|local| local == addr)
                && asked.address.is_none_or(|address| prefixed && net.contains(&IpAddr::V4(address)))
                && named(net)
        };
        *ifnet.addrs().iter().find(fits).ok_or(none)?
    };
    let gone =
        kernel.netlink_change(request.by(socket), |stack, now| stack.addr_del(now, asked.ifindex, net));
    gone.map_err(refused)?;
    Ok(Answer::Done)
}

fn refused(error: IfError) -> Refusal {
    match error {
        IfError::AddrExists(_) => refusal(Errno::EEXIST, "ipv4: Address already assigned"),
        IfError::NoAddr(_) => refusal(Errno::EADDRNOTAVAIL, "ipv4: Address not found"),
        IfError::NoDevice(_) => refusal(Errno::ENODEV, "ipv4: Device not found"),
        IfError::BadAddr(_)
        | IfError::BadName(_)
        | IfError::BadMac(_)
        | IfError::BadMtu(_)
        | IfError::Exists(_)
        | IfError::Loopback => Errno::EINVAL.into(),
    }
}

/// For the monitor: the address is gone, and what was said of it.
pub(super) fn forget(kernel: &Kernel, stack: &Stack, ifnet: &Ifnet, net: IpNet) -> Payload {
    let payload = payload(kernel, stack, ifnet, net, DELADDR);
    kernel.netlink.labels.borrow_mut().remove(&(ifnet.index, net.addr()));
    if let IpAddr::V4(addr) = net.addr() {
        kernel.labels.borrow_mut().remove(&(ifnet.index, addr));
    }
    payload
}
