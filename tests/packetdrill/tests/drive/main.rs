//! The object driven as packetdrill drives it: the same `dlopen`, the same table, time only by its
//! functions, a second thread for calls that block, libc's own symbols for what packetdrill does beside the
//! table, and the shell.

mod driver_unsafe;
mod peer;

use driver_unsafe::{Driver, libc_close, libc_getsockopt, object, prepend_path, system};
use netstack::wire::tcp::Flags;
use peer::{Peer, established, local, remote};
use std::process::Command;
use std::thread;

#[test]
fn handshake_data_and_retransmissions_come_in_virtual_time() {
    let driver = Driver::load("profile=linux,local=192.168.0.2/16");
    let listener = driver.socket(libc::SOCK_STREAM);
    driver.bind(listener, local()).unwrap();
    driver.listen(listener, 1).unwrap();
    let mut peer = Peer::new(&driver);
    peer.plain_syn();
    let start = driver.now();
    assert_eq!(peer.expect("S. 0:0(0) ack 1 <mss 1460>"), start, "at once");
    assert_eq!(peer.expect("S. 0:0(0) ack 1 <mss 1460>"), start + 1_000_000, "the first RTO");
    assert_eq!(driver.now(), start + 1_000_000);

    driver.usleep(100_000);
    peer.send(Flags::ACK, 1, 1, &[]);
    let (fd, _) = driver.accept(listener).unwrap();
    assert_eq!(driver.write(fd, &[7; 1000]), Ok(1000));
    let sent = peer.expect("P. 1:1001(1000) ack 1");
    let now = driver.now();
    assert_eq!(now, sent);
    let (again, at) = peer.receive();
    assert_eq!(again, "P. 1:1001(1000) ack 1");
    assert!(at > now && at < sent + 10_000_000, "lost: again, without anybody's waiting {}", at - sent);
    peer.send(Flags::ACK, 1, 1001, &[]);

    peer.send(Flags::PSH | Flags::ACK, 1, 1001, &[9; 500]);
    let mut octets = [0; 1000];
    assert_eq!((driver.read(fd, &mut octets), octets[499]), (Ok(500), 9));
    peer.expect(". 1001:1001(0) ack 501");
    assert_eq!(driver.close(fd), Ok(0));
    peer.expect("F. 1001:1001(0) ack 501");
    peer.send(Flags::RST | Flags::ACK, 501, 1002, &[]);
    assert_eq!(driver.close(fd), Err(libc::EBADF));
    assert_eq!(peer.receive().0, "nothing", "given up");
}

#[test]
fn a_call_that_blocks_on_the_second_thread_ends_when_its_packet_comes() {
    let driver = Driver::load("");
    for _ in 0..20 {
        let (listener, fd, mut peer) = established(&driver);
        // As packetdrill: the call, then the clock, which says when it ended.
        let (read, ended, began) = thread::scope(|scope| {
            let began = driver.now();
            let (says, started) = std::sync::mpsc::channel();
            let second = scope.spawn({
                let driver = &driver;
                move || {
                    says.send(rustix::thread::gettid()).unwrap();
                    let read = driver.recv(fd, 2000, libc::MSG_WAITALL);
                    (read, driver.now())
                }
            });
            until_asleep(started.recv().unwrap());
            driver.usleep(100_000);
            peer.send(Flags::ACK, 1, 1, &[1; 1000]);
            driver.usleep(50_000);
            peer.send(Flags::PSH | Flags::ACK, 1001, 1, &[1; 1000]);
            driver.usleep(1_000_000);
            let (read, ended) = second.join().unwrap();
            (read, ended, began)
        });
        assert_eq!((read, ended), (Ok(2000), began + 150_000));
        assert_eq!(driver.now(), began + 1_150_000);
        peer.expect(". 1:1(0) ack 1001");
        peer.expect(". 1:1(0) ack 2001");
        driver.close(fd).unwrap();
        driver.close(listener).unwrap();
        peer.expect("F. 1:1(0) ack 2001");
        peer.send(Flags::RST | Flags::ACK, 2001, 2, &[]);
    }
}

