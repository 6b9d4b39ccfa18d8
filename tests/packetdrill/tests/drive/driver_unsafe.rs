//! The object as packetdrill has it: loaded with the same flags of `dlopen`, and called through its table.
//! The table is declared here again, from packetdrill's public header: two declarations that agree are a
//! test.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_longlong, c_uint, c_ulong, c_void};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

type User = *mut c_void;

#[repr(C)]
struct Interface {
    userdata: User,
    free: extern "C" fn(User),
    socket: extern "C" fn(User, c_int, c_int, c_int) -> c_int,
    bind: extern "C" fn(User, c_int, *const c_void, c_uint) -> c_int,
    listen: extern "C" fn(User, c_int, c_int) -> c_int,
    accept: extern "C" fn(User, c_int, *mut c_void, *mut c_uint) -> c_int,
    connect: extern "C" fn(User, c_int, *const c_void, c_uint) -> c_int,
    read: extern "C" fn(User, c_int, *mut c_void, usize) -> isize,
    readv: extern "C" fn(User, c_int, *const libc::iovec, c_int) -> isize,
    recv: extern "C" fn(User, c_int, *mut c_void, usize, c_int) -> isize,
    recvfrom: extern "C" fn(User, c_int, *mut c_void, usize, c_int, *mut c_void, *mut c_uint) -> isize,
    recvmsg: extern "C" fn(User, c_int, *mut libc::msghdr, c_int) -> isize,
    write: extern "C" fn(User, c_int, *const c_void, usize) -> isize,
    writev: extern "C" fn(User, c_int, *const libc::iovec, c_int) -> isize,
    send: extern "C" fn(User, c_int, *const c_void, usize, c_int) -> isize,
    sendto: extern "C" fn(User, c_int, *const c_void, usize, c_int, *const c_void, c_uint) -> isize,
    sendmsg: extern "C" fn(User, c_int, *const libc::msghdr, c_int) -> isize,
    fcntl: unsafe extern "C" fn(User, c_int, c_int, ...) -> c_int,
    ioctl: unsafe extern "C" fn(User, c_int, c_ulong, ...) -> c_int,
    close: extern "C" fn(User, c_int) -> c_int,
    shutdown: extern "C" fn(User, c_int, c_int) -> c_int,
    getsockopt: extern "C" fn(User, c_int, c_int, c_int, *mut c_void, *mut c_uint) -> c_int,
    setsockopt: extern "C" fn(User, c_int, c_int, c_int, *const c_void, c_uint) -> c_int,
    poll: extern "C" fn(User, *mut libc::pollfd, c_ulong, c_int) -> c_int,
    netdev_send: extern "C" fn(User, *const c_void, usize) -> c_int,
    netdev_receive: extern "C" fn(User, *mut c_void, *mut usize, *mut c_longlong) -> c_int,
    usleep: extern "C" fn(User, c_uint) -> c_int,
    gettimeofday: extern "C" fn(User, *mut libc::timeval, *mut c_void) -> c_int,
    epoll_create: extern "C" fn(User, c_int) -> c_int,
    epoll_ctl: extern "C" fn(User, c_int, c_int, c_int, *mut libc::epoll_event) -> c_int,
    epoll_wait: extern "C" fn(User, c_int, *mut libc::epoll_event, c_int, c_int) -> c_int,
    pipe: extern "C" fn(User, *mut c_int) -> c_int,
    splice: extern "C" fn(User, c_int, *mut c_longlong, c_int, *mut c_longlong, usize, c_uint) -> isize,
}

/// One instance. There is one at a time: scripts, too, run one after the other.
pub(crate) struct Driver {
    table: Interface,
    _only: MutexGuard<'static, ()>,
}

// SAFETY: packetdrill calls the functions of the table from two threads; that is what is tested.
unsafe impl Sync for Driver {}

/// What a call returned: a value, or errno.
pub(crate) type Done = Result<usize, c_int>;

fn done(value: isize) -> Done {
    // SAFETY: the thread's own errno.
    usize::try_from(value).map_err(|_| unsafe { *libc::__errno_location() })
}

