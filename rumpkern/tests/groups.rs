//! Groups as programs join them and look for them: options in Linux's layout, `/proc/net`, `/proc/sys/net`.

mod world;

use netstack::net::multicast::Version;
use netstack::netinet6::in6_ifaddr::{Dad, Ipv6Config};
use netstack::socket::SockOpt6;
use rumpkern::kernel::Kernel;
use rumpkern::syscall::{Errno, Family, Fd, SockOpt, SockType, Sys, sockopt_abi};
use rumpkern::vfs::{self, Opened};
use std::net::Ipv6Addr;
use std::rc::Rc;
use world::World;

const IPV6: u32 = 41;
/// The index of `eth0`.
const ETH0: u32 = 2;

fn text(kernel: &Kernel, path: &str) -> String {
    match vfs::open(kernel, path.as_bytes()) {
        Some(Ok(Opened::Octets(octets))) => String::from_utf8(octets).unwrap(),
        other => panic!("{path}: {other:?}"),
    }
}

fn write(kernel: &Kernel, name: &str, value: &str) -> Result<(), Errno> {
    let path = format!("/proc/sys/net/{name}");
    vfs::write(kernel, path.as_bytes(), value.as_bytes()).unwrap_or_else(|| panic!("{path} is the host's"))
}

/// One node, 10.0.0.1/24 on `eth0`, which speaks IPv6.
fn alone() -> (World, Rc<Kernel>) {
    let world = World::lan(1);
    let kernel = world.kernels[0].clone();
    kernel.with_stack(|stack, now| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        let config = Ipv6Config { enabled: true, dad: Dad::Off, ..Ipv6Config::default() };
        stack.if_set_ipv6(now, eth0, config).unwrap();
        while let Some(frame) = stack.poll_transmit(now, eth0) {
            stack.recycle(frame);
        }
    });
    (world, kernel)
}

/// Does something in a process that goes on holding its sockets.
fn hold(world: &World, body: impl AsyncFn(&Sys) + 'static) {
    let held = world.spawn(0, async move |sys| {
        body(&sys).await;
        std::future::pending::<()>().await;
    });
    world.settle();
    assert!(held.take().is_none());
}

fn sockaddr6(addr: &str) -> Vec<u8> {
    let addr: Ipv6Addr = addr.parse().unwrap();
    let mut octets = [&[10, 0, 0, 0, 0, 0, 0, 0][..], &addr.octets()].concat();
    octets.resize(128, 0);
    octets
}

fn group_req6(group: &str) -> Vec<u8> {
    [&ETH0.to_le_bytes()[..], &[0; 4], &sockaddr6(group)].concat()
}

fn group_source_req6(group: &str, source: &str) -> Vec<u8> {
    [group_req6(group), sockaddr6(source)].concat()
}

fn mreq6(group: &str, index: u32) -> Vec<u8> {
    let group: Ipv6Addr = group.parse().unwrap();
    [&group.octets()[..], &index.to_le_bytes()].concat()
}

#[test]
fn sources_are_shown_with_how_many_name_them() {
    let (world, kernel) = alone();
    let header = "Idx Device        MCA        SRC    INC    EXC\n";
    assert_eq!(text(&kernel, "/proc/net/mcfilter"), header);
    hold(&world, async |sys| {
        let udp = || sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        let (group, by) = ([239, 1, 2, 3], [10, 0, 0, 1]);
        let set = |fd, name, last: u8| {
            sockopt_abi::set(sys, fd, 0, name, &[group, by, [10, 0, 0, last]].concat()).unwrap();
        };
        let (a, b) = (udp(), udp());
        sockopt_abi::set(sys, a, 0, 35, &[group, by].concat()).unwrap();
        set(a, 38, 7); // IP_BLOCK_SOURCE
        set(b, 39, 7); // IP_ADD_SOURCE_MEMBERSHIP
        set(b, 39, 8);
    });
    let want =
        "  2   eth0 0xef010203 0x0a000007      1      1\n  2   eth0 0xef010203 0x0a000008      1      0\n";
    assert_eq!(text(&kernel, "/proc/net/mcfilter"), format!("{header}{want}"));
    assert!(text(&kernel, "/proc/net/igmp").contains("\t\t\t\t030201EF     2 0:00000000\t\t0\n"));
}

