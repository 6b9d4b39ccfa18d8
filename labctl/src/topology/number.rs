//! Numbers: subnets from pools, addresses from subnets, MACs from names; and what clashes.
//!
//! A bus's subnet hands out its addresses in the order of the bus's list, from the first host address; addresses that were written
//! are passed over. IPv4 subnets keep their network and broadcast address, except /31 (RFC 3021) and /32; IPv6
//! ones keep the subnet-router anycast address (RFC 4291 §2.6.1), except /127 (RFC 6164) and /128.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use indexmap::IndexMap;
use ipnet::IpNet;
use siphasher::sip::SipHasher24;

use super::addr::{Mac, Net, is_link_local};
use super::diag::{Code, Diag, Span};
use super::draft::Draft;
use super::ipv6::ipv6;
use super::ra;
use super::read::{Cx, Int, Sp};

/// Does it all, in the order in which one needs the other.
pub(super) fn number(draft: &mut Draft, cx: &mut Cx) {
    subnets(draft, cx);
    written(draft, cx);
    handed_out(draft, cx);
    ipv6(draft, cx);
    mtus(draft, cx);
    let overlaps = overlaps(draft, cx);
    duplicates(draft, overlaps, cx);
}

/// Gives each bus its subnets: those written, then those from pools.
fn subnets(draft: &mut Draft, cx: &mut Cx) {
    let mut pools: IndexMap<IpNet, u128> = IndexMap::new();
    for (name, bus) in &mut draft.buses {
        let Some(raw) = &bus.raw else { continue };
        let both = [
            (&raw.subnet, &raw.pool, &raw.prefix, ["subnet", "pool", "prefix"]),
            (&raw.subnet6, &raw.pool6, &raw.prefix6, ["subnet6", "pool6", "prefix6"]),
        ];
        for (subnet, pool, prefix, [subnet_key, pool_key, prefix_key]) in both {
            match (subnet, pool) {
                (Some(subnet), Some(pool)) => {
                    let message = format!("\"{subnet_key}\" and \"{pool_key}\" exclude each other");
                    let diag = Diag::new(Code::ConflictingKeys, pool.span.clone(), message);
                    cx.push(diag.other(subnet.span.clone(), "the subnet is given here"));
                }
                (Some(subnet), None) => bus.subnets.push(Sp { value: subnet.0, span: subnet.span.clone() }),
                (None, Some(pool)) => {
                    let members = bus.members.len();
                    bus.subnets.extend(carve(&mut pools, pool, prefix.as_ref(), members, name, cx));
                }
                (None, None) => {
                    if let Some(prefix) = prefix {
                        let message = format!("\"{prefix_key}\" needs \"{pool_key}\"");
                        cx.push(Diag::new(Code::MissingKey, prefix.span.clone(), message));
                    }
                }
            }
        }
        if let Some(subnet) =
            raw.subnet6.as_ref().or(raw.pool6.as_ref()).filter(|net| matches!(net.0, IpNet::V4(_)))
        {
            let message = format!("\"{}\" is an IPv4 prefix", subnet.0);
            cx.push(
                Diag::new(Code::BadAddress, subnet.span.clone(), message)
                    .hint("for example \"fd00:0:0:1::/64\""),
            );
        }
    }
}

