//! Router advertisements as a node's configuration says them, and what hosts take of them.

mod world;

use netstack::time::Duration;
use netstack::wire::ndp::{PrefixInfo, option};
use netstack::wire::ndp_router::{self, RouterAdvert};
use rumpkern::config::{
    Dad, InterfaceConfig, Ipv6Config, NodeConfig, Preference, PrefixConfig, Privacy, RaConfig,
};
use rumpkern::vfs;
use world::{World, interface};

/// The octets of an advertisement behind its checksum, and when it was sent.
fn adverts(world: &World) -> Vec<(Duration, Vec<u8>)> {
    let log = world.ether.log.borrow();
    // Ethernet, IPv6, ICMPv6's first four octets.
    let is_one = |frame: &[u8]| frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 134;
    let seen = log.iter().filter(|(_, frame)| is_one(frame));
    seen.map(|(at, frame)| (at.since(netstack::time::Instant::ZERO), frame[58..].to_vec())).collect()
}

fn router(ra: RaConfig) -> World {
    let mut world = World::default();
    let ipv6 = Ipv6Config { dad: Dad::Off, ra: Some(ra), ..Ipv6Config::default() };
    world.add(NodeConfig {
        lab: "test".into(),
        node: "r1".into(),
        forward: true,
        interfaces: vec![InterfaceConfig { ipv6: Some(ipv6), ..interface("eth0", "lan", 1, "fd00::1/64") }],
        ..NodeConfig::default()
    });
    world
}

#[test]
fn what_the_configuration_says_is_advertised() {
    let prefix = PrefixConfig {
        prefix: "fd00::/64".parse().unwrap(),
        onlink: true,
        autonomous: false,
        valid: u32::MAX,
        preferred: 14_400,
    };
    let world = router(RaConfig {
        prefixes: vec![prefix],
        lifetime: 12,
        mtu: Some(1400),
        rdnss: vec!["fd00::53".parse().unwrap()],
        rdnss_lifetime: 8,
        preference: Preference::Low,
        interval_ms: 4000,
        min_interval_ms: 3000,
        managed: true,
        other: false,
        hop_limit: 32,
        reachable_ms: 30_000,
        retrans_ms: 500,
    });
    world.run_until(|| world.now().since(netstack::time::Instant::ZERO) >= Duration::from_secs(60));
    let adverts = adverts(&world);
    let (_, body) = &adverts[0];
    let want = RouterAdvert {
        hop_limit: 32,
        managed: true,
        other: false,
        preference: ndp_router::Preference::Low,
        lifetime: 12,
        reachable_ms: 30_000,
        retrans_ms: 500,
    };
    assert_eq!(RouterAdvert::parse(body), Ok(want));
    let options = |kind| RouterAdvert::options(body).filter(move |o| o.kind == kind).map(|o| o.body.to_vec());
    let prefixes: Vec<_> = options(option::PREFIX).map(|body| PrefixInfo::parse(&body).unwrap()).collect();
    let want = PrefixInfo {
        prefix: "fd00::".parse().unwrap(),
        len: 64,
        on_link: true,
        autonomous: false,
        valid: u32::MAX,
        preferred: 14_400,
    };
    assert_eq!(prefixes, [want]);
    assert!(options(option::MTU).next().is_some_and(|body| body.ends_with(&1400u32.to_be_bytes())));
    // Two octets that are reserved, the lifetime, the address.
    let servers: Vec<_> = options(option::RDNSS).collect();
    let mut want = vec![0, 0, 0, 0, 0, 8];
    want.extend("fd00::53".parse::<std::net::Ipv6Addr>().unwrap().octets());
    assert_eq!(servers, [want]);
    // They keep their intervals.
    let apart: Vec<_> = adverts.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(adverts.len() >= 14, "{apart:?}");
    let within = |apart: &Duration| (Duration::from_secs(3)..=Duration::from_secs(4)).contains(apart);
    assert!(apart.iter().all(within), "{apart:?}");
}

