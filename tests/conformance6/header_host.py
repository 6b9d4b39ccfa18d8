"""RFC 8200 sections 3 and 4: the header, extension headers, options. The NUT is a host."""

from rig import *

UNKNOWN = 253  # For experiments (RFC 3692): nobody's protocol, header or routing type.


def raw_header(next_header, body):
    """An extension header of octets: `next_header`, its length, and `body`, padded to eights."""
    body = bytes(body)
    body += bytes(-(len(body) + 2) % 8)
    return bytes([next_header, (len(body) + 2) // 8 - 1]) + body


def with_headers(packet, first, *headers):
    """The packet with these extension headers, which are octets, between its header and its payload."""
    whole = bytes(packet)
    extra = b"".join(headers)
    out = bytearray(whole[:40] + extra + whole[40:])
    out[4:6] = len(out[40:]).to_bytes(2, "big")
    out[6] = first
    return bytes(out)


def option(kind, data=b"\0\0\0\0"):
    return bytes([kind, len(data)]) + data


@case("v6LC.1.1.1")
def version():
    """Any version but 6 is dropped."""
    p = Peer().reachable()
    for number in (4, 0, 5, 7, 15):
        whole = bytearray(bytes(p.echo()))
        whole[0] = number << 4 | whole[0] & 15
        p.send(bytes(whole))
        bad = lambda f: is_error(f)
        heard = absent(bad, p)
        same("replies", sum(map(is_reply, heard)), 1)


@case("v6LC.1.1.2")
def traffic_class():
    p = Peer()
    for value in (32, 0xB8):
        request = p.echo(tc=value)
        p.send(request)
        expect(reply_to(request))


@case("v6LC.1.1.4")
def flow_label():
    p = Peer()
    request = p.echo(fl=0x34567)
    p.send(request)
    expect(reply_to(request))


@case("v6LC.1.1.5")
def payload_length():
    """Odd lengths are as good."""
    p = Peer()
    for size in (8, 9, 43):
        reply = p.ping(data=bytes(range(size)))
        same("payload length", reply[IPv6].plen, 8 + size)
        same("data", reply[ICMPv6EchoReply].data, bytes(range(size)))


@case("v6LC.1.1.5.B")
def payload_longer_than_told():
    """What follows the payload is the link's padding."""
    p = Peer()
    request = p.echo()
    p.send(bytes(request) + b"padding")
    reply = expect(reply_to(request))
    same("data", reply[ICMPv6EchoReply].data, b"01234567")


@case("v6LC.1.1.5.C")
def payload_shorter_than_told():
    p = Peer().reachable()
    whole = bytearray(bytes(p.echo()))
    whole[4:6] = (17).to_bytes(2, "big")
    p.send(bytes(whole))
    ignored(p)


@case("v6LC.1.1.6")
def no_next_header():
    """What follows is ignored."""
    p = Peer().reachable()
    p.send(with_headers(p.echo(), 59))
    ignored(p)


@case("v6LC.1.1.7")
def unrecognized_next_header():
    p = Peer()
    for number in (UNKNOWN, 143, 254):
        about = with_headers(p.echo(), number)
        p.send(about)
        expect_error(p, about, 4, 1, 6)


@case("v6LC.1.1.8")
def hop_limit_zero():
    """It is for routers; a host takes what is for it."""
    p = Peer()
    for hops in (0, 1):
        request = p.echo(hlim=hops)
        p.send(request)
        same("hop limit", expect(reply_to(request))[IPv6].hlim, 64)


@case("v6LC.1.2.1")
def next_header_zero():
    """Hop-by-hop options stand behind the header and nowhere else."""
    p = Peer()
    hbh = raw_header(0, [1, 4, 0, 0, 0, 0])
    about = with_headers(p.echo(), 0, hbh, raw_header(58, [1, 4, 0, 0, 0, 0]))
    p.send(about)
    expect_error(p, about, 4, 1, 40)


@case("v6LC.1.2.2")
def no_next_header_after_extension_header():
    p = Peer().reachable()
    for kind in (60, 0, 43):
        p.send(with_headers(p.echo(), kind, raw_header(59, [1, 4, 0, 0, 0, 0] if kind != 43 else [0, 0, 0, 0, 0, 0])))
        ignored(p)


def unrecognized_in_extension_header(kind, body):
    p = Peer()
    about = with_headers(p.echo(), kind, raw_header(UNKNOWN, body))
    p.send(about)
    expect_error(p, about, 4, 1, 40)


@case("v6LC.1.2.3.A")
def in_destination_options():
    unrecognized_in_extension_header(60, [1, 4, 0, 0, 0, 0])


@case("v6LC.1.2.3.B")
def in_hop_by_hop_options():
    unrecognized_in_extension_header(0, [1, 4, 0, 0, 0, 0])


@case("v6LC.1.2.3.C")
def in_routing_header():
    unrecognized_in_extension_header(43, [0, 0, 0, 0, 0, 0])


@case("v6LC.1.2.3.D")
def in_fragment_header():
    p = Peer()
    about = with_headers(p.echo(), 44, bytes([UNKNOWN, 0, 0, 0, 0, 0, 0, 9]))
    p.send(about)
    expect_error(p, about, 4, 1, 40)


@case("v6LC.1.2.3.E")
def behind_a_chain():
    p = Peer()
    about = with_headers(p.echo(), 60, raw_header(60, [0] * 14), raw_header(60, [0] * 6), raw_header(UNKNOWN, [0] * 6))
    p.send(about)
    expect_error(p, about, 4, 1, 64)


HBH_PAD, DST_PAD = raw_header(60, [1, 4, 0, 0, 0, 0]), raw_header(44, [1, 4, 0, 0, 0, 0])
DST_UNKNOWN = raw_header(44, option(0x8A, b"\0\0\0\0"))
PART = bytes([58, 0, 0, 1, 0, 0, 0, 7])  # A first fragment, whose length is no multiple of eight.


@case("v6LC.1.2.4.A")
def order_destination_before_fragment():
    """Headers are processed in their order: the option is met first."""
    p = Peer()
    about = with_headers(p.echo(data=b"123"), 60, DST_UNKNOWN, PART)
    p.send(about)
    expect_error(p, about, 4, 2, 42)


@case("v6LC.1.2.4.B")
def order_fragment_before_destination():
    """The fragment's length is met first."""
    p = Peer()
    part = bytes([60, 0, 0, 1, 0, 0, 0, 7])
    about = with_headers(p.echo(data=b"123"), 44, part, raw_header(58, option(0x8A, b"\0\0\0\0")))
    p.send(about)
    expect_error(p, about, 4, 0, 4)


@case("v6LC.1.2.4.C")
def order_hop_by_hop_first():
    p = Peer()
    about = with_headers(p.echo(data=b"123"), 0, HBH_PAD, DST_PAD, PART)
    p.send(about)
    expect_error(p, about, 4, 0, 4)


@case("v6LC.1.2.4.D")
def order_of_many():
    """A host takes headers in any order, any number of times, but for hop-by-hop options (§4.1)."""
    p = Peer()
    request = p.echo()
    pad = [1, 4, 0, 0, 0, 0]
    chain = [raw_header(60, pad), raw_header(43, pad), raw_header(60, [0] * 6), raw_header(60, pad), raw_header(44, pad),
             bytes([60, 0, 0, 0, 0, 0, 0, 5]), raw_header(58, pad)]
    p.send(with_headers(request, 0, *chain))
    expect(reply_to(request))


def processing_order(kinds):
    p = Peer().reachable()
    return p, with_headers(p.echo(), 60, raw_header(58, b"".join(option(kind, b"\0\0\0\0\0\0") for kind in kinds)))


@case("v6LC.1.2.5.A")
def options_in_order_01():
    p, about = processing_order([0x07, 0x47, 0x87, 0xC7])
    p.send(about)
    ignored(p)


@case("v6LC.1.2.5.B")
def options_in_order_10():
    p, about = processing_order([0x07, 0x87, 0x47, 0xC7])
    p.send(about)
    expect_error(p, about, 4, 2, 42 + 8)


@case("v6LC.1.2.5.C")
def options_in_order_11():
    p, about = processing_order([0x07, 0xC7, 0x47, 0x87])
    p.send(about)
    expect_error(p, about, 4, 2, 42 + 8)


def options(number, kind):
    """The cases of one header, hop-by-hop or destination options."""

    def taken(letter, body, says):
        @case("%s.%s" % (number, letter))
        def go():
            p = Peer()
            request = p.echo()
            p.send(with_headers(request, kind, raw_header(58, body)))
            expect(reply_to(request))

        go.__doc__ = says

    taken("A", [0] * 6, "Pad1")
    taken("B", option(1), "PadN")
    taken("C", option(0x07), "an unknown option of 00 is skipped")

    @case("%s.D" % number)
    def silently():
        p = Peer().reachable()
        p.send(with_headers(p.echo(), kind, raw_header(58, option(0x47))))
        ignored(p)

    def told(letter, wanted, dst):
        @case("%s.%s" % (number, letter))
        def go():
            p = Peer().reachable()
            about = with_headers(p.echo(dst=dst), kind, raw_header(58, option(wanted)))
            p.send(about)
            if wanted == 0xC7 and dst:
                ignored(p)
            else:
                expect_error(p, about, 4, 2, 42)

    told("E", 0x87, None)
    told("F", 0xC7, None)
    told("G", 0x87, "ff02::1")
    told("H", 0xC7, "ff02::1")

    @case("%s.I" % number)
    def beyond_its_header():
        """An option that is longer than its header: the packet is dropped."""
        p = Peer().reachable()
        p.send(with_headers(p.echo(), kind, raw_header(58, [0x07, 40, 0, 0, 0, 0])))
        ignored(p)

    @case("%s.J" % number)
    def beyond_the_packet():
        """A header that is longer than the packet."""
        p = Peer().reachable()
        p.send(with_headers(p.echo(), kind, bytes([58, 40, 1, 4, 0, 0, 0, 0])))
        ignored(p)


options("v6LC.1.2.6", 0)
options("v6LC.1.2.8", 60)


@case("v6LC.1.2.9.A")
def routing_type_unknown_nothing_left():
    p = Peer()
    request = p.echo()
    p.send(with_headers(request, 43, raw_header(58, [33, 0, 0, 0, 0, 0])))
    expect(reply_to(request))


@case("v6LC.1.2.9.B")
def routing_type_unknown_something_left():
    p = Peer()
    about = with_headers(p.echo(), 43, raw_header(58, [33, 1, 0, 0, 0, 0]))
    p.send(about)
    expect_error(p, about, 4, 0, 42)


@case("v6LC.1.2.9.C")
def routing_type_unknown_to_a_group():
    p = Peer().reachable()
    p.send(with_headers(p.echo(dst="ff02::1"), 43, raw_header(58, [33, 1, 0, 0, 0, 0])))
    ignored(p)


@case("v6LC.1.2.11.A")
def type_0_something_left():
    """RFC 5095: as an unknown type."""
    p = Peer()
    far = socket.inet_pton(socket.AF_INET6, FAR + "9")
    about = with_headers(p.echo(), 43, raw_header(58, bytes([0, 1, 0, 0, 0, 0]) + far))
    p.send(about)
    expect_error(p, about, 4, 0, 42)


@case("v6LC.1.2.11.B")
def type_0_nothing_left():
    p = Peer()
    request = p.echo()
    far = socket.inet_pton(socket.AF_INET6, FAR + "9")
    p.send(with_headers(request, 43, raw_header(58, bytes([0, 0, 0, 0, 0, 0]) + far)))
    expect(reply_to(request))


if __name__ == "__main__":
    main()
