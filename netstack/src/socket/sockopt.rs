//! Socket options as typed enums: SO_*, IP_* and packet sockets' options. One variant an option; the
//! numbers of the system calls are the kernel's affair.

use crate::net::IfIndex;
use crate::net::bpf::filter::Program;
use crate::net::multicast::SourceFilter;
use crate::socket::sockopt6::{Options6, SockOpt6, SockOpt6Name};
use crate::socket::{Membership, SockError};
use crate::tcp::{TcpOpt, TcpOptName};
use crate::time::Duration;
use crate::wire::{ipv4_options, udplite};
use std::net::IpAddr;

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SockOpt {
    /// SO_REUSEADDR
    ReuseAddr(bool),
    /// SO_REUSEPORT
    ReusePort(bool),
    /// SO_DONTROUTE: what is sent goes to neighbours only.
    DontRoute(bool),
    /// SO_BROADCAST
    Broadcast(bool),
    /// SO_KEEPALIVE
    KeepAlive(bool),
    /// SO_LINGER
    Linger(Option<Duration>),
    /// SO_OOBINLINE
    OobInline(bool),
    /// SO_RCVBUF, in octets: doubled when set, as on Linux.
    RecvBuffer(usize),
    /// SO_SNDBUF, in octets; likewise.
    SendBuffer(usize),
    /// SO_RCVLOWAT, in octets; datagrams are never divided.
    RecvLowat(usize),
    /// SO_PRIORITY: of the queues that a sender may have; ours has one.
    Priority(u32),
    /// SO_TIMESTAMP: whether the program wants to hear of it; the stack always tells.
    Timestamp(bool),
    /// SO_TIMESTAMPNS: the same, in nanoseconds; each takes the place of the other.
    TimestampNs(bool),
    /// SO_BINDTODEVICE
    BindToDevice(Option<IfIndex>),
    /// IP_TTL
    Ttl(u8),
    /// IP_TOS
    Tos(u8),
    /// IP_MTU_DISCOVER
    MtuDiscover(MtuDiscover),
    /// IP_MTU of a connected socket (read only), in octets.
    Mtu(u32),
    /// IP_PKTINFO: whether the program wants to hear of it; the stack always tells.
    PktInfo(bool),
    /// IP_RECVTTL, likewise.
    RecvTtl(bool),
    /// IP_RECVTOS, likewise.
    RecvTos(bool),
    /// IP_RETOPTS, likewise; the stack tells nothing of options.
    RetOpts(bool),
    /// IP_RECVERR: errors are queued with what caused them, soft ones and those of unconnected
    /// sockets included.
    RecvErr(bool),
    /// IP_HDRINCL
    HeaderIncluded(bool),
    /// IP_OPTIONS to send with, at most 40 octets.
    IpOptions(Vec<u8>),
    /// IP_MULTICAST_TTL
    MulticastTtl(u8),
    /// IP_MULTICAST_LOOP
    MulticastLoop(bool),
    /// IP_MULTICAST_IF
    MulticastIf(Option<IfIndex>),
    /// IP_MULTICAST_ALL: the socket gets what others here joined, too, where it has not joined itself.
    MulticastAll(bool),
    /// IP_ADD_MEMBERSHIP, MCAST_JOIN_GROUP
    Join(IpAddr, Option<IfIndex>),
    /// IP_DROP_MEMBERSHIP, MCAST_LEAVE_GROUP
    Leave(IpAddr, Option<IfIndex>),
    /// IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_SOURCE_GROUP
    AddSource(GroupSource),
    /// IP_DROP_SOURCE_MEMBERSHIP, MCAST_LEAVE_SOURCE_GROUP
    DropSource(GroupSource),
    /// IP_BLOCK_SOURCE, MCAST_BLOCK_SOURCE
    Block(GroupSource),
    /// IP_UNBLOCK_SOURCE, MCAST_UNBLOCK_SOURCE
    Unblock(GroupSource),
    /// IP_MSFILTER, MCAST_MSFILTER: the whole filter of a group that the socket is in.
    MsFilter(IpAddr, Option<IfIndex>, SourceFilter),
    /// ICMP_FILTER: a set bit keeps that ICMP type from a raw socket.
    IcmpFilter(u32),
    /// SO_ATTACH_FILTER: what the socket gets, and how much of it.
    AttachFilter(Program),
    /// SO_DETACH_FILTER
    DetachFilter,
    /// SO_GET_FILTER (read only)
    Filter(Option<Program>),
    /// SO_LOCK_FILTER: the filter stays as it is, and so does this.
    LockFilter(bool),
    /// PACKET_ADD_MEMBERSHIP
    PacketJoin(IfIndex, Membership),
    /// PACKET_DROP_MEMBERSHIP
    PacketLeave(IfIndex, Membership),
    /// PACKET_AUXDATA: whether the program wants to hear of it; the stack always tells.
    AuxData(bool),
    /// PACKET_IGNORE_OUTGOING: what leaves is not shown.
    IgnoreOutgoing(bool),
    /// UDPLITE_SEND_CSCOV: octets of each datagram, its header's 8 included, that its checksum covers; 0: all.
    SendCoverage(u16),
    /// UDPLITE_RECV_CSCOV: octets that the checksum of what comes in must cover; 0: all.
    RecvCoverage(u16),
    /// An option of IPv6.
    V6(SockOpt6),
    /// An option of TCP, or one that TCP acts on.
    Tcp(TcpOpt),
}

