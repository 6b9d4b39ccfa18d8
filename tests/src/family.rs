//! One test in three forms: over IPv4, over IPv6, and where both are.
//!
//! A lab's text is written for both; [`Family::topology`] takes away what the form has not. `in_each_family!`
//! makes three tests of a function that is told which form it is.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a lab speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone: no frame of the other.
    V4,
    /// IPv6 alone.
    V6,
    /// Both. Names stand for addresses of both, and programs take IPv6 first.
    Dual,
}

impl Family {
    /// Whether there is IPv4.
    pub fn has_v4(self) -> bool {
        match self {
            Family::V4 | Family::Dual => true,
            Family::V6 => false,
        }
    }

    /// Whether there is IPv6.
    pub fn has_v6(self) -> bool {
        match self {
            Family::V6 | Family::Dual => true,
            Family::V4 => false,
        }
    }

    /// A topology that is written for both, in this form: without the other family's keys (`subnet = "…"`;
    /// `subnet6 = "…"`, `dad = "…"`) and items of lists of addresses. Keys stand before a comma, items before or behind one.
    pub fn topology(self, both: &str) -> String {
        let mut text = String::with_capacity(both.len());
        for line in both.lines() {
            let mut line = line.to_owned();
            if !self.has_v4() {
                line = without_key(&line, "subnet = ");
            }
            if !self.has_v6() {
                line = without_key(&without_key(&line, "subnet6 = "), "dad = ");
            }
            let _ = writeln!(text, "{}", self.without_items(&line));
        }
        text
    }

    /// A line without the other family's addresses in its lists.
    fn without_items(self, line: &str) -> String {
        let Some((before, rest)) = line.split_once("loopback = [") else { return line.to_owned() };
        let (items, after) = rest.split_once(']').expect("a list ends");
        let mine = items.split(", ").filter(|item| match item.contains(':') {
            true => self.has_v6(),
            false => self.has_v4(),
        });
        format!("{before}loopback = [{}]{after}", mine.collect::<Vec<_>>().join(", "))
    }

    /// A topology that is written for IPv4, in this form. 10.A.B.0/24 has fd00:10:A:B::/64 beside it or in its place, and what speaks
    /// of one address, of ARP or of ICMP speaks of IPv6's, which comes first.
    pub fn of_ipv4(self, topology: &str) -> String {
        match self {
            Family::V4 => topology.to_owned(),
            Family::V6 | Family::Dual => {
                topology.lines().map(|line| self.line_of_ipv4(line) + "\n").collect::<String>()
            }
        }
    }

    fn line_of_ipv4(self, line: &str) -> String {
        let line = line.split(" # ").next().unwrap_or(line);
        for key in ["subnet", "pool", "loopback"] {
            let begin = format!("{key} = \"");
            let Some((before, rest)) = line.split_once(&begin) else { continue };
            let (net, after) = rest.split_once('"').expect("a text ends");
            let (addr, _) = net.split_once('/').unwrap_or((net, ""));
            let [a, b, c, d] = addr.split('.').collect::<Vec<_>>()[..] else { panic!("no IPv4: {line}") };
            let (six, value) = match key {
                "subnet" => ("subnet6", format!("fd00:{a}:{b}:{c}::/64")),
                // However many subnets the pool has: those of /64 need more room.
                "pool" => ("pool6", format!("fd00:{a}:{b}::/48")),
                _ => ("loopback", format!("fd00:{a}:{b}:{c}::{d}")),
            };
            return match (self.has_v4(), key) {
                (true, "loopback") => format!("{before}loopback = [\"{net}\", \"{value}\"]{after}"),
                (true, _) => format!("{before}{key} = \"{net}\", {six} = \"{value}\"{after}"),
                (false, _) => format!("{before}{six} = \"{value}\"{}", after.replace(", prefix = 24", "")),
            };
        }
        let mut line = line.to_owned();
        for (four, six) in WORDS {
            line = line.replace(four, six);
        }
        let words: Vec<String> = line.split_inclusive(['"', ' ']).map(word_of_ipv4).collect();
        words.concat()
    }

    /// A host's address, as labs number them (10.0.NET.HOST, fd00:NET::HOST): that of the family which comes first.
    pub fn addr(self, host: Host) -> IpAddr {
        self.addrs(host)[0]
    }

    /// The same of all its families, the first one first.
    pub fn addrs(self, Host(net, host): Host) -> Vec<IpAddr> {
        let v6 = Ipv6Addr::new(0xfd00, hex(net), 0, 0, 0, 0, 0, hex(host));
        let v6 = self.has_v6().then_some(IpAddr::V6(v6));
        let v4 = self.has_v4().then_some(IpAddr::V4(Ipv4Addr::new(10, 0, net, host)));
        v6.into_iter().chain(v4).collect()
    }
}

/// A subnet and the number of a host there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host(pub u8, pub u8);

/// The number whose hexadecimal digits are those of `decimal`: fd00:12::1 is beside 10.0.12.1.
fn hex(decimal: u8) -> u16 {
    u16::from_str_radix(&decimal.to_string(), 16).expect("three digits at most")
}

