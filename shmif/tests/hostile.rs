//! Bus files that are not what they should be: before they are opened, and while they are in use.
#![cfg(not(loom))]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use shmif::{
    AttachError, Bus, BusConfig, CreateError, DropReason, Finding, Offload, OpenError, Port, PortConfig,
    Recv, Sent,
};

fn mac(n: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, n]
}

fn make(dir: &Path) -> Bus {
    let mut config = BusConfig::new("lab", "lan");
    config.history = 512 << 10;
    config.max_ports = 16;
    Bus::create(dir.join("lan"), &config).expect("create")
}

fn port(bus: &Bus, n: u8) -> Result<Port, AttachError> {
    bus.attach(&PortConfig { promiscuous: n == 3, ..PortConfig::new(format!("h{n}"), "eth0", mac(n)) })
}

fn scribbler(bus: &Bus) -> File {
    OpenOptions::new().write(true).open(bus.path()).expect("open for scribbling")
}

#[test]
fn a_new_bus_is_private_and_replaces_the_old_one_in_one_step() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let old = make(dir.path());
    let id = old.info();
    let new = Bus::create(old.path(), &BusConfig::new("lab", "other")).expect("create");
    assert_eq!(fs::metadata(new.path()).expect("stat").permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "no temporary file is left");
    assert_eq!((old.info(), new.info().name.as_str()), (id, "other"), "who has the old one keeps it");
    let info = new.info();
    assert_eq!((info.ring, info.max_ports, info.head, info.tail, info.frames), (4 << 20, 4096, 0, 0, 0));
}

#[test]
fn impossible_configurations_say_what_is_possible() {
    let path = Path::new("/nonexistent/bus");
    let create = |change: &dyn Fn(&mut BusConfig)| {
        let mut config = BusConfig::new("lab", "lan");
        change(&mut config);
        Bus::create(path, &config).expect_err("impossible")
    };
    assert!(matches!(create(&|c| c.lab.clear()), CreateError::Name { what: "lab", .. }));
    assert!(matches!(create(&|c| c.name = "x".repeat(65)), CreateError::Name { what: "bus", max: 64, .. }));
    assert!(matches!(create(&|c| c.history = u64::MAX), CreateError::History(u64::MAX)));
    assert!(matches!(create(&|c| c.max_ports = 0), CreateError::MaxPorts(0)));
    assert_eq!(create(&|c| c.max_ports = 70_000).to_string(), "70000 ports: 1 to 65535 are allowed");
    assert_eq!(create(&|_| ()).to_string(), "/nonexistent/bus: cannot create");

    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let attach = |change: &dyn Fn(&mut PortConfig)| {
        let mut config = PortConfig::new("h", "eth0", mac(1));
        change(&mut config);
        bus.attach(&config).expect_err("impossible").to_string()
    };
    assert_eq!(attach(&|c| c.mac = [1, 0, 0, 0, 0, 1]), "MAC 01:00:00:00:00:01 is a group address");
    assert_eq!(
        attach(&|c| c.interface = "i".repeat(33)),
        format!("interface {:?} of 33 octets: at most 32 are allowed, without NUL", "i".repeat(33))
    );
    assert!(attach(&|c| c.doorbell = Some(PathBuf::from("/".repeat(257)))).contains("at most 256"));
    let ports: Vec<Port> = (0..16).map(|n| port(&bus, n).expect("attach")).collect();
    assert_eq!(
        attach(&|_| ()),
        format!("{}: all 16 ports are taken by live processes", bus.path().display())
    );
    drop(ports);
    port(&bus, 1).expect("there is room again");
}

#[test]
fn a_file_that_is_no_bus_says_why() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = make(dir.path()).path().to_owned();
    let whole = fs::read(&path).expect("read");
    let shown = path.display().to_string();
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut octets = whole.clone();
        change(&mut octets);
        fs::write(&path, octets).expect("write");
        let rw = Bus::open(&path).expect_err("no bus").to_string();
        assert_eq!(Bus::open_readonly(&path).expect_err("no bus").to_string(), rw);
        rw
    };
    let put = |at: usize, value: u64, width: usize| {
        move |b: &mut Vec<u8>| b[at..at + width].copy_from_slice(&value.to_ne_bytes()[..width])
    };
    assert_eq!(open(&|b| b.truncate(100)), format!("{shown}: 100 octets, a bus file has at least 4096"));
    assert_eq!(open(&|b| b.clear()), format!("{shown}: 0 octets, a bus file has at least 4096"));
    assert_eq!(
        open(&put(0, 0x1234, 4)),
        format!("{shown}: not a bus file: magic number 0x00001234, expected 0xca11d054")
    );
    assert_eq!(open(&put(4, 3, 4)), format!("{shown}: bus format version 3, expected 4"));
    assert_eq!(
        open(&put(24, 5000, 8)),
        format!("{shown}: header says ring length 5000, expected a power of two from 524288 to 68719476736")
    );
    assert_eq!(open(&put(16, 1, 8)), format!("{shown}: header says ring offset 1, expected 20480"));
    assert_eq!(open(&put(32, 0, 4)), format!("{shown}: header says port slots 0, expected 1 to 65535"));
    assert_eq!(open(&put(36, 512, 4)), format!("{shown}: header says octets of a slot 512, expected 1024"));
    assert_eq!(open(&put(8, 7, 8)), format!("{shown}: header says file length 7, expected 544768"));
    assert_eq!(
        open(&|b| b.truncate(500_000)),
        format!("{shown}: truncated: 500000 octets, its header says 544768")
    );
    assert!(matches!(Bus::open(dir.path()), Err(OpenError::Io { .. })), "a folder");
    assert!(matches!(Bus::open_readonly(dir.path()), Err(OpenError::NotAFile(_))));
    assert!(matches!(Bus::open_readonly("/dev/null"), Err(OpenError::NotAFile(_))));
    assert_eq!(
        Bus::open("/nonexistent/bus").expect_err("missing").to_string(),
        "/nonexistent/bus: cannot open"
    );
}

