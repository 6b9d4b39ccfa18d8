//! RTM_GETRULE: the rules of a Linux that nobody has given any: `local`, `main`, `default`. Here they are all there can be.

use super::message::Payload;
use super::rtnl::{INET, Served};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleHeader, RuleMessage};

/// RTM_NEWRULE
const NEWRULE: u16 = 32;
/// Priority and table.
const RULES: [(u32, u8); 3] = [(0, 255), (32_766, 254), (32_767, 253)];

/// RTM_GETRULE for all.
pub(super) fn dump(served: Served) -> Vec<Payload> {
    match served {
        Served::All | Served::V4 => RULES.map(|(priority, table)| payload(priority, table)).into(),
        Served::V6 | Served::Nothing => Vec::new(),
    }
}

fn payload(priority: u32, table: u8) -> Payload {
    let mut message = RuleMessage::default();
    message.header =
        RuleHeader { family: INET.into(), table, action: RuleAction::ToTable, ..RuleHeader::default() };
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Table(table.into()));
    attributes.push(RuleAttribute::SuppressPrefixLen(u32::MAX));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::Kernel));
    if priority > 0 {
        attributes.push(RuleAttribute::Priority(priority));
    }
    Payload::new(NEWRULE, &message)
}