#[test]
fn the_version_and_reports_that_are_due_are_shown() {
    let (world, kernel) = alone();
    let querier = |kernel: &Kernel| {
        let text = text(kernel, "/proc/net/igmp");
        text.lines().find(|line| line.contains("eth0")).unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(querier(&kernel), "V3");
    write(&kernel, "ipv4/conf/all/force_igmp_version", "1\n").unwrap();
    assert_eq!(querier(&kernel), "V1");
    write(&kernel, "ipv4/conf/all/force_igmp_version", "2\n").unwrap();
    assert_eq!(querier(&kernel), "V2");
    hold(&world, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sockopt_abi::set(sys, fd, 0, 35, &[[239, 1, 2, 3], [10, 0, 0, 1]].concat()).unwrap();
    });
    // The report is said again within ten seconds: 1000 ticks.
    let shown = text(&kernel, "/proc/net/igmp");
    let line = shown.lines().find(|line| line.contains("030201EF")).unwrap();
    let (_, rest) = line.split_once(" 1:").unwrap_or_else(|| panic!("{line}"));
    let (ticks, reporter) = rest.split_once("\t\t").unwrap();
    assert!((1..=1000).contains(&u32::from_str_radix(ticks, 16).unwrap()), "{line}");
    assert_eq!(reporter, "1");
}

#[test]
fn groups_of_ipv6_are_joined_by_both_kinds_of_options() {
    let (world, kernel) = alone();
    hold(&world, async |sys| {
        let fd = sys.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
        let set = |name, value: &[u8]| sockopt_abi::set(sys, fd, IPV6, name, value);
        // IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP
        set(20, &mreq6("ff15::1", ETH0)).unwrap();
        assert_eq!(set(20, &mreq6("ff15::1", ETH0)), Err(Errno::EADDRINUSE));
        assert_eq!(set(20, &mreq6("ff15::2", 99)), Err(Errno::ENODEV));
        assert_eq!(set(20, &mreq6("2001:db8::1", ETH0)), Err(Errno::EINVAL));
        assert_eq!(set(20, &mreq6("ff15::2", ETH0)[..19]), Err(Errno::EINVAL));
        set(20, &mreq6("ff15::2", ETH0)).unwrap();
        set(21, &mreq6("ff15::2", ETH0)).unwrap();
        assert_eq!(set(21, &mreq6("ff15::2", ETH0)), Err(Errno::EADDRNOTAVAIL));
        // MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP, MCAST_BLOCK_SOURCE
        set(42, &group_req6("ff15::3")).unwrap();
        set(46, &group_source_req6("ff15::4", "2001:db8::7")).unwrap();
        set(43, &group_source_req6("ff15::3", "2001:db8::8")).unwrap();
        let mut v4 = group_req6("ff15::5");
        v4[8] = 2;
        assert_eq!(set(42, &v4), Err(Errno::EADDRNOTAVAIL));
        // MCAST_MSFILTER, read with what it is asked for.
        let asked = [&group_req6("ff15::4")[..], &[9, 0, 0, 0, 4, 0, 0, 0], &[0; 4 * 128]].concat();
        let got = sockopt_abi::get_within(sys, fd, IPV6, 48, asked.len(), &asked).unwrap();
        let want =
            [&group_req6("ff15::4")[..], &[1, 0, 0, 0, 1, 0, 0, 0], &sockaddr6("2001:db8::7")].concat();
        assert_eq!(got, want);
    });
    let rows = |path: &str| text(&kernel, path).lines().map(str::to_owned).collect::<Vec<_>>();
    let groups = rows("/proc/net/igmp6");
    for (group, flags) in [
        ("ff150000000000000000000000000003", "00000004"),
        ("ff0200000000000000000001ff000001", "00000004"),
        ("ff020000000000000000000000000001", "0000000C"),
        ("ff010000000000000000000000000001", "0000000C"),
    ] {
        let row = format!("2    eth0            {group}     1 {flags} 0");
        assert!(groups.contains(&row), "{row} in {groups:#?}");
    }
    assert_eq!(
        rows("/proc/net/mcfilter6")[1..],
        [
            "  2   eth0 ff150000000000000000000000000003 20010db8000000000000000000000008      0      1",
            "  2   eth0 ff150000000000000000000000000004 20010db8000000000000000000000007      1      0",
        ]
    );
}

