//! `labctl`: see the crate `labctl`. Executed as `rumpkern CONFIG` it is a node: see the crate `rumpkern`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    // A node is this very program under another name.
    if let Some(node) = rumpkern::main_from_args() {
        return node;
    }
    labctl::cli::run(std::env::args_os())
}
