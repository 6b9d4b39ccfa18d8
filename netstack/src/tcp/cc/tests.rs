//! Laws of all algorithms that go by losses: whatever they are told, the window stays one that can be used.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Ack { acked: u32, left: u32, rtt_ns: Option<u64>, srtt_ns: Option<u64> },
    AppLimited,
    Congestion { flight: u32, why: Congestion },
    Timeout,
    Wait { ns: u64 },
    Mss(u32),
}

/// Mostly what happens, at times anything.
fn event() -> impl Strategy<Value = Event> {
    let octets = prop_oneof![4 => 1u32..20_000, 1 => any::<u32>()];
    let ns = prop_oneof![8 => 0u64..200_000_000, 1 => any::<u64>()];
    let rtt = prop::option::weighted(0.9, ns.clone());
    prop_oneof![
        20 => (octets.clone(), octets.clone(), rtt.clone(), rtt)
            .prop_map(|(acked, left, rtt_ns, srtt_ns)| Event::Ack { acked, left, rtt_ns, srtt_ns }),
        2 => Just(Event::AppLimited),
        2 => (octets, prop::sample::select(vec![Congestion::Loss, Congestion::Mark]))
            .prop_map(|(flight, why)| Event::Congestion { flight, why }),
        1 => Just(Event::Timeout),
        4 => ns.prop_map(|ns| Event::Wait { ns }),
        1 => (48u32..65_536).prop_map(Event::Mss),
    ]
}

/// Those whose window is cut by losses.
const BY_LOSS: &[Algorithm] = &[Algorithm::NewReno, Algorithm::Cubic];

proptest! {
    #[test]
    fn the_window_never_shrinks_without_a_loss_and_never_below_a_segment(
        algorithm in prop::sample::select(BY_LOSS),
        newreno_hystart in any::<bool>(),
        abe in any::<bool>(),
        initial in prop_oneof![1u32..100_000, any::<u32>()],
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut cc = algorithm.start(&TcpConfig { newreno_hystart, abe, ..TcpConfig::default() });
        let mut w = Window { cwnd: initial.max(1460), ssthresh: u32::MAX, mss: 1460 };
        let (mut now, mut una) = (Instant::ZERO, SeqNum(7));
        let info = |acked, left, now, una, rtt: Option<u64>, srtt: Option<u64>| AckInfo {
            acked,
            una,
            nxt: una + left,
            now,
            rtt: rtt.map(Duration::from_nanos),
            srtt: srtt.map(Duration::from_nanos), ..AckInfo::default()
        };
        for event in events {
            let before = w;
            match event {
                Event::Ack { acked, left, rtt_ns, srtt_ns } => {
                    una += acked;
                    let slow_start = w.in_slow_start();
                    cc.on_ack(&mut w, &info(acked, left, now, una, rtt_ns, srtt_ns));
                    prop_assert!(w.cwnd >= before.cwnd, "{before:?} {w:?}");
                    // No more than in slow start, or a segment for each window acknowledged.
                    let most = before.cwnd.saturating_add(acked).saturating_add(w.mss);
                    prop_assert!(w.cwnd <= most, "{before:?} {w:?}");
                    prop_assert!(w.ssthresh == before.ssthresh || (slow_start && w.ssthresh == w.cwnd));
                }
                Event::AppLimited => cc.on_app_limited(&info(1, 1, now, una, None, None)),
                Event::Congestion { flight, why } => {
                    w.ssthresh = cc.on_congestion(&w, flight, why, now);
                    prop_assert!(w.ssthresh >= 2 * w.mss && w.ssthresh <= flight.max(2 * w.mss));
                    w.cwnd = w.ssthresh;
                }
                Event::Timeout => {
                    w.ssthresh = cc.on_congestion(&w, w.cwnd, Congestion::Loss, now);
                    cc.on_timeout();
                    w.cwnd = w.mss;
                }
                Event::Wait { ns } => now += Duration::from_nanos(ns),
                Event::Mss(mss) => (w.mss, w.cwnd) = (mss, w.cwnd.max(mss)),
            }
            prop_assert!(w.cwnd >= w.mss);
        }
    }
}

#[test]
fn algorithms_are_known_by_linux_names() {
    assert_eq!(Algorithm::by_name("reno"), Some(Algorithm::NewReno));
    assert_eq!(Algorithm::by_name("bbr"), Some(Algorithm::Bbr));
    assert_eq!(Algorithm::by_name("cubic"), Some(Algorithm::Cubic));
    assert_eq!(Algorithm::by_name("vegas"), None);
    for a in Algorithm::ALL {
        assert_eq!(Algorithm::by_name(a.name()), Some(*a));
    }
}
