//! `/proc/net/snmp`, `snmp6` and `netstat`: counters, by Linux's names and in its order. What the stack does not
//! count is 0.

use crate::kernel::Kernel;
use netstack::stack::{Drop, Stats};
use netstack::tcp::TcpStats;
use std::fmt::Write;

/// A line of names and a line of values.
fn group(text: &mut String, group: &str, counters: &[(&str, i64)]) {
    let names: Vec<&str> = counters.iter().map(|(name, _)| *name).collect();
    let values: Vec<String> = counters.iter().map(|(_, value)| value.to_string()).collect();
    let _ = writeln!(text, "{group}: {}\n{group}: {}", names.join(" "), values.join(" "));
}

pub(super) fn snmp(kernel: &Kernel) -> String {
    let stack = kernel.stack.borrow();
    let Stats { ip, icmp, udp, udp6, udplite, udplite6, tcp, drops, .. } = stack.stats();
    let n = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut text = String::new();
    group(
        &mut text,
        "Ip",
        &[
            ("Forwarding", if stack.forwarding() { 1 } else { 2 }),
            ("DefaultTTL", stack.config().ttl.into()),
            ("InReceives", n(ip.in_receives)),
            ("InHdrErrors", n(ip.in_hdr_errors)),
            ("InAddrErrors", n(ip.in_addr_errors)),
            ("ForwDatagrams", n(ip.forw_datagrams)),
            ("InUnknownProtos", n(ip.in_unknown_protos)),
            ("InDiscards", n(ip.in_discards)),
            ("InDelivers", n(ip.in_delivers)),
            ("OutRequests", n(ip.out_requests)),
            ("OutDiscards", n(ip.out_discards)),
            ("OutNoRoutes", n(ip.out_no_routes)),
            ("ReasmTimeout", n(drops.get(Drop::ReassTimeout))),
            ("ReasmReqds", n(ip.reasm_reqds)),
            ("ReasmOKs", n(ip.reasm_oks)),
            ("ReasmFails", n(ip.reasm_fails)),
            ("FragOKs", n(ip.frag_oks)),
            ("FragFails", n(ip.frag_fails)),
            ("FragCreates", n(ip.frag_creates)),
            ("OutTransmits", n(ip.out_requests + ip.forw_datagrams)),
        ],
    );
    group(
        &mut text,
        "Icmp",
        &[
            ("InMsgs", n(icmp.in_msgs)),
            ("InErrors", n(icmp.in_errors)),
            ("InCsumErrors", n(drops.get(Drop::IcmpMalformed))),
            ("InDestUnreachs", n(icmp.in_dest_unreachs)),
            ("InTimeExcds", n(icmp.in_time_excds)),
            ("InParmProbs", n(icmp.in_parm_probs)),
            ("InSrcQuenchs", 0),
            ("InRedirects", n(icmp.in_redirects)),
            ("InEchos", n(icmp.in_echos)),
            ("InEchoReps", n(icmp.in_echo_reps)),
            ("InTimestamps", n(icmp.in_timestamps)),
            ("InTimestampReps", 0),
            ("InAddrMasks", 0),
            ("InAddrMaskReps", 0),
            ("OutMsgs", n(icmp.out_msgs)),
            ("OutErrors", 0),
            ("OutRateLimitGlobal", 0),
            ("OutRateLimitHost", n(icmp.out_rate_limited)),
            ("OutDestUnreachs", n(icmp.out_dest_unreachs)),
            ("OutTimeExcds", n(icmp.out_time_excds)),
            ("OutParmProbs", n(icmp.out_parm_probs)),
            ("OutSrcQuenchs", 0),
            ("OutRedirects", n(icmp.out_redirects)),
            ("OutEchos", 0),
            ("OutEchoReps", n(icmp.out_echo_reps)),
            ("OutTimestamps", 0),
            ("OutTimestampReps", n(icmp.out_timestamp_reps)),
            ("OutAddrMasks", 0),
            ("OutAddrMaskReps", 0),
        ],
    );
    // By type: those that came or left at all. Without any, Linux shows no such lines.
    let types = [
        ("InType0", icmp.in_echo_reps),
        ("InType3", icmp.in_dest_unreachs),
        ("InType5", icmp.in_redirects),
        ("InType8", icmp.in_echos),
        ("InType11", icmp.in_time_excds),
        ("InType12", icmp.in_parm_probs),
        ("InType13", icmp.in_timestamps),
        ("OutType0", icmp.out_echo_reps),
        ("OutType3", icmp.out_dest_unreachs),
        ("OutType5", icmp.out_redirects),
        ("OutType11", icmp.out_time_excds),
        ("OutType12", icmp.out_parm_probs),
        ("OutType14", icmp.out_timestamp_reps),
    ];
    let types: Vec<_> =
        types.into_iter().filter(|(_, count)| *count > 0).map(|(name, c)| (name, n(c))).collect();
    if !types.is_empty() {
        group(&mut text, "IcmpMsg", &types);
    }
    let config = stack.tcp_config();
    let ms = |time: netstack::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    group(
        &mut text,
        "Tcp",
        &[
            ("RtoAlgorithm", 1),
            ("RtoMin", ms(config.rto_min)),
            ("RtoMax", ms(config.rto_max)),
            ("MaxConn", -1),
            ("ActiveOpens", n(tcp.active_opens)),
            ("PassiveOpens", n(tcp.passive_opens)),
            ("AttemptFails", n(tcp.attempt_fails)),
            ("EstabResets", n(tcp.estab_resets)),
            ("CurrEstab", n(tcp.curr_estab)),
            ("InSegs", n(tcp.in_segs)),
            ("OutSegs", n(tcp.out_segs)),
            ("RetransSegs", n(tcp.retrans_segs)),
            ("InErrs", n(tcp.in_errs)),
            ("OutRsts", n(tcp.out_rsts)),
            ("InCsumErrors", n(tcp.in_csum_errs)),
        ],
    );
    let full = drops.get(Drop::SocketBufferFull);
    group(
        &mut text,
        "Udp",
        &[
            ("InDatagrams", n(udp.in_datagrams - udp6.in_datagrams)),
            ("NoPorts", n(udp.no_ports - udp6.no_ports)),
            ("InErrors", n(udp.in_errors - udp6.in_errors)),
            ("OutDatagrams", n(udp.out_datagrams - udp6.out_datagrams)),
            // Raw sockets count among them: the stack tells drops apart by their reason alone.
            ("RcvbufErrors", n(full.min(udp.in_errors - udp6.in_errors))),
            ("SndbufErrors", 0),
            ("InCsumErrors", n(drops.get(Drop::UdpChecksum))),
            ("IgnoredMulti", 0),
            ("MemErrors", 0),
        ],
    );
    group(
        &mut text,
        "UdpLite",
        &[
            ("InDatagrams", n(udplite.in_datagrams - udplite6.in_datagrams)),
            ("NoPorts", n(udplite.no_ports - udplite6.no_ports)),
            ("InErrors", n(udplite.in_errors - udplite6.in_errors)),
            ("OutDatagrams", n(udplite.out_datagrams - udplite6.out_datagrams)),
            ("RcvbufErrors", 0),
            ("SndbufErrors", 0),
            ("InCsumErrors", n(drops.get(Drop::UdpLiteChecksum))),
            ("IgnoredMulti", 0),
            ("MemErrors", 0),
        ],
    );
    text
}

