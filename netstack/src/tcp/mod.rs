//! TCP: RFC 9293 and what belongs to it.
//!
//! [`Tcp`] is all of TCP of one stack. Its doors are grouped as those of the stack: segments in
//! ([`Tcp::input`], [`Tcp::icmp_error`]), time ([`Tcp::poll_timeout`], [`Tcp::handle_timeout`]),
//! segments out ([`Tcp::pump`]), events ([`Tcp::drain_events`]), and the calls of programs
//! ([`usrreq`]). It reaches the rest of the stack only through the [`IpLayer`] that comes
//! with each call.
//!
//! | file | idea |
//! |---|---|
//! | `seq`, `segment`, `state`, `tcb` | the words of RFC 9293 §3.3 |
//! | `open`, `usrreq` | user calls, §3.10.1, and §3.10.2 to §3.10.6 |
//! | `input`, `ack`, `text`, `listen` | segment arrives, §3.10.7 |
//! | `syncookie`, `fastopen` | listeners that keep nothing of a SYN, and those that take its data at once |
//! | `output`, `window` | what is sent, and the window that is offered |
//! | `timer`, `rtt`, `rtx`, `reass`, `isn` | timeouts, measurements, retransmission, reassembly, ISNs |
//! | `sack`, `rack`, `prr`, `undo` | selective acknowledgments, what is lost, how fast it is repaired, what was none |
//! | `info`, `tally` | what is shown of a connection |
//! | `cc` | congestion control |
//! | `rate`, `pace` | how fast the path is, and how fast segments leave |
//! | `ecn` | what the network says instead of losing packets |
//! | `pmtu`, `plpmtud` | packet sizes that the network tells, and that are found by trying |
//! | `config`, `profile`, `sysctl` | what can be turned, whose values it has, and their names |
//! | `icmp` | what the network says about our segments |
//!
//! # Where the time goes
//!
//! One stream, 1448 octets a segment, two whole stacks on one core, every segment a frame (`cargo bench -p
//! netstack --bench tcp_stack`, `perf record`; AMD EPYC under virtualisation): 550 ns a data segment, its share of
//! the acknowledgments (one for 64 segments) included. Of these:
//!
//! | part | share |
//! |---|---|
//! | copies: program, send buffer, packet, wire, packet, receive buffer, program | 31 % |
//! | IP and Ethernet of both sides: headers, route, neighbour | 21 % |
//! | TCP of both sides: finding the connection, header prediction, windows, records, timers | 19 % |
//! | checksums: filled 6 %, verified 9 % | 15 % |
//! | packets from and to their pool | 6 % |
//! | the stack's own order: queues, credits, events | 6 % |
//!
//! Where interfaces take whole segments as one packet (`offload` on a bus), everything but the copies is paid
//! once for up to 45 segments: of two nodes' time on a bus 79 % is copying (the sender's three copies 50 %, the
//! receiver's two 29 %), the records of the single segments are 3 %, all else of TCP and IP 5 %, and the rest is waiting.
//! The sender is the slower side, 110 ms of processor a gigabyte to the receiver's 70: what would help next is
//! a send buffer that packets point into.

mod ack;
pub mod cc;
mod config;
mod ecn;
mod fastopen;
mod icmp;
mod info;
mod input;
mod isn;
mod listen;
mod open;
mod options;
mod output;
mod pace;
mod plpmtud;
mod pmtu;
mod profile;
mod prr;
mod rack;
mod rate;
mod reass;
mod rtt;
mod rtx;
mod sack;
mod segment;
mod seq;
mod slab;
mod state;
mod stats;
mod syncookie;
pub mod sysctl;
mod tally;
mod tcb;
mod text;
mod timer;
mod undo;
pub mod usrreq;
mod window;

