//! What an interface is, in the bits and numbers of Linux (netdevice(7)), for files and ioctls.

use netstack::net::ifnet::Ifnet;

/// It is administratively up.
pub(crate) const IFF_UP: u32 = 0x1;
/// It has a broadcast address.
pub(crate) const IFF_BROADCAST: u32 = 0x2;
/// It is `lo`.
pub(crate) const IFF_LOOPBACK: u32 = 0x8;
/// It is up and has its wire.
pub(crate) const IFF_RUNNING: u32 = 0x40;
/// A packet socket wants every frame.
pub(crate) const IFF_PROMISC: u32 = 0x100;
/// It carries multicast.
pub(crate) const IFF_MULTICAST: u32 = 0x1000;

/// `ARPHRD_ETHER`
pub(crate) const ARPHRD_ETHER: u16 = 1;
/// `ARPHRD_LOOPBACK`
pub(crate) const ARPHRD_LOOPBACK: u16 = 772;

/// What it is and was set to.
fn configured(ifnet: &Ifnet) -> u32 {
    let kind = if ifnet.loopback { IFF_LOOPBACK } else { IFF_BROADCAST | IFF_MULTICAST };
    kind | if ifnet.up { IFF_UP } else { 0 }
}

/// As `/sys/class/net/IF/flags` has them: packet sockets show.
pub(crate) fn in_sysfs(ifnet: &Ifnet) -> u32 {
    configured(ifnet) | if ifnet.rx_filter().promiscuous { IFF_PROMISC } else { 0 }
}

/// As SIOCGIFFLAGS has them: the wire shows, packet sockets do not.
pub(crate) fn of(ifnet: &Ifnet) -> u32 {
    configured(ifnet) | if ifnet.usable() { IFF_RUNNING } else { 0 }
}

/// `ARPHRD_*`
pub(crate) fn hardware(ifnet: &Ifnet) -> u16 {
    if ifnet.loopback { ARPHRD_LOOPBACK } else { ARPHRD_ETHER }
}
