//! One node of a running lab: speak to it, start it, end it. The rest of the lab lives on.

use super::fault::Fault;
use super::interrupt::Interrupt;
use super::launch;
use super::lock::{LabLock, PATIENCE};
use super::process::{self, GRACE, How, Identity};
use super::rundir::LabDir;
use super::state::LabState;
use super::{program, supervisors, view};
use rumpkern::ctl::{Client, ClientError};
use std::time::Duration;

/// How long a node may take to answer. A node answers in microseconds; one that does not is stopped or stuck.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A connection to a node that runs; every answer is waited for at most [`ANSWER_WAIT`].
///
/// # Errors
/// The node or its lab does not run, or does not answer.
pub fn connect(dir: &LabDir, state: &LabState, node: &str) -> Result<Client, Fault> {
    view::running_node(dir, state, node)?;
    open(dir, node)
}

/// The same for a node that is known to run.
///
/// # Errors
/// It does not answer.
pub fn open(dir: &LabDir, node: &str) -> Result<Client, Fault> {
    let mut client =
        Client::connect(&dir.node(node).ctl()).map_err(|error| fault(dir.name(), node, error))?;
    client.set_timeout(Some(ANSWER_WAIT)).map_err(|error| fault(dir.name(), node, error))?;
    Ok(client)
}

/// A control call's failure in words for people.
pub fn fault(lab: &str, node: &str, error: ClientError) -> Fault {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, TimedOut, WouldBlock};
    let (lab, node) = (lab.to_owned(), node.to_owned());
    match error {
        ClientError::Io(error) if matches!(error.kind(), WouldBlock | TimedOut) => {
            Fault::NoAnswer { lab, node, seconds: ANSWER_WAIT.as_secs() }
        }
        ClientError::Connect(error) if matches!(error.kind(), NotFound | ConnectionRefused) => {
            Fault::NoSocket { lab, node }
        }
        other => Fault::Refused { node, message: other.to_string() },
    }
}

/// How a node is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM: it detaches from its buses.
    Stop,
    /// SIGKILL: the buses find out.
    Kill,
}

/// Ends nodes; ones that are ended already are left as they are.
///
/// # Errors
/// No such node or lab, none of its nodes lives, or a process does not end.
pub fn end(dir: &LabDir, names: &[String], how: End) -> Result<(), Fault> {
    supervisors::outside()?;
    let (_lock, mut state) = locked(dir)?;
    check_names(&state, names)?;
    view::alive(dir)?;
    let alive = process::of_lab(dir);
    let live: Vec<_> = names.iter().filter(|name| alive.contains_key(*name)).cloned().collect();
    // A node that was killed is dead, as after a power cut; one that was stopped is only stopped. One that had crashed
    // before stays dead, so that `ps` goes on saying so.
    mark(dir, &mut state, &live, how == End::Stop)?;
    end_processes(dir, names, how)
}

/// Starts nodes that are stopped or dead, and the topology's programs on them.
///
/// # Errors
/// No such node or lab, one runs already, or one or a program does not start.
pub fn start(dir: &LabDir, names: &[String], interrupt: &Interrupt) -> Result<(), Fault> {
    supervisors::outside()?;
    let (_lock, mut state) = locked(dir)?;
    check_names(&state, names)?;
    let processes = process::of_lab(dir);
    for name in names {
        if let Some(process) = processes.get(name).and_then(|processes| processes.first()) {
            return Err(Fault::NodeRunning { lab: state.lab, node: name.clone(), pid: process.id.pid });
        }
    }
    launch(dir, &mut state, names, interrupt)
}

/// Ends nodes cleanly and starts them from their configs: whatever was changed at run time is gone.
///
/// # Errors
/// As [`end`] and [`start`].
pub fn restart(dir: &LabDir, names: &[String], interrupt: &Interrupt) -> Result<(), Fault> {
    supervisors::outside()?;
    let (_lock, mut state) = locked(dir)?;
    check_names(&state, names)?;
    view::alive(dir)?;
    end_processes(dir, names, End::Stop)?;
    launch(dir, &mut state, names, interrupt)
}

