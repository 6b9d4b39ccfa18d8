//! Where a node of a running lab reaches another: what the topology says, and the addresses that only a node knows.

use super::fault::Fault;
use super::session::Session;
use super::state::{LabState, Learnt, NodeState, Slaac, node_of};
use crate::topology::model::{Family, Zoned};
use ipnet::IpNet;
use rumpkern::ctl::proto::Table;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long addresses are waited for that are on their way: a solicitation within a second, an answer within half of one
/// (RFC 4861 §6.3.7, §6.2.6), and two more for others to object (RFC 4862 §5.4).
const LEARN_WAIT: Duration = Duration::from_secs(5);
/// Between two looks.
const LEARN_PAUSE: Duration = Duration::from_millis(5);

impl Session {
    /// Where `from` reaches `to`, by [`LabState::resolve`]. IPv6 addresses that are being tried, or
    /// that a router of the topology advertises, are waited for.
    ///
    /// # Errors
    /// No such node or interface, or it has no such address.
    pub fn resolve(&self, from: &str, to: &str, family: Option<Family>) -> Result<Zoned, Fault> {
        resolve(&self.state, from, to, family, |node| {
            // One connection for all looks: the session keeps each.
            let Ok(mut client) = self.connect(&node.name) else { return Vec::new() };
            learn(
                node,
                |table| client.show(table).ok(),
                |pause| {
                    std::thread::sleep(pause);
                    !self.is_cut()
                },
            )
        })
    }

    /// Every address of a node: those of the topology, and if it speaks IPv6, those that it has now.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        addresses(&self.state, name, |table| self.show(name, table).unwrap_or_default())
    }
}

/// See [`Session::resolve`]; `learnt` says what a node has learnt, by [`learn`].
pub(super) fn resolve(
    state: &LabState,
    from: &str,
    to: &str,
    family: Option<Family>,
    learnt: impl Fn(&NodeState) -> Vec<Learnt>,
) -> Result<Zoned, Fault> {
    let (name, _) = node_of(to);
    let speaker = |name: &str| state.node(name).filter(|node| node.speaks_ipv6());
    let target = speaker(name).filter(|_| family != Some(Family::Ipv4) && speaker(from).is_some());
    let of_target = target.map(&learnt).unwrap_or_default();
    let address = state.resolve(from, to, family, &of_target)?;
    if let Some(from) = speaker(from).filter(|from| address.addr.is_ipv6() && from.name != name) {
        learnt(from); // whoever asks needs an address, too
    }
    Ok(address)
}

/// See [`Session::addresses`].
pub(super) fn addresses(state: &LabState, name: &str, show: impl FnOnce(Table) -> Vec<Value>) -> Vec<IpAddr> {
    let Some(node) = state.node(name) else { return Vec::new() };
    let of_interfaces = node.interfaces.iter().flat_map(|one| &one.addresses);
    let mut all: Vec<IpAddr> = node.loopback.iter().chain(of_interfaces).map(IpNet::addr).collect();
    if node.speaks_ipv6() {
        all.extend(show(Table::Addr).iter().filter_map(address));
    }
    all
}

/// The IPv6 addresses of a node, when all of them are there that will be; none if it does not answer. `wait` lets time pass, and says
/// whether there is to be another look.
pub(super) fn learn(
    node: &NodeState,
    mut show: impl FnMut(Table) -> Option<Vec<Value>>,
    mut wait: impl FnMut(Duration) -> bool,
) -> Vec<Learnt> {
    let mut waited = Duration::ZERO;
    loop {
        let Some(rows) = show(Table::Addr) else { return Vec::new() };
        let open = open(node, &rows);
        let hopes = !open.is_empty() && carries(&show(Table::Interfaces).unwrap_or_default(), &open);
        if !hopes || waited >= LEARN_WAIT || !wait(LEARN_PAUSE) {
            return rows.iter().filter_map(learnt).collect();
        }
        waited += LEARN_PAUSE;
    }
}

