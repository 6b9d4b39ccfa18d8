//! What must hold: a table for each kind of check.

use super::programs::Text;
use std::net::IpAddr;

use super::super::addr::{Addr, Dest, Mac};
use super::super::read::{Int, List, OneOrMany, Quantified, Sp, table, words};
use super::super::units::{Duration, Octets, Percent, Rate};

words! {
    /// Which of the two IPs.
    Family {
        /// IPv4.
        Ipv4 = "ipv4",
        /// IPv6.
        Ipv6 = "ipv6",
    }
}

impl Family {
    /// Whether the address is of it.
    pub fn has(self, addr: IpAddr) -> bool {
        match self {
            Self::Ipv4 => addr.is_ipv4(),
            Self::Ipv6 => addr.is_ipv6(),
        }
    }
}

words! {
    /// What a check must do.
    Outcome {
        /// Hold.
        Pass = "pass",
        /// Not hold.
        Fail = "fail",
    }
}

table! {
    /// Something that must hold: exactly one kind, and how it is judged.
    Check {
        /// What it says when it is reported.
        name: Option<Sp<String>>,
        /// Begin this long after the lab is ready.
        after: Option<Sp<Quantified<Duration>>>,
        /// Try again until it holds, at most this long.
        within: Option<Sp<Quantified<Duration>>>,
        /// It must hold all this time.
        r#for: Option<Sp<Quantified<Duration>>>,
        /// `fail`: it must not hold.
        expect: Option<Sp<Outcome>>,
        /// ICMP echo gets through.
        ping: Option<Sp<Ping>>,
        /// The path of a packet.
        trace: Option<Sp<Trace>>,
        /// A TCP connection carries octets.
        tcp: Option<Sp<Tcp>>,
        /// UDP datagrams get through.
        udp: Option<Sp<Udp>>,
        /// An HTTP request is answered.
        http: Option<Sp<Http>>,
        /// A node has a route.
        route: Option<Sp<RouteCheck>>,
        /// A node knows a neighbour.
        neigh: Option<Sp<Neigh>>,
        /// A counter of a node or a bus.
        counter: Option<Sp<Counter>>,
        /// Packets that nodes threw away.
        drops: Option<Sp<Drops>>,
        /// Frames on the wire.
        wire: Option<Sp<Wire>>,
        /// How fast data gets through.
        throughput: Option<Sp<Throughput>>,
        /// How long it takes until something holds.
        convergence: Option<Sp<Convergence>>,
        /// A host program on a node (live labs).
        cmd: Option<Sp<Cmd>>,
    }
}

table! {
    /// ICMP echo. Patterns stand for every pair of different nodes.
    Ping {
        /// The node that asks.
        from: Sp<OneOrMany<String>>,
        /// A node or an address.
        to: Sp<OneOrMany<String>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// Requests (default 1).
        count: Option<Sp<Int<1, 1_000_000>>>,
        /// Time between requests (default 1s).
        interval: Option<Sp<Quantified<Duration>>>,
        /// Octets of data (default 56).
        size: Option<Sp<Int<0, 65507>>>,
        /// Time to live of the requests (default that of the node, 64).
        ttl: Option<Sp<Int<1, 255>>>,
        /// Requests that may stay without an answer (default 0%).
        loss: Option<Sp<Quantified<Percent>>>,
        /// The median round trip is at most this.
        rtt: Option<Sp<Quantified<Duration>>>,
    }
}

table! {
    /// The path of a packet.
    Trace {
        /// The node that asks.
        from: Sp<OneOrMany<String>>,
        /// A node or an address.
        to: Sp<OneOrMany<String>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// The nodes or addresses on the way, in order, the target left out.
        via: Option<Sp<List<String>>>,
        /// Number of hops, the target included.
        hops: Option<Sp<Int<1, 255>>>,
    }
}

table! {
    /// A TCP connection. Without `port` the check itself listens on the target.
    Tcp {
        /// The node that connects.
        from: Sp<OneOrMany<String>>,
        /// A node or an address.
        to: Sp<OneOrMany<String>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// The port of a server that runs already.
        port: Option<Sp<Int<1, 65535>>>,
        /// Send so much, and see that it arrives whole (default 64kB; only without `port`).
        send: Option<Sp<Quantified<Octets>>>,
        /// At least so fast.
        rate: Option<Sp<Quantified<Rate>>>,
    }
}

table! {
    /// UDP datagrams. Without `port` the check itself listens on the target.
    Udp {
        /// The node that sends.
        from: Sp<OneOrMany<String>>,
        /// A node or an address.
        to: Sp<OneOrMany<String>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// The port of a server that runs already; one answer a datagram is wanted.
        port: Option<Sp<Int<1, 65535>>>,
        /// Datagrams (default 10).
        count: Option<Sp<Int<1, 1_000_000>>>,
        /// Octets of each (default 64).
        size: Option<Sp<Int<0, 65507>>>,
        /// Datagrams that may be lost (default 0%).
        loss: Option<Sp<Quantified<Percent>>>,
    }
}

table! {
    /// An HTTP request. With `to` and no `port` the check itself serves on the target.
    Http {
        /// The node that asks.
        from: Sp<OneOrMany<String>>,
        /// A node or an address; or write `url`.
        to: Option<Sp<OneOrMany<String>>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// The port of a server that runs already.
        port: Option<Sp<Int<1, 65535>>>,
        /// The path (default `/`).
        path: Option<Sp<String>>,
        /// The whole URL; its host is a node or an address.
        url: Option<Sp<String>>,
        /// The status (default 200).
        status: Option<Sp<Int<100, 599>>>,
        /// What the body must be.
        body: Option<Sp<Text>>,
    }
}

