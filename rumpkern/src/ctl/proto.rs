//! Control requests and replies: JSON, one object a line.
//!
//! A request is `{"id":1,"op":"…",…}`. It is answered by any number of `out`, `err` and `event`
//! lines that carry the same id, then by exactly one of `ok`, `error` or (for `run`) `exit`.
//! Several requests may be in flight; closing the connection cancels its runs.
//! Rows of `show` are plain JSON objects; their keys are documented on [`Table`].

use crate::ifs::impairment::Impairment;
use ipnet::IpNet;
use netstack::net::MacAddr;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// Octets of the longest request line, newline included.
pub const REQUEST_MAX: usize = 1 << 20;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client; replies carry it.
    pub id: u64,
    /// What is asked.
    #[serde(flatten)]
    pub op: Op,
}

/// What can be asked of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// Who are you? Answered by [`Hello`].
    Hello,
    /// A table, as a JSON array of rows.
    Show {
        /// Which.
        table: Table,
    },
    /// Takes an interface up or down. Down means detached from its wire: no frame in or out.
    Link {
        /// Its name.
        #[serde(rename = "if")]
        interface: String,
        /// Up or down.
        up: bool,
    },
    /// What happens to frames that leave by an interface. Answered by what does so now, as of before a change.
    Impair {
        /// Its name.
        #[serde(rename = "if")]
        interface: String,
        /// What shall happen from now on; absent: it stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        set: Option<Box<Impairment>>,
    },
    /// A partition of a wire: frames of these senders do not arrive at an interface any more, those of all others do (again).
    Partition {
        /// Its name.
        #[serde(rename = "if")]
        interface: String,
        /// Their link addresses; none of them: the wire is whole.
        from: Vec<LinkAddr>,
    },
    /// Adds or removes an address.
    Addr {
        /// Interface name.
        #[serde(rename = "if")]
        interface: String,
        /// Add or delete.
        #[serde(flatten)]
        change: Change<IpNet>,
    },
    /// Adds or removes a route.
    Route(Change<RouteSpec>),
    /// Reads or changes TCP's values, by the names of [`netstack::tcp::sysctl`]. Answered by a [`Variable`], without a name by
    /// all of them.
    Sysctl {
        /// Which one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What it shall be; absent: it stays as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// Runs a built-in program: output comes as `out` and `err`, its status as `exit`.
    Run {
        /// The program's name and arguments.
        argv: Vec<String>,
        /// Ask it for one JSON object instead of text for people.
        #[serde(default)]
        json: bool,
    },
    /// Interrupts a program of this connection, as Ctrl-C does: `ping` says what it has seen, others end.
    Interrupt {
        /// The id of the request that runs it.
        run: u64,
    },
    /// Stops the node; answered before it dies.
    Stop,
}

/// A link address as text, `02:00:00:00:00:01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkAddr(#[serde(with = "crate::config::mac_text")] pub MacAddr);

/// `"add": X` or `"del": X`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change<T> {
    /// It shall be.
    Add(T),
    /// It shall not be.
    Del(T),
}

/// A route in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The destinations.
    pub to: IpNet,
    /// The next router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    /// The interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Smaller is preferred; 0 if absent. Without one the first route that fits the rest is deleted, whatever its metric, as by
    /// `ip route del`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

/// Tables that `show` knows, and the keys of their rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// `{if, address, scope}`, and of IPv6 what is so of `tentative, optimistic, deprecated, dadfailed, dynamic, temporary`, and
    /// `{valid_s, preferred_s}` if it ends
    Addr,
    /// `{to, via, dev, metric, proto}`
    Route,
    /// `{address, mac, dev, state}`
    Neigh,
    /// `{proto, state, local, remote, recv_q, send_q}` and for TCP `{info:{…, congestion_control, profile}}`
    Sockets,
    /// `{group, name, value}`: RFC 1213/4293/4022 names, and every drop with its reason
    Stats,
    /// `{name, bus, mac, mtu, up, addresses, stats:{…}}`
    Interfaces,
}

/// Answer to `sysctl`: a value, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is, as `sysctl -n` prints it.
    pub value: String,
}

/// Answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the package.
    pub version: String,
    /// The lab's name.
    pub lab: String,
    /// The node's name.
    pub node: String,
    /// The node's process id on the host.
    pub pid: u32,
    /// Nanoseconds since the node was ready.
    pub uptime_ns: u64,
    /// `running`; or `stopping` once it was told to.
    pub state: String,
    /// Sockets that are open, its own programs' and those of others.
    #[serde(default)]
    pub sockets: usize,
}

/// One line from the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id; 0 if the line could not be read far enough to know it.
    pub id: u64,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// What a line from the node says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// Text that a program wrote to its standard output. More follows.
    Out(String),
    /// Text that a program wrote to its standard error. More follows.
    Err(String),
    /// Something happened. More follows.
    Event(Value),
    /// Done; the answer. Last.
    Ok(Value),
    /// Refused. Last.
    Error(Failure),
    /// The program ended with this status. Last.
    Exit(i32),
}

impl Body {
    /// Whether nothing more follows for this id.
    pub fn is_final(&self) -> bool {
        match self {
            Body::Out(_) | Body::Err(_) | Body::Event(_) => false,
            Body::Ok(_) | Body::Error(_) | Body::Exit(_) => true,
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not JSON, not a request, or too long.
    Malformed,
    /// The op, table or program is unknown.
    Unknown,
    /// The named interface, route, address or value is not there.
    NotFound,
    /// It is there already.
    Exists,
    /// The arguments make no sense.
    Invalid,
    /// Too much is in flight on this connection.
    Busy,
}

impl Failure {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn requests_read_as_the_contract_writes_them() {
        let read = |v: Value| serde_json::from_value::<Request>(v).unwrap().op;
        assert_eq!(read(json!({"id":1,"op":"hello"})), Op::Hello);
        assert_eq!(read(json!({"id":1,"op":"show","table":"route"})), Op::Show { table: Table::Route });
        assert_eq!(
            read(json!({"id":1,"op":"link","if":"eth0","up":false})),
            Op::Link { interface: "eth0".into(), up: false }
        );
        let net: IpNet = "10.0.0.1/24".parse().unwrap();
        assert_eq!(
            read(json!({"id":1,"op":"addr","if":"eth0","del":"10.0.0.1/24"})),
            Op::Addr { interface: "eth0".into(), change: Change::Del(net) }
        );
        let spec = RouteSpec { to: net, via: None, dev: Some("eth0".into()), metric: Some(5) };
        assert_eq!(
            read(json!({"id":1,"op":"route","add":{"to":"10.0.0.1/24","dev":"eth0","metric":5}})),
            Op::Route(Change::Add(spec))
        );
        let op = |name: Option<&str>, value: Option<&str>| Op::Sysctl {
            name: name.map(str::to_owned),
            value: value.map(str::to_owned),
        };
        assert_eq!(read(json!({"id":1,"op":"sysctl"})), op(None, None));
        assert_eq!(read(json!({"id":1,"op":"sysctl","name":"a"})), op(Some("a"), None));
        assert_eq!(read(json!({"id":1,"op":"sysctl","name":"a","value":"1"})), op(Some("a"), Some("1")));
        assert_eq!(read(json!({"id":2,"op":"interrupt","run":1})), Op::Interrupt { run: 1 });
        assert_eq!(
            read(json!({"id":1,"op":"run","argv":["ping"]})),
            Op::Run { argv: vec!["ping".into()], json: false }
        );
    }

    #[test]
    fn replies_write_as_the_contract_reads_them() {
        let write = |body| serde_json::to_value(Reply { id: 7, body }).unwrap();
        assert_eq!(write(Body::Out("x".into())), json!({"id":7,"out":"x"}));
        assert_eq!(write(Body::Ok(json!([]))), json!({"id":7,"ok":[]}));
        assert_eq!(write(Body::Exit(1)), json!({"id":7,"exit":1}));
        assert_eq!(
            write(Body::Error(Failure::new(Code::NotFound, "m"))),
            json!({"id":7,"error":{"code":"not-found","message":"m"}})
        );
    }
}
