//! For Markdown: a Mermaid flowchart. Routers are rounded, buses are stadiums.

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
    // Names may hold `-` and `.`, and `end` is a word of Mermaid: the identifiers are numbers.
    writeln!(out, "flowchart TD")?;
    for (at, node) in lab.nodes.values().enumerate() {
        let lo: String = node.loopback.iter().map(|net| format!("<br/>{}", net.addr())).collect();
        let label = format!("\"{}{lo}\"", node.name);
        if node.forward {
            writeln!(out, "  n{at}({label}):::router")?;
        } else {
            writeln!(out, "  n{at}[{label}]:::host")?;
        }
    }
    for (at, bus) in lab.buses.values().enumerate() {
        let nets: String = subnets(lab, bus).iter().map(|net| format!("<br/>{net}")).collect();
        writeln!(out, "  b{at}([\"{}{nets}\"]):::bus", bus.name)?;
        for member in &bus.members {
            let Some(node) = lab.nodes.get_index_of(&member.node) else { continue };
            let Some(interface) = lab.interface(member) else { continue };
            let addrs: String = interface.addrs.iter().map(|net| format!("<br/>{}", net.addr())).collect();
            let slaac = slaac(interface).map(|word| format!("<br/>{word}")).unwrap_or_default();
            writeln!(out, "  n{node} ---|\"{}{addrs}{slaac}\"| b{at}", member.interface)?;
        }
    }
    writeln!(out, "  classDef router fill:#dbeafe,stroke:#2563eb,stroke-width:2px,color:#1e3a8a")?;
    writeln!(out, "  classDef host fill:#ffffff,stroke:#334155,color:#0f172a")?;
    writeln!(out, "  classDef bus fill:#e2e8f0,stroke:#94a3b8,color:#334155")
}
