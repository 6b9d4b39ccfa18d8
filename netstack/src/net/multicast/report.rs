//! What routers are told of the groups of an interface: the host's part of RFC 3376 §5 and §7.2
//! (IGMPv3) with RFC 2236 §3, §6 (v2) and RFC 1112 appendix I (v1); RFC 3810 §6, §8.2 and RFC 2710
//! §4 say the same for MLD.
//!
//! A group has one timer at most and a link two more, whatever is heard. Versions that are older
//! than ours are spoken while their queriers are about; that ends by looking at the clock when
//! something happens, not by a timer.
//!
//! Not here: the router's part, and suppression of our reports of the newest version by those of
//! older ones (RFC 3376 §7.2.2 allows it).

use super::GroupInfo;
use super::filter::{Members, SourceFilter};
use super::record::{Changes, Record, RecordKind, current_state};
use crate::net::IfIndex;
use crate::socket::Family;
use crate::stack::config::GroupConfig;
use crate::time::{Duration, Instant};
use crate::timer::{GroupTimer, Timer, TimerKey, Timers};
use crate::wire::ipv6;
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Versions of the protocol, by IGMP's numbers: MLDv1 is IGMPv2 with other octets, MLDv2 is IGMPv3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// Reports of single groups.
    V1,
    /// The same, and leaving.
    V2,
    /// Sources.
    #[default]
    V3,
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// A report of one group, V1 or V2.
    Report(Version, IpAddr),
    /// V2: nobody here is in the group any more.
    Leave(IpAddr),
    /// V3.
    Records(Vec<Record>),
}

/// A query that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// In whose format.
    pub version: Version,
    /// About which group; `None`: all.
    pub group: Option<IpAddr>,
    /// About which of its sources; none: all.
    pub sources: Vec<IpAddr>,
    /// Answers come within this time.
    pub max_response: Duration,
    /// The querier's robustness variable, 1 to 7; V3 only, and `None` if it does not say.
    pub robustness: Option<u8>,
    /// The querier's interval; V3 only.
    pub interval: Option<Duration>,
}

/// What the machine needs of its surroundings.
pub(crate) struct Around<'a> {
    pub(crate) now: Instant,
    pub(crate) ifindex: IfIndex,
    pub(crate) family: Family,
    pub(crate) timers: &'a mut Timers,
    pub(crate) rng: &'a mut Xoshiro256PlusPlus,
    pub(crate) config: &'a GroupConfig,
}

impl Around<'_> {
    /// A moment in (0, `within`] from now.
    fn random(&mut self, within: Duration) -> Instant {
        let nanos = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.now + Duration::from_nanos(self.rng.random_range(1..=nanos))
    }

    fn arm(&mut self, at: Instant, what: GroupTimer) -> (Instant, TimerKey) {
        let timer = Timer::Group { ifindex: self.ifindex, family: self.family, what };
        (at, self.timers.arm(at, timer))
    }

    fn disarm(&mut self, timer: &mut Option<(Instant, TimerKey)>) {
        self.timers.disarm(timer.take().map(|(_, key)| key));
    }
}

/// RFC 3376 §8.2: queries are so far apart if nobody said otherwise.
const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// Answers to IGMPv1's queries come within this time (RFC 1112 appendix I, RFC 2236 §4).
const V1_RESPONSE: Duration = Duration::from_secs(10);
/// Sources of one group that a query may add to what is to be answered; one more, and the answer
/// is about all of them.
const ASKED: usize = 256;
/// Groups left of which routers are told again; of more they are told once.
const DEPARTED: usize = 256;

/// A group that the interface is in.
#[derive(Debug, Default)]
struct Group {
    members: Members,
    changes: Changes,
    /// A report is due: V3's answer to a query, an older version's report.
    timer: Option<(Instant, TimerKey)>,
    /// V3: the sources that queries asked for; none: all.
    asked: BTreeSet<IpAddr>,
    /// Older versions: reports yet to follow that of joining.
    again: u8,
    /// Older versions: nobody has reported it after us.
    reporter: bool,
}

impl Group {
    /// Its timer was due.
    fn due(&mut self, a: &mut Around<'_>, group: IpAddr, version: Version) -> Say {
        if version == Version::V3 {
            return Say::Records(self.answer(group));
        }
        self.reporter = true;
        self.again = self.again.saturating_sub(1);
        if self.again > 0 {
            due_by(a, group, &mut self.timer, a.config.unsolicited_old);
        }
        Say::Report(version, group)
    }

