//! A rump kernel: one node in one process.
