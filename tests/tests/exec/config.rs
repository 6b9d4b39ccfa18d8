//! A node's configuration, read and written: ip, ss, sysctl.

use lab_tests::exec::{H1, H2, Lab, R1, finish, succeeded};
use lab_tests::family::{Family, Host, in_url};
use lab_tests::{in_each_family, program};
use serde_json::Value;
use std::net::IpAddr;

in_each_family!(
    ip_reads_and_writes,
    ss_shows_the_nodes_sockets,
    sysctl_reads_and_writes,
    directories_are_the_nodes
);

fn ip_reads_and_writes(family: Family) {
    program("ip", "iproute2");
    let lab = Lab::across_a_router(family);
    for to in family.addrs(H2) {
        // The form with this family alone has the same addresses.
        let (of, version, net, there) = match to {
            IpAddr::V4(_) => (Family::V4, "-4", "192.0.2.0/24", "192.0.2.1"),
            IpAddr::V6(_) => (Family::V6, "-6", "2001:db8:2::/64", "2001:db8:2::1"),
        };
        let len = net.split('/').nth(1).expect("a length");
        let json = |node: &str, words: &str| -> Value {
            let words = format!("ip {version} -j {words}");
            serde_json::from_str(&lab.ok(node, &words)).expect("ip prints JSON")
        };
        let pings = |to: &str| lab.run("h1", &format!("ping -c 1 -W 1 {to}")).status.success();
        let to = to.to_string();
        let text = |host: Host| of.addr(host).to_string();
        let addresses = json("r1", "addr");
        let names: Vec<_> = addresses.as_array().expect("a list").iter().map(|i| &i["ifname"]).collect();
        assert_eq!(names, ["lo", "eth0", "eth1"]);
        assert_eq!(addresses[2]["addr_info"][0]["local"], text(Host(2, 1)));
        let way = json("h1", &format!("route get {to}"));
        assert_eq!((&way[0]["gateway"], &way[0]["prefsrc"]), (&text(R1).into(), &text(H1).into()));

        // What is written holds for the node and all its programs.
        lab.ok("h2", &format!("ip addr add {there}/{len} dev eth0"));
        lab.ok("r1", &format!("ip route add {net} via {to}"));
        assert!(lab.ok("h1", &format!("ping -c 1 {there}")).contains("1 received"));
        // A route that takes the other's place sends them elsewhere.
        lab.ok("r1", &format!("ip route replace {net} dev eth0"));
        assert!(!pings(there));
        lab.ok("r1", &format!("ip route del {net}"));
        assert!(!lab.ok("r1", &format!("ip {version} route")).contains("192.0.2.0"));
        assert!(!lab.ok("r1", &format!("ip {version} route")).contains("2001:db8"));
        lab.ok("h1", "ip link set eth0 mtu 1400");
        assert_eq!(json("h1", "link show eth0")[0]["mtu"], 1400);
        lab.ok("h1", "ip link set eth0 down");
        assert!(!pings(&to));
        let router = text(R1);
        // As on Linux, an interface that goes down loses its IPv6 addresses, but for what `keep_addr_on_down` keeps.
        let again = format!("ip {version} addr replace {}/{len} dev eth0", text(H1));
        lab.sh(
            "h1",
            &format!("ip link set eth0 up && {again} && ip {version} route replace default via {router}"),
        );
        assert!(lab.ok("h1", &format!("ping -c 1 {to}")).contains("1 received"));
        let neighbours = lab.ok("h1", &format!("ip {version} neigh"));
        assert!(neighbours.contains(&format!("{router} dev eth0 lladdr ")), "{neighbours}");
        let denied = match of {
            Family::V4 => "ip route add 198.51.100.0/24 via 203.0.113.1",
            Family::V6 | Family::Dual => "ip route add 2001:db8:100::/48 via 2001:db8:113::1",
        };
        let denied = lab.run("h1", denied);
        assert_eq!(denied.status.code(), Some(2), "{denied:?}");
        let said = String::from_utf8_lossy(&denied.stderr);
        assert!(said.contains("Nexthop has invalid gateway"), "{denied:?}");
    }
}

