"""Waiting for an SMF instance, by the rules of `svcs -o STA,NSTA`."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.smf.repository import Properties, Smf, SmfError, parse_properties

RUNNING = ("online", "degraded")


@dataclass(frozen=True)
class State:
    """What the restarter says about an instance."""

    state: str
    next_state: str
    auxiliary: str
    since: str
    logfile: str

    @classmethod
    def of(cls, properties: Properties) -> State:
        """The state in what svcprop printed; an instance new to startd has none yet."""

        def value(name: str, default: str) -> str:
            prop = properties.get(f"restarter/{name}")
            return prop.value if prop and prop.value else default

        return cls(
            state=value("state", "uninitialized"),
            next_state=value("next_state", "none"),
            auxiliary=value("auxiliary_state", "none"),
            since=value("state_timestamp", ""),
            logfile=value("logfile", ""),
        )

    @property
    def settled(self) -> bool:
        """Not on the way to another state (`-` in the column NSTA)."""
        return self.next_state in ("none", "-", "")


class WaitFailed(SmfError):
    """The instance went to maintenance or was late; `state` is the last one seen."""

    def __init__(self, message: str, state: State, log: list[str]) -> None:
        super().__init__(message)
        self.state = state
        self.log = log


def tail(path: str, lines: int = 20) -> list[str]:
    """The last lines of a service log; empty when it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as log:
            return [line.rstrip("\n") for line in deque(log, maxlen=lines)]
    except OSError:
        return []


class Waiter:
    """Follows one instance until it is where it should be, or a deadline."""

    def __init__(self, smf: Smf, fmri: str, timeout: float, settle: float = 0) -> None:
        self.smf = smf
        self.fmri = fmri
        self.timeout = timeout
        self.settle = settle

    def wait(self, wanted: tuple[str, ...], *, after: State | None = None) -> State:
        """Wait for one of the states; `after` is the state that is known to be outdated.

        Maintenance fails at once, unless it is still that of `after`.
        """
        deadline = time.monotonic() + self.timeout
        pause = 0.05
        stable_since = 0.0
        stable: State | None = None
        while True:
            state = self.now()
            fresh = after is None or state.since != after.since
            if fresh and state.state == "maintenance" and "maintenance" not in wanted:
                raise self._failed(f"{self.fmri} is in maintenance", state)
            if fresh and state.settled and state.state in wanted:
                if stable != state:
                    stable, stable_since = state, time.monotonic()
                if time.monotonic() - stable_since >= self.settle:
                    return state
            else:
                stable = None
            if time.monotonic() >= deadline:
                raise self._late(state, wanted)
            time.sleep(pause)
            pause = min(pause * 1.4, 1.0)

    def now(self) -> State:
        """The state at this moment."""
        code, stdout, stderr = self.smf.run("svcprop", "-p", "restarter", self.fmri)
        if code != 0 and "property group" not in stderr:
            raise SmfError(" ".join(stderr.split()) or f"svcprop: exit code {code}")
        return State.of(parse_properties(stdout))

    def _failed(self, message: str, state: State) -> WaitFailed:
        log = tail(state.logfile)
        if state.auxiliary not in ("none", "-"):
            message += f" ({state.auxiliary})"
        if log:
            message += f"; its log ends with: {' | '.join(log[-3:])}"
        return WaitFailed(
            f"{message}; 'svcs -xv {self.fmri}' explains, see also {state.logfile or 'its log'}",
            state,
            log,
        )

    def _late(self, state: State, wanted: tuple[str, ...]) -> WaitFailed:
        where = state.state if state.settled else f"{state.state}, on the way to {state.next_state}"
        message = f"{self.fmri} is not {wanted[0]} after {self.timeout:g} s but {where}"
        blocking = self._unmet_dependencies() if state.state in ("offline", "uninitialized") else []
        if blocking:
            message += f", because of {', '.join(blocking)}"
        return self._failed(message, state)

    def _unmet_dependencies(self) -> list[str]:
        code, stdout, _ = self.smf.run("svcs", "-l", self.fmri)
        if code != 0:
            return []
        found = re.findall(r"^dependency\s+(\S+)\s+(.+)$", stdout, re.MULTILINE)
        return [
            f"{name} ({status})"
            for kind, rest in found
            if kind.startswith(("require", "exclude"))
            for name, status in re.findall(r"(\S+) \((\S+?)\)", rest)
            if (status.rstrip("*") not in RUNNING) != kind.startswith("exclude")
        ]
