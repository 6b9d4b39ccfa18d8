"""The checks of a topology itself, as `labctl test` runs them: in virtual time, or live."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Union

from ._command import Labctl, LabctlError, Word, failure


@dataclass(frozen=True)
class Report:
    """What came of the checks of one lab."""

    lab: str
    #: `virtual` or `live`.
    mode: str
    #: With it, the run in virtual time is the same again.
    seed: int
    passed: int
    failed: int
    #: Rows of `name`, `kind`, `ok`, `took_ms` and `detail`.
    checks: list[dict[str, Any]]

    @property
    def failures(self) -> list[str]:
        """The checks that did not hold, and what was seen."""
        return [f"{check['name']}: {check['detail']}" for check in self.checks if not check["ok"]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Report:
        """From an object that `labctl test --json` prints."""
        return cls(data["lab"], data["mode"], data["seed"], data["passed"], data["failed"], data["checks"])


def run_checks(
    topology: Union[str, Path],
    *,
    live: bool = False,
    seed: Optional[int] = None,
    repeat: int = 1,
    labctl: Union[str, Path, None] = None,
) -> list[Report]:
    """Runs the checks of a topology: in virtual time with `seed` and the `repeat` - 1 after it, or `live`. A report a run; that
    checks fail is a result, not an error. `labctl`: the program, else `$LABCTL`, else the one on the `PATH`."""
    found = shutil.which(str(labctl or os.environ.get("LABCTL") or "labctl"))
    if found is None:
        raise LabctlError("there is no program labctl", "install it (cargo install --path labctl), or set LABCTL", 4, ["labctl"])
    words: list[Word] = ["--json", "test", "--live" if live else "--virtual", "--repeat", repeat]
    words += [] if seed is None else ["--seed", seed]
    with tempfile.TemporaryDirectory(prefix="labctl-") as folder:
        program = Labctl(Path(found), Path(folder) / "run")
        argv = program.argv([*words, "--captures", Path(folder) / "captures", Path(topology)])
        done = subprocess.run(argv, env=program.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode not in (0, 1) or not rows:
        raise failure(done)
    return [Report.of(row) for row in rows if "checks" in row]
