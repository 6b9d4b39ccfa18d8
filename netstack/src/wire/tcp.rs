//! TCP segments as octets: RFC 9293 §3.1 (header, options), RFC 7323 (window scale, timestamps),
//! RFC 2018 (SACK), RFC 7413 (Fast Open).
//!
//! Sequence numbers are plain numbers here; [`crate::tcp`] gives them their arithmetic.

use super::checksum::Sum;
use std::net::IpAddr;

/// IP protocol number.
pub const PROTOCOL: u8 = 6;
/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Octets of the largest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Where in the header the checksum stands.
pub const CHECKSUM_AT: usize = 16;

bitflags::bitflags! {
    /// Control bits.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Push.
        const PSH = 0x08;
        /// The acknowledgment field is significant.
        const ACK = 0x10;
        /// The urgent pointer is significant.
        const URG = 0x20;
        /// ECN echo (RFC 3168).
        const ECE = 0x40;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x80;
    }
}

/// RFC 7323 §3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// The sender's clock.
    pub val: u32,
    /// The receiver's clock, echoed.
    pub ecr: u32,
}

/// RFC 2018 §3: up to four blocks, left edge and the number after the right edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    count: u8,
}

impl SackBlocks {
    /// Adds a block; more than four are ignored.
    pub fn push(&mut self, left: u32, right: u32) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.count)) {
            *slot = (left, right);
            self.count += 1;
        }
    }

    /// The blocks in the order of the segment.
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.count)]
    }
}

/// RFC 7413 §4.1.1: 4 to 16 octets, an even number; none: the sender asks for a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastOpenCookie {
    octets: [u8; 16],
    len: u8,
    /// It stands in the experimental option of before the RFC (kind 254 with the number 0xF989, RFC 6994).
    experimental: bool,
}

impl FastOpenCookie {
    /// Asks for one.
    pub const REQUEST: FastOpenCookie = FastOpenCookie { octets: [0; 16], len: 0, experimental: false };

    /// `None`: no cookie has that length.
    pub fn new(octets: &[u8]) -> Option<FastOpenCookie> {
        let mut cookie = FastOpenCookie { len: octets.len() as u8, ..FastOpenCookie::REQUEST };
        if !matches!(octets.len(), 0 | 4..=16) || !octets.len().is_multiple_of(2) {
            return None;
        }
        cookie.octets[..octets.len()].copy_from_slice(octets);
        Some(cookie)
    }

    /// The same in the experimental option.
    fn experimental(octets: &[u8]) -> Option<FastOpenCookie> {
        Some(FastOpenCookie { experimental: true, ..FastOpenCookie::new(octets)? })
    }

    /// The same in the option that `other` stands in.
    pub fn in_option_of(self, other: FastOpenCookie) -> FastOpenCookie {
        FastOpenCookie { experimental: other.experimental, ..self }
    }

    /// Whether it asks for a cookie.
    pub fn is_request(&self) -> bool {
        self.len == 0
    }

    /// Its octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl From<[u8; 8]> for FastOpenCookie {
    fn from(octets: [u8; 8]) -> FastOpenCookie {
        let mut cookie = FastOpenCookie { len: 8, ..FastOpenCookie::REQUEST };
        cookie.octets[..8].copy_from_slice(&octets);
        cookie
    }
}

/// Options of a segment. Unknown ones are skipped, as RFC 9293 §3.1 asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Kind 2: largest segment the sender takes, in octets of payload.
    pub mss: Option<u16>,
    /// Kind 3: shift count; greater than 14 counts as 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// Kind 4
    pub sack_permitted: bool,
    /// Kind 8
    pub timestamps: Option<Timestamps>,
    /// Kind 5
    pub sack: SackBlocks,
    /// Kind 34, or that of its experiment
    pub fast_open: Option<FastOpenCookie>,
}

mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NOP: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const SACK: u8 = 5;
    pub(super) const TIMESTAMPS: u8 = 8;
    pub(super) const FAST_OPEN: u8 = 34;
    pub(super) const EXPERIMENT: u8 = 254;
}

