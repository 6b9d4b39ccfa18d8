"""The program `labctl` as a child process: one call a verb, JSON out, its own words where it fails."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence, Union

Word = Union[str, "os.PathLike[str]", int, float]
#: Variables by which a person's own settings would reach the labs of a test.
_PERSONAL = ("LABCTL_TOPOLOGY", "LABCTL_LAB", "LABCTL_JSON", "LABCTL_QUIET", "CLICOLOR_FORCE")


class LabctlError(Exception):
    """`labctl` did not do what it was asked.

    `message` and `hint` are its own words; `code` is its exit status: 1 the work failed, 2 usage or topology, 3 the state of
    the lab forbids it, 4 the host refused.
    """

    def __init__(self, message: str, hint: Optional[str], code: int, command: Sequence[str]):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.command = list(command)

    def __str__(self) -> str:
        said = f"{' '.join(self.command)}: {self.message}"
        return f"{said}\n  help: {self.hint}" if self.hint else said


@dataclass(frozen=True)
class Labctl:
    """A `labctl` and the run directory in which its labs live."""

    program: Path
    directory: Path

    def environment(self, more: Optional[Mapping[str, str]] = None) -> dict[str, str]:
        """That of a verb: this process's, with the run directory, without a person's own settings."""
        kept = {name: value for name, value in (os.environ if more is None else more).items() if name not in _PERSONAL}
        return {**kept, "LABCTL_DIR": str(self.directory), "NO_COLOR": "1"}

    def argv(self, words: Sequence[Word]) -> list[str]:
        """The command line."""
        return [str(self.program), *map(_word, words)]

    def run(self, *words: Word) -> subprocess.CompletedProcess[str]:
        """Runs a verb to its end, whatever comes of it."""
        argv = self.argv(words)
        return subprocess.run(argv, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def ok(self, *words: Word) -> str:
        """Runs a verb that must succeed; what it printed."""
        done = self.run(*words)
        if done.returncode != 0:
            raise failure(done)
        return done.stdout

    def json(self, *words: Word) -> Any:
        """Runs a verb that must succeed; the object that it printed."""
        return json.loads(self.ok("--json", *words))

    def lines(self, *words: Word) -> list[Any]:
        """The same of a verb that prints an object a line."""
        return [json.loads(line) for line in self.ok("--json", *words).splitlines()]

    def measured(self, *words: Word) -> Any:
        """The same of a measurement: one that says that all was lost has failed by its status, and measured all the same."""
        done = self.run("--json", *words)
        if done.returncode not in (0, 1) or not done.stdout.strip():
            raise failure(done)
        return json.loads(done.stdout)


def failure(done: subprocess.CompletedProcess[str]) -> LabctlError:
    """What `labctl` said of its failure."""
    command = ["labctl", *done.args[1:]]
    text = done.stderr.strip()
    try:
        said = json.loads(text.splitlines()[-1])
        return LabctlError(said.get("error") or said["message"], said.get("hint"), done.returncode, command)
    except (IndexError, KeyError, ValueError, AttributeError):
        # Text for people, as `up` has it, which shows the places in a topology; or nothing.
        message, _, hint = text.removeprefix("labctl: ").partition("\n  help: ")
        return LabctlError(message or f"exit status {done.returncode}", hint or None, done.returncode, command)


def _word(word: Word) -> str:
    return os.fspath(word) if isinstance(word, os.PathLike) else str(word)
