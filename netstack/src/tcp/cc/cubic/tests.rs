use super::*;
use crate::tcp::seq::SeqNum;

const MSS: u32 = 1000;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A sender that always has data, over a path of a constant round trip.
struct Sender {
    cc: Cubic,
    w: Window,
    now: Instant,
    rtt: Duration,
    una: SeqNum,
}

impl Sender {
    /// In congestion avoidance after the loss of a segment of a window of `lost_at` segments.
    fn after_loss(lost_at: u32, rtt: Duration) -> Sender {
        let w = Window { cwnd: lost_at * MSS, ssthresh: u32::MAX, mss: MSS };
        let mut s = Sender { cc: Cubic::default(), w, now: Instant::from_millis(5000), rtt, una: SeqNum(0) };
        s.lose();
        s
    }

    /// A whole window is in flight, and a segment of it is lost.
    fn lose(&mut self) {
        self.w.ssthresh = self.cc.on_congestion(&self.w, self.w.cwnd, Congestion::Loss, self.now);
        self.w.cwnd = self.w.ssthresh;
    }

    fn info(&mut self, acked: u32, left: u32) -> AckInfo {
        self.una += acked;
        let (una, nxt, rtt) = (self.una, self.una + left, Some(self.rtt));
        AckInfo { acked, una, nxt, now: self.now, rtt, srtt: rtt, ..AckInfo::default() }
    }

    fn ack(&mut self) {
        let info = self.info(MSS, self.w.cwnd);
        self.cc.on_ack(&mut self.w, &info);
    }

    /// One round trip: an ACK for each segment of the window, evenly spread.
    fn round(&mut self) {
        let (n, end) = (self.w.cwnd / MSS, self.now + self.rtt);
        for _ in 0..n {
            self.ack();
            self.now += self.rtt / n;
        }
        self.now = end;
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.round();
        }
    }

    /// The window in segments.
    fn segments(&self) -> f64 {
        f64::from(self.w.cwnd) / f64::from(MSS)
    }
}

#[track_caller]
fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b}, by {tolerance}");
}

#[test]
fn the_curve_is_that_of_the_rfc() {
    let curve = Curve::new(1000.0 * f64::from(MSS), 700.0 * f64::from(MSS), MSS);
    near(curve.k, 9.085_602_964_160_698, 1e-12); // (300 / 0.4)^(1/3)
    let k = Duration::from_secs_f64(curve.k);
    for (t, segments) in [(Duration::ZERO, 700.0), (k, 1000.0), (k * 2, 1300.0)] {
        near(curve.at(t) / f64::from(MSS), segments, 1e-4);
    }
    // 0.4 (5 - 9.0856)^3 + 1000
    near(curve.at(Duration::from_secs(5)) / f64::from(MSS), 972.721, 0.001);
    assert_eq!(Curve::new(5e5, 5e5, MSS).k, 0.0);
    assert_eq!(Curve::new(5e5, 6e5, MSS).k, 0.0, "the curve never begins beyond its flat part");
}

#[test]
fn cube_roots() {
    for root in [1e-4, 0.033, 0.5, 1.0, 3.0, 9.085, 1234.5, 1e7] {
        near(cube_root(root * root * root) / root, 1.0, 1e-14);
    }
    assert_eq!((cube_root(0.0), cube_root(-8.0)), (0.0, 0.0));
}

#[test]
fn the_window_follows_the_curve() {
    let mut s = Sender::after_loss(1000, ms(100));
    assert_eq!(s.w.cwnd, 700_000);
    s.run(ms(5000));
    near(s.segments(), 972.7, 3.0);
    s.run(ms(4100));
    near(s.segments(), 1000.0, 1.0);
    s.run(ms(9100));
    // 0.4 (18.2 - 9.0856)^3 + 1000; a round trip's growth is 10 segments here.
    near(s.segments(), 1302.9, 10.0);
}

#[test]
fn a_small_window_grows_as_renos() {
    // K is (6 / 0.4)^(1/3) = 2.47 s: the curve has not moved when Reno is there.
    let mut s = Sender::after_loss(20, ms(10));
    s.run(ms(100));
    // 10 rounds of 0.529 segments, less what rounds of whole segments leave over.
    near(s.segments(), 14.0 + 10.0 * ALPHA, 0.3);
    s.run(ms(20));
    near(s.segments(), 20.3, 0.3);
    // W_est has reached cwnd_prior: one segment a round trip.
    s.run(ms(100));
    near(s.segments(), 30.3, 0.6);
}

