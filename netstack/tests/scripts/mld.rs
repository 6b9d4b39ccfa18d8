//! MLD: what is reported of IPv6's groups, by whom, and when. The machine is IGMP's, whose scripts go
//! further; here is what MLD has of its own, and its octets.

use crate::harness::*;
use netstack::SocketId;
use netstack::net::ifnet::multicast_mac;
use netstack::net::multicast::{FilterMode, SourceFilter, Version};
use netstack::netinet6::in6_ifaddr::{Dad, Ipv6Config};
use netstack::socket::{Family, GroupSource, RecvFlags, SockError, SockOpt, SockOpt6, SockType};
use netstack::stack::{GroupConfig, StackConfig};
use netstack::time::Duration;
use netstack::wire::checksum::Sum;
use std::net::{IpAddr, Ipv6Addr};

const G: &str = "ff15::1234";
const H: &str = "ff15::1235";
const OWN: &str = "fe80::ff:fe00:1";
const ROUTER: &str = "fe80::9";
/// The solicited-node groups of the host's addresses.
const SOLICITED: [&str; 2] = ["ff02::1:ff00:1", "ff02::1:ff00:10"];
/// The router alert for MLD.
const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

fn v6(a: &str) -> Ipv6Addr {
    a.parse().unwrap()
}

fn ip(a: &str) -> IpAddr {
    a.parse().unwrap()
}

/// An interface with an IPv6 address besides its link's, at rest.
fn host_with(config: StackConfig) -> Script {
    let mut s = Script::new(config, &["10.0.0.1/24"]);
    speak(&mut s, Dad::Off);
    watch(&mut s, 5_000);
    s
}

fn host() -> Script {
    host_with(StackConfig::default())
}

fn speak(s: &mut Script, dad: Dad) {
    let ifindex = s.ifs[0];
    let config = Ipv6Config { enabled: true, dad, ..Ipv6Config::default() };
    s.stack.if_set_ipv6(s.now, ifindex, config).unwrap();
    s.stack.addr_add(s.now, ifindex, "2001:db8::10/64".parse().unwrap()).unwrap();
}

#[track_caller]
fn join(s: &mut Script, group: &str) -> SocketId {
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    s.stack.set_option(s.now, id, SockOpt::Join(ip(group), Some(s.ifs[0]))).unwrap();
    id
}

#[track_caller]
fn leave(s: &mut Script, id: SocketId, group: &str) {
    s.stack.set_option(s.now, id, SockOpt::Leave(ip(group), Some(s.ifs[0]))).unwrap();
}

fn source(s: &Script, group: &str, source: &str) -> GroupSource {
    GroupSource { group: ip(group), source: ip(source), ifindex: Some(s.ifs[0]) }
}

