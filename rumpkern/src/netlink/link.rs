//! RTM_*LINK: interfaces.
//!
//! What an Ethernet interface of Linux without a driver's peculiarities says of itself. Interfaces come with the
//! topology: programs cannot make or take away any.

use super::Socket;
use super::message::{Answer, Payload, Refusal, Request, refusal};
use super::rtnl::{DELLINK, NEWLINK, Strictness, mac};
use crate::ifs::flags::{self, IFF_UP};
use crate::kernel::Kernel;
use crate::syscall::{Errno, ioctl_ifreq};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType,
    LinkMessage, LinkMode, LinkXdp, Map, State, Stats, Stats64, XdpAttached,
};
use netstack::Stack;
use netstack::net::ifnet::{IfError, Ifnet};
use netstack::net::{IfIndex, MacAddr};

/// Octets of a `struct ifinfomsg`.
const HEADER: usize = 16;
/// `IFF_LOWER_UP`
const LOWER_UP: u32 = 0x1_0000;
/// The least and the most that an interface carries (`IP_MIN_MTU`, an IP packet).
const MTU_MIN: u32 = 68;
const MTU_MAX: u32 = 65_535;
/// What a whole packet may be before it is cut (`GSO_MAX_SIZE`, `GSO_MAX_SEGS`, and those of TSO).
const GSO_SIZE: u32 = 65_536;
const GSO_SEGS: u32 = 65_535;
const TSO_SIZE: u32 = 524_280;
/// The qdisc of interfaces that need none.
pub(super) const QDISC: &str = "noqueue";

/// RTM_GETLINK for all.
pub(super) fn dump(kernel: &Kernel, request: &Request<'_>, strict: Strictness) -> Result<Answer, Refusal> {
    if strict == Strictness::Strict && request.body.len() < HEADER {
        return Ok(Answer::NoDump(refusal(Errno::EINVAL, "Invalid header for link dump request")));
    }
    let stack = kernel.stack.borrow();
    Ok(Answer::Dump(stack.interfaces().map(|ifnet| payload(&stack, ifnet)).collect()))
}

/// RTM_GETLINK for one, by index or name.
pub(super) fn get(kernel: &Kernel, request: &Request<'_>) -> Result<Answer, Refusal> {
    if request.body.len() < HEADER {
        return Err(refusal(Errno::EINVAL, "Invalid header for get link"));
    }
    let message: LinkMessage = request.parse()?;
    let stack = kernel.stack.borrow();
    let found = find(&stack, &message)?.and_then(|ifindex| stack.interface(ifindex));
    Ok(Answer::One(payload(&stack, found.ok_or(Errno::ENODEV)?)))
}

/// The interface that a request means. EINVAL: it names none.
fn find(stack: &Stack, message: &LinkMessage) -> Result<Option<IfIndex>, Refusal> {
    if message.header.index != 0 {
        return Ok(stack.interface(IfIndex(message.header.index)).map(|ifnet| ifnet.index));
    }
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        // IFLA_ALT_IFNAME, on its own or in a list: there are none, but a name may come as one.
        LinkAttribute::PropList(names) => names.iter().find_map(|prop| match prop {
            netlink_packet_route::link::Prop::AltIfName(name) => Some(name.as_str()),
            _ => None,
        }),
        _ => None,
    });
    name.map(|name| stack.if_by_name(name)).ok_or(Errno::EINVAL.into())
}

/// RTM_SETLINK, and RTM_NEWLINK for an interface that is there.
pub(super) fn set(kernel: &Kernel, socket: &Socket, request: &Request<'_>) -> Result<Answer, Refusal> {
    let message: LinkMessage = request.parse()?;
    let found = find(&kernel.stack.borrow(), &message);
    let kind = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().find_map(|info| match info {
            LinkInfo::Kind(kind) => Some(kind),
            _ => None,
        }),
        _ => None,
    });
    let creates = request.kind == NEWLINK && request.creates();
    let ifindex = match found {
        Ok(Some(_)) if creates && request.excludes() => return Err(Errno::EEXIST.into()),
        Ok(Some(_)) if kind.is_some() => return Err(Errno::EOPNOTSUPP.into()),
        Ok(Some(ifindex)) => ifindex,
        Ok(None) | Err(_) if creates => {
            let unknown = matches!(kind, Some(InfoKind::Other(_)) | None);
            let text = if unknown { "Unknown device type" } else { "links come with the topology" };
            return Err(refusal(Errno::EOPNOTSUPP, text));
        }
        Ok(None) => return Err(Errno::ENODEV.into()),
        // By this iproute2 finds out whether there is an RTM_NEWLINK at all: EINVAL would say no.
        Err(_) if request.kind == NEWLINK => return Err(Errno::ENODEV.into()),
        Err(why) => return Err(why),
    };
    let changes = changes(&kernel.stack.borrow(), ifindex, &message)?;
    kernel
        .netlink_change(request.by(socket), |stack, now| {
            changes.iter().try_for_each(|change| match change {
                Change::Mac(mac) => stack.if_set_mac(ifindex, *mac),
                Change::Mtu(mtu) => stack.if_set_mtu(ifindex, *mtu),
                Change::Name(name) => stack.if_set_name(ifindex, name),
                Change::Up(up) => stack.if_set_up(now, ifindex, *up),
            })
        })
        .map_err(refused)?;
    let name = changes.iter().find_map(|change| match change {
        Change::Name(name) => Some(name),
        Change::Mac(_) | Change::Mtu(_) | Change::Up(_) => None,
    });
    if let Some(name) = name {
        ioctl_ifreq::labels_follow(kernel, ifindex, name);
    }
    Ok(Answer::Done)
}

