"""The tester: a node that answers nothing by itself and is whoever a case needs, with a packet socket on each link.

The node under test (NUT) is another node on the same buses. Each case has neighbours (`Peer`) of its own, with addresses
that nobody had before, so that no case depends on what another one left in a table. Nothing waits for silence: `absent`
sends an echo request behind what is to be ignored, and what came before the answer is all that came.

A file of cases is run by `main`, which writes `ok NAME` or `fail NAME WHY` for each case, and `end` at the last.
"""

import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import time
import traceback

from scapy.config import conf
from scapy.layers.inet import TCP, UDP  # noqa: F401 (for the cases)
from scapy.layers.inet6 import (  # noqa: F401 (for the cases)
    ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
    ICMPv6ND_RS, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRedirectedHdr, ICMPv6NDOptRouteInfo, ICMPv6NDOptSrcLLAddr, ICMPv6NDOptUnknown, ICMPv6PacketTooBig,
    ICMPv6ParamProblem, ICMPv6TimeExceeded, ICMPv6Unknown, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, HBHOptUnknown, Pad1, PadN, RouterAlert, in6_chksum)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

# An answer that does not come in this time, in seconds, does not come; the NUT may have to share a busy machine.
PATIENCE = 3.0
FOREVER = 0xFFFFFFFF


class Failed(Exception):
    """What was seen is not what must be."""


class Late(Exception):
    """The tester did not get the time that a case needs."""


class Within:
    """What is done in the block counts only if it took no longer than `seconds`; else the case begins again."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        self.end = time.monotonic() + self.seconds

    def __exit__(self, *_):
        if time.monotonic() >= self.end:
            raise Late


def mac_of(number):
    return "02:00:00:%02x:%02x:%02x" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def eui64(mac, prefix="fe80::"):
    a, *rest = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([a ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]])
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, prefix)[:8] + identifier)


def canon(addr):
    return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, addr))


def solicited(addr):
    last = socket.inet_pton(socket.AF_INET6, addr)[13:]
    return canon("ff02::1:ff%02x:%02x%02x" % tuple(last))


def group_mac(addr):
    return "33:33:%02x:%02x:%02x:%02x" % tuple(socket.inet_pton(socket.AF_INET6, addr)[12:])


def is_group(addr):
    return addr.lower().startswith("ff")


class Side:
    """The NUT's end of a link: its link address and IPv6 addresses."""

    def __init__(self, mac, prefix):
        self.mac, self.prefix = mac, prefix
        self.ll, self.ip = eui64(mac), eui64(mac, prefix)


# As the topologies have them.
NUT = [Side("02:00:00:00:00:01", "fd00:1::"), Side("02:00:00:00:01:01", "fd00:2::")]
# Of no link: behind some router.
FAR = "fd00:ffff::"


class Link:
    """A packet socket, which sees everything on its bus, and who we are there."""

    def __init__(self, number):
        self.socket = conf.L2socket(iface="eth%d" % number)
        self.peers = []
        # Whether what is nobody's of ours is passed over before anything is made of it: there may be thousands.
        self.flooded = False

    def hear(self, seconds):
        """The next frame of the NUT's within `seconds`, or None; solicitations of peers that answer are answered."""
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if not select.select([self.socket.ins], [], [], max(left, 0))[0]:
                return None
            _, octets, stamp = self.socket.recv_raw()
            if octets is None or self.flooded and not self.is_for_us(octets):
                continue
            frame = Ether(octets)
            frame.time = stamp
            if IPv6 not in frame:
                continue
            self.check(frame)
            self.answer(frame)
            return frame

    def is_for_us(self, octets):
        if octets[0] != 0x33:
            return any(octets[:6] == bytes.fromhex(peer.mac.replace(":", "")) for peer in self.peers)
        target = octets[54:55] == b"\x87" and socket.inet_ntop(socket.AF_INET6, octets[62:78])
        return not target or any(target in peer.addresses() for peer in self.peers)

    def check(self, frame):
        """What holds of each frame."""
        packet = frame[IPv6]
        icmp = packet.lastlayer()
        whole = bytes(packet)
        if packet.nh == 58 and packet.plen == len(whole) - 40:
            if in6_chksum(58, packet, whole[40:]) not in (0, 0xFFFF):
                raise Failed("a wrong checksum: %s" % icmp.summary())
        discovery = [ICMPv6ND_NS, ICMPv6ND_NA, ICMPv6ND_RS, ICMPv6ND_RA, ICMPv6ND_Redirect]
        if any(kind in frame for kind in discovery) and packet.hlim != 255 and ICMPv6DestUnreach not in frame:
            raise Failed("neighbour discovery with hop limit %d" % packet.hlim)
        if is_group(packet.dst) and frame.dst != group_mac(packet.dst):
            raise Failed("to %s by %s" % (packet.dst, frame.dst))

    def answer(self, frame):
        if ICMPv6ND_NS not in frame or not frame[IPv6].nh == 58 or frame[IPv6].src == "::":
            return
        target = canon(frame[ICMPv6ND_NS].tgt)
        for peer in self.peers:
            if peer.answers and target in peer.addresses():
                peer.advertise(target, dst=frame[IPv6].src)


