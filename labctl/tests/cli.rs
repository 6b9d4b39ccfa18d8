//! The command line as a user meets it: what is printed where, and the exit codes.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn labctl(args: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LABCTL_") {
            command.env_remove(name);
        }
    }
    command.args(args).current_dir(folder).output().expect("labctl runs")
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("UTF-8")
}

/// Runs in a new folder that holds these files.
fn with(files: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("written");
    }
    let out = labctl(args, folder.path());
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

const GOOD: &str = "node.a = {}\nnode.b = {}\nbus.l = { subnet = \"10.0.0.0/24\", nodes = [\"a\", \"b\"] }\n";
const BAD: &str = "node.a = { foward = true }\n";

#[test]
fn check_says_ok_and_counts() {
    let (code, out, err) = with(&[("good.lab.toml", GOOD)], &["check"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "ok  good.lab.toml: 2 nodes, 1 bus, 2 interfaces\n");
    let (code, out, _) = with(&[("good.lab.toml", GOOD)], &["check", "-q"]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
}

#[test]
fn check_prints_faults_to_standard_error_and_exits_with_2() {
    let (code, out, err) = with(&[("lab.toml", BAD)], &["check"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("error[unknown-key]: unknown key \"foward\"") && err.contains("--> lab.toml:1:12"),
        "{err}"
    );
    let (code, _, err) = with(&[("lab.toml", BAD)], &["check", "--json"]);
    let line: serde_json::Value = serde_json::from_str(err.lines().next().expect("a line")).expect("JSON");
    assert_eq!((code, &line["code"], &line["line"]), (Some(2), &"unknown-key".into(), &1.into()));
}

#[test]
fn all_files_are_checked_also_after_a_bad_one() {
    let (code, out, err) =
        with(&[("bad.toml", BAD), ("good.toml", GOOD)], &["check", "bad.toml", "good.toml"]);
    assert_eq!(code, Some(2));
    assert!(out.contains("ok  good.toml") && err.contains("bad.toml:1:12"), "{out}{err}");
}

#[test]
fn what_was_looked_for_is_named_when_no_topology_is_found() {
    let (code, _, err) = with(&[], &["check"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("neither lab.toml nor a *.lab.toml") && err.contains("labctl init"), "{err}");
    let (code, _, err) = with(&[("a.lab.toml", GOOD), ("b.lab.toml", GOOD)], &["check"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("a.lab.toml, b.lab.toml"), "{err}");
}

#[test]
fn init_writes_what_check_accepts_and_never_twice() {
    let folder = tempfile::Builder::new().prefix("lab").tempdir().expect("a folder");
    let run = |args: &[&str]| labctl(args, folder.path()).status.code();
    assert_eq!(run(&["init", "my.lab.toml"]), Some(0));
    assert_eq!(run(&["check"]), Some(0));
    let before = std::fs::read(folder.path().join("my.lab.toml")).expect("the file");
    assert_eq!(run(&["init", "my.lab.toml"]), Some(2));
    assert_eq!(std::fs::read(folder.path().join("my.lab.toml")).expect("the file"), before);
}

#[test]
fn show_has_a_form_for_people_and_one_for_machines() {
    let (_, out, _) = with(&[("lab.toml", GOOD)], &["check", "--show", "--lab", "x"]);
    assert!(out.contains("bus l  10.0.0.0/24") && out.contains("a:eth0  10.0.0.1/24"), "{out}");
    let (_, out, _) = with(&[("lab.toml", GOOD)], &["check", "--show", "--json", "--lab", "x"]);
    let lab: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(lab["name"], "x");
    assert_eq!(lab["nodes"]["b"]["interfaces"][0]["addrs"][0], "10.0.0.2/24");
}

#[test]
fn show_says_whose_tcp_a_node_has_where_it_is_not_linux() {
    let text =
        format!("{GOOD}node.c = {{ tcp = \"freebsd\", sysctl = {{ \"net.inet.tcp.keepcnt\" = 3 }} }}\n");
    let text = text.replace("\"b\"]", "\"b\", \"c\"]");
    let (code, out, err) = with(&[("lab.toml", &text)], &["check", "--show"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("node c  tcp freebsd\n  sysctl  net.inet.tcp.keepcnt = 3\n"), "{out}");
    assert!(out.contains("node a\n") && !out.contains("tcp linux"), "{out}");
    let (_, out, _) = with(&[("lab.toml", &text)], &["check", "--show", "--json"]);
    let lab: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (&lab["nodes"]["a"]["tcp"], &lab["nodes"]["a"]["sysctl"]),
        (&"linux".into(), &serde_json::Value::Null)
    );
    assert_eq!(lab["nodes"]["c"]["tcp"], "freebsd");
    assert_eq!(lab["nodes"]["c"]["sysctl"]["net.inet.tcp.keepcnt"], "3");
}

#[test]
fn what_is_generated_is_generated() {
    for (args, sign) in [
        (&["schema"][..], "\"$schema\""),
        (&["completion", "bash"], "complete -F _labctl"),
        (&["completion", "zsh"], "#compdef labctl"),
        (&["completion", "fish"], "complete -c labctl"),
        (&["man"], ".TH labctl"),
        (&["--version"], "labctl 0."),
    ] {
        let (code, out, err) = with(&[], args);
        assert!(code == Some(0) && out.contains(sign), "{args:?}: {out}{err}");
    }
}

#[test]
fn a_picture_goes_to_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("p.lab.toml"), GOOD).expect("written");
    let out = labctl(&["graph", "--format", "svg", "-o", "p.svg"], folder.path());
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(labctl(&["graph", "-o", "q.svg"], folder.path()).status.code(), Some(0));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("the picture");
    assert_eq!(read("p.svg"), read("q.svg"));
    assert!(std::fs::read_to_string(folder.path().join("p.svg")).expect("the picture").starts_with("<svg"));
}

#[test]
fn a_seed_that_could_not_be_repeated_is_refused() {
    let (code, _, err) = with(&[("lab.toml", GOOD)], &["test", "--seed", "0"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("0 stands for a random seed"), "{err}");
    let (_, out, _) = with(&[("lab.toml", GOOD)], &["check", "--show"]);
    assert!(out.contains("seed random"), "{out}");
}

#[test]
fn a_topology_that_is_missing_is_said_once() {
    for verb in ["ps", "down", "up"] {
        let (code, _, err) = with(&[], &["-t", "nothing.toml", verb]);
        assert_eq!(code, Some(2), "{verb}: {err}");
        assert_eq!(err.matches("No such file").count(), 1, "{verb}: {err}");
    }
}

#[test]
fn names_in_a_bus_file_do_not_reach_the_terminal_raw() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = shmif::BusConfig::new("la\x1b[2Jb", "b\x1b[31mus");
    config.history = 1 << 16;
    shmif::Bus::create(folder.path().join("x.bus"), &config).expect("a bus");
    for verb in ["ls", "show", "fsck"] {
        let out = labctl(&["bus", verb, "./x.bus"], folder.path());
        let said = text(&out.stdout);
        assert_eq!(out.status.code(), Some(0), "{verb}: {out:?}");
        assert!(!said.contains('\x1b') && said.contains("b?[31mus"), "{verb}: {said:?}");
    }
}

#[test]
fn numbers_that_no_program_takes_are_usage() {
    for args in [
        &["ping", "a", "b", "-s", "65508"][..],
        &["ping", "a", "b", "-i", "nan"],
        &["ping", "a", "b", "-W", "-1"],
        &["trace", "a", "b", "-w", "inf"],
        &["perf", "udp", "a", "b", "-l", "1"],
        &["perf", "rtt", "a", "b", "-l", "65508"],
        &["perf", "tcp", "a", "b", "-l", "0"],
        &["perf", "tcp", "a", "b", "--hold", "10"],
        &["perf", "udp", "a", "b", "-P", "10"],
        &["perf", "conn", "a", "b", "-P", "0"],
        &["perf", "conn", "a", "b", "-l", "1"],
        &["perf", "conn", "a", "b", "--hold", "1000000"],
        &["perf", "tcp", "a", "b", "--time", "nan"],
        &["perf", "udp", "a", "b", "-r", "0"],
        &["capture", "l", "-c", "0"],
        &["dump", "l", "-c", "0"],
        &["top", "-d", "0.05"],
        &["top", "-n", "0"],
        &["top", "--once", "-n", "2"],
    ] {
        let (code, _, err) = with(&[("lab.toml", GOOD)], args);
        assert_eq!(code, Some(2), "{args:?}: {err}");
    }
}

#[test]
fn an_empty_variable_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("lab.toml"), GOOD).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
    command.env("LABCTL_LAB", "").env("LABCTL_TOPOLOGY", "").arg("check").current_dir(folder.path());
    let out = command.output().expect("labctl runs");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    // What is said on the command line is meant.
    assert_eq!(labctl(&["check", "--lab", ""], folder.path()).status.code(), Some(2));
}

#[test]
fn usage_is_2_and_a_reader_who_goes_is_success() {
    assert_eq!(with(&[], &["chekc"]).0, Some(2));
    assert_eq!(with(&[], &[]).0, Some(2));
    let mut child = Command::new(env!("CARGO_BIN_EXE_labctl"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("labctl runs");
    drop(child.stdout.take());
    let out = child.wait_with_output().expect("it ends");
    assert_eq!((out.status.code(), text(&out.stderr).as_str()), (Some(0), ""));
}