/// What checks say of IPv4, and the same of IPv6: in filters, of the first segment of a connection (its MSS, a window of 45 of them).
/// `tcp[…]` is of IPv4 alone there.
const WORDS: &[(&str, &str)] = &[
    ("\"arp\"", "\"icmp6[icmp6type] == icmp6-neighborsolicit or icmp6[icmp6type] == icmp6-neighboradvert\""),
    ("\"icmp[icmptype] == 11\"", "\"icmp6[icmp6type] == 3\""),
    ("\"icmp\"", "\"icmp6[icmp6type] == 3\""),
    ("ip.src ==", "ipv6.src =="),
    ("0x020405b4", "0x020405a0"),
    ("== 64240", "== 64800"),
    ("tcp[20:", "ip6[60:"),
    ("tcp[24:", "ip6[64:"),
    ("tcp[28:", "ip6[68:"),
    ("tcp[36:", "ip6[76:"),
];

/// A word, with the address or prefix of IPv6 in place of IPv4's, if it is one.
fn word_of_ipv4(word: &str) -> String {
    let end = word.len() - word.trim_end_matches(['"', ' ']).len();
    let (text, end) = word.split_at(word.len() - end);
    let (addr, len) = text.split_once('/').map_or((text, None), |(addr, len)| (addr, Some(len)));
    match (addr.parse::<Ipv4Addr>(), len) {
        (Err(_), _) => word.to_owned(),
        (Ok(addr), None) => {
            let [a, b, c, d] = addr.octets();
            format!("fd00:{a}:{b}:{c}::{d}{end}")
        }
        (Ok(addr), Some(_)) => {
            let [a, b, c, _] = addr.octets();
            format!("fd00:{a}:{b}:{c}::/64{end}")
        }
    }
}

/// A line without a key, its value, which is text, and the comma behind it.
fn without_key(line: &str, key: &str) -> String {
    let Some(at) = line.find(key) else { return line.to_owned() };
    let value = &line[at + key.len() + 1..];
    let end = value.find('"').expect("a text ends") + 1;
    let rest = value[end..].strip_prefix(", ").unwrap_or(&value[end..]);
    format!("{}{rest}", &line[..at])
}

/// An address as it stands in a URL, or before a port.
pub fn in_url(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => format!("[{addr}]"),
    }
}

/// Makes three tests of each function named, which takes a [`Family`]: `v4::NAME`, `v6::NAME` and `dual::NAME`.
#[macro_export]
macro_rules! in_each_family {
    ($($name:ident),+ $(,)?) => {
        $crate::in_each_family!(@form v4 V4 $($name)+);
        $crate::in_each_family!(@form v6 V6 $($name)+);
        $crate::in_each_family!(@form dual Dual $($name)+);
    };
    (@form $form:ident $family:ident $($name:ident)+) => {
        mod $form {
            $(
                #[test]
                fn $name() {
                    super::$name($crate::family::Family::$family);
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "r = { loopback = [\"10.255.0.1/32\", \"fd00:ff::1/128\"] }\n\
                        left = { subnet = \"10.0.1.0/24\", subnet6 = \"fd00:1::/64\", nodes = [\"a\"] }\n";

    #[test]
    fn a_topology_keeps_what_its_form_has() {
        assert_eq!(Family::Dual.topology(BOTH), BOTH);
        let four =
            "r = { loopback = [\"10.255.0.1/32\"] }\nleft = { subnet = \"10.0.1.0/24\", nodes = [\"a\"] }\n";
        assert_eq!(Family::V4.topology(BOTH), four);
        let six = "r = { loopback = [\"fd00:ff::1/128\"] }\nleft = { subnet6 = \"fd00:1::/64\", nodes = [\"a\"] }\n";
        assert_eq!(Family::V6.topology(BOTH), six);
    }

    #[test]
    fn a_topology_of_ipv4_is_one_of_ipv6_too() {
        let four = "r = { loopback = \"10.255.0.{i}\" }\nhop = { pool = \"10.1.0.0/16\", prefix = 24 }   # r1-r2\n\
                    route = { to = \"10.3.0.0/24\" }\nwire = { filter = \"tcp and host 10.1.1.2\", min = 1 }\n";
        let six = "r = { loopback = \"fd00:10:255:0::{i}\" }\nhop = { pool6 = \"fd00:10:1::/48\" }  \n\
                   route = { to = \"fd00:10:3:0::/64\" }\nwire = { filter = \"tcp and host fd00:10:1:1::2\", min = 1 }\n";
        assert_eq!((Family::V4.of_ipv4(four), Family::V6.of_ipv4(four)), (four.into(), six.into()));
        let both = Family::Dual.of_ipv4(four);
        let lines: Vec<&str> = both.lines().collect();
        assert_eq!(lines[0], "r = { loopback = [\"10.255.0.{i}\", \"fd00:10:255:0::{i}\"] }");
        assert_eq!(
            lines[1].trim_end(),
            "hop = { pool = \"10.1.0.0/16\", pool6 = \"fd00:10:1::/48\", prefix = 24 }"
        );
        assert_eq!(lines[2], "route = { to = \"fd00:10:3:0::/64\" }");
    }

    #[test]
    fn hosts_are_numbered_alike() {
        let text = |family: Family| family.addrs(Host(12, 3)).into_iter().map(in_url).collect::<Vec<_>>();
        assert_eq!(text(Family::V4), ["10.0.12.3"]);
        assert_eq!(text(Family::Dual), ["[fd00:12::3]", "10.0.12.3"]);
    }
}
