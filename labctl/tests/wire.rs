//! `dump`, `capture`, `bus` and `extcap` from outside, on buses without nodes; tshark is the reader.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use labctl::capture::pcapng::read::packets;
use serde_json::Value;
use shmif::{Bus, BusConfig, Epoch, GsoType, Offload, Port, PortConfig, Sent};

const LABCTL: &str = env!("CARGO_BIN_EXE_labctl");
const EPOCH: Epoch = Epoch { unix_ns: 1_700_000_000_000_000_000, mono_ns: 0 };
const H1: [u8; 6] = [2, 0, 0, 0, 0, 1];
const H2: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A run directory with one lab that was started: h1 (10.0.0.1) and h2 (10.0.0.2) on buses `left` and `right`.
struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Lab {
        use std::os::unix::fs::DirBuilderExt;
        let dir = tempfile::tempdir().expect("a folder");
        let lab = Lab { dir };
        for folder in ["run", "run/demo", "run/demo/bus", "run/demo/node"] {
            std::fs::DirBuilder::new().mode(0o700).create(lab.dir.path().join(folder)).expect("a folder");
        }
        for bus in ["left", "right"] {
            Bus::create(lab.bus(bus), &BusConfig { epoch: EPOCH, ..BusConfig::new("demo", bus) })
                .expect("a bus");
        }
        let node = |name: &str, mac: &str, address: &str| serde_json::json!({ "name": name, "interfaces": [{ "name": "eth0", "bus": "left", "mac": mac, "mtu": 1500, "addresses": [address] }] });
        let state = serde_json::json!({
            "version": 1, "lab": "demo", "phase": "up", "topology": "/demo.toml", "seed": 1,
            "epoch": { "unix_ns": EPOCH.unix_ns, "mono_ns": 0 },
            "buses": [{ "name": "left", "history": 4194304 }, { "name": "right", "history": 4194304 }],
            "nodes": [node("h1", "02:00:00:00:00:01", "10.0.0.1/24"), node("h2", "02:00:00:00:00:02", "10.0.0.2/24")],
        });
        std::fs::write(lab.dir.path().join("run/demo/lab.json"), state.to_string()).expect("a file");
        lab
    }

    fn bus(&self, name: &str) -> PathBuf {
        self.dir.path().join("run/demo/bus").join(name)
    }

    fn port(&self, bus: &str, node: &str, mac: [u8; 6]) -> Port {
        Bus::open(self.bus(bus)).expect("a bus").attach(&PortConfig::new(node, "eth0", mac)).expect("a port")
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(LABCTL);
        command.args(words.split_whitespace()).current_dir(self.dir.path());
        command.env("LABCTL_DIR", self.dir.path().join("run")).env("NO_COLOR", "1");
        command
    }

    fn output(&self, words: &str) -> Output {
        self.command(words).output().expect("labctl")
    }

    fn ok(&self, words: &str) -> String {
        let output = self.output(words);
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn send(port: &mut Port, time_ns: u64, frame: &[u8]) {
    assert_eq!(port.send(time_ns, frame, Offload::NONE), Sent::Ok);
}

fn udp(port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let step = PacketBuilder::ethernet2(H1, H2).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    step.udp(port, 9).write(&mut frame, b"payload").expect("memory");
    frame
}

fn reply() -> Vec<u8> {
    let mut frame = Vec::new();
    let step = PacketBuilder::ethernet2(H2, H1).ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64);
    step.tcp(80, 4711, 1, 100).rst().write(&mut frame, b"").expect("memory");
    frame
}

