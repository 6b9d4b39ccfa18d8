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

/// RFC 3542 §8, §9 and Linux's IPV6_FLOWINFO: what is said of one message is sent with it, and told as it came.
#[test]
fn labels_and_options_go_with_messages() {
    program("python3", "python3");
    let mut lab = both();
    let server = r#"
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 99))
for option in (11, 53, 58):
    s.setsockopt(41, option, 1)
while True:
    data, control, flags, peer = s.recvmsg(99, 200)
    print(data, sorted((kind, value.hex()) for level, kind, value in control), flush=True)
"#;
    let server = lab.start_words("h2", &["python3", "-c", server]);
    lab.receives("h2", "udp", 99);
    let client = r#"
import socket
c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
c.setsockopt(41, 70, 0)
to = ("2001:db8:2::2", 99)
hop, dst = bytes.fromhex("00001e0207070100"), bytes.fromhex("00001f0208080100")
c.sendmsg([b"plain"], [], 0, to)
c.sendmsg([b"all"], [(41, 59, dst), (41, 54, hop), (41, 11, bytes.fromhex("00012345")), (41, 55, dst)], 0, to)
c.setsockopt(41, 33, 1)
c.setsockopt(41, 67, 4)
c.sendto(b"address", (*to, 0x54321))
c.connect((*to, 0xabcde))
c.send(b"connected")
for odd in ([(41, 54, hop), (41, 54, hop)], [(41, 59, dst[:7])], [(41, 57, dst)]):
    try:
        c.sendmsg([b"odd"], odd)
        print("sent", odd)
    except OSError as e:
        print(e.errno)
"#;
    let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", client]), "client");
    assert_eq!(lab_tests::exec::succeeded("client", &output).trim(), "22\n22\n22");
    server.prints("b'plain' []");
    // Each names what is behind it: the second header, UDP.
    server.prints("b'all' [(11, '00012345'), (54, '3c001e0207070100'), (59, '11001f0208080100')]");
    server.prints("b'address' [(11, '00454321')]");
    server.prints("b'connected' [(11, '004abcde')]");
}

/// RFC 3542 §11.3: IPV6_DONTFRAG, IPV6_RECVPATHMTU; what went too far is told as a `struct ip6_mtuinfo`.
#[test]
fn a_program_that_fragments_by_itself_hears_what_the_path_takes() {
    program("python3", "python3");
    let lab = both();
    let script = r#"
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(9)
s.bind(("::", 7))
for option in (60, 62):
    s.setsockopt(41, option, 1)
try:
    s.sendto(bytes(1453), ("2001:db8:2::2", 9))
except OSError as e:
    print(e.errno)
data, control, flags, peer = s.recvmsg(99, 200)
(level, kind, value), = control
print(data, level, kind, socket.inet_ntop(10, value[8:24]), int.from_bytes(value[28:], "little"), peer[0])
"#;
    let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", script]), "script");
    let told = lab_tests::exec::succeeded("script", &output);
    assert_eq!(told.trim(), "90\nb'' 41 61 2001:db8:2::2 1500 2001:db8:2::2");
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

/// RFC 5014: a program says which of its addresses it would rather be known by; what it says is read back as Linux tells it.
#[test]
fn a_program_prefers_one_of_its_addresses() {
    program("python3", "python3");
    let lab = Lab::up(
        Place::new(User::Ordinary),
        r#"
name = "both"
[node]
h = { if.eth0 = { bus = "lan", ip = [], address = "slaac", privacy = "temporary", dad = "off" } }
r = { forward = true, if.eth0 = { bus = "lan", dad = "off", ra = {} } }
[bus]
lan = { subnet6 = "2001:db8:1::/64", nodes = ["r"] }
"#,
    );
    lab.place.ok("ping h r -c 1");
    let script = r#"
import socket
TMP, PUBLIC, COA, DEFAULT, HOME = 1, 2, 4, 0x100, 0x400
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET6, kind)
    told = [s.getsockopt(41, 72)]
    for value in (PUBLIC, TMP, DEFAULT, PUBLIC):
        s.setsockopt(41, 72, value)
        told.append(s.getsockopt(41, 72))
    for value in (PUBLIC | TMP, HOME | COA):
        try:
            s.setsockopt(41, 72, value)
        except OSError as error:
            told.append(error.errno)
    print(*map(hex, told))
found = []
for value in (DEFAULT, PUBLIC):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(41, 72, value)
    s.connect(("2001:db8:1::1", 9))
    found.append(s.getsockname()[0])
print(*found)
"#;
    let said = lab_tests::exec::succeeded(
        "python3",
        &lab_tests::exec::finish(&mut lab.command("h", ["python3", "-c", script]), "python3"),
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["0x500 0x402 0x401 0x500 0x402 0x16 0x16"; 2], "{said}");
    let shown = lab.ok("h", "ip -6 -o addr show dev eth0 temporary");
    let (first, then) = lines[2].split_once(' ').expect(&said);
    assert!(shown.contains(&format!("{first}/")) && !shown.contains(&format!("{then}/")), "{said} {shown}");
}