/// Where cargo puts the object: beside the directory of test programs, which is `deps`.
pub(crate) fn object() -> PathBuf {
    let me = std::env::current_exe().expect("my own path");
    let deps = me.parent().expect("a directory");
    deps.join("liblab_packetdrill.so")
}

fn sockaddr(to: SocketAddrV4) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[0] = libc::AF_INET as u8;
    octets[2..4].copy_from_slice(&to.port().to_be_bytes());
    octets[4..8].copy_from_slice(&to.ip().octets());
    octets
}

impl Driver {
    pub(crate) fn load(flags: &str) -> Driver {
        static ONLY: Mutex<()> = Mutex::new(());
        let only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
        let path = CString::new(object().into_os_string().into_encoded_bytes()).expect("no NUL");
        let flags = CString::new(flags).expect("no NUL");
        let mut table = MaybeUninit::<Interface>::uninit();
        // SAFETY: as packetdrill does: the symbol has this type, and fills in the table.
        let table = unsafe {
            let how = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE | libc::RTLD_DEEPBIND;
            let handle = libc::dlopen(path.as_ptr(), how);
            assert!(!handle.is_null(), "{:?}", CStr::from_ptr(libc::dlerror()));
            let init = libc::dlsym(handle, c"packetdrill_interface_init".as_ptr());
            assert!(!init.is_null());
            let init: extern "C" fn(*const c_char, *mut Interface) = std::mem::transmute(init);
            init(flags.as_ptr(), table.as_mut_ptr());
            table.assume_init()
        };
        Driver { table, _only: only }
    }

    pub(crate) fn socket(&self, kind: c_int) -> c_int {
        let fd = (self.table.socket)(self.table.userdata, libc::AF_INET, kind, 0);
        assert!(fd >= 0);
        fd
    }

    pub(crate) fn bind(&self, fd: c_int, to: SocketAddrV4) -> Done {
        done((self.table.bind)(self.table.userdata, fd, sockaddr(to).as_ptr().cast(), 16) as isize)
    }

    pub(crate) fn listen(&self, fd: c_int, backlog: c_int) -> Done {
        done((self.table.listen)(self.table.userdata, fd, backlog) as isize)
    }

    pub(crate) fn connect(&self, fd: c_int, to: SocketAddrV4) -> Done {
        done((self.table.connect)(self.table.userdata, fd, sockaddr(to).as_ptr().cast(), 16) as isize)
    }

    /// The new descriptor and the octets of the peer's address.
    pub(crate) fn accept(&self, fd: c_int) -> Result<(c_int, Vec<u8>), c_int> {
        let (mut addr, mut len) = ([0u8; 128], 128);
        let new = (self.table.accept)(self.table.userdata, fd, addr.as_mut_ptr().cast(), &raw mut len);
        done(new as isize).map(|new| (new as c_int, addr[..len as usize].to_vec()))
    }

    pub(crate) fn write(&self, fd: c_int, octets: &[u8]) -> Done {
        done((self.table.write)(self.table.userdata, fd, octets.as_ptr().cast(), octets.len()))
    }

    pub(crate) fn writev(&self, fd: c_int, parts: [&[u8]; 2]) -> Done {
        let iov =
            parts.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
        done((self.table.writev)(self.table.userdata, fd, iov.as_ptr(), 2))
    }

    pub(crate) fn send(&self, fd: c_int, octets: &[u8], flags: c_int) -> Done {
        done((self.table.send)(self.table.userdata, fd, octets.as_ptr().cast(), octets.len(), flags))
    }

    pub(crate) fn sendto(&self, fd: c_int, octets: &[u8], to: SocketAddrV4) -> Done {
        let (send, to) = (self.table.sendto, sockaddr(to));
        let (data, len) = (octets.as_ptr().cast(), octets.len());
        done(send(self.table.userdata, fd, data, len, 0, to.as_ptr().cast(), 16))
    }

