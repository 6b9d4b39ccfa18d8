//! A hundred thousand connections on one node: they work, they cost nothing while nothing happens, and
//! nothing is left of them.

mod world;

use netstack::time::{Duration, Instant};
use rumpkern::syscall::{Family, MsgFlags, Shutdown, SockType, Sys};
use std::net::SocketAddr;
use world::World;

const NONE: MsgFlags = MsgFlags::empty();
/// Each port of the server gives 28,232 connections between two addresses.
const PORTS: u16 = 4;
const EACH: usize = 25_000;

#[test]
fn a_hundred_thousand_idle_connections() {
    let world = World::lan(2);
    let accept = |port: u16| {
        world.spawn(1, async move |sys: Sys| {
            let listener = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
            sys.bind(listener, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
            sys.listen(listener, 100).unwrap();
            let mut all = Vec::new();
            for _ in 0..EACH {
                all.push(sys.accept(listener).await.unwrap().0);
            }
            // The last one's octet wakes this program; then it answers on every one.
            let mut octet = [0];
            sys.recv(*all.last().unwrap(), &mut octet, NONE).await.unwrap();
            for fd in &all {
                sys.send(*fd, &octet, NONE).await.unwrap();
            }
            // Whoever leaves so many connections behind at once has them reset (Linux's `tcp_max_orphans`).
            assert_eq!(sys.recv(*all.last().unwrap(), &mut octet, NONE).await, Ok(0));
            all.len()
        })
    };
    let servers: Vec<_> = (0..PORTS).map(|i| accept(80 + i)).collect();
    let client = world.spawn(0, async |sys: Sys| {
        let mut all = Vec::new();
        for port in 80..80 + PORTS {
            for i in 0..EACH {
                if i % 1000 == 0 {
                    sys.sleep(Duration::from_millis(1)).await;
                }
                let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
                sys.connect(fd, SocketAddr::from(([10, 0, 0, 2], port))).await.unwrap();
                all.push(fd);
            }
        }
        // Nothing happens for half an hour.
        sys.sleep(Duration::from_secs(1800)).await;
        for last in all.chunks(EACH).filter_map(|of_a_port| of_a_port.last()) {
            sys.send(*last, b"x", NONE).await.unwrap();
        }
        let mut octet = [0];
        for fd in &all {
            assert_eq!(sys.recv(*fd, &mut octet, NONE).await, Ok(1));
        }
        for last in all.chunks(EACH).filter_map(|of_a_port| of_a_port.last()) {
            sys.shutdown(*last, Shutdown::Write).unwrap();
        }
        sys.sleep(Duration::from_secs(1)).await;
        all.len()
    });
    assert_eq!(world.result(&client), usize::from(PORTS) * EACH);
    for server in servers {
        assert_eq!(world.result(&server), EACH);
    }
    // All were made within a second; what the neighbours' tables do is theirs.
    let log = world.ether.log.borrow();
    let pause = Duration::from_secs(60)..Duration::from_secs(1799);
    let in_the_pause = log.iter().filter(|(at, _)| pause.contains(&at.since(Instant::ZERO))).count();
    assert!(
        in_the_pause == 0 && log.len() > 5 * usize::from(PORTS) * EACH,
        "{in_the_pause} of {}",
        log.len()
    );
}
