//! What is on the kernel's thread: the kernel, its one interface, and packetdrill's process.

use crate::flags::Flags;
use crate::tun::{OURS, Tun, User};
use ipnet::IpNet;
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::wire::ipv4;
use rumpkern::config::{InterfaceConfig, NodeConfig};
use rumpkern::kernel::Kernel;
use rumpkern::syscall::Sys;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

/// The interface's name: packetdrill's own, which scripts give to `ip` and `tc`.
pub(crate) const TUN: &str = "tun0";

/// All of it.
pub(crate) struct Host {
    pub(crate) kernel: Rc<Kernel>,
    pub(crate) sys: Sys,
    pub(crate) tun: Rc<Tun>,
}

impl Host {
    /// A node as `flags` say.
    pub(crate) fn new(flags: &Flags) -> Result<Host, Box<dyn std::error::Error>> {
        let tun = Tun::new();
        let interface = InterfaceConfig {
            name: TUN.into(),
            bus: TUN.into(),
            mac: OURS,
            mtu: flags.mtu,
            // Scripts see the segments that go on a wire.
            offload: false,
            addresses: flags.local.iter().copied().map(IpNet::V4).collect(),
            ipv6: None,
            impair: None,
            up: true,
        };
        let config = NodeConfig {
            lab: "packetdrill".into(),
            node: "tested".into(),
            interfaces: vec![interface],
            ..NodeConfig::default()
        };
        config.validate()?;
        let kernel = Kernel::new(&config, Box::new(User::new(tun.clone(), flags.seed)));
        kernel.configure(&config)?;
        kernel.with_stack(|stack, _| {
            stack.set_tcp_config(flags.tcp.clone());
            stack.route_add(Route {
                to: IpNet::V4(ipnet::Ipv4Net::default()),
                via: flags.gateway.map(IpAddr::V4),
                dev: stack.if_by_name(TUN),
                metric: 0,
                proto: RouteProto::Boot,
                kind: RouteKind::Unicast,
                src: None,
            })
        })?;
        let sys = kernel.attach_process("packetdrill");
        Ok(Host { kernel, sys, tun })
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Makes an address the node's own, if it can be one: nobody configures those that packetdrill invents.
    pub(crate) fn learn(&self, addr: Ipv4Addr) {
        if addr.is_unspecified() || addr.is_loopback() || addr.is_multicast() || addr.is_broadcast() {
            return;
        }
        self.kernel.with_stack(|stack, now| {
            let Some(tun) = stack.if_by_name(TUN) else { return };
            let known = stack.interface(tun).is_some_and(|tun| {
                let is = |net: &IpNet| net.addr() == addr || net.broadcast() == addr;
                tun.addrs().iter().any(is)
            });
            if !known {
                // Of those that are left the stack refuses none.
                let _ = stack.addr_add(now, tun, IpNet::from(IpAddr::V4(addr)));
            }
        });
    }

    /// Puts a packet of the script's in.
    pub(crate) fn inject(&self, packet: &[u8]) {
        if let Ok(header) = ipv4::Header::parse(packet) {
            self.learn(header.dst);
        }
        self.tun.send(packet);
    }
}
