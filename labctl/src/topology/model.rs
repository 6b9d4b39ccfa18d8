//! What is meant: the lab with everything written out — names, addresses, MACs, routes, checks.
//!
//! A [`Lab`] is consistent: every name in it is the name of something in it, every address fits its bus or was warned
//! about, every next hop is on the subnet of the interface it leaves by. It serialises in the units of the topology file.

use std::net::IpAddr;
use std::path::PathBuf;

use indexmap::IndexMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use super::addr::{Mac, Zoned};
use super::diag::Diagnostics;
pub use super::impair::{Aqm, Distribution, Impair, Loss, Spread};
pub use super::ipv6::{Dad, Ipv6, Privacy};
pub use super::ra::{Preference, Ra, RaPrefix};
pub use super::raw::{Family, Keep, Mode, NeighState, Outcome, Proto, Routing, TcpProfile};
pub use super::units::{Duration, Lifetime, Octets, Percent, QueueLength, Rate};
pub use rumpkern::ctl::proto::RouteSpec;

/// Octets a bus remembers, if the file does not say.
pub const HISTORY_DEFAULT: u64 = 4 << 20;
/// Largest packet of a bus in octets, if the file does not say.
pub const MTU_DEFAULT: u16 = 1500;
/// Time to live of packets, hops: RFC 1700, and Linux's `ip_default_ttl`.
pub const TTL_DEFAULT: u8 = 64;

/// A lab.
#[derive(Clone, Debug, Serialize)]
pub struct Lab {
    /// Its name: `[a-z0-9][a-z0-9_.-]*`, at most 32 octets.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The folder that host paths in the file are relative to.
    #[serde(skip)]
    pub base: PathBuf,
    /// How time passes.
    pub time: Time,
    /// What `test` keeps of the buses.
    pub capture: Capture,
    /// The nodes in the order of the file.
    pub nodes: IndexMap<String, Node>,
    /// The buses in the order of the file.
    pub buses: IndexMap<String, Bus>,
    /// Host programs, in the order of the file.
    pub programs: IndexMap<String, Program>,
    /// Events, by time.
    pub events: Vec<Event>,
    /// What may happen besides, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Checks, in the order of the file; patterns are written out.
    pub checks: Vec<Check>,
    /// What was said about the file, though it may start.
    #[serde(skip)]
    pub warnings: Diagnostics,
}

/// How time passes.
#[derive(Clone, Debug, Serialize)]
pub struct Time {
    /// Live or virtual.
    pub mode: Mode,
    /// What randomness begins with.
    pub seed: u64,
    /// When a test ends at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Duration>,
}

/// What `test` keeps of the buses.
#[derive(Clone, Debug, Serialize)]
pub struct Capture {
    /// Names of buses.
    pub buses: Vec<String>,
    /// When.
    pub keep: Keep,
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Its name, unique in the lab.
    pub name: String,
    /// Whether it forwards packets.
    pub forward: bool,
    /// Time to live of the packets it sends, where a program does not choose; at least 1.
    pub ttl: u8,
    /// Whose TCP it has.
    pub tcp: TcpProfile,
    /// TCP's values where they differ from the profile's, by the names of [`netstack::tcp::sysctl`]; it takes them all.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub sysctl: IndexMap<String, String>,
    /// Addresses of its loopback interface besides 127.0.0.1/8 and ::1/128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loopback: Vec<IpNet>,
    /// Its interfaces: those written first, then `eth0`, `eth1`, … in the order of the buses.
    pub interfaces: Vec<Interface>,
    /// Its routes, by destination and metric; connected subnets are not among them.
    pub routes: Vec<Route>,
    /// Files it shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<NodeFile>,
}

/// An interface.
#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    /// Its name, unique on its node, at most 15 octets.
    pub name: String,
    /// Its bus.
    pub bus: String,
    /// Its MAC address, unique in the lab.
    pub mac: Mac,
    /// Largest packet in octets.
    pub mtu: u16,
    /// As on its bus.
    #[serde(skip)]
    pub offload: bool,
    /// Its addresses, each with the length of its prefix.
    pub addrs: Vec<IpNet>,
    /// Its IPv6; `None`: it speaks none, and sends no frame of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6>,
    /// Default gateways that were written here. They are among the routes, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// What happens to frames that leave here, if it is not what the bus says. See [`Lab::impair_of`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impair>,
}

/// Where a thing comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From the file.
    Written,
    /// From the shape of the lab.
    Derived,
}

/// A route. Routes with the same destination and metric are used side by side (ECMP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Destination.
    pub to: IpNet,
    /// Next hop; `None` if the destination is on the link itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The interface it leaves by.
    pub dev: String,
    /// The lowest wins. Of derived routes: routers on the way.
    pub metric: u32,
    /// Written or derived.
    pub origin: Origin,
}

/// A file that a node shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeFile {
    /// Absolute path on the node.
    pub node: String,
    /// Path on the host.
    pub host: PathBuf,
}

