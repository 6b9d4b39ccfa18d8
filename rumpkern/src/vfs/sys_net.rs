//! `/sys/class/net`: what sysfs tells of an interface, as of a veth.

use super::{Entry, Opened, directory_of};
use crate::ifs::flags;
use crate::kernel::Kernel;
use crate::syscall::Errno;
use netstack::net::ifnet::Ifnet;
use netstack::stack::StackConfig;

/// Every file of an interface, in order.
const FILES: &[&str] = &[
    "addr_assign_type",
    "addr_len",
    "address",
    "broadcast",
    "carrier",
    "carrier_changes",
    "carrier_down_count",
    "carrier_up_count",
    "dev_id",
    "dev_port",
    "dormant",
    "duplex",
    "flags",
    "gro_flush_timeout",
    "ifalias",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "napi_defer_hard_irqs",
    "netdev_group",
    "operstate",
    "proto_down",
    "queues/rx-0/rps_cpus",
    "queues/rx-0/rps_flow_cnt",
    "queues/tx-0/tx_maxrate",
    "queues/tx-0/tx_timeout",
    "speed",
    "statistics/collisions",
    "statistics/multicast",
    "statistics/rx_bytes",
    "statistics/rx_compressed",
    "statistics/rx_crc_errors",
    "statistics/rx_dropped",
    "statistics/rx_errors",
    "statistics/rx_fifo_errors",
    "statistics/rx_frame_errors",
    "statistics/rx_length_errors",
    "statistics/rx_missed_errors",
    "statistics/rx_nohandler",
    "statistics/rx_over_errors",
    "statistics/rx_packets",
    "statistics/tx_aborted_errors",
    "statistics/tx_bytes",
    "statistics/tx_carrier_errors",
    "statistics/tx_compressed",
    "statistics/tx_dropped",
    "statistics/tx_errors",
    "statistics/tx_fifo_errors",
    "statistics/tx_heartbeat_errors",
    "statistics/tx_packets",
    "statistics/tx_window_errors",
    "testing",
    "threaded",
    "tx_queue_len",
    "type",
    "uevent",
];

/// The file or directory `below` `/sys/class/net`.
pub(super) fn open(kernel: &Kernel, below: &str) -> Result<Opened, Errno> {
    let stack = kernel.stack.borrow();
    if below.is_empty() {
        let entries = stack.interfaces().map(|ifnet| Entry::directory(&ifnet.name)).collect();
        return Ok(Opened::Directory(entries));
    }
    let (name, file) = below.split_once('/').unwrap_or((below, ""));
    let ifnet = stack.interfaces().find(|ifnet| ifnet.name == name).ok_or(Errno::ENOENT)?;
    match FILES.contains(&file) {
        true => read(ifnet, stack.config(), file).map(|text| Opened::Octets(text.into_bytes())),
        false => directory_of(FILES.iter().copied(), file),
    }
}

