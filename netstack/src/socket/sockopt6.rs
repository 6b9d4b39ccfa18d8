//! Socket options of level IPPROTO_IPV6: RFC 3493, 3542, and Linux's. They act on what a socket sends
//! and gets by IPv6; by IPv4 a socket of AF_INET6 goes as the options of [`super::sockopt`] say.

use super::sockopt::MtuDiscover;
use crate::net::IfIndex;
use crate::netinet::FlowLabel;
use crate::socket::SockError;
use crate::wire::ipv6_ext::{self, next};
use std::net::{Ipv6Addr, SocketAddr};

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SockOpt6 {
    /// IPV6_V6ONLY: no IPv4 by mapped addresses.
    V6Only(bool),
    /// IPV6_UNICAST_HOPS; `None`: the stack's, or the router's.
    UnicastHops(Option<u8>),
    /// IPV6_MULTICAST_HOPS; `None`: 1.
    MulticastHops(Option<u8>),
    /// IPV6_MULTICAST_LOOP
    MulticastLoop(bool),
    /// IPV6_MULTICAST_IF
    MulticastIf(Option<IfIndex>),
    /// IPV6_MULTICAST_ALL: as IP_MULTICAST_ALL.
    MulticastAll(bool),
    /// IPV6_TCLASS
    TrafficClass(u8),
    /// IPV6_MTU_DISCOVER
    MtuDiscover(MtuDiscover),
    /// IPV6_MTU of a connected socket (read only), in octets.
    Mtu(u32),
    /// IPV6_DONTFRAG: what does not fit is refused.
    DontFrag(bool),
    /// IPV6_RECVERR: errors are queued with what caused them.
    RecvErr(bool),
    /// IPV6_PKTINFO: source and interface of what is sent to whom another way does not say them (RFC 3542 §6.7).
    PktInfo(StickyPktInfo),
    /// IPV6_RECVPKTINFO: whether the program wants to hear of it; the stack always tells.
    RecvPktInfo(bool),
    /// IPV6_RECVHOPLIMIT, likewise.
    RecvHopLimit(bool),
    /// IPV6_RECVTCLASS, likewise.
    RecvTrafficClass(bool),
    /// IPV6_RECVPATHMTU, likewise.
    RecvPathMtu(bool),
    /// IPV6_ADDR_PREFERENCES (RFC 5014); `None`: the interface's way.
    PreferSource(Option<SourceKind>),
    /// IPV6_AUTOFLOWLABEL: each flow has a label of its own (RFC 6437).
    AutoFlowLabel(bool),
    /// IPV6_FLOWINFO_SEND: the label in an address to which is connected or sent is that of what is sent.
    FlowInfoSend(bool),
    /// IPV6_FLOWINFO: whether class and label are told of what comes.
    RecvFlowInfo(bool),
    /// IPV6_CHECKSUM of raw sockets: where in the packet the checksum is to be put and looked at.
    Checksum(Option<u16>),
    /// ICMP6_FILTER: a set bit keeps that ICMPv6 type from a raw socket.
    IcmpFilter([u32; 8]),
    /// IPV6_HDRINCL
    HeaderIncluded(bool),
    /// IPV6_HOPOPTS: the hop-by-hop options header of what is sent, whole; empty: none.
    HopOptions(Vec<u8>),
    /// IPV6_DSTOPTS: the destination options header of what is sent, likewise.
    DstOptions(Vec<u8>),
    /// IPV6_RTHDRDSTOPTS: the same before a routing header, which nothing here has: kept, and not sent (RFC 3542 §9.2).
    RoutingDstOptions(Vec<u8>),
    /// IPV6_RECVHOPOPTS: whether such headers are told of what comes.
    RecvHopOptions(bool),
    /// IPV6_RECVDSTOPTS, likewise.
    RecvDstOptions(bool),
    /// IPV6_RECVRTHDR, likewise.
    RecvRouting(bool),
}

/// The value of IPV6_PKTINFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StickyPktInfo {
    /// The source address; `None`: the stack chooses.
    pub src: Option<Ipv6Addr>,
    /// The interface; `None`: the route's.
    pub ifindex: Option<IfIndex>,
}

/// Of two kinds of source addresses the one that a program would rather have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// One that others may know.
    Public,
    /// One for a time (RFC 8981).
    Temporary,
}

