//! Processes that are killed or stopped in the middle of everything, while others go on.
//!
//! The children are this very test binary, started again for one ignored "test" below with a role in its environment.
#![cfg(not(loom))]

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use shmif::fault::{self, Action, Point};
use shmif::{Bus, BusConfig, Doorbell, Offload, Port, PortConfig, Recv, Sent};

const RING: u64 = 512 << 10;
/// Nothing here takes long; this only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

fn frame(dst: [u8; 6], src: u8, n: u64, len: usize) -> Vec<u8> {
    let mut f = vec![src; len];
    f[..6].copy_from_slice(&dst);
    f[14..22].copy_from_slice(&n.to_be_bytes());
    f
}

fn make(dir: &Path) -> Bus {
    let mut config = BusConfig::new("lab", "lan");
    config.history = RING;
    Bus::create(dir.join("lan"), &config).expect("create")
}

/// The children's work; never run by itself.
#[test]
#[ignore = "the child process of the other tests"]
fn child() {
    let Ok(role) = std::env::var("SHMIF_ROLE") else { return };
    let path = std::env::var("SHMIF_BUS").expect("SHMIF_BUS");
    let bus = Bus::open(path).expect("open");
    let words: Vec<&str> = role.split(' ').collect();
    let mut port = bus.attach(&PortConfig::new("victim", "eth0", mac(9))).expect("attach");
    match words[..] {
        // Sends for ever, to everybody, with a fault armed or waiting to be killed from outside.
        ["send", point, action, nth] => {
            if let Ok(point) = point.parse::<usize>() {
                let action = if action == "stop" { Action::Stop } else { Action::Kill };
                fault::arm(Point::ALL[point], action, nth.parse().expect("a number"));
            }
            for n in 0u64.. {
                let len = 60 + (n as usize * 977) % 9000;
                if let Sent::Wait { .. } =
                    port.send(bus.epoch().now_ns(), &frame([0xff; 6], 9, n, len), Offload::NONE)
                {
                    std::thread::yield_now();
                }
            }
        }
        // Receives for ever.
        ["recv"] => {
            let mut buf = vec![0; 70_000];
            loop {
                if port.recv(&mut buf) == Recv::Empty {
                    std::thread::yield_now();
                }
            }
        }
        _ => panic!("role {role:?}"),
    }
}

struct Victim(Child);

