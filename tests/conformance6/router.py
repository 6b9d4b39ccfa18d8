"""The cases of which the NUT is a router: RFC 8200 (what is forwarded, and how), 4861 section 6.2 (advertisements), 8.2
(redirects), 4443 (errors), 8201. It has two links, whose MTUs differ, and advertises on the first.
"""

from header_host import UNKNOWN, option, raw_header, with_headers
from rig import *

CASES.clear()
MTU = 1400  # Of the second link.
HERE, THERE = NUT


def two():
    """A neighbour on each link, who are known."""
    return Peer(0).reachable(), Peer(1).reachable()


def forwarded(p, q, packet):
    """It comes out at the other end, but for its hop limit as it went in."""
    packet = bytes(packet)
    p.send(packet)
    dst = canon(socket.inet_ntop(socket.AF_INET6, packet[24:40]))
    frame = expect(that("packet to %s" % dst, lambda f: f.dst == q.mac and canon(f[IPv6].dst) == dst), q.link)
    wanted = packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    same("the packet", bytes(frame[IPv6]), wanted)
    return frame


def stays(p, q, packet):
    """It does not come out: one behind it does, alone."""
    p.send(packet)
    probe = IPv6(src=p.ip, dst=q.ip) / UDP(sport=1, dport=random.randrange(1, 65536)) / Raw(os.urandom(8))
    p.send(probe)
    wanted = bytes(probe)[40:]
    for frame in frames(PATIENCE, q.link):
        if bytes(frame[IPv6].payload) == wanted:
            return
        no("forwarded: %s" % frame[IPv6].summary(), frame.dst != q.mac)
    raise Failed("the packet behind it does not come either")


@case("v6LC.1.1.1.R")
def version():
    p, q = two()
    whole = bytearray(bytes(p.echo(dst=q.ip)))
    whole[0] = 0x40 | whole[0] & 15
    LINKS[0].socket.send(Ether(src=p.mac, dst=p.nut.mac, type=0x86DD) / Raw(bytes(whole)))
    stays(p, q, p.echo(dst="fd00:2::dead", hlim=1))


@case("v6LC.1.1.3")
def traffic_class():
    p, q = two()
    forwarded(p, q, p.echo(dst=q.ip, tc=32))


@case("v6LC.1.1.4.R")
def flow_label():
    p, q = two()
    forwarded(p, q, p.echo(dst=q.ip, fl=0x34567))


@case("v6LC.1.1.5.R")
def payload_length_odd():
    p, q = two()
    forwarded(p, q, p.echo(dst=q.ip, data=b"1234567"))


@case("v6LC.1.1.6.R")
def no_next_header():
    """What follows is passed on as it is."""
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), 59))


@case("v6LC.1.1.7.R")
def unrecognised_next_header_is_others_affair():
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), UNKNOWN))


@case("v6LC.1.1.8.R")
def hop_limit_zero():
    p, q = two()
    about = p.echo(dst=q.ip, hlim=0)
    stays(p, q, about)
    expect_error(p, about, 3, 0, 0)


@case("v6LC.1.1.9")
def hop_limit_decrement():
    p, q = two()
    same("hop limit", forwarded(p, q, p.echo(dst=q.ip, hlim=15))[IPv6].hlim, 14)
    same("hop limit", forwarded(p, q, p.echo(dst=q.ip, hlim=2))[IPv6].hlim, 1)


@case("v6LC.1.2.2.R")
def no_next_header_after_extension_header():
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), 60, raw_header(59, [1, 4, 0, 0, 0, 0])))


@case("v6LC.1.2.4.R")
def headers_are_others_affair():
    """But for hop-by-hop options a router looks at none."""
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), 60, raw_header(58, option(0x87))))


def hop_by_hop(letter, body, passes, told=None):
    @case("v6LC.1.2.7.%s" % letter)
    def go():
        p, q = two()
        about = with_headers(p.echo(dst=q.ip), 0, raw_header(58, body))
        if passes:
            forwarded(p, q, about)
        else:
            stays(p, q, about)
            if told is not None:
                expect_error(p, about, 4, 2, told)
            else:
                ignored(p)

    return go


hop_by_hop("A", [0] * 6, True)
hop_by_hop("B", option(1), True)
hop_by_hop("C", option(0x07), True)
hop_by_hop("D", option(0x47), False)
hop_by_hop("E", option(0x87), False, 42)
hop_by_hop("F", option(0xC7), False, 42)


@case("v6LC.1.2.7.I")
def router_alert():
    """A router looks at it, and passes it on nevertheless."""
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), 0, raw_header(58, option(5, b"\0\0") + option(1, b""))))


