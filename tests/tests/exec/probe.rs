//! What goes along a path: ping, traceroute, mtr, nmap.

use lab_tests::exec::Lab;
use lab_tests::program;

#[test]
fn ping_and_traceroute_see_the_router() {
    program("ping", "iputils-ping");
    program("traceroute", "traceroute");
    let lab = Lab::across_a_router();
    let pinged = lab.run("h1", "ping -c 3 -i 0.01 h2");
    let seen = String::from_utf8_lossy(&pinged.stdout);
    assert!(seen.contains("3 received, 0% packet loss") && seen.contains("ttl=63"), "{pinged:?}");
    assert!(pinged.stderr.is_empty(), "{pinged:?}");
    let expired = lab.run("h1", "ping -c 1 -t 1 h2");
    assert!(
        String::from_utf8_lossy(&expired.stdout).contains("From h1 (10.0.1.1)")
            || String::from_utf8_lossy(&expired.stdout).contains("Time to live exceeded"),
        "{expired:?}"
    );
    assert_eq!(expired.status.code(), Some(1));
    // Packets that are too large for the path, and may not be broken up.
    let large = lab.ok("h1", "ping -c 2 -i 0.01 -s 4000 h2");
    assert!(large.contains("2 received"), "{large}");
    // As long as it may take: by itself traceroute waits for a hop at most ten times as long as for the next.
    for how in ["", "-I", "-T -p 99"] {
        let path = lab.ok("h1", &format!("traceroute -n -q 1 -w 5,10000,10000 {how} 10.0.2.2"));
        let hops: Vec<&str> =
            path.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(hops, ["10.0.1.1", "10.0.2.2"], "traceroute {how}: {path}");
    }
}

#[test]
fn mtr_reports_each_hop() {
    program("mtr", "mtr-tiny");
    let lab = Lab::across_a_router();
    for how in ["", "--udp", "--tcp -P 99"] {
        let report = lab.ok("h1", &format!("mtr -n -r -c 1 -G 1 {how} 10.0.2.2"));
        let hop = |nth: &str, addr: &str| {
            let line = report.lines().find(|line| line.trim_start().starts_with(nth));
            line.is_some_and(|line| line.contains(addr) && line.contains(" 0.0%"))
        };
        assert!(hop("1.|--", "10.0.1.1") && hop("2.|--", "10.0.2.2"), "mtr {how}: {report}");
    }
}

#[test]
fn nmap_finds_the_open_port() {
    program("nmap", "nmap");
    program("socat", "socat");
    let mut lab = Lab::across_a_router();
    lab.start_words("h2", &["socat", "-t", "60", "TCP-LISTEN:99,fork", "SYSTEM:true"]);
    lab.receives("h2", "tcp", 99);
    let scan = lab.ok("h1", "nmap -sT -n -p 60-120 --max-retries 5 10.0.2.2");
    assert!(scan.contains("Not shown: 60 closed") && scan.contains("99/tcp open"), "{scan}");
    let found = lab.ok("h1", "nmap -sn -n 10.0.2.1-3");
    assert!(
        found.contains("10.0.2.1") && found.contains("10.0.2.2") && !found.contains("10.0.2.3\n"),
        "{found}"
    );
}
