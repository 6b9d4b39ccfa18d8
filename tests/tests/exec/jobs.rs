//! Job control and ends: exit statuses, signals, pipes, children, terminals, and what is left behind: nothing.

use lab_tests::exec::{H2, Lab, finish, succeeded};
use lab_tests::family::Family;
use lab_tests::{in_each_family, program};
use std::process::Stdio;

in_each_family!(children_inherit_connections, a_daemon_lives_until_the_lab_is_down);

#[test]
fn exit_statuses_are_those_of_a_shell() {
    let lab = Lab::across_a_router(Family::V4);
    for (words, code) in
        [("true", 0), ("false", 1), ("sh -c exit\t7", 7), ("no-such-program", 127), ("/etc/passwd", 126)]
    {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('\t', " ")).collect();
        let ended = finish(&mut lab.command("h1", &words), &words[0]);
        assert_eq!(ended.status.code(), Some(code), "{words:?}: {ended:?}");
    }
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11)] {
        let script = format!("kill -{signal} $$");
        let ended = finish(&mut lab.command("h1", ["sh", "-c", &script]), &script);
        assert_eq!(ended.status.code(), Some(128 + number), "{signal}: {ended:?}");
    }
    let nowhere = finish(&mut lab.command("h9", ["true"]), "true");
    assert!(
        !nowhere.status.success() && String::from_utf8_lossy(&nowhere.stderr).contains("h9"),
        "{nowhere:?}"
    );
}

#[test]
fn pipes_and_children_are_the_shells() {
    let lab = Lab::across_a_router(Family::V4);
    assert_eq!(lab.fed("h1", "tr a-z A-Z", "hello\n"), "HELLO\n");
    assert_eq!(lab.sh("h1", "seq 100000 | head -1; (exit 3) & wait $!; echo $?"), "1\n3\n");
    // A reader that leaves ends the writer, not us.
    let mut cut = lab.place.command("bash");
    let labctl = lab.file("labctl");
    cut.args([
        "-c",
        &format!("{} exec h1 -- seq 1000000 | head -1; echo ${{PIPESTATUS[0]}}", labctl.display()),
    ]);
    let cut = finish(&mut cut, "seq");
    assert_eq!(String::from_utf8_lossy(&cut.stdout), "1\n141\n", "{cut:?}");
    // Output and error streams are two.
    let both = finish(&mut lab.command("h1", ["sh", "-c", "echo out; echo err >&2"]), "sh");
    assert_eq!((&both.stdout[..], &both.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
}

fn children_inherit_connections(family: Family) {
    let lab = Lab::across_a_router(family);
    // What a child inherits is the node's as well.
    let inherited = "import socket, os, sys\n\
        family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n\
        s = socket.create_server(('', 7), family=family); c = socket.create_connection((sys.argv[1], 7)); a, _ = s.accept()\n\
        if os.fork() == 0:\n    s.close(); c.close(); a.sendall(b'from the child'); os._exit(0)\n\
        a.close(); print(c.recv(100).decode()); os.wait(); print(c.recv(100))\n";
    lab.place.write("inherit.py", inherited);
    let loopback = family.addrs(H2).into_iter().map(|addr| if addr.is_ipv6() { "::1" } else { "127.0.0.1" });
    for addr in loopback {
        assert_eq!(lab.ok("h1", &format!("python3 inherit.py {addr}")), "from the child\nb''\n");
    }
}

/// Whether a process of these words lives.
fn lives(words: &str) -> bool {
    std::fs::read_dir("/proc").expect("/proc").flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ") == words
    })
}

fn a_daemon_lives_until_the_lab_is_down(family: Family) {
    let mut lab = Lab::across_a_router(family);
    let v = if family.has_v6() { 6 } else { 4 };
    program("socat", "socat");
    // It leaves its session, its terminal and its parent; `exec` is over when the first process is.
    let listen = format!("TCP{v}-LISTEN:99,fork,reuseaddr");
    lab.sh("h2", &format!("setsid socat -t 60 {listen} SYSTEM:cat </dev/null >/dev/null 2>&1 & echo"));
    lab.receives("h2", "tcp", 99);
    assert_eq!(lab.fed("h1", &format!("socat -t 60 - TCP{v}:h2:99"), "hello\n"), "hello\n");
    let held = format!("sleep 98765.{}", std::process::id());
    let front = lab.start("h1", &held);
    lab.until("a program", || lives(&held));
    lab.place.ok("down");
    // `down` asks programs to end before it ends their nodes.
    assert_eq!(lab.wait(&front), Some(128 + 15), "{}", front.output());
    lab.until("its end", || !lives(&held));
    lab.until("nothing that is left", || lab.place.processes().is_empty());
    lab.place.assert_clean();
}

