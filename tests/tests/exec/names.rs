//! Names: dig against dnsmasq, and the node's own files.

use lab_tests::exec::{H1, H2, Lab, R1};
use lab_tests::family::Family;
use lab_tests::{Place, User, in_each_family, program};

in_each_family!(dig_asks_dnsmasq, a_node_has_names_of_its_own, a_connection_has_names_as_long_as_it_stands);

fn dig_asks_dnsmasq(family: Family) {
    program("dig", "bind9-dnsutils");
    let dnsmasq = program("dnsmasq", "dnsmasq-base").display().to_string();
    let mut lab = Lab::across_a_router(family);
    let flags = "-k -C /dev/null --no-resolv --no-hosts --pid-file= --log-facility=- -u nobody --address=/x.test/192.0.2.7 \
                 --address=/x.test/2001:db8::7 --txt-record=long.test,";
    let long = vec!["a-rather-long-text-that-fills-an-answer"; 40].join(",");
    lab.start("h2", &format!("{dnsmasq} {flags}{long}"));
    lab.receives("h2", "udp", 53);
    lab.receives("h2", "tcp", 53);
    for server in family.addrs(H2) {
        assert_eq!(lab.ok("h1", &format!("dig +short +time=5 @{server} x.test")), "192.0.2.7\n");
        let asked = lab.ok("h1", &format!("dig +short +tcp +time=5 @{server} x.test AAAA"));
        assert_eq!(asked, "2001:db8::7\n");
    }
    // Truncated over UDP, so asked again over TCP.
    let long = lab.ok("h1", "dig +noedns +time=5 @h2 long.test txt");
    assert!(long.contains("retrying in TCP mode") && long.contains("fills-an-answer"), "{long}");
    let refused = lab.run("h1", &format!("dig +time=1 +tries=1 @{} x.test", family.addr(R1)));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("connection refused"), "{refused:?}");
}

fn a_node_has_names_of_its_own(family: Family) {
    let lab = Lab::across_a_router(family);
    // Addresses of both families stand side by side, IPv6 first.
    let all = lab.ok("h1", "getent ahosts h2");
    let streams = all.lines().filter(|line| line.contains("STREAM"));
    let found: Vec<_> = streams.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(found, family.addrs(H2).iter().map(ToString::to_string).collect::<Vec<_>>(), "{all}");
    for addr in family.addrs(R1) {
        let named = lab.ok("h1", &format!("getent hosts {addr}"));
        assert_eq!(named.split_whitespace().nth(1), Some("r1"), "{named}");
    }
    assert_eq!(lab.ok("h2", "uname -n"), "h2\n");
    assert_eq!(lab.ok("h2", "cat /etc/hostname"), "h2\n");
    assert_eq!(lab.ok("r1", "hostname"), "r1\n");
}

/// Opens a node's file by each call and from each place.
const OPENS: &str = r#"
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
def text(fd):
    if fd < 0: raise OSError(ctypes.get_errno(), "open")
    return os.read(fd, 4096).decode().split("\n")[0]
etc = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
os.chdir("/etc/ssl")
print("openat", text(os.open("hostname", os.O_RDONLY, dir_fd=etc)))
print("upwards", text(os.open("../hostname", os.O_RDONLY)))
how = struct.pack("QQQ", os.O_RDONLY, 0, 0)
print("openat2", text(libc.syscall(437, etc, b"./hostname", how, len(how))))
os.chdir("/etc")
print("here", text(libc.syscall(2, b"hostname", 0)))
os.chdir("/proc/sys/net/ipv4")
fd = libc.syscall(85, b"ip_forward", 0o644)
os.write(fd, b"1"); os.close(fd)
print("creat", text(os.open("ip_forward", os.O_RDONLY)))
os.chdir("/proc/net")
print("net", *(line.split(":")[0].strip() for line in open("dev") if ":" in line))
"#;

