//! Names: dig against dnsmasq, and the node's own files.

use lab_tests::exec::Lab;
use lab_tests::program;

#[test]
fn dig_asks_dnsmasq() {
    program("dig", "bind9-dnsutils");
    let dnsmasq = program("dnsmasq", "dnsmasq-base").display().to_string();
    let mut lab = Lab::across_a_router();
    let flags = "-k -C /dev/null --no-resolv --no-hosts --pid-file= --log-facility=- -u nobody --address=/x.test/192.0.2.7 \
                 --txt-record=long.test,";
    let long = vec!["a-rather-long-text-that-fills-an-answer"; 40].join(",");
    lab.start("h2", &format!("{dnsmasq} {flags}{long}"));
    lab.receives("h2", "udp", 53);
    lab.receives("h2", "tcp", 53);
    assert_eq!(lab.ok("h1", "dig +short +time=5 @10.0.2.2 x.test"), "192.0.2.7\n");
    assert_eq!(lab.ok("h1", "dig +short +tcp +time=5 @h2 x.test"), "192.0.2.7\n");
    // Truncated over UDP, so asked again over TCP.
    let long = lab.ok("h1", "dig +noedns +time=5 @h2 long.test txt");
    assert!(long.contains("retrying in TCP mode") && long.contains("fills-an-answer"), "{long}");
    let refused = lab.run("h1", "dig +time=1 +tries=1 @10.0.1.1 x.test");
    assert!(String::from_utf8_lossy(&refused.stdout).contains("connection refused"), "{refused:?}");
}

#[test]
fn a_node_has_names_of_its_own() {
    let lab = Lab::across_a_router();
    assert_eq!(lab.ok("h1", "getent ahostsv4 r1").split_whitespace().next(), Some("10.0.1.1"));
    assert_eq!(lab.ok("h2", "uname -n"), "h2\n");
    assert_eq!(lab.ok("h2", "cat /etc/hostname"), "h2\n");
    assert_eq!(lab.ok("r1", "hostname"), "r1\n");
}
