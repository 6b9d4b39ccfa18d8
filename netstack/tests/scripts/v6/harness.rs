//! Scripts of IPv6: hosts and routers, frames built and described. Headers and checksums are
//! etherparse's; chains, options and messages are written and read here, octet by octet.

use crate::harness::{Script, own_mac, peer_mac};
use etherparse::{Icmpv6Header, Icmpv6Slice, Icmpv6Type, Ipv6Header, UdpHeader};
use netstack::net::MacAddr;
use netstack::net::ifnet::{IfConfig, multicast_mac};
use netstack::netinet6::in6_ifaddr::{AcceptRa, AddrState, Dad, Ipv6Config};
use netstack::stack::{Stack, StackConfig};
use netstack::time::{Duration, Instant};
use std::net::{IpAddr, Ipv6Addr};

/// The link-local address of the stack's first interface.
pub(crate) const OWN: &str = "fe80::ff:fe00:1";
/// The link-local address of the neighbour whose link address ends in 1.
pub(crate) const PEER: &str = "fe80::ff:fe00:101";
pub(crate) const PEER2: &str = "fe80::ff:fe00:102";

/// An interface that speaks IPv6, and does not try its addresses.
pub(crate) fn plain6() -> Ipv6Config {
    Ipv6Config { enabled: true, dad: Dad::Off, ..Ipv6Config::default() }
}

/// The same, and it believes routers.
pub(crate) fn slaac6() -> Ipv6Config {
    Ipv6Config { accept_ra: AcceptRa::Host, autoconf: true, ..plain6() }
}

pub(crate) fn ip6(addr: &str) -> Ipv6Addr {
    addr.parse().unwrap()
}

impl Script {
    /// A stack with one interface of this kind for each of `addrs`; `""`: only its link-local address.
    pub(crate) fn new6(config: StackConfig, six: Ipv6Config, addrs: &[&str]) -> Script {
        let mut s =
            Script { stack: Stack::new(config, [1; 32]), now: Instant::from_millis(1000), ifs: vec![] };
        for (n, addr) in addrs.iter().enumerate() {
            let config = IfConfig { name: format!("eth{n}"), mac: own_mac(n as u8 + 1), mtu: 1500 };
            let ifindex = s.stack.if_attach(config).unwrap();
            s.stack.if_set_up(s.now, ifindex, true).unwrap();
            s.stack.if_set_ipv6(s.now, ifindex, six).unwrap();
            if !addr.is_empty() {
                s.stack.addr_add(s.now, ifindex, addr.parse().unwrap()).unwrap();
            }
            s.ifs.push(ifindex);
        }
        while s.stack.poll_event().is_some() {}
        s
    }

    /// A host, 2001:db8::1/64.
    pub(crate) fn host6() -> Script {
        Script::new6(StackConfig::default(), plain6(), &["2001:db8::1/64"])
    }

    /// A router, 2001:db8::1/64 and 2001:db8:1::1/64.
    pub(crate) fn router6() -> Script {
        let config = StackConfig { forwarding: true, ..StackConfig::default() };
        Script::new6(config, plain6(), &["2001:db8::1/64", "2001:db8:1::1/64"])
    }

    /// A host that has only its link-local address and believes routers.
    pub(crate) fn listener6() -> Script {
        Script::new6(StackConfig::default(), slaac6(), &[""])
    }

    /// A permanent neighbour on interface `n`; its link address ends as its address.
    pub(crate) fn neighbour6(&mut self, n: usize, addr: &str) {
        let addr = ip6(addr);
        self.stack.neigh_add(self.now, self.ifs[n], IpAddr::V6(addr), mac_of(addr)).unwrap();
    }

    /// Frames that wait on interface `n`, as text, without what is said of groups.
    pub(crate) fn sent6(&mut self, n: usize) -> Vec<String> {
        self.sent(n).into_iter().filter(|line| !line.contains(" mld ")).collect()
    }

    #[track_caller]
    pub(crate) fn expect6(&mut self, n: usize, expected: &[&str]) {
        let seen = self.sent6(n);
        let whole =
            format!("frames on interface {n} at {:?}:\nexpected {expected:#?}\nseen {seen:#?}", self.now);
        assert!(seen == expected, "{whole}");
    }

