//! From TOML values to typed tables: spans kept, faults collected, schema and reader from one list of keys.
//!
//! `table!` declares a table once. From it come the struct, its reader (which reports unknown and missing keys and
//! goes on) and, through the derive of schemars, its JSON Schema: the three cannot drift apart.
//! Strings may hold `{i}` inside a table with `count`; see [`super::repeat`].

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diag::{Code, Diag, Severity, Span};
use super::units::Quantity;

/// A TOML value with its place.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// A value and where it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sp<T> {
    /// The value.
    pub value: T,
    /// Its place in the file.
    pub span: Span,
}

impl<T> Deref for Sp<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What a reader carries along.
#[derive(Debug, Default)]
pub struct Cx {
    /// Faults so far.
    pub diags: Vec<Diag>,
    /// The index of the copy that is being read, in a table with `count`.
    pub index: Option<Vec<u32>>,
    /// Names of the nodes read so far, for `each`.
    pub nodes: Vec<String>,
    /// The folder that paths are relative to.
    pub base: std::path::PathBuf,
    /// Filters whose names are not known before the lab is whole.
    pub filters: Vec<Sp<String>>,
    /// The key of the table that is being read: where a missing key is reported.
    pub key: Span,
    /// Where tables begin in which a fault was noted.
    faulty: HashSet<usize>,
}

impl Cx {
    /// Nothing is noted yet; paths are relative to `base`.
    pub fn new(base: std::path::PathBuf) -> Self {
        Self { base, ..Self::default() }
    }

    /// Notes a fault.
    pub fn push(&mut self, diag: Diag) {
        self.diags.push(diag);
    }

    /// Whether an error was noted: what follows from it need not be said.
    pub fn has_errors(&self) -> bool {
        self.diags.iter().any(|diag| diag.code.severity() == Severity::Error)
    }

    /// Notes a fault of a whole table, unless a fault in it was noted: what is missing may be what was misspelt.
    pub fn push_of_table(&mut self, diag: Diag, table: &Span) {
        if !self.faulty.contains(&table.start) {
            self.push(diag);
        }
    }

    /// Remembers that a fault was noted in the table.
    pub(super) fn blame(&mut self, table: &Span) {
        self.faulty.insert(table.start);
    }

    /// Notes that a value is of another type than is wanted.
    pub(super) fn wrong<T>(&mut self, value: &Value<'_>, wanted: &str) -> Option<T> {
        let found = kind(value.get_ref());
        self.push(
            Diag::new(Code::WrongType, value.span(), format!("expected {wanted}, found {found}"))
                .label(format!("expected {wanted}")),
        );
        None
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A type that can be read from a TOML value.
pub trait Read: Sized {
    /// Reads it. `None` means that a fault was noted.
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self>;
}

impl<T: Read> Read for Sp<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        T::read(value, cx).map(|read| Self { value: read, span: value.span() })
    }
}

/// A key of a table: required (`Sp<T>`) or not (`Option<Sp<T>>`).
pub trait Field: Sized {
    /// Reads it from the table's entry. `None` means that a fault was noted and that the table cannot be without it.
    fn field(entry: Option<(&Span, &Value<'_>)>, key: &'static str, cx: &mut Cx) -> Option<Self>;
}

impl<T: Read> Field for Option<T> {
    fn field(entry: Option<(&Span, &Value<'_>)>, _: &'static str, cx: &mut Cx) -> Option<Self> {
        let Some((span, value)) = entry else { return Some(None) };
        let outer = std::mem::replace(&mut cx.key, span.clone());
        let read = T::read(value, cx);
        cx.key = outer;
        Some(read)
    }
}

impl<T: Read> Field for Sp<T> {
    fn field(entry: Option<(&Span, &Value<'_>)>, key: &'static str, cx: &mut Cx) -> Option<Self> {
        if entry.is_none() {
            let at = cx.key.clone();
            cx.push(
                Diag::new(Code::MissingKey, at, format!("the key \"{key}\" is missing"))
                    .label(format!("needs \"{key}\"")),
            );
            return None;
        }
        Option::<Self>::field(entry, key, cx).flatten()
    }
}

/// A table that `table!` declared.
pub trait Table: Read {
    /// Its keys, in the order of the declaration.
    const KEYS: &'static [&'static str];
}

/// The entries of a table value; unknown keys are noted.
pub(super) fn entries<'v, 'a>(
    value: &'v Value<'a>,
    keys: &[&'static str],
    cx: &mut Cx,
) -> Option<&'v DeTable<'a>> {
    let DeValue::Table(table) = value.get_ref() else { return cx.wrong(value, "a table") };
    for (key, _) in table {
        if !keys.iter().any(|known| known == key.get_ref()) {
            let diag = Diag::new(Code::UnknownKey, key.span(), format!("unknown key \"{}\"", key.get_ref()))
                .label("not known here");
            cx.push(diag.meant(key.get_ref(), keys.iter().copied()));
        }
    }
    Some(table)
}

/// The entry of one key: the key's place and the value.
pub(super) fn entry<'v, 'a>(table: &'v DeTable<'a>, key: &str) -> Option<(Span, &'v Value<'a>)> {
    table.iter().find(|(k, _)| k.get_ref() == key).map(|(k, v)| (k.span(), v))
}

/// Declares a table: the struct, its reader, its keys, its schema.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

        impl $crate::topology::read::Table for $name {
            const KEYS: &'static [&'static str] = &[$($crate::topology::read::plain(stringify!($field)),)*];
        }

