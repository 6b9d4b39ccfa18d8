//! Measurements of unmodified programs on nodes, each beside the same programs on the host's own stack in the same run.

use crate::bench::{Figure, figure, topology};
use crate::veth::Veth;
use anyhow::{Context, Result, bail};
use lab_tests::{Place, wait_for};
use serde_json::Value;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(10);
/// The second node of `two-hosts`.
const B: &str = "192.0.2.2";
/// Requests of one `curl` loop.
const PAGES: u32 = 50;
/// Such loops on a node, and as many on the host.
const ROUNDS: usize = 11;

/// A server, ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // `labctl exec` ends its program when it is told to end.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn up(place: &Place) {
    place.ok(&format!("-t {} up", topology("two-hosts")));
}

/// Runs `words` on a node.
fn exec(place: &Place, node: &str, words: &[&str]) -> Command {
    let mut command = place.labctl(["exec", node, "--"]);
    command.args(words).stdin(Stdio::null());
    command
}

/// Starts a server on `b` and waits until it listens on `port`.
fn serve(place: &Place, words: &[&str], port: u16) -> Result<Server> {
    let child = exec(place, "b", words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait_for("a server on a node", START, || {
        let sockets = place.ok("show sockets b");
        sockets
            .lines()
            .any(|line| line.contains("LISTEN") && line.contains(&format!(":{port} ")))
            .then_some(())
    });
    Ok(Server(child))
}

/// Starts a server on the host's loopback and waits until it listens on `port`.
fn serve_here(place: &Place, words: &[&str], port: u16) -> Result<Server> {
    let mut command = place.command(words[0]);
    let child = command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    wait_for("a server on loopback", START, || TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
    Ok(Server(child))
}

fn iperf3(place: &Place, words: &str) -> Result<Value> {
    let server = serve(place, &["iperf3", "-s", "-1"], 5201)?;
    let client = ["iperf3", "-c", B, "-J"].into_iter().chain(words.split_whitespace()).collect::<Vec<_>>();
    let output = exec(place, "a", &client).output()?;
    drop(server);
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Gbit/s that arrived of one TCP stream.
fn received_gbit(report: &Value) -> Result<f64> {
    Ok(report["end"]["sum_received"]["bits_per_second"].as_f64().context("a sum")? / 1e9)
}

/// Datagrams a second that arrived.
fn received_packets(report: &Value) -> Result<f64> {
    let sum = &report["end"]["sum"];
    let number = |key: &str| sum[key].as_f64().with_context(|| format!("sum.{key}"));
    Ok((number("packets")? - number("lost_packets")?) / number("seconds")?)
}

fn best(mut once: impl FnMut() -> Result<f64>) -> Result<f64> {
    (0..3).map(|_| once()).try_fold(0.0, |best: f64, one| Ok(best.max(one?)))
}

pub(crate) fn iperf(place: &Place, veth: Option<&Veth>) -> Result<Vec<Figure>> {
    up(place);
    let tcp = best(|| received_gbit(&iperf3(place, "-t 2")?))?;
    let tcp_veth = veth.and_then(|veth| best(|| received_gbit(&veth.iperf3("-t 2")?)).ok());
    let small = "-u -b 0 -l 64 -t 2";
    let udp = best(|| received_packets(&iperf3(place, small)?))?;
    let udp_veth = veth.and_then(|veth| best(|| received_packets(&veth.iperf3(small)?)).ok());
    Ok(vec![
        figure("iperf3 on nodes, one stream", tcp, "Gbit/s", "ratio 0.7").against(tcp_veth),
        figure("iperf3 -u on nodes, 64 octets, received", udp, "/s", "ratio 0.3").against(udp_veth),
    ])
}

/// The median of how long `command` takes, milliseconds.
fn median_ms(mut command: impl FnMut() -> Command) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..30 {
        let began = Instant::now();
        if !command().status()?.success() {
            bail!("it failed");
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn start(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    up(place);
    let with = median_ms(|| exec(place, "a", &["true"]))?;
    let without = median_ms(|| place.command("true"))?;
    Ok(vec![figure("exec: what it adds to `true`", with - without, "ms", "< 5")])
}

/// Milliseconds of one `curl` in a loop of a shell; the shell's own way to the node is paid once.
fn curl_ms(mut shell: Command, url: &str) -> Result<f64> {
    let script =
        format!("i=0; while [ $i -lt {PAGES} ]; do curl -sS -o /dev/null {url} || exit 1; i=$((i+1)); done");
    let began = Instant::now();
    if !shell.args(["sh", "-c", &script]).status()?.success() {
        bail!("curl {url} failed");
    }
    Ok(began.elapsed().as_secs_f64() * 1e3 / f64::from(PAGES))
}

pub(crate) fn curl(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    up(place);
    let dir = place.path().display().to_string();
    std::fs::write(place.path().join("page.html"), "a small page\n")?;
    let config = place.write(
        "nginx.conf",
        &format!(
            "daemon off; pid {dir}/nginx.pid; error_log stderr; worker_processes 1; events {{}}\n\
             http {{ access_log off; server {{ listen 8088; root {dir}; }} }}"
        ),
    );
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let nginx = ["nginx", "-c", &config.display().to_string(), "-e", "stderr"].map(str::to_owned);
    let nginx: Vec<&str> = nginx.iter().map(String::as_str).collect();
    let servers = (serve(place, &nginx, 8088)?, serve_here(place, &nginx, 8088)?);
    // In turn: how fast a shared host is changes within seconds.
    let (mut node, mut host) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        node.push(curl_ms(exec(place, "a", &[]), &format!("http://{B}:8088/page.html"))?);
        host.push(curl_ms(place.command("env"), "http://127.0.0.1:8088/page.html")?);
    }
    drop(servers);
    let (node, host) = (median(node), median(host));
    Ok(vec![figure("curl of a small page, the whole process", node, "ms", "ratio 1.3").against(Some(host))])
}

/// GETs a second with 50 clients.
fn redis_rate(mut command: Command, host: &str) -> Result<f64> {
    let words = ["-h", host, "-p", "6399", "-t", "get", "-c", "50", "-n", "50000", "--csv"];
    let output = command.args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = text
        .lines()
        .find(|line| line.starts_with("\"GET\""))
        .with_context(|| format!("no GET in {text:?}"))?;
    Ok(row.split(',').nth(1).context("its rate")?.trim_matches('"').parse()?)
}

pub(crate) fn redis(place: &Place, _: Option<&Veth>) -> Result<Vec<Figure>> {
    up(place);
    let words =
        ["redis-server", "--port", "6399", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"];
    let server = serve(place, &words, 6399)?;
    let node = best(|| redis_rate(exec(place, "a", &["redis-benchmark"]), B))?;
    drop(server);
    let server = serve_here(place, &words, 6399)?;
    let host = best(|| redis_rate(place.command("redis-benchmark"), "127.0.0.1"))?;
    drop(server);
    Ok(vec![figure("redis-benchmark GET, 50 clients", node, "/s", "ratio 0.5").against(Some(host))])
}
