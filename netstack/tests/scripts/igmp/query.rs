//! Version 3: answers to queries (RFC 3376 §5.2).

use super::*;

#[test]
fn who_is_in_no_group_answers_nothing_and_has_nothing_to_do() {
    let mut s = Script::host();
    for version in [Version::V3, Version::V2, Version::V1] {
        s.input(0, &general(version));
    }
    s.input(0, &about(G, 10, &[]));
    assert_eq!(watched(&mut s, 600_000), [""; 0]);
}

#[test]
fn a_general_query_is_answered_in_its_time_by_all_groups() {
    let mut s = Script::host();
    join(&mut s, G);
    join_sources(&mut s, H, &["10.1.0.1", "10.1.0.2"]);
    quiet(&mut s);
    s.input(0, &general(Version::V3));
    let seen = watch(&mut s, 10_000);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1, v3("is-ex 239.1.2.3 {} is-in 239.1.2.4 {10.1.0.1 10.1.0.2}"));
    assert!(seen[0].0 <= 1000, "{seen:?}");
    assert_eq!(s.counter("igmpInV3Queries"), 1);
}

#[test]
fn answers_are_spread_over_the_time_that_the_query_gives() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    // 0x8f: 24.8 seconds, told by exponent and mantissa.
    let query = igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 0x8f, Some(V3(2, 125, &[]))));
    let mut times: Vec<u64> = Vec::new();
    for _ in 0..50 {
        s.input(0, &query);
        times.extend(watch(&mut s, 30_000).iter().map(|(at, _)| *at));
    }
    assert_eq!(times.len(), 50);
    assert!(times.iter().all(|at| *at <= 24_800), "{times:?}");
    assert!(times.iter().any(|at| *at > 12_400) && times.iter().any(|at| *at < 6_000), "{times:?}");
}

#[test]
fn a_query_about_a_group_is_answered_by_its_members() {
    let mut s = Script::host();
    join(&mut s, G);
    join(&mut s, H);
    quiet(&mut s);
    s.input(0, &about(G, 10, &[]));
    s.input(0, &about("239.1.2.9", 10, &[]));
    assert_eq!(watched(&mut s, 10_000), [v3("is-ex 239.1.2.3 {}")]);
}

#[test]
fn a_query_about_sources_is_answered_by_those_that_are_wanted() {
    let mut s = Script::host();
    let ifindex = s.ifs[0];
    join_sources(&mut s, G, &["10.1.0.1", "10.1.0.2"]);
    let id = join(&mut s, H);
    set(&mut s, id, SockOpt::Block(source(ifindex, H, "10.1.0.1")));
    quiet(&mut s);
    s.input(0, &about(G, 10, &["10.1.0.2", "10.1.0.3"]));
    assert_eq!(watched(&mut s, 10_000), [v3("is-in 239.1.2.3 {10.1.0.2}")]);
    s.input(0, &about(H, 10, &["10.1.0.1", "10.1.0.3"]));
    assert_eq!(watched(&mut s, 10_000), [v3("is-in 239.1.2.4 {10.1.0.3}")]);
    s.input(0, &about(G, 10, &["10.1.0.9"]));
    s.input(0, &about(H, 10, &["10.1.0.1"]));
    assert_eq!(watched(&mut s, 10_000), [""; 0], "nothing of that is wanted");
}

#[test]
fn queries_about_sources_add_up_and_one_about_the_group_is_more() {
    // RFC 3376 §5.2, rules 5 and 4.
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &about(G, 10, &["10.1.0.1"]));
    s.input(0, &about(G, 10, &["10.1.0.2"]));
    assert_eq!(watched(&mut s, 10_000), [v3("is-in 239.1.2.3 {10.1.0.1 10.1.0.2}")]);
    s.input(0, &about(G, 10, &["10.1.0.1"]));
    s.input(0, &about(G, 10, &[]));
    s.input(0, &about(G, 10, &["10.1.0.2"]));
    assert_eq!(watched(&mut s, 10_000), [v3("is-ex 239.1.2.3 {}")]);
}

#[test]
fn the_earlier_of_two_times_counts() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    for (first, second) in [(1, 127), (127, 1)] {
        s.input(0, &about(G, first, &[]));
        s.input(0, &about(G, second, &[]));
        let seen = watch(&mut s, 30_000);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].0 <= 100, "{seen:?}");
    }
}

#[test]
fn an_answer_about_everything_that_comes_sooner_is_enough() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 1, Some(V3(2, 125, &[])))));
    s.input(0, &about(G, 0x8f, &[]));
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 0x8f, Some(V3(2, 125, &[])))));
    let seen = watch(&mut s, 60_000);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].0 <= 100, "{seen:?}");
}

#[test]
fn a_later_general_query_that_is_in_a_hurry_replaces_the_first() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 0x8f, Some(V3(2, 125, &[])))));
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 1, Some(V3(2, 125, &[])))));
    let seen = watch(&mut s, 60_000);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].0 <= 100, "{seen:?}");
}

#[test]
fn a_query_that_gives_no_time_is_answered_at_once() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &about(G, 0, &[]));
    assert_eq!(watch(&mut s, 0).len() + watch(&mut s, 1).len(), 1);
}

#[test]
fn the_queriers_robustness_says_how_often() {
    let mut s = Script::host();
    let query = |qrv| igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 10, Some(V3(qrv, 125, &[]))));
    for (qrv, times) in [(5, 5), (1, 1), (7, 7), (0, 2), (0xf8 | 3, 3)] {
        s.input(0, &query(qrv));
        let id = join(&mut s, G);
        assert_eq!(watched(&mut s, 60_000).iter().filter(|f| f.contains("to-ex")).count(), times, "{qrv}");
        s.stack.close(s.now, id).unwrap();
        quiet(&mut s);
    }
}

#[test]
fn others_reports_do_not_suppress_version_3() {
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &about(G, 10, &[]));
    s.input(0, &report_of(G));
    assert_eq!(watched(&mut s, 10_000), [v3("is-ex 239.1.2.3 {}")]);
}

#[test]
fn long_lists_take_several_reports_except_those_that_exclude() {
    // MTU 576: room for 544 octets of records, 134 sources each.
    let mut s = Script::new(
        StackConfig {
            igmp: GroupConfig { sources: 300, ..GroupConfig::default() },
            ..StackConfig::default()
        },
        &["10.0.0.1/24"],
    );
    let ifindex = s.ifs[0];
    s.stack.if_set_mtu(ifindex, 576).unwrap();
    let sources: Vec<String> = (0..300).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let id = join(&mut s, G);
    quiet(&mut s);
    let listed = |frames: Vec<String>| frames.iter().map(|f| f.matches("10.1.").count()).collect::<Vec<_>>();
    let opt = filter(&s, G, FilterMode::Exclude, &sources);
    set(&mut s, id, opt);
    assert_eq!(listed(s.sent(0)), [134, 134, 32]);
    quiet(&mut s);
    s.input(0, &general(Version::V3));
    assert_eq!(listed(watched(&mut s, 2_000)), [134], "what is cut off is let in, not kept out");
    let opt = filter(&s, G, FilterMode::Include, &sources);
    set(&mut s, id, opt);
    let frames = s.frames(0);
    assert!(frames.iter().all(|f| f.len() <= 14 + 576));
    assert_eq!(listed(frames.iter().map(|f| describe(f)).collect()), [134, 134, 32]);
    let opt = filter(&s, G, FilterMode::Exclude, &sources);
    set(&mut s, id, opt);
    assert_eq!(listed(s.sent(0)), [134], "the same of the mode that becomes so");
}
