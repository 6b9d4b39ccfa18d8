//! Below filters of container runtimes: what they refuse is done another way.
//!
//! Docker's refuses pidfd_getfd, user namespaces and io_uring; podman's refuses process_vm_readv and process_vm_writev. A program and its
//! supervisor both live below them.

use lab_tests::exec::{Lab, finish, succeeded};
use std::process::{Child, Command, Stdio};

/// A server of streams and datagrams that says who asks it.
const SERVER: &str = r#"
import socket, select
t = socket.create_server(("", 7000)); u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", 7000))
while True:
    for s in select.select([t, u], [], [])[0]:
        if s is u:
            data, peer = u.recvfrom(2000)
            u.sendmsg([data.upper(), b" ", peer[0].encode()], [], 0, peer)
        else:
            c, peer = t.accept()
            c.sendall(c.recv(100).upper() + b" " + peer[0].encode()); c.close()
"#;

const CLIENT: &str = r#"
import socket
for n in range(20):
    s = socket.create_connection(("h2", 7000)); s.sendall(b"stream"); print(s.makefile().read(), s.getpeername()[0]); s.close()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(30); u.bind(("", 7001)); u.sendto(b"datagram", ("10.0.2.2", 7000))
    data, anc, flags, peer = u.recvmsg(100); print(data.decode(), peer[0]); u.close()
try: socket.create_connection(("h2", 7002))
except ConnectionRefusedError: print("refused")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(30); u.connect(("h2", 7002)); u.send(b"x")
try: u.recvfrom(10)
except ConnectionRefusedError: print("refused")
"#;

/// `labctl exec` below a filter.
fn below(lab: &Lab, filter: &str, node: &str, words: &[&str]) -> Command {
    let mut command = lab.place.command(lab.file("refuse-unshare"));
    command.arg(filter).arg(lab.file("labctl")).args(["exec", node, "--"]).args(words);
    command
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn streams_and_datagrams_work_below(filter: &str) {
    let lab = Lab::across_a_router();
    lab.place.write("server.py", SERVER);
    lab.place.write("client.py", CLIENT);
    let server = below(&lab, filter, "h2", &["python3", "server.py"]).stdout(Stdio::null()).spawn();
    let _server = Server(server.expect("labctl runs"));
    lab.receives("h2", "udp", 7000);
    let said =
        succeeded(filter, &finish(&mut below(&lab, filter, "h1", &["python3", "client.py"]), "client.py"));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 42, "{said}");
    for pair in lines[..40].chunks(2) {
        assert_eq!(pair, ["STREAM 10.0.1.2 10.0.2.2", "DATAGRAM 10.0.1.2 10.0.2.2"], "{said}");
    }
    assert_eq!(lines[40..], ["refused", "refused"], "{said}");
    // What was closed is closed on the node as well.
    lab.until("sockets that are gone", || {
        lab.sockets("h1").iter().all(|socket| socket["state"] == "TIME-WAIT")
    });
    let pinged =
        succeeded("ping", &finish(&mut below(&lab, filter, "h1", &["ping", "-c", "1", "h2"]), "ping"));
    assert!(pinged.contains("1 received"), "{pinged}");
}

#[test]
fn where_descriptors_cannot_be_fetched() {
    streams_and_datagrams_work_below("--docker");
}

#[test]
fn where_memory_cannot_be_called_for() {
    streams_and_datagrams_work_below("--podman");
}
