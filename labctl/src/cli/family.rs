//! `-4` and `-6`: one of the two IPs.

use crate::topology::model::Family;
use std::net::IpAddr;

/// Which addresses are meant.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Families {
    /// IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Families {
    /// The only one, if one was chosen.
    pub(super) fn only(self) -> Option<Family> {
        match self {
            Self { ipv4: true, .. } => Some(Family::Ipv4),
            Self { ipv6: true, .. } => Some(Family::Ipv6),
            Self { ipv4: false, ipv6: false } => None,
        }
    }

    /// Whether an address, perhaps with a prefix's length or a port, is one of those.
    pub(super) fn takes(self, text: &str) -> bool {
        let host = text.split('/').next().unwrap_or(text);
        let address =
            host.parse().ok().or_else(|| host.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()));
        self.only().is_none_or(|family| address.is_some_and(|address: IpAddr| family.has(address)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted_out() {
        let (any, four, six) = (
            Families { ipv4: false, ipv6: false },
            Families { ipv4: true, ipv6: false },
            Families { ipv4: false, ipv6: true },
        );
        for text in ["10.0.0.1", "10.0.0.0/8", "10.0.0.1:80"] {
            assert_eq!([any, four, six].map(|families| families.takes(text)), [true, true, false], "{text}");
        }
        for text in ["fd00::1", "::/0", "[fd00::1]:80", "[fe80::1%2]:80"] {
            assert_eq!([any, four, six].map(|families| families.takes(text)), [true, false, true], "{text}");
        }
        assert_eq!([any, four, six].map(|families| families.takes("*")), [true, false, false]);
    }
}
