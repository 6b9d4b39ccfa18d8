//! The stack as a shared object that packetdrill loads in place of the kernel: README.md says how.
//!
//! ```text
//! packetdrill -> table_unsafe, interpose_unsafe -> shim -> node -> virt (time), host (a kernel) -> tun
//!    system() -> commands -> lab-packetdrill-tool -> server -> tools -> node
//! ```

mod commands;
mod epoll;
mod fds;
mod flags;
mod host;
mod instance_unsafe;
mod interpose_unsafe;
mod memory_unsafe;
mod node;
mod server;
mod shim;
mod table_unsafe;
mod tools;
mod tun;
mod virt;
