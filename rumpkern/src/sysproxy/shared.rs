//! Sockets that have come to another session's program: by SCM_RIGHTS, or because one program started the other.
//!
//! A socket stays its first session's, whose process has it open and carries its octets. A session that meets the end of another's asks for
//! it by the inode (LOOKUP) and gets a number of its own for it; calls by that number are made as if the first one's client had
//! asked. What was handed on outlives the first session's client: see [`Passing::outlive`].

use super::LIMITS;
use super::passed::Passing;
use crate::syscall::{Errno, Fd};
use rumpclient::wire::Sid;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

/// What numbers of other sessions' sockets begin with: no descriptor of a process is as high.
const MET: u32 = 1 << 30;

/// All sessions of a node.
#[derive(Default)]
pub(super) struct Sessions(RefCell<Vec<Weak<Passing>>>);

impl Sessions {
    pub(super) fn enter(&self, passing: &Rc<Passing>) {
        let mut sessions = self.0.borrow_mut();
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(Rc::downgrade(passing));
    }

    /// Whose socket it is whose end has this inode; `own` need not be one of them.
    pub(super) fn find(&self, own: &Rc<Passing>, inode: u64) -> Option<(Rc<Passing>, Fd)> {
        let sessions = self.0.borrow();
        let all = sessions.iter().filter_map(Weak::upgrade).chain([own.clone()]);
        all.into_iter().find_map(|passing| passing.by_inode(inode).map(|fd| (passing, fd)))
    }
}

/// Another session's sockets, by the numbers that this one knows them by.
#[derive(Default)]
pub(super) struct Met {
    sockets: RefCell<BTreeMap<u32, Socket>>,
    last: Cell<u32>,
}

struct Socket {
    of: Weak<Passing>,
    fd: Fd,
    inode: u64,
}

impl Socket {
    /// It, unless it is closed: then another may have its number.
    fn live(&self) -> Option<(Rc<Passing>, Fd)> {
        let passing = self.of.upgrade()?;
        (passing.by_inode(self.inode) == Some(self.fd)).then_some((passing, self.fd))
    }
}

impl Met {
    /// The number of a socket here.
    pub(super) fn meet(&self, of: &Rc<Passing>, fd: Fd, inode: u64) -> Result<u32, Errno> {
        let mut sockets = self.sockets.borrow_mut();
        if let Some((number, _)) =
            sockets.iter().find(|(_, socket)| socket.inode == inode && socket.live().is_some())
        {
            return Ok(*number);
        }
        sockets.retain(|_, socket| socket.live().is_some());
        if sockets.len() >= LIMITS.descriptors as usize {
            return Err(Errno::EMFILE);
        }
        // Not one that was another's: whoever used that would mean it.
        let number = self.last.get().wrapping_add(1) % MET;
        self.last.set(number);
        sockets.insert(MET + number, Socket { of: Rc::downgrade(of), fd, inode });
        Ok(MET + number)
    }

    /// Whose socket a number is; `None`: it is the session's own affair, and no descriptor if it is no longer anybody's.
    pub(super) fn resolve(&self, sid: Sid) -> Option<(Rc<Passing>, Fd)> {
        self.sockets.borrow().get(&sid.0)?.live()
    }
}
