//! The primitives of pcap-filter(7): what `host`, `port` or `vlan` compare, octet by octet.
//!
//! Offsets are those of Ethernet with `tags` VLAN tags before the EtherType. No other file of the filter knows them.

use ipnet::{Ipv4Net, Ipv6Net};

use super::words::{Dir, Proto};
use rumpkern::filter::code::Rel;
use rumpkern::filter::code::{At, Node, Width};

pub(super) const ETHERTYPE_IP: u32 = 0x0800;
pub(super) const ETHERTYPE_ARP: u32 = 0x0806;
pub(super) const ETHERTYPE_RARP: u32 = 0x8035;
pub(super) const ETHERTYPE_IP6: u32 = 0x86dd;
/// Below and at this an EtherType is an IEEE 802.3 length, and the LLC address says what follows.
const MAX_802_3_LENGTH: u32 = 1500;
const IP6_HEADER: u32 = 40;
const IP6_FRAGMENT: u32 = 44;

/// Where the headers are: behind how many octets of VLAN tags.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    tags: u32,
}

impl Link {
    fn ethertype_at(self) -> u32 {
        12 + self.tags
    }

    fn net(self) -> u32 {
        14 + self.tags
    }

    /// The link within one more tag.
    pub(super) fn inside_tag(self) -> Link {
        Link { tags: self.tags + 4 }
    }

    /// `vlan [ID]`
    pub(super) fn vlan(self, id: Option<u32>) -> Node {
        let kinds = [0x8100, 0x88a8, 0x9100];
        let tagged = Node::Any(kinds.map(|kind| Node::octets(self.ethertype_at(), Width::Two, kind)).into());
        match id {
            None => tagged,
            Some(value) => tagged.and(Node::Octets {
                at: At::Frame(self.net()),
                width: Width::Two,
                mask: 0xfff,
                rel: Rel::Eq,
                value,
            }),
        }
    }

    /// `ether proto VALUE`: EtherType, or LLC destination in an IEEE 802.3 frame.
    pub(super) fn ethertype(self, value: u32) -> Node {
        if value > MAX_802_3_LENGTH {
            return Node::octets(self.ethertype_at(), Width::Two, value);
        }
        Node::Octets {
            at: At::Frame(self.ethertype_at()),
            width: Width::Two,
            mask: u32::MAX,
            rel: Rel::Le,
            value: MAX_802_3_LENGTH,
        }
        .and(Node::octets(self.net(), Width::One, value))
    }

    /// A protocol word alone.
    pub(super) fn protocol(self, proto: Proto) -> Node {
        match proto {
            Proto::Ether => Node::All(Vec::new()),
            Proto::Ip => self.ethertype(ETHERTYPE_IP),
            Proto::Ip6 => self.ethertype(ETHERTYPE_IP6),
            Proto::Arp => self.ethertype(ETHERTYPE_ARP),
            Proto::Rarp => self.ethertype(ETHERTYPE_RARP),
            Proto::Tcp
            | Proto::Udp
            | Proto::Sctp
            | Proto::Icmp
            | Proto::Icmp6
            | Proto::Igmp
            | Proto::Pim
            | Proto::Vrrp
            | Proto::Ah
            | Proto::Esp => self.ip_protocol(proto.version(), proto.ip_number().unwrap_or_default()),
        }
    }

    /// `[ip|ip6] proto NUMBER`; in IPv6 also behind one fragment header.
    pub(super) fn ip_protocol(self, version: Option<Proto>, number: u8) -> Node {
        let number = u32::from(number);
        let ip4 = || self.ethertype(ETHERTYPE_IP).and(Node::octets(self.net() + 9, Width::One, number));
        let ip6 = || {
            let next = |value| Node::octets(self.net() + 6, Width::One, value);
            let fragment = next(IP6_FRAGMENT).and(Node::octets(self.net() + IP6_HEADER, Width::One, number));
            self.ethertype(ETHERTYPE_IP6).and(next(number).or(fragment))
        };
        match version {
            Some(Proto::Ip6) => ip6(),
            Some(_) => ip4(),
            None => Node::Any(vec![ip4(), ip6()]),
        }
    }

    fn not_a_later_fragment(self) -> Node {
        Node::Octets {
            at: At::Frame(self.net() + 6),
            width: Width::Two,
            mask: 0x1fff,
            rel: Rel::Eq,
            value: 0,
        }
    }

