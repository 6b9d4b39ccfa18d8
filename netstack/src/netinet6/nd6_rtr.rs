//! Router discovery, the host's part: RFC 4861 §6.3, with preferences and routes behind routers
//! (RFC 4191). Default routers are the routers of ::/0. What an advertisement says of addresses is in
//! `slaac`, of name servers in `resolvers`; how a router sends one in [`super::rtadv`].
//!
//! Everything kept has a limit: who can forge advertisements can fill the tables, but no memory, and
//! cannot put out what was there before.

use super::in6_ifaddr::{AcceptRa, AddrState};
use super::slaac;
use crate::net::IfIndex;
use crate::net::ifnet::Ifnet;
use crate::net::route::{Route, RouteProto};
use crate::netinet::IpRx;
use crate::netinet::exceptions;
use crate::netinet::ip::Ip;
use crate::stack::{Event, Stack};
use crate::time::{Duration, Instant};
use crate::timer::{Nd6Timer, Timer, TimerKey};
use crate::wire::icmpv6::{self, ty};
use crate::wire::ndp::{self, OptionOf, option};
use crate::wire::ndp_router::{self, FOR_EVER, Preference, RouteInfo, RouterAdvert};
use crate::wire::{ipv6, scope6};
use ipnet::{IpNet, Ipv6Net};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// MAX_RTR_SOLICITATIONS
const SOLICITS: u8 = 3;
/// RTR_SOLICITATION_INTERVAL
const SOLICIT_INTERVAL: Duration = Duration::from_secs(4);
/// MAX_RTR_SOLICITATION_DELAY
const SOLICIT_DELAY: Duration = Duration::from_secs(1);
/// Default routers of an interface.
const ROUTERS: usize = 16;
/// Routes that routers of an interface told, those of default routers included.
const ROUTES: usize = 64;
/// Linux's IP6_RT_PRIO_USER: routes of advertisements have it.
const METRIC: u32 = 1024;
/// MAX_REACHABLE_TIME of RFC 4861 §6.2.1, in milliseconds: an hour.
const LONGEST_REACHABLE_MS: u32 = 3_600_000;
/// RFC 4191 §3.5: a router that did not answer is asked once a minute whether it is there again.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// Of every destination.
const EVERYTHING: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);

/// What routers told of an interface.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    link: RaLink,
    /// By destinations and router.
    routes: BTreeMap<(Ipv6Net, Ipv6Addr), Behind>,
    /// Routers that did not answer.
    dead: BTreeSet<Ipv6Addr>,
    /// Prefixes on the link, until when.
    pub(super) prefixes: BTreeMap<Ipv6Net, Option<Instant>>,
    pub(super) resolvers: super::resolvers::Kept,
    /// Solicitations sent.
    solicits: u8,
    soliciting: Option<TimerKey>,
    probing: Option<TimerKey>,
    pub(super) lifetimes: Option<TimerKey>,
    /// When lifetimes were last looked at.
    pub(super) looked_at: Instant,
}

/// What is known of a route behind a router.
#[derive(Clone, Copy, Debug)]
struct Behind {
    preference: Preference,
    until: Option<Instant>,
}

/// What routers told of a link itself. `None`, `false`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RaLink {
    /// Hop limit of what is sent.
    pub hop_limit: Option<u8>,
    /// Octets of the largest packet.
    pub mtu: Option<u32>,
    /// BaseReachableTime
    pub reachable: Option<Duration>,
    /// RetransTimer
    pub retrans: Option<Duration>,
    /// Addresses are to be had by DHCPv6.
    pub managed: bool,
    /// Other configuration is to be had by DHCPv6.
    pub other: bool,
}

/// A route that a router told, as shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaHeard {
    /// The destinations; ::/0 of a default router.
    pub to: Ipv6Net,
    /// The router, link-local.
    pub router: Ipv6Addr,
    /// Which of several routers is taken.
    pub preference: Preference,
    /// Until when; `None`: for ever.
    pub until: Option<Instant>,
    /// Whether it answers, as far as is known.
    pub reachable: bool,
}

/// The end of a lifetime of so many seconds.
pub(super) fn end_of(now: Instant, lifetime: u32) -> Option<Instant> {
    (lifetime != FOR_EVER).then(|| now + Duration::from_secs(lifetime.into()))
}

impl Heard {
    /// Everything that ends some time.
    fn ends(&self) -> impl Iterator<Item = Instant> + '_ {
        let routes = self.routes.values().filter_map(|r| r.until);
        routes.chain(self.prefixes.values().copied().flatten()).chain(self.resolvers.ends())
    }

    fn has_router(&self, router: Ipv6Addr) -> bool {
        self.routes.keys().any(|(_, r)| *r == router)
    }
}

