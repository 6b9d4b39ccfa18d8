//! The host kernel as oracle of socket behaviour.
//!
//! Every case is a short program of socket calls over 127.0.0.1. It runs twice: on the kernel of the host, and on a
//! node, whose loopback and TCP are ours. What the calls returned, the transcript, must be equal line for line; where it
//! is not, the node is wrong. The cases where it means to differ are named in [`deviations`], each with its reason.
//!
//! A case is deterministic on both: no sleeps, waiting is "until this bit is there". It shows only what is
//! defined: ports by the order in which they appear, no buffer sizes that a host may set, no timers.
//!
//! | file | about |
//! |---|---|
//! | `sockets`, `host_unsafe`, `node` | the calls, and the two kernels |
//! | `trial`, `verdict`, `deviations` | the transcript of a case, and what becomes of it |
//! | the others | cases by theme |

#![allow(unreachable_pub)] // the modules of one test binary

mod deviations;
mod host_unsafe;
mod node;
mod sockets;
mod trial;
mod verdict;

mod accept;
mod bind;
mod close;
mod connect;
mod errors;
mod groups;
mod inherit;
mod listen;
mod names;
mod open;
mod poll;
mod recv;
mod reset;
mod send;
mod shutdown;
mod sockopt;
mod tcpopt;
mod udp;
mod udp_errors;
mod udpopt;
mod urgent;
