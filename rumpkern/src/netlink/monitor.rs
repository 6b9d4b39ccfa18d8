//! What the stack tells, for the groups of NETLINK_ROUTE (`ip monitor`).
//!
//! Paths of one route that come or go together are told as one route.

use super::message::By;
use super::rtnl::{DELROUTE, NEWADDR, NEWNEIGH, NEWROUTE};
use super::{addr, link, neigh, route};
use crate::kernel::Kernel;
use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::net::neigh::Neighbour;
use netstack::net::route::Route;
use std::net::IpAddr;

/// `RTNLGRP_*`
const LINK: u32 = 1;
const NEIGH: u32 = 3;
const IPV4_IFADDR: u32 = 5;
const IPV4_ROUTE: u32 = 7;
const IPV6_IFADDR: u32 = 9;
const IPV6_ROUTE: u32 = 11;

/// Tells what happened, in order.
pub(crate) struct Monitor<'k> {
    kernel: &'k Kernel,
    by: Option<By>,
    /// Paths of one route, and whether they came: told when something else happens.
    paths: Vec<Route>,
    came: bool,
}

impl<'k> Monitor<'k> {
    /// Tells the sockets of `kernel`.
    pub(crate) fn new(kernel: &'k Kernel) -> Monitor<'k> {
        Monitor { kernel, by: kernel.netlink.by.get(), paths: Vec::new(), came: false }
    }

    /// An interface is new or has changed.
    pub(crate) fn link(&mut self, stack: &Stack, ifindex: IfIndex) {
        self.finish(stack);
        if let Some(ifnet) = stack.interface(ifindex)
            && self.kernel.netlink.is_heard(LINK)
        {
            // As Linux: nobody's port and number.
            self.kernel.netlink.multicast(LINK, &link::payload(stack, ifnet), 0, None);
        }
    }

    /// An interface is gone.
    pub(crate) fn link_gone(&mut self, stack: &Stack, ifindex: IfIndex) {
        self.finish(stack);
        self.kernel.netlink.multicast(LINK, &link::gone(ifindex), 0, None);
    }

    /// An address came or went.
    pub(crate) fn addr(&mut self, stack: &Stack, ifindex: IfIndex, net: IpNet, came: bool) {
        self.finish(stack);
        let Some(ifnet) = stack.interface(ifindex) else { return };
        let payload = match came {
            true => addr::payload(self.kernel, stack, ifnet, net, NEWADDR),
            false => addr::forget(self.kernel, stack, ifnet, net),
        };
        self.kernel.netlink.multicast(addr_group(net.addr()), &payload, 0, self.by);
    }

    /// A path came or went.
    pub(crate) fn route(&mut self, stack: &Stack, route: Route, came: bool) {
        if came != self.came || !self.paths.first().is_some_and(|first| route::is_one(first, &route)) {
            self.finish(stack);
            self.came = came;
        }
        self.paths.push(route);
    }

    /// What is known of a neighbour changed.
    pub(crate) fn neigh(&mut self, stack: &Stack, neighbour: &Neighbour) {
        self.finish(stack);
        if self.kernel.netlink.is_heard(NEIGH) {
            self.kernel.netlink.multicast(NEIGH, &neigh::payload(neighbour, NEWNEIGH), 0, self.by);
        }
    }

    /// A neighbour was forgotten.
    pub(crate) fn neigh_gone(&mut self, stack: &Stack, neighbour: &Neighbour) {
        self.finish(stack);
        self.kernel.netlink.multicast(NEIGH, &neigh::gone(neighbour), 0, self.by);
    }

    /// Something happened that nobody can tell any more.
    pub(crate) fn overrun(&mut self, stack: &Stack) {
        self.finish(stack);
        for socket in self.kernel.netlink.sockets.borrow().iter().filter(|socket| socket.groups() != 0) {
            socket.overrun();
        }
    }

    /// Tells what is left.
    pub(crate) fn finish(&mut self, stack: &Stack) {
        let paths = core::mem::take(&mut self.paths);
        let Some(first) = paths.first() else { return };
        let replaces = self.by.is_some_and(|by| by.flags & NLM_F_REPLACE != 0);
        let (kind, flags) = match (self.came, self.by) {
            (true, Some(by)) if by.flags != 0 => (NEWROUTE, by.flags),
            (true, Some(_) | None) => (NEWROUTE, NLM_F_CREATE | NLM_F_EXCL),
            // What took its place is told, and says so.
            (false, _) if replaces => return,
            (false, _) => (DELROUTE, 0),
        };
        let group = match first.to {
            IpNet::V4(_) => IPV4_ROUTE,
            IpNet::V6(_) => IPV6_ROUTE,
        };
        // As Linux: the routes that an address brings are the kernel's own doing.
        let by = self.by.filter(|_| first.proto != netstack::net::route::RouteProto::Kernel);
        if self.kernel.netlink.is_heard(group) || by.is_some_and(|by| by.echo) {
            let payload = route::payload(stack, &paths, kind, self.kernel.now());
            self.kernel.netlink.multicast(group, &payload, flags, by);
        }
    }
}

/// What is said of an address, not the address itself, was changed by a request.
pub(super) fn address_changed(kernel: &Kernel, ifindex: IfIndex, net: IpNet, by: By) {
    let stack = kernel.stack.borrow();
    if let Some(ifnet) = stack.interface(ifindex) {
        let payload = addr::payload(kernel, &stack, ifnet, net, NEWADDR);
        kernel.netlink.multicast(addr_group(net.addr()), &payload, NLM_F_REPLACE, Some(by));
    }
}

fn addr_group(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(_) => IPV4_IFADDR,
        IpAddr::V6(_) => IPV6_IFADDR,
    }
}
