//! Unmodified programs on a node.
//!
//! A *supervisor* starts a program behind a seccomp filter and is told of those of its system calls that name addresses, sockets or
//! interfaces. It makes them on a node, whose client it is ([`rumpclient`]); the program's sockets are ends of unix socket
//! pairs whose other ends the node holds, so its data flows without anybody's help. No root, no user namespace,
//! no preloaded library, no ptrace.
//!
//! | file | what it is |
//! |---|---|
//! | `filter` | which calls are looked at |
//! | `seccomp_unsafe` | the host's interface to them |
//! | `loader` | which calls of open(2) are the dynamic loader's |
//! | `launch_unsafe` | a program starts behind the filter |
//! | `supervisor` | the loop: calls, the node's answers, signals |
//! | `calls/` | each family of calls |
//! | `sockets`, `process`, `memory` | the program's sockets, descriptors, memory |
//! | `ahead` | what needs no round trip to the node |
//! | `written` | files of the node that it writes |
//! | `tree` | its processes, and their end |
//! | `handed` | a program of a node starts one on another |
//! | `calls/shared` | sockets go to programs of other sessions |
//! | `run` | the life of a supervisor |
//! | `probe` | whether the host allows all that |
//!
//! Interception is a convenience, not a sandbox: a hostile program can change its arguments while they are looked at, and
//! reach what the user can reach. It fails closed: when the supervisor is gone, `socket()` fails (ENOSYS) and is never the host's.

//!
//! # What a call costs
//!
//! Microseconds on a virtual machine with two CPUs (Linux 6.18), supervisor and program on one of them; there a switch between two
//! processes is most of each figure, and a call that stays in the host's kernel takes 0.2 to 1:
//!
//! | call | time |
//! |---|---|
//! | an open(2) that is the host's | 9: 6.7 the notification itself, 1.4 to read the path |
//! | one that the node answers | 45; 15 of a file that stays as it is |
//! | socket(2) of a stream | 50 to 80 |
//!
//! On two CPUs that wake each other a round trip to the node takes twice as long, the more so after a pause: what costs is to wake a CPU. So
//! the supervisor waits for calls where the host wakes it on the caller's CPU, and looks for a node's answer for a moment before it sleeps.
//!
//! Debian's curl makes 54 calls that are looked at, for one small page: 35 are opens of the host's files, most of them locales, which
//! cannot be told from the node's files by their flags. 32 more, of libraries, the filter knows by the place they are made at (`loader`). Of 14
//! round trips to the node two are left, socket(2) and connect(2): options go with connect(2), the names of a connection and that it stands the
//! node tells by itself (`ahead`), and files that stay as they are stand in its directories.
//!
//! # Where it differs from Linux
//!
//! read(2), write(2), recv(2) and send(2) are the unix socket's own, and so are some of their errors; to trap them would cost each
//! transfer 10 us. A program that calls recvfrom(2), recvmsg(2) or sendto(2) with an address, or asks for SO_ERROR, is told as on Linux.
//!
//! | a plain | says | on Linux | why |
//! |---|---|---|---|
//! | recv on a datagram socket after ICMP's refusal | ECONNRESET | ECONNREFUSED | the one error that the host puts on such a pair |
//! | send on a datagram socket while an ICMP error waits | ECONNRESET | that error | the same; raw sockets stand at one of the last descriptors that select(2) knows, where send is looked at |
//! | any send on a raw socket with IP_RECVERR while an ICMP error waits | success | that error | the error is in the queue, and shows; `traceroute -T` would lose its probes |
//! | send on a datagram socket without a peer | EPERM | EDESTADDRREQ | a unix socket refuses whom it is not connected to by this number |
//! | recv, send on a stream after a reset, where SO_SNDBUF is small and the last that was sent was large | end of file, EPIPE | ECONNRESET | the octet by which the host knows a reset would keep the program waiting for room |
//! | recv on a stream before connect(2) | EINVAL | ENOTCONN | the host's, of unix streams |
//! | write of a value that a file below `/proc/sys` refuses, by a descriptor that was moved, as a shell's `>` does | success, and a line on standard error | EINVAL | a pipe takes it; write(2) is looked at only where such a file was opened |
//! | any call that names an address, on a socket that a program of *another* node gave (SCM_RIGHTS) | ENOTSUP, EINVAL | nothing | such a socket is a unix socket here; octets it carries |
//! | fstat of an open file of the node | a file in memory | what stat(2) says of its path | directories and files of `/etc` agree: both are the node's view |
//! | chdir to a directory that the host has not | ENOENT | | a path's start is the host's; by a descriptor (`fchdir`) it works |
//! | open with O_PATH | a descriptor that reads | one that only names | the host adds no others |

mod ahead;
mod calls;
mod filter;
mod handed;
mod launch_unsafe;
mod loader;
mod memory;
mod probe;
mod process;
mod run;
mod seccomp_unsafe;
mod sockets;
mod supervisor;
mod tree;
mod undelivered;
mod written;

pub use handed::hand_over;
pub use probe::{Probe, probe};
pub use run::{ARGV0, Report, main_from_args};
pub use tree::Status;
