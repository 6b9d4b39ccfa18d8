//! A port: a place on a bus, owned by a process.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::bus::Bus;
use crate::doorbell::Bells;
use crate::error::AttachError;
use crate::interest::{self, Filter};
use crate::layout::{self, Count, DOORBELL, INTERFACE, NAME, PortFlags, header, slot};
use crate::lock::Holder;
use crate::map_unsafe::Access;
use crate::owner::{Owner, State};
use crate::protocol;
use crate::recv::Rx;
use crate::send::Tx;
use crate::slot::Slot;

/// Names a port for good: its slot, and how often the slot had been taken (low 16 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(u32);

impl PortId {
    pub(crate) fn new(slot: u16, generation: u16) -> PortId {
        PortId(u32::from(generation) << 16 | u32::from(slot))
    }
    /// The slot in the port table.
    pub fn slot(self) -> u16 {
        self.0 as u16
    }
    /// Which owner of the slot.
    pub fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot(), self.generation())
    }
}

/// Shows six octets as a MAC.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a new port shall be.
#[derive(Clone, Debug, Default)]
pub struct PortConfig {
    /// Name of the node, at most 64 octets.
    pub node: String,
    /// Name of its interface, at most 32 octets.
    pub interface: String,
    /// Its MAC: frames to it are wanted, besides broadcasts.
    pub mac: [u8; 6],
    /// Every frame is wanted (a bridge).
    pub promiscuous: bool,
    /// Every frame is wanted, but nobody waits for this port: it loses what it does not read in time (a capture).
    pub monitor: bool,
    /// Records with offload metadata are taken as they are; otherwise they arrive as segments with checksums.
    pub offload: bool,
    /// Path of the [`Doorbell`](crate::Doorbell) to ring, at most 256 octets. Without one the port has to poll.
    pub doorbell: Option<PathBuf>,
}

impl PortConfig {
    /// A port of an ordinary host.
    pub fn new(node: impl Into<String>, interface: impl Into<String>, mac: [u8; 6]) -> PortConfig {
        PortConfig { node: node.into(), interface: interface.into(), mac, ..PortConfig::default() }
    }
}

/// What is known of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// As records name it.
    pub id: PortId,
    /// Name of the node.
    pub node: String,
    /// Name of the interface.
    pub interface: String,
    /// Its MAC.
    pub mac: [u8; 6],
    /// The owner; 0 if it has detached.
    pub pid: u32,
    /// Whether the owner lives (a stopped one does).
    pub alive: bool,
    /// Whether somebody owns the port. The names of a detached one stay as long as the ring may hold its records.
    pub attached: bool,
    /// What it wants.
    pub flags: PortFlags,
    /// Records that it wants and has not read yet: from here ([`BusInfo::head`](crate::BusInfo) counts on); `None` if there are none.
    pub behind: Option<u64>,
    /// What it has done.
    pub counters: PortCounters,
}

/// Counters of a port; frames and octets on the wire, Ethernet header included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Frames received.
    pub rx_frames: u64,
    /// Octets received.
    pub rx_octets: u64,
    /// Wanted frames lost because this port read too slowly, as far as it knows.
    pub rx_lost: u64,
    /// Records that were damaged, or longer than the caller's buffer.
    pub rx_errors: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Octets sent.
    pub tx_octets: u64,
    /// Frames not sent (see [`DropReason`](crate::DropReason)).
    pub tx_dropped: u64,
    /// Times that sending had to wait for a reader.
    pub tx_waits: u64,
    /// Times that a writer gave up waiting for this port.
    pub overruns: u64,
}

impl PortCounters {
    fn read(slot: Slot<'_>) -> PortCounters {
        PortCounters {
            rx_frames: slot.count(Count::RxFrames),
            rx_octets: slot.count(Count::RxOctets),
            rx_lost: slot.count(Count::RxLost),
            rx_errors: slot.count(Count::RxErrors),
            tx_frames: slot.count(Count::TxFrames),
            tx_octets: slot.count(Count::TxOctets),
            tx_dropped: slot.count(Count::TxDropped),
            tx_waits: slot.count(Count::TxWaits),
            overruns: slot.u64(slot::OVERRUNS).load(Ordering::Relaxed),
        }
    }
}

