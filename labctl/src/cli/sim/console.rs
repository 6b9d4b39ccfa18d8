//! The commands of `labctl sim`.

use super::super::{Failure, Output, show};
use crate::capture::names::Names;
use crate::capture::print::Style;
use crate::capture::sink::PrintSink;
use crate::lab::sim::{Stepped, Upcoming};
use crate::lab::test::future::Future;
use crate::topology::model::{Act, Lab};
use crate::ui::{Align, Table};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The commands, and what each does.
const COMMANDS: &[(&str, &str)] = &[
    ("step [N]", "let the next thing happen, or the next N"),
    ("frame [N]", "let things happen until a frame is sent, or N; shows it"),
    ("for TIME", "let everything happen for so long"),
    ("until TIME", "let everything happen until then"),
    ("next [N]", "say what happens next"),
    ("show addr|route|neigh|sockets|stats NODE", "a node's table"),
    ("ps", "the nodes"),
    ("run NODE PROGRAM …", "run a built-in program to its end (with & behind: begin it): run h1 ping -c 1 h2"),
    ("check [NAME]", "make a check of the topology now; without a name, all"),
    ("dump BUS FILE", "write what a bus remembers as pcapng"),
    ("fork NAME", "another future, from here; it is the one that goes on"),
    ("futures, switch NAME", "say which there are; go on with another"),
    ("quit", "leave"),
];

/// How many lines `next` says if nobody says.
const NEXT: usize = 10;

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// More may come.
    More,
    /// This was the last.
    Quit,
}

/// A prompt, and the futures behind it.
pub(super) struct Console<'a> {
    lab: &'a Lab,
    topology: &'a Path,
    futures: BTreeMap<String, Future<'a>>,
    /// The one that commands are for.
    name: String,
    colour: bool,
    failed: bool,
}

impl<'a> Console<'a> {
    pub(super) fn new(
        lab: &'a Lab,
        topology: &'a Path,
        seed: u64,
        cut: &'a dyn Fn() -> bool,
        colour: bool,
    ) -> Result<Self, Failure> {
        let name = "main".to_owned();
        let futures = BTreeMap::from([(name.clone(), Future::new(lab, topology, seed, cut)?)]);
        Ok(Self { lab, topology, futures, name, colour, failed: false })
    }

