//! Values that are neither words nor quantities: regular expressions, JSON, URLs.

use serde_json::Value as JsonValue;
use toml::de::DeValue;

use super::diag::{Code, Diag};
use super::read::{Cx, Read, Value};

/// Reads a string and sees that it is a regular expression.
pub(super) fn regex(value: &Value<'_>, cx: &mut Cx) -> Option<String> {
    let text = String::read(value, cx)?;
    match regex::Regex::new(&text) {
        Ok(_) => Some(text),
        Err(fault) => {
            // The crate's own message has several lines with a caret; its last one says what is wrong.
            let fault = fault.to_string();
            let line = fault.lines().last().unwrap_or_default().trim_start_matches("error: ");
            cx.push(Diag::new(Code::BadRegex, value.span(), format!("not a regular expression: {line}")));
            None
        }
    }
}

/// Takes any TOML value as JSON; a date becomes its text.
pub(super) fn json(value: &Value<'_>, cx: &mut Cx) -> Option<JsonValue> {
    Some(match value.get_ref() {
        DeValue::String(_) => JsonValue::String(String::read(value, cx)?),
        DeValue::Boolean(read) => JsonValue::Bool(*read),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(read) => read.into(),
            Err(_) => {
                cx.push(Diag::new(Code::OutOfRange, value.span(), format!("{number} is out of range")));
                return None;
            }
        },
        DeValue::Float(number) => {
            match number.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                Some(read) => JsonValue::Number(read),
                None => {
                    let message = format!("JSON has no number {number}");
                    cx.push(Diag::new(Code::OutOfRange, value.span(), message));
                    return None;
                }
            }
        }
        DeValue::Datetime(date) => JsonValue::String(date.to_string()),
        DeValue::Array(array) => JsonValue::Array(array.iter().filter_map(|v| json(v, cx)).collect()),
        DeValue::Table(table) => JsonValue::Object(
            table.iter().filter_map(|(k, v)| Some((k.get_ref().to_string(), json(v, cx)?))).collect(),
        ),
    })
}

/// Host, port and path of an `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// A node's name or an address, without brackets.
    pub host: String,
    /// The port; 80 if it is not written.
    pub port: u16,
    /// Path and query; `/` at least.
    pub path: String,
}

impl HttpUrl {
    /// Splits a URL. `None` if it is not `http://HOST[:PORT][/PATH]`.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']')?;
                (host, after.strip_prefix(':').or(after.is_empty().then_some("80"))?)
            }
            None => authority.split_once(':').unwrap_or((authority, "80")),
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let clean = |text: &str| text.bytes().all(|c| c.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !clean(host) || !clean(path) {
            return None;
        }
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::HttpUrl;
    use proptest::prelude::*;

    #[test]
    fn urls_are_split() {
        let url = |host: &str, port, path: &str| Some(HttpUrl { host: host.into(), port, path: path.into() });
        assert_eq!(HttpUrl::parse("http://web"), url("web", 80, "/"));
        assert_eq!(HttpUrl::parse("http://10.0.0.1:8080/a?b=c"), url("10.0.0.1", 8080, "/a?b=c"));
        assert_eq!(HttpUrl::parse("http://[fd00::1]:81/"), url("fd00::1", 81, "/"));
        for bad in
            ["web", "https://web", "http://", "http://web:0", "http://web:x", "http://[::1", "http://a b/"]
        {
            assert_eq!(HttpUrl::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_url_panics(text in "http://.*") {
            let _ = HttpUrl::parse(&text);
        }
    }
}
