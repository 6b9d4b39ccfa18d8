//! Reports of groups and their sources, which IGMPv3 and MLDv2 lay out alike: RFC 3376 §4.2, RFC 3810 §5.2.

use crate::net::multicast::Record;
use std::net::IpAddr;

/// A report of type `ty`, without checksum.
pub(super) fn emit(ty: u8, records: &[Record]) -> Vec<u8> {
    let mut message = vec![ty, 0, 0, 0, 0, 0];
    message.extend((records.len() as u16).to_be_bytes());
    for record in records {
        message.extend([record.kind as u8, 0]);
        message.extend((record.sources.len() as u16).to_be_bytes());
        for addr in core::iter::once(&record.group).chain(&record.sources) {
            match addr {
                IpAddr::V4(addr) => message.extend(addr.octets()),
                IpAddr::V6(addr) => message.extend(addr.octets()),
            }
        }
    }
    message
}
