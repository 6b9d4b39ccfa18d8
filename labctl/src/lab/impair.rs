//! Impairments of running wires: from the words of the topology to what nodes are told.

use super::fault::Fault;
use crate::capture::filter::{Filter, Resolve};
use crate::topology::impair::{Drop, Table};
use crate::topology::model::{
    Aqm, Distribution, Duration, Impair, Loss, Octets, Percent, QueueLength, Rate, Spread,
};
use rumpkern::ifs::impairment::{self, DropRule, Impairment, Losses};

/// The same for a node; `seed` decides what happens to which frame, `names` are those that filters may use.
///
/// # Errors
/// A filter of it cannot be used.
pub(crate) fn impairment(impair: &Impair, seed: u64, names: &dyn Resolve) -> Result<Impairment, Fault> {
    let ns =
        |time: Option<Duration>| time.map_or(0, |time| u64::try_from(time.0.as_nanos()).unwrap_or(u64::MAX));
    let octets = |value: Octets| usize::try_from(value.0).unwrap_or(usize::MAX);
    let share = |p: Option<Percent>| p.map_or(0.0, |p| p.0);
    let filter = |text: &str| {
        let parsed = Filter::parse(text, names);
        parsed.map(|filter| filter.compiled(text)).map_err(|error| Fault::Usage(error.to_string()))
    };
    let rule = |drop: &Drop| Ok(DropRule { filter: filter(&drop.filter)?, nth: drop.nth.clone() });
    Ok(Impairment {
        delay_ns: ns(impair.delay),
        jitter_ns: ns(impair.jitter),
        jitter_correlation: share(impair.jitter_correlation),
        distribution: match &impair.distribution {
            None | Some(Spread::By(Distribution::Uniform)) => impairment::Spread::Uniform,
            Some(Spread::By(Distribution::Normal)) => impairment::Spread::Normal,
            Some(Spread::By(Distribution::Pareto)) => impairment::Spread::Pareto,
            Some(Spread::By(Distribution::ParetoNormal)) => impairment::Spread::ParetoNormal,
            Some(Spread::Table(table)) => impairment::Spread::Table(table.values.to_vec()),
        },
        loss: impair.loss.map(|loss| match loss {
            Loss::Random { p } => Losses::Random { p: p.0, correlation: share(impair.loss_correlation) },
            Loss::GilbertElliott { p, r, h, k } => Losses::GilbertElliott { p: p.0, r: r.0, h: h.0, k: k.0 },
        }),
        lose: impair.lose.clone(),
        drop: impair.drop.iter().map(rule).collect::<Result<_, Fault>>()?,
        only: impair.only.as_deref().map(filter).transpose()?,
        mtu: impair.mtu.map(usize::from),
        duplicate: share(impair.duplicate),
        duplicate_correlation: share(impair.duplicate_correlation),
        reorder: share(impair.reorder),
        reorder_correlation: share(impair.reorder_correlation),
        corrupt: share(impair.corrupt),
        corrupt_correlation: share(impair.corrupt_correlation),
        rate: impair.rate.map(|rate| rate.0),
        burst: impair.burst.map_or(0, octets),
        queue: impair.queue.and_then(|queue| match queue {
            QueueLength::Octets(value) => Some(octets(value)),
            QueueLength::Frames(_) => None,
        }),
        queue_frames: impair.queue.and_then(|queue| match queue {
            QueueLength::Octets(_) => None,
            QueueLength::Frames(frames) => Some(frames as usize),
        }),
        aqm: match impair.aqm {
            None | Some(Aqm::Tail) => impairment::Aqm::Tail,
            Some(Aqm::Red) => impairment::Aqm::Red,
            Some(Aqm::Codel) => impairment::Aqm::Codel,
            Some(Aqm::FqCodel) => impairment::Aqm::FqCodel,
        },
        limit: impair.limit.map(|frames| frames as usize),
        seed,
    })
}

