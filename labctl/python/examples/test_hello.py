"""Each test has a lab of its own, of the topology beside this file: `hello.lab.toml`."""

import pytest
from labctl import LabctlError


def test_ping(lab):
    assert lab.h1.ping("h2").loss == 0


def test_path(lab):
    assert lab.h1.trace("h2").path == ["r1", "h2"]


def test_what_a_node_knows(lab):
    lab.h1.ping(lab.h2, count=1)
    assert "10.0.1.2/24" in lab.h1.addresses
    assert any(row["to"] == "0.0.0.0/0" and row["via"] == "10.0.1.1" for row in lab.h1.show("route"))
    assert [row["address"] for row in lab.h1.show("neigh")] == ["10.0.1.1"]
    assert lab.r1.stats()["ip.ipForwDatagrams"] == 2


def test_unmodified_programs(lab, tmp_path):
    (tmp_path / "index.html").write_text("hello from h2\n")
    lab.h2.popen(["python3", "-m", "http.server", "8080", "-d", tmp_path])
    lab.h2.wait_port(8080)
    assert lab.h1.exec("curl", "-sS", "http://h2:8080/") == "hello from h2\n"
    assert lab.h1.run("exit 3").returncode == 3


def test_broken_and_mended(lab):
    lab.link("down", "r1:eth1")
    assert lab.h1.ping("h2", count=1).loss == 1
    lab.link("up", "r1:eth1")
    assert lab.h1.ping("h2").loss == 0
    lab.r1.kill()
    assert lab.r1.state == "dead"
    lab.r1.restart()
    assert lab.h1.ping("h2").loss == 0


def test_parted_and_whole(lab):
    lab.partition("left", ["h1"])
    assert lab.h1.ping("h2", count=1).loss == 1
    lab.partition("left")
    assert lab.h1.ping("h2").loss == 0
    lab.h2.pause()
    assert lab.h2.state == "paused"
    lab.h2.resume()
    assert lab.h1.ping("h2").loss == 0


def test_another_address(lab):
    lab.h2.addr("add", "eth0", "10.0.9.1/32")
    lab.r1.route("add", "10.0.9.1/32 via 10.0.2.2")
    assert lab.h1.ping("10.0.9.1").loss == 0


def test_a_slow_wire(lab):
    lab.impair("right", delay="5ms")
    assert lab.h1.ping("h2").rtt_us.min >= 10_000
    lab.unimpair("right")
    assert [row["impair"] for row in lab.impairments("right")] == [None, None]


def test_what_is_on_the_wire(lab, tmp_path):
    lab.h1.ping("h2", count=1)
    with lab.capture("left", "icmp") as wire:
        lab.h1.ping("h2", count=2)
    assert [frame.sender for frame in wire.frames] == ["h1:eth0", "r1:eth0"] * 2
    assert len(lab.dump("left", "icmp")) == 6
    assert lab.pcapng("left", tmp_path / "left.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"


@pytest.mark.parametrize("algorithm", ["reno", "cubic"])
def test_tcp(lab, algorithm):
    lab.h1.sysctl("net.ipv4.tcp_congestion_control", algorithm)
    perf = lab.h1.perf("tcp", "h2", time=0.1)
    assert perf.congestion_control == algorithm
    assert perf.bits_per_second > 1e6


def test_what_cannot_be_done_says_why(lab):
    with pytest.raises(LabctlError, match="has no node"):
        lab.labctl("ping", "h1", "h3")
    with pytest.raises(LabctlError) as error:
        lab.link("down", "h1:eth7")
    assert error.value.code == 2 and "eth7" in error.value.message