fn tshark(file: &[u8], args: &[&str]) -> String {
    let mut child = Command::new("tshark")
        .args(["-r", "-", "-n"])
        .args([
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
        ])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("tshark is missing; install it with: sudo apt-get install -y tshark");
    child.stdin.take().expect("a pipe").write_all(file).expect("tshark reads");
    let output = child.wait_with_output().expect("tshark ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn dump_merges_buses_by_time_and_names_senders() {
    let lab = Lab::new();
    let (mut h1, mut h2) = (lab.port("left", "h1", H1), lab.port("right", "h2", H2));
    send(&mut h1, 1_000, &udp(1));
    send(&mut h2, 2_000, &reply());
    send(&mut h1, 3_000_000_000, &udp(2));
    drop((h1, h2));
    let lines = lab.ok("dump * --time lab");
    assert_eq!(
        lines,
        "  0.000001000  h1:eth0@left  IP h1.1 > h2.9: UDP, length 7\n  \
           0.000002000  h2:eth0@right  IP h2.80 > h1.4711: Flags [R], seq 1, win 100, length 0\n  \
           3.000000000  h1:eth0@left   IP h1.2 > h2.9: UDP, length 7\n"
    );
    // Nobody lives: the last two seconds are those before the newest frame.
    assert_eq!(lab.ok("dump left,right --since 2s").lines().count(), 1);
    assert_eq!(lab.ok("dump left,right --since @1500ns").lines().count(), 2);
    assert_eq!(lab.ok("dump * tcp.flags.rst and src h2").lines().count(), 1);
    assert_eq!(lab.ok("dump h2:eth0 -n").lines().count(), 2);
    assert_eq!(lab.ok("dump * -c 2").lines().count(), 2);
    let object: Value = serde_json::from_str(lab.ok("dump right --json").trim()).expect("JSON");
    assert_eq!((object["sender"].as_str(), object["time_ns"].as_u64()), (Some("h2:eth0"), Some(2_000)));
    assert_eq!(lab.ok("dump ./run/demo/bus/right").lines().count(), 1);
    assert_eq!(lab.ok("dump demo/right").lines().count(), 1);

    let file = lab.output("dump * -w -").stdout;
    let fields = ["frame.time_epoch", "frame.interface_name", "frame.comment", "ip.src"];
    let mut args = vec!["-T", "fields"];
    fields.iter().for_each(|field| args.extend(["-e", field]));
    assert_eq!(
        tshark(&file, &args),
        "1700000000.000001000\th1:eth0@left\th1\t10.0.0.1\n\
         1700000000.000002000\th2:eth0@right\th2\t10.0.0.2\n\
         1700000003.000000000\th1:eth0@left\th1\t10.0.0.1\n"
    );
}

#[test]
fn what_was_sent_as_one_record_leaves_as_segments_with_checksums() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    let mut frame = Vec::new();
    let step = PacketBuilder::ethernet2(H1, H2).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let payload: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
    step.tcp(4711, 80, 1000, 1000).ack(1).psh().write(&mut frame, &payload).expect("memory");
    // The sender leaves the sum of the pseudo-header, without the length of any one segment's payload.
    frame[50..52].fill(0);
    let offload =
        Offload { csum_start: 34, csum_offset: 16, gso_type: GsoType::TcpV4, gso_size: 1460, hdr_len: 54 };
    assert_eq!(h1.send(5, &frame, offload), Sent::Ok);
    let file = lab.output("dump left -w -").stdout;
    let bad = "_ws.malformed || _ws.short || ip.checksum.status == 0 || tcp.checksum.status == 0 || frame.len > 1514";
    assert_eq!(tshark(&file, &["-Y", bad]), "");
    let segments = tshark(&file, &["-T", "fields", "-e", "tcp.len", "-e", "frame.comment"]);
    assert_eq!(segments.lines().count(), 40_000usize.div_ceil(1460));
    assert_eq!(segments.lines().next(), Some("1460\th1, segment 1/28"));
    let octets: usize =
        segments.lines().filter_map(|line| line.split('\t').next()?.parse::<usize>().ok()).sum();
    assert_eq!(octets, payload.len());
}

/// Starts a capture and waits until it listens: its file's first block is out.
fn capturing(lab: &Lab, words: &str) -> (Child, std::process::ChildStdout) {
    let mut child = lab.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("labctl");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut first = [0; 4];
    stdout.read_exact(&mut first).expect("the beginning of a file");
    assert_eq!(first, [0x0a, 0x0d, 0x0d, 0x0a]);
    (child, stdout)
}

