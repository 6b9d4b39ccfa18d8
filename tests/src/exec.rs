//! Unmodified programs on the nodes of a lab: run to their end, left running in the background, waited for.
//!
//! The lab is the shortest with a router: `h1 - r1 - h2`, of one [`Family`] or both, and everybody is an ordinary user.

use crate::family::{Family, Host};
use crate::{Guard, Place, User, wait_for};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take that a test waits for: a busy machine's time, far above what it needs.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Two hosts, a router between them, of both families. Addresses are good at once: while they are tried resolvers take IPv4
/// first, as glibc does.
pub const TOPOLOGY: &str = r#"
name = "lab"
[node]
h1 = { if.eth0 = { dad = "off", bus = "left" } }
r1 = { forward = true }
h2 = { if.eth0 = { dad = "off", bus = "right" } }
[bus]
left  = { subnet = "10.0.1.0/24", subnet6 = "fd00:1::/64", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", subnet6 = "fd00:2::/64", nodes = ["r1", "h2"] }
"#;

/// The first host.
pub const H1: Host = Host(1, 2);
/// The second one.
pub const H2: Host = Host(2, 2);
/// The router, on the first host's side.
pub const R1: Host = Host(1, 1);
/// Nobody, on the second host's side.
pub const NOBODY: Host = Host(2, 99);

/// A running lab. It is taken down at the end, with all programs on it.
#[derive(Debug)]
pub struct Lab {
    /// Where it is.
    pub place: Place,
    background: Vec<Guard>,
    outputs: Vec<PathBuf>,
}

impl Lab {
    /// Two hosts, a router between them.
    pub fn across_a_router(family: Family) -> Lab {
        Lab::up(Place::new(User::Ordinary), &family.topology(TOPOLOGY))
    }

    /// The lab of this topology, in this place.
    pub fn up(place: Place, topology: &str) -> Lab {
        place.write("lab.toml", topology);
        place.ok("up");
        Lab { place, background: Vec::new(), outputs: Vec::new() }
    }

    /// The path of a file in the working folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// `labctl exec NODE -- WORDS`, as a command that has not begun.
    pub fn command<I: AsRef<OsStr>>(&self, node: &str, words: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.place.labctl(["exec", node, "--"]);
        command.args(words);
        command
    }

    /// Runs a program on a node to its end, whatever comes of it. Words are parted by spaces.
    pub fn run(&self, node: &str, words: &str) -> Output {
        finish(&mut self.command(node, words.split_whitespace()), words)
    }

    /// Runs a program on a node, which must succeed; what it printed.
    pub fn ok(&self, node: &str, words: &str) -> String {
        succeeded(words, &self.run(node, words))
    }

    /// The same with a shell's script.
    pub fn sh(&self, node: &str, script: &str) -> String {
        succeeded(script, &finish(&mut self.command(node, ["sh", "-c", script]), script))
    }

    /// Runs a program on a node, which must succeed, and gives it `input`; what it printed.
    pub fn fed(&self, node: &str, words: &str, input: &str) -> String {
        let file = self.place.write("input", input);
        let mut command = self.command(node, words.split_whitespace());
        command.stdin(File::open(file).expect("the input"));
        succeeded(words, &finish(&mut command, words))
    }

    /// Leaves a program running on a node until the test ends; its output goes to the file `NODE-PROGRAM.out`.
    pub fn start(&mut self, node: &str, words: &str) -> Running {
        self.start_words(node, &words.split_whitespace().collect::<Vec<_>>())
    }

    /// The same, with words that may hold spaces.
    pub fn start_words(&mut self, node: &str, words: &[&str]) -> Running {
        let name = words[0].rsplit('/').next().unwrap_or(words[0]);
        let path = self.file(&format!("{node}-{name}-{}.out", self.background.len()));
        let output = File::create(&path).expect("a file for the output");
        let mut command = self.command(node, words);
        command.stdout(output.try_clone().expect("a descriptor")).stderr(output);
        let child = command.spawn().expect("labctl runs");
        self.background.push(Guard(child));
        self.outputs.push(path.clone());
        Running { nth: self.background.len() - 1, path }
    }

    /// Waits until a program in the background has ended; its exit status.
    pub fn wait(&mut self, running: &Running) -> Option<i32> {
        let child = &mut self.background[running.nth].0;
        wait_for("a program in the background", PATIENCE, || child.try_wait().expect("a child")).code()
    }

    /// The process of its front (`labctl exec`).
    pub fn front(&self, running: &Running) -> i32 {
        self.background[running.nth].0.id() as i32
    }

    /// Ends its front without mercy.
    pub fn kill(&mut self, running: &Running) {
        let guard = &mut self.background[running.nth];
        guard.0.kill().expect("a child");
        guard.0.wait().expect("a child");
    }

    /// The address of its link that an interface of a node has, as soon as it is good.
    pub fn address_of_link(&self, node: &str, interface: &str) -> String {
        let mut found = None;
        self.until(&format!("an address of the link of {node}:{interface}"), || {
            let rows = self.place.json(&format!("show addr {node} -6"));
            let rows = rows.as_array().expect("a list of addresses").iter();
            let mut its = rows
                .filter(|row| row["if"] == interface && row["scope"] == "link" && row["tentative"] != true);
            found = its.find_map(|row| Some(row["address"].as_str()?.split('/').next()?.to_owned()));
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// The sockets of a node, as `labctl show sockets` has them.
    pub fn sockets(&self, node: &str) -> Vec<Value> {
        let shown = self.place.json(&format!("show sockets {node}"));
        shown.as_array().expect("a list of sockets").clone()
    }

    /// Waits until a node has a socket with this local port that receives: a listener, or one of UDP.
    pub fn receives(&self, node: &str, proto: &str, port: u16) {
        let end = format!(":{port}");
        let ready = |socket: &Value| {
            let of = |field: &str| socket[field].as_str().unwrap_or_default();
            let listens = proto != "tcp" || of("state") == "LISTEN";
            of("proto") == proto && of("local").ends_with(&end) && listens
        };
        self.until(&format!("{proto} port {port} on {node}"), || self.sockets(node).iter().any(ready));
    }

    /// Waits until `labctl show route NODE` has a line with all of `parts`.
    pub fn route(&self, node: &str, parts: &[&str]) {
        self.until(&format!("a route {parts:?} on {node}"), || {
            let routes = self.place.ok(&format!("show route {node}"));
            routes.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        });
    }

    /// Waits until something holds; a panic says what the programs in the background have printed.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < end, "waited {PATIENCE:?} in vain for {what}\n{}", self.outputs());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the programs in the background have printed.
    pub fn outputs(&self) -> String {
        let outputs = self.outputs.iter().map(|path| {
            let text = std::fs::read(path).unwrap_or_default();
            format!("== {}\n{}\n", path.display(), String::from_utf8_lossy(&text))
        });
        outputs.collect()
    }
}

/// A program in the background.
#[derive(Debug)]
pub struct Running {
    nth: usize,
    path: PathBuf,
}

impl Running {
    /// What it has printed until now.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed this.
    pub fn prints(&self, text: &str) -> String {
        let what = format!("{text:?} in {}", self.path.display());
        wait_for(&what, PATIENCE, || Some(self.output()).filter(|output| output.contains(text)))
    }
}

/// Runs a command to its end, at most for [`PATIENCE`]; a panic says what it had printed.
pub fn finish(command: &mut Command, name: &str) -> Output {
    let mut child = Guard(
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command can be started"),
    );
    let out = drain(child.0.stdout.take());
    let err = drain(child.0.stderr.take());
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.0.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    if status.is_none() {
        let _ = child.0.kill();
    }
    let (stdout, stderr) = (out.join().expect("a reader"), err.join().expect("a reader"));
    match status {
        Some(status) => Output { status, stdout, stderr },
        None => panic!(
            "waited {PATIENCE:?} in vain for {name}\n{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    }
}

fn drain(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut octets = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut octets);
        }
        octets
    })
}

/// What a command printed that succeeded; panics if it did not.
pub fn succeeded(name: &str, output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}