/// As packetdrill: a call has begun when its thread sleeps.
fn until_asleep(thread: rustix::thread::Pid) {
    let stat = format!("/proc/self/task/{}/stat", thread.as_raw_nonzero());
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        thread::yield_now();
    }
}

#[test]
fn an_hour_is_short() {
    let driver = Driver::load("");
    let (_, fd, mut peer) = established(&driver);
    driver.setsockopt(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1).unwrap();
    let start = driver.now();
    driver.usleep(3_601_000_000);
    assert_eq!(driver.now(), start + 3_601_000_000);
    let probe = peer.expect(". 0:0(0) ack 1");
    assert!(
        (start + 7_199_000_000..=start + 7_201_000_000).contains(&probe),
        "two hours after the last segment"
    );
}

#[test]
fn a_main_thread_that_blocks_lets_time_pass() {
    let driver = Driver::load("");
    let (_, fd, _peer) = established(&driver);
    let start = driver.now();
    assert_eq!(driver.poll(fd, libc::POLLIN, 2500), (Ok(0), 0));
    assert_eq!(driver.now(), start + 2_500_000);
    assert_eq!(driver.poll(fd, libc::POLLIN | libc::POLLOUT, -1), (Ok(1), libc::POLLOUT));
    assert_eq!(driver.poll(99_999, libc::POLLIN, 0), (Ok(1), libc::POLLNVAL));
    // Nothing will ever come of itself.
    assert_eq!(driver.recv(fd, 10, 0), Err(libc::EINTR));
}

#[test]
fn a_connect_that_is_refused() {
    let driver = Driver::load("gateway=192.168.0.1");
    let fd = driver.socket(libc::SOCK_STREAM);
    assert_eq!(driver.fcntl(fd, libc::F_SETFL, libc::O_RDWR | libc::O_NONBLOCK), Ok(0));
    assert_eq!(driver.fcntl(fd, libc::F_GETFL, 0), Ok((libc::O_RDWR | libc::O_NONBLOCK) as usize));
    assert_eq!(driver.connect(fd, remote()), Err(libc::EINPROGRESS));
    let mut peer = Peer::new(&driver);
    peer.expect("S 0:0(0) <mss 1460,ts>");
    assert_eq!(driver.poll(fd, libc::POLLOUT, 0), (Ok(0), 0));
    peer.send(Flags::RST | Flags::ACK, 0, 1, &[]);
    let (told, events) = driver.poll(fd, libc::POLLOUT, 0);
    assert_eq!((told, events & libc::POLLERR), (Ok(1), libc::POLLERR));
    assert_eq!(driver.getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR), Ok(libc::ECONNREFUSED));
    assert_eq!(driver.write(fd, b"x"), Err(libc::EPIPE));
}

#[test]
fn options_and_the_error_queue_answer_as_linux() {
    let driver = Driver::load("");
    let (_, fd, mut peer) = established(&driver);
    driver.setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1).unwrap();
    assert_eq!(driver.getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY), Ok(1));
    driver.setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 100_000).unwrap();
    assert_eq!(driver.getsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF), Ok(200_000));
    assert_eq!(driver.setsockopt(fd, libc::SOL_SOCKET, libc::SO_ZEROCOPY, 1), Err(libc::ENOPROTOOPT));
    assert_eq!(driver.recvmsg(fd, 10, libc::MSG_ERRQUEUE).0, Err(libc::EAGAIN), "it never blocks");

    peer.send(Flags::PSH | Flags::ACK, 1, 1, &[5; 300]);
    assert_eq!(driver.ioctl(fd, libc::FIONREAD), Ok(300));
    assert_eq!(driver.recvmsg(fd, 100, 0), (Ok(100), 0, 0), "no flags, no control data");
    assert_eq!(driver.recv(fd, 200, libc::MSG_TRUNC), Ok(200));
    assert_eq!(driver.recv(fd, 200, libc::MSG_DONTWAIT), Err(libc::EAGAIN));
    assert_eq!(driver.writev(fd, [&[1; 300], &[2; 400]]), Ok(700));
    assert_eq!(driver.ioctl(fd, libc::TIOCOUTQ), Ok(700));
    assert_eq!(driver.ioctl(fd, 0x1234), Err(libc::EINVAL));
    peer.expect(". 1:1(0) ack 301");
    peer.expect("P. 1:701(700) ack 301");
    assert_eq!(driver.send(fd, b"no fast open", libc::MSG_FASTOPEN), Err(libc::EISCONN));
    assert_eq!(driver.send(fd, &[3; 10], libc::MSG_MORE), Ok(10), "it waits for more");
    assert_eq!(driver.send(fd, &[3; 10], 0), Ok(10));
    peer.expect("P. 701:721(20) ack 301");
    assert_eq!(driver.shutdown(fd, libc::SHUT_WR), Ok(0));
    peer.expect("F. 721:721(0) ack 301");
}

