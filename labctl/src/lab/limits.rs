//! The host's limits: soft ones are raised without a word, hard ones that are too low are said with the mend.

use super::fault::Fault;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;

/// Descriptors `labctl` itself wants for `up`, `down` and `capture` of a lab of any size.
const OWN_DESCRIPTORS: u64 = 256;

/// Processes to leave for whatever else the user runs.
const OTHER_PROCESSES: u64 = 32;

/// The current soft limit of open files.
pub fn soft_nofile() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limits of open files and processes to the hard ones. Children inherit them.
pub fn raise_soft() {
    for resource in [Resource::Nofile, Resource::Nproc] {
        let Rlimit { current, maximum } = getrlimit(resource);
        if current != maximum {
            // Refused only where a policy forbids it: then `check` says whether what there is suffices.
            let _ = setrlimit(resource, Rlimit { current: maximum, maximum });
        }
    }
}

/// Whether so many nodes, the largest with so many interfaces, can run.
///
/// # Errors
/// A hard limit is too low.
pub fn check(nodes: usize, most_interfaces: usize) -> Result<(), Fault> {
    let need = u64::try_from(nodes).unwrap_or(u64::MAX).saturating_add(OTHER_PROCESSES);
    // Root is not bound by RLIMIT_NPROC.
    if let Some(hard) = getrlimit(Resource::Nproc).maximum
        && hard < need
        && !rustix::process::geteuid().is_root()
    {
        return Err(Fault::Limit {
            nodes,
            what: "processes",
            need,
            hard,
            mend: "raise it: `ulimit -Hu`, /etc/security/limits.conf (nproc) or systemd's TasksMax=",
        });
    }
    let descriptors = OWN_DESCRIPTORS.max(64 + 4 * u64::try_from(most_interfaces).unwrap_or(u64::MAX / 8));
    if let Some(hard) = getrlimit(Resource::Nofile).maximum
        && hard < descriptors
    {
        return Err(Fault::Limit {
            nodes,
            what: "open files",
            need: descriptors,
            hard,
            mend: "raise it: `ulimit -Hn`, or /etc/security/limits.conf (nofile)",
        });
    }
    if let Some((hard, used)) = cgroup_pids()
        && hard.saturating_sub(used) < need
    {
        return Err(Fault::Limit {
            nodes,
            what: "processes",
            need: need + used,
            hard,
            mend: "the control group limits them: raise pids.max (systemd: TasksMax=, docker: --pids-limit)",
        });
    }
    Ok(())
}

/// `pids.max` and `pids.current` of our control group, if it limits.
pub fn cgroup_pids() -> Option<(u64, u64)> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let dir = Path::new("/sys/fs/cgroup").join(group);
    // The tightest on the way up counts.
    dir.ancestors()
        .take_while(|dir| dir.starts_with("/sys/fs/cgroup"))
        .filter_map(|dir| {
            let read = |file: &str| -> Option<u64> {
                std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
            };
            Some((read("pids.max")?, read("pids.current")?))
        })
        .min_by_key(|(max, used)| max.saturating_sub(*used))
}

/// Octets free for an ordinary user on the file system of a path.
pub fn free_octets(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_interfaces_for_the_hard_limit() {
        raise_soft();
        assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
        let hard = getrlimit(Resource::Nofile).maximum;
        if let Some(hard) = hard {
            let fault = check(1, usize::try_from(hard).unwrap()).unwrap_err();
            assert_eq!(fault.kind(), super::super::fault::Kind::Host);
            assert!(fault.to_string().contains("open files"), "{fault}");
        }
        check(1, 1).unwrap();
    }
}
