//! Congestion Experienced in a frame: RFC 3168 §5, §6.1. A queue marks what may be marked, instead of
//! dropping it.

use crate::net::mbuf::Mbuf;
use crate::wire::checksum::update;
use crate::wire::{be16, ethernet, ipv4, ipv6};

/// Both bits of the field.
const CE: u8 = 3;

/// Sets Congestion Experienced; `false`: the frame's transport does not speak ECN.
pub(super) fn congestion(frame: &mut Mbuf) -> bool {
    let octets = frame.data_mut();
    let Some(header) = ethernet::Header::parse(octets) else { return false };
    let packet = &mut octets[ethernet::HEADER_LEN..];
    match header.ethertype {
        ethernet::IPV4 if packet.len() >= ipv4::HEADER_LEN && packet[1] & CE != 0 => {
            let old = be16(packet, 0);
            packet[1] |= CE;
            let sum = update(be16(packet, 10), old, be16(packet, 0));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            true
        }
        ethernet::IPV6 if packet.len() >= ipv6::HEADER_LEN && (packet[1] >> 4) & CE != 0 => {
            ipv6::or_traffic_class(packet, CE);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::checksum;

    fn frame(ethertype: u16, packet: &[u8]) -> Mbuf {
        let mut m = Mbuf::new();
        let mut header = [0; ethernet::HEADER_LEN];
        header[12..14].copy_from_slice(&ethertype.to_be_bytes());
        m.extend(&header);
        m.extend(packet);
        m
    }

    #[test]
    fn only_what_speaks_ecn_is_marked_and_its_header_stays_sound() {
        let addr = [192, 0, 2, 1].into();
        let mut packet = [0; ipv4::HEADER_LEN];
        ipv4::Header { tos: 2, ..ipv4::Header::new(addr, addr, 6) }.emit(&mut packet);
        let mut m = frame(ethernet::IPV4, &packet);
        assert!(congestion(&mut m));
        let marked = &m.data()[ethernet::HEADER_LEN..];
        assert_eq!((marked[1], checksum(marked)), (3, 0));
        ipv4::Header::new(addr, addr, 6).emit(&mut packet);
        assert!(!congestion(&mut frame(ethernet::IPV4, &packet)));
        let addr = "2001:db8::1".parse().unwrap();
        let mut packet = [0; ipv6::HEADER_LEN];
        let header = ipv6::Header { traffic_class: 0x29, ..ipv6::Header::new(addr, addr, 6) };
        header.emit(&mut packet);
        let mut m = frame(ethernet::IPV6, &packet);
        assert!(congestion(&mut m));
        let marked = ipv6::Header::parse(&m.data()[ethernet::HEADER_LEN..]).unwrap();
        assert_eq!(marked.traffic_class, 0x2b);
        assert!(!congestion(&mut frame(ethernet::ARP, &packet)));
        assert!(!congestion(&mut Mbuf::new()));
    }
}