/// Each direction of each wire is unlucky in its own way, the same in each run of the lab's seed.
pub(crate) fn wire_seed(lab_seed: u64, bus: &str, node: &str, interface: &str) -> u64 {
    use std::hash::Hasher;
    let mut hasher = siphasher::sip::SipHasher13::new_with_keys(lab_seed, u64::from_be_bytes(*b"impaired"));
    for word in [bus, node, interface] {
        hasher.write(word.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

/// In the words of the topology, as `impair show` prints it.
pub(crate) fn words(one: &Impairment) -> String {
    let time = |ns: u64| (ns > 0).then(|| Duration(std::time::Duration::from_nanos(ns)));
    let share = |p: f64| (p > 0.0).then_some(Percent(p));
    let octets = |n: usize| Octets(n as u64);
    Impair {
        delay: time(one.delay_ns),
        jitter: time(one.jitter_ns),
        jitter_correlation: share(one.jitter_correlation),
        distribution: match &one.distribution {
            impairment::Spread::Uniform => None,
            impairment::Spread::Normal => Some(Spread::By(Distribution::Normal)),
            impairment::Spread::Pareto => Some(Spread::By(Distribution::Pareto)),
            impairment::Spread::ParetoNormal => Some(Spread::By(Distribution::ParetoNormal)),
            // Where it came from the node does not know.
            impairment::Spread::Table(values) => Some(Spread::Table(Table {
                path: format!("({} values)", values.len()),
                values: values.as_slice().into(),
                measured: None,
            })),
        },
        loss_correlation: match one.loss {
            Some(Losses::Random { correlation, .. }) => share(correlation),
            Some(Losses::GilbertElliott { .. }) | None => None,
        },
        lose: one.lose.clone(),
        drop: one
            .drop
            .iter()
            .map(|rule| Drop { filter: rule.filter.text.clone(), nth: rule.nth.clone() })
            .collect(),
        only: one.only.as_ref().map(|only| only.text.clone()),
        mtu: one.mtu.map(|mtu| u16::try_from(mtu).unwrap_or(u16::MAX)),
        duplicate_correlation: share(one.duplicate_correlation),
        reorder_correlation: share(one.reorder_correlation),
        corrupt_correlation: share(one.corrupt_correlation),
        loss: one.loss.map(|loss| match loss {
            Losses::Random { p, .. } => Loss::Random { p: Percent(p) },
            Losses::GilbertElliott { p, r, h, k } => {
                Loss::GilbertElliott { p: Percent(p), r: Percent(r), h: Percent(h), k: Percent(k) }
            }
        }),
        duplicate: share(one.duplicate),
        reorder: share(one.reorder),
        corrupt: share(one.corrupt),
        rate: one.rate.map(Rate),
        burst: (one.burst > 0).then(|| octets(one.burst)),
        queue: match (one.queue, one.queue_frames) {
            (Some(value), _) => Some(QueueLength::Octets(octets(value))),
            (None, frames) => frames.map(|n| QueueLength::Frames(u32::try_from(n).unwrap_or(u32::MAX))),
        },
        aqm: match one.aqm {
            impairment::Aqm::Tail => None,
            impairment::Aqm::Red => Some(Aqm::Red),
            impairment::Aqm::Codel => Some(Aqm::Codel),
            impairment::Aqm::FqCodel => Some(Aqm::FqCodel),
        },
        limit: one.limit.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_are_told_reads_as_it_was_written() {
        let words_of = |text: &str| {
            let impair = Impair::default().with_words(&text.split(' ').collect::<Vec<_>>()).unwrap();
            words(&impairment(&impair, 1, &crate::capture::filter::NoNames).unwrap())
        };
        for text in [
            "delay 20ms jitter 2ms distribution pareto loss 2% rate 50mbit queue 64KiB",
            "duplicate 1% reorder 25% corrupt 0.1% limit 50 delay 1s",
            "rate 1gbit burst 16KiB queue 1MiB aqm fq-codel",
            "rate 1gbit queue 50p aqm red loss gilbert-elliott p 1% r 30% h 10% k 90%",
            "delay 20ms jitter 2ms jitter_correlation 25% loss 2% loss_correlation 50%",
            "lose 17,18 drop tcp.flags.syn nth 2 only udp mtu 1400",
        ] {
            let told = words_of(text);
            let told = told.replace('"', "");
            assert_eq!(words_of(&told).replace('"', ""), told);
            for word in text.split(' ') {
                assert!(told.contains(word), "{word} of {text} in {told}");
            }
        }
    }

    #[test]
    fn each_direction_has_a_seed_of_its_own() {
        let seeds = [
            wire_seed(1, "lan", "h1", "eth0"),
            wire_seed(1, "lan", "h2", "eth0"),
            wire_seed(1, "wan", "h1", "eth0"),
            wire_seed(2, "lan", "h1", "eth0"),
        ];
        let all: std::collections::BTreeSet<u64> = seeds.into();
        assert_eq!(all.len(), seeds.len());
    }
}
