"""RFC 4861 section 8: redirects. The NUT is a host."""

from rig import *


def far():
    return "%s%x" % (FAR, random.randrange(1, 65536))


def through(r, dst, mac=None, what=reply_to):
    """Packets to `dst` go by this link address, the router's own unless it is given."""
    request = r.echo(src=dst)
    r.send(request)
    return expect(sent_to(mac or r.mac, what(request)))


def redirect(r, dst, target, mac=None, about=None, src=None, to=None, hlim=255, **fields):
    packet = IPv6(src=src or r.ll, dst=to or r.nut.ip, hlim=hlim) / ICMPv6ND_Redirect(tgt=target, dst=dst, **fields)
    if mac:
        packet /= ICMPv6NDOptDstLLAddr(lladdr=mac)
    if about is not None:
        packet /= ICMPv6NDOptRedirectedHdr(pkt=about)
    return packet


def led():
    """A router in use, another one, and a destination."""
    r, s, dst = Router().tell(), Peer(), far()
    s.router = True
    about = through(r, dst)[IPv6]
    return r, s, dst, about


@case("v6LC.2.3.1.A")
def to_itself_with_everything():
    """The destination is on the link."""
    r, p, dst, about = led()
    p.further.add(dst)
    r.send(redirect(r, dst, dst, mac=p.mac, about=about))
    through(r, dst, p.mac)


@case("v6LC.2.3.1.B")
def to_itself_bare():
    """Without a link address the destination is asked for it."""
    r, p, dst, _ = led()
    p.further.add(dst)
    p.router = False
    r.send(redirect(r, dst, dst))
    through(r, dst, p.mac)


@case("v6LC.2.3.1.C")
def to_itself_with_link_address():
    r, p, dst, _ = led()
    p.further.add(dst)
    r.send(redirect(r, dst, dst, mac=p.mac))
    through(r, dst, p.mac)


@case("v6LC.2.3.2.A")
def reserved_field():
    r, p, dst, about = led()
    p.further.add(dst)
    r.send(redirect(r, dst, dst, mac=p.mac, about=about, res=0xFFFFFFFF))
    through(r, dst, p.mac)


@case("v6LC.2.3.2.B")
def unknown_option():
    r, p, dst, _ = led()
    p.further.add(dst)
    r.send(redirect(r, dst, dst, mac=p.mac) / ICMPv6NDOptUnknown(type=200, data=b"\1" * 6))
    through(r, dst, p.mac)


def invalid(number, make):
    """It is not believed, and who is in it is not remembered."""

    @case(number)
    def go():
        r, s, dst, about = led()
        s.answers = False
        r.send(make(r, s, dst, about))
        through(r, dst)
        s.send(s.echo(src=s.ll, dst=s.nut.ll))
        expect(solicitation(s.ll, unicast=False))

    return go


invalid("v6LC.2.3.3.A", lambda r, s, dst, about: redirect(r, dst, dst, src=r.ip, mac=s.mac))
invalid("v6LC.2.3.3.B", lambda r, s, dst, about: redirect(r, dst, dst, src=s.ll, mac=s.mac))
invalid("v6LC.2.3.3.C", lambda r, s, dst, about: redirect(r, dst, dst, hlim=254, mac=s.mac))
invalid("v6LC.2.3.3.D", lambda r, s, dst, about: redirect(r, dst, dst, code=1, mac=s.mac))
invalid("v6LC.2.3.3.E", lambda r, s, dst, about: redirect(r, dst, dst, cksum=0x1234, mac=s.mac))
invalid("v6LC.2.3.3.F", lambda r, s, dst, about: redirect(r, "ff1e::9", "ff1e::9", mac=s.mac))
invalid("v6LC.2.3.3.G", lambda r, s, dst, about: redirect(r, dst, s.ip, mac=s.mac))
invalid("v6LC.2.3.3.H", lambda r, s, dst, about: checksummed(
    IPv6(src=r.ll, dst=r.nut.ip, hlim=255, nh=58) / Raw(bytes(redirect(r, dst, dst))[40:76])))
invalid("v6LC.2.3.3.I", lambda r, s, dst, about: checksummed(redirect(r, dst, dst) / Raw(bytes([2, 0]) + bytes(6))))
invalid("v6LC.2.3.6.A", lambda r, s, dst, about: redirect(r, dst, s.ll, src=r.ip, mac=s.mac))
invalid("v6LC.2.3.6.B", lambda r, s, dst, about: redirect(r, dst, s.ll, src=s.ll, mac=s.mac))
invalid("v6LC.2.3.6.C", lambda r, s, dst, about: redirect(r, dst, s.ll, hlim=254, mac=s.mac))
invalid("v6LC.2.3.6.D", lambda r, s, dst, about: redirect(r, dst, s.ll, code=1, mac=s.mac))
invalid("v6LC.2.3.6.E", lambda r, s, dst, about: redirect(r, dst, s.ll, cksum=0x1234, mac=s.mac))
invalid("v6LC.2.3.6.F", lambda r, s, dst, about: checksummed(redirect(r, dst, s.ll) / Raw(bytes([2, 0]) + bytes(6))))
invalid("v6LC.2.3.15", lambda r, s, dst, about: redirect(r, dst, "ff02::1", mac=s.mac))


