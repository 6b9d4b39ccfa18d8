//! Membership of interfaces in groups: of sockets, which want certain sources ([`Ip::group_update`]),
//! and of the stack itself ([`Ip::group_join`], [`Ip::group_leave`]). Groups of a link are named clear,
//! beside their interface.

use super::ip::Ip;
use crate::net::IfIndex;
use crate::net::multicast::SourceFilter;
use crate::net::multicast::report::{Around, Link, Say};
use crate::socket::Family;
use crate::timer::GroupTimer;
use std::net::IpAddr;

impl Ip {
    /// One more wants what is sent to `group` on an interface.
    pub(crate) fn group_join(&mut self, ifindex: IfIndex, group: IpAddr) {
        self.group_update(ifindex, group, None, Some(&SourceFilter::any()));
    }

    /// One wants it no more.
    pub(crate) fn group_leave(&mut self, ifindex: IfIndex, group: IpAddr) {
        self.group_update(ifindex, group, Some(&SourceFilter::any()), None);
    }

    /// A member of a group comes (`old` is `None`), goes (`new` is `None`) or wants other sources.
    /// Nothing happens where there is no such interface (any more).
    pub(crate) fn group_update(
        &mut self,
        ifindex: IfIndex,
        group: IpAddr,
        old: Option<&SourceFilter>,
        new: Option<&SourceFilter>,
    ) {
        self.group_event(ifindex, Family::of(group), |link, around| link.update(around, group, old, new));
        if (old.is_none() || new.is_none())
            && let Some(i) = self.ifs.get_mut(ifindex)
        {
            i.filter_generation += 1;
        }
    }

    /// The interface can send (again), by this family, or can do so better than before.
    pub(crate) fn groups_up(&mut self, ifindex: IfIndex, family: Family) {
        if self.ifs.get(ifindex).is_some_and(|i| !i.loopback) {
            self.group_event(ifindex, family, Link::up);
        }
    }

    /// The interface cannot send any more.
    pub(crate) fn groups_down(&mut self, ifindex: IfIndex, family: Family) {
        let down = |link: &mut Link, around: &mut Around<'_>| {
            link.down(around);
            Vec::new()
        };
        self.group_event(ifindex, family, down);
    }

    /// A timer of groups is due.
    pub(crate) fn group_due(&mut self, ifindex: IfIndex, family: Family, what: GroupTimer) {
        self.group_event(ifindex, family, |link, around| link.due(around, what));
    }

    /// Lets the machine act, and sends what it has to say.
    pub(crate) fn group_event(
        &mut self,
        ifindex: IfIndex,
        family: Family,
        event: impl FnOnce(&mut Link, &mut Around<'_>) -> Vec<Say>,
    ) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let config = match family {
            Family::Inet => &self.config.igmp,
            Family::Inet6 => &self.config.mld,
        };
        let (timers, rng) = (&mut self.timers, &mut self.rng);
        let mut around = Around { now: self.now, ifindex, family, timers, rng, config };
        let said = event(ifnet.groups.link_mut(family), &mut around);
        for say in said {
            match family {
                Family::Inet => self.igmp_say(ifindex, say),
                Family::Inet6 => self.mld6_say(ifindex, say),
            }
        }
    }
}
