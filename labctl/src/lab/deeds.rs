//! What the acts of a topology come to: requests to nodes, and nodes that end and return. The same live and in virtual time.

use super::fault::Fault;
use super::impair::{impairment, wire_seed};
use super::plan;
use crate::topology::model::{Act, Interface, Lab, Node, Port, Wire};
use netstack::net::MacAddr;
use rumpkern::ctl::proto::{Change, LinkAddr, Op};
use rumpkern::ifs::impairment::Impairment;

/// One thing that an act does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Asks a node for something.
    Ask {
        /// The node.
        node: String,
        /// What.
        op: Op,
    },
    /// Starts a node that is down.
    Start(String),
    /// Ends a node in order.
    Stop(String),
    /// Ends a node as by a power cut.
    Kill(String),
    /// Ends a node in order, and starts it as the topology says.
    Restart(String),
    /// Lets a node do nothing.
    Pause(String),
    /// Lets it go on.
    Resume(String),
    /// Runs a built-in program on a node, in the background.
    Run(String, Vec<String>),
    /// Runs a host program on a node, in the background.
    Exec(String, Vec<String>),
}

/// What an act does at once; `seed` is the lab's.
///
/// # Errors
/// A filter in it cannot be used.
pub fn deeds(lab: &Lab, seed: u64, act: &Act) -> Result<Vec<Deed>, Fault> {
    let on_port = |port: &Port, op: fn(String, bool) -> Op, up| {
        vec![Deed::Ask { node: port.node.clone(), op: op(port.interface.clone(), up) }]
    };
    let link = |interface, up| Op::Link { interface, up };
    let addr = |port: &Port, change| {
        let op = Op::Addr { interface: port.interface.clone(), change };
        vec![Deed::Ask { node: port.node.clone(), op }]
    };
    let route = |node: &String, change| vec![Deed::Ask { node: node.clone(), op: Op::Route(change) }];
    Ok(match act {
        Act::LinkUp(port) => on_port(port, link, true),
        Act::LinkDown(port) | Act::LinkFlap(port, _) => on_port(port, link, false),
        Act::ImpairSet(wire, impair) => on_wire(lab, seed, wire, |seed, _| impairment(impair, seed, lab))?,
        Act::ImpairReset(wire) => {
            let nothing = |seed| Impairment { seed, ..Impairment::default() };
            on_wire(lab, seed, wire, |seed, written| Ok(written.unwrap_or(nothing(seed))))?
        }
        Act::Partition(bus, groups) => partition(&ports_on(lab, bus), groups),
        Act::Heal(bus) => partition(&ports_on(lab, bus), &[]),
        Act::AddrAdd(port, net) => addr(port, Change::Add(*net)),
        Act::AddrDel(port, net) => addr(port, Change::Del(*net)),
        Act::RouteAdd(node, spec) => route(node, Change::Add(spec.clone())),
        Act::RouteDel(node, spec) => route(node, Change::Del(spec.clone())),
        Act::Start(node) => vec![Deed::Start(node.clone())],
        Act::Stop(node) => vec![Deed::Stop(node.clone())],
        Act::Kill(node) => vec![Deed::Kill(node.clone())],
        Act::Restart(node) => vec![Deed::Restart(node.clone())],
        Act::Pause(node) => vec![Deed::Pause(node.clone())],
        Act::Resume(node) => vec![Deed::Resume(node.clone())],
        Act::Run(node, argv) => vec![Deed::Run(node.clone(), argv.clone())],
        Act::Exec(node, cmd) => vec![Deed::Exec(node.clone(), cmd.clone())],
    })
}

/// All ports of a lab.
fn ports(lab: &Lab) -> impl Iterator<Item = (&Node, &Interface)> {
    lab.nodes.values().flat_map(|node| node.interfaces.iter().map(move |one| (node, one)))
}

