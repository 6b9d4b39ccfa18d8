//! SOL_SOCKET: defaults, round trips, what is refused.

use crate::verdict::compare;

const LINGER: (u32, u32) = (1, 13);
const RCVTIMEO: (u32, u32) = (1, 20);
const SNDTIMEO: (u32, u32) = (1, 21);

fn timeval(seconds: i64, micros: i64) -> Vec<u8> {
    [seconds.to_ne_bytes(), micros.to_ne_bytes()].concat()
}

#[test]
fn what_a_socket_is() {
    compare(|t| {
        let (listener, _) = t.listener();
        let p = t.pair();
        let all = [t.tcp(), t.udp(), listener, p.client];
        for s in all {
            // SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN
            for name in [3, 4, 30, 38, 39] {
                t.get(s, (1, name));
            }
        }
    });
}

#[test]
fn what_a_socket_is_cannot_be_set() {
    compare(|t| {
        let s = t.tcp();
        for name in [3, 4, 30, 38, 39] {
            t.set(s, (1, name), 1);
        }
    });
}

/// SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_REUSEPORT, SO_TIMESTAMP,
/// SO_TIMESTAMPNS
const FLAGS: [u32; 8] = [2, 5, 6, 9, 10, 15, 29, 35];

#[test]
fn flags_of_a_stream() {
    compare(|t| {
        let s = t.tcp();
        for name in FLAGS {
            t.get(s, (1, name));
            for value in [1, 0, 77, -1] {
                t.set(s, (1, name), value);
                t.get(s, (1, name));
            }
        }
    });
}

#[test]
fn flags_of_datagrams() {
    compare(|t| {
        let s = t.udp();
        for name in FLAGS {
            t.get(s, (1, name));
            for value in [1, 0, 77, -1] {
                t.set(s, (1, name), value);
                t.get(s, (1, name));
            }
        }
    });
}

#[test]
fn times_in_two_units() {
    compare(|t| {
        let s = t.udp();
        for (name, value) in [(29, 1), (35, 1), (29, 1), (35, 0), (35, 1), (29, 0)] {
            t.set(s, (1, name), value);
            t.get(s, (1, 29));
            t.get(s, (1, 35));
        }
    });
}

#[test]
fn priority() {
    compare(|t| {
        let s = t.udp();
        t.get(s, (1, 12));
        for value in [0, 3, 6] {
            t.set(s, (1, 12), value);
            t.get(s, (1, 12));
        }
    });
}

#[test]
fn linger() {
    compare(|t| {
        let s = t.tcp();
        t.get_raw(s, LINGER, 8);
        t.set_raw(s, LINGER, &[1, 0, 0, 0, 10, 0, 0, 0]);
        t.get_raw(s, LINGER, 8);
        t.set_raw(s, LINGER, &[7, 0, 0, 0, 0, 0, 0, 0]);
        t.get_raw(s, LINGER, 8);
        t.set_raw(s, LINGER, &[0, 0, 0, 0, 99, 0, 0, 0]);
        t.get_raw(s, LINGER, 8);
        t.set_raw(s, LINGER, &[1, 0, 0, 0, 1, 0, 0, 0, 3, 3]);
        t.get_raw(s, LINGER, 20);
        t.get_raw(s, LINGER, 6);
    });
}

/// A number that is not looked at, and one that Linux takes for a very long time.
#[test]
fn linger_of_less_than_no_time() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, LINGER, &[0, 0, 0, 0, 255, 255, 255, 255]);
        t.get_raw(s, LINGER, 4);
        t.set_raw(s, LINGER, &[1, 0, 0, 0, 255, 255, 255, 255]);
        t.get_raw(s, LINGER, 4);
    });
}

#[test]
fn linger_that_is_none() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, LINGER, &[]);
        t.set_raw(s, LINGER, &[1, 0, 0]);
        t.set_raw(s, LINGER, &[1, 0, 0, 0]);
        t.set_raw(s, LINGER, &[1, 0, 0, 0, 1, 0, 0]);
        t.get_raw(s, LINGER, 8);
    });
}

