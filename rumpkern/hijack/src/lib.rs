//! Unmodified programs on a node.
//!
//! A *supervisor* starts a program behind a seccomp filter and is told of those of its system calls that name addresses, sockets or
//! interfaces. It makes them on a node, whose client it is ([`rumpclient`]); the program's sockets are ends of unix socket
//! pairs whose other ends the node holds, so its data flows without anybody's help. No root, no user namespace,
//! no preloaded library, no ptrace.
//!
//! | file | what it is |
//! |---|---|
//! | `filter` | which calls are looked at |
//! | `seccomp_unsafe` | the host's interface to them |
//! | `launch_unsafe` | a program starts behind the filter |
//! | `supervisor` | the loop: calls, the node's answers, signals |
//! | `calls/` | each family of calls |
//! | `sockets`, `process`, `memory` | the program's sockets, descriptors, memory |
//! | `written` | files of the node that it writes |
//! | `tree` | its processes, and their end |
//! | `run` | the life of a supervisor |
//! | `probe` | whether the host allows all that |
//!
//! Interception is a convenience, not a sandbox: a hostile program can change its arguments while they are looked at, and
//! reach what the user can reach. It fails closed: when the supervisor is gone, `socket()` fails (ENOSYS) and is never the host's.

mod calls;
mod filter;
mod launch_unsafe;
mod memory;
mod probe;
mod process;
mod run;
mod seccomp_unsafe;
mod sockets;
mod supervisor;
mod tree;
mod written;

pub use probe::{Probe, probe};
pub use run::{ARGV0, Report, main_from_args};
pub use tree::Status;
