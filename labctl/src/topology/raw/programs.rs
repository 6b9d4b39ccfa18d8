//! Host programs, and what is wanted of what programs write.

use schemars::JsonSchema;

use super::super::read::{Cx, Int, Map, OneOrMany, Quantified, Read, Sp, Value, table};
use super::super::units::Duration;

table! {
    /// A host program on a node of a live lab.
    Program {
        /// The node.
        node: Sp<String>,
        /// Program and arguments.
        cmd: Sp<OneOrMany<String>>,
        /// When others may rely on it; left out, at once.
        ready: Option<Sp<Ready>>,
        /// Programs that must be ready (or, with `expect`, done) before.
        after: Option<Sp<OneOrMany<String>>>,
        /// How it must end; left out, it may run as long as the lab.
        expect: Option<Sp<Output>>,
        /// Environment variables.
        env: Option<Sp<Map<Sp<String>>>>,
        /// Working directory on the host, relative to this file.
        dir: Option<Sp<String>>,
    }
}

table! {
    /// When a program is ready: one of `tcp`, `udp`, `log`.
    Ready {
        /// It listens on this TCP port.
        tcp: Option<Sp<Int<1, 65535>>>,
        /// It has this UDP port open.
        udp: Option<Sp<Int<1, 65535>>>,
        /// It wrote a line that matches this regular expression.
        log: Option<Sp<Regex>>,
        /// After this time it is too late (default 10s).
        within: Option<Sp<Quantified<Duration>>>,
    }
}

table! {
    /// How a program must end.
    Output {
        /// Its exit status (default 0).
        exit: Option<Sp<Int<0, 255>>>,
        /// What it must write.
        stdout: Option<Sp<Text>>,
        /// What it must write to standard error.
        stderr: Option<Sp<Text>>,
    }
}

table! {
    /// What a text must be.
    Text {
        /// It holds this.
        contains: Option<Sp<String>>,
        /// It matches this regular expression.
        matches: Option<Sp<Regex>>,
        /// It is JSON that holds these keys with these values.
        json: Option<Sp<Json>>,
    }
}

/// A regular expression, seen to be one.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Regex(pub String);

impl Read for Regex {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        super::super::values::regex(value, cx).map(Self)
    }
}

/// A TOML value taken as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Json(pub serde_json::Value);

impl Read for Json {
    fn read(value: &Value<'_>, cx: &mut Cx) -> Option<Self> {
        super::super::values::json(value, cx).map(Self)
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}
