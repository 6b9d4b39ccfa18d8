//! Interfaces, Ethernet, routes, neighbours: what lies between the wire and IP.

pub mod bpf;
pub mod ether;
mod fib6;
pub(crate) mod flow;
mod if_loop;
pub mod ifnet;
pub mod mbuf;
pub mod multicast;
pub mod neigh;
pub mod route;

/// Names an interface of one stack; index 1 is the loopback, as on BSD and Linux. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfIndex(pub u32);

impl IfIndex {
    /// The loopback interface `lo`, which every stack has from birth.
    pub const LOOPBACK: IfIndex = IfIndex(1);
}

/// An Ethernet address (EUI-48), in wire order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// All ones: every station of the LAN.
    pub const BROADCAST: MacAddr = MacAddr([0xff; 6]);

    /// The group bit (IEEE 802): multicast or broadcast.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl core::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
