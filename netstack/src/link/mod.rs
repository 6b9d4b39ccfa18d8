//! What a wire does to frames: loss, delay, rates and queues, the same live and in virtual time.
//!
//! A frame that leaves an interface goes through its [`Impair`]: it waits in a queue for the wire's
//! rate, is perhaps lost, copied or spoiled on it, and arrives some time later. Nothing here does I/O
//! or knows the time: frames and `now` in, frames and the next deadline out.
//!
//! | file | what |
//! |---|---|
//! | [`impair`] | the way of a frame, and the order of these |
//! | [`fate`] | what happens to the n-th frame, from a seed: netem's words and models |
//! | [`jitter`] | how delays are spread |
//! | [`queue`], `red`, `codel`, `fq_codel` | frames that wait, and which of them go or are marked |
//! | `mark` | Congestion Experienced in a frame (RFC 3168) |

mod codel;
pub mod fate;
mod fq_codel;
pub mod impair;
pub mod jitter;
mod mark;
pub mod queue;
mod red;

pub use fate::{Chance, Loss};
pub use impair::{Impair, ImpairConfig, ImpairCounters};
pub use jitter::Distribution;
pub use queue::QueueConfig;
