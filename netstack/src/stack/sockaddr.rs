//! Addresses at the doors of sockets: RFC 3493 §3.3 (scope), §3.7 (IPv4-mapped addresses).
//!
//! Inside, an address of IPv4 is one whatever socket speaks with it, and one of a link carries its
//! interface ([`crate::wire::scope6`]). Programs see mapped addresses on sockets of AF_INET6, and
//! scope identifiers beside clear addresses.

use super::Stack;
use crate::net::IfIndex;
use crate::socket::table::Entry;
use crate::socket::{Family, RecvMeta, SendMeta, SockError, SockOpt, SocketId, SocketInfo, StickyPktInfo};
use crate::tcp::{TcpOpt, TcpOptName};
use crate::wire::{ipv6, scope6};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;

/// The interface that a scope identifier names.
fn scope(id: u32) -> Option<IfIndex> {
    (id != 0).then_some(IfIndex(id))
}

/// Whether a group is one of a link, so that its address needs a scope.
fn is_link_group(addr: Ipv6Addr) -> bool {
    addr.is_multicast() && ipv6::multicast_scope(addr) <= 2
}

/// An address of ours, as a socket of `family` is told.
pub(super) fn shown(family: Family, addr: SocketAddr) -> SocketAddr {
    let (ip, scope_id) = match (family, addr.ip()) {
        (Family::Inet, ip @ IpAddr::V4(_)) => return SocketAddr::new(ip, addr.port()),
        (Family::Inet6, IpAddr::V4(a)) => (a.to_ipv6_mapped(), 0),
        (Family::Inet | Family::Inet6, IpAddr::V6(a)) => {
            (scope6::clear(a), scope6::zone(a).map_or(0, |zone| zone.0))
        }
    };
    SocketAddr::V6(SocketAddrV6::new(ip, addr.port(), 0, scope_id))
}

/// The same without a port, and with the scope told apart.
fn shown_ip(family: Family, addr: IpAddr) -> IpAddr {
    shown(family, SocketAddr::new(addr, 0)).ip()
}

impl Stack {
    /// What a socket is, as far as addresses are concerned: its family, and the device it is bound to.
    fn kind_of(&self, id: SocketId) -> Result<(Family, Option<IfIndex>), SockError> {
        match self.sockets.get(id).ok_or(SockError::BadSocket)? {
            Entry::Datagram(s) => Ok((s.family, s.opts.device)),
            Entry::Stream(s) => match self.tcp.option(s.tcp, TcpOptName::BindToDevice)? {
                TcpOpt::BindToDevice(device) => Ok((s.family, device)),
                _ => Ok((s.family, None)),
            },
        }
    }

    /// The family of a socket.
    pub fn family(&self, id: SocketId) -> Result<Family, SockError> {
        Ok(self.kind_of(id)?.0)
    }

    /// An address that a program gave to the socket `id`.
    pub(super) fn taken(&self, id: SocketId, addr: SocketAddr) -> Result<SocketAddr, SockError> {
        let (family, device) = self.kind_of(id)?;
        let SocketAddr::V6(v6) = addr else { return Ok(addr) };
        match (family, v6.ip().to_ipv4_mapped()) {
            (Family::Inet, _) => return Err(SockError::AfNotSupported),
            (Family::Inet6, Some(v4)) => return Ok(SocketAddr::new(IpAddr::V4(v4), v6.port())),
            (Family::Inet6, None) => {}
        }
        let ip = self.embedded(*v6.ip(), scope(v6.scope_id()), device)?;
        Ok(SocketAddr::new(IpAddr::V6(ip), v6.port()))
    }

    /// `addr` in embedded form, with the zone that its scope or the socket's device names.
    fn embedded(
        &self,
        addr: Ipv6Addr,
        scope: Option<IfIndex>,
        device: Option<IfIndex>,
    ) -> Result<Ipv6Addr, SockError> {
        if !scope6::is_scoped(addr) {
            return Ok(addr);
        }
        match (scope, device) {
            (Some(scope), Some(device)) if scope != device => Err(SockError::Invalid),
            (None, None) => Err(SockError::Invalid),
            (scope, device) => match scope.or(device).filter(|i| self.ip.ifs.get(*i).is_some()) {
                Some(zone) => Ok(scope6::embed(scope6::clear(addr), zone)),
                None => Err(SockError::NoDevice),
            },
        }
    }

