//! `ip` (iproute2), as far as scripts use it: what a route says of TCP, the tunnel's MTU, addresses, and
//! flushing of what this stack does not keep.
//!
//! There is one peer, so what a route says of it is said of all: `initcwnd`, `rto_min`, `congctl` become
//! the stack's values, `mtu` the tunnel's. What a route cannot change here (`quickack`, `initrwnd`,
//! `advmss`, `window` …) is accepted and named.

use super::Output;
use crate::host::TUN;
use crate::node::Node;
use ipnet::IpNet;
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{InitialWindow, TcpConfig};
use netstack::time::Duration;

pub(super) fn run(node: &Node, arguments: &[&str]) -> Output {
    // `-4`, `-o`, `-s` …
    let words: Vec<&str> = arguments.iter().copied().skip_while(|word| word.starts_with('-')).collect();
    let is = |word: &str, whole: &str| !word.is_empty() && whole.starts_with(word);
    match words.as_slice() {
        // No metrics are kept.
        [object, ..] if is(object, "tcp_metrics") || *object == "tcpmetrics" => Output::ok(""),
        [object, "change" | "replace" | "add" | "append", route @ ..] if is(object, "route") => {
            change(node, route)
        }
        // Everything is reached by one route, which stays.
        [object, "del" | "delete" | "flush", ..] if is(object, "route") => Output::ok(""),
        [object, "set", link @ ..] if is(object, "link") => set_link(node, link),
        [object, "add" | "replace" | "change", address, ..] if is(object, "address") => learn(node, address),
        _ => Output::failed(1, format!("ip: `{}` is not there in the stack under test", words.join(" "))),
    }
}

/// What a route says besides where it leads.
fn change(node: &Node, words: &[&str]) -> Output {
    let mut done = Output::default();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let takes_value = [
            "via",
            "dev",
            "src",
            "metric",
            "proto",
            "scope",
            "table",
            "initcwnd",
            "initrwnd",
            "mtu",
            "rto_min",
            "congctl",
            "quickack",
            "advmss",
            "window",
            "rtt",
            "rttvar",
            "ssthresh",
            "cwnd",
            "reordering",
            "hoplimit",
            "features",
        ];
        if !takes_value.contains(&word) {
            continue; // the destination, and words that stand alone
        }
        // `mtu lock 1400`
        let mut value = words.next().unwrap_or("");
        if value == "lock" {
            value = words.next().unwrap_or("");
        }
        let bad = || {
            Output::failed(255, format!("Error: argument \"{value}\" is wrong: \"{word}\" value is invalid"))
        };
        let turned =
            match word {
                "via" | "dev" | "src" | "metric" | "proto" | "scope" | "table" => Some(Output::default()),
                "initcwnd" => value.parse().ok().filter(|n| *n > 0).map(|n: u32| {
                    turn(node, move |config| config.initial_window = InitialWindow::Segments(n))
                }),
                "rto_min" => duration(value).map(|time| turn(node, move |config| config.rto_min = time)),
                "congctl" => Algorithm::by_name(value)
                    .map(|algorithm| turn(node, move |config| config.congestion_control = algorithm)),
                "mtu" => value.parse().ok().map(|mtu| set_mtu(node, mtu)),
                _ => Some(Output { err: format!("ip: {word} {value}: no effect\n"), ..Output::default() }),
            };
        done.then(turned.unwrap_or_else(bad));
    }
    done
}

fn set_link(node: &Node, words: &[&str]) -> Output {
    match words.iter().position(|word| *word == "mtu").map(|at| words.get(at + 1)) {
        Some(value) => match value.and_then(|mtu| mtu.parse().ok()) {
            Some(mtu) => set_mtu(node, mtu),
            None => Output::failed(255, "Error: argument of \"mtu\" is wrong"),
        },
        // Up, queues and the like: so it is.
        None => Output::ok(""),
    }
}

fn set_mtu(node: &Node, mtu: u32) -> Output {
    let set = node.ask(move |host| {
        host.kernel().with_stack(|stack, _| {
            let tun = stack.if_by_name(TUN);
            tun.is_some_and(|tun| stack.if_set_mtu(tun, mtu).is_ok())
        })
    });
    match set {
        Ok(true) => Output::ok(""),
        Ok(false) => Output::failed(2, "Error: mtu is not between 68 and 65535"),
        Err(errno) => Output::failed(1, format!("ip: {errno}")),
    }
}

fn learn(node: &Node, address: &str) -> Output {
    let addr = address.parse::<IpNet>().map(|net| net.addr()).or_else(|_| address.parse());
    match addr {
        Ok(std::net::IpAddr::V4(addr)) => match node.ask(move |host| host.learn(addr)) {
            Ok(()) => Output::ok(""),
            Err(errno) => Output::failed(1, format!("ip: {errno}")),
        },
        Ok(std::net::IpAddr::V6(_)) => Output::failed(2, "Error: IPv6 is not there in the stack under test"),
        Err(_) => Output::failed(1, format!("Error: any valid prefix is expected rather than \"{address}\"")),
    }
}

fn turn(node: &Node, change: impl FnOnce(&mut TcpConfig) + Send + 'static) -> Output {
    let turned = node.ask(move |host| {
        host.kernel().with_stack(|stack, _| {
            let mut config = stack.tcp_config().clone();
            change(&mut config);
            stack.set_tcp_config(config);
        })
    });
    turned.map_or_else(|errno| Output::failed(1, format!("ip: {errno}")), |()| Output::ok(""))
}

/// `200ms`, `1s`; a bare number is milliseconds.
fn duration(text: &str) -> Option<Duration> {
    let (digits, unit): (_, fn(u64) -> Duration) = match text.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis),
        None => match text.strip_suffix('s') {
            Some(digits) => (digits, Duration::from_secs),
            None => (text, Duration::from_millis),
        },
    };
    digits.parse::<u32>().ok().map(|n| unit(n.into())).filter(|time| !time.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;

    #[test]
    fn what_a_route_says_of_tcp_becomes_so() {
        let node = Node::start(Flags::parse("").unwrap()).unwrap();
        let run = |line: &str| run(&node, &line.split(' ').collect::<Vec<_>>());
        assert_eq!(run("tcp_metrics flush all"), Output::default());
        let line = "route change 192.0.2.0/24 via 192.168.0.1 dev tun0 \
            initcwnd 20 mtu lock 1400 rto_min 50ms congctl reno";
        assert_eq!(run(line), Output::default());
        let (config, mtu) = node
            .ask(|host| {
                host.kernel().with_stack(|stack, _| {
                    let tun = stack.interface(stack.if_by_name(TUN).unwrap()).unwrap();
                    (stack.tcp_config().clone(), tun.mtu)
                })
            })
            .unwrap();
        assert_eq!(config.initial_window, InitialWindow::Segments(20));
        assert_eq!((config.rto_min, mtu), (Duration::from_millis(50), 1400));
        assert_eq!(config.congestion_control, Algorithm::NewReno);
        assert_eq!(run("ro change default via 1.2.3.4 quickack 1").err, "ip: quickack 1: no effect\n");
        assert_eq!(run("route change default initcwnd many").status, 255);
        assert_eq!(run("link set dev tun0 mtu 9000"), Output::default());
        assert_eq!(
            run("link set dev tun0 mtu 9"),
            Output::failed(2, "Error: mtu is not between 68 and 65535")
        );
        assert_eq!(run("addr add 10.1.2.3/8 dev tun0"), Output::default());
        assert_eq!(run("xfrm state").status, 1);
    }
}