impl Ifnet {
    /// Octets of the largest IPv6 packet: as the interface has it, or less if a router said so.
    pub(crate) fn mtu6(&self) -> u32 {
        self.in6.heard.link.mtu.map_or(self.mtu, |told| told.min(self.mtu))
    }
}

impl Stack {
    /// Routes of an interface that routers told, default routers among them.
    pub fn ra_routes(&self, ifindex: IfIndex) -> impl Iterator<Item = RaHeard> + '_ {
        let heard = self.ip.ifs.get(ifindex).map(|i| &i.in6.heard);
        heard.into_iter().flat_map(|h| {
            h.routes.iter().map(|(&(to, router), b)| RaHeard {
                to,
                router,
                preference: b.preference,
                until: b.until,
                reachable: !h.dead.contains(&router),
            })
        })
    }

    /// Prefixes that routers said are on an interface's link, each until when (`None`: for ever).
    pub fn ra_prefixes(&self, ifindex: IfIndex) -> impl Iterator<Item = (Ipv6Net, Option<Instant>)> + '_ {
        let heard = self.ip.ifs.get(ifindex).map(|i| &i.in6.heard);
        heard.into_iter().flat_map(|h| h.prefixes.iter().map(|(p, until)| (*p, *until)))
    }

    /// What routers told of an interface's link.
    pub fn ra_link(&self, ifindex: IfIndex) -> Option<RaLink> {
        self.ip.ifs.get(ifindex).map(|i| i.in6.heard.link)
    }

    /// Says of an interface's link what routers may tell of it (and will tell otherwise, if they are believed): octets beyond
    /// what the interface takes, or fewer than all links take, are no MTU. False: it is none, or there is no such
    /// interface.
    pub fn set_ra_link(&mut self, now: Instant, ifindex: IfIndex, link: RaLink) -> bool {
        self.ip.now = now;
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return false };
        if link.mtu.is_some_and(|mtu| !(ipv6::MIN_MTU..=ifnet.mtu).contains(&mtu)) {
            return false;
        }
        ifnet.in6.heard.link = link;
        self.ip.neigh.set_times(ifindex, link.reachable, link.retrans);
        true
    }

    /// A router tells of the link; false if it may not (RFC 4861 §6.1.2).
    pub(super) fn nd6_router_advert(&mut self, rx: &IpRx, body: &[u8]) -> bool {
        self.ip.stats.nd6.in_router_adverts += 1;
        let (IpAddr::V6(src), Ok(advert)) = (rx.src, RouterAdvert::parse(body)) else { return false };
        if !scope6::is_scoped(src) {
            return false;
        }
        let ifindex = rx.ifindex;
        self.ip.rtadv_compare(ifindex, &advert, body);
        if !self.ip.accepts_ra(ifindex) || self.ip.is_local6(src) {
            return true;
        }
        self.router_heard(ifindex, src, &advert, body);
        true
    }

    /// RFC 4861 §6.3.4
    fn router_heard(&mut self, ifindex: IfIndex, src: Ipv6Addr, advert: &RouterAdvert, body: &[u8]) {
        let (now, router) = (self.ip.now, scope6::clear(src));
        if advert.lifetime != 0 {
            // Further solicitations would tell nothing new.
            self.ip.solicit_end(ifindex);
        }
        self.ip.link_heard(ifindex, advert);
        let behind = Behind { preference: advert.preference, until: end_of(now, advert.lifetime.into()) };
        self.route_heard(ifindex, EVERYTHING, router, Some(behind).filter(|_| advert.lifetime != 0));
        for OptionOf { kind, body } in RouterAdvert::options(body) {
            match kind {
                option::SOURCE_LINK => {
                    if let Some(mac) = ndp::link_address(body) {
                        self.nd6_hint(ifindex, src, mac);
                    }
                }
                option::MTU => {
                    if let (Ok(mtu), Some(ifnet)) = (ndp_router::mtu(body), self.ip.ifs.get_mut(ifindex))
                        && (ipv6::MIN_MTU..=ifnet.mtu).contains(&mtu)
                    {
                        ifnet.in6.heard.link.mtu = Some(mtu);
                    }
                }
                option::PREFIX => {
                    if let Ok(info) = ndp::PrefixInfo::parse(body) {
                        self.prefix_heard(ifindex, &info);
                    }
                }
                option::ROUTE => {
                    if let Ok(info) = RouteInfo::parse(body)
                        && let Ok(to) = Ipv6Net::new(info.prefix, info.len)
                        && !scope6::is_scoped(info.prefix)
                        && !info.prefix.is_multicast()
                    {
                        let until = end_of(now, info.lifetime);
                        let behind = Behind { preference: info.preference, until };
                        self.route_heard(
                            ifindex,
                            to.trunc(),
                            router,
                            Some(behind).filter(|_| info.lifetime != 0),
                        );
                    }
                }
                option::RDNSS => {
                    if let Ok((lifetime, servers)) = ndp_router::rdnss(body) {
                        self.servers_heard(ifindex, lifetime, &servers);
                    }
                }
                option::DNSSL => {
                    if let Ok((lifetime, domains)) = ndp_router::dnssl(body) {
                        self.domains_heard(ifindex, lifetime, domains);
                    }
                }
                // RFC 4861 §4.2: unknown options are skipped.
                _ => {}
            }
        }
        self.ip.neigh.is_router(now, ifindex, IpAddr::V6(router), true);
        self.lifetimes_arm(ifindex);
    }

    /// A router has a route to `to`, or (`None`) has it no more.
    fn route_heard(&mut self, ifindex: IfIndex, to: Ipv6Net, router: Ipv6Addr, behind: Option<Behind>) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        match behind {
            None if heard.routes.contains_key(&(to, router)) => self.route_forget(ifindex, to, router),
            None => {}
            Some(behind) => {
                if !heard.routes.contains_key(&(to, router)) && !self.make_room(ifindex, to) {
                    return;
                }
                let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
                if ifnet.in6.heard.routes.insert((to, router), behind).is_none() {
                    let route = route_of(ifindex, to, router);
                    if self.ip.routes.add(route, &self.ip.ifs).is_ok() {
                        self.push_event(Event::Route { route, added: true });
                    }
                }
                self.ip.rank_routers(to);
            }
        }
    }

    /// Whether there is room for one more route; a default router that does not answer makes some.
    fn make_room(&mut self, ifindex: IfIndex, to: Ipv6Net) -> bool {
        let Some(heard) = self.ip.ifs.get(ifindex).map(|i| &i.in6.heard) else { return false };
        let routers = heard.routes.keys().filter(|(p, _)| *p == EVERYTHING).map(|(_, r)| *r);
        if heard.routes.len() < ROUTES && (to != EVERYTHING || routers.clone().count() < ROUTERS) {
            return true;
        }
        let dead = routers.clone().find(|r| heard.dead.contains(r));
        if let Some(dead) = dead {
            self.router_gone(ifindex, dead);
        }
        dead.is_some()
    }

    fn route_forget(&mut self, ifindex: IfIndex, to: Ipv6Net, router: Ipv6Addr) {
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        heard.routes.remove(&(to, router));
        if !heard.has_router(router) {
            heard.dead.remove(&router);
        }
        let route = route_of(ifindex, to, router);
        if self.ip.routes.remove(route.to, |r| *r == route, &self.ip.ifs).is_ok() {
            self.push_event(Event::Route { route, added: false });
        }
        self.ip.rank_routers(to);
    }

    /// RFC 4861 §7.2.5: who was a router is none any more.
    pub(super) fn router_gone(&mut self, ifindex: IfIndex, router: Ipv6Addr) {
        let Some(heard) = self.ip.ifs.get(ifindex).map(|i| &i.in6.heard) else { return };
        let its = heard.routes.keys().filter(|(_, r)| *r == router);
        let its: Vec<Ipv6Net> = its.map(|(to, _)| *to).collect();
        for to in its {
            self.route_forget(ifindex, to, router);
        }
        // Who was redirected to itself need be no router.
        let to = IpAddr::V6(router);
        let led =
            |dst, r: exceptions::Redirect| (r.ifindex, r.to) == (ifindex, to) && scope6::clear_ip(dst) != to;
        self.ip.exceptions.forget(led);
    }

    /// Forgets what routers told of an interface, but for addresses, and (as Linux) for the hop limit and the neighbours'
    /// times, which are its own from then on.
    pub(crate) fn heard_forget(&mut self, ifindex: IfIndex) {
        self.ip.solicit_end(ifindex);
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        let RaLink { hop_limit, reachable, retrans, .. } = heard.link;
        heard.link = RaLink { hop_limit, reachable, retrans, ..RaLink::default() };
        let probing = heard.probing.take();
        let routes: Vec<(Ipv6Net, Ipv6Addr)> = heard.routes.keys().copied().collect();
        let prefixes: Vec<Ipv6Net> = heard.prefixes.keys().copied().collect();
        self.ip.timers.disarm(probing);
        for (to, router) in routes {
            self.route_forget(ifindex, to, router);
        }
        for prefix in prefixes {
            self.prefix_forget(ifindex, prefix);
        }
        self.resolvers_forget(ifindex);
        self.lifetimes_arm(ifindex);
    }

    /// The next lifetime that ends on an interface is waited for.
    pub(super) fn lifetimes_arm(&mut self, ifindex: IfIndex) {
        let now = self.ip.now;
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let ends = ifnet.in6.heard.ends().chain(ifnet.in6.addrs.values().flat_map(slaac::ends));
        let next = ends.filter(|at| *at > now).min();
        let heard = &mut ifnet.in6.heard;
        self.ip.timers.disarm(heard.lifetimes.take());
        let timer = Timer::Nd6 { ifindex, what: Nd6Timer::Lifetimes };
        heard.lifetimes = next.map(|at| self.ip.timers.arm(at, timer));
    }

    /// Some lifetime has ended.
    pub(crate) fn lifetimes_due(&mut self, ifindex: IfIndex) {
        let now = self.ip.now;
        let Some(ifnet) = self.ip.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        heard.lifetimes = None;
        let since = core::mem::replace(&mut heard.looked_at, now);
        let over = |until: Option<Instant>| until.is_some_and(|at| at <= now);
        let routes = heard.routes.iter().filter(|(_, b)| over(b.until));
        let routes: Vec<(Ipv6Net, Ipv6Addr)> = routes.map(|(key, _)| *key).collect();
        let prefixes = heard.prefixes.iter().filter(|(_, until)| over(**until));
        let prefixes: Vec<Ipv6Net> = prefixes.map(|(p, _)| *p).collect();
        for (to, router) in routes {
            self.route_forget(ifindex, to, router);
        }
        for prefix in prefixes {
            self.prefix_forget(ifindex, prefix);
        }
        self.resolvers_due(ifindex);
        self.addrs_due(ifindex, since);
        self.lifetimes_arm(ifindex);
    }
}

