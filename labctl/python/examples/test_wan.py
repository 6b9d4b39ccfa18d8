"""One lab for all tests of a module, named by a mark; the names of nodes may be no names of Python's."""

import pytest

pytestmark = pytest.mark.lab("wan.lab.toml")


def test_the_fast_way_is_taken(module_lab):
    with module_lab.capture("slow", "icmp") as slow:
        assert module_lab.client.ping("server").loss == 0
    assert slow.frames == []


def test_the_program_of_the_topology_serves(module_lab):
    page = module_lab.client.exec("curl", "-sS", "http://server:8080/")
    assert "wan.lab.toml" in page
    assert any("GET / HTTP" in row["line"] for row in module_lab.logs("web"))


def test_the_other_way_when_the_fast_one_breaks(module_lab):
    module_lab.link("down", "r-1:eth1", "r-2:eth0")
    rtt = module_lab.client.ping("server").rtt_us
    module_lab.link("up", "r-1:eth1", "r-2:eth0")
    assert rtt.min >= 20_000
    assert module_lab["r-1"].state == "running"


def test_the_module_s_lab_is_one(module_lab):
    assert repr(module_lab) == "<Lab wan: client, r-1, r-2, server>"


@pytest.mark.lab(toml='[node]\na = {}\nb = {}\n[bus]\nl = { subnet = "10.0.0.0/24", nodes = ["a", "b"] }\n')
def test_a_topology_can_be_a_text(lab):
    assert lab.a.ping("b").loss == 0
