//! What leaves the bus for Wireshark: whole, with valid checksums, right names and times; also from a lab that is dead.

use lab_tests::family::{Family, Host};
use lab_tests::{Place, User, in_each_family, program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shmif::Bus;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const LAB: &str = r#"
name = "wire"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
"#;

in_each_family!(a_dump_is_sound_named_and_timed, a_lab_whose_nodes_were_all_killed_still_shows_its_wires);

/// Rows of fields from tshark, with every checksum verified.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new(program("tshark", "tshark"));
    command.arg("-r").arg(file).args(["-n", "-T", "fields"]);
    for check in ["ip", "tcp", "udp"] {
        command.arg("-o").arg(format!("{check}.check_checksum:TRUE"));
    }
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|l| l.split('\t').map(str::to_owned).collect()).collect()
}

/// What must hold of any capture of ours: nothing malformed, no checksum that is wrong, no expert's information of severity error.
fn assert_sound(file: &Path) {
    let faults = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 \
                  || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || _ws.short \
                  || _ws.expert.severity >= 0x800000";
    let bad = tshark(file, faults, &["frame.number", "_ws.col.Info"]);
    assert!(bad.is_empty(), "tshark finds faults: {bad:?}");
}

/// The families of one that there are, each with the option that chooses it.
fn each(family: Family) -> impl Iterator<Item = (Family, &'static str)> {
    let all = [(family.has_v4(), Family::V4, "-4"), (family.has_v6(), Family::V6, "-6")];
    all.into_iter().filter(|(there, ..)| *there).map(|(_, one, flag)| (one, flag))
}

fn traffic(place: &Place, family: Family) {
    // The floods first, because a bus remembers only its last megabytes.
    for words in [
        "perf udp h1 h2 -t 0.05",
        "perf tcp h1 h2 -t 0.1",
        "perf udp h1 h2 -t 0.1 -r 2000",
        "trace h1 h2",
        "ping h1 h2 -c 3 -i 0.01",
    ] {
        for (_, flag) in each(family) {
            place.ok(&format!("{words} {flag}"));
        }
    }
}

/// The pings of `traffic` by h1, between these times, under the names of their bus and their sender; and both kinds of bulk.
fn assert_named_and_timed(file: &Path, (before, after): (f64, f64), family: Family) {
    for (one, _) in each(family) {
        let (filter, src, dst) = match one.has_v6() {
            true => ("icmpv6.type == 128", "ipv6.src", "ipv6.dst"),
            false => ("icmp.type == 8", "ip.src", "ip.dst"),
        };
        // The first of a bus's list is r1, the second h1. Both speak, and their names stand in the file.
        let fields = ["frame.time_epoch", src, dst, "frame.interface_name", "frame.comment"];
        let pings = tshark(file, filter, &fields);
        assert_eq!(pings.len(), 3, "{pings:?}");
        for row in &pings {
            let time: f64 = row[0].parse().expect("a time");
            assert!(before <= time && time <= after, "{before} <= {time} <= {after}");
            let ends = [Host(1, 2), Host(2, 2)].map(|host| one.addr(host).to_string());
            assert_eq!([&row[1], &row[2]], [&ends[0], &ends[1]]);
            assert!(row[3].contains("left"), "interface {:?} does not name the bus", row[3]);
            assert!(row[3].contains("h1") || row[4].contains("h1"), "nothing names the sender in {row:?}");
        }
    }
    let long = tshark(file, "frame.len > 1514", &["frame.number"]);
    assert!(long.is_empty(), "{} frames no Ethernet carries", long.len());
    for bulk in ["tcp.len > 1000", "udp && !icmp && !icmpv6"] {
        assert!(tshark(file, bulk, &["frame.number"]).len() > 20, "{bulk}");
    }
    let times = tshark(file, "", &["frame.time_epoch"]);
    let times: Vec<f64> = times.iter().map(|r| r[0].parse().expect("a time")).collect();
    assert!(times.is_sorted(), "the records are in total order");
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970").as_secs_f64()
}

fn a_dump_is_sound_named_and_timed(family: Family) {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", &family.topology(LAB));
    let before = unix_seconds();
    place.ok(&format!("-t {} up", lab.display()));
    traffic(&place, family);
    place.ok("dump left -w left.pcapng");
    let file = place.path().join("left.pcapng");
    assert_sound(&file);
    assert_named_and_timed(&file, (before, unix_seconds()), family);
    place.ok("down");
    place.assert_clean();
}

