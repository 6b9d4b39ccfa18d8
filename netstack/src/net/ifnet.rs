//! Interfaces: name, link address, state, addresses, groups, transmit queue, counters.

use super::mbuf::Mbuf;
use super::multicast::{GroupInfo, Groups, Version};
use super::{IfIndex, MacAddr};
use crate::netinet6::in6_ifaddr::In6;
use crate::socket::{Family, PacketType};
use crate::stack::config::GroupConfig;
use crate::time::Instant;
use crate::wire::{ipv6, scope6};
use ipnet::IpNet;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an interface is attached with.
#[derive(Clone, Debug)]
pub struct IfConfig {
    /// Its name, 1 to 15 octets as on Linux.
    pub name: String,
    /// Its link address: unicast.
    pub mac: MacAddr,
    /// Octets of the largest IP packet it carries, 68 to 65535.
    pub mtu: u32,
}

/// Why an interface could not be attached or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IfError {
    /// Empty, longer than 15 octets, or with a slash or blank in it.
    #[error("bad interface name {0:?}")]
    BadName(String),
    /// The name is taken.
    #[error("interface {0:?} exists")]
    Exists(String),
    /// A group's address, or zero.
    #[error("bad link address {0}")]
    BadMac(MacAddr),
    /// Outside 68 to 65535.
    #[error("bad mtu {0}")]
    BadMtu(u32),
    /// No such interface.
    #[error("no interface with index {}", .0.0)]
    NoDevice(IfIndex),
    /// Not possible for the loopback interface.
    #[error("not possible for the loopback interface")]
    Loopback,
    /// The interface has that address.
    #[error("address {0} is on the interface")]
    AddrExists(IpNet),
    /// The interface has no such address.
    #[error("address {0} is not on the interface")]
    NoAddr(IpNet),
    /// Unspecified, a group's or broadcast.
    #[error("{0} is no address for an interface")]
    BadAddr(IpNet),
}

/// Counters of an interface (RFC 2863's ifTable).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IfCounters {
    /// Frames in.
    pub in_packets: u64,
    /// Octets in, Ethernet header included.
    pub in_octets: u64,
    /// Frames to a group or to all, in.
    pub in_multicast: u64,
    /// Frames out.
    pub out_packets: u64,
    /// Octets out, Ethernet header included.
    pub out_octets: u64,
    /// Frames dropped on the way in.
    pub in_discards: u64,
    /// Frames dropped because the transmit queue was full or the interface down.
    pub out_discards: u64,
}

impl IfCounters {
    /// The counters as (name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("ifInPackets", self.in_packets),
            ("ifInOctets", self.in_octets),
            ("ifInMulticastPkts", self.in_multicast),
            ("ifOutPackets", self.out_packets),
            ("ifOutOctets", self.out_octets),
            ("ifInDiscards", self.in_discards),
            ("ifOutDiscards", self.out_discards),
        ]
        .into_iter()
    }
}

/// Which frames an interface wants of its wire. The driver tells the bus whenever `generation` changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RxFilter {
    /// All frames (a promiscuous packet socket).
    pub promiscuous: bool,
    /// All frames to groups.
    pub all_multicast: bool,
    /// Groups wanted besides the own address and broadcast, ascending.
    pub multicast: Vec<MacAddr>,
    /// Changes when the filter does.
    pub generation: u64,
}

/// An interface.
#[derive(Debug)]
pub struct Ifnet {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Its link address.
    pub mac: MacAddr,
    /// Octets of the largest IP packet.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// The wire is there.
    pub carrier: bool,
    /// Whether it is `lo`.
    pub loopback: bool,
    /// What it counted.
    pub counters: IfCounters,
    pub(crate) addrs: Vec<IpNet>,
    /// What IPv6 knows of it.
    pub(crate) in6: In6,
    pub(crate) groups: Groups,
    /// Packet sockets that want every frame.
    pub(crate) promiscuous: u32,
    /// Packet sockets that want every frame to a group.
    pub(crate) all_multicast: u32,
    /// Groups that packet sockets want, and how many do.
    pub(crate) link_groups: BTreeMap<MacAddr, u32>,
    pub(crate) filter_generation: u64,
    /// Its driver takes packets whose checksum and segmentation are left undone.
    pub(crate) offload: bool,
    /// Frames that wait for the driver.
    pub(crate) tx: TxQueue,
}