fn ports_on<'l>(lab: &'l Lab, bus: &str) -> Vec<PortOn<'l>> {
    let on_it = ports(lab).filter(|(_, one)| one.bus == bus);
    on_it
        .map(|(node, one)| PortOn { node: &node.name, interface: &one.name, mac: MacAddr(one.mac.0) })
        .collect()
}

/// Tells every port of a wire what is to happen to its frames; `what` is given its seed, and what the topology says.
fn on_wire(
    lab: &Lab,
    seed: u64,
    wire: &Wire,
    what: impl Fn(u64, Option<Impairment>) -> Result<Impairment, Fault>,
) -> Result<Vec<Deed>, Fault> {
    let meant = ports(lab).filter(|(node, one)| match wire {
        Wire::Bus(bus) => one.bus == *bus,
        Wire::Port(port) => (&node.name, &one.name) == (&port.node, &port.interface),
    });
    meant
        .map(|(node, one)| {
            let own = wire_seed(seed, &one.bus, &node.name, &one.name);
            let set = Some(Box::new(what(own, plan::impairment(lab, seed, node, one)?)?));
            Ok(Deed::Ask { node: node.name.clone(), op: Op::Impair { interface: one.name.clone(), set } })
        })
        .collect()
}

/// A port of a bus.
#[derive(Clone, Debug)]
pub(crate) struct PortOn<'a> {
    pub(crate) node: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) mac: MacAddr,
}

/// Tells every port of a bus whom it does not hear: those of other groups. Nodes of no group are one together.
pub(crate) fn partition(ports: &[PortOn<'_>], groups: &[Vec<String>]) -> Vec<Deed> {
    let group =
        |port: &PortOn<'_>| groups.iter().position(|group| group.iter().any(|node| node == port.node));
    let one = |port: &PortOn<'_>| {
        let others = ports.iter().filter(|other| group(other) != group(port));
        let from = others.map(|other| LinkAddr(other.mac)).collect();
        let op = Op::Partition { interface: port.interface.to_owned(), from };
        Deed::Ask { node: port.node.to_owned(), op }
    };
    ports.iter().map(one).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A lab whose events are told in another order than they happen.
    pub(in crate::lab) fn lab() -> Lab {
        let text = r#"
            [node]
            h1 = {}
            h2 = {}
            [bus]
            lan = { subnet = "10.0.0.0/24", nodes = ["h1", "h2"], impair = { delay = "1ms" } }
            [[event]]
            at = "2s"
            do = "impair set lan loss 5%"
            [[event]]
            at = "1s"
            do = "link down h1:eth0"
            [[event]]
            at = "3s"
            do = "impair reset h2:eth0"
            [[event]]
            at = "3s"
            do = "kill h2"
        "#;
        crate::topology::load_str("x.lab.toml", text).unwrap_or_else(|faults| panic!("{faults}"))
    }

    #[test]
    fn a_bus_is_all_its_ports_and_each_is_unlucky_in_its_own_way() {
        let lab = lab();
        let of = |n: usize| deeds(&lab, 7, &lab.events[n].act).unwrap();
        let Deed::Ask { node, op: Op::Link { interface, up: false } } = &of(0)[0] else {
            panic!("{:?}", of(0))
        };
        assert_eq!((node.as_str(), interface.as_str()), ("h1", "eth0"));
        let impaired: Vec<_> = of(1)
            .into_iter()
            .map(|deed| match deed {
                Deed::Ask { node, op: Op::Impair { set: Some(set), .. } } => (node, set),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(impaired.len(), 2);
        assert!(impaired.iter().all(|(_, set)| set.loss.is_some() && set.delay_ns == 0));
        assert_ne!(impaired[0].1.seed, impaired[1].1.seed);
        let back = of(2);
        assert!(
            matches!(&back[..], [Deed::Ask { op: Op::Impair { set: Some(set), .. }, .. }] if set.delay_ns == 1_000_000)
        );
        assert_eq!(of(3), [Deed::Kill("h2".into())]);
    }
}
