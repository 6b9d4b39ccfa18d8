//! The words of pcap-filter(7): keywords, protocols, qualifiers, named numbers, and how addresses are written.

use std::net::Ipv4Addr;

use rumpkern::filter::code::Node;
use rumpkern::filter::code::Rel;

/// Words that are known to `tcpdump` and mean nothing, or nothing yet, on a bus.
pub(super) const UNSUPPORTED: &[&str] = &[
    "inbound",
    "outbound",
    "gateway",
    "protochain",
    "mpls",
    "pppoed",
    "pppoes",
    "geneve",
    "atalk",
    "aarp",
    "decnet",
    "iso",
    "stp",
    "ipx",
    "netbeui",
    "lat",
    "moprc",
    "mopdl",
    "ifname",
    "wlan",
    "llc",
    "clnp",
    "isis",
    "esis",
];

/// Words for hints.
pub(super) const KEYWORDS: &[&str] = &[
    "host",
    "src",
    "dst",
    "net",
    "port",
    "portrange",
    "proto",
    "ether",
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "igmp",
    "broadcast",
    "multicast",
    "vlan",
    "less",
    "greater",
    "len",
    "and",
    "or",
    "not",
];

/// Names of ports: those that a lab's traffic has, by IANA's registry (the same on every host, unlike /etc/services).
#[rustfmt::skip]
pub(super) const SERVICES: &[(&str, u16)] = &[
    ("echo", 7), ("discard", 9), ("ftp-data", 20), ("ftp", 21), ("ssh", 22), ("telnet", 23), ("smtp", 25),
    ("domain", 53), ("bootps", 67), ("bootpc", 68), ("tftp", 69), ("http", 80), ("kerberos", 88),
    ("pop3", 110), ("sunrpc", 111), ("ntp", 123), ("netbios-ns", 137), ("imap2", 143), ("snmp", 161),
    ("snmp-trap", 162), ("bgp", 179), ("ldap", 389), ("https", 443), ("syslog", 514), ("route", 520),
    ("dhcpv6-client", 546), ("dhcpv6-server", 547), ("imaps", 993), ("nfs", 2049), ("iperf3", 5201),
    ("mdns", 5353), ("http-alt", 8080),
];

/// Named numbers of `tcp[tcpflags]` and its kin.
#[rustfmt::skip]
pub(super) const CONSTANTS: &[(&str, u32)] = &[
    ("tcpflags", 13), ("tcp-fin", 0x01), ("tcp-syn", 0x02), ("tcp-rst", 0x04), ("tcp-push", 0x08),
    ("tcp-ack", 0x10), ("tcp-urg", 0x20), ("tcp-ece", 0x40), ("tcp-cwr", 0x80), ("icmptype", 0),
    ("icmpcode", 1), ("icmp-echoreply", 0), ("icmp-unreach", 3), ("icmp-sourcequench", 4),
    ("icmp-redirect", 5), ("icmp-echo", 8), ("icmp-routeradvert", 9), ("icmp-routersolicit", 10),
    ("icmp-timxceed", 11), ("icmp-paramprob", 12), ("icmp-tstamp", 13), ("icmp-tstampreply", 14),
    ("icmp-ireq", 15), ("icmp-ireqreply", 16), ("icmp-maskreq", 17), ("icmp-maskreply", 18),
    ("icmp6type", 0), ("icmp6code", 1), ("icmp6-destinationunreach", 1), ("icmp6-packettoobig", 2),
    ("icmp6-timeexceeded", 3), ("icmp6-parameterproblem", 4), ("icmp6-echo", 128), ("icmp6-echoreply", 129),
    ("icmp6-multicastlistenerquery", 130), ("icmp6-multicastlistenerreportv1", 131),
    ("icmp6-multicastlistenerdone", 132), ("icmp6-routersolicit", 133), ("icmp6-routeradvert", 134),
    ("icmp6-neighborsolicit", 135), ("icmp6-neighboradvert", 136), ("icmp6-redirect", 137),
    ("icmp6-routerrenum", 138), ("icmp6-nodeinformationquery", 139), ("icmp6-nodeinformationresponse", 140),
    ("icmp6-ineighbordiscoverysolicit", 141), ("icmp6-ineighbordiscoveryadvert", 142),
    ("icmp6-multicastlistenerreportv2", 143),
];

/// A protocol word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proto {
    Ether,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    Igmp,
    Pim,
    Vrrp,
    Ah,
    Esp,
}

impl Proto {
    #[rustfmt::skip]
    const ALL: &[(&str, Proto)] = &[
        ("ether", Proto::Ether),
        ("link", Proto::Ether),
        ("ip", Proto::Ip),
        ("ip6", Proto::Ip6),
        ("arp", Proto::Arp),
        ("rarp", Proto::Rarp),
        ("tcp", Proto::Tcp),
        ("udp", Proto::Udp),
        ("sctp", Proto::Sctp),
        ("icmp", Proto::Icmp),
        ("icmp6", Proto::Icmp6),
        ("igmp", Proto::Igmp),
        ("pim", Proto::Pim),
        ("vrrp", Proto::Vrrp),
        ("ah", Proto::Ah),
        ("esp", Proto::Esp),
        // Wireshark's names of the same.
        ("eth", Proto::Ether),
        ("ipv6", Proto::Ip6),
        ("icmpv6", Proto::Icmp6),
    ];