/// The route in the tables.
fn route_of(ifindex: IfIndex, to: Ipv6Net, router: Ipv6Addr) -> Route {
    Route {
        dev: Some(ifindex),
        metric: METRIC,
        proto: RouteProto::Ra,
        ..Route::via(IpNet::V6(to), IpAddr::V6(router))
    }
}

impl Ip {
    /// Whether advertisements on an interface are believed.
    pub(crate) fn accepts_ra(&self, ifindex: IfIndex) -> bool {
        self.ifs.get(ifindex).is_some_and(|i| {
            i.in6.enabled
                && !i.loopback
                && match i.in6.config.accept_ra {
                    AcceptRa::Never => false,
                    AcceptRa::Host => !self.config.forwarding,
                    AcceptRa::Always => true,
                }
        })
    }

    /// Hop limit of what is sent by an interface to whom nobody has said another.
    pub(crate) fn hop_limit6(&self, ifindex: IfIndex) -> u8 {
        self.ifs.get(ifindex).and_then(|i| i.in6.heard.link.hop_limit).unwrap_or(self.config.ttl)
    }

    /// What an advertisement says of the link; zeros say nothing.
    fn link_heard(&mut self, ifindex: IfIndex, advert: &RouterAdvert) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let link = &mut ifnet.in6.heard.link;
        let millis = |ms: u32| Duration::from_millis(ms.into());
        if advert.hop_limit != 0 {
            link.hop_limit = Some(advert.hop_limit);
        }
        if (1..=LONGEST_REACHABLE_MS).contains(&advert.reachable_ms) {
            link.reachable = Some(millis(advert.reachable_ms));
        }
        if advert.retrans_ms != 0 {
            link.retrans = Some(millis(advert.retrans_ms));
        }
        (link.managed, link.other) = (advert.managed, advert.other);
        let (reachable, retrans) = (link.reachable, link.retrans);
        self.neigh.set_times(ifindex, reachable, retrans);
    }

    /// RFC 4861 §6.3.6, RFC 4191 §3.2: of routers to the same destinations those that answer are taken,
    /// of these the preferred. If none answers, all are tried.
    fn rank_routers(&mut self, to: Ipv6Net) {
        let links = self.ifs.iter().filter(|i| i.usable());
        let ranked: Vec<(Option<Preference>, (IfIndex, IpAddr))> = links
            .flat_map(|i| {
                let heard = &i.in6.heard;
                let its =
                    heard.routes.range((to, Ipv6Addr::UNSPECIFIED)..).take_while(|((p, _), _)| *p == to);
                its.map(move |((_, router), b)| {
                    let answers = !heard.dead.contains(router);
                    (answers.then_some(b.preference), (i.index, IpAddr::V6(*router)))
                })
            })
            .collect();
        let best = ranked.iter().map(|(rank, _)| *rank).max();
        let worse = ranked.iter().filter(|(rank, _)| Some(*rank) != best).map(|(_, hop)| *hop).collect();
        self.routes.demote(IpNet::V6(to), worse, &self.ifs);
    }

    /// A neighbour has answered, or has not; if it is a router others may be better, or no longer.
    pub(crate) fn router_answers(&mut self, ifindex: IfIndex, router: Ipv6Addr, answers: bool) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        let changed = heard.has_router(router)
            && match answers {
                true => heard.dead.remove(&router),
                false => heard.dead.insert(router),
            };
        if !changed {
            return;
        }
        if !answers && heard.probing.is_none() {
            let timer = Timer::Nd6 { ifindex, what: Nd6Timer::Probe };
            heard.probing = Some(self.timers.arm(self.now + PROBE_INTERVAL, timer));
        }
        self.rank_all(ifindex);
    }

    /// The routers of an interface are, or are not, to be had.
    pub(crate) fn rank_all(&mut self, ifindex: IfIndex) {
        let routes = self.ifs.get(ifindex).map(|i| &i.in6.heard.routes);
        let all: BTreeSet<Ipv6Net> = routes.into_iter().flatten().map(|((to, _), _)| *to).collect();
        for to in all {
            self.rank_routers(to);
        }
    }

    /// Routers that did not answer are asked again.
    pub(crate) fn routers_probe(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let heard = &mut ifnet.in6.heard;
        heard.probing = None;
        if heard.dead.is_empty() {
            return;
        }
        let timer = Timer::Nd6 { ifindex, what: Nd6Timer::Probe };
        heard.probing = Some(self.timers.arm(self.now + PROBE_INTERVAL, timer));
        let dead = heard.dead.clone();
        for router in dead {
            self.nd6_solicit(ifindex, router, None);
        }
    }

    /// RFC 4861 §6.3.7: an interface came up, and asks for routers.
    pub(crate) fn solicit_begin(&mut self, ifindex: IfIndex) {
        if !self.accepts_ra(ifindex) {
            return;
        }
        let delay = self.rng.random_range(Duration::ZERO..=SOLICIT_DELAY);
        let Some(ifnet) = self.ifs.get_mut(ifindex).filter(|i| i.usable()) else { return };
        let heard = &mut ifnet.in6.heard;
        self.timers.disarm(heard.soliciting.take());
        heard.solicits = 0;
        let timer = Timer::Nd6 { ifindex, what: Nd6Timer::Solicit };
        heard.soliciting = Some(self.timers.arm(self.now + delay, timer));
    }

    pub(crate) fn solicit_end(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        self.timers.disarm(ifnet.in6.heard.soliciting.take());
    }

    /// A router solicitation is due.
    pub(crate) fn solicit_due(&mut self, ifindex: IfIndex) {
        let Some(ifnet) = self.ifs.get_mut(ifindex) else { return };
        let (mac, heard) = (ifnet.mac, &mut ifnet.in6.heard);
        heard.solicits += 1;
        heard.soliciting = (heard.solicits < SOLICITS).then(|| {
            let timer = Timer::Nd6 { ifindex, what: Nd6Timer::Solicit };
            self.timers.arm(self.now + SOLICIT_INTERVAL, timer)
        });
        let from = self.link_local(ifindex);
        let mut m = self.pool.get();
        m.grow(ndp_router::SOLICIT_LEN);
        // RFC 4429 §3.2: never from an address that is not surely ours.
        if from.is_some_and(|(_, state)| state != AddrState::Optimistic) {
            let mut octets = [0; 8];
            ndp::emit_link(&mut octets, option::SOURCE_LINK, mac);
            m.extend(&octets);
        }
        let src = from.map_or(Ipv6Addr::UNSPECIFIED, |(addr, _)| scope6::embed(addr, ifindex));
        let header = icmpv6::Header { ty: ty::ROUTER_SOLICIT, code: 0, rest: 0 };
        self.nd6_output(ifindex, (src, ipv6::ALL_ROUTERS), header, m);
        self.stats.nd6.out_router_solicits += 1;
    }
}
