//! Groups and their sources: what is refused, what is read back, who hears what. All on `lo`, which is interface 1.

use crate::trial::{Sock, Trial, any};
use crate::verdict::compare;

const IP: u32 = 0;
const G: [u8; 4] = [239, 200, 1, 1];
const H: [u8; 4] = [239, 200, 1, 2];
const LO: [u8; 4] = [127, 0, 0, 1];
const OTHER: [u8; 4] = [127, 0, 0, 2];
const NOWHERE: [u8; 4] = [198, 51, 100, 77];

const ADD: (u32, u32) = (IP, 35);
const DROP: (u32, u32) = (IP, 36);
const UNBLOCK: (u32, u32) = (IP, 37);
const BLOCK: (u32, u32) = (IP, 38);
const ADD_SOURCE: (u32, u32) = (IP, 39);
const DROP_SOURCE: (u32, u32) = (IP, 40);
const MSFILTER: (u32, u32) = (IP, 41);
const MCAST_JOIN: (u32, u32) = (IP, 42);
const MCAST_LEAVE: (u32, u32) = (IP, 45);
const MCAST_MSFILTER: (u32, u32) = (IP, 48);

fn mreq(group: [u8; 4]) -> Vec<u8> {
    [group, LO].concat()
}

fn mreqn(group: [u8; 4], by: [u8; 4], index: i32) -> Vec<u8> {
    [&group[..], &by, &index.to_ne_bytes()].concat()
}

fn source(group: [u8; 4], source: [u8; 4]) -> Vec<u8> {
    [group, LO, source].concat()
}

fn msfilter(group: [u8; 4], mode: u32, count: u32, sources: &[[u8; 4]]) -> Vec<u8> {
    let head = [&group[..], &LO, &mode.to_ne_bytes(), &count.to_ne_bytes()].concat();
    [head, sources.concat()].concat()
}

fn sockaddr(family: u16, addr: [u8; 4]) -> Vec<u8> {
    let mut octets = [&family.to_ne_bytes()[..], &[0, 0], &addr].concat();
    octets.resize(128, 0);
    octets
}

fn group_req(index: u32, group: [u8; 4]) -> Vec<u8> {
    [&index.to_ne_bytes()[..], &[0; 4], &sockaddr(2, group)].concat()
}

fn group_source_req(index: u32, group: [u8; 4], source: [u8; 4]) -> Vec<u8> {
    [group_req(index, group), sockaddr(2, source)].concat()
}

fn group_filter(index: u32, group: [u8; 4], mode: u32, count: u32, sources: &[[u8; 4]]) -> Vec<u8> {
    let mut octets = [&group_req(index, group)[..], &mode.to_ne_bytes(), &count.to_ne_bytes()].concat();
    sources.iter().for_each(|source| octets.extend(sockaddr(2, *source)));
    octets
}

#[test]
fn joining_and_leaving() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, DROP, &mreq(G));
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, ADD, &mreqn(G, NOWHERE, 1));
        t.set_raw(s, ADD, &mreqn(H, NOWHERE, 0));
        t.set_raw(s, ADD, &mreqn(H, LO, 9999));
        t.set_raw(s, ADD, &mreqn(H, [0; 4], 1));
        t.set_raw(s, DROP, &mreqn(H, [0; 4], 1));
        t.set_raw(s, DROP, &mreq(G));
        t.set_raw(s, ADD, &mreq([10, 0, 0, 1]));
        t.set_raw(s, ADD, &mreq(G)[..7]);
        t.set_raw(s, ADD, &[]);
        t.set_raw(s, DROP, &mreq(G)[..4]);
        // The group of all systems is one like others.
        t.set_raw(s, ADD, &mreq([224, 0, 0, 1]));
        t.set_raw(s, ADD, &mreq([224, 0, 0, 1]));
    });
}

#[test]
fn streams_join_nothing() {
    compare(|t| {
        let s = t.tcp();
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, DROP, &mreq(G));
    });
}

#[test]
fn as_many_groups_as_a_socket_may_be_in() {
    compare(|t| {
        let s = t.udp();
        for n in 0..21 {
            t.set_raw(s, ADD, &mreq([239, 200, 2, n]));
        }
        t.set_raw(s, ADD_SOURCE, &source(G, OTHER));
        t.set_raw(s, DROP, &mreq([239, 200, 2, 5]));
        t.set_raw(s, ADD, &mreq(G));
    });
}

