//! `tcpdump` itself is the oracle: what it chooses from a file of odd frames, a filter here must choose.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use pcap_file::DataLink;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use proptest::prelude::*;

use super::*;

const MISSING: &str = "tcpdump is missing; install it with: sudo apt-get install -y tcpdump";

/// A small generator (xorshift64*): the same frames in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

const MACS: &[[u8; 6]] = &[[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [0xff; 6], [1, 0, 0x5e, 0, 0, 1]];
const V4: &[[u8; 4]] = &[[10, 0, 0, 1], [10, 0, 0, 2], [10, 1, 0, 1], [192, 0, 2, 1], [224, 0, 0, 1]];
const V6: &[&str] = &["fd00::1", "fd00::2", "fd00:0:0:1::1", "ff02::1"];
const PORTS: &[u16] = &[53, 80, 443, 8080, 40000, 5];

fn transport(dice: &mut Dice, proto: u8) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(dice.one(PORTS).to_be_bytes());
    out.extend(dice.one(PORTS).to_be_bytes());
    if proto == 1 || proto == 58 {
        out[0] = dice.one(&[0, 3, 8, 11, 128, 135]);
        out[1] = dice.one(&[0, 1, 3]);
    }
    out.extend([0; 8]);
    out.push(0x50);
    out.push(dice.roll(256) as u8);
    out.extend([0; 6]);
    out.extend(vec![0xaa; dice.roll(64)]);
    out
}

fn frame(dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(dice.one(MACS));
    out.extend(dice.one(MACS));
    for _ in 0..dice.one(&[0, 0, 0, 0, 1, 2]) {
        out.extend(dice.one(&[0x8100u16, 0x88a8]).to_be_bytes());
        out.extend((dice.one(&[5u16, 6]) | dice.one(&[0, 0x2000])).to_be_bytes());
    }
    let proto = dice.one(&[1u8, 2, 6, 6, 17, 17, 58, 132, 47, 44]);
    match dice.roll(10) {
        0..=4 => {
            let body = transport(dice, proto);
            let options = dice.one(&[0usize, 0, 0, 1, 10]);
            out.extend([0x08, 0x00, 0x45 + options as u8, 0]);
            out.extend((20 + 4 * options as u16 + body.len() as u16).to_be_bytes());
            out.extend([0, 1]);
            out.extend(dice.one(&[0u16, 0x4000, 0, 0x2000, 0x2001, 0x0100]).to_be_bytes());
            out.extend([dice.one(&[1, 64]), proto, 0, 0]);
            out.extend(dice.one(V4));
            out.extend(dice.one(V4));
            out.extend(vec![1; 4 * options]);
            out.extend(body);
        }
        5..=7 => {
            let mut body = transport(dice, proto);
            if proto == 44 {
                body[0] = dice.one(&[6, 17, 58]);
            }
            out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            out.extend((body.len() as u16).to_be_bytes());
            out.extend([proto, 64]);
            for _ in 0..2 {
                out.extend(dice.one(V6).parse::<std::net::Ipv6Addr>().unwrap().octets());
            }
            out.extend(body);
        }
        8 => {
            out.extend(dice.one(&[[0x08, 0x06], [0x80, 0x35]]));
            out.extend([0, 1, 8, 0, 6, 4, 0, dice.one(&[1, 2])]);
            for _ in 0..2 {
                out.extend(dice.one(MACS));
                out.extend(dice.one(V4));
            }
        }
        _ => {
            out.extend(dice.one(&[100u16, 0x88cc, 1500, 1501]).to_be_bytes());
            out.extend([0x42, 0x42, 3, 0, 0, 0, 0]);
        }
    }
    // Some are cut anywhere behind the Ethernet header.
    if dice.roll(6) == 0 {
        out.truncate(14 + dice.roll(out.len() - 13));
    }
    out
}

/// Frames as a capture file: frame number N has the time N seconds.
struct Corpus {
    frames: Vec<Vec<u8>>,
    file: Vec<u8>,
}

