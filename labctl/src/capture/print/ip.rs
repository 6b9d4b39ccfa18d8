//! IPv4 (RFC 791) and IPv6 (RFC 8200): addresses, fragments, and the header's fields when asked for.

use std::net::IpAddr;

use etherparse::{LaxIpv4Slice, LaxIpv6Slice, LaxSlicedPacket, TransportSlice};

use super::Line;
use super::transport::Flows;

/// The ends of a packet, as the layers above need them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Ends {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

impl Line<'_> {
    pub(super) fn ipv4(&mut self, ip: &LaxIpv4Slice<'_>, packet: &LaxSlicedPacket<'_>, flows: &mut Flows) {
        let header = ip.header();
        let ends =
            Ends { source: header.source_addr().into(), destination: header.destination_addr().into() };
        self.add(format_args!("IP "));
        if self.style.verbose > 0 {
            let fragment = header.fragments_offset().value();
            let flags = match (header.dont_fragment(), header.more_fragments()) {
                (false, false) => "none",
                (true, false) => "DF",
                (false, true) => "MF",
                (true, true) => "DF,MF",
            };
            self.add(format_args!(
                "(tos 0x{:x}, ttl {}, id {}, offset {}, flags [{flags}], proto {}, length {}) ",
                header.slice().get(1).copied().unwrap_or_default(),
                header.ttl(),
                header.identification(),
                u32::from(fragment) * 8,
                header.protocol().0,
                header.total_len(),
            ));
        }
        let fragmented = header.is_fragmenting_payload();
        let payload = ip.payload();
        self.upper(
            ends,
            packet,
            payload.payload,
            ip.payload_ip_number().0,
            fragmented,
            payload.incomplete,
            flows,
        );
        if fragmented {
            let offset = u32::from(header.fragments_offset().value()) * 8;
            let more = if header.more_fragments() { "+" } else { "" };
            self.add(format_args!(
                " (frag {}:{}@{offset}{more})",
                header.identification(),
                payload.payload.len()
            ));
        }
        if header.to_header().calc_header_checksum() != header.header_checksum() {
            self.bad("ip cksum");
        }
        if payload.incomplete {
            self.bad("ip: cut");
        }
    }

    pub(super) fn ipv6(&mut self, ip: &LaxIpv6Slice<'_>, packet: &LaxSlicedPacket<'_>, flows: &mut Flows) {
        let header = ip.header();
        let ends =
            Ends { source: header.source_addr().into(), destination: header.destination_addr().into() };
        self.add(format_args!("IP6 "));
        if self.style.verbose > 0 {
            self.add(format_args!(
                "(class 0x{:02x}, flowlabel 0x{:05x}, hlim {}, next-header {}, payload length {}) ",
                header.traffic_class(),
                header.flow_label().value(),
                header.hop_limit(),
                header.next_header().0,
                header.payload_length(),
            ));
        }
        let payload = ip.payload();
        let fragmented = ip.is_payload_fragmented();
        self.upper(ends, packet, payload.payload, payload.ip_number.0, fragmented, payload.incomplete, flows);
        if payload.incomplete {
            self.bad("ip6: cut");
        }
    }

    /// What an IP packet carries. Checksums are looked at when all of it is there.
    #[allow(clippy::too_many_arguments)]
    fn upper(
        &mut self,
        ends: Ends,
        packet: &LaxSlicedPacket<'_>,
        payload: &[u8],
        number: u8,
        fragmented: bool,
        incomplete: bool,
        flows: &mut Flows,
    ) {
        let verify = !fragmented && !incomplete;
        match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => self.tcp(ends, tcp, flows),
            Some(TransportSlice::Udp(udp)) => self.udp(ends, udp),
            Some(TransportSlice::Icmpv4(icmp)) => self.icmp4(ends, icmp),
            Some(TransportSlice::Icmpv6(icmp)) => self.icmp6(ends, icmp),
            Some(TransportSlice::Igmp(_)) => self.pair(ends, format_args!("IGMP, length {}", payload.len())),
            None => {
                let name = protocol(number);
                if name.is_empty() {
                    self.pair(ends, format_args!("ip-proto-{number}, length {}", payload.len()));
                } else {
                    self.pair(ends, format_args!("{name}, length {}", payload.len()));
                }
            }
        }
        if verify && let Some(what) = wrong_checksum(ends, packet, payload, number) {
            self.bad(what);
        }
    }

    /// `h1 > h2: …`
    pub(super) fn pair(&mut self, ends: Ends, what: std::fmt::Arguments<'_>) {
        let (source, destination) = (self.host(ends.source), self.host(ends.destination));
        self.add(format_args!("{source} > {destination}: {what}"));
    }
}

/// The common ones by name; empty for others.
pub(super) fn protocol(number: u8) -> &'static str {
    match number {
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        41 => "IPv6",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMP6",
        59 => "no next header",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        _ => "",
    }
}

/// The Internet checksum (RFC 1071) of the transport, if it is there, is looked after, and is wrong.
fn wrong_checksum(
    ends: Ends,
    packet: &LaxSlicedPacket<'_>,
    payload: &[u8],
    number: u8,
) -> Option<&'static str> {
    // An ICMPv4 checksum covers no pseudo-header; a UDP datagram may end before its packet does.
    let (what, pseudo, covered) = match packet.transport.as_ref()? {
        TransportSlice::Tcp(_) => ("tcp cksum", true, payload),
        TransportSlice::Udp(udp) if udp.checksum() == 0 && ends.source.is_ipv4() => return None,
        TransportSlice::Udp(udp) => ("udp cksum", true, udp.slice()),
        TransportSlice::Icmpv4(_) => ("icmp cksum", false, payload),
        TransportSlice::Icmpv6(_) => ("icmp6 cksum", true, payload),
        TransportSlice::Igmp(_) => ("igmp cksum", false, payload),
    };
    let mut sum = etherparse::checksum::Sum16BitWords::new().add_slice(covered);
    if pseudo {
        sum = match (ends.source, ends.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                sum.add_4bytes(source.octets()).add_4bytes(destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                sum.add_16bytes(source.octets()).add_16bytes(destination.octets())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
        };
        let len = u32::try_from(covered.len()).ok()?;
        sum = sum.add_2bytes([0, number]).add_4bytes(len.to_be_bytes());
    }
    (sum.ones_complement() != 0).then_some(what)
}
