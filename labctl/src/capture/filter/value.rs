//! The values of a filter: addresses, names, networks, ports and protocol numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::lex::Kind;
use super::parse::{Head, Parsed, Parser, any};
use super::words::{self, Proto, Type};
use super::{FilterFault, Trouble, field, nearest, primitive};
use rumpkern::filter::code::Node;
use rumpkern::filter::code::Op;

impl Parser<'_> {
    pub(super) fn single(&mut self, head: Head, word: &str) -> Parsed<Node> {
        let at = self.at();
        self.bump();
        match head.kind {
            Type::Host if head.proto == Some(Proto::Ether) => {
                let macs = self.macs(word, at)?;
                Ok(any(macs.into_iter().map(|mac| primitive::ether_host(mac, head.dir))))
            }
            Type::Host => {
                let addresses = self.addresses(word, at.clone())?;
                let nets = addresses.into_iter().map(IpNet::from).collect();
                self.hosts(head, nets, word, at)
            }
            Type::Net => {
                let net = self.network(word, at.clone())?;
                self.hosts(head, vec![net], word, at)
            }
            Type::Port => {
                let port = self.port(word, at)?;
                Ok(self.link.ports(head.proto, head.dir, port, port))
            }
            Type::PortRange => {
                let (low, high) = word.split_once('-').unwrap_or((word, word));
                let (low, high) = (self.port(low, at.clone())?, self.port(high, at)?);
                Ok(self.link.ports(head.proto, head.dir, low.min(high), low.max(high)))
            }
            Type::Proto => self.protocol_number(head.proto, word, at),
        }
    }

    pub(super) fn hosts(&self, head: Head, nets: Vec<IpNet>, word: &str, at: Range<usize>) -> Parsed<Node> {
        let fits = |net: &IpNet| match head.proto {
            None => true,
            Some(Proto::Ip6) => matches!(net, IpNet::V6(_)),
            Some(_) => matches!(net, IpNet::V4(_)),
        };
        let nodes: Vec<Node> = nets
            .iter()
            .filter(|net| fits(net))
            .map(|net| match net {
                IpNet::V4(net) => self.link.host4(head.proto, head.dir, *net),
                IpNet::V6(net) => self.link.host6(head.dir, *net),
            })
            .collect();
        if nodes.is_empty() {
            let what = if head.proto == Some(Proto::Ip6) { "an IPv6 address" } else { "an IPv4 address" };
            return Err(self.invalid(what, word, at));
        }
        Ok(any(nodes.into_iter()))
    }

    pub(super) fn addresses(&self, word: &str, at: Range<usize>) -> Parsed<Vec<IpAddr>> {
        if let Ok(address) = word.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let found = self.names.addresses(word);
        if !found.is_empty() {
            return Ok(found);
        }
        if words::mac(word).is_some() {
            return Err(self
                .invalid("an IP address", word, at)
                .hint(format!("did you mean \"ether host {word}\"?")));
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.invalid("an address", word, at));
        }
        Err(self.unknown(word, at))
    }

    pub(super) fn macs(&self, word: &str, at: Range<usize>) -> Parsed<Vec<[u8; 6]>> {
        if let Some(mac) = words::mac(word) {
            return Ok(vec![mac]);
        }
        let found = self.names.macs(word);
        if !found.is_empty() {
            return Ok(found);
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) || word.contains(':') {
            return Err(self.invalid("an Ethernet address", word, at));
        }
        Err(self.unknown(word, at))
    }

    pub(super) fn unknown(&self, word: &str, at: Range<usize>) -> Trouble {
        let first = word.split('.').next().unwrap_or_default();
        if word.contains('.') && field::FIELDS.iter().any(|field| field.name.split('.').next() == Some(first))
        {
            let near = nearest(word, field::FIELDS.iter().map(|field| field.name));
            let trouble = Trouble::new(FilterFault::UnknownField { name: word.to_owned() }, at);
            return match near {
                Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
                None => trouble,
            };
        }
        let trouble = Trouble::new(FilterFault::UnknownName { name: word.to_owned() }, at);
        let names = self.names.names();
        let candidates = names.iter().map(String::as_str).chain(words::KEYWORDS.iter().copied());
        match nearest(word, candidates) {
            Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
            None => trouble,
        }
    }

    pub(super) fn network(&mut self, word: &str, at: Range<usize>) -> Parsed<IpNet> {
        let host_bits = |at: Range<usize>| {
            let network = self.text.get(at.clone()).unwrap_or_default().to_owned();
            Trouble::new(FilterFault::HostBits { network }, at)
        };
        if let Ok(address) = word.parse::<Ipv6Addr>() {
            let length = self.prefix_length(128)?.unwrap_or(128);
            let at = at.start..self.tokens[self.next - 1].at.end;
            let net = Ipv6Net::new(address, length)
                .map_err(|_| self.invalid("a prefix length", word, at.clone()))?;
            return if net.trunc() == net { Ok(net.into()) } else { Err(host_bits(at)) };
        }
        let Some((address, octets)) = words::dotted(word) else {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(self.invalid("a network", word, at));
            }
            return Err(self.unknown(word, at).hint("a network is written 10.0.0.0/8 or fd00::/64"));
        };
        let length = match self.prefix_length(32)? {
            Some(length) => length,
            None if self.peek_word() == Some("mask") => {
                self.bump();
                let at = self.at();
                let mask = self.peek_word().unwrap_or_default().to_owned();
                self.bump();
                let parsed = mask.parse::<Ipv4Addr>().ok().map(u32::from);
                match parsed {
                    Some(bits) if bits.leading_ones() + bits.trailing_zeros() >= 32 => {
                        bits.leading_ones() as u8
                    }
                    _ => return Err(self.invalid("a contiguous network mask", &mask, at)),
                }
            }
            None => octets * 8,
        };
        let at = at.start..self.tokens[self.next - 1].at.end;
        let net =
            Ipv4Net::new(address, length).map_err(|_| self.invalid("a prefix length", word, at.clone()))?;
        if net.trunc() == net { Ok(net.into()) } else { Err(host_bits(at)) }
    }

    pub(super) fn prefix_length(&mut self, most: u8) -> Parsed<Option<u8>> {
        if !self.take(&Kind::Op(Op::Div)) {
            return Ok(None);
        }
        let at = self.at();
        let found = self.peek_word().unwrap_or_default().to_owned();
        match found.parse::<u8>() {
            Ok(length) if length <= most => {
                self.bump();
                Ok(Some(length))
            }
            _ => Err(self.invalid("a prefix length", &found, at)),
        }
    }

    pub(super) fn port(&self, word: &str, at: Range<usize>) -> Parsed<u16> {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return match words::integer(word).and_then(|n| u16::try_from(n).ok()) {
                Some(port) => Ok(port),
                None => Err(self.invalid("a port, 0 to 65535", word, at)),
            };
        }
        if let Some((_, port)) = words::SERVICES.iter().find(|(name, _)| *name == word) {
            return Ok(*port);
        }
        let trouble = self.invalid("a port", word, at);
        Err(match nearest(word, words::SERVICES.iter().map(|(name, _)| *name)) {
            Some(near) => trouble.hint(format!("did you mean \"{near}\"?")),
            None => trouble,
        })
    }

    pub(super) fn protocol_number(&self, proto: Option<Proto>, word: &str, at: Range<usize>) -> Parsed<Node> {
        let number = words::integer(word);
        match proto {
            Some(Proto::Ether) => {
                let value = number.or_else(|| words::ethertype(word)).filter(|value| *value <= 0xffff);
                let value = value.ok_or_else(|| self.invalid("an EtherType", word, at))?;
                Ok(self.link.ethertype(value))
            }
            Some(Proto::Ip | Proto::Ip6) | None => {
                let value = number.or_else(|| Proto::of(word).and_then(Proto::ip_number).map(u32::from));
                let value = value.and_then(|value| u8::try_from(value).ok());
                let value = value.ok_or_else(|| self.invalid("an IP protocol, 0 to 255", word, at))?;
                Ok(self.link.ip_protocol(proto, value))
            }
            Some(other) => {
                let modifier = other.name().to_owned();
                Err(Trouble::new(FilterFault::Modifier { modifier, word: "proto".into() }, at))
            }
        }
    }
}
