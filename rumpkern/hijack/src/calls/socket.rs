//! socket(2)

use crate::filter;
use crate::process;
use crate::seccomp_unsafe::Call;
use crate::sockets::Socket;
use crate::supervisor::{Outcome, Supervisor};
use rumpclient::msg::Request;
use rumpclient::{Errno, Sid};

/// A new socket of the node; the program gets its end of the pair.
pub(super) fn socket(sup: &mut Supervisor, call: &Call) -> Outcome {
    let [domain, kind, protocol, ..] = call.args.map(|arg| arg as u32);
    let cloexec = kind & libc::SOCK_CLOEXEC as u32 != 0;
    let request = Request::SocketPass { domain, kind: kind & !(libc::SOCK_CLOEXEC as u32), protocol };
    sup.ask(call, Sid::NONE, &request, move |sup, call, answer| {
        let sid = match answer.result {
            Ok(sid) => Sid(sid as u32),
            Err(errno) => return Outcome::Fail(errno),
        };
        let body = answer.body().unwrap_or_default();
        let (inode, door) = (body.inode, body.data.map(<[u8]>::to_vec));
        let (Some(end), Some(inode)) = (answer.passed, inode) else { return Outcome::Fail(Errno::PROTO) };
        let mut socket = Socket::new(sid, domain, kind & 0xf);
        socket.door = door;
        let number = if socket.is_raw() { process::free(call.tid, filter::RAW) } else { None };
        sup.sockets.insert(inode, socket);
        sup.keep(inode, &end);
        match number {
            Some(number) => Outcome::DescriptorAt(end, cloexec, number),
            None => Outcome::Descriptor(end, cloexec),
        }
    })
}
