//! A lab as it is now: what `lab.json` says was started, and what the host says lives.

use super::fault::Fault;
use super::lock::LabLock;
use super::process::{self, Identity, Life, NodeProcess};
use super::rundir::LabDir;
use super::state::{LabState, NodeState, Phase};
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeLife {
    /// It runs.
    Running,
    /// Its process is stopped by a signal.
    Paused,
    /// Ended on purpose (`labctl stop`).
    Stopped,
    /// Ended, and not cleanly asked to.
    Dead,
}

impl NodeLife {
    /// Of a node whose process is so, or that has none.
    pub const fn of(node: &NodeState, process: Option<Life>) -> Self {
        match process {
            Some(Life::Running) => Self::Running,
            Some(Life::Paused) => Self::Paused,
            Some(Life::Dead) | None if node.stopped => Self::Stopped,
            Some(Life::Dead) | None => Self::Dead,
        }
    }

    /// As `ps` shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Dead => "dead",
        }
    }
}

/// Whether a lab lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabLife {
    /// Every node that should run does.
    Up,
    /// Some do not, or `up` was killed at its work.
    HalfUp,
    /// None does.
    Dead,
}

impl LabLife {
    /// As `ps` shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::HalfUp => "half up",
            Self::Dead => "dead",
        }
    }
}

/// A lab that is there.
#[derive(Debug)]
pub struct LabView {
    /// Where.
    pub dir: LabDir,
    /// What was started. A lab without it is half up, see [`Presence`].
    pub state: LabState,
    processes: BTreeMap<String, Vec<NodeProcess>>,
}

/// What there is of a lab.
#[derive(Debug)]
pub enum Presence {
    /// Nothing.
    Absent,
    /// A directory that a `labctl` did not finish, and so many processes.
    Half {
        /// Nodes that live.
        processes: Vec<NodeProcess>,
    },
    /// A lab that was started, whatever became of it.
    There(Box<LabView>),
}

impl Presence {
    /// Looks.
    ///
    /// # Errors
    /// Another user's directory, a damaged state.
    pub fn of(dir: &LabDir) -> Result<Self, Fault> {
        if !dir.exists()? {
            return Ok(Self::Absent);
        }
        let state = LabState::load(dir)?;
        let mut processes = process::of_lab(dir);
        Ok(match state {
            Some(state) if state.phase == Phase::Up => {
                // A node run by hand, by another path to its config, is known by its pid file only.
                for node in &state.nodes {
                    if !processes.contains_key(&node.name)
                        && let Some(found) = by_pid_file(dir, &node.name)
                    {
                        processes.insert(node.name.clone(), vec![found]);
                    }
                }
                Self::There(Box::new(LabView { dir: dir.clone(), state, processes }))
            }
            _ => Self::Half { processes: processes.into_values().flatten().collect() },
        })
    }
}

fn by_pid_file(dir: &LabDir, node: &str) -> Option<NodeProcess> {
    let id = Identity::from_pid_file(&dir.node(node).pid())?;
    let life = id.life();
    (life != Life::Dead).then(|| NodeProcess { id, life, config: dir.node(node).config() })
}

impl LabView {
    /// The process of a node, if one lives.
    pub fn process(&self, node: &str) -> Option<&NodeProcess> {
        self.processes.get(node)?.first()
    }

    /// Whether a node lives.
    pub fn life(&self, node: &NodeState) -> NodeLife {
        NodeLife::of(node, self.process(&node.name).map(|process| process.life))
    }

    /// Whether the lab lives.
    pub fn lab_life(&self) -> LabLife {
        let lives: Vec<_> = self.state.nodes.iter().map(|node| self.life(node)).collect();
        let alive = |life: &NodeLife| matches!(life, NodeLife::Running | NodeLife::Paused);
        if !lives.contains(&NodeLife::Dead) {
            LabLife::Up
        } else if lives.iter().any(alive) {
            LabLife::HalfUp
        } else {
            LabLife::Dead
        }
    }

    /// How many nodes live.
    pub fn running(&self) -> usize {
        self.processes.len()
    }
}

/// What was started, for a verb that speaks to one node: without a look at every process of the host.
///
/// # Errors
/// The lab is missing, being changed, or half up.
pub fn started(dir: &LabDir) -> Result<LabState, Fault> {
    let lab = || dir.name().to_owned();
    if !dir.exists()? {
        return Err(Fault::NotRunning { lab: lab() });
    }
    match LabState::load(dir)? {
        Some(state) if state.phase == Phase::Up => Ok(state),
        _ => {
            // Somebody is at it, or was killed at it.
            match LabLock::take(dir, Duration::ZERO)? {
                None => Err(Fault::NotRunning { lab: lab() }),
                Some(_) => match LabState::load(dir)? {
                    Some(state) if state.phase == Phase::Up => Ok(state),
                    _ => Err(Fault::HalfUp { lab: lab() }),
                },
            }
        }
    }
}

/// Refuses a lab of which no node lives; one whose nodes were all stopped on purpose is well.
///
/// # Errors
/// The lab is missing, dead, or half made with nothing alive in it.
pub fn alive(dir: &LabDir) -> Result<(), Fault> {
    let lab = dir.name().to_owned();
    match Presence::of(dir)? {
        Presence::Absent => Err(Fault::NotRunning { lab }),
        Presence::Half { processes } if processes.is_empty() => Err(Fault::HalfUp { lab }),
        Presence::There(view) if view.lab_life() == LabLife::Dead => {
            Err(Fault::Dead { lab, nodes: view.state.nodes.len() })
        }
        Presence::Half { .. } | Presence::There(_) => Ok(()),
    }
}

/// The process of a node that must run.
///
/// # Errors
/// It, or its whole lab, does not.
pub fn running_node(dir: &LabDir, state: &LabState, name: &str) -> Result<Identity, Fault> {
    let node = state.expect_node(name)?;
    let process = by_pid_file(dir, name)
        .or_else(|| process::of_lab(dir).remove(name).and_then(|mut processes| processes.pop()));
    let (lab, node_name) = (state.lab.clone(), name.to_owned());
    match (NodeLife::of(node, process.as_ref().map(|process| process.life)), process) {
        (NodeLife::Running, Some(process)) => Ok(process.id),
        (NodeLife::Paused, Some(process)) => {
            Err(Fault::NodePaused { lab, node: node_name, pid: process.id.pid })
        }
        (life, _) => {
            if life == NodeLife::Dead && process::of_lab(dir).is_empty() {
                return Err(Fault::Dead { lab, nodes: state.nodes.len() });
            }
            Err(Fault::NodeNotRunning { lab, node: node_name, state: life.as_str() })
        }
    }
}
