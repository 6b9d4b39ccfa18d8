//! What system calls promise: blocking, time limits, wake-ups, and what closing does to sleepers.

mod world;

use netstack::tcp::TcpOpt;
use netstack::time::Duration;
use rumpkern::proc::KILLED;
use rumpkern::syscall::{
    Errno, Family, MsgFlags, PollFd, PollFlags, Shutdown, SockOpt, SockType, Sys, sockopt_abi,
};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use world::{Text, World};

const NONE: MsgFlags = MsgFlags::empty();

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn udp(sys: &Sys, port: u16) -> rumpkern::syscall::Fd {
    let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    sys.bind(fd, SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
    fd
}

#[test]
fn a_datagram_wakes_the_receiver_and_says_where_from() {
    let world = World::lan(2);
    let receiver = world.spawn(1, async |sys| {
        let fd = udp(&sys, 7);
        let mut buffer = [0; 100];
        let meta = sys.recvmsg(fd, &mut buffer, NONE).await.unwrap();
        sys.sendto(fd, b"pong", NONE, meta.from.unwrap()).await.unwrap();
        (buffer[..meta.len].to_vec(), meta.from.unwrap().ip(), meta.local)
    });
    let sender = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.connect(fd, addr("10.0.0.2:7")).await.unwrap();
        sys.send(fd, b"ping", NONE).await.unwrap();
        let mut buffer = [0; 100];
        let n = sys.recv(fd, &mut buffer, NONE).await.unwrap();
        (buffer[..n].to_vec(), sys.getpeername(fd).unwrap())
    });
    assert_eq!(world.result(&sender), (b"pong".to_vec(), addr("10.0.0.2:7")));
    let (data, from, local) = world.result(&receiver);
    assert_eq!((data, from), (b"ping".to_vec(), addr("10.0.0.1:0").ip()));
    assert_eq!(local, Some(addr("10.0.0.2:0").ip()));
}

#[test]
fn loopback_works_without_any_wire() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let (a, b) = (udp(&sys, 1000), udp(&sys, 1001));
        let mut buffer = [0; 10];
        for _ in 0..1000 {
            sys.sendto(a, b"x", NONE, addr("127.0.0.1:1001")).await.unwrap();
            assert_eq!(sys.recv(b, &mut buffer, NONE).await, Ok(1));
        }
    });
    world.result(&run);
}

#[test]
fn not_blocking_means_not_blocking() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let fd = udp(&sys, 7);
        let copy = sys.dup(fd).unwrap();
        let mut buffer = [0; 10];
        assert_eq!(sys.recv(fd, &mut buffer, MsgFlags::DONTWAIT).await, Err(Errno::EAGAIN));
        sys.set_nonblocking(fd, true).unwrap();
        assert!(sys.nonblocking(copy).unwrap(), "the flag belongs to the open file");
        assert_eq!(sys.recv(copy, &mut buffer, NONE).await, Err(Errno::EAGAIN));
    });
    let before = world.now();
    world.result(&run);
    assert_eq!(world.now(), before);
}

#[test]
fn time_limits_are_kept_to_the_nanosecond() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let fd = udp(&sys, 7);
        let begin = sys.now();
        sys.set_rcvtimeo(fd, Some(ms(250))).unwrap();
        assert_eq!(sys.recv(fd, &mut [0; 10], NONE).await, Err(Errno::EAGAIN));
        assert_eq!(sys.now().since(begin), ms(250));
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        assert_eq!(sys.poll(&mut fds, Some(ms(100))).await, Ok(0));
        assert_eq!(sys.now().since(begin), ms(350));
        sys.sleep(ms(50)).await;
        assert_eq!(sys.now().since(begin), ms(400));
        assert_eq!(sys.poll(&mut fds, Some(Duration::ZERO)).await, Ok(0));
        assert_eq!(sys.now().since(begin), ms(400));
    });
    world.result(&run);
}

