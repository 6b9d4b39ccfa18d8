//! `/proc/net/igmp`, `igmp6`, `mcfilter` and `mcfilter6`: the groups that interfaces are in, and of which sources.

use super::proc_net::{hex4, hex6};
use crate::kernel::Kernel;
use netstack::net::ifnet::{ALL_SYSTEMS, Ifnet};
use netstack::net::multicast::{GroupInfo, Version};
use netstack::socket::Family;
use netstack::time::Instant;
use netstack::wire::ipv6;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Milliseconds of a tick, as programs count them (USER_HZ).
const TICK_MS: u128 = 10;
/// What every interface is in that speaks IPv6, the one that leaves no host first.
const IMPLIED6: [Ipv6Addr; 2] = [Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 1), ipv6::ALL_NODES];

// Linux's flags of a group: a report is due; we reported it last; it is there; it is never reported.
const MAF_TIMER_RUNNING: u32 = 1;
const MAF_LAST_REPORTER: u32 = 2;
const MAF_LOADED: u32 = 4;
const MAF_NOREPORT: u32 = 8;

/// Ticks until a report is due; `None`: none is.
fn ticks(info: &GroupInfo, now: Instant) -> Option<u128> {
    info.report_at.map(|at| at.since(now).as_millis() / TICK_MS)
}

/// A group that nobody had to join.
fn implied(group: IpAddr) -> GroupInfo {
    GroupInfo { group, users: 1, report_at: None, reporter: false, sources: Vec::new() }
}

/// Those that an interface is in by itself and those that were joined, which stand behind.
fn all(ifnet: &Ifnet, family: Family, by_itself: &[IpAddr]) -> Vec<GroupInfo> {
    let mut all: Vec<GroupInfo> = by_itself.iter().map(|group| implied(*group)).collect();
    for info in ifnet.memberships(family) {
        match all.iter_mut().find(|known| known.group == info.group) {
            Some(known) => known.users += info.users,
            None => all.push(info),
        }
    }
    all
}

pub(super) fn igmp(kernel: &Kernel) -> String {
    let mut text = String::from("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    let now = kernel.clock();
    let stack = kernel.stack.borrow();
    for ifnet in stack.interfaces().filter(|ifnet| ifnet.up) {
        let groups = all(ifnet, Family::Inet, &[IpAddr::V4(ALL_SYSTEMS)]);
        let querier = match ifnet.group_version(Family::Inet, now, &stack.config().igmp) {
            Version::V1 => "V1",
            Version::V2 => "V2",
            Version::V3 => "V3",
        };
        let (name, n) = (&ifnet.name, groups.len());
        let _ = writeln!(text, "{}\t{name:<10}: {n:>5} {querier:>7}", ifnet.index.0);
        // The one that everybody is in was joined first and stands last.
        for info in groups.iter().rev() {
            let IpAddr::V4(group) = info.group else { continue };
            let (running, left) = ticks(info, now).map_or((0, 0), |left| (1, left));
            let reporter = u8::from(info.reporter);
            let (group, users) = (hex4(group), info.users);
            let _ = writeln!(text, "\t\t\t\t{group} {users:>5} {running}:{left:08X}\t\t{reporter}");
        }
    }
    text
}

pub(super) fn igmp6(kernel: &Kernel) -> String {
    let mut text = String::new();
    let now = kernel.clock();
    let stack = kernel.stack.borrow();
    for ifnet in stack.interfaces().filter(|ifnet| ifnet.up) {
        let speaks = stack.if_ipv6(ifnet.index).is_some_and(|ipv6| ipv6.enabled);
        let implied = IMPLIED6.map(IpAddr::V6);
        for info in all(ifnet, Family::Inet6, if speaks { &implied } else { &[] }).iter().rev() {
            let IpAddr::V6(group) = info.group else { continue };
            let mut flags = MAF_LOADED;
            for (flag, set) in [
                (MAF_TIMER_RUNNING, info.report_at.is_some()),
                (MAF_LAST_REPORTER, info.reporter),
                (MAF_NOREPORT, group == ipv6::ALL_NODES || ipv6::multicast_scope(group) < 2),
            ] {
                flags |= if set { flag } else { 0 };
            }
            let (left, users) = (ticks(info, now).unwrap_or(0), info.users);
            let (index, name, group) = (ifnet.index.0, &ifnet.name, hex6(group));
            let _ = writeln!(text, "{index:<4} {name:<15} {group} {users:>5} {flags:08X} {left}");
        }
    }
    text
}

/// Writes a row for each source that members name.
fn sources(kernel: &Kernel, family: Family, text: &mut String, show: impl Fn(IpAddr) -> String) {
    let stack = kernel.stack.borrow();
    for ifnet in stack.interfaces().filter(|ifnet| ifnet.up) {
        for info in ifnet.memberships(family) {
            for (source, named) in &info.sources {
                let (index, name) = (ifnet.index.0, &ifnet.name);
                let (group, source) = (show(info.group), show(*source));
                let (include, exclude) = (named.include, named.exclude);
                let _ = writeln!(text, "{index:>3} {name:>6.6} {group} {source} {include:>6} {exclude:>6}");
            }
        }
    }
}

pub(super) fn mcfilter(kernel: &Kernel) -> String {
    let mut text = String::from("Idx Device        MCA        SRC    INC    EXC\n");
    sources(kernel, Family::Inet, &mut text, |addr| match addr {
        IpAddr::V4(addr) => format!("0x{:08x}", Ipv4Addr::to_bits(addr)),
        IpAddr::V6(addr) => hex6(addr),
    });
    text
}

pub(super) fn mcfilter6(kernel: &Kernel) -> String {
    let mut text = String::from(
        "Idx Device                Multicast Address                   Source Address    INC    EXC\n",
    );
    sources(kernel, Family::Inet6, &mut text, |addr| match addr {
        IpAddr::V4(addr) => hex4(addr),
        IpAddr::V6(addr) => hex6(addr),
    });
    text
}
