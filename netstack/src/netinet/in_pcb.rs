//! Demultiplexing: which socket gets a packet, and which ports are free (BSD's `in_pcb`).
//!
//! One [`PcbTable`] serves one transport protocol. Connected sockets are found by a keyed hash of
//! the 4-tuple, the others by their local port and then by how well their address fits. The rules
//! of sharing a port (SO_REUSEADDR, SO_REUSEPORT) are Linux's; ephemeral ports are chosen as in
//! RFC 6056 §3.3.3 (algorithm 3, a keyed offset for each destination).
//!
//! It holds names of sockets only, never the sockets; who owns a socket tells the table of each
//! change. It does not know which addresses are ours.

use crate::net::IfIndex;
use crate::socket::SockError;
use hashbrown::HashTable;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// Ports given to sockets that did not ask for one (Linux's `ip_local_port_range`).
pub const EPHEMERAL_PORTS: RangeInclusive<u16> = 32768..=60999;

/// Who receives a packet that no connected socket claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    /// Every bound socket that is not connected (UDP).
    Bound,
    /// Only sockets that listen (TCP).
    Listening,
}

/// Whether a socket shares its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Share {
    /// SO_REUSEADDR
    pub addr: bool,
    /// SO_REUSEPORT
    pub port: bool,
}

/// What a socket is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Local address; unspecified: all of its family (and of IPv4 for `::`, unless `only_v6`).
    pub addr: IpAddr,
    /// Local port, never 0.
    pub port: u16,
    /// SO_BINDTODEVICE
    pub ifindex: Option<IfIndex>,
    /// How the port is shared.
    pub share: Share,
    /// IPV6_V6ONLY
    pub only_v6: bool,
}

impl Binding {
    /// `addr` and `port`, shared with nobody.
    pub fn exclusive(addr: IpAddr, port: u16) -> Binding {
        Binding { addr, port, ifindex: None, share: Share::default(), only_v6: false }
    }

    /// What a connection from `local` keeps others from binding.
    fn shared(local: SocketAddr, share: Share) -> Binding {
        Binding { share, ..Binding::exclusive(local.ip(), local.port()) }
    }

    /// Whether packets to `dst` are meant.
    fn takes(&self, dst: IpAddr) -> bool {
        match (self.addr, dst) {
            (IpAddr::V4(a), IpAddr::V4(d)) => a.is_unspecified() || a == d,
            (IpAddr::V6(a), IpAddr::V6(d)) => a.is_unspecified() || a == d,
            (IpAddr::V6(a), IpAddr::V4(d)) => {
                (a.is_unspecified() && !self.only_v6) || a.to_ipv4_mapped() == Some(d)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    /// Whether some packet could be meant for both.
    fn overlaps(&self, other: &Binding) -> bool {
        let devices = match (self.ifindex, other.ifindex) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => true,
        };
        let wild = |b: &Binding, of: IpAddr| {
            b.addr.is_unspecified() && (b.addr.is_ipv4() == of.is_ipv4() || (b.addr.is_ipv6() && !b.only_v6))
        };
        devices
            && (self.takes(other.addr)
                || other.takes(self.addr)
                || wild(self, other.addr)
                || wild(other, self.addr))
    }

    /// How well the binding fits a packet that it takes: address, then interface, then family.
    fn fit(&self, dst: IpAddr) -> u8 {
        u8::from(!self.addr.is_unspecified()) << 2
            | u8::from(self.ifindex.is_some()) << 1
            | u8::from(self.addr.is_ipv4() == dst.is_ipv4())
    }
}

/// A connection's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tuple {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
}

impl Tuple {
    fn new(local: SocketAddr, remote: SocketAddr) -> Tuple {
        Tuple { local: (local.ip(), local.port()), remote: (remote.ip(), remote.port()) }
    }
}

/// A bound socket.
#[derive(Clone, Debug)]
struct Bound<Id> {
    id: Id,
    binding: Binding,
    listening: bool,
    connected: bool,
}

/// Connections that use a port without a binding of their own (accepted, or connected without
/// `bind`), counted by what matters to a later `bind`: there may be a hundred thousand.
#[derive(Clone, Debug)]
struct Users {
    binding: Binding,
    count: usize,
}

/// All that is known of one local port.
#[derive(Clone, Debug)]
struct Port<Id> {
    number: u16,
    /// In the order of binding.
    bound: Vec<Bound<Id>>,
    users: Vec<Users>,
}

/// A connected socket.
#[derive(Clone, Debug)]
struct Connected<Id> {
    tuple: Tuple,
    id: Id,
    /// How it shares its port, if it has no binding of its own: so it is counted among the port's [`Users`].
    user: Option<Share>,
}

/// Fast keyed hash of addresses and ports: folded 64×64-bit multiplication. The key is secret, so
/// a peer cannot aim at one bucket.
#[derive(Clone, Copy, Debug)]
struct Key([u64; 3]);

impl Key {
    fn fold(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ (product >> 64) as u64
    }

