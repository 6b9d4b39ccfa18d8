//! `labctl show addr|route|neigh|sockets|stats NODE`: a node's tables, as `ip`, `ss` and `netstat -s` print them.

use super::family::Families;
use super::{Exit, Failure, Global, Output, running};
use crate::ui::{Align, Table};
use rumpkern::ctl::proto;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum What {
    /// Interfaces and their addresses
    Addr,
    /// The routing table
    Route,
    /// Neighbours and their Ethernet addresses
    Neigh,
    /// Sockets
    Sockets,
    /// Counters, and every drop with its reason
    Stats,
}

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which table
    table: What,
    /// The node
    node: String,
    /// Counters that are zero, too
    #[arg(short, long)]
    all: bool,
    /// What TCP knows of each connection, too (times in milliseconds, windows in octets)
    #[arg(short, long)]
    info: bool,
    #[command(flatten)]
    families: Families,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    if args.table == What::Stats && args.families.only().is_some() {
        let mend = "`labctl show stats NODE` has the counters of both".to_owned();
        return Err(Failure::usage("-4 and -6 choose addresses, and counters have none", mend));
    }
    let session = running::session(global)?;
    let rows = |table| session.show(&args.node, table).map(|rows| chosen(rows, args.table, args.families));
    if global.json {
        let rows = rows(match args.table {
            What::Addr => proto::Table::Addr,
            What::Route => proto::Table::Route,
            What::Neigh => proto::Table::Neigh,
            What::Sockets => proto::Table::Sockets,
            What::Stats => proto::Table::Stats,
        })?;
        out.json(&rows)?;
        return Ok(Exit::Done);
    }
    let text = text(args.table, args.all, args.info, rows)?;
    out.write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

/// A table as a person reads it, of the rows that a node has.
pub(super) fn text<E>(
    table: What,
    all: bool,
    info: bool,
    rows: impl Fn(proto::Table) -> Result<Vec<Value>, E>,
) -> Result<String, E> {
    Ok(match table {
        What::Addr => addr(&rows(proto::Table::Interfaces)?, &rows(proto::Table::Addr)?),
        What::Route => rows(proto::Table::Route)?.iter().map(|row| route(row) + "\n").collect(),
        What::Neigh => rows(proto::Table::Neigh)?.iter().map(|row| neigh(row) + "\n").collect(),
        What::Sockets => sockets(&rows(proto::Table::Sockets)?, info),
        What::Stats => stats(&rows(proto::Table::Stats)?, all),
    })
}

/// The rows of the families that were chosen; of an interface, those of its addresses.
fn chosen(mut rows: Vec<Value>, table: What, families: Families) -> Vec<Value> {
    let key = match table {
        What::Addr | What::Neigh => "address",
        What::Route => "to",
        What::Sockets => "local",
        What::Stats => return rows,
    };
    rows.retain_mut(|row| match row.get_mut("addresses") {
        Some(Value::Array(addresses)) => {
            addresses.retain(|address| address.as_str().is_some_and(|text| families.takes(text)));
            families.only().is_none() || !addresses.is_empty()
        }
        _ => families.takes(row[key].as_str().unwrap_or_default()),
    });
    rows
}

