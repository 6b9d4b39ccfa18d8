//! IGMP: RFC 1112 appendix I (version 1), RFC 2236 (2), RFC 3376 §4 (3).
//!
//! Not here: version 3's reports as routers read them.

use super::checksum::checksum;
use super::{WireError, be16, group_report, ip4, ipv4_options};
use crate::net::multicast::report::Query;
use crate::net::multicast::{Record, Version};
use crate::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

/// Octets of every message of versions 1 and 2, and the least of version 3.
pub const LEN: usize = 8;
/// Octets of a query of version 3 without sources.
const QUERY_LEN: usize = 12;
/// Octets of a version 3 report's head.
pub const REPORT_LEN: usize = 8;
/// Octets of a record without sources.
pub const RECORD_LEN: usize = 8;
/// Octets of a source.
pub const SOURCE_LEN: usize = 4;

/// The option that makes routers look at what is not for them: RFC 2113.
pub const ROUTER_ALERT: [u8; 4] = [ipv4_options::kind::ROUTER_ALERT, 4, 0, 0];
/// Where leaving is told (RFC 2236 §9).
pub const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);
/// Where version 3 reports (RFC 3376 §4.2.14).
pub const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Types.
pub mod ty {
    /// Query of any version.
    pub const QUERY: u8 = 0x11;
    /// Report of version 1.
    pub const V1_REPORT: u8 = 0x12;
    /// Report of version 2.
    pub const V2_REPORT: u8 = 0x16;
    /// Leave.
    pub const LEAVE: u8 = 0x17;
    /// Report of version 3.
    pub const V3_REPORT: u8 = 0x22;
}

/// A message, as a host reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A router asks.
    Query(Query),
    /// A host is in a group (versions 1 and 2).
    Report(Ipv4Addr),
    /// What is none of a host's business: leaving, version 3's reports, types that we do not know.
    Other,
}

impl Message {
    /// Parses a message and checks its checksum.
    pub fn parse(b: &[u8]) -> Result<Message, WireError> {
        if b.len() < LEN {
            return Err(WireError::Truncated);
        }
        if checksum(b) != 0 {
            return Err(WireError::Checksum);
        }
        let group = ip4(b, 4);
        match b[0] {
            ty::QUERY => parse_query(b, group).map(Message::Query),
            ty::V1_REPORT | ty::V2_REPORT if group.is_multicast() => Ok(Message::Report(group)),
            ty::V1_REPORT | ty::V2_REPORT => Err(WireError::Malformed),
            _ => Ok(Message::Other),
        }
    }
}

/// RFC 3376 §7.1: the length and the second octet tell the version.
fn parse_query(b: &[u8], group: Ipv4Addr) -> Result<Query, WireError> {
    if !group.is_unspecified() && !group.is_multicast() {
        return Err(WireError::Malformed);
    }
    let mut query = Query {
        version: Version::V2,
        group: Some(IpAddr::V4(group)).filter(|_| !group.is_unspecified()),
        sources: Vec::new(),
        max_response: Duration::from_millis(u64::from(b[1]) * 100),
        robustness: None,
        interval: None,
    };
    match b.len() {
        // RFC 2236 §4: version 1 has no such field, and asks about all groups only.
        LEN if b[1] == 0 => Ok(Query { version: Version::V1, group: None, ..query }),
        LEN => Ok(query),
        QUERY_LEN.. => {
            query.version = Version::V3;
            query.max_response = Duration::from_millis(u64::from(decode(b[1])) * 100);
            query.robustness = Some(b[8] & 7).filter(|qrv| *qrv > 0);
            query.interval = Some(Duration::from_secs(decode(b[9]).into()));
            let sources = b.get(QUERY_LEN..QUERY_LEN + SOURCE_LEN * usize::from(be16(b, 10)));
            let sources = sources.ok_or(WireError::Truncated)?.chunks_exact(SOURCE_LEN);
            query.sources = sources.map(|source| IpAddr::V4(ip4(source, 0))).collect();
            if query.group.is_none() && !query.sources.is_empty() {
                return Err(WireError::Malformed);
            }
            Ok(query)
        }
        _ => Err(WireError::Malformed),
    }
}

/// RFC 3376 §4.1.1, §4.1.7: from 128 on, an exponent and a mantissa.
pub(super) fn decode(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 128 { code } else { (code & 0xf | 0x10) << ((code >> 4 & 7) + 3) }
}

/// A message of versions 1 and 2.
pub fn emit(ty: u8, group: Ipv4Addr) -> [u8; LEN] {
    let [a, b, c, d] = group.octets();
    let mut message = [ty, 0, 0, 0, a, b, c, d];
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// A report of version 3: RFC 3376 §4.2.
pub fn emit_report(records: &[Record]) -> Vec<u8> {
    let mut message = group_report::emit(ty::V3_REPORT, records);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_an_exponent_from_128_on() {
        let codes = [0, 1, 127, 128, 129, 0x8f, 0x90, 0xff];
        assert_eq!(codes.map(decode), [0, 1, 127, 128, 136, 248, 256, 31_744]);
    }

    #[test]
    fn the_version_is_told_by_length_and_time() {
        let query = |b: &[u8]| {
            let mut b = b.to_vec();
            let sum = checksum(&b);
            b[2..4].copy_from_slice(&sum.to_be_bytes());
            match Message::parse(&b) {
                Ok(Message::Query(q)) => Ok(q.version),
                Ok(other) => panic!("{other:?}"),
                Err(e) => Err(e),
            }
        };
        let v3 = [0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0, 9, 9];
        assert_eq!(query(&[0x11, 0, 0, 0, 0, 0, 0, 0]), Ok(Version::V1));
        assert_eq!(query(&v3[..8]), Ok(Version::V2));
        assert_eq!(query(&v3[..9]), Err(WireError::Malformed));
        assert_eq!(query(&v3[..11]), Err(WireError::Malformed));
        assert_eq!(query(&v3[..12]), Ok(Version::V3));
        // RFC 3376 §4.1.10: what follows counts for the checksum only.
        assert_eq!(query(&v3), Ok(Version::V3));
        assert_eq!(query(&[0x11, 1, 0, 0, 10, 0, 0, 1]), Err(WireError::Malformed));
    }

    proptest! {
        #[test]
        fn any_octets_parse_or_fail_quietly(mut b in prop::collection::vec(any::<u8>(), 0..64), query: bool) {
            if b.len() >= 4 {
                if query { b[0] = ty::QUERY; }
                b[2..4].fill(0);
                let sum = checksum(&b);
                b[2..4].copy_from_slice(&sum.to_be_bytes());
            }
            if let Ok(Message::Query(q)) = Message::parse(&b) {
                prop_assert!(QUERY_LEN + q.sources.len() * SOURCE_LEN <= b.len().max(QUERY_LEN));
            }
        }
    }
}
