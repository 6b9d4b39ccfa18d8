//! `labctl`: see the crate `labctl`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    labctl::cli::run(std::env::args_os())
}