#[test]
fn truncation_while_in_use_breaks_the_bus_and_not_the_process() {
    for len in [0, 4096, 20_480 + 4096] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bus = make(dir.path());
        let watcher = Bus::open_readonly(bus.path()).expect("open");
        let (mut a, mut b) = (port(&bus, 1).expect("attach"), port(&bus, 2).expect("attach"));
        let frame = [vec![2, 0, 0, 0, 0, 2], vec![0; 1508]].concat();
        for _ in 0..20 {
            assert_eq!(a.send(0, &frame, Offload::NONE), Sent::Ok);
        }
        scribbler(&bus).set_len(len).expect("truncate");
        let mut buf = [0; 2000];
        let mut reads = 0;
        while b.recv(&mut buf) != Recv::Broken {
            reads += 1;
            assert!(reads < 100, "neither broken nor empty");
            let _ = a.send(0, &frame, Offload::NONE);
        }
        while a.send(0, &frame, Offload::NONE) == Sent::Ok {}
        assert_eq!(a.send(0, &frame, Offload::NONE), Sent::Dropped(DropReason::Broken));
        assert!(matches!(port(&bus, 3), Err(AttachError::Broken(_))));
        assert!(bus.fsck().findings.contains(&Finding::Broken) && bus.info().broken && !b.prepare_sleep());
        // A passive reader survives it too.
        let _ = (watcher.history().count(), watcher.fsck(), watcher.ports(), watcher.info());
        let _ = watcher.follow().from_oldest().next();
    }
}

