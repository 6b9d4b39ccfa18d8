//! `/proc/sys/net/ipv6/conf`: what an interface's IPv6 can be turned by.
//!
//! `all` changes every interface; nothing ever takes `default` over, so it cannot be changed.

use super::sysctl::switch;
use ipnet::IpNet;
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::netinet6::in6_ifaddr::{Dad, InterfaceId, Ipv6Config};
use netstack::time::Instant;
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
    Nobody,
    /// An interface, and all.
    Each(fn(&Stack, IfIndex, i64) -> Option<Ipv6Config>),
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
            (Set::Nobody, _) | (_, Of::Default) | (Set::Stack(_), Of::Interface(_)) => false,
            (Set::Each(_), Of::All | Of::Interface(_)) | (Set::Stack(_), Of::All) => true,
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
            Set::Nobody => None,
            Set::Stack(set) => {
                set(stack, value);
                Some(())
            }
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

/// Every value that means something here.
pub(super) const CONF6_LIVE: &[Conf6] = &[
    Conf6 {
        name: "accept_dad",
        get: |stack, ifindex| switch(config(stack, ifindex).dad != Dad::Off),
        set: Set::Each(|stack, ifindex, n| {
            let config = config(stack, ifindex);
            let dad = match (n, config.dad) {
                (..=0, _) => Dad::Off,
                (1.., Dad::Off) => Dad::On,
                (1.., dad) => dad,
            };
            Some(Ipv6Config { dad, ..config })
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
    Conf6 { name: "hop_limit", get: |stack, _| stack.config().ttl.to_string(), set: Set::Nobody },
    Conf6 {
        name: "mtu",
        get: |stack, ifindex| {
            // RFC 8200 §5: the least, where there is no interface.
            let ifnet = stack.interface(ifindex).filter(|ifnet| !ifnet.loopback);
            ifnet.map_or(1280, |ifnet| ifnet.mtu).to_string()
        },
        set: Set::Nobody,
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
];
