//! What Linux says of the same configuration, recorded from version 6.18 (a veth in a name space of its own, IPv6 left
//! out), beside what we say: the attributes that are there, their lengths, and their values where they are no counters.

use crate::ask::*;

/// An attribute as recorded: its value, or only its length.
enum Fact {
    Is(u16, &'static [u8]),
    Long(u16, usize),
}
use Fact::{Is, Long};

/// Compares a message with a recorded one. `missing`: what Linux says and we do not, each for a reason.
fn compare(message: &Message, header: &[u8], facts: &[Fact], missing: &[u16]) {
    assert_eq!(message.header(), header);
    let ours = message.attrs();
    for (n, (kind, _)) in ours.iter().enumerate() {
        assert!(ours[..n].iter().all(|(other, _)| other != kind), "attribute {kind} comes twice");
        let known = facts.iter().any(|fact| matches!(fact, Is(k, _) | Long(k, _) if k == kind));
        assert!(known, "Linux has no attribute {kind} here");
    }
    for fact in facts {
        let (kind, expected) = match fact {
            Is(kind, value) => (*kind, value.len()),
            Long(kind, length) => (*kind, *length),
        };
        let Some(value) = message.attr(kind) else {
            assert!(missing.contains(&kind), "attribute {kind} is missing");
            continue;
        };
        assert!(!missing.contains(&kind), "attribute {kind} is not missing any more");
        assert_eq!(value.len(), expected, "length of attribute {kind}");
        if let Is(_, expected) = fact {
            assert_eq!(value, *expected, "attribute {kind}");
        }
    }
}

#[test]
fn links() {
    let (_world, asker) = host();
    let facts = |name: &'static [u8], loopback: bool| {
        let pick = |lo: &'static [u8], eth: &'static [u8]| if loopback { lo } else { eth };
        vec![
            Is(3, name),
            Is(13, &[0xe8, 3, 0, 0]),
            Is(16, pick(&[0], &[6])),
            Is(17, &[0]),
            Long(67, 1), // NETNS_IMMUTABLE
            Is(4, pick(&[0, 0, 1, 0], &[0xdc, 5, 0, 0])),
            Is(50, pick(&[0; 4], &[68, 0, 0, 0])),
            Is(51, pick(&[0, 0, 0, 0], &[0xff, 0xff, 0, 0])),
            Is(27, &[0; 4]),
            Is(30, &[0; 4]),
            Is(61, &[0; 4]),
            Is(31, &[1, 0, 0, 0]),
            Is(40, &[0xff, 0xff, 0, 0]),
            Is(41, &[0, 0, 1, 0]),
            Is(58, &[0, 0, 1, 0]),
            Is(63, &[0, 0, 1, 0]),
            Is(64, &[0, 0, 1, 0]),
            Is(59, &[0xf8, 0xff, 7, 0]),
            Is(60, &[0xff, 0xff, 0, 0]),
            Long(66, 4), // MAX_PACING_OFFLOAD_HORIZON
            Is(32, &[1, 0, 0, 0]),
            Is(33, &[1]),
            Long(35, 4), // CARRIER_CHANGES, and how often it went up and down
            Long(47, 4),
            Long(48, 4),
            Long(68, 2), // HEADROOM, TAILROOM
            Long(69, 2),
            Is(39, &[0]),
            Is(1, pick(&[0; 6], &[2, 0, 0, 0, 0, 1])),
            Is(2, pick(&[0; 6], &[0xff; 6])),
            Long(23, 200),
            Long(7, 96),
            Is(43, &[5, 0, 2, 0, 0, 0, 0, 0]),
            Is(6, b"noqueue\0"),
            Long(26, 140),
            Is(14, &[0; 32]),
            Long(62, 0), // DEVLINK_PORT, DPLL_PIN: empty
            Long(65, 0),
        ]
    };
    let missing = [67, 66, 35, 47, 48, 68, 69, 62, 65];
    let links = asker.table(18, &[ifinfo(0, 0, 0), attr32(29, 9)].concat());
    let header = |octets: [u8; 8], index: u8| {
        [&[0, 0][..], &octets[..2], &[index, 0, 0, 0], &octets[2..6], &[0; 4]].concat()
    };
    let lo = header([4, 3, 0x49, 0, 1, 0, 0, 0], 1);
    let eth = header([1, 0, 0x43, 0x10, 1, 0, 0, 0], ETH0 as u8);
    compare(&links[0], &lo, &facts(b"lo\0", true), &missing);
    compare(&links[1], &eth, &facts(b"eth0\0", false), &missing);
    // IFLA_AF_SPEC: AF_INET, IFLA_INET_CONF, 33 words.
    let spec = links[1].attr(26).unwrap();
    assert_eq!(spec[..8], [140, 0, 2, 0, 136, 0, 1, 0]);
}