#[test]
fn datagrams_tell_where_they_come_from() {
    let driver = Driver::load("");
    let fd = driver.socket(libc::SOCK_DGRAM);
    driver.bind(fd, local()).unwrap();
    assert_eq!(driver.sendto(fd, b"to", remote()), Ok(2));
    assert_eq!(driver.sendmsg(fd, b"message", remote()), Ok(7));
    for payload in [&b"to"[..], b"message"] {
        let (packet, _) = driver.netdev_receive();
        let ports = [8080u16.to_be_bytes(), 33_000u16.to_be_bytes()].concat();
        assert_eq!((packet[9], &packet[20..24], &packet[28..]), (17, &ports[..], payload));
        // The same comes back.
        let mut echo = packet.clone();
        echo[12..16].copy_from_slice(&packet[16..20]);
        echo[16..20].copy_from_slice(&packet[12..16]);
        echo[20..22].copy_from_slice(&packet[22..24]);
        echo[22..24].copy_from_slice(&packet[20..22]);
        driver.netdev_send(&echo);
    }
    let mut octets = [0; 8];
    let (got, from) = driver.recvfrom(fd, &mut octets);
    assert_eq!((got, &octets[..2], &from[2..8]), (Ok(2), &b"to"[..], &[0x80, 0xe8, 192, 0, 2, 1][..]));
    let (mut first, mut second) = ([0; 3], [0; 9]);
    assert_eq!(driver.readv(fd, &mut first, &mut second), Ok(7));
    assert_eq!((&first, &second[..4]), (b"mes", &b"sage"[..]));
    assert_eq!(driver.recvmsg(fd, 10, libc::MSG_DONTWAIT).0, Err(libc::EAGAIN));
}

#[test]
fn epoll_tells_levels_and_edges() {
    let driver = Driver::load("");
    let (_, fd, peer) = established(&driver);
    let set = driver.epoll_create();
    let (read, write) = (libc::EPOLLIN as u32, libc::EPOLLOUT as u32);
    driver.epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, write | libc::EPOLLET as u32, 9).unwrap();
    assert_eq!(driver.epoll_wait(set, 0), [(write, 9)]);
    assert_eq!(driver.epoll_wait(set, 100), [], "an edge");
    driver.epoll_ctl(set, libc::EPOLL_CTL_MOD, fd, read, 10).unwrap();
    let before = driver.now();
    assert_eq!(driver.epoll_wait(set, 250), []);
    assert_eq!(driver.now(), before + 250_000);
    peer.send(Flags::PSH | Flags::ACK, 1, 1, &[5; 300]);
    assert_eq!(driver.epoll_wait(set, 0), [(read, 10)]);
    assert_eq!(driver.epoll_wait(set, 0), [(read, 10)], "a level");
    driver.close(fd).unwrap();
    assert_eq!(driver.epoll_wait(set, 0), [], "a closed descriptor is in no set");
}

