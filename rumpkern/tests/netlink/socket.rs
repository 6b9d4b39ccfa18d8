//! The socket: ports, addresses, options, blocking, the bound of its queue, pieces of dumps.

use crate::ask::*;
use crate::world::World;
use netstack::time::Duration;
use rumpkern::netlink::{NlAddr, Protocol};
use rumpkern::syscall::{Errno, MsgFlags, PollFd, PollFlags, socket_abi, sockopt_abi};

const NONE: MsgFlags = MsgFlags::empty();

#[test]
fn protocols_are_linuxs() {
    let world = World::lan(1);
    let sys = world.kernels[0].attach_process("p");
    let socket = |kind, protocol| socket_abi::socket(&sys, 16, kind, protocol).map(drop);
    for protocol in [0, 4, 9, 15, 16] {
        assert_eq!(socket(3, protocol), Ok(()), "{protocol}");
        assert_eq!(socket(2 | 0o4000, protocol), Ok(()), "{protocol}");
    }
    for protocol in [1, 12, 99] {
        assert_eq!(socket(3, protocol), Err(Errno::EPROTONOSUPPORT), "{protocol}");
    }
    assert_eq!(socket(1, 0), Err(Errno::ESOCKTNOSUPPORT));
}

#[test]
fn a_port_is_the_processs_number_once() {
    let world = World::lan(1);
    let kernel = &world.kernels[0];
    let sys = kernel.attach_process("p");
    let open = || sys.netlink_socket(3, Protocol::Route).unwrap();
    let (a, b, c) = (open(), open(), open());
    let name = |fd| NlAddr::decode(&socket_abi::getsockname(&sys, fd).unwrap()).unwrap();
    assert_eq!(name(a), NlAddr::default());
    let address = |port: u32, groups: u32| NlAddr { port, groups }.encode().to_vec();
    socket_abi::bind(&sys, a, &address(0, 0x11)).unwrap();
    assert_eq!(name(a), NlAddr { port: sys.getpid().0, groups: 0x11 });
    socket_abi::bind(&sys, b, &address(0, 0)).unwrap();
    socket_abi::bind(&sys, c, &address(0, 0)).unwrap();
    assert!((name(b).port as i32) < -4096 && (name(c).port as i32) < -4096 && name(b).port != name(c).port);
    // Bound is bound; the groups may change.
    assert_eq!(socket_abi::bind(&sys, a, &address(77, 0)), Err(Errno::EINVAL));
    socket_abi::bind(&sys, a, &address(sys.getpid().0, 0)).unwrap();
    assert_eq!(name(a).groups, 0);
    let other = Asker::plain(kernel, Protocol::Route);
    assert_eq!(socket_abi::bind(&other.sys, other.fd, &address(sys.getpid().0, 0)), Err(Errno::EADDRINUSE));
    // Of another protocol the port is free, and so it is when its socket is gone.
    let diag = Asker::plain(kernel, Protocol::SockDiag);
    socket_abi::bind(&diag.sys, diag.fd, &address(sys.getpid().0, 0)).unwrap();
    sys.close(a).unwrap();
    socket_abi::bind(&other.sys, other.fd, &address(sys.getpid().0, 0)).unwrap();
    // What is no address of the family.
    assert_eq!(socket_abi::bind(&sys, b, &[16, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(socket_abi::bind(&sys, b, &[2; 12]), Err(Errno::EINVAL));
}

#[test]
fn options_are_read_back() {
    let (_world, asker) = host();
    let get = |level, name| sockopt_abi::get(&asker.sys, asker.fd, level, name).map(|v| word(&v, 0));
    for name in [3, 4, 5, 8, 10, 11, 12] {
        for on in [1, 0] {
            asker.set(name, on).unwrap();
            assert_eq!(get(270, name), Ok(on), "{name}");
        }
    }
    assert_eq!(asker.set(99, 1), Err(Errno::ENOPROTOOPT));
    assert_eq!(asker.set(1, 0), Err(Errno::EINVAL), "there is no group 0");
    assert_eq!(asker.set(1, 1000), Err(Errno::EINVAL));
    asker.set(1, 33).unwrap();
    asker.set(1, 1).unwrap();
    asker.set(2, 1).unwrap();
    assert_eq!(sockopt_abi::get(&asker.sys, asker.fd, 270, 9).unwrap(), (1u64 << 32).to_le_bytes());
    let set = |name, value: u32| sockopt_abi::set(&asker.sys, asker.fd, 1, name, &value.to_le_bytes());
    set(8, 10_000).unwrap();
    assert_eq!(get(1, 8), Ok(20_000));
    assert_eq!((get(1, 3), get(1, 38), get(1, 39)), (Ok(3), Ok(0), Ok(16)));
    assert_eq!(get(6, 1), Err(Errno::ENOPROTOOPT));
}

#[test]
fn a_reader_sleeps_until_something_is_told() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let fd = sys.netlink_socket(3, Protocol::Route).unwrap();
        sys.netlink_bind(fd, NlAddr { port: 0, groups: 1 }).unwrap();
        assert_eq!(sys.netlink_recv(fd, 100, MsgFlags::DONTWAIT).await, Err(Errno::EAGAIN));
        let mut fds = [PollFd::new(fd, PollFlags::IN | PollFlags::OUT)];
        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
        assert_eq!(fds[0].revents, PollFlags::OUT);
        let mut fds = [PollFd::new(fd, PollFlags::IN)];
        let begin = sys.now();
        assert_eq!(sys.poll(&mut fds, Some(Duration::from_millis(3))).await, Ok(0));
        sys.set_rcvtimeo(fd, Some(Duration::from_millis(4))).unwrap();
        assert_eq!(sys.netlink_recv(fd, 100, NONE).await, Err(Errno::EAGAIN));
        assert_eq!(sys.now().since(begin), Duration::from_millis(7));
        sys.set_rcvtimeo(fd, None).unwrap();
        let peeked = sys.netlink_recv(fd, 100, MsgFlags::PEEK).await.unwrap();
        assert_eq!(sys.poll(&mut fds, None).await, Ok(1));
        assert_eq!(fds[0].revents, PollFlags::IN);
        assert_eq!(sys.readable_octets(fd), Ok(peeked.octets.len()));
        let received = sys.netlink_recv(fd, 100, NONE).await.unwrap();
        assert_eq!(received, peeked);
        // The plain calls work too.
        sys.send(fd, &request(18, REQUEST, 1, &ifinfo(1, 0, 0)), NONE).await.unwrap();
        let meta = sys.recvmsg(fd, &mut [0; 20], MsgFlags::TRUNC).await.unwrap();
        assert!(meta.len == 20 && meta.full_len > 500, "{meta:?}");
        (received.from, received.group)
    });
    world.spawn(0, async |sys| {
        sys.sleep(Duration::from_millis(20)).await;
        sys.kernel().with_stack(|stack, now| stack.if_set_up(now, eth0(), false)).unwrap();
    });
    assert_eq!(world.result(&run), (NlAddr { port: 0, groups: 1 }, 1));
}

