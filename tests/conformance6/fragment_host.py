"""RFC 8200 section 4.5, RFC 5722, 6946, 7112, 6980: fragments. The NUT is a host.

Reassembly gives up after a minute: what times out is sent before the other cases, and waited for after them.
"""

from rig import *

OLD = []  # Who sent a part a minute ago: a peer, the part, and whether it is told.


def cut(packet, *pieces, identity=None):
    """Fragments of the packet: (offset, octets) of its payload, or (offset, octets, more) against what is true."""
    identity = identity if identity is not None else random.randrange(1 << 32)
    whole = bytes(packet)
    payload, next_header = whole[40:], whole[6]
    parts = []
    for offset, size, *more in pieces:
        data = payload[offset:offset + size]
        last = offset + size >= len(payload)
        parts.append(part(whole[:40], next_header, offset, data, more[0] if more else not last, identity))
    return parts


def part(header, next_header, offset, data, more, identity):
    head = bytearray(header)
    head[4:6] = (8 + len(data)).to_bytes(2, "big")
    head[6] = 44
    field = offset | int(more)
    return bytes(head) + bytes([next_header, 0]) + field.to_bytes(2, "big") + identity.to_bytes(4, "big") + data


def request(p, size=72, **how):
    return p.echo(data=bytes(i & 255 for i in range(size)), **how)


def taken(order):
    p = Peer()
    echo = request(p)
    parts = cut(echo, (0, 32), (32, 32), (64, 16))
    for i in order:
        p.send(parts[i])
    reply = expect(reply_to(echo))
    same("data", reply[ICMPv6EchoReply].data, echo[ICMPv6EchoRequest].data)
    no("a fragment header", IPv6ExtHdrFragment not in reply)


@case("v6LC.1.3.1.A")
def in_order():
    taken([0, 1, 2])


@case("v6LC.1.3.1.B")
def in_reverse():
    taken([2, 1, 0])


@case("v6LC.1.3.1.C")
def in_any_order():
    for order in ([0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1]):
        taken(order)


@case("v6LC.1.3.1.D")
def identifiers_differ():
    """Parts of different identifiers are of different packets."""
    p = Peer().reachable()
    echo = request(p)
    p.send(cut(echo, (0, 32), identity=1)[0])
    p.send(cut(echo, (32, 48), identity=2)[0])
    ignored(p)


@case("v6LC.1.3.1.E")
def sources_differ():
    p, q = Peer().reachable(), Peer().reachable()
    echo = request(p)
    p.send(cut(echo, (0, 32), identity=3)[0])
    other = IPv6(src=q.ip, dst=p.nut.ip, nh=58) / Raw(bytes(echo)[40:])
    p.send(cut(other, (32, 48), identity=3)[0])
    ignored(p)


@case("v6LC.1.3.1.F")
def destinations_differ():
    p = Peer().reachable()
    echo = request(p)
    p.send(cut(echo, (0, 32), identity=4)[0])
    other = IPv6(src=p.ip, dst=p.nut.ll, nh=58) / Raw(bytes(echo)[40:])
    p.send(cut(other, (32, 48), identity=4)[0])
    ignored(p)


@case("v6LC.1.3.1.G")
def two_at_once():
    """Parts of two packets mix."""
    p, q = Peer(), Peer()
    a, b = request(p), request(q)
    first, second = cut(a, (0, 40), (40, 40), identity=5), cut(b, (0, 40), (40, 40), identity=5)
    p.send(first[0])
    q.send(second[0])
    q.send(second[1])
    expect(reply_to(b))
    p.send(first[1])
    expect(reply_to(a))


@case("v6LC.1.3.1.H")
def headers_of_the_first():
    """What the first fragment's header says is the whole's; the others' may differ (§4.5)."""
    p = Peer()
    echo = request(p, hlim=9)
    parts = cut(echo, (0, 40), (40, 40))
    second = bytearray(parts[1])
    second[7] = 200
    p.send(bytes(second))
    p.send(parts[0])
    expect(reply_to(echo))


@case("v6LC.1.3.1.I")
def destination_options_in_fragments():
    """The fragmentable part begins with an extension header."""
    p = Peer()
    echo = bytes(request(p))
    whole = echo[:4] + (len(echo) - 40 + 8).to_bytes(2, "big") + bytes([60]) + echo[7:40]
    whole += bytes([58, 0, 1, 4, 0, 0, 0, 0]) + echo[40:]
    for piece in cut(whole, (40, 48), (0, 40)):
        p.send(piece)
    expect(is_reply)


