//! Explicit congestion notification over a path that marks; scripts are in `tests/drill/ecn`.

use crate::path::{Path, Stream};
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{EcnMode, TcpConfig};
use netstack::time::Duration;

/// 100 Mbit/s, 10 ms; a queue of 100 packets that marks from `mark` on.
fn marking(mark: usize) -> Path {
    let rtt = Duration::from_millis(10);
    Path { rtt, rate: Some(12_500_000), queue: 100, mark: Some(mark), lost: Box::new(|_| false) }
}

#[test]
fn a_queue_that_marks_loses_nothing_of_those_who_understand() {
    for congestion_control in [Algorithm::NewReno, Algorithm::Cubic] {
        let run = |ecn| {
            let config = TcpConfig { ecn, congestion_control, ..TcpConfig::default() };
            let mut s = Stream::new(config, marking(20));
            // Slow start finds the queue too late in any case.
            s.run(Duration::from_secs(2));
            let overflows = s.overflows;
            let rate = s.goodput(Duration::from_secs(8));
            (s.overflows - overflows, rate, s.info().rtt.expect("measured").0.as_millis())
        };
        let (overflows, rate, rtt) = run(EcnMode::Request);
        assert_eq!(overflows, 0, "{congestion_control:?}");
        assert!(rate > 80.0, "{congestion_control:?} {rate} Mbit/s");
        assert!(rtt <= 13, "{congestion_control:?} {rtt} ms");
        let (overflows, _, _) = run(EcnMode::Off);
        assert!(overflows > 0, "{congestion_control:?}");
    }
}

#[test]
fn a_softer_cut_fills_a_path_whose_queue_marks_early() {
    for congestion_control in [Algorithm::NewReno, Algorithm::Cubic] {
        let rate = |abe| {
            let config = TcpConfig { ecn: EcnMode::Request, abe, congestion_control, ..TcpConfig::default() };
            let mut s = Stream::new(config, marking(5));
            s.run(Duration::from_secs(2));
            s.goodput(Duration::from_secs(8))
        };
        let (hard, soft) = (rate(false), rate(true));
        assert!(soft > hard + 3.0, "{congestion_control:?}: {hard} and {soft} Mbit/s");
    }
}