fn ss_shows_the_nodes_sockets(family: Family) {
    program("ss", "iproute2");
    program("socat", "socat");
    let mut lab = Lab::across_a_router(family);
    let v = if family.has_v6() { 6 } else { 4 };
    // A socket of both families listens at `*`.
    let any = if family.has_v6() { "*" } else { "0.0.0.0" };
    lab.start_words("h2", &["socat", "-t", "60", &format!("TCP{v}-LISTEN:99,fork"), "SYSTEM:cat"]);
    lab.start_words("h2", &["socat", "-t", "60", &format!("UDP{v}-RECVFROM:98,fork"), "SYSTEM:cat"]);
    lab.receives("h2", "tcp", 99);
    lab.receives("h2", "udp", 98);
    lab.start_words("h1", &["socat", &format!("TCP{v}:h2:99"), "SYSTEM:sleep 1000"]);
    lab.until("a connection", || lab.sockets("h1").iter().any(|socket| socket["state"] == "ESTAB"));
    let shown = |node: &str, words: &str| {
        let output = lab.run(node, words);
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listening = shown("h2", "ss -tanl");
    assert!(listening.contains("LISTEN") && listening.contains(&format!("{any}:99")), "{listening}");
    let established = shown("h1", "ss -tan state established");
    assert!(established.contains(&format!("{}:99", in_url(family.addr(H2)))), "{established}");
    let information = shown("h1", "ss -tine");
    assert!(information.contains("cubic") && information.contains("rto:"), "{information}");
    let filtered = shown("h2", "ss -Htan ( sport = :99 )");
    assert_eq!(filtered.lines().count(), 2, "{filtered}");
    assert_eq!(shown("h2", "ss -Htan ( sport = :97 )"), "");
    let datagrams = shown("h2", "ss -uan");
    assert!(datagrams.contains(&format!("{any}:98")), "{datagrams}");
    let other = if family.has_v6() { "-4" } else { "-6" };
    assert_eq!(shown("h2", &format!("ss {other} -Htan")), "");
    shown("h2", "ss -s");
    shown("h2", "ss -an");
}

fn sysctl_reads_and_writes(family: Family) {
    program("sysctl", "procps");
    let lab = Lab::across_a_router(family);
    let (name, to) = match family {
        Family::V4 => ("net.ipv4.ip_forward", family.addr(H2)),
        Family::V6 | Family::Dual => ("net.ipv6.conf.all.forwarding", family.addr(H2)),
    };
    let file = format!("/proc/sys/{}", name.replace('.', "/"));
    assert_eq!(lab.ok("r1", &format!("sysctl -n {name}")), "1\n");
    lab.ok("r1", &format!("sysctl -w {name}=0"));
    assert_eq!(lab.ok("r1", &format!("cat {file}")), "0\n");
    assert!(!lab.run("h1", &format!("ping -c 1 -W 1 {to}")).status.success());
    lab.sh("r1", &format!("echo 1 > {file}"));
    assert!(lab.ok("h1", &format!("ping -c 1 {to}")).contains("1 received"));
    // A value that the file refuses: whoever writes it is told.
    let refused = lab.run("r1", &format!("sysctl -w {name}=some"));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("Invalid argument"), "{refused:?}");
    for shell in ["bash", "dash"] {
        let script = format!("echo some > {file}; echo 0 > {file} && cat {file}; echo 1 > {file}");
        let output = finish(&mut lab.command("r1", [shell, "-c", &script]), shell);
        assert_eq!(succeeded(shell, &output), "0\n");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!("{file}: Invalid argument (os error 22)\n")
        );
    }
    let written = format!(
        "import os\nfds = [os.open('{file}', os.O_WRONLY) for _ in range(30)]\n\
         for value in b'some', b'', b'1':\n    \
             try: print(os.write(fds[3], value))\n    \
             except OSError as error: print(error.errno)\n\
         for fd in fds[25], os.dup(fds[3]): print(os.write(fd, b'1'), os.close(fd))\n"
    );
    lab.place.write("written.py", &written);
    assert_eq!(lab.ok("r1", "python3 written.py"), "22\n0\n1\n1 None\n1 None\n");
    let unknown = lab.run("r1", "sysctl -w net.ipv4.no_such_thing=1");
    assert!(!unknown.status.success(), "{unknown:?}");
}

