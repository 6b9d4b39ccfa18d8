//! Checks of what was seen on the buses.

use super::{Attempt, wanted};
use crate::lab::test::tally::{Seen, Sighting, Step};
use crate::topology::model::Bound;

/// Whether what was seen on the wires is what was wanted. Frames that went by unseen leave it open, unless more frames
/// would change nothing.
pub(super) fn verdict(seen: &Seen, bound: &Bound) -> Attempt {
    let (attempt, settled) = match (&seen.order[..], &seen.wrong) {
        ([], Some((n, first))) => {
            let others = if *n > 1 { format!(", and {} more", n - 1) } else { String::new() };
            (Attempt::Fails(format!("not so of {first}{others}")), true)
        }
        ([], None) => counted(seen, bound),
        (steps, _) => ordered(steps),
    };
    match seen.missed.first() {
        Some((bus, _)) if !settled => {
            let records: u64 = seen.missed.iter().map(|(_, records)| records).sum();
            let others = if seen.missed.len() > 1 { ", …" } else { "" };
            let (Attempt::Holds(said)
            | Attempt::Fails(said)
            | Attempt::Unfinished(said)
            | Attempt::Broken(said)) = attempt;
            let gone = frames(records);
            Attempt::Broken(format!(
                "{said}, but {gone} went by unseen on `{bus}`{others}: give it more `history`"
            ))
        }
        _ => attempt,
    }
}

/// By their number; and whether more of them would change nothing.
fn counted(seen: &Seen, bound: &Bound) -> (Attempt, bool) {
    let n = seen.frames;
    if bound.holds(n) {
        return (Attempt::Holds(frames(n)), bound.max.is_none() && !seen.judges);
    }
    let first = seen.first.as_ref().map_or(String::new(), |first| format!("; the first {first}"));
    (Attempt::Fails(format!("{}, wanted {}{first}", frames(n), wanted(bound.min, bound.max))), n >= bound.min)
}

/// By their order; one that is found stays so.
fn ordered(steps: &[Step]) -> (Attempt, bool) {
    let told = |step: &Step| step.at.as_ref().map(|at| format!("`{}` {at}", step.filter));
    let found: Vec<_> = steps.iter().map_while(told).collect();
    match steps.get(found.len()) {
        None => (Attempt::Holds(found.join(", ")), true),
        Some(missing) if found.is_empty() => (Attempt::Fails(format!("no `{}`", missing.filter)), false),
        Some(missing) => {
            let after = found.join(", ");
            (Attempt::Fails(format!("{after}, and then no `{}`", missing.filter)), false)
        }
    }
}

fn frames(n: u64) -> String {
    if n == 1 { "1 frame".into() } else { format!("{n} frames") }
}

impl std::fmt::Display for Sighting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {:.6} s on `{}`", self.at.as_secs_f64(), self.bus)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frames_that_nobody_saw_decide_nothing() {
        let decide = |frames, missed: &[(&str, u64)], min, max| {
            let missed = missed.iter().map(|(bus, records)| ((*bus).to_owned(), *records)).collect();
            verdict(&Seen { frames, missed, ..Seen::default() }, &Bound { min, max })
        };
        let holds = |frames: &str| Attempt::Holds(frames.into());
        assert_eq!(decide(2, &[], 2, None), holds("2 frames"));
        assert_eq!(decide(0, &[], 0, Some(0)), holds("0 frames"));
        assert_eq!(decide(1, &[], 2, None), Attempt::Fails("1 frame, wanted at least 2".into()));
        // There may have been more.
        for (frames, min, max) in [(1, 2, None), (0, 0, Some(0)), (2, 1, Some(3))] {
            let Attempt::Broken(text) = decide(frames, &[("lan", 7)], min, max) else { panic!("{frames}") };
            assert!(text.contains("7 frames went by unseen on `lan`: give"), "{text}");
        }
        // More would not change it.
        assert_eq!(decide(2, &[("lan", 7)], 2, None), holds("2 frames"));
        assert_eq!(decide(4, &[("lan", 7)], 0, Some(3)), Attempt::Fails("4 frames, wanted at most 3".into()));
    }

    fn sighting(ms: u64) -> Sighting {
        Sighting { at: Duration::from_millis(ms), bus: "lan".into(), text: "h1 > h2".into() }
    }

    #[test]
    fn a_number_that_is_wrong_is_told_with_its_first_frame() {
        let seen = Seen { frames: 2, first: Some(sighting(1500)), ..Seen::default() };
        let text = "2 frames, wanted 0; the first at 1.500000 s on `lan`: h1 > h2";
        assert_eq!(verdict(&seen, &Bound::NONE), Attempt::Fails(text.into()));
    }

    #[test]
    fn one_frame_that_is_not_so_decides() {
        let seen = Seen { frames: 9, wrong: Some((2, sighting(20))), judges: true, ..Seen::default() };
        let bound = Bound { min: 1, max: None };
        let text = "not so of at 0.020000 s on `lan`: h1 > h2, and 1 more";
        assert_eq!(verdict(&seen, &bound), Attempt::Fails(text.into()));
        // Frames that nobody saw may not have been so.
        let seen = Seen { frames: 9, judges: true, missed: vec![("lan".into(), 3)], ..Seen::default() };
        assert!(matches!(verdict(&seen, &bound), Attempt::Broken(_)));
    }

    #[test]
    fn an_order_is_told_up_to_where_it_broke() {
        let step = |filter: &str, at: Option<u64>| Step {
            filter: filter.into(),
            at: at.map(|ms| Sighting { text: String::new(), ..sighting(ms) }),
        };
        let decide = |steps: Vec<Step>, missed: &[(&str, u64)]| {
            let missed = missed.iter().map(|(bus, n)| ((*bus).to_owned(), *n)).collect();
            verdict(&Seen { order: steps, missed, ..Seen::default() }, &Bound { min: 1, max: None })
        };
        let both = "`arp` at 0.001000 s on `lan`, `icmp` at 0.002000 s on `lan`";
        let whole = || vec![step("arp", Some(1)), step("icmp", Some(2))];
        assert_eq!(decide(whole(), &[]), Attempt::Holds(both.into()));
        assert_eq!(decide(whole(), &[("lan", 1)]), Attempt::Holds(both.into()));
        let broken = || vec![step("arp", Some(1)), step("icmp", None)];
        let text = "`arp` at 0.001000 s on `lan`, and then no `icmp`";
        assert_eq!(decide(broken(), &[]), Attempt::Fails(text.into()));
        assert!(matches!(decide(broken(), &[("lan", 1)]), Attempt::Broken(_)));
        assert_eq!(
            decide(vec![step("arp", None), step("icmp", None)], &[]),
            Attempt::Fails("no `arp`".into())
        );
    }
}