enum Change {
    Mac(MacAddr),
    Mtu(u32),
    Name(String),
    Up(bool),
}

/// What a request changes, in Linux's order. EOPNOTSUPP: something that cannot be changed here.
fn changes(stack: &Stack, ifindex: IfIndex, message: &LinkMessage) -> Result<Vec<Change>, Refusal> {
    let ifnet = stack.interface(ifindex).ok_or(Errno::ENODEV)?;
    let mut changes = Vec::new();
    for attribute in &message.attributes {
        let same = match attribute {
            LinkAttribute::Mtu(mtu) if *mtu != ifnet.mtu => {
                changes.push(Change::Mtu(*mtu));
                true
            }
            LinkAttribute::IfName(name) if *name != ifnet.name => {
                changes.push(Change::Name(name.clone()));
                true
            }
            LinkAttribute::Address(octets) if octets[..] != ifnet.mac.0 => {
                changes.push(Change::Mac(mac(octets)?));
                true
            }
            LinkAttribute::TxQueueLen(frames) => *frames == tx_queue(stack),
            LinkAttribute::Group(n) | LinkAttribute::Controller(n) => *n == 0,
            LinkAttribute::Carrier(carrier) => (*carrier != 0) == ifnet.carrier,
            LinkAttribute::IfAlias(alias) => alias.is_empty(),
            LinkAttribute::NetNsPid(_) | LinkAttribute::NetNsFd(_) => false,
            LinkAttribute::ProtoDown(down) => *down == 0,
            // What is told with a change rather than changed, and what has no meaning for such an interface.
            _ => true,
        };
        if !same {
            return Err(Errno::EOPNOTSUPP.into());
        }
    }
    // As Linux: without a mask the flags are all meant, if there are any.
    let (flags, mask) = (message.header.flags.bits(), message.header.change_mask.bits());
    if mask & IFF_UP != 0 || (mask == 0 && flags != 0) {
        changes.push(Change::Up(flags & IFF_UP != 0));
    }
    Ok(changes)
}

fn refused(error: IfError) -> Refusal {
    match error {
        IfError::BadMtu(..MTU_MIN) => refusal(Errno::EINVAL, "mtu less than device minimum"),
        IfError::BadMtu(_) => refusal(Errno::EINVAL, "mtu greater than device maximum"),
        IfError::Exists(_) | IfError::AddrExists(_) => Errno::EEXIST.into(),
        IfError::NoDevice(_) => Errno::ENODEV.into(),
        IfError::Loopback => Errno::EOPNOTSUPP.into(),
        IfError::BadName(_) | IfError::BadAddr(_) => Errno::EINVAL.into(),
        IfError::NoAddr(_) | IfError::BadMac(_) => Errno::EADDRNOTAVAIL.into(),
    }
}

/// RTM_DELLINK
pub(super) fn del(kernel: &Kernel, request: &Request<'_>) -> Result<Answer, Refusal> {
    let message: LinkMessage = request.parse()?;
    match find(&kernel.stack.borrow(), &message)? {
        Some(_) => Err(Errno::EOPNOTSUPP.into()),
        None => Err(Errno::ENODEV.into()),
    }
}

/// An interface as it is.
pub(super) fn payload(stack: &Stack, ifnet: &Ifnet) -> Payload {
    Payload::new(NEWLINK, &message(stack, ifnet))
}

/// An interface that is gone.
pub(super) fn gone(ifindex: IfIndex) -> Payload {
    let mut message = LinkMessage::default();
    message.header.index = ifindex.0;
    message.header.link_layer_type = LinkLayerType::Ether;
    Payload::new(DELLINK, &message)
}