/// Takes the next free subnet of a pool.
fn carve(
    pools: &mut IndexMap<IpNet, u128>,
    pool: &Sp<Net>,
    prefix: Option<&Sp<Int<1, 128>>>,
    members: usize,
    bus: &str,
    cx: &mut Cx,
) -> Option<Sp<IpNet>> {
    let net = pool.0;
    if prefix.is_none() && cx.has_errors() {
        // The default is that of the number of members, and some of them may be faulty.
        return None;
    }
    let len = match (prefix, net) {
        (Some(prefix), _) => prefix.0 as u8,
        (None, IpNet::V4(_)) if members == 2 => 31,
        (None, IpNet::V4(_)) => 24,
        (None, IpNet::V6(_)) => 64,
    };
    if len < net.prefix_len() || len > net.max_prefix_len() {
        let span = prefix.map_or(&pool.span, |prefix| &prefix.span).clone();
        let message = format!("a /{len} does not fit into the pool {net}");
        let range = format!("{} to {}", net.prefix_len(), net.max_prefix_len());
        cx.push(Diag::new(Code::OutOfRange, span, message).other(pool.span.clone(), "the pool").hint(range));
        return None;
    }
    let used = pools.entry(net).or_insert(0);
    // Offsets within the pool; at most 2^128, which only a pool of ::/0 has and which saturates harmlessly.
    let size = 1u128.checked_shl(u32::from(net.max_prefix_len() - len)).unwrap_or(u128::MAX);
    let whole = 1u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len())).unwrap_or(u128::MAX);
    let start = used.div_ceil(size).saturating_mul(size);
    if start.saturating_add(size) > whole {
        let message = format!("the pool {net} has no /{len} left for bus \"{bus}\"");
        let diag = Diag::new(Code::PoolExhausted, pool.span.clone(), message);
        cx.push(diag.hint("make the pool larger, or the subnets smaller"));
        return None;
    }
    *used = start + size;
    let subnet = IpNet::new(plus(net.network(), start)?, len).ok()?;
    Some(Sp { value: subnet, span: pool.span.clone() })
}

/// The address that many after this one.
fn plus(addr: IpAddr, offset: u128) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(addr) => {
            let sum = u32::from(addr).checked_add(u32::try_from(offset).ok()?)?;
            Some(Ipv4Addr::from(sum).into())
        }
        IpAddr::V6(addr) => Some(Ipv6Addr::from(u128::from(addr).checked_add(offset)?).into()),
    }
}

/// First offset that a host may have, and number of hosts.
fn hosts(net: IpNet) -> (u128, u128) {
    let bits = u32::from(net.max_prefix_len() - net.prefix_len());
    let all = 1u128.checked_shl(bits).unwrap_or(u128::MAX);
    match net {
        _ if bits <= 1 => (0, all),
        IpNet::V4(_) => (1, all - 2),
        IpNet::V6(_) => (1, all - 1),
    }
}

/// Takes the addresses that were written; fills in prefixes; warns of those outside the bus's subnets.
fn written(draft: &mut Draft, cx: &mut Cx) {
    for node in draft.nodes.values_mut() {
        for interface in &mut node.interfaces {
            let (name, bus) = match draft.buses.get_index(interface.bus) {
                Some(bus) => bus,
                None => continue,
            };
            for cidr in interface.ip.iter().flatten() {
                let around = bus.subnets.iter().find(|net| net.contains(&cidr.addr));
                let len = match (cidr.prefix, around) {
                    (Some(len), _) => len,
                    (None, Some(net)) => net.prefix_len(),
                    (None, None) => {
                        let message = format!("\"{}\" needs the length of its prefix", cidr.addr);
                        let diag = Diag::new(Code::BadAddress, cidr.span.clone(), message);
                        cx.push(diag.hint(format!(
                            "no subnet of bus \"{name}\" holds it; write \"{}/24\"",
                            cidr.addr
                        )));
                        continue;
                    }
                };
                let same_family = |net: &&Sp<IpNet>| net.addr().is_ipv4() == cidr.addr.is_ipv4();
                if let (None, Some(net)) = (around, bus.subnets.iter().find(same_family)) {
                    let message = format!("{} is not in the subnet of bus \"{name}\"", cidr.addr);
                    let diag = Diag::new(Code::OutsideSubnet, cidr.span.clone(), message);
                    cx.push(diag.other(net.span.clone(), format!("bus \"{name}\" has {}", net.value)));
                }
                if let Ok(net) = IpNet::new(cidr.addr, len) {
                    interface.addrs.push(Sp { value: net, span: cidr.span.clone() });
                }
            }
        }
    }
}

