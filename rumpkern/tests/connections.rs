//! `connsource` and `connsink` over whole kernels in virtual time: many connections, opened and closed, or held.

mod world;

use netstack::time::Duration;
use rumpkern::syscall::Sys;
use std::collections::{BTreeMap, BTreeSet};
use world::World;
use world::prog::{run, serve, start};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// Ports and flags of a TCP segment in an Ethernet frame with a plain IPv4 header.
fn segment(frame: &[u8]) -> Option<(u16, u16, u8)> {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    (frame[12..14] == [8, 0] && frame[23] == 6).then(|| (word(34), word(36), frame[47]))
}

/// How many segments of the log have one of `flags` and no ACK or one, by the port that they went to.
fn sent_to(world: &World, flags: u8) -> BTreeMap<u16, usize> {
    let mut count = BTreeMap::new();
    for (_, frame) in world.ether.log.borrow().iter() {
        if let Some((_, to, has)) = segment(frame)
            && has & flags != 0
        {
            *count.entry(to).or_default() += 1;
        }
    }
    count
}

#[test]
fn more_connections_than_a_port_has_room_for() {
    // Half of them and some more: Linux's ephemeral ports are 28,232.
    const N: usize = 15_000;
    let world = World::lan(2);
    serve(&world, 1, "connsink 80", false);
    let command = format!("connsource -n {N} -P 8 h2 80");
    let [text, json] = [false, true].map(|json| {
        let run = start(&world, 0, &command, json);
        world.run_until(|| run.process.status().is_some());
        assert_eq!(run.process.status(), Some(0), "{}", run.err());
        // The stamps of the next ones are later: that ends a TIME-WAIT.
        world.result(&world.spawn(0, async |sys: Sys| sys.sleep(Duration::from_secs(1)).await));
        run
    });
    assert_eq!(
        text.out(),
        format!(
            "{N} connections in 0.000 s, 0 a second, 0 failed\nconnect p50/p99/max = 0.000000/0.000000/0.000000 ms\n"
        )
    );
    let json = json.json();
    assert_eq!(
        (&json["connections"], &json["failed"], &json["unfinished"]),
        (&N.into(), &0.into(), &0.into())
    );
    assert_eq!(json["connect_us"]["p99"], 0.0);
    // One of each, from either side: nothing was reset, nothing sent again.
    assert_eq!((sent_to(&world, SYN)[&80], sent_to(&world, FIN)[&80]), (2 * N, 2 * N));
    assert_eq!(sent_to(&world, RST), BTreeMap::new());
    // The sink closes first, and stays in TIME-WAIT; the source's ports are free at once.
    let mut closed = BTreeSet::new();
    for (_, frame) in world.ether.log.borrow().iter() {
        match segment(frame) {
            Some((port, 80, flags)) if flags & SYN != 0 => drop(closed.remove(&port)),
            Some((80, port, flags)) if flags & FIN != 0 => drop(closed.insert(port)),
            Some((port, 80, flags)) if flags & FIN != 0 => assert!(closed.contains(&port), "{port}"),
            Some(_) | None => {}
        }
    }
}

#[test]
fn held_connections_lie_idle_and_leave_nothing_behind() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "connsink -k -p 3 80", false);
    let source = start(&world, 0, "connsource -k -n 300 -t 100 h2 80-82", true);
    world.run_until(|| source.err().contains("holding the connections"));
    assert_eq!(source.json()["connections"], 300, "the result is there while they are held");
    let begin = world.now();
    assert_eq!(
        sent_to(&world, SYN).range(..100).map(|(port, n)| (*port, *n)).collect::<Vec<_>>(),
        [(80, 100), (81, 100), (82, 100)]
    );
    world.ether.log.borrow_mut().clear();
    world.run_until(|| source.err().contains("letting go"));
    assert_eq!(world.now().since(begin), Duration::from_secs(100));
    let tcp = |world: &World| {
        world
            .ether
            .log
            .borrow()
            .iter()
            .filter(|(at, frame)| *at < world.now() && segment(frame).is_some())
            .count()
    };
    assert_eq!(tcp(&world), 0, "nothing was said of them meanwhile");
    world.run_until(|| source.process.status().is_some());
    assert_eq!((source.process.status(), sink.process.status()), (Some(0), None));
    world.settle();
    let resets: usize = sent_to(&world, RST).values().sum();
    assert_eq!((resets, sent_to(&world, FIN).len()), (300, 0));
}

