//! Files below `/etc` from which programs learn names, and the files of the topology.
//!
//! Names are those of the lab, and nothing asks the host for others: a resolver library that finds no name server
//! asks 127.0.0.1, where the node refuses at once unless a program serves names there. Name servers are those that
//! routers tell of (RFC 8106).

use crate::kernel::Kernel;
use crate::syscall::Errno;
use netstack::time::Instant;
use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;

/// The file `name` of `/etc`.
pub(super) fn open(kernel: &Kernel, name: &str) -> Result<String, Errno> {
    match name {
        "hosts" => Ok(hosts(kernel)),
        "hostname" => Ok(format!("{}\n", kernel.node())),
        "resolv.conf" => Ok(resolv(kernel)),
        "nsswitch.conf" => Ok(NSSWITCH.to_owned()),
        _ => Err(Errno::ENOENT),
    }
}

/// The host's file or directory that the topology puts at `path`, which overrides everything else.
pub(super) fn laid_over(kernel: &Kernel, path: &str) -> Option<PathBuf> {
    // The longest one: a file in a directory that is laid over may be laid over itself.
    let fitting = kernel.files().iter().filter_map(|(node, host)| {
        let node = super::path::normal(node.as_bytes())?;
        let rest = path.strip_prefix(&node)?;
        match rest.strip_prefix('/') {
            None if rest.is_empty() => Some((node.len(), host.clone())),
            None => None,
            Some(rest) => Some((node.len(), host.join(rest))),
        }
    });
    fitting.max_by_key(|(len, _)| *len).map(|(_, host)| host)
}

/// hosts(5): ourselves, then the lab. The first name of an address is the one it is called by.
fn hosts(kernel: &Kernel) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    if super::sysctl::speaks_ipv6(&kernel.stack.borrow()) {
        text += "::1\tlocalhost ip6-localhost ip6-loopback\n";
    }
    let own = |name: &str| name.eq_ignore_ascii_case(kernel.node());
    let mut line = |address: IpAddr, name: &str| {
        // A string takes everything.
        let _ = writeln!(text, "{address}\t{name}");
    };
    let hosts = kernel.hosts();
    // A name of its own is what every program expects of a node; Debian's place for it where there is no address.
    if !hosts.iter().any(|host| own(&host.name)) {
        line(IpAddr::from([127, 0, 1, 1]), kernel.node());
    }
    let (first, others): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| own(&host.name));
    for host in first.into_iter().chain(others) {
        for address in &host.addresses {
            line(*address, &host.name);
        }
    }
    text
}

/// resolv.conf(5): what routers told of, as long as it holds, in the order of interfaces and of their words.
fn resolv(kernel: &Kernel) -> String {
    let stack = kernel.stack.borrow();
    let lasts = |until: &Option<Instant>| until.is_none_or(|at| at > kernel.now());
    let mut text = String::from("# Names of the lab are in /etc/hosts.\n");
    let mut search: Vec<&str> = Vec::new();
    for ifnet in stack.interfaces() {
        for (server, _) in stack.ra_servers(ifnet.index).iter().filter(|(_, until)| lasts(until)) {
            // A string takes everything.
            let _ = match server.is_unicast_link_local() {
                true => writeln!(text, "nameserver {server}%{}", ifnet.name),
                false => writeln!(text, "nameserver {server}"),
            };
        }
        for (domain, _) in stack.ra_domains(ifnet.index).iter().filter(|(_, until)| lasts(until)) {
            if !search.contains(&domain.as_str()) {
                search.push(domain);
            }
        }
    }
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    text + "options timeout:1 attempts:1\n"
}

/// nsswitch.conf(5): only sources that stay on the node may know hosts; users are the host's.
const NSSWITCH: &str = "passwd:     files systemd sss\n\
                        group:      files systemd sss\n\
                        shadow:     files systemd sss\n\
                        hosts:      files dns\n\
                        networks:   files\n\
                        protocols:  files\n\
                        services:   files\n\
                        ethers:     files\n\
                        rpc:        files\n";
