//! What was typed: the tables of a topology file, with spans. What they mean is [`super::model`].
//!
//! The doc comments here are the descriptions in the JSON Schema (`labctl schema`) too.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::addr::{Addr, Cidr, Dest, Mac, Net};
use super::impair::ImpairSpec;
use super::ipv6::{Dad, IfAddr, Privacy};
use super::ra::RawRa;
use super::read::{Cx, Int, List, Map, OneOrMany, Quantified, Read, Sp, Value, table, words};
use super::repeat::{Copied, Count, Named, Repeated};
use super::tcp::Settings;
use super::units::{Duration, Octets, Percent, Rate};

table! {
    /// A lab: nodes, the buses between them, what runs, what happens and what must hold.
    File {
        /// The lab's name; left out, the file's (`hello.lab.toml` is `hello`) or its folder's.
        name: Option<Sp<String>>,
        /// What this lab is for; shown, not used.
        description: Option<Sp<String>>,
        /// Live or virtual time.
        time: Option<Sp<Time>>,
        /// What `test` keeps of the buses.
        capture: Option<Sp<Capture>>,
        /// `"none"`: nothing is derived for any node that does not say otherwise.
        routing: Option<Sp<Routing>>,
        /// The nodes, by name.
        node: Option<Repeated<Node>>,
        /// The buses (LANs and links), by name.
        bus: Option<Repeated<Bus>>,
        /// Host programs that run on nodes of a live lab, by name.
        program: Option<Map<Program>>,
        /// What happens while the lab runs.
        event: Option<List<Event>>,
        /// What may happen, for who looks for bad luck (`test --virtual --explore N`).
        fault: Option<List<Fault>>,
        /// What must hold.
        check: Option<List<Check>>,
    }
}

words! {
    /// How time passes.
    Mode {
        /// Processes and the clock of the host.
        Live = "live",
        /// All nodes in one process, time as fast as it goes, repeatable from a seed.
        Virtual = "virtual",
    }
}

table! {
    /// How time passes in the lab.
    Time {
        /// `live` (default) or `virtual`.
        mode: Option<Sp<Mode>>,
        /// What randomness begins with (default 0).
        seed: Option<Sp<Int<0, { i64::MAX as u64 }>>>,
        /// When a test ends at the latest.
        stop: Option<Sp<Quantified<Duration>>>,
    }
}

words! {
    /// When captures are kept.
    Keep {
        /// After every test.
        Always = "always",
        /// After a test that failed.
        OnFailure = "on-failure",
        /// Never.
        Never = "never",
    }
}

table! {
    /// What `test` keeps of the buses.
    Capture {
        /// Bus names or patterns (default `*`).
        buses: Option<Sp<OneOrMany<String>>>,
        /// `always`, `on-failure` (default) or `never`.
        keep: Option<Sp<Keep>>,
    }
}

words! {
    /// How routes come to be.
    Routing {
        /// Shortest paths to every subnet and loopback address, equal ones side by side.
        Shortest = "shortest",
        /// Nothing but what is written.
        None = "none",
    }
}

words! {
    /// Whose TCP a node has: a table of values, the code is the same.
    TcpProfile {
        /// Linux, with Debian's defaults.
        Linux = "linux",
        /// FreeBSD 14, with its sysctl defaults.
        FreeBsd = "freebsd",
        /// The text of RFC 9293, 5681, 6298, 6582 and 7323.
        Rfc = "rfc",
    }
}