fn message(stack: &Stack, ifnet: &Ifnet) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = ifnet.index.0;
    message.header.link_layer_type = LinkLayerType::from(flags::hardware(ifnet));
    message.header.flags = LinkFlags::from_bits_retain(flags(ifnet));
    let broadcast = if ifnet.loopback { [0; 6] } else { [0xff; 6] };
    message.attributes = vec![
        LinkAttribute::IfName(ifnet.name.clone()),
        LinkAttribute::TxQueueLen(tx_queue(stack)),
        LinkAttribute::OperState(operstate(ifnet)),
        LinkAttribute::Mode(LinkMode::Default),
        LinkAttribute::Mtu(ifnet.mtu),
        LinkAttribute::MinMtu(if ifnet.loopback { 0 } else { MTU_MIN }),
        LinkAttribute::MaxMtu(if ifnet.loopback { 0 } else { MTU_MAX }),
        LinkAttribute::Group(0),
        LinkAttribute::Promiscuity(ifnet.promiscuity()),
        LinkAttribute::AllMulticast(0),
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::GsoMaxSegs(GSO_SEGS),
        LinkAttribute::GsoMaxSize(GSO_SIZE),
        LinkAttribute::GroMaxSize(GSO_SIZE),
        LinkAttribute::GsoIpv4MaxSize(GSO_SIZE),
        LinkAttribute::GroIpv4MaxSize(GSO_SIZE),
        LinkAttribute::TsoMaxSize(TSO_SIZE),
        LinkAttribute::TsoMaxSegs(GSO_SEGS),
        LinkAttribute::NumRxQueues(1),
        LinkAttribute::Carrier(u8::from(ifnet.carrier)),
        LinkAttribute::ProtoDown(0),
        LinkAttribute::Address(ifnet.mac.0.to_vec()),
        LinkAttribute::Broadcast(broadcast.to_vec()),
        LinkAttribute::Stats64(stats64(ifnet)),
        LinkAttribute::Stats(stats(ifnet)),
        LinkAttribute::Xdp(vec![LinkXdp::Attached(XdpAttached::None)]),
        LinkAttribute::Qdisc(QDISC.to_owned()),
        LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet(vec![AfSpecInet::DevConf(devconf(stack))])]),
        LinkAttribute::Map(Map::default()),
    ];
    message
}

/// `ifi_flags`: those of ioctls, and that the wire is there.
fn flags(ifnet: &Ifnet) -> u32 {
    flags::of(ifnet) | if ifnet.usable() { LOWER_UP } else { 0 }
}

/// `txqueuelen`: one length for all, the stack's.
fn tx_queue(stack: &Stack) -> u32 {
    u32::try_from(stack.config().tx_queue).unwrap_or(u32::MAX)
}

/// RFC 2863's ifOperStatus; the loopback has none.
fn operstate(ifnet: &Ifnet) -> State {
    match ifnet.usable() {
        true if ifnet.loopback => State::Unknown,
        true => State::Up,
        false => State::Down,
    }
}

fn stats64(ifnet: &Ifnet) -> Stats64 {
    let counters = &ifnet.counters;
    let mut stats = Stats64::default();
    (stats.rx_packets, stats.tx_packets) = (counters.in_packets, counters.out_packets);
    (stats.rx_bytes, stats.tx_bytes) = (counters.in_octets, counters.out_octets);
    (stats.rx_dropped, stats.tx_dropped) = (counters.in_discards, counters.out_discards);
    stats.multicast = counters.in_multicast;
    stats
}

/// The same in 32 bits, which wrap.
fn stats(ifnet: &Ifnet) -> Stats {
    let counters = &ifnet.counters;
    let mut stats = Stats::default();
    (stats.rx_packets, stats.tx_packets) = (counters.in_packets as u32, counters.out_packets as u32);
    (stats.rx_bytes, stats.tx_bytes) = (counters.in_octets as u32, counters.out_octets as u32);
    (stats.rx_dropped, stats.tx_dropped) = (counters.in_discards as u32, counters.out_discards as u32);
    stats.multicast = counters.in_multicast as u32;
    stats
}

/// `net.ipv4.conf.*` as it would be on a Linux that does what this stack does.
fn devconf(stack: &Stack) -> InetDevConf {
    let mut conf = InetDevConf::default();
    conf.forwarding = i32::from(stack.forwarding());
    (conf.accept_redirects, conf.secure_redirects, conf.send_redirects) = (1, 1, 1);
    conf.shared_media = 1;
    conf.promote_secondaries = 1;
    (conf.igmpv2_unsolicited_report_interval, conf.igmpv3_unsolicited_report_interval) = (10_000, 1000);
    conf.arp_evict_nocarrier = 1;
    conf
}
