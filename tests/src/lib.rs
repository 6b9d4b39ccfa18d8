//! The library of the end-to-end tests: labs, captures, programs.
