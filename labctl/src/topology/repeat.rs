//! `count`, `each` and `{i}`: repeated nodes and buses.
//!
//! ```toml
//! [node]
//! spine = { count = 2, forward = true }                          # spine1 spine2
//! leaf  = { count = 4, forward = true }                          # leaf1 … leaf4
//! host  = { count = [4, 8] }                                     # host1-1 … host4-8
//! [bus]
//! fabric = { each = ["spine*", "leaf*"], pool = "10.0.0.0/16" }  # one bus a pair: fabric1-1 … fabric2-4
//! rack   = { each = ["leaf*"], nodes = ["host{i}-*"], pool = "10.1.0.0/16", prefix = 24 }
//! ```
//! `count = N` makes NAME1 … NAMEN; `count = [N, M]` makes NAME1-1 … NAMEN-M. `each` does the same over the nodes that match,
//! and puts them on the bus. In every string of such a table `{i}`, `{j}`, `{k}` are the copy's numbers, and
//! `{i+1}`, `{i-1}` their neighbours. Nothing else is computed: a topology is read, not run.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml::de::DeValue;

use super::diag::{Code, Diag, Span};
use super::names::matches;
use super::read::{Cx, Int, OneOrMany, Read, Sp, Table, Value, entry};

/// Most copies that one table makes, and most nodes or buses of a lab.
pub const COPIES_MAX: u64 = 10_000;

/// Numbers of copies: `4`, or `[4, 8]` for a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count(pub Vec<u32>);

impl Read for Count {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let OneOrMany(dims) = OneOrMany::<Int<1, COPIES_MAX>>::read(value, cx)?;
        if dims.is_empty() || dims.len() > 3 {
            let message = format!("\"count\" has {} dimensions", dims.len());
            cx.push(
                Diag::new(Code::OutOfRange, value.span(), message)
                    .hint("1 to 3 numbers: 4, [4, 8], [2, 4, 8]"),
            );
            return None;
        }
        Some(Self(dims.iter().map(|dim| dim.0 as u32).collect()))
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "count".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<Int<1, COPIES_MAX>>::json_schema(generator)
    }
}

/// One copy of a repeated table (or the table itself, if it is not repeated).
#[derive(Clone, Debug)]
pub struct Copied<T> {
    /// Its name, at the place of the key.
    pub name: Sp<String>,
    /// Its numbers; empty if the table is not repeated.
    pub index: Vec<u32>,
    /// The nodes that `each` put on it.
    pub bound: Vec<Sp<String>>,
    /// What was read; `None` if a fault was noted.
    pub table: Option<T>,
}

/// Named tables, of which some are repeated; written out.
#[derive(Clone, Debug)]
pub struct Repeated<T>(pub Vec<Copied<T>>);

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Table + Named> Read for Repeated<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::Table(tables) = value.get_ref() else {
            return super::read::Map::<T>::read(value, cx).map(|_| Self::default());
        };
        let outer = cx.key.clone();
        let mut all = Vec::new();
        for (key, value) in tables {
            cx.key = key.span();
            let name = Sp { value: key.get_ref().to_string(), span: key.span() };
            match dims::<T>(value, cx) {
                None => all.push(Copied { name, index: Vec::new(), bound: Vec::new(), table: None }),
                Some(None) => {
                    let table = T::read(value, cx);
                    all.push(Copied { name, index: Vec::new(), bound: Vec::new(), table });
                }
                Some(Some(dims)) => copies(&name, value, &dims, cx, &mut all),
            }
            if all.len() as u64 > COPIES_MAX {
                let message = format!("more than {COPIES_MAX} of [{}]", T::NOUN);
                cx.push(Diag::new(Code::TooMany, key.span(), message));
                all.truncate(COPIES_MAX as usize);
                break;
            }
        }
        cx.key = outer;
        T::known(&all, cx);
        Some(Self(all))
    }
}

/// What [`Repeated`] needs to know of a table.
pub trait Named: Sized {
    /// `node` or `bus`.
    const NOUN: &'static str;
    /// Tells the reader of later tables what is there.
    fn known(_all: &[Copied<Self>], _cx: &mut Cx) {}
}

/// One dimension of a repetition: how many, and which nodes `each` found.
struct Dim {
    len: u32,
    bound: Vec<Sp<String>>,
}

/// The dimensions of a table: `None` after a fault, `Some(None)` if it is not repeated.
fn dims<T: Table + Named>(value: &Value<'_>, cx: &mut Cx) -> Option<Option<Vec<Dim>>> {
    let DeValue::Table(table) = value.get_ref() else { return Some(None) };
    let each = entry(table, "each").filter(|_| T::KEYS.contains(&"each"));
    let count = entry(table, "count");
    if let (Some((each, _)), Some((count, _))) = (&each, &count) {
        cx.push(
            Diag::new(Code::ConflictingKeys, count.clone(), "\"count\" and \"each\" exclude each other")
                .other(each.clone(), "\"each\" is here"),
        );
        return None;
    }
    let dims = match (each, count) {
        (Some((_, each)), _) => matched(&OneOrMany::<String>::read(each, cx)?, each.span(), cx)?,
        (None, Some((_, count))) => {
            Count::read(count, cx)?.0.iter().map(|len| Dim { len: *len, bound: Vec::new() }).collect()
        }
        (None, None) => return Some(None),
    };
    if dims.iter().map(|dim| u64::from(dim.len)).product::<u64>() > COPIES_MAX {
        let message = format!("more than {COPIES_MAX} copies");
        cx.push(Diag::new(Code::TooMany, cx.key.clone(), message));
        return None;
    }
    Some(Some(dims))
}

