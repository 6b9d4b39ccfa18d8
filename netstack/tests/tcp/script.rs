//! Scripts of packets with what they cannot say themselves: values of the configuration that have
//! no sysctl. All others are files in `tests/drill`, whose engine plays these, too.

use crate::engine::{Drill, reach_folder};
use netstack::tcp::TcpConfig;

/// Plays a script after a change of its configuration; what comes out otherwise is a panic.
pub(crate) fn with(change: impl FnOnce(&mut TcpConfig), text: &str) {
    let played = Drill::parse("script", text, reach_folder()).and_then(|mut drill| {
        change(&mut drill.head.config);
        drill.run()
    });
    if let Err(report) = played {
        panic!("{report}");
    }
}