table! {
    /// A route of a node.
    RouteCheck {
        /// The node.
        node: Sp<OneOrMany<String>>,
        /// The destination.
        to: Sp<Dest>,
        /// With this next hop.
        via: Option<Sp<Addr>>,
        /// By this interface.
        dev: Option<Sp<String>>,
        /// With this metric.
        metric: Option<Sp<Int<0, { u32::MAX as u64 }>>>,
    }
}

words! {
    /// States of a neighbour (RFC 4861 §7.3.2).
    NeighState {
        /// Asked, not answered.
        Incomplete = "incomplete",
        /// Known and confirmed.
        Reachable = "reachable",
        /// Known, not confirmed of late.
        Stale = "stale",
        /// About to be asked again.
        Delay = "delay",
        /// Being asked again.
        Probe = "probe",
        /// Did not answer.
        Failed = "failed",
    }
}

table! {
    /// A neighbour of a node.
    Neigh {
        /// The node.
        node: Sp<OneOrMany<String>>,
        /// The neighbour: a node or an address.
        to: Sp<String>,
        /// Seen by this interface.
        dev: Option<Sp<String>>,
        /// With this MAC address.
        mac: Option<Sp<Mac>>,
        /// In this state.
        state: Option<Sp<NeighState>>,
    }
}

table! {
    /// A counter of a node (`show stats`) or of a bus (`bus show`).
    Counter {
        /// The node.
        node: Option<Sp<OneOrMany<String>>>,
        /// The bus.
        bus: Option<Sp<OneOrMany<String>>>,
        /// The counter's name: `tcp.retransmits`.
        name: Sp<String>,
        /// At least.
        min: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// At most.
        max: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// Exactly.
        equals: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
    }
}

table! {
    /// Packets that nodes threw away (`show stats`), all of them together. Without `count`, `min`, `max`: none.
    Drops {
        /// The nodes.
        node: Sp<OneOrMany<String>>,
        /// Why, by name or pattern: `ipTtlExceeded` (default `*`, whatever the reason).
        reason: Option<Sp<OneOrMany<String>>>,
        /// Exactly so many.
        count: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// At least so many.
        min: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// At most so many.
        max: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
    }
}

words! {
    /// By which protocol throughput is measured.
    Proto {
        /// As fast as TCP goes.
        Tcp = "tcp",
        /// Datagrams at a rate.
        Udp = "udp",
    }
}

table! {
    /// How fast data gets through, headers not counted.
    Throughput {
        /// The node that sends.
        from: Sp<OneOrMany<String>>,
        /// A node or an address.
        to: Sp<OneOrMany<String>>,
        /// `ipv4` or `ipv6`; left out, IPv6 where both ends have it.
        family: Option<Sp<Family>>,
        /// `tcp` (default) or `udp`.
        proto: Option<Sp<Proto>>,
        /// How long (default 2s).
        time: Option<Sp<Quantified<Duration>>>,
        /// How fast datagrams are sent (default 10mbit; only for `udp`).
        rate: Option<Sp<Quantified<Rate>>>,
        /// Octets of each datagram (default 1400; only for `udp`).
        size: Option<Sp<Int<16, 65507>>>,
        /// At least so fast.
        min: Option<Sp<Quantified<Rate>>>,
        /// At most so fast.
        max: Option<Sp<Quantified<Rate>>>,
    }
}

table! {
    /// How long it takes until something holds, from `after` on; with `for` it must go on holding. Exactly one kind.
    Convergence {
        /// At most so long.
        max: Sp<Quantified<Duration>>,
        /// At least so long.
        min: Option<Sp<Quantified<Duration>>>,
        /// ICMP echo gets through; asked a hundred times a second.
        ping: Option<Sp<Ping>>,
        /// The path of a packet.
        trace: Option<Sp<Trace>>,
        /// A TCP connection carries octets.
        tcp: Option<Sp<Tcp>>,
        /// An HTTP request is answered.
        http: Option<Sp<Http>>,
        /// A node has a route.
        route: Option<Sp<RouteCheck>>,
        /// A node knows a neighbour.
        neigh: Option<Sp<Neigh>>,
        /// A counter of a node or a bus.
        counter: Option<Sp<Counter>>,
        /// Frames on the wire.
        wire: Option<Sp<Wire>>,
    }
}

table! {
    /// Frames on the wires, all of them under one clock, since the lab came up. Without `count`, `min`, `max`: at least one.
    Wire {
        /// Buses, by name or pattern.
        bus: Sp<OneOrMany<String>>,
        /// Which frames (default all).
        filter: Option<Sp<String>>,
        /// `true`: there must be none; as `count = 0`.
        never: Option<Sp<bool>>,
        /// A filter that every one of these frames must match: `ip.ttl == 63`.
        each: Option<Sp<String>>,
        /// Filters of frames that must come in this order, with whatever between them.
        order: Option<Sp<List<String>>>,
        /// Exactly so many.
        count: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// At least so many.
        min: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// At most so many.
        max: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
    }
}

table! {
    /// A host program on a node.
    Cmd {
        /// The node.
        node: Sp<OneOrMany<String>>,
        /// Program and arguments.
        cmd: Sp<OneOrMany<String>>,
        /// Its exit status (default 0).
        exit: Option<Sp<Int<0, 255>>>,
        /// What it must write.
        stdout: Option<Sp<Text>>,
        /// What it must write to standard error.
        stderr: Option<Sp<Text>>,
    }
}
