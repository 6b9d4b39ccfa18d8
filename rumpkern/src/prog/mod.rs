//! Built-in programs, written once over the system calls: they run live and in virtual time.
//!
//! A program is one file and one row of [`PROGRAMS`]: its usage line, how its arguments are read, and an async `main`
//! over [`Sys`]. Text for people looks like the output of the tool of that name; with `json` a program writes one object.
//! Exit statuses are the tool's: 0 done, 1 the work failed, 2 wrong arguments. Every program takes `-4` and `-6`, for one family of
//! addresses alone.

mod args;
mod connsink;
mod connsource;
mod echo;
mod get;
mod http;
mod httpd;
mod icmp;
mod io;
mod ping;
mod rate;
mod rtt;
mod samples;
mod seq;
mod tcpsink;
mod tcpsource;
mod traceroute;
mod udpsink;
mod udpsource;

use crate::syscall::Sys;
use args::{Args, Usage};
use io::{Cx, Fail};
use std::pin::Pin;
use std::rc::Rc;

/// A program's `main`: its system calls, its arguments (the first is its name), and whether it
/// shall write one JSON object instead of text for people. Returns the exit status.
pub type Main = fn(Sys, Vec<String>, bool) -> Pin<Box<dyn Future<Output = i32>>>;

/// A program whose arguments are read.
type Ready = Box<dyn FnOnce(Rc<Cx>) -> Pin<Box<dyn Future<Output = Result<i32, Fail>>>>>;

/// One program.
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// How, in one line.
    pub usage: &'static str,
    /// What for, in one line.
    pub about: &'static str,
    start: fn(Args) -> Result<Ready, Usage>,
}

/// Rows of the table: the module's `USAGE`, `Options::parse` and `main`.
macro_rules! programs {
    ($($name:ident: $about:literal,)*) => {
        &[$(Program {
            name: stringify!($name),
            usage: $name::USAGE,
            about: $about,
            start: |args| {
                let options = $name::Options::parse(args)?;
                Ok(Box::new(move |cx| Box::pin(async move { $name::main(&cx, options).await })))
            },
        },)*]
    };
}

/// Every program, in order of names.
pub const PROGRAMS: &[Program] = programs![
    connsink: "accepts TCP connections, and closes or keeps them",
    connsource: "opens and closes TCP connections as fast as it can, or keeps many, and measures",
    echo: "sends back whatever comes, over TCP or UDP",
    get: "fetches a resource over HTTP and measures it",
    httpd: "serves /octets/N over HTTP",
    ping: "asks for an answer, and measures the round trip",
    rtt: "measures round trips to an echo",
    tcpsink: "accepts TCP connections and throws away what they bring",
    tcpsource: "sends over TCP as fast as it can, and measures",
    traceroute: "shows the routers on the way to a host",
    udpsink: "counts what a udpsource sends: lost, reordered, duplicated",
    udpsource: "sends numbered UDP datagrams, and measures",
];

/// The program with this name.
pub fn find(name: &str) -> Option<Main> {
    PROGRAMS.iter().any(|program| program.name == name).then_some(run as Main)
}

/// Runs the program `argv[0]`; 127 if there is none of that name, as a shell has it.
pub fn run(sys: Sys, argv: Vec<String>, json: bool) -> Pin<Box<dyn Future<Output = i32>>> {
    let name = argv.first().map(String::as_str).unwrap_or_default();
    let Some(program) = PROGRAMS.iter().find(|program| program.name == name) else {
        let text = format!("{name}: no such program");
        let cx = Cx { sys, json, name: "node", family: None };
        return Box::pin(async move {
            cx.complain(&text).await;
            127
        });
    };
    let (family, argv) = args::family(argv.get(1..).unwrap_or_default());
    let cx = Rc::new(Cx { sys, json, name: program.name, family });
    let ready = (program.start)(Args::new(&argv));
    Box::pin(async move {
        let Fail { status, message } = match ready {
            Ok(main) => match main(cx.clone()).await {
                Ok(status) => return status,
                Err(fail) => fail,
            },
            Err(usage) => Fail {
                status: 2,
                message: format!("{usage}\nusage: {} [-4 | -6] {}", program.name, program.usage),
            },
        };
        cx.complain(&message).await;
        status
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        assert!(PROGRAMS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(find("echo").is_some() && find("ech").is_none());
    }

    /// Every program says no to nothing at all, to what it does not know, and to too much.
    #[test]
    fn wrong_arguments_are_refused() {
        for program in PROGRAMS {
            for args in [&[][..], &["--no-such"], &["-\u{e9}"], &["a", "b", "c", "d", "e"], &["-c"]] {
                let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
                assert!((program.start)(Args::new(&args)).is_err(), "{} {args:?}", program.name);
            }
        }
    }
}
