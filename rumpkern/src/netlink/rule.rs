//! RTM_GETRULE: the rules of a Linux that nobody has given any: `local`, `main`, `default`. Here they are all there can be.

use super::message::Payload;
use super::rtnl::{INET, INET6, Served};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};

/// RTM_NEWRULE
const NEWRULE: u16 = 32;
/// Priority and table.
const RULES: [(u32, u8); 3] = [(0, 255), (32_766, 254), (32_767, 253)];
/// IPv6 has no table `default`.
const RULES6: [(u32, u8); 2] = [(0, 255), (32_766, 254)];

/// RTM_GETRULE for all.
pub(super) fn dump(served: Served) -> Vec<Payload> {
    let of = |family, rules: &[(u32, u8)]| -> Vec<Payload> {
        rules.iter().map(|(priority, table)| payload(family, *priority, *table)).collect()
    };
    match served {
        Served::All => [of(INET, &RULES), of(INET6, &RULES6)].concat(),
        Served::V4 => of(INET, &RULES),
        Served::V6 => of(INET6, &RULES6),
        Served::Nothing => Vec::new(),
    }
}

fn payload(family: u8, priority: u32, table: u8) -> Payload {
    let mut message = RuleMessage::default();
    message.header =
        RuleHeader { family: family.into(), table, action: RuleAction::ToTable, ..RuleHeader::default() };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Table(table.into()));
    attributes.push(RuleAttribute::SuppressPrefixLen(u32::MAX));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::Kernel));
    if priority > 0 {
        attributes.push(RuleAttribute::Priority(priority));
    }
    Payload::new(NEWRULE, &message)
}
