//! The plan of a drawing: which bus is in which row, which node in which column.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::topology::model::{Bus, Interface, Lab};

/// More hosts of one bus than this, each on no other bus, become one box.
const CROWD: usize = 8;

/// The plan.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Number of columns.
    pub(super) columns: usize,
    /// The buses, top to bottom.
    pub(super) rows: Vec<Row>,
    /// The nodes, or crowds of them.
    pub(super) boxes: Vec<Boxed>,
    /// Nodes on no bus.
    pub(super) apart: Vec<String>,
}

/// A bus.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Its subnets.
    pub(super) subnets: String,
    /// Its impairment, if there is one.
    pub(super) note: String,
    /// Who is on it, by column.
    pub(super) taps: Vec<Tap>,
}

/// A node's connection to a bus.
#[derive(Debug)]
pub(super) struct Tap {
    /// Index of the box.
    pub(super) node: usize,
    /// `eth0 .1`; see [`label`].
    pub(super) label: String,
}

/// A node, or a crowd of hosts.
#[derive(Debug)]
pub(super) struct Boxed {
    pub(super) title: String,
    /// Loopback addresses, or how many hosts there are.
    pub(super) note: String,
    pub(super) forward: bool,
    pub(super) column: usize,
    /// The row above whose bar the box stands, and the last row its line reaches.
    pub(super) rows: (usize, usize),
}

impl Sheet {
    pub(super) fn new(lab: &Lab) -> Self {
        let mut sheet = Self { columns: 0, rows: Vec::new(), boxes: Vec::new(), apart: Vec::new() };
        sheet.apart =
            lab.nodes.values().filter(|node| node.interfaces.is_empty()).map(|n| n.name.clone()).collect();
        let mut at: HashMap<&str, usize> = HashMap::new();
        for (row, bus) in lab.buses.values().enumerate() {
            let crowd = crowd(lab, bus);
            let mut taps: Vec<Tap> = Vec::new();
            for member in &bus.members {
                let Some((node, interface)) = lab.nodes.get(&member.node).zip(lab.interface(member)) else {
                    continue;
                };
                if crowd.contains(&member.node.as_str()) {
                    continue;
                }
                let index = *at.entry(&member.node).or_insert_with(|| {
                    let lo: Vec<String> = node.loopback.iter().map(|net| net.addr().to_string()).collect();
                    sheet.boxes.push(Boxed {
                        title: node.name.clone(),
                        note: lo.join(" "),
                        forward: node.forward,
                        column: 0,
                        rows: (row, row),
                    });
                    sheet.boxes.len() - 1
                });
                sheet.boxes[index].rows.1 = row;
                taps.push(Tap { node: index, label: label(interface) });
            }
            if let (Some(first), Some(last)) = (crowd.first(), crowd.last()) {
                let address = |name: &str| lab.nodes.get(name)?.interfaces.first()?.addrs.first().map(short);
                let label = match (address(first), address(last)) {
                    (Some(first), Some(last)) => format!("{first} … {last}"),
                    _ => String::new(),
                };
                let title = format!("{first} … {last}");
                let note = format!("{} hosts", crowd.len());
                sheet.boxes.push(Boxed { title, note, forward: false, column: 0, rows: (row, row) });
                taps.push(Tap { node: sheet.boxes.len() - 1, label });
            }
            let subnets: Vec<String> = subnets(lab, bus).iter().map(IpNet::to_string).collect();
            let note = bus.impair.as_ref().map(ToString::to_string).unwrap_or_default();
            sheet.rows.push(Row { name: bus.name.clone(), subnets: subnets.join(" "), note, taps });
        }
        sheet.columns();
        sheet
    }

    /// Gives each box the first column that is free from its row on: an earlier box frees its own below its last bar.
    fn columns(&mut self) {
        let mut busy_until: Vec<usize> = Vec::new();
        let mut order: Vec<usize> = (0..self.boxes.len()).collect();
        order.sort_by_key(|index| self.boxes[*index].rows.0);
        for index in order {
            let (first, last) = self.boxes[index].rows;
            let free = busy_until.iter().position(|until| *until < first);
            let column = free.unwrap_or(busy_until.len());
            if column == busy_until.len() {
                busy_until.push(last);
            }
            busy_until[column] = last;
            self.boxes[index].column = column;
        }
        self.columns = busy_until.len();
        for row in &mut self.rows {
            row.taps.sort_by_key(|tap| self.boxes[tap.node].column);
        }
    }

