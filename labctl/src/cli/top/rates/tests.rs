//! Samples made by hand.

use super::*;

fn node(pid: i32, second: u64, cpu_ms: u64, octets: u64) -> NodeSample {
    NodeSample {
        name: "h1".into(),
        life: NodeLife::Running,
        process: Some(Identity { pid, start: 1 }),
        load: Some((Duration::from_secs(second), Load { resident: 4096, cpu_ns: cpu_ms * 1_000_000 })),
        answer: Some(Answer {
            uptime: Duration::from_secs(second),
            sockets: 3,
            traffic: Traffic { in_octets: octets, in_frames: octets / 100, drops: 7, ..Traffic::default() },
            impaired: [("left".to_owned(), octets / 10)].into(),
        }),
    }
}

fn bus(second: u64, frames: u64, ports: &[(PortId, u64)]) -> BusSample {
    let count = |(id, octets): &(PortId, u64)| (*id, PortCount { octets: *octets, lost: 2 });
    BusSample {
        name: "left".into(),
        at: Duration::from_secs(second),
        members: ports.len(),
        frames,
        ports: ports.iter().map(count).collect(),
    }
}

fn report(meter: &mut Meter, node: NodeSample) -> NodeRow {
    meter.report(Sample { nodes: vec![node], ..Sample::default() }).nodes.remove(0)
}

/// A port's name, as a bus gives it.
fn ports() -> [PortId; 2] {
    let dir = tempfile::tempdir().unwrap();
    let bus = shmif::Bus::create(dir.path().join("bus"), &shmif::BusConfig::new("lab", "bus")).unwrap();
    let attach = |n: u8| bus.attach(&shmif::PortConfig::new("n", "eth0", [2, 0, 0, 0, 0, n])).unwrap();
    let (one, other) = (attach(1), attach(2));
    let ids: Vec<_> = bus.ports().iter().map(|port| port.id).collect();
    drop((one, other));
    [ids[0], ids[1]]
}

#[test]
fn the_first_look_has_no_rates_and_the_second_has() {
    let mut meter = Meter::default();
    let first = report(&mut meter, node(9, 1, 500, 1000));
    assert_eq!((first.cpu, first.traffic), (None, Traffic::default()));
    assert_eq!((first.pid, first.resident, first.sockets), (Some(9), Some(4096), Some(3)));
    let second = report(&mut meter, node(9, 3, 1000, 5000));
    assert_eq!(second.cpu, Some(25.0));
    assert_eq!(second.traffic.in_octets, Some(2000.0));
    assert_eq!((second.traffic.in_frames, second.traffic.drops), (Some(20.0), Some(0.0)));
}

#[test]
fn a_counter_that_begins_anew_has_no_rate() {
    let mut meter = Meter::default();
    report(&mut meter, node(9, 1, 500, 1000));
    // Another process: all counters are others, even those that are greater.
    let anew = report(&mut meter, node(10, 2, 600, 3000));
    assert_eq!((anew.cpu, anew.traffic), (None, Traffic::default()));
    assert_eq!(report(&mut meter, node(10, 3, 600, 3000)).traffic.in_octets, Some(0.0));
    // The same process, one counter: the others go on.
    let mut less = node(10, 4, 700, 4000);
    less.answer.as_mut().unwrap().traffic.drops = 0;
    let row = report(&mut meter, less);
    assert_eq!((row.traffic.drops, row.traffic.in_octets, row.cpu), (None, Some(1000.0), Some(10.0)));
}

#[test]
fn a_node_that_said_nothing_is_measured_against_what_it_said_last() {
    let mut meter = Meter::default();
    report(&mut meter, node(9, 1, 0, 1000));
    let silent = report(&mut meter, NodeSample { answer: None, ..node(9, 2, 0, 0) });
    assert_eq!((silent.state(), silent.cpu), ("no answer", Some(0.0)));
    assert_eq!((silent.traffic, silent.sockets), (Traffic::default(), None));
    assert_eq!(report(&mut meter, node(9, 5, 0, 5000)).traffic.in_octets, Some(1000.0));
    let dead =
        NodeSample { life: NodeLife::Dead, process: None, load: None, answer: None, ..node(9, 6, 0, 0) };
    assert_eq!(report(&mut meter, dead).state(), "dead");
}

#[test]
fn a_bus_has_what_its_ports_sent() {
    let [one, other] = ports();
    let mut meter = Meter::default();
    let mut look = |node, bus| {
        let report = meter.report(Sample { nodes: vec![node], buses: vec![bus], ..Sample::default() });
        report.buses[0].clone()
    };
    let first = look(node(9, 1, 0, 100), bus(1, 10, &[(one, 1000)]));
    assert_eq!((first.frames, first.bits, first.lost, first.impaired), (None, None, None, None));
    // A port that came in between has sent all that it has sent since; one that went has taken its count with it.
    let second = look(node(9, 3, 0, 300), bus(3, 30, &[(one, 1500), (other, 500)]));
    assert_eq!((second.frames, second.bits, second.members), (Some(10.0), Some(4000.0), 2));
    assert_eq!((second.lost, second.impaired), (Some(1.0), Some(10.0)));
    let third = look(node(9, 4, 0, 300), bus(4, 30, &[(other, 500)]));
    assert_eq!((third.frames, third.bits, third.impaired), (Some(0.0), Some(0.0), Some(0.0)));
    assert_eq!(third.minute.bars(60).trim_start(), "██▁");
}
