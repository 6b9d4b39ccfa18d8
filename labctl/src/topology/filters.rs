//! Filters of `wire` checks: read with the names of the lab, so that a slip is found before anything is started.

use std::net::IpAddr;

use ipnet::IpNet;

use super::diag::{Code, Diag};
use super::model::{Interface, Lab};
use super::read::{Cx, Sp};
use crate::capture::filter::{Filter, Resolve};

/// Notes the faults of filters.
pub(super) fn check(filters: &[Sp<String>], lab: &Lab, cx: &mut Cx) {
    for filter in filters {
        let Err(fault) = Filter::parse(filter, lab) else { continue };
        let mut span = filter.span.clone();
        // Quoted once and without escapes: the place in the filter is a place in the file.
        if span.len() == filter.len() + 2 {
            let at = |offset: usize| filter.span.start + 1 + offset.min(filter.len());
            span = at(fault.at.start)..at(fault.at.end.max(fault.at.start + 1));
        }
        let mut diag = Diag::new(Code::BadFilter, span, fault.fault.to_string());
        diag.hint = fault.hint;
        cx.push(diag);
    }
}

impl Lab {
    /// The interfaces that `h1` or `h1:eth0` names.
    fn named<'l>(&'l self, name: &str) -> impl Iterator<Item = &'l Interface> {
        let (node, interface) = match name.split_once(':') {
            Some((node, interface)) => (node, Some(interface.to_owned())),
            None => (name, None),
        };
        let all = self.nodes.get(node).into_iter().flat_map(|node| &node.interfaces);
        all.filter(move |i| interface.as_ref().is_none_or(|name| *name == i.name))
    }
}

impl Resolve for Lab {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let loopback = self.nodes.get(name).into_iter().flat_map(|node| &node.loopback);
        loopback.chain(self.named(name).flat_map(|i| &i.addrs)).map(IpNet::addr).collect()
    }

    fn macs(&self, name: &str) -> Vec<[u8; 6]> {
        self.named(name).map(|i| i.mac.0).collect()
    }

    fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }
}