pub(super) fn netstat(kernel: &Kernel) -> String {
    let tcp = kernel.stack.borrow().stats().tcp;
    let mut text = String::new();
    let value = |name| i64::try_from(tcp_ext(&tcp, name)).unwrap_or(i64::MAX);
    let counters: Vec<_> = TCP_EXT.split_whitespace().map(|name| (name, value(name))).collect();
    group(&mut text, "TcpExt", &counters);
    let counters: Vec<_> = IP_EXT.split_whitespace().map(|name| (name, 0)).collect();
    group(&mut text, "IpExt", &counters);
    text
}

/// What the stack counts under a name of Linux's.
fn tcp_ext(tcp: &TcpStats, name: &str) -> u64 {
    match name {
        "SyncookiesSent" => tcp.syncookies_sent,
        "SyncookiesRecv" => tcp.syncookies_received,
        "SyncookiesFailed" => tcp.syncookies_failed,
        "LockDroppedIcmps" => tcp.icmp_ignored,
        "TW" => tcp.time_waits,
        "TWRecycled" => tcp.time_waits_recycled,
        "PAWSEstab" => tcp.paws,
        "DelayedACKs" => tcp.delayed_acks,
        "ListenOverflows" => tcp.listen_overflows,
        "ListenDrops" => tcp.listen_overflows + tcp.syn_queue_full,
        "TCPHPHits" => tcp.predicted,
        "TCPSackRecovery" => tcp.sack_recoveries,
        "TCPFastRetrans" => tcp.fast_retrans,
        "TCPTimeouts" => tcp.timeouts,
        "TCPLossProbes" => tcp.loss_probes,
        "TCPLossProbeRecovery" => tcp.loss_probe_recoveries,
        "TCPDSACKRecv" => tcp.dsacks,
        "TCPAbortOnData" => tcp.abort_on_data,
        "TCPAbortOnClose" => tcp.abort_on_close,
        "TCPAbortOnMemory" => tcp.abort_on_memory,
        "TCPAbortOnTimeout" => tcp.abort_on_timeout,
        "TCPSpuriousRTOs" => tcp.spurious_recoveries,
        "TCPDeferAcceptDrop" => tcp.defer_accept_drops,
        "TCPTimeWaitOverflow" => tcp.time_wait_overflows,
        "TCPReqQFullDoCookies" => tcp.syn_queue_cookies,
        "TCPReqQFullDrop" => tcp.syn_queue_full,
        "TCPOFOQueue" => tcp.out_of_order,
        "TCPOFODrop" => tcp.reass_full,
        "TCPChallengeACK" => tcp.challenge_acks,
        "TCPFastOpenActive" => tcp.fast_open_active,
        "TCPFastOpenActiveFail" => tcp.fast_open_active_fails,
        "TCPFastOpenPassive" => tcp.fast_open_passive,
        "TCPFastOpenPassiveFail" => tcp.fast_open_passive_fails,
        "TCPFastOpenListenOverflow" => tcp.fast_open_overflows,
        "TCPFastOpenCookieReqd" => tcp.fast_open_cookie_requests,
        "TCPACKSkippedChallenge" => tcp.challenge_acks_limited,
        "TCPWinProbe" => tcp.window_probes,
        "TCPKeepAlive" => tcp.keepalives,
        "TCPMTUPFail" => tcp.mtu_probes_failed,
        "TCPMTUPSuccess" => tcp.mtu_probes_passed,
        "TCPDeliveredCE" => tcp.ecn_ce,
        _ => 0,
    }
}

