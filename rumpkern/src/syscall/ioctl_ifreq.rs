//! ioctl(2) with a `struct ifreq`: what an interface is, and its IPv4 addresses by name.
//!
//! An address beside the first may have a name of its own, `eth0:1`, by which it is set, asked for and taken away
//! (Linux's `IFA_LABEL`). Apart from addresses such a name stands for the interface itself.

use super::Errno;
use super::ioctl::{self as op};
use crate::ifs::flags;
use crate::kernel::Kernel;
use ipnet::{IpNet, Ipv4Net};
use netstack::net::ifnet::{IfError, Ifnet};
use netstack::net::{IfIndex, MacAddr};
use netstack::stack::Stack;
use rumpclient::sockaddr::AF_INET;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Octets of a `struct ifreq`: a name, and 24 of whatever the request is about.
pub(super) const IFREQ: usize = 40;
/// Octets of a name in it, the final NUL included.
pub(super) const IFNAMSIZ: usize = 16;

/// Names of addresses that are not those of their interfaces.
pub(crate) type Labels = BTreeMap<(IfIndex, Ipv4Addr), String>;

/// The name in the first octets of `arg`, or in all of them: it ends at a NUL or with its field. ENODEV: not one that
/// an interface could have.
pub(super) fn name(arg: &[u8]) -> Result<&str, Errno> {
    let field = &arg[..arg.len().min(IFNAMSIZ - 1)];
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    core::str::from_utf8(&field[..end]).map_err(|_| Errno::ENODEV)
}

/// The interface that a name stands for, that of an address included.
pub(super) fn device<'a>(stack: &'a Stack, name: &str) -> Result<&'a Ifnet, Errno> {
    let name = name.split_once(':').map_or(name, |(device, _)| device);
    stack.interfaces().find(|ifnet| ifnet.name == name).ok_or(Errno::ENODEV)
}

/// What an [`IfError`] means to a program.
pub(super) fn errno(error: &IfError) -> Errno {
    match error {
        IfError::NoDevice(_) => Errno::ENODEV,
        IfError::Exists(_) | IfError::AddrExists(_) => Errno::EEXIST,
        IfError::NoAddr(_) => Errno::EADDRNOTAVAIL,
        IfError::BadMac(_) => Errno::EADDRNOTAVAIL,
        IfError::BadName(_) | IfError::BadMtu(_) | IfError::Loopback | IfError::BadAddr(_) => Errno::EINVAL,
    }
}

/// An IPv4 address of an interface under the name that it has.
fn addresses<'a>(labels: &'a Labels, ifnet: &'a Ifnet) -> impl Iterator<Item = (&'a str, Ipv4Net)> + 'a {
    ifnet.addrs().iter().filter_map(|net| match net {
        IpNet::V4(net) => {
            let label = labels.get(&(ifnet.index, net.addr()));
            Some((label.map_or(ifnet.name.as_str(), String::as_str), *net))
        }
        IpNet::V6(_) => None,
    })
}

fn put<const N: usize>(arg: &mut [u8], octets: [u8; N]) {
    arg[IFNAMSIZ..IFNAMSIZ + N].copy_from_slice(&octets);
}

/// The i32 behind the name.
fn int(arg: &[u8]) -> i32 {
    i32::from_ne_bytes([arg[16], arg[17], arg[18], arg[19]])
}

fn sockaddr(addr: Ipv4Addr) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&AF_INET.to_ne_bytes());
    octets[4..8].copy_from_slice(&addr.octets());
    octets
}

/// The IPv4 address in a `struct sockaddr`; `None`: of another family.
pub(super) fn inet(octets: &[u8]) -> Option<Ipv4Addr> {
    let family = u16::from_ne_bytes([octets[0], octets[1]]);
    (family == AF_INET).then(|| Ipv4Addr::new(octets[4], octets[5], octets[6], octets[7]))
}

