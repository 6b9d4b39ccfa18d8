//! accept(2): connections that ended before it, and a host that is short of something.

use lab_tests::exec::{H2, Lab, finish, succeeded};
use lab_tests::family::Family;
use lab_tests::{in_each_family, program};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

in_each_family!(a_connection_that_was_reset_is_accepted);

/// The first of three peers resets its connection, the second sends before it does, the third stays.
const RESET: &str = r#"
import errno, socket, struct, sys
to = sys.argv[1]
family = socket.AF_INET6 if ":" in to else socket.AF_INET
def established():
    table = open("/proc/net/tcp6" if ":" in to else "/proc/net/tcp").readlines()[1:]
    return sum(1 for line in table if line.split()[1].endswith(":1B58") and line.split()[3] == "01")
def attempt(call):
    try: return call()
    except OSError as e: return errno.errorcode[e.errno]
l = socket.create_server((to, 7000), family=family, backlog=4)
names = []
for n in range(3):
    c = socket.create_connection((to, 7000)); names.append(c.getsockname())
    if n == 1: c.sendall(b"last words")
    if n < 2: c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()
while established() > 1: pass
for name in names:
    a, peer = l.accept(); a.setblocking(False)
    print(peer == name, attempt(lambda: a.getpeername() == name), *(attempt(lambda: a.recv(100)) for _ in range(2)), attempt(lambda: a.send(b"x")))
"#;

/// As Linux has it: the program has the connection, and learns what became of it when it uses it.
fn a_connection_that_was_reset_is_accepted(family: Family) {
    let lab = Lab::across_a_router(family);
    lab.place.write("reset.py", RESET);
    for to in family.addrs(H2) {
        assert_eq!(
            lab.ok("h2", &format!("python3 reset.py {to}")),
            "True ENOTCONN ECONNRESET b'' EPIPE\n\
             True ENOTCONN b'last words' ECONNRESET EPIPE\n\
             True True EAGAIN EAGAIN 1\n"
        );
    }
}

/// As many descriptors on their way between processes as the host lets a user have whose limit is lower, until it is told to end.
const FLIGHT: &str = "import socket, sys\n\
    a, b = socket.socketpair()\n\
    for n in range(8): socket.send_fds(a, [b'x'], [0] * 100)\n\
    print('full', flush=True); sys.stdin.readline()\n";

/// While the host refuses to carry descriptors to programs (ETOOMANYREFS) connections and new sockets wait, and nothing is lost.
#[test]
fn a_listener_outlives_a_shortage_of_the_hosts() {
    let mut lab = Lab::across_a_router(Family::V4);
    program("socat", "socat");
    program("prlimit", "util-linux");
    let to = Family::V4.addr(H2);
    lab.place.write("flight.py", FLIGHT);
    lab.start_words("h2", &["socat", "TCP4-LISTEN:7,fork", "EXEC:cat"]);
    lab.receives("h2", "tcp", 7);

    let mut limit = lab.place.command("prlimit");
    limit.args(["--nofile=512:512", "--pid", &lab.place.pid("lab", "h2").to_string()]);
    succeeded("prlimit", &finish(&mut limit, "prlimit"));
    let mut flight = lab.place.command("python3");
    flight.arg("flight.py").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut flight = flight.spawn().expect("python3 runs");
    let mut said = String::new();
    BufReader::new(flight.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
    assert_eq!(said, "full\n");

    let asks = format!("exec 3<>/dev/tcp/{to}/7; echo heard >&3; head -n 1 <&3");
    let comes = lab.command("h1", ["bash", "-c", &asks]).stdout(Stdio::piped()).spawn().expect("labctl runs");
    let mut opens = lab.command("h2", ["python3", "-c", "import socket; socket.socket(); print('open')"]);
    let opens = opens.stdout(Stdio::piped()).spawn().expect("labctl runs");
    let established = |socket: &serde_json::Value| socket["state"] == "ESTAB";
    lab.until("a connection", || lab.sockets("h2").iter().any(established));
    drop(flight.stdin.take());
    assert!(flight.wait().expect("a child").success());

    assert_eq!(succeeded("a connection", &comes.wait_with_output().expect("its output")), "heard\n");
    assert_eq!(succeeded("a socket", &opens.wait_with_output().expect("its output")), "open\n");
}