    /// The same of all addresses with which a datagram is to be sent.
    pub(super) fn taken_meta(&self, id: SocketId, meta: &SendMeta) -> Result<SendMeta, SockError> {
        let (sticky, told) = match self.sockets.get(id) {
            Some(Entry::Datagram(s)) => (s.opts.v6.pkt_info, meta.to.map(|to| s.opts.v6.label_in(to))),
            Some(Entry::Stream(_)) | None => (StickyPktInfo::default(), None),
        };
        let src = meta.src.or(sticky.src.map(IpAddr::V6));
        let ifindex = meta.ifindex.or(sticky.ifindex);
        let mut taken = SendMeta { src, ifindex, flow_label: meta.flow_label.or(told), ..meta.clone() };
        if let Some(SocketAddr::V6(to)) = meta.to
            && is_link_group(*to.ip())
        {
            taken.ifindex = ifindex.or(scope(to.scope_id()));
        }
        if let Some(to) = meta.to {
            // RFC 3542 §6.6: the interface names the zone where the address does not.
            let to = match (to, ifindex) {
                (SocketAddr::V6(mut to), Some(ifindex))
                    if to.scope_id() == 0 && scope6::is_scoped(*to.ip()) =>
                {
                    to.set_scope_id(ifindex.0);
                    SocketAddr::V6(to)
                }
                (to, _) => to,
            };
            taken.to = Some(self.taken(id, to)?);
        }
        if let Some(IpAddr::V6(src)) = src {
            let (_, device) = self.kind_of(id)?;
            let zone = ifindex.or(meta.to.and_then(|to| match to {
                SocketAddr::V6(to) => scope(to.scope_id()),
                SocketAddr::V4(_) => None,
            }));
            taken.src = Some(match src.to_ipv4_mapped() {
                Some(v4) => IpAddr::V4(v4),
                None => IpAddr::V6(self.embedded(src, zone, zone.or(device))?),
            });
        }
        Ok(taken)
    }

    /// As Linux: a socket that is bound or connected to a group of a link, or within it, stays on it.
    pub(super) fn bind_to_scope(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), SockError> {
        let SocketAddr::V6(v6) = addr else { return Ok(()) };
        let (_, device) = self.kind_of(id)?;
        match (scope(v6.scope_id()), device) {
            (Some(zone), None) if is_link_group(*v6.ip()) || scope6::is_scoped(*v6.ip()) => {
                self.set_option(self.ip.now, id, SockOpt::BindToDevice(Some(zone)))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The label in the address of a peer is that of all that goes to it, if the program wants that.
    pub(super) fn set_flow_label(&mut self, id: SocketId, peer: SocketAddr) -> Result<(), SockError> {
        match self.sockets.entry(id)? {
            Entry::Datagram(s) => s.opts.v6.flow_label = s.opts.v6.label_in(peer),
            Entry::Stream(s) => {
                let label = s.opts.v6.label_in(peer);
                if s.opts.v6.flow_label != label {
                    Rc::make_mut(&mut s.opts).v6.flow_label = label;
                    return self.stream_set_label(id);
                }
            }
        }
        Ok(())
    }

    /// An address of a socket, as its program sees it.
    pub(super) fn told(&self, id: SocketId, addr: SocketAddr) -> SocketAddr {
        self.kind_of(id).map_or(addr, |(family, _)| shown(family, addr))
    }

    /// What was received, as the program sees it.
    pub(super) fn told_meta(&self, id: SocketId, meta: RecvMeta) -> RecvMeta {
        let Ok((family, _)) = self.kind_of(id) else { return meta };
        let error = meta.error.map(|e| {
            let offender = e.offender.map(|o| shown_ip(family, o));
            crate::socket::QueuedError { offender, ..e }
        });
        let from = meta.from.map(|a| shown(family, a));
        RecvMeta { from, local: meta.local.map(|a| shown_ip(family, a)), error, ..meta }
    }
}

impl SocketInfo {
    /// With its addresses as programs see them.
    pub(super) fn shown(self) -> SocketInfo {
        let told = |a: Option<SocketAddr>| a.map(|a| shown(self.family, a));
        SocketInfo { local: told(self.local), remote: told(self.remote), ..self }
    }
}
