//! One file, two clocks: labs in virtual time through the built program.

use crate::place::{HELLO, Place};
use serde_json::Value;
use std::fs;
use std::path::Path;

const CHECKS: &str = r#"
[[check]]
ping = { from = "h1", to = "h2" }
[[check]]
name = "half an hour later"
after = "30min"
tcp = { from = "h2", to = "h1", send = "100kB" }
[[check]]
name = "the router was asked"
wire = { bus = "left", filter = "arp", min = 2 }
"#;

pub(crate) fn reports(place: &Place, words: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = place.run(words);
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    (output.status.code(), lines.collect())
}

#[test]
fn half_an_hour_takes_no_time_and_no_process() {
    let place = Place::new();
    fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{CHECKS}")).unwrap();
    let words = ["-t", "t.lab.toml", "--json", "test", "--virtual", "--seed", "42"];
    let (status, reports) = reports(&place, &words);
    let report = &reports[0];
    assert_eq!(status, Some(0), "{report:#}");
    assert_eq!(
        (&report["mode"], &report["seed"], &report["passed"]),
        (&"virtual".into(), &42.into(), &3.into())
    );
    let took = report["took_ms"].as_f64().unwrap();
    assert!((1_800_000.0..1_801_000.0).contains(&took), "{took} ms by its own clock");
    assert!(!place.run.exists(), "nothing was written");
}

#[test]
fn the_topology_chooses_the_clock_and_the_command_line_overrides_it() {
    let place = Place::new();
    let text = format!(
        "time = {{ mode = \"virtual\", seed = 9 }}\n{HELLO}[[check]]\nping = {{ from = \"h1\", to = \"h2\" }}\n"
    );
    fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let mode = |words: &[&str]| reports(&place, words).1[0]["mode"].clone();
    assert_eq!(mode(&["-t", "t.lab.toml", "--json", "test"]), "virtual");
    assert_eq!(mode(&["-t", "t.lab.toml", "--json", "test", "--live"]), "live");
    assert_eq!(mode(&["-t", "hello.lab.toml", "--json", "test", "--virtual"]), "virtual");
    // To be up is to be live.
    place.ok(&["-t", "t.lab.toml", "up"]);
    place.ok(&["-t", "t.lab.toml", "down"]);
    place.assert_clean();
}

