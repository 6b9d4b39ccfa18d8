//! `rumpkern CONFIG`: one node. The same as `labctl` executed under this name.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rumpkern::node::main(&std::env::args_os().skip(1).collect::<Vec<_>>())
}
