//! For Graphviz. Buses are bars, nodes boxes, and each line says interface and address.

use std::fmt::Write;

use super::sheet::{slaac, subnets};
use crate::topology::model::Lab;

pub(super) fn draw(lab: &Lab) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(lab, &mut out);
    out
}

fn write(lab: &Lab, out: &mut String) -> std::fmt::Result {
    writeln!(out, "graph \"{}\" {{", lab.name)?;
    writeln!(out, "  graph [overlap=false, splines=true, fontname=\"sans-serif\"]")?;
    writeln!(out, "  node [fontname=\"sans-serif\", fontsize=11]")?;
    writeln!(out, "  edge [fontname=\"sans-serif\", fontsize=9, color=\"#64748b\"]")?;
    for bus in lab.buses.values() {
        let nets: String = subnets(lab, bus).iter().map(|net| format!("\\n{net}")).collect();
        let style = "shape=box, style=filled, fillcolor=\"#e2e8f0\", color=\"#94a3b8\", height=0.2";
        writeln!(out, "  \"bus {}\" [label=\"{}{nets}\", {style}]", bus.name, bus.name)?;
    }
    for node in lab.nodes.values() {
        let style = if node.forward {
            "shape=box, style=\"rounded,filled,bold\", fillcolor=\"#dbeafe\", color=\"#2563eb\""
        } else {
            "shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#334155\""
        };
        let lo: String = node.loopback.iter().map(|net| format!("\\n{}", net.addr())).collect();
        writeln!(out, "  \"{}\" [label=\"{}{lo}\", {style}]", node.name, node.name)?;
    }
    for node in lab.nodes.values() {
        for interface in &node.interfaces {
            let addrs: String = interface.addrs.iter().map(|net| format!("\\n{net}")).collect();
            let slaac = slaac(interface).map(|word| format!("\\n{word}")).unwrap_or_default();
            let label = format!("{}{addrs}{slaac}", interface.name);
            writeln!(out, "  \"{}\" -- \"bus {}\" [label=\"{label}\"]", node.name, interface.bus)?;
        }
    }
    writeln!(out, "}}")
}
