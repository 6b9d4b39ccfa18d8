//! The built-in programs, over whole kernels in virtual time: what they print, and how they end.

mod world;

use netstack::time::{Duration, Instant};
use rumpkern::config::{HostConfig, NodeConfig, RouteConfig};
use rumpkern::syscall::{Family, MsgFlags, SockType};
use serde_json::Value;
use std::cell::Cell;
use std::rc::Rc;
use world::prog::{run, serve, start};
use world::{World, interface};

/// h1, r1, r2, h2 in a row; what `routed` says is routed by r1 to r2 beyond the lab.
fn chain(routed: &[&str]) -> World {
    let mut world = World::default();
    let names = [("h1", "10.0.1.2"), ("r1", "10.0.1.1"), ("r2", "10.0.2.2"), ("h2", "10.0.3.2")];
    let hosts: Vec<HostConfig> = names
        .iter()
        .map(|(name, addr)| HostConfig { name: (*name).into(), addresses: vec![addr.parse().unwrap()] })
        .collect();
    let route = |to: &str, via: &str| RouteConfig {
        to: to.parse().unwrap(),
        via: Some(via.parse().unwrap()),
        dev: None,
        metric: 0,
        proto: "static".into(),
    };
    let mut node = |name: &str, interfaces, routes: Vec<RouteConfig>, forward| {
        world.add(NodeConfig {
            lab: "test".into(),
            node: name.into(),
            interfaces,
            routes,
            hosts: hosts.clone(),
            forward,
            ..NodeConfig::default()
        });
    };
    node("h1", vec![interface("eth0", "a", 1, "10.0.1.2/24")], vec![route("0.0.0.0/0", "10.0.1.1")], false);
    let two = |left: (&str, u8, &str), right: (&str, u8, &str)| {
        vec![interface("eth0", left.0, left.1, left.2), interface("eth1", right.0, right.1, right.2)]
    };
    let mut routes = vec![route("10.0.3.0/24", "10.0.2.2")];
    routes.extend(routed.iter().map(|to| route(to, "10.0.2.2")));
    node("r1", two(("a", 2, "10.0.1.1/24"), ("b", 3, "10.0.2.1/24")), routes, true);
    let back = vec![route("10.0.1.0/24", "10.0.2.1")];
    node("r2", two(("b", 4, "10.0.2.2/24"), ("c", 5, "10.0.3.1/24")), back, true);
    node("h2", vec![interface("eth0", "c", 6, "10.0.3.2/24")], vec![route("0.0.0.0/0", "10.0.3.1")], false);
    world
}

#[test]
fn ping_looks_like_ping() {
    let world = World::lan(2);
    let begin = world.now();
    let (text, json) = run(&world, 0, "ping -c 3 h2", 0);
    assert_eq!(
        text.out(),
        "PING h2 (10.0.0.2) 56(84) bytes of data.\n\
         64 bytes from h2 (10.0.0.2): icmp_seq=1 ttl=64 time=0.000000 ms\n\
         64 bytes from h2 (10.0.0.2): icmp_seq=2 ttl=64 time=0.000000 ms\n\
         64 bytes from h2 (10.0.0.2): icmp_seq=3 ttl=64 time=0.000000 ms\n\
         \n--- h2 ping statistics ---\n\
         3 packets transmitted, 3 received, 0% packet loss, time 2000ms\n\
         rtt min/avg/max/mdev = 0.000000/0.000000/0.000000/0.000000 ms\n"
    );
    let json = json.json();
    assert_eq!(
        (&json["transmitted"], &json["received"], &json["loss_percent"]),
        (&3.into(), &3.into(), &0.0.into())
    );
    assert_eq!(json["rtt_us"]["p99"], 0.0);
    assert!(world.now().since(begin) < Duration::from_millis(4001), "no time is lost after the last reply");
}