#[test]
fn closing_wakes_the_reader() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let fd = sys.netlink_socket(3, Protocol::Route).unwrap();
        let closer = sys.clone();
        sys.spawn(async move {
            closer.sleep(Duration::from_millis(1)).await;
            closer.close(fd).unwrap();
        });
        sys.netlink_recv(fd, 100, NONE).await.unwrap_err()
    });
    assert_eq!(world.result(&run), Errno::EBADF);
}

#[test]
fn a_queue_that_is_full_says_so_once_and_hears_no_group_until_it_is_read() {
    let (world, asker) = host();
    let asker = asker.join(&[1]);
    sockopt_abi::set(&asker.sys, asker.fd, 1, 8, &4000u32.to_le_bytes()).unwrap();
    let toggle = |times| {
        for n in 0..times {
            world.kernels[0].with_stack(|s, now| s.if_set_up(now, eth0(), n % 2 == 1)).unwrap();
            world.settle();
        }
    };
    toggle(40);
    let socket = asker.sys.netlink(asker.fd).unwrap();
    let mut fds = [PollFd::new(asker.fd, PollFlags::IN)];
    let polled = {
        let sys = asker.sys.clone();
        world.spawn(0, async move |_| {
            sys.poll(&mut fds, None).await.unwrap();
            fds[0].revents
        })
    };
    assert_eq!(world.result(&polled), PollFlags::IN | PollFlags::ERR);
    assert_eq!(socket.recv(1 << 16).unwrap_err(), Errno::ENOBUFS);
    let waiting = asker.heard().len();
    assert!((2..40).contains(&waiting), "{waiting}");
    // All was read: now it hears again.
    toggle(2);
    assert_eq!(asker.heard().len(), 2);
    // Who does not want to know is not told, and goes on hearing as there is room.
    asker.set(5, 1).unwrap();
    toggle(40);
    assert!(socket.recv(1 << 16).is_ok());
}

