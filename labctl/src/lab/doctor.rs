//! What this host allows: everything that a lab needs or likes, tried rather than guessed where that is cheap.

mod programs;

pub(crate) use programs::no_programs;

use super::limits;
use super::rundir::RunRoot;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// How a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Labs run; something is slower, smaller or missing.
    Warn,
    /// Labs do not run.
    Fail,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub level: Level,
    /// What was found.
    pub detail: String,
    /// How to mend it; with `ok` there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, detail: detail.into(), mend: None }
    }

    fn warn(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, level: Level::Warn, detail: detail.into(), mend: Some(mend.into()) }
    }

    fn fail(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, level: Level::Fail, detail: detail.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything.
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![kernel(), processors(), clock(), processes(), files(), futex()];
    findings.extend(run_directory());
    findings.extend(programs::examine());
    findings.push(namespaces());
    findings.extend([program("tshark", "tshark"), program("wireshark", "wireshark")]);
    findings
}

/// pidfds are of 5.3, waits with nanoseconds (epoll_pwait2) of 5.11.
fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    match version(release) {
        Some(version) if version >= (5, 11) => Finding::ok("kernel", format!("Linux {release}")),
        _ => Finding::fail("kernel", format!("Linux {release}"), "labs need Linux 5.11 or newer"),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn processors() -> Finding {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => Finding::warn("processors", "1", "nodes that talk to each other take turns: give it two"),
        count => Finding::ok("processors", count.to_string()),
    }
}

/// A clock that is read through the host kernel costs more than a frame.
fn clock() -> Finding {
    let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    match source.as_deref().map(str::trim) {
        Ok(source @ ("tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page")) => {
            Finding::ok("clock", source)
        }
        Ok(source) => {
            Finding::warn("clock", source, "reading it takes a system call: times and rates suffer")
        }
        Err(_) => Finding::ok("clock", "unknown source"),
    }
}

fn processes() -> Finding {
    let nproc = getrlimit(Resource::Nproc).maximum;
    let nproc = nproc.filter(|_| !rustix::process::geteuid().is_root());
    let group = limits::cgroup_pids().map(|(max, used)| max.saturating_sub(used));
    let Some(room) = nproc.into_iter().chain(group).min() else {
        return Finding::ok("processes", "unlimited");
    };
    let mend = "`ulimit -Hu`, nproc in /etc/security/limits.conf, TasksMax= or pids.max; one process a node";
    match room {
        0..64 => Finding::fail("processes", format!("{room} at most"), mend),
        64..1100 => Finding::warn("processes", format!("{room} at most"), mend),
        _ => Finding::ok("processes", format!("{room} at most")),
    }
}

fn files() -> Finding {
    let Some(hard) = getrlimit(Resource::Nofile).maximum else {
        return Finding::ok("open files", "unlimited");
    };
    let mend = "`ulimit -Hn`, nofile in /etc/security/limits.conf";
    match hard {
        0..256 => Finding::fail("open files", format!("{hard} at most"), mend),
        256..4096 => Finding::warn("open files", format!("{hard} at most"), mend),
        _ => Finding::ok("open files", format!("{hard} at most")),
    }
}

/// The lock and the wake-ups of a bus. A sandbox may forbid them.
fn futex() -> Finding {
    use rustix::thread::futex;
    let word = std::sync::atomic::AtomicU32::new(0);
    match futex::wake(&word, futex::Flags::empty(), 1) {
        Ok(_) => Finding::ok("futex", "works"),
        Err(error) => Finding::fail("futex", error.to_string(), "a system call filter forbids it"),
    }
}

