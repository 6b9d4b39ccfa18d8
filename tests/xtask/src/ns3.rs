//! Frames simulated a second: UDP at a constant rate from one node across a router to another, in virtual
//! time, and in ns-3 (`tests/ns3/udp.cc`).
//!
//! Both count the frames that were received over links, two for each datagram that arrives, and both are
//! timed from the first to the last.

use crate::bench::{Figure, figure};
use crate::veth::Veth;
use anyhow::{Context, Result, ensure};
use lab_tests::{Place, root};
use labctl::fixture::Lab;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What is sent: enough for some seconds of ns-3.
const DATAGRAMS: u64 = 1_000_000;
const OCTETS: u64 = 512;
const PER_SECOND: u64 = 100_000;
/// ns-3's libraries.
const LIBRARIES: [&str; 5] =
    ["-lns3-applications", "-lns3-point-to-point", "-lns3-internet", "-lns3-network", "-lns3-core"];

const LAB: &str = r#"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

pub(crate) fn ns3(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    let yardstick = built(place).and_then(|program| best(|| theirs(place, &program)));
    let name = match &yardstick {
        Ok(_) => "virtual time: UDP across a router, frames",
        Err(error) => {
            eprintln!("{error:#}");
            "virtual time: UDP across a router (no ns-3)"
        }
    };
    Ok(vec![figure(name, best(ours)?, "/s", "ratio 3").against(yardstick.ok())])
}

fn best(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    (0..3).map(|_| once()).try_fold(0.0, |best: f64, one| Ok(best.max(one?)))
}

/// Frames a second in virtual time.
fn ours() -> Result<f64> {
    let lab = Lab::from_toml(LAB)?.virtual_time(1)?;
    let began = Instant::now();
    let transfer = lab.node("h1").udp("h2", DATAGRAMS, OCTETS, PER_SECOND)?;
    let took = began.elapsed();
    ensure!(transfer.received == DATAGRAMS, "{} datagrams arrived", transfer.received);
    Ok(2.0 * transfer.received as f64 / took.as_secs_f64())
}

/// The program of ns-3, compiled.
fn built(place: &Place) -> Result<PathBuf> {
    let missing = "ns-3 is not here: apt-get install g++ libns3-dev";
    let program = place.path().join("udp");
    let mut compiler = Command::new("g++");
    compiler
        .args(["-O2", "-DNDEBUG", "-o"])
        .arg(&program)
        .arg(root().join("tests/ns3/udp.cc"))
        .args(LIBRARIES);
    let compiled = compiler.output().context(missing)?;
    let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
    ensure!(compiled.status.success(), "{missing}: {}", said.lines().next().unwrap_or_default());
    Ok(program)
}

/// Frames a second in ns-3.
fn theirs(place: &Place, program: &Path) -> Result<f64> {
    let words = [DATAGRAMS, OCTETS, PER_SECOND].map(|number| number.to_string());
    let output = place.command(program).args(words).output()?;
    let said = String::from_utf8(output.stdout)?;
    let (frames, seconds) = said.trim().split_once(' ').context("it measured nothing")?;
    let (frames, seconds): (f64, f64) = (frames.parse()?, seconds.parse()?);
    ensure!(frames == 2.0 * DATAGRAMS as f64, "{frames} frames arrived");
    Ok(frames / seconds)
}
