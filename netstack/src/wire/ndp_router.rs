//! What routers say of a link: router advertisements (RFC 4861 §4.2) and their options: prefixes are in
//! [`super::ndp`]; the MTU (§4.6.4), routes and preferences (RFC 4191), name servers and search domains
//! (RFC 8106).

use super::ndp::{self, OptionOf, option};
use super::{WireError, be16, be32, ip6};
use std::net::Ipv6Addr;

/// Lifetimes of this many seconds never end.
pub const FOR_EVER: u32 = u32::MAX;
/// Octets of a router solicitation without options.
pub const SOLICIT_LEN: usize = 8;

/// Which of several routers hosts take (RFC 4191 §2.1). The greatest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preference {
    /// After others.
    Low,
    /// As others.
    #[default]
    Medium,
    /// Before others.
    High,
}

impl Preference {
    /// Of the two bits 3 and 4 of an octet of flags; `None`: the reserved value.
    pub fn of_flags(flags: u8) -> Option<Preference> {
        match flags >> 3 & 3 {
            0 => Some(Preference::Medium),
            1 => Some(Preference::High),
            3 => Some(Preference::Low),
            _ => None,
        }
    }

    /// These bits.
    pub fn flags(self) -> u8 {
        match self {
            Preference::Medium => 0,
            Preference::High => 1 << 3,
            Preference::Low => 3 << 3,
        }
    }
}

/// A router advertisement without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterAdvert {
    /// Hop limit for what is sent on the link; 0: nothing is said of it.
    pub hop_limit: u8,
    /// M: addresses are to be had by DHCPv6.
    pub managed: bool,
    /// O: other configuration is to be had by DHCPv6.
    pub other: bool,
    /// Which of several default routers hosts take.
    pub preference: Preference,
    /// Seconds for which the sender is a default router; 0: it is none.
    pub lifetime: u16,
    /// Milliseconds for which a neighbour counts as reachable; 0: nothing is said of it.
    pub reachable_ms: u32,
    /// Milliseconds between solicitations; 0: nothing is said of it.
    pub retrans_ms: u32,
}

impl RouterAdvert {
    /// Octets of the message without options.
    pub const LEN: usize = 16;

    /// Parses what follows the checksum; all options are well-formed if it succeeds.
    pub fn parse(b: &[u8]) -> Result<RouterAdvert, WireError> {
        if b.len() < RouterAdvert::LEN - 4 {
            return Err(WireError::Truncated);
        }
        for o in ndp::options(&b[RouterAdvert::LEN - 4..]) {
            o?;
        }
        Ok(RouterAdvert {
            hop_limit: b[0],
            managed: b[1] & 0x80 != 0,
            other: b[1] & 0x40 != 0,
            // RFC 4191 §2.2: the reserved value is read as medium.
            preference: Preference::of_flags(b[1]).unwrap_or_default(),
            lifetime: be16(b, 2),
            reachable_ms: be32(b, 4),
            retrans_ms: be32(b, 8),
        })
    }

    /// Its options, in the octets from which it was parsed.
    pub fn options(b: &[u8]) -> impl Iterator<Item = OptionOf<'_>> {
        ndp::options(b.get(RouterAdvert::LEN - 4..).unwrap_or_default()).flatten()
    }

    /// The four octets behind the checksum.
    pub fn rest(&self) -> u32 {
        let flags = u8::from(self.managed) << 7 | u8::from(self.other) << 6 | self.preference.flags();
        u32::from_be_bytes([self.hop_limit, flags, 0, 0]) | u32::from(self.lifetime)
    }

    /// Writes the eight octets behind these.
    pub fn emit_times(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&self.reachable_ms.to_be_bytes());
        out[4..8].copy_from_slice(&self.retrans_ms.to_be_bytes());
    }
}

/// A route behind the router (RFC 4191 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The destinations; bits beyond the length mean nothing.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub len: u8,
    /// Which of several routers hosts take.
    pub preference: Preference,
    /// Seconds; all ones: for ever.
    pub lifetime: u32,
}

