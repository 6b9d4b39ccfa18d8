//! ioctl(2) on interfaces, addresses, routes and ARP: what programs of Linux ask, and whatever octets they hand over.

mod world;

use netstack::net::MacAddr;
use netstack::net::route::RouteKind;
use proptest::prelude::*;
use rumpkern::kernel::Kernel;
use rumpkern::syscall::Errno;
use rumpkern::syscall::ioctl::{self, Beyond, Of};
use rumpkern::vfs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use world::World;

const SIOCADDRT: u32 = 0x890b;
const SIOCDELRT: u32 = 0x890c;
const SIOCGIFNAME: u32 = 0x8910;
const SIOCGIFCONF: u32 = 0x8912;
const SIOCGIFFLAGS: u32 = 0x8913;
const SIOCSIFFLAGS: u32 = 0x8914;
const SIOCGIFADDR: u32 = 0x8915;
const SIOCSIFADDR: u32 = 0x8916;
const SIOCGIFDSTADDR: u32 = 0x8917;
const SIOCGIFBRDADDR: u32 = 0x8919;
const SIOCSIFBRDADDR: u32 = 0x891a;
const SIOCGIFNETMASK: u32 = 0x891b;
const SIOCSIFNETMASK: u32 = 0x891c;
const SIOCGIFMETRIC: u32 = 0x891d;
const SIOCGIFMTU: u32 = 0x8921;
const SIOCSIFMTU: u32 = 0x8922;
const SIOCSIFNAME: u32 = 0x8923;
const SIOCSIFHWADDR: u32 = 0x8924;
const SIOCGIFHWADDR: u32 = 0x8927;
const SIOCGIFINDEX: u32 = 0x8933;
const SIOCGIFTXQLEN: u32 = 0x8942;
const SIOCETHTOOL: u32 = 0x8946;
const SIOCDARP: u32 = 0x8953;
const SIOCGARP: u32 = 0x8954;
const SIOCSARP: u32 = 0x8955;
const SIOCGIFMAP: u32 = 0x8970;

/// One node, 10.0.0.1/24 on `eth0`.
fn alone() -> (World, Rc<Kernel>) {
    let world = World::lan(1);
    let kernel = world.kernels[0].clone();
    (world, kernel)
}

/// A `struct ifreq` with `rest` behind its name.
fn ifreq(name: &str, rest: &[u8]) -> Vec<u8> {
    let mut arg = vec![0; 40];
    arg[..name.len()].copy_from_slice(name.as_bytes());
    arg[16..16 + rest.len()].copy_from_slice(rest);
    arg
}

/// The octets behind the name after a request.
fn ask(kernel: &Kernel, request: u32, name: &str, rest: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut arg = ifreq(name, rest);
    assert_eq!(ioctl::ioctl(kernel, Of::Other, request, &mut arg, None)?, 0);
    Ok(arg[16..].to_vec())
}

fn sockaddr(addr: &str) -> Vec<u8> {
    let mut octets = vec![2, 0, 0, 0];
    octets.extend_from_slice(&addr.parse::<Ipv4Addr>().unwrap().octets());
    octets.resize(16, 0);
    octets
}

/// The address that a request is answered with.
fn addr(kernel: &Kernel, request: u32, name: &str) -> Result<String, Errno> {
    let octets = ask(kernel, request, name, &[])?;
    assert_eq!(octets[..4], [2, 0, 0, 0]);
    Ok(Ipv4Addr::new(octets[4], octets[5], octets[6], octets[7]).to_string())
}

fn set(kernel: &Kernel, request: u32, name: &str, addr: &str) -> Result<(), Errno> {
    ask(kernel, request, name, &sockaddr(addr)).map(drop)
}

fn int(octets: &[u8]) -> i32 {
    i32::from_ne_bytes(octets[..4].try_into().unwrap())
}

