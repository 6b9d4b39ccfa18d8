"""RFC 4861 section 7.3: unreachability detection, states DELAY and PROBE. The NUT is a host.

Five seconds (DELAY_FIRST_PROBE_TIME) pass from the use of a stale neighbour to the first question to itself. All neighbours
of the file are used at once; each case then takes its own from PROBE, which lasts three RetransTimers: ten seconds each.
"""

from rig import *
WAITING = {}


def probe_case(name, act, check):
    WAITING[name] = None

    @case(name)
    def go():
        p = WAITING[name]
        no("no question to itself", p.asked)
        LINKS[0].peers.append(p)
        act(p)
        check(p)


def used_by(mac):
    def check(p):
        request = p.echo()
        p.send(request)
        expect(sent_to(mac(p), reply_to(request)))

    return check


own, other = (lambda p: p.mac), (lambda p: p.other)

for letter, S, O, link, where in [
        ("A", 0, 0, "own", own), ("B", 0, 1, "own", own), ("C", 1, 0, "own", own), ("D", 1, 1, "own", own),
        ("E", 0, 0, "other", own), ("F", 0, 1, "other", other), ("G", 1, 0, "other", own), ("H", 1, 1, "other", other),
        ("I", 0, 0, None, own), ("J", 0, 1, None, own), ("K", 1, 0, None, own), ("L", 1, 1, None, own)]:
    probe_case("v6LC.2.1.20.%s" % letter,
               lambda p, S=S, O=O, link=link: p.send(na(p, S=S, O=O, link=p.other if link == "other" else link)), used_by(where))


def ns_same(p):
    p.solicit(dst=p.nut.ip)
    expect(sent_to(p.mac, advertisement(p.nut.ip)))


def ns_other(p):
    p.solicit(dst=p.nut.ip, mac=p.other)
    expect(sent_to(p.other, advertisement(p.nut.ip)))


def ns_none(p):
    p.solicit(dst=p.nut.ip, link=False)
    expect(sent_to(p.mac, advertisement(p.nut.ip)))


probe_case("v6LC.2.1.12.A", ns_same, used_by(own))
probe_case("v6LC.2.1.12.B", ns_other, used_by(other))
probe_case("v6LC.2.1.12.C", ns_none, used_by(own))


def confirmation(name, src, dst):
    """The questions go to the neighbour itself, from the address that the packets had; three in vain, and it is gone."""

    @case(name)
    def go():
        p = WAITING[name]
        frame = p.asked
        no("no question to itself", frame)
        same("asked", frame[IPv6].dst, getattr(p, src))
        same("by", frame.dst, p.mac)
        same("asker", frame[IPv6].src, getattr(p.nut, dst))

    WAITING[name] = (src, dst)


confirmation("v6LC.2.1.6.A", "ll", "ll")
confirmation("v6LC.2.1.6.B", "ip", "ip")


@case("v6LC.2.1.6.E")
def three_in_vain():
    """Nobody answers three questions: the neighbour is unknown, and the next packet asks all."""
    r = Router()
    r.send(r.ra(lifetime=0, retranstimer=200, source=False))
    p = Peer().stale()
    p.answers, p.mac = False, p.other
    p.ping()
    for _ in range(3):
        expect(solicitation(p.ip, unicast=True), seconds=8)
    def asks_all():
        p.send(p.echo())
        return any(solicitation(p.ip, unicast=False)(frame) for frame in frames(0.1))

    eventually(asks_all, "no question to all")


@case("v6LC.2.1.6.F")
def confirmed_in_time():
    """An answer to the question: the neighbour is reachable, and asked no more."""
    r = Router()
    r.send(r.ra(lifetime=0, retranstimer=200, source=False))
    p = Peer().stale()
    p.mac = p.other
    p.ping()
    expect(solicitation(p.ip, unicast=True), seconds=8)
    for frame in frames(0.7):
        no("a further question", not solicitation(p.ip)(frame))
    p.ping()


@case("v6LC.2.1.6.G")
def answers_without_being_known():
    """PROBE goes on for a neighbour that talks but does not answer: an echo request is no confirmation."""
    r = Router()
    r.send(r.ra(lifetime=0, retranstimer=300, source=False))
    p = Peer().stale()
    p.answers, p.mac = False, p.other
    p.ping()
    expect(solicitation(p.ip, unicast=True), seconds=8)
    p.ping()
    expect(solicitation(p.ip, unicast=True))


def start():
    """Everybody is used while STALE, and asked five seconds later."""
    begin()
    slow = Router()
    slow.send(slow.ra(lifetime=0, retranstimer=10_000, source=False))
    routers.clear()
    peers = {}
    for name, ends in WAITING.items():
        p = Peer()
        src, dst = ends or ("ip", "ip")
        p.src = getattr(p, src)
        how = {"src": p.src, "dst": getattr(p.nut, dst)}
        p.ping(**how)
        p.advertise(target=p.src, mac=p.other, solicited=0)
        p.mac, p.other = p.other, p.mac
        p.answers, p.asked = False, None
        request = p.echo(**how)
        p.send(request)
        expect(sent_to(p.mac, reply_to(request)))
        peers[p.src] = WAITING[name] = p
    for frame in frames(9):
        if ICMPv6ND_NS in frame and not is_group(frame[IPv6].dst):
            target = canon(frame[ICMPv6ND_NS].tgt)
            if target in peers:
                peers.pop(target).asked = frame
        if not peers:
            break


if __name__ == "__main__":
    main(before=start)