#[test]
fn ping_counts_what_is_lost_and_what_comes_twice() {
    let world = World::lan(2);
    run(&world, 0, "ping -c 1 h2", 0);
    let mut requests = 0;
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| {
        let echo = frame.get(34) == Some(&8); // an ICMP echo request behind Ethernet and IP
        requests += usize::from(echo);
        match requests % 4 {
            _ if !echo => 1,
            1 => 0,
            2 => 2,
            _ => 1,
        }
    }));
    let (text, json) = run(&world, 0, "ping -c 4 -i 0.1 -s 1000 10.0.0.2", 0);
    let lines: Vec<String> = text.out().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "PING 10.0.0.2 (10.0.0.2) 1000(1028) bytes of data.");
    assert_eq!(lines[1], "1008 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=0.000000 ms");
    assert_eq!(lines[2], "1008 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=0.000000 ms (DUP!)");
    assert!(
        lines[7].starts_with("4 packets transmitted, 3 received, +1 duplicates, 25% packet loss"),
        "{lines:?}"
    );
    assert_eq!(json.json()["loss_percent"], 25.0);
}

#[test]
fn ping_says_why_not() {
    let world = chain(&["10.9.0.0/16"]);
    let (text, _) = run(&world, 0, "ping -c 1 -t 1 h2", 1);
    assert!(text.out().contains("\nFrom 10.0.1.1 icmp_seq=1 Time to live exceeded\n"), "{}", text.out());
    assert!(
        text.out().contains("1 packets transmitted, 0 received, +1 errors, 100% packet loss"),
        "{}",
        text.out()
    );
    let (text, _) = run(&world, 0, "ping -c 1 10.9.0.1", 1);
    assert!(
        text.out().contains("\nFrom 10.0.2.2 icmp_seq=1 Destination Net Unreachable\n"),
        "{}",
        text.out()
    );
    let (text, _) = run(&world, 0, "ping -c 1 10.0.3.99", 1);
    assert!(
        text.out().contains("\nFrom 10.0.2.2 icmp_seq=1 Destination Host Unreachable\n"),
        "{}",
        text.out()
    );
    // Our own stack finds no neighbour: it is us who says so.
    let (text, json) = run(&world, 0, "ping -c 2 -i 0.1 10.0.1.99", 1);
    assert!(
        text.out().contains("\nFrom 10.0.1.2 icmp_seq=1 Destination Host Unreachable\n"),
        "{}",
        text.out()
    );
    assert_eq!((&json.json()["errors"], &json.json()["rtt_us"]), (&2.into(), &Value::Null));
}

#[test]
fn ping_that_cannot_begin() {
    let world = World::lan(1);
    let (text, _) = run(&world, 0, "ping nobody", 2);
    assert_eq!((text.out().as_str(), text.err().as_str()), ("", "ping: nobody: Name or service not known\n"));
    let (text, _) = run(&world, 0, "ping 192.0.2.1", 2);
    assert_eq!(text.err(), "ping: connect: Network is unreachable\n");
    let (text, _) = run(&world, 0, "ping -6 h1", 2);
    assert_eq!(text.err(), "ping: h1: Address family for hostname not supported\n");
    let (text, _) = run(&world, 0, "ping fe80::1%eth7", 2);
    assert_eq!(text.err(), "ping: fe80::1%eth7: Name or service not known\n");
    let (text, _) = run(&world, 0, "ping -c 0 10.0.0.1", 2);
    assert!(text.err().starts_with("ping: 0: not a number from 1 to "), "{}", text.err());
    assert!(text.err().contains("\nusage: ping [-4 | -6] [-c COUNT]"), "{}", text.err());
    let (text, _) = run(&world, 0, "nosuch", 127);
    assert_eq!(text.err(), "node: nosuch: no such program\n");
}

#[test]
fn ping_ends_by_its_clocks() {
    let world = World::lan(2);
    let begin = world.now();
    let lost = start(&world, 0, "ping -c 1 -W 2.5 10.0.0.99", true);
    world.run_until(|| lost.process.status().is_some());
    assert_eq!(lost.process.status(), Some(1));
    assert_eq!(world.now().since(begin), Duration::from_millis(2500));
    let begin = world.now();
    let until = start(&world, 0, "ping -w 3.5 h2", true);
    world.run_until(|| until.process.status().is_some());
    assert_eq!(world.now().since(begin), Duration::from_millis(3500));
    assert_eq!((until.process.status(), &until.json()["received"]), (Some(0), &4.into()));
    for paced in ["-f", "-i 0", "-A"] {
        let ping = start(&world, 0, &format!("ping {paced} -c 1000 h2"), true);
        let begin = world.now();
        world.run_until(|| ping.process.status().is_some());
        assert_eq!(ping.json()["received"], 1000);
        assert!(world.now().since(begin) < Duration::from_millis(100), "the next request follows the reply");
    }
    for (paced, transmitted) in [("-f", 100), ("-i 0", 100), ("-A", 1)] {
        let ping = start(&world, 0, &format!("ping {paced} -w 0.999 10.0.0.99"), true);
        world.run_until(|| ping.process.status().is_some());
        assert_eq!(ping.json()["transmitted"], transmitted, "{paced}: silence");
    }
}