/// The names of `TcpExt`, in order.
const TCP_EXT: &str = "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled RcvPruned OfoPruned \
    OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled TWKilled PAWSActive PAWSEstab BeyondWindow \
    TSEcrRejected PAWSOldAck PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows \
    ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery TCPSACKReneging \
    TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo TCPPartialUndo TCPDSACKUndo TCPLossUndo \
    TCPLostRetransmit TCPRenoFailures TCPSackFailures TCPLossFailures TCPFastRetrans TCPSlowStartRetrans \
    TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail TCPSackRecoveryFail TCPRcvCollapsed \
    TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData \
    TCPAbortOnClose TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures \
    TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld TCPDSACKIgnoredNoUndo TCPSpuriousRTOs \
    TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback \
    TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter TCPTimeWaitOverflow \
    TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge \
    TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenPassive \
    TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd TCPFastOpenBlackhole \
    TCPSpuriousRtxHostQueues BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv \
    TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent TCPHystartTrainDetect TCPHystartTrainCwnd \
    TCPHystartDelayDetect TCPHystartDelayCwnd TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq \
    TCPACKSkippedFinWait2 TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail \
    TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop \
    TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs \
    TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired TCPAOBad \
    TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps";

/// The names of `IpExt`, in order.
const IP_EXT: &str = "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts InOctets OutOctets \
    InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts \
    InCEPkts ReasmOverlaps";

