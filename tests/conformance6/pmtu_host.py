"""RFC 8201: path MTU discovery. The NUT is a host.

The echo requests are sent in fragments where they are longer than the link carries; what is looked at is how the replies come.
"""

from rig import *


def far():
    return "%s%x" % (FAR, random.randrange(1, 65536))


def ask(r, src, size):
    """An echo request whose packet has `size` octets."""
    request = r.echo(src=src, data=bytes(size - 48))
    r.send(request)
    return request


def answer(r, request):
    """The packets that the reply comes in."""
    packets = []
    for frame in frames(PATIENCE):
        packet = frame[IPv6]
        if packet.dst != request.src:
            continue
        packets.append(frame)
        header = packet.getlayer(IPv6ExtHdrFragment)
        if header is None and ICMPv6EchoReply in frame or header is not None and not header.m:
            return packets
    raise Failed("no reply of %d octets" % len(bytes(request)))


def lengths(packets):
    return [len(bytes(f[IPv6])) for f in packets]


def whole(r, src, size):
    packets = answer(r, ask(r, src, size))
    same("packets of a reply of %d octets" % size, lengths(packets), [size])
    return packets[0]


def in_pieces(r, src, size, mtu):
    """The reply comes in fragments, none longer than `mtu`."""
    packets = answer(r, ask(r, src, size))
    no("%s octets in packets for an MTU of %d" % (lengths(packets), mtu), len(packets) > 1 and max(lengths(packets)) <= mtu)
    at, identities = 0, set()
    for f in packets:
        header = f[IPv6ExtHdrFragment]
        same("offset", header.offset * 8, at)
        at += len(bytes(f[IPv6])) - 48
        identities.add(header.id)
        same("more", header.m, int(f is not packets[-1]))
    same("identifiers", len(identities), 1)
    same("octets", at, size - 40)


def too_big(r, about, mtu, src=None, **fields):
    quote = bytes(about[IPv6])[:1280 - 48]
    message = IPv6(src=src or r.ip, dst=about[IPv6].src) / ICMPv6PacketTooBig(mtu=mtu, **fields) / Raw(quote)
    r.send(message)


@case("v6LC.4.1.1")
def confirm_ping():
    r = Router().tell()
    for size in (64, 1280, 1500):
        whole(r, far(), size)


@case("v6LC.4.1.2")
def stored():
    """The path MTU is one destination's."""
    r, a, b = Router().tell(), far(), far()
    too_big(r, whole(r, a, 1500), 1400)
    in_pieces(r, a, 1500, 1400)
    whole(r, b, 1500)
    whole(r, a, 1400)


@case("v6LC.4.1.3")
def nonzero_code():
    """RFC 4443 section 3.2: the code is ignored."""
    r, a = Router().tell(), far()
    too_big(r, whole(r, a, 1500), 1400, code=0xFF)
    in_pieces(r, a, 1500, 1400)


@case("v6LC.4.1.4")
def on_link():
    """Also of a neighbour."""
    p = Peer()
    too_big(p, whole(p, p.ip, 1500), 1400)
    in_pieces(p, p.ip, 1500, 1400)


@case("v6LC.4.1.4.B")
def on_link_link_local():
    p = Peer()
    request = p.echo(src=p.ll, dst=p.nut.ll, data=bytes(1452))
    p.send(request)
    about = expect(reply_to(request))
    too_big(p, about, 1400, src=p.ll)
    p.send(request)
    no("pieces", len(answer(p, request)) == 2)


@case("v6LC.4.1.5")
def off_link_again():
    """A smaller one reduces it further."""
    r, a = Router().tell(), far()
    too_big(r, whole(r, a, 1500), 1400)
    in_pieces(r, a, 1500, 1400)
    too_big(r, whole(r, a, 1400), 1300)
    in_pieces(r, a, 1500, 1300)
    too_big(r, whole(r, a, 1300), 1280)
    in_pieces(r, a, 1500, 1280)


def below_the_minimum(letter, mtu):
    @case("v6LC.4.1.6.%s" % letter)
    def go():
        """RFC 8201 section 4: it is dropped, and no fragment header comes of it (RFC 8021)."""
        r, a = Router().tell(), far()
        too_big(r, whole(r, a, 1280), mtu)
        no("a fragment header", IPv6ExtHdrFragment not in whole(r, a, 1280))
        whole(r, a, 500)


