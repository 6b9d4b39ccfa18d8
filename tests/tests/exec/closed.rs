//! Fail closed: nothing that an intercepted program does reaches the host's network.

use lab_tests::exec::{Lab, TOPOLOGY, finish, succeeded};
use lab_tests::family::Family;
use lab_tests::{Place, User, program};
use std::process::Command;

/// Tries every way into a network that there is, and says for each what came of it. On the host most of them open an internet socket.
const WAYS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* int 0x80: the i386 calls, behind a filter that only knows x86_64's numbers. */
static long i386(long nr, long a, long b, long c) {
    long ret;
    __asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
    return ret;
}

static void say(const char *way, long ret) { printf("%s %ld\n", way, ret < 0 && ret != -1 ? ret : ret == -1 ? -errno : ret); fflush(stdout); }

int main(void) {
    struct io_uring_params params = {0};
    say("io_uring", syscall(SYS_io_uring_setup, 8, &params));
    say("i386-socket", i386(359, AF_INET, SOCK_DGRAM, 0));
    unsigned *args = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    args[0] = AF_INET; args[1] = SOCK_DGRAM; args[2] = 0;
    say("i386-socketcall", i386(102, 1, (long)args, 0));
    say("x32-socket", syscall(0x40000000 | SYS_socket, AF_INET, SOCK_DGRAM, 0));
    int families[] = {AF_VSOCK, AF_BLUETOOTH, 43 /* AF_SMC */, 44 /* AF_XDP */, 21 /* AF_RDS */, 30 /* AF_TIPC */, AF_CAN, AF_KEY};
    for (unsigned n = 0; n < sizeof families / sizeof *families; n++) {
        char name[32];
        snprintf(name, sizeof name, "family-%d", families[n]);
        say(name, socket(families[n], SOCK_DGRAM, 0));
    }
    return 0;
}
"#;

/// Compiles a C program in the working folder.
pub(crate) fn compile(place: &Place, name: &str, text: &str) -> String {
    program("gcc", "gcc");
    place.write(&format!("{name}.c"), text);
    let mut gcc = place.command("gcc");
    gcc.args(["-O1", "-w", "-pthread", "-o", name, &format!("{name}.c")]);
    succeeded("gcc", &finish(&mut gcc, "gcc"));
    format!("./{name}")
}

#[test]
fn no_other_way_leads_to_a_socket_of_the_hosts() {
    let lab = Lab::across_a_router(Family::Dual);
    let ways = compile(&lab.place, "ways", WAYS);
    let said = lab.ok("h1", &ways);
    let refused = |way: &str| match way {
        "io_uring" | "i386-socket" | "i386-socketcall" | "x32-socket" => -i64::from(libc::ENOSYS),
        _ => -i64::from(libc::EAFNOSUPPORT),
    };
    assert_eq!(said.lines().count(), 12, "{said}");
    for line in said.lines() {
        let (way, result) = line.split_once(' ').expect("two words");
        assert_eq!(result.parse(), Ok(refused(way)), "{said}");
    }
}

#[test]
fn without_its_supervisor_a_program_has_no_sockets() {
    let mut lab = Lab::across_a_router(Family::Dual);
    lab.place.write(
        "orphan.py",
        "import socket, os, time, errno\n\
         s = socket.socket(); said = open('orphan', 'w'); print('begun', flush=True)\n\
         os.setsid()\n\
         end = time.time() + 60\n\
         while time.time() < end:\n    \
             try: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()\n    \
             except OSError as e: said.write(errno.errorcode[e.errno]); said.close(); break\n",
    );
    // A grandchild: it does not die with the supervisor, as its first child does.
    let orphan = lab.start_words("h1", &["sh", "-c", "python3 orphan.py & wait"]);
    orphan.prints("begun");
    let supervisors = lab.place.processes().into_iter().filter(|(_, words)| words.contains("rumphijack"));
    for (pid, _) in supervisors {
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).expect("a supervisor");
    }
    lab.until("its word", || std::fs::read_to_string(lab.file("orphan")).is_ok_and(|said| said == "ENOSYS"));
}

