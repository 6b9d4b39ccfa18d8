//! The instance of the moment: made by `packetdrill_interface_init`, ended by `free`. The table's functions
//! get it as `userdata`; the symbols that stand before libc's ([`crate::interpose_unsafe`]) find it here.

#![allow(unsafe_code)]

use crate::flags::Flags;
use crate::server::SOCKET_VARIABLE;
use crate::shim::Shim;
use std::sync::{Arc, PoisonError, RwLock};

static CURRENT: RwLock<Option<Arc<Shim>>> = RwLock::new(None);

/// The instance of the moment.
pub(crate) fn current() -> Option<Arc<Shim>> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A new one, which takes the place of the one before. Ends the process if it cannot be.
pub(crate) fn start(flags: &str) -> *const Shim {
    // packetdrill locks all memory, present and future: a thread's own heap would be 64 MiB of it.
    // SAFETY: takes no pointers, and no other thread allocates while packetdrill's main thread is here.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let fail = |what: &dyn std::fmt::Display| -> ! {
        eprintln!("lab-packetdrill: {what}");
        std::process::exit(1)
    };
    let flags = Flags::parse(flags).unwrap_or_else(|error| fail(&error));
    let shim = Arc::new(Shim::start(flags).unwrap_or_else(|error| fail(&error)));
    // SAFETY: packetdrill's other thread waits for work and does not look at the environment; ours do not
    // either.
    unsafe { std::env::set_var(SOCKET_VARIABLE, shim.tools()) };
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = Some(shim.clone());
    Arc::into_raw(shim)
}

/// The end of one.
pub(crate) fn end(shim: *const Shim) {
    // SAFETY: what `start` has made and given to packetdrill, which gives it back once.
    let shim = unsafe { Arc::from_raw(shim) };
    let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &shim)) {
        *current = None;
    }
}
