//! The tool: topology, lab, capture and command line.
#![forbid(unsafe_code)]
