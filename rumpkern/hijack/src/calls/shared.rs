//! Sockets that go to programs of other sessions, and come from them.
//!
//! A program that gives the end of a socket of the node away (SCM_RIGHTS, or to a program of another session that it starts) may end before
//! the other has used it: so the node is told beforehand. A program that uses a socket which is none of its session's may have
//! one of another session on the same node: the node is asked once for each. One of another node is the host's unix socket that
//! it looks like: it carries octets, and calls that name addresses fail.

use super::message::{MMSGHDR, Message, UIO_MAXIOV};
use crate::process::socket_inode;
use crate::seccomp_unsafe::Call;
use crate::sockets::{Socket, Wants};
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::msg::{CONNECTED, LISTENS, Request, TOLD, TOLD_OPTIONS};
use rumpclient::{Completion, Errno, Sid};

/// The inode of argument 0, if it is a socket of which nobody knows yet whose it is.
pub(super) fn stranger(sup: &Supervisor, call: &Call) -> Option<u64> {
    match call.nr {
        libc::SYS_bind
        | libc::SYS_connect
        | libc::SYS_getsockname
        | libc::SYS_getpeername
        | libc::SYS_listen
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_setsockopt
        | libc::SYS_getsockopt
        | libc::SYS_ioctl
        | libc::SYS_sendto
        | libc::SYS_sendmsg
        | libc::SYS_sendmmsg
        | libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg => unknown(sup, call, call.args[0]),
        libc::SYS_mmap => unknown(sup, call, call.args[4]),
        _ => None,
    }
}

fn unknown(sup: &Supervisor, call: &Call, fd: u64) -> Option<u64> {
    socket_inode(call.tid, fd).filter(|inode| !sup.sockets.knows(*inode))
}

/// Asks the node whose a socket is, and goes on.
pub(super) fn meet(
    sup: &mut Supervisor,
    call: &Call,
    inode: u64,
    then: impl FnOnce(&mut Supervisor, &Call) -> Outcome + 'static,
) -> Outcome {
    sup.ask(call, Sid::NONE, &Request::Lookup { inode }, move |sup, call, answer| {
        match met(&answer) {
            Ok(socket) => sup.sockets.insert(inode, socket),
            Err(_) => sup.sockets.insert_hosts(inode),
        }
        match then(sup, call) {
            Outcome::Proceed => {
                hand_on(sup, call);
                Outcome::Proceed
            }
            done => done,
        }
    })
}

/// A socket of another session, as the node tells of it.
fn met(answer: &Completion) -> Result<Socket, Errno> {
    let sid = Sid(answer.result? as u32);
    let body = answer.body().map_err(|_| Errno::PROTO)?;
    let ([domain, kind, _], flags) = body.socket.zip(body.flags).ok_or(Errno::PROTO)?;
    let mut socket = Socket::new(sid, domain, kind);
    socket.listening = flags & LISTENS != 0;
    socket.connected = flags & CONNECTED != 0;
    socket.door = body.data.map(<[u8]>::to_vec);
    socket.met = true;
    let told = TOLD_OPTIONS.iter().enumerate().filter(|(nth, _)| flags & (TOLD << nth) != 0);
    let wanted = told.filter_map(|(_, (level, name))| super::option::wanted(*level, *name));
    socket.wants = wanted.fold(Wants::empty(), |wants, one| wants | one);
    Ok(socket)
}

/// Tells the node of sockets that a message of a unix socket's takes along.
pub(super) fn hand_on(sup: &mut Supervisor, call: &Call) {
    let [_, place, count, ..] = call.args;
    let places = match call.nr {
        libc::SYS_sendmsg => 0..1,
        libc::SYS_sendmmsg => 0..u64::from(count as u32).min(UIO_MAXIOV),
        _ => return,
    };
    for nth in places {
        // What cannot be read is not sent either.
        let message = Message::read(sup.memory, call.tid, place.wrapping_add(nth * MMSGHDR));
        let controls = message.and_then(|message| message.controls(sup.memory, call.tid));
        for control in controls.unwrap_or_default() {
            if (control.level, control.kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let (fds, _) = control.value.as_chunks::<4>();
                fds.iter().for_each(|fd| give(sup, call, u64::from(u32::from_le_bytes(*fd))));
            }
        }
    }
}

/// The program's descriptor `fd` is about to become another's as well.
pub(crate) fn give(sup: &mut Supervisor, call: &Call, fd: u64) {
    let inode = socket_inode(call.tid, fd);
    if let Some(sid) = inode.and_then(|inode| sup.sockets.get(inode)).map(|socket| socket.sid) {
        sup.tell_held(sid);
        // If it cannot be told it is gone, with all its sockets.
        let _ = sup.submit(sid, &Request::HandOn, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that comes from another session brings the control messages that its program has asked for, whichever.
    #[test]
    fn all_that_a_program_may_want_is_told() {
        let told = TOLD_OPTIONS.map(|(level, name)| super::super::option::wanted(level, name));
        let wants =
            told.into_iter().fold(Wants::empty(), |wants, one| wants | one.expect("a control message"));
        assert_eq!(wants, Wants::all());
    }
}
