//! A live lab among enemies: garbage on every socket, scribbles on the bus, frames that are none. Nodes stay, and answer.

use lab_tests::{Place, User, wait_for};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket};
use rand::{Rng, RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rumpkern::ctl::Client;
use shmif::{Bus, Offload, PortConfig};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LAB: &str = r#"
name = "hostile"
[node]
a = {}
b = {}
[bus]
lan = { subnet = "10.0.0.0/24", nodes = ["a", "b"] }
"#;

fn up() -> Place {
    let place = Place::new(User::Myself);
    let lab = place.write("lab.toml", LAB);
    place.ok(&format!("-t {} up", lab.display()));
    place
}

fn node(place: &Place, name: &str) -> PathBuf {
    place.lab_dir("hostile").join("node").join(name)
}

/// The node answers on its control socket, in bounded time.
fn assert_answers(dir: &Path) {
    let mut client = Client::connect(&dir.join("ctl")).expect("the node listens");
    client.set_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    client.hello().expect("the node answers");
}

#[test]
fn garbage_on_the_control_socket() {
    let place = up();
    let dir = node(&place, "a");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let lines: [&[u8]; 8] = [
        b"\n",
        b"{}\n",
        b"{\"id\":1}\n",
        b"{\"id\":-1,\"op\":\"hello\"}\n",
        b"{\"id\":1,\"op\":\"run\",\"argv\":[]}\n",
        b"{\"id\":1,\"op\":\"run\",\"argv\":[\"no-such-program\"]}\n",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        b"\xff\xfe\x00\n",
    ];
    for round in 0..200 {
        let mut stream = UnixStream::connect(dir.join("ctl")).expect("the node listens");
        stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let mut octets = vec![0; rng.random_range(0..5000)];
        rng.fill_bytes(&mut octets);
        // It may hang up on us at any time.
        let _ = stream.write_all(lines[round % lines.len()]);
        let _ = stream.write_all(&octets);
    }
    // A request without an end, and a client that never reads its answers.
    let mut endless = UnixStream::connect(dir.join("ctl")).expect("the node listens");
    endless.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let _ = endless.write_all(&vec![b'x'; 3 << 20]);
    let mut deaf = UnixStream::connect(dir.join("ctl")).expect("the node listens");
    deaf.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    for id in 0..20_000 {
        if deaf
            .write_all(format!("{{\"id\":{id},\"op\":\"show\",\"table\":\"stats\"}}\n").as_bytes())
            .is_err()
        {
            break;
        }
    }
    assert_answers(&dir);
    place.ok("ping a b -c 1");
}

#[test]
fn garbage_on_the_sysproxy_socket() {
    let place = up();
    let dir = node(&place, "a");
    let address = UnixAddr::new(&dir.join("sysproxy")).expect("a short path");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    for _ in 0..200 {
        let fd =
            socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        let bound = nix::sys::time::TimeVal::new(5, 0);
        nix::sys::socket::setsockopt(&fd, nix::sys::socket::sockopt::SendTimeout, &bound).expect("a timeout");
        connect(fd.as_raw_fd(), &address).expect("the node listens");
        for _ in 0..rng.random_range(1..10) {
            let mut octets = vec![0; rng.random_range(0..2000)];
            rng.fill_bytes(&mut octets);
            if octets.len() >= 8 && rng.random() {
                // A right length, version and operation let it further in.
                let len = octets.len() as u32;
                octets[..4].copy_from_slice(&len.to_le_bytes());
                octets[4..8].copy_from_slice(&[1, 0, rng.random_range(1..0x30), 0]);
            }
            let _ = send(fd.as_raw_fd(), &octets, MsgFlags::MSG_NOSIGNAL);
        }
    }
    assert_answers(&dir);
    place.ok("ping a b -c 1");
}

#[test]
fn frames_of_any_octets() {
    let place = up();
    let bus = Bus::open(place.lab_dir("hostile").join("bus/lan")).expect("the bus");
    let ports = bus.ports();
    let mut enemy = bus.attach(&PortConfig::new("enemy", "eth0", [2, 0, 0, 0, 0, 0x66])).expect("a port");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    for _ in 0..20_000 {
        let mut frame = vec![0; rng.random_range(14..400)];
        rng.fill_bytes(&mut frame);
        // For somebody, of a protocol that somebody parses, often with a plausible IPv4 header.
        let to = &ports[rng.random_range(0..ports.len())];
        frame[..6].copy_from_slice(if rng.random() { &to.mac } else { &[0xff; 6] });
        let kinds: [[u8; 2]; 4] = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]];
        frame[12..14].copy_from_slice(&kinds[rng.random_range(0..4)]);
        if frame.len() > 40 && rng.random() {
            frame[14] = 0x40 | rng.random_range(4..8);
            let total = (frame.len() - 14) as u16;
            frame[16..18].copy_from_slice(&total.to_be_bytes());
            frame[23] = [1, 6, 17, 2, 89][rng.random_range(0..5)];
            frame[30..34].copy_from_slice(&[10, 0, 0, rng.random_range(0..4)]);
        }
        let _ = enemy.send(bus.epoch().now_ns(), &frame, Offload::NONE);
    }
    for name in ["a", "b"] {
        assert_answers(&node(&place, name));
    }
    place.ok("ping a b -c 1");
    place.ok("dump lan -w lan.pcapng");
    place.ok("bus fsck lan");
}

#[test]
fn a_bus_that_is_scribbled_on_while_in_use() {
    let place = up();
    let path = place.lab_dir("hostile").join("bus/lan");
    let file = std::fs::File::options().write(true).open(&path).expect("the bus");
    let length = file.metadata().expect("the bus").len();
    let dirs = [node(&place, "a"), node(&place, "b")];
    let pinging = {
        let ctl = dirs[0].join("ctl");
        std::thread::spawn(move || {
            let mut a = Client::connect(&ctl).expect("a answers");
            let words = ["ping", "-i", "0.001", "-c", "500", "-W", "1", "10.0.0.2"].map(str::to_owned);
            let _ = a.run(&words, true, |_| ());
        })
    };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for _ in 0..20_000 {
        let place = match rng.random_range(0..3) {
            0 => rng.random_range(512..1024),
            1 => 4096 + rng.random_range(0..8 * 1024),
            _ => rng.random_range(4096..length - 8),
        };
        file.write_at(&rng.random::<u64>().to_le_bytes()[..rng.random_range(1..=8)], place).expect("a write");
    }
    pinging.join().expect("the pinging ends");
    for dir in &dirs {
        assert_answers(dir);
    }
    // And the worst: the file is cut short under the feet of those who have mapped it.
    file.set_len(4096).expect("truncation");
    let mut a = Client::connect(&dirs[0].join("ctl")).expect("a answers");
    a.set_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let words = ["ping", "-c", "1", "-W", "1", "10.0.0.2"].map(str::to_owned);
    assert_ne!(a.run(&words, true, |_| ()).expect("a lives"), 0, "nothing gets through a bus that is gone");
    for dir in &dirs {
        assert_answers(dir);
    }
    let fsck = place.run("bus fsck lan");
    assert!(fsck.status.code().is_some_and(|c| c != 0), "{fsck:?}");
    place.ok("down");
    wait_for("the nodes to be gone", Duration::from_secs(10), || place.processes().is_empty().then_some(()));
    place.assert_clean();
}
