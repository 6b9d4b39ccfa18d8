//! Name servers and search domains that routers tell: RFC 8106. The stack asks none; it keeps them, and
//! tells by an event that they have changed.

use super::nd6_rtr::end_of;
use crate::net::IfIndex;
use crate::stack::{Event, Stack};
use crate::time::Instant;
use std::net::Ipv6Addr;

/// Name servers, and domains, of an interface (RFC 8106 §5.3.1 wants at least three).
const LIMIT: usize = 16;

/// A name server or domain, and until when it may be used (`None`: for ever).
type Until<T> = (T, Option<Instant>);

/// What is kept of an interface, in the order in which it was told.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    servers: Vec<Until<Ipv6Addr>>,
    domains: Vec<Until<String>>,
}

impl Kept {
    pub(super) fn ends(&self) -> impl Iterator<Item = Instant> + '_ {
        let servers = self.servers.iter().filter_map(|(_, until)| *until);
        servers.chain(self.domains.iter().filter_map(|(_, until)| *until))
    }
}

/// One is told (again), or (lifetime 0) is to be used no more; whether there are others now.
fn tell<T: PartialEq>(list: &mut Vec<Until<T>>, item: T, lifetime: u32, until: Option<Instant>) -> bool {
    let place = list.iter().position(|(known, _)| *known == item);
    match (place, lifetime) {
        (Some(place), 0) => {
            list.remove(place);
            true
        }
        (Some(place), _) => {
            list[place].1 = until;
            false
        }
        (None, 0) => false,
        (None, _) if list.len() >= LIMIT => false,
        (None, _) => {
            list.push((item, until));
            true
        }
    }
}

impl Stack {
    /// Name servers that routers told on an interface, each until when (`None`: for ever). A link-local
    /// one is on its link.
    pub fn ra_servers(&self, ifindex: IfIndex) -> &[(Ipv6Addr, Option<Instant>)] {
        self.ip.ifs.get(ifindex).map_or(&[], |i| &i.in6.heard.resolvers.servers)
    }

    /// Search domains that routers told on an interface, each until when (`None`: for ever).
    pub fn ra_domains(&self, ifindex: IfIndex) -> &[(String, Option<Instant>)] {
        self.ip.ifs.get(ifindex).map_or(&[], |i| &i.in6.heard.resolvers.domains)
    }

    pub(super) fn servers_heard(&mut self, ifindex: IfIndex, lifetime: u32, servers: &[Ipv6Addr]) {
        let until = end_of(self.ip.now, lifetime);
        let usable = servers.iter().filter(|s| !s.is_multicast() && !s.is_unspecified() && !s.is_loopback());
        self.resolvers_change(ifindex, |kept| {
            usable.fold(false, |news, s| tell(&mut kept.servers, *s, lifetime, until) | news)
        });
    }

    pub(super) fn domains_heard(&mut self, ifindex: IfIndex, lifetime: u32, domains: Vec<String>) {
        let until = end_of(self.ip.now, lifetime);
        self.resolvers_change(ifindex, |kept| {
            domains.into_iter().fold(false, |news, d| tell(&mut kept.domains, d, lifetime, until) | news)
        });
    }

    /// Those whose time is over go.
    pub(super) fn resolvers_due(&mut self, ifindex: IfIndex) {
        let now = self.ip.now;
        let lasts = |until: Option<Instant>| until.is_none_or(|at| at > now);
        self.resolvers_change(ifindex, |kept| {
            let before = (kept.servers.len(), kept.domains.len());
            kept.servers.retain(|(_, until)| lasts(*until));
            kept.domains.retain(|(_, until)| lasts(*until));
            before != (kept.servers.len(), kept.domains.len())
        });
    }

    pub(super) fn resolvers_forget(&mut self, ifindex: IfIndex) {
        self.resolvers_change(ifindex, |kept| {
            let before = core::mem::take(kept);
            !(before.servers.is_empty() && before.domains.is_empty())
        });
    }

    /// Changes what is kept; an event tells of it if `change` says so.
    fn resolvers_change(&mut self, ifindex: IfIndex, change: impl FnOnce(&mut Kept) -> bool) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        if change(&mut ifnet.in6.heard.resolvers) {
            self.push_event(Event::Resolvers { ifindex });
        }
    }
}