pub use config::{BufferSizes, InitialWindow, Nagle, RtoFloor, SynWindow, TcpConfig, TwReuse};
pub use ecn::EcnMode;
pub use fastopen::{FastOpen, FastOpenFail, Key as FastOpenKey};
pub use info::{Congestion, TcpInfo};
pub use options::{TcpOpt, TcpOptName};
pub use plpmtud::MtuProbing;
pub use pmtu::PmtuClaims;
pub use profile::Profile;
pub use rack::RackRules;
pub use rtx::Segments;
pub use segment::Arrived;
pub use state::State;
pub use stats::TcpStats;
pub use syncookie::SynCookies;
pub use tally::{Tally, Waits};
pub use usrreq::Shutdown;

use crate::netinet::in_pcb::{PcbTable, Receivers};
use crate::netinet::{Cast, FlowLabel, Fragment, IpLayer, IpRx, IpTx};
use crate::socket::{Ready, SockError};
use crate::time::{Duration, Instant};
use crate::wire::tcp::{self as wire, Flags, Header};
use fastopen::Use;
use isn::IsnGenerator;
use options::Settings;
use output::Burst;
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use segment::Segment;
use seq::SeqNum;
use slab::Slab;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use tcb::{Cx, Holder, Tcb};
use timer::Heap;

/// Names a TCP socket. The generation makes an id that outlives its socket harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpId {
    index: u32,
    generation: u32,
}

impl TcpId {
    /// Names nothing.
    const NONE: TcpId = TcpId { index: u32::MAX, generation: 0 };
}

/// The clock of timestamps: milliseconds, with an offset of each connection (RFC 7323 §5.4, §7.1).
fn timestamp(now: Instant, offset: u32) -> u32 {
    (now.as_millis() as u32).wrapping_add(offset)
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    config: TcpConfig,
    /// The options of a new socket.
    settings: Rc<Settings>,
    stats: TcpStats,
    isn: IsnGenerator,
    heap: Heap,
    /// May have something to send.
    ready: VecDeque<TcpId>,
    /// Have events to tell, in the order of the first of them.
    events: Vec<TcpId>,
    /// Connections that live on without a program.
    orphans: usize,
    /// Connections in TIME-WAIT.
    time_waits: usize,
    /// Cookies of peers (RFC 7413).
    fast_open: fastopen::Cache,
}

/// All of TCP of one stack.
#[derive(Debug)]
pub struct Tcp {
    sh: Shared,
    slab: Slab,
    pcbs: PcbTable<TcpId>,
}

impl Tcp {
    /// TCP without sockets; `seed` is secret and makes ISNs and ports.
    pub fn new(config: TcpConfig, seed: [u8; 32]) -> Tcp {
        let mut rng = Xoshiro256PlusPlus::from_seed(seed);
        let isn = IsnGenerator::new((rng.next_u64(), rng.next_u64()));
        let mut pcbs = PcbTable::new(Receivers::Listening, [rng.next_u64(), rng.next_u64()]);
        pcbs.ephemeral = config.ephemeral_ports.0..=config.ephemeral_ports.1;
        let sh = Shared {
            settings: Rc::new(Settings::new(&config)),
            config,
            stats: TcpStats::default(),
            isn,
            heap: Heap::default(),
            ready: VecDeque::new(),
            events: Vec::new(),
            orphans: 0,
            time_waits: 0,
            fast_open: fastopen::Cache::default(),
        };
        Tcp { sh, slab: Slab::default(), pcbs }
    }

    /// The numbers as they are.
    pub fn config(&self) -> &TcpConfig {
        &self.sh.config
    }

    /// Changes them. What a socket has taken over for itself (its options and buffers) stays as it is.
    pub fn set_config(&mut self, config: TcpConfig) {
        self.pcbs.ephemeral = config.ephemeral_ports.0..=config.ephemeral_ports.1;
        self.sh.settings = Rc::new(Settings::new(&config));
        self.sh.config = config;
    }

    // ---- segments in ---------------------------------------------------------------------------

