//! `labctl`: see the crate `labctl`. Executed as `rumpkern CONFIG` it is a node: see the crate `rumpkern`;
//! as `rumphijack …` the supervisor of a host program on a node: see the crate `rumphijack`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    // A node is this very program under another name.
    if let Some(node) = rumpkern::main_from_args() {
        return node;
    }
    // So is the supervisor of a program that runs on one.
    if let Some(supervisor) = rumphijack::main_from_args() {
        return supervisor;
    }
    labctl::cli::run(std::env::args_os())
}
