//! ioctl(2) on interfaces, addresses, routes and ARP (netdevice(7), arp(7)), with Linux's numbers, layouts and errors.
//! What a socket itself is asked (`FIONREAD` and the like) is in [`super::socket_abi`].
//!
//! Linux answers these on sockets of almost any family, and a few otherwise on those of AF_INET6 ([`Of`]). Whoever has the program's
//! memory at hand asks [`argument`] how many octets the argument has, reads them, asks [`beyond`] whether a pointer in them leads to more,
//! reads that too, calls [`ioctl`], and writes both back. What is read was written by a program: any octets are taken.

use super::ioctl_ifreq::{self as ifreq, IFREQ};
use super::{Errno, ioctl_arp, ioctl_ethtool, ioctl_inet6, ioctl_route};
use crate::kernel::Kernel;

/// `struct ifconf`: a length, and where the buffer is.
pub(super) const IFCONF: usize = 16;

/// Octets of the largest buffer that is filled in one call: all addresses of a very large node.
const IFCONF_MAX: usize = 1 << 20;

pub(super) const SIOCADDRT: u32 = 0x890b;
pub(super) const SIOCDELRT: u32 = 0x890c;
pub(super) const SIOCRTMSG: u32 = 0x890d;
pub(super) const SIOCGIFNAME: u32 = 0x8910;
pub(super) const SIOCGIFCONF: u32 = 0x8912;
pub(super) const SIOCGIFFLAGS: u32 = 0x8913;
pub(super) const SIOCSIFFLAGS: u32 = 0x8914;
pub(super) const SIOCGIFADDR: u32 = 0x8915;
pub(super) const SIOCSIFADDR: u32 = 0x8916;
pub(super) const SIOCGIFDSTADDR: u32 = 0x8917;
pub(super) const SIOCSIFDSTADDR: u32 = 0x8918;
pub(super) const SIOCGIFBRDADDR: u32 = 0x8919;
pub(super) const SIOCSIFBRDADDR: u32 = 0x891a;
pub(super) const SIOCGIFNETMASK: u32 = 0x891b;
pub(super) const SIOCSIFNETMASK: u32 = 0x891c;
pub(super) const SIOCGIFMETRIC: u32 = 0x891d;
pub(super) const SIOCSIFMETRIC: u32 = 0x891e;
pub(super) const SIOCGIFMTU: u32 = 0x8921;
pub(super) const SIOCSIFMTU: u32 = 0x8922;
pub(super) const SIOCSIFNAME: u32 = 0x8923;
pub(super) const SIOCSIFHWADDR: u32 = 0x8924;
pub(super) const SIOCGIFHWADDR: u32 = 0x8927;
pub(super) const SIOCGIFSLAVE: u32 = 0x8929;
pub(super) const SIOCSIFSLAVE: u32 = 0x8930;
pub(super) const SIOCGIFINDEX: u32 = 0x8933;
pub(super) const SIOCSIFPFLAGS: u32 = 0x8934;
pub(super) const SIOCDIFADDR: u32 = 0x8936;
pub(super) const SIOCGIFPFLAGS: u32 = 0x8935;
pub(super) const SIOCGIFBR: u32 = 0x8940;
pub(super) const SIOCSIFBR: u32 = 0x8941;
pub(super) const SIOCGIFTXQLEN: u32 = 0x8942;
pub(super) const SIOCSIFTXQLEN: u32 = 0x8943;
pub(super) const SIOCETHTOOL: u32 = 0x8946;
/// `SIOCGMIIPHY` to `SIOCWANDEV`, and what drivers have of their own.
pub(super) const SIOCGMIIPHY: u32 = 0x8947;
pub(super) const SIOCWANDEV: u32 = 0x894a;
pub(super) const SIOCDARP: u32 = 0x8953;
pub(super) const SIOCGARP: u32 = 0x8954;
pub(super) const SIOCSARP: u32 = 0x8955;
pub(super) const SIOCGIFMAP: u32 = 0x8970;
pub(super) const SIOCSIFMAP: u32 = 0x8971;
pub(super) const SIOCGIFVLAN: u32 = 0x8982;
pub(super) const SIOCSIFVLAN: u32 = 0x8983;
/// Bonding and bridges.
pub(super) const SIOCBONDENSLAVE: u32 = 0x8990;
pub(super) const SIOCBRDELIF: u32 = 0x89a3;
pub(super) const SIOCSHWTSTAMP: u32 = 0x89b0;
pub(super) const SIOCGHWTSTAMP: u32 = 0x89b1;
pub(super) const SIOCDEVPRIVATE: u32 = 0x89f0;
pub(super) const SIOCDEVPRIVATE_LAST: u32 = 0x89ff;
/// The time of the last packet, in the forms of both widths of time.
const SIOCGSTAMP: u32 = 0x8906;
const SIOCGSTAMPNS: u32 = 0x8907;
const SIOCGSTAMP_NEW: u32 = 0x8010_8906;
const SIOCGSTAMPNS_NEW: u32 = 0x8010_8907;

