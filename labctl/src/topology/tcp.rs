//! Whose TCP a node has, and which of its values differ: `tcp = "freebsd"`, `sysctl = { "net.inet.tcp.msl" = 1000 }`.
//!
//! Names and values are those of [`netstack::tcp::sysctl`], which judges them here as it will on the node.

use std::borrow::Cow;

use indexmap::IndexMap;
use netstack::tcp::sysctl::{self, SysctlError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::diag::{Code, Diag};
use super::model::TcpProfile;
use super::raw;
use super::read::{Cx, Map, Read, Sp, Value};

/// What a value shall be, as sysctl(8) takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(pub String);

impl Read for Setting {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(_) => String::read(value, cx).map(Self),
            DeValue::Boolean(on) => Some(Self(u8::from(*on).to_string())),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Some(Self(number.to_string())),
                Err(_) => {
                    cx.push(Diag::new(Code::OutOfRange, value.span(), format!("{number} is out of range")));
                    None
                }
            },
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                cx.wrong(value, "a string, an integer or a boolean")
            }
        }
    }
}

/// Values by their names.
#[derive(Clone, Debug)]
pub struct Settings(Map<Sp<Setting>>);

impl Read for Settings {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        Map::read(value, cx).map(Self)
    }
}

impl JsonSchema for Settings {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = names_to_set().collect();
        json_schema!({
            "type": "object",
            "propertyNames": { "enum": names },
            "additionalProperties": { "type": ["string", "integer", "boolean"] }
        })
    }
}

/// The names of what can be changed: it takes what it is.
fn names_to_set() -> impl Iterator<Item = &'static str> {
    let config = netstack::tcp::TcpConfig::default();
    sysctl::names().filter(move |name| {
        let own = sysctl::get(&config, name).unwrap_or_default();
        sysctl::set(&mut config.clone(), name, &own).is_ok()
    })
}

impl TcpProfile {
    /// Its values.
    fn config(self) -> netstack::tcp::TcpConfig {
        match self {
            Self::Linux => netstack::tcp::Profile::Linux,
            Self::FreeBsd => netstack::tcp::Profile::FreeBsd,
            Self::Rfc => netstack::tcp::Profile::Rfc,
        }
        .config()
    }
}

/// A node's profile and what differs from it; every value that the node would refuse is noted.
pub(super) fn tcp(node: Option<&raw::Node>, cx: &mut Cx) -> (TcpProfile, IndexMap<String, String>) {
    let profile = node.and_then(|node| node.tcp.as_ref()).map_or(TcpProfile::Linux, |typed| typed.value);
    let Some(Settings(Map(typed))) = node.and_then(|node| node.sysctl.as_ref()).map(|typed| &typed.value)
    else {
        return (profile, IndexMap::new());
    };
    let typed: Vec<_> = typed.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let values: Vec<_> = typed.iter().map(|(name, value)| (name.as_str(), value.0.as_str())).collect();
    for (at, error) in sysctl::set_all(&mut profile.config(), &values) {
        let (name, value) = typed[at];
        let message = error.to_string();
        cx.push(match error {
            SysctlError::Unknown(_) => {
                let diag = Diag::new(Code::UnknownKey, name.span.clone(), message);
                // The nearest name, if one is near.
                diag.hint("`labctl sysctl NODE` lists the names").meant(name, names_to_set())
            }
            SysctlError::ReadOnly(_) => Diag::new(Code::UnknownKey, name.span.clone(), message),
            SysctlError::Invalid { .. } => {
                let own = sysctl::get(&profile.config(), name).unwrap_or_default().replace('\t', " ");
                let hint = format!("{} has \"{own}\"", profile.as_str());
                Diag::new(Code::UnknownValue, value.span.clone(), message).hint(hint)
            }
        });
    }
    let owned = |(name, value): (&Sp<String>, &Sp<Setting>)| (name.value.clone(), value.value.0.clone());
    (profile, typed.into_iter().map(owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_profiles() {
        let words: Vec<&str> = TcpProfile::WORDS.iter().map(|(word, _)| *word).collect();
        let known: Vec<&str> = netstack::tcp::Profile::ALL.iter().map(|profile| profile.name()).collect();
        assert_eq!(words, known);
        for (word, profile) in TcpProfile::WORDS {
            assert_eq!(profile.config().profile.name(), *word);
        }
    }

    #[test]
    fn what_can_only_be_read_is_not_offered() {
        let names: Vec<&str> = names_to_set().collect();
        assert!(names.contains(&"net.ipv4.tcp_sack") && !names.contains(&"net.tcp.profile"), "{names:?}");
    }
}
