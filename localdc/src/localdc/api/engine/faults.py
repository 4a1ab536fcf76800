"""Faults on order: what clients must survive, made to happen when a test wants it.

Faults live in memory; a restart of the data center ends them all.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

KINDS: dict[str, str] = {
    "provision_delay": "a provision takes `seconds` longer",
    "provision_failure": "a provision fails with `reason`",
    "reboot_delay": "the reboot that a change of NICs ends with begins `seconds` later",
    "unavailable": "503 ServiceUnavailableError, with Retry-After when `retry_after` is given",
    "throttle": "429 RequestThrottled, with Retry-After when `retry_after` is given",
    "cut_before": "the connection is cut, the request had no effect",
    "cut_after": "the connection is cut after the request took effect",
    "repository_down": "pkgin of a machine finds the repository down, with `reason`",
    "lost_machine": "existing machines that match vanish without trace, at once",
}
REQUEST_KINDS = ("unavailable", "throttle", "cut_before", "cut_after")
PROVISION_KINDS = ("provision_delay", "provision_failure")
REBOOT_KINDS = ("reboot_delay",)
REPOSITORY_KINDS = ("repository_down",)


class FaultError(ValueError):
    """The order makes no sense; the message says why."""


@dataclass(slots=True)
class Fault:
    """One order.

    account, machine, path: shell patterns; machine is matched with the name
    and with the id.  method: GET, POST, ...  None matches everything.
    count: how often it strikes, None = until it is withdrawn.  chance: with which probability
    it strikes what it matches.
    """

    id: int
    kind: str
    account: str | None = None
    machine: str | None = None
    method: str | None = None
    path: str | None = None
    count: int | None = 1
    chance: float = 1.0
    seconds: float = 0.0
    reason: str = "injected fault"
    retry_after: float | None = None

    def view(self) -> dict[str, object]:
        return asdict(self)


class Faults:
    """The faults on order.

    standing: what strikes as long as it stands here; it is not listed and cannot be withdrawn.
    """

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._ids = itertools.count(1)
        self.standing: tuple[Fault, ...] = ()
        self._random = random.Random(0)

    def seed(self, number: int) -> None:
        """Faults that strike by chance strike in the same order after the same number."""
        self._random = random.Random(number)

    def order(self, request: Mapping[str, Any]) -> Fault:
        """Add a fault as the admin call describes it; raises FaultError."""
        kind = request.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            known = "; ".join(f"{name}: {text}" for name, text in KINDS.items())
            raise FaultError(f"kind must be one of: {known}")
        fields: dict[str, Any] = {}
        for name, value in request.items():
            if name == "kind":
                continue
            fields[name] = _checked(name, value)
        fault = Fault(id=next(self._ids), kind=kind, **fields)
        if fault.kind != "lost_machine":
            self._faults[fault.id] = fault
        elif fault.machine is None:
            raise FaultError("lost_machine needs `machine`, a pattern for names or ids")
        return fault

    def ordered(self) -> list[Fault]:
        return list(self._faults.values())

    def withdraw(self, fault_id: int | None = None) -> bool:
        """Withdraw one fault, or all; False when there is no such fault."""
        if fault_id is None:
            self._faults.clear()
            return True
        return self._faults.pop(fault_id, None) is not None

    def for_provision(self, account: str, machine: str, uuid: str) -> list[Fault]:
        """The faults that strike this provision; each is used up by one."""
        return self._strike(PROVISION_KINDS, account, machine, uuid, None, None)

    def for_reboot(self, account: str, machine: str, uuid: str) -> float:
        """Seconds for which this machine runs on with its NICs changed; used up by one change."""
        struck = self._strike(REBOOT_KINDS, account, machine, uuid, None, None)
        return sum(fault.seconds for fault in struck)

    def for_repository(self, account: str, machine: str, uuid: str) -> Fault | None:
        """The first fault that strikes a request of this machine's pkgin."""
        struck = self._strike(REPOSITORY_KINDS, account, machine, uuid, None, None, first=True)
        return struck[0] if struck else None

    def for_request(
        self, account: str, machine: str | None, uuid: str | None, method: str, path: str
    ) -> Fault | None:
        """The first fault that strikes this request."""
        struck = self._strike(REQUEST_KINDS, account, machine, uuid, method, path, first=True)
        return struck[0] if struck else None

    def needs_machine(self) -> bool:
        """True when a request fault looks at the machine, so that it must be known."""
        return any(f.machine is not None and f.kind in REQUEST_KINDS for f in self._faults.values())

    def _strike(
        self,
        kinds: tuple[str, ...],
        account: str,
        machine: str | None,
        uuid: str | None,
        method: str | None,
        path: str | None,
        first: bool = False,
    ) -> list[Fault]:
        struck = []
        for fault in (*self._faults.values(), *self.standing):
            if fault.kind not in kinds or not _matches(fault, account, machine, uuid, method, path):
                continue
            if fault.chance < 1 and self._random.random() >= fault.chance:
                continue
            struck.append(fault)
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    del self._faults[fault.id]
            if first:
                break
        return struck


def machine_matches(fault: Fault, name: str | None, uuid: str | None) -> bool:
    if fault.machine is None:
        return True
    return any(text is not None and fnmatchcase(text, fault.machine) for text in (name, uuid))


def _matches(
    fault: Fault,
    account: str,
    machine: str | None,
    uuid: str | None,
    method: str | None,
    path: str | None,
) -> bool:
    if fault.account is not None and not fnmatchcase(account, fault.account):
        return False
    if fault.kind in REQUEST_KINDS:
        if fault.method is not None and fault.method.upper() != method:
            return False
        if fault.path is not None and not fnmatchcase(path or "", fault.path):
            return False
    return machine_matches(fault, machine, uuid)


def _checked(name: str, value: Any) -> Any:
    if name in ("account", "machine", "method", "path", "reason"):
        if isinstance(value, str) and value:
            return value
        raise FaultError(f"{name} must be a string")
    if name == "count":
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        raise FaultError("count must be a positive integer, or null for always")
    if name == "chance":
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
        raise FaultError("chance must be more than 0, and 1 at most")
    if name in ("seconds", "retry_after"):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 86400:
            return float(value)
        raise FaultError(f"{name} must be seconds, 0 to 86400")
    raise FaultError(
        f"unknown field {name}; known are kind account machine method path count chance"
        " seconds reason retry_after"
    )
