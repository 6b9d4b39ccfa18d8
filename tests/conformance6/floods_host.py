"""Floods: everything that a neighbour can make the NUT keep has a limit. The NUT is a host.

Each case fills a table as fast as the bus takes frames, looks at the memory of the NUT's process before and after, and then
at whether somebody who was there before is served: by an echo, and by a transfer over TCP from another node of the lab.
"""

from rig import *

ROOM = 12 * 1024  # KiB that a flood may cost: twelve thousand neighbours have some 2 MiB, fragments 4.


def blast(packets):
    """Sends packets, each a pair of link address and octets; waits now and then until the NUT has seen what was sent."""
    link = LINKS[0]
    pacer = Peer().reachable()
    for at, (mac, packet) in enumerate(packets):
        dst = canon(socket.inet_ntop(socket.AF_INET6, packet[24:40]))
        to = bytes.fromhex((group_mac(dst) if is_group(dst) else NUT[0].mac).replace(":", ""))
        link.socket.outs.send(to + bytes.fromhex(mac.replace(":", "")) + b"\x86\xdd" + packet)
        if at % 200 == 199:
            pacer.ping()


def patched(packet, *places):
    """Makes copies of an ICMPv6 packet, each with other octets at the `places`: (offset, octets); the checksum is mended."""
    whole = bytes(packet)
    length = len(whole)
    words = sum(int.from_bytes(whole[i:i + 2], "big") for i in range(8, length - length % 2, 2))
    words += (length % 2 and whole[-1] << 8) + (length - 40) + 58 - int.from_bytes(whole[42:44], "big")

    def make(*values):
        out, total = bytearray(whole), words
        for at, value in zip(places, values):
            for i in range(0, len(value), 2):
                total += int.from_bytes(value[i:i + 2], "big") - int.from_bytes(out[at + i:at + i + 2], "big")
            out[at:at + len(value)] = value
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        out[42:44] = (~total & 0xFFFF or 0xFFFF).to_bytes(2, "big")
        return bytes(out)

    return make


def flood(name, room=ROOM):
    """A case: the function gives the packets."""

    def add(packets):
        @case(name)
        def go():
            LINKS[0].flooded = True
            friend = Peer().reachable()
            before = resident()
            blast(packets())
            friend.ping()
            cost = resident() - before
            no("it costs %d KiB" % cost, cost < room)
            friend.ping()
            transfer()

        go.__doc__ = packets.__doc__
        return packets

    return add


def transfer():
    """TCP from a further node, whose neighbour the NUT is."""
    labctl("perf", "tcp", "peer", "nut", "-6", "-t", "0.2")


@flood("flood.neighbours")
def neighbours():
    """Twelve thousand neighbours ask for the NUT's link address, each from an address of its own."""
    ns = IPv6(src=FAR, dst=NUT[0].ip, hlim=255) / ICMPv6ND_NS(tgt=NUT[0].ip) / ICMPv6NDOptSrcLLAddr(lladdr=NUT[0].mac)
    make = patched(ns, 16, 66)
    for _ in range(12_000):
        mac = bytes([2]) + os.urandom(5)
        yield mac.hex(":"), make(os.urandom(8), mac)


@flood("flood.unresolved")
def unresolved():
    """Answers are due to eight thousand neighbours who do not tell their link addresses."""
    echo = IPv6(src=NUT[0].prefix + "1", dst=NUT[0].ip) / ICMPv6EchoRequest(id=1, seq=1, data=bytes(200))
    make = patched(echo, 16)
    for _ in range(8_000):
        yield NUT[1].mac, make(os.urandom(8))


@flood("flood.routers")
def routers_told():
    """A thousand default routers; who was one before remains."""
    ra = IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=3, chlim=0)
    make = patched(ra / ICMPv6NDOptSrcLLAddr(lladdr=NUT[0].mac), 16, 58)
    for _ in range(1_000):
        mac = bytes([2]) + os.urandom(5)
        yield mac.hex(":"), make(os.urandom(8), mac)


@flood("flood.prefixes")
def prefixes_told():
    """A thousand prefixes, of which addresses are to be made."""
    ra = IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=0, chlim=0)
    make = patched(ra / prefix("fd00::", valid=3, preferred=3, A=1), 74)
    for _ in range(1_000):
        yield NUT[1].mac, make(os.urandom(6))


@flood("flood.routes")
def routes_told():
    """A thousand routes behind a router (RFC 4191)."""
    ra = IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=0, chlim=0)
    make = patched(ra / ICMPv6NDOptRouteInfo(prefix="fd01::", plen=64, rtlifetime=3), 66)
    for _ in range(1_000):
        yield NUT[1].mac, make(os.urandom(6))


@flood("flood.fragments")
def fragments():
    """Twenty thousand first fragments, of as many packets."""
    head = bytearray(bytes(IPv6(src=NUT[0].prefix + "77", dst=NUT[0].ip, nh=44, plen=1208)))
    data = bytes(1200)
    for at in range(20_000):
        yield NUT[1].mac, bytes(head) + bytes([58, 0, 0, 1]) + at.to_bytes(4, "big") + data


@flood("flood.redirects")
def redirects():
    """Five thousand destinations are redirected by the router that is in use."""
    r = Router().tell()
    message = IPv6(src=r.ll, dst=NUT[0].ip, hlim=255) / ICMPv6ND_Redirect(tgt=FAR, dst=FAR)
    make = patched(message, 56, 72)
    for _ in range(5_000):
        end = os.urandom(8)
        yield r.mac, make(end, end)


@flood("flood.mtus")
def mtus():
    """Path MTUs of five thousand destinations, by errors about echo replies."""
    quote = bytes(IPv6(src=NUT[0].ip, dst=FAR + "1") / ICMPv6EchoReply(id=1, seq=1, data=bytes(40)))
    message = IPv6(src=NUT[0].prefix + "99", dst=NUT[0].ip) / ICMPv6PacketTooBig(mtu=1400) / Raw(quote)
    make = patched(message, 48 + 32)
    for _ in range(5_000):
        yield NUT[1].mac, make(os.urandom(8))


@flood("flood.groups")
def groups():
    """Queries for five thousand groups, each with the longest list of sources that fits (MLD)."""
    query = bytes([130, 0, 0, 0, 0xFF, 0xFF, 0, 0]) + bytes(16) + bytes([2, 125]) + (60).to_bytes(2, "big") + bytes(960)
    packet = IPv6(src="fe80::1", dst="ff02::1", hlim=1, nh=58) / Raw(query)
    make = patched(packet, 48)
    alert = bytes([58, 0, 5, 2, 0, 0, 1, 0])
    for _ in range(5_000):
        whole = make(b"\xff\x1e" + os.urandom(14))
        yield NUT[1].mac, (whole[:4] + (len(whole) - 32).to_bytes(2, "big") + b"\0" + whole[7:40] + alert + whole[40:])


if __name__ == "__main__":
    main()