LINKS = []
# Octets that wait for us: a flood's answers come faster than they are read.
conf.bufsize = 1 << 23


class Peer:
    """A neighbour of the NUT's."""

    made = random.randrange(1 << 20)

    def __init__(self, link=0, answers=True, router=False):
        Peer.made += 1
        number = 0x400000 + Peer.made
        self.link, self.answers, self.router = link, answers, router
        self.mac, self.nut = mac_of(number), NUT[link]
        self.ll, self.ip = eui64(self.mac), eui64(self.mac, self.nut.prefix)
        self.other = mac_of(0x800000 + Peer.made)
        self.further = set()
        LINKS[link].peers.append(self)

    def addresses(self):
        return {self.ll, self.ip} | self.further

    def send(self, packet, to=None, mac=None):
        """Sends a packet to the NUT, or to a group."""
        packet = packet if isinstance(packet, bytes) else bytes(packet)
        dst = canon(socket.inet_ntop(socket.AF_INET6, packet[24:40]))
        to = to or (group_mac(dst) if is_group(dst) else self.nut.mac)
        LINKS[self.link].socket.send(Ether(src=mac or self.mac, dst=to, type=0x86DD) / Raw(packet))

    def echo(self, src=None, dst=None, data=b"01234567", seq=None, **header):
        """An echo request from us: its payload, with an identifier of its own, behind the header."""
        src, dst = src or self.ip, dst or self.nut.ip
        identity = random.randrange(1, 65536)
        seq = random.randrange(65536) if seq is None else seq
        return IPv6(src=src, dst=dst, **header) / ICMPv6EchoRequest(id=identity, seq=seq, data=data)

    def ping(self, **how):
        """Sends an echo request and waits for its reply."""
        request = self.echo(**how)
        self.send(request)
        return expect(reply_to(request), self.link)

    def advertise(self, target=None, dst=None, mac=None, solicited=1, override=1, link=True):
        """Tells our link address for `target`."""
        target, dst = target or self.ip, dst or self.nut.ll
        flags = dict(R=int(self.router), S=solicited, O=override)
        na = IPv6(src=target, dst=dst, hlim=255) / ICMPv6ND_NA(tgt=target, **flags)
        if link:
            na /= ICMPv6NDOptDstLLAddr(lladdr=mac or self.mac)
        self.send(na)

    def solicit(self, target=None, src=None, dst=None, link=True, mac=None):
        """Asks for the NUT's link address."""
        target = target or self.nut.ip
        ns = IPv6(src=src or self.ip, dst=dst or solicited(target), hlim=255) / ICMPv6ND_NS(tgt=target)
        if link:
            ns /= ICMPv6NDOptSrcLLAddr(lladdr=mac or self.mac)
        self.send(ns)

    def reachable(self):
        """The NUT knows us, and that we answer."""
        self.ping()
        return self

    def stale(self, mac=None):
        """The NUT knows us, not since when."""
        self.reachable()
        self.advertise(mac=mac or self.other, solicited=0)
        return self


class Router(Peer):
    """A router of the link's; what it told is taken back at the case's end."""

    def __init__(self, link=0, answers=True):
        super().__init__(link, answers, router=True)
        self.told = []
        routers.append(self)

    def ra(self, *options, lifetime=1800, source=True, src=None, **fields):
        ra = IPv6(src=src or self.ll, dst="ff02::1", hlim=255)
        ra /= ICMPv6ND_RA(**{"routerlifetime": lifetime, "chlim": 0, "M": 0, "O": 0, **fields})
        if source:
            ra /= ICMPv6NDOptSrcLLAddr(lladdr=self.mac)
        for option in options:
            ra /= option
            if isinstance(option, ICMPv6NDOptPrefixInfo) and option.L:
                self.told.append(option)
        return ra

    def tell(self, *options, **how):
        self.send(self.ra(*options, **how))
        return self

    def recant(self):
        gone = [prefix(p.prefix, p.prefixlen, valid=0, preferred=0, A=0) for p in self.told]
        routes = [ICMPv6NDOptRouteInfo(prefix=r.prefix, plen=r.plen, rtlifetime=0) for r in []]
        self.send(self.ra(*gone, *routes, lifetime=0, chlim=64, reachabletime=30000, retranstimer=1000,
                          source=False))


