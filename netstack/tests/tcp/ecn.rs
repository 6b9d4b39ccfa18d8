//! Explicit congestion notification: RFC 3168, and RFC 8511.

use crate::path::{Path, Stream};
use crate::script::{Script, reno, with};
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{EcnMode, TcpConfig};
use netstack::time::Duration;

fn mode(ecn: EcnMode) -> TcpConfig {
    TcpConfig { ecn, ..reno() }
}

/// Passive, agreed, segments of 1000 octets, a round trip of 100 ms.
const AGREED: &str = "listen 80
    < SEW 0:0(0) win 65535 <mss 1000>
    > [noect] SE. 0:0(0) ack 1
    +0.1 < . 1:1(0) ack 1 win 65535
    accept -> 4000
    ";
/// The same with selective acknowledgments.
const AGREED_SACK: &str = "listen 80
    < SEW 0:0(0) win 65535 <mss 1000,sackOK>
    > [noect] SE. 0:0(0) ack 1
    +0.1 < . 1:1(0) ack 1 win 65535
    accept -> 4000
    ";

fn agreed(text: &str) {
    with(reno(), &format!("{AGREED}{text}"));
}

fn agreed_sack(text: &str) {
    with(reno(), &format!("{AGREED_SACK}{text}"));
}

// ---- negotiation: RFC 3168 §6.1.1 ---------------------------------------------------------------

#[test]
fn a_listener_accepts_what_it_is_asked_for_unless_it_is_off() {
    for (ecn, answer, data) in
        [(EcnMode::Off, "S.", "noect"), (EcnMode::Request, "SE.", "ect0"), (EcnMode::Accept, "SE.", "ect0")]
    {
        with(
            mode(ecn),
            &format!(
                "listen 80
                < SEW 0:0(0) win 65535 <mss 1000>
                > [noect] {answer} 0:0(0) ack 1
                +0.1 < . 1:1(0) ack 1
                accept -> 4000
                send 10
                > [{data}] P. 1:11(10) ack 1"
            ),
        );
    }
}

#[test]
fn a_listener_does_not_offer_and_mistrusts_a_marked_syn() {
    for syn in ["S", "SE", "SW", "[ect0] SEW", "[ce] SEW"] {
        with(
            reno(),
            &format!(
                "listen 80
                < {syn} 0:0(0) win 65535 <mss 1000>
                > S. 0:0(0) ack 1
                +0.1 < . 1:1(0) ack 1
                accept -> 4000
                send 10
                > [noect] P. 1:11(10) ack 1
                stat tcpEcnShs -> 0"
            ),
        );
    }
}

#[test]
fn a_client_asks_only_if_it_is_told_to() {
    for (ecn, syn, answer, data) in [
        (EcnMode::Off, "S", "SE.", "noect"),
        (EcnMode::Accept, "S", "SE.", "noect"),
        (EcnMode::Request, "SEW", "S.", "noect"),
        // Somebody who reflects what he does not know
        (EcnMode::Request, "SEW", "SEW.", "noect"),
        (EcnMode::Request, "SEW", "SE.", "ect0"),
    ] {
        with(
            mode(ecn),
            &format!(
                "connect -> error InProgress
                > [noect] {syn} 0:0(0)
                +0.1 < {answer} 0:0(0) ack 1 win 65535 <mss 1000>
                > [noect] . 1:1(0) ack 1
                send 10
                > [{data}] P. 1:11(10) ack 1
                info cwnd -> 10000"
            ),
        );
    }
}

#[test]
fn a_syn_that_is_sent_again_goes_without() {
    // RFC 3168 §6.1.1.1. Whoever answers the first one after all has agreed.
    with(
        mode(EcnMode::Request),
        "connect -> error InProgress
        > SEW 0:0(0)
        +1 > S 0:0(0)
        +2 > S 0:0(0)
        +0.1 < S. 0:0(0) ack 1 win 65535 <mss 1000>
        > . 1:1(0) ack 1
        send 10
        > [noect] P. 1:11(10) ack 1",
    );
    with(
        mode(EcnMode::Request),
        "connect -> error InProgress
        > SEW 0:0(0)
        +1 > S 0:0(0)
        +0.1 < SE. 0:0(0) ack 1 win 65535 <mss 1000>
        > . 1:1(0) ack 1
        send 10
        > [ect0] P. 1:11(10) ack 1",
    );
    with(
        TcpConfig { ecn_fallback: false, ..mode(EcnMode::Request) },
        "connect -> error InProgress\n> SEW 0:0(0)\n+1 > SEW 0:0(0)",
    );
}

