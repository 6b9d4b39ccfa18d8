//! IPv6 of an interface: where its addresses come from, how they are tried and made, what it advertises.
//!
//! An interface speaks IPv6 once anything in the file gives it some: an address, a `subnet6` of its bus, `slaac` or
//! `ra`. Any other sends no IPv6 frame at all. What is advertised is in [`super::ra`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::addr::Cidr;
use super::diag::{Code, Diag, Span, nearest};
use super::draft::{Draft, Interface};
use super::ra::{self, Ra};
use super::read::{Cx, OneOrMany, Read, Sp, Value, words};

words! {
    /// What becomes of an address before it is used (RFC 4862 §5.4).
    Dad {
        /// It is used at once; nobody is asked.
        Off = "off",
        /// It is used when nobody has answered for a second.
        On = "on",
        /// It is used at once, with care, while others are asked (RFC 4429).
        Optimistic = "optimistic",
    }
}

words! {
    /// How an address gets the part that its prefix does not say.
    Privacy {
        /// From the MAC address (RFC 4291, appendix A).
        Eui64 = "eui64",
        /// From the prefix and a secret: the same on the same link, and nothing of the MAC address in it (RFC 7217).
        Stable = "stable",
        /// As `stable`, and besides it addresses that change, from which connections are made (RFC 8981).
        Temporary = "temporary",
    }
}

/// The word for addresses from advertised prefixes.
const SLAAC: &str = "slaac";

/// An address of an interface, or where one comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfAddr {
    /// This one.
    Cidr(Cidr),
    /// Those by the prefixes that routers advertise (RFC 4862).
    Slaac,
}

impl Read for IfAddr {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        if let DeValue::String(text) = value.get_ref() {
            if text == SLAAC {
                return Some(Self::Slaac);
            }
            if nearest(text, &[SLAAC]).is_some() {
                let diag = Diag::new(Code::BadAddress, value.span(), format!("\"{text}\" is not an address"));
                cx.push(diag.hint(format!("did you mean \"{SLAAC}\"?")));
                return None;
            }
        }
        Cidr::read(value, cx).map(Self::Cidr)
    }
}

impl JsonSchema for IfAddr {
    fn schema_name() -> Cow<'static, str> {
        "interface-address-or-slaac".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An address with the length of its prefix: `10.0.0.1/24`, `fd00::1/64`; \
                or `slaac`: those by the prefixes that routers advertise.",
        })
    }
}

/// What was typed of an interface's addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    /// Written ones; `None`: the bus's subnets hand them out.
    pub(super) ip: Option<Vec<Sp<Cidr>>>,
    /// Where `slaac` stands.
    pub(super) slaac: Option<Span>,
}

impl Typed {
    /// Both keys together. `slaac` alone takes the place of what an IPv6 subnet would hand out; an address that is written,
    /// or an empty list, that of everything.
    pub(super) fn new(lists: [Option<Sp<OneOrMany<IfAddr>>>; 2]) -> Self {
        let mut typed = Self::default();
        for OneOrMany(list) in lists.into_iter().flatten().map(|list| list.value) {
            if list.is_empty() {
                typed.ip.get_or_insert_default();
            }
            for one in list {
                match one.value {
                    IfAddr::Cidr(value) => {
                        typed.ip.get_or_insert_default().push(Sp { value, span: one.span })
                    }
                    IfAddr::Slaac => typed.slaac = Some(one.span),
                }
            }
        }
        typed
    }
}

/// IPv6 of an interface that speaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipv6 {
    /// Whether it takes addresses and default routes from advertisements.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slaac: bool,
    /// What becomes of its addresses before they are used.
    pub dad: Dad,
    /// How it makes addresses.
    pub privacy: Privacy,
    /// What it advertises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ra: Option<Ra>,
}

impl Ipv6 {
    /// What becomes of addresses before they are used, if the file does not say.
    pub const DAD_DEFAULT: Dad = Dad::Optimistic;
    /// How addresses are made, if the file does not say.
    pub const PRIVACY_DEFAULT: Privacy = Privacy::Stable;
}