@case("v6LC.2.3.4.A")
def to_another_router_with_everything():
    r, s, dst, about = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac, about=about))
    through(r, dst, s.mac)


@case("v6LC.2.3.4.B")
def to_another_router_bare():
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll))
    through(r, dst, s.mac)


@case("v6LC.2.3.4.C")
def others_stay():
    """A redirect is about one destination."""
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    through(r, dst, s.mac)
    through(r, far())


@case("v6LC.2.3.5.A")
def to_another_router_reserved_field():
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac, res=0xFFFFFFFF))
    through(r, dst, s.mac)


@case("v6LC.2.3.5.B")
def to_another_router_unknown_option():
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac) / ICMPv6NDOptUnknown(type=200, data=b"\1" * 6))
    through(r, dst, s.mac)


@case("v6LC.2.3.7")
def twice():
    """Who was put in a router's place may redirect further."""
    r, s, dst, _ = led()
    t = Peer()
    t.router = True
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    through(r, dst, s.mac)
    s.send(redirect(s, dst, t.ll, mac=t.mac))
    through(r, dst, t.mac)


@case("v6LC.2.3.8.A")
def option_of_a_prefix():
    """Options that mean nothing here are skipped."""
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac) / prefix("fd00:77::", valid=1, preferred=1))
    through(r, dst, s.mac)


@case("v6LC.2.3.8.B")
def redirected_header_of_another():
    """What is quoted is not looked at."""
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac, about=IPv6(src="fd00:9::1", dst="fd00:9::2") / Raw(b"x" * 8)))
    through(r, dst, s.mac)


@case("v6LC.2.3.9")
def never_sent_to():
    """Nothing was sent to the destination yet: the redirect counts from its first packet."""
    r, s, dst = Router().tell(), Peer(), far()
    s.router = True
    through(r, far())
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    through(r, dst, s.mac)


@case("v6LC.2.3.10.A")
def neighbour_no_entry():
    """The target's link address is learnt: it is not asked at once."""
    r, s, dst, _ = led()
    s.answers = False
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    through(r, dst, s.mac)


@case("v6LC.2.3.10.B")
def neighbour_no_entry_no_link_address():
    r, s, dst, _ = led()
    s.answers = False
    r.send(redirect(r, dst, s.ll))
    r.send(r.echo(src=dst))
    expect(solicitation(s.ll, unicast=False))


@case("v6LC.2.3.11.A")
def neighbour_incomplete():
    r, s, dst, _ = led()
    s.answers = False
    request = s.echo(src=s.ll, dst=s.nut.ll)
    s.send(request)
    expect(solicitation(s.ll))
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    expect(reply_to(request))


@case("v6LC.2.3.11.B")
def neighbour_incomplete_no_link_address():
    r, s, dst, _ = led()
    s.answers = False
    request = s.echo(src=s.ll, dst=s.nut.ll)
    s.send(request)
    expect(solicitation(s.ll))
    r.send(redirect(r, dst, s.ll))
    absent(reply_to(request), Peer().reachable())


def known(number, before, same_mac):
    @case(number)
    def go():
        r, s, dst, _ = led()
        s.ping(src=s.ll, dst=s.nut.ll)
        if before == "stale":
            s.advertise(target=s.ll, mac=s.other, solicited=0)
            s.mac, s.other = s.other, s.mac
        s.answers = False
        r.send(redirect(r, dst, s.ll, mac=s.mac if same_mac else s.other))
        through(r, dst, s.mac if same_mac else s.other)

    return go


known("v6LC.2.3.12.A", "reachable", True)
known("v6LC.2.3.12.B", "reachable", False)
known("v6LC.2.3.13.A", "stale", True)
known("v6LC.2.3.13.B", "stale", False)


@case("v6LC.2.3.12.C")
def known_no_link_address():
    r, s, dst, _ = led()
    s.ping(src=s.ll, dst=s.nut.ll)
    s.answers = False
    r.send(redirect(r, dst, s.ll))
    through(r, dst, s.mac)


@case("v6LC.2.3.19")
def the_router_ends():
    """RFC 4861 section 6.3.5: a redirect by a router that is none any more leads nowhere better than the router left."""
    r, s, dst, _ = led()
    r.send(redirect(r, dst, s.ll, mac=s.mac))
    through(r, dst, s.mac)
    t = Router().tell()
    s.send(IPv6(src=s.ll, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=s.ll, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=s.mac))
    request = r.echo(src=dst)
    r.send(request)
    frame = expect(reply_to(request))
    no("who is no router", frame.dst in (r.mac, t.mac))


if __name__ == "__main__":
    main()