#[test]
fn a_dump_comes_in_pieces_that_fit_the_reader() {
    let (world, asker) = host();
    let kernel = &world.kernels[0];
    kernel.with_stack(|stack, _| {
        for n in 0..2000u32 {
            let to = format!("10.{}.{}.0/24", 100 + n / 256, n % 256).parse().unwrap();
            stack.route_add(netstack::net::route::Route::via(to, "10.0.0.9".parse().unwrap())).unwrap();
        }
    });
    let socket = asker.sys.netlink(asker.fd).unwrap();
    let all = rtmsg(0, 0, 0, 0, 0);
    for (room, most) in [(0, 3776), (8192, 8192), (1 << 20, 32 << 10)] {
        asker.sys.netlink_send(asker.fd, &request(26, REQUEST | DUMP, 5, &all), None).unwrap();
        // One dump at a time.
        assert_eq!(asker.sys.netlink_send(asker.fd, &request(26, REQUEST | DUMP, 6, &all), None), Ok(28));
        let mut routes = 0;
        let mut lengths = Vec::new();
        let mut busy = 0;
        loop {
            let octets = socket.recv(room).unwrap().octets;
            lengths.push(octets.len());
            let messages = split(&octets);
            routes += messages.iter().filter(|m| m.kind == 24).count();
            busy += messages.iter().filter(|m| m.kind == ERROR && m.error() == Errno::EBUSY.number()).count();
            if messages.last().unwrap().kind == DONE {
                break;
            }
        }
        assert_eq!(busy, 1);
        let (first, rest) = (lengths[0], &lengths[1..]);
        assert!(first <= most && rest.iter().all(|n| *n <= most), "{lengths:?}");
        assert!(rest.iter().any(|n| *n > most - 100), "{lengths:?}");
        let shown = kernel.with_stack(|s, _| {
            s.routes().chain(s.local_routes()).filter(|route| route.to.addr().is_ipv4()).count()
        });
        assert_eq!(routes, shown);
        assert!(!socket.is_readable());
    }
}

#[test]
fn sockets_speak_to_each_other_by_their_ports() {
    let world = World::lan(1);
    let kernel = &world.kernels[0];
    let (a, b) = (Asker::plain(kernel, Protocol::Route), Asker::plain(kernel, Protocol::Route));
    b.sys.netlink_bind(b.fd, NlAddr { port: 4242, groups: 0 }).unwrap();
    let to = |port| Some(NlAddr { port, groups: 0 });
    assert_eq!(a.sys.netlink_send(a.fd, b"hello", to(4242)), Ok(5));
    let received = b.sys.netlink(b.fd).unwrap().recv(100).unwrap();
    assert_eq!((&received.octets[..], received.from.port), (&b"hello"[..], a.port()));
    assert_eq!(a.sys.netlink_send(a.fd, b"hello", to(4243)), Err(Errno::ECONNREFUSED));
    a.sys.netlink_connect(a.fd, NlAddr { port: 4242, groups: 0 }).unwrap();
    assert_eq!(socket_abi::getpeername(&a.sys, a.fd).unwrap(), NlAddr { port: 4242, groups: 0 }.encode());
    assert_eq!(a.sys.netlink_send(a.fd, b"again", None), Ok(5));
    assert_eq!(b.sys.netlink(b.fd).unwrap().recv(100).unwrap().octets, b"again");
}

#[test]
fn protocols_without_a_kernel_side_answer_as_on_a_linux_without_them() {
    let world = World::lan(1);
    let kernel = &world.kernels[0];
    // CTRL_CMD_GETFAMILY of the controller.
    let generic = Asker::plain(kernel, Protocol::Generic);
    let body = [&[3, 1, 0, 0][..], &attr(2, b"nl80211\0")].concat();
    assert_eq!(generic.tell(16, 0, &body), Errno::ENOENT.number());
    for protocol in [Protocol::Audit, Protocol::Uevent] {
        let other = Asker::plain(kernel, protocol);
        other.sys.netlink_bind(other.fd, NlAddr { port: 0, groups: 1 }).unwrap();
        assert_eq!(
            other.sys.netlink_send(other.fd, &request(1000, 5, 1, &[]), None),
            Err(Errno::ECONNREFUSED)
        );
        assert_eq!(other.heard(), []);
    }
}
