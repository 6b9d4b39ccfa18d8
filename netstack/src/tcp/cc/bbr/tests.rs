use super::*;
use crate::tcp::rate::Sample;
use crate::tcp::seq::SeqNum;
use proptest::prelude::*;

const MSS: u32 = 1000;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A path that holds its rate and its length, and a sender that fills the window that it is given: a round trip at a time.
struct Path {
    cc: Bbr,
    w: Window,
    now: Instant,
    una: SeqNum,
    delivered: u64,
    /// Octets a second.
    rate: u64,
    rtt: Duration,
}

impl Path {
    fn new(rate: u64, rtt: Duration) -> Path {
        let w = Window { cwnd: 10 * MSS, ssthresh: u32::MAX, mss: MSS };
        let (now, una) = (Instant::from_millis(1000), SeqNum(u32::MAX - 5));
        Path { cc: Bbr::default(), w, now, una, delivered: 0, rate, rtt }
    }

    fn bdp(&self) -> f64 {
        self.rate as f64 * self.rtt.as_secs_f64()
    }

    /// Everything in flight is acknowledged, in as long as the path takes for it.
    fn round(&mut self) {
        self.round_with(0, Repair::Nothing);
    }

    fn round_with(&mut self, lost: u32, repair: Repair) {
        let wanted =
            (self.cc.pacing_rate().unwrap_or(u64::MAX) as f64 * self.rtt.as_secs_f64()).min(1e9) as u32;
        let flight = self.w.cwnd.min(wanted).max(MSS);
        let took = self.rtt.max(Duration::from_secs_f64(f64::from(flight) / self.rate as f64));
        let prior = self.delivered;
        self.now += took;
        self.una += flight;
        self.delivered += u64::from(flight);
        let info = AckInfo {
            acked: flight,
            una: self.una,
            nxt: self.una + flight,
            now: self.now,
            rtt: Some(took),
            srtt: Some(took),
            arrived: flight,
            lost,
            pipe: flight,
            delivered: self.delivered,
            rate: Some(Sample {
                prior_delivered: prior,
                delivered: u64::from(flight),
                interval: took,
                app_limited: false,
            }),
            repair,
        };
        self.w.cwnd = self.cc.window_by_model(&self.w, &info).expect("a model");
    }

    fn until(&mut self, done: impl Fn(&Bbr) -> bool) -> u32 {
        for n in 0..1000 {
            if done(&self.cc) {
                return n;
            }
            self.round();
        }
        panic!("never: {:?}", self.cc);
    }

    fn probes_bw(&self) -> bool {
        matches!(self.cc.mode, Mode::ProbeBw { .. })
    }
}

#[test]
fn startup_doubles_until_the_pipe_is_full_then_drains() {
    let mut p = Path::new(10_000_000, ms(100));
    let mut last = 0;
    while p.cc.btl_bw() < 9_000_000 {
        p.round();
        assert_eq!(p.cc.mode, Mode::Startup);
        assert!(p.cc.btl_bw() >= 2 * last || p.cc.btl_bw() == 10_000_000, "{last} {}", p.cc.btl_bw());
        last = p.cc.btl_bw();
    }
    let rounds = p.until(|cc| cc.mode != Mode::Startup);
    assert!((3..=4).contains(&rounds), "three rounds without growth: {rounds}");
    assert!(p.cc.pacing_rate() < Some(4_000_000), "draining: {:?}", p.cc.pacing_rate());
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    assert_eq!(p.cc.btl_bw(), 10_000_000);
}