fn a_lab_whose_nodes_were_all_killed_still_shows_its_wires(family: Family) {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", &family.topology(LAB));
    let before = unix_seconds();
    place.ok(&format!("-t {} up", lab.display()));
    traffic(&place, family);
    place.ok("dump left -w alive.pcapng");
    // What was bulk left its sender, and the router, whole.
    for bus in ["left", "right"] {
        let bus = Bus::open_readonly(place.lab_dir("wire").join("bus").join(bus)).expect("a bus");
        let longest = bus.history().map(|record| record.frame.len()).max();
        assert!(longest > Some(10_000), "longest record: {longest:?}");
    }
    for node in ["h1", "r1", "h2"] {
        kill(Pid::from_raw(place.pid("wire", node)), Signal::SIGKILL).expect("a node to kill");
    }
    place.ok("dump left -w dead.pcapng");
    assert_sound(&place.path().join("dead.pcapng"));
    assert_named_and_timed(&place.path().join("dead.pcapng"), (before, unix_seconds()), family);
    let fields = ["frame.time_epoch", "eth.src", "eth.dst", "frame.len"];
    let alive = tshark(&place.path().join("alive.pcapng"), "", &fields);
    let dead = tshark(&place.path().join("dead.pcapng"), "", &fields);
    assert!(!alive.is_empty());
    assert_eq!(alive.last(), dead[..alive.len().min(dead.len())].last(), "death takes nothing from the bus");
    place.ok("bus fsck left");
    place.ok("down");
    place.assert_clean();
}

/// A router that advertises, hosts that listen, a narrow link behind it.
const LISTENING: &str = r#"
name = "wire"
[node]
r1 = { forward = true, if.eth0 = { bus = "left", ra = { rdnss = "fd00:2::53", preference = "high" } }, if.eth1 = { bus = "right", mtu = 1300 } }
h1 = { if.eth0 = { bus = "left", ip = [], address = "slaac", privacy = "eui64" } }
h3 = { if.eth0 = { bus = "left", ip = [], address = "slaac", privacy = "temporary", dad = "on" } }
h2 = { if.eth0 = { bus = "right", mtu = 1300 } }
[bus]
left  = { subnet6 = "fd00:1::/64", nodes = ["r1"], history = "32MiB" }
right = { subnet6 = "fd00:2::/64", nodes = ["r1", "h2"], history = "32MiB" }
"#;

/// Joins a group of the link for one source, and leaves it.
const MEMBER: &str = r#"
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
index = struct.pack("I", socket.if_nametoindex("eth0"))
group = socket.inet_pton(socket.AF_INET6, "ff02::4242") + index
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, group)
"#;

#[test]
fn every_message_of_ipv6_is_sound() {
    program("python3", "python3");
    let place = Place::new(User::Ordinary);
    place.write("lab.toml", LISTENING);
    place.write("member.py", MEMBER);
    place.ok("up");
    // Who finds no router asks for one; whoever hears of one before need not.
    for words in ["stop r1", "restart h3", "capture left -c 1 icmpv6.type==133", "start r1"] {
        place.ok(words);
    }
    for words in ["ping h3 h2 -c 1", "trace h3 h2"] {
        place.ok(words);
    }
    // The first is too long for the path, which nobody knew; the second is broken up for it.
    let learnt = "ping h1 h2 -c 1 -s 2000";
    for words in [learnt, "ping h1 h2 -c 1 -W 0.1 --ttl 1", "ping h1 fd00:9::1 -c 1 -W 0.1"] {
        assert_eq!(place.run(words).status.code(), Some(1), "{words}");
    }
    place.ok(learnt);
    place.ok("perf udp h1 h2 -t 0.1 -r 1000 -l 1400");
    place.ok("perf tcp h1 h2 -t 0.02");
    place.ok("exec h1 -- python3 member.py");
    for bus in ["left", "right"] {
        place.ok(&format!("dump {bus} -w {bus}.pcapng"));
        assert_sound(&place.path().join(format!("{bus}.pcapng")));
    }
    let seen = |bus: &str, filter: &str| {
        !tshark(&place.path().join(format!("{bus}.pcapng")), filter, &["frame.number"]).is_empty()
    };
    for filter in [
        "icmpv6.type == 1",
        "icmpv6.type == 2 && icmpv6.mtu == 1300",
        "icmpv6.type == 3",
        "icmpv6.type == 128",
        "icmpv6.type == 129",
        "icmpv6.type == 133",
        "icmpv6.type == 134 && icmpv6.opt.rdnss",
        "icmpv6.type == 135 && ipv6.src == ::",
        "icmpv6.type == 135 && ipv6.src != ::",
        "icmpv6.type == 136",
        "icmpv6.type == 143 && ipv6.hopopts && icmpv6.mldr.mar.multicast_address == ff02::4242",
        "ipv6.fraghdr.more == 1",
        "tcp.flags.syn == 1 && ipv6",
        "udp && ipv6.fraghdr",
    ] {
        assert!(seen("left", filter), "nothing of {filter}");
    }
    assert!(!seen("left", "arp || ip") && seen("right", "tcp"));
    place.ok("down");
    place.assert_clean();
}
