"""RFC 4862 section 5.4: duplicate address detection. The NUT is a host that uses no address before (`dad = "on"`).

Each case has an address of its own that is tried: of a prefix that is told for this case, or (by taking the link down and up)
the link-local one.
"""

from rig import *

def tries(target=None):
    """A question of the NUT's whether somebody has an address."""
    return that("duplicate address detection",
                lambda f: ICMPv6ND_NS in f and f[IPv6].src == "::" and target in (None, canon(f[ICMPv6ND_NS].tgt)))


def tentative():
    """The NUT tries an address of a new prefix; it, and the question."""
    net = fresh_prefix()
    addr = eui64(NUT[0].mac, net)
    r = Router()
    r.send(r.ra(prefix(net, A=1, L=0, valid=30, preferred=30), lifetime=0, source=False))
    routers.clear()
    return addr, expect(tries(addr), seconds=4)


def assigned(addr, seconds=4):
    """Whether the address is the NUT's, once the trial is over."""
    q = Peer()
    end = time.monotonic() + 1.4
    for frame in frames(end - time.monotonic()):
        pass
    q.solicit(target=addr)
    heard = until_answer(q)
    return any(advertisement(addr)(f) for f in heard)


def dad_ns(addr, **how):
    options = how.pop("options", [])
    packet = IPv6(src=how.pop("src", "::"), dst=how.pop("dst", solicited(addr)), hlim=how.pop("hlim", 255))
    packet /= ICMPv6ND_NS(tgt=how.pop("tgt", addr), **how)
    for option in options:
        packet /= option
    return packet


def dad_na(addr, **how):
    options = how.pop("options", None)
    packet = IPv6(src=how.pop("src", addr), dst=how.pop("dst", "ff02::1"), hlim=how.pop("hlim", 255))
    packet /= ICMPv6ND_NA(**{"tgt": addr, "S": 0, "O": 1, "R": 0, **how})
    for option in [ICMPv6NDOptDstLLAddr(lladdr=mac_of(0x123456))] if options is None else options:
        packet /= option
    return packet


# Trials take their time, a second each and more: all are begun at once, and looked at when they are over.
TRIALS = []


def trial(name, taken, make):
    """Somebody sends what `make` says while the NUT tries an address: whether it is the NUT's after that."""
    TRIALS.append((name, taken, make))


trial("v6LC.3.2.1.A", True, lambda addr: None)
trial("v6LC.3.1.2.A", True, lambda addr: dad_ns(eui64(mac_of(0x777777), "fd00:1::")))
trial("v6LC.3.1.2.B", False, lambda addr: dad_ns(addr))
trial("v6LC.3.1.2.C", True, lambda addr: dad_na(eui64(mac_of(0x777777), "fd00:1::")))
trial("v6LC.3.1.2.D", False, lambda addr: dad_na(addr))
trial("v6LC.3.1.3.A", True, lambda addr: dad_ns(addr, src="fd00:1::77"))
trial("v6LC.3.1.3.B", True, lambda addr: dad_ns(addr, hlim=254))
trial("v6LC.3.1.3.C", True, lambda addr: dad_ns(addr, dst=addr))
trial("v6LC.3.1.3.D", True, lambda addr: dad_ns(addr, cksum=0x1234))
trial("v6LC.3.1.3.E", True, lambda addr: dad_ns(addr, code=1))
trial("v6LC.3.1.3.F", True, lambda addr: checksummed(
    IPv6(src="::", dst=solicited(addr), hlim=255, nh=58) / Raw(bytes(dad_ns(addr))[40:56])))
trial("v6LC.3.1.3.G", True, lambda addr: dad_ns(addr, tgt="ff02::1"))
trial("v6LC.3.1.3.H", True, lambda addr: checksummed(dad_ns(addr) / Raw(bytes([1, 0]) + bytes(6))))
trial("v6LC.3.1.3.I", False, lambda addr: dad_ns(addr, res=0xFFFFFFFF))
trial("v6LC.3.1.3.J", False, lambda addr: dad_ns(addr, options=[ICMPv6NDOptDstLLAddr(lladdr=mac_of(0x123456))]))
trial("v6LC.3.1.3.K", True, lambda addr: dad_ns(addr, options=[ICMPv6NDOptSrcLLAddr(lladdr=mac_of(0x123456))]))
trial("v6LC.3.1.3.L", True, lambda addr: dad_ns(addr, dst="ff02::1"))
trial("v6LC.3.1.4.A", True, lambda addr: dad_na(addr, hlim=254))
trial("v6LC.3.1.4.B", True, lambda addr: dad_na(addr, cksum=0x1234))
trial("v6LC.3.1.4.C", True, lambda addr: dad_na(addr, code=1))
trial("v6LC.3.1.4.D", True, lambda addr: checksummed(
    IPv6(src=addr, dst="ff02::1", hlim=255, nh=58) / Raw(bytes(dad_na(addr))[40:56])))