#[test]
fn linger_of_datagrams() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, LINGER, &[1, 0, 0, 0, 10, 0, 0, 0]);
        t.get_raw(s, LINGER, 8);
    });
}

#[test]
fn buffers_are_doubled() {
    compare(|t| {
        for s in [t.tcp(), t.udp()] {
            for name in [7, 8] {
                for value in [5000, 20_000, 65_536, 100_000] {
                    t.set(s, (1, name), value);
                    t.get(s, (1, name));
                }
            }
        }
    });
}

#[test]
fn buffers_have_a_least_size() {
    compare(|t| {
        for s in [t.tcp(), t.udp()] {
            for name in [7, 8] {
                for value in [0, 1, 1000] {
                    t.set(s, (1, name), value);
                    t.get(s, (1, name));
                }
            }
        }
    });
}

#[test]
fn time_limits() {
    compare(|t| {
        let s = t.tcp();
        for option in [RCVTIMEO, SNDTIMEO] {
            t.get_raw(s, option, 16);
            t.set_raw(s, option, &timeval(3, 0));
            t.get_raw(s, option, 16);
            t.set_raw(s, option, &timeval(1, 500_000));
            t.get_raw(s, option, 16);
            t.set_raw(s, option, &timeval(0, 0));
            t.get_raw(s, option, 16);
        }
    });
}

#[test]
fn time_limits_that_are_none() {
    compare(|t| {
        let s = t.udp();
        for option in [RCVTIMEO, SNDTIMEO] {
            t.set_raw(s, option, &timeval(0, 1_000_000));
            t.set_raw(s, option, &timeval(0, -1));
            t.set_raw(s, option, &[0; 15]);
            t.set_raw(s, option, &[]);
            t.set_raw(s, option, &[0; 8]);
            t.get_raw(s, option, 8);
            t.get_raw(s, option, 20);
        }
        t.set_raw(s, RCVTIMEO, &timeval(-1, 0));
        t.get_raw(s, RCVTIMEO, 16);
        t.recv(s, 10, 0);
    });
}

#[test]
fn low_water_marks() {
    compare(|t| {
        for s in [t.tcp(), t.udp()] {
            t.get(s, (1, 18));
            for value in [5, 0, 1] {
                t.set(s, (1, 18), value);
                t.get(s, (1, 18));
            }
            t.get(s, (1, 19));
            t.set(s, (1, 19), 5);
        }
    });
}

#[test]
fn short_values() {
    compare(|t| {
        let s = t.tcp();
        for len in 0..6 {
            t.set_raw(s, (1, 2), &[1, 0, 0, 0, 0, 0][..len]);
        }
        for len in 0..4 {
            t.set_raw(s, (1, 8), &[0, 64, 0, 0][..len]);
        }
    });
}

#[test]
fn short_room() {
    compare(|t| {
        let s = t.tcp();
        t.set(s, (1, 8), 20_000);
        for len in [0, 1, 2, 3, 5, 8, 100] {
            t.get_raw(s, (1, 8), len);
            t.get_raw(s, (1, 3), len);
        }
    });
}

#[test]
fn unknown() {
    compare(|t| {
        for s in [t.tcp(), t.udp()] {
            for name in [0, 500, 12_345, u32::MAX] {
                t.set(s, (1, name), 1);
                t.get(s, (1, name));
            }
            for level in [2, 99, 12_345, u32::MAX] {
                t.set(s, (level, 1), 1);
                t.get(s, (level, 1));
            }
        }
    });
}

#[test]
fn devices() {
    compare(|t| {
        let s = t.udp();
        t.get_raw(s, (1, 25), 16);
        t.set_raw(s, (1, 25), b"nosuch0\0");
        t.set_raw(s, (1, 25), b"lo\0");
        t.get_raw(s, (1, 25), 16);
        t.get_raw(s, (1, 25), 2);
    });
}
