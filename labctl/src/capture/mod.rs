//! Looking at the wire: filters, capture files, decoding to the screen, replaying.
//!
//! [`source`] gives frames of buses, [`sink`] takes them: a file, the screen, JSON. [`dump`] is what buses remember, [`live`]
//! what comes. Nothing here disturbs a node, and nothing needs one to be alive.

pub mod dump;
pub mod filter;
pub mod live;
pub mod names;
pub mod pcapng;
pub mod print;
pub mod replay;
pub mod sink;
pub mod source;
