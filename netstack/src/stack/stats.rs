//! What the stack counts. Names are those of RFC 1213, 4293 and 4022 where these have one; every
//! packet that is thrown away is counted under the reason.

use crate::tcp::TcpStats;

/// Declares a group of counters with the names under which they are shown.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident, $group:literal { $($(#[$doc:meta])* $field:ident => $label:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$doc])* pub $field: u64,)* }

        impl $name {
            /// The counters as (group, name, value), in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$(($group, $label, self.$field)),*].into_iter()
            }
        }
    };
}
pub(crate) use counters;

counters! {
    /// IPv4 (RFC 4293's ipSystemStats).
    IpStats, "ip" {
        /// Packets that came in, loopback included.
        in_receives => "ipInReceives",
        /// Of these, thrown away for what stands in their header (the sum of such drops).
        in_hdr_errors => "ipInHdrErrors",
        /// ... for an address that cannot be, or is nobody's here.
        in_addr_errors => "ipInAddrErrors",
        /// ... because nobody here speaks their protocol.
        in_unknown_protos => "ipInUnknownProtos",
        /// ... for lack of room or time, though nothing was wrong with them.
        in_discards => "ipInDiscards",
        /// Packets handed to a protocol.
        in_delivers => "ipInDelivers",
        /// Packets that were meant for somebody else and sent on.
        forw_datagrams => "ipForwDatagrams",
        /// Packets that transports here asked to send.
        out_requests => "ipOutRequests",
        /// Packets, ours and others', that no route would take.
        out_no_routes => "ipOutNoRoutes",
        /// Packets thrown away on the way out for lack of room.
        out_discards => "ipOutDiscards",
        /// Fragments that came in for reassembly.
        reasm_reqds => "ipReasmReqds",
        /// Datagrams put together.
        reasm_oks => "ipReasmOKs",
        /// Datagrams given up: time, overlap, limits.
        reasm_fails => "ipReasmFails",
        /// Datagrams that were fragmented.
        frag_oks => "ipFragOKs",
        /// Datagrams that should have been fragmented, but DF was set.
        frag_fails => "ipFragFails",
        /// Fragments made.
        frag_creates => "ipFragCreates",
    }
}

counters! {
    /// ICMP (RFC 1213's icmp group).
    IcmpStats, "icmp" {
        /// Messages that came in, wrong ones included.
        in_msgs => "icmpInMsgs",
        /// Messages with a wrong checksum or length.
        in_errors => "icmpInErrors",
        /// Destination unreachable.
        in_dest_unreachs => "icmpInDestUnreachs",
        /// Time exceeded.
        in_time_excds => "icmpInTimeExcds",
        /// Parameter problem.
        in_parm_probs => "icmpInParmProbs",
        /// Redirect.
        in_redirects => "icmpInRedirects",
        /// Echo requests.
        in_echos => "icmpInEchos",
        /// Echo replies.
        in_echo_reps => "icmpInEchoReps",
        /// Timestamp requests.
        in_timestamps => "icmpInTimestamps",
        /// Messages sent.
        out_msgs => "icmpOutMsgs",
        /// Destination unreachable.
        out_dest_unreachs => "icmpOutDestUnreachs",
        /// Time exceeded.
        out_time_excds => "icmpOutTimeExcds",
        /// Parameter problem.
        out_parm_probs => "icmpOutParmProbs",
        /// Redirect.
        out_redirects => "icmpOutRedirects",
        /// Echo replies.
        out_echo_reps => "icmpOutEchoReps",
        /// Timestamp replies.
        out_timestamp_reps => "icmpOutTimestampReps",
        /// Errors not sent because of the rate limit.
        out_rate_limited => "icmpOutRateLimited",
    }
}

counters! {
    /// UDP (RFC 4113).
    UdpStats, "udp" {
        /// Datagrams delivered to a socket.
        in_datagrams => "udpInDatagrams",
        /// Datagrams to a port without a socket.
        no_ports => "udpNoPorts",
        /// Datagrams that could not be delivered for another reason: length, checksum, full buffer.
        in_errors => "udpInErrors",
        /// Datagrams sent.
        out_datagrams => "udpOutDatagrams",
    }
}

