//! A node as a process of the host: from its command line to its end.
//!
//! The readiness line `NAME ready` or `NAME error MESSAGE` goes to standard output, which is then
//! let go of: it becomes standard error, the log. Exit status: 0 stopped, 2 the configuration makes
//! no sense, 4 the host refused.

use crate::config::{ConfigError, HostConfig, NodeConfig};
use crate::ctl;
use crate::evloop;
use crate::kernel::{BirthError, Kernel};
use crate::rumpuser::host::Host;
use crate::sysproxy;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What `argv[0]` must be for a program to become a node.
pub const ARGV0: &str = "rumpkern";

/// Becomes a node if the program was started as `rumpkern CONFIG`; otherwise returns `None` at once.
/// Call it first thing in `main`.
pub fn main_from_args() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    if Path::new(&name).file_name() != Some(OsStr::new(ARGV0)) {
        return None;
    }
    Some(main(&args.collect::<Vec<_>>()))
}

/// The program `rumpkern CONFIG`; `args` are those behind its name.
pub fn main(args: &[OsString]) -> ExitCode {
    let [path] = args else {
        eprintln!(
            "usage: rumpkern CONFIG\n\nRuns one node of a lab. CONFIG is the JSON that `labctl up` writes."
        );
        return ExitCode::from(2);
    };
    log_to_stderr();
    keep_freed_memory();
    match NodeConfig::load(Path::new(path)) {
        Ok(config) => match run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&config.node, &error),
        },
        Err(error) => refuse(&name_by_path(Path::new(path)), &NodeError::Config(error)),
    }
}

/// Memory that large packets leave stays with the process for the next ones: glibc gives the top of the
/// heap back to the host whenever more than 128 KiB of it are free, which costs a fault for every page of every packet. It moves its
/// thresholds once it has seen a large block come and go: then up to twice as much may be free (mallopt(3), M_MMAP_THRESHOLD).
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 << 20)));
}

/// Why a node did not come to life.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel refused what the configuration asks for, or the wires did.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// The host refused something.
    #[error("{what} {path}: {source}", path = path.display())]
    Host {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the host said.
        #[source]
        source: io::Error,
    },
}

impl NodeError {
    fn status(&self) -> u8 {
        match self {
            NodeError::Config(ConfigError::Read { .. }) | NodeError::Host { .. } => 4,
            NodeError::Config(ConfigError::Parse { .. } | ConfigError::Invalid { .. }) => 2,
            NodeError::Birth(BirthError::Attach(_)) => 4,
            NodeError::Birth(BirthError::Config(_)) => 2,
        }
    }
}

/// Lives the life of a node.
fn run(config: &NodeConfig) -> Result<(), NodeError> {
    let host = |what, path: &Path| {
        let path = path.to_owned();
        move |source| NodeError::Host { what, path, source }
    };
    // A process group of its own, so that the terminal's Ctrl-C does not reach it. Not a session: the scheduler groups processes by
    // their sessions, and a switch between two groups costs microseconds. Whoever leads a group has one.
    let _ = rustix::process::setpgid(None, None);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let world = Host::new(config).map_err(host("cannot set up", &config.dir))?;
    let kernel = Kernel::new(config, Box::new(world));
    kernel.configure(config)?;
    if let Some(path) = config.hosts_file.clone() {
        kernel.hosts_from(Box::new(move || read_hosts(&path)));
    }

    let path = config.dir.join("ctl");
    let listener = ctl::listen(&path).map_err(host("cannot bind", &path))?;
    ctl::serve(&kernel, &listener).map_err(|error| host("cannot serve", &path)(error.into()))?;
    let path = config.dir.join("sysproxy");
    let clients = sysproxy::listen(&path).map_err(host("cannot bind", &path))?;
    sysproxy::serve(&kernel, &clients).map_err(|error| host("cannot serve", &path)(error.into()))?;
    let pid = PidFile::write(&config.dir).map_err(host("cannot write", &config.dir.join("pid")))?;

    announce(&config.node, format_args!("ready"));
    evloop::run(&kernel);
    kernel.shutdown();
    drop((listener, clients, pid));
    Ok(())
}

/// The names of the lab; none if the file cannot be read, which the log tells.
fn read_hosts(path: &Path) -> Vec<HostConfig> {
    let read = std::fs::read(path).and_then(|text| Ok(serde_json::from_slice(&text)?));
    read.unwrap_or_else(|error: io::Error| {
        log(tracing::Level::WARN, format_args!("cannot read {}: {error}", path.display()));
        Vec::new()
    })
}

fn refuse(node: &str, error: &NodeError) -> ExitCode {
    let message = error.to_string().replace('\n', " ");
    log(tracing::Level::ERROR, format_args!("{message}"));
    announce(node, format_args!("error {message}"));
    ExitCode::from(error.status())
}

/// A node whose configuration cannot be read is named after its directory.
fn name_by_path(config: &Path) -> String {
    let directory = config.parent().and_then(Path::file_name).unwrap_or(config.as_os_str());
    directory.to_string_lossy().into_owned()
}

/// One line, in one write (a pipe is shared by all nodes that start), and standard output is let go of.
fn announce(node: &str, what: fmt::Arguments<'_>) {
    let mut line = format!("{node} {what}");
    // PIPE_BUF: longer writes may be mixed with others'.
    let cut = (0..=4000.min(line.len())).rev().find(|&at| line.is_char_boundary(at));
    line.truncate(cut.unwrap_or(0));
    line.push('\n');
    // If nobody listens there is nobody to tell.
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
    let _ = rustix::stdio::dup2_stdout(rustix::stdio::stderr());
}

/// `pid` in the node's directory: "PID STARTTIME\n". It goes when it is dropped.
struct PidFile(PathBuf);

impl PidFile {
    fn write(directory: &Path) -> io::Result<PidFile> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // Field 22; the second one may hold anything, but ends at the last parenthesis (proc(5)).
        let start = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19)).unwrap_or("0");
        let (path, temporary) = (directory.join("pid"), directory.join("pid.new"));
        std::fs::write(&temporary, format!("{} {start}\n", std::process::id()))?;
        std::fs::rename(&temporary, &path)?;
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A line for the log, at a level that is known only now.
pub(crate) fn log(level: tracing::Level, line: fmt::Arguments<'_>) {
    match level {
        tracing::Level::ERROR => tracing::error!("{line}"),
        tracing::Level::WARN => tracing::warn!("{line}"),
        tracing::Level::INFO => tracing::info!("{line}"),
        tracing::Level::DEBUG => tracing::debug!("{line}"),
        tracing::Level::TRACE => tracing::trace!("{line}"),
    }
}

/// Log lines go to standard error; `RUMPKERN_LOG` names the level (default `info`).
fn log_to_stderr() {
    let level = std::env::var("RUMPKERN_LOG").ok().and_then(|level| level.parse().ok());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(tracing::Level::INFO))
        .with_ansi(false)
        .with_writer(io::stderr)
        .finish();
    // Fails if there is a subscriber already: then it gets the lines.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
