//! The files that a node shows, octet for octet.

mod world;

use netstack::net::route::{Route, RouteKind};
use netstack::net::{IfIndex, MacAddr};
use netstack::socket::Membership;
use rumpkern::config::{HostConfig, NodeConfig};
use rumpkern::kernel::Kernel;
use rumpkern::syscall::{Errno, Family, MsgFlags, Shutdown, SockOpt, SockType, ioctl, sockopt_abi};
use rumpkern::vfs::{self, Opened};
use std::rc::Rc;
use world::{World, interface};

const NONE: MsgFlags = MsgFlags::empty();

/// What a program would read.
fn read(kernel: &Kernel, path: &str) -> Result<String, Errno> {
    match vfs::open(kernel, path.as_bytes()).unwrap_or_else(|| panic!("{path} is the host's"))? {
        Opened::Octets(octets) => Ok(String::from_utf8(octets).unwrap()),
        other => panic!("{path}: {other:?}"),
    }
}

fn text(kernel: &Kernel, path: &str) -> String {
    read(kernel, path).unwrap_or_else(|errno| panic!("{path}: {errno}"))
}

fn names(kernel: &Kernel, path: &str) -> Vec<String> {
    let entries = vfs::list(kernel, path.as_bytes()).unwrap().unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

fn write(kernel: &Kernel, path: &str, value: &str) -> Result<(), Errno> {
    vfs::write(kernel, path.as_bytes(), value.as_bytes()).unwrap_or_else(|| panic!("{path} is the host's"))
}

/// One node, 10.0.0.1/24 on `eth0`, alone on its wire.
fn alone() -> (World, Rc<Kernel>) {
    let world = World::lan(1);
    let kernel = world.kernels[0].clone();
    (world, kernel)
}

#[test]
fn interfaces_with_what_they_counted() {
    let world = World::lan(2);
    let ping = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"12345678", NONE, "10.0.0.2:9".parse().unwrap()).await.unwrap();
    });
    world.result(&ping);
    world.settle();
    // Out: a request of ARP (42 octets) and the datagram (50). In: the reply, and the refusal that quotes the datagram (78).
    let want = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  eth0:     120       2    0    0    0     0          0         0       92       2    0    0    0     0       0          0
";
    assert_eq!(text(&world.kernels[0], "/proc/net/dev"), want);
    assert_eq!(text(&world.kernels[0], "/sys/class/net/eth0/statistics/tx_bytes"), "92\n");
    let want = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.2         0x1         0x2         02:00:00:00:00:02     *        eth0
";
    assert_eq!(text(&world.kernels[0], "/proc/self/net/arp"), want);
}

#[test]
fn neighbours_that_are_permanent_and_that_do_not_answer() {
    let (world, kernel) = alone();
    kernel.with_stack(|stack, now| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        stack.neigh_add(now, eth0, [10, 0, 0, 9].into(), MacAddr([2, 0, 0, 0, 0, 9])).unwrap();
    });
    let lost = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"x", NONE, "10.0.0.77:9".parse().unwrap()).await.unwrap();
    });
    world.result(&lost);
    let want = "\
IP address       HW type     Flags       HW address            Mask     Device
10.0.0.9         0x1         0x6         02:00:00:00:00:09     *        eth0
10.0.0.77        0x1         0x0         00:00:00:00:00:00     *        eth0
";
    assert_eq!(text(&kernel, "/proc/1/net/arp"), want);
}