#[test]
fn a_sink_that_knows_how_many_there_are_ends_with_them() {
    let world = World::lan(2);
    let sink = serve(&world, 1, "connsink -k -n 300 -p 3 80", false);
    let source = start(&world, 0, "connsource -k -n 300 -t 100 h2 80-82", false);
    world.run_until(|| source.process.status().is_some());
    world.run_until(|| sink.process.status().is_some());
    assert_eq!((source.process.status(), sink.process.status()), (Some(0), Some(0)), "{}", sink.err());
    world.settle();
    // It has closed what was reset.
    assert_eq!((sent_to(&world, RST).values().sum::<usize>(), sent_to(&world, FIN).len()), (300, 0));
    assert_eq!(world.kernels[1].with_stack(|stack, _| stack.sockets().count()), 0);
    // Closing, it has the last one behind it when that is accepted.
    let sink = serve(&world, 1, "connsink -n 20 80", false);
    run(&world, 0, "connsource -n 10 h2 80", 0);
    world.run_until(|| sink.process.status().is_some());
    assert_eq!(sink.process.status(), Some(0));
}

#[test]
fn an_interrupt_ends_the_hold() {
    let world = World::lan(2);
    serve(&world, 1, "connsink -k 80", false);
    let source = start(&world, 0, "connsource -k -n 10 -t 1000 h2 80", true);
    world.run_until(|| source.err().contains("holding the connections"));
    let begin = world.now();
    world.kernels[0].interrupt(&source.process);
    world.run_until(|| source.process.status().is_some());
    assert_eq!(source.process.status(), Some(0));
    assert!(world.now().since(begin) < Duration::from_millis(1));
    world.settle();
    assert_eq!(sent_to(&world, RST).values().sum::<usize>(), 10);
}

#[test]
fn failed_ones_are_counted_and_one_reason_is_told() {
    let world = World::lan(2);
    serve(&world, 1, "connsink 80", false);
    let mut known = BTreeSet::new();
    *world.ether.copies.borrow_mut() = Some(Box::new(move |frame| match segment(frame) {
        // The sixth and the later ones are not answered.
        Some((port, 80, flags)) if flags & SYN != 0 => {
            known.insert(port);
            usize::from(known.iter().take(5).any(|one| *one == port) || known.len() <= 5)
        }
        Some(_) | None => 1,
    }));
    let source = start(&world, 0, "connsource -n 8 -P 2 h2 80", false);
    world.run_until(|| source.process.status().is_some());
    assert_eq!(source.process.status(), Some(1));
    let said = source.out();
    assert!(said.starts_with("5 connections in "), "{said}");
    assert!(said.contains(" 3 failed (connect: Connection timed out)"), "{said}");
}

#[test]
fn nobody_there_is_found_out_by_the_first() {
    let world = World::lan(2);
    let (text, _) = run(&world, 0, "connsource -t 10 h2 80", 1);
    assert_eq!(text.err(), "connsource: connect: Connection refused\n");
    assert_eq!(sent_to(&world, SYN)[&80], 2, "one for each run");
    let (text, _) = run(&world, 0, "connsource -k h2 80", 2);
    assert!(text.err().starts_with("connsource: -k wants -n"), "{}", text.err());
}

#[test]
fn a_sink_wants_its_ports_in_a_row() {
    let world = World::lan(1);
    serve(&world, 0, "connsink 81", false);
    let (text, _) = run(&world, 0, "connsink -p 2 80", 1);
    assert_eq!(text.err(), "connsink: bind to port 81: Address already in use\n");
    let anywhere = serve(&world, 0, "connsink -p 4 0", false);
    assert_eq!(anywhere.process.status(), None, "{}", anywhere.err());
}
