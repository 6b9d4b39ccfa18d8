//! Urgent pointer, data, acknowledgments of data: RFC 9293 §3.10.7.4 (sixth, seventh), §3.8.6.3
//! (delayed acknowledgments), §3.8.5 (urgent data, as all sockets do it: one octet out of band).

use super::State;
use super::input::Step;
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::{Cx, Holder, Tcb};
use crate::socket::Ready;
use crate::wire::tcp::Flags;

impl Tcb {
    /// Sixth, check the URG bit
    pub(super) fn sixth_urg(&mut self, seg: &Segment<'_>) {
        if !seg.has(Flags::URG) || seg.up == 0 || !self.state.may_receive() {
            return;
        }
        // The pointer names the octet after the urgent one (BSD, Linux; RFC 6093).
        let at = seg.seq + u32::from(seg.up) - 1;
        let news = self.rcv_up.is_none_or(|up| at.gt(up)) && at.ge(self.rcv_nxt);
        if news {
            // As Linux: the last one, where reading stands, is passed by.
            if self.to_mark() == Some(0) && !self.set.oob_inline {
                self.rcvbuf.consume(1);
            }
            self.rcv_up = Some(at);
            self.urgent = None;
            self.notify(Ready::PRI);
        }
    }

    /// Seventh, process the segment text
    pub(super) fn seventh_text(&mut self, cx: &mut Cx<'_>, seg: &mut Segment<'_>) -> Step {
        if seg.payload.is_empty() || !self.state.may_receive() {
            return Step::Continue(());
        }
        // RFC 9293 §3.6.1: data for a program that has closed, or in our FIN-WAITs (as BSD and
        // Linux) for one that does not read any more, resets the connection.
        if self.holder == Holder::Nobody || (self.shut_read && self.state != State::Established) {
            cx.sh.stats.abort_on_data += 1;
            self.send_rst(cx);
            self.enter_closed(Some(crate::socket::SockError::ConnReset));
            return Step::Break(());
        }
        let len = seg.payload.len() as u32;
        let (start, end) = (seg.seq, seg.seq + len);
        self.pick_urgent(seg);
        self.take_mark(cx, seg);
        if start == self.rcv_nxt && self.reass.is_empty() {
            seg.deliver(&mut self.rcvbuf);
            self.data_in_order(cx, len, seg);
            return Step::Continue(());
        }
        // RFC 2883 §4.2: the first part of it that had come before.
        if let Some((left, right)) = self.reass.known(start, end) {
            self.report_duplicate(left, right);
        }
        let (rcv_nxt, rcvbuf) = (self.rcv_nxt, &mut self.rcvbuf);
        // What comes in its turn is taken, however many holes there are: it makes none.
        let limit = if start == self.rcv_nxt { usize::MAX } else { cx.sh.config.max_reass_ranges };
        let inserted = self.reass.insert(start, end, limit, |a, b| {
            let part = &seg.payload[a.since(start) as usize..b.since(start) as usize];
            rcvbuf.place(a.since(rcv_nxt) as usize, part);
        });
        if inserted.is_err() {
            cx.sh.stats.reass_full += 1;
            seg.flags.remove(Flags::FIN);
        }
        if start == self.rcv_nxt {
            let reached = self.reass.advance(self.rcv_nxt);
            let n = reached.since(self.rcv_nxt);
            self.rcvbuf.advance(n as usize);
            self.data_in_order(cx, n, seg);
            // RFC 5681 §4.2: at once when a hole is filled.
            (self.ack_now, self.wants_output) = (true, true);
        } else {
            cx.sh.stats.out_of_order += 1;
            self.tally.rcv_ooopack += 1;
            // RFC 5681 §4.2: at once, one for each: they are counted.
            self.quick_acks = cx.sh.config.quick_acks;
            self.interactive = false;
            self.send_ack(cx);
        }
        Step::Continue(())
    }

    /// `len` octets were added to what can be read, as `seg` came: RCV.NXT moves, and the acknowledgment is due now or
    /// soon.
    pub(super) fn data_in_order(&mut self, cx: &mut Cx<'_>, len: u32, seg: &Segment<'_>) {
        self.rcv_nxt += len;
        self.octets_received += u64::from(len);
        // A short segment ends something; so may a full one.
        let part = seg.part.min(len);
        match part < self.rcv_mss {
            true => self.pushes = (self.pushes + 1).min(2),
            false => self.pushes = self.pushes.max(u8::from(seg.has(Flags::PSH))),
        }
        self.rcv_mss = self.rcv_mss.max(part.min(u32::from(self.adv_mss)));
        self.measure_window(cx.now);
        self.notify(Ready::READ);
        // RFC 9293 §3.8.6.3: at least every second full segment
        let second = self.rcv_nxt.since(self.last_ack_sent) > self.rcv_mss;
        if self.quick_acks > 0 || second {
            self.quick_acks = self.quick_acks.saturating_sub(1);
            (self.ack_now, self.wants_output) = (true, true);
        } else if self.t_delack.is_none() {
            self.t_delack = Some(cx.now + cx.sh.config.delayed_ack);
        }
    }

    /// Keeps the urgent octet if it is in the segment. It stays in the stream too, where reading
    /// skips it unless SO_OOBINLINE is set.
    fn pick_urgent(&mut self, seg: &Segment<'_>) {
        if let Some(up) = self.rcv_up
            && self.urgent.is_none()
            && up.within(seg.seq, seg.payload.len() as u32)
        {
            self.urgent = Some(seg.payload[up.since(seg.seq) as usize]);
            self.notify(Ready::PRI);
        }
    }

    /// The sequence number of the first octet that can be read.
    fn read_seq(&self) -> SeqNum {
        // A FIN has its number, but no octet.
        self.rcv_nxt - u32::from(self.fin_received) - self.rcvbuf.len() as u32
    }

    /// Octets from here to the urgent one, if it lies in what can be read.
    pub(super) fn to_mark(&self) -> Option<usize> {
        let up = self.rcv_up?;
        let start = self.read_seq();
        up.within(start, self.rcvbuf.len() as u32).then(|| up.since(start) as usize)
    }

    /// Octets that reading would give.
    pub(super) fn readable(&self) -> usize {
        let skipped = usize::from(!self.set.oob_inline && self.to_mark().is_some());
        self.rcvbuf.len() - skipped
    }

    /// Urgent data was announced and not read.
    pub(super) fn urgent_pending(&self) -> bool {
        self.urgent.is_some()
    }
}
