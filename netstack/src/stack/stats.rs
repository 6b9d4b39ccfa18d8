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
    /// IPv6 (RFC 4293's ipSystemStats).
    Ip6Stats, "ip6" {
        /// Packets that came in, loopback included.
        in_receives => "ip6InReceives",
        /// Of these, thrown away for what stands in their headers (the sum of such drops).
        in_hdr_errors => "ip6InHdrErrors",
        /// ... for an address that cannot be, or is nobody's here.
        in_addr_errors => "ip6InAddrErrors",
        /// ... because nobody here speaks their protocol.
        in_unknown_protos => "ip6InUnknownProtos",
        /// Packets handed to a protocol.
        in_delivers => "ip6InDelivers",
        /// Packets that were meant for somebody else and sent on.
        forw_datagrams => "ip6ForwDatagrams",
        /// Packets that transports here asked to send.
        out_requests => "ip6OutRequests",
        /// Packets, ours and others', that no route would take.
        out_no_routes => "ip6OutNoRoutes",
        /// Fragments that came in for reassembly.
        reasm_reqds => "ip6ReasmReqds",
        /// Packets put together.
        reasm_oks => "ip6ReasmOKs",
        /// Packets given up: time, overlap, limits.
        reasm_fails => "ip6ReasmFails",
        /// Packets that were fragmented here.
        frag_oks => "ip6FragOKs",
        /// Packets larger than the way takes.
        frag_fails => "ip6FragFails",
        /// Fragments made.
        frag_creates => "ip6FragCreates",
    }
}

counters! {
    /// ICMPv6 (RFC 4293's icmpStats, by the names of RFC 2466).
    Icmp6Stats, "icmp6" {
        /// Messages that came in, wrong ones included.
        in_msgs => "icmp6InMsgs",
        /// Messages with a wrong checksum or length.
        in_errors => "icmp6InErrors",
        /// Destination unreachable.
        in_dest_unreachs => "icmp6InDestUnreachs",
        /// Packet too big.
        in_pkt_too_bigs => "icmp6InPktTooBigs",
        /// Time exceeded.
        in_time_excds => "icmp6InTimeExcds",
        /// Parameter problem.
        in_parm_problems => "icmp6InParmProblems",
        /// Echo requests.
        in_echos => "icmp6InEchos",
        /// Echo replies.
        in_echo_replies => "icmp6InEchoReplies",
        /// Redirects.
        in_redirects => "icmp6InRedirects",
        /// Messages sent.
        out_msgs => "icmp6OutMsgs",
        /// Destination unreachable.
        out_dest_unreachs => "icmp6OutDestUnreachs",
        /// Packet too big.
        out_pkt_too_bigs => "icmp6OutPktTooBigs",
        /// Time exceeded.
        out_time_excds => "icmp6OutTimeExcds",
        /// Parameter problem.
        out_parm_problems => "icmp6OutParmProblems",
        /// Echo replies.
        out_echo_replies => "icmp6OutEchoReplies",
        /// Redirects.
        out_redirects => "icmp6OutRedirects",
        /// Errors not sent because of the rate limit.
        out_rate_limited => "icmp6OutRateLimited",
    }
}

counters! {
    /// Neighbour discovery.
    Nd6Stats, "nd6" {
        /// Neighbour solicitations that came in.
        in_solicits => "nd6InNeighborSolicits",
        /// Neighbour advertisements that came in.
        in_adverts => "nd6InNeighborAdvertisements",
        /// Neighbour solicitations sent, those of DAD included.
        out_solicits => "nd6OutNeighborSolicits",
        /// Neighbour advertisements sent.
        out_adverts => "nd6OutNeighborAdvertisements",
        /// Router solicitations that came in.
        in_router_solicits => "nd6InRouterSolicits",
        /// Router solicitations sent.
        out_router_solicits => "nd6OutRouterSolicits",
        /// Router advertisements that came in.
        in_router_adverts => "nd6InRouterAdvertisements",
        /// Router advertisements sent.
        out_router_adverts => "nd6OutRouterAdvertisements",
        /// Router advertisements that contradict ours (RFC 4861 §6.2.7).
        inconsistent_adverts => "nd6InconsistentAdvertisements",
        /// Addresses of ours that somebody else has.
        duplicates => "nd6Duplicates",
        /// Neighbours that did not answer.
        failures => "nd6Failures",
    }
}