impl Corpus {
    fn new(seed: u64, count: usize) -> Corpus {
        let mut dice = Dice(seed);
        let frames: Vec<_> = (0..count).map(|_| frame(&mut dice)).collect();
        let header = PcapHeader { datalink: DataLink::ETHERNET, ..Default::default() };
        let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
        for (n, frame) in frames.iter().enumerate() {
            let time = std::time::Duration::from_secs(n as u64);
            writer
                .write_packet(&PcapPacket::new(time, frame.len() as u32, frame.as_slice()).unwrap())
                .unwrap();
        }
        Corpus { frames, file: writer.into_inner() }
    }

    /// What `tcpdump` chooses, or how it refuses.
    fn oracle(&self, filter: &str) -> Result<BTreeSet<usize>, String> {
        let mut child = Command::new("tcpdump")
            // Not optimised (-O): the optimiser reorders loads, which shows on frames that are cut.
            .args(["-O", "-r", "-", "-w", "-", "--", filter])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect(MISSING);
        let mut stdin = child.stdin.take().unwrap();
        let file = self.file.clone();
        // A refused filter closes the pipe early: that is reported by the status.
        let feed = std::thread::spawn(move || drop(stdin.write_all(&file)));
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let mut reader = PcapReader::new(output.stdout.as_slice()).unwrap();
        let mut chosen = BTreeSet::new();
        while let Some(packet) = reader.next_packet() {
            chosen.insert(packet.unwrap().timestamp().as_secs() as usize);
        }
        Ok(chosen)
    }

    fn ours(&self, filter: &Filter) -> BTreeSet<usize> {
        (0..self.frames.len()).filter(|n| filter.matches(&self.frames[*n])).collect()
    }

    /// Fails when the two differ; gives back how many frames were chosen.
    fn compare(&self, text: &str) -> usize {
        let oracle = self.oracle(text).unwrap_or_else(|e| panic!("tcpdump refuses {text:?}: {e}"));
        let filter = Filter::parse(text, &NoNames).unwrap_or_else(|e| panic!("{}", e.render()));
        let ours = self.ours(&filter);
        if let Some(n) = oracle.symmetric_difference(&ours).next() {
            panic!(
                "{text:?}: frame {n} {:02x?}: tcpdump {}, here {}",
                self.frames[*n],
                oracle.contains(n),
                ours.contains(n)
            );
        }
        ours.len()
    }
}

