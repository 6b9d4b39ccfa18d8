//! ICMP (RFC 792), ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861), with what errors quote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{Icmpv4Slice, Icmpv6Slice, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::ip::{Ends, protocol};
use super::{Line, Paint};

impl Line<'_> {
    pub(super) fn icmp4(&mut self, ends: Ends, icmp: &Icmpv4Slice<'_>) {
        self.paint(Paint::Icmp);
        let (kind, code, rest) = (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8());
        let (id, seq) = pair(rest);
        let length = icmp.slice().len();
        // The original datagram follows 8 octets of header.
        let quoted = icmp.slice().get(8..).unwrap_or_default();
        match (kind, code) {
            (0, _) => self.pair(ends, format_args!("ICMP echo reply, id {id}, seq {seq}, length {length}")),
            (8, _) => self.pair(ends, format_args!("ICMP echo request, id {id}, seq {seq}, length {length}")),
            (3, 4) => self.error(ends, &format!("ICMP need to frag (mtu {seq})"), quoted, length),
            (3, code) => {
                let what = UNREACHABLE.get(usize::from(code)).copied().unwrap_or("destination");
                self.error(ends, &format!("ICMP {what} unreachable"), quoted, length);
            }
            (4, _) => self.error(ends, "ICMP source quench", quoted, length),
            (5, _) => {
                let gateway = self.host(IpAddr::V4(Ipv4Addr::from(rest)));
                self.error(ends, &format!("ICMP redirect to {gateway}"), quoted, length);
            }
            (9, _) => self.pair(ends, format_args!("ICMP router advertisement, length {length}")),
            (10, _) => self.pair(ends, format_args!("ICMP router solicitation, length {length}")),
            (11, 0) => self.error(ends, "ICMP time exceeded in-transit", quoted, length),
            (11, _) => self.error(ends, "ICMP reassembly time exceeded", quoted, length),
            (12, _) => {
                self.error(ends, &format!("ICMP parameter problem at octet {}", rest[0]), quoted, length)
            }
            (13, _) => {
                self.pair(ends, format_args!("ICMP timestamp request, id {id}, seq {seq}, length {length}"))
            }
            (14, _) => {
                self.pair(ends, format_args!("ICMP timestamp reply, id {id}, seq {seq}, length {length}"))
            }
            _ => self.pair(ends, format_args!("ICMP type {kind}, code {code}, length {length}")),
        }
    }

    pub(super) fn icmp6(&mut self, ends: Ends, icmp: &Icmpv6Slice<'_>) {
        self.paint(Paint::Icmp);
        let (kind, code, rest) = (icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8());
        let (id, seq) = pair(rest);
        let length = icmp.slice().len();
        let body = icmp.slice().get(8..).unwrap_or_default();
        let target = || body.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)));
        match (kind, code) {
            (1, code) => {
                let what = UNREACHABLE6.get(usize::from(code)).copied().unwrap_or("destination unreachable");
                self.error(ends, &format!("ICMP6 {what}"), body, length);
            }
            (2, _) => {
                let mtu = u32::from_be_bytes(rest);
                self.error(ends, &format!("ICMP6 packet too big (mtu {mtu})"), body, length);
            }
            (3, 0) => self.error(ends, "ICMP6 time exceeded in-transit", body, length),
            (3, _) => self.error(ends, "ICMP6 reassembly time exceeded", body, length),
            (4, _) => {
                let at = u32::from_be_bytes(rest);
                self.error(ends, &format!("ICMP6 parameter problem at octet {at}"), body, length);
            }
            (128, _) => {
                self.pair(ends, format_args!("ICMP6 echo request, id {id}, seq {seq}, length {length}"))
            }
            (129, _) => {
                self.pair(ends, format_args!("ICMP6 echo reply, id {id}, seq {seq}, length {length}"))
            }
            (130, _) => self.pair(ends, format_args!("ICMP6 multicast listener query, length {length}")),
            (131 | 143, _) => {
                self.pair(ends, format_args!("ICMP6 multicast listener report, length {length}"))
            }
            (132, _) => self.pair(ends, format_args!("ICMP6 multicast listener done, length {length}")),
            (133, _) => self.pair(ends, format_args!("ICMP6 router solicitation, length {length}")),
            (134, _) => {
                let lifetime = u16::from_be_bytes([rest[2], rest[3]]);
                self.pair(
                    ends,
                    format_args!(
                        "ICMP6 router advertisement, hop limit {}, lifetime {lifetime}s, length {length}",
                        rest[0]
                    ),
                );
            }
            (135, _) => match target() {
                Some(target) => {
                    let target = self.host(target);
                    self.pair(
                        ends,
                        format_args!("ICMP6 neighbor solicitation, who has {target}, length {length}"),
                    );
                }
                None => self.cut(ends, "neighbor solicitation"),
            },
            (136, _) => match target() {
                Some(target) => {
                    let target = self.host(target);
                    let flag = |bit: u8, name| if rest[0] & bit != 0 { name } else { "" };
                    self.pair(
                        ends,
                        format_args!(
                            "ICMP6 neighbor advertisement, tgt is {target}{}{}{}, length {length}",
                            flag(0x80, ", router"),
                            flag(0x40, ", solicited"),
                            flag(0x20, ", override"),
                        ),
                    );
                }
                None => self.cut(ends, "neighbor advertisement"),
            },
            (137, _) => match target() {
                Some(target) => {
                    let target = self.host(target);
                    self.pair(ends, format_args!("ICMP6 redirect to {target}, length {length}"));
                }
                None => self.cut(ends, "redirect"),
            },
            _ => self.pair(ends, format_args!("ICMP6 type {kind}, code {code}, length {length}")),
        }
    }

    fn cut(&mut self, ends: Ends, what: &str) {
        self.pair(ends, format_args!("ICMP6 {what}"));
        self.bad("icmp6: cut");
    }

    /// An error, and the packet that was its cause.
    fn error(&mut self, ends: Ends, what: &str, quoted: &[u8], length: usize) {
        let cause = self.quoted(quoted);
        self.pair(ends, format_args!("{what}, for {cause}, length {length}"));
    }

    fn quoted(&self, octets: &[u8]) -> String {
        let Ok(packet) = LaxSlicedPacket::from_ip(octets) else { return "[bad quote]".to_owned() };
        let (source, destination, number, payload) = match &packet.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                let ends = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
                (ends.0, ends.1, header.protocol().0, ip.payload().payload)
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let header = ip.header();
                let ends = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
                (ends.0, ends.1, ip.payload().ip_number.0, ip.payload().payload)
            }
            Some(LaxNetSlice::Arp(_)) | None => return "[bad quote]".to_owned(),
        };
        let (from, to) = (self.host(source), self.host(destination));
        let name = protocol(number);
        // Eight octets are enough for the ports, though not for the whole header.
        match (number, payload) {
            (6 | 17 | 132, [a, b, c, d, ..]) => {
                let (source, destination) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                format!("{from}.{source} > {to}.{destination} {name}")
            }
            (1, _) => match &packet.transport {
                Some(TransportSlice::Icmpv4(icmp)) if icmp.type_u8() == 8 => {
                    let (id, seq) = pair(icmp.bytes5to8());
                    format!("{from} > {to} ICMP echo request, id {id}, seq {seq}")
                }
                _ => format!("{from} > {to} ICMP"),
            },
            _ if name.is_empty() => format!("{from} > {to} ip-proto-{number}"),
            _ => format!("{from} > {to} {name}"),
        }
    }
}

fn pair(octets: [u8; 4]) -> (u16, u16) {
    let [a, b, c, d] = octets;
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// RFC 792, RFC 1122 §3.2.2.1 and RFC 1812 §5.2.7.1, by code.
const UNREACHABLE: &[&str] = &[
    "net",
    "host",
    "protocol",
    "port",
    "fragmentation",
    "source route",
    "unknown net",
    "unknown host",
    "isolated source",
    "prohibited net",
    "prohibited host",
    "net for this tos",
    "host for this tos",
    "filtered host",
    "host precedence",
    "precedence cutoff",
];

/// RFC 4443 §3.1, by code.
const UNREACHABLE6: &[&str] = &[
    "no route",
    "administratively prohibited",
    "beyond scope",
    "address unreachable",
    "port unreachable",
    "source address failed policy",
    "reject route",
];
