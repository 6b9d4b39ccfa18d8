//! IPv6 of one interface: how it makes its addresses and tries them, and what it advertises.

use super::ConfigError;
use ipnet::Ipv6Net;
use netstack::netinet6::{in6_ifaddr, rtadv};
use netstack::time::Duration;
use netstack::wire::ndp_router;
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

/// IPv6 of an interface that speaks it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ipv6Config {
    /// Whether addresses and default routes are taken from advertisements (RFC 4862); a node that forwards takes none.
    #[serde(default)]
    pub slaac: bool,
    /// What becomes of an address before it is used.
    #[serde(default)]
    pub dad: Dad,
    /// How addresses are made.
    #[serde(default)]
    pub privacy: Privacy,
    /// What is advertised; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ra: Option<RaConfig>,
}

/// Duplicate address detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dad {
    /// None: addresses are used at once.
    Off,
    /// RFC 4862 §5.4: they are used when nobody has objected.
    On,
    /// RFC 4429: they are used with care meanwhile.
    #[default]
    Optimistic,
}

/// Interface identifiers of addresses that the node makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Of the Ethernet address (RFC 4291, appendix A).
    Eui64,
    /// Of the prefix and a secret (RFC 7217).
    #[default]
    Stable,
    /// As `stable`, and addresses that change besides (RFC 8981).
    Temporary,
}

/// Router advertisements: the variables of RFC 4861 §6.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaConfig {
    /// Prefixes (AdvPrefixList).
    #[serde(default)]
    pub prefixes: Vec<PrefixConfig>,
    /// Seconds for which this is a default router (AdvDefaultLifetime); 0: it is none.
    pub lifetime: u16,
    /// Octets (AdvLinkMTU); absent: nothing is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Name servers (RFC 8106).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rdnss: Vec<Ipv6Addr>,
    /// Seconds for which they may be asked.
    #[serde(default)]
    pub rdnss_lifetime: u32,
    /// Which of several default routers hosts take (RFC 4191).
    #[serde(default)]
    pub preference: Preference,
    /// Milliseconds between two that nobody asked for, at most (MaxRtrAdvInterval).
    pub interval_ms: u32,
    /// The same, at least (MinRtrAdvInterval).
    pub min_interval_ms: u32,
    /// AdvManagedFlag
    #[serde(default)]
    pub managed: bool,
    /// AdvOtherConfigFlag
    #[serde(default)]
    pub other: bool,
    /// AdvCurHopLimit; 0: nothing is said of it.
    #[serde(default)]
    pub hop_limit: u8,
    /// Milliseconds (AdvReachableTime); 0: nothing is said of it.
    #[serde(default)]
    pub reachable_ms: u32,
    /// Milliseconds (AdvRetransTimer); 0: nothing is said of it.
    #[serde(default)]
    pub retrans_ms: u32,
}

/// An advertised prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixConfig {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// AdvOnLinkFlag
    pub onlink: bool,
    /// AdvAutonomousFlag
    pub autonomous: bool,
    /// Seconds (AdvValidLifetime); all ones: for ever.
    pub valid: u32,
    /// Seconds (AdvPreferredLifetime); all ones: for ever.
    pub preferred: u32,
}

/// RFC 4191 §2.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// Before others.
    High,
    /// As others.
    #[default]
    Medium,
    /// After others.
    Low,
}

impl RaConfig {
    /// The same in the stack's words.
    pub(crate) fn of_stack(&self) -> rtadv::RaConfig {
        let prefix = |prefix: &PrefixConfig| rtadv::RaPrefix {
            prefix: prefix.prefix,
            on_link: prefix.onlink,
            autonomous: prefix.autonomous,
            valid: prefix.valid,
            preferred: prefix.preferred,
        };
        rtadv::RaConfig {
            prefixes: self.prefixes.iter().map(prefix).collect(),
            lifetime: self.lifetime,
            preference: match self.preference {
                Preference::High => ndp_router::Preference::High,
                Preference::Medium => ndp_router::Preference::Medium,
                Preference::Low => ndp_router::Preference::Low,
            },
            mtu: self.mtu,
            rdnss: self.rdnss.clone(),
            rdnss_lifetime: self.rdnss_lifetime,
            max_interval: Duration::from_millis(self.interval_ms.into()),
            min_interval: Duration::from_millis(self.min_interval_ms.into()),
            managed: self.managed,
            other: self.other,
            hop_limit: self.hop_limit,
            reachable_ms: self.reachable_ms,
            retrans_ms: self.retrans_ms,
            ..rtadv::RaConfig::default()
        }
    }
}

impl Ipv6Config {
    /// The same in the stack's words.
    pub(crate) fn of_stack(&self) -> in6_ifaddr::Ipv6Config {
        in6_ifaddr::Ipv6Config {
            enabled: true,
            dad: match self.dad {
                Dad::Off => in6_ifaddr::Dad::Off,
                Dad::On => in6_ifaddr::Dad::On,
                Dad::Optimistic => in6_ifaddr::Dad::Optimistic,
            },
            iid: match self.privacy {
                Privacy::Eui64 => in6_ifaddr::InterfaceId::Eui64,
                Privacy::Stable | Privacy::Temporary => in6_ifaddr::InterfaceId::Stable,
            },
            accept_ra: match self.slaac {
                true => in6_ifaddr::AcceptRa::Host,
                false => in6_ifaddr::AcceptRa::Never,
            },
            autoconf: self.slaac,
            temporary: self.privacy == Privacy::Temporary,
            ..in6_ifaddr::Ipv6Config::default()
        }
    }

    /// Checks what the types cannot say; `at` is the path of a field.
    pub(super) fn validate(&self, forward: bool, at: impl Fn(&str) -> String) -> Result<(), ConfigError> {
        let fault = |field: &str, fault: &str| {
            Err(ConfigError::Invalid { field: at(field), fault: fault.to_owned() })
        };
        if self.slaac && forward {
            return fault("slaac", "is of hosts, and the node forwards");
        }
        let Some(ra) = &self.ra else { return Ok(()) };
        if !forward {
            return fault("ra", "is of nodes that forward");
        }
        if ra.min_interval_ms == 0 || ra.min_interval_ms > ra.interval_ms {
            return fault("ra.min_interval_ms", "must lie between 1 and `interval_ms`");
        }
        if ra.mtu.is_some_and(|mtu| mtu < MTU_MIN) {
            return fault("ra.mtu", "is less than 1280");
        }
        for (i, prefix) in ra.prefixes.iter().enumerate() {
            let net = prefix.prefix;
            if net != net.trunc() || net.addr().is_multicast() || net.addr().is_unicast_link_local() {
                return fault(&format!("ra.prefixes[{i}].prefix"), "cannot be advertised");
            }
            if prefix.preferred > prefix.valid {
                return fault(&format!("ra.prefixes[{i}].preferred"), "is longer than `valid`");
            }
        }
        Ok(())
    }
}

/// Every link of IPv6 carries so many octets (RFC 8200 §5).
pub(super) const MTU_MIN: u32 = 1280;
