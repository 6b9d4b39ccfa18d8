//! How the tool is linked: at a fixed address.
//!
//! A position-independent executable has some 20,000 words that the dynamic loader adds its address to at each start. That costs 0.4 ms,
//! twice for a program on a node, and writes to 380 KiB that every node would otherwise share with all others. What it buys, an
//! unpredictable address of the code, is of use against faults of memory, which safe code has not; libraries, stack and
//! heap keep theirs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
