//! The filter: which system calls of a program are looked at.
//!
//! A classic BPF program for seccomp(2), made from one table of rules. What is not in the table is allowed and costs some 20 ns.
//! Calls of another architecture, x32 ones and io_uring (which would do what the filter forbids, unseen) do not exist.

use crate::memory::PAGE;
use libc::{
    AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JGE,
    BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, EAFNOSUPPORT, ENOSYS, EPERM, MAP_ANONYMOUS, MAP_SHARED,
    MSG_ERRQUEUE, MSG_OOB, PROT_WRITE, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF,
    SOL_SOCKET,
};
use libc::{
    SYS_accept, SYS_accept4, SYS_access, SYS_bind, SYS_bpf, SYS_capset, SYS_connect, SYS_creat,
    SYS_faccessat, SYS_faccessat2, SYS_getdents64, SYS_getpeername, SYS_getsockname, SYS_getsockopt,
    SYS_getxattr, SYS_io_uring_enter, SYS_io_uring_register, SYS_io_uring_setup, SYS_ioctl, SYS_lgetxattr,
    SYS_listen, SYS_listxattr, SYS_llistxattr, SYS_lstat, SYS_mmap, SYS_newfstatat, SYS_open, SYS_openat,
    SYS_openat2, SYS_prctl, SYS_pselect6, SYS_readlink, SYS_readlinkat, SYS_recvfrom, SYS_recvmmsg,
    SYS_recvmsg, SYS_select, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_setgroups, SYS_setsockopt,
    SYS_socket, SYS_stat, SYS_statx, SYS_uname, SYS_write,
};
use std::ops::RangeInclusive;

/// One instruction, as `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

/// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
const INSTRUCTION_POINTER: u32 = 8;
const ARGS: u32 = 16;

/// `AUDIT_ARCH_X86_64`, and the bit of x32's calls.
const X86_64: u32 = 0xc000_003e;
const X32: u32 = 0x4000_0000;

/// Files are mapped above this (the upper half of an address): between the heap, which follows the program, and the stack.
const MAPPED: u32 = 0x7e00;

/// Socket options that the program's end has itself: time limits, and credentials of unix sockets.
const NATIVE_OPTIONS: [i32; 8] = [16, 17, 20, 21, 31, 34, 66, 67];

/// Requests of sockets and interfaces (0x89xx), of wireless ones (0x8bxx), and the one of sockets that terminals have too.
const SOCKET_IOCTLS: u32 = 0x8900;
const WIRELESS_IOCTLS: u32 = 0x8b00;
const SIOCOUTQ: u32 = 0x5411;

/// Descriptors at which a program finds files of the node that it writes: the last that select(2) knows.
pub(crate) const WRITTEN: RangeInclusive<i32> = 1000..=1023;
/// The same for raw sockets.
pub(crate) const RAW: RangeInclusive<i32> = 976..=999;

const NOTIFY: Insn = ret(SECCOMP_RET_USER_NOTIF);
const ALLOW: Insn = ret(SECCOMP_RET_ALLOW);

const fn ret(action: u32) -> Insn {
    Insn { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: action }
}

const fn fail(errno: i32) -> Insn {
    ret(SECCOMP_RET_ERRNO | errno as u32)
}

