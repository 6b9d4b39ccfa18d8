//! What a host and router does with IPv4 options: RFC 1122 §3.2.1.8, 1812 §5.2.4, 7126.
//! Source routes are not followed (RFC 6274 §3.13.2.3; Linux's `accept_source_route` = 0).

use super::ip::Ip;
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::stack::stats::Drop;
use crate::wire::ipv4::{self, Header};
use crate::wire::ipv4_options::{self as wire, kind};
use std::net::Ipv4Addr;

/// What the options mean for their packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Go,
    /// Not accepted.
    Drop(Drop),
    /// Malformed; the sender is told which octet of the header.
    Problem(Drop, u8),
}

/// Looks at the options of `m` before anybody knows where it goes.
pub(crate) fn check(h: &Header, m: &Mbuf) -> Verdict {
    let options = &m.data()[ipv4::HEADER_LEN..h.header_len];
    match wire::check(options) {
        Err(bad) => Verdict::Problem(Drop::IpOptionMalformed, (ipv4::HEADER_LEN + bad.at) as u8),
        Ok(()) if wire::iter(options).flatten().any(|o| matches!(o.kind, kind::LSRR | kind::SSRR)) => {
            Verdict::Drop(Drop::IpSourceRoute)
        }
        Ok(()) => Verdict::Go,
    }
}

/// Records in `m` what its options ask a host to record where it has arrived: the address to which
/// it came.
pub(crate) fn record_arrival(ip: &Ip, ifindex: IfIndex, h: &Header, m: &mut Mbuf) {
    let addr = match ip.is_local4(h.dst) {
        true => Some(h.dst),
        false => ip.ifs.get(ifindex).and_then(|i| i.source_for(h.src)),
    };
    if let Some(addr) = addr {
        record(ip, h, addr, m);
    }
}

/// Records in `m`, which has been checked, what its options ask to record: `addr` and the time.
pub(crate) fn record(ip: &Ip, h: &Header, addr: Ipv4Addr, m: &mut Mbuf) {
    let packet = m.data_mut();
    if record_in(ip, addr, &mut packet[ipv4::HEADER_LEN..h.header_len]) {
        ipv4::refresh_checksum(packet, h.header_len);
    }
}

/// The same in options that are on their way into a packet; whether there was something to record.
pub(crate) fn record_in(ip: &Ip, addr: Ipv4Addr, options: &mut [u8]) -> bool {
    wire::record(options, addr, ip.time_of_day(), |a| ip.is_local4(a))
}
