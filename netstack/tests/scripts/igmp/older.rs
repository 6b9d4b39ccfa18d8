//! Versions 2 and 1, heard or forced (RFC 2236, RFC 1112 appendix I, RFC 3376 §7).

use super::*;

// ---- version 2 ----------------------------------------------------------------------------------

/// A host that has heard a version 2 querier, 250 s before that is forgotten, at rest.
fn v2_host() -> Script {
    let mut s = Script::host();
    s.input(0, &general(Version::V2));
    s
}

#[test]
fn version_2_reports_each_group_to_itself_and_leaves() {
    let mut s = v2_host();
    let id = join(&mut s, G);
    let seen = watch(&mut s, 30_000);
    assert_eq!(seen.iter().map(|(_, f)| f.clone()).collect::<Vec<_>>(), [v2(G), v2(G)]);
    assert!(seen[0].0 == 0 && seen[1].0 <= 10_000, "{seen:?}");
    leave(&mut s, id, G);
    assert_eq!(watched(&mut s, 30_000), [leaving(G)]);
    let counters = ["igmpInV2Queries", "igmpOutV2Reports", "igmpOutLeaves"].map(|n| s.counter(n));
    assert_eq!(counters, [1, 2, 1]);
}

#[test]
fn version_2_knows_no_sources() {
    let mut s = v2_host();
    let ifindex = s.ifs[0];
    let id = join_sources(&mut s, G, &["10.1.0.1"]);
    set(&mut s, id, SockOpt::AddSource(source(ifindex, G, "10.1.0.2")));
    assert_eq!(watched(&mut s, 30_000), [v2(G), v2(G)]);
    s.stack.close(s.now, id).unwrap();
    s.expect(0, &[&leaving(G)]);
}

#[test]
fn version_2s_query_is_answered_by_each_group_on_its_own() {
    let mut s = v2_host();
    join(&mut s, G);
    join(&mut s, H);
    quiet_v2(&mut s);
    s.input(0, &general(Version::V2));
    let seen = watch(&mut s, 10_000);
    let mut frames: Vec<&String> = seen.iter().map(|(_, f)| f).collect();
    frames.sort();
    assert_eq!(frames, [&v2(G), &v2(H)]);
    assert!(seen.iter().all(|(at, _)| *at <= 1_000) && seen[0].0 != seen[1].0, "{seen:?}");
    s.input(0, &igmp_frame(H, &igmp_query(H, 10, None)));
    assert_eq!(watched(&mut s, 10_000), [v2(H)]);
}

/// What was begun has been said; the querier is not forgotten yet.
#[track_caller]
fn quiet_v2(s: &mut Script) {
    watch(s, 20_000);
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn a_report_by_another_is_enough() {
    let mut s = v2_host();
    let id = join(&mut s, G);
    quiet_v2(&mut s);
    s.input(0, &general(Version::V2));
    s.input(0, &report_of(G));
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    // Another reported last: leaving is his affair.
    leave(&mut s, id, G);
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    assert_eq!(s.counter("igmpInReports"), 1);
    // Who reports after him leaves.
    let id = join(&mut s, H);
    quiet_v2(&mut s);
    s.input(0, &report_of(H));
    s.input(0, &general(Version::V2));
    assert_eq!(watched(&mut s, 10_000), [v2(H)]);
    leave(&mut s, id, H);
    assert_eq!(watched(&mut s, 10_000), [leaving(H)]);
}

#[test]
fn a_report_by_another_ends_the_repetition_of_joining() {
    let mut s = v2_host();
    join(&mut s, G);
    s.input(0, &report_of(G));
    assert_eq!(watched(&mut s, 30_000), [v2(G)]);
}

#[test]
fn version_2s_delay_gets_shorter_never_longer() {
    let mut s = v2_host();
    join(&mut s, G);
    quiet_v2(&mut s);
    for (first, second) in [(250, 1), (1, 250)] {
        s.input(0, &igmp_frame(G, &igmp_query(G, first, None)));
        s.input(0, &igmp_frame(G, &igmp_query(G, second, None)));
        let seen = watch(&mut s, 30_000);
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].0 <= 100, "{seen:?}");
    }
}

#[test]
fn a_query_of_version_2_turns_the_host_until_its_time_is_over() {
    // RFC 3376 §8.12: 2 * 125 s and the query's own second.
    let mut s = Script::host();
    join(&mut s, G);
    quiet(&mut s);
    s.input(0, &general(Version::V2));
    assert_eq!(watched(&mut s, 250_500), [v2(G)]);
    let id = join(&mut s, H);
    s.expect(0, &[&v2(H)]);
    watch(&mut s, 500);
    // In the other version: what was yet to be said in the old one is not.
    leave(&mut s, id, H);
    assert_eq!(watched(&mut s, 30_000), [v3("to-in 239.1.2.4 {}"), v3("to-in 239.1.2.4 {}")]);
}

