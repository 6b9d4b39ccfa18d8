//! Scripts against one stack: frames in, calls, time; frames out, as text, compared with what is
//! expected. Frames are built and read back with etherparse, which knows nothing of the stack.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv4Slice, Ipv4Slice, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice,
};
use netstack::net::ifnet::IfConfig;
use netstack::net::route::Route;
use netstack::net::{IfIndex, MacAddr};
use netstack::stack::{Event, Stack, StackConfig};
use netstack::time::{Duration, Instant};
use std::net::{IpAddr, Ipv4Addr};

/// Link address of the stack's `n`th interface, from 1.
pub(crate) fn own_mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// Link address of the neighbour whose address ends in `n`.
pub(crate) fn peer_mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, n])
}

/// A stack under test, and the time.
pub(crate) struct Script {
    pub(crate) stack: Stack,
    pub(crate) now: Instant,
    pub(crate) ifs: Vec<IfIndex>,
}

impl Script {
    /// A stack with one interface for each of `addrs` (`192.0.2.1/24`), all up.
    pub(crate) fn new(config: StackConfig, addrs: &[&str]) -> Script {
        let mut stack = Stack::new(config, [1; 32]);
        let now = Instant::from_millis(1000);
        let mut ifs = Vec::new();
        for (n, addr) in addrs.iter().enumerate() {
            let config = IfConfig { name: format!("eth{n}"), mac: own_mac(n as u8 + 1), mtu: 1500 };
            let ifindex = stack.if_attach(config).unwrap();
            stack.if_set_up(now, ifindex, true).unwrap();
            stack.addr_add(now, ifindex, addr.parse().unwrap()).unwrap();
            ifs.push(ifindex);
        }
        while stack.poll_event().is_some() {}
        Script { stack, now, ifs }
    }

    /// A host, 10.0.0.1/24.
    pub(crate) fn host() -> Script {
        Script::new(StackConfig::default(), &["10.0.0.1/24"])
    }

    /// A router, 10.0.0.1/24 and 10.0.1.1/24.
    pub(crate) fn router() -> Script {
        Script::new(
            StackConfig { forwarding: true, ..StackConfig::default() },
            &["10.0.0.1/24", "10.0.1.1/24"],
        )
    }

    /// Adds `to via gateway`.
    pub(crate) fn route(&mut self, to: &str, gateway: &str) {
        self.stack.route_add(Route::via(to.parse().unwrap(), gateway.parse().unwrap())).unwrap();
    }

    /// A permanent neighbour `10.0.<n>.<host>` on interface `n`, with [`peer_mac`]`(host)`.
    pub(crate) fn neighbour(&mut self, n: usize, addr: &str) {
        let addr: Ipv4Addr = addr.parse().unwrap();
        self.stack.neigh_add(self.now, self.ifs[n], IpAddr::V4(addr), peer_mac(addr.octets()[3])).unwrap();
    }

    /// A frame comes in by interface `n`.
    pub(crate) fn input(&mut self, n: usize, frame: &[u8]) {
        let mut m = self.stack.rx_mbuf();
        m.extend(frame);
        self.stack.input(self.now, self.ifs[n], m);
    }

    /// Frames that wait on interface `n`.
    pub(crate) fn frames(&mut self, n: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(m) = self.stack.poll_transmit(self.now, self.ifs[n]) {
            out.push(m.data().to_vec());
            self.stack.recycle(m);
        }
        out
    }

    /// Frames that wait on interface `n`, as text.
    pub(crate) fn sent(&mut self, n: usize) -> Vec<String> {
        self.frames(n).iter().map(|f| describe(f)).collect()
    }

    /// Asserts what was sent on interface `n`.
    #[track_caller]
    pub(crate) fn expect(&mut self, n: usize, expected: &[&str]) {
        let seen = self.sent(n);
        if seen != expected {
            let mut lines = String::new();
            for i in 0..seen.len().max(expected.len()) {
                let (e, s) = (expected.get(i).copied().unwrap_or("-"), seen.get(i).map_or("-", |s| s));
                let mark = if e == s { ' ' } else { '!' };
                lines += &format!("{mark} expected {e}\n{mark} seen     {s}\n");
            }
            panic!("frames on interface {n} at {:?}:\n{lines}", self.now);
        }
    }

