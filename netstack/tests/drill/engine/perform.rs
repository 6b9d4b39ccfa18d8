//! What the calls of a script do, and how their outcome reads.

use super::Script;
use super::call::{Call, Info};
use super::host::IF;
use super::packet::{Ends, stream};
use netstack::netinet::IcmpError;
use netstack::socket::{Family, RecvFlags};
use netstack::tcp::{TcpId, TcpOpt};
use netstack::{Ready, SockError};
use std::net::SocketAddr;

fn ok() -> String {
    "ok".into()
}

fn error(e: SockError) -> String {
    format!("error {e:?}")
}

fn outcome(r: Result<(), SockError>) -> String {
    r.map_or_else(error, |()| ok())
}

fn names(r: Ready) -> String {
    let names: Vec<&str> = r.iter_names().map(|(n, _)| n).collect();
    if names.is_empty() { "none".into() } else { names.join("|") }
}

impl Script {
    /// The outcome of a call. `Err`: the script is wrong.
    pub(super) fn perform(&mut self, call: &Call) -> Result<String, String> {
        Ok(match call {
            Call::Listen(port, backlog) => {
                self.listener = Some(self.host.listener(*port, *backlog));
                ok()
            }
            Call::Socket => {
                self.socket = Some(self.host.tcp.socket(self.family()));
                ok()
            }
            Call::Connect(to) => {
                let to = to.unwrap_or(SocketAddr::new(self.them, self.port));
                let id = self.a_socket();
                let outcome = outcome(self.host.tcp.connect(&mut self.host.ip, id, to));
                self.learn_port(id);
                outcome
            }
            Call::Bind(to) => {
                let id = self.a_socket();
                outcome(self.host.tcp.bind(&mut self.host.ip, id, *to))
            }
            Call::Backlog(n) => {
                let id = self.current()?;
                outcome(self.host.tcp.listen(&mut self.host.ip, id, *n))
            }
            Call::Accept => {
                let listener = self.listener.or(self.socket).ok_or("there is no listener")?;
                match self.host.tcp.accept(&mut self.host.ip, listener) {
                    Ok((id, from)) => {
                        self.socket = Some(id);
                        from.port().to_string()
                    }
                    Err(e) => error(e),
                }
            }
            Call::Send(n, flags) => {
                let id = self.current()?;
                let data = vec![b'x'; *n];
                let sent = self.host.tcp.send(&mut self.host.ip, id, &data, *flags);
                sent.map_or_else(error, |n| n.to_string())
            }
            Call::SendFastOpen(n) => {
                let (to, id) = (SocketAddr::new(self.them, self.port), self.a_socket());
                let sent = self.host.tcp.send_fast_open(&mut self.host.ip, id, &vec![b'x'; *n], to);
                self.learn_port(id);
                sent.map_or_else(error, |n| n.to_string())
            }
            Call::Recv(n, flags) => self.recv(*n, *flags)?,
            Call::Shut(how) => {
                let id = self.current()?;
                outcome(self.host.tcp.shutdown(&mut self.host.ip, id, *how))
            }
            Call::Close { listener } => {
                let id = if *listener { None } else { self.socket.take() };
                let id = id.or_else(|| self.listener.take()).ok_or("there is no socket")?;
                self.host.tcp.close(&mut self.host.ip, id);
                ok()
            }
            Call::Abort => {
                let id = self.current()?;
                self.host.tcp.abort(&mut self.host.ip, id);
                ok()
            }
            Call::Set(option) => {
                let id = self.a_socket();
                outcome(self.host.tcp.set_option(&mut self.host.ip, id, *option))
            }
            Call::Get(name) => self.host.tcp.option(self.current()?, *name).map_or_else(error, value),
            Call::Ready => names(self.host.tcp.ready(self.current()?)),
            Call::Events => {
                let id = self.current()?;
                let events = self.host.events().into_iter().filter(|e| e.0 == id);
                names(events.fold(Ready::empty(), |all, e| all | e.1))
            }
            Call::Error => {
                self.host.tcp.take_error(self.current()?).map_or("none".into(), |e| format!("{e:?}"))
            }
            Call::State => {
                self.host.tcp.info(self.current()?).map_or("gone".into(), |i| format!("{:?}", i.state))
            }
            Call::Info(field) => self.info(*field)?,
            Call::Sockets => {
                let states: Vec<String> = self.host.tcp.iter().map(|i| format!("{:?}", i.state)).collect();
                if states.is_empty() { "none".into() } else { states.join(" ") }
            }
            Call::Timers => self.host.tcp.poll_timeout().map_or("none".into(), |_| "some".into()),
            Call::TimersFewer(n) => (self.host.tcp.timers() < *n).to_string(),
            Call::Stat(name) => {
                self.host.tcp.stats().iter().find(|s| s.1 == *name).map_or(0, |s| s.2).to_string()
            }
            Call::Port(port) => {
                self.port = *port;
                self.ends.entry(self.port).or_insert(Ends { our_port: 80, ..Ends::default() });
                ok()
            }
            Call::Icmp(kind, seq) => {
                let ends = self.ends[&self.port];
                let mut quoted = Vec::new();
                quoted.extend(ends.our_port.to_be_bytes());
                quoted.extend(self.port.to_be_bytes());
                quoted.extend(ends.our_seq(*seq).to_be_bytes());
                let (src, dst) = (self.us, self.them);
                let error = IcmpError { kind: *kind, from: dst, src, dst, ifindex: IF, wire: (3, 0) };
                self.host.tcp.icmp_error(&mut self.host.ip, &error, &quoted);
                ok()
            }
            Call::Room(n) => {
                self.host.ip.room = *n;
                self.metered = true;
                ok()
            }
            Call::Offload => {
                self.host.ip.offloads = true;
                ok()
            }
            Call::Mtu(n) => {
                self.host.ip.mtu = *n;
                ok()
            }
            Call::Lenient => {
                self.lenient = true;
                ok()
            }
            Call::Strict => {
                self.let_pass();
                self.lenient = false;
                ok()
            }
        })
    }