    fn addr(self, ip: IpAddr, key: u64) -> u64 {
        match ip {
            IpAddr::V4(a) => u64::from(a.to_bits()),
            IpAddr::V6(a) => {
                let bits = a.to_bits();
                Self::fold(bits as u64 ^ key, (bits >> 64) as u64 ^ self.0[2])
            }
        }
    }

    fn tuple(self, t: &Tuple) -> u64 {
        let addrs = self.addr(t.local.0, self.0[0]).rotate_left(32) ^ self.addr(t.remote.0, self.0[1]);
        let ports = u64::from(t.local.1) << 16 | u64::from(t.remote.1);
        Self::fold(Self::fold(addrs ^ self.0[0], self.0[1] ^ ports), self.0[2])
    }

    fn port(self, port: u16) -> u64 {
        Self::fold(u64::from(port) ^ self.0[0], self.0[2])
    }
}

/// The sockets of one transport protocol, by what packets they receive.
#[derive(Debug)]
pub struct PcbTable<Id> {
    receivers: Receivers,
    key: Key,
    ports: HashTable<Port<Id>>,
    connected: HashTable<Connected<Id>>,
    /// RFC 6056's `next_ephemeral`.
    next_ephemeral: u16,
    /// The range of ephemeral ports.
    pub ephemeral: RangeInclusive<u16>,
}

impl<Id: Copy + Eq> PcbTable<Id> {
    /// An empty table; `seed` is secret.
    pub fn new(receivers: Receivers, seed: [u64; 2]) -> PcbTable<Id> {
        let k0 = Key::fold(seed[0] ^ 0x9e37_79b9_7f4a_7c15, seed[1] | 1);
        let key = Key([seed[0] | 1, seed[1] | 1, k0 | 1]);
        PcbTable {
            receivers,
            key,
            ports: HashTable::new(),
            connected: HashTable::new(),
            next_ephemeral: (k0 >> 32) as u16,
            ephemeral: EPHEMERAL_PORTS,
        }
    }

    // ---- ports ---------------------------------------------------------------------------------

    /// Binds `id`. `AddrInUse`: somebody who does not share has the port.
    pub fn bind(&mut self, id: Id, binding: Binding) -> Result<(), SockError> {
        debug_assert!(binding.port != 0, "port 0 asks for bind_any");
        if !self.may_bind(&binding) {
            return Err(SockError::AddrInUse);
        }
        self.port_entry(binding.port).bound.push(Bound { id, binding, listening: false, connected: false });
        Ok(())
    }

    /// Binds `id` to a free port of the ephemeral range, beginning at a place that `random` says;
    /// `binding.port` is ignored. Returns the port. `AddrInUse`: there is none.
    pub fn bind_any(&mut self, id: Id, mut binding: Binding, random: u64) -> Result<u16, SockError> {
        let (first, n) = self.range();
        let start = (random % u64::from(n)) as u32;
        for i in 0..n {
            binding.port = first + ((start + i) % n) as u16;
            // A port nobody has told us of is never shared with a socket that did not choose it.
            if self.port(binding.port).is_none() {
                self.bind(id, binding)?;
                return Ok(binding.port);
            }
        }
        Err(SockError::AddrInUse)
    }

    /// A local port for a connection from `local` to `remote` (RFC 6056 §3.3.3), such that the
    /// 4-tuple is new, or that of a connection that is `as_good_as_gone`, and nobody has bound the port.
    /// `AddrNotAvailable`: there is none.
    pub fn ephemeral(
        &mut self,
        local: IpAddr,
        remote: SocketAddr,
        as_good_as_gone: impl Fn(Id) -> bool,
    ) -> Result<u16, SockError> {
        let (first, n) = self.range();
        let offset =
            self.key.tuple(&Tuple { local: (local, 0), remote: (remote.ip(), remote.port()) }) as u32 % n;
        for _ in 0..n {
            let port = first + ((offset + u32::from(self.next_ephemeral)) % n) as u16;
            self.next_ephemeral = self.next_ephemeral.wrapping_add(1);
            let bound = self.port(port).is_some_and(|p| !p.bound.is_empty());
            let other = self.lookup_connected(SocketAddr::new(local, port), remote);
            if !bound && other.is_none_or(&as_good_as_gone) {
                return Ok(port);
            }
        }
        Err(SockError::AddrNotAvailable)
    }

