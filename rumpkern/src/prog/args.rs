//! Arguments of the built-in programs: short options as the tools of the same name have them.

use lexopt::{Arg, Parser, ValueExt};
use netstack::socket::Family;
use netstack::time::Duration;
use std::str::FromStr;

/// Why a command line was not understood; shown before the program's usage line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Usage {
        Usage(error.to_string())
    }
}

/// A command line being taken apart.
pub(super) struct Args(Parser);

/// The next piece of a command line.
pub(super) enum Piece {
    /// An option: `-c` is `"c"`, `--dir` is `"dir"`.
    Option(String),
    /// Anything else.
    Operand(String),
}

impl Args {
    /// The arguments after the program's name.
    pub(super) fn new(args: &[String]) -> Args {
        Args(Parser::from_args(args))
    }

    /// The next option or operand.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Usage> {
        Ok(match self.0.next()? {
            None => None,
            Some(Arg::Short(short)) => Some(Piece::Option(short.to_string())),
            Some(Arg::Long(long)) => Some(Piece::Option(long.to_owned())),
            Some(Arg::Value(value)) => Some(Piece::Operand(value.string()?)),
        })
    }

    /// The value of the option just seen, as it stands.
    pub(super) fn value(&mut self) -> Result<String, Usage> {
        Ok(self.0.value()?.string()?)
    }

    /// The value of the option just seen: a number of `least` to `most`.
    pub(super) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &mut self,
        least: T,
        most: T,
    ) -> Result<T, Usage> {
        number(&self.value()?, least, most)
    }

    /// The value of the option just seen: octets, with `k`, `M`, `G` for powers of 1024.
    pub(super) fn octets(&mut self, least: u64, most: u64) -> Result<u64, Usage> {
        let text = self.value()?;
        let (digits, shift) = match text.char_indices().next_back() {
            Some((end, 'k' | 'K')) => (&text[..end], 10),
            Some((end, 'M')) => (&text[..end], 20),
            Some((end, 'G')) => (&text[..end], 30),
            Some(_) | None => (text.as_str(), 0),
        };
        let octets = number(digits, 0, u64::MAX >> shift)? << shift;
        if octets < least || octets > most {
            return Err(Usage(format!("{text}: not from {least} to {most}")));
        }
        Ok(octets)
    }

    /// The value of the option just seen: seconds, perhaps with a fraction.
    pub(super) fn seconds(&mut self) -> Result<Duration, Usage> {
        let text = self.value()?;
        match text.parse::<f64>() {
            // A thousand million seconds are 31 years: far beyond use, far below overflow.
            Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
            Ok(_) | Err(_) => Err(Usage(format!("{text}: not a number of seconds"))),
        }
    }
}

/// Takes `-4` and `-6` out of the arguments: every program has them. The last one holds.
pub(super) fn family(args: &[String]) -> (Option<Family>, Vec<String>) {
    let of = |arg: &String| match arg.as_str() {
        "-4" => Some(Family::Inet),
        "-6" => Some(Family::Inet6),
        _ => None,
    };
    let rest = args.iter().filter(|arg| of(arg).is_none()).cloned();
    (args.iter().filter_map(of).next_back(), rest.collect())
}

/// `text` as a number of `least` to `most`.
pub(super) fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, Usage> {
    match text.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        Ok(_) | Err(_) => Err(Usage(format!("{text}: not a number from {least} to {most}"))),
    }
}

/// Operands of a fixed number, by name: what is missing or too many is said so.
pub(super) fn operands<const N: usize>(given: Vec<String>, names: [&str; N]) -> Result<[String; N], Usage> {
    let n = given.len();
    <[String; N]>::try_from(given).map_err(|given| match names.get(n) {
        Some(missing) => Usage(format!("{missing} is missing")),
        None => Usage(format!("unexpected argument '{}'", given[N])),
    })
}

/// For options that a program does not have.
pub(super) fn unknown(option: &str) -> Usage {
    let dashes = if option.chars().count() == 1 { "-" } else { "--" };
    Usage(format!("unknown option {dashes}{option}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(text: &str) -> Args {
        Args::new(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    /// Reads past one option.
    fn past(text: &str) -> Args {
        let mut args = args(text);
        assert!(matches!(args.next(), Ok(Some(Piece::Option(_)))));
        args
    }

    #[test]
    fn values_have_bounds() {
        assert_eq!(past("-c 5").number(1u32, 9), Ok(5));
        assert_eq!(past("-c5").number(1u32, 9), Ok(5));
        assert!(past("-c 10").number(1u32, 9).is_err());
        assert!(past("-c -1").number(1u32, 9).is_err());
        assert!(past("-c").number(1u32, 9).is_err());
        assert_eq!(past("-n 3k").octets(1, u64::MAX), Ok(3072));
        assert_eq!(past("-n 2G").octets(1, u64::MAX), Ok(2 << 30));
        assert!(past("-n 99999999999G").octets(1, u64::MAX).is_err());
        assert!(past("-n é").octets(1, 9).is_err());
        assert_eq!(past("-i 0.2").seconds(), Ok(Duration::from_millis(200)));
        for bad in ["-i -1", "-i inf", "-i nan", "-i 1e99", "-i x"] {
            assert!(past(bad).seconds().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_program_has_its_families() {
        let given = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let family = |text: &str| family(&given(text));
        assert_eq!(family("-c 1 h2"), (None, given("-c 1 h2")));
        assert_eq!(family("-4 -c 1 h2"), (Some(Family::Inet), given("-c 1 h2")));
        assert_eq!(family("-4 h2 -6"), (Some(Family::Inet6), given("h2")));
    }

    #[test]
    fn operands_are_counted() {
        let given = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(operands(given("a b"), ["A", "B"]), Ok(["a".to_owned(), "b".to_owned()]));
        assert_eq!(operands(given("a"), ["A", "B"]), Err(Usage("B is missing".into())));
        assert_eq!(operands(given("a b c"), ["A", "B"]), Err(Usage("unexpected argument 'c'".into())));
    }

    proptest! {
        #[test]
        fn any_command_line_ends(words in proptest::collection::vec(".{0,12}", 0..8)) {
            let mut args = Args::new(&words);
            let mut pieces = 0;
            while let Ok(Some(piece)) = args.next() {
                if let Piece::Option(_) = piece && pieces % 2 == 0 {
                    let _ = args.octets(0, u64::MAX);
                }
                pieces += 1;
            }
        }
    }
}
