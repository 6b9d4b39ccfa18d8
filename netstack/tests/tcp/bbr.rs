//! BBR: what it makes of a path, in virtual time; scripts are in `tests/drill/bbr`.

use crate::path::{Path, Stream};
use netstack::tcp::TcpConfig;
use netstack::tcp::cc::Algorithm;
use netstack::time::Duration;

fn bbr() -> TcpConfig {
    TcpConfig { congestion_control: Algorithm::Bbr, ..TcpConfig::default() }
}

const LINK: u64 = 1_250_000;

/// 10 Mbit/s, 40 ms, and a queue that holds half a second.
fn deep() -> Path {
    Path {
        rtt: Duration::from_millis(40),
        rate: Some(LINK),
        queue: 420,
        mark: None,
        lost: Box::new(|_| false),
    }
}

#[test]
fn a_deep_queue_is_left_empty_where_reno_fills_it() {
    let srtt = |congestion_control| {
        let mut s = Stream::new(TcpConfig { congestion_control, ..TcpConfig::default() }, deep());
        s.run(Duration::from_secs(5));
        let rate = s.goodput(Duration::from_secs(4));
        let (srtt, _, _) = s.info().rtt.expect("measured");
        (rate, srtt.as_millis(), s.overflows)
    };
    let (rate, rtt, overflows) = srtt(Algorithm::Bbr);
    // 1448 of 1500 octets are payload.
    assert!(rate > 9.65 * 0.97, "{rate} Mbit/s");
    assert!(rtt < 60, "{rtt} ms");
    assert_eq!(overflows, 0);
    let (_, rtt, _) = srtt(Algorithm::NewReno);
    assert!(rtt > 150, "{rtt} ms");
}

#[test]
fn the_rate_is_found_again_when_the_path_changes() {
    let mut s = Stream::new(bbr(), deep());
    s.run(Duration::from_secs(3));
    for rate in [2 * LINK, LINK / 2, LINK] {
        s.set_rate(rate);
        s.run(Duration::from_secs(6));
        let measured = s.info().pacing_rate.expect("paced") as f64;
        let ratio = measured / rate as f64;
        assert!((0.7..1.3).contains(&ratio), "{rate}: {measured}");
        let goodput = s.goodput(Duration::from_secs(3)) * 1e6 / 8.0 * 1500.0 / 1448.0;
        // A quarter of a second of the three may be ProbeRTT's.
        assert!(goodput > 0.88 * rate as f64, "{rate}: {goodput}");
    }
}

#[test]
fn one_loss_in_a_hundred_costs_little() {
    let mut n = 0;
    let lost = Box::new(move |_| {
        n += 1;
        n % 100 == 0
    });
    let mut s = Stream::new(bbr(), Path { lost, ..deep() });
    s.run(Duration::from_secs(2));
    let rate = s.goodput(Duration::from_secs(5));
    assert!(rate > 9.65 * 0.93, "{rate} Mbit/s");
}