        impl $crate::topology::read::Read for $name {
            fn read(
                value: &$crate::topology::read::Value<'_>,
                cx: &mut $crate::topology::read::Cx,
            ) -> Option<Self> {
                use $crate::topology::read::{Field, Table, entries, entry, plain};
                let faults = cx.diags.len();
                let table = entries(value, Self::KEYS, cx)?;
                $(
                    let found = entry(table, plain(stringify!($field)));
                    let $field = <$ty as Field>::field(
                        found.as_ref().map(|(span, value)| (span, *value)),
                        plain(stringify!($field)),
                        cx,
                    );
                )*
                if cx.diags.len() > faults {
                    cx.blame(&value.span());
                }
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(super) use table;

/// A field's name without the `r#` of a Rust keyword.
pub(super) const fn plain(name: &'static str) -> &'static str {
    let octets = name.as_bytes();
    if octets.len() > 2 && octets[0] == b'r' && octets[1] == b'#' { name.split_at(2).1 } else { name }
}

/// Declares an enum of words: its reader, its text, its schema.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($text, Self::$variant),)*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl $crate::topology::read::Read for $name {
            fn read(
                value: &$crate::topology::read::Value<'_>,
                cx: &mut $crate::topology::read::Cx,
            ) -> Option<Self> {
                $crate::topology::read::word(value, Self::WORDS, cx)
            }
        }
    };
}
pub(super) use words;

/// Reads one of a list of words.
pub(super) fn word<T: Copy>(value: &Value<'_>, words: &[(&'static str, T)], cx: &mut Cx) -> Option<T> {
    let typed = String::read(value, cx)?;
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == typed) {
        return Some(*found);
    }
    let diag = Diag::new(Code::UnknownValue, value.span(), format!("unknown value \"{typed}\""));
    cx.push(diag.meant(&typed, words.iter().map(|(word, _)| *word)));
    None
}

impl Read for String {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::String(text) = value.get_ref() else { return cx.wrong(value, "a string") };
        match &cx.index {
            None => Some(text.to_string()),
            Some(index) => match super::repeat::expand(text, index) {
                Ok(text) => Some(text.into_owned()),
                Err(fault) => {
                    cx.push(Diag::new(Code::BadTemplate, value.span(), fault.to_string()).hint(fault.hint()));
                    None
                }
            },
        }
    }
}

impl Read for bool {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::Boolean(read) = value.get_ref() else { return cx.wrong(value, "true or false") };
        Some(*read)
    }
}

impl<T: Quantity> Read for Quantified<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let text = match value.get_ref() {
            // `delay = 20`: the type is wrong because the unit is missing, so say that.
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            _ => String::read(value, cx)?,
        };
        match T::parse(&text) {
            Ok(read) => Some(Self(read)),
            Err(fault) => {
                let code = match fault {
                    super::units::UnitError::OutOfRange => Code::OutOfRange,
                    _ => Code::BadUnit,
                };
                let message = format!("\"{text}\" is not a {}: {fault}", T::NOUN);
                cx.push(Diag::new(code, value.span(), message).hint(format!("write it as {}", T::EXAMPLE)));
                None
            }
        }
    }
}

/// A quantity in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantified<T>(pub T);

impl<T: Quantity> JsonSchema for Quantified<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NOUN.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": format!("A {}: {}.", T::NOUN, T::EXAMPLE) })
    }
}

/// An integer from `LO` to `HI`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int<const LO: u64, const HI: u64>(pub u64);

impl<const LO: u64, const HI: u64> Read for Int<LO, HI> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::Integer(number) = value.get_ref() else { return cx.wrong(value, "an integer") };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(read) if (LO..=HI).contains(&read) => Some(Self(read)),
            _ => {
                let message = format!("{number} is out of range");
                cx.push(Diag::new(Code::OutOfRange, value.span(), message).hint(format!("{LO} to {HI}")));
                None
            }
        }
    }
}

impl<const LO: u64, const HI: u64> JsonSchema for Int<LO, HI> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("int-{LO}-{HI}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": LO, "maximum": HI })
    }
}

/// In the file these are what they hold.
macro_rules! same_schema {
    ($($wrapper:ident),*) => {$(
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }

            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }

            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )*};
}

same_schema!(Sp);

/// An array; a faulty element is noted and left out.
#[derive(Clone, Debug)]
pub struct List<T>(pub Vec<Sp<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for List<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else { return cx.wrong(value, "an array") };
        let outer = cx.key.clone();
        let mut list = Vec::with_capacity(array.len());
        for element in array.iter() {
            cx.key = element.span();
            list.extend(Sp::<T>::read(element, cx));
        }
        cx.key = outer;
        Some(Self(list))
    }
}

impl<T: JsonSchema> JsonSchema for List<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("list-of-{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": generator.subschema_for::<T>() })
    }
}

/// One value, or an array of them.
#[derive(Clone, Debug)]
pub struct OneOrMany<T>(pub Vec<Sp<T>>);

impl<T: Read> Read for OneOrMany<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        match value.get_ref() {
            DeValue::Array(_) => List::read(value, cx).map(|list| Self(list.0)),
            _ => Sp::<T>::read(value, cx).map(|one| Self(vec![one])),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("one-or-many-{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// Named tables; a faulty one keeps its name, so that nobody calls it unknown.
#[derive(Clone, Debug)]
pub struct Map<T>(pub Vec<(Sp<String>, Option<T>)>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Map<T> {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else { return cx.wrong(value, "a table") };
        let outer = cx.key.clone();
        let mut map = Vec::with_capacity(table.len());
        for (key, value) in table {
            cx.key = key.span();
            let read = T::read(value, cx);
            map.push((Sp { value: key.get_ref().to_string(), span: key.span() }, read));
        }
        cx.key = outer;
        Some(Self(map))
    }
}

impl<T: JsonSchema> JsonSchema for Map<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("map-of-{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}
