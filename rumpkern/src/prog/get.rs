//! `get`: fetches one resource over HTTP/1.1 and says its status, size and time (curl's job, in small).
//!
//! The exit status is 0 for a response below 400, else 1. Redirects are shown, not followed.

use super::args::{Args, Piece, Usage, operands, unknown};
use super::http::{BodyReader, Length, MAX_HEAD, Response, Url, head_len};
use super::io::{Context, Cx, Fail};
use super::rate;
use crate::syscall::{Family, Fd, MsgFlags, SockType};
use netstack::time::Duration;
use serde_json::json;
use std::rc::Rc;

pub(super) const USAGE: &str = "[-I] [-i] [-b] [-w SECONDS] URL";

/// Octets of the receive buffer.
const BUFFER: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Options {
    url: Url,
    /// HEAD instead of GET.
    head: bool,
    /// Show the header.
    show_head: bool,
    /// Write the body to the standard output.
    show_body: bool,
    patience: Duration,
}

impl Options {
    pub(super) fn parse(mut args: Args) -> Result<Options, Usage> {
        let (mut head, mut show_head, mut show_body, mut rest) = (false, false, false, Vec::new());
        // As long as TCP itself tries to connect.
        let mut patience = Duration::from_secs(130);
        while let Some(piece) = args.next()? {
            match piece {
                Piece::Option(o) if o == "I" => (head, show_head) = (true, true),
                Piece::Option(o) if o == "i" => show_head = true,
                Piece::Option(o) if o == "b" => show_body = true,
                Piece::Option(o) if o == "w" => patience = args.seconds()?,
                Piece::Option(other) => return Err(unknown(&other)),
                Piece::Operand(operand) => rest.push(operand),
            }
        }
        let [url] = operands(rest, ["URL"])?;
        let url = Url::parse(&url).ok_or_else(|| Usage(format!("'{url}' is not an http URL")))?;
        Ok(Options { url, head, show_head, show_body, patience })
    }
}

pub(super) async fn main(cx: &Rc<Cx>, options: Options) -> Result<i32, Fail> {
    let begin = cx.sys.now();
    let fetched = cx.before(begin + options.patience, fetch(cx, &options)).await;
    let (response, octets) =
        fetched.unwrap_or_else(|| Err(Fail::new(format!("no answer in {:?}", options.patience))))?;
    let time = cx.sys.now().since(begin);
    let json = json!({ "status": response.status, "octets": octets, "seconds": time.as_secs_f64() });
    let rate = rate::bits(rate::bits_per_second(octets, time));
    let (status, reason, octets) = (response.status, &response.reason, rate::octets(octets));
    let text = format!("{status} {reason}: {octets} in {:.6} s, {rate}", time.as_secs_f64());
    if options.show_body && !cx.json {
        cx.complain(&text).await;
    } else {
        cx.result(json, &text).await;
    }
    Ok(i32::from(response.status >= 400))
}

/// The response's head, and how many octets its body had.
async fn fetch(cx: &Cx, options: &Options) -> Result<(Response, u64), Fail> {
    let (sys, url) = (&cx.sys, &options.url);
    let to = cx.peer(&url.host, url.port)?;
    let fd = sys.socket(Family::of(to.ip()), SockType::Stream, 0).context("socket")?;
    sys.connect(fd, to).await.context(&format!("connect to {to}"))?;
    let method = if options.head { "HEAD" } else { "GET" };
    let request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rumpkern\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.target,
        url.host_header()
    );
    cx.send_all(fd, request.as_bytes()).await.context("send")?;

    let mut buffer = vec![0; BUFFER];
    let (response, mut held) = head(cx, fd, options, &mut buffer).await?;
    let mut body = BodyReader::new(if options.head { Length::Known(0) } else { response.length });
    let mut shown = Vec::new();
    loop {
        let show = |content: &[u8]| {
            if options.show_body && !cx.json {
                shown.extend_from_slice(content);
            }
        };
        body.eat(&buffer[..held], show).map_err(|error| Fail::new(error.to_string()))?;
        cx.out_octets(&shown).await;
        shown.clear();
        if body.is_done() {
            break;
        }
        held = sys.recv(fd, &mut buffer, MsgFlags::empty()).await.context("recv")?;
        if held == 0 {
            if body.may_close() {
                break;
            }
            return Err(Fail::new(format!("the connection ended after {} octets", body.octets())));
        }
    }
    let _ = sys.close(fd);
    Ok((response, body.octets()))
}

/// The head of the final response (RFC 9110 §15.2: interim ones are passed over). What came after it is left at the
/// front of `buffer`; how much is returned with it.
async fn head(cx: &Cx, fd: Fd, options: &Options, buffer: &mut [u8]) -> Result<(Response, usize), Fail> {
    let mut held = 0;
    loop {
        while let Some(len) = head_len(&buffer[..held]) {
            let response = Response::parse(&buffer[..len]).map_err(|error| Fail::new(error.to_string()))?;
            if options.show_head && !cx.json {
                cx.out(&String::from_utf8_lossy(&buffer[..len]).replace('\r', "")).await;
            }
            buffer.copy_within(len..held, 0);
            held -= len;
            if response.status >= 200 {
                return Ok((response, held));
            }
        }
        if held > MAX_HEAD * 4 {
            return Err(Fail::new("the response's head is too long"));
        }
        match cx.sys.recv(fd, &mut buffer[held..], MsgFlags::empty()).await.context("recv")? {
            0 => return Err(Fail::new("the connection ended before a response")),
            octets => held += octets,
        }
    }
}
