//! Linux's `struct sockaddr` as octets: `sockaddr_in` and `sockaddr_in6`, and `AF_UNSPEC`, which dissolves a
//! connection. The family is in host order, which is little-endian everywhere the project runs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// AF_UNSPEC
pub const AF_UNSPEC: u16 = 0;
/// AF_INET
pub const AF_INET: u16 = 2;
/// AF_INET6
pub const AF_INET6: u16 = 10;
/// Octets of the shortest address, which is only a family.
pub const MIN_ADDR: usize = 2;
/// Octets of a `sockaddr_in`.
pub const SOCKADDR_IN: usize = 16;
/// Octets of a `sockaddr_in6`.
pub const SOCKADDR_IN6: usize = 28;
/// Octets of one without a scope (RFC 2133), which old programs give.
pub const SOCKADDR_IN6_OLD: usize = 24;

/// The octets of a socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockAddrBuf {
    octets: [u8; SOCKADDR_IN6],
    len: u8,
}

impl SockAddrBuf {
    /// The address as the wire has it.
    pub fn as_octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

impl From<SocketAddr> for SockAddrBuf {
    fn from(addr: SocketAddr) -> SockAddrBuf {
        let mut octets = [0; SOCKADDR_IN6];
        octets[2..4].copy_from_slice(&addr.port().to_be_bytes());
        match addr {
            SocketAddr::V4(addr) => {
                octets[0..2].copy_from_slice(&AF_INET.to_le_bytes());
                octets[4..8].copy_from_slice(&addr.ip().octets());
                SockAddrBuf { octets, len: SOCKADDR_IN as u8 }
            }
            SocketAddr::V6(addr) => {
                octets[0..2].copy_from_slice(&AF_INET6.to_le_bytes());
                octets[4..8].copy_from_slice(&addr.flowinfo().to_be_bytes());
                octets[8..24].copy_from_slice(&addr.ip().octets());
                octets[24..28].copy_from_slice(&addr.scope_id().to_le_bytes());
                SockAddrBuf { octets, len: SOCKADDR_IN6 as u8 }
            }
        }
    }
}

/// What a `struct sockaddr` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockAddr {
    /// No address.
    Unspec,
    /// An Internet address.
    Inet(SocketAddr),
}

/// Why octets are no socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SockAddrError {
    /// Shorter than its family says (EINVAL).
    #[error("address of {len} octets is too short")]
    Short {
        /// Octets there are.
        len: usize,
    },
    /// A family that has no place here (EAFNOSUPPORT).
    #[error("address family {family}")]
    Family {
        /// Its number.
        family: u16,
    },
}

impl SockAddr {
    /// Reads an address; octets after it are not looked at, as Linux does.
    pub fn decode(octets: &[u8]) -> Result<SockAddr, SockAddrError> {
        let short = SockAddrError::Short { len: octets.len() };
        let [low, high, rest @ ..] = octets else { return Err(short) };
        match (u16::from_le_bytes([*low, *high]), rest) {
            (AF_UNSPEC, _) => Ok(SockAddr::Unspec),
            (AF_INET, &[p1, p0, a, b, c, d, ..]) if octets.len() >= SOCKADDR_IN => {
                let port = u16::from_be_bytes([p1, p0]);
                Ok(SockAddr::Inet(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))))
            }
            (AF_INET6, &[p1, p0, f3, f2, f1, f0, ref rest @ ..]) if octets.len() >= SOCKADDR_IN6_OLD => {
                let mut ip = [0; 16];
                ip.copy_from_slice(&rest[..16]);
                let scope = rest[16..].first_chunk().copied().unwrap_or_default();
                Ok(SockAddr::Inet(SocketAddr::V6(SocketAddrV6::new(
                    Ipv6Addr::from(ip),
                    u16::from_be_bytes([p1, p0]),
                    u32::from_be_bytes([f3, f2, f1, f0]),
                    u32::from_le_bytes(scope),
                ))))
            }
            (AF_INET | AF_INET6, _) => Err(short),
            (family, _) => Err(SockAddrError::Family { family }),
        }
    }
}

/// The octets of an address without a port.
pub fn encode_ip(ip: IpAddr) -> SockAddrBuf {
    SocketAddr::new(ip, 0).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn addresses_survive(ip in any::<IpAddr>(), port in any::<u16>(), flow in any::<u32>(), scope in any::<u32>()) {
            let mut addr = SocketAddr::new(ip, port);
            if let SocketAddr::V6(addr) = &mut addr {
                addr.set_flowinfo(flow);
                addr.set_scope_id(scope);
            }
            let buf = SockAddrBuf::from(addr);
            prop_assert_eq!(SockAddr::decode(buf.as_octets()), Ok(SockAddr::Inet(addr)));
            let least = if ip.is_ipv6() { SOCKADDR_IN6_OLD } else { SOCKADDR_IN };
            for cut in 2..least {
                let error = SockAddr::decode(&buf.as_octets()[..cut]);
                prop_assert_eq!(error, Err(SockAddrError::Short { len: cut }));
            }
        }

        #[test]
        fn any_octets_are_an_address_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = SockAddr::decode(&octets);
        }
    }

    #[test]
    fn the_layout_is_linux() {
        let v4 = SockAddrBuf::from("10.0.0.1:80".parse::<SocketAddr>().unwrap());
        assert_eq!(v4.as_octets(), [2, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let v6 = SockAddrBuf::from("[fe80::1%7]:80".parse::<SocketAddr>().unwrap());
        assert_eq!(v6.as_octets()[..4], [10, 0, 0, 80]);
        assert_eq!(v6.as_octets()[24..], [7, 0, 0, 0]);
        let old = SockAddr::decode(&v6.as_octets()[..SOCKADDR_IN6_OLD]);
        assert_eq!(old, Ok(SockAddr::Inet("[fe80::1]:80".parse().unwrap())));
        assert_eq!(SockAddr::decode(&[0, 0]), Ok(SockAddr::Unspec));
        assert_eq!(SockAddr::decode(&[1, 0, 0]), Err(SockAddrError::Family { family: 1 }));
    }
}
