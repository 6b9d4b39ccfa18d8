//! Error numbers: what a program sees when a system call fails, and the one table that makes
//! them from the stack's errors. Numbers and texts are Linux's (x86-64).

use netstack::SockError;

macro_rules! errno {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a system call failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(clippy::upper_case_acronyms)]
        #[repr(i32)]
        pub enum Errno { $(#[doc = $text] $name = $number,)* }

        impl Errno {
            /// Every error, in order of its number.
            pub const ALL: &[Errno] = &[$(Errno::$name),*];

            /// `EAGAIN` …
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$name => stringify!($name),)* }
            }

            /// The text of `strerror(3)`.
            pub const fn text(self) -> &'static str {
                match self { $(Errno::$name => $text,)* }
            }
        }
    };
}

errno! {
    EPERM = 1, "Operation not permitted";
    ENOENT = 2, "No such file or directory";
    ESRCH = 3, "No such process";
    EINTR = 4, "Interrupted system call";
    EIO = 5, "Input/output error";
    ENXIO = 6, "No such device or address";
    E2BIG = 7, "Argument list too long";
    EBADF = 9, "Bad file descriptor";
    ECHILD = 10, "No child processes";
    EAGAIN = 11, "Resource temporarily unavailable";
    ENOMEM = 12, "Cannot allocate memory";
    EACCES = 13, "Permission denied";
    EFAULT = 14, "Bad address";
    EBUSY = 16, "Device or resource busy";
    EEXIST = 17, "File exists";
    ENODEV = 19, "No such device";
    ENOTDIR = 20, "Not a directory";
    EISDIR = 21, "Is a directory";
    EINVAL = 22, "Invalid argument";
    EMFILE = 24, "Too many open files";
    ENOTTY = 25, "Inappropriate ioctl for device";
    ENOSPC = 28, "No space left on device";
    ESPIPE = 29, "Illegal seek";
    EPIPE = 32, "Broken pipe";
    EDOM = 33, "Numerical argument out of domain";
    ENOSYS = 38, "Function not implemented";
    ENONET = 64, "Machine is not on the network";
    ENOPKG = 65, "Package not installed";
    EPROTO = 71, "Protocol error";
    ENOTSOCK = 88, "Socket operation on non-socket";
    EDESTADDRREQ = 89, "Destination address required";
    EMSGSIZE = 90, "Message too long";
    EPROTOTYPE = 91, "Protocol wrong type for socket";
    ENOPROTOOPT = 92, "Protocol not available";
    EPROTONOSUPPORT = 93, "Protocol not supported";
    ESOCKTNOSUPPORT = 94, "Socket type not supported";
    EOPNOTSUPP = 95, "Operation not supported";
    EPFNOSUPPORT = 96, "Protocol family not supported";
    EAFNOSUPPORT = 97, "Address family not supported by protocol";
    EADDRINUSE = 98, "Address already in use";
    EADDRNOTAVAIL = 99, "Cannot assign requested address";
    ENETDOWN = 100, "Network is down";
    ENETUNREACH = 101, "Network is unreachable";
    ECONNABORTED = 103, "Software caused connection abort";
    ECONNRESET = 104, "Connection reset by peer";
    ENOBUFS = 105, "No buffer space available";
    EISCONN = 106, "Transport endpoint is already connected";
    ENOTCONN = 107, "Transport endpoint is not connected";
    ETIMEDOUT = 110, "Connection timed out";
    ECONNREFUSED = 111, "Connection refused";
    EHOSTDOWN = 112, "Host is down";
    EHOSTUNREACH = 113, "No route to host";
    EALREADY = 114, "Operation already in progress";
    EINPROGRESS = 115, "Operation now in progress";
}

impl Errno {
    /// The number that a program finds in `errno`.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Errno {}

impl From<SockError> for Errno {
    fn from(error: SockError) -> Errno {
        match error {
            SockError::WouldBlock => Errno::EAGAIN,
            SockError::InProgress => Errno::EINPROGRESS,
            SockError::Already => Errno::EALREADY,
            SockError::IsConnected => Errno::EISCONN,
            SockError::NotConnected => Errno::ENOTCONN,
            SockError::DestAddrRequired => Errno::EDESTADDRREQ,
            SockError::AddrInUse => Errno::EADDRINUSE,
            SockError::AddrNotAvailable => Errno::EADDRNOTAVAIL,
            SockError::AfNotSupported => Errno::EAFNOSUPPORT,
            SockError::ProtoNotSupported => Errno::EPROTONOSUPPORT,
            SockError::TypeNotSupported => Errno::ESOCKTNOSUPPORT,
            SockError::OpNotSupported => Errno::EOPNOTSUPP,
            SockError::NoProtoOpt => Errno::ENOPROTOOPT,
            SockError::Invalid => Errno::EINVAL,
            SockError::BadSocket => Errno::EBADF,
            SockError::MsgSize => Errno::EMSGSIZE,
            SockError::NoBufs => Errno::ENOBUFS,
            SockError::Pipe => Errno::EPIPE,
            SockError::ConnRefused => Errno::ECONNREFUSED,
            SockError::ConnReset => Errno::ECONNRESET,
            SockError::ConnAborted => Errno::ECONNABORTED,
            SockError::TimedOut => Errno::ETIMEDOUT,
            SockError::NetUnreachable => Errno::ENETUNREACH,
            SockError::HostUnreachable => Errno::EHOSTUNREACH,
            SockError::NetDown => Errno::ENETDOWN,
            SockError::ProtoUnreachable => Errno::ENOPROTOOPT,
            SockError::Access => Errno::EACCES,
            SockError::NotPermitted => Errno::EPERM,
            SockError::NoFilter => Errno::ENOENT,
            SockError::NoAddress => Errno::ENXIO,
            SockError::NoDevice => Errno::ENODEV,
            SockError::NoSpace => Errno::ENOSPC,
            SockError::Proto => Errno::EPROTO,
            SockError::HostDown => Errno::EHOSTDOWN,
            SockError::NoNet => Errno::ENONET,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_the_hosts() {
        for errno in Errno::ALL {
            let host = std::io::Error::from_raw_os_error(errno.number()).to_string();
            assert_eq!(host, format!("{} (os error {})", errno.text(), errno.number()));
        }
    }
}
