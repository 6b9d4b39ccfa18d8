//! Impairments by name. Figures are typical ones, one way; what is not the same in both directions has a name for each:
//! `impair = "adsl-down"` on the provider's port, `impair = "adsl-up"` on the customer's.

/// The presets: name, what it is, and its keys in the words of `impair set`.
///
/// Rates and delays of access lines: ITU-T G.992.5 and G.993.2, DOCSIS 3.0, and what speed tests of such lines show; queues: the
/// tens to hundreds of milliseconds that Gettys and Nichols 2011 ("Bufferbloat") found in them. Mobile networks: what 3GPP's
/// classes make of ordinary cells; from the subscriber there is less, and each burst waits for a grant. Satellites: height over the
/// speed of light, and processing. Data centres: a hop through two switches.
pub const PRESETS: &[(&str, &str, &str)] = &[
    ("fiber", "fibre to the home", "delay 2ms rate 1gbit queue 1MiB"),
    ("adsl", "ADSL2+, to the customer", "delay 15ms jitter 1ms rate 16mbit queue 128kB"),
    ("adsl-down", "ADSL2+, to the customer", "delay 15ms jitter 1ms rate 16mbit queue 128kB"),
    ("adsl-up", "ADSL2+, from the customer", "delay 15ms jitter 1ms rate 1mbit queue 32kB"),
    ("cable", "DOCSIS, to the customer", "delay 8ms jitter 1ms rate 100mbit queue 512kB"),
    ("cable-down", "DOCSIS, to the customer", "delay 8ms jitter 1ms rate 100mbit queue 512kB"),
    ("cable-up", "DOCSIS, from the customer", "delay 8ms jitter 3ms rate 10mbit queue 128kB"),
    ("dsl", "VDSL", "delay 12ms jitter 1ms rate 20mbit queue 128kB"),
    ("wifi", "a busy 802.11 cell", "delay 3ms jitter 2ms loss 0.5% rate 80mbit queue 256kB"),
    ("mobile-5g", "5G, good cell", "delay 8ms jitter 2ms loss 0.05% rate 200mbit queue 1MiB"),
    ("mobile-5g-up", "5G, from the subscriber", "delay 10ms jitter 3ms loss 0.05% rate 50mbit queue 512kB"),
    ("mobile-4g", "LTE, ordinary cell", "delay 25ms jitter 5ms loss 0.1% rate 30mbit queue 512kB"),
    ("mobile-4g-up", "LTE, from the subscriber", "delay 30ms jitter 8ms loss 0.1% rate 10mbit queue 256kB"),
    ("mobile-3g", "HSPA", "delay 60ms jitter 15ms loss 0.5% rate 4mbit queue 256kB"),
    (
        "mobile-3g-up",
        "HSPA, from the subscriber",
        "delay 70ms jitter 20ms loss 0.5% rate 1500kbit queue 128kB",
    ),
    ("mobile-2g", "EDGE", "delay 200ms jitter 50ms loss 1% rate 200kbit queue 64kB"),
    ("satellite-leo", "low orbit", "delay 20ms jitter 6ms loss 0.3% rate 100mbit queue 1MiB"),
    (
        "satellite-leo-up",
        "low orbit, from the subscriber",
        "delay 25ms jitter 8ms loss 0.5% rate 15mbit queue 512kB",
    ),
    ("satellite-geo", "geostationary orbit", "delay 280ms jitter 5ms loss 0.2% rate 20mbit queue 1MiB"),
    (
        "satellite-geo-up",
        "geostationary orbit, from the subscriber",
        "delay 290ms jitter 15ms loss 0.2% rate 3mbit queue 256kB",
    ),
    ("transatlantic", "a sea cable between continents", "delay 40ms jitter 500us"),
    ("dc", "between racks of a data centre", "delay 25us jitter 5us rate 10gbit queue 1MiB"),
    ("lossy", "a bad line", "loss 5%"),
];