    /// A frame comes in by the first interface, and is answered so.
    #[track_caller]
    pub(crate) fn answers(&mut self, frame: &[u8], expected: &[&str]) {
        self.input(0, frame);
        self.expect6(0, expected);
    }

    /// Addresses of interface `n` that are not link-local, with their states.
    pub(crate) fn addrs6(&self, n: usize) -> Vec<String> {
        let addrs = self.stack.interface(self.ifs[n]).unwrap().addrs().iter();
        let addrs = addrs.filter_map(|a| match a.addr() {
            IpAddr::V6(a) if !a.is_unicast_link_local() => Some(a),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        });
        addrs.map(|a| format!("{a} {:?}", self.state6(n, &a.to_string()))).collect()
    }

    pub(crate) fn state6(&self, n: usize, addr: &str) -> AddrState {
        self.stack.addr6(self.ifs[n], ip6(addr)).unwrap().state
    }

    /// Routes of IPv6 that routers told, as `ip -6 route` shows them.
    pub(crate) fn routes6(&self) -> Vec<String> {
        let of_ra = |r: &&netstack::net::route::Route| {
            r.to.addr().is_ipv6() && r.src.is_none() && r.proto != netstack::net::route::RouteProto::Static
        };
        let line = |r: &netstack::net::route::Route| {
            let via = r.via.map_or(String::new(), |v| format!(" via {v}"));
            format!("{}{via} metric {}", r.to, r.metric)
        };
        self.stack.routes().filter(of_ra).map(line).collect()
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }
}

/// The link address of a neighbour: its last octet is that of its address.
pub(crate) fn mac_of(addr: Ipv6Addr) -> MacAddr {
    if addr.is_multicast() { multicast_mac(IpAddr::V6(addr)) } else { peer_mac(addr.octets()[15]) }
}

/// A packet to be built, and the frame around it.
#[derive(Clone)]
pub(crate) struct Ip6 {
    pub(crate) macs: (MacAddr, MacAddr),
    pub(crate) src: Ipv6Addr,
    pub(crate) dst: Ipv6Addr,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    /// Extension headers: type, and octets of which the first is filled in.
    chain: Vec<(u8, Vec<u8>)>,
}

/// A packet from a neighbour, to the stack's first interface unless the destination is a group.
pub(crate) fn from6(src: &str, dst: &str) -> Ip6 {
    let (src, dst) = (ip6(src), ip6(dst));
    let to = if dst.is_multicast() { mac_of(dst) } else { own_mac(1) };
    Ip6 { macs: (mac_of(src), to), src, dst, hop_limit: 64, traffic_class: 0, chain: Vec::new() }
}

/// The same as neighbour discovery has it.
pub(crate) fn nd6(src: &str, dst: &str) -> Ip6 {
    from6(src, dst).hops(255)
}

impl Ip6 {
    pub(crate) fn hops(self, hop_limit: u8) -> Ip6 {
        Ip6 { hop_limit, ..self }
    }

    pub(crate) fn class(self, traffic_class: u8) -> Ip6 {
        Ip6 { traffic_class, ..self }
    }

    pub(crate) fn at_mac(self, mac: MacAddr) -> Ip6 {
        Ip6 { macs: (self.macs.0, mac), ..self }
    }

    /// An extension header, of `octets` behind type and length; padded to a multiple of eight.
    pub(crate) fn ext(mut self, kind: u8, octets: &[u8]) -> Ip6 {
        let mut header = [&[0, 0], octets].concat();
        header.resize(header.len().next_multiple_of(8), 0);
        header[1] = (header.len() / 8 - 1) as u8;
        self.chain.push((kind, header));
        self
    }

    /// A fragment header.
    pub(crate) fn frag(mut self, id: u32, offset: u16, more: bool) -> Ip6 {
        let mut header = vec![0, 0];
        header.extend((offset | u16::from(more)).to_be_bytes());
        header.extend(id.to_be_bytes());
        self.chain.push((44, header));
        self
    }

