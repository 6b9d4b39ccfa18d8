//! The filter language of `capture`, `dump` and the `wire` checks.
//!
//! Two vocabularies in one grammar:
//! - the words of `tcpdump` (pcap-filter(7)): `host src dst net port portrange proto ether ip ip6 arp rarp tcp udp sctp icmp
//!   icmp6 igmp broadcast multicast vlan less greater len`, and `tcp[tcpflags] & tcp-syn != 0`. They choose exactly the
//!   frames that `tcpdump` chooses: `and` and `or` bind equally and to the left, `not` binds tighter, `vlan` shifts what
//!   follows it by one tag, `port` does not see IPv6 extension headers. One mend: a sum needs every header that it names.
//! - the commonest fields of Wireshark's display filters (`tcp.flags.rst`, `ip.ttl == 1`, `ip.src == h1`), see [`field`].
//!   They do look through tags and extension headers. A flag alone means that it is set.
//!
//! Names of nodes stand wherever an address may, `NODE:IF` for one interface's; [`Resolve`] knows them.
//! Not here: `inbound`/`outbound` (a bus has no inside), `mpls`, `pppoe`, `geneve`, `protochain`, `gateway`.

mod lex;
mod parse;
mod primitive;
#[cfg(test)]
mod tests;
mod value;
mod words;

use std::net::IpAddr;
use std::ops::Range;

use rumpkern::filter::code;
pub use rumpkern::filter::field;

use thiserror::Error;

/// Knows what the names of a lab stand for.
pub trait Resolve {
    /// The addresses of a node (`h1`) or of one of its interfaces (`h1:eth0`); empty when there is no such name.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// The Ethernet addresses of a node or of one of its interfaces; empty when there is no such name.
    fn macs(&self, name: &str) -> Vec<[u8; 6]>;
    /// All names, for hints.
    fn names(&self) -> Vec<String>;
}

/// Knows no name.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNames;

impl Resolve for NoNames {
    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    fn macs(&self, _: &str) -> Vec<[u8; 6]> {
        Vec::new()
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A compiled filter.
///
/// ```
/// use labctl::capture::filter::{Filter, NoNames};
/// let filter = Filter::parse("arp or ip.ttl < 2", &NoNames)?;
/// let mut arp = [0; 42];
/// arp[12..14].copy_from_slice(&[0x08, 0x06]);
/// assert!(filter.matches(&arp));
/// # Ok::<(), labctl::capture::filter::FilterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    root: Option<code::Node>,
}

impl Filter {
    /// Compiles `text`; nothing but white space matches everything.
    pub fn parse(text: &str, names: &dyn Resolve) -> Result<Filter, FilterError> {
        let root = parse::filter(text, names).map_err(|trouble| FilterError {
            fault: trouble.fault,
            text: text.to_owned(),
            at: trouble.at,
            hint: trouble.hint,
        })?;
        Ok(Filter { root })
    }

    /// The same for a node, which is told too how it was written.
    pub fn compiled(&self, text: &str) -> rumpkern::filter::Filter {
        rumpkern::filter::Filter { text: text.to_owned(), program: self.root.clone() }
    }

    /// Whether an Ethernet frame (from its destination address, without FCS) is one of those asked for.
    pub fn matches(&self, frame: &[u8]) -> bool {
        self.root.as_ref().is_none_or(|root| root.run(&code::Frame::new(frame)) == Ok(true))
    }
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterFault {
    /// A character that begins nothing.
    #[error("unexpected character '{found}'")]
    Character {
        /// The character.
        found: char,
    },
    /// Beyond any filter that a person types.
    #[error("the filter has more than {limit} words")]
    TooLong {
        /// Tokens that are allowed.
        limit: usize,
    },
    /// Another word was expected.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A name that is neither a word of the language nor of the lab.
    #[error("unknown name '{name}'")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// A field that is not known.
    #[error("unknown field '{name}'")]
    UnknownField {
        /// The field.
        name: String,
    },
    /// A qualifier that does not go with another.
    #[error("'{modifier}' does not go with '{word}'")]
    Modifier {
        /// The first qualifier.
        modifier: String,
        /// The second.
        word: String,
    },
    /// Something that cannot be read as what it must be.
    #[error("'{found}' is not {what}")]
    Invalid {
        /// What it must be.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A network with bits beyond its mask.
    #[error("'{network}' has bits outside of its mask")]
    HostBits {
        /// The network as typed.
        network: String,
    },
    /// A word of `tcpdump` that has no meaning here.
    #[error("'{word}' is not supported")]
    Unsupported {
        /// The word.
        word: String,
    },
}

/// A fault and its place, before the text is joined to it.
#[derive(Debug)]
struct Trouble {
    fault: FilterFault,
    at: Range<usize>,
    hint: Option<String>,
}

impl Trouble {
    fn new(fault: FilterFault, at: Range<usize>) -> Trouble {
        Trouble { fault, at, hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Trouble {
        self.hint = Some(hint.into());
        self
    }
}

/// A filter that cannot be compiled. `Display` is one line; [`FilterError::render`] adds the text, a caret and a hint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("filter: {fault}")]
pub struct FilterError {
    /// What is wrong.
    pub fault: FilterFault,
    /// The whole filter.
    pub text: String,
    /// Octets of the text that are to blame.
    pub at: Range<usize>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl FilterError {
    /// The error with the filter's text, a caret under the place and the hint, each on its line.
    pub fn render(&self) -> String {
        // One line, one column a character: what would move the caret is shown as a space.
        let shown =
            |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
        let columns = |to: usize| self.text.get(..to).map_or(0, |before| before.chars().count());
        let start = columns(self.at.start);
        let width = columns(self.at.end).saturating_sub(start).max(1);
        let mut out =
            format!("{self}\n  | {}\n  | {}{}", shown(&self.text), " ".repeat(start), "^".repeat(width));
        if let Some(hint) = &self.hint {
            out.push_str("\n  = ");
            out.push_str(hint);
        }
        out
    }
}

/// An Ethernet address as people write it: `02:00:00:00:00:01`, also with single digits, `-` or `.`.
pub fn parse_mac(text: &str) -> Option<[u8; 6]> {
    words::mac(text)
}

/// The nearest of `candidates` to a mistyped `word`, if one is near enough.
fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