/// A frame with a packet by `src`, of the octets behind its header.
fn frame(src: &str, dst: &str, hop_limit: u8, next: u8, octets: &[u8]) -> Vec<u8> {
    let (src, dst) = (v6(src), v6(dst));
    let mac = if dst.is_multicast() { multicast_mac(IpAddr::V6(dst)) } else { own_mac(1) };
    let mut f = [&mac.0[..], &peer_mac(9).0, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    f.extend((octets.len() as u16).to_be_bytes());
    f.extend([next, hop_limit]);
    f.extend(src.octets());
    f.extend(dst.octets());
    f.extend(octets);
    f
}

/// An MLD message with its checksum, behind `options`.
fn mld_with(src: &str, dst: &str, hop_limit: u8, options: &[u8], message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let sum = Sum::pseudo_header(ip(src), ip(dst), 58, message.len()).add(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let next = if options.is_empty() { 58 } else { 0 };
    frame(src, dst, hop_limit, next, &[options, &message].concat())
}

/// The same by the router.
fn mld(dst: &str, message: &[u8]) -> Vec<u8> {
    mld_with(ROUTER, dst, 1, &ALERT, message)
}

/// A query that gives `ms` milliseconds; of version 2 with robustness, interval and sources.
fn query(group: &str, ms: u16, v2: Option<V3<'_>>) -> Vec<u8> {
    let mut message = [&[130, 0, 0, 0][..], &ms.to_be_bytes(), &[0, 0], &v6(group).octets()].concat();
    if let Some(V3(robustness, interval, sources)) = v2 {
        message.extend([robustness, interval, 0, sources.len() as u8]);
        sources.iter().for_each(|source| message.extend(v6(source).octets()));
    }
    message
}

fn general() -> Vec<u8> {
    mld("ff02::1", &query("::", 1000, Some(V3(2, 125, &[]))))
}

fn general_v1() -> Vec<u8> {
    mld("ff02::1", &query("::", 1000, None))
}

fn about(group: &str, sources: &[&str]) -> Vec<u8> {
    mld(group, &query(group, 1000, Some(V3(2, 125, sources))))
}

/// A frame of MLD as text; of others the EtherType.
fn told(f: &[u8]) -> String {
    if f[12..14] != [0x86, 0xdd] || f[20] != 0 {
        return format!("{:02x?}", &f[12..14]);
    }
    let ip = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&f[at..at + 16]).unwrap());
    let (src, dst, m) = (ip(22), ip(38), &f[62..]);
    assert_eq!((f[21], &f[54..62]), (1, &ALERT[..]), "hop limit 1 and the router alert");
    assert_eq!(f[..6], multicast_mac(IpAddr::V6(dst)).0);
    assert!(Sum::pseudo_header(src.into(), dst.into(), 58, m.len()).add(m).is_valid(), "checksum");
    let mut s = format!("{src} > {dst}");
    match (m[0], m.len()) {
        (131, 24) => s += &format!(" report {}", ip(62 + 8)),
        (132, 24) => s += &format!(" done {}", ip(62 + 8)),
        (143, 8..) => {
            let mut at = 8;
            for _ in 0..u16::from_be_bytes([m[6], m[7]]) {
                let kind = ["?", "is-in", "is-ex", "to-in", "to-ex", "allow", "block"][m[at] as usize];
                let sources = usize::from(u16::from_be_bytes([m[at + 2], m[at + 3]]));
                let list: Vec<String> = (0..sources).map(|n| ip(62 + at + 20 + 16 * n).to_string()).collect();
                s += &format!(" {kind} {} {{{}}}", ip(62 + at + 4), list.join(" "));
                at += 20 + 16 * sources;
            }
            assert_eq!(at, m.len(), "octets behind the last record");
        }
        (ty, len) => s += &format!(" {ty} len {len}"),
    }
    s
}

/// Time passes; MLD's frames with the milliseconds at which they left.
fn watch(s: &mut Script, ms: u64) -> Vec<(u64, String)> {
    let (begin, mut seen) = (s.now, Vec::new());
    let end = begin + Duration::from_millis(ms);
    loop {
        let at = s.now.since(begin).as_millis() as u64;
        let frames = s.frames(0);
        seen.extend(frames.iter().filter(|f| f[20] == 0 && f[12] == 0x86).map(|f| (at, told(f))));
        let Some(next) = s.stack.poll_timeout().filter(|at| *at <= end) else { break };
        s.now = s.now.max(next);
        s.stack.handle_timeout(s.now);
    }
    s.now = end;
    seen
}

fn watched(s: &mut Script, ms: u64) -> Vec<String> {
    watch(s, ms).into_iter().map(|(_, frame)| frame).collect()
}

fn v2_report(records: &str) -> String {
    format!("{OWN} > ff02::16 {records}")
}

fn v1_report(group: &str) -> String {
    format!("{OWN} > {group} report {group}")
}

