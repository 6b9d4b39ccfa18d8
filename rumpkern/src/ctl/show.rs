//! The tables of `show`, as rows of JSON. Their keys are a contract (see [`Table`]).

use super::proto::Table;
use crate::kernel::{Kernel, PROTOCOLS};
use ipnet::IpNet;
use netstack::net::neigh::NudState;
use netstack::net::route::{Route, RouteKind, RouteProto};
use netstack::net::{IfIndex, ifnet::Ifnet};
use netstack::netinet6::in6_ifaddr::{Addr6, AddrOrigin, AddrState};
use netstack::socket::SockType;
use netstack::tcp::TcpInfo;
use netstack::time::Duration;
use netstack::wire::ipv4::protocol;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The rows of `table`.
pub(super) fn rows(kernel: &Kernel, table: Table) -> Vec<Value> {
    match table {
        Table::Addr => addr(kernel),
        Table::Route => {
            let stack = kernel.stack.borrow();
            stack.routes().map(|route| show_route(kernel, route)).collect()
        }
        Table::Neigh => {
            // Neighbours age by the clock, which the stack only learns when it is told.
            kernel.stack.borrow_mut().handle_timeout(kernel.clock());
            neigh(kernel)
        }
        Table::Sockets => sockets(kernel),
        Table::Stats => stats(kernel),
        Table::Interfaces => {
            let stack = kernel.stack.borrow();
            stack.interfaces().map(|ifnet| interface(kernel, ifnet)).collect()
        }
    }
}

fn name(kernel: &Kernel, ifindex: IfIndex) -> Value {
    kernel.stack.borrow().interface(ifindex).map_or(Value::Null, |ifnet| json!(ifnet.name))
}

fn addr(kernel: &Kernel) -> Vec<Value> {
    let stack = kernel.stack.borrow();
    let of = |ifnet: &Ifnet| {
        let row = |net: &IpNet| {
            let mut row = json!({"if": ifnet.name, "address": net, "scope": scope(net.addr())});
            if let IpAddr::V6(addr) = net.addr()
                && let Some(known) = stack.addr6(ifnet.index, addr)
            {
                for flag in flags(&known) {
                    row[flag] = json!(true);
                }
                for (key, until) in [("valid_s", known.valid_until), ("preferred_s", known.preferred_until)] {
                    if let Some(until) = until {
                        row[key] = json!(until.since(kernel.now()).as_secs());
                    }
                }
            }
            row
        };
        ifnet.addrs().iter().map(row).collect::<Vec<_>>()
    };
    stack.interfaces().flat_map(of).collect()
}

/// What is special about an IPv6 address, in the words of `ip addr`.
fn flags(known: &Addr6) -> impl Iterator<Item = &'static str> {
    let state = match known.state {
        AddrState::Tentative => Some("tentative"),
        AddrState::Optimistic => Some("optimistic"),
        AddrState::Preferred => None,
        AddrState::Deprecated => Some("deprecated"),
        AddrState::Duplicate => Some("dadfailed"),
    };
    let origin: &[&str] = match known.origin {
        AddrOrigin::Manual | AddrOrigin::LinkLocal => &[],
        AddrOrigin::Autoconf => &["dynamic"],
        AddrOrigin::Temporary => &["temporary", "dynamic"],
    };
    state.into_iter().chain(origin.iter().copied())
}

/// How far an address reaches, in the words of `ip addr`.
fn scope(address: IpAddr) -> &'static str {
    let link = match address {
        _ if address.is_loopback() => return "host",
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80, // RFC 4291 §2.5.6
    };
    if link { "link" } else { "global" }
}

fn show_route(kernel: &Kernel, route: &Route) -> Value {
    let mut row = Map::new();
    row.insert("to".into(), json!(route.to));
    row.insert("via".into(), json!(route.via));
    // A gateway's interface is the one whose subnet it is on.
    let dev = route.dev.or_else(|| on_subnet(kernel, route.via?));
    row.insert("dev".into(), dev.map_or(Value::Null, |dev| name(kernel, dev)));
    row.insert("metric".into(), json!(route.metric));
    row.insert("proto".into(), json!(proto(route.proto)));
    let kind = match route.kind {
        RouteKind::Unicast => None,
        RouteKind::Local => Some("local"),
        RouteKind::Broadcast => Some("broadcast"),
        RouteKind::Blackhole => Some("blackhole"),
        RouteKind::Unreachable => Some("unreachable"),
        RouteKind::Prohibit => Some("prohibit"),
    };
    if let Some(kind) = kind {
        row.insert("type".into(), json!(kind));
    }
    Value::Object(row)
}

fn on_subnet(kernel: &Kernel, gateway: IpAddr) -> Option<IfIndex> {
    let stack = kernel.stack.borrow();
    let prefix = |ifnet: &Ifnet| {
        let nets = ifnet.addrs().iter().filter(|net| net.contains(&gateway));
        nets.map(|net| net.prefix_len()).max()
    };
    stack
        .interfaces()
        .filter_map(|ifnet| Some((prefix(ifnet)?, ifnet.index)))
        .max()
        .map(|(_, ifindex)| ifindex)
}

