//! Sizes and habits of a stack: run-time configuration, defaults as on Linux.

use crate::net::multicast::Version;
use crate::tcp::TcpConfig;
use crate::time::Duration;
use std::net::IpAddr;

/// How a stack behaves and how much it keeps.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Whether packets for others are forwarded: a router (RFC 1812) rather than a host (RFC 1122).
    pub forwarding: bool,
    /// Time to live of what is sent here. 64 (RFC 1340).
    pub ttl: u8,
    /// Frames an interface's transmit queue holds before it drops (Linux's `txqueuelen`, 1000).
    pub tx_queue: usize,
    /// Frames in the transmit queue at which bulk senders stop and wait to be pumped: enough for a
    /// burst of the driver, little enough to keep the queue's delay short.
    pub tx_mark: usize,
    /// Octets a socket's receive buffer holds at first (Linux's `rmem_default`).
    pub recv_buffer: usize,
    /// Octets a socket's send buffer holds at first (Linux's `wmem_default`).
    pub send_buffer: usize,
    /// Octets a program may ask for with SO_RCVBUF and SO_SNDBUF.
    pub max_buffer: usize,
    /// Whether routers send redirects (RFC 1812 §5.2.7.2).
    pub send_redirects: bool,
    /// Whether hosts believe redirects (RFC 1122 §3.2.2.2). A forwarding stack never does.
    pub accept_redirects: bool,
    /// How long a redirected route or a learned path MTU lasts (RFC 1191 §6.3: ten minutes).
    pub exception_lifetime: Duration,
    /// Time from the Unix epoch to [`Instant::ZERO`](crate::time::Instant::ZERO), for what tells the
    /// time of day (ICMP timestamps, the IP timestamp option). `None`: times are marked as nonstandard.
    pub unix_epoch: Option<Duration>,
    /// Destinations for which redirects and path MTUs are remembered.
    pub exceptions: usize,
    /// Neighbour discovery.
    pub neigh: NeighConfig,
    /// Reassembly.
    pub reass: ReassConfig,
    /// Groups of IPv4, IGMP.
    pub igmp: GroupConfig,
    /// Groups of IPv6, MLD.
    pub mld: GroupConfig,
    /// ICMP errors to one destination: one a second …
    pub icmp_error_interval: Duration,
    /// … after a burst of six (Linux's `icmp_ratelimit`).
    pub icmp_error_burst: u32,
    /// TCP.
    pub tcp: TcpConfig,
    /// Events that are kept until somebody polls them, apart from those of sockets.
    pub events: usize,
}

impl Default for StackConfig {
    fn default() -> StackConfig {
        StackConfig {
            forwarding: false,
            ttl: 64,
            tx_queue: 1000,
            tx_mark: 64,
            recv_buffer: 212_992,
            send_buffer: 212_992,
            max_buffer: 16 << 20,
            send_redirects: true,
            accept_redirects: true,
            exception_lifetime: Duration::from_secs(600),
            unix_epoch: None,
            exceptions: 1024,
            neigh: NeighConfig::default(),
            reass: ReassConfig::default(),
            igmp: GroupConfig::default(),
            mld: GroupConfig { memberships: 1024, sources: 64, ..GroupConfig::default() },
            icmp_error_interval: Duration::from_secs(1),
            icmp_error_burst: 6,
            tcp: TcpConfig::default(),
            events: 4096,
        }
    }
}

/// Constants of neighbour unreachability detection: RFC 4861 §10, with Linux's values for ARP.
#[derive(Clone, Debug)]
pub struct NeighConfig {
    /// Entries of the table; the least useful are put out for new ones.
    pub entries: usize,
    /// Packets that wait for one neighbour's answer.
    pub queue: usize,
    /// Packets that wait for all neighbours' answers.
    pub queue_total: usize,
    /// BaseReachableTime; each entry's own is 0.5 to 1.5 of it.
    pub reachable_time: Duration,
    /// RetransTimer
    pub retrans: Duration,
    /// DELAY_FIRST_PROBE_TIME
    pub delay_first_probe: Duration,
    /// MAX_MULTICAST_SOLICIT: requests to all before giving up.
    pub multicast_solicits: u8,
    /// MAX_UNICAST_SOLICIT: probes of a known address before giving up.
    pub unicast_solicits: u8,
    /// Whether an interface announces its addresses when it comes up (RFC 5227 §2.3). Off, as on Linux
    /// (`arp_notify`): a thousand nodes that start on one bus would tell a thousand others.
    pub announce: bool,
}

impl Default for NeighConfig {
    fn default() -> NeighConfig {
        NeighConfig {
            // A LAN of ten thousand, each of both families or not; some 2 MiB then, and what is not used costs nothing.
            entries: 16_384,
            queue: 64,
            queue_total: 4096,
            reachable_time: Duration::from_secs(30),
            retrans: Duration::from_secs(1),
            delay_first_probe: Duration::from_secs(5),
            multicast_solicits: 3,
            unicast_solicits: 3,
            announce: false,
        }
    }
}

/// Limits of reassembly.
#[derive(Clone, Debug)]
pub struct ReassConfig {
    /// How long an IPv4 datagram's fragments wait for the rest (Linux: 30 s, RFC 1122 §3.3.2: 60 to 120).
    pub timeout: Duration,
    /// The same of IPv6 (RFC 8200 §4.5: 60 s).
    pub timeout6: Duration,
    /// Datagrams under way.
    pub datagrams: usize,
    /// Octets of all fragments that wait (Linux's `ipfrag_high_thresh`).
    pub octets: usize,
}

impl ReassConfig {
    pub(crate) fn timeout(&self, src: IpAddr) -> Duration {
        match src {
            IpAddr::V4(_) => self.timeout,
            IpAddr::V6(_) => self.timeout6,
        }
    }
}

impl Default for ReassConfig {
    fn default() -> ReassConfig {
        ReassConfig {
            timeout: Duration::from_secs(30),
            timeout6: Duration::from_secs(60),
            datagrams: 1024,
            octets: 4 << 20,
        }
    }
}

/// Groups that sockets join, and how routers hear of them.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// Groups that a socket may be in (Linux's `igmp_max_memberships`, 20; of IPv6 its limit is memory).
    pub memberships: usize,
    /// Sources that a socket may name of one group (Linux's `igmp_max_msf`, 10, and `mld_max_msf`, 64).
    pub sources: usize,
    /// The robustness variable if no router tells its own (RFC 3376 §8.1): how often each thing is said.
    pub robustness: u8,
    /// The version to speak whatever is heard (Linux's `force_igmp_version`, `force_mld_version`).
    pub force: Option<Version>,
    /// IGMPv1, v2, MLDv1: the report of joining is repeated within this time (RFC 2236 §8.10).
    pub unsolicited_old: Duration,
    /// IGMPv3, MLDv2: the same of each change (RFC 3376 §8.11).
    pub unsolicited_new: Duration,
}

impl Default for GroupConfig {
    fn default() -> GroupConfig {
        GroupConfig {
            memberships: 20,
            sources: 10,
            robustness: 2,
            force: None,
            unsolicited_old: Duration::from_secs(10),
            unsolicited_new: Duration::from_secs(1),
        }
    }
}
