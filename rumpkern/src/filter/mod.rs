//! Filters of frames, compiled: what `labctl`'s filter language comes to, and how it is run.
//!
//! | file | what |
//! |---|---|
//! | [`code`] | loads, comparisons, and how they are put together |
//! | [`field`] | fields of headers by Wireshark's names |

pub mod code;
pub mod field;

use serde::{Deserialize, Serialize};

/// A compiled filter, and how it was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// How it was written.
    pub text: String,
    /// What it comes to; absent: it chooses everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<code::Node>,
}

impl Filter {
    /// Whether an Ethernet frame (from its destination address, without FCS) is one of those asked for.
    pub fn matches(&self, frame: &[u8]) -> bool {
        self.program.as_ref().is_none_or(|program| program.run(&code::Frame::new(frame)) == Ok(true))
    }
}
