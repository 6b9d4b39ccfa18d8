//! The control socket: how the lab speaks to a node.
//!
//! A Unix stream socket; one JSON object a line in both directions ([`proto`]). The node's side is
//! [`listen`] and [`serve`]; [`Client`] is the blocking side that `labctl` and tests use.

pub mod proto;

mod answer;
mod client;
mod server;
mod show;

pub use answer::answer;
pub use client::{Client, ClientError, Interrupter, Output};
pub use server::{listen, serve};

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Octets of the longest path that `sockaddr_un` holds, less the final NUL.
const SUN_PATH_MAX: usize = 107;

/// Does something with a socket path that may be too long for `sockaddr_un`: a long one is reached
/// by way of its directory's descriptor.
pub(crate) fn with_short_path<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    match path.parent().zip(path.file_name()) {
        Some((directory, name)) if path.as_os_str().len() > SUN_PATH_MAX => {
            let directory = std::fs::File::open(directory)?;
            act(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name))
        }
        _ => act(path),
    }
}
