"""Many machines below a real throttle: 30 calls at once, then 10 a second.

What a task takes at least follows from its number of calls, so calls are counted, and what it does
beside them: the seconds that it means to pause, and the time of the processor, the data center's
included. benchmarks/scale.py does the same with 1,000 machines and through Ansible.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from ansible.module_utils.sdc.machine import fleet

from localdc.api.settings import Throttle

from ..modules_support import OFFER, Result, run_module

COUNT, UPDATES = 80, 50
BURST, RATE = 30, 10
CALL = 0.02
"""Seconds of the processor for a call at both ends; 0.004 were measured."""


@dataclass(frozen=True)
class Cost:
    """What a task took: calls as the data center counts them, seconds of pauses and processor."""

    calls: int
    pauses: float
    processor: float

    @property
    def floor(self) -> float:
        """Seconds that so many calls need."""
        return max(0.0, (self.calls - BURST) / RATE)


class Clock:
    """The module `time` for a fleet, which adds up the pauses that it asks for."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(seconds)


@pytest.fixture
def measured(start_cloud, monkeypatch):
    """Runs sdc_machine with a full bucket; returns its result and cost."""
    cloud = start_cloud(throttle=Throttle(BURST, RATE))

    def run(**options) -> tuple[Result, Cost]:
        cloud.app.state.center.buckets.change(Throttle(BURST, RATE))
        cloud.requests.clear()
        clock = Clock()
        monkeypatch.setattr(fleet, "time", clock)
        options = {**OFFER, "selector": {"cluster": "scale"}, "name": "m-{index:04d}", **options}
        began = time.process_time()
        result = run_module("sdc_machine", **cloud.access, **options)
        cost = Cost(len(cloud.requests), clock.slept, time.process_time() - began)
        assert cost.processor <= 0.2 + CALL * cost.calls
        return result, cost

    return run


def test_out_and_in_again(measured):
    """Two attempts: by a busy neighbour machines may be late, and polled once more."""
    costs = {"out": [], "in": []}
    for _ in range(2):
        made, cost = measured(exact_count=COUNT)
        # one of them for all names that are taken, before anything is made
        assert len(made["created"]) == COUNT and cost.calls <= COUNT + 7
        costs["out"].append(cost)
        again, cost = measured(exact_count=COUNT)
        assert not again["changed"] and cost.calls <= 2
        gone, cost = measured(exact_count=0, stop_first=False)
        assert len(gone["deleted"]) == COUNT and cost.calls <= COUNT + 6
        costs["in"].append(cost)
        if all(any(c.pauses <= 0.1 * c.floor for c in found) for found in costs.values()):
            return
    raise AssertionError(f"more pauses than the throttle asks for: {costs}")


def test_many_tags_and_metadata_in_one_task(measured):
    measured(exact_count=UPDATES)
    changes = {"tags": {"release": "7"}, "metadata": {"stage": "live"}}
    done, cost = measured(exact_count=UPDATES, **changes)
    assert len(done["updated"]) == UPDATES and not done["failures"]
    assert cost.calls <= 2 * UPDATES + 10
    again, cost = measured(exact_count=UPDATES, **changes)
    assert not again["changed"] and cost.calls <= 2
