//! Built-in programs, written once over the system calls.

use crate::syscall::Sys;
use std::pin::Pin;

/// A program's `main`: its system calls, its arguments (the first is its name), and whether it
/// shall write one JSON object instead of text for people. Returns the exit status.
pub type Main = fn(Sys, Vec<String>, bool) -> Pin<Box<dyn Future<Output = i32>>>;

/// Every program, by name.
pub const PROGRAMS: &[(&str, Main)] = &[];

/// The program with this name.
pub fn find(name: &str) -> Option<Main> {
    PROGRAMS.iter().find(|(known, _)| *known == name).map(|(_, main)| *main)
}
