//! `labctl shell NODE`: an interactive shell on a node, whose prompt names it where shells let that be said.

use super::{Exit, Failure, Global, Output, exec};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Where there is no `$SHELL`, or it is none.
const SH: &str = "/bin/sh";

/// Arguments of `shell`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node
    node: String,
}

pub(super) fn run(args: Args, global: &Global, _out: &mut Output) -> Result<Exit, Failure> {
    let wanted = std::env::var_os("SHELL").filter(|shell| Path::new(shell).is_file());
    let shell = wanted.unwrap_or_else(|| SH.into());
    let before = std::env::var_os("PROMPT_COMMAND");
    let prompt = prompt(&shell, &args.node, before, rustix::process::geteuid().is_root());
    exec::program(&args.node, &[shell], prompt.as_slice(), global)
}

/// The variables that put the node's name into the shell's prompt. bash takes its prompt from its own files, and adds to it once
/// when it first prompts; the others of these take it from the environment; further ones have ways that are the user's own.
fn prompt(shell: &OsStr, node: &str, before: Option<OsString>, root: bool) -> Vec<(String, OsString)> {
    const BEFORE: &str = "LABCTL_PROMPT_COMMAND";
    let sign = if root { '#' } else { '$' };
    let of = |variable: &str, value: String| (variable.to_owned(), OsString::from(value));
    match Path::new(shell).file_name().and_then(OsStr::to_str).unwrap_or_default() {
        "bash" => {
            let once = format!("PS1=\"[{node}] $PS1\"");
            match before {
                None => vec![of("PROMPT_COMMAND", format!("{once}; unset PROMPT_COMMAND"))],
                Some(before) => {
                    let back = format!("{once}; PROMPT_COMMAND=${BEFORE}; unset {BEFORE}; eval \"$PROMPT_COMMAND\"");
                    vec![of("PROMPT_COMMAND", back), (BEFORE.to_owned(), before)]
                }
            }
        }
        "sh" | "dash" | "ash" | "ksh" | "mksh" | "busybox" => vec![of("PS1", format!("[{node}] {sign} "))],
        "zsh" => vec![of("PS1", format!("[{node}] %# "))],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_names_the_node_where_a_shell_lets_it() {
        let of = |shell: &str, root| prompt(OsStr::new(shell), "h1", None, root);
        assert_eq!(of("/bin/sh", true), [("PS1".to_owned(), "[h1] # ".into())]);
        assert_eq!(of("/usr/bin/dash", false), [("PS1".to_owned(), "[h1] $ ".into())]);
        assert_eq!(of("/usr/bin/fish", false), []);
    }

    #[test]
    fn bash_adds_the_node_once_and_gives_the_user_s_command_back() {
        for (before, wanted) in [(None, "[h1] $|"), (Some("echo user"), "user\n[h1] $|echo user")] {
            let variables = prompt(OsStr::new("/bin/bash"), "h1", before.map(Into::into), false);
            let script = "PS1='$'; eval \"$PROMPT_COMMAND\"; printf '%s|%s' \"$PS1\" \"$PROMPT_COMMAND\"";
            let bash = std::process::Command::new("bash").args(["-c", script]).envs(variables).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&bash.stdout), wanted);
        }
    }
}
