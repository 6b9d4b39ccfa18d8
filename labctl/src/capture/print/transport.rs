//! TCP (RFC 9293) and UDP (RFC 768).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use etherparse::{TcpOptionElement, TcpSlice, UdpSlice};

use super::ip::Ends;
use super::{Line, Paint};

/// More connections than a person follows; then memory begins anew.
const MAX_FLOWS: usize = 1 << 16;

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    ends: Ends,
    ports: (u16, u16),
}

/// The first sequence number seen of each direction, to count from.
#[derive(Debug, Default)]
pub(super) struct Flows {
    first: BTreeMap<Flow, u32>,
}

impl Flows {
    fn begin(&mut self, flow: Flow, seq: u32) {
        if self.first.len() >= MAX_FLOWS {
            self.first.clear();
        }
        self.first.insert(flow, seq);
    }
}

impl Line<'_> {
    pub(super) fn tcp(&mut self, ends: Ends, tcp: &TcpSlice<'_>, flows: &mut Flows) {
        self.paint(if tcp.rst() { Paint::Alarm } else { Paint::Tcp });
        self.ports(ends, tcp.source_port(), tcp.destination_port());

        let mut flags = String::new();
        let all = [
            (tcp.fin(), 'F'),
            (tcp.syn(), 'S'),
            (tcp.rst(), 'R'),
            (tcp.psh(), 'P'),
            (tcp.ack(), '.'),
            (tcp.urg(), 'U'),
            (tcp.ece(), 'E'),
            (tcp.cwr(), 'W'),
        ];
        flags.extend(all.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
        if flags.is_empty() {
            flags.push_str("none");
        }
        self.add(format_args!("Flags [{flags}]"));

        let forth = Flow { ends, ports: (tcp.source_port(), tcp.destination_port()) };
        let back = Flow {
            ends: Ends { source: ends.destination, destination: ends.source },
            ports: (tcp.destination_port(), tcp.source_port()),
        };
        let (seq, ack) = (tcp.sequence_number(), tcp.acknowledgment_number());
        let len = tcp.payload().len();
        // A SYN begins anew: its number is shown as it is, as is that of a connection seen for the first time.
        let from = match flows.first.get(&forth) {
            Some(first) if !tcp.syn() || *first == seq => *first,
            _ => {
                flows.begin(forth, seq);
                0
            }
        };
        let start = seq.wrapping_sub(from);
        if len > 0 {
            let end = u64::from(start) + len as u64;
            self.add(format_args!(", seq {start}:{end}"));
        } else if tcp.syn() || tcp.fin() || tcp.rst() {
            self.add(format_args!(", seq {start}"));
        }
        if tcp.ack() {
            let from = flows.first.get(&back).copied().unwrap_or_default();
            self.add(format_args!(", ack {}", ack.wrapping_sub(from)));
        }
        self.add(format_args!(", win {}", tcp.window_size()));
        if tcp.urg() {
            self.add(format_args!(", urg {}", tcp.urgent_pointer()));
        }
        if !tcp.options().is_empty() {
            self.add(format_args!(", options ["));
            self.options(tcp);
            self.add(format_args!("]"));
        }
        self.add(format_args!(", length {len}"));
    }

    fn options(&mut self, tcp: &TcpSlice<'_>) {
        let mut comma = "";
        for option in tcp.options_iterator() {
            self.add(format_args!("{comma}"));
            comma = ",";
            match option {
                Ok(TcpOptionElement::Noop) => self.add(format_args!("nop")),
                Ok(TcpOptionElement::MaximumSegmentSize(size)) => self.add(format_args!("mss {size}")),
                Ok(TcpOptionElement::WindowScale(shift)) => self.add(format_args!("wscale {shift}")),
                Ok(TcpOptionElement::SelectiveAcknowledgementPermitted) => self.add(format_args!("sackOK")),
                Ok(TcpOptionElement::SelectiveAcknowledgement(first, more)) => {
                    let mut blocks = String::new();
                    for (left, right) in std::iter::once(first).chain(more.into_iter().flatten()) {
                        let _ = write!(blocks, "{{{left}:{right}}}");
                    }
                    self.add(format_args!("sack {blocks}"));
                }
                Ok(TcpOptionElement::Timestamp(value, echo)) => {
                    self.add(format_args!("TS val {value} ecr {echo}"))
                }
                Err(etherparse::TcpOptionReadError::UnknownId(kind)) => {
                    // Nothing behind an option of unknown length can be told apart.
                    self.add(format_args!("kind {kind}…"));
                    return;
                }
                Err(_) => {
                    self.bad("tcp option");
                    return;
                }
            }
        }
    }

    pub(super) fn udp(&mut self, ends: Ends, udp: &UdpSlice<'_>) {
        self.paint(Paint::Udp);
        self.ports(ends, udp.source_port(), udp.destination_port());
        self.add(format_args!("UDP, length {}", udp.payload().len()));
        let said = usize::from(udp.length());
        // 0 stands for a jumbogram (RFC 2675), or for a sender that leaves it out.
        if said != 0 && said != udp.slice().len() {
            self.bad(format_args!("udp length {said}"));
        }
    }

    /// `h1.40000 > h2.80: `
    fn ports(&mut self, ends: Ends, source: u16, destination: u16) {
        let (from, to) = (self.host(ends.source), self.host(ends.destination));
        self.add(format_args!("{from}.{source} > {to}.{destination}: "));
    }
}
