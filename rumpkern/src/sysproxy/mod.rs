//! Remote clients: system calls of processes outside.
