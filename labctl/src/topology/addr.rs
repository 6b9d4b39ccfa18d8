//! Addresses as they are typed: `10.0.0.1/24`, `fd00::/64`, `default`, `02:00:00:00:00:01`.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::diag::{Code, Diag};
use super::read::{Cx, Read, Value};

/// An IEEE 802 address, six octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Whether it names one station: the group bit is clear and it is not all zeros.
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Not six octets in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a MAC address")]
pub struct BadMac;

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2 && !p.starts_with('+')).ok_or(BadMac)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Self(octets)) }
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// An address of an interface, with or without the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub addr: IpAddr,
    /// Its prefix's length; left out, it is that of the bus's subnet.
    pub prefix: Option<u8>,
}

/// Where a route goes: `default`, a prefix or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dest {
    /// Everything; the family is the next hop's.
    Default,
    /// A prefix; an address is a prefix of its full length.
    Net(IpNet),
}

macro_rules! read_text {
    ($t:ty, $code:ident, $name:literal, $example:literal, $parse:expr) => {
        impl Read for $t {
            fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
                let text = String::read(value, cx)?;
                let parse: fn(&str) -> Result<$t, String> = $parse;
                match parse(text.trim()) {
                    Ok(read) => Some(read),
                    Err(hint) => {
                        let message = format!("\"{text}\" is not {}", $name);
                        cx.push(Diag::new(Code::$code, value.span(), message).hint(if hint.is_empty() {
                            format!("for example \"{}\"", $example)
                        } else {
                            hint
                        }));
                        None
                    }
                }
            }
        }
    };
}

macro_rules! text_schema {
    ($t:ty, $id:literal, $name:literal, $example:literal) => {
        impl JsonSchema for $t {
            fn schema_name() -> Cow<'static, str> {
                $id.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": concat!("This is ", $name, ": `", $example, "`.") })
            }
        }
    };
}

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addr(pub IpAddr);

/// An address, and the interface by which it is meant if it is good on one link only: `fe80::1%eth0` (RFC 4007 §11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Zoned {
    /// The address.
    pub addr: IpAddr,
    /// The interface.
    pub zone: Option<String>,
}

impl Zoned {
    /// Whether it says nothing without an interface, and has none.
    pub fn lacks_zone(&self) -> bool {
        self.zone.is_none() && is_link_local(self.addr)
    }
}

impl From<IpAddr> for Zoned {
    fn from(addr: IpAddr) -> Self {
        Self { addr, zone: None }
    }
}

/// Not an address, or one with an interface that cannot have any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address")]
pub struct BadZoned;

impl FromStr for Zoned {
    type Err = BadZoned;

    fn from_str(text: &str) -> Result<Self, BadZoned> {
        let Some((addr, zone)) = text.split_once('%') else {
            return text.parse().map(|addr| Self { addr, zone: None }).map_err(|_| BadZoned);
        };
        match addr.parse() {
            Ok(IpAddr::V6(addr)) if !zone.is_empty() => {
                Ok(Self { addr: addr.into(), zone: Some(zone.to_owned()) })
            }
            Ok(_) | Err(_) => Err(BadZoned),
        }
    }
}

impl fmt::Display for Zoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            None => self.addr.fmt(f),
            Some(zone) => write!(f, "{}%{zone}", self.addr),
        }
    }
}

impl Serialize for Zoned {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Whether the address is good on its link alone (RFC 4291 §2.5.6), and so may be anywhere.
pub fn is_link_local(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

/// A prefix without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net(pub IpNet);

read_text!(Addr, BadAddress, "an IP address", "10.0.0.1", |text| match text.split_once(['/', '%']) {
    Some((addr, zone)) if addr.parse::<IpAddr>().is_ok() => Err(if text.contains('/') {
        format!("without a prefix: \"{addr}\"")
    } else {
        format!("without the interface: \"{addr}\"; a route names it by `dev = \"{zone}\"`")
    }),
    _ => text.parse().map(Addr).map_err(|_| String::new()),
});
text_schema!(Addr, "address", "an IP address", "10.0.0.1");

read_text!(Net, BadAddress, "a subnet", "10.0.0.0/24", |text| {
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("with the length of its prefix: \"{text}/24\""));
    }
    let net: IpNet = text.parse().map_err(|_| String::new())?;
    if net.trunc() == net { Ok(Net(net)) } else { Err(format!("did you mean \"{}\"?", net.trunc())) }
});
text_schema!(Net, "subnet", "a subnet", "10.0.0.0/24");

