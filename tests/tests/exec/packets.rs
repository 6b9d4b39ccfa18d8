//! Packet sockets' rings to send with and their groups, by programs that printed the same on Linux, as its superuser on an interface with
//! an MTU of 1500.

use lab_tests::exec::Lab;
use lab_tests::family::Family;
use lab_tests::program;

const RINGS: &str = r#"
import ctypes, errno, mmap, os, select, socket, struct, sys
PACKET, LIBC = 263, ctypes.CDLL(None, use_errno=True)
interface = sys.argv[1]
SLOT, SLOTS = 2048, 8
# Of each version: where the status, the length and the frame are.
PLACES = {0: (0, 8, 32), 1: (0, 4, 32), 2: (20, 16, 48)}

def watcher():
    w = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    w.bind((interface, 3)); return w
def seen(w):
    frames = []
    while select.select([w], [], [], 0.3)[0]:
        frame, addr = w.recvfrom(2000)
        if addr[2] == 4 and frame[12:14] == b"\x88\xb5": frames.append(frame[14:22].rstrip(b"\0").decode())
    return " ".join(frames)
def word(ring, at): return struct.unpack_from("<I", ring, at)[0]
def says(call):
    try: return call()
    except OSError as e: return errno.errorcode[e.errno]
class Sender:
    def __init__(self, version, rx=0, **options):
        self.s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.s.setsockopt(PACKET, 10, struct.pack("i", version))
        for option, value in options.items(): self.s.setsockopt(PACKET, {"loss": 14, "off": 19}[option], struct.pack("i", value))
        self.status, self.len, self.data = PLACES[version]
        request = struct.pack("7I", SLOT * SLOTS, 1, SLOT, SLOTS, 0, 0, 0)
        if rx: self.s.setsockopt(PACKET, 5, request)
        self.s.setsockopt(PACKET, 13, request)
        self.first = SLOT * SLOTS if rx else 0
        self.ring = mmap.mmap(self.s.fileno(), self.first + SLOT * SLOTS, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.s.bind((interface, 0)); self.at = 0
    def put(self, name, octets=60):
        slot = self.first + self.at % SLOTS * SLOT; self.at += 1
        frame = b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + name.encode()
        self.ring[slot + self.data:slot + self.data + len(frame)] = frame
        struct.pack_into("<I", self.ring, slot + self.len, octets)
        struct.pack_into("<I", self.ring, slot + self.status, 1)
    def statuses(self):
        return "".join(str(word(self.ring, self.first + n * SLOT + self.status) & 0xff) for n in range(SLOTS))

for version in 0, 1, 2:
    w, t = watcher(), Sender(version)
    for n in range(5): t.put("f%d" % n)
    print(version, t.statuses(), t.s.send(b""), t.statuses(), seen(w))
    # Around the end; nothing waits afterwards.
    for n in range(6): t.put("g%d" % n)
    print(version, LIBC.send(t.s.fileno(), None, 0, 0x40), seen(w), t.s.send(b""))
    # By a message, and by an octet that is nobody's.
    t.put("h0"); print(version, t.s.sendmsg([b""]), seen(w))
    t.put("h1"); t.s.send(b"x"); print(version, seen(w))
    # What is too long stays, and what is behind it.
    t.put("ok"); t.put("long", 1600); t.put("late")
    print(version, says(lambda: t.s.send(b"")), t.statuses(), seen(w))
    struct.pack_into("<I", t.ring, (t.at - 2) % SLOTS * SLOT + t.len, 60)
    struct.pack_into("<I", t.ring, (t.at - 2) % SLOTS * SLOT + t.status, 1)
    print(version, t.s.send(b""), seen(w))
w, t = watcher(), Sender(1, loss=1)
t.put("a"); t.put("long", 1600); t.put("b")
print("loss", t.s.send(b""), t.statuses(), seen(w))
w, t = watcher(), Sender(1, rx=1)
t.put("both"); print("both", t.s.send(b""), t.statuses(), seen(w), says(lambda: t.s.setsockopt(PACKET, 13, struct.pack("4I", SLOT * SLOTS, 1, SLOT, SLOTS))))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
s.setsockopt(PACKET, 13, struct.pack("4I", SLOT * SLOTS, 1, SLOT, SLOTS))
for len, offset in (SLOT * SLOTS // 2, 0), (SLOT * SLOTS, 4096):
    print("map", says(lambda: mmap.mmap(s.fileno(), len, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)))
print("unbound", says(lambda: s.send(b"")))
"#;

#[test]
fn frames_are_sent_from_a_ring() {
    program("python3", "python3");
    let lab = Lab::across_a_router(Family::V4);
    lab.place.write("rings.py", RINGS);
    let mut expected = String::new();
    for version in 0..3 {
        expected += &format!(
            "{version} 11111000 300 00000000 f0 f1 f2 f3 f4\n\
             {version} 360 g0 g1 g2 g3 g4 g5 0\n\
             {version} 60 h0\n\
             {version} h1\n\
             {version} EMSGSIZE 00000041 ok\n\
             {version} 120 long late\n"
        );
    }
    expected += "loss 120 00000000 a b\nboth 60 00000000 both EBUSY\nmap EINVAL\nmap EINVAL\nunbound ENXIO\n";
    assert_eq!(lab.ok("h1", "python3 rings.py eth0"), expected);
}

const GROUPS: &str = r#"
import ctypes, errno, select, socket, struct, sys
PACKET, interface = 263, sys.argv[1]
def says(call):
    try: return call()
    except OSError as e: return errno.errorcode[e.errno]
def tap(kind=socket.SOCK_RAW, proto=3):
    s = socket.socket(socket.AF_PACKET, kind, socket.htons(proto))
    if proto: s.bind((interface, proto))
    return s
def join(s, number, kind, most=None):
    value = struct.pack("HH", number, kind) + (b"" if most is None else struct.pack("I", most))
    def ask():
        s.setsockopt(PACKET, 18, value)
        return "%x" % struct.unpack("I", s.getsockopt(PACKET, 18, 4))
    return says(ask)
a, b = tap(), tap()
print(join(a, 7, 0), join(a, 7, 0), join(b, 7, 1), join(b, 7, 0x8000), join(b, 7, 0), join(tap(socket.SOCK_DGRAM), 7, 0))
print(join(tap(proto=0x806), 7, 0), join(tap(proto=0), 9, 0), join(tap(), 9, 8), join(tap(), 9, 0x1003), join(tap(), 9, 3))
print(join(tap(), 9, 0x2000), join(tap(), 0, 0x2000).isdigit(), says(lambda: a.bind((interface, 3))))
two = [tap() for _ in range(3)]
print(*(join(s, 21, 1, 2) for s in two), join(tap(), 21, 1, 3), join(tap(), 22, 1, 65537))
r = tap(); print(says(lambda: a.getsockopt(PACKET, 21, 24)), join(r, 30, 0x1001), r.getsockopt(PACKET, 21, 24) == bytes(24))
chosen = [tap(), tap()]; print(*(join(s, 31, 6) for s in chosen), end=" ")
def program(value):
    insns = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, value))
    chosen[0].setsockopt(PACKET, 22, struct.pack("HxxxxxxQ", 1, ctypes.addressof(insns)))
