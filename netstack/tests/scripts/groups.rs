//! Groups and their sources as sockets see them: who gets what, limits, and errors as on Linux.

use crate::harness::*;
use netstack::SocketId;
use netstack::net::multicast::{FilterMode, SourceFilter};
use netstack::net::{IfIndex, MacAddr};
use netstack::socket::{Family, GroupSource, RecvFlags, SockError, SockOpt, SockOptName, SockType};
use netstack::stack::StackConfig;
use std::net::IpAddr;

const G: &str = "239.1.2.3";

fn ip(a: &str) -> IpAddr {
    a.parse().unwrap()
}

fn udp(s: &mut Script, bind: &str) -> SocketId {
    let id = s.stack.socket(Family::Inet, SockType::Dgram, 0).unwrap();
    s.stack.set_option(s.now, id, SockOpt::ReuseAddr(true)).unwrap();
    s.stack.bind(s.now, id, bind.parse().unwrap()).unwrap();
    id
}

fn set(s: &mut Script, id: SocketId, opt: SockOpt) -> Result<(), SockError> {
    s.stack.set_option(s.now, id, opt)
}

fn join(s: &Script) -> SockOpt {
    SockOpt::Join(ip(G), Some(s.ifs[0]))
}

fn source(s: &Script, a: &str) -> GroupSource {
    GroupSource { group: ip(G), source: ip(a), ifindex: Some(s.ifs[0]) }
}

fn filter(mode: FilterMode, sources: &[&str]) -> SourceFilter {
    SourceFilter { mode, sources: sources.iter().map(|a| ip(a)).collect() }
}

/// A datagram by `src` to the group.
fn datagram(s: &mut Script, src: &str) {
    s.input(0, &to_group(src, G).by_mac(peer_mac(9)).udp(1, 9, src.as_bytes()));
}

/// Who sent what waits.
fn got(s: &mut Script, id: SocketId) -> Vec<String> {
    let mut buf = [0; 100];
    core::iter::from_fn(|| {
        let meta = s.stack.recv(s.now, id, &mut buf, RecvFlags::empty()).ok()?;
        Some(String::from_utf8_lossy(&buf[..meta.len]).into_owned())
    })
    .collect()
}

