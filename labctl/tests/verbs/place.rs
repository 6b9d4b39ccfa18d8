//! Where the built program is run: a run root and a folder with a topology of one's own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) const HELLO: &str = r#"
name = "hello"
[node]
h1 = {}
r1 = { forward = true }
h2 = {}
[bus]
left  = { subnet = "10.0.1.0/24", nodes = ["r1", "h1"] }
right = { subnet = "10.0.2.0/24", nodes = ["r1", "h2"] }
"#;

/// A run root and a working folder of one's own; the labs in it are taken down at the end.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) run: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("verbs-").tempdir().unwrap();
        let run = dir.path().join("run");
        fs::write(dir.path().join("hello.lab.toml"), HELLO).unwrap();
        Self { dir, run }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_labctl"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("LABCTL_DIR", &self.run)
            .env("NO_COLOR", "1")
            .env_remove("LABCTL_LAB")
            .env_remove("LABCTL_TOPOLOGY")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "labctl {words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn lab(&self) -> PathBuf {
        self.run.join("hello")
    }

    pub(crate) fn pids(&self) -> Vec<i32> {
        let ps: serde_json::Value = serde_json::from_str(&self.ok(&["ps", "--json"])).unwrap();
        let nodes = ps["nodes"].as_array().unwrap();
        nodes.iter().filter_map(|node| node["pid"].as_i64()).map(|pid| i32::try_from(pid).unwrap()).collect()
    }

    /// No process and no file.
    pub(crate) fn assert_clean(&self) {
        let left = labctl::lab::process::scan(&self.run);
        assert!(left.is_empty(), "{left:?}");
        let left = labctl::lab::supervisors::scan(&self.run);
        assert!(left.is_empty(), "{left:?}");
        let files: Vec<_> =
            fs::read_dir(&self.run).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert!(files.is_empty(), "{files:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--all"]).output();
    }
}

pub(crate) fn kill(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}
