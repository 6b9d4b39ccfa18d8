//! `/proc/sys/net`: what a node can be turned by, and how it is set now.
//!
//! A value is one of TCP's (`netstack::tcp::sysctl`), one of the stack's other habits, or one that cannot be
//! changed here: that takes the value which it has, and refuses (`EINVAL`) what the node would not do.

use super::sysctl_groups as groups;
use super::sysctl_values::{CONF4, CONF6, FIXED, NEIGH, NEIGH_DEFAULT};
use super::sysctl6::{CONF6_LIVE, Conf6, NEIGH6_LIVE, Of};
use super::{Opened, directory_of};
use crate::kernel::Kernel;
use crate::syscall::Errno;
use netstack::Stack;
use netstack::net::IfIndex;
use netstack::tcp::sysctl::{self as tcp, SysctlError};
use std::num::NonZeroU8;

/// The file or directory `below` `/proc/sys/net`.
pub(super) fn open(kernel: &Kernel, below: &str) -> Result<Opened, Errno> {
    let stack = kernel.stack.borrow();
    if let Some(value) = find(&stack, below) {
        return Ok(Opened::Octets(format!("{}\n", value.read(&stack)).into_bytes()));
    }
    let names: Vec<String> = names(&stack).collect();
    directory_of(names.iter().map(String::as_str), below)
}

/// The file `name` of `/proc/sys/kernel`.
pub(super) fn open_kernel(kernel: &Kernel, name: &str) -> Result<Opened, Errno> {
    let text = match name {
        "hostname" => kernel.node(),
        "domainname" => "(none)",
        _ => return Err(Errno::ENOENT),
    };
    Ok(Opened::Octets(format!("{text}\n").into_bytes()))
}

/// Changes a value.
pub(super) fn write(kernel: &Kernel, below: &str, text: &str) -> Result<(), Errno> {
    let mut stack = kernel.stack.borrow_mut();
    let value = find(&stack, below).ok_or(Errno::ENOENT)?;
    // As Linux, numbers may stand apart by any white space.
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match value {
        Value::Tcp(name) => {
            let mut config = stack.tcp_config().clone();
            tcp::set(&mut config, &name, text).map_err(|error| match error {
                SysctlError::Unknown(_) => Errno::ENOENT,
                SysctlError::ReadOnly(_) => Errno::EACCES,
                SysctlError::Invalid { .. } => Errno::EINVAL,
            })?;
            stack.set_tcp_config(config);
            Ok(())
        }
        Value::Live(live) if live.set.is_some() => {
            let number = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            live.set.and_then(|set| set(&mut stack, number)).ok_or(Errno::EINVAL)
        }
        Value::Conf6(of, conf) if conf.changes(of) => {
            let number = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            let changed = conf.change(&mut stack, kernel.now(), of, number);
            drop(stack);
            kernel.if_filters_changed();
            changed.ok_or(Errno::EINVAL)
        }
        Value::Live(_) | Value::Fixed(_) | Value::Interface(..) | Value::Conf6(..) => {
            let same = words(&value.read(&stack)) == words(text);
            if same { Ok(()) } else { Err(Errno::EINVAL) }
        }
    }
}

/// Whether the stack speaks IPv6: then its loopback interface has ::1.
pub(super) fn speaks_ipv6(stack: &Stack) -> bool {
    stack.interface(IfIndex::LOOPBACK).is_some_and(|lo| lo.addrs().iter().any(|net| net.addr().is_ipv6()))
}

/// Prints a value of an interface.
type OfInterface = fn(&Stack, IfIndex) -> String;

