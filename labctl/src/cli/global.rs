//! What every verb understands: which topology, which lab, how to speak; and how the topology file is found.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::TypedValueParser;

use super::Failure;
use crate::topology::{self, model::Lab};

/// Options of every verb.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// Topology file [default: lab.toml, else the only *.lab.toml in this folder]
    #[arg(short = 't', long, global = true, env = "LABCTL_TOPOLOGY", value_name = "FILE", value_parser = clap::builder::OsStringValueParser::new().map(PathBuf::from))]
    pub topology: Option<PathBuf>,
    /// Name of the lab, instead of the topology's
    #[arg(long, global = true, env = "LABCTL_LAB", value_name = "NAME")]
    pub lab: Option<String>,
    /// Print JSON
    #[arg(long, global = true, env = "LABCTL_JSON", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub json: bool,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true, env = "LABCTL_QUIET", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub quiet: bool,
    /// Say more; twice, much more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

impl Global {
    /// A variable of the environment that is set to nothing counts as unset.
    pub(super) fn forget_what_is_empty(&mut self) {
        let empty = |name: &str| std::env::var_os(name).is_some_and(|value| value.is_empty());
        if empty("LABCTL_TOPOLOGY") && self.topology.as_ref().is_some_and(|file| file.as_os_str().is_empty())
        {
            self.topology = None;
        }
        if empty("LABCTL_LAB") && self.lab.as_deref() == Some("") {
            self.lab = None;
        }
    }

    /// The topology file: `-t`, else `lab.toml`, else the only `*.lab.toml` in the current folder.
    ///
    /// # Errors
    /// Usage, naming what was looked for.
    pub fn topology_file(&self) -> Result<PathBuf, Failure> {
        match &self.topology {
            Some(file) => Ok(file.clone()),
            None => find(Path::new("")),
        }
    }

    /// The lab that the topology file means, under the name that `--lab` gives.
    ///
    /// # Errors
    /// The file is not found, or has faults.
    pub fn load(&self) -> Result<Lab, Failure> {
        let mut lab = topology::load(&self.topology_file()?)?;
        if let Some(name) = &self.lab {
            if !topology::names::is_name(name, topology::names::LAB_NAME_MAX) {
                let hint = "names are a-z, 0-9, \"_\", \".\" and \"-\"".to_owned();
                return Err(Failure::usage(format!("\"{name}\" cannot be the name of a lab"), hint));
            }
            lab.name.clone_from(name);
        }
        Ok(lab)
    }
}

/// Looks for the topology in a folder.
fn find(folder: &Path) -> Result<PathBuf, Failure> {
    let plain = folder.join("lab.toml");
    if plain.is_file() {
        return Ok(plain);
    }
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found: Vec<PathBuf> = std::fs::read_dir(shown)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| folder.join(entry.file_name()))
        .filter(|path| path.to_str().is_some_and(|name| name.ends_with(".lab.toml")) && path.is_file())
        .collect();
    found.sort();
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::usage(
            "no topology: neither lab.toml nor a *.lab.toml in this folder",
            "name it with -t FILE, or make one with labctl init".to_owned(),
        )),
        many => {
            let names: Vec<String> = many.iter().take(8).map(|path| path.display().to_string()).collect();
            Err(Failure::usage(
                format!("which topology? no lab.toml in this folder, but {} files *.lab.toml", many.len()),
                format!("choose one with -t: {}", names.join(", ")),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_topology_is_found_in_the_order_promised() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(find(folder.path()).unwrap_err().to_string().contains("neither lab.toml nor"));
        std::fs::write(at("a.lab.toml"), "").unwrap();
        std::fs::write(at("other.toml"), "").unwrap();
        assert_eq!(find(folder.path()).unwrap(), at("a.lab.toml"));
        std::fs::write(at("b.lab.toml"), "").unwrap();
        assert!(find(folder.path()).unwrap_err().hint().unwrap().contains("b.lab.toml"));
        std::fs::write(at("lab.toml"), "").unwrap();
        assert_eq!(find(folder.path()).unwrap(), at("lab.toml"));
    }
}
