//! What is run live and in virtual time. A scenario is a topology with its checks and events.
//!
//! Routers and hosts have what `labctl` derives; buses have single frames (`offload = false`) where segments are counted.

/// How far the numbers of TCP segments must agree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Segments {
    /// To the last one.
    Same,
    /// Within so many per cent of the greater number, or of 20: what is sent again, and how much at a time, is a matter of when processes run.
    Within(u64),
}

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) topology: String,
    pub(crate) segments: Segments,
    /// Flows with this in their name are left out: when they are sent is drawn by lot, and the lab may be gone before.
    pub(crate) random: Option<&'static str>,
}

/// Declares them, and hands their names to another macro.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $name:ident: $segments:expr, $random:expr, $topology:expr;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name() -> Scenario {
            Scenario {
                name: stringify!($name),
                topology: $topology.to_string(),
                segments: $segments,
                random: $random,
            }
        })*

        macro_rules! all {
            ($then:ident) => { $then! { $($name)* } };
        }
        pub(crate) use all;
    };
}

/// Two hosts on a wire with these keys, then more.
fn pair(keys: &str, more: &str) -> String {
    format!(
        "[node]\nh1 = {{}}\nh2 = {{}}\n[bus]\nlan = {{ subnet = \"10.0.0.0/24\", nodes = [\"h1\", \"h2\"], history = \"16MiB\", \
         offload = false{keys} }}\n{more}"
    )
}

/// Two hosts and a router; the right wire has these keys.
fn routed(keys: &str, more: &str) -> String {
    format!(
        "[node]\nh1 = {{}}\nr1 = {{ forward = true }}\nh2 = {{}}\n[bus]\n\
         left = {{ subnet = \"10.0.1.0/24\", nodes = [\"r1\", \"h1\"], history = \"16MiB\", offload = false }}\n\
         right = {{ subnet = \"10.0.2.0/24\", nodes = [\"r1\", \"h2\"], history = \"16MiB\", offload = false{keys} }}\n{more}"
    )
}

const PING: &str = "[[check]]\nping = { from = \"h1\", to = \"h2\", count = 5, interval = \"20ms\" }\n";

use Segments::{Same, Within};

