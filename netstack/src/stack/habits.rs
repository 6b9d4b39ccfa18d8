//! Habits of a stack that programs read and change while it runs (Linux's `net.ipv4` without TCP's), and link addresses.

use super::{GroupConfig, Stack, StackConfig};
use crate::net::ifnet::IfError;
use crate::net::{IfIndex, MacAddr};
use crate::socket::Family;
use std::num::NonZeroU8;

impl Stack {
    /// Sizes and habits as they are now, apart from TCP's ([`Stack::tcp_config`]).
    pub fn config(&self) -> &StackConfig {
        &self.ip.config
    }

    /// Time to live of what is sent here; sockets that are open keep theirs.
    pub fn set_ttl(&mut self, ttl: NonZeroU8) {
        self.ip.config.ttl = ttl.get();
        // TCP takes it over from here.
        self.set_tcp_config(self.tcp_config().clone());
    }

    /// Whether redirects are sent (by routers) and believed (by hosts).
    pub fn set_redirects(&mut self, send: bool, accept: bool) {
        let config = &mut self.ip.config;
        (config.send_redirects, config.accept_redirects) = (send, accept);
    }

    /// How groups of a family are kept, and routers told of them; memberships stay as they are.
    pub fn set_group_config(&mut self, family: Family, config: GroupConfig) {
        match family {
            Family::Inet => self.ip.config.igmp = config,
            Family::Inet6 => self.ip.config.mld = config,
        }
    }

    /// Gives an interface another link address, by which it is known from now on. Neighbours learn it when they ask
    /// again, or (`announce`) are told.
    pub fn if_set_mac(&mut self, ifindex: IfIndex, mac: MacAddr) -> Result<(), IfError> {
        let ifnet = self.ip.ifs.get_mut(ifindex).ok_or(IfError::NoDevice(ifindex))?;
        if ifnet.loopback {
            return Err(IfError::Loopback);
        }
        if mac.is_multicast() || mac == MacAddr::default() {
            return Err(IfError::BadMac(mac));
        }
        ifnet.mac = mac;
        ifnet.filter_generation += 1;
        self.link_event(ifindex);
        if self.ip.config.neigh.announce {
            self.ip.nd6_announce(ifindex);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ifnet::IfConfig;

    fn stack() -> (Stack, IfIndex) {
        let mut stack = Stack::new(StackConfig::default(), [7; 32]);
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let eth0 = stack.if_attach(IfConfig { name: "eth0".into(), mac, mtu: 1500 }).unwrap();
        (stack, eth0)
    }

    #[test]
    fn the_time_to_live_is_tcps_too() {
        let (mut stack, _) = stack();
        stack.set_ttl(NonZeroU8::new(7).unwrap());
        assert_eq!((stack.config().ttl, stack.tcp_config().ttl), (7, 7));
    }

    #[test]
    fn a_link_address_is_an_individual_one() {
        let (mut stack, eth0) = stack();
        let before = stack.rx_filter(eth0).generation;
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        assert_eq!(stack.if_set_mac(eth0, mac), Ok(()));
        assert_eq!(stack.interface(eth0).unwrap().mac, mac);
        assert_ne!(stack.rx_filter(eth0).generation, before, "the driver must be told");
        let group = MacAddr([3, 0, 0, 0, 0, 9]);
        assert_eq!(stack.if_set_mac(eth0, group), Err(IfError::BadMac(group)));
        assert_eq!(stack.if_set_mac(eth0, MacAddr::default()), Err(IfError::BadMac(MacAddr::default())));
        assert_eq!(stack.if_set_mac(IfIndex::LOOPBACK, mac), Err(IfError::Loopback));
        assert_eq!(stack.if_set_mac(IfIndex(9), mac), Err(IfError::NoDevice(IfIndex(9))));
    }

    #[test]
    fn names_are_unique() {
        let (mut stack, eth0) = stack();
        assert_eq!(stack.if_set_name(eth0, "wan"), Ok(()));
        assert_eq!((stack.if_by_name("wan"), stack.if_by_name("eth0")), (Some(eth0), None));
        assert_eq!(stack.if_set_name(eth0, "wan"), Ok(()));
        assert_eq!(stack.if_set_name(eth0, "lo"), Err(IfError::Exists("lo".into())));
        assert_eq!(stack.if_set_name(eth0, "a b"), Err(IfError::BadName("a b".into())));
        assert_eq!(stack.if_set_name(IfIndex::LOOPBACK, "x"), Err(IfError::Loopback));
    }
}
