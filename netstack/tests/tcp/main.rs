//! TCP alone, over a test floor: laws over a virtual link, and scripts of packets.

mod host;
mod link;