#[test]
fn a_simultaneous_open_agrees_too() {
    for (syn, answer) in [("SEW", "SE."), ("S", "S.")] {
        with(
            mode(EcnMode::Request),
            &format!(
                "connect -> error InProgress
                > SEW 0:0(0)
                < {syn} 0:0(0) win 65535 <mss 1000>
                > {answer} 0:0(0) ack 1"
            ),
        );
    }
}

// ---- what is marked: §6.1.4 to §6.1.6 -----------------------------------------------------------

#[test]
fn only_data_sent_for_the_first_time_bears_the_mark() {
    agreed(
        "send 500
        > [ect0] P. 1:501(500) ack 1
        < P. 1:11(10) ack 1
        > [noect] . 501:501(0) ack 11
        +0.3 > [noect] P. 1:501(500) ack 11
        +0.1 < . 11:11(0) ack 501 win 0
        send 10
        # A window probe
        +0.6 > [noect] . 500:500(0) ack 11",
    );
    // A FIN alone, and a reset
    agreed(
        "set linger 0
        shut wr
        > [noect] F. 1:1(0) ack 1
        close
        > [noect] R. 2:2(0) ack 1",
    );
}

#[test]
fn the_first_segment_of_a_type_of_service_keeps_it() {
    let mut s = Script::new(reno());
    s.play(AGREED);
    s.play("send 500\n> [ect0] P. 1:501(500) ack 1\n< . 1:1(0) ack 501\nset nodelay");
    s.play("send 100\n> [ect0] P. 501:601(100) ack 1");
    s.finish();
}

// ---- the receiver: §6.1.3 -----------------------------------------------------------------------

#[test]
fn congestion_is_echoed_until_the_sender_has_heard() {
    agreed(
        "< [ect0] . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < [ce] . 1001:2001(1000) ack 1
        > E. 1:1(0) ack 2001
        < [ect0] . 2001:3001(1000) ack 1
        > E. 1:1(0) ack 3001
        # Also on data
        send 10
        > [ect0] PE. 1:11(10) ack 3001
        < [ect0] W. 3001:4001(1000) ack 11
        > . 11:11(0) ack 4001
        # CWR with a mark of its own: that is news again
        < [ce] W. 4001:5001(1000) ack 11
        > E. 11:11(0) ack 5001
        stat tcpEcnCe -> 2",
    );
}

#[test]
fn a_mark_is_answered_at_once_and_so_is_cwr() {
    // Data that answers data made the connection interactive: its ACKs are delayed.
    agreed(
        "send 10
        > P. 1:11(10) ack 1
        < P. 1:11(10) ack 11
        > . 11:11(0) ack 11
        < P. 11:21(10) ack 11
        > . 11:11(0) ack 21
        < [ect0] P. 21:31(10) ack 11
        > . 11:11(0) ack 31
        ",
    );
    let mut s = Script::new(TcpConfig { quick_acks: 0, ..reno() });
    s.play(AGREED);
    s.play(
        "< [ect0] P. 1:11(10) ack 1
        +0.04 > . 1:1(0) ack 11
        < [ce] P. 11:21(10) ack 1
        > E. 1:1(0) ack 21
        < [ce] P. 21:31(10) ack 1
        > E. 1:1(0) ack 31
        < [ce] P. 31:41(10) ack 1
        +0.04 > E. 1:1(0) ack 41
        < [ect0] PW. 41:51(10) ack 1
        > . 1:1(0) ack 51
        < [ect0] P. 51:61(10) ack 1
        +0.04 > . 1:1(0) ack 61",
    );
    s.finish();
}

