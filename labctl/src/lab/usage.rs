//! What a node's process uses of its host: memory that only it has, and processor time.

use super::process::Identity;
use std::fs;
use std::ops::Sub;

/// What a process has, or what it has used in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets that nobody shares (`Private_*` of `smaps_rollup`).
    pub private: i64,
    /// Nanoseconds on a processor (the first number of `schedstat`; a node is one thread).
    pub cpu_ns: i64,
}

impl Usage {
    /// Of a process; `None` where the host does not say, or there is no such process any more.
    pub fn of(process: Identity) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.pid)).ok();
        let usage =
            Self { private: private(&read("smaps_rollup")?)?, cpu_ns: on_processor(&read("schedstat")?)? };
        (Identity::of(process.pid)?.0 == process).then_some(usage)
    }
}

/// What a look every second may ask for: memory without a walk through all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Octets that are in memory, those that it shares with others too (the second number of `statm`).
    pub resident: u64,
    /// As [`Usage::cpu_ns`].
    pub cpu_ns: u64,
}

impl Load {
    /// Of a process; `None` where the host does not say, or there is none of that number. Whether it is still the one that is
    /// meant, [`Identity::life`] says.
    pub fn of(process: Identity) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.pid)).ok();
        let pages: u64 = read("statm")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        let resident = pages * u64::try_from(rustix::param::page_size()).ok()?;
        Some(Self { resident, cpu_ns: u64::try_from(on_processor(&read("schedstat")?)?).ok()? })
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { private: self.private - before.private, cpu_ns: self.cpu_ns - before.cpu_ns }
    }
}

fn private(rollup: &str) -> Option<i64> {
    let kib = |key: &str| -> Option<i64> {
        let rest = rollup.lines().find_map(|line| line.strip_prefix(key))?;
        rest.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some((kib("Private_Clean:")? + kib("Private_Dirty:")?) << 10)
}

fn on_processor(schedstat: &str) -> Option<i64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_the_host_writes_it() {
        let rollup = "00400000-7ffd0000 ---p 00000000 00:00 0   [rollup]\nRss:  900 kB\n\
                      Shared_Dirty:       8 kB\nPrivate_Clean:       12 kB\nPrivate_Dirty:      400 kB\n";
        assert_eq!(private(rollup), Some(412 << 10));
        assert_eq!(private("Private_Clean: 1 kB\n"), None);
        assert_eq!((on_processor("123456 78 9\n"), on_processor("")), (Some(123_456), None));
    }

    #[test]
    fn this_process_uses_something() {
        let (me, _) = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let usage = Usage::of(me).unwrap();
        assert!(usage.private > 0 && usage.cpu_ns > 0, "{usage:?}");
        let load = Load::of(me).unwrap();
        assert!(load.resident >= usage.private.cast_unsigned() / 2 && load.cpu_ns > 0, "{load:?} {usage:?}");
        assert_eq!(
            Usage::of(Identity { start: me.start + 1, ..me }),
            None,
            "a pid that somebody else has now"
        );
    }
}
