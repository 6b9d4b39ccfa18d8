//! What must bear any octets: one function a kind of input, shared by campaigns (`tests/fuzz`, cargo-fuzz) and by the replay of their
//! finds (`tests/tests/corpus.rs`). A target fails by panicking, by hanging, or by breaking what it asserts.

mod bus;
mod netlink;

pub use bus::bus;
pub use netlink::netlink;

use netstack::net::mbuf::{Gso, GsoKind, Offload};

/// A target: any octets in, no panic out.
pub type Target = fn(&[u8]);

/// All targets, by the names of their corpus folders.
pub const TARGETS: &[(&str, Target)] = &[
    ("topology", topology),
    ("control", control),
    ("config", config),
    ("sysproxy", sysproxy),
    ("filter", filter),
    ("bpf", bpf),
    ("bus", bus),
    ("frame", frame),
    ("offload", offload),
    ("netlink", netlink),
];

/// A topology file. Whatever it says, its diagnostics can be shown.
pub fn topology(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Err(diagnostics) = labctl::topology::load_str("fuzz.lab.toml", text) {
        assert!(!diagnostics.to_string().is_empty(), "a refused topology says why");
    }
}

/// A control request: what reads as one comes back from its own text.
pub fn control(octets: &[u8]) {
    use rumpkern::ctl::proto::Request;
    if let Ok(request) = serde_json::from_slice::<Request>(octets) {
        let text = serde_json::to_vec(&request).expect("a request is plain data");
        assert_eq!(serde_json::from_slice::<Request>(&text).expect("our own text"), request);
    }
}

/// A node's configuration.
pub fn config(octets: &[u8]) {
    let _ = serde_json::from_slice::<rumpkern::config::NodeConfig>(octets);
}

/// A message of a remote client: what reads as a request comes back from its own octets.
pub fn sysproxy(octets: &[u8]) {
    use rumpclient::{msg::Request, wire::Header};
    let Ok((header, fields)) = Header::decode(octets) else { return };
    let Ok(request) = Request::decode(&header, fields) else { return };
    let mut again = Vec::new();
    request.encode(header.req, header.sid, &mut again);
    let (header, fields) = Header::decode(&again).expect("our own header");
    assert_eq!(Request::decode(&header, fields).expect("our own fields"), request);
}

/// A capture filter.
pub fn filter(octets: &[u8]) {
    let (words, frame) = octets.split_at(octets.len().min(64));
    let Ok(text) = std::str::from_utf8(words) else { return };
    if let Ok(filter) = labctl::capture::filter::Filter::parse(text, &labctl::capture::filter::NoNames) {
        filter.matches(frame);
    }
}

/// A program of classic BPF (its length in instructions, eight octets each) and the packet that it looks at: what is accepted ends, and
/// comes to the same result again.
pub fn bpf(octets: &[u8]) {
    use netstack::net::bpf::filter::{Insn, Program, View};
    let Some((&length, rest)) = octets.split_first() else { return };
    let (insns, packet) = rest.split_at(rest.len().min(usize::from(length) * 8));
    let insns: Vec<Insn> = insns
        .chunks_exact(8)
        .map(|octets| Insn {
            code: u16::from_le_bytes([octets[0], octets[1]]),
            jt: octets[2],
            jf: octets[3],
            k: u32::from_le_bytes([octets[4], octets[5], octets[6], octets[7]]),
        })
        .collect();
    let Ok(program) = Program::new(&insns) else { return };
    for (data, link) in [(0, Some(0)), (14, Some(0)), (22, None)] {
        let view = View {
            octets: packet,
            data,
            net: 14,
            link,
            protocol: 0x800,
            packet_type: 0,
            ifindex: 2,
            hatype: 1,
            random: 1,
        };
        assert_eq!(program.run(&view), program.run(&view));
    }
}

