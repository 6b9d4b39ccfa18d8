//! The pair of unix sockets that stands for a passed socket: how much it holds.

/// Octets of a program's send buffer as setsockopt(2) has them (the host doubles them), unless the program wants less. Its end is
/// writable while a quarter is in use, and the one octet that is left unread may hold a spliced buffer of 64 KiB and more.
pub const SEND_BUFFER: usize = 212_992;
/// The least that it is: with less a pair would carry next to nothing at once.
const LEAST: usize = 32 * 1024;

/// The send buffer of the end of a stream whose program asks for so much (SO_SNDBUF). What is `SEND_BUFFER` at most is never refused.
pub fn send_buffer(asked: usize) -> usize {
    asked.clamp(LEAST, SEND_BUFFER)
}
