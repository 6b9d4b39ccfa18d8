//! TCP/IP without I/O.
//!
//! A [`Stack`] is one host's or router's network code. It has no clock, no threads and no
//! descriptors: whoever owns it hands it frames and the time, and takes frames, the next deadline
//! and events from it. The same code therefore runs live in a process and in virtual time.
//!
//! The rooms, from the wire upwards: [`wire`] knows the octets of each protocol and nothing else
//! does; [`link`] is what a wire does to frames; [`net`] holds interfaces, Ethernet, routes and neighbours; [`netinet`] IPv4, ICMP, UDP,
//! raw IP; [`netinet6`] IPv6 and neighbour discovery; [`tcp`] RFC 9293 and what belongs to it; [`socket`] what a program sees.
#![forbid(unsafe_code)]

pub mod link;
pub mod net;
pub mod netinet;
pub mod netinet6;
pub mod socket;
pub mod stack;
pub mod tcp;
pub mod time;
mod timer;
pub mod wire;

pub use net::mbuf::Mbuf;
pub use socket::{Ready, SockError, SocketId};
pub use stack::Stack;
pub use time::Instant;