@case("v6LC.1.2.10.A")
def routing_header_to_others():
    """It is none of a router's affair unless the packet is for it."""
    p, q = two()
    forwarded(p, q, with_headers(p.echo(dst=q.ip), 43, raw_header(58, [33, 1, 0, 0, 0, 0])))


@case("v6LC.1.2.10.B")
def type_0_through_us():
    """RFC 5095: nobody is routed by us."""
    p, q = two()
    far = socket.inet_pton(socket.AF_INET6, q.ip)
    about = with_headers(p.echo(), 43, raw_header(58, bytes([0, 1, 0, 0, 0, 0]) + far))
    stays(p, q, about)
    expect_error(p, about, 4, 0, 42)


@case("v6LC.1.3.1.R")
def fragments_pass():
    """They are passed on as they are."""
    p, q = two()
    whole = bytes(p.echo(dst=q.ip, data=bytes(100)))
    forwarded(p, q, with_headers(whole, 44, bytes([58, 0, 0, 1, 0, 0, 0, 9])))


@case("v6LC.2.1.8.R")
def router_says_so():
    p = Peer()
    p.solicit(dst=p.nut.ip)
    advert = expect(advertisement(p.nut.ip))[ICMPv6ND_NA]
    same("router, solicited, override", (advert.R, advert.S, advert.O), (1, 1, 1))


@case("v6LC.2.1.1.R")
def on_link_forwarded():
    """Whom a packet is for is asked for on the link where its prefix is."""
    p, q = Peer(0).reachable(), Peer(1)
    p.send(p.echo(dst=q.ip))
    expect(solicitation(q.ip, unicast=False), 1)
    expect(that("the request", lambda f: ICMPv6EchoRequest in f and f.dst == q.mac), 1)


def asked(p, packet):
    """The advertisement that an RS brings: at most three seconds and a half after the last."""
    p.send(packet, to=group_mac("ff02::2"))
    return expect(that("router advertisement", lambda f: ICMPv6ND_RA in f), p.link, seconds=4.5)


def rs(p, src=None, link=True, hlim=255, dst="ff02::2", **fields):
    packet = IPv6(src=src or p.ll, dst=dst, hlim=hlim) / ICMPv6ND_RS(**fields)
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=p.mac) if link else packet


@case("v6LC.2.2.5.A")
def valid_advertisement():
    """Each field of it (RFC 4861 section 6.2.3)."""
    p = Peer()
    frame = asked(p, rs(p))
    packet, ra = frame[IPv6], frame[ICMPv6ND_RA]
    same("source", packet.src, HERE.ll)
    same("destination", packet.dst, "ff02::1")
    same("hop limit", packet.hlim, 255)
    same("code", ra.code, 0)
    same("current hop limit", ra.chlim, 64)
    same("lifetime", ra.routerlifetime, 1000)
    same("flags", (ra.M, ra.O), (1, 1))
    same("reachable, retrans", (ra.reachabletime, ra.retranstimer), (20_000, 2_000))
    same("link address", frame[ICMPv6NDOptSrcLLAddr].lladdr, HERE.mac)
    same("MTU", frame[ICMPv6NDOptMTU].mtu, 1480)
    told = frame[ICMPv6NDOptPrefixInfo]
    same("prefix", (canon(told.prefix), told.prefixlen, told.L, told.A), ("fd00:1::", 64, 1, 1))
    same("lifetimes", (told.validlifetime, told.preferredlifetime), (86_400, 14_400))


@case("v6LC.2.2.9.A")
def solicited_from_nobody():
    """A host without an address may ask, too."""
    p = Peer()
    asked(p, rs(p, src="::", link=False))


@case("v6LC.2.2.9.B")
def solicited_often():
    """Many questions, few answers: MIN_DELAY_BETWEEN_RAS."""
    p = Peer()
    asked(p, rs(p))
    for _ in range(20):
        p.send(rs(p))
    answers = sum(ICMPv6ND_RA in frame for frame in frames(2.4))
    no("%d answers in 2.4 s" % answers, answers <= 1)


def bad_rs(letter, make):
    @case("v6LC.2.2.4.%s" % letter)
    def go():
        """It is ignored: neither is it answered, nor its sender known. The first could not be told from an advertisement that
        nobody asked for.
        """
        p = Peer(answers=False)
        p.send(make(p), to=group_mac("ff02::2"))
        p.send(p.echo(src=p.ll, dst=p.nut.ll))
        expect(solicitation(p.ll, unicast=False))

    return go