    /// The packet with this payload.
    pub(crate) fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let kinds = self.chain.iter().map(|c| c.0).chain([protocol]);
        let nexts: Vec<u8> = kinds.collect();
        let mut octets = Vec::new();
        for (i, (_, header)) in self.chain.iter().enumerate() {
            octets.push(nexts[i + 1]);
            octets.extend(&header[1..]);
        }
        octets.extend(payload);
        let header = Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Default::default(),
            payload_length: octets.len() as u16,
            next_header: nexts[0].into(),
            hop_limit: self.hop_limit,
            source: self.src.octets(),
            destination: self.dst.octets(),
        };
        [&header.to_bytes()[..], &octets].concat()
    }

    /// The frame with this payload.
    pub(crate) fn raw(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        [&self.macs.1.0[..], &self.macs.0.0, &[0x86, 0xdd], &self.packet(protocol, payload)].concat()
    }

    pub(crate) fn udp_octets(&self, src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
        let mut h =
            UdpHeader { source_port: src, destination_port: dst, length: 8 + data.len() as u16, checksum: 0 };
        h.checksum = h.calc_checksum_ipv6_raw(self.src.octets(), self.dst.octets(), data).unwrap();
        [&h.to_bytes()[..], data].concat()
    }

    pub(crate) fn udp(&self, src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
        self.raw(17, &self.udp_octets(src, dst, data))
    }

    /// An ICMPv6 message, its checksum filled in.
    pub(crate) fn icmp_octets(&self, ty: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
        let kind = Icmpv6Type::Unknown { type_u8: ty, code_u8: code, bytes5to8: rest };
        let header = Icmpv6Header::with_checksum(kind, self.src.octets(), self.dst.octets(), body).unwrap();
        [&header.to_bytes()[..8], body].concat()
    }

    pub(crate) fn icmp(&self, ty: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
        self.raw(58, &self.icmp_octets(ty, code, rest, body))
    }

    pub(crate) fn echo(&self, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
        let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
        self.icmp(128, 0, [a, b, c, d], data)
    }

    /// A router solicitation with these options.
    pub(crate) fn rs(&self, options: &[Vec<u8>]) -> Vec<u8> {
        self.icmp(133, 0, [0; 4], &options.concat())
    }

    /// A router advertisement.
    pub(crate) fn ra(&self, ra: Ra, options: &[Vec<u8>]) -> Vec<u8> {
        let [a, b] = ra.lifetime.to_be_bytes();
        let times = [ra.reachable_ms.to_be_bytes(), ra.retrans_ms.to_be_bytes()].concat();
        self.icmp(134, ra.code, [ra.hop_limit, ra.flags, a, b], &[times, options.concat()].concat())
    }

    /// A neighbour solicitation.
    pub(crate) fn ns(&self, target: &str, options: &[Vec<u8>]) -> Vec<u8> {
        self.icmp(135, 0, [0; 4], &[&ip6(target).octets()[..], &options.concat()].concat())
    }

    /// A neighbour advertisement; flags of `rso`.
    pub(crate) fn na(&self, flags: &str, target: &str, options: &[Vec<u8>]) -> Vec<u8> {
        let bit = |c: char, bit: u8| if flags.contains(c) { bit } else { 0 };
        let flags = bit('r', 0x80) | bit('s', 0x40) | bit('o', 0x20);
        self.icmp(136, 0, [flags, 0, 0, 0], &[&ip6(target).octets()[..], &options.concat()].concat())
    }

    /// A redirect.
    pub(crate) fn redirect(&self, target: &str, dst: &str, options: &[Vec<u8>]) -> Vec<u8> {
        let addrs = [ip6(target).octets(), ip6(dst).octets()].concat();
        self.icmp(137, 0, [0; 4], &[addrs, options.concat()].concat())
    }

    /// An ICMPv6 error with this rest about a packet of ours.
    pub(crate) fn error(&self, ty: u8, code: u8, rest: u32, about: &[u8]) -> Vec<u8> {
        self.icmp(ty, code, rest.to_be_bytes(), about)
    }
}

/// What a router advertisement says of itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ra {
    pub(crate) code: u8,
    pub(crate) hop_limit: u8,
    pub(crate) flags: u8,
    pub(crate) lifetime: u16,
    pub(crate) reachable_ms: u32,
    pub(crate) retrans_ms: u32,
}

/// One of a default router for so many seconds.
pub(crate) fn ra(lifetime: u16) -> Ra {
    Ra { lifetime, ..Ra::default() }
}

