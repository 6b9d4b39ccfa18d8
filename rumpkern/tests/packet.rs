//! Packet sockets as Linux's programs speak to them: addresses, options and filters octet for octet.

mod world;

use netstack::wire::ethernet;
use rumpkern::syscall::{Errno, Fd, MsgFlags, RecvMeta, SendMeta, Sys, packet_abi, socket_abi, sockopt_abi};
use world::World;

const RAW: u32 = 3;
const COOKED: u32 = 2;
const DONTWAIT: MsgFlags = MsgFlags::DONTWAIT;
/// `SOL_SOCKET`, `SOL_PACKET`.
const SOCKET: u32 = 1;
const PACKET: u32 = 263;

/// `htons(ETH_P_ARP)` and `htons(ETH_P_ALL)` on a little-endian machine.
const ARP: u32 = 0x0608;
const ALL: u32 = 0x0300;

fn sll(ethertype: u16, ifindex: u32, mac: &[u8]) -> Vec<u8> {
    let mut octets = vec![17, 0];
    octets.extend(ethertype.to_be_bytes());
    octets.extend(ifindex.to_le_bytes());
    octets.extend([0, 0, 0, mac.len() as u8]);
    octets.extend(mac);
    octets.resize(20, 0);
    octets
}

/// An ARP request of 10.0.0.1 for 10.0.0.2, without Ethernet's header.
fn request(mac: &[u8]) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(mac);
    arp.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    arp
}

async fn recv(sys: &Sys, fd: Fd) -> Result<(RecvMeta, Vec<u8>), Errno> {
    let mut buffer = vec![0; 2000];
    let meta = sys.recvmsg(fd, &mut buffer, DONTWAIT).await?;
    buffer.truncate(meta.len);
    Ok((meta, buffer))
}

async fn send(sys: &Sys, fd: Fd, octets: &[u8], to: Option<&[u8]>) -> Result<usize, Errno> {
    let link = packet_abi::destination(sys, fd, to)?;
    sys.sendmsg(fd, octets, MsgFlags::empty(), SendMeta { link, ..SendMeta::default() }).await
}

