//! A bus file: create, open, and look at it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

use crate::error::{CreateError, OpenError};
use crate::history::{Follow, History};
use crate::layout::{self, Geometry, HEADER, MAGIC, NAME, SLOT, VERSION, header};
use crate::map_unsafe::{Access, Mapping};

/// A lab's time zero, by both clocks. Times of records are nanoseconds since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// CLOCK_REALTIME, ns: what a capture file shows.
    pub unix_ns: u64,
    /// CLOCK_MONOTONIC, ns: what is measured.
    pub mono_ns: u64,
}

impl Epoch {
    /// Time zero is now.
    pub fn now() -> Epoch {
        Epoch { unix_ns: clock(ClockId::Realtime), mono_ns: clock(ClockId::Monotonic) }
    }

    /// Nanoseconds since the epoch, by CLOCK_MONOTONIC.
    pub fn now_ns(&self) -> u64 {
        clock(ClockId::Monotonic).saturating_sub(self.mono_ns)
    }
}

fn clock(id: ClockId) -> u64 {
    let t = clock_gettime(id);
    (t.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(t.tv_nsec as u64)
}

/// What a new bus shall be.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Name of the lab, 1 to 64 octets.
    pub lab: String,
    /// Name of the bus, 1 to 64 octets.
    pub name: String,
    /// Octets of the ring, rounded up to a power of two, at least 512 KiB. Default 4 MiB: some 2,700 full-size frames.
    pub history: u64,
    /// Port slots. Default 4096; the table is sparse, an unused slot costs nothing.
    pub max_ports: u32,
    /// Time zero of the lab, one for all its buses.
    pub epoch: Epoch,
}

impl BusConfig {
    /// A bus with the default sizes whose time begins now.
    pub fn new(lab: impl Into<String>, name: impl Into<String>) -> BusConfig {
        BusConfig {
            lab: lab.into(),
            name: name.into(),
            history: layout::DEFAULT_RING,
            max_ports: layout::DEFAULT_PORTS,
            epoch: Epoch::now(),
        }
    }
}

/// What a bus says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusInfo {
    /// Name of the lab.
    pub lab: String,
    /// Name of the bus.
    pub name: String,
    /// Time zero.
    pub epoch: Epoch,
    /// Octets of the ring.
    pub ring: u64,
    /// Port slots.
    pub max_ports: u32,
    /// Octets ever written, with headers and padding: the position behind the newest record.
    pub head: u64,
    /// Position of the oldest record that is remembered.
    pub tail: u64,
    /// Frames ever sent.
    pub frames: u64,
    /// Times that the lock was taken over from a writer that had died with it.
    pub recoveries: u64,
    /// Times that damaged history had to be dropped.
    pub repairs: u64,
    /// Whether the file was truncated while this process had it mapped.
    pub broken: bool,
}

pub(crate) struct Inner {
    pub(crate) map: Mapping,
    pub(crate) geometry: Geometry,
    pub(crate) epoch: Epoch,
    pub(crate) path: PathBuf,
    lab: String,
    name: String,
}

