//! Results of suites that others wrote, on the host and on a node, and how the two compare.

pub mod table;

use std::collections::BTreeMap;
use std::fmt;

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Ok,
    /// It failed, for this reason.
    Fail(String),
    /// It was not run, for this reason.
    Skip(String),
    /// It took too long, or ended the program it ran in.
    Hang,
    /// Nothing was said of it.
    Missing,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ok => write!(f, "passes"),
            Outcome::Fail(why) => write!(f, "fails: {why}"),
            Outcome::Skip(why) => write!(f, "is skipped: {why}"),
            Outcome::Hang => write!(f, "hangs"),
            Outcome::Missing => write!(f, "is missing"),
        }
    }
}

/// The results of one run, by the tests' names.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// The suite came to its end.
    pub ended: bool,
    by_name: BTreeMap<String, Outcome>,
}

impl Outcomes {
    /// Reads lines of `ok|fail|skip|hang NAME WHY`; `start` lines say nothing yet, `end` closes.
    pub fn parse(text: &str) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, why) = rest.split_once(' ').unwrap_or((rest, ""));
            let outcome = match word {
                "ok" => Outcome::Ok,
                "fail" => Outcome::Fail(why.to_owned()),
                "skip" => Outcome::Skip(why.to_owned()),
                "hang" => Outcome::Hang,
                "end" => {
                    outcomes.ended = true;
                    continue;
                }
                _ => continue,
            };
            outcomes.by_name.insert(name.to_owned(), outcome);
        }
        outcomes
    }

    /// What became of each test.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.by_name.iter().map(|(name, outcome)| (name.as_str(), outcome))
    }

    fn get(&self, name: &str) -> Outcome {
        self.by_name.get(name).cloned().unwrap_or(Outcome::Missing)
    }

    fn passed(&self) -> impl Iterator<Item = &str> {
        self.by_name.iter().filter(|(_, outcome)| **outcome == Outcome::Ok).map(|(name, _)| name.as_str())
    }
}

/// The reviewed list of differences: names of tests, below the reason that they share.
#[derive(Clone, Debug, Default)]
pub struct Differences(BTreeMap<String, Steadiness>);

/// Whether a test that is listed always differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steadiness {
    Always,
    /// By the time that something takes.
    Sometimes,
}

impl Differences {
    /// Reads lines of `# REASON`, each followed by the tests' names; a blank line ends the reason. `~` before a name: it differs
    /// at times. `*` at its end: it stands for all names that begin so.
    ///
    /// # Panics
    /// If a test has no reason.
    pub fn parse(text: &str) -> Differences {
        let (mut reason, mut listed) = (false, BTreeMap::new());
        for line in text.lines().map(str::trim) {
            if line.starts_with('#') || line.is_empty() {
                reason = !line.is_empty();
                continue;
            }
            assert!(reason, "{line} is listed without a reason");
            let (name, steadiness) = match line.strip_prefix('~') {
                Some(name) => (name, Steadiness::Sometimes),
                None => (line, Steadiness::Always),
            };
            listed.insert(name.to_owned(), steadiness);
        }
        Differences(listed)
    }

    fn lists(&self, test: &str) -> bool {
        let begins = |start: &str| test.starts_with(start);
        self.0.contains_key(test) || self.0.keys().any(|listed| listed.strip_suffix('*').is_some_and(begins))
    }

    /// Compares two runs of the suite `name`.
    pub fn judge(&self, name: &str, host: &Outcomes, node: &Outcomes) -> Verdict {
        let mut verdict = Verdict::default();
        for test in host.passed() {
            verdict.host += 1;
            match node.get(test) {
                Outcome::Ok => verdict.node += 1,
                _ if self.lists(test) => verdict.listed += 1,
                outcome => verdict.unlisted.push((test.to_owned(), outcome)),
            }
        }
        let here = |test: &&String| test.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        // What the host fails today is no difference, but it may be one again.
        let stale = |test: &&String| match (test.strip_suffix('*'), node.get(test)) {
            (Some(start), _) => {
                let mut all = host.passed().filter(|test| test.starts_with(start));
                self.0[*test] == Steadiness::Always && all.all(|test| node.get(test) == Outcome::Ok)
            }
            (None, Outcome::Ok) => self.0[*test] == Steadiness::Always,
            (None, Outcome::Missing) => host.get(test) == Outcome::Missing,
            (None, Outcome::Fail(_) | Outcome::Skip(_) | Outcome::Hang) => false,
        };
        verdict.stale = self.0.keys().filter(here).filter(stale).cloned().collect();
        verdict
    }
}

/// How two runs compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Tests that pass on the host.
    pub host: usize,
    /// Those of them that pass on the node.
    pub node: usize,
    /// Those of them that do not and are listed.
    pub listed: usize,
    /// The others, with what became of them on the node.
    pub unlisted: Vec<(String, Outcome)>,
    /// Listed ones that pass on the node, or that there are not.
    pub stale: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str =
        "start m.A.a\nok m.A.a\nok m.A.b\nok m.A.c\nskip m.A.d no root\nfail m.A.e E: x\nok m.A.f\nend";

    #[test]
    fn only_listed_differences_are_allowed_and_only_while_they_last() {
        let host = Outcomes::parse(HOST);
        let node = Outcomes::parse("ok m.A.a\nhang m.A.b\nskip m.A.c no IPv6\nok m.A.d\nok m.A.f\nend");
        assert!(host.ended && node.ended);
        let listed = Differences::parse("# it is slow\nm.A.b\nm.A.f\nm.A.g\n~m.A.a\n\n# other\nn.A.a\n");
        let verdict = listed.judge("m", &host, &node);
        assert_eq!((verdict.host, verdict.node, verdict.listed), (4, 2, 1));
        assert_eq!(verdict.unlisted, [("m.A.c".to_owned(), Outcome::Skip("no IPv6".to_owned()))]);
        assert_eq!(verdict.stale, ["m.A.f", "m.A.g"]);
    }

    #[test]
    fn a_listed_name_may_stand_for_all_that_begin_so() {
        let host = Outcomes::parse(HOST);
        let node = Outcomes::parse("ok m.A.a\nfail m.A.b E: x\nfail m.A.c E: x\nok m.A.f\nend");
        let judge = |listed: &str| Differences::parse(listed).judge("m", &host, &node);
        assert_eq!(judge("# it is slow\nm.A.*\n").listed, 2);
        let verdict = judge("# it is slow\nm.A.b*\nm.A.f*\n~m.A.a*\nm.B.*\nn.*\n");
        assert_eq!(verdict.unlisted, [("m.A.c".to_owned(), Outcome::Fail("E: x".to_owned()))]);
        assert_eq!(verdict.stale, ["m.A.f*", "m.B.*"]);
    }

    #[test]
    fn a_suite_that_stops_has_not_ended_and_lacks_the_rest() {
        let node = Outcomes::parse("ok m.A.a\nstart m.A.b\n");
        assert!(!node.ended);
        let verdict = Differences::default().judge("m", &Outcomes::parse(HOST), &node);
        assert_eq!(verdict.unlisted.len(), 3);
        assert_eq!(verdict.unlisted[0], ("m.A.b".to_owned(), Outcome::Missing));
    }

    #[test]
    #[should_panic(expected = "without a reason")]
    fn each_difference_has_a_reason() {
        Differences::parse("# one\nm.A.a\n\nm.A.b\n");
    }
}