#[test]
fn a_request_is_answered_and_both_say_where_they_came_from() {
    let world = World::lan(2);
    let run = world.spawn(0, async |sys| {
        let raw = socket_abi::socket(&sys, 17, RAW, ARP).unwrap();
        let cooked = socket_abi::socket(&sys, 17, COOKED, ALL).unwrap();
        assert_eq!(socket_abi::getsockname(&sys, raw).unwrap(), sll(0x806, 0, &[])[..12]);
        socket_abi::bind(&sys, raw, &sll(0, 2, &[])).unwrap();
        let name = socket_abi::getsockname(&sys, raw).unwrap();
        let own = name[12..].to_vec();
        let mut expected = sll(0x806, 2, &own);
        expected[8] = 1; // ARPHRD_ETHER
        assert_eq!(name, expected[..18]);
        assert_eq!(socket_abi::getpeername(&sys, raw), Err(Errno::EOPNOTSUPP));

        let mut frame = vec![255; 6];
        frame.extend(&own);
        frame.extend([8, 6]);
        frame.extend(request(&own));
        assert_eq!(send(&sys, raw, &frame, None).await, Ok(42));
        sys.sleep(std::time::Duration::from_millis(1)).await;
        let (meta, reply) = recv(&sys, raw).await.unwrap();
        assert_eq!(reply[..6], own);
        assert_eq!(reply[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        let from = packet_abi::source(&sys, &meta.link.unwrap());
        let mut expected = sll(0x806, 2, &reply[6..12]);
        expected[8] = 1;
        assert_eq!(from, expected[..], "PACKET_HOST");
        assert_eq!(recv(&sys, raw).await.unwrap_err(), Errno::EAGAIN, "what leaves is for ETH_P_ALL");

        let (meta, sent) = recv(&sys, cooked).await.unwrap();
        assert_eq!(sent, request(&own));
        assert_eq!(packet_abi::source(&sys, &meta.link.unwrap())[10], 4, "PACKET_OUTGOING");
        let everybody = [255; 6];
        let to = sll(0x806, 2, &everybody);
        assert_eq!(send(&sys, cooked, &request(&own), Some(&to)).await, Ok(28));
        assert_eq!(send(&sys, cooked, &request(&own), Some(&to[..19])).await, Err(Errno::EINVAL));
        let short = sll(0x806, 2, &everybody[..4]);
        assert_eq!(send(&sys, cooked, &request(&own), Some(&short)).await, Err(Errno::EINVAL));
        assert_eq!(send(&sys, cooked, b"x", Some(&sll(0x806, 9, &everybody))).await, Err(Errno::ENXIO));
        assert_eq!(send(&sys, cooked, b"x", None).await, Err(Errno::ENXIO));
    });
    world.result(&run);
    let log = world.ether.log.borrow();
    let asked =
        log.iter().filter(|(_, frame)| frame[12..14] == [8, 6] && frame[21] == 1 && frame[..6] == [255; 6]);
    let asked: Vec<_> = asked.map(|(_, frame)| frame[14..42].to_vec()).collect();
    assert!(asked.len() >= 2 && asked.iter().all(|arp| arp.len() == 28));
}

#[test]
fn addresses_and_types_that_do_not_fit_are_refused() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        assert_eq!(socket_abi::socket(&sys, 17, 1, ALL), Err(Errno::ESOCKTNOSUPPORT));
        let fd = socket_abi::socket(&sys, 17, RAW, 0).unwrap();
        assert_eq!(socket_abi::bind(&sys, fd, &sll(3, 9, &[])), Err(Errno::ENODEV));
        let mut inet = sll(3, 2, &[]);
        inet[0] = 2;
        assert_eq!(socket_abi::bind(&sys, fd, &inet), Err(Errno::EINVAL));
        assert_eq!(socket_abi::bind(&sys, fd, &sll(3, 2, &[])[..15]), Err(Errno::EINVAL));
        assert_eq!(socket_abi::connect(&sys, fd, &sll(3, 2, &[]), DONTWAIT).await, Err(Errno::EOPNOTSUPP));
        // SOCK_PACKET names its interface.
        for domain in [2, 17] {
            let old = socket_abi::socket(&sys, domain, 10, ARP).unwrap();
            let name = |name: &[u8]| [&[2, 0], name, &[0; 14][name.len()..], &[8, 6]].concat();
            socket_abi::bind(&sys, old, &name(b"eth0")[..16]).unwrap();
            assert_eq!(sys.packet_binding(old).unwrap().0.map(|i| i.0), Some(2));
            assert_eq!(send(&sys, old, &[0; 60], Some(&name(b"eth0"))).await, Ok(60));
            assert_eq!(send(&sys, old, &[0; 60], Some(&name(b"eth9"))).await, Err(Errno::ENODEV));
        }
    });
    world.result(&run);
}