    /// A segment comes in, or several that nobody has parted.
    pub fn input(&mut self, ip: &mut dyn IpLayer, rx: &IpRx, arrived: Arrived<'_>) {
        let segment = arrived.octets;
        self.sh.stats.in_segs += u64::from(arrived.parts());
        // RFC 9293 §3.9.2.3: TCP is between two.
        if rx.cast != Cast::Unicast {
            self.sh.stats.drop_cast += 1;
            return;
        }
        let Ok((header, payload)) = Header::parse(segment) else {
            self.sh.stats.in_errs += 1;
            return;
        };
        if !arrived.offload.is_partial() && !wire::checksum_is_valid(rx.src, rx.dst, segment) {
            self.sh.stats.in_errs += 1;
            self.sh.stats.in_csum_errs += 1;
            return;
        }
        let seg = Segment::new(&header, payload, &arrived, rx.tos);
        let local = SocketAddr::new(rx.dst, header.dst_port);
        let remote = SocketAddr::new(rx.src, header.src_port);
        let Some(id) = self.pcbs.lookup(local, remote, rx.ifindex) else {
            // RFC 9293 §3.10.7.1: CLOSED
            self.sh.stats.no_ports += 1;
            return self.reset_stranger(ip, local, remote, &seg);
        };
        let Some((tcb, mut cx)) = self.parts(ip, id) else { return };
        match (tcb.state, tcb.holder) {
            (State::Listen, _) => return self.listen_input(ip, id, (local, remote), &seg, None),
            (State::TimeWait, _) if seg.flags & (Flags::SYN | Flags::ACK | Flags::RST) == Flags::SYN => {
                let isn = tcb.new_incarnation(&seg);
                // RFC 1122 §4.2.2.13: only to accept the connection.
                let listener = self.pcbs.lookup_bound(local, remote, rx.ifindex);
                let Some((tcb, mut cx)) = self.parts(ip, id) else { return };
                if let (Some(isn), Some(listener)) = (isn, listener) {
                    cx.sh.stats.time_waits_recycled += 1;
                    tcb.enter_closed(None);
                    self.settle(id);
                    return self.listen_input(ip, listener, (local, remote), &seg, Some(isn));
                }
                tcb.segment_arrives(&mut cx, seg);
            }
            (State::SynReceived, Holder::SynQueue(listener)) if !seg.has(Flags::RST | Flags::SYN) => {
                if self.listener_is_full(listener) {
                    self.sh.stats.listen_overflows += 1;
                    // Else the SYN-ACK will be sent again, and answered again.
                    if self.sh.config.abort_on_overflow
                        && let Some((tcb, mut cx)) = self.parts(ip, id)
                        && tcb.ack_is_credible(&seg)
                    {
                        tcb.send_rst_at(&mut cx, seg.ack);
                        tcb.enter_closed(None);
                        self.settle(id);
                    }
                    return;
                }
                if let Some((tcb, mut cx)) = self.parts(ip, id)
                    && !tcb.defer_accept(&mut cx, &seg)
                {
                    tcb.segment_arrives(&mut cx, seg);
                }
            }
            _ => tcb.segment_arrives(&mut cx, seg),
        }
        self.settle(id);
    }

    /// RFC 9293 §3.10.7.1: the reset for a segment that belongs to no connection.
    fn reset_stranger(
        &mut self,
        ip: &mut dyn IpLayer,
        local: SocketAddr,
        remote: SocketAddr,
        seg: &Segment<'_>,
    ) {
        if seg.has(Flags::RST) {
            return;
        }
        let mut header = Header {
            src_port: local.port(),
            dst_port: remote.port(),
            flags: Flags::RST,
            ..Header::default()
        };
        if seg.has(Flags::ACK) {
            header.seq = seg.ack.0;
        } else {
            header.ack = seg.end().0;
            header.flags |= Flags::ACK;
        }
        let mut m = ip.mbuf();
        header.emit(m.grow(header.len()));
        wire::fill_checksum(local.ip(), remote.ip(), m.data_mut());
        let tx = IpTx {
            src: local.ip(),
            dst: remote.ip(),
            protocol: wire::PROTOCOL,
            ttl: self.sh.config.ttl,
            tos: 0,
            fragment: Fragment::Dont,
            bound: None,
            label: FlowLabel::Auto,
        };
        self.sh.stats.out_rsts += 1;
        self.sh.stats.out_segs += 1;
        // A reset that finds no way back is as good as lost.
        let _ = ip.output(&tx, m);
    }

