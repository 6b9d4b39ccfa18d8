//! The node's sockets that programs hold, by the inodes of their ends.

use rumpclient::Sid;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Its descriptor on the node.
    pub(crate) sid: Sid,
    /// `AF_INET` …
    pub(crate) domain: u32,
    /// `SOCK_STREAM` …
    pub(crate) kind: u32,
    /// A datagram socket that has a peer: it needs no address to send.
    pub(crate) connected: bool,
    /// It was made to listen.
    pub(crate) listening: bool,
    /// What recvmsg(2) shall tell of datagrams.
    pub(crate) wants: Wants,
    /// The door that its end waits before, of streams.
    pub(crate) door: Option<Vec<u8>>,
    /// Options that the node has not been told: see [`crate::ahead`].
    pub(crate) held: Vec<HeldOption>,
    /// Of a stream whose connect(2) has ended well.
    pub(crate) names: Option<Names>,
    /// The node has told so by itself, and nobody has asked since.
    pub(crate) told: bool,
    /// It is another session's.
    pub(crate) met: bool,
    /// A copy of its end, where the host lets nobody fetch one from the program.
    pub(crate) kept: Option<OwnedFd>,
}

/// Level, name and value of an option.
pub(crate) type HeldOption = ((u32, u32), Vec<u8>);

/// The addresses of a connection's ends.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) own: Vec<u8>,
    pub(crate) peer: Vec<u8>,
}

bitflags::bitflags! {
    /// Control messages that a program has asked for.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Wants: u16 {
        /// IP_PKTINFO
        const PKTINFO = 1;
        /// IP_RECVTTL
        const TTL = 2;
        /// IP_RECVTOS
        const TOS = 4;
        /// SO_TIMESTAMP
        const TIMESTAMP = 8;
        /// SO_TIMESTAMPNS
        const TIMESTAMPNS = 16;
        /// These two: each takes the place of the other.
        const STAMPS = 8 | 16;
        /// PACKET_AUXDATA
        const AUXDATA = 32;
        /// IPV6_RECVPKTINFO
        const PKTINFO6 = 64;
        /// IPV6_RECVHOPLIMIT
        const HOPLIMIT6 = 128;
        /// IPV6_RECVTCLASS
        const TCLASS6 = 256;
        /// IPV6_RECVHOPOPTS
        const HOPOPTS6 = 512;
        /// IPV6_RECVRTHDR
        const RTHDR6 = 1024;
        /// IPV6_RECVDSTOPTS
        const DSTOPTS6 = 2048;
        /// IPV6_FLOWINFO
        const FLOWINFO6 = 4096;
        /// IPV6_RECVPATHMTU
        const PATHMTU6 = 8192;
    }
}

impl Socket {
    pub(crate) fn new(sid: Sid, domain: u32, kind: u32) -> Socket {
        Socket {
            sid,
            domain,
            kind,
            connected: false,
            listening: false,
            wants: Wants::empty(),
            door: None,
            held: Vec::new(),
            names: None,
            told: false,
            met: false,
            kept: None,
        }
    }

    /// Octets before the network header of what a packet socket receives.
    pub(crate) fn net_offset(&self) -> u16 {
        if (self.domain, self.kind) == (libc::AF_PACKET as u32, libc::SOCK_RAW as u32) { 14 } else { 0 }
    }

    pub(crate) fn is_packet(&self) -> bool {
        self.domain == libc::AF_PACKET as u32
    }

    /// Of IP's packets.
    pub(crate) fn is_raw(&self) -> bool {
        self.kind == libc::SOCK_RAW as u32
            && [libc::AF_INET as u32, libc::AF_INET6 as u32].contains(&self.domain)
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.kind == libc::SOCK_STREAM as u32
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    by_inode: BTreeMap<u64, Socket>,
    inodes: BTreeMap<Sid, u64>,
    /// Sockets of the host's: nobody need be asked again.
    hosts: BTreeSet<u64>,
}

/// Sockets of the host's that are remembered.
const MOST_HOSTS: usize = 4096;

impl Sockets {
    pub(crate) fn insert(&mut self, inode: u64, socket: Socket) {
        self.hosts.remove(&inode);
        self.inodes.insert(socket.sid, inode);
        self.by_inode.insert(inode, socket);
    }

    /// It is the host's.
    pub(crate) fn insert_hosts(&mut self, inode: u64) {
        if self.hosts.len() >= MOST_HOSTS {
            self.hosts.clear();
        }
        self.hosts.insert(inode);
    }

    /// Whether it is known whose it is.
    pub(crate) fn knows(&self, inode: u64) -> bool {
        self.by_inode.contains_key(&inode) || self.hosts.contains(&inode)
    }

    /// The node has closed it: the program's end is closed.
    pub(crate) fn remove(&mut self, sid: Sid) {
        if let Some(inode) = self.inodes.remove(&sid) {
            self.by_inode.remove(&inode);
        }
    }

    /// The inode of the end of a socket of the node's.
    pub(crate) fn inode(&self, sid: Sid) -> Option<u64> {
        self.inodes.get(&sid).copied()
    }

    pub(crate) fn get(&self, inode: u64) -> Option<&Socket> {
        self.by_inode.get(&inode)
    }

    pub(crate) fn get_mut(&mut self, inode: u64) -> Option<&mut Socket> {
        self.by_inode.get_mut(&inode)
    }

    /// The options of a socket that the node has not been told.
    pub(crate) fn take_held(&mut self, sid: Sid) -> Vec<HeldOption> {
        let socket = self.inodes.get(&sid).and_then(|inode| self.by_inode.get_mut(inode));
        socket.map(|socket| std::mem::take(&mut socket.held)).unwrap_or_default()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Socket)> {
        self.by_inode.iter_mut().map(|(inode, socket)| (*inode, socket))
    }
}