bad_rs("A", lambda p: rs(p, hlim=254))
bad_rs("B", lambda p: rs(p, cksum=0x1234))
bad_rs("C", lambda p: rs(p, code=1))
bad_rs("D", lambda p: checksummed(IPv6(src=p.ll, dst="ff02::2", hlim=255, nh=58) / Raw(bytes(rs(p))[40:46])))
bad_rs("E", lambda p: checksummed(rs(p) / Raw(bytes([1, 0]) + bytes(6))))
bad_rs("F", lambda p: rs(p, src="::"))


@case("v6LC.2.2.10.A")
def neighbour_of_a_solicitation():
    """Who asks is known from then on: STALE, and no router."""
    p = Peer(answers=False)
    p.send(rs(p), to=group_mac("ff02::2"))
    request = p.echo(src=p.ll, dst=p.nut.ll)
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))


@case("v6LC.2.2.10.B")
def neighbour_of_a_solicitation_other_link_address():
    p = Peer()
    p.ping(src=p.ll, dst=p.nut.ll)
    p.answers, p.mac = False, p.other
    p.send(rs(p), to=group_mac("ff02::2"))
    request = p.echo(src=p.ll, dst=p.nut.ll)
    p.send(request)
    expect(sent_to(p.mac, reply_to(request)))


@case("v6LC.2.2.6")
def no_advertisement_where_none_is_to_be():
    p = Peer(1)
    p.send(rs(p), to=group_mac("ff02::2"))
    for frame in frames(0.7, 1):
        no("an advertisement", ICMPv6ND_RA not in frame)


@case("v6LC.2.2.7")
def unsolicited():
    """The first few come soon, three seconds apart at least."""
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    is_ra = that("router advertisement", lambda f: ICMPv6ND_RA in f)
    first, second = expect(is_ra, seconds=5), expect(is_ra, seconds=17)
    no("too soon", second.time - first.time > 2.9)


@case("v6LC.2.2.12.R")
def routers_learn_nothing():
    """A router takes neither a default router nor a prefix from advertisements."""
    r = Router(0)
    r.tell(prefix("fd00:6::", A=1))
    request = r.echo(src=FAR + "12")
    r.send(request)
    ignored(r)
    q = Peer(0)
    q.solicit(target=eui64(HERE.mac, "fd00:6::"))
    no("an address", not any(advertisement(eui64(HERE.mac, "fd00:6::"))(f) for f in until_answer(q)))


@case("v6LC.2.3.16.A")
def redirect_to_a_neighbour():
    """A packet leaves by the link that it came by: its sender could have sent it there itself."""
    p, q = Peer(0).reachable(), Peer(0).reachable()
    about = p.echo(dst=q.ip)
    p.send(about)
    frame = expect(that("redirect", lambda f: ICMPv6ND_Redirect in f and f[IPv6].nh == 58))
    message = frame[ICMPv6ND_Redirect]
    same("source", frame[IPv6].src, HERE.ll)
    same("destination", frame[IPv6].dst, p.ip)
    same("target, destination", (canon(message.tgt), canon(message.dst)), (q.ip, q.ip))
    same("target's link address", frame[ICMPv6NDOptDstLLAddr].lladdr, q.mac)
    quote = bytes(frame[ICMPv6NDOptRedirectedHdr].pkt)
    no("what it is about", bytes(about).startswith(quote[:40]) and len(quote) >= 48)
    no("too long", len(bytes(frame[IPv6])) <= 1280)


@case("v6LC.2.3.16.B")
def redirected_packet_is_forwarded():
    p, q = Peer(0).reachable(), Peer(0).reachable()
    forwarded(p, q, p.echo(dst=q.ip))


@case("v6LC.2.3.16.C")
def no_redirect_to_who_is_no_neighbour():
    p, q = Peer(0).reachable(), Peer(0).reachable()
    p.send(p.echo(src=FAR + "16", dst=q.ip))
    absent(lambda f: ICMPv6ND_Redirect in f, p)


@case("v6LC.2.3.16.D")
def no_redirect_for_a_group():
    p = Peer(0).reachable()
    p.send(p.echo(dst="ff0e::16"))
    absent(lambda f: ICMPv6ND_Redirect in f, p)


@case("v6LC.2.3.16.E")
def redirects_have_a_limit():
    p, q = Peer(0).reachable(), Peer(0).reachable()
    for _ in range(60):
        p.send(p.echo(dst=q.ip))
    many = sum(ICMPv6ND_Redirect in f for f in until_answer(p))
    no("%d redirects" % many, 1 <= many <= 20)


@case("v6LC.2.3.17")
def routers_believe_no_redirects():
    """The NUT forwards by its routes still."""
    p, q, s = Peer(0).reachable(), Peer(1).reachable(), Peer(0)
    message = IPv6(src=s.ll, dst=HERE.ll, hlim=255) / ICMPv6ND_Redirect(tgt=s.ll, dst=q.ip)
    s.send(message / ICMPv6NDOptDstLLAddr(lladdr=s.mac))
    forwarded(p, q, p.echo(dst=q.ip))


