//! HTTP/1.1 as far as a small server and client need it: RFC 9112 §2 to §7, RFC 9110 §6 to §15.
//!
//! Heads are parsed from octets that are all there ([`head_len`] says when), bodies are followed by [`BodyReader`],
//! which eats octets as they come. Strict where leniency lets requests be smuggled (RFC 9112 §11.2): bare CR, spaces
//! before a colon, folded lines, several or odd lengths are refused. Not here: trailers' contents (they are skipped),
//! transfer codings other than chunked, content codings, ranges.

use std::net::{IpAddr, Ipv6Addr};

/// Octets of the longest head that is accepted: what common servers allow.
pub(super) const MAX_HEAD: usize = 8192;

/// Why octets are no message head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    /// The first line is neither request nor status line.
    #[error("malformed start line")]
    StartLine,
    /// A major version that is not 1.
    #[error("HTTP version not supported")]
    Version,
    /// A header line breaks the grammar.
    #[error("malformed header line")]
    Header,
    /// Content-Length is no number, or there are several that differ, or it stands beside Transfer-Encoding.
    #[error("malformed length")]
    Length,
    /// A transfer coding that is not `chunked`.
    #[error("unknown transfer coding")]
    Coding,
    /// An HTTP/1.1 request without exactly one Host (RFC 9112 §3.2).
    #[error("no host")]
    Host,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many octets.
    Known(u64),
    /// In chunks, RFC 9112 §7.1.
    Chunked,
    /// Until the connection closes (responses only).
    UntilClose,
}

/// What both kinds of heads say.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    hosts: usize,
    headers: Vec<(String, String)>,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// GET, HEAD, …
    pub(super) method: String,
    /// The target in origin form, or the path of the absolute form.
    pub(super) target: String,
    /// Length of the body.
    pub(super) length: Length,
    /// Whether the connection lives on after the response.
    pub(super) keep_alive: bool,
}

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// 200 and so on.
    pub(super) status: u16,
    /// The words after it.
    pub(super) reason: String,
    /// All header fields in order, names as they came.
    pub(super) headers: Vec<(String, String)>,
    /// Length of the body, were it the answer to a GET.
    pub(super) length: Length,
    /// Whether the connection lives on after the body.
    pub(super) keep_alive: bool,
}

/// Octets of the head at the front of `octets`, its empty line included, once that is there.
/// Lines end with CR LF; a bare LF is taken too (RFC 9112 §2.2).
pub(super) fn head_len(octets: &[u8]) -> Option<usize> {
    let mut line = 0;
    for (at, _) in octets.iter().enumerate().filter(|&(_, &octet)| octet == b'\n') {
        match &octets[line..at] {
            [] | [b'\r'] if line > 0 => return Some(at + 1),
            _ => line = at + 1,
        }
    }
    None
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    let tchar = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !text.is_empty() && text.bytes().all(tchar)
}

/// Lines of a head without their ends, the empty one left out. `None`: a bare CR or a control character.
fn lines(head: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(head).ok()?;
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.is_empty())
        .collect();
    let clean = |line: &&str| line.chars().all(|c| c == '\t' || !c.is_control());
    lines.iter().all(clean).then_some(lines)
}

/// Digits only: `+1` is no length.
fn length(text: &str) -> Option<u64> {
    text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn fields(lines: &[&str]) -> Result<Fields, HeadError> {
    let mut fields = Fields {
        length: None,
        chunked: false,
        close: false,
        keep_alive: false,
        hosts: 0,
        headers: Vec::new(),
    };
    let mut codings = 0;
    for line in lines {
        // A folded line begins with a space, which is no token (RFC 9112 §5.2).
        let (name, value) = line.split_once(':').ok_or(HeadError::Header)?;
        if !is_token(name) {
            return Err(HeadError::Header);
        }
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                // RFC 9112 §6.3: a list of equal numbers counts as one.
                for part in value.split(',') {
                    let part = length(part.trim()).ok_or(HeadError::Length)?;
                    if fields.length.replace(part).is_some_and(|earlier| earlier != part) {
                        return Err(HeadError::Length);
                    }
                }
            }
            "transfer-encoding" => {
                codings += 1;
                if !value.eq_ignore_ascii_case("chunked") || codings > 1 {
                    return Err(HeadError::Coding);
                }
                fields.chunked = true;
            }
            "connection" => {
                for option in value.split(',').map(str::trim) {
                    fields.close |= option.eq_ignore_ascii_case("close");
                    fields.keep_alive |= option.eq_ignore_ascii_case("keep-alive");
                }
            }
            "host" => fields.hosts += 1,
            _ => {}
        }
        fields.headers.push((name.to_owned(), value.to_owned()));
    }
    // RFC 9112 §6.1: both at once is how requests are smuggled.
    if fields.chunked && fields.length.is_some() {
        return Err(HeadError::Length);
    }
    Ok(fields)
}

