//! Octets on the wire: parse to typed headers, emit to octets. One file a protocol, each naming its RFC.

pub mod checksum;
pub mod tcp;