/// The source's link address.
pub(crate) fn sll(mac: MacAddr) -> Vec<u8> {
    [&[1, 1], &mac.0[..]].concat()
}

/// The target's link address.
pub(crate) fn tll(mac: MacAddr) -> Vec<u8> {
    [&[2, 1], &mac.0[..]].concat()
}

/// A prefix with flags of `la`.
pub(crate) fn pio(prefix: &str, flags: &str, valid: u32, preferred: u32) -> Vec<u8> {
    let (addr, len) = prefix.split_once('/').unwrap();
    let bit = |c: char, bit: u8| if flags.contains(c) { bit } else { 0 };
    let mut o = vec![3, 4, len.parse().unwrap(), bit('l', 0x80) | bit('a', 0x40)];
    o.extend([valid.to_be_bytes(), preferred.to_be_bytes(), [0; 4]].concat());
    o.extend(ip6(addr).octets());
    o
}

pub(crate) fn mtu(mtu: u32) -> Vec<u8> {
    [&[5, 1, 0, 0], &mtu.to_be_bytes()[..]].concat()
}

/// A route with the bits of its preference.
pub(crate) fn rio(prefix: &str, preference: u8, lifetime: u32) -> Vec<u8> {
    let (addr, len) = prefix.split_once('/').unwrap();
    let mut o = vec![24, 3, len.parse().unwrap(), preference << 3];
    o.extend(lifetime.to_be_bytes());
    o.extend(ip6(addr).octets());
    o
}

pub(crate) fn rdnss(lifetime: u32, servers: &[&str]) -> Vec<u8> {
    let mut o = vec![25, 1 + 2 * servers.len() as u8, 0, 0];
    o.extend(lifetime.to_be_bytes());
    servers.iter().for_each(|s| o.extend(ip6(s).octets()));
    o
}

/// A frame of IPv6 as one line.
pub(crate) fn describe6(packet: &[u8]) -> String {
    let Ok((h, payload)) = Ipv6Header::from_slice(packet) else { return "malformed".into() };
    let (src, dst) = (Ipv6Addr::from(h.source), Ipv6Addr::from(h.destination));
    let mut s = String::new();
    if h.payload_length as usize != payload.len() {
        s += " BAD LENGTH";
    }
    let (mut kind, mut rest) = (h.next_header.0, payload);
    let mut whole = true;
    while let 0 | 43 | 44 | 60 = kind {
        let len = if kind == 44 { 8 } else { 8 + 8 * usize::from(rest[1]) };
        match kind {
            0 => s += " hbh",
            43 => s += " rh",
            60 => s += " dst",
            _ => {
                let field = u16::from_be_bytes([rest[2], rest[3]]);
                let more = if field & 1 == 1 { "+" } else { "" };
                s += &format!(" frag {}:{}{more}", field & !7, rest.len() - 8);
                whole = field & !6 == 0;
            }
        }
        kind = rest[0];
        rest = &rest[len..];
    }
    let nd = kind == 58 && whole && (133..=137).contains(&rest[0]);
    let usual = if nd { 255 } else { 64 };
    if h.hop_limit != usual && !(kind == 58 && h.hop_limit == 1) {
        s += &format!(" hop {}", h.hop_limit);
    }
    if h.traffic_class != 0 {
        s += &format!(" class {}", h.traffic_class);
    }
    let what = match kind {
        _ if !whole => String::new(),
        58 => describe_icmp6(rest, (h.source, h.destination)),
        17 => {
            let (u, data) = UdpHeader::from_slice(rest).unwrap();
            let sum = u.calc_checksum_ipv6_raw(h.source, h.destination, data).unwrap();
            let bad = if sum == u.checksum { "" } else { " BAD CHECKSUM" };
            format!(" udp {} > {} len {}{bad}", u.source_port, u.destination_port, data.len())
        }
        other => format!(" proto {other} len {}", rest.len()),
    };
    format!("{src} > {dst}{s}{what}")
}

fn addr_at(b: &[u8], at: usize) -> Ipv6Addr {
    <[u8; 16]>::try_from(&b[at..at + 16]).unwrap().into()
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(b[at..at + 4].try_into().unwrap())
}

