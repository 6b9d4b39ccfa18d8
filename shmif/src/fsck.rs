//! Looking a bus file through: every inconsistency, by name. Nothing is changed; writers mend what they meet.

use std::fmt;
use std::sync::atomic::Ordering;

use crate::bus::Bus;
use crate::layout::{ALIGN, Kind, POS_LIMIT, RECORD, RecordFault, header, slot};
use crate::lock;
use crate::owner::{Owner, State};
use crate::port::PortId;
use crate::protocol;
use crate::slot::Slot;

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The file has shrunk while it was mapped.
    #[error("the file was truncated while in use")]
    Broken,
    /// Head or tail are not positions, or do not belong together.
    #[error("head {head} and tail {tail} do not fit a ring of {ring} octets")]
    Counters {
        /// Position behind the newest record.
        head: u64,
        /// Position of the oldest one.
        tail: u64,
        /// Octets of the ring.
        ring: u64,
    },
    /// A record that is none; what follows it cannot be found.
    #[error("record at {pos}: {fault}")]
    Record {
        /// Where.
        pos: u64,
        /// What is wrong.
        fault: RecordFault,
    },
    /// The numbers of records do not count up.
    #[error("record at {pos}: number {found}, expected {expected}")]
    Sequence {
        /// Where.
        pos: u64,
        /// Its number.
        found: u64,
        /// What comes after the one before.
        expected: u64,
    },
    /// The header's next number does not follow the newest record's.
    #[error("next record has number {found} by the header, expected {expected}")]
    NextSequence {
        /// What the header says.
        found: u64,
        /// What comes after the newest record.
        expected: u64,
    },
    /// A record's destination is not that of its frame.
    #[error("record at {pos}: its destination is not that of its frame")]
    Destination {
        /// Where.
        pos: u64,
    },
    /// More slots in use than there are.
    #[error("{found} slots in use of {max}")]
    HighWater {
        /// What the header says.
        found: u32,
        /// How many there are.
        max: u32,
    },
    /// A port has read, or is to read, what does not exist.
    #[error("port {port}: {what} {pos} is beyond the head {head}")]
    Beyond {
        /// Which.
        port: PortId,
        /// `cursor` or `newest wanted record`.
        what: &'static str,
        /// Where.
        pos: u64,
        /// Position behind the newest record.
        head: u64,
    },
    /// The lock names a dead process (or no port): the next writer takes it over.
    #[error("the lock is held by slot {slot}, whose owner is dead: the next writer takes it over")]
    DeadHolder {
        /// Its slot.
        slot: u32,
    },
    /// A dead process's port: it is taken back when it is in the way.
    #[error("port {port} belongs to process {pid}, which is dead")]
    DeadOwner {
        /// Which.
        port: PortId,
        /// Whose.
        pid: u32,
    },
}

impl Finding {
    /// Whether this is only what the dead leave behind, not damage.
    pub fn is_remains(&self) -> bool {
        matches!(self, Finding::DeadHolder { .. } | Finding::DeadOwner { .. })
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsckReport {
    /// Everything that is not as it should be.
    pub findings: Vec<Finding>,
    /// Whole frames in the ring.
    pub frames: u64,
    /// Octets of these frames.
    pub octets: u64,
    /// Ports in use.
    pub ports: u32,
}

impl FsckReport {
    /// No damage (remains of the dead are none).
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(Finding::is_remains)
    }
}

impl fmt::Display for FsckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{}: {finding}", if finding.is_remains() { "note" } else { "damage" })?;
        }
        let verdict = if self.is_clean() { "clean" } else { "damaged" };
        write!(f, "{verdict}: {} frames of {} octets, {} ports", self.frames, self.octets, self.ports)
    }
}

