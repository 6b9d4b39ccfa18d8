//! IPv6 extension headers: RFC 8200 §4, 7045, 7112, 2711 (router alert). Their octets and order;
//! what a node does about them is in `netinet6::ip6_exthdr`.

use super::{WireError, be16, be32, ipv6};

/// Values of "next header" that are no protocol's.
pub mod next {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Authentication (RFC 4302): not spoken.
    pub const AUTHENTICATION: u8 = 51;
    /// Nothing follows.
    pub const NONE: u8 = 59;
    /// Destination options.
    pub const DESTINATION: u8 = 60;
    /// Mobility (RFC 6275): not spoken.
    pub const MOBILITY: u8 = 135;
}

/// Octets of a fragment header.
pub const FRAGMENT_LEN: usize = 8;

/// Option types (RFC 8200 §4.2, RFC 2711).
pub mod option {
    /// One octet of padding.
    pub const PAD1: u8 = 0;
    /// More padding.
    pub const PADN: u8 = 1;
    /// Routers are to look closer.
    pub const ROUTER_ALERT: u8 = 5;
}

/// What stands in the fragment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the fragmentable part begins with.
    pub next_header: u8,
    /// Octets before this fragment in the fragmentable part, a multiple of 8.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
    /// Identifies the packet that the fragment belongs to.
    pub id: u32,
}

impl Fragment {
    /// The header at the front of `b`.
    pub fn parse(b: &[u8]) -> Result<Fragment, WireError> {
        let b: &[u8; FRAGMENT_LEN] = b.first_chunk().ok_or(WireError::Truncated)?;
        let word = be16(b, 2);
        Ok(Fragment {
            next_header: b[0],
            offset: usize::from(word & !7),
            more: word & 1 != 0,
            id: be32(b, 4),
        })
    }

    /// Writes the header to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        out[0] = self.next_header;
        out[1] = 0;
        out[2..4].copy_from_slice(&(self.offset as u16 & !7 | u16::from(self.more)).to_be_bytes());
        out[4..8].copy_from_slice(&self.id.to_be_bytes());
    }

    /// A fragment that is a packet of its own: RFC 6946.
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Octets of the options or routing header at the front of `b`, all of which are there.
pub fn len(b: &[u8]) -> Result<usize, WireError> {
    let &[_, eights, ..] = b else { return Err(WireError::Truncated) };
    let len = (usize::from(eights) + 1) * 8;
    if b.len() < len { Err(WireError::Truncated) } else { Ok(len) }
}

/// One option: its type, where it begins in the header, and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionAt<'a> {
    /// Its type.
    pub kind: u8,
    /// Octets from the beginning of the header.
    pub at: usize,
    /// Its data.
    pub data: &'a [u8],
}

/// The options of the hop-by-hop or destination options header `header`, padding left out.
pub fn options(header: &[u8]) -> impl Iterator<Item = Result<OptionAt<'_>, WireError>> {
    let mut at = 2;
    core::iter::from_fn(move || {
        loop {
            match *header.get(at..)? {
                [] => return None,
                [option::PAD1, ..] => at += 1,
                [kind, len, ref rest @ ..] if rest.len() >= usize::from(len) => {
                    let begin = at;
                    at += 2 + usize::from(len);
                    if kind != option::PADN {
                        return Some(Ok(OptionAt { kind, at: begin, data: &rest[..usize::from(len)] }));
                    }
                }
                [..] => {
                    at = header.len();
                    return Some(Err(WireError::Truncated));
                }
            }
        }
    })
}

/// Where the chain of extension headers of a packet leads, as far as its octets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// The protocol, [`next::NONE`], or a header that is unknown here.
    pub protocol: u8,
    /// Octets before it.
    pub at: usize,
    /// Where the octet stands that names it.
    pub named_at: usize,
    /// The fragment header.
    pub fragment: Option<FragmentAt>,
}

/// A fragment header in its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentAt {
    /// Octets before it.
    pub at: usize,
    /// Where the octet stands that names it.
    pub named_at: usize,
    /// The header.
    pub header: Fragment,
}

impl Upper {
    /// Whether what stands at `at` is the protocol's header, and not the middle of a packet.
    pub fn is_first(&self) -> bool {
        self.fragment.is_none_or(|f| f.header.offset == 0)
    }
}