/// A place on a bus. Dropping it detaches.
///
/// It may move between threads; sending and receiving want it alone.
pub struct Port {
    pub(crate) bus: Bus,
    pub(crate) index: u32,
    pub(crate) holder: Holder,
    pub(crate) owner: Owner,
    pub(crate) filter: Filter,
    pub(crate) rx: Rx,
    pub(crate) tx: Tx,
    pub(crate) bells: RefCell<Bells>,
    sleep_token: Cell<u32>,
    id: PortId,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("bus", &self.bus).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Port {
    /// How records name this port.
    pub fn id(&self) -> PortId {
        self.id
    }

    /// The bus that it is on.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its MAC.
    pub fn mac(&self) -> [u8; 6] {
        layout::mac_octets(self.filter.mac)
    }

    #[inline]
    pub(crate) fn slot(&self) -> Slot<'_> {
        Slot::new(&self.bus.inner, self.index)
    }

    /// Takes part or not. A port that is down gets nothing; it is attached up.
    pub fn set_up(&mut self, up: bool) {
        self.filter.flags.set(PortFlags::UP, up);
        self.store_filter();
    }

    /// Wants every frame or not.
    pub fn set_promiscuous(&mut self, on: bool) {
        self.filter.flags.set(PortFlags::PROMISCUOUS, on);
        self.store_filter();
    }

    /// Takes records with offload metadata as they are, or wants them as wire frames.
    pub fn set_offload(&mut self, on: bool) {
        self.filter.flags.set(PortFlags::OFFLOAD, on);
        self.store_filter();
    }

    /// Changes the MAC. A group address is refused (false).
    pub fn set_mac(&mut self, mac: [u8; 6]) -> bool {
        let mac = layout::mac_word(&mac);
        if layout::is_group(mac) {
            return false;
        }
        self.filter.mac = mac;
        self.slot().u64(slot::MAC).store(mac, Ordering::Relaxed);
        self.store_filter();
        true
    }

    /// The multicast groups that are wanted from now on, instead of those before. More than 32 become all.
    pub fn set_multicast(&mut self, groups: &[[u8; 6]]) {
        self.filter.groups = groups.iter().map(layout::mac_word).collect();
        let all = interest::store_groups(self.slot(), &self.filter.groups);
        self.filter.flags.remove(PortFlags::ALL_MULTICAST);
        self.filter.flags.insert(all);
        self.store_filter();
    }

    fn store_filter(&self) {
        // Release: a sender that sees the flags sees the MAC and the groups.
        self.slot().u32(slot::FLAGS).store(self.filter.flags.bits(), Ordering::Release);
        interest::changed(&self.bus);
    }

    /// Whether [`recv`](Port::recv) has something to look at: one load, for polling several ports. (What it finds may turn out to be unwanted.)
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.rx.has_segments() || protocol::published(self.slot().u64(slot::WANTED_LAST)) != self.rx.cursor()
    }

    /// Announces that the owner is about to sleep: from here on a wanted frame rings the doorbell. True: nothing has come, sleep on the doorbell, then
    /// call [`awake`](Port::awake). False: there is something to receive.
    pub fn prepare_sleep(&self) -> bool {
        if self.rx.has_segments() || self.bus.is_broken() {
            return false;
        }
        self.give_room();
        let slot = self.slot();
        let token = self.sleep_token.get().wrapping_add(1).max(1);
        self.sleep_token.set(token);
        let last = slot.u64(slot::WANTED_LAST);
        protocol::doze(slot.u32(slot::SLEEP), token, || protocol::published(last) != self.rx.cursor())
    }

    /// The owner does not sleep any more: nobody needs to ring.
    pub fn awake(&self) {
        protocol::awake(self.slot().u32(slot::SLEEP));
    }

    /// What this port has done.
    pub fn counters(&self) -> PortCounters {
        PortCounters::read(self.slot())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // After a fork the child has a copy of the struct, but not of the port.
        if self.owner.pid() == std::process::id() {
            self.give_room();
            release(&self.bus, self.slot(), self.owner);
        }
    }
}

