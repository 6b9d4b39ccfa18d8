//! Checks of what nodes say of themselves: rows of their tables.

use super::{Attempt, Bench, Tried, wanted};
use crate::lab::fault::Fault;
use crate::lab::test::probe::Probe;
use crate::topology::model::{Bound, CheckKind, CounterOf};
use crate::topology::names;
use ipnet::IpNet;
use rumpkern::ctl::proto::Table;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

impl<P: Probe> Bench<'_, P> {
    pub(super) fn route(
        &self,
        node: &str,
        to: IpNet,
        via: Option<IpAddr>,
        dev: Option<&str>,
        metric: Option<u32>,
    ) -> Tried {
        let rows = self.probe.show(node, Table::Route)?;
        let to_it: Vec<_> = rows.iter().filter(|row| destination(row) == Some(to.trunc())).collect();
        let fits = |row: &&&Value| {
            via.is_none_or(|via| text_of(row, "via").and_then(|text| text.parse().ok()) == Some(via))
                && dev.is_none_or(|dev| text_of(row, "dev") == Some(dev))
                && metric.is_none_or(|metric| row["metric"].as_u64() == Some(metric.into()))
        };
        Ok(match (to_it.iter().find(fits), to_it.first()) {
            (Some(row), _) => Attempt::Holds(route_text(row)),
            (None, Some(other)) => Attempt::Fails(format!("it is {}", route_text(other))),
            (None, None) => Attempt::Fails(format!("{node} has no route to {to}")),
        })
    }

    pub(super) fn neigh(&self, kind: &CheckKind) -> Tried {
        let CheckKind::Neigh { node, to, dev, mac, state } = kind else {
            return Ok(Attempt::Broken("not a neighbour".into()));
        };
        let rows = self.probe.show(node, Table::Neigh)?;
        let wanted = self.all_of(to);
        let of_it: Vec<_> = rows
            .iter()
            .filter(|row| {
                let address = text_of(row, "address").and_then(|text| text.parse().ok());
                address.is_some_and(|address| wanted.contains(&address))
            })
            .collect();
        let state = state.as_ref().and_then(|state| serde_json::to_value(state).ok());
        let fits = |row: &&&Value| {
            dev.as_deref().is_none_or(|dev| text_of(row, "dev") == Some(dev))
                && mac.is_none_or(|mac| {
                    text_of(row, "mac").is_some_and(|text| text.eq_ignore_ascii_case(&mac.to_string()))
                })
                && state.as_ref().and_then(Value::as_str).is_none_or(|state| {
                    text_of(row, "state").is_some_and(|text| text.eq_ignore_ascii_case(state))
                })
        };
        let words = |row: &Value| {
            let part = |key| text_of(row, key).unwrap_or("-");
            format!("{} dev {} mac {} {}", part("address"), part("dev"), part("mac"), part("state"))
        };
        Ok(match (of_it.iter().find(fits), of_it.first()) {
            (Some(row), _) => Attempt::Holds(words(row)),
            (None, Some(other)) => Attempt::Fails(format!("it is {}", words(other))),
            (None, None) => Attempt::Fails(format!("{node} knows no neighbour {to}")),
        })
    }

    pub(super) fn counter(&self, of: &CounterOf, name: &str) -> Result<Option<u64>, Fault> {
        match of {
            CounterOf::Node(node) => {
                let rows = self.probe.show(node, Table::Stats)?;
                // `tcp.retransSegs` is RFC 4022's tcpRetransSegs.
                let joined = name.replace('.', "");
                let is_it = |row: &&Value| {
                    let (Some(group), Some(own)) = (text_of(row, "group"), text_of(row, "name")) else {
                        return false;
                    };
                    [name, &joined].iter().any(|name| own.eq_ignore_ascii_case(name))
                        || format!("{group}.{own}").eq_ignore_ascii_case(name)
                };
                let values: Vec<u64> =
                    rows.iter().filter(is_it).filter_map(|row| row["value"].as_u64()).collect();
                Ok((!values.is_empty()).then(|| values.iter().sum()))
            }
            CounterOf::Bus(bus) => self.probe.bus_counter(bus, name.trim_start_matches("bus.")),
        }
    }

    /// Packets that nodes threw away, for reasons that match a pattern.
    pub(super) fn drops(&self, nodes: &[String], reasons: &[String], bound: &Bound) -> Tried {
        let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
        for node in nodes {
            for row in self.probe.show(node, Table::Stats)? {
                let wanted = |reason: &&str| reasons.iter().any(|pattern| names::matches(pattern, reason));
                if let (Some(reason), Some(n)) = (reason(&row).filter(wanted), row["value"].as_u64())
                    && n > 0
                {
                    *dropped.entry(reason.to_owned()).or_default() += n;
                }
            }
        }
        let n: u64 = dropped.values().sum();
        let why: Vec<_> = dropped.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
        Ok(match bound.holds(n) {
            true => Attempt::Holds(format!("{n} dropped{why}")),
            false => Attempt::Fails(format!("{n} dropped{why}, wanted {}", wanted(bound.min, bound.max))),
        })
    }
}