#[test]
fn poll_tells_what_is_so_and_wakes_when_it_changes() {
    let world = World::lan(2);
    let run = world.spawn(0, async |sys| {
        let (a, b) = (udp(&sys, 1), udp(&sys, 2));
        let closed = sys.dup(a).unwrap();
        sys.close(closed).unwrap();
        let mut fds = [PollFd::new(a, PollFlags::OUT), PollFd::new(b, PollFlags::IN)];
        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
        assert_eq!((fds[0].revents, fds[1].revents), (PollFlags::OUT, PollFlags::empty()));
        let mut fds = [PollFd::new(closed, PollFlags::IN), PollFd::new(b, PollFlags::IN)];
        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
        assert_eq!(fds[0].revents, PollFlags::NVAL);
        let mut fds = [PollFd::new(a, PollFlags::IN), PollFd::new(b, PollFlags::IN)];
        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
        assert_eq!((fds[0].revents, fds[1].revents), (PollFlags::empty(), PollFlags::IN));
        assert_eq!(sys.recv(b, &mut [0; 10], NONE).await, Ok(5));
    });
    world.spawn(1, async |sys| {
        sys.sleep(ms(10)).await;
        let fd = udp(&sys, 7);
        sys.sendto(fd, b"hello", NONE, addr("10.0.0.1:2")).await.unwrap();
    });
    world.result(&run);
}

#[test]
fn closing_wakes_whoever_sleeps_on_it() {
    let world = World::lan(1);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    let run = world.spawn(0, async move |sys| {
        let fd = udp(&sys, 7);
        let copy = sys.dup(fd).unwrap();
        for name in ["recv", "poll"] {
            let (sys, log) = (sys.clone(), log.clone());
            sys.clone().spawn(async move {
                let outcome = match name {
                    "recv" => sys.recv(fd, &mut [0; 10], NONE).await.unwrap_err(),
                    _ => {
                        let mut fds = [PollFd::new(fd, PollFlags::IN)];
                        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
                        assert_eq!(fds[0].revents, PollFlags::NVAL);
                        Errno::EBADF
                    }
                };
                log.borrow_mut().push((name, outcome));
            });
        }
        sys.sleep(ms(1)).await;
        sys.close(copy).unwrap();
        sys.sleep(ms(1)).await;
        assert!(log.borrow().is_empty(), "another descriptor still names the file");
        sys.close(fd).unwrap();
        assert_eq!(sys.close(fd), Err(Errno::EBADF));
        sys.sleep(ms(1)).await;
    });
    world.result(&run);
    assert_eq!(*seen.borrow(), [("recv", Errno::EBADF), ("poll", Errno::EBADF)]);
}

#[test]
fn a_process_that_ends_takes_everything_with_it() {
    let world = World::lan(1);
    let text = Rc::new(Text::default());
    let kernel = &world.kernels[0];
    let process = kernel.spawn("server", text.clone(), text.clone(), async |sys| {
        let fd = udp(&sys, 7);
        let inner = sys.clone();
        sys.spawn(async move {
            inner.recv(fd, &mut [0; 10], NONE).await.unwrap();
            unreachable!("killed with its process");
        });
        sys.write_all(rumpkern::syscall::Fd(1), b"ready\n").await.unwrap();
        sys.sleep(ms(1_000_000)).await;
        0
    });
    world.settle();
    assert_eq!(*text.0.borrow(), "ready\n");
    kernel.exit(&process, KILLED);
    assert_eq!(process.status(), Some(KILLED));
    assert!(kernel.process(process.pid()).is_none());
    // Its port is free again.
    let run = world.spawn(0, async |sys| {
        udp(&sys, 7);
    });
    world.result(&run);
}

#[test]
fn a_busy_program_does_not_starve_another() {
    let world = World::lan(2);
    let text = Rc::new(Text::default());
    let busy = world.kernels[0].spawn("busy", text.clone(), text, async |sys| {
        let fd = udp(&sys, 1);
        loop {
            sys.sendto(fd, &[0; 100], NONE, addr("10.0.0.2:9")).await.unwrap();
        }
    });
    let turns = Rc::new(RefCell::new(0));
    let count = turns.clone();
    let text = Rc::new(Text::default());
    world.kernels[0].spawn("modest", text.clone(), text, async move |sys| {
        loop {
            *count.borrow_mut() += 1;
            sys.sleep_until(sys.now()).await;
        }
    });
    for _ in 0..1000 {
        for kernel in &world.kernels {
            rumpkern::evloop::turn(kernel);
        }
    }
    assert!(*turns.borrow() > 300, "{turns:?}");
    assert!(world.ether.log.borrow().len() > 10_000);
    assert_eq!(busy.status(), None);
}

