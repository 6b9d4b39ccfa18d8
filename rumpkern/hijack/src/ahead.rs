//! What needs no round trip to the node, which costs as much as several calls that the host serves.
//!
//! A stream before the door ([`rumpclient::door`]) is nobody's peer yet: options that cannot be refused are held until the node is
//! asked for something that they may matter to, and are told in front of that. A stream's names are told with the end of its
//! connect(2), whether the call or SO_ERROR tells it, and hold as long as the connection does.

use crate::seccomp_unsafe::Call;
use crate::sockets::Names;
use crate::supervisor::Supervisor;
use rumpclient::msg::Request;
use rumpclient::{Completion, Sid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Largest values of TCP_KEEPIDLE and TCP_KEEPINTVL, and of TCP_KEEPCNT.
const MOST_SECONDS: u32 = 32_767;
const MOST_PROBES: u32 = 127;

/// Whether no stream refuses this value of an option.
fn is_certain(level: u32, name: u32, value: &[u8]) -> bool {
    let Some(word) = value.first_chunk().map(|word| u32::from_le_bytes(*word)) else { return false };
    match (level as i32, name as i32) {
        (libc::SOL_SOCKET, libc::SO_REUSEADDR | libc::SO_KEEPALIVE) | (libc::SOL_TCP, libc::TCP_NODELAY) => {
            true
        }
        (libc::SOL_TCP, libc::TCP_KEEPIDLE | libc::TCP_KEEPINTVL) => (1..=MOST_SECONDS).contains(&word),
        (libc::SOL_TCP, libc::TCP_KEEPCNT) => (1..=MOST_PROBES).contains(&word),
        _ => false,
    }
}

impl Supervisor {
    /// Keeps an option until the node is asked for something; false: it is to be told at once.
    pub(crate) fn hold_option(&mut self, inode: u64, level: u32, name: u32, value: &[u8]) -> bool {
        let Some(socket) = self.sockets.get_mut(inode) else { return false };
        let holds = socket.is_stream() && socket.door.is_some() && is_certain(level, name, value);
        if holds {
            // The last word counts; so a program cannot fill our memory.
            socket.held.retain(|(held, _)| *held != (level, name));
            socket.held.push(((level, name), value[..4].to_vec()));
        }
        holds
    }

    /// Tells the node what is held of a socket, in front of what it is asked next.
    pub(crate) fn tell_held(&mut self, sid: Sid) {
        for ((level, name), value) in self.sockets.take_held(sid) {
            self.node.quietly(sid, &Request::SetSockOpt { level, name, value: &value });
        }
    }

    /// A handshake that nobody waited for has ended well.
    pub(crate) fn connected(&mut self, event: &Completion) {
        if let Some(inode) = self.sockets.inode(event.sid) {
            self.learn_names(inode, event);
            if let Some(socket) = self.sockets.get_mut(inode) {
                socket.told = true;
            }
        }
    }

    /// Whether SO_ERROR, asked for the first time since a handshake, is known to be 0: so programs look whether it has ended well.
    pub(crate) fn is_well(&mut self, call: &Call, inode: u64) -> bool {
        let told = self.sockets.get_mut(inode).is_some_and(|socket| std::mem::take(&mut socket.told));
        told && self.peer_name(call, inode).is_some()
    }

    /// The names that came with an answer are the connection's.
    pub(crate) fn learn_names(&mut self, inode: u64, answer: &Completion) {
        let body = answer.body().unwrap_or_default();
        if let (Some(own), Some(peer)) = (body.local, body.addr)
            && let Some(socket) = self.sockets.get_mut(inode)
        {
            socket.names = Some(Names { own: own.to_vec(), peer: peer.to_vec() });
            socket.told = false;
        }
    }

    /// The name of this end, if it is known.
    pub(crate) fn own_name(&self, inode: u64) -> Option<Vec<u8>> {
        Some(self.sockets.get(inode)?.names.as_ref()?.own.clone())
    }

    /// The peer's, if it is known and the connection stands: one that has failed has no peer.
    pub(crate) fn peer_name(&mut self, call: &Call, inode: u64) -> Option<Vec<u8>> {
        let peer = self.sockets.get(inode)?.names.as_ref()?.peer.clone();
        let end = self.end_of(call, inode).ok()?;
        let mut fds = [PollFd::new(&end, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).ok()?;
        fds[0].revents().is_empty().then_some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_refused_is_held() {
        let (socket, tcp) = (libc::SOL_SOCKET as u32, libc::SOL_TCP as u32);
        let one = 1u32.to_le_bytes();
        assert!(is_certain(tcp, libc::TCP_NODELAY as u32, &one));
        assert!(is_certain(tcp, libc::TCP_KEEPIDLE as u32, &60u32.to_le_bytes()));
        assert!(is_certain(socket, libc::SO_KEEPALIVE as u32, &[0; 8]));
        assert!(!is_certain(tcp, libc::TCP_NODELAY as u32, &one[..3]), "too short");
        assert!(!is_certain(tcp, libc::TCP_KEEPIDLE as u32, &0u32.to_le_bytes()), "EINVAL");
        assert!(!is_certain(tcp, libc::TCP_KEEPCNT as u32, &128u32.to_le_bytes()), "EINVAL");
        assert!(!is_certain(socket, libc::SO_BINDTODEVICE as u32, b"eth0\0"), "there may be none");
    }
}
