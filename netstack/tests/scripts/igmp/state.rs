//! Version 3: what is told of changes (RFC 3376 §5.1).

use super::*;

#[test]
fn joining_and_leaving_are_told_at_once_and_once_more() {
    let mut s = Script::host();
    let id = join(&mut s, G);
    let seen = watch(&mut s, 60_000);
    let told = v3("to-ex 239.1.2.3 {}");
    assert_eq!(seen.iter().map(|(_, f)| f.as_str()).collect::<Vec<_>>(), [&told, &told]);
    assert_eq!(seen[0].0, 0);
    assert!((0..=1000).contains(&seen[1].0), "{seen:?}");
    leave(&mut s, id, G);
    let told = v3("to-in 239.1.2.3 {}");
    assert_eq!(watched(&mut s, 60_000), [told.clone(), told]);
    assert_eq!(s.stack.poll_timeout(), None);
    assert_eq!(s.counter("igmpOutV3Reports"), 4);
}

#[test]
fn the_group_of_all_systems_is_never_reported() {
    let mut s = Script::host();
    let id = join(&mut s, "224.0.0.1");
    s.input(0, &general(Version::V3));
    s.input(0, &about("224.0.0.1", 10, &[]));
    s.input(0, &general(Version::V2));
    leave(&mut s, id, "224.0.0.1");
    assert_eq!(watched(&mut s, 60_000), [""; 0]);
}

#[test]
fn link_local_groups_are_reported_as_others() {
    let mut s = Script::host();
    join(&mut s, "224.0.0.251");
    s.expect(0, &[&v3("to-ex 224.0.0.251 {}")]);
}

#[test]
fn a_second_member_is_no_news() {
    let mut s = Script::host();
    let a = join(&mut s, G);
    quiet(&mut s);
    let b = join(&mut s, G);
    leave(&mut s, a, G);
    assert_eq!(watched(&mut s, 5_000), [""; 0]);
    s.stack.close(s.now, b).unwrap();
    s.expect(0, &[&v3("to-in 239.1.2.3 {}")]);
}

#[test]
fn sources_of_members_are_merged_and_changes_told() {
    // RFC 3376 §3.2 and the table of §5.1, step by step.
    let mut s = Script::host();
    let step = |s: &mut Script, what: &str| {
        let told = v3(what);
        let seen = watched(s, 5_000);
        assert_eq!(seen, [told.clone(), told]);
    };
    let a = join_sources(&mut s, G, &["10.1.0.1"]);
    step(&mut s, "allow 239.1.2.3 {10.1.0.1}");
    let b = join_sources(&mut s, G, &["10.1.0.2"]);
    step(&mut s, "allow 239.1.2.3 {10.1.0.2}");
    // One excludes: all but what all those exclude and nobody includes.
    let c = socket(&mut s);
    let ifindex = s.ifs[0];
    set(&mut s, c, SockOpt::Join(ip(G), Some(ifindex)));
    step(&mut s, "to-ex 239.1.2.3 {}");
    set(&mut s, c, SockOpt::Block(source(ifindex, G, "10.1.0.3")));
    step(&mut s, "block 239.1.2.3 {10.1.0.3}");
    set(&mut s, c, SockOpt::Block(source(ifindex, G, "10.1.0.1")));
    assert_eq!(watched(&mut s, 5_000), [""; 0], "another member includes it");
    set(&mut s, a, SockOpt::DropSource(source(ifindex, G, "10.1.0.1")));
    step(&mut s, "block 239.1.2.3 {10.1.0.1}");
    set(&mut s, c, SockOpt::Unblock(source(ifindex, G, "10.1.0.3")));
    step(&mut s, "allow 239.1.2.3 {10.1.0.3}");
    leave(&mut s, c, G);
    step(&mut s, "to-in 239.1.2.3 {10.1.0.2}");
    set(&mut s, b, SockOpt::DropSource(source(ifindex, G, "10.1.0.2")));
    step(&mut s, "block 239.1.2.3 {10.1.0.2}");
    assert_eq!(s.stack.interface(ifindex).unwrap().groups().count(), 0);
}

#[test]
fn one_change_may_allow_and_block() {
    let mut s = Script::host();
    let id = join_sources(&mut s, G, &["10.1.0.1", "10.1.0.2"]);
    quiet(&mut s);
    let opt = filter(&s, G, FilterMode::Include, &["10.1.0.2", "10.1.0.3"]);
    set(&mut s, id, opt);
    let told = v3("allow 239.1.2.3 {10.1.0.3} block 239.1.2.3 {10.1.0.1}");
    assert_eq!(watched(&mut s, 5_000), [told.clone(), told]);
}