#[test]
fn capture_is_live_and_counts() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    send(&mut h1, 1, &udp(99));
    let (child, mut stdout) = capturing(&lab, "capture left -w - -c 2 udp port 7");
    // What was there before is not captured, nor what is not asked for. The follower may begin a little after the header.
    let frames = std::iter::from_fn(|| {
        send(&mut h1, 2, &udp(8));
        send(&mut h1, 3, &udp(7));
        Some(())
    });
    let mut rest = vec![0x0a, 0x0d, 0x0d, 0x0a];
    let reader = std::thread::spawn(move || {
        stdout.read_to_end(&mut rest).expect("a file");
        rest
    });
    for () in frames.take(100_000) {
        if reader.is_finished() {
            break;
        }
        std::thread::yield_now();
    }
    let file = reader.join().expect("a file");
    let output = child.wait_with_output().expect("labctl");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.starts_with("2 frames captured of "), "{said}");
    let mut seen = Vec::new();
    packets(file.as_slice(), |packet| {
        seen.push(packet.octets.to_vec());
        Ok::<(), std::io::Error>(())
    })
    .expect("a sound file");
    assert_eq!(seen, [udp(7), udp(7)]);
}

#[test]
fn capture_ends_when_asked_when_nobody_reads_and_when_the_bus_goes() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    // Ctrl-C.
    let (child, mut stdout) = capturing(&lab, "capture left --history -w -");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGINT)
        .expect("a process");
    std::io::copy(&mut stdout, &mut std::io::sink()).expect("the rest");
    assert!(child.wait_with_output().expect("labctl").status.success());
    // Nobody reads: as with `| head`.
    let (mut child, stdout) = capturing(&lab, "capture left -w -");
    drop(stdout);
    let bound = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("labctl").is_none() {
        if Instant::now() >= bound {
            child.kill().expect("a process");
        }
        send(&mut h1, 1, &udp(1));
        std::thread::yield_now();
    }
    assert!(child.wait().expect("labctl").success());
    // The lab goes down.
    let (child, mut stdout) = capturing(&lab, "capture left -w -");
    std::fs::remove_file(lab.bus("left")).expect("the bus");
    std::io::copy(&mut stdout, &mut std::io::sink()).expect("the rest");
    let output = child.wait_with_output().expect("labctl");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("the bus is gone"));
}

#[test]
fn a_reader_that_goes_early_is_no_failure() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    for n in 0..3000 {
        send(&mut h1, n, &udp(1));
    }
    for words in ["dump left", "dump left -w -", "dump left --json"] {
        let mut child =
            lab.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("labctl");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("labctl");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{words}");
    }
}

#[test]
fn buses_are_listed_shown_and_checked() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    send(&mut h1, 1_000_000, &udp(1));
    let list: Value = serde_json::from_str(&lab.ok("bus ls --json")).expect("JSON");
    assert_eq!(list["buses"][0]["bus"], "left");
    assert_eq!(list["buses"][0]["frames"], 1);
    assert_eq!(list["buses"][1]["history"]["frames"], 0);
    assert!(lab.ok("bus ls").starts_with("BUS    LAB   PORTS"));
    let shown: Value = serde_json::from_str(&lab.ok("bus show left --json")).expect("JSON");
    assert_eq!(shown["ports"][0]["node"], "h1");
    assert_eq!(shown["ports"][0]["alive"], true);
    assert_eq!(shown["ports"][0]["tx_frames"], 1);
    assert!(lab.ok("bus show left").contains("h1:eth0  0.1"));
    assert!(lab.ok("bus fsck *").starts_with("left: clean, 1 frame"));
    drop(h1);

    // One octet of the record's header, and the rest of the bus is lost: said, and exit 1.
    let path = lab.bus("left");
    let mut octets = std::fs::read(&path).expect("the bus");
    let at = (0..octets.len()).step_by(64).find(|at| octets[*at..].starts_with(&udp(1))).expect("the frame");
    octets[at - 64..at - 32].fill(0xff);
    std::fs::write(&path, octets).expect("the bus");
    let output = lab.output("bus fsck left");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("damage: record at"));
    assert!(lab.output("dump left").status.success());
}