/// An option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of the variant of SockOpt6")]
pub enum SockOpt6Name {
    V6Only,
    UnicastHops,
    MulticastHops,
    MulticastLoop,
    MulticastIf,
    MulticastAll,
    TrafficClass,
    MtuDiscover,
    Mtu,
    DontFrag,
    RecvErr,
    PktInfo,
    RecvPktInfo,
    RecvHopLimit,
    RecvTrafficClass,
    RecvPathMtu,
    PreferSource,
    AutoFlowLabel,
    FlowInfoSend,
    RecvFlowInfo,
    Checksum,
    IcmpFilter,
    HeaderIncluded,
    HopOptions,
    DstOptions,
    RoutingDstOptions,
    RecvHopOptions,
    RecvDstOptions,
    RecvRouting,
}

/// The values of a socket.
#[derive(Clone, Debug)]
pub(crate) struct Options6 {
    pub(crate) only_v6: bool,
    pub(crate) unicast_hops: Option<u8>,
    pub(crate) multicast_hops: Option<u8>,
    pub(crate) multicast_loop: bool,
    pub(crate) multicast_if: Option<IfIndex>,
    pub(crate) multicast_all: bool,
    pub(crate) traffic_class: u8,
    pub(crate) mtu_discover: MtuDiscover,
    pub(crate) dont_frag: bool,
    pub(crate) recv_err: bool,
    pub(crate) pkt_info: StickyPktInfo,
    pub(crate) recv_pkt_info: bool,
    pub(crate) recv_hop_limit: bool,
    pub(crate) recv_traffic_class: bool,
    pub(crate) recv_path_mtu: bool,
    pub(crate) prefer_source: Option<SourceKind>,
    pub(crate) auto_flow_label: bool,
    pub(crate) flow_info_send: bool,
    pub(crate) recv_flow_info: bool,
    /// The label in the address to which the socket is connected, if it is sent; 0: none.
    pub(crate) flow_label: u32,
    pub(crate) checksum: Option<u16>,
    pub(crate) icmp_filter: [u32; 8],
    pub(crate) header_included: bool,
    pub(crate) hop_options: Vec<u8>,
    pub(crate) dst_options: Vec<u8>,
    pub(crate) routing_dst_options: Vec<u8>,
    pub(crate) recv_hop_options: bool,
    pub(crate) recv_dst_options: bool,
    pub(crate) recv_routing: bool,
}

impl Default for Options6 {
    fn default() -> Options6 {
        Options6 {
            only_v6: false,
            unicast_hops: None,
            multicast_hops: None,
            multicast_loop: true,
            multicast_if: None,
            multicast_all: true,
            traffic_class: 0,
            mtu_discover: MtuDiscover::default(),
            dont_frag: false,
            recv_err: false,
            pkt_info: StickyPktInfo::default(),
            recv_pkt_info: false,
            recv_hop_limit: false,
            recv_traffic_class: false,
            recv_path_mtu: false,
            prefer_source: None,
            auto_flow_label: true,
            flow_info_send: false,
            recv_flow_info: false,
            flow_label: 0,
            checksum: None,
            icmp_filter: [0; 8],
            header_included: false,
            hop_options: Vec::new(),
            dst_options: Vec::new(),
            routing_dst_options: Vec::new(),
            recv_hop_options: false,
            recv_dst_options: false,
            recv_routing: false,
        }
    }
}

