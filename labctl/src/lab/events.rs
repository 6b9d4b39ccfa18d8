//! What a topology's events come to: requests to nodes, and nodes that end and return. The same live and in virtual time.

use super::fault::Fault;
use super::impair::{impairment, wire_seed};
use super::plan;
use crate::topology::model::{Act, Event, Lab, Wire};
use rumpkern::ctl::proto::Op;
use rumpkern::ifs::impairment::Impairment;
use std::collections::VecDeque;
use std::time::Duration;

/// One thing that an event does.
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
    /// Runs a host program on a node, in the background.
    Exec(String, Vec<String>),
}

/// What an event does; `seed` is the lab's.
pub fn deeds(lab: &Lab, seed: u64, act: &Act) -> Vec<Deed> {
    match act {
        Act::LinkUp(port) | Act::LinkDown(port) => {
            let up = matches!(act, Act::LinkUp(_));
            vec![Deed::Ask {
                node: port.node.clone(),
                op: Op::Link { interface: port.interface.clone(), up },
            }]
        }
        Act::ImpairSet(wire, impair) => on_wire(lab, seed, wire, |seed, _| impairment(impair, seed)),
        Act::ImpairReset(wire) => {
            let nothing = |seed| Impairment { seed, ..Impairment::default() };
            on_wire(lab, seed, wire, |seed, written| written.unwrap_or(nothing(seed)))
        }
        Act::Start(node) => vec![Deed::Start(node.clone())],
        Act::Stop(node) => vec![Deed::Stop(node.clone())],
        Act::Kill(node) => vec![Deed::Kill(node.clone())],
        Act::Restart(node) => vec![Deed::Restart(node.clone())],
        Act::Exec(node, cmd) => vec![Deed::Exec(node.clone(), cmd.clone())],
    }
}

/// Tells every port of a wire what is to happen to its frames; `what` is given its seed, and what the topology says.
fn on_wire(
    lab: &Lab,
    seed: u64,
    wire: &Wire,
    what: impl Fn(u64, Option<Impairment>) -> Impairment,
) -> Vec<Deed> {
    let ports = lab.nodes.values().flat_map(|node| node.interfaces.iter().map(move |one| (node, one)));
    let meant = ports.filter(|(node, one)| match wire {
        Wire::Bus(bus) => one.bus == *bus,
        Wire::Port(port) => (&node.name, &one.name) == (&port.node, &port.interface),
    });
    meant
        .map(|(node, one)| {
            let own = wire_seed(seed, &one.bus, &node.name, &one.name);
            let set = Some(what(own, plan::impairment(lab, seed, node, one)));
            Deed::Ask { node: node.name.clone(), op: Op::Impair { interface: one.name.clone(), set } }
        })
        .collect()
}

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// When it was to happen, after the lab was ready.
    pub at: Duration,
    /// Its words.
    pub words: String,
    /// What was in its way.
    pub fault: Option<String>,
}

/// The events of a lab that have not happened yet.
#[derive(Debug)]
pub struct Agenda<'a> {
    events: VecDeque<&'a Event>,
    /// What came of the others.
    pub done: Vec<EventReport>,
}

impl<'a> Agenda<'a> {
    /// All of a lab's.
    pub fn new(lab: &'a Lab) -> Self {
        // The model has them in their order.
        Self { events: lab.events.iter().collect(), done: Vec::new() }
    }

    /// When the next one happens, after the lab was ready.
    pub fn next(&self) -> Option<Duration> {
        self.events.front().map(|event| event.at.0)
    }

    /// Takes those that are due by `now`, one after the other, and does them.
    pub fn run(&mut self, now: Duration, mut act: impl FnMut(&Act) -> Result<(), Fault>) {
        while self.next().is_some_and(|at| at <= now)
            && let Some(event) = self.events.pop_front()
        {
            let fault = act(&event.act).err().map(|fault| fault.to_string());
            self.done.push(EventReport { at: event.at.0, words: event.words.join(" "), fault });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Lab {
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
        let of = |n: usize| deeds(&lab, 7, &lab.events[n].act);
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

    #[test]
    fn they_happen_in_their_order_and_what_fails_is_told() {
        let lab = lab();
        let mut agenda = Agenda::new(&lab);
        assert_eq!(agenda.next(), Some(Duration::from_secs(1)));
        agenda.run(Duration::from_millis(2500), |act| match act {
            Act::LinkDown(_) => Ok(()),
            _ => Err(Fault::Usage("no".into())),
        });
        let done: Vec<_> = agenda.done.iter().map(|one| (one.words.as_str(), one.fault.as_deref())).collect();
        assert_eq!(done, [("link down h1:eth0", None), ("impair set lan loss 5%", Some("no"))]);
        assert_eq!(agenda.next(), Some(Duration::from_secs(3)));
    }
}
