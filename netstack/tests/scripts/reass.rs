//! Reassembly: order, overlaps, time, limits (RFC 791 §3.2, 1122 §3.3.2, 5722).

use crate::harness::*;
use netstack::SocketId;
use netstack::socket::{Family, SockType};
use netstack::stack::{ReassConfig, StackConfig};
use netstack::time::Duration;
use proptest::prelude::*;

fn listening(config: StackConfig) -> (Script, SocketId) {
    let mut s = Script::new(config, &["10.0.0.1/24"]);
    s.neighbour(0, "10.0.0.2");
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:9".parse().unwrap()).unwrap();
    (s, id)
}

/// A datagram of `len` octets of data to port 9, as IP payload.
fn datagram(len: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..len).map(|i| (i * 7 + i / 251) as u8).collect();
    Ip::new("10.0.0.2", "10.0.0.1").udp_octets(5, 9, &data)
}

/// Octets `at..end` of `payload` as a fragment.
fn fragment(id: u16, payload: &[u8], at: usize, end: usize) -> Vec<u8> {
    let more = end < payload.len();
    Ip::new("10.0.0.2", "10.0.0.1").fragment(id, at as u16, more).raw(17, &payload[at..end])
}

fn received(s: &mut Script, id: SocketId) -> Option<Vec<u8>> {
    let mut buf = vec![0; 70_000];
    let meta = s.stack.recv(s.now, id, &mut buf, Default::default()).ok()?;
    Some(buf[..meta.len].to_vec())
}

#[test]
fn any_order_makes_the_whole() {
    let (mut s, id) = listening(StackConfig::default());
    let whole = datagram(3000);
    let cuts = [(0, 1480), (1480, 2960), (2960, 3008)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for i in order {
            assert_eq!(received(&mut s, id), None);
            s.input(0, &fragment(1, &whole, cuts[i].0, cuts[i].1));
        }
        assert_eq!(received(&mut s, id).as_deref(), Some(&whole[8..]));
        assert_eq!(s.stack.poll_timeout(), None, "the timer is disarmed");
    }
    assert_eq!((s.counter("ipReasmReqds"), s.counter("ipReasmOKs"), s.counter("ipReasmFails")), (18, 6, 0));
}

#[test]
fn an_exact_duplicate_is_ignored_and_an_overlap_kills_the_datagram() {
    let (mut s, id) = listening(StackConfig::default());
    let whole = datagram(200);
    s.input(0, &fragment(1, &whole, 0, 104));
    s.input(0, &fragment(1, &whole, 0, 104));
    s.input(0, &fragment(1, &whole, 104, 208));
    assert_eq!(received(&mut s, id).as_deref(), Some(&whole[8..]));
    assert_eq!(s.counter("reassDuplicate"), 1);
    for (at, end) in [(96, 208), (0, 112), (8, 16)] {
        s.input(0, &fragment(2, &whole, 0, 104));
        s.input(0, &fragment(2, &whole, at, end));
        // Killed: what completes it comes too late, and times out by itself.
        s.input(0, &fragment(2, &whole, 104, 208));
        assert_eq!(received(&mut s, id), None);
        s.pass(Duration::from_secs(30));
        s.frames(0);
    }
}

#[test]
fn two_ends_contradict_each_other() {
    let (mut s, id) = listening(StackConfig::default());
    let whole = datagram(200);
    s.input(0, &fragment(1, &whole, 104, 208));
    let longer = [&whole[..], &[0; 8]].concat();
    s.input(0, &fragment(1, &longer, 208, 216));
    s.input(0, &fragment(1, &whole, 0, 104));
    assert_eq!(received(&mut s, id), None);
    assert_eq!(s.counter("reassOverlap"), 2);
}

#[test]
fn time_runs_out_and_is_told_if_the_first_fragment_came() {
    let (mut s, _) = listening(StackConfig::default());
    let whole = datagram(200);
    s.input(0, &fragment(1, &whole, 0, 104));
    s.pass(Duration::from_secs(29));
    s.expect(0, &[]);
    s.pass(Duration::from_secs(1));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp time-exceeded 1 about 10.0.0.1 quoting 124"]);
    s.input(0, &fragment(1, &whole, 104, 208));
    s.pass(Duration::from_secs(30));
    s.expect(0, &[]);
    assert_eq!((s.counter("reassTimeout"), s.counter("ipReasmFails")), (2, 2));
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn nobody_hears_of_a_broadcast_that_was_not_whole() {
    let (mut s, _) = listening(StackConfig::default());
    for dst in ["10.0.0.255", "255.255.255.255"] {
        let ip = Ip::new("10.0.0.2", dst).at_mac(netstack::net::MacAddr::BROADCAST);
        s.input(0, &ip.fragment(1, 0, true).raw(17, &[0; 104]));
    }
    s.pass(Duration::from_secs(30));
    s.expect(0, &[]);
    assert_eq!(s.counter("reassTimeout"), 2);
}

#[test]
fn marks_of_congestion_are_combined() {
    // RFC 3168 §5.3; the table is Linux's.
    const NOT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
    for (marks, whole) in [
        ([NOT, NOT], Some(NOT)),
        ([ECT_0, ECT_0], Some(ECT_0)),
        ([ECT_0, ECT_1], Some(ECT_0)),
        ([ECT_0, CE], Some(CE)),
        ([CE, ECT_0], Some(CE)),
        ([ECT_1, CE], Some(CE)),
        ([CE, CE], Some(CE)),
        ([NOT, CE], None),
        ([CE, NOT], None),
        ([ECT_0, NOT], None),
        ([NOT, ECT_1], None),
    ] {
        let (mut s, id) = listening(StackConfig::default());
        let octets = datagram(200);
        for (mark, (at, end)) in marks.into_iter().zip([(0, 104), (104, 208)]) {
            let mut frame = fragment(1, &octets, at, end);
            frame[15] = 0xb8 | mark;
            frame[24..26].fill(0);
            let sum = netstack::wire::checksum::checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            s.input(0, &frame);
        }
        let mut buf = [0; 300];
        let seen = s.stack.recv(s.now, id, &mut buf, Default::default()).map(|m| m.tos);
        assert_eq!(seen.ok(), whole.map(|w| 0xb8 | w), "{marks:?}");
        assert_eq!(s.counter("ipReasmFails"), u64::from(whole.is_none()), "{marks:?}");
    }
}

#[test]
fn fragments_may_come_by_several_interfaces() {
    let mut s = Script::new(StackConfig::default(), &["10.0.0.1/24", "10.0.1.1/24"]);
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, id, "0.0.0.0:9".parse().unwrap()).unwrap();
    let whole = datagram(200);
    s.input(0, &fragment(1, &whole, 0, 104));
    let mut second = fragment(1, &whole, 104, 208);
    second[..6].copy_from_slice(&own_mac(2).0);
    s.input(1, &second);
    assert_eq!(received(&mut s, id).as_deref(), Some(&whole[8..]));
}

