//! What is run live and in virtual time. A scenario is a topology with its checks and events.
//!
//! Routers and hosts have what `labctl` derives; buses have single frames (`offload = false`) and, where there is
//! much, a rate, where segments are counted.

/// How far the numbers of TCP segments must agree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Segments {
    /// To the last one.
    Same,
    /// Within so many per cent of the greater number, or of 20: what is sent again, and how much at a time,
    /// is a matter of when processes run.
    Within(u64),
}

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) topology: String,
    pub(crate) segments: Segments,
    /// Flows with this in their name are left out: when they are sent is drawn by lot, and the lab may be
    /// gone before.
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
        r#"
[node]
h1 = {{}}
h2 = {{}}
[bus]
lan = {{ subnet = "10.0.0.0/24", nodes = ["h1", "h2"], history = "16MiB", offload = false{keys} }}
{more}"#
    )
}

/// Two hosts and a router; the right wire has these keys.
fn routed(keys: &str, more: &str) -> String {
    format!(
        r#"
[node]
h1 = {{}}
r1 = {{ forward = true }}
h2 = {{}}
[bus]
left = {{ subnet = "10.0.1.0/24", nodes = ["r1", "h1"], history = "16MiB", offload = false }}
right = {{ subnet = "10.0.2.0/24", nodes = ["r1", "h2"], history = "16MiB", offload = false{keys} }}
{more}"#
    )
}

/// A check from h1 to h2: its kind and what else there is to say of it, and what holds for the check.
fn check(kind: &str, keys: &str, modifiers: &str) -> String {
    format!("[[check]]\n{kind} = {{ from = \"h1\", to = \"h2\"{keys} }}\n{modifiers}\n")
}

use Segments::{Same, Within};

