"""What the built-in programs measured, under the names of their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional


@dataclass(frozen=True)
class Rtt:
    """Round trips, in microseconds; every one is `None` if there was none."""

    min: Optional[float] = None
    avg: Optional[float] = None
    p50: Optional[float] = None
    p99: Optional[float] = None
    max: Optional[float] = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Rtt:
        """From the object `rtt_us`."""
        return cls(**{name: data.get(name) for name in ("min", "avg", "p50", "p99", "max")})


@dataclass(frozen=True)
class Ping:
    """What became of echo requests."""

    transmitted: int
    received: int
    #: The share of requests without a reply: 0 to 1.
    loss: float
    #: Times in microseconds.
    rtt_us: Rtt
    #: Replies that came again.
    duplicates: int = 0
    #: What routers said: unreachable, time exceeded.
    errors: int = 0

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Ping:
        """From the object that `labctl ping --json` prints."""
        more = {name: data.get(name, 0) for name in ("duplicates", "errors")}
        loss, rtt = data["loss_percent"] / 100, Rtt.of(data["rtt_us"] or {})
        return cls(data["transmitted"], data["received"], loss, rtt, **more)


@dataclass(frozen=True)
class Hop:
    """The answers from one distance."""

    ttl: int
    #: As `traceroute` has them: `from`, `name`, `rtt_us`, `mark`; `None` where nobody answered.
    probes: list[Optional[dict[str, Any]]]

    @property
    def address(self) -> Optional[str]:
        """Who answered first, if anybody."""
        return next((probe["from"] for probe in self.probes if probe and probe.get("from")), None)

    @property
    def name(self) -> Optional[str]:
        """The name of the node that answered first, if it has one."""
        return next((probe["name"] for probe in self.probes if probe and probe.get("name")), None)


@dataclass(frozen=True)
class Trace:
    """The path of packets."""

    #: Whether the last hop is the target.
    reached: bool
    hops: list[Hop]

    @property
    def path(self) -> list[Optional[str]]:
        """The names of the nodes on it, the target included; an address where there is no name, `None` where nobody answered."""
        return [hop.name or hop.address for hop in self.hops]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Trace:
        """From the object that `labctl trace --json` prints."""
        return cls(data["reached"], [Hop(hop["ttl"], hop["probes"]) for hop in data["hops"]])


class Perf(Mapping[str, Any]):
    """What `labctl perf` measured: its JSON, each key an attribute too (`perf.bits_per_second`); `rtt_us` is an `Rtt`."""

    def __init__(self, data: Mapping[str, Any]):
        self._data = {key: Rtt.of(value) if key == "rtt_us" and isinstance(value, dict) else value for key, value in data.items()}

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_data"][name]
        except KeyError:
            raise AttributeError(f"perf did not measure {name}: there are {', '.join(self.__dict__.get('_data', ()))}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"Perf({', '.join(f'{key}={value!r}' for key, value in self._data.items())})"


@dataclass(frozen=True)
class Frame:
    """A frame on a bus."""

    bus: str
    #: Who sent it: `h1:eth0`.
    sender: str
    #: Seconds since the lab's beginning.
    time: float
    #: The line that `labctl dump` prints of it.
    summary: str
    octets: bytes

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Frame:
        """From an object that `labctl dump --json` prints."""
        return cls(data["bus"], data["sender"], data["time_ns"] / 1e9, data["summary"], bytes.fromhex(data["octets"]))

    def __repr__(self) -> str:
        return f"<Frame {self.time:.6f} {self.sender}@{self.bus} {self.summary}>"
