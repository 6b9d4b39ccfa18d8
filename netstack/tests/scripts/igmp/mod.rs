//! IGMP: what is reported of groups, when, and in which version.

mod odd;
mod older;
mod query;
mod state;

use crate::harness::*;
use netstack::SocketId;
use netstack::net::IfIndex;
use netstack::net::multicast::{FilterMode, SourceFilter, Version};
use netstack::socket::{Family, GroupSource, RecvFlags, SockOpt, SockType};
use netstack::stack::{GroupConfig, StackConfig};
use netstack::time::Duration;
use std::net::IpAddr;

const G: &str = "239.1.2.3";
const H: &str = "239.1.2.4";
/// Version 3's report by 10.0.0.1.
const V3_REPORT: &str = "10.0.0.1 > 224.0.0.22 ttl 1 df alert igmp";

fn ip(a: &str) -> IpAddr {
    a.parse().unwrap()
}

fn socket(s: &mut Script) -> SocketId {
    s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap()
}

#[track_caller]
fn set(s: &mut Script, id: SocketId, opt: SockOpt) {
    s.stack.set_option(s.now, id, opt).unwrap();
}

/// A new socket in `group`.
#[track_caller]
fn join(s: &mut Script, group: &str) -> SocketId {
    let id = socket(s);
    let ifindex = s.ifs[0];
    set(s, id, SockOpt::Join(ip(group), Some(ifindex)));
    id
}

#[track_caller]
fn leave(s: &mut Script, id: SocketId, group: &str) {
    let ifindex = s.ifs[0];
    set(s, id, SockOpt::Leave(ip(group), Some(ifindex)));
}

fn source(ifindex: IfIndex, group: &str, source: &str) -> GroupSource {
    GroupSource { group: ip(group), source: ip(source), ifindex: Some(ifindex) }
}

/// A new socket that wants only these sources of a group.
#[track_caller]
fn join_sources(s: &mut Script, group: &str, sources: &[&str]) -> SocketId {
    let id = socket(s);
    for a in sources {
        let what = source(s.ifs[0], group, a);
        set(s, id, SockOpt::AddSource(what));
    }
    id
}

fn filter(s: &Script, group: &str, mode: FilterMode, sources: &[&str]) -> SockOpt {
    let sources = sources.iter().map(|a| ip(a)).collect();
    SockOpt::MsFilter(ip(group), Some(s.ifs[0]), SourceFilter { mode, sources })
}

/// Time passes; the frames with the milliseconds at which they left.
fn watch(s: &mut Script, ms: u64) -> Vec<(u64, String)> {
    let (begin, mut seen) = (s.now, Vec::new());
    let end = begin + Duration::from_millis(ms);
    loop {
        let at = s.now.since(begin).as_millis() as u64;
        seen.extend(s.sent(0).into_iter().map(|frame| (at, frame)));
        let Some(next) = s.stack.poll_timeout().filter(|at| *at <= end) else { break };
        s.now = s.now.max(next);
        s.stack.handle_timeout(s.now);
    }
    s.now = end;
    seen
}

/// The same without the times.
fn watched(s: &mut Script, ms: u64) -> Vec<String> {
    watch(s, ms).into_iter().map(|(_, frame)| frame).collect()
}

/// All that is to be said of what happened so far has been said.
#[track_caller]
fn quiet(s: &mut Script) {
    watch(s, 30_000);
    assert_eq!(s.stack.poll_timeout(), None);
}

/// A general query of each version; answers within a second, where it says so.
fn general(version: Version) -> Vec<u8> {
    igmp_frame(
        "224.0.0.1",
        &match version {
            Version::V1 => igmp_query("0.0.0.0", 0, None),
            Version::V2 => igmp_query("0.0.0.0", 10, None),
            Version::V3 => igmp_query("0.0.0.0", 10, Some(V3(2, 125, &[]))),
        },
    )
}

/// A query of version 3 about a group (and sources), to be answered within `code` tenths of a second.
fn about(group: &str, code: u8, sources: &[&str]) -> Vec<u8> {
    igmp_frame(group, &igmp_query(group, code, Some(V3(2, 125, sources))))
}

/// A report of version 2 by another host.
fn report_of(group: &str) -> Vec<u8> {
    igmp_frame(
        group,
        &[&[0x16, 0, 0, 0][..], &group.parse::<std::net::Ipv4Addr>().unwrap().octets()].concat(),
    )
}

fn v3(records: &str) -> String {
    format!("{V3_REPORT} {records}")
}

fn v2(group: &str) -> String {
    format!("10.0.0.1 > {group} ttl 1 df alert igmp v2-report {group}")
}

fn leaving(group: &str) -> String {
    format!("10.0.0.1 > 224.0.0.2 ttl 1 df alert igmp leave {group}")
}
