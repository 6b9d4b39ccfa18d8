//! UDP-Lite: RFC 3828, RFC 4019's counters. UDP whose checksum may leave out what comes last in a datagram, which then arrives
//! also with errors. Ports, queues and options are [`super::udp`]'s; its ports are not UDP's.
//!
//! As Linux (udplite(7)): UDPLITE_SEND_CSCOV and UDPLITE_RECV_CSCOV; a socket that never said what it wants takes any coverage.

use super::protosw::Quote;
use super::udp::{self, Arrived, Fate};
use super::{IcmpError, IpRx, IpTx};
use crate::net::mbuf::Mbuf;
use crate::socket::sockopt::Options;
use crate::socket::table::Kind;
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::checksum::Sum;
use crate::wire::ipv4::protocol;
use crate::wire::udplite::{HEADER_LEN, Header};

/// A datagram for us; see [`super::protosw::ProtoSw::input`].
pub(crate) fn input(stack: &mut Stack, rx: &IpRx, m: Mbuf, header_len: usize) {
    let datagram = &m.data()[header_len..];
    let header = match Header::parse(datagram) {
        Ok(h) if h.dst != 0 => h,
        Ok(_) | Err(_) => {
            stack.udp_count(Kind::UdpLite, rx.src, Fate::Wrong);
            return stack.ip.discard(Drop::UdpLiteMalformed, m);
        }
    };
    let covered = header.covered(datagram);
    let partly = covered.len() < datagram.len();
    // RFC 3828 §3.1: the pseudo-header has the length that IP tells; and there always is a checksum.
    let sum = Sum::pseudo_header(rx.src, rx.dst, protocol::UDPLITE, datagram.len());
    if header.checksum == 0 || !sum.add(covered).is_valid() {
        stack.udp_count(Kind::UdpLite, rx.src, Fate::Wrong);
        return stack.ip.discard(Drop::UdpLiteChecksum, m);
    }
    let arrived = Arrived {
        kind: Kind::UdpLite,
        ports: (header.src, header.dst),
        covered: partly.then_some(header.coverage),
        at: header_len + HEADER_LEN,
    };
    stack.udp_arrived(&arrived, rx, m);
}

/// An ICMP error about a datagram of ours; see [`super::protosw::ProtoSw::error`].
pub(crate) fn error(stack: &mut Stack, error: &IcmpError, quoted: &[u8]) -> Quote {
    udp::error_of(stack, Kind::UdpLite, error, quoted)
}

/// Whether a socket takes what is covered so; `None`: wholly.
pub(super) fn is_covered(opts: &Options, covered: Option<u16>) -> bool {
    match (covered, opts.recv_coverage) {
        (None, _) | (_, None) => true,
        (Some(_), Some(0)) => false,
        (Some(octets), Some(least)) => octets >= least,
    }
}

/// Puts the header before data; `coverage` as UDPLITE_SEND_CSCOV has it.
pub(super) fn prepend_header(m: &mut Mbuf, (src, dst): (u16, u16), tx: &IpTx, coverage: Option<u16>) {
    let len = HEADER_LEN + m.len();
    let all = len as u16;
    // What covers more than there is covers all.
    let coverage = coverage.filter(|octets| *octets < all).unwrap_or(all);
    let header = Header { src, dst, coverage, checksum: 0 };
    header.emit(m.prepend(HEADER_LEN));
    let sum =
        Sum::pseudo_header(tx.src, tx.dst, protocol::UDPLITE, len).add(header.covered(m.data())).finish();
    m.data_mut()[6..8].copy_from_slice(&udp::never_zero(sum).to_be_bytes());
}