#[test]
fn routes_in_the_order_of_a_trie() {
    let (_world, kernel) = alone();
    kernel.with_stack(|stack, _| {
        let gateway = [10, 0, 0, 2].into();
        let eth0 = stack.if_by_name("eth0").unwrap();
        let default = Route { metric: 10, ..Route::via("0.0.0.0/0".parse().unwrap(), gateway) };
        stack.route_add(default).unwrap();
        stack.route_add(Route::on_link("203.0.113.1/32".parse().unwrap(), eth0)).unwrap();
        for (to, kind) in [
            ("198.51.100.0/24", RouteKind::Unreachable),
            ("198.51.101.0/24", RouteKind::Blackhole),
            ("198.51.102.0/24", RouteKind::Prohibit),
        ] {
            stack.route_add(Route::special(to.parse().unwrap(), kind)).unwrap();
        }
    });
    // As a Linux of the same routes has it; each row ends in blanks up to its 127th column.
    let want = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0200000A\t0003\t0\t0\t10\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t006433C6\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t006533C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t006633C6\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t017100CB\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
";
    let want: String = want.lines().map(|line| format!("{line:<127}\n")).collect();
    assert_eq!(text(&kernel, "/proc/net/route"), want);
    // Linux forgets the routes of an interface that goes down.
    kernel.with_stack(|stack, now| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        stack.if_set_up(now, eth0, false).unwrap();
    });
    assert_eq!(text(&kernel, "/proc/net/route").lines().filter(|line| line.starts_with("eth0")).count(), 0);
}

#[test]
fn tcp_in_its_states() {
    let world = World::lan(2);
    let server = world.spawn(1, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(fd, "0.0.0.0:80".parse().unwrap()).unwrap();
        sys.listen(fd, 5).unwrap();
        let (first, _) = sys.accept(fd).await.unwrap();
        sys.send(first, b"abc", NONE).await.unwrap();
        // The second one waits in the queue; all stay open.
        sys.recv(first, &mut [0; 1], NONE).await.unwrap();
    });
    let client = world.spawn(0, async |sys| {
        let mut fds = Vec::new();
        for port in [40000, 40001] {
            let fd = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
            sys.bind(fd, format!("0.0.0.0:{port}").parse().unwrap()).unwrap();
            sys.connect(fd, "10.0.0.2:80".parse().unwrap()).await.unwrap();
            fds.push(fd);
        }
        sys.recv(fds[0], &mut [0; 1], MsgFlags::PEEK).await.unwrap();
        sys.shutdown(fds[1], Shutdown::Write).unwrap();
        std::future::pending::<()>().await;
    });
    world.settle();
    assert!(server.take().is_none() && client.take().is_none());
    let want = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100000A:9C40 0200000A:0050 01 00000000:00000003 00:00000000 00000000     0        0 1 1 0000000000000000 20 4 0 10 -1
   1: 0100000A:9C41 0200000A:0050 05 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000 20 4 0 10 -1
";
    let padded = |want: &str| want.lines().map(|line| format!("{line:<149}\n")).collect::<String>();
    assert_eq!(text(&world.kernels[0], "/proc/net/tcp"), padded(want));
    let want = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000001 00:00000000 00000000     0        0 1 1 0000000000000000 100 0 0 10 0
   1: 0200000A:0050 0100000A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0000000000000000 20 4 0 10 -1
   2: 0200000A:0050 0100000A:9C41 08 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4 0 10 -1
";
    assert_eq!(text(&world.kernels[1], "/proc/net/tcp"), padded(want));
    assert!(text(&world.kernels[1], "/proc/net/sockstat").starts_with(
        "sockets: used 2\nTCP: inuse 3 orphan 0 tw 0 alloc 3 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\n"
    ));
    let snmp = text(&world.kernels[1], "/proc/net/snmp");
    let tcp: Vec<&str> = snmp.lines().filter(|line| line.starts_with("Tcp:")).collect();
    assert!(tcp[1].starts_with("Tcp: 1 200 120000 -1 0 2 0 0 2 "), "{}", tcp[1]);
}

