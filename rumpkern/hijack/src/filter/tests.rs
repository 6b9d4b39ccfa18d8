//! The filter run on calls, by an interpreter of the instructions it uses.

use super::*;

/// Where in a page the loader of these tests opens libraries.
const LOADER: [u32; 2] = [0x2fa, 0xb1d];

/// What the filter does with a call.
fn verdict(arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    verdict_at(0x7f00_0000_1000, arch, nr, args)
}

/// The same, made by the instruction before `ip`.
fn verdict_at(ip: u64, arch: u32, nr: u32, args: [u64; 6]) -> u32 {
    let mut data = [0; 64];
    data[0..4].copy_from_slice(&nr.to_le_bytes());
    data[4..8].copy_from_slice(&arch.to_le_bytes());
    data[8..16].copy_from_slice(&ip.to_le_bytes());
    for (at, arg) in args.iter().enumerate() {
        data[16 + 8 * at..24 + 8 * at].copy_from_slice(&arg.to_le_bytes());
    }
    let program = program(&LOADER);
    let (mut pc, mut a) = (0, 0u32);
    loop {
        let Insn { code, jt, jf, k } = program[pc];
        pc += 1;
        let taken = match u32::from(code) {
            c if c == BPF_RET => return k,
            c if c == BPF_LD | BPF_W | BPF_ABS => {
                a = u32::from_le_bytes(data[k as usize..k as usize + 4].try_into().unwrap());
                continue;
            }
            c if c == BPF_ALU | BPF_AND => {
                a &= k;
                continue;
            }
            c if c == BPF_JMP | BPF_JEQ => a == k,
            c if c == BPF_JMP | BPF_JGE => a >= k,
            c if c == BPF_JMP | BPF_JSET => a & k != 0,
            other => panic!("instruction {other:#x}"),
        };
        pc += usize::from(if taken { jt } else { jf });
    }
}

fn x86_64(nr: i64, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    verdict(X86_64, nr as u32, all)
}

const N: u32 = SECCOMP_RET_USER_NOTIF;
const A: u32 = SECCOMP_RET_ALLOW;
const fn e(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | errno as u32
}

#[test]
fn sockets_are_the_nodes_by_family() {
    let unknown = e(EAFNOSUPPORT);
    let families = [
        (2, N),
        (10, N),
        (16, N),
        (17, N),
        (1, A),
        (38, A),
        (40, unknown),
        (0, unknown),
        (0x1_0000, unknown),
    ];
    for (family, expected) in families {
        assert_eq!(x86_64(SYS_socket, &[family, 1, 0]), expected, "family {family}");
    }
}

#[test]
fn data_goes_by_itself_and_addresses_are_looked_at() {
    let (high, low) = (0x7fff_0000_0000, 0x10);
    assert_eq!(x86_64(SYS_sendto, &[3, 1, 1, 0, 0, 0]), A);
    assert_eq!(x86_64(SYS_sendto, &[3, 1, 1, 0, high, 16]), N, "an address whose lower half is 0");
    assert_eq!(x86_64(SYS_sendto, &[3, 1, 1, 0, low, 16]), N);
    assert_eq!(x86_64(SYS_sendto, &[3, 1, 1, 1, 0, 0]), N, "MSG_OOB");
    assert_eq!(x86_64(SYS_sendto, &[3, 1, 0, 0x40, 0, 0]), N, "nothing: a ring's frames");
    assert_eq!(x86_64(SYS_sendto, &[3, 1, high, 0, 0, 0]), A, "a length whose lower half is 0");
    let by = |fd| x86_64(SYS_sendto, &[fd, 1, 40, 0, 0, 0]);
    assert_eq!([975, 976, 999, 1000, 0xffff_ffff].map(by), [A, N, N, A, A], "raw sockets'");
    assert_eq!(x86_64(SYS_recvfrom, &[3, 1, 1, 0x40, 0, 0]), A, "MSG_DONTWAIT");
    assert_eq!(x86_64(SYS_recvfrom, &[3, 1, 1, 0x2000, 0, 0]), N, "MSG_ERRQUEUE");
    assert_eq!(x86_64(SYS_recvfrom, &[3, 1, 1, 0, low, 0]), N);
    let native =
        [libc::SYS_read, libc::SYS_writev, libc::SYS_close, libc::SYS_shutdown, libc::SYS_epoll_wait];
    for nr in native.into_iter().chain([libc::SYS_socketpair, libc::SYS_sendfile, libc::SYS_dup]) {
        assert_eq!(x86_64(nr, &[3]), A);
    }
}