#[test]
fn each_socket_gets_the_sources_that_it_wants() {
    let mut s = Script::host();
    let ids: Vec<SocketId> = (0..4).map(|_| udp(&mut s, "0.0.0.0:9")).collect();
    let (a, b) = (source(&s, "10.0.0.2"), source(&s, "10.0.0.3"));
    let all = join(&s);
    set(&mut s, ids[0], all.clone()).unwrap();
    set(&mut s, ids[1], SockOpt::AddSource(a)).unwrap();
    set(&mut s, ids[2], all).unwrap();
    set(&mut s, ids[2], SockOpt::Block(a)).unwrap();
    set(&mut s, ids[3], SockOpt::AddSource(a)).unwrap();
    set(&mut s, ids[3], SockOpt::AddSource(b)).unwrap();
    for src in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        datagram(&mut s, src);
    }
    assert_eq!(got(&mut s, ids[0]), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
    assert_eq!(got(&mut s, ids[1]), ["10.0.0.2"]);
    assert_eq!(got(&mut s, ids[2]), ["10.0.0.3", "10.0.0.4"]);
    assert_eq!(got(&mut s, ids[3]), ["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn what_nobody_wants_of_a_group_is_not_taken_from_the_link() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    // Not a member: it hears what others joined.
    let other = udp(&mut s, "0.0.0.0:9");
    let a = source(&s, "10.0.0.2");
    set(&mut s, id, SockOpt::AddSource(a)).unwrap();
    datagram(&mut s, "10.0.0.3");
    assert_eq!((s.counter("ipOtherSource"), s.counter("ipInAddrErrors")), (1, 1));
    datagram(&mut s, "10.0.0.2");
    assert_eq!((got(&mut s, id).len(), got(&mut s, other).len()), (1, 1));
    let opt = SockOpt::MsFilter(ip(G), Some(s.ifs[0]), filter(FilterMode::Exclude, &["10.0.0.2"]));
    set(&mut s, id, opt).unwrap();
    datagram(&mut s, "10.0.0.2");
    datagram(&mut s, "10.0.0.3");
    assert_eq!(s.counter("ipOtherSource"), 2);
    assert_eq!(got(&mut s, id), ["10.0.0.3"]);
}

#[test]
fn without_multicast_all_only_members_hear() {
    let mut s = Script::host();
    let (member, other) = (udp(&mut s, "0.0.0.0:9"), udp(&mut s, "0.0.0.0:9"));
    let opt = join(&s);
    set(&mut s, member, opt.clone()).unwrap();
    datagram(&mut s, "10.0.0.2");
    assert_eq!((got(&mut s, member).len(), got(&mut s, other).len()), (1, 1));
    set(&mut s, other, SockOpt::MulticastAll(false)).unwrap();
    assert_eq!(s.stack.option(other, SockOptName::MulticastAll), Ok(SockOpt::MulticastAll(false)));
    datagram(&mut s, "10.0.0.2");
    assert_eq!((got(&mut s, member).len(), got(&mut s, other).len()), (1, 0));
    // What is not sent to a group is none of its affair.
    s.input(0, &Ip::new("10.0.0.2", "255.255.255.255").at_mac(MacAddr::BROADCAST).udp(1, 9, b"x"));
    assert_eq!((got(&mut s, member).len(), got(&mut s, other).len()), (1, 1));
    set(&mut s, other, opt).unwrap();
    datagram(&mut s, "10.0.0.2");
    assert_eq!(got(&mut s, other).len(), 1);
}

#[test]
fn a_membership_is_of_one_interface() {
    let mut s = Script::new(StackConfig::default(), &["10.0.0.1/24", "10.0.1.1/24"]);
    let (a, b) = (udp(&mut s, "0.0.0.0:9"), udp(&mut s, "0.0.0.0:9"));
    for (id, n) in [(a, 0), (b, 1)] {
        set(&mut s, id, SockOpt::MulticastAll(false)).unwrap();
        let opt = SockOpt::Join(ip(G), Some(s.ifs[n]));
        set(&mut s, id, opt).unwrap();
    }
    datagram(&mut s, "10.0.0.2");
    assert_eq!((got(&mut s, a).len(), got(&mut s, b).len()), (1, 0));
    s.input(1, &to_group("10.0.1.2", G).udp(1, 9, b"x"));
    assert_eq!((got(&mut s, a).len(), got(&mut s, b).len()), (0, 1));
}

#[test]
fn raw_sockets_choose_sources_too() {
    let mut s = Script::host();
    let raw = s.stack.socket(Family::Inet, SockType::Raw, 17).unwrap();
    let all = udp(&mut s, "0.0.0.0:9");
    let opt = join(&s);
    set(&mut s, all, opt).unwrap();
    let a = source(&s, "10.0.0.2");
    set(&mut s, raw, SockOpt::AddSource(a)).unwrap();
    datagram(&mut s, "10.0.0.2");
    datagram(&mut s, "10.0.0.3");
    assert_eq!((got(&mut s, raw).len(), got(&mut s, all).len()), (1, 2));
}

#[test]
fn our_own_copy_obeys_the_filter() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    let opt = join(&s);
    set(&mut s, id, opt).unwrap();
    let meta = netstack::socket::SendMeta {
        to: Some(format!("{G}:9").parse().unwrap()),
        ..netstack::socket::SendMeta::default()
    };
    s.stack.send(s.now, id, b"one", &meta).unwrap();
    assert_eq!(got(&mut s, id), ["one"]);
    let own = source(&s, "10.0.0.1");
    set(&mut s, id, SockOpt::Block(own)).unwrap();
    s.stack.send(s.now, id, b"two", &meta).unwrap();
    assert_eq!(got(&mut s, id), [""; 0]);
}

#[test]
fn a_filter_is_read_as_it_was_set() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    let name = SockOptName::MsFilter(ip(G), Some(s.ifs[0]));
    assert_eq!(s.stack.option(id, name), Err(SockError::AddrNotAvailable));
    let opt = join(&s);
    set(&mut s, id, opt).unwrap();
    let of = |s: &Script, f| Ok(SockOpt::MsFilter(ip(G), Some(s.ifs[0]), f));
    assert_eq!(s.stack.option(id, name), of(&s, SourceFilter::any()));
    let wanted = filter(FilterMode::Include, &["10.0.0.3", "10.0.0.2"]);
    let opt = of(&s, wanted.clone()).unwrap();
    set(&mut s, id, opt).unwrap();
    assert_eq!(s.stack.option(id, name), of(&s, wanted));
    // What wants nothing is no membership.
    let opt = of(&s, SourceFilter::default()).unwrap();
    set(&mut s, id, opt.clone()).unwrap();
    assert_eq!(s.stack.option(id, name), Err(SockError::AddrNotAvailable));
    assert_eq!(set(&mut s, id, opt), Err(SockError::AddrNotAvailable));
    assert_eq!(s.stack.interface(s.ifs[0]).unwrap().groups().count(), 0);
}

