//! Fields by Wireshark's names: `ip.ttl == 1`, `tcp.flags.rst`, `arp.opcode == 2`, `ip.src == h1`.
//!
//! A field alone means that the frame has it; a flag alone means that it is set (Wireshark would accept a cleared one, which
//! nobody means). `!=` means that the field is there and none of its values is the one given. What an ICMP error quotes is
//! not looked into.

use std::net::IpAddr;

use etherparse::{LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};
use ipnet::IpNet;

use super::code::{Frame, Rel};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A number up to 48 bits.
    Number,
    /// A bit.
    Flag,
    /// An IPv4 or IPv6 address.
    Address,
    /// An Ethernet address.
    Mac,
}

type Values<'a> = &'a mut dyn FnMut(Value);
type Extract = fn(&Frame<'_>, &LaxSlicedPacket<'_>, Values<'_>);

/// A field: its name, kind, and how it is taken from a frame.
pub struct Field {
    /// Wireshark's name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: FieldKind,
    extract: Extract,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// One value of a field in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Number(u64),
    Address(IpAddr),
    Mac([u8; 6]),
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// The field is there, and set if it is a flag.
    Present,
    /// A number.
    Number(Rel, u64),
    /// Only `Eq` and `Ne`: one of these networks.
    Address(Rel, Vec<IpNet>),
    /// Only `Eq` and `Ne`: one of these.
    Mac(Rel, Vec<[u8; 6]>),
}

/// A field and what it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldTest {
    /// Which.
    #[serde(serialize_with = "write_name", deserialize_with = "read_name")]
    pub field: &'static Field,
    /// What it must be.
    pub wanted: Wanted,
}

impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        self.name == other.name
    }
}

fn write_name<S: Serializer>(field: &&'static Field, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(field.name)
}

fn read_name<'de, D: Deserializer<'de>>(from: D) -> Result<&'static Field, D::Error> {
    let name = String::deserialize(from)?;
    lookup(&name).ok_or_else(|| D::Error::custom(format_args!("there is no field `{name}`")))
}

impl FieldTest {
    /// Whether the frame has it.
    pub fn run(&self, frame: &Frame<'_>) -> bool {
        let Some(headers) = frame.headers() else { return false };
        let (mut any, mut hit) = (false, false);
        (self.field.extract)(frame, headers, &mut |value| {
            any = true;
            hit |= match (&self.wanted, value) {
                (Wanted::Present, Value::Number(number)) => self.field.kind != FieldKind::Flag || number != 0,
                (Wanted::Present, Value::Address(_) | Value::Mac(_)) => true,
                (Wanted::Number(Rel::Ne, wanted), Value::Number(number)) => number == *wanted,
                (Wanted::Number(rel, wanted), Value::Number(number)) => rel.holds(&number, wanted),
                (Wanted::Address(_, nets), Value::Address(address)) => {
                    nets.iter().any(|net| net.contains(&address))
                }
                (Wanted::Mac(_, macs), Value::Mac(mac)) => macs.contains(&mac),
                (Wanted::Number(..) | Wanted::Address(..) | Wanted::Mac(..), _) => false,
            };
        });
        let differs = matches!(
            self.wanted,
            Wanted::Number(Rel::Ne, _) | Wanted::Address(Rel::Ne, _) | Wanted::Mac(Rel::Ne, _)
        );
        any && hit != differs
    }
}

/// The field of that name.
pub fn lookup(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

const fn number(name: &'static str, extract: Extract) -> Field {
    Field { name, kind: FieldKind::Number, extract }
}
const fn flag(name: &'static str, extract: Extract) -> Field {
    Field { name, kind: FieldKind::Flag, extract }
}
const fn address(name: &'static str, extract: Extract) -> Field {
    Field { name, kind: FieldKind::Address, extract }
}
const fn mac(name: &'static str, extract: Extract) -> Field {
    Field { name, kind: FieldKind::Mac, extract }
}

macro_rules! ether {
    ($p:ident, $each:ident, $header:ident => $($value:expr),+) => {
        |_, $p, $each| if let Some(LinkSlice::Ethernet2($header)) = &$p.link { $($each($value);)+ }
    };
}
macro_rules! arp {
    ($p:ident, $each:ident, $header:ident => $($value:expr),+) => {
        |_, $p, $each| if let Some(LaxNetSlice::Arp($header)) = &$p.net { $($each($value);)+ }
    };
}
macro_rules! ipv4 {
    ($p:ident, $each:ident, $header:ident => $($value:expr),+) => {
        |_, $p, $each| if let Some(LaxNetSlice::Ipv4(ip)) = &$p.net { let $header = ip.header(); $($each($value);)+ }
    };
}
macro_rules! ipv6 {
    ($p:ident, $each:ident, $header:ident => $($value:expr),+) => {
        |_, $p, $each| if let Some(LaxNetSlice::Ipv6(ip)) = &$p.net { let $header = ip.header(); $($each($value);)+ }
    };
}
macro_rules! transport {
    ($kind:ident, $p:ident, $each:ident, $header:ident => $($value:expr),+) => {
        |_, $p, $each| if let Some(TransportSlice::$kind($header)) = &$p.transport { $($each($value);)+ }
    };
}

fn n(value: impl Into<u64>) -> Value {
    Value::Number(value.into())
}

fn arp_address(octets: &[u8], each: Values<'_>) {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        each(Value::Address(IpAddr::from(octets)));
    }
}

fn vlan_ids(_: &Frame<'_>, headers: &LaxSlicedPacket<'_>, each: Values<'_>) {
    for tag in &headers.link_exts {
        if let LaxLinkExtSlice::Vlan(tag) = tag {
            each(n(tag.vlan_identifier().value()));
        }
    }
}