/// What stands behind the extension headers in `octets`, of which the first is a `kind`, and where. A
/// fragment header is no header to be passed by.
pub fn behind(mut kind: u8, octets: &[u8]) -> Result<(u8, usize), WireError> {
    let mut at = 0;
    while let next::HOP_BY_HOP | next::ROUTING | next::DESTINATION = kind {
        let rest = octets.get(at..).ok_or(WireError::Truncated)?;
        let len = len(rest)?;
        (kind, at) = (rest[0], at + len);
    }
    Ok((kind, at))
}

/// Walks the headers of the packet `packet`. Behind a fragment header that is not of the first
/// fragment there are no headers. `Truncated`: the chain does not end within the octets (RFC 7112).
pub fn upper(packet: &[u8]) -> Result<Upper, WireError> {
    let header = ipv6::Header::parse_quoted(packet)?;
    let mut u = Upper { protocol: header.next_header, at: ipv6::HEADER_LEN, named_at: 6, fragment: None };
    loop {
        let rest = packet.get(u.at..).ok_or(WireError::Truncated)?;
        let len = match u.protocol {
            next::HOP_BY_HOP | next::ROUTING | next::DESTINATION => len(rest)?,
            next::FRAGMENT => {
                let header = Fragment::parse(rest)?;
                u.fragment = Some(FragmentAt { at: u.at, named_at: u.named_at, header });
                FRAGMENT_LEN
            }
            _ => return Ok(u),
        };
        (u.protocol, u.named_at, u.at) = (rest[0], u.at, u.at + len);
        if !u.is_first() {
            return Ok(u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
        let src = "2001:db8::1".parse().unwrap();
        let h = ipv6::Header { payload_len: payload.len(), ..ipv6::Header::new(src, src, next) };
        let mut p = vec![0; ipv6::HEADER_LEN];
        h.emit(&mut p);
        p.extend(payload);
        p
    }

    #[test]
    fn a_chain_leads_to_its_protocol() {
        let chain = [
            [next::ROUTING, 0, option::ROUTER_ALERT, 2, 0, 0, 1, 0],
            [next::FRAGMENT, 0, 0, 0, 0, 0, 0, 0],
            [17, 0, 0, 1, 0, 0, 0, 9],
            [1, 2, 3, 4, 0, 8, 0, 0],
        ];
        let u = upper(&packet(next::HOP_BY_HOP, chain.as_flattened())).unwrap();
        assert_eq!((u.protocol, u.at, u.named_at), (17, 64, 56));
        let header = Fragment { next_header: 17, offset: 0, more: true, id: 9 };
        assert_eq!(u.fragment, Some(FragmentAt { at: 56, named_at: 48, header }));
        let later = [[next::DESTINATION, 0, 0, 8, 0, 0, 0, 9], [0xff; 8]];
        let u = upper(&packet(next::FRAGMENT, later.as_flattened())).unwrap();
        assert!(!u.is_first() && u.at == 48, "{u:?}");
        let cut = [[next::DESTINATION, 0, 0, 1, 0, 0, 0, 9], [17, 9, 0, 0, 0, 0, 0, 0]];
        assert_eq!(upper(&packet(next::FRAGMENT, cut.as_flattened())), Err(WireError::Truncated));
    }

    #[test]
    fn options_are_found_between_padding() {
        let header = [17, 0, option::PAD1, option::ROUTER_ALERT, 2, 0, 9, option::PAD1];
        let found: Vec<_> = options(&header).collect();
        assert_eq!(found, [Ok(OptionAt { kind: option::ROUTER_ALERT, at: 3, data: &[0, 9] })]);
        let cut = [17, 0, option::PADN, 2, 0, 0, 0xc2, 4];
        assert_eq!(options(&cut).collect::<Vec<_>>(), [Err(WireError::Truncated)]);
    }

    proptest! {
        #[test]
        fn any_chain_ends(next: u8, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let p = packet(next, &payload);
            if let Ok(u) = upper(&p) {
                prop_assert!(u.at <= p.len());
            }
            for o in options(&payload).flatten() {
                prop_assert!(o.at + 2 + o.data.len() <= payload.len());
            }
        }

        #[test]
        fn what_a_fragment_says_is_read(next_header: u8, offset in 0usize..8192, more: bool, id: u32) {
            let f = Fragment { next_header, offset: offset * 8, more, id };
            let mut out = [0xff; FRAGMENT_LEN];
            f.emit(&mut out);
            prop_assert_eq!(Fragment::parse(&out), Ok(f));
        }
    }
}
