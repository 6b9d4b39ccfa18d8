//! Octets that are no requests, or bad ones.

use crate::ask::*;
use proptest::prelude::*;
use rumpkern::netlink::Protocol;
use rumpkern::syscall::Errno;

#[test]
fn impossible_lengths_end_a_datagram_in_silence() {
    let (_world, asker) = host();
    let good = request(18, REQUEST | ACK, 1, &ifinfo(1, 0, 0));
    let send = |octets: &[u8]| {
        assert_eq!(asker.sys.netlink_send(asker.fd, octets, None), Ok(octets.len()));
        asker.heard().len()
    };
    assert_eq!(send(&[]), 0);
    assert_eq!(send(&good[..15]), 0);
    assert_eq!(send(&good[..20]), 0, "the length is beyond the datagram");
    let mut short = good.clone();
    short[0] = 15;
    assert_eq!(send(&short), 0);
    assert_eq!(send(&good), 2);
    assert_eq!(send(&[&good[..], &good].concat()), 4);
    assert_eq!(send(&[&good[..], &short].concat()), 2);
    let huge = vec![0; 1 << 20];
    assert_eq!(asker.sys.netlink_send(asker.fd, &huge, None), Err(Errno::EMSGSIZE));
}

#[test]
fn what_is_no_request_is_at_most_acknowledged() {
    let (_world, asker) = host();
    let send = |kind, flags| {
        let octets = request(kind, flags, 9, &ifinfo(1, 0, 0));
        asker.sys.netlink_send(asker.fd, &octets, None).unwrap();
        asker.heard()
    };
    assert_eq!(send(18, 0), []);
    let acks = send(18, ACK);
    assert_eq!((acks.len(), acks[0].kind, acks[0].error()), (1, ERROR, 0));
    // netlink's own types.
    assert_eq!(send(1, REQUEST), []);
    assert_eq!(send(2, REQUEST | ACK)[0].error(), 0);
}

#[test]
fn bad_requests_are_refused_and_quoted() {
    let (_world, asker) = host();
    let einval = Errno::EINVAL.number();
    for kind in [16, 18, 19, 20, 21, 24, 25, 26, 28, 29, 30] {
        for length in [2, 3, 7] {
            assert_eq!(asker.tell(kind, 0, &vec![2; length]), einval, "{kind}, {length} octets");
        }
    }
    // Attributes that are longer than the message, or shorter than themselves.
    for attribute in [[200, 0, 1, 0], [3, 0, 1, 0], [0, 0, 0, 0]] {
        let body = [&rtmsg(24, 254, 3, 0, 1)[..], &attribute].concat();
        assert_eq!(asker.tell(24, CREATE, &body), einval);
    }
    for kind in [23, 27, 31, 99, 200, 65_535] {
        assert_eq!(asker.tell(kind, 0, &[0; 16]), Errno::EOPNOTSUPP.number(), "{kind}");
        assert_eq!(asker.tell(kind, DUMP, &[0; 16]), Errno::EOPNOTSUPP.number(), "{kind}");
    }
    let bad = request(99, REQUEST, 7, &[1, 2, 3]);
    asker.sys.netlink_send(asker.fd, &bad, None).unwrap();
    let [answer] = &asker.heard()[..] else { panic!("one answer") };
    assert_eq!((answer.seq, answer.port, answer.flags), (7, asker.port(), 0));
    assert_eq!(answer.body[4..][..bad.len()], bad);
    // NETLINK_CAP_ACK: the header is enough.
    asker.set(10, 1).unwrap();
    asker.sys.netlink_send(asker.fd, &bad, None).unwrap();
    assert_eq!(asker.heard()[0].body.len(), 4 + 16);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    /// Any octets at all, and any body of any known type: all that comes back is whole.
    #[test]
    fn any_octets_are_survived(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        kind in 16u16..120,
        flags in 0u16..0x1000,
        diag in any::<bool>(),
    ) {
        let world = crate::world::World::lan(1);
        let protocol = if diag { Protocol::SockDiag } else { Protocol::Route };
        let asker = Asker::plain(&world.kernels[0], protocol);
        asker.sys.netlink_send(asker.fd, &octets, None).unwrap();
        asker.heard();
        let octets = request(kind, REQUEST | flags, 1, &octets);
        asker.sys.netlink_send(asker.fd, &octets, None).unwrap();
        asker.heard();
    }
}
