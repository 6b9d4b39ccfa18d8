"""RFC 4861 section 7: address resolution, unreachability detection, what solicitations and advertisements change. The NUT
is a host. State PROBE, which takes five seconds to come to, is in `probe_host`.
"""

from rig import *


def ns(p, target=None, src=None, dst=None, hlim=255, code=0, options=None, **fields):
    target = target or p.nut.ip
    packet = IPv6(src=src or p.ip, dst=dst or solicited(target), hlim=hlim) / ICMPv6ND_NS(tgt=target, code=code, **fields)
    for option in [ICMPv6NDOptSrcLLAddr(lladdr=p.mac)] if options is None else options:
        packet /= option
    return packet


def goes_to(p, mac, **how):
    """Packets to the peer go to this link address."""
    request = p.echo(**how)
    p.send(request)
    return expect(sent_to(mac, reply_to(request)), p.link)


@case("v6LC.2.1.1.A")
def on_link_link_local():
    p = Peer()
    p.send(p.echo(src=p.ll, dst=p.nut.ll))
    expect(solicitation(p.ll, unicast=False))


@case("v6LC.2.1.1.B")
def on_link_by_prefix():
    p = Peer()
    p.send(p.echo())
    expect(solicitation(p.ip, unicast=False))


@case("v6LC.2.1.1.C")
def off_link_goes_to_the_router():
    r = Router().tell()
    request = r.echo(src=FAR + "77")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.1.2.A")
def wait_queue():
    """Packets wait for the link address, in their order; at least one."""
    p = Peer(answers=False)
    requests = [p.echo() for _ in range(3)]
    for request in requests:
        p.send(request)
    expect(solicitation(p.ip))
    p.advertise()
    for request in requests:
        expect(reply_to(request))


@case("v6LC.2.1.2.B")
def wait_queues():
    """Each neighbour has a queue of its own."""
    p, q = Peer(answers=False), Peer(answers=False)
    a, b = [p.echo() for _ in range(3)], [q.echo() for _ in range(4)]
    for request in a:
        p.send(request)
    for request in b:
        q.send(request)
    q.advertise()
    for request in b:
        expect(reply_to(request))
    p.advertise()
    for request in a:
        expect(reply_to(request))


@case("v6LC.2.1.3")
def on_link_flag():
    """Without L a prefix says nothing of what is on the link."""
    net = fresh_prefix()
    r, p = Router(), Peer()
    p.further.add(net + "5")
    r.tell(prefix(net, L=0))
    request = p.echo(src=net + "5")
    p.send(request)
    expect(sent_to(r.mac, reply_to(request)))
    r.tell(prefix(net, L=1))
    request = p.echo(src=net + "5")
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))
    r.tell(prefix(net, L=0))
    request = p.echo(src=net + "5")
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))


@case("v6LC.2.1.4.A")
def prefix_expires():
    net = fresh_prefix()
    r, p = Router(), Peer()
    p.further |= {net + "5", net + "6"}
    with Within(1):
        r.tell(prefix(net, valid=1, preferred=1))
        request = p.echo(src=net + "5")
        p.send(request)
        expect(sent_to(p.mac, reply_to(request)))
    time.sleep(1.5)
    request = p.echo(src=net + "6")
    p.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.1.4.B")
def prefix_lives_on():
    net = fresh_prefix()
    r, p = Router(), Peer()
    p.further |= {net + "5"}
    r.tell(prefix(net, valid=1, preferred=1))
    r.tell(prefix(net, valid=10, preferred=10))
    time.sleep(1.5)
    request = p.echo(src=net + "5")
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))
    r.tell(prefix(net, valid=0, preferred=0))
    request = p.echo(src=net + "5")
    p.send(request)
    expect(sent_to(r.mac, reply_to(request)))


