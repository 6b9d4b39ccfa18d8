//! UDP-Lite: what its checksum covers, and that it is not UDP.

use crate::harness::*;
use netstack::SockError;
use netstack::socket::{Family, RecvFlags, SendMeta, SockOpt, SockOptName, SockType, SocketId};
use netstack::wire::checksum::Sum;
use std::net::{IpAddr, SocketAddr};

const UDPLITE: u8 = 136;

fn lite(s: &mut Script, family: Family) -> SocketId {
    s.stack.socket(family, SockType::Dgram, UDPLITE).unwrap()
}

fn bound(s: &mut Script, addr: &str) -> SocketId {
    let addr: SocketAddr = addr.parse().unwrap();
    let id = lite(s, Family::of(addr.ip()));
    s.stack.bind(s.now, id, addr).unwrap();
    id
}

fn send(s: &mut Script, id: SocketId, data: &[u8], to: &str) -> Result<usize, SockError> {
    let meta = SendMeta { to: Some(to.parse().unwrap()), ..SendMeta::default() };
    s.stack.send(s.now, id, data, &meta)
}

fn heard(s: &mut Script, id: SocketId) -> Result<Vec<u8>, SockError> {
    let mut buf = [0; 2000];
    s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).map(|m| buf[..m.len].to_vec())
}

/// A datagram from 10.0.0.2 port 7 to 10.0.0.1 port 9, its checksum computed over `covered` octets of it.
fn datagram(coverage: u16, covered: usize, data: &[u8]) -> Vec<u8> {
    let mut octets = [&[0, 7, 0, 9], &coverage.to_be_bytes()[..], &[0, 0], data].concat();
    let [src, dst] = ["10.0.0.2", "10.0.0.1"].map(|a| a.parse::<IpAddr>().unwrap());
    let sum = Sum::pseudo_header(src, dst, UDPLITE, octets.len()).add(&octets[..covered]).finish();
    octets[6..8].copy_from_slice(&sum.to_be_bytes());
    octets
}

fn arrive(s: &mut Script, octets: &[u8]) {
    s.input(0, &Ip::new("10.0.0.2", "10.0.0.1").raw(UDPLITE, octets));
}

#[test]
fn what_is_not_covered_may_be_damaged() {
    let mut s = Script::host();
    let id = bound(&mut s, "0.0.0.0:9");
    let mut octets = datagram(12, 12, b"headtail");
    octets[12] ^= 0x20;
    arrive(&mut s, &octets);
    assert_eq!(heard(&mut s, id), Ok(b"headTail".to_vec()));
    octets[11] ^= 0x20;
    arrive(&mut s, &octets);
    assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
    assert_eq!((s.counter("udpliteInErrors"), s.counter("udpliteChecksum")), (1, 1));
    // 0, and the length itself: all of it.
    for coverage in [0, 16] {
        let mut octets = datagram(coverage, 16, b"headtail");
        arrive(&mut s, &octets);
        assert_eq!(heard(&mut s, id), Ok(b"headtail".to_vec()));
        octets[15] ^= 1;
        arrive(&mut s, &octets);
        assert_eq!(heard(&mut s, id), Err(SockError::WouldBlock));
    }
    assert_eq!((s.counter("udpliteInDatagrams"), s.counter("udpliteChecksum")), (3, 3));
}

#[test]
fn a_coverage_in_the_header_or_behind_the_end_is_malformed() {
    let mut s = Script::host();
    let id = bound(&mut s, "0.0.0.0:9");
    for (coverage, covered) in [(1, 1), (7, 7), (17, 16), (u16::MAX, 16)] {
        arrive(&mut s, &datagram(coverage, covered, b"headtail"));
    }
    arrive(&mut s, &datagram(8, 8, b"headtail")[..7]);
    assert_eq!(s.counter("udpliteMalformed"), 5);
    arrive(&mut s, &datagram(8, 8, b"headtail"));
    assert_eq!(heard(&mut s, id), Ok(b"headtail".to_vec()));
}

#[test]
fn there_always_is_a_checksum() {
    let mut s = Script::host();
    bound(&mut s, "0.0.0.0:9");
    let mut octets = datagram(8, 8, b"x");
    octets[6..8].fill(0);
    arrive(&mut s, &octets);
    assert_eq!(s.counter("udpliteChecksum"), 1);
}

