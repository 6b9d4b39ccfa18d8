//! Sending: RFC 9293 §3.10.2 (SEND), §3.8.6.2.1 (silly window avoidance), §3.7.4 (Nagle),
//! §3.8.6.1 (zero window).
//!
//! [`Tcb::output`] sends a burst: what was lost, what is new, and the acknowledgment if nothing
//! carried it. It stops at the interface's mark and goes on when it is called again.

use super::cc::Window;
use super::config::Nagle;
use super::ecn::{self, Sending};
use super::plpmtud::NoRoom;
use super::seq::SeqNum;
use super::tcb::{Cx, Recovery, RtxTimer, Tcb};
use super::undo::Frto;
use super::{State, timestamp};
use crate::net::mbuf::{Gso, GsoKind, Mbuf, Offload};
use crate::netinet::{Flow, Fragment, IpTx};
use crate::socket::{Ready, SockError};
use crate::wire::ethernet;
use crate::wire::tcp::{self, FastOpenCookie, Flags, Header, Options, Timestamps};
use std::net::IpAddr;

/// Segments of one connection in a row, before others have their turn.
const QUANTUM: usize = 64;
/// Octets of the segments that leave as one packet, to be cut later: with every header it is within
/// what an IP packet can hold.
const LARGEST: u32 = 65_535 - 40 - tcp::MAX_HEADER_LEN as u32;

/// How a burst ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burst {
    /// Nothing more to send as of now.
    Done,
    /// There is more: others first.
    More,
    /// The interface takes no more.
    Blocked,
}

/// New segments that leave together (one packet of Linux's with segmentation offload).
#[derive(Clone, Copy, Debug)]
struct Train {
    end: SeqNum,
    /// More than one segment.
    long: bool,
}

/// Octets of the largest packet of Linux's that is cut later.
const TSO_MAX: u32 = 65_536;
/// Round trips in units of 2 to this power microseconds: each lets half as much leave together beside what the rate does
/// (`tcp_tso_rtt_log`).
const TSO_RTT_LOG: u32 = 9;

/// What a burst sends next.
enum Next {
    Again(SeqNum, SeqNum),
    New(SeqNum),
    /// New, and larger than others.
    Probe(SeqNum),
    Nothing,
}

