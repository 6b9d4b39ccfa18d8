//! Unmodified programs from Debian on nodes: an ordinary user runs them across a router, with user namespaces refused.

mod accept;
mod buffers;
mod closed;
mod config;
mod datagram;
mod fuzzed;
mod given;
mod groups;
mod jobs;
mod layered;
mod names;
mod neighbour;
mod packets;
mod probe;
mod routing;
mod ssh;
mod transfer;
mod v6;
mod web;
