"""RFC 4861 section 6: what a host makes of router advertisements; RFC 4191: preferences and routes."""

from rig import *


def far():
    return "%s%x" % (FAR, random.randrange(1, 65536))


def first_hop(*routers, dst=None):
    """Which of the routers gets a packet that goes beyond the link."""
    request = routers[0].echo(src=dst or far())
    routers[0].send(request)
    frame = expect(reply_to(request))
    for router in routers:
        if frame.dst == router.mac:
            return router
    raise Failed("a packet by %s" % frame.dst)


def goes_nowhere(p):
    """A packet beyond the link is not sent."""
    request = p.echo(src=far())
    p.send(request)
    absent(reply_to(request), Peer().reachable())


@case("v6LC.2.2.1")
def solicitations():
    """An interface that comes up asks: at most three times, four seconds apart, to all routers."""
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    asks = that("router solicitation", lambda f: ICMPv6ND_RS in f)
    first = expect(asks)
    second = expect(asks, seconds=5)
    for frame in (first, second):
        same("asked", frame[IPv6].dst, "ff02::2")
        same("asker", frame[IPv6].src, NUT[0].ll)
        same("link address", frame[ICMPv6NDOptSrcLLAddr].lladdr, NUT[0].mac)
    no("the next too soon", second.time - first.time > 3.9)
    begin()


@case("v6LC.2.2.2")
def no_solicitation_after_an_answer():
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    expect(that("router solicitation", lambda f: ICMPv6ND_RS in f))
    r = Router().tell(prefix(NUT[0].prefix, A=1))
    r.told.clear()
    for frame in frames(4.3):
        no("a further solicitation", ICMPv6ND_RS not in frame)


@case("v6LC.2.2.3")
def host_ignores_solicitations():
    p, q = Peer().reachable(), Peer(answers=False)
    q.send(IPv6(src=q.ll, dst="ff02::2", hlim=255) / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=q.mac), to=q.nut.mac)
    absent(lambda f: ICMPv6ND_RA in f, p)
    q.send(q.echo(src=q.ll))
    expect(solicitation(q.ll, unicast=False))


@case("v6LC.2.2.11.A")
def router_switch_when_it_ends():
    a, b = Router().tell(), Router()
    no("a", first_hop(a, b) is a)
    b.tell()
    a.tell(lifetime=0)
    for _ in range(3):
        no("b", first_hop(a, b) is b)


@case("v6LC.2.2.11.B")
def router_switch_when_it_does_not_answer():
    """Questions to the router in vain: another one is taken."""
    r = Router()
    r.send(r.ra(lifetime=0, retranstimer=200, source=False))
    a, b = Router(answers=False), Router()
    a.tell(retranstimer=200, source=False)
    b.tell(prf=3)
    # `a` is preferred until it is known not to answer.
    a.send(a.echo(src=far()))
    for _ in range(3):
        expect(solicitation(a.ll))

    def by_b():
        request = b.echo(src=far())
        b.send(request)
        return any(sent_to(b.mac, reply_to(request))(frame) for frame in frames(0.1))

    eventually(by_b, "b")


@case("v6LC.2.2.11.C")
def router_switch_by_preference():
    a, b = Router().tell(prf=0), Router().tell(prf=1)
    for _ in range(4):
        no("the preferred", first_hop(a, b) is b)
    b.tell(prf=3)
    for _ in range(4):
        no("the preferred", first_hop(a, b) is a)


def bad_ra(letter, make):
    @case("v6LC.2.2.12.%s" % letter)
    def go():
        r = Router()
        r.send(make(r))
        goes_nowhere(r)

    return go


bad_ra("A", lambda r: r.ra(src=r.ip))
bad_ra("B", lambda r: IPv6(bytes(r.ra())[:7] + bytes([254]) + bytes(r.ra())[8:]))
bad_ra("C", lambda r: r.ra(cksum=0x1234))
bad_ra("D", lambda r: r.ra(code=1))
bad_ra("E", lambda r: checksummed(IPv6(src=r.ll, dst="ff02::1", hlim=255, nh=58) / Raw(bytes(r.ra())[40:54])))
bad_ra("F", lambda r: checksummed(r.ra() / Raw(bytes([1, 0]) + bytes(6))))
bad_ra("G", lambda r: checksummed(r.ra() / Raw(bytes([1, 2]) + bytes(6))))