    fn learn_port(&mut self, id: TcpId) {
        if let (Ok(local), Some(ends)) = (self.host.tcp.local_addr(id), self.ends.get_mut(&self.port)) {
            ends.our_port = local.port();
        }
    }

    fn family(&self) -> Family {
        if self.us.is_ipv4() { Family::Inet } else { Family::Inet6 }
    }

    /// The connection; before there is one, the listener.
    fn current(&self) -> Result<TcpId, String> {
        self.socket.or(self.listener).ok_or_else(|| "there is no socket".into())
    }

    /// The socket, a new one if there is none.
    fn a_socket(&mut self) -> TcpId {
        let family = self.family();
        *self.socket.get_or_insert_with(|| self.host.tcp.socket(family))
    }

    fn recv(&mut self, n: usize, flags: RecvFlags) -> Result<String, String> {
        let id = self.current()?;
        let mut buf = vec![0; n];
        Ok(match self.host.tcp.recv(&mut self.host.ip, id, &mut buf, flags) {
            Ok(0) => "eof".into(),
            Ok(n) if flags.contains(RecvFlags::TRUNC) => n.to_string(),
            // The first octet's place in the stream can be told from the octet.
            Ok(n) => match (1..70_000).find(|p| (0..n as i64).all(|i| stream(p + i) == buf[i as usize])) {
                Some(place) => format!("{n} from {place}"),
                None => format!("{n} octets that are not the stream's"),
            },
            Err(e) => error(e),
        })
    }

    fn info(&self, field: Info) -> Result<String, String> {
        let i = self.host.tcp.info(self.current()?).map_err(|e| format!("no TCP_INFO: {e}"))?;
        Ok(match field {
            Info::Cwnd => i.cwnd.to_string(),
            Info::Ssthresh if i.ssthresh == u32::MAX => "none".into(),
            Info::Ssthresh => i.ssthresh.to_string(),
            Info::Mss => i.snd_mss.to_string(),
            Info::RcvMss => i.rcv_mss.to_string(),
            Info::Pmtu => i.pmtu.to_string(),
            Info::Rto => i.rto.as_millis().to_string(),
            Info::Rtt => i.rtt.map_or("none".into(), |r| r.0.as_millis().to_string()),
            Info::SndWnd => i.snd_wnd.to_string(),
            Info::RcvWnd => i.rcv_wnd.to_string(),
            Info::InFlight => i.in_flight.to_string(),
            Info::Segments => {
                let s = i.segments;
                format!("{} {} {} {}", s.unacked, s.sacked, s.lost, s.retransmitted)
            }
            Info::CaState => format!("{:?}", i.congestion),
            Info::Backoff => i.backoff.to_string(),
            Info::Unsent => i.unsent.to_string(),
            Info::SendQueue => i.send_queue.to_string(),
            Info::RecvQueue => i.recv_queue.to_string(),
            Info::PacingRate => i.pacing_rate.map_or("none".into(), |n| n.to_string()),
            Info::DeliveryRate => i.delivery_rate.map_or("none".into(), |n| n.to_string()),
            Info::Congestion => i.congestion_control.into(),
            Info::Reordering => i.reordering.to_string(),
            Info::FastOpenFail => format!("{:?}", i.fast_open_fail),
            Info::Tally(counter) => counter(&i.tally.at(self.host.ip.now)),
        })
    }
}

/// The value of an option.
fn value(option: TcpOpt) -> String {
    let switch = |on: bool| if on { "on" } else { "off" }.to_string();
    match option {
        TcpOpt::NoDelay(on)
        | TcpOpt::Cork(on)
        | TcpOpt::QuickAck(on)
        | TcpOpt::KeepAlive(on)
        | TcpOpt::OobInline(on)
        | TcpOpt::PublicSource(on)
        | TcpOpt::FastOpenConnect(on)
        | TcpOpt::FastOpenNoCookie(on)
        | TcpOpt::V6Only(on) => switch(on),
        TcpOpt::KeepIdle(t)
        | TcpOpt::KeepInterval(t)
        | TcpOpt::UserTimeout(t)
        | TcpOpt::Linger2(t)
        | TcpOpt::Linger(Some(t)) => t.as_secs_f64().to_string(),
        TcpOpt::Linger(None) | TcpOpt::MaxPacingRate(None) => switch(false),
        TcpOpt::MaxPacingRate(Some(n)) => n.to_string(),
        TcpOpt::KeepCount(n)
        | TcpOpt::SynCount(n)
        | TcpOpt::DeferAccept(n)
        | TcpOpt::Ttl(n)
        | TcpOpt::Tos(n) => n.to_string(),
        TcpOpt::WindowClamp(n) | TcpOpt::NotSentLowat(n) => n.to_string(),
        TcpOpt::MaxSeg(n) => n.to_string(),
        TcpOpt::FastOpenKey(key) => key.to_string(),
        TcpOpt::FastOpen(n) | TcpOpt::SndBuf(n) | TcpOpt::RcvBuf(n) | TcpOpt::RcvLowat(n) => n.to_string(),
        TcpOpt::Congestion(a) => a.name().into(),
        TcpOpt::Reuse(share) => format!("{share:?}"),
        TcpOpt::BindToDevice(i) => format!("{i:?}"),
        TcpOpt::FlowLabel(label) => format!("{label:?}"),
    }
}
