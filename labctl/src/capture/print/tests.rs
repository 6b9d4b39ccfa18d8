//! Lines as they are read, and octets as they come.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::lab::state::{InterfaceState, LabState, NodeState, Phase};

fn names() -> Names {
    let node = |name: &str, mac: &str, address: &str| NodeState {
        name: name.into(),
        stopped: false,
        interfaces: vec![InterfaceState {
            name: "eth0".into(),
            bus: "lan".into(),
            mac: mac.into(),
            mtu: 1500,
            addresses: vec![address.parse().unwrap()],
            slaac: crate::lab::state::Slaac::Off,
            impair: None,
        }],
        loopback: Vec::new(),
    };
    Names::of_lab(&LabState {
        version: 1,
        lab: "x".into(),
        phase: Phase::Up,
        topology: "/x".into(),
        epoch: crate::lab::state::Epoch { unix_ns: 0, mono_ns: 0 },
        seed: 0,
        buses: Vec::new(),
        programs: Vec::new(),
        nodes: vec![
            node("h1", "02:00:00:00:00:01", "10.0.0.1/24"),
            node("h2", "02:00:00:00:00:02", "10.0.0.2/24"),
        ],
    })
}

const META: Meta<'static> =
    Meta { time_ns: 1_000_000_001, unix_ns: 45_296_000_000_001, sender: "h1:eth0", segment: (1, 1) };

fn lines(style: Style, frames: &[Vec<u8>]) -> Vec<String> {
    let mut printer = Printer::new(style, names());
    frames.iter().map(|frame| printer.frame(&META, frame)).collect()
}

/// The line after time and sender.
fn shown(frame: &[u8]) -> String {
    let style = Style { time: TimeStyle::None, ..Style::default() };
    let line = Printer::new(style, names()).frame(&META, frame);
    line.strip_prefix("h1:eth0  ").unwrap().trim_end_matches('\n').to_owned()
}

fn builder() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
}

fn udp() -> Vec<u8> {
    let mut frame = Vec::new();
    builder().udp(40000, 53).write(&mut frame, b"query").unwrap();
    frame
}

fn arp(operation: u8) -> Vec<u8> {
    let mut frame =
        vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    frame.extend([2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    frame
}

#[test]
fn common_packets_read_as_in_tcpdump() {
    assert_eq!(shown(&arp(1)), "ARP who-has h2 tell h1");
    assert_eq!(shown(&arp(2)), "ARP h1 is-at 02:00:00:00:00:01");
    assert_eq!(shown(&udp()), "IP h1.40000 > h2.53: UDP, length 5");
    let mut echo = Vec::new();
    builder().icmpv4_echo_request(7, 1).write(&mut echo, &[0; 56]).unwrap();
    assert_eq!(shown(&echo), "IP h1 > h2: ICMP echo request, id 7, seq 1, length 64");
    let mut tagged = Vec::new();
    PacketBuilder::ethernet2([0; 6], [1; 6])
        .single_vlan(5.try_into().unwrap())
        .ipv6([0xfd; 16], [0xfe; 16], 1)
        .udp(1, 2)
        .write(&mut tagged, b"")
        .unwrap();
    let v6 = |octet: &str| [octet; 8].join(":");
    assert_eq!(shown(&tagged), format!("vlan 5, IP6 {}.1 > {}.2: UDP, length 0", v6("fdfd"), v6("fefe")));
}

#[test]
fn errors_name_what_they_are_about() {
    let original = udp();
    let mut frame = Vec::new();
    let step = PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
    step.icmpv4_raw(3, 3, [0; 4]).write(&mut frame, &original[14..14 + 28]).unwrap();
    assert_eq!(shown(&frame), "IP h2 > h1: ICMP port unreachable, for h1.40000 > h2.53 UDP, length 36");
    let mut frame = Vec::new();
    let step = PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4([10, 0, 0, 9], [10, 0, 0, 1], 64);
    step.icmpv4_raw(11, 0, [0; 4]).write(&mut frame, &original[14..14 + 28]).unwrap();
    assert_eq!(
        shown(&frame),
        "IP 10.0.0.9 > h1: ICMP time exceeded in-transit, for h1.40000 > h2.53 UDP, length 36"
    );
}

#[test]
fn sequence_numbers_count_from_the_first() {
    let segment = |seq: u32, ack: Option<u32>, syn: bool, payload: &[u8]| {
        let mut frame = Vec::new();
        let mut step = match ack {
            Some(_) => PacketBuilder::ethernet2([0; 6], [0; 6])
                .ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
                .tcp(80, 4711, seq, 1000),
            None => builder().tcp(4711, 80, seq, 1000),
        };
        if let Some(ack) = ack {
            step = step.ack(ack);
        }
        if syn {
            step = step.syn().options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)]).unwrap();
        }
        step.write(&mut frame, payload).unwrap();
        frame
    };
    let style = Style { time: TimeStyle::None, ..Style::default() };
    let frames = [
        segment(u32::MAX, None, true, b""),
        segment(5000, Some(0), true, b""),
        segment(0, None, false, b"12345"),
        segment(5001, Some(5), false, b""),
    ];
    assert_eq!(
        lines(style, &frames).concat(),
        "h1:eth0  IP h1.4711 > h2.80: Flags [S], seq 4294967295, win 1000, options [mss 1460], length 0\n\
         h1:eth0  IP h2.80 > h1.4711: Flags [S.], seq 5000, ack 1, win 1000, options [mss 1460], length 0\n\
         h1:eth0  IP h1.4711 > h2.80: Flags [none], seq 1:6, win 1000, length 5\n\
         h1:eth0  IP h2.80 > h1.4711: Flags [.], ack 6, win 1000, length 0\n"
    );
}

