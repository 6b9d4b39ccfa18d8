//! The stack's doors, until netstack opens them: the same names and types, every socket call
//! refused. It goes when `netstack::Stack` has them.
#![allow(missing_docs, unreachable_pub, dead_code)]

use netstack::socket::Family;
use netstack::time::Instant;
use netstack::{Ready, SockError, SocketId};
use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Default)]
pub struct Stack {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockType {
    Stream,
    Dgram,
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    Read,
    Write,
    Both,
}

#[derive(Clone, Debug, Default)]
pub struct SendMeta {
    pub to: Option<SocketAddr>,
    pub src: Option<IpAddr>,
    pub ttl: Option<u8>,
    pub tos: Option<u8>,
}

#[derive(Clone, Debug)]
pub struct RecvMeta {
    pub len: usize,
    pub full_len: usize,
    pub from: Option<SocketAddr>,
    pub local: Option<IpAddr>,
    pub ttl: u8,
    pub tos: u8,
    pub time: Instant,
}

const NOT_YET: SockError = SockError::OpNotSupported;

impl Stack {
    pub fn socket(&mut self, _: Family, _: SockType, _: u8) -> Result<SocketId, SockError> {
        Err(NOT_YET)
    }
    pub fn bind(&mut self, _: Instant, _: SocketId, _: SocketAddr) -> Result<(), SockError> {
        Err(NOT_YET)
    }
    pub fn listen(&mut self, _: Instant, _: SocketId, _: usize) -> Result<(), SockError> {
        Err(NOT_YET)
    }
    pub fn accept(&mut self, _: Instant, _: SocketId) -> Result<(SocketId, SocketAddr), SockError> {
        Err(NOT_YET)
    }
    pub fn connect(&mut self, _: Instant, _: SocketId, _: SocketAddr) -> Result<(), SockError> {
        Err(NOT_YET)
    }
    pub fn send(&mut self, _: Instant, _: SocketId, _: &[u8], _: &SendMeta) -> Result<usize, SockError> {
        Err(NOT_YET)
    }
    pub fn recv(&mut self, _: Instant, _: SocketId, _: &mut [u8], _: u8) -> Result<RecvMeta, SockError> {
        Err(NOT_YET)
    }
    pub fn shutdown(&mut self, _: Instant, _: SocketId, _: Shutdown) -> Result<(), SockError> {
        Err(NOT_YET)
    }
    pub fn close(&mut self, _: Instant, _: SocketId) {}
    pub fn ready(&self, _: SocketId) -> Ready {
        Ready::empty()
    }
    pub fn take_error(&mut self, _: SocketId) -> Option<SockError> {
        None
    }
    pub fn local_addr(&self, _: SocketId) -> Option<SocketAddr> {
        None
    }
    pub fn peer_addr(&self, _: SocketId) -> Option<SocketAddr> {
        None
    }
}

pub enum Event {
    Socket { id: SocketId, ready: Ready },
    Other,
}
#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct IfError;
#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct RouteError;
pub struct IfConfig {
    pub name: String,
    pub mac: netstack::net::MacAddr,
    pub mtu: u32,
}
#[derive(Default)]
pub struct RxFilter {
    pub promiscuous: bool,
    pub multicast: Vec<netstack::net::MacAddr>,
    pub generation: u64,
}
pub struct Ifnet {
    pub up: bool,
}
use netstack::Mbuf;
use netstack::net::IfIndex;
impl Stack {
    pub fn rx_mbuf(&mut self) -> Mbuf {
        Mbuf::new()
    }
    pub fn recycle(&mut self, _: Mbuf) {}
    pub fn input(&mut self, _: Instant, _: IfIndex, _: Mbuf) {}
    pub fn if_attach(&mut self, _: IfConfig) -> Result<IfIndex, IfError> {
        Ok(IfIndex(2))
    }
    pub fn if_set_carrier(&mut self, _: Instant, _: IfIndex, _: bool) -> Result<(), IfError> {
        Ok(())
    }
    pub fn if_set_up(&mut self, _: Instant, _: IfIndex, _: bool) -> Result<(), IfError> {
        Ok(())
    }
    pub fn addr_add(&mut self, _: Instant, _: IfIndex, _: ipnet::IpNet) -> Result<(), IfError> {
        Ok(())
    }
    pub fn addr_del(&mut self, _: Instant, _: IfIndex, _: ipnet::IpNet) -> Result<(), IfError> {
        Ok(())
    }
    pub fn interface(&self, _: IfIndex) -> Option<&Ifnet> {
        None
    }
    pub fn if_by_name(&self, _: &str) -> Option<IfIndex> {
        None
    }
    pub fn rx_filter(&self, _: IfIndex) -> RxFilter {
        RxFilter::default()
    }
    pub fn poll_transmit(&mut self, _: Instant, _: IfIndex) -> Option<Mbuf> {
        None
    }
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }
    pub fn handle_timeout(&mut self, _: Instant) {}
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
