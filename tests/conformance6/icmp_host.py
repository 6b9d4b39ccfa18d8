"""RFC 4443: ICMPv6. The NUT is a host; a router's errors are in `router`."""

from rig import *

CLOSED = 9  # Nobody listens at this port.


def unknown_next(p, data=b"x" * 8, **header):
    """A packet of a protocol that nobody speaks: it makes an error."""
    return IPv6(src=header.pop("src", p.ip), dst=header.pop("dst", p.nut.ip), nh=253, **header) / Raw(data)


@case("v6LC.5.1.1")
def echo_request():
    """The NUT asks."""
    p = Peer()
    with background("exec", "nut", "--", "ping", "-6", "-c", "1", "-W", "2", p.ip) as ping:
        request = expect(that("echo request", lambda f: ICMPv6EchoRequest in f and f[IPv6].dst == p.ip))
        same("source", request[IPv6].src, p.nut.ip)
        echo = request[ICMPv6EchoRequest]
        p.send(IPv6(src=p.ip, dst=p.nut.ip) / ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data))
        same("ping's exit status", ping.wait(), 0)


@case("v6LC.5.1.2.A")
def reply_link_local():
    p = Peer()
    reply = p.ping(src=p.ll, dst=p.nut.ll)
    same("source", reply[IPv6].src, p.nut.ll)
    same("code", reply[ICMPv6EchoReply].code, 0)


@case("v6LC.5.1.2.B")
def reply_global():
    p = Peer()
    reply = p.ping(data=bytes(range(100)), seq=0xABCD)
    same("source", reply[IPv6].src, p.nut.ip)
    same("data", reply[ICMPv6EchoReply].data, bytes(range(100)))


@case("v6LC.5.1.2.C")
def reply_to_all_nodes():
    """From an address of the NUT's own."""
    p = Peer()
    same("source", p.ping(src=p.ll, dst="ff02::1")[IPv6].src, p.nut.ll)


@case("v6LC.5.1.2.D")
def reply_to_all_nodes_global():
    p = Peer()
    same("source", p.ping(dst="ff02::1")[IPv6].src, p.nut.ip)


@case("v6LC.5.1.2.E")
def reply_to_nobody():
    """An unspecified source has no answer."""
    p = Peer().reachable()
    request = p.echo(src="::")
    p.send(request)
    absent(reply_to(request), p)


@case("v6LC.5.1.2.F")
def reply_checksum():
    """A request with a wrong checksum has no answer."""
    p = Peer().reachable()
    request = IPv6(src=p.ip, dst=p.nut.ip) / ICMPv6EchoRequest(id=7, seq=8, data=b"12345678", cksum=0x1234)
    p.send(request)
    absent(reply_to(request), p)


@case("v6LC.5.1.2.G")
def reply_without_data():
    p = Peer()
    same("data", p.ping(data=b"")[ICMPv6EchoReply].data, b"")


@case("v6LC.5.1.3.A")
def port_unreachable_link_local():
    p = Peer()
    about = IPv6(src=p.ll, dst=p.nut.ll) / UDP(sport=1234, dport=CLOSED) / Raw(b"x" * 20)
    p.send(about)
    expect_error(p, about, 1, 4, 0, src=p.nut.ll)


@case("v6LC.5.1.3.B")
def port_unreachable_global():
    p = Peer()
    about = IPv6(src=p.ip, dst=p.nut.ip) / UDP(sport=1234, dport=CLOSED) / Raw(b"x" * 20)
    p.send(about)
    expect_error(p, about, 1, 4, 0, src=p.nut.ip)


@case("v6LC.5.1.3.C")
def port_unreachable_tcp():
    """TCP has an answer of its own."""
    p = Peer()
    p.send(IPv6(src=p.ip, dst=p.nut.ip) / TCP(sport=1234, dport=CLOSED, flags="S", seq=5))
    reset = expect(that("reset", lambda f: TCP in f))
    same("flags", str(reset[TCP].flags), "RA")


@case("v6LC.5.1.3.H")
def quote_fits_the_smallest_mtu():
    p = Peer()
    about = IPv6(src=p.ip, dst=p.nut.ip) / UDP(sport=1234, dport=CLOSED) / Raw(b"x" * 1400)
    p.send(about)
    same("octets of the error", len(bytes(expect_error(p, about, 1, 4)[IPv6])), 1280)


@case("v6LC.5.1.7.A")
def unrecognised_next_header():
    p = Peer()
    about = unknown_next(p)
    p.send(about)
    expect_error(p, about, 4, 1, 6)


@case("v6LC.5.1.7.B")
def unrecognised_next_header_quote():
    p = Peer()
    about = unknown_next(p, b"x" * 1400)
    p.send(about)
    expect_error(p, about, 4, 1, 6)


@case("v6LC.5.1.6")
def erroneous_header_field():
    """A routing header's segments."""
    p = Peer()
    about = IPv6(src=p.ip, dst=p.nut.ip) / IPv6ExtHdrRouting(type=33, segleft=2, addresses=[]) / ICMPv6EchoRequest()
    p.send(about)
    expect_error(p, about, 4, 0, 42)