impl Bus {
    /// Looks the whole file through, also while it is in use.
    pub fn fsck(&self) -> FsckReport {
        let mut report = FsckReport { findings: Vec::new(), frames: 0, octets: 0, ports: 0 };
        // Records that are overwritten while being looked at are no damage; a few tries, and then what is left of the ring.
        for _ in 0..8 {
            if self.check_ring(&mut report) {
                break;
            }
            report = FsckReport { findings: Vec::new(), frames: 0, octets: 0, ports: 0 };
        }
        self.check_ports(&mut report);
        if self.is_broken() {
            report.findings.push(Finding::Broken);
        }
        report
    }

    /// False if writers were faster.
    fn check_ring(&self, report: &mut FsckReport) -> bool {
        let inner = &*self.inner;
        let word = |off| protocol::published(inner.map.u64(off));
        let tail_word = inner.map.u64(header::TAIL);
        let next_seq = word(header::NEXT_SEQ);
        let head = word(header::HEAD);
        let tail = word(header::TAIL);
        let ring = inner.geometry.ring_len;
        if tail > head && word(header::HEAD) > head {
            return false;
        }
        if !(head | tail).is_multiple_of(ALIGN) || tail > head || head - tail > ring || head >= POS_LIMIT {
            report.findings.push(Finding::Counters { head, tail, ring });
            return true;
        }
        let (mut pos, mut expected) = (tail, None);
        while pos < head {
            let record = inner.record(pos, head - pos);
            let mut dst = [0; 8];
            if record.is_ok_and(|record| record.kind == Kind::Frame) {
                inner.map.copy_out(
                    inner.geometry.ring_off() + inner.geometry.place(pos) as usize + RECORD,
                    &mut dst,
                );
            }
            if !protocol::intact(tail_word, pos) {
                return false;
            }
            let record = match record {
                Ok(record) => record,
                Err(fault) => {
                    report.findings.push(Finding::Record { pos, fault });
                    return true;
                }
            };
            if record.kind == Kind::Frame {
                let dst = crate::layout::mac_word(&[dst[0], dst[1], dst[2], dst[3], dst[4], dst[5]]);
                if dst != record.dst {
                    report.findings.push(Finding::Destination { pos });
                }
                match expected {
                    Some(expected) if expected != record.seq => {
                        report.findings.push(Finding::Sequence { pos, found: record.seq, expected });
                    }
                    _ => {}
                }
                expected = Some(record.seq.wrapping_add(1));
                report.frames += 1;
                report.octets += record.len as u64;
            }
            pos += record.total();
        }
        if let Some(expected) = expected
            && expected != next_seq
            && word(header::HEAD) == head
            && lock::held_by(&inner.map).is_none()
        {
            let found = word(header::NEXT_SEQ);
            if found != expected && word(header::HEAD) == head && lock::held_by(&inner.map).is_none() {
                report.findings.push(Finding::NextSequence { found, expected });
            }
        }
        true
    }

    fn check_ports(&self, report: &mut FsckReport) {
        let inner = &*self.inner;
        let max = inner.geometry.max_ports;
        let found = inner.map.u32(header::HIGH_WATER).load(Ordering::Acquire);
        if found > max {
            report.findings.push(Finding::HighWater { found, max });
        }
        if let Some((word, slot)) = lock::held_by(&inner.map)
            && lock::holder_state(&inner.map, inner.geometry, word) == State::Dead
            && lock::held_by(&inner.map) == Some((word, slot))
        {
            report.findings.push(Finding::DeadHolder { slot });
        }
        for index in 0..found.min(max) {
            let slot = Slot::new(inner, index);
            let owner = slot.owner();
            if owner == Owner::NOBODY {
                continue;
            }
            report.ports += 1;
            let port = slot.id();
            if owner.state() == State::Dead && slot.owner() == owner {
                report.findings.push(Finding::DeadOwner { port, pid: owner.pid() });
            }
            for (what, off) in [("cursor", slot::CURSOR), ("newest wanted record", slot::WANTED_LAST)] {
                // The position first: the head can only have grown since.
                let pos = protocol::published(slot.u64(off));
                let head = protocol::published(inner.map.u64(header::HEAD));
                if pos > head {
                    report.findings.push(Finding::Beyond { port, what, pos, head });
                }
            }
        }
    }
}
