//! Laws of the vocabulary.

use super::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// FLAGS, LEN, IFINDEX; SOCKET; OPTION; LIMITS.
type Words = ([Option<u32>; 3], Option<[u32; 3]>, Option<[u32; 2]>, Option<[u32; 3]>);

/// Owned values of all fields.
#[derive(Clone, Debug)]
struct Owned {
    octets: [Option<Vec<u8>>; 5],
    name: Option<String>,
    entries: Option<Vec<PollEntry>>,
    words: Words,
    longs: [Option<u64>; 4],
    arg: Option<i64>,
    versions: Option<[u16; 2]>,
    small: [Option<u8>; 2],
}

fn owned() -> impl Strategy<Value = Owned> {
    let address = || of(vec(any::<u8>(), MIN_ADDR..=MAX_ADDR));
    let error = of(vec(any::<u8>(), EXTENDED_ERR));
    let octets = (of(vec(any::<u8>(), 0..2000)), address(), address(), error, address());
    let octets = octets.prop_map(|(a, b, c, d, e)| [a, b, c, d, e]);
    let entry = any::<(u32, u16, u16)>().prop_map(|(sid, events, revents)| PollEntry {
        sid: Sid(sid),
        events,
        revents,
    });
    let small = (octets, of("[a-zé.]{0,40}"), of(vec(entry, 0..20)), any::<(Option<u8>, Option<u8>)>());
    (small, any::<Words>(), any::<[Option<u64>; 4]>(), any::<Option<i64>>(), any::<Option<[u16; 2]>>())
        .prop_map(|((octets, name, entries, small), words, longs, arg, versions)| Owned {
            octets,
            name,
            entries,
            words,
            longs,
            arg,
            versions,
            small: [small.0, small.1],
        })
}

/// `owned` as a body, laid out in `buf`.
fn body<'a>(owned: &'a Owned, buf: &'a mut Vec<u8>) -> Body<'a> {
    Body {
        data: owned.octets[0].as_deref(),
        addr: owned.octets[1].as_deref(),
        local: owned.octets[2].as_deref(),
        error: owned.octets[3].as_deref(),
        offender: owned.octets[4].as_deref(),
        wire_len: owned.words.0[1],
        headers: owned.octets[3].as_deref(),
        flow_info: owned.words.0[2],
        path_mtu: owned.words.0[1],
        lasting: owned.octets[0].as_deref(),
        inode: owned.longs[3],
        flags: owned.words.0[0],
        len: owned.words.0[1],
        ifindex: owned.words.0[2],
        arg: owned.arg,
        socket: owned.words.1,
        option: owned.words.2,
        limits: owned.words.3.map(|[descriptors, calls, octets]| Limits { descriptors, calls, octets }),
        target: owned.longs[0],
        timeout: owned.longs[1],
        time: owned.longs[2],
        versions: owned.versions,
        name: owned.name.as_deref(),
        ttl: owned.small[0],
        tos: owned.small[1],
        pollfds: owned.entries.as_ref().map(|entries| PollEntries::encode(entries.iter().copied(), buf)),
    }
}

const HEAD: Header =
    Header { op: Op::SendMsg as u16, req: 9, sid: Sid(3), flags: FrameFlags::empty(), ret: 0 };

