//! Unmodified programs that speak IPv6, by itself and beside IPv4.

use lab_tests::exec::Lab;
use lab_tests::program;
use lab_tests::{Place, User};

/// Two hosts, a router between them, both families.
const BOTH: &str = r#"
name = "both"

[node]
h1 = {}
r = { forward = true }
h2 = {}

[bus]
left = { subnet = "10.1.0.0/24", subnet6 = "2001:db8:1::/64", nodes = ["r", "h1"] }
right = { subnet = "10.2.0.0/24", subnet6 = "2001:db8:2::/64", nodes = ["r", "h2"] }
"#;

fn both() -> Lab {
    Lab::up(Place::new(User::Ordinary), BOTH)
}

#[test]
fn a_server_of_both_families_is_reached_by_both() {
    program("python3", "python3");
    let mut lab = both();
    let server = r#"
import socket
s = socket.create_server(("", 99), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, peer = s.accept()
    c.sendall(repr((peer[0], c.getsockname()[0])).encode())
    c.close()
"#;
    lab.start_words("h2", &["python3", "-c", server]);
    lab.receives("h2", "tcp", 99);
    let client = |addr: &str| {
        let script =
            format!("import socket; print(socket.create_connection(('{addr}', 99)).recv(99).decode())");
        let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", &script]), addr);
        lab_tests::exec::succeeded(addr, &output)
    };
    assert_eq!(client("2001:db8:2::2").trim(), "('2001:db8:1::2', '2001:db8:2::2')");
    assert_eq!(client("10.2.0.2").trim(), "('::ffff:10.1.0.2', '::ffff:10.2.0.2')");
}

#[test]
fn control_messages_go_both_ways() {
    program("python3", "python3");
    let mut lab = both();
    let server = r#"
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 99))
for option in (49, 51, 66):
    s.setsockopt(41, option, 1)
while True:
    data, control, flags, peer = s.recvmsg(99, 200)
    print(data, peer[0], sorted((kind, value.hex()) for level, kind, value in control), flush=True)
"#;
    let server = lab.start_words("h2", &["python3", "-c", server]);
    lab.receives("h2", "udp", 99);
    // IPV6_PKTINFO with a second address, IPV6_HOPLIMIT, IPV6_TCLASS; then to a mapped address.
    lab.ok("h1", "ip -6 addr add 2001:db8:1::77/64 dev eth0 nodad");
    let client = r#"
import socket, struct
c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
info = socket.inet_pton(10, "2001:db8:1::77") + struct.pack("I", 0)
control = [(41, 50, info), (41, 52, struct.pack("i", 9)), (41, 67, struct.pack("i", 32))]
c.sendmsg([b"six"], control, 0, ("2001:db8:2::2", 99))
c.sendto(b"four", ("::ffff:10.2.0.2", 99))
c.setsockopt(41, 25, 1)
c.sendto(b"nobody", ("2001:db8:2::2", 98))
while True:
    try:
        control = c.recvmsg(99, 200, socket.MSG_ERRQUEUE)[1]
        break
    except BlockingIOError:
        pass
level, kind, value = control[0]
print(level, kind, value[:7].hex(), socket.inet_ntop(10, value[24:40]))
"#;
    let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", client]), "client");
    // ECONNREFUSED, SO_EE_ORIGIN_ICMP6, port unreachable, and who says so.
    assert_eq!(lab_tests::exec::succeeded("client", &output).trim(), "41 25 6f000000030104 2001:db8:2::2");
    let six = "b'six' 2001:db8:1::77 [(50, '20010db800020000000000000000000202000000'), (52, '08000000'), (67, '20000000')]";
    server.prints(six);
    server.prints("b'four' ::ffff:10.1.0.2 [(50, '00000000000000000000ffff0a02000202000000')]");
}

#[test]
fn iproute2_changes_what_is_of_ipv6() {
    program("ip", "iproute2");
    let lab = both();
    lab.ok("h1", "ip -6 addr add 2001:db8:1::77/64 dev eth0 nodad");
    let shown = lab.ok("h1", "ip -6 addr show dev eth0 to 2001:db8:1::77");
    assert!(shown.contains("inet6 2001:db8:1::77/64 scope global"), "{shown}");
    lab.ok("h1", "ip -6 route add 2001:db8:9::/48 via fe80::1 dev eth0");
    let shown = lab.ok("h1", "ip -6 route show 2001:db8:9::/48");
    assert!(shown.starts_with("2001:db8:9::/48 via fe80::1 dev eth0 metric 1024"), "{shown}");
    let shown = lab.ok("h1", "ip -6 route get 2001:db8:2::2");
    assert!(shown.contains("via 2001:db8:1::1 dev eth0"), "{shown}");
    lab.ok("h1", "ip -6 route del 2001:db8:9::/48 via fe80::1 dev eth0");
    assert_eq!(lab.ok("h1", "ip -6 route show 2001:db8:9::/48"), "");
    lab.ok("h1", "ip -6 addr del 2001:db8:1::77/64 dev eth0");
    assert_eq!(lab.ok("h1", "ip -6 addr show dev eth0 to 2001:db8:1::77"), "");
    let rules = lab.ok("h1", "ip -6 rule");
    assert_eq!(rules.lines().count(), 2, "{rules}");
}