@case("v6LC.1.3.1.J")
def a_large_one():
    """65,535 octets of payload are the most that a packet has; the answer comes in fragments, too."""
    p = Peer()
    echo = request(p, 65_535 - 8)
    whole = bytes(echo[IPv6].copy())
    size = 1448
    for piece in cut(whole, *((at, size) for at in range(0, 65_535, size))):
        p.send(piece)
    total = 0
    for frame in frames(PATIENCE):
        if IPv6ExtHdrFragment in frame:
            header = frame[IPv6ExtHdrFragment]
            total += len(bytes(frame[IPv6])) - 48
            if not header.m:
                break
    same("octets of the answer", total, 65_535)


def timed_out(name, parts, told=True, dst=None):
    """A part of a packet that never becomes whole: `parts` of its three."""

    def send():
        p = Peer().reachable()
        p.keep = True
        pieces = cut(request(p, dst=dst), (0, 32), (32, 32), (64, 16))
        for i in parts:
            p.send(pieces[i])
        OLD.append((name, p, pieces[0], told))

    return send


AGED = [
    timed_out("v6LC.1.3.2.A", [0]),
    timed_out("v6LC.1.3.2.B", [0, 1]),
    timed_out("v6LC.1.3.2.C", [1, 0]),
    timed_out("v6LC.1.3.2.D", [1, 2], told=False),
    timed_out("v6LC.1.3.2.E", [2, 0]),
    timed_out("v6LC.5.1.10.C", [0], told=False, dst="ff02::1"),
]


@case("v6LC.1.3.3")
def length_no_multiple_of_eight():
    p = Peer()
    about = cut(request(p), (0, 33, True))[0]
    p.send(about)
    expect_error(p, about, 4, 0, 4)


@case("v6LC.1.3.3.B")
def last_of_any_length():
    p = Peer()
    echo = request(p, 67)
    for piece in cut(echo, (0, 32), (32, 43)):
        p.send(piece)
    expect(reply_to(echo))


@case("v6LC.1.3.3.C")
def too_long():
    """A fragment whose end would be beyond 65,535 octets: a problem of its offset."""
    p = Peer()
    about = part(bytes(request(p))[:40], 58, 65_528, bytes(16), False, 77)
    p.send(about)
    expect_error(p, about, 4, 0, 42)


@case("v6LC.1.3.4.A")
def atomic():
    """A fragment that is all of its packet (RFC 6946)."""
    p = Peer()
    echo = request(p)
    p.send(cut(echo, (0, 80))[0])
    reply = expect(reply_to(echo))
    no("a fragment header", IPv6ExtHdrFragment not in reply)


@case("v6LC.1.3.4.B")
def atomic_among_parts():
    """It has nothing to do with parts of the same identifier."""
    p = Peer()
    echo, alone = request(p), request(p)
    first, second = cut(echo, (0, 40), (40, 40), identity=8)
    p.send(first)
    p.send(cut(alone, (0, 80), identity=8)[0])
    expect(reply_to(alone))
    p.send(second)
    expect(reply_to(echo))


def overlap(*pieces):
    """RFC 5722: the packet is dropped, without a word, and what comes of it later."""
    p = Peer().reachable()
    echo = request(p)
    for piece in cut(echo, *pieces):
        p.send(piece)
    ignored(p)


@case("v6LC.1.3.5.A")
def overlap_behind():
    overlap((0, 32), (24, 32), (56, 24))


@case("v6LC.1.3.5.B")
def overlap_before():
    overlap((32, 48), (0, 40))


@case("v6LC.1.3.5.C")
def overlap_within():
    overlap((0, 64), (16, 16, True), (64, 16))


@case("v6LC.1.3.5.D")
def overlap_of_the_end():
    """Two fragments say that they are the last, at different places."""
    overlap((0, 32), (64, 16), (32, 16, False), (32, 32))


@case("v6LC.1.3.5.E")
def beyond_the_end():
    overlap((32, 16, False), (48, 32, False), (0, 32))


@case("v6LC.1.3.5.F")
def a_copy():
    """RFC 8200: an exact copy of a fragment may be ignored: a link may have doubled it."""
    p = Peer()
    echo = request(p)
    first, second = cut(echo, (0, 40), (40, 40))
    for piece in (first, first, second):
        p.send(piece)
    expect(reply_to(echo))


def headless(first, *headers):
    """RFC 7112: the first fragment ends before the protocol's header does."""
    p = Peer()
    echo = bytes(request(p))
    chain = b"".join(headers)
    whole = echo[:4] + (len(echo) - 40 + len(chain)).to_bytes(2, "big") + bytes([first]) + echo[7:40] + chain + echo[40:]
    about, rest = cut(whole, (0, len(chain)), (len(chain), len(echo) - 40))
    p.send(about)
    expect_error(p, about, 4, 3, 0)
    p.send(rest)
    ignored(p)


