//! Impairments of a live lab beside the same settings of Linux's netem on a veth pair, one direction of either.
//!
//! Where the host's kernel has no netem, a user-mode one has ([`Uml`]); without that its documented formulas stand in its place, and the aim
//! says so. Rates have tbf beside them, which counts the same octets (Ethernet header included), as netem's own `rate` does.

use crate::bench::{Figure, figure, number};
use crate::impaired::lab;
use crate::uml::Uml;
use crate::veth::Veth;
use anyhow::{Context, Result, ensure};
use lab_tests::Place;

/// In the lab 200,000 datagrams; over the veth pair echo requests of the same length, of which fewer must do.
const DATAGRAMS: &str = "perf udp a b -t 4 -l 22 -r 50000";
const REQUESTS: &str = "-q -f -c 40000 -s 22";
/// Round trips, one every 5 ms.
const TRIPS: &str = "-c 2000 -i 0.005";

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

/// Rows of [`SHARES`].
macro_rules! shares {
    ($($name:literal: $lab:literal, $netem:literal, $of:ident, $meant:expr;)*) => {
        &[$(Share { name: $name, lab: $lab, netem: $netem, of: Of::$of, meant: $meant },)*]
    };
}

const SHARES: &[Share] = shares![
    "loss 1%": r#"loss = "1%""#, "loss 1%", Lost, 1.0;
    "loss 10% 25%": r#"loss = "10%", loss_correlation = "25%""#, "loss 10% 25%", Lost, 1.757;
    "loss gemodel 1% 25%: lost":
        r#"loss = { model = "gilbert-elliott", p = "1%", r = "25%" }"#, "loss gemodel 1% 25%", Lost, 100.0 / 26.0;
    "duplicate 1%": r#"duplicate = "1%""#, "duplicate 1%", Twice, 1.0;
    "corrupt 5%: lost": r#"corrupt = "5%""#, "corrupt 5%", Lost, 5.0 * 58.0 / 64.0;
];

/// What is measured of round trips: 5th percentile, median, 95th, in milliseconds.
struct Trips {
    names: [&'static str; 3],
    lab: &'static str,
    netem: &'static str,
    meant: [f64; 3],
}

/// Rows of [`TRIP`].
macro_rules! trips {
    ($($name:literal: $lab:literal, $meant:expr;)*) => {
        &[$(Trips {
            names: [
                concat!($name, ": trip, p5"),
                concat!($name, ": trip, median"),
                concat!($name, ": trip, p95"),
            ],
            lab: $lab,
            netem: concat!($name, " limit 10000"),
            meant: $meant,
        },)*]
    };
}

const TRIP: &[Trips] = trips![
    "delay 20ms": r#"delay = "20ms""#, [20.0; 3];
    "delay 20ms 5ms": r#"delay = "20ms", jitter = "5ms""#, [15.5, 20.0, 24.5];
    "delay 20ms 5ms distribution normal":
        r#"delay = "20ms", jitter = "5ms", distribution = "normal""#, [20.0 - 1.645 * 5.0, 20.0, 20.0 + 1.645 * 5.0];
    "delay 20ms 5ms distribution pareto":
        r#"delay = "20ms", jitter = "5ms", distribution = "pareto""#, [16.78, 18.40, 28.09];
    "delay 20ms 5ms distribution paretonormal":
        r#"delay = "20ms", jitter = "5ms", distribution = "paretonormal""#, [15.53, 18.80, 28.12];
];

/// What netem itself does: one answer of ping to each of these, its discipline and ping's words; and whose it is.
fn theirs(place: &Place, veth: Option<&Veth>, all: &[(String, &str)]) -> Result<Option<Vec<String>>> {
    if let Some(veth) = veth.filter(|veth| veth.shape("netem delay 1ms").is_ok()) {
        let each = all.iter().map(|(netem, ping)| {
            veth.shape(netem)?;
            veth.ping(ping)
        });
        return each.collect::<Result<_>>().map(Some);
    }
    let uml = match Uml::find() {
        Ok(uml) => uml,
        Err(e) => {
            eprintln!("no netem here: {e:#}");
            return Ok(None);
        }
    };
    eprintln!("netem is that of a user-mode kernel {}", uml.version);
    let mut script = "ip netns add peer\n\
                      ip link add veth0 type veth peer name veth1 netns peer\n\
                      ip addr add 10.99.0.1/24 dev veth0; ip link set veth0 up\n\
                      ip -n peer addr add 10.99.0.2/24 dev veth1; ip -n peer link set veth1 up\n"
        .to_owned();
    for (netem, ping) in all {
        script += &format!("echo {NEXT}\ntc qdisc replace dev veth0 root {netem}\nping {ping} 10.99.0.2\n");
        script += "tc qdisc del dev veth0 root\n";
    }
    let said = uml.run(place, &["net/sched/sch_netem", "drivers/net/veth"], &script)?;
    Ok(Some(said.split(NEXT).skip(1).map(str::to_owned).collect()))
}

const NEXT: &str = "== next ==";

pub(crate) fn netem(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    let trips = TRIP.iter().map(|trips| (format!("netem {}", trips.netem), TRIPS));
    let shares = SHARES.iter().map(|share| (format!("netem {} limit 10000", share.netem), REQUESTS));
    let theirs = theirs(place, veth, &trips.chain(shares).collect::<Vec<_>>())?;
    let aim = if theirs.is_some() { "ratio 1 (netem)" } else { "ratio 1 (formula)" };
    let said = |n: usize| theirs.as_ref().and_then(|all| all.get(n));
    let mut figures = Vec::new();
    for (n, trips) in TRIP.iter().enumerate() {
        lab(place, trips.lab)?;
        let ours = percentiles(&place.ok(&format!("ping a b {TRIPS}")))?;
        place.ok("down");
        let theirs = said(n).map_or(Ok(trips.meant), |said| percentiles(said))?;
        let each = trips.names.into_iter().zip(ours.into_iter().zip(theirs));
        figures
            .extend(each.map(|(name, (ours, theirs))| figure(name, ours, "ms", aim).against(Some(theirs))));
    }
    for (n, share) in SHARES.iter().enumerate() {
        lab(place, share.lab)?;
        let report = place.json(DATAGRAMS);
        place.ok("down");
        let count = match share.of {
            Of::Lost => "/lost",
            Of::Twice => "/duplicated",
        };
        let ours = number(&report, count)? / number(&report, "/packets")? * 100.0;
        let theirs = match (said(TRIP.len() + n), &share.of) {
            (Some(said), Of::Lost) => {
                100.0 - before(said, " received")? / before(said, " packets transmitted")? * 100.0
            }
            (Some(said), Of::Twice) => {
                before(said, " duplicates")? / before(said, " packets transmitted")? * 100.0
            }
            (None, _) => share.meant,
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
    let figure = front.rsplit(|c: char| c.is_whitespace() || c == '+').next().context("a figure")?;
    Ok(figure.parse()?)
}