def resolution(src, dst):
    """MAX_MULTICAST_SOLICIT questions, RetransTimer apart, from the address that the waiting packet has."""
    r, p = Router(), Peer(answers=False)
    r.tell(lifetime=0, retranstimer=300)
    p.send(p.echo(src=getattr(p, src), dst=getattr(p.nut, dst)))
    times = []
    for _ in range(3):
        frame = expect(solicitation(getattr(p, src), unicast=False))
        times.append(frame.time)
        same("asker", frame[IPv6].src, getattr(p.nut, dst))
        same("asked", frame[IPv6].dst, solicited(getattr(p, src)))
        same("link address", frame[ICMPv6NDOptSrcLLAddr].lladdr, p.nut.mac)
    no("a question too soon", times[2] - times[0] > 0.45)
    for frame in frames(0.7):
        no("a fourth question", not solicitation(getattr(p, src))(frame))


@case("v6LC.2.1.5.A")
def resolution_link_local():
    resolution("ll", "ll")


@case("v6LC.2.1.5.B")
def resolution_global():
    resolution("ip", "ip")


@case("v6LC.2.1.5.C")
def nobody_answers():
    """Then the packets are dropped, and their sender told: nobody but the NUT itself here. The next one asks again."""
    r, p = Router(), Peer(answers=False)
    r.tell(lifetime=0, retranstimer=100)
    p.send(p.echo())
    for _ in range(3):
        expect(solicitation(p.ip))
    time.sleep(0.3)
    p.answers = True
    request = p.echo()
    p.send(request)
    expect(reply_to(request))


def bad_ns(letter, make, answered=False):
    @case("v6LC.2.1.7.%s" % letter)
    def go():
        p, q = Peer().reachable(), Peer(answers=False)
        q.send(make(q))
        heard = absent(lambda f: not answered and advertisement(q.nut.ip)(f), p)
        if answered:
            no("no advertisement", any(advertisement(q.nut.ip)(f) for f in heard))
        else:
            # Nor was anything learnt.
            q.send(q.echo())
            expect(solicitation(q.ip, unicast=False))


bad_ns("A", lambda q: ns(q, target="ff02::1", dst=q.nut.ip))
bad_ns("B", lambda q: ns(q, src="::", dst=q.nut.ip, options=[]))
bad_ns("C", lambda q: ns(q, src="::"))
bad_ns("D", lambda q: ns(q, hlim=254))
bad_ns("E", lambda q: ns(q, cksum=0x1234))
bad_ns("F", lambda q: ns(q, code=1))
bad_ns("G", lambda q: checksummed(IPv6(src=q.ip, dst=solicited(q.nut.ip), hlim=255, nh=58)
                                  / Raw(bytes(ns(q, options=[]))[40:56])))
bad_ns("H", lambda q: checksummed(ns(q, options=[]) / Raw(bytes([1, 0]) + bytes(6))))
bad_ns("I", lambda q: ns(q, dst=q.nut.ip, target=FAR + "1"))


@case("v6LC.2.1.7.J")
def reserved_field_and_unknown_options():
    p = Peer()
    p.send(ns(p, res=0xFFFFFFFF, options=[ICMPv6NDOptUnknown(type=200, data=b"\1" * 6), ICMPv6NDOptSrcLLAddr(lladdr=p.mac)]))
    frame = expect(advertisement(p.nut.ip))
    same("link address", frame.dst, p.mac)


def solicited_answer(frame, p, target, S=1):
    advert = frame[ICMPv6ND_NA]
    same("router, solicited, override", (advert.R, advert.S, advert.O), (0, S, 1))
    same("target's link address", frame[ICMPv6NDOptDstLLAddr].lladdr, p.nut.mac)
    same("source", frame[IPv6].src, target)


@case("v6LC.2.1.8.A")
def ns_no_entry_unicast():
    """It is answered, and the sender known: STALE, so that the next packet asks nobody at first."""
    p = Peer(answers=False)
    p.solicit(dst=p.nut.ip)
    solicited_answer(expect(advertisement(p.nut.ip)), p, p.nut.ip)
    heard = until_answer(p)
    no("a question", not any(solicitation(p.ip)(f) for f in heard))