#[test]
fn datagram_sockets() {
    let (world, kernel) = alone();
    let held = world.spawn(0, async |sys| {
        let bound = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.bind(bound, "0.0.0.0:53".parse().unwrap()).unwrap();
        let connected = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.bind(connected, "0.0.0.0:1000".parse().unwrap()).unwrap();
        sys.connect(connected, "10.0.0.2:99".parse().unwrap()).await.unwrap();
        sys.socket(Family::Inet, SockType::Dgram, 0).unwrap(); // has no port: in no table
        let ping = sys.socket(Family::Inet, SockType::Dgram, 1).unwrap();
        sys.bind(ping, "10.0.0.1:5".parse().unwrap()).unwrap();
        let lite = sys.socket(Family::Inet, SockType::Dgram, 136).unwrap();
        sys.bind(lite, "10.0.0.1:53".parse().unwrap()).unwrap();
        sys.socket(Family::Inet, SockType::Raw, 1).unwrap();
        let ospf = sys.socket(Family::Inet, SockType::Raw, 89).unwrap();
        sys.connect(ospf, "10.0.0.2:0".parse().unwrap()).await.unwrap();
        std::future::pending::<()>().await;
    });
    world.settle();
    assert!(held.take().is_none());
    let padded = |want: &str| want.lines().map(|line| format!("{line:<127}\n")).collect::<String>();
    let want = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   53: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0000000000000000 0
 1000: 0100000A:03E8 0200000A:0063 01 00000000:00000000 00:00000000 00000000     0        0 2 2 0000000000000000 0
";
    assert_eq!(text(&kernel, "/proc/net/udp"), padded(want));
    let want = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
    5: 0100000A:0005 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4 2 0000000000000000 0
";
    assert_eq!(text(&kernel, "/proc/net/icmp"), padded(want));
    let want = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   53: 0100000A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5 2 0000000000000000 0
";
    assert_eq!(text(&kernel, "/proc/net/udplite"), padded(want));
    assert!(text(&kernel, "/proc/net/sockstat").contains("UDP: inuse 3 mem 0\nUDPLITE: inuse 1\n"));
    // These rows are not padded.
    let want = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 6 2 0000000000000000 0
  89: 0100000A:0059 0200000A:0000 01 00000000:00000000 00:00000000 00000000     0        0 7 2 0000000000000000 0
";
    assert_eq!(text(&kernel, "/proc/net/raw"), want);
    let want = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";
    for table in ["udp6", "raw6", "icmp6", "udplite6"] {
        assert_eq!(text(&kernel, &format!("/proc/net/{table}")), want, "{table}");
    }
    let protocols = text(&kernel, "/proc/net/protocols");
    let want = "UDP       1344      3       0   NI       0   yes  kernel      y  y  y  n  y  y  y  n  y  y  y  y  n  n  y  y  y  n\n";
    assert!(protocols.contains(want), "{protocols}");
}

/// What the columns of a table are called, and where they are, is what programs go by: the host says it.
#[test]
fn headers_are_the_hosts() {
    let (_world, kernel) = alone();
    for (file, lines) in [
        ("arp", 1),
        ("dev", 2),
        ("icmp", 1),
        ("igmp", 1),
        ("netlink", 1),
        ("packet", 1),
        ("psched", 1),
        ("raw", 1),
        ("route", 1),
        ("tcp", 1),
        ("udp", 1),
    ] {
        let path = format!("/proc/net/{file}");
        let host = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let header = |text: &str| text.split_inclusive('\n').take(lines).collect::<String>();
        assert_eq!(header(&text(&kernel, &path)), header(&host), "{path}");
    }
}

#[test]
fn every_file_can_be_read_and_is_listed() {
    let (_world, kernel) = alone();
    let mut files = 0;
    let mut folders = vec!["/proc/net".to_owned(), "/proc/sys/net".to_owned(), "/sys/class/net".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in vfs::list(&kernel, folder.as_bytes()).unwrap().unwrap() {
            let path = format!("{folder}/{}", entry.name);
            assert!(vfs::is_ours(path.as_bytes()), "{path}");
            if entry.directory {
                folders.push(path);
                continue;
            }
            files += 1;
            let read = read(&kernel, &path);
            // As on Linux: these are there and have no value on the loopback interface.
            let void = ["/sys/class/net/lo/duplex", "/sys/class/net/lo/speed"].contains(&path.as_str());
            assert_eq!(read.is_err(), void, "{path}: {read:?}");
            if let Ok(text) = read {
                assert!(text.is_empty() || text.ends_with('\n'), "{path}: {text:?}");
            }
        }
    }
    assert!(files > 500, "{files}");
}

