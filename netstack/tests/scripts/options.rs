//! IPv4 options: RFC 791, 1122 §3.2.1.8, 1812 §5.2.4, 7126.

use crate::harness::*;
use netstack::net::MacAddr;
use netstack::net::ifnet::IfConfig;
use netstack::socket::{Family, Ready, SendMeta, SockError, SockOpt, SockType};
use netstack::stack::StackConfig;

fn router() -> Script {
    let mut s = Script::router();
    s.neighbour(0, "10.0.0.2");
    s.neighbour(1, "10.0.1.2");
    s
}

/// The options of the IP packet in `frame`.
fn options(frame: &[u8]) -> &[u8] {
    &frame[34..14 + usize::from(frame[14] & 15) * 4]
}

const RECORD: [u8; 12] = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn record_route_when_forwarded_and_when_answered() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&RECORD).udp(1, 2, b""));
    let frame = &s.frames(1)[0];
    assert_eq!(options(frame), [7, 11, 8, 10, 0, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(describe(frame), "10.0.0.2 > 10.0.1.2 ttl 63 udp 1 > 2 len 0");
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").options(&RECORD).echo(1, 1, b""));
    let frame = &s.frames(0)[0];
    assert_eq!(options(frame), [7, 11, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(describe(frame), "10.0.0.1 > 10.0.0.2 icmp reply 1.1 len 0");
}

#[test]
fn a_full_record_goes_on_unchanged() {
    let mut s = router();
    let full = [7, 7, 8, 1, 2, 3, 4, 0];
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&full).udp(1, 2, b""));
    assert_eq!(options(&s.frames(1)[0]), full);
}

#[test]
fn timestamps_are_recorded_and_overflow_is_counted() {
    let mut s = router();
    s.input(
        0,
        &Ip::new("10.0.0.2", "10.0.1.2").options(&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0]).udp(1, 2, b""),
    );
    assert_eq!(options(&s.frames(1)[0]), [68, 12, 13, 1, 10, 0, 1, 1, 0x80, 0, 3, 0xe8]);
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&[68, 8, 9, 0, 0, 0, 0, 0]).udp(1, 2, b""));
    assert_eq!(options(&s.frames(1)[0]), [68, 8, 9, 0x10, 0, 0, 0, 0]);
}

#[test]
fn source_routes_are_dropped() {
    let mut s = router();
    for kind in [131, 137] {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&[kind, 7, 4, 10, 0, 1, 9, 0]).udp(1, 2, b""));
    }
    s.expect(1, &[]);
    s.expect(0, &[]);
    assert_eq!(s.counter("ipSourceRoute"), 2);
}

#[test]
fn malformed_options_are_told_where() {
    let mut s = router();
    for (options, pointer) in [
        ([7, 1, 4, 0], 21),
        ([7, 40, 4, 0], 21),
        ([1, 7, 0, 0], 22),
        ([7, 3, 2, 0], 22),
        ([68, 3, 5, 0], 21),
        ([68, 4, 4, 0], 22),
    ] {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&options).udp(1, 2, b""));
        s.expect(
            0,
            &[&format!("10.0.0.1 > 10.0.0.2 icmp parameter-problem {pointer} about 10.0.1.2 quoting 32")],
        );
        s.expect(1, &[]);
    }
}

#[test]
fn unknown_options_and_router_alert_pass() {
    let mut s = router();
    for o in [[148, 4, 0, 0], [0x9f, 4, 1, 2]] {
        s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&o).udp(1, 2, b""));
        assert_eq!(options(&s.frames(1)[0]), o);
    }
}

#[test]
fn later_fragments_carry_the_copied_options_only() {
    let mut s = router();
    s.stack.if_set_mtu(s.ifs[1], 132).unwrap();
    let o = [7, 7, 8, 1, 2, 3, 4, 148, 4, 0, 0, 0];
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").options(&o).raw(17, &[0; 150]));
    let frames = s.frames(1);
    assert_eq!(options(&frames[0]), o);
    assert_eq!(options(&frames[1]), [1, 1, 1, 1, 1, 1, 1, 148, 4, 0, 0, 0]);
    assert_eq!(describe(&frames[1]), "10.0.0.2 > 10.0.1.2 ttl 63 frag 96:54");
}

