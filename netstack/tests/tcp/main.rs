//! TCP alone, over a test floor: laws over a virtual link, and scripts of packets by event and
//! state. States are reached by packets.

mod bbr;
mod close;
mod congestion;
mod data;
mod ecn;
#[path = "../drill/engine/mod.rs"]
mod engine;
mod every_state;
mod handshake;
mod hostile;
mod icmp;
mod laws;
mod link;
mod listen;
mod loss;
mod options;
mod pacing;
mod path;
mod profiles;
mod readiness;
mod sack;
mod script;
mod silence;
mod stack;
mod throughput;
mod time_wait;
mod windows;

/// How scripts come to the states of RFC 9293: (state, script, RCV.NXT, SND.NXT).
pub(crate) mod reach {
    pub(crate) const LISTEN: &str = "listen 80\n";
    pub(crate) const SYN_SENT: &str = "connect -> error InProgress\n> S 0:0(0)\n";
    pub(crate) const SYN_RECEIVED: &str = "listen 80\n< S 0:0(0) win 65535 <mss 1000>\n> S. 0:0(0) ack 1\n";
    /// Passive, no options but the MSS: segments of 1000 octets, window 65535 not scaled; a round
    /// trip of 100 ms, so that the RTO is 300 ms.
    pub(crate) const ESTABLISHED: &str = "listen 80
        < S 0:0(0) win 65535 <mss 1000>
        > S. 0:0(0) ack 1
        +0.1 < . 1:1(0) ack 1 win 65535
        accept -> 4000
        ";
    /// The same with selective acknowledgments.
    pub(crate) const ESTABLISHED_SACK: &str = "listen 80
        < S 0:0(0) win 65535 <mss 1000,sackOK>
        > S. 0:0(0) ack 1 <mss 1460,sackOK>
        +0.1 < . 1:1(0) ack 1 win 65535
        accept -> 4000
        ";
    pub(crate) const FIN_WAIT_1: &str = "shut wr\n> F. 1:1(0) ack 1\n";
    pub(crate) const FIN_WAIT_2: &str = "< . 1:1(0) ack 2\n";
    pub(crate) const CLOSING: &str = "< F. 1:1(0) ack 1\n> . 2:2(0) ack 2\n";
    pub(crate) const TIME_WAIT: &str = "< F. 1:1(0) ack 2\n> . 2:2(0) ack 2\n";
    pub(crate) const CLOSE_WAIT: &str = "< F. 1:1(0) ack 1\n> . 1:1(0) ack 2\n";
    pub(crate) const LAST_ACK: &str = "shut wr\n> F. 1:1(0) ack 2\n";
}