#[test]
fn marks_outside_of_the_window_and_without_agreement_say_nothing() {
    // §6.1.5: it may be forged.
    agreed(
        "< . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < [ce] . 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        < [ce] . 200001:201001(1000) ack 1
        > . 1:1(0) ack 1001
        # Nor does it on an acknowledgment
        < [ce] . 1001:1001(0) ack 1
        < . 1001:2001(1000) ack 1
        > . 1:1(0) ack 2001",
    );
    with(
        mode(EcnMode::Off),
        "listen 80
        < SEW 0:0(0) win 65535 <mss 1000>
        > S. 0:0(0) ack 1
        < . 1:1(0) ack 1
        accept -> 4000
        < [ce] W. 1:1001(1000) ack 1
        > . 1:1(0) ack 1001
        send 10000
        > . 1:1001(1000) ack 1001
        > . 1001:2001(1000) ack 1001
        > . 2001:3001(1000) ack 1001
        > . 3001:4001(1000) ack 1001
        > . 4001:5001(1000) ack 1001
        > . 5001:6001(1000) ack 1001
        > . 6001:7001(1000) ack 1001
        > . 7001:8001(1000) ack 1001
        > . 8001:9001(1000) ack 1001
        > P. 9001:10001(1000) ack 1001
        < E. 1001:1001(0) ack 1001
        stat tcpEcnRcwnd -> 0",
    );
}

#[test]
fn early_data_is_echoed_too() {
    agreed(
        "< [ce] . 1001:2001(1000) ack 1
        > E. 1:1(0) ack 1
        < [ect0] . 1:1001(1000) ack 1
        > E. 1:1(0) ack 2001",
    );
}

#[test]
fn time_wait_echoes_nothing() {
    agreed(
        "shut wr
        > F. 1:1(0) ack 1
        < [ce] . 1:1001(1000) ack 2
        > E. 2:2(0) ack 1001
        < [ect0] F. 1001:1001(0) ack 2
        > . 2:2(0) ack 1002
        state -> TimeWait
        < [ce] F. 1001:1001(0) ack 2
        > . 2:2(0) ack 1002",
    );
}

// ---- the sender: §6.1.2 -------------------------------------------------------------------------

/// Ten segments are in flight.
const TEN: &str = "send 20000
    > [ect0] . 1:1001(1000) ack 1
    > . 1001:2001(1000) ack 1
    > . 2001:3001(1000) ack 1
    > . 3001:4001(1000) ack 1
    > . 4001:5001(1000) ack 1
    > . 5001:6001(1000) ack 1
    > . 6001:7001(1000) ack 1
    > . 7001:8001(1000) ack 1
    > . 8001:9001(1000) ack 1
    > . 9001:10001(1000) ack 1
    ";

#[test]
fn an_echo_halves_the_window_once_a_round_trip_and_is_answered() {
    for agreed in [agreed, agreed_sack] {
        agreed(&format!(
            "set sndbuf 100000
            {TEN}+0.1 < E. 1:1(0) ack 2001
            > [ect0] W. 10001:11001(1000) ack 1
            info ssthresh -> 5000
            < E. 1:1(0) ack 4001
            > [ect0] . 11001:12001(1000) ack 1
            < E. 1:1(0) ack 6001
            > . 12001:13001(1000) ack 1
            < E. 1:1(0) ack 8001
            < E. 1:1(0) ack 10001
            > . 13001:14001(1000) ack 1
            > . 14001:15001(1000) ack 1
            info cwnd -> 5000
            info inflight -> 5000
            stat tcpEcnRcwnd -> 1
            # The segment with CWR is acknowledged: what is echoed now is new.
            +0.1 < E. 1:1(0) ack 11001
            info ssthresh -> 2500
            stat tcpEcnRcwnd -> 2
            < E. 1:1(0) ack 14001
            > W. 15001:16001(1000) ack 1
            stat tcpRetransSegs -> 0"
        ));
    }
}

#[test]
fn a_round_trip_later_the_window_grows_again() {
    agreed_sack(&format!(
        "{TEN}lenient
        +0.1 < E. 1:1(0) ack 10001
        < . 1:1(0) ack 15001
        info cwnd -> 6000"
    ));
}

