//! `labctl extcap`: buses as interfaces in Wireshark's own list, by its extcap protocol (extcap(4)).
//!
//! Wireshark runs every program of its extcap folder with `--extcap-interfaces` to list what it can capture from, and later
//! with `--capture --fifo` to do so. `--install` puts a script there that calls this verb.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::wire::{self, Access};
use super::{Exit, Failure, Global, Output};
use crate::capture::live::{self, Begin};
use crate::capture::sink::{PcapSink, Pipeline};
use crate::capture::source::{self, Target};
use crate::lab::interrupt::Interrupt;

/// Before the lab in the name of an interface.
const PREFIX: &str = "labctl:";
/// The script in the extcap folder.
const SCRIPT: &str = "labctl-extcap";

/// Arguments of `extcap`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make the buses appear in Wireshark's list: puts a script into its extcap folder
    #[arg(long)]
    install: bool,
    /// Into this folder instead of ~/.local/lib/wireshark/extcap
    #[arg(long, value_name = "DIR", requires = "install")]
    into: Option<PathBuf>,
    /// List the buses of all labs
    #[arg(long)]
    extcap_interfaces: bool,
    /// List the link types of an interface
    #[arg(long)]
    extcap_dlts: bool,
    /// List the options of an interface
    #[arg(long)]
    extcap_config: bool,
    /// Capture to the fifo
    #[arg(long, requires = "fifo", requires = "extcap_interface")]
    capture: bool,
    /// labctl:LAB/BUS
    #[arg(long, value_name = "NAME")]
    extcap_interface: Option<String>,
    /// Where the frames go, as pcapng
    #[arg(long, value_name = "FILE")]
    fifo: Option<PathBuf>,
    /// Only these frames, in the words of tcpdump; without --capture it is only looked at
    #[arg(long, value_name = "FILTER")]
    extcap_capture_filter: Option<String>,
    /// Begin with what the bus remembers
    #[arg(long)]
    history: bool,
    /// Who asks
    #[arg(long, value_name = "VERSION")]
    extcap_version: Option<String>,
}

/// Answers Wireshark.
pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    if args.install {
        return install(args.into.as_deref(), global, out);
    }
    if args.extcap_interfaces {
        writeln!(
            out,
            "extcap {{version={}}}{{display=buses of virtual network labs}}",
            env!("CARGO_PKG_VERSION")
        )?;
        for lab in wire::labs()? {
            for bus in source::bus_names(&lab).unwrap_or_default() {
                writeln!(
                    out,
                    "interface {{value={PREFIX}{lab}/{bus}}}{{display=lab {lab}, bus {bus}}}",
                    lab = lab.name()
                )?;
            }
        }
        return Ok(Exit::Done);
    }
    let Some(interface) = &args.extcap_interface else {
        return Err(Failure::usage(
            "extcap is for Wireshark to call",
            "labctl extcap --install makes the buses appear in its list".to_owned(),
        ));
    };
    if args.extcap_dlts {
        writeln!(out, "dlt {{number=1}}{{name=EN10MB}}{{display=Ethernet}}")?;
        return Ok(Exit::Done);
    }
    if args.extcap_config {
        writeln!(
            out,
            "arg {{number=0}}{{call=--history}}{{display=Begin with what the bus remembers}}{{type=boolflag}}{{default=false}}"
        )?;
        return Ok(Exit::Done);
    }
    let mut target = target(interface)?;
    let filter = args.extcap_capture_filter.as_deref().unwrap_or_default();
    match &args.fifo {
        Some(fifo) if args.capture => {
            let begin = if args.history { Begin::Oldest } else { Begin::Now };
            capture(&mut target, filter, fifo, begin)
        }
        _ => {
            // Wireshark colours the filter by whether anything is said about it.
            let mut target = target;
            wire::open(&mut target, Access::Look)?;
            if let Err(failure) = wire::parse(filter, &target.names) {
                writeln!(out, "{failure}")?;
            }
            Ok(Exit::Done)
        }
    }
}

/// The bus of `labctl:LAB/BUS`.
fn target(interface: &str) -> Result<Target, Failure> {
    let unknown = || {
        let hint = "labctl extcap --extcap-interfaces lists them".to_owned();
        Failure::usage(format!("there is no interface {interface}"), hint)
    };
    let (lab, bus) =
        interface.strip_prefix(PREFIX).and_then(|name| name.split_once('/')).ok_or_else(unknown)?;
    let dir = wire::labs()?.into_iter().find(|dir| dir.name() == lab).ok_or_else(unknown)?;
    Ok(Target::of_lab(&dir, bus)?)
}

fn capture(target: &mut Target, filter: &str, fifo: &Path, begin: Begin) -> Result<Exit, Failure> {
    let mut sources = wire::open(target, Access::Follow)?;
    let parsed = wire::parse(filter, &target.names)?;
    let interrupt = Interrupt::catch()?;
    let out = fs::OpenOptions::new()
        .write(true)
        .open(fifo)
        .with_context(|| format!("cannot write to {}", fifo.display()))?;
    let lab = sources.first().map_or("", |source| source.lab());
    let sink = PcapSink::new(BufWriter::with_capacity(1 << 16, out), lab, &target.names, filter)?;
    let mut pipeline = Pipeline {
        filter: parsed,
        only: None,
        since_ns: 0,
        limit: None,
        sinks: vec![Box::new(sink)],
        counts: Default::default(),
    };
    pipeline.flush()?;
    live::capture(&mut sources, &mut pipeline, begin, || interrupt.pending())?;
    pipeline.end()?;
    Ok(Exit::Done)
}

fn install(into: Option<&Path>, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let folder = match into {
        Some(folder) => folder.to_owned(),
        None => match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
            Some(home) => PathBuf::from(home).join(".local/lib/wireshark/extcap"),
            None => return Err(Failure::usage("HOME is not set", "name the folder: --into DIR".to_owned())),
        },
    };
    let refused = |what: &'static str| {
        let folder = folder.clone();
        move |error: io::Error| Failure::host(format!("cannot {what} {}: {error}", folder.display()), None)
    };
    let program = std::env::current_exe().context("this program has no path")?;
    fs::create_dir_all(&folder).map_err(refused("create"))?;
    let script = folder.join(SCRIPT);
    let text = format!("#!/bin/sh\nexec {} extcap \"$@\"\n", quoted(&program.to_string_lossy()));
    // Whole or not at all: Wireshark may be looking.
    let new = folder.join(format!(".{SCRIPT}.{}", std::process::id()));
    fs::write(&new, text).map_err(refused("write to"))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(refused("write to"))?;
    fs::rename(&new, &script).map_err(refused("write to"))?;
    if global.json {
        out.json(&serde_json::json!({ "installed": script }))?;
        return Ok(Exit::Done);
    }
    out.say(format_args!("installed {}", script.display()))?;
    out.say("Wireshark 4.2 or later shows the buses of all labs in its list of interfaces (labctl:LAB/BUS).")?;
    out.say("An older one looks only in its own folder (tshark -G folders names it), or where this says:")?;
    out.say(format_args!("  WIRESHARK_EXTCAP_DIR={} wireshark", quoted(&folder.to_string_lossy())))?;
    Ok(Exit::Done)
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