/// Every word of the language at least once.
const FILTERS: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "igmp",
    "sctp",
    "not tcp",
    "!(udp or arp)",
    "host 10.0.0.1",
    "src host 10.0.0.1",
    "dst 10.0.0.2",
    "src or dst 10.0.0.2",
    "src and dst 10.0.0.1",
    "host fd00::1",
    "ip6 host fd00::2",
    "ip host 10.0.0.1",
    "arp host 10.0.0.1",
    "rarp host 10.0.0.2",
    "not host fd00::1",
    "not host 10.0.0.1",
    "host 10.0.0.1 or 10.0.0.2",
    "host (10.0.0.1 or fd00::1)",
    "host not 10.0.0.1",
    "net 10.0.0.0/8",
    "net 10",
    "net 10.0",
    "src net 10.0.0",
    "ip dst net 10.0.0.0 mask 255.0.0.0",
    "net fd00::/64",
    "ip6 net fd00::/16",
    "dst net fd00::/48",
    "arp net 10.0.0.0/24",
    "ether host 02:00:00:00:00:01",
    "ether src 2:0:0:0:0:2",
    "ether dst host ff:ff:ff:ff:ff:ff",
    "not ether host 02:00:00:00:00:01",
    "ether proto 0x0806",
    "ether proto \\ip6",
    "ether proto 0x42",
    "ether proto 100",
    "ip proto 47",
    "ip6 proto 6",
    "proto 17",
    "ip proto \\tcp",
    "ip proto 1 or 6",
    "port 80",
    "tcp port 80",
    "udp src port 53",
    "dst port domain",
    "tcp port http or https",
    "sctp port 5",
    "src and dst port 80",
    "tcp src or dst port 443",
    "portrange 50-90",
    "udp dst portrange 8080-50000",
    "not port 80",
    "tcp port (80 or 443)",
    "port 80 and host 10.0.0.1",
    "tcp and port 80 or arp",
    "arp or tcp and port 80",
    "broadcast",
    "multicast",
    "ether broadcast",
    "ip multicast",
    "ip6 multicast",
    "not ip multicast",
    "vlan",
    "vlan 5",
    "vlan 5 and tcp",
    "vlan and vlan 6",
    "vlan 6 and vlan 5 and host 10.0.0.1",
    "tcp or vlan and udp",
    "vlan and ip6 host fd00::1",
    "not vlan",
    "less 60",
    "greater 80",
    "len > 60",
    "len % 4 = 2",
    "len - 14 >= 46",
    "tcp[13] & 2 != 0",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[tcpflags] == tcp-syn",
    "not tcp[13] & 4 != 0",
    "tcp[0:2] = 80",
    "udp[2:2] > 1024 and udp[2:2] != 8080",
    "icmp[icmptype] = icmp-echo",
    "icmp[0] == 11 and icmp[1] == 0",
    "icmp6[0] = 128",
    "icmp6[icmp6type] == icmp6-neighborsolicit",
    "icmp6[icmp6type] == icmp6-multicastlistenerreportv2",
    "ip[8] < 2",
    "ip[6:2] & 0x1fff = 0",
    "ip[0] & 0xf > 5",
    "ip[2:2] - ((ip[0] & 0xf) << 2) > 40",
    "ether[0] & 1 = 0",
    "ether[12:2] = 0x86dd",
    "arp[6:2] = 1",
    "ip6[6] = 58",
    "1 = ip[0] & 1",
    "ip[0] | 4 & 1 = 69",
    "ip[0] ^ 1 = 68",
    "ip[ip[0] & 0xf] = 1",
    "-1 > ip[0]",
    "ip[0] >> 4 = 4 && tcp",
    "ip[0] << ip[8] = 0",
    "not udp[100] = 170",
    "ether[60:4] = 0xaaaaaaaa",
    "(tcp or udp) and (port 80 or port 53)",
    "not (tcp and not port 80)",
    "((ip)) && !(((tcp)))",
];

#[test]
fn chooses_what_tcpdump_chooses() {
    let corpus = Corpus::new(0x00c0_ffee, 1500);
    let mut never = Vec::new();
    for filter in FILTERS {
        if corpus.compare(filter) == 0 {
            never.push(filter);
        }
    }
    // A filter that chooses nothing proves little.
    assert!(never.len() <= 8, "choose nothing: {never:?}");
}

fn word() -> impl Strategy<Value = String> {
    let simple = prop::sample::select(FILTERS.to_vec()).prop_map(str::to_owned);
    let ports = (
        prop::sample::select(vec!["", "tcp ", "udp "]),
        prop::sample::select(vec!["", "src ", "dst ", "src and dst "]),
        prop::sample::select(PORTS.to_vec()),
    )
        .prop_map(|(proto, dir, port)| format!("{proto}{dir}port {port}"));
    let nets = (
        prop::sample::select(vec!["", "ip ", "arp "]),
        prop::sample::select(vec!["", "src ", "dst "]),
        prop::sample::select(V4.to_vec()),
        0u8..=32,
    )
        .prop_map(|(proto, dir, address, length)| {
            let net = ipnet::Ipv4Net::new(address.into(), length).unwrap().trunc();
            format!("{proto}{dir}net {net}")
        });
    let loads = (
        prop::sample::select(vec!["ether", "ip", "ip6", "tcp", "udp", "icmp", "arp", "icmp6"]),
        0u32..70,
        prop::sample::select(vec![1, 2, 4]),
        prop::sample::select(vec!["=", "!=", "<", ">=", "&", "|"]),
        0u32..300,
    )
        .prop_map(|(proto, index, width, op, value)| match op {
            "&" | "|" => format!("{proto}[{index}:{width}] {op} {value} != 0"),
            _ => format!("{proto}[{index}:{width}] {op} {value}"),
        });
    prop_oneof![simple, ports, nets, loads]
}

