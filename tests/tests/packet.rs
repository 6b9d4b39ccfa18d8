//! Programs that see and send frames, unmodified, as an ordinary user: tcpdump with libpcap's mapped ring, nmap's ARP scan,
//! busybox's DHCP client and server.

use lab_tests::family::{Family, Host};
use lab_tests::{Guard, Place, User, in_each_family, program, wait_for};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

const LAB: &str = r#"
name = "packet"
[node]
h1 = {}
h2 = {}
[bus]
lan = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["h1", "h2"] }
"#;
const H1: Host = Host(1, 1);
const H2: Host = Host(1, 2);
const BOUND: Duration = Duration::from_secs(30);

in_each_family!(tcpdump_sees_both_directions_of_a_ping, frames_are_chosen_and_cut_as_the_filter_says);

fn lab(family: Family) -> Place {
    let place = Place::new(User::Ordinary);
    let lab = place.write("lab.toml", &family.topology(LAB));
    place.ok(&format!("-t {} up", lab.display()));
    place
}

/// A program on a node that goes on; what it prints, errors first, goes to a file of the working folder.
fn start(place: &Place, node: &str, command: &str, out: &str) -> Guard {
    let file = std::fs::File::create(place.path().join(out)).expect("a file");
    let words = ["exec", node, "--"].into_iter().chain(command.split_whitespace());
    let mut command = place.labctl(words);
    command.stdout(file.try_clone().expect("a copy")).stderr(file).stdin(Stdio::null());
    Guard(command.spawn().expect("labctl runs"))
}

fn read(place: &Place, out: &str) -> String {
    std::fs::read_to_string(place.path().join(out)).unwrap_or_default()
}

fn ended(mut guard: Guard, what: &str) {
    let status = wait_for(what, BOUND, || guard.0.try_wait().expect("a child"));
    assert!(status.success(), "{what}: {status}");
}

fn tcpdump_sees_both_directions_of_a_ping(family: Family) {
    program("tcpdump", "tcpdump");
    let place = lab(family);
    let ways = family.addrs(H1).into_iter().zip(family.addrs(H2));
    let modes = [
        ("eth0", "", "link-type EN10MB (Ethernet)"),
        ("eth0", "--immediate-mode", "link-type EN10MB (Ethernet)"),
        ("any", "", "link-type LINUX_SLL2"),
    ];
    for ((one, two), (interface, modes, link)) in ways.flat_map(|way| modes.map(|mode| (way, mode))) {
        let (filter, icmp) = match one.is_ipv6() {
            true => ("ip6 and ( ip6[40] == 128 or ip6[40] == 129 )", "ICMP6,"),
            false => ("icmp", "ICMP"),
        };
        let command = format!("tcpdump -i {interface} {modes} -n -tt -c 6 {filter}");
        let tcpdump = start(&place, "h1", &command, "tcpdump");
        wait_for("tcpdump to listen", BOUND, || read(&place, "tcpdump").contains("listening").then_some(()));
        let before = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
        place.ok(&format!("ping h2 {one} -c 3 -i 0.2"));
        ended(tcpdump, &command);
        let after = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
        let text = read(&place, "tcpdump");
        assert!(text.contains(link), "{text}");
        assert!(
            text.contains("6 packets captured") && text.contains("0 packets dropped by kernel"),
            "{text}"
        );
        let of = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!(of(&format!("{two} > {one}: {icmp} echo request")), 3, "{text}");
        assert_eq!(of(&format!("{one} > {two}: {icmp} echo reply")), 3, "{text}");
        let times = text.lines().filter(|line| line.contains("ICMP")).map(|line| {
            let time = line.split_whitespace().next().and_then(|time| time.parse::<f64>().ok());
            time.unwrap_or_else(|| panic!("no time in {line}"))
        });
        let times: Vec<f64> = times.collect();
        assert!(times.is_sorted() && times[0] >= before && times[5] <= after, "{before} {times:?} {after}");
    }
}

