//! Router advertisements: the variables of RFC 4861 §6.2.1 by short names, with the defaults of radvd.
//!
//! `ra = {}` is enough: it advertises the prefixes that the interface itself is on. Not here: DNS search lists (RFC 8106 §5.2) and
//! further routes (RFC 4191 §2.3).

use std::net::{IpAddr, Ipv6Addr};
use std::time;

use ipnet::{IpNet, Ipv6Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::addr::{Addr, Net, is_link_local};
use super::diag::{Code, Diag, Span};
use super::draft::{Draft, Interface};
use super::read::{Cx, Int, OneOrMany, Quantified, Read, Sp, Value, table, words};
use super::units::{Duration, Lifetime};

words! {
    /// Which of several default routers hosts take (RFC 4191 §2.1).
    Preference {
        /// Before others.
        High = "high",
        /// As others.
        Medium = "medium",
        /// After others.
        Low = "low",
    }
}

table! {
    /// What a router's interface advertises (RFC 4861 §6.2).
    RawRa {
        /// Prefixes; left out, those that the interface has addresses in.
        prefixes: Option<Sp<OneOrMany<PrefixSpec>>>,
        /// How long it is a default router (AdvDefaultLifetime); left out, three times `interval`; `0s`: it is none.
        lifetime: Option<Sp<Quantified<Duration>>>,
        /// The link's MTU in octets (AdvLinkMTU); left out, nothing is said of it.
        mtu: Option<Sp<Int<1280, 65535>>>,
        /// Addresses of name servers (RFC 8106).
        rdnss: Option<Sp<OneOrMany<Addr>>>,
        /// `high`, `medium` (default) or `low` (RFC 4191).
        preference: Option<Sp<Preference>>,
        /// Longest time between two that nobody asked for (MaxRtrAdvInterval, default 600s).
        interval: Option<Sp<Quantified<Duration>>>,
        /// Shortest time between them (MinRtrAdvInterval); left out, a third of `interval`.
        min_interval: Option<Sp<Quantified<Duration>>>,
        /// Addresses come by DHCPv6 (AdvManagedFlag, default false).
        managed: Option<Sp<bool>>,
        /// Other things come by DHCPv6 (AdvOtherConfigFlag, default false).
        other: Option<Sp<bool>>,
        /// Hop limit of hosts' packets (AdvCurHopLimit, default 64; 0: nothing is said of it).
        hop_limit: Option<Sp<Int<0, 255>>>,
        /// How long a confirmed neighbour counts as reachable (AdvReachableTime); left out, nothing is said of it.
        reachable: Option<Sp<Quantified<Duration>>>,
        /// Time between two solicitations of a neighbour (AdvRetransTimer); left out, nothing is said of it.
        retrans: Option<Sp<Quantified<Duration>>>,
    }
}

table! {
    /// A prefix that is advertised.
    RawPrefix {
        /// The prefix.
        prefix: Sp<Net>,
        /// Whether its addresses are neighbours (AdvOnLinkFlag, default true).
        onlink: Option<Sp<bool>>,
        /// Whether hosts make addresses of it (AdvAutonomousFlag, default true for a /64).
        autonomous: Option<Sp<bool>>,
        /// How long it is valid (AdvValidLifetime, default 24h).
        valid: Option<Sp<Quantified<Lifetime>>>,
        /// How long its addresses are preferred (AdvPreferredLifetime, default 4h).
        preferred: Option<Sp<Quantified<Lifetime>>>,
    }
}

/// `"fd00::/64"` or a table.
#[derive(Clone, Debug)]
pub struct PrefixSpec(pub RawPrefix);

impl Read for PrefixSpec {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        if let DeValue::String(_) = value.get_ref() {
            let prefix = Sp::<Net>::read(value, cx)?;
            return Some(Self(RawPrefix {
                prefix,
                onlink: None,
                autonomous: None,
                valid: None,
                preferred: None,
            }));
        }
        RawPrefix::read(value, cx).map(Self)
    }
}

