//! A Linux kernel of its own, for what the host's has not: Debian's package `user-mode-linux`, a process like any other over the host's
//! files, which it only reads.

use anyhow::{Context, Result};
use lab_tests::Place;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// One that is installed.
pub(crate) struct Uml {
    modules: PathBuf,
    /// Its version.
    pub(crate) version: String,
}

impl Uml {
    /// The one that is installed.
    pub(crate) fn find() -> Result<Uml> {
        let folders = std::fs::read_dir("/usr/lib/uml/modules").context("Debian package user-mode-linux")?;
        let folder = folders.flatten().next().context("no modules in /usr/lib/uml/modules")?;
        let version = folder.file_name().to_string_lossy().into_owned();
        Ok(Uml { modules: folder.path().join("kernel"), version })
    }

    /// Boots it with these modules (paths below its `kernel`, no suffix) and runs a shell's script as its root; what that printed.
    pub(crate) fn run(&self, place: &Place, modules: &[&str], script: &str) -> Result<String> {
        let mut init = "#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
                        mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run\n"
            .to_owned();
        for module in modules {
            init +=
                &format!("busybox insmod {}/{module}.ko || busybox poweroff -f\n", self.modules.display());
        }
        init += &format!("echo {BEGIN}\n{script}\necho {END}\nbusybox poweroff -f\n");
        let init = place.write("init", &init);
        rustix::fs::chmod(&init, rustix::fs::Mode::from_raw_mode(0o755))?;
        let output = Command::new("linux.uml")
            .args(["mem=256M", "quiet", "ro", "root=/dev/root", "rootfstype=hostfs", "rootflags=/"])
            // The host's /dev stays: there may be the folder.
            .arg("devtmpfs.mount=0")
            .arg(format!("init={}", init.display()))
            .arg(format!("uml_dir={}/", place.path().display()))
            .args(["con=null", "con0=null,fd:1"])
            .env("TMPDIR", place.path())
            .stdin(Stdio::null())
            .output()
            .context("linux.uml (Debian package user-mode-linux)")?;
        let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        let parts = said.split_once(BEGIN).and_then(|(_, said)| said.split_once(END));
        let (said, _) =
            parts.with_context(|| format!("the user-mode kernel did not come to the end: {said}"))?;
        Ok(said.to_owned())
    }
}

const BEGIN: &str = "== begin ==";
const END: &str = "== end ==";
