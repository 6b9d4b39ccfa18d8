//! Datagram sockets with a peer and without.

use lab_tests::exec::{H2, Lab};
use lab_tests::family::Family;
use lab_tests::in_each_family;

in_each_family!(who_has_no_peer_sends_nothing_by_write);

/// A socket gets a peer, loses it, and gets another; plain `write` and errors at each step.
const PEERS: &str = r#"
import ctypes, errno, os, select, socket, sys
to = sys.argv[1]; family = socket.AF_INET6 if ":" in to else socket.AF_INET
def attempt(call, *args):
    try: return call(*args)
    except OSError as e: return errno.errorcode[e.errno]
def new():
    s = socket.socket(family, socket.SOCK_DGRAM); s.bind((to, 0)); return s
def dissolve(s):
    assert ctypes.CDLL(None).connect(s.fileno(), b"\0" * 16, 16) == 0
s, r, nobody = new(), new(), (to, 9)
refused = ("EDESTADDRREQ", "EPERM")
print(attempt(os.write, s.fileno(), b"to whom") in refused)
r.sendto(b"one", s.getsockname()); print(os.read(s.fileno(), 10))
s.connect(r.getsockname()); print(attempt(os.write, s.fileno(), b"two"), r.recvfrom(10) == (b"two", s.getsockname()))
dissolve(s); print(attempt(os.write, s.fileno(), b"to whom") in refused)
s.bind((to, 0)) if s.getsockname()[1] == 0 else None
r.sendto(b"three", s.getsockname()); print(s.recvfrom(10) == (b"three", r.getsockname()))
# An error shows to who has no peer, if it asks for that, and who sends goes on.
s.setsockopt(*((41, 25) if ":" in to else (0, 11)), 1)
p = select.poll(); p.register(s, select.POLLIN)
for n in range(2):
    s.sendto(b"four", nobody); print(p.poll(), end=" ")
    print(attempt(s.recvfrom, 10), s.recvmsg(10, 1000, socket.MSG_ERRQUEUE)[0], p.poll(0))
print(attempt(os.write, s.fileno(), b"to whom") in refused)
r.sendto(b"five", s.getsockname()); print(p.poll(), s.recvfrom(10) == (b"five", r.getsockname()))
s.connect(nobody); print(attempt(os.write, s.fileno(), b"six"), p.poll(), attempt(s.recvfrom, 10))
"#;

/// As on Linux, but that `write` says EPERM for EDESTADDRREQ.
fn who_has_no_peer_sends_nothing_by_write(family: Family) {
    let lab = Lab::across_a_router(family);
    lab.place.write("peers.py", PEERS);
    for to in family.addrs(H2) {
        let error = "[(3, 8)] ECONNREFUSED b'four' []\n";
        assert_eq!(
            lab.ok("h2", &format!("python3 peers.py {to}")),
            format!(
                "True\nb'one'\n3 True\nTrue\nTrue\n{error}{error}True\n[(3, 1)] True\n3 [(3, 8)] ECONNREFUSED\n"
            )
        );
    }
}