impl Ifnet {
    pub(crate) fn new(index: IfIndex, config: IfConfig) -> Ifnet {
        Ifnet {
            index,
            name: config.name,
            mac: config.mac,
            mtu: config.mtu,
            up: false,
            carrier: true,
            loopback: false,
            counters: IfCounters::default(),
            addrs: Vec::new(),
            in6: In6::default(),
            groups: Groups::default(),
            promiscuous: 0,
            all_multicast: 0,
            link_groups: BTreeMap::new(),
            filter_generation: 1,
            offload: false,
            tx: TxQueue::default(),
        }
    }

    /// Addresses with their prefix lengths, in the order in which they were added.
    pub fn addrs(&self) -> &[IpNet] {
        &self.addrs
    }

    /// Groups joined.
    pub fn groups(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.iter()
    }

    /// Groups of a family with what is known of each.
    pub fn memberships(&self, family: Family) -> impl Iterator<Item = GroupInfo> + '_ {
        self.groups.link(family).memberships()
    }

    /// Which version of IGMP or MLD is spoken at `now`.
    pub fn group_version(&self, family: Family, now: Instant, config: &GroupConfig) -> Version {
        self.groups.link(family).version(now, config)
    }

    /// Frames that wait for the driver.
    pub fn tx_queued(&self) -> usize {
        self.tx.len()
    }

    /// Packet sockets that want every frame.
    pub fn promiscuity(&self) -> u32 {
        self.promiscuous
    }

    /// Up, and with a wire.
    pub fn usable(&self) -> bool {
        self.up && self.carrier
    }

    /// The IPv4 addresses.
    pub(crate) fn addrs4(&self) -> impl Iterator<Item = ipnet::Ipv4Net> + '_ {
        self.addrs.iter().filter_map(|a| match a {
            IpNet::V4(n) => Some(*n),
            IpNet::V6(_) => None,
        })
    }

    /// Whether `addr` is one of its addresses.
    pub(crate) fn has_addr(&self, addr: Ipv4Addr) -> bool {
        self.addrs4().any(|n| n.addr() == addr)
    }

    /// The own address best suited to talk to `peer`: one of its subnet, else the first.
    pub(crate) fn source_for(&self, peer: Ipv4Addr) -> Option<Ipv4Addr> {
        let on_link = self.addrs4().find(|n| n.contains(&peer));
        on_link.or_else(|| self.addrs4().next()).map(|n| n.addr())
    }

    /// The IPv6 addresses, as they stand on the wire.
    pub(crate) fn addrs6(&self) -> impl Iterator<Item = ipnet::Ipv6Net> + '_ {
        self.addrs.iter().filter_map(|a| match a {
            IpNet::V4(_) => None,
            IpNet::V6(n) => Some(*n),
        })
    }

    /// Whether packets to its address `addr` are ours: DAD has nothing against it.
    pub(crate) fn is_assigned(&self, addr: IpAddr) -> bool {
        match addr {
            IpAddr::V4(_) => true,
            IpAddr::V6(a) => self.in6.addrs.get(&a).is_some_and(|known| known.state.is_assigned()),
        }
    }

    /// Groups that it is in without having joined them.
    fn implied_groups(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let v6 = [ipv6::ALL_NODES, ALL_NODES_OF_INTERFACE].into_iter().filter(|_| self.in6.enabled);
        core::iter::once(IpAddr::V4(ALL_SYSTEMS)).chain(v6.map(IpAddr::V6))
    }

    pub(crate) fn wants_group(&self, group: IpAddr) -> bool {
        self.groups.contains(group) || self.implied_groups().any(|g| g == group)
    }

    /// Whether it wants what `source` sends to `group`: RFC 3376 §3.2, RFC 3810 §4.2.
    pub(crate) fn wants_source(&self, group: IpAddr, source: IpAddr) -> bool {
        self.groups.wants(group, scope6::clear_ip(source)) || self.implied_groups().any(|g| g == group)
    }

    pub(crate) fn wants_group_mac(&self, mac: MacAddr) -> bool {
        self.implied_groups().chain(self.groups()).any(|g| multicast_mac(g) == mac)
    }

    /// Whether packet sockets are to hear a frame that came in.
    pub(crate) fn hears(&self, dst: MacAddr, kind: PacketType) -> bool {
        self.promiscuous > 0
            || match kind {
                PacketType::Host | PacketType::Broadcast | PacketType::Outgoing => true,
                PacketType::Multicast => {
                    self.all_multicast > 0 || self.link_groups.contains_key(&dst) || self.wants_group_mac(dst)
                }
                PacketType::OtherHost => self.loopback,
            }
    }

    /// Which frames it wants of its wire.
    pub fn rx_filter(&self) -> RxFilter {
        let groups = self.implied_groups().chain(self.groups());
        let mut multicast: Vec<MacAddr> = groups.map(multicast_mac).collect();
        multicast.extend(self.link_groups.keys());
        multicast.sort_unstable();
        multicast.dedup();
        RxFilter {
            promiscuous: self.promiscuous > 0,
            all_multicast: self.all_multicast > 0,
            multicast,
            generation: self.filter_generation,
        }
    }
}

