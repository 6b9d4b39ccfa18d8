//! `--so_flags`: what the stack under test shall be, as `name=value` pairs between commas.
//!
//! | name | value | if absent |
//! |---|---|---|
//! | `profile` | `linux`, `freebsd`, `rfc`: whose numbers TCP has | `linux` |
//! | `local` | an address with its prefix; may be given several times | `192.168.0.2/16` |
//! | `gateway` | the router behind which everything else is | all is on the link |
//! | `mtu` | octets of the largest IP packet | 1500 |
//! | `seed` | of everything random | 1 |
//! | `patience` | seconds of virtual time after which a wait that nothing ends is given up | 7500 |
//! | a name with a dot | that value of `sysctl` | the profile's |

use ipnet::Ipv4Net;
use netstack::tcp::sysctl::{self, SysctlError};
use netstack::tcp::{Profile, TcpConfig};
use netstack::time::Duration;
use std::net::Ipv4Addr;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Flags {
    pub(crate) tcp: TcpConfig,
    pub(crate) local: Vec<Ipv4Net>,
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Octets.
    pub(crate) mtu: u32,
    pub(crate) seed: u64,
    /// Virtual time.
    pub(crate) patience: Duration,
}

/// Why flags were refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("`{0}` is not of the form name=value")]
    Form(String),
    #[error("there is no flag `{0}`")]
    Unknown(String),
    #[error("`{value}` is no value of `{name}`")]
    Value { name: String, value: String },
    #[error("`{name}`: {error}")]
    Sysctl { name: String, error: SysctlError },
}

impl Flags {
    /// Reads them; white space around names and values does not count.
    pub(crate) fn parse(text: &str) -> Result<Flags, FlagError> {
        let mut flags = Flags {
            tcp: TcpConfig::default(),
            local: Vec::new(),
            gateway: None,
            mtu: 1500,
            seed: 1,
            // A little more than the two hours after which an idle connection is probed.
            patience: Duration::from_secs(7500),
        };
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let mut values = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').ok_or_else(|| FlagError::Form(pair.to_owned()))?;
            let (name, value) = (name.trim(), value.trim());
            let bad = || FlagError::Value { name: name.to_owned(), value: value.to_owned() };
            match name {
                "profile" => flags.tcp = Profile::by_name(value).ok_or_else(bad)?.config(),
                "local" => flags.local.push(value.parse().map_err(|_| bad())?),
                "gateway" => flags.gateway = Some(value.parse().map_err(|_| bad())?),
                "mtu" => flags.mtu = value.parse().map_err(|_| bad())?,
                "seed" => flags.seed = value.parse().map_err(|_| bad())?,
                "patience" => flags.patience = Duration::from_secs(value.parse().map_err(|_| bad())?),
                _ if name.contains('.') => values.push((name, value)),
                _ => return Err(FlagError::Unknown(name.to_owned())),
            }
        }
        // After the profile, wherever that stands, and judged together.
        if let Some((at, error)) = sysctl::set_all(&mut flags.tcp, &values).into_iter().next() {
            return Err(FlagError::Sysctl { name: values[at].0.to_owned(), error });
        }
        if flags.local.is_empty() {
            flags.local.push(Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 2), 16));
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_so() {
        let flags = Flags::parse(
            "net.ipv4.tcp_sack=0, profile=freebsd,local=10.0.0.1/8,local=10.0.0.2/8,gateway=10.9.9.9,mtu=576",
        )
        .unwrap();
        assert_eq!((flags.tcp.profile, flags.tcp.sack), (Profile::FreeBsd, false));
        assert_eq!(flags.local, ["10.0.0.1/8".parse().unwrap(), "10.0.0.2/8".parse::<Ipv4Net>().unwrap()]);
        assert_eq!((flags.gateway, flags.mtu), (Some([10, 9, 9, 9].into()), 576));
        assert_eq!(Flags::parse("").unwrap().tcp, TcpConfig::default());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = |text| Flags::parse(text).unwrap_err().to_string();
        assert_eq!(error("profile"), "`profile` is not of the form name=value");
        assert_eq!(error("profil=linux"), "there is no flag `profil`");
        assert_eq!(error("profile=plan9"), "`plan9` is no value of `profile`");
        assert_eq!(error("net.ipv4.tcp_sac=1"), "`net.ipv4.tcp_sac`: no value is called net.ipv4.tcp_sac");
        assert_eq!(error("net.ipv4.tcp_sack=no"), "`net.ipv4.tcp_sack`: net.ipv4.tcp_sack takes 0 or 1");
        let both = "net.ipv4.tcp_rto_min_us=200000000,net.ipv4.tcp_rto_max_ms=300000";
        assert!(Flags::parse(both).is_ok(), "a least timeout above the largest of before");
    }
}
