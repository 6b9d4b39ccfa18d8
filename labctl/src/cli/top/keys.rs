//! Keys as a terminal sends them (xterm's and DEC's sequences), of those that `top` knows.
//!
//! crossterm's reader of events is not used: at the end of a terminal it reads for ever, and in the middle of an unknown sequence
//! it waits beyond every timeout, deaf to signals.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;

/// The keys that are more than one octet, without the escape.
const SEQUENCES: [(&[u8], KeyCode); 17] = [
    (b"[A", KeyCode::Up),
    (b"OA", KeyCode::Up),
    (b"[B", KeyCode::Down),
    (b"OB", KeyCode::Down),
    (b"[5~", KeyCode::PageUp),
    (b"[6~", KeyCode::PageDown),
    (b"[H", KeyCode::Home),
    (b"OH", KeyCode::Home),
    (b"[1~", KeyCode::Home),
    (b"[7~", KeyCode::Home),
    (b"[F", KeyCode::End),
    (b"OF", KeyCode::End),
    (b"[4~", KeyCode::End),
    (b"[8~", KeyCode::End),
    (b"[Z", KeyCode::BackTab),
    (b"[C", KeyCode::Right),
    (b"[D", KeyCode::Left),
];

/// Where keys come from.
#[derive(Debug)]
pub(super) struct Keyboard {
    pub(super) fd: OwnedFd,
}

impl Keyboard {
    /// Standard input, if it is the terminal, else the process's terminal.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let fd = if stdin.is_terminal() { rustix::io::dup(&stdin)? } else { File::open("/dev/tty")?.into() };
        Ok(Self { fd })
    }

    /// The keys that were pressed; nothing of it waits. `None`: the terminal is gone.
    pub(super) fn read(&self) -> Option<Vec<KeyEvent>> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&Timespec::default())) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Some(Vec::new()),
            Ok(_) if fds[0].revents().contains(PollFlags::IN) => {}
            Ok(_) | Err(_) => return None,
        }
        let mut octets = [0; 256];
        match rustix::io::read(&self.fd, &mut octets) {
            Ok(0) | Err(_) => None,
            Ok(n) => Some(parse(&octets[..n])),
        }
    }
}

/// The keys in what was read at once; what is no key is passed over.
fn parse(mut octets: &[u8]) -> Vec<KeyEvent> {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    let mut keys = Vec::new();
    while let Some((first, rest)) = octets.split_first() {
        octets = rest;
        keys.extend(match first {
            0x1b if rest.is_empty() || rest[0] == 0x1b => Some(plain(KeyCode::Esc)),
            0x1b => {
                let length = sequence(rest);
                let (this, after) = rest.split_at(length);
                octets = after;
                SEQUENCES.iter().find(|(known, _)| *known == this).map(|(_, code)| plain(*code))
            }
            b'\t' => Some(plain(KeyCode::Tab)),
            control @ 1..=26 => {
                Some(KeyEvent::new(KeyCode::Char(char::from(control + 0x60)), KeyModifiers::CONTROL))
            }
            character @ b' '..=b'~' => Some(plain(KeyCode::Char(char::from(*character)))),
            _ => None,
        });
    }
    keys
}

/// Octets of the sequence after an escape: CSI up to its final octet, SS3 and one more, else one.
fn sequence(rest: &[u8]) -> usize {
    let length = match rest[0] {
        b'[' => {
            rest[1..].iter().position(|octet| (0x40..=0x7e).contains(octet)).map_or(rest.len(), |at| at + 2)
        }
        b'O' => 2,
        _ => 1,
    };
    length.min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_and_others_passed_over() {
        let codes = |octets: &[u8]| parse(octets).into_iter().map(|key| key.code).collect::<Vec<_>>();
        assert_eq!(codes(b"q"), [KeyCode::Char('q')]);
        assert_eq!(codes(b"\x1b"), [KeyCode::Esc]);
        assert_eq!(
            codes(b"\x1b[A\x1bOBj\t\x1b[6~"),
            [KeyCode::Up, KeyCode::Down, KeyCode::Char('j'), KeyCode::Tab, KeyCode::PageDown]
        );
        // An unknown one is no Esc, which would leave: with modifiers, of a mouse, with Alt, or cut short.
        for unknown in
            [&b"\x1b[1;5A"[..], b"\x1b[<0;3;4M", b"\x1bq", b"\x1b[", b"\x1b[12", b"\x1bO", b"\0\x80\xff\x7f"]
        {
            assert_eq!(codes(unknown), [], "{unknown:?}");
        }
        assert_eq!(codes(b"\x1b\x1b"), [KeyCode::Esc, KeyCode::Esc]);
        assert_eq!(parse(b"\x03"), [KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)]);
    }
}