@case("v6LC.2.2.12.H")
def reserved_field_and_unknown_options():
    r = Router()
    r.tell(ICMPv6NDOptUnknown(type=200, data=b"\1" * 6), res=7)
    no("the router", first_hop(r) is r)


@case("v6LC.2.2.13.A")
def hop_limit_told():
    r, p = Router(), Peer()
    r.tell(lifetime=0, chlim=15)
    same("hop limit", p.ping()[IPv6].hlim, 15)


@case("v6LC.2.2.13.B")
def hop_limit_zero_says_nothing():
    r, p = Router(), Peer()
    r.tell(lifetime=0, chlim=33)
    r.tell(lifetime=0, chlim=0)
    same("hop limit", p.ping()[IPv6].hlim, 33)


@case("v6LC.2.2.14.A")
def lifetime_ends():
    with Within(1):
        r = Router().tell(lifetime=1)
        no("the router", first_hop(r) is r)
    time.sleep(1.5)
    goes_nowhere(r)


@case("v6LC.2.2.14.B")
def lifetime_updated():
    r = Router().tell(lifetime=1)
    r.tell(lifetime=10)
    time.sleep(1.5)
    no("the router", first_hop(r) is r)


@case("v6LC.2.2.14.C")
def lifetime_zero_of_nobody():
    """Who was no router is none."""
    r = Router().tell(lifetime=0)
    goes_nowhere(r)


@case("v6LC.2.2.15")
def reachable_time():
    """Half to one and a half of what the router told: then the neighbour is stale, and asked after its next use."""
    r, p = Router(), Peer()
    r.tell(lifetime=0, reachabletime=600, retranstimer=200)
    p.ping()
    time.sleep(1.0)
    p.ping()
    expect(solicitation(p.ip, unicast=True), seconds=7)


@case("v6LC.2.2.16.A")
def neighbour_no_entry():
    """An advertisement with its sender's link address: it is known, and asked only after its use."""
    r = Router(answers=False).tell()
    heard = [first_hop(r)]
    no("the router", heard[0] is r)


@case("v6LC.2.2.16.B")
def neighbour_no_entry_no_link_address():
    r = Router(answers=False).tell(source=False)
    r.send(r.echo(src=far()))
    expect(solicitation(r.ll, unicast=False))


@case("v6LC.2.2.16.C")
def neighbour_incomplete():
    r = Router(answers=False)
    request = r.echo(src=r.ll, dst=r.nut.ll)
    r.send(request)
    expect(solicitation(r.ll))
    r.tell()
    expect(reply_to(request))


@case("v6LC.2.2.16.D")
def neighbour_other_link_address():
    r = Router()
    r.ping(src=r.ll, dst=r.nut.ll)
    r.answers, r.mac = False, r.other
    r.tell()
    request = r.echo(src=r.ll, dst=r.nut.ll)
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.2.16.E")
def neighbour_same_link_address():
    r = Router()
    r.ping(src=r.ll, dst=r.nut.ll)
    r.tell()
    request = r.echo(src=r.ll, dst=r.nut.ll)
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.2.17")
def is_router_flag():
    """An advertisement makes a neighbour that is known a router; lifetime 0 does not make it less of one in the cache."""
    r = Router()
    r.ping(src=r.ll, dst=r.nut.ll)
    r.tell()
    no("the router", first_hop(r) is r)


@case("v6LC.2.2.18.A")
def next_hop_of_several():
    """Of two routers that answer either is taken, and the same one for the same destination."""
    a, b = Router().tell(), Router().tell()
    dst = far()
    one = first_hop(a, b, dst=dst)
    for _ in range(3):
        no("another router", first_hop(a, b, dst=dst) is one)


@case("v6LC.2.2.18.B")
def next_hop_unreachable_is_avoided():
    a, b = Router(answers=False).tell(source=False), Router().tell()
    r = Router()
    r.send(r.ra(lifetime=0, retranstimer=200, source=False))
    for _ in range(8):
        b.send(b.echo(src=far()))
    time.sleep(1.0)
    for _ in range(4):
        no("who answers", first_hop(b) is b)


@case("v6LC.2.2.19.A")
def on_link_needs_a_prefix():
    """An address says nothing of its prefix (RFC 5942): without L, neighbours are reached by the router."""
    net = fresh_prefix()
    r = Router().tell(prefix(net, L=0))
    request = r.echo(src=net + "19")
    r.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.2.19.B")
