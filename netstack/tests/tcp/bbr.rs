//! BBR: how it begins, in scripts; what it makes of a path, in virtual time.

use crate::path::{Path, Stream};
use crate::reach::*;
use crate::script::with;
use netstack::tcp::TcpConfig;
use netstack::tcp::cc::Algorithm;
use netstack::time::Duration;

fn bbr() -> TcpConfig {
    TcpConfig { congestion_control: Algorithm::Bbr, ..TcpConfig::default() }
}

#[test]
fn the_first_window_goes_at_once_and_its_acknowledgment_sets_the_pace() {
    with(
        bbr(),
        &format!(
            "{ESTABLISHED}info congestion -> bbr
            send 30000
            for i 0..10
            > . {{1+1000*i}}:{{1001+1000*i}}(1000) ack 1
            end
            info pacing -> none
            +0.1 < . 1:1(0) ack 2001
            > . 10001:11001(1000) ack 1
            > . 11001:12001(1000) ack 1
            # Two segments in 100 ms; the window in 100 ms, times 2.885, less a hundredth
            info delivery -> 20000
            info pacing -> 285615
            info cwnd -> 12000
            info ssthresh -> none
            # The other two that the window would take wait for 3.5 ms.
            < . 1:1(0) ack 4001
            info cwnd -> 14000
            +0.0035~0.00001 > . 12001:13001(1000) ack 1
            > . 13001:14001(1000) ack 1"
        ),
    );
}

#[test]
fn a_loss_is_repaired_without_a_threshold() {
    with(
        bbr(),
        &format!(
            "{ESTABLISHED_SACK}send 10000
            for i 0..9
            > . {{1+1000*i}}:{{1001+1000*i}}(1000) ack 1
            end
            > P. 9001:10001(1000) ack 1
            +0.1 < . 1:1(0) ack 1 <sack 1001:6001>
            > . 1:1001(1000) ack 1
            info ssthresh -> none
            < . 1:1(0) ack 10001
            info ssthresh -> none
            stat tcpSackRecovery -> 1
            # What it was before the loss
            info cwnd -> 15000"
        ),
    );
}

#[test]
fn a_silence_does_not_shrink_what_the_path_has_shown() {
    with(
        bbr(),
        &format!(
            "{ESTABLISHED}lenient
            send 10000
            +0.1 < . 1:1(0) ack 10001
            info cwnd -> 20000
            +5 send 2000
            info cwnd -> 20000
            # Nor does it count for the rate: two segments in 100 ms.
            +0.1 < . 1:1(0) ack 12001
            info delivery -> 20000"
        ),
    );
}

#[test]
fn a_program_that_says_little_does_not_make_the_path_look_full() {
    with(
        bbr(),
        &format!(
            "{ESTABLISHED}lenient
            send 10000
            +0.1 < . 1:1(0) ack 10001
            info delivery -> 100000
            info pacing -> 285615
            for i 0..6
            send 1000
            +0.1 < . 1:1(0) ack {{11001+1000*i}}
            info delivery -> 10000
            info pacing -> 285615
            end"
        ),
    );
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