#[test]
fn a_front_that_is_killed_leaves_nothing() {
    let mut lab = Lab::across_a_router(Family::V4);
    let held = format!("sleep 98764.{}", std::process::id());
    let script = format!("trap '' TERM; setsid {held} & {held}; {held}");
    let front = lab.start_words("h1", &["sh", "-c", &script]);
    lab.until("a program", || lives(&held));
    lab.kill(&front);
    lab.until("its end", || !lives(&held));
    lab.until("its supervisor's end", || {
        lab.place.processes().iter().all(|(_, words)| !words.contains("rumphijack"))
    });
}

#[test]
fn a_program_whose_node_dies_is_ended_with_a_message() {
    let mut lab = Lab::across_a_router(Family::V4);
    let held = format!("sleep 98763.{}", std::process::id());
    let front = lab.start("h1", &held);
    lab.until("a program", || lives(&held));
    lab.place.ok("kill h1");
    assert_eq!(lab.wait(&front), Some(125));
    assert!(front.output().contains("the node is gone"), "{}", front.output());
    lab.until("its end", || !lives(&held));
    let after = lab.run("h1", "true");
    assert!(!after.status.success() && !after.stderr.is_empty(), "{after:?}");
}

const TERMINAL: &str = r#"
import os, pty, re, select, signal, sys, time

pid, fd = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""

def expect(what):
    global seen
    end = time.monotonic() + 60
    while not re.search(what, seen):
        if time.monotonic() > end or not select.select([fd], [], [], 1)[0] and time.monotonic() > end:
            sys.exit("no %r in %r" % (what, seen))
        if select.select([fd], [], [], 0.5)[0]:
            seen += os.read(fd, 65536)
    seen = re.split(what, seen, maxsplit=1)[-1]

def say(what):
    os.write(fd, what)

say(b"PS1=; stty -echo; set -b; echo rea''dy\n")
expect(rb"ready")
# Ctrl-C ends the program, and only it.
say(b"labctl exec h1 -- sh -c 'echo runs; exec sleep 1000'; echo status=$?\n")
expect(rb"runs")
say(b"\x03")
expect(rb"status=130")
# A program that takes it lives on, and so does labctl.
say(b"labctl exec h1 -- sh -c 'trap \"echo trapped\" INT; echo runs; read line; echo over; exit 4'; echo status=$?\n")
expect(rb"runs")
say(b"\x03")
expect(rb"trapped")
say(b"\n")
expect(rb"status=4")
# Ctrl-Z stops it, fg lets it go on, with the terminal.
say(b"labctl exec h1 -- cat\n")
say(b"one\n")
expect(rb"one")
say(b"\x1a")
expect(rb"Stopped")
say(b"jobs; fg\n")
expect(rb"cat")
say(b"two\n")
expect(rb"two")
say(b"\x04")
say(b"echo status=$?\n")
expect(rb"status=0")
# In the background it may not read the terminal.
say(b"labctl exec h1 -- cat &\n")
expect(rb"Stopped")
say(b"kill %1; wait; echo gone\n")
expect(rb"gone")
say(b"labctl exec h1 -- sh -c 'test -t 0 && stty size && tty'; exit\n")
expect(rb"/dev/pts/")
os.waitpid(pid, 0)
print("all is well")
"#;

#[test]
fn a_terminal_stops_and_ends_programs() {
    program("python3", "python3");
    let lab = Lab::across_a_router(Family::V4);
    lab.place.write("terminal.py", TERMINAL);
    let mut command = lab.place.command("python3");
    command.arg("terminal.py").stdin(Stdio::null());
    let done = finish(&mut command, "terminal.py");
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

#[test]
fn a_program_on_a_node_starts_one_on_another() {
    let mut lab = Lab::across_a_router(Family::V4);
    lab.place.write("on", "here\n");
    let script = "uname -n; labctl exec h2 -- sh -c 'uname -n; pwd; cat; echo $LABCTL_NODE $MARK; exit 7' < on; echo $?; uname -n";
    let mut command = lab.command("h1", ["sh", "-c", script]);
    command.env("MARK", "an x");
    let here = lab.place.path().canonicalize().expect("the working folder");
    let said = succeeded("exec in exec", &finish(&mut command, script));
    assert_eq!(said, format!("h1\nh2\n{}\nhere\nh2 an x\n7\nh1\n", here.display()));
    // The third is what the second started, and its calls are its own node's.
    let nested = "labctl exec r1 -- labctl exec h2 -- sh -c 'uname -n; ip -4 -o addr show eth0'";
    let nested = lab.sh("h1", nested);
    assert!(nested.starts_with("h2\n") && nested.contains("10.0.2.2"), "{nested}");
    let absent = lab.run("h1", "labctl exec h2 -- no-such-program");
    assert_eq!(absent.status.code(), Some(127), "{absent:?}");

    // It ends with its front, whoever its parent is.
    let script = "labctl exec h2 -- sh -c 'echo begun; exec sleep 1000' & echo front $! .; wait; echo ended; exec sleep 1000";
    let outer = lab.start_words("h1", &["sh", "-c", script]);
    outer.prints("begun");
    let said = outer.prints(" .\n");
    let front = said.split_whitespace().skip_while(|word| *word != "front").nth(1);
    let front = nix::unistd::Pid::from_raw(front.and_then(|pid| pid.parse().ok()).expect("its number"));
    nix::sys::signal::kill(front, nix::sys::signal::SIGKILL).expect("a front");
    outer.prints("ended");
    lab.until("the end of what it ran", || {
        !lab.place.processes().iter().any(|(_, words)| words.contains("node/h2/sysproxy"))
    });
    lab.kill(&outer);
    lab.until("the end of all", || {
        !lab.place.processes().iter().any(|(_, words)| words.contains("rumphijack"))
    });
}

const STOPPED: &str = r#"
import os, signal, socket, time

def state(pid):
    return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]

