//! The JSON Schema of a topology file, made from the same declarations as its reader.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use super::raw::File;

/// The schema, in the dialect of 2020-12.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>();
    schema.insert("title".into(), "labctl topology".into());
    schema
}
