//! Commands of scripts that turn values of the kernel by its files: what they write to `/proc/sys` would reach the
//! host. They are given to our `sysctl`, which takes the names of these files.
//!
//! | in a script | becomes |
//! |---|---|
//! | `DIR/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 …` (the public scripts' helper) | `sysctl -q …` |
//! | `/tmp/sysctl_restore_….sh` (what that helper leaves) | `true`: each script has a stack of its own |
//! | `COMMAND > /proc/sys/net/ipv4/tcp_sack` | `COMMAND \| xargs -I@ sysctl -q /proc/sys/…=@` |
//!
//! Not here: what a helper that is a program of its own writes.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

/// Where the kernel has its values.
const FILES: &str = "/proc/sys/";

/// system(3): the wait status.
pub(crate) fn run(command: &str) -> i32 {
    match Command::new("/bin/sh").args(["-c", &adapted(command)]).status() {
        Ok(status) => status.into_raw(),
        // As a shell that could not be started.
        Err(_) => 127 << 8,
    }
}

/// The command as it is given to the shell.
fn adapted(command: &str) -> String {
    let (mut done, mut rest) = (String::new(), command);
    while let Some(at) = rest.find(|c: char| !ends_word(c)) {
        let (before, tail) = rest.split_at(at);
        let (word, next) = tail.split_at(tail.find(ends_word).unwrap_or(tail.len()));
        rest = next;
        let redirected = before.trim_end().strip_suffix('>').filter(|_| word.starts_with(FILES));
        match redirected {
            Some(before) => {
                done += before;
                done += "| xargs -I@ sysctl -q ";
                done += word;
                done += "=@";
            }
            None => {
                done += before;
                done += match word {
                    _ if word.ends_with("set_sysctls.py") => "sysctl -q",
                    _ if word.starts_with("/tmp/sysctl_restore_") => "true",
                    _ => word,
                };
            }
        }
    }
    done + rest
}

/// Whether a word of the shell's ends here, as far as it matters.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | '&' | '|' | '>' | '<' | '(' | ')' | '"' | '\'' | '`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_turn_the_host_turns_the_stack() {
        for (command, becomes) in [
            ("sysctl -q net.ipv4.tcp_sack=0", "sysctl -q net.ipv4.tcp_sack=0"),
            (
                "a.sh\n ../x/set_sysctls.py /proc/sys/a/b=0 \\\n c=1",
                "a.sh\n sysctl -q /proc/sys/a/b=0 \\\n c=1",
            ),
            ("./set_sysctls.py /proc/sys/a=\"1 2 3\"", "sysctl -q /proc/sys/a=\"1 2 3\""),
            ("/tmp/sysctl_restore_${PPID}.sh", "true"),
            ("/tmp/sysctl_restore_${PPID}.sh; echo", "true; echo"),
            ("echo 0 > /proc/sys/net/x; y", "echo 0 | xargs -I@ sysctl -q /proc/sys/net/x=@; y"),
            ("echo 1 2 >/proc/sys/net/x", "echo 1 2 | xargs -I@ sysctl -q /proc/sys/net/x=@"),
            ("cat /proc/sys/net/x > /tmp/y 2>&1", "cat /proc/sys/net/x > /tmp/y 2>&1"),
            ("", ""),
            (" ; ", " ; "),
        ] {
            assert_eq!(adapted(command), becomes);
        }
    }

    #[test]
    fn the_status_is_that_of_system() {
        assert_eq!((run("exit 3"), run("true")), (3 << 8, 0));
        assert_eq!(run("kill -9 $$"), 9);
    }
}