/// What a file says.
enum Value {
    /// One of TCP's, by its name.
    Tcp(String),
    /// One of the stack's.
    Live(&'static Live),
    /// One of an interface's own.
    Interface(IfIndex, OfInterface),
    /// One of IPv6's.
    Conf6(Of, &'static Conf6),
    /// Always the same.
    Fixed(&'static str),
}

impl Value {
    fn read(&self, stack: &Stack) -> String {
        match self {
            Value::Tcp(name) => tcp::get(stack.tcp_config(), name).unwrap_or_default(),
            Value::Live(live) => (live.get)(stack),
            Value::Interface(ifindex, get) => get(stack, *ifindex),
            Value::Conf6(of, conf) => conf.read(stack, *of),
            Value::Fixed(text) => (*text).to_owned(),
        }
    }
}

/// A value of the stack's.
pub(super) struct Live {
    pub(super) name: &'static str,
    pub(super) get: fn(&Stack) -> String,
    /// Changes it; `None`: it does not take that. Absent: it cannot be changed.
    pub(super) set: Option<fn(&mut Stack, i64) -> Option<()>>,
}

/// A value that can only be read.
const fn shown(name: &'static str, get: fn(&Stack) -> String) -> Live {
    Live { name, get, set: None }
}

pub(super) fn switch(on: bool) -> String {
    u8::from(on).to_string()
}

const FORWARDING: Live = Live {
    name: "ipv4/ip_forward",
    get: |stack| switch(stack.forwarding()),
    set: Some(|stack, n| {
        stack.set_forwarding(n != 0);
        Some(())
    }),
};

const LIVE: &[Live] = &[
    shown("core/rmem_default", |stack| stack.config().recv_buffer.to_string()),
    shown("core/wmem_default", |stack| stack.config().send_buffer.to_string()),
    shown("ipv4/icmp_ratelimit", |stack| stack.config().icmp_error_interval.as_millis().to_string()),
    Live {
        name: "ipv4/ip_default_ttl",
        get: |stack| stack.config().ttl.to_string(),
        set: Some(|stack, n| {
            stack.set_ttl(NonZeroU8::new(u8::try_from(n).ok()?)?);
            Some(())
        }),
    },
    FORWARDING,
    shown("ipv4/ipfrag_high_thresh", |stack| stack.config().reass.octets.to_string()),
    shown("ipv4/ipfrag_low_thresh", |stack| (stack.config().reass.octets / 4 * 3).to_string()),
    shown("ipv4/ipfrag_time", |stack| stack.config().reass.timeout.as_secs().to_string()),
    shown("ipv4/route/mtu_expires", |stack| stack.config().exception_lifetime.as_secs().to_string()),
    shown("ipv4/tcp_allowed_congestion_control", |stack| {
        tcp::get(stack.tcp_config(), "net.ipv4.tcp_available_congestion_control").unwrap_or_default()
    }),
];

/// Of `ipv4/conf/all`: what holds for all interfaces. The stack has no such switch for a single one, whose files say
/// the same and cannot be changed.
const CONF4_LIVE: &[Live] = &[
    Live { name: "forwarding", ..FORWARDING },
    Live {
        name: "accept_redirects",
        // A router believes none.
        get: |stack| switch(stack.config().accept_redirects && !stack.forwarding()),
        set: Some(|stack, n| {
            stack.set_redirects(stack.config().send_redirects, n != 0);
            Some(())
        }),
    },
    Live {
        name: "send_redirects",
        get: |stack| switch(stack.config().send_redirects),
        set: Some(|stack, n| {
            stack.set_redirects(n != 0, stack.config().accept_redirects);
            Some(())
        }),
    },
    groups::FORCE_IGMP,
    groups::IGMP_OLD,
    groups::IGMP_NEW,
];

/// Of `neigh/IF`.
const NEIGH_LIVE: &[(&str, OfInterface)] = &[
    ("base_reachable_time", |stack, _| stack.config().neigh.reachable_time.as_secs().to_string()),
    ("base_reachable_time_ms", |stack, _| stack.config().neigh.reachable_time.as_millis().to_string()),
    ("delay_first_probe_time", |stack, _| stack.config().neigh.delay_first_probe.as_secs().to_string()),
    ("mcast_solicit", |stack, _| stack.config().neigh.multicast_solicits.to_string()),
    // In hundredths of a second.
    ("retrans_time", |stack, _| (stack.config().neigh.retrans.as_millis() / 10).to_string()),
    ("retrans_time_ms", |stack, _| stack.config().neigh.retrans.as_millis().to_string()),
    ("ucast_solicit", |stack, _| stack.config().neigh.unicast_solicits.to_string()),
    ("unres_qlen", |stack, _| stack.config().neigh.queue.to_string()),
];

/// Of `neigh/default`.
const NEIGH_DEFAULT_LIVE: (&str, OfInterface) =
    ("gc_thresh3", |stack, _| stack.config().neigh.entries.to_string());

/// Trees with a directory for each interface, and one for `default`.
const TREES: [&str; 4] = ["ipv4/conf", "ipv4/neigh", "ipv6/conf", "ipv6/neigh"];

fn find(stack: &Stack, below: &str) -> Option<Value> {
    for tree in TREES {
        if let Some(rest) = below.strip_prefix(tree).and_then(|rest| rest.strip_prefix('/')) {
            let (of, key) = rest.split_once('/')?;
            return find_of(stack, tree, of, key);
        }
    }
    if let Some(live) = LIVE.iter().chain(groups::LIVE).find(|live| live.name == below) {
        return Some(Value::Live(live));
    }
    let name = tcp_name(below);
    if tcp::names().any(|known| known == name) && is_linux(&name) {
        return Some(Value::Tcp(name));
    }
    FIXED.iter().find(|(name, _)| *name == below).map(|(_, text)| Value::Fixed(text))
}

/// The value `key` of an interface, or of all.
fn find_of(stack: &Stack, tree: &str, of: &str, key: &str) -> Option<Value> {
    let ifindex = match of {
        "default" => IfIndex::LOOPBACK,
        "all" if tree.ends_with("conf") => IfIndex::LOOPBACK,
        name => stack.if_by_name(name)?,
    };
    let interface = |live: &[(&str, OfInterface)]| {
        live.iter().find(|(name, _)| *name == key).map(|(_, get)| Value::Interface(ifindex, *get))
    };
    let pair = |fixed: &'static [(&str, &str)]| {
        fixed.iter().find(|(name, _)| *name == key).map(|(_, text)| Value::Fixed(text))
    };
    let conf = |fixed: &'static [(&str, &str, &str)]| {
        let (_, each, all) = fixed.iter().find(|(name, ..)| *name == key)?;
        Some(Value::Fixed(if of == "all" { all } else { each }))
    };
    let conf6 = |live: &'static [Conf6]| {
        let of = match of {
            "all" => Of::All,
            "default" => Of::Default,
            _ => Of::Interface(ifindex),
        };
        live.iter().find(|live| live.name == key).map(|live| Value::Conf6(of, live))
    };
    match tree {
        "ipv4/conf" => match CONF4_LIVE.iter().find(|live| live.name == key) {
            Some(live) if of == "all" => Some(Value::Live(live)),
            // Of one interface it can only be read.
            Some(live) => CONF4_EACH.iter().find(|each| each.name == live.name).map(Value::Live),
            None => conf(CONF4),
        },
        "ipv6/conf" => match groups::CONF6.iter().find(|live| live.name == key) {
            Some(live) if of == "all" => Some(Value::Live(live)),
            // Of one interface it can only be read.
            Some(_) => GROUPS6_EACH.iter().find(|each| each.name == key).map(Value::Live),
            None => conf6(CONF6_LIVE).or_else(|| conf(CONF6)),
        },
        _ => {
            let default = || {
                (of == "default").then(|| interface(&[NEIGH_DEFAULT_LIVE]).or_else(|| pair(NEIGH_DEFAULT)))?
            };
            let told = if tree == "ipv6/neigh" { conf6(NEIGH6_LIVE) } else { None };
            told.or_else(|| interface(NEIGH_LIVE)).or_else(|| pair(NEIGH)).or_else(default)
        }
    }
}

