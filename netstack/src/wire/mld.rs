//! MLD, which is a part of ICMPv6: RFC 2710 (version 1), RFC 3810 §5 (2). The common head and the
//! checksum are [`super::icmpv6`]'s.
//!
//! Not here: version 2's reports as routers read them.

use super::icmpv6::ty;
use super::{WireError, be16, be32, group_report};
use crate::net::multicast::report::Query;
use crate::net::multicast::{Record, Version};
use crate::time::Duration;
use std::net::{IpAddr, Ipv6Addr};

/// Octets of every message of version 1.
pub const LEN: usize = 24;
/// Octets of a query of version 2 without sources.
const QUERY_LEN: usize = 28;
/// Octets of a version 2 report's head.
pub const REPORT_LEN: usize = 8;
/// Octets of a record without sources.
pub const RECORD_LEN: usize = 20;
/// Octets of a source.
pub const SOURCE_LEN: usize = 16;

/// The hop-by-hop header in front of all messages: the router alert for MLD (RFC 2711 §2.1), padding.
pub const ROUTER_ALERT: [u8; 8] = [super::ipv4::protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];
/// Where version 2 reports (RFC 3810 §5.2.14).
pub const ALL_V2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A message, as a host reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A router asks.
    Query(Query),
    /// A host is in a group (version 1).
    Report(Ipv6Addr),
    /// What is none of a host's business: leaving, version 2's reports.
    Other,
}

impl Message {
    /// Parses a message whose checksum is right.
    pub fn parse(b: &[u8]) -> Result<Message, WireError> {
        match *b.first().ok_or(WireError::Truncated)? {
            ty::MLD_QUERY => parse_query(b).map(Message::Query),
            ty::MLD_REPORT => match group(b)? {
                Some(group) => Ok(Message::Report(group)),
                None => Err(WireError::Malformed),
            },
            _ => Ok(Message::Other),
        }
    }
}

/// The group of a message of version 1 or a query, none if it is unspecified.
fn group(b: &[u8]) -> Result<Option<Ipv6Addr>, WireError> {
    let octets: [u8; 16] = *b.get(8..).and_then(<[u8]>::first_chunk).ok_or(WireError::Truncated)?;
    match Ipv6Addr::from(octets) {
        group if group.is_unspecified() => Ok(None),
        group if group.is_multicast() => Ok(Some(group)),
        _ => Err(WireError::Malformed),
    }
}

/// RFC 3810 §8.1: the length tells the version.
fn parse_query(b: &[u8]) -> Result<Query, WireError> {
    let code = be32(b.get(..LEN).ok_or(WireError::Truncated)?, 4) >> 16;
    let mut query = Query {
        version: Version::V2,
        group: group(b)?.map(IpAddr::V6),
        sources: Vec::new(),
        max_response: Duration::from_millis(code.into()),
        robustness: None,
        interval: None,
    };
    match b.len() {
        LEN => Ok(query),
        QUERY_LEN.. => {
            query.version = Version::V3;
            query.max_response = Duration::from_millis(decode(code).into());
            query.robustness = Some(b[24] & 7).filter(|qrv| *qrv > 0);
            query.interval = Some(Duration::from_secs(super::igmp::decode(b[25]).into()));
            let sources = b.get(QUERY_LEN..QUERY_LEN + SOURCE_LEN * usize::from(be16(b, 26)));
            let sources = sources.ok_or(WireError::Truncated)?.chunks_exact(SOURCE_LEN);
            let addr = |octets: &[u8]| octets.first_chunk().map(|o: &[u8; 16]| IpAddr::from(*o));
            query.sources = sources.filter_map(addr).collect();
            if query.group.is_none() && !query.sources.is_empty() {
                return Err(WireError::Malformed);
            }
            Ok(query)
        }
        _ => Err(WireError::Malformed),
    }
}

/// RFC 3810 §5.1.3: from 32768 on, an exponent and a mantissa.
fn decode(code: u32) -> u32 {
    if code < 0x8000 { code } else { (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3) }
}

/// A message of version 1, without checksum.
pub fn emit(ty: u8, group: Ipv6Addr) -> Vec<u8> {
    [&[ty, 0, 0, 0, 0, 0, 0, 0][..], &group.octets()].concat()
}

/// A report of version 2, without checksum: RFC 3810 §5.2.
pub fn emit_report(records: &[Record]) -> Vec<u8> {
    group_report::emit(ty::MLD2_REPORT, records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_an_exponent_from_32768_on() {
        let codes = [0, 1, 0x7fff, 0x8000, 0x8001, 0x9000, 0xffff];
        assert_eq!(codes.map(decode), [0, 1, 32_767, 32_768, 32_776, 65_536, 8_387_584]);
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_quietly(mut b in prop::collection::vec(any::<u8>(), 0..80), query: bool) {
            if let Some(ty) = b.first_mut().filter(|_| query) {
                *ty = ty::MLD_QUERY;
            }
            if let Ok(Message::Query(q)) = Message::parse(&b) {
                prop_assert!(QUERY_LEN + q.sources.len() * SOURCE_LEN <= b.len().max(QUERY_LEN));
            }
        }
    }
}
