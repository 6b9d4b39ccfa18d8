//! Paths: which are the node's, and what they mean.

/// Where a path leads, with what stands behind the place's own name (empty: the place itself).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// `/proc/net`, `/proc/self/net`, `/proc/PID/net`, `/proc/PID/task/TID/net`.
    ProcNet(&'a str),
    /// `/proc/sys/net`
    SysctlNet(&'a str),
    /// `/proc/sys/kernel/hostname` and `domainname`.
    SysctlKernel(&'a str),
    /// `/sys/class/net`, `/sys/devices/virtual/net`.
    SysNet(&'a str),
    /// One of [`ETC`].
    Etc(&'a str),
}

/// The files below `/etc` that a node has of its own.
const ETC: [&str; 4] = ["hosts", "hostname", "resolv.conf", "nsswitch.conf"];

impl<'a> Place<'a> {
    /// Where a [`normal`] path leads; `None`: to the host.
    pub(super) fn of(path: &'a str) -> Option<Place<'a>> {
        if let Some(name) = path.strip_prefix("/etc/") {
            return ETC.contains(&name).then_some(Place::Etc(name));
        }
        if let Some(sys) = path.strip_prefix("/sys/") {
            return below(sys, "class/net").or_else(|| below(sys, "devices/virtual/net")).map(Place::SysNet);
        }
        let proc = path.strip_prefix("/proc/")?;
        if let Some(sysctl) = proc.strip_prefix("sys/") {
            if let Some(name) = sysctl.strip_prefix("kernel/") {
                return matches!(name, "hostname" | "domainname").then_some(Place::SysctlKernel(name));
            }
            return below(sysctl, "net").map(Place::SysctlNet);
        }
        let of_process = || {
            let (process, rest) = proc.split_once('/')?;
            is_process(process).then_some(())?;
            match rest.strip_prefix("task/") {
                Some(task) => task.split_once('/').filter(|(task, _)| is_number(task)).map(|(_, rest)| rest),
                None => Some(rest),
            }
        };
        let name = below(proc, "net").or_else(|| below(of_process()?, "net"))?;
        // Sockets of AF_UNIX are the host's, also on a node.
        (name != "unix").then_some(Place::ProcNet(name))
    }
}

/// Whether a path may lead to a [`Place`], told by its first octets: most paths do not, and need no second look.
pub(super) fn may_lead(path: &[u8]) -> bool {
    let starts = ["/proc/", "/sys/", "/etc/"].iter().any(|start| path.starts_with(start.as_bytes()));
    starts || path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// What follows the directory `place` in `path`: empty if `path` is the directory itself.
fn below<'a>(path: &'a str, place: &str) -> Option<&'a str> {
    match path.strip_prefix(place)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

fn is_process(name: &str) -> bool {
    matches!(name, "self" | "thread-self") || is_number(name)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// The path without `.`, `..`, doubled and trailing slashes; `None`: not an absolute path, or not UTF-8, so nothing of ours.
pub(super) fn normal(path: &[u8]) -> Option<String> {
    let path = core::str::from_utf8(path).ok()?;
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.iter().fold(String::new(), |path, part| path + "/" + part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Option<String> {
        let path = normal(path.as_bytes())?;
        Place::of(&path).map(|place| format!("{place:?}"))
    }

    #[test]
    fn one_file_has_many_paths() {
        for path in [
            "/proc/net/dev",
            "//proc/./net//dev",
            "/proc/self/net/dev",
            "/proc/thread-self/net/dev",
            "/proc/1234/net/dev",
            "/proc/1234/task/1235/net/dev",
            "/proc/self/task/7/net/dev",
            "/proc/sys/../net/dev",
            "/usr/../proc/net/dev",
            "/./proc/net/dev",
        ] {
            assert_eq!(place(path).as_deref(), Some("ProcNet(\"dev\")"), "{path}");
            assert!(may_lead(path.as_bytes()), "{path}");
        }
        assert_eq!(place("/proc/net/").as_deref(), Some("ProcNet(\"\")"));
        assert_eq!(place("/proc/sys/net/core/somaxconn").as_deref(), Some("SysctlNet(\"core/somaxconn\")"));
        assert_eq!(place("/sys/class/net/eth0/mtu").as_deref(), Some("SysNet(\"eth0/mtu\")"));
        assert_eq!(place("/sys/devices/virtual/net/lo").as_deref(), Some("SysNet(\"lo\")"));
        assert_eq!(place("/etc/hosts").as_deref(), Some("Etc(\"hosts\")"));
    }

    #[test]
    fn the_rest_is_the_hosts() {
        for path in [
            "",
            "proc/net/dev",
            "/",
            "/proc",
            "/proc/network",
            "/proc/self/netstat",
            "/proc/net/unix",
            "/proc/self/net/unix",
            "/proc/x/net/dev",
            "/proc/1/task/net/dev",
            "/proc/1/task/x/net/dev",
            "/proc/sys/kernel/ostype",
            "/proc/sys/network",
            "/sys/class/network",
            "/sys/class/net/../block/sda",
            "/etc/hosts.allow",
            "/etc/hosts/x",
            "/etc/passwd",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
        assert_eq!(normal(b"/proc/net/\xff"), None);
    }
}
