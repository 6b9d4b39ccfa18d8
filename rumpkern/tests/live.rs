//! Live nodes: birth, life on a bus, and end.

mod lab;

use lab::{Lab, Node, launch, launch_file, start, wait_for};
use rumpkern::ctl::proto::{Change, Code, Op, RouteSpec, Table};
use rumpkern::ctl::{Client, ClientError};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::FileExt;

#[test]
fn two_nodes_on_a_bus_reach_each_other() {
    let mut lab = Lab::default();
    let (h1, h2, _) = lab.pair();
    let (status, text) = h1.run(&["ping", "-c", "3", "-i", "0.3", "h2"]);
    assert!(status == 0 && text.contains("3 packets transmitted, 3 received, 0% packet loss"), "{text}");
    let neigh = h2.ctl().show(Table::Neigh).unwrap();
    assert_eq!(neigh[0]["address"], "10.0.0.1");
    assert_eq!(neigh[0]["mac"], "02:00:00:00:00:01");
    assert_eq!(neigh[0]["dev"], "eth0");
    let rows = h2.ctl().show(Table::Stats).unwrap();
    let echoes = rows.iter().find(|row| row["name"] == "icmpInEchos").unwrap();
    assert_eq!(echoes["value"], 3);
}

#[test]
fn a_node_says_who_it_is_and_what_it_has() {
    let mut lab = Lab::default();
    let (h1, _h2, bus) = lab.pair();
    let mut ctl = h1.ctl();
    let hello = ctl.hello().unwrap();
    assert_eq!((&*hello.lab, &*hello.node, &*hello.state), ("test", "h1", "running"));
    assert_eq!(hello.pid, h1.child.id());
    let addr = ctl.show(Table::Addr).unwrap();
    assert!(addr.contains(&json!({"if": "lo", "address": "127.0.0.1/8", "scope": "host"})), "{addr:?}");
    assert!(addr.contains(&json!({"if": "eth0", "address": "10.0.0.1/24", "scope": "global"})), "{addr:?}");
    let interfaces = ctl.show(Table::Interfaces).unwrap();
    let eth0 = interfaces.iter().find(|row| row["name"] == "eth0").unwrap();
    assert_eq!(eth0["bus"], json!(bus));
    assert_eq!(
        (&eth0["mac"], &eth0["mtu"], &eth0["up"]),
        (&json!("02:00:00:00:00:01"), &json!(1500), &json!(true))
    );
    let pid = std::fs::read_to_string(h1.dir.join("pid")).unwrap();
    assert!(pid.starts_with(&format!("{} ", h1.child.id())) && pid.ends_with('\n'), "{pid:?}");
}

#[test]
fn several_are_asked_before_any_is_heard() {
    let mut lab = Lab::default();
    let (h1, h2, _) = lab.pair();
    let (mut one, mut other) = (h1.ctl(), h2.ctl());
    let asked = [&mut one, &mut other]
        .map(|ctl| [ctl.ask(Op::Hello), ctl.ask(Op::Show { table: Table::Interfaces })]);
    let [[hello, interfaces], [other_hello, _]] = asked.map(|ids| ids.map(Result::unwrap));
    let hello = one.answer(hello).unwrap();
    assert_eq!((&hello["node"], &hello["sockets"]), (&json!("h1"), &json!(0)));
    assert_eq!(other.answer(other_hello).unwrap()["node"], "h2");
    assert_eq!(one.answer(interfaces).unwrap().as_array().unwrap().len(), 2);
    // The answer that nobody took is passed over.
    assert_eq!(other.hello().unwrap().node, "h2");
}

#[test]
fn links_addresses_and_routes_change_at_run_time() {
    let mut lab = Lab::default();
    let (h1, h2, _) = lab.pair();
    let mut ctl = h1.ctl();
    let ping = |to: &str| h1.run(&["ping", "-c", "1", "-W", "0.2", to]).0;
    assert_eq!(ping("10.0.0.2"), 0);
    h2.ctl().link("eth0", false).unwrap();
    assert_ne!(ping("10.0.0.2"), 0);
    h2.ctl().link("eth0", true).unwrap();
    assert_eq!(ping("10.0.0.2"), 0);

    h2.ctl().addr("lo", Change::Add("192.0.2.1/32".parse().unwrap())).unwrap();
    assert_ne!(ping("192.0.2.1"), 0);
    let route = RouteSpec {
        to: "192.0.2.0/24".parse().unwrap(),
        via: Some([10, 0, 0, 2].into()),
        dev: None,
        metric: Some(7),
    };
    ctl.route(Change::Add(route.clone())).unwrap();
    assert_eq!(ping("192.0.2.1"), 0);
    let expected =
        json!({"to": "192.0.2.0/24", "via": "10.0.0.2", "dev": "eth0", "metric": 7, "proto": "static"});
    assert!(ctl.show(Table::Route).unwrap().contains(&expected));
    let code = |result: Result<(), ClientError>| match result {
        Err(ClientError::Refused(failure)) => failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(ctl.route(Change::Add(route.clone()))), Code::Exists);
    ctl.route(Change::Del(route.clone())).unwrap();
    assert_eq!(code(ctl.route(Change::Del(route))), Code::NotFound);
    assert_eq!(code(ctl.link("eth9", true)), Code::NotFound);
    assert_eq!(code(ctl.addr("eth0", Change::Del("10.9.9.9/24".parse().unwrap()))), Code::NotFound);
    assert_ne!(ping("192.0.2.1"), 0);
}