    pub(crate) fn sendmsg(&self, fd: c_int, octets: &[u8], to: SocketAddrV4) -> Done {
        let mut to = sockaddr(to);
        let mut iov = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        let msg = libc::msghdr {
            msg_name: to.as_mut_ptr().cast(),
            msg_namelen: 16,
            msg_iov: &raw mut iov,
            msg_iovlen: 1,
            msg_control: null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        done((self.table.sendmsg)(self.table.userdata, fd, &raw const msg, 0))
    }

    /// Into two buffers.
    pub(crate) fn readv(&self, fd: c_int, first: &mut [u8], second: &mut [u8]) -> Done {
        let iov = [first, second]
            .map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
        done((self.table.readv)(self.table.userdata, fd, iov.as_ptr(), 2))
    }

    /// What came, and the octets of the sender's address.
    pub(crate) fn recvfrom(&self, fd: c_int, octets: &mut [u8]) -> (Done, Vec<u8>) {
        let (mut addr, mut len) = ([0u8; 128], 128);
        let (receive, to, room) = (self.table.recvfrom, octets.as_mut_ptr().cast(), octets.len());
        let n = receive(self.table.userdata, fd, to, room, 0, addr.as_mut_ptr().cast(), &raw mut len);
        (done(n), addr[..len as usize].to_vec())
    }

    pub(crate) fn read(&self, fd: c_int, octets: &mut [u8]) -> Done {
        done((self.table.read)(self.table.userdata, fd, octets.as_mut_ptr().cast(), octets.len()))
    }

    pub(crate) fn recv(&self, fd: c_int, len: usize, flags: c_int) -> Done {
        let mut octets = vec![0u8; len];
        done((self.table.recv)(self.table.userdata, fd, octets.as_mut_ptr().cast(), len, flags))
    }

    /// `recvmsg` with one buffer and room for control data: what it returned, and the message's flags and
    /// lengths.
    pub(crate) fn recvmsg(&self, fd: c_int, len: usize, flags: c_int) -> (Done, c_int, usize) {
        let (mut octets, mut control) = (vec![0u8; len], [0u8; 256]);
        let mut iov = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: len };
        let mut msg = libc::msghdr {
            msg_name: null_mut(),
            msg_namelen: 0,
            msg_iov: &raw mut iov,
            msg_iovlen: 1,
            msg_control: control.as_mut_ptr().cast(),
            msg_controllen: control.len(),
            msg_flags: 77,
        };
        let got = done((self.table.recvmsg)(self.table.userdata, fd, &raw mut msg, flags));
        (got, msg.msg_flags, msg.msg_controllen)
    }

    pub(crate) fn fcntl(&self, fd: c_int, command: c_int, argument: c_int) -> Done {
        // SAFETY: the third argument is an int, as the commands have it.
        done(unsafe { (self.table.fcntl)(self.table.userdata, fd, command, argument) } as isize)
    }

    pub(crate) fn ioctl(&self, fd: c_int, request: c_ulong) -> Result<c_int, c_int> {
        let mut value: c_int = -1;
        // SAFETY: the third argument is an int's address, as the requests have it.
        let ret = unsafe { (self.table.ioctl)(self.table.userdata, fd, request, &raw mut value) };
        done(ret as isize).map(|_| value)
    }

    pub(crate) fn setsockopt(&self, fd: c_int, level: c_int, name: c_int, value: c_int) -> Done {
        let set = self.table.setsockopt;
        done(set(self.table.userdata, fd, level, name, (&raw const value).cast(), 4) as isize)
    }

    pub(crate) fn getsockopt(&self, fd: c_int, level: c_int, name: c_int) -> Result<c_int, c_int> {
        let (mut value, mut len): (c_int, c_uint) = (0, 4);
        let get = self.table.getsockopt;
        let ret = get(self.table.userdata, fd, level, name, (&raw mut value).cast(), &raw mut len);
        done(ret as isize).map(|_| value)
    }

    pub(crate) fn shutdown(&self, fd: c_int, how: c_int) -> Done {
        done((self.table.shutdown)(self.table.userdata, fd, how) as isize)
    }

    pub(crate) fn close(&self, fd: c_int) -> Done {
        done((self.table.close)(self.table.userdata, fd) as isize)
    }