#[test]
fn a_pipe_takes_from_one_socket_and_gives_to_it() {
    let driver = Driver::load("");
    let (_, fd, mut peer) = established(&driver);
    let [reader, writer] = driver.pipe();
    peer.send(Flags::PSH | Flags::ACK, 1, 1, &[6; 700]);
    assert_eq!(driver.splice(fd, writer, 500), Ok(500));
    assert_eq!(driver.ioctl(fd, libc::FIONREAD), Ok(200), "what did not go stays");
    peer.expect(". 1:1(0) ack 701");
    assert_eq!(driver.splice(reader, fd, 9000), Ok(500));
    peer.expect("P. 1:501(500) ack 701");
    driver.write(writer, b"abc").unwrap();
    let mut octets = [0; 8];
    assert_eq!((driver.read(reader, &mut octets), &octets[..3]), (Ok(3), &b"abc"[..]));
    assert_eq!(driver.read(reader, &mut octets), Err(libc::EAGAIN));
}

/// A directory with the tools.
fn tools() -> tempfile::TempDir {
    let tools = tempfile::tempdir().unwrap();
    for name in ["sysctl", "ip", "tc", "ethtool", "sockstat", "tcpdrop"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lab-packetdrill-tool"), tools.path().join(name))
            .unwrap();
    }
    tools
}

#[test]
fn the_shell_turns_the_stack() {
    let driver = Driver::load("");
    let tools = tools();
    prepend_path(tools.path());
    let mut peer = Peer::new(&driver);
    let listener = driver.socket(libc::SOCK_STREAM);
    driver.bind(listener, local()).unwrap();
    driver.listen(listener, 1).unwrap();
    let before = driver.now();
    assert_eq!(
        system(
            "ip tcp_metrics flush all && sysctl -q net.ipv4.tcp_timestamps=0 && tc qdisc add dev tun0 root"
        ),
        0
    );
    assert_eq!(system("test $(sysctl -n net.ipv4.tcp_timestamps) = 0"), 0);
    assert_eq!(system("sysctl -q net.ipv4.tcp_nothing=0 2>/dev/null"), 1);
    assert_eq!(system("ethtool -K tun0 tso off gso off"), 0);
    assert_eq!(driver.now(), before + 1, "the shell takes no time");
    peer.syn();
    peer.expect("S. 0:0(0) ack 1 <mss 1460>");
    peer.send(Flags::ACK, 1, 1, &[]);
    let (fd, _) = driver.accept(listener).unwrap();

    assert_eq!(system("sockstat -4 -q -s -P tcp -p 8080 | grep -q '192.0.2.1:33000 *ESTABLISHED'"), 0);
    assert_eq!(system("ip link set dev tun0 mtu 540 && ip route change default dev tun0 initcwnd 1"), 0);
    assert_eq!(system("tcpdrop 192.168.44.7 8080 192.0.2.1 33000 >/dev/null"), 0);
    assert_eq!(peer.receive().0, "R. 1:1(0) ack 1");
    assert_eq!(driver.recv(fd, 10, 0), Err(libc::ECONNABORTED));
    assert_eq!(system("tcpdrop 192.168.44.7 8080 192.0.2.1 33000 2>/dev/null"), 1);

    // A route's word holds for the next connection: one segment, as large as the tunnel carries.
    peer.syn();
    peer.expect("S. 0:0(0) ack 1 <mss 500>");
    peer.send(Flags::ACK, 1, 1, &[]);
    let (fd, _) = driver.accept(listener).unwrap();
    driver.write(fd, &[1; 3000]).unwrap();
    peer.expect(". 1:501(500) ack 1");
    let waited = driver.now();
    let (_, at) = peer.receive();
    assert!(at > waited, "the window is one segment: the next packet is a probe");
}

#[test]
fn other_profiles_have_their_own_habits() {
    let driver = Driver::load("profile=freebsd,net.inet.tcp.sack.enable=0");
    let (_, fd, _peer) = established(&driver);
    driver.setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, 100_000).unwrap();
    assert_eq!(driver.getsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF), Ok(100_000), "nothing is doubled");
}

