//! Routes as routing daemons change them, several at once, and where a packet would go.

use super::Stack;
use super::events::Event;
use crate::net::IfIndex;
use crate::net::route::{Route, RouteError, RouteKind};
use crate::netinet::ip::WayKind;
use crate::socket::SockError;
use crate::time::Instant;
use crate::wire::scope6;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a packet to some address would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Out by this interface; to ourselves: by the loopback.
    pub ifindex: IfIndex,
    /// The next hop, unless the destination is on the link.
    pub via: Option<IpAddr>,
    /// The source address it would leave with.
    pub src: Option<IpAddr>,
    /// What the destination is: [`RouteKind::Unicast`], [`RouteKind::Local`] or [`RouteKind::Broadcast`]; of groups the first.
    pub kind: RouteKind,
    /// Octets of the largest packet that the path is believed to take.
    pub mtu: u32,
    /// Octets that a router said the path to this destination takes, and until when that is believed.
    pub told_mtu: Option<(u32, Instant)>,
}

impl Stack {
    /// Takes the routes `gone` away and puts `come` in their place, all or nothing; no packet sees a state between.
    pub fn route_replace(&mut self, gone: &[Route], come: &[Route]) -> Result<(), RouteError> {
        let come = come.iter().map(|r| self.check_route(*r)).collect::<Result<Vec<_>, _>>()?;
        for (i, r) in come.iter().enumerate() {
            let stays = |old: &&Route| !gone.contains(old);
            let mut others = self.ip.routes.to(r.to).iter().filter(stays).chain(&come[..i]);
            if others.any(|other| other.same_path(r)) {
                return Err(RouteError::Exists(r.to));
            }
        }
        if let Some(r) = gone.iter().find(|r| !self.ip.routes.to(r.to).contains(r)) {
            return Err(RouteError::NotFound(r.to));
        }
        for route in gone.iter().copied() {
            self.ip.routes.remove(route.to, |r| *r == route, &self.ip.ifs)?;
            self.events.push(Event::Route { route, added: false });
        }
        for route in come {
            self.ip.routes.add(route, &self.ip.ifs)?;
            self.events.push(Event::Route { route, added: true });
        }
        self.settle();
        Ok(())
    }

    /// Where a packet to `dst` would go, by `dev` if one is named. Of equal paths: the one of a flow without ports.
    pub fn way(&self, dst: IpAddr, dev: Option<IfIndex>) -> Result<Way, SockError> {
        let (dst, way) = match dst {
            IpAddr::V4(d) => {
                let flow = self.ip.flow4(Ipv4Addr::UNSPECIFIED, d, 0, None);
                (dst, self.ip.way4(d, dev, flow)?)
            }
            IpAddr::V6(d) => {
                let d = dev.map_or(d, |dev| scope6::embed(d, dev));
                let flow = self.ip.flow6(Ipv6Addr::UNSPECIFIED, d, 0, None);
                (IpAddr::V6(d), self.ip.with_source(self.ip.way6(d, dev, flow)?, d, true))
            }
        };
        let kind = match way.kind {
            WayKind::Local => RouteKind::Local,
            WayKind::Broadcast => RouteKind::Broadcast,
            WayKind::Unicast | WayKind::Multicast | WayKind::MulticastOthers => RouteKind::Unicast,
        };
        Ok(Way {
            ifindex: way.ifindex,
            via: Some(scope6::clear_ip(way.next)).filter(|next| *next != scope6::clear_ip(dst)),
            src: way.src.map(scope6::clear_ip),
            kind,
            mtu: way.mtu,
            told_mtu: self.ip.exceptions.mtu_until(dst, self.ip.now),
        })
    }
}
