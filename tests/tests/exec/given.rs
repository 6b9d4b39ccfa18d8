//! Sockets of a node that go from one program to another (SCM_RIGHTS), within a session of `labctl exec` and to another.

use lab_tests::exec::Lab;
use lab_tests::family::Family;
use lab_tests::program;

/// Gives away one socket of each kind, and ends.
const GIVER: &str = r#"
import os, socket, struct, sys
path, to = sys.argv[1], sys.argv[2]
tcp = socket.create_connection((to, 7)); tcp.sendall(b"early")
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.setsockopt(socket.SOL_IP, 8, 1); udp.bind(("", 5000))
listener = socket.create_server(("", 6000))
fresh = socket.socket(); fresh.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)); tap.bind(("eth0", 0x88b5))
u = socket.socket(socket.AF_UNIX); u.connect(path)
socket.send_fds(u, [b"x"], [s.fileno() for s in (tcp, udp, listener, fresh, tap)])
print(tcp.getsockname()[0])
"#;

/// Takes them, and uses them when the giver is gone.
const TAKER: &str = r#"
import array, errno, os, socket, struct, sys
path, to = sys.argv[1], sys.argv[2]
def says(call):
    try: return call()
    except OSError as e: return errno.errorcode[e.errno]
door = socket.socket(socket.AF_UNIX); door.bind(path + ".new"); door.listen(); os.rename(path + ".new", path)
c, _ = door.accept()
_, fds, _, _ = socket.recv_fds(c, 10, 10)
print("taken", len(fds), flush=True)
door.accept()  # The giver is gone.
of = lambda n, kind=socket.SOCK_STREAM, family=socket.AF_INET: socket.socket(family, kind, fileno=fds[n])
tcp, udp, listener, fresh, tap = of(0), of(1, socket.SOCK_DGRAM), of(2), of(3), of(4, socket.SOCK_RAW, socket.AF_PACKET)
print("tcp", says(tcp.getpeername), tcp.recv(100), says(lambda: tcp.setsockopt(6, 1, 1)), says(lambda: tcp.getsockopt(6, 1)))
tcp.sendall(b"late"); print("tcp", tcp.recv(100))
print("udp", says(udp.getsockname), says(lambda: udp.sendto(b"ask", (to, 7))), flush=True)
data, anc, _, peer = udp.recvmsg(100, 100); print("udp", data, peer, [(l, k, socket.inet_ntoa(v[4:8])) for l, k, v in anc])
print("fresh", says(lambda: fresh.getsockopt(1, 9)), says(lambda: fresh.connect((to, 7)))); fresh.sendall(b"new"); print("fresh", fresh.recv(100), says(fresh.getpeername))
print("tap", says(tap.getsockname)[:2], says(lambda: tap.setsockopt(263, 18, struct.pack("HH", 1, 0))))
print("listening", flush=True)
s, peer = listener.accept(); print("accepted", peer[0], s.getpeername() == peer, s.getsockname(), s.recv(100)); s.sendall(b"bye"); s.close()
"#;

/// Answers with what it is told.
const ECHO: &str = r#"
import socket, threading, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 7))
def datagrams():
    while True: u.sendto(*u.recvfrom(2000))
def stream(c):
    while True:
        data = c.recv(1000)
        if not data: return
        c.sendall(data)
threading.Thread(target=datagrams, daemon=True).start()
l = socket.create_server(("", 7)); print("up", flush=True)
while True: threading.Thread(target=stream, args=(l.accept()[0],), daemon=True).start()
"#;

const CALLER: &str = "import socket; s = socket.create_connection(('10.0.1.2', 6000)); s.sendall(b'hello'); \
                      print(s.recv(100), s.recv(100))";

/// What the taker has got is in no way worse than what the giver had.
const AS_EVER: &str = "taken 5
tcp ('10.0.2.2', 7) b'early' None 1
tcp b'late'
udp ('0.0.0.0', 5000) 3
udp b'ask' ('10.0.2.2', 7) [(0, 8, '10.0.1.2')]
fresh 1 None
fresh b'new' ('10.0.2.2', 7)
tap ('eth0', 34997) None
listening
accepted 10.0.2.2 True ('10.0.1.2', 6000) b'hello'
";

fn lab() -> Lab {
    program("python3", "python3");
    let mut lab = Lab::across_a_router(Family::V4);
    for (name, text) in [("give.py", GIVER), ("take.py", TAKER), ("echo.py", ECHO), ("call.py", CALLER)] {
        lab.place.write(name, text);
    }
    lab.start("h2", "python3 echo.py");
    lab.receives("h2", "tcp", 7);
    lab
}

const NEXT: &str = "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"door\")'";

#[test]
fn sockets_go_to_another_program_of_the_session() {
    let mut lab = lab();
    let script = format!(
        "python3 take.py door 10.0.2.2 & while ! [ -e door ]; do sleep 0.01; done
        python3 give.py door 10.0.2.2 && {NEXT} && wait"
    );
    let session = lab.start_words("h1", &["sh", "-c", &script]);
    session.prints("listening");
    assert_eq!(lab.ok("h2", "python3 call.py"), "b'bye' b''\n");
    assert_eq!(lab.wait(&session), Some(0));
    // The giver's word may stand anywhere.
    assert_eq!(session.output().replacen("10.0.1.2\n", "", 1), AS_EVER);
}

#[test]
fn sockets_go_to_another_session_and_outlive_the_first() {
    let mut lab = lab();
    let taker = lab.start("h1", "python3 take.py door 10.0.2.2");
    lab.until("the taker", || lab.file("door").exists());
    assert_eq!(lab.ok("h1", "python3 give.py door 10.0.2.2"), "10.0.1.2\n");
    taker.prints("taken");
    lab.sh("r1", NEXT);
    taker.prints("listening");
    assert_eq!(lab.ok("h2", "python3 call.py"), "b'bye' b''\n");
    assert_eq!(lab.wait(&taker), Some(0));
    assert_eq!(taker.output(), AS_EVER);
    // With their last holder they end.
    lab.until("their end", || lab.sockets("h1").iter().all(|socket| socket["state"] == "TIME-WAIT"));
}

/// A socket of another node is the host's unix socket that it looks like: what names addresses fails, and no packet leaves.
#[test]
fn a_socket_of_another_node_carries_octets_and_no_more() {
    let mut lab = lab();
    let taker = lab.start("r1", "python3 take.py door 10.0.2.2");
    lab.until("the taker", || lab.file("door").exists());
    lab.ok("h1", "python3 give.py door 10.0.2.2");
    taker.prints("taken");
    lab.sh("r1", NEXT);
    let said = taker.prints("udp ");
    assert!(
        said.contains(" b'early' ENOTSUP ENOTSUP\ntcp b'late'\n") && said.ends_with(" EINVAL\n"),
        "{said}"
    );
}
