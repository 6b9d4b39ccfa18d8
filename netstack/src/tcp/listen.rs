//! LISTEN: RFC 9293 §3.10.7.2, and the two queues of a listener as Linux has them.
//!
//! A SYN makes a half-open connection in the SYN queue; the ACK of the SYN-ACK moves it to the
//! accept queue. While the accept queue is full new SYNs are dropped and ACKs that would fill it
//! further are ignored, so that the peer tries again.

use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::{Holder, Tcb};
use super::{State, Tcp, TcpId};
use crate::netinet::{Flow, IpLayer};
use crate::wire::tcp::Flags;
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
}

impl Listen {
    /// Linux's `sk_acceptq_is_full`.
    pub(crate) fn is_full(&self) -> bool {
        self.accepted.len() > self.backlog
    }
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
        // Second, check for an ACK
        if seg.has(Flags::ACK) {
            return self.reset_stranger(ip, local, remote, seg);
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
        let Some(listener) = self.slab.get(id) else { return };
        let Some(listen) = &listener.listen else { return };
        if listen.is_full() {
            self.sh.stats.listen_overflows += 1;
            return;
        }
        if listen.half_open.len() >= self.sh.config.max_syn_backlog.min(listen.backlog.max(8)) {
            self.sh.stats.syn_queue_full += 1;
            return;
        }
        let flow = Flow {
            protocol: crate::wire::tcp::PROTOCOL,
            src: Some(local.ip()),
            src_port: local.port(),
            dst: remote,
            bound: listener.set.bound_if,
        };
        let Ok(path) = ip.path(&flow) else { return };
        let mut child = Box::new(Tcb::new(TcpId::NONE, listener.family, &self.sh.config));
        child.set = listener.set.clone();
        child.sndbuf.limit = listener.sndbuf.limit;
        child.rcvbuf_size = listener.rcvbuf_size;
        (child.cc_algorithm, child.cc) =
            (listener.cc_algorithm, listener.cc_algorithm.start(&self.sh.config));
        child.holder = Holder::SynQueue(id);
        let share = listener.set.share;
        let child_id = self.slab.insert(child);
        let Some((child, mut cx)) = self.parts(ip, child_id) else { return };
        child.id = child_id;
        child.begin(&mut cx, local, remote, &path);
        if let Some(isn) = isn {
            child.start_at(isn);
        }
        child.state = State::SynReceived;
        child.take_syn(&mut cx, seg);
        // The window of a SYN is not scaled. Data that came with it is left: the peer sends it again.
        (child.snd_wnd, child.snd_wl1, child.snd_wl2) = (u32::from(seg.wnd), seg.seq, child.iss);
        child.rtx.push(child.iss, child.iss + 1, cx.now, child.rate.stamp());
        child.send_syn(&mut cx);
        if self.pcbs.connect(child_id, local, remote, share).is_err() {
            self.slab.remove(child_id);
            return;
        }
        if let Some(child) = self.slab.get_mut(child_id) {
            child.in_table = true;
        }
        self.sh.stats.passive_opens += 1;
        if let Some(listen) = self.slab.get_mut(id).and_then(|l| l.listen.as_mut()) {
            listen.half_open.insert(child_id);
        }
        self.settle(child_id);
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
                if child.state.is_synchronised() && child.state != State::TimeWait {
                    child.send_rst(&mut cx);
                    child.enter_closed(None);
                }
                child.holder = Holder::Nobody;
            }
            self.settle(child);
        }
    }
}