fn expression() -> impl Strategy<Value = String> {
    word().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["and", "or", "&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn chooses_what_tcpdump_chooses_in_any_combination(text in expression(), seed in 1u64..) {
        let corpus = Corpus::new(seed, 200);
        // tcpdump refuses what it can prove to be always false, and a few sums of constants.
        if corpus.oracle(&text).is_ok() {
            corpus.compare(&text);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error(text in "[ -~]{0,60}", frame in prop::collection::vec(any::<u8>(), 0..100)) {
        match Filter::parse(&text, &NoNames) {
            Ok(filter) => drop(filter.matches(&frame)),
            Err(error) => prop_assert!(error.render().contains(&error.to_string())),
        }
    }

    #[test]
    fn any_words_are_a_filter_or_an_error(words in prop::collection::vec(prop::sample::select(
        words::KEYWORDS.iter().copied().chain(["(", ")", "[", "]", ":", "/", "80", "10.0.0.1", "-", "==", "ip.ttl", "tcp.flags.rst", "é", "!", "&"]).collect::<Vec<_>>()), 0..20),
        frame in prop::collection::vec(any::<u8>(), 0..100)) {
        let text = words.join(" ");
        match Filter::parse(&text, &NoNames) {
            Ok(filter) => drop(filter.matches(&frame)),
            Err(error) => drop(error.render()),
        }
    }

    #[test]
    fn fields_never_panic(frame in prop::collection::vec(any::<u8>(), 0..200), kind in prop::sample::select(vec![0x0800u16, 0x86dd, 0x0806, 0x8100])) {
        let mut frame = frame;
        if frame.len() > 14 {
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
        }
        for field in field::FIELDS {
            let filter = Filter::parse(field.name, &NoNames).unwrap();
            filter.matches(&frame);
        }
    }
}

#[test]
fn deep_filters_are_refused_not_overflowed() {
    for text in [
        "(".repeat(900),
        "not ".repeat(900),
        "ip[".repeat(900),
        "- ".repeat(900),
        format!("{}1=1", "(".repeat(500)),
    ] {
        assert!(Filter::parse(&text, &NoNames).is_err());
    }
    let wide = vec!["tcp"; 500].join(" or ");
    assert!(Filter::parse(&wide, &NoNames).is_ok());
    assert!(matches!(
        Filter::parse(&wide.repeat(3), &NoNames).unwrap_err().fault,
        FilterFault::TooLong { .. }
    ));
}

/// h1 with two interfaces, h2 with one.
struct Lab;

impl Resolve for Lab {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let list: &[&str] = match name {
            "h1" => &["10.0.0.1", "fd00::1", "10.1.0.1"],
            "h1:eth1" => &["10.1.0.1"],
            "h2" => &["10.0.0.2"],
            _ => &[],
        };
        list.iter().map(|a| a.parse().unwrap()).collect()
    }
    fn macs(&self, name: &str) -> Vec<[u8; 6]> {
        if name.starts_with("h1") { vec![MACS[0]] } else { Vec::new() }
    }
    fn names(&self) -> Vec<String> {
        vec!["h1".into(), "h2".into(), "h1:eth1".into()]
    }
}

fn same(left: &str, right: &str) {
    let corpus = Corpus::new(42, 1000);
    let left = corpus.ours(&Filter::parse(left, &Lab).unwrap());
    assert_eq!(left, corpus.ours(&Filter::parse(right, &Lab).unwrap()));
    assert!(!left.is_empty());
}

#[test]
fn names_stand_for_all_their_addresses() {
    same("host h1", "host 10.0.0.1 or fd00::1 or 10.1.0.1");
    same("h1", "host h1");
    same("h1 and h2", "host h1 and host h2");
    same("src h1:eth1", "src host 10.1.0.1");
    same("ip6 host h1", "host fd00::1");
    same("ether host h1", "ether host 02:00:00:00:00:01");
    same("ip.src == h1", "ip.src == 10.0.0.1 or ip.src eq 10.1.0.1");
    same("ip.addr == 10.0.0.0/24", "ip.addr eq 10.0.0.1 or ip.addr == 10.0.0.2");
    same("ip.src != h1", "ip.src and not ip.src == h1");
    // All headers of a sum must be there (tcpdump forgets those of right-hand terms).
    same("ip[0] + tcp[12] > 0", "ip[0] + 0 > 0 and tcp[12] >= 0");
    same("10 / (ip[8] - 1) > 0 or arp", "ip[8] > 1 and ip[8] < 12 or arp");
    same("eth.dst == ff:ff:ff:ff:ff:ff", "broadcast");
}

#[test]
fn flags_mean_set_and_fields_look_through_tags() {
    let mut segment = Vec::new();
    etherparse::PacketBuilder::ethernet2(MACS[0], MACS[1])
        .single_vlan(7.try_into().unwrap())
        .ipv6([0; 16], [1; 16], 64)
        .tcp(80, 4711, 1, 1000)
        .rst()
        .write(&mut segment, b"x")
        .unwrap();
    let yes = [
        "tcp.flags.rst",
        "tcp.flags.rst == 1",
        "tcp.flags.reset == true",
        "not tcp.flags.syn",
        "tcp.flags.syn == 0",
        "tcp.port == 80",
        "tcp.port != 81",
        "tcp.dstport >= 4711",
        "vlan.id == 7",
        "tcp.len == 1",
        "ipv6.hlim gt 63",
        "tcp.flags == 4",
    ];
    let no = [
        "tcp.flags.syn",
        "tcp.port != 80",
        "udp.port != 80",
        "ip.ttl",
        "tcp",
        "ip.src != 10.0.0.1",
        "arp.opcode == 1",
    ];
    for text in yes {
        assert!(Filter::parse(text, &NoNames).unwrap().matches(&segment), "{text}");
    }
    for text in no {
        assert!(!Filter::parse(text, &NoNames).unwrap().matches(&segment), "{text}");
    }
}

#[test]
fn errors_have_a_caret_and_a_hint() {
    let cases = [
        (
            "tcp prot 80",
            "filter: expected 'and', 'or' or a qualifier such as 'port', found 'prot'\n  | tcp prot 80\n  |     ^^^^\n  = did you mean \"tcp port\"?",
        ),
        ("host h3", "filter: unknown name 'h3'\n  | host h3\n  |      ^^\n  = did you mean \"h1\"?"),
        (
            "tcp host h1",
            "filter: 'tcp' does not go with 'host'\n  | tcp host h1\n  |     ^^^^\n  = did you mean \"tcp and host …\"?",
        ),
        (
            "tcp.flag.rst",
            "filter: unknown field 'tcp.flag.rst'\n  | tcp.flag.rst\n  | ^^^^^^^^^^^^\n  = did you mean \"tcp.flags.rst\"?",
        ),
        (
            "net 10.0.0.1/8",
            "filter: '10.0.0.1/8' has bits outside of its mask\n  | net 10.0.0.1/8\n  |     ^^^^^^^^^^",
        ),
        ("port 70000", "filter: '70000' is not a port, 0 to 65535\n  | port 70000\n  |      ^^^^^"),
        (
            "tcp and",
            "filter: expected a host, a port, a protocol or a field, found the end\n  | tcp and\n  |        ^",
        ),
        (
            "(tcp or udp",
            "filter: expected 'and', 'or' or ')', found the end\n  | (tcp or udp\n  |            ^",
        ),
        (
            "tcp[tcpflag] = 1",
            "filter: 'tcpflag' is not a number, 'len' or something like tcp[13]\n  | tcp[tcpflag] = 1\n  |     ^^^^^^^\n  = did you mean \"tcpflags\"?",
        ),
        (
            "inbound",
            "filter: 'inbound' is not supported\n  | inbound\n  | ^^^^^^^\n  = a bus has no inside; name the interface: src or dst h1:eth0",
        ),
        ("tcp ; udp", "filter: unexpected character ';'\n  | tcp ; udp\n  |     ^"),
        (
            "ip.src > 10.0.0.1",
            "filter: '>' is not '==' or '!=', all that an address can be compared by\n  | ip.src > 10.0.0.1\n  |        ^",
        ),
    ];
    for (text, expected) in cases {
        let error = Filter::parse(text, &Lab).map(|_| ()).expect_err(text);
        assert_eq!(error.render(), expected);
    }
}