#[test]
fn a_nodes_files_are_found_by_every_path() {
    let lab = Lab::across_a_router(Family::Dual);
    lab.place.write("opens.py", OPENS);
    let script = lab.file("opens.py").display().to_string();
    let opened = lab.ok("h1", &format!("python3 {script}"));
    assert_eq!(opened, "openat h1\nupwards h1\nopenat2 h1\nhere h1\ncreat 1\nnet lo eth0\n");
    assert_eq!(lab.ok("h1", "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
}

const STATS: &str = r#"
import os, time
for name in "hosts", "hostname", "resolv.conf", "nsswitch.conf":
    path = "/etc/" + name
    there, fd = os.stat(path), os.open(path, os.O_RDONLY)
    assert os.path.samestat(there, os.fstat(fd)) and os.path.samestat(there, os.lstat(path)), name
    octets = os.read(fd, 9999)
    assert there.st_size == len(octets) == os.stat(name, dir_fd=os.open("/etc", os.O_RDONLY)).st_size, name
    assert there.st_mtime > time.time() - 3600 and there.st_mode == 0o100444, (name, there)
    assert os.access(path, os.R_OK) and not os.access(path, os.X_OK), name
    again = os.stat(path); assert (again.st_ino, again.st_mtime_ns) == (there.st_ino, there.st_mtime_ns), name
laid = os.stat("/etc/motd"); assert (laid.st_size, int(laid.st_mtime)) == (6, 1000), laid
assert os.path.samestat(laid, os.fstat(os.open("/etc/motd", os.O_RDONLY)))
print("told")
"#;

/// What stat(2) says of a file is what stands in it.
#[test]
fn a_nodes_files_have_their_own_size_and_time() {
    let place = Place::new(User::Ordinary);
    let motd = place.write("motd", "hello\n");
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    std::fs::File::options().write(true).open(motd).expect("a file").set_modified(old).expect("its time");
    let lab = Lab::up(place, "name = \"lab\"\n[node]\nh1 = { files = { \"/etc/motd\" = \"motd\" } }\n");
    lab.place.write("stats.py", STATS);
    assert_eq!(lab.ok("h1", "python3 stats.py"), "told\n");
}

/// What is told without asking the node holds as long as it is true.
const CONNECTED: &str = r#"
import socket, struct, select, errno, sys
T = socket.IPPROTO_TCP
to = sys.argv[1]
family = socket.AF_INET6 if ":" in to else socket.AF_INET
def connect(blocking):
    s = socket.socket(family); s.setsockopt(T, socket.TCP_NODELAY, 1); s.setsockopt(T, socket.TCP_KEEPIDLE, 61); s.setsockopt(T, socket.TCP_KEEPIDLE, 62)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for opt, value in ((socket.TCP_KEEPIDLE, 0), (socket.TCP_KEEPCNT, 128)):
        try: s.setsockopt(T, opt, value); print("taken")
        except OSError as e: assert e.errno == errno.EINVAL
    if blocking: s.connect((to, 7000))
    else:
        s.setblocking(False); assert s.connect_ex((to, 7000)) == errno.EINPROGRESS
        select.select([], [s], []); assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0; s.setblocking(True)
    return s
for blocking in (True, False):
    s = connect(blocking)
    print(s.getsockopt(T, socket.TCP_NODELAY), s.getsockopt(T, socket.TCP_KEEPIDLE), s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.getsockname()[0], s.getpeername()[:2])
    assert s.getsockname() == s.getsockname() and s.dup().getpeername() == s.getpeername()
    own = "%s:%d" % s.getsockname()[:2]; s.sendall(b"who")
    assert s.recv(100).decode() == own
    s.sendall(b"reset")
    try: print(s.recv(100))
    except ConnectionResetError: print("reset", s.getsockname()[0])
    try: print(s.getpeername())
    except OSError as e: print(errno.errorcode[e.errno])
s = socket.socket(family); s.setblocking(False); assert s.connect_ex((to, 7000)) == errno.EINPROGRESS
select.select([], [s], []); s.send(b"reset"); p = select.poll(); p.register(s, 0); p.poll()
print(errno.errorcode[s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), s.getsockopt(T, socket.TCP_KEEPIDLE))
"#;

const ANSWERER: &str = r#"
import socket, struct, sys
l = socket.create_server((sys.argv[1], 7000), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
while True:
    c, peer = l.accept()
    while True:
        asked = c.recv(100)
        if asked == b"who": c.sendall(b"%s:%d" % (peer[0].encode(), peer[1]))
        else:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); break
"#;

fn a_connection_has_names_as_long_as_it_stands(family: Family) {
    let mut lab = Lab::across_a_router(family);
    lab.place.write("answerer.py", ANSWERER);
    lab.place.write("connected.py", CONNECTED);
    let (own, to) = (family.addr(H1), family.addr(H2));
    lab.start("h2", &format!("python3 answerer.py {to}"));
    lab.receives("h2", "tcp", 7000);
    let one = format!("1 62 1 {own} ('{to}', 7000)\nreset {own}\nENOTCONN\n");
    assert_eq!(
        lab.ok("h1", &format!("python3 connected.py {to}")),
        format!("{one}{one}ECONNRESET\n1 7200\n")
    );
}

/// The loader opens the host's libraries unseen, unless the topology lays files over the host's: one may be a library.
#[test]
fn a_library_may_be_among_the_files_of_a_topology() {
    program("gcc", "gcc");
    let place = Place::new(User::Ordinary);
    place.write("speak.c", "const char *speak(void) { return FROM; }");
    place.write("main.c", "#include <stdio.h>\nconst char *speak(void); int main(void) { puts(speak()); }");
    let dir = place.path().display().to_string();
    let gcc = |words: &str| {
        let mut gcc = place.command("gcc");
        gcc.args(words.split(' '));
        lab_tests::exec::succeeded("gcc", &lab_tests::exec::finish(&mut gcc, words));
    };
    for from in ["host", "node"] {
        gcc(&format!("-shared -fPIC -DFROM=\"{from}\" -o {from}.so speak.c"));
    }
    std::fs::copy(place.path().join("host.so"), place.path().join("libspeak.so")).expect("a copy");
    gcc(&format!("-o main main.c -L. -lspeak -Wl,-rpath,{dir}"));
    let topology = format!(
        "name = \"lab\"\n[node]\nh1 = {{ files = {{ \"{dir}/libspeak.so\" = \"node.so\" }} }}\nh2 = {{}}\n"
    );
    let lab = Lab::up(place, &topology);
    assert_eq!((lab.ok("h1", "./main"), lab.ok("h2", "./main")), ("node\n".into(), "host\n".into()));
}