/// A source of a group on an interface (`struct ip_mreq_source`, `group_source_req`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSource {
    /// The group.
    pub group: IpAddr,
    /// One that sends to it.
    pub source: IpAddr,
    /// The interface; `None`: that of the way to the group.
    pub ifindex: Option<IfIndex>,
}

/// An option's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of the variant of SockOpt")]
pub enum SockOptName {
    ReuseAddr,
    ReusePort,
    DontRoute,
    Broadcast,
    KeepAlive,
    Linger,
    OobInline,
    RecvBuffer,
    SendBuffer,
    RecvLowat,
    Priority,
    Timestamp,
    TimestampNs,
    BindToDevice,
    Ttl,
    Tos,
    MtuDiscover,
    Mtu,
    PktInfo,
    RecvTtl,
    RecvTos,
    RetOpts,
    RecvErr,
    HeaderIncluded,
    IpOptions,
    MulticastTtl,
    MulticastLoop,
    MulticastIf,
    MulticastAll,
    MsFilter(IpAddr, Option<IfIndex>),
    IcmpFilter,
    Filter,
    LockFilter,
    AuxData,
    IgnoreOutgoing,
    SendCoverage,
    RecvCoverage,
    V6(SockOpt6Name),
    Tcp(TcpOptName),
}

/// IP_MTU_DISCOVER: what is done with packets larger than the path's MTU, and whether DF is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MtuDiscover {
    /// IP_PMTUDISC_DONT: DF clear, fragmented here and on the way.
    Dont,
    /// IP_PMTUDISC_WANT: DF set on what fits the path, the rest is fragmented here.
    #[default]
    Want,
    /// IP_PMTUDISC_DO: DF set; what does not fit is refused.
    Do,
    /// IP_PMTUDISC_PROBE: DF set, and only the interface's MTU counts.
    Probe,
    /// IP_PMTUDISC_INTERFACE: DF clear, and only the interface's MTU counts: what exceeds it is refused.
    Interface,
    /// IP_PMTUDISC_OMIT: the same, but what exceeds it is fragmented here.
    Omit,
}