    /// RFC 3376 §5.2: the answer to what was asked.
    fn answer(&mut self, group: IpAddr) -> Vec<Record> {
        let state = self.members.merged();
        let asked = core::mem::take(&mut self.asked);
        if asked.is_empty() {
            return current_state(group, &state).into_iter().collect();
        }
        let wanted: Vec<IpAddr> = asked.into_iter().filter(|source| state.allows(*source)).collect();
        let some = !wanted.is_empty();
        some.then_some(Record { kind: RecordKind::IsInclude, group, sources: wanted }).into_iter().collect()
    }
}

/// The groups of one interface and family.
#[derive(Debug)]
pub(crate) struct Link {
    groups: BTreeMap<IpAddr, Group>,
    /// Groups that were left, of which routers are to be told again.
    departed: BTreeMap<IpAddr, Changes>,
    /// The interface is up; `lo` never is.
    active: bool,
    version: Version,
    /// Until when queriers of V1 and of V2 are taken to be there.
    older: [Option<Instant>; 2],
    robustness: Option<u8>,
    query_interval: Duration,
    /// V3: an answer to a general query is due.
    general: Option<(Instant, TimerKey)>,
    /// V3: changes are to be told again.
    changes: Option<(Instant, TimerKey)>,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            groups: BTreeMap::new(),
            departed: BTreeMap::new(),
            active: false,
            version: Version::default(),
            older: [None; 2],
            robustness: None,
            query_interval: QUERY_INTERVAL,
            general: None,
            changes: None,
        }
    }
}

impl Link {
    pub(crate) fn groups(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.groups.keys().copied()
    }

    pub(crate) fn is_member(&self, group: IpAddr) -> bool {
        self.groups.contains_key(&group)
    }

    pub(crate) fn wants(&self, group: IpAddr, source: IpAddr) -> bool {
        self.groups.get(&group).is_some_and(|g| g.members.allows(source))
    }

    /// Which version is spoken at `now`.
    pub(crate) fn version(&self, now: Instant, config: &GroupConfig) -> Version {
        let about = |until: Option<Instant>| until.is_some_and(|until| now < until);
        match (config.force, self.older) {
            (Some(forced), _) => forced,
            (None, [v1, _]) if about(v1) => Version::V1,
            (None, [_, v2]) if about(v2) => Version::V2,
            (None, _) => Version::V3,
        }
    }