/// `EINVAL`: there is such a file, but reading it fails, as on Linux while the interface is down.
fn read(ifnet: &Ifnet, config: &StackConfig, file: &str) -> Result<String, Errno> {
    if let Some(counter) = file.strip_prefix("statistics/") {
        return Ok(format!("{}\n", statistic(ifnet, counter)));
    }
    let ethernet = !ifnet.loopback;
    let text = match file {
        // Given by whoever made the interface (NET_ADDR_SET); the loopback's is permanent.
        "addr_assign_type" => if ethernet { "3" } else { "0" }.to_owned(),
        "addr_len" => "6".to_owned(),
        "address" => ifnet.mac.to_string(),
        "broadcast" => if ethernet { "ff:ff:ff:ff:ff:ff" } else { "00:00:00:00:00:00" }.to_owned(),
        "carrier" if ifnet.up => u8::from(ifnet.carrier).to_string(),
        "duplex" if ifnet.up && ethernet => "full".to_owned(),
        // Of a veth: nothing is so slow here, and nothing limited.
        "speed" if ifnet.up && ethernet => "10000".to_owned(),
        "carrier" | "duplex" | "speed" => return Err(Errno::EINVAL),
        "dev_id" => "0x0".to_owned(),
        "flags" => format!("{:#x}", flags::in_sysfs(ifnet)),
        "ifalias" => return Ok(String::new()),
        "ifindex" | "iflink" => ifnet.index.0.to_string(),
        "mtu" => ifnet.mtu.to_string(),
        // The name was chosen by whoever made it (NET_NAME_USER); the loopback's by the kernel (NET_NAME_PREDICTABLE).
        "name_assign_type" => if ethernet { "3" } else { "2" }.to_owned(),
        "operstate" => operstate(ifnet).to_owned(),
        "tx_queue_len" => config.tx_queue.to_string(),
        "type" => flags::hardware(ifnet).to_string(),
        "uevent" => format!("INTERFACE={}\nIFINDEX={}", ifnet.name, ifnet.index.0),
        "queues/tx-0/tx_timeout" | "queues/tx-0/tx_maxrate" | "queues/rx-0/rps_flow_cnt" => "0".to_owned(),
        // Nothing is counted or can be set there.
        _ => "0".to_owned(),
    };
    Ok(text + "\n")
}

/// RFC 2863's ifOperStatus, as Linux has it.
fn operstate(ifnet: &Ifnet) -> &'static str {
    match (ifnet.loopback, ifnet.up, ifnet.carrier) {
        (true, true, _) => "unknown",
        (_, false, _) => "down",
        (false, true, true) => "up",
        (false, true, false) => "lowerlayerdown",
    }
}

fn statistic(ifnet: &Ifnet, name: &str) -> u64 {
    let c = &ifnet.counters;
    match name {
        "multicast" => c.in_multicast,
        "rx_bytes" => c.in_octets,
        "rx_dropped" => c.in_discards,
        "rx_packets" => c.in_packets,
        "tx_bytes" => c.out_octets,
        "tx_dropped" => c.out_discards,
        "tx_packets" => c.out_packets,
        _ => 0,
    }
}

/// Files that only take the value that they have.
const FIXED: [&str; 8] = [
    "carrier",
    "gro_flush_timeout",
    "ifalias",
    "napi_defer_hard_irqs",
    "netdev_group",
    "proto_down",
    "threaded",
    "tx_queue_len",
];

/// Whether the file `below` `/sys/class/net` may be written.
pub(super) fn is_writable(below: &str) -> bool {
    let file = below.split_once('/').map_or("", |(_, file)| file);
    matches!(file, "mtu" | "flags") || FIXED.contains(&file)
}

/// Changes what can be changed: `mtu`, `flags` (up and down). What else Linux lets one write takes only the value that it has.
pub(super) fn write(kernel: &Kernel, below: &str, text: &str) -> Result<(), Errno> {
    let (name, file) = below.split_once('/').ok_or(Errno::EISDIR)?;
    let ifindex = kernel.stack.borrow().if_by_name(name).ok_or(Errno::ENOENT)?;
    match file {
        "mtu" => {
            let mtu = text.trim().parse().map_err(|_| Errno::EINVAL)?;
            kernel.if_set_mtu(ifindex, mtu).map_err(|_| Errno::EINVAL)
        }
        "flags" => {
            let value = number(text).ok_or(Errno::EINVAL)?;
            kernel.if_set_up(ifindex, value & flags::IFF_UP != 0).map_err(|_| Errno::EINVAL)
        }
        _ if FIXED.contains(&file) => {
            let stack = kernel.stack.borrow();
            let ifnet = stack.interface(ifindex).ok_or(Errno::ENOENT)?;
            let same = read(ifnet, stack.config(), file)?.trim_end() == text.trim();
            if same { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
        }
        _ if FILES.contains(&file) => Err(Errno::EACCES),
        _ => Err(Errno::ENOENT),
    }
}

/// A number as `strtoul(3)` reads it with base 0.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