#[test]
fn a_socket_says_how_much_must_be_covered() {
    let mut s = Script::host();
    let id = bound(&mut s, "0.0.0.0:9");
    // Which coverages are taken, 0 that of all 16 octets.
    let taken = |s: &mut Script| {
        [8, 11, 12, 15, 16, 0].map(|coverage| {
            let covered = if coverage == 0 { 16 } else { coverage.into() };
            arrive(s, &datagram(coverage, covered, b"headtail"));
            heard(s, id).is_ok()
        })
    };
    assert_eq!(taken(&mut s), [true; 6]);
    s.stack.set_option(s.now, id, SockOpt::RecvCoverage(12)).unwrap();
    assert_eq!(taken(&mut s), [false, false, true, true, true, true]);
    s.stack.set_option(s.now, id, SockOpt::RecvCoverage(0)).unwrap();
    assert_eq!(taken(&mut s), [false, false, false, false, true, true]);
    assert_eq!((s.counter("udpliteCoverage"), s.counter("udpliteInErrors")), (6, 6));
    // Less than the header there cannot be.
    s.stack.set_option(s.now, id, SockOpt::RecvCoverage(3)).unwrap();
    assert_eq!(s.stack.option(id, SockOptName::RecvCoverage), Ok(SockOpt::RecvCoverage(8)));
}

#[test]
fn what_is_sent_is_covered_as_asked() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    let id = bound(&mut s, "0.0.0.0:9");
    let [src, dst] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse::<IpAddr>().unwrap());
    for (asked, coverage) in [(None, 16), (Some(12), 12), (Some(8), 8), (Some(100), 16), (Some(0), 16)] {
        if let Some(asked) = asked {
            s.stack.set_option(s.now, id, SockOpt::SendCoverage(asked)).unwrap();
        }
        send(&mut s, id, b"headtail", "10.0.0.2:7").unwrap();
        let frame = s.frames(0).pop().unwrap();
        let datagram = &frame[34..];
        assert_eq!((frame[23], datagram.len()), (UDPLITE, 16));
        let said = u16::from_be_bytes([datagram[4], datagram[5]]);
        let covered = if said == 0 { 16 } else { said };
        assert_eq!(covered, coverage, "{asked:?}");
        let sum = Sum::pseudo_header(src, dst, UDPLITE, 16).add(&datagram[..covered.into()]);
        assert!(sum.is_valid() && datagram[6..8] != [0, 0], "{asked:?}");
    }
    assert_eq!(s.counter("udpliteOutDatagrams"), 5);
}

#[test]
fn its_ports_are_not_those_of_udp() {
    let mut s = Script::host();
    for addr in ["127.0.0.1:9", "[::1]:9"] {
        let addr_of: SocketAddr = addr.parse().unwrap();
        let heavy = s.stack.socket(Family::of(addr_of.ip()), SockType::Dgram, 0).unwrap();
        s.stack.bind(s.now, heavy, addr_of).unwrap();
        let id = bound(&mut s, addr);
        let sender = lite(&mut s, Family::of(addr_of.ip()));
        send(&mut s, sender, b"lite", addr).unwrap();
        assert_eq!(heard(&mut s, heavy), Err(SockError::WouldBlock), "{addr}");
        assert_eq!(heard(&mut s, id), Ok(b"lite".to_vec()), "{addr}");
        let again = lite(&mut s, Family::of(addr_of.ip()));
        assert_eq!(s.stack.bind(s.now, again, addr_of), Err(SockError::AddrInUse));
        s.stack.close(s.now, id).unwrap();
        assert_eq!(s.stack.bind(s.now, again, addr_of), Ok(()));
    }
    assert_eq!(s.counter("udpInDatagrams"), 0);
}

#[test]
fn nobody_at_the_port() {
    let mut s = Script::host();
    s.neighbour(0, "10.0.0.2");
    arrive(&mut s, &datagram(8, 8, b"headtail"));
    s.expect(0, &["10.0.0.1 > 10.0.0.2 icmp unreachable 3 about 10.0.0.1 quoting 36"]);
    assert_eq!((s.counter("udpliteNoPorts"), s.counter("udpNoPorts")), (1, 0));
    // And the other way round: who is connected hears of it.
    for (family, addr) in [(Family::Inet, "127.0.0.1:9"), (Family::Inet6, "[::1]:9")] {
        let id = lite(&mut s, family);
        s.stack.connect(s.now, id, addr.parse().unwrap()).unwrap();
        send(&mut s, id, b"x", addr).unwrap();
        assert_eq!(s.stack.take_error(id), Some(SockError::ConnRefused), "{addr}");
    }
}
