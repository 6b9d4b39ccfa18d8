//! The neighbours of a link, the routers that advertise there and the hosts that listen, as iproute2 shows and changes them.

use lab_tests::exec::{H2, Lab, R1};
use lab_tests::family::{Family, Host};
use lab_tests::{Place, User, in_each_family, program};

in_each_family!(ping_counts_on_what_the_path_takes, programs_write_neighbours);

/// A host that waits for a router's word, which nobody but a program may give; the second host has what the topology says.
const WAITING: &str = r#"
name = "lab"
[node]
h1 = { if.eth0 = { bus = "left", address = "slaac", privacy = "eui64", mac = "02:00:00:00:00:11" } }
h3 = { if.eth0 = { bus = "left", address = "slaac", privacy = "temporary", dad = "off" } }
r1 = { forward = true, if.eth0 = { bus = "left", ip = "fd00:1::1/64" }, if.eth1 = { bus = "right" } }
h2 = { if.eth0 = { bus = "right", gateway = "fd00:2::1" } }
[bus]
left = {}
right = { subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
"#;

/// An address of a node's that stands on this prefix, as soon as it has one.
fn learnt(lab: &Lab, node: &str, prefix: &str) -> String {
    let mut found = None;
    lab.until(&format!("an address of {prefix} on {node}"), || {
        let shown = lab.ok(node, "ip -6 -o addr show dev eth0");
        let mut words = shown.split_whitespace().filter_map(|word| word.split_once('/'));
        found = words.find(|(addr, _)| addr.starts_with(prefix)).map(|(addr, _)| addr.to_owned());
        found.is_some()
    });
    found.expect("it was waited for")
}

#[test]
fn radvd_gives_hosts_addresses_routes_and_name_servers() {
    let radvd = program("radvd", "radvd").display().to_string();
    program("ip", "iproute2");
    let place = Place::new(User::Ordinary);
    let here = place.path().display().to_string();
    place.write(
        "radvd.conf",
        "interface eth0 {\n\
           AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultPreference high;\n\
           AdvCurHopLimit 77; AdvLinkMTU 1400; AdvReachableTime 20000; AdvRetransTimer 500;\n\
           prefix fd00:1::/64 { AdvOnLink on; AdvAutonomous on; };\n\
           route fd00:9::/48 { AdvRoutePreference low; };\n\
           RDNSS fd00:2::53 fd00:2::54 { AdvRDNSSLifetime 30; };\n\
           DNSSL lab.test { };\n\
         };\n",
    );
    let mut lab = Lab::up(place, WAITING);
    // Until then they have the link's address and nobody to ask.
    assert!(!lab.run("h1", "ping -c 1 -W 1 fd00:2::2").status.success());
    let radvd =
        lab.start("r1", &format!("{radvd} -n -C {here}/radvd.conf -p {here}/radvd.pid -m stderr -d 1"));
    assert_eq!(learnt(&lab, "h1", "fd00:1::"), "fd00:1::ff:fe00:11");
    lab.until("a default route", || lab.ok("h1", "ip -6 route").contains("default via fe80::"));
    let routes = lab.ok("h1", "ip -6 route");
    let has = |parts: &[&str]| routes.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    let of_link = ["expires ", "sec mtu 1400 hoplimit 77 pref high"];
    assert!(has(&[&["default via fe80::", "proto ra metric 1024"][..], &of_link].concat()), "{routes}");
    assert!(has(&["fd00:9::/48 via fe80::", "proto ra metric 1024", "expires ", "sec pref low"]), "{routes}");
    assert!(
        has(&["fd00:1::/64 dev eth0 proto kernel metric 256", "expires ", "sec pref medium"]),
        "{routes}"
    );
    lab.until("the router among the neighbours", || {
        let neighbours = lab.ok("h1", "ip -6 neigh show dev eth0");
        neighbours.lines().any(|line| line.starts_with("fe80::") && line.contains(" router "))
    });
    let pinged = lab.ok("h1", "ping -c 1 fd00:2::2");
    assert!(pinged.contains("1 received") && pinged.contains("ttl=63"), "{pinged}");
    let back = lab.ok("h2", "ping -c 1 fd00:1::ff:fe00:11");
    // The hop limit, less the router's.
    assert!(back.contains("ttl=76"), "{back}");
    let value = |name: &str| lab.ok("h1", &format!("cat /proc/sys/net/ipv6/{name}")).trim().to_owned();
    assert_eq!(value("conf/eth0/hop_limit"), "77");
    assert_eq!(value("conf/eth0/mtu"), "1400");
    assert_eq!(value("neigh/eth0/base_reachable_time_ms"), "20000");
    assert_eq!(value("neigh/eth0/retrans_time_ms"), "500");
    let resolv = lab.ok("h1", "cat /etc/resolv.conf");
    let lines: Vec<_> = resolv.lines().filter(|line| !line.starts_with(['#', 'o'])).collect();
    assert_eq!(lines, ["nameserver fd00:2::53", "nameserver fd00:2::54", "search lab.test"]);
    // Who wants to be known by another address each day is.
    let temporary = lab.ok("h3", "ip -6 addr show dev eth0 temporary");
    assert!(temporary.contains("scope global temporary dynamic"), "{temporary}");
    let got = lab.ok("h3", "ip -6 route get fd00:2::2");
    let source = got.split_whitespace().skip_while(|word| *word != "src").nth(1).expect("a source");
    assert!(temporary.contains(source), "{got} {temporary}");
    // The daemon has told its own interface as well, and complains of nothing.
    let said = radvd.output();
    assert!(!said.contains("failed") && !said.contains("error"), "{said}");
    assert_eq!(lab.ok("r1", "cat /proc/sys/net/ipv6/conf/eth0/hop_limit"), "77\n");
}

#[test]
fn a_daemon_that_ends_takes_its_word_back() {
    let radvd = program("radvd", "radvd").display().to_string();
    let place = Place::new(User::Ordinary);
    let here = place.path().display().to_string();
    place.write(
        "radvd.conf",
        "interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; prefix fd00:1::/64 { }; };\n",
    );
    let mut lab = Lab::up(place, WAITING);
    let radvd = lab.start("r1", &format!("{radvd} -n -C {here}/radvd.conf -p {here}/radvd.pid -m stderr"));
    lab.until("a default route", || lab.ok("h1", "ip -6 route").contains("default via fe80::"));
    lab.sh("r1", &format!("kill $(cat {here}/radvd.pid)"));
    assert_eq!(lab.wait(&radvd), Some(0));
    // Its last word has a router lifetime of 0.
    lab.until("no default route", || !lab.ok("h1", "ip -6 route").contains("default"));
}

/// The topology's own router, asked by a host's tools.
#[test]
fn rdisc6_and_ndisc6_ask_on_the_link() {
    program("rdisc6", "ndisc6");
    program("ndisc6", "ndisc6");
    let lab = Lab::up(
        Place::new(User::Ordinary),
        r#"
name = "lab"
[node]
h1 = { if.eth0 = { bus = "left", mac = "02:00:00:00:00:11" } }
r1 = { forward = true, if.eth0 = { bus = "left", mac = "02:00:00:00:00:01", dad = "off", ra = { mtu = 1400, rdnss = "fd00:1::53", hop_limit = 33, preference = "low" } } }
[bus]
left = { subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
"#,
    );
    let advert = lab.ok("h1", "rdisc6 -1 eth0");
    let has = |parts: &[&str]| advert.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    for parts in [
        &["Hop limit", " 33 "][..],
        &["Router preference", "low"],
        &["Prefix", "fd00:1::/64"],
        &["MTU", " 1400 bytes"],
        &["Source link-layer", "02:00:00:00:00:01"],
        &["Recursive DNS server", "fd00:1::53"],
        &["from fe80::"],
    ] {
        assert!(has(parts), "{parts:?}: {advert}");
    }
    assert_eq!(lab.ok("h1", "ndisc6 -1 -q fd00:1::1 eth0"), "02:00:00:00:00:01\n");
    assert_eq!(lab.ok("r1", "ndisc6 -1 -q fd00:1::2 eth0"), "02:00:00:00:00:11\n");
    let nobody = lab.run("h1", "ndisc6 -1 -r 1 -w 100 fd00:1::99 eth0");
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
}

#[test]
fn addresses_of_a_link_are_reached_with_its_name() {
    program("ping", "iputils-ping");
    let mut lab = Lab::across_a_router(Family::Dual);
    let router = lab.address_of_link("r1", "eth0");
    for words in [
        format!("ping -c 1 {router}%eth0"),
        format!("ping -c 1 -I eth0 {router}"),
        "ping -c 1 -I eth0 ff02::2".to_owned(),
    ] {
        let pinged = lab.ok("h1", &words);
        assert!(pinged.contains("1 received") && pinged.contains(&router), "{words}: {pinged}");
    }
    // Without a zone an address of a link is none.
    let zoneless = lab.run("h1", "curl -sS --connect-timeout 5 http://[fe80::99]/");
    assert_eq!(zoneless.status.code(), Some(7), "{zoneless:?}");
    lab.start("r1", "python3 -m http.server -b :: 80");
    lab.receives("r1", "tcp", 80);
    for zone in ["%25eth0", "%eth0"] {
        let fetched =
            lab.ok("h1", &format!("curl -6 -sS -o /dev/null -w %{{http_code}} http://[{router}{zone}]/"));
        assert_eq!(fetched, "200", "{zone}");
    }
    let path = lab.ok("h1", &format!("traceroute -6 -n -q 1 -w 5,10000,10000 {router}%eth0"));
    assert!(path.lines().nth(1).is_some_and(|hop| hop.contains(&format!(" 1  {router}"))), "{path}");
    let neighbours = lab.ok("h1", "ip -6 neigh show dev eth0");
    assert!(neighbours.contains(&format!("{router} lladdr ")), "{neighbours}");
}

#[test]
fn ip_monitors_what_changes() {
    program("ip", "iproute2");
    let mut lab = Lab::across_a_router(Family::V6);
    let monitor = lab.start("h1", "ip -6 monitor address route neigh");
    // It watches as soon as it sees something.
    lab.until("a monitor", || {
        let neighbour = "fd00:1::66 lladdr 02:00:00:00:00:66 dev eth0";
        lab.sh("h1", &format!("ip -6 neigh replace {neighbour} && ip -6 neigh del {neighbour}"));
        monitor.output().contains("fd00:1::66")
    });
    lab.sh(
        "h1",
        "ip addr add fd00:1::77/64 dev eth0 && ip -6 route add fd00:9::/48 via fd00:1::1 && \
         ip -6 neigh replace fd00:1::88 lladdr 02:00:00:00:00:88 dev eth0 && ip -6 neigh del fd00:1::88 dev eth0 && \
         ip -6 route del fd00:9::/48 && ip addr del fd00:1::77/64 dev eth0",
    );
    monitor.prints("Deleted 2: eth0");
    let said = monitor.prints("Deleted fd00:9::/48 via fd00:1::1 dev eth0");
    for part in [
        "inet6 fd00:1::77/64 scope global",
        "\nfd00:9::/48 via fd00:1::1 dev eth0",
        "fd00:1::88 dev eth0 lladdr 02:00:00:00:00:88 PERMANENT",
        "Deleted fd00:1::88 dev eth0",
    ] {
        assert!(said.contains(part), "{part:?}: {said}");
    }
}

fn ping_counts_on_what_the_path_takes(family: Family) {
    let lab = Lab::across_a_router(family);
    // The far link is narrower: who sends learns of it from the router (RFC 1191, RFC 8201).
    lab.ok("r1", "ip link set eth1 mtu 1300");
    lab.ok("h2", "ip link set eth0 mtu 1300");
    for (router, to) in family.addrs(R1).into_iter().zip(family.addrs(H2)) {
        assert!(!lab.ok("h1", &format!("ip route get {to}")).contains("mtu "));
        let first = lab.run("h1", &format!("ping -M do -c 1 -W 5 -s 1352 {to}"));
        let said = String::from_utf8_lossy(&first.stdout);
        let told =
            if to.is_ipv6() { "Packet too big: mtu=1300" } else { "Frag needed and DF set (mtu = 1300)" };
        assert!(said.contains(&format!("From {router} icmp_seq=1 {told}")), "{first:?}");
        let got = lab.ok("h1", &format!("ip route get {to}"));
        let told = got.split_once("expires ").and_then(|(_, rest)| rest.split_once("sec mtu 1300"));
        let seconds = told.and_then(|(seconds, _)| seconds.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| (400..=600).contains(&seconds)), "{got}");
        // Afterwards it is broken up by who sends it.
        assert!(lab.ok("h1", &format!("ping -c 1 -s 1352 {to}")).contains("1 received"));
    }
}

fn programs_write_neighbours(family: Family) {
    program("ip", "iproute2");
    let lab = Lab::across_a_router(family);
    for (router, nobody) in family.addrs(R1).into_iter().zip(family.addrs(Host(1, 77))) {
        let shown = |addr| lab.ok("h1", &format!("ip neigh show {addr} dev eth0"));
        let neigh = |words: &str| lab.run("h1", &format!("ip neigh {words}"));
        let tell =
            |words: &str| assert!(neigh(words).status.success(), "ip neigh {words}: {:?}", neigh(words));
        let at = |last: u8| format!("{nobody} dev eth0 lladdr 02:00:00:00:00:{last}");
        tell(&format!("add {} nud permanent", at(77)));
        assert_eq!(shown(nobody).trim(), format!("{nobody} lladdr 02:00:00:00:00:77 PERMANENT"));
        let twice = neigh(&format!("add {} nud permanent", at(77)));
        assert!(String::from_utf8_lossy(&twice.stderr).contains("File exists"), "{twice:?}");
        tell(&format!("replace {} router nud reachable", at(78)));
        assert_eq!(shown(nobody).trim(), format!("{nobody} lladdr 02:00:00:00:00:78 router REACHABLE"));
        tell(&format!("change {nobody} dev eth0 nud stale"));
        assert_eq!(shown(nobody).trim(), format!("{nobody} lladdr 02:00:00:00:00:78 STALE"));
        tell(&format!("change {nobody} dev eth0 nud delay"));
        assert_eq!(shown(nobody).trim(), format!("{nobody} lladdr 02:00:00:00:00:78 DELAY"));
        // Nobody answers what is asked of them.
        tell(&format!("change {nobody} dev eth0 nud probe"));
        lab.until("a probe in vain", || shown(nobody).contains("FAILED"));
        tell(&format!("del {nobody} dev eth0"));
        assert_eq!(shown(nobody), "");
        assert!(!neigh(&format!("change {} nud stale", at(77))).status.success());
        assert!(!neigh(&format!("del {nobody} dev eth0")).status.success());
        // Somebody is found without a packet for him, and is asked whether he is still there.
        tell("flush dev eth0");
        assert_eq!(shown(router), "");
        tell(&format!("replace {router} dev eth0 use"));
        lab.until("the router", || shown(router).contains("REACHABLE"));
        tell(&format!("change {router} dev eth0 nud probe"));
        lab.until("the router's answer", || shown(router).contains("REACHABLE"));
        assert_eq!(shown(router).contains(" router "), router.is_ipv6());
        tell(&format!("change {router} dev eth0 nud failed"));
        assert!(shown(router).contains("FAILED"));
        assert!(lab.ok("h1", &format!("ping -c 1 {router}")).contains("1 received"));
    }
}