#[test]
fn what_an_interface_is() {
    let (_world, kernel) = alone();
    let get = |request, name| ask(&kernel, request, name, &[]);
    assert_eq!(get(SIOCGIFFLAGS, "lo").unwrap()[..2], 0x49u16.to_ne_bytes());
    assert_eq!(get(SIOCGIFFLAGS, "eth0").unwrap()[..2], 0x1043u16.to_ne_bytes());
    assert_eq!(int(&get(SIOCGIFINDEX, "eth0").unwrap()), 2);
    assert_eq!(int(&get(SIOCGIFMTU, "eth0").unwrap()), 1500);
    assert_eq!(int(&get(SIOCGIFTXQLEN, "eth0").unwrap()), 1000);
    assert_eq!(int(&get(SIOCGIFMETRIC, "eth0").unwrap()), 0);
    assert_eq!(get(SIOCGIFHWADDR, "eth0").unwrap()[..8], [1, 0, 2, 0, 0, 0, 0, 1]);
    assert_eq!(get(SIOCGIFHWADDR, "lo").unwrap()[..8], [4, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(get(SIOCGIFMAP, "eth0").unwrap(), [0; 24]);
    // The name of an address stands for its interface, also if there is no such address.
    assert_eq!(int(&get(SIOCGIFINDEX, "eth0:1").unwrap()), 2);
    let mut arg = ifreq("junk", &2i32.to_ne_bytes());
    ioctl::ioctl(&kernel, Of::Other, SIOCGIFNAME, &mut arg, None).unwrap();
    assert_eq!(arg[..20], ifreq("eth0", &2i32.to_ne_bytes())[..20]);
    for (request, name, errno) in [
        (SIOCGIFFLAGS, "eth9", Errno::ENODEV),
        (SIOCGIFFLAGS, "none:1", Errno::ENODEV),
        (SIOCGIFNAME, "eth0", Errno::ENODEV), // number 0
        (SIOCGIFADDR, "eth9", Errno::ENODEV),
        (SIOCGIFADDR, "eth0:1", Errno::EADDRNOTAVAIL),
        (0x891e, "eth0", Errno::EOPNOTSUPP), // SIOCSIFMETRIC
        (0x891f, "eth0", Errno::ENOTTY),     // SIOCGIFMEM
        (0x8929, "eth0", Errno::EINVAL),     // SIOCGIFSLAVE
        (0x8938, "eth0", Errno::ENOTTY),     // SIOCGIFCOUNT
        (0x8940, "eth0", Errno::EOPNOTSUPP), // SIOCGIFBR
        (0x8947, "eth0", Errno::EOPNOTSUPP), // SIOCGMIIPHY
        (0x8947, "eth9", Errno::ENODEV),
        (0x8994, "eth0", Errno::EOPNOTSUPP), // SIOCBONDINFOQUERY
        (0x8b01, "eth0", Errno::ENOTTY),     // SIOCGIWNAME, without wireless
    ] {
        assert_eq!(get(request, name), Err(errno), "{request:#x} {name}");
    }
    let mut vlan = vec![0; 52];
    assert_eq!(ioctl::ioctl(&kernel, Of::Other, 0x8982, &mut vlan, None), Err(Errno::ENOPKG));
}

#[test]
fn addresses_as_ifconfig_sets_them() {
    let (_world, kernel) = alone();
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0").as_deref(), Ok("10.0.0.1"));
    assert_eq!(addr(&kernel, SIOCGIFDSTADDR, "eth0").as_deref(), Ok("10.0.0.1"));
    assert_eq!(addr(&kernel, SIOCGIFBRDADDR, "eth0").as_deref(), Ok("10.0.0.255"));
    assert_eq!(addr(&kernel, SIOCGIFBRDADDR, "lo").as_deref(), Ok("0.0.0.0"));
    assert_eq!(addr(&kernel, SIOCGIFNETMASK, "lo").as_deref(), Ok("255.0.0.0"));
    // ifconfig eth0 172.16.5.1 broadcast 172.16.5.255 netmask 255.255.255.0
    set(&kernel, SIOCSIFADDR, "eth0", "172.16.5.1").unwrap();
    assert_eq!(addr(&kernel, SIOCGIFNETMASK, "eth0").as_deref(), Ok("255.255.0.0"));
    set(&kernel, SIOCSIFBRDADDR, "eth0", "172.16.5.255").unwrap();
    set(&kernel, SIOCSIFNETMASK, "eth0", "255.255.255.0").unwrap();
    assert_eq!(addr(&kernel, SIOCGIFBRDADDR, "eth0").as_deref(), Ok("172.16.5.255"));
    kernel.with_stack(|stack, _| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        assert_eq!(stack.interface(eth0).unwrap().addrs(), ["172.16.5.1/24".parse().unwrap()]);
        assert!(stack.routes().any(|r| r.to == "172.16.5.0/24".parse().unwrap()));
        assert!(stack.routes().all(|r| r.to != "10.0.0.0/24".parse().unwrap()));
    });
    for (request, value, errno) in [
        (SIOCSIFADDR, "224.0.0.1", Errno::EINVAL),
        (SIOCSIFNETMASK, "255.0.255.0", Errno::EINVAL),
        (SIOCSIFBRDADDR, "10.9.9.9", Errno::EINVAL),
        (0x8918, "10.9.9.9", Errno::EINVAL), // SIOCSIFDSTADDR
    ] {
        assert_eq!(set(&kernel, request, "eth0", value), Err(errno), "{request:#x} {value}");
    }
    assert_eq!(ask(&kernel, SIOCSIFADDR, "eth0", &[10, 0, 0, 0]), Err(Errno::EINVAL), "another family");
    // ifconfig eth0 0.0.0.0
    set(&kernel, SIOCSIFADDR, "eth0", "0.0.0.0").unwrap();
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(set(&kernel, SIOCSIFNETMASK, "eth0", "255.0.0.0"), Err(Errno::EADDRNOTAVAIL));
}

/// What SIOCGIFCONF puts into a buffer of `room` octets (none: a null pointer): names and addresses, and the length it tells.
fn ifconf(kernel: &Kernel, room: Option<usize>) -> (Vec<(String, Ipv4Addr)>, i32) {
    let mut arg = vec![0; 16];
    arg[..4].copy_from_slice(&(room.unwrap_or(0) as i32).to_ne_bytes());
    if room.is_some() {
        arg[8..].copy_from_slice(&0x1000u64.to_ne_bytes());
    }
    let beyond = ioctl::beyond(Of::Other, SIOCGIFCONF, &arg);
    assert_eq!(beyond, room.map(|len| Beyond { pointer: 0x1000, len, fresh: true, back: true }));
    let mut buffer = beyond.map(|beyond| vec![0xee; beyond.len]);
    ioctl::ioctl(kernel, Of::Other, SIOCGIFCONF, &mut arg, buffer.as_mut()).unwrap();
    let row = |row: &[u8]| {
        let end = row.iter().position(|&b| b == 0).unwrap();
        let addr = Ipv4Addr::new(row[20], row[21], row[22], row[23]);
        (String::from_utf8(row[..end].to_vec()).unwrap(), addr)
    };
    (buffer.unwrap_or_default().chunks(40).map(row).collect(), int(&arg))
}

#[test]
fn addresses_beside_the_first_have_names() {
    let (_world, kernel) = alone();
    set(&kernel, SIOCSIFADDR, "eth0:1", "10.0.0.50").unwrap();
    set(&kernel, SIOCSIFNETMASK, "eth0:1", "255.255.255.0").unwrap();
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0").as_deref(), Ok("10.0.0.1"));
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0:1").as_deref(), Ok("10.0.0.50"));
    let named = |name: &str, addr: [u8; 4]| (name.to_owned(), Ipv4Addr::from(addr));
    let all = [named("lo", [127, 0, 0, 1]), named("eth0", [10, 0, 0, 1]), named("eth0:1", [10, 0, 0, 50])];
    assert_eq!(ifconf(&kernel, Some(4096)), (all.to_vec(), 120));
    // Whole ones, as many as there is room for; without a buffer how many octets they are.
    assert_eq!(ifconf(&kernel, Some(119)), (all[..2].to_vec(), 80));
    assert_eq!(ifconf(&kernel, Some(0)), (vec![], 0));
    assert_eq!(ifconf(&kernel, None), (vec![], 120));
    // Taking the name down takes the address away, not the interface.
    ask(&kernel, SIOCSIFFLAGS, "eth0:1", &0u16.to_ne_bytes()).unwrap();
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0:1"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(ask(&kernel, SIOCSIFFLAGS, "eth0:1", &0u16.to_ne_bytes()), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(ask(&kernel, SIOCGIFFLAGS, "eth0", &[]).unwrap()[..2], 0x1043u16.to_ne_bytes());
    assert_eq!(addr(&kernel, SIOCGIFADDR, "eth0").as_deref(), Ok("10.0.0.1"));
}

#[test]
fn an_interface_is_changed() {
    let (_world, kernel) = alone();
    ask(&kernel, SIOCSIFMTU, "eth0", &9000i32.to_ne_bytes()).unwrap();
    assert_eq!(int(&ask(&kernel, SIOCGIFMTU, "eth0", &[]).unwrap()), 9000);
    for bad in [67i32, -1, i32::MAX] {
        assert_eq!(ask(&kernel, SIOCSIFMTU, "eth0", &bad.to_ne_bytes()), Err(Errno::EINVAL), "{bad}");
    }
    let mac = [1, 0, 2, 0xaa, 0xbb, 0xcc, 0xdd, 0xee];
    ask(&kernel, SIOCSIFHWADDR, "eth0", &mac).unwrap();
    assert_eq!(ask(&kernel, SIOCGIFHWADDR, "eth0", &[]).unwrap()[..8], mac);
    assert_eq!(ask(&kernel, SIOCSIFHWADDR, "eth0", &[1, 0, 3, 0, 0, 0, 0, 1]), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(ask(&kernel, SIOCSIFHWADDR, "eth0", &[6, 0, 2, 0, 0, 0, 0, 1]), Err(Errno::EINVAL));
    assert_eq!(ask(&kernel, SIOCSIFHWADDR, "lo", &mac), Err(Errno::EINVAL));
    set(&kernel, SIOCSIFADDR, "eth0:1", "10.0.0.50").unwrap();
    ask(&kernel, SIOCSIFNAME, "eth0", b"wan").unwrap();
    assert_eq!(int(&ask(&kernel, SIOCGIFINDEX, "wan", &[]).unwrap()), 2);
    assert_eq!(addr(&kernel, SIOCGIFADDR, "wan:1").as_deref(), Ok("10.0.0.50"));
    assert_eq!(ask(&kernel, SIOCGIFINDEX, "eth0", &[]), Err(Errno::ENODEV));
    assert_eq!(ask(&kernel, SIOCSIFNAME, "wan", b"lo"), Err(Errno::EEXIST));
    assert_eq!(ask(&kernel, SIOCSIFNAME, "wan", b""), Err(Errno::EINVAL));
    assert_eq!(ask(&kernel, SIOCSIFNAME, "wan", b"a:b"), Err(Errno::EINVAL));
    ask(&kernel, SIOCSIFFLAGS, "wan", &0x1002u16.to_ne_bytes()).unwrap();
    assert_eq!(ask(&kernel, SIOCGIFFLAGS, "wan", &[]).unwrap()[..2], 0x1002u16.to_ne_bytes());
}

/// An interface whose link address was changed hears what goes to the new one.
#[test]
fn frames_find_the_new_link_address() {
    let world = World::lan(2);
    ask(&world.kernels[1], SIOCSIFHWADDR, "eth0", &[1, 0, 2, 0, 0, 0, 0, 0x99]).unwrap();
    let (wanted, filter) = world.kernels[1].with_stack(|stack, _| {
        let eth0 = stack.if_by_name("eth0").unwrap();
        (stack.rx_filter(eth0), stack.interface(eth0).unwrap().mac)
    });
    assert_eq!((wanted.generation, filter), (2, MacAddr([2, 0, 0, 0, 0, 0x99])));
    assert!(!world.ether.promiscuous("lan", 1));
    world.settle();
    // The wire knows only the first one: the stack picks out what is for it.
    assert!(world.ether.promiscuous("lan", 1));
    assert!(!world.ether.promiscuous("lan", 0));
}

/// A `struct rtentry`.
fn rtentry(dst: &str, gateway: Option<&str>, mask: &str, flags: u16, metric: u16) -> Vec<u8> {
    let mut arg = vec![0; 120];
    arg[8..24].copy_from_slice(&sockaddr(dst));
    if let Some(gateway) = gateway {
        arg[24..40].copy_from_slice(&sockaddr(gateway));
    }
    arg[40..56].copy_from_slice(&sockaddr(mask));
    arg[56..58].copy_from_slice(&flags.to_ne_bytes());
    arg[80..82].copy_from_slice(&metric.to_ne_bytes());
    arg
}

#[test]
fn routes_as_route_adds_and_deletes_them() {
    let (_world, kernel) = alone();
    let call = |request, mut arg: Vec<u8>, dev: Option<&str>| {
        if dev.is_some() {
            arg[88..96].copy_from_slice(&0x2000u64.to_ne_bytes());
        }
        let beyond = ioctl::beyond(Of::Other, request, &arg);
        assert_eq!(beyond, dev.map(|_| Beyond { pointer: 0x2000, len: 16, fresh: false, back: false }));
        let mut dev = dev.map(|dev| format!("{dev}\0junk").into_bytes());
        ioctl::ioctl(&kernel, Of::Other, request, &mut arg, dev.as_mut())
    };
    let (up, gateway, host, reject) = (1, 2, 4, 0x200);
    let net = |gw: Option<&str>, flags| rtentry("192.0.2.0", gw, "255.255.255.0", flags, 0);
    let via = net(Some("10.0.0.2"), up | gateway);
    assert_eq!(call(SIOCADDRT, via.clone(), None), Ok(0));
    assert_eq!(call(SIOCADDRT, via.clone(), None), Err(Errno::EEXIST));
    kernel.with_stack(|stack, _| {
        let route = stack.routes().find(|r| r.to == "192.0.2.0/24".parse().unwrap()).unwrap();
        assert_eq!((route.via, route.metric), (Some(IpAddr::from([10, 0, 0, 2])), 0));
        assert_eq!(route.dev, stack.if_by_name("eth0"));
    });
    // What is not said may be anything.
    assert_eq!(call(SIOCDELRT, net(None, up), None), Ok(0));
    assert_eq!(call(SIOCDELRT, via, None), Err(Errno::ESRCH));
    // One more than meant.
    assert_eq!(call(SIOCADDRT, rtentry("0.0.0.0", Some("10.0.0.2"), "0.0.0.0", 3, 11), None), Ok(0));
    assert!(kernel.with_stack(|stack, _| stack.routes().any(|r| r.metric == 10)));
    assert_eq!(
        call(SIOCDELRT, rtentry("0.0.0.0", Some("10.0.0.2"), "0.0.0.0", 3, 6), None),
        Err(Errno::ESRCH)
    );
    assert_eq!(call(SIOCDELRT, rtentry("0.0.0.0", None, "0.0.0.0", 1, 0), None), Ok(0));
    // A host on the link, and a gateway behind it.
    assert_eq!(call(SIOCADDRT, rtentry("203.0.113.9", None, "0.0.0.0", up | host, 0), Some("eth0")), Ok(0));
    assert_eq!(call(SIOCADDRT, net(Some("203.0.113.9"), up | gateway), Some("eth0")), Ok(0));
    assert_eq!(call(SIOCDELRT, net(Some("203.0.113.9"), up | gateway), Some("eth0")), Ok(0));
    assert_eq!(call(SIOCADDRT, net(None, up | reject), None), Ok(0));
    let kinds = || kernel.with_stack(|stack, _| stack.routes().map(|r| r.kind).collect::<Vec<_>>());
    assert!(kinds().contains(&RouteKind::Unreachable));
    assert_eq!(call(SIOCDELRT, net(None, up | reject), None), Ok(0));
    assert!(!kinds().contains(&RouteKind::Unreachable));
    // As Linux refuses them.
    let none = vec![0; 120];
    for (arg, dev, add, del) in [
        (rtentry("192.0.2.1", Some("10.0.0.2"), "255.255.255.0", 3, 0), None, Errno::EINVAL, Errno::EINVAL),
        (rtentry("192.0.2.0", Some("10.0.0.2"), "255.0.255.0", 3, 0), None, Errno::EINVAL, Errno::EINVAL),
        (net(Some("10.0.0.2"), up), None, Errno::ENETUNREACH, Errno::ESRCH),
        (net(None, up), None, Errno::ENODEV, Errno::ESRCH),
        (net(Some("99.0.0.2"), up | gateway), None, Errno::ENETUNREACH, Errno::ESRCH),
        (net(Some("0.0.0.0"), up | gateway), None, Errno::EINVAL, Errno::ESRCH),
        (net(None, up), Some("eth9"), Errno::ENODEV, Errno::ENODEV),
        (net(None, up), Some("eth0:1"), Errno::ENODEV, Errno::ENODEV),
        (none, Some("eth0"), Errno::EAFNOSUPPORT, Errno::EAFNOSUPPORT),
    ] {
        assert_eq!(call(SIOCADDRT, arg.clone(), dev), Err(add), "{arg:?}");
        assert_eq!(call(SIOCDELRT, arg.clone(), dev), Err(del), "{arg:?}");
    }
}

/// A `struct arpreq`.
fn arpreq(addr: &str, mac: [u8; 6], flags: u32, dev: &str) -> Vec<u8> {
    let mut arg = vec![0; 68];
    arg[..16].copy_from_slice(&sockaddr(addr));
    arg[16] = 1;
    arg[18..24].copy_from_slice(&mac);
    arg[32..36].copy_from_slice(&flags.to_ne_bytes());
    arg[52..52 + dev.len()].copy_from_slice(dev.as_bytes());
    arg
}

#[test]
fn the_arp_table() {
    let (_world, kernel) = alone();
    let call =
        |request, mut arg: Vec<u8>| ioctl::ioctl(&kernel, Of::Other, request, &mut arg, None).map(|_| arg);
    let mac = [2, 0, 0, 0, 0, 9];
    assert_eq!(call(SIOCGARP, arpreq("10.0.0.9", [0; 6], 0, "eth0")), Err(Errno::ENXIO));
    call(SIOCSARP, arpreq("10.0.0.9", mac, 6, "")).unwrap();
    let got = call(SIOCGARP, arpreq("10.0.0.9", [0; 6], 0, "eth0")).unwrap();
    let mut want = arpreq("10.0.0.9", mac, 6, "eth0");
    want[36..40].fill(0xff);
    assert_eq!(got, want);
    assert!(String::from_utf8_lossy(&file(&kernel, "/proc/net/arp")).contains("10.0.0.9"));
    call(SIOCDARP, arpreq("10.0.0.9", mac, 0, "")).unwrap();
    for (request, arg, errno) in [
        (SIOCDARP, arpreq("10.0.0.9", mac, 0, "eth0"), Errno::ENXIO),
        (SIOCDARP, arpreq("10.0.0.9", mac, 8, "eth0"), Errno::ENOENT),
        (SIOCDARP, arpreq("172.16.0.9", mac, 0, ""), Errno::ENETUNREACH),
        (SIOCGARP, arpreq("10.0.0.9", mac, 0, ""), Errno::ENODEV),
        (SIOCGARP, arpreq("10.0.0.9", mac, 0, "eth9"), Errno::ENODEV),
        (SIOCGARP, arpreq("10.0.0.9", mac, 0, "lo"), Errno::ENXIO),
        (SIOCSARP, arpreq("10.0.0.9", mac, 0, "eth0"), Errno::EINVAL),
        (SIOCSARP, arpreq("10.0.0.9", mac, 0x22, "eth0"), Errno::EINVAL),
        (SIOCSARP, arpreq("172.16.0.9", mac, 6, ""), Errno::ENETUNREACH),
        (SIOCSARP, vec![0; 68], Errno::EPFNOSUPPORT),
    ] {
        assert_eq!(call(request, arg.clone()), Err(errno), "{request:#x} {arg:?}");
    }
}

fn file(kernel: &Kernel, path: &str) -> Vec<u8> {
    match vfs::open(kernel, path.as_bytes()) {
        Some(Ok(vfs::Opened::Octets(octets))) => octets,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn ethtool_finds_a_veth() {
    let (_world, kernel) = alone();
    let mut arg = ifreq("eth0", &0x3000u64.to_ne_bytes());
    assert_eq!(
        ioctl::beyond(Of::Other, SIOCETHTOOL, &arg).map(|beyond| (beyond.pointer, beyond.back)),
        Some((0x3000, true))
    );
    let mut call = |name: &str, command: &[u8], room: usize| {
        arg[..16].fill(0);
        arg[..name.len()].copy_from_slice(name.as_bytes());
        let mut memory = command.to_vec();
        memory.resize(room, 0);
        ioctl::ioctl(&kernel, Of::Other, SIOCETHTOOL, &mut arg, Some(&mut memory)).map(|_| memory)
    };
    let link = call("eth0", &[0xa], 196).unwrap();
    assert_eq!(link, [0xa, 0, 0, 0, 1, 0, 0, 0], "no more is written back than the command has");
    let driver = call("eth0", &[3], 196).unwrap();
    assert_eq!((driver.len(), &driver[4..9], &driver[36..40]), (196, &b"veth\0"[..], &b"1.0\0"[..]));
    let settings = call("eth0", &[1], 44).unwrap();
    assert_eq!((settings.len(), &settings[12..15]), (44, &[0x10, 0x27, 1][..]));
    // A program asks how many words a mask has, and then again with as many.
    let mut asked = vec![0; 48];
    asked[0] = 0x4c;
    let first = call("eth0", &asked, 48).unwrap();
    assert_eq!((first.len(), first[15]), (48, 0xfc));
    asked[15] = 4;
    let second = call("eth0", &asked, 96).unwrap();
    assert_eq!((second.len(), &second[4..9], second[15]), (96, &[0x10, 0x27, 0, 0, 1][..], 4));
    assert_eq!(call("eth0", &asked, 95), Err(Errno::EFAULT));
    let stamps = call("eth0", &[0x41], 44).unwrap();
    assert_eq!(stamps[..12], [0x41, 0, 0, 0, 0x1a, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    for (name, command, room, errno) in [
        ("eth0", 2, 44, Errno::EOPNOTSUPP), // SSET
        ("eth0", 4, 196, Errno::EOPNOTSUPP),
        ("lo", 3, 196, Errno::EOPNOTSUPP),
        ("eth9", 3, 196, Errno::ENODEV),
        ("eth0", 3, 195, Errno::EFAULT),
        ("eth0", 3, 3, Errno::EFAULT),
    ] {
        assert_eq!(call(name, &[command], room), Err(errno), "{name} {command}");
    }
    let mut arg = ifreq("eth0", &[]);
    assert_eq!(ioctl::beyond(Of::Other, SIOCETHTOOL, &arg), None);
    assert_eq!(ioctl::ioctl(&kernel, Of::Other, SIOCETHTOOL, &mut arg, None), Err(Errno::EFAULT));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// Whatever a program hands over, the node answers.
    #[test]
    fn any_octets_are_answered(
        request in prop_oneof![8 => 0x8900u32..0x8a00, 1 => any::<u32>()],
        name in prop_oneof![Just("eth0"), Just("eth0:1"), Just("lo"), Just("")],
        mut arg in prop::collection::vec(any::<u8>(), 0..130),
        inet in any::<bool>(),
        mut memory in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let (_world, kernel) = alone();
        let n = name.len().min(arg.len());
        arg[..n].copy_from_slice(&name.as_bytes()[..n]);
        // Often enough something that is an address, a command, or the name of an interface.
        for at in [0, 8, 16, 24, 40] {
            if inet && at + 2 <= arg.len() && (at != 0 || request & 0xfff0 == 0x8950) {
                arg[at..at + 2].copy_from_slice(&[2, 0]);
            }
        }
        if let Some(memory) = &mut memory && memory.len() > 16 && inet {
            memory[1..4].fill(0);
        }
        let (len, room) = (arg.len(), memory.as_ref().map_or(0, Vec::len));
        let _ = ioctl::beyond(Of::Other, request, &arg);
        let done = ioctl::ioctl(&kernel, Of::Other, request, &mut arg, memory.as_mut());
        prop_assert!(arg.len() == len && memory.is_none_or(|memory| memory.len() <= room));
        match ioctl::argument(Of::Other, request) {
            None => prop_assert_eq!(done, Err(Errno::ENOTTY)),
            Some(need) if need > len => prop_assert_eq!(done, Err(Errno::EFAULT)),
            Some(_) => {}
        }
    }

    /// So it is with paths and what is written to them.
    #[test]
    fn any_path_is_answered(
        start in prop_oneof![
            Just("/proc/net/"), Just("/proc/sys/net/ipv4/conf/"), Just("/sys/class/net/eth0/"), Just("/"), Just("")
        ],
        rest in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (_world, kernel) = alone();
        let path = [start.as_bytes(), &rest].concat();
        let opened = vfs::open(&kernel, &path);
        prop_assert_eq!(opened.is_some(), vfs::is_ours(&path));
        prop_assert_eq!(vfs::write(&kernel, &path, &value).is_some(), vfs::is_ours(&path));
    }
}

/// A `struct in6_ifreq`.
fn in6_ifreq(addr: &str, prefix: u32, ifindex: u32) -> Vec<u8> {
    let addr = addr.parse::<Ipv6Addr>().unwrap().octets();
    [&addr[..], &prefix.to_ne_bytes(), &ifindex.to_ne_bytes()].concat()
}

/// A `struct in6_rtmsg` to `to` by way of `via` (empty: none).
fn in6_rtmsg(to: (&str, u16), via: &str, metric: u32, ifindex: u32) -> Vec<u8> {
    let mut arg = vec![0; 80];
    arg[..16].copy_from_slice(&to.0.parse::<Ipv6Addr>().unwrap().octets());
    if !via.is_empty() {
        arg[32..48].copy_from_slice(&via.parse::<Ipv6Addr>().unwrap().octets());
    }
    arg[52..54].copy_from_slice(&to.1.to_ne_bytes());
    arg[56..60].copy_from_slice(&metric.to_ne_bytes());
    arg[72..76].copy_from_slice(&if via.is_empty() { 1u32 } else { 3 }.to_ne_bytes());
    arg[76..80].copy_from_slice(&ifindex.to_ne_bytes());
    arg
}

#[test]
fn addresses_and_routes_of_ipv6() {
    const SIOCDIFADDR: u32 = 0x8936;
    let (_world, kernel) = alone();
    let call = |request, mut arg: Vec<u8>| ioctl::ioctl(&kernel, Of::Inet6, request, &mut arg, None);
    let addrs = || {
        kernel.with_stack(|stack, _| {
            let all = stack.interface(netstack::net::IfIndex(2)).unwrap().addrs().iter();
            all.filter(|net| net.to_string().starts_with("2001")).map(ToString::to_string).collect::<Vec<_>>()
        })
    };
    assert_eq!(call(SIOCSIFADDR, in6_ifreq("2001:db8::1", 64, 2)), Ok(0));
    assert_eq!(addrs(), ["2001:db8::1/64"]);
    for (request, arg, errno) in [
        (SIOCSIFADDR, in6_ifreq("2001:db8::1", 64, 2), Errno::EEXIST),
        (SIOCSIFADDR, in6_ifreq("2001:db8::2", 64, 9), Errno::ENODEV),
        (SIOCSIFADDR, in6_ifreq("2001:db8::2", 129, 2), Errno::EINVAL),
        (SIOCSIFADDR, vec![0; 23], Errno::EFAULT),
        (SIOCDIFADDR, in6_ifreq("2001:db8::9", 64, 2), Errno::EADDRNOTAVAIL),
        (0x8918, in6_ifreq("2001:db8::9", 64, 2), Errno::ENODEV), // SIOCSIFDSTADDR
        (SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "2001:db8:7::9", 0, 0), Errno::EHOSTUNREACH),
        (SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "fe80::9", 0, 0), Errno::EINVAL),
        (SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "", 0, 0), Errno::ENODEV),
        (SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "fe80::9", 0, 9), Errno::ENODEV),
        (SIOCADDRT, in6_rtmsg(("2001:db8:1::", 129), "fe80::9", 0, 2), Errno::EINVAL),
        (SIOCDELRT, in6_rtmsg(("2001:db8:1::", 48), "", 0, 0), Errno::ESRCH),
    ] {
        assert_eq!(call(request, arg), Err(errno), "{request:#x}");
    }
    // Those of another family say something else by the same numbers.
    assert_eq!(ioctl::argument(Of::Other, SIOCSIFADDR), Some(40));
    let routes = || {
        kernel.with_stack(|stack, _| {
            let ours = stack.routes().filter(|r| r.to.to_string().starts_with("2001:db8:1"));
            ours.map(|r| format!("{} via {} metric {}", r.to, r.via.unwrap(), r.metric)).collect::<Vec<_>>()
        })
    };
    assert_eq!(call(SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "2001:db8::9", 0, 0)), Ok(0));
    assert_eq!(call(SIOCADDRT, in6_rtmsg(("2001:db8:1::", 48), "fe80::9", 5, 2)), Ok(0));
    let both = ["2001:db8:1::/48 via fe80::9 metric 5", "2001:db8:1::/48 via 2001:db8::9 metric 1024"];
    assert_eq!(routes(), both);
    assert_eq!(call(SIOCDELRT, in6_rtmsg(("2001:db8:1::", 48), "2001:db8::9", 0, 0)), Ok(0));
    assert_eq!(routes(), both[..1]);
    assert_eq!(call(SIOCDELRT, in6_rtmsg(("2001:db8:1::", 48), "", 0, 0)), Ok(0));
    assert_eq!((routes().len(), call(SIOCDIFADDR, in6_ifreq("2001:db8::1", 64, 2))), (0, Ok(0)));
    assert!(addrs().is_empty());
}