#[test]
fn options_and_requests() {
    assert_eq!(x86_64(SYS_setsockopt, &[3, 1, 20]), A, "SO_RCVTIMEO");
    assert_eq!(x86_64(SYS_getsockopt, &[3, 1, 67]), A, "SO_SNDTIMEO_NEW");
    assert_eq!(x86_64(SYS_getsockopt, &[3, 1, 4]), N, "SO_ERROR");
    assert_eq!(x86_64(SYS_setsockopt, &[3, 6, 20]), N, "another level");
    assert_eq!(x86_64(SYS_ioctl, &[3, 0x8912]), N, "SIOCGIFCONF");
    assert_eq!(x86_64(SYS_ioctl, &[3, 0x8b01]), N, "SIOCGIWNAME");
    assert_eq!(x86_64(SYS_ioctl, &[3, 0x5411]), N, "SIOCOUTQ");
    assert_eq!(x86_64(SYS_ioctl, &[3, 0x541b]), A, "FIONREAD");
    assert_eq!(x86_64(SYS_ioctl, &[3, 0x5401]), A, "TCGETS");
    assert_eq!(x86_64(SYS_prctl, &[4, 0]), e(0), "PR_SET_DUMPABLE");
    assert_eq!(x86_64(SYS_prctl, &[15, 0]), A);
    assert_eq!(x86_64(SYS_openat, &[3, 1, 0o2_000_000]), N);
    assert_eq!(x86_64(SYS_openat, &[3, 1, 1]), N, "O_WRONLY");
    assert_eq!(x86_64(SYS_open, &[1, 0o200_000]), N, "O_DIRECTORY");
    assert_eq!(x86_64(SYS_newfstatat, &[3, 1, 1, 0x100]), N, "lstat(3)");
    assert_eq!(x86_64(SYS_newfstatat, &[3, 1, 1, 0x1000]), A, "fstat(3)");
    assert_eq!(x86_64(SYS_statx, &[3, 1, 0x100, 0xfff]), N);
    assert_eq!(x86_64(SYS_statx, &[3, 1, 0x1800, 0xfff]), A);
    for nr in [SYS_stat, SYS_lstat, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_readlink, SYS_readlinkat] {
        assert_eq!(x86_64(nr, &[3, 1]), N, "{nr}");
    }
    assert_eq!(x86_64(SYS_creat, &[1, 0o644]), N);
    assert_eq!(x86_64(SYS_openat2, &[3, 1, 1, 24]), N);
}

#[test]
fn what_concerns_rings_is_looked_at() {
    let (shared, private, anonymous, write, high) = (1, 2, 0x20, 3, 0x7fff_0000_0000);
    assert_eq!(x86_64(SYS_mmap, &[0, 4096, write, shared, 5]), N);
    assert_eq!(x86_64(SYS_mmap, &[0, 4096, 1, shared, 5]), A, "only to be read");
    assert_eq!(x86_64(SYS_mmap, &[0, 4096, write, private, 5]), A);
    assert_eq!(x86_64(SYS_mmap, &[0, 4096, write, shared | anonymous, 5]), A);
    for select in [SYS_select, SYS_pselect6] {
        assert_eq!(x86_64(select, &[5, high, 0, 0, 1]), N);
        for sets in [[1, 0], [high, 0], [0, 1], [0, high]] {
            assert_eq!(x86_64(select, &[5, 1, sets[0], sets[1]]), A, "{sets:?}");
        }
    }
}

#[test]
fn there_is_no_way_around() {
    assert_eq!(verdict(0x4000_0003, 359, [2, 1, 0, 0, 0, 0]), e(ENOSYS), "socket(2) of i386");
    assert_eq!(verdict(X86_64, X32 | 41, [2, 1, 0, 0, 0, 0]), e(ENOSYS), "socket(2) of x32");
    for nr in [SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register] {
        assert_eq!(x86_64(nr, &[]), e(ENOSYS));
    }
}

/// Each jump lands inside the program: the host would refuse it otherwise.
#[test]
fn the_host_takes_it() {
    let program = program(&LOADER);
    assert!(program.len() < 4096);
    for (at, insn) in program.iter().enumerate() {
        if u32::from(insn.code) & 7 == BPF_JMP {
            assert!(at + 1 + usize::from(insn.jt.max(insn.jf)) < program.len());
        }
    }
}

#[test]
fn a_value_is_looked_at_where_files_of_the_node_are_written() {
    let write = |fd, len| x86_64(SYS_write, &[fd, 0x10, len]);
    assert_eq!([1000, 1010, 1023].map(|fd| write(fd, 5000)), [N; 3]);
    assert_eq!([0, 1, 2, 3, 999, 1024, 0xffff_ffff].map(|fd| write(fd, 2)), [A; 7]);
}

#[test]
fn the_loader_opens_libraries_by_itself() {
    let open = |ip, args: [u64; 3]| {
        let [start, path, flags] = args;
        verdict_at(ip, X86_64, SYS_openat as u32, [start, path, flags, 0, 0, 0])
    };
    let (here, to_read) = (0xffff_ff9c, 0o2_000_000);
    for at in LOADER {
        let ip = 0x7f12_3456_7000 + u64::from(at);
        assert_eq!(open(ip, [here, 1, to_read]), A);
        assert_eq!(open(ip, [here, 1, to_read | 1]), N, "O_WRONLY");
        assert_eq!(open(ip, [here, 1, 0]), N, "without O_CLOEXEC");
        assert_eq!(open(ip, [here | 0xffff_ffff << 32, 1, to_read]), N, "as others call it");
        assert_eq!(open(ip, [3, 1, to_read]), N, "in a directory");
        assert_eq!(open(ip + 1, [here, 1, to_read]), N, "another instruction");
        assert_eq!(open(0x5512_3456_7000 + u64::from(at), [here, 1, to_read]), N, "the program's own");
        assert_eq!(verdict_at(ip, X86_64, SYS_open as u32, [1, to_read, 0, 0, 0, 0]), N);
    }
    let knows_none = program(&[]);
    assert!(knows_none.len() < program(&LOADER).len());
}