    /// Time passes; timers fire at their own times.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.stack.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.stack.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Events so far.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.stack.poll_event()).collect()
    }

    /// Value of a counter.
    #[track_caller]
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let stats = self.stack.stats();
        stats.iter().find(|(_, n, _)| *n == name).unwrap_or_else(|| panic!("no counter {name}")).2
    }

    /// State of a neighbour, by name.
    pub(crate) fn nud(&mut self, addr: &str) -> String {
        let addr: IpAddr = addr.parse().unwrap();
        // The table shows the state as of the last call that brought the time.
        self.stack.handle_timeout(self.now);
        self.stack.neighbours().find(|n| n.addr == addr).map_or("none".into(), |n| format!("{:?}", n.state))
    }
}

/// A query of version 3: robustness, interval and sources.
pub(crate) struct V3<'a>(pub(crate) u8, pub(crate) u8, pub(crate) &'a [&'a str]);

/// An IGMP query of version 1 or 2 (the code tells), or with its fields of version 3.
pub(crate) fn igmp_query(group: &str, code: u8, v3: Option<V3<'_>>) -> Vec<u8> {
    let octets = |a: &str| a.parse::<Ipv4Addr>().unwrap().octets();
    let mut message = vec![0x11, code, 0, 0];
    message.extend(octets(group));
    if let Some(V3(robustness, interval, sources)) = v3 {
        message.extend([robustness, interval, 0, sources.len() as u8]);
        sources.iter().for_each(|source| message.extend(octets(source)));
    }
    message
}

/// A frame with an IGMP message by 10.0.0.9 to a group or host, with the router alert, the checksum filled in.
pub(crate) fn igmp_frame(dst: &str, message: &[u8]) -> Vec<u8> {
    igmp_frame_with(&[0x94, 4, 0, 0], dst, message)
}

/// The same with other options.
pub(crate) fn igmp_frame_with(options: &[u8], dst: &str, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = netstack::wire::checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    to_group("10.0.0.9", dst).ttl(1).options(options).raw(2, &message)
}

/// A packet to a group (or host) at its link address.
pub(crate) fn to_group(src: &str, dst: &str) -> Ip {
    let dst4: Ipv4Addr = dst.parse().unwrap();
    let mac = match dst4.is_multicast() {
        true => netstack::net::ifnet::multicast_mac(IpAddr::V4(dst4)),
        false => own_mac(1),
    };
    Ip::new(src, dst).at_mac(mac)
}

/// An ARP frame.
pub(crate) fn arp(
    op: ArpOperation,
    to: MacAddr,
    sender: (MacAddr, &str),
    target: (MacAddr, &str),
) -> Vec<u8> {
    let ip = |a: &str| a.parse::<Ipv4Addr>().unwrap().octets();
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        op,
        &sender.0.0,
        &ip(sender.1),
        &target.0.0,
        &ip(target.1),
    )
    .unwrap();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(sender.0.0, to.0).arp(packet).write(&mut frame).unwrap();
    frame
}

/// An ARP request by the neighbour with address `sender`.
pub(crate) fn arp_request(sender: &str, target: &str) -> Vec<u8> {
    let mac = mac_of(sender);
    arp(ArpOperation::REQUEST, MacAddr::BROADCAST, (mac, sender), (MacAddr::default(), target))
}

/// The reply of the neighbour with address `sender` to the stack's first interface.
pub(crate) fn arp_reply(sender: &str, target: &str) -> Vec<u8> {
    arp(ArpOperation::REPLY, own_mac(1), (mac_of(sender), sender), (own_mac(1), target))
}

/// [`peer_mac`] of an address.
pub(crate) fn mac_of(addr: &str) -> MacAddr {
    peer_mac(addr.parse::<Ipv4Addr>().unwrap().octets()[3])
}

/// An IPv4 frame to interface `n` of the stack, of the payload that `finish` makes.
pub(crate) struct Ip {
    pub(crate) mac: (MacAddr, MacAddr),
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) df: bool,
    pub(crate) mf: bool,
    pub(crate) offset: u16,
    pub(crate) options: Vec<u8>,
}

impl Ip {
    /// From `src` to `dst`, TTL 64, to the first interface's link address, from that of `src`.
    pub(crate) fn new(src: &str, dst: &str) -> Ip {
        Ip {
            mac: (mac_of(src), own_mac(1)),
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            ttl: 64,
            id: 0,
            df: false,
            mf: false,
            offset: 0,
            options: Vec::new(),
        }
    }

    pub(crate) fn ttl(self, ttl: u8) -> Ip {
        Ip { ttl, ..self }
    }

    pub(crate) fn df(self) -> Ip {
        Ip { df: true, ..self }
    }

    pub(crate) fn at_mac(self, mac: MacAddr) -> Ip {
        Ip { mac: (self.mac.0, mac), ..self }
    }