#[test]
fn addresses() {
    let (_world, asker) = host();
    let addresses = asker.table(22, &ifaddr(0, 0));
    let cache = Long(6, 16);
    let lo = [Is(1, &[127, 0, 0, 1]), Is(2, &[127, 0, 0, 1]), Is(3, b"lo\0"), Is(8, &[0x80, 0, 0, 0]), cache];
    compare(&addresses[0], &[2, 8, 0x80, 0xfe, 1, 0, 0, 0], &lo, &[]);
    let eth = [
        Is(1, &[10, 0, 0, 1]),
        Is(2, &[10, 0, 0, 1]),
        Is(4, &[10, 0, 0, 255]),
        Is(3, b"eth0\0"),
        Is(8, &[0x80, 0, 0, 0]),
        Long(6, 16),
    ];
    compare(&addresses[1], &[2, 24, 0x80, 0, 2, 0, 0, 0], &eth, &[]);
    // Valid and preferred for ever.
    assert_eq!(addresses[1].attr(6).unwrap()[..8], [0xff; 8]);
}

#[test]
fn routes() {
    let (_world, asker) = host();
    let add = |header: Vec<u8>, more: &[Vec<u8>]| {
        assert_eq!(asker.tell(24, CREATE | EXCL, &[&header[..], &more.concat()].concat()), 0);
    };
    add(rtmsg(0, 254, 3, 0, 1), &[ip(5, "10.0.0.7")]);
    add(rtmsg(16, 254, 3, 0, 1), &[ip(1, "172.16.0.0"), ip(5, "10.0.0.7"), attr32(6, 5), ip(7, "10.0.0.1")]);
    let hop = |last: u8| [&[16, 0, 0, 0, 0, 0, 0, 0][..], &ip(5, &format!("10.0.0.{last}"))].concat();
    add(rtmsg(16, 254, 3, 0, 1), &[ip(1, "172.18.0.0"), attr(9, &[hop(7), hop(8)].concat())]);
    add(rtmsg(24, 254, 3, 0, 7), &[ip(1, "192.168.77.0")]);
    add(rtmsg(16, 254, 12, 253, 1), &[ip(1, "172.19.0.0"), attr32(4, ETH0)]);
    let table = asker.table(26, &rtmsg(0, 0, 0, 0, 0));
    let of = |dst: Option<&str>, number: u8| {
        let found = table.iter().find(|m| m.ip(1).as_deref() == dst && m.header()[4] == number);
        found.unwrap_or_else(|| panic!("{dst:?} in table {number}"))
    };
    let (main, local) = (Is(15, &[254, 0, 0, 0]), || Is(15, &[255, 0, 0, 0]));
    let eth = || Is(4, &[2, 0, 0, 0]);
    let header = |prefix, table, protocol, scope, kind| rtmsg(prefix, table, protocol, scope, kind);
    compare(of(None, 254), &header(0, 254, 3, 0, 1), &[main, Is(5, &[10, 0, 0, 7]), eth()], &[]);
    let main = || Is(15, &[254, 0, 0, 0]);
    let connected = [main(), Is(1, &[10, 0, 0, 0]), Is(7, &[10, 0, 0, 1]), eth()];
    compare(of(Some("10.0.0.0"), 254), &header(24, 254, 2, 253, 1), &connected, &[]);
    let metric = [
        main(),
        Is(1, &[172, 16, 0, 0]),
        Is(6, &[5, 0, 0, 0]),
        Is(7, &[10, 0, 0, 1]),
        Is(5, &[10, 0, 0, 7]),
        eth(),
    ];
    compare(of(Some("172.16.0.0"), 254), &header(16, 254, 3, 0, 1), &metric, &[]);
    const HOPS: &[u8] =
        &[16, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 7, 16, 0, 0, 0, 2, 0, 0, 0, 8, 0, 5, 0, 10, 0, 0, 8];
    let several = [main(), Is(1, &[172, 18, 0, 0]), Is(9, HOPS)];
    compare(of(Some("172.18.0.0"), 254), &header(16, 254, 3, 0, 1), &several, &[]);
    let unreachable = [main(), Is(1, &[192, 168, 77, 0])];
    compare(of(Some("192.168.77.0"), 254), &header(24, 254, 3, 0, 7), &unreachable, &[]);
    let link = [main(), Is(1, &[172, 19, 0, 0]), eth()];
    compare(of(Some("172.19.0.0"), 254), &header(16, 254, 12, 253, 1), &link, &[]);
    let own = [local(), Is(1, &[10, 0, 0, 1]), Is(7, &[10, 0, 0, 1]), eth()];
    compare(of(Some("10.0.0.1"), 255), &header(32, 255, 2, 254, 2), &own, &[]);
    let broadcast = [local(), Is(1, &[10, 0, 0, 255]), Is(7, &[10, 0, 0, 1]), eth()];
    compare(of(Some("10.0.0.255"), 255), &header(32, 255, 2, 253, 3), &broadcast, &[]);
    let lo = [local(), Is(1, &[127, 0, 0, 0]), Is(7, &[127, 0, 0, 1]), Is(4, &[1, 0, 0, 0])];
    compare(of(Some("127.0.0.0"), 255), &header(8, 255, 2, 254, 2), &lo, &[]);

    // ip route get
    let get = |dst: &str| asker.ask(26, 0, &[rtmsg(32, 0, 0, 0, 0), ip(1, dst)].concat()).remove(0);
    let flags = |header: Vec<u8>, flags: u32| [&header[..8], &flags.to_le_bytes()].concat();
    let cloned = |kind: u8, more: u32| flags(header(32, 254, 0, 0, kind), 0x200 | more);
    let uid = || Is(25, &[0; 4]);
    let far =
        [main(), Is(1, &[8; 4]), eth(), Is(7, &[10, 0, 0, 1]), Is(5, &[10, 0, 0, 7]), uid(), Long(12, 32)];
    compare(&get("8.8.8.8"), &cloned(1, 0), &far, &[]);
    let near = [main(), Is(1, &[10, 0, 0, 5]), eth(), Is(7, &[10, 0, 0, 1]), uid(), Long(12, 32)];
    compare(&get("10.0.0.5"), &cloned(1, 0), &near, &[]);
    let lo = || Is(4, &[1, 0, 0, 0]);
    let here = [main(), Is(1, &[10, 0, 0, 1]), lo(), Is(7, &[10, 0, 0, 1]), uid(), Long(12, 32)];
    compare(&get("10.0.0.1"), &cloned(2, 0x8000_0000), &here, &[]);
}

