//! System calls on a remote rump kernel.
#![forbid(unsafe_code)]
