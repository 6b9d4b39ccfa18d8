//! IPv6, and what stands directly on it. Transports, sockets, routes, neighbours and reassembly are
//! shared with IPv4.
//!
//! | file | what | RFC |
//! |---|---|---|
//! | [`in6_ifaddr`] | what IPv6 knows of an interface: whether it speaks it, its addresses and their states | 4862, 7217 |
//! | `dad` | duplicate address detection | 4862 §5.4, 4429, 7527 |
//! | `ip6` | where to: the way to a destination | 8200, 4861 §5.2 |
//! | `in6_src` | from where: source address selection | 6724 |
//! | `ip6_input`, `ip6_exthdr`, `frag6` | what comes in, its extension headers and fragments | 8200, 5095, 5722, 6946, 7112 |
//! | `ip6_output`, `ip6_forward` | what goes out, and what passes through | 8200, 6437 |
//! | `icmp6` | errors and echo | 4443, 8201 |
//! | `raw_ip6` | raw sockets | 3542 |
//! | `mld6` | who is in which group, for routers | 2710, 3810, 3590 |
//! | `nd6` | neighbour discovery: who has which link address | 4861 §7 |
//! | [`nd6_rtr`], `resolvers` | what routers tell of a link, and which of them is taken | 4861 §6.3, 4191, 8106 |
//! | `slaac` | addresses made of what they tell | 4862 §5.5, 8981 |
//! | `nd6_redirect` | better first hops | 4861 §8 |
//! | [`rtadv`] | advertisements that a router sends | 4861 §6.2, 4191, 8106 |
//!
//! Addresses of one link carry its interface inside the stack: [`crate::wire::scope6`].

pub(crate) mod dad;
pub(crate) mod frag6;
pub(crate) mod icmp6;
pub mod in6_ifaddr;
pub(crate) mod in6_src;
pub(crate) mod ip6;
mod ip6_exthdr;
mod ip6_forward;
mod ip6_input;
mod ip6_output;
pub(crate) mod mld6;
pub(crate) mod nd6;
mod nd6_redirect;
pub mod nd6_rtr;
pub(crate) mod raw_ip6;
mod resolvers;
pub mod rtadv;
mod slaac;