impl Tcb {
    /// Sends what can be sent.
    pub(super) fn output(&mut self, cx: &mut Cx<'_>) -> Burst {
        self.wants_output = false;
        let room = cx.ip.tx_room(self.ifindex);
        let (mut sent, mut news) = (0, false);
        let mut train = Train { end: self.snd_nxt, long: false };
        // What goes again and leaves together, and what of it is next.
        let mut again = (Train { end: self.snd_una, long: false }, self.snd_una);
        // If there are segments that IP must cut once more, each goes alone.
        let offloads = cx.ip.offloads(self.ifindex) && self.full_segment() <= self.mtu;
        if self.state.transmits() || self.fast_open_transmits() {
            self.cwnd_limited = false;
            self.restart_after_idle(cx);
            self.age_path_mtu(cx);
            let mut pace = self.pace.allow(self.set.max_pacing_rate, cx.now, self.window.mss);
            loop {
                let most = if offloads { LARGEST.min(pace.octets()) } else { self.window.mss };
                let mut next = self.next_segment(cx, most);
                if matches!(next, Next::Nothing) && self.frto_has_no_news() {
                    next = self.next_segment(cx, most);
                }
                if pace.is_spent() && !matches!(next, Next::Nothing) {
                    self.wait_for_pace();
                    break;
                }
                if sent >= room.min(QUANTUM) && !matches!(next, Next::Nothing) {
                    self.wants_output = true;
                    self.note_usage(sent > 0);
                    if sent < room {
                        return Burst::More;
                    }
                    self.check_persist(cx);
                    return Burst::Blocked;
                }
                match next {
                    Next::Again(start, end) => {
                        if start != again.1 || start.ge(again.0.end) {
                            again.0 = self.train_again(start, cx.sh.config.min_tso_segs);
                        }
                        again.1 = end;
                        self.retransmit_now = false;
                        self.rtx.sent_again(start, cx.now, self.rate.stamp());
                        self.count_retransmission(cx, end.since(start));
                        self.prr.sent(end.since(start));
                        self.pace.sent(&mut pace, end.since(start));
                        self.sent_again(cx);
                        let last = again.0.long && end == again.0.end;
                        let sending = if last { Sending::TrainAgain } else { Sending::Again };
                        self.send_data(cx, start, end, sending);
                        sent += 1;
                    }
                    Next::New(end) => {
                        let start = self.snd_nxt;
                        if start.ge(train.end) {
                            train = self.train(cx.sh.config.min_tso_segs);
                        }
                        let push = end.since(start) > self.window.mss || (train.long && end == train.end);
                        sent += self.record(cx, start, end);
                        if push || end.ge(train.end) {
                            self.rtx.end_train();
                        }
                        self.prr.sent(end.since(start));
                        self.pace.sent(&mut pace, end.since(start));
                        let sending = if push { Sending::Train } else { Sending::First };
                        self.send_data(cx, start, end, sending);
                        news = true;
                    }
                    Next::Probe(end) => {
                        let start = self.snd_nxt;
                        self.probe_sent(start, end);
                        self.rtx.push(start, end, cx.now, self.rate.stamp());
                        self.snd_nxt = end;
                        cx.sh.stats.out_segs += 1;
                        self.pace.sent(&mut pace, end.since(start));
                        self.send_segments(cx, start, end, end.since(start), Sending::First);
                        news = true;
                        sent += 1;
                    }
                    Next::Nothing => break,
                }
                self.start_rtx_timer(cx);
            }
            self.note_usage(sent > 0);
            self.check_persist(cx);
            self.tally_waits(cx.now);
            if news {
                self.schedule_probe(cx);
                self.tell_writer();
            }
        }
        if self.ack_now {
            if sent >= room {
                self.wants_output = true;
                return Burst::Blocked;
            }
            self.send_ack(cx);
        }
        Burst::Done
    }

    /// Notes `start..end` as sent, and moves SND.NXT behind it. Returns how many segments it is: each
    /// can be lost alone, even if they leave in one packet.
    fn record(&mut self, cx: &mut Cx<'_>, start: SeqNum, end: SeqNum) -> usize {
        let mss = self.window.mss;
        let (mut at, mut segments) = (start, 1);
        // A FIN rides on the last one.
        while end.since(at) > mss + 1 || (end.since(at) > mss && !self.fin_due()) {
            self.rtx.push(at, at + mss, cx.now, self.rate.stamp());
            at += mss;
            segments += 1;
        }
        if end.since(at) < mss {
            self.snd_small = end;
        }
        self.rtx.push(at, end, cx.now, self.rate.stamp());
        self.snd_nxt = end;
        cx.sh.stats.out_segs += segments;
        segments as usize
    }

    /// After a burst: was it the congestion window that ended it?
    fn note_usage(&mut self, sent: bool) {
        if sent || self.cwnd_limited {
            let limited = self.cwnd_limited || self.pipe() >= self.window.cwnd;
            self.usage.note(limited, self.flight(), self.snd_una, self.snd_nxt);
        }
    }

    /// A writer that found no room finds some now.
    pub(super) fn tell_writer(&mut self) {
        if self.no_space && self.writable() {
            self.no_space = false;
            self.notify(Ready::WRITE);
        }
    }

    /// Octets believed to be in the network (RFC 6675 §4; without blocks, a segment for each duplicate ACK).
    pub(super) fn pipe(&self) -> u32 {
        let left = if self.sack { self.rtx.sacked() } else { self.dup_acks.saturating_mul(self.window.mss) };
        // A SYN takes no room.
        let syn = u32::from(self.snd_una == self.iss && self.snd_nxt != self.iss);
        self.flight().saturating_sub(syn).saturating_sub(self.rtx.lost()).saturating_sub(left)
    }