    /// Whether a check did not hold.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    fn future(&mut self) -> &mut Future<'a> {
        match self.futures.get_mut(&self.name) {
            Some(future) => future,
            None => unreachable!("the name is that of a future"),
        }
    }

    fn now(&mut self) -> Duration {
        self.future().sim().now()
    }

    /// `hello 1.5s> `.
    pub(super) fn prompt(&mut self) -> String {
        let future = if self.futures.len() > 1 { format!("@{}", self.name) } else { String::new() };
        format!("{}{future} {}> ", self.lab.name, time(self.now()))
    }

    /// Lets everything happen until then.
    pub(super) fn until(&mut self, end: Duration) -> Stepped {
        self.future().advance(end, u64::MAX, |_| true)
    }

    /// Does what a line says.
    pub(super) fn command(&mut self, line: &str, out: &mut Output) -> Result<Said, Failure> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match &words[..] {
            [] => {}
            [comment, ..] if comment.starts_with('#') => {}
            ["quit" | "exit" | "q"] => return Ok(Said::Quit),
            ["help" | "?"] => help(out)?,
            ["step" | "s", count @ ..] if count.len() < 2 => self.step(number(count, 1)?, out)?,
            ["frame" | "f", count @ ..] if count.len() < 2 => self.frame(number(count, 1)?, out)?,
            ["for", text] => {
                let end = self.now() + super::time(text).map_err(usage)?;
                self.go(end, out)?;
            }
            ["until" | "u", text] => self.go(super::time(text).map_err(usage)?, out)?,
            ["next" | "n", count @ ..] if count.len() < 2 => self.next(number(count, NEXT as u64)?, out)?,
            ["show", table, node] => self.show(table, node, out)?,
            ["ps"] => self.ps(out)?,
            ["run", .., "&"] => {
                let words = words[..words.len() - 1].join(" ");
                let act = crate::topology::act(self.topology, &words).map_err(usage)?;
                self.future().act(words, act)?;
            }
            ["run", node, argv @ ..] if !argv.is_empty() => self.program(node, argv, out)?,
            ["check"] => {
                for check in self.lab.checks.iter().map(|check| check.name.clone()).collect::<Vec<_>>() {
                    self.check(&check, out)?;
                }
            }
            ["check", ..] => {
                let name = line.trim_start().trim_start_matches("check").trim();
                self.check(name, out)?;
            }
            ["dump", bus, file] => self.future().dump(bus, Path::new(file))?,
            ["fork", name] => {
                if self.futures.contains_key(*name) {
                    return Err(usage(format!("there is a future `{name}` already")));
                }
                let fork = self.future().fork()?;
                self.futures.insert((*name).to_owned(), fork);
                (*name).clone_into(&mut self.name);
            }
            ["switch", name] => {
                if !self.futures.contains_key(*name) {
                    let known: Vec<_> = self.futures.keys().map(String::as_str).collect();
                    return Err(usage(format!("there is no future `{name}`, but: {}", known.join(", "))));
                }
                (*name).clone_into(&mut self.name);
            }
            ["futures"] => {
                for (name, future) in &self.futures {
                    let here = if *name == self.name { "*" } else { " " };
                    out.say(format_args!("{here} {name}  {}", time(future.sim().now())))?;
                }
            }
            // Whatever an event may say.
            _ => {
                let act = self.read(line)?;
                self.future().act(words.join(" "), act)?;
            }
        }
        Ok(Said::More)
    }

    fn go(&mut self, end: Duration, out: &mut Output) -> Result<(), Failure> {
        if end < self.now() {
            let now = time(self.now());
            return Err(usage(format!("it is {now} already, and time does not go back: `labctl sim --until` does")));
        }
        let stepped = self.until(end);
        self.tell(stepped, out)
    }

    fn tell(&mut self, stepped: Stepped, out: &mut Output) -> Result<(), Failure> {
        match stepped {
            Stepped::Happened | Stepped::Late => Ok(()),
            Stepped::Never => out.say("nothing will ever happen again"),
            Stepped::Cut => out.say(format_args!("stopped at {}", time(self.now()))),
        }
    }

    fn step(&mut self, count: u64, out: &mut Output) -> Result<(), Failure> {
        for _ in 0..count {
            let next = self.future().upcoming().into_iter().next();
            let stepped = self.future().advance(Duration::MAX, 1, |_| true);
            match (stepped, next) {
                (Stepped::Happened, Some((at, what))) => out.say(format_args!("{}  {}", time(at), named(&what)))?,
                (other, _) => return self.tell(other, out),
            }
        }
        Ok(())
    }

    /// Lets things happen until so many frames more were sent.
    fn frame(&mut self, count: u64, out: &mut Output) -> Result<(), Failure> {
        let colour = self.colour;
        let future = self.future();
        // Those before are not what is asked for.
        let names = Names::of_lab(&future.sim().state);
        future.show_frames(&mut PrintSink::new(std::io::sink(), Style::default(), names.clone(), true))?;
        let wanted = future.frames() + count;
        let stepped = future.advance(Duration::MAX, u64::MAX, |future| future.frames() < wanted);
        let style = Style { colour, ..Style::default() };
        future.show_frames(&mut PrintSink::new(&mut *out, style, names, true))?;
        self.tell(stepped, out)
    }

    fn next(&mut self, count: u64, out: &mut Output) -> Result<(), Failure> {
        let all = self.future().upcoming();
        for (at, what) in all.iter().take(count as usize) {
            out.say(format_args!("{}  {}", time(*at), named(what)))?;
        }
        if all.is_empty() { out.say("nothing will ever happen again") } else { Ok(()) }
    }

    fn show(&mut self, table: &str, node: &str, out: &mut Output) -> Result<(), Failure> {
        let table = show::What::from_str(table, true).map_err(|_| {
            usage(format!("there is no table `{table}`, but addr, route, neigh, sockets and stats"))
        })?;
        let sim = self.future().sim();
        let text = show::text(table, false, false, |table| sim.show(node, table))?;
        Ok(out.write_all(text.as_bytes())?)
    }

    fn ps(&mut self, out: &mut Output) -> Result<(), Failure> {
        let sim = self.future().sim();
        let mut table = Table::new(&[("NODE", Align::Left), ("STATE", Align::Left), ("ADDRESSES", Align::Left)]);
        for node in &sim.state.nodes {
            let addresses = node.interfaces.iter().flat_map(|one| &one.addresses);
            let addresses: Vec<_> = addresses.map(ToString::to_string).collect();
            table.row([node.name.clone(), sim.life(&node.name).to_owned(), addresses.join(" ")]);
        }
        Ok(write!(out, "{table}")?)
    }

    fn program(&mut self, node: &str, argv: &[&str], out: &mut Output) -> Result<(), Failure> {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let run = self.future().run(node, &argv)?;
        out.write_all(run.out.as_bytes())?;
        out.write_all(run.err.as_bytes())?;
        if run.status != 0 {
            self.failed = true;
        }
        Ok(())
    }

    fn check(&mut self, name: &str, out: &mut Output) -> Result<(), Failure> {
        let report = self.future().check(name)?;
        self.failed |= !report.ok;
        let word = if report.ok { "ok  " } else { "FAIL" };
        out.say(format_args!("{word}  {}: {}", report.name, report.detail))
    }

    /// What words mean, as if they were an event of the topology.
    fn read(&self, line: &str) -> Result<Act, Failure> {
        let first = line.split_whitespace().next().unwrap_or_default();
        if let Some((wanted, _)) = COMMANDS.iter().find(|(usage, _)| usage.split([' ', ',']).next() == Some(first)) {
            return Err(usage(format!("write: {wanted}")));
        }
        crate::topology::act(self.topology, line.trim()).map_err(usage)
    }
}

fn help(out: &mut Output) -> Result<(), Failure> {
    for (usage, does) in COMMANDS {
        out.say(format_args!("{usage:<42}{does}"))?;
    }
    out.say("and the words of events: link down r1:eth0, impair set lan loss 5%, kill h2, partition lan h1, …")
}

/// What happens, in a word or two.
fn named(what: &Upcoming) -> String {
    match what {
        Upcoming::Event(words) => format!("event: {words}"),
        Upcoming::Node(node) => node.clone(),
    }
}

/// Seconds with as many digits as there are nanoseconds.
fn time(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

fn number(words: &[&str], usual: u64) -> Result<u64, Failure> {
    words.first().map_or(Ok(usual), |word| {
        word.parse().map_err(|_| usage(format!("`{word}` is no number")))
    })
}

fn usage(message: String) -> Failure {
    Failure::usage(message, "`help` says what there is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_that_they_need() {
        let of = |nanos| time(Duration::from_nanos(nanos));
        assert_eq!([of(0), of(1_500_000_000), of(10), of(60_000_000_000)], ["0s", "1.5s", "0.00000001s", "60s"]);
    }
}
