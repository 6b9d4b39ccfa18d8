//! `SIOCETHTOOL`: what ethtool(8), libpcap, keepalived and others ask of a driver, answered as by a veth.
//!
//! A command is the first word of the memory that the request points to, its answer is put into the rest of it.
//! Nothing can be changed: what could be is EOPNOTSUPP.

use super::Errno;
use super::ioctl_ifreq::{device, name};
use crate::kernel::Kernel;
use netstack::net::ifnet::Ifnet;

/// Octets of the longest command that is answered: driver information.
pub(super) const MOST: usize = DRVINFO;

const DRVINFO: usize = 196;

const GSET: u32 = 0x1;
const GDRVINFO: u32 = 0x3;
const GLINK: u32 = 0xa;
const GRXCSUM: u32 = 0x14;
const GTXCSUM: u32 = 0x16;
const GSG: u32 = 0x18;
const GTSO: u32 = 0x1e;
const GPERMADDR: u32 = 0x20;
const GGSO: u32 = 0x23;
const GFLAGS: u32 = 0x25;
const GGRO: u32 = 0x2b;
const GSSET_INFO: u32 = 0x37;
const GTSINFO: u32 = 0x41;
const GLINKSETTINGS: u32 = 0x4c;

/// Megabits a second that a veth claims.
const SPEED: u32 = 10_000;
const DUPLEX_FULL: u8 = 1;
/// Words of the mask of link modes of Linux 6.18.
const LINK_MODE_WORDS: i8 = 4;
/// `SOF_TIMESTAMPING_{RX_SOFTWARE, SOFTWARE, TX_SOFTWARE}`
const TIMESTAMPING: u32 = 0x1a;

pub(super) fn ethtool(kernel: &Kernel, arg: &[u8], memory: Option<&mut Vec<u8>>) -> Result<i32, Errno> {
    let memory = memory.ok_or(Errno::EFAULT)?;
    let command = u32::from_ne_bytes(*memory.first_chunk().ok_or(Errno::EFAULT)?);
    let stack = kernel.stack.borrow();
    let ifnet = device(&stack, name(arg)?)?;
    let answer = answer(ifnet, command, memory)?;
    // What was read beyond the command's own octets is nobody's here.
    if answer.len() > memory.len() {
        return Err(Errno::EFAULT);
    }
    *memory = answer;
    Ok(0)
}

/// The octets of the command with its answer.
fn answer(ifnet: &Ifnet, command: u32, asked: &[u8]) -> Result<Vec<u8>, Errno> {
    // The words after the command as they came.
    let word = |i: usize| asked.get(4 * i..4 * i + 4).and_then(|w| w.try_into().ok()).map(u32::from_ne_bytes);
    let mut out = vec![0; 8];
    out[..4].copy_from_slice(&command.to_ne_bytes());
    let value = |mut out: Vec<u8>, value: u32| {
        out[4..8].copy_from_slice(&value.to_ne_bytes());
        Ok(out)
    };
    match command {
        GLINK => return value(out, ifnet.usable().into()),
        // What the stack leaves undone for the wire, and takes so from it.
        GRXCSUM | GTXCSUM | GSG | GTSO | GGSO => return value(out, 1),
        GGRO => return value(out, ifnet.loopback.into()),
        GFLAGS => return value(out, 0),
        GPERMADDR => {
            // Made up by whoever attached it: none is permanent.
            out.resize(8 + 6, 0);
            return match word(1) {
                Some(room) if room < 6 => Err(Errno::EINVAL),
                Some(_) => value(out, 6),
                None => Err(Errno::EFAULT),
            };
        }
        GSSET_INFO => {
            // No strings of any kind: the mask of those that are known is empty.
            out.resize(16, 0);
            return Ok(out);
        }
        GTSINFO => {
            out.resize(44, 0);
            out[4..8].copy_from_slice(&TIMESTAMPING.to_ne_bytes());
            // No clock of its own.
            out[8..12].copy_from_slice(&(-1i32).to_ne_bytes());
            return Ok(out);
        }
        _ if ifnet.loopback => return Err(Errno::EOPNOTSUPP),
        GDRVINFO => {
            out.resize(DRVINFO, 0);
            out[4..8].copy_from_slice(b"veth");
            out[36..39].copy_from_slice(b"1.0");
        }
        GSET => {
            out.resize(44, 0);
            out[12..14].copy_from_slice(&(SPEED as u16).to_ne_bytes());
            out[14] = DUPLEX_FULL;
        }
        GLINKSETTINGS => {
            // The first time a program asks for how many words its masks must have.
            let words = asked.get(15).map(|b| *b as i8).ok_or(Errno::EFAULT)?;
            let right = words == LINK_MODE_WORDS;
            out.resize(if right { 48 + 3 * 4 * LINK_MODE_WORDS as usize } else { 48 }, 0);
            out[15] = if right { LINK_MODE_WORDS } else { -LINK_MODE_WORDS } as u8;
            if right {
                out[4..8].copy_from_slice(&SPEED.to_ne_bytes());
                out[8] = DUPLEX_FULL;
            }
        }
        _ => return Err(Errno::EOPNOTSUPP),
    }
    Ok(out)
}