/// The values of a socket that is not a stream.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) reuse_addr: bool,
    pub(crate) reuse_port: bool,
    pub(crate) dont_route: bool,
    pub(crate) broadcast: bool,
    pub(crate) keep_alive: bool,
    pub(crate) linger: Option<Duration>,
    pub(crate) oob_inline: bool,
    pub(crate) recv_buffer: usize,
    pub(crate) send_buffer: usize,
    pub(crate) recv_lowat: usize,
    pub(crate) priority: u32,
    /// SO_TIMESTAMP, SO_TIMESTAMPNS
    pub(crate) timestamp: [bool; 2],
    pub(crate) device: Option<IfIndex>,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) mtu_discover: MtuDiscover,
    pub(crate) pkt_info: bool,
    pub(crate) recv_ttl: bool,
    pub(crate) recv_tos: bool,
    pub(crate) ret_opts: bool,
    pub(crate) recv_err: bool,
    pub(crate) header_included: bool,
    pub(crate) ip_options: Vec<u8>,
    pub(crate) multicast_ttl: u8,
    pub(crate) multicast_loop: bool,
    pub(crate) multicast_if: Option<IfIndex>,
    pub(crate) multicast_all: bool,
    pub(crate) icmp_filter: u32,
    pub(crate) filter: Option<Program>,
    pub(crate) filter_locked: bool,
    pub(crate) aux_data: bool,
    pub(crate) ignore_outgoing: bool,
    pub(crate) send_coverage: Option<u16>,
    pub(crate) recv_coverage: Option<u16>,
    pub(crate) v6: Options6,
}

/// Octets of the smallest buffer (Linux's SOCK_MIN_RCVBUF, roughly).
const MIN_BUFFER: usize = 2304;

impl Options {
    /// The defaults of a new socket.
    pub(crate) fn new(ttl: u8, recv_buffer: usize, send_buffer: usize) -> Options {
        Options {
            reuse_addr: false,
            reuse_port: false,
            dont_route: false,
            broadcast: false,
            keep_alive: false,
            linger: None,
            oob_inline: false,
            recv_buffer,
            send_buffer,
            recv_lowat: 1,
            priority: 0,
            timestamp: [false; 2],
            device: None,
            ttl,
            tos: 0,
            mtu_discover: MtuDiscover::default(),
            pkt_info: false,
            recv_ttl: false,
            recv_tos: false,
            ret_opts: false,
            recv_err: false,
            header_included: false,
            ip_options: Vec::new(),
            // RFC 1112 §6.1
            multicast_ttl: 1,
            multicast_loop: true,
            multicast_if: None,
            multicast_all: true,
            icmp_filter: 0,
            filter: None,
            filter_locked: false,
            aux_data: false,
            ignore_outgoing: false,
            send_coverage: None,
            recv_coverage: None,
            v6: Options6::default(),
        }
    }

    /// Hops of what is sent to `dst`.
    pub(crate) fn hops(&self, dst: IpAddr) -> u8 {
        match (dst, dst.is_multicast()) {
            (IpAddr::V4(_), true) => self.multicast_ttl,
            (IpAddr::V4(_), false) => self.ttl,
            (IpAddr::V6(_), true) => self.v6.multicast_hops.unwrap_or(1),
            (IpAddr::V6(_), false) => self.v6.unicast_hops.unwrap_or(self.ttl),
        }
    }

    /// Type of service, or traffic class, of what is sent to `dst`.
    pub(crate) fn traffic_class(&self, dst: IpAddr) -> u8 {
        if dst.is_ipv4() { self.tos } else { self.v6.traffic_class }
    }

    /// What is done about packets to `dst` that are larger than its path takes.
    pub(crate) fn mtu_discover(&self, dst: IpAddr) -> MtuDiscover {
        match dst {
            IpAddr::V4(_) => self.mtu_discover,
            // As Linux: refused like with IPV6_PMTUDISC_DO.
            IpAddr::V6(_) if self.v6.dont_frag => MtuDiscover::Do,
            IpAddr::V6(_) => self.v6.mtu_discover,
        }
    }

    /// Whether errors about packets to `dst` are queued.
    pub(crate) fn recv_err(&self, dst: IpAddr) -> bool {
        if dst.is_ipv4() { self.recv_err } else { self.v6.recv_err }
    }

    /// The interface for groups of the family of `dst`.
    pub(crate) fn multicast_if(&self, dst: IpAddr) -> Option<IfIndex> {
        if dst.is_ipv4() { self.multicast_if } else { self.v6.multicast_if }
    }

