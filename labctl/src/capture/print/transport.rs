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

/// Where the numbers of a direction are counted from.
#[derive(Debug, Clone, Copy)]
struct Base {
    number: u32,
    /// The SYN was seen: nothing is older. Else what is shown may be negative.
    syn: bool,
}

impl Base {
    fn count(self, number: u32) -> i64 {
        let relative = number.wrapping_sub(self.number);
        if self.syn { i64::from(relative) } else { i64::from(relative.cast_signed()) }
    }
}

/// The first number known of each direction, to count from.
#[derive(Debug, Default)]
pub(super) struct Flows {
    first: BTreeMap<Flow, Base>,
}

impl Flows {
    fn begin(&mut self, flow: Flow, base: Base) {
        if self.first.len() >= MAX_FLOWS {
            self.first.clear();
        }
        self.first.insert(flow, base);
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
        // A SYN begins anew: its number is shown as it is, as are both of a connection whose beginning was not seen.
        let zero = Base { number: 0, syn: true };
        let known = flows.first.get(&forth).copied();
        let from = known.filter(|base| !tcp.syn() || base.number == seq).unwrap_or(zero);
        let acked = flows.first.get(&back).copied();
        if known.is_none() || tcp.syn() {
            flows.begin(forth, Base { number: seq, syn: tcp.syn() });
        }
        if tcp.ack() && acked.is_none() {
            flows.begin(back, Base { number: ack, syn: false });
        }
        let start = from.count(seq);
        if len > 0 {
            self.add(format_args!(", seq {start}:{}", start + len as i64));
        } else if tcp.syn() || tcp.fin() || tcp.rst() {
            self.add(format_args!(", seq {start}"));
        }
        if tcp.ack() {
            self.add(format_args!(", ack {}", acked.unwrap_or(zero).count(ack)));
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
