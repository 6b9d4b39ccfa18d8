//! Slow start with a switch that has no sysctl: HyStart++ (RFC 9406) beside NewReno. The rest is in
//! `tests/drill/congestion`.

use crate::script::with;

#[test]
fn slow_start_slows_down_when_the_round_trip_rises() {
    // The eighth ACK of the second round shows that it takes 130 ms; the last twelve count a quarter.
    for (newreno_hystart, cwnd) in [(true, 31_000), (false, 40_000)] {
        let script = format!(
            "reach established
            set sndbuf 200000
            room 100
            lenient
            send 150000
            +0.1 info inflight -> 10000
            for n 0..10
            < . 1:1(0) ack {{1000*n+1001}}
            end
            info cwnd -> 20000
            +0.13 info inflight -> 20000
            for n 10..30
            < . 1:1(0) ack {{1000*n+1001}}
            end
            info cwnd -> {cwnd}"
        );
        with(|config| config.newreno_hystart = newreno_hystart, &script);
    }
}