scenarios! {
    /// Echo across a router: ARP on both wires, requests, replies.
    ping: Same, None, routed("", PING);
    /// A connection that carries one segment.
    handshake: Same, None, pair("", "[[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"100B\" }\n");
    /// A bulk transfer over some distance.
    bulk: Within(5), None, pair(", impair = { delay = \"5ms\" }", "[[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"1MB\" }\n");
    /// A bulk transfer that fills the queue of a slow wire.
    slow: Within(20), None, routed(
        ", impair = { delay = \"5ms\", rate = \"20mbit\", queue = \"64kB\" }",
        "[[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"1MB\" }\n",
    );
    /// Datagrams at a steady rate.
    datagrams: Same, None, routed("", "[[check]]\nudp = { from = \"h1\", to = \"h2\", count = 200 }\n");
    /// Frames are lost, the same ones in both. The neighbour is known before: what waits for its address comes all at once, and a live
    /// program has more of it before it ends.
    loss: Same, None, pair(
        ", impair = { loss = \"20%\" }",
        "[[check]]\nping = { from = \"h1\", to = \"h2\" }\nwithin = \"5s\"\n\
         [[check]]\nname = \"some arrive\"\nudp = { from = \"h1\", to = \"h2\", count = 200, loss = \"40%\" }\nwithin = \"5s\"\n",
    );
    /// Frames are lost in bursts.
    bursts: Same, None, pair(
        ", impair = { loss = { model = \"gilbert-elliott\", p = \"5%\", r = \"30%\" } }",
        "[[check]]\nudp = { from = \"h1\", to = \"h2\", count = 200, loss = \"50%\" }\nwithin = \"5s\"\n",
    );
    /// Frames come twice.
    duplicates: Same, None, pair(
        ", impair = { duplicate = \"10%\" }",
        "[[check]]\nudp = { from = \"h1\", to = \"h2\", count = 200 }\n",
    );
    /// Frames overtake each other.
    reorder: Same, None, pair(
        ", impair = { delay = \"5ms\", reorder = \"25%\" }",
        "[[check]]\nudp = { from = \"h1\", to = \"h2\", count = 200 }\n",
    );
    /// A TCP stream over a wire that loses frames.
    lossy: Within(20), None, pair(
        ", impair = { delay = \"2ms\", loss = \"3%\" }",
        "[[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"100kB\" }\n",
    );
    /// The first SYN is lost, the second, a second later, is not.
    lost_syn: Same, None, pair("", "[[check]]\nping = { from = \"h1\", to = \"h2\" }\n\
        [[event]]\nat = \"100ms\"\ndo = \"impair set h1:eth0 loss 100%\"\n[[event]]\nat = \"700ms\"\ndo = \"impair reset h1:eth0\"\n\
        [[check]]\nafter = \"300ms\"\ntcp = { from = \"h1\", to = \"h2\", send = \"1kB\" }\n");
    /// Nobody listens: RST.
    refused: Same, None, routed("", "[[check]]\ntcp = { from = \"h1\", to = \"h2\", port = 81 }\nexpect = \"fail\"\n");
    /// Nobody listens: port unreachable.
    unreachable: Same, None, routed("", "[[check]]\nudp = { from = \"h1\", to = \"h2\", port = 9, count = 3 }\nexpect = \"fail\"\n");
    /// Nobody is there: ARP asks three times.
    nobody: Same, None, routed("", "[[check]]\nping = { from = \"h1\", to = \"10.0.2.77\" }\nexpect = \"fail\"\n");
    /// A page over HTTP.
    http: Same, None, routed("", "[[check]]\nhttp = { from = \"h1\", to = \"h2\" }\n");
    /// The path across three routers: time exceeded.
    trace: Same, None, "[node]\nh1 = {}\nr1 = { forward = true }\nr2 = { forward = true }\nr3 = { forward = true }\nh2 = {}\n[bus]\n\
        a = { subnet = \"10.0.1.0/24\", nodes = [\"r1\", \"h1\"] }\nb = { subnet = \"10.0.2.0/24\", nodes = [\"r1\", \"r2\"] }\n\
        c = { subnet = \"10.0.3.0/24\", nodes = [\"r2\", \"r3\"] }\nd = { subnet = \"10.0.4.0/24\", nodes = [\"r3\", \"h2\"] }\n\
        [[check]]\ntrace = { from = \"h1\", to = \"h2\", via = [\"r1\", \"r2\", \"r3\"] }\n";
    /// Echo in fragments.
    fragments: Same, None, routed("", "[[check]]\nping = { from = \"h1\", to = \"h2\", size = 4000, count = 3, interval = \"20ms\" }\n");
    /// A wire with a smaller MTU behind a router: too big, and again in smaller segments.
    path_mtu: Within(5), None, routed(", mtu = 1300", "[[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"50kB\" }\n");
    /// Neighbour discovery and echo of IPv6 across a router.
    ipv6: Same, Some(" > ff02::16 "), "[node]\nh1 = {}\nr1 = { forward = true }\nh2 = {}\n[bus]\n\
        left = { subnet6 = \"fd00:1::/64\", nodes = [\"r1\", \"h1\"] }\nright = { subnet6 = \"fd00:2::/64\", nodes = [\"r1\", \"h2\"] }\n\
        [[check]]\nping = { from = \"h1\", to = \"h2\", count = 3, interval = \"20ms\" }\n\
        [[check]]\ntcp = { from = \"h2\", to = \"h1\", send = \"1kB\" }\n";
    /// The better of two ways breaks, and comes back.
    failover: Same, None, "[node.r1]\nforward = true\nrouting = \"none\"\n\
        routes = [{ to = \"10.0.9.0/24\", via = \"192.0.2.2\", metric = 10 }, { to = \"10.0.9.0/24\", via = \"198.51.100.2\", metric = 20 }]\n\
        [node.r2]\nforward = true\nrouting = \"none\"\n\
        routes = [{ to = \"10.0.1.0/24\", via = \"192.0.2.1\", metric = 10 }, { to = \"10.0.1.0/24\", via = \"198.51.100.1\", metric = 20 }]\n\
        [node]\nh1 = {}\nh2 = {}\n[bus]\noffice = { subnet = \"10.0.1.0/24\", nodes = [\"r1\", \"h1\"] }\n\
        fast = { subnet = \"192.0.2.0/30\", nodes = [\"r1\", \"r2\"] }\nslow = { subnet = \"198.51.100.0/30\", nodes = [\"r1\", \"r2\"] }\n\
        away = { subnet = \"10.0.9.0/24\", nodes = [\"r2\", \"h2\"] }\n\
        [[check]]\nname = \"before\"\nping = { from = \"h1\", to = \"h2\" }\n\
        [[event]]\nat = \"400ms\"\ndo = \"link down r1:eth1\"\n[[event]]\nat = \"400ms\"\ndo = \"link down r2:eth0\"\n\
        [[check]]\nname = \"meanwhile\"\nafter = \"700ms\"\nping = { from = \"h1\", to = \"h2\", count = 3, interval = \"20ms\" }\n\
        [[event]]\nat = \"1s\"\ndo = \"link up r1:eth1\"\n[[event]]\nat = \"1s\"\ndo = \"link up r2:eth0\"\n\
        [[check]]\nname = \"afterwards\"\nafter = \"1300ms\"\nping = { from = \"h1\", to = \"h2\", count = 3, interval = \"20ms\" }\n";
    /// A router dies and returns.
    restart: Same, None, routed("", "[[check]]\nname = \"before\"\nping = { from = \"h1\", to = \"h2\" }\n\
        [[event]]\nat = \"300ms\"\ndo = \"kill r1\"\n\
        [[check]]\nname = \"without it\"\nafter = \"600ms\"\nping = { from = \"h1\", to = \"h2\" }\nexpect = \"fail\"\n\
        [[event]]\nat = \"2s\"\ndo = \"start r1\"\n\
        [[check]]\nname = \"with it\"\nafter = \"2500ms\"\nping = { from = \"h1\", to = \"h2\", count = 3, interval = \"20ms\" }\n");
    /// Each direction has a delay of its own.
    asymmetric: Same, None, "[node.h1]\nif.eth0 = { bus = \"lan\", ip = [\"10.0.0.1/24\"], impair = { delay = \"30ms\" } }\n\
        [node.h2]\nif.eth0 = { bus = \"lan\", ip = [\"10.0.0.2/24\"], impair = { delay = \"5ms\" } }\n[bus]\nlan = {}\n\
        [[check]]\nping = { from = \"h1\", to = \"h2\", count = 3, interval = \"20ms\" }\n\
        [[check]]\ntcp = { from = \"h1\", to = \"h2\", send = \"1kB\" }\n";
}