/// Everything that can be done with a bus, whatever it says. Panics and hangs are what is looked for.
fn use_it(bus: &Bus, ports: &mut [Port], round: u8) {
    let mut buf = vec![0; 66_000];
    let mut frame = vec![round; 60 + usize::from(round) * 100];
    for port in ports.iter_mut() {
        for to in [1, 2, 3, 0xff] {
            frame[..6].copy_from_slice(&if to == 0xff { [0xff; 6] } else { mac(to) });
            // Times go on, so that waits end.
            let _ = port.send(bus.epoch().now_ns(), &frame, Offload::NONE);
        }
        for _ in 0..50 {
            if port.recv(&mut buf) == Recv::Empty {
                break;
            }
        }
        port.prepare_sleep();
        port.awake();
    }
    let _ = (bus.info(), bus.ports(), bus.fsck().to_string(), bus.reclaim());
    for captured in bus.history().take(50) {
        let _ = captured.wire_frames(|_| ());
    }
    let mut follow = bus.follow().from_oldest();
    for _ in 0..50 {
        let _ = follow.next();
    }
    drop(port(bus, 9));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_word_may_be_anything_and_the_bus_mends(
        scribbles in prop::collection::vec((0..4u8, any::<u64>(), prop_oneof![any::<u64>(), 0..70_000u64, Just(u64::MAX), (0..1u64 << 40).prop_map(|n| n * 64)]), 1..12),
        round: u8,
    ) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let bus = make(dir.path());
        let file = scribbler(&bus);
        let mut ports: Vec<Port> = (1..4).map(|n| port(&bus, n).expect("attach")).collect();
        for i in 0..60 { use_it(&bus, &mut ports, i) }
        for (place, at, value) in scribbles {
            // The header's counters, the port table, the ring, anywhere.
            let at = match place { 0 => 512 + at % 512, 1 => 4096 + at % 4096, 2 => 20_480 + at % (512 << 10), _ => at % 544_000 };
            file.write_at(&value.to_ne_bytes(), at & !3).expect("scribble");
            use_it(&bus, &mut ports, round);
        }
        // Whatever has happened: new ports on the same bus exchange frames, if there is a slot left that does not claim to be a living process's.
        drop(ports);
        if let (Ok(mut a), Ok(mut b)) = (port(&bus, 1), port(&bus, 2)) {
            let frame = [vec![2, 0, 0, 0, 0, 2], vec![7; 100]].concat();
            let mut buf = vec![0; 66_000];
            let start = Instant::now();
            let mut arrived = false;
            while !arrived {
                prop_assert!(start.elapsed() < Duration::from_secs(10), "the bus is stuck: {}", bus.fsck());
                let _ = a.send(bus.epoch().now_ns(), &frame, Offload::NONE);
                loop {
                    match b.recv(&mut buf) {
                        Recv::Frame(r) => arrived |= buf[..r.len] == frame,
                        Recv::Empty => break,
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn fsck_names_what_is_wrong() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let file = scribbler(&bus);
    let (mut a, _b) = (port(&bus, 1).expect("attach"), port(&bus, 2).expect("attach"));
    let frame = [vec![2, 0, 0, 0, 0, 2], vec![7; 100]].concat();
    for _ in 0..3 {
        assert_eq!(a.send(0, &frame, Offload::NONE), Sent::Ok);
    }
    assert_eq!(bus.fsck().to_string(), "clean: 3 frames of 318 octets, 2 ports");
    // Records of 64 + 128 octets at 0, 192 and 384; the ring begins at 20480.
    let ring = 20_480;
    let found = |at: u64, value: u64| {
        let mut old = [0; 8];
        File::open(bus.path()).expect("open").read_exact_at(&mut old, at).expect("read");
        file.write_at(&value.to_ne_bytes(), at).expect("scribble");
        let report = bus.fsck();
        assert!(!report.is_clean());
        file.write_at(&old, at).expect("mend");
        assert!(bus.fsck().is_clean());
        report.findings.into_iter().map(|f| f.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        found(ring + 192 + 8, 7),
        ["record at 192: number 7, expected 1", "record at 384: number 2, expected 8"]
    );
    assert_eq!(found(ring + 192, 0), ["record at 192: stamp 0x00000000 where 0x5e9057a7 belongs"]);
    assert_eq!(found(ring + 384 + 64, 0), ["record at 384: its destination is not that of its frame"]);
    assert_eq!(
        found(576, 100),
        [
            "head 100 and tail 0 do not fit a ring of 524288 octets",
            "port 1.1: newest wanted record 576 is beyond the head 100"
        ]
    );
    assert_eq!(found(584, 9), ["next record has number 9 by the header, expected 3"]);
    assert_eq!(found(704, 17 << 32), ["17 slots in use of 16"]);
    assert_eq!(found(4096 + 128, 640), ["port 0.1: cursor 640 is beyond the head 576"]);
    file.write_at(&(1u64 << 16 | 9).to_ne_bytes(), 512).expect("scribble");
    assert_eq!(
        bus.fsck().to_string(),
        "note: the lock is held by slot 8, whose owner is dead: the next writer takes it over\nclean: 3 frames of 318 octets, 2 ports"
    );
    assert_eq!(a.send(0, &frame, Offload::NONE), Sent::Ok);
    assert_eq!(bus.info().recoveries, 1);
}

#[test]
fn somebody_scribbles_all_the_time() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let file = scribbler(&bus);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = 0x9e37_79b9_7f4a_7c15u64;
            while !done.load(Ordering::Relaxed) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = match random % 3 {
                    0 => 512 + random % 512,
                    1 => 4096 + random % 4096,
                    _ => 20_480 + random % (512 << 10),
                };
                file.write_at(&(random.rotate_left(17)).to_ne_bytes(), at & !3).expect("scribble");
            }
        });
        let start = Instant::now();
        let mut round = 0u8;
        while start.elapsed() < Duration::from_millis(1500) {
            let mut ports: Vec<Port> = (1..4).filter_map(|n| port(&bus, n).ok()).collect();
            for _ in 0..5 {
                use_it(&bus, &mut ports, round);
                round = round.wrapping_add(1);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
#[ignore = "the child process of the test below"]
fn child() {
    let Ok(path) = std::env::var("SHMIF_BUS") else { return };
    let _bus = Bus::open(path).expect("open");
    println!("ready");
    loop {
        std::thread::park();
    }
}

/// A SIGBUS that has nothing to do with a bus still does what it did.
#[test]
fn a_sigbus_of_another_is_passed_on() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    let dir = tempfile::tempdir().expect("temporary folder");
    let bus = make(dir.path());
    let mut child = std::process::Command::new(std::env::current_exe().expect("own path"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("SHMIF_BUS", bus.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("start the child");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("ready")));
    // Rust's own handler was there before; it steps aside at the first signal that is no stack overflow, so it takes a second one.
    let start = Instant::now();
    let status = loop {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&child),
            rustix::process::Signal::BUS,
        );
        match child.try_wait().expect("wait") {
            Some(status) => break status,
            None => assert!(start.elapsed() < Duration::from_secs(10), "it survives"),
        }
        std::thread::yield_now();
    };
    assert_eq!(status.signal(), Some(7));
}
