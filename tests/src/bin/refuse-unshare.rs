//! `refuse-unshare [--seccomp] PROGRAM [ARG…]`: runs a program that cannot make user namespaces; nor, if that is said, load
//! system call filters by seccomp(2).
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt;

fn main() {
    let mut words = std::env::args_os().skip(1).peekable();
    let filters = words.next_if(|word| word == "--seccomp").is_some();
    let Some(program) = words.next() else {
        eprintln!("usage: refuse-unshare [--seccomp] PROGRAM [ARG…]");
        std::process::exit(2);
    };
    let refused = lab_tests::seccomp_unsafe::refuse_namespaces().and_then(|()| match filters {
        true => lab_tests::seccomp_unsafe::refuse_filters(),
        false => Ok(()),
    });
    if let Err(e) = refused {
        eprintln!("refuse-unshare: seccomp: {e}");
        std::process::exit(4);
    }
    let e = std::process::Command::new(&program).args(words).exec();
    eprintln!("refuse-unshare: {}: {e}", program.display());
    std::process::exit(127);
}