#[test]
fn what_is_not_there_is_said_in_a_line_with_the_mend() {
    let lab = Lab::new();
    std::fs::write(lab.dir.path().join("noise"), vec![7; 70_000]).expect("a file");
    let cases = [
        ("dump lfet", 2, "did you mean `left`?"),
        ("dump h1:eth9", 2, "did you mean `h1:eth0`?"),
        ("dump left tcp prot 80", 2, "did you mean \"tcp port\"?"),
        ("dump ./nowhere", 2, "there is no bus ./nowhere"),
        ("dump ./noise", 1, "not a bus file"),
        ("dump left --since soon", 2, "--since soon"),
        ("dump left -w /nowhere/x", 2, "cannot write /nowhere/x"),
        ("capture left -w - --print", 2, "both want standard output"),
        ("--lab other dump left", 3, "`other` is not running"),
        ("replay ./noise left", 1, "neither pcap nor pcapng"),
        ("extcap", 2, "extcap --install"),
    ];
    for (words, code, said) in cases {
        let output = lab.output(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words}: {text}");
        assert!(text.contains(said), "{words}: {text}");
    }
    assert!(!lab.dir.path().join("x").exists());
}

#[test]
fn wireshark_lists_the_buses_and_captures_from_them() {
    let lab = Lab::new();
    let mut h1 = lab.port("left", "h1", H1);
    let folder = lab.dir.path().join("extcap");
    lab.ok("extcap --install --into extcap");
    let looked_at = |filter: &str| {
        lab.ok(&format!("extcap --extcap-interface labctl:demo/left --extcap-capture-filter {filter}"))
    };
    assert_eq!(looked_at("tcp"), "");
    assert!(looked_at("tpc").contains("did you mean"));

    // Run by root, tshark believes no environment: then it runs as somebody else, and the lab is theirs.
    let root = nix::unistd::geteuid().is_root();
    if root {
        give_away(lab.dir.path());
    }
    let tshark = |args: &[&str]| -> Command {
        let mut command = Command::new(if root { "setpriv" } else { "tshark" });
        if root {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "tshark"]);
        }
        command.args(args).env("WIRESHARK_EXTCAP_DIR", &folder).env("LABCTL_DIR", lab.dir.path().join("run"));
        command.env("HOME", lab.dir.path()).env("TMPDIR", lab.dir.path()).current_dir(lab.dir.path());
        command
    };
    let listed =
        tshark(&["-D"]).output().expect("tshark is missing; install it with: sudo apt-get install -y tshark");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("labctl:demo/left (lab demo, bus left)"), "{listed}");
    assert!(listed.contains("labctl:demo/right"), "{listed}");

    let written = lab.dir.path().join("captured.pcapng");
    let mut child = tshark(&["-Q", "-i", "labctl:demo/left", "-f", "udp port 7", "-c", "2", "-w"])
        .arg(&written)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tshark");
    let bound = Instant::now() + Duration::from_secs(60);
    while child.try_wait().expect("tshark").is_none() {
        if Instant::now() >= bound {
            child.kill().expect("a process");
            break;
        }
        send(&mut h1, 5, &udp(7));
        send(&mut h1, 6, &udp(8));
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("tshark");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(frames_of(&written), [udp(7), udp(7)]);
}

/// Makes a folder and all in it user 65534's.
fn give_away(path: &Path) {
    let (user, group) = (nix::unistd::Uid::from_raw(65534), nix::unistd::Gid::from_raw(65534));
    nix::unistd::chown(path, Some(user), Some(group)).expect("root may");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a folder") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

fn frames_of(path: &Path) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    packets(std::fs::File::open(path).expect("a file"), |packet| {
        frames.push(packet.octets.to_vec());
        Ok::<(), std::io::Error>(())
    })
    .expect("a sound file");
    frames
}
