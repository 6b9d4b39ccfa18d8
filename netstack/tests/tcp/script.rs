//! Scripts of packets that need Rust around them, played by the engine of `tests/drill`.

use crate::engine::{self, Drill, reach_folder};
use netstack::tcp::TcpConfig;
use netstack::tcp::cc::Algorithm;

/// The default configuration, but for the window: what NewReno makes of it can be done in one's head.
pub(crate) fn reno() -> TcpConfig {
    TcpConfig { congestion_control: Algorithm::NewReno, ..TcpConfig::default() }
}

/// Runs a script that may say itself how TCP is configured; else with NewReno.
pub(crate) fn run(text: &str) {
    let read = Drill::parse("script", text, reach_folder());
    if let Err(report) = read.and_then(|drill| drill.run()) {
        panic!("{report}");
    }
}

/// Runs a script.
pub(crate) fn with(config: TcpConfig, text: &str) {
    let mut s = Script::new(config);
    s.play(text);
    s.finish();
}

/// A script that is being played; what comes out otherwise is a panic.
pub(crate) struct Script(engine::Script);

impl Script {
    pub(crate) fn new(config: TcpConfig) -> Script {
        Script(engine::Script::new(config, false))
    }

    /// Plays more lines.
    pub(crate) fn play(&mut self, text: &str) {
        let read = Drill::parse("script", text, reach_folder());
        if let Err(report) = read.and_then(|drill| self.0.play(&drill.lines)) {
            panic!("{report}");
        }
    }

    /// Nothing may be left over.
    pub(crate) fn finish(&mut self) {
        if let Err(report) = self.0.finish() {
            panic!("{report}");
        }
    }
}
