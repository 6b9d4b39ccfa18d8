//! A node's configuration: the JSON file that the launcher writes and the node reads at birth.
//!
//! Everything in it can also be changed later over the control socket, except identity and
//! interfaces. Unknown fields are refused: launcher and node are the same binary.

mod ipv6;

pub use ipv6::{Dad, Ipv6Config, Preference, PrefixConfig, Privacy, RaConfig};

use crate::ifs::impairment::Impairment;
use indexmap::IndexMap;
use ipnet::IpNet;
use netstack::net::MacAddr;
use netstack::tcp::{Profile, TcpConfig, sysctl};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};

/// Octets of the longest interface name, as on Linux (`IFNAMSIZ` less the final NUL).
pub const IFNAME_MAX: usize = 15;

/// Everything a node must know to be born.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The lab's name.
    pub lab: String,
    /// This node's name.
    pub node: String,
    /// The node's run directory: `ctl`, `sysproxy`, `bell` and `pid` live there.
    pub dir: PathBuf,
    /// The instant from which the lab counts time.
    pub epoch: Epoch,
    /// Seed of the node's random numbers; 0: take them from the host.
    #[serde(default)]
    pub seed: u64,
    /// Which of the cores that it may run on, counted round, the node shares with its neighbours while it uses little; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<usize>,
    /// Whether packets for others are forwarded.
    #[serde(default)]
    pub forward: bool,
    /// Time to live of packets where a program does not choose (`net.ipv4.ip_default_ttl`); absent: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<NonZeroU8>,
    /// Whose TCP it has: `linux`, `freebsd` or `rfc`; absent: `linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// What differs from that profile, by the names of [`netstack::tcp::sysctl`]; of two names for one value the later holds.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub sysctl: IndexMap<String, String>,
    /// Interfaces on buses, in order; `lo` is there without being named.
    #[serde(default)]
    pub interfaces: Vec<InterfaceConfig>,
    /// Addresses of `lo` beside 127.0.0.1/8.
    #[serde(default)]
    pub loopback: Vec<IpNet>,
    /// Static routes.
    #[serde(default)]
    pub routes: Vec<RouteConfig>,
    /// Names that the node's programs resolve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostConfig>,
    /// A file with such names, one JSON array for all nodes of a lab; read when the first name is asked for, if `hosts` is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_file: Option<PathBuf>,
    /// Files and directories of the host that the node's programs find at other paths: absolute path on the node to absolute path
    /// on the host.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub files: IndexMap<String, PathBuf>,
}

/// The lab's time zero, on two host clocks read at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Nanoseconds of CLOCK_REALTIME.
    pub unix_ns: u64,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub mono_ns: u64,
}

/// One interface on a bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceConfig {
    /// Its name in the node, at most [`IFNAME_MAX`] octets.
    pub name: String,
    /// The bus file.
    pub bus: PathBuf,
    /// Ethernet address, `02:00:00:00:00:01`.
    #[serde(with = "mac_text")]
    pub mac: MacAddr,
    /// Octets of the largest IP packet.
    #[serde(default = "default_mtu")]
    pub mtu: u32,
    /// Addresses with their prefix lengths.
    #[serde(default)]
    pub addresses: Vec<IpNet>,
    /// IPv6; absent: it sends no IPv6 frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Config>,
    /// Whether packets are put on the bus with their checksums and segmentation left undone. They are always taken so.
    #[serde(default = "yes")]
    pub offload: bool,
    /// What happens to frames that leave by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impairment>,
    /// Whether it is up at birth.
    #[serde(default = "yes")]
    pub up: bool,
}

/// One static route. Several of the same `to` and `metric` share the traffic (ECMP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The destinations.
    pub to: IpNet,
    /// The next router; absent: they are on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The interface; absent: the one that reaches `via`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Smaller is preferred.
    #[serde(default)]
    pub metric: u32,
    /// Who made it, in the words of `ip route`: `static` (default), `boot`, `kernel`, `bird`, `ospf`, `bgp` …
    #[serde(default = "proto_static")]
    pub proto: String,
}

/// A name and its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostConfig {
    /// The name, compared without regard to case.
    pub name: String,
    /// Its addresses, the preferred one first.
    pub addresses: Vec<IpAddr>,
}

fn default_mtu() -> u32 {
    1500 // IEEE 802.3
}

fn yes() -> bool {
    true
}

fn proto_static() -> String {
    "static".to_owned()
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        #[source]
        source: std::io::Error,
    },
    /// Not JSON, or not of this shape.
    #[error("{path}: {source}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected there.
        #[source]
        source: serde_json::Error,
    },
    /// Of the right shape, with a value that makes no sense.
    #[error("{field}: {fault}")]
    Invalid {
        /// Path of the field, as `interfaces[2].mac`.
        field: String,
        /// What is wrong with it.
        fault: String,
    },
}