    /// Octets that the peer's window still allows.
    pub(super) fn window_room(&self) -> u32 {
        let edge = self.snd_una + self.snd_wnd;
        if edge.gt(self.snd_nxt) { edge.since(self.snd_nxt) } else { 0 }
    }

    /// Octets written and not sent that one segment may take along: up to the end of a record.
    fn unsent_of_record(&self) -> u32 {
        let end = self.records.iter().find(|end| end.gt(self.snd_nxt));
        end.map_or(u32::MAX, |end| end.since(self.snd_nxt)).min(self.unsent())
    }

    /// Octets written and not sent.
    pub(super) fn unsent(&self) -> u32 {
        let end = self.data_end();
        if end.gt(self.snd_nxt) { end.since(self.snd_nxt) } else { 0 }
    }

    /// What is to be sent next; new data of whole segments up to `most` octets at once.
    fn next_segment(&mut self, cx: &Cx<'_>, most: u32) -> Next {
        let (mss, pipe) = (self.window.mss, self.pipe());
        if self.rtx.lost() > 0 && self.frto != Frto::News {
            // The first one goes in any case: RFC 5681 §3.2 step 3, RFC 6582 §3.2 step 3, RFC 6298 §5.4.
            if !self.retransmit_now && pipe > 0 && pipe.saturating_add(mss) > self.window.cwnd {
                return Next::Nothing;
            }
            if let Some(s) = self.rtx.next_lost(mss) {
                return Next::Again(s.start, s.end);
            }
        }
        let unsent = self.unsent();
        let fin = self.fin_due() && !self.fin_sent();
        let window = self.window_room();
        if unsent == 0 {
            return if fin && window > 0 { Next::New(self.snd_nxt + 1) } else { Next::Nothing };
        }
        match self.next_probe(cx) {
            Ok(Some(end)) => return Next::Probe(end),
            Ok(None) => {}
            Err(NoRoom) => {
                self.cwnd_limited = true;
                return Next::Nothing;
            }
        }
        let congestion = self.window.cwnd.saturating_sub(pipe);
        let record = self.unsent_of_record();
        let want = record.min(mss);
        if congestion < want {
            self.cwnd_limited = true;
            return Next::Nothing;
        }
        // The urgent pointer counts from each segment's own number.
        let most = if self.snd_up.is_some() { mss } else { most };
        let whole = record.min(window).min(congestion).min(most) / mss * mss;
        let len = whole.max(want.min(window));
        let last = len == unsent;
        // RFC 9293 §3.8.6.2.1: (1) a full segment; (2), (3) all there is; (4) half of the largest window.
        let waits_for = match self.set.nagle {
            Nagle::Classic => self.snd_nxt,
            Nagle::Minshall => self.snd_small,
        };
        let waits = self.set.cork || self.more || (!self.set.nodelay && waits_for.gt(self.snd_una));
        let held = waits && !self.snd_nxt.lt(self.pushed);
        // The end of a record waits for nothing: what follows cannot join it.
        let worth = len >= mss
            || (len == record && !last)
            || (last && (fin || !held))
            || (len > 0 && len < want && len >= self.max_snd_wnd / 2);
        if !worth {
            return Next::Nothing;
        }
        let end = self.snd_nxt + len;
        Next::New(if last && fin && window > len { end + 1 } else { end })
    }

    /// The new segments that would leave as one packet of Linux's (`tcp_write_xmit`): what a millisecond carries, or so many
    /// segments at least, as far as the windows allow, and no more than half of the congestion window.
    fn train(&self, least: u32) -> Train {
        let Window { mss, cwnd, .. } = self.window;
        let left = cwnd.saturating_sub(self.pipe()).min(cwnd / mss.max(1) / 2 * mss);
        let whole = self.unsent_of_record().min(self.window_room()).min(left) / mss.max(1);
        let most = self.octets_at_once() / mss.max(1);
        let segments = whole.min(most.max(least));
        Train { end: self.snd_nxt + segments * mss, long: segments > 1 }
    }