/// What there is, and what it is: by listing, stat(2), access(2) and readlink(2), and whatever the host has of the same name.
fn directories_are_the_nodes(family: Family) {
    program("python3", "python3");
    program("find", "findutils");
    program("sysctl", "procps");
    let lab = Lab::across_a_router(family);
    assert_eq!(lab.ok("r1", "ls /sys/class/net"), "eth0\neth1\nlo\n");
    assert_eq!(lab.sh("r1", "cd /sys/class/net && ls && cat eth1/mtu"), "eth0\neth1\nlo\n1500\n");
    let files = lab.ok("r1", "ls -l /sys/class/net/eth1/");
    assert!(files.contains(" mtu\n") && files.contains("-rw-r--r--") && files.contains(" 4096 "), "{files}");
    let found = lab.ok("r1", "find /sys/devices/virtual/net/ -name mtu");
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    let mtu = |name: &str| format!("/sys/devices/virtual/net/{name}/mtu");
    assert_eq!(found, ["eth0", "eth1", "lo"].map(mtu));
    let counted = lab.ok("r1", "grep -r [0-9] /sys/class/net/eth1/statistics");
    assert!(counted.contains("/sys/class/net/eth1/statistics/tx_packets:"), "{counted}");
    assert_eq!(lab.ok("r1", "readlink /sys/class/net/eth1"), "../../devices/virtual/net/eth1\n");
    assert_eq!(lab.ok("r1", "realpath /sys/class/net/eth1"), "/sys/devices/virtual/net/eth1\n");

    // What only the host has is not there.
    let host = std::fs::read_dir("/sys/class/net").expect("sysfs").flatten();
    let host = host.map(|entry| entry.file_name().into_string().expect("a name"));
    for name in host.filter(|name| !["lo", "eth0", "eth1"].contains(&name.as_str())).chain(["no-such".into()])
    {
        for look in ["ls", "stat", "test -e", "readlink", "cat"] {
            assert!(
                !lab.run("r1", &format!("{look} /sys/class/net/{name}")).status.success(),
                "{look} {name}"
            );
        }
    }
    let python = "import os, stat
net = '/sys/class/net'
assert sorted(os.listdir(net)) == ['eth0', 'eth1', 'lo'], os.listdir(net)
assert [e.is_symlink() for e in os.scandir(net)] == [True] * 3
assert os.path.isdir(net + '/eth1') and os.path.islink(net + '/eth1') and os.path.isfile(net + '/eth1/mtu')
assert os.access(net + '/eth1/mtu', os.R_OK) and not os.access(net + '/eth2/mtu', os.F_OK)
assert stat.S_IMODE(os.stat(net + '/eth1/address').st_mode) == 0o444
# By descriptors of directories, also out of the node's.
there = os.open(net, os.O_RDONLY | os.O_DIRECTORY)
assert os.path.samestat(os.fstat(there), os.stat(net))
assert os.read(os.open('eth1/ifindex', os.O_RDONLY, dir_fd=there), 9) == b'3\\n'
assert os.stat('eth1/mtu', dir_fd=there).st_ino == os.stat(net + '/eth1/mtu').st_ino
assert os.stat('../../../etc', dir_fd=there).st_ino == os.stat('/etc').st_ino
assert b'root' in os.read(os.open('../../../etc/passwd', os.O_RDONLY, dir_fd=there), 999)
os.fchdir(there)
assert open('eth1/ifindex').read() == '3\\n'
for flags, path in (os.O_DIRECTORY, net + '/eth1/mtu'), (os.O_WRONLY, net), (os.O_CREAT | os.O_WRONLY, net + '/x'):
    try: os.open(path, flags)
    except OSError as error: print(error.errno)
assert os.stat(os.open(net + '/eth1', os.O_PATH)).st_ino == os.stat('/sys/devices/virtual/net/eth1').st_ino
";
    std::fs::write(lab.file("look.py"), python).expect("write");
    // ENOTDIR, EISDIR, EACCES
    assert_eq!(lab.ok("r1", &format!("python3 {}", lab.file("look.py").display())), "20\n21\n13\n");

    // The directories of values end: each is there, and can be read.
    let all = lab.run("r1", "sysctl -a");
    let (values, complaints) = (String::from_utf8_lossy(&all.stdout), String::from_utf8_lossy(&all.stderr));
    assert!(values.contains("net.ipv4.conf.eth1.forwarding = "), "{values}");
    assert!(!complaints.contains("net."), "{complaints}");
    let of_host = lab.ok("r1", "ls /proc/sys/net/ipv4/conf");
    assert_eq!(of_host, "all\ndefault\neth0\neth1\nlo\n");
    assert!(lab.ok("r1", "ls /proc/net").contains("udplite6\n"));
}

