//! The other side: a peer that makes and reads packets by hand, as a script's `<` and `>` lines do.

use crate::driver_unsafe::Driver;
use netstack::wire::ipv4::{self, protocol};
use netstack::wire::tcp::{self, Flags, Header, Options};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddrV4};

/// The test's ends: what packetdrill would invent, and its usual remote.
pub(crate) const LOCAL: &str = "192.168.44.7:8080";
pub(crate) const REMOTE: &str = "192.0.2.1:33000";

pub(crate) fn local() -> SocketAddrV4 {
    LOCAL.parse().expect("an address")
}

pub(crate) fn remote() -> SocketAddrV4 {
    REMOTE.parse().expect("an address")
}

/// A peer of one connection. Its own sequence numbers begin at 0, the stack's are shown relative to its SYN.
pub(crate) struct Peer<'d> {
    pub(crate) driver: &'d Driver,
    pub(crate) local: SocketAddrV4,
    remote: SocketAddrV4,
    isn: Option<u32>,
}

impl<'d> Peer<'d> {
    pub(crate) fn new(driver: &'d Driver) -> Peer<'d> {
        Peer { driver, local: local(), remote: remote(), isn: None }
    }

    /// Sends a segment; `ack` counts from the stack's SYN.
    pub(crate) fn send(&self, flags: Flags, seq: u32, ack: u32, payload: &[u8]) {
        self.send_with(flags, seq, ack, payload, Options::default());
    }

    pub(crate) fn send_with(&self, flags: Flags, seq: u32, ack: u32, payload: &[u8], options: Options) {
        let header = Header {
            src_port: self.remote.port(),
            dst_port: self.local.port(),
            seq,
            ack: if flags.contains(Flags::ACK) { self.isn.unwrap_or(0).wrapping_add(ack) } else { 0 },
            flags,
            window: 32_792,
            urgent: 0,
            options,
        };
        let mut segment = vec![0; header.len()];
        header.emit(&mut segment);
        segment.extend(payload);
        let (src, dst) = (*self.remote.ip(), *self.local.ip());
        tcp::fill_checksum(IpAddr::V4(src), IpAddr::V4(dst), &mut segment);
        let mut ip = ipv4::Header::new(src, dst, protocol::TCP);
        ip.total_len = ipv4::HEADER_LEN + segment.len();
        let mut packet = vec![0; ipv4::HEADER_LEN];
        ip.emit(&mut packet);
        packet.extend(segment);
        self.driver.netdev_send(&packet);
    }

    /// The next packet, as packetdrill writes it, and its time in microseconds.
    pub(crate) fn receive(&mut self) -> (String, i64) {
        let (packet, at) = self.driver.netdev_receive();
        if packet.is_empty() {
            return ("nothing".into(), at);
        }
        let ip = ipv4::Header::parse(&packet).expect("an IP packet");
        assert_eq!(ip.dst, *self.remote.ip());
        let segment = &packet[ipv4::HEADER_LEN..];
        assert!(tcp::checksum_is_valid(IpAddr::V4(ip.src), IpAddr::V4(ip.dst), segment));
        let (header, payload) = Header::parse(segment).expect("a segment");
        self.local = SocketAddrV4::new(ip.src, header.src_port);
        if header.flags.contains(Flags::SYN) {
            self.isn = Some(header.seq);
        }
        let mut text = String::new();
        for (flag, name) in
            [(Flags::SYN, 'S'), (Flags::FIN, 'F'), (Flags::RST, 'R'), (Flags::PSH, 'P'), (Flags::ACK, '.')]
        {
            if header.flags.contains(flag) {
                text.push(name);
            }
        }
        let seq = header.seq.wrapping_sub(self.isn.unwrap_or(0));
        let _ = write!(text, " {seq}:{}({})", seq + payload.len() as u32, payload.len());
        if header.flags.contains(Flags::ACK) {
            let _ = write!(text, " ack {}", header.ack);
        }
        if let Some(mss) = header.options.mss {
            let ts = if header.options.timestamps.is_some() { ",ts" } else { "" };
            let _ = write!(text, " <mss {mss}{ts}>");
        }
        (text, at)
    }

    /// Expects a packet, and says when it was sent.
    pub(crate) fn expect(&mut self, text: &str) -> i64 {
        let (seen, at) = self.receive();
        assert_eq!(seen, text);
        at
    }

    /// A SYN with what a usual one offers.
    pub(crate) fn syn(&self) {
        let timestamps = Some(tcp::Timestamps { val: 1, ecr: 0 });
        let options = Options { mss: Some(1000), sack_permitted: true, timestamps, ..Options::default() };
        self.send_with(Flags::SYN, 0, 0, &[], options);
    }

    /// A plain SYN.
    pub(crate) fn plain_syn(&self) {
        self.send_with(Flags::SYN, 0, 0, &[], Options { mss: Some(1000), ..Options::default() });
    }
}

/// A listener at [`LOCAL`] and a connection from [`REMOTE`] that it has accepted.
pub(crate) fn established(driver: &Driver) -> (i32, i32, Peer<'_>) {
    let listener = driver.socket(libc::SOCK_STREAM);
    driver.setsockopt(listener, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).expect("set");
    driver.bind(listener, local()).expect("bound");
    driver.listen(listener, 1).expect("listens");
    let mut peer = Peer::new(driver);
    peer.plain_syn();
    peer.expect("S. 0:0(0) ack 1 <mss 1460>");
    driver.usleep(100_000);
    peer.send(Flags::ACK, 1, 1, &[]);
    let (fd, address) = driver.accept(listener).expect("a connection");
    assert_eq!(address.len(), 16);
    assert_eq!(address[2..8], [0x80, 0xe8, 192, 0, 2, 1]);
    (listener, fd, peer)
}
