//! A program on a node starts another on a node: `labctl exec` inside `labctl exec`.
//!
//! The host lets only one filter of a chain have a listener, so a supervisor that lived behind a filter could not put a program behind
//! its own. It is handed over: whoever wants it connects a unix socket to a name that says where in its memory the command is,
//! and its own supervisor, which sees that call and lives behind no filter, starts the new one: with the caller's descriptors
//! 0 to 2, its directory, and in its process group, so that it is in the same terminal's foreground. The new one's parent is
//! the old one, so its report says when nobody follows it any more.

use crate::calls::shared;
use crate::process;
use crate::run::ARGV0;
use crate::seccomp_unsafe::Call;
use crate::supervisor::{Outcome, Supervisor};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the name begins with; three little-endian u64 follow: where the command is, its octets, and where the new process's number goes.
const NAME: &[u8] = b"rumphijack";
/// Octets of a command and its environment (as the host bounds them by default).
const MOST: usize = 2 << 20;

/// Has the supervisor of this process start `command`, which is one of a supervisor; its process number. `None`: nobody sees this
/// process's calls.
///
/// # Errors
/// It could not be started.
pub fn hand_over(command: &Command) -> Result<Option<u32>, Errno> {
    let octets = encode(command);
    let process = AtomicU32::new(0);
    let mut name = NAME.to_vec();
    for word in [octets.as_ptr() as u64, octets.len() as u64, process.as_ptr() as u64] {
        name.extend_from_slice(&word.to_le_bytes());
    }
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    match connect(&socket, &SocketAddrUnix::new_abstract_name(&name)?) {
        Ok(()) => Ok(Some(process.load(Ordering::Relaxed)).filter(|process| *process != 0)),
        // The host knows nobody of that name.
        Err(Errno::CONNREFUSED) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Arguments and environment, a NUL behind each; an empty one between them.
fn encode(command: &Command) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut put = |word: &[u8]| {
        octets.extend_from_slice(word);
        octets.push(0);
    };
    for arg in command.get_args() {
        // As an empty argument would end them, each is marked.
        put(&[b"=", arg.as_bytes()].concat());
    }
    put(b"");
    let changed = |name: &OsStr| command.get_envs().any(|(other, _)| other == name);
    let inherited = std::env::vars_os().filter(|(name, _)| !changed(name));
    let set = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    for (name, value) in inherited.chain(set) {
        put(&[name.as_bytes(), b"=", value.as_bytes()].concat());
    }
    octets
}

/// Names and values.
type Environment = Vec<(OsString, OsString)>;

/// The arguments, and the environment.
fn decode(octets: &[u8]) -> Option<(Vec<OsString>, Environment)> {
    let text = |octets: &[u8]| OsStr::from_bytes(octets).to_owned();
    let mut words = octets.strip_suffix(b"\0")?.split(|octet| *octet == 0);
    let args = words.by_ref().map_while(|word| word.strip_prefix(b"=")).map(text).collect();
    let environment = words.filter_map(|entry| {
        let end = entry.iter().position(|octet| *octet == b'=')?;
        Some((text(&entry[..end]), text(&entry[end + 1..])))
    });
    Some((args, environment.collect()))
}

/// Serves connect(2) to such a name; `None`: it is another.
pub(crate) fn take_over(sup: &mut Supervisor, call: &Call, addr: &[u8]) -> Option<Outcome> {
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    let words = addr.strip_prefix(&family)?.strip_prefix(b"\0")?.strip_prefix(NAME)?;
    let (words, []) = words.as_chunks::<8>() else { return None };
    let [place, len, answer] = words else { return None };
    let [place, len, answer] = [place, len, answer].map(|word| u64::from_le_bytes(*word));
    Some(start(sup, call, place, len).map_or_else(Outcome::Fail, |process| {
        let told = sup.memory.write(call.tid, answer, &process.to_le_bytes());
        told.map_or_else(Outcome::Fail, |()| Outcome::Value(0))
    }))
}

fn start(sup: &mut Supervisor, call: &Call, place: u64, len: u64) -> Result<u32, Errno> {
    let len = usize::try_from(len).ok().filter(|len| *len <= MOST).ok_or(Errno::TOOBIG)?;
    let (args, environment) = decode(&sup.memory.take(call.tid, place, len)?).ok_or(Errno::INVAL)?;
    // By its descriptor: the child's own `/proc/self` is another's.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let at = rustix::fs::open(format!("/proc/{}/cwd", call.tid), flags, Mode::empty())?;
    let job = process::job(call.tid).ok_or(Errno::SRCH)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(ARGV0).args(args).env_clear().envs(environment);
    command.current_dir(format!("/proc/{}/fd/{}", std::process::id(), at.as_raw_fd()));
    (0..3).for_each(|fd| shared::give(sup, call, fd));
    command.stdin(sup.copy(call, 0)?).stdout(sup.copy(call, 1)?).stderr(sup.copy(call, 2)?);
    // One of another session is not reached by a terminal's signals anyway; a group of outside of the PID
    // namespace is the supervisor's own already.
    let own = process::job(rustix::process::getpid().as_raw_nonzero().get());
    if job.group != 0 && own.is_some_and(|own| own.session == job.session) {
        command.process_group(job.group);
    }
    let child = command.spawn();
    child.map(|child| child.id()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_arrives_as_it_was() {
        let mut command = Command::new("x");
        command.args(["one", "", "two words"]).env("SET", "a=b").env_remove("PATH");
        let (args, environment) = decode(&encode(&command)).unwrap();
        assert_eq!(args, ["one", "", "two words"]);
        assert!(environment.contains(&("SET".into(), "a=b".into())));
        assert!(!environment.iter().any(|(name, _)| name == "PATH"));
        for no in [&b""[..], b"x"] {
            assert!(decode(no).is_none(), "{no:?}");
        }
    }

    #[test]
    fn without_a_supervisor_nothing_is_handed_over() {
        assert_eq!(hand_over(&Command::new("x")), Ok(None));
    }
}