#[test]
fn what_the_host_has_and_the_node_has_not() {
    let (_world, kernel) = alone();
    for path in
        ["/proc/net/nf_conntrack", "/sys/class/net/eth9/mtu", "/proc/sys/net/ipv4/nothing", "/proc/net/dev/x"]
    {
        assert_eq!(vfs::open(&kernel, path.as_bytes()), Some(Err(Errno::ENOENT)), "{path}");
    }
    for path in ["/proc/net/unix", "/etc/passwd", "/usr/lib/libc.so.6", "relative", ""] {
        assert_eq!(vfs::open(&kernel, path.as_bytes()), None, "{path}");
        assert_eq!(vfs::write(&kernel, path.as_bytes(), b"1"), None, "{path}");
        assert!(!vfs::is_ours(path.as_bytes()), "{path}");
    }
}

#[test]
fn an_interface_in_sysfs() {
    let (_world, kernel) = alone();
    assert_eq!(names(&kernel, "/sys/class/net"), ["lo", "eth0"]);
    let of = |interface: &str, file: &str| read(&kernel, &format!("/sys/class/net/{interface}/{file}"));
    for (file, eth0, lo) in [
        ("address", "02:00:00:00:00:01\n", "00:00:00:00:00:00\n"),
        ("broadcast", "ff:ff:ff:ff:ff:ff\n", "00:00:00:00:00:00\n"),
        ("carrier", "1\n", "1\n"),
        ("flags", "0x1003\n", "0x9\n"),
        ("ifalias", "", ""),
        ("ifindex", "2\n", "1\n"),
        ("mtu", "1500\n", "65536\n"),
        ("operstate", "up\n", "unknown\n"),
        ("tx_queue_len", "1000\n", "1000\n"),
        ("type", "1\n", "772\n"),
        ("uevent", "INTERFACE=eth0\nIFINDEX=2\n", "INTERFACE=lo\nIFINDEX=1\n"),
        ("dev_id", "0x0\n", "0x0\n"),
        ("statistics/rx_bytes", "0\n", "0\n"),
    ] {
        assert_eq!(of("eth0", file).as_deref(), Ok(eth0), "{file}");
        assert_eq!(of("lo", file).as_deref(), Ok(lo), "{file}");
    }
    assert_eq!(of("eth0", "speed").as_deref(), Ok("10000\n"));
    write(&kernel, "/sys/class/net/eth0/flags", "0x1002\n").unwrap();
    for file in ["carrier", "speed", "duplex"] {
        assert_eq!(of("eth0", file), Err(Errno::EINVAL), "{file}");
    }
    assert_eq!(of("eth0", "operstate").as_deref(), Ok("down\n"));
    write(&kernel, "/sys/devices/virtual/net/eth0/mtu", "9000\n").unwrap();
    assert_eq!(of("eth0", "mtu").as_deref(), Ok("9000\n"));
    assert_eq!(write(&kernel, "/sys/class/net/eth0/mtu", "3"), Err(Errno::EINVAL));
    assert_eq!(write(&kernel, "/sys/class/net/eth0/mtu", "many"), Err(Errno::EINVAL));
    assert_eq!(write(&kernel, "/sys/class/net/eth0/address", "x"), Err(Errno::EACCES));
    assert_eq!(write(&kernel, "/sys/class/net/eth9/mtu", "1500"), Err(Errno::ENOENT));
    assert_eq!(write(&kernel, "/sys/class/net/eth0/tx_queue_len", "1000\n"), Ok(()));
}