counters! {
    /// ARP and neighbours.
    ArpStats, "arp" {
        /// Requests that came in.
        in_requests => "arpInRequests",
        /// Replies that came in.
        in_replies => "arpInReplies",
        /// Requests sent, probes and announcements included.
        out_requests => "arpOutRequests",
        /// Replies sent.
        out_replies => "arpOutReplies",
        /// Packets by somebody else with an address of ours (RFC 5227).
        conflicts => "arpConflicts",
        /// Neighbours that did not answer.
        failures => "arpFailures",
        /// Entries put out to make room.
        evictions => "arpEvictions",
    }
}

/// Declares the reasons for dropping a packet.
macro_rules! drops {
    ($($(#[$doc:meta])* $variant:ident => $label:literal,)*) => {
        /// Why a packet was thrown away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum Drop { $($(#[$doc])* $variant,)* }

        impl Drop {
            /// All reasons.
            pub const ALL: &'static [Drop] = &[$(Drop::$variant),*];

            /// The name under which the reason is shown.
            pub const fn name(self) -> &'static str {
                match self { $(Drop::$variant => $label),* }
            }
        }
    };
}

drops! {
    /// The interface is down, or has no carrier.
    IfDown => "ifDown",
    /// The interface was detached.
    IfGone => "ifGone",
    /// Shorter than an Ethernet header.
    EtherTruncated => "etherTruncated",
    /// The source address is a group's.
    EtherBadSource => "etherBadSource",
    /// For another station (a bus shows more than a switch would).
    EtherOtherHost => "etherOtherHost",
    /// For a group nobody here has joined.
    EtherOtherGroup => "etherOtherGroup",
    /// Nobody speaks this EtherType.
    EtherUnknownType => "etherUnknownType",
    /// The frame's offload metadata point outside the frame.
    OffloadInvalid => "offloadInvalid",
    /// The transmit queue is full.
    TxQueueFull => "txQueueFull",
    /// Not an ARP packet for IPv4 on Ethernet.
    ArpMalformed => "arpMalformed",
    /// ARP about addresses that are none.
    ArpMartian => "arpMartian",
    /// Shorter than its IP header, or than the header says.
    IpTruncated => "ipTruncated",
    /// Version or header length wrong.
    IpMalformed => "ipMalformed",
    /// Header checksum wrong.
    IpChecksum => "ipChecksum",
    /// A source that no packet on a wire may have (RFC 6890).
    IpMartianSource => "ipMartianSource",
    /// A destination that no packet on a wire may have.
    IpMartianDestination => "ipMartianDestination",
    /// An option's length or pointer is wrong.
    IpOptionMalformed => "ipOptionMalformed",
    /// Source routes are not followed (RFC 6274).
    IpSourceRoute => "ipSourceRoute",
    /// An IP unicast packet in a link broadcast (RFC 1122 §3.3.6).
    IpUnicastInBroadcast => "ipUnicastInBroadcast",
    /// For somebody else, and we do not forward.
    IpNotForwarding => "ipNotForwarding",
    /// Not to be forwarded: broadcast, link-local, loopback.
    IpNotForwardable => "ipNotForwardable",
    /// A group nobody here has joined.
    IpOtherGroup => "ipOtherGroup",
    /// Time to live ran out.
    IpTtlExceeded => "ipTtlExceeded",
    /// No route.
    IpNoRoute => "ipNoRoute",
    /// A blackhole route.
    IpBlackhole => "ipBlackhole",
    /// An unreachable or prohibit route.
    IpUnreachableRoute => "ipUnreachableRoute",
    /// Larger than the next link's MTU, with DF.
    IpFragNeeded => "ipFragNeeded",
    /// Nobody speaks the protocol.
    IpUnknownProtocol => "ipUnknownProtocol",
    /// A fragment that ends past 65535 octets, or whose length is no multiple of eight.
    ReassMalformed => "reassMalformed",
    /// Fragments overlapped (RFC 5722).
    ReassOverlap => "reassOverlap",
    /// Fragments of which some say that ECN is spoken, and some that it is not (RFC 3168 §5.3).
    ReassEcn => "reassEcn",
    /// The same fragment again.
    ReassDuplicate => "reassDuplicate",
    /// Fragments that waited too long.
    ReassTimeout => "reassTimeout",
    /// Fragments put out to make room.
    ReassLimit => "reassLimit",
    /// No answer to ARP.
    NeighUnreachable => "neighUnreachable",
    /// Too many packets wait for one neighbour, or for all.
    NeighQueueFull => "neighQueueFull",
    /// The neighbour table is full of entries in use.
    NeighTableFull => "neighTableFull",
    /// ICMP message too short or its checksum wrong.
    IcmpMalformed => "icmpMalformed",
    /// An ICMP error about a packet that we cannot have sent.
    IcmpBadQuote => "icmpBadQuote",
    /// Echo or timestamp to a broadcast address.
    IcmpBroadcastEcho => "icmpBroadcastEcho",
    /// An ICMP message that we do not answer.
    IcmpIgnored => "icmpIgnored",
    /// A redirect that RFC 1122 §3.2.2.2 tells us to ignore.
    IcmpBadRedirect => "icmpBadRedirect",
    /// UDP header or length wrong.
    UdpMalformed => "udpMalformed",
    /// UDP checksum wrong.
    UdpChecksum => "udpChecksum",
    /// Nobody at the UDP port.
    UdpNoPort => "udpNoPort",
    /// The socket's receive buffer is full.
    SocketBufferFull => "socketBufferFull",
    /// The filter of the socket did not want it.
    SocketFilter => "socketFilter",
    /// The socket was closed while its packet waited.
    SocketClosed => "socketClosed",
    /// Sent by a packet socket and not a frame.
    PacketInvalid => "packetInvalid",
}

/// Counted drops, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops([u64; Drop::ALL.len()]);

impl Default for Drops {
    fn default() -> Drops {
        Drops([0; Drop::ALL.len()])
    }
}

impl Drops {
    /// Counts one.
    pub(crate) fn count(&mut self, why: Drop) {
        self.0[why as usize] += 1;
    }

    /// Packets dropped for this reason.
    pub fn get(&self, why: Drop) -> u64 {
        self.0[why as usize]
    }

    /// Packets dropped for any of these reasons.
    pub fn sum(&self, reasons: &[Drop]) -> u64 {
        reasons.iter().map(|&why| self.get(why)).sum()
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The drops as (group, name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        Drop::ALL.iter().map(|&d| ("drop", d.name(), self.get(d)))
    }
}

/// Everything the stack counts, apart from the counters of each interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// IPv4
    pub ip: IpStats,
    /// ICMP
    pub icmp: IcmpStats,
    /// ARP
    pub arp: ArpStats,
    /// UDP
    pub udp: UdpStats,
    /// TCP
    pub tcp: TcpStats,
    /// Packets thrown away.
    pub drops: Drops,
}

impl Stats {
    /// Fills in what RFC 4293 counts in groups and we by reasons.
    pub(super) fn sum_up(&mut self) {
        let (ip, drops) = (&mut self.ip, &self.drops);
        ip.in_hdr_errors = drops.sum(&[
            Drop::IpTruncated,
            Drop::IpMalformed,
            Drop::IpChecksum,
            Drop::IpOptionMalformed,
            Drop::IpSourceRoute,
            Drop::IpTtlExceeded,
        ]);
        ip.in_addr_errors = drops.sum(&[
            Drop::IpMartianSource,
            Drop::IpMartianDestination,
            Drop::IpUnicastInBroadcast,
            Drop::IpNotForwarding,
            Drop::IpNotForwardable,
            Drop::IpOtherGroup,
        ]);
        ip.in_unknown_protos = drops.get(Drop::IpUnknownProtocol);
        ip.in_discards = drops.sum(&[Drop::ReassLimit, Drop::SocketBufferFull]);
        ip.out_no_routes = drops.sum(&[Drop::IpNoRoute, Drop::IpBlackhole, Drop::IpUnreachableRoute]);
        ip.out_discards = drops.sum(&[
            Drop::TxQueueFull,
            Drop::NeighQueueFull,
            Drop::NeighTableFull,
            Drop::NeighUnreachable,
        ]);
    }

    /// All counters as (group, name, value), in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.ip
            .iter()
            .chain(self.icmp.iter())
            .chain(self.arp.iter())
            .chain(self.udp.iter())
            .chain(self.tcp.iter())
            .chain(self.drops.iter())
    }
}
