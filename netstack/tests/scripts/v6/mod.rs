//! Scripts of IPv6.

mod dad;
mod exthdr;
mod forward;
mod frag;
mod harness;
mod icmp;
mod labels;
mod nd;
mod redirect;
mod routers;
mod rtadv;
mod slaac;
mod sockets;

pub(crate) use harness::describe6;
