//! Where to run: at home or anywhere.
//!
//! A frame that crosses sleeping nodes wakes one after the other, and a host prefers to wake each on a core that is idle: from
//! there it costs tens of microseconds (the core has to come out of its halt), on the waker's own core three. So the nodes of a lab
//! share a core, their *home*, as long as they use little of it: what they do one after the other needs no second one.
//! A node that uses a good part of the core, or waits for it, leaves for a core that no other such node of the lab has ([`super::claim`]), or for
//! any, where it may also poll; after a while it tries again to live at home, each time in vain after a longer while. One that has to wait for
//! most of the time for the core that it has claimed leaves that for any.

use super::claim::{Claim, Claims};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::os::fd::OwnedFd;
use std::path::Path;

/// How often use is looked at, nanoseconds: a look costs a microsecond.
const WINDOW: u64 = 4_000_000;
/// A node that uses more than this share (one in so many) of the core, or waits for it, has too little room there.
const LEAVES: u64 = 4;
/// Looks in a row that must find too little room: one may be the host's doing.
const SURE: u32 = 2;
/// A node that waits for more than this share of the time for the core that it has claimed has the worst of it.
const YIELDS: u64 = 2;
/// A node that uses less than this share of a core, and waits less, returns.
const RETURNS: u64 = 8;
/// For how long a node stays away at first, and at most, nanoseconds.
const AWAY: (u64, u64) = (50_000_000, 2_000_000_000);
/// A node that lived at home for this long, nanoseconds, and leaves then, has tried well.
const SETTLED: u64 = 1_000_000_000;

/// The home of a node, and whether it is there.
#[derive(Debug)]
pub(super) struct Home {
    home: CpuSet,
    anywhere: CpuSet,
    /// The same as numbers, home the last.
    cores: Vec<usize>,
    claims: Option<Claims>,
    claim: Option<Claim>,
    /// `/proc/self/schedstat`: nanoseconds on a core, nanoseconds waiting for one.
    schedstat: OwnedFd,
    residence: Residence,
}

impl Home {
    /// The `nth` of the cores that this process may run on, counted round, is its home; it goes there after its birth. `node` is its
    /// directory. `None`: there is only one core, or the host does not say who waits for how long.
    pub(super) fn new(nth: usize, node: &Path, now: u64) -> Option<Home> {
        let anywhere = sched_getaffinity(None).ok()?;
        let mut cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| anywhere.is_set(core)).collect();
        if cores.len() < 2 {
            return None;
        }
        let behind = (nth + 1) % cores.len();
        cores.rotate_left(behind);
        let home = only(*cores.last()?);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let schedstat = rustix::fs::openat(CWD, "/proc/self/schedstat", flags, Mode::empty()).ok()?;
        let residence = Residence::new(now, read(&schedstat)?);
        let claims = Claims::of_lab(node);
        Some(Home { home, anywhere, cores, claims, claim: None, schedstat, residence })
    }

    /// Whether the node is at home, where others need the core that it would poll on.
    pub(super) fn is_home(&self) -> bool {
        self.residence.at_home
    }

    /// Looks, if it is time for it, whether the node should move, and moves it.
    #[inline]
    pub(super) fn look(&mut self, now: u64) {
        if now >= self.residence.next_look {
            self.look_now(now);
        }
    }

    #[cold]
    fn look_now(&mut self, now: u64) {
        let Some(use_) = read(&self.schedstat) else { return };
        let to = match self.residence.look(now, use_) {
            Move::Stay => return,
            Move::Home => {
                self.claim = None;
                self.home
            }
            Move::Away => {
                let stake = |claims: &Claims| claims.stake(self.cores.iter().copied());
                self.claim = self.claims.as_ref().and_then(stake);
                self.claim.as_ref().map_or_else(|| self.anywhere, |claim| only(claim.core))
            }
            Move::Anywhere if self.claim.take().is_some() => self.anywhere,
            Move::Anywhere => return,
        };
        // A host that does not let it move leaves it where it is.
        let _ = sched_setaffinity(None, &to);
    }
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// Where a node goes after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Stay,
    Home,
    /// From home.
    Away,
    /// From a core of its own.
    Anywhere,
}

/// What the scheduler counted, nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// On a core.
    ran: u64,
    /// Ready to run, and waiting for a core.
    waited: u64,
}

fn read(schedstat: &OwnedFd) -> Option<Use> {
    let mut octets = [0; 64];
    let n = rustix::io::pread(schedstat, &mut octets, 0).ok()?;
    let mut words = str::from_utf8(&octets[..n]).ok()?.split_ascii_whitespace();
    Some(Use { ran: words.next()?.parse().ok()?, waited: words.next()?.parse().ok()? })
}

/// Who lives where: the rules, without the host.
#[derive(Debug)]
struct Residence {
    at_home: bool,
    /// Since when.
    since: u64,
    last: Use,
    last_look: u64,
    next_look: u64,
    /// How long the next stay away will be.
    away: u64,
    /// Looks in a row that found too little room.
    cramped: u32,
}