    pub(crate) fn by_mac(self, mac: MacAddr) -> Ip {
        Ip { mac: (mac, self.mac.1), ..self }
    }

    pub(crate) fn options(self, options: &[u8]) -> Ip {
        Ip { options: options.to_vec(), ..self }
    }

    /// A fragment: identification, offset in octets, more fragments.
    pub(crate) fn fragment(self, id: u16, offset: u16, mf: bool) -> Ip {
        Ip { id, offset, mf, ..self }
    }

    fn header(&self, protocol: u8, len: usize) -> etherparse::Ipv4Header {
        let mut h = etherparse::Ipv4Header::new(
            len as u16,
            self.ttl,
            etherparse::IpNumber(protocol),
            self.src.octets(),
            self.dst.octets(),
        )
        .unwrap();
        h.identification = self.id;
        h.dont_fragment = self.df;
        h.more_fragments = self.mf;
        h.fragment_offset = (self.offset / 8).try_into().unwrap();
        h.options = self.options.as_slice().try_into().unwrap();
        h.set_payload_len(len).unwrap();
        h.header_checksum = h.calc_header_checksum();
        h
    }

    /// The IP packet with this protocol and payload.
    pub(crate) fn packet(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        self.header(protocol, payload.len()).write(&mut packet).unwrap();
        packet.extend(payload);
        packet
    }

    /// The frame with this protocol and payload.
    pub(crate) fn raw(&self, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = [&self.mac.1.0[..], &self.mac.0.0, &[8, 0]].concat();
        frame.extend(self.packet(protocol, payload));
        frame
    }

    /// UDP payload octets (header and data).
    pub(crate) fn udp_octets(&self, src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
        let header =
            etherparse::UdpHeader::with_ipv4_checksum(src, dst, &self.header(17, 8 + data.len()), data);
        let mut octets = header.unwrap().to_bytes().to_vec();
        octets.extend(data);
        octets
    }

    /// A frame with a UDP datagram.
    pub(crate) fn udp(&self, src: u16, dst: u16, data: &[u8]) -> Vec<u8> {
        self.raw(17, &self.udp_octets(src, dst, data))
    }

    /// A frame with an ICMP message.
    pub(crate) fn icmp(&self, ty: etherparse::Icmpv4Type, data: &[u8]) -> Vec<u8> {
        let mut octets = etherparse::Icmpv4Header::with_checksum(ty, data).to_bytes().to_vec();
        octets.extend(data);
        self.raw(1, &octets)
    }

    /// A frame with an ICMP message of any type.
    pub(crate) fn icmp_raw(&self, ty: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
        let mut octets = [&[ty, code, 0, 0], &rest[..], data].concat();
        let sum = netstack::wire::checksum::checksum(&octets);
        octets[2..4].copy_from_slice(&sum.to_be_bytes());
        self.raw(1, &octets)
    }

    /// A frame with an echo request.
    pub(crate) fn echo(&self, id: u16, seq: u16, data: &[u8]) -> Vec<u8> {
        self.icmp(etherparse::Icmpv4Type::EchoRequest(etherparse::IcmpEchoHeader { id, seq }), data)
    }
}

/// A frame as one line, checksums verified.
pub(crate) fn describe(frame: &[u8]) -> String {
    let sliced = match SlicedPacket::from_ethernet(frame) {
        Ok(s) => s,
        Err(e) => return format!("malformed: {e}"),
    };
    match &sliced.net {
        Some(NetSlice::Arp(a)) => {
            let ip = |b: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(b).unwrap());
            let mac = |b: &[u8]| MacAddr(b.try_into().unwrap());
            let (s, t) = (ip(a.sender_protocol_addr()), ip(a.target_protocol_addr()));
            let to =
                if frame[..6] == [0xff; 6] { String::new() } else { format!(" to {}", mac(&frame[..6])) };
            match a.operation() {
                ArpOperation::REQUEST => format!("arp who-has {t} tell {s}{to}"),
                _ => format!("arp {s} is-at {}{to}", mac(a.sender_hw_addr())),
            }
        }
        Some(NetSlice::Ipv4(ip)) => describe_ip(ip, &sliced.transport),
        Some(NetSlice::Ipv6(_)) => crate::v6::describe6(&frame[14..]),
        None => format!("{:02x?}", &frame[12..14]),
    }
}

