//! Frames in, time, frames out.

use super::Stack;
use crate::net::IfIndex;
use crate::net::mbuf::Mbuf;
use crate::netinet::ip::Upcall;
use crate::socket::Ready;
use crate::stack::stats::Drop;
use crate::time::Instant;
use crate::timer::{Nd6Timer, Timer};
use crate::wire::icmpv4::{exceeded, ty};
use crate::wire::ipv4;

/// Packets to ourselves that one call takes up at most: two sockets of one stack that talk to each
/// other must not keep the owner from its other work. The rest is due at once.
const LOOPS: usize = 1024;
/// Rounds of TCP talking to itself that one call takes up at most.
const PUMP_ROUNDS: usize = 64;

impl Stack {
    /// An empty packet from the pool, to copy a frame into.
    pub fn rx_mbuf(&mut self) -> Mbuf {
        self.ip.pool.get()
    }

    /// A whole Ethernet frame (without its check sequence) that came in by `ifindex`. It may carry
    /// offload metadata.
    pub fn input(&mut self, now: Instant, ifindex: IfIndex, frame: Mbuf) {
        self.ip.now = now;
        self.ether_input(ifindex, frame);
        self.settle();
    }

    /// When [`Stack::handle_timeout`] is to be called; `None`: nothing is due ever.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.pump_due || !self.ip.upcalls.is_empty() {
            return Some(self.ip.now);
        }
        self.ip.timers.next().into_iter().chain(self.tcp.poll_timeout()).min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ip.now = now;
        while let Some(timer) = self.ip.timers.pop(now) {
            match timer {
                Timer::Neigh(slot) => self.ip.neigh_due(slot),
                Timer::Announce { ifindex, addr, left } => self.ip.arp_announce_again(ifindex, addr, left),
                Timer::Reass(id) => self.reass_timeout(id),
                Timer::Dad { ifindex, addr } => self.dad_due(ifindex, addr),
                Timer::Nd6 { ifindex, what } => match what {
                    Nd6Timer::Advertise => self.ip.rtadv_due(ifindex),
                    Nd6Timer::Solicit => self.ip.solicit_due(ifindex),
                    Nd6Timer::Probe => self.ip.routers_probe(ifindex),
                    Nd6Timer::Lifetimes => self.lifetimes_due(ifindex),
                },
                Timer::Group { ifindex, family, what } => self.ip.group_due(ifindex, family, what),
            }
        }
        if self.tcp.poll_timeout().is_some_and(|at| at <= now) {
            self.tcp.handle_timeout(&mut self.ip);
            self.pump_due = true;
        }
        self.settle();
        self.pump();
    }

    /// Lets TCP send. What it sends to ourselves may make it send more: a bounded number of rounds,
    /// the rest is due at once.
    fn pump(&mut self) {
        for _ in 0..PUMP_ROUNDS {
            if !core::mem::take(&mut self.pump_due) {
                return;
            }
            self.tcp.pump(&mut self.ip);
            self.settle();
        }
    }

    /// RFC 792, 1122 §3.3.2: time exceeded in reassembly, if the first fragment had come.
    fn reass_timeout(&mut self, id: crate::netinet::ip_reass::ReassId) {
        if let Some((ifindex, first)) = self.ip.reass.timeout(id, &mut self.ip.timers) {
            if let Ok(header) = ipv4::Header::parse_quoted(first.data()) {
                let cast = crate::netinet::Cast::Unicast;
                let (ty, code) = (ty::TIME_EXCEEDED, exceeded::REASSEMBLY);
                self.ip.icmp_error(ifindex, &first, &header, cast, ty, code, 0);
            } else {
                self.frag6_timeout(ifindex, &first);
            }
            self.ip.discard(Drop::ReassTimeout, first);
        }
        self.ip.reass_collect();
    }

    /// The next frame for this interface. The driver pulls only while its wire takes frames; what is
    /// not pulled fills the queue, and the queue holds the senders back.
    pub fn poll_transmit(&mut self, now: Instant, ifindex: IfIndex) -> Option<Mbuf> {
        self.ip.now = now;
        // Here TCP's acknowledgments of a burst of input are decided, and its senders go on when the
        // queue has drained to half of the mark at which they stopped.
        if self.pump_due {
            self.pump();
        }
        let ifnet = self.ip.ifs.get_mut(ifindex)?;
        let (mark, mtu) = (self.ip.config.tx_mark, ifnet.mtu);
        let before = ifnet.tx.room(mark, mtu);
        let mut frame = ifnet.tx.pop()?;
        if before < mark / 2 && ifnet.tx.room(mark, mtu) >= mark / 2 && self.tcp.wants_pump() {
            self.pump_due = true;
        }
        let ifnet = self.ip.ifs.get_mut(ifindex)?;
        ifnet.counters.out_packets += 1;
        ifnet.counters.out_octets += frame.len() as u64;
        self.bpf_output(ifindex, &frame);
        if frame.owner.is_some() {
            self.ip.credit(&mut frame);
            self.settle_credits();
        }
        Some(frame)
    }

    /// Gives a frame's memory back, after its octets are on the wire.
    pub fn recycle(&mut self, frame: Mbuf) {
        self.ip.free(frame);
    }

    /// Takes up what the floor below left for us: packets to ourselves, errors, credits. Every door
    /// that may have caused some ends with it.
    pub(crate) fn settle(&mut self) {
        self.ip.forget_stale_redirects();
        for _ in 0..LOOPS {
            match self.ip.upcalls.pop_front() {
                None => break,
                Some(Upcall::Loop(ifindex, m)) => self.loop_input(ifindex, m),
                Some(Upcall::Error { error, protocol, quoted }) => {
                    self.icmp_dispatch(&error, protocol, quoted.data());
                    self.ip.free(quoted);
                }
            }
        }
        while let Some(m) = self.ip.neigh.lost.pop() {
            self.ip.discard(Drop::NeighTableFull, m);
        }
        self.settle_credits();
        self.settle_streams();
    }

    fn settle_credits(&mut self) {
        while let Some((id, charge)) = self.ip.credits.pop() {
            let Ok(s) = self.sockets.datagram(id) else { continue };
            let before = s.ready();
            s.tx_octets = s.tx_octets.saturating_sub(charge as usize);
            let news = (s.ready() - before) & Ready::WRITE;
            self.notify(id, news);
        }
    }
}