#[test]
fn traceroute_shows_the_way() {
    let world = chain(&["10.9.0.0/16"]);
    let (text, json) = run(&world, 0, "traceroute h2", 0);
    let zero = "0.000000 ms";
    assert_eq!(
        text.out(),
        format!(
            "traceroute to h2 (10.0.3.2), 30 hops max, 60 byte packets\n \
             1  r1 (10.0.1.1)  {zero}  {zero}  {zero}\n \
             2  r2 (10.0.2.2)  {zero}  {zero}  {zero}\n \
             3  h2 (10.0.3.2)  {zero}  {zero}  {zero}\n"
        )
    );
    let json = json.json();
    assert_eq!((&json["reached"], json["hops"].as_array().unwrap().len()), (&true.into(), 3));
    assert_eq!(json["hops"][1]["probes"][2]["from"], "10.0.2.2");
}

#[test]
fn traceroute_marks_dead_ends() {
    let world = chain(&["10.9.0.0/16"]);
    let (text, json) = run(&world, 0, "traceroute -n -q 1 10.9.0.1", 0);
    assert!(text.out().ends_with("  10.0.2.2  0.000000 ms !N\n"), "{}", text.out());
    assert_eq!(json.json()["reached"], false);
    let (text, _) = run(&world, 0, "traceroute -n -q 1 10.0.3.99", 0);
    assert!(text.out().contains("\n 3  10.0.2.2  "), "{}", text.out());
    assert!(text.out().ends_with(" ms !H\n"), "{}", text.out());
    // Nobody answers: stars, as many hops as asked for.
    *world.ether.copies.borrow_mut() = Some(Box::new(|frame| usize::from(frame.get(23) != Some(&1))));
    let (text, _) = run(&world, 0, "traceroute -n -q 2 -m 2 -w 0.5 h2", 0);
    assert!(text.out().ends_with("\n 1  * *\n 2  * *\n"), "{}", text.out());
}

#[test]
fn udp_source_and_sink_agree() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "udpsink -n 2 7000", true);
    let (text, json) = run(&world, 0, "udpsource -n 1000 -l 18 h2 7000", 0);
    assert!(
        text.out().contains("1000 received, 0 lost (0.000%), 0 reordered, 0 duplicated"),
        "{}",
        text.out()
    );
    let json = json.json();
    assert_eq!((&json["packets"], &json["lost"], &json["octets"]), (&1000.into(), &0.into(), &18_000.into()));
    world.run_until(|| sink.process.status().is_some());
    assert_eq!(sink.err(), "udpsink: listening on port 7000\n");
    let lines: Vec<Value> = sink.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["received"]), (2, &1000.into()));
}

#[test]
fn udp_loss_and_duplicates_are_counted() {
    let world = World::lan(2);
    run(&world, 0, "ping -c 1 h2", 0);
    let _sink = serve(&world, 1, "udpsink 7000", false);
    let mut datagrams = 0;
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| {
        // Octet 42 is the first of the number: 0 in datagrams, 0x80 in ends and reports.
        let numbered = frame.len() >= 66 && frame[23] == 17 && frame[42] & 0x80 == 0;
        datagrams += usize::from(numbered);
        match datagrams % 10 {
            _ if !numbered => 1,
            0 => 0,
            5 => 2,
            _ => 1,
        }
    }));
    let source = start(&world, 0, "udpsource -n 1000 -l 100 -r 10000 h2 7000", true);
    let begin = world.now();
    world.run_until(|| source.process.status().is_some());
    let json = source.json();
    assert_eq!(
        (&json["lost"], &json["duplicated"], &json["received"]),
        (&100.into(), &100.into(), &1000.into())
    );
    assert_eq!(json["reordered"], 0);
    let took = world.now().since(begin);
    assert!(
        took >= Duration::from_millis(99) && took < Duration::from_millis(110),
        "the rate is kept: {took:?}"
    );
}

