//! Scripts: packets in, packets out, in virtual time, grouped by event and state.

mod addrs;
mod arbitrary;
mod arp;
mod ecmp;
mod fanout;
mod forward;
mod groups;
mod harness;
mod icmp;
mod igmp;
mod ip6;
mod mld;
mod options;
mod packet;
mod pmtu;
mod reass;
mod sockets;
mod udplite;
mod v6;
