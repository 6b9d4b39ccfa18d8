//! System calls on a remote rump kernel.
//!
//! A *client* is an ordinary program that is a process of a node: it connects to the node's `sysproxy` socket, and
//! its calls run on that node's stack. [`Client`] has a typed blocking call for each system call of sockets, and
//! [`Client::submit`] and [`Client::complete`] for those who run many calls at once from an event loop.
//!
//! The wire is a `SOCK_SEQPACKET` unix socket, one frame a message, little-endian: [`wire`] is its grammar (header
//! and fields), [`msg`] its vocabulary (which fields each call has), [`sockaddr`] the socket addresses in it. The
//! node's side uses the same three files, so the codec exists once. Nothing here knows the kernel: this crate stays
//! light enough for any program.
//!
//! Not here: the interception of unmodified programs (`rumphijack`, which is a user of this crate).
//!
//! ```no_run
//! use rumpclient::{Client, Domain, Kind};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut node = Client::connect("/tmp/labctl-1000/hello/node/h1/sysproxy")?;
//! let sock = node.socket(Domain::Inet, Kind::Stream, 0)?;
//! node.connect_to(sock, "10.0.2.2:80".parse()?)?;
//! node.send(sock, b"GET / HTTP/1.0\r\n\r\n", 0)?;
//! let mut page = [0; 4096];
//! let octets = node.recv(sock, &mut page, 0)?;
//! println!("{}", String::from_utf8_lossy(&page[..octets]));
//! node.close(sock)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod calls;
mod client;
pub mod door;
pub mod msg;
pub mod pair;
pub mod sockaddr;
mod token;
pub mod wire;

pub use calls::{Domain, How, Kind, Polled, Received};
pub use client::{CallError, Client, Completion, ConnectError, ReqId};
pub use rustix::io::Errno;
pub use token::AcceptToken;
pub use wire::Sid;
