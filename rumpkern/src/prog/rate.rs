//! Amounts and rates as a person reads them (the words of iperf).

use netstack::time::Duration;

/// Octets a second as bits a second; 0 in no time.
pub(super) fn bits_per_second(octets: u64, time: Duration) -> f64 {
    per_second(octets, time) * 8.0
}

/// A count a second; 0 in no time.
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// Three significant digits with a prefix of 1000 or 1024.
fn scaled(value: f64, base: f64) -> String {
    let mut value = value;
    let mut prefixes = ["", "K", "M", "G", "T", "P"].into_iter();
    let mut prefix = prefixes.next().unwrap_or_default();
    for next in prefixes {
        // What would be rounded to 1000 belongs to the next prefix.
        if value < base - 0.5 {
            break;
        }
        (value, prefix) = (value / base, next);
    }
    let digits = match (prefix, value) {
        ("", _) => 0,
        (_, ..9.995) => 2,
        (_, ..99.95) => 1,
        _ => 0,
    };
    format!("{value:.digits$} {prefix}")
}

/// `1.09 GBytes`
pub(super) fn octets(octets: u64) -> String {
    format!("{}Bytes", scaled(octets as f64, 1024.0))
}

/// `9.41 Gbits/sec`
pub(super) fn bits(bits_per_second: f64) -> String {
    format!("{}bits/sec", scaled(bits_per_second, 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_iperf_writes() {
        assert_eq!(
            [0, 999, 1024, 1 << 30, 1_170_378_588].map(octets),
            ["0 Bytes", "999 Bytes", "1.00 KBytes", "1.00 GBytes", "1.09 GBytes"]
        );
        assert_eq!(
            [0.0, 999.4, 999.6, 9.41e9, 94.1e6, 999.7e3, 1e20].map(bits),
            [
                "0 bits/sec",
                "999 bits/sec",
                "1.00 Kbits/sec",
                "9.41 Gbits/sec",
                "94.1 Mbits/sec",
                "1.00 Mbits/sec",
                "100000 Pbits/sec"
            ]
        );
        assert_eq!(bits_per_second(1000, Duration::from_millis(1)), 8e6);
        assert_eq!(bits_per_second(1000, Duration::ZERO), 0.0);
    }
}
