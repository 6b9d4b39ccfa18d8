//! Socket options in Linux's numbers and layout, to and from the kernel's.

use crate::syscall::{Errno, Fd, Sys};

/// `SOL_SOCKET`
const SOL_SOCKET: u32 = 1;
/// `SO_ERROR`
const SO_ERROR: u32 = 4;

/// setsockopt(2)
pub(super) fn set(sys: &Sys, fd: Fd, _level: u32, _name: u32, _value: &[u8]) -> Result<(), Errno> {
    sys.getsockname(fd)?;
    Err(Errno::ENOPROTOOPT)
}

/// getsockopt(2): the octets of the value.
pub(super) fn get(sys: &Sys, fd: Fd, level: u32, name: u32) -> Result<Vec<u8>, Errno> {
    match (level, name) {
        (SOL_SOCKET, SO_ERROR) => {
            let error = sys.take_error(fd)?.map_or(0, Errno::number);
            Ok(error.to_le_bytes().to_vec())
        }
        _ => Err(Errno::ENOPROTOOPT),
    }
}
