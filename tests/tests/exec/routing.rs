//! Routing daemons for real: BIRD with OSPF, BGP and RIP, and FRR as its neighbour. Routes reach the node's kernel and move.
//!
//! Where a lab has both families each is routed by a protocol of its own, of the same daemon.

use lab_tests::exec::Lab;
use lab_tests::family::{Family, Host, in_url};
use lab_tests::{Place, User, in_each_family, program};
use std::fmt::Write;
use std::net::IpAddr;

in_each_family!(
    ospf_finds_ways_around_a_link_that_goes_down,
    rip_tells_routes_over_two_hops,
    bgp_carries_routes_between_systems,
    frr_is_a_neighbour_of_birds,
);

/// Three routers in a triangle, each with an address of its own that only a routing protocol tells the others.
const TRIANGLE: &str = r#"
name = "lab"
[node]
r1 = { forward = true, routing = "none", loopback = ["10.0.255.1/32", "fd00:255::1/128"] }
r2 = { forward = true, routing = "none", loopback = ["10.0.255.2/32", "fd00:255::2/128"] }
r3 = { forward = true, routing = "none", loopback = ["10.0.255.3/32", "fd00:255::3/128"] }
[bus]
b12 = { subnet = "10.0.12.0/24", subnet6 = "fd00:12::/64", nodes = ["r1", "r2"] }
b23 = { subnet = "10.0.23.0/24", subnet6 = "fd00:23::/64", nodes = ["r2", "r3"] }
b13 = { subnet = "10.0.13.0/24", subnet6 = "fd00:13::/64", nodes = ["r1", "r3"] }
"#;

/// A router's address of its own.
const fn own(router: u8) -> Host {
    Host(255, router)
}

/// Whether an address is of this form of one family.
fn of(addr: IpAddr) -> Family {
    if addr.is_ipv6() { Family::V6 } else { Family::V4 }
}

/// The forms that a lab consists of.
fn parts(family: Family) -> impl Iterator<Item = Family> {
    family.addrs(own(1)).into_iter().map(of)
}

/// The word of BIRD's for a family's routes.
fn channel(part: Family) -> &'static str {
    if part.has_v6() { "ipv6" } else { "ipv4" }
}

/// BIRD on a router, in the foreground; `protocols` is what it speaks of each family.
fn start_bird(lab: &mut Lab, family: Family, nth: usize, protocols: &dyn Fn(Family) -> String) {
    let bird = program("bird", "bird2").display().to_string();
    let name = format!("bird{nth}.conf");
    let mut text = format!("router id 10.0.255.{nth}; log stderr all;\nprotocol device {{ scan time 1; }}\n");
    for part in parts(family) {
        let channel = channel(part);
        let _ = writeln!(
            text,
            "protocol direct {{ {channel}; interface \"lo\"; }}\n\
             protocol kernel {{ {channel} {{ export where source != RTS_DEVICE; import none; }}; }}\n{}",
            protocols(part)
        );
    }
    lab.place.write(&name, &text);
    lab.start(&format!("r{nth}"), &format!("{bird} -f -c {name} -s bird{nth}.ctl"));
}

/// What BIRD calls this family's OSPF.
fn ospf_name(part: Family) -> &'static str {
    if part.has_v6() { "six" } else { "four" }
}

fn ospf(part: Family) -> String {
    // Where there is no address of a link OSPFv3 does not run: what the loopback interface has comes from elsewhere.
    let (version, exported) = match part.has_v6() {
        true => ("v3", "where source = RTS_DEVICE"),
        false => ("v2", "none"),
    };
    format!(
        "protocol ospf {version} {} {{ {} {{ import all; export {exported}; }}; area 0 {{\n\
         interface \"eth*\" {{ hello 1; dead 3; wait 2; type broadcast; }}; interface \"lo\" {{ stub; }}; }}; }}\n",
        ospf_name(part),
        channel(part)
    )
}

/// Waits until a node's way to `to` is the interface `dev`, and the router `via`: as IPv6's protocols speak between
/// addresses of the link, only IPv4's neighbour is known by the topology.
fn leads(lab: &Lab, node: &str, to: IpAddr, via: Host, dev: &str) {
    let router = match to {
        IpAddr::V4(_) => format!("via {} ", Family::V4.addr(via)),
        IpAddr::V6(_) => "via f".to_owned(),
    };
    lab.route(node, &[&to.to_string(), &router, &format!("dev {dev} ")]);
}

/// One of the two answers the other's ping. Daemons that a busy host keeps from their timers may lose their ways for a moment.
fn pinged(lab: &Lab, part: Family) {
    let words = format!("ping -c 1 -W 1 -I {} {}", part.addr(own(1)), part.addr(own(3)));
    lab.until("an answer", || lab.run("r1", &words).status.success());
}

