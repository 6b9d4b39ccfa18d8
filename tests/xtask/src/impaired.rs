//! A live wire of 1 Gbit/s: whether so much goes over it, and how late frames leave by its schedule.
//!
//! Octets are counted as the wire's rate counts them: Ethernet header included, its checksum, preamble and gap not. The frames, and the
//! times at which they left, are those that the bus remembers. A frame is late by as much as it left after the time at which its last bit
//! would have left a wire of just that rate:
//!
//! - of a sender that has always more to send, after the octets of all frames before it (the earliest frame is the measure);
//! - of one that sends now and then, after the time of sending, which its datagrams carry: on the way are the program's system call and the
//!   stack, and for the node to wake up again.

use crate::bench::{Figure, figure, number};
use crate::veth::Veth;
use anyhow::{Context, Result, ensure};
use lab_tests::Place;
use shmif::Bus;

/// Bits a second.
const RATE: f64 = 1e9;
/// Octets of a full frame, those of its TCP payload (of IPv4, with timestamps) and of its UDP payload.
const FRAME: f64 = 1514.0;
const TCP: f64 = 1448.0;
const UDP: usize = 1472;
/// Where a datagram's payload stands in its frame, and in that the time of sending.
const PAYLOAD: usize = 42;
const TIME: usize = PAYLOAD + 8;

/// A lab of two nodes, of which one has an impaired wire to the other.
pub(crate) fn lab(place: &Place, impair: &str) -> Result<()> {
    let text = format!(
        r#"name = "wire"
[node.a]
if.link = {{ bus = "link", impair = {{ {impair} }} }}
[node.b]
[bus]
link = {{ subnet = "192.0.2.0/30", nodes = ["b"], history = "64MiB" }}
"#
    );
    place.ok(&format!("-t {} up", place.write("wire.lab.toml", &text).display()));
    Ok(())
}

/// A datagram that left.
struct Left {
    at_ns: f64,
    sent_ns: f64,
    octets: f64,
}

/// The last full datagrams on the wire.
fn datagrams(place: &Place) -> Result<Vec<Left>> {
    let bus = Bus::open_readonly(place.lab_dir("wire").join("bus").join("link"))?;
    let full = bus.history().filter(|c| c.frame.len() == PAYLOAD + UDP);
    let left: Vec<Left> = full
        .map(|c| Left {
            at_ns: c.record.time_ns as f64,
            sent_ns: c.frame[TIME..].first_chunk().map_or(0.0, |word| u64::from_be_bytes(*word) as f64),
            octets: c.frame.len() as f64,
        })
        .collect();
    ensure!(left.len() > 100, "{} datagrams on the bus", left.len());
    Ok(left)
}

/// Median, 99th percentile and most, in microseconds.
fn spread(mut ns: Vec<f64>) -> [f64; 3] {
    ns.sort_by(f64::total_cmp);
    [ns.len() / 2, ns.len() * 99 / 100, ns.len() - 1].map(|at| ns[at] / 1e3)
}

/// How late frames left of which there were always more.
fn late_of_many(left: &[Left]) -> [f64; 3] {
    let mut octets = 0.0;
    let after = |one: &Left| {
        octets += one.octets;
        one.at_ns - octets * 8e9 / RATE
    };
    let after: Vec<f64> = left.iter().map(after).collect();
    let first = after.iter().copied().fold(f64::MAX, f64::min);
    spread(after.iter().map(|one| one - first).collect())
}

/// How late frames left of which each was alone.
fn late_of_few(left: &[Left]) -> [f64; 3] {
    spread(left.iter().map(|one| one.at_ns - one.sent_ns - one.octets * 8e9 / RATE).collect())
}

pub(crate) fn impaired(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    lab(place, r#"rate = "1gbit""#)?;
    let tcp = number(&place.json("perf tcp a b -t 3"), "/bits_per_second")? * FRAME / TCP;
    let report = place.json(&format!("perf udp a b -t 3 -l {UDP}"));
    let udp = number(&report, "/received")? * FRAME * 8.0 / number(&report, "/seconds")?;
    // A fifth more than the wire takes, so that the node is not busy with what is lost anyway.
    place.json(&format!("perf udp a b -t 1 -l {UDP} -r 100000"));
    let many = late_of_many(&datagrams(place)?);
    place.ok("down");
    lab(place, r#"rate = "1gbit""#)?;
    place.json(&format!("perf udp a b -t 2 -l {UDP} -r 1000"));
    let few = late_of_few(&datagrams(place)?);
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: f64 = load.split(' ').next().and_then(|one| one.parse().ok()).context("/proc/loadavg")?;
    Ok(vec![
        figure("a wire of 1 Gbit/s: TCP, octets on the wire", tcp / 1e9, "Gbit/s", "0.98 to 1.02"),
        figure("a wire of 1 Gbit/s: UDP, octets on the wire", udp / 1e9, "Gbit/s", "0.98 to 1.02"),
        figure("a full wire of 1 Gbit/s: late, median", many[0], "us", "report"),
        figure("a full wire of 1 Gbit/s: late, p99", many[1], "us", "< 100"),
        figure("a full wire of 1 Gbit/s: late, at most", many[2], "us", "report"),
        figure("1,000 frames a second over it: late, median", few[0], "us", "report"),
        figure("1,000 frames a second over it: late, p99", few[1], "us", "< 100"),
        figure("1,000 frames a second over it: late, at most", few[2], "us", "report"),
        figure("load of the machine meanwhile", load, "", "report"),
    ])
}