#[test]
fn options_have_linux_numbers_and_layout() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let fd = socket_abi::socket(&sys, 17, COOKED, ALL).unwrap();
        let udp = socket_abi::socket(&sys, 2, 2, 0).unwrap();
        let set = |fd, level, name, value: &[u8]| sockopt_abi::set(&sys, fd, level, name, value);
        let get = |fd, level, name| sockopt_abi::get(&sys, fd, level, name);
        let word = |octets: Vec<u8>| u32::from_le_bytes(octets[..4].try_into().unwrap());
        assert_eq!(get(fd, SOCKET, 39).map(word), Ok(17), "SO_DOMAIN");
        assert_eq!(get(fd, SOCKET, 3).map(word), Ok(2), "SO_TYPE");

        let promiscuous = |sys: &Sys| {
            sys.kernel().with_stack(|stack, _| stack.rx_filter(netstack::net::IfIndex(2))).promiscuous
        };
        let mreq = |ifindex: u32, kind: u16| {
            [&ifindex.to_le_bytes()[..], &kind.to_le_bytes(), &[6, 0], &[1, 0, 0x5e, 0, 0, 9, 0, 0]].concat()
        };
        set(fd, PACKET, 1, &mreq(2, 1)).unwrap();
        assert!(promiscuous(&sys));
        set(fd, PACKET, 2, &mreq(2, 1)).unwrap();
        assert!(!promiscuous(&sys));
        assert_eq!(set(fd, PACKET, 2, &mreq(2, 1)), Err(Errno::EADDRNOTAVAIL));
        assert_eq!(set(fd, PACKET, 1, &mreq(9, 1)), Err(Errno::ENODEV));
        assert_eq!(set(fd, PACKET, 1, &mreq(2, 9)), Err(Errno::EINVAL));
        assert_eq!(set(fd, PACKET, 1, &mreq(2, 1)[..15]), Err(Errno::EINVAL));
        set(fd, PACKET, 1, &mreq(2, 0)).unwrap();
        let wanted = sys.kernel().with_stack(|stack, _| stack.rx_filter(netstack::net::IfIndex(2))).multicast;
        assert!(wanted.iter().any(|mac| mac.0 == [1, 0, 0x5e, 0, 0, 9]));

        for name in [8, 23] {
            assert_eq!(get(fd, PACKET, name).map(word), Ok(0));
            set(fd, PACKET, name, &1u32.to_le_bytes()).unwrap();
            assert_eq!(get(fd, PACKET, name).map(word), Ok(1), "{name}");
        }
        assert_eq!(set(fd, PACKET, 15, &[0; 4]), Err(Errno::ENOPROTOOPT), "PACKET_VNET_HDR");
        assert_eq!(set(fd, 0, 1, &[0; 4]), Err(Errno::ENOPROTOOPT), "IP's");
        assert_eq!(set(udp, PACKET, 8, &[0; 4]), Err(Errno::ENOPROTOOPT));
        assert_eq!(get(udp, PACKET, 6), Err(Errno::EOPNOTSUPP));

        // ret #0; ret #-1; nothing that returns.
        let ret = |k: u32| [&[6, 0, 0, 0][..], &k.to_le_bytes()].concat();
        for fd in [fd, udp] {
            assert_eq!(set(fd, SOCKET, 27, &[0; 4]), Err(Errno::ENOENT));
            set(fd, SOCKET, 26, &ret(0)).unwrap();
            assert_eq!(set(fd, SOCKET, 26, &[0; 8]), Err(Errno::EINVAL));
            assert_eq!(set(fd, SOCKET, 26, &ret(0)[..7]), Err(Errno::EINVAL));
            set(fd, SOCKET, 44, &1u32.to_le_bytes()).unwrap();
            assert_eq!(set(fd, SOCKET, 26, &ret(u32::MAX)), Err(Errno::EPERM));
            assert_eq!(get(fd, SOCKET, 44).map(word), Ok(1));
        }
        sys.sendto(udp, b"x", MsgFlags::empty(), "127.0.0.1:9".parse().unwrap()).await.unwrap();
        assert_eq!(recv(&sys, fd).await.unwrap_err(), Errno::EAGAIN, "the filter wants nothing");
        let other = socket_abi::socket(&sys, 17, RAW, ALL).unwrap();
        set(other, SOCKET, 26, &ret(20)).unwrap();
        sys.sendto(udp, b"x", MsgFlags::empty(), "127.0.0.1:9".parse().unwrap()).await.unwrap();
        let (meta, octets) = recv(&sys, other).await.unwrap();
        assert_eq!((octets.len(), meta.wire_len), (20, ethernet::HEADER_LEN + 20 + 8 + 1));
        let stats = get(other, PACKET, 6).unwrap();
        assert_eq!(stats.len(), 8);
        assert!(word(stats) >= 1);
        assert_eq!(get(other, PACKET, 6), Ok(vec![0; 8]), "each is told once");
    });
    world.result(&run);
}

