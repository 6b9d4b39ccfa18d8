//! `/proc/sys/net/ipv6/conf` and `/proc/sys/net/ipv6/neigh`: what an interface's IPv6 can be turned by.
//!
//! `all` changes every interface; nothing ever takes `default` over, so it cannot be changed. What routers tell of a link
//! stands here, too, and can be written as on Linux: a router's daemon sets its own interface by that.

use super::sysctl::switch;
use ipnet::IpNet;
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::netinet6::in6_ifaddr::{AcceptRa, Dad, InterfaceId, Ipv6Config};
use netstack::netinet6::nd6_rtr::RaLink;
use netstack::time::{Duration, Instant};
use std::net::{IpAddr, Ipv6Addr};

/// Whose value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Every interface's.
    All,
    /// That of new ones.
    Default,
    /// One's.
    Interface(IfIndex),
}

/// A value.
pub(super) struct Conf6 {
    pub(super) name: &'static str,
    get: fn(&Stack, IfIndex) -> String,
    /// Changes it for an interface; `None`: it does not take that.
    set: Set,
}

/// Who can change a value.
enum Set {
    /// An interface, and all.
    Each(fn(&Stack, IfIndex, i64) -> Option<Ipv6Config>),
    /// The same, of what routers tell.
    Link(fn(RaLink, i64) -> Option<RaLink>),
    /// All together.
    Stack(fn(&mut Stack, i64)),
}

impl Conf6 {
    /// The value as it is; of no interface, that of the first.
    pub(super) fn read(&self, stack: &Stack, of: Of) -> String {
        (self.get)(
            stack,
            match of {
                Of::All | Of::Default => IfIndex::LOOPBACK,
                Of::Interface(ifindex) => ifindex,
            },
        )
    }

    /// Whether it can be changed there.
    pub(super) fn changes(&self, of: Of) -> bool {
        match (&self.set, of) {
            (_, Of::Default) | (Set::Stack(_), Of::Interface(_)) => false,
            (Set::Each(_) | Set::Link(_), Of::All | Of::Interface(_)) | (Set::Stack(_), Of::All) => true,
        }
    }

    /// Changes it; `None`: it does not take that.
    pub(super) fn change(&self, stack: &mut Stack, now: Instant, of: Of, value: i64) -> Option<()> {
        let of: Vec<IfIndex> = match of {
            Of::All => stack.interfaces().map(|ifnet| ifnet.index).collect(),
            Of::Default => Vec::new(),
            Of::Interface(ifindex) => vec![ifindex],
        };
        match &self.set {
            Set::Stack(set) => {
                set(stack, value);
                Some(())
            }
            Set::Link(set) => of.into_iter().try_for_each(|ifindex| {
                let link = set(stack.ra_link(ifindex)?, value)?;
                stack.set_ra_link(now, ifindex, link).then_some(())
            }),
            Set::Each(set) => of.into_iter().try_for_each(|ifindex| {
                let config = set(stack, ifindex, value)?;
                stack.if_set_ipv6(now, ifindex, config).ok()?;
                // What the loopback interface has for as long as it speaks IPv6.
                if ifindex == IfIndex::LOOPBACK && config.enabled {
                    let _ = stack.addr_add(now, ifindex, IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)));
                }
                Some(())
            }),
        }
    }
}

fn config(stack: &Stack, ifindex: IfIndex) -> Ipv6Config {
    stack.if_ipv6(ifindex).unwrap_or_default()
}

fn link(stack: &Stack, ifindex: IfIndex) -> RaLink {
    stack.ra_link(ifindex).unwrap_or_default()
}

/// Of so many units of `unit` milliseconds; none is no time.
fn time(units: i64, unit: u64) -> Option<Duration> {
    let millis = u64::try_from(units).ok().filter(|&units| units > 0)?.checked_mul(unit)?;
    Some(Duration::from_millis(u32::try_from(millis).ok()?.into()))
}

/// Every value of `neigh/IF` that routers may tell.
pub(super) const NEIGH6_LIVE: &[Conf6] = &[
    Conf6 {
        name: "base_reachable_time",
        get: |stack, ifindex| reachable(stack, ifindex).as_secs().to_string(),
        set: Set::Link(|link, n| Some(RaLink { reachable: Some(time(n, 1000)?), ..link })),
    },
    Conf6 {
        name: "base_reachable_time_ms",
        get: |stack, ifindex| reachable(stack, ifindex).as_millis().to_string(),
        set: Set::Link(|link, n| Some(RaLink { reachable: Some(time(n, 1)?), ..link })),
    },
    Conf6 {
        name: "retrans_time",
        get: |stack, ifindex| (retrans(stack, ifindex).as_millis() / 10).to_string(),
        set: Set::Link(|link, n| Some(RaLink { retrans: Some(time(n, 10)?), ..link })),
    },
    Conf6 {
        name: "retrans_time_ms",
        get: |stack, ifindex| retrans(stack, ifindex).as_millis().to_string(),
        set: Set::Link(|link, n| Some(RaLink { retrans: Some(time(n, 1)?), ..link })),
    },
];

fn reachable(stack: &Stack, ifindex: IfIndex) -> Duration {
    link(stack, ifindex).reachable.unwrap_or(stack.config().neigh.reachable_time)
}

