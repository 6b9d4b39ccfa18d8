"""RFC 4862 section 5.5: addresses by prefixes, and how long they live. The NUT is a host.

An address of a prefix lives for two hours at least once somebody unknown wants to end it (5.5.3 (e)): each case has a prefix of
its own, of few seconds.
"""

from rig import *

TWO_HOURS = 7200


def tell(net, length=64, valid=4, preferred=4, L=0, A=1, **how):
    r = Router()
    r.send(r.ra(prefix(net, length=length, valid=valid, preferred=preferred, L=L, A=A), lifetime=0, source=False, **how))
    routers.clear()


def own(net):
    return eui64(NUT[0].mac, net)


def has(addr):
    """Whether the NUT has the address."""
    q = Peer()
    q.solicit(target=addr)
    return any(advertisement(addr)(f) for f in until_answer(q))


def lifetimes(addr):
    """Seconds for which the NUT says that the address is preferred and valid; None: for ever."""
    shown = json.loads(labctl("exec", "nut", "--", "ip", "-6", "-j", "addr", "show", "dev", "eth0"))
    for one in shown[0]["addr_info"]:
        if one.get("local") == addr:
            ends = one["preferred_life_time"], one["valid_life_time"]
            return tuple(None if end == FOREVER else end for end in ends), bool(one.get("deprecated"))
    raise Failed("no address %s" % addr)


@case("v6LC.3.2.1.B")
def made():
    net = fresh_prefix()
    tell(net)
    no("no address", has(own(net)))


@case("v6LC.3.2.1.C")
def reachable_at_it():
    net = fresh_prefix()
    tell(net)
    Peer().ping(dst=own(net))


@case("v6LC.3.2.2.A")
def preferred_ends():
    """A deprecated address answers, but is not chosen."""
    net = fresh_prefix()
    tell(net, valid=4, preferred=1)
    time.sleep(1.5)
    Peer().ping(dst=own(net))
    _, deprecated = lifetimes(own(net))
    no("it is not deprecated", deprecated)


@case("v6LC.3.2.2.B")
def valid_ends():
    net = fresh_prefix()
    with Within(1):
        tell(net, valid=1, preferred=1)
        no("no address", has(own(net)))
    time.sleep(1.5)
    no("the address is there", not has(own(net)))


@case("v6LC.3.2.2.C")
def deprecated_is_not_chosen():
    """RFC 6724: of two addresses the preferred one."""
    old, new = "fd00:aaaa:1::", "fd00:aaaa:2::"
    tell(old, valid=6, preferred=1)
    tell(new, valid=6, preferred=6)
    time.sleep(1.5)
    p = Peer()
    p.further.add("fd00:aaaa:1::9")
    r = Router().tell()
    labctl("exec", "nut", "--", sys.executable, "-c", CHOICE, "fd00:aaaa:9::9", own(new))
    r.recant()


CHOICE = """
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
name = s.getsockname()[0]
sys.exit("chosen: " + name if name != sys.argv[2] else 0)
"""


@case("v6LC.3.2.3.A")
def renumbering():
    """Two prefixes at once; the lifetimes of one end, the other's go on."""
    old, new = fresh_prefix(), fresh_prefix()
    with Within(1):
        tell(old, valid=1, preferred=1)
        tell(new)
        no("both", has(own(old)) and has(own(new)))
    time.sleep(1.5)
    no("the new alone", not has(own(old)) and has(own(new)))


def refused(letter, says, **how):
    @case("v6LC.3.2.4.%s" % letter)
    def go():
        net = how.get("net") or fresh_prefix()
        tell(net, **{key: value for key, value in how.items() if key != "net"})
        no("an address", not has(own(net)))

    go.__doc__ = says


refused("A", "without A no address is made", A=0)
refused("B", "a link-local prefix is no router's to tell", net="fe80:0:0:7::")
refused("C", "preferred for longer than valid", valid=5, preferred=6)
refused("D", "a prefix of another length leaves no room for an identifier of 64 bits", length=63)
refused("E", "valid for no time", valid=0, preferred=0)
refused("F", "a prefix of groups", net="ff02:0:0:7::")


@case("v6LC.3.2.4.G")
def preferred_for_no_time():
    """The address is there, deprecated from the beginning."""
    net = fresh_prefix()
    tell(net, valid=5, preferred=0)
    no("no address", has(own(net)))
    no("it is preferred", lifetimes(own(net))[1])


@case("v6LC.3.2.4.H")
def for_ever():
    net = "fd00:bbbb:1::"
    tell(net, valid=FOREVER, preferred=FOREVER)
    same("lifetimes", lifetimes(own(net))[0], (None, None))


@case("v6LC.3.2.4.I")
def reserved_bits():
    """The reserved fields are ignored, and so are the prefix's bits beyond its length."""
    net = fresh_prefix()
    option = ICMPv6NDOptPrefixInfo(prefix=net + "1:2:3:4", prefixlen=64, validlifetime=9, preferredlifetime=9, L=0, A=1, R=0,
                                   res1=0x1F, res2=0xFFFFFFFF)
    r = Router()
    r.send(r.ra(option, lifetime=0, source=False))
    no("no address", has(own(net)))


def updated(letter, first, then, wanted):
    """Section 5.5.3 (e): the remaining lifetime against what is told."""

    @case("v6LC.3.2.5.%s" % letter)
    def go():
        net = fresh_prefix()
        tell(net, valid=first, preferred=min(first, 5))
        tell(net, valid=then, preferred=min(then, 5))
        (_, valid), _ = lifetimes(own(net))
        no("valid for %s s, not %d" % (valid, wanted), valid is not None and wanted - 4 <= valid <= wanted)

    return go


updated("A", 10, 20, 20)
updated("B", 20, 10, 20)
updated("C", 10, TWO_HOURS + 100, TWO_HOURS + 100)


# They stay for two hours: these are the last.
updated("D", TWO_HOURS + 500, 10, TWO_HOURS)
updated("E", TWO_HOURS + 500, TWO_HOURS + 200, TWO_HOURS + 200)


@case("v6LC.3.2.5.F")
def preferred_is_updated_freely():
    net = fresh_prefix()
    tell(net, valid=30, preferred=30)
    tell(net, valid=30, preferred=2)
    (preferred, _), _ = lifetimes(own(net))
    no("preferred for %s s" % preferred, preferred is not None and preferred <= 2)


@case("v6LC.3.2.6")
def flags_of_the_advertisement():
    """M and O ask for DHCPv6, which nobody speaks here: the prefix counts nevertheless."""
    net = fresh_prefix()
    tell(net, M=1, O=1)
    no("no address", has(own(net)))


if __name__ == "__main__":
    main()