fn describe_icmp6(b: &[u8], (src, dst): ([u8; 16], [u8; 16])) -> String {
    let mut s = match Icmpv6Slice::from_slice(b) {
        Ok(slice) if slice.is_checksum_valid(src, dst) => String::new(),
        Ok(_) => " BAD CHECKSUM".into(),
        Err(e) => format!(" malformed: {e}"),
    };
    let (code, id, seq) = (b[1], u16::from_be_bytes([b[4], b[5]]), u16::from_be_bytes([b[6], b[7]]));
    let about = |what: String| {
        let dst = b.get(32..48).map_or("?".into(), |_| addr_at(b, 32).to_string());
        format!(" {what} about {dst} quoting {}", b.len() - 8)
    };
    s += &match b[0] {
        1 => about(format!("unreachable {code}")),
        2 => about(format!("too-big mtu {}", be32(b, 4))),
        3 => about(format!("time-exceeded {code}")),
        4 => about(format!("problem {code} at {}", be32(b, 4))),
        128 => format!(" echo {id}.{seq} len {}", b.len() - 8),
        129 => format!(" reply {id}.{seq} len {}", b.len() - 8),
        130..=132 | 143 => " mld ".into(),
        133 => format!(" rs{}", nd_options(&b[8..])),
        134 => {
            let flag = |bit: u8, name: &str| if b[5] & bit != 0 { name.to_owned() } else { String::new() };
            let (m, o) = (flag(0x80, " managed"), flag(0x40, " other"));
            let preference = ["", " high", " reserved", " low"][usize::from(b[5] >> 3 & 3)];
            let times = match (be32(b, 8), be32(b, 12)) {
                (0, 0) => String::new(),
                (reachable, retrans) => format!(" times {reachable} {retrans}"),
            };
            format!(" ra hops {} life {seq}{m}{o}{preference}{times}{}", b[4], nd_options(&b[16..]))
        }
        135 => format!(" ns {}{}", addr_at(b, 8), nd_options(&b[24..])),
        136 => {
            let flag = |bit: u8, name: char| if b[4] & bit != 0 { name } else { '-' };
            let flags = [flag(0x80, 'r'), flag(0x40, 's'), flag(0x20, 'o')].iter().collect::<String>();
            format!(" na {} {flags}{}", addr_at(b, 8), nd_options(&b[24..]))
        }
        137 => format!(" redirect {} for {}{}", addr_at(b, 8), addr_at(b, 24), nd_options(&b[40..])),
        other => format!(" type {other} len {}", b.len()),
    };
    s
}

fn nd_options(mut b: &[u8]) -> String {
    let mut s = String::new();
    while !b.is_empty() {
        let len = 8 * usize::from(b[1]);
        assert!(len > 0 && len <= b.len(), "options are whole: {b:02x?}");
        let (o, rest) = b.split_at(len);
        b = rest;
        s += &match o[0] {
            1 => format!(" sll {}", MacAddr(o[2..8].try_into().unwrap())),
            2 => format!(" tll {}", MacAddr(o[2..8].try_into().unwrap())),
            3 => {
                let flag =
                    |bit: u8, name: &str| if o[3] & bit != 0 { name.to_owned() } else { String::new() };
                let flags = flag(0x80, "l") + &flag(0x40, "a");
                format!(" [{}/{} {flags} {} {}]", addr_at(o, 16), o[2], be32(o, 4), be32(o, 8))
            }
            4 => format!(" quoting {}", o.len() - 8),
            5 => format!(" mtu {}", be32(o, 4)),
            14 => " nonce".into(),
            24 => format!(" route {}/{} {} {}", addr_at_padded(&o[8..]), o[2], o[3] >> 3, be32(o, 4)),
            25 => {
                let servers = (8..len).step_by(16).map(|at| format!(" {}", addr_at(o, at)));
                format!(" rdnss {}{}", be32(o, 4), servers.collect::<String>())
            }
            31 => format!(" dnssl {} {}", be32(o, 4), String::from_utf8_lossy(&o[8..]).replace('\0', "")),
            other => format!(" option {other}"),
        };
    }
    s
}

fn addr_at_padded(b: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets[..b.len()].copy_from_slice(b);
    octets.into()
}
