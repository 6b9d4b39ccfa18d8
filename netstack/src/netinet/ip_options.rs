//! What a host and router does with IPv4 options: RFC 1122 §3.2.1.8, 1812 §5.2.4, 7126.
//! Source routes are not followed (RFC 6274 §3.13.2.3; Linux's `accept_source_route` = 0).

use super::ip::Ip;
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::stack::stats::Drop;
use crate::wire::ipv4::{self, Header};
use crate::wire::ipv4_options::{self as wire, BadOption, kind};
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

/// Looks at the options of `m`, and records what they ask to record. `ours`: the packet is for us.
pub(crate) fn input(ip: &mut Ip, ifindex: IfIndex, h: &Header, ours: bool, m: &mut Mbuf) -> Verdict {
    // The address recorded is that by which the packet leaves; for ours, that to which it came.
    let addr = match ours {
        true if ip.is_local4(h.dst) => Some(h.dst),
        true => ip.ifs.get(ifindex).and_then(|i| i.source_for(h.src)),
        false => ip.way4(h.dst, None, 0).ok().and_then(|w| w.src),
    };
    let Some(addr) = addr else { return Verdict::Go };
    match record(ip, h, addr, m) {
        Ok(Some(why)) => Verdict::Drop(why),
        Ok(None) => Verdict::Go,
        Err(bad) => Verdict::Problem(Drop::IpOptionMalformed, (ipv4::HEADER_LEN + bad.at) as u8),
    }
}

fn record(ip: &Ip, h: &Header, addr: Ipv4Addr, m: &mut Mbuf) -> Result<Option<Drop>, BadOption> {
    let mut options = [0; ipv4::MAX_HEADER_LEN - ipv4::HEADER_LEN];
    let options = &mut options[..h.header_len - ipv4::HEADER_LEN];
    options.copy_from_slice(&m.data()[ipv4::HEADER_LEN..h.header_len]);
    let mut changed = [0; ipv4::MAX_HEADER_LEN - ipv4::HEADER_LEN];
    let changed = &mut changed[..options.len()];
    changed.copy_from_slice(options);
    for opt in wire::iter(options) {
        let opt = opt?;
        let octets = &mut changed[opt.at..opt.at + opt.len];
        let at = |bad: BadOption| BadOption { at: opt.at + bad.at };
        match opt.kind {
            kind::LSRR | kind::SSRR => return Ok(Some(Drop::IpSourceRoute)),
            kind::RECORD_ROUTE => {
                wire::record_route(octets, addr).map_err(at)?;
            }
            kind::TIMESTAMP => {
                wire::record_timestamp(octets, addr, ip.time_of_day(), |a| ip.is_local4(a)).map_err(at)?;
            }
            // Router alert, and what we do not know: RFC 1122 §3.2.1.8, passed on unchanged.
            _ => {}
        }
    }
    if changed != options {
        m.data_mut()[ipv4::HEADER_LEN..h.header_len].copy_from_slice(changed);
        ipv4::refresh_checksum(m.data_mut(), h.header_len);
    }
    Ok(None)
}