#[test]
fn a_socket_that_a_program_holds_has_the_inode_that_its_program_sees() {
    let world = World::lan(1);
    let held = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.bind(fd, "0.0.0.0:53".parse().unwrap()).unwrap();
        let id = sys.socket_id(fd).unwrap();
        sys.kernel().set_socket_inode(id, 4711);
        let inode = |sys: &rumpkern::syscall::Sys| {
            let udp = text(sys.kernel(), "/proc/net/udp");
            udp.lines().nth(1).and_then(|row| row.split_whitespace().nth(9)).map(str::to_owned)
        };
        let first = inode(&sys);
        sys.close(fd).unwrap();
        assert_ne!(sys.kernel().socket_inode(id), 4711, "it goes with the socket");
        first
    });
    assert_eq!(world.result(&held).as_deref(), Some("4711"));
}

#[test]
fn a_packet_socket_that_wants_every_frame_shows() {
    let (world, kernel) = alone();
    let open = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Packet, 3).unwrap();
        sys.setsockopt(fd, SockOpt::PacketJoin(IfIndex(2), Membership::Promiscuous)).unwrap();
        std::future::pending::<()>().await;
    });
    world.settle();
    assert!(open.take().is_none());
    assert_eq!(text(&kernel, "/sys/class/net/eth0/flags"), "0x1103\n");
    let mut ifreq = [0; 40];
    ifreq[..4].copy_from_slice(b"eth0");
    ioctl::ioctl(&kernel, ioctl::Of::Other, 0x8913, &mut ifreq, None).unwrap();
    assert_eq!(ifreq[16..18], 0x1043u16.to_ne_bytes(), "only to sysfs, as on Linux");
    let packet = text(&kernel, "/proc/net/packet");
    assert_eq!(packet.lines().count(), 2);
    assert_eq!(packet.lines().last().unwrap().split_whitespace().nth(2), Some("3"), "SOCK_RAW");
}

