//! Built-in programs on kernels under test.

use super::{Text, World};
use rumpkern::proc::Process;
use serde_json::Value;
use std::rc::Rc;

/// A program that runs, or ran.
pub struct Run {
    pub process: Rc<Process>,
    pub out: Text,
    pub err: Text,
}

impl Run {
    pub fn out(&self) -> String {
        self.out.0.borrow().clone()
    }

    pub fn err(&self) -> String {
        self.err.0.borrow().clone()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out()).unwrap_or_else(|error| panic!("{error}: {}", self.out()))
    }
}

/// Starts `command` on kernel `n`.
pub fn start(world: &World, n: usize, command: &str, json: bool) -> Run {
    let (out, err) = (Text::default(), Text::default());
    let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let sinks = (Rc::new(out.clone()), Rc::new(err.clone()));
    let process =
        world.kernels[n].spawn("prog", sinks.0, sinks.1, |sys| rumpkern::prog::run(sys, argv, json));
    Run { process, out, err }
}

/// Starts a server, and lets it listen.
pub fn serve(world: &World, n: usize, command: &str, json: bool) -> Run {
    let run = start(world, n, command, json);
    world.settle();
    run
}

/// Runs it to its end; its status is checked, for people first and then as JSON.
pub fn run(world: &World, n: usize, command: &str, status: i32) -> (Run, Run) {
    let [text, json] = [false, true].map(|json| {
        let run = start(world, n, command, json);
        world.run_until(|| run.process.status().is_some());
        assert_eq!(run.process.status(), Some(status), "{command}\n{}{}", run.out(), run.err());
        run
    });
    (text, json)
}
