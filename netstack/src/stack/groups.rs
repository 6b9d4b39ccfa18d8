//! Groups that sockets are in, and the sources that they want of each: RFC 3376 §3.1, RFC 3678; the
//! errors are Linux's. What a group's members want together is in [`crate::net::multicast`].

use super::Stack;
use crate::net::IfIndex;
use crate::net::multicast::{FilterMode, SourceFilter};
use crate::netinet::IpRx;
use crate::socket::table::{Entry, GroupMember, Socket};
use crate::socket::{Family, GroupSource, SockError, SockOpt, SocketId};
use crate::wire::scope6;
use std::net::IpAddr;

impl Stack {
    /// Joins a group, all sources of it.
    pub(super) fn group_join(
        &mut self,
        id: SocketId,
        group: IpAddr,
        ifindex: Option<IfIndex>,
    ) -> Result<(), SockError> {
        let (s, ifindex) = self.group_socket(id, group, ifindex)?;
        if member(s, group, ifindex).is_some() {
            return Err(SockError::AddrInUse);
        }
        self.group_enter(id, group, ifindex, SourceFilter::any())
    }

    /// Leaves a group on an interface, which may be gone, or (as Linux) on that of the way to it.
    pub(super) fn group_leave(
        &mut self,
        id: SocketId,
        group: IpAddr,
        ifindex: Option<IfIndex>,
    ) -> Result<(), SockError> {
        let family = self.group_sockets(id)?.family;
        let ifindex = match ifindex {
            Some(ifindex) => ifindex,
            None => self.group_interface(family, group, None)?,
        };
        let place = member(self.group_sockets(id)?, group, ifindex).ok_or(SockError::AddrNotAvailable)?;
        self.group_change(id, place, SourceFilter::default())
    }

    /// One more source; the first one joins.
    pub(super) fn group_add_source(&mut self, id: SocketId, what: GroupSource) -> Result<(), SockError> {
        let (s, ifindex) = self.group_socket(id, what.group, what.ifindex)?;
        match member(s, what.group, ifindex) {
            Some(place) => self.group_list(id, place, FilterMode::Include, what.source),
            None => {
                let filter =
                    SourceFilter { mode: FilterMode::Include, sources: [what.source].into_iter().collect() };
                self.group_enter(id, what.group, ifindex, filter)
            }
        }
    }

    /// One source less; without its last one the socket is no member any more.
    pub(super) fn group_drop_source(&mut self, id: SocketId, what: GroupSource) -> Result<(), SockError> {
        let place = self.group_member(id, what)?;
        self.group_unlist(id, place, FilterMode::Include, what.source)
    }

    /// Wants all but this source, and those blocked before.
    pub(super) fn group_block(&mut self, id: SocketId, what: GroupSource) -> Result<(), SockError> {
        let place = self.group_member(id, what)?;
        self.group_list(id, place, FilterMode::Exclude, what.source)
    }

    /// Wants a source that was blocked.
    pub(super) fn group_unblock(&mut self, id: SocketId, what: GroupSource) -> Result<(), SockError> {
        let place = self.group_member(id, what)?;
        self.group_unlist(id, place, FilterMode::Exclude, what.source)
    }

    /// Sets the whole filter of a group that the socket is in; the one that wants nothing leaves.
    pub(super) fn group_filter(
        &mut self,
        id: SocketId,
        group: IpAddr,
        ifindex: Option<IfIndex>,
        filter: SourceFilter,
    ) -> Result<(), SockError> {
        if filter.sources.len() > self.group_sources(group) {
            return Err(SockError::NoBufs);
        }
        let (s, ifindex) = self.group_socket(id, group, ifindex)?;
        match member(s, group, ifindex) {
            Some(place) => {
                s.groups[place].listed = !filter.sources.is_empty();
                self.group_change(id, place, filter)
            }
            None if filter.is_none() => Err(SockError::AddrNotAvailable),
            None => Err(SockError::Invalid),
        }
    }

    /// The filter of a group that the socket is in.
    pub(super) fn group_filter_of(
        &self,
        s: &Socket,
        group: IpAddr,
        ifindex: Option<IfIndex>,
    ) -> Result<SockOpt, SockError> {
        let on = self.group_interface(s.family, group, ifindex)?;
        let place = member(s, group, on).ok_or(SockError::AddrNotAvailable)?;
        Ok(SockOpt::MsFilter(group, ifindex, s.groups[place].filter.clone()))
    }

    /// Whether a socket gets a packet, as far as its groups have a say: its filter of the group decides, and if
    /// it is not in it IP_MULTICAST_ALL.
    pub(crate) fn group_allows(&self, id: SocketId, rx: &IpRx) -> bool {
        let Some(Entry::Datagram(s)) = self.sockets.get(id) else { return true };
        match member(s, rx.dst, rx.ifindex) {
            Some(place) => s.groups[place].filter.allows(scope6::clear_ip(rx.src)),
            None => match rx.dst {
                IpAddr::V4(dst) => s.opts.multicast_all || !dst.is_multicast(),
                IpAddr::V6(dst) => s.opts.v6.multicast_all || !dst.is_multicast(),
            },
        }
    }

