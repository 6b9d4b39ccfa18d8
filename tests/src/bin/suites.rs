//! `suites [-s SECONDS] [NAME…]`: suites that others wrote, on the host's kernel and on a node.
//!
//! Each suite runs twice, as an ordinary user: on the host (as root in a network namespace of its own, which has nothing but a
//! loopback) and by `labctl exec` on a node with a loopback and one interface. What passes on the host must pass on the node; a
//! skip is no pass. `tests/suites/differences.txt` lists what may differ, each with its reason; what is listed and does
//! not differ fails as well. Without NAME it runs those of [`IN_CI`].
//!
//! Exit status: 0 as it must be, 1 something differs, 2 usage.
#![forbid(unsafe_code)]

use lab_tests::suites::{Differences, Outcomes};
use lab_tests::{Place, User};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// CPython's modules that use sockets.
const IN_CI: [&str; 36] = [
    "test.test_socket",
    "test.test_select",
    "test.test_poll",
    "test.test_epoll",
    "test.test_selectors",
    "test.test_timeout.CreationTestCase",
    "test.test_timeout.UDPTimeoutTestCase",
    "test.test_socketserver",
    "test.test_ssl",
    "test.test_httplib",
    "test.test_httpservers",
    "test.test_urllib",
    "test.test_urllib2_localnet",
    "test.test_ftplib",
    "test.test_smtplib",
    "test.test_poplib",
    "test.test_imaplib",
    "test.test_telnetlib",
    "test.test_asyncore",
    "test.test_asynchat",
    "test.test_xmlrpc",
    "test.test_wsgiref",
    "test.test_docxmlrpc",
    "test.test_os.TestSendfile",
    "test.test_asyncio.test_base_events",
    "test.test_asyncio.test_buffered_proto",
    "test.test_asyncio.test_events",
    "test.test_asyncio.test_selector_events",
    "test.test_asyncio.test_sendfile",
    "test.test_asyncio.test_server",
    "test.test_asyncio.test_sock_lowlevel",
    "test.test_asyncio.test_ssl",
    "test.test_asyncio.test_sslproto",
    "test.test_asyncio.test_streams",
    "test.test_asyncio.test_transports",
    "test.test_asyncio.test_unix_events",
];
/// Others of which little or nothing is about sockets, and which take long.
const BY_HAND: [&str; 5] = [
    // All of it.
    "test.test_asyncio",
    "test.test_logging",
    "test.test_multiprocessing_fork",
    "test.test_multiprocessing_forkserver",
    "test.test_multiprocessing_spawn",
];

/// Seconds that a test may take.
const PATIENCE: u32 = 60;
/// How often an interpreter that died is started again.
const RESTARTS: usize = 40;
const PYTHON: &str = "/usr/bin/python3.11";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (mut seconds, mut names) = (PATIENCE, Vec::new());
    while let Some(word) = words.next() {
        match (word.as_str(), names.is_empty()) {
            ("-s", true) => match words.next().and_then(|word| word.parse().ok()) {
                Some(given) => seconds = given,
                None => return usage(),
            },
            (word, _) if word.starts_with('-') => return usage(),
            _ => names.push(word),
        }
    }
    if names.is_empty() {
        names = IN_CI.map(String::from).to_vec();
    } else if names == ["all"] {
        names = IN_CI.iter().chain(&BY_HAND).map(|name| name.to_string()).collect();
    }
    lab_tests::program("python3.11", "python3.11 libpython3.11-testsuite");
    let suites = lab_tests::root().join("tests/suites");
    let listed = std::fs::read_to_string(suites.join("differences.txt")).expect("the list of differences");
    let listed = Differences::parse(&listed);
    let place = Place::new(User::Ordinary);
    std::fs::copy(suites.join("cpython.py"), place.path().join("cpython.py")).expect("the suite's runner");
    let topology =
        "name = \"suites\"\n[node]\nh = {}\n[bus]\nlan = { subnet = \"10.0.0.0/24\", nodes = [\"h\"] }\n";
    place.write("lab.toml", topology);
    place.ok("up");
    let logs = logs();
    let mut as_it_must_be = true;
    for name in &names {
        let (host, node) = std::thread::scope(|scope| {
            let host = scope.spawn(|| run(&place, &logs, name, seconds, Where::Host));
            let node = run(&place, &logs, name, seconds, Where::Node);
            (host.join().expect("the host's run"), node)
        });
        as_it_must_be &= judge(name, &host, &node, &listed);
    }
    if as_it_must_be { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folder for what the suites print and for their results: `suites.log` beside the program.
fn logs() -> PathBuf {
    let logs = lab_tests::built("suites").with_file_name("suites.log");
    std::fs::create_dir_all(&logs).expect("a folder for logs");
    logs
}

fn usage() -> ExitCode {
    eprintln!("usage: suites [-s SECONDS] [all | NAME…]");
    ExitCode::from(2)
}

/// Where a suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Host,
    Node,
}

impl Where {
    fn name(self) -> &'static str {
        match self {
            Where::Host => "host",
            Where::Node => "node",
        }
    }
}

/// Runs one of CPython's, and starts it again where it stopped, until it has come to its end.
fn run(place: &Place, logs: &Path, name: &str, seconds: u32, at: Where) -> Outcomes {
    let dir = place.path().join(format!("{name}.{}", at.name()));
    std::fs::create_dir(&dir).expect("a folder");
    if nix::unistd::geteuid().is_root() {
        let nobody = lab_tests::NOBODY;
        nix::unistd::chown(&dir, Some(nobody.into()), Some(nobody.into())).expect("chown");
    }
    let results = dir.join("results");
    let log = logs.join(format!("{name}.{}.log", at.name()));
    let output = std::fs::File::create(&log).expect("a log");
    for _ in 0..RESTARTS {
        let mut command = match at {
            Where::Host => place.command(PYTHON),
            Where::Node => place.labctl(["exec", "h", "--", PYTHON]),
        };
        command.arg("-I").arg(place.path().join("cpython.py")).arg(&results);
        command.args([seconds.to_string(), name.to_string()]);
        if at == Where::Host && nix::unistd::geteuid().is_root() {
            command = in_a_namespace(&command);
        }
        let output = || output.try_clone().expect("a descriptor");
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        command.current_dir(&dir).env("TMPDIR", &dir);
        // How it ended is in what it wrote.
        let _ = command.status().expect("the interpreter starts");
        let text = std::fs::read_to_string(&results).unwrap_or_default();
        let outcomes = Outcomes::parse(&text);
        if outcomes.ended {
            std::fs::write(log.with_extension("results"), text).expect("the results");
            return outcomes;
        }
    }
    panic!("{name}: the interpreter dies again and again: {}", log.display());
}

/// The same command in a new network namespace, whose loopback is up.
fn in_a_namespace(command: &Command) -> Command {
    let mut inside = Command::new(lab_tests::program("unshare", "util-linux"));
    lab_tests::program("ip", "iproute2");
    inside.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    inside.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// Says how the two compare; whether it is as it must be.
fn judge(name: &str, host: &Outcomes, node: &Outcomes, listed: &Differences) -> bool {
    let verdict = listed.judge(name, host, node);
    println!(
        "{name}: {} pass on the host, {} of them on the node; {} differences are listed",
        verdict.host, verdict.node, verdict.listed
    );
    for (test, outcome) in &verdict.unlisted {
        println!("    differs: {test} {outcome}");
    }
    for test in &verdict.stale {
        println!("    does not differ: {test}");
    }
    verdict.unlisted.is_empty() && verdict.stale.is_empty()
}
