//! Impaired wires, over whole kernels in virtual time.

mod world;

use rumpkern::config::{HostConfig, InterfaceConfig, NodeConfig};
use rumpkern::ifs::impairment::{Impairment, Losses};
use world::prog::{run, serve, start};
use world::{World, interface};

/// Two hosts; what leaves h1 is impaired, each time by the same seed.
fn pair(impairment: Impairment) -> World {
    let mut world = World::default();
    let address = |n: u8| HostConfig { name: format!("h{n}"), addresses: vec![[10, 0, 0, n].into()] };
    for n in 1..=2 {
        let one = interface("eth0", "lan", n, &format!("10.0.0.{n}/24"));
        let impair = (n == 1).then(|| impairment.clone());
        world.add(NodeConfig {
            lab: "test".into(),
            node: format!("h{n}"),
            interfaces: vec![InterfaceConfig { impair, ..one }],
            hosts: vec![address(1), address(2)],
            ..NodeConfig::default()
        });
    }
    world
}

#[test]
fn a_delay_is_one_way() {
    let world = pair(Impairment { delay_ns: 7_000_000, ..Impairment::default() });
    // The first one waits for ARP, which goes that way too.
    let (text, _) = run(&world, 0, "ping -c 3 h2", 0);
    let out = text.out();
    let times: Vec<&str> = out.lines().filter_map(|line| Some(line.split_once("time=")?.1)).collect();
    assert_eq!(times, ["14.000 ms", "7.000 ms", "7.000 ms"]);
    let (text, _) = run(&world, 1, "ping -c 3 h1", 0);
    assert_eq!(text.out().matches("time=7.000 ms").count(), 3, "{}", text.out());
}

#[test]
fn a_seed_is_the_luck_of_every_frame() {
    let unlucky = |seed| {
        let loss = Some(Losses::Random { p: 0.4, correlation: 0.0 });
        let world = pair(Impairment { loss, seed, ..Impairment::default() });
        let ping = forty_pings(&world);
        ping.lines().filter(|line| line.contains("icmp_seq")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(unlucky(1), unlucky(1));
    assert_ne!(unlucky(1), unlucky(2));
    assert!(unlucky(1).len() < 40);
}

/// What forty pings of h2 say.
fn forty_pings(world: &World) -> String {
    let ping = start(world, 0, "ping -c 40 -i 0.1 -W 0.5 h2", false);
    world.run_until(|| ping.process.status().is_some());
    ping.out()
}

#[test]
fn a_stream_is_as_fast_as_the_wire_and_goes_in_frames() {
    let rate = 20_000_000;
    let world = pair(Impairment { rate: Some(rate), queue: Some(64 << 10), ..Impairment::default() });
    let sink = serve(&world, 1, "tcpsink -n 1 5001", true);
    let source = start(&world, 0, "tcpsource -t 5 h2 5001", true);
    world.run_until(|| source.process.status().is_some() && sink.process.status().is_some());
    assert_eq!(source.process.status(), Some(0), "{}{}", source.out(), source.err());
    let got = sink.json()["bits_per_second"].as_f64().unwrap_or_else(|| panic!("{}", sink.json()));
    // Of 1514 octets 1448 are the stream's.
    let most = f64::from(rate as u32) * 1448.0 / 1514.0;
    assert!((0.97 * most..=most).contains(&got), "{got} of {most}");
    assert!(world.ether.longest.get() <= 1514, "{} octets", world.ether.longest.get());
}
