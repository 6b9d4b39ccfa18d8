//! Records of version 3's reports (RFC 3376 §4.2, RFC 3810 §5.2): what they say of a group, how they
//! are divided among messages, and which are still to be sent.

use super::filter::{FilterMode, SourceFilter};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a record says of a group: RFC 3376 §4.2.12; the discriminants are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// MODE_IS_INCLUDE
    IsInclude = 1,
    /// MODE_IS_EXCLUDE
    IsExclude = 2,
    /// CHANGE_TO_INCLUDE_MODE
    ToInclude = 3,
    /// CHANGE_TO_EXCLUDE_MODE
    ToExclude = 4,
    /// ALLOW_NEW_SOURCES
    Allow = 5,
    /// BLOCK_OLD_SOURCES
    Block = 6,
}

/// One group in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is said of it.
    pub kind: RecordKind,
    /// The group.
    pub group: IpAddr,
    /// Sources.
    pub sources: Vec<IpAddr>,
}

/// What is said of a group that is `state` when a router asks.
pub(super) fn current_state(group: IpAddr, state: &SourceFilter) -> Option<Record> {
    let kind = match state.mode {
        FilterMode::Include => RecordKind::IsInclude,
        FilterMode::Exclude => RecordKind::IsExclude,
    };
    let record = Record { kind, group, sources: state.sources.iter().copied().collect() };
    (!state.is_none()).then_some(record)
}

/// Changes of which routers are still to be told: RFC 3376 §5.1.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Reports yet to say the filter's mode …
    mode: u8,
    /// … and these sources.
    sources: BTreeMap<IpAddr, u8>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.mode == 0 && self.sources.is_empty()
    }

    pub(super) fn add(&mut self, before: &SourceFilter, after: &SourceFilter, times: u8) {
        if before.mode != after.mode {
            self.mode = times;
            self.sources.clear();
            return;
        }
        for source in before.sources.symmetric_difference(&after.sources) {
            self.sources.insert(*source, times);
        }
    }

    /// The records of one report about a group that is now `state`; as long as the mode is told, its
    /// whole list goes with it and stands for the changes.
    pub(super) fn take(&mut self, group: IpAddr, state: &SourceFilter) -> Vec<Record> {
        let mut records = Vec::new();
        if self.mode > 0 {
            self.mode -= 1;
            let kind = match state.mode {
                FilterMode::Include => RecordKind::ToInclude,
                FilterMode::Exclude => RecordKind::ToExclude,
            };
            records.push(Record { kind, group, sources: state.sources.iter().copied().collect() });
        } else {
            let (allow, block): (Vec<IpAddr>, Vec<IpAddr>) =
                self.sources.keys().partition(|source| state.allows(**source));
            let lists = [(RecordKind::Allow, allow), (RecordKind::Block, block)];
            let some = lists.into_iter().filter(|(_, sources)| !sources.is_empty());
            records.extend(some.map(|(kind, sources)| Record { kind, group, sources }));
        }
        self.sources.retain(|_, times| {
            *times -= 1;
            *times > 0
        });
        records
    }
}

/// Divides records among messages that hold `room` octets of them, where a record has `head` octets
/// and `each` for a source. RFC 3376 §4.2.16: a list of sources to be kept out is cut, because its
/// second part would undo the first; others go on in the next message.
pub(crate) fn pack(records: Vec<Record>, room: usize, head: usize, each: usize) -> Vec<Vec<Record>> {
    let most = (room.saturating_sub(head) / each).max(1);
    let mut messages: Vec<Vec<Record>> = Vec::new();
    let mut left = 0;
    for Record { kind, group, sources } in records {
        let parts = match kind {
            RecordKind::IsExclude | RecordKind::ToExclude => 1,
            RecordKind::IsInclude | RecordKind::ToInclude | RecordKind::Allow | RecordKind::Block => {
                sources.len().div_ceil(most).max(1)
            }
        };
        for part in 0..parts {
            let sources: Vec<IpAddr> = sources.iter().skip(part * most).take(most).copied().collect();
            let size = head + each * sources.len();
            let record = Record { kind, group, sources };
            match messages.last_mut().filter(|_| size <= left) {
                Some(message) => message.push(record),
                None => {
                    messages.push(vec![record]);
                    left = room;
                }
            }
            left = left.saturating_sub(size);
        }
    }
    messages
}