counters! {
    /// IGMP (the host's part of RFC 5519, and BSD's `igmpstat`).
    IgmpStats, "igmp" {
        /// Messages that came in, wrong ones included.
        in_msgs => "igmpInMsgs",
        /// Messages with a wrong checksum or length.
        in_errors => "igmpInErrors",
        /// Queries of version 1.
        in_v1_queries => "igmpInV1Queries",
        /// Queries of version 2.
        in_v2_queries => "igmpInV2Queries",
        /// Queries of version 3.
        in_v3_queries => "igmpInV3Queries",
        /// Queries not believed: no router alert, or not sent where they should be (RFC 3376 §9.1).
        in_bad_queries => "igmpInBadQueries",
        /// Reports of other hosts, of versions 1 and 2.
        in_reports => "igmpInReports",
        /// Reports sent, of version 1.
        out_v1_reports => "igmpOutV1Reports",
        /// Reports sent, of version 2.
        out_v2_reports => "igmpOutV2Reports",
        /// Reports sent, of version 3.
        out_v3_reports => "igmpOutV3Reports",
        /// Leave messages sent.
        out_leaves => "igmpOutLeaves",
    }
}

counters! {
    /// MLD, as IGMP.
    MldStats, "mld" {
        /// Messages that came in, wrong ones included.
        in_msgs => "mldInMsgs",
        /// Messages of a wrong length or group.
        in_errors => "mldInErrors",
        /// Queries of version 1.
        in_v1_queries => "mldInV1Queries",
        /// Queries of version 2.
        in_v2_queries => "mldInV2Queries",
        /// Queries not believed: not by a neighbour (RFC 3810 §6.2).
        in_bad_queries => "mldInBadQueries",
        /// Reports of other hosts, of version 1.
        in_reports => "mldInReports",
        /// Reports sent, of version 1.
        out_v1_reports => "mldOutV1Reports",
        /// Reports sent, of version 2.
        out_v2_reports => "mldOutV2Reports",
        /// Done messages sent.
        out_dones => "mldOutDones",
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
    /// UDP-Lite, as UDP.
    UdpLiteStats, "udplite" {
        /// Datagrams delivered to a socket.
        in_datagrams => "udpliteInDatagrams",
        /// Datagrams to a port without a socket.
        no_ports => "udpliteNoPorts",
        /// Datagrams that could not be delivered for another reason; a coverage smaller than the socket wants is one.
        in_errors => "udpliteInErrors",
        /// Datagrams sent.
        out_datagrams => "udpliteOutDatagrams",
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
    /// To a group, by a source that nobody here wants of it.
    IpOtherSource => "ipOtherSource",
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
    /// Shorter than its IPv6 headers, or than they say.
    Ip6Truncated => "ip6Truncated",
    /// Not version 6.
    Ip6Malformed => "ip6Malformed",
    /// The interface does not speak IPv6.
    Ip6Disabled => "ip6Disabled",
    /// A source that no packet on a wire may have (RFC 4291).
    Ip6MartianSource => "ip6MartianSource",
    /// A destination that no packet on a wire may have.
    Ip6MartianDestination => "ip6MartianDestination",
    /// An option's length is wrong.
    Ip6OptionMalformed => "ip6OptionMalformed",
    /// An option that nobody knows, and that says what is to be done then (RFC 8200 §4.2).
    Ip6OptionUnknown => "ip6OptionUnknown",
    /// A routing header with somebody left to visit (RFC 5095).
    Ip6RoutingHeader => "ip6RoutingHeader",
    /// A unicast packet in a frame to a group.
    Ip6UnicastInMulticast => "ip6UnicastInMulticast",
    /// For an address of ours that DAD has not let us have yet.
    Ip6Tentative => "ip6Tentative",
    /// For somebody else, and we do not forward.
    Ip6NotForwarding => "ip6NotForwarding",
    /// Not to be forwarded: of one link, or from nobody.
    Ip6NotForwardable => "ip6NotForwardable",
    /// A group nobody here has joined.
    Ip6OtherGroup => "ip6OtherGroup",
    /// To a group, by a source that nobody here wants of it.
    Ip6OtherSource => "ip6OtherSource",
    /// The hop limit ran out.
    Ip6HopLimit => "ip6HopLimit",
    /// No route.
    Ip6NoRoute => "ip6NoRoute",
    /// A blackhole route.
    Ip6Blackhole => "ip6Blackhole",
    /// An unreachable or prohibit route.
    Ip6UnreachableRoute => "ip6UnreachableRoute",
    /// Larger than the next link's MTU.
    Ip6TooBig => "ip6TooBig",
    /// Nobody speaks the protocol.
    Ip6UnknownProtocol => "ip6UnknownProtocol",
    /// Nothing follows the headers.
    Ip6NoNextHeader => "ip6NoNextHeader",
    /// ICMPv6 message too short or its checksum wrong.
    Icmp6Malformed => "icmp6Malformed",
    /// An ICMPv6 error about a packet that we cannot have sent.
    Icmp6BadQuote => "icmp6BadQuote",
    /// An ICMPv6 message that we do not answer.
    Icmp6Ignored => "icmp6Ignored",
    /// A message of neighbour discovery that RFC 4861 tells us to ignore.
    Nd6Invalid => "nd6Invalid",
    /// No answer to ARP or neighbour discovery.
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
    /// IGMP message of a wrong length or checksum.
    IgmpMalformed => "igmpMalformed",
    /// An IGMP query that is not to be believed.
    IgmpBadQuery => "igmpBadQuery",
    /// MLD message of a wrong length or about no group.
    MldMalformed => "mldMalformed",
    /// An MLD query that is not to be believed.
    MldBadQuery => "mldBadQuery",
    /// UDP header or length wrong.
    UdpMalformed => "udpMalformed",
    /// UDP checksum wrong.
    UdpChecksum => "udpChecksum",
    /// UDP-Lite header or coverage wrong (RFC 3828 §3.1).
    UdpLiteMalformed => "udpliteMalformed",
    /// UDP-Lite checksum wrong, or none.
    UdpLiteChecksum => "udpliteChecksum",
    /// The checksum covers less than the socket wants (UDPLITE_RECV_CSCOV).
    UdpLiteCoverage => "udpliteCoverage",
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
    /// IGMP
    pub igmp: IgmpStats,
    /// ARP
    pub arp: ArpStats,
    /// IPv6
    pub ip6: Ip6Stats,
    /// ICMPv6
    pub icmp6: Icmp6Stats,
    /// MLD
    pub mld: MldStats,
    /// Neighbour discovery
    pub nd6: Nd6Stats,
    /// UDP
    pub udp: UdpStats,
    /// Those of them that are of IPv6.
    pub udp6: UdpStats,
    /// UDP-Lite
    pub udplite: UdpLiteStats,
    /// Those of them that are of IPv6.
    pub udplite6: UdpLiteStats,
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
            Drop::IpOtherSource,
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
        let ip6 = &mut self.ip6;
        ip6.in_hdr_errors = drops.sum(&[
            Drop::Ip6Truncated,
            Drop::Ip6Malformed,
            Drop::Ip6OptionMalformed,
            Drop::Ip6OptionUnknown,
            Drop::Ip6RoutingHeader,
            Drop::Ip6HopLimit,
        ]);
        ip6.in_addr_errors = drops.sum(&[
            Drop::Ip6MartianSource,
            Drop::Ip6MartianDestination,
            Drop::Ip6UnicastInMulticast,
            Drop::Ip6Tentative,
            Drop::Ip6NotForwarding,
            Drop::Ip6NotForwardable,
            Drop::Ip6OtherGroup,
            Drop::Ip6OtherSource,
        ]);
        ip6.in_unknown_protos = drops.get(Drop::Ip6UnknownProtocol);
        ip6.out_no_routes = drops.sum(&[Drop::Ip6NoRoute, Drop::Ip6Blackhole, Drop::Ip6UnreachableRoute]);
    }

    /// All counters as (group, name, value), in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        self.ip
            .iter()
            .chain(self.icmp.iter())
            .chain(self.igmp.iter())
            .chain(self.arp.iter())
            .chain(self.ip6.iter())
            .chain(self.icmp6.iter())
            .chain(self.mld.iter())
            .chain(self.nd6.iter())
            .chain(self.udp.iter())
            .chain(self.udplite.iter())
            .chain(self.tcp.iter())
            .chain(self.drops.iter())
    }
}
