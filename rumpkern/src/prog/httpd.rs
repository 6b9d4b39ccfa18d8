//! `httpd`: a small HTTP/1.1 server (RFC 9110, 9112): GET and HEAD, connections that live on, pipelining.
//!
//! `/` is a line with the node's name, `/octets/N` are N octets (0, 1, … 255, 0, …), all else is not found. Requests are
//! limited in size and time, connections in number; a bad request is answered with its status and the end of the
//! connection. Not here: ranges, conditions, content negotiation, TLS.

use super::args::{Args, Piece, Usage, number, operands, unknown};
use super::http::{BodyReader, HeadError, MAX_HEAD, Request, head_len};
use super::io::{Context, Count, Cx, Fail};
use super::tcpsink::{accept, listen};
use crate::syscall::{Errno, Fd, Shutdown};
use netstack::time::Duration;
use std::rc::Rc;

pub(super) const USAGE: &str = "PORT";

/// Connections served at once; more wait in the backlog.
const CONNECTIONS: u64 = 256;
/// How long a connection may be silent, and a request's head take (nginx: 60 to 75 s).
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of the largest request body that is read and thrown away.
const MAX_BODY: u64 = 1 << 20;
/// What a refused client may still send before the connection is closed over it.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// What `/octets/N` repeats: a multiple of its period, so that pieces of it join.
static PATTERN: [u8; 65_536] = {
    let mut pattern = [0; 65_536];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = at as u8;
        at += 1;
    }
    pattern
};

#[derive(Debug)]
pub(super) struct Options {
    port: u16,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let mut rest = Vec::new();
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [port] = operands(rest, ["PORT"])?;
        Ok(Options { port: number(&port, 0, u16::MAX)? })
    }
}

/// Ways to end a request other than well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    TooLarge,
    HeadTooLarge,
    NotImplemented,
    Version,
}

impl Refusal {
    fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::BadRequest => (400, "Bad Request"),
            Refusal::NotFound => (404, "Not Found"),
            Refusal::MethodNotAllowed => (405, "Method Not Allowed"),
            Refusal::RequestTimeout => (408, "Request Timeout"),
            Refusal::TooLarge => (413, "Content Too Large"),
            Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
            Refusal::NotImplemented => (501, "Not Implemented"),
            Refusal::Version => (505, "HTTP Version Not Supported"),
        }
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Refusal {
        match error {
            HeadError::StartLine | HeadError::Header | HeadError::Length | HeadError::Host => {
                Refusal::BadRequest
            }
            HeadError::Version => Refusal::Version,
            HeadError::Coding => Refusal::NotImplemented,
        }
    }
}

/// What a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Text(String),
    Octets(u64),
}

/// The resource of a request, or why there is none. The connection survives either.
fn resource(request: &Request, node: &str) -> Result<Resource, Refusal> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Err(match request.method.as_str() {
            "POST" | "PUT" | "DELETE" | "OPTIONS" | "TRACE" | "CONNECT" | "PATCH" => {
                Refusal::MethodNotAllowed
            }
            _ => Refusal::NotImplemented,
        });
    }
    let path = request.target.split('?').next().unwrap_or_default();
    match path.strip_prefix("/octets/") {
        Some(n) if n.bytes().all(|c| c.is_ascii_digit()) => {
            n.parse().map(Resource::Octets).map_err(|_| Refusal::NotFound)
        }
        None if path == "/" => Ok(Resource::Text(format!("{node}\n"))),
        Some(_) | None => Err(Refusal::NotFound),
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let listener = listen(cx, options.port)?;
    cx.complain(&format!(
        "listening on port {}",
        cx.sys.getsockname(listener).context("getsockname")?.port()
    ))
    .await;
    let (mut begun, ended) = (0, Rc::new(Count::default()));
    loop {
        ended.reach((begun + 1u64).saturating_sub(CONNECTIONS)).await;
        let (fd, _) = accept(&cx.sys, listener).await.context("accept")?;
        begun += 1;
        let (me, ended) = (cx.clone(), ended.clone());
        cx.sys.spawn(async move {
            let mut connection = Connection { cx: &me, fd, unread: Vec::new() };
            // Errors are the client's: it went away.
            let _ = connection.serve().await;
            let _ = me.sys.close(fd);
            ended.add_one();
        });
    }
}

