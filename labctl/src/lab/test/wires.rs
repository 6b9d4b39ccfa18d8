//! What crosses the wires while a lab is tested, counted as it goes by.
//!
//! A ring remembers its newest frames only: a bulk transfer pushes out what a `wire` check wants to see. So the buses
//! that such checks name are followed from the moment the lab is up, beginning with the oldest frame of each. One thread
//! does it for all of them; it has no port, and no node notices. Frames are numbered on their bus from 0 without gaps, so
//! that one that was missed is always known to be missing.

use super::super::fault::Fault;
use super::super::rundir::LabDir;
use super::super::state::{Epoch, LabState};
use super::tally::{Seen, Tallies};
use crate::capture::names::Names;
use crate::topology::model::Lab;
use shmif::{Bus, Follow, Followed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause after all the buses were read. The smallest ring holds 4 ms of traffic at 1 Gbit/s.
const NAP: Duration = Duration::from_millis(1);
/// Records taken from one bus before the others have their turn.
const BURST: usize = 256;

/// Asks for what a check has seen, up to the newest frame.
struct Question {
    check: String,
    answer: Sender<Result<Seen, String>>,
}

/// The buses of a lab, followed for its `wire` checks until it is dropped.
#[derive(Debug)]
pub(super) struct Wires {
    ask: Option<Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Wires {
    /// Follows what checks and events name, if they name any. A filter that cannot be used is told when its check asks.
    pub(super) fn follow(dir: &LabDir, state: &LabState, lab: &Lab) -> Result<Self, Fault> {
        let mut taps = Vec::new();
        let ready_ns = Epoch::now().mono_ns.saturating_sub(state.epoch.mono_ns);
        let tallies = Tallies::of(lab, Names::of_lab(state), ready_ns, |bus| {
            let path = dir.bus(bus);
            tap(&mut taps, bus, || Bus::open_readonly(&path))
                .map_err(|error| Fault::io("read", &path)(std::io::Error::other(error)))
        })?;
        if tallies.is_empty() {
            return Ok(Self { ask: None, thread: None });
        }
        let watch = Watch { taps, tallies };
        let (ask, asked) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("wires".into())
            .spawn(move || watch.run(&asked))
            .map_err(Fault::os("start a thread"))?;
        Ok(Self { ask: Some(ask), thread: Some(thread) })
    }

    /// What a check has seen up to now; or why its filter cannot be used.
    pub(super) fn seen(&self, check: &str) -> Result<Seen, String> {
        let (answer, answered) = mpsc::channel();
        let question = Question { check: check.to_owned(), answer };
        let asked = self.ask.as_ref().and_then(|ask| ask.send(question).ok());
        asked.and_then(|()| answered.recv().ok()).unwrap_or_else(|| Err("nobody follows its buses".into()))
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One bus that is followed.
struct Tap {
    name: String,
    bus: Bus,
    follow: Follow,
    /// Number of the record that comes next.
    next: u64,
    missed: u64,
}

/// The place of a bus among those that are followed; a new one is followed from its oldest frame.
fn tap<E>(taps: &mut Vec<Tap>, name: &str, open: impl FnOnce() -> Result<Bus, E>) -> Result<usize, E> {
    if let Some(at) = taps.iter().position(|tap| tap.name == name) {
        return Ok(at);
    }
    let bus = open()?;
    let follow = bus.follow().from_oldest();
    taps.push(Tap { name: name.to_owned(), bus, follow, next: 0, missed: 0 });
    Ok(taps.len() - 1)
}

/// Everything that is followed, and what was counted.
struct Watch {
    taps: Vec<Tap>,
    /// By places in `taps`.
    tallies: Tallies,
}

impl Watch {
    /// Counts and answers until nobody can ask any more.
    fn run(mut self, asked: &Receiver<Question>) {
        let mut nap = Duration::ZERO;
        loop {
            match asked.recv_timeout(nap) {
                Ok(Question { check, answer }) => {
                    // One who does not wait for the answer has no use for it.
                    let _ = answer.send(self.seen(&check));
                }
                Err(RecvTimeoutError::Timeout) => {
                    let mut more = false;
                    for at in 0..self.taps.len() {
                        more |= self.read(at, BURST);
                    }
                    nap = if more { Duration::ZERO } else { NAP };
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads a check's buses up to what is the newest record now, and says what there was.
    fn seen(&mut self, check: &str) -> Result<Seen, String> {
        let taps: Vec<usize> = self.tallies.buses(check).collect();
        for at in &taps {
            // Not for ever: what comes after the question may never end.
            let newest = self.taps[*at].bus.info().frames;
            while self.taps[*at].next < newest && self.read(*at, 1) {}
        }
        let seen = self.tallies.seen(check)?;
        let taps = taps.iter().map(|at| &self.taps[*at]);
        let missed = taps.filter(|tap| tap.missed > 0).map(|tap| (tap.name.clone(), tap.missed)).collect();
        Ok(Seen { missed, ..seen })
    }

    /// Takes so many records at most from a bus; whether there may be more.
    fn read(&mut self, at: usize, limit: usize) -> bool {
        for _ in 0..limit {
            let tap = &mut self.taps[at];
            match tap.follow.next() {
                Followed::Frame(captured) => {
                    // The follower itself does not know what there was before the first that it found.
                    let seq = captured.record.seq;
                    tap.missed += seq.saturating_sub(tap.next);
                    tap.next = seq.saturating_add(1);
                    self.tallies.count(at, captured.record.time_ns, |each| {
                        // A record that cannot be cut into frames is none on any wire.
                        let _ = captured.wire_frames(each);
                    });
                }
                Followed::Lost(records) => {
                    tap.missed = tap.missed.saturating_add(records);
                    tap.next = tap.next.saturating_add(records);
                }
                Followed::Empty => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::model::{Bound, CheckKind};
    use shmif::{BusConfig, Offload, Port, PortConfig, Sent};

    const ARP: u16 = 0x0806;
    const IPV4: u16 = 0x0800;

    /// A bus with a small memory, and somebody who sends on it.
    struct Bench {
        _dir: tempfile::TempDir,
        bus: Bus,
        port: Port,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("lan");
            // As small as one can be.
            let bus = Bus::create(&path, &BusConfig { history: 0, ..BusConfig::new("lab", "lan") }).unwrap();
            let port = bus.attach(&PortConfig::new("h1", "eth0", [2, 0, 0, 0, 0, 1])).unwrap();
            Self { _dir: dir, bus, port }
        }

        fn send(&mut self, ether_type: u16, octets: usize) {
            let mut frame = vec![0; octets];
            frame[..6].fill(0xff);
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
            frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
            assert_eq!(self.port.send(0, &frame, Offload::NONE), Sent::Ok);
        }

        /// Enough that whatever was there before is forgotten.
        fn turn_the_ring(&mut self) {
            let oldest = self.bus.info().frames;
            while self.bus.history().next().is_some_and(|captured| captured.record.seq < oldest) {
                self.send(IPV4, 1514);
            }
        }

        /// For ARP, and for everything.
        fn watch(&self) -> Watch {
            let (mut taps, mut tallies) = (Vec::new(), Tallies::new(Names::default(), 0));
            for (check, filter) in [("arp", "arp"), ("all", "")] {
                let kind = CheckKind::Wire {
                    buses: vec!["lan".into()],
                    filter: Some(filter.into()),
                    each: None,
                    order: Vec::new(),
                    bound: Bound::NONE,
                };
                let Ok(at) = tap(&mut taps, "lan", || Ok::<_, std::convert::Infallible>(self.bus.clone()));
                tallies.add(check, &kind, vec![(at, "lan".into())]);
            }
            Watch { taps, tallies }
        }
    }

    #[test]
    fn what_the_ring_forgets_was_counted() {
        let mut bench = Bench::new();
        bench.send(ARP, 42);
        let mut watch = bench.watch();
        assert_eq!(watch.taps.len(), 1); // two checks, one follower
        assert!(!watch.read(0, BURST));
        for _ in 0..1000 {
            bench.send(IPV4, 1514);
            assert!(!watch.read(0, BURST));
        }
        assert!(bench.bus.info().tail > 0);
        bench.send(ARP, 42);
        let seen = |check: &str, watch: &mut Watch| watch.seen(check).map(|seen| (seen.frames, seen.missed));
        assert_eq!(seen("arp", &mut watch), Ok((2, vec![])));
        assert_eq!(seen("all", &mut watch), Ok((1002, vec![])));
        assert!(watch.seen("other").is_err());
    }

    #[test]
    fn what_nobody_saw_is_missed_before_and_after_the_beginning() {
        let mut bench = Bench::new();
        bench.send(ARP, 42);
        bench.turn_the_ring();
        let mut watch = bench.watch();
        let first = watch.seen("all").unwrap();
        assert_eq!(first.frames + first.missed[0].1, bench.bus.info().frames);
        bench.send(ARP, 42);
        bench.turn_the_ring();
        let arp = watch.seen("arp").unwrap();
        assert_eq!(arp.frames, 0);
        assert!(arp.missed[0].1 > first.missed[0].1, "{arp:?}");
        let all = watch.seen("all").unwrap();
        assert_eq!(all.frames + all.missed[0].1, bench.bus.info().frames);
    }

    #[test]
    fn a_thread_counts_until_it_is_dropped() {
        let mut bench = Bench::new();
        let watch = bench.watch();
        let (ask, asked) = mpsc::channel();
        let thread = std::thread::spawn(move || watch.run(&asked));
        let wires = Wires { ask: Some(ask), thread: Some(thread) };
        bench.send(ARP, 42);
        let seen = |check| wires.seen(check).map(|seen| (seen.frames, seen.missed));
        assert_eq!(seen("arp"), Ok((1, vec![])));
        bench.send(ARP, 42);
        bench.send(IPV4, 60);
        assert_eq!(seen("arp"), Ok((2, vec![])));
        drop(wires);
    }
}