below_the_minimum("A", 56)
below_the_minimum("B", 1279)
below_the_minimum("C", 0)


@case("v6LC.4.1.7")
def no_increase():
    """A larger MTU than is known changes nothing."""
    r, a = Router().tell(), far()
    too_big(r, whole(r, a, 1500), 1304)
    in_pieces(r, a, 1500, 1304)
    too_big(r, whole(r, a, 1300), 1500)
    in_pieces(r, a, 1500, 1304)
    too_big(r, whole(r, a, 1300), 0x1FFFFFFF)
    in_pieces(r, a, 1500, 1304)


@case("v6LC.4.1.8")
def mtu_option():
    """A router tells the link's MTU: 1280 to what the link carries."""
    r, p = Router(), Peer()
    whole(p, p.ip, 1500)
    r.tell(ICMPv6NDOptMTU(mtu=1300))
    try:
        in_pieces(p, p.ip, 1500, 1300)
        r.tell(ICMPv6NDOptMTU(mtu=1279))
        r.tell(ICMPv6NDOptMTU(mtu=1501))
        in_pieces(p, p.ip, 1500, 1300)
    finally:
        r.tell(ICMPv6NDOptMTU(mtu=1500), lifetime=0)
    whole(p, Peer().ip, 1500)


@case("v6LC.4.1.12.A")
def of_what_was_not_sent():
    """A quote from an address that is not the NUT's."""
    r, a = Router().tell(), far()
    about = whole(r, a, 1500)
    forged = IPv6(bytes(about[IPv6]))
    forged.src = FAR + "1:2"
    message = IPv6(src=r.ip, dst=r.nut.ip) / ICMPv6PacketTooBig(mtu=1400) / Raw(bytes(forged)[:1232])
    r.send(message)
    whole(r, a, 1500)


@case("v6LC.4.1.12.B")
def of_a_checksum():
    r, a = Router().tell(), far()
    too_big(r, whole(r, a, 1500), 1400, cksum=0x1234)
    whole(r, a, 1500)


@case("v6LC.4.1.12.C")
def of_a_short_quote():
    """The quote ends before it says what was sent."""
    r, a = Router().tell(), far()
    about = whole(r, a, 1500)
    r.send(IPv6(src=r.ip, dst=r.nut.ip) / ICMPv6PacketTooBig(mtu=1400) / Raw(bytes(about[IPv6])[:40]))
    whole(r, a, 1500)


@case("v6LC.4.1.12.D")
def of_udp_that_was_not_sent():
    """No socket has sent it: RFC 8201 section 4 wants the message validated where that can be done."""
    r, a = Router().tell(), far()
    about = IPv6(src=r.nut.ip, dst=a) / UDP(sport=4321, dport=9) / Raw(bytes(1452))
    r.send(IPv6(src=r.ip, dst=r.nut.ip) / ICMPv6PacketTooBig(mtu=1400) / Raw(bytes(about)[:1232]))
    whole(r, a, 1500)


def to_group(routers, mtus):
    """Each router tells of its own link: the smallest counts."""
    group = "ff1e::%x" % random.randrange(1, 65536)
    heard = that("datagram", lambda f: f[IPv6].dst == group)
    with background("exec", "nut", "--", sys.executable, "-c", SENDER, group) as sender:
        try:
            about = expect(heard, seconds=5)
            same("octets", lengths([about]), [1500])
            for r, mtu in zip(routers, mtus):
                too_big(r, about, mtu)
            cut = that("fragment", lambda f: heard(f) and IPv6ExtHdrFragment in f)
            size = lengths([expect(cut)])[0]
            no("%d octets" % size, min(mtus) - 8 < size <= min(mtus))
        finally:
            sender.terminate()


# Sends until it is ended: errors are about sockets that are open.
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 9)
s.bind(("::", 5000))
while True:
    try:
        s.sendto(bytes(1452), (sys.argv[1], 5001))
    except OSError:
        pass
    time.sleep(0.1)
"""


@case("v6LC.4.1.10")
def group_of_one_router():
    to_group([Peer()], [1400])


@case("v6LC.4.1.11")
def group_of_two_routers():
    to_group([Peer(), Peer()], [1450, 1350])


if __name__ == "__main__":
    main()
