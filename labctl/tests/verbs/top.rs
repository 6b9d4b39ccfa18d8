//! `top`: what it sees of traffic and of deaths, and that the terminal is given back.

use crate::place::{Place, kill};
use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

/// A `top --json` that runs.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn new(place: &Place) -> Self {
        let mut command = place.command(&["top", "--json", "-d", "0.1"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next object, in which nothing is negative.
    fn look(&mut self) -> Value {
        let object: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
        for row in ["nodes", "buses"].iter().flat_map(|table| object[table].as_array().unwrap()) {
            let numbers = row.as_object().unwrap().values().filter_map(Value::as_f64);
            assert!(numbers.fold(0.0, f64::min) >= 0.0, "{object:#}");
        }
        object
    }

    fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let object = self.look();
            if holds(&object) {
                return object;
            }
            assert!(Instant::now() < end, "waited in vain for {what}: {object:#}");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn row<'v>(object: &'v Value, table: &str, name: &str) -> &'v Value {
    object[table].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
}

/// Pings from one end to the other, until it is dropped.
struct Pings(Child);

impl Pings {
    fn new(place: &Place) -> Self {
        let words = ["run", "h1", "ping", "-i", "0.005", "-c", "1000000", "h2"];
        Self(place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn traffic_is_seen_where_it_is() {
    let place = Place::new();
    place.ok(&["up"]);
    let mut watch = Watch::new(&place);
    let first = watch.look();
    assert_eq!((&first["lab"], first["seconds"].is_number()), (&"hello".into(), true));
    let names = |table: &str| -> Vec<String> {
        let rows = first[table].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (names("nodes"), names("buses")),
        (vec!["h1".into(), "r1".into(), "h2".into()], vec!["left".into(), "right".into()])
    );
    for rate in ["cpu_percent", "in_frames_per_second", "out_octets_per_second", "drops_per_second"] {
        assert_eq!(row(&first, "nodes", "h1")[rate], Value::Null, "{first:#}");
    }
    assert_eq!(row(&first, "buses", "left")["bits_per_second"], Value::Null, "{first:#}");
    assert_eq!(row(&first, "buses", "left")["members"], 2);
    assert_eq!(row(&first, "nodes", "r1")["pid"], place.pids()[1]);
    assert!(row(&first, "nodes", "r1")["resident_octets"].as_u64() > Some(0));
    let quiet = watch.until("rates", |object| row(object, "nodes", "h2")["in_frames_per_second"].is_number());
    assert_eq!(row(&quiet, "nodes", "h2")["in_octets_per_second"], 0.0, "{quiet:#}");

    let pings = Pings::new(&place);
    watch.until("pings", |object| {
        let flows = |node: &str, rate: &str| row(object, "nodes", node)[rate].as_f64() > Some(0.0);
        let carries = |bus: &str| row(object, "buses", bus)["bits_per_second"].as_f64() > Some(0.0);
        flows("h1", "out_frames_per_second")
            && flows("h1", "in_octets_per_second")
            && flows("r1", "out_octets_per_second")
            && flows("h2", "in_frames_per_second")
            && flows("h1", "cpu_percent")
            && row(object, "nodes", "h1")["sockets"].as_u64() > Some(0)
            && carries("left")
            && carries("right")
    });
    place.ok(&["impair", "set", "right", "loss", "50%"]);
    let lossy = watch
        .until("losses", |object| row(object, "buses", "right")["impaired_per_second"].as_f64() > Some(0.0));
    assert_eq!(row(&lossy, "buses", "left")["impaired_per_second"], 0.0, "{lossy:#}");
    let drops = |node| row(&lossy, "nodes", node)["drops_per_second"].as_f64().unwrap();
    assert!(drops("r1") + drops("h2") > 0.0 && drops("h1") == 0.0, "{lossy:#}");

    // For people, and once.
    let text = place.ok(&["top", "-b", "-n", "2", "-d", "0.2"]);
    assert_eq!(text.matches("hello: 3 of 3 nodes running, 2 buses, up ").count(), 2, "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    let of_h1: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("h1 "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    // NODE STATE PID CPU% RES IN…
    assert_eq!((of_h1[0][3], of_h1[0][5]), ("-", "-"), "{text}");
    assert!(of_h1[1][3] != "-" && of_h1[1][5] != "-", "{text}");
    let once = place.ok(&["top", "--once", "-d", "0.2"]);
    assert_eq!(once.matches("NODE  STATE").count(), 1, "{once}");
    assert!(!once.lines().any(|line| line.starts_with("h1 ") && line.contains(" - ")), "{once}");
    drop(pings);
    drop(watch);
    place.ok(&["down"]);
    place.assert_clean();
}

#[test]
fn deaths_and_silences_are_seen_and_hold_nobody_up() {
    let place = Place::new();
    place.ok(&["up"]);
    let pids = place.pids();
    // It runs, and takes what it is asked, but nobody is there to answer.
    let ctl = place.lab().join("node/r1/ctl");
    fs::remove_file(&ctl).unwrap();
    let deaf = std::os::unix::net::UnixListener::bind(&ctl).unwrap();
    let mut watch = Watch::new(&place);
    let state = |node: &'static str, state: &'static str| {
        move |object: &Value| row(object, "nodes", node)["state"] == state
    };
    let look = watch.look();
    assert!(state("r1", "no answer")(&look) && state("h1", "running")(&look), "{look:#}");
    assert_eq!(row(&look, "nodes", "r1")["sockets"], Value::Null, "{look:#}");
    let rates = watch.until("rates", |object| row(object, "nodes", "h1")["in_frames_per_second"].is_number());
    assert!(state("r1", "no answer")(&rates), "{rates:#}");
    drop(deaf);

    kill(pids[2], SIGSTOP);
    watch.until("a pause", state("h2", "paused"));
    kill(pids[2], SIGCONT);
    watch.until("its end", |object| {
        state("h2", "running")(object) && row(object, "nodes", "h2")["sockets"].is_number()
    });

    place.ok(&["kill", "h1"]);
    let dead = watch.until("a death", state("h1", "dead"));
    let h1 = row(&dead, "nodes", "h1");
    assert_eq!(
        (&h1["pid"], &h1["cpu_percent"], &h1["resident_octets"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(row(&dead, "buses", "left")["members"], 1, "{dead:#}");
    place.ok(&["start", "h1"]);
    let back = watch.until("a life", state("h1", "running"));
    assert_ne!(row(&back, "nodes", "h1")["pid"], pids[0], "{back:#}");
    watch.until("its rates", |object| row(object, "nodes", "h1")["in_frames_per_second"].is_number());
    place.ok(&["stop", "h1"]);
    watch.until("a stop", state("h1", "stopped"));
    // It answers again, by a socket of its own.
    place.ok(&["restart", "r1"]);
    watch.until("an answer", state("r1", "running"));

    place.ok(&["down"]);
    for line in watch.lines.by_ref() {
        line.unwrap();
    }
    assert_eq!(watch.child.wait().unwrap().code(), Some(3));
    let said = std::io::read_to_string(watch.child.stderr.take().unwrap()).unwrap();
    assert!(said.contains("lab `hello` is not running"), "{said}");
    place.assert_clean();
}

/// Every way out of the whole screen, on a terminal of its own.
const TERMINAL: &str = r#"
import fcntl, os, re, select, signal, struct, sys, termios, time

master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before = termios.tcgetattr(slave)

def start(*more):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execv(sys.argv[1], [sys.argv[1], "top", "-d", "0.1", *more])
    return pid

seen = b""
def expect(what):
    global seen
    end = time.monotonic() + 60
    while not re.search(what, seen, re.S):
        if time.monotonic() > end:
            sys.exit("no %r in %r" % (what, seen[-3000:]))
        if select.select([master], [], [], 0.5)[0]:
            # Blanks are not written, but passed over.
            seen = re.sub(rb"\x1b\[\d+;\d+H", b" ", seen + os.read(master, 65536))
    seen = re.split(what, seen, maxsplit=1, flags=re.S)[-1]

def ended(pid, how, code=0):
    # Its own screen is left, and the cursor is there again.
    expect(rb"\x1b\[\?1049l")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != code:
        sys.exit("%s: status %d" % (how, status))
    if termios.tcgetattr(slave) != before:
        sys.exit("%s: the terminal is not as it was" % how)

for key in b"q", b"\x1b", b"\x03":
    pid = start()
    expect(rb"\x1b\[\?1049h")
    expect(rb"3 of 3 nodes running.*h1.*r1.*h2.*left.*right.*quit")
    if termios.tcgetattr(slave) == before:
        sys.exit("the terminal is not raw")
    os.write(master, key)
    ended(pid, key)
for number in signal.SIGTERM, signal.SIGHUP, signal.SIGINT:
    pid = start()
    expect(rb"quit")
    os.kill(pid, number)
    ended(pid, number)
pid = start("-n", "2")
expect(rb"quit")
ended(pid, "count")
# Keys and sizes: all is drawn anew.
pid = start()
expect(rb"quit")
os.write(master, b"j ")
expect(rb"paused")
fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
expect(rb"3 of 3 nodes.*left.*quit")
os.write(master, b"q")
ended(pid, "after a resize")
# The lab's end is one.
pid = start()
expect(rb"quit")
os.system("'%s' down" % sys.argv[1])
ended(pid, "down", 3)
expect(rb"lab `hello` is not running")
print("all is well")
"#;

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let place = Place::new();
    place.ok(&["up"]);
    fs::write(place.dir.path().join("terminal.py"), TERMINAL).unwrap();
    let mut command = place.command(&[]);
    let mut python = std::process::Command::new("python3");
    python.args(["terminal.py", env!("CARGO_BIN_EXE_labctl")]).stdin(Stdio::null()).env("TERM", "xterm");
    python.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.stdin(Stdio::null()).get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    let output = python.output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    place.assert_clean();
}