    /// Makes a bound socket receive connections. `AddrInUse`: another one listens there and the
    /// two do not share by SO_REUSEPORT.
    pub fn listen(&mut self, id: Id, port: u16) -> Result<(), SockError> {
        let Some(p) = self.port_mut(port) else { return Err(SockError::Invalid) };
        let Some(me) = p.bound.iter().position(|b| b.id == id) else { return Err(SockError::Invalid) };
        let mine = p.bound[me].binding;
        let taken = |b: &Bound<Id>| {
            b.id != id
                && b.listening
                && b.binding.overlaps(&mine)
                && !(b.binding.share.port && mine.share.port)
        };
        if p.bound.iter().any(taken) {
            return Err(SockError::AddrInUse);
        }
        p.bound[me].listening = true;
        Ok(())
    }

    /// Ends the listening of `id`, whose binding stays.
    pub fn unlisten(&mut self, id: Id, port: u16) {
        if let Some(b) = self.port_mut(port).and_then(|p| p.bound.iter_mut().find(|b| b.id == id)) {
            b.listening = false;
        }
    }

    /// Changes how a bound socket shares its port, or the interface it is bound to.
    pub fn rebind(&mut self, id: Id, port: u16, change: impl FnOnce(&mut Binding)) {
        if let Some(b) = self.port_mut(port).and_then(|p| p.bound.iter_mut().find(|b| b.id == id)) {
            change(&mut b.binding);
            b.binding.port = port;
        }
    }

    /// Frees the binding of `id` (and its listening).
    pub fn unbind(&mut self, id: Id, port: u16) {
        if let Some(p) = self.port_mut(port) {
            p.bound.retain(|b| b.id != id);
        }
        self.drop_empty(port);
    }

    // ---- connections ---------------------------------------------------------------------------

    /// Records that `id` talks with `remote` only. The socket may have a binding of its own at
    /// `local`'s port; if not, `share` says how the connection lets others bind that port.
    /// `AddrNotAvailable` (only where sockets listen): there is such a connection.
    pub fn connect(
        &mut self,
        id: Id,
        local: SocketAddr,
        remote: SocketAddr,
        share: Share,
    ) -> Result<(), SockError> {
        if self.receivers == Receivers::Listening && self.is_connected(local, remote) {
            return Err(SockError::AddrNotAvailable);
        }
        let tuple = Tuple::new(local, remote);
        let own = self.port_mut(local.port()).and_then(|p| p.bound.iter_mut().find(|b| b.id == id));
        let user = match own {
            Some(bound) => {
                bound.connected = true;
                None
            }
            None => {
                let binding = Binding::shared(local, share);
                let users = &mut self.port_entry(local.port()).users;
                match users.iter_mut().find(|u| u.binding == binding) {
                    Some(u) => u.count += 1,
                    None => {
                        // Hardly ever are there two.
                        users.reserve_exact(1);
                        users.push(Users { binding, count: 1 });
                    }
                }
                Some(share)
            }
        };
        let key = self.key;
        self.connected
            .insert_unique(key.tuple(&tuple), Connected { tuple, id, user }, |c| key.tuple(&c.tuple));
        Ok(())
    }

    /// Forgets that `id` is connected. A binding of its own stays.
    pub fn disconnect(&mut self, id: Id, local: SocketAddr, remote: SocketAddr) {
        let tuple = Tuple::new(local, remote);
        let Ok(entry) = self.connected.find_entry(self.key.tuple(&tuple), |c| c.tuple == tuple && c.id == id)
        else {
            return;
        };
        let (gone, _) = entry.remove();
        if let Some(p) = self.port_mut(local.port()) {
            match gone.user {
                Some(share) => {
                    let binding = Binding::shared(local, share);
                    if let Some(u) = p.users.iter_mut().find(|u| u.binding == binding) {
                        u.count -= 1;
                    }
                    p.users.retain(|u| u.count > 0);
                }
                None => {
                    if let Some(b) = p.bound.iter_mut().find(|b| b.id == id) {
                        b.connected = false;
                    }
                }
            }
        }
        self.drop_empty(local.port());
    }

    /// Whether there is such a connection.
    pub fn is_connected(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        self.lookup_connected(local, remote).is_some()
    }

    // ---- packets -------------------------------------------------------------------------------