struct Connection<'c> {
    cx: &'c Cx,
    fd: Fd,
    /// What has come and is not used.
    unread: Vec<u8>,
}

impl Connection<'_> {
    /// Requests, one after the other, until one of the two sides ends it.
    async fn serve(&mut self) -> Result<(), Errno> {
        loop {
            let request = match self.head().await? {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(refusal) => return self.refuse(refusal).await,
            };
            if let Err(refusal) = self.skip_body(&request).await? {
                return self.refuse(refusal).await;
            }
            match resource(&request, self.cx.sys.gethostname()) {
                Ok(resource) => self.respond(&request, &resource).await?,
                Err(refusal) => self.answer(refusal, &request.method, request.keep_alive).await?,
            }
            if !request.keep_alive {
                return self.sys_shutdown();
            }
        }
    }

    /// The next request's head; `None` if the client has ended between requests, or is silent for too long there.
    async fn head(&mut self) -> Result<Result<Option<Request>, Refusal>, Errno> {
        let until = self.cx.sys.now() + PATIENCE;
        loop {
            // RFC 9112 §2.2: empty lines before a request are passed over.
            let blank = self.unread.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count();
            self.unread.drain(..blank);
            if let Some(len) = head_len(&self.unread) {
                if len > MAX_HEAD {
                    return Ok(Err(Refusal::HeadTooLarge));
                }
                let request = Request::parse(&self.unread[..len]).map_err(Refusal::from);
                self.unread.drain(..len);
                return Ok(request.map(Some));
            }
            if self.unread.len() > MAX_HEAD {
                return Ok(Err(Refusal::HeadTooLarge));
            }
            let mut octets = [0; 2048];
            match self.cx.recv_until(self.fd, &mut octets, until).await? {
                Some(meta) if meta.len > 0 => self.unread.extend_from_slice(&octets[..meta.len]),
                Some(_) | None if self.unread.is_empty() => return Ok(Ok(None)),
                Some(_) => return Ok(Err(Refusal::BadRequest)),
                None => return Ok(Err(Refusal::RequestTimeout)),
            }
        }
    }

    /// Reads a request's body past.
    async fn skip_body(&mut self, request: &Request) -> Result<Result<(), Refusal>, Errno> {
        let mut body = BodyReader::new(request.length);
        let until = self.cx.sys.now() + PATIENCE;
        loop {
            let Ok(eaten) = body.eat(&self.unread, |_| ()) else { return Ok(Err(Refusal::BadRequest)) };
            self.unread.drain(..eaten);
            if body.octets() > MAX_BODY {
                return Ok(Err(Refusal::TooLarge));
            }
            if body.is_done() {
                return Ok(Ok(()));
            }
            self.unread.resize(8192, 0);
            let received = self.cx.recv_until(self.fd, &mut self.unread, until).await;
            let len = received.as_ref().ok().and_then(Option::as_ref).map_or(0, |meta| meta.len);
            self.unread.truncate(len);
            match received? {
                Some(_) if len > 0 => {}
                Some(_) => return Ok(Err(Refusal::BadRequest)),
                None => return Ok(Err(Refusal::RequestTimeout)),
            }
        }
    }

    async fn respond(&mut self, request: &Request, resource: &Resource) -> Result<(), Errno> {
        let (kind, len) = match resource {
            Resource::Text(text) => ("text/plain; charset=utf-8", text.len() as u64),
            Resource::Octets(n) => ("application/octet-stream", *n),
        };
        let mut head = head((200, "OK"), kind, len, request.keep_alive).into_bytes();
        if request.method == "HEAD" {
            return self.cx.send_all(self.fd, &head).await;
        }
        match resource {
            Resource::Text(text) => {
                head.extend_from_slice(text.as_bytes());
                self.cx.send_all(self.fd, &head).await
            }
            Resource::Octets(n) => {
                // A small body goes in the same segment as its head.
                let first = (*n).min(1024);
                head.extend_from_slice(&PATTERN[..first as usize]);
                self.cx.send_all(self.fd, &head).await?;
                let mut left = n - first;
                while left > 0 {
                    let from = ((n - left) % 256) as usize;
                    let piece = (PATTERN.len() - from).min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.cx.send_all(self.fd, &PATTERN[from..from + piece]).await?;
                    left -= piece as u64;
                }
                Ok(())
            }
        }
    }

    /// Answers with a status and a word about it.
    async fn answer(&mut self, refusal: Refusal, method: &str, keep_alive: bool) -> Result<(), Errno> {
        let (status, reason) = refusal.status();
        let text = format!("{status} {reason}\n");
        let mut all = head((status, reason), "text/plain; charset=utf-8", text.len() as u64, keep_alive);
        if method != "HEAD" {
            all.push_str(&text);
        }
        self.cx.send_all(self.fd, all.as_bytes()).await
    }

    /// Answers, ends the stream, and lets the client read that before the connection goes: closing over unread
    /// octets would send RST, and the client might lose the answer (RFC 9112 §9.6).
    async fn refuse(&mut self, refusal: Refusal) -> Result<(), Errno> {
        self.answer(refusal, "GET", false).await?;
        self.sys_shutdown()?;
        let (until, mut scrap, mut read) = (self.cx.sys.now() + LINGER.0, [0; 2048], 0);
        while let Some(meta) = self.cx.recv_until(self.fd, &mut scrap, until).await? {
            read += meta.len;
            if meta.len == 0 || read > LINGER.1 {
                break;
            }
        }
        Ok(())
    }

    fn sys_shutdown(&self) -> Result<(), Errno> {
        self.cx.sys.shutdown(self.fd, Shutdown::Write)
    }
}