program(1); print(says(lambda: chosen[0].setsockopt(PACKET, 22, b"1234")))
e = tap(); print(join(e, 32, 7), *(says(lambda: e.setsockopt(PACKET, 22, value)) for value in (struct.pack("i", -1), struct.pack("i", 9999), struct.pack("i", 1), b"12345678")))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(*(says(lambda: u.setsockopt(1, 50, value)) for value in (struct.pack("i", -1), struct.pack("i", 9999), struct.pack("i", 1), b"123")))
# Each of ten frames is for one of the turn's two, and for the program's second.
for s in two[:2] + chosen: 
    while select.select([s], [], [], 0)[0]: s.recv(2000)
sender = tap(proto=0)
for n in range(10): sender.sendto(b"\xff" * 6 + b"\2\0\0\0\0\1" + b"\x88\xb5" + bytes(46), (interface, 0))
def count(s):
    n = 0
    while select.select([s], [], [], 0.3)[0]:
        frame, addr = s.recvfrom(2000); n += addr[2] == 4 and frame[12:14] == b"\x88\xb5"
    return n
print(*(count(s) for s in two[:2] + chosen))
"#;

#[test]
fn packet_sockets_share_frames() {
    program("python3", "python3");
    let lab = Lab::across_a_router(Family::V4);
    lab.place.write("groups.py", GROUPS);
    let expected = "7 EALREADY EINVAL EINVAL 7 7\n\
        EINVAL EINVAL EINVAL EINVAL 30009\n\
        EINVAL True EINVAL\n\
        10015 10015 ENOSPC EINVAL EINVAL\n\
        EINVAL 1001001e True\n\
        6001f 6001f EINVAL\n\
        70020 EBADF EBADF EINVAL EINVAL\n\
        EBADF EBADF EINVAL EINVAL\n\
        5 5 0 10\n";
    assert_eq!(lab.ok("h1", "python3 groups.py eth0"), expected);
}
