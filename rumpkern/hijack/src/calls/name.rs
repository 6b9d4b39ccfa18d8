//! bind(2), connect(2), getsockname(2), getpeername(2), and uname(2): what something is called.

use super::outcome;
use crate::handed;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::Sid;
use rumpclient::msg::Request;
use rustix::io::Errno;

/// Octets of each name in `struct utsname`; the node's is the second.
const UTS_NAME: usize = 65;

pub(super) fn bind(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((_, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    outcome(sup.address(call, call.args[1], call.args[2]).map(|addr| {
        let again = addr.clone();
        sup.ask(call, sid, &Request::Bind { addr: &addr }, move |sup, call, answer| match answer.result {
            // Its socket may be closed, and only our copy of its end not.
            Err(Errno::ADDRINUSE) if sup.sweep() => {
                sup.ask(call, sid, &Request::Bind { addr: &again }, |_, _, answer| answer.result.into())
            }
            done => done.into(),
        })
    }))
}

pub(super) fn connect(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return hosts_connect(sup, call) };
    let sid = socket.sid;
    outcome(sup.address(call, call.args[1], call.args[2]).map(|addr| {
        sup.enter_door(call, inode);
        let dontwait = if sup.is_nonblocking(call) { libc::MSG_DONTWAIT as u32 } else { 0 };
        if let Some(socket) = sup.sockets.get_mut(inode) {
            socket.names = None;
        }
        let dissolves = addr.starts_with(&(libc::AF_UNSPEC as u16).to_ne_bytes());
        sup.ask(call, sid, &Request::Connect { addr: &addr, flags: dontwait }, move |sup, _, answer| {
            sup.learn_names(inode, &answer);
            sup.connects(inode, dissolves, answer.result);
            answer.result.into()
        })
    }))
}

/// connect(2) of a socket of the host's. There is no name service cache: the host's, which glibc asks first, knows the host's names.
fn hosts_connect(sup: &mut Supervisor, call: &Call) -> Outcome {
    match sup.address(call, call.args[1], call.args[2]) {
        Ok(addr) if is_name_cache(&addr) => Outcome::Fail(Errno::NOENT),
        Ok(addr) => handed::take_over(sup, call, &addr).unwrap_or(Outcome::Proceed),
        Err(_) => Outcome::Proceed,
    }
}

/// Whether a `sockaddr_un` is nscd's.
fn is_name_cache(addr: &[u8]) -> bool {
    let Some(path) = addr.strip_prefix(&(libc::AF_UNIX as u16).to_ne_bytes()) else { return false };
    let path = path.split(|octet| *octet == 0).next().unwrap_or_default();
    [&b"/var/run/nscd/socket"[..], b"/run/nscd/socket"].contains(&path)
}

pub(super) fn getsockname(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    match sup.own_name(inode) {
        Some(own) => outcome(named(sup, call, &own)),
        None => ask_name(sup, call, sid, &Request::GetSockName),
    }
}

pub(super) fn getpeername(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    match sup.peer_name(call, inode) {
        Some(peer) => outcome(named(sup, call, &peer)),
        None => ask_name(sup, call, sid, &Request::GetPeerName),
    }
}

fn ask_name(sup: &mut Supervisor, call: &Call, sid: Sid, request: &Request<'_>) -> Outcome {
    sup.ask(call, sid, request, |sup, call, answer| {
        outcome(answer.result.and_then(|_| {
            let body = answer.body().map_err(|_| Errno::PROTO)?;
            named(sup, call, body.addr.ok_or(Errno::PROTO)?)
        }))
    })
}

fn named(sup: &Supervisor, call: &Call, addr: &[u8]) -> Result<Outcome, Errno> {
    sup.put_address(call, call.args[1], call.args[2], addr)?;
    Ok(Outcome::Value(0))
}

/// The host's names, but for the node's.
pub(super) fn uname(sup: &mut Supervisor, call: &Call) -> Outcome {
    let host = rustix::system::uname();
    let parts = [host.sysname(), host.nodename(), host.release(), host.version(), host.machine()];
    let mut octets = [0; 6 * UTS_NAME];
    for (place, part) in octets.chunks_exact_mut(UTS_NAME).zip(parts) {
        let part = part.to_bytes();
        place[..part.len()].copy_from_slice(part);
    }
    let (name, place) = (sup.node.node().as_bytes(), &mut octets[UTS_NAME..2 * UTS_NAME]);
    place.fill(0);
    let len = name.len().min(UTS_NAME - 1);
    place[..len].copy_from_slice(&name[..len]);
    octets[5 * UTS_NAME..][..6].copy_from_slice(b"(none)");
    outcome(sup.memory.write(call.tid, call.args[0], &octets).map(|()| Outcome::Value(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_name_cache_is_known() {
        let unix = |path: &str| [&[1, 0], path.as_bytes(), &[0]].concat();
        assert!(is_name_cache(&unix("/var/run/nscd/socket")));
        assert!(is_name_cache(&unix("/run/nscd/socket")[..18]), "without a NUL");
        for other in [unix("/var/run/nscd/socket2"), unix("\0/run/nscd/socket"), unix(""), vec![1], vec![]] {
            assert!(!is_name_cache(&other), "{other:?}");
        }
    }
}
