//! Ethernet (IEEE 802.3), VLAN tags (802.1Q) and ARP (RFC 826).

use std::net::IpAddr;

use etherparse::err::Layer;
use etherparse::{ArpPacketSlice, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinkSlice};

use super::transport::Flows;
use super::{Line, Paint, mac};

/// What could not be read, in a word.
fn short(layer: Layer) -> &'static str {
    match layer {
        Layer::LinuxSllHeader | Layer::Ethernet2Header | Layer::EtherPayload => "ether",
        Layer::VlanHeader => "vlan",
        Layer::MacsecHeader | Layer::MacsecPacket => "macsec",
        Layer::IpHeader | Layer::Ipv4Header | Layer::Ipv4Packet => "ip header",
        Layer::Ipv6Header | Layer::Ipv6Packet => "ip6 header",
        Layer::IpAuthHeader => "ah header",
        Layer::Ipv6ExtHeader
        | Layer::Ipv6HopByHopHeader
        | Layer::Ipv6DestOptionsHeader
        | Layer::Ipv6RouteHeader
        | Layer::Ipv6FragHeader => "ip6 extension header",
        Layer::UdpHeader | Layer::UdpPayload => "udp header",
        Layer::TcpHeader => "tcp header",
        Layer::Icmpv4 | Layer::Icmpv4Timestamp | Layer::Icmpv4TimestampReply => "icmp",
        Layer::Icmpv6 => "icmp6",
        Layer::Igmp => "igmp",
        Layer::Arp => "arp",
    }
}

impl Line<'_> {
    /// Everything from the Ethernet header on.
    pub(super) fn ethernet(&mut self, packet: &LaxSlicedPacket<'_>, frame: &[u8], flows: &mut Flows) {
        if let Some(LinkSlice::Ethernet2(header)) = &packet.link
            && (self.style.verbose > 1 || packet.net.is_none())
        {
            let (source, destination) = (self.station(header.source()), self.station(header.destination()));
            self.add(format_args!("{source} > {destination}, "));
        }
        for tag in &packet.link_exts {
            match tag {
                LaxLinkExtSlice::Vlan(tag) => {
                    self.add(format_args!("vlan {}", tag.vlan_identifier().value()));
                    if tag.priority_code_point().value() != 0 {
                        self.add(format_args!(" p {}", tag.priority_code_point().value()));
                    }
                    self.add(format_args!(", "));
                }
                LaxLinkExtSlice::Macsec(_) => self.add(format_args!("MACsec, ")),
            }
        }
        match &packet.net {
            Some(LaxNetSlice::Arp(arp)) => self.arp(arp),
            Some(LaxNetSlice::Ipv4(ip)) => self.ipv4(ip, packet, flows),
            Some(LaxNetSlice::Ipv6(ip)) => self.ipv6(ip, packet, flows),
            None => {
                let payload = packet.ether_payload();
                let kind = payload.as_ref().map_or(0, |payload| payload.ether_type.0);
                match kind {
                    0..=1500 => self.add(format_args!("802.3 LLC, length {}", frame.len())),
                    0x0800 => self.add(format_args!("IP")),
                    0x0806 => self.add(format_args!("ARP")),
                    0x86dd => self.add(format_args!("IP6")),
                    _ => self.add(format_args!("ethertype 0x{kind:04x}, length {}", frame.len())),
                }
            }
        }
        if let Some((_, layer)) = &packet.stop_err {
            self.bad(short(*layer));
        }
    }

    fn station(&self, address: [u8; 6]) -> String {
        match self.names.port(address) {
            Some(name) if !self.style.numeric => super::printable(name),
            _ if address == [0xff; 6] => "broadcast".to_owned(),
            _ => mac(address),
        }
    }

    fn arp(&mut self, arp: &ArpPacketSlice<'_>) {
        self.paint(Paint::Arp);
        let address = |octets: &[u8]| <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
        let hardware = <[u8; 6]>::try_from(arp.sender_hw_addr()).ok();
        let (Some(sender), Some(target), Some(hardware)) =
            (address(arp.sender_protocol_addr()), address(arp.target_protocol_addr()), hardware)
        else {
            self.add(format_args!(
                "ARP hardware {}, protocol 0x{:04x}",
                arp.hw_addr_type().0,
                arp.proto_addr_type().0
            ));
            return;
        };
        let (from, to) = (self.host(sender), self.host(target));
        match arp.operation().0 {
            1 if sender == target => self.add(format_args!("ARP announce {from} is-at {}", mac(hardware))),
            1 if sender.is_unspecified() => self.add(format_args!("ARP probe {to} from {}", mac(hardware))),
            1 => self.add(format_args!("ARP who-has {to} tell {from}")),
            2 => self.add(format_args!("ARP {from} is-at {}", mac(hardware))),
            other => self.add(format_args!("ARP operation {other}, {from} > {to}")),
        }
    }
}