#[test]
fn each_query_of_version_2_begins_its_time_anew() {
    let mut s = Script::host();
    for _ in 0..3 {
        s.input(0, &general(Version::V2));
        watch(&mut s, 200_000);
    }
    join(&mut s, G);
    s.expect(0, &[&v2(G)]);
}

#[test]
fn the_queriers_interval_says_how_long_versions_stay() {
    let mut s = Script::host();
    // Robustness 3, an interval of 10 s.
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 10, Some(V3(3, 10, &[])))));
    s.input(0, &general(Version::V2));
    watch(&mut s, 30_900);
    join(&mut s, G);
    s.expect(0, &[&v2(G)]);
    watch(&mut s, 200);
    join(&mut s, H);
    s.expect(0, &[&v3("to-ex 239.1.2.4 {}")]);
}

#[test]
fn a_change_of_version_ends_what_was_pending() {
    let mut s = Script::host();
    let id = join(&mut s, G);
    quiet(&mut s);
    s.input(0, &about(G, 100, &[]));
    s.input(0, &igmp_frame("224.0.0.1", &igmp_query("0.0.0.0", 100, Some(V3(2, 125, &[])))));
    leave(&mut s, id, G);
    join(&mut s, H);
    s.frames(0);
    s.input(0, &general(Version::V2));
    // Neither the answers nor the repetitions of version 3: only H's report.
    assert_eq!(watched(&mut s, 30_000), [v2(H)]);
}

#[test]
fn version_3s_query_beside_a_version_2_querier_is_answered_in_version_2() {
    let mut s = v2_host();
    join(&mut s, G);
    quiet_v2(&mut s);
    s.input(0, &about(G, 10, &["10.1.0.1"]));
    assert_eq!(watched(&mut s, 10_000), [v2(G)]);
}

// ---- version 1 ----------------------------------------------------------------------------------

#[test]
fn version_1_reports_and_never_leaves() {
    let mut s = Script::host();
    let id = join(&mut s, G);
    quiet(&mut s);
    s.input(0, &general(Version::V1));
    let seen = watch(&mut s, 20_000);
    let report = "10.0.0.1 > 239.1.2.3 ttl 1 df igmp v1-report 239.1.2.3".to_owned();
    assert_eq!(seen.iter().map(|(_, f)| f).collect::<Vec<_>>(), [&report]);
    assert!(seen[0].0 <= 10_000, "{seen:?}");
    leave(&mut s, id, G);
    assert_eq!(watched(&mut s, 20_000), [""; 0]);
    join(&mut s, G);
    assert_eq!(watched(&mut s, 20_000), [report.clone(), report]);
    assert_eq!((s.counter("igmpInV1Queries"), s.counter("igmpOutV1Reports")), (1, 3));
}

#[test]
fn version_1_is_spoken_before_version_2_and_for_its_own_time() {
    let mut s = Script::host();
    s.input(0, &general(Version::V1));
    watch(&mut s, 100_000);
    s.input(0, &general(Version::V2));
    watch(&mut s, 159_000);
    join(&mut s, G);
    assert!(watched(&mut s, 0)[0].contains("v1-report"), "2 * 125 s + 10 s are not over");
    watch(&mut s, 1_100);
    join(&mut s, H);
    s.expect(0, &[&v2(H)]);
}

#[test]
fn a_report_by_a_version_1_host_suppresses_too() {
    let mut s = Script::host();
    s.input(0, &general(Version::V1));
    join(&mut s, G);
    watch(&mut s, 20_000);
    s.input(0, &general(Version::V1));
    s.input(0, &igmp_frame_with(&[], G, &[0x12, 0, 0, 0, 239, 1, 2, 3]));
    assert_eq!(watched(&mut s, 20_000), [""; 0]);
}

// ---- forced versions ----------------------------------------------------------------------------

#[test]
fn a_version_can_be_forced() {
    let forced = |version| {
        let igmp = GroupConfig { force: Some(version), ..GroupConfig::default() };
        Script::new(StackConfig { igmp, ..StackConfig::default() }, &["10.0.0.1/24"])
    };
    let mut s = forced(Version::V2);
    let id = join(&mut s, G);
    assert_eq!(watched(&mut s, 20_000), [v2(G), v2(G)]);
    s.input(0, &general(Version::V3));
    assert_eq!(watched(&mut s, 20_000), [v2(G)]);
    leave(&mut s, id, G);
    s.expect(0, &[&leaving(G)]);
    let mut s = forced(Version::V3);
    s.input(0, &general(Version::V1));
    s.input(0, &general(Version::V2));
    join(&mut s, G);
    let told = v3("to-ex 239.1.2.3 {}");
    assert_eq!(watched(&mut s, 20_000).last(), Some(&told));
}
