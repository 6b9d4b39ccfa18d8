//! `labctl schema`: the JSON Schema of the topology file, for editors.

use std::io::Write;

use super::{Exit, Failure, Global, Output};
use crate::topology::schema::schema;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the schema.
pub(super) fn run(_: Args, _: &Global, out: &mut Output) -> Result<Exit, Failure> {
    serde_json::to_writer_pretty(&mut *out, &schema()).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(Exit::Done)
}
