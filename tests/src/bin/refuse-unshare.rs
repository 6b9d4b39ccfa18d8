//! `refuse-unshare PROGRAM [ARG…]`: runs a program that cannot make user namespaces.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: refuse-unshare PROGRAM [ARG…]");
        std::process::exit(2);
    };
    if let Err(e) = lab_tests::seccomp_unsafe::refuse_namespaces() {
        eprintln!("refuse-unshare: seccomp: {e}");
        std::process::exit(4);
    }
    let e = std::process::Command::new(&program).args(words).exec();
    eprintln!("refuse-unshare: {}: {e}", program.display());
    std::process::exit(127);
}