#[test]
fn sigterm_and_stop_leave_nothing_behind() {
    let mut lab = Lab::default();
    let (mut h1, mut h2, bus) = lab.pair();
    let _running = {
        let mut client = std::os::unix::net::UnixStream::connect(h1.dir.join("ctl")).unwrap();
        std::io::Write::write_all(
            &mut client,
            b"{\"id\":1,\"op\":\"run\",\"argv\":[\"echo\",\"udp\",\"7\"]}\n",
        )
        .unwrap();
        client
    };
    assert_eq!(h1.terminate(), Some(0));
    h2.ctl().stop().unwrap();
    assert_eq!(h2.exit_status(), Some(0));
    for node in [&h1, &h2] {
        let mut left: Vec<_> =
            std::fs::read_dir(&node.dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["config.json", "log"]);
        assert_eq!(std::fs::read_to_string(node.dir.join("log")).unwrap(), "");
    }
    assert!(shmif::Bus::open(&bus).unwrap().ports().iter().all(|port| !port.attached));
}

#[test]
fn a_node_outlives_its_terminal() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let pid = rustix::process::Pid::from_child(&h1.child);
    assert_eq!(rustix::process::getpgid(Some(pid)), Ok(pid), "Ctrl-C goes to the terminal's group");
    h1.signal(Signal::HUP);
    assert_eq!(h1.run(&["ping", "-c", "1", "h2"]).0, 0);
}

#[test]
fn neighbours_share_a_core_until_one_is_busy() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let anywhere = rustix::thread::sched_getaffinity(None).unwrap();
    let [h1, h2] = [("h1", "10.0.0.1/24"), ("h2", "10.0.0.2/24")].map(|(name, address)| {
        let mut config = lab.config(name, &[(&bus, address)]);
        config.home = Some(1);
        start(&config)
    });
    let cores = |node: &Node| {
        let pid = rustix::process::Pid::from_child(&node.child);
        rustix::thread::sched_getaffinity(Some(pid)).unwrap()
    };
    // It looks whenever it wakes, and goes home after a quiet while.
    let home = || {
        let (status, text) = h1.run(&["ping", "-c", "3", "-i", "0.06", "h2"]);
        assert_eq!(status, 0, "{text}");
        [&h1, &h2].map(|node| cores(node).count())
    };
    wait_for("both at home", || home() == [1, 1] || anywhere.count() == 1);
    assert_eq!(cores(&h1), cores(&h2));
    wait_for("the busy one has left", || {
        let (status, text) = h1.run(&["ping", "-c", "20000", "-i", "0", "-q", "h2"]);
        assert_eq!(status, 0, "{text}");
        cores(&h1) == anywhere
    });
}

#[test]
fn a_killed_node_is_replaced_by_its_successor() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let config = lab.config("h1", &[(&bus, "10.0.0.1/24")]);
    let h2 = start(&lab.config("h2", &[(&bus, "10.0.0.2/24")]));
    let mut h1 = start(&config);
    h1.signal(Signal::KILL);
    h1.exit_status();
    let h1 = start(&config);
    assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
    assert_eq!(h2.run(&["ping", "-c", "1", "10.0.0.1"]).0, 0);
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let sound = lab.config("h1", &[(&bus, "10.0.0.1/24")]);
    let mut faults: Vec<(Value, i32, &str)> = Vec::new();
    let mut spoil = |pointer: &str, value: Value, status, message| {
        let mut config = serde_json::to_value(&sound).unwrap();
        *config.pointer_mut(pointer).unwrap() = value;
        faults.push((config, status, message));
    };
    spoil(
        "/interfaces/0/mac",
        json!("ff:ff:ff:ff:ff:ff"),
        2,
        "interfaces[0].mac: not an individual Ethernet address",
    );
    spoil("/interfaces/0/mac", json!("hello"), 2, "`hello` is no Ethernet address");
    spoil("/interfaces/0/addresses/0", json!("224.0.0.1/24"), 2, "interfaces[0].addresses: ");
    spoil("/routes", json!([{"to": "0.0.0.0/0", "via": "10.9.9.9"}]), 2, "routes[0]: gateway 10.9.9.9");
    spoil("/interfaces/0/bus", json!("/nowhere/lan"), 4, "interface eth0: ");
    spoil("/dir", json!("/nowhere"), 4, "cannot set up /nowhere: No such file");
    let path = sound.dir.join("config.json");
    for (config, status, message) in faults {
        std::fs::write(&path, config.to_string()).unwrap();
        refused(&path, status, message);
    }
    std::fs::write(&path, "{").unwrap();
    refused(&path, 2, "EOF while parsing");
    std::fs::remove_file(&path).unwrap();
    refused(&path, 4, "cannot read");
    // Nothing is left of those that were born half.
    std::fs::write(&path, serde_json::to_vec(&sound).unwrap()).unwrap();
    let left = std::fs::read_dir(&sound.dir).unwrap().count();
    assert_eq!(left, 2, "config.json and log");
}

