//! What came with what was received: who sent it, to whom, when, and what went wrong.

use crate::netlink::NlAddr;
use crate::syscall::packet_abi::{self, SOCKADDR_LL};
use crate::syscall::{Errno, Fd, MsgFlags, RecvMeta, Sys};
use netstack::socket::QueuedError;
use rumpclient::msg::{Body, EXTENDED_ERR};
use rumpclient::sockaddr::{self, SockAddrBuf};
use std::net::IpAddr;

/// What is known of a datagram beside its octets.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) meta: RecvMeta,
    /// Netlink: from whom.
    netlink: Option<NlAddr>,
    /// Packet sockets: where from, as a `struct sockaddr_ll`.
    link: Option<[u8; SOCKADDR_LL]>,
}

impl Came {
    /// Receives into `buffer`, from any socket; `room` is the program's buffer, for dumps of netlink (0: not known).
    pub(super) async fn receive(
        sys: &Sys,
        fd: Fd,
        buffer: &mut [u8],
        room: usize,
        flags: MsgFlags,
    ) -> Result<Came, Errno> {
        if sys.netlink(fd).is_err() {
            let meta = sys.recvmsg(fd, buffer, flags).await?;
            let link = meta.link.map(|link| packet_abi::source(sys, &link));
            return Ok(Came { meta, netlink: None, link });
        }
        let received = sys.netlink_recv(fd, room, flags).await?;
        let len = received.octets.len().min(buffer.len());
        buffer[..len].copy_from_slice(&received.octets[..len]);
        let meta = RecvMeta { len, full_len: received.octets.len(), ..RecvMeta::end(sys.now()) };
        Ok(Came { meta, netlink: Some(received.from), link: None })
    }

    /// Of a packet socket: where from, as a `struct sockaddr_ll`.
    pub(super) fn link(&self) -> Option<[u8; SOCKADDR_LL]> {
        self.link
    }

    /// It as the fields of an answer.
    pub(super) fn fields<T>(&self, with: impl FnOnce(&Body<'_>) -> T) -> T {
        let (meta, netlink) = (&self.meta, self.netlink.map(NlAddr::encode));
        let (from, local) = (meta.from.map(SockAddrBuf::from), meta.local.map(sockaddr::encode_ip));
        let offender = meta.error.and_then(|error| error.offender).map(sockaddr::encode_ip);
        let error = meta.error.map(extended_error);
        with(&Body {
            error: error.as_ref().map(|octets| &octets[..]),
            offender: offender.as_ref().map(SockAddrBuf::as_octets),
            addr: netlink
                .as_ref()
                .map(|addr| &addr[..])
                .or(self.link.as_ref().map(|addr| &addr[..]))
                .or(from.as_ref().map(SockAddrBuf::as_octets)),
            wire_len: self.link.and(u32::try_from(meta.wire_len).ok()),
            local: local.as_ref().map(SockAddrBuf::as_octets),
            len: u32::try_from(meta.full_len).ok(),
            ifindex: meta.ifindex.map(|index| index.0),
            ttl: Some(meta.ttl),
            tos: Some(meta.tos),
            time: Some(meta.time.as_nanos()),
            headers: meta.headers.as_deref(),
            flow_info: meta.flow_info,
            path_mtu: meta.path_mtu,
            ..Body::default()
        })
    }
}

/// A `struct sock_extended_err`.
fn extended_error(queued: QueuedError) -> [u8; EXTENDED_ERR] {
    /// `SO_EE_ORIGIN_LOCAL`, `SO_EE_ORIGIN_ICMP`, `SO_EE_ORIGIN_ICMP6`.
    const LOCAL: u8 = 1;
    const ICMP: u8 = 2;
    const ICMP6: u8 = 3;
    let origin = match queued.offender.map(|offender| offender.to_canonical()) {
        None => LOCAL,
        Some(IpAddr::V4(_)) => ICMP,
        Some(IpAddr::V6(_)) => ICMP6,
    };
    let mut octets = [0; EXTENDED_ERR];
    octets[..4].copy_from_slice(&Errno::from(queued.error).number().to_le_bytes());
    let (kind, code) = queued.wire;
    octets[4..7].copy_from_slice(&[origin, kind, code]);
    octets[8..12].copy_from_slice(&queued.mtu.to_le_bytes());
    octets
}
