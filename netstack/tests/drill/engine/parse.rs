//! The text of a script to lines: head directives, times, `for`, `reach`. Nothing is played here, so
//! that what is wrong with a script is told with its file and line before anything happens.

use super::call::Call;
use super::packet::Packet;
use netstack::tcp::cc::Algorithm;
use netstack::tcp::{Profile, TcpConfig, sysctl};
use netstack::time::Duration;
use std::fmt;
use std::iter::StepBy;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

/// Where a line stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Rc<str>,
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a line does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `<`: a packet that comes in.
    In(Packet),
    /// `>`: a packet that must go out.
    Out(Packet),
    /// A call, and its outcome after `->`.
    Call(Call, Option<String>),
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) place: Place,
    /// The words as they stand, without time and comment.
    pub(crate) text: String,
    /// After the line before it.
    pub(crate) delay: Duration,
    /// How much sooner or later a packet may go out; none: what the head says.
    pub(crate) tolerance: Option<Duration>,
    pub(crate) step: Step,
}

/// What stands before the first line that does something.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) config: TcpConfig,
    pub(crate) inet6: bool,
    pub(crate) tolerance: Duration,
}

impl Default for Head {
    /// Linux, but for the congestion control, what it cuts, and PSH inside of what was written: what RFC 5681 makes of a window
    /// can be done in one's head, and flags are those of what was written.
    fn default() -> Head {
        let config = TcpConfig {
            congestion_control: Algorithm::NewReno,
            push_trains: false,
            cut_by_window: false,
            ..Profile::Linux.config()
        };
        Head { config, inet6: false, tolerance: Duration::ZERO }
    }
}

/// A script that was read.
#[derive(Clone, Debug)]
pub(crate) struct Drill {
    pub(crate) head: Head,
    pub(crate) lines: Vec<Line>,
}

impl Drill {
    /// Reads a script. `reach NAME` is found as `NAME.drill` in the folder `reach`.
    pub(crate) fn parse(file: &str, text: &str, reach: &Path) -> Result<Drill, String> {
        let mut reader = Reader { head: Head::default(), lines: Vec::new(), reach, depth: 0 };
        reader.text(file, text)?;
        Ok(Drill { head: reader.head, lines: reader.lines })
    }
}

struct Reader<'a> {
    head: Head,
    lines: Vec<Line>,
    reach: &'a Path,
    /// How many `reach` deep.
    depth: usize,
}

impl Reader<'_> {
    fn text(&mut self, file: &str, text: &str) -> Result<(), String> {
        let file: Rc<str> = file.into();
        let numbered: Vec<(usize, &str)> = (1..)
            .zip(text.lines())
            .map(|(n, line)| (n, line.split('#').next().unwrap_or_default().trim()))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        self.block(&file, &numbered, &mut Vec::new())
    }

    /// Lines in which the variables of the loops around them have these values.
    fn block(
        &mut self,
        file: &Rc<str>,
        lines: &[(usize, &str)],
        vars: &mut Vec<(String, i64)>,
    ) -> Result<(), String> {
        let mut at = 0;
        while let Some(&(line, text)) = lines.get(at) {
            at += 1;
            let place = Place { file: file.clone(), line };
            let blame = |why: String| format!("{place}: {why}");
            if let Some(head) = text.strip_prefix("for ") {
                let (var, range) = range(head, vars).map_err(blame)?;
                let len = body(&lines[at..]).ok_or_else(|| blame("a `for` without its `end`".into()))?;
                for value in range {
                    vars.push((var.clone(), value));
                    self.block(file, &lines[at..at + len], vars)?;
                    vars.pop();
                }
                at += len + 1;
                continue;
            }
            let text = fill(text, vars).map_err(blame)?;
            self.line(place.clone(), &text).map_err(|why| {
                // What stands in a file further down says so itself.
                if why.contains(".drill:") { why } else { blame(why) }
            })?;
        }
        Ok(())
    }

    fn line(&mut self, place: Place, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["inet6"] => return self.head_of(|head| head.inet6 = true),
            ["tolerance", t] => {
                let t = seconds(t)?;
                return self.head_of(|head| head.tolerance = t);
            }
            ["profile", name] => {
                let profile = Profile::by_name(name).ok_or_else(|| format!("no profile is called {name}"))?;
                return self.head_of(|head| head.config = profile.config());
            }
            ["sysctl", name, ref value @ ..] => {
                let mut config = self.head.config.clone();
                sysctl::set(&mut config, name, &value.join(" ")).map_err(|e| e.to_string())?;
                return self.head_of(|head| head.config = config);
            }
            ["reach", name] => return self.reach(name),
            _ => {}
        }
        let (delay, tolerance, rest) = match text.strip_prefix('+') {
            Some(timed) => {
                let (time, rest) = timed.split_once(' ').ok_or("a time alone")?;
                let (time, tolerance) = match time.split_once('~') {
                    Some((time, t)) => (time, Some(seconds(t)?)),
                    None => (time, None),
                };
                (seconds(time)?, tolerance, rest.trim())
            }
            None => (Duration::ZERO, None, text),
        };
        let step = match rest.as_bytes() {
            [b'<', packet @ ..] => Step::In(Packet::parse(&String::from_utf8_lossy(packet))?),
            [b'>', packet @ ..] => Step::Out(Packet::parse(&String::from_utf8_lossy(packet))?),
            _ => match rest.split_once("->") {
                Some((call, want)) => Step::Call(Call::parse(call)?, Some(want.trim().into())),
                None => Step::Call(Call::parse(rest)?, None),
            },
        };
        if tolerance.is_some() && !matches!(step, Step::Out(_)) {
            return Err("a tolerance is for packets that go out".into());
        }
        self.lines.push(Line { place, text: rest.into(), delay, tolerance, step });
        Ok(())
    }

    fn head_of(&mut self, set: impl FnOnce(&mut Head)) -> Result<(), String> {
        if self.depth > 0 || !self.lines.is_empty() {
            return Err("this stands at the head of a script, before all else".into());
        }
        set(&mut self.head);
        Ok(())
    }

    fn reach(&mut self, name: &str) -> Result<(), String> {
        if self.depth > 8 {
            return Err("it goes round".into());
        }
        let path = self.reach.join(format!("{name}.drill"));
        let text = std::fs::read_to_string(&path).map_err(|_| format!("there is no way to reach {name}"))?;
        self.depth += 1;
        let done = self.text(&format!("reach/{name}.drill"), &text);
        self.depth -= 1;
        done
    }
}