fn refused(path: &std::path::Path, status: i32, message: &str) {
    let (mut node, line) = launch_file(path, "h1");
    assert!(line.starts_with("h1 error ") && line.ends_with('\n') && line.contains(message), "{line:?}");
    assert_eq!(node.exit_status(), Some(status), "{line}");
    let log = std::fs::read_to_string(node.dir.join("log")).unwrap();
    assert!(log.lines().count() == 1 && log.contains(message), "{log:?}");
}

#[test]
fn an_idle_node_never_wakes() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
    let woken = || h1.proc("status", "voluntary_ctxt_switches:");
    // ARP may still have something to say for a moment.
    let mut before = woken();
    wait_for("half a second of silence", || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = woken();
        std::mem::replace(&mut before, now) == now
    });
    assert_eq!(h1.proc("status", "Threads:"), 1);
}

#[test]
fn a_bus_that_is_truncated_costs_its_interface_the_carrier() {
    let mut lab = Lab::default();
    let (h1, _h2, bus) = lab.pair();
    assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
    std::fs::OpenOptions::new().write(true).open(&bus).unwrap().set_len(0).unwrap();
    let _ = h1.run(&["ping", "-c", "2", "-i", "0.01", "-W", "0.1", "10.0.0.2"]);
    let eth0 = |key: &str| {
        let rows = h1.ctl().show(Table::Interfaces).unwrap();
        rows.iter().find(|row| row["name"] == "eth0").unwrap()[key].clone()
    };
    assert_eq!((eth0("up"), eth0("carrier")), (json!(true), json!(false)));
    assert_eq!(h1.run(&["ping", "-c", "1", "127.0.0.1"]).0, 0);
}

#[test]
fn a_bus_full_of_garbage_is_survived() {
    let mut lab = Lab::default();
    let (mut h1, mut h2, bus) = lab.pair();
    let file = std::fs::OpenOptions::new().write(true).open(&bus).unwrap();
    let length = file.metadata().unwrap().len();
    let mut random = 88172645463325252u64;
    let mut garbage = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..50 {
        // Behind the header page: the port table and the ring, the slots of our two nodes above all.
        for n in 0..2000 {
            let at = 4096 + garbage() % if n % 10 == 0 { 4096 } else { length - 4104 };
            // Whole words that are small, too: they look more like positions.
            let (at, word) = if n % 20 == 0 { (at & !7, garbage() % 3 * 64) } else { (at, garbage()) };
            file.write_all_at(&word.to_le_bytes(), at).unwrap();
        }
        let pings = ["ping", "-c", "3", "-i", "0.001", "-W", "0.01", "10.0.0.2"];
        h1.run(&pings);
        assert_eq!(h1.ctl().hello().unwrap().node, "h1", "round {round}");
        assert_eq!(h2.ctl().hello().unwrap().node, "h2", "round {round}");
    }
    // A port table that says that there are frames where there are none does not keep a node busy.
    for node in [&h1, &h2] {
        wait_for("the nodes' rest", || {
            let before = node.proc("schedstat", "");
            std::thread::sleep(std::time::Duration::from_millis(100));
            node.proc("schedstat", "") - before < 20_000_000
        });
    }
    assert_eq!((h1.terminate(), h2.terminate()), (Some(0), Some(0)));
}

#[test]
fn socket_paths_may_be_long() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let name = "n".repeat(60);
    let long = lab.dir.path().join("d".repeat(100));
    let mut config = lab.config(&name, &[(&bus, "10.0.0.1/24")]);
    config.dir = long.join(&name);
    std::fs::create_dir_all(&config.dir).unwrap();
    let h2 = start(&lab.config("h2", &[(&bus, "10.0.0.2/24")]));
    let (mut node, line) = launch(&config);
    assert_eq!(line, format!("{name} ready\n"));
    assert_eq!(node.ctl().hello().unwrap().node, name);
    // Its doorbell rings too.
    assert_eq!(h2.run(&["ping", "-c", "1", "10.0.0.1"]).0, 0);
    assert_eq!(node.terminate(), Some(0));
    assert!(matches!(Client::connect(&config.dir.join("ctl")), Err(ClientError::Connect(_))));
}
