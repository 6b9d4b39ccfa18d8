//! Equal paths seen from a sender: everything that is asked about a flow speaks of the way it goes.

use crate::harness::*;
use netstack::SocketId;
use netstack::socket::{Family, SendMeta, SockOpt, SockOptName, SockType};
use netstack::stack::StackConfig;
use netstack::time::Duration;

/// A host with two ways to everywhere, of which the second takes 1000 octets.
fn two_ways() -> Script {
    let mut s = Script::new(StackConfig::default(), &["10.0.0.1/24", "10.0.1.1/24"]);
    s.neighbour(0, "10.0.0.2");
    s.neighbour(1, "10.0.1.2");
    s.route("0.0.0.0/0", "10.0.0.2");
    s.route("0.0.0.0/0", "10.0.1.2");
    s.stack.if_set_mtu(s.ifs[1], 1000).unwrap();
    s
}

/// By which interface the one frame that waits goes.
fn out(s: &mut Script) -> usize {
    match (s.frames(0).len(), s.frames(1).len()) {
        (1, 0) => 0,
        (0, 1) => 1,
        other => panic!("{other:?}"),
    }
}

const MTU: [u32; 2] = [1500, 1000];

#[test]
fn a_connected_datagram_socket_knows_the_mtu_of_its_way() {
    let mut s = two_ways();
    let mut ways = [0; 2];
    for n in 0..40 {
        let id: SocketId = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        s.stack.connect(s.now, id, format!("192.0.2.{n}:9").parse().unwrap()).unwrap();
        s.stack.send(s.now, id, b"", &SendMeta::default()).unwrap();
        let way = out(&mut s);
        ways[way] += 1;
        assert_eq!(s.stack.option(id, SockOptName::Mtu), Ok(SockOpt::Mtu(MTU[way])), "to {n}");
    }
    assert!(ways[0] > 8 && ways[1] > 8, "{ways:?}");
}

#[test]
fn the_first_datagram_of_an_unbound_socket_goes_as_the_next() {
    let mut s = two_ways();
    for n in 0..40 {
        let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        let to = SendMeta { to: Some(format!("192.0.2.{n}:9").parse().unwrap()), ..SendMeta::default() };
        let mut send = || {
            s.stack.send(s.now, id, b"", &to).unwrap();
            out(&mut s)
        };
        assert_eq!(send(), send(), "to {n}");
    }
}

#[test]
fn a_stream_knows_the_mtu_of_its_way() {
    let mut s = two_ways();
    let mut ways = [0; 2];
    for n in 0..40 {
        let id = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
        let _ = s.stack.connect(s.now, id, format!("192.0.2.{n}:9").parse().unwrap());
        s.pass(Duration::from_millis(1));
        let way = out(&mut s);
        ways[way] += 1;
        assert_eq!(s.stack.tcp_info(id).unwrap().pmtu, MTU[way], "to {n}");
    }
    assert!(ways[0] > 8 && ways[1] > 8, "{ways:?}");
}