/// A response's head.
fn head((status, reason): (u16, &str), kind: &str, len: u64, keep_alive: bool) -> String {
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status} {reason}\r\nServer: rumpkern\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         {allow}Connection: {connection}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prog::http::{Length, Response};

    fn get(method: &str, target: &str) -> Result<Resource, Refusal> {
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            length: Length::Known(0),
            keep_alive: true,
        };
        resource(&request, "h1")
    }

    #[test]
    fn resources() {
        assert_eq!(get("GET", "/"), Ok(Resource::Text("h1\n".into())));
        assert_eq!(get("HEAD", "/octets/12?x"), Ok(Resource::Octets(12)));
        assert_eq!(get("GET", "/octets/18446744073709551615"), Ok(Resource::Octets(u64::MAX)));
        for missing in ["/octets/", "/octets/18446744073709551616", "/octets/-1", "/octets/x", "/x", "*"] {
            assert_eq!(get("GET", missing), Err(Refusal::NotFound), "{missing}");
        }
        assert_eq!(get("POST", "/"), Err(Refusal::MethodNotAllowed));
        assert_eq!(get("BREW", "/"), Err(Refusal::NotImplemented));
    }

    #[test]
    fn heads_are_read_back() {
        let head = head((405, "Method Not Allowed"), "text/plain", 3, false);
        let response = Response::parse(head.as_bytes()).unwrap();
        assert_eq!((response.status, response.length, response.keep_alive), (405, Length::Known(3), false));
        assert!(response.headers.contains(&("Allow".into(), "GET, HEAD".into())));
    }

    #[test]
    fn the_pattern_joins() {
        assert_eq!(PATTERN.len() % 256, 0);
        assert!(PATTERN.iter().enumerate().all(|(at, &octet)| octet == at as u8));
    }
}