    /// The same of those that were lost: what had left together goes together again (`tcp_xmit_retransmit_queue`).
    fn train_again(&self, start: SeqNum, least: u32) -> Train {
        let mss = self.window.mss.max(1);
        let left = self.window.cwnd.saturating_sub(self.pipe()) / mss;
        let most = (self.octets_at_once() / mss).max(least).min(left.max(1));
        let (end, segments) = self.rtx.lost_train(start, most as usize);
        Train { end, long: segments > 1 }
    }

    /// Octets that a millisecond carries, and more on a short path (`tcp_tso_autosize`).
    fn octets_at_once(&self) -> u32 {
        let (Some(srtt), Some(least)) = (self.rtt.srtt(), self.rtt.min()) else { return TSO_MAX };
        // Linux paces by twice the window a round trip, by 1.2 times when slow start is about over.
        let ratio = if self.window.cwnd < self.window.ssthresh / 2 { 200 } else { 120 };
        let octets = u64::from(self.window.cwnd.max(self.flight())) * ratio / 100;
        let rate = (octets * 1_000_000).checked_div(srtt.as_micros() as u64).unwrap_or(u64::MAX);
        let rate = rate.min(self.pacing_rate().unwrap_or(u64::MAX));
        let near =
            u64::from(TSO_MAX).checked_shr((least.as_micros() >> TSO_RTT_LOG).min(64) as u32).unwrap_or(0);
        u32::try_from((rate >> 10).saturating_add(near)).unwrap_or(u32::MAX).min(TSO_MAX)
    }

    /// RFC 5681 §4.1: the window is worth nothing after a long silence.
    fn restart_after_idle(&mut self, cx: &Cx<'_>) {
        if self.flight() > 0 || self.unsent() == 0 {
            return;
        }
        self.rate.restart(cx.now);
        let config = &cx.sh.config;
        if config.slow_start_after_idle && cx.now.since(self.last_tx) > self.rtt.rto(config) {
            let initial = config.initial_window.octets(self.window.mss);
            self.window.cwnd = self.cc.after_idle(&self.window, initial);
        }
    }

    /// Counts a segment of so many octets that goes again.
    pub(super) fn count_retransmission(&mut self, cx: &mut Cx<'_>, octets: u32) {
        self.search.forget_probe();
        self.tally.bytes_retrans += u64::from(octets);
        self.total_retrans = self.total_retrans.saturating_add(1);
        cx.sh.stats.retrans_segs += 1;
    }

    /// RFC 6298 §5.1: the timer runs while something is in flight.
    pub(super) fn start_rtx_timer(&mut self, cx: &Cx<'_>) {
        if self.t_rtx.is_none() || self.rtx_timer == RtxTimer::Persist {
            self.rtx_timer = RtxTimer::Retransmit;
            self.t_rtx = Some(cx.now + self.rtt.rto(&cx.sh.config));
        }
    }

    /// Data waits, nothing is in flight that could bring a window: ask for it from time to time.
    fn check_persist(&mut self, cx: &Cx<'_>) {
        let waits = self.unsent() > 0 || (self.fin_due() && !self.fin_sent());
        if self.flight() == 0 && waits && self.t_rtx.is_none() && self.t_pace.is_none() {
            self.rtx_timer = RtxTimer::Persist;
            self.t_rtx = Some(cx.now + self.rtt.rto(&cx.sh.config));
        }
    }

    /// The persist timer went off and there is a window, though a silly one: send what it takes.
    pub(super) fn send_forced(&mut self, cx: &mut Cx<'_>) -> bool {
        let len = self.unsent().min(self.window.mss).min(self.window_room());
        if len == 0 {
            return false;
        }
        let (start, end) = (self.snd_nxt, self.snd_nxt + len);
        self.record(cx, start, end);
        self.snd_small = end;
        self.send_data(cx, start, end, Sending::Forced);
        self.start_rtx_timer(cx);
        true
    }

    /// Sends `start..end` of the sequence space of data and FIN.
    pub(super) fn send_data(&mut self, cx: &mut Cx<'_>, start: SeqNum, end: SeqNum, sending: Sending) {
        self.send_segments(cx, start, end, self.window.mss, sending);
    }

