//! Every verb against a lab that is missing, half up, dead, damaged or another user's: one line that says so, the mend,
//! and the exit code 3 or 4. Through the built program, as a script would see it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const HELLO: &str = r#"
name = "hello"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

/// A run root and a working folder of one's own; the labs in it are taken down at the end.
struct Place {
    dir: TempDir,
    run: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("verbs-").tempdir().unwrap();
        let run = dir.path().join("run");
        fs::write(dir.path().join("hello.lab.toml"), HELLO).unwrap();
        Self { dir, run }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("LABCTL_DIR", &self.run)
            .env("NO_COLOR", "1")
            .env_remove("LABCTL_LAB")
            .env_remove("LABCTL_TOPOLOGY")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "labctl {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn lab(&self) -> PathBuf {
        self.run.join("hello")
    }

    fn pids(&self) -> Vec<i32> {
        let ps: serde_json::Value = serde_json::from_str(&self.ok(&["ps", "--json"])).unwrap();
        let nodes = ps["nodes"].as_array().unwrap();
        nodes.iter().filter_map(|node| node["pid"].as_i64()).map(|pid| i32::try_from(pid).unwrap()).collect()
    }

    /// No process and no file.
    fn assert_clean(&self) {
        let left = labctl::lab::process::scan(&self.run);
        assert!(left.is_empty(), "{left:?}");
        let files: Vec<_> =
            fs::read_dir(&self.run).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert!(files.is_empty(), "{files:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--all"]).output();
    }
}

fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

/// What a verb says in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// It does its work.
    Does,
    /// It refuses with this code, one line and the mend.
    Refuses(i32),
    /// It has nothing to do with labs.
    Any,
}
use Want::{Any, Does, Refuses};

