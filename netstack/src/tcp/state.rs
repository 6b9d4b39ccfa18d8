//! The states of RFC 9293 §3.3.2.

/// State of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Sent a request, waiting for a matching one.
    SynSent,
    /// Sent and received a request, waiting for its acknowledgment.
    SynReceived,
    /// Open.
    Established,
    /// We have sent a FIN, which is not acknowledged.
    FinWait1,
    /// Our FIN is acknowledged, the peer's has not come.
    FinWait2,
    /// The peer's FIN has come, we have not sent ours.
    CloseWait,
    /// Both have sent a FIN, ours is not acknowledged.
    Closing,
    /// The peer's FIN came first, ours is sent and not acknowledged.
    LastAck,
    /// Both FINs are acknowledged; old segments die.
    TimeWait,
}

impl State {
    /// ESTABLISHED or later: both sides know each other's sequence numbers.
    pub const fn is_synchronised(self) -> bool {
        match self {
            State::Closed | State::Listen | State::SynSent | State::SynReceived => false,
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => true,
        }
    }

    /// Our FIN was not yet asked for: the program may send.
    pub const fn may_send(self) -> bool {
        matches!(self, State::Established | State::CloseWait)
    }

    /// The peer's FIN has not come: data may.
    pub const fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Data or a FIN of ours may be on the way.
    pub const fn transmits(self) -> bool {
        matches!(
            self,
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck
        )
    }
}
