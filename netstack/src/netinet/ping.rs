//! ICMP echo by datagrams: Linux's `socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`. The program writes an
//! echo request; its identifier is the socket's "port", which the stack fills in, with the checksum.

use super::protosw::Quote;
use super::{IcmpError, IpRx};
use crate::net::mbuf::Mbuf;
use crate::socket::{SendMeta, SockError, SocketId};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv4::{self, ty};
use std::net::SocketAddr;

impl Stack {
    /// An echo reply with identifier `id`.
    pub(crate) fn ping_input(&mut self, rx: &IpRx, id: u16, m: Mbuf, header_len: usize) {
        let (local, remote) = (SocketAddr::new(rx.dst, id), SocketAddr::new(rx.src, 0));
        match self.ping.lookup(local, remote, rx.ifindex) {
            Some(socket) => {
                self.datagram_deliver(socket, rx, Some(remote), m, header_len);
            }
            // A raw socket may have had it.
            None => self.ip.discard(Drop::IcmpIgnored, m),
        }
    }

    /// An error about an echo request with identifier `id`.
    pub(crate) fn ping_error(&mut self, error: &IcmpError, id: u16, quoted: &[u8]) -> Quote {
        let (local, remote) = (SocketAddr::new(error.src, id), SocketAddr::new(error.dst, 0));
        let Some(socket) = self.ping.lookup(local, remote, error.ifindex) else { return Quote::Strange };
        self.datagram_error(socket, error, remote, quoted);
        self.quote_of(socket)
    }

    /// Sends one echo request.
    pub(crate) fn ping_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        match data {
            [ty::ECHO, 0, ..] if data.len() >= icmpv4::HEADER_LEN => {}
            _ => return Err(SockError::Invalid),
        }
        let out = self.datagram_out(id, meta)?;
        let identifier = self.bound_port(id)?;
        let mut m = self.ip.copy(data);
        let header = icmpv4::Header {
            ty: ty::ECHO,
            code: 0,
            rest: u32::from(identifier) << 16 | u32::from(u16::from_be_bytes([data[6], data[7]])),
        };
        header.emit(m.data_mut());
        self.ip.stats.icmp.out_msgs += 1;
        self.datagram_output(id, &out, m)?;
        Ok(data.len())
    }
}