/// A cell as text, without quotes; nothing for what is not there.
fn cell(row: &Value, key: &str) -> String {
    match &row[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `key value`, as iproute2 writes it; nothing for what is not there.
fn pair(row: &Value, key: &str) -> String {
    match cell(row, key) {
        text if text.is_empty() => text,
        text => format!(" {key} {text}"),
    }
}

/// What is special about an address, in the order of `ip address`.
const FLAGS: [&str; 6] = ["temporary", "dynamic", "dadfailed", "tentative", "optimistic", "deprecated"];

/// As `ip address`: interfaces, and what is special about their addresses.
fn addr(rows: &[Value], addresses: &[Value]) -> String {
    let mut text = String::new();
    for (index, row) in (1..).zip(rows) {
        let bus = cell(row, "bus");
        let at = if bus.is_empty() { bus } else { format!("@{}", bus.rsplit('/').next().unwrap_or_default()) };
        let state = if row["up"].as_bool() == Some(true) { "UP" } else { "DOWN" };
        let _ = writeln!(text, "{index}: {}{at}: <{state}> mtu {}", cell(row, "name"), cell(row, "mtu"));
        if !cell(row, "mac").is_empty() {
            let _ = writeln!(text, "    link/ether {}", cell(row, "mac"));
        }
        for address in row["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let family = if address.contains(':') { "inet6" } else { "inet" };
            let known = addresses.iter().find(|known| known["if"] == row["name"] && known["address"] == address);
            let is_so = |flag: &&&str| known.is_some_and(|known| known[**flag].as_bool() == Some(true));
            let flags: String = FLAGS.iter().filter(is_so).map(|flag| format!(" {flag}")).collect();
            let lives = ["valid_s", "preferred_s"].map(|key| known.map_or(String::new(), |known| cell(known, key)));
            let _ = writeln!(text, "    {family} {address}{flags}");
            if let [valid, preferred] = &lives
                && !valid.is_empty()
            {
                let or_ever = |text: &String| if text.is_empty() { "forever".into() } else { format!("{text}sec") };
                let _ = writeln!(text, "       valid_lft {} preferred_lft {}", or_ever(valid), or_ever(preferred));
            }
        }
    }
    text
}

/// As `ip route`.
fn route(row: &Value) -> String {
    let to = match cell(row, "to").as_str() {
        "0.0.0.0/0" | "::/0" => "default".to_owned(),
        other => other.strip_suffix("/32").or(other.strip_suffix("/128")).unwrap_or(other).to_owned(),
    };
    let metric = if row["metric"].as_u64().unwrap_or(0) == 0 { String::new() } else { pair(row, "metric") };
    format!("{to}{}{}{}{metric}", pair(row, "via"), pair(row, "dev"), pair(row, "proto"))
}

/// As `ip neigh`.
fn neigh(row: &Value) -> String {
    let mac = match cell(row, "mac") {
        mac if mac.is_empty() => mac,
        mac => format!(" lladdr {mac}"),
    };
    let router = if row["router"].as_bool() == Some(true) { " router" } else { "" };
    let state = cell(row, "state").to_uppercase();
    format!("{}{}{mac}{router} {state}", cell(row, "address"), pair(row, "dev"))
}

/// As `ss`, with `info` as `ss -i`: below each connection what TCP knows of it.
fn sockets(rows: &[Value], info: bool) -> String {
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("Netid", left),
        ("State", left),
        ("Recv-Q", right),
        ("Send-Q", right),
        ("Local", left),
        ("Peer", left),
    ]);
    for row in rows {
        table.row(["proto", "state", "recv_q", "send_q", "local", "remote"].map(|key| match cell(row, key) {
            text if text.is_empty() => "*".into(),
            text => text,
        }));
    }
    let table = table.to_string();
    let (head, lines) = table.split_once('\n').unwrap_or((&table, ""));
    let mut text = format!("{head}\n");
    for (line, row) in lines.lines().zip(rows) {
        let _ = writeln!(text, "{line}");
        if info && row["info"].is_object() {
            let _ = writeln!(text, "\t {}", tcp_info(&row["info"]));
        }
    }
    text
}

/// In the words of `ss -i`; `profile` is ours.
fn tcp_info(info: &Value) -> String {
    let ms = |key: &str| info[key].as_f64().map(|us| (us.round() / 1000.0).to_string()).unwrap_or_default();
    let both = |a: String, b: String, between: char| {
        if a.is_empty() { a } else { format!("{a}{between}{b}") }
    };
    let words = [
        ("profile", cell(info, "profile")),
        ("cc", cell(info, "congestion_control")),
        ("wscale", both(cell(info, "snd_wscale"), cell(info, "rcv_wscale"), ',')),
        ("rto", ms("rto_us")),
        ("rtt", both(ms("rtt_us"), ms("rttvar_us"), '/')),
        ("minrtt", ms("min_rtt_us")),
        ("mss", cell(info, "snd_mss")),
        ("pmtu", cell(info, "pmtu")),
        ("rcvmss", cell(info, "rcv_mss")),
        ("advmss", cell(info, "advmss")),
        ("cwnd", cell(info, "snd_cwnd")),
        ("ssthresh", cell(info, "snd_ssthresh")),
        ("snd_wnd", cell(info, "snd_wnd")),
        ("rcv_wnd", cell(info, "rcv_wnd")),
        ("unacked", cell(info, "in_flight")),
        ("retrans", both(cell(info, "retransmits"), cell(info, "total_retrans"), '/')),
        ("bytes_acked", cell(info, "octets_acked")),
        ("bytes_received", cell(info, "octets_received")),
    ];
    let said = words.iter().filter(|(_, value)| !value.is_empty());
    said.map(|(word, value)| format!("{word}:{value}")).collect::<Vec<_>>().join(" ")
}