#[test]
fn sysctls_are_read_and_written() {
    let (_world, kernel) = alone();
    let at = |name: &str| format!("/proc/sys/net/{name}");
    for (name, value) in [
        ("core/somaxconn", "4096\n"),
        ("core/rmem_default", "212992\n"),
        ("ipv4/ip_forward", "0\n"),
        ("ipv4/ip_default_ttl", "64\n"),
        ("ipv4/ip_local_port_range", "32768\t60999\n"),
        ("ipv4/ping_group_range", "0\t2147483647\n"),
        ("ipv4/tcp_rmem", "2304\t131072\t15728640\n"),
        ("ipv4/conf/all/rp_filter", "0\n"),
        ("ipv4/conf/eth0/accept_source_route", "1\n"),
        ("ipv4/conf/all/accept_source_route", "0\n"),
        ("ipv4/neigh/eth0/retrans_time_ms", "1000\n"),
        ("ipv4/neigh/default/gc_thresh3", "16384\n"),
        ("ipv6/conf/lo/disable_ipv6", "0\n"),
        ("ipv6/conf/eth0/disable_ipv6", "1\n"),
        ("ipv6/conf/eth0/addr_gen_mode", "0\n"),
        ("ipv6/conf/eth0/mtu", "1500\n"),
    ] {
        assert_eq!(text(&kernel, &at(name)), value, "{name}");
    }
    // What is a value of the stack's.
    write(&kernel, &at("ipv4/ip_forward"), "1\n").unwrap();
    assert!(kernel.with_stack(|stack, _| stack.forwarding()));
    assert_eq!(text(&kernel, &at("ipv4/conf/all/forwarding")), "1\n");
    assert_eq!(text(&kernel, &at("ipv4/conf/eth0/forwarding")), "1\n");
    assert!(text(&kernel, "/proc/net/snmp").contains("\nIp: 1 64 "));
    // A router believes no redirects.
    assert_eq!(text(&kernel, &at("ipv4/conf/all/accept_redirects")), "0\n");
    write(&kernel, &at("ipv4/conf/all/send_redirects"), "0").unwrap();
    assert_eq!(text(&kernel, &at("ipv4/conf/default/send_redirects")), "0\n");
    write(&kernel, &at("ipv4/ip_default_ttl"), "7").unwrap();
    assert_eq!(kernel.with_stack(|stack, _| (stack.config().ttl, stack.tcp_config().ttl)), (7, 7));
    write(&kernel, &at("ipv4/tcp_rmem"), "4096 8192 16384\n").unwrap();
    assert_eq!(text(&kernel, &at("ipv4/tcp_rmem")), "4096\t8192\t16384\n");
    // IPv6's, of one interface and of all.
    let ours = || text(&kernel, "/proc/net/if_inet6");
    for (name, value) in
        [("eth0/optimistic_dad", "0"), ("eth0/dad_transmits", "3"), ("eth0/disable_ipv6", "0")]
    {
        write(&kernel, &at(&format!("ipv6/conf/{name}")), value).unwrap();
        assert_eq!(text(&kernel, &at(&format!("ipv6/conf/{name}"))), format!("{value}\n"), "{name}");
    }
    assert!(ours().contains("fe80") && ours().contains(" 02 40 20 c0     eth0\n"), "tentative: {}", ours());
    write(&kernel, &at("ipv6/conf/all/disable_ipv6"), "1").unwrap();
    assert_eq!(ours(), "");
    write(&kernel, &at("ipv6/conf/eth0/accept_dad"), "0").unwrap();
    assert_eq!(text(&kernel, &at("ipv6/conf/eth0/optimistic_dad")), "0\n");
    write(&kernel, &at("ipv6/conf/all/disable_ipv6"), "0").unwrap();
    assert!(ours().contains(" 01 80 10 80       lo\n"), "{}", ours());
    assert!(ours().contains(" 02 40 20 80     eth0\n"), "{}", ours());
    assert_eq!(write(&kernel, &at("ipv6/conf/default/disable_ipv6"), "1"), Err(Errno::EINVAL));
    assert_eq!(write(&kernel, &at("ipv6/conf/eth0/addr_gen_mode"), "1"), Err(Errno::EINVAL));
    // What takes no other value than it has.
    assert_eq!(write(&kernel, &at("ipv4/ping_group_range"), "0 2147483647\n"), Ok(()));
    assert_eq!(write(&kernel, &at("ipv4/ping_group_range"), "1 0"), Err(Errno::EINVAL));
    assert_eq!(write(&kernel, &at("ipv4/conf/all/rp_filter"), "1"), Err(Errno::EINVAL));
    assert_eq!(write(&kernel, &at("ipv4/conf/eth0/forwarding"), "1"), Ok(()));
    assert_eq!(write(&kernel, &at("ipv4/conf/eth0/forwarding"), "0"), Err(Errno::EINVAL));
    for (name, value, errno) in [
        ("ipv4/ip_forward", "yes", Errno::EINVAL),
        ("ipv4/ip_default_ttl", "0", Errno::EINVAL),
        ("ipv4/ip_default_ttl", "256", Errno::EINVAL),
        ("ipv4/tcp_sack", "", Errno::EINVAL),
        ("ipv4/tcp_available_congestion_control", "reno", Errno::EACCES),
        ("ipv4/nothing", "1", Errno::ENOENT),
        ("ipv4/conf/eth9/rp_filter", "1", Errno::ENOENT),
    ] {
        assert_eq!(write(&kernel, &at(name), value), Err(errno), "{name}");
    }
    assert_eq!(vfs::write(&kernel, at("ipv4/ip_forward").as_bytes(), b"\xff"), Some(Err(Errno::EINVAL)));
    // Names of another system's are not there, though the node knows them.
    assert_eq!(read(&kernel, &at("inet/tcp/keepidle")), Err(Errno::ENOENT));
    assert_eq!(names(&kernel, "/proc/sys/net"), ["core", "ipv4", "ipv6", "unix"]);
    assert_eq!(names(&kernel, "/proc/sys/net/ipv4/conf"), ["all", "default", "eth0", "lo"]);
    assert_eq!(names(&kernel, "/proc/sys/net/ipv4/neigh"), ["default", "eth0", "lo"]);
}

/// How every node calls itself.
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