impl Bus {
    /// What is known of the ports, in the order of their slots: the attached ones, and the detached ones whose records the ring may still hold.
    pub fn ports(&self) -> Vec<PortInfo> {
        let tail = self.inner.map.u64(header::TAIL).load(Ordering::Acquire);
        let mut ports = Vec::new();
        for index in 0..self.high_water() {
            let slot = Slot::new(&self.inner, index);
            // Looked at twice: in between another may have taken the slot.
            for _ in 0..3 {
                let id = slot.id();
                let owner = slot.owner();
                let attached = owner != Owner::NOBODY;
                let info = PortInfo {
                    id,
                    node: slot.node(),
                    interface: slot.interface(),
                    mac: layout::mac_octets(slot.mac()),
                    pid: owner.pid(),
                    alive: attached && owner.state() != State::Dead,
                    attached,
                    flags: slot.flags(),
                    behind: slot.hold(tail),
                    counters: PortCounters::read(slot),
                };
                let remembered = attached || slot.freed_at() > tail;
                if slot.id() == id && slot.owner() == owner {
                    if remembered && slot.generation() != 0 {
                        ports.push(info);
                    }
                    break;
                }
            }
        }
        ports
    }

    /// Attaches a port, up. Slots of dead owners are taken back.
    pub fn attach(&self, config: &PortConfig) -> Result<Port, AttachError> {
        let inner = &*self.inner;
        if inner.map.access() == Access::Read {
            return Err(AttachError::ReadOnly(inner.path.clone()));
        }
        if self.is_broken() {
            return Err(AttachError::Broken(inner.path.clone()));
        }
        let doorbell = config.doorbell.as_ref().map_or(&[][..], |path| path.as_os_str().as_bytes());
        let texts = [
            ("node", config.node.as_bytes(), NAME),
            ("interface", config.interface.as_bytes(), INTERFACE),
            ("doorbell", doorbell, DOORBELL),
        ];
        for (what, text, max) in texts {
            if text.len() > max || text.contains(&0) {
                return Err(AttachError::Name {
                    what,
                    name: String::from_utf8_lossy(text).into_owned(),
                    max,
                });
            }
        }
        let mac = layout::mac_word(&config.mac);
        if layout::is_group(mac) {
            return Err(AttachError::GroupMac(config.mac));
        }

        let owner = Owner::myself();
        let slot = self.take_slot(config, owner)?;
        // Down while it is being filled in; another may still think that it is up and deliver, which does no harm.
        slot.u32(slot::FLAGS).store(0, Ordering::Release);
        // From here on neither the lock nor a record can mean the former owner.
        let generation = slot.u32(slot::GENERATION).fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        for (off, (_, text, max)) in [slot::NODE, slot::INTERFACE, slot::DOORBELL].into_iter().zip(texts) {
            slot.put_text(off, max, text);
        }
        slot.u64(slot::MAC).store(mac, Ordering::Relaxed);
        for word in [slot::GROUP_COUNT, slot::SLEEP, slot::HELD, slot::ROOM] {
            slot.u32(word).store(0, Ordering::Relaxed);
        }
        for counter in 0..8 {
            slot.u64(slot::COUNTERS + 8 * counter).store(0, Ordering::Relaxed);
        }
        slot.u64(slot::OVERRUNS).store(0, Ordering::Relaxed);
        let head = protocol::published(inner.map.u64(header::HEAD));
        for word in [slot::CURSOR, slot::WANTED_FIRST, slot::WANTED_LAST] {
            slot.u64(word).store(head, Ordering::Relaxed);
        }
        let wanted = slot.u64(slot::WANTED_AFTER).load(Ordering::Relaxed);

        let mut flags = PortFlags::UP;
        flags.set(PortFlags::PROMISCUOUS, config.promiscuous);
        flags.set(PortFlags::MONITOR, config.monitor);
        flags.set(PortFlags::OFFLOAD, config.offload);
        let port = Port {
            index: slot.index,
            id: PortId::new(slot.index as u16, generation as u16),
            holder: Holder::new(slot.index as u16, generation),
            owner,
            filter: Filter { flags, mac, groups: Vec::new() },
            rx: Rx::new(head, wanted),
            tx: Tx::default(),
            bells: RefCell::default(),
            sleep_token: Cell::new(0),
            bus: self.clone(),
        };
        port.store_filter();
        Ok(port)
    }

