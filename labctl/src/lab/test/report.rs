//! What came of a test: for people line by line, for programs as JSON and JUnit.

use crate::lab::events::EventReport;
use crate::topology::model::{Lab, Mode};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// `ping`, `wire`, …
    pub kind: &'static str,
    /// Whether all is as it must be.
    pub ok: bool,
    /// From its begin to the decision.
    pub took: Duration,
    /// What was seen.
    pub detail: String,
}

impl CheckReport {
    /// The kind of an event that could not happen.
    pub(super) const EVENT: &'static str = "event";

    /// Its name.
    pub(super) fn event_name(words: &str) -> String {
        format!("event {words}")
    }

    /// An event that could not happen is a failure as well.
    pub(super) fn of_event(event: &EventReport) -> Self {
        Self {
            name: Self::event_name(&event.words),
            kind: Self::EVENT,
            ok: event.fault.is_none(),
            took: Duration::ZERO,
            detail: event.fault.clone().unwrap_or_default(),
        }
    }
}

/// What came of one lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabReport {
    /// Its name.
    pub lab: String,
    /// Its file.
    pub topology: PathBuf,
    /// Where it lived.
    pub mode: Mode,
    /// The seed of its randomness.
    pub seed: u64,
    /// Up, checks and down; by its own clock if it was in virtual time.
    pub took: Duration,
    /// Its events that have happened.
    pub events: Vec<EventReport>,
    /// Its checks, in the order of their running.
    pub checks: Vec<CheckReport>,
    /// Where the captures of its buses are, if they were kept.
    pub kept: Option<PathBuf>,
    /// Whether the person stopped it.
    pub interrupted: bool,
}

impl LabReport {
    /// Of a test that begins.
    pub(super) fn begin(lab: &Lab, topology: &Path, mode: Mode, seed: u64) -> Self {
        Self {
            lab: lab.name.clone(),
            topology: topology.to_owned(),
            mode,
            seed,
            took: Duration::ZERO,
            events: Vec::new(),
            checks: Vec::new(),
            kept: None,
            interrupted: false,
        }
    }

    /// How many checks did not hold.
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.ok).count()
    }

    /// `{"lab","mode","seed","passed","failed","checks":[{"name","ok","took_ms","detail"}]}`
    pub fn json(&self) -> Value {
        let checks: Vec<_> = self
            .checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name,
                    "kind": check.kind,
                    "ok": check.ok,
                    "took_ms": milliseconds(check.took),
                    "detail": check.detail,
                })
            })
            .collect();
        let events: Vec<_> = self
            .events
            .iter()
            .map(|event| json!({ "at_ms": event.at.map(milliseconds), "do": event.words, "fault": event.fault }))
            .collect();
        json!({
            "lab": self.lab,
            "mode": self.mode.as_str(),
            "seed": self.seed,
            "passed": self.checks.len() - self.failed(),
            "failed": self.failed(),
            "took_ms": milliseconds(self.took),
            "topology": self.topology,
            "captures": self.kept,
            "events": events,
            "checks": checks,
        })
    }
}

/// Milliseconds with three digits after the point.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// JUnit's XML, as build servers read it: a suite a lab, a case a check. `broken` are topologies that did not come up.
pub fn junit(labs: &[LabReport], broken: &[(PathBuf, String)]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for lab in labs {
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.3}\" file=\"{}\">",
            escape(&lab.lab),
            lab.checks.len(),
            lab.failed(),
            lab.took.as_secs_f64(),
            escape(&lab.topology.display().to_string()),
        );
        for check in &lab.checks {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                escape(&lab.lab),
                escape(&check.name),
                check.took.as_secs_f64()
            );
            if check.ok {
                xml.push_str("/>\n");
            } else {
                let _ = writeln!(
                    xml,
                    ">\n      <failure message=\"{}\"/>\n    </testcase>",
                    escape(&check.detail)
                );
            }
        }
        xml.push_str("  </testsuite>\n");
    }
    for (file, message) in broken {
        let file = escape(&file.display().to_string());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{file}\" tests=\"1\" failures=\"0\" errors=\"1\" time=\"0\">\n    \
             <testcase classname=\"{file}\" name=\"up\" time=\"0\">\n      <error message=\"{}\"/>\n    \
             </testcase>\n  </testsuite>",
            escape(message)
        );
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// The Test Anything Protocol, version 14: a line a check, in its order; a failure says why in YAML.
pub fn tap(labs: &[LabReport], broken: &[(PathBuf, String)]) -> String {
    let mut text = String::from("TAP version 14\n");
    let mut number = 0;
    let mut point = |ok: bool, name: &str, says: &str, took: Option<Duration>| {
        number += 1;
        // A number sign would begin a directive.
        let name = name.replace('\\', "\\\\").replace('#', "\\#").replace(['\n', '\r'], " ");
        let word = if ok { "ok" } else { "not ok" };
        let _ = writeln!(text, "{word} {number} - {name}");
        if !ok {
            let _ = writeln!(text, "  ---\n  message: {}", json!(says));
            if let Some(took) = took {
                let _ = writeln!(text, "  duration_ms: {}", milliseconds(took));
            }
            text.push_str("  ...\n");
        }
    };
    for lab in labs {
        for check in &lab.checks {
            point(check.ok, &format!("{}: {}", lab.lab, check.name), &check.detail, Some(check.took));
        }
    }
    for (file, message) in broken {
        point(false, &format!("{}: up", file.display()), message, None);
    }
    let _ = writeln!(text, "1..{number}");
    text
}

/// XML 1.0 §2.2 and §2.4: what may not stand in an attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' | '\r' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> LabReport {
        let check = |name: &str, ok, detail: &str| CheckReport {
            name: name.into(),
            kind: "ping",
            ok,
            took: Duration::from_micros(1234),
            detail: detail.into(),
        };
        LabReport {
            lab: "hello".into(),
            topology: "a/hello.lab.toml".into(),
            mode: Mode::Live,
            events: Vec::new(),
            seed: 7,
            took: Duration::from_millis(50),
            checks: vec![
                check("ping h1 -> h2", true, "1 of 1"),
                check("no \"RST\" & <co>", false, "3\nframes\u{1}"),
            ],
            kept: None,
            interrupted: false,
        }
    }

    #[test]
    fn json_has_the_keys_of_the_contract() {
        let json = lab().json();
        assert_eq!(
            (&json["lab"], &json["mode"], &json["seed"]),
            (&json!("hello"), &json!("live"), &json!(7))
        );
        assert_eq!((&json["passed"], &json["failed"]), (&json!(1), &json!(1)));
        assert_eq!(json["checks"][0]["name"], "ping h1 -> h2");
        assert_eq!(json["checks"][0]["took_ms"], 1.234);
        assert_eq!(json["checks"][1]["ok"], false);
        assert_eq!(json["checks"][1]["detail"], "3\nframes\u{1}");
    }

    #[test]
    fn junit_is_well_formed_whatever_the_names() {
        let xml = junit(&[lab()], &[("b.lab.toml".into(), "node `x` did not start".into())]);
        assert!(xml.contains("name=\"no &quot;RST&quot; &amp; &lt;co&gt;\""), "{xml}");
        assert!(xml.contains("message=\"3&#10;frames\u{fffd}\""), "{xml}");
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("<error message=\"node `x` did not start\"/>"), "{xml}");
    }
}