#[test]
fn an_interrupted_source_says_what_it_sent() {
    let world = World::lan(2);
    let _sink = serve(&world, 1, "udpsink 7000", false);
    let source = start(&world, 0, "udpsource -t 100 -r 100 h2 7000", true);
    world.run_until(|| world.now() >= Instant::from_millis(1000));
    // Numbers 0 to 100, at 0 to 1000 ms.
    world.kernels[0].interrupt(&source.process);
    world.run_until(|| source.process.status().is_some());
    let json = source.json();
    assert_eq!(
        (source.process.status(), &json["packets"], &json["received"]),
        (Some(0), &101.into(), &101.into())
    );
}

#[test]
fn udp_without_a_sink() {
    let world = World::lan(2);
    let (text, _) = run(&world, 0, "udpsource -n 10 -r 100 h2 7000", 1);
    assert_eq!(text.err(), "udpsource: send: Connection refused\n");
    *world.ether.copies.borrow_mut() = Some(Box::new(|frame| usize::from(frame.get(23) != Some(&1))));
    let (text, _) = run(&world, 0, "udpsource -n 10 h2 7000", 1);
    assert!(
        text.out().ends_with("all 10 datagrams were lost: nothing came back from the sink\n"),
        "{}",
        text.out()
    );
}

#[test]
fn udp_round_trips() {
    let world = World::lan(2);
    let _echo = serve(&world, 1, "echo udp 7", false);
    let (text, json) = run(&world, 0, "rtt -c 100 -s 64 udp h2 7", 0);
    assert!(text.out().starts_with("100 round trips, 0 lost\nrtt min/avg/max/mdev = "), "{}", text.out());
    assert_eq!((&json.json()["received"], &json.json()["rtt_us"]["max"]), (&100.into(), &0.0.into()));
    let mut frames = 0;
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| {
        frames += usize::from(frame.get(23) == Some(&17));
        usize::from(frames % 5 != 1)
    }));
    let (_, json) = run(&world, 0, "rtt -c 6 udp h2 7", 0);
    let json = json.json();
    assert_eq!(&json["transmitted"], 6);
    assert!(json["received"].as_u64().unwrap() < 6);
}

#[test]
fn tcp_source_and_sink_agree() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "tcpsink -n 2 5001", true);
    let (text, json) = run(&world, 0, "tcpsource -n 3M -l 10000 h2 5001", 0);
    assert!(text.out().starts_with("connected to 10.0.0.2:5001 from 10.0.0.1:"), "{}", text.out());
    assert!(text.out().contains("3.00 MBytes in "), "{}", text.out());
    let json = json.json();
    assert_eq!(
        (&json["octets"], &json["mss"], &json["retransmits"]),
        (&(3 << 20).into(), &1448.into(), &0.into())
    );
    assert!(json["congestion_control"].is_string() && json["bits_per_second"].is_number());
    world.run_until(|| sink.process.status().is_some());
    let lines: Vec<Value> = sink.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["octets"], &lines[1]["error"]), (2, &(3 << 20).into(), &Value::Null));
    assert_eq!(sink.process.status(), Some(0));
}

/// A sink that begins late: its window is closed meanwhile, and nothing is lost.
#[test]
fn a_sink_may_be_late() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "tcpsink -n 1 -d 2 5001", true);
    let mut closed = 0;
    let seen = Rc::new(Cell::new(0));
    let told = seen.clone();
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| {
        let from_the_sink = frame.get(23) == Some(&6) && frame.get(34..36) == Some(&5001u16.to_be_bytes());
        closed += usize::from(from_the_sink && frame.get(48..50) == Some(&[0, 0]));
        told.set(closed);
        1
    }));
    let begin = world.now();
    let source = start(&world, 0, "tcpsource -n 1M h2 5001", true);
    world.run_until(|| source.process.status().is_some());
    assert_eq!((source.process.status(), &source.json()["octets"]), (Some(0), &(1 << 20).into()));
    assert!(world.now().since(begin) >= Duration::from_secs(2));
    assert!(seen.get() > 1, "{} segments with a closed window", seen.get());
    world.run_until(|| sink.process.status().is_some());
    assert_eq!(sink.json()["octets"], 1 << 20);
}

