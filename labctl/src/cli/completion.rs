//! `labctl completion SHELL`: a completion script.

use clap_complete::{Shell, generate};

use super::{Exit, Failure, Global, Output, command};

/// Arguments of `completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: labctl completion bash > ~/.local/share/bash-completion/completions/labctl")]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: Args, _: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut command(), "labctl", &mut script);
    std::io::Write::write_all(out, &script)?;
    Ok(Exit::Done)
}