#[test]
fn sources_one_by_one() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, DROP_SOURCE, &source(G, OTHER));
        t.set_raw(s, BLOCK, &source(G, OTHER));
        t.set_raw(s, UNBLOCK, &source(G, OTHER));
        t.set_raw(s, ADD_SOURCE, &source(G, OTHER));
        t.set_raw(s, ADD_SOURCE, &source(G, OTHER));
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, BLOCK, &source(G, LO));
        t.set_raw(s, UNBLOCK, &source(G, OTHER));
        t.set_raw(s, ADD_SOURCE, &source(G, LO));
        t.set_raw(s, DROP_SOURCE, &source(G, [127, 0, 0, 9]));
        t.set_raw(s, DROP_SOURCE, &source(G, OTHER));
        t.set_raw(s, DROP_SOURCE, &source(G, LO));
        t.set_raw(s, DROP_SOURCE, &source(G, LO));
        t.set_raw(s, ADD_SOURCE, &source([10, 0, 0, 1], LO));
        t.set_raw(s, ADD_SOURCE, &source(G, LO)[..11]);
        t.set_raw(s, ADD_SOURCE, &[&source(G, LO)[..], &[0; 4]].concat());
        t.set_raw(s, ADD_SOURCE, &[G, NOWHERE, LO].concat());
    });
}

#[test]
fn all_sources_but_some() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, UNBLOCK, &source(G, OTHER));
        t.set_raw(s, BLOCK, &source(G, OTHER));
        t.set_raw(s, BLOCK, &source(G, OTHER));
        t.set_raw(s, ADD_SOURCE, &source(G, LO));
        t.set_raw(s, DROP_SOURCE, &source(G, OTHER));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 4, &[[0; 4]; 4]));
        t.set_raw(s, UNBLOCK, &source(G, OTHER));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 4, &[[0; 4]; 4]));
        t.set_raw(s, ADD_SOURCE, &source(G, LO));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 4, &[[0; 4]; 4]));
        t.set_raw(s, DROP, &mreq(G));
    });
}

#[test]
fn as_many_sources_as_a_socket_may_name() {
    compare(|t| {
        let s = t.udp();
        for n in 0..11 {
            t.set_raw(s, ADD_SOURCE, &source(G, [127, 0, 1, n]));
        }
        let sources: Vec<[u8; 4]> = (0..11).map(|n| [127, 0, 2, n]).collect();
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 11, &sources));
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 10, &sources));
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 0, 11, &sources));
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 0, 10, &sources));
    });
}

#[test]
fn whole_filters() {
    compare(|t| {
        let s = t.udp();
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 1, &[OTHER]));
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 0, &[]));
        t.get_asked(s, MSFILTER, &msfilter(G, 0, 1, &[[0; 4]]));
        t.set_raw(s, ADD, &mreq(G));
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 2, &[LO, OTHER]));
        for room in 0..4 {
            t.get_asked(s, MSFILTER, &msfilter(G, 7, room, &vec![[0; 4]; room as usize]));
        }
        t.set_raw(s, MSFILTER, &msfilter(G, 2, 1, &[OTHER]));
        t.set_raw(s, MSFILTER, &msfilter(G, 0, 2, &[OTHER]));
        t.set_raw(s, MSFILTER, &msfilter(G, 0, 1, &[OTHER])[..15]);
        t.set_raw(s, MSFILTER, &msfilter([10, 0, 0, 1], 0, 1, &[OTHER]));
        t.set_raw(s, MSFILTER, &msfilter(H, 0, 1, &[OTHER]));
        t.set_raw(s, MSFILTER, &msfilter(G, 0, 1, &[OTHER]));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 2, &[[0; 4]; 2]));
        t.get_asked(s, MSFILTER, &msfilter(H, 7, 2, &[[0; 4]; 2]));
        t.get_asked(s, MSFILTER, &msfilter([10, 0, 0, 1], 7, 2, &[[0; 4]; 2]));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 0, &[])[..12]);
        t.set_raw(s, MSFILTER, &msfilter(G, 1, 0, &[]));
        t.get_asked(s, MSFILTER, &msfilter(G, 7, 0, &[]));
    });
}

