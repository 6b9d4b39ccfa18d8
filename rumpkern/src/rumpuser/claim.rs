//! A core of one's own: two busy nodes of a lab do not share one.
//!
//! A host that balances its load sees tasks and not who works for whom. Of two nodes that carry a program's octets and the two programs, four
//! tasks on two cores, it puts the nodes on one core as soon as on two, though each program works for one of them, one after the other.
//! A node with a core of its own draws its program there, for the host wakes whoever sleeps near whoever wakes it.
//!
//! A claim is a lock of one octet, by the core's number, in a file of the lab's: it ends with its holder.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where claims of cores are staked.
#[derive(Debug)]
pub(super) struct Claims(PathBuf);

/// A core that no other node of the lab claims, for as long as this lives.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) core: usize,
    _file: File,
}

impl Claims {
    /// Those of the lab, one of whose nodes has this directory: `LAB/node/NAME`.
    pub(super) fn of_lab(node: &Path) -> Option<Claims> {
        Some(Claims(node.parent()?.parent()?.join("cores")))
    }

    /// Claims the first of `cores` that is free. `None`: none is, or there is no place for claims.
    pub(super) fn stake(&self, cores: impl IntoIterator<Item = usize>) -> Option<Claim> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.0)
            .ok()?;
        let core = cores.into_iter().find(|core| lock(&file, *core).is_ok())?;
        Some(Claim { core, _file: file })
    }
}

fn lock(file: &File, octet: usize) -> io::Result<()> {
    let range = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: octet as i64,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&range))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_has_one_holder_until_it_is_given_back() {
        let lab = tempfile::tempdir().unwrap();
        let claims = |node: &str| Claims::of_lab(&lab.path().join("node").join(node)).unwrap();
        let (a, b) = (claims("a"), claims("b"));
        let first = a.stake([1, 0]).unwrap();
        let second = b.stake([1, 0]).unwrap();
        assert_eq!((first.core, second.core), (1, 0));
        assert!(claims("c").stake([0, 1]).is_none(), "all have somebody");
        drop(first);
        assert_eq!(b.stake([0, 1]).map(|claim| claim.core), Some(1));
        assert!(Claims::of_lab(&lab.path().join("no/node/d")).unwrap().stake([0]).is_none(), "no such lab");
    }
}