@case("v6LC.2.1.8.B")
def ns_no_entry_multicast():
    p = Peer(answers=False)
    p.solicit(target=p.nut.ll, src=p.ll)
    solicited_answer(expect(advertisement(p.nut.ll)), p, p.nut.ll)
    goes_to(p, p.mac, src=p.ll, dst=p.nut.ll)


@case("v6LC.2.1.8.C")
def ns_no_entry_without_link_address():
    """Who asks without telling is asked before it is answered."""
    p = Peer(answers=False)
    p.solicit(dst=p.nut.ip, link=False)
    expect(solicitation(p.ip, unicast=False))
    p.advertise()
    solicited_answer(expect(advertisement(p.nut.ip)), p, p.nut.ip)


@case("v6LC.2.1.9.A")
def ns_incomplete():
    p = Peer(answers=False)
    request = p.echo()
    p.send(request)
    expect(solicitation(p.ip))
    p.solicit(dst=p.nut.ip)
    expect(reply_to(request))


@case("v6LC.2.1.9.B")
def ns_incomplete_without_link_address():
    p = Peer(answers=False)
    p.send(p.echo())
    expect(solicitation(p.ip))
    p.solicit(dst=p.nut.ip, link=False)
    q = Peer().reachable()
    absent(advertisement(p.nut.ip), q)


@case("v6LC.2.1.10.A")
def ns_reachable_same():
    """The same link address changes nothing."""
    p = Peer().reachable()
    p.solicit(dst=p.nut.ip)
    expect(advertisement(p.nut.ip))
    goes_to(p, p.mac)


@case("v6LC.2.1.10.B")
def ns_reachable_other():
    p = Peer().reachable()
    p.solicit(dst=p.nut.ip, mac=p.other)
    expect(sent_to(p.other, advertisement(p.nut.ip)))
    goes_to(p, p.other)


@case("v6LC.2.1.10.C")
def ns_reachable_none():
    p = Peer().reachable()
    p.solicit(dst=p.nut.ip, link=False)
    expect(sent_to(p.mac, advertisement(p.nut.ip)))


@case("v6LC.2.1.11.A")
def ns_stale_same():
    p = Peer().stale()
    p.solicit(dst=p.nut.ip, mac=p.other)
    expect(sent_to(p.other, advertisement(p.nut.ip)))


@case("v6LC.2.1.11.B")
def ns_stale_other():
    p = Peer().stale()
    p.solicit(dst=p.nut.ip, mac=p.mac)
    expect(sent_to(p.mac, advertisement(p.nut.ip)))
    goes_to(p, p.mac)


@case("v6LC.2.1.13")
def is_router_flag_stays():
    """A solicitation says nothing of whether its sender is a router."""
    r = Router().tell()
    r.solicit(src=r.ll)
    expect(advertisement(r.nut.ip))
    request = r.echo(src=FAR + "13")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


def bad_na(letter, make):
    """It is not believed: who is INCOMPLETE remains so."""

    @case("v6LC.2.1.15.%s" % letter)
    def go():
        q, p = Peer().reachable(), Peer(answers=False)
        request = p.echo()
        p.send(request)
        expect(solicitation(p.ip))
        p.send(make(p))
        absent(reply_to(request), q)


bad_na("A", lambda p: na(p, dst="ff02::1", S=1))
bad_na("B", lambda p: na(p, hlim=254))
bad_na("C", lambda p: na(p, cksum=0x1234))
bad_na("D", lambda p: na(p, code=1))
bad_na("E", lambda p: checksummed(IPv6(src=p.ip, dst=p.nut.ll, hlim=255, nh=58) / Raw(bytes(na(p))[40:56])))
bad_na("F", lambda p: na(p, target="ff02::1"))
bad_na("G", lambda p: checksummed(na(p, link=None) / Raw(bytes([2, 0]) + bytes(6))))


@case("v6LC.2.1.15.H")
def reserved_field_and_unknown_options_in_na():
    p = Peer(answers=False)
    request = p.echo()
    p.send(request)
    expect(solicitation(p.ip))
    p.send(na(p, res=0x1FFFFFFF) / ICMPv6NDOptUnknown(type=200, data=b"\1" * 6))
    expect(reply_to(request))


