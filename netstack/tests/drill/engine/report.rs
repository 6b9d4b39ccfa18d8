//! What has happened so far, in two columns: what the script says, and what was seen.

use super::parse::{Line, Place};
use netstack::time::Duration;
use std::fmt::Write as _;

#[derive(Default)]
pub(super) struct Trace {
    rows: Vec<Row>,
}

struct Row {
    place: Option<Place>,
    at: Duration,
    script: String,
    seen: String,
}

impl Trace {
    /// A line of the script, when it was played, and what was seen of it.
    pub(super) fn line(&mut self, at: Duration, line: &Line, seen: String) {
        let (place, script) = (Some(line.place.clone()), line.text.clone());
        self.rows.push(Row { place, at, script, seen });
    }

    /// Something that no line has asked for.
    pub(super) fn unasked(&mut self, at: Duration, seen: String) {
        self.rows.push(Row { place: None, at, script: String::new(), seen });
    }

    /// The report of a failure that the last rows show; `first` is the first of them.
    pub(super) fn failure(&self, at: &Place, why: &str, first: usize, notes: &[String]) -> String {
        let width = self.rows.iter().map(|r| r.script.len()).max().unwrap_or(0).clamp(20, 90);
        let mut text = format!("{at}: {why}\n      line       time  {:<width$} | seen\n", "script");
        let mut file = at.file.clone();
        for (n, row) in self.rows.iter().enumerate() {
            if let Some(place) = row.place.as_ref().filter(|p| p.file != file) {
                file = place.file.clone();
                let _ = writeln!(text, "      -- {file}");
            }
            let mark = if n == first { "==>" } else { "" };
            let line = row.place.as_ref().map_or(String::new(), |p| p.line.to_string());
            let (at, script) = (row.at.as_secs_f64(), &row.script);
            let _ = writeln!(text, "{mark:<4} {line:>5} {at:>10.6}  {script:<width$} | {}", row.seen);
        }
        for note in notes {
            let _ = writeln!(text, "      differs: {note}");
        }
        text
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}
