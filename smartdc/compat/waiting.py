"""Waiting for machines: one by its own description, many by one list call per poll."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ..errors import Gone, MachineFailed, NotFound, WaitTimeout
from ..raw import MachineCalls, Record

DEFAULT_TIMEOUT = 3600.0
"""Seconds: longer than any provisioning, shorter than for ever."""
# a machine is readable only some time after its creation was acknowledged
_GRACE = 15.0


def wait_one(
    read: Callable[[], str],
    done: Callable[[str], bool],
    *,
    machine_id: str,
    wanted: str,
    interval: float = 2,
    timeout: float | None = DEFAULT_TIMEOUT,
    accept: Collection[str] = (),
) -> str:
    """Poll one machine until ``done(state)``.

    :param read: gives the state; ``Gone`` passes through
    :param wanted: what is awaited, for messages
    :param interval: seconds between polls
    :param timeout: seconds; None waits for ever
    :param accept: states that are no failure although they usually are
    :raises MachineFailed: it went to ``failed``
    :raises WaitTimeout: it did not get there in time
    """
    began = time.monotonic()
    state = "unknown"
    while True:
        try:
            state = read()
        except NotFound:
            if time.monotonic() - began > _GRACE:
                raise
        else:
            if done(state):
                return state
            if state == "failed" and "failed" not in accept:
                raise MachineFailed(
                    f"machine {machine_id} failed while waiting {wanted}", {machine_id: state}
                )
        left = float("inf") if timeout is None else timeout - (time.monotonic() - began)
        if left <= 0:
            raise WaitTimeout(
                f"machine {machine_id} is {state} after {timeout:g} s of waiting {wanted}",
                {machine_id: state},
            )
        time.sleep(min(max(interval, 0.0), left))


def wait_many(
    dc: MachineCalls,
    machine_ids: Iterable[str],
    state: str = "running",
    *,
    filters: Mapping[str, Any] | None = None,
    interval: float = 2,
    timeout: float | None = DEFAULT_TIMEOUT,
    on_change: Callable[[str, str], None] | None = None,
) -> dict[str, Record]:
    """Wait until all machines are in a state, with one list call per poll.

    :param state: ``running``, ``stopped`` or ``deleted`` (gone from the list)
    :param filters: for :meth:`MachineCalls.list_machines`; they must let all of these
        machines pass.  ``{"tags": {...}}`` keeps the lists short in a large account
    :param on_change: called with (id, new state)
    :returns: id -> last description (id and state only, for deleted ones)
    :raises MachineFailed: some failed or were deleted; ``machines`` says which
    :raises WaitTimeout: ``late`` names the machines and their last states
    """
    began = time.monotonic()
    states: dict[str, str] = dict.fromkeys(machine_ids, "unknown")
    done: dict[str, Record] = {}
    while states:
        listed = {m["id"]: m for m in dc.list_machines(**(filters or {}))}
        for machine_id in [i for i in states if i not in done]:
            record = listed.get(machine_id) or _missing(dc, machine_id, state)
            now = str(record.get("state") or "unknown")
            if now != states[machine_id] and on_change:
                on_change(machine_id, now)
            states[machine_id] = now
            if now == state:
                done[machine_id] = record
        bad = {i: s for i, s in states.items() if s in ("failed", "deleted")}
        if bad and state not in ("failed", "deleted"):
            text = ", ".join(f"{i} is {s}" for i, s in sorted(bad.items()))
            raise MachineFailed(f"while waiting until {state}: {text}", bad)
        late = {i: s for i, s in states.items() if i not in done}
        if not late:
            break
        left = float("inf") if timeout is None else timeout - (time.monotonic() - began)
        if left <= 0:
            text = ", ".join(f"{i} is {s}" for i, s in sorted(late.items()))
            raise WaitTimeout(f"not {state} after {timeout:g} s: {text}", late)
        time.sleep(min(interval, left))
    return done


def _missing(dc: MachineCalls, machine_id: str, wanted: str) -> Record:
    """The description of a machine that the list does not show: late, failed or deleted."""
    if wanted == "deleted":
        return {"id": machine_id, "state": "deleted"}
    try:
        return dc.get_machine(machine_id)
    except Gone:
        return {"id": machine_id, "state": "deleted"}
    except NotFound:
        return {"id": machine_id, "state": "unknown"}