    /// `[tcp|udp|sctp] [DIR] port LOW` or `portrange LOW-HIGH`.
    pub(super) fn ports(self, proto: Option<Proto>, dir: Dir, low: u16, high: u16) -> Node {
        let within = |at: At| {
            let compare = |rel, value| Node::Octets {
                at,
                width: Width::Two,
                mask: u32::MAX,
                rel,
                value: u32::from(value),
            };
            if low == high {
                compare(Rel::Eq, low)
            } else {
                compare(Rel::Ge, low).and(compare(Rel::Le, high))
            }
        };
        let net = self.net();
        let all = [Proto::Sctp, Proto::Tcp, Proto::Udp];
        let protos: Vec<u32> = match proto {
            Some(proto) => proto.ip_number().into_iter().map(u32::from).collect(),
            None => all.iter().filter_map(|proto| proto.ip_number()).map(u32::from).collect(),
        };
        let ip4 = protos.iter().map(|number| {
            Node::All(vec![
                Node::octets(net + 9, Width::One, *number),
                self.not_a_later_fragment(),
                dir.of(
                    within(At::Transport { ip: net, offset: 0 }),
                    within(At::Transport { ip: net, offset: 2 }),
                ),
            ])
        });
        let ip6 = protos.iter().map(|number| {
            Node::octets(net + 6, Width::One, *number)
                .and(dir.of(within(At::Frame(net + IP6_HEADER)), within(At::Frame(net + IP6_HEADER + 2))))
        });
        let ip4 = self.ethertype(ETHERTYPE_IP).and(Node::Any(ip4.collect()));
        let ip6 = self.ethertype(ETHERTYPE_IP6).and(Node::Any(ip6.collect()));
        Node::Any(vec![ip6, ip4])
    }

    /// `[ip|arp|rarp] [DIR] host ADDRESS` or `net`.
    pub(super) fn host4(self, proto: Option<Proto>, dir: Dir, net: Ipv4Net) -> Node {
        let compare = |offset: u32| Node::Octets {
            at: At::Frame(self.net() + offset),
            width: Width::Four,
            mask: u32::from(net.netmask()),
            rel: Rel::Eq,
            value: u32::from(net.network()),
        };
        let of = |kind: u32, src: u32, dst: u32| self.ethertype(kind).and(dir.of(compare(src), compare(dst)));
        let ip = || of(ETHERTYPE_IP, 12, 16);
        let arp = || of(ETHERTYPE_ARP, 14, 24);
        let rarp = || of(ETHERTYPE_RARP, 14, 24);
        match proto {
            Some(Proto::Arp) => arp(),
            Some(Proto::Rarp) => rarp(),
            Some(_) => ip(),
            None => Node::Any(vec![ip(), arp(), rarp()]),
        }
    }

    /// `[DIR] host ADDRESS6` or `net`.
    pub(super) fn host6(self, dir: Dir, net: Ipv6Net) -> Node {
        let (mask, value) = (u128::from(net.netmask()), u128::from(net.network()));
        let compare = |offset: u32| {
            let word = |n: u32| {
                let part = |whole: u128| (whole >> (96 - 32 * n)) as u32;
                let at = At::Frame(self.net() + offset + 4 * n);
                Node::Octets { at, width: Width::Four, mask: part(mask), rel: Rel::Eq, value: part(value) }
            };
            Node::All((0..4).map(word).collect())
        };
        self.ethertype(ETHERTYPE_IP6).and(dir.of(compare(8), compare(24)))
    }

    /// `ip multicast`
    pub(super) fn ip_multicast(self) -> Node {
        let at = At::Frame(self.net() + 16);
        self.ethertype(ETHERTYPE_IP).and(Node::Octets {
            at,
            width: Width::One,
            mask: u32::MAX,
            rel: Rel::Ge,
            value: 224,
        })
    }

    /// `ip6 multicast`
    pub(super) fn ip6_multicast(self) -> Node {
        self.ethertype(ETHERTYPE_IP6).and(Node::octets(self.net() + 24, Width::One, 0xff))
    }

    /// What must hold before `PROTO[…]` is loaded, and from where.
    pub(super) fn header(self, proto: Proto) -> (Vec<Node>, At) {
        let net = self.net();
        match proto {
            Proto::Ether => (Vec::new(), At::Frame(0)),
            Proto::Ip | Proto::Ip6 | Proto::Arp | Proto::Rarp => (vec![self.protocol(proto)], At::Frame(net)),
            Proto::Icmp6 => (
                vec![self.ethertype(ETHERTYPE_IP6), Node::octets(net + 6, Width::One, 58)],
                At::Frame(net + IP6_HEADER),
            ),
            Proto::Tcp
            | Proto::Udp
            | Proto::Sctp
            | Proto::Icmp
            | Proto::Igmp
            | Proto::Pim
            | Proto::Vrrp
            | Proto::Ah
            | Proto::Esp => (
                vec![self.ethertype(ETHERTYPE_IP), self.protocol(proto), self.not_a_later_fragment()],
                At::Transport { ip: net, offset: 0 },
            ),
        }
    }
}

/// The Ethernet address at `offset` is `mac`.
pub(super) fn ether_address(offset: u32, mac: [u8; 6]) -> Node {
    let [a, b, c, d, e, f] = mac;
    Node::octets(offset + 2, Width::Four, u32::from_be_bytes([c, d, e, f])).and(Node::octets(
        offset,
        Width::Two,
        u32::from(u16::from_be_bytes([a, b])),
    ))
}

/// `ether [DIR] host MAC`
pub(super) fn ether_host(mac: [u8; 6], dir: Dir) -> Node {
    dir.of(ether_address(6, mac), ether_address(0, mac))
}
