//! How verbs end: exit codes, and what is printed when they fail.
//!
//! 0 done; 1 a check or the work itself failed; 2 usage or topology; 3 the lab's state forbids it; 4 the host refused.

use std::io;
use std::process::ExitCode;

use crate::topology::diag::Diagnostics;

/// How `labctl` exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: a check or the work itself failed.
    Failed,
    /// 2: the command line or the topology is wrong.
    Usage,
    /// 3: the lab's state forbids it: not running, running already.
    State,
    /// 4: the host refused: limits, permissions.
    Host,
    /// Any other: the status of a program that ran on a node (`exec`).
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::State => 3,
            Exit::Host => 4,
            Exit::Program(status) => status,
        })
    }
}

/// Why a verb failed. `hint` is the mend.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The topology has faults.
    #[error("the topology has faults")]
    Topology(#[from] Diagnostics),
    /// The command line asks for what is not there.
    #[error("{message}")]
    Usage {
        /// One line.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The lab's state forbids it.
    #[error("{message}")]
    State {
        /// One line.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The host refused.
    #[error("{message}")]
    Host {
        /// One line.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Whoever read our output has gone: success, as with `grep -q` and `head`.
    #[error("broken pipe")]
    Pipe,
    /// The work itself failed.
    #[error(transparent)]
    Work(#[from] anyhow::Error),
}

impl Failure {
    /// The command line asks for what is not there.
    pub fn usage(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// The lab's state forbids it.
    pub fn state(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::State { message: message.into(), hint: hint.into() }
    }

    /// The host refused.
    pub fn host(message: impl Into<String>, hint: impl Into<Option<String>>) -> Self {
        Self::Host { message: message.into(), hint: hint.into() }
    }

    /// How to exit.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Topology(_) | Self::Usage { .. } => Exit::Usage,
            Self::State { .. } => Exit::State,
            Self::Host { .. } => Exit::Host,
            Self::Pipe => Exit::Done,
            Self::Work(_) => Exit::Failed,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. } | Self::State { hint, .. } | Self::Host { hint, .. } => hint.as_deref(),
            Self::Topology(_) | Self::Pipe | Self::Work(_) => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::Work(error.into()),
        }
    }
}
