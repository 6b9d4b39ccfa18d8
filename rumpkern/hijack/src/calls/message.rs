//! `struct msghdr`, its buffers and its control messages, in the program's memory.

use crate::memory::Memory;
use rustix::io::Errno;

/// Octets of a `struct msghdr`, of a `struct mmsghdr`, and of a `struct iovec`.
pub(super) const MSGHDR: u64 = 56;
pub(super) const MMSGHDR: u64 = 64;
const IOVEC: usize = 16;
/// Most buffers of a message, and most messages of a call.
pub(super) const UIO_MAXIOV: u64 = 1024;
/// `optmem_max`: octets of control messages that are read at most.
const OPTMEM_MAX: usize = 131_072;
/// Octets of a control message's header.
const CMSG: usize = 16;

/// A message's parts.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Where it is.
    pub(super) place: u64,
    pub(super) name: u64,
    pub(super) name_len: u32,
    pub(super) buffers: Buffers,
    pub(super) control: u64,
    pub(super) control_len: u64,
}

/// Where a message's octets are, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers(Vec<(u64, usize)>);

impl Buffers {
    pub(super) fn one(place: u64, len: u64) -> Buffers {
        Buffers(vec![(place, usize::try_from(len).unwrap_or(usize::MAX))])
    }

    /// Octets that there are, or for which there is room.
    pub(super) fn len(&self) -> usize {
        self.0.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len))
    }

    /// All octets. EMSGSIZE: more than `most`.
    pub(super) fn gather(&self, memory: Memory, tid: i32, most: usize) -> Result<Vec<u8>, Errno> {
        if self.len() > most { Err(Errno::MSGSIZE) } else { self.gather_first(memory, tid, most) }
    }

    /// The octets from the beginning on, at most `most`: a program may claim any length.
    pub(super) fn gather_first(&self, memory: Memory, tid: i32, most: usize) -> Result<Vec<u8>, Errno> {
        let mut octets = Vec::with_capacity(self.len().min(most));
        for (place, len) in &self.0 {
            octets.extend(memory.take(tid, *place, (*len).min(most - octets.len()))?);
        }
        Ok(octets)
    }

    /// Puts `octets` into the buffers, one after the other.
    pub(super) fn scatter(&self, memory: Memory, tid: i32, mut octets: &[u8]) -> Result<(), Errno> {
        for (place, len) in &self.0 {
            let (now, later) = octets.split_at(octets.len().min(*len));
            memory.write(tid, *place, now)?;
            octets = later;
        }
        Ok(())
    }
}

impl Message {
    /// The message at `place`.
    pub(super) fn read(memory: Memory, tid: i32, place: u64) -> Result<Message, Errno> {
        let head = memory.take(tid, place, MSGHDR as usize)?;
        let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
        let count = Some(long(24)).filter(|count| *count <= UIO_MAXIOV).ok_or(Errno::MSGSIZE)? as usize;
        let vector = memory.take(tid, long(16), count * IOVEC)?;
        let buffers = vector.chunks_exact(IOVEC).map(|iovec| {
            let long = |at: usize| u64::from_le_bytes(iovec[at..at + 8].try_into().unwrap_or_default());
            let len = usize::try_from(long(8) as i64).map_err(|_| Errno::INVAL)?;
            Ok((long(0), len))
        });
        Ok(Message {
            place,
            name: long(0),
            name_len: long(8) as u32,
            buffers: Buffers(buffers.collect::<Result<_, Errno>>()?),
            control: long(32),
            control_len: long(40),
        })
    }

    /// What the message says beside its octets.
    pub(super) fn controls(&self, memory: Memory, tid: i32) -> Result<Vec<Control>, Errno> {
        if self.control == 0 || self.control_len == 0 {
            return Ok(Vec::new());
        }
        let len = usize::try_from(self.control_len).ok().filter(|len| *len <= OPTMEM_MAX);
        Control::parse(&memory.take(tid, self.control, len.ok_or(Errno::NOBUFS)?)?)
    }