fn ospf_finds_ways_around_a_link_that_goes_down(family: Family) {
    let mut lab = Lab::up(Place::new(User::Ordinary), &family.topology(TRIANGLE));
    for nth in 1..=3 {
        start_bird(&mut lab, family, nth, &ospf);
    }
    for part in parts(family) {
        // Directly first.
        leads(&lab, "r1", part.addr(own(3)), Host(13, 2), "eth1");
        leads(&lab, "r3", part.addr(own(1)), Host(13, 1), "eth1");
        leads(&lab, "r2", part.addr(own(3)), Host(23, 2), "eth1");
        pinged(&lab, part);
        let neighbours = format!("birdc -s bird1.ctl show ospf neighbors {}", ospf_name(part));
        lab.until("two neighbours", || lab.ok("r1", &neighbours).matches("Full/").count() == 2);
    }
    // A connection between the two stays while its way moves.
    let (here, there) = (in_url(family.addr(own(1))), in_url(family.addr(own(3))));
    let v = if family.has_v6() { 6 } else { 4 };
    let listen = format!("TCP{v}-LISTEN:99,bind={there},fork");
    lab.start_words("r3", &["socat", "-t", "60", &listen, "SYSTEM:cat"]);
    lab.receives("r3", "tcp", 99);
    let client = lab.start_words(
        "r1",
        &[
            "socat",
            "-t",
            "60",
            "SYSTEM:echo one; while test ! -e moved; do sleep 0.1; done; echo two; exec cat >echoed",
            &format!("TCP{v}:{there}:99,bind={here}"),
        ],
    );
    lab.until("a connection", || lab.sockets("r3").iter().any(|socket| socket["state"] == "ESTAB"));
    lab.place.ok("link down r1:eth1");
    for part in parts(family) {
        leads(&lab, "r1", part.addr(own(3)), Host(12, 2), "eth0");
        leads(&lab, "r3", part.addr(own(1)), Host(23, 1), "eth0");
        pinged(&lab, part);
    }
    lab.place.write("moved", "");
    lab.until("an echo", || {
        std::fs::read_to_string(lab.file("echoed")).is_ok_and(|text| text.contains("two"))
    });
    drop(client);
    for part in parts(family) {
        let words = format!("traceroute -n -q 1 -s {} {}", part.addr(own(1)), part.addr(own(3)));
        let path = lab.ok("r1", &words);
        assert!(path.contains(&part.addr(Host(12, 2)).to_string()), "{path}");
    }
    // And back, when the link is there again.
    lab.place.ok("link up r1:eth1");
    for part in parts(family) {
        leads(&lab, "r1", part.addr(own(3)), Host(13, 2), "eth1");
    }
}

/// RIP version 2, and RIPng (RFC 2080).
fn rip_tells_routes_over_two_hops(family: Family) {
    let mut lab = Lab::up(Place::new(User::Ordinary), &family.topology(CHAIN));
    let rip = |part: Family| {
        let version = if part.has_v6() { "ng" } else { "" };
        format!(
            "protocol rip {version} {{ {} {{ import all; export all; }}; interface \"eth*\" {{ mode multicast; \
             update time 2; }}; }}\n",
            channel(part)
        )
    };
    for nth in 1..=3 {
        start_bird(&mut lab, family, nth, &rip);
    }
    for part in parts(family) {
        leads(&lab, "r1", part.addr(own(3)), Host(12, 2), "eth0");
        leads(&lab, "r3", part.addr(own(1)), Host(23, 1), "eth0");
        pinged(&lab, part);
    }
}

/// Three routers in a row.
const CHAIN: &str = r#"
name = "lab"
[node]
r1 = { forward = true, routing = "none", loopback = ["10.0.255.1/32", "fd00:255::1/128"] }
r2 = { forward = true, routing = "none", loopback = ["10.0.255.2/32", "fd00:255::2/128"] }
r3 = { forward = true, routing = "none", loopback = ["10.0.255.3/32", "fd00:255::3/128"] }
[bus]
b12 = { subnet = "10.0.12.0/24", subnet6 = "fd00:12::/64", nodes = ["r1", "r2"] }
b23 = { subnet = "10.0.23.0/24", subnet6 = "fd00:23::/64", nodes = ["r2", "r3"] }
"#;

/// A session of BIRD's with each of `peers`, of systems 65001 and so on.
fn bgp(part: Family, me: usize, peers: &[(usize, Host)]) -> String {
    let peer = |&(peer, host): &(usize, Host)| {
        format!(
            "protocol bgp {{ local as 6500{me}; neighbor {} as 6500{peer}; connect delay time 1; \
             connect retry time 1; hold time 3; {} {{ import all; export all; next hop self; }}; }}\n",
            part.addr(host),
            channel(part)
        )
    };
    peers.iter().map(peer).collect()
}