#[test]
fn a_full_wire_holds_the_sender_up_and_loses_nothing() {
    let world = World::lan(2);
    let receiver = world.spawn(1, async |sys| {
        let fd = udp(&sys, 9);
        let mut seen = Vec::new();
        while seen.len() < 5000 {
            let mut buffer = [0; 8];
            sys.recv(fd, &mut buffer, NONE).await.unwrap();
            seen.push(u64::from_be_bytes(buffer));
        }
        seen
    });
    let sender = world.spawn(0, async |sys| {
        let fd = udp(&sys, 1);
        for n in 0..5000u64 {
            sys.sendto(fd, &n.to_be_bytes(), NONE, addr("10.0.0.2:9")).await.unwrap();
        }
        sys.now()
    });
    world.ether.room.set(Some(100));
    world.settle();
    let ether = world.ether.clone();
    let mut refill = 0;
    world.run_until(|| {
        if ether.room.get() == Some(0) {
            ether.room.set(Some(100));
            refill += 1;
        }
        let done = receiver.take();
        if let Some(seen) = done {
            assert!(seen.into_iter().eq(0..5000));
            return true;
        }
        false
    });
    assert!(refill >= 49, "{refill}");
    assert!(sender.take().is_some());
}

#[test]
fn names_resolve() {
    let world = World::lan(2);
    let run = world.spawn(0, async |sys| {
        assert_eq!(sys.resolve("H2"), Ok(vec![addr("10.0.0.2:0").ip()]));
        assert_eq!(sys.resolve("192.0.2.1"), Ok(vec![addr("192.0.2.1:0").ip()]));
        assert_eq!(sys.resolve("localhost"), Ok(vec![addr("[::1]:0").ip(), addr("127.0.0.1:0").ip()]));
        assert_eq!(sys.resolve("h3"), Err(Errno::ENOENT));
        assert_eq!(sys.resolve_back(addr("10.0.0.1:0").ip()), Some("h1".into()));
    });
    world.result(&run);
}

#[test]
fn what_is_no_socket_says_so() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let stdout = rumpkern::syscall::Fd(1);
        assert_eq!(sys.listen(stdout, 1), Err(Errno::ENOTSOCK));
        assert_eq!(sys.recv(stdout, &mut [0], NONE).await, Err(Errno::ENOTSOCK));
        assert_eq!(sys.bind(rumpkern::syscall::Fd(77), addr("0.0.0.0:1")), Err(Errno::EBADF));
        assert_eq!(sys.shutdown(stdout, Shutdown::Both), Err(Errno::ENOTSOCK));
    });
    world.result(&run);
}

#[test]
fn two_runs_are_the_same_to_the_last_frame() {
    let run = || {
        let world = World::lan(3);
        for n in 0..3 {
            world.spawn(n, async move |sys| {
                let fd = udp(&sys, 9);
                for i in 0..20u8 {
                    let to = SocketAddr::from(([10, 0, 0, (n as u8 + i) % 3 + 1], 9));
                    sys.sendto(fd, &[i; 64], NONE, to).await.unwrap();
                    let mut random = [0; 1];
                    sys.random(&mut random);
                    sys.sleep(ms(random[0].into())).await;
                }
            });
        }
        let end = world.now() + ms(60_000);
        let waiter = world.spawn(0, async move |sys| sys.sleep_until(end).await);
        world.result(&waiter);
        world.ether.log.take()
    };
    let (first, second) = (run(), run());
    assert!(first.len() > 40);
    assert!(first == second);
}

fn stream(sys: &Sys) -> rumpkern::syscall::Fd {
    sys.socket(Family::Inet, SockType::Stream, 0).unwrap()
}