scenarios! {
    /// Echo across a router: ARP on both wires, requests, replies.
    ping: Same, None, routed("", &check("ping", r#", count = 5, interval = "20ms""#, ""));
    /// A connection that carries one segment.
    handshake: Same, None, pair("", &check("tcp", r#", send = "100B""#, ""));
    /// A bulk transfer over some distance.
    bulk: Within(10), None, pair(
        r#", impair = { delay = "5ms", rate = "5mbit" }"#,
        &check("tcp", r#", send = "400kB""#, ""),
    );
    /// A bulk transfer that fills the queue of a slow wire.
    slow: Within(20), None, routed(
        r#", impair = { delay = "5ms", rate = "5mbit", queue = "64kB" }"#,
        &check("tcp", r#", send = "400kB""#, ""),
    );
    /// Datagrams at a steady rate.
    datagrams: Same, None, routed("", &check("udp", ", count = 200", ""));
    /// Frames are lost, the same ones in both. The neighbour is known before: what waits for its address
    /// comes all at once, and a live program has more of it before it ends.
    loss: Same, None, pair(r#", impair = { loss = "20%" }"#, &[
        check("ping", "", r#"within = "5s""#),
        check("udp", r#", count = 200, loss = "40%""#, r#"within = "5s""#),
    ].concat());
    /// Frames are lost in bursts.
    bursts: Same, None, pair(
        r#", impair = { loss = { model = "gilbert-elliott", p = "5%", r = "30%" } }"#,
        &check("udp", r#", count = 200, loss = "50%""#, r#"within = "5s""#),
    );
    /// Frames come twice.
    duplicates: Same, None, pair(r#", impair = { duplicate = "10%" }"#, &check("udp", ", count = 200", ""));
    /// Frames overtake each other.
    reorder: Same, None, pair(
        r#", impair = { delay = "5ms", reorder = "25%" }"#,
        &check("udp", ", count = 200", ""),
    );
    /// A TCP stream over a wire that loses frames.
    lossy: Within(20), None, pair(
        r#", impair = { delay = "2ms", rate = "5mbit", loss = "3%" }"#,
        &check("tcp", r#", send = "100kB""#, ""),
    );
    /// A receiver that begins late: its window closes, is asked for, and opens.
    zero_window: Within(10), None, pair(r#", impair = { delay = "5ms", rate = "5mbit" }"#, r#"
[[event]]
at = "0s"
do = "run h2 tcpsink -n 1 -d 2.2 5001"
[[event]]
at = "200ms"
do = "run h1 tcpsource -n 200K h2 5001"
"#);
    /// A receiver that leaves in mid-stream, with octets unread.
    left: Within(10), None, pair(r#", impair = { delay = "5ms", rate = "1mbit" }"#, r#"
[[event]]
at = "0s"
do = "run h2 tcpsink -n 1 -m 20000 5001"
[[event]]
at = "200ms"
do = "run h1 tcpsource -n 200K h2 5001"
"#);
    /// A server that dies and comes again knows nothing of its connections.
    forgotten: Same, None, pair("", r#"
[[event]]
at = "0s"
do = "run h2 echo tcp 7"
[[event]]
at = "200ms"
do = "run h1 rtt -c 3 -i 1 tcp h2 7"
[[event]]
at = "500ms"
do = "kill h2"
[[event]]
at = "700ms"
do = "start h2"
"#);
    /// The first SYN is lost, the second, a second later, is not.
    lost_syn: Same, None, pair("", &[
        check("ping", "", ""),
        check("tcp", r#", send = "1kB""#, r#"after = "300ms""#),
        r#"
[[event]]
at = "100ms"
do = "impair set h1:eth0 loss 100%"
[[event]]
at = "700ms"
do = "impair reset h1:eth0"
"#.to_owned(),
    ].concat());
    /// Nobody listens: RST.
    refused: Same, None, routed("", &check("tcp", ", port = 81", r#"expect = "fail""#));
    /// Nobody listens: port unreachable.
    unreachable: Same, None, routed("", &check("udp", ", port = 9, count = 3", r#"expect = "fail""#));
    /// Nobody is there: ARP asks three times.
    nobody: Same, None, routed("", r#"
[[check]]
ping = { from = "h1", to = "10.0.2.77" }
expect = "fail"
"#);
    /// A page over HTTP.
    http: Same, None, routed("", &check("http", "", ""));
    /// The path across three routers: time exceeded.
    trace: Same, None, r#"
[node]
h1 = {}
r1 = { forward = true }
r2 = { forward = true }
r3 = { forward = true }
h2 = {}
[bus]
a = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
b = { subnet = "10.0.2.0/24", nodes = ["r1", "r2"] }
c = { subnet = "10.0.3.0/24", nodes = ["r2", "r3"] }
d = { subnet = "10.0.4.0/24", nodes = ["r3", "h2"] }
[[check]]
trace = { from = "h1", to = "h2", via = ["r1", "r2", "r3"] }
"#;
    /// Echo in fragments.
    fragments: Same, None, routed("", &check("ping", r#", size = 4000, count = 3, interval = "20ms""#, ""));
    /// A wire with a smaller MTU behind a router: too big, and again in smaller segments.
    path_mtu: Within(20), None, routed(
        r#", mtu = 1300, impair = { rate = "5mbit" }"#,
        &check("tcp", r#", send = "50kB""#, ""),
    );
    /// Neighbour discovery, echo and TCP of IPv6 across a router.
    ipv6: Same, Some(" > ff02::16 "), r#"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left = { subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
[[check]]
ping = { from = "h1", to = "h2", count = 3, interval = "20ms" }
[[check]]
tcp = { from = "h2", to = "h1", send = "1kB" }
"#;
    /// The better of two ways breaks, and comes back.
    failover: Same, None, r#"
[node]
h1 = {}
h2 = {}
[node.r1]
forward = true
routing = "none"
routes = [
    { to = "10.0.9.0/24", via = "192.0.2.2", metric = 10 },
    { to = "10.0.9.0/24", via = "198.51.100.2", metric = 20 },
]
[node.r2]
forward = true
routing = "none"
routes = [
    { to = "10.0.1.0/24", via = "192.0.2.1", metric = 10 },
    { to = "10.0.1.0/24", via = "198.51.100.1", metric = 20 },
]
[bus]
office = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
fast = { subnet = "192.0.2.0/30", nodes = ["r1", "r2"] }
slow = { subnet = "198.51.100.0/30", nodes = ["r1", "r2"] }
away = { subnet = "10.0.9.0/24", nodes = ["r2", "h2"] }
[[check]]
name = "before"
ping = { from = "h1", to = "h2" }
[[event]]
at = "400ms"
do = "link down r1:eth1"
[[event]]
at = "400ms"
do = "link down r2:eth0"
[[check]]
name = "meanwhile"
after = "700ms"
ping = { from = "h1", to = "h2", count = 3, interval = "20ms" }
[[event]]
at = "1s"
do = "link up r1:eth1"
[[event]]
at = "1s"
do = "link up r2:eth0"
[[check]]
name = "afterwards"
after = "1300ms"
ping = { from = "h1", to = "h2", count = 3, interval = "20ms" }
"#;
    /// A router dies and returns.
    restart: Same, None, routed("", r#"
[[check]]
name = "before"
ping = { from = "h1", to = "h2" }
[[event]]
at = "300ms"
do = "kill r1"
[[check]]
name = "without it"
after = "600ms"
ping = { from = "h1", to = "h2" }
expect = "fail"
[[event]]
at = "2s"
do = "start r1"
[[check]]
name = "with it"
after = "2500ms"
ping = { from = "h1", to = "h2", count = 3, interval = "20ms" }
"#);
    /// Each direction has a delay of its own.
    asymmetric: Same, None, r#"
[node.h1]
if.eth0 = { bus = "lan", ip = ["10.0.0.1/24"], impair = { delay = "30ms" } }
[node.h2]
if.eth0 = { bus = "lan", ip = ["10.0.0.2/24"], impair = { delay = "5ms" } }
[bus]
lan = {}
[[check]]
ping = { from = "h1", to = "h2", count = 3, interval = "20ms" }
[[check]]
tcp = { from = "h1", to = "h2", send = "1kB" }
"#;
}
