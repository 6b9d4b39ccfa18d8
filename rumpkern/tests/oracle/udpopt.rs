//! IPPROTO_IP of datagrams: defaults, round trips, what is refused.

use crate::verdict::compare;

#[test]
fn type_of_service() {
    compare(|t| {
        let s = t.udp();
        t.get(s, (0, 1));
        for value in [0x10, 0xb8, 0xff, 0x103, -1, 0] {
            t.set(s, (0, 1), value);
            t.get(s, (0, 1));
        }
    });
}

#[test]
fn time_to_live() {
    compare(|t| {
        let s = t.udp();
        for value in [1, 64, 255, 0, 256, -2] {
            t.set(s, (0, 2), value);
            t.get(s, (0, 2));
        }
    });
}

#[test]
fn flags() {
    compare(|t| {
        let s = t.udp();
        // IP_PKTINFO, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_MULTICAST_LOOP
        for name in [8, 11, 12, 13, 34] {
            t.get(s, (0, name));
            for value in [1, 0, 77] {
                t.set(s, (0, name), value);
                t.get(s, (0, name));
            }
        }
    });
}

#[test]
fn path_mtu_discovery() {
    compare(|t| {
        let s = t.udp();
        for value in [0, 1, 2, 3, 4, 5, 6, -1] {
            t.set(s, (0, 10), value);
            t.get(s, (0, 10));
        }
    });
}

#[test]
fn mtu_needs_a_peer() {
    compare(|t| {
        let s = t.udp();
        t.get(s, (0, 14));
        t.set(s, (0, 14), 1500);
    });
}

#[test]
fn multicast() {
    compare(|t| {
        let s = t.udp();
        t.get(s, (0, 33));
        for value in [5, 255, 0, 256, -1, -2] {
            t.set(s, (0, 33), value);
            t.get(s, (0, 33));
        }
        t.get_raw(s, (0, 32), 4);
    });
}

#[test]
fn groups_that_are_none() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, (0, 35), &[127, 0, 0, 1, 127, 0, 0, 1]);
        t.set_raw(s, (0, 35), &[224, 1, 2, 3]);
        t.set_raw(s, (0, 36), &[224, 1, 2, 3, 127, 0, 0, 1]);
        t.set_raw(s, (0, 35), &[224, 1, 2, 3, 127, 0, 0, 1]);
        t.set_raw(s, (0, 35), &[224, 1, 2, 3, 127, 0, 0, 1]);
        t.set_raw(s, (0, 36), &[224, 1, 2, 3, 127, 0, 0, 1]);
        t.set_raw(s, (0, 36), &[224, 1, 2, 3, 127, 0, 0, 1]);
    });
}

#[test]
fn short_values() {
    compare(|t| {
        let s = t.udp();
        for len in 0..5 {
            t.set_raw(s, (0, 2), &[7, 0, 0, 0, 0][..len]);
            t.get_raw(s, (0, 2), len);
        }
    });
}

#[test]
fn short_room() {
    compare(|t| {
        let s = t.udp();
        t.set(s, (0, 2), 200);
        for len in [0, 1, 2, 3, 8] {
            t.get_raw(s, (0, 2), len);
        }
    });
}

#[test]
fn unknown() {
    compare(|t| {
        let s = t.udp();
        for name in [0, 12_345, u32::MAX] {
            t.set(s, (0, name), 1);
            t.get(s, (0, name));
            t.set(s, (17, name), 1);
            t.get(s, (17, name));
        }
    });
}

/// UDPLITE_SEND_CSCOV and UDPLITE_RECV_CSCOV, of the level that has their name and of UDP's.
#[test]
fn checksum_coverage() {
    compare(|t| {
        let s = t.socket(2, 2, 136).expect("UDP-Lite");
        for level in [136, 17] {
            for name in [10, 11] {
                t.get(s, (level, name));
                for value in [20, 0, 1, 7, 8, 9, 65_535, 65_536, -1] {
                    t.set(s, (level, name), value);
                    t.get(s, (level, name));
                }
                t.set_raw(s, (level, name), &[9, 0, 0]);
                t.get_raw(s, (level, name), 2);
            }
        }
        let s = t.udp();
        for level in [136, 17] {
            t.get(s, (level, 10));
            t.set(s, (level, 10), 8);
        }
        let s = t.tcp();
        t.get(s, (136, 10));
        t.set(s, (136, 10), 8);
    });
}
