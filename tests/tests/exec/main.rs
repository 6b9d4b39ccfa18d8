//! Unmodified programs from Debian on nodes: an ordinary user runs them across a router, with user namespaces refused.

mod config;
mod jobs;
mod names;
mod probe;
mod ssh;
mod transfer;
mod web;
