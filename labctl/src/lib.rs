//! The tool: topology, lab, capture and command line.
#![forbid(unsafe_code)]

pub mod capture;
pub mod cli;
pub mod graph;
pub mod lab;
pub mod topology;
pub mod ui;

pub use lab::test::fixture;
