//! `labctl capture BUS|NODE:IF [-w FILE|-] [-c N] [--print] [--wireshark] [FILTER…]`: the wire, live, until Ctrl-C.

use std::io::{self, BufWriter, IsTerminal};
use std::process::{Child, Command, Stdio};

use super::wire::{self, Access, Options};
use super::{Exit, Failure, Global, Output};
use crate::capture::live::{self, Begin, End};
use crate::capture::sink::PcapSink;
use crate::lab::interrupt::Interrupt;
use crate::lab::view;

/// Arguments of `capture`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A bus, several (left,right or '*'), one interface (NODE:IF), LAB/BUS, or a bus file
    bus: String,
    #[command(flatten)]
    options: Options,
    /// Decode to the screen too; the default when nothing is written
    #[arg(long)]
    print: bool,
    /// Open Wireshark on it
    #[arg(long, conflicts_with = "write")]
    wireshark: bool,
    /// Begin with what the bus remembers
    #[arg(long)]
    history: bool,
    /// Only these frames, in the words of tcpdump: host h1 and tcp port 80
    filter: Vec<String>,
}

/// Follows buses until enough has come.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let mut target = wire::target(&args.bus, global)?;
    let mut sources = wire::open(&mut target, Access::Follow)?;
    let screen = args.print || !(args.options.writes() || args.wireshark);
    if screen && args.options.write.as_deref() == Some(std::path::Path::new("-")) {
        return Err(Failure::usage("--print and -w - both want standard output", "write to a file: -w FILE".to_owned()));
    }
    // On a wire of the dead nothing would ever come. Whoever is on it, node or not, may send.
    if let Some(lab) = &target.lab
        && !sources.iter().any(|source| source.bus().ports().iter().any(|port| port.alive))
    {
        view::alive(lab)?;
    }
    let mut pipeline = args.options.pipeline(&target, &sources, &args.filter, screen, global, out)?;
    let mut wireshark = args.wireshark.then(open_wireshark).transpose()?;
    let interrupt = Interrupt::catch()?;
    if let Some(child) = &mut wireshark
        && let Some(stdin) = child.stdin.take()
    {
        let lab = sources.first().map_or("", |source| source.lab());
        let sink = PcapSink::new(BufWriter::new(stdin), lab, &target.names, &args.filter.join(" "))?;
        pipeline.sinks.push(Box::new(sink));
    }
    // Whoever reads along must know at once what kind of stream it is.
    pipeline.flush()?;
    if !global.quiet && !global.json && io::stderr().is_terminal() {
        eprintln!("capturing on {} (Ctrl-C ends)", args.bus);
    }
    let begin = if args.history { Begin::Oldest } else { Begin::Now };
    let result = live::capture(&mut sources, &mut pipeline, begin, || {
        let closed = wireshark.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        closed || interrupt.pending()
    });
    // Whoever was reading has gone: that is an end like any other.
    let end = match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Asked),
        other => other,
    }?;
    let counts = match pipeline.end() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(pipeline.counts),
        other => other,
    }?;
    drop(pipeline);
    if let Some(mut child) = wireshark {
        // It shows what it has until the person closes it.
        let _ = child.wait();
    }
    if !global.quiet {
        let why = if end == End::Gone { "; the bus is gone" } else { "" };
        eprintln!("{} captured of {}, {} lost{why}", wire::frames(counts.taken), counts.seen, counts.lost);
    }
    Ok(Exit::Done)
}

fn open_wireshark() -> Result<Child, Failure> {
    Command::new("wireshark")
        .args(["-k", "-i", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::host(
                "wireshark is not installed",
                "install it, or pipe: labctl capture BUS -w - | tshark -i -".to_owned(),
            ),
            _ => Failure::host(format!("cannot run wireshark: {error}"), None),
        })
}