/// Says for each interface whether it speaks IPv6, and how; notes what cannot be and what does nothing.
pub(super) fn ipv6(draft: &mut Draft, cx: &mut Cx) {
    for port in draft.ports() {
        let node = &draft.nodes[port.0];
        let interface = draft.interface(port);
        if let (false, Some(ra)) = (node.forward(), &interface.ra) {
            let message = format!("{} is a host's: only routers advertise", draft.port(port));
            let diag = Diag::new(Code::WrongRole, ra.span.clone(), message);
            cx.push(diag.other(node.span.clone(), "this node does not forward").hint("add `forward = true`"));
        }
        if let (true, Some(slaac)) = (node.forward(), &interface.slaac) {
            let message = format!("{} is a router's: only hosts take what is advertised", draft.port(port));
            let diag = Diag::new(Code::WrongRole, slaac.clone(), message);
            cx.push(
                diag.other(node.span.clone(), "this node forwards")
                    .hint("write its addresses, or leave them out"),
            );
        }
        idle(draft, port, cx);
        let made = speaks(draft, interface).then(|| Ipv6 {
            slaac: interface.slaac.is_some(),
            dad: interface.dad.as_ref().map_or(Ipv6::DAD_DEFAULT, |dad| dad.value),
            privacy: interface.privacy.as_ref().map_or(Ipv6::PRIVACY_DEFAULT, |privacy| privacy.value),
            ra: interface.ra.as_ref().map(|typed| ra::ra(typed, draft, interface, cx)),
        });
        draft.nodes[port.0].interfaces[port.1].ipv6 = made;
    }
    unadvertised(draft, cx);
}

/// Whether anything in the file gives the interface IPv6.
fn speaks(draft: &Draft, interface: &Interface) -> bool {
    let six = |net: &Sp<ipnet::IpNet>| net.addr().is_ipv6();
    interface.slaac.is_some()
        || interface.ra.is_some()
        || interface.addrs.iter().any(six)
        || draft.buses[interface.bus].subnets.iter().any(six)
}

/// Notes keys that do nothing.
fn idle(draft: &Draft, port: (usize, usize), cx: &mut Cx) {
    let interface = draft.interface(port);
    let keys = [
        ("dad", interface.dad.as_ref().map(|dad| &dad.span)),
        ("privacy", interface.privacy.as_ref().map(|privacy| &privacy.span)),
    ];
    if !speaks(draft, interface) {
        for (key, span) in keys.into_iter().filter_map(|(key, span)| Some((key, span?))) {
            let message = format!("{} speaks no IPv6: \"{key}\" does nothing", draft.port(port));
            let diag = Diag::new(Code::NoEffect, span.clone(), message);
            cx.push(diag.hint("give its bus a `subnet6`, or itself an address"));
        }
    } else if let (Some(privacy), None) = (&interface.privacy, &interface.slaac)
        && privacy.value == Privacy::Temporary
    {
        let message =
            format!("{} takes no advertised prefix to make temporary addresses of", draft.port(port));
        let diag = Diag::new(Code::NoEffect, privacy.span.clone(), message);
        cx.push(diag.hint(format!("add `address = \"{SLAAC}\"`")));
    }
}

/// Notes interfaces that wait for advertisements where nobody sends them.
fn unadvertised(draft: &Draft, cx: &mut Cx) {
    for (name, bus) in &draft.buses {
        let ports = || bus.members.iter().map(|port| (*port, draft.interface(*port)));
        let advertised = ports()
            .any(|(_, one)| one.ipv6.as_ref().and_then(|six| six.ra.as_ref()).is_some_and(Ra::is_autonomous));
        if advertised || cx.has_errors() {
            continue;
        }
        for (port, slaac) in ports().filter_map(|(port, one)| Some((port, one.slaac.as_ref()?))) {
            let message =
                format!("nobody on bus \"{name}\" advertises a prefix: {} waits for one", draft.port(port));
            let diag = Diag::new(Code::NoAdvertiser, slaac.clone(), message);
            cx.push(diag.hint("add `ra = {}` to the interface of a router there"));
        }
    }
}
