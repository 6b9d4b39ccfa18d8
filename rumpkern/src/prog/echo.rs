//! `echo`: sends back whatever comes (RFC 862), over TCP or UDP.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::io::{Context, Cx, Fail, Transport};
use super::tcpsink::{accept, listen};
use crate::syscall::{Errno, Fd, MsgFlags, SockOpt, SockType};
use netstack::tcp::TcpOpt;
use std::rc::Rc;

pub(super) const USAGE: &str = "tcp|udp PORT";

/// Octets of the buffer of a TCP connection.
const BUFFER: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Options {
    transport: Transport,
    port: u16,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let mut rest = Vec::new();
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [transport, port] = operands(rest, ["tcp|udp", "PORT"])?;
        Ok(Options { transport: Transport::parse(&transport)?, port: number(&port, 0, u16::MAX)? })
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let fd = match options.transport {
        Transport::Tcp => listen(cx, options.port)?,
        Transport::Udp => cx.bound(SockType::Dgram, options.port)?,
    };
    cx.complain(&format!("listening on port {}", cx.sys.getsockname(fd).context("getsockname")?.port()))
        .await;
    match options.transport {
        Transport::Tcp => tcp(cx, fd).await,
        Transport::Udp => udp(cx, fd).await,
    }
}

async fn tcp(cx: &Rc<Cx>, listener: Fd) -> Result<i32, Fail> {
    loop {
        let (fd, _) = accept(&cx.sys, listener).await.context("accept")?;
        // Small answers do not wait for acknowledgments.
        let _ = cx.sys.setsockopt(fd, SockOpt::Tcp(TcpOpt::NoDelay(true)));
        let me = cx.clone();
        cx.sys.spawn(async move {
            let mut buffer = vec![0; BUFFER];
            // A connection that fails ends; that is its client's business.
            while let Ok(octets @ 1..) = me.sys.recv(fd, &mut buffer, MsgFlags::empty()).await {
                if me.send_all(fd, &buffer[..octets]).await.is_err() {
                    break;
                }
            }
            let _ = me.sys.close(fd);
        });
    }
}

async fn udp(cx: &Rc<Cx>, fd: Fd) -> Result<i32, Fail> {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = cx.sys.recvfrom(fd, &mut buffer, MsgFlags::empty()).await;
        let sent = match received {
            Ok((octets, Some(from))) => cx.sys.sendto(fd, &buffer[..octets], MsgFlags::empty(), from).await,
            Ok((_, None)) => continue,
            Err(errno) => Err(errno),
        };
        match sent {
            // An ICMP error, or no way back: that datagram is lost, as datagrams may be.
            Ok(_) | Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EMSGSIZE) => {
            }
            Err(Errno::ENOBUFS | Errno::ENETDOWN | Errno::EACCES) => {}
            Err(errno) => return Err(errno).context("echo"),
        }
    }
}
