//! Where verbs write: standard output, buffered; and the one place that prints errors.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde_json::json;

use super::{Failure, Global};
use crate::topology::diag::Diagnostics;
use crate::topology::render::{self, Style};

/// Standard output of a verb. What is written comes out at the end, or when the buffer is full.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<io::Stdout>,
    json: bool,
    quiet: bool,
}

impl Output {
    /// As the global options say.
    pub fn new(global: &Global) -> Self {
        Self { out: BufWriter::new(io::stdout()), json: global.json, quiet: global.quiet }
    }

    /// Whether standard output wants colours: a terminal, and no `NO_COLOR`.
    pub fn colour(&self) -> bool {
        wants_colour(io::stdout().is_terminal())
    }

    /// Prints one JSON object as one line.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        Ok(self.out.write_all(b"\n")?)
    }

    /// Prints a line for people: nothing under `-q`.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn say(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        if !self.quiet {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Prints warnings to standard error: nothing under `-q`.
    pub fn warnings(&mut self, warnings: &Diagnostics) {
        if !warnings.is_empty() && !self.quiet {
            self.diagnostics(warnings);
        }
    }

    fn diagnostics(&self, diagnostics: &Diagnostics) {
        let text = if self.json {
            render::json_lines(diagnostics)
        } else {
            let colour = wants_colour(io::stderr().is_terminal());
            render::text(diagnostics, if colour { Style::Colour } else { Style::Plain })
        };
        // Standard error may be closed; there is nobody left to tell.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Prints why a verb failed, to standard error.
    pub(super) fn failure(&mut self, failure: &Failure) {
        // What the verb had to say comes first.
        let _ = self.out.flush();
        let mut text = match failure {
            Failure::Pipe => return,
            Failure::Topology(diagnostics) => return self.diagnostics(diagnostics),
            Failure::Work(error) => format!("{error:#}"),
            Failure::Usage { .. } | Failure::State { .. } | Failure::Host { .. } => failure.to_string(),
        };
        if self.json {
            text = json!({ "error": text, "hint": failure.hint() }).to_string();
        } else {
            text = format!("labctl: {text}");
            if let Some(hint) = failure.hint() {
                text.push_str(&format!("\n  help: {hint}"));
            }
        }
        let _ = writeln!(io::stderr(), "{text}");
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.out.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// `NO_COLOR` (not empty) forbids, `CLICOLOR_FORCE` demands, else the terminal decides.
fn wants_colour(terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    !set("NO_COLOR")
        && (set("CLICOLOR_FORCE") || (terminal && std::env::var_os("TERM").is_none_or(|t| t != "dumb")))
}
