//! ioctl(2) with a `struct arpreq`: the ARP table, as arp(8) asks for it and changes it. Proxy entries (`ATF_PUBL`) are
//! refused: the stack answers for nobody else.

use super::ioctl_ifreq::{IFNAMSIZ, errno, inet, name};
use super::{Errno, ioctl_ifreq};
use crate::ifs::flags::ARPHRD_ETHER;
use crate::kernel::Kernel;
use netstack::net::neigh::{Neighbour, NudState};
use netstack::net::{IfIndex, MacAddr};
use netstack::stack::Stack;
use std::net::{IpAddr, Ipv4Addr};

/// Octets of a `struct arpreq`.
pub(super) const ARPREQ: usize = 68;

/// Places of its fields.
const PROTOCOL: usize = 0;
const HARDWARE: usize = 16;
const FLAGS: usize = 32;
const NETMASK: usize = 36;
const DEV: usize = 52;

const ATF_COM: u32 = 0x2;
const ATF_PERM: u32 = 0x4;
const ATF_PUBL: u32 = 0x8;
const ATF_NETMASK: u32 = 0x20;
const ATF_DONTPUB: u32 = 0x40;

/// What a program asks about.
struct Asked {
    addr: Ipv4Addr,
    flags: u32,
    /// The interface that it names.
    dev: Option<IfIndex>,
}

fn read(kernel: &Kernel, arg: &[u8]) -> Result<Asked, Errno> {
    let addr = inet(&arg[PROTOCOL..PROTOCOL + 16]).ok_or(Errno::EPFNOSUPPORT)?;
    let flags = u32::from_ne_bytes([arg[FLAGS], arg[FLAGS + 1], arg[FLAGS + 2], arg[FLAGS + 3]]);
    if flags & ATF_PUBL == 0 && flags & (ATF_NETMASK | ATF_DONTPUB) != 0 {
        return Err(Errno::EINVAL);
    }
    let dev = match name(&arg[DEV..DEV + IFNAMSIZ])? {
        "" => None,
        name => Some(ioctl_ifreq::device(&kernel.stack.borrow(), name)?.index),
    };
    Ok(Asked { addr, flags, dev })
}

/// The interface that leads to an address on its link, where none was named.
fn on_link(stack: &Stack, addr: Ipv4Addr) -> Option<IfIndex> {
    let addr = IpAddr::V4(addr);
    let best = |ifnet: &netstack::net::ifnet::Ifnet| {
        ifnet.addrs().iter().filter(|net| net.contains(&addr)).map(|net| net.prefix_len()).max()
    };
    let ethernets = stack.interfaces().filter(|ifnet| !ifnet.loopback && ifnet.up);
    ethernets
        .filter_map(|ifnet| Some((best(ifnet)?, ifnet.index)))
        .max_by_key(|(len, _)| *len)
        .map(|(_, i)| i)
}

fn known(kernel: &Kernel, ifindex: IfIndex, addr: Ipv4Addr) -> Option<Neighbour> {
    let mut stack = kernel.stack.borrow_mut();
    stack.handle_timeout(kernel.clock());
    stack.neighbours().find(|n| n.ifindex == ifindex && n.addr == IpAddr::V4(addr))
}

/// SIOCGARP: the entry of an interface that is named.
pub(super) fn get(kernel: &Kernel, arg: &mut [u8]) -> Result<i32, Errno> {
    let asked = read(kernel, arg)?;
    let dev = asked.dev.ok_or(Errno::ENODEV)?;
    let n = known(kernel, dev, asked.addr).ok_or(Errno::ENXIO)?;
    let flags = match n.state {
        NudState::Incomplete | NudState::Failed => 0,
        NudState::Reachable | NudState::Stale | NudState::Delay | NudState::Probe => ATF_COM,
        NudState::Permanent => ATF_COM | ATF_PERM,
    };
    arg[HARDWARE..HARDWARE + 16].fill(0);
    arg[HARDWARE..HARDWARE + 2].copy_from_slice(&ARPHRD_ETHER.to_ne_bytes());
    arg[HARDWARE + 2..HARDWARE + 8].copy_from_slice(&n.mac.unwrap_or_default().0);
    arg[FLAGS..FLAGS + 4].copy_from_slice(&flags.to_ne_bytes());
    arg[NETMASK..NETMASK + 4].copy_from_slice(&[0xff; 4]);
    Ok(0)
}

/// SIOCSARP: an entry that stays.
pub(super) fn set(kernel: &Kernel, arg: &[u8]) -> Result<i32, Errno> {
    let asked = read(kernel, arg)?;
    let family = u16::from_ne_bytes([arg[HARDWARE], arg[HARDWARE + 1]]);
    // Without ATF_COM it has no address of a link; AF_UNSPEC stands for the interface's own kind.
    if asked.flags & ATF_PUBL != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if family != ARPHRD_ETHER && family != 0 || asked.flags & ATF_COM == 0 {
        return Err(Errno::EINVAL);
    }
    let dev = match asked.dev {
        Some(dev) => dev,
        None => on_link(&kernel.stack.borrow(), asked.addr).ok_or(Errno::ENETUNREACH)?,
    };
    let mac = MacAddr(core::array::from_fn(|i| arg[HARDWARE + 2 + i]));
    let now = kernel.clock();
    let added = kernel.stack.borrow_mut().neigh_add(now, dev, IpAddr::V4(asked.addr), mac);
    added.map(|()| 0).map_err(|error| errno(&error))
}

/// SIOCDARP
pub(super) fn delete(kernel: &Kernel, arg: &[u8]) -> Result<i32, Errno> {
    let asked = read(kernel, arg)?;
    // Nobody is answered for.
    if asked.flags & ATF_PUBL != 0 {
        return Err(Errno::ENOENT);
    }
    let dev = match asked.dev {
        Some(dev) => dev,
        None => on_link(&kernel.stack.borrow(), asked.addr).ok_or(Errno::ENETUNREACH)?,
    };
    let now = kernel.clock();
    let mut stack = kernel.stack.borrow_mut();
    stack.handle_timeout(now);
    if stack.neigh_del(dev, IpAddr::V4(asked.addr)) { Ok(0) } else { Err(Errno::ENXIO) }
}
