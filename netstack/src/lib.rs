//! TCP/IP without I/O.