impl JsonSchema for PrefixSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "advertised-prefix".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (net, table) = (generator.subschema_for::<Net>(), generator.subschema_for::<RawPrefix>());
        json_schema!({ "anyOf": [net, table] })
    }
}

/// What is advertised, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ra {
    /// Prefixes.
    pub prefixes: Vec<RaPrefix>,
    /// How long it is a default router, to the second; 0: it is none.
    pub lifetime: Duration,
    /// The link's MTU in octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rdnss: Vec<Ipv6Addr>,
    /// Which of several default routers hosts take.
    pub preference: Preference,
    /// Longest time between two that nobody asked for, to the millisecond.
    pub interval: Duration,
    /// Shortest time between them, to the millisecond.
    pub min_interval: Duration,
    /// Addresses come by DHCPv6.
    pub managed: bool,
    /// Other things come by DHCPv6.
    pub other: bool,
    /// Hop limit of hosts' packets; 0: nothing is said of it.
    pub hop_limit: u8,
    /// How long a confirmed neighbour counts as reachable, to the millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Duration>,
    /// Time between two solicitations of a neighbour, to the millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrans: Option<Duration>,
}

/// An advertised prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Whether its addresses are neighbours.
    pub onlink: bool,
    /// Whether hosts make addresses of it.
    pub autonomous: bool,
    /// How long it is valid.
    pub valid: Lifetime,
    /// How long its addresses are preferred.
    pub preferred: Lifetime,
}

/// MaxRtrAdvInterval's default (RFC 4861 §6.2.1).
const INTERVAL: time::Duration = time::Duration::from_secs(600);
/// Its range: the shortest is RFC 6275's (§7.5), the longest RFC 8319's (§4).
const INTERVAL_RANGE: (time::Duration, time::Duration) =
    (time::Duration::from_millis(70), time::Duration::from_secs(65_535));
/// The shortest MinRtrAdvInterval (RFC 6275 §7.5).
const MIN_INTERVAL_LEAST: time::Duration = time::Duration::from_millis(30);
/// The longest AdvDefaultLifetime: the field has 16 bits (RFC 8319 §4).
const LIFETIME_MAX: time::Duration = time::Duration::from_secs(65_535);
/// The longest AdvReachableTime (RFC 4861 §6.2.1).
const REACHABLE_MAX: time::Duration = time::Duration::from_secs(3600);
/// The longest AdvRetransTimer: 32 bits of milliseconds.
const RETRANS_MAX: time::Duration = time::Duration::from_millis(u32::MAX as u64);
/// Prefixes that fit in one advertisement with everything else, on a link of 1280 octets.
const PREFIXES_MAX: usize = 32;
/// Name servers in one option.
const RDNSS_MAX: usize = 16;

/// What is meant by an interface's `ra`.
pub(super) fn ra(typed: &Sp<RawRa>, draft: &Draft, interface: &Interface, cx: &mut Cx) -> Ra {
    let (low, high) = INTERVAL_RANGE;
    let interval =
        typed.interval.as_ref().map_or(INTERVAL, |time| within(time, low, high, "an interval", cx));
    let least = match &typed.min_interval {
        None => (interval * 33 / 100).max(MIN_INTERVAL_LEAST),
        // RFC 4861 §6.2.1: no greater than three quarters of the longest.
        Some(time) => within(time, MIN_INTERVAL_LEAST, interval * 3 / 4, "a shortest interval", cx),
    };
    let lifetime = match &typed.lifetime {
        None => (interval * 3).clamp(time::Duration::from_secs(1), LIFETIME_MAX),
        Some(zero) if zero.value.0.0.is_zero() => time::Duration::ZERO,
        // RFC 4861 §6.2.1: it must outlive the time to the next one.
        Some(time) => {
            within(time, interval.max(time::Duration::from_secs(1)), LIFETIME_MAX, "a lifetime", cx)
        }
    };
    let reachable = typed.reachable.as_ref();
    let reachable =
        reachable.map(|time| within(time, time::Duration::ZERO, REACHABLE_MAX, "a reachable time", cx));
    let retrans = typed.retrans.as_ref();
    let retrans =
        retrans.map(|time| within(time, time::Duration::ZERO, RETRANS_MAX, "a retransmission time", cx));
    Ra {
        prefixes: prefixes(typed.prefixes.as_ref(), interface, cx),
        lifetime: Duration(time::Duration::from_secs(lifetime.as_secs())),
        mtu: mtu(typed.mtu.as_ref(), draft, interface, cx),
        rdnss: rdnss(typed.rdnss.as_ref(), cx),
        preference: typed.preference.as_ref().map_or(Preference::Medium, |preference| preference.value),
        interval: whole_ms(interval),
        min_interval: whole_ms(least),
        managed: is_set(typed.managed.as_ref()),
        other: is_set(typed.other.as_ref()),
        hop_limit: typed.hop_limit.as_ref().map_or(Ra::HOP_LIMIT, |limit| limit.0 as u8),
        reachable: reachable.map(whole_ms),
        retrans: retrans.map(whole_ms),
    }
}

