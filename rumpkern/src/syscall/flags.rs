//! Flags of calls, with Linux's numbers.

use netstack::socket::{RecvFlags, SendFlags};

bitflags::bitflags! {
    /// `MSG_*` of `send(2)` and `recv(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MsgFlags: u32 {
        /// Urgent data.
        const OOB = 0x1;
        /// Leave what is read in the buffer.
        const PEEK = 0x2;
        /// The destination must be on the link.
        const DONTROUTE = 0x4;
        /// A datagram's whole length is told; a stream's octets are thrown away.
        const TRUNC = 0x20;
        /// Do not block.
        const DONTWAIT = 0x40;
        /// No segment has what is sent and what is sent later (streams).
        const EOR = 0x80;
        /// Receive until the buffer is full (streams).
        const WAITALL = 0x100;
        /// Read the error queue.
        const ERRQUEUE = 0x2000;
        /// No signal at EPIPE; here there never is one.
        const NOSIGNAL = 0x4000;
        /// More will follow at once.
        const MORE = 0x8000;
        /// Connect, with the data in the SYN (RFC 7413).
        const FASTOPEN = 0x2000_0000;
    }
}

impl MsgFlags {
    /// Those of a send call that are the stack's affair.
    pub(crate) fn to_send(self) -> SendFlags {
        let table = [
            (MsgFlags::OOB, SendFlags::OOB),
            (MsgFlags::MORE, SendFlags::MORE),
            (MsgFlags::DONTROUTE, SendFlags::DONTROUTE),
            (MsgFlags::FASTOPEN, SendFlags::FASTOPEN),
            (MsgFlags::EOR, SendFlags::EOR),
        ];
        table.into_iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, bit)| bit).collect()
    }

    /// Those of a receive call that are the stack's affair.
    pub(crate) fn to_recv(self) -> RecvFlags {
        let table = [
            (MsgFlags::OOB, RecvFlags::OOB),
            (MsgFlags::PEEK, RecvFlags::PEEK),
            (MsgFlags::TRUNC, RecvFlags::TRUNC),
            (MsgFlags::ERRQUEUE, RecvFlags::ERRQUEUE),
        ];
        table.into_iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, bit)| bit).collect()
    }
}

bitflags::bitflags! {
    /// `POLL*` of `poll(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct PollFlags: u16 {
        /// There is something to read or accept.
        const IN = 0x1;
        /// Urgent data.
        const PRI = 0x2;
        /// There is room to write.
        const OUT = 0x4;
        /// An error waits. Always told.
        const ERR = 0x8;
        /// Both directions are shut. Always told.
        const HUP = 0x10;
        /// Not open. Always told.
        const NVAL = 0x20;
        /// The same as IN.
        const RDNORM = 0x40;
        /// Of another priority; there is none.
        const RDBAND = 0x80;
        /// The same as OUT.
        const WRNORM = 0x100;
        /// Of datagrams, the same as OUT.
        const WRBAND = 0x200;
        /// The peer has shut its sending side.
        const RDHUP = 0x2000;
    }
}