#[test]
fn an_interface_that_begins_to_speak_ipv6_tells_its_solicited_node_groups() {
    let mut s = Script::host();
    speak(&mut s, Dad::Off);
    let seen = watched(&mut s, 5_000);
    for group in SOLICITED {
        let times = seen.iter().filter(|f| f.contains(&format!("to-ex {group} {{}}"))).count();
        assert!(times >= 2, "{group}: {seen:?}");
    }
    assert_eq!(s.stack.poll_timeout(), None);
    assert_eq!(s.counter("mldOutV2Reports"), seen.len() as u64);
}

#[test]
fn before_dad_has_ended_reports_have_no_source_and_are_said_again() {
    // RFC 3590 §4
    let mut s = Script::host();
    speak(&mut s, Dad::On);
    join(&mut s, G);
    let seen = watched(&mut s, 10_000);
    let with_source = seen.iter().position(|f| f.starts_with(OWN)).unwrap();
    assert!(seen[..with_source].iter().all(|f| f.starts_with(":: > ff02::16 ")), "{seen:?}");
    assert!(seen[..with_source].iter().any(|f| f.contains(G)), "{seen:?}");
    let groups = [SOLICITED[0], SOLICITED[1], G].map(|group| format!("to-ex {group} {{}}"));
    assert!(groups.iter().all(|g| seen[with_source].contains(g)), "all, as soon as there is one: {seen:?}");
    assert!(seen[with_source..].iter().all(|f| f.starts_with(OWN)), "{seen:?}");
}

#[test]
fn joining_and_leaving_are_told_at_once_and_once_more() {
    let mut s = host();
    let id = join(&mut s, G);
    let seen = watch(&mut s, 10_000);
    let report = v2_report("to-ex ff15::1234 {}");
    assert_eq!(seen.iter().map(|(_, f)| f).collect::<Vec<_>>(), [&report, &report]);
    assert!(seen[0].0 == 0 && seen[1].0 <= 1000, "{seen:?}");
    leave(&mut s, id, G);
    let report = v2_report("to-in ff15::1234 {}");
    assert_eq!(watched(&mut s, 10_000), [report.clone(), report]);
}

#[test]
fn groups_that_leave_no_host_and_all_nodes_are_never_reported() {
    let mut s = host();
    for group in ["ff02::1", "ff01::5", "ff11::5", "ff10::5"] {
        let id = join(&mut s, group);
        s.input(0, &about(group, &[]));
        assert_eq!(watched(&mut s, 2_000), [""; 0], "{group}");
        leave(&mut s, id, group);
        assert_eq!(watched(&mut s, 2_000), [""; 0], "{group}");
    }
    s.input(0, &general_v1());
    let seen = watched(&mut s, 5_000);
    assert_eq!(seen.len(), 2, "the solicited-node groups: {seen:?}");
    join(&mut s, "ff02::5");
    assert_eq!(watched(&mut s, 0), [v1_report("ff02::5")]);
}

#[test]
fn a_router_is_in_the_routers_group() {
    let mut s = host();
    s.stack.set_forwarding(true);
    let report = v2_report("to-ex ff02::2 {}");
    assert_eq!(watched(&mut s, 5_000), [report.clone(), report]);
}

#[test]
fn queries_are_answered_by_the_groups_that_they_are_about() {
    let mut s = host();
    join(&mut s, G);
    let id = join(&mut s, H);
    let what = source(&s, H, "2001:db8::7");
    s.stack.set_option(s.now, id, SockOpt::Block(what)).unwrap();
    watch(&mut s, 5_000);
    s.input(0, &general());
    let seen = watch(&mut s, 5_000);
    let all = v2_report(
        "is-ex ff02::1:ff00:1 {} is-ex ff02::1:ff00:10 {} is-ex ff15::1234 {} is-ex ff15::1235 {2001:db8::7}",
    );
    assert_eq!(seen.iter().map(|(_, f)| f).collect::<Vec<_>>(), [&all]);
    assert!(seen[0].0 <= 1000, "{seen:?}");
    s.input(0, &about(G, &[]));
    assert_eq!(watched(&mut s, 5_000), [v2_report("is-ex ff15::1234 {}")]);
    s.input(0, &about(H, &["2001:db8::7", "2001:db8::8"]));
    assert_eq!(watched(&mut s, 5_000), [v2_report("is-in ff15::1235 {2001:db8::8}")]);
    s.input(0, &about("ff15::9", &[]));
    assert_eq!(watched(&mut s, 5_000), [""; 0]);
    assert_eq!(s.counter("mldInV2Queries"), 3, "the last did not come in");
}

