//! Membership of interfaces in groups: how many want each, and which frames the wire is asked for.

use super::ip::Ip;
use crate::net::IfIndex;
use std::net::IpAddr;

impl Ip {
    /// One more wants what is sent to `group` on an interface.
    pub(crate) fn group_join(&mut self, ifindex: IfIndex, group: IpAddr) {
        if let Some(i) = self.ifs.get_mut(ifindex) {
            *i.groups.entry(group).or_insert(0) += 1;
            i.filter_generation += 1;
        }
    }

    /// One wants it no more.
    pub(crate) fn group_leave(&mut self, ifindex: IfIndex, group: IpAddr) {
        let Some(i) = self.ifs.get_mut(ifindex) else { return };
        if let Some(members) = i.groups.get_mut(&group) {
            *members -= 1;
            if *members == 0 {
                i.groups.remove(&group);
            }
            i.filter_generation += 1;
        }
    }
}
