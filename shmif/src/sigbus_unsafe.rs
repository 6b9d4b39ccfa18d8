//! What happens when a bus file shrinks while it is mapped, or its file system is full: not death by SIGBUS.
//!
//! The handler lays a page of zeroes over the one that is gone and marks the mapping as broken; the access that faulted goes on and finds
//! zeroes, which the ring's checks refuse like any other nonsense. Faults at other addresses go to whoever handled SIGBUS before.
//! The registry is a list of static chunks that only grows: a signal handler may take no lock and allocate nothing.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

const CHUNK: usize = 64;
const FREE: usize = 0;
/// Not page-aligned, so never the base of a mapping.
const RESERVED: usize = 1;

struct Entry {
    base: AtomicUsize,
    len: AtomicUsize,
    tripped: AtomicBool,
}

struct Chunk {
    entries: [Entry; CHUNK],
    next: AtomicPtr<Chunk>,
}

impl Chunk {
    const fn new() -> Chunk {
        Chunk {
            entries: [const {
                Entry {
                    base: AtomicUsize::new(FREE),
                    len: AtomicUsize::new(0),
                    tripped: AtomicBool::new(false),
                }
            }; CHUNK],
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
    fn next(&self) -> Option<&'static Chunk> {
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: null, or a leaked box that was stored with Release (in `Guard::new`) and is never freed.
        unsafe { next.as_ref() }
    }
}

static FIRST: Chunk = Chunk::new();
static PAGE: AtomicUsize = AtomicUsize::new(4096);

struct Former(libc::sigaction);
static FORMER: AtomicPtr<Former> = AtomicPtr::new(std::ptr::null_mut());
static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();

/// Guards a range of addresses for as long as it lives.
pub(crate) struct Guard(&'static Entry);

impl Guard {
    /// Registers the mapping at `base`.
    pub(crate) fn new(base: usize, len: usize) -> io::Result<Guard> {
        (*INSTALLED.get_or_init(install)).map_err(io::Error::from_raw_os_error)?;
        let mut chunk: &'static Chunk = &FIRST;
        loop {
            for entry in &chunk.entries {
                if entry.base.compare_exchange(FREE, RESERVED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    entry.len.store(len, Ordering::Relaxed);
                    entry.tripped.store(false, Ordering::Relaxed);
                    // SYNC POINT: guard. Pairs with the Acquire load of `base` in the handler: who sees the base sees its length.
                    entry.base.store(base, Ordering::Release);
                    return Ok(Guard(entry));
                }
            }
            chunk = match chunk.next() {
                Some(next) => next,
                None => {
                    let new = Box::into_raw(Box::new(Chunk::new()));
                    match chunk.next.compare_exchange(
                        std::ptr::null_mut(),
                        new,
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    ) {
                        // SAFETY: `new` came from a box just now and is leaked from here on.
                        Ok(_) => unsafe { &*new },
                        Err(other) => {
                            // SAFETY: nobody else has seen `new`; `other` is a leaked chunk of another thread.
                            unsafe {
                                drop(Box::from_raw(new));
                                &*other
                            }
                        }
                    }
                }
            };
        }
    }

    /// Whether a fault was caught in the range.
    #[inline]
    pub(crate) fn tripped(&self) -> bool {
        self.0.tripped.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.base.store(FREE, Ordering::Release);
    }
}

fn install() -> Result<(), i32> {
    PAGE.store(rustix::param::page_size(), Ordering::Relaxed);
    let mut former = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: plain old data, zeroes are a valid value; `handler` has the signature that SA_SIGINFO asks for and does only what is
    // async-signal-safe.
    unsafe {
        // The former handler must be known before the first fault can come, so it is asked for first.
        if libc::sigaction(libc::SIGBUS, std::ptr::null(), former.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
        }
        FORMER.store(Box::into_raw(Box::new(Former(former.assume_init()))), Ordering::Release);
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
        }
    }
    Ok(())
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a SA_SIGINFO handler.
    let addr = unsafe { (*info).si_addr() } as usize;
    let mut chunk = &FIRST;
    loop {
        for entry in &chunk.entries {
            let base = entry.base.load(Ordering::Acquire);
            if base <= RESERVED || addr < base || addr - base >= entry.len.load(Ordering::Relaxed) {
                continue;
            }
            entry.tripped.store(true, Ordering::Relaxed);
            let page = PAGE.load(Ordering::Relaxed);
            // SAFETY: the page lies inside a mapping of ours that is guarded, so alive; replacing it changes the values of octets which every
            // user of the mapping treats as changing at any moment. mmap is a bare system call and keeps errno apart from failing.
            let mapped = unsafe {
                libc::mmap(
                    (addr & !(page - 1)) as *mut libc::c_void,
                    page,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if mapped != libc::MAP_FAILED {
                return;
            }
        }
        match chunk.next() {
            Some(next) => chunk = next,
            None => break,
        }
    }
    chain(signal, info, context);
}

/// Not ours: as if we had never been.
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: null, or a leaked box stored with Release before the handler was installed.
    let former = unsafe { FORMER.load(Ordering::Acquire).as_ref() };
    match former {
        Some(Former(action)) if action.sa_sigaction == libc::SIG_IGN => {}
        Some(Former(action)) if action.sa_sigaction != libc::SIG_DFL => {
            if action.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: it was installed as a handler of three arguments.
                let call: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    unsafe { std::mem::transmute(action.sa_sigaction) };
                call(signal, info, context);
            } else {
                // SAFETY: it was installed as a handler of one argument.
                let call: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(action.sa_sigaction) };
                call(signal);
            }
        }
        _ => {
            // SAFETY: plain old data. The signal is blocked here and pending from now on: the default action strikes on return, whether
            // it was a fault or somebody's kill(2).
            unsafe {
                let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
                libc::raise(signal);
            }
        }
    }
}
