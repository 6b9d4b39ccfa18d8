//! RTM_*NEIGH, and the small tables.

use crate::ask::*;
use crate::world::World;
use netstack::time::Duration;
use rumpkern::syscall::{Errno, Family, MsgFlags, SockType};

const DST: u16 = 1;
const LLADDR: u16 = 2;
const REACHABLE: u16 = 2;
const STALE: u16 = 4;
const PERMANENT: u16 = 0x80;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x55];

fn state(m: &Message) -> u16 {
    u16::from_le_bytes([m.header()[8], m.header()[9]])
}

fn new(state: u16, addr: &str, mac: &[u8]) -> Vec<u8> {
    [ndmsg(ETH0, state), ip(DST, addr), attr(LLADDR, mac)].concat()
}

#[test]
fn neighbours_are_learned_told_and_forgotten() {
    let world = World::lan(2);
    let asker = Asker::new(&world.kernels[0]);
    let run = world.spawn(0, async |sys| {
        let fd = sys.socket(Family::Inet, SockType::Dgram, 0).unwrap();
        sys.sendto(fd, b"x", MsgFlags::empty(), "10.0.0.2:9".parse().unwrap()).await.unwrap();
        sys.sleep(Duration::from_millis(10)).await;
    });
    world.result(&run);
    let all = |asker: &Asker| {
        let table = asker.table(30, &ndmsg(0, 0));
        table.iter().map(|m| (m.ip(DST).unwrap(), state(m), m.attr(LLADDR))).collect::<Vec<_>>()
    };
    assert_eq!(all(&asker), [("10.0.0.2".into(), REACHABLE, Some(vec![2, 0, 0, 0, 0, 2]))]);
    // ip neigh add … nud permanent, and again
    assert_eq!(asker.tell(28, CREATE | EXCL, &new(PERMANENT, "10.0.0.55", &MAC)), 0);
    assert_eq!(asker.tell(28, CREATE | EXCL, &new(PERMANENT, "10.0.0.55", &MAC)), Errno::EEXIST.number());
    assert_eq!(asker.tell(28, REPLACE, &new(PERMANENT, "10.0.0.56", &MAC)), Errno::ENOENT.number());
    assert_eq!(asker.tell(28, REPLACE, &new(STALE, "10.0.0.55", &[2, 0, 0, 0, 0, 9])), 0);
    let one = asker.ask(30, 0, &[ndmsg(ETH0, 0), ip(DST, "10.0.0.55")].concat()).remove(0);
    assert_eq!((state(&one), one.attr(LLADDR)), (STALE, Some(vec![2, 0, 0, 0, 0, 9])));
    assert_eq!(asker.tell(29, 0, &new(0, "10.0.0.55", &MAC)), 0);
    assert_eq!(asker.tell(29, 0, &new(0, "10.0.0.55", &MAC)), Errno::ENOENT.number());
    assert_eq!(all(&asker).len(), 1);
    // By interface, of bridges, of proxies.
    let count = |body: Vec<u8>| asker.ask(30, DUMP, &body).len() - 1;
    assert_eq!(count([ndmsg(0, 0), attr32(8, ETH0)].concat()), 1);
    assert_eq!(count([ndmsg(0, 0), attr32(8, 1)].concat()), 0);
    assert_eq!(count([&[7][..], &ndmsg(0, 0)[1..]].concat()), 0);
    let mut proxies = ndmsg(0, 0);
    proxies[10] = 8;
    assert_eq!(count(proxies), 0);
}

#[test]
fn refusals_are_linuxs() {
    let (_world, asker) = host();
    let add = |body: &[u8]| asker.refused(28, CREATE | EXCL, body);
    let said = |errno: Errno, text: &str| (errno.number(), text.to_owned());
    let far = [ndmsg(99, PERMANENT), ip(DST, "10.0.0.9"), attr(LLADDR, &MAC)].concat();
    assert_eq!(add(&far), said(Errno::ENODEV, ""));
    let nameless = [ndmsg(ETH0, PERMANENT), attr(LLADDR, &MAC)].concat();
    assert_eq!(add(&nameless), said(Errno::EINVAL, "Network address not specified"));
    assert_eq!(add(&new(PERMANENT, "10.0.0.9", &[2, 0, 0])), said(Errno::EINVAL, ""));
    assert_eq!(add(&new(PERMANENT, "10.0.0.9", &[0xff; 6])).0, Errno::EINVAL.number());
    assert_eq!(add(&new(0x7777, "10.0.0.9", &MAC)).0, Errno::EINVAL.number());
    let lo = [ndmsg(1, PERMANENT), ip(DST, "10.0.0.9"), attr(LLADDR, &MAC)].concat();
    assert_eq!(add(&lo).0, Errno::EINVAL.number());
    let get = [ndmsg(ETH0, 0), ip(DST, "10.0.0.9")].concat();
    assert_eq!(asker.refused(30, 0, &get), said(Errno::ENOENT, "Neighbour entry not found"));
}

#[test]
fn small_tables_are_there() {
    let (_world, asker) = host();
    let rules = asker.table(34, &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let rules: Vec<_> = rules.iter().map(|m| (m.attr32(6), m.header()[4])).collect();
    assert_eq!(rules, [(None, 255), (Some(32_766), 254), (Some(32_767), 253)]);
    let add = [&[2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0][..], &attr32(6, 100)].concat();
    assert_eq!(asker.tell(32, CREATE | EXCL, &add), Errno::EOPNOTSUPP.number());
    let qdiscs = asker.table(38, &[0; 20]);
    assert_eq!(qdiscs.iter().map(|m| m.text(1).unwrap()).collect::<Vec<_>>(), ["noqueue"; 2]);
    let tables = asker.table(66, &[2, 0, 0, 0]);
    assert!(tables.len() == 3 && tables.iter().all(|m| m.text(1).as_deref() == Some("arp_cache")));
    // NDTPA_RETRANS_TIME, NDTPA_MCAST_PROBES
    let parameters = attrs(&tables[0].attr(6).unwrap());
    let of = |kind: u16| parameters.iter().find(|(k, _)| *k == kind).unwrap().1.clone();
    assert_eq!((of(5), of(11)), (1000u64.to_le_bytes().to_vec(), 3u32.to_le_bytes().to_vec()));
    let conf = asker.table(82, &[2, 0, 0, 0]);
    let indices: Vec<_> = conf.iter().map(|m| m.attr32(1).unwrap() as i32).collect();
    assert_eq!(indices, [1, 2, -1, -2]);
    asker.sys.kernel().with_stack(|s, _| s.set_forwarding(true));
    assert_eq!(asker.table(82, &[2, 0, 0, 0])[1].attr32(2), Some(1));
    // Next hops, classes, filters: none. Address labels: no IPv6.
    for kind in [42, 46, 90] {
        assert_eq!(asker.table(kind, &[0; 20]), []);
    }
    assert_eq!(asker.tell(74, DUMP, &[0; 12]), Errno::EOPNOTSUPP.number());
}