#[test]
fn a_stream_connects_carries_and_ends() {
    const OCTETS: usize = 3_000_000;
    let world = World::lan(2);
    let server = world.spawn(1, async |sys| {
        let listener = stream(&sys);
        sys.bind(listener, addr("0.0.0.0:80")).unwrap();
        sys.listen(listener, 5).unwrap();
        let (fd, peer) = sys.accept(listener).await.unwrap();
        assert_eq!(peer, sys.getpeername(fd).unwrap());
        let (mut sum, mut octets, mut buffer) = (0u64, 0, vec![0; 10_000]);
        loop {
            match sys.recv(fd, &mut buffer, NONE).await.unwrap() {
                0 => break,
                n => {
                    octets += n;
                    sum += buffer[..n].iter().map(|&o| u64::from(o)).sum::<u64>();
                }
            }
        }
        sys.write_all(fd, &sum.to_be_bytes()).await.unwrap();
        sys.close(fd).unwrap();
        octets
    });
    let client = world.spawn(0, async |sys| {
        let fd = stream(&sys);
        sys.connect(fd, addr("10.0.0.2:80")).await.unwrap();
        assert_eq!(sys.connect(fd, addr("10.0.0.2:80")).await, Err(Errno::EISCONN));
        let data: Vec<u8> = (0..OCTETS).map(|i| (i * 7 % 251) as u8).collect();
        sys.write_all(fd, &data).await.unwrap();
        sys.shutdown(fd, Shutdown::Write).unwrap();
        assert_eq!(sys.send(fd, b"x", NONE).await, Err(Errno::EPIPE));
        let mut sum = [0; 8];
        assert_eq!(sys.recv(fd, &mut sum, MsgFlags::WAITALL).await, Ok(8));
        assert_eq!(sys.recv(fd, &mut [0], NONE).await, Ok(0));
        (u64::from_be_bytes(sum), data.iter().map(|&o| u64::from(o)).sum::<u64>())
    });
    let (told, sent) = world.result(&client);
    assert_eq!(told, sent);
    assert_eq!(server.take(), Some(OCTETS));
}

