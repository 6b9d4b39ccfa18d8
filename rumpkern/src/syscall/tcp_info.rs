//! `struct tcp_info` of `TCP_INFO` and the words of `SO_MEMINFO`, as Linux lays them out (`linux/tcp.h`,
//! `linux/sock_diag.h`). Programs of any age read a prefix: the layout only ever grew at its end.
//!
//! What the stack does not know is 0: `tcpi_rehash`, marks of congestion, and (as on Linux) when an acknowledgment
//! was last sent. ECN's counters at the end are there, because programs check the length.

use netstack::socket::SocketInfo;
use netstack::tcp::{Congestion, State, TcpInfo};
use netstack::time::{Duration, Instant};

/// `TCP_INFINITE_SSTHRESH`: no threshold yet.
const NO_SSTHRESH: u32 = 0x7fff_ffff;
/// `TCPI_OPT_TIMESTAMPS`, `TCPI_OPT_SACK`, `TCPI_OPT_WSCALE`, `TCPI_OPT_ECN`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WSCALE: u8 = 4;
const ECN: u8 = 8;
/// `TCPI_OPT_SYN_DATA`
const SYN_DATA: u8 = 32;

/// Octets of the structure as of Linux 6.18, the first with counters of AccECN.
const LEN: usize = 280;

/// The structure's octets.
pub(crate) fn octets(info: &TcpInfo, now: Instant) -> Vec<u8> {
    let mss = info.snd_mss.max(1);
    let (srtt, variance, least) = info.rtt.unwrap_or_default();
    let (snd_scale, rcv_scale) = info.wscale;
    let options = [
        (info.timestamps, TIMESTAMPS),
        (info.sack, SACK),
        (info.wscale != (0, 0), WSCALE),
        (info.ecn, ECN),
        (info.syn_data, SYN_DATA),
    ];
    let options = options.iter().filter(|(on, _)| *on).map(|(_, bit)| bit).sum::<u8>();

    let mut out = Out(vec![
        state(info.state),
        congestion(info.congestion),
        info.retransmits,
        info.probes,
        info.backoff,
        options,
        (snd_scale & 15) | (rcv_scale << 4),
        // tcpi_delivery_rate_app_limited:1 (0), tcpi_fastopen_client_fail:2
        (info.fast_open_fail as u8) << 1,
    ]);
    out.words(&[micros(info.rto), micros(info.ato)]);
    out.words(&[info.snd_mss, info.rcv_mss]);
    let segments = info.segments;
    // On a listener, those that wait to be accepted and how many may; unacked, sacked, lost, retrans,
    // fackets.
    let (unacked, sacked) = match info.state {
        State::Listen => (word(info.recv_queue), word(info.send_queue)),
        _ => (segments.unacked, segments.sacked),
    };
    out.words(&[unacked, sacked, segments.lost, segments.retransmitted, 0]);
    // last_data_sent, last_ack_sent, last_data_recv, last_ack_recv
    let (tally, ago) = (info.tally.at(now), |then| millis(now.since(then)));
    out.words(&[ago(info.last_tx), 0, ago(tally.last_data_rx), ago(tally.last_ack_rx)]);
    out.words(&[info.pmtu, info.rcv_ssthresh, micros(srtt), micros(variance)]);
    out.words(&[if info.ssthresh == u32::MAX { NO_SSTHRESH } else { info.ssthresh / mss }]);
    out.words(&[info.cwnd / mss, info.advmss.into(), info.reordering]);
    out.words(&[info.rcv_rtt.map_or(0, micros), word(info.rcv_space), info.total_retrans]);
    // pacing_rate, max_pacing_rate
    out.longs(&[info.pacing_rate.unwrap_or(u64::MAX), info.max_pacing_rate.unwrap_or(u64::MAX)]);
    out.longs(&[info.octets_acked, info.octets_received]);
    out.words(&[tally.segs_out, tally.segs_in, word(info.unsent), micros(least)]);
    out.words(&[tally.data_segs_in, tally.data_segs_out]);
    let long = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    out.longs(&[info.delivery_rate.unwrap_or(0), long(tally.busy_time)]);
    out.longs(&[long(tally.rwnd_limited), long(tally.sndbuf_limited)]);
    out.words(&[tally.delivered, 0]); // …, delivered_ce
    out.longs(&[tally.bytes_sent, tally.bytes_retrans]);
    out.words(&[tally.dsack_dups, tally.reord_seen, tally.rcv_ooopack]);
    out.words(&[info.snd_wnd, info.rcv_wnd, 0]); // …, rehash
    out.words(&[u32::from(tally.total_rto) | u32::from(tally.total_rto_recoveries) << 16]);
    out.words(&[millis(tally.total_rto_time)]);
    out.0.resize(LEN, 0); // ECN's
    out.0
}

/// The nine words of SO_MEMINFO, in octets of payload: the stack does not count its bookkeeping.
pub(crate) fn meminfo(info: &SocketInfo) -> Vec<u8> {
    let (received, unsent) = (word(info.recv_queue), word(info.send_queue));
    let (rcvbuf, sndbuf) = info.tcp.as_ref().map_or((0, 0), |tcp| (word(tcp.rcvbuf), word(tcp.sndbuf)));
    let mut out = Out(Vec::new());
    // RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED, OPTMEM, BACKLOG, DROPS
    out.words(&[received, rcvbuf, 0, sndbuf, 0, unsent, 0, 0, info.drops as u32]);
    out.0
}

struct Out(Vec<u8>);

impl Out {
    fn words(&mut self, words: &[u32]) {
        self.0.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    fn longs(&mut self, longs: &[u64]) {
        self.0.extend(longs.iter().flat_map(|long| long.to_le_bytes()));
    }
}

fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// `TCP_ESTABLISHED` …
fn state(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        // What waits is no socket of a program on Linux.
        State::TimeWait | State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

/// `TCP_CA_Open` …
fn congestion(congestion: Congestion) -> u8 {
    match congestion {
        Congestion::Open => 0,
        Congestion::Disorder => 1,
        Congestion::Cwr => 2,
        Congestion::Recovery => 3,
        Congestion::Loss => 4,
    }
}
