//! Names, patterns, and the words that point at something: `r1`, `leaf*`, `r1:eth0`, `10.0.0.1`.
//!
//! Names become file names and socket names, so they are `[a-z0-9][a-z0-9_.-]*` and short.

use super::diag::{Code, Diag};
use super::read::{Cx, Sp};

/// Longest name of a lab, in octets: run directory + lab + node + suffix must fit in a socket's 108.
pub const LAB_NAME_MAX: usize = 32;
/// Longest name of a node, a bus or a program, in octets.
pub const NAME_MAX: usize = 40;
/// Longest name of an interface, in octets: IFNAMSIZ less its NUL.
pub const IF_NAME_MAX: usize = 15;

/// Whether the text can be a name of at most `max` octets.
pub fn is_name(text: &str, max: usize) -> bool {
    let lower = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= max
        && lower(text.as_bytes()[0])
        && text.bytes().all(|c| lower(c) || matches!(c, b'_' | b'.' | b'-'))
}

/// Notes a fault if the text cannot be a name; says what it could be.
pub(super) fn check_name(name: &Sp<String>, what: &str, max: usize, cx: &mut Cx) -> bool {
    if is_name(name, max) {
        return true;
    }
    let message = if name.len() > max {
        format!("the name \"{}\" of {what} is longer than {max} octets", name.value)
    } else {
        format!("\"{}\" cannot be the name of {what}", name.value)
    };
    let mut fit: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' })
        .collect();
    fit = fit.trim_start_matches(['_', '.', '-']).chars().take(max).collect();
    let rule = "names are a-z, 0-9, \"_\", \".\" and \"-\", and begin with a letter or a digit";
    let hint = if is_name(&fit, max) { format!("{rule}: \"{fit}\"") } else { rule.to_owned() };
    cx.push(Diag::new(Code::BadName, name.span.clone(), message).hint(hint));
    false
}

/// Whether the name fits the pattern, in which `*` stands for any text.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// Whether the text is a pattern rather than a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn star_stands_for_any_text() {
        for (pattern, name) in
            [("*", ""), ("leaf*", "leaf12"), ("h*-1", "h7-1"), ("a*b*c", "abbc"), ("r1", "r1")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("leaf*", "lea"), ("h*-1", "h-12"), ("r1", "r12"), ("a*a", "a"), ("*b*b", "b")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_with_any_part_starred(a in "[a-z]{0,4}", b in "[a-z]{0,4}", c in "[a-z]{0,4}") {
            let (pattern, name) = (format!("{a}*{c}"), format!("{a}{b}{c}"));
            prop_assert!(matches(&pattern, &name));
        }
    }
}
