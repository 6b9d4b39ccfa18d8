//! Rings as a program reads them: what is where, who owns it, and when.

use super::*;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

const MS: Duration = Duration::from_millis(1);

fn req(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + MS * ms as u32
}

fn frame(octets: &[u8]) -> Frame<'_> {
    Frame { octets, wire_len: 1000, from: [7; 20], time: 3_000_000_005 }
}

/// A ring, and the pair that the program would poll.
fn ring(version: u32, kind: SockType, words: &[u32]) -> (Ring, OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, end) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
    let mut ring = Ring::default();
    ring.set(kind, VERSION, &req(&[version])).unwrap();
    ring.set(kind, RX_RING, &req(words)).unwrap();
    ring.end = Some(end.try_clone().unwrap());
    (ring, near, end)
}

/// The ring's octets, through its file, as a program would map it.
fn octets(ring: &Ring) -> Vec<u8> {
    let filling = ring.filling.as_ref().unwrap();
    let mut octets = vec![0; filling.shape.len()];
    rustix::io::pread(filling.memory.file(), &mut octets, 0).unwrap();
    octets
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

fn give_back(ring: &Ring, nth: u64) {
    let filling = ring.filling.as_ref().unwrap();
    filling.memory.store(filling.shape.status(nth), 0);
}

fn readable(end: &OwnedFd) -> bool {
    rustix::net::recv(end, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok()
}

#[test]
fn frames_of_version_2_are_where_linux_has_them() {
    for (kind, mac, net) in [(SockType::Packet, 66, 80), (SockType::PacketDgram, 80, 80)] {
        let (mut ring, ..) = ring(1, kind, &[4096, 2, 2048, 4]);
        ring.put(&frame(b"abcdef"), at(0));
        let octets = octets(&ring);
        assert_eq!(word(&octets, 0), 1 | 1 << 29, "status");
        let rest: Vec<u32> = [4, 8, 12, 16, 20].iter().map(|at| word(&octets, *at)).collect();
        assert_eq!(rest, [1000, 6, mac | net << 16, 3, 5]);
        assert_eq!(octets[32..52], [7; 20]);
        assert_eq!(octets[mac as usize..][..6], *b"abcdef");
        assert_eq!(word(&octets, 2048), 0, "the next is free");
    }
}

#[test]
fn a_frame_too_long_is_cut_to_its_room() {
    let (mut ring, ..) = ring(1, SockType::Packet, &[4096, 1, 128, 32]);
    ring.put(&frame(&[5; 500]), at(0));
    let octets = octets(&ring);
    assert_eq!((word(&octets, 4), word(&octets, 8)), (1000, 128 - 66));
    assert_eq!(word(&octets, 128), 0);
}

#[test]
fn blocks_of_version_3_are_handed_on_full_or_after_their_time() {
    let (mut ring, near, end) = ring(2, SockType::Packet, &[4096, 2, 2048, 4, 10, 0, 0]);
    ring.put(&frame(&[1; 1000]), at(0));
    ring.put(&frame(&[2; 1000]), at(3));
    assert_eq!(ring.due(), Some(at(10)), "the first decides");
    ring.tick(at(9), &near);
    assert!(!readable(&end));
    ring.tick(at(10), &near);
    assert!(readable(&end));
    let first = octets(&ring);
    let header: Vec<u32> = (0..12).map(|n| word(&first, 4 * n)).collect();
    // 82 octets of header and 1000 of frame, rounded to 1088.
    assert_eq!(header, [2, 48, USER | TIMED_OUT, 2, 48, 48 + 2 * 1088, 1, 0, 3, 5, 3, 5]);
    assert_eq!((word(&first, 48), word(&first, 48 + 1088)), (1088, 0), "the last has none behind it");
    assert_eq!((word(&first, 48 + 12), word(&first, 48 + 16)), (1000, 1000));
    assert_eq!(first[48 + 82..][..1000], [1; 1000]);
    assert_eq!(first[48 + 1088 + 82..][..1000], [2; 1000]);
    // Four do not fit into the other block: it is handed on full, and no third is free.
    for n in 0..4 {
        ring.put(&frame(&[n; 1000]), at(11));
    }
    let second = octets(&ring);
    assert_eq!((word(&second, 4096 + 8), word(&second, 4096 + 12)), (USER, 3));
    assert_eq!((ring.drops, ring.freezes), (1, 1));
    give_back(&ring, 0);
    ring.put(&frame(&[9; 10]), at(12));
    ring.tick(at(30), &near);
    let third = octets(&ring);
    assert_eq!((word(&third, 8), word(&third, 12)), (USER | TIMED_OUT, 1));
    assert_eq!(word(&third, 48 + 20) & layout::LOSING, layout::LOSING);
}

#[test]
fn the_end_is_readable_while_something_is_unread() {
    let (mut ring, near, end) = ring(1, SockType::Packet, &[4096, 1, 2048, 2]);
    ring.tick(at(0), &near);
    assert!(!readable(&end) && ring.due().is_none());
    assert!(ring.put(&frame(b"a"), at(1)));
    ring.tick(at(1), &near);
    assert!(readable(&end));
    assert_eq!(ring.due(), Some(at(1) + FIRST_LOOK));
    assert!(!ring.put(&frame(b"b"), at(1)), "it shows already");
    give_back(&ring, 0);
    ring.tick(at(2), &near);
    assert!(readable(&end), "one of two");
    // The program reads the token: it comes again.
    rustix::net::recv(&end, &mut [0; 1][..], RecvFlags::DONTWAIT).unwrap();
    ring.tick(at(3), &near);
    assert!(readable(&end));
    let mut now = at(3);
    for _ in 0..10 {
        now = ring.due().unwrap();
        ring.tick(now, &near);
    }
    assert_eq!(ring.due(), Some(now + LAST_LOOK), "seldom at last");
    give_back(&ring, 1);
    ring.tick(now + LAST_LOOK, &near);
    assert!(!readable(&end) && ring.due().is_none());
    // Full, dropped, given back, full again.
    for _ in 0..3 {
        ring.put(&frame(b"c"), at(100));
    }
    assert_eq!(ring.drops, 1);
}

#[test]
fn measures_that_do_not_fit_are_refused() {
    let set = |version: u32, words: &[u32]| {
        let mut ring = Ring::default();
        ring.set(SockType::Packet, VERSION, &req(&[version])).unwrap();
        ring.set(SockType::Packet, RX_RING, &req(words))
    };
    for words in [
        &[4096, 2, 2048, 3][..],
        &[4095, 2, 2048, 2],
        &[4096, 2, 40, 204],
        &[4096, 2, 2040, 4],
        &[4096, 2, 8192, 0],
        &[0, 2, 2048, 0],
        &[4096, 0, 2048, 4],
        &[4096, 2, 2048],
    ] {
        assert_eq!(set(1, words), Err(Errno::EINVAL), "{words:?}");
    }
    assert_eq!(
        set(2, &[4096, 2, 2048, 4, 0, 4000, 0]),
        Err(Errno::EINVAL),
        "no room beside the program's own"
    );
    assert_eq!(set(2, &[4096, 2, 2048, 4, 0, 0]), Err(Errno::EINVAL), "tpacket_req3 is longer");
    assert_eq!(set(1, &[1 << 20, 1 << 20, 2048, 1 << 29]), Err(Errno::ENOMEM));
    let mut ring = Ring::default();
    assert_eq!(ring.set(SockType::Packet, VERSION, &req(&[3])), Err(Errno::EINVAL));
    ring.set(SockType::Packet, RX_RING, &req(&[4096, 2, 2048, 4])).unwrap();
    assert_eq!(ring.set(SockType::Packet, VERSION, &req(&[1])), Err(Errno::EBUSY));
    assert_eq!(ring.set(SockType::Packet, RX_RING, &req(&[4096, 2, 2048, 4])), Err(Errno::EBUSY));
    ring.set(SockType::Packet, RX_RING, &req(&[0, 0, 0, 0])).unwrap();
    ring.set(SockType::Packet, VERSION, &req(&[1])).unwrap();
}

/// What a version's header of a frame to be sent says: where, and the value.
const LENGTHS: [usize; 3] = [8, 4, 16];

#[test]
fn frames_to_be_sent_are_read_where_linux_has_them() {
    for (number, len_at) in LENGTHS.into_iter().enumerate() {
        let version = Version::by_number(number as u32).unwrap();
        let first = if version == Version::V3 { 48 } else { 32 };
        let request = req(&[4096, 1, 256, 16, 0, 0, 0]);
        let shape = |kind| Shape::read(version, Way::Out, kind, 0, &request).unwrap().unwrap();
        let (raw, cooked) = (shape(SockType::Packet), shape(SockType::PacketDgram));
        assert_eq!((raw.slot(3), raw.slots()), (768, 16));
        assert_eq!(raw.status(3) - 768, if version == Version::V3 { 20 } else { 0 });
        let mut header = [0; 48];
        header[len_at..len_at + 2].copy_from_slice(&60u16.to_le_bytes());
        assert_eq!(raw.outgoing(&header, false), Ok((first, 60)));
        assert_eq!(raw.outgoing(&header, true), Err(Errno::EINVAL), "it says 0");
        let places = [16, 12, 24][number];
        header[places] = 100;
        header[places + 2] = 120;
        assert_eq!(
            (raw.outgoing(&header, true), cooked.outgoing(&header, true)),
            (Ok((100, 60)), Ok((120, 60)))
        );
        header[places] = 197;
        assert_eq!(raw.outgoing(&header, true), Err(Errno::EINVAL), "no room for 60");
        header[len_at..len_at + 2].copy_from_slice(&(257 - first as u16).to_le_bytes());
        assert_eq!(raw.outgoing(&header, false), Err(Errno::EMSGSIZE));
        header[len_at..len_at + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(raw.outgoing(&header, true), Err(Errno::EMSGSIZE));
        if version == Version::V3 {
            header[0] = 1;
            assert_eq!(raw.outgoing(&header, false), Err(Errno::EINVAL), "a chain");
            let blocks = req(&[4096, 1, 256, 16, 8, 0, 0]);
            assert_eq!(Shape::read(version, Way::Out, SockType::Packet, 0, &blocks), Err(Errno::EINVAL));
        }
    }
}

#[test]
fn both_rings_are_in_one_memory_what_comes_in_first() {
    let mut ring = Ring::default();
    ring.set(SockType::Packet, VERSION, &req(&[1])).unwrap();
    ring.set(SockType::Packet, TX_RING, &req(&[8192, 1, 2048, 4])).unwrap();
    let first = ring.sending.as_ref().unwrap().memory().len();
    ring.set(SockType::Packet, RX_RING, &req(&[4096, 1, 2048, 2])).unwrap();
    let whole = ring.sending.as_ref().unwrap().memory().len();
    assert_eq!((first, whole), (8192, 12288));
    ring.put(&frame(b"abcdef"), at(0));
    // One that goes and comes again leaves the other as it is.
    for words in [[0; 4], [8192, 1, 2048, 4]] {
        ring.set(SockType::Packet, TX_RING, &req(&words)).unwrap();
        let filling = ring.filling.as_ref().unwrap();
        let mut octets = [0; 72];
        filling.memory.read(0, &mut octets);
        assert_eq!((word(&octets, 0), &octets[66..]), (1 | 1 << 29, &b"abcdef"[..]));
    }
    for (name, value) in [(VERSION, 0), (RESERVE, 0), (LOSS, 1), (TX_HAS_OFF, 1)] {
        assert_eq!(ring.set(SockType::Packet, name, &req(&[value])), Err(Errno::EBUSY));
    }
    assert_eq!(ring.set(SockType::Packet, TX_RING, &req(&[8192, 1, 2048, 4])), Err(Errno::EBUSY));
    // What is mapped does not grow.
    ring.set(SockType::Packet, TX_RING, &req(&[0; 4])).unwrap();
    let flags = SocketFlags::CLOEXEC;
    ring.end = Some(socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap().0);
    assert_eq!(ring.set(SockType::Packet, TX_RING, &req(&[8192, 1, 2048, 4])), Err(Errno::EBUSY));
    ring.set(SockType::Packet, RX_RING, &req(&[0; 4])).unwrap();
    ring.set(SockType::Packet, TX_RING, &req(&[8192, 1, 2048, 4])).unwrap();
}