/// Of which family the socket is that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// AF_INET6
    Inet6,
    /// Any other.
    Other,
}

/// Octets of the argument of `request`; `None`: it is not about interfaces, and [`ioctl`] says ENOTTY.
pub fn argument(of: Of, request: u32) -> Option<usize> {
    match request {
        SIOCSIFADDR | SIOCDIFADDR | SIOCSIFDSTADDR if of == Of::Inet6 => Some(ioctl_inet6::IN6_IFREQ),
        SIOCADDRT | SIOCDELRT if of == Of::Inet6 => Some(ioctl_inet6::IN6_RTMSG),
        SIOCGIFCONF => Some(IFCONF),
        SIOCADDRT | SIOCDELRT | SIOCRTMSG => Some(ioctl_route::RTENTRY),
        SIOCDARP | SIOCGARP | SIOCSARP => Some(ioctl_arp::ARPREQ),
        SIOCGSTAMP | SIOCGSTAMPNS | SIOCGSTAMP_NEW | SIOCGSTAMPNS_NEW => Some(16),
        SIOCGIFBR | SIOCSIFBR => Some(24),
        SIOCGIFVLAN | SIOCSIFVLAN => Some(52),
        0x8910..=0x89ff => Some(IFREQ),
        _ => None,
    }
}

/// Memory that an argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// The address in the program's memory.
    pub pointer: u64,
    /// Octets there, at most: as many as can be read are handed to [`ioctl`].
    pub len: usize,
    /// Whether they are only written, so that there is no need to read them: as many as there are, of any value, will do.
    pub fresh: bool,
    /// Whether what [`ioctl`] has left of them is written back.
    pub back: bool,
}

/// What the argument of `request` points to.
pub fn beyond(of: Of, request: u32, arg: &[u8]) -> Option<Beyond> {
    let at = |at: usize| {
        arg.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes).filter(|pointer| *pointer != 0)
    };
    match request {
        SIOCGIFCONF => {
            let len = i32::from_ne_bytes(arg.get(..4)?.try_into().ok()?);
            let len = usize::try_from(len).unwrap_or(0).min(IFCONF_MAX);
            Some(Beyond { pointer: at(8)?, len, fresh: true, back: true })
        }
        SIOCETHTOOL => Some(Beyond { pointer: at(16)?, len: ioctl_ethtool::MOST, fresh: false, back: true }),
        SIOCADDRT | SIOCDELRT if of == Of::Inet6 => None,
        SIOCADDRT | SIOCDELRT => {
            Some(Beyond { pointer: at(ioctl_route::DEV)?, len: 16, fresh: false, back: false })
        }
        _ => None,
    }
}

/// Does `request` with its argument, of which there may be too few octets (EFAULT), and with what that points to (`None`: a
/// null pointer). Returns what the call returns.
///
/// # Errors
/// Linux's for the request; ENOTTY for one that is not about interfaces.
pub fn ioctl(
    kernel: &Kernel,
    of: Of,
    request: u32,
    arg: &mut [u8],
    beyond: Option<&mut Vec<u8>>,
) -> Result<i32, Errno> {
    let Some(need) = argument(of, request) else {
        return Err(Errno::ENOTTY);
    };
    let arg = arg.get_mut(..need).ok_or(Errno::EFAULT)?;
    match request {
        SIOCSIFADDR if of == Of::Inet6 => ioctl_inet6::address(kernel, arg, true),
        SIOCDIFADDR if of == Of::Inet6 => ioctl_inet6::address(kernel, arg, false),
        // Of tunnels alone.
        SIOCSIFDSTADDR if of == Of::Inet6 => Err(Errno::ENODEV),
        SIOCADDRT if of == Of::Inet6 => ioctl_inet6::route(kernel, arg, true),
        SIOCDELRT if of == Of::Inet6 => ioctl_inet6::route(kernel, arg, false),
        SIOCGIFCONF => ifreq::ifconf(kernel, arg, beyond),
        SIOCADDRT => ioctl_route::change(kernel, arg, beyond.map(|b| b.as_slice()), true),
        SIOCDELRT => ioctl_route::change(kernel, arg, beyond.map(|b| b.as_slice()), false),
        SIOCRTMSG => Err(Errno::EINVAL),
        SIOCDARP => ioctl_arp::delete(kernel, arg),
        SIOCGARP => ioctl_arp::get(kernel, arg),
        SIOCSARP => ioctl_arp::set(kernel, arg),
        SIOCETHTOOL => ioctl_ethtool::ethtool(kernel, arg, beyond),
        // Nothing has come yet, as far as this goes: programs then take the time at which they read.
        SIOCGSTAMP | SIOCGSTAMPNS | SIOCGSTAMP_NEW | SIOCGSTAMPNS_NEW => Err(Errno::ENOENT),
        SIOCGIFBR | SIOCSIFBR => Err(Errno::EOPNOTSUPP),
        // As without the module 8021q.
        SIOCGIFVLAN | SIOCSIFVLAN => Err(Errno::ENOPKG),
        _ => ifreq::ifreq(kernel, request, arg),
    }
}
