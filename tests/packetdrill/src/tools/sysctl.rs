//! `sysctl`: of Linux (procps) and of FreeBSD, over the names that `netstack::tcp::sysctl` knows.
//!
//! Names that a real system has and this stack does not turn ([`FIXED`]) succeed, as there; what they are
//! set to has no effect, which is said unless `-q` or the value is what the stack does anyway.

use super::Output;
use crate::node::Node;
use netstack::tcp::sysctl::{self, SysctlError};
use rumpkern::syscall::Errno;

/// What the options ask for.
#[derive(Clone, Copy, Debug, Default)]
struct Style {
    /// `-n`: values without names.
    bare: bool,
    /// `-N`: names alone.
    names: bool,
    /// `-q`
    quiet: bool,
    /// `-e`, and FreeBSD's `-i`: unknown names are no error.
    lenient: bool,
}

pub(super) fn run(node: &Node, arguments: &[&str]) -> Output {
    let (mut style, mut all, mut names) = (Style::default(), false, Vec::new());
    for argument in arguments {
        match argument.strip_prefix('-') {
            Some("-all") => all = true,
            Some("-write" | "-quiet") => style.quiet |= *argument == "--quiet",
            Some(letters) if !letters.starts_with('-') && !letters.is_empty() => {
                for letter in letters.chars() {
                    match letter {
                        'a' => all = true,
                        'n' | 'b' => style.bare = true,
                        'N' => style.names = true,
                        'q' => style.quiet = true,
                        'e' | 'i' => style.lenient = true,
                        'w' | 'h' => {}
                        _ => return Output::failed(1, format!("sysctl: invalid option -- '{letter}'")),
                    }
                }
            }
            _ => names.push(*argument),
        }
    }
    let mut done = Output::default();
    if all {
        sysctl::names().for_each(|name| done.then(read(node, name, style)));
    }
    for name in names {
        done.then(match name.split_once('=') {
            Some((name, value)) => write(node, &dotted(name), value.trim(), style),
            None => read(node, &dotted(name), style),
        });
    }
    done
}

/// A name may be written as a path, and as that of the kernel's file.
fn dotted(name: &str) -> String {
    let name = name.trim();
    name.strip_prefix("/proc/sys/").unwrap_or(name).replace('/', ".")
}

fn read(node: &Node, name: &str, style: Style) -> Output {
    match value_of(node, name) {
        Ok(Some(_)) if style.names => Output::ok(format!("{name}\n")),
        Ok(Some(value)) if style.bare => Output::ok(format!("{value}\n")),
        Ok(Some(value)) => Output::ok(format!("{name}{}{value}\n", between(name))),
        Ok(None) => unknown(name, style),
        Err(errno) => dead(errno),
    }
}

fn write(node: &Node, name: &str, value: &str, style: Style) -> Output {
    let before = match value_of(node, name) {
        Ok(Some(before)) => before,
        Ok(None) => return unknown(name, style),
        Err(errno) => return dead(errno),
    };
    let (asked_name, asked_value) = (name.to_owned(), value.to_owned());
    let set = node.ask(move |host| {
        host.kernel().with_stack(|stack, _| {
            let mut config = stack.tcp_config().clone();
            sysctl::set(&mut config, &asked_name, &asked_value)?;
            stack.set_tcp_config(config);
            Ok(())
        })
    });
    let mut done = match set {
        Ok(Ok(())) => Output::default(),
        Ok(Err(SysctlError::Unknown(_))) => {
            // Only a fixed one gets here.
            let truth = FIXED.iter().find(|(fixed, _)| *fixed == name).and_then(|(_, truth)| *truth);
            match truth {
                Some(truth) if truth != value && !style.quiet => Output {
                    err: format!("sysctl: {name}: no effect, it stays {truth}\n"),
                    ..Output::default()
                },
                _ => Output::default(),
            }
        }
        Ok(Err(error @ (SysctlError::ReadOnly(_) | SysctlError::Invalid { .. }))) => {
            return Output::failed(1, format!("sysctl: setting key \"{name}\": {error}"));
        }
        Err(errno) => return dead(errno),
    };
    if !style.quiet {
        done.out += &match (is_freebsds(name), style.bare) {
            (true, false) => format!("{name}: {before} -> {value}\n"),
            (true, true) => format!("{before} -> {value}\n"),
            (false, false) => format!("{name} = {value}\n"),
            (false, true) => format!("{value}\n"),
        };
    }
    done
}