    /// The boxes that stand above a row's bar.
    pub(super) fn above(&self, row: usize) -> impl Iterator<Item = &Boxed> {
        self.boxes.iter().filter(move |boxed| boxed.rows.0 == row)
    }

    /// The boxes whose line goes on below a row's bar.
    pub(super) fn below(&self, row: usize) -> impl Iterator<Item = &Boxed> {
        self.boxes.iter().filter(move |boxed| boxed.rows.0 <= row && boxed.rows.1 > row)
    }

    /// The last column that a row's bar or a line that passes it is in: what is right of it is free.
    pub(super) fn rightmost(&self, row: usize) -> usize {
        let passing = self.below(row).map(|boxed| boxed.column).max();
        let own = self.reach(&self.rows[row]).map(|(_, last)| last);
        passing.max(own).unwrap_or(0)
    }

    /// First and last column of a row's bar.
    pub(super) fn reach(&self, row: &Row) -> Option<(usize, usize)> {
        let column = |tap: &Tap| self.boxes[tap.node].column;
        row.taps.first().zip(row.taps.last()).map(|(first, last)| (column(first), column(last)))
    }
}

/// The hosts of a bus that become one box.
fn crowd<'l>(lab: &'l Lab, bus: &'l Bus) -> Vec<&'l str> {
    let lonely = |name: &&str| {
        lab.nodes.get(*name).is_some_and(|n| !n.forward && n.interfaces.len() == 1 && n.loopback.is_empty())
    };
    let hosts: Vec<&str> = bus.members.iter().map(|member| member.node.as_str()).filter(lonely).collect();
    if hosts.len() > CROWD { hosts } else { Vec::new() }
}

/// The bus's subnets; if it has none, those of its interfaces.
pub(super) fn subnets(lab: &Lab, bus: &Bus) -> Vec<IpNet> {
    if !bus.subnets.is_empty() {
        return bus.subnets.clone();
    }
    let mut nets: Vec<IpNet> = Vec::new();
    for net in bus.members.iter().filter_map(|member| lab.interface(member)).flat_map(|i| &i.addrs) {
        if !nets.contains(&net.trunc()) {
            nets.push(net.trunc());
        }
    }
    nets
}

/// `eth0 .1`, `eth0 .1 ::1`, `eth0 slaac`: the first address of each family.
fn label(interface: &Interface) -> String {
    let mut label = interface.name.clone();
    let addrs = || interface.addrs.iter();
    let first = [addrs().find(|net| net.addr().is_ipv4()), addrs().find(|net| net.addr().is_ipv6())];
    let shown = first.into_iter().flatten().map(short).chain(slaac(interface).map(str::to_owned));
    for word in shown {
        label.push(' ');
        label.push_str(&word);
    }
    label
}

/// What stands for addresses that are advertised.
pub(super) fn slaac(interface: &Interface) -> Option<&'static str> {
    interface.ipv6.as_ref().is_some_and(|six| six.slaac).then_some("slaac")
}

/// The part of an address that its subnet does not say: `.1`, `.4.1`, `::1`.
fn short(net: &IpNet) -> String {
    match net.addr() {
        IpAddr::V4(addr) => {
            let [_, b, c, d] = addr.octets();
            match net.prefix_len() {
                24.. => format!(".{d}"),
                16.. => format!(".{c}.{d}"),
                8.. => format!(".{b}.{c}.{d}"),
                _ => addr.to_string(),
            }
        }
        IpAddr::V6(addr) => {
            let host = u128::from(addr) & hostmask(net);
            std::net::Ipv6Addr::from(host).to_string()
        }
    }
}

fn hostmask(net: &IpNet) -> u128 {
    match net.hostmask() {
        IpAddr::V6(mask) => u128::from(mask),
        IpAddr::V4(mask) => u128::from(u32::from(mask)),
    }
}