fn retrans(stack: &Stack, ifindex: IfIndex) -> Duration {
    link(stack, ifindex).retrans.unwrap_or(stack.config().neigh.retrans)
}

/// Every value that means something here.
pub(super) const CONF6_LIVE: &[Conf6] = &[
    Conf6 {
        name: "accept_dad",
        // 2: an interface whose link address is somebody else's, too, speaks IPv6 no more.
        get: |stack, ifindex| {
            match config(stack, ifindex) {
                Ipv6Config { dad: Dad::Off, .. } => "0",
                Ipv6Config { dad_disables: false, .. } => "1",
                Ipv6Config { dad_disables: true, .. } => "2",
            }
            .to_owned()
        },
        set: Set::Each(|stack, ifindex, n| {
            let config = config(stack, ifindex);
            let dad = match (n, config.dad) {
                (..=0, _) => Dad::Off,
                (1.., Dad::Off) => Dad::On,
                (1.., dad) => dad,
            };
            Some(Ipv6Config { dad, dad_disables: n >= 2, ..config })
        }),
    },
    Conf6 {
        name: "accept_ra",
        get: |stack, ifindex| match config(stack, ifindex).accept_ra {
            AcceptRa::Never => "0".to_owned(),
            AcceptRa::Host => "1".to_owned(),
            AcceptRa::Always => "2".to_owned(),
        },
        set: Set::Each(|stack, ifindex, n| {
            let accept_ra = match n {
                0 => AcceptRa::Never,
                1 => AcceptRa::Host,
                2 => AcceptRa::Always,
                _ => return None,
            };
            Some(Ipv6Config { accept_ra, ..config(stack, ifindex) })
        }),
    },
    Conf6 {
        name: "addr_gen_mode",
        get: |stack, ifindex| match config(stack, ifindex).iid {
            InterfaceId::Eui64 => "0".to_owned(),
            InterfaceId::Stable => "2".to_owned(),
        },
        set: Set::Each(|stack, ifindex, n| {
            let iid = match n {
                0 => InterfaceId::Eui64,
                2 => InterfaceId::Stable,
                _ => return None,
            };
            Some(Ipv6Config { iid, ..config(stack, ifindex) })
        }),
    },
    Conf6 {
        name: "autoconf",
        get: |stack, ifindex| switch(config(stack, ifindex).autoconf),
        set: Set::Each(|stack, ifindex, n| Some(Ipv6Config { autoconf: n != 0, ..config(stack, ifindex) })),
    },
    Conf6 {
        name: "dad_transmits",
        get: |stack, ifindex| config(stack, ifindex).dad_transmits.to_string(),
        set: Set::Each(|stack, ifindex, n| {
            Some(Ipv6Config { dad_transmits: u8::try_from(n).ok()?, ..config(stack, ifindex) })
        }),
    },
    Conf6 {
        name: "disable_ipv6",
        get: |stack, ifindex| switch(!config(stack, ifindex).enabled),
        set: Set::Each(|stack, ifindex, n| Some(Ipv6Config { enabled: n == 0, ..config(stack, ifindex) })),
    },
    Conf6 {
        name: "forwarding",
        get: |stack, _| switch(stack.forwarding()),
        set: Set::Stack(|stack, n| stack.set_forwarding(n != 0)),
    },
    Conf6 {
        name: "hop_limit",
        get: |stack, ifindex| link(stack, ifindex).hop_limit.unwrap_or(stack.config().ttl).to_string(),
        set: Set::Link(|link, n| {
            let hop_limit = u8::try_from(n).ok().filter(|&hops| hops > 0)?;
            Some(RaLink { hop_limit: Some(hop_limit), ..link })
        }),
    },
    Conf6 {
        name: "mtu",
        get: |stack, ifindex| {
            // RFC 8200 §5: the least, where there is no interface.
            let ifnet = stack.interface(ifindex).filter(|ifnet| !ifnet.loopback);
            let told = link(stack, ifindex).mtu.unwrap_or(u32::MAX);
            ifnet.map_or(1280, |ifnet| ifnet.mtu.min(told)).to_string()
        },
        set: Set::Link(|link, n| Some(RaLink { mtu: Some(u32::try_from(n).ok()?), ..link })),
    },
    Conf6 {
        name: "optimistic_dad",
        get: |stack, ifindex| switch(config(stack, ifindex).dad == Dad::Optimistic),
        set: Set::Each(|stack, ifindex, n| {
            let config = config(stack, ifindex);
            let dad = match (n != 0, config.dad) {
                (true, Dad::On | Dad::Optimistic) => Dad::Optimistic,
                (false, Dad::Optimistic) => Dad::On,
                (false, dad) => dad,
                // Without detection there is nothing to be optimistic about.
                (true, Dad::Off) => return None,
            };
            Some(Ipv6Config { dad, ..config })
        }),
    },
    Conf6 {
        name: "use_tempaddr",
        // RFC 8981's addresses are preferred where there are any.
        get: |stack, ifindex| if config(stack, ifindex).temporary { "2" } else { "0" }.to_owned(),
        set: Set::Each(|stack, ifindex, n| match n {
            ..=0 => Some(Ipv6Config { temporary: false, ..config(stack, ifindex) }),
            2.. => Some(Ipv6Config { temporary: true, ..config(stack, ifindex) }),
            _ => None,
        }),
    },
];