    /// Who gets a packet to `local` from `remote` that came in by `ifindex`: the connection; else
    /// the socket bound most specifically, among equals the latest, and among equals that share by
    /// SO_REUSEPORT one that the 4-tuple selects.
    pub fn lookup(&self, local: SocketAddr, remote: SocketAddr, ifindex: IfIndex) -> Option<Id> {
        self.lookup_connected(local, remote).or_else(|| self.lookup_bound(local, remote, ifindex))
    }

    /// The connection with these ends.
    pub fn lookup_connected(&self, local: SocketAddr, remote: SocketAddr) -> Option<Id> {
        let tuple = Tuple::new(local, remote);
        self.connected.find(self.key.tuple(&tuple), |c| c.tuple == tuple).map(|c| c.id)
    }

    /// The socket that receives what no connection claims; see [`PcbTable::lookup`].
    pub fn lookup_bound(&self, local: SocketAddr, remote: SocketAddr, ifindex: IfIndex) -> Option<Id> {
        let port = self.port(local.port())?;
        let fits = |b: &&Bound<Id>| self.receives(b, local.ip(), ifindex);
        let best = port.bound.iter().filter(fits).map(|b| b.binding.fit(local.ip())).max()?;
        let equals = || port.bound.iter().filter(fits).filter(|b| b.binding.fit(local.ip()) == best);
        let last = equals().next_back()?;
        if !last.binding.share.port {
            return Some(last.id);
        }
        let group = equals().filter(|b| b.binding.share.port).count() as u64;
        let pick = (self.key.tuple(&Tuple::new(local, remote)) >> 16) % group.max(1);
        equals().filter(|b| b.binding.share.port).nth(pick as usize).map(|b| b.id)
    }

    /// Everybody who wants a copy of a datagram sent to a group or to all (`local` is the group's
    /// or broadcast address and the port): bound sockets that fit, connected ones of that remote.
    pub fn lookup_all(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        ifindex: IfIndex,
    ) -> impl Iterator<Item = Id> {
        let bound = self.port(local.port()).into_iter().flat_map(|p| p.bound.iter());
        let tuple = Tuple::new(local, remote);
        let connected =
            self.connected.iter_hash(self.key.tuple(&tuple)).filter(move |c| c.tuple == tuple).map(|c| c.id);
        bound.filter(move |b| self.receives(b, local.ip(), ifindex)).map(|b| b.id).chain(connected)
    }

    // ---- inside --------------------------------------------------------------------------------

    fn receives(&self, b: &Bound<Id>, dst: IpAddr, ifindex: IfIndex) -> bool {
        let open = match self.receivers {
            Receivers::Bound => !b.connected,
            Receivers::Listening => b.listening,
        };
        open && b.binding.takes(dst) && b.binding.ifindex.is_none_or(|i| i == ifindex)
    }

    /// Linux's rules: overlapping bindings need SO_REUSEPORT on both, or SO_REUSEADDR on both and
    /// (where sockets listen) nobody listening yet.
    fn may_bind(&self, new: &Binding) -> bool {
        let Some(port) = self.port(new.port) else { return true };
        let shared = |old: &Binding, listening: bool| {
            let by_port = old.share.port && new.share.port;
            let by_addr = old.share.addr && new.share.addr && !listening;
            !old.overlaps(new) || by_port || by_addr
        };
        port.bound.iter().all(|b| shared(&b.binding, b.listening))
            && port.users.iter().all(|u| shared(&u.binding, false))
    }

    fn range(&self) -> (u16, u32) {
        let (first, last) = (*self.ephemeral.start(), *self.ephemeral.end());
        (first, u32::from(last.saturating_sub(first)) + 1)
    }

    fn port(&self, port: u16) -> Option<&Port<Id>> {
        self.ports.find(self.key.port(port), |p| p.number == port)
    }

    fn port_mut(&mut self, port: u16) -> Option<&mut Port<Id>> {
        self.ports.find_mut(self.key.port(port), |p| p.number == port)
    }

    fn port_entry(&mut self, port: u16) -> &mut Port<Id> {
        let key = self.key;
        self.ports
            .entry(key.port(port), |p| p.number == port, |p| key.port(p.number))
            .or_insert_with(|| Port { number: port, bound: Vec::new(), users: Vec::new() })
            .into_mut()
    }

    fn drop_empty(&mut self, port: u16) {
        if let Ok(entry) = self.ports.find_entry(self.key.port(port), |p| p.number == port)
            && entry.get().bound.is_empty()
            && entry.get().users.is_empty()
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests;