table! {
    /// A node: one process with its own TCP/IP stack.
    Node {
        /// Make copies: `4` gives NAME1 … NAME4, `[4, 8]` gives NAME1-1 … NAME4-8.
        count: Option<Sp<Count>>,
        /// Forward packets: a router.
        forward: Option<Sp<bool>>,
        /// `"none"`: no routes but those written here.
        routing: Option<Sp<Routing>>,
        /// Time to live of the packets it sends (Linux: `net.ipv4.ip_default_ttl`); left out, 64.
        ttl: Option<Sp<Int<1, 255>>>,
        /// Whose TCP it has (default `linux`).
        tcp: Option<Sp<TcpProfile>>,
        /// TCP's values where they differ from the profile's, by their names on Linux or FreeBSD (`labctl sysctl NODE`
        /// lists them).
        sysctl: Option<Sp<Settings>>,
        /// Further addresses of the loopback interface.
        loopback: Option<Sp<OneOrMany<Cidr>>>,
        /// Interfaces, by name. Those that a bus's `nodes` give need not be written.
        r#if: Option<Sp<Map<Interface>>>,
        /// Routes. They win over derived ones to the same destination.
        routes: Option<Sp<List<Route>>>,
        /// Files the node shows: path on the node = path on the host, relative to this file.
        files: Option<Sp<Map<Sp<String>>>>,
    }
}

table! {
    /// An interface: a node's port on a bus.
    Interface {
        /// The bus.
        bus: Sp<String>,
        /// Addresses; left out, the next free ones of the bus's subnets; `[]` for none. `slaac` stands for those by the
        /// prefixes that routers advertise; alone, it takes the place of the IPv6 subnets' only.
        ip: Option<Sp<OneOrMany<IfAddr>>>,
        /// The same by another name; both may be written.
        address: Option<Sp<OneOrMany<IfAddr>>>,
        /// What becomes of its IPv6 addresses before they are used: `off`, `on` or `optimistic` (default).
        dad: Option<Sp<Dad>>,
        /// How it makes IPv6 addresses: `eui64`, `stable` (default) or `temporary`.
        privacy: Option<Sp<Privacy>>,
        /// Advertise prefixes and a default route to the bus's hosts; `{}` is enough. Of routers.
        ra: Option<Sp<RawRa>>,
        /// The MAC address; left out, derived from the names.
        mac: Option<Sp<Mac>>,
        /// Largest packet in octets; left out, the bus's.
        mtu: Option<Sp<Int<68, 65535>>>,
        /// Default gateways. Of several on a node the first is preferred.
        gateway: Option<Sp<OneOrMany<Addr>>>,
        /// What happens to frames that leave by this port; instead of the bus's.
        impair: Option<Sp<ImpairSpec>>,
    }
}

table! {
    /// A route.
    Route {
        /// `default`, a prefix or an address.
        to: Sp<Dest>,
        /// The next hop; several are used side by side.
        via: Option<Sp<OneOrMany<Addr>>>,
        /// The interface; left out, that of the next hop's subnet.
        dev: Option<Sp<String>>,
        /// Of routes to one destination that with the lowest is used (default 0).
        metric: Option<Sp<Int<0, { u32::MAX as u64 }>>>,
    }
}

table! {
    /// A bus: an Ethernet in a file. Two nodes make it a link, more a LAN.
    Bus {
        /// Make copies: `4` gives NAME1 … NAME4, `[4, 8]` gives NAME1-1 … NAME4-8.
        count: Option<Sp<Count>>,
        /// Make a copy for each node that matches, or for each combination of several; these nodes are on it.
        each: Option<Sp<OneOrMany<String>>>,
        /// Nodes on the bus, by name or pattern, numbered in this order.
        nodes: Option<Sp<List<String>>>,
        /// Its subnet.
        subnet: Option<Sp<Net>>,
        /// Its IPv6 subnet, if it has both.
        subnet6: Option<Sp<Net>>,
        /// Take the next free subnet of this prefix. Buses with the same pool share it.
        pool: Option<Sp<Net>>,
        /// Length of the prefix of a subnet from the pool (default 31 for two nodes, else 24; IPv6 64).
        prefix: Option<Sp<Int<1, 128>>>,
        /// Take the next free IPv6 subnet of this prefix.
        pool6: Option<Sp<Net>>,
        /// Length of the prefix of a subnet from `pool6` (default 64).
        prefix6: Option<Sp<Int<1, 128>>>,
        /// How much traffic the bus remembers (default 4MiB).
        history: Option<Sp<Quantified<Octets>>>,
        /// Largest packet in octets (default 1500).
        mtu: Option<Sp<Int<68, 65535>>>,
        /// `false`: nodes cut bulk TCP into segments and sum them up themselves; left out, they leave that to
        /// whoever takes frames off the bus, who sees the same.
        offload: Option<Sp<bool>>,
        /// What happens to frames, in each direction.
        impair: Option<Sp<ImpairSpec>>,
    }
}

