//! What the verbs on a running lab share: which lab is meant, who speaks to its nodes, and faults as failures.

use super::{Failure, Global};
use crate::lab::fault::{Fault, Kind};
use crate::lab::interrupt::Interrupt;
use crate::lab::rundir::{LabDir, RunRoot};
use crate::lab::session::{Manners, Session};
use crate::lab::{select, view};
use std::sync::Arc;

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let (message, mend) = (fault.to_string(), fault.mend());
        match fault.kind() {
            // The message has what the system said: printed with its sources, it would say so twice.
            Kind::Failed => Self::Work(anyhow::Error::msg(message)),
            Kind::Usage => Self::usage(message, mend),
            Kind::State => Self::state(message, mend),
            Kind::Host => Self::host(message, mend),
        }
    }
}

/// The lab that the command line means, whether it runs or not.
pub(super) fn lab(global: &Global) -> Result<LabDir, Failure> {
    let root = RunRoot::open()?;
    // Several topologies in this folder name none of them.
    let topology = global.topology_file().ok();
    Ok(select::lab(root.as_ref(), global.lab.as_deref(), topology.as_deref())?)
}

/// The lab that the command line means, which must be up, and the means to speak to its nodes.
pub(super) fn session(global: &Global) -> Result<Session, Failure> {
    let dir = lab(global)?;
    let state = view::started(&dir)?;
    Ok(Session::new(dir, Arc::new(state)))
}

/// Does work that Ctrl-C ends; a second thread waits for it.
pub(super) fn attended<T: Send>(
    session: &Session,
    work: impl FnOnce(&Session) -> Result<T, Fault> + Send,
) -> Result<T, Failure> {
    let interrupt = Interrupt::catch()?;
    let (result, _) = session.attend(&interrupt, None, Manners::Ask, || None, || work(session))?;
    Ok(result?)
}
