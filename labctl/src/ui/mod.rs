//! How things look in a terminal: tables, progress. What they say is decided elsewhere.

mod progress;
mod table;

pub use progress::Progress;
pub use table::{Align, Table};