    // ---- time ----------------------------------------------------------------------------------

    /// When [`Tcp::handle_timeout`] wants to be called; it may turn out to be too early.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.sh.heap.next()
    }

    /// Fires the timers that are due at `ip.now()`.
    pub fn handle_timeout(&mut self, ip: &mut dyn IpLayer) {
        let now = ip.now();
        while let Some((at, id)) = self.sh.heap.pop_due(now) {
            let Some((tcb, mut cx)) = self.parts(ip, id) else { continue };
            if tcb.in_heap != Some(at) {
                continue;
            }
            tcb.in_heap = None;
            if tcb.deadline().is_some_and(|due| due <= now) {
                tcb.on_deadline(&mut cx);
            }
            self.settle(id);
        }
    }

    // ---- segments out --------------------------------------------------------------------------

    /// Sends what windows and interfaces allow: new data, retransmissions, acknowledgments at the
    /// end of a burst of input. Connections take turns; what the interfaces do not take now stays
    /// in the list for the next call.
    pub fn pump(&mut self, ip: &mut dyn IpLayer) {
        loop {
            let mut more = false;
            for _ in 0..self.sh.ready.len() {
                let Some(id) = self.sh.ready.pop_front() else { break };
                let Some((tcb, mut cx)) = self.parts(ip, id) else { continue };
                tcb.in_ready = false;
                if tcb.wants_output {
                    match tcb.output(&mut cx) {
                        Burst::More => more = true,
                        Burst::Done | Burst::Blocked => {}
                    }
                }
                self.settle(id);
            }
            if !more {
                return;
            }
        }
    }

    /// Whether a call of [`Tcp::pump`] may find something to do.
    pub fn wants_pump(&self) -> bool {
        !self.sh.ready.is_empty()
    }

    // ---- events --------------------------------------------------------------------------------

    /// What has become ready since the last call: bits newly set, or set again by new data or room.
    pub fn drain_events(&mut self, into: &mut Vec<(TcpId, Ready)>) {
        for id in self.sh.events.drain(..) {
            if let Some(tcb) = self.slab.get_mut(id) {
                let events = std::mem::take(&mut tcb.events) & tcb.ready();
                if !events.is_empty() {
                    into.push((id, events));
                }
            }
        }
    }

    /// The counters.
    pub fn stats(&self) -> &TcpStats {
        &self.sh.stats
    }

    /// Timers that are set, those that count no more included.
    pub fn timers(&self) -> usize {
        self.sh.heap.len()
    }

    /// Connections in ESTABLISHED or CLOSE-WAIT (RFC 4022's tcpCurrEstab).
    pub fn established(&self) -> u64 {
        self.slab.iter().filter(|tcb| matches!(tcb.state, State::Established | State::CloseWait)).count()
            as u64
    }

    /// Sockets there are, those without a program included.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    // ---- inside --------------------------------------------------------------------------------

    /// A socket, and what its steps need.
    fn parts<'a>(&'a mut self, ip: &'a mut dyn IpLayer, id: TcpId) -> Option<(&'a mut Tcb, Cx<'a>)> {
        let now = ip.now();
        let tcb = self.slab.get_mut(id)?;
        Some((tcb, Cx { ip, now, sh: &mut self.sh }))
    }

    /// After anything has happened to a socket: its place in the lists, tables and queues.
    fn settle(&mut self, id: TcpId) {
        let Some(tcb) = self.slab.get_mut(id) else { return };
        if !tcb.new_events.is_empty() {
            let new = std::mem::take(&mut tcb.new_events);
            if tcb.holder == Holder::Program {
                if tcb.events.is_empty() {
                    self.sh.events.push(id);
                }
                tcb.events |= new;
            }
        }
        if tcb.wants_output && !tcb.in_ready {
            tcb.in_ready = true;
            self.sh.ready.push_back(id);
        }
        self.sh.heap.schedule(tcb);
        self.sh.heap.tidy(&self.slab);
        let Some(tcb) = self.slab.get_mut(id) else { return };
        if tcb.orphan && matches!(tcb.state, State::Closed | State::TimeWait) {
            tcb.orphan = false;
            self.sh.orphans -= 1;
        }
        if let Use::Passive(listener) = tcb.fast_open
            && tcb.state != State::SynReceived
        {
            tcb.fast_open = Use::No;
            let reset = (tcb.error == Some(SockError::ConnReset)).then_some(tcb.last_rx);
            if let Some(listen) = self.slab.get_mut(listener).and_then(|l| l.listen.as_mut()) {
                listen.fast_open.end(reset);
            }
        }
        let Some(tcb) = self.slab.get_mut(id) else { return };
        if tcb.counted_wait && tcb.state != State::TimeWait {
            tcb.counted_wait = false;
            self.sh.time_waits -= 1;
        }
        match (tcb.state, tcb.holder) {
            (State::Closed, _) => self.settle_closed(id),
            (State::SynReceived, _) => {}
            (_, Holder::SynQueue(listener)) => {
                tcb.holder = Holder::AcceptQueue(listener);
                self.made(id, listener);
            }
            _ => {}
        }
    }

    /// A half-open connection was made.
    fn made(&mut self, id: TcpId, listener: TcpId) {
        let Some(tcb) = self.slab.get_mut(listener) else { return };
        if let Some(listen) = &mut tcb.listen {
            listen.half_open.remove(&id);
            listen.accepted.push_back(id);
            tcb.notify(Ready::READ);
            self.settle(listener);
        }
    }

    fn settle_closed(&mut self, id: TcpId) {
        let Some(tcb) = self.slab.get_mut(id) else { return };
        if tcb.in_table {
            self.pcbs.disconnect(id, tcb.local, tcb.remote);
            tcb.in_table = false;
        }
        let due = std::mem::take(&mut tcb.port_due);
        if tcb.bound && (due || tcb.holder == Holder::Nobody) {
            self.pcbs.unbind(id, tcb.local.port());
            tcb.bound = false;
        }
        match tcb.holder {
            Holder::Program | Holder::AcceptQueue(_) => {}
            Holder::Nobody => self.slab.remove(id),
            Holder::SynQueue(listener) => {
                self.slab.remove(id);
                if let Some(listen) = self.slab.get_mut(listener).and_then(|l| l.listen.as_mut()) {
                    listen.half_open.remove(&id);
                }
            }
        }
    }
}

