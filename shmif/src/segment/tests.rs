//! Segments against an independent decoder (etherparse), which checks every checksum and length.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::*;

const A4: [u8; 4] = [10, 0, 0, 1];
const B4: [u8; 4] = [10, 0, 0, 2];
const A6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const B6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// A whole frame with right checksums, as its sender would have made it without offload, and the offset of its transport header.
fn whole(v6: bool, udp: bool, vlan: bool, payload: &[u8]) -> (Vec<u8>, usize) {
    let base = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let step = match (vlan, v6) {
        (false, false) => base.ipv4(A4, B4, 64),
        (false, true) => base.ipv6(A6, B6, 64),
        (true, false) => base.single_vlan(7.try_into().expect("vlan")).ipv4(A4, B4, 64),
        (true, true) => base.single_vlan(7.try_into().expect("vlan")).ipv6(A6, B6, 64),
    };
    let l4 = 14 + if vlan { 4 } else { 0 } + if v6 { 40 } else { 20 };
    let mut frame = Vec::new();
    if udp {
        step.udp(1000, 2000).write(&mut frame, payload).expect("write");
    } else {
        let tcp = step.tcp(1000, 2000, 0xffff_fff0, 500).fin().psh().ack(7).cwr().ece();
        let tcp = tcp.options(&[etherparse::TcpOptionElement::Timestamp(1, 2)]).expect("options");
        tcp.write(&mut frame, payload).expect("write");
    }
    (frame, l4)
}

fn all(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let mut segments = Segments::new(frame.to_vec(), offload).expect("fits");
    let mut buf = vec![0; frame.len()];
    std::iter::from_fn(|| segments.next(&mut buf).map(|len| buf[..len].to_vec())).collect()
}

fn put_partial(frame: &mut [u8], v6: bool, udp: bool, l4: usize) {
    let len = frame.len() - l4;
    let partial = match (v6, udp) {
        (false, false) => partial_v4(A4.into(), B4.into(), TCP, len),
        (false, true) => partial_v4(A4.into(), B4.into(), UDP, len),
        (true, false) => partial_v6(A6.into(), B6.into(), TCP, len),
        (true, true) => partial_v6(A6.into(), B6.into(), UDP, len),
    };
    put16(frame, l4 + if udp { 6 } else { 16 }, partial);
}

proptest! {
    #[test]
    fn a_checksum_left_to_us_comes_out_as_the_sender_would_have_made_it(
        payload in prop::collection::vec(any::<u8>(), 0..3000), v6: bool, udp: bool, vlan: bool,
    ) {
        let (right, l4) = whole(v6, udp, vlan, &payload);
        let mut left = right.clone();
        put_partial(&mut left, v6, udp, l4);
        let offload = Offload { csum_start: l4 as u16, csum_offset: if udp { 6 } else { 16 }, ..Offload::NONE };
        prop_assert_eq!(all(&left, offload), vec![right]);
    }

    #[test]
    fn segments_carry_the_payload_and_every_header_is_true(
        payload in prop::collection::vec(any::<u8>(), 1..20_000), size in 1..3000u16, v6: bool, udp: bool, vlan: bool,
    ) {
        let (mut frame, l4) = whole(v6, udp, vlan, &payload);
        put_partial(&mut frame, v6, udp, l4);
        let gso_type = match (udp, v6) { (true, _) => GsoType::Udp, (false, false) => GsoType::TcpV4, (false, true) => GsoType::TcpV6 };
        let offload = Offload { csum_start: l4 as u16, csum_offset: if udp { 6 } else { 16 }, gso_type, gso_size: size, hdr_len: 0 };
        let segments = all(&frame, offload);
        prop_assert_eq!(segments.len(), payload.len().div_ceil(usize::from(size)));
        let mut carried = Vec::new();
        let first_id = be16(&frame, l4 - 16);
        for (i, segment) in segments.iter().enumerate() {
            let last = i + 1 == segments.len();
            let packet = SlicedPacket::from_ethernet(segment).expect("well-formed");
            let net = packet.net.expect("a network layer");
            if let NetSlice::Ipv4(ip) = &net {
                prop_assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
                prop_assert_eq!(ip.header().identification(), first_id.wrapping_add(i as u16));
            }
            let (sum, right, body) = match (packet.transport.expect("a transport"), &net) {
                (TransportSlice::Tcp(tcp), NetSlice::Ipv4(ip)) => (tcp.checksum(), tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()), tcp.payload().to_vec()),
                (TransportSlice::Tcp(tcp), NetSlice::Ipv6(ip)) => (tcp.checksum(), tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()), tcp.payload().to_vec()),
                (TransportSlice::Udp(udp), NetSlice::Ipv4(ip)) => (udp.checksum(), udp.to_header().calc_checksum_ipv4_raw(ip.header().source(), ip.header().destination(), udp.payload()), udp.payload().to_vec()),
                (TransportSlice::Udp(udp), NetSlice::Ipv6(ip)) => (udp.checksum(), udp.to_header().calc_checksum_ipv6_raw(ip.header().source(), ip.header().destination(), udp.payload()), udp.payload().to_vec()),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            prop_assert_eq!(Ok(sum), right, "checksum of segment {}", i);
            if let Some(TransportSlice::Tcp(tcp)) = SlicedPacket::from_ethernet(segment).expect("well-formed").transport {
                prop_assert_eq!(tcp.sequence_number(), 0xffff_fff0u32.wrapping_add(carried.len() as u32));
                prop_assert_eq!((tcp.fin(), tcp.psh(), tcp.cwr(), tcp.ece(), tcp.ack()), (last, last, i == 0, true, true));
                prop_assert_eq!(tcp.options().len(), 12, "options are on every segment");
            }
            prop_assert!(body.len() == usize::from(size) || (last && body.len() <= usize::from(size)));
            carried.extend(body);
        }
        prop_assert_eq!(carried, payload);
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(
        frame in prop::collection::vec(any::<u8>(), 14..200), plausible in 0..5u8, words: [u16; 4], start in 0..100u16, gso in 0..4u8, size in 0..50u16,
    ) {
        let mut frame = frame;
        if plausible > 0 && frame.len() > 55 {
            let v6 = plausible > 2;
            put16(&mut frame, 12, if v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 });
            frame[14] = if v6 { 0x60 } else { 0x45 };
        }
        let gso_type = [GsoType::None, GsoType::TcpV4, GsoType::TcpV6, GsoType::Udp][usize::from(gso)];
        for (csum_start, csum_offset, gso_size) in [(words[0], words[1], words[2]), (start, 16, size), (34, 16, size), (54, 6, size)] {
            let offload = Offload { csum_start, csum_offset, gso_type, gso_size, hdr_len: words[3] };
            if let Ok(mut segments) = Segments::new(frame.clone(), offload) {
                let mut buf = [0; 100];
                let mut n = 0;
                while segments.next(&mut buf).is_some() { n += 1; }
                prop_assert!((1..=200).contains(&n));
            }
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_all_ones() {
    // Searched by brute force: a payload whose sum comes out as zero.
    let zero = (0..=u16::MAX).find_map(|n| {
        let (right, l4) = whole(false, true, false, &n.to_be_bytes());
        (be16(&right, l4 + 6) == 0xffff).then_some((right, l4))
    });
    let (right, l4) = zero.expect("one of 65536");
    let mut left = right.clone();
    put_partial(&mut left, false, true, l4);
    assert_eq!(all(&left, Offload { csum_start: l4 as u16, csum_offset: 6, ..Offload::NONE }), [right]);
}