impl Options6 {
    /// Sets an option.
    pub(crate) fn set(&mut self, opt: SockOpt6) -> Result<(), SockError> {
        match opt {
            SockOpt6::V6Only(v) => self.only_v6 = v,
            SockOpt6::UnicastHops(v) => self.unicast_hops = v,
            SockOpt6::MulticastHops(v) => self.multicast_hops = v,
            SockOpt6::MulticastLoop(v) => self.multicast_loop = v,
            SockOpt6::MulticastIf(v) => self.multicast_if = v,
            SockOpt6::MulticastAll(v) => self.multicast_all = v,
            SockOpt6::TrafficClass(v) => self.traffic_class = v,
            SockOpt6::MtuDiscover(v) => self.mtu_discover = v,
            SockOpt6::Mtu(_) => return Err(SockError::NoProtoOpt),
            SockOpt6::DontFrag(v) => self.dont_frag = v,
            SockOpt6::RecvErr(v) => self.recv_err = v,
            SockOpt6::PktInfo(v) => self.pkt_info = v,
            SockOpt6::RecvPktInfo(v) => self.recv_pkt_info = v,
            SockOpt6::RecvHopLimit(v) => self.recv_hop_limit = v,
            SockOpt6::RecvTrafficClass(v) => self.recv_traffic_class = v,
            SockOpt6::RecvPathMtu(v) => self.recv_path_mtu = v,
            SockOpt6::PreferSource(v) => self.prefer_source = v,
            SockOpt6::AutoFlowLabel(v) => self.auto_flow_label = v,
            SockOpt6::FlowInfoSend(v) => self.flow_info_send = v,
            SockOpt6::RecvFlowInfo(v) => self.recv_flow_info = v,
            // RFC 3542 §3.1: the checksum stands at an even place.
            SockOpt6::Checksum(Some(at)) if at % 2 != 0 => return Err(SockError::Invalid),
            SockOpt6::Checksum(v) => self.checksum = v,
            SockOpt6::IcmpFilter(v) => self.icmp_filter = v,
            SockOpt6::HeaderIncluded(v) => self.header_included = v,
            SockOpt6::HopOptions(v) => self.hop_options = checked(v)?,
            SockOpt6::DstOptions(v) => self.dst_options = checked(v)?,
            SockOpt6::RoutingDstOptions(v) => self.routing_dst_options = checked(v)?,
            SockOpt6::RecvHopOptions(v) => self.recv_hop_options = v,
            SockOpt6::RecvDstOptions(v) => self.recv_dst_options = v,
            SockOpt6::RecvRouting(v) => self.recv_routing = v,
        }
        Ok(())
    }

    /// The value of an option; `mtu` is that of the connected path, if there is one.
    pub(crate) fn get(&self, name: SockOpt6Name, mtu: Option<u32>) -> Result<SockOpt6, SockError> {
        Ok(match name {
            SockOpt6Name::V6Only => SockOpt6::V6Only(self.only_v6),
            SockOpt6Name::UnicastHops => SockOpt6::UnicastHops(self.unicast_hops),
            SockOpt6Name::MulticastHops => SockOpt6::MulticastHops(self.multicast_hops),
            SockOpt6Name::MulticastLoop => SockOpt6::MulticastLoop(self.multicast_loop),
            SockOpt6Name::MulticastIf => SockOpt6::MulticastIf(self.multicast_if),
            SockOpt6Name::MulticastAll => SockOpt6::MulticastAll(self.multicast_all),
            SockOpt6Name::TrafficClass => SockOpt6::TrafficClass(self.traffic_class),
            SockOpt6Name::MtuDiscover => SockOpt6::MtuDiscover(self.mtu_discover),
            SockOpt6Name::Mtu => SockOpt6::Mtu(mtu.ok_or(SockError::NotConnected)?),
            SockOpt6Name::DontFrag => SockOpt6::DontFrag(self.dont_frag),
            SockOpt6Name::RecvErr => SockOpt6::RecvErr(self.recv_err),
            SockOpt6Name::PktInfo => SockOpt6::PktInfo(self.pkt_info),
            SockOpt6Name::RecvPktInfo => SockOpt6::RecvPktInfo(self.recv_pkt_info),
            SockOpt6Name::RecvHopLimit => SockOpt6::RecvHopLimit(self.recv_hop_limit),
            SockOpt6Name::RecvTrafficClass => SockOpt6::RecvTrafficClass(self.recv_traffic_class),
            SockOpt6Name::RecvPathMtu => SockOpt6::RecvPathMtu(self.recv_path_mtu),
            SockOpt6Name::PreferSource => SockOpt6::PreferSource(self.prefer_source),
            SockOpt6Name::AutoFlowLabel => SockOpt6::AutoFlowLabel(self.auto_flow_label),
            SockOpt6Name::FlowInfoSend => SockOpt6::FlowInfoSend(self.flow_info_send),
            SockOpt6Name::RecvFlowInfo => SockOpt6::RecvFlowInfo(self.recv_flow_info),
            SockOpt6Name::Checksum => SockOpt6::Checksum(self.checksum),
            SockOpt6Name::IcmpFilter => SockOpt6::IcmpFilter(self.icmp_filter),
            SockOpt6Name::HeaderIncluded => SockOpt6::HeaderIncluded(self.header_included),
            SockOpt6Name::HopOptions => SockOpt6::HopOptions(self.hop_options.clone()),
            SockOpt6Name::DstOptions => SockOpt6::DstOptions(self.dst_options.clone()),
            SockOpt6Name::RoutingDstOptions => SockOpt6::RoutingDstOptions(self.routing_dst_options.clone()),
            SockOpt6Name::RecvHopOptions => SockOpt6::RecvHopOptions(self.recv_hop_options),
            SockOpt6Name::RecvDstOptions => SockOpt6::RecvDstOptions(self.recv_dst_options),
            SockOpt6Name::RecvRouting => SockOpt6::RecvRouting(self.recv_routing),
        })
    }

