//! The Internet protocols: IPv4 and what stands directly on it, and what IPv6 ([`crate::netinet6`]) shares with it.

pub(crate) mod arp;
pub(crate) mod error_limit;
pub(crate) mod exceptions;
pub(crate) mod igmp;
pub mod in_pcb;
pub(crate) mod ip;
mod ip_forward;
pub(crate) mod ip_icmp;
mod ip_input;
mod ip_options;
mod ip_output;
pub(crate) mod ip_reass;
mod link_output;
mod membership;
pub(crate) mod ping;
pub(crate) mod protosw;
pub(crate) mod raw_ip;
pub(crate) mod udp;
pub(crate) mod udplite;

use crate::net::{IfIndex, mbuf::Mbuf};
use crate::socket::SockError;
use crate::time::Instant;
use std::net::{IpAddr, SocketAddr};

/// What a transport protocol needs of the floor below it. One implementation serves IPv4 and
/// IPv6; a transport never learns which header carries it except by the family of the addresses.
///
/// It is a trait so that a transport is tested alone, with the packets it emits in plain sight.
pub trait IpLayer {
    /// The time of this call.
    fn now(&self) -> Instant;

    /// Random octets (ISN keys, ephemeral ports, IP identification).
    fn random(&mut self) -> u64;

    /// The way of a flow: source address (`src` if the socket has one), interface, MTU. Of equal
    /// paths it is the one that [`IpLayer::output`] takes, if the flow is told whole.
    fn path(&self, flow: &Flow) -> Result<Path, SockError>;

    /// Packets of more than `mtu` octets do not reach `dst`, as a transport knows by now.
    fn learn_mtu(&mut self, _dst: IpAddr, _mtu: u32) {}

    /// Whether `addr` is one of ours (unicast, loopback included).
    fn is_local(&self, addr: IpAddr) -> bool;

    /// Whether packets to `addr` go to everybody on a link.
    fn is_broadcast(&self, addr: IpAddr) -> bool {
        matches!(addr, IpAddr::V4(a) if a.is_broadcast())
    }

    /// An empty packet with headroom.
    fn mbuf(&mut self) -> Mbuf;

    /// Sends a transport packet: `m` starts at the transport header and its checksum is complete
    /// (or described by its offload metadata). Takes it in any case; an error says why it was not
    /// sent (no route, message too long with `Fragment::Dont`); a full interface queue is a counted drop.
    fn output(&mut self, tx: &IpTx, m: Mbuf) -> Result<(), SockError>;

    /// Full frames that the interface's transmit queue still takes before it is at its mark. A bulk
    /// sender stops at zero and is pumped again when the queue has drained. A packet that is to be
    /// segmented counts as its segments; it may go beyond the mark.
    fn tx_room(&self, ifindex: IfIndex) -> usize;

    /// Whether the interface takes packets whose checksum and segmentation are left undone, with
    /// metadata that say so.
    fn offloads(&self, _ifindex: IfIndex) -> bool {
        false
    }

    /// The transport makes progress on a flow: data of ours was acknowledged. The next hop need not
    /// be probed (RFC 4861 §7.3.1). Cheap, but once a round trip is enough.
    fn confirm(&mut self, _flow: &Flow) {}
}

/// What decides the way of packets: it is one choice for all packets of a flow (RFC 2991 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// IP protocol number.
    pub protocol: u8,
    /// Source address; `None`: that of the way.
    pub src: Option<IpAddr>,
    /// Source port; 0: not chosen yet, or the protocol has none.
    pub src_port: u16,
    /// Destination.
    pub dst: SocketAddr,
    /// Interface asked for.
    pub bound: Option<IfIndex>,
    /// Of an address that is public and a temporary one the public is taken (RFC 5014).
    pub public: bool,
}

/// The way to a destination, as of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Source address of packets on this path.
    pub src: IpAddr,
    /// The interface they leave by.
    pub ifindex: IfIndex,
    /// Octets of the largest IP packet on this path (interface MTU, or less if PMTU discovery learned so).
    pub mtu: u32,
    /// The same of the interface: what it takes in, too.
    pub link_mtu: u32,
}

/// How a transport packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpTx {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// Time to live, hop limit; 1 to 255.
    pub ttl: u8,
    /// Type of service, traffic class: DSCP and ECN.
    pub tos: u8,
    /// Whether the packet may be fragmented.
    pub fragment: Fragment,
    /// Interface asked for (SO_BINDTODEVICE, PKTINFO, multicast interface).
    pub bound: Option<IfIndex>,
    /// IPv6's flow label.
    pub label: FlowLabel,
}

