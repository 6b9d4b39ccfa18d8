//! Groups: a program joins one with the sources that it wants, its filter is read back, and routers are told.

use lab_tests::exec::Lab;
use lab_tests::family::Family;

/// Joins 239.1.2.3 for what 10.0.1.1 sends and nobody else; says what comes, and what filter there is.
const LISTENER: &str = r#"
import ctypes, socket, struct
IP_MSFILTER, IP_ADD_SOURCE_MEMBERSHIP = 41, 39
group, own = socket.inet_aton("239.1.2.3"), socket.inet_aton("10.0.1.2")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5000))
s.settimeout(60)
s.setsockopt(0, IP_ADD_SOURCE_MEMBERSHIP, group + own + socket.inet_aton("10.0.1.1"))
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(group + own + struct.pack("II", 0, 4) + bytes(16))
size = ctypes.c_uint32(32)
assert libc.getsockopt(s.fileno(), 0, IP_MSFILTER, room, ctypes.byref(size)) == 0, ctypes.get_errno()
mode, count = struct.unpack("II", room.raw[8:16])
print(size.value, mode, count, socket.inet_ntoa(room.raw[16:20]))
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
d.sendto(b"ready", ("10.0.1.1", 5001))
print(*s.recvfrom(100))
"#;

const SENDER: &str = r#"
import socket
waits = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
waits.bind(("", 5001))
waits.settimeout(60)
waits.recv(10)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.0.1.1", 5002))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.1.1"))
s.sendto(b"hello", ("239.1.2.3", 5000))
"#;

#[test]
fn a_program_chooses_its_sources_and_routers_hear_of_it() {
    let mut lab = Lab::across_a_router(Family::V4);
    lab.place.write("sender.py", SENDER);
    lab.place.write("listener.py", LISTENER);
    let sender = lab.start("r1", "python3 sender.py");
    lab.receives("r1", "udp", 5001);
    let said = lab.ok("h1", "python3 listener.py");
    assert_eq!(lab.wait(&sender), Some(0));
    assert_eq!(said, "20 1 1 10.0.1.1\nb'hello' ('10.0.1.1', 5002)\n");
    let dump = lab.place.ok("dump left igmp");
    // A record with one source; without sources it would have 16 octets.
    assert!(dump.contains("h1 > 224.0.0.22: IGMP, length 20"), "{dump}");
}