/// As `netstat -s`: a paragraph a protocol.
fn stats(rows: &[Value], all: bool) -> String {
    let shown: Vec<_> = rows.iter().filter(|row| all || row["value"].as_u64() != Some(0)).collect();
    let width = shown.iter().map(|row| cell(row, "value").len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = String::new();
    for row in shown {
        let own = cell(row, "group");
        if own != group {
            let _ = writeln!(text, "{own}:");
            group = own;
        }
        let _ = writeln!(text, "    {:>width$}  {}", cell(row, "value"), cell(row, "name"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn routes_and_neighbours_read_as_iproute2_prints_them() {
        let row = json!({"to": "0.0.0.0/0", "via": "10.0.1.1", "dev": "eth0", "metric": 0, "proto": "static"});
        assert_eq!(route(&row), "default via 10.0.1.1 dev eth0 proto static");
        let row = json!({"to": "192.0.2.1/32", "via": null, "dev": "eth0", "metric": 5, "proto": "kernel"});
        assert_eq!(route(&row), "192.0.2.1 dev eth0 proto kernel metric 5");
        let row = json!({"address": "10.0.1.1", "mac": "02:00:00:00:00:01", "dev": "eth0", "state": "reachable"});
        assert_eq!(neigh(&row), "10.0.1.1 dev eth0 lladdr 02:00:00:00:00:01 REACHABLE");
        let row = json!({"address": "10.0.1.9", "mac": null, "dev": "eth0", "state": "failed"});
        assert_eq!(neigh(&row), "10.0.1.9 dev eth0 FAILED");
    }

    #[derive(clap::Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn one_family_can_be_chosen() {
        let rows = || {
            vec![
                json!({"name": "lo", "addresses": ["127.0.0.1/8"]}),
                json!({"name": "eth0", "addresses": ["10.0.1.2/24", "fd00::2/64"]}),
            ]
        };
        let of = |option: &[&str], table, rows| {
            let words = [&["show", "addr", "h1"], option].concat();
            let Alone { args } = clap::Parser::try_parse_from(words).unwrap();
            json!(chosen(rows, table, args.families))
        };
        assert_eq!(of(&[], What::Addr, rows()), json!(rows()));
        assert_eq!(of(&["-6"], What::Addr, rows()), json!([{"name": "eth0", "addresses": ["fd00::2/64"]}]));
        let routes = || vec![json!({"to": "0.0.0.0/0"}), json!({"to": "::/0"})];
        assert_eq!(of(&["-4"], What::Route, routes()), json!([{"to": "0.0.0.0/0"}]));
        let sockets = || vec![json!({"local": "[::]:80"}), json!({"local": "0.0.0.0:80"}), json!({"local": null})];
        assert_eq!(of(&["-6"], What::Sockets, sockets()), json!([{"local": "[::]:80"}]));
        assert_eq!(of(&[], What::Sockets, sockets()), json!(sockets()));
    }

    #[test]
    fn counters_are_grouped_and_zeros_are_left_out() {
        let rows = [
            json!({"group": "ip", "name": "in_receives", "value": 12}),
            json!({"group": "ip", "name": "in_discards", "value": 0}),
            json!({"group": "tcp", "name": "out_segs", "value": 3}),
        ];
        assert_eq!(stats(&rows, false), "ip:\n    12  in_receives\ntcp:\n     3  out_segs\n");
        assert!(stats(&rows, true).contains("     0  in_discards\n"));
    }

    #[test]
    fn what_tcp_knows_stands_below_its_connection_if_asked_for() {
        let rows = [
            json!({"proto": "udp", "state": "OPEN", "local": "0.0.0.0:53", "remote": null, "recv_q": 0, "send_q": 0}),
            json!({"proto": "tcp", "state": "LISTEN", "local": "0.0.0.0:7", "remote": null, "recv_q": 0, "send_q": 0,
                "info": {"profile": "freebsd", "congestion_control": "reno", "rto_us": 230000.0, "rtt_us": null,
                    "snd_wscale": 6, "rcv_wscale": 7, "snd_cwnd": 14480}}),
        ];
        let (short, long) = (sockets(&rows, false), sockets(&rows, true));
        let info = "\t profile:freebsd cc:reno wscale:6,7 rto:230 cwnd:14480\n";
        assert_eq!(long, format!("{short}{info}"));
        assert_eq!(short.lines().count(), 3, "{short}");
        assert_eq!(sockets(&[], true), "Netid  State  Recv-Q  Send-Q  Local  Peer\n");
    }

    #[test]
    fn addresses_stand_below_their_interface() {
        let rows = [json!({"name": "eth0", "bus": "/run/x/bus/left", "mac": "02:00:00:00:00:01", "mtu": 1500, "up": true,
            "addresses": ["10.0.1.2/24", "fd00::2/64"]})];
        let want = "1: eth0@left: <UP> mtu 1500\n    link/ether 02:00:00:00:00:01\n    inet 10.0.1.2/24\n    inet6 fd00::2/64";
        assert_eq!(addr(&rows, &[]), format!("{want}\n"));
        let known = json!({"if": "eth0", "address": "fd00::2/64", "optimistic": true, "dynamic": true, "valid_s": 100});
        let flags = " dynamic optimistic\n       valid_lft 100sec preferred_lft forever\n";
        assert_eq!(addr(&rows, &[known]), format!("{want}{flags}"));
    }
}