routers = []


def prefix(net, length=64, valid=FOREVER, preferred=FOREVER, L=1, A=0):
    return ICMPv6NDOptPrefixInfo(prefix=net, prefixlen=length, validlifetime=valid, preferredlifetime=preferred, L=L, A=A)


def frames(seconds, link=0):
    """What the NUT sends within so many seconds."""
    end = time.monotonic() + seconds
    while True:
        frame = LINKS[link].hear(end - time.monotonic())
        if frame is None:
            return
        yield frame


def expect(wanted, link=0, seconds=PATIENCE, what=None):
    """Waits for a frame that is `wanted`."""
    heard = []
    for frame in frames(seconds, link):
        if wanted(frame):
            return frame
        heard.append(frame[IPv6].summary())
    wanted = what or getattr(wanted, "what", None) or getattr(wanted, "__name__", "what was to come")
    raise Failed("no %s, but: %s" % (wanted, "; ".join(heard[-4:]) or "nothing"))


def until_answer(peer, **how):
    """Asks for an echo, and gives what came up to its reply, the reply last."""
    request = peer.echo(**how)
    peer.send(request)
    wanted, heard = reply_to(request), []
    for frame in frames(PATIENCE, peer.link):
        heard.append(frame)
        if wanted(frame):
            return heard
    raise Failed("no answer to the probe, but: %s" % ("; ".join(f[IPv6].summary() for f in heard[-4:]) or "nothing"))


def absent(unwanted, peer, **how):
    """Nothing `unwanted` comes before the answer to an echo request."""
    heard = until_answer(peer, **how)
    for frame in heard:
        if unwanted(frame):
            raise Failed("unwanted: %s" % frame[IPv6].summary())
    return heard


def ignored(peer):
    """What was sent is ignored: the peer gets nothing but the answer to an echo request."""
    heard = [frame for frame in until_answer(peer) if frame.dst == peer.mac]
    if len(heard) > 1:
        raise Failed("unwanted: %s" % heard[0][IPv6].summary())


def that(what, test):
    test.what = what
    return test


def no(what, condition):
    """The case fails with `what` unless the condition holds."""
    if not condition:
        raise Failed(what)


def same(what, found, wanted):
    if found != wanted:
        raise Failed("%s is %r, not %r" % (what, found, wanted))


def reply_to(request):
    echo = request[ICMPv6EchoRequest]

    def test(frame):
        reply = frame.getlayer(ICMPv6EchoReply)
        direct = frame[IPv6].nh in (58, 44)
        return reply is not None and direct and (reply.id, reply.seq) == (echo.id, echo.seq)

    return that("echo reply", test)


def is_reply(frame):
    return ICMPv6EchoReply in frame and frame[IPv6].nh in (58, 44)


ERRORS = {1: ICMPv6DestUnreach, 2: ICMPv6PacketTooBig, 3: ICMPv6TimeExceeded, 4: ICMPv6ParamProblem}


def is_error(frame):
    return frame[IPv6].nh == 58 and bytes(frame[IPv6].payload)[0] in ERRORS


def error(kind, code, dst=None):
    """An error of this type and code."""

    def test(frame):
        message = bytes(frame[IPv6].payload)
        return is_error(frame) and (message[0], message[1]) == (kind, code) and frame[IPv6].dst in (dst, dst or frame[IPv6].dst)

    return that("error of type %d, code %d" % (kind, code), test)


def expect_error(peer, about, kind, code, rest=None, src=None):
    """An error comes about the packet `about`, which it quotes as far as 1280 octets go."""
    about = bytes(about)
    frame = expect(error(kind, code), peer.link)
    packet, message = frame[IPv6], bytes(frame[IPv6].payload)
    if rest is not None:
        same("pointer or MTU", int.from_bytes(message[4:8], "big"), rest)
    same("destination", packet.dst, canon(socket.inet_ntop(socket.AF_INET6, about[8:24])))
    if src is not None:
        same("source", packet.src, src)
    same("quote", message[8:], about[:1280 - 48])
    return frame


