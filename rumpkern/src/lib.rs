//! A rump kernel: one node in one process.
//!
//! The kernel owns a network stack ([`netstack::Stack`]), the interfaces that join it to buses
//! ([`ifs`]), and processes ([`proc`]) that use it through system calls ([`syscall::Sys`]). It
//! reaches the world only through the hypercalls of [`rumpuser`]: clock, randomness, wait, bus,
//! remote clients. [`vfs`] is what a node shows to programs as files. [`evloop`] is the one loop. [`ctl`] is how the lab speaks to a node,
//! [`sysproxy`] how unmodified programs do, [`prog`] holds the programs that every node has.
//!
//! A node is one foreground process with one thread: [`main_from_args`] is its `main`.

pub mod config;
pub mod ctl;
pub mod evloop;
pub mod filter;
pub mod ifs;
pub mod kernel;
pub mod listener;
pub mod netlink;
pub mod node;
pub mod proc;
pub mod prog;
pub mod remote;
pub mod rumpuser;
pub mod syscall;
pub mod sysproxy;
pub mod vfs;

pub use node::main_from_args;
