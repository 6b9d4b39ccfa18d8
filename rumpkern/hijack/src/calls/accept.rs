//! listen(2) and accept(2): a listener's end receives a token for each connection, with the connection's own end.

use super::{outcome, shared};
use crate::seccomp_unsafe::Call;
use crate::sockets::Socket;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::AcceptToken;
use rumpclient::msg::Request;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

pub(super) fn listen(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    let sid = socket.sid;
    let backlog = i64::from(call.args[1] as i32);
    sup.enter_door(call, inode);
    sup.ask(call, sid, &Request::Listen { backlog }, move |sup, _, answer| {
        if let (Ok(_), Some(socket)) = (answer.result, sup.sockets.get_mut(inode)) {
            socket.listening = true;
        }
        answer.result.into()
    })
}

pub(super) fn accept(sup: &mut Supervisor, call: &Call) -> Outcome {
    let Some((inode, socket)) = sup.socket_of(call) else { return Outcome::Proceed };
    if !socket.is_stream() {
        return Outcome::Fail(Errno::OPNOTSUPP);
    }
    let flags = if call.nr == libc::SYS_accept4 { call.args[3] as i32 } else { 0 };
    if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 || !socket.listening {
        return Outcome::Fail(Errno::INVAL);
    }
    let (domain, met) = (socket.domain, socket.met);
    outcome(sup.end_of(call, inode).map(|end| {
        sup.receive_on(call, end, false, move |sup, call, end| take(sup, call, end, domain, met, flags))
    }))
}

/// Takes the next connection, if there is one. The connections of another session's listener are that one's as well.
fn take(
    sup: &mut Supervisor,
    call: &Call,
    end: &OwnedFd,
    domain: u32,
    met: bool,
    flags: i32,
) -> Result<Outcome, Errno> {
    let (token, new) = receive(end)?;
    let Some((token, new)) = token.zip(new) else {
        // The listener was shut down.
        return Ok(Outcome::Fail(Errno::INVAL));
    };
    // One that is reset by now is accepted all the same, and tells so when it is used.
    let _ = rustix::net::send(&new, &AcceptToken::MARK, SendFlags::NOSIGNAL);
    if met {
        let told = move |sup: &mut Supervisor, call: &Call| outcome(give(sup, call, &token, new, flags));
        return Ok(shared::meet(sup, call, token.inode, told));
    }
    sup.sockets.insert(token.inode, Socket::new(token.sid, domain, libc::SOCK_STREAM as u32));
    give(sup, call, &token, new, flags)
}

fn give(
    sup: &mut Supervisor,
    call: &Call,
    token: &AcceptToken,
    new: OwnedFd,
    flags: i32,
) -> Result<Outcome, Errno> {
    if call.args[1] != 0 {
        sup.put_address(call, call.args[1], call.args[2], token.peer())?;
    }
    if flags & libc::SOCK_NONBLOCK != 0 {
        fcntl_setfl(&new, OFlags::NONBLOCK)?;
    }
    Ok(Outcome::Descriptor(new, flags & libc::SOCK_CLOEXEC != 0))
}

fn receive(end: &OwnedFd) -> Result<(Option<AcceptToken>, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut token = [0; AcceptToken::LEN];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(end, &mut [IoSliceMut::new(&mut token)], &mut control, flags)?;
    let new = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((AcceptToken::decode(&token[..received.bytes]), new))
}
