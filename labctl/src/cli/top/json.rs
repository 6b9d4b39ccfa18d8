//! What `top --json` prints: an object a look and a line.
//!
//! ```json
//! {"lab": "hello", "seconds": 12.3,
//!  "nodes": [{"name": "h1", "state": "running", "pid": 7, "cpu_percent": 1.5, "resident_octets": 4096000, "sockets": 2,
//!    "in_frames_per_second": 10.0, "in_octets_per_second": 980.0, "out_frames_per_second": 10.0,
//!    "out_octets_per_second": 980.0, "drops_per_second": 0.0, "programs": []}],
//!  "buses": [{"name": "left", "members": 2, "frames_per_second": 20.0, "bits_per_second": 15680.0,
//!    "lost_per_second": 0.0, "impaired_per_second": 0.0}]}
//! ```
//!
//! `seconds` are those since the lab's beginning. `state` is `ps`'s or `no answer`; `programs` are as `ps --json` has them.
//! `cpu_percent` is of one processor; frames and octets are those of all interfaces but `lo`, Ethernet headers included;
//! drops are those of the interfaces, impairments included. `lost` are frames that ports of a bus could not send or did not read
//! in time, `impaired` those that impairments kept from it. A rate that is not known is `null`: all of the first object.

use super::rates::{BusRow, NodeRow, Report};
use crate::cli::ps::program_json;
use serde_json::{Value, json};

pub(super) fn object(report: &Report) -> Value {
    let nodes: Vec<_> = report.nodes.iter().map(|row| node(row, report)).collect();
    json!({
        "lab": report.lab,
        "seconds": report.age.as_secs_f64(),
        "nodes": nodes,
        "buses": report.buses.iter().map(bus).collect::<Vec<_>>(),
    })
}

fn node(row: &NodeRow, report: &Report) -> Value {
    let programs = report.programs.iter().filter(|program| program.node == row.name);
    json!({
        "name": row.name,
        "state": row.state(),
        "pid": row.pid,
        "cpu_percent": row.cpu,
        "resident_octets": row.resident,
        "sockets": row.sockets,
        "in_frames_per_second": row.traffic.in_frames,
        "in_octets_per_second": row.traffic.in_octets,
        "out_frames_per_second": row.traffic.out_frames,
        "out_octets_per_second": row.traffic.out_octets,
        "drops_per_second": row.traffic.drops,
        "programs": programs.map(program_json).collect::<Vec<_>>(),
    })
}

fn bus(row: &BusRow) -> Value {
    json!({
        "name": row.name,
        "members": row.members,
        "frames_per_second": row.frames,
        "bits_per_second": row.bits,
        "lost_per_second": row.lost,
        "impaired_per_second": row.impaired,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::example;

    #[test]
    fn the_names_are_a_contract() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&object(&example::report())).unwrap());
    }
}
