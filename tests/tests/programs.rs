//! Programs of the host on nodes, for an ordinary user: in a terminal, with job control; and where the host refuses them.

use lab_tests::{Guard, NOBODY, Place, User, program, wait_for};
use std::io::{Read, Write};
use std::process::{ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// A verb of `labctl` in a terminal of its own.
struct Terminal {
    child: Guard,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
    /// What has been waited for ends here.
    seen: usize,
}

impl Terminal {
    fn new(place: &Place, line: &str) -> Terminal {
        program("script", "bsdutils");
        let mut command = place.command("script");
        command.args(["-q", "-e", "-c", line, "/dev/null"]).env("SHELL", "/bin/bash").env("TERM", "dumb");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
        let (keys, mut out) = (child.stdin.take().expect("keys"), child.stdout.take().expect("a screen"));
        let screen = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut room = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut room) {
                shared.lock().expect("a screen").push_str(&String::from_utf8_lossy(&room[..count]));
            }
        });
        Terminal { child: Guard(child), keys, screen, seen: 0 }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("keys");
    }

    /// Waits until the screen shows a text after what was waited for before.
    fn see(&mut self, text: &str) {
        let (screen, seen) = (Arc::clone(&self.screen), self.seen);
        let shown = || screen.lock().expect("a screen").clone();
        let end = std::time::Instant::now() + BOUND;
        loop {
            let all = shown();
            if let Some(at) = all[seen..].find(text) {
                self.seen = seen + at + text.len();
                return;
            }
            assert!(std::time::Instant::now() < end, "waited for {text:?} in vain; the screen: {all}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_shell_on_a_node_has_job_control() {
    let place = Place::new(User::Ordinary);
    place.ok("init");
    place.ok("up");
    let mut terminal = Terminal::new(&place, "labctl shell h1");
    terminal.see("[h1] ");
    // What is typed is echoed: what is to be seen is not in it.
    terminal.press("echo user $((65000+534)) $(hostname)=; id -u\n");
    terminal.see(&format!("user {NOBODY} h1="));
    terminal.see("[h1] ");
    // Ctrl-C ends what runs and not the shell.
    terminal.press("sh -c 'echo on$((0+1)); exec sleep 1000'\n");
    terminal.see("on1");
    terminal.press("\x03");
    terminal.see("[h1] ");
    terminal.press("echo status=$?\n");
    terminal.see("status=130");
    // Ctrl-Z stops it; it goes on where it was.
    terminal.press("sh -c 'echo on$((1+1)); read line; echo read=$line'\n");
    terminal.see("on2");
    terminal.press("\x1a");
    terminal.see("Stopped");
    terminal.press("fg\n");
    terminal.see("fg");
    terminal.press("text\n");
    terminal.see("read=text");
    // A child in the background, and one that outlives the shell.
    terminal.press("sleep 1000 & echo job=$!\n");
    terminal.see("job=");
    terminal.press("kill %1; wait %1; echo ended=$?\n");
    terminal.see("ended=143");
    terminal.press("exit 7\n");
    let status = terminal.child.0.wait().expect("its end");
    assert_eq!(status.code(), Some(7));
    place.ok("down");
    place.assert_clean();
}

#[test]
fn a_shell_ends_with_its_lab() {
    let place = Place::new(User::Ordinary);
    place.ok("init");
    place.ok("up");
    let mut terminal = Terminal::new(&place, "labctl shell h1");
    terminal.see("[h1] ");
    // An interactive shell ignores SIGTERM; its terminal's end it does not, and takes its leave.
    terminal.press("trap 'echo bye > bye' EXIT; echo set=$?\n");
    terminal.see("set=0");
    place.ok("down");
    terminal.child.0.wait().expect("its end");
    assert_eq!(std::fs::read_to_string(place.path().join("bye")).expect("its last words"), "bye\n");
    place.assert_clean();
}

#[test]
fn an_exec_in_a_shell_s_job_control_stops_and_goes_on() {
    let place = Place::new(User::Ordinary);
    place.ok("init");
    place.ok("up");
    let mut terminal = Terminal::new(&place, "bash --norc -i");
    terminal.press("labctl exec h1 -- sh -c 'echo on$((0+1)); read line; echo read=$line; exit 5'\n");
    terminal.see("on1");
    terminal.press("\x1a");
    terminal.see("Stopped");
    terminal.press("fg\n");
    terminal.see("fg");
    terminal.press("text\n");
    terminal.see("read=text");
    terminal.press("echo status=$?\n");
    terminal.see("status=5");
    terminal.press("labctl exec h1 -- sh -c 'echo on$((1+1)); exec sleep 1000'\n");
    terminal.see("on2");
    terminal.press("\x03");
    terminal.press("echo status=$?\n");
    terminal.see("status=130");
    // A shell is in a group of its own, and goes on when its front does.
    terminal.press("labctl shell h1\n");
    terminal.see("[h1] ");
    terminal.press("suspend\n");
    terminal.see("Stopped");
    terminal.press("fg\n");
    terminal.see("fg");
    terminal.press("echo back=$((4+4))\n");
    terminal.see("back=8");
    terminal.press("exit 9\n");
    terminal.press("echo status=$?\n");
    terminal.see("status=9");
    place.ok("down");
    place.assert_clean();
}

#[test]
fn what_the_host_refuses_is_said_with_its_mend() {
    let place = Place::new(User::Ordinary);
    place.ok("init");
    place.ok("up");
    let refused = |words: &str| {
        let mut command = place.command(place.path().join("refuse-unshare"));
        command.args(["--seccomp", "labctl"]).args(words.split(' '));
        command.output().expect("labctl runs")
    };
    let output = refused("exec h1 -- true");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[0].starts_with("labctl: cannot run programs on nodes here: "), "{said}");
    assert!(lines[1].starts_with("  help: ") && lines[1].contains("seccomp"), "{said}");
    // `doctor` tells beforehand; labs run all the same.
    let output = refused("doctor");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.lines().any(|line| line.starts_with("warn  exec: seccomp")), "{said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    // Where nothing refuses, nothing is said.
    let said = place.ok("doctor");
    assert!(said.lines().any(|line| line.starts_with("ok    exec: seccomp")), "{said}");
    place.ok("down");
    place.assert_clean();
}

#[test]
fn a_web_server_and_its_client_across_a_router() {
    for name in ["python3", "curl"] {
        program(name, name);
    }
    let place = Place::new(User::Ordinary);
    let text =
        std::fs::read_to_string(lab_tests::root().join("topologies/web.lab.toml")).expect("the topology");
    place.write("web.lab.toml", &text);
    let said = place.ok("test web.lab.toml");
    assert!(said.contains("4 passed"), "{said}");
    place.ok("up");
    assert_eq!(place.ok("exec h1 -- curl -sS http://web:8080/web.lab.toml"), text);
    assert!(place.ok("logs httpd").contains("GET /web.lab.toml"));
    wait_for("the client's end", BOUND, || {
        let ps = place.json("ps");
        let nodes = ps["nodes"].as_array()?.iter().find(|node| node["name"] == "h1")?.clone();
        (nodes["programs"][0]["state"] == "exited").then_some(())
    });
    place.ok("down");
    place.assert_clean();
}
