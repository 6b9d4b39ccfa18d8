//! Time, randomness and names.

use super::block::Asleep;
use super::{Errno, Sys};
use crate::kernel::Kernel;
use netstack::time::{Duration, Instant};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::task::Poll;

impl Kernel {
    /// See [`Sys::sleep_until`]; for lwps of the kernel.
    pub(crate) async fn sleep_until(&self, at: Instant) {
        let mut asleep = Asleep::new(self);
        let mut first = true;
        poll_fn(|cx| {
            asleep.wake();
            if at <= self.clock() && !first {
                return Poll::Ready(());
            }
            first = false;
            asleep.until(at, cx);
            Poll::Pending
        })
        .await;
    }

    /// Uses up one call of the lwp's turn ([`crate::proc::lwp::Quantum`]).
    pub(crate) async fn turn(&self) {
        poll_fn(|cx| self.quantum.poll_use(cx)).await;
    }
}

impl Sys {
    /// The time, counted from the lab's epoch (CLOCK_MONOTONIC). Reads the clock.
    pub fn now(&self) -> Instant {
        self.kernel.clock()
    }

    /// Nanoseconds since 1970 (CLOCK_REALTIME).
    pub fn unix_ns(&self) -> u64 {
        let epoch = self.kernel.user.borrow().epoch_unix_ns();
        epoch.saturating_add(self.kernel.clock().as_nanos())
    }

    /// Fills `octets` with random ones.
    pub fn random(&self, octets: &mut [u8]) {
        self.kernel.user.borrow_mut().random(octets);
    }

    /// Sleeps for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Sleeps until `at`; if that is past, lets the others have their turn.
    pub async fn sleep_until(&self, at: Instant) {
        self.kernel.sleep_until(at).await;
    }

    /// The addresses of `name`: an address in text, or a name of the lab; those to which there is no way are the last (RFC 6724
    /// §6, rule 1). ENOENT: there is no such name.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Errno> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.kernel.hosts().iter().find(|host| host.name.eq_ignore_ascii_case(name));
        let mut addresses = match known {
            Some(host) => host.addresses.clone(),
            None if name.eq_ignore_ascii_case("localhost") => {
                vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
            }
            None => return Err(Errno::ENOENT),
        };
        let stack = self.kernel.stack.borrow();
        addresses.sort_by_key(|address| stack.way(*address, None).is_err());
        Ok(addresses)
    }

    /// The name of an address, as the lab's hosts have it.
    pub fn resolve_back(&self, address: IpAddr) -> Option<String> {
        let hosts = self.kernel.hosts();
        hosts.iter().find(|host| host.addresses.contains(&address)).map(|host| host.name.clone())
    }

    /// The index of an interface.
    pub fn if_nametoindex(&self, name: &str) -> Option<u32> {
        self.kernel.stack.borrow().if_by_name(name).map(|ifindex| ifindex.0)
    }

    /// The node's name.
    pub fn gethostname(&self) -> &str {
        self.kernel.node()
    }
}
