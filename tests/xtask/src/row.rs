//! The yardstick of chains: processes in a row that wake each other with doorbells and do nothing else, all on one core.
//!
//! What a round trip through as many of them takes is what the host itself asks for its wake-ups and switches.

use anyhow::{Context, Result, bail};
use lab_tests::Place;
use rustix::event::epoll;
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shmif::Doorbell;
use std::io::{BufRead, BufReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn bell(dir: &Path, n: usize) -> PathBuf {
    dir.join(format!("bell{n}"))
}

/// A place to sleep, as a node has one.
struct Bed {
    bell: Doorbell,
    epoll: OwnedFd,
}

impl Bed {
    fn new(path: &Path) -> Result<Bed> {
        let bell = Doorbell::bind(path)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(0), flags)?;
        Ok(Bed { bell, epoll })
    }

    fn sleep(&self) -> Result<()> {
        let mut room = [MaybeUninit::uninit(); 1];
        epoll::wait(&self.epoll, &mut room, None)?;
        self.bell.answered();
        Ok(())
    }
}

fn ringer(path: &Path) -> Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty())?)
}

/// The life of member `n` of `count`: the first ring comes from before, the second from behind, and so on.
pub(crate) fn member(dir: &Path, n: usize, count: usize) -> Result<()> {
    let bed = Bed::new(&bell(dir, n))?;
    println!("ready");
    // The bells of the neighbours are there when the first ring comes.
    bed.sleep()?;
    let before = ringer(&bell(dir, n - 1))?;
    let behind = if n + 1 < count { ringer(&bell(dir, n + 1))? } else { before.try_clone()? };
    loop {
        rustix::io::write(&behind, &[0])?;
        bed.sleep()?;
        if n + 1 < count {
            rustix::io::write(&before, &[0])?;
            bed.sleep()?;
        }
    }
}

/// Ended when dropped.
struct Members(Vec<Child>);

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The median of round trips from the first of `count` processes to the last and back, microseconds.
pub(crate) fn round_trip_us(place: &Place, count: usize) -> Result<f64> {
    let anywhere = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|&core| anywhere.is_set(core)).context("a core")?);
    sched_setaffinity(None, &one)?;
    let measured = measure(place, count);
    sched_setaffinity(None, &anywhere)?;
    measured
}

fn measure(place: &Place, count: usize) -> Result<f64> {
    let dir = place.path();
    let bed = Bed::new(&bell(dir, 0))?;
    let mut members = Members(Vec::new());
    for n in 1..count {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["row", &dir.display().to_string(), &n.to_string(), &count.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut line)?;
        members.0.push(child);
        if line != "ready\n" {
            bail!("member {n} of the row did not start");
        }
    }
    let first = ringer(&bell(dir, 1))?;
    let mut rounds = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        rustix::io::write(&first, &[0])?;
        bed.sleep()?;
        rounds.push(began.elapsed().as_secs_f64() * 1e6);
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}
