//! Flags of send and receive calls (the `MSG_*` of `send(2)` and `recv(2)` that reach the stack;
//! MSG_DONTWAIT, MSG_WAITALL and MSG_NOSIGNAL are the kernel's affair).

bitflags::bitflags! {
    /// Flags of a send call.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SendFlags: u8 {
        /// MSG_OOB: the last octet is urgent (TCP).
        const OOB = 1;
        /// MSG_MORE: more will follow at once; a stream may wait for it, a datagram is continued.
        const MORE = 2;
        /// MSG_DONTROUTE: the destination must be on the link.
        const DONTROUTE = 4;
        /// MSG_FASTOPEN: connects, with the data in the SYN (TCP).
        const FASTOPEN = 8;
        /// MSG_EOR: no segment has what was written up to here and what is written later (TCP).
        const EOR = 16;
    }

    /// Flags of a receive call.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RecvFlags: u8 {
        /// MSG_PEEK: leave what is read in the buffer.
        const PEEK = 1;
        /// MSG_OOB: the urgent octet (TCP).
        const OOB = 2;
        /// MSG_TRUNC: a stream's octets are thrown away; a datagram's whole length is told.
        const TRUNC = 4;
        /// MSG_ERRQUEUE: read the error queue.
        const ERRQUEUE = 8;
    }
}