fn matched(OneOrMany(patterns): &OneOrMany<String>, span: Span, cx: &mut Cx) -> Option<Vec<Dim>> {
    if patterns.is_empty() || patterns.len() > 3 {
        let message = format!("\"each\" has {} patterns", patterns.len());
        cx.push(Diag::new(Code::OutOfRange, span, message).hint("1 to 3 patterns"));
        return None;
    }
    let mut dims = Vec::new();
    for pattern in patterns {
        let found = cx.nodes.iter().filter(|node| matches(pattern, node));
        let bound: Vec<_> =
            found.map(|node| Sp { value: node.clone(), span: pattern.span.clone() }).collect();
        if bound.is_empty() {
            let diag = Diag::new(
                Code::UnknownNode,
                pattern.span.clone(),
                format!("no node matches \"{}\"", pattern.value),
            );
            let diag = diag.meant(pattern, cx.nodes.iter().map(String::as_str));
            cx.push(diag);
            return None;
        }
        dims.push(Dim { len: bound.len() as u32, bound });
    }
    Some(dims)
}

fn copies<T: Table>(
    name: &Sp<String>,
    value: &Value<'_>,
    dims: &[Dim],
    cx: &mut Cx,
    all: &mut Vec<Copied<T>>,
) {
    let mut index = vec![1u32; dims.len()];
    let faults = cx.diags.len();
    loop {
        cx.index = Some(index.clone());
        let table = T::read(value, cx);
        cx.index = None;
        let bound =
            dims.iter().zip(&index).filter_map(|(dim, i)| dim.bound.get(*i as usize - 1).cloned()).collect();
        let numbers: Vec<String> = index.iter().map(u32::to_string).collect();
        let copy = Sp { value: format!("{}{}", name.value, numbers.join("-")), span: name.span.clone() };
        all.push(Copied { name: copy, index: index.clone(), bound, table });
        // A fault of one copy is a fault of all: say it once.
        cx.diags.truncate(cx.diags.len().min(faults + 20));
        let Some(dim) = (0..dims.len()).rev().find(|d| index[*d] < dims[*d].len) else { return };
        index[dim] += 1;
        index[dim + 1..].fill(1);
    }
}

impl<T: JsonSchema> JsonSchema for Repeated<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("repeated-{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        super::read::Map::<T>::json_schema(generator)
    }
}

/// Why `{…}` cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{k}` in a table that has fewer dimensions.
    #[error("there is no index {{{letter}}} here")]
    NoIndex {
        /// The letter.
        letter: char,
        /// How many there are.
        dims: usize,
    },
    /// `{i-5}` in the third copy.
    #[error("{{{text}}} is negative in copy {index}")]
    Negative {
        /// What is between the braces.
        text: String,
        /// The copy's number.
        index: u32,
    },
}

impl TemplateError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoIndex { dims, .. } => match dims {
                1 => "the copies are counted by {i}".into(),
                2 => "the copies are counted by {i} and {j}".into(),
                _ => "the copies are counted by {i}, {j} and {k}".into(),
            },
            Self::Negative { .. } => "the copies are counted from 1".into(),
        }
    }
}

/// Fills `{i}`, `{j+1}` … in. Braces that hold anything else stay as they are.
///
/// # Errors
/// An index that the table does not have, or a negative result.
pub fn expand<'t>(text: &'t str, index: &[u32]) -> Result<Cow<'t, str>, TemplateError> {
    if !text.contains('{') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let Some((inner, letter, offset)) = placeholder(rest) else {
            out.push('{');
            rest = &rest[1..];
            continue;
        };
        let dim = "ijk".find(letter).unwrap_or(usize::MAX);
        let number = *index.get(dim).ok_or(TemplateError::NoIndex { letter, dims: index.len() })?;
        let value = i64::from(number) + offset;
        if value < 0 {
            return Err(TemplateError::Negative { text: inner.to_owned(), index: number });
        }
        out.push_str(&value.to_string());
        rest = &rest[inner.len() + 2..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// `{i}`, `{j+2}`: what is inside, its letter, its offset.
fn placeholder(text: &str) -> Option<(&str, char, i64)> {
    let inner = text.strip_prefix('{')?.split_once('}')?.0;
    let letter = inner.chars().next().filter(|c| "ijk".contains(*c))?;
    let offset = &inner[1..];
    if offset.is_empty() {
        return Some((inner, letter, 0));
    }
    if !offset.starts_with(['+', '-']) || offset.len() > 6 {
        return None;
    }
    offset.parse().ok().map(|offset| (inner, letter, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn indices_are_filled_in() {
        assert_eq!(expand("r{i}-{i+1}-{j-1}", &[3, 1]).as_deref(), Ok("r3-4-0"));
        assert_eq!(expand("{x} {i 1} {", &[3]).as_deref(), Ok("{x} {i 1} {"));
        assert_eq!(expand("{k}", &[1]), Err(TemplateError::NoIndex { letter: 'k', dims: 1 }));
        assert!(expand("{i-2}", &[1]).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*[{].*[}].*", i in 0u32..9) {
            let _ = expand(&text, &[i]);
        }
    }
}