/// A sink that leaves in the middle: what it has not read resets the source.
#[test]
fn a_sink_may_leave_in_the_middle() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "tcpsink -n 1 -m 100000 5001", true);
    let source = start(&world, 0, "tcpsource -n 1M h2 5001", true);
    world.run_until(|| source.process.status().is_some());
    assert_eq!(source.process.status(), Some(1));
    assert!(source.err().contains("Connection reset by peer"), "{}", source.err());
    world.run_until(|| sink.process.status().is_some());
    assert_eq!((&sink.json()["octets"], &sink.json()["error"]), (&100_000.into(), &Value::Null));
}

#[test]
fn tcp_survives_loss() {
    let world = World::lan_of_segments(2);
    let _sink = serve(&world, 1, "tcpsink 5001", false);
    let mut segments = 0;
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| {
        segments += usize::from(frame.get(23) == Some(&6));
        usize::from(segments % 50 != 49)
    }));
    let source = start(&world, 0, "tcpsource -n 1M h2 5001", true);
    world.run_until(|| source.process.status().is_some());
    let json = source.json();
    assert_eq!(json["octets"], 1 << 20);
    assert!(json["retransmits"].as_u64().unwrap() > 0, "{json}");
}

/// The wire is cut in the middle: the time is kept, and what arrived is told.
#[test]
fn tcp_ends_in_time() {
    let world = World::lan_of_segments(2);
    let _sink = serve(&world, 1, "tcpsink 5001", false);
    let mut segments = 0;
    *world.ether.copies.borrow_mut() = Some(Box::new(move |_| {
        segments += 1;
        usize::from(segments < 500)
    }));
    let begin = world.now();
    let source = start(&world, 0, "tcpsource -t 3 h2 5001", true);
    world.run_until(|| source.process.status().is_some());
    assert_eq!((source.process.status(), world.now().since(begin)), (Some(1), Duration::from_secs(13)));
    let octets = source.json()["octets"].as_u64().unwrap();
    assert!(octets > 100_000 && octets < 500 * 1448, "{octets}");
    assert!(source.err().contains("the peer has not read all"), "{}", source.err());
}

#[test]
fn tcp_without_a_sink() {
    let world = World::lan(2);
    let (text, _) = run(&world, 0, "tcpsource h2 5001", 1);
    assert_eq!(text.err(), "tcpsource: connect to 10.0.0.2:5001: Connection refused\n");
}

#[test]
fn tcp_round_trips() {
    let world = World::lan(2);
    let echo = serve(&world, 1, "echo tcp 7", false);
    let (_, json) = run(&world, 0, "rtt -c 100 tcp h2 7", 0);
    assert_eq!((&json.json()["received"], &json.json()["transmitted"]), (&100.into(), &100.into()));
    let (_, json) = run(&world, 0, "rtt -c 3 -s 60000 tcp 10.0.0.2 7", 0);
    assert_eq!(json.json()["received"], 3);
    let begin = world.now();
    let spaced = start(&world, 0, "rtt -c 3 -i 0.5 tcp h2 7", true);
    world.run_until(|| spaced.process.status().is_some());
    assert_eq!(spaced.json()["received"], 3);
    assert_eq!(world.now().since(begin), Duration::from_secs(1));
    assert_eq!(echo.err(), "echo: listening on port 7\n");
}

/// A port that is taken, by the same program twice.
#[test]
fn a_port_has_one_owner() {
    let world = World::lan(1);
    for server in ["tcpsink 7", "udpsink 7", "httpd 80"] {
        let first = serve(&world, 0, server, false);
        let second = start(&world, 0, server, false);
        world.run_until(|| second.process.status().is_some());
        assert_eq!(second.process.status(), Some(1), "{server}");
        assert!(second.err().ends_with(": Address already in use\n"), "{}", second.err());
        assert_eq!(first.process.status(), None);
    }
}