/// Hands out the addresses that were not written.
fn handed_out(draft: &mut Draft, cx: &mut Cx) {
    for at in 0..draft.buses.len() {
        let bus = &draft.buses[at];
        let members = bus.members.clone();
        for subnet in bus.subnets.clone() {
            let mut taken: HashSet<IpAddr> = HashSet::new();
            for member in &members {
                taken.extend(draft.interface(*member).addrs.iter().map(|net| net.addr()));
            }
            let (first, count) = hosts(subnet.value);
            let mut next = (first..first.saturating_add(count))
                .map_while(|offset| plus(subnet.network(), offset))
                .filter(|addr| !taken.contains(addr));
            for (node, i) in &members {
                let interface = &mut draft.nodes[*node].interfaces[*i];
                // `slaac` takes the place of what an IPv6 subnet hands out.
                if interface.ip.is_some() || (interface.slaac.is_some() && subnet.addr().is_ipv6()) {
                    continue;
                }
                let Some(net) = next.next().and_then(|addr| IpNet::new(addr, subnet.prefix_len()).ok())
                else {
                    let (net, need) = (subnet.value, members.len());
                    let message =
                        format!("{net} has {count} addresses, and {need} interfaces are on the bus");
                    let diag = Diag::new(Code::SubnetExhausted, subnet.span.clone(), message);
                    cx.push(diag.hint("make the subnet larger"));
                    break;
                };
                interface.addrs.push(Sp { value: net, span: interface.span.clone() });
            }
        }
    }
}

/// Smallest MTU of IPv6 (RFC 8200 §5).
const IPV6_MTU_MIN: u16 = 1280;

fn mtus(draft: &Draft, cx: &mut Cx) {
    for port in draft.ports() {
        let interface = draft.interface(port);
        let bus = &draft.buses[interface.bus];
        let bus_mtu = bus.raw.as_ref().and_then(|raw| raw.mtu.as_ref());
        if let Some(mtu) = interface.mtu.as_ref().filter(|mtu| mtu.value != bus.mtu) {
            let (port, mtu_text) = (draft.port(port), mtu.value);
            let message = format!("{port} has MTU {mtu_text}, its bus {}", bus.mtu);
            let mut diag = Diag::new(Code::MtuMismatch, mtu.span.clone(), message);
            if let Some(bus_mtu) = bus_mtu {
                diag = diag.other(bus_mtu.span.clone(), "the bus's MTU");
            }
            cx.push(diag.hint("nodes of one LAN must agree on its MTU: larger frames are dropped"));
        }
        let mtu = interface.mtu.as_ref().map_or(bus.mtu, |mtu| mtu.value);
        if mtu < IPV6_MTU_MIN && interface.ipv6.is_some() {
            let span = interface.mtu.as_ref().map(|mtu| &mtu.span).or(bus_mtu.map(|mtu| &mtu.span));
            let message = format!("MTU {mtu} is too small for IPv6");
            let span = span.unwrap_or(&interface.span).clone();
            cx.push(Diag::new(Code::OutOfRange, span, message).hint("IPv6 needs 1280 (RFC 8200 §5)"));
        }
    }
}

/// Subnets of different buses that share addresses. Prefixes are nested or disjoint: sorted, an enclosing one is on
/// the stack when its part comes.
fn overlaps(draft: &Draft, cx: &mut Cx) -> bool {
    let before = cx.diags.len();
    let mut nets: Vec<(IpNet, usize, Span)> = Vec::new();
    for (at, bus) in draft.buses.values().enumerate() {
        nets.extend(bus.subnets.iter().map(|net| (net.value, at, net.span.clone())));
    }
    for port in draft.ports() {
        let interface = draft.interface(port);
        let own = interface.addrs.iter().filter(|net| !is_link_local(net.addr()));
        let own = own.filter(|net| net.prefix_len() < net.max_prefix_len());
        let new = own.filter(|net| draft.buses[interface.bus].subnets.iter().all(|s| s.value != net.trunc()));
        nets.extend(new.map(|net| (net.trunc(), interface.bus, net.span.clone())));
        nets.extend(ra::written(interface).map(|(net, span)| (net, interface.bus, span)));
    }
    nets.sort_by_key(|net| (net.0.network(), net.0.prefix_len(), net.1));
    let mut around: Vec<(IpNet, usize, Span)> = Vec::new();
    for net in nets {
        while around.last().is_some_and(|outer| !outer.0.contains(&net.0)) {
            around.pop();
        }
        if let Some(outer) = around.iter().find(|outer| outer.1 != net.1) {
            let name = |at: usize| draft.buses.get_index(at).map_or("?", |(name, _)| name.as_str());
            // The fault is where the second one was written.
            let (first, second) = if outer.2.start <= net.2.start { (outer, &net) } else { (&net, outer) };
            let message = format!(
                "{} of bus \"{}\" overlaps {} of bus \"{}\"",
                second.0,
                name(second.1),
                first.0,
                name(first.1)
            );
            let mut diag = Diag::new(Code::OverlappingSubnets, second.2.clone(), message);
            if first.2 != second.2 {
                diag = diag.other(first.2.clone(), format!("bus \"{}\" has it here", name(first.1)));
            } else {
                diag = diag.hint("each copy needs a subnet of its own: use `pool`, or `{i}` in the subnet");
            }
            cx.push(diag);
        }
        around.push(net);
    }
    cx.diags.len() > before
}