@case("v6LC.4.1.13")
def too_big_says_what_fits():
    """RFC 8201: and what fits passes."""
    p, q = two()
    about = p.echo(dst=q.ip, data=bytes(1452))
    p.send(about)
    expect_error(p, about, 2, 0, MTU)
    forwarded(p, q, p.echo(dst=q.ip, data=bytes(MTU - 48)))


@case("v6LC.5.1.3.D")
def no_route():
    p = Peer(0).reachable()
    about = p.echo(dst="2001:db8:dead::1")
    p.send(about)
    expect_error(p, about, 1, 0, 0)


@case("v6LC.5.1.3.E")
def beyond_the_scope_of_the_source():
    """A link-local address does not leave its link."""
    p, q = two()
    about = p.echo(src=p.ll, dst=q.ip)
    stays(p, q, about)
    expect_error(p, about, 1, 2, 0)


@case("v6LC.5.1.3.F")
def address_unreachable():
    """Nobody answers for it."""
    p = Peer(0).reachable()
    about = p.echo(dst="fd00:2::dead:%x" % random.randrange(65536))
    p.send(about)
    frame = expect(error(1, 3), seconds=8)
    # It had been on its way already: a hop less.
    quote = bytes(frame[IPv6].payload)[8:]
    same("quote", quote, bytes(about)[:7] + bytes([about.hlim - 1]) + bytes(about)[8:])


@case("v6LC.5.1.3.G")
def link_local_destination_of_others():
    """Nothing for another link-local address is forwarded."""
    p, q = two()
    stays(p, q, p.echo(src=p.ll, dst=q.ll))


@case("v6LC.5.1.4.A")
def too_big():
    p, q = two()
    about = p.echo(dst=q.ip, data=bytes(1452))
    stays(p, q, about)
    expect_error(p, about, 2, 0, MTU)


@case("v6LC.5.1.4.B")
def too_big_for_a_group():
    """RFC 4443 section 2.4 (e.3): an error about a group's packet. No multicast routing here: it goes nowhere at all."""
    p = Peer(0).reachable()
    p.send(p.echo(dst="ff0e::16", data=bytes(1452)))
    absent(lambda f: error(1, 0)(f) or error(3, 0)(f), p)


@case("v6LC.5.1.4.C")
def too_big_has_no_limit():
    """Whoever is slow to learn hears it again: path MTU discovery must not stall (as on Linux)."""
    p, q = two()
    for _ in range(30):
        p.send(p.echo(dst=q.ip, data=bytes(1452)))
    same("errors", sum(error(2, 0)(f) for f in until_answer(p)), 30)


@case("v6LC.5.1.5.A")
def hop_limit_exceeded():
    p, q = two()
    about = p.echo(dst=q.ip, hlim=1)
    stays(p, q, about)
    expect_error(p, about, 3, 0, 0)


@case("v6LC.5.1.5.B")
def hop_limit_exceeded_source():
    """The error is from the address on the link to its receiver."""
    p, q = two()
    about = q.echo(dst=p.ip, hlim=1)
    q.send(about)
    expect_error(q, about, 3, 0, 0, src=THERE.ip)


@case("v6LC.5.1.9.R")
def no_error_about_an_error():
    p, q = two()
    quoted = bytes(IPv6(src=q.ip, dst=p.ip) / UDP() / Raw(b"x" * 8))
    p.send(IPv6(src=p.ip, dst="2001:db8:dead::1") / ICMPv6TimeExceeded() / Raw(quoted))
    p.send(IPv6(src=p.ip, dst=q.ip, hlim=1) / ICMPv6DestUnreach() / Raw(quoted))
    ignored(p)


@case("v6LC.5.1.11.R")
def from_nobody():
    p, q = two()
    stays(p, q, p.echo(src="::", dst=q.ip))
    stays(p, q, p.echo(src="ff02::9", dst=q.ip))
    stays(p, q, p.echo(src="::1", dst=q.ip))
    ignored(p)


@case("v6LC.5.1.14.R")
def errors_have_a_limit():
    p = Peer(0).reachable()
    for _ in range(60):
        p.send(p.echo(dst="2001:db8:dead::1"))
    many = sum(error(1, 0)(f) for f in until_answer(p))
    no("%d errors about 60 packets" % many, 1 <= many <= 20)


@case("v6LC.5.1.2.R")
def routers_answer_to_all_routers():
    p = Peer(0)
    p.ping(src=p.ll, dst="ff02::2")


def ready():
    """The addresses are there."""


if __name__ == "__main__":
    main(links=2, before=ready)