fn frames_are_chosen_and_cut_as_the_filter_says(family: Family) {
    program("tcpdump", "tcpdump");
    let place = lab(family);
    for one in family.addrs(H1) {
        let filter = if one.is_ipv6() { "ip6[40]=128" } else { "icmp[0]=8" };
        let command = format!("tcpdump -i eth0 -U -s 60 -w out.pcap {filter}");
        let tcpdump = start(&place, "h1", &command, "tcpdump");
        wait_for("tcpdump to listen", BOUND, || read(&place, "tcpdump").contains("listening").then_some(()));
        place.ok(&format!("ping h2 {one} -c 50 -i 0.01 -s 1000"));
        let out = place.path().join("out.pcap");
        let whole = || std::fs::metadata(&out).is_ok_and(|meta| meta.len() == 24 + 50 * (16 + 60));
        wait_for("the capture", BOUND, || whole().then_some(()));
        drop(tcpdump);
    }
}

#[test]
fn nmap_finds_neighbours_by_arp() {
    program("nmap", "nmap");
    let place = lab(Family::V4);
    let text = place.ok("exec h1 -- nmap --privileged -sn -n 10.0.1.0/29");
    assert!(text.contains("Nmap scan report for 10.0.1.2\nHost is up"), "{text}");
    assert!(text.contains("MAC Address:") && text.contains("(2 hosts up)"), "{text}");
}

#[test]
fn busybox_gives_and_takes_a_lease() {
    program("busybox", "busybox-static");
    let place = lab(Family::V4);
    let leases = place.path().join("leases");
    std::fs::write(&leases, "").expect("a file");
    std::fs::set_permissions(&leases, PermissionsExt::from_mode(0o666)).expect("chmod");
    let script = place.write("script", "#!/bin/sh\necho \"$1 $interface $ip $subnet $router\"\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
    place.write(
        "udhcpd.conf",
        &format!(
            "start 10.0.1.50\nend 10.0.1.50\ninterface eth0\nlease_file {}\npidfile {}\n\
             option subnet 255.255.255.0\noption router 10.0.1.1\n",
            leases.display(),
            place.path().join("pid").display()
        ),
    );
    let _server = start(&place, "h1", "busybox udhcpd -f udhcpd.conf", "udhcpd");
    wait_for("udhcpd", BOUND, || read(&place, "udhcpd").contains("started").then_some(()));
    let text = place.ok(&format!("exec h2 -- busybox udhcpc -i eth0 -f -q -n -s {}", script.display()));
    assert!(
        text.contains("bound eth0 10.0.1.50 255.255.255.0 10.0.1.1"),
        "{text}\n{}",
        read(&place, "udhcpd")
    );
    assert!(!read(&place, "udhcpd").contains("can't"), "{}", read(&place, "udhcpd"));
}

/// The node holds a copy of a mapped socket's end, so somebody else must see that the program has closed it.
#[test]
fn a_mapped_socket_ends_with_its_program_and_not_with_its_session() {
    program("tcpdump", "tcpdump");
    let place = lab(Family::V4);
    let script = place.write("script", "tcpdump -i eth0 -n -c 1 icmp\necho ended\nexec sleep 1000\n");
    let _session = start(&place, "h1", &format!("sh {}", script.display()), "tcpdump");
    wait_for("tcpdump to listen", BOUND, || read(&place, "tcpdump").contains("listening").then_some(()));
    let sockets = || place.ok("exec h1 -- cat /proc/net/packet");
    assert_eq!(sockets().lines().count(), 2);
    place.ok("ping h2 10.0.1.1 -c 1");
    wait_for("tcpdump to end", BOUND, || read(&place, "tcpdump").contains("ended").then_some(()));
    wait_for("its socket to end", BOUND, || (sockets().lines().count() == 1).then_some(()));
}
