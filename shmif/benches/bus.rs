//! Benchmarks of the bus.
fn main() {}
