//! What the verbs that look at wires share: which buses are meant, filters, where frames go.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

use shmif::OpenError;

use super::{Failure, Global, Output};
use crate::capture::filter::Filter;
use crate::capture::names::Names;
use crate::capture::print::{Style, TimeStyle};
use crate::capture::sink::{JsonSink, PcapSink, Pipeline, PrintSink, Sink};
use crate::capture::source::{Source, Target};
use crate::lab::fault::Fault;
use crate::lab::rundir::{LabDir, RunRoot};
use crate::topology::names;

/// The lab that is meant; it must be there, alive or not.
pub(super) fn lab(global: &Global) -> Result<LabDir, Failure> {
    let dir = super::running::lab(global)?;
    match dir.exists()? {
        true => Ok(dir),
        false => Err(Fault::NotRunning { lab: dir.name().to_owned() }.into()),
    }
}

/// Every lab that has a directory.
pub(super) fn labs() -> Result<Vec<LabDir>, Failure> {
    match RunRoot::open()? {
        Some(root) => Ok(root.labs()?),
        None => Ok(Vec::new()),
    }
}

/// What `BUS`, `NODE:IF`, `'*'`, `LAB/BUS` or a file stands for.
pub(super) fn target(what: &str, global: &Global) -> Result<Target, Failure> {
    let path = Path::new(what);
    if what.contains('/') {
        if !path.exists()
            && let Some((name, bus)) = what.split_once('/')
            && let Some(dir) = labs()?.into_iter().find(|lab| lab.name() == name)
        {
            return Ok(Target::of_lab(&dir, bus)?);
        }
        // `nope/left` means a lab, unless there is such a folder.
        if !path.exists()
            && let Some((name, bus)) = what.split_once('/')
            && names::is_name(name, names::LAB_NAME_MAX)
            && !bus.contains('/')
            && !Path::new(name).exists()
        {
            return Err(Fault::NotRunning { lab: name.to_owned() }.into());
        }
        return Ok(Target::file(path));
    }
    let found = lab(global).and_then(|dir| Ok(Target::of_lab(&dir, what)?));
    match found {
        // No such bus, or no lab at all: it may be a file in this folder.
        Err(_) if path.is_file() => Ok(Target::file(path)),
        other => other,
    }
}

/// How buses are opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// To see what they remember.
    Look,
    /// To follow them.
    Follow,
}

/// Opens the buses of a target, and adds what their ports are called to its names.
pub(super) fn open(target: &mut Target, access: Access) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for path in &target.paths {
        let source = match access {
            Access::Look => Source::open(path),
            Access::Follow => Source::open_live(path),
        }
        .map_err(cannot_open)?;
        target.names.add_ports(&source.bus().ports());
        sources.push(source);
    }
    Ok(sources)
}

/// The mend for a bus of somebody else.
const NOT_YOURS: &str = "run as the user who owns it, or look at a copy that is yours";

/// A bus that cannot be opened: whose fault it is.
pub(super) fn cannot_open(error: OpenError) -> Failure {
    let hint = || Some("labctl bus ls shows the lab's buses".to_owned());
    match &error {
        OpenError::Io { source, path, .. } if source.kind() == io::ErrorKind::NotFound => {
            Failure::Usage { message: format!("there is no bus {}", path.display()), hint: hint() }
        }
        OpenError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::host(format!("{error}: {source}"), NOT_YOURS.to_owned())
        }
        OpenError::Owner { .. } => Failure::host(error.to_string(), NOT_YOURS.to_owned()),
        _ => Failure::Work(error.into()),
    }
}

/// Which frames, and how they are shown: options of `dump` and `capture`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Options {
    /// Write pcapng to FILE; "-" is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
    /// Stop after so many frames
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// What the first column says
    #[arg(long, value_enum, value_name = "STYLE", default_value_t = TimeStyle::Lab)]
    time: TimeStyle,
    /// Show addresses as numbers, not as the names of nodes
    #[arg(short, long)]
    numeric: bool,
    /// Show all octets too
    #[arg(short = 'x', long)]
    hex: bool,
}

impl Options {
    fn style(&self, global: &Global, out: &Output) -> Style {
        Style {
            colour: out.colour(),
            numeric: self.numeric,
            verbose: global.verbose,
            hex: self.hex,
            time: self.time,
        }
    }

    /// Whether a file was asked for.
    pub(super) fn writes(&self) -> bool {
        self.write.is_some()
    }

    /// The file that was asked for, begun.
    fn file(&self, lab: &str, names: &Names, filter: &str) -> Result<Option<Box<dyn Sink>>, Failure> {
        let Some(path) = &self.write else { return Ok(None) };
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Failure::usage(
                    "pcapng is not for a terminal",
                    "pipe it (labctl dump BUS -w - | tshark -r -), name a file, or leave -w out".to_owned(),
                ));
            }
            let out = BufWriter::with_capacity(1 << 16, io::stdout());
            return Ok(Some(Box::new(PcapSink::new(out, lab, names, filter)?)));
        }
        let file = File::create(path).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            match error.kind() {
                io::ErrorKind::NotFound => Failure::usage(message, None),
                _ => Failure::host(message, None),
            }
        })?;
        let out = BufWriter::with_capacity(1 << 16, file);
        Ok(Some(Box::new(PcapSink::new(out, lab, names, filter)?)))
    }

    /// The way of the frames: from `target` through the filter to the file, and to the screen if `screen` says so.
    pub(super) fn pipeline(
        &self,
        target: &Target,
        sources: &[Source],
        filter: &[String],
        screen: bool,
        global: &Global,
        out: &Output,
    ) -> Result<Pipeline, Failure> {
        let text = filter.join(" ");
        let lab = sources.first().map_or("", Source::lab);
        // The filter first: a mistyped one must not leave an empty file behind.
        let filter = parse(&text, &target.names)?;
        let mut sinks: Vec<Box<dyn Sink>> = self.file(lab, &target.names, &text)?.into_iter().collect();
        if screen {
            // Lines may go where the file goes not.
            let names = target.names.clone();
            let to = BufWriter::with_capacity(1 << 16, io::stdout());
            if global.json {
                sinks.push(Box::new(JsonSink::new(to, names)));
            } else {
                sinks.push(Box::new(PrintSink::new(to, self.style(global, out), names, sources.len() > 1)));
            }
        }
        Ok(Pipeline {
            filter,
            only: target.only.clone(),
            since_ns: 0,
            limit: self.count,
            sinks,
            counts: Default::default(),
        })
    }
}

/// Compiles a filter; the names of the lab's nodes are known to it.
pub(super) fn parse(text: &str, names: &Names) -> Result<Filter, Failure> {
    Filter::parse(text, names).map_err(|error| Failure::Usage { message: error.render(), hint: None })
}

/// `1 frame`, `2 frames`
pub(super) fn frames(count: u64) -> String {
    match count {
        1 => "1 frame".to_owned(),
        count => format!("{count} frames"),
    }
}