#[test]
fn an_ack_moves_the_window_by_half_of_itself_at_most() {
    let mut s = Sender::after_loss(10, ms(100));
    s.ack();
    let before = s.w.cwnd;
    // An hour of ACKs that were not lost but late.
    s.now += Duration::from_secs(3600);
    s.ack();
    assert_eq!(s.w.cwnd, before + MSS / 2);
    let (before, info) = (s.w.cwnd, s.info(u32::MAX, 1));
    s.cc.on_ack(&mut s.w, &info);
    near(f64::from(s.w.cwnd), f64::from(before) * 1.5, 1.0);
}

#[test]
fn a_loss_leaves_seven_tenths_of_what_is_in_flight_and_two_segments_at_least() {
    let (mut cc, w) = (Cubic::default(), Window { cwnd: 20_000, ssthresh: u32::MAX, mss: MSS });
    assert_eq!(cc.on_congestion(&w, 20_000, Congestion::Loss, Instant::ZERO), 14_000);
    assert_eq!(cc.on_congestion(&w, 10_000, Congestion::Loss, Instant::ZERO), 7_000);
    assert_eq!(cc.on_congestion(&w, 1_000, Congestion::Loss, Instant::ZERO), 2_000);
    assert_eq!(cc.on_congestion(&w, u32::MAX, Congestion::Loss, Instant::ZERO), 3_006_477_106);
}

#[test]
fn fast_convergence_turns_flat_earlier() {
    let mut s = Sender::after_loss(1000, ms(100));
    assert_eq!(s.cc.w_max, 1e6);
    s.run(ms(1000));
    let second = s.w.cwnd;
    assert!(second < 1_000_000);
    s.lose();
    assert_eq!((s.cc.w_max, s.cc.cwnd_prior), (f64::from(second) * 0.85, f64::from(second)));
    s.run(ms(20_000));
    let third = f64::from(s.w.cwnd);
    assert!(third > s.cc.w_max);
    s.lose();
    assert_eq!(s.cc.w_max, third, "not when the window has grown beyond the last loss");
}

#[test]
fn after_a_timeout_the_curve_begins_flat() {
    let mut s = Sender::after_loss(100, ms(100));
    s.run(ms(500));
    let flight = s.w.cwnd;
    s.w.ssthresh = s.cc.on_congestion(&s.w, flight, Congestion::Loss, s.now);
    s.cc.on_timeout();
    s.w.cwnd = MSS;
    while s.w.in_slow_start() {
        s.ack();
    }
    // What the last ACK had left over is congestion avoidance's first.
    let epoch = s.cc.epoch.expect("congestion avoidance");
    assert_eq!((epoch.curve.k, epoch.curve.w_max), (0.0, f64::from(s.w.ssthresh)));
    assert_eq!(s.cc.cwnd_prior, f64::from(flight));
}

#[test]
fn hystart_ends_the_first_slow_start_and_the_curve_begins_flat() {
    let w = Window { cwnd: 10 * MSS, ssthresh: u32::MAX, mss: MSS };
    let mut s = Sender { cc: Cubic::default(), w, now: Instant::ZERO, rtt: ms(50), una: SeqNum(0) };
    let mut rounds = 0;
    while s.w.in_slow_start() {
        s.round();
        // The path holds a hundred segments; more stand in a queue, half a millisecond each.
        s.rtt = ms(50).max(s.w.cwnd / 1000 * Duration::from_micros(500));
        rounds += 1;
        assert!(rounds < 20);
    }
    assert!((100.0..1000.0).contains(&s.segments()), "{}", s.segments());
    near(s.cc.cwnd_prior, f64::from(s.w.ssthresh), 0.0);
    s.ack();
    let epoch = s.cc.epoch.expect("congestion avoidance");
    assert_eq!((epoch.curve.k, epoch.curve.w_max), (0.0, f64::from(s.w.ssthresh)));
}

#[test]
fn time_without_use_of_the_window_does_not_count() {
    // Busy for two seconds; busy for one, not limited or silent for a minute, busy for another one.
    let mut busy = Sender::after_loss(1000, ms(100));
    busy.run(ms(2000));
    let mut limited = Sender::after_loss(1000, ms(100));
    limited.run(ms(1000));
    let mut silent = Sender::after_loss(1000, ms(100));
    silent.run(ms(1000));

    for _ in 0..600 {
        limited.now += ms(100);
        let info = limited.info(MSS, MSS);
        limited.cc.on_app_limited(&info);
    }
    limited.run(ms(1000));
    near(limited.segments(), busy.segments(), 1.0);

    let info = silent.info(MSS, 0);
    silent.cc.on_ack(&mut silent.w, &info);
    silent.now += ms(60_000) + silent.rtt;
    silent.run(ms(900));
    near(silent.segments(), busy.segments(), 2.0);
}
