//! LISTEN: RFC 9293 §3.10.7.2, and the two queues of a listener as Linux has them.
//!
//! A SYN makes a half-open connection in the SYN queue; the ACK of the SYN-ACK moves it to the
//! accept queue. While the accept queue is full new SYNs are dropped and ACKs that would fill it
//! further are ignored, so that the peer tries again. While the SYN queue is full SYNs are answered by
//! cookies (`syncookie`), or dropped.

use super::fastopen::{self, FastOpen, Pending};
use super::segment::{Arrived, Segment};
use super::seq::SeqNum;
use super::syncookie::{self, SynCookies};
use super::tcb::{Cx, Holder, Tcb};
use super::{State, Tcp, TcpId, timestamp};
use crate::net::mbuf::Offload;
use crate::netinet::{Flow, IpLayer};
use crate::time::Instant;
use crate::wire::tcp::{FastOpenCookie, Flags, Header};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// What a listener has besides a socket.
#[derive(Debug, Default)]
pub(crate) struct Listen {
    /// As given to `listen`; one more may wait.
    pub(crate) backlog: usize,
    /// Made, and waiting to be accepted.
    pub(crate) accepted: VecDeque<TcpId>,
    /// Half open.
    pub(crate) half_open: BTreeSet<TcpId>,
    /// When the last cookie was sent: long after it none is believed.
    pub(crate) cookies_at: Option<Instant>,
    /// Of those that the program has or that are `accepted`, what is not made yet.
    pub(super) fast_open: Pending,
}

impl Listen {
    /// Linux's `sk_acceptq_is_full`.
    pub(crate) fn is_full(&self) -> bool {
        self.accepted.len() > self.backlog
    }
}

/// What a listener makes of Fast Open in a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FastOpenVerdict {
    /// The program has the connection at once.
    Accept,
    /// The handshake comes first; perhaps with a cookie for the next time.
    Refuse { offer: Option<FastOpenCookie> },
}

impl Tcp {
    /// A segment for a listener. `isn`: where to begin, if an old connection of the same ends says so (RFC 6191).
    pub(super) fn listen_input(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        (local, remote): (SocketAddr, SocketAddr),
        seg: &Segment<'_>,
        isn: Option<SeqNum>,
    ) {
        // First, check for a RST
        if seg.has(Flags::RST) {
            return;
        }
        let ends = (local, remote);
        // Second, check for an ACK
        if seg.has(Flags::ACK) {
            if !self.cookie_returns(ip, id, ends, seg) {
                self.reset_stranger(ip, local, remote, seg);
            }
            return;
        }
        // Third, check for a SYN; fourth, other data or control: drop
        if !seg.has(Flags::SYN) {
            self.sh.stats.no_ack += 1;
            return;
        }
        // Linux takes no SYN with FIN: nobody opens a connection that way.
        if seg.has(Flags::FIN) {
            self.sh.stats.no_ack += 1;
            return;
        }
        let Some(listen) = self.slab.get(id).and_then(|l| l.listen.as_ref()) else { return };
        if listen.is_full() {
            self.sh.stats.listen_overflows += 1;
            return;
        }
        // Where an old connection says where to begin there is no room for a cookie, and no need: it was made.
        let full = isn.is_none()
            && listen.half_open.len() >= self.sh.config.max_syn_backlog.min(listen.backlog.max(8));
        match (self.sh.config.syncookies, full) {
            (SynCookies::WhenFull, true) => {
                self.sh.stats.syn_queue_cookies += 1;
                return self.send_cookie(ip, id, ends, seg);
            }
            (SynCookies::Always, _) if isn.is_none() => return self.send_cookie(ip, id, ends, seg),
            (SynCookies::Never, true) => {
                self.sh.stats.syn_queue_full += 1;
                return;
            }
            (SynCookies::Never | SynCookies::WhenFull, false) | (SynCookies::Always, _) => {}
        }
        let Some(mut child) = self.child_begins(ip, id, ends, seg) else { return };
        if let Some(isn) = isn {
            child.start_at(isn);
        }
        child.snd_wl2 = child.iss;
        let verdict = self.fast_open(ip.now(), id, ends, seg);
        let Some(child_id) = self.adopt(child) else { return };
        let Some((child, mut cx)) = self.parts(ip, child_id) else { return };
        let mut cookie = None;
        match verdict {
            FastOpenVerdict::Accept => {
                child.holder = Holder::AcceptQueue(id);
                child.fast_open = fastopen::Use::Passive(id);
                child.syn_data_acked = !seg.payload.is_empty();
                child.take_syn_data(&mut cx, seg);
                child.start_transfer(&mut cx);
            }
            FastOpenVerdict::Refuse { offer } => {
                cookie = offer;
                if cx.sh.config.queue_syn_data {
                    child.take_syn_data(&mut cx, seg);
                }
            }
        }
        child.rtx.push(child.iss, child.iss + 1, cx.now, child.rate.stamp());
        child.send_syn_with(&mut cx, cookie, 0);
        self.sh.stats.passive_opens += 1;
        match verdict {
            FastOpenVerdict::Accept => {
                self.made(child_id, id);
            }
            FastOpenVerdict::Refuse { .. } => {
                if let Some(listen) = self.slab.get_mut(id).and_then(|l| l.listen.as_mut()) {
                    listen.half_open.insert(child_id);
                }
            }
        }
        self.settle(child_id);
    }

