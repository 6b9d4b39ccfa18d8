//! `labctl man`: the manual page, as roff.

use super::{Exit, Failure, Global, Output, command};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the page.
pub(super) fn run(_: Args, _: &Global, out: &mut Output) -> Result<Exit, Failure> {
    clap_mangen::Man::new(command()).render(out)?;
    Ok(Exit::Done)
}