    pub(crate) fn memberships(&self) -> impl Iterator<Item = GroupInfo> + '_ {
        let general = self.general.map(|(at, _)| at);
        self.groups.iter().map(move |(group, g)| GroupInfo {
            group: *group,
            users: g.members.users(),
            report_at: g.timer.map(|(at, _)| at).into_iter().chain(general).min(),
            reporter: g.reporter,
            sources: g.members.sources().collect(),
        })
    }

    // ---- what happens --------------------------------------------------------------------------

    /// A member of `group` comes (`old` is `None`), goes (`new` is `None`) or changes its filter.
    pub(crate) fn update(
        &mut self,
        a: &mut Around<'_>,
        group: IpAddr,
        old: Option<&SourceFilter>,
        new: Option<&SourceFilter>,
    ) -> Vec<Say> {
        self.follow_version(a);
        let departed = self.departed.remove(&group);
        let g = self.groups.entry(group).or_default();
        g.changes = departed.unwrap_or(core::mem::take(&mut g.changes));
        let before = g.members.merged();
        new.into_iter().for_each(|filter| g.members.add(filter));
        old.into_iter().for_each(|filter| g.members.remove(filter));
        let said =
            if self.active && is_reported(group) { self.changed(a, group, &before) } else { Vec::new() };
        self.bury(a, group);
        said
    }

    /// The interface can send: what it is in is news (RFC 3376 §5.1: "changes of interface state").
    pub(crate) fn up(&mut self, a: &mut Around<'_>) -> Vec<Say> {
        self.active = true;
        self.follow_version(a);
        let groups: Vec<IpAddr> = self.groups().filter(|group| is_reported(*group)).collect();
        let mut said = Vec::new();
        let mut records = Vec::new();
        for group in groups {
            for say in self.changed(a, group, &SourceFilter::default()) {
                match say {
                    Say::Records(some) => records.extend(some),
                    Say::Report(..) | Say::Leave(_) => said.push(say),
                }
            }
        }
        said.extend((!records.is_empty()).then_some(Say::Records(records)));
        said
    }

    /// The interface cannot send any more; what routers said there is forgotten.
    pub(crate) fn down(&mut self, a: &mut Around<'_>) {
        self.active = false;
        self.older = [None; 2];
        (self.robustness, self.query_interval) = (None, QUERY_INTERVAL);
        self.cancel(a);
    }

    /// A router asks.
    pub(crate) fn query(&mut self, a: &mut Around<'_>, query: &Query) {
        if !self.active {
            return;
        }
        self.hear_querier(a, query);
        match self.version {
            Version::V3 => self.query_v3(a, query),
            // RFC 2236 §3, of V1 with its own time: each group has its delay.
            Version::V1 | Version::V2 => {
                let within = match self.version {
                    Version::V1 => V1_RESPONSE,
                    Version::V2 | Version::V3 => query.max_response,
                };
                let asked = |group: &IpAddr| query.group.is_none_or(|about| about == *group);
                for (group, g) in &mut self.groups {
                    if asked(group) && is_reported(*group) && !g.members.merged().is_none() {
                        due_by(a, *group, &mut g.timer, within);
                    }
                }
            }
        }
    }

    /// Another host reports a group: RFC 2236 §3, ours is not needed.
    pub(crate) fn heard_report(&mut self, a: &mut Around<'_>, group: IpAddr) {
        self.follow_version(a);
        if self.version == Version::V3 {
            return;
        }
        if let Some(g) = self.groups.get_mut(&group) {
            a.disarm(&mut g.timer);
            (g.again, g.reporter) = (0, false);
        }
    }

    /// A timer is due.
    pub(crate) fn due(&mut self, a: &mut Around<'_>, what: GroupTimer) -> Vec<Say> {
        self.follow_version(a);
        let said = match what {
            GroupTimer::General => self.general.take().map(|_| self.answer_general()),
            GroupTimer::Changes => self.changes.take().map(|_| self.tell_changes(a)),
            GroupTimer::Group(group) => {
                let version = self.version;
                let g = self.groups.get_mut(&group).filter(|g| g.timer.is_some());
                g.map(|g| {
                    g.timer = None;
                    g.due(a, group, version)
                })
            }
        };
        said.into_iter().filter(|say| *say != Say::Records(Vec::new())).collect()
    }

    // ---- how -----------------------------------------------------------------------------------

    /// What is to be said of a group that was `before`.
    fn changed(&mut self, a: &mut Around<'_>, group: IpAddr, before: &SourceFilter) -> Vec<Say> {
        let times = self.times(a);
        let Some(g) = self.groups.get_mut(&group) else { return Vec::new() };
        let after = g.members.merged();
        if after == *before {
            return Vec::new();
        }
        let version = self.version;
        match (version, before.is_none(), after.is_none()) {
            (Version::V3, _, _) => {
                g.changes.add(before, &after, times);
                let records = g.changes.take(group, &after);
                let more = !g.changes.is_empty();
                if more && self.changes.is_none() {
                    let at = a.random(a.config.unsolicited_new);
                    self.changes = Some(a.arm(at, GroupTimer::Changes));
                }
                vec![Say::Records(records)]
            }
            (Version::V1 | Version::V2, true, false) => {
                (g.reporter, g.again) = (true, times - 1);
                if g.again > 0 {
                    due_by(a, group, &mut g.timer, a.config.unsolicited_old);
                }
                vec![Say::Report(version, group)]
            }
            (Version::V2, false, true) if g.reporter => vec![Say::Leave(group)],
            (Version::V1 | Version::V2, _, _) => Vec::new(),
        }
    }

    /// Drops a group that has no members, except what is yet to be told of it.
    fn bury(&mut self, a: &mut Around<'_>, group: IpAddr) {
        if self.groups.get(&group).is_none_or(|g| g.members.users() > 0) {
            return;
        }
        let Some(mut g) = self.groups.remove(&group) else { return };
        a.disarm(&mut g.timer);
        if !g.changes.is_empty() && self.departed.len() < DEPARTED {
            self.departed.insert(group, g.changes);
        }
    }

    /// RFC 3376 §5.1: all changes that are yet to be told, in one report.
    fn tell_changes(&mut self, a: &mut Around<'_>) -> Say {
        let mut records = Vec::new();
        for (group, g) in &mut self.groups {
            if !g.changes.is_empty() {
                records.extend(g.changes.take(*group, &g.members.merged()));
            }
        }
        for (group, changes) in &mut self.departed {
            records.extend(changes.take(*group, &SourceFilter::default()));
        }
        self.departed.retain(|_, changes| !changes.is_empty());
        if !self.departed.is_empty() || self.groups.values().any(|g| !g.changes.is_empty()) {
            let at = a.random(a.config.unsolicited_new);
            self.changes = Some(a.arm(at, GroupTimer::Changes));
        }
        Say::Records(records)
    }

    fn answer_general(&self) -> Say {
        let reported = self.groups.iter().filter(|(group, _)| is_reported(**group));
        Say::Records(reported.filter_map(|(group, g)| current_state(*group, &g.members.merged())).collect())
    }

    /// RFC 3376 §5.2, its rules in their order.
    fn query_v3(&mut self, a: &mut Around<'_>, query: &Query) {
        let at = a.random(query.max_response);
        // 1. An answer about everything comes sooner.
        if self.general.is_some_and(|(general, _)| general <= at) {
            return;
        }
        let Some(group) = query.group else {
            // 2.
            a.disarm(&mut self.general);
            self.general = Some(a.arm(at, GroupTimer::General));
            return;
        };
        let Some(g) = self.groups.get_mut(&group).filter(|_| is_reported(group)) else { return };
        let pending = g.timer.map(|(at, _)| at);
        if query.sources.is_empty() || (pending.is_some() && g.asked.is_empty()) {
            // 4. All of the group.
            g.asked.clear();
        } else {
            // 3. and 5. These, besides those asked for before.
            g.asked.extend(&query.sources);
            if g.asked.len() > ASKED {
                g.asked.clear();
            }
        }
        if pending.is_none_or(|pending| at < pending) {
            a.disarm(&mut g.timer);
            g.timer = Some(a.arm(at, GroupTimer::Group(group)));
        }
    }

    /// RFC 3376 §7.2.1, §8.12: who asks in an older format is understood for a while, after which
    /// there should have been two or three more queries of that kind.
    fn hear_querier(&mut self, a: &mut Around<'_>, query: &Query) {
        let times = u32::from(self.times(a));
        let until = |response: Duration, interval: Duration| a.now + interval * times + response;
        match query.version {
            Version::V1 => self.older[0] = Some(until(V1_RESPONSE, self.query_interval)),
            Version::V2 => self.older[1] = Some(until(query.max_response, self.query_interval)),
            Version::V3 => {
                self.robustness = query.robustness;
                self.query_interval = query.interval.filter(|i| !i.is_zero()).unwrap_or(QUERY_INTERVAL);
            }
        }
        self.follow_version(a);
    }

    /// The robustness variable: how often each thing is said, 1 to 7.
    fn times(&self, a: &Around<'_>) -> u8 {
        self.robustness.unwrap_or(a.config.robustness).clamp(1, 7)
    }

    /// RFC 3376 §7.2.1: with the version, all that is pending changes.
    fn follow_version(&mut self, a: &mut Around<'_>) {
        let version = self.version(a.now, a.config);
        if version == self.version {
            return;
        }
        self.version = version;
        self.cancel(a);
        // Who heard reports of the other version may not have heard others than ours.
        self.groups.values_mut().for_each(|g| g.reporter = true);
    }

    fn cancel(&mut self, a: &mut Around<'_>) {
        a.disarm(&mut self.general);
        a.disarm(&mut self.changes);
        self.departed.clear();
        for g in self.groups.values_mut() {
            a.disarm(&mut g.timer);
            g.asked.clear();
            g.changes = Changes::default();
            g.again = 0;
        }
    }
}

/// A group's report is due within a time, if it is not sooner already.
fn due_by(a: &mut Around<'_>, group: IpAddr, timer: &mut Option<(Instant, TimerKey)>, within: Duration) {
    let at = a.random(within);
    if timer.is_none_or(|(before, _)| at < before) {
        a.disarm(timer);
        *timer = Some(a.arm(at, GroupTimer::Group(group)));
    }
}

/// Whether routers hear of a group at all: RFC 3376 §5 (not the all-systems group), RFC 3810 §6 (not
/// all nodes, nor scopes 0 and 1, which leave no host).
pub(crate) fn is_reported(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group != crate::net::ifnet::ALL_SYSTEMS,
        IpAddr::V6(group) => group != ipv6::ALL_NODES && ipv6::multicast_scope(group) > 1,
    }
}