/// RFC 3542 §8, §9: headers of options that a program has sent, fragments or not, and what of them another is told.
#[test]
fn headers_of_options_are_sent_and_told() {
    program("python3", "python3");
    let mut lab = both();
    let server = r#"
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 99))
s.setsockopt(41, 53, 1)
while True:
    data, control, flags, peer = s.recvmsg(9000, 400)
    print(len(data), sorted((kind, value.hex()) for level, kind, value in control), flush=True)
    s.setsockopt(41, 58, 1)
"#;
    let server = lab.start_words("h2", &["python3", "-c", server]);
    lab.receives("h2", "udp", 99);
    // An unknown option that may be skipped, and padding.
    let client = r#"
import socket
c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
hop, dst = bytes([0, 0, 0x1e, 2, 7, 7, 1, 0]), bytes([0, 1, 0x1f, 2, 8, 8]) + bytes([1, 8]) + bytes(8)
for name, header in ((54, hop), (59, dst)):
    c.setsockopt(41, name, header)
    assert c.getsockopt(41, name, 100) == header
    c.sendto(b"x", ("2001:db8:2::2", 99))
c.sendto(bytes(4000), ("2001:db8:2::2", 99))
for name, header in ((54, hop[:7]), (59, bytes([0, 0, 5, 9, 0, 0, 0, 0])), (57, bytes([0, 2, 0, 1] + [0] * 20))):
    try:
        c.setsockopt(41, name, header)
    except OSError as error:
        print(error.errno)
for name in (54, 59):
    c.setsockopt(41, name, b"")
c.sendto(b"last", ("2001:db8:2::2", 99))
"#;
    let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", client]), "client");
    assert_eq!(lab_tests::exec::succeeded("client", &output), "22\n22\n22\n");
    let said = server.prints("4 []");
    let hop = |next: &str| format!("(54, '{next}001e0207070100')");
    let dst = "(59, '11011f02080801080000000000000000')";
    let all = [
        format!("1 [{}]", hop("11")),
        format!("1 [{}, {dst}]", hop("3c")),
        // Whole again, its headers are those of the first fragment.
        format!("4000 [{}, {dst}]", hop("3c")),
        "4 []".to_owned(),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), all);
}

/// RFC 8200 §4.3: the two longest headers of options, in one message, come as they were sent where a link takes them: by the loopback.
#[test]
fn the_longest_headers_of_one_message_come() {
    program("python3", "python3");
    let lab = both();
    let script = r#"
import socket
s, c = (socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in "sc")
s.bind(("::1", 99))
for told in (53, 58):
    s.setsockopt(41, told, 1)
option = lambda n: bytes([0x1e, n - 2]) + bytes(n - 2)
longest = bytes([0, 255]) + option(257) * 7 + option(247)
c.sendmsg([b"x"], [(41, 54, longest), (41, 59, longest)], 0, ("::1", 99))
data, control, flags, peer = s.recvmsg(99, 9000)
print(data, flags, sorted((kind, value[1:] == longest[1:]) for level, kind, value in control))
"#;
    let output = lab_tests::exec::finish(&mut lab.command("h1", ["python3", "-c", script]), "headers");
    let said = lab_tests::exec::succeeded("headers", &output);
    assert_eq!(said, "b'x' 0 [(54, True), (59, True)]\n");
}