    /// RFC 7413 §4.2.2: what becomes of the option of a SYN.
    fn fast_open(
        &mut self,
        now: Instant,
        id: TcpId,
        (local, remote): (SocketAddr, SocketAddr),
        syn: &Segment<'_>,
    ) -> FastOpenVerdict {
        const NOTHING: FastOpenVerdict = FastOpenVerdict::Refuse { offer: None };
        let (config, stats) = (&self.sh.config.fast_open, &mut self.sh.stats);
        let shown = syn.options.fast_open;
        if shown.is_some_and(|c| c.is_request()) {
            stats.fast_open_cookie_requests += 1;
        }
        let Some(listener) = self.slab.get_mut(id) else { return NOTHING };
        let (set, Some(listen)) = (&listener.set, &mut listener.listen) else { return NOTHING };
        let limit = match set.fast_open {
            0 if config.contains(FastOpen::ALL_LISTENERS) => listen.backlog,
            n => n,
        };
        let concerned = shown.is_some() || !syn.payload.is_empty();
        if !config.contains(FastOpen::SERVER) || limit == 0 || !concerned {
            return NOTHING;
        }
        if !listen.fast_open.has_room(now, limit) {
            stats.fast_open_overflows += 1;
            return NOTHING;
        }
        let key = set.fast_open_key.or(self.sh.config.fast_open_key);
        let good = self.sh.isn.fast_open_cookie(local.ip(), remote.ip(), key);
        let good = shown.map_or(good, |shown| good.in_option_of(shown));
        let no_cookie = set.fast_open_no_cookie || config.contains(FastOpen::SERVER_NO_COOKIE);
        if shown == Some(good) || (no_cookie && !syn.payload.is_empty()) {
            stats.fast_open_passive += 1;
            listen.fast_open.begin();
            return FastOpenVerdict::Accept;
        }
        stats.fast_open_passive_fails += u64::from(shown.is_some_and(|c| !c.is_request()));
        FastOpenVerdict::Refuse { offer: shown.map(|_| good) }
    }

    /// A connection that a SYN to the listener begins, in SYN-RECEIVED; nothing of it is sent or
    /// written down. `None`: there is no way back.
    fn child_begins(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        (local, remote): (SocketAddr, SocketAddr),
        syn: &Segment<'_>,
    ) -> Option<Box<Tcb>> {
        let listener = self.slab.get(id)?;
        let flow = Flow {
            protocol: crate::wire::tcp::PROTOCOL,
            src: Some(local.ip()),
            src_port: local.port(),
            dst: remote,
            bound: listener.set.bound_if,
            public: listener.set.public_source,
        };
        let path = ip.path(&flow).ok()?;
        let set = listener.set.clone();
        let mut child = Box::new(Tcb::new(TcpId::NONE, listener.family, &self.sh.config, set));
        child.sndbuf.limit = listener.sndbuf.limit;
        child.rcvbuf_size = listener.rcvbuf_size;
        (child.cc_algorithm, child.cc) =
            (listener.cc_algorithm, listener.cc_algorithm.start(&self.sh.config));
        child.holder = Holder::SynQueue(id);
        let now = ip.now();
        let mut cx = Cx { ip, now, sh: &mut self.sh };
        child.begin(&mut cx, local, remote, &path);
        child.state = State::SynReceived;
        child.take_syn(&mut cx, syn);
        // The window of a SYN is not scaled.
        (child.snd_wnd, child.snd_wl1, child.snd_wl2) = (u32::from(syn.wnd), syn.seq, child.iss);
        Some(child)
    }

    /// Writes a connection down. `None`: there is one with these ends.
    fn adopt(&mut self, child: Box<Tcb>) -> Option<TcpId> {
        let (local, remote, share) = (child.local, child.remote, child.set.share);
        let child_id = self.slab.insert(child);
        if self.pcbs.connect(child_id, local, remote, share).is_err() {
            self.slab.remove(child_id);
            return None;
        }
        if let Some(child) = self.slab.get_mut(child_id) {
            child.in_table = true;
        }
        Some(child_id)
    }