/// The minor version of `HTTP/1.x`.
fn minor(version: &str) -> Result<u8, HeadError> {
    match version.strip_prefix("HTTP/").map(str::as_bytes) {
        Some([b'1', b'.', minor @ b'0'..=b'9']) => Ok(minor - b'0'),
        Some([b'0'..=b'9', b'.', b'0'..=b'9']) => Err(HeadError::Version),
        Some(_) | None => Err(HeadError::StartLine),
    }
}

impl Fields {
    /// RFC 9112 §9.3
    fn keeps_alive(&self, minor: u8) -> bool {
        !self.close && (minor >= 1 || self.keep_alive)
    }
}

impl Request {
    /// Reads a head that ends with its empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Request, HeadError> {
        let lines = lines(head).ok_or(HeadError::Header)?;
        let (start, rest) = lines.split_first().ok_or(HeadError::StartLine)?;
        let mut words = start.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(HeadError::StartLine);
        };
        let minor = minor(version)?;
        // RFC 9112 §3.2.2: servers accept the absolute form too.
        let path = match target.strip_prefix("http://") {
            Some(absolute) => absolute.find('/').map_or("/", |slash| &absolute[slash..]),
            None => target,
        };
        if !is_token(method) || !(path.starts_with('/') || path == "*") || !path.is_ascii() {
            return Err(HeadError::StartLine);
        }
        let fields = fields(rest)?;
        if fields.hosts > 1 || (minor >= 1 && fields.hosts == 0) {
            return Err(HeadError::Host);
        }
        let length = if fields.chunked { Length::Chunked } else { Length::Known(fields.length.unwrap_or(0)) };
        let keep_alive = fields.keeps_alive(minor);
        Ok(Request { method: method.to_owned(), target: path.to_owned(), length, keep_alive })
    }
}

impl Response {
    /// Reads a head that ends with its empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Response, HeadError> {
        let lines = lines(head).ok_or(HeadError::Header)?;
        let (start, rest) = lines.split_first().ok_or(HeadError::StartLine)?;
        let (version, status) = start.split_once(' ').ok_or(HeadError::StartLine)?;
        let minor = minor(version)?;
        let (status, reason) = status.split_once(' ').unwrap_or((status, ""));
        let status = match status.as_bytes() {
            [b'1'..=b'9', _, _] => status.parse().map_err(|_| HeadError::StartLine)?,
            _ => return Err(HeadError::StartLine),
        };
        let fields = fields(rest)?;
        // RFC 9112 §6.3: these have no body whatever their headers say.
        let length = match (status, fields.length) {
            (100..200 | 204 | 304, _) => Length::Known(0),
            _ if fields.chunked => Length::Chunked,
            (_, Some(length)) => Length::Known(length),
            (_, None) => Length::UntilClose,
        };
        let keep_alive = fields.keeps_alive(minor) && length != Length::UntilClose;
        Ok(Response { status, reason: reason.to_owned(), headers: fields.headers, length, keep_alive })
    }
}

/// Why a body is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunk")]
pub(super) struct ChunkError;

/// Follows a body to its end.
#[derive(Clone, Debug)]
pub(super) struct BodyReader {
    state: State,
    octets: u64,
}

/// What comes next in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain(u64),
    UntilClose,
    /// The size line: what was read of it, digits seen, and whether an extension has begun.
    Size {
        size: u64,
        digits: u8,
        extension: bool,
        skipped: u16,
    },
    Chunk(u64),
    /// CR LF after a chunk.
    ChunkEnd,
    /// The trailer section: octets on this line, octets in all.
    Trailer {
        line: u16,
        all: u16,
    },
    Done,
}

const SIZE: State = State::Size { size: 0, digits: 0, extension: false, skipped: 0 };

impl BodyReader {
    /// A body of that length, from its first octet.
    pub(super) fn new(length: Length) -> BodyReader {
        let state = match length {
            Length::Known(0) => State::Done,
            Length::Known(n) => State::Plain(n),
            Length::Chunked => SIZE,
            Length::UntilClose => State::UntilClose,
        };
        BodyReader { state, octets: 0 }
    }

    /// Whether the body is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the body may end here because the connection does.
    pub(super) fn may_close(&self) -> bool {
        matches!(self.state, State::Done | State::UntilClose)
    }

