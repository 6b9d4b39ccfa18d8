//! IPPROTO_TCP, and IPPROTO_IP of streams: defaults, round trips, what is refused.

use crate::sockets::*;
use crate::verdict::compare;

const NODELAY: (u32, u32) = (6, 1);
const MAXSEG: (u32, u32) = (6, 2);
const CORK: (u32, u32) = (6, 3);
const KEEPIDLE: (u32, u32) = (6, 4);
const KEEPINTVL: (u32, u32) = (6, 5);
const KEEPCNT: (u32, u32) = (6, 6);
const SYNCNT: (u32, u32) = (6, 7);
const LINGER2: (u32, u32) = (6, 8);
const INFO: (u32, u32) = (6, 11);
const QUICKACK: (u32, u32) = (6, 12);
const CONGESTION: (u32, u32) = (6, 13);
const USER_TIMEOUT: (u32, u32) = (6, 18);

#[test]
fn flags() {
    compare(|t| {
        let s = t.tcp();
        for option in [NODELAY, CORK] {
            t.get(s, option);
            for value in [1, 0, 77, -1] {
                t.set(s, option, value);
                t.get(s, option);
            }
        }
    });
}

#[test]
fn flags_of_a_connection() {
    compare(|t| {
        let p = t.pair();
        for option in [NODELAY, CORK] {
            t.get(p.client, option);
            t.set(p.client, option, 1);
            t.get(p.client, option);
            t.set(p.client, option, 0);
            t.get(p.client, option);
        }
    });
}

#[test]
fn cork_and_nodelay_together() {
    compare(|t| {
        let p = t.pair();
        t.set(p.client, NODELAY, 1);
        t.set(p.client, CORK, 1);
        t.get(p.client, NODELAY);
        t.get(p.client, CORK);
        t.set(p.client, CORK, 0);
        t.get(p.client, NODELAY);
    });
}

#[test]
fn keepalive() {
    compare(|t| {
        let s = t.tcp();
        for option in [KEEPIDLE, KEEPINTVL] {
            for value in [1, 60, 32_767, 0, -1, 32_768, 600] {
                t.set(s, option, value);
                t.get(s, option);
            }
        }
        for value in [1, 5, 127, 0, -1, 128] {
            t.set(s, KEEPCNT, value);
            t.get(s, KEEPCNT);
        }
    });
}

#[test]
fn syn_count() {
    compare(|t| {
        let s = t.tcp();
        for value in [1, 3, 127, 0, -1, 128] {
            t.set(s, SYNCNT, value);
            t.get(s, SYNCNT);
        }
    });
}

#[test]
fn user_timeout() {
    compare(|t| {
        let s = t.tcp();
        t.get(s, USER_TIMEOUT);
        for value in [1500, 0, 1, -1, i32::MAX] {
            t.set(s, USER_TIMEOUT, value);
            t.get(s, USER_TIMEOUT);
        }
    });
}

#[test]
fn linger2() {
    compare(|t| {
        let s = t.tcp();
        for value in [1, 10, 59] {
            t.set(s, LINGER2, value);
            t.get(s, LINGER2);
        }
    });
}

#[test]
fn maxseg() {
    compare(|t| {
        let s = t.tcp();
        t.get(s, MAXSEG);
        for value in [1000, 88, 32_767, 87, 0, -1, 32_768, 70_000] {
            t.set(s, MAXSEG, value);
            t.get(s, MAXSEG);
        }
    });
}

#[test]
fn maxseg_of_a_connection() {
    compare(|t| {
        let p = t.pair_with(|t, s| t.set(s, MAXSEG, 1000));
        // What both agreed upon, less the timestamps.
        t.get(p.server, MAXSEG);
        t.send(p.server, &[b'x'; 5000], 0);
        t.recv(p.client, 5000, WAITALL);
    });
}

#[test]
fn congestion_control() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, CONGESTION, b"reno");
        t.get_raw(s, CONGESTION, 16);
        t.set_raw(s, CONGESTION, b"cubic\0");
        t.get_raw(s, CONGESTION, 16);
        t.get_raw(s, CONGESTION, 100);
        t.get_raw(s, CONGESTION, 3);
        t.get_raw(s, CONGESTION, 0);
    });
}

#[test]
fn congestion_control_that_is_none() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, CONGESTION, b"reno");
        t.set_raw(s, CONGESTION, b"nosuchthing");
        t.set_raw(s, CONGESTION, b"");
        t.set_raw(s, CONGESTION, b"\0");
        t.set_raw(s, CONGESTION, b"renorenorenorenoreno");
        t.get_raw(s, CONGESTION, 16);
    });
}

#[test]
fn congestion_control_of_a_connection() {
    compare(|t| {
        let p = t.pair();
        t.set_raw(p.client, CONGESTION, b"reno");
        t.get_raw(p.client, CONGESTION, 16);
        t.send(p.client, b"on", 0);
        t.recv(p.server, 10, 0);
    });
}

#[test]
fn quickack() {
    compare(|t| {
        let p = t.pair();
        t.set(p.client, QUICKACK, 0);
        t.get(p.client, QUICKACK);
        t.set(p.client, QUICKACK, 1);
        t.get(p.client, QUICKACK);
    });
}

#[test]
fn info_tells_the_state() {
    compare(|t| {
        let s = t.tcp();
        t.get_raw(s, INFO, 1);
        let (l, _) = t.listener();
        t.get_raw(l, INFO, 1);
        let p = t.pair();
        t.get_raw(p.client, INFO, 1);
        t.shutdown(p.client, 1);
        t.acked(p.client);
        t.wait(p.server, RDHUP);
        t.get_raw(p.client, INFO, 1);
        t.get_raw(p.server, INFO, 1);
        t.shutdown(p.server, 1);
        t.wait(p.client, RDHUP);
        t.acked(p.server);
        t.get_raw(p.client, INFO, 1);
        t.get_raw(p.server, INFO, 1);
    });
}

#[test]
fn short_values() {
    compare(|t| {
        let s = t.tcp();
        for len in 0..4 {
            t.set_raw(s, NODELAY, &[1, 0, 0, 0][..len]);
            t.get_raw(s, NODELAY, len);
        }
    });
}

#[test]
fn unknown() {
    compare(|t| {
        let s = t.tcp();
        for name in [0, 12_345, u32::MAX] {
            t.set(s, (6, name), 1);
            t.get(s, (6, name));
            t.set(s, (0, name), 1);
            t.get(s, (0, name));
        }
    });
}

#[test]
fn type_of_service() {
    compare(|t| {
        let s = t.tcp();
        t.get(s, (0, 1));
        for value in [0x10, 0xb8, 0xff, 0x103, -1, 0] {
            t.set(s, (0, 1), value);
            t.get(s, (0, 1));
        }
        t.set_raw(s, (0, 1), &[8]);
        t.get_raw(s, (0, 1), 1);
    });
}

#[test]
fn time_to_live() {
    compare(|t| {
        let s = t.tcp();
        for value in [1, 64, 255, 0, 256, -2] {
            t.set(s, (0, 2), value);
            t.get(s, (0, 2));
        }
    });
}

#[test]
fn listening_changes_nothing() {
    compare(|t| {
        let (s, _) = t.listener();
        t.set(s, NODELAY, 1);
        t.get(s, NODELAY);
        t.set(s, KEEPIDLE, 5);
        t.get(s, KEEPIDLE);
        t.set(s, (1, 9), 1);
        t.get(s, (1, 9));
    });
}