    /// Takes back the ports of dead owners; returns how many there were. Costs a look into /proc for each port.
    pub fn reclaim(&self) -> usize {
        if self.inner.map.access() == Access::Read || self.is_broken() {
            return 0;
        }
        (0..self.high_water()).filter(|&index| self.reclaim_slot(index)).count()
    }

    /// Takes back one port if its owner is dead.
    pub(crate) fn reclaim_slot(&self, index: u32) -> bool {
        let slot = Slot::new(&self.inner, index);
        let owner = slot.owner();
        if owner == Owner::NOBODY || owner.state() != State::Dead {
            return false;
        }
        // Ours first, so that nobody takes it while it is being emptied. If we die here, we are the dead owner.
        let me = Owner::myself();
        slot.pass(owner, me) && release(self, slot, me)
    }

    /// Chooses a slot and makes it ours. Best is one whose former owner no record remembers, then a new one, then a dead owner's,
    /// then the one that was given back first.
    fn take_slot(&self, config: &PortConfig, me: Owner) -> Result<Slot<'_>, AttachError> {
        let inner = &*self.inner;
        // Bounded: every turn that fails means that somebody else got a slot.
        for _ in 0..=inner.geometry.max_ports {
            let tail = inner.map.u64(header::TAIL).load(Ordering::Acquire);
            let high_water = self.high_water();
            let mut forgotten = None;
            let mut oldest: Option<(u64, u32)> = None;
            for index in 0..high_water {
                let slot = Slot::new(inner, index);
                if slot.owner() == Owner::NOBODY {
                    if slot.freed_at() <= tail {
                        forgotten = Some(index);
                        break;
                    }
                    oldest = oldest.into_iter().chain([(slot.freed_at(), index)]).min();
                } else if slot.mac() == layout::mac_word(&config.mac) {
                    // A node that was killed and is started again leaves its port behind.
                    self.reclaim_slot(index);
                }
            }
            let index = match (forgotten, oldest) {
                (Some(index), _) => index,
                (None, _) if high_water < inner.geometry.max_ports => {
                    inner.map.u32(header::HIGH_WATER).fetch_max(high_water + 1, Ordering::AcqRel);
                    high_water
                }
                (None, Some((_, index))) => index,
                (None, None) if self.reclaim() > 0 => continue,
                (None, None) => break,
            };
            let slot = Slot::new(inner, index);
            if slot.pass(Owner::NOBODY, me) {
                return Ok(slot);
            }
        }
        Err(AttachError::Full { path: inner.path.clone(), max: inner.geometry.max_ports })
    }
}

/// Gives a slot back; its names stay until it is taken again.
fn release(bus: &Bus, slot: Slot<'_>, owner: Owner) -> bool {
    slot.u32(slot::FLAGS).store(0, Ordering::Release);
    for word in [slot::SLEEP, slot::ROOM] {
        slot.u32(word).store(0, Ordering::Relaxed);
    }
    let head = protocol::published(bus.inner.map.u64(header::HEAD));
    slot.u64(slot::FREED_AT).store(head, Ordering::Relaxed);
    let done = slot.pass(owner, Owner::NOBODY);
    interest::changed(bus);
    done
}