@case("v6LC.5.1.8.A")
def unknown_informational():
    """It is dropped, as are errors that nobody knows: these go to whom the quoted packet is from."""
    p = Peer().reachable()
    p.send(IPv6(src=p.ip, dst=p.nut.ip) / ICMPv6Unknown(type=254, code=0, msgbody=b"x" * 20))
    ignored(p)


@case("v6LC.5.1.8.B")
def unknown_error():
    p = Peer().reachable()
    quoted = IPv6(src=p.nut.ip, dst=p.ip) / UDP(sport=9, dport=10) / Raw(b"x" * 8)
    p.send(IPv6(src=p.ip, dst=p.nut.ip) / ICMPv6Unknown(type=100, code=0, msgbody=bytes(4) + bytes(quoted)))
    ignored(p)


def about_an_error(letter, error):
    @case("v6LC.5.1.9.%s" % letter)
    def go():
        """No error about an error, whatever is wrong with it."""
        p = Peer().reachable()
        quoted = IPv6(src=p.nut.ip, dst=FAR + "1") / UDP(sport=9, dport=10) / Raw(b"x" * 8)
        message = bytes(error) + bytes(quoted)
        body = bytes(IPv6ExtHdrDestOpt(nh=58, options=[HBHOptUnknown(otype=0x87, optlen=4, optdata=b"\0" * 4)]))
        whole = IPv6(src=p.ip, dst=p.nut.ip, nh=60) / Raw(body + message)
        p.send(whole)
        ignored(p)

    return go


about_an_error("A", ICMPv6DestUnreach(code=1, cksum=0))
about_an_error("B", ICMPv6PacketTooBig(mtu=1400, cksum=0))
about_an_error("C", ICMPv6TimeExceeded(cksum=0))
about_an_error("D", ICMPv6ParamProblem(cksum=0))
about_an_error("E", ICMPv6Unknown(type=100, cksum=0, msgbody=bytes(4)))


@case("v6LC.5.1.9.F")
def about_a_redirect():
    """RFC 4443 section 2.4 (e.2)."""
    p = Peer().reachable()
    body = bytes(IPv6ExtHdrDestOpt(nh=58, options=[HBHOptUnknown(otype=0x87, optlen=4, optdata=b"\0" * 4)]))
    message = bytes(ICMPv6ND_Redirect(tgt=FAR + "1", dst=FAR + "2", cksum=0))
    p.send(IPv6(src=p.ip, dst=p.nut.ip, nh=60) / Raw(body + message))
    ignored(p)


@case("v6LC.5.1.10.A")
def to_a_group():
    p = Peer().reachable()
    p.send(IPv6(src=p.ip, dst="ff02::1") / UDP(sport=1234, dport=CLOSED) / Raw(b"x" * 20))
    ignored(p)


@case("v6LC.5.1.10.B")
def to_a_group_unknown_next_header():
    p = Peer().reachable()
    p.send(unknown_next(p, dst="ff02::1"))
    ignored(p)


@case("v6LC.5.1.10.D")
def to_a_link_group():
    """An address of the NUT's own in a frame to a group: RFC 4443 section 2.4 (e.4)."""
    p = Peer().reachable()
    p.send(unknown_next(p), to="33:33:00:00:00:01")
    ignored(p)


@case("v6LC.5.1.10.E")
def to_a_link_broadcast():
    p = Peer().reachable()
    p.send(unknown_next(p), to="ff:ff:ff:ff:ff:ff")
    ignored(p)


def from_nobody(letter, src):
    @case("v6LC.5.1.%s" % letter)
    def go():
        p = Peer().reachable()
        p.send(unknown_next(p, src=src))
        p.send(IPv6(src=src, dst=p.nut.ip) / UDP(sport=1234, dport=CLOSED) / Raw(b"x" * 20))
        ignored(p)


from_nobody("11", "::")
from_nobody("12", "ff02::9")


@case("v6LC.5.1.14.A")
def rate_limit():
    """Errors to one node have a limit (RFC 4443 section 2.4 (f)); some come."""
    p = Peer().reachable()
    for _ in range(100):
        p.send(unknown_next(p))
    errors = sum(map(is_error, until_answer(p)))
    no("%d errors about 100 packets" % errors, 1 <= errors <= 20)


@case("v6LC.5.1.14.B")
def rate_limit_of_each():
    """Who floods takes nothing from others."""
    p, q = Peer().reachable(), Peer().reachable()
    for _ in range(100):
        p.send(unknown_next(p))
    about = unknown_next(q)
    q.send(about)
    expect(error(4, 1, q.ip))


@case("v6LC.5.1.14.C")
def replies_have_no_limit():
    p = Peer().reachable()
    requests = [p.echo() for _ in range(100)]
    for request in requests:
        p.send(request)
    for request in requests:
        expect(reply_to(request))


if __name__ == "__main__":
    main()
