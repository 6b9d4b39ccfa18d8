//! Whether programs can be run on nodes here. Labs need none of it.

use super::{Finding, version};
use crate::lab::fault::Fault;
use rumphijack::Probe;
use std::fs;

/// What is found about it, each by its name.
pub(super) fn examine() -> Vec<Finding> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
    let mut findings = vec![kernel(release.trim())];
    findings.extend(tried(&rumphijack::probe()));
    findings.extend([yama(scope.as_deref().map(str::trim)), setuid()]);
    findings
}

/// A refusal of the host's, with the mend that this host needs.
pub(crate) fn no_programs(why: &str) -> Fault {
    let mend = examine().into_iter().find_map(|finding| finding.mend);
    let mend = mend.unwrap_or_else(|| "`labctl doctor` says what programs on nodes need".into());
    Fault::NoPrograms { why: why.to_owned(), mend }
}

/// A descriptor is given with an answer since 5.14, the answer wakes the program at once since 6.6.
fn kernel(release: &str) -> Finding {
    const NAME: &str = "exec: kernel";
    match version(release) {
        Some(version) if version >= (6, 6) => {
            Finding::ok(NAME, "6.6 or newer: a call that is looked at takes 4 us")
        }
        Some(version) if version >= (5, 14) => Finding::warn(
            NAME,
            "a call that is looked at takes 13 us",
            "Linux 6.6 or newer wakes programs faster",
        ),
        _ => Finding::warn(
            NAME,
            "too old to run programs on nodes",
            "Linux 5.14 or newer has what `exec` needs",
        ),
    }
}

fn tried(probe: &Probe) -> Vec<Finding> {
    const SECCOMP: &str = "exec: seccomp";
    if let Some(why) = &probe.refused {
        let mend = "a container's or sandbox's filter must allow seccomp(2) with user notification; programs cannot be run on nodes without";
        return vec![Finding::warn(SECCOMP, why, mend)];
    }
    let memory = "exec: memory";
    let descriptors = "exec: descriptors";
    vec![
        Finding::ok(SECCOMP, "a program's calls can be looked at and answered"),
        match (probe.memory_by_call, probe.memory_by_file) {
            (true, _) => Finding::ok(memory, "read by process_vm_readv"),
            (false, true) => Finding::ok(memory, "read by /proc/PID/mem: process_vm_readv is refused"),
            (false, false) => Finding::warn(
                memory,
                "neither process_vm_readv nor /proc/PID/mem reads a program's memory",
                "`sysctl kernel.yama.ptrace_scope=1`, or a container's profile that allows process_vm_readv",
            ),
        },
        if probe.fetches {
            Finding::ok(descriptors, "copied by pidfd_getfd")
        } else {
            Finding::warn(
                descriptors,
                "pidfd_getfd is refused: copies are kept, and what a program closes is noticed late",
                "let the container's profile allow pidfd_getfd",
            )
        },
    ]
}

fn yama(scope: Option<&str>) -> Finding {
    match scope {
        None => Finding::ok("yama", "not there"),
        Some("0" | "1") => Finding::ok("yama", format!("ptrace_scope {}", scope.unwrap_or_default())),
        Some(scope) => Finding::warn(
            "yama",
            format!(
                "ptrace_scope {scope}: the memory of programs cannot be read, so none can be run on nodes"
            ),
            "`sysctl kernel.yama.ptrace_scope=1` (3 stays until the host is started anew)",
        ),
    }
}

fn setuid() -> Finding {
    Finding::ok(
        "exec: setuid",
        "sudo, su and other programs with rights of their own have none of them on a node",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn what_a_host_lacks_is_said_with_its_mend() {
        let level = |release| kernel(release).level;
        assert_eq!(
            (level("6.18.1"), level("6.1.0-42-amd64"), level("5.10.0")),
            (Level::Ok, Level::Warn, Level::Warn)
        );
        assert!(kernel("5.10.0").mend.is_some_and(|mend| mend.contains("5.14")));
        for (scope, want) in
            [(None, Level::Ok), (Some("1"), Level::Ok), (Some("2"), Level::Warn), (Some("3"), Level::Warn)]
        {
            assert_eq!(yama(scope).level, want, "{scope:?}");
        }
        let all = Probe { refused: None, memory_by_call: true, memory_by_file: true, fetches: true };
        let warned = |probe: &Probe| -> Vec<&'static str> {
            tried(probe).iter().filter(|one| one.level != Level::Ok).map(|one| one.name).collect()
        };
        assert_eq!(warned(&all), [""; 0]);
        // As podman's profile has it, and Docker's.
        assert_eq!(warned(&Probe { memory_by_call: false, ..all.clone() }), [""; 0]);
        assert_eq!(warned(&Probe { fetches: false, ..all.clone() }), ["exec: descriptors"]);
        let none = Probe { memory_by_call: false, memory_by_file: false, ..all.clone() };
        assert_eq!(warned(&none), ["exec: memory"]);
        assert_eq!(warned(&Probe { refused: Some("no".into()), ..all }), ["exec: seccomp"]);
    }
}