fn bgp_carries_routes_between_systems(family: Family) {
    let mut lab = Lab::up(Place::new(User::Ordinary), &family.topology(CHAIN));
    start_bird(&mut lab, family, 1, &|part| bgp(part, 1, &[(2, Host(12, 2))]));
    start_bird(&mut lab, family, 2, &|part| bgp(part, 2, &[(1, Host(12, 1)), (3, Host(23, 2))]));
    start_bird(&mut lab, family, 3, &|part| bgp(part, 3, &[(2, Host(23, 1))]));
    for part in parts(family) {
        leads(&lab, "r1", part.addr(own(3)), Host(12, 2), "eth0");
        leads(&lab, "r3", part.addr(own(1)), Host(23, 1), "eth0");
        pinged(&lab, part);
        let len = if part.has_v6() { 128 } else { 32 };
        let path = lab.ok("r1", &format!("birdc -s bird1.ctl show route {}/{len} all", part.addr(own(3))));
        assert!(path.contains("BGP.as_path: 65002 65003"), "{path}");
    }
    // A speaker that dies takes its routes with it.
    lab.place.ok("kill r3");
    for gone in family.addrs(own(3)) {
        let gone = format!("{gone} ");
        lab.until("a route that is withdrawn", || !lab.place.ok("show route r1").contains(&gone));
    }
}

/// FRR in the middle: OSPF with a BIRD on one side, BGP with another on the other side, each told of the other.
fn frr_is_a_neighbour_of_birds(family: Family) {
    let daemon = |name: &str| program(&format!("/usr/lib/frr/{name}"), "frr").display().to_string();
    let fakeroot = program("fakeroot", "fakeroot").display().to_string();
    let place = Place::new(User::Ordinary);
    let (uid, gid) = place.ids();
    let here = place.path().display().to_string();
    place.write("passwd", &format!("frr:x:{uid}:{gid}::{here}:/bin/sh\nroot:x:0:0::/:/bin/sh\n"));
    place.write("group", &format!("frr:x:{gid}:\nfrrvty:x:{gid}:frr\n"));
    place.write("zebra.conf", "ip router-id 10.0.255.2\n");
    place.write(
        "ospfd.conf",
        "interface eth0\n ip ospf hello-interval 1\n ip ospf dead-interval 3\nrouter ospf\n \
         ospf router-id 10.0.255.2\n network 10.0.12.0/24 area 0\n redistribute connected\n redistribute bgp\n",
    );
    place.write(
        "ospf6d.conf",
        "interface eth0\n ipv6 ospf6 hello-interval 1\n ipv6 ospf6 dead-interval 3\n ipv6 ospf6 area 0\n\
         router ospf6\n ospf6 router-id 10.0.255.2\n redistribute connected\n redistribute bgp\n",
    );
    let mut bgp_of_frr = String::from(
        "router bgp 65002\n bgp router-id 10.0.255.2\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n",
    );
    for part in parts(family) {
        let peer = part.addr(Host(23, 2));
        let ospf = if part.has_v6() { "ospf6" } else { "ospf" };
        let _ = write!(
            bgp_of_frr,
            " neighbor {peer} remote-as 65003\n neighbor {peer} timers 1 3\n neighbor {peer} timers connect 1\n \
             address-family {} unicast\n  neighbor {peer} activate\n  redistribute connected\n  \
             redistribute {ospf}\n exit-address-family\n",
            channel(part)
        );
    }
    place.write("bgpd.conf", &bgp_of_frr);
    let files = r#"r2 = { files = { "/etc/passwd" = "passwd", "/etc/group" = "group" },"#;
    let mut lab = Lab::up(place, &family.topology(&CHAIN.replace("r2 = {", files)));
    let flags = |name: &str| {
        format!(
            "-f {here}/{name}.conf -u frr -g frr --vty_socket {here} -i {here}/{name}.pid -z {here}/zserv --log stdout"
        )
    };
    lab.start("r2", &format!("{} {}", daemon("zebra"), flags("zebra")));
    lab.until("zebra's socket", || lab.file("zserv").exists());
    // They want to be started by root, though they need nothing of it.
    for part in parts(family) {
        let name = if part.has_v6() { "ospf6d" } else { "ospfd" };
        lab.start("r2", &format!("{fakeroot} -- {} {}", daemon(name), flags(name)));
    }
    lab.start("r2", &format!("{} {}", daemon("bgpd"), flags("bgpd")));
    start_bird(&mut lab, family, 1, &ospf);
    start_bird(&mut lab, family, 3, &|part| bgp(part, 3, &[(2, Host(23, 1))]));
    for part in parts(family) {
        leads(&lab, "r2", part.addr(own(1)), Host(12, 1), "eth0");
        leads(&lab, "r2", part.addr(own(3)), Host(23, 2), "eth1");
        leads(&lab, "r1", part.addr(own(3)), Host(12, 2), "eth0");
        leads(&lab, "r3", part.addr(own(1)), Host(23, 1), "eth0");
        pinged(&lab, part);
    }
}
