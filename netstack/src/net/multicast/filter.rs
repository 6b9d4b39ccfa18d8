//! Which sources of a group are wanted: a socket's filter (RFC 3376 §3.1, RFC 3810 §4.1), and an
//! interface's, which is made of those of all sockets (RFC 3376 §3.2, RFC 3810 §4.2).

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// How the list of a filter is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FilterMode {
    /// These and no others (MCAST_INCLUDE).
    #[default]
    Include,
    /// All but these (MCAST_EXCLUDE).
    Exclude,
}

/// The sources of a group that are wanted. The default wants none, and so is no membership at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceFilter {
    /// How the list is meant.
    pub mode: FilterMode,
    /// The sources, in order.
    pub sources: BTreeSet<IpAddr>,
}

impl SourceFilter {
    /// All sources: that of a plain membership.
    pub fn any() -> SourceFilter {
        SourceFilter { mode: FilterMode::Exclude, sources: BTreeSet::new() }
    }

    /// Whether it wants nothing: the same as not being a member (RFC 3376 §3.1).
    pub fn is_none(&self) -> bool {
        self.mode == FilterMode::Include && self.sources.is_empty()
    }

    /// Whether packets by `source` are wanted.
    pub fn allows(&self, source: IpAddr) -> bool {
        self.sources.contains(&source) == (self.mode == FilterMode::Include)
    }
}

/// How many members name a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// In a list of mode INCLUDE.
    pub include: u32,
    /// In a list of mode EXCLUDE.
    pub exclude: u32,
}

/// The filters of all members of a group on an interface, counted, so that what they are together
/// is known without asking them again.
#[derive(Debug, Default)]
pub(crate) struct Members {
    users: u32,
    /// Those of mode EXCLUDE.
    excluding: u32,
    sources: BTreeMap<IpAddr, Named>,
}

impl Members {
    pub(crate) fn add(&mut self, filter: &SourceFilter) {
        self.users += 1;
        self.excluding += u32::from(filter.mode == FilterMode::Exclude);
        for &source in &filter.sources {
            let named = self.sources.entry(source).or_default();
            match filter.mode {
                FilterMode::Include => named.include += 1,
                FilterMode::Exclude => named.exclude += 1,
            }
        }
    }

    /// Takes away a filter that was added.
    pub(crate) fn remove(&mut self, filter: &SourceFilter) {
        self.users -= 1;
        self.excluding -= u32::from(filter.mode == FilterMode::Exclude);
        for source in &filter.sources {
            let Some(named) = self.sources.get_mut(source) else { continue };
            match filter.mode {
                FilterMode::Include => named.include -= 1,
                FilterMode::Exclude => named.exclude -= 1,
            }
            if *named == Named::default() {
                self.sources.remove(source);
            }
        }
    }

    /// How many there are.
    pub(crate) fn users(&self) -> u32 {
        self.users
    }

    /// Sources that somebody names.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (IpAddr, Named)> + '_ {
        self.sources.iter().map(|(source, named)| (*source, *named))
    }

    /// Whether some member wants packets by `source`.
    pub(crate) fn allows(&self, source: IpAddr) -> bool {
        let named = self.sources.get(&source).copied().unwrap_or_default();
        named.include > 0 || named.exclude < self.excluding
    }

    /// What all want together: RFC 3376 §3.2. If one excludes, excluded is what all those exclude
    /// and nobody includes; else all that somebody includes.
    pub(crate) fn merged(&self) -> SourceFilter {
        let mode = if self.excluding > 0 { FilterMode::Exclude } else { FilterMode::Include };
        let listed = |(source, _): &(IpAddr, Named)| self.allows(*source) == (mode == FilterMode::Include);
        SourceFilter { mode, sources: self.sources().filter(listed).map(|(source, _)| source).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter() -> impl Strategy<Value = SourceFilter> {
        let sources = prop::collection::btree_set((0u8..6).prop_map(|n| IpAddr::from([10, 0, 0, n])), 0..5);
        (any::<bool>(), sources).prop_map(|(exclude, sources)| SourceFilter {
            mode: if exclude { FilterMode::Exclude } else { FilterMode::Include },
            sources,
        })
    }

    proptest! {
        #[test]
        fn an_interface_wants_what_one_of_its_members_wants(
            filters in prop::collection::vec(filter(), 0..6), gone in 0usize..6
        ) {
            let mut members = Members::default();
            filters.iter().for_each(|f| members.add(f));
            let (gone, left) = filters.split_at(gone.min(filters.len()));
            gone.iter().for_each(|f| members.remove(f));
            prop_assert_eq!(members.users() as usize, left.len());
            let merged = members.merged();
            for n in 0..9 {
                let source = IpAddr::from([10, 0, 0, n]);
                let wanted = left.iter().any(|f| f.allows(source));
                prop_assert_eq!((merged.allows(source), members.allows(source)), (wanted, wanted));
            }
            let excludes = left.iter().any(|f| f.mode == FilterMode::Exclude);
            prop_assert_eq!(merged.mode == FilterMode::Exclude, excludes);
            prop_assert_eq!(merged.is_none(), left.iter().all(SourceFilter::is_none));
        }
    }
}
