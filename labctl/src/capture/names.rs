//! What the addresses of a lab are called, and what its names stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use shmif::PortInfo;

use super::filter::{self, Resolve};
use crate::lab::state::LabState;

/// Names and addresses of one lab, as it was started; of a bare bus file, what its port table says.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// `h1` and `h1:eth0` to addresses.
    addresses: BTreeMap<String, Vec<IpAddr>>,
    /// `h1` and `h1:eth0` to Ethernet addresses.
    macs: BTreeMap<String, Vec<[u8; 6]>>,
    /// The node of an address; the first that has it.
    nodes: BTreeMap<IpAddr, String>,
    /// `h1:eth0` of an Ethernet address.
    ports: BTreeMap<[u8; 6], String>,
}

impl Names {
    /// Of a lab that was started, dead or alive.
    pub fn of_lab(state: &LabState) -> Names {
        let mut names = Names::default();
        for node in &state.nodes {
            names.addresses.entry(node.name.clone()).or_default();
            for interface in &node.interfaces {
                let port = format!("{}:{}", node.name, interface.name);
                for net in &interface.addresses {
                    names.address(&node.name, net.addr());
                    names.addresses.entry(port.clone()).or_default().push(net.addr());
                }
                if let Some(mac) = filter::parse_mac(&interface.mac) {
                    names.mac(&node.name, &port, mac);
                }
            }
            for net in &node.loopback {
                names.address(&node.name, net.addr());
            }
        }
        names
    }

    /// Adds what a bus knows: nodes, interfaces and their Ethernet addresses.
    pub fn add_ports(&mut self, ports: &[PortInfo]) {
        for port in ports.iter().filter(|port| !port.node.is_empty()) {
            let name = format!("{}:{}", port.node, port.interface);
            self.mac(&port.node, &name, port.mac);
        }
    }

    fn address(&mut self, node: &str, address: IpAddr) {
        self.addresses.entry(node.to_owned()).or_default().push(address);
        self.nodes.entry(address).or_insert_with(|| node.to_owned());
    }

    fn mac(&mut self, node: &str, port: &str, mac: [u8; 6]) {
        for name in [node, port] {
            let list = self.macs.entry(name.to_owned()).or_default();
            if !list.contains(&mac) {
                list.push(mac);
            }
        }
        self.ports.entry(mac).or_insert_with(|| port.to_owned());
    }

    /// The node that has an address.
    pub fn node(&self, address: IpAddr) -> Option<&str> {
        self.nodes.get(&address).map(String::as_str)
    }

    /// `h1:eth0` of an Ethernet address.
    pub fn port(&self, mac: [u8; 6]) -> Option<&str> {
        self.ports.get(&mac).map(String::as_str)
    }

    /// Every address with its node's name.
    pub fn all(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        self.nodes.iter().map(|(address, name)| (*address, name.as_str()))
    }
}

impl Resolve for Names {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.addresses.get(name).cloned().unwrap_or_default()
    }

    fn macs(&self, name: &str) -> Vec<[u8; 6]> {
        self.macs.get(name).cloned().unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.addresses.keys().chain(self.macs.keys()).collect();
        all.into_iter().cloned().collect()
    }
}