def on_link_longer_prefix():
    net = fresh_prefix()
    r, p = Router(), Peer()
    p.further |= {net + "19", net + "8000:0:0:19"}
    r.tell(prefix(net, length=65))
    request = p.echo(src=net + "19")
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))
    request = p.echo(src=net + "8000:0:0:19")
    p.send(request)
    expect(sent_to(r.mac, reply_to(request)))


@case("v6LC.2.2.22.A")
def prefers_high():
    a, b, c = Router().tell(prf=3), Router().tell(prf=1), Router().tell(prf=0)
    for _ in range(4):
        no("the highest", first_hop(a, b, c) is b)


@case("v6LC.2.2.22.B")
def reserved_preference_is_medium():
    """RFC 4191 section 2.2: 10 is treated as 00."""
    a, b = Router().tell(prf=2), Router().tell(prf=3)
    for _ in range(4):
        no("the medium", first_hop(a, b) is a)


@case("v6LC.2.2.22.C")
def preference_changes():
    a, b = Router().tell(prf=3), Router().tell(prf=0)
    no("b", first_hop(a, b) is b)
    a.tell(prf=1)
    no("a", first_hop(a, b) is a)


def route(net, plen=48, lifetime=1800, prf=0):
    return ICMPv6NDOptRouteInfo(prefix=net, plen=plen, rtlifetime=lifetime, prf=prf)


def told_of_routes(test):
    """The routes are taken back at the end."""

    def go():
        nets, routers_ = [], []
        try:
            test(lambda r, net, **how: (nets.append((net, how.get("plen", 48))), routers_.append(r),
                                        r.tell(route(net, **how))))
        finally:
            for r, (net, plen) in zip(routers_, nets):
                r.send(r.ra(route(net, plen=plen, lifetime=0), source=False))

    return go


@case("v6LC.2.2.23.A")
@told_of_routes
def more_specific_route(tell):
    a, b = Router().tell(), Router()
    net = "fd01:%x::" % random.randrange(65536)
    tell(b, net)
    b.tell(lifetime=0)
    tell(b, net)
    for _ in range(4):
        no("who told the route", first_hop(a, b, dst=net + "23") is b)


@case("v6LC.2.2.23.B")
@told_of_routes
def route_preference(tell):
    a, b = Router(), Router()
    net = "fd01:%x::" % random.randrange(65536)
    tell(a, net, prf=3)
    tell(b, net, prf=0)
    no("b", first_hop(a, b, dst=net + "23") is b)
    tell(a, net, prf=1)
    no("a", first_hop(a, b, dst=net + "23") is a)


@case("v6LC.2.2.23.C")
@told_of_routes
def route_lifetime(tell):
    a, b = Router().tell(), Router()
    net = "fd01:%x::" % random.randrange(65536)
    with Within(1):
        tell(b, net, lifetime=1)
        b.tell(lifetime=0)
        no("b", first_hop(a, b, dst=net + "23") is b)
    time.sleep(1.5)
    no("a", first_hop(a, b, dst=net + "24") is a)


@case("v6LC.2.2.23.D")
@told_of_routes
def route_longest(tell):
    a, b = Router(), Router()
    net = "fd01:%x::" % random.randrange(65536)
    tell(a, net, plen=48)
    tell(b, net, plen=64)
    no("b", first_hop(a, b, dst=net + "23") is b)
    no("a", first_hop(a, b, dst=net + "1:0:0:0:23") is a)


@case("v6LC.2.2.23.E")
@told_of_routes
def route_of_reserved_preference(tell):
    """RFC 4191 section 2.3: the option is ignored."""
    a, b = Router().tell(), Router()
    net = "fd01:%x::" % random.randrange(65536)
    tell(b, net, prf=2)
    b.send(b.ra(lifetime=0))
    no("a", first_hop(a, b, dst=net + "23") is a)


@case("v6LC.2.2.14.D")
def no_more_than_there_is_room_for():
    """The list has a limit; who was there first remains, and two at least are kept."""
    kept = [Router().tell() for _ in range(2)]
    for _ in range(40):
        Router(answers=False).tell(prf=3)
    for r in kept:
        r.tell(prf=1)
    no("one of the first", first_hop(*kept) in kept)


if __name__ == "__main__":
    main()