#[test]
fn groups_have_linux_numbers_and_errors() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        let socket = || socket_abi::socket(&sys, 17, RAW, ALL).unwrap();
        let set = |fd, name, value: &[u8]| sockopt_abi::set(&sys, fd, PACKET, name, value);
        let get = |fd, name| sockopt_abi::get(&sys, fd, PACKET, name);
        let join = |fd, words: &[u16]| {
            let octets: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            set(fd, 18, &octets).map(|()| u32::from_le_bytes(get(fd, 18).unwrap().try_into().unwrap()))
        };
        assert_eq!(get(socket(), 18), Ok(vec![0; 4]));
        for (words, told) in [
            (&[7, 0][..], 7),
            (&[8, 0x8001], 0x8001_0008),
            (&[10, 3], 0x3_000a),
            (&[11, 6], 0x6_000b),
            (&[12, 7], 0x7_000c),
            (&[13, 2, 5, 0], 0x2_000d),
            (&[0, 0x2004], 0x4_0000),
        ] {
            assert_eq!(join(socket(), words), Ok(told), "{words:x?}");
        }
        for words in [&[7, 1][..], &[9, 8], &[9, 0x1003], &[9, 0x2000], &[9, 1, 1, 1], &[9], &[9, 1, 1]] {
            assert_eq!(join(socket(), words), Err(Errno::EINVAL), "{words:x?}");
        }
        let member = socket();
        join(member, &[7, 0]).unwrap();
        assert_eq!(join(member, &[7, 0]), Err(Errno::EALREADY));
        assert_eq!(get(member, 21), Err(Errno::EINVAL), "it does not roll over");
        assert_eq!(set(member, 22, &[6, 0, 0, 0, 1, 0, 0, 0]), Err(Errno::EINVAL), "nor has it a program");
        let (one, two, three) = (socket(), socket(), socket());
        assert_eq!(join(one, &[9, 0x1001, 2, 0]), Ok(0x1001_0009));
        assert_eq!(get(one, 21), Ok(vec![0; 24]));
        join(two, &[9, 0x1001, 2, 0]).unwrap();
        assert_eq!(join(three, &[9, 0x1001, 2, 0]), Err(Errno::ENOSPC));
        sys.close(one).unwrap();
        assert_eq!(join(three, &[9, 0x1001, 2, 0]), Ok(0x1001_0009));

        let chooser = socket();
        join(chooser, &[11, 6]).unwrap();
        set(chooser, 22, &[6, 0, 0, 0, 1, 0, 0, 0]).unwrap();
        assert_eq!(set(chooser, 22, &[6, 0, 0, 0]), Err(Errno::EINVAL));
        let extended = socket();
        join(extended, &[12, 7]).unwrap();
        assert_eq!(set(extended, 22, &[0xff; 4]), Err(Errno::EBADF));
        assert_eq!(set(extended, 22, &[0; 4]), Err(Errno::EINVAL));
        assert_eq!(set(extended, 22, &[6, 0, 0, 0, 1, 0, 0, 0]), Err(Errno::EINVAL));
        // SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF: there are no such programs.
        for name in [50, 52] {
            let attach = |value: &[u8]| sockopt_abi::set(&sys, three, SOCKET, name, value);
            assert_eq!(attach(&[0xff; 4]), Err(Errno::EBADF));
            assert_eq!(attach(&[0; 4]), Err(Errno::EINVAL));
            assert_eq!(attach(&[0; 3]), Err(Errno::EINVAL));
        }
        sockopt_abi::set(&sys, three, SOCKET, 44, &1u32.to_le_bytes()).unwrap();
        assert_eq!(sockopt_abi::set(&sys, three, SOCKET, 50, &[0; 4]), Err(Errno::EPERM));
    });
    world.result(&run);
}