read_text!(Cidr, BadAddress, "an address", "10.0.0.1/24", |text| {
    let read = match text.split_once('/') {
        None => text.parse().ok().map(|addr| Cidr { addr, prefix: None }),
        Some(_) => text.parse::<IpNet>().ok().map(|n| Cidr { addr: n.addr(), prefix: Some(n.prefix_len()) }),
    };
    let read = read.ok_or_else(String::new)?;
    if read.addr.is_multicast() || read.addr.is_unspecified() || is_broadcast(read.addr) {
        return Err("an interface needs a unicast address".into());
    }
    if read.addr.is_loopback() {
        return Err("127.0.0.0/8 and ::1 belong to the loopback interface of every node".into());
    }
    match read.prefix.and_then(|len| IpNet::new(read.addr, len).ok()) {
        Some(net @ IpNet::V4(_)) if net.prefix_len() < 31 && net.addr() == net.network() => {
            Err("this is the subnet itself, not an address in it".into())
        }
        Some(net @ IpNet::V4(_)) if net.prefix_len() < 31 && net.addr() == net.broadcast() => {
            Err("this is the subnet's broadcast address".into())
        }
        _ => Ok(read),
    }
});
text_schema!(Cidr, "interface-address", "an address with the length of its prefix", "10.0.0.1/24");

read_text!(Dest, BadAddress, "a destination", "10.1.0.0/16", destination);

/// Reads a destination; the error is a hint.
pub(super) fn destination(text: &str) -> Result<Dest, String> {
    if text == "default" {
        return Ok(Dest::Default);
    }
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Ok(Dest::Net(addr.into()));
    }
    let net: IpNet = text.parse().map_err(|_| "\"default\", a prefix or an address".to_owned())?;
    if net.trunc() != net { Err(format!("did you mean \"{}\"?", net.trunc())) } else { Ok(Dest::Net(net)) }
}
text_schema!(Dest, "destination", "where a route goes, \"default\", a prefix or an address", "10.1.0.0/16");

read_text!(Mac, BadMac, "a MAC address of one station", "02:00:00:00:00:01", |text| {
    let mac: Mac = text.parse().map_err(|_| String::new())?;
    if mac.is_unicast() { Ok(mac) } else { Err("the lowest bit of the first octet marks a group".into()) }
});
text_schema!(Mac, "mac", "a MAC address", "02:00:00:00:00:01");

fn is_broadcast(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V4(addr) if addr.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_of_ipv6_only() {
        let zoned: Zoned = "fe80::1%eth0".parse().unwrap();
        assert_eq!((zoned.to_string().as_str(), zoned.zone.as_deref()), ("fe80::1%eth0", Some("eth0")));
        assert!("fe80::1".parse::<Zoned>().unwrap().lacks_zone() && !zoned.lacks_zone());
        assert_eq!("10.0.0.1".parse::<Zoned>(), Ok(IpAddr::from([10, 0, 0, 1]).into()));
        for bad in ["fe80::1%", "10.0.0.1%eth0", "%eth0", "h1", "fe80::1/64"] {
            assert_eq!(bad.parse::<Zoned>(), Err(BadZoned), "{bad}");
        }
    }

    #[test]
    fn mac_addresses_read_back() {
        let mac: Mac = "02:00:5e:10:00:fF".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
        for bad in
            ["", "02:00", "02:00:00:00:00:00:00", "2:0:0:0:0:1", "02:00:00:00:00:é", "+2:00:00:00:00:01"]
        {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
        assert!(!Mac([1, 0, 0, 0, 0, 0]).is_unicast());
    }
}