/// `SECONDS`, or `NUMBERms`.
fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(ms) => (ms, 1e3),
        None => (text, 1e6),
    };
    match number.parse::<f64>() {
        Ok(n) if n >= 0.0 => Ok(Duration::from_micros((n * unit).round() as u64)),
        _ => Err(format!("no time: {text}")),
    }
}

/// How many lines stand before the `end` of the loop that has just begun.
fn body(lines: &[(usize, &str)]) -> Option<usize> {
    let mut depth = 0;
    lines.iter().position(|(_, text)| {
        depth += usize::from(text.starts_with("for "));
        let end = *text == "end";
        let found = end && depth == 0;
        depth -= usize::from(end && depth > 0);
        found
    })
}

/// `VAR FROM..TO [by N]`: like Rust's, TO is not reached.
fn range(text: &str, vars: &[(String, i64)]) -> Result<(String, StepBy<Range<i64>>), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (var, range, by) = match words[..] {
        [var, range] => (var, range, 1),
        [var, range, "by", n] => (var, range, n.parse().ok().filter(|n| *n > 0).ok_or("no step")?),
        _ => return Err("for VAR FROM..TO [by N]".into()),
    };
    let (from, to) = range.split_once("..").ok_or("no range: FROM..TO")?;
    Ok((var.into(), (sum(from, vars)?..sum(to, vars)?).step_by(by)))
}

/// Each `{expression}` gives way to its value.
fn fill(text: &str, vars: &[(String, i64)]) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (expression, after) = after.split_once('}').ok_or("no }")?;
        filled += before;
        filled += &sum(expression, vars)?.to_string();
        rest = after;
    }
    if rest.contains('}') {
        return Err("no {".into());
    }
    Ok(filled + rest)
}

/// Sums and differences of products of numbers and variables.
fn sum(text: &str, vars: &[(String, i64)]) -> Result<i64, String> {
    let mut total = 0;
    // A minus before each term that is taken away.
    for term in text.replace('-', "+-").split('+').filter(|t| !t.trim().is_empty()) {
        let mut product = 1;
        for factor in term.split('*') {
            let factor = factor.trim();
            let (sign, name) = factor.strip_prefix('-').map_or((1, factor), |name| (-1, name.trim()));
            let value = match vars.iter().rev().find(|(var, _)| var == name) {
                Some((_, value)) => *value,
                None => name.parse().map_err(|_| format!("neither a number nor a variable: {name}"))?,
            };
            product *= sign * value;
        }
        total += product;
    }
    Ok(total)
}