#[test]
fn modes_change_only_with_empty_lists() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    let (a, b) = (source(&s, "10.0.0.2"), source(&s, "10.0.0.3"));
    let plain = join(&s);
    set(&mut s, id, plain.clone()).unwrap();
    // All, then one: an empty list may become the other kind.
    set(&mut s, id, SockOpt::AddSource(a)).unwrap();
    assert_eq!(set(&mut s, id, plain), Err(SockError::AddrInUse));
    assert_eq!(set(&mut s, id, SockOpt::Block(b)), Err(SockError::Invalid));
    assert_eq!(set(&mut s, id, SockOpt::Unblock(a)), Err(SockError::Invalid));
    assert_eq!(set(&mut s, id, SockOpt::AddSource(a)), Err(SockError::AddrNotAvailable), "there already");
    assert_eq!(set(&mut s, id, SockOpt::DropSource(b)), Err(SockError::AddrNotAvailable));
    set(&mut s, id, SockOpt::DropSource(a)).unwrap();
    // That was the last: it left.
    assert_eq!(set(&mut s, id, SockOpt::DropSource(a)), Err(SockError::Invalid));
    assert_eq!(set(&mut s, id, SockOpt::Block(a)), Err(SockError::Invalid));
    assert_eq!(set(&mut s, id, SockOpt::Leave(ip(G), None)), Err(SockError::AddrNotAvailable));
}

#[test]
fn what_cannot_be_joined() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    let at =
        |s: &Script, group: &str, ifindex| GroupSource { group: ip(group), ifindex, ..source(s, "10.0.0.2") };
    let (here, nowhere) = (Some(s.ifs[0]), Some(IfIndex(99)));
    assert_eq!(set(&mut s, id, SockOpt::Join(ip("10.0.0.9"), here)), Err(SockError::Invalid));
    assert_eq!(set(&mut s, id, SockOpt::Join(ip(G), nowhere)), Err(SockError::NoDevice));
    let what = at(&s, "10.0.0.9", here);
    assert_eq!(set(&mut s, id, SockOpt::AddSource(what)), Err(SockError::Invalid));
    let what = at(&s, G, nowhere);
    assert_eq!(set(&mut s, id, SockOpt::AddSource(what)), Err(SockError::NoDevice));
    let opt = SockOpt::MsFilter(ip(G), here, filter(FilterMode::Include, &["10.0.0.2"]));
    assert_eq!(set(&mut s, id, opt), Err(SockError::Invalid), "not a member");
    let stream = s.stack.socket(Family::Inet, SockType::Stream, 0).unwrap();
    let opt = join(&s);
    assert_eq!(set(&mut s, stream, opt), Err(SockError::Proto));
    // Without an interface it is that of the way to the group.
    set(&mut s, id, SockOpt::Join(ip(G), None)).unwrap();
    assert_eq!(s.stack.interface(s.ifs[0]).unwrap().groups().collect::<Vec<_>>(), [ip(G)]);
}

#[test]
fn memberships_and_sources_have_limits() {
    let mut s = Script::host();
    let id = udp(&mut s, "0.0.0.0:9");
    let here = Some(s.ifs[0]);
    for n in 0..20 {
        set(&mut s, id, SockOpt::Join(IpAddr::from([239, 9, 9, n]), here)).unwrap();
    }
    assert_eq!(set(&mut s, id, SockOpt::Join(ip(G), here)), Err(SockError::NoBufs));
    let a = source(&s, "10.0.0.2");
    assert_eq!(set(&mut s, id, SockOpt::AddSource(a)), Err(SockError::NoBufs));
    set(&mut s, id, SockOpt::Leave(ip("239.9.9.0"), here)).unwrap();
    for n in 0..10 {
        let what = source(&s, &format!("10.0.1.{n}"));
        set(&mut s, id, SockOpt::AddSource(what)).unwrap();
    }
    assert_eq!(set(&mut s, id, SockOpt::AddSource(a)), Err(SockError::NoBufs));
    let sources: Vec<String> = (0..11).map(|n| format!("10.0.2.{n}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let opt = |n: usize| SockOpt::MsFilter(ip(G), here, filter(FilterMode::Exclude, &sources[..n]));
    assert_eq!(set(&mut s, id, opt(11)), Err(SockError::NoBufs));
    set(&mut s, id, opt(10)).unwrap();
}

#[test]
fn a_socket_that_closes_leaves_its_sources_to_nobody() {
    let mut s = Script::host();
    let (a, b) = (udp(&mut s, "0.0.0.0:9"), udp(&mut s, "0.0.0.0:9"));
    for (id, from) in [(a, "10.0.0.2"), (b, "10.0.0.3")] {
        let what = source(&s, from);
        set(&mut s, id, SockOpt::AddSource(what)).unwrap();
    }
    let shown = |s: &Script| {
        let ifnet = s.stack.interface(s.ifs[0]).unwrap();
        ifnet.memberships(Family::Inet).map(|m| (m.users, m.sources.len())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&s), [(2, 2)]);
    let generation = s.stack.rx_filter(s.ifs[0]).generation;
    s.stack.close(s.now, b).unwrap();
    assert_eq!(shown(&s), [(1, 1)]);
    datagram(&mut s, "10.0.0.3");
    datagram(&mut s, "10.0.0.2");
    assert_eq!((got(&mut s, a), s.counter("ipOtherSource")), (vec!["10.0.0.2".to_owned()], 1));
    s.stack.close(s.now, a).unwrap();
    assert_eq!(shown(&s), []);
    assert_ne!(s.stack.rx_filter(s.ifs[0]).generation, generation, "the driver must be told");
}