impl NodeConfig {
    /// Reads and validates the file at `path`.
    pub fn load(path: &Path) -> Result<NodeConfig, ConfigError> {
        let text =
            std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: NodeConfig = serde_json::from_slice(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
        config.validate()?;
        Ok(config)
    }

    /// Checks what the types cannot say. The first fault is returned: the launcher has already
    /// diagnosed the topology; this guards against files from elsewhere.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fault = |field: String, fault: &str| Err(ConfigError::Invalid { field, fault: fault.to_owned() });
        if self.node.is_empty() {
            return fault("node".into(), "a node needs a name");
        }
        for (i, interface) in self.interfaces.iter().enumerate() {
            let at = |field: &str| format!("interfaces[{i}].{field}");
            if let Err(why) = check_ifname(&interface.name) {
                return fault(at("name"), why);
            }
            if self.interfaces[..i].iter().any(|other| other.name == interface.name) {
                return fault(at("name"), "the name is taken by an earlier interface");
            }
            if interface.mac.is_multicast() || interface.mac == MacAddr::default() {
                return fault(at("mac"), "not an individual Ethernet address");
            }
            // RFC 791: every link carries 68 octets; the bus's records end at 64 KiB.
            if !(68..=65535).contains(&interface.mtu) {
                return fault(at("mtu"), "must lie between 68 and 65535");
            }
            let six = interface.addresses.iter().any(|net| net.addr().is_ipv6());
            match &interface.ipv6 {
                None if six => return fault(at("ipv6"), "is missing beside an IPv6 address"),
                Some(_) if interface.mtu < ipv6::MTU_MIN => {
                    return fault(at("mtu"), "must be at least 1280 for IPv6");
                }
                Some(six) => six.validate(self.forward, |field| at(&format!("ipv6.{field}")))?,
                None => {}
            }
        }
        for (i, route) in self.routes.iter().enumerate() {
            if route.via.is_none() && route.dev.is_none() {
                return fault(format!("routes[{i}]"), "needs `via` or `dev`");
            }
            if let Some(via) = route.via
                && via.is_ipv4() != route.to.addr().is_ipv4()
            {
                return fault(format!("routes[{i}].via"), "is of another address family than `to`");
            }
            if let Some(dev) = &route.dev
                && dev != "lo"
                && !self.interfaces.iter().any(|interface| interface.name == *dev)
            {
                return fault(format!("routes[{i}].dev"), "names no interface of this node");
            }
        }
        for (node, host) in &self.files {
            if !node.starts_with('/') || node.split('/').any(|part| part == "..") {
                return fault(format!("files.{node}"), "is no absolute path on the node");
            }
            if !host.is_absolute() {
                return fault(format!("files.{node}"), "stands for no absolute path of the host");
            }
        }
        self.tcp_config().map(drop)
    }

    /// TCP's values: the profile's, and on top of it what `sysctl` says.
    pub fn tcp_config(&self) -> Result<TcpConfig, ConfigError> {
        let fault = |field: String, fault: String| ConfigError::Invalid { field, fault };
        let name = self.tcp.as_deref().unwrap_or(Profile::Linux.name());
        let profile = Profile::by_name(name)
            .ok_or_else(|| fault("tcp".to_owned(), format!("no profile is called {name}")))?;
        let mut config = profile.config();
        let values: Vec<(&str, &str)> = self.sysctl.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        match sysctl::set_all(&mut config, &values).into_iter().next() {
            Some((at, error)) => Err(fault(format!("sysctl.{}", values[at].0), error.to_string())),
            None => Ok(config),
        }
    }
}

fn check_ifname(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("an interface needs a name"),
        "lo" => Err("`lo` is there already"),
        _ if name.len() > IFNAME_MAX => Err("longer than 15 octets"),
        _ if name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) => {
            Err("contains a slash or white space")
        }
        _ => Ok(()),
    }
}

/// Ethernet addresses as text: six pairs of hexadecimal digits, separated by colons or hyphens.
pub mod mac_text {
    use netstack::net::MacAddr;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes `02:00:00:00:00:01`.
    pub fn serialize<S: Serializer>(mac: &MacAddr, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(mac)
    }