#[test]
fn fast_open_connects_and_the_data_follows_the_handshake_if_it_must() {
    let world = World::lan(2);
    let server = world.spawn(1, async |sys| {
        let listener = stream(&sys);
        sys.bind(listener, addr("0.0.0.0:80")).unwrap();
        sys.listen(listener, 5).unwrap();
        let mut all = Vec::new();
        for _ in 0..3 {
            let (fd, _) = sys.accept(listener).await.unwrap();
            let mut buffer = [0; 100];
            let n = sys.recv(fd, &mut buffer, MsgFlags::WAITALL).await.unwrap();
            all.push(buffer[..n].to_vec());
        }
        all
    });
    let client = world.spawn(0, async |sys| {
        let to = addr("10.0.0.2:80");
        // The peer gives no cookie: the call waits for the handshake and sends then.
        let fd = stream(&sys);
        assert_eq!(sys.sendto(fd, b"first", MsgFlags::FASTOPEN, to).await, Ok(5));
        sys.close(fd).unwrap();
        let fd = stream(&sys);
        sys.setsockopt(fd, SockOpt::Tcp(TcpOpt::FastOpenConnect(true))).unwrap();
        sys.connect(fd, to).await.unwrap();
        sys.write_all(fd, b"second").await.unwrap();
        sys.close(fd).unwrap();
        // One that may not wait is told so.
        let fd = stream(&sys);
        let never = MsgFlags::FASTOPEN | MsgFlags::DONTWAIT;
        assert_eq!(sys.sendto(fd, b"third", never, to).await, Err(Errno::EINPROGRESS));
        assert_eq!(sys.sendto(fd, b"third", never, to).await, Err(Errno::EALREADY));
        sys.write_all(fd, b"third").await.unwrap();
        sys.close(fd).unwrap();
    });
    world.result(&client);
    assert_eq!(world.result(&server), [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
}

#[test]
fn connect_is_refused_or_times_out_or_goes_on_in_the_background() {
    let world = World::lan(2);
    let run = world.spawn(0, async |sys| {
        let fd = stream(&sys);
        // Each blocking attempt is a new one, as on Linux: a program may try until the server is up.
        for _ in 0..3 {
            assert_eq!(sys.connect(fd, addr("10.0.0.2:81")).await, Err(Errno::ECONNREFUSED));
            assert_eq!(sys.take_error(fd), Ok(None), "it was told already");
        }
        // Nobody there: ARP gives up.
        let fd = stream(&sys);
        assert_eq!(sys.connect(fd, addr("10.0.0.9:81")).await, Err(Errno::EHOSTUNREACH));
        let fd = stream(&sys);
        assert_eq!(sys.connect(fd, addr("192.0.2.1:81")).await, Err(Errno::ENETUNREACH));
        // A time limit ends the waiting, not the connecting.
        let fd = stream(&sys);
        sys.set_sndtimeo(fd, Some(ms(100))).unwrap();
        assert_eq!(sys.connect(fd, addr("10.0.0.8:81")).await, Err(Errno::EINPROGRESS));
        let fd = stream(&sys);
        sys.set_nonblocking(fd, true).unwrap();
        assert_eq!(sys.connect(fd, addr("10.0.0.2:81")).await, Err(Errno::EINPROGRESS));
        let mut fds = [PollFd::new(fd, PollFlags::OUT)];
        assert_eq!(sys.poll(&mut fds, Some(ms(1000))).await, Ok(1));
        assert_eq!(sys.take_error(fd), Ok(Some(Errno::ECONNREFUSED)));
    });
    world.result(&run);
}

#[test]
fn waiting_for_all_does_not_swallow_a_reset() {
    let world = World::lan(2);
    let server = world.spawn(1, async |sys| {
        let listener = stream(&sys);
        sys.bind(listener, addr("0.0.0.0:80")).unwrap();
        sys.listen(listener, 5).unwrap();
        let (fd, _) = sys.accept(listener).await.unwrap();
        sys.write_all(fd, b"never read").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(sys.recv(fd, &mut buffer, MsgFlags::WAITALL).await, Ok(50), "what came before it");
        assert_eq!(sys.recv(fd, &mut buffer, NONE).await, Err(Errno::ECONNRESET));
        assert_eq!(sys.recv(fd, &mut buffer, NONE).await, Ok(0));
    });
    let client = world.spawn(0, async |sys| {
        let fd = stream(&sys);
        sys.connect(fd, addr("10.0.0.2:80")).await.unwrap();
        sys.write_all(fd, &[1; 50]).await.unwrap();
        sys.sleep(ms(10)).await;
        // With data unread it is a reset.
        sys.close(fd).unwrap();
    });
    world.result(&client);
    world.result(&server);
}

#[test]
fn accept_wakes_for_a_connection_a_limit_and_a_close() {
    let world = World::lan(2);
    let run = world.spawn(1, async |sys| {
        let listener = stream(&sys);
        assert_eq!(sys.accept(listener).await, Err(Errno::EINVAL), "it does not listen");
        sys.bind(listener, addr("0.0.0.0:80")).unwrap();
        sys.listen(listener, 5).unwrap();
        sys.set_rcvtimeo(listener, Some(ms(20))).unwrap();
        assert_eq!(sys.accept(listener).await, Err(Errno::EAGAIN));
        sys.set_rcvtimeo(listener, None).unwrap();
        let (fd, _) = sys.accept(listener).await.unwrap();
        // The peer's process has been killed: its descriptors closed, so the stream ends.
        assert_eq!(sys.recv(fd, &mut [0], NONE).await, Ok(0));
        let inner = sys.clone();
        sys.spawn(async move {
            inner.sleep(ms(5)).await;
            inner.close(listener).unwrap();
        });
        assert_eq!(sys.accept(listener).await, Err(Errno::EBADF));
    });
    let text = Rc::new(Text::default());
    let client = world.kernels[0].spawn("client", text.clone(), text, async |sys| {
        sys.sleep(ms(100)).await;
        let fd = stream(&sys);
        sys.connect(fd, addr("10.0.0.2:80")).await.unwrap();
        sys.sleep(ms(1_000_000)).await;
        0
    });
    let timer = world.spawn(0, async |sys| sys.sleep(ms(500)).await);
    world.result(&timer);
    world.kernels[0].exit(&client, KILLED);
    world.result(&run);
}

/// Option values as Linux lays them out: what a program reads at the offsets of `linux/tcp.h`.
#[test]
fn tcp_options_have_linux_layout() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let get = |fd, level, name| sockopt_abi::get(&sys, fd, level, name);
        let word = |octets: &[u8], at: usize| u32::from_le_bytes(octets[at..at + 4].try_into().unwrap());
        let listener = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(listener, addr("127.0.0.1:80")).unwrap();
        sys.listen(listener, 5).unwrap();
        let info = get(listener, 6, 11).unwrap();
        assert_eq!((info[0], word(&info, 24), word(&info, 28)), (10, 0, 5), "LISTEN, 0 of 5 wait");

        let client = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sockopt_abi::set(&sys, client, 6, 13, b"reno\0").unwrap();
        assert_eq!(sockopt_abi::set(&sys, client, 6, 13, b"nobody"), Err(Errno::ENOENT));
        sys.connect(client, addr("127.0.0.1:80")).await.unwrap();
        let (server, _) = sys.accept(listener).await.unwrap();
        assert_eq!(get(client, 6, 13).unwrap(), b"reno\0\0\0\0\0\0\0\0\0\0\0\0");
        sys.send(client, &[7; 1000], NONE).await.unwrap();
        sockopt_abi::set(&sys, server, 1, 18, &700u32.to_le_bytes()).unwrap();
        assert_eq!(word(&get(server, 1, 18).unwrap(), 0), 700, "SO_RCVLOWAT");
        assert_eq!(get(server, 1, 47).unwrap(), [255; 8], "SO_MAX_PACING_RATE: none");
        sockopt_abi::set(&sys, server, 1, 47, &20_000u32.to_le_bytes()).unwrap();
        assert_eq!(get(server, 1, 47).unwrap(), 20_000u64.to_le_bytes());
        sockopt_abi::set(&sys, server, 1, 47, &[255; 4]).unwrap();
        assert_eq!(get(server, 1, 47).unwrap(), [255; 8]);
        let mut buffer = [0; 600];
        sys.recv(server, &mut buffer, NONE).await.unwrap();

        let info = get(server, 6, 11).unwrap();
        let sys_info = sys.tcp_info(server).unwrap();
        assert_eq!(info.len(), 280);
        assert_eq!((info[0], info[1], info[5]), (1, 0, 7), "ESTABLISHED, Open, timestamps | SACK | scaling");
        assert_eq!(word(&info, 8) as u128, sys_info.rto.as_micros(), "tcpi_rto");
        assert_eq!(word(&info, 16), sys_info.snd_mss, "tcpi_snd_mss");
        assert_eq!(word(&info, 60), sys_info.pmtu, "tcpi_pmtu");
        assert_eq!(word(&info, 76), 0x7fff_ffff, "tcpi_snd_ssthresh");
        assert_eq!(word(&info, 80), 10, "tcpi_snd_cwnd, in segments");
        assert_eq!(word(&info, 84), u32::from(sys_info.advmss), "tcpi_advmss");
        assert_eq!(word(&info, 128), 1000, "tcpi_bytes_received");
        assert_eq!(word(&info, 228), sys_info.snd_wnd, "tcpi_snd_wnd");

        let first = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sockopt_abi::set(&sys, first, 6, 30, &1u32.to_le_bytes()).unwrap();
        sys.connect(first, addr("127.0.0.1:80")).await.unwrap();
        let (unasked, asked) = (get(client, 6, 11).unwrap()[7], get(first, 6, 11).unwrap()[7]);
        assert_eq!((unasked, asked), (0, 1 << 1), "tcpi_fastopen_client_fail: TFO_COOKIE_UNAVAILABLE");

        let memory = get(server, 1, 55).unwrap();
        assert_eq!((memory.len(), word(&memory, 0)), (36, 400), "SO_MEMINFO: octets that wait");
        assert_eq!(get(server, 6, 26).unwrap(), b"", "TCP_CC_INFO");
        assert_eq!(get(server, 6, 99), Err(Errno::ENOPROTOOPT));
    });
    world.result(&run);
}
