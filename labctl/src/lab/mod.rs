//! A lab on this host: its run directory, its processes, and everything that changes or asks them.
//!
//! State is on disk ([`rundir`], [`state`]), life is asked of the host ([`process`], [`view`]); so any `labctl` can take
//! over from any other, also from one that was killed. [`stop`] ends labs whatever became of them. [`fault`] says what
//! may be in the way.

pub mod fault;
pub mod interrupt;
pub mod limits;
pub mod lock;
pub mod process;
pub mod rundir;
pub mod state;
pub mod stop;
pub mod view;