PAD = [1, 4, 0, 0, 0, 0]


@case("v6LC.1.3.6.A")
def headless_destination():
    headless(60, bytes([58, 0, *PAD]))


@case("v6LC.1.3.6.B")
def headless_routing():
    headless(43, bytes([58, 0, 0, 0, 0, 0, 0, 0]))


@case("v6LC.1.3.6.C")
def headless_chain():
    headless(60, bytes([60, 0, *PAD]), bytes([58, 0, *PAD]))


@case("v6LC.1.3.6.D")
def headless_in_the_middle():
    """The chain is broken off within a header."""
    p = Peer()
    echo = bytes(request(p))
    chain = bytes([58, 1, 1, 12]) + bytes(12)
    whole = echo[:4] + (len(echo) - 40 + 16).to_bytes(2, "big") + bytes([60]) + echo[7:40] + chain + echo[40:]
    about = cut(whole, (0, 8))[0]
    p.send(about)
    expect_error(p, about, 4, 3, 0)


def fragmented_discovery(name, packet):
    """RFC 6980: neighbour discovery in fragments is ignored."""

    @case(name)
    def go():
        p = Router()
        q = Peer().reachable()
        whole, sign, moved = packet(p, q)
        for piece in cut(whole, (0, 16), (16, 2000)):
            p.send(piece)
        absent(sign, q)
        moved(p, q)

    return go


def nothing(p, q):
    pass


def padded(packet):
    return packet / ICMPv6NDOptUnknown(type=200, data=bytes(6))


fragmented_discovery("v6LC.2.1.22", lambda p, q: (
    padded(IPv6(src=q.ip, dst=q.nut.ip, hlim=255) / ICMPv6ND_NS(tgt=q.nut.ip)), advertisement(NUT[0].ip), nothing))


def still_at_its_place(p, q):
    frame = q.ping()
    same("link address", frame.dst, q.mac)


fragmented_discovery("v6LC.2.1.23", lambda p, q: (
    padded(IPv6(src=q.ip, dst=q.nut.ip, hlim=255) / ICMPv6ND_NA(tgt=q.ip, S=1, O=1)
           / ICMPv6NDOptDstLLAddr(lladdr=q.other)), is_error, still_at_its_place))


def no_route(p, q):
    far = p.echo(src=FAR + "99")
    p.send(far)
    absent(lambda f: f[IPv6].dst == FAR + "99", q)


fragmented_discovery("v6LC.2.2.26", lambda p, q: (padded(p.ra()), is_error, no_route))


@case("v6LC.2.3.18")
def fragmented_redirect():
    first, second = Router().tell(), Router()
    far = "%s%x" % (FAR, random.randrange(1, 65536))
    request = first.echo(src=far)
    first.send(request)
    expect(sent_to(first.mac, reply_to(request)))
    message = IPv6(src=first.ll, dst=first.nut.ip, hlim=255) / ICMPv6ND_Redirect(tgt=second.ll, dst=far)
    message /= ICMPv6NDOptDstLLAddr(lladdr=second.mac)
    for piece in cut(message, (0, 24), (24, 2000)):
        first.send(piece)
    request = first.echo(src=far)
    first.send(request)
    expect(sent_to(first.mac, reply_to(request)))


def old_ones():
    """What was sent a minute ago has timed out."""
    wanted = {p.ip: (name, about) for name, p, about, told in OLD if told}
    unwanted = {p.ip: name for name, p, _, told in OLD if not told}
    outcomes = {name: None for name in unwanted.values()}
    LINKS[0].peers[:] = [p for _, p, _, _ in OLD]
    for frame in frames(max(SENT + 66 - time.monotonic(), 1)):
        if not error(3, 1)(frame):
            continue
        dst = frame[IPv6].dst
        if dst in unwanted:
            outcomes[unwanted[dst]] = "time exceeded"
        if dst in wanted:
            name, about = wanted.pop(dst)
            quote = bytes(frame[IPv6].payload)[8:]
            soon = time.monotonic() - SENT < 59
            outcomes[name] = "it came too soon" if soon else None if quote == about else "it quotes something else"
        if not wanted:
            break
    outcomes.update({name: "no time exceeded" for name, _ in wanted.values()})
    for name, why in sorted(outcomes.items()):
        print("fail %s %s" % (name, why) if why else "ok %s" % name, flush=True)


def start():
    global SENT
    begin()
    for send in AGED:
        send()
    SENT = time.monotonic()


if __name__ == "__main__":
    main(before=start, after=old_ones)