/// A verb, words that make it whole, and what it says of a lab that is missing, half up, dead, another user's.
/// The order is that of the run: what changes the lab's state comes last.
const TABLE: &[(&str, &[&str], [Want; 4])] = &[
    ("ping", &["h1", "h2", "-c", "1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("trace", &["h1", "h2"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("perf", &["tcp", "h1", "h2"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("show", &["route", "h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("sysctl", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("link", &["down", "h1:eth0"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("dump", &["left"], [Refuses(3), Any, Does, Refuses(4)]),
    ("capture", &["left", "-c", "1"], [Refuses(3), Any, Refuses(3), Refuses(4)]),
    ("bus", &["ls"], [Refuses(3), Any, Does, Refuses(4)]),
    ("replay", &["x.pcap", "left"], [Any, Any, Any, Any]),
    ("extcap", &[], [Any, Any, Any, Any]),
    ("ps", &[], [Refuses(3), Does, Does, Refuses(4)]),
    ("up", &[], [Does, Refuses(3), Refuses(3), Refuses(4)]),
    ("kill", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("stop", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("restart", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("start", &["h1"], [Refuses(3), Refuses(3), Does, Refuses(4)]),
    ("down", &[], [Refuses(3), Does, Does, Refuses(4)]),
    ("gc", &[], [Does, Does, Does, Refuses(4)]),
    ("test", &[], [Any, Any, Any, Refuses(4)]),
    ("doctor", &[], [Does, Does, Does, Any]),
    ("check", &[], [Does, Does, Does, Does]),
    ("graph", &[], [Does, Does, Does, Does]),
    ("schema", &[], [Does, Does, Does, Does]),
    ("completion", &["bash"], [Does, Does, Does, Does]),
    ("man", &[], [Does, Does, Does, Does]),
    ("init", &["other"], [Any, Any, Any, Any]),
    ("help", &[], [Does, Does, Does, Does]),
];

fn assert_says(place: &Place, verb: &str, words: &[&str], want: Want) {
    if want == Any {
        return;
    }
    let mut all = vec![verb];
    all.extend(words);
    let output = place.run(&all);
    let code = output.status.code();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match want {
        Does => assert_eq!(code, Some(0), "{all:?}: {output:?}"),
        Refuses(exit) => {
            assert_eq!(code, Some(exit), "{all:?}: {output:?}");
            let lines: Vec<_> = said.lines().collect();
            assert!(lines.len() == 2, "{all:?} does not say it in a line and its mend: {said}");
            assert!(lines[0].starts_with("labctl: "), "{all:?}: {said}");
            assert!(lines[1].starts_with("  help: "), "{all:?}: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        Any => {}
    }
}

#[test]
fn every_verb_is_in_the_table() {
    for verb in labctl::cli::command().get_subcommands() {
        let name = verb.get_name();
        assert!(TABLE.iter().any(|(known, ..)| *known == name), "`{name}` is not in the table of this test");
    }
}

#[test]
fn a_lab_that_is_missing() {
    let place = Place::new();
    for (verb, words, [missing, ..]) in TABLE.iter().filter(|(verb, ..)| *verb != "up") {
        assert_says(&place, verb, words, *missing);
    }
    for verb in ["dump", "capture"] {
        assert_says(&place, verb, &["nope/left"], Refuses(3));
    }
    // And when the run root is there.
    labctl::lab::rundir::RunRoot::create_at(&place.run).unwrap();
    for (verb, words, [missing, ..]) in TABLE.iter().filter(|(verb, ..)| *verb != "up") {
        assert_says(&place, verb, words, *missing);
    }
    place.assert_clean();
}

/// What a `labctl` killed in the middle of `up` leaves.
fn half_up(place: &Place) {
    place.ok(&["up"]);
    let state = place.lab().join("lab.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace("\"phase\":\"up\"", "\"phase\":\"starting\"")).unwrap();
}

#[test]
fn a_lab_that_is_half_up() {
    let place = Place::new();
    half_up(&place);
    for (verb, words, [_, half, ..]) in TABLE {
        assert_says(&place, verb, words, *half);
    }
    place.assert_clean();
    half_up(&place);
    place.ok(&["gc"]);
    place.assert_clean();
}

#[test]
fn a_lab_that_is_dead() {
    let place = Place::new();
    place.ok(&["up"]);
    let pids = place.pids();
    for pid in &pids {
        kill(*pid, nix::sys::signal::Signal::SIGKILL);
    }
    while !labctl::lab::process::scan(&place.run).is_empty() {
        std::thread::yield_now();
    }
    for (verb, words, [.., dead, _]) in TABLE {
        assert_says(&place, verb, words, *dead);
    }
    place.assert_clean();
    place.ok(&["up"]);
    for pid in place.pids() {
        kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    while !labctl::lab::process::scan(&place.run).is_empty() {
        std::thread::yield_now();
    }
    assert!(place.ok(&["gc"]).contains("lab `hello` removed"));
    place.assert_clean();
}

#[test]
fn a_run_directory_of_another_user() {
    let mut place = Place::new();
    if nix::unistd::geteuid().is_root() {
        fs::DirBuilder::new().mode(0o700).create(&place.run).unwrap();
        let other = 65534;
        nix::unistd::chown(&place.run, Some(other.into()), Some(other.into())).unwrap();
    } else {
        // Whoever runs this, the root directory is somebody else's.
        place.run = PathBuf::from("/");
    }
    for (verb, words, [.., others]) in TABLE {
        assert_says(&place, verb, words, *others);
    }
}

#[test]
fn a_run_directory_open_to_others() {
    let place = Place::new();
    fs::create_dir(&place.run).unwrap();
    fs::set_permissions(&place.run, fs::Permissions::from_mode(0o777)).unwrap();
    for (verb, words, [.., others]) in TABLE {
        assert_says(&place, verb, words, *others);
    }
}

#[test]
fn a_state_file_that_is_damaged() {
    let place = Place::new();
    place.ok(&["up"]);
    fs::write(place.lab().join("lab.json"), "{").unwrap();
    for verb in [&["ps"][..], &["ping", "h1", "h2"], &["stop", "h1"], &["up"]] {
        assert_says(&place, verb[0], &verb[1..], Refuses(3));
    }
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_damaged_lab_does_not_hide_the_others() {
    let place = Place::new();
    assert_eq!(place.ok(&["ps", "--all"]), "no lab is running\n");
    for lab in ["a", "b", "c"] {
        labctl::lab::rundir::RunRoot::create_at(&place.run).unwrap().lab(lab).create().unwrap();
    }
    fs::write(place.run.join("a/lab.json"), "{").unwrap();
    let list = place.ok(&["ps", "--all", "--json"]);
    let labs: Vec<serde_json::Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(labs.len(), 3, "{list}");
    assert_eq!((&labs[0]["lab"], &labs[0]["state"]), (&"a".into(), &"damaged".into()), "{list}");
    assert!(labs[0]["error"].as_str().is_some_and(|error| error.contains("damaged")), "{list}");
    assert_eq!(labs[2]["state"], "half up", "{list}");
}

#[test]
fn a_stopped_process_holds_nobody_up() {
    let place = Place::new();
    place.ok(&["up"]);
    let pids = place.pids();
    for pid in &pids {
        kill(*pid, nix::sys::signal::Signal::SIGSTOP);
    }
    use labctl::lab::process::{Identity, Life};
    while pids.iter().any(|pid| Identity::of(*pid).unwrap().1 != Life::Paused) {
        std::thread::yield_now();
    }
    assert!(place.ok(&["ps"]).contains("paused"));
    for verb in [
        &["ping", "h1", "h2"][..],
        &["trace", "h1", "h2"],
        &["perf", "udp", "h1", "h2"],
        &["show", "addr", "h1"],
        &["sysctl", "h1"],
    ] {
        assert_says(&place, verb[0], &verb[1..], Refuses(3));
    }
    assert_says(&place, "link", &["down", "h1:eth0"], Refuses(3));
    place.ok(&["restart", "h1"]);
    assert!(place.ok(&["show", "route", "h1"]).contains("default via 10.0.1.1"));
    place.ok(&["down"]);
    place.assert_clean();
}

/// SYNs that nobody answers: the node that asks is well, and is not to be started anew.
#[test]
fn a_connection_that_is_not_answered_is_not_a_silent_node() {
    let place = Place::new();
    place.ok(&["up"]);
    // Neighbours are known: nobody says that there is no way.
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["stop", "r1"]);
    std::thread::scope(|scope| {
        for measure in ["tcp", "rtt"] {
            let place = &place;
            scope.spawn(move || {
                let output = place.run(&["perf", measure, "h1", "h2", "-t", "0.1"]);
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{measure}: {said}");
                assert!(
                    said.contains("cannot connect to h2 (10.0.2.2): no answer in 10"),
                    "{measure}: {said}"
                );
                assert!(!said.contains("restart"), "{measure}: {said}");
            });
        }
    });
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn datagrams_that_are_all_lost_are_a_result() {
    let place = Place::new();
    place.ok(&["up"]);
    let said = place.ok(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100"]);
    assert_eq!(said.matches("(0.000%)").count(), 1, "{said}");
    place.ok(&["stop", "r1"]);
    let output = place.run(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("datagrams were lost"), "{output:?}");
    let output = place.run(&["perf", "udp", "h1", "h2", "-t", "0.1", "-r", "100", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(result["packets"].as_u64() > Some(0), "{result}");
    assert_eq!((&result["lost"], &result["received"]), (&result["packets"], &0.into()), "{result}");
    assert_eq!(result["loss_percent"], 100.0, "{result}");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_check_of_tcp_that_nobody_answers_fails_in_its_time() {
    let place = Place::new();
    let text = r#"
name = "silent"
node.a = { routes = [ { to = "203.0.113.0/24", via = "192.0.2.2" } ] }
node.b = {}
bus.link = { subnet = "192.0.2.0/30", nodes = ["a", "b"] }
[[check]]
name = "nothing comes back"
tcp = { from = "a", to = "203.0.113.1", port = 80 }
within = "300ms"
expect = "fail"
[[check]]
name = "nothing comes"
tcp = { from = "a", to = "203.0.113.1", port = 80 }
within = "300ms"
"#;
    fs::write(place.dir.path().join("silent.lab.toml"), text).unwrap();
    let output = place.run(&["test", "--json", "silent.lab.toml"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!(
        (report["checks"][0]["ok"].as_bool(), report["checks"][1]["ok"].as_bool()),
        (Some(true), Some(false))
    );
    for check in report["checks"].as_array().unwrap() {
        let detail = check["detail"].as_str().unwrap();
        assert!(detail.contains("no answer in "), "{report:#}");
    }
    place.assert_clean();
}

#[test]
fn a_node_without_its_control_socket_is_named_with_its_lab() {
    let place = Place::new();
    place.ok(&["--lab", "other", "up"]);
    fs::remove_file(place.run.join("other/node/h1/ctl")).unwrap();
    for words in [&["ping", "h1", "h2"][..], &["perf", "tcp", "h1", "h2"], &["show", "route", "h1"]] {
        let all: Vec<&str> = ["--lab", "other"].iter().chain(words).copied().collect();
        let output = place.run(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{all:?}: {said}");
        assert!(said.contains("`labctl --lab other restart h1`"), "{all:?}: {said}");
    }
    place.ok(&["--lab", "other", "restart", "h1"]);
    place.ok(&["--lab", "other", "ping", "h1", "h2", "-c", "1"]);
    place.ok(&["--lab", "other", "down"]);
    place.assert_clean();
}

#[test]
fn a_measured_stream_tells_what_its_connection_was() {
    let place = Place::new();
    place.ok(&["up"]);
    let result: serde_json::Value =
        serde_json::from_str(&place.ok(&["perf", "tcp", "h1", "h2", "-t", "0.1", "--json"])).unwrap();
    for number in ["seconds", "octets", "bits_per_second", "retransmits", "mss"] {
        assert!(result[number].is_number(), "{number}: {result}");
    }
    assert!(result["octets"].as_u64() > Some(0), "{result}");
    assert_eq!(result["received"], result["octets"], "{result}");
    // What is left of an MTU of 1500 octets after IPv4, TCP and its timestamps.
    assert_eq!(result["mss"], 1448, "{result}");
    assert!(result["congestion_control"].as_str().is_some_and(|name| !name.is_empty()), "{result}");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_wire_check_sees_what_a_bulk_transfer_pushed_out_of_the_ring() {
    const BULK: &str = r#"
name = "bulk"
node.a = {}
node.b = {}
bus.link = { subnet = "192.0.2.0/30", nodes = ["a", "b"], history = "1MiB" }
[[check]]
tcp = { from = "a", to = "b", send = "16MiB" }
[[check]]
name = "they were resolved"
wire = { bus = "link", filter = "arp", min = 2 }
[[check]]
name = "nobody was silent"
wire = { bus = "link", filter = "arp", count = 0 }
expect = "fail"
"#;
    let place = Place::new();
    fs::write(place.dir.path().join("bulk.lab.toml"), BULK).unwrap();
    let said = place.ok(&["test", "bulk.lab.toml"]);
    assert!(said.contains("3 passed"), "{said}");
    place.assert_clean();
}

#[test]
fn names_that_are_not_there_have_a_hint() {
    let place = Place::new();
    place.ok(&["up"]);
    for words in [
        &["ping", "h3", "h2"][..],
        &["ping", "h1", "h22"],
        &["link", "down", "h1:eth7"],
        &["stop", "r2"],
        &["show", "addr", "h"],
        &["sysctl", "h"],
        &["sysctl", "h1", "net.ipv4.tcp_sak"],
        &["sysctl", "h1", "kitchen"],
        &["sysctl", "h1", "net.ipv4.tcp_sack=maybe"],
        &["sysctl", "h1", "net.tcp.profile=rfc"],
    ] {
        assert_says(&place, words[0], &words[1..], Refuses(2));
    }
    // Nothing of it has happened.
    assert_eq!(place.pids().len(), 3);
}

const STACKS: &str = r#"
name = "stacks"
node.l = {}
node.f = { tcp = "freebsd", sysctl = { "net.inet.tcp.sack.enable" = false, "net.inet.tcp.cc.algorithm" = "reno" } }
bus.lan = { subnet = "192.0.2.0/24", nodes = ["l", "f"] }
"#;

#[test]
fn values_reach_the_node_and_are_told_and_changed() {
    let place = Place::new();
    fs::write(place.dir.path().join("stacks.lab.toml"), STACKS).unwrap();
    let ok = |words: &[&str]| place.ok(&[&["-t", "stacks.lab.toml"], words].concat());
    ok(&["up"]);
    assert_eq!(ok(&["sysctl", "l", "net.tcp.profile"]), "net.tcp.profile = linux\n");
    let all = ok(&["sysctl", "f"]);
    for line in
        ["net.tcp.profile = freebsd", "net.ipv4.tcp_sack = 0", "net.ipv4.tcp_congestion_control = reno"]
    {
        assert!(all.lines().any(|known| known == line), "{line}: {all}");
    }
    // Some of them changed on the way, in the order of the words.
    let some = ["net.inet.tcp.keepidle", "net.ipv4.tcp_keepalive_time = 60", "net.inet.tcp.keepidle"];
    let said =
        "net.inet.tcp.keepidle = 7200000\nnet.ipv4.tcp_keepalive_time = 60\nnet.inet.tcp.keepidle = 60000\n";
    assert_eq!(ok(&[&["sysctl", "f"][..], &some].concat()), said);
    assert_eq!(ok(&["sysctl", "-n", "f", "net.inet.tcp.keepidle"]), "60000\n");
    let json = |words: &[&str]| serde_json::from_str::<serde_json::Value>(&ok(words)).unwrap();
    let one = json(&["--json", "sysctl", "f", "net.inet.tcp.keepidle=90000"]);
    assert_eq!(one, serde_json::json!({"net.inet.tcp.keepidle": "90000"}));
    let all = json(&["--json", "sysctl", "f"]);
    assert_eq!(
        (&all["net.tcp.profile"], &all["net.ipv4.tcp_keepalive_time"]),
        (&"freebsd".into(), &"90".into())
    );
    // What came before a fault is done and said.
    let words = ["-t", "stacks.lab.toml", "sysctl", "f", "net.inet.tcp.keepcnt=3", "net.inet.tcp.kepcnt"];
    let output = place.run(&words);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "net.inet.tcp.keepcnt = 3\n");
    let said = "labctl: node `f`: no value is called net.inet.tcp.kepcnt\n  help: did you mean `net.inet.tcp.keepcnt`?\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    // A restart begins with what the topology says.
    ok(&["restart", "f"]);
    assert_eq!(ok(&["sysctl", "-n", "f", "net.inet.tcp.keepcnt", "net.inet.tcp.sack.enable"]), "8\n0\n");
    ok(&["down"]);
    place.assert_clean();
}

#[test]
fn nodes_come_and_go_and_the_rest_lives_on() {
    let place = Place::new();
    place.ok(&["up"]);
    let state_of = |name: &str| {
        let ps: serde_json::Value = serde_json::from_str(&place.ok(&["ps", "--json"])).unwrap();
        let nodes = ps["nodes"].as_array().unwrap().clone();
        let node = nodes.into_iter().find(|node| node["name"] == name).unwrap();
        (ps["state"].as_str().unwrap().to_owned(), node["state"].as_str().unwrap().to_owned())
    };
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["stop", "r1"]);
    assert_eq!(state_of("r1"), ("up".into(), "stopped".into()));
    assert!(!place.run(&["ping", "h1", "h2", "-c", "1", "-W", "0.1"]).status.success());
    place.ok(&["start", "r1"]);
    assert_says(&place, "start", &["r1"], Refuses(3));
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["kill", "r1"]);
    assert_eq!(state_of("r1"), ("half up".into(), "dead".into()));
    // That it is to be stopped now does not unmake its death.
    place.ok(&["stop", "r1"]);
    assert_eq!(state_of("r1"), ("half up".into(), "dead".into()));
    place.ok(&["restart", "r1", "h2"]);
    assert_eq!(state_of("r1"), ("up".into(), "running".into()));
    place.ok(&["ping", "h1", "h2", "-c", "1"]);
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn what_this_version_cannot_run_is_refused_by_its_key() {
    let place = Place::new();
    for (text, key) in [
        ("time = { mode = \"virtual\" }", "time.mode"),
        (
            "bus.x = { subnet = \"10.9.0.0/24\", nodes = [\"h1\"], impair = { delay = \"1ms\" } }",
            "bus.x.impair",
        ),
        ("bus.x = { subnet6 = \"fd00::/64\", nodes = [\"h1\"] }", "bus.x.subnet6"),
        ("[[event]]\nat = \"1s\"\ndo = \"stop h1\"", "event"),
        ("[program.p]\nnode = \"h1\"\ncmd = [\"true\"]", "program.p"),
    ] {
        let file = place.dir.path().join("x.lab.toml");
        fs::write(&file, format!("name = \"x\"\n{text}\n[node.h1]\n")).unwrap();
        for verb in ["up", "test"] {
            let output = place.run(&["-t", "x.lab.toml", verb]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{verb} {key}: {said}");
            assert!(said.contains(key) && said.contains("not in this version"), "{verb} {key}: {said}");
        }
    }
    let output = place.run(&["-t", "hello.lab.toml", "test", "--virtual"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not in this version"));
    place.assert_clean();
}

#[test]
fn labs_beside_each_other_are_told_apart() {
    let place = Place::new();
    let folder = place.dir.path().join("empty");
    fs::create_dir(&folder).unwrap();
    place.ok(&["--lab", "a", "up"]);
    place.ok(&["--lab", "b", "up"]);
    let elsewhere = |words: &[&str]| place.command(words).current_dir(&folder).output().unwrap();
    let list = String::from_utf8(elsewhere(&["ps"]).stdout).unwrap();
    assert!(list.contains("a  ") && list.contains("b  ") && list.contains("3/3"), "{list}");
    let output = elsewhere(&["ping", "h1", "h2"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("a, b"));
    place.ok(&["--lab", "a", "down"]);
    // Now there is only one.
    assert!(elsewhere(&["ping", "h1", "h2", "-c", "1"]).status.success());
    place.ok(&["down", "--all"]);
    place.assert_clean();
}

/// Ctrl-C in the middle of `up` and of `test`: nothing is left.
#[test]
fn interrupted_is_taken_down() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str("[[check]]\nafter = \"60s\"\nping = { from = \"h1\", to = \"h2\" }\n");
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let child = place.command(&["test"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while nodes_below(&place.run) < 3 {
        assert!(std::time::Instant::now() < end, "the test does not start");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    kill(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    place.assert_clean();
}

/// Ctrl-C ends a ping with its summary, as that of a shell does.
#[test]
fn an_interrupted_ping_says_what_it_has_seen() {
    use std::io::{BufRead, BufReader, Read};
    let place = Place::new();
    place.ok(&["up"]);
    let words = ["ping", "h1", "h2", "-c", "1000000", "-i", "0.05"];
    let mut child = place.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("icmp_seq=2") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the ping ended by itself");
    }
    kill(i32::try_from(child.id()).unwrap(), nix::sys::signal::Signal::SIGINT);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("packets transmitted") && rest.contains("rtt min/avg/max"), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

fn nodes_below(run: &Path) -> usize {
    let Ok(run) = run.canonicalize() else { return 0 };
    labctl::lab::process::scan(&run).len()
}

/// A test that was killed outright is swept by `gc`.
#[test]
fn a_killed_test_is_swept() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str("[[check]]\nafter = \"60s\"\nping = { from = \"h1\", to = \"h2\" }\n");
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let mut child = place.command(&["test"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while nodes_below(&place.run) < 3 {
        assert!(std::time::Instant::now() < end, "the test does not start");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // While it runs it is left alone.
    place.ok(&["gc"]);
    assert_eq!(nodes_below(&place.run), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    place.ok(&["gc"]);
    place.assert_clean();
}

#[test]
fn test_reports_failures_and_keeps_the_evidence() {
    let place = Place::new();
    let mut text = HELLO.to_owned();
    text.push_str(
        r#"
[[check]]
ping = { from = "h1", to = "h2" }
[[check]]
name = "it must not arrive"
ping = { from = "h1", to = "h2", ttl = 1 }
expect = "fail"
[[check]]
name = "by way of nobody"
trace = { from = "h1", to = "h2", via = [] }
[[check]]
name = "no ping on any wire"
wire = { bus = "*", filter = "icmp", count = 0 }
[[check]]
tcp = { from = "h1", to = "h2" }
[[check]]
udp = { from = "h1", to = "h2" }
[[check]]
http = { from = "h1", to = "h2" }
[[check]]
route = { node = "h1", to = "0.0.0.0/0", via = "10.0.1.1" }
[[check]]
neigh = { node = "h1", to = "r1" }
[[check]]
counter = { bus = "left", name = "frames", min = 4 }
"#,
    );
    fs::write(place.dir.path().join("hello.lab.toml"), text).unwrap();
    let output = place.run(&["test", "--json", "--junit", "out.xml", "--captures", "kept"]);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(8), Some(2)), "{report:#}");
    let failed: Vec<_> =
        report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failed[0]["name"], "by way of nobody");
    assert_eq!(failed[1]["name"], "no ping on any wire");
    let kept = place.dir.path().join(report["captures"].as_str().unwrap());
    assert!(kept.join("left.pcapng").exists() && kept.join("right.pcapng").exists());
    let xml = fs::read_to_string(place.dir.path().join("out.xml")).unwrap();
    assert!(xml.contains("tests=\"10\" failures=\"2\""), "{xml}");
    place.assert_clean();
}
