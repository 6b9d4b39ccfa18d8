//! TCP alone, over a test floor: laws over a virtual link, what a path makes of it, and what else
//! needs Rust. Scripts of packets, by event and state, are in `tests/drill`.

mod bbr;
mod congestion;
mod cookies;
mod ecn;
#[path = "../drill/engine/mod.rs"]
mod engine;
mod fastopen;
mod laws;
mod link;
mod path;
mod plpmtud;
mod script;
mod stack;
mod throughput;