impl Residence {
    fn new(now: u64, use_: Use) -> Residence {
        Residence {
            at_home: false,
            since: now,
            last: use_,
            last_look: now,
            next_look: now + WINDOW,
            away: 0,
            cramped: 0,
        }
    }

    fn look(&mut self, now: u64, use_: Use) -> Move {
        let passed = now.saturating_sub(self.last_look).max(1);
        let ran = use_.ran.saturating_sub(self.last.ran);
        let waited = use_.waited.saturating_sub(self.last.waited);
        (self.last, self.last_look, self.next_look) = (use_, now, now + WINDOW);
        let is_cramped = match self.at_home {
            true => ran.max(waited) > passed / LEAVES,
            false => waited > passed / YIELDS,
        };
        self.cramped = if is_cramped { self.cramped + 1 } else { 0 };
        let is_sure = self.cramped == SURE;
        if is_sure {
            self.cramped = 0;
        }
        match self.at_home {
            true if is_sure => {
                self.away = match now - self.since {
                    stay if stay > SETTLED => AWAY.0,
                    _ => (self.away * 2).clamp(AWAY.0, AWAY.1),
                };
                (self.at_home, self.since) = (false, now);
                Move::Away
            }
            false if is_sure => Move::Anywhere,
            false if now - self.since >= self.away && ran.max(waited) < passed / RETURNS => {
                (self.at_home, self.since) = (true, now);
                Move::Home
            }
            true | false => Move::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lives for some windows, running and waiting for so many per cent of them; returns how many of them at home.
    fn live(residence: &mut Residence, windows: u64, ran: u64, waited: u64) -> u64 {
        let mut at_home = 0;
        for _ in 0..windows {
            at_home += u64::from(residence.at_home);
            let Use { ran: r, waited: w } = residence.last;
            let used = Use { ran: r + WINDOW * ran / 100, waited: w + WINDOW * waited / 100 };
            residence.look(residence.last_look + WINDOW, used);
        }
        at_home
    }

    #[test]
    fn who_uses_little_stays_and_who_is_busy_or_crowded_leaves() {
        let mut residence = Residence::new(0, Use::default());
        assert_eq!(live(&mut residence, 10, 100, 0), 0, "birth is work");
        live(&mut residence, 1, 0, 0);
        assert_eq!(live(&mut residence, 1000, 20, 20), 1000);
        for _ in 0..100 {
            live(&mut residence, 1, 90, 90);
            assert_eq!(live(&mut residence, 1, 20, 20), 1, "once is never");
        }
        assert_eq!(live(&mut residence, 10, 30, 0), u64::from(SURE), "busy");
        assert_eq!(live(&mut residence, 1000, 20, 0), 0, "still too busy to return");
        assert_eq!(live(&mut residence, 1000, 10, 20), 0, "the host is crowded");
        live(&mut residence, 1, 10, 0);
        assert_eq!(live(&mut residence, 1000, 10, 0), 1000);
        assert_eq!(live(&mut residence, 10, 10, 30), u64::from(SURE), "crowded");
    }

    #[test]
    fn who_mostly_waits_for_its_own_core_gives_it_up() {
        let mut residence = Residence::new(0, Use::default());
        let mut look = |ran, waited| {
            let Use { ran: r, waited: w } = residence.last;
            let used = Use { ran: r + WINDOW * ran / 100, waited: w + WINDOW * waited / 100 };
            residence.look(residence.last_look + WINDOW, used)
        };
        let moves = [(0, 0), (90, 0), (90, 0), (50, 40), (50, 40), (30, 60), (50, 40), (30, 60), (30, 60)];
        let moves = moves.map(|(ran, waited)| look(ran, waited));
        use Move::{Anywhere, Away, Home, Stay};
        assert_eq!(moves, [Home, Stay, Away, Stay, Stay, Stay, Stay, Stay, Anywhere]);
    }

    #[test]
    fn who_finds_its_home_crowded_stays_away_for_longer_and_longer() {
        let mut residence = Residence::new(0, Use::default());
        live(&mut residence, 1, 0, 0);
        // Little use, and a crowd at home: it comes back in vain.
        let mut stays = Vec::new();
        for _ in 0..10 {
            while residence.at_home {
                live(&mut residence, 1, 5, 50);
            }
            let left = residence.last_look;
            while !residence.at_home {
                live(&mut residence, 1, 5, 0);
            }
            stays.push((residence.last_look - left) / AWAY.0);
        }
        assert_eq!(stays, [1, 2, 4, 8, 16, 32, 40, 40, 40, 40]);
        live(&mut residence, SETTLED / WINDOW + 1, 5, 0);
        live(&mut residence, u64::from(SURE), 50, 0);
        assert_eq!(residence.away, AWAY.0, "one good stay, and the next try comes soon");
    }
}
