//! `sysctl`, `ip`, `tc`, `ethtool`, `sockstat` and `tcpdrop` for scripts of packetdrill: one program under all these
//! names. It hands its arguments to the stack in the packetdrill process above it, and prints what that
//! answers (the protocol is in `server.rs`).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::ExitCode;

/// Set by the shared object.
const SOCKET_VARIABLE: &str = "LAB_PACKETDRILL_SOCKET";

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let name = std::env::args().next().unwrap_or_default();
            eprintln!("{name}: no stack under test answers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<u8> {
    let name = std::env::var_os(SOCKET_VARIABLE).ok_or_else(|| {
        io::Error::other(format!("{SOCKET_VARIABLE} is not set: packetdrill has not loaded the stack"))
    })?;
    let mut stream = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name.as_bytes())?)?;
    let mut request = Vec::new();
    for argument in std::env::args_os() {
        request.extend(argument.as_bytes());
        request.push(0);
    }
    stream.write_all(&request)?;
    stream.shutdown(Shutdown::Write)?;

    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let [status, len @ ..] = answer.first_chunk::<5>().ok_or_else(cut)?;
    let (out, err) = answer[5..].split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(cut)?;
    io::stdout().write_all(out)?;
    io::stderr().write_all(err)?;
    Ok(*status)
}