/// The value of a name that is known; a fixed one that has no truth is 0.
fn value_of(node: &Node, name: &str) -> Result<Option<String>, Errno> {
    let asked = name.to_owned();
    let value =
        node.ask(move |host| host.kernel().with_stack(|stack, _| sysctl::get(stack.tcp_config(), &asked)))?;
    let fixed =
        || FIXED.iter().find(|(fixed, _)| *fixed == name).map(|(_, truth)| truth.unwrap_or("0").to_owned());
    Ok(value.or_else(fixed))
}

fn is_freebsds(name: &str) -> bool {
    name.starts_with("net.inet.") || name.starts_with("kern.")
}

fn between(name: &str) -> &'static str {
    if is_freebsds(name) { ": " } else { " = " }
}

fn unknown(name: &str, style: Style) -> Output {
    match style.lenient {
        true => Output::default(),
        false if is_freebsds(name) => Output::failed(1, format!("sysctl: unknown oid '{name}'")),
        false => {
            let path = name.replace('.', "/");
            Output::failed(1, format!("sysctl: cannot stat /proc/sys/{path}: No such file or directory"))
        }
    }
}

fn dead(errno: Errno) -> Output {
    Output::failed(1, format!("sysctl: {errno}"))
}

/// Names of real systems that turn nothing here, and the value that describes what the stack does; `None`:
/// none does, or it does not matter to a script.
const FIXED: &[(&str, Option<&str>)] = &[
    ("net.core.default_qdisc", None),
    ("net.ipv4.ip_no_pmtu_disc", Some("0")),
    ("net.ipv4.tcp_app_win", None),
    ("net.ipv4.tcp_autocorking", Some("0")),
    ("net.ipv4.tcp_backlog_ack_defer", None),
    ("net.ipv4.tcp_challenge_ack_limit", None),
    ("net.ipv4.tcp_comp_sack_delay_ns", None),
    ("net.ipv4.tcp_comp_sack_nr", Some("0")),
    ("net.ipv4.tcp_comp_sack_slack_ns", None),
    ("net.ipv4.tcp_dsack", Some("1")),
    ("net.ipv4.tcp_early_demux", None),
    ("net.ipv4.tcp_early_retrans", Some("3")),
    ("net.ipv4.tcp_fack", Some("0")),
    ("net.ipv4.tcp_fastopen_blackhole_timeout_sec", None),
    ("net.ipv4.tcp_frto", Some("2")),
    ("net.ipv4.tcp_limit_output_bytes", None),
    ("net.ipv4.tcp_migrate_req", Some("0")),
    ("net.ipv4.tcp_min_rtt_wlen", None),
    ("net.ipv4.tcp_moderate_rcvbuf", Some("1")),
    ("net.ipv4.tcp_no_metrics_save", Some("1")),
    ("net.ipv4.tcp_no_ssthresh_metrics_save", Some("1")),
    ("net.ipv4.tcp_pacing_ca_ratio", None),
    ("net.ipv4.tcp_pacing_ss_ratio", None),
    ("net.ipv4.tcp_recovery", Some("1")),
    ("net.ipv4.tcp_reflect_tos", Some("0")),
    ("net.ipv4.tcp_retrans_collapse", Some("0")),
    ("net.ipv4.tcp_shrink_window", Some("0")),
    ("net.ipv4.tcp_stdurg", Some("0")),
    ("net.ipv4.tcp_syn_linear_timeouts", Some("0")),
    ("net.ipv4.tcp_thin_linear_timeouts", Some("0")),
    ("net.ipv4.tcp_tso_rtt_log", None),
    ("net.ipv4.tcp_tso_win_divisor", None),
    ("net.ipv4.tcp_workaround_signed_windows", Some("0")),
    ("net.mptcp.enabled", Some("0")),
    ("kern.timecounter.alloweddeviation", None),
    ("net.inet.tcp.blackhole", Some("0")),
    ("net.inet.tcp.delayed_ack", Some("1")),
    ("net.inet.tcp.do_prr", Some("1")),
    ("net.inet.tcp.drop_synfin", Some("0")),
    ("net.inet.tcp.fast_finwait2_recycle", Some("0")),
    ("net.inet.tcp.functions_default", Some("freebsd")),
    ("net.inet.tcp.hostcache.enable", Some("0")),
    ("net.inet.tcp.hostcache.purgenow", None),
    ("net.inet.tcp.log_in_vain", None),
    ("net.inet.tcp.path_mtu_discovery", Some("1")),
    ("net.inet.tcp.rfc1323", Some("1")),
    ("net.inet.tcp.rfc3042", Some("1")),
    ("net.inet.tcp.rfc3390", Some("1")),
    ("net.inet.tcp.tso", None),
    ("net.inet.tcp.ts_offset_per_conn", Some("1")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;

    #[test]
    fn both_systems_ways_to_read_and_write() {
        let node = Node::start(Flags::parse("").unwrap()).unwrap();
        let run = |line: &str| run(&node, &line.split(' ').collect::<Vec<_>>());
        assert_eq!(run("-n net.ipv4.tcp_sack").out, "1\n");
        assert_eq!(run("-q -w net.ipv4.tcp_sack=0"), Output::default());
        assert_eq!(run("net.ipv4.tcp_sack").out, "net.ipv4.tcp_sack = 0\n");
        assert_eq!(run("net.inet.tcp.sack.enable=1").out, "net.inet.tcp.sack.enable: 0 -> 1\n");
        assert_eq!(run("net/ipv4/tcp_sack net.ipv4.tcp_syn_retries=2").out.lines().count(), 2);
        assert_eq!(run("-q /proc/sys/net/ipv4/tcp_retries2=9"), Output::default());
        assert_eq!(run("-n net.ipv4.tcp_retries2").out, "9\n");
        assert_eq!(run("-n net.ipv4.tcp_syn_retries").out, "2\n");
        let buffers = ["-q", "net.ipv4.tcp_rmem=4096 540000 15728640"];
        assert_eq!(super::run(&node, &buffers), Output::default());
        assert_eq!(run("-n net.ipv4.tcp_rmem").out, "4096\t540000\t15728640\n");
        assert!(run("-a").out.lines().count() > 40);

        let refused = run("net.ipv4.tcp_sack=perhaps");
        assert_eq!((refused.status, refused.out.as_str()), (1, ""));
        let unknown = run("-q net.ipv4.tcp_nothing=1");
        assert_eq!((unknown.status, unknown.err.contains("/proc/sys/net/ipv4/tcp_nothing")), (1, true));
        assert_eq!(run("-e net.ipv4.tcp_nothing"), Output::default());
        assert_eq!(run("net.inet.tcp.nothing").err, "sysctl: unknown oid 'net.inet.tcp.nothing'\n");
    }

    #[test]
    fn what_turns_nothing_succeeds_and_says_so() {
        let node = Node::start(Flags::parse("").unwrap()).unwrap();
        let fixed = run(&node, &["net.ipv4.tcp_recovery=0"]);
        assert_eq!(
            (fixed.status, fixed.err.as_str()),
            (0, "sysctl: net.ipv4.tcp_recovery: no effect, it stays 1\n")
        );
        assert_eq!(run(&node, &["-q", "net.ipv4.tcp_recovery=0"]), Output::default());
        for (name, _) in FIXED {
            let known = sysctl::names().any(|other| other == *name);
            assert!(!known, "{name} can be turned");
        }
    }
}
