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