    pub(crate) fn poll(&self, fd: c_int, events: i16, ms: c_int) -> (Done, i16) {
        let mut poll = libc::pollfd { fd, events, revents: -1 };
        let told = done((self.table.poll)(self.table.userdata, &raw mut poll, 1, ms) as isize);
        (told, poll.revents)
    }

    pub(crate) fn epoll_create(&self) -> c_int {
        (self.table.epoll_create)(self.table.userdata, 1)
    }

    pub(crate) fn epoll_ctl(&self, set: c_int, op: c_int, fd: c_int, events: u32, word: u64) -> Done {
        let mut event = libc::epoll_event { events, u64: word };
        done((self.table.epoll_ctl)(self.table.userdata, set, op, fd, &raw mut event) as isize)
    }

    pub(crate) fn epoll_wait(&self, set: c_int, ms: c_int) -> Vec<(u32, u64)> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        let n = (self.table.epoll_wait)(self.table.userdata, set, events.as_mut_ptr(), 8, ms);
        events[..usize::try_from(n).expect("no error")]
            .iter()
            .map(|event| (event.events, event.u64))
            .collect()
    }

    pub(crate) fn pipe(&self) -> [c_int; 2] {
        let mut ends = [-1; 2];
        assert_eq!((self.table.pipe)(self.table.userdata, ends.as_mut_ptr()), 0);
        ends
    }

    pub(crate) fn splice(&self, from: c_int, to: c_int, len: usize) -> Done {
        done((self.table.splice)(self.table.userdata, from, null_mut(), to, null_mut(), len, 0))
    }

    pub(crate) fn netdev_send(&self, packet: &[u8]) {
        assert_eq!((self.table.netdev_send)(self.table.userdata, packet.as_ptr().cast(), packet.len()), 0);
    }

    /// The next packet and its time in microseconds; no octets: given up.
    pub(crate) fn netdev_receive(&self) -> (Vec<u8>, i64) {
        let mut octets = vec![0u8; 65_535];
        let (mut len, mut micros) = (octets.len(), -1);
        let receive = self.table.netdev_receive;
        assert_eq!(
            receive(self.table.userdata, octets.as_mut_ptr().cast(), &raw mut len, &raw mut micros),
            0
        );
        octets.truncate(len);
        (octets, micros)
    }

    pub(crate) fn usleep(&self, micros: u32) {
        assert_eq!((self.table.usleep)(self.table.userdata, micros), 0);
    }

    /// Microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        assert_eq!((self.table.gettimeofday)(self.table.userdata, &raw mut time, null_mut()), 0);
        time.tv_sec * 1_000_000 + time.tv_usec
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        (self.table.free)(self.table.userdata);
    }
}

/// libc's `getsockopt`, whoever stands before it.
pub(crate) fn libc_getsockopt(fd: c_int, level: c_int, name: c_int, room: usize) -> Result<Vec<u8>, c_int> {
    let (mut octets, mut len) = (vec![0u8; room], room as c_uint);
    // SAFETY: room for as many octets as `len` says.
    let ret = unsafe { libc::getsockopt(fd, level, name, octets.as_mut_ptr().cast(), &raw mut len) };
    done(ret as isize).map(|_| {
        octets.truncate(len as usize);
        octets
    })
}

/// libc's `close`, whoever stands before it.
pub(crate) fn libc_close(fd: c_int) -> Done {
    // SAFETY: descriptors of the test's own.
    done(unsafe { libc::close(fd) } as isize)
}

/// `system(3)`: the exit status.
pub(crate) fn system(line: &str) -> c_int {
    let line = CString::new(line).expect("no NUL");
    // SAFETY: a C string.
    let status = unsafe { libc::system(line.as_ptr()) };
    libc::WEXITSTATUS(status)
}

/// Prepends to `PATH` for the programs that [`system`] starts.
pub(crate) fn prepend_path(dir: &std::path::Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = vec![dir.to_owned()];
    all.extend(std::env::split_paths(&path));
    // SAFETY: the driver's lock is held by the only thread that looks at the environment.
    unsafe { std::env::set_var("PATH", std::env::join_paths(all).expect("no colon")) };
}
