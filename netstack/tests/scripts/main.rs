//! Scripts: packets in, packets out, in virtual time, grouped by event and state.

mod harness;
mod sockets;
