//! The programs that scripts call through the shell, as far as the stack has what they turn. Each answers
//! with what the program of that name would print, and its exit status.

mod ip;
mod sockets;
mod sysctl;

use crate::node::Node;

/// What a program leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) status: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Output {
    fn ok(out: impl Into<String>) -> Output {
        Output { out: out.into(), ..Output::default() }
    }

    fn failed(status: u8, err: impl Into<String>) -> Output {
        Output { status, err: err.into() + "\n", ..Output::default() }
    }

    /// One after the other: the status is the worst.
    fn then(&mut self, next: Output) {
        self.status = self.status.max(next.status);
        self.out += &next.out;
        self.err += &next.err;
    }
}

/// Runs the program that `arguments` begin with.
pub(crate) fn run(node: &Node, arguments: &[String]) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((path, arguments)) = words.split_first() else { return Output::failed(1, "no program") };
    let name = path.rsplit('/').next().unwrap_or(path);
    match name {
        "sysctl" => sysctl::run(node, arguments),
        "ip" => ip::run(node, arguments),
        // What `tc` chooses, the order in which a queue is served, does not matter: the tunnel takes every
        // packet at once.
        "tc" => Output::ok(""),
        // Offloads are not seen: packetdrill gets the segments of a wire.
        "ethtool" => Output::ok(""),
        "sockstat" => sockets::sockstat(node, arguments),
        "tcpdrop" => sockets::tcpdrop(node, arguments),
        _ => Output::failed(127, format!("{name}: not a program of the stack under test")),
    }
}