    /// Whether we ourselves get what is sent to the group `dst`.
    pub(crate) fn multicast_loop(&self, dst: IpAddr) -> bool {
        if dst.is_ipv4() { self.multicast_loop } else { self.v6.multicast_loop }
    }

    /// Sets an option that is a mere value; `max_buffer` limits the buffers, in octets.
    pub(crate) fn set(&mut self, opt: SockOpt, max_buffer: usize) -> Result<(), SockError> {
        match opt {
            SockOpt::ReuseAddr(v) => self.reuse_addr = v,
            SockOpt::ReusePort(v) => self.reuse_port = v,
            SockOpt::DontRoute(v) => self.dont_route = v,
            SockOpt::Broadcast(v) => self.broadcast = v,
            SockOpt::KeepAlive(v) => self.keep_alive = v,
            SockOpt::Linger(v) => self.linger = v,
            SockOpt::OobInline(v) => self.oob_inline = v,
            SockOpt::RecvBuffer(v) => self.recv_buffer = (v.min(max_buffer) * 2).max(MIN_BUFFER),
            SockOpt::SendBuffer(v) => self.send_buffer = (v.min(max_buffer) * 2).max(MIN_BUFFER * 2),
            SockOpt::RecvLowat(v) => self.recv_lowat = v.max(1),
            SockOpt::Priority(v) => self.priority = v,
            SockOpt::Timestamp(v) => self.timestamp = [v, false],
            SockOpt::TimestampNs(v) => self.timestamp = [false, v],
            SockOpt::BindToDevice(v) => self.device = v,
            SockOpt::Ttl(0) => return Err(SockError::Invalid),
            SockOpt::Ttl(v) => self.ttl = v,
            SockOpt::Tos(v) => self.tos = v,
            SockOpt::MtuDiscover(v) => self.mtu_discover = v,
            SockOpt::PktInfo(v) => self.pkt_info = v,
            SockOpt::RecvTtl(v) => self.recv_ttl = v,
            SockOpt::RecvTos(v) => self.recv_tos = v,
            SockOpt::RetOpts(v) => self.ret_opts = v,
            SockOpt::RecvErr(v) => self.recv_err = v,
            SockOpt::HeaderIncluded(v) => self.header_included = v,
            SockOpt::IpOptions(mut v)
                if v.len() <= ipv4_options::MAX_LEN && ipv4_options::check(&v).is_ok() =>
            {
                v.resize(v.len().next_multiple_of(4), 0);
                self.ip_options = v;
            }
            SockOpt::IpOptions(_) => return Err(SockError::Invalid),
            SockOpt::MulticastTtl(v) => self.multicast_ttl = v,
            SockOpt::MulticastLoop(v) => self.multicast_loop = v,
            SockOpt::MulticastIf(v) => self.multicast_if = v,
            SockOpt::MulticastAll(v) => self.multicast_all = v,
            SockOpt::IcmpFilter(v) => self.icmp_filter = v,
            SockOpt::AttachFilter(_) | SockOpt::DetachFilter | SockOpt::LockFilter(false)
                if self.filter_locked =>
            {
                return Err(SockError::NotPermitted);
            }
            SockOpt::AttachFilter(v) => self.filter = Some(v),
            SockOpt::DetachFilter => drop(self.filter.take().ok_or(SockError::NoFilter)?),
            SockOpt::LockFilter(v) => self.filter_locked = v,
            SockOpt::AuxData(v) => self.aux_data = v,
            SockOpt::IgnoreOutgoing(v) => self.ignore_outgoing = v,
            SockOpt::SendCoverage(v) => self.send_coverage = Some(udplite::allowed(v)),
            SockOpt::RecvCoverage(v) => self.recv_coverage = Some(udplite::allowed(v)),
            SockOpt::V6(v) => self.v6.set(v)?,
            SockOpt::Mtu(_)
            | SockOpt::Filter(_)
            | SockOpt::Join(..)
            | SockOpt::Leave(..)
            | SockOpt::AddSource(_)
            | SockOpt::DropSource(_)
            | SockOpt::Block(_)
            | SockOpt::Unblock(_)
            | SockOpt::MsFilter(..)
            | SockOpt::PacketJoin(..)
            | SockOpt::PacketLeave(..)
            | SockOpt::Tcp(_) => return Err(SockError::NoProtoOpt),
        }
        Ok(())
    }