#[test]
fn malformed_fragments() {
    let (mut s, _) = listening(StackConfig::default());
    let ip = || Ip::new("10.0.0.2", "10.0.0.1");
    // Not a multiple of eight, empty, past the end of the largest packet (the ping of death).
    s.input(0, &ip().fragment(1, 0, true).raw(17, &[0; 12]));
    s.input(0, &ip().fragment(2, 8, false).raw(17, &[]));
    s.input(0, &ip().fragment(3, 65_528, false).raw(17, &[0; 400]));
    assert_eq!(s.counter("reassMalformed"), 3);
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn limits_put_out_the_oldest() {
    let reass = ReassConfig { datagrams: 10, octets: 20_000, ..ReassConfig::default() };
    let (mut s, id) = listening(StackConfig { reass, ..StackConfig::default() });
    let whole = datagram(1000);
    for n in 0..100 {
        s.input(0, &fragment(n, &whole, 0, 504));
    }
    assert_eq!(s.counter("reassLimit"), 90);
    // The latest ten are still there.
    s.input(0, &fragment(89, &whole, 504, 1008));
    assert_eq!(received(&mut s, id), None);
    s.input(0, &fragment(95, &whole, 504, 1008));
    assert_eq!(received(&mut s, id).as_deref(), Some(&whole[8..]));
}

#[test]
fn fragments_of_different_datagrams_do_not_mix() {
    let (mut s, id) = listening(StackConfig::default());
    let (a, b) = (datagram(200), datagram(300));
    s.input(0, &fragment(1, &a, 0, 104));
    s.input(0, &fragment(2, &b, 0, 104));
    s.input(0, &fragment(2, &b, 104, 308));
    assert_eq!(received(&mut s, id).as_deref(), Some(&b[8..]));
    s.input(0, &fragment(1, &a, 104, 208));
    assert_eq!(received(&mut s, id).as_deref(), Some(&a[8..]));
}

/// What reassembly must do with fragments (begin, end, more) of one datagram, octet by octet.
#[derive(Default)]
struct Model {
    parts: Vec<(usize, usize, bool)>,
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Wait,
    Whole,
    Killed,
}

impl Model {
    fn input(&mut self, part: (usize, usize, bool)) -> Outcome {
        if self.parts.contains(&part) {
            return Outcome::Wait;
        }
        let end = |parts: &[(usize, usize, bool)]| parts.iter().find(|p| !p.2).map(|p| p.1);
        let overlap = self.parts.iter().any(|p| p.0 < part.1 && part.0 < p.1);
        let past = match (end(&self.parts), part.2) {
            (Some(e), true) => part.1 > e,
            (Some(_), false) => true,
            (None, true) => false,
            (None, false) => self.parts.iter().any(|p| p.1 > part.1),
        };
        if overlap || past {
            self.parts.clear();
            return Outcome::Killed;
        }
        self.parts.push(part);
        let have: usize = self.parts.iter().map(|p| p.1 - p.0).sum();
        if end(&self.parts) == Some(have) {
            self.parts.clear();
            return Outcome::Whole;
        }
        Outcome::Wait
    }
}

proptest! {
    #[test]
    fn random_fragments_do_as_the_model(parts in prop::collection::vec((0usize..6, 1usize..4, any::<bool>()), 1..30)) {
        let (mut s, _) = listening(StackConfig::default());
        let raw = s.stack.socket(Family::Inet, SockType::Raw, 99).unwrap();
        let mut model = Model::default();
        for (begin, len, more) in parts {
            let (at, end) = (begin * 8, (begin + len) * 8);
            // Fragments of "everything" are no fragments.
            prop_assume!(at != 0 || more);
            let payload: Vec<u8> = (at..end).map(|o| o as u8).collect();
            let before = s.counter("reassOverlap");
            s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").fragment(7, at as u16, more).raw(99, &payload));
            let mut buf = [0; 200];
            let seen = match s.stack.recv(s.now, raw, &mut buf, Default::default()) {
                Ok(m) => {
                    let data = &buf[20..m.len];
                    prop_assert!(data.iter().enumerate().all(|(i, o)| i as u8 == *o));
                    Outcome::Whole
                }
                Err(_) if s.counter("reassOverlap") > before => Outcome::Killed,
                Err(_) => Outcome::Wait,
            };
            prop_assert_eq!(seen, model.input((at, end, more)));
        }
    }
}
