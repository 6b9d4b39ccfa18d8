//! Sockets of AF_INET6 as Linux's programs speak to them: addresses and options octet for octet.

mod world;

use netstack::net::IfIndex;
use rumpclient::sockaddr::SockAddrBuf;
use rumpkern::syscall::{Errno, Fd, MsgFlags, Sys, socket_abi, sockopt_abi};
use std::net::SocketAddr;
use world::World;

const STREAM: u32 = 1;
const DGRAM: u32 = 2;
/// `IPPROTO_IPV6`
const IPV6: u32 = 41;

/// A host that speaks IPv6.
fn speaks(sys: &Sys) {
    sys.kernel().with_stack(|stack, now| {
        stack.addr_add(now, IfIndex(2), "2001:db8::1/64".parse().unwrap()).unwrap();
    });
}

fn sockaddr(addr: &str) -> Vec<u8> {
    SockAddrBuf::from(addr.parse::<SocketAddr>().unwrap()).as_octets().to_vec()
}

fn set(sys: &Sys, fd: Fd, name: u32, value: i32) -> Result<(), Errno> {
    sockopt_abi::set(sys, fd, IPV6, name, &value.to_le_bytes())
}

fn get(sys: &Sys, fd: Fd, name: u32) -> Result<i32, Errno> {
    let octets = sockopt_abi::get_within(sys, fd, IPV6, name, 4, &[])?;
    Ok(i32::from_le_bytes(octets.try_into().unwrap()))
}

#[test]
fn addresses_are_taken_as_linux_takes_them() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        speaks(&sys);
        let new = |kind| socket_abi::socket(&sys, 10, kind, 0).unwrap();
        let none = MsgFlags::empty();
        // Lengths, then families. An address without a scope is one (RFC 2133).
        let fd = new(STREAM);
        assert_eq!(socket_abi::bind(&sys, fd, &sockaddr("[::]:80")[..23]), Err(Errno::EINVAL));
        let padded = [sockaddr("0.0.0.0:80"), vec![0; 12]].concat();
        assert_eq!(socket_abi::bind(&sys, fd, &padded), Err(Errno::EAFNOSUPPORT));
        assert_eq!(socket_abi::bind(&sys, fd, &[0; 28]), Err(Errno::EAFNOSUPPORT), "AF_UNSPEC is none");
        assert_eq!(socket_abi::connect(&sys, fd, &padded, none).await, Err(Errno::EAFNOSUPPORT));
        socket_abi::bind(&sys, fd, &sockaddr("[::]:80")[..24]).unwrap();
        assert_eq!(socket_abi::getsockname(&sys, fd).unwrap(), sockaddr("[::]:80"));
        // The other way round.
        let v4 = socket_abi::socket(&sys, 2, STREAM, 0).unwrap();
        assert_eq!(socket_abi::bind(&sys, v4, &sockaddr("[::]:81")), Err(Errno::EAFNOSUPPORT));
        // IPv6 alone has no mapped addresses, and cannot be chosen any more once there is a port.
        assert_eq!(set(&sys, fd, 26, 1), Err(Errno::EINVAL));
        let only = new(STREAM);
        set(&sys, only, 26, 1).unwrap();
        assert_eq!(get(&sys, only, 26), Ok(1));
        assert_eq!(socket_abi::bind(&sys, only, &sockaddr("[::ffff:10.0.0.1]:82")), Err(Errno::EINVAL));
        // UDP takes addresses of either family for peers, and tells mapped ones.
        let udp = new(DGRAM);
        socket_abi::connect(&sys, udp, &sockaddr("10.0.0.1:53"), none).await.unwrap();
        assert_eq!(socket_abi::getpeername(&sys, udp).unwrap(), sockaddr("[::ffff:10.0.0.1]:53"));
        socket_abi::connect(&sys, udp, &[0, 0], none).await.unwrap();
        assert_eq!(socket_abi::getpeername(&sys, udp), Err(Errno::ENOTCONN));
        let to = socket_abi::destination(&sys, udp, Some(&sockaddr("10.0.0.1:53")));
        assert_eq!(to, Ok(Some("10.0.0.1:53".parse().unwrap())));
        assert_eq!(socket_abi::destination(&sys, udp, Some(&[0; 28])), Ok(None), "AF_UNSPEC: the peer");
        // Addresses of a link need one, and show it.
        let linked = new(DGRAM);
        let ours = sys.kernel().with_stack(|stack, _| {
            let addrs = stack.interface(IfIndex(2)).unwrap().addrs().to_vec();
            addrs.iter().find(|net| net.to_string().starts_with("fe80")).unwrap().addr()
        });
        assert_eq!(socket_abi::bind(&sys, linked, &sockaddr(&format!("[{ours}]:9"))), Err(Errno::EINVAL));
        let scoped = sockaddr(&format!("[{ours}%2]:9"));
        socket_abi::bind(&sys, linked, &scoped).unwrap();
        assert_eq!(socket_abi::getsockname(&sys, linked).unwrap(), scoped);
    });
    world.result(&run);
}

