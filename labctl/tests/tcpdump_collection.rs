//! tcpdump's own test collection: every capture of it goes onto a bus, and comes out of `dump` octet for octet.
//!
//! The files are odd by design: cut, malformed, of two score link types. Only Ethernet frames can go onto a bus; the test
//! counts for itself what those are, by the files' own headers.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use labctl::capture::dump;
use labctl::capture::filter::{Filter, NoNames};
use labctl::capture::names::Names;
use labctl::capture::pcapng::read::{ETHERNET, packets};
use labctl::capture::print::Style;
use labctl::capture::replay::{Pace, Replayer};
use labctl::capture::sink::{PcapSink, Pipeline, PrintSink};
use labctl::capture::source::Source;
use shmif::{Bus, BusConfig, PortConfig, Recv};

const LABCTL: &str = env!("CARGO_BIN_EXE_labctl");
/// Octets of the shortest and the longest frame of a bus.
const FRAME: std::ops::RangeInclusive<usize> = 14..=shmif::MAX_FRAME;

fn collection() -> Vec<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fetch-tcpdump-corpus");
    let output = Command::new(script)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script that fetches the collection");
    assert!(
        output.status.success(),
        "tcpdump's collection is missing; fetch it with: tests/fetch-tcpdump-corpus"
    );
    let folder = PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim_end());
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the collection's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng"))
        .collect();
    files.sort();
    assert!(files.len() >= 667, "only {} captures in {}", files.len(), folder.display());
    files
}

/// Everything that a bus remembers, as a capture file.
fn dumped(bus: &Bus) -> Vec<u8> {
    let mut sources = [Source::open(bus.path()).expect("the bus")];
    // A sink owns its output: this one is shared.
    let out = Shared::default();
    let sink = PcapSink::new(out.clone(), "test", &Names::default(), "").expect("memory");
    let style = Style { verbose: 2, hex: true, ..Style::default() };
    let lines = PrintSink::new(std::io::sink(), style, Names::default(), true);
    let mut pipeline = Pipeline {
        filter: Filter::parse("", &NoNames).expect("no filter"),
        only: None,
        since_ns: 0,
        limit: None,
        sinks: vec![Box::new(sink), Box::new(lines)],
        counts: Default::default(),
    };
    dump::dump(&mut sources, &mut pipeline).expect("memory");
    pipeline.end().expect("memory");
    drop(pipeline);
    out.0.take()
}

#[derive(Clone, Default)]
struct Shared(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(octets)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The Ethernet frames of a capture that can stand on a bus.
fn frames(file: impl std::io::Read) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    packets(file, |packet| {
        if packet.link == ETHERNET && FRAME.contains(&packet.octets.len()) {
            frames.push(packet.octets.to_vec());
        }
        Ok::<(), std::io::Error>(())
    })
    .expect("a sound capture");
    frames
}

#[test]
fn every_capture_comes_out_as_it_went_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut with_frames, mut total) = (0, 0);
    for (number, path) in collection().iter().enumerate() {
        let name = path.file_name().expect("a name").to_string_lossy();
        let bus = Bus::create(folder.path().join(format!("{number}.bus")), &BusConfig::new("test", "corpus"))
            .expect("a bus");
        // Somebody listens, as a bridge would.
        let mut config = PortConfig::new("listener", "eth0", [2, 0, 0, 0, 0, 9]);
        config.promiscuous = true;
        let mut listener = bus.attach(&config).expect("a port");
        let mut replayer = Replayer::attach(&bus).expect("a port");
        let (mut sent, mut heard) = (Vec::new(), Vec::new());
        let mut buf = vec![0; shmif::MAX_FRAME];
        let result = replayer.file(File::open(path).expect("the capture"), Pace::Flood, |frame| {
            sent.push(frame.to_vec());
            while let Recv::Frame(record) = listener.recv(&mut buf) {
                heard.push(buf[..record.len].to_vec());
            }
        });
        result.unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = replayer.report;
        assert_eq!(report.sent as usize, sent.len(), "{name}");
        assert_eq!(report.dropped, 0, "{name}");
        assert_eq!(
            report.packets,
            report.sent + report.other_link_type + report.too_short + report.too_long,
            "{name}"
        );
        assert_eq!(
            sent,
            frames(File::open(path).expect("the capture")),
            "{name}: not every Ethernet frame was sent"
        );
        assert_eq!(heard, sent, "{name}: a listener heard something else");
        assert_eq!(frames(dumped(&bus).as_slice()), sent, "{name}: dump gives something else");
        let check = bus.fsck();
        assert!(check.is_clean() && check.frames as usize == sent.len(), "{name}: {check:?}");
        with_frames += usize::from(!sent.is_empty());
        total += sent.len();
        std::fs::remove_file(bus.path()).expect("the bus file");
    }
    // What the collection of Debian 12 holds; a newer one only grows.
    assert!(with_frames >= 350 && total >= 7900, "{with_frames} captures with {total} Ethernet frames");
}

#[test]
fn all_captures_on_one_bus_by_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let bus = folder.path().join("all.bus");
    let labctl = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(LABCTL)
            .args(arguments)
            .env("LABCTL_DIR", folder.path().join("run"))
            .output()
            .expect("labctl");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    labctl(&["bus".as_ref(), "create".as_ref(), bus.as_os_str(), "--history".as_ref(), "32MiB".as_ref()]);
    let files = collection();
    let mut arguments: Vec<&std::ffi::OsStr> = vec!["replay".as_ref()];
    arguments.extend(files.iter().map(|path| path.as_os_str()));
    arguments.push(bus.as_os_str());
    labctl(&arguments);

    let expected: Vec<Vec<u8>> =
        files.iter().flat_map(|path| frames(File::open(path).expect("the capture"))).collect();
    let file = labctl(&["dump".as_ref(), bus.as_os_str(), "-w".as_ref(), "-".as_ref()]);
    assert!(frames(file.as_slice()) == expected, "dump gives something else");
    let lines = labctl(&["dump".as_ref(), bus.as_os_str(), "-n".as_ref()]);
    assert_eq!(lines.split(|octet| *octet == b'\n').count() - 1, expected.len());

    // The filter, on real frames: what it takes here, tcpdump takes of the same file.
    let written = folder.path().join("all.pcapng");
    std::fs::write(&written, &file).expect("a file");
    for filter in [
        "tcp port 80 or udp port 53",
        "vlan",
        "ip6 and icmp6",
        "arp or rarp",
        "net 10.0.0.0/8 and greater 200",
        "tcp[tcpflags] & tcp-rst != 0",
    ] {
        let output = Command::new("tcpdump")
            .args(["-O", "-w", "-", "-r"])
            .arg(&written)
            .arg(filter)
            .output()
            .expect("tcpdump is missing; install it with: sudo apt-get install -y tcpdump");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ours = Filter::parse(filter, &NoNames).expect("a filter");
        let ours: Vec<&Vec<u8>> = expected.iter().filter(|frame| ours.matches(frame)).collect();
        let theirs = frames(output.stdout.as_slice());
        assert!(!ours.is_empty(), "{filter} chooses nothing");
        assert!(
            ours.iter().copied().eq(theirs.iter()),
            "{filter}: {} here, {} there",
            ours.len(),
            theirs.len()
        );
    }
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for word in ["arp", "ip", "ip6", "vlan"] {
        let filter = Filter::parse(word, &NoNames).expect("a filter");
        kinds.insert(word, expected.iter().filter(|frame| filter.matches(frame)).count());
    }
    assert!(kinds.values().all(|count| *count > 50), "{kinds:?}");
}