trial("v6LC.3.1.4.E", True, lambda addr: dad_na(addr, tgt="ff02::1"))
trial("v6LC.3.1.4.F", True, lambda addr: dad_na(addr, S=1))
trial("v6LC.3.1.4.G", True, lambda addr: checksummed(dad_na(addr) / Raw(bytes([1, 0]) + bytes(6))))
trial("v6LC.3.1.4.H", False, lambda addr: dad_na(addr, res=0x1FFFFFFF))
trial("v6LC.3.1.4.I", False, lambda addr: dad_na(addr, options=[ICMPv6NDOptSrcLLAddr(lladdr=mac_of(0x123456))]))
trial("v6LC.3.1.4.J", False, lambda addr: dad_na(addr, options=[]))


def trials(some):
    """Tries many addresses at once."""

    def go():
        r, waiting, verdicts, over = Router(), {}, {}, time.monotonic() + 11
        for name, taken, make in some:
            net = fresh_prefix()
            waiting[eui64(NUT[0].mac, net)] = (name, make)
            verdicts[eui64(NUT[0].mac, net)] = (name, taken)
            r.send(r.ra(prefix(net, A=1, L=0, valid=10, preferred=10), lifetime=0, source=False))
        routers.clear()
        end = time.monotonic() + 4
        while waiting and time.monotonic() < end:
            frame = LINKS[0].hear(end - time.monotonic())
            if frame is None or not tries()(frame):
                continue
            addr = canon(frame[ICMPv6ND_NS].tgt)
            if addr not in waiting:
                continue
            name, make = waiting.pop(addr)
            packet = make(addr)
            if packet is not None:
                Peer().send(packet)
        for _ in frames(1.2):
            pass
        q = Peer().reachable()
        for addr, (name, taken) in verdicts.items():
            why = "the address was not tried" if addr in waiting else None
            if why is None:
                q.solicit(target=addr)
                found = any(advertisement(addr)(f) for f in until_answer(q))
                if found != taken:
                    why = "the address is %sthe NUT's" % ("" if found else "not ")
            print("fail %s %s" % (name, why) if why else "ok %s" % name, flush=True)
        # The addresses end before the next ones are told: an interface has room for so many.
        for _ in frames(over - time.monotonic()):
            pass

    return go


def all_trials():
    for at in range(0, len(TRIALS), 12):
        LINKS[0].peers.clear()
        trials(TRIALS[at:at + 12])()


@case("v6LC.3.1.1.A")
def what_is_asked():
    """From nobody, to the group of the address, without a link address; and its group was joined before."""
    addr, frame = tentative()
    same("asked", frame[IPv6].dst, solicited(addr))
    same("hop limit", frame[IPv6].hlim, 255)
    no("a link address", ICMPv6NDOptSrcLLAddr not in frame)


@case("v6LC.3.1.1.C")
def nothing_at_a_tentative_address():
    """It is answered to nobody: neither solicitations nor echo requests."""
    addr, _ = tentative()
    p = Peer().reachable()
    p.solicit(target=addr)
    request = p.echo(dst=addr)
    p.send(request)
    absent(lambda f: advertisement(addr)(f) or reply_to(request)(f), p)
    for _ in frames(1.3):
        pass
    p.ping(dst=addr)


@case("v6LC.3.1.1.D")
def own_question():
    """The link shows the NUT its own question: it has the same nonce (RFC 7527)."""
    addr, frame = tentative()
    Peer().send(bytes(frame[IPv6]))
    no("the address is not the NUT's", assigned(addr))


@case("v6LC.3.1.1.B")
def link_local():
    """The address of the link, when it comes up."""
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    expect(tries(NUT[0].ll), seconds=4)


def sysctl(*values):
    """What an administrator of the NUT says of its interface's IPv6."""
    labctl("exec", "nut", "--", "sysctl", "-qw", *("net.ipv6.conf.eth0." + value for value in values))


@case("v6LC.3.1.5.A")
def duplicate_link_local():
    """RFC 4862 section 5.4.5: IP stops on an interface whose address by its hardware is somebody else's (Linux: `accept_dad` 2)."""
    sysctl("accept_dad=2")
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    expect(tries(NUT[0].ll), seconds=4)
    q = Peer()
    q.send(dad_na(NUT[0].ll))
    ready()
    request = q.echo()
    q.send(request)
    for frame in frames(0.5):
        no("an answer", not reply_to(request)(frame))
    q.solicit(target=NUT[0].ll)
    q.solicit(target=NUT[0].ip)
    for frame in frames(0.5):
        no("an advertisement", ICMPv6ND_NA not in frame)
    sysctl("accept_dad=1", "disable_ipv6=0")


@case("v6LC.3.1.5.B")
def again_when_the_link_is_again():
    """Another link, perhaps: the address is tried again, and it is the NUT's."""
    labctl("link", "down", "nut:eth0")
    labctl("link", "up", "nut:eth0")
    expect(tries(NUT[0].ll), seconds=4)
    for _ in frames(1.4):
        pass
    p = Peer()
    p.ping(src=p.ll, dst=NUT[0].ll)


def ready():
    begin()
    for _ in frames(2.6):
        pass


def begin_with_trials():
    ready()
    all_trials()


if __name__ == "__main__":
    main(before=begin_with_trials)
