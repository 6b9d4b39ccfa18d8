"""The checks of a topology in virtual time: a thousand kinds of luck are a second, and one that fails says its seed."""

import os
from pathlib import Path

import pytest
from labctl import run_checks

LUCK = """
[node]
h1 = {}
h2 = {}
[bus]
lan = { subnet = "10.0.0.0/24", nodes = ["h1", "h2"], impair = { delay = "5ms", loss = "LOSS" } }
[[check]]
ping = { from = "h1", to = "h2" }
within = "20s"
[[check]]
tcp = { from = "h1", to = "h2", send = "20kB" }
"""


@pytest.fixture
def run(request, tmp_path):
    def run(loss, **options):
        file: Path = tmp_path / "luck.lab.toml"
        file.write_text(LUCK.replace("LOSS", loss))
        return run_checks(file, labctl=request.config.getoption("--labctl") or os.environ.get("LABCTL"), **options)

    return run


def test_tcp_gets_through_with_any_luck(run):
    for report in run("5%", seed=1, repeat=50):
        assert report.failures == [], f"seed {report.seed}"


def test_a_seed_is_a_run(run):
    assert run("20%", seed=7) == run("20%", seed=7)


def test_a_failure_is_a_result(run):
    (report,) = run("100%", seed=1)
    assert (report.mode, report.seed, report.failed) == ("virtual", 1, 2)


def test_live(run):
    (report,) = run("0%", live=True)
    assert (report.mode, report.passed, report.failures) == ("live", 2, [])
