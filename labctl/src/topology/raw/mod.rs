//! What was typed: the tables of a topology file, with spans. What they mean is [`super::model`].
//!
//! The doc comments here are the descriptions in the JSON Schema (`labctl schema`) too.
//!
//! | file | tables |
//! |---|---|
//! | this one | the file as a whole, nodes and buses |
//! | `programs` | host programs, and what is wanted of their output |
//! | `events` | what happens, and what may |
//! | `checks` | what must hold |

mod checks;
mod events;
mod programs;

pub use checks::*;
pub use events::*;
pub use programs::*;

use super::addr::{Addr, Cidr, Dest, Mac, Net};
use super::impair::ImpairSpec;
use super::ipv6::{Dad, IfAddr, Privacy};
use super::ra::RawRa;
use super::read::{Cx, Int, List, Map, OneOrMany, Quantified, Sp, table, words};
use super::repeat::{Copied, Count, Named, Repeated};
use super::tcp::Settings;
use super::units::{Duration, Octets};

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
