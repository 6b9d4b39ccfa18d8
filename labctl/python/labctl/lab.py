"""A lab that is up: its nodes, its wires, and what is done to them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator, Optional, Sequence, Union

from ._command import Labctl, LabctlError, Word
from .node import Node
from .results import Frame

#: How long a program on a node may take to see that its lab is gone, in seconds.
_LAST_WORDS = 10.0


class Lab:
    """A lab in a run directory of its own: no other lab of this user is near, whatever its name.

    Used as a context manager it is up inside and gone outside. The nodes are attributes (`lab.h1`) and items (`lab["r-1"]`).
    """

    def __init__(self, topology: Union[str, Path], labctl: Union[str, Path] = "labctl"):
        found = shutil.which(str(labctl))
        if found is None:
            hint = "install it (cargo install --path labctl), or name it: pytest --labctl PATH, or LABCTL=PATH"
            raise LabctlError(f"there is no program {labctl}", hint, 4, ["labctl"])
        self.topology = Path(topology).absolute()
        self.name = ""
        self._children: list[subprocess.Popen[Any]] = []
        self._nodes: dict[str, Node] = {}
        self._buses: list[str] = []
        # A short path: the sockets in it have names of at most 107 octets.
        self._labctl = Labctl(Path(found).absolute(), Path(tempfile.mkdtemp(prefix="labctl-")))

    @property
    def directory(self) -> Path:
        """The run directory (`LABCTL_DIR`) of this lab alone."""
        return self._labctl.directory

    @property
    def buses(self) -> list[str]:
        """The names of its buses."""
        return list(self._buses)

    def up(self) -> Lab:
        """Starts it and waits until every node is ready, and every program of the topology."""
        self._labctl.directory.mkdir(mode=0o700, exist_ok=True)
        try:
            # Not as JSON: of a topology's faults the text shows the places.
            self._labctl.ok("-q", "-t", self.topology, "up")
            said = self._labctl.json("-t", self.topology, "ps")
            self.name = said["lab"]
            self._nodes = {row["name"]: Node(self, row["name"]) for row in said["nodes"]}
            self._buses = [row["bus"] for row in self._json("bus", "ls")["buses"]]
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Stops everything, also after a crash, and removes the run directory. Once is enough, twice is no fault."""
        try:
            if self._labctl.directory.exists():
                self._labctl.ok("down", "--all")
        finally:
            for child in self._children:
                _end(child)
            self._children.clear()
            shutil.rmtree(self._labctl.directory, ignore_errors=True)

    def ps(self) -> dict[str, Any]:
        """Its nodes and programs, as `labctl ps --json` has them."""
        view: dict[str, Any] = self._json("ps")
        return view

    def link(self, change: str, *ports: str) -> None:
        """Pulls cables (`link("down", "r1:eth1")`) or puts them back (`"up"`)."""
        self._ok("link", change, *ports)

    def impair(self, wire: str, preset: Optional[str] = None, **settings: Word) -> None:
        """Impairs a bus or a port (`NODE:IF`) from now on: a preset (`"mobile-4g"`), or settings in the topology's words:
        `impair("wan", delay="20ms", loss="1%")`. What is not named no longer happens."""
        words = [word for item in settings.items() for word in item]
        self._ok("impair", "set", wire, *([preset] if preset else []), *words)

    def unimpair(self, *wires: str) -> None:
        """Buses or ports are again as the topology says."""
        self._ok("impair", "reset", *wires)

    def impairments(self, *wires: str) -> list[dict[str, Any]]:
        """What happens to the frames that leave by each port: rows of `node`, `if`, `bus` and `impair`."""
        rows: list[dict[str, Any]] = self._json("impair", "show", *wires)
        return rows

    def partition(self, bus: str, *groups: Union[str, Sequence[Union[Node, str]]]) -> None:
        """Parts a bus into groups of nodes that do not hear each other (`partition("lan", ["h1", "h2"], ["h3"])`); those that
        no group names are one together. Without a group the bus is whole again."""
        self._ok("partition", bus, *(group if isinstance(group, str) else ",".join(map(str, group)) for group in groups))

    def pause(self, *nodes: Union[Node, str]) -> None:
        """Lets nodes do nothing, as machines that are stopped in their tracks."""
        self._ok("pause", *map(str, nodes))

    def resume(self, *nodes: Union[Node, str]) -> None:
        """Lets paused nodes go on."""
        self._ok("resume", *map(str, nodes))

    def start(self, *nodes: Union[Node, str]) -> None:
        """Starts nodes that are stopped or dead."""
        self._ok("start", *map(str, nodes))

    def stop(self, *nodes: Union[Node, str]) -> None:
        """Stops nodes cleanly."""
        self._ok("stop", *map(str, nodes))

    def kill(self, *nodes: Union[Node, str]) -> None:
        """Kills nodes without a warning."""
        self._ok("kill", *map(str, nodes))

    def restart(self, *nodes: Union[Node, str]) -> None:
        """Stops nodes and starts them as the topology has them."""
        self._ok("restart", *map(str, nodes))

    def logs(self, *names: Union[Node, str]) -> list[dict[str, Any]]:
        """What programs of the topology wrote (all, if none is named), or nodes: rows of `line`, `stream`, and `node` or `program`."""
        return self._labctl.lines("--lab", self.name, "logs", *map(str, names))

    def dump(self, bus: str = "*", filter: str = "", *, since: Optional[str] = None) -> list[Frame]:
        """The frames that a bus (several: `"left,right"`) remembers, oldest first; `filter` is tcpdump's."""
        words: list[Word] = ["dump", bus, *_option("--since", since), *_filter(filter)]
        return [Frame.of(row) for row in self._labctl.lines("--lab", self.name, *words)]

    def pcapng(self, bus: str, file: Union[str, Path], filter: str = "") -> Path:
        """Writes what a bus remembers to a file, for Wireshark."""
        self._ok("-q", "dump", bus, "-w", Path(file), *_filter(filter))
        return Path(file)

    def capture(self, bus: str = "*", filter: str = "") -> Capture:
        """The frames on a bus from now on: `with lab.capture("left", "icmp") as wire: …`, then `wire.frames`."""
        return Capture(self, bus, filter)

    def keep(self, folder: Union[str, Path]) -> Path:
        """Writes what there is to know into a folder: `BUS.pcapng`, the tables of each node as `NODE.json`, the logs."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for bus in self._buses:
            self.pcapng(bus, folder / f"{bus}.pcapng")
        for node in self:
            try:
                tables = {table: node.show(table) for table in ("addr", "route", "neigh", "sockets", "stats")}
                (folder / f"{node.name}.json").write_text(json.dumps(tables, indent=1))
            except LabctlError:
                pass  # It is down: its log says why.
            if lines := node.logs():
                (folder / f"{node.name}.log").write_text("\n".join(lines) + "\n")
        return folder

    def labctl(self, *words: Word) -> str:
        """Any verb of `labctl`, on this lab; what it printed."""
        return self._ok(*words)

    def _ok(self, *words: Word) -> str:
        return self._labctl.ok("--lab", self.name, *words)

    def _json(self, *words: Word) -> Any:
        return self._labctl.json("--lab", self.name, *words)

    def _measured(self, *words: Word) -> Any:
        return self._labctl.measured("--lab", self.name, *words)

    def __getitem__(self, name: str) -> Node:
        try:
            return self._nodes[name]
        except KeyError:
            raise KeyError(f"lab {self.name} has no node {name}: there are {', '.join(self._nodes)}") from None

    def __getattr__(self, name: str) -> Node:
        nodes: dict[str, Node] = self.__dict__.get("_nodes", {})
        try:
            return nodes[name]
        except KeyError:
            raise AttributeError(f"a lab has no {name}, and no node of that name: there are {', '.join(nodes)}") from None

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return str(name) in self._nodes

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._nodes]

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    def __repr__(self) -> str:
        return f"<Lab {self.name or self.topology.name}: {', '.join(self._nodes) or 'not up'}>"


class Capture:
    """The frames that a bus carries from a moment on. Nothing follows the bus: it remembers, and is read when it is asked for."""

    def __init__(self, lab: Lab, bus: str, filter: str):
        self._lab, self._bus, self._filter = lab, bus, filter
        self._since = max((row["history"]["newest_ns"] or 0 for row in self._rows()), default=0)
        self._frames: Optional[list[Frame]] = None

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._lab._json("bus", "ls", *self._bus.split(","))["buses"]
        return rows

    @property
    def frames(self) -> list[Frame]:
        """Those since the beginning; inside the `with` up to now, then up to its end.

        A bus that has carried more than it remembers is an error: give it more `history` in the topology.
        """
        if self._frames is not None:
            return self._frames
        frames = self._lab.dump(self._bus, self._filter, since=f"@{self._since + 1}ns")
        for row in self._rows():
            held = row["history"]
            if held["frames"] < row["frames"] and (held["oldest_ns"] or 0) > self._since:
                message = f"bus {row['bus']} has forgotten frames of this capture"
                raise LabctlError(message, "give it more `history` in the topology", 1, ["labctl", "dump", row["bus"]])
        return frames

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], _: object, __: Optional[TracebackType]) -> None:
        if kind is None:
            self._frames = self.frames

    def __repr__(self) -> str:
        return f"<Capture {self._bus} {self._filter or 'of all'} since {self._since / 1e9:.6f}>"


def _option(flag: str, value: Optional[str]) -> list[Word]:
    return [] if value is None else [flag, value]


def _filter(filter: str) -> list[Word]:
    return ["--", filter] if filter else []


def _end(child: subprocess.Popen[Any]) -> None:
    """Waits for a program whose lab is gone, and lets go of its pipes."""
    try:
        child.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