/// Every field that a filter may name.
pub static FIELDS: &[Field] = &[
    number("frame.len", |frame, _, each| each(n(frame.len() as u64))),
    mac("eth.src", ether!(p, each, h => Value::Mac(h.source()))),
    mac("eth.dst", ether!(p, each, h => Value::Mac(h.destination()))),
    mac("eth.addr", ether!(p, each, h => Value::Mac(h.source()), Value::Mac(h.destination()))),
    number("eth.type", ether!(p, each, h => n(h.ether_type().0))),
    number("vlan.id", vlan_ids),
    number("arp.opcode", arp!(p, each, h => n(h.operation().0))),
    address("arp.src.proto_ipv4", |_, p, each| {
        if let Some(LaxNetSlice::Arp(h)) = &p.net {
            arp_address(h.sender_protocol_addr(), each);
        }
    }),
    address("arp.dst.proto_ipv4", |_, p, each| {
        if let Some(LaxNetSlice::Arp(h)) = &p.net {
            arp_address(h.target_protocol_addr(), each);
        }
    }),
    address("ip.src", ipv4!(p, each, h => Value::Address(h.source_addr().into()))),
    address("ip.dst", ipv4!(p, each, h => Value::Address(h.destination_addr().into()))),
    address(
        "ip.addr",
        ipv4!(p, each, h => Value::Address(h.source_addr().into()), Value::Address(h.destination_addr().into())),
    ),
    number("ip.ttl", ipv4!(p, each, h => n(h.ttl()))),
    number("ip.proto", ipv4!(p, each, h => n(h.protocol().0))),
    number("ip.id", ipv4!(p, each, h => n(h.identification()))),
    number("ip.len", ipv4!(p, each, h => n(h.total_len()))),
    number("ip.dsfield.dscp", ipv4!(p, each, h => n(h.dcp().value()))),
    number("ip.dsfield.ecn", ipv4!(p, each, h => n(h.ecn().value()))),
    flag("ip.flags.df", ipv4!(p, each, h => n(h.dont_fragment()))),
    flag("ip.flags.mf", ipv4!(p, each, h => n(h.more_fragments()))),
    number("ip.frag_offset", ipv4!(p, each, h => n(u64::from(h.fragments_offset().value()) * 8))),
    address("ipv6.src", ipv6!(p, each, h => Value::Address(h.source_addr().into()))),
    address("ipv6.dst", ipv6!(p, each, h => Value::Address(h.destination_addr().into()))),
    address(
        "ipv6.addr",
        ipv6!(p, each, h => Value::Address(h.source_addr().into()), Value::Address(h.destination_addr().into())),
    ),
    number("ipv6.hlim", ipv6!(p, each, h => n(h.hop_limit()))),
    number("ipv6.nxt", ipv6!(p, each, h => n(h.next_header().0))),
    number("ipv6.plen", ipv6!(p, each, h => n(h.payload_length()))),
    number("icmp.type", transport!(Icmpv4, p, each, h => n(h.type_u8()))),
    number("icmp.code", transport!(Icmpv4, p, each, h => n(h.code_u8()))),
    number("icmpv6.type", transport!(Icmpv6, p, each, h => n(h.type_u8()))),
    number("icmpv6.code", transport!(Icmpv6, p, each, h => n(h.code_u8()))),
    number("udp.srcport", transport!(Udp, p, each, h => n(h.source_port()))),
    number("udp.dstport", transport!(Udp, p, each, h => n(h.destination_port()))),
    number("udp.port", transport!(Udp, p, each, h => n(h.source_port()), n(h.destination_port()))),
    number("udp.length", transport!(Udp, p, each, h => n(h.length()))),
    number("tcp.srcport", transport!(Tcp, p, each, h => n(h.source_port()))),
    number("tcp.dstport", transport!(Tcp, p, each, h => n(h.destination_port()))),
    number("tcp.port", transport!(Tcp, p, each, h => n(h.source_port()), n(h.destination_port()))),
    number("tcp.seq_raw", transport!(Tcp, p, each, h => n(h.sequence_number()))),
    number("tcp.ack_raw", transport!(Tcp, p, each, h => n(h.acknowledgment_number()))),
    number("tcp.window_size_value", transport!(Tcp, p, each, h => n(h.window_size()))),
    number("tcp.len", transport!(Tcp, p, each, h => n(h.payload().len() as u64))),
    number(
        "tcp.flags",
        transport!(Tcp, p, each, h => n(u16::from_be_bytes([h.slice()[12] & 0xf, h.slice()[13]]))),
    ),
    flag("tcp.flags.fin", transport!(Tcp, p, each, h => n(h.fin()))),
    flag("tcp.flags.syn", transport!(Tcp, p, each, h => n(h.syn()))),
    flag("tcp.flags.reset", transport!(Tcp, p, each, h => n(h.rst()))),
    flag("tcp.flags.rst", transport!(Tcp, p, each, h => n(h.rst()))),
    flag("tcp.flags.push", transport!(Tcp, p, each, h => n(h.psh()))),
    flag("tcp.flags.psh", transport!(Tcp, p, each, h => n(h.psh()))),
    flag("tcp.flags.ack", transport!(Tcp, p, each, h => n(h.ack()))),
    flag("tcp.flags.urg", transport!(Tcp, p, each, h => n(h.urg()))),
    flag("tcp.flags.ece", transport!(Tcp, p, each, h => n(h.ece()))),
    flag("tcp.flags.cwr", transport!(Tcp, p, each, h => n(h.cwr()))),
];
