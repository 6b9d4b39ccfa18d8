//! The control socket against clients that are hurried, rude, mute or mad.

mod lab;

use lab::{Lab, Node, PATIENCE, wait_for};
use proptest::prelude::*;
use rumpkern::ctl::proto::{Body, Code, REQUEST_MAX, Reply, Table};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// A raw connection.
struct Raw(BufReader<UnixStream>);

impl Raw {
    fn to(node: &Node) -> Raw {
        let stream = UnixStream::connect(node.dir.join("ctl")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Raw(BufReader::new(stream))
    }

    fn say(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).unwrap();
    }

    fn ask(&mut self, request: Value) {
        self.say(format!("{request}\n"));
    }

    fn hear(&mut self) -> Reply {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the node hung up");
        serde_json::from_str(&line).unwrap()
    }

    fn code(&mut self) -> (u64, Code) {
        match self.hear() {
            Reply { id, body: Body::Error(failure) } => (id, failure.code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn several_requests_are_in_flight_and_answered_by_id() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let mut raw = Raw::to(&h1);
    raw.ask(json!({"id": 1, "op": "run", "argv": ["ping", "-c", "3", "-i", "0.05", "10.0.0.2"]}));
    raw.ask(json!({"id": 2, "op": "hello"}));
    let (mut hello, mut replies) = (None, 0);
    let status = loop {
        let reply = raw.hear();
        match (reply.id, reply.body) {
            (1, Body::Out(text)) => replies += text.matches("icmp_seq=").count(),
            (1, Body::Exit(status)) => break status,
            (2, Body::Ok(answer)) => {
                hello = Some(answer);
                assert!(replies < 3, "it need not wait for the other");
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((status, replies), (0, 3));
    assert_eq!(hello.unwrap()["node"], "h1");
}

#[test]
fn nonsense_gets_an_error_and_the_connection_lives_on() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let mut raw = Raw::to(&h1);
    for (line, id) in [
        (&b"hello\n"[..], 0),
        (b"{\"id\":3}\n", 3),
        (b"{\"id\":4,\"op\":\"dance\"}\n", 4),
        (b"{\"id\":5,\"op\":\"show\",\"table\":\"kitchen\"}\n", 5),
        (b"{\"id\":-1,\"op\":\"hello\"}\n", 0),
        (b"\xff\xfe\x00\n", 0),
        (b"[[[[[[[[[[[[\n", 0),
    ] {
        raw.say(b"\n  \n");
        raw.say(line);
        assert_eq!(raw.code(), (id, Code::Malformed));
    }
    raw.ask(json!({"id": 6, "op": "run", "argv": []}));
    assert_eq!(raw.code(), (6, Code::Invalid));
    raw.ask(json!({"id": 7, "op": "run", "argv": ["emacs"]}));
    assert_eq!(raw.code(), (7, Code::Unknown));
    // Nested beyond what a parser on a stack should follow.
    raw.say("[".repeat(200_000));
    raw.say("\n");
    assert_eq!(raw.code(), (0, Code::Malformed));
    // Too long, in pieces; what is behind it is a request again.
    for _ in 0..3 {
        raw.say(vec![b'x'; REQUEST_MAX / 2]);
    }
    raw.say("\n");
    assert_eq!(raw.code(), (0, Code::Malformed));
    raw.ask(json!({"id": 8, "op": "hello"}));
    assert!(matches!(raw.hear(), Reply { id: 8, body: Body::Ok(_) }));
}

#[test]
fn who_never_reads_costs_a_bounded_buffer() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let before = h1.anonymous_kb();
    // Programs that write a lot, and requests that are answered at length.
    let mut mute: Vec<Raw> = (0..8).map(|_| Raw::to(&h1)).collect();
    for raw in &mut mute {
        raw.0.get_ref().set_nonblocking(true).unwrap();
        raw.ask(json!({"id": 1, "op": "run", "argv": ["ping", "-c", "100000", "-i", "0.0001", "127.0.0.1"]}));
        let flood = "{\"id\":2,\"op\":\"show\",\"table\":\"stats\"}\n".repeat(1000);
        for _ in 0..100 {
            if raw.0.get_mut().write(flood.as_bytes()).is_err() {
                break;
            }
        }
    }
    // Others are served meanwhile.
    for _ in 0..20 {
        assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
    }
    let grown = h1.anonymous_kb().saturating_sub(before);
    assert!(grown < 8 * 512, "{grown} kB more for 8 mute clients");
    drop(mute);
    // They are gone, and so are their programs.
    wait_for("the end of the programs", || {
        let rows = h1.ctl().show(Table::Sockets).unwrap();
        rows.iter().all(|row| row["proto"] != "icmp" && row["proto"] != "raw:1")
    });
}

#[test]
fn closing_the_connection_ends_its_programs() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let udp = || {
        let rows = h1.ctl().show(Table::Sockets).unwrap();
        rows.iter().filter(|row| row["proto"] == "udp").count()
    };
    let mut raw = Raw::to(&h1);
    for (id, port) in [(1, "7"), (2, "8"), (3, "9")] {
        raw.ask(json!({"id": id, "op": "run", "argv": ["echo", "udp", port]}));
    }
    wait_for("three sockets", || udp() == 3);
    drop(raw);
    wait_for("no socket", || udp() == 0);
}

#[test]
fn more_connections_than_are_served_wait_for_their_turn() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let mut crowd: Vec<Raw> = (0..100).map(|_| Raw::to(&h1)).collect();
    for raw in &mut crowd {
        raw.ask(json!({"id": 1, "op": "hello"}));
    }
    for mut raw in crowd {
        assert!(matches!(raw.hear(), Reply { id: 1, body: Body::Ok(_) }));
    }
}

#[test]
fn values_are_told_and_changed_by_their_names() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let mut config = lab.config("h1", &[(&bus, "10.0.0.1/24")]);
    config.tcp = Some("freebsd".into());
    config.sysctl.insert("net.ipv4.tcp_congestion_control".into(), "reno".into());
    let h1 = lab::start(&config);
    let mut raw = Raw::to(&h1);
    let mut ok = |request: Value| {
        raw.ask(request);
        match raw.hear().body {
            Body::Ok(answer) => answer,
            other => panic!("{other:?}"),
        }
    };
    let all = ok(json!({"id": 1, "op": "sysctl"}));
    let value = |name: &str| {
        let row = all.as_array().unwrap().iter().find(|row| row["name"] == name);
        row.map(|row| row["value"].clone())
    };
    assert_eq!(value("net.tcp.profile"), Some("freebsd".into()));
    assert_eq!(value("net.inet.tcp.recvspace"), Some("65536".into()));
    assert_eq!(value("net.inet.tcp.cc.algorithm"), Some("reno".into()));
    let one = json!({"id": 2, "op": "sysctl", "name": "net.inet.tcp.keepidle"});
    assert_eq!(ok(one.clone()), json!({"name": "net.inet.tcp.keepidle", "value": "7200000"}));
    let change = json!({"id": 3, "op": "sysctl", "name": "net.ipv4.tcp_keepalive_time", "value": "60"});
    assert_eq!(ok(change), json!({"name": "net.ipv4.tcp_keepalive_time", "value": "60"}));
    assert_eq!(ok(one)["value"], "60000");
    // It is the stack's, and a connection's.
    let rows = |h1: &Node| h1.ctl().show(Table::Sockets).unwrap();
    raw.ask(json!({"id": 4, "op": "run", "argv": ["tcpsink", "7"]}));
    wait_for("the listener", || !rows(&h1).is_empty());
    let info = rows(&h1)[0]["info"].clone();
    assert_eq!((&info["profile"], &info["congestion_control"]), (&"freebsd".into(), &"reno".into()));
}

#[test]
fn values_that_are_none_are_refused_and_nothing_changes() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let before = h1.ctl().variables().unwrap();
    let refused = |name: Option<&str>, value: Option<&str>| {
        let mut raw = Raw::to(&h1);
        raw.ask(json!({"id": 1, "op": "sysctl", "name": name, "value": value}));
        match raw.hear() {
            Reply { id: 1, body: Body::Error(failure) } => (failure.code, failure.message),
            other => panic!("{other:?}"),
        }
    };
    let unknown = (Code::NotFound, "no value is called net.ipv4.tcp_nothing".to_owned());
    assert_eq!(refused(Some("net.ipv4.tcp_nothing"), None), unknown);
    assert_eq!(refused(Some("net.ipv4.tcp_nothing"), Some("1")), unknown);
    let bad = (Code::Invalid, "net.ipv4.tcp_sack takes 0 or 1".to_owned());
    assert_eq!(refused(Some("net.ipv4.tcp_sack"), Some("maybe")), bad);
    let fixed = (Code::Invalid, "net.tcp.profile can only be read".to_owned());
    assert_eq!(refused(Some("net.tcp.profile"), Some("rfc")), fixed);
    assert_eq!(refused(None, Some("1")).0, Code::Invalid);
    assert_eq!(h1.ctl().variables().unwrap(), before);
}

