//! NETLINK_SOCK_DIAG: what `ss` gets.

use crate::ask::*;
use crate::world::World;
use netstack::time::Duration;
use rumpkern::netlink::Protocol;
use rumpkern::syscall::{Errno, Family, MsgFlags, SockType, sockopt_abi};
use std::net::SocketAddr;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ALL: u32 = 0xfff;
const LISTEN: u32 = 1 << 10;
const ESTABLISHED: u32 = 1 << 1;

/// `struct inet_diag_sockid`
fn sockid(local: &str, remote: &str) -> Vec<u8> {
    let (local, remote): (SocketAddr, SocketAddr) = (local.parse().unwrap(), remote.parse().unwrap());
    let octets = |addr: SocketAddr| match addr.ip() {
        std::net::IpAddr::V4(v4) => v4.octets(),
        std::net::IpAddr::V6(_) => panic!("IPv4"),
    };
    let pad = [0; 12];
    [
        &local.port().to_be_bytes()[..],
        &remote.port().to_be_bytes(),
        &octets(local),
        &pad,
        &octets(remote),
        &pad,
        &[0; 4],
        &[0xff; 8],
    ]
    .concat()
}

/// `struct inet_diag_req_v2`
fn inet(protocol: u8, extensions: u8, states: u32, id: &[u8]) -> Vec<u8> {
    [&[2, protocol, extensions, 0][..], &states.to_le_bytes(), id].concat()
}

fn any() -> Vec<u8> {
    sockid("0.0.0.0:0", "0.0.0.0:0")
}

/// State, local and remote end.
fn shown(m: &Message) -> (u8, String, String) {
    let body = &m.body;
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let addr = |at: usize| std::net::Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
    (body[1], format!("{}:{}", addr(8), port(4)), format!("{}:{}", addr(24), port(6)))
}

fn extensions(m: &Message) -> Vec<(u16, Vec<u8>)> {
    attrs(&m.body[72..])
}

fn sockets(asker: &Asker, protocol: u8, states: u32) -> Vec<(u8, String, String)> {
    let mut all: Vec<_> = asker.table(20, &inet(protocol, 0, states, &any())).iter().map(shown).collect();
    all.sort();
    all
}

