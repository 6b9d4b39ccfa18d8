//! Where the node means to differ from the host kernel. An entry whose case agrees is stale, and fails too.

/// Cases, and why each differs.
pub const DEVIATIONS: &[(&str, &str)] = &[(
    "connect::bound_again_in_time_wait",
    "Linux leaves TIME-WAIT to another object and lets the program bind the old socket to a new port, with which it can \
     do nothing: it can neither listen nor connect. Here the socket itself waits, and refuses.",
)];