def solicitation(target, unicast=None, dad=False):
    """A solicitation of the NUT's for `target`, to all or to itself."""

    def test(frame):
        if ICMPv6ND_NS not in frame or canon(frame[ICMPv6ND_NS].tgt) != canon(target):
            return False
        if (frame[IPv6].src == "::") != dad:
            return False
        return unicast is None or unicast != is_group(frame[IPv6].dst)

    return that("solicitation of %s" % target, test)


def advertisement(target):
    return that("advertisement of %s" % target,
                lambda f: ICMPv6ND_NA in f and f[IPv6].nh == 58 and canon(f[ICMPv6ND_NA].tgt) == canon(target))


def sent_to(mac, wanted):
    """`wanted`, by this link address."""
    inner = getattr(wanted, "what", "frame")
    return that("%s by %s" % (inner, mac), lambda f: f.dst == mac and wanted(f))


def labctl(*words):
    """Does something to the lab from outside."""
    done = subprocess.run(["labctl", "--lab", os.environ["LAB"], *words], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed("labctl %s: %s" % (" ".join(words), done.stderr.strip()))
    return done.stdout


def eventually(test, what):
    """Something is so in the end: the NUT's timers may be late."""
    end = time.monotonic() + PATIENCE
    while not test():
        no(what, time.monotonic() < end)
        time.sleep(0.05)


def background(*words):
    """Starts something by labctl; it is waited for, or ended, where the block ends."""
    return subprocess.Popen(["labctl", "--lab", os.environ["LAB"], *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def resident():
    """KiB of memory that the NUT's process has."""
    nodes = json.loads(labctl("ps", "--json"))["nodes"]
    pid = next(node["pid"] for node in nodes if node["name"] == "nut")
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def na(p, target=None, dst=None, hlim=255, code=0, S=1, O=1, R=0, link="own", **fields):
    packet = IPv6(src=p.ip, dst=dst or p.nut.ll, hlim=hlim)
    packet /= ICMPv6ND_NA(tgt=target or p.ip, S=S, O=O, R=R, code=code, **fields)
    if link:
        packet /= ICMPv6NDOptDstLLAddr(lladdr=p.mac if link == "own" else link)
    return packet


def checksummed(packet):
    """The octets of a packet whose ICMPv6 payload was changed by hand."""
    whole = bytearray(bytes(packet))
    whole[42:44] = bytes(2)
    whole[42:44] = in6_chksum(58, IPv6(bytes(whole)), bytes(whole[40:])).to_bytes(2, "big")
    return bytes(whole)


def fresh_prefix():
    return "fd00:%x:%x::" % (random.randrange(0x100, 0xFFFF), random.randrange(1, 0xFFFF))


CASES = []
LATE = "no time for it"


def case(*names):
    """A case: it has the numbers `names` of the specification."""

    def add(function):
        CASES.append((names, function))
        return function

    return add


def begin():
    """A prefix for all cases; no router."""
    base = Router()
    base.told = []
    base.send(base.ra(prefix(NUT[0].prefix, A=1), lifetime=0, source=False))
    routers.clear()


def run(function, *arguments):
    """Runs one case; what came of it."""
    for link in LINKS:
        link.peers.clear()
        while select.select([link.socket.ins], [], [], 0)[0]:
            link.socket.recv_raw()
    routers.clear()
    try:
        function(*arguments)
        return None
    except Late:
        return LATE
    except Failed as failed:
        where = traceback.extract_tb(failed.__traceback__)
        line = next(f.lineno for f in reversed(where) if not f.filename.endswith("rig.py"))
        return "%s (line %d)" % (failed, line)
    except Exception:
        return " | ".join(traceback.format_exc().strip().splitlines()[-4:])
    finally:
        for router in routers:
            router.recant()


def main(links=1, before=begin, after=None):
    """Runs the cases, or those whose numbers are arguments; `before` them one thing, `after` them another."""
    LINKS.extend(Link(number) for number in range(links))
    before and before()
    for names, function in CASES:
        if sys.argv[1:] and not any(name.startswith(word) for name in names for word in sys.argv[1:]):
            continue
        began = time.monotonic()
        why = run(function)
        for _ in range(9):
            why = run(function) if why == LATE else why
        for name in names:
            print("fail %s %s" % (name, why) if why else "ok %s" % name, flush=True)
        print("took %s %.2f s" % (names[0], time.monotonic() - began), flush=True)
    after and after()
    print("end", flush=True)