#[test]
fn a_node_is_not_born_with_values_that_are_none() {
    let mut lab = Lab::default();
    let bus = lab.bus("lan");
    let mut config = lab.config("h1", &[(&bus, "10.0.0.1/24")]);
    config.sysctl.insert("net.ipv4.tcp_rmem".into(), "many".into());
    let (mut node, line) = lab::launch(&config);
    let why =
        "sysctl.net.ipv4.tcp_rmem: net.ipv4.tcp_rmem takes three sizes in octets: least, first, largest";
    assert_eq!(line, format!("h1 error {why}\n"));
    assert_eq!(node.exit_status(), Some(2));
}

/// Something like a request: sound ones, and such with a field or an octet changed.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let sound = prop::sample::select(vec![
        json!({"id": 1, "op": "hello"}),
        json!({"id": 2, "op": "show", "table": "stats"}),
        json!({"id": 3, "op": "show", "table": "neigh"}),
        json!({"id": 4, "op": "addr", "if": "eth0", "add": "10.1.0.1/24"}),
        json!({"id": 5, "op": "addr", "if": "eth0", "del": "10.1.0.1/24"}),
        json!({"id": 6, "op": "route", "add": {"to": "10.2.0.0/16", "via": "10.0.0.2"}}),
        json!({"id": 7, "op": "route", "del": {"to": "10.2.0.0/16", "via": "10.0.0.2"}}),
        json!({"id": 8, "op": "link", "if": "eth0", "up": true}),
        json!({"id": 11, "op": "sysctl"}),
        json!({"id": 12, "op": "sysctl", "name": "net.ipv4.tcp_rmem", "value": "4096 131072 6291456"}),
        // A program that ends whatever becomes of its arguments (`ping` without its `-c` does not).
        json!({"id": 9, "op": "run", "argv": ["traceroute", "-m", "1", "127.0.0.1"]}),
        json!({"id": 10, "op": "run", "argv": ["rtt", "udp"]}),
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let changed = (sound, changes).prop_map(|(value, changes)| {
        let mut line = value.to_string().into_bytes();
        for (at, octet) in changes {
            let at = at.index(line.len());
            line[at] = octet;
        }
        line
    });
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

