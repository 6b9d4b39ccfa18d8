//! What is written is read back: by ourselves, and by tshark, which is who it is for.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::read::{ETHERNET, Packet, ReadError, packets};
use super::*;

const MISSING: &str = "tshark is missing; install it with: sudo apt-get install -y tshark";

fn udp(port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(port, 9)
        .write(&mut frame, b"payload")
        .unwrap();
    frame
}

const TIME: u64 = 1_700_000_000_123_456_789;

fn sample() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), "lab hello").unwrap();
    let h1: IpAddr = "10.0.0.1".parse().unwrap();
    let h2: IpAddr = "10.0.0.2".parse().unwrap();
    let v6: IpAddr = "fd00::1".parse().unwrap();
    writer.names([(h1, "h1"), (h2, "h2"), (h1, "h1"), (v6, "h1"), (v6, "bad\0name"), (h2, "")]).unwrap();
    let one = Interface {
        name: "h1:eth0@lan".into(),
        description: "h1's frames".into(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        filter: Some("udp".into()),
    };
    let first = writer.interface(&one).unwrap();
    writer.packet(first, TIME, &udp(1000), "h1").unwrap();
    let two = Interface { name: "h2:eth0@lan".into(), ..Default::default() };
    let second = writer.interface(&two).unwrap();
    writer.packet(second, TIME + 1, &udp(1001), "h2").unwrap();
    writer.packet(first, TIME + 2, &udp(1002), "").unwrap();
    writer.statistics(first, TIME + 3, 2, 5).unwrap();
    writer.finish().unwrap()
}

fn tshark(file: &[u8], args: &[&str]) -> String {
    let mut child = Command::new("tshark")
        .args(["-r", "-"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect(MISSING);
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn tshark_sees_names_comments_and_nanoseconds() {
    let fields = tshark(
        &sample(),
        &[
            "-n",
            "-T",
            "fields",
            "-e",
            "frame.time_epoch",
            "-e",
            "frame.interface_name",
            "-e",
            "frame.comment",
            "-e",
            "udp.srcport",
        ],
    );
    let expected = "1700000000.123456789\th1:eth0@lan\th1\t1000\n\
                    1700000000.123456790\th2:eth0@lan\th2\t1001\n\
                    1700000000.123456791\th1:eth0@lan\t\t1002\n";
    assert_eq!(fields, expected);
    let faults = tshark(
        &sample(),
        &[
            "-o",
            "ip.check_checksum:TRUE",
            "-o",
            "udp.check_checksum:TRUE",
            "-Y",
            "_ws.malformed || _ws.expert.severity >= 6291456 || ip.checksum.status == 0",
        ],
    );
    assert_eq!(faults, "");
    // Names of the file, without asking anybody else.
    let hosts =
        tshark(&sample(), &["-N", "n", "-T", "fields", "-e", "ip.src_host", "-e", "ip.dst_host", "-c", "1"]);
    assert_eq!(hosts, "h1\th2\n");
}

#[test]
fn what_is_written_is_read_back() {
    let mut seen = Vec::new();
    let count = packets(sample().as_slice(), |packet: Packet<'_>| {
        assert_eq!(packet.link, ETHERNET);
        seen.push((packet.time.as_nanos() as u64, packet.octets.to_vec()));
        Ok::<(), io::Error>(())
    });
    assert_eq!(count.unwrap(), 3);
    assert_eq!(seen, [(TIME, udp(1000)), (TIME + 1, udp(1001)), (TIME + 2, udp(1002))]);
}

#[test]
fn cut_anywhere_gives_what_came_before() {
    let file = sample();
    for end in 0..file.len() {
        let mut count = 0;
        let result = packets(&file[..end], |_| {
            count += 1;
            Ok::<(), io::Error>(())
        });
        match result {
            Ok(found) => assert_eq!(found, count),
            Err(ReadError::Damaged { packets, .. }) => assert_eq!(packets, count),
            Err(ReadError::NotACapture) => assert_eq!(count, 0),
            Err(other) => panic!("{other}"),
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_octets_are_an_error_at_worst(mut octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), kind in 0..4usize) {
        let magics: [&[u8]; 4] = [&PCAPNG[..], &[0xd4, 0xc3, 0xb2, 0xa1], &[0xa1, 0xb2, 0x3c, 0x4d], &[]];
        for (to, from) in octets.iter_mut().zip(magics[kind]) {
            *to = *from;
        }
        drop(packets(octets.as_slice(), |_| Ok::<(), io::Error>(())));
    }
}

const PCAPNG: [u8; 12] = [0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a];