    /// The value of an option; `mtu` is that of the connected path, if there is one.
    pub(crate) fn get(&self, name: SockOptName, mtu: Option<u32>) -> Result<SockOpt, SockError> {
        Ok(match name {
            SockOptName::ReuseAddr => SockOpt::ReuseAddr(self.reuse_addr),
            SockOptName::ReusePort => SockOpt::ReusePort(self.reuse_port),
            SockOptName::DontRoute => SockOpt::DontRoute(self.dont_route),
            SockOptName::Broadcast => SockOpt::Broadcast(self.broadcast),
            SockOptName::KeepAlive => SockOpt::KeepAlive(self.keep_alive),
            SockOptName::Linger => SockOpt::Linger(self.linger),
            SockOptName::OobInline => SockOpt::OobInline(self.oob_inline),
            SockOptName::RecvBuffer => SockOpt::RecvBuffer(self.recv_buffer),
            SockOptName::SendBuffer => SockOpt::SendBuffer(self.send_buffer),
            SockOptName::RecvLowat => SockOpt::RecvLowat(self.recv_lowat),
            SockOptName::Priority => SockOpt::Priority(self.priority),
            SockOptName::Timestamp => SockOpt::Timestamp(self.timestamp[0]),
            SockOptName::TimestampNs => SockOpt::TimestampNs(self.timestamp[1]),
            SockOptName::BindToDevice => SockOpt::BindToDevice(self.device),
            SockOptName::Ttl => SockOpt::Ttl(self.ttl),
            SockOptName::Tos => SockOpt::Tos(self.tos),
            SockOptName::MtuDiscover => SockOpt::MtuDiscover(self.mtu_discover),
            SockOptName::Mtu => SockOpt::Mtu(mtu.ok_or(SockError::NotConnected)?),
            SockOptName::PktInfo => SockOpt::PktInfo(self.pkt_info),
            SockOptName::RecvTtl => SockOpt::RecvTtl(self.recv_ttl),
            SockOptName::RecvTos => SockOpt::RecvTos(self.recv_tos),
            SockOptName::RetOpts => SockOpt::RetOpts(self.ret_opts),
            SockOptName::RecvErr => SockOpt::RecvErr(self.recv_err),
            SockOptName::HeaderIncluded => SockOpt::HeaderIncluded(self.header_included),
            SockOptName::IpOptions => SockOpt::IpOptions(self.ip_options.clone()),
            SockOptName::MulticastTtl => SockOpt::MulticastTtl(self.multicast_ttl),
            SockOptName::MulticastLoop => SockOpt::MulticastLoop(self.multicast_loop),
            SockOptName::MulticastIf => SockOpt::MulticastIf(self.multicast_if),
            SockOptName::MulticastAll => SockOpt::MulticastAll(self.multicast_all),
            SockOptName::IcmpFilter => SockOpt::IcmpFilter(self.icmp_filter),
            SockOptName::Filter => SockOpt::Filter(self.filter.clone()),
            SockOptName::LockFilter => SockOpt::LockFilter(self.filter_locked),
            SockOptName::AuxData => SockOpt::AuxData(self.aux_data),
            SockOptName::IgnoreOutgoing => SockOpt::IgnoreOutgoing(self.ignore_outgoing),
            SockOptName::SendCoverage => SockOpt::SendCoverage(self.send_coverage.unwrap_or(0)),
            SockOptName::RecvCoverage => SockOpt::RecvCoverage(self.recv_coverage.unwrap_or(0)),
            SockOptName::V6(name) => SockOpt::V6(self.v6.get(name, mtu)?),
            SockOptName::MsFilter(..) | SockOptName::Tcp(_) => return Err(SockError::NoProtoOpt),
        })
    }
}
