//! A lab in virtual time at its prompt: commands from the standard input.

use crate::place::{HELLO, Place};
use std::fs;
use std::io::Write;
use std::process::Stdio;

/// What a script of commands prints, and its exit status.
fn sim(place: &Place, words: &[&str], script: &str) -> (Option<i32>, String, String) {
    let mut child = place
        .command(&[&["sim"], words].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A script that ends early is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_frame_at_a_time() {
    let place = Place::new();
    let script =
        "step 3\nrun h1 ping -c 1 h2 &\nframe\nframe 7\nuntil 2s\nnext\nshow route h1\nps\nquit\nps\n";
    let (status, said, err) = sim(&place, &["--seed", "1"], script);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{said}");
    let lines: Vec<_> = said.lines().collect();
    // Births, in the order of the file.
    assert_eq!(lines[..3], ["0s  h1", "0s  r1", "0s  h2"]);
    let frames = &lines[3..11];
    assert!(frames[0].contains("h1:eth0@left") && frames[0].contains("who-has"), "{said}");
    for part in ["ICMP", "echo request", "echo reply"] {
        assert!(frames.iter().any(|line| line.contains(part)), "{part}: {said}");
    }
    assert!(said.contains("default via 10.0.1.1 dev eth0"), "{said}");
    assert_eq!(said.matches("NODE  STATE").count(), 1, "what comes after `quit` is not read: {said}");
}

/// Whatever was done before, randomness included, a fork has the same future; and one does not change the other.
#[test]
fn futures_have_one_past_and_nothing_else_in_common() {
    let place = Place::new();
    let topology = format!(
        "{HELLO}[[event]]\nat = \"1500ms\"\ndo = \"link flap r1:eth1 1s\"\n[[check]]\nname = \"all is well\"\nping = {{ from = \"h1\", to = \"h2\" }}\n"
    );
    fs::write(place.dir.path().join("t.lab.toml"), topology).unwrap();
    let past = "impair set left loss 30%\nrun h1 ping -c 9 -i 0.1 h2\ncheck\nstep 5\nframe 3\nfor 700ms\n";
    let then = "run h1 ping -c 40 -i 0.1 -W 1 h2\nshow stats r1\n";
    let script = format!("{past}fork b\n{then}kill r1\nswitch main\n{then}futures\nps\n");
    let (_, said, err) = sim(&place, &["t.lab.toml", "--seed", "9"], &script);
    assert_eq!(err, "");
    let futures: Vec<_> = said.split("PING").skip(2).collect();
    let [first, second] = &futures[..] else { panic!("{said}") };
    assert!(second.starts_with(first), "{said}");
    // Loss and the flap are seen, and r1 is dead in the other future only.
    assert!(first.contains("% packet loss") && !first.contains(" 0% packet loss"), "{said}");
    assert!(said.contains("  b  ") && said.contains("* main  ") && !said.contains("down"), "{said}");
    let (_, again, _) = sim(&place, &["t.lab.toml", "--seed", "9"], &script);
    assert_eq!(said, again);
    let (_, other, _) = sim(&place, &["t.lab.toml", "--seed", "10"], &script);
    assert_ne!(said, other);
}

#[test]
fn a_seed_is_replayed_to_a_time() {
    let place = Place::new();
    fs::write(place.dir.path().join("events.toml"), "[[event]]\nat = \"1s\"\ndo = \"kill r1\"\n").unwrap();
    let words = ["--events", "events.toml", "--until"];
    let (_, said, _) = sim(&place, &[&words[..], &["999ms"]].concat(), "ps\nnext 1\n");
    assert!(!said.contains("down") && said.contains("1s  event: kill r1"), "{said}");
    let (_, said, _) = sim(&place, &[&words[..], &["1s"]].concat(), "ps\nnext 1\n");
    assert!(said.contains("r1    down") && said.contains("nothing will ever happen again"), "{said}");
    let path = place.dir.path().join("left.pcapng");
    let (status, ..) = sim(&place, &[], &format!("run h1 ping -c 1 r1\ndump left {}\n", path.display()));
    assert_eq!(status, Some(0));
    assert!(fs::read(path).unwrap().starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]));
}

#[test]
fn what_is_wrong_is_said_and_ends_a_script() {
    let place = Place::new();
    for (command, says) in [
        ("dance", "no event is called \"dance\""),
        ("link dwon h1:eth0", "these are not the words of \"link\""),
        ("link down h9:eth0", "h9"),
        ("step x", "`x` is no number"),
        ("until 5", "a unit is missing"),
        ("show kitchen h1", "there is no table `kitchen`"),
        ("show addr h9", "has no node `h9`"),
        ("run h1 pong", "there is no program `pong`"),
        ("dump middle x", "has no bus `middle`"),
        ("switch b", "there is no future `b`, but: main"),
        ("fork main", "there is a future `main` already"),
        ("check x", "there is no check `x`"),
        ("start h1", "running already"),
        ("fork", "write: fork NAME"),
    ] {
        let (status, said, err) = sim(&place, &[], &format!("{command}\nps\n"));
        assert!(
            status != Some(0) && err.contains(says) && said.is_empty(),
            "{command}: {status:?} {said} {err}"
        );
    }
    // A check that does not hold is an exit status.
    let text = format!("{HELLO}[[check]]\nping = {{ from = \"h1\", to = \"10.0.2.9\" }}\n");
    fs::write(place.dir.path().join("t.lab.toml"), text).unwrap();
    let (status, said, _) = sim(&place, &["t.lab.toml"], "check\n");
    assert!(status == Some(1) && said.starts_with("FAIL  ping h1 -> 10.0.2.9"), "{said}");
}
