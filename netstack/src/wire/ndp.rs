//! Neighbour discovery's messages: RFC 4861 §4; nonce: RFC 3971 §5.3.2, 7527. Each is parsed from
//! behind the four octets of type, code and checksum that all of ICMPv6 begins with.

use super::{WireError, be32, ip6, mac};
use crate::net::MacAddr;
use std::net::Ipv6Addr;

/// Hop limit of every message: no router has passed it on (RFC 4861 §3.1).
pub const HOP_LIMIT: u8 = 255;
/// Octets of a solicitation or advertisement of neighbours without options.
pub const NEIGHBOUR_LEN: usize = 24;

/// Option types.
pub mod option {
    /// Link address of the sender.
    pub const SOURCE_LINK: u8 = 1;
    /// Link address of the target.
    pub const TARGET_LINK: u8 = 2;
    /// A prefix on the link.
    pub const PREFIX: u8 = 3;
    /// What a redirect is about.
    pub const REDIRECTED: u8 = 4;
    /// The link's MTU.
    pub const MTU: u8 = 5;
    /// What tells an own solicitation from another's (RFC 3971).
    pub const NONCE: u8 = 14;
    /// A route behind the router (RFC 4191).
    pub const ROUTE: u8 = 24;
    /// Name servers (RFC 8106).
    pub const RDNSS: u8 = 25;
    /// Search domains (RFC 8106).
    pub const DNSSL: u8 = 31;
}

/// One option: its type and what follows type and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionOf<'a> {
    /// Its type.
    pub kind: u8,
    /// Its octets from the third on: 6, 14, 22, …
    pub body: &'a [u8],
}

/// The options of a message. `Malformed`: one of length zero, or that goes beyond the message
/// (RFC 4861 §4.6: the packet is to be dropped).
pub fn options(mut octets: &[u8]) -> impl Iterator<Item = Result<OptionOf<'_>, WireError>> {
    core::iter::from_fn(move || match *octets {
        [] => None,
        [kind, eights, ..] if eights != 0 && usize::from(eights) * 8 <= octets.len() => {
            let (option, rest) = octets.split_at(usize::from(eights) * 8);
            octets = rest;
            Some(Ok(OptionOf { kind, body: &option[2..] }))
        }
        [..] => {
            octets = &[];
            Some(Err(WireError::Malformed))
        }
    })
}

/// The link address in an option of [`option::SOURCE_LINK`] or [`option::TARGET_LINK`] on Ethernet.
pub fn link_address(body: &[u8]) -> Option<MacAddr> {
    (body.len() == 6).then(|| mac(body, 0))
}

/// Writes a link address option.
pub fn emit_link(out: &mut [u8; 8], kind: u8, addr: MacAddr) {
    (out[0], out[1]) = (kind, 1);
    out[2..8].copy_from_slice(&addr.0);
}

/// A neighbour solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solicit {
    /// Whose link address is asked for.
    pub target: Ipv6Addr,
    /// The asker's own.
    pub source_link: Option<MacAddr>,
    /// Its nonce: the first six octets.
    pub nonce: Option<[u8; 6]>,
}

impl Solicit {
    /// Parses what follows the checksum.
    pub fn parse(b: &[u8]) -> Result<Solicit, WireError> {
        if b.len() < NEIGHBOUR_LEN - 4 {
            return Err(WireError::Truncated);
        }
        let mut message = Solicit { target: ip6(b, 4), source_link: None, nonce: None };
        for o in options(&b[NEIGHBOUR_LEN - 4..]) {
            let OptionOf { kind, body } = o?;
            match kind {
                option::SOURCE_LINK => message.source_link = link_address(body),
                option::NONCE => message.nonce = body.first_chunk().copied(),
                _ => {}
            }
        }
        Ok(message)
    }
}

/// A neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// The sender is a router.
    pub router: bool,
    /// It was asked.
    pub solicited: bool,
    /// What it says replaces what was known.
    pub replaces: bool,
    /// Whose link address it tells.
    pub target: Ipv6Addr,
    /// That address.
    pub target_link: Option<MacAddr>,
}