    /// Octets of content so far, without chunk lines.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Takes octets as they came, hands the content in them to `content`, and returns how many of them belong to the
    /// body (fewer than all only at its end).
    pub(super) fn eat(&mut self, octets: &[u8], mut content: impl FnMut(&[u8])) -> Result<usize, ChunkError> {
        let mut at = 0;
        while at < octets.len() && self.state != State::Done {
            let left = octets.len() - at;
            match self.state {
                State::Plain(n) | State::Chunk(n) => {
                    let taken = usize::try_from(n).unwrap_or(usize::MAX).min(left);
                    content(&octets[at..at + taken]);
                    (at, self.octets) = (at + taken, self.octets + taken as u64);
                    let rest = n - taken as u64;
                    self.state = match self.state {
                        State::Plain(_) if rest == 0 => State::Done,
                        State::Plain(_) => State::Plain(rest),
                        _ if rest == 0 => State::ChunkEnd,
                        _ => State::Chunk(rest),
                    };
                }
                State::UntilClose => {
                    content(&octets[at..]);
                    (at, self.octets) = (octets.len(), self.octets + left as u64);
                }
                State::Size { .. } | State::ChunkEnd | State::Trailer { .. } | State::Done => {
                    self.state = line_octet(self.state, octets[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }
}

/// One octet of the lines between chunks, RFC 9112 §7.1.
fn line_octet(state: State, octet: u8) -> Result<State, ChunkError> {
    match (state, octet) {
        (State::Size { size, digits: 1.., .. }, b'\n') => {
            Ok(if size == 0 { State::Trailer { line: 0, all: 0 } } else { State::Chunk(size) })
        }
        (State::Size { size, digits, extension: false, skipped }, c)
            if c.is_ascii_hexdigit() && digits < 15 =>
        {
            let digit = (c as char).to_digit(16).ok_or(ChunkError)?;
            Ok(State::Size {
                size: size << 4 | u64::from(digit),
                digits: digits + 1,
                extension: false,
                skipped,
            })
        }
        (State::Size { size, digits: digits @ 1.., extension, skipped: skipped @ 0..1024 }, c)
            if extension || matches!(c, b';' | b' ' | b'\t' | b'\r') =>
        {
            Ok(State::Size { size, digits, extension: true, skipped: skipped + 1 })
        }
        (State::ChunkEnd, b'\r') => Ok(State::ChunkEnd),
        (State::ChunkEnd, b'\n') => Ok(SIZE),
        (State::Trailer { line: 0, .. }, b'\n') => Ok(State::Done),
        (State::Trailer { line, all: all @ 0..8192 }, c) => Ok(match c {
            b'\n' => State::Trailer { line: 0, all: all + 1 },
            b'\r' => State::Trailer { line, all: all + 1 },
            _ => State::Trailer { line: line.saturating_add(1), all: all + 1 },
        }),
        _ => Err(ChunkError),
    }
}

/// The parts of an `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Name or address, without brackets; `fe80::1%eth0` on one link.
    pub(super) host: String,
    /// 80 unless given.
    pub(super) port: u16,
    /// Path and query; at least `/`.
    pub(super) target: String,
}

impl Url {
    /// Reads `http://host[:port][/path]`; the scheme may be left out, a fragment is dropped.
    pub(super) fn parse(text: &str) -> Option<Url> {
        let rest = match text.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return None,
            None => text,
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('?') => (&rest[..at], format!("/{}", &rest[at..])),
            Some(at) => (&rest[..at], rest[at..].to_owned()),
            None => (rest, "/".to_owned()),
        };
        let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
            let (host, port) = bracketed.split_once(']')?;
            let (addr, zone) = host.split_once('%').unwrap_or((host, ""));
            addr.parse::<Ipv6Addr>().ok()?;
            // RFC 6874: the mark is written %25; a bare one is taken too.
            let zone = zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone);
            (if zone.is_empty() { addr.to_owned() } else { format!("{addr}%{zone}") }, port)
        } else {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host.to_owned(), port)
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if port.is_empty() => 80,
            None => return None,
        };
        let plain = |text: &str| text.bytes().all(|c| c.is_ascii_graphic());
        (!host.is_empty() && plain(&host) && plain(&target) && !host.contains('@')).then_some(Url {
            host,
            port,
            target,
        })
    }

    /// The value of the Host header; which link it is concerns nobody else (RFC 6874 §4).
    pub(super) fn host_header(&self) -> String {
        let addr = self.host.split('%').next().unwrap_or_default();
        let host = match addr.parse() {
            Ok(IpAddr::V6(addr)) => format!("[{addr}]"),
            Ok(IpAddr::V4(_)) | Err(_) => self.host.clone(),
        };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

#[cfg(test)]
mod tests;
