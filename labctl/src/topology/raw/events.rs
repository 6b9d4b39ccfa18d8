//! What happens while a lab runs, and what may happen.

use super::super::read::{Int, OneOrMany, Quantified, Sp, table};
use super::super::units::{Duration, Percent};
use super::checks::{Counter, Drops, Neigh, RouteCheck, Wire};

table! {
    /// Something that happens at a time, or once something holds.
    Event {
        /// When, after the lab is ready; with `when`, the earliest time.
        at: Option<Sp<Quantified<Duration>>>,
        /// What must hold: it happens at the first moment at which it does.
        when: Option<Sp<When>>,
        /// It happens so often (default 1) ...
        times: Option<Sp<Int<1, 1_000_000>>>,
        /// ... and again after this time.
        every: Option<Sp<Quantified<Duration>>>,
        /// The words after `labctl`: `link down r1:wan1`.
        r#do: Sp<OneOrMany<String>>,
    }
}

table! {
    /// Something that may happen while the lab runs: `test --virtual --explore` draws whether and when.
    Fault {
        /// The words after `labctl`, as of an event: `link flap r1:wan1 2s`.
        r#do: Sp<OneOrMany<String>>,
        /// Not before this time (default 0s).
        after: Option<Sp<Quantified<Duration>>>,
        /// Before this time.
        before: Sp<Quantified<Duration>>,
        /// It happens at most so often (default 1).
        times: Option<Sp<Int<1, 1000>>>,
        /// How likely each of these times is (default 50%).
        chance: Option<Sp<Quantified<Percent>>>,
    }
}

table! {
    /// What an event waits for: exactly one kind, as in a check.
    When {
        /// A node has a route.
        route: Option<Sp<RouteCheck>>,
        /// A node knows a neighbour.
        neigh: Option<Sp<Neigh>>,
        /// A counter of a node or a bus.
        counter: Option<Sp<Counter>>,
        /// Packets that nodes threw away.
        drops: Option<Sp<Drops>>,
        /// Frames on the wire.
        wire: Option<Sp<Wire>>,
    }
}
