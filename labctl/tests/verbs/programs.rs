//! The programs of a topology, and those that are started by hand: what is said of them, and that they end.

use crate::place::{HELLO, Place, kill};
use crate::says::Want::Refuses;
use crate::says::assert_says;
use nix::sys::signal::Signal::{SIGINT, SIGKILL};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A server that serves a line a client.
const SERVER: &str = r#"
import socketserver, sys
class Line(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"a line\n")
socketserver.TCPServer.allow_reuse_address = True
print("about to listen", flush=True)
socketserver.TCPServer(("", 7000), Line).serve_forever()
"#;
const CLIENT: &str = r#"
import socket
with socket.create_connection(("h2", 7000), 20) as one:
    print(one.makefile().read(), end="")
"#;

/// A lab with more in its topology.
fn lab(more: &str) -> Place {
    let place = Place::new();
    fs::write(place.dir.path().join("server.py"), SERVER).unwrap();
    fs::write(place.dir.path().join("client.py"), CLIENT).unwrap();
    fs::write(place.dir.path().join("hello.lab.toml"), format!("{HELLO}{more}")).unwrap();
    place
}

const WEB: &str = r#"
[program.fetch]
node = "h1"
cmd = "python3 client.py"
dir = "."
after = ["web"]
expect = { exit = 0, stdout = { contains = "a line" } }
[program.web]
node = "h2"
cmd = "python3 server.py"
dir = "."
ready = { tcp = 7000, within = "60s" }
"#;

fn ps(place: &Place) -> Value {
    serde_json::from_str(&place.ok(&["ps", "--json"])).unwrap()
}

/// The programs of a node.
fn programs(place: &Place, node: &str) -> Vec<Value> {
    let ps = ps(place);
    let nodes = ps["nodes"].as_array().unwrap();
    nodes.iter().find(|row| row["name"] == node).unwrap()["programs"].as_array().unwrap().clone()
}

fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: i32) -> bool {
    use labctl::lab::process::{Identity, Life};
    Identity::of(pid).is_some_and(|(_, life)| life != Life::Dead)
}

fn pid_in(place: &Place, file: &str) -> Option<i32> {
    let text = fs::read_to_string(place.dir.path().join(file)).ok()?;
    text.ends_with('\n').then(|| text.trim().parse().unwrap())
}

#[test]
fn programs_start_in_their_order_and_are_shown_and_end() {
    let place = lab(WEB);
    assert!(place.ok(&["up"]).contains("2 programs"));
    // The client came after the server, whose name it resolved, and was done by itself.
    wait_for("the client's end", || (programs(&place, "h1")[0]["state"] == "exited").then_some(()));
    let client = &programs(&place, "h1")[0];
    assert_eq!((&client["name"], &client["from"]), (&"fetch".into(), &"topology".into()));
    assert_eq!((&client["exit"], &client["signal"]), (&0.into(), &Value::Null));
    let server = programs(&place, "h2").remove(0);
    assert_eq!((&server["name"], &server["state"]), (&"web".into(), &"running".into()));
    assert_eq!(server["command"], serde_json::json!(["python3", "server.py"]));
    let pid = server["pid"].as_i64().unwrap() as i32;
    assert!(is_alive(pid));
    assert!(place.ok(&["ps"]).lines().any(|line| line.starts_with("fetch ") && line.contains("exited 0")));
    // One that is started by hand.
    let mut by_hand = place.command(&["exec", "h2", "--", "sleep", "1000"]).spawn().unwrap();
    wait_for("sleep", || programs(&place, "h2").iter().any(|one| one["name"] == "sleep").then_some(()));
    let shown = programs(&place, "h2").remove(1);
    assert_eq!((&shown["from"], &shown["state"]), (&"exec".into(), &"running".into()));
    // What they wrote.
    assert_eq!(place.ok(&["logs", "web"]), "about to listen\n");
    assert_eq!(place.ok(&["logs"]), "fetch | a line\nweb   | about to listen\n");
    assert_eq!(
        place.ok(&["logs", "fetch", "--json"]),
        "{\"line\":\"a line\",\"program\":\"fetch\",\"stream\":\"stdout\"}\n"
    );
    assert_says(&place, "logs", &["wob"], Refuses(2));
    let said = place.ok(&["down"]);
    assert!(said.contains("3 nodes and 2 programs ended"), "{said}");
    assert!(!is_alive(pid));
    // As of a program that SIGTERM has ended.
    assert_eq!(by_hand.wait().unwrap().code(), Some(128 + 15));
    place.assert_clean();
}

