//! Where the tools of scripts (`sysctl`, `ip` …) reach the stack: an abstract Unix socket, whose name they
//! find in [`SOCKET_VARIABLE`]. It leaves nothing behind, however packetdrill ends.
//!
//! A tool sends its arguments, its own name first, each with a NUL behind it, and shuts its sending side.
//! The answer is its exit status (one octet), the length of its output (32 bits, little-endian), the
//! output, and the rest is for standard error. One tool at a time.

use crate::node::Node;
use crate::tools;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The environment variable that holds the socket's name, without the NUL in front. The tool knows it too.
pub(crate) const SOCKET_VARIABLE: &str = "LAB_PACKETDRILL_SOCKET";
/// Octets of the thread's stack.
const STACK: usize = 128 << 10;
/// Octets of the longest command line.
const MOST: u64 = 1 << 20;

/// The thread that serves.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Starts to serve `node`.
    pub(crate) fn start(node: Arc<Node>) -> io::Result<Server> {
        let random = RandomState::new().build_hasher().finish();
        let name = format!("lab-packetdrill-{}-{random:016x}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let serve = move || {
            for client in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                // A tool that went away does not want its answer.
                let _ = serve(&node, client);
            }
        };
        thread::Builder::new().name("lab-tools".into()).stack_size(STACK).spawn(serve)?;
        Ok(Server { name, ended })
    }

    /// The socket's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = SocketAddr::from_abstract_name(&self.name).and_then(|name| UnixStream::connect_addr(&name));
    }
}

fn serve(node: &Node, mut client: UnixStream) -> io::Result<()> {
    // Anybody on the host may connect to the name.
    let peer = rustix::net::sockopt::socket_peercred(&client)?;
    if peer.uid != rustix::process::getuid() {
        return Ok(());
    }
    let mut octets = Vec::new();
    (&mut client).take(MOST).read_to_end(&mut octets)?;
    let arguments: Vec<String> = octets
        .split_inclusive(|octet| *octet == 0)
        .filter_map(|argument| argument.strip_suffix(&[0]))
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    let done = tools::run(node, &arguments);
    let mut answer = vec![done.status];
    answer.extend(u32::try_from(done.out.len()).unwrap_or(u32::MAX).to_le_bytes());
    answer.extend(done.out.as_bytes());
    answer.extend(done.err.as_bytes());
    client.write_all(&answer)
}