const fn load(offset: u32) -> Insn {
    Insn { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

const fn jump(condition: u32, k: u32, jt: u8, jf: u8) -> Insn {
    Insn { code: (BPF_JMP | condition | BPF_K) as u16, jt, jf, k }
}

/// The lower half of an argument; the upper one is 4 octets further.
const fn arg(n: u32) -> u32 {
    ARGS + 8 * n
}

/// What is done with one call: instructions that end in a return on every way through them.
enum Rule {
    Notify,
    Fail(i32),
    /// As if it had been done.
    Pretend,
    When(Vec<Insn>),
}

impl Rule {
    fn body(self) -> Vec<Insn> {
        match self {
            Rule::Notify => vec![NOTIFY],
            Rule::Fail(errno) => vec![fail(errno)],
            Rule::Pretend => vec![fail(0)],
            Rule::When(body) => body,
        }
    }
}

/// What argument `n` says by its value, else `otherwise`.
fn by_value(n: u32, cases: &[(i32, Insn)], otherwise: Insn) -> Rule {
    let mut body = vec![load(arg(n))];
    for (value, then) in cases {
        body.extend([jump(BPF_JEQ, *value as u32, 0, 1), *then]);
    }
    body.push(otherwise);
    Rule::When(body)
}

/// Looked at if an address is given (argument 4) or one of `flags` (argument 3) is set.
fn addressed(flags: i32) -> Rule {
    Rule::When(vec![
        load(arg(3)),
        jump(BPF_JSET, flags as u32, 4, 0),
        load(arg(4)),
        jump(BPF_JEQ, 0, 0, 2),
        load(arg(4) + 4),
        jump(BPF_JEQ, 0, 1, 0),
        NOTIFY,
        ALLOW,
    ])
}

/// sendto(2): the same; and by raw sockets where they stand ([`RAW`]), as an error that waits must be told; and with nothing to be sent: that
/// sends what lies in a packet socket's ring.
fn sent(flags: i32) -> Rule {
    Rule::When(vec![
        load(arg(3)),
        jump(BPF_JSET, flags as u32, 11, 0),
        load(arg(4)),
        jump(BPF_JEQ, 0, 0, 9),
        load(arg(4) + 4),
        jump(BPF_JEQ, 0, 0, 7),
        load(arg(0)),
        jump(BPF_JGE, *RAW.end() as u32 + 1, 1, 0),
        jump(BPF_JGE, *RAW.start() as u32, 4, 0),
        load(arg(2)),
        jump(BPF_JEQ, 0, 0, 3),
        load(arg(2) + 4),
        jump(BPF_JEQ, 0, 0, 1),
        NOTIFY,
        ALLOW,
    ])
}

fn rules(loader: &[u32]) -> Vec<(i64, Rule)> {
    let ours = [AF_INET, AF_INET6, AF_NETLINK, AF_PACKET].map(|family| (family, NOTIFY));
    // These stay on the host; any other would leave the node.
    let families = [&ours[..], &[(AF_UNIX, ALLOW), (AF_ALG, ALLOW)]].concat();
    let option = || {
        let mut body = vec![load(arg(1)), jump(BPF_JEQ, SOL_SOCKET as u32, 1, 0), NOTIFY];
        body.extend(by_value(2, &NATIVE_OPTIONS.map(|option| (option, ALLOW)), NOTIFY).body());
        Rule::When(body)
    };
    let ioctl = vec![
        load(arg(1)),
        jump(BPF_JEQ, SIOCOUTQ, 3, 0),
        Insn { code: (BPF_ALU | BPF_AND | BPF_K) as u16, jt: 0, jf: 0, k: 0xff00 },
        jump(BPF_JEQ, SOCKET_IOCTLS, 1, 0),
        jump(BPF_JEQ, WIRELESS_IOCTLS, 0, 1),
        NOTIFY,
        ALLOW,
    ];
    // A packet socket's ring: of a file, shared, and to be written.
    let mmap = vec![
        load(arg(2)),
        jump(BPF_JSET, PROT_WRITE as u32, 0, 4),
        load(arg(3)),
        jump(BPF_JSET, MAP_ANONYMOUS as u32, 2, 0),
        jump(BPF_JSET, MAP_SHARED as u32, 0, 1),
        NOTIFY,
        ALLOW,
    ];
    let mut rules = vec![
        (SYS_socket, by_value(0, &families, fail(EAFNOSUPPORT))),
        (SYS_sendto, sent(MSG_OOB)),
        (SYS_recvfrom, addressed(MSG_OOB | MSG_ERRQUEUE)),
        (SYS_getsockopt, option()),
        (SYS_setsockopt, option()),
        (SYS_ioctl, Rule::When(ioctl)),
        (SYS_mmap, Rule::When(mmap)),
        (SYS_select, only_reading()),
        (SYS_pselect6, only_reading()),
        // A program that cannot be read cannot be served.
        (SYS_prctl, by_value(0, &[(libc::PR_SET_DUMPABLE, fail(0))], ALLOW)),
        // Daemons give up privileges that nobody has.
        (SYS_capset, Rule::Pretend),
        (SYS_setgroups, Rule::Pretend),
        // Programs for the host's network, as for a user without privileges.
        (SYS_bpf, Rule::Fail(EPERM)),
        (SYS_io_uring_setup, Rule::Fail(ENOSYS)),
        (SYS_io_uring_enter, Rule::Fail(ENOSYS)),
        (SYS_io_uring_register, Rule::Fail(ENOSYS)),
    ];
    let looked_at = [
        SYS_connect,
        SYS_bind,
        SYS_listen,
        SYS_accept,
        SYS_accept4,
        SYS_getsockname,
        SYS_getpeername,
        SYS_sendmsg,
        SYS_recvmsg,
        SYS_sendmmsg,
        SYS_recvmmsg,
        SYS_uname,
    ];
    rules.extend(looked_at.map(|call| (call, Rule::Notify)));
    let named = [
        SYS_open,
        SYS_openat2,
        SYS_creat,
        SYS_stat,
        SYS_lstat,
        SYS_access,
        SYS_faccessat,
        SYS_faccessat2,
        SYS_readlink,
        SYS_readlinkat,
        SYS_getxattr,
        SYS_lgetxattr,
        SYS_listxattr,
        SYS_llistxattr,
        SYS_getdents64,
    ];
    rules.extend(named.map(|call| (call, Rule::Notify)));
    rules.extend([
        (SYS_openat, unless_of_loader(loader)),
        (SYS_newfstatat, unless_empty(3)),
        (SYS_statx, unless_empty(2)),
        (SYS_write, of_value()),
    ]);
    rules
}

/// Looked at if only readability is asked for (arguments 2 and 3 are null): as of captures. Programs with much to do ask for both.
fn only_reading() -> Rule {
    let halves = [arg(2), arg(2) + 4, arg(3), arg(3) + 4];
    let mut body = Vec::new();
    for (n, half) in halves.into_iter().enumerate() {
        // Past the rest of the tests and the first return.
        let rest = 2 * (halves.len() - n - 1) as u8;
        body.extend([load(half), jump(BPF_JEQ, 0, 0, rest + 1)]);
    }
    body.extend([NOTIFY, ALLOW]);
    Rule::When(body)
}

/// Looked at unless it is about a descriptor (AT_EMPTY_PATH), as fstat(3) is: the flags are argument `n`.
fn unless_empty(n: u32) -> Rule {
    Rule::When(vec![load(arg(n)), jump(BPF_JSET, libc::AT_EMPTY_PATH as u32, 0, 1), ALLOW, NOTIFY])
}

/// openat(2), but for the loader's of a library to be read: see [`crate::loader`], which says where in a page these calls are. It gives
/// no directory, by a register's lower half, and lies where files are mapped.
fn unless_of_loader(calls: &[u32]) -> Rule {
    if calls.is_empty() {
        return Rule::Notify;
    }
    let given = [(arg(0), libc::AT_FDCWD as u32), (arg(0) + 4, 0), (arg(2), libc::O_CLOEXEC as u32)];
    let calls_len = calls.len() as u8;
    // All jumps end at the last two instructions: NOTIFY, ALLOW.
    let mut to_notify = 2 * given.len() as u8 + 4 + calls_len;
    let mut body = Vec::new();
    for (offset, value) in given {
        to_notify -= 2;
        body.extend([load(offset), jump(BPF_JEQ, value, 0, to_notify)]);
    }
    body.extend([
        load(INSTRUCTION_POINTER + 4),
        jump(BPF_JGE, MAPPED, 0, calls_len + 2),
        load(INSTRUCTION_POINTER),
        Insn { code: (BPF_ALU | BPF_AND | BPF_K) as u16, jt: 0, jf: 0, k: PAGE as u32 - 1 },
    ]);
    body.extend(calls.iter().enumerate().map(|(n, call)| jump(BPF_JEQ, *call, calls_len - n as u8, 0)));
    body.extend([NOTIFY, ALLOW]);
    Rule::When(body)
}

/// write(2) to a descriptor among those at which files of the node stand ([`WRITTEN`]): whether a value is refused the call itself must
/// say.
fn of_value() -> Rule {
    Rule::When(vec![
        load(arg(0)),
        jump(BPF_JGE, *WRITTEN.end() as u32 + 1, 2, 0),
        jump(BPF_JGE, *WRITTEN.start() as u32, 0, 1),
        NOTIFY,
        ALLOW,
    ])
}

/// The whole program. `loader`: where in a page the loader's calls of openat(2) are that need not be looked at.
pub(crate) fn program(loader: &[u32]) -> Vec<Insn> {
    let mut program = vec![
        load(ARCH),
        jump(BPF_JEQ, X86_64, 1, 0),
        fail(ENOSYS),
        load(NR),
        jump(BPF_JGE, X32, 0, 1),
        fail(ENOSYS),
    ];
    for (call, rule) in rules(loader) {
        let body = rule.body();
        program.push(jump(BPF_JEQ, call as u32, 0, body.len() as u8));
        program.extend(body);
    }
    program.push(ALLOW);
    program
}

#[cfg(test)]
mod tests;
