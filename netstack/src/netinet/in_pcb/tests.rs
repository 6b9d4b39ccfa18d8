//! Who gets the packet, who gets the port.

use super::*;

const IF: IfIndex = IfIndex(2);

fn ip(s: &str) -> IpAddr {
    s.parse().expect("an address")
}

fn at(s: &str) -> SocketAddr {
    s.parse().expect("an address and a port")
}

fn binding(addr: &str, port: u16, share: Share) -> Binding {
    Binding { share, ..Binding::exclusive(ip(addr), port) }
}

const ALONE: Share = Share { addr: false, port: false };
const REUSEADDR: Share = Share { addr: true, port: false };
const REUSEPORT: Share = Share { addr: false, port: true };

fn table(receivers: Receivers) -> PcbTable<u32> {
    PcbTable::new(receivers, [1, 2])
}

#[test]
fn a_connection_comes_before_a_listener_and_a_specific_address_before_the_wildcard() {
    let mut t = table(Receivers::Listening);
    for (id, addr) in [(1, "0.0.0.0"), (2, "10.0.0.1")] {
        t.bind(id, binding(addr, 80, REUSEADDR)).expect("free");
    }
    assert_eq!(t.lookup(at("10.0.0.1:80"), at("10.0.0.9:4000"), IF), None, "nobody listens yet");
    assert_eq!(t.listen(1, 80), Ok(()));
    assert_eq!(t.listen(2, 80), Err(SockError::AddrInUse), "one listener for a packet without SO_REUSEPORT");
    t.unbind(1, 80);
    t.listen(2, 80).expect("alone now");
    t.connect(7, at("10.0.0.1:80"), at("10.0.0.9:4000"), REUSEADDR).expect("new");
    assert_eq!(t.lookup(at("10.0.0.1:80"), at("10.0.0.9:4000"), IF), Some(7));
    assert_eq!(t.lookup(at("10.0.0.1:80"), at("10.0.0.9:4001"), IF), Some(2));
    assert_eq!(t.lookup(at("10.0.0.2:80"), at("10.0.0.9:4001"), IF), None);
    assert_eq!(
        t.connect(8, at("10.0.0.1:80"), at("10.0.0.9:4000"), REUSEADDR),
        Err(SockError::AddrNotAvailable)
    );
}

#[test]
fn linux_rules_of_sharing_a_port() {
    // (first, share, listening?, second, share, may the second bind?)
    let cases = [
        ("0.0.0.0", ALONE, false, "0.0.0.0", ALONE, false),
        ("10.0.0.1", ALONE, false, "10.0.0.2", ALONE, true),
        ("0.0.0.0", ALONE, false, "10.0.0.2", ALONE, false),
        ("0.0.0.0", REUSEADDR, false, "10.0.0.2", REUSEADDR, true),
        ("0.0.0.0", REUSEADDR, true, "10.0.0.2", REUSEADDR, false),
        ("0.0.0.0", REUSEADDR, false, "0.0.0.0", ALONE, false),
        ("0.0.0.0", REUSEPORT, true, "0.0.0.0", REUSEPORT, true),
        ("0.0.0.0", REUSEPORT, true, "0.0.0.0", REUSEADDR, false),
        ("::", ALONE, false, "0.0.0.0", ALONE, false),
        ("::", ALONE, false, "10.0.0.1", ALONE, false),
        ("2001:db8::1", ALONE, false, "10.0.0.1", ALONE, true),
    ];
    for (a, share_a, listening, b, share_b, may) in cases {
        let mut t = table(Receivers::Listening);
        t.bind(1, binding(a, 80, share_a)).expect("the first");
        if listening {
            t.listen(1, 80).expect("the first");
        }
        assert_eq!(
            t.bind(2, binding(b, 80, share_b)).is_ok(),
            may,
            "{a} {share_a:?} listening {listening}, then {b} {share_b:?}"
        );
    }
    let mut t = table(Receivers::Listening);
    t.bind(1, Binding { only_v6: true, ..binding("::", 80, ALONE) }).expect("the first");
    assert_eq!(t.bind(2, binding("0.0.0.0", 80, ALONE)), Ok(()), "IPV6_V6ONLY");
}