#[test]
fn neighbours_and_rules() {
    let (_world, asker) = host();
    let new = [ndmsg(ETH0, 0x80), ip(1, "10.0.0.7"), attr(2, &[2, 0, 0, 0, 0, 7])].concat();
    assert_eq!(asker.tell(28, CREATE | EXCL, &new), 0);
    let neighbours = asker.table(30, &ndmsg(0, 0));
    let facts = [Is(1, &[10, 0, 0, 7]), Is(2, &[2, 0, 0, 0, 0, 7]), Is(4, &[0; 4]), Long(3, 16)];
    compare(&neighbours[0], &[2, 0, 0, 0, 2, 0, 0, 0, 0x80, 0, 0, 1], &facts, &[]);
    let rules = asker.table(34, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let header = |table| [2, 0, 0, 0, table, 0, 0, 1, 0, 0, 0, 0];
    let rest = || [Is(14, &[0xff; 4]), Is(21, &[2])];
    let [a, b] = rest();
    compare(&rules[0], &header(255), &[Is(15, &[255, 0, 0, 0]), a, b], &[]);
    let [a, b] = rest();
    compare(&rules[1], &header(254), &[Is(15, &[254, 0, 0, 0]), a, b, Is(6, &[0xfe, 0x7f, 0, 0])], &[]);
}

#[test]
fn small_tables() {
    let (_world, asker) = host();
    let qdisc = &asker.table(38, &[0; 20])[1];
    let facts = [Is(1, b"noqueue\0"), Is(12, &[0]), Long(7, 44), Long(3, 40)];
    let header = [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0];
    compare(qdisc, &header, &facts, &[7, 3]);
    let conf = &asker.table(82, &[2, 0, 0, 0])[1];
    let zero = |kind| Is(kind, &[0; 4]);
    let facts = [Is(1, &[2, 0, 0, 0]), zero(2), zero(3), zero(4), zero(8), zero(5), zero(6)];
    compare(conf, &[2, 0, 0, 0], &facts, &[]);
}
