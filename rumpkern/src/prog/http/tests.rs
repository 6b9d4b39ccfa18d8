//! The grammar by example, and by arbitrary octets.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn request(head: &str) -> Result<Request, HeadError> {
    assert_eq!(head_len(head.as_bytes()), Some(head.len()), "{head:?}");
    Request::parse(head.as_bytes())
}

#[test]
fn requests() {
    let get = request("GET /octets/5?x HTTP/1.1\r\nHost: h1\r\nAccept: */*\r\n\r\n").unwrap();
    assert_eq!((get.method.as_str(), get.target.as_str(), get.keep_alive), ("GET", "/octets/5?x", true));
    assert_eq!(get.length, Length::Known(0));
    assert!(!request("GET / HTTP/1.0\n\n").unwrap().keep_alive);
    assert!(request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
    assert!(!request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n").unwrap().keep_alive);
    assert_eq!(request("GET http://h1/a HTTP/1.1\r\nHost: h1\r\n\r\n").unwrap().target, "/a");
    assert_eq!(request("GET http://h1 HTTP/1.1\r\nHost: h1\r\n\r\n").unwrap().target, "/");
}

#[test]
fn bad_requests() {
    for (head, error) in [
        ("GET /\r\n\r\n", HeadError::StartLine),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::StartLine),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::StartLine),
        ("GET index HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::StartLine),
        ("GET / HTTP/11\r\nHost: a\r\n\r\n", HeadError::StartLine),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::Version),
        ("GET / HTTP/1.1\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::Header),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HeadError::Header),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HeadError::Header),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", HeadError::Length),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", HeadError::Length),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", HeadError::Length),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadError::Length,
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", HeadError::Coding),
    ] {
        assert_eq!(request(head), Err(error), "{head:?}");
    }
}

#[test]
fn responses() {
    let parse = |head: &str| Response::parse(head.as_bytes());
    let ok = parse("HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\n").unwrap();
    assert_eq!(
        (ok.status, ok.reason.as_str(), ok.length, ok.keep_alive),
        (200, "OK", Length::Known(12), true)
    );
    assert_eq!(ok.headers[1], ("X".to_owned(), "y".to_owned()));
    assert_eq!(parse("HTTP/1.0 404\r\n\r\n").unwrap().length, Length::UntilClose);
    assert_eq!(
        parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n").unwrap().length,
        Length::Known(0)
    );
    assert_eq!(
        parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap().length,
        Length::Chunked
    );
    assert_eq!(parse("HTTP/1.1 20 OK\r\n\r\n"), Err(HeadError::StartLine));
    assert_eq!(parse("ICY 200 OK\r\n\r\n"), Err(HeadError::StartLine));
}

#[test]
fn urls() {
    let parse = |text| Url::parse(text).map(|url| (url.host_header(), url.port, url.target));
    let url = |host: &str, port, target: &str| Some((host.to_owned(), port, target.to_owned()));
    assert_eq!(parse("http://10.0.2.2/octets/9"), url("10.0.2.2", 80, "/octets/9"));
    assert_eq!(parse("h2:8080"), url("h2:8080", 8080, "/"));
    assert_eq!(parse("http://[fd00::1]:81?q#f"), url("[fd00::1]:81", 81, "/?q"));
    for zone in ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"] {
        assert_eq!(parse(zone), url("[fe80::1]", 80, "/"));
        assert_eq!(Url::parse(zone).map(|url| url.host), Some("fe80::1%eth0".to_owned()));
    }
    for bad in [
        "https://h2/",
        "http:///x",
        "http://h2:port/",
        "http://h2:99999/",
        "http://u@h2/",
        "http://[x]/",
        "http://h2/a b",
        "",
    ] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}

/// Eats `octets` in pieces of `step`; what of them was body, or the error.
fn eat(
    reader: &mut BodyReader,
    octets: &[u8],
    step: usize,
    mut content: impl FnMut(&[u8]),
) -> Result<usize, ChunkError> {
    let mut eaten = 0;
    for piece in octets.chunks(step) {
        let n = reader.eat(piece, &mut content)?;
        eaten += n;
        if n < piece.len() {
            break;
        }
    }
    Ok(eaten)
}

#[test]
fn bad_chunks() {
    for bad in ["x\r\n", "\r\n", ";a\r\n", "2\r\nabcd", "1\r\na;", "fffffffffffffffff\r\n", "-1\r\n"] {
        let mut reader = BodyReader::new(Length::Chunked);
        assert_eq!(reader.eat(bad.as_bytes(), |_| ()), Err(ChunkError), "{bad:?}");
    }
    let mut reader = BodyReader::new(Length::Chunked);
    assert!(reader.eat(b"0\r\n", |_| ()).is_ok());
    assert!((0..10_000).any(|_| reader.eat(b"trailer", |_| ()).is_err()), "trailers have an end");
}

proptest! {
    #[test]
    fn bodies_end_where_they_end(chunks in vec(vec(any::<u8>(), 1..300), 0..8), step in 1usize..100, known in any::<bool>(), after in vec(any::<u8>(), 0..20)) {
        let content: usize = chunks.iter().map(Vec::len).sum();
        let mut octets = Vec::new();
        for chunk in &chunks {
            if !known {
                octets.extend_from_slice(format!("{:X};ext=\"1\"\r\n", chunk.len()).as_bytes());
            }
            octets.extend_from_slice(chunk);
            if !known {
                octets.extend_from_slice(b"\r\n");
            }
        }
        let length = if known { Length::Known(content as u64) } else {
            octets.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
            Length::Chunked
        };
        let body = octets.len();
        octets.extend_from_slice(&after);
        let mut reader = BodyReader::new(length);
        let mut read = Vec::new();
        prop_assert_eq!(eat(&mut reader, &octets, step, |content| read.extend_from_slice(content)), Ok(body));
        prop_assert_eq!(read, chunks.concat());
        prop_assert!(reader.is_done());
        prop_assert_eq!(reader.octets(), content as u64);
    }

    #[test]
    fn any_octets_are_a_head_or_an_error(octets in vec(any::<u8>(), 0..200), text in "(GET|HTTP/1.1) [ -~\r\n:]{0,80}\r\n\r\n") {
        for octets in [&octets[..], text.as_bytes()] {
            if let Some(len) = head_len(octets) {
                let _ = (Request::parse(&octets[..len]), Response::parse(&octets[..len]));
            }
            let _ = (Request::parse(octets), Response::parse(octets));
            let _ = BodyReader::new(Length::Chunked).eat(octets, |_| ());
        }
    }

    #[test]
    fn any_text_is_a_url_or_none(text in ".{0,60}") {
        if let Some(url) = Url::parse(&text) {
            prop_assert!(url.target.starts_with('/'));
        }
    }
}
