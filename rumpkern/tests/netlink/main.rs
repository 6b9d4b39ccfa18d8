//! Routing sockets and socket diagnostics: octets as programs send them in, octets of the answers out, read back by hand
//! (`ask`), so that the codecs of the kernel are not their own witness.

mod addr;
mod ask;
mod diag;
mod hostile;
mod inet6;
mod link;
mod linux;
mod monitor;
mod neigh;
mod route;
mod socket;
#[path = "../world/mod.rs"]
mod world;