#[test]
fn the_options_of_both_families() {
    compare(|t| {
        let s = t.udp();
        t.set_long(s, MCAST_JOIN, &group_req(1, G));
        t.set_long(s, MCAST_JOIN, &group_req(1, G));
        t.set_long(s, MCAST_JOIN, &group_req(9999, H));
        t.set_long(s, MCAST_JOIN, &group_req(1, [10, 0, 0, 1]));
        t.set_long(s, MCAST_JOIN, &group_req(1, H)[..135]);
        let mut inet6 = group_req(1, H);
        inet6[8] = 10;
        t.set_long(s, MCAST_JOIN, &inet6);
        // BLOCK, UNBLOCK, JOIN_SOURCE, LEAVE_SOURCE
        for name in [43, 43, 46, 44, 44, 47, 46, 46, 43, 47, 47] {
            t.set_long(s, (IP, name), &group_source_req(1, G, OTHER));
        }
        for name in [43, 44, 46, 47] {
            t.set_long(s, (IP, name), &group_source_req(1, G, OTHER)[..263]);
            t.set_long(s, (IP, name), &group_source_req(9999, G, OTHER));
            let mut inet6 = group_source_req(1, G, OTHER);
            inet6[136] = 10;
            t.set_long(s, (IP, name), &inet6);
        }
        t.set_long(s, MCAST_LEAVE, &group_req(1, G));
        t.set_long(s, MCAST_JOIN, &group_req(1, G));
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 1, 2, &[LO, OTHER]));
        t.get_asked(s, MCAST_MSFILTER, &group_filter(1, G, 7, 0, &[]));
        t.get_asked(s, MCAST_MSFILTER, &group_filter(1, G, 7, 1, &[[0; 4]]));
        t.get_asked(s, MCAST_MSFILTER, &group_filter(1, H, 7, 0, &[]));
        t.get_asked(s, MCAST_MSFILTER, &group_filter(1, G, 7, 0, &[])[..143]);
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 1, 2, &[OTHER]));
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 3, 0, &[]));
        t.set_long(s, MCAST_MSFILTER, &group_filter(1, G, 1, 0, &[])[..140]);
        t.set_long(s, MCAST_LEAVE, &group_req(1, G));
        t.set_long(s, MCAST_LEAVE, &group_req(1, G));
    });
}

#[test]
fn multicast_all() {
    compare(|t| {
        let s = t.udp();
        t.get(s, (IP, 49));
        for value in [0, 1, 2, -1, 0] {
            t.set(s, (IP, 49), value);
            t.get(s, (IP, 49));
        }
        t.set_raw(s, (IP, 49), &[1]);
        t.get(s, (IP, 49));
        t.set_raw(s, (IP, 49), &[]);
    });
}

/// A socket that hears what is sent to `port` on any address.
fn listener(t: &mut Trial<'_>, port: u16) -> Sock {
    let s = t.udp();
    t.set(s, (1, 2), 1);
    t.bind(s, any(port));
    s
}

#[test]
fn who_hears_what() {
    compare(|t| {
        let (first, addr) = t.udp_bound();
        t.close(first);
        let hears: Vec<Sock> = (0..4).map(|_| listener(t, addr.port())).collect();
        t.set_raw(hears[0], ADD, &mreq(G));
        t.set_raw(hears[1], ADD_SOURCE, &source(G, OTHER));
        t.set_raw(hears[2], ADD, &mreq(G));
        t.set_raw(hears[2], BLOCK, &source(G, LO));
        let sender = t.udp();
        t.set_raw(sender, (IP, 32), &mreqn([0; 4], LO, 1));
        let group = std::net::SocketAddr::from((G, addr.port()));
        let round = |t: &mut Trial<'_>| {
            t.send_to(sender, b"x", 0, group);
            for s in &hears {
                t.recv(*s, 10, 0x40); // MSG_DONTWAIT
                t.recv(*s, 10, 0x40);
            }
        };
        round(t);
        t.set(hears[3], (IP, 49), 0);
        round(t);
        t.set_raw(hears[2], UNBLOCK, &source(G, LO));
        t.set_raw(hears[1], ADD_SOURCE, &source(G, LO));
        round(t);
        t.set_raw(hears[0], DROP, &mreq(G));
        t.set(hears[0], (IP, 49), 0);
        round(t);
    });
}
