//! One TCP over a floor that only collects packets.

use netstack::net::IfIndex;
use netstack::net::mbuf::{Gso, GsoKind, Mbuf, Offload, Pool};
use netstack::netinet::{Cast, Flow, IpLayer, IpRx, IpTx, Path};
use netstack::socket::Family;
use netstack::tcp::{Arrived, Tcp, TcpConfig, TcpId};
use netstack::{Instant, Ready, SockError};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The only interface.
pub(crate) const IF: IfIndex = IfIndex(2);

/// How a segment comes in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// DSCP and ECN.
    pub(crate) tos: u8,
    /// To us or to more.
    pub(crate) cast: Cast,
    /// Nobody has summed it up, and it may be several that nobody has parted.
    pub(crate) undone: bool,
    /// It is several segments of so many octets.
    pub(crate) gso: Option<u16>,
}

/// The metadata of a segment that nobody has summed up.
pub(crate) const UNDONE: Offload = Offload { csum_start: 34, csum_offset: 16, gso: None };

/// How segments come in, if nothing else is said.
pub(crate) const PLAIN: Arrival = Arrival { tos: 0, cast: Cast::Unicast, undone: false, gso: None };

/// The floor: one address, one interface, every destination on the link.
pub(crate) struct Floor {
    pub(crate) now: Instant,
    pub(crate) addr: IpAddr,
    pub(crate) mtu: u32,
    /// Packets the interface still takes.
    pub(crate) room: usize,
    /// It takes packets whose checksum and segmentation are left undone.
    pub(crate) offloads: bool,
    pub(crate) sent: VecDeque<(IpTx, Mbuf)>,
    pub(crate) pool: Pool,
    random: u64,
}

impl IpLayer for Floor {
    fn now(&self) -> Instant {
        self.now
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.random
    }

    fn path(&self, flow: &Flow) -> Result<Path, SockError> {
        if flow.dst.ip() == "203.0.113.1".parse::<IpAddr>().unwrap() {
            return Err(SockError::NetUnreachable);
        }
        Ok(Path { src: flow.src.unwrap_or(self.addr), ifindex: IF, mtu: self.mtu, link_mtu: self.mtu })
    }

    fn learn_mtu(&mut self, _: IpAddr, mtu: u32) {
        self.mtu = self.mtu.min(mtu);
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        addr == self.addr || addr.is_loopback()
    }

    fn mbuf(&mut self) -> Mbuf {
        self.pool.get()
    }

    fn output(&mut self, tx: &IpTx, m: Mbuf) -> Result<(), SockError> {
        assert_eq!(tx.src, self.addr, "packets leave with our address");
        let header = if self.addr.is_ipv4() { 20 } else { 40 };
        if m.longest_segment(m.len() + header) > self.mtu as usize {
            return Err(SockError::MsgSize);
        }
        self.sent.push_back((*tx, m));
        Ok(())
    }

    fn tx_room(&self, _: IfIndex) -> usize {
        self.room.saturating_sub(self.sent.len())
    }

    fn offloads(&self, _: IfIndex) -> bool {
        self.offloads
    }
}

/// A TCP with its floor.
pub(crate) struct Host {
    pub(crate) tcp: Tcp,
    pub(crate) ip: Floor,
}

impl Host {
    pub(crate) fn new(addr: &str, config: TcpConfig, seed: u8) -> Host {
        let addr = addr.parse().expect("an address");
        let ip = Floor {
            now: Instant::from_millis(1_000_000),
            addr,
            mtu: 1500,
            room: 1000,
            offloads: false,
            sent: VecDeque::new(),
            pool: Pool::default(),
            random: seed.into(),
        };
        Host { tcp: Tcp::new(config, [seed; 32]), ip }
    }

    /// A segment comes in.
    pub(crate) fn input(&mut self, from: IpAddr, how: Arrival, segment: &[u8]) {
        let Arrival { tos, cast, undone, gso } = how;
        let rx = IpRx { src: from, dst: self.ip.addr, ttl: 64, tos, ifindex: IF, cast, fragmented: false };
        if undone {
            let memory = Arc::new(segment.to_vec());
            let header_len = u16::from(segment[12] >> 4) * 4 + UNDONE.csum_start;
            let gso = gso.map(|size| Gso { kind: GsoKind::TcpV4, size, header_len });
            self.tcp.input(&mut self.ip, &rx, Arrived::kept(&memory, 0, Offload { gso, ..UNDONE }));
        } else {
            self.tcp.input(&mut self.ip, &rx, Arrived::new(segment, Offload::default()));
        }
    }

    /// Sends what can be sent and takes it off the floor.
    pub(crate) fn output(&mut self) -> Vec<(IpTx, Mbuf)> {
        self.tcp.pump(&mut self.ip);
        self.ip.sent.drain(..).collect()
    }

    /// Events since the last call.
    pub(crate) fn events(&mut self) -> Vec<(TcpId, Ready)> {
        let mut events = Vec::new();
        self.tcp.drain_events(&mut events);
        events
    }

    /// A socket that listens on `port`.
    pub(crate) fn listener(&mut self, port: u16, backlog: usize) -> TcpId {
        let (family, any): (Family, IpAddr) = match self.ip.addr {
            IpAddr::V4(_) => (Family::Inet, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (Family::Inet6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let id = self.tcp.socket(family);
        self.tcp.bind(&mut self.ip, id, SocketAddr::new(any, port)).expect("a free port");
        self.tcp.listen(&mut self.ip, id, backlog).expect("nobody else listens");
        id
    }
}
