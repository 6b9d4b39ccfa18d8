//! Whether a program ended as it was to, and whether texts are what they must be.

use super::fault::quoted;
use crate::topology::model::{Output, TextMatch};
use rumphijack::{Report, Status};
use serde_json::Value;

/// Lines of a program's output that are shown of one that ended wrongly.
pub const SHOWN_LINES: usize = 10;

/// How a program ended and what it wrote, against how it was to: what was seen, or what is wrong and its last words.
///
/// # Errors
/// It is not as it was to be.
pub fn judge(want: &Output, report: &Report, stdout: &str, stderr: &str) -> Result<String, String> {
    let ended = ending(report);
    let wrong = if *report != Report::Ended(Status::Exited(want.exit.into())) {
        let as_to = if matches!(report, Report::Ended(_)) {
            format!(", wanted exit {}", want.exit)
        } else {
            String::new()
        };
        Some(format!("{ended}{as_to}"))
    } else {
        mismatch("its standard output", &want.stdout, stdout)
            .or_else(|| mismatch("its standard error", &want.stderr, stderr))
            .map(|what| format!("{ended}, but {what}"))
    };
    match wrong {
        None => Ok(ended),
        Some(what) => {
            let mut lines = last_lines(stdout, SHOWN_LINES);
            lines.extend(last_lines(stderr, SHOWN_LINES));
            Err(format!("{what}{}", quoted(&lines)))
        }
    }
}

/// How a program ended, in words.
pub fn ending(report: &Report) -> String {
    match report {
        Report::Began(_) => "is running".into(),
        Report::Stopped => "is stopped".into(),
        Report::Ended(Status::Exited(code)) => format!("exited {code}"),
        Report::Ended(Status::Signalled(signal)) => match nix::sys::signal::Signal::try_from(*signal) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {signal}"),
        },
        Report::NotExecuted { why, .. } => format!("cannot be executed: {why}"),
        Report::NoNode(why) => format!("was ended: {why}"),
        Report::Refused(why) => format!("cannot be run here: {why}"),
    }
}

/// The last lines of a text.
pub fn last_lines(text: &str, most: usize) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].iter().map(|line| (*line).to_owned()).collect()
}

/// What `what`, a text, lacks of what it must have.
pub fn mismatch(what: &str, want: &TextMatch, text: &str) -> Option<String> {
    if let Some(part) = &want.contains
        && !text.contains(part.as_str())
    {
        return Some(format!("{what} does not contain {part:?}"));
    }
    if let Some(pattern) = &want.matches
        && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        return Some(format!("{what} does not match {pattern:?}"));
    }
    if let Some(json) = &want.json {
        match serde_json::from_str(text) {
            Err(_) => return Some(format!("{what} is not JSON")),
            Ok(found) if !holds(json, &found) => return Some(format!("{what} does not hold {json}")),
            Ok(_) => {}
        }
    }
    None
}

/// Whether `found` holds every key of `want`, with its value.
fn holds(want: &Value, found: &Value) -> bool {
    match (want, found) {
        (Value::Object(want), Value::Object(found)) => {
            want.iter().all(|(key, want)| found.get(key).is_some_and(|found| holds(want, found)))
        }
        (Value::Number(want), Value::Number(found)) => want.as_f64() == found.as_f64(),
        _ => want == found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_that_fit_and_do_not() {
        let want = |contains: Option<&str>, matches: Option<&str>, json: Option<Value>| TextMatch {
            contains: contains.map(str::to_owned),
            matches: matches.map(str::to_owned),
            json,
        };
        let mismatch = |want: &TextMatch, text: &str| mismatch("the body", want, text);
        assert_eq!(mismatch(&TextMatch::default(), "x"), None);
        assert_eq!(mismatch(&want(Some("ell"), Some("^h.*o$"), None), "hello"), None);
        assert!(mismatch(&want(Some("elp"), None, None), "hello").unwrap().contains("elp"));
        assert!(mismatch(&want(None, Some("^x"), None), "hello").unwrap().contains("match"));
        let json_wanted = want(None, None, Some(json!({"a": {"b": 1}})));
        assert_eq!(mismatch(&json_wanted, r#"{"a":{"b":1.0,"c":2},"d":3}"#), None);
        assert!(mismatch(&json_wanted, r#"{"a":{"b":2}}"#).is_some());
        assert!(mismatch(&json_wanted, "nothing").unwrap().contains("the body is not JSON"));
    }

    #[test]
    fn an_end_is_as_it_was_to_be_or_quoted() {
        let want = Output { exit: 3, ..Output::default() };
        let three = Report::Ended(Status::Exited(3));
        assert_eq!(judge(&want, &three, "", ""), Ok("exited 3".into()));
        let said = judge(&want, &Report::Ended(Status::Exited(0)), "out\n", "a\nb\n").unwrap_err();
        assert_eq!(said, "exited 0, wanted exit 3\n  | out\n  | a\n  | b");
        let said = judge(&want, &Report::Ended(Status::Signalled(9)), "", "").unwrap_err();
        assert_eq!(said, "was ended by SIGKILL, wanted exit 3");
        let missing = Report::NotExecuted { code: 127, why: "no such file".into() };
        assert_eq!(judge(&want, &missing, "", "").unwrap_err(), "cannot be executed: no such file");
        let stderr = TextMatch { contains: Some("x".into()), ..TextMatch::default() };
        let said = judge(&Output { stderr, ..want }, &three, "x", "y").unwrap_err();
        assert_eq!(said, "exited 3, but its standard error does not contain \"x\"\n  | x\n  | y");
        assert_eq!(last_lines("1\n2\n3\n", 2), ["2", "3"]);
    }
}