#[test]
fn answers_are_spread_over_the_time_that_the_query_gives() {
    let mut s = host();
    // 0x9000: 65.5 seconds, told by exponent and mantissa.
    let query = mld("ff02::1", &query("::", 0x9000, Some(V3(2, 125, &[]))));
    let mut times: Vec<u64> = Vec::new();
    for _ in 0..50 {
        s.input(0, &query);
        times.extend(watch(&mut s, 70_000).iter().map(|(at, _)| *at));
    }
    assert_eq!(times.len(), 50);
    assert!(times.iter().all(|at| *at <= 65_536) && times.iter().any(|at| *at > 40_000), "{times:?}");
}

#[test]
fn version_1_reports_each_group_and_says_done() {
    let mut s = host();
    let id = join(&mut s, G);
    watch(&mut s, 5_000);
    s.input(0, &general_v1());
    let mut seen = watched(&mut s, 5_000);
    seen.sort();
    assert_eq!(seen, [v1_report(SOLICITED[0]), v1_report(SOLICITED[1]), v1_report(G)]);
    leave(&mut s, id, G);
    assert_eq!(watched(&mut s, 5_000), [format!("{OWN} > ff02::2 done {G}")]);
    join(&mut s, H);
    assert_eq!(watched(&mut s, 20_000), [v1_report(H), v1_report(H)]);
    let counters = ["mldInV1Queries", "mldOutV1Reports", "mldOutDones"].map(|n| s.counter(n));
    assert_eq!(counters, [1, 5, 1]);
}

#[test]
fn version_1_is_forgotten_after_its_time() {
    // RFC 3810 §9.12: 2 * 125 s and the query's own second.
    let mut s = host();
    s.input(0, &general_v1());
    watch(&mut s, 250_900);
    join(&mut s, G);
    assert_eq!(watched(&mut s, 0), [v1_report(G)]);
    watch(&mut s, 200);
    join(&mut s, H);
    assert_eq!(watched(&mut s, 0), [v2_report("to-ex ff15::1235 {}")]);
}

#[test]
fn a_report_of_version_1_by_another_is_enough() {
    let mut s = host();
    s.input(0, &general_v1());
    let id = join(&mut s, G);
    watch(&mut s, 20_000);
    s.input(0, &mld(G, &query(G, 1000, None)));
    let report = [&[131, 0, 0, 0, 0, 0, 0, 0][..], &v6(G).octets()].concat();
    s.input(0, &mld_with("fe80::7", G, 1, &ALERT, &report));
    assert_eq!(watched(&mut s, 20_000), [""; 0]);
    leave(&mut s, id, G);
    assert_eq!(watched(&mut s, 20_000), [""; 0]);
    assert_eq!(s.counter("mldInReports"), 1);
}

#[test]
fn a_version_can_be_forced() {
    let mld = GroupConfig { force: Some(Version::V2), ..GroupConfig::default() };
    let mut s = host_with(StackConfig { mld, ..StackConfig::default() });
    join(&mut s, G);
    assert_eq!(watched(&mut s, 0), [v1_report(G)]);
}

