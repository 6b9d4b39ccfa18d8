//! Routing daemons for real: BIRD with OSPF, BGP and RIP, and FRR as its neighbour. Routes reach the node's kernel and move.

use lab_tests::exec::Lab;
use lab_tests::{Place, User, program};

/// Three routers in a triangle, each with an address of its own that only a routing protocol tells the others.
const TRIANGLE: &str = r#"
name = "lab"
[node]
r1 = { forward = true, routing = "none", loopback = ["10.255.0.1/32"] }
r2 = { forward = true, routing = "none", loopback = ["10.255.0.2/32"] }
r3 = { forward = true, routing = "none", loopback = ["10.255.0.3/32"] }
[bus]
b12 = { subnet = "10.0.12.0/24", nodes = ["r1", "r2"] }
b23 = { subnet = "10.0.23.0/24", nodes = ["r2", "r3"] }
b13 = { subnet = "10.0.13.0/24", nodes = ["r1", "r3"] }
"#;

/// BIRD on a router, in the foreground; `protocol` is what it speaks.
fn start_bird(lab: &mut Lab, nth: usize, protocol: &str) {
    let bird = program("bird", "bird2").display().to_string();
    let name = format!("bird{nth}.conf");
    lab.place.write(
        &name,
        &format!(
            "router id 10.255.0.{nth}; log stderr all;\n\
             protocol device {{ scan time 1; }}\n\
             protocol direct {{ ipv4; interface \"lo\"; }}\n\
             protocol kernel {{ ipv4 {{ export where source != RTS_DEVICE; import none; }}; }}\n{protocol}"
        ),
    );
    lab.start(&format!("r{nth}"), &format!("{bird} -f -c {name} -s bird{nth}.ctl"));
}

#[test]
fn ospf_finds_ways_around_a_link_that_goes_down() {
    let mut lab = Lab::up(Place::new(User::Ordinary), TRIANGLE);
    let ospf = "protocol ospf v2 { ipv4 { import all; export none; }; area 0 {\n\
                interface \"eth*\" { hello 1; dead 3; wait 2; type broadcast; }; interface \"lo\" { stub; }; }; }\n";
    for nth in 1..=3 {
        start_bird(&mut lab, nth, ospf);
    }
    // Directly first.
    lab.route("r1", &["10.255.0.3", "10.0.13."]);
    lab.route("r3", &["10.255.0.1", "10.0.13."]);
    lab.route("r2", &["10.255.0.3", "10.0.23."]);
    assert!(lab.ok("r1", "ping -c 1 -I 10.255.0.1 10.255.0.3").contains("1 received"));
    lab.until("two neighbours", || {
        lab.ok("r1", "birdc -s bird1.ctl show ospf neighbors").matches("Full/").count() == 2
    });
    // A connection between the two stays while its way moves.
    lab.start_words("r3", &["socat", "-t", "60", "TCP-LISTEN:99,bind=10.255.0.3,fork", "SYSTEM:cat"]);
    lab.receives("r3", "tcp", 99);
    let client = lab.start_words(
        "r1",
        &[
            "socat",
            "-t",
            "60",
            "SYSTEM:echo one; while test ! -e moved; do sleep 0.1; done; echo two; exec cat >echoed",
            "TCP:10.255.0.3:99,bind=10.255.0.1",
        ],
    );
    lab.until("a connection", || lab.sockets("r3").iter().any(|socket| socket["state"] == "ESTAB"));
    lab.place.ok("link down r1:eth1");
    lab.route("r1", &["10.255.0.3", "10.0.12.2"]);
    lab.route("r3", &["10.255.0.1", "10.0.23."]);
    assert!(lab.ok("r1", "ping -c 1 -I 10.255.0.1 10.255.0.3").contains("1 received"));
    lab.place.write("moved", "");
    lab.until("an echo", || {
        std::fs::read_to_string(lab.file("echoed")).is_ok_and(|text| text.contains("two"))
    });
    drop(client);
    let path = lab.ok("r1", "traceroute -n -q 1 -s 10.255.0.1 10.255.0.3");
    assert!(path.contains("10.0.12.2"), "{path}");
    // And back, when the link is there again.
    lab.place.ok("link up r1:eth1");
    lab.route("r1", &["10.255.0.3", "10.0.13."]);
}

#[test]
fn rip_tells_routes_over_two_hops() {
    let mut lab = Lab::up(Place::new(User::Ordinary), CHAIN);
    let rip = "protocol rip { ipv4 { import all; export all; }; interface \"eth*\" { mode multicast; update time 2; }; }\n";
    for nth in 1..=3 {
        start_bird(&mut lab, nth, rip);
    }
    lab.route("r1", &["10.255.0.3", "10.0.12.2"]);
    lab.route("r3", &["10.255.0.1", "10.0.23."]);
    assert!(lab.ok("r1", "ping -c 1 -I 10.255.0.1 10.255.0.3").contains("1 received"));
}

/// Three routers in a row.
const CHAIN: &str = r#"
name = "lab"
[node]
r1 = { forward = true, routing = "none", loopback = ["10.255.0.1/32"] }
r2 = { forward = true, routing = "none", loopback = ["10.255.0.2/32"] }
r3 = { forward = true, routing = "none", loopback = ["10.255.0.3/32"] }
[bus]
b12 = { subnet = "10.0.12.0/24", nodes = ["r1", "r2"] }
b23 = { subnet = "10.0.23.0/24", nodes = ["r2", "r3"] }
"#;

