//! FreeBSD's `sockstat` and `tcpdrop`: what sockets there are, and the end of a connection from outside.

use super::Output;
use crate::node::Node;
use netstack::socket::{SockType, SocketInfo};
use netstack::tcp::{State, TcpInfo};
use rumpkern::syscall::Errno;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

fn sockets(node: &Node) -> Result<Vec<SocketInfo>, Errno> {
    node.ask(|host| host.kernel().with_stack(|stack, _| stack.sockets().collect()))
}

/// Of its options count `-l`, `-c` (listening, connected), `-p` (ports), `-P` (protocols), `-q` (no
/// heading), `-s` (states).
pub(super) fn sockstat(node: &Node, arguments: &[&str]) -> Output {
    let (mut listening, mut connected, mut quiet, mut states) = (false, false, false, false);
    let (mut ports, mut protocols): (Option<Vec<u16>>, Option<&str>) = (None, None);
    let mut words = arguments.iter().copied();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-') else {
            return Output::failed(1, format!("sockstat: {word}: not understood"));
        };
        for (at, letter) in letters.char_indices() {
            match letter {
                'l' => listening = true,
                'c' => connected = true,
                'q' => quiet = true,
                's' => states = true,
                'p' | 'P' => {
                    // Its value is the rest of the word, or the next one.
                    let rest = &letters[at + 1..];
                    let value = if rest.is_empty() { words.next().unwrap_or("") } else { rest };
                    if letter == 'P' {
                        protocols = Some(value);
                    } else {
                        match value.split(',').map(str::parse).collect() {
                            Ok(list) => ports = Some(list),
                            Err(_) => return Output::failed(1, format!("sockstat: {value}: no ports")),
                        }
                    }
                    break;
                }
                '4' | '6' | 'n' | 'L' | 'i' | 'v' | 'w' | 'C' | 'S' | 'U' => {}
                _ => return Output::failed(1, format!("sockstat: illegal option -- {letter}")),
            }
        }
    }
    let sockets = match sockets(node) {
        Ok(sockets) => sockets,
        Err(errno) => return Output::failed(1, format!("sockstat: {errno}")),
    };
    let mut done = Output::default();
    if !quiet {
        let heading = if states { "PATH STATE" } else { "" };
        let _ = writeln!(
            done.out,
            "{:<8} {:<10} {:<5} {:<2} {:<6} {:<21} {:<21} {heading}",
            "USER", "COMMAND", "PID", "FD", "PROTO", "LOCAL ADDRESS", "FOREIGN ADDRESS"
        );
    }
    for socket in &sockets {
        let protocol = match socket.ty {
            SockType::Stream => "tcp",
            SockType::Dgram => "udp",
            SockType::Raw | SockType::Packet | SockType::PacketDgram => continue,
        };
        let of_port = |addr: Option<SocketAddr>| {
            ports.as_ref().is_none_or(|ports| addr.is_some_and(|addr| ports.contains(&addr.port())))
        };
        let is_listening = socket.state == "LISTEN" || socket.remote.is_none();
        // Neither option is both.
        let either = listening == connected;
        let wanted = either || (listening && is_listening) || (connected && !is_listening);
        let named = protocols.is_none_or(|list| list.split(',').any(|name| name == protocol));
        if !wanted || !named || !(of_port(socket.local) || of_port(socket.remote)) {
            continue;
        }
        let state = socket.tcp.as_ref().filter(|_| states).map_or("", |info| state(info.state));
        let _ = writeln!(
            done.out,
            "{:<8} {:<10} {:<5} {:<2} {:<6} {:<21} {:<21} {state}",
            "?",
            "?",
            "?",
            "?",
            format!("{protocol}4"),
            shown(socket.local),
            shown(socket.remote)
        );
    }
    done
}

fn shown(addr: Option<SocketAddr>) -> String {
    match addr {
        Some(addr) if !addr.ip().is_unspecified() => addr.to_string(),
        Some(addr) if addr.port() != 0 => format!("*:{}", addr.port()),
        Some(_) | None => "*:*".to_owned(),
    }
}

/// FreeBSD's names of the states.
fn state(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        State::Listen => "LISTEN",
        State::SynSent => "SYN_SENT",
        State::SynReceived => "SYN_RCVD",
        State::Established => "ESTABLISHED",
        State::FinWait1 => "FIN_WAIT_1",
        State::FinWait2 => "FIN_WAIT_2",
        State::CloseWait => "CLOSE_WAIT",
        State::Closing => "CLOSING",
        State::LastAck => "LAST_ACK",
        State::TimeWait => "TIME_WAIT",
    }
}

/// `tcpdrop LOCAL PORT FOREIGN PORT`, the same as two `address:port`, or `-a` for all.
pub(super) fn tcpdrop(node: &Node, arguments: &[&str]) -> Output {
    let usage = || Output::failed(1, "usage: tcpdrop local-address local-port foreign-address foreign-port");
    let end =
        |addr: &str, port: &str| Some(SocketAddr::new(addr.parse::<IpAddr>().ok()?, port.parse().ok()?));
    let ends = match arguments {
        ["-a"] => {
            let connected = |info: &TcpInfo| !matches!(info.state, State::Closed | State::Listen);
            match sockets(node) {
                Ok(sockets) => sockets
                    .into_iter()
                    .filter_map(|socket| socket.tcp)
                    .filter(connected)
                    .map(|info| (info.local, info.remote))
                    .collect(),
                Err(errno) => return Output::failed(1, format!("tcpdrop: {errno}")),
            }
        }
        [local, foreign] => match (local.parse(), foreign.parse()) {
            (Ok(local), Ok(foreign)) => vec![(local, foreign)],
            (Err(_), _) | (_, Err(_)) => return usage(),
        },
        [local, local_port, foreign, foreign_port] => {
            match end(local, local_port).zip(end(foreign, foreign_port)) {
                Some(ends) => vec![ends],
                None => return usage(),
            }
        }
        _ => return usage(),
    };
    let mut done = Output::default();
    for (local, foreign) in ends {
        let name = format!("{} {} {} {}", local.ip(), local.port(), foreign.ip(), foreign.port());
        let drop = move |host: &crate::host::Host| {
            host.kernel().with_stack(|stack, now| stack.tcp_drop(now, local, foreign))
        };
        done.then(match node.ask(drop) {
            Ok(true) => Output::ok(format!("{name}: dropped\n")),
            Ok(false) => Output::failed(1, format!("tcpdrop: {name}: No such process")),
            Err(errno) => Output::failed(1, format!("tcpdrop: {errno}")),
        });
    }
    done
}