/// Whether one of these interfaces of a node is up and has a wire: on others nothing comes to an end.
fn carries(rows: &[Value], interfaces: &BTreeSet<String>) -> bool {
    let is_set = |row: &Value, key: &str| row[key].as_bool() == Some(true);
    let one_of = |row: &Value| row["name"].as_str().is_some_and(|name| interfaces.contains(name));
    rows.iter().any(|row| one_of(row) && is_set(row, "up") && is_set(row, "carrier"))
}

/// The interfaces on which an address is being tried, or is advertised and not there.
fn open(node: &NodeState, rows: &[Value]) -> BTreeSet<String> {
    let of = |row: &Value| row["if"].as_str().map(str::to_owned);
    let tried = rows.iter().filter(|row| row["tentative"].as_bool() == Some(true)).filter_map(of);
    let has = |name: &str| rows.iter().filter_map(learnt).any(|learnt| learnt.interface == name);
    let expecting = node.interfaces.iter().filter(|one| one.slaac == Slaac::Expects && !has(&one.name));
    tried.chain(expecting.map(|one| one.name.clone())).collect()
}

/// A row of addresses as what is learnt of it: nothing if it is of IPv4, good on its link or node alone, or not to be used.
fn learnt(row: &Value) -> Option<Learnt> {
    let unfit = ["tentative", "dadfailed", "deprecated", "temporary"];
    if row["scope"] != "global" || unfit.iter().any(|key| row[*key].as_bool() == Some(true)) {
        return None;
    }
    let address = address(row).filter(IpAddr::is_ipv6)?;
    Some(Learnt { interface: row["if"].as_str()?.to_owned(), address })
}

/// The address of such a row, without the length of its prefix.
fn address(row: &Value) -> Option<IpAddr> {
    row["address"].as_str()?.parse().ok().map(|net: IpNet| net.addr())
}

#[cfg(test)]
mod tests {
    use super::super::state::InterfaceState;
    use super::*;
    use serde_json::json;

    fn row(address: &str, scope: &str, flags: &[&str]) -> Value {
        let mut row = json!({"if": "eth0", "address": address, "scope": scope});
        for flag in flags {
            row[*flag] = true.into();
        }
        row
    }

    #[test]
    fn only_addresses_that_others_can_use_are_learnt() {
        let want = Learnt { interface: "eth0".into(), address: "fd01::2".parse().unwrap() };
        for flags in [&[][..], &["dynamic"], &["optimistic"]] {
            assert_eq!(learnt(&row("fd01::2/64", "global", flags)), Some(want.clone()), "{flags:?}");
        }
        for flag in ["tentative", "dadfailed", "deprecated", "temporary"] {
            assert_eq!(learnt(&row("fd01::2/64", "global", &[flag])), None, "{flag}");
        }
        assert_eq!(learnt(&row("10.0.0.1/24", "global", &[])), None);
        let link = row("fe80::2/64", "link", &[]);
        assert_eq!((learnt(&link), address(&link)), (None, Some("fe80::2".parse().unwrap())));
    }

    #[test]
    fn what_is_on_its_way_is_waited_for() {
        let interface = |name: &str, slaac| InterfaceState {
            name: name.into(),
            bus: "lan".into(),
            mac: "02:00:00:00:00:01".into(),
            mtu: 1500,
            addresses: Vec::new(),
            slaac,
            impair: None,
        };
        let node = |slaac| NodeState {
            name: "h1".into(),
            stopped: false,
            interfaces: vec![interface("eth0", slaac), interface("eth1", Slaac::Off)],
            loopback: Vec::new(),
        };
        let open = |slaac, rows: &[Value]| open(&node(slaac), rows).into_iter().collect::<Vec<_>>().join(" ");
        let (link, global) = (row("fe80::2/64", "link", &[]), row("fd01::2/64", "global", &["dynamic"]));
        assert_eq!(open(Slaac::Expects, std::slice::from_ref(&link)), "eth0");
        assert_eq!(open(Slaac::Hopes, std::slice::from_ref(&link)), "");
        assert_eq!(open(Slaac::Expects, &[link, global]), "");
        assert_eq!(open(Slaac::Off, &[row("fd01::3/64", "global", &["tentative"])]), "eth0");
    }
}
