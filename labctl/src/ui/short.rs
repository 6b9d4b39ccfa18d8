//! Numbers in at most five characters, three digits of them: `0`, `0.25`, `7.5`, `999`, `12.3k`, `4.00M`.

/// A number that is not negative; thousands as SI has them.
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let mut scaled = value;
    for prefix in ["", "k", "M", "G", "T", "P"] {
        // What is rounded to 1000 is written with the next prefix.
        if scaled < 999.5 {
            return match (prefix, scaled) {
                ("", small) if small < 0.01 => "<0.01".to_owned(),
                ("", whole) if whole.fract() == 0.0 => format!("{whole:.0}"),
                (_, units) if units < 9.995 => format!("{units:.2}{prefix}"),
                (_, tens) if tens < 99.95 => format!("{tens:.1}{prefix}"),
                (_, hundreds) => format!("{hundreds:.0}{prefix}"),
            };
        }
        scaled /= 1000.0;
    }
    ">999P".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_prefix() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.001, "<0.01"),
            (0.25, "0.25"),
            (9.996, "10.0"),
            (99.96, "100"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (1234.0, "1.23k"),
            (999_999.0, "1.00M"),
            (12_345_678.0, "12.3M"),
            (123e9, "123G"),
            (1e30, ">999P"),
        ] {
            assert_eq!(short(value), text, "{value}");
            assert!(text.len() <= 5);
        }
    }
}