    /// Answers a SYN, and forgets it.
    fn send_cookie(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        ends: (SocketAddr, SocketAddr),
        syn: &Segment<'_>,
    ) {
        let Some(mut child) = self.child_begins(ip, id, ends, syn) else { return };
        let now = ip.now();
        if let Some(listen) = self.slab.get_mut(id).and_then(|l| l.listen.as_mut()) {
            listen.cookies_at = Some(now);
        }
        child.start_at(self.sh.isn.cookie(now, ends, syn.seq, child.peer_mss));
        if child.timestamps {
            let clock = timestamp(now, 0);
            let scale = child.scaling.then_some(child.snd_shift);
            let ts = syncookie::timestamp_of_options(clock, scale, child.sack, child.ecn.on);
            child.ts_offset = child.ts_offset.wrapping_sub(clock.wrapping_sub(ts));
        } else {
            // Nothing will say that the peer spoke of these.
            (child.sack, child.scaling, child.ecn.on) = (false, false, false);
        }
        self.sh.stats.syncookies_sent += 1;
        child.send_syn(&mut Cx { ip, now, sh: &mut self.sh });
    }

    /// An acknowledgment for a listener: if it is of a cookie the connection is made, and gets the
    /// segment. `false`: it is a stranger's.
    fn cookie_returns(
        &mut self,
        ip: &mut dyn IpLayer,
        id: TcpId,
        ends: (SocketAddr, SocketAddr),
        seg: &Segment<'_>,
    ) -> bool {
        let now = ip.now();
        let Some(listen) = self.slab.get(id).and_then(|l| l.listen.as_ref()) else { return false };
        let recent = listen.cookies_at.is_some_and(|at| now.since(at) < syncookie::LIFETIME);
        if !recent || seg.has(Flags::SYN) || self.sh.config.syncookies == SynCookies::Never {
            return false;
        }
        let (irs, cookie) = (seg.seq - 1, seg.ack - 1);
        let Some(mss) = self.sh.isn.mss_of_cookie(now, ends, irs, cookie) else {
            self.sh.stats.syncookies_failed += 1;
            return false;
        };
        if listen.is_full() {
            // Whatever the peer sends next with the same acknowledgment and number tries again.
            self.sh.stats.listen_overflows += 1;
            return !self.sh.config.abort_on_overflow;
        }
        let offset = self.sh.isn.timestamp_offset(ends.0, ends.1);
        let (options, ecn) = syncookie::options_of_timestamp(mss, seg.options.timestamps, offset);
        let flags = if ecn { Flags::SYN | Flags::ECE | Flags::CWR } else { Flags::SYN };
        let syn = Header { seq: irs.0, flags, window: seg.wnd, options, ..Header::default() };
        let empty = Arrived::new(&[], Offload::default());
        let Some(mut child) = self.child_begins(ip, id, ends, &Segment::new(&syn, &[], &empty, 0)) else {
            return true;
        };
        child.start_at(cookie);
        // The SYN-ACK was sent, and is acknowledged.
        child.syn_window(self.sh.config.syn_window);
        child.snd_una = child.snd_nxt;
        child.last_ack_sent = child.rcv_nxt;
        child.snd_wnd = seg.window(child.snd_shift);
        (child.snd_wl1, child.snd_wl2, child.max_snd_wnd) = (seg.seq, seg.ack, child.snd_wnd);
        let Some(child_id) = self.adopt(child) else { return true };
        self.sh.stats.syncookies_received += 1;
        self.sh.stats.passive_opens += 1;
        let Some((child, mut cx)) = self.parts(ip, child_id) else { return true };
        child.establish(&mut cx);
        child.segment_arrives(&mut cx, *seg);
        self.settle(child_id);
        true
    }

    /// Whether the listener of a half-open connection takes another one.
    pub(super) fn listener_is_full(&self, listener: TcpId) -> bool {
        self.slab.get(listener).and_then(|l| l.listen.as_ref()).is_none_or(|l| l.is_full())
    }

    /// The listener goes: half-open connections are forgotten, waiting ones are reset.
    pub(super) fn close_listener(&mut self, ip: &mut dyn IpLayer, id: TcpId) {
        let Some(listen) = self.slab.get_mut(id).and_then(|l| l.listen.take()) else { return };
        for child in listen.half_open {
            if let Some(child) = self.slab.get_mut(child) {
                child.enter_closed(None);
                child.holder = Holder::Nobody;
            }
            self.settle(child);
        }
        for child in listen.accepted {
            if let Some((child, mut cx)) = self.parts(ip, child) {
                if !matches!(child.state, State::Closed | State::TimeWait) {
                    child.send_rst(&mut cx);
                    child.enter_closed(None);
                }
                child.holder = Holder::Nobody;
            }
            self.settle(child);
        }
    }
}

impl Tcb {
    /// TCP_DEFER_ACCEPT: whether the acknowledgment of the SYN-ACK waits for data.
    pub(super) fn defer_accept(&mut self, cx: &mut Cx<'_>, seg: &Segment<'_>) -> bool {
        let bare =
            seg.has(Flags::ACK) && seg.len() == 0 && seg.seq == self.rcv_nxt && seg.ack == self.snd_nxt;
        let defers = bare && self.retries < self.set.defer_accept;
        if defers {
            self.accept_deferred = true;
            cx.sh.stats.defer_accept_drops += 1;
        }
        defers
    }
}
