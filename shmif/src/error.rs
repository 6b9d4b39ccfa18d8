//! What can go wrong with a bus file, one enum per operation. Frames never come here: they become counted drops.

use std::io;
use std::path::PathBuf;

use crate::layout;

/// Why a bus could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A name does not fit into the header.
    #[error("{what} name {name:?} of {} octets: 1 to {max} are allowed, without NUL", name.len())]
    Name {
        /// `lab` or `bus`.
        what: &'static str,
        /// The name.
        name: String,
        /// Most octets.
        max: usize,
    },
    /// The ring is longer than a bus can have.
    #[error("history of {0} octets: at most {max} are allowed", max = layout::MAX_RING)]
    History(u64),
    /// No ports, or more than a bus can have.
    #[error("{0} ports: 1 to {max} are allowed", max = layout::MAX_PORTS)]
    MaxPorts(u32),
    /// The system refused.
    #[error("{path}: {doing}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The new file could not be opened again.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why a file could not be opened as a bus.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("{path}: {doing}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not a regular file.
    #[error("{path}: not a regular file", path = .0.display())]
    NotAFile(PathBuf),
    /// Shorter than a header.
    #[error("{path}: {found} octets, a bus file has at least {expected}", path = path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The least.
        expected: u64,
    },
    /// Another kind of file.
    #[error("{path}: not a bus file: magic number {found:#010x}, expected {expected:#010x}", path = path.display())]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first word.
        found: u32,
        /// What a bus file has.
        expected: u32,
    },
    /// A bus of another time (version 3 is NetBSD's own).
    #[error("{path}: bus format version {found}, expected {expected}", path = path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// A number in the header that cannot be.
    #[error("{path}: header says {field} {found}, expected {expected}", path = path.display())]
    Geometry {
        /// The file.
        path: PathBuf,
        /// Which number.
        field: &'static str,
        /// What it is.
        found: u64,
        /// What it may be.
        expected: String,
    },
    /// The file is shorter than its header says.
    #[error("{path}: truncated: {found} octets, its header says {expected}", path = path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// What it should be.
        expected: u64,
    },
    /// Somebody else's bus.
    #[error("{path}: owned by user {found}, expected {expected}: a lab belongs to one user", path = path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: u32,
        /// Who we are.
        expected: u32,
    },
}

/// Why a port could not be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The bus was opened for reading only.
    #[error("{}: opened for reading only", .0.display())]
    ReadOnly(PathBuf),
    /// The file has shrunk under us.
    #[error("{}: the file was truncated while in use", .0.display())]
    Broken(PathBuf),
    /// A name does not fit into the slot.
    #[error("{what} {name:?} of {} octets: at most {max} are allowed, without NUL", name.len())]
    Name {
        /// `node`, `interface` or `doorbell`.
        what: &'static str,
        /// The name.
        name: String,
        /// Most octets.
        max: usize,
    },
    /// A group address cannot be a port's own.
    #[error("MAC {} is a group address", crate::port::Mac(*.0))]
    GroupMac([u8; 6]),
    /// Every slot has a live owner.
    #[error("{}: all {max} ports are taken by live processes", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// How many there are.
        max: u32,
    },
}