fn is_set(flag: Option<&Sp<bool>>) -> bool {
    flag.is_some_and(|flag| flag.value)
}

fn whole_ms(time: time::Duration) -> Duration {
    Duration(time::Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// The time, if it is in its range; else the range's end, and a fault.
fn within(
    typed: &Sp<Quantified<Duration>>,
    low: time::Duration,
    high: time::Duration,
    what: &str,
    cx: &mut Cx,
) -> time::Duration {
    let time = typed.value.0.0;
    if (low..=high).contains(&time) {
        return time;
    }
    let message = format!("{what} of advertisements cannot be {}", typed.value.0);
    let range = format!("{} to {}", Duration(low), Duration(high));
    cx.push(Diag::new(Code::OutOfRange, typed.span.clone(), message).hint(range));
    time.clamp(low, high)
}

fn prefixes(typed: Option<&Sp<OneOrMany<PrefixSpec>>>, interface: &Interface, cx: &mut Cx) -> Vec<RaPrefix> {
    let Some(Sp { value: OneOrMany(typed), span }) = typed else {
        let mut own: Vec<RaPrefix> = Vec::new();
        for net in interface.addrs.iter().filter(|net| !is_link_local(net.addr())) {
            // A prefix of one address is nobody else's.
            if let IpNet::V6(net) = net.value
                && net.prefix_len() < 128
                && own.iter().all(|other| other.prefix != net.trunc())
            {
                own.push(RaPrefix::new(net.trunc()));
            }
        }
        return own;
    };
    if typed.len() > PREFIXES_MAX {
        let message = format!("{} prefixes do not fit in an advertisement", typed.len());
        cx.push(Diag::new(Code::TooMany, span.clone(), message).hint(format!("at most {PREFIXES_MAX}")));
    }
    typed.iter().filter_map(|spec| prefix(&spec.value.0, cx)).collect()
}

fn prefix(typed: &RawPrefix, cx: &mut Cx) -> Option<RaPrefix> {
    let mut bad = |fault: &str, hint: &str| {
        let message = format!("{} {fault}", typed.prefix.value.0);
        cx.push(Diag::new(Code::BadAddress, typed.prefix.span.clone(), message).hint(hint));
        None
    };
    let IpNet::V6(net) = typed.prefix.value.0 else {
        return bad("is an IPv4 prefix", "for example \"fd00:0:0:1::/64\"");
    };
    if net.addr().is_multicast() || net.addr().is_unicast_link_local() {
        return bad("cannot be advertised", "a prefix of unicast addresses that routers forward");
    }
    let mut made = RaPrefix::new(net);
    made.onlink = typed.onlink.as_ref().is_none_or(|flag| flag.value);
    if let Some(autonomous) = &typed.autonomous {
        made.autonomous = autonomous.value;
        if autonomous.value && net.prefix_len() != AUTONOMOUS_LEN {
            let message = format!("hosts make no addresses of a /{}", net.prefix_len());
            let diag = Diag::new(Code::OutOfRange, autonomous.span.clone(), message);
            cx.push(
                diag.other(typed.prefix.span.clone(), "the prefix").hint("only of a /64 (RFC 4862 §5.5.3)"),
            );
        }
    }
    if let Some(valid) = &typed.valid {
        made.valid = valid.value.0;
    }
    made.preferred = match &typed.preferred {
        Some(preferred) => preferred.value.0,
        None => made.preferred.min(made.valid),
    };
    if let (true, Some(preferred)) = (made.preferred > made.valid, &typed.preferred) {
        let message = format!("addresses cannot be preferred longer than they are valid, {}", made.valid);
        let diag = Diag::new(Code::OutOfRange, preferred.span.clone(), message);
        let valid = typed.valid.as_ref().map_or(&typed.prefix.span, |valid| &valid.span);
        cx.push(diag.other(valid.clone(), "how long they are valid"));
    }
    Some(made)
}

/// Length of a prefix of which hosts make addresses: the interface identifier has 64 bits (RFC 2464 §4).
const AUTONOMOUS_LEN: u8 = 64;

impl Ra {
    /// AdvCurHopLimit, if the file does not say (radvd's).
    pub const HOP_LIMIT: u8 = 64;

    /// Whether hosts make addresses of any of its prefixes.
    pub fn is_autonomous(&self) -> bool {
        self.prefixes.iter().any(|prefix| prefix.autonomous)
    }
}

impl RaPrefix {
    /// How long a prefix is valid, if the file does not say (radvd's): a day.
    pub const VALID: Lifetime = Lifetime(86_400);
    /// How long its addresses are preferred: four hours.
    pub const PREFERRED: Lifetime = Lifetime(14_400);

    /// With the defaults.
    fn new(prefix: Ipv6Net) -> Self {
        let autonomous = prefix.prefix_len() == AUTONOMOUS_LEN;
        Self { prefix, onlink: true, autonomous, valid: Self::VALID, preferred: Self::PREFERRED }
    }
}

fn mtu(
    typed: Option<&Sp<Int<1280, 65535>>>,
    draft: &Draft,
    interface: &Interface,
    cx: &mut Cx,
) -> Option<u16> {
    let typed = typed?;
    let own = interface.mtu.as_ref().map_or(draft.buses[interface.bus].mtu, |mtu| mtu.value);
    let mtu = typed.0 as u16;
    if mtu > own {
        let message = format!("an MTU of {mtu} is advertised on a link of {own}");
        cx.push(Diag::new(Code::OutOfRange, typed.span.clone(), message).hint(format!("1280 to {own}")));
    }
    Some(mtu)
}

fn rdnss(typed: Option<&Sp<OneOrMany<Addr>>>, cx: &mut Cx) -> Vec<Ipv6Addr> {
    let Some(Sp { value: OneOrMany(typed), span }) = typed else { return Vec::new() };
    if typed.len() > RDNSS_MAX {
        let message = format!("{} name servers do not fit in an advertisement", typed.len());
        cx.push(Diag::new(Code::TooMany, span.clone(), message).hint(format!("at most {RDNSS_MAX}")));
    }
    let mut six = |addr: &Sp<Addr>| match addr.0 {
        IpAddr::V6(addr) if !addr.is_multicast() && !addr.is_unspecified() => Some(addr),
        other => {
            let message = format!("{other} is not the IPv6 address of a name server");
            cx.push(Diag::new(Code::BadAddress, addr.span.clone(), message).hint("for example \"fd00::53\""));
            None
        }
    };
    typed.iter().filter_map(&mut six).collect()
}

/// The prefixes that are written in an interface's `ra`, and where.
pub(super) fn written(interface: &Interface) -> impl Iterator<Item = (IpNet, Span)> + '_ {
    let typed = interface.ra.as_ref().and_then(|ra| ra.prefixes.as_ref());
    let all = typed.into_iter().flat_map(|list| &list.value.0);
    all.map(|spec| (spec.value.0.prefix.value.0, spec.value.0.prefix.span.clone()))
}