def until(holds):
    while not holds():
        time.sleep(0.002)

def blocked(number, what):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = repr(what())
        except OSError as error:
            said = repr(error.errno)
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    until(lambda: open(f"/proc/{pid}/syscall").read().split()[0] == str(number) and state(pid) == "S")
    return pid, r

def told(pid, r):
    said = b""
    while octets := os.read(r, 999):
        said += octets
    os.waitpid(pid, 0)
    return said.decode()

def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T")

def go_on(pid):
    os.kill(pid, signal.SIGCONT)
    until(lambda: state(pid) != "T")

listener = socket.create_server(("", 7))
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("", 7))
calls = {
    "accept": (288, lambda: listener.accept()[0].recv(9),
               lambda: socket.create_connection(("127.0.0.1", 7)).sendall(b"x")),
    "recvfrom": (45, lambda: heard.recvfrom(9)[0], lambda: heard.sendto(b"y", ("127.0.0.1", 7))),
    "recvmsg": (47, lambda: heard.recvmsg(9)[0], lambda: heard.sendto(b"z", ("127.0.0.1", 7))),
    # Nobody is there: EHOSTUNREACH comes by itself.
    "connect": (42, lambda: socket.socket().connect(("10.0.1.99", 7)), lambda: None),
}
for when in "meanwhile", "later", "after two":
    for name, (number, what, happen) in calls.items():
        pid, r = blocked(number, what)
        stop(pid)
        if when == "meanwhile":
            happen()
            # Longer than it takes until somebody looks whether a call is still made.
            time.sleep(0.3)
        go_on(pid)
        if when == "after two":
            stop(pid)
            go_on(pid)
        if when != "meanwhile":
            happen()
        print(name, when, told(pid, r))
"#;

/// SIGSTOP interrupts a call that waits, and SIGCONT begins it anew: what it waited for is neither lost nor told twice.
#[test]
fn a_stopped_program_finds_its_call_as_it_was() {
    let lab = Lab::across_a_router(Family::V4);
    lab.place.write("stopped.py", STOPPED);
    let expected = ["meanwhile", "later", "after two"].map(|when| {
        let said = [("accept", "b'x'"), ("recvfrom", "b'y'"), ("recvmsg", "b'z'"), ("connect", "113")];
        said.map(|(call, what)| format!("{call} {when} {what}\n")).concat()
    });
    assert_eq!(lab.ok("h1", "python3 stopped.py"), expected.concat());
}

/// A tracer sees the program's calls with what the node made of them.
#[test]
fn a_program_can_be_traced() {
    program("strace", "strace");
    let lab = Lab::across_a_router(Family::V4);
    let script = "import socket\n\
        l = socket.create_server(('', 7)); c = socket.create_connection(('10.0.1.2', 7)); a, _ = l.accept()\n\
        c.sendall(b'by TCP'); print(a.recv(9))\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.1', 7))\n\
        u.sendto(b'by UDP', ('127.0.0.1', 7)); print(u.recvfrom(9)[0])\n\
        print(open('/sys/class/net/eth0/address').read())\n";
    lab.place.write("traced.py", script);
    let said = lab.ok("h1", "strace -f -o trace python3 traced.py");
    assert!(said.starts_with("b'by TCP'\nb'by UDP'\n02:"), "{said}");
    let trace = std::fs::read_to_string(lab.file("trace")).expect("what strace wrote");
    for call in [
        "accept4(3, {sa_family=AF_INET, sin_port=htons(",
        "\"by UDP\", 9, 0, {sa_family=AF_INET, sin_port=htons(7)",
    ] {
        assert!(trace.contains(call), "{call}: {trace}");
    }
}
