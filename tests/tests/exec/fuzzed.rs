//! A hostile program: random system calls with random arguments. It may harm itself, and nobody else.

use crate::closed::compile;
use lab_tests::exec::{Lab, finish};
use lab_tests::family::Family;

/// Many processes that each make some thousand calls from a seed: those that are looked at above all, with descriptors, addresses and
/// lengths that are sometimes right.
const FUZZER: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static uint64_t below(uint64_t n) { return next() % n; }

static char *arena;
enum { ARENA = 1 << 16 };

/* Calls that a supervisor looks at, and some that shuffle descriptors under it. */
static const int calls[] = {
    SYS_socket, SYS_socket, SYS_bind, SYS_connect, SYS_listen, SYS_accept, SYS_accept4, SYS_getsockname, SYS_getpeername,
    SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_getsockopt, SYS_setsockopt, SYS_ioctl,
    SYS_openat, SYS_uname, SYS_read, SYS_write, SYS_close, SYS_dup, SYS_shutdown, SYS_fcntl, SYS_socketpair, SYS_capset,
    SYS_setgroups, SYS_io_uring_setup, SYS_mmap, SYS_lseek, SYS_capget, SYS_open,
};

static uint64_t argument(int n) {
    static const uint64_t edges[] = {0, 1, 2, 10, 16, 17, 28, 128, 255, 4096, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
                                     ~0ull, 0x7fffffffffffffff, 0x8000000000000000, 0x5411, 0x8912, 0x8927, 0x40};
    if (n == 0 && below(4)) return 3 + below(40);
    switch (below(6)) {
    case 0: return (uint64_t)(arena + below(ARENA));
    case 1: return (uint64_t)(arena + below(ARENA / 64) * 64);
    case 2: return edges[below(sizeof edges / sizeof *edges)];
    case 3: return below(64);
    case 4: return next();
    default: return (uint64_t)(arena + ARENA - below(64));
    }
}

static void scribble(void) {
    static const char *paths[] = {"/proc/net/tcp", "/proc/sys/net/ipv4/ip_forward", "/etc/hosts", "/sys/class/net/eth0/mtu", "/proc/self/net/../net/dev"};
    for (int n = 0; n < 16; n++) {
        uint64_t *word = (uint64_t *)(arena + below(ARENA / 8) * 8);
        switch (below(5)) {
        case 0: *word = next(); break;
        case 1: *word = (uint64_t)(arena + below(ARENA)); break;
        case 2: *word = below(300); break;
        case 3: { struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(below(200)), .sin_addr = {htonl(0x0a000100 + below(768))}};
                  memcpy(arena + below(ARENA - 64), &in, sizeof in); break; }
        default: strcpy(arena + below(ARENA - 64) / 64 * 64, paths[below(5)]);
        }
    }
}

static void run(uint64_t seed, long count) {
    state = seed * 0x9e3779b97f4a7c15ull + 1;
    /* What it reads behind the end faults. */
    arena = mmap(0, ARENA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(arena + ARENA, 4096, PROT_NONE);
    struct rlimit files = {64, 64};
    setrlimit(RLIMIT_NOFILE, &files);
    for (long n = 0; n < count; n++) {
        scribble();
        int call = calls[below(sizeof calls / sizeof *calls)];
        uint64_t a[6];
        for (int i = 0; i < 6; i++) a[i] = argument(i);
        if (call == SYS_socket) {
            static const int families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX};
            a[0] = families[below(5)]; a[1] = (1 + below(5)) | (below(2) ? SOCK_NONBLOCK : 0) | (below(8) ? 0 : next()); a[2] = below(4) ? 0 : below(260);
        }
        if (call == SYS_openat || call == SYS_open) { int at = call == SYS_openat; a[at] = (uint64_t)(arena + below(ARENA / 64) * 64); a[at + 1] = below(4) & 3; }
        if (call == SYS_mmap) { a[0] = 0; a[5] = 0; a[1] = below(1 << 20); }
        if ((call == SYS_close || call == SYS_shutdown || call == SYS_fcntl || call == SYS_write) && a[0] < 3) continue;
        alarm(1); /* A call that blocks is interrupted. */
        syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
        errno = 0;
    }
    _exit(0);
}

static void ring(int signal) { (void)signal; }

int main(int argc, char **argv) {
    long seed = atol(argv[1]), processes = atol(argv[2]), count = atol(argv[3]);
    struct sigaction action = {.sa_handler = ring};
    sigaction(SIGALRM, &action, 0);
    signal(SIGPIPE, SIG_IGN);
    for (long n = 0; n < processes; n++)
        if (fork() == 0) {
            /* However long it waits in all, it ends. */
            run(seed + n, count);
        }
    int left = 0;
    while (wait(0) > 0) left++;
    printf("%d ended\n", left);
}
"#;

#[test]
fn random_calls_disturb_nobody() {
    let mut lab = Lab::across_a_router(Family::Dual);
    let fuzzer = compile(&lab.place, "fuzzer", FUZZER);
    let pid = lab.place.pid("lab", "h1");
    // Others on the same node, whose sockets it cannot touch.
    lab.start_words("h2", &["socat", "-t", "60", "TCP-LISTEN:9999,fork", "SYSTEM:cat"]);
    lab.receives("h2", "tcp", 9999);
    let script = "i=0; while test ! -e over; do i=$((i+1)); said=$(echo $i | socat -t 60 - TCP:10.0.2.2:9999); test \"$said\" = $i || { echo \"$i: $said\"; exit 1; }; done; echo $i times";
    let other = lab.start_words("h1", &["sh", "-c", script]);
    for seed in [1, 1000] {
        let words = format!("{fuzzer} {seed} 4 3000");
        let ended = finish(&mut lab.command("h1", words.split(' ')), &words);
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.ends_with("4 ended\n"), "{words}: {ended:?}");
    }
    lab.place.write("over", "");
    assert_eq!(lab.wait(&other), Some(0), "{}", other.output());
    assert_eq!(lab.place.pid("lab", "h1"), pid, "the node is the same");
    assert!(lab.ok("h1", "true").is_empty());
    lab.until("a node without the sockets of those who ended", || {
        lab.sockets("h1").iter().all(|socket| socket["state"] == "TIME-WAIT")
    });
}
