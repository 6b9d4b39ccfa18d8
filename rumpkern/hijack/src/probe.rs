//! Whether programs can be run on nodes of this host: tried on one that does nothing.

use crate::launch_unsafe::{Program, launch};
use crate::memory::Memory;
use crate::process;
use crate::seccomp_unsafe::{Call, Listener};
use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;

/// How long a program may take to its first system call that is looked at.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Why a program's system calls cannot be looked at and answered, if they cannot.
    pub refused: Option<String>,
    /// process_vm_readv(2) reads a program's memory.
    pub memory_by_call: bool,
    /// `/proc/PID/mem` does.
    pub memory_by_file: bool,
    /// pidfd_getfd(2) gives copies of its descriptors.
    pub fetches: bool,
}

/// Runs `true` behind the filter up to its first call, and tries on it what a supervisor does.
pub fn probe() -> Probe {
    let refused = |why: String| Probe { refused: Some(why), ..Probe::default() };
    let program =
        Program { path: c"/bin/true".into(), argv: vec![c"true".into()], envp: Vec::<CString>::new() };
    let (child, listener) = match launch(&program, SigSet::empty().as_ref(), &[]) {
        Ok(launched) => launched,
        Err(error) => return refused(error.to_string()),
    };
    let probe = match first_call(&listener) {
        Some(call) => tried(child, &listener, &call),
        None => refused("no call of the program was seen".into()),
    };
    let _ = kill_process(child, Signal::KILL);
    let _ = waitpid(Some(child), WaitOptions::empty());
    probe
}

fn first_call(listener: &Listener) -> Option<Call> {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    let ready = poll(&mut fds, Some(&PATIENCE));
    (ready.is_ok() && fds[0].revents().contains(PollFlags::IN)).then(|| listener.receive().ok().flatten())?
}

/// The program stands still in its call.
fn tried(child: Pid, listener: &Listener, call: &Call) -> Probe {
    let reads = |memory: Memory| {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", call.tid)).unwrap_or_default();
        let first = maps.split('-').next().and_then(|start| u64::from_str_radix(start, 16).ok());
        first.is_some_and(|start| memory.take(call.tid, start, 4).is_ok())
    };
    let (memory_by_call, memory_by_file) = (reads(Memory::Call), reads(Memory::File));
    let fetches = process::fetching_works() && process::Threads::default().copy(call.tid, 0).is_ok();
    let given = match File::open("/dev/null") {
        Ok(null) => listener.finish_with(call, null.as_fd(), true, None).map(drop),
        Err(_) => Ok(()),
    };
    let refused = given.err().map(|errno| format!("process {child:?} cannot be given a descriptor: {errno}"));
    Probe { refused, memory_by_call, memory_by_file, fetches }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_can() {
        let probe = probe();
        assert_eq!(probe.refused, None);
        assert!(probe.memory_by_call || probe.memory_by_file, "{probe:?}");
    }
}
