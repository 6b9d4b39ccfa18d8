//! `labctl run NODE PROGRAM ARGUMENTS…`: a built-in program on a node.

use super::{Exit, Failure, Global, Output, ping, running};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "labctl run h1 echo udp 7\n  labctl run h2 rtt -c 10 udp h1 7")]
pub struct Args {
    /// The node
    node: String,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    argv: Vec<String>,
}

pub(super) fn run(args: Args, global: &Global, out: &mut Output) -> Result<Exit, Failure> {
    let session = running::session(global)?;
    session.state.expect_node(&args.node)?;
    if rumpkern::prog::find(&args.argv[0]).is_none() {
        let known: Vec<_> = rumpkern::prog::PROGRAMS.iter().map(|program| program.name).collect();
        let message = format!("there is no built-in program `{}`", args.argv[0]);
        return Err(Failure::usage(message, format!("they are: {}; the host's run by `exec`", known.join(", "))));
    }
    ping::program(&session, &args.node, &args.argv, global.json, out)
}