impl Victim {
    fn start(bus: &Bus, role: &str) -> Victim {
        let mut command = Command::new(std::env::current_exe().expect("own path"));
        command.args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"]);
        command
            .env("SHMIF_ROLE", role)
            .env("SHMIF_BUS", bus.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Victim(command.spawn().expect("start the child"))
    }
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("signal");
    }
    /// Waits until it is stopped, or fails.
    fn stopped(&self) {
        let status = waitpid(Some(Pid::from_child(&self.0)), WaitOptions::UNTRACED)
            .expect("wait")
            .expect("a status")
            .1;
        assert!(status.stopped(), "{status:?}");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// Two ports of the living: one sends to the other, which must get everything and whole.
struct Survivors {
    a: Port,
    b: Port,
    n: u64,
    buf: Vec<u8>,
    from_victim: u64,
}

impl Survivors {
    fn new(bus: &Bus) -> Survivors {
        let a = bus.attach(&PortConfig::new("a", "eth0", mac(1))).expect("attach");
        let b = bus.attach(&PortConfig::new("b", "eth0", mac(2))).expect("attach");
        Survivors { a, b, n: 0, buf: vec![0; 70_000], from_victim: 0 }
    }

    /// Takes what is there; true if the frame `n` of `a` was among it.
    fn read(&mut self, n: u64) -> bool {
        let mut found = false;
        loop {
            match self.b.recv(&mut self.buf) {
                Recv::Frame(r) => {
                    let f = &self.buf[..r.len];
                    assert!(f[22..].iter().all(|&o| o == f[22]), "a torn frame");
                    match f[22] {
                        1 => found |= f[14..22] == n.to_be_bytes(),
                        9 => self.from_victim += 1,
                        other => panic!("a frame of {other}"),
                    }
                }
                Recv::Overrun { .. } => {}
                Recv::Empty => break,
                other => panic!("{other:?}"),
            }
        }
        while !matches!(self.a.recv(&mut self.buf), Recv::Empty) {}
        found
    }

    /// A frame goes from one to the other.
    fn go_on(&mut self) {
        self.n += 1;
        let f = frame(mac(2), 1, self.n, 1514);
        until("a frame is sent", || {
            let now = self.a.bus().epoch().now_ns();
            let sent = self.a.send(now, &f, Offload::NONE);
            sent == Sent::Ok || {
                self.read(0);
                false
            }
        });
        let n = self.n;
        let mut got = false;
        until("it arrives", || {
            got |= self.read(n);
            got
        });
    }
}

/// `SHMIF_KILLS`: how often; a thousand unless told otherwise, more than a hundred at each point of a send.
fn kills() -> usize {
    std::env::var("SHMIF_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

/// SIGKILL at every point of a send and at random moments: the others go on every time, and the bus is whole.
#[test]
fn a_writer_may_be_killed_anywhere() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let mut survivors = Survivors::new(&bus);
    let bell = Doorbell::bind(dir.path().join("bell")).expect("bind");
    let sleeper = PortConfig {
        doorbell: Some(bell.path().to_owned()),
        monitor: true,
        ..PortConfig::new("s", "eth0", mac(3))
    };
    let sleeper = bus.attach(&sleeper).expect("attach");
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut recoveries = 0;
    for i in 0..kills() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let nth = 1 + random % 400;
        let point = i % (Point::ALL.len() + 1);
        let rings = point < Point::ALL.len() && Point::ALL[point] == Point::Rung;
        if rings {
            // The sleeper has unread frames from before unless it is freshly attached: it never reads, so it forces its way to sleep.
            sleeper.awake();
        }
        let fresh = rings.then(|| {
            let port = bus.attach(&PortConfig {
                doorbell: Some(bell.path().to_owned()),
                ..PortConfig::new("r", "eth0", mac(4))
            });
            let port = port.expect("attach");
            until("asleep", || port.prepare_sleep());
            port
        });
        bell.drain();
        let nth = if rings { 1 } else { nth };
        let role = if point < Point::ALL.len() {
            format!("send {point} kill {nth}")
        } else {
            "send none kill 0".to_owned()
        };
        let mut victim = Victim::start(&bus, &role);
        if point == Point::ALL.len() {
            let before = survivors.from_victim;
            until("the victim sends", || {
                survivors.read(0);
                survivors.from_victim > before
            });
            victim.signal(Signal::KILL);
        }
        let start = Instant::now();
        let status = loop {
            survivors.read(0);
            if let Some(status) = victim.0.try_wait().expect("wait") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the victim of {role} lives");
        };
        assert_eq!(status.signal(), Some(9), "{role}");
        if let Some(port) = fresh {
            assert!(bell.drain() > 0, "rung before it died");
            // It did not get to clear the token: the next writer rings again, and the sleeper is not lost.
            survivors.go_on();
            survivors.a.send(0, &frame(mac(4), 1, 0, 60), Offload::NONE);
            let mut fds = [PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN)];
            let timeout = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
            assert_eq!(poll(&mut fds, Some(&timeout)), Ok(1), "the sleeper is lost");
            drop(port);
        }
        survivors.go_on();
        bus.reclaim();
        let report = bus.fsck();
        assert!(report.findings.is_empty(), "after {role}: {report}");
        recoveries += u64::from(point < 6);
        assert!(bus.ports().iter().all(|port| !port.attached || port.alive));
    }
    assert!(
        bus.info().recoveries >= recoveries,
        "{} of {recoveries} locks taken over",
        bus.info().recoveries
    );
    assert_eq!(bus.info().repairs, 0, "history is never lost");
}

/// A reader that is stopped holds nobody up beyond the pause, and goes on with a count of what it lost.
#[test]
fn a_stopped_reader_stops_nobody() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let mut a = bus.attach(&PortConfig::new("a", "eth0", mac(1))).expect("attach");
    let victim = Victim::start(&bus, "recv");
    let info = |bus: &Bus| bus.ports().into_iter().find(|p| p.node == "victim");
    until("it attaches", || info(&bus).is_some());
    assert_eq!(a.send(0, &frame(mac(9), 1, 0, 60), Offload::NONE), Sent::Ok);
    until("it reads", || info(&bus).is_some_and(|p| p.counters.rx_frames == 1));
    victim.signal(Signal::STOP);
    victim.stopped();
    for n in 0..2000 {
        assert_eq!(
            a.send(0, &frame(mac(9), 1, n, 1514), Offload::NONE),
            Sent::Ok,
            "frame {n}: a stopped reader is not waited for at all"
        );
    }
    victim.signal(Signal::CONT);
    until("it goes on", || {
        let c = info(&bus).expect("it lives").counters;
        c.rx_lost > 0 && c.rx_frames + c.rx_lost == 2001
    });
    let counters = info(&bus).expect("it lives").counters;
    assert!(counters.overruns >= 1 && counters.rx_errors == 0);
    assert!(bus.fsck().findings.is_empty());
}

/// A writer that is stopped with the lock in its hand costs others counted drops and never their time; CONT heals it.
#[test]
fn a_stopped_writer_costs_counted_drops_until_it_goes_on() {
    for point in [Point::Locked, Point::HalfCopied, Point::Published, Point::Unlocked, Point::Delivered] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bus = make(dir.path());
        let mut survivors = Survivors::new(&bus);
        let victim = Victim::start(&bus, &format!("send {} stop 500", point as u32 - 1));
        let start = Instant::now();
        let pid = Pid::from_child(&victim.0);
        loop {
            survivors.read(0);
            if let Some((_, status)) =
                waitpid(Some(pid), WaitOptions::UNTRACED | WaitOptions::NOHANG).expect("wait")
            {
                assert!(status.stopped());
                break;
            }
            assert!(start.elapsed() < PATIENCE);
        }
        if point == Point::Unlocked {
            survivors.go_on();
        } else {
            let dropped = Sent::Dropped(shmif::DropReason::LockBusy);
            for _ in 0..10_000 {
                // 10,000 times the bounded wait would be more than the test runner's patience: a known holder is not waited for again.
                assert_eq!(survivors.a.send(0, &frame(mac(2), 1, 0, 60), Offload::NONE), dropped);
            }
            assert_eq!(survivors.a.counters().tx_dropped, 10_000);
        }
        victim.signal(Signal::CONT);
        let before = survivors.from_victim;
        until("it goes on", || {
            survivors.read(0);
            survivors.from_victim > before
        });
        survivors.go_on();
        assert!(bus.fsck().is_clean());
        assert_eq!(bus.info().recoveries, 0, "nobody took the lock from the living");
        // A stopped one may also be killed.
        let victim = Victim::start(&bus, &format!("send {} stop 5", Point::HalfCopied as u32 - 1));
        until("it stands", || {
            survivors.read(0);
            waitpid(Some(Pid::from_child(&victim.0)), WaitOptions::UNTRACED | WaitOptions::NOHANG)
                .expect("wait")
                .is_some()
        });
        victim.signal(Signal::KILL);
        survivors.go_on();
        assert_eq!(bus.info().recoveries, 1);
    }
}
