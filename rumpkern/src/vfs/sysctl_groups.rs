//! Of `/proc/sys/net`: IGMP and MLD.

use super::sysctl::Live;
use netstack::Stack;
use netstack::net::multicast::Version;
use netstack::socket::Family;
use netstack::stack::GroupConfig;
use netstack::time::Duration;

/// Changes the habits of a family's groups; `None`: they cannot be so.
fn change(
    stack: &mut Stack,
    family: Family,
    change: impl FnOnce(&mut GroupConfig) -> Option<()>,
) -> Option<()> {
    let mut config = of(stack, family).clone();
    change(&mut config)?;
    stack.set_group_config(family, config);
    Some(())
}

fn of(stack: &Stack, family: Family) -> &GroupConfig {
    match family {
        Family::Inet => &stack.config().igmp,
        Family::Inet6 => &stack.config().mld,
    }
}

/// A number of something, not negative.
fn number(n: i64) -> Option<usize> {
    usize::try_from(n).ok().filter(|n| *n <= i32::MAX as usize)
}

/// The robustness variable: 1 to 7.
fn robustness(n: i64) -> Option<u8> {
    u8::try_from(n).ok().filter(|n| (1..=7).contains(n))
}

fn interval(n: i64) -> Option<Duration> {
    u64::try_from(n).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// The value that forces IGMP's version; MLD's are one less.
fn forced(config: &GroupConfig) -> i64 {
    match config.force {
        None => 0,
        Some(Version::V1) => 1,
        Some(Version::V2) => 2,
        Some(Version::V3) => 3,
    }
}

fn force(n: i64) -> Option<Option<Version>> {
    match n {
        0 => Some(None),
        1 => Some(Some(Version::V1)),
        2 => Some(Some(Version::V2)),
        3 => Some(Some(Version::V3)),
        _ => None,
    }
}

/// Of the whole node.
pub(super) const LIVE: &[Live] = &[
    Live {
        name: "ipv4/igmp_max_memberships",
        get: |stack| stack.config().igmp.memberships.to_string(),
        set: Some(|stack, n| change(stack, Family::Inet, |c| number(n).map(|n| c.memberships = n))),
    },
    Live {
        name: "ipv4/igmp_max_msf",
        get: |stack| stack.config().igmp.sources.to_string(),
        set: Some(|stack, n| change(stack, Family::Inet, |c| number(n).map(|n| c.sources = n))),
    },
    Live {
        name: "ipv4/igmp_qrv",
        get: |stack| stack.config().igmp.robustness.to_string(),
        set: Some(|stack, n| change(stack, Family::Inet, |c| robustness(n).map(|n| c.robustness = n))),
    },
    Live {
        name: "ipv6/mld_max_msf",
        get: |stack| stack.config().mld.sources.to_string(),
        set: Some(|stack, n| change(stack, Family::Inet6, |c| number(n).map(|n| c.sources = n))),
    },
    Live {
        name: "ipv6/mld_qrv",
        get: |stack| stack.config().mld.robustness.to_string(),
        set: Some(|stack, n| change(stack, Family::Inet6, |c| robustness(n).map(|n| c.robustness = n))),
    },
];

/// Of `ipv4/conf/all`, for all interfaces alike.
pub(super) const FORCE_IGMP: Live = Live {
    name: "force_igmp_version",
    get: |stack| forced(of(stack, Family::Inet)).to_string(),
    set: Some(|stack, n| change(stack, Family::Inet, |c| force(n).map(|version| c.force = version))),
};
pub(super) const IGMP_OLD: Live = Live {
    name: "igmpv2_unsolicited_report_interval",
    get: |stack| stack.config().igmp.unsolicited_old.as_millis().to_string(),
    set: Some(|stack, n| change(stack, Family::Inet, |c| interval(n).map(|t| c.unsolicited_old = t))),
};
pub(super) const IGMP_NEW: Live = Live {
    name: "igmpv3_unsolicited_report_interval",
    get: |stack| stack.config().igmp.unsolicited_new.as_millis().to_string(),
    set: Some(|stack, n| change(stack, Family::Inet, |c| interval(n).map(|t| c.unsolicited_new = t))),
};

/// Of `ipv6/conf/all`, likewise.
pub(super) const CONF6: &[Live] = &[
    Live {
        name: "force_mld_version",
        get: |stack| (forced(of(stack, Family::Inet6)) - 1).max(0).to_string(),
        set: Some(|stack, n| {
            let n = if n == 0 { 0 } else { n.checked_add(1).filter(|n| *n > 1)? };
            change(stack, Family::Inet6, |c| force(n).map(|version| c.force = version))
        }),
    },
    Live {
        name: "mldv1_unsolicited_report_interval",
        get: |stack| stack.config().mld.unsolicited_old.as_millis().to_string(),
        set: Some(|stack, n| change(stack, Family::Inet6, |c| interval(n).map(|t| c.unsolicited_old = t))),
    },
    Live {
        name: "mldv2_unsolicited_report_interval",
        get: |stack| stack.config().mld.unsolicited_new.as_millis().to_string(),
        set: Some(|stack, n| change(stack, Family::Inet6, |c| interval(n).map(|t| c.unsolicited_new = t))),
    },
];
