//! Numbers on the command line, with their bounds: what a program on a node would refuse is refused before it is asked.

/// The most seconds that any option takes: 31 years, far beyond use.
const MOST_SECONDS: f64 = 1e9;

/// Octets of the largest UDP or ICMP payload over IPv4.
pub(super) const MOST_PAYLOAD: u16 = 65_507;

/// Seconds, perhaps with a fraction.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    between(text, 0.0, MOST_SECONDS, "seconds")
}

/// Seconds between two looks.
pub(super) fn interval(text: &str) -> Result<f64, String> {
    between(text, 0.1, MOST_SECONDS, "seconds")
}

/// So many a second.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    between(text, 0.001, 1e9, "a rate")
}

fn between(text: &str, least: f64, most: f64, what: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        // NaN is in no range.
        Ok(_) | Err(_) => Err(format!("{what}: a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!((seconds("0"), seconds("0.2")), (Ok(0.0), Ok(0.2)));
        for bad in ["nan", "inf", "-1", "1e10", "", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(rate("0").is_err() && rate("100").is_ok());
    }
}
