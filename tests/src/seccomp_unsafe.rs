//! System call filters as hardened hosts and container runtimes have them: one that refuses namespaces, one further filters.
#![allow(unsafe_code)]

use std::io;

/// Load the system call number.
const NR: u32 = 0;
/// Load the architecture.
const ARCH: u32 = 4;
/// Load the low half of the first argument (little endian).
const ARG0: u32 = 16;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

fn load(offset: u32) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | test | libc::BPF_K) as u16, jt, jf, k }
}

fn answer(action: u32) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: action }
}

/// From now on, for this process and its descendants: `unshare` and `setns` give EPERM, `clone` with CLONE_NEWUSER EPERM,
/// `clone3` ENOSYS (its flags cannot be seen, so C libraries fall back to `clone`). Needs NO_NEW_PRIVS or CAP_SYS_ADMIN.
pub fn refuse_namespaces() -> io::Result<()> {
    let eperm = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let filter = [
        load(ARCH),
        jump(libc::BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0),
        answer(enosys),
        load(NR),
        jump(libc::BPF_JEQ, libc::SYS_unshare as u32, 5, 0),
        jump(libc::BPF_JEQ, libc::SYS_setns as u32, 4, 0),
        jump(libc::BPF_JEQ, libc::SYS_clone3 as u32, 4, 0),
        jump(libc::BPF_JEQ, libc::SYS_clone as u32, 0, 4),
        load(ARG0),
        jump(libc::BPF_JSET, libc::CLONE_NEWUSER as u32, 0, 2),
        answer(eperm),
        answer(enosys),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    install(&filter)
}

/// From now on, for this process and its descendants: these calls give EPERM, as a container runtime's filter has it.
pub fn refuse(calls: &[libc::c_long]) -> io::Result<()> {
    let mut filter = vec![load(ARCH), jump(libc::BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0)];
    filter.extend([answer(libc::SECCOMP_RET_ALLOW), load(NR)]);
    for call in calls {
        filter.push(jump(libc::BPF_JEQ, *call as u32, 0, 1));
        filter.push(answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    }
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    install(&filter)
}

fn install(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: prctl reads its integer arguments only; `program` and `filter` outlive the call, which copies them.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) != 0
    };
    if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
}
