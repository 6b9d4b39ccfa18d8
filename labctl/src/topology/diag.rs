//! What is wrong with a topology file: codes, places, hints.
//!
//! Faults are collected, never thrown: a reader that finds one notes it and goes on, so that all faults of a file come
//! out in one go. [`super::render`] turns them into text in the manner of rustc or into JSON lines.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A place in the file: octet offsets.
pub type Span = Range<usize>;

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// Said, but the lab may start.
    Warning,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $severity:ident,)*) => {
        /// The kinds of fault. Their names in text are stable: scripts may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name: `unknown-node`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whether this kind stops the lab or is only said.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The file cannot be read, or is not UTF-8.
    Unreadable = "unreadable" Error,
    /// Not TOML (a key written twice is this too).
    Syntax = "syntax" Error,
    /// A key that the schema does not know.
    UnknownKey = "unknown-key" Error,
    /// A key that must be there.
    MissingKey = "missing-key" Error,
    /// A string where a table belongs, and the like.
    WrongType = "wrong-type" Error,
    /// A word that is not one of those offered.
    UnknownValue = "unknown-value" Error,
    /// Keys that exclude each other.
    ConflictingKeys = "conflicting-keys" Error,
    /// A quantity without a unit, or with an unknown one.
    BadUnit = "bad-unit" Error,
    /// A number outside its range.
    OutOfRange = "out-of-range" Error,
    /// Not an address, not a prefix, or one that cannot stand here.
    BadAddress = "bad-address" Error,
    /// Not a unicast MAC address.
    BadMac = "bad-mac" Error,
    /// A name that cannot become a file name.
    BadName = "bad-name" Error,
    /// `{i}` where there is no such index.
    BadTemplate = "bad-template" Error,
    /// Not a regular expression.
    BadRegex = "bad-regex" Error,
    /// Not a filter of frames.
    BadFilter = "bad-filter" Error,
    /// Not an `http://` URL.
    BadUrl = "bad-url" Error,
    /// An event whose words are not what its verb takes.
    BadEvent = "bad-event" Error,
    /// More of something than a lab can hold.
    TooMany = "too-many" Error,
    /// Two things of one name.
    DuplicateName = "duplicate-name" Error,
    /// One node twice in a bus's list.
    DuplicateMember = "duplicate-member" Error,
    /// No node of that name.
    UnknownNode = "unknown-node" Error,
    /// No bus of that name.
    UnknownBus = "unknown-bus" Error,
    /// The node has no interface of that name.
    UnknownInterface = "unknown-interface" Error,
    /// No program of that name.
    UnknownProgram = "unknown-program" Error,
    /// No impairment preset of that name.
    UnknownPreset = "unknown-preset" Error,
    /// A distribution of delays that is no word, and no file with one.
    BadDistribution = "bad-distribution" Error,
    /// An event's verb that does not exist, or that cannot be an event.
    UnknownVerb = "unknown-verb" Error,
    /// Two buses whose subnets share addresses.
    OverlappingSubnets = "overlapping-subnets" Error,
    /// One address on two interfaces.
    DuplicateAddress = "duplicate-address" Error,
    /// One MAC on two interfaces.
    DuplicateMac = "duplicate-mac" Error,
    /// An address that is in none of its bus's subnets.
    OutsideSubnet = "outside-subnet" Warning,
    /// More interfaces on a bus than its subnet has addresses.
    SubnetExhausted = "subnet-exhausted" Error,
    /// More buses than subnets in the pool.
    PoolExhausted = "pool-exhausted" Error,
    /// A gateway that is not on the interface's own subnet.
    UnreachableGateway = "unreachable-gateway" Error,
    /// A gateway address that no node of the lab has.
    UnownedGateway = "unowned-gateway" Warning,
    /// A route without a next hop, or with one that no interface reaches.
    NoNextHop = "no-next-hop" Error,
    /// A node without any interface.
    UnconnectedNode = "unconnected-node" Warning,
    /// What only a router or only a host may have, at the other.
    WrongRole = "wrong-role" Error,
    /// A key that does nothing where it stands.
    NoEffect = "no-effect" Warning,
    /// Interfaces that wait for advertised prefixes where nobody advertises.
    NoAdvertiser = "no-advertiser" Warning,
    /// Interfaces of one bus with different MTUs.
    MtuMismatch = "mtu-mismatch" Warning,
    /// Programs that wait for each other in a circle.
    ProgramLoop = "program-loop" Error,
    /// A file of the host that is not there.
    MissingFile = "missing-file" Error,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A second place that explains the first: `first used here`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// Most names that a hint lists: the keys of a bus are so many.
const KNOWN_MAX: usize = 13;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diag {
    /// Its kind.
    pub code: Code,
    /// One line, lower case, no full stop.
    pub message: String,
    /// Where it is.
    pub span: Span,
    /// What stands under the caret; may be empty.
    pub label: String,
    /// Other places that belong to it.
    pub others: Vec<Label>,
    /// What to do about it: `did you mean "r1"?`
    pub hint: Option<String>,
}

impl Diag {
    /// A fault at a place.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), span, label: String::new(), others: Vec::new(), hint: None }
    }

    /// Puts words under the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = text.into();
        self
    }

    /// Points at a second place.
    #[must_use]
    pub fn other(mut self, span: Span, text: impl Into<String>) -> Self {
        self.others.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Says what was probably meant, if one of `known` is near `typed`; else lists `known` if they are few.
    #[must_use]
    pub fn meant<'a>(mut self, typed: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        if let Some(best) = nearest(typed, &known) {
            self.hint = Some(format!("did you mean \"{best}\"?"));
        } else if !known.is_empty() && known.len() <= KNOWN_MAX {
            self.hint = Some(format!("known here: {}", known.join(", ")));
        }
        self
    }
}

/// The name nearest to what was typed, if it is near enough to be a slip of the fingers.
pub fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .iter()
        .filter(|name| name.len().abs_diff(typed.len()) <= limit)
        .map(|name| (strsim::damerau_levenshtein(&typed.to_lowercase(), name), *name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// All faults of one file, with the file's text.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The file as the user named it.
    pub file: PathBuf,
    /// What was in it.
    pub text: Arc<str>,
    /// The faults, in the order of the file.
    pub items: Vec<Diag>,
}

impl Diagnostics {
    /// Sorts by place, and keeps one fault of a kind a place: a table with `count` has the same fault in every copy.
    pub fn new(file: impl Into<PathBuf>, text: Arc<str>, mut items: Vec<Diag>) -> Self {
        items.sort_by(|a, b| (a.span.start, a.code, &a.message).cmp(&(b.span.start, b.code, &b.message)));
        items.dedup_by(|a, b| a.code == b.code && a.span == b.span);
        Self { file: file.into(), text, items }
    }

    /// Whether any fault stops the lab.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|d| d.code.severity() == Severity::Error)
    }

    /// Number of errors and of warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.items.iter().filter(|d| d.code.severity() == Severity::Error).count();
        (errors, self.items.len() - errors)
    }

    /// Nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Line and column of an offset, both from 1; columns count characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::render::text(self, super::render::Style::Plain))
    }
}