impl Tcb {
    /// Whether a SYN in TIME-WAIT is for a new connection: RFC 6191, or a higher sequence number
    /// (RFC 1122 §4.2.2.13). Returns where that one begins.
    fn new_incarnation(&self, syn: &Segment<'_>) -> Option<SeqNum> {
        let (newer, older) = match (self.timestamps, syn.options.timestamps) {
            (true, Some(ts)) => {
                let d = ts.val.wrapping_sub(self.ts_recent) as i32;
                (d > 0, d < 0)
            }
            (true, None) | (false, _) => (false, false),
        };
        let fresh = !older && (newer || syn.seq.gt(self.rcv_nxt));
        fresh.then(|| self.after_all_windows())
    }

    /// A number beyond all that the connection, which is in TIME-WAIT, could have sent.
    fn after_all_windows(&self) -> SeqNum {
        self.snd_nxt + (65_535 + 2)
    }

    /// Whether a new connection of ours with the same ends may begin (Linux's `tcp_twsk_unique`): its
    /// timestamps are younger by a second at least.
    fn may_be_taken_over(&self, now: Instant, config: &TcpConfig) -> bool {
        let wanted = match config.tw_reuse {
            TwReuse::Never => false,
            TwReuse::Always => true,
            TwReuse::Loopback => self.local.ip().is_loopback() || self.remote.ip().is_loopback(),
        };
        wanted
            && self.state == State::TimeWait
            && self.timestamps
            && now.since(self.ts_recent_at) > Duration::from_secs(1)
    }
}