@case("v6LC.2.1.16")
def na_no_entry():
    """Nobody is remembered who was not asked."""
    p = Peer(answers=False)
    for S in (0, 1):
        for O in (0, 1):
            p.send(na(p, S=S, O=O))
    p.send(p.echo())
    expect(solicitation(p.ip, unicast=False))


def na_incomplete(letter, S, O, link, resolved):
    @case("v6LC.2.1.17.%s" % letter)
    def go():
        p, q = Peer(answers=False), Peer().reachable()
        request = p.echo()
        p.send(request)
        expect(solicitation(p.ip))
        p.send(na(p, S=S, O=O, link="own" if link else None))
        if resolved:
            expect(sent_to(p.mac, reply_to(request)))
        else:
            absent(reply_to(request), q)


na_incomplete("A", 0, 0, True, True)
na_incomplete("B", 0, 1, True, True)
na_incomplete("C", 1, 0, True, True)
na_incomplete("D", 1, 1, True, True)
na_incomplete("E", 0, 0, False, False)
na_incomplete("F", 0, 1, False, False)
na_incomplete("G", 1, 0, False, False)
na_incomplete("H", 1, 1, False, False)


def matrix(number, prepare, rows):
    """What an advertisement does to a neighbour that is known: where packets go, and whether it counts as reachable after
    that. Who does not is asked itself five seconds after its next use, which `probe_host` waits for.
    """

    def one(letter, S, O, link, taken):
        @case("%s.%s" % (number, letter))
        def go():
            p = Peer()
            prepare(p)
            p.answers = False
            told = {"same": p.mac, "other": mac_of(0xA00000 + Peer.made), "none": None}[link]
            p.send(na(p, S=S, O=O, link=told))
            goes_to(p, told if taken else p.mac)

    for letter, row in zip("ABCDEFGHIJKL", rows):
        one(letter, *row)


ALL = [(S, O, link, link == "other" and O == 1) for link in ("same", "other", "none") for S in (0, 1) for O in (0, 1)]


def reachable(p):
    p.reachable()


def stale(p):
    p.reachable()
    p.mac, p.other = p.other, p.mac
    p.advertise(solicited=0)


matrix("v6LC.2.1.18", reachable, ALL)
matrix("v6LC.2.1.19", stale, ALL)


@case("v6LC.2.1.21.A")
def router_becomes_host():
    """R=0: it is no default router any more."""
    r, s = Router().tell(), Router()
    request = r.echo(src=FAR + "21")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))
    s.tell()
    r.send(na(r, target=r.ll, S=0, O=1, R=0, dst="ff02::1"))
    for _ in range(3):
        request = r.echo(src="%s%x" % (FAR, random.randrange(1, 65536)))
        r.send(request)
        expect(sent_to(s.mac, reply_to(request)))


def r_bit(letter, S, O, link):
    @case("v6LC.2.1.21.%s" % letter)
    def go():
        r = Router().tell()
        request = r.echo(src=FAR + "21")
        r.send(request)
        expect(sent_to(r.mac, reply_to(request)))
        r.send(na(r, target=r.ll, S=S, O=O, R=0, link="own" if link else None))
        absent(lambda f: f[IPv6].dst == FAR + "22", unreachable_far(r))


def unreachable_far(r):
    """Asks for an answer that nobody can pass on; gives who is near."""
    r.send(r.echo(src=FAR + "22"))
    return Peer().reachable()


r_bit("B", 1, 0, True)
r_bit("C", 1, 1, True)
r_bit("D", 1, 0, False)
r_bit("E", 0, 0, False)


@case("v6LC.2.1.21.F")
def r_bit_of_a_contradiction():
    """Another link address without O: the message is not believed, nor what it says of routers."""
    r = Router().tell()
    request = r.echo(src=FAR + "21")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))
    r.send(na(r, target=r.ll, S=1, O=0, R=0, link=r.other))
    request = r.echo(src=FAR + "23")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


if __name__ == "__main__":
    main()