    /// The same in segments of `mss` octets.
    fn send_segments(&mut self, cx: &mut Cx<'_>, start: SeqNum, end: SeqNum, mss: u32, sending: Sending) {
        let data_end = self.data_end();
        let mut flags = Flags::ACK;
        if end.gt(data_end) {
            flags |= Flags::FIN;
        }
        let len = if start.lt(data_end) { end.earliest(data_end).since(start) as usize } else { 0 };
        let ends = match sending {
            Sending::Train | Sending::TrainAgain => cx.sh.config.push_trains,
            Sending::Forced => true,
            Sending::First | Sending::Again => false,
        };
        let ends = ends || self.records.contains(&end) || (end.ge(data_end) && !self.unpushed);
        if len > 0 && ends {
            flags |= Flags::PSH;
        }
        let answers = self.octets_received > 0 && cx.now.since(self.last_rx) < cx.sh.config.delayed_ack;
        if answers && self.ack_pending() {
            self.quick_acks = 0;
        }
        self.interactive |= answers;
        let (ecn, cwr) = self.mark(sending, len);
        let mut header = self.header(cx, start, flags | cwr);
        // As long as they leave the segment within the MSS.
        header.options.sack = self.sack_blocks((mss as usize).saturating_sub(len));
        if let Some(up) = self.snd_up
            && up.gt(start)
        {
            // RFC 9293 §3.8.5 with RFC 6093: the pointer names the octet after the urgent one.
            header.flags |= Flags::URG;
            header.urgent = up.since(start).min(u32::from(u16::MAX)) as u16;
        }
        let mut m = cx.ip.mbuf();
        header.emit(m.grow(header.len()));
        let (a, b) = self.sndbuf.slices(start.since(self.snd_buf_seq) as usize, len);
        m.extend(a);
        m.extend(b);
        self.last_tx = cx.now;
        let segments = (len as u32).div_ceil(mss.max(1));
        self.tally.data_segs_out = self.tally.data_segs_out.wrapping_add(segments);
        self.tally.segs_out = self.tally.segs_out.wrapping_add(segments.saturating_sub(1));
        self.tally.bytes_sent += len as u64;
        let cut = (len > mss as usize).then(|| Gso {
            kind: self.gso_kind(),
            size: mss as u16,
            header_len: (ethernet::HEADER_LEN + self.ip_header_len() as usize + header.len()) as u16,
        });
        self.transmit(cx, m, cut, ecn);
    }

    fn gso_kind(&self) -> GsoKind {
        match self.remote.ip() {
            IpAddr::V4(_) => GsoKind::TcpV4,
            IpAddr::V6(_) => GsoKind::TcpV6,
        }
    }

    /// An acknowledgment without data.
    pub(super) fn send_ack(&mut self, cx: &mut Cx<'_>) {
        let seq = self.snd_nxt;
        self.send_ack_at(cx, seq);
    }

    /// The same at another place: `SND.UNA - 1` asks the peer for an answer (RFC 9293 §3.8.4).
    pub(super) fn send_ack_at(&mut self, cx: &mut Cx<'_>, seq: SeqNum) {
        let mut header = self.header(cx, seq, Flags::ACK);
        header.options.sack = self.sack_blocks(tcp::MAX_HEADER_LEN);
        cx.sh.stats.out_segs += 1;
        self.send_bare(cx, &header);
    }

    /// SYN in SYN-SENT, SYN-ACK in SYN-RECEIVED.
    pub(super) fn send_syn(&mut self, cx: &mut Cx<'_>) {
        self.send_syn_with(cx, None, 0);
    }