/// Fast Open's number among the experiments that share an option (RFC 6994).
const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// A segment's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first octet (of the SYN if there is one).
    pub seq: u32,
    /// Next sequence number that the sender expects.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Window as it stands in the header, not scaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options.
    pub options: Options,
}

/// In which order a SYN names its options. Receivers do not care; whoever guesses systems by their SYNs does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OptionOrder {
    /// MSS, SACK permitted, timestamps, window scale.
    #[default]
    Linux,
    /// MSS, window scale, SACK permitted, timestamps.
    FreeBsd,
}

/// Why octets are no TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Fewer than a header.
    #[error("segment of {len} octets is shorter than a header")]
    Short {
        /// Octets there are.
        len: usize,
    },
    /// The data offset is less than 5 words or points behind the end.
    #[error("data offset of {offset} octets in a segment of {len}")]
    DataOffset {
        /// Octets of header that the segment claims.
        offset: usize,
        /// Octets there are.
        len: usize,
    },
}

/// The first octets of a header whose only option is a timestamp, aligned as everybody does
/// (RFC 7323 appendix A).
const ALIGNED_TIMESTAMPS: [u8; 4] = [kind::NOP, kind::NOP, kind::TIMESTAMPS, 10];

fn u16_at(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn u32_at(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

impl Header {
    /// Reads a segment: its header and its payload. The checksum is not looked at.
    pub fn parse(segment: &[u8]) -> Result<(Header, &[u8]), ParseError> {
        let Some(fixed) = segment.first_chunk::<HEADER_LEN>() else {
            return Err(ParseError::Short { len: segment.len() });
        };
        let offset = usize::from(fixed[12] >> 4) * 4;
        if offset < HEADER_LEN || offset > segment.len() {
            return Err(ParseError::DataOffset { offset, len: segment.len() });
        }
        let (header, payload) = segment.split_at(offset);
        let parsed = Header {
            src_port: u16_at(fixed, 0),
            dst_port: u16_at(fixed, 2),
            seq: u32_at(fixed, 4),
            ack: u32_at(fixed, 8),
            flags: Flags::from_bits_retain(fixed[13]),
            window: u16_at(fixed, 14),
            urgent: u16_at(fixed, 18),
            options: Options::parse(&header[HEADER_LEN..]),
        };
        Ok((parsed, payload))
    }

    /// Octets of the header with its options.
    pub fn len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Never: a header has at least 20 octets.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the header to the front of `out`, which has at least [`Header::len`] octets. The
    /// checksum is left zero; see [`fill_checksum`].
    pub fn emit(&self, out: &mut [u8]) {
        self.emit_ordered(OptionOrder::Linux, out);
    }

    /// The same with the options in this order.
    pub fn emit_ordered(&self, order: OptionOrder, out: &mut [u8]) {
        let len = self.len();
        let out = &mut out[..len];
        out[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        out[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        out[4..8].copy_from_slice(&self.seq.to_be_bytes());
        out[8..12].copy_from_slice(&self.ack.to_be_bytes());
        out[12] = (len as u8 / 4) << 4;
        out[13] = self.flags.bits();
        out[14..16].copy_from_slice(&self.window.to_be_bytes());
        out[16..18].copy_from_slice(&[0, 0]);
        out[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        self.options.emit(order, &mut out[HEADER_LEN..]);
    }
}

impl Options {
    fn parse(octets: &[u8]) -> Options {
        let mut o = Options::default();
        if octets.len() == 12 && octets[..4] == ALIGNED_TIMESTAMPS {
            o.timestamps = Some(Timestamps { val: u32_at(octets, 4), ecr: u32_at(octets, 8) });
            return o;
        }
        let mut rest = octets;
        loop {
            let (k, body, next) = match rest {
                [] | [kind::END, ..] => return o,
                [kind::NOP, next @ ..] => {
                    rest = next;
                    continue;
                }
                // A length that cannot be ends the list: what was read before stays valid.
                [k, len, ..] if *len >= 2 && usize::from(*len) <= rest.len() => {
                    (*k, &rest[2..usize::from(*len)], &rest[usize::from(*len)..])
                }
                [_, ..] => return o,
            };
            match (k, body.len()) {
                (kind::MSS, 2) => o.mss = Some(u16_at(body, 0)),
                (kind::WINDOW_SCALE, 1) => o.window_scale = Some(body[0]),
                (kind::SACK_PERMITTED, 0) => o.sack_permitted = true,
                (kind::TIMESTAMPS, 8) => {
                    o.timestamps = Some(Timestamps { val: u32_at(body, 0), ecr: u32_at(body, 4) });
                }
                (kind::SACK, n) if n % 8 == 0 => {
                    for block in body.chunks_exact(8) {
                        o.sack.push(u32_at(block, 0), u32_at(block, 4));
                    }
                }
                (kind::FAST_OPEN, _) => o.fast_open = FastOpenCookie::new(body).or(o.fast_open),
                (kind::EXPERIMENT, 2..) if body[..2] == FAST_OPEN_EXPERIMENT => {
                    o.fast_open = o.fast_open.or(FastOpenCookie::experimental(&body[2..]));
                }
                _ => {}
            }
            rest = next;
        }
    }

    fn len(&self) -> usize {
        let mss = if self.mss.is_some() { 4 } else { 0 };
        let ts = if self.timestamps.is_some() { 12 } else { 0 };
        let sack_permitted = if self.sack_permitted && self.timestamps.is_none() { 4 } else { 0 };
        let scale = if self.window_scale.is_some() { 4 } else { 0 };
        let sack = match self.sack.count {
            0 => 0,
            n => 4 + 8 * usize::from(n),
        };
        let fast_open = match self.fast_open {
            None => 0,
            Some(cookie) if cookie.experimental => (4 + usize::from(cookie.len)).next_multiple_of(4),
            Some(cookie) => (2 + usize::from(cookie.len)).next_multiple_of(4),
        };
        mss + ts + sack_permitted + scale + sack + fast_open
    }

    /// Each aligned by NOPs; both orders take as many octets.
    fn emit(&self, order: OptionOrder, mut out: &mut [u8]) {
        let mut put = |octets: &[u8]| {
            let (here, rest) = core::mem::take(&mut out).split_at_mut(octets.len());
            here.copy_from_slice(octets);
            out = rest;
        };
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            put(&[kind::MSS, 4, a, b]);
        }
        if let (OptionOrder::FreeBsd, Some(shift)) = (order, self.window_scale) {
            put(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        match (self.sack_permitted, self.timestamps, order) {
            (true, Some(_), _) => put(&[kind::SACK_PERMITTED, 2, kind::TIMESTAMPS, 10]),
            (false, Some(_), _) => put(&ALIGNED_TIMESTAMPS),
            (true, None, OptionOrder::Linux) => put(&[kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]),
            (true, None, OptionOrder::FreeBsd) => put(&[kind::SACK_PERMITTED, 2, kind::END, kind::END]),
            (false, None, _) => {}
        }
        if let Some(ts) = self.timestamps {
            put(&ts.val.to_be_bytes());
            put(&ts.ecr.to_be_bytes());
        }
        if let (OptionOrder::Linux, Some(shift)) = (order, self.window_scale) {
            put(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        if self.sack.count > 0 {
            put(&[kind::NOP, kind::NOP, kind::SACK, 2 + 8 * self.sack.count]);
            for (left, right) in self.sack.as_slice() {
                put(&left.to_be_bytes());
                put(&right.to_be_bytes());
            }
        }
        if let Some(cookie) = self.fast_open {
            let head = if cookie.experimental {
                put(&[kind::EXPERIMENT, 4 + cookie.len]);
                put(&FAST_OPEN_EXPERIMENT);
                4
            } else {
                put(&[kind::FAST_OPEN, 2 + cookie.len]);
                2
            };
            put(cookie.as_slice());
            match ((head + cookie.len) % 4, order) {
                (0, _) => {}
                (_, OptionOrder::Linux) => put(&[kind::NOP, kind::NOP]),
                (_, OptionOrder::FreeBsd) => put(&[kind::END, kind::END]),
            }
        }
    }
}

/// Computes and writes the checksum of a whole segment.
pub fn fill_checksum(src: IpAddr, dst: IpAddr, segment: &mut [u8]) {
    let sum = Sum::pseudo_header(src, dst, PROTOCOL, segment.len()).add(segment).finish();
    if let Some(field) = segment.get_mut(CHECKSUM_AT..CHECKSUM_AT + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Writes what stands in the checksum's place when the rest is left to whoever needs it: the sum of
/// the pseudo-header.
pub fn fill_partial_checksum(src: IpAddr, dst: IpAddr, segment: &mut [u8]) {
    let sum = Sum::pseudo_header(src, dst, PROTOCOL, segment.len()).partial();
    if let Some(field) = segment.get_mut(CHECKSUM_AT..CHECKSUM_AT + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Whether the checksum of a whole segment is right.
pub fn checksum_is_valid(src: IpAddr, dst: IpAddr, segment: &[u8]) -> bool {
    Sum::pseudo_header(src, dst, PROTOCOL, segment.len()).add(segment).is_valid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = Header> {
        let ts = prop::option::of(any::<(u32, u32)>().prop_map(|(val, ecr)| Timestamps { val, ecr }));
        let cookie = prop::collection::vec(any::<u8>(), 0..=16);
        let fast_open = prop::option::of(cookie.prop_map(|c| FastOpenCookie::new(&c[..c.len() & !1])));
        let options =
            (prop::option::of(any::<u16>()), prop::option::of(any::<u8>()), any::<bool>(), ts, fast_open);
        (any::<(u16, u16, u32, u32, u8, u16, u16)>(), options).prop_map(
            |(f, (mss, window_scale, sack_permitted, timestamps, fast_open))| Header {
                src_port: f.0,
                dst_port: f.1,
                seq: f.2,
                ack: f.3,
                flags: Flags::from_bits_retain(f.4),
                window: f.5,
                urgent: f.6,
                options: Options {
                    mss,
                    window_scale,
                    sack_permitted,
                    timestamps,
                    sack: SackBlocks::default(),
                    fast_open: fast_open.flatten(),
                },
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(h in header(), payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut octets = vec![0xaa; h.len()];
            h.emit(&mut octets);
            octets.extend(&payload);
            let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
            fill_checksum(src, dst, &mut octets);
            prop_assert!(checksum_is_valid(src, dst, &octets));
            let (back, rest) = Header::parse(&octets).expect("a segment");
            prop_assert_eq!(back, h);
            prop_assert_eq!(rest, &payload[..]);
        }

        #[test]
        fn any_octets_parse_or_fail_quietly(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Header::parse(&octets);
        }

        #[test]
        fn etherparse_agrees(h in header()) {
            let mut octets = vec![0; h.len()];
            h.emit(&mut octets);
            let (theirs, _) = etherparse::TcpHeader::from_slice(&octets).expect("a segment");
            prop_assert_eq!(theirs.sequence_number, h.seq);
            prop_assert_eq!(theirs.header_len(), h.len());
            let mut scale = None;
            let mut mss = None;
            for element in theirs.options_iterator() {
                match element {
                    Ok(etherparse::TcpOptionElement::WindowScale(s)) => scale = Some(s),
                    Ok(etherparse::TcpOptionElement::MaximumSegmentSize(m)) => mss = Some(m),
                    // It does not know Fast Open's, which stands last.
                    Ok(_) | Err(etherparse::TcpOptionReadError::UnknownId(34)) => {}
                    Err(e) => panic!("malformed: {e}"),
                }
            }
            prop_assert_eq!((scale, mss), (h.options.window_scale, h.options.mss));
        }
    }

    #[test]
    fn both_orders_of_options_say_the_same() {
        let all = Options {
            mss: Some(1460),
            window_scale: Some(6),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 1, ecr: 2 }),
            sack: SackBlocks::default(),
            fast_open: None,
        };
        let bare = Options { timestamps: None, ..all };
        let kinds = |options: Options, order| {
            let h = Header { options, ..Header::default() };
            let mut octets = vec![0xaa; h.len()];
            h.emit_ordered(order, &mut octets);
            assert_eq!(Header::parse(&octets).expect("a segment").0, h);
            octets.split_off(HEADER_LEN)
        };
        assert_eq!(kinds(all, OptionOrder::Linux)[..6], [2, 4, 5, 180, 4, 2]);
        assert_eq!(kinds(all, OptionOrder::FreeBsd)[..10], [2, 4, 5, 180, 1, 3, 3, 6, 4, 2]);
        assert_eq!(kinds(bare, OptionOrder::FreeBsd), [2, 4, 5, 180, 1, 3, 3, 6, 4, 2, 0, 0]);
    }

    #[test]
    fn malformed_options_keep_what_stood_before_them() {
        let mut octets = vec![0; 28];
        Header {
            options: Options { mss: Some(1460), window_scale: Some(7), ..Options::default() },
            ..Header::default()
        }
        .emit(&mut octets);
        octets[26] = 60;
        let (h, _) = Header::parse(&octets).expect("a segment");
        assert_eq!((h.options.mss, h.options.window_scale), (Some(1460), None));
    }

    #[test]
    fn cookies_have_even_lengths_and_are_padded() {
        let lengths: Vec<usize> = (0..20).filter(|n| FastOpenCookie::new(&vec![7; *n]).is_some()).collect();
        assert_eq!(lengths, [0, 4, 6, 8, 10, 12, 14, 16]);
        for (order, pad) in [(OptionOrder::Linux, 1), (OptionOrder::FreeBsd, 0)] {
            let fast_open = Some(FastOpenCookie::from([9; 8]));
            let h = Header { options: Options { fast_open, ..Options::default() }, ..Header::default() };
            let mut octets = vec![0xaa; h.len()];
            h.emit_ordered(order, &mut octets);
            assert_eq!(octets[HEADER_LEN..], [34, 10, 9, 9, 9, 9, 9, 9, 9, 9, pad, pad]);
            assert_eq!(Header::parse(&octets).expect("a segment").0, h);
        }
    }

    #[test]
    fn cookies_may_stand_in_the_experimental_option() {
        let cookie = FastOpenCookie::from([9; 8]);
        let request = FastOpenCookie::experimental(&[]).expect("a request");
        assert!(request.is_request() && request != FastOpenCookie::REQUEST);
        for (cookie, octets) in [
            (cookie.in_option_of(request), vec![254, 12, 0xf9, 0x89, 9, 9, 9, 9, 9, 9, 9, 9]),
            (request, vec![254, 4, 0xf9, 0x89]),
            (
                FastOpenCookie::experimental(&[7; 6]).expect("a cookie"),
                vec![254, 10, 0xf9, 0x89, 7, 7, 7, 7, 7, 7, 1, 1],
            ),
        ] {
            let options = Options { fast_open: Some(cookie), ..Options::default() };
            let h = Header { options, ..Header::default() };
            let mut emitted = vec![0xaa; h.len()];
            h.emit(&mut emitted);
            assert_eq!(emitted[HEADER_LEN..], octets);
            assert_eq!(Header::parse(&emitted).expect("a segment").0, h);
        }
        // Another experiment, and an option too short to name one.
        assert_eq!(Options::parse(&[254, 6, 0xf9, 0x88, 9, 9, 254, 3, 0xf9, 1]), Options::default());
        assert_eq!(Options::parse(&[254, 4, 0xf9, 0x89, 34, 2]).fast_open, Some(FastOpenCookie::REQUEST));
    }

    #[test]
    fn sack_blocks_go_round() {
        let mut h = Header {
            options: Options { timestamps: Some(Timestamps { val: 1, ecr: 2 }), ..Options::default() },
            ..Header::default()
        };
        for i in 0..3 {
            h.options.sack.push(i * 100, i * 100 + 50);
        }
        let mut octets = vec![0; h.len()];
        h.emit(&mut octets);
        assert_eq!(Header::parse(&octets).expect("a segment").0, h);
    }
}