fn describe_ip(ip: &Ipv4Slice<'_>, transport: &Option<TransportSlice<'_>>) -> String {
    let h = ip.header();
    let mut s = format!("{} > {}", h.source_addr(), h.destination_addr());
    if h.ttl() != 64 {
        s += &format!(" ttl {}", h.ttl());
    }
    if h.to_header().calc_header_checksum() != h.header_checksum() {
        s += " BAD HEADER CHECKSUM";
    }
    if h.dont_fragment() {
        s += " df";
    }
    if h.is_fragmenting_payload() {
        let more = if h.more_fragments() { "+" } else { "" };
        let len = ip.payload().payload.len();
        return s + &format!(" frag {}:{len}{more}", h.fragments_offset().value() * 8);
    }
    let payload = ip.payload().payload;
    match transport {
        Some(TransportSlice::Udp(u)) => {
            let sum = u.to_header().calc_checksum_ipv4(&h.to_header(), u.payload()).unwrap();
            let bad = if sum != u.checksum() && u.checksum() != 0 { " BAD CHECKSUM" } else { "" };
            s + &format!(" udp {} > {} len {}{bad}", u.source_port(), u.destination_port(), u.payload().len())
        }
        Some(TransportSlice::Icmpv4(i)) => s + &describe_icmp(i),
        Some(TransportSlice::Tcp(t)) => s + &format!(" tcp {} > {}", t.source_port(), t.destination_port()),
        Some(_) | None if h.protocol().0 == 2 => s + &describe_igmp(&h, payload),
        Some(_) | None => s + &format!(" proto {} len {}", h.protocol().0, payload.len()),
    }
}

/// IGMP as octets tell it; with `alert` if the router alert is there.
fn describe_igmp(h: &etherparse::Ipv4HeaderSlice<'_>, message: &[u8]) -> String {
    let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&message[at..at + 4]).unwrap());
    let mut s = String::new();
    if h.options() == [0x94, 4, 0, 0] {
        s += " alert";
    }
    if h.dcp().value() != 0x30 {
        s += " BAD TOS";
    }
    if netstack::wire::checksum::checksum(message) != 0 {
        s += " BAD CHECKSUM";
    }
    match (message[0], message.len()) {
        (0x12, 8) => s + &format!(" igmp v1-report {}", ip(4)),
        (0x16, 8) => s + &format!(" igmp v2-report {}", ip(4)),
        (0x17, 8) => s + &format!(" igmp leave {}", ip(4)),
        (0x22, 8..) => {
            s += " igmp";
            let mut at = 8;
            for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
                let kind = ["?", "is-in", "is-ex", "to-in", "to-ex", "allow", "block"][message[at] as usize];
                let sources = usize::from(u16::from_be_bytes([message[at + 2], message[at + 3]]));
                let list: Vec<String> = (0..sources).map(|n| ip(at + 8 + 4 * n).to_string()).collect();
                s += &format!(" {kind} {} {{{}}}", ip(at + 4), list.join(" "));
                at += 8 + 4 * sources;
            }
            assert_eq!(at, message.len(), "octets behind the last record");
            s
        }
        (ty, len) => s + &format!(" igmp {ty:#x} len {len}"),
    }
}

fn describe_icmp(i: &Icmpv4Slice<'_>) -> String {
    use etherparse::Icmpv4Type as T;
    let bad =
        if i.header().icmp_type.calc_checksum(i.payload()) != i.checksum() { " BAD CHECKSUM" } else { "" };
    let quoted = |s: String| {
        let q = i.payload();
        let dst = q.get(16..20).map_or("?".into(), |d| format!("{}.{}.{}.{}", d[0], d[1], d[2], d[3]));
        format!("{s} about {dst} quoting {}", q.len())
    };
    let what = match i.icmp_type() {
        T::EchoRequest(e) => format!("echo {}.{} len {}", e.id, e.seq, i.payload().len()),
        T::EchoReply(e) => format!("reply {}.{} len {}", e.id, e.seq, i.payload().len()),
        T::DestinationUnreachable(etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded {
            next_hop_mtu,
        }) => quoted(format!("frag-needed mtu {next_hop_mtu}")),
        T::DestinationUnreachable(d) => quoted(format!("unreachable {}", d.code_u8())),
        T::TimeExceeded(c) => quoted(format!("time-exceeded {}", c.code_u8())),
        T::Redirect(r) => quoted(format!("redirect to {}", Ipv4Addr::from(r.gateway_internet_address))),
        T::ParameterProblem(_) => quoted(format!("parameter-problem {}", i.bytes5to8()[0])),
        other => format!("{other:?}"),
    };
    format!(" icmp {what}{bad}")
}
