//! A lab on this host: its run directory, its processes, and everything that changes or asks them.
//!
//! State is on disk ([`rundir`], [`state`]), life is asked of the host ([`process`], [`view`]); so any `labctl` can take
//! over from any other, also from one that was killed. [`plan`] turns a topology into what is written, [`launch`]
//! starts it, [`stop`] ends it, [`node`] changes one node, [`session`] runs built-in programs on them (`names`: where they reach each other), [`exec`] and [`program`] the
//! host's, [`supervisors`] finds and ends these, [`mod@test`] does all of that for a topology's checks, or [`sim`] in virtual time; [`events`] says what a topology's events do. [`fault`] says what may be in the way, [`doctor`] looks for it beforehand.

pub mod deeds;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod fault;
pub(crate) mod impair;
pub mod interrupt;
pub mod judge;
pub mod launch;
pub mod limits;
pub mod lock;
mod names;
pub mod node;
mod own;
pub mod plan;
pub mod process;
pub mod program;
pub mod rundir;
pub mod select;
pub mod session;
pub mod sim;
pub mod state;
pub mod stop;
pub mod supervisors;
pub mod test;
pub mod usage;
pub mod view;