    /// Whether addresses that others may know are rather taken.
    pub(crate) fn prefers_public(&self) -> bool {
        self.prefer_source == Some(SourceKind::Public)
    }

    /// Whether extension headers of what comes are told.
    pub(crate) fn wants_headers(&self) -> bool {
        self.recv_hop_options || self.recv_dst_options || self.recv_routing
    }

    /// The label that an address tells of what is sent to it (RFC 3493 §3.3 leaves it to us); 0: none.
    pub(crate) fn label_in(&self, peer: SocketAddr) -> u32 {
        match peer {
            SocketAddr::V6(peer) if self.flow_info_send => peer.flowinfo() & FLOW_LABEL,
            SocketAddr::V6(_) | SocketAddr::V4(_) => 0,
        }
    }

    /// The label of what is sent, if `told` is what was said of it; 0: nothing.
    pub(crate) fn label(&self, told: u32) -> FlowLabel {
        match (told, self.auto_flow_label) {
            (0, true) => FlowLabel::Auto,
            (label, _) => FlowLabel::Is(label),
        }
    }

    /// The extension headers of what is sent by `protocol`, and what the first of all headers names.
    pub(crate) fn headers(&self, protocol: u8) -> (u8, Vec<u8>) {
        let (mut first, mut chain) = (protocol, Vec::new());
        for (kind, header) in [(next::DESTINATION, &self.dst_options), (next::HOP_BY_HOP, &self.hop_options)]
        {
            if let Some((_, rest)) = header.split_first() {
                chain.splice(0..0, [&[first], rest].concat());
                first = kind;
            }
        }
        (first, chain)
    }

    /// Whether the filter lets an ICMPv6 message of this type through.
    pub(crate) fn wants_icmp(&self, ty: u8) -> bool {
        self.icmp_filter[usize::from(ty / 32)] & 1 << (ty % 32) == 0
    }
}

/// The bits of a label in a `sin6_flowinfo`; above them stands the class.
pub(crate) const FLOW_LABEL: u32 = 0xf_ffff;

/// Extension headers of one message (RFC 3542 §4.1), as [`SendMeta::headers`](super::SendMeta::headers) has
/// them, for a packet of `protocol`: what the first of all headers names, and they.
pub(crate) fn headers_of(told: &[u8], protocol: u8) -> Result<(u8, Vec<u8>), SockError> {
    let Some((&first, octets)) = told.split_first() else { return Ok((protocol, Vec::new())) };
    let mut chain = octets.to_vec();
    let (mut kind, mut at) = (first, 0);
    while at < chain.len() {
        match kind {
            next::HOP_BY_HOP if at == 0 => {}
            next::DESTINATION => {}
            _ => return Err(SockError::Invalid),
        }
        let len = ipv6_ext::len(&chain[at..]).map_err(|_| SockError::Invalid)?;
        checked(chain[at..at + len].to_vec())?;
        kind = chain[at];
        if at + len == chain.len() {
            chain[at] = protocol;
        }
        at += len;
    }
    Ok((if chain.is_empty() { protocol } else { first }, chain))
}

/// An options header as a program gives it: nothing, or as long as it says, and made of options.
fn checked(header: Vec<u8>) -> Result<Vec<u8>, SockError> {
    if header.is_empty() {
        return Ok(header);
    }
    let whole = ipv6_ext::len(&header).is_ok_and(|len| len == header.len());
    match whole && ipv6_ext::options(&header).all(|option| option.is_ok()) {
        true => Ok(header),
        false => Err(SockError::Invalid),
    }
}
