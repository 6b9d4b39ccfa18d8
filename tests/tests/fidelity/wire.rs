//! What a capture has seen, in a form that two runs can be compared by: no ephemeral ports, no sequence
//! numbers, no identifiers.

use labctl::capture::pcapng::read;
use netstack::wire::tcp::{Flags, Header as Tcp};
use netstack::wire::{arp, ethernet, ipv4, ipv6, udp};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

/// Ports from here on are chosen by whoever opens a socket.
const EPHEMERAL: u16 = 32_768;

/// The traffic of a bus.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Packets that are no TCP, by flow.
    pub(crate) packets: BTreeMap<String, u64>,
    /// TCP connections, in the order of their first segments.
    pub(crate) connections: Vec<Connection>,
}

/// Both directions of a TCP connection.
#[derive(Debug)]
pub(crate) struct Connection {
    ends: [(IpAddr, u16); 2],
    began: Duration,
    /// What happened and when, since its first segment: `> SYN`, `< SYN-ACK`, `> FIN`, `< RST` (the first
    /// of an end), and a window that closed (`< ZERO WINDOW`) or opened again (`< WINDOW`).
    pub(crate) events: Vec<(String, Duration)>,
    /// What each end sent.
    pub(crate) sent: [Sent; 2],
}

/// One direction of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// Segments with data.
    pub(crate) data: u64,
    /// Segments that only acknowledge, open a window or ask for one.
    pub(crate) acks: u64,
    /// Resets: a segment that was under way to an end that is gone is answered by one each.
    pub(crate) resets: u64,
    /// Octets of the stream, each once.
    pub(crate) octets: u64,
    first: Option<u32>,
    closed: bool,
}

impl Wire {
    /// Reads a capture.
    pub(crate) fn read(path: &Path) -> Wire {
        let mut wire = Wire::default();
        let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let each = |packet: read::Packet<'_>| {
            wire.frame(packet.time, packet.octets);
            Ok::<_, Infallible>(())
        };
        read::packets(std::io::BufReader::new(file), each).expect("a capture");
        wire
    }

    fn count(&mut self, flow: String) {
        *self.packets.entry(flow).or_default() += 1;
    }

    fn frame(&mut self, time: Duration, frame: &[u8]) {
        let header = ethernet::Header::parse(frame).expect("an Ethernet header");
        let packet = &frame[ethernet::HEADER_LEN..];
        match header.ethertype {
            ethernet::ARP => {
                let arp = arp::Packet::parse(packet).expect("ARP");
                self.count(format!("ARP {:?} {} to {}", arp.op, arp.sender, arp.target));
            }
            ethernet::IPV4 => match ipv4::Header::parse(packet) {
                Ok(ip) => {
                    let payload = &packet[ip.header_len..ip.total_len];
                    let (ends, more) = ([ip.src.into(), ip.dst.into()], ip.is_fragment());
                    self.packet(time, ends, ip.protocol, if more { Err(ip.offset) } else { Ok(payload) });
                }
                Err(_) => self.count("damaged IPv4".to_owned()),
            },
            ethernet::IPV6 => {
                let ip = ipv6::Header::parse(packet).expect("IPv6");
                let payload = &packet[ipv6::HEADER_LEN..ip.total_len()];
                self.packet(time, [ip.src.into(), ip.dst.into()], ip.next_header, Ok(payload));
            }
            other => self.count(format!("type {other:#06x}")),
        }
    }

    /// A packet of IP: its payload, or the offset of a fragment.
    fn packet(&mut self, time: Duration, ends: [IpAddr; 2], protocol: u8, payload: Result<&[u8], usize>) {
        let [from, to] = ends;
        let payload = match payload {
            Ok(payload) => payload,
            Err(offset) => {
                return self.count(format!("{from} > {to} protocol {protocol} fragment at {offset}"));
            }
        };
        match protocol {
            6 => match Tcp::parse(payload) {
                Ok((tcp, data)) => self.segment(time, ends, &tcp, data),
                Err(_) => self.count(format!("{from} > {to} damaged TCP")),
            },
            17 => match udp::Header::parse(payload) {
                Ok(udp) => {
                    let port = |port: u16| if port >= EPHEMERAL { "*".to_owned() } else { port.to_string() };
                    self.count(format!("{from}:{} > {to}:{} UDP", port(udp.src), port(udp.dst)));
                }
                Err(_) => self.count(format!("{from} > {to} damaged UDP")),
            },
            1 | 58 => self.count(format!("{from} > {to} ICMP type {} code {}", payload[0], payload[1])),
            other => self.count(format!("{from} > {to} protocol {other}")),
        }
    }

    fn segment(&mut self, time: Duration, [from, to]: [IpAddr; 2], tcp: &Tcp, data: &[u8]) {
        let (from, to) = ((from, tcp.src_port), (to, tcp.dst_port));
        let known = self.connections.iter().rposition(|one| one.ends == [from, to] || one.ends == [to, from]);
        let at = known.unwrap_or_else(|| {
            let (events, sent) = (Vec::new(), Default::default());
            self.connections.push(Connection { ends: [from, to], began: time, events, sent });
            self.connections.len() - 1
        });
        let connection = &mut self.connections[at];
        let back = connection.ends[0] != from;
        let word = match tcp.flags {
            flags if flags.contains(Flags::RST) => Some("RST"),
            flags if flags.contains(Flags::SYN | Flags::ACK) => Some("SYN-ACK"),
            flags if flags.contains(Flags::SYN) => Some("SYN"),
            flags if flags.contains(Flags::FIN) => Some("FIN"),
            _ => None,
        };
        let sent = &mut connection.sent[usize::from(back)];
        let closed = tcp.window == 0 && !tcp.flags.contains(Flags::RST);
        let window = match (sent.closed, closed) {
            (false, true) => Some("ZERO WINDOW"),
            (true, false) => Some("WINDOW"),
            _ => None,
        };
        sent.closed = closed;
        let reset = word == Some("RST");
        sent.resets += u64::from(reset);
        let words = word.filter(|_| !reset || sent.resets == 1).into_iter().chain(window);
        let events = words.map(|word| format!("{} {word}", if back { '<' } else { '>' }));
        connection.events.extend(events.map(|event| (event, time.saturating_sub(connection.began))));
        if tcp.flags.contains(Flags::SYN) {
            sent.first = Some(tcp.seq.wrapping_add(1));
        }
        if data.is_empty() {
            sent.acks += u64::from(word.is_none());
            return;
        }
        sent.data += 1;
        let first = *sent.first.get_or_insert(tcp.seq);
        let end = tcp.seq.wrapping_add(data.len() as u32).wrapping_sub(first);
        sent.octets = sent.octets.max(end.into());
    }
}
