"""Which machines have their engines: probes' answers against the list of machines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from ansible.module_utils.ipp.probe import PROBES, Engine, Probing

GHOST_AGE = 3.0
"""Seconds of complete silence after which an id that nobody needs is taken for dead."""


@dataclass
class EngineHosts:
    """The machines that are to run engines, and the names by which engines know them."""

    names: list[str] = field(default_factory=list)
    by_alias: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, entries: Iterable[Any]) -> EngineHosts:
        """From the module's option; raises ValueError with a sentence about a bad entry."""
        hosts = cls()
        for entry in entries:
            aliases: list[Any] = []
            if isinstance(entry, str):
                name = entry
            elif isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                name, aliases = entry["name"], entry.get("aliases") or []
            else:
                raise ValueError(f"machines: {entry!r} is neither a name nor a dict with a name")
            hosts.names.append(name)
            for alias in (name, *aliases):
                hosts.by_alias[str(alias).lower()] = name
        return hosts

    def find(self, place: Mapping[str, Any] | None) -> str | None:
        """The machine that an engine is on."""
        if place is None:
            return None
        host = str(place.get("hostname", "")).lower()
        for alias in (host, host.partition(".")[0], str(place.get("address", ""))):
            if alias in self.by_alias:
                return self.by_alias[alias]
        return None


class Missing(TypedDict):
    """A machine that has fewer engines than it should."""

    machine: str
    have: int
    want: int


@dataclass
class Census:
    """The state of the cluster at one moment."""

    ready: list[Engine]
    silent: list[Engine]
    busy: list[Engine]
    missing: list[Missing]

    @property
    def complete(self) -> bool:
        """Whether every machine has its engines, those that are busy included."""
        return self.lacking <= sum(engine.machine is None for engine in self.busy)

    @property
    def lacking(self) -> int:
        """How many engines are missing, on all machines together."""
        return sum(item["want"] - item["have"] for item in self.missing)

    def blocked(self, age: float) -> dict[str, list[int]]:
        """Ids of engines that have not answered for so many seconds, by probe."""
        now = time.monotonic()
        late = [engine for engine in self.silent if now - engine.began >= age]
        return {name: [e.id for e in late if name in e.unanswered] for name in PROBES}


class Watch:
    """Takes the census again and again."""

    def __init__(
        self, probing: Probing, hosts: EngineHosts, per_machine: int, probe_timeout: float
    ) -> None:
        self.probing = probing
        self.hosts = hosts
        self.per_machine = per_machine
        self.probe_timeout = probe_timeout
        self._busy: set[int] = set()
        self._busy_at = 0.0

    def census(self) -> Census:
        """Collect answers and count."""
        self.probing.update()
        engines = list(self.probing.engines.values())
        for engine in engines:
            engine.machine = self.hosts.find(engine.place)
        silent = [engine for engine in engines if not engine.ready]
        busy = self._occupied(silent)
        ready = [engine for engine in engines if engine.ready]
        counted = Counter(engine.machine for engine in [*ready, *busy])
        missing: list[Missing] = [
            {"machine": name, "have": counted[name], "want": self.per_machine}
            for name in self.hosts.names
            if counted[name] < self.per_machine
        ]
        silent = [engine for engine in silent if engine not in busy]
        return Census(ready, silent, busy, missing)

    def ghosts(self, census: Census) -> list[Engine] | None:
        """Engines to be forgotten, once nothing is missing; None while that is undecided."""
        mute = [engine for engine in census.silent if not engine.passed]
        age = min(GHOST_AGE, self.probe_timeout)
        if any(time.monotonic() - engine.began < age for engine in mute):
            return None
        occupied = self.probing.occupied(engine.id for engine in mute)
        return [engine for engine in mute if engine.id not in occupied]

    def _occupied(self, silent: Sequence[Engine]) -> list[Engine]:
        now = time.monotonic()
        late = [engine for engine in silent if now - engine.began >= self.probe_timeout]
        if late and now - self._busy_at > 2.0:
            self._busy = self.probing.occupied(engine.id for engine in late)
            self._busy_at = now
        return [engine for engine in late if engine.id in self._busy]