const FILTERS: &str = r#"
import ctypes, errno, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)

def attach(s, insns):
    code = b"".join(struct.pack("HBBI", *insn) for insn in insns)
    held = ctypes.create_string_buffer(code, len(code))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxQ", len(insns), ctypes.addressof(held)))

def told(s, room):
    octets, count = ctypes.create_string_buffer(b"\xee" * 64, 64), ctypes.c_int(room)
    done = libc.getsockopt(s.fileno(), socket.SOL_SOCKET, 26, octets, ctypes.byref(count))
    return done, errno.errorcode.get(ctypes.get_errno()) if done else count.value, octets.raw[:32].hex()

def attempt(what):
    try:
        return what()
    except OSError as error:
        return errno.errorcode[error.errno]

# Only what begins with this octet, and 3 octets of that; all.
wanted = [(0x30, 0, 0, 0), (0x15, 0, 1, ord("y")), (0x06, 0, 0, 3), (0x06, 0, 0, 0)]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
for s in udp, route:
    print(attempt(lambda: s.setsockopt(socket.SOL_SOCKET, 27, 0)), told(s, 0), told(s, 8))
    attach(s, wanted)
    print(told(s, 0), told(s, 3), told(s, 4), told(s, 8))

# An acknowledgement is an NLMSG_ERROR (2) in the message's 5th octet; nothing else gets in.
attach(route, [(0x30, 0, 0, 4), (0x15, 0, 1, 2), (0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)])
route.bind((0, 0))
request = lambda kind, flags, number: struct.pack("IHHII4xi8x", 32, kind, flags, number, 0, 1)
route.send(request(18, 1, 7))
route.send(request(18, 5, 8))
said = route.recv(9999)
print(len(said), struct.unpack("IHHI", said[:12])[1::2])
print(attempt(lambda: route.recv(9999, socket.MSG_DONTWAIT)))
# Cut short.
attach(route, [(0x06, 0, 0, 20)])
route.send(request(18, 1, 9))
print(len(route.recv(9999)))
route.setsockopt(socket.SOL_SOCKET, 27, 0)
route.send(request(18, 1, 10))
print(len(route.recv(9999)) > 20)
for s in udp, route:
    print(s.getsockopt(1, 44), s.setsockopt(1, 44, 1), s.getsockopt(1, 44))
    print(attempt(lambda: s.setsockopt(1, 44, 0)), attempt(lambda: s.setsockopt(1, 27, 0)), attempt(lambda: attach(s, wanted)))
"#;

/// Filters of sockets, and what is told of them, are the host's.
#[test]
fn filters_are_as_on_the_host() {
    program("python3", "python3");
    let lab = Lab::across_a_router(Family::V4);
    lab.place.write("filters.py", FILTERS);
    let host = finish(lab.place.command("python3").arg("filters.py"), "filters.py");
    let host = succeeded("filters.py on the host", &host);
    assert_eq!(lab.ok("h1", "python3 filters.py"), host);
}
