//! Who owns a port, and whether that process is still there: `/proc/PID/stat`.
//!
//! A pid alone may have passed to another process; with the start time (clock ticks since boot, low 32 bits) it names one for good.

use std::fmt;

/// A process: pid and start time, as a port slot stores them in one word. 0 is nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner(u64);

/// What has become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs or sleeps.
    Alive,
    /// SIGSTOP or a tracer holds it: it will not do anything by itself.
    Stopped,
    /// It is gone, or a zombie.
    Dead,
}

impl Owner {
    pub(crate) const NOBODY: Owner = Owner(0);

    pub(crate) fn from_word(word: u64) -> Owner {
        Owner(word)
    }
    pub(crate) fn word(self) -> u64 {
        self.0
    }
    pub(crate) fn pid(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The process that runs this code.
    pub(crate) fn myself() -> Owner {
        let pid = std::process::id();
        let start = stat(pid).map_or(0, |s| s.start);
        Owner(u64::from(pid) << 32 | u64::from(start))
    }

    /// Looks it up; costs a few microseconds, so never for each frame.
    pub(crate) fn state(self) -> State {
        if self.pid() == 0 || self.pid() > i32::MAX as u32 {
            return State::Dead;
        }
        match stat(self.pid()) {
            Some(s) if s.start != self.0 as u32 => State::Dead,
            Some(s) => s.state,
            // No entry: dead, unless /proc is not there at all.
            None if stat(std::process::id()).is_some() => State::Dead,
            None => match rustix::process::Pid::from_raw(self.pid() as i32)
                .map(rustix::process::test_kill_process)
            {
                Some(Err(rustix::io::Errno::SRCH)) | None => State::Dead,
                Some(Ok(()) | Err(_)) => State::Alive,
            },
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} started {}", self.pid(), self.0 as u32)
    }
}

struct Stat {
    state: State,
    start: u32,
}

/// proc(5): `pid (comm) state …`; the command may contain anything, so everything is counted from the last `)`.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&text)
}

fn parse(text: &[u8]) -> Option<Stat> {
    let after = text.iter().rposition(|&b| b == b')')? + 1;
    let rest = std::str::from_utf8(&text[after..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let letter = fields.next()?;
    // Fields 20 (num_threads) and 22 (starttime) of proc(5), state being field 3.
    let threads: i64 = fields.nth(16)?.parse().ok()?;
    let start: u64 = fields.nth(1)?.parse().ok()?;
    let state = match letter {
        // The first thread of a process may be gone while others live on.
        "Z" if threads > 1 => State::Alive,
        "Z" | "X" | "x" => State::Dead,
        "T" | "t" => State::Stopped,
        _ => State::Alive,
    };
    Some(Stat { state, start: start as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_proc_is_read_from_its_last_parenthesis() {
        let line = |state: &str, threads: u32| {
            format!(
                "7 (a) Z (b)) {state} 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 4242 1000 1 18446744073709551615\n"
            )
        };
        for (text, state) in [
            (line("S", 1), State::Alive),
            (line("R", 9), State::Alive),
            (line("T", 1), State::Stopped),
            (line("t", 1), State::Stopped),
            (line("Z", 1), State::Dead),
            (line("Z", 2), State::Alive),
            (line("X", 0), State::Dead),
        ] {
            let stat = parse(text.as_bytes()).expect("well-formed");
            assert_eq!((stat.state, stat.start), (state, 4242), "{text}");
        }
        for bad in ["", "7 (x", "7 (x) S", "7 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 x 18 19"] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_process_is_alive_then_stopped_then_a_zombie_then_gone() {
        use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
        assert_eq!(Owner::myself().state(), State::Alive);
        assert_eq!(Owner::NOBODY.state(), State::Dead);
        assert_eq!(
            Owner(Owner::myself().0 ^ 1).state(),
            State::Dead,
            "the same pid with another start time is another process"
        );
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("spawn sleep");
        let start = stat(child.id()).expect("child").start;
        let owner = Owner(u64::from(child.id()) << 32 | u64::from(start));
        assert_eq!(owner.state(), State::Alive);
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).expect("stop");
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("wait for the stop");
        assert_eq!(owner.state(), State::Stopped);
        kill_process(pid, Signal::KILL).expect("kill");
        // WNOWAIT leaves the zombie in place.
        rustix::process::waitid(
            rustix::process::WaitId::Pid(pid),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .expect("wait for the end");
        assert_eq!(owner.state(), State::Dead);
        child.wait().expect("reap");
        assert_eq!(owner.state(), State::Dead);
    }
}
