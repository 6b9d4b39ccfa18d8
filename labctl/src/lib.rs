//! The tool: topology, lab, capture and command line.
#![forbid(unsafe_code)]

pub mod capture;
pub mod lab;
