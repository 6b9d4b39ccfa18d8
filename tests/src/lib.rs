//! The library of the end-to-end tests: the built `labctl`, labs that clean up after themselves, ordinary users.
//!
//! Everything here goes through the command line and its exit codes, as a user or a script would; what a test
//! wants to know it asks with `--json`.

pub mod exec;
pub mod family;
pub mod fuzz;
pub mod seccomp_unsafe;
pub mod suites;

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The folder that holds the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the workspace")
}

/// A program that this build made (`labctl`, `refuse-unshare`): it stands beside the folder of the test programs.
pub fn built(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("the test program has a path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.push(name);
    assert!(path.exists(), "{} is not built: cargo build --workspace", path.display());
    path
}

/// An outside program that a test cannot do without; panics with the line that installs it.
pub fn program(name: &str, package: &str) -> PathBuf {
    let found = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|p| p.exists());
    found.unwrap_or_else(|| panic!("{name} is missing; install it with: apt-get install {package}"))
}

/// Waits until `probe` gives a value, at most `bound`; the panic names what was waited for.
pub fn wait_for<T>(what: &str, bound: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + bound;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "waited {bound:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Who runs `labctl` in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the tests.
    Myself,
    /// uid and gid 65534, no capability, no new privileges, and a system call filter that refuses user namespaces.
    /// Without root the tests are run by an ordinary user already, who gets the filter.
    Ordinary,
}

/// The uid of [`User::Ordinary`].
pub const NOBODY: u32 = 65534;

/// A private place for one test: a run directory for labs and a working folder. All labs in it are taken down at the end.
#[derive(Debug)]
pub struct Place {
    user: User,
    labctl: PathBuf,
    dir: TempDir,
}

impl Place {
    /// A place of one's own.
    pub fn new(user: User) -> Place {
        let dir = tempfile::Builder::new().prefix("lab-").tempdir().expect("a temporary folder");
        let mut labctl = built("labctl");
        if user == User::Ordinary {
            // The build folder may lie where nobody else may look.
            for name in ["labctl", "refuse-unshare"] {
                std::fs::copy(built(name), dir.path().join(name)).expect("a copy of the program");
            }
            labctl = dir.path().join("labctl");
            if nix::unistd::geteuid().is_root() {
                nix::unistd::chown(dir.path(), Some(NOBODY.into()), Some(NOBODY.into())).expect("chown");
            }
        }
        Place { user, labctl, dir }
    }

    /// Uid and gid of this place's user.
    pub fn ids(&self) -> (u32, u32) {
        match self.user {
            User::Ordinary if nix::unistd::geteuid().is_root() => (NOBODY, NOBODY),
            User::Ordinary | User::Myself => {
                (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
            }
        }
    }

    /// The working folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into the working folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file in the working folder");
        path
    }

    /// Any command, as this place's user, in the working folder, with `labctl` first on the path.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.user {
            User::Myself => Command::new(program),
            // Already one: only the filter is missing.
            User::Ordinary if !nix::unistd::geteuid().is_root() => {
                let mut c = Command::new(self.path().join("refuse-unshare"));
                c.arg(program);
                c
            }
            User::Ordinary => {
                let mut c = Command::new(crate::program("setpriv", "util-linux"));
                let id = NOBODY.to_string();
                c.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all"]);
                // The bounding set stays as everybody has it: without it the host refuses to execute a file that has
                // capabilities, as Debian's ping.
                c.arg("--no-new-privs");
                c.arg(self.path().join("refuse-unshare")).arg(program);
                c
            }
        };
        let bin = self.labctl.parent().expect("a program stands in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.path())
            .env("LABCTL_DIR", self.path().join("run"))
            .env("HOME", self.path())
            .env("NO_COLOR", "1")
            .env("PATH", format!("{}:{path}:/usr/sbin", bin.display()))
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    /// `labctl` with these words.
    pub fn labctl<I: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.command(&self.labctl);
        command.args(words);
        command
    }

    /// Runs `labctl`, whatever comes of it.
    pub fn run(&self, words: &str) -> Output {
        self.labctl(words.split_whitespace()).output().expect("labctl runs")
    }

    /// Runs `labctl`, which must succeed; gives what it printed.
    pub fn ok(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(
            output.status.success(),
            "labctl {words}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("labctl prints UTF-8")
    }

    /// Runs `labctl … --json`, which must succeed and print one object.
    pub fn json(&self, words: &str) -> Value {
        let text = self.ok(&format!("{words} --json"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("labctl {words} --json: {e} in {text}"))
    }

    /// The run directory of a lab.
    pub fn lab_dir(&self, lab: &str) -> PathBuf {
        self.path().join("run").join(lab)
    }

    /// The process of a node, from `ps`.
    pub fn pid(&self, lab: &str, node: &str) -> i32 {
        let ps = self.json(&format!("--lab {lab} ps"));
        let nodes = ps["nodes"].as_array().expect("nodes");
        let row =
            nodes.iter().find(|n| n["name"] == node).unwrap_or_else(|| panic!("no node {node} in {ps}"));
        i32::try_from(row["pid"].as_i64().unwrap_or_else(|| panic!("no pid in {row}"))).expect("a pid")
    }

    /// Processes (zombies apart) whose command line names this place: what a lab must not leave behind.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let mine = self.path().display().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if words.contains(&mine) && (words.contains("rumpkern") || words.contains("rumphijack")) {
                found.push((pid, words));
            }
        }
        found
    }

    /// Asserts that nothing is left of any lab: no process, no file in the run directory.
    pub fn assert_clean(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "processes left behind: {left:?}");
        let run = self.path().join("run");
        let files: Vec<_> =
            std::fs::read_dir(&run).into_iter().flatten().flatten().map(|e| e.path()).collect();
        assert!(files.is_empty(), "files left behind: {files:?}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.labctl(["down", "--all"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        for (pid, _) in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
    }
}

/// A child that is killed when the test ends, also by panic.
#[derive(Debug)]
pub struct Guard(pub Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