#[test]
fn queries_of_strangers_are_ignored() {
    // RFC 3810 §6.2
    let mut s = host();
    join(&mut s, G);
    watch(&mut s, 5_000);
    let q = query("::", 1000, Some(V3(2, 125, &[])));
    s.input(0, &mld_with("2001:db8::9", "ff02::1", 1, &ALERT, &q));
    s.input(0, &mld_with("::", "ff02::1", 1, &ALERT, &q));
    s.input(0, &mld_with(ROUTER, "ff02::1", 255, &ALERT, &q));
    s.input(0, &mld_with(ROUTER, "ff02::1", 1, &[], &q));
    // A router alert of another protocol, and padding alone.
    s.input(0, &mld_with(ROUTER, "ff02::1", 1, &[58, 0, 5, 2, 0, 1, 1, 0], &q));
    s.input(0, &mld_with(ROUTER, "ff02::1", 1, &[58, 0, 1, 4, 0, 0, 0, 0], &q));
    s.input(0, &mld_with("2001:db8::9", "ff02::1", 1, &ALERT, &query("::", 1000, None)));
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    assert_eq!((s.counter("mldInBadQueries"), s.counter("mldBadQuery")), (7, 7));
}

#[test]
fn malformed_messages_are_counted_and_nothing_else() {
    let mut s = host();
    join(&mut s, G);
    watch(&mut s, 5_000);
    let q = query(G, 1000, Some(V3(2, 125, &["2001:db8::1", "2001:db8::2"])));
    for len in [8, 20, 23, 25, 27, 28, 44, 59] {
        s.input(0, &mld(G, &q[..len]));
    }
    // Sources of no group, groups that are none.
    s.input(0, &mld("ff02::1", &query("::", 1000, Some(V3(2, 125, &["2001:db8::1"])))));
    s.input(0, &mld("ff02::1", &query("2001:db8::1", 1000, None)));
    s.input(0, &mld(G, &[&[131, 0, 0, 0, 0, 0, 0, 0][..], &v6("::").octets()].concat()));
    assert_eq!((s.counter("mldInErrors"), s.counter("mldMalformed")), (11, 11));
    s.input(0, &mld(G, &[132; 24]));
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    assert_eq!(s.stack.poll_timeout(), None);
}

#[test]
fn a_flood_of_queries_makes_one_answer() {
    let mut s = host();
    join(&mut s, G);
    watch(&mut s, 5_000);
    for n in 0..5_000 {
        s.input(0, &about(G, &[&format!("2001:db8::{n:x}")]));
    }
    assert_eq!(watched(&mut s, 10_000), [v2_report("is-ex ff15::1234 {}")]);
    for _ in 0..5_000 {
        s.input(0, &general());
    }
    assert_eq!(watched(&mut s, 10_000).len(), 1);
}

#[test]
fn long_lists_take_several_reports() {
    // MTU 1280: room for 1224 octets of records, 75 sources each.
    let mut s = host_with(StackConfig {
        mld: GroupConfig { sources: 200, ..GroupConfig::default() },
        ..StackConfig::default()
    });
    s.stack.if_set_mtu(s.ifs[0], 1280).unwrap();
    let id = join(&mut s, G);
    watch(&mut s, 5_000);
    let sources = (0..200).map(|n| ip(&format!("2001:db8:1::{n:x}"))).collect();
    let filter = SourceFilter { mode: FilterMode::Exclude, sources };
    s.stack.set_option(s.now, id, SockOpt::MsFilter(ip(G), Some(s.ifs[0]), filter)).unwrap();
    let frames = s.frames(0);
    assert!(frames.iter().all(|f| f.len() <= 14 + 1280));
    let listed: Vec<usize> = frames.iter().map(|f| told(f).matches("db8:1:").count()).collect();
    assert_eq!(listed, [75, 75, 50]);
}

#[test]
fn an_interface_that_no_longer_speaks_ipv6_reports_nothing() {
    let mut s = host();
    join(&mut s, G);
    watch(&mut s, 5_000);
    let ifindex = s.ifs[0];
    s.stack.if_set_ipv6(s.now, ifindex, Ipv6Config::default()).unwrap();
    watch(&mut s, 0);
    assert_eq!(s.stack.poll_timeout(), None, "nothing is due where nothing can be sent");
    join(&mut s, H);
    assert_eq!(watched(&mut s, 10_000), [""; 0]);
    speak(&mut s, Dad::Off);
    let seen = watched(&mut s, 5_000).concat();
    assert!(seen.contains("to-ex ff15::1234") && seen.contains("to-ex ff15::1235"), "{seen}");
}

