"""The pytest plugin: the fixtures `lab` (one a test) and `module_lab` (one a module).

The topology of a test is the file of its mark, `@pytest.mark.lab("hello.lab.toml")`, or the text of it, `@pytest.mark.lab(toml="…")`;
without a mark it is a file beside the test, named as the test or as its module: `test_hello.py` finds `hello.lab.toml`.
Whatever becomes of a test, its lab is taken down. If it fails, what there is to know of the lab is kept before.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Generator, Iterator

import pytest

from ._command import LabctlError
from .lab import Lab

_MARK = "lab(file, *, toml): the topology of the test's lab, as a file relative to the test's, or as text"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("labctl", "virtual network labs")
    group.addoption("--labctl", metavar="PATH", help="the program labctl (default: $LABCTL, else the one on the PATH)")
    group.addoption("--lab-keep", action="store_true", help="keep captures, tables and logs of every test's lab, not only of tests that fail")
    group.addoption("--lab-captures", metavar="DIR", default="labctl-captures", help="folder for what is kept (default: labctl-captures)")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """The lab of this test alone: up when it begins, gone when it has ended."""
    yield from _lab(request, tmp_path)


@pytest.fixture(scope="module")
def module_lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all tests of a module; its topology is the one of the module's mark (`pytestmark = …`) or name."""
    yield from _lab(request, tmp_path_factory.mktemp("lab"))


def _lab(request: pytest.FixtureRequest, folder: Path) -> Iterator[Lab]:
    program = request.config.getoption("--labctl") or os.environ.get("LABCTL") or "labctl"
    try:
        up = Lab(_topology(request, folder), program).up()
    except LabctlError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield up
    finally:
        up.down()


def _topology(request: pytest.FixtureRequest, folder: Path) -> Path:
    mark = request.node.get_closest_marker("lab")
    here: Path = request.path.parent
    if mark is not None and "toml" in mark.kwargs:
        file = folder / "lab.toml"
        file.write_text(mark.kwargs["toml"])
        return file
    if mark is not None and mark.args:
        return here / str(mark.args[0])
    # A parametrized test is called as its function is.
    names = [getattr(request.node, "originalname", None), request.path.stem]
    names = [form for name in names if name for form in (name, name.removeprefix("test_"))]
    files = [here / f"{name}.lab.toml" for name in names]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        looked = ", ".join(file.name for file in files)
        pytest.fail(f'no topology: @pytest.mark.lab("FILE"), or one of {looked} in {here}', pytrace=False)
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, None]:
    """Keeps what there is to know of the labs of a test that failed, while they are up."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not (report.failed or item.config.getoption("--lab-keep")):
        return
    for one in getattr(item, "funcargs", {}).values():
        if isinstance(one, Lab):
            report.sections.append((f"lab {one.name}", _keep(one, item)))


def _keep(one: Lab, item: pytest.Item) -> str:
    folder = Path(item.config.getoption("--lab-captures")) / re.sub(r"[^\w.-]+", "-", item.nodeid)
    try:
        states = ", ".join(f"{row['name']} {row['state']}" for row in one.ps()["nodes"])
        return f"{states}\ncaptures, tables and logs are in {one.keep(folder)}"
    except (LabctlError, OSError) as error:
        return f"nothing could be kept: {error}"
