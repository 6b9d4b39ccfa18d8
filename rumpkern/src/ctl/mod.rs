//! The control socket: how the lab speaks to a node.
//!
//! A Unix stream socket; one JSON object a line in both directions ([`proto`]). The node's side
//! is the `server` room, [`Client`] is the blocking side that `labctl` and tests use.

pub mod proto;

mod client;

pub use client::{Client, ClientError, Output};

/// Octets of the longest path that `sockaddr_un` holds, less the final NUL.
pub(crate) const SUN_PATH_MAX: usize = 107;