    /// Reads what [`serialize`] writes, and hyphens.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MacAddr, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is no Ethernet address")))
    }

    /// The address that `text` spells.
    pub fn parse(text: &str) -> Option<MacAddr> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'))?;
            *octet = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(MacAddr(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> NodeConfig {
        serde_json::from_str(
            r#"{"lab":"l","node":"n","dir":"/d","epoch":{"unix_ns":1,"mono_ns":2},
            "interfaces":[{"name":"eth0","bus":"/b","mac":"02:00:00:00:00:01","addresses":["10.0.0.1/24"]}],
            "routes":[{"to":"0.0.0.0/0","via":"10.0.0.254"}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn defaults_and_round_trip() {
        let config = minimal();
        config.validate().unwrap();
        assert_eq!((config.interfaces[0].mtu, config.interfaces[0].up), (1500, true));
        assert_eq!(config.routes[0].proto, "static");
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NodeConfig>(&text).unwrap(), config);
    }

    #[test]
    fn faults_name_their_field() {
        let spoil = |change: fn(&mut NodeConfig)| {
            let mut config = minimal();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(spoil(|c| c.node.clear()).starts_with("node:"));
        assert!(
            spoil(|c| c.interfaces[0].name = "a234567890123456".into()).starts_with("interfaces[0].name:")
        );
        assert!(spoil(|c| c.interfaces.push(c.interfaces[0].clone())).starts_with("interfaces[1].name:"));
        assert!(spoil(|c| c.interfaces[0].mac = MacAddr::BROADCAST).starts_with("interfaces[0].mac:"));
        assert!(spoil(|c| c.interfaces[0].mtu = 67).starts_with("interfaces[0].mtu:"));
        let six = |change: fn(&mut Ipv6Config)| {
            let text = r#"{"ra":{"prefixes":[{"prefix":"fd00::/64","onlink":true,"autonomous":true,"valid":2,"preferred":1}],
                "lifetime":30,"interval_ms":10000,"min_interval_ms":3300}}"#;
            let mut config = minimal();
            let mut six: Ipv6Config = serde_json::from_str(text).unwrap();
            change(&mut six);
            config.interfaces[0].ipv6 = Some(six);
            config.forward = true;
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(six(|_| ()), Ok(()));
        let fault = |change| six(change).unwrap_err();
        assert!(fault(|c| c.slaac = true).starts_with("interfaces[0].ipv6.slaac:"));
        assert!(
            fault(|c| c.ra.as_mut().unwrap().min_interval_ms = 0)
                .starts_with("interfaces[0].ipv6.ra.min_interval_ms:")
        );
        assert!(fault(|c| c.ra.as_mut().unwrap().mtu = Some(1279)).starts_with("interfaces[0].ipv6.ra.mtu:"));
        assert!(
            fault(|c| c.ra.as_mut().unwrap().prefixes[0].preferred = 3)
                .starts_with("interfaces[0].ipv6.ra.prefixes[0].preferred:")
        );
        assert!(
            spoil(|c| c.interfaces[0].addresses.push("fd00::1/64".parse().unwrap()))
                .starts_with("interfaces[0].ipv6:")
        );
        assert!(spoil(|c| c.routes[0].via = None).starts_with("routes[0]:"));
        assert!(spoil(|c| c.routes[0].via = Some("::1".parse().unwrap())).starts_with("routes[0].via:"));
        assert!(spoil(|c| c.routes[0].dev = Some("eth7".into())).starts_with("routes[0].dev:"));
        assert_eq!(spoil(|c| c.tcp = Some("beos".into())), "tcp: no profile is called beos");
        let file = |node: &str, host: &str| {
            let mut config = minimal();
            config.files.insert(node.into(), host.into());
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(file("/srv", "/tmp/www"), Ok(()));
        assert_eq!(file("/srv/../x", "/tmp"), Err("files./srv/../x: is no absolute path on the node".into()));
        assert_eq!(file("/srv", "www"), Err("files./srv: stands for no absolute path of the host".into()));
        let sysctl = |name: &str, value: &str| {
            let mut config = minimal();
            config.sysctl.insert(name.into(), value.into());
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(sysctl("net.nothing", "1"), "sysctl.net.nothing: no value is called net.nothing");
        let said = sysctl("net.ipv4.tcp_sack", "maybe");
        assert_eq!(said, "sysctl.net.ipv4.tcp_sack: net.ipv4.tcp_sack takes 0 or 1");
    }

    #[test]
    fn values_lie_on_top_of_the_profile() {
        assert_eq!(minimal().tcp_config().unwrap(), Profile::Linux.config());
        let text = r#"{"lab":"l","node":"n","dir":"/d","epoch":{"unix_ns":1,"mono_ns":2},"tcp":"freebsd",
            "sysctl":{"net.inet.tcp.recvspace":"32768"}}"#;
        let config: NodeConfig = serde_json::from_str(text).unwrap();
        let mut want = Profile::FreeBsd.config();
        want.rcvbuf.default = 32768;
        assert_eq!(config.tcp_config().unwrap(), want);
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NodeConfig>(&again).unwrap(), config);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error =
            serde_json::from_str::<NodeConfig>(r#"{"lab":"l","node":"n","dir":"/d","nod":1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `nod`"), "{error}");
    }

    #[test]
    fn mac_text_is_strict() {
        assert_eq!(mac_text::parse("02-00-00-00-00-ff"), Some(MacAddr([2, 0, 0, 0, 0, 255])));
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "02:00:00:00:00:+1",
            "zz:00:00:00:00:01",
        ] {
            assert_eq!(mac_text::parse(bad), None, "{bad}");
        }
    }
}
