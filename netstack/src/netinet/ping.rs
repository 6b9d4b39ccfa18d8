//! ICMP echo by datagrams: Linux's `socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`, and the same of
//! AF_INET6 with IPPROTO_ICMPV6. The program writes an
//! echo request; its identifier is the socket's "port", which the stack fills in, with the checksum.

use super::protosw::Quote;
use super::{IcmpError, IpRx};
use crate::net::mbuf::Mbuf;
use crate::socket::{Family, SendMeta, SockError, SocketId};
use crate::stack::Stack;
use crate::stack::stats::Drop;
use crate::wire::icmpv4::{self, ty};
use crate::wire::icmpv6;
use std::net::{IpAddr, SocketAddr};

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
        self.quote_of(socket, error.dst)
    }

    /// Sends one echo request.
    pub(crate) fn ping_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        meta: &SendMeta,
    ) -> Result<usize, SockError> {
        let family = self.sockets.datagram(id)?.family;
        let echo = match family {
            Family::Inet => ty::ECHO,
            Family::Inet6 => icmpv6::ty::ECHO,
        };
        match data {
            [ty, 0, ..] if *ty == echo && data.len() >= icmpv4::HEADER_LEN => {}
            _ => return Err(SockError::Invalid),
        }
        let out = self.datagram_out(id, meta)?;
        let identifier = self.bound_port(id)?;
        let mut m = self.ip.copy(data);
        let rest = u32::from(identifier) << 16 | u32::from(u16::from_be_bytes([data[6], data[7]]));
        match (out.tx.src, out.tx.dst) {
            (IpAddr::V6(src), IpAddr::V6(dst)) if family == Family::Inet6 => {
                icmpv6::Header { ty: echo, code: 0, rest }.emit(src, dst, m.data_mut());
                self.ip.stats.icmp6.out_msgs += 1;
            }
            (IpAddr::V4(_), IpAddr::V4(_)) if family == Family::Inet => {
                icmpv4::Header { ty: echo, code: 0, rest }.emit(m.data_mut());
                self.ip.stats.icmp.out_msgs += 1;
            }
            // One family's echo by the other: by mapped addresses.
            (IpAddr::V4(_) | IpAddr::V6(_), _) => return Err(SockError::NetUnreachable),
        }
        self.datagram_output(id, &out, m)?;
        Ok(data.len())
    }
}
