//! Kernels in virtual time: what a lab in one process does, and that it does it again.

mod world;

use netstack::time::{Duration, Instant};
use rumpkern::config::{InterfaceConfig, NodeConfig};
use rumpkern::rumpuser::virt::{Halt, NodeId, World};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use world::{Text, interface};

fn config(n: u8, interfaces: Vec<InterfaceConfig>) -> NodeConfig {
    NodeConfig {
        lab: "test".into(),
        node: format!("h{n}"),
        seed: u64::from(n),
        interfaces,
        ..NodeConfig::default()
    }
}

/// Two hosts on one wire.
fn lan() -> (World, [NodeId; 2]) {
    let mut world = World::new(1_000_000_000);
    world.add_wire("lan".into(), 1 << 20);
    let hosts = [1, 2].map(|n| {
        let eth0 = interface("eth0", "lan", n, &format!("10.0.0.{n}/24"));
        world.boot(&config(n, vec![eth0]), &Rc::default()).unwrap()
    });
    (world, hosts)
}

/// Runs a program to its end, and returns its status and its output.
fn run(world: &mut World, node: NodeId, command: &str) -> (Option<i32>, String) {
    let text = Text::default();
    let sink = Rc::new(text.clone());
    let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let kernel = world.kernel(node).unwrap();
    let process = kernel.spawn("prog", sink.clone(), sink, |sys| rumpkern::prog::run(sys, argv, true));
    world.wake(node);
    while process.status().is_none() && world.step().is_some() {}
    let said = text.0.borrow().clone();
    (process.status(), said)
}

fn frames(world: &World) -> Vec<(Instant, Vec<u8>)> {
    world.with_wires(|wires| {
        assert_eq!(wires[0].path(), Path::new("lan"));
        wires[0].history().map(|passed| (passed.time, passed.octets.to_vec())).collect()
    })
}

#[test]
fn a_ping_takes_the_time_of_its_wires_and_an_hour_takes_none() {
    let (mut world, [h1, _]) = lan();
    let (status, said) = run(&mut world, h1, "ping -n -c 3 -i 1800 10.0.0.2");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &said["received"]), (Some(0), &3.into()));
    // 98 octets and 24 more at 10 Gbit/s, and a microsecond, there and back; the first one asks for the address.
    let rtt = &said["rtt_us"];
    assert!(rtt["min"].as_f64().unwrap() >= 2.19 && rtt["max"].as_f64().unwrap() < 5.0, "{rtt}");
    assert!(world.now() >= Instant::ZERO + Duration::from_secs(3600));
    assert!(world.now() < Instant::ZERO + Duration::from_secs(3601));
}

#[test]
fn a_run_is_repeated_to_the_last_octet() {
    let run = || {
        let (mut world, [h1, h2]) = lan();
        let kernel = world.kernel(h2).unwrap();
        let text = Rc::new(Text::default());
        let argv = ["tcpsink", "-n", "1", "7"].map(str::to_owned).to_vec();
        kernel.spawn("sink", text.clone(), text, |sys| rumpkern::prog::run(sys, argv, true));
        world.wake(h2);
        let (status, said) = run(&mut world, h1, "tcpsource -n 1000000 10.0.0.2 7");
        assert_eq!(status, Some(0), "{said}");
        (said, frames(&world), world.now())
    };
    let (first, second) = (run(), run());
    assert!(first.1.len() > 20);
    assert_eq!(first, second);
}

#[test]
fn who_is_killed_says_nothing_and_who_is_paused_comes_back() {
    let (mut world, [h1, h2]) = lan();
    assert_eq!(run(&mut world, h1, "ping -n -c 1 -W 1 10.0.0.2").0, Some(0));
    world.pause(h2, true);
    assert_eq!(run(&mut world, h1, "ping -n -c 1 -W 1 10.0.0.2").0, Some(1));
    world.pause(h2, false);
    assert_eq!(run(&mut world, h1, "ping -n -c 1 -W 1 10.0.0.2").0, Some(0));
    assert!(world.halt(h2, Halt::Kill) && !world.halt(h2, Halt::Kill));
    assert_eq!(run(&mut world, h1, "ping -n -c 1 -W 1 10.0.0.2").0, Some(1));
    let eth0 = interface("eth0", "lan", 2, "10.0.0.2/24");
    assert_eq!(world.boot(&config(2, vec![eth0]), &Rc::default()).unwrap(), h2, "the same as before");
    assert_eq!(run(&mut world, h1, "ping -n -c 1 -W 1 10.0.0.2").0, Some(0));
}

#[test]
fn nothing_happens_when_nothing_is_to_happen() {
    let mut world = World::new(0);
    assert_eq!((world.next(), world.step()), (None, None));
    let eth0 = interface("eth0", "lan", 1, "10.0.0.1/24");
    let h1 = world.boot(&config(1, vec![eth0]), &Rc::default()).unwrap();
    // A program that waits for ever for what nobody sends.
    let (status, said) = run(&mut world, h1, "udpsink 7");
    assert_eq!(status, None, "{said}");
    assert_eq!(world.next(), None);
    let hour = Instant::ZERO + Duration::from_secs(3600);
    world.run_until(hour);
    assert_eq!(world.now(), hour);
    assert_eq!(world.with_wires(|wires| wires[0].path().to_owned()), PathBuf::from("lan"));
}