/// Why packets are counted in a row of `show stats`, if it counts such that were thrown away.
fn reason(row: &Value) -> Option<&str> {
    let (group, name) = (text_of(row, "group")?, text_of(row, "name")?);
    match group {
        "drop" => Some(name),
        _ if IMPAIRED.contains(&name) => Some(name),
        _ => name.strip_prefix("drop."),
    }
}

/// What an impaired wire does not carry.
const IMPAIRED: [&str; 4] = ["impairLost", "impairQueueDrops", "impairDropped", "impairTooLong"];

fn text_of<'v>(row: &'v Value, key: &str) -> Option<&'v str> {
    row[key].as_str()
}

/// `to` of a route's row: a prefix, or `default`.
fn destination(row: &Value) -> Option<IpNet> {
    match text_of(row, "to")? {
        "default" => {
            let via: Option<IpAddr> = text_of(row, "via").and_then(|via| via.parse().ok());
            let any = if via.is_some_and(|via| via.is_ipv6()) { "::/0" } else { "0.0.0.0/0" };
            any.parse().ok()
        }
        text => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)),
    }
}

fn route_text(row: &Value) -> String {
    let mut text = text_of(row, "to").unwrap_or("?").to_owned();
    for key in ["via", "dev"] {
        if let Some(value) = text_of(row, key) {
            text.push_str(&format!(" {key} {value}"));
        }
    }
    match row["metric"].as_u64() {
        Some(metric) if metric > 0 => format!("{text} metric {metric}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn destinations_of_routes() {
        let to = |row: Value| destination(&row).map(|net| net.to_string());
        assert_eq!(to(json!({"to": "10.0.0.0/8"})).unwrap(), "10.0.0.0/8");
        assert_eq!(to(json!({"to": "default", "via": "10.0.0.1"})).unwrap(), "0.0.0.0/0");
        assert_eq!(to(json!({"to": "default", "via": "fe80::1"})).unwrap(), "::/0");
        assert_eq!(to(json!({"to": "10.0.0.7"})).unwrap(), "10.0.0.7/32");
        assert_eq!(to(json!({"to": "x"})), None);
        assert_eq!(to(json!({})), None);
    }

    #[test]
    fn what_was_thrown_away_and_why() {
        let of = |group: &str, name: &str| {
            reason(&json!({"group": group, "name": name, "value": 1})).map(str::to_owned)
        };
        assert_eq!(of("drop", "ipTtlExceeded").unwrap(), "ipTtlExceeded");
        assert_eq!(of("if:eth0", "drop.partitioned").unwrap(), "partitioned");
        assert_eq!(of("if:eth0", "impairLost").unwrap(), "impairLost");
        assert_eq!(of("if:eth0", "ifInPackets"), None);
        assert_eq!(of("udp", "udpInErrors"), None);
    }
}
