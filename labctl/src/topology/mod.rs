//! From a topology file to a lab: read, repeat, join, number, route, check — and say everything that is wrong at once.
//!
//! [`load`] and [`load_str`] are the doors. Inside, `raw` is what was typed (with spans), `draft` who is joined to whom, `number` and
//! `routes` derive what was not typed, and [`model`] is what is meant. Nothing here touches the
//! host but to see whether files that the topology names are there.
//!
//! ```
//! let lab = labctl::topology::load_str(
//!     "hello.lab.toml",
//!     r#"
//!     [node]
//!     h1 = {}
//!     r1 = { forward = true }
//!     [bus]
//!     left = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
//!     "#,
//! )?;
//! assert_eq!(lab.name, "hello");
//! assert_eq!(lab.nodes["h1"].interfaces[0].addrs[0].to_string(), "10.0.1.2/24");
//! assert_eq!(lab.nodes["h1"].routes[0].via.unwrap().to_string(), "10.0.1.1");
//! # Ok::<(), labctl::topology::diag::Diagnostics>(())
//! ```

pub mod addr;
mod checks;
pub mod diag;
mod draft;
mod events;
pub(crate) use events::route_words;
mod filters;
mod finish;
pub mod impair;
pub mod ipv6;
pub mod model;
pub mod names;
mod number;
mod programs;
pub mod ra;
pub mod raw;
pub mod read;
pub mod render;
pub mod repeat;
mod routes;
pub mod schema;
pub mod show;
pub mod tcp;
pub mod units;
pub mod values;

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use diag::{Code, Diag, Diagnostics};
use model::Lab;
use read::{Cx, Read};

/// Reads a topology file.
///
/// # Errors
/// All faults of the file, if any of them is an error. Warnings alone are in [`Lab::warnings`].
pub fn load(path: &Path) -> Result<Lab, Diagnostics> {
    let unreadable = |why: String| {
        let diag = Diag::new(Code::Unreadable, 0..0, format!("cannot read {}: {why}", path.display()));
        Diagnostics::new(path, Arc::from(""), vec![diag])
    };
    let octets = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    let text = String::from_utf8(octets)
        .map_err(|e| unreadable(format!("octet {} is not UTF-8", e.utf8_error().valid_up_to())))?;
    load_named(path, text)
}

/// Reads a topology file, and further events from the text of another.
///
/// # Errors
/// As [`load`]; what is wrong with the events is below the last line of the file.
pub fn load_with(path: &Path, events: &str) -> Result<Lab, Diagnostics> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match text.is_empty() {
        true => load(path),
        false => load_named(path, format!("{text}\n{events}")),
    }
}

/// Reads words as an event's of a topology file.
///
/// # Errors
/// One line that says what is wrong with them.
pub fn act(path: &Path, words: &str) -> Result<model::Act, String> {
    // By its time it is the last of all.
    let event = format!("[[event]]\nat = \"9000000000s\"\ndo = {}\n", toml::Value::String(words.to_owned()));
    let lab = load_with(path, &event).map_err(|faults| {
        let first = faults.items.iter().find(|diag| diag.code.severity() == diag::Severity::Error);
        first.map_or_else(
            || faults.to_string(),
            |diag| match &diag.hint {
                Some(hint) => format!("{}: {hint}", diag.message),
                None => diag.message.clone(),
            },
        )
    })?;
    lab.events.last().map(|event| event.act.clone()).ok_or_else(|| "there is no event here".to_owned())
}

/// Reads a topology from text. `name` stands for the file: it names the lab if the text does not, and host paths are
/// relative to its folder.
///
/// # Errors
/// As [`load`].
pub fn load_str(name: &str, text: &str) -> Result<Lab, Diagnostics> {
    load_named(Path::new(name), text.to_owned())
}

fn load_named(path: &Path, text: String) -> Result<Lab, Diagnostics> {
    let text: Arc<str> = text.into();
    let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut cx = Cx::new(base);
    let lab = match parse(&text, &mut cx) {
        // A text that is not TOML reads as half of one: what else is wrong with it would be guesswork.
        None => None,
        Some(document) => raw::File::read(&document, &mut cx).map(|file| finish::lab(file, path, &mut cx)),
    };
    let diagnostics = Diagnostics::new(path, text, cx.diags);
    match lab {
        Some(mut lab) if !diagnostics.has_errors() => {
            lab.warnings = diagnostics;
            Ok(lab)
        }
        _ => Err(diagnostics),
    }
}

/// Parses TOML; all its syntax errors are noted.
fn parse<'t>(text: &'t str, cx: &mut Cx) -> Option<Spanned<DeValue<'t>>> {
    let (document, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        let span = fault.span().unwrap_or(0..0);
        let mut diag = Diag::new(Code::Syntax, span, fault.message());
        if fault.message().ends_with("expected nothing") || fault.message().contains("must be quoted") {
            diag = diag.hint("texts and addresses stand in quotes: \"10.0.0.0/24\"");
        }
        cx.push(diag);
    }
    let span = document.span();
    faults.is_empty().then(|| Spanned::new(span, DeValue::Table(document.into_inner())))
}