/// `/proc/net/snmp6`: a name and a value a line.
pub(super) fn snmp6(kernel: &Kernel) -> String {
    let stats = kernel.stack.borrow().stats();
    let counted: Vec<(&str, u64)> =
        stats.ip6.iter().chain(stats.icmp6.iter()).map(|(_, name, n)| (name, n)).collect();
    let value = |name: &str| match name {
        "Ip6OutForwDatagrams" => stats.ip6.forw_datagrams,
        "Ip6OutTransmits" => stats.ip6.out_requests + stats.ip6.forw_datagrams,
        "Icmp6InNeighborSolicits" => stats.nd6.in_solicits,
        "Icmp6InNeighborAdvertisements" => stats.nd6.in_adverts,
        "Icmp6OutNeighborSolicits" => stats.nd6.out_solicits,
        "Icmp6OutNeighborAdvertisements" => stats.nd6.out_adverts,
        "Icmp6InRouterSolicits" => stats.nd6.in_router_solicits,
        "Icmp6InRouterAdvertisements" => stats.nd6.in_router_adverts,
        "Icmp6OutRouterSolicits" => stats.nd6.out_router_solicits,
        "Icmp6OutRouterAdvertisements" => stats.nd6.out_router_adverts,
        "Icmp6InGroupMembQueries" => stats.mld.in_v1_queries + stats.mld.in_v2_queries,
        "Icmp6OutGroupMembResponses" => stats.mld.out_v1_reports,
        "Icmp6OutGroupMembReductions" => stats.mld.out_dones,
        "Icmp6OutMLDv2Reports" => stats.mld.out_v2_reports,
        "Icmp6OutRateLimitHost" => stats.icmp6.out_rate_limited,
        "Icmp6InCsumErrors" => stats.drops.get(Drop::Icmp6Malformed),
        "Udp6InDatagrams" => stats.udp6.in_datagrams,
        "Udp6NoPorts" => stats.udp6.no_ports,
        "Udp6InErrors" => stats.udp6.in_errors,
        "Udp6OutDatagrams" => stats.udp6.out_datagrams,
        "UdpLite6InDatagrams" => stats.udplite6.in_datagrams,
        "UdpLite6NoPorts" => stats.udplite6.no_ports,
        "UdpLite6InErrors" => stats.udplite6.in_errors,
        "UdpLite6OutDatagrams" => stats.udplite6.out_datagrams,
        // The same names, but for their first letters.
        name => counted.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map_or(0, |(_, n)| *n),
    };
    SNMP6.split_whitespace().map(|name| format!("{name:<32}\t{}\n", value(name))).collect()
}

/// The names of IPv6, ICMPv6 and UDP over it, in order.
const SNMP6: &str = "Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors Ip6InUnknownProtos \
    Ip6InTruncatedPkts Ip6InDiscards Ip6InDelivers Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards \
    Ip6OutNoRoutes Ip6ReasmTimeout Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs Ip6FragFails \
    Ip6FragCreates Ip6InMcastPkts Ip6OutMcastPkts Ip6InOctets Ip6OutOctets Ip6InMcastOctets \
    Ip6OutMcastOctets Ip6InBcastOctets Ip6OutBcastOctets Ip6InNoECTPkts Ip6InECT1Pkts Ip6InECT0Pkts \
    Ip6InCEPkts Ip6OutTransmits Icmp6InMsgs Icmp6InErrors Icmp6OutMsgs Icmp6OutErrors Icmp6InCsumErrors \
    Icmp6OutRateLimitHost Icmp6InDestUnreachs Icmp6InPktTooBigs Icmp6InTimeExcds Icmp6InParmProblems \
    Icmp6InEchos Icmp6InEchoReplies Icmp6InGroupMembQueries Icmp6InGroupMembResponses \
    Icmp6InGroupMembReductions Icmp6InRouterSolicits Icmp6InRouterAdvertisements Icmp6InNeighborSolicits \
    Icmp6InNeighborAdvertisements Icmp6InRedirects Icmp6InMLDv2Reports Icmp6OutDestUnreachs \
    Icmp6OutPktTooBigs Icmp6OutTimeExcds Icmp6OutParmProblems Icmp6OutEchos Icmp6OutEchoReplies \
    Icmp6OutGroupMembQueries Icmp6OutGroupMembResponses Icmp6OutGroupMembReductions Icmp6OutRouterSolicits \
    Icmp6OutRouterAdvertisements Icmp6OutNeighborSolicits Icmp6OutNeighborAdvertisements Icmp6OutRedirects \
    Icmp6OutMLDv2Reports Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors \
    Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors UdpLite6InDatagrams UdpLite6NoPorts \
    UdpLite6InErrors UdpLite6OutDatagrams UdpLite6RcvbufErrors UdpLite6SndbufErrors UdpLite6InCsumErrors \
    UdpLite6MemErrors";
