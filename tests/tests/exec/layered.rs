//! Below filters of container runtimes: what they refuse is done another way.
//!
//! Docker's refuses pidfd_getfd, user namespaces and io_uring; podman's refuses process_vm_readv and process_vm_writev. A program and its
//! supervisor both live below them.

use lab_tests::exec::{H1, H2, Lab, finish, succeeded};
use lab_tests::family::Family;
use lab_tests::in_each_family;
use std::process::{Child, Command, Stdio};

in_each_family!(where_descriptors_cannot_be_fetched, where_memory_cannot_be_called_for);

/// A server of streams and datagrams that says who asks it.
const SERVER: &str = r#"
import socket, select, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
t = socket.create_server(("", 7000), family=family); u = socket.socket(family, socket.SOCK_DGRAM); u.bind(("", 7000))
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
import socket, sys
family, to = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, sys.argv[1]
for n in range(20):
    s = socket.create_connection(("h2", 7000)); s.sendall(b"stream"); print(s.makefile().read(), s.getpeername()[0]); s.close()
    u = socket.socket(family, socket.SOCK_DGRAM); u.settimeout(30); u.bind(("", 7001)); u.sendto(b"datagram", (to, 7000))
    data, anc, flags, peer = u.recvmsg(100); print(data.decode(), peer[0]); u.close()
try: socket.create_connection(("h2", 7002))
except ConnectionRefusedError: print("refused")
u = socket.socket(family, socket.SOCK_DGRAM); u.settimeout(30); u.connect(("h2", 7002)); u.send(b"x")
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

fn streams_and_datagrams_work_below(family: Family, filter: &str) {
    let lab = Lab::across_a_router(family);
    let (own, to) = (family.addr(H1).to_string(), family.addr(H2).to_string());
    lab.place.write("server.py", SERVER);
    lab.place.write("client.py", CLIENT);
    let server = below(&lab, filter, "h2", &["python3", "server.py", &to]).stdout(Stdio::null()).spawn();
    let _server = Server(server.expect("labctl runs"));
    lab.receives("h2", "udp", 7000);
    let said = succeeded(
        filter,
        &finish(&mut below(&lab, filter, "h1", &["python3", "client.py", &to]), "client.py"),
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 42, "{said}");
    for pair in lines[..40].chunks(2) {
        assert_eq!(pair, [format!("STREAM {own} {to}"), format!("DATAGRAM {own} {to}")], "{said}");
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

fn where_descriptors_cannot_be_fetched(family: Family) {
    streams_and_datagrams_work_below(family, "--docker");
}

fn where_memory_cannot_be_called_for(family: Family) {
    streams_and_datagrams_work_below(family, "--podman");
}
