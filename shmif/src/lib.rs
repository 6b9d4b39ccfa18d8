//! A shared-memory Ethernet bus in a file.