    /// The same with the option of Fast Open and the first `len` octets of data.
    pub(super) fn send_syn_with(&mut self, cx: &mut Cx<'_>, fast_open: Option<FastOpenCookie>, len: usize) {
        let mut flags = Flags::SYN | self.syn_ecn(cx);
        if self.state == State::SynReceived {
            flags |= Flags::ACK;
        }
        let mut header = self.header(cx, self.iss, flags);
        header.window = self.syn_window(cx.sh.config.syn_window);
        header.options.mss = Some(self.adv_mss);
        header.options.sack_permitted = self.sack;
        header.options.window_scale = self.scaling.then_some(self.rcv_shift);
        header.options.fast_open = fast_open;
        let mut m = cx.ip.mbuf();
        header.emit_ordered(cx.sh.config.option_order, m.grow(header.len()));
        let (a, b) = self.sndbuf.slices(0, len);
        m.extend(a);
        m.extend(b);
        self.transmit(cx, m, None, ecn::NOT_ECT);
        self.start_rtx_timer(cx);
    }

    /// RST of a synchronised connection: `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>`.
    pub(super) fn send_rst(&mut self, cx: &mut Cx<'_>) {
        let header = self.header(cx, self.snd_nxt, Flags::RST | Flags::ACK);
        cx.sh.stats.out_rsts += 1;
        cx.sh.stats.out_segs += 1;
        self.send_bare(cx, &header);
    }

    /// RST in reply to an unacceptable acknowledgment: `<SEQ=SEG.ACK><CTL=RST>`.
    pub(super) fn send_rst_at(&mut self, cx: &mut Cx<'_>, seq: SeqNum) {
        let header = Header {
            src_port: self.local.port(),
            dst_port: self.remote.port(),
            seq: seq.0,
            flags: Flags::RST,
            ..Header::default()
        };
        cx.sh.stats.out_rsts += 1;
        cx.sh.stats.out_segs += 1;
        self.send_bare(cx, &header);
    }

    /// A header as of now. Whatever it goes on carries the acknowledgment.
    fn header(&mut self, cx: &Cx<'_>, seq: SeqNum, flags: Flags) -> Header {
        let mut options = Options::default();
        if self.timestamps {
            let ecr = if flags.contains(Flags::ACK) { self.ts_recent } else { 0 };
            options.timestamps = Some(Timestamps { val: timestamp(cx.now, self.ts_offset), ecr });
        }
        let mut header = Header {
            src_port: self.local.port(),
            dst_port: self.remote.port(),
            seq: seq.0,
            ack: 0,
            flags,
            window: 0,
            urgent: 0,
            options,
        };
        if flags.contains(Flags::ACK) {
            header.ack = self.rcv_nxt.0;
            if !flags.contains(Flags::SYN) {
                header.window = self.choose_window(cx.now);
            }
            if self.ecn.echo && !flags.contains(Flags::RST) {
                header.flags |= Flags::ECE;
            }
            self.last_ack_sent = self.rcv_nxt;
            self.ack_now = false;
            self.pushes = 0;
            self.t_delack = None;
        }
        header
    }

    fn send_bare(&mut self, cx: &mut Cx<'_>, header: &Header) {
        let mut m = cx.ip.mbuf();
        header.emit(m.grow(header.len()));
        self.transmit(cx, m, None, ecn::NOT_ECT);
    }

    /// Sends a segment, or several in one packet if `cut` says how they are parted.
    fn transmit(&mut self, cx: &mut Cx<'_>, mut m: Mbuf, cut: Option<Gso>, ecn: u8) {
        self.tally.segs_out = self.tally.segs_out.wrapping_add(1);
        let (src, dst) = (self.local.ip(), self.remote.ip());
        let ip_header = self.ip_header_len() as usize;
        // The least MSS may be more than a link takes: then IP cuts.
        let fits = cut.is_some() || ip_header + m.len() <= self.mtu as usize;
        if fits && cx.ip.offloads(self.ifindex) {
            tcp::fill_partial_checksum(src, dst, m.data_mut());
            m.offload = Offload {
                csum_start: (ethernet::HEADER_LEN + ip_header) as u16,
                csum_offset: tcp::CHECKSUM_AT as u16,
                gso: cut,
            };
        } else {
            tcp::fill_checksum(src, dst, m.data_mut());
        }
        self.sizes.sent(m.longest_segment(ip_header + m.len()) as u32);
        let mut protocol = tcp::PROTOCOL;
        if dst.is_ipv6() {
            let headers = &self.set.headers;
            m.prepend(headers.chain.len()).copy_from_slice(&headers.chain);
            protocol = headers.first;
        }
        let tx = IpTx {
            src,
            dst,
            protocol,
            ttl: self.set.ttl,
            tos: self.set.tos | ecn,
            fragment: if fits { Fragment::Dont } else { Fragment::May },
            bound: self.set.bound_if,
            label: self.set.flow_label,
        };
        match cx.ip.output(&tx, m) {
            Ok(()) => {}
            // Our own floor knows of a smaller MTU than we do (RFC 1191 §6.4).
            Err(SockError::MsgSize) => self.path_changed(cx),
            // As lost on the way; the timer will try again.
            Err(e) => self.soft_error = Some(e),
        }
    }

