//! A bus file that somebody else writes into, between any two of our own steps.

use shmif::{Bus, BusConfig, Offload, Port, PortConfig, Recv};

/// Octets of a frame in these tests: a header and something.
const FRAME: usize = 60;

fn frame(to: u8, from: u8) -> [u8; FRAME] {
    let mut frame = [0; FRAME];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from]);
    frame
}

fn exercise(bus: &Bus, ports: &mut [Port], now: u64) {
    let mut buf = vec![0; shmif::MAX_FRAME];
    for i in 0..ports.len() {
        let to = ((i + 1) % ports.len()) as u8;
        let _ = ports[i].send(now, &frame(to, i as u8), Offload::NONE);
        // As many as the ring can hold, and then some: a reader must come to an end.
        let mut rounds = 0;
        while !matches!(ports[i].recv(&mut buf), Recv::Empty | Recv::Broken) {
            rounds += 1;
            assert!(rounds < 20_000, "a reader goes round in circles");
        }
        if !ports[i].prepare_sleep() {
            ports[i].awake();
        }
    }
    assert!(bus.history().count() < 20_000);
}

/// The octets are a script: groups of eight say what is written where (`u32` offset, `u32` value); between the groups the bus is used.
/// The first octet chooses where the offsets point: header page, port table or ring.
pub fn bus(octets: &[u8]) {
    use std::os::unix::fs::FileExt;
    let Some((&kind, script)) = octets.split_first() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("bus");
    let mut config = BusConfig::new("fuzz", "bus");
    config.max_ports = 8;
    let bus = Bus::create(&path, &config).expect("a bus");
    let mut ports: Vec<Port> = (0..3)
        .map(|i| bus.attach(&PortConfig::new(format!("n{i}"), "eth0", [2, 0, 0, 0, 0, i])).expect("a port"))
        .collect();
    exercise(&bus, &mut ports, 1);
    let raw = std::fs::File::options().write(true).open(&path).expect("the file");
    let length = raw.metadata().expect("the file").len();
    for (step, group) in script.chunks_exact(8).take(64).enumerate() {
        let word = |at: usize| u32::from_le_bytes([group[at], group[at + 1], group[at + 2], group[at + 3]]);
        let offset = match kind % 4 {
            0 => u64::from(word(0)) % 4096,
            1 => 4096 + u64::from(word(0)) % (8 * 1024),
            2 => 4096 + 8 * 1024 + u64::from(word(0)) % 4096,
            _ => u64::from(word(0)) % length,
        };
        raw.write_at(&word(4).to_le_bytes(), offset.min(length - 4)).expect("a write");
        if step % 4 == 3 {
            exercise(&bus, &mut ports, 2 + step as u64);
        }
    }
    exercise(&bus, &mut ports, 1000);
    let _ = bus.fsck().is_clean();
    if let Ok(other) = Bus::open(&path) {
        let _ = (other.info(), other.ports(), other.reclaim());
        if let Ok(port) = other.attach(&PortConfig::new("late", "eth0", [2, 0, 0, 0, 0, 9])) {
            exercise(&other, &mut [port], 2000);
        }
    }
}