#[test]
fn every_line_gets_exactly_one_last_word() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let crowd = prop::collection::vec(lines(), 1..10);
    let result = runner.run(&crowd, |lines| {
        let mut raw = Raw::to(&h1);
        let mut expected = 0;
        for line in &lines {
            // Changed octets may end a line early.
            for line in line.split(|&octet| octet == b'\n') {
                // A node that is told to stop does so: not here.
                let stop = line.windows(4).any(|word| word == b"stop");
                if stop || line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                raw.say(line);
                raw.say(b"\n");
                expected += 1;
            }
        }
        while expected > 0 {
            if raw.hear().body.is_final() {
                expected -= 1;
            }
        }
        raw.ask(json!({"id": 99, "op": "hello"}));
        let last = raw.hear();
        prop_assert!(matches!(last, Reply { id: 99, body: Body::Ok(_) }), "{last:?}");
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_flood_of_nothing_starves_nobody() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let floods: Vec<_> = (0..2)
        .map(|_| {
            let mut raw = Raw::to(&h1);
            let handle = raw.0.get_ref().try_clone().unwrap();
            // Ends when the connection is shut.
            let flood =
                std::thread::spawn(move || while raw.0.get_mut().write_all(&[b'\n'; 65536]).is_ok() {});
            (handle, flood)
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
    }
    for (handle, flood) in floods {
        handle.shutdown(std::net::Shutdown::Both).unwrap();
        flood.join().unwrap();
    }
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let mut lab = Lab::default();
    let (h1, _h2, _) = lab.pair();
    let pid = rustix::process::Pid::from_child(&h1.child);
    let used = std::fs::read_dir(format!("/proc/{}/fd", h1.child.id())).unwrap().count() as u64;
    let few = rustix::process::Rlimit { current: Some(used + 4), maximum: Some(used + 4) };
    rustix::process::prlimit(Some(pid), rustix::process::Resource::Nofile, few).unwrap();
    let crowd: Vec<Raw> = (0..20).map(|_| Raw::to(&h1)).collect();
    let before = h1.proc("schedstat", "");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let busy = h1.proc("schedstat", "") - before;
    assert!(busy < 150_000_000, "{busy} ns of 300 ms spent on trying");
    drop(crowd);
    assert_eq!(h1.run(&["ping", "-c", "1", "10.0.0.2"]).0, 0);
}