impl Named for Node {
    const NOUN: &'static str = "node";

    fn known(all: &[Copied<Self>], cx: &mut Cx) {
        cx.nodes = all.iter().map(|node| node.name.value.clone()).collect();
    }
}

impl Named for Bus {
    const NOUN: &'static str = "bus";
}

table! {
    /// A host program on a node of a live lab.
    Program {
        /// The node.
        node: Sp<String>,
        /// Program and arguments.
        cmd: Sp<OneOrMany<String>>,
        /// When others may rely on it; left out, at once.
        ready: Option<Sp<Ready>>,
        /// Programs that must be ready (or, with `expect`, done) before.
        after: Option<Sp<OneOrMany<String>>>,
        /// How it must end; left out, it may run as long as the lab.
        expect: Option<Sp<Output>>,
        /// Environment variables.
        env: Option<Sp<Map<Sp<String>>>>,
        /// Working directory on the host, relative to this file.
        dir: Option<Sp<String>>,
    }
}

table! {
    /// When a program is ready: one of `tcp`, `udp`, `log`.
    Ready {
        /// It listens on this TCP port.
        tcp: Option<Sp<Int<1, 65535>>>,
        /// It has this UDP port open.
        udp: Option<Sp<Int<1, 65535>>>,
        /// It wrote a line that matches this regular expression.
        log: Option<Sp<Regex>>,
        /// After this time it is too late (default 10s).
        within: Option<Sp<Quantified<Duration>>>,
    }
}

table! {
    /// How a program must end.
    Output {
        /// Its exit status (default 0).
        exit: Option<Sp<Int<0, 255>>>,
        /// What it must write.
        stdout: Option<Sp<Text>>,
        /// What it must write to standard error.
        stderr: Option<Sp<Text>>,
    }
}

table! {
    /// What a text must be.
    Text {
        /// It holds this.
        contains: Option<Sp<String>>,
        /// It matches this regular expression.
        matches: Option<Sp<Regex>>,
        /// It is JSON that holds these keys with these values.
        json: Option<Sp<Json>>,
    }
}

table! {
    /// Something that happens at a time, or once something holds.
    Event {
        /// When, after the lab is ready; with `when`, the earliest time.
        at: Option<Sp<Quantified<Duration>>>,
        /// What must hold: it happens at the first moment at which it does.
        when: Option<Sp<When>>,
        /// It happens so often (default 1) ...
        times: Option<Sp<Int<1, 1_000_000>>>,
        /// ... and again after this time.
        every: Option<Sp<Quantified<Duration>>>,
        /// The words after `labctl`: `link down r1:wan1`.
        r#do: Sp<OneOrMany<String>>,
    }
}

table! {
    /// Something that may happen while the lab runs: `test --virtual --explore` draws whether and when.
    Fault {
        /// The words after `labctl`, as of an event: `link flap r1:wan1 2s`.
        r#do: Sp<OneOrMany<String>>,
        /// Not before this time (default 0s).
        after: Option<Sp<Quantified<Duration>>>,
        /// Before this time.
        before: Sp<Quantified<Duration>>,
        /// It happens at most so often (default 1).
        times: Option<Sp<Int<1, 1000>>>,
        /// How likely each of these times is (default 50%).
        chance: Option<Sp<Quantified<Percent>>>,
    }
}

table! {
    /// What an event waits for: exactly one kind, as in a check.
    When {
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
    }
}

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

/// A regular expression, seen to be one.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Regex(pub String);

impl Read for Regex {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        super::values::regex(value, cx).map(Self)
    }
}

/// A TOML value taken as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

impl Read for Json {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        super::values::json(value, cx).map(Self)
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}
