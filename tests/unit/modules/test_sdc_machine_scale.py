"""Many machines below a real throttle: 30 calls at once, then 10 a second.

What a task needs at least follows from its number of calls. benchmarks/scale.py does the same with
1,000 machines and through Ansible.
"""

from __future__ import annotations

import time

import pytest

from localdc.api.settings import Throttle

from .modules_support import run_module
from .test_sdc_machine_cluster import OFFER

COUNT, UPDATES = 80, 50
BURST, RATE = 30, 10


class Measured:
    """Tasks of sdc_machine, each with a full bucket."""

    def __init__(self, start_cloud):
        self.cloud = start_cloud(throttle=Throttle(BURST, RATE))

    def __call__(self, **options):
        """The result, the seconds, and the requests as the data center counts them."""
        self.cloud.app.state.center.buckets.change(Throttle(BURST, RATE))
        self.cloud.requests.clear()
        wish = {**OFFER, "selector": {"cluster": "scale"}, "name": "m-{index:04d}", **options}
        began = time.monotonic()
        result = run_module("sdc_machine", **self.cloud.access, **wish)
        seconds = time.monotonic() - began
        return result, seconds, len(self.cloud.requests)


def floor(calls):
    """Seconds that so many calls need."""
    return max(0.0, (calls - BURST) / RATE)


@pytest.fixture
def measured(start_cloud):
    return Measured(start_cloud)


def test_out_and_in_again(measured):
    """Two attempts: a busy neighbour may spoil one."""
    ratios = {"out": [], "in": []}
    for _ in range(2):
        made, seconds, calls = measured(exact_count=COUNT)
        # one of them for all names that are taken, before anything is made
        assert len(made["created"]) == COUNT and calls <= COUNT + 7
        ratios["out"].append(seconds / floor(calls))
        again, _, calls = measured(exact_count=COUNT)
        assert not again["changed"] and calls <= 2
        gone, seconds, calls = measured(exact_count=0, stop_first=False)
        assert len(gone["deleted"]) == COUNT and calls <= COUNT + 6
        ratios["in"].append(seconds / floor(calls))
        if all(min(found) <= 1.1 for found in ratios.values()):
            return
    raise AssertionError(f"times over what the calls need: {ratios}")


def test_many_tags_and_metadata_in_one_task(measured):
    measured(exact_count=UPDATES)
    changes = {"tags": {"release": "7"}, "metadata": {"stage": "live"}}
    done, _, calls = measured(exact_count=UPDATES, **changes)
    assert len(done["updated"]) == UPDATES and not done["failures"]
    assert calls <= 2 * UPDATES + 10
    again, _, calls = measured(exact_count=UPDATES, **changes)
    assert not again["changed"] and calls <= 2