/// A bus.
#[derive(Clone, Debug, Serialize)]
pub struct Bus {
    /// Its name, unique in the lab.
    pub name: String,
    /// Its subnets, IPv4 first; none if it carries only what its interfaces say.
    pub subnets: Vec<IpNet>,
    /// Octets of its ring: how much traffic it remembers.
    pub history: Octets,
    /// Largest packet in octets.
    pub mtu: u16,
    /// Whether nodes leave segmentation and checksums to whoever takes frames off the bus.
    pub offload: bool,
    /// What happens to frames in each direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impair: Option<Impair>,
    /// Who is on it, in the order of the list.
    pub members: Vec<Member>,
}

/// A port of a bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The node.
    pub node: String,
    /// The node's interface.
    pub interface: String,
}

/// A host program on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// The node.
    pub node: String,
    /// Program and arguments; at least one word.
    pub cmd: Vec<String>,
    /// When others may rely on it; at once if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Programs that come before; there is no circle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How it must end; if `None` it may run as long as the lab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Output>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, String>,
    /// Working directory on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

/// When a program is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// The sign.
    pub when: ReadyWhen,
    /// After this time it is too late.
    pub within: Duration,
}

/// The sign that a program is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadyWhen {
    /// It listens on this TCP port.
    Tcp(u16),
    /// It has this UDP port open.
    Udp(u16),
    /// It wrote a line that matches.
    Log(String),
}

/// How a program must end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its exit status.
    pub exit: u8,
    /// Its standard output.
    #[serde(default, skip_serializing_if = "TextMatch::is_any")]
    pub stdout: TextMatch,
    /// Its standard error.
    #[serde(default, skip_serializing_if = "TextMatch::is_any")]
    pub stderr: TextMatch,
}

/// What a text must be; everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TextMatch {
    /// It holds this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// It matches this regular expression (of the crate `regex`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// It is JSON that holds these keys with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<serde_json::Value>,
}

impl TextMatch {
    /// Any text will do.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that happens at a time, or once something holds.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// After the lab is ready; with `when`, the earliest time.
    pub at: Duration,
    /// All of these must hold; each has a name that no check has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Check>,
    /// How often it happens again, and after which time each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The words after `labctl`, as they were written.
    pub words: Vec<String>,
    /// What they say.
    pub act: Act,
}

/// Something that may happen.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Not before.
    pub after: Duration,
    /// Before.
    pub before: Duration,
    /// At most so often.
    pub times: u32,
    /// How likely each of these times is.
    pub chance: Percent,
    /// The words after `labctl`.
    pub words: Vec<String>,
    /// What they say.
    pub act: Act,
}

/// How an event happens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Again {
    /// How often after the first time.
    pub times: u32,
    /// From one time to the next.
    pub every: Duration,
}

/// A port: `r1:wan1`.
pub type Port = Member;

/// What an event does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// `link up NODE:IF`.
    LinkUp(Port),
    /// `link down NODE:IF`.
    LinkDown(Port),
    /// `link flap NODE:IF TIME`: down, and up after this time.
    LinkFlap(Port, Duration),
    /// `impair set BUS|NODE:IF …`.
    ImpairSet(Wire, Box<Impair>),
    /// `impair reset BUS|NODE:IF`: back to what the file says.
    ImpairReset(Wire),
    /// `partition BUS NODE,NODE… …`: each group hears only itself; nodes of no group are one together.
    Partition(String, Vec<Vec<String>>),
    /// `partition BUS`: the bus is whole again.
    Heal(String),
    /// `addr add NODE:IF ADDRESS/LENGTH`.
    AddrAdd(Port, IpNet),
    /// `addr del NODE:IF ADDRESS/LENGTH`.
    AddrDel(Port, IpNet),
    /// `route add NODE DESTINATION [via GATEWAY] [dev IF] [metric N]`.
    RouteAdd(String, RouteSpec),
    /// `route del NODE DESTINATION …`.
    RouteDel(String, RouteSpec),
    /// `pause NODE`: it does nothing until it is resumed.
    Pause(String),
    /// `resume NODE`.
    Resume(String),
    /// `run NODE PROGRAM …`: a built-in program, in the background.
    Run(String, Vec<String>),
    /// `start NODE`.
    Start(String),
    /// `stop NODE`.
    Stop(String),
    /// `kill NODE`.
    Kill(String),
    /// `restart NODE`.
    Restart(String),
    /// `exec NODE -- CMD…` (live labs).
    Exec(String, Vec<String>),
}

/// What is impaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// Every port of a bus.
    Bus(String),
    /// One port.
    Port(Port),
}

/// Something that must hold.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its name, unique in the lab; derived if it was not written: `ping h1 -> h2`.
    pub name: String,
    /// Begin this long after the lab is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
    /// Try again until it holds, at most this long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Duration>,
    /// It must hold all this time.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,
    /// Whether it must hold or must not.
    pub expect: Outcome,
    /// What.
    pub kind: CheckKind,
}