#[test]
fn hosts_take_what_is_advertised_if_they_are_told_to() {
    let prefix = PrefixConfig {
        prefix: "fd00::/64".parse().unwrap(),
        onlink: true,
        autonomous: true,
        valid: 86_400,
        preferred: 14_400,
    };
    let mut world = router(RaConfig {
        prefixes: vec![prefix],
        lifetime: 1800,
        mtu: None,
        rdnss: Vec::new(),
        rdnss_lifetime: 0,
        preference: Preference::Medium,
        interval_ms: 600_000,
        min_interval_ms: 200_000,
        managed: false,
        other: false,
        hop_limit: 64,
        reachable_ms: 0,
        retrans_ms: 0,
    });
    for (mac, slaac, privacy) in
        [(2, true, Privacy::Eui64), (3, true, Privacy::Temporary), (4, false, Privacy::Eui64)]
    {
        let ipv6 = Ipv6Config { slaac, privacy, dad: Dad::Off, ra: None };
        let eth0 = InterfaceConfig {
            addresses: Vec::new(),
            ipv6: Some(ipv6),
            ..interface("eth0", "lan", mac, "::/128")
        };
        world.add(NodeConfig {
            lab: "test".into(),
            node: format!("h{mac}"),
            interfaces: vec![eth0],
            ..NodeConfig::default()
        });
    }
    let begin = world.now();
    world.run_until(|| world.now().since(begin) >= Duration::from_secs(3));
    let global = |n: usize| {
        world.kernels[n].with_stack(|stack, _| {
            let eth0 = stack.interface(stack.if_by_name("eth0").unwrap()).unwrap();
            let all = eth0.addrs().iter().filter(|net| net.to_string().starts_with("fd00:"));
            all.map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    let way = |n: usize| {
        world.kernels[n].with_stack(|stack, _| stack.way("2001:db8::1".parse().unwrap(), None).is_ok())
    };
    assert_eq!((global(1), way(1)), (vec!["fd00::ff:fe00:2/64".to_owned()], true));
    // A stable one, and one for a time.
    assert_eq!((global(2).len(), way(2)), (2, true));
    assert_eq!((global(3), way(3)), (Vec::new(), false));
}

/// As Linux has it in `/proc/net`, in `/proc/sys/net/ipv6`, and while an interface is down.
#[test]
fn what_is_told_stands_in_the_files_of_proc() {
    let prefix = PrefixConfig {
        prefix: "fd00::/64".parse().unwrap(),
        onlink: true,
        autonomous: true,
        valid: 86_400,
        preferred: 14_400,
    };
    let mut world = router(RaConfig {
        prefixes: vec![prefix],
        lifetime: 1800,
        mtu: Some(1400),
        rdnss: Vec::new(),
        rdnss_lifetime: 0,
        preference: Preference::High,
        interval_ms: 600_000,
        min_interval_ms: 200_000,
        managed: false,
        other: false,
        hop_limit: 77,
        reachable_ms: 20_000,
        retrans_ms: 500,
    });
    let ipv6 = Ipv6Config { slaac: true, privacy: Privacy::Eui64, dad: Dad::Off, ra: None };
    let eth0 =
        InterfaceConfig { addresses: Vec::new(), ipv6: Some(ipv6), ..interface("eth0", "lan", 2, "::/128") };
    let host = world.add(NodeConfig {
        lab: "test".into(),
        node: "h".into(),
        interfaces: vec![eth0],
        ..NodeConfig::default()
    });
    let begin = world.now();
    world.run_until(|| world.now().since(begin) >= Duration::from_secs(3));
    let text = |path: &str| match vfs::open(&host, path.as_bytes()) {
        Some(Ok(vfs::Opened::Octets(octets))) => String::from_utf8(octets).unwrap(),
        other => panic!("{path}: {other:?}"),
    };
    host.with_stack(|stack, _| {
        let unreachable = netstack::net::route::RouteKind::Unreachable;
        let route = netstack::net::route::Route::special("fd09::/16".parse().unwrap(), unreachable);
        stack.route_add(route).unwrap();
    });
    let router = host.with_stack(|stack, _| {
        let heard = stack.ra_routes(stack.if_by_name("eth0").unwrap()).next().unwrap();
        format!("{:032x}", heard.router.to_bits())
    });
    // RTF_UP | RTF_GATEWAY | RTF_DEFAULT | RTF_ADDRCONF | RTF_EXPIRES, a high preference; of the prefix RTF_PREFIX_RT.
    let zero = "0".repeat(32);
    let want = [
        format!("{zero} 00 {zero} 00 {router} 00000400 00000001 00000000 08450003     eth0"),
        format!(
            "fd000000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 004c0001     eth0"
        ),
        format!(
            "fd090000000000000000000000000000 10 {zero} 00 {zero} 00000000 00000001 00000000 00200200       lo"
        ),
        format!(
            "fe800000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0"
        ),
    ];
    let routes = text("/proc/net/ipv6_route");
    assert_eq!(routes.lines().take(4).collect::<Vec<_>>(), want, "{routes}");
    let addrs = text("/proc/net/if_inet6");
    assert!(addrs.contains("fd00000000000000000000fffe000002 02 40 00 00     eth0\n"), "{addrs}");
    let count = |name: &str| {
        let all = text("/proc/net/snmp6");
        let line = all.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    for name in ["Icmp6InRouterAdvertisements", "Icmp6OutMLDv2Reports"] {
        assert!(count(name) > 0, "{name}");
    }
    let value = |name: &str| text(&format!("/proc/sys/net/ipv6/{name}")).trim().to_owned();
    let told = || {
        [
            "conf/eth0/hop_limit",
            "neigh/eth0/base_reachable_time_ms",
            "neigh/eth0/retrans_time_ms",
            "conf/eth0/mtu",
        ]
        .map(value)
    };
    assert_eq!(told(), ["77", "20000", "500", "1400"]);
    // What the link took was the link's.
    host.with_stack(|stack, now| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        stack.if_set_up(now, eth0, false).unwrap();
        assert_eq!(stack.ra_routes(eth0).count(), 0);
    });
    assert_eq!(told(), ["77", "20000", "500", "1500"]);
}

/// Name servers stand in resolv.conf, in the order in which they were told: RFC 8106 §5.1.
#[test]
fn name_servers_that_are_told_are_those_of_the_node() {
    let servers = ["fd00::53", "fe80::53", "fd00::54"];
    let mut world = router(RaConfig {
        prefixes: Vec::new(),
        lifetime: 0,
        mtu: None,
        rdnss: servers.iter().map(|server| server.parse().unwrap()).collect(),
        rdnss_lifetime: 20,
        preference: Preference::Medium,
        interval_ms: 600_000,
        min_interval_ms: 200_000,
        managed: false,
        other: false,
        hop_limit: 0,
        reachable_ms: 0,
        retrans_ms: 0,
    });
    let ipv6 = Ipv6Config { slaac: true, dad: Dad::Off, ..Ipv6Config::default() };
    let eth0 =
        InterfaceConfig { addresses: Vec::new(), ipv6: Some(ipv6), ..interface("eth0", "lan", 2, "::/128") };
    world.add(NodeConfig {
        lab: "test".into(),
        node: "h1".into(),
        interfaces: vec![eth0],
        ..NodeConfig::default()
    });
    let begin = world.now();
    let asked = |after: u64| {
        world.run_until(|| world.now().since(begin) >= Duration::from_secs(after));
        match vfs::open(&world.kernels[1], b"/etc/resolv.conf") {
            Some(Ok(vfs::Opened::Octets(text))) => {
                let text = String::from_utf8(text).unwrap();
                let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver "));
                servers.map(str::to_owned).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(asked(0), [""; 0]);
    assert_eq!(asked(5), ["fd00::53", "fe80::53%eth0", "fd00::54"]);
}

#[test]
fn who_advertises_nothing_is_silent() {
    let mut world = World::default();
    let ipv6 = Some(Ipv6Config { dad: Dad::Off, ..Ipv6Config::default() });
    world.add(NodeConfig {
        lab: "test".into(),
        node: "r1".into(),
        forward: true,
        interfaces: vec![InterfaceConfig { ipv6, ..interface("eth0", "lan", 1, "fd00::1/64") }],
        ..NodeConfig::default()
    });
    world.settle();
    assert!(adverts(&world).is_empty());
}
