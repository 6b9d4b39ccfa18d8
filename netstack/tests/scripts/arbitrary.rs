//! Octets that nobody made for us: nothing panics, nothing grows without bound, two runs are alike.

use crate::harness::*;
use netstack::net::mbuf::{Gso, GsoKind, Offload};
use netstack::socket::{Family, SockOpt, SockType};
use netstack::time::Duration;
use proptest::prelude::*;

/// A router with a socket of each kind.
fn busy() -> Script {
    let mut s = Script::router();
    s.neighbour(0, "10.0.0.2");
    s.neighbour(1, "10.0.1.2");
    s.route("0.0.0.0/0", "10.0.1.2");
    let udp = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.bind(s.now, udp, "0.0.0.0:9".parse().unwrap()).unwrap();
    s.stack.socket(Family::Inet, SockType::Raw, 1).unwrap();
    s.stack.socket(Family::Inet, SockType::Dgram, 1).unwrap();
    let tcp = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    s.stack.bind(s.now, tcp, "0.0.0.0:9".parse().unwrap()).unwrap();
    s.stack.listen(s.now, tcp, 5).unwrap();
    for group in ["239.1.1.1", "239.1.1.2"] {
        let join = SockOpt::Join(group.parse().unwrap(), Some(s.ifs[0]));
        s.stack.set_option(s.now, udp, join).unwrap();
    }
    let tap = s.stack.socket(Family::Inet, SockType::Packet, 0).unwrap();
    s.stack.bind_packet(tap, None, netstack::wire::ethernet::ALL).unwrap();
    s
}

fn offload() -> impl Strategy<Value = Offload> {
    let gso =
        (0u16..2000, 0u16..200).prop_map(|(size, header_len)| Gso { kind: GsoKind::TcpV4, size, header_len });
    (0u16..100, 0u16..30, prop::option::of(gso)).prop_map(|(csum_start, csum_offset, gso)| Offload {
        csum_start,
        csum_offset,
        gso,
    })
}

/// A frame that is sound up to some layer, and then damaged.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let good = prop_oneof![
        Just(arp_request("10.0.0.2", "10.0.0.1")),
        Just(arp_reply("10.0.0.2", "10.0.0.1")),
        Just(Ip::new("10.0.0.2", "10.0.0.1").echo(1, 1, &[0; 40])),
        Just(Ip::new("10.0.0.2", "10.0.0.1").udp(5, 9, &[0; 40])),
        Just(Ip::new("10.0.0.2", "192.0.2.1").udp(5, 9, &[0; 40])),
        Just(Ip::new("10.0.0.2", "10.0.0.1").options(&[7, 7, 4, 0, 0, 0, 0, 0]).udp(5, 9, &[0; 40])),
        Just(igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 0, None))),
        Just(igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 10, None))),
        Just(igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 10, Some(V3(2, 1, &[]))))),
        Just(igmp_frame("239.1.1.1", &igmp_query("239.1.1.1", 10, Some(V3(2, 1, &["10.0.0.3"]))))),
        Just(igmp_frame("239.1.1.1", &[0x16, 0, 0, 0, 239, 1, 1, 1])),
        (0u16..9, any::<bool>())
            .prop_map(|(at, mf)| Ip::new("10.0.0.2", "10.0.0.1").fragment(1, at * 8, mf).raw(17, &[0; 24])),
        (any::<u8>(), prop::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(p, data)| Ip::new("10.0.0.2", "10.0.0.1").raw(p, &data)),
        prop::collection::vec(any::<u8>(), 0..80)
            .prop_map(|data| Ip::new("10.0.0.2", "10.0.0.1").raw(6, &data)),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let sound =
        (good, damage, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(mut f, damage, cut, mend)| {
            for (at, octet) in damage {
                let at = at.index(f.len());
                f[at] = octet;
            }
            let whole = f.len();
            f.truncate(cut.index(whole * 4).max(1).min(whole));
            if mend && f.len() >= 34 {
                let header_len = (usize::from(f[14] & 15) * 4).clamp(20, f.len() - 14);
                f[24..26].fill(0);
                let sum = netstack::wire::checksum::checksum(&f[14..14 + header_len]);
                f[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            f
        });
    prop_oneof![4 => sound, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn frames_never_panic_and_runs_repeat(
        frames in prop::collection::vec((frame(), prop::option::of(offload()), 0u64..3_000), 1..40)
    ) {
        let run = || {
            let mut s = busy();
            let mut out = Vec::new();
            for (frame, offload, ms) in &frames {
                let mut m = s.stack.rx_mbuf();
                m.extend(frame);
                m.offload = offload.unwrap_or_default();
                s.stack.input(s.now, s.ifs[0], m);
                s.pass(Duration::from_millis(*ms));
                out.extend(s.frames(0));
                out.extend(s.frames(1));
            }
            s.pass(Duration::from_secs(3600));
            (out, s.events(), s.stack.stats())
        };
        prop_assert_eq!(run(), run());
    }
}