/// What kernel 0 gets when it sends `octets` to port 80 of kernel 1: all that comes until the end.
fn exchange(world: &World, octets: &[u8]) -> String {
    let octets = octets.to_vec();
    let client = world.spawn(0, async move |sys| {
        let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.connect(fd, "10.0.0.2:80".parse().unwrap()).await.unwrap();
        sys.write_all(fd, &octets).await.unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match sys.recv(fd, &mut buffer, MsgFlags::empty()).await {
                Ok(0) => break,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
            }
        }
        sys.close(fd).unwrap();
        all
    });
    String::from_utf8_lossy(&world.result(&client)).into_owned()
}

#[test]
fn http_is_served_and_got() {
    let world = World::lan(2);
    let _httpd = serve(&world, 1, "httpd 80", false);
    for octets in [0, 1, 1024, 1025, 65_536, 1_000_003] {
        let (text, json) = run(&world, 0, &format!("get http://h2/octets/{octets}"), 0);
        assert!(text.out().starts_with("200 OK: "), "{}", text.out());
        let json = json.json();
        assert_eq!((&json["status"], &json["octets"]), (&200.into(), &octets.into()));
        assert!(json["seconds"].is_number());
    }
    let (text, _) = run(&world, 0, "get -b 10.0.0.2", 0);
    assert_eq!(text.out(), "h2\n");
    let (text, json) = run(&world, 0, "get -I h2/octets/77", 0);
    assert!(text.out().contains("\nContent-Length: 77\n"), "{}", text.out());
    assert_eq!(json.json()["octets"], 0);
    let (_, json) = run(&world, 0, "get h2/nothing", 1);
    assert_eq!(json.json()["status"], 404);
    let (text, _) = run(&world, 0, "get h2:81", 1);
    assert_eq!(text.err(), "get: connect to 10.0.0.2:81: Connection refused\n");
    let (text, _) = run(&world, 0, "get -w 1.5 http://10.0.0.99/", 1);
    assert_eq!(text.err(), "get: no answer in 1.5s\n");
}

#[test]
fn http_connections_live_on() {
    let world = World::lan(2);
    let _httpd = serve(&world, 1, "httpd 80", false);
    let requests = b"\r\nGET /octets/3 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /octets/9 HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n\
        GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.0\r\n\r\n";
    let answers = exchange(&world, requests);
    let statuses: Vec<&str> =
        answers.lines().filter_map(|line| line.find("HTTP/1.1 ").map(|at| &line[at..])).collect();
    assert_eq!(
        statuses,
        [
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 405 Method Not Allowed",
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 200 OK"
        ],
        "{answers}"
    );
    assert!(answers.contains("\r\n\r\n\0\u{1}\u{2}HTTP/1.1 200 OK\r\n"), "{answers}");
    assert!(answers.ends_with("Connection: close\r\n\r\nh2\n"), "{answers}");
}

#[test]
fn bad_http_is_refused() {
    let world = World::lan(2);
    let _httpd = serve(&world, 1, "httpd 80", false);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    let endless = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(20_000));
    let large = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n".to_vec();
    let large = [large, vec![b'z'; 2 << 20]].concat();
    for (request, status) in [
        (&b"nonsense\r\n\r\n"[..], "400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501 Not Implemented"),
        (b"GET / HTTP/9.1\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
        (long.as_bytes(), "431 Request Header Fields Too Large"),
        (endless.as_bytes(), "431 Request Header Fields Too Large"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = exchange(&world, request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{shown:?}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    // More than is ever read: the server answers and ends the connection; the client may see that as a reset.
    let client = world.spawn(0, async move |sys| {
        let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.connect(fd, "10.0.0.2:80".parse().unwrap()).await.unwrap();
        let sent = sys.write_all(fd, &large).await;
        let mut buffer = [0; 4096];
        (
            sent,
            sys.recv(fd, &mut buffer, MsgFlags::empty())
                .await
                .map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned()),
        )
    });
    match world.result(&client) {
        (_, Ok(answer)) => assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}"),
        (Err(_), Err(_)) => {}
        (Ok(()), Err(error)) => panic!("everything was taken, and then {error}"),
    }
    // Silence, before and inside a request, is not waited on for ever.
    let begin = world.now();
    assert!(exchange(&world, b"GET / HTTP/1.1\r\nHost:").starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(exchange(&world, b""), "");
    assert!(world.now().since(begin) < Duration::from_secs(130));
}