#[test]
fn sockets_choose_sources_also_of_the_link() {
    let mut s = host();
    let udp = |s: &mut Script| {
        let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
        s.stack.set_option(s.now, id, SockOpt::ReuseAddr(true)).unwrap();
        s.stack.bind(s.now, id, "[::]:9".parse().unwrap()).unwrap();
        id
    };
    let (all, some, none) = (udp(&mut s), udp(&mut s), udp(&mut s));
    s.stack.set_option(s.now, all, SockOpt::Join(ip(G), Some(s.ifs[0]))).unwrap();
    for from in ["fe80::7", "2001:db8::7"] {
        let what = source(&s, G, from);
        s.stack.set_option(s.now, some, SockOpt::AddSource(what)).unwrap();
    }
    s.stack.set_option(s.now, none, SockOpt::V6(SockOpt6::MulticastAll(false))).unwrap();
    let arrives = |s: &mut Script, from: &str| {
        let mut datagram = [&[0, 5, 0, 9, 0, 9, 0, 0][..], b"x"].concat();
        let sum = Sum::pseudo_header(ip(from), ip(G), 17, 9).add(&datagram).finish();
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
        s.input(0, &frame(from, G, 64, 17, &datagram));
    };
    for from in ["fe80::7", "fe80::8", "2001:db8::7", "2001:db8::8"] {
        arrives(&mut s, from);
    }
    let got = |s: &mut Script, id| {
        let mut buf = [0; 10];
        core::iter::from_fn(|| s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).ok())
            .map(|meta| meta.from.unwrap().ip().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(got(&mut s, all), ["fe80::7", "fe80::8", "2001:db8::7", "2001:db8::8"]);
    assert_eq!(got(&mut s, some), ["fe80::7", "2001:db8::7"]);
    assert_eq!(got(&mut s, none), [""; 0]);
    // Without who wants all, the interface takes no more than the sources.
    s.stack.close(s.now, all).unwrap();
    arrives(&mut s, "fe80::7");
    arrives(&mut s, "fe80::8");
    assert_eq!((got(&mut s, some), s.counter("ip6OtherSource")), (vec!["fe80::7".to_owned()], 1));
    // What is said of the group comes in all the same.
    watch(&mut s, 5_000);
    s.input(0, &about(G, &[]));
    assert_eq!(watched(&mut s, 5_000), [v2_report("is-in ff15::1234 {2001:db8::7 fe80::7}")]);
}

#[test]
fn groups_of_the_other_family_and_their_limits() {
    let mut s = host();
    let id = s.stack.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
    let here = Some(s.ifs[0]);
    // As on Linux a socket of AF_INET6 may be in groups of IPv4, the other way round not.
    s.stack.set_option(s.now, id, SockOpt::Join(ip("239.1.2.3"), here)).unwrap();
    let v4 = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    assert_eq!(s.stack.set_option(s.now, v4, SockOpt::Join(ip(G), here)), Err(SockError::AfNotSupported));
    let not_a_group = SockOpt::Join(ip("2001:db8::1"), here);
    assert_eq!(s.stack.set_option(s.now, id, not_a_group), Err(SockError::Invalid));
    for n in 0..64 {
        let what = source(&s, G, &format!("2001:db8::{n:x}"));
        s.stack.set_option(s.now, id, SockOpt::AddSource(what)).unwrap();
    }
    let what = source(&s, G, "2001:db8::ffff");
    assert_eq!(s.stack.set_option(s.now, id, SockOpt::AddSource(what)), Err(SockError::NoBufs));
    let opt = SockOpt::Join(ip("ff02::5"), None);
    s.stack.set_option(s.now, id, opt).unwrap();
    assert!(s.stack.interface(s.ifs[0]).unwrap().groups().any(|g| g == ip("ff02::5")));
}
