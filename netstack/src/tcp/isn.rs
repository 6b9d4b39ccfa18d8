//! Initial sequence numbers: RFC 6528. Also the offset of each connection's timestamp clock
//! (RFC 7323 §7.1), from the same function.

use super::seq::SeqNum;
use crate::time::Instant;
use siphasher::sip::SipHasher24;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

/// ISN = M + F(local, remote, secret).
#[derive(Clone, Debug)]
pub(crate) struct IsnGenerator {
    secret: (u64, u64),
}

impl IsnGenerator {
    pub(crate) fn new(secret: (u64, u64)) -> IsnGenerator {
        IsnGenerator { secret }
    }

    /// The first sequence number of a connection made now. M counts in steps of 4 us (RFC 9293 §3.4.1).
    pub(crate) fn isn(&self, now: Instant, local: SocketAddr, remote: SocketAddr) -> SeqNum {
        let m = (now.as_nanos() / 4_000) as u32;
        SeqNum(m.wrapping_add(self.f(0, local, remote).finish() as u32))
    }

    /// What is added to the timestamp clock of this connection. It depends on the addresses alone:
    /// timestamps of a later connection of the same pair go on from the former (RFC 6191).
    pub(crate) fn timestamp_offset(&self, local: SocketAddr, remote: SocketAddr) -> u32 {
        self.f(1, SocketAddr::new(local.ip(), 0), SocketAddr::new(remote.ip(), 0)).finish() as u32
    }

    /// The key of Fast Open's cookies as long as nobody gives another.
    pub(super) fn fast_open_key(&self) -> (u64, u64) {
        let nobody = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
        (self.f(4, nobody, nobody).finish(), self.f(5, nobody, nobody).finish())
    }

    /// F, for one of several purposes; more may be added to what it is of.
    pub(super) fn f(&self, purpose: u8, local: SocketAddr, remote: SocketAddr) -> SipHasher24 {
        let mut h = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        h.write_u8(purpose);
        for end in [local, remote] {
            match end.ip() {
                IpAddr::V4(a) => h.write(&a.octets()),
                IpAddr::V6(a) => h.write(&a.octets()),
            }
            h.write_u16(end.port());
        }
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isn_grows_with_time_and_differs_by_connection() {
        let g = IsnGenerator::new((1, 2));
        let at = |s: &str| s.parse::<SocketAddr>().expect("an address and a port");
        let (a, b, c) = (at("10.0.0.1:1"), at("10.0.0.2:2"), at("10.0.0.2:3"));
        let t0 = Instant::from_millis(5);
        assert_eq!(g.isn(t0, a, b), g.isn(t0, a, b));
        assert_eq!(g.isn(Instant::from_millis(9), a, b).since(g.isn(t0, a, b)), 1000);
        assert_ne!(g.isn(t0, a, b), g.isn(t0, a, c));
        assert_ne!(g.isn(t0, a, b), IsnGenerator::new((1, 3)).isn(t0, a, b));
        assert_eq!(g.timestamp_offset(a, b), g.timestamp_offset(a, c), "one clock for a pair of hosts");
    }
}
