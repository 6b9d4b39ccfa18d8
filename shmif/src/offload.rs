//! What a sender left undone in a frame: the metadata that virtio-net made standard.

/// How a frame is to be cut into segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GsoType {
    /// Not at all.
    #[default]
    None,
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either: each segment a datagram with its own header (Linux `UDP_SEGMENT`).
    Udp,
}

impl GsoType {
    pub(crate) fn code(self) -> u8 {
        match self {
            GsoType::None => 0,
            GsoType::TcpV4 => 1,
            GsoType::Udp => 3,
            GsoType::TcpV6 => 4,
        }
    }
    pub(crate) fn from_code(code: u8) -> Option<GsoType> {
        match code {
            0 => Some(GsoType::None),
            1 => Some(GsoType::TcpV4),
            3 => Some(GsoType::Udp),
            4 => Some(GsoType::TcpV6),
            _ => None,
        }
    }
}

/// Work that the sender left to whoever takes the frame off the bus (virtio 1.2, 5.1.6). The default is none.
///
/// A checksum is wanting when `csum_offset` is not 0: the Internet checksum of everything from `csum_start` to the end of the frame
/// belongs at `csum_start + csum_offset`, where the sender has put the (folded, not complemented) sum of the pseudo-header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offload {
    /// Octets from the start of the frame to the transport header.
    pub csum_start: u16,
    /// Octets from `csum_start` to the checksum (TCP 16, UDP 6); 0 = the checksum is there already.
    pub csum_offset: u16,
    /// How to cut it.
    pub gso_type: GsoType,
    /// Payload octets of each segment.
    pub gso_size: u16,
    /// Octets of all headers: a hint, as in virtio; the headers themselves are believed instead.
    pub hdr_len: u16,
}

impl Offload {
    /// A frame that is ready for the wire.
    pub const NONE: Offload =
        Offload { csum_start: 0, csum_offset: 0, gso_type: GsoType::None, gso_size: 0, hdr_len: 0 };

    /// Whether nothing is left to do.
    pub fn is_none(&self) -> bool {
        self.csum_offset == 0 && self.gso_type == GsoType::None
    }
}
