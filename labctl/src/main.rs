//! `labctl`: see the crate `labctl`.
#![forbid(unsafe_code)]

fn main() {}