impl RouteInfo {
    /// Parses the option's body. A reserved preference makes it void (RFC 4191 §2.3).
    pub fn parse(body: &[u8]) -> Result<RouteInfo, WireError> {
        let len = *body.first().ok_or(WireError::Truncated)?;
        let octets = match (body.len(), len) {
            (22, ..=128) => 16,
            (14, ..=64) => 8,
            (6, 0) => 0,
            (_, _) => return Err(WireError::Malformed),
        };
        let mut prefix = [0; 16];
        prefix[..octets].copy_from_slice(&body[6..6 + octets]);
        let preference = Preference::of_flags(body[1]).ok_or(WireError::Malformed)?;
        Ok(RouteInfo { prefix: prefix.into(), len, preference, lifetime: be32(body, 2) })
    }

    /// Appends the option.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let octets = match self.len {
            0 => 0,
            1..=64 => 8,
            _ => 16,
        };
        out.extend([option::ROUTE, 1 + octets as u8 / 8, self.len, self.preference.flags()]);
        out.extend(self.lifetime.to_be_bytes());
        out.extend(&self.prefix.octets()[..octets]);
    }
}

/// The link's MTU, of the option's body.
pub fn mtu(body: &[u8]) -> Result<u32, WireError> {
    if body.len() == 6 { Ok(be32(body, 2)) } else { Err(WireError::Malformed) }
}

/// Appends the option of the link's MTU.
pub fn emit_mtu(mtu: u32, out: &mut Vec<u8>) {
    out.extend([option::MTU, 1, 0, 0]);
    out.extend(mtu.to_be_bytes());
}

/// Name servers, and seconds for which they may be asked, of the option's body.
pub fn rdnss(body: &[u8]) -> Result<(u32, Vec<Ipv6Addr>), WireError> {
    if body.len() < 22 || !(body.len() - 6).is_multiple_of(16) {
        return Err(WireError::Malformed);
    }
    Ok((be32(body, 2), (6..body.len()).step_by(16).map(|at| ip6(body, at)).collect()))
}

/// Appends the option of name servers, of which there are at most 127.
pub fn emit_rdnss(lifetime: u32, servers: &[Ipv6Addr], out: &mut Vec<u8>) {
    out.extend([option::RDNSS, 1 + 2 * servers.len() as u8, 0, 0]);
    out.extend(lifetime.to_be_bytes());
    servers.iter().for_each(|s| out.extend(s.octets()));
}

/// Octets of the longest name on the wire (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;

/// Search domains, and seconds for which they may be used, of the option's body. Names are in the form
/// of RFC 1035 §3.1 without compression; one with other characters than letters, digits, hyphens and
/// underscores is left out, for it will be written into files.
pub fn dnssl(body: &[u8]) -> Result<(u32, Vec<String>), WireError> {
    if body.len() < 14 {
        return Err(WireError::Malformed);
    }
    let (mut names, mut rest) = (Vec::new(), &body[6..]);
    // Padding is of zeros: empty names.
    while rest.iter().any(|&b| b != 0) {
        let (mut name, mut octets, mut plain) = (String::new(), 0, true);
        loop {
            let (&len, behind) = rest.split_first().ok_or(WireError::Malformed)?;
            octets += 1 + usize::from(len);
            if len == 0 {
                rest = behind;
                break;
            }
            if len > 63 || usize::from(len) > behind.len() || octets > LONGEST_NAME {
                return Err(WireError::Malformed);
            }
            let (label, behind) = behind.split_at(usize::from(len));
            plain &= label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
            if !name.is_empty() {
                name.push('.');
            }
            name.extend(label.iter().map(|&b| char::from(b)));
            rest = behind;
        }
        if plain && !name.is_empty() {
            names.push(name);
        }
    }
    Ok((be32(body, 2), names))
}

