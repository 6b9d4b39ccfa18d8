//! The protocol switch: which module speaks which IP protocol. A new protocol is one module and one row,
//! or a row in each family's table (BSD's `inetsw` and `inet6sw`).

use super::{IcmpError, IpRx, igmp, ip_icmp, udp, udplite};
use crate::net::mbuf::Mbuf;
use crate::netinet6::icmp6;
use crate::stack::Stack;
use crate::tcp::Arrived;
use crate::wire::ipv4::protocol;
use std::net::IpAddr;
use std::sync::Arc;

/// One protocol above IP.
#[derive(Clone, Copy)]
pub(crate) struct ProtoSw {
    /// Its number.
    pub(crate) number: u8,
    /// Whether its header begins with source and destination port.
    pub(crate) has_ports: bool,
    /// Takes a packet: the whole IP packet, with the octets of its IP header (IPv6: of all its headers).
    pub(crate) input: fn(&mut Stack, &IpRx, Mbuf, usize),
    /// Takes an ICMP error about a packet of ours: the quoted transport header, at least 8 octets.
    pub(crate) error: fn(&mut Stack, &IcmpError, &[u8]) -> Quote,
}

/// What a transport makes of the packet that an error quotes: RFC 5927 §4, §7. The path MTU is
/// learned of our own packets only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// A live socket may have sent it, or nobody can tell.
    Ours,
    /// Nobody here has it under way.
    Strange,
}

const UDPLITE: ProtoSw =
    ProtoSw { number: protocol::UDPLITE, has_ports: true, input: udplite::input, error: udplite::error };

/// Who speaks what over IPv4.
static INETSW: &[ProtoSw] = &[
    ProtoSw { number: protocol::ICMP, has_ports: false, input: ip_icmp::input, error: ip_icmp::error },
    ProtoSw { number: protocol::IGMP, has_ports: false, input: igmp::input, error: igmp::error },
    ProtoSw { number: protocol::TCP, has_ports: true, input: tcp_input, error: tcp_error },
    ProtoSw { number: protocol::UDP, has_ports: true, input: udp::input, error: udp::error },
    UDPLITE,
];

/// Who speaks what over IPv6.
static INET6SW: &[ProtoSw] = &[
    ProtoSw { number: protocol::TCP, has_ports: true, input: tcp_input, error: tcp_error },
    ProtoSw { number: protocol::UDP, has_ports: true, input: udp::input, error: udp::error },
    UDPLITE,
    ProtoSw { number: protocol::ICMPV6, has_ports: false, input: icmp6::input, error: icmp6::error },
];

/// The row of a protocol in the family of `addr`.
pub(crate) fn find(addr: IpAddr, number: u8) -> Option<&'static ProtoSw> {
    let table = if addr.is_ipv4() { INETSW } else { INET6SW };
    table.iter().find(|p| p.number == number)
}

/// Whether the first four octets are ports; also of protocols that only pass through.
pub(crate) fn has_ports(addr: IpAddr, number: u8) -> bool {
    find(addr, number).is_some_and(|p| p.has_ports)
}

/// Packets of this many octets are worth keeping where they lie: what comes as one and goes to a stream is
/// segments that nobody has parted.
const WORTH_KEEPING: usize = 8192;

fn tcp_input(stack: &mut Stack, rx: &IpRx, m: Mbuf, header_len: usize) {
    stack.pump_due = true;
    let offload = m.offload;
    if m.len() < WORTH_KEEPING {
        stack.tcp.input(&mut stack.ip, rx, Arrived::new(&m.data()[header_len..], offload));
        return stack.ip.free(m);
    }
    let (memory, start) = m.into_memory();
    let memory = Arc::new(memory);
    stack.tcp.input(&mut stack.ip, rx, Arrived::kept(&memory, start + header_len, offload));
}

fn tcp_error(stack: &mut Stack, error: &IcmpError, quoted: &[u8]) -> Quote {
    stack.pump_due = true;
    match stack.tcp.icmp_error(&mut stack.ip, error, quoted) {
        true => Quote::Ours,
        false => Quote::Strange,
    }
}
