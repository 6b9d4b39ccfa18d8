//! Algorithms of congestion control: TCP_CONGESTION, and what is theirs of a loss (RFC 9438) and of
//! slow start (RFC 9406).

use crate::engine::host::Host;
use crate::reach::*;
use crate::script::{Script, reno};
use netstack::socket::Family;
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{TcpConfig, TcpOpt, TcpOptName};

fn cubic() -> TcpConfig {
    TcpConfig { congestion_control: Algorithm::Cubic, ..TcpConfig::default() }
}

/// Segments of 1000 octets `from..to` (in segments) are acknowledged one by one.
fn ack_each(s: &mut Script, from: u32, to: u32) {
    for n in from..to {
        s.play(&format!("< . 1:1(0) ack {}", 1001 + n * 1000));
    }
}

#[test]
fn a_program_chooses_by_name() {
    let mut h = Host::new("10.0.0.1", TcpConfig::default(), 1);
    let id = h.tcp.socket(Family::Inet);
    assert_eq!(h.tcp.info(id).expect("a socket").congestion_control, "cubic", "the default");
    let chosen = Algorithm::by_name("reno").expect("Linux's name");
    assert_eq!(h.tcp.set_option(&mut h.ip, id, TcpOpt::Congestion(chosen)), Ok(()));
    assert_eq!(h.tcp.option(id, TcpOptName::Congestion), Ok(TcpOpt::Congestion(Algorithm::NewReno)));
    assert_eq!(h.tcp.info(id).expect("a socket").congestion_control, "reno");
}

#[test]
fn a_loss_leaves_cubic_seven_tenths() {
    let mut s = Script::new(cubic());
    s.play(ESTABLISHED);
    s.play("room 100\nlenient\nsend 20000\n+0.1 < . 1:1(0) ack 1\n< . 1:1(0) ack 1\n< . 1:1(0) ack 1");
    s.play("stat tcpFastRetrans -> 1\ninfo ssthresh -> 7000\ninfo cwnd -> 7000");
}

#[test]
fn a_timeout_leaves_cubic_one_segment_and_seven_tenths_for_slow_start() {
    let mut s = Script::new(cubic());
    s.play(ESTABLISHED);
    s.play(
        "room 100\nlenient\nsend 20000\n+0.3 stat tcpTimeouts -> 1\ninfo ssthresh -> 7000\ninfo cwnd -> 1000",
    );
}

#[test]
fn slow_start_slows_down_when_the_round_trip_rises() {
    // The eighth ACK of the second round shows that it takes 130 ms; the last twelve count a quarter.
    let hystart_reno = TcpConfig { newreno_hystart: true, ..reno() };
    for (config, cwnd) in [(cubic(), 31_000), (hystart_reno, 31_000), (reno(), 40_000)] {
        let mut s = Script::new(config);
        s.play(ESTABLISHED);
        s.play("set sndbuf 200000\nroom 100\nlenient\nsend 150000\n+0.1 info inflight -> 10000");
        ack_each(&mut s, 0, 10);
        s.play("info cwnd -> 20000\n+0.13 info inflight -> 20000");
        ack_each(&mut s, 10, 30);
        s.play(&format!("info cwnd -> {cwnd}"));
    }
}
