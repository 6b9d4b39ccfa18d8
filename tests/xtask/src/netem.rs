//! Impairments of a live lab beside the same settings of Linux's netem on a veth pair, one direction of either.
//!
//! Where the kernel has no netem its documented formulas stand in its place, and the aim says so. Rates have tbf beside them, which counts
//! the same octets (Ethernet header included), as netem's own `rate` does.

use crate::bench::{Figure, figure, number};
use crate::impaired::lab;
use crate::veth::Veth;
use anyhow::{Context, Result, ensure};
use lab_tests::Place;

/// In the lab 200,000 datagrams; over the veth pair echo requests, of which fewer must do.
const DATAGRAMS: &str = "perf udp a b -t 4 -l 22 -r 50000";
const REQUESTS: &str = "-q -f -c 20000";
/// Round trips, one every 5 ms.
const TRIPS: &str = "-c 1000 -i 0.005";

/// What is measured of frames one by one, in per cent.
struct Share {
    name: &'static str,
    lab: &'static str,
    netem: &'static str,
    of: Of,
    /// By the formula.
    meant: f64,
}

enum Of {
    Lost,
    Twice,
}

const SHARES: [Share; 3] = [
    Share { name: "loss 1%", lab: r#"loss = "1%""#, netem: "loss 1%", of: Of::Lost, meant: 1.0 },
    Share {
        name: "loss gemodel 1% 25%: lost",
        lab: r#"loss = { model = "gilbert-elliott", p = "1%", r = "25%" }"#,
        netem: "loss gemodel 1% 25%",
        of: Of::Lost,
        meant: 100.0 / 26.0,
    },
    Share {
        name: "duplicate 1%",
        lab: r#"duplicate = "1%""#,
        netem: "duplicate 1%",
        of: Of::Twice,
        meant: 1.0,
    },
];

/// What is measured of round trips: 5th percentile, median, 95th, in milliseconds.
struct Trips {
    names: [&'static str; 3],
    lab: &'static str,
    netem: &'static str,
    meant: [f64; 3],
}

const TRIP: [Trips; 2] = [
    Trips {
        names: [
            "delay 20ms: round trip, p5",
            "delay 20ms: round trip, median",
            "delay 20ms: round trip, p95",
        ],
        lab: r#"delay = "20ms""#,
        netem: "delay 20ms",
        meant: [20.0; 3],
    },
    Trips {
        names: [
            "delay 20ms 5ms normal: round trip, p5",
            "delay 20ms 5ms normal: round trip, median",
            "delay 20ms 5ms normal: round trip, p95",
        ],
        lab: r#"delay = "20ms", jitter = "5ms", distribution = "normal""#,
        netem: "delay 20ms 5ms distribution normal",
        meant: [20.0 - 1.645 * 5.0, 20.0, 20.0 + 1.645 * 5.0],
    },
];

const BY_NETEM: &str = "ratio 1 (netem)";
const BY_FORMULA: &str = "ratio 1 (formula)";

pub(crate) fn netem(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    let there = veth.map(|veth| veth.shape("netem delay 1ms"));
    let (veth_netem, aim) = match there {
        Some(Ok(())) => (veth, BY_NETEM),
        Some(Err(e)) => {
            eprintln!("no netem here: {e:#}");
            (None, BY_FORMULA)
        }
        None => (None, BY_FORMULA),
    };
    let mut figures = Vec::new();
    for trips in &TRIP {
        lab(place, trips.lab)?;
        let ours = percentiles(&place.ok(&format!("ping a b {TRIPS}")))?;
        place.ok("down");
        let theirs = match veth_netem {
            Some(veth) => {
                veth.shape(&format!("netem {} limit 10000", trips.netem))?;
                percentiles(&veth.ping(TRIPS)?)?
            }
            None => trips.meant,
        };
        let each = trips.names.into_iter().zip(ours.into_iter().zip(theirs));
        figures
            .extend(each.map(|(name, (ours, theirs))| figure(name, ours, "ms", aim).against(Some(theirs))));
    }
    for share in &SHARES {
        lab(place, share.lab)?;
        let report = place.json(DATAGRAMS);
        place.ok("down");
        let (count, pattern) = match share.of {
            Of::Lost => ("/lost", "% packet loss"),
            Of::Twice => ("/duplicated", " duplicates"),
        };
        let ours = number(&report, count)? / number(&report, "/packets")? * 100.0;
        let theirs = match veth_netem {
            Some(veth) => {
                veth.shape(&format!("netem {}", share.netem))?;
                let said = before(&veth.ping(REQUESTS)?, pattern)?;
                match share.of {
                    Of::Lost => said,
                    Of::Twice => said / 20_000.0 * 100.0,
                }
            }
            None => share.meant,
        };
        figures.push(figure(share.name, ours, "%", aim).against(Some(theirs)));
    }
    figures.push(rate(place, veth)?);
    Ok(figures)
}

/// One TCP stream's octets on a wire of 100 Mbit/s, in Mbit/s.
fn rate(place: &Place, veth: Option<&Veth>) -> Result<Figure> {
    let wire = |goodput: f64| goodput * 1514.0 / 1448.0 / 1e6;
    lab(place, r#"rate = "100mbit", queue = "256kB""#)?;
    let ours = wire(number(&place.json("perf tcp a b -t 3"), "/bits_per_second")?);
    place.ok("down");
    let tbf = |veth: &Veth| -> Result<f64> {
        veth.shape("tbf rate 100mbit burst 3028 limit 256000")?;
        number(&veth.iperf3("-t 3")?, "/end/sum_received/bits_per_second")
    };
    let theirs = veth.and_then(|veth| tbf(veth).inspect_err(|e| eprintln!("no yardstick: {e:#}")).ok());
    Ok(figure("rate 100mbit: TCP, octets on the wire", ours, "Mbit/s", "ratio 1 (tbf)")
        .against(theirs.map(wire)))
}

/// 5th percentile, median and 95th of the times of ping's lines, in milliseconds.
fn percentiles(said: &str) -> Result<[f64; 3]> {
    let times = said.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
    let mut times: Vec<f64> = times.collect();
    ensure!(times.len() > 100, "{} answers to ping", times.len());
    times.sort_by(f64::total_cmp);
    Ok([5, 50, 95].map(|percent| times[times.len() * percent / 100]))
}

/// The number that stands before a word in ping's summary; none stands for 0.
fn before(said: &str, word: &str) -> Result<f64> {
    ensure!(said.contains("packets transmitted"), "ping: {said}");
    let Some((front, _)) = said.split_once(word) else { return Ok(0.0) };
    let figure = front.rsplit([' ', '+']).next().context("a figure")?;
    Ok(figure.parse()?)
}