/// The label of a flow: RFC 6437.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowLabel {
    /// One that the flow's ends make.
    #[default]
    Auto,
    /// This one, of 20 bits; 0: none.
    Is(u32),
}

/// May the packet be fragmented on its way?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Here and on the way (DF clear).
    May,
    /// DF set, except where the path's MTU is below what may be believed; a packet larger than the
    /// path's MTU is refused with `MsgSize`.
    Dont,
}

/// What the IP layer knows of a packet that it hands up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRx {
    /// Source address.
    pub src: IpAddr,
    /// Destination address: ours, multicast or broadcast.
    pub dst: IpAddr,
    /// Remaining hops.
    pub ttl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// The interface it came in by.
    pub ifindex: IfIndex,
    /// Sent to a link or IP broadcast or multicast address.
    pub cast: Cast,
    /// A fragment header stood in it (of IPv6), if only that of a fragment which is all of its packet.
    pub fragmented: bool,
}

/// To how many a packet was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// To us alone.
    Unicast,
    /// To a group.
    Multicast,
    /// To everybody on the link or subnet.
    Broadcast,
}

/// An ICMP error about a packet of ours, family-neutral, validated against the quoted header only
/// (the transport checks ports and sequence numbers: RFC 5927).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What happened.
    pub kind: IcmpErrorKind,
    /// Who says so.
    pub from: IpAddr,
    /// Source of the quoted packet: us.
    pub src: IpAddr,
    /// Destination of the quoted packet.
    pub dst: IpAddr,
    /// The interface by which the error came in; of a failure here, that by which the packet was to
    /// leave. Sockets bound to a device hear of their own.
    pub ifindex: IfIndex,
    /// ICMP type and code as on the wire (IP_RECVERR shows them).
    pub wire: (u8, u8),
}

/// Kinds of ICMP errors, RFC 792, 1122 §3.2.2.1, 1812 §5.2.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpErrorKind {
    /// Codes 0 and 11.
    NetUnreachable,
    /// Codes 1 and 12, and those that nobody has defined.
    HostUnreachable,
    /// Code 2.
    ProtoUnreachable,
    /// Code 3.
    PortUnreachable,
    /// Code 4 (RFC 1191): fragmentation needed; the next hop's MTU, 0 if an old router did not say.
    PacketTooBig {
        /// Octets of the largest packet that passes.
        mtu: u32,
    },
    /// Code 5: source route failed.
    SourceRoute,
    /// Codes 6 and 9: there is no such network, or it is not for us.
    NetRefused,
    /// Code 7: there is no such host.
    HostUnknown,
    /// Code 8: our own host is isolated.
    Isolated,
    /// Codes 10, 13, 14 and 15: the host is not for us.
    HostRefused,
    /// TTL ran out on the way.
    TimeExceeded,
    /// Parameter problem.
    Parameter,
    /// ICMPv6: administratively prohibited, or against a policy (RFC 4443 §3.1, codes 1, 5 and 6).
    Prohibited,
}

/// Whether an error is for good: RFC 1122 §3.2.2.1, §4.2.3.9 (for TCP, RFC 5461 has the last word).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It may pass.
    Soft,
    /// It ends what the packet was part of.
    Hard,
}

impl IcmpErrorKind {
    /// What an error means for the socket that sent the packet: Linux's `icmp_err_convert`.
    pub fn meaning(self) -> (SockError, Severity) {
        use Severity::{Hard, Soft};
        match self {
            IcmpErrorKind::NetUnreachable => (SockError::NetUnreachable, Soft),
            IcmpErrorKind::HostUnreachable => (SockError::HostUnreachable, Soft),
            IcmpErrorKind::ProtoUnreachable => (SockError::ProtoUnreachable, Hard),
            IcmpErrorKind::PortUnreachable => (SockError::ConnRefused, Hard),
            IcmpErrorKind::PacketTooBig { .. } => (SockError::MsgSize, Hard),
            IcmpErrorKind::SourceRoute => (SockError::OpNotSupported, Soft),
            IcmpErrorKind::NetRefused => (SockError::NetUnreachable, Hard),
            IcmpErrorKind::HostUnknown => (SockError::HostDown, Hard),
            IcmpErrorKind::Isolated => (SockError::NoNet, Hard),
            IcmpErrorKind::HostRefused => (SockError::HostUnreachable, Hard),
            IcmpErrorKind::TimeExceeded => (SockError::HostUnreachable, Soft),
            IcmpErrorKind::Parameter => (SockError::Proto, Hard),
            IcmpErrorKind::Prohibited => (SockError::Access, Hard),
        }
    }
}