/// [`CONF4_LIVE`] as an interface has it.
const CONF4_EACH: &[Live] = &[
    Live { set: None, ..CONF4_LIVE[0] },
    Live { set: None, ..CONF4_LIVE[1] },
    Live { set: None, ..CONF4_LIVE[2] },
    Live { set: None, ..groups::FORCE_IGMP },
    Live { set: None, ..groups::IGMP_OLD },
    Live { set: None, ..groups::IGMP_NEW },
];

/// [`groups::CONF6`] as an interface has it.
const GROUPS6_EACH: &[Live] = &[
    Live { set: None, ..groups::CONF6[0] },
    Live { set: None, ..groups::CONF6[1] },
    Live { set: None, ..groups::CONF6[2] },
];

/// A file's name as sysctl(8) has it. Only interfaces have dots in theirs, and those are found otherwise.
fn tcp_name(below: &str) -> String {
    format!("net.{}", below.replace('/', "."))
}

/// TCP's values have names of several systems.
fn is_linux(name: &str) -> bool {
    name.starts_with("net.core.") || name.starts_with("net.ipv4.")
}

/// All files below `/proc/sys/net`.
fn names(stack: &Stack) -> impl Iterator<Item = String> {
    let tcp = tcp::names().filter(|name| is_linux(name)).map(|name| name["net.".len()..].replace('.', "/"));
    let plain = LIVE
        .iter()
        .chain(groups::LIVE)
        .map(|live| live.name)
        .chain(FIXED.iter().map(|(name, _)| *name))
        .map(str::to_owned);
    let mut of: Vec<String> = vec!["all".to_owned(), "default".to_owned()];
    of.extend(stack.interfaces().map(|ifnet| ifnet.name.clone()));
    let keys = |tree: &str| -> Vec<&str> {
        match tree {
            "ipv4/conf" => {
                CONF4_LIVE.iter().map(|live| live.name).chain(CONF4.iter().map(|(name, ..)| *name)).collect()
            }
            "ipv6/conf" => {
                let groups = groups::CONF6.iter().map(|live| live.name);
                let others =
                    CONF6_LIVE.iter().map(|live| live.name).chain(CONF6.iter().map(|(name, ..)| *name));
                groups.chain(others).collect()
            }
            _ => {
                NEIGH_LIVE.iter().map(|(name, _)| *name).chain(NEIGH.iter().map(|(name, _)| *name)).collect()
            }
        }
    };
    let trees = TREES.iter().flat_map(|tree| {
        let of = of.iter().filter(|of| *of != "all" || tree.ends_with("conf"));
        of.flat_map(|of| keys(tree).into_iter().map(move |key| format!("{tree}/{of}/{key}")))
            .collect::<Vec<_>>()
    });
    let default = NEIGH_DEFAULT.iter().map(|(name, _)| *name).chain([NEIGH_DEFAULT_LIVE.0]);
    let default: Vec<String> = default
        .flat_map(|key| ["ipv4", "ipv6"].map(|family| format!("{family}/neigh/default/{key}")))
        .collect();
    let mut all: Vec<String> = tcp.chain(plain).chain(trees.collect::<Vec<_>>()).chain(default).collect();
    all.sort();
    all.dedup();
    all.into_iter()
}