    /// Writes what a receive has to say: the name's length, the control messages, and the flags.
    pub(super) fn complete(
        &self,
        memory: Memory,
        tid: i32,
        name: &[u8],
        controls: &[Control],
        mut flags: i32,
    ) -> Result<(), Errno> {
        if self.name != 0 {
            let room = name.len().min(self.name_len as usize);
            memory.write(tid, self.name, &name[..room])?;
            memory.write(tid, self.place + 8, &(name.len() as u32).to_le_bytes())?;
        }
        let room =
            if self.control == 0 { 0 } else { usize::try_from(self.control_len).unwrap_or(usize::MAX) };
        let mut octets = Vec::new();
        for control in controls {
            let encoded = control.encode();
            if octets.len() + encoded.len() > room {
                flags |= libc::MSG_CTRUNC;
                break;
            }
            octets.extend(encoded);
            octets.resize(octets.len().next_multiple_of(8), 0);
        }
        octets.truncate(room);
        memory.write(tid, self.control, &octets)?;
        memory.write(tid, self.place + 40, &(octets.len() as u64).to_le_bytes())?;
        memory.write(tid, self.place + 48, &flags.to_le_bytes())
    }
}

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) level: i32,
    pub(super) kind: i32,
    pub(super) value: Vec<u8>,
}

impl Control {
    pub(super) fn new(level: i32, kind: i32, value: &[u8]) -> Control {
        Control { level, kind, value: value.to_vec() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(CMSG + self.value.len());
        octets.extend(((CMSG + self.value.len()) as u64).to_le_bytes());
        octets.extend(self.level.to_le_bytes());
        octets.extend(self.kind.to_le_bytes());
        octets.extend(&self.value);
        octets
    }

    /// The control messages in `octets`; EINVAL if one does not fit.
    fn parse(mut octets: &[u8]) -> Result<Vec<Control>, Errno> {
        let mut controls = Vec::new();
        while octets.len() >= CMSG {
            let word = |at: usize| i32::from_le_bytes(octets[at..at + 4].try_into().unwrap_or_default());
            let len = u64::from_le_bytes(octets[..8].try_into().unwrap_or_default());
            let len = usize::try_from(len).ok().filter(|len| (CMSG..=octets.len()).contains(len));
            let len = len.ok_or(Errno::INVAL)?;
            controls.push(Control::new(word(8), word(12), &octets[CMSG..len]));
            octets = octets.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(controls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_are_parsed_as_they_are_laid_out() {
        let controls = [Control::new(0, 2, &64u32.to_le_bytes()), Control::new(0, 8, &[1; 12])];
        let mut octets = controls[0].encode();
        octets.resize(octets.len().next_multiple_of(8), 0);
        octets.extend(controls[1].encode());
        assert_eq!(Control::parse(&octets), Ok(controls.to_vec()));
        octets[0] = 200;
        assert_eq!(Control::parse(&octets), Err(Errno::INVAL), "longer than there is");
        octets[0] = 3;
        assert_eq!(Control::parse(&octets), Err(Errno::INVAL), "shorter than its header");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let (memory, me) = (Memory::Call, std::process::id() as i32);
        let (space, head) = (vec![0u8; 24], vec![0u8; 64]);
        let message = Message {
            place: head.as_ptr() as u64,
            name: 0,
            name_len: 0,
            buffers: Buffers::default(),
            control: space.as_ptr() as u64,
            control_len: 24,
        };
        let controls = [Control::new(0, 2, &64u32.to_le_bytes()), Control::new(0, 1, &[0])];
        message.complete(memory, me, &[], &controls, 0).unwrap();
        assert_eq!(memory.number::<8>(me, message.place + 40), Ok(24));
        assert_eq!(memory.number::<4>(me, message.place + 48), Ok(libc::MSG_CTRUNC as u64));
        assert_eq!(memory.take(me, message.control, 24).map(|octets| octets[16]), Ok(64));
    }
}