/// Runs `body` in this program again, with the object preloaded as for packetdrill.
fn preloaded(test: &str, body: impl FnOnce()) {
    const MARK: &str = "LAB_PACKETDRILL_PRELOADED";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("LD_PRELOAD", object())
        .env(MARK, "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&again.stderr));
    assert!(again.status.success() && out.contains("1 passed"), "{out}\n{err}");
}

#[test]
fn libc_symbols_find_our_sockets_when_preloaded() {
    preloaded("libc_symbols_find_our_sockets_when_preloaded", || {
        let driver = Driver::load("");
        let (listener, fd, mut peer) = established(&driver);
        driver.write(fd, &[1; 3000]).unwrap();
        let word = |octets: &[u8], at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().unwrap());
        let info = libc_getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 280).unwrap();
        assert_eq!((info.len(), info[0]), (280, 1), "TCP_ESTABLISHED");
        assert_eq!(word(&info, 24), 3, "tcpi_unacked");
        assert_eq!(word(&info, 80), 10, "tcpi_snd_cwnd");
        assert_eq!(word(&info, 68), 100_000, "tcpi_rtt");
        assert_eq!(libc_getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, 104).unwrap().len(), 104);
        assert_eq!(libc_getsockopt(fd, libc::IPPROTO_TCP, 26, 40), Ok(vec![]), "TCP_CC_INFO");
        let memory = libc_getsockopt(fd, libc::SOL_SOCKET, 55, 36).unwrap();
        assert_eq!(word(&memory, 20), 3000, "SK_MEMINFO_WMEM_QUEUED");
        assert_eq!(libc_getsockopt(fd, libc::IPPROTO_TCP, 99, 4), Err(libc::ENOPROTOOPT));

        for n in 0..3 {
            let at = 1 + n * 1000;
            // Two leave together.
            let push = if n > 0 { "P" } else { "" };
            peer.expect(&format!("{push}. {at}:{}(1000) ack 1", at + 1000));
        }
        peer.send(Flags::ACK, 1, 3001, &[]);
        assert_eq!(libc_close(fd), Ok(0));
        peer.expect("F. 3001:3001(0) ack 1");
        assert_eq!(libc_close(fd), Err(libc::EBADF));
        assert_eq!(driver.close(fd), Err(libc::EBADF));
        // A descriptor of the host's goes to the host.
        let file = std::os::fd::IntoRawFd::into_raw_fd(std::fs::File::open("/dev/null").unwrap());
        assert_eq!(libc_getsockopt(file, libc::SOL_SOCKET, libc::SO_ERROR, 4), Err(libc::ENOTSOCK));
        assert_eq!((libc_close(file), libc_close(file)), (Ok(0), Err(libc::EBADF)));
        drop(driver);
        assert_eq!(libc_close(listener), Err(libc::EBADF), "the end has closed it");
    });
}

#[test]
fn what_scripts_write_to_the_kernels_files_turns_the_stack_when_preloaded() {
    preloaded("what_scripts_write_to_the_kernels_files_turns_the_stack_when_preloaded", || {
        let tools = tools();
        prepend_path(tools.path());
        let _driver = Driver::load("");
        let set = "/nowhere/set_sysctls.py /proc/sys/net/ipv4/tcp_timestamps=0 /proc/sys/net/ipv4/tcp_rmem=\"4096 5000 6000\"";
        assert_eq!(system(set), 0);
        assert_eq!(system("test $(sysctl -n net.ipv4.tcp_timestamps) = 0"), 0);
        assert_eq!(system("sysctl -n net.ipv4.tcp_rmem | grep -q 5000"), 0);
        assert_eq!(
            system(
                "echo 1 > /proc/sys/net/ipv4/tcp_timestamps; test $(sysctl -n net.ipv4.tcp_timestamps) = 1"
            ),
            0
        );
        assert_eq!(system("/tmp/sysctl_restore_${PPID}.sh"), 0);
        assert_eq!(system("exit 7"), 7);
    });
}

#[test]
fn without_preloading_a_number_that_the_host_has_closed_is_taken_anew() {
    let driver = Driver::load("");
    let (listener, fd, mut peer) = established(&driver);
    assert_eq!(libc_close(fd), Ok(0), "the host's close: the stack hears nothing");
    let again = driver.socket(libc::SOCK_STREAM);
    assert_eq!(again, fd);
    peer.expect("F. 1:1(0) ack 1");
    assert_eq!((driver.close(again), driver.close(listener)), (Ok(0), Ok(0)));
}