/// Addresses of the host's own loopback are the node's for a program: nobody hears it there.
#[test]
fn the_hosts_loopback_hears_nothing() {
    let lab = Lab::across_a_router(Family::Dual);
    // A host without IPv6 has nothing that could hear of it.
    let of_host = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let six = of_host.lines().any(|line| line.ends_with(" lo")).then_some("::1");
    for loopback in ["127.0.0.1"].into_iter().chain(six) {
        let listener = std::net::TcpListener::bind((loopback, 0)).expect("a port of the host's");
        let datagrams = std::net::UdpSocket::bind((loopback, 0)).expect("a port of the host's");
        let (tcp, udp) =
            (listener.local_addr().expect("bound").port(), datagrams.local_addr().expect("bound").port());
        listener.set_nonblocking(true).expect("a listener");
        datagrams.set_nonblocking(true).expect("a socket");
        // An echo request of either family.
        let (family, proto, echo) = match loopback {
            "::1" => ("socket.AF_INET6", 58, "b'\\x80\\0\\0\\0\\0\\0\\0\\0'"),
            _ => ("socket.AF_INET", 1, "b'\\x08\\0\\0\\0\\0\\0\\0\\0'"),
        };
        lab.place.write(
            "loopback.py",
            &format!(
                "import socket, os\n\
                 try: socket.create_connection(('{loopback}', {tcp}), 5); print('connected')\n\
                 except ConnectionRefusedError: print('refused')\n\
                 u = socket.socket({family}, socket.SOCK_DGRAM)\n\
                 u.sendto(b'x', ('{loopback}', {udp}))\n\
                 u.sendmsg([b'y'], [], 0, ('{loopback}', {udp}))\n\
                 v = socket.socket({family}, socket.SOCK_DGRAM); v.connect(('{loopback}', {udp})); v.send(b'z')\n\
                 r = socket.socket({family}, socket.SOCK_RAW, {proto}); r.sendto({echo}, ('{loopback}', 0))\n"
            ),
        );
        assert_eq!(lab.ok("h1", "python3 loopback.py"), "refused\n");
        assert!(listener.accept().is_err(), "somebody has connected to the host");
        assert!(datagrams.recv(&mut [0; 8]).is_err(), "somebody has sent to the host");
    }
}

/// Sends to the node's addresses and to the host's loopback by whatever sends; nobody listens.
const SENDER: &str = r#"
import socket
for addr in ("10.0.2.2", "127.0.0.1", "255.255.255.255", "224.0.0.251", "fd00:2::2", "::1", "ff02::1", "ff05::fb"):
    six = ":" in addr
    icmp = 58 if six else 1
    for kind, proto in ((socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 0), (socket.SOCK_RAW, icmp), (socket.SOCK_DGRAM, icmp)):
        s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind, proto); s.setblocking(False)
        echo = b"\x80\0\x7f\xff\0\0\0\0" if six else b"\x08\0\xf7\xff\0\0\0\0"
        for send in (lambda: s.sendto(echo, (addr, 9)), lambda: s.sendmsg([echo], [], 0, (addr, 9)),
                     lambda: s.connect((addr, 9)), lambda: s.send(echo)):
            try: send()
            except OSError: pass
"#;

/// Brings a lab up, runs programs on it that try to send, and says after each step what the host's stack has counted: packets that came in,
/// packets that went out, and those of its loopback. The last step sends from the host, to show that it counts.
const COUNTED: &str = r#"
count() { awk -v what="$1" '/^Ip: [0-9]/ { print "counted", what, $4, $11 }' /proc/net/snmp; awk -v what="$1" '/^Ip6(InReceives|OutRequests) / { all = all " " $2 } END { print "counted6", what all }' /proc/net/snmp6; awk -v what="$1" '/lo:/ { print "loopback", what, $3 }' /proc/net/dev; }
labctl up > up.log 2>&1 || { cat up.log; exit 1; }
count before
labctl exec h1 -- ./ways > ways.log || exit 1
count ways
labctl exec h1 -- python3 sender.py || exit 1
count sender
labctl exec h1 -- ping -c 1 10.0.2.2 > ping.log || exit 1
labctl exec h1 -- ping -c 1 fd00:2::2 >> ping.log || exit 1
count ping
labctl down > down.log 2>&1
python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))'
count host
"#;

/// The lab lives in a network namespace, so that nobody else's packets are counted.
#[test]
fn the_hosts_stack_counts_no_packet() {
    let unshare = program("unshare", "util-linux");
    program("ip", "iproute2");
    let place = Place::new(User::Ordinary);
    compile(&place, "ways", WAYS);
    place.write("lab.toml", TOPOLOGY);
    place.write("sender.py", SENDER);
    place.write("counted", COUNTED);
    let inner = {
        let mut inner = place.command("sh");
        inner.arg("counted");
        inner
    };
    let mut outer = Command::new(unshare);
    if !nix::unistd::geteuid().is_root() {
        outer.args(["--user", "--map-root-user"]);
    }
    outer.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args()).current_dir(place.path());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = succeeded("counted", &finish(&mut outer, "counted"));
    let lines = |step: &str| -> Vec<String> {
        let of_step = said.lines().filter(|line| line.split(' ').nth(1) == Some(step));
        of_step.map(|line| line.replace(&format!(" {step} "), " ")).collect()
    };
    let before = lines("before");
    assert_eq!(before.len(), 3, "{said}");
    for step in ["ways", "sender", "ping"] {
        assert_eq!(lines(step), before, "after {step}\n{said}");
    }
    assert_ne!(lines("host"), before, "the host's own packet was not counted\n{said}");
}