#[test]
fn the_programs_of_the_host_are_refused_by_name() {
    let place = Place::new();
    for (text, name) in [
        ("[program.web]\nnode = \"h1\"\ncmd = [\"true\"]", "`web`"),
        ("[[check]]\nname = \"uname\"\ncmd = { node = \"h1\", cmd = [\"uname\"] }", "`uname`"),
        ("[[event]]\nat = \"1s\"\ndo = \"exec h1 -- true\"", "`exec h1 -- true`"),
    ] {
        fs::write(place.dir.path().join("t.lab.toml"), format!("{HELLO}{text}\n")).unwrap();
        let output = place.run(&["-t", "t.lab.toml", "test", "--virtual"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains("help: test it with --live"), "{said}");
    }
}

#[test]
fn a_failure_leaves_the_wires_the_tables_and_how_to_see_it_again() {
    let place = Place::new();
    let text = format!(
        "{HELLO}[bus.mid]\nsubnet = \"10.0.3.0/24\"\nnodes = [\"h1\", \"h2\"]\nimpair = {{ loss = \"50%\" }}\n\
         [[check]]\nname = \"lucky\"\nudp = {{ from = \"h1\", to = \"10.0.3.2\", count = 1 }}\n"
    );
    fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let output = place.run(&["-t", "t.lab.toml", "test", "--virtual", "--seed", "1", "--repeat", "16"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.ends_with(" s\n") && said.contains("FAILED: 16 runs, "), "{said}");
    let again = said.lines().find(|line| line.contains("again: labctl ")).unwrap();
    let seed = again.split("--seed ").nth(1).unwrap().split(' ').next().unwrap();
    let folder = place.dir.path().join(format!("labctl-captures/hello-seed-{seed}"));
    for file in ["left.pcapng", "mid.pcapng", "h1.json", "report.json"] {
        assert!(fs::metadata(folder.join(file)).unwrap().len() > 100, "{file}");
    }
    let once = || place.run(&["-t", "t.lab.toml", "test", "--virtual", "--seed", seed]);
    assert_eq!(once().status.code(), Some(1), "seed {seed} fails again");
}

/// Some buses with hosts and routers between them, of all kinds of luck.
fn topology(n: u32) -> String {
    let buses = 1 + n % 3;
    let loss = [
        "",
        "loss = \"2%\"",
        "delay = \"3ms\", jitter = \"1ms\"",
        "rate = \"20mbit\", queue = \"64kB\"",
        "reorder = \"10%\", delay = \"2ms\"",
        "duplicate = \"5%\"",
        "loss = \"5%\", loss_correlation = \"30%\", duplicate = \"2%\", duplicate_correlation = \"50%\"",
        "delay = \"2ms\", jitter = \"1ms\", jitter_correlation = \"25%\", distribution = \"normal\"",
        "lose = [3, 5], drop = [{ filter = \"icmp || icmp6\", nth = 2 }], corrupt = \"1%\"",
    ][n as usize % 9];
    let impair = if loss.is_empty() { String::new() } else { format!(", impair = {{ {loss} }}") };
    let mut text = format!("name = \"t{n}\"\n[node]\n");
    for router in 1..buses {
        text += &format!("r{router} = {{ forward = true }}\n");
    }
    for host in 0..buses {
        text += &format!("a{host} = {{}}\nb{host} = {{}}\n");
    }
    text += "[bus]\n";
    for bus in 0..buses {
        let mut nodes: Vec<String> =
            (1..buses).filter(|r| *r == bus || *r == bus + 1).map(|r| format!("\"r{r}\"")).collect();
        nodes.extend([format!("\"a{bus}\""), format!("\"b{bus}\"")]);
        let six =
            if n.is_multiple_of(2) { format!(", subnet6 = \"fd00:{bus}::/64\"") } else { String::new() };
        text += &format!(
            "n{bus} = {{ subnet = \"10.0.{bus}.0/24\"{six}, nodes = [{}]{impair} }}\n",
            nodes.join(", ")
        );
    }
    let last = buses - 1;
    text += &format!(
        "[[event]]\nat = \"700ms\"\ndo = \"link flap a0:eth0 50ms\"\ntimes = 2\nevery = \"90ms\"\n\
         [[event]]\nat = \"950ms\"\ndo = \"partition n0 a0\"\n[[event]]\nat = \"980ms\"\ndo = \"partition n0\"\n\
         [[event]]\nat = \"600ms\"\ndo = \"pause b{last}\"\n[[event]]\nat = \"620ms\"\ndo = \"resume b{last}\"\n\
         [[event]]\nwhen = {{ wire = {{ bus = \"n0\", filter = \"arp\" }} }}\ndo = \"run a0 ping -c 3 b0\"\n"
    );
    text += &format!(
        "[[event]]\nat = \"{}ms\"\ndo = \"link down a{last}:eth0\"\n[[event]]\nat = \"900ms\"\ndo = \"link up a{last}:eth0\"\n\
         [[check]]\nwithin = \"5s\"\nping = {{ from = \"a0\", to = \"b{last}\", count = 3, interval = \"50ms\" }}\n\
         [[check]]\ntcp = {{ from = \"b0\", to = \"b{last}\", send = \"{}kB\" }}\n\
         [[check]]\nafter = \"1s\"\nwithin = \"5s\"\nudp = {{ from = \"b0\", to = \"a{last}\", count = 20, loss = \"50%\" }}\n\
         [[check]]\nname = \"resets\"\nwire = {{ bus = \"*\", filter = \"tcp[13] & 4 != 0\", max = 0 }}\n",
        100 + n % 7 * 40,
        1 + n % 5 * 30
    );
    text
}

/// All that is in a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
                    all.push((name, fs::read(entry.path()).unwrap()));
                }
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_hundred_topologies_and_ten_seeds_are_the_same_in_every_process() {
    let place = Place::new();
    let files: Vec<String> = (0..100)
        .map(|n| {
            let name = format!("t{n}.lab.toml");
            fs::write(place.dir.path().join(&name), topology(n)).unwrap();
            name
        })
        .collect();
    let run = |json: bool, jobs: &str| {
        let mut words = vec!["test", "--virtual", "--seed", "1", "--repeat", "10", "--keep", "--jobs", jobs];
        words.extend(json.then_some("--json"));
        words.extend(files.iter().map(String::as_str));
        let output = place.run(&words);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
        let folder = place.dir.path().join("labctl-captures");
        let kept = contents(&folder);
        fs::remove_dir_all(folder).unwrap();
        (said, kept)
    };
    let (said, kept) = run(true, "1");
    let reports: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let passed: u64 = reports.iter().filter_map(|report| report["passed"].as_u64()).sum();
    assert_eq!(reports.len(), 1000);
    assert!(passed > 3500, "most of the 4000 checks hold: {passed}");
    assert!(kept.iter().filter(|(name, _)| name.ends_with(".pcapng")).count() > 1500);
    // Each report is among what is kept.
    assert_eq!(kept.iter().filter(|(name, _)| name.ends_with("report.json")).count(), 1000);
    let (_, again) = run(false, "3");
    assert_eq!(kept.len(), again.len());
    for (one, other) in kept.iter().zip(&again) {
        assert!(one == other, "{} differs from {}", one.0, other.0);
    }
}

#[test]
fn a_test_that_takes_too_long_says_so() {
    let place = Place::new();
    let text = format!(
        "{HELLO}[[event]]\nat = \"0s\"\ndo = \"run h1 ping -i 0.001 h2\"\n[[check]]\nafter = \"100h\"\nping = {{ from = \"h1\", to = \"h2\" }}\n"
    );
    fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let words = ["-t", "t.lab.toml", "--json", "test", "--virtual", "--timeout", "0.2"];
    let (status, reports) = reports(&place, &words);
    assert_eq!(status, Some(1));
    let detail = reports[0]["checks"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("the host's time for the test was over (--timeout)"), "{detail}");
}
