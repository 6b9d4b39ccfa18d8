"""The plugin from outside: what a run of pytest says, keeps and leaves behind."""

import os
import subprocess
from pathlib import Path

import pytest

HELLO = (Path(__file__).parent.parent / "examples" / "hello.lab.toml").read_text()


@pytest.fixture
def run(pytester, request, monkeypatch):
    """Runs pytest on a text in a folder of its own; nothing of it may be left in the temporary folder of labs."""
    labs = pytester.mkdir("t")
    monkeypatch.setenv("TMPDIR", str(labs))
    monkeypatch.setenv("LABCTL_LAB", "somebody-elses")
    pytester.path.joinpath("hello.lab.toml").write_text(HELLO)
    program = request.config.getoption("--labctl") or os.environ.get("LABCTL") or "labctl"

    def run(text, *options):
        pytester.makepyfile(test_hello=text)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--labctl={program}", *options)
        assert [path.name for path in labs.glob("labctl-*")] == []
        ps = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert str(labs) not in ps
        return result

    return run


def test_a_test_that_fails_leaves_the_captures_and_no_lab(run, pytester):
    result = run("def test_x(lab):\n    assert lab.h1.ping('h2', count=1).loss == 1\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Ping(transmitted=1, received=1, loss=0.0*", "*captures, tables and logs are in*"])
    (folder,) = pytester.path.joinpath("labctl-captures").iterdir()
    assert folder.name == "test_hello.py-test_x"
    assert {"left.pcapng", "right.pcapng", "h1.json", "r1.json", "h2.json"} <= {path.name for path in folder.iterdir()}


def test_a_test_that_passes_keeps_them_if_asked(run, pytester):
    text = "def test_x(lab):\n    lab.r1.kill()\n"
    run(text).assert_outcomes(passed=1)
    assert not pytester.path.joinpath("labctl-captures").exists()
    run(text, "--lab-keep", "--lab-captures=kept").assert_outcomes(passed=1)
    names = {path.name for path in pytester.path.joinpath("kept", "test_hello.py-test_x").iterdir()}
    assert "left.pcapng" in names and "r1.json" not in names


def test_programs_end_with_the_lab(run):
    run("def test_x(lab):\n    lab.h1.popen(['sleep', '1000'])\n    assert lab.h1.run('ps').returncode == 0\n").assert_outcomes(passed=1)


def test_the_faults_of_a_topology_are_shown_with_their_places(run, pytester):
    pytester.path.joinpath("hello.lab.toml").write_text(HELLO.replace('"h1"]', '"h7"]'))
    result = run("def test_x(lab):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*left  = *"h7"*', "*did you mean*h1*"])


def test_a_topology_that_is_not_there_is_named(run, pytester):
    pytester.path.joinpath("hello.lab.toml").unlink()
    result = run("def test_x(lab):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no topology: *test_x.lab.toml, x.lab.toml, test_hello.lab.toml, hello.lab.toml in *"])


def test_a_program_that_is_not_there_is_named(run):
    result = run("def test_x(lab):\n    pass\n", "--labctl=/nowhere/labctl")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no program /nowhere/labctl*", "*pytest --labctl PATH*"])


def test_parallel_runs_do_not_touch_each_other(run):
    pytest.importorskip("xdist")
    text = "import pytest\n@pytest.mark.parametrize('n', range(8))\ndef test_x(lab, n):\n    assert lab.h1.ping('h2').loss == 0\n    assert len(lab.dump('left', 'icmp')) == 8\n"
    run(text, "-n", "4").assert_outcomes(passed=8)