#[test]
fn the_address_recorded_is_that_of_the_way_taken() {
    let config = StackConfig { forwarding: true, ..StackConfig::default() };
    let mut s = Script::new(config, &["10.0.0.1/24", "10.0.1.1/24", "10.0.2.1/24"]);
    for n in [1, 2] {
        s.neighbour(n, &format!("10.0.{n}.2"));
        s.route("192.0.2.0/24", &format!("10.0.{n}.2"));
    }
    let mut ways = [0; 3];
    for port in 0..40 {
        s.input(0, &Ip::new("10.0.0.2", "192.0.2.1").options(&RECORD).udp(port, 2, b""));
        for n in [1, 2] {
            for frame in s.frames(n) {
                assert_eq!(options(&frame)[..7], [7, 11, 8, 10, 0, n as u8, 1]);
                ways[n] += 1;
            }
        }
    }
    assert!(ways[1] > 8 && ways[2] > 8, "{ways:?}");
}

#[test]
fn what_is_not_forwarded_is_quoted_as_it_came() {
    let mut s = router();
    s.input(0, &Ip::new("10.0.0.2", "10.0.1.2").ttl(1).options(&RECORD).udp(1, 2, b""));
    let frame = &s.frames(0)[0];
    assert_eq!(frame[34 + 8 + 20..][..12], RECORD);
}

#[test]
fn a_sender_records_itself() {
    let mut s = router();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.set_option(s.now, id, SockOpt::IpOptions(RECORD.to_vec())).unwrap();
    let to = SendMeta { to: Some("10.0.1.2:9".parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, b"", &to).unwrap();
    assert_eq!(options(&s.frames(1)[0]), [7, 11, 8, 10, 0, 1, 1, 0, 0, 0, 0, 0]);
    let malformed = SockOpt::IpOptions(vec![7, 40, 4, 0]);
    assert_eq!(s.stack.set_option(s.now, id, malformed), Err(SockError::Invalid));
}

#[test]
fn an_echo_reply_has_the_records_and_nothing_else() {
    let mut s = router();
    let asked = [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 1, 0x9f, 4, 1, 2];
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").options(&asked).echo(1, 1, b""));
    let frame = &s.frames(0)[0];
    assert_eq!(options(frame), [7, 7, 8, 10, 0, 0, 1, 0]);
    assert_eq!(describe(frame), "10.0.0.1 > 10.0.0.2 icmp reply 1.1 len 0");
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").options(&[148, 4, 0, 0]).echo(1, 1, b""));
    assert_eq!(options(&s.frames(0)[0]), [0; 0]);
}

#[test]
fn options_are_looked_at_also_where_there_is_no_address() {
    let mut s = Script::host();
    let config = IfConfig { name: "bare".into(), mac: own_mac(2), mtu: 1500 };
    let bare = s.stack.if_attach(config).unwrap();
    s.stack.if_set_up(s.now, bare, true).unwrap();
    s.ifs.push(bare);
    s.stack.addr_del(s.now, s.ifs[0], "10.0.0.1/24".parse().unwrap()).unwrap();
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:2".parse().unwrap()).unwrap();
    let mut arrive = |o: &[u8]| {
        let ip = Ip::new("10.0.0.2", "255.255.255.255").at_mac(MacAddr::BROADCAST).options(o);
        s.input(1, &ip.udp(1, 2, b""));
        s.stack.ready(id).contains(Ready::READ)
    };
    assert!(!arrive(&[131, 7, 4, 10, 0, 1, 9, 0]));
    assert!(!arrive(&[7, 40, 4, 0]));
    assert!(arrive(&RECORD));
    assert_eq!((s.counter("ipSourceRoute"), s.counter("ipOptionMalformed")), (1, 1));
}

#[test]
fn times_are_of_the_day_where_the_day_is_known() {
    let ask = [68, 8, 5, 0, 0, 0, 0, 0];
    let run = |unix_epoch| {
        let config = StackConfig { unix_epoch, forwarding: true, ..StackConfig::default() };
        let mut s = Script::new(config, &["10.0.0.1/24"]);
        s.neighbour(0, "10.0.0.2");
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").options(&ask).echo(1, 1, b""));
        let echo = s.frames(0).remove(0);
        s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").icmp_raw(13, 0, [0; 4], &[0; 12]));
        let stamp = s.frames(0).remove(0);
        let be32 = |b: &[u8]| u32::from_be_bytes(b.try_into().unwrap());
        assert_eq!(stamp[34 + 12..34 + 16], stamp[34 + 16..34 + 20]);
        (be32(&options(&echo)[4..8]), be32(&stamp[34 + 12..34 + 16]))
    };
    // RFC 791, 792: the highest bit says that it is not milliseconds since midnight UT.
    assert_eq!(run(None), (0x8000_03e8, 0x8000_03e8));
    let noon = netstack::time::Duration::from_secs(20_000 * 86_400 + 43_200);
    assert_eq!(run(Some(noon)), (43_201_000, 43_201_000));
}