#[test]
fn bgp_carries_routes_between_systems() {
    let mut lab = Lab::up(Place::new(User::Ordinary), CHAIN);
    let bgp = |me: usize, peers: &[(usize, &str)]| -> String {
        let peer = |(peer, addr): &(usize, &str)| {
            format!(
                "protocol bgp to{peer} {{ local as 6500{me}; neighbor {addr} as 6500{peer}; connect delay time 1; \
                 connect retry time 1; hold time 3; ipv4 {{ import all; export all; next hop self; }}; }}\n"
            )
        };
        peers.iter().map(peer).collect()
    };
    start_bird(&mut lab, 1, &bgp(1, &[(2, "10.0.12.2")]));
    start_bird(&mut lab, 2, &bgp(2, &[(1, "10.0.12.1"), (3, "10.0.23.2")]));
    start_bird(&mut lab, 3, &bgp(3, &[(2, "10.0.23.1")]));
    lab.route("r1", &["10.255.0.3", "10.0.12.2"]);
    lab.route("r3", &["10.255.0.1", "10.0.23.1"]);
    assert!(lab.ok("r1", "ping -c 1 -I 10.255.0.1 10.255.0.3").contains("1 received"));
    let path = lab.ok("r1", "birdc -s bird1.ctl show route 10.255.0.3/32 all");
    assert!(path.contains("BGP.as_path: 65002 65003"), "{path}");
    // A speaker that dies takes its routes with it.
    lab.place.ok("kill r3");
    lab.until("a route that is withdrawn", || !lab.place.ok("show route r1").contains("10.255.0.3"));
}

/// FRR in the middle: OSPF with a BIRD on one side, BGP with another on the other side, each told of the other.
#[test]
fn frr_is_a_neighbour_of_birds() {
    let daemon = |name: &str| program(&format!("/usr/lib/frr/{name}"), "frr").display().to_string();
    let fakeroot = program("fakeroot", "fakeroot").display().to_string();
    let place = Place::new(User::Ordinary);
    let (uid, gid) = place.ids();
    let here = place.path().display().to_string();
    place.write("passwd", &format!("frr:x:{uid}:{gid}::{here}:/bin/sh\nroot:x:0:0::/:/bin/sh\n"));
    place.write("group", &format!("frr:x:{gid}:\nfrrvty:x:{gid}:frr\n"));
    place.write("zebra.conf", "ip router-id 10.255.0.2\n");
    place.write(
        "ospfd.conf",
        "interface eth0\n ip ospf hello-interval 1\n ip ospf dead-interval 3\nrouter ospf\n \
         ospf router-id 10.255.0.2\n network 10.0.12.0/24 area 0\n redistribute connected\n redistribute bgp\n",
    );
    place.write(
        "bgpd.conf",
        "router bgp 65002\n bgp router-id 10.255.0.2\n no bgp ebgp-requires-policy\n \
         neighbor 10.0.23.2 remote-as 65003\n neighbor 10.0.23.2 timers 1 3\n neighbor 10.0.23.2 timers connect 1\n \
         address-family ipv4 unicast\n  redistribute connected\n  redistribute ospf\n",
    );
    let files = r#"r2 = { files = { "/etc/passwd" = "passwd", "/etc/group" = "group" },"#;
    let mut lab = Lab::up(place, &CHAIN.replace("r2 = {", files));
    let flags = |name: &str| {
        format!(
            "-f {here}/{name}.conf -u frr -g frr --vty_socket {here} -i {here}/{name}.pid -z {here}/zserv --log stdout"
        )
    };
    lab.start("r2", &format!("{} {}", daemon("zebra"), flags("zebra")));
    lab.until("zebra's socket", || lab.file("zserv").exists());
    // It wants to be started by root, though it needs nothing of it.
    lab.start("r2", &format!("{fakeroot} -- {} {}", daemon("ospfd"), flags("ospfd")));
    lab.start("r2", &format!("{} {}", daemon("bgpd"), flags("bgpd")));
    start_bird(
        &mut lab,
        1,
        "protocol ospf v2 { ipv4 { import all; export none; }; area 0 {\n\
         interface \"eth*\" { hello 1; dead 3; wait 2; type broadcast; }; interface \"lo\" { stub; }; }; }\n",
    );
    start_bird(
        &mut lab,
        3,
        "protocol bgp { local as 65003; neighbor 10.0.23.1 as 65002; connect delay time 1; connect retry time 1; \
         hold time 3; ipv4 { import all; export all; next hop self; }; }\n",
    );
    lab.route("r2", &["10.255.0.1", "10.0.12.1"]);
    lab.route("r2", &["10.255.0.3", "10.0.23.2"]);
    lab.route("r1", &["10.255.0.3", "10.0.12.2"]);
    lab.route("r3", &["10.255.0.1", "10.0.23.1"]);
    assert!(lab.ok("r1", "ping -c 1 -I 10.255.0.1 10.255.0.3").contains("1 received"));
}
