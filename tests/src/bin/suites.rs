//! `suites [-s SECONDS] [all | NAME…]`: suites that others wrote, on the host's kernel and on a node.
//!
//! Each suite runs twice, as an ordinary user: on the host (as root in a network namespace of its own, which has nothing but a
//! loopback) and by `labctl exec` on a node with a loopback and one interface. What passes on the host must pass on the node; a
//! skip is no pass. `tests/suites/differences.txt` lists what may differ, each with its reason; what is listed and does not
//! differ fails as well. Both runs share the machine, so a few others that differ are named and run once more, on the node alone, where
//! they must pass. Without NAME it runs those for CI; which there are says `lab_tests::suites::table`.
//!
//! Exit status: 0 as it must be, 1 something differs, 2 usage.
#![forbid(unsafe_code)]

use lab_tests::suites::table::{SUITES, Suite};
use lab_tests::suites::{Differences, Outcome, Outcomes};
use lab_tests::{Place, User};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Seconds that a test may take.
const PATIENCE: u32 = 60;
/// So many tests that differ may be the machine's doing.
const FEW: usize = 3;
/// How often a runner that died is started again.
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
    let chosen = match names.as_slice() {
        [] => SUITES.iter().copied().filter(|suite| suite.in_ci).collect(),
        [all] if all == "all" => SUITES.to_vec(),
        names => match names.iter().map(|name| Suite::named(name)).collect::<Option<Vec<_>>>() {
            Some(chosen) => chosen,
            None => return usage(),
        },
    };
    lab_tests::program("python3.11", "python3.11 libpython3.11-testsuite");
    let suites = lab_tests::root().join("tests/suites");
    let listed = std::fs::read_to_string(suites.join("differences.txt")).expect("the list of differences");
    let listed = Differences::parse(&listed);
    let place = Place::new(User::Ordinary);
    for runner in ["results.py", "unittests.py", "program.py"] {
        std::fs::copy(suites.join(runner), place.path().join(runner)).expect("a runner");
    }
    let topology =
        "name = \"suites\"\n[node]\nh = {}\n[bus]\nlan = { subnet = \"10.0.0.0/24\", nodes = [\"h\"] }\n";
    place.write("lab.toml", topology);
    place.ok("up");
    let logs = logs();
    let mut as_it_must_be = true;
    for suite in &chosen {
        let began = Instant::now();
        let folder = suite.source.map(|source| obtain(&place, source));
        let folder = folder.as_deref();
        let run = |at| run(&place, &logs, suite, folder, seconds, at);
        let (host, mut node) = std::thread::scope(|scope| {
            let host = scope.spawn(|| run(Where::Host));
            let node = run(Where::Node);
            (host.join().expect("the host's run"), node)
        });
        let differ = listed.judge(suite.name, &host, &node).unlisted;
        if (1..=FEW).contains(&differ.len()) {
            for (test, outcome) in &differ {
                println!("    once more: {test} {outcome}");
            }
            forget(&place, suite, &differ);
            node = run(Where::Node);
        }
        as_it_must_be &= judge(suite.name, &host, &node, &listed, began.elapsed());
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

/// The folder of a source, in the place; it is obtained once a build folder.
fn obtain(place: &Place, source: &str) -> PathBuf {
    let kept = lab_tests::built("suites").with_file_name("suites.sources");
    std::fs::create_dir_all(&kept).expect("a folder for sources");
    let from = kept.join(source);
    if !from.join("obtained").exists() {
        // Of an attempt that was broken off.
        let _ = std::fs::remove_dir_all(&from);
        let mut command = Command::new(lab_tests::root().join("tests/suites/obtain"));
        let status = command.arg(source).arg(&from).status().expect("obtain starts");
        assert!(status.success(), "tests/suites/obtain {source} {}: {status}", from.display());
    }
    // The build folder may lie where nobody else may look.
    let to = place.path().join(source);
    if !to.exists() {
        let status = Command::new("cp").arg("-a").args([&from, &to]).status().expect("cp starts");
        assert!(status.success(), "a copy of {}", from.display());
    }
    to
}

/// Runs a suite, and starts it again where it stopped, until it has come to its end.
fn run(
    place: &Place,
    logs: &Path,
    suite: &Suite<'_>,
    folder: Option<&Path>,
    seconds: u32,
    at: Where,
) -> Outcomes {
    let name = suite.name.replace('/', "-");
    let results = results(place, suite, at);
    let dir = results.parent().expect("a folder").to_owned();
    std::fs::create_dir_all(&dir).expect("a folder");
    if nix::unistd::geteuid().is_root() {
        let nobody = lab_tests::NOBODY;
        nix::unistd::chown(&dir, Some(nobody.into()), Some(nobody.into())).expect("chown");
    }
    let log = logs.join(format!("{name}.{}.log", at.name()));
    let begun = std::fs::exists(&results).expect("a folder");
    let output =
        File::options().create(true).append(begun).write(true).truncate(!begun).open(&log).expect("a log");
    for _ in 0..RESTARTS {
        let mut command = match at {
            Where::Host => place.command(PYTHON),
            Where::Node => place.labctl(["exec", "h", "--", PYTHON]),
        };
        command.arg("-I");
        if folder.is_some() {
            // What Debian may have installed for Python is none of it.
            command.arg("-S");
        }
        command.arg(place.path().join(suite.runner)).arg(&results);
        command.args([&seconds.to_string(), suite.name]).args(folder);
        if at == Where::Host && nix::unistd::geteuid().is_root() {
            command = in_a_namespace(&command);
        }
        let output = || output.try_clone().expect("a descriptor");
        command.stdin(Stdio::null()).stdout(output()).stderr(output());
        command.current_dir(&dir).env("TMPDIR", &dir);
        // How it ended is in what it wrote.
        let _ = command.status().expect("the runner starts");
        let text = std::fs::read_to_string(&results).unwrap_or_default();
        let outcomes = Outcomes::parse(&text);
        if outcomes.ended {
            std::fs::write(log.with_extension("results"), text).expect("the results");
            return outcomes;
        }
    }
    panic!("{name}: the runner dies again and again: {}", log.display());
}

/// The file of a run's results.
fn results(place: &Place, suite: &Suite<'_>, at: Where) -> PathBuf {
    place.path().join(format!("{}.{}/results", suite.name.replace('/', "-"), at.name()))
}

/// Strikes tests from the results of the run on the node, and its end: the runner goes on with them.
fn forget(place: &Place, suite: &Suite<'_>, tests: &[(String, Outcome)]) {
    let path = results(place, suite, Where::Node);
    let text = std::fs::read_to_string(&path).expect("the results");
    let is_of = |line: &str, test: &str| line.split(' ').nth(1) == Some(test);
    let stays = |line: &&str| *line != "end" && !tests.iter().any(|(test, _)| is_of(line, test));
    let kept: Vec<&str> = text.lines().filter(stays).chain([""]).collect();
    std::fs::write(&path, kept.join("\n")).expect("the results");
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
fn judge(name: &str, host: &Outcomes, node: &Outcomes, listed: &Differences, took: Duration) -> bool {
    let verdict = listed.judge(name, host, node);
    println!(
        "{name}: {} pass on the host, {} of them on the node; {} differences are listed; {} s",
        verdict.host,
        verdict.node,
        verdict.listed,
        took.as_secs()
    );
    for (test, outcome) in &verdict.unlisted {
        println!("    differs: {test} {outcome}");
    }
    for test in &verdict.stale {
        println!("    does not differ: {test}");
    }
    verdict.unlisted.is_empty() && verdict.stale.is_empty()
}