/// Does a request about one interface. `arg` has [`IFREQ`] octets.
pub(super) fn ifreq(kernel: &Kernel, request: u32, arg: &mut [u8]) -> Result<i32, Errno> {
    match request {
        op::SIOCGIFNAME => {
            let stack = kernel.stack.borrow();
            let ifindex = u32::try_from(int(arg)).map_err(|_| Errno::ENODEV)?;
            let ifnet = stack.interface(IfIndex(ifindex)).ok_or(Errno::ENODEV)?;
            arg[..IFNAMSIZ].fill(0);
            arg[..ifnet.name.len()].copy_from_slice(ifnet.name.as_bytes());
        }
        op::SIOCGIFADDR | op::SIOCGIFDSTADDR | op::SIOCGIFBRDADDR | op::SIOCGIFNETMASK => {
            let of = name(arg)?.to_owned();
            put(arg, sockaddr(address(kernel, request, &of)?));
        }
        op::SIOCSIFADDR | op::SIOCSIFDSTADDR | op::SIOCSIFBRDADDR | op::SIOCSIFNETMASK => {
            let given = inet(&arg[IFNAMSIZ..]).ok_or(Errno::EINVAL)?;
            set_address(kernel, request, name(arg)?, given)?;
        }
        op::SIOCGIFFLAGS
        | op::SIOCGIFMETRIC
        | op::SIOCGIFMTU
        | op::SIOCGIFHWADDR
        | op::SIOCGIFINDEX
        | op::SIOCGIFTXQLEN
        | op::SIOCGIFMAP => get(kernel, request, arg)?,
        op::SIOCSIFFLAGS
        | op::SIOCSIFMTU
        | op::SIOCSIFHWADDR
        | op::SIOCSIFNAME
        | op::SIOCSIFTXQLEN
        | op::SIOCSIFMETRIC => set(kernel, request, arg)?,
        op::SIOCGIFSLAVE | op::SIOCSIFSLAVE => {
            device(&kernel.stack.borrow(), name(arg)?)?;
            return Err(Errno::EINVAL);
        }
        op::SIOCGIFPFLAGS | op::SIOCSIFPFLAGS => return Err(Errno::EINVAL),
        op::SIOCSIFMAP
        | op::SIOCGMIIPHY..=op::SIOCWANDEV
        | op::SIOCBONDENSLAVE..=op::SIOCBRDELIF
        | op::SIOCSHWTSTAMP
        | op::SIOCGHWTSTAMP
        | op::SIOCDEVPRIVATE..=op::SIOCDEVPRIVATE_LAST => {
            device(&kernel.stack.borrow(), name(arg)?)?;
            return Err(Errno::EOPNOTSUPP);
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn get(kernel: &Kernel, request: u32, arg: &mut [u8]) -> Result<(), Errno> {
    let stack = kernel.stack.borrow();
    let ifnet = device(&stack, name(arg)?)?;
    match request {
        // Sixteen bits of them, as a `short`.
        op::SIOCGIFFLAGS => put(arg, (flags::of(ifnet) as u16).to_ne_bytes()),
        op::SIOCGIFMTU => put(arg, ifnet.mtu.to_ne_bytes()),
        op::SIOCGIFHWADDR => {
            put(arg, [0; 16]);
            put(arg, flags::hardware(ifnet).to_ne_bytes());
            arg[IFNAMSIZ + 2..IFNAMSIZ + 8].copy_from_slice(&ifnet.mac.0);
        }
        op::SIOCGIFINDEX => put(arg, ifnet.index.0.to_ne_bytes()),
        op::SIOCGIFTXQLEN => put(arg, (stack.config().tx_queue as u32).to_ne_bytes()),
        // No memory, no interrupt.
        op::SIOCGIFMAP => put(arg, [0; 24]),
        _ => put(arg, 0u32.to_ne_bytes()),
    }
    Ok(())
}

fn set(kernel: &Kernel, request: u32, arg: &[u8]) -> Result<(), Errno> {
    let named = name(arg)?;
    let (ifindex, loopback) = {
        let stack = kernel.stack.borrow();
        let ifnet = device(&stack, named)?;
        (ifnet.index, ifnet.loopback)
    };
    match request {
        op::SIOCSIFFLAGS => {
            let up = u32::from(u16::from_ne_bytes([arg[16], arg[17]])) & flags::IFF_UP != 0;
            // The name of an address: taking it down takes it away.
            if named.contains(':') {
                let net = labelled(kernel, named).ok_or(Errno::EADDRNOTAVAIL)?;
                return if up { Ok(()) } else { remove(kernel, ifindex, net) };
            }
            kernel.if_set_up(ifindex, up).map_err(|_| Errno::EINVAL)
        }
        op::SIOCSIFMTU => {
            let mtu = u32::try_from(int(arg)).map_err(|_| Errno::EINVAL)?;
            kernel.if_set_mtu(ifindex, mtu).map_err(|error| errno(&error))
        }
        op::SIOCSIFHWADDR => {
            let family = u16::from_ne_bytes([arg[16], arg[17]]);
            if loopback || family != flags::ARPHRD_ETHER {
                return Err(Errno::EINVAL);
            }
            let mac = MacAddr([arg[18], arg[19], arg[20], arg[21], arg[22], arg[23]]);
            set_mac(kernel, ifindex, mac)
        }
        op::SIOCSIFNAME => rename(kernel, ifindex, name(&arg[IFNAMSIZ..IFNAMSIZ + 16])?),
        op::SIOCSIFTXQLEN => {
            // One length for all, which is the stack's.
            let same = usize::try_from(int(arg)).is_ok_and(|n| n == kernel.stack.borrow().config().tx_queue);
            if same { Ok(()) } else { Err(Errno::EINVAL) }
        }
        _ => Err(Errno::EOPNOTSUPP),
    }
}

/// Gives an interface another link address.
fn set_mac(kernel: &Kernel, ifindex: IfIndex, mac: MacAddr) -> Result<(), Errno> {
    let changed = kernel.stack.borrow_mut().if_set_mac(ifindex, mac);
    kernel.if_filters_changed();
    changed.map_err(|error| errno(&error))
}

/// Gives an interface another name.
fn rename(kernel: &Kernel, ifindex: IfIndex, name: &str) -> Result<(), Errno> {
    if name.contains(':') {
        return Err(Errno::EINVAL);
    }
    kernel.stack.borrow_mut().if_set_name(ifindex, name).map_err(|error| errno(&error))?;
    labels_follow(kernel, ifindex, name);
    Ok(())
}

/// The addresses of an interface go by its new name.
pub(crate) fn labels_follow(kernel: &Kernel, ifindex: IfIndex, name: &str) {
    for (_, label) in kernel.labels.borrow_mut().iter_mut().filter(|((of, _), _)| *of == ifindex) {
        let number = label.split_once(':').map_or("", |(_, number)| number);
        *label = format!("{name}:{number}").chars().take(IFNAMSIZ - 1).collect();
    }
}

/// The address with this name: of an interface's own name the first.
pub(super) fn labelled(kernel: &Kernel, of: &str) -> Option<Ipv4Net> {
    let stack = kernel.stack.borrow();
    let ifnet = device(&stack, of).ok()?;
    let labels = kernel.labels.borrow();
    addresses(&labels, ifnet).find(|(label, _)| *label == of).map(|(_, net)| net)
}

fn address(kernel: &Kernel, request: u32, of: &str) -> Result<Ipv4Addr, Errno> {
    let loopback = device(&kernel.stack.borrow(), of)?.loopback;
    let net = labelled(kernel, of).ok_or(Errno::EADDRNOTAVAIL)?;
    Ok(match request {
        op::SIOCGIFNETMASK => net.netmask(),
        // The stack's broadcast address is the subnet's; there is none on lo, and none of two or one (RFC 3021).
        op::SIOCGIFBRDADDR if loopback || net.prefix_len() > 30 => Ipv4Addr::UNSPECIFIED,
        op::SIOCGIFBRDADDR => net.broadcast(),
        // Of a link to many, the far end is the address itself.
        _ => net.addr(),
    })
}

/// The prefix length that the class of an address had (RFC 791 §3.2), which SIOCSIFADDR begins with.
fn class_prefix(addr: Ipv4Addr) -> Option<u8> {
    match addr.octets()[0] {
        _ if addr.is_unspecified() => Some(0),
        0..128 => Some(8),
        128..192 => Some(16),
        192..224 => Some(24),
        224.. => None,
    }
}

fn set_address(kernel: &Kernel, request: u32, of: &str, given: Ipv4Addr) -> Result<(), Errno> {
    let (ifindex, device_name) = {
        let stack = kernel.stack.borrow();
        let ifnet = device(&stack, of)?;
        (ifnet.index, ifnet.name.clone())
    };
    let old = labelled(kernel, of);
    if request == op::SIOCSIFADDR {
        let prefix = class_prefix(given).ok_or(Errno::EINVAL)?;
        // 0.0.0.0 takes the address away, and an address that is there stays as it is.
        if old.is_some_and(|net| net.addr() == given) {
            return Ok(());
        }
        if let Some(net) = old {
            remove(kernel, ifindex, net)?;
        }
        return match given.is_unspecified() {
            true => Ok(()),
            false => insert(kernel, ifindex, Ipv4Net::new_assert(given, prefix), (of, &device_name)),
        };
    }
    let old = old.ok_or(Errno::EADDRNOTAVAIL)?;
    match request {
        op::SIOCSIFNETMASK => {
            let net = Ipv4Net::with_netmask(old.addr(), given).map_err(|_| Errno::EINVAL)?;
            if net == old {
                return Ok(());
            }
            remove(kernel, ifindex, old)?;
            insert(kernel, ifindex, net, (of, &device_name))
        }
        // It follows the mask; who sets it before the mask names one of a smaller subnet.
        op::SIOCSIFBRDADDR if old.contains(&given) => Ok(()),
        // The far end of a link that has none.
        _ => Err(Errno::EINVAL),
    }
}

fn remove(kernel: &Kernel, ifindex: IfIndex, net: Ipv4Net) -> Result<(), Errno> {
    kernel.labels.borrow_mut().remove(&(ifindex, net.addr()));
    let now = kernel.clock();
    kernel.stack.borrow_mut().addr_del(now, ifindex, IpNet::V4(net)).map_err(|error| errno(&error))
}

fn insert(
    kernel: &Kernel,
    ifindex: IfIndex,
    net: Ipv4Net,
    (label, device): (&str, &str),
) -> Result<(), Errno> {
    let now = kernel.clock();
    kernel.stack.borrow_mut().addr_add(now, ifindex, IpNet::V4(net)).map_err(|error| errno(&error))?;
    if label != device {
        kernel.labels.borrow_mut().insert((ifindex, net.addr()), label.to_owned());
    }
    Ok(())
}

/// SIOCGIFCONF: every IPv4 address as a `struct ifreq`, as many whole ones as `buffer` has room for; without a buffer, how many
/// octets they would be.
pub(super) fn ifconf(kernel: &Kernel, arg: &mut [u8], buffer: Option<&mut Vec<u8>>) -> Result<i32, Errno> {
    let mut all = Vec::new();
    let stack = kernel.stack.borrow();
    let labels = kernel.labels.borrow();
    for ifnet in stack.interfaces() {
        for (label, net) in addresses(&labels, ifnet) {
            let mut one = [0; IFREQ];
            let name = label.as_bytes();
            one[..name.len()].copy_from_slice(name);
            put(&mut one, sockaddr(net.addr()));
            all.extend_from_slice(&one);
        }
    }
    if let Some(buffer) = buffer {
        all.truncate(buffer.len() / IFREQ * IFREQ);
        buffer.clone_from(&all);
    }
    let len = i32::try_from(all.len()).map_err(|_| Errno::EINVAL)?;
    arg[..4].copy_from_slice(&len.to_ne_bytes());
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let prefix = |text: &str| class_prefix(text.parse().unwrap());
        assert_eq!(prefix("10.0.0.1"), Some(8));
        assert_eq!(prefix("172.16.0.1"), Some(16));
        assert_eq!(prefix("192.168.0.1"), Some(24));
        assert_eq!(prefix("0.0.0.0"), Some(0));
        assert_eq!(prefix("224.0.0.1"), None);
    }
}