/// The directory itself, its file system, and what nodes do in it: a mapped file, sockets.
fn run_directory() -> Vec<Finding> {
    const NAME: &str = "run directory";
    let place = RunRoot::locate();
    let was_there = place.exists();
    let root = match RunRoot::create() {
        Ok(root) => root,
        Err(fault) => {
            return vec![Finding::fail(
                NAME,
                fault.to_string(),
                fault.mend().unwrap_or_else(|| "set LABCTL_DIR".into()),
            )];
        }
    };
    let path = root.path().to_owned();
    let (kind, level) = file_system(&path);
    let detail = format!("{} ({kind})", path.display());
    let mut findings = vec![match level {
        Level::Ok => Finding::ok(NAME, detail),
        Level::Warn => Finding::warn(
            NAME,
            detail,
            "buses are written back to disk: LABCTL_DIR or XDG_RUNTIME_DIR on a tmpfs (/dev/shm, /run/user) is faster",
        ),
        Level::Fail => {
            Finding::fail(NAME, detail, "shared mappings do not work there: set LABCTL_DIR to a local disk")
        }
    }];
    findings.push(space(&path));
    let probe = path.join(format!(".probe-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&probe) {
        findings.push(Finding::fail(
            "bus",
            error.to_string(),
            "set LABCTL_DIR to a folder that can be written",
        ));
    } else {
        findings.push(bus(&probe));
        findings.push(sockets(&probe));
        let _ = fs::remove_dir_all(&probe);
    }
    if !was_there {
        let _ = fs::remove_dir(&path);
    }
    findings
}

fn space(path: &Path) -> Finding {
    let mend = "free some space, or set LABCTL_DIR to a larger file system; a bus takes 4 MiB if `history` says no other";
    match limits::free_octets(path) {
        Some(free) => {
            let detail = format!("{} MiB free", free >> 20);
            match free >> 20 {
                0..8 => Finding::fail("space", detail, mend),
                8..256 => Finding::warn("space", detail, mend),
                _ => Finding::ok("space", detail),
            }
        }
        None => Finding::warn("space", "unknown", mend),
    }
}

/// By the magic numbers of statfs(2).
fn file_system(path: &Path) -> (&'static str, Level) {
    let Ok(stat) = rustix::fs::statfs(path) else { return ("unknown file system", Level::Warn) };
    // The field's width differs between architectures; the numbers fit 32 bits.
    match stat.f_type as u32 {
        0x0102_1994 => ("tmpfs", Level::Ok),
        0x8584_58f6 => ("ramfs", Level::Ok),
        0xef53 => ("ext4", Level::Warn),
        0x5846_5342 => ("xfs", Level::Warn),
        0x9123_683e => ("btrfs", Level::Warn),
        0x2fc1_2fc1 => ("zfs", Level::Warn),
        0xf2f5_2010 => ("f2fs", Level::Warn),
        0x794c_7630 => ("overlayfs", Level::Warn),
        0x6969 => ("nfs", Level::Fail),
        0xff53_4d42 | 0xfe53_4d42 => ("cifs", Level::Fail),
        0x0102_1997 => ("9p", Level::Fail),
        0x6573_5546 => ("fuse", Level::Warn),
        _ => ("other file system", Level::Warn),
    }
}

fn bus(folder: &Path) -> Finding {
    let path = folder.join("bus");
    match shmif::Bus::create(&path, &shmif::BusConfig::new("doctor", "probe")) {
        Ok(_) => Finding::ok("bus", "a bus can be made and mapped"),
        Err(error) => Finding::fail("bus", error.to_string(), "set LABCTL_DIR to a local file system"),
    }
}

fn sockets(folder: &Path) -> Finding {
    let made = UnixListener::bind(folder.join("ctl"))
        .and_then(|_| shmif::Doorbell::bind(folder.join("bell")))
        .map(drop);
    match made {
        Ok(()) => Finding::ok("sockets, FIFOs", "work"),
        Err(error) => {
            Finding::fail("sockets, FIFOs", error.to_string(), "set LABCTL_DIR to a local file system")
        }
    }
}

fn namespaces() -> Finding {
    Finding::ok(
        "privileges",
        if rustix::process::geteuid().is_root() {
            "root, which nothing here needs; no user namespaces are used"
        } else {
            "an ordinary user, which is enough; no user namespaces are used"
        },
    )
}

fn program(name: &'static str, package: &str) -> Finding {
    match on_path(name) {
        Some(path) => Finding::ok(name, path.display().to_string()),
        None => Finding::warn(name, "not found", format!("apt-get install {package}")),
    }
}

/// A program on the path, or where system programs are.
pub fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases() {
        for (release, want) in [
            ("6.18.44-fc", Some((6, 18))),
            ("5.4.0-42-generic", Some((5, 4))),
            ("4.19", Some((4, 19))),
            ("6.1+deb", Some((6, 1))),
            ("", None),
            ("x.y", None),
        ] {
            assert_eq!(version(release), want, "{release}");
        }
    }

    #[test]
    fn every_finding_that_is_not_well_has_its_mend() {
        let findings = examine();
        for finding in &findings {
            assert_eq!(finding.mend.is_none(), finding.level == Level::Ok, "{finding:?}");
        }
        assert!(findings.iter().any(|finding| finding.name == "bus" && finding.level == Level::Ok));
        assert!(
            findings.iter().any(|finding| finding.name == "sockets, FIFOs" && finding.level == Level::Ok)
        );
    }
}