/// Frames for a router with an open TCP port and a UDP socket: each is a length octet (times eight) and that many octets. What the stack
/// sends in answer must be whole frames, and it must come to rest.
pub fn frame(octets: &[u8]) {
    let mut rest = octets;
    router(|| {
        let (&length, tail) = rest.split_first()?;
        let (frame, tail) = tail.split_at(tail.len().min(usize::from(length) * 8));
        rest = tail;
        Some((frame, Offload::default()))
    });
}

/// Records with offload metadata for the same router: before each its length (16 bits), `csum_start` (16), `csum_offset` (8), what is to be
/// cut (8: 0 nothing, 1 TCP, 2 TCP over IPv6, else UDP), `gso_size` (16), `hdr_len` (16), little-endian. The metadata of what it sends must point into the frame.
pub fn offload(octets: &[u8]) {
    let mut rest = octets;
    router(|| {
        let (head, tail) = rest.split_first_chunk::<10>()?;
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (frame, tail) = tail.split_at(tail.len().min(word(0).into()));
        rest = tail;
        let gso = |kind| Some(Gso { kind, size: word(6), header_len: word(8) });
        let gso = match head[5] {
            0 => None,
            1 => gso(GsoKind::TcpV4),
            2 => gso(GsoKind::TcpV6),
            3.. => gso(GsoKind::Udp),
        };
        Some((frame, Offload { csum_start: word(2), csum_offset: head[4].into(), gso }))
    });
}

/// A router of two links that take offload metadata, with an open TCP port and a UDP socket: takes frames, from either link in turn.
fn router<'a>(mut next: impl FnMut() -> Option<(&'a [u8], Offload)>) {
    use netstack::net::MacAddr;
    use netstack::net::ifnet::IfConfig;
    use netstack::socket::SockType;
    use netstack::stack::{Stack, StackConfig};
    use netstack::time::{Duration, Instant};
    let mut stack = Stack::new(StackConfig { forwarding: true, ..StackConfig::default() }, [7; 32]);
    let mut now = Instant::from_millis(1);
    for (n, net) in ["10.0.0.1/24", "10.0.1.1/24"].iter().enumerate() {
        let mac = MacAddr([2, 0, 0, 0, 0, n as u8]);
        let interface =
            stack.if_attach(IfConfig { name: format!("eth{n}"), mac, mtu: 1500 }).expect("an interface");
        stack.if_set_offload(interface, true).expect("it is there");
        stack.if_set_up(now, interface, true).expect("it is there");
        stack.addr_add(now, interface, net.parse().expect("an address")).expect("room for an address");
    }
    let family = netstack::socket::Family::Inet;
    let any = |port: u16| std::net::SocketAddr::from(([0, 0, 0, 0], port));
    let listener = stack.socket(family, SockType::Stream, 0).expect("a socket");
    stack.bind(now, listener, any(80)).expect("a free port");
    stack.listen(now, listener, 8).expect("a bound socket");
    let datagrams = stack.socket(family, SockType::Dgram, 0).expect("a socket");
    stack.bind(now, datagrams, any(53)).expect("a free port");
    let interfaces: Vec<_> = stack.interfaces().map(|i| i.index).skip(1).collect();
    let mut step = 0;
    while let Some((frame, offload)) = next() {
        let mut m = stack.rx_mbuf();
        m.extend(frame);
        m.offload = offload;
        stack.input(now, interfaces[step % 2], m);
        step += 1;
        let mut sent = 0;
        for &interface in &interfaces {
            while let Some(m) = stack.poll_transmit(now, interface) {
                assert!(m.len() >= 14, "a frame has a header");
                assert!(m.offload.is_sound(m.len()), "{:?} of {} octets", m.offload, m.len());
                stack.recycle(m);
                sent += 1;
                assert!(sent < 10_000, "one frame is answered without end");
            }
        }
        while stack.poll_event().is_some() {}
        now += Duration::from_millis(300);
        if stack.poll_timeout().is_some_and(|at| at <= now) {
            stack.handle_timeout(now);
        }
    }
}