#[test]
fn names_of_the_lab() {
    let world = World::lan(3);
    let kernel = &world.kernels[1];
    let want = format!("{LOCALHOST}10.0.0.2\th2\n10.0.0.1\th1\n10.0.0.3\th3\n");
    assert_eq!(text(kernel, "/etc/hosts"), want);
    assert_eq!(text(kernel, "/etc/hostname"), "h2\n");
    assert_eq!(text(kernel, "/proc/sys/kernel/hostname"), "h2\n");
    let nsswitch = text(kernel, "/etc/nsswitch.conf");
    assert!(nsswitch.lines().any(|line| line == "hosts:      files dns"), "{nsswitch}");
    // Nobody is asked outside of the node.
    assert!(!text(kernel, "/etc/resolv.conf").lines().any(|line| line.starts_with("nameserver")));
    assert_eq!(write(kernel, "/etc/hosts", "1.2.3.4 x"), Err(Errno::EACCES));
}

#[test]
fn a_node_without_an_address_has_a_name() {
    let mut world = World::default();
    let kernel = world.add(NodeConfig { node: "mute".into(), ..NodeConfig::default() });
    assert_eq!(
        text(&kernel, "/etc/hosts"),
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tmute\n"
    );
}

#[test]
fn files_of_the_topology_come_first() {
    let mut world = World::default();
    let files = [("/etc/resolv.conf", "/h/resolv"), ("/srv/www/", "/h/www"), ("/srv/www/a/b", "/h/b")];
    let kernel = world.add(NodeConfig {
        node: "h1".into(),
        interfaces: vec![interface("eth0", "lan", 1, "10.0.0.1/24")],
        hosts: vec![HostConfig { name: "h1".into(), addresses: vec![[10, 0, 0, 1].into()] }],
        files: files.map(|(node, host)| (node.to_owned(), host.into())).into_iter().collect(),
        ..NodeConfig::default()
    });
    let host = |path: &str| match vfs::open(&kernel, path.as_bytes()) {
        Some(Ok(Opened::Host(host))) => Some(host.to_str().unwrap().to_owned()),
        None => None,
        other => panic!("{path}: {other:?}"),
    };
    assert_eq!(host("/etc/resolv.conf").as_deref(), Some("/h/resolv"));
    assert_eq!(host("//etc/./resolv.conf").as_deref(), Some("/h/resolv"));
    // Of a directory all that is below it, and of two that fit the longer.
    assert_eq!(host("/srv/www").as_deref(), Some("/h/www"));
    assert_eq!(host("/srv/www/a/index.html").as_deref(), Some("/h/www/a/index.html"));
    assert_eq!(host("/srv/www/a/b").as_deref(), Some("/h/b"));
    assert_eq!(host("/srv/www2"), None);
    // Nothing above it.
    assert_eq!(host("/srv/www/../secret"), None);
    assert_eq!(vfs::write(&kernel, b"/etc/resolv.conf", b"x"), Some(Err(Errno::EACCES)));
    assert_eq!(text(&kernel, "/etc/hostname"), "h1\n");
}

#[test]
fn groups_are_shown_where_programs_look_for_them() {
    let (world, kernel) = alone();
    let joined = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        let (group, ours) = ([224, 0, 0, 5], [10, 0, 0, 1]);
        sockopt_abi::set(&sys, fd, 0, 35, &[group, ours].concat()).unwrap(); // IP_ADD_MEMBERSHIP
        std::future::pending::<()>().await;
    });
    world.settle();
    assert!(joined.take().is_none());
    let want = "\
Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
2\teth0      :     2      V3
\t\t\t\t050000E0     1 0:00000000\t\t0
\t\t\t\t010000E0     1 0:00000000\t\t0
";
    assert_eq!(text(&kernel, "/proc/net/igmp"), want);
    let want = "\
2    eth0            1     0     01005e000001
2    eth0            1     0     01005e000005
";
    assert_eq!(text(&kernel, "/proc/net/dev_mcast"), want);
}
