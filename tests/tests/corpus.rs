//! The corpora of the fuzz targets replay, each seed also in a fixed number of mutations: the same ones on every machine.

use lab_tests::fuzz::TARGETS;
use lab_tests::root;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Mutations of each corpus, in all.
const MUTATIONS: usize = 2000;

/// What havoc does to octets: flips, numbers at the edges, cuts, copies, splices with another seed.
fn mutate(rng: &mut Xoshiro256PlusPlus, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=out.len());
        match rng.random_range(0..7) {
            0 if at < out.len() => out[at] ^= 1 << rng.random_range(0..8),
            1 if at < out.len() => {
                out[at] = *[0, 1, 0x7f, 0x80, 0xff, b'"', b'\n'].choose(rng).expect("not empty")
            }
            2 if at + 4 <= out.len() => {
                let edge =
                    *[0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, 65_536].choose(rng).expect("not empty");
                out[at..at + 4].copy_from_slice(&edge.to_le_bytes());
            }
            3 => out.truncate(at),
            4 => {
                let end = rng.random_range(at..=out.len());
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            5 => {
                let end = rng.random_range(at..=out.len().min(at + 16));
                out.drain(at..end.max(at));
            }
            _ => {
                let from = rng.random_range(0..=other.len());
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
        }
        out.truncate(1 << 16);
    }
    out
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(n, _)| *n == name).expect("a target of that name");
    let folder = root().join("tests/corpus").join(name);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("a corpus").flatten().map(|e| e.path()).collect();
    files.sort();
    let mut seeds: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).expect("a seed")).collect();
    if name == "topology" {
        let mut shipped: Vec<_> = std::fs::read_dir(root().join("topologies"))
            .expect("topologies")
            .flatten()
            .map(|e| e.path())
            .collect();
        shipped.sort();
        // The large ones say nothing new and take long.
        seeds.extend(
            shipped
                .iter()
                .map(|f| std::fs::read(f).expect("a topology"))
                .filter(|s| !s.windows(3).any(|w| w == b"253" || w == b"000")),
        );
    }
    assert!(!seeds.is_empty(), "{name} has no seeds");
    for seed in &seeds {
        target(seed);
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for _ in 0..MUTATIONS {
        let (a, b) = (seeds.choose(&mut rng).expect("seeds"), seeds.choose(&mut rng).expect("seeds"));
        let octets = mutate(&mut rng, a, b);
        let shown = octets.clone();
        if std::panic::catch_unwind(|| target(&octets)).is_err() {
            let file = std::env::temp_dir().join(format!("find-{name}"));
            std::fs::write(&file, &shown).expect("the find is kept");
            panic!("{name} fails; the octets are in {}", file.display());
        }
    }
}

macro_rules! targets { ($($name:ident)*) => { $( #[test] fn $name() { replay(stringify!($name)); } )* } }
targets! { topology control config sysproxy filter bpf bus frame offload netlink }

#[test]
fn every_target_is_replayed() {
    let source = include_str!("corpus.rs");
    let row = source.lines().find(|l| l.starts_with("targets! {")).expect("the row of targets");
    for (name, _) in TARGETS {
        assert!(row.contains(&format!(" {name} ")), "{name} is not replayed");
    }
}