proptest! {
    #[test]
    fn every_body_survives_the_wire(owned in owned()) {
        let mut entries = Vec::new();
        let body = body(&owned, &mut entries);
        let mut frame = Vec::new();
        let len = encode(&HEAD, &body, &mut frame);
        prop_assert_eq!(len, frame.len());
        let (header, octets) = Header::decode(&frame).unwrap();
        prop_assert_eq!(header, HEAD);
        prop_assert_eq!(Body::decode(octets), Ok(body));
    }

    /// Whatever operation a body is read as: an error, or a request that encodes to the same request.
    #[test]
    fn every_request_survives_the_wire(owned in owned(), op in proptest::sample::select(Op::ALL)) {
        let mut entries = Vec::new();
        let mut frame = Vec::new();
        encode(&Header { op: op as u16, ..HEAD }, &body(&owned, &mut entries), &mut frame);
        let (header, octets) = Header::decode(&frame).unwrap();
        if let Ok(request) = Request::decode(&header, octets) {
            let mut again = Vec::new();
            request.encode(header.req, header.sid, &mut again);
            let (second, octets) = Header::decode(&again).unwrap();
            prop_assert_eq!(second, header);
            prop_assert_eq!(Request::decode(&second, octets), Ok(request));
        }
    }

    #[test]
    fn any_octets_are_a_request_or_an_error(op in any::<u16>(), octets in vec(any::<u8>(), 0..300)) {
        let _ = Request::decode(&Header { op, ..HEAD }, &octets);
    }

    /// Valid frames with octets changed: the likeliest way to a deep fault.
    #[test]
    fn a_damaged_request_is_a_request_or_an_error(owned in owned(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut entries = Vec::new();
        let mut frame = Vec::new();
        encode(&HEAD, &body(&owned, &mut entries), &mut frame);
        for (at, octet) in damage {
            let at = at.index(frame.len());
            frame[at] = octet;
        }
        if let Ok((header, octets)) = Header::decode(&frame) {
            let _ = Request::decode(&header, octets);
        }
    }

    #[test]
    fn truncated_fields_are_an_error(owned in owned(), cut in any::<prop::sample::Index>()) {
        let mut entries = Vec::new();
        let mut frame = Vec::new();
        let body = body(&owned, &mut entries);
        encode(&HEAD, &body, &mut frame);
        let octets = &frame[HEADER..];
        if !octets.is_empty() {
            prop_assert_ne!(Body::decode(&octets[..cut.index(octets.len())]), Ok(body));
        }
    }
}

/// One frame with these fields, decoded.
fn decode(fields: &[(u16, &[u8])]) -> Result<(), BodyError> {
    let mut frame = Vec::new();
    let mut writer = FrameWriter::new(&mut frame);
    for (tag, value) in fields {
        writer.field(*tag, value);
    }
    writer.finish(&HEAD);
    Body::decode(&frame[HEADER..]).map(|_| ())
}

#[test]
fn faults_are_named() {
    assert_eq!(decode(&[(tag::FLAGS, &[0; 3])]), Err(BodyError::Malformed { tag: tag::FLAGS, len: 3 }));
    assert_eq!(decode(&[(tag::LEN, &[0; 4]), (tag::LEN, &[0; 4])]), Err(BodyError::Twice { tag: tag::LEN }));
    assert_eq!(decode(&[(tag::NAME, &[0xff])]), Err(BodyError::Malformed { tag: tag::NAME, len: 1 }));
    assert_eq!(decode(&[(tag::POLLFDS, &[0; 12])]), Err(BodyError::Malformed { tag: tag::POLLFDS, len: 12 }));
    assert_eq!(decode(&[(0x7fff, &[])]), Err(BodyError::Unknown { tag: 0x7fff }));
    assert_eq!(decode(&[(OPTIONAL | 0x7fff, &[1, 2])]), Ok(()));
    let long = vec![0; MAX_DATA + 1];
    assert_eq!(
        decode(&[(tag::DATA, &long)]),
        Err(BodyError::Malformed { tag: tag::DATA, len: MAX_DATA + 1 })
    );
    assert_eq!(decode(&[(tag::DATA, &long[..MAX_DATA])]), Ok(()));
    let missing = Request::decode(&Header { op: Op::Bind as u16, ..HEAD }, &[]);
    assert_eq!(missing, Err(RequestError::Body(BodyError::Missing { tag: tag::ADDR })));
    for op in [0, Op::Closed as u16, 0xffff] {
        assert_eq!(Request::decode(&Header { op, ..HEAD }, &[]), Err(RequestError::Op { op }));
    }
}
