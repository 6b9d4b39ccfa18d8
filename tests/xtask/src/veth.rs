//! The yardstick: Linux's own stack between two network namespaces joined by a veth pair. Needs root; elsewhere there is none.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Two namespaces, `10.99.0.1` and `10.99.0.2`, gone when dropped.
pub(crate) struct Veth {
    left: String,
    right: String,
}

fn ip(words: &str) -> Result<()> {
    let output =
        Command::new("ip").args(words.split_whitespace()).output().context("ip (Debian package iproute2)")?;
    if !output.status.success() {
        bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

impl Veth {
    pub(crate) fn new() -> Result<Veth> {
        let id = std::process::id();
        let veth = Veth { left: format!("lab{id}l"), right: format!("lab{id}r") };
        let (l, r) = (&veth.left, &veth.right);
        ip(&format!("netns add {l}"))?;
        ip(&format!("netns add {r}"))?;
        ip(&format!("link add v0 netns {l} type veth peer name v0 netns {r}"))?;
        for (ns, address) in [(l, "10.99.0.1/24"), (r, "10.99.0.2/24")] {
            ip(&format!("-n {ns} addr add {address} dev v0"))?;
            ip(&format!("-n {ns} link set v0 up"))?;
        }
        Ok(veth)
    }

    fn inside(namespace: &str, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).args(words.split_whitespace());
        command
    }

    /// iperf3 from left to right; its own JSON report.
    pub(crate) fn iperf3(&self, words: &str) -> Result<Value> {
        let mut said = Value::Null;
        // A client that comes before its server listens has used up that server.
        for patience in 1..=5 {
            let mut server: Child = Veth::inside(&self.right, "iperf3 -s -1")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .context("iperf3 (Debian package iperf3)")?;
            std::thread::sleep(std::time::Duration::from_millis(100 * patience));
            let output = Veth::inside(&self.left, &format!("iperf3 -c 10.99.0.2 -J {words}")).output();
            let _ = server.kill();
            let _ = server.wait();
            said = serde_json::from_slice(&output?.stdout)?;
            if said["end"]["sum"].is_object() || said["end"]["sum_received"].is_object() {
                return Ok(said);
            }
        }
        bail!("iperf3: {said}");
    }

    /// Median round trip of one octet between two ordinary sockets, microseconds.
    pub(crate) fn tcp_rtt_us(&self) -> Result<f64> {
        let xtask = std::env::current_exe()?.display().to_string();
        let mut server: Child = Veth::inside(&self.right, &format!("{xtask} rr serve"))
            .stdout(Stdio::piped())
            .spawn()
            .context("ip (Debian package iproute2)")?;
        let mut ready = String::new();
        BufReader::new(server.stdout.take().context("its output")?).read_line(&mut ready)?;
        let output = Veth::inside(&self.left, &format!("{xtask} rr ask 10.99.0.2")).output();
        let _ = server.kill();
        let _ = server.wait();
        let said = String::from_utf8_lossy(&output?.stdout).into_owned();
        said.trim().parse().with_context(|| format!("not a time: {said:?}"))
    }

    /// Lets what leaves the left end go through this queueing discipline, in tc's words; the one before is gone.
    pub(crate) fn shape(&self, words: &str) -> Result<()> {
        let tc =
            |words: &str| Command::new("tc").args(["-n", &self.left]).args(words.split_whitespace()).output();
        // There may be none.
        tc("qdisc del dev v0 root").context("tc (Debian package iproute2)")?;
        let output = tc(&format!("qdisc add dev v0 root {words}"))?;
        if !output.status.success() {
            bail!("tc: {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// What ping says, from left to right.
    pub(crate) fn ping(&self, words: &str) -> Result<String> {
        let output = Veth::inside(&self.left, &format!("ping {words} 10.99.0.2")).output().context("ping")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Median-like round trip of flooding ping, microseconds (its average: iputils prints no median).
    pub(crate) fn ping_rtt_us(&self) -> Result<f64> {
        let output = Veth::inside(&self.left, "ping -q -f -c 2000 10.99.0.2").output().context("ping")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let average =
            text.lines().find_map(|l| l.split(" = ").nth(1)?.split('/').nth(1)).context("ping's summary")?;
        Ok(average.parse::<f64>()? * 1000.0)
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.left));
        let _ = ip(&format!("netns del {}", self.right));
    }
}