/// A node of the lab, or an address that may be anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// A node; which of its addresses is meant, the asking node decides.
    Node {
        /// Its name.
        #[serde(rename = "node")]
        name: String,
        /// Its addresses of this family only.
        #[serde(skip_serializing_if = "Option::is_none")]
        family: Option<Family>,
    },
    /// An address.
    Addr {
        /// With its interface, which the asking node has.
        addr: Zoned,
    },
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node { name, family: None } => f.write_str(name),
            Self::Node { name, family: Some(Family::Ipv4) } => write!(f, "{name} (IPv4)"),
            Self::Node { name, family: Some(Family::Ipv6) } => write!(f, "{name} (IPv6)"),
            Self::Addr { addr } => addr.fmt(f),
        }
    }
}

/// The kinds of check. Defaults are filled in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // The fields are those of the tables in `raw`, documented there.
pub enum CheckKind {
    /// ICMP echo.
    Ping {
        from: String,
        to: Target,
        count: u32,
        interval: Duration,
        size: u16,
        ttl: Option<u8>,
        loss: Percent,
        rtt: Option<Duration>,
    },
    /// The path of a packet.
    Trace { from: String, to: Target, via: Option<Vec<Target>>, hops: Option<u8> },
    /// A TCP connection; without `port` the check listens itself.
    Tcp { from: String, to: Target, port: Option<u16>, send: Octets, rate: Option<Rate> },
    /// UDP datagrams; without `port` the check listens itself.
    Udp { from: String, to: Target, port: Option<u16>, count: u32, size: u16, loss: Percent },
    /// An HTTP request; without `port` the check serves itself.
    Http { from: String, to: Target, port: Option<u16>, path: String, status: u16, body: TextMatch },
    /// A route of a node.
    Route { node: String, to: IpNet, via: Option<IpAddr>, dev: Option<String>, metric: Option<u32> },
    /// A neighbour of a node.
    Neigh { node: String, to: Target, dev: Option<String>, mac: Option<Mac>, state: Option<NeighState> },
    /// A counter.
    Counter { of: CounterOf, name: String, bound: Bound },
    /// Packets that nodes threw away, all of them counted together.
    Drops { nodes: Vec<String>, reasons: Vec<String>, bound: Bound },
    /// Frames on wires, all of them counted together.
    Wire {
        buses: Vec<String>,
        filter: Option<String>,
        each: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        order: Vec<String>,
        bound: Bound,
    },
    /// How fast data gets through.
    Throughput {
        from: String,
        to: Target,
        proto: Proto,
        time: Duration,
        rate: Rate,
        size: u16,
        min: Option<Rate>,
        max: Option<Rate>,
    },
    /// How long it takes until something holds.
    Convergence { of: Box<CheckKind>, min: Option<Duration>, max: Duration },
    /// A host program on a node.
    Cmd { node: String, cmd: Vec<String>, expect: Output },
}

/// Whose counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CounterOf {
    /// A node's.
    Node(String),
    /// A bus's.
    Bus(String),
}

/// From `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// At least.
    pub min: u64,
    /// At most; no limit if `None`.
    pub max: Option<u64>,
}

impl Bound {
    /// Not one.
    pub const NONE: Self = Self { min: 0, max: Some(0) };

    /// Whether the number is within.
    pub fn holds(&self, n: u64) -> bool {
        n >= self.min && self.max.is_none_or(|max| n <= max)
    }
}

impl Lab {
    /// The impairment of a port: its own, else that of its bus.
    pub fn impair_of<'l>(&'l self, interface: &'l Interface) -> Option<&'l Impair> {
        interface.impair.as_ref().or_else(|| self.buses.get(&interface.bus)?.impair.as_ref())
    }

    /// The address that is meant when a node is named as a target: its first loopback address, else the first of its
    /// interfaces; IPv6 before IPv4.
    pub fn address_of(&self, node: &str) -> Option<IpAddr> {
        let node = self.nodes.get(node)?;
        let all =
            || node.loopback.iter().chain(node.interfaces.iter().flat_map(|i| &i.addrs)).map(IpNet::addr);
        all().find(IpAddr::is_ipv6).or_else(|| all().next())
    }

    /// Whether a router of the topology advertises a prefix on the bus of which hosts make addresses.
    pub fn advertises(&self, bus: &str) -> bool {
        let ports = self.buses.get(bus).into_iter().flat_map(|bus| &bus.members);
        ports.filter_map(|port| self.interface(port)?.ipv6.as_ref()?.ra.as_ref()).any(Ra::is_autonomous)
    }

    /// The interface of a port.
    pub fn interface(&self, port: &Port) -> Option<&Interface> {
        self.nodes.get(&port.node)?.interfaces.iter().find(|i| i.name == port.interface)
    }
}

impl Node {
    /// An interface by name.
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.name == name)
    }
}