/// Appends the option of search domains; `false`, and nothing is appended, if one is no name.
pub fn emit_dnssl(lifetime: u32, names: &[String], out: &mut Vec<u8>) -> bool {
    let mut octets = Vec::new();
    for name in names {
        let name = name.strip_suffix('.').unwrap_or(name);
        let fits = |l: &str| (1..=63).contains(&l.len());
        if name.len() + 2 > LONGEST_NAME || !name.is_ascii() || !name.split('.').all(fits) {
            return false;
        }
        for label in name.split('.') {
            octets.push(label.len() as u8);
            octets.extend(label.as_bytes());
        }
        octets.push(0);
    }
    octets.resize(octets.len().next_multiple_of(8), 0);
    let Ok(eights) = u8::try_from(1 + octets.len() / 8) else { return false };
    out.extend([option::DNSSL, eights, 0, 0]);
    out.extend(lifetime.to_be_bytes());
    out.extend(octets);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn preference() -> impl Strategy<Value = Preference> {
        prop::sample::select(vec![Preference::Low, Preference::Medium, Preference::High])
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_quietly(octets in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (RouterAdvert::parse(&octets), RouterAdvert::options(&octets).count());
            let _ = (RouteInfo::parse(&octets), mtu(&octets), rdnss(&octets), dnssl(&octets));
        }

        #[test]
        fn an_advertisement_is_read_as_it_was_written(
            (hop_limit, managed, other, lifetime) in any::<(u8, bool, bool, u16)>(),
            (reachable_ms, retrans_ms) in any::<(u32, u32)>(), preference in preference(),
        ) {
            let ra = RouterAdvert { hop_limit, managed, other, preference, lifetime, reachable_ms, retrans_ms };
            let mut out = [0; 12];
            out[..4].copy_from_slice(&ra.rest().to_be_bytes());
            ra.emit_times(&mut out[4..]);
            prop_assert_eq!(RouterAdvert::parse(&out), Ok(ra));
        }

        #[test]
        fn a_route_is_read_as_it_was_written(
            bits: u128, len in 0u8..=128, lifetime: u32, preference in preference(),
        ) {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            let route = RouteInfo { prefix: (bits & mask).into(), len, preference, lifetime };
            let mut out = Vec::new();
            route.emit(&mut out);
            prop_assert_eq!(usize::from(out[1]) * 8, out.len());
            prop_assert_eq!(RouteInfo::parse(&out[2..]), Ok(route));
        }

        #[test]
        fn servers_are_read_as_they_were_written(
            lifetime: u32, servers in prop::collection::vec(any::<u128>(), 1..5),
        ) {
            let servers: Vec<Ipv6Addr> = servers.into_iter().map(Ipv6Addr::from).collect();
            let mut out = Vec::new();
            emit_rdnss(lifetime, &servers, &mut out);
            prop_assert_eq!(usize::from(out[1]) * 8, out.len());
            prop_assert_eq!(rdnss(&out[2..]), Ok((lifetime, servers)));
        }
    }

    #[test]
    fn domains_are_read_as_they_were_written() {
        let names = ["example.com".to_owned(), "lab".to_owned()];
        let mut out = Vec::new();
        assert!(emit_dnssl(7, &names, &mut out));
        assert_eq!((out.len() % 8, usize::from(out[1]) * 8), (0, out.len()));
        assert_eq!(dnssl(&out[2..]), Ok((7, names.to_vec())));
        for bad in ["", "a..b", &"a".repeat(64)] {
            assert!(!emit_dnssl(7, &[bad.to_owned()], &mut Vec::new()), "{bad:?}");
        }
        // A line break would end a line of a file.
        let evil = [0, 0, 0, 0, 0, 7, 3, b'a', b'\n', b'b', 0, 1, b'c', 0];
        assert_eq!(dnssl(&evil), Ok((7, vec!["c".to_owned()])));
        let long = [0, 0, 0, 0, 0, 7, 9, b'a', b'b', b'c', b'd', b'e', b'f', b'g'];
        assert_eq!(dnssl(&long), Err(WireError::Malformed));
    }

    #[test]
    fn lengths_of_routes_fit_their_prefixes() {
        let mut body = [0; 22];
        for (octets, len, good) in
            [(6, 0, true), (6, 1, false), (14, 64, true), (14, 65, false), (22, 128, true), (22, 129, false)]
        {
            body[0] = len;
            assert_eq!(RouteInfo::parse(&body[..octets]).is_ok(), good, "{len} bits in {octets} octets");
        }
        body[1] = 2 << 3;
        assert_eq!(RouteInfo::parse(&body), Err(WireError::Malformed), "the reserved preference");
    }
}