#[test]
fn a_program_ends_with_its_node_and_is_there_again_after_a_restart() {
    let place = lab(WEB);
    place.ok(&["up"]);
    let pid = || programs(&place, "h2")[0]["pid"].as_i64().map(|pid| pid as i32);
    for verb in ["kill", "stop"] {
        let before = pid().unwrap();
        place.ok(&[verb, "h2"]);
        assert!(!is_alive(before), "{verb}");
        assert_eq!(pid(), None, "{verb}");
        assert_eq!(programs(&place, "h2")[0]["state"], "signalled", "{verb}");
        place.ok(&["start", "h2"]);
        assert!(is_alive(pid().unwrap()), "{verb}");
    }
    let before = pid().unwrap();
    place.ok(&["restart", "h2"]);
    assert!(!is_alive(before) && is_alive(pid().unwrap()));
    // It is ready: nobody has to wait.
    let client = place.dir.path().join("client.py");
    assert_eq!(place.ok(&["exec", "h1", "--", "python3", client.to_str().unwrap()]), "a line\n");
    // Every start is in the log.
    assert_eq!(place.ok(&["logs", "web"]), "about to listen\n".repeat(4));
    assert_eq!(place.ok(&["logs", "web", "-n", "1"]), "about to listen\n");
    // The other node's were left alone.
    assert_eq!(programs(&place, "h1")[0]["state"], "exited");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn a_program_that_does_not_become_ready_keeps_the_lab_down_and_is_quoted() {
    let sh = |script: &str, rest: &str| {
        format!("[program.p]\nnode = \"h1\"\ncmd = [\"sh\", \"-c\", {script:?}]\n{rest}\n")
    };
    let after = "[program.q]\nnode = \"h2\"\ncmd = [\"true\"]\nafter = [\"p\"]";
    for (program, said) in [
        (
            sh("echo no such luck >&2; exit 3", "ready = { tcp = 80, within = \"60s\" }"),
            &["program `p` on node `h1` exited 3 before it was ready", "  | no such luck"][..],
        ),
        (
            sh("echo here I am; exec sleep 1000", "ready = { udp = 53, within = \"200ms\" }"),
            &["is not ready in 200ms: nothing has UDP port 53", "  | here I am"],
        ),
        (
            sh("echo ready; exec sleep 1000", "ready = { log = \"^steady$\", within = \"200ms\" }"),
            &["wrote no line that matches \"^steady$\"", "  | ready"],
        ),
        (
            format!("{}{after}", sh("echo half; exit 1", "expect = { exit = 0 }")),
            &["program `p` on node `h1` exited 1, wanted exit 0", "  | half"],
        ),
        (
            "[program.p]\nnode = \"h1\"\ncmd = [\"no-such-program\"]".into(),
            &["program `p` on node `h1` cannot be executed"],
        ),
    ] {
        let place = lab(&program);
        for verb in ["up", "test"] {
            let output = place.run(&[verb]);
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{verb} {program}: {output:?}");
            for said in said {
                assert!(text.contains(said), "{verb} {program}: {text}");
            }
            place.assert_clean();
        }
    }
}

#[test]
fn a_log_may_say_that_its_program_is_ready() {
    let place = lab(
        "[program.p]\nnode = \"h1\"\ncmd = [\"sh\", \"-c\", \"echo go; exec sleep 1000\"]\nready = { log = \"^go$\" }\n",
    );
    place.ok(&["up"]);
    assert_eq!(place.ok(&["logs", "p"]), "go\n");
    // Its second beginning has to say it again: the first line is in the log already.
    place.ok(&["restart", "h1"]);
    assert_eq!(place.ok(&["logs", "p"]), "go\ngo\n");
}

#[test]
fn programs_are_checks_of_a_test() {
    let place = lab(&format!(
        r#"{WEB}
[program.wrong]
node = "h1"
cmd = ["sh", "-c", "echo one; echo two >&2; exit 4"]
expect = {{ exit = 5 }}
[program.dies]
node = "h1"
cmd = ["sh", "-c", "echo oh; exit 6"]
[program.daemon]
node = "h1"
cmd = ["true"]
[program.lives]
node = "h1"
cmd = ["sleep", "1000"]
[[check]]
cmd = {{ node = "h*", cmd = ["sh", "-c", "hostname; echo e >&2"], stdout = {{ matches = "^h[12]\n$" }}, stderr = {{ contains = "e" }} }}
[[check]]
cmd = {{ node = "h1", cmd = ["echo", '{{"a": [1, 2]}}'], stdout = {{ json = {{ a = [1, 2] }} }} }}
[[check]]
name = "not this"
cmd = {{ node = "h1", cmd = ["sh", "-c", "echo said; exit 9"] }}
[[check]]
name = "expected to fail"
cmd = {{ node = "h1", cmd = ["false"] }}
expect = "fail"
[[check]]
name = "slow"
cmd = {{ node = "h1", cmd = ["sleep", "1000"] }}
within = "300ms"
"#
    ));
    let output = place.run(&["test", "--json", "--captures", "kept"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{report:#}");
    let of = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        let check =
            checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"));
        (check["ok"].as_bool().unwrap(), check["detail"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("program fetch"), (true, "exited 0".into()));
    assert_eq!(of("program wrong"), (false, "exited 4, wanted exit 5\n  | one\n  | two".into()));
    assert_eq!(of("program dies"), (false, "exited 6 before the lab's end\n  | oh".into()));
    assert_eq!(of("program daemon"), (true, "exited 0".into()));
    assert_eq!(of("not this"), (false, "exited 9, wanted exit 0\n  | said".into()));
    assert!(of("expected to fail").0);
    let (ok, detail) = of("slow");
    assert!(!ok && detail.contains("tried for 300 ms"), "{detail}");
    // The two nodes, the JSON, the one that fails as it is to, two programs; one that lives is no check.
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(6), Some(4)), "{report:#}");
    let kept = place.dir.path().join(report["captures"].as_str().unwrap());
    assert_eq!(fs::read_to_string(kept.join("program-dies.log")).unwrap(), "oh\n");
    place.assert_clean();
}

#[test]
fn nothing_is_left_behind_whatever_was_killed() {
    let place = Place::new();
    // A grandchild that has left its session and its parents, and opens nothing any more: nobody would serve that.
    let daemon = "setsid sh -c 'mkfifo PID.fifo; exec 3<>PID.fifo; echo $$ > PID; read line <&3' & wait";
    let begin = |node: &str, file: &str| {
        let script = daemon.replace("PID", file);
        let child =
            place.command(&["exec", node, "--", "sh", "-c", &script]).stderr(Stdio::null()).spawn().unwrap();
        (child, wait_for("the daemon", || pid_in(&place, file)))
    };
    place.ok(&["up"]);
    let supervisors = || labctl::lab::supervisors::scan(&place.run);
    // The front is killed: the supervisor ends all.
    let (mut front, daemon) = begin("h1", "one");
    front.kill().unwrap();
    front.wait().unwrap();
    wait_for("the end of the first", || (!is_alive(daemon) && supervisors().is_empty()).then_some(()));
    // The supervisor is killed: the daemon is found by its environment.
    let (mut front, daemon) = begin("h1", "two");
    kill(supervisors()[0].id.pid, SIGKILL);
    assert_eq!(front.wait().unwrap().code(), Some(1));
    assert!(is_alive(daemon) && supervisors().is_empty());
    place.ok(&["stop", "h1"]);
    assert!(!is_alive(daemon));
    // Everything is killed, and the lab's directory removed: `gc` still finds it.
    place.ok(&["start", "h1"]);
    let (mut front, daemon) = begin("h2", "three");
    kill(supervisors()[0].id.pid, SIGKILL);
    front.wait().unwrap();
    for pid in place.pids() {
        kill(pid, SIGKILL);
    }
    fs::remove_dir_all(place.lab()).unwrap();
    assert!(is_alive(daemon));
    assert!(place.ok(&["gc"]).contains("1 process of programs without a lab ended"));
    assert!(!is_alive(daemon));
    place.assert_clean();
}

#[test]
fn a_program_whose_node_dies_is_ended_with_a_message() {
    let place = Place::new();
    place.ok(&["up"]);
    let child = place.command(&["exec", "h1", "--", "sleep", "1000"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("sleep", || (!programs(&place, "h1").is_empty()).then_some(()));
    let node = ps(&place)["nodes"][0]["pid"].as_i64().unwrap() as i32;
    kill(node, SIGKILL);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "labctl: h1: the node is gone; sleep was ended\n");
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn logs_are_followed_until_the_lab_ends() {
    let place = lab(
        "[program.p]\nnode = \"h1\"\ncmd = [\"sh\", \"-c\", \"echo 1; while ! [ -e more ]; do sleep 0.05; done; echo 2; exec sleep 1000\"]\ndir = \".\"\n",
    );
    place.ok(&["up"]);
    let follow = || {
        let mut child = place.command(&["logs", "p", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        (child, out)
    };
    let line = |out: &mut BufReader<std::process::ChildStdout>| {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    let (mut child, mut out) = follow();
    assert_eq!(line(&mut out), "1\n");
    fs::write(place.dir.path().join("more"), "").unwrap();
    assert_eq!(line(&mut out), "2\n");
    kill(child.id() as i32, SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (mut child, mut out) = follow();
    assert_eq!((line(&mut out), line(&mut out)), ("1\n".into(), "2\n".into()));
    place.ok(&["down"]);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!((rest, child.wait().unwrap().code()), (String::new(), Some(0)));
    place.assert_clean();
}

#[test]
fn from_inside_a_node_no_lab_is_changed() {
    let place = Place::new();
    place.ok(&["up"]);
    let labctl = env!("CARGO_BIN_EXE_labctl");
    for words in [&["down"][..], &["stop", "h2"], &["restart", "h1"], &["--lab", "b", "up"]] {
        let all = [&["exec", "h1", "--", labctl][..], words].concat();
        let output = place.run(&all);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.contains("this is inside node `h1`\n  help: "), "{words:?}: {said}");
    }
    // Looking is allowed, and so are programs on other nodes.
    assert_eq!(place.ok(&["exec", "h1", "--", labctl, "exec", "h2", "--", "uname", "-n"]), "h2\n");
    assert!(place.ok(&["exec", "h1", "--", labctl, "ps"]).contains("3 of 3 nodes running"));
    place.ok(&["down"]);
    place.assert_clean();
}