#[test]
fn sockets_are_listed_found_and_ended() {
    let world = World::lan(1);
    let asker = Asker::plain(&world.kernels[0], Protocol::SockDiag);
    let run = world.spawn(0, async move |sys| {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let listener = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(listener, addr("127.0.0.1:80")).unwrap();
        sys.listen(listener, 7).unwrap();
        let client = sys.socket(Family::Inet, SockType::Stream, 0).unwrap();
        sys.bind(client, addr("127.0.0.1:4000")).unwrap();
        sys.connect(client, addr("127.0.0.1:80")).await.unwrap();
        let (server, _) = sys.accept(listener).await.unwrap();
        sys.send(client, b"hello", MsgFlags::empty()).await.unwrap();
        sys.sleep(Duration::from_millis(1)).await;
        let udp = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.bind(udp, addr("0.0.0.0:53")).unwrap();
        let raw = sys.socket(Family::Inet, SockType::Raw, 1).unwrap();

        let row = |state, local: &str, remote: &str| (state, local.to_owned(), remote.to_owned());
        let up = row(1, "127.0.0.1:4000", "127.0.0.1:80");
        let down = row(1, "127.0.0.1:80", "127.0.0.1:4000");
        let wait = row(10, "127.0.0.1:80", "0.0.0.0:0");
        assert_eq!(sockets(&asker, TCP, ALL), [up.clone(), down.clone(), wait.clone()]);
        assert_eq!(sockets(&asker, TCP, LISTEN), [wait]);
        assert_eq!(sockets(&asker, TCP, ESTABLISHED), [up.clone(), down.clone()]);
        assert_eq!(sockets(&asker, UDP, ALL), [row(7, "0.0.0.0:53", "0.0.0.0:0")]);
        assert_eq!(sockets(&asker, 255, ALL), [row(7, "0.0.0.0:1", "0.0.0.0:0")]);
        // By port.
        let by_port = inet(TCP, 0, ALL, &sockid("0.0.0.0:4000", "0.0.0.0:0"));
        assert_eq!(asker.table(20, &by_port).iter().map(shown).collect::<Vec<_>>(), [up]);

        // One, with all that can be asked about it.
        let one = |extensions: u8, local: &str, remote: &str| {
            asker.ask(20, 0, &inet(TCP, extensions, ALL, &sockid(local, remote))).remove(0)
        };
        let connection = one(0xff, "127.0.0.1:80", "127.0.0.1:4000");
        assert_eq!((shown(&connection), word(&connection.body, 56)), (down, 5), "five octets wait");
        let found = extensions(&connection);
        let kinds: Vec<u16> = found.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [8, 5, 1, 7, 2, 4]);
        let info = sockopt_abi::get(&sys, server, 6, 11).unwrap();
        assert_eq!((found[4].1.len(), found[4].1[0], found[4].1.len()), (info.len(), 1, 280));
        assert_eq!((&found[5].1[..], found[3].1.len(), found[2].1.len()), (&b"cubic\0"[..], 36, 16));
        assert_eq!(extensions(&one(0, "127.0.0.1:80", "127.0.0.1:4000")), [(8, vec![0])]);
        let listening = one(2, "127.0.0.1:80", "0.0.0.0:0");
        assert_eq!((word(&listening.body, 60), shown(&listening).0), (7, 10), "its backlog");
        assert_eq!(one(0, "127.0.0.1:81", "127.0.0.1:4000").error(), Errno::ENOENT.number());

        // The old request of the same.
        let old = [&[2, 0, 0, 0][..], &any(), &ALL.to_le_bytes(), &[0; 4]].concat();
        assert_eq!(asker.table(18, &old).len(), 3);

        // Nobody speaks DCCP, nor Multipath TCP, which `ss -M` asks for as a TCP of number 262.
        let none = |kind: u16, body: &[u8]| {
            let [end] = &asker.ask(kind, DUMP, body)[..] else { panic!("nothing but the end") };
            assert_eq!((end.kind, end.error()), (DONE, Errno::ENOENT.number()));
        };
        none(19, &old);
        none(20, &[inet(TCP, 0, ALL, &any()), attr32(3, 262)].concat());
        assert_eq!(asker.table(20, &[inet(TCP, 0, ALL, &any()), attr32(3, 6)].concat()).len(), 3);

        // SOCK_DESTROY: of a connection, by its ends and (if it is told) its cookie.
        let mut wrong = inet(TCP, 0, ALL, &sockid("127.0.0.1:80", "127.0.0.1:4000"));
        let end = wrong.len();
        wrong[end - 8..].copy_from_slice(&[7; 8]);
        assert_eq!(asker.tell(21, 0, &wrong), Errno::ENOENT.number());
        let mut right = wrong.clone();
        right[end - 8..].copy_from_slice(&connection.body[44 + 4..][..8]);
        assert_eq!(asker.tell(21, 0, &right), 0);
        assert_eq!(asker.tell(21, 0, &right), Errno::ENOENT.number());
        assert_eq!(asker.tell(21, 0, &inet(UDP, 0, ALL, &any())), Errno::EOPNOTSUPP.number());
        sys.sleep(Duration::from_millis(1)).await;
        let error = sys.recv(client, &mut [0; 8], MsgFlags::empty()).await;
        sys.close(raw).unwrap();
        (error, sockets(&asker, TCP, ESTABLISHED).len())
    });
    assert_eq!(world.result(&run), (Err(Errno::ECONNRESET), 0));
}

#[test]
fn other_families_have_no_sockets() {
    let world = World::lan(1);
    let asker = Asker::plain(&world.kernels[0], Protocol::SockDiag);
    for family in [1, 16, 17] {
        assert_eq!(asker.table(20, &[&[family][..], &[0; 23]].concat()), []);
    }
    let v6 = [&[10, TCP, 0, 0][..], &ALL.to_le_bytes(), &[0; 48]].concat();
    assert_eq!(asker.table(20, &v6), []);
    // As recorded of Linux.
    let kind = |kind: u16, family: u8| asker.tell(kind, DUMP, &[&[family, TCP][..], &[0; 54]].concat());
    assert_eq!(kind(20, 33), Errno::ENOENT.number());
    assert_eq!(kind(20, 50), Errno::EINVAL.number());
    assert_eq!(kind(99, 2), Errno::EINVAL.number());
    let sctp = asker.ask(20, DUMP, &inet(132, 0, ALL, &any()));
    assert_eq!((sctp[0].kind, sctp[0].error()), (DONE, Errno::ENOENT.number()));
}
