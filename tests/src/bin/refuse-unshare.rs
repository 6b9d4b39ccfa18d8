//! `refuse-unshare [FILTER] PROGRAM [ARG…]`: runs a program that cannot make user namespaces; nor, with `--seccomp`, load
//! system call filters by seccomp(2); nor, with `--docker` or `--podman`, do what the filters of these refuse.
#![forbid(unsafe_code)]

use lab_tests::seccomp_unsafe;
use std::os::unix::process::CommandExt;

fn main() {
    let mut words = std::env::args_os().skip(1).peekable();
    let filter = words.next_if(|word| word.to_str().is_some_and(|word| word.starts_with("--")));
    let Some(program) = words.next() else {
        eprintln!("usage: refuse-unshare [--seccomp | --docker | --podman] PROGRAM [ARG…]");
        std::process::exit(2);
    };
    let refused =
        seccomp_unsafe::refuse_namespaces().and_then(|()| match filter.as_ref().and_then(|f| f.to_str()) {
            Some("--seccomp") => seccomp_unsafe::refuse(&[libc::SYS_seccomp]),
            Some("--docker") => seccomp_unsafe::refuse(&[
                libc::SYS_pidfd_getfd,
                libc::SYS_io_uring_setup,
                libc::SYS_io_uring_enter,
                libc::SYS_io_uring_register,
            ]),
            Some("--podman") => {
                seccomp_unsafe::refuse(&[libc::SYS_process_vm_readv, libc::SYS_process_vm_writev])
            }
            _ => Ok(()),
        });
    if let Err(e) = refused {
        eprintln!("refuse-unshare: seccomp: {e}");
        std::process::exit(4);
    }
    let e = std::process::Command::new(&program).args(words).exec();
    eprintln!("refuse-unshare: {}: {e}", program.display());
    std::process::exit(127);
}