impl Advert {
    /// Parses what follows the checksum.
    pub fn parse(b: &[u8]) -> Result<Advert, WireError> {
        if b.len() < NEIGHBOUR_LEN - 4 {
            return Err(WireError::Truncated);
        }
        let flags = b[0];
        let mut message = Advert {
            router: flags & 0x80 != 0,
            solicited: flags & 0x40 != 0,
            replaces: flags & 0x20 != 0,
            target: ip6(b, 4),
            target_link: None,
        };
        for o in options(&b[NEIGHBOUR_LEN - 4..]) {
            let OptionOf { kind, body } = o?;
            if kind == option::TARGET_LINK {
                message.target_link = link_address(body);
            }
        }
        Ok(message)
    }

    /// The four octets of flags.
    pub fn flags(&self) -> u32 {
        u32::from(self.router) << 31 | u32::from(self.solicited) << 30 | u32::from(self.replaces) << 29
    }
}

/// A redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The better first hop: a router, or the destination itself.
    pub target: Ipv6Addr,
    /// What is to go by it.
    pub dst: Ipv6Addr,
    /// Link address of the target.
    pub target_link: Option<MacAddr>,
}

impl Redirect {
    /// Octets of the message without options.
    pub const LEN: usize = 40;

    /// Parses what follows the checksum.
    pub fn parse(b: &[u8]) -> Result<Redirect, WireError> {
        if b.len() < Redirect::LEN - 4 {
            return Err(WireError::Truncated);
        }
        let mut message = Redirect { target: ip6(b, 4), dst: ip6(b, 20), target_link: None };
        for o in options(&b[Redirect::LEN - 4..]) {
            let OptionOf { kind, body } = o?;
            if kind == option::TARGET_LINK {
                message.target_link = link_address(body);
            }
        }
        Ok(message)
    }
}

/// A prefix on the link (RFC 4861 §4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixInfo {
    /// The prefix; bits beyond its length mean nothing.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub len: u8,
    /// L: addresses of it are on the link.
    pub on_link: bool,
    /// A: hosts may make addresses of it.
    pub autonomous: bool,
    /// Seconds; all ones: for ever.
    pub valid: u32,
    /// Seconds for which addresses of it are to be preferred.
    pub preferred: u32,
}

impl PrefixInfo {
    /// Parses the option's body.
    pub fn parse(body: &[u8]) -> Result<PrefixInfo, WireError> {
        if body.len() != 30 {
            return Err(WireError::Malformed);
        }
        Ok(PrefixInfo {
            len: body[0],
            on_link: body[1] & 0x80 != 0,
            autonomous: body[1] & 0x40 != 0,
            valid: be32(body, 2),
            preferred: be32(body, 6),
            prefix: ip6(body, 14),
        })
    }

    /// Writes the option.
    pub fn emit(&self, out: &mut [u8; 32]) {
        (out[0], out[1], out[2]) = (option::PREFIX, 4, self.len);
        out[3] = u8::from(self.on_link) << 7 | u8::from(self.autonomous) << 6;
        out[4..8].copy_from_slice(&self.valid.to_be_bytes());
        out[8..12].copy_from_slice(&self.preferred.to_be_bytes());
        out[12..16].fill(0);
        out[16..32].copy_from_slice(&self.prefix.octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_quietly(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (Solicit::parse(&octets), Advert::parse(&octets), Redirect::parse(&octets));
            let all: usize = options(&octets).flatten().map(|o| o.body.len() + 2).sum();
            prop_assert!(all <= octets.len());
        }

        #[test]
        fn a_prefix_is_read_as_it_was_written(
            prefix: u128, len: u8, on_link: bool, autonomous: bool, valid: u32, preferred: u32,
        ) {
            let p = PrefixInfo { prefix: prefix.into(), len, on_link, autonomous, valid, preferred };
            let mut out = [0xff; 32];
            p.emit(&mut out);
            prop_assert_eq!(PrefixInfo::parse(&out[2..]), Ok(p));
        }
    }

    #[test]
    fn an_option_of_no_length_spoils_the_message() {
        let mut message = [0; 28];
        message[20..28].copy_from_slice(&[option::SOURCE_LINK, 0, 2, 0, 0, 0, 0, 1]);
        assert_eq!(Solicit::parse(&message), Err(WireError::Malformed));
        message[21] = 1;
        let known = Solicit::parse(&message).unwrap().source_link;
        assert_eq!(known, Some(MacAddr([2, 0, 0, 0, 0, 1])));
    }
}