#[test]
fn a_connection_whose_beginning_was_not_seen_counts_from_where_it_was_found() {
    let segment = |seq: u32| {
        let mut frame = Vec::new();
        builder().tcp(4711, 80, seq, 1000).ack(900).write(&mut frame, b"12345").unwrap();
        frame
    };
    let style = Style { time: TimeStyle::None, ..Style::default() };
    let text = lines(style, &[segment(7000), segment(7005), segment(6995)]).concat();
    let numbers: Vec<&str> =
        text.lines().map(|line| &line[line.find("seq").unwrap()..line.find(", win").unwrap()]).collect();
    assert_eq!(numbers, ["seq 7000:7005, ack 900", "seq 5:10, ack 0", "seq -5:0, ack 0"]);
}

#[test]
fn what_is_wrong_is_marked() {
    let mut frame = udp();
    frame[24] ^= 1;
    assert_eq!(shown(&frame), "IP h1.40000 > h2.53: UDP, length 5 [bad ip cksum]");
    let mut frame = udp();
    *frame.last_mut().unwrap() ^= 1;
    assert_eq!(shown(&frame), "IP h1.40000 > h2.53: UDP, length 5 [bad udp cksum]");
    let frame = udp();
    assert!(shown(&frame[..40]).contains("[bad ip: cut]"), "{}", shown(&frame[..40]));
    assert!(shown(&frame[..20]).contains("[bad "), "{}", shown(&frame[..20]));
    assert_eq!(shown(&frame[..9]), " [bad Ethernet: 9 octets]");
}

#[test]
fn styles() {
    let frame = [udp()];
    let line = |style| lines(style, &frame).concat();
    assert!(line(Style::default()).starts_with("  1.000000001  h1:eth0  IP"));
    assert!(
        line(Style { time: TimeStyle::Clock, ..Style::default() }).starts_with("12:34:56.000000001  h1:eth0")
    );
    assert!(line(Style { numeric: true, ..Style::default() }).contains("10.0.0.1.40000 > 10.0.0.2.53"));
    assert!(line(Style { verbose: 1, ..Style::default() }).contains("ttl 64"));
    assert!(line(Style { verbose: 2, ..Style::default() }).contains("h1:eth0 > h2:eth0, IP"));
    assert!(line(Style { colour: true, ..Style::default() }).contains("\x1b[34mIP"));
    let hex = line(Style { hex: true, ..Style::default() });
    assert!(
        hex.contains("    0x0000:  0200 0000 0002 0200 0000 0001 0800 4500  ..............E.\n"),
        "{hex}"
    );
    let names = Meta { sender: "evil\x1b[2J", ..META };
    assert!(!Printer::new(Style::default(), names_none()).frame(&names, &frame[0]).contains('\x1b'));
}

fn names_none() -> Names {
    Names::default()
}

proptest! {
    #[test]
    fn any_octets_are_one_line(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0..6usize, proto in prop::sample::select(vec![1u8, 2, 6, 17, 58, 0, 44, 51]), verbose in 0..3u8) {
        let mut octets = octets;
        let kinds: [&[u8]; 6] = [&[8, 0, 0x45, 0, 0, 100], &[0x86, 0xdd, 0x60], &[8, 6, 0, 1, 8, 0, 6, 4], &[0x81, 0, 0, 5, 8, 0, 0x45, 0, 0, 60], &[0x88, 0xe5], &[]];
        for (to, from) in octets.iter_mut().skip(12).zip(kinds[kind]) {
            *to = *from;
        }
        let at = if kind == 1 { 20 } else { 23 };
        if octets.len() > at {
            octets[at] = proto;
        }
        let style = Style { verbose, ..Style::default() };
        let text = Printer::new(style, names()).frame(&META, &octets);
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }
}