#[test]
fn cruising_keeps_two_paths_of_window_and_probes_once_in_eight_phases() {
    let mut p = Path::new(10_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    let mut gains = Vec::new();
    for _ in 0..32 {
        p.round();
        gains.push((p.cc.pacing_gain() * 100.0) as u32);
    }
    assert!(gains.contains(&125) && gains.contains(&75), "{gains:?}");
    let cruising = gains.iter().filter(|g| **g == 100).count();
    assert!((20..=27).contains(&cruising), "{gains:?}");
    let bdp = p.bdp();
    assert!((2.0 * bdp..2.3 * bdp).contains(&f64::from(p.w.cwnd)), "{}", p.w.cwnd);
}

#[test]
fn a_faster_path_is_found_and_a_slower_one_is_believed_after_ten_rounds() {
    let mut p = Path::new(1_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    p.rate = 2_000_000;
    for _ in 0..50 {
        p.round();
    }
    assert!(p.cc.btl_bw() > 1_900_000, "{}", p.cc.btl_bw());
    p.rate = 500_000;
    // Not ProbeRTT's samples, which do not count
    p.cc.min_rtt = Some((p.rtt, p.now));
    let before = p.cc.rounds;
    p.until(|cc| cc.btl_bw() < 600_000);
    assert!((10..=12).contains(&(p.cc.rounds - before)), "{}", p.cc.rounds - before);
}

#[test]
fn the_round_trip_is_measured_anew_every_ten_seconds_with_four_segments() {
    let mut p = Path::new(10_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    // The path became longer: that cannot be seen while it is full.
    p.rtt = ms(150);
    let window = p.w.cwnd;
    p.until(|cc| cc.probes_rtt());
    assert_eq!(p.w.cwnd, 4 * MSS);
    let begun = p.now;
    p.until(|cc| !cc.probes_rtt());
    assert!(p.now.since(begun) >= PROBE_RTT);
    assert!(p.probes_bw());
    assert_eq!(p.cc.min_rtt.map(|(rtt, _)| rtt), Some(ms(150)));
    assert!(p.w.cwnd > window * 9 / 10, "it comes back at once: {} {window}", p.w.cwnd);
    assert!(
        p.cc.btl_bw() > 9_000_000,
        "four segments a round trip say nothing of the path: {}",
        p.cc.btl_bw()
    );
}

#[test]
fn what_a_short_path_carries_in_probe_rtt_is_no_measure_of_it() {
    // Forty round trips of four segments
    let mut p = Path::new(10_000_000, ms(5));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    p.now += MIN_RTT_LIFETIME;
    p.until(|cc| cc.probes_rtt());
    let rounds = p.until(|cc| !cc.probes_rtt());
    assert!(u64::from(rounds) > 2 * BW_ROUNDS, "{rounds}");
    assert!(p.cc.btl_bw() > 9_000_000, "{}", p.cc.btl_bw());
}

#[test]
fn who_was_idle_need_not_empty_the_pipe() {
    let mut p = Path::new(10_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    p.now += Duration::from_secs(11);
    p.cc.idle = true;
    p.round();
    assert!(p.probes_bw());
}

#[test]
fn a_recovery_conserves_for_a_round_and_gives_the_window_back() {
    let mut p = Path::new(10_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    let before = p.w.cwnd;
    assert_eq!(p.cc.on_congestion(&p.w, before, Congestion::Loss, p.now), u32::MAX, "no threshold");
    p.w.cwnd = MSS;
    p.round_with(50 * MSS, Repair::Fast);
    assert!(p.cc.conserving);
    p.round_with(0, Repair::Fast);
    assert!(!p.cc.conserving, "one round");
    p.round_with(0, Repair::Nothing);
    assert!(p.w.cwnd >= before.min(p.cc.inflight(&p.w, CWND_GAIN)), "{} {before}", p.w.cwnd);
}

#[test]
fn what_a_program_leaves_unused_makes_the_path_no_slower() {
    let mut p = Path::new(10_000_000, ms(100));
    p.until(|cc| matches!(cc.mode, Mode::ProbeBw { .. }));
    for _ in 0..30 {
        p.now += p.rtt;
        p.delivered += 1000;
        let sample = Sample {
            prior_delivered: p.delivered - 1000,
            delivered: 1000,
            interval: p.rtt,
            app_limited: true,
        };
        let info = AckInfo {
            now: p.now,
            delivered: p.delivered,
            arrived: 1000,
            rate: Some(sample),
            ..AckInfo::default()
        };
        p.w.cwnd = p.cc.window_by_model(&p.w, &info).expect("a model");
    }
    assert_eq!(p.cc.btl_bw(), 10_000_000);
}

proptest! {
    #[test]
    fn whatever_it_is_told_the_window_can_be_used_and_the_rate_is_not_zero(
        acks in prop::collection::vec(
            (0u32..1_000_000, 0u32..100_000, any::<u32>(), 0u64..2_000_000_000, any::<bool>(), 0u8..3, any::<u64>()),
            1..200,
        ),
    ) {
        let (mut cc, mut w) = (Bbr::default(), Window { cwnd: 10 * MSS, ssthresh: u32::MAX, mss: MSS });
        let (mut now, mut delivered) = (Instant::from_millis(1), 0);
        for (arrived, lost, pipe, wait, app_limited, repair, interval) in acks {
            now += Duration::from_nanos(wait);
            let prior_delivered = delivered;
            delivered += u64::from(arrived);
            let info = AckInfo {
                now,
                arrived,
                lost,
                pipe,
                delivered,
                rtt: Some(Duration::from_nanos(wait)),
                srtt: Some(Duration::from_nanos(wait)),
                rate: Some(Sample {
                    prior_delivered,
                    delivered: u64::from(arrived),
                    interval: Duration::from_nanos(interval),
                    app_limited,
                }),
                repair: [Repair::Nothing, Repair::Fast, Repair::Timeout][usize::from(repair)],
                ..AckInfo::default()
            };
            if repair == 2 {
                cc.on_congestion(&w, pipe, Congestion::Loss, now);
                cc.on_timeout();
                w.cwnd = MSS;
            }
            w.cwnd = cc.window_by_model(&w, &info).expect("a model");
            prop_assert!(w.cwnd >= MSS);
            prop_assert!(cc.pacing_rate() > Some(0));
            prop_assert!(cc.bw.len() <= BW_ROUNDS as usize + 2);
        }
    }
}
