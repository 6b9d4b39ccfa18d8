//! Labs that never ran, for tests.

use super::rates::{BusRow, NodeRow, Report, Traffic};
use super::trace::Trace;
use crate::lab::program::{Doing, Shown};
use crate::lab::view::NodeLife;
use std::time::Duration;

fn node(name: &str, life: NodeLife, load: f64) -> NodeRow {
    let lives = matches!(life, NodeLife::Running | NodeLife::Paused);
    let rate = |of: f64| (life == NodeLife::Running).then_some(of * load);
    NodeRow {
        name: name.to_owned(),
        life,
        silent: false,
        pid: lives.then_some(20_000 + name.len() as i32),
        cpu: lives.then_some(load / 2.0),
        resident: lives.then_some(4_321_000),
        traffic: Traffic {
            in_frames: rate(100.0),
            in_octets: rate(98_000.0),
            out_frames: rate(50.0),
            out_octets: rate(3_300.0),
            drops: rate(0.0),
        },
        sockets: (life == NodeLife::Running).then_some(3),
    }
}

fn bus(name: &str, load: f64) -> BusRow {
    let mut minute = Trace::default();
    for second in 1..=60_u32 {
        let wave = (f64::from(second) / 5.0).sin() + 1.0;
        minute.add(Duration::from_secs(second.into()), Duration::from_secs(1), Some(wave * load));
    }
    BusRow {
        name: name.to_owned(),
        members: 2,
        frames: Some(150.0 * load),
        bits: Some(810_400.0 * load),
        lost: Some(0.0),
        impaired: Some(1.5 * load),
        minute,
    }
}

/// Every state of a node, and programs.
pub(super) fn report() -> Report {
    let silent = NodeRow { silent: true, ..node("h4", NodeLife::Running, 0.0) };
    let nodes = vec![
        node("h1", NodeLife::Running, 12.0),
        NodeRow {
            traffic: Traffic { drops: Some(2.5), ..node("r1", NodeLife::Running, 40.0).traffic },
            ..node("r1", NodeLife::Running, 40.0)
        },
        node("h2", NodeLife::Running, 0.0),
        NodeRow { traffic: Traffic::default(), cpu: None, ..node("h3", NodeLife::Paused, 0.0) },
        NodeRow { traffic: Traffic::default(), sockets: None, ..silent },
        node("h5", NodeLife::Dead, 0.0),
        node("a-node-with-a-long-name", NodeLife::Stopped, 0.0),
    ];
    let program = |name: &str, node: &str, pid| Shown {
        name: name.to_owned(),
        in_topology: true,
        node: node.to_owned(),
        doing: Doing::Running,
        pid: Some(pid),
        command: vec!["python3".into(), "-m".into(), "http.server".into(), "8080\n".into()],
    };
    Report {
        lab: "hello".into(),
        age: Duration::from_millis(90_061_500),
        nodes,
        buses: vec![bus("left", 12.0), bus("right", 0.0)],
        programs: vec![program("web", "h1", 30_001), program("other", "h2", 30_002)],
    }
}

/// So many nodes, and half as many buses.
pub(super) fn many(count: usize) -> Report {
    let load = |n: usize| f64::from(u32::try_from(n % 7).unwrap());
    Report {
        lab: "many".into(),
        age: Duration::from_secs(5),
        nodes: (1..=count).map(|n| node(&format!("n{n}"), NodeLife::Running, load(n))).collect(),
        buses: (1..=count / 2).map(|n| bus(&format!("b{n}"), load(n))).collect(),
        programs: Vec::new(),
    }
}
