//! Two whole stacks on one link, in one thread, and one copy of each frame between them as a bus would make.

use netstack::net::ifnet::IfConfig;
use netstack::net::{IfIndex, MacAddr};
use netstack::stack::{Stack, StackConfig};
use netstack::{Instant, Mbuf};
use std::time::{Duration, Instant as Clock};

/// A stack, its link, and the time it was busy.
pub(crate) struct Node {
    pub(crate) stack: Stack,
    pub(crate) eth0: IfIndex,
    pub(crate) busy: Duration,
}

impl Node {
    /// The stack of 10.0.0.`host`.
    pub(crate) fn new(host: u8, now: Instant) -> Node {
        let mut stack = Stack::new(StackConfig::default(), [host; 32]);
        let mac = MacAddr([2, 0, 0, 0, 0, host]);
        let eth0 = stack.if_attach(IfConfig { name: "eth0".into(), mac, mtu: 1500 }).expect("a new name");
        stack.if_set_up(now, eth0, true).expect("it is there");
        stack
            .addr_add(now, eth0, format!("10.0.0.{host}/24").parse().expect("an address"))
            .expect("a new address");
        Node { stack, eth0, busy: Duration::ZERO }
    }

    /// Takes a burst of frames off `self` and hands it to `to`, each side on its clock.
    pub(crate) fn deliver(&mut self, to: &mut Node, now: Instant, burst: &mut Vec<Mbuf>) -> usize {
        let t = Clock::now();
        while burst.len() < 64 {
            let Some(frame) = self.stack.poll_transmit(now, self.eth0) else { break };
            burst.push(frame);
        }
        let sent = Clock::now();
        self.busy += sent - t;
        let n = burst.len();
        for frame in burst.drain(..) {
            let mut m = to.stack.rx_mbuf();
            m.extend(frame.data());
            self.stack.recycle(frame);
            to.stack.input(now, to.eth0, m);
        }
        to.busy += sent.elapsed();
        n
    }
}

/// Time that this thread was on a CPU, as the kernel counts it: what others do on the machine does not show.
#[allow(dead_code)] // one benchmark asks for it
pub(crate) fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0))
}
