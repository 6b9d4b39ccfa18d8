//! What a node does about options of hop-by-hop and destination options headers, and about routing
//! headers: RFC 8200 §4.2, §4.4, RFC 5095 (type 0 is dead), RFC 2711.

use crate::stack::stats::Drop;
use crate::wire::icmpv6::parameter;
use crate::wire::ipv6_ext::{self, option};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Go,
    /// It goes nowhere, in silence.
    Drop(Drop),
    /// It goes nowhere, and its sender hears of it.
    Problem {
        why: Drop,
        code: u8,
        /// Octets from the beginning of the header.
        pointer: usize,
        /// Also if it was sent to a group.
        also_of_groups: bool,
    },
}

/// Looks at the options of one header.
pub(super) fn options(header: &[u8]) -> Verdict {
    for found in ipv6_ext::options(header) {
        let Ok(o) = found else { return Verdict::Drop(Drop::Ip6OptionMalformed) };
        let problem = |also_of_groups| Verdict::Problem {
            why: Drop::Ip6OptionUnknown,
            code: parameter::OPTION,
            pointer: o.at,
            also_of_groups,
        };
        match o.kind {
            option::ROUTER_ALERT if o.data.len() == 2 => {}
            option::ROUTER_ALERT => return Verdict::Drop(Drop::Ip6OptionMalformed),
            // RFC 8200 §4.2: the two highest bits say what is to be done about an unknown one.
            kind => match kind >> 6 {
                0 => {}
                1 => return Verdict::Drop(Drop::Ip6OptionUnknown),
                2 => return problem(true),
                _ => return problem(false),
            },
        }
    }
    Verdict::Go
}

/// Looks at a routing header. Nobody is routed by us: one with nothing left to visit is ignored.
pub(super) fn routing(header: &[u8]) -> Verdict {
    match header {
        [_, _, _, 0, ..] => Verdict::Go,
        _ => Verdict::Problem {
            why: Drop::Ip6RoutingHeader,
            code: parameter::HEADER_FIELD,
            pointer: 2,
            also_of_groups: false,
        },
    }
}