    // ---- inside --------------------------------------------------------------------------------

    fn group_enter(
        &mut self,
        id: SocketId,
        group: IpAddr,
        ifindex: IfIndex,
        filter: SourceFilter,
    ) -> Result<(), SockError> {
        let most = match group {
            IpAddr::V4(_) => self.ip.config.igmp.memberships,
            IpAddr::V6(_) => self.ip.config.mld.memberships,
        };
        let s = self.group_sockets(id)?;
        if s.groups.len() >= most {
            return Err(SockError::NoBufs);
        }
        let listed = !filter.sources.is_empty();
        s.groups.push(GroupMember { group, ifindex, filter: filter.clone(), listed });
        self.ip.group_update(ifindex, group, None, Some(&filter));
        Ok(())
    }

    /// Gives a membership another filter, or (one that wants nothing) ends it.
    fn group_change(&mut self, id: SocketId, place: usize, filter: SourceFilter) -> Result<(), SockError> {
        let s = self.group_sockets(id)?;
        let (group, ifindex) = (s.groups[place].group, s.groups[place].ifindex);
        let old = core::mem::replace(&mut s.groups[place].filter, filter.clone());
        let new = (!filter.is_none()).then_some(&filter);
        if new.is_none() {
            s.groups.remove(place);
        }
        self.ip.group_update(ifindex, group, Some(&old), new);
        Ok(())
    }

    /// Puts a source into a list that is of this mode, or not yet begun.
    fn group_list(
        &mut self,
        id: SocketId,
        place: usize,
        mode: FilterMode,
        source: IpAddr,
    ) -> Result<(), SockError> {
        let s = self.group_sockets(id)?;
        let GroupMember { group, filter, listed, .. } = s.groups[place].clone();
        if filter.mode != mode && listed {
            return Err(SockError::Invalid);
        }
        if filter.sources.len() >= self.group_sources(group) {
            return Err(SockError::NoBufs);
        }
        let mut sources = filter.sources;
        if !sources.insert(source) {
            return Err(SockError::AddrNotAvailable);
        }
        self.group_sockets(id)?.groups[place].listed = true;
        self.group_change(id, place, SourceFilter { mode, sources })
    }

    fn group_unlist(
        &mut self,
        id: SocketId,
        place: usize,
        mode: FilterMode,
        source: IpAddr,
    ) -> Result<(), SockError> {
        let GroupMember { mut filter, listed, .. } = self.group_sockets(id)?.groups[place].clone();
        if filter.mode != mode && listed {
            return Err(SockError::Invalid);
        }
        if !filter.sources.remove(&source) {
            return Err(SockError::AddrNotAvailable);
        }
        self.group_change(id, place, filter)
    }

    /// Where among its groups a socket has this one; `Invalid` if it is not in it.
    fn group_member(&mut self, id: SocketId, what: GroupSource) -> Result<usize, SockError> {
        let (s, ifindex) = self.group_socket(id, what.group, what.ifindex)?;
        member(s, what.group, ifindex).ok_or(SockError::Invalid)
    }

    fn group_socket(
        &mut self,
        id: SocketId,
        group: IpAddr,
        ifindex: Option<IfIndex>,
    ) -> Result<(&mut Socket, IfIndex), SockError> {
        let family = self.group_sockets(id)?.family;
        let ifindex = self.group_interface(family, group, ifindex)?;
        Ok((self.group_sockets(id)?, ifindex))
    }

    /// Only sockets of datagrams are in groups; EPROTO as on Linux.
    fn group_sockets(&mut self, id: SocketId) -> Result<&mut Socket, SockError> {
        match self.sockets.entry(id)? {
            Entry::Datagram(s) => Ok(s),
            Entry::Stream(_) => Err(SockError::Proto),
        }
    }

    /// Sources of one group that a socket may name.
    fn group_sources(&self, group: IpAddr) -> usize {
        match group {
            IpAddr::V4(_) => self.ip.config.igmp.sources,
            IpAddr::V6(_) => self.ip.config.mld.sources,
        }
    }

    fn group_interface(
        &self,
        family: Family,
        group: IpAddr,
        ifindex: Option<IfIndex>,
    ) -> Result<IfIndex, SockError> {
        match (family, group) {
            (Family::Inet, IpAddr::V6(_)) => return Err(SockError::AfNotSupported),
            (_, group) if !group.is_multicast() => return Err(SockError::Invalid),
            (Family::Inet | Family::Inet6, _) => {}
        }
        match ifindex {
            Some(i) if self.ip.ifs.get(i).is_some() => Ok(i),
            Some(_) => Err(SockError::NoDevice),
            None => {
                let way = match group {
                    IpAddr::V4(group) => self.ip.way4(group, None, 0),
                    IpAddr::V6(group) => self.ip.way6(group, None, 0),
                };
                way.map(|w| w.ifindex).map_err(|_| SockError::NoDevice)
            }
        }
    }
}

fn member(s: &Socket, group: IpAddr, ifindex: IfIndex) -> Option<usize> {
    s.groups.iter().position(|m| m.group == group && m.ifindex == ifindex)
}
