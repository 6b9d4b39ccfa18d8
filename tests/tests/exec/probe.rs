//! What goes along a path: ping, traceroute, mtr, nmap.

use lab_tests::exec::{H2, Lab, R1};
use lab_tests::family::{Family, Host};
use lab_tests::{in_each_family, program};
use std::net::IpAddr;

in_each_family!(ping_and_traceroute_see_the_router, mtr_reports_each_hop, nmap_finds_the_open_port);

/// The router's and the second host's addresses, of each family.
fn ways(family: Family) -> impl Iterator<Item = (IpAddr, IpAddr, &'static str)> {
    let ways = family.addrs(R1).into_iter().zip(family.addrs(H2));
    ways.map(|(router, to)| (router, to, if to.is_ipv6() { "-6" } else { "-4" }))
}

fn ping_and_traceroute_see_the_router(family: Family) {
    program("ping", "iputils-ping");
    program("traceroute", "traceroute");
    let lab = Lab::across_a_router(family);
    for (router, to, version) in ways(family) {
        let pinged = lab.run("h1", &format!("ping {version} -c 3 -i 0.01 h2"));
        let seen = String::from_utf8_lossy(&pinged.stdout);
        let sixty_three = seen.contains("ttl=63") && seen.contains(&to.to_string());
        assert!(seen.contains("3 received, 0% packet loss") && sixty_three, "{pinged:?}");
        assert!(pinged.stderr.is_empty(), "{pinged:?}");
        let expired = lab.run("h1", &format!("ping -n -c 1 -t 1 {to}"));
        let seen = String::from_utf8_lossy(&expired.stdout);
        let from = format!("From {router} icmp_seq=1 Time ");
        assert!(seen.contains(&from) && seen.contains("exceeded"), "{expired:?}");
        assert_eq!(expired.status.code(), Some(1));
        // Packets that are too large for the path, and may be broken up by who sends them.
        let large = lab.ok("h1", &format!("ping {version} -c 2 -i 0.01 -s 4000 h2"));
        assert!(large.contains("2 received"), "{large}");
        // As long as it may take: by itself traceroute waits for a hop at most ten times as long as for the next.
        for how in ["-q 1", "-q 1 -I", "-q 1 -T -p 99", "-q 10 -T -p 99"] {
            let path = lab.ok("h1", &format!("traceroute {version} -n -w 5,10000,10000 {how} h2"));
            let hops: Vec<&str> =
                path.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
            assert_eq!(hops, [router.to_string(), to.to_string()], "traceroute {how}: {path}");
        }
    }
}

fn mtr_reports_each_hop(family: Family) {
    program("mtr", "mtr-tiny");
    let lab = Lab::across_a_router(family);
    for (router, to, version) in ways(family) {
        for how in ["", "--udp", "--tcp -P 99"] {
            let report = lab.ok("h1", &format!("mtr {version} -n -r -c 1 -G 1 {how} h2"));
            let hop = |nth: &str, addr: IpAddr| {
                let line = report.lines().find(|line| line.trim_start().starts_with(nth));
                line.is_some_and(|line| line.contains(&addr.to_string()) && line.contains(" 0.0%"))
            };
            assert!(hop("1.|--", router) && hop("2.|--", to), "mtr {how}: {report}");
        }
    }
}

fn nmap_finds_the_open_port(family: Family) {
    program("nmap", "nmap");
    program("socat", "socat");
    let mut lab = Lab::across_a_router(family);
    let listen = if family.has_v6() { "TCP6-LISTEN:99,fork,ipv6only=0" } else { "TCP4-LISTEN:99,fork" };
    lab.start_words("h2", &["socat", "-t", "60", listen, "SYSTEM:true"]);
    lab.receives("h2", "tcp", 99);
    for to in family.addrs(H2) {
        let version = if to.is_ipv6() { "-6" } else { "" };
        let scan = lab.ok("h1", &format!("nmap {version} -sT -n -p 60-120 --max-retries 5 {to}"));
        assert!(
            scan.contains("Not shown: 60 closed") && scan.contains("99/tcp open"),
            "{scan}{}",
            lab.outputs()
        );
        let (router, nobody) = match to {
            IpAddr::V4(_) => (Family::V4.addr(Host(2, 1)), Family::V4.addr(Host(2, 3))),
            IpAddr::V6(_) => (Family::V6.addr(Host(2, 1)), Family::V6.addr(Host(2, 3))),
        };
        let found = lab.ok("h1", &format!("nmap {version} -sn -n {router} {to} {nobody}"));
        let up = |addr: IpAddr| found.contains(&format!("report for {addr}\nHost is up"));
        assert!(up(router) && up(to) && !up(nobody), "{found}");
    }
}