/// Addresses and MACs that two interfaces have. Where subnets overlap, so does what they handed out: that was said.
fn duplicates(draft: &Draft, overlaps: bool, cx: &mut Cx) {
    let mut seen: HashMap<IpAddr, (Span, String)> = HashMap::new();
    let mut see = |net: &Sp<IpNet>, owner: String, cx: &mut Cx| {
        if is_link_local(net.addr()) {
            return;
        }
        if let Some((span, first)) = seen.get(&net.addr()) {
            let message = format!("{owner} has the address {} of {first}", net.addr());
            let diag = Diag::new(Code::DuplicateAddress, net.span.clone(), message);
            cx.push(if *span == net.span {
                diag.hint("each copy needs an address of its own: use `{i}`, or leave it out")
            } else {
                diag.other(span.clone(), "first used here")
            });
            return;
        }
        seen.insert(net.addr(), (net.span.clone(), owner));
    };
    for (name, node) in &draft.nodes {
        for net in &node.loopback {
            see(net, format!("{name}:lo"), cx);
        }
    }
    for port in draft.ports().filter(|port| !overlaps || draft.interface(*port).ip.is_some()) {
        for net in &draft.interface(port).addrs {
            see(net, draft.port(port), cx);
        }
    }
    let mut macs: HashMap<Mac, (Span, String)> = HashMap::new();
    for port in draft.ports() {
        let Some(mac) = &draft.interface(port).mac else { continue };
        if let Some((span, first)) = macs.get(&mac.value) {
            let message = format!("{} has the MAC address of {first}", draft.port(port));
            let diag = Diag::new(Code::DuplicateMac, mac.span.clone(), message);
            cx.push(if *span == mac.span {
                diag.hint("leave it out: MACs are derived, each its own")
            } else {
                diag.other(span.clone(), "first used here")
            });
        } else {
            macs.insert(mac.value, (mac.span.clone(), draft.port(port)));
        }
    }
}

/// Hands out MAC addresses: locally administered, from lab, node and interface names, so that they stay the same
/// when the lab grows.
#[derive(Debug)]
pub(super) struct Macs {
    taken: HashSet<Mac>,
}

impl Macs {
    /// Keeps off the addresses that were written.
    pub(super) fn new(draft: &Draft) -> Self {
        Self {
            taken: draft.ports().filter_map(|port| Some(draft.interface(port).mac.as_ref()?.value)).collect(),
        }
    }

    /// The address of an interface.
    pub(super) fn derive(&mut self, lab: &str, node: &str, interface: &str) -> Mac {
        for salt in 0u64.. {
            let mut hasher = SipHasher24::new_with_keys(0, salt);
            for part in [lab, node, interface] {
                hasher.write(part.as_bytes());
                // Names hold no NUL, so `ab` + `c` and `a` + `bc` differ.
                hasher.write_u8(0);
            }
            let hash = hasher.finish().to_be_bytes();
            let mac = Mac([2, hash[0], hash[1], hash[2], hash[3], hash[4]]);
            if self.taken.insert(mac) {
                return mac;
            }
        }
        unreachable!("2^64 salts for at most 2^40 addresses")
    }
}
