//! A flood of SYNs with forged sources, and those who mean it: RFC 4987.

use crate::link::{Link, Peer, octets};
use netstack::tcp::{SynCookies, TcpConfig};
use netstack::wire::tcp::{self, Flags, Header, Options};
use std::net::{IpAddr, Ipv4Addr};

/// A SYN from somebody who will never answer.
fn forged(n: u32, to: IpAddr) -> (IpAddr, Vec<u8>) {
    let from = IpAddr::V4(Ipv4Addr::from(0xc633_6400 + n % 60_000));
    let header = Header {
        src_port: 1024 + (n / 60_000) as u16,
        dst_port: 80,
        seq: n.wrapping_mul(2_654_435_761),
        flags: Flags::SYN,
        window: 65_535,
        options: Options { mss: Some(1460), ..Options::default() },
        ..Header::default()
    };
    let mut segment = vec![0; header.len()];
    header.emit(&mut segment);
    tcp::fill_checksum(from, to, &mut segment);
    (from, segment)
}

/// Ten clients, and 2,000 forged SYNs between one and the next: how many were served, and the most
/// sockets and timers there were.
fn under_flood(syncookies: SynCookies) -> (usize, usize, usize) {
    let config = TcpConfig { max_syn_backlog: 128, syncookies, ..TcpConfig::default() };
    let mut link = Link::new(config);
    let listener = link.hosts[1].listener(80, 128);
    let (mut clients, mut servers): (Vec<Peer>, Vec<Peer>) = (Vec::new(), Vec::new());
    let (us, them) = (link.hosts[0].ip.addr, link.hosts[1].ip.addr);
    let (mut most, mut timers) = (0, 0);
    for n in 0..20_000 {
        let (from, segment) = forged(n, them);
        link.intrude(1, from, &segment);
        if n % 2_000 == 1_000 {
            let id = link.connect(80);
            clients.push(Peer::new(0, id, octets(5_000, n)));
        }
        // A step is what comes next: the flood does not wait for the clients.
        if n % 20 == 0 {
            link.step();
        }
        clients.iter_mut().for_each(|c| c.turn(&mut link));
        let h = &mut link.hosts[1];
        while let Ok((id, from)) = h.tcp.accept(&mut h.ip, listener) {
            assert_eq!(from.ip(), us, "nobody else can finish a handshake");
            servers.push(Peer::new(1, id, octets(3_000, 7)));
        }
        servers.iter_mut().for_each(|s| s.turn(&mut link));
        most = most.max(link.hosts[1].tcp.len());
        timers = timers.max(link.hosts[1].tcp.timers());
    }
    let served = clients.iter().filter(|c| c.end == Some(Ok(())) && c.read == octets(3_000, 7)).count();
    (served, most, timers)
}

#[test]
fn clients_are_served_under_a_flood_and_memory_stays_bounded() {
    let (served, most, timers) = under_flood(SynCookies::WhenFull);
    assert_eq!(served, 10);
    // The queue, the listener, the clients.
    assert!(most <= 128 + 1 + 10, "{most} sockets");
    assert!(timers <= 4 * most + 64, "{timers} timers");
    // The flood is one: without cookies nobody comes through.
    assert_eq!(under_flood(SynCookies::Never).0, 0);
}