    /// Asks for the way again.
    pub(super) fn path_changed(&mut self, cx: &mut Cx<'_>) {
        if let Ok(path) = cx.ip.path(&self.flow()) {
            self.ifindex = path.ifindex;
            self.set_mtu(path.mtu, cx);
        }
    }

    /// The flow of the connection's segments.
    pub(super) fn flow(&self) -> Flow {
        Flow {
            protocol: tcp::PROTOCOL,
            src: Some(self.local.ip()),
            src_port: self.local.port(),
            dst: self.remote,
            bound: self.set.bound_if,
            public: self.set.public_source,
        }
    }

    /// The path takes packets of `mtu` octets. What is in flight and longer was lost.
    pub(super) fn set_mtu(&mut self, mtu: u32, cx: &Cx<'_>) {
        let before = self.window.mss;
        let lowered = mtu < self.mtu;
        self.mtu = mtu;
        if lowered {
            self.sizes.lowered(mtu);
        }
        self.search.path_changed(lowered, self.largest_packet(), cx.now);
        self.update_mss(cx.sh.config.min_mss);
        if self.window.mss < before {
            self.rtx.mark_longer_lost(self.window.mss);
            self.wants_output = true;
        }
    }

    /// Octets of an IP packet with a full segment.
    fn full_segment(&self) -> u32 {
        let options = if self.timestamps { 12 } else { 0 };
        self.ip_header_len() + tcp::HEADER_LEN as u32 + options + self.window.mss
    }

    /// Octets of the IP header, with the extension headers that each segment has.
    pub(super) fn ip_header_len(&self) -> u32 {
        self.fixed_ip_header_len() + self.extension_len()
    }

    /// Octets of the IP header alone.
    pub(super) fn fixed_ip_header_len(&self) -> u32 {
        match self.remote.ip() {
            IpAddr::V4(_) => 20,
            IpAddr::V6(_) => 40,
        }
    }

    fn extension_len(&self) -> u32 {
        match self.remote.ip() {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => self.set.headers.chain.len() as u32,
        }
    }

    /// RFC 9293 §3.7.1 with RFC 6691: the peer's word, the path, ours; less the options that every segment has.
    pub(super) fn update_mss(&mut self, least: u16) {
        let path = self.mtu.min(self.search.limit());
        let path = path.saturating_sub(self.fixed_ip_header_len() + tcp::HEADER_LEN as u32);
        let ours = u32::from(self.set.max_seg.unwrap_or(u16::MAX));
        let options = if self.timestamps { 12 } else { 0 } + self.extension_len();
        self.window.mss =
            u32::from(self.peer_mss).min(path).min(ours).saturating_sub(options).max(u32::from(least));
    }

    /// Whether recovery from a loss goes on.
    pub(super) fn in_recovery(&self) -> bool {
        matches!(self.recovery, Recovery::Fast { .. } | Recovery::Timeout { .. })
    }

    /// Whether data came in that no segment of ours has acknowledged.
    pub(super) fn ack_pending(&self) -> bool {
        self.rcv_nxt != self.last_ack_sent
    }
}
