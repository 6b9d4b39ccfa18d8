//! What a passed listener's program end receives for each connection: one token, and the connection's own end as a
//! descriptor (`SCM_RIGHTS`). Whoever accepts it sends [`AcceptToken::MARK`] on that end before anything else.

use crate::sockaddr::SOCKADDR_IN6;
use crate::wire::Sid;

/// A connection that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptToken {
    /// Its descriptor on the node.
    pub sid: Sid,
    /// Its end's inode.
    pub inode: u64,
    peer: [u8; SOCKADDR_IN6],
    peer_len: u8,
}

impl AcceptToken {
    /// The connection is accepted.
    pub const MARK: [u8; 1] = [0];
    /// Octets of a token.
    pub const LEN: usize = 48;

    /// A token; `peer` is a `struct sockaddr` of the Internet.
    pub fn new(sid: Sid, inode: u64, peer: &[u8]) -> AcceptToken {
        let len = peer.len().min(SOCKADDR_IN6);
        let mut octets = [0; SOCKADDR_IN6];
        octets[..len].copy_from_slice(&peer[..len]);
        AcceptToken { sid, inode, peer: octets, peer_len: len as u8 }
    }

    /// The peer's `struct sockaddr`.
    pub fn peer(&self) -> &[u8] {
        &self.peer[..usize::from(self.peer_len)]
    }

    /// As it is sent.
    pub fn encode(&self) -> [u8; AcceptToken::LEN] {
        let mut octets = [0; AcceptToken::LEN];
        octets[0..4].copy_from_slice(&self.sid.0.to_le_bytes());
        octets[4] = self.peer_len;
        octets[8..16].copy_from_slice(&self.inode.to_le_bytes());
        octets[16..16 + SOCKADDR_IN6].copy_from_slice(&self.peer);
        octets
    }

    /// Reads one; `None`: that is none.
    pub fn decode(octets: &[u8]) -> Option<AcceptToken> {
        let octets: &[u8; AcceptToken::LEN] = octets.try_into().ok()?;
        let (word, long) = (octets[0..4].try_into().ok()?, octets[8..16].try_into().ok()?);
        let peer = octets[16..].get(..usize::from(octets[4])).filter(|peer| peer.len() <= SOCKADDR_IN6)?;
        Some(AcceptToken::new(Sid(u32::from_le_bytes(word)), u64::from_le_bytes(long), peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_survives_the_wire(sid in any::<u32>(), inode in any::<u64>(), peer in prop::collection::vec(any::<u8>(), 0..=SOCKADDR_IN6)) {
            let token = AcceptToken::new(Sid(sid), inode, &peer);
            prop_assert_eq!(token.peer(), &peer[..]);
            prop_assert_eq!(AcceptToken::decode(&token.encode()), Some(token));
        }

        #[test]
        fn any_octets_are_a_token_or_none(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = AcceptToken::decode(&octets);
        }
    }
}
