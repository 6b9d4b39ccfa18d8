//! The JSON Schema of a topology file, made from the same declarations as its reader.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::raw::File;

/// The schema, in the dialect of 2020-12.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".into(), "labctl topology".into());
    schema
}

/// TOML has no null: a key that may be left out is of its type, or is not there.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|one| one.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(one)] = &any[..] {
            let one = one.clone();
            object.remove("anyOf");
            for (key, value) in one {
                // The key's own description says more than its type's.
                object.entry(key).or_insert(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::schema;
    use crate::topology::impair::{RawDrop, RawImpair, RawLoss};
    use crate::topology::ra::{RawPrefix, RawRa};
    use crate::topology::raw;
    use crate::topology::read::Table;

    /// What the reader takes: the keys of every table.
    fn taken() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        fn keys<T: Table>() -> BTreeSet<&'static str> {
            T::KEYS.iter().copied().collect()
        }
        BTreeMap::from([
            ("File", keys::<raw::File>()),
            ("Time", keys::<raw::Time>()),
            ("Capture", keys::<raw::Capture>()),
            ("Node", keys::<raw::Node>()),
            ("Interface", keys::<raw::Interface>()),
            ("RawRa", keys::<RawRa>()),
            ("RawPrefix", keys::<RawPrefix>()),
            ("Route", keys::<raw::Route>()),
            ("Bus", keys::<raw::Bus>()),
            ("RawImpair", keys::<RawImpair>()),
            ("RawLoss", keys::<RawLoss>()),
            ("RawDrop", keys::<RawDrop>()),
            ("Program", keys::<raw::Program>()),
            ("Ready", keys::<raw::Ready>()),
            ("Output", keys::<raw::Output>()),
            ("Text", keys::<raw::Text>()),
            ("Event", keys::<raw::Event>()),
            ("When", keys::<raw::When>()),
            ("Fault", keys::<raw::Fault>()),
            ("Check", keys::<raw::Check>()),
            ("Ping", keys::<raw::Ping>()),
            ("Trace", keys::<raw::Trace>()),
            ("Tcp", keys::<raw::Tcp>()),
            ("Udp", keys::<raw::Udp>()),
            ("Http", keys::<raw::Http>()),
            ("RouteCheck", keys::<raw::RouteCheck>()),
            ("Neigh", keys::<raw::Neigh>()),
            ("Counter", keys::<raw::Counter>()),
            ("Drops", keys::<raw::Drops>()),
            ("Wire", keys::<raw::Wire>()),
            ("Throughput", keys::<raw::Throughput>()),
            ("Convergence", keys::<raw::Convergence>()),
            ("Cmd", keys::<raw::Cmd>()),
        ])
    }

    #[test]
    fn the_schema_has_the_keys_that_the_reader_takes_and_no_others() {
        let schema = schema().to_value();
        let tables =
            schema["$defs"].as_object().expect("definitions").iter().map(|(name, t)| (name.as_str(), t));
        let mut described = BTreeMap::new();
        for (name, table) in tables.chain([("File", &schema)]) {
            if let Some(properties) = table["properties"].as_object() {
                assert_eq!(table["additionalProperties"], false, "{name}");
                described.insert(name, properties.keys().map(String::as_str).collect::<BTreeSet<_>>());
                for (key, property) in properties {
                    assert!(property["description"].is_string(), "{name}.{key} is not described");
                }
            }
        }
        assert_eq!(described, taken());
    }

    #[test]
    fn nothing_is_null() {
        fn look(value: &Value) {
            assert_ne!(value["type"], "null");
            match value {
                Value::Object(object) => object.values().for_each(look),
                Value::Array(array) => array.iter().for_each(|value| {
                    assert_ne!(*value, "null");
                    look(value);
                }),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        look(&schema().to_value());
    }
}
