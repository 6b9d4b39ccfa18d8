//! SO_SNDBUF and SO_RCVBUF: what a program lets itself and its peer have under way.

use lab_tests::exec::{H2, Lab};
use lab_tests::family::Family;
use lab_tests::in_each_family;

in_each_family!(small_buffers_hold_a_sender_back_and_lose_nothing);

const SMALL: &str = r#"
import errno, hashlib, os, select, socket, struct, sys, threading
to = sys.argv[1]; family = socket.AF_INET6 if ":" in to else socket.AF_INET
SNDBUF, RCVBUF, LINGER = [(socket.SOL_SOCKET, name) for name in (socket.SO_SNDBUF, socket.SO_RCVBUF, socket.SO_LINGER)]
def pair(listener, early=None):
    c = socket.socket(family)
    if early: c.setsockopt(*SNDBUF, early)
    c.connect(listener.getsockname()); a, _ = listener.accept()
    return c, a
def until_full(sender):
    sender.setblocking(False); sent = 0
    try:
        while True: sent += sender.send(bytes(100_000))
    except BlockingIOError: return sent
def writable(s):
    p = select.poll(); p.register(s, select.POLLOUT); return bool(p.poll())
plain = socket.create_server((to, 0), family=family)
small = socket.create_server((to, 0), family=family); small.setsockopt(*RCVBUF, 4096); small.setsockopt(*SNDBUF, 4096)

# Set before the connection, after it, and by the listener.
c, a = pair(small, 4096); print("before", until_full(c) < 200_000)
c, a = pair(small); c.setsockopt(*SNDBUF, 4096); print("after", until_full(c) < 200_000)
c, a = pair(small); c.setsockopt(*RCVBUF, 4096); print("listener's", until_full(a) < 200_000)

# Whoever waits for room gets it, whatever is sent at once.
data = os.urandom(2_000_000); path = sys.argv[0] + ".data"; open(path, "wb").write(data); file = open(path, "rb")
def read(s, sums):
    h = hashlib.sha256()
    while octets := s.recv(10_000): h.update(octets)
    sums.append(h.digest())
for size in (None, 700, 5_000, 20_000, 70_000, 2_000_000):
    for early in (4096, 50_000, None):
        c, a = pair(plain, early); sums = []; reader = threading.Thread(target=read, args=(a, sums)); reader.start()
        c.setblocking(False); at = 0; end = len(data) if size != 700 else 200_000
        while at < end:
            assert writable(c)
            if early is None and at > 500_000: c.setsockopt(*SNDBUF, 4096); early = 0
            at += os.sendfile(c.fileno(), file.fileno(), at, end - at) if size is None else c.send(data[at:min(end, at + size)])
        c.shutdown(socket.SHUT_WR); reader.join()
        assert sums == [hashlib.sha256(data[:end]).digest()], (size, early)
print("whole")

# Who was small from the beginning, or has become so after much was sent, hears of a reset.
for much in (0, 300_000):
    c, a = pair(plain)
    if much:
        reader = threading.Thread(target=lambda: [a.recv(much, socket.MSG_WAITALL)]); reader.start(); c.sendall(bytes(much)); reader.join()
    c.setsockopt(*SNDBUF, 4096); print(writable(c), end=" ")
    c.sendall(b"ping"); a.recv(10); a.setsockopt(*LINGER, struct.pack("ii", 1, 0)); a.close()
    try: print(c.recv(10))
    except OSError as e: print(errno.errorcode[e.errno])
"#;

/// The pair between program and node takes no more than was said, or 64 KiB.
fn small_buffers_hold_a_sender_back_and_lose_nothing(family: Family) {
    let lab = Lab::across_a_router(family);
    lab.place.write("small.py", SMALL);
    for to in family.addrs(H2) {
        assert_eq!(
            lab.ok("h2", &format!("python3 small.py {to}")),
            "before True\nafter True\nlistener's True\nwhole\nTrue ECONNRESET\nTrue ECONNRESET\n"
        );
    }
}