/// Frames that wait for the driver, and what they weigh.
#[derive(Debug, Default)]
pub(crate) struct TxQueue {
    frames: VecDeque<Mbuf>,
    octets: usize,
}

impl TxQueue {
    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn push(&mut self, m: Mbuf) {
        self.octets += m.len();
        self.frames.push_back(m);
    }

    pub(crate) fn pop(&mut self) -> Option<Mbuf> {
        let m = self.frames.pop_front()?;
        self.octets -= m.len();
        Some(m)
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Mbuf> + '_ {
        self.octets = 0;
        self.frames.drain(..)
    }

    /// Full frames that it takes before it holds `mark` frames, or as many octets as they have.
    pub(crate) fn room(&self, mark: usize, mtu: u32) -> usize {
        let octets = (mark * mtu as usize).saturating_sub(self.octets);
        mark.saturating_sub(self.frames.len()).min(octets.div_ceil(mtu.max(1) as usize))
    }
}

/// The group that every host is in (RFC 1112 §4).
pub const ALL_SYSTEMS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// The group of all nodes within one interface (RFC 4291 §2.7.1).
const ALL_NODES_OF_INTERFACE: Ipv6Addr = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1);

/// The link address of a group: RFC 1112 §6.4, RFC 2464 §7.
pub fn multicast_mac(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(g) => {
            let [_, b, c, d] = g.octets();
            MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(g) => {
            let [.., a, b, c, d] = g.octets();
            MacAddr([0x33, 0x33, a, b, c, d])
        }
    }
}

/// All interfaces of a stack, by index.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    /// Index 0 is nobody.
    slots: Vec<Option<Ifnet>>,
}

impl Interfaces {
    /// Adds an interface under the next number.
    pub(crate) fn attach(&mut self, config: IfConfig) -> Result<IfIndex, IfError> {
        self.check_name(&config.name)?;
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        let index = IfIndex(self.slots.len() as u32);
        self.slots.push(Some(Ifnet::new(index, config)));
        Ok(index)
    }

    /// Gives an interface another name; whether it is another.
    pub(crate) fn rename(&mut self, ifindex: IfIndex, name: &str) -> Result<bool, IfError> {
        if self.get(ifindex).is_some_and(|i| i.name == name) {
            return Ok(false);
        }
        self.check_name(name)?;
        self.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?.name = name.to_owned();
        Ok(true)
    }

    fn check_name(&self, name: &str) -> Result<(), IfError> {
        let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > 15 || name == "." || name == ".." || name.contains(odd) {
            return Err(IfError::BadName(name.to_owned()));
        }
        if self.iter().any(|i| i.name == name) {
            return Err(IfError::Exists(name.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn detach(&mut self, ifindex: IfIndex) -> Option<Ifnet> {
        self.slots.get_mut(ifindex.0 as usize)?.take()
    }

    pub(crate) fn get(&self, ifindex: IfIndex) -> Option<&Ifnet> {
        self.slots.get(ifindex.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, ifindex: IfIndex) -> Option<&mut Ifnet> {
        self.slots.get_mut(ifindex.0 as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ifnet> {
        self.slots.iter().flatten()
    }

    /// The interface on whose subnet `addr` is, longest prefix first.
    pub(crate) fn on_link(&self, addr: IpAddr) -> Option<&Ifnet> {
        let matching = |i: &Ifnet| {
            let best = i.addrs.iter().filter(|n| n.contains(&addr)).map(|n| n.prefix_len()).max();
            best.filter(|_| !i.loopback)
        };
        self.iter()
            .filter_map(|i| Some((matching(i)?, i)))
            .max_by_key(|(len, i)| (*len, core::cmp::Reverse(i.index)))
            .map(|(_, i)| i)
    }
}
