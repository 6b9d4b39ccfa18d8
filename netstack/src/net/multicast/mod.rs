//! Groups that an interface is in, by whose wish, and what of it routers are told.
//!
//! One machine serves IGMP and MLD (`report`); it knows no packet formats: it answers with what is
//! to be said (`Say`), and its caller (`netinet/igmp`, `netinet6/mld6`) says what was heard.

pub(crate) mod filter;
pub(crate) mod record;
pub(crate) mod report;

pub use filter::{FilterMode, Named, SourceFilter};
pub use record::{Record, RecordKind};
pub use report::Version;

use crate::socket::Family;
use crate::time::Instant;
use report::Link;
use std::net::IpAddr;

/// The groups of an interface, of both families.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    v4: Link,
    v6: Link,
}

impl Groups {
    pub(crate) fn link(&self, family: Family) -> &Link {
        match family {
            Family::Inet => &self.v4,
            Family::Inet6 => &self.v6,
        }
    }

    pub(crate) fn link_mut(&mut self, family: Family) -> &mut Link {
        match family {
            Family::Inet => &mut self.v4,
            Family::Inet6 => &mut self.v6,
        }
    }

    /// The groups, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.groups().chain(self.v6.groups())
    }

    pub(crate) fn contains(&self, group: IpAddr) -> bool {
        self.link(Family::of(group)).is_member(group)
    }

    /// Whether somebody here wants what `source` sends to `group`.
    pub(crate) fn wants(&self, group: IpAddr, source: IpAddr) -> bool {
        self.link(Family::of(group)).wants(group, source)
    }
}

/// A group that an interface is in, as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupInfo {
    /// The group.
    pub group: IpAddr,
    /// Sockets that are in it, and the stack itself where it is.
    pub users: u32,
    /// When a report about it is due, if one is.
    pub report_at: Option<Instant>,
    /// Whether we were the last here to report it (IGMPv2, MLDv1).
    pub reporter: bool,
    /// Sources that somebody names.
    pub sources: Vec<(IpAddr, Named)>,
}
