//! The verbs through the built program, as a script would see them.

mod ends;
mod events;
mod explore;
mod families;
mod impair;
mod judged;
mod place;
mod programs;
mod running;
mod says;
mod silence;
mod sim;
mod simulated;
mod states;
mod top;