#[test]
fn as_long_as_the_mode_is_told_its_list_goes_with_it() {
    // RFC 3376 §5.1: then come the changes of the list that were told less often than that.
    let mut s = Script::new(
        StackConfig {
            igmp: GroupConfig { robustness: 3, ..GroupConfig::default() },
            ..StackConfig::default()
        },
        &["10.0.0.1/24"],
    );
    let id = join(&mut s, G);
    let ifindex = s.ifs[0];
    set(&mut s, id, SockOpt::Block(source(ifindex, G, "10.1.0.1")));
    set(&mut s, id, SockOpt::Block(source(ifindex, G, "10.1.0.2")));
    let expected = [
        v3("to-ex 239.1.2.3 {}"),
        v3("to-ex 239.1.2.3 {10.1.0.1}"),
        v3("to-ex 239.1.2.3 {10.1.0.1 10.1.0.2}"),
        v3("block 239.1.2.3 {10.1.0.1 10.1.0.2}"),
        v3("block 239.1.2.3 {10.1.0.2}"),
    ];
    assert_eq!(watched(&mut s, 10_000), expected);
}

#[test]
fn leaving_overtakes_what_was_yet_to_be_told_of_joining() {
    let mut s = Script::host();
    let id = join(&mut s, G);
    leave(&mut s, id, G);
    let (to_ex, to_in) = (v3("to-ex 239.1.2.3 {}"), v3("to-in 239.1.2.3 {}"));
    assert_eq!(watched(&mut s, 10_000), [to_ex.clone(), to_in.clone(), to_in.clone()]);
    let id = join(&mut s, G);
    leave(&mut s, id, G);
    join(&mut s, G);
    assert_eq!(watched(&mut s, 10_000), [to_ex.clone(), to_in, to_ex.clone(), to_ex]);
}

#[test]
fn groups_share_the_report_that_repeats() {
    let mut s = Script::host();
    join(&mut s, H);
    join(&mut s, G);
    let seen = watched(&mut s, 10_000);
    assert_eq!(
        seen,
        [v3("to-ex 239.1.2.4 {}"), v3("to-ex 239.1.2.3 {}"), v3("to-ex 239.1.2.3 {} to-ex 239.1.2.4 {}")]
    );
}

#[test]
fn an_interface_that_comes_up_tells_all_its_groups() {
    let mut s = Script::host();
    let ifindex = s.ifs[0];
    join(&mut s, G);
    join_sources(&mut s, H, &["10.1.0.1"]);
    quiet(&mut s);
    s.stack.if_set_carrier(s.now, ifindex, false).unwrap();
    let id = join(&mut s, "239.9.9.9");
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    assert_eq!(s.stack.poll_timeout(), None, "nothing is due where nothing can be sent");
    leave(&mut s, id, "239.9.9.9");
    join(&mut s, "239.9.9.8");
    s.stack.if_set_carrier(s.now, ifindex, true).unwrap();
    let told = v3("to-ex 239.1.2.3 {} allow 239.1.2.4 {10.1.0.1} to-ex 239.9.9.8 {}");
    assert_eq!(watched(&mut s, 10_000), [told.clone(), told]);
}

#[test]
fn reports_have_the_address_of_their_own_interface_or_none() {
    let mut s = Script::new(StackConfig::default(), &["10.0.0.1/24", "10.0.1.1/24"]);
    let id = socket(&mut s);
    let (first, second) = (s.ifs[0], s.ifs[1]);
    set(&mut s, id, SockOpt::Join(ip(G), Some(second)));
    s.expect(1, &["10.0.1.1 > 224.0.0.22 ttl 1 df alert igmp to-ex 239.1.2.3 {}"]);
    s.expect(0, &[]);
    s.stack.addr_del(s.now, first, "10.0.0.1/24".parse().unwrap()).unwrap();
    set(&mut s, id, SockOpt::Join(ip(G), Some(first)));
    s.expect(0, &["0.0.0.0 > 224.0.0.22 ttl 1 df alert igmp to-ex 239.1.2.3 {}"]);
}

#[test]
fn groups_of_the_loopback_interface_are_our_own_affair() {
    let mut s = Script::host();
    let id = socket(&mut s);
    set(&mut s, id, SockOpt::Join(ip(G), Some(IfIndex::LOOPBACK)));
    for up in [false, true] {
        s.stack.if_set_up(s.now, IfIndex::LOOPBACK, up).unwrap();
    }
    assert_eq!((s.stack.poll_timeout(), s.counter("igmpOutV3Reports")), (None, 0));
}

#[test]
fn an_interface_that_goes_takes_its_timers_along() {
    let mut s = Script::host();
    let id = join(&mut s, G);
    s.input(0, &general(Version::V3));
    let ifindex = s.ifs[0];
    s.stack.if_detach(ifindex).unwrap();
    assert_eq!(s.stack.poll_timeout(), None);
    leave(&mut s, id, G);
}