fn proto(proto: RouteProto) -> String {
    match proto {
        RouteProto::Kernel => "kernel".into(),
        RouteProto::Boot => "boot".into(),
        RouteProto::Static => "static".into(),
        RouteProto::Ra => "ra".into(),
        RouteProto::Dhcp => "dhcp".into(),
        RouteProto::Other(number) => {
            let known = PROTOCOLS.iter().find(|(_, n)| *n == number);
            known.map_or_else(|| number.to_string(), |(word, _)| (*word).into())
        }
    }
}

fn neigh(kernel: &Kernel) -> Vec<Value> {
    let state = |state| match state {
        NudState::Incomplete => "INCOMPLETE",
        NudState::Reachable => "REACHABLE",
        NudState::Stale => "STALE",
        NudState::Delay => "DELAY",
        NudState::Probe => "PROBE",
        NudState::Failed => "FAILED",
        NudState::Permanent => "PERMANENT",
    };
    let stack = kernel.stack.borrow();
    let row = |n: netstack::net::neigh::Neighbour| {
        json!({
            "address": n.addr,
            "mac": n.mac.map(|mac| mac.to_string()),
            "dev": name(kernel, n.ifindex),
            "state": state(n.state),
            "router": n.router,
        })
    };
    stack.neighbours().map(row).collect()
}

fn sockets(kernel: &Kernel) -> Vec<Value> {
    let stack = kernel.stack.borrow();
    let row = |socket: netstack::socket::SocketInfo| {
        let proto = match (socket.ty, socket.protocol) {
            (SockType::Stream, _) => "tcp".to_owned(),
            (SockType::Dgram, protocol::ICMP) => "icmp".to_owned(),
            (SockType::Dgram, protocol::ICMPV6) => "icmp6".to_owned(),
            (SockType::Dgram, protocol::UDPLITE) => "udplite".to_owned(),
            (SockType::Dgram, _) => "udp".to_owned(),
            (SockType::Raw, protocol) => format!("raw:{protocol}"),
            (SockType::Packet | SockType::PacketDgram, _) => "packet".to_owned(),
        };
        let mut row = json!({
            "proto": proto,
            "state": socket.state,
            "local": socket.local.map(|a| a.to_string()),
            "remote": socket.remote.map(|a| a.to_string()),
            "recv_q": socket.recv_queue,
            "send_q": socket.send_queue,
            "drops": socket.drops,
        });
        if let Some(info) = &socket.tcp {
            row["info"] = tcp_info(info);
        }
        row
    };
    stack.sockets().map(row).collect()
}

/// What TCP knows of a connection, by the names of `struct tcp_info` where it has them; times in microseconds.
fn tcp_info(info: &TcpInfo) -> Value {
    let us = |d: Duration| d.as_nanos() as f64 / 1000.0;
    json!({
        "snd_mss": info.snd_mss,
        "rcv_mss": info.rcv_mss,
        "advmss": info.advmss,
        "pmtu": info.pmtu,
        "snd_wscale": info.wscale.0,
        "rcv_wscale": info.wscale.1,
        "timestamps": info.timestamps,
        "rto_us": us(info.rto),
        "rtt_us": info.rtt.map(|(smoothed, _, _)| us(smoothed)),
        "rttvar_us": info.rtt.map(|(_, variance, _)| us(variance)),
        "min_rtt_us": info.rtt.map(|(_, _, least)| us(least)),
        "snd_cwnd": info.cwnd,
        "snd_ssthresh": (info.ssthresh != u32::MAX).then_some(info.ssthresh),
        "snd_wnd": info.snd_wnd,
        "rcv_wnd": info.rcv_wnd,
        "in_flight": info.in_flight,
        "retransmits": info.retransmits,
        "total_retrans": info.total_retrans,
        "octets_acked": info.octets_acked,
        "octets_received": info.octets_received,
        "congestion_control": info.congestion_control,
        "profile": info.profile,
        "sndbuf": info.sndbuf,
        "rcvbuf": info.rcvbuf,
    })
}

fn stats(kernel: &Kernel) -> Vec<Value> {
    let row = |group: &str, name: &str, value: u64| json!({"group": group, "name": name, "value": value});
    let stack = kernel.stack.borrow();
    let mut rows: Vec<Value> =
        stack.stats().iter().map(|(group, name, value)| row(group, name, value)).collect();
    for ifnet in stack.interfaces() {
        let group = format!("if:{}", ifnet.name);
        rows.extend(ifnet.counters.iter().map(|(name, value)| row(&group, name, value)));
        rows.extend(
            kernel.if_wire_counters(ifnet.index).iter().map(|(name, value)| row(&group, name, *value)),
        );
    }
    let waits = kernel.user.borrow().wait_counters();
    rows.extend(waits.into_iter().map(|(name, value)| row("rumpuser", name, value)));
    rows
}

fn interface(kernel: &Kernel, ifnet: &Ifnet) -> Value {
    let counters = ifnet.counters.iter().map(|(name, value)| (name.to_owned(), json!(value)));
    let wire = kernel.if_wire_counters(ifnet.index).into_iter().map(|(name, value)| (name, json!(value)));
    json!({
        "name": ifnet.name,
        "bus": kernel.if_bus(ifnet.index),
        "mac": (!ifnet.loopback).then(|| ifnet.mac.to_string()),
        "mtu": ifnet.mtu,
        "up": ifnet.up,
        "carrier": ifnet.carrier,
        "addresses": ifnet.addrs(),
        "stats": counters.chain(wire).collect::<Map<_, _>>(),
    })
}
