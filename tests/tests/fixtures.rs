//! Labs as fixtures of tests in Rust, live and in virtual time: examples to start from.

use lab_tests::root;
use labctl::fixture::{Error, Lab, Table};
use std::time::Duration;

const TWO_WAYS: &str = r#"
    [node]
    h1 = {}
    r1 = { forward = true }
    h2 = {}
    [bus]
    left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
    right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

/// What must hold on either clock.
fn works(lab: &Lab) -> Result<(), Error> {
    let (h1, h2) = (lab.node("h1"), lab.node("h2"));
    assert_eq!(h1.ping("h2")?.lost(), 0);
    assert_eq!(h1.trace("h2")?, ["r1", "h2"]);
    let transfer = h2.tcp("h1", 100_000)?;
    assert_eq!((transfer.sent, transfer.received), (100_000, 100_000));
    let transfer = h1.udp("h2", 50, 64, 1000)?;
    assert_eq!((transfer.sent, transfer.received), (50, 50));
    h2.spawn(&["httpd", "80"])?;
    h2.wait_port(80)?;
    let page = h1.run(&["get", &format!("http://{}/", h1.address("h2")?)])?;
    assert_eq!((page.status, page.out.contains("200")), (0, true), "{page:?}");
    let routes = h1.show(Table::Route)?;
    assert!(routes.iter().any(|row| row["via"] == "10.0.1.1"), "{routes:?}");
    // Four requests and their replies, and three probes of two hops.
    assert_eq!(
        lab.frames("left", "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-echoreply")?.len(),
        8
    );
    Ok(())
}

/// What breaks, and is mended.
fn breaks(lab: &Lab) -> Result<(), Error> {
    let h1 = lab.node("h1");
    assert_eq!(h1.ping("h2")?.received, 4);
    lab.link_down("r1:eth1")?;
    assert_eq!(h1.ping("h2")?.received, 0);
    lab.link_up("r1:eth1")?;
    assert_eq!(h1.ping("h2")?.received, 4);
    lab.node("r1").kill()?;
    assert_eq!(h1.ping("h2")?.received, 0);
    lab.node("r1").start()?;
    assert_eq!(h1.ping("h2")?.received, 4);
    lab.impair("right", "delay 5ms")?;
    assert!(h1.ping("h2")?.rtt_us[0] >= 10_000.0);
    lab.unimpair("right")?;
    lab.node("h2").stop()?;
    assert_eq!(h1.ping("h2")?.received, 0);
    // What is down is left as it is, and returns like another.
    lab.node("h2").stop()?;
    lab.node("h2").kill()?;
    lab.node("h2").restart()?;
    assert_eq!(h1.ping("h2")?.received, 4);
    Ok(())
}

/// What changes, and changes back.
fn changes(lab: &Lab) -> Result<(), Error> {
    let (h1, h2) = (lab.node("h1"), lab.node("h2"));
    lab.partition("left", &[&["h1"]])?;
    assert_eq!(h1.ping("h2")?.received, 0);
    lab.heal("left")?;
    assert_eq!(h1.ping("h2")?.received, 4);
    h2.pause()?;
    assert_eq!(h1.ping("h2")?.received, 0);
    h2.resume()?;
    assert_eq!(h1.ping("h2")?.received, 4);
    assert_eq!(h1.ping("10.0.9.1")?.received, 0);
    h2.addr_add("eth0", "10.0.9.1/32")?;
    lab.node("r1").route_add("10.0.9.1/32 via 10.0.2.2")?;
    assert_eq!(h1.ping("10.0.9.1")?.received, 4);
    lab.node("r1").route_del("10.0.9.1/32 via 10.0.2.2")?;
    assert_eq!(h1.ping("10.0.9.1")?.received, 0);
    lab.node("r1").route_add("10.0.9.1/32 via 10.0.2.2")?;
    h2.addr_del("eth0", "10.0.9.1/32")?;
    assert_eq!(h1.ping("10.0.9.1")?.received, 0);
    Ok(())
}

#[test]
fn live() -> Result<(), Error> {
    let lab = Lab::from_toml(TWO_WAYS)?.up()?;
    works(&lab)?;
    breaks(&lab)?;
    changes(&lab)
}

#[test]
fn in_virtual_time() -> Result<(), Error> {
    let lab = Lab::from_toml(TWO_WAYS)?.virtual_time(1)?;
    works(&lab)?;
    breaks(&lab)?;
    changes(&lab)
}

