//! One octet there and back over the host's own TCP: the yardstick of `perf rtt`.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PORT: u16 = 7007;

/// `rr serve` answers one client; `rr ask ADDRESS` prints the median of two seconds, microseconds.
pub(crate) fn run(words: &[String]) -> Result<()> {
    match words {
        [serve] if serve == "serve" => {
            let listener = TcpListener::bind(("0.0.0.0", PORT))?;
            println!("ready");
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut octet = [0];
            while stream.read(&mut octet)? > 0 {
                stream.write_all(&octet)?;
            }
            Ok(())
        }
        [ask, address] if ask == "ask" => {
            let mut stream = TcpStream::connect((address.as_str(), PORT)).context("connect")?;
            stream.set_nodelay(true)?;
            let (mut octet, mut times) = ([7], Vec::new());
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                let began = Instant::now();
                stream.write_all(&octet)?;
                stream.read_exact(&mut octet)?;
                times.push(began.elapsed());
            }
            times.sort_unstable();
            println!("{}", times[times.len() / 2].as_secs_f64() * 1e6);
            Ok(())
        }
        _ => bail!("rr serve, or rr ask ADDRESS"),
    }
}