/// A bus file, mapped. Clones share the mapping.
#[derive(Clone)]
pub struct Bus {
    pub(crate) inner: Arc<Inner>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("path", &self.inner.path)
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// Creates a bus file, mode 0600, and opens it. A file of that name is replaced in one step: whoever opens the name sees
    /// either the old file or the complete new one.
    pub fn create(path: impl AsRef<Path>, config: &BusConfig) -> Result<Bus, CreateError> {
        let path = path.as_ref();
        for (what, name) in [("lab", &config.lab), ("bus", &config.name)] {
            if name.is_empty() || name.len() > NAME || name.contains('\0') {
                return Err(CreateError::Name { what, name: name.clone(), max: NAME });
            }
        }
        if config.history > layout::MAX_RING {
            return Err(CreateError::History(config.history));
        }
        if config.max_ports == 0 || config.max_ports > layout::MAX_PORTS {
            return Err(CreateError::MaxPorts(config.max_ports));
        }
        let geometry = Geometry {
            ring_len: config.history.max(layout::MIN_RING).next_power_of_two(),
            max_ports: config.max_ports,
        };

        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.{}.new", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed)));
        let temporary = PathBuf::from(temporary);
        let fail = |doing| {
            let path = path.to_owned();
            move |source| CreateError::Io { path, doing, source }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(fail("cannot create"))?;
        let result = write_header(&file, geometry, config)
            .map_err(fail("cannot write"))
            .and_then(|()| fs::rename(&temporary, path).map_err(fail("cannot rename")));
        if let Err(error) = result {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(Bus::open(path)?)
    }

    /// Opens a bus of one's own for taking part.
    pub fn open(path: impl AsRef<Path>) -> Result<Bus, OpenError> {
        Bus::open_with(path.as_ref(), Access::ReadWrite)
    }

    /// Opens a bus, or a copy of its file, for reading: nothing in it is touched, and everything that wrote it may be dead.
    pub fn open_readonly(path: impl AsRef<Path>) -> Result<Bus, OpenError> {
        Bus::open_with(path.as_ref(), Access::Read)
    }

    fn open_with(path: &Path, access: Access) -> Result<Bus, OpenError> {
        let io = |doing| move |source| OpenError::Io { path: path.to_owned(), doing, source };
        let file = OpenOptions::new()
            .read(true)
            .write(access == Access::ReadWrite)
            // A FIFO of that name must not hold us up.
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
            .map_err(io("cannot open"))?;
        let meta = file.metadata().map_err(io("cannot stat"))?;
        if !meta.is_file() {
            return Err(OpenError::NotAFile(path.to_owned()));
        }
        let me = rustix::process::geteuid().as_raw();
        if access == Access::ReadWrite && meta.uid() != me {
            return Err(OpenError::Owner { path: path.to_owned(), found: meta.uid(), expected: me });
        }
        let geometry = check_header(&file, meta.len(), path)?;
        let len = usize::try_from(geometry.file_len())
            .map_err(|_| io("cannot map")(io::Error::from(io::ErrorKind::OutOfMemory)))?;
        let map = Mapping::new(&file, len, access).map_err(io("cannot map"))?;
        let word = |off| map.u64(off).load(Ordering::Relaxed);
        let epoch = Epoch { unix_ns: word(header::EPOCH_UNIX), mono_ns: word(header::EPOCH_MONO) };
        let (lab, name) = (text(&map, header::LAB, NAME), text(&map, header::NAME, NAME));
        Ok(Bus { inner: Arc::new(Inner { map, geometry, epoch, path: path.to_owned(), lab, name }) })
    }

    /// The file's name, as it was opened.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Time zero of this bus.
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// What the bus says of itself now.
    pub fn info(&self) -> BusInfo {
        let inner = &*self.inner;
        let word = |off| inner.map.u64(off).load(Ordering::Acquire);
        BusInfo {
            lab: inner.lab.clone(),
            name: inner.name.clone(),
            epoch: inner.epoch,
            ring: inner.geometry.ring_len,
            max_ports: inner.geometry.max_ports,
            tail: word(header::TAIL),
            head: word(header::HEAD),
            frames: word(header::NEXT_SEQ),
            recoveries: word(header::RECOVERIES),
            repairs: word(header::REPAIRS),
            broken: inner.map.is_broken(),
        }
    }

    /// Whether the file was truncated (or its file system filled up) while this process had it mapped. Nothing is sent or received any more.
    pub fn is_broken(&self) -> bool {
        self.inner.map.is_broken()
    }

    /// The records that the ring remembers now, oldest first. No port, no disturbance.
    pub fn history(&self) -> History {
        History::new(self.clone())
    }

    /// A passive follower of everything that is sent from now on.
    pub fn follow(&self) -> Follow {
        Follow::new(self.clone())
    }

    /// Number of slots that were ever in use: the bound of every scan of the port table.
    pub(crate) fn high_water(&self) -> u32 {
        self.inner.map.u32(header::HIGH_WATER).load(Ordering::Acquire).min(self.inner.geometry.max_ports)
    }
}

fn write_header(file: &File, geometry: Geometry, config: &BusConfig) -> io::Result<()> {
    file.set_len(geometry.file_len())?;
    let mut page = [0; HEADER];
    let mut put = |off: usize, octets: &[u8]| page[off..off + octets.len()].copy_from_slice(octets);
    put(header::MAGIC, &MAGIC.to_ne_bytes());
    put(header::VERSION, &VERSION.to_ne_bytes());
    put(header::FILE_LEN, &geometry.file_len().to_ne_bytes());
    put(header::RING_OFF, &(geometry.ring_off() as u64).to_ne_bytes());
    put(header::RING_LEN, &geometry.ring_len.to_ne_bytes());
    put(header::MAX_PORTS, &geometry.max_ports.to_ne_bytes());
    put(header::SLOT_LEN, &(SLOT as u32).to_ne_bytes());
    put(header::EPOCH_UNIX, &config.epoch.unix_ns.to_ne_bytes());
    put(header::EPOCH_MONO, &config.epoch.mono_ns.to_ne_bytes());
    put(header::LAB, config.lab.as_bytes());
    put(header::NAME, config.name.as_bytes());
    std::os::unix::fs::FileExt::write_all_at(file, &page, 0)
}

/// Reads the header once, from the file and not from the mapping, and believes nothing of it that does not fit.
fn check_header(file: &File, found: u64, path: &Path) -> Result<Geometry, OpenError> {
    if found < HEADER as u64 {
        return Err(OpenError::TooShort { path: path.to_owned(), found, expected: HEADER as u64 });
    }
    let mut page = [0; HEADER];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut page, 0).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        doing: "cannot read",
        source,
    })?;
    let u32_at = |i: usize| u32::from_ne_bytes([page[i], page[i + 1], page[i + 2], page[i + 3]]);
    let u64_at = |i: usize| {
        let mut b = [0; 8];
        b.copy_from_slice(&page[i..i + 8]);
        u64::from_ne_bytes(b)
    };
    let magic = u32_at(header::MAGIC);
    if magic != MAGIC {
        return Err(OpenError::Magic { path: path.to_owned(), found: magic, expected: MAGIC });
    }
    let version = u32_at(header::VERSION);
    if version != VERSION {
        return Err(OpenError::Version { path: path.to_owned(), found: version, expected: VERSION });
    }
    let wrong = |field, found, expected: String| {
        Err(OpenError::Geometry { path: path.to_owned(), field, found, expected })
    };
    let ring_len = u64_at(header::RING_LEN);
    if !ring_len.is_power_of_two() || !(layout::MIN_RING..=layout::MAX_RING).contains(&ring_len) {
        let expected = format!("a power of two from {} to {}", layout::MIN_RING, layout::MAX_RING);
        return wrong("ring length", ring_len, expected);
    }
    let max_ports = u32_at(header::MAX_PORTS);
    if max_ports == 0 || max_ports > layout::MAX_PORTS {
        return wrong("port slots", u64::from(max_ports), format!("1 to {}", layout::MAX_PORTS));
    }
    let slot_len = u32_at(header::SLOT_LEN);
    if slot_len as usize != SLOT {
        return wrong("octets of a slot", u64::from(slot_len), SLOT.to_string());
    }
    let geometry = Geometry { ring_len, max_ports };
    let ring_off = u64_at(header::RING_OFF);
    if ring_off != geometry.ring_off() as u64 {
        return wrong("ring offset", ring_off, geometry.ring_off().to_string());
    }
    let file_len = u64_at(header::FILE_LEN);
    if file_len != geometry.file_len() {
        return wrong("file length", file_len, geometry.file_len().to_string());
    }
    if found < file_len {
        return Err(OpenError::Truncated { path: path.to_owned(), found, expected: file_len });
    }
    Ok(geometry)
}

/// A NUL-padded text in the mapping; what is not UTF-8 is shown as such.
pub(crate) fn text(map: &Mapping, off: usize, max: usize) -> String {
    let mut octets = vec![0; max];
    map.copy_out(off, &mut octets);
    let end = octets.iter().position(|&b| b == 0).unwrap_or(max);
    String::from_utf8_lossy(&octets[..end]).into_owned()
}
