//! What TCP counts: RFC 4022's names, and Linux's (`TcpExt`) where the RFC has none. The last ones
//! are the reasons for which segments are thrown away.

use crate::stack::stats::counters;

counters! {
    /// Counters of TCP.
    TcpStats, "tcp" {
        /// CLOSED to SYN-SENT.
        active_opens => "tcpActiveOpens",
        /// LISTEN to SYN-RECEIVED.
        passive_opens => "tcpPassiveOpens",
        /// SYN-SENT or SYN-RECEIVED to CLOSED, SYN-RECEIVED to LISTEN.
        attempt_fails => "tcpAttemptFails",
        /// ESTABLISHED or CLOSE-WAIT to CLOSED.
        estab_resets => "tcpEstabResets",
        /// Connections in ESTABLISHED or CLOSE-WAIT now.
        curr_estab => "tcpCurrEstab",
        /// Segments that came in, wrong ones included.
        in_segs => "tcpInSegs",
        /// Segments sent, retransmitted ones not included.
        out_segs => "tcpOutSegs",
        /// Segments sent again.
        retrans_segs => "tcpRetransSegs",
        /// Malformed segments, or with a wrong checksum.
        in_errs => "tcpInErrs",
        /// Of these, with a wrong checksum.
        in_csum_errs => "tcpInCsumErrors",
        /// RSTs sent.
        out_rsts => "tcpOutRsts",
        /// Segments to a port without a socket.
        no_ports => "tcpNoPorts",
        /// Retransmission timeouts.
        timeouts => "tcpTimeouts",
        /// Fast retransmissions (RFC 5681 §3.2).
        fast_retrans => "tcpFastRetrans",
        /// Tail loss probes sent (RFC 8985 §7).
        loss_probes => "tcpLossProbes",
        /// Losses that only such a probe has found.
        loss_probe_recoveries => "tcpLossProbeRecovery",
        /// Recoveries begun by selective acknowledgments (RFC 6675, RFC 8985).
        sack_recoveries => "tcpSackRecovery",
        /// Duplicates that the peer has reported (RFC 2883).
        dsacks => "tcpDSACKRecv",
        /// Recoveries that turned out to be needless (RFC 5682, RFC 3522, RFC 3708).
        spurious_recoveries => "tcpSpuriousRtx",
        /// Connections that agreed on ECN (the names are FreeBSD's).
        ecn_agreed => "tcpEcnShs",
        /// Segments of data that came with the mark of congestion (RFC 3168).
        ecn_ce => "tcpEcnCe",
        /// Cuts of the window because of such a mark.
        ecn_cuts => "tcpEcnRcwnd",
        /// Zero window probes sent.
        window_probes => "tcpWinProbe",
        /// Keepalive probes sent.
        keepalives => "tcpKeepAlive",
        /// Acknowledgments sent by the delay timer.
        delayed_acks => "tcpDelayedACKs",
        /// Segments handled by header prediction.
        predicted => "tcpHPHits",
        /// Segments whose data came early.
        out_of_order => "tcpOFOQueue",
        /// Connections ended by too many retransmissions, probes, or keepalives.
        abort_on_timeout => "tcpAbortOnTimeout",
        /// Connections reset because data came after close.
        abort_on_data => "tcpAbortOnData",
        /// Connections reset because a program closed them with data unread.
        abort_on_close => "tcpAbortOnClose",
        /// Connections reset because too many were held by no program.
        abort_on_memory => "tcpAbortOnMemory",
        /// Challenge ACKs sent (RFC 5961).
        challenge_acks => "tcpChallengeACK",
        /// Challenge ACKs not sent because of their rate limit.
        challenge_acks_limited => "tcpACKSkippedChallenge",
        /// Connections that came to TIME-WAIT.
        time_waits => "tcpTW",
        /// TIME-WAITs that did not last because there were too many.
        time_wait_overflows => "tcpTimeWaitOverflow",
        /// TIME-WAITs whose ends a connection of ours took over.
        time_waits_taken_over => "tcpTWReused",
        /// TIME-WAITs ended by a new SYN (RFC 6191).
        time_waits_recycled => "tcpTWRecycled",
        /// Dropped: sent to a group or to all.
        drop_cast => "tcpDropNotUnicast",
        /// Dropped: SYN while the accept queue was full.
        listen_overflows => "tcpListenOverflows",
        /// Dropped: SYN while too many connections were half open.
        syn_queue_full => "tcpReqQFullDrop",
        /// SYNs answered by a cookie while too many connections were half open.
        syn_queue_cookies => "tcpReqQFullDoCookies",
        /// SYN-ACKs whose sequence number is a cookie (RFC 4987 §3.6).
        syncookies_sent => "tcpSyncookiesSent",
        /// Connections made by a cookie that came back.
        syncookies_received => "tcpSyncookiesRecv",
        /// ACKs to a listener that sent cookies, which are none of them.
        syncookies_failed => "tcpSyncookiesFailed",
        /// Connections whose SYN took data along, which the peer has taken (RFC 7413).
        fast_open_active => "tcpFastOpenActive",
        /// ... which the peer has not taken.
        fast_open_active_fails => "tcpFastOpenActiveFail",
        /// SYNs that found a program at once.
        fast_open_passive => "tcpFastOpenPassive",
        /// SYNs with a cookie that is not good.
        fast_open_passive_fails => "tcpFastOpenPassiveFail",
        /// SYNs that asked for a cookie.
        fast_open_cookie_requests => "tcpFastOpenCookieReqd",
        /// SYNs that could not be served at once because others waited.
        fast_open_overflows => "tcpFastOpenListenOverflow",
        /// Segments larger than others that have passed (RFC 4821).
        mtu_probes_passed => "tcpMTUPSuccess",
        /// ... that were lost alone.
        mtu_probes_failed => "tcpMTUPFail",
        /// Segments made smaller because large ones timed out.
        mtu_black_holes => "tcpMTUBlackHole",
        /// Acknowledgments of a SYN-ACK that were not taken because data is waited for.
        defer_accept_drops => "tcpDeferAcceptDrop",
        /// Dropped: timestamp too old (RFC 7323 §5).
        paws => "tcpPAWSEstab",
        /// Dropped: outside of the window.
        outside_window => "tcpOutOfWindow",
        /// Dropped: acknowledges what was never sent or too long ago (RFC 5961 §5).
        bad_ack => "tcpAckUnacceptable",
        /// Dropped: neither ACK nor RST nor SYN where one is due.
        no_ack => "tcpNoAck",
        /// Dropped: too many holes in the data.
        reass_full => "tcpOFODrop",
        /// ICMP errors that no connection sent the cause of.
        icmp_ignored => "tcpLockDroppedIcmps",
    }
}
