//! Every verb against a lab that is missing, half up, dead, damaged or another user's: one line that says so, the mend,
//! and the exit code 3 or 4.

use crate::place::{Place, kill};
use crate::says::Want::{self, Any, Does, Refuses};
use crate::says::assert_says;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

/// A verb, words that make it whole, and what it says of a lab that is missing, half up, dead, another user's.
/// The order is that of the run: what changes the lab's state comes last.
const TABLE: &[(&str, &[&str], [Want; 4])] = &[
    ("ping", &["h1", "h2", "-c", "1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("trace", &["h1", "h2"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("perf", &["tcp", "h1", "h2"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("show", &["route", "h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("sysctl", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("link", &["down", "h1:eth0"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("impair", &["set", "left", "loss", "1%"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("partition", &["left", "h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("addr", &["add", "h1:eth0", "10.0.1.9/24"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("route", &["del", "h1", "default", "via", "10.0.1.1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("run", &["h1", "ping", "-c", "1", "h2"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("pause", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("resume", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("exec", &["h1", "--", "true"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("shell", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("logs", &[], [Refuses(3), Does, Does, Refuses(4)]),
    ("dump", &["left"], [Refuses(3), Any, Does, Refuses(4)]),
    ("capture", &["left", "-c", "1"], [Refuses(3), Any, Refuses(3), Refuses(4)]),
    ("bus", &["ls"], [Refuses(3), Any, Does, Refuses(4)]),
    ("replay", &["x.pcap", "left"], [Any, Any, Any, Any]),
    ("extcap", &[], [Any, Any, Any, Any]),
    ("ps", &[], [Refuses(3), Does, Does, Refuses(4)]),
    ("top", &["-b", "-n", "1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("up", &[], [Does, Refuses(3), Refuses(3), Refuses(4)]),
    ("kill", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("stop", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("restart", &["h1"], [Refuses(3), Refuses(3), Refuses(3), Refuses(4)]),
    ("start", &["h1"], [Refuses(3), Refuses(3), Does, Refuses(4)]),
    ("down", &[], [Refuses(3), Does, Does, Refuses(4)]),
    ("gc", &[], [Does, Does, Does, Refuses(4)]),
    ("test", &[], [Any, Any, Any, Refuses(4)]),
    ("sim", &[], [Does, Does, Does, Does]),
    ("doctor", &[], [Does, Does, Does, Any]),
    ("check", &[], [Does, Does, Does, Does]),
    ("graph", &[], [Does, Does, Does, Does]),
    ("schema", &[], [Does, Does, Does, Does]),
    ("completion", &["bash"], [Does, Does, Does, Does]),
    ("man", &[], [Does, Does, Does, Does]),
    ("init", &["other"], [Any, Any, Any, Any]),
    ("help", &[], [Does, Does, Does, Does]),
];

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