/// Stops the processes of nodes, or lets them go on: a paused node does nothing, and its wires go on without it.
///
/// # Errors
/// No such node or lab, or one does not run.
pub fn pause(dir: &LabDir, names: &[String], paused: bool) -> Result<(), Fault> {
    supervisors::outside()?;
    let (_lock, state) = locked(dir)?;
    check_names(&state, names)?;
    let alive = process::of_lab(dir);
    for name in names {
        let Some(process) = alive.get(name).and_then(|processes| processes.first()) else {
            let state = "down";
            return Err(Fault::NodeNotRunning { lab: dir.name().to_owned(), node: name.clone(), state });
        };
        process::pause(process.id, paused)?;
    }
    Ok(())
}

fn launch(dir: &LabDir, state: &mut LabState, names: &[String], interrupt: &Interrupt) -> Result<(), Fault> {
    super::limits::raise_soft();
    let mut unique: Vec<&str> = names.iter().map(String::as_str).collect();
    unique.sort_unstable();
    unique.dedup();
    for name in &unique {
        // Killed a moment ago, it may still hold its sockets.
        if let Some(last) = Identity::from_pid_file(&dir.node(name).pid())
            && let Some(id) = process::await_end(&[last], GRACE)?.first()
        {
            return Err(Fault::NodeRunning { lab: state.lab.clone(), node: (*name).to_owned(), pid: id.pid });
        }
    }
    let mut children = Vec::new();
    launch::start_nodes(dir, &unique, interrupt, &mut children, &mut |_| ()).inspect_err(|_| {
        // What did not become ready must not linger half alive.
        let _ = end_processes(dir, names, End::Kill);
    })?;
    mark(dir, state, names, false)?;
    let programs: Vec<_> = state.programs.iter().filter(|program| names.contains(&program.node)).collect();
    program::start(dir, &programs, interrupt, None)
}

/// The right to change a lab that is up, and what was started.
fn locked(dir: &LabDir) -> Result<(LabLock, LabState), Fault> {
    if !dir.exists()? {
        return Err(Fault::NotRunning { lab: dir.name().to_owned() });
    }
    let Some(lock) = LabLock::take(dir, PATIENCE)? else {
        return Err(Fault::NotRunning { lab: dir.name().to_owned() });
    };
    match LabState::load(dir)? {
        Some(state) if state.phase == super::state::Phase::Up => Ok((lock, state)),
        _ => Err(Fault::HalfUp { lab: dir.name().to_owned() }),
    }
}

fn check_names(state: &LabState, names: &[String]) -> Result<(), Fault> {
    names.iter().try_for_each(|name| state.expect_node(name).map(drop))
}

fn mark(dir: &LabDir, state: &mut LabState, names: &[String], stopped: bool) -> Result<(), Fault> {
    for node in &mut state.nodes {
        if names.contains(&node.name) {
            node.stopped = stopped;
        }
    }
    state.save(dir)
}

/// Ends nodes, and what runs on them: before a node that is stopped, after one that is killed.
fn end_processes(dir: &LabDir, names: &[String], how: End) -> Result<(), Fault> {
    match how {
        End::Stop => {
            supervisors::end(dir, |node| names.iter().any(|name| name == node))?;
            end_nodes(dir, names, how)
        }
        End::Kill => {
            end_nodes(dir, names, how)?;
            supervisors::follow(dir, names)
        }
    }
}

fn end_nodes(dir: &LabDir, names: &[String], how: End) -> Result<(), Fault> {
    let ids: Vec<_> = process::of_lab(dir)
        .into_iter()
        .filter(|(node, _)| names.contains(node))
        .flat_map(|(_, processes)| processes)
        .map(|process| process.id)
        .collect();
    let how = match how {
        End::Stop => How::Clean(GRACE),
        End::Kill => How::Kill,
    };
    let left = process::end(&ids, how)?;
    match left.first() {
        Some(first) => {
            Err(Fault::Unkillable { lab: dir.name().to_owned(), count: left.len(), pid: first.pid })
        }
        None => Ok(()),
    }
}
