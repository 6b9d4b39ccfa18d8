//! Algorithms of congestion control: what is theirs of slow start (RFC 9406).

use crate::reach::*;
use crate::script::Script;
use netstack::tcp::TcpConfig;

/// Segments of 1000 octets `from..to` (in segments) are acknowledged one by one.
fn ack_each(s: &mut Script, from: u32, to: u32) {
    for n in from..to {
        s.play(&format!("< . 1:1(0) ack {}", 1001 + n * 1000));
    }
}

#[test]
fn slow_start_slows_down_when_the_round_trip_rises() {
    // The eighth ACK of the second round shows that it takes 130 ms; the last twelve count a quarter.
    let hystart_reno = TcpConfig { newreno_hystart: true, ..TcpConfig::default() };
    for (config, cwnd) in [(hystart_reno, 31_000), (TcpConfig::default(), 40_000)] {
        let mut s = Script::new(config);
        s.play(ESTABLISHED);
        s.play("set sndbuf 200000\nroom 100\nlenient\nsend 150000\n+0.1 info inflight -> 10000");
        ack_each(&mut s, 0, 10);
        s.play("info cwnd -> 20000\n+0.13 info inflight -> 20000");
        ack_each(&mut s, 10, 30);
        s.play(&format!("info cwnd -> {cwnd}"));
    }
}
