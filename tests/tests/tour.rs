//! The README's tour, every command of it, as an ordinary user without capabilities, with user namespaces refused.

use lab_tests::{Place, User, program, root};
use std::process::Stdio;

/// The commands of the README's tour: the lines that begin with `$ ` in its `console` blocks.
fn tour() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, tour) = readme.split_once("## Five minutes").expect("the README has its tour");
    let tour = tour.split("\n## ").next().expect("the tour ends");
    let mut commands = Vec::new();
    let mut inside = false;
    for line in tour.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            commands.push(command.to_owned());
        }
    }
    commands
}

#[test]
fn every_command_of_the_tour_works_for_an_ordinary_user() {
    program("tshark", "tshark");
    let place = Place::new(User::Ordinary);
    let commands = tour();
    assert!(commands.len() >= 12, "the tour has only {} commands", commands.len());
    let mut log = String::new();
    for command in &commands {
        let output = place
            .command("bash")
            .args(["-o", "pipefail", "-c", command])
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        log += &format!("$ {command}\n{}", String::from_utf8_lossy(&output.stdout));
        log += &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the tour stops with {}:\n{log}", output.status);
    }
    println!("{log}");
    place.assert_clean();
}

#[test]
fn the_ordinary_user_is_ordinary() {
    let place = Place::new(User::Ordinary);
    let unshare = place.command("unshare").args(["-Ur", "true"]).output().expect("unshare runs");
    assert!(!unshare.status.success(), "user namespaces are not refused");
    let status = place.command("cat").arg("/proc/self/status").output().expect("cat runs");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:")).expect("CapEff");
    assert_eq!(effective.trim(), "0000000000000000");
}
