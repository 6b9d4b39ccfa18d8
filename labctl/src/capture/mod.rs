//! Looking at the wire: filters, capture files, decoding to the screen, replaying.

pub mod filter;
pub mod names;
pub mod pcapng;
pub mod print;
