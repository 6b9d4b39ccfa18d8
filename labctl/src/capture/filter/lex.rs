//! The words of a filter: tokens with their place in the text.
//!
//! A `:` joins a word outside brackets (`02:00:00:00:00:01`, `fd00::1`, `h1:eth0`) and separates inside them
//! (`tcp[0:2]`); a `-` joins words everywhere but after a number inside brackets. A backslash before a word, which a
//! shell user knows from `ip proto \tcp`, means nothing here.

use std::ops::Range;

use super::{FilterFault, Trouble};
use rumpkern::filter::code::{Op, Rel};

/// More tokens than anybody types; bounds the depth of every recursion over a filter.
const MAX_TOKENS: usize = 1024;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name, an address, a number: decided by the grammar.
    Word(String),
    And,
    Or,
    Not,
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Colon,
    Op(Op),
    Rel(Rel),
    End,
}

/// A token and the octets of the text that it covers.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Range<usize>,
}

/// Cuts `text` into tokens; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Trouble> {
    let mut out = Vec::new();
    let mut depth = 0usize;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
        let start = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            out.push(Token { kind: Kind::End, at: start..start });
            return Ok(out);
        };
        let (kind, len) = match symbol(rest) {
            Some(found) => found,
            None => {
                let len = word_len(rest, depth > 0);
                if len == 0 {
                    let at = start..start + first.len_utf8();
                    return Err(Trouble::new(FilterFault::Character { found: first }, at));
                }
                (word(&rest[..len]), len)
            }
        };
        match kind {
            Kind::OpenIndex => depth += 1,
            Kind::CloseIndex => depth = depth.saturating_sub(1),
            _ => {}
        }
        out.push(Token { kind, at: start..start + len });
        if out.len() > MAX_TOKENS {
            return Err(Trouble::new(FilterFault::TooLong { limit: MAX_TOKENS }, start..text.len()));
        }
        rest = &rest[len..];
    }
}

fn symbol(rest: &str) -> Option<(Kind, usize)> {
    const TABLE: &[(&str, Kind)] = &[
        ("&&", Kind::And),
        ("||", Kind::Or),
        ("!=", Kind::Rel(Rel::Ne)),
        ("==", Kind::Rel(Rel::Eq)),
        ("<<", Kind::Op(Op::Shl)),
        (">>", Kind::Op(Op::Shr)),
        ("<=", Kind::Rel(Rel::Le)),
        (">=", Kind::Rel(Rel::Ge)),
        ("<", Kind::Rel(Rel::Lt)),
        (">", Kind::Rel(Rel::Gt)),
        ("=", Kind::Rel(Rel::Eq)),
        ("!", Kind::Not),
        ("(", Kind::Open),
        (")", Kind::Close),
        ("[", Kind::OpenIndex),
        ("]", Kind::CloseIndex),
        ("+", Kind::Op(Op::Add)),
        ("-", Kind::Op(Op::Sub)),
        ("*", Kind::Op(Op::Mul)),
        ("/", Kind::Op(Op::Div)),
        ("%", Kind::Op(Op::Mod)),
        ("&", Kind::Op(Op::And)),
        ("|", Kind::Op(Op::Or)),
        ("^", Kind::Op(Op::Xor)),
    ];
    if let Some((text, kind)) = TABLE.iter().find(|(text, _)| rest.starts_with(text)) {
        return Some((kind.clone(), text.len()));
    }
    // A lone colon separates; `::1` is a word.
    (rest.starts_with(':') && !rest.starts_with("::")).then_some((Kind::Colon, 1))
}

fn word(text: &str) -> Kind {
    match text {
        "and" => Kind::And,
        "or" => Kind::Or,
        "not" => Kind::Not,
        _ => Kind::Word(text.to_owned()),
    }
}

fn word_len(rest: &str, in_index: bool) -> usize {
    let number = rest.starts_with(|c: char| c.is_ascii_digit());
    let joins = |c: char| match c {
        ':' => !in_index,
        '-' => !(in_index && number),
        _ => c.is_alphanumeric() || c == '_' || c == '.',
    };
    let len = rest.find(|c: char| !joins(c)).unwrap_or(rest.len());
    // A word ends in a letter, a digit or, for `fd00::`, in a colon of an address: not in the dash of an arithmetic minus.
    rest[..len].trim_end_matches('-').len()
}