#[test]
fn a_loss_in_the_same_window_does_not_cut_it_again() {
    let lost = |sack: &str| {
        format!(
            "{TEN}lenient
            +0.1 < E. 1:1(0) ack 2001
            info ssthresh -> 5000
            < E. 1:1(0) ack 2001 {}
            < E. 1:1(0) ack 2001 {}
            < E. 1:1(0) ack 2001 {}
            stat tcpFastRetrans -> 1
            stat tcpRetransSegs -> 1
            info ssthresh -> 5000
            # Nor does a timeout.
            +0.7 stat tcpTimeouts -> 1
            info ssthresh -> 5000",
            sack.replace('N', "4001"),
            sack.replace('N', "5001"),
            sack.replace('N', "6001"),
        )
    };
    agreed(&lost(""));
    agreed_sack(&lost("<sack 3001:N>"));
}

#[test]
fn a_timeout_in_the_same_window_does_not_cut_it_again() {
    agreed_sack(&format!(
        "{TEN}lenient
        +0.1 < E. 1:1(0) ack 2001
        +0.6 stat tcpTimeouts -> 1
        info ssthresh -> 5000
        info cwnd -> 1000"
    ));
}

#[test]
fn after_a_loss_the_peer_hears_of_the_cut_too() {
    // RFC 3168 §6.1.2: a receiver that echoes a mark from the same window stops.
    agreed_sack(&format!(
        "{TEN}+0.1 < . 1:1(0) ack 1 <sack 1001:4001>
        > [noect] . 1:1001(1000) ack 1
        < . 1:1(0) ack 1 <sack 1001:6001>
        < . 1:1(0) ack 1 <sack 1001:8001>
        > [ect0] W. 10001:11001(1000) ack 1
        > [ect0] . 11001:12001(1000) ack 1"
    ));
}

#[test]
fn a_needless_recovery_gives_back_its_window_but_not_that_of_a_mark() {
    // What was sent again has arrived twice: nothing was lost.
    for (flags, cwnd) in [(".", 10_000), ("E.", 5_000)] {
        agreed_sack(&format!(
            "{TEN}lenient
            +0.1 < . 1:1(0) ack 1 <sack 1001:4001>
            stat tcpRetransSegs -> 1
            < {flags} 1:1(0) ack 6001
            info ssthresh -> 5000
            < . 1:1(0) ack 6001 <sack 1:1001>
            stat tcpSpuriousRtx -> 1
            info cwnd -> {cwnd}"
        ));
    }
}

#[test]
fn a_mark_in_the_handshake_says_nothing() {
    with(
        mode(EcnMode::Request),
        "connect -> error InProgress
        > SEW 0:0(0)
        +0.1 < [ce] SE. 0:0(0) ack 1 win 65535 <mss 1000>
        > . 1:1(0) ack 1
        info cwnd -> 10000
        stat tcpEcnRcwnd -> 0",
    );
}

// ---- RFC 8511 -----------------------------------------------------------------------------------

#[test]
fn a_mark_cuts_less_than_a_loss_where_it_is_told_to() {
    // Out of slow start by a first mark; the second one finds ten segments in flight.
    for (congestion_control, abe, slow_start, avoidance) in [
        (Algorithm::NewReno, false, 5000, 2500),
        (Algorithm::NewReno, true, 5000, 4000),
        (Algorithm::Cubic, false, 7000, 4900),
        (Algorithm::Cubic, true, 7000, 5950),
    ] {
        with(
            TcpConfig { congestion_control, abe, ..TcpConfig::default() },
            &format!(
                "{AGREED}set sndbuf 100000
                {TEN}lenient
                send 30000
                +0.1 < E. 1:1(0) ack 2001
                info ssthresh -> {slow_start}
                < E. 1:1(0) ack 4001
                < E. 1:1(0) ack 6001
                < E. 1:1(0) ack 8001
                < E. 1:1(0) ack 10001
                info inflight -> {slow_start}
                +0.1 < E. 1:1(0) ack 11001
                info ssthresh -> {avoidance}"
            ),
        );
    }
}

// ---- over a path that marks ---------------------------------------------------------------------

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
