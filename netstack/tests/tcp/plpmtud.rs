//! A path that swallows large packets without a word: RFC 4821, RFC 2923 §2.1.

use crate::link::{Link, Peer, octets};
use netstack::tcp::{MtuProbing, TcpConfig};

/// Sends over a path that takes packets of `mtu` octets, and tells the packet size that the sender
/// came to and how many segments were sent again; `None`: nothing came through.
fn over_a_black_hole(mtu_probing: MtuProbing, mtu: usize) -> Option<(u32, u64)> {
    let config = TcpConfig { mtu_probing, ..TcpConfig::default() };
    let mut link = Link::new(config);
    link.swallows = Some(mtu);
    let listener = link.hosts[1].listener(80, 1);
    let client = link.connect(80);
    let mut a = Peer::new(0, client, octets(2_000_000, 1));
    let mut b: Option<Peer> = None;
    let mut size = 0;
    link.run(100_000, |l| {
        a.turn(l);
        match &mut b {
            Some(b) => b.turn(l),
            None => {
                let h = &mut l.hosts[1];
                b = h.tcp.accept(&mut h.ip, listener).ok().map(|(id, _)| Peer::new(1, id, Vec::new()));
            }
        }
        // With timestamps
        size = l.hosts[0].tcp.info(client).map_or(size, |i| i.snd_mss + 52);
        a.end.is_some_and(|e| e.is_err()) || b.as_ref().is_some_and(|b| b.end.is_some())
    });
    let whole = b.is_some_and(|b| b.read == octets(2_000_000, 1));
    whole.then(|| (size, link.hosts[0].tcp.stats().retrans_segs))
}

#[test]
fn the_search_finds_the_largest_packet_that_passes() {
    for mtu in [1100, 1280, 1400, 1492, 1500] {
        for probing in [MtuProbing::BlackHole, MtuProbing::Always] {
            let (size, again) = over_a_black_hole(probing, mtu).expect("the stream arrives whole");
            assert!(size as usize <= mtu, "{size} octets do not pass {mtu}");
            assert!(mtu - size as usize <= 8, "{size} octets of {mtu} that pass");
            if probing == MtuProbing::Always {
                // A probe that fails goes again in two or three.
                assert!(again < 30, "{again} segments sent again");
            }
        }
    }
}

#[test]
fn without_it_nothing_comes_through() {
    assert_eq!(over_a_black_hole(MtuProbing::Never, 1400), None);
}