    pub(super) fn of(word: &str) -> Option<Proto> {
        Proto::ALL.iter().find(|(name, _)| *name == word).map(|(_, proto)| *proto)
    }

    pub(super) fn name(self) -> &'static str {
        Proto::ALL.iter().find(|(_, proto)| *proto == self).map_or("", |(name, _)| name)
    }

    /// Its number in an IP header.
    pub(super) fn ip_number(self) -> Option<u8> {
        match self {
            Proto::Icmp => Some(1),
            Proto::Igmp => Some(2),
            Proto::Tcp => Some(6),
            Proto::Udp => Some(17),
            Proto::Esp => Some(50),
            Proto::Ah => Some(51),
            Proto::Icmp6 => Some(58),
            Proto::Pim => Some(103),
            Proto::Vrrp => Some(112),
            Proto::Sctp => Some(132),
            Proto::Ether | Proto::Ip | Proto::Ip6 | Proto::Arp | Proto::Rarp => None,
        }
    }

    /// The one IP version that it belongs to; `None` for both.
    pub(super) fn version(self) -> Option<Proto> {
        match self {
            Proto::Icmp | Proto::Igmp | Proto::Vrrp => Some(Proto::Ip),
            Proto::Icmp6 => Some(Proto::Ip6),
            _ => None,
        }
    }
}

/// Which of two addresses or ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Dir {
    Src,
    Dst,
    #[default]
    Either,
    Both,
}

impl Dir {
    pub(super) fn starts(word: &str) -> bool {
        matches!(word, "src" | "dst")
    }

    pub(super) fn of(self, src: Node, dst: Node) -> Node {
        match self {
            Dir::Src => src,
            Dir::Dst => dst,
            Dir::Either => Node::Any(vec![src, dst]),
            Dir::Both => Node::All(vec![src, dst]),
        }
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Type {
    #[default]
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

impl Type {
    pub(super) fn of(word: &str) -> Option<Type> {
        match word {
            "host" => Some(Type::Host),
            "net" => Some(Type::Net),
            "port" => Some(Type::Port),
            "portrange" => Some(Type::PortRange),
            "proto" => Some(Type::Proto),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Host => "host",
            Type::Net => "net",
            Type::Port => "port",
            Type::PortRange => "portrange",
            Type::Proto => "proto",
        }
    }

    pub(super) fn wants(self) -> &'static str {
        match self {
            Type::Host => "an address or the name of a node",
            Type::Net => "a network such as 10.0.0.0/8",
            Type::Port => "a port",
            Type::PortRange => "ports such as 6000-6008",
            Type::Proto => "a protocol",
        }
    }

    pub(super) fn goes_with(self, proto: Proto) -> bool {
        match self {
            Type::Host => matches!(proto, Proto::Ether | Proto::Ip | Proto::Ip6 | Proto::Arp | Proto::Rarp),
            Type::Net => matches!(proto, Proto::Ip | Proto::Ip6 | Proto::Arp | Proto::Rarp),
            Type::Port | Type::PortRange => matches!(proto, Proto::Tcp | Proto::Udp | Proto::Sctp),
            Type::Proto => matches!(proto, Proto::Ether | Proto::Ip | Proto::Ip6),
        }
    }
}

/// `02:00:00:00:00:01`, also with single digits, `-` or `.` between.
pub(super) fn mac(word: &str) -> Option<[u8; 6]> {
    let mut out = [0; 6];
    let mut parts = word.split([':', '-', '.']);
    for octet in &mut out {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(out)
}

/// One to four dotted octets, and how many there were.
pub(super) fn dotted(word: &str) -> Option<(Ipv4Addr, u8)> {
    let mut octets = [0; 4];
    let mut count = 0;
    for part in word.split('.') {
        let octet = octets.get_mut(usize::from(count))?;
        *octet = part.parse().ok().filter(|_| !part.starts_with('+'))?;
        count += 1;
    }
    Some((octets.into(), count))
}

/// A decimal, `0x` hexadecimal or `0` octal number.
pub(super) fn integer(word: &str) -> Option<u32> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u32::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None if word.len() > 1 && word.starts_with('0') => u32::from_str_radix(word, 8).ok(),
        None => word.parse().ok(),
    }
}

/// A number or one of [`CONSTANTS`].
pub(super) fn constant(word: &str) -> Option<u32> {
    integer(word).or_else(|| CONSTANTS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value))
}

/// The EtherType of a word after `ether proto`.
pub(super) fn ethertype(word: &str) -> Option<u32> {
    match Proto::of(word)? {
        Proto::Ip => Some(super::primitive::ETHERTYPE_IP),
        Proto::Ip6 => Some(super::primitive::ETHERTYPE_IP6),
        Proto::Arp => Some(super::primitive::ETHERTYPE_ARP),
        Proto::Rarp => Some(super::primitive::ETHERTYPE_RARP),
        _ => None,
    }
}

/// Wireshark's words for comparisons.
pub(super) fn relation_word(word: &str) -> Option<Rel> {
    match word {
        "eq" => Some(Rel::Eq),
        "ne" => Some(Rel::Ne),
        "gt" => Some(Rel::Gt),
        "ge" => Some(Rel::Ge),
        "lt" => Some(Rel::Lt),
        "le" => Some(Rel::Le),
        _ => None,
    }
}