#[test]
fn accepted_connections_hold_their_port_until_they_end() {
    let mut t = table(Receivers::Listening);
    t.bind(1, binding("0.0.0.0", 80, ALONE)).expect("free");
    t.listen(1, 80).expect("free");
    for port in 1000..1100 {
        t.connect(u32::from(port), at("10.0.0.1:80"), SocketAddr::new(ip("10.0.0.9"), port), ALONE)
            .expect("new");
    }
    t.unbind(1, 80);
    assert_eq!(t.bind(2, binding("0.0.0.0", 80, REUSEADDR)), Err(SockError::AddrInUse));
    for port in 1000..1100 {
        t.disconnect(u32::from(port), at("10.0.0.1:80"), SocketAddr::new(ip("10.0.0.9"), port));
    }
    assert_eq!(t.bind(2, binding("0.0.0.0", 80, ALONE)), Ok(()));
    t.unbind(2, 80);
    assert!(t.ports.is_empty() && t.connected.is_empty(), "nothing is left");
}

#[test]
fn datagrams_go_to_the_connected_socket_then_to_the_latest_bound() {
    let mut t = table(Receivers::Bound);
    for id in [1, 2, 3] {
        t.bind(id, binding("0.0.0.0", 53, REUSEADDR)).expect("shared");
    }
    t.connect(3, at("10.0.0.1:53"), at("10.0.0.9:999"), REUSEADDR).expect("new");
    assert_eq!(t.lookup(at("10.0.0.1:53"), at("10.0.0.9:999"), IF), Some(3));
    assert_eq!(t.lookup(at("10.0.0.1:53"), at("10.0.0.9:998"), IF), Some(2));
    let all: Vec<u32> = t.lookup_all(at("224.0.0.1:53"), at("10.0.0.9:998"), IF).collect();
    assert_eq!(all, [1, 2]);
    t.disconnect(3, at("10.0.0.1:53"), at("10.0.0.9:999"));
    assert_eq!(t.lookup(at("10.0.0.1:53"), at("10.0.0.9:999"), IF), Some(3), "bound still");
    t.rebind(3, 53, |b| b.ifindex = Some(IfIndex(9)));
    assert_eq!(t.lookup(at("10.0.0.1:53"), at("10.0.0.9:999"), IF), Some(2), "SO_BINDTODEVICE");
    assert_eq!(t.lookup(at("10.0.0.1:53"), at("10.0.0.9:999"), IfIndex(9)), Some(3));
}

#[test]
fn reuseport_spreads_peers_over_the_group() {
    let mut t = table(Receivers::Bound);
    for id in 0..4 {
        t.bind(id, binding("0.0.0.0", 53, REUSEPORT)).expect("shared");
    }
    let mut hits = [0u32; 4];
    for port in 1000..2000 {
        let peer = SocketAddr::new(ip("10.0.0.9"), port);
        let id = t.lookup(at("10.0.0.1:53"), peer, IF).expect("one of them");
        assert_eq!(t.lookup(at("10.0.0.1:53"), peer, IF), Some(id), "the same peer, the same socket");
        hits[id as usize] += 1;
    }
    assert!(hits.iter().all(|h| *h > 150), "{hits:?}");
}

#[test]
fn ephemeral_ports_differ_by_destination_and_run_out_with_an_error() {
    let mut t = table(Receivers::Listening);
    t.ephemeral = 50000..=50003;
    let local = ip("10.0.0.1");
    for id in 0..4 {
        let port = t.ephemeral(local, at("10.0.0.2:80"), |_| false).expect("four are there");
        t.connect(id, SocketAddr::new(local, port), at("10.0.0.2:80"), ALONE).expect("new");
    }
    assert_eq!(t.ephemeral(local, at("10.0.0.2:80"), |_| false), Err(SockError::AddrNotAvailable));
    assert!(t.ephemeral(local, at("10.0.0.3:80"), |_| false).is_ok(), "another destination shares the ports");
    assert_eq!(t.bind_any(9, binding("0.0.0.0", 0, ALONE), 77), Err(SockError::AddrInUse));
    t.ephemeral = 50000..=50004;
    assert_eq!(t.bind_any(9, binding("0.0.0.0", 0, ALONE), 77), Ok(50004));
}