#[test]
fn options_of_ipv6_are_for_its_sockets() {
    let (world, _kernel) = alone();
    let done = world.spawn(0, async |sys| {
        let v4 = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        let join = |fd: Fd| sockopt_abi::set(&sys, fd, IPV6, 20, &mreq6("ff15::1", ETH0));
        assert_eq!(join(v4), Err(Errno::ENOPROTOOPT));
        let stream = sys.socket(Family::Inet6, SockType::Stream, 0).unwrap();
        assert_eq!(join(stream), Err(Errno::EPROTO));
        // IPV6_MULTICAST_ALL
        let v6 = sys.socket(Family::Inet6, SockType::Dgram, 0).unwrap();
        assert_eq!(sockopt_abi::get(&sys, v6, IPV6, 29), Ok(vec![1, 0, 0, 0]));
        sockopt_abi::set(&sys, v6, IPV6, 29, &[0; 4]).unwrap();
        assert_eq!(sockopt_abi::get(&sys, v6, IPV6, 29), Ok(vec![0; 4]));
        let all = SockOpt::V6(SockOpt6::MulticastAll(true));
        sys.setsockopt(v6, all).unwrap();
    });
    world.result(&done);
}

#[test]
fn habits_of_groups_are_read_and_written() {
    let (_world, kernel) = alone();
    let read = |name: &str| text(&kernel, &format!("/proc/sys/net/{name}"));
    for (name, value, other, wrong) in [
        ("ipv4/igmp_max_memberships", "20", "3", "-1"),
        ("ipv4/igmp_max_msf", "10", "0", "x"),
        ("ipv4/igmp_qrv", "2", "7", "0"),
        ("ipv6/mld_max_msf", "64", "9", "-1"),
        ("ipv6/mld_qrv", "2", "1", "8"),
        ("ipv4/conf/all/force_igmp_version", "0", "3", "4"),
        ("ipv4/conf/all/igmpv2_unsolicited_report_interval", "10000", "5", "0"),
        ("ipv4/conf/all/igmpv3_unsolicited_report_interval", "1000", "5", "0"),
        ("ipv6/conf/all/force_mld_version", "0", "1", "3"),
        ("ipv6/conf/all/mldv1_unsolicited_report_interval", "10000", "5", "0"),
        ("ipv6/conf/all/mldv2_unsolicited_report_interval", "1000", "5", "0"),
    ] {
        assert_eq!(read(name), format!("{value}\n"), "{name}");
        assert_eq!(write(&kernel, name, wrong), Err(Errno::EINVAL), "{name}");
        write(&kernel, name, other).unwrap();
        assert_eq!(read(name), format!("{other}\n"), "{name}");
        // Of one interface it is shown and cannot be changed.
        if let Some(key) = name.strip_prefix("ipv4/conf/all/").or(name.strip_prefix("ipv6/conf/all/")) {
            let one = format!("{}/conf/eth0/{key}", &name[..4]);
            assert_eq!(read(&one), format!("{other}\n"));
            assert_eq!(write(&kernel, &one, value), Err(Errno::EINVAL));
        }
    }
    let config = kernel.with_stack(|stack, _| stack.config().clone());
    assert_eq!((config.igmp.force, config.mld.force), (Some(Version::V3), Some(Version::V2)));
    assert_eq!((config.igmp.memberships, config.igmp.robustness, config.mld.sources), (3, 7, 9));
}
