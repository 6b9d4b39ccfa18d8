"""One node of a lab that is up."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Union, overload

from ._command import LabctlError, Word
from .results import Perf, Ping, Trace

if TYPE_CHECKING:
    from .lab import Lab

#: Where something is to be reached: a node, `NODE:IF`, or an address.
Target = Union["Node", str]


class Node:
    """A node: `lab.h1`, or `lab["r-1"]` where the name is no name of Python's."""

    def __init__(self, lab: Lab, name: str):
        self.lab = lab
        self.name = name

    def ping(
        self,
        to: Target,
        *,
        count: int = 4,
        interval: float = 0.01,
        size: Optional[int] = None,
        ttl: Optional[int] = None,
        wait: float = 1.0,
        family: Optional[int] = None,
    ) -> Ping:
        """Echo requests, `interval` seconds apart, with `size` octets of data; the last reply is waited for `wait` seconds.
        `family`: 4 or 6. That all were lost is a result, not an error."""
        words: list[Word] = ["ping", self.name, str(to), "-c", count, "-i", interval, "-W", wait]
        words += _option("-s", size) + _option("--ttl", ttl) + _family(family)
        return Ping.of(self.lab._measured(*words))

    def trace(self, to: Target, *, queries: int = 1, wait: float = 1.0, family: Optional[int] = None) -> Trace:
        """The path to a target, with so many `queries` a hop, each of which is waited for `wait` seconds."""
        words: list[Word] = ["trace", self.name, str(to), "--queries", queries, "-w", wait]
        return Trace.of(self.lab._measured(*words, *_family(family)))

    def perf(
        self,
        measure: str,
        to: Target,
        *,
        time: float = 1.0,
        length: Optional[int] = None,
        rate: Optional[float] = None,
        family: Optional[int] = None,
        options: Sequence[Word] = (),
    ) -> Perf:
        """`labctl perf tcp|udp|rtt|conn` to a node for `time` seconds: octets of a write or datagram, datagrams a second;
        `options` are more words of that verb."""
        words: list[Word] = ["perf", measure, self.name, str(to), "-t", time]
        words += _option("-l", length) + _option("-r", rate) + _family(family)
        return Perf(self.lab._measured(*words, *options))

    def run(self, args: Union[str, Sequence[Word]], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Runs a host program on the node, as `subprocess.run` does: the same options, but what it writes is captured as text
        if they do not say otherwise, and its input is empty. A text is a line for the shell."""
        if not {"stdout", "stderr", "capture_output"} & options.keys():
            options["capture_output"] = True
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(self._argv(args), **self._options(options))
        done.args = args
        return done

    def exec(self, *args: Word, **options: Any) -> str:
        """Runs a host program on the node, which must succeed; what it wrote to its standard output."""
        done = self.run(args, **{"check": False, **options})
        if done.returncode != 0:
            message = (done.stderr or done.stdout or "").strip() or f"exit status {done.returncode}"
            raise LabctlError(message, None, done.returncode, [self.name, *map(str, args)])
        out: str = done.stdout
        return out

    def popen(self, args: Union[str, Sequence[Word]], **options: Any) -> subprocess.Popen[Any]:
        """Starts a host program on the node, as `subprocess.Popen` does; it ends with the lab at the latest."""
        options.setdefault("stdin", subprocess.DEVNULL)
        child = subprocess.Popen(self._argv(args), **self._options(options))
        self.lab._children.append(child)
        return child

    def wait_port(self, port: int, *, within: float = 10.0, proto: str = "tcp") -> None:
        """Waits until something on the node listens at a port."""
        end = time.monotonic() + within
        listens = {"tcp": "LISTEN", "udp": "OPEN"}[proto]

        def is_it(row: Mapping[str, Any]) -> bool:
            mine = str(row["proto"]).startswith(proto) and str(row["state"]).upper() == listens
            return mine and str(row["local"]).endswith(f":{port}")

        while not any(map(is_it, self.show("sockets"))):
            if time.monotonic() >= end:
                raise TimeoutError(f"nothing on {self.name} listens at {proto} port {port} within {within} s")
            time.sleep(0.01)

    def show(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table: `addr`, `route`, `neigh`, `sockets` or `stats`."""
        rows: list[dict[str, Any]] = self.lab._json("show", table, self.name)
        return rows

    def stats(self) -> dict[str, int]:
        """Every counter by `GROUP.NAME`."""
        return {f"{row['group']}.{row['name']}": row["value"] for row in self.show("stats")}

    @property
    def addresses(self) -> list[str]:
        """The addresses of its interfaces, with the lengths of their prefixes."""
        return [row["address"] for row in self.show("addr")]

    @overload
    def sysctl(self) -> dict[str, str]: ...
    @overload
    def sysctl(self, name: str, value: Optional[Word] = None) -> str: ...

    def sysctl(self, name: Optional[str] = None, value: Optional[Word] = None) -> Union[str, dict[str, str]]:
        """All TCP values; or one, which becomes `value` first if there is one."""
        word = [] if name is None else [name if value is None else f"{name}={value}"]
        values: dict[str, str] = self.lab._json("sysctl", self.name, *word)
        return values if name is None else values[next(iter(values))]

    def logs(self) -> list[str]:
        """The lines that the node and the topology's programs on it wrote."""
        return [row["line"] for row in self.lab.logs(self)]

    @property
    def state(self) -> str:
        """`running`, `paused`, `stopped` or `dead`."""
        states: dict[str, str] = {row["name"]: row["state"] for row in self.lab.ps()["nodes"]}
        return states[self.name]

    def addr(self, change: str, interface: str, address: str) -> None:
        """Gives an interface an address (`addr("add", "eth0", "10.0.1.7/24")`) or takes it away (`"del"`)."""
        self.lab._ok("addr", change, f"{self.name}:{interface}", address)

    def route(self, change: str, words: str) -> None:
        """Gives the node a route (`route("add", "10.1.0.0/16 via 10.0.0.1")`) or takes it away (`"del"`)."""
        self.lab._ok("route", change, self.name, *words.split())

    def pause(self) -> None:
        """Lets it do nothing, as a machine that is stopped in its tracks."""
        self.lab.pause(self)

    def resume(self) -> None:
        """Lets it go on."""
        self.lab.resume(self)

    def start(self) -> None:
        """Starts it, if it is stopped or dead."""
        self.lab.start(self)

    def stop(self) -> None:
        """Stops it cleanly."""
        self.lab.stop(self)

    def kill(self) -> None:
        """Kills it without a warning."""
        self.lab.kill(self)

    def restart(self) -> None:
        """Stops it, and starts it as the topology has it."""
        self.lab.restart(self)

    def _argv(self, args: Union[str, Sequence[Word]]) -> list[str]:
        words: Sequence[Word] = ["sh", "-c", args] if isinstance(args, str) else args
        return self.lab._labctl.argv(["--lab", self.lab.name, "exec", self.name, "--", *words])

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        if not {"text", "universal_newlines", "encoding", "errors"} & options.keys():
            options["text"] = True
        return {**options, "env": self.lab._labctl.environment(options.get("env"))}

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Node {self.name} of lab {self.lab.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and (self.lab, self.name) == (other.lab, other.name)

    def __hash__(self) -> int:
        return hash(self.name)


def _option(flag: str, value: Optional[Word]) -> list[Word]:
    return [] if value is None else [flag, value]


def _family(family: Optional[int]) -> list[Word]:
    return [] if family is None else [{4: "-4", 6: "-6"}[family]]