#[test]
fn options_have_linux_numbers_and_layout() {
    let world = World::lan(1);
    let run = world.spawn(0, async |sys| {
        speaks(&sys);
        let (tcp, udp) = (
            socket_abi::socket(&sys, 10, STREAM, 0).unwrap(),
            socket_abi::socket(&sys, 10, DGRAM, 0).unwrap(),
        );
        // Flags: off, then on.
        for name in [11, 25, 26, 33, 49, 51, 60, 62, 66] {
            assert_eq!(get(&sys, udp, name), Ok(0), "{name}");
            set(&sys, udp, name, 5).unwrap();
            assert_eq!(get(&sys, udp, name), Ok(1), "{name}");
            assert_eq!(sockopt_abi::set(&sys, udp, IPV6, name, &[1]), Err(Errno::EINVAL), "{name}");
        }
        for fd in [tcp, udp] {
            assert_eq!(get(&sys, fd, 70), Ok(1), "IPV6_AUTOFLOWLABEL");
            set(&sys, fd, 70, 0).unwrap();
            assert_eq!(get(&sys, fd, 70), Ok(0));
            // IPV6_HOPOPTS, IPV6_RTHDRDSTOPTS, IPV6_DSTOPTS; IPV6_RTHDR: none.
            for name in [54, 55, 59] {
                let header = [0, 0, 1, 4, 0, 0, 0, 0];
                sockopt_abi::set(&sys, fd, IPV6, name, &header).unwrap();
                assert_eq!(sockopt_abi::get(&sys, fd, IPV6, name).unwrap(), header);
                sockopt_abi::set(&sys, fd, IPV6, name, &[]).unwrap();
            }
            assert_eq!(sockopt_abi::set(&sys, fd, IPV6, 57, &[0; 8]), Err(Errno::EINVAL));
            assert_eq!(get(&sys, fd, 16), Ok(64), "IPV6_UNICAST_HOPS: the node's");
            set(&sys, fd, 16, 9).unwrap();
            assert_eq!(get(&sys, fd, 16), Ok(9));
            assert_eq!(set(&sys, fd, 16, 256), Err(Errno::EINVAL));
            assert_eq!(set(&sys, fd, 16, -2), Err(Errno::EINVAL));
            set(&sys, fd, 16, -1).unwrap();
            assert_eq!(get(&sys, fd, 16), Ok(64));
            set(&sys, fd, 67, 0x2c).unwrap();
            assert_eq!(get(&sys, fd, 67), Ok(0x2c), "IPV6_TCLASS");
            assert_eq!(get(&sys, fd, 1), Ok(10), "IPV6_ADDRFORM");
        }
        assert_eq!(set(&sys, tcp, 18, 1), Err(Errno::ENOPROTOOPT), "a stream has no groups");
        set(&sys, udp, 18, 3).unwrap();
        assert_eq!(get(&sys, udp, 18), Ok(3));
        assert_eq!(set(&sys, udp, 17, 9), Err(Errno::ENODEV));
        set(&sys, udp, 17, 2).unwrap();
        assert_eq!(get(&sys, udp, 17), Ok(2));
        assert_eq!(set(&sys, udp, 19, 2), Err(Errno::EINVAL));
        assert_eq!(set(&sys, udp, 23, 6), Err(Errno::EINVAL));
        set(&sys, udp, 23, 2).unwrap();
        assert_eq!(get(&sys, udp, 23), Ok(2));
        assert_eq!(get(&sys, udp, 24), Err(Errno::ENOTCONN), "IPV6_MTU");
        let peer = sockaddr("[2001:db8::2]:53");
        socket_abi::connect(&sys, udp, &peer, MsgFlags::empty()).await.unwrap();
        assert_eq!(get(&sys, udp, 24), Ok(1500));
        let told = sockopt_abi::get(&sys, udp, IPV6, 61).unwrap();
        assert_eq!(told, [peer, 1500u32.to_le_bytes().to_vec()].concat(), "IPV6_PATHMTU");
        assert_eq!(set(&sys, udp, 999, 1), Err(Errno::ENOPROTOOPT));
        // IPv4's level is there, too; of AF_INET sockets this one is not.
        sockopt_abi::set(&sys, udp, 0, 1, &[8, 0, 0, 0]).unwrap();
        let v4 = socket_abi::socket(&sys, 2, DGRAM, 0).unwrap();
        assert_eq!(set(&sys, v4, 26, 1), Err(Errno::ENOPROTOOPT));
        assert_eq!(get(&sys, v4, 26), Err(Errno::EOPNOTSUPP));
        // Raw sockets: the filter, and a checksum at an even place, which ICMPv6's is by itself.
        let icmp = socket_abi::socket(&sys, 10, 3, 58).unwrap();
        let filter = [0xffu8; 32];
        sockopt_abi::set(&sys, icmp, 58, 1, &filter).unwrap();
        assert_eq!(sockopt_abi::get(&sys, icmp, 58, 1).unwrap(), filter);
        assert_eq!(set(&sys, icmp, 7, 2), Err(Errno::EINVAL));
        let raw = socket_abi::socket(&sys, 10, 3, 200).unwrap();
        assert_eq!(get(&sys, raw, 7), Ok(-1));
        set(&sys, raw, 7, 4).unwrap();
        assert_eq!(get(&sys, raw, 7), Ok(4));
        assert_eq!(set(&sys, raw, 7, 3), Err(Errno::EINVAL));
        assert_eq!(sockopt_abi::set(&sys, raw, 58, 1, &filter), Err(Errno::ENOPROTOOPT));
    });
    world.result(&run);
}
