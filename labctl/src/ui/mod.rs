//! How things look in a terminal: tables, progress. What they say is decided elsewhere.

mod progress;
mod short;
mod table;

pub use progress::Progress;
pub use short::short;
pub use table::{Align, Table};