#[test]
fn programs_of_the_host_on_a_live_lab() -> Result<(), Error> {
    let lab = Lab::from_toml(TWO_WAYS)?.up()?;
    let ended = lab.node("h1").exec(&["hostname"])?;
    assert_eq!(ended.stdout, "h1\n");
    let error = Lab::from_toml(TWO_WAYS)?.virtual_time(1)?.node("h1").exec(&["hostname"]).unwrap_err();
    assert!(format!("{error:?}").contains("`hostname` runs in live labs only"), "{error:?}");
    Ok(())
}

#[test]
fn a_shipped_topology_with_many_seeds() -> Result<(), Error> {
    let ring = Lab::from_file(root().join("topologies/ring.lab.toml"))?;
    for seed in 1..=20 {
        let lab = ring.clone().virtual_time(seed)?;
        let nodes: Vec<_> = lab.nodes().map(str::to_owned).collect();
        let (first, last) = (&nodes[0], &nodes[nodes.len() - 1]);
        assert!(lab.node(first).ping(last)?.received > 0, "seed {seed}");
    }
    Ok(())
}

/// What takes a night takes no time.
#[test]
fn a_program_may_be_silent_for_long() -> Result<(), Error> {
    let lab = Lab::from_toml(TWO_WAYS)?.virtual_time(1)?;
    let h1 = lab.node("h1");
    let slowly = ["ping", "-c", "3", "-i", "14400", "-q", "10.0.2.2"];
    let error = h1.run(&slowly).unwrap_err();
    assert!(error.to_string().contains("ping"), "{error}");
    let ping = h1.run_patiently(&slowly, Duration::from_secs(100_000))?;
    assert!(ping.out.contains("3 received"), "{ping:?}");
    assert!(lab.now() > Duration::from_secs(8 * 3600));
    Ok(())
}

#[test]
fn a_seed_is_a_run() -> Result<(), Error> {
    let run = |seed| -> Result<_, Error> {
        let lab = Lab::from_toml(TWO_WAYS)?.virtual_time(seed)?;
        lab.impair("right", "delay 5ms jitter 1ms loss 2%")?;
        lab.node("h1").tcp("h2", 200_000)?;
        lab.pass(Duration::from_secs(60));
        Ok((lab.now(), lab.frames("*", "")?))
    };
    assert_eq!(run(7)?, run(7)?);
    assert_ne!(run(7)?, run(8)?);
    Ok(())
}

#[test]
fn what_is_wrong_is_said() {
    let error =
        Lab::from_toml("[node]\nh1 = {}\n[bus]\nl = { subnet = \"10.0.0.0/24\", nodes = [\"h2\"] }\n")
            .unwrap_err();
    assert!(error.to_string().contains("h2"), "{error}");
    let lab = Lab::from_toml(TWO_WAYS).unwrap().virtual_time(1).unwrap();
    let said = |error: Error| error.to_string();
    assert!(said(lab.node("h1").ping("h9").unwrap_err()).contains("`h9`"));
    assert!(said(lab.node("h9").show(Table::Route).unwrap_err()).contains("no node `h9`"));
    assert!(said(lab.link_down("r1:eth7").unwrap_err()).contains("no interface `r1:eth7`"));
    assert!(said(lab.impair("right", "delay fast").unwrap_err()).contains("fast"));
    assert!(said(lab.partition("left", &[&["h1"], &["h7"]]).unwrap_err()).contains("no node `h7`"));
    assert!(said(lab.node("h1").addr_add("eth0", "there").unwrap_err()).contains("`there`"));
    assert!(said(lab.node("h1").route_add("somewhere via 10.0.1.1").unwrap_err()).contains("somewhere"));
    assert!(said(lab.frames("middle", "").unwrap_err()).contains("no bus `middle`"));
    lab.node("r1").kill().unwrap();
    assert!(said(lab.node("r1").show(Table::Route).unwrap_err()).contains("`r1`"));
}

#[test]
fn a_lab_that_is_dropped_is_gone() -> Result<(), Error> {
    let lab = Lab::from_toml(TWO_WAYS)?.up()?;
    let below = labctl::lab::rundir::RunRoot::locate();
    let mine = || {
        let own = format!(".test-{}-", std::process::id());
        let nodes = labctl::lab::process::scan(&below);
        nodes.iter().filter(|node| node.config.display().to_string().contains(&own)).count()
    };
    assert_eq!(mine(), 3);
    drop(lab);
    assert_eq!(mine(), 0);
    Ok(())
}
