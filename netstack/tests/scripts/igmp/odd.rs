//! What is not believed, and floods.

use super::*;

#[test]
fn queries_that_a_router_would_not_send_are_ignored() {
    // RFC 3376 §9.1
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    let v3_query = |group| igmp_query(group, 10, Some(V3(2, 125, &[])));
    s.input(0, &igmp_frame_with(&[], "224.0.0.1", &v3_query("0.0.0.0")));
    s.input(0, &igmp_frame_with(&[], G, &v3_query(G)));
    s.input(0, &igmp_frame_with(&[], "224.0.0.1", &igmp_query("0.0.0.0", 10, None)));
    s.input(0, &igmp_frame_with(&[1, 1, 1, 1], "224.0.0.1", &v3_query("0.0.0.0")));
    s.input(0, &igmp_frame("10.0.0.1", &v3_query("0.0.0.0")));
    s.input(0, &igmp_frame(G, &v3_query("0.0.0.0")));
    s.input(0, &igmp_frame("10.0.0.1", &igmp_query("0.0.0.0", 0, None)));
    assert_eq!(watched(&mut s, 20_000), [""; 0]);
    assert_eq!((s.counter("igmpInBadQueries"), s.counter("igmpBadQuery")), (7, 7));
    // About a group a router may ask us alone.
    s.input(0, &igmp_frame("10.0.0.1", &v3_query(G)));
    assert_eq!(watched(&mut s, 20_000), [v3("is-ex 239.1.2.3 {}")]);
    // Version 1 knows no router alert.
    s.input(0, &igmp_frame_with(&[], "224.0.0.1", &igmp_query("0.0.0.0", 0, None)));
    assert_eq!(watched(&mut s, 20_000).len(), 1);
}

#[test]
fn malformed_messages_are_counted_and_nothing_else() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    let query = igmp_query("0.0.0.0", 10, Some(V3(2, 125, &["10.1.0.1", "10.1.0.2"])));
    // Lengths that no version has, and a list that is cut off.
    for len in [4, 7, 9, 10, 11, 12, 16, 19] {
        let mut message = query.clone();
        message.truncate(len);
        s.input(0, &igmp_frame("224.0.0.1", &message));
    }
    // Sources of no group, a group that is none, reports of no group.
    s.input(0, &igmp_frame("224.0.0.1", &query));
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("10.0.0.1", 10, None)));
    s.input(0, &igmp_frame("224.0.0.1", &[0x16, 0, 0, 0, 10, 0, 0, 1]));
    let mut bad_sum = general(Version::V3);
    *bad_sum.last_mut().unwrap() ^= 1;
    s.input(0, &bad_sum);
    assert_eq!((s.counter("igmpInErrors"), s.counter("igmpMalformed")), (12, 12));
    // What a host has nothing to do with is no error.
    s.input(0, &igmp_frame("224.0.0.1", &[0x17, 0, 0, 0, 239, 1, 2, 3]));
    s.input(0, &igmp_frame("224.0.0.1", &[0x99, 0, 0, 0, 239, 1, 2, 3]));
    assert_eq!(s.counter("igmpInErrors"), 12);
    assert_eq!(watched(&mut s, 600_000), [""; 0]);
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn octets_behind_a_query_count_for_its_checksum_alone() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    let mut message = igmp_query(G, 10, Some(V3(2, 125, &["10.1.0.1"])));
    message.extend([1, 2, 3, 4, 5]);
    s.input(0, &igmp_frame(G, &message));
    assert_eq!(watched(&mut s, 10_000), [v3("is-in 239.1.2.3 {10.1.0.1}")]);
}

#[test]
fn a_flood_of_queries_makes_one_answer() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    for n in 0..20_000u32 {
        let source = format!("10.{}.{}.{}", n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);
        s.input(0, &about(G, 100, &[&source]));
        s.input(0, &about(&format!("239.9.{}.{}", n >> 8 & 0xff, n & 0xff), 100, &[]));
    }
    // More sources than are kept apart: all of the group.
    let seen = watched(&mut s, 20_000);
    assert_eq!(seen, [v3("is-ex 239.1.2.3 {}")]);
    for _ in 0..10_000 {
        s.input(0, &general(Version::V3));
    }
    assert_eq!(watched(&mut s, 20_000), [v3("is-ex 239.1.2.3 {}")]);
    for _ in 0..10_000 {
        s.input(0, &general(Version::V2));
    }
    assert_eq!(watched(&mut s, 20_000), [v2(G)]);
}

#[test]
fn of_many_groups_left_some_are_told_but_once() {
    let mut s = Script::host();
    let groups: Vec<String> = (0..1000).map(|n| format!("239.2.{}.{}", n / 250, n % 250)).collect();
    let ids: Vec<SocketId> = groups.iter().map(|group| join(&mut s, group)).collect();
    quiet(&mut s);
    for id in ids {
        s.stack.close(s.now, id).unwrap();
    }
    let told = |frames: &[String]| frames.iter().map(|f| f.matches("to-in").count()).sum::<usize>();
    let at_once = s.sent(0);
    assert_eq!(told(&at_once), 1000);
    let again = watched(&mut s, 20_000);
    assert_eq!((told(&again), again.len()), (256, 2), "as many as fit two reports");
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn raw_sockets_hear_what_comes_and_not_what_we_say() {
    let mut s = Script::host();
    let raw = s.stack.socket(Family::Inet, SockType::Raw, 2).unwrap();
    let id = join(&mut s, G);
    s.input(0, &general(Version::V2));
    watch(&mut s, 20_000);
    leave(&mut s, id, G);
    let mut buf = [0; 100];
    assert_eq!(
        s.stack.recv(s.now, raw, &mut buf, RecvFlags::empty()).unwrap().from.unwrap().ip(),
        ip("10.0.0.9")
    );
    assert!(s.stack.recv(s.now, raw, &mut buf, RecvFlags::empty()).is_err());
    assert_eq!(s.counter("igmpInReports"), 0);
}
