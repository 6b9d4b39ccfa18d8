//! Routers between hosts: many kernels, many wires, one virtual time.

mod world;

use netstack::time::Duration;
use rumpkern::config::{NodeConfig, RouteConfig};
use rumpkern::syscall::{Errno, Family, MsgFlags, PollFd, PollFlags, SockType};
use std::net::{Ipv4Addr, SocketAddr};
use world::{World, interface};

const NONE: MsgFlags = MsgFlags::empty();

fn route(to: &str, via: [u8; 4]) -> RouteConfig {
    let via = Some(Ipv4Addr::from(via).into());
    RouteConfig { to: to.parse().unwrap(), via, dev: None, metric: 0, proto: "static".into() }
}

/// h1 (10.0.0.1) — r1 … rN — h2 (10.0.N.254); wire i is 10.0.i.0/24, .254 is its right end.
fn chain(routers: u8) -> World {
    let mut world = World::default();
    let (left, right) = (|i: u8| format!("10.0.{i}.1/24"), |i: u8| format!("10.0.{i}.254/24"));
    let wire = |i: u8| format!("wire{i}");
    world.add(NodeConfig {
        node: "h1".into(),
        interfaces: vec![interface("eth0", &wire(0), 1, &left(0))],
        routes: vec![route("0.0.0.0/0", [10, 0, 0, 254])],
        ..NodeConfig::default()
    });
    for i in 0..routers {
        let mut routes: Vec<_> = (0..i).map(|n| route(&format!("10.0.{n}.0/24"), [10, 0, i, 1])).collect();
        routes.extend((i + 2..=routers).map(|n| route(&format!("10.0.{n}.0/24"), [10, 0, i + 1, 254])));
        world.add(NodeConfig {
            node: format!("r{i}"),
            forward: true,
            interfaces: vec![
                interface("eth0", &wire(i), 2 * i + 2, &right(i)),
                interface("eth1", &wire(i + 1), 2 * i + 3, &left(i + 1)),
            ],
            routes,
            ..NodeConfig::default()
        });
    }
    world.add(NodeConfig {
        node: "h2".into(),
        interfaces: vec![interface("eth0", &wire(routers), 250, &right(routers))],
        routes: vec![route("0.0.0.0/0", [10, 0, routers, 1])],
        ..NodeConfig::default()
    });
    world
}

#[test]
fn a_stream_crosses_ten_routers() {
    let world = chain(10);
    let server = world.spawn(11, async |sys| {
        let listener = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(listener, SocketAddr::from(([0, 0, 0, 0], 80))).unwrap();
        sys.listen(listener, 1).unwrap();
        let (fd, peer) = sys.accept(listener).await.unwrap();
        let mut octets = 0;
        let mut buffer = vec![0; 65536];
        loop {
            match sys.recv(fd, &mut buffer, NONE).await.unwrap() {
                0 => return (octets, peer.ip()),
                n => octets += n,
            }
        }
    });
    let client = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.connect(fd, SocketAddr::from(([10, 0, 10, 254], 80))).await.unwrap();
        sys.write_all(fd, &vec![7; 1_000_000]).await.unwrap();
        sys.close(fd).unwrap();
    });
    assert_eq!(world.result(&server), (1_000_000, Ipv4Addr::new(10, 0, 0, 1).into()));
    world.result(&client);
    // Nobody on the way parts what left together.
    let hops =
        world.ether.log.borrow().iter().filter(|(_, frame)| frame.len() == world.ether.longest.get()).count();
    assert!(
        world.ether.longest.get() > 10_000 && hops >= 11,
        "{} octets, {hops} times",
        world.ether.longest.get()
    );
}

/// A wire without offload carries single segments, whoever sends: here two routers from one that has it.
#[test]
fn a_wire_without_offload_gets_segments_of_what_comes_from_one_with_it() {
    let mut world = World::default();
    let plain = |mut config: rumpkern::config::InterfaceConfig| {
        config.offload = false;
        config
    };
    world.add(NodeConfig {
        node: "h1".into(),
        interfaces: vec![interface("eth0", "left", 1, "10.0.0.1/24")],
        routes: vec![route("0.0.0.0/0", [10, 0, 0, 254])],
        ..NodeConfig::default()
    });
    world.add(NodeConfig {
        node: "r".into(),
        forward: true,
        interfaces: vec![
            interface("eth0", "left", 2, "10.0.0.254/24"),
            plain(interface("eth1", "right", 3, "10.0.1.1/24")),
        ],
        ..NodeConfig::default()
    });
    world.add(NodeConfig {
        node: "h2".into(),
        interfaces: vec![plain(interface("eth0", "right", 4, "10.0.1.254/24"))],
        routes: vec![route("0.0.0.0/0", [10, 0, 1, 1])],
        ..NodeConfig::default()
    });
    let server = world.spawn(2, async |sys| {
        let listener = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(listener, SocketAddr::from(([0, 0, 0, 0], 80))).unwrap();
        sys.listen(listener, 1).unwrap();
        let (fd, _) = sys.accept(listener).await.unwrap();
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65536]);
        loop {
            match sys.recv(fd, &mut buffer, NONE).await.unwrap() {
                0 => return all,
                n => all.extend_from_slice(&buffer[..n]),
            }
        }
    });
    let sent: Vec<u8> = (0..300_000_u32).map(|n| (n / 7) as u8).collect();
    let octets = sent.clone();
    let client = world.spawn(0, async move |sys| {
        let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.connect(fd, SocketAddr::from(([10, 0, 1, 254], 80))).await.unwrap();
        sys.write_all(fd, &octets).await.unwrap();
        sys.close(fd).unwrap();
    });
    assert!(world.result(&server) == sent);
    world.result(&client);
    let from = |mac: u8| {
        let log = world.ether.log.borrow();
        log.iter().filter(|(_, frame)| frame[11] == mac).map(|(_, frame)| frame.len()).max()
    };
    assert!(from(1).is_some_and(|longest| longest > 10_000), "{:?}", from(1));
    assert_eq!(from(3), Some(1514));
}

#[test]
fn the_first_datagram_survives_the_neighbours_being_asked_on_every_hop() {
    let world = chain(20);
    let server = world.spawn(21, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.bind(fd, SocketAddr::from(([0, 0, 0, 0], 9))).unwrap();
        let mut buffer = [0; 10];
        let meta = sys.recvmsg(fd, &mut buffer, NONE).await.unwrap();
        (meta.len, meta.ttl)
    });
    world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"hello", NONE, SocketAddr::from(([10, 0, 20, 254], 9))).await.unwrap();
    });
    assert_eq!(world.result(&server), (5, 64 - 20));
}

#[test]
fn a_refusal_comes_back_through_the_router() {
    let world = chain(1);
    let run = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.connect(fd, SocketAddr::from(([10, 0, 1, 254], 9))).await.unwrap();
        sys.send(fd, b"hello", NONE).await.unwrap();
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        assert_eq!(sys.poll(&mut fds, Some(Duration::from_secs(1))).await, Ok(1));
        assert!(fds[0].revents.contains(PollFlags::ERR));
        sys.recv(fd, &mut [0; 10], NONE).await
    });
    assert_eq!(world.result(&run), Err(Errno::ECONNREFUSED));
}
