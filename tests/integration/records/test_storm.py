"""Half a minute in which nothing is answered as it should be, and every module that asks meanwhile.

All modules run at the same time, each in a process of its own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...unit.modules.modules_support import OFFER, ROOT, Cloud, cluster, new_key, run_module

SECONDS = 30
KINDS = ("throttle", "unavailable", "cut_before", "cut_after")
MODULE = """
import json, runpy, sys
import ansible.module_utils
ansible.module_utils.__path__.append("module_utils")
from ansible.module_utils.sdc import base
from ansible.module_utils.testing import patch_module_args
print("ready", flush=True)
with patch_module_args(json.loads(sys.stdin.readline())):
    runpy.run_path(sys.argv[1], run_name="__main__")
"""
RULE = 'FROM any TO tag "role" = "{}" ALLOW tcp PORT 80'


class Task:
    """One module, ready to run."""

    def __init__(self, module: str, access: dict[str, Any], **options: Any) -> None:
        self.module, self.options = module, {**access, **options}
        self.process = subprocess.Popen(
            [sys.executable, "-c", MODULE, str(ROOT / "library" / f"{module}.py")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        """Let it go."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(self.options) + "\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """What it answered, when it has."""
        said, _ = self.process.communicate(timeout=180)
        answer: dict[str, Any] = json.loads(said)
        return answer

    def again(self) -> dict[str, Any]:
        """What it answers when it is run once more."""
        return run_module(self.module, expect="any", **self.options)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.stop()


def furnish(cloud: Cloud, directory: Path) -> str:
    """What the tasks change or delete; returns the id of a network that no machine is in."""
    with cloud.client() as api:
        image = next(i["id"] for i in api.list_images() if i["name"] == OFFER["image"])
        networks = api.list_networks()
        public = next(network["id"] for network in networks if network["public"])
        other = next(network["id"] for network in networks if not network["public"])
        offer = {"package": OFFER["package"], "image": image, "networks": [public]}
        for name in ("web", "wide"):
            api.create({**offer, "name": name})
        for number in range(3):
            api.create({**offer, "name": f"old-{number}", "tags": {"cluster": "old"}})
        deadline = time.monotonic() + 30
        while any(machine["state"] != "running" for machine in api.list_machines()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (wide,) = api.list_machines(name="wide")
        (web,) = api.list_machines(name="web")
        api.add_nic(wide["id"], other)
        api.create_snapshot(web["id"], "old")
        api.add_key("old", new_key(directory / "old")[1])
        api.create_fwrule(RULE.format("old"))
        api.create_volume(name="old")
    return str(other)


def tasks(cloud: Cloud, directory: Path, network: str) -> list[Task]:
    """Each module that asks CloudAPI, and what makes or deletes in both ways."""
    both: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("sdc_machine", cluster(3), {"selector": {"cluster": "old"}}),
        ("sdc_key", {"name": "new", "key": new_key(directory / "new")[1]}, {"name": "old"}),
        ("sdc_firewall_rule", {"rule": RULE.format("new")}, {"rule": RULE.format("old")}),
        ("sdc_snapshot", {"machine": "web", "name": "new"}, {"machine": "web", "name": "old"}),
        ("sdc_volume", {"name": "new"}, {"name": "old"}),
        (
            "sdc_nic",
            {"machine": "web", "network": network},
            {"machine": "wide", "network": network},
        ),
    ]
    given = []
    for module, new, old in both:
        given += [(module, new), (module, {**old, "state": "absent"})]
    readers = ("sdc_machine_info", "sdc_image_info", "sdc_package_info", "sdc_network_info")
    given += [(module, {}) for module in readers]
    given += [("ipcontroller_metadata", {"cluster": "storm"})]
    known = {path.stem for path in (ROOT / "library").glob("sdc_*.py")}
    assert known <= {module for module, _ in given}
    return [Task(module, cloud.access, **options) for module, options in given]


def test_every_module_survives_it(cloud: Cloud, tmp_path: Path) -> None:
    network = furnish(cloud, tmp_path)
    waiting = tasks(cloud, tmp_path, network)
    order = random.Random(11)
    for _ in range(5000):
        cloud.fault(kind=order.choice(KINDS))
    faults = cloud.app.state.center.faults
    before = len(cloud.requests)
    end = threading.Timer(SECONDS, faults.withdraw)
    end.start()
    for task in waiting:
        task.begin()
    end.join()
    struck = len(cloud.requests) - before
    assert struck > 5 * len(waiting), "each of them was refused several times"
    assert all(task.process.poll() is None for task in waiting), "none can have got through"
    results = [(task, task.result()) for task in waiting]
    for task, result in results:
        assert not result.get("failed"), (task.module, result.get("msg"))
    for task, result in results:
        if "state" in task.options or task.module in ("sdc_key", "sdc_volume", "sdc_nic"):
            assert result["changed"], task.module
        if task.module.startswith("sdc_"):
            assert task.again()["changed"] is False, task.module
    only_once(cloud)


def only_once(cloud: Cloud) -> None:
    """Nothing was made twice, and nothing is left of what was to go."""
    with cloud.client() as api:
        (web,) = api.list_machines(name="web")
        assert sorted(m["name"] for m in api.list_machines()) == [
            *("ipython-controller", "ipython-engine-001", "ipython-engine-002"),
            *("ipython-engine-003", "web", "wide"),
        ]
        known = api.keys()
        assert sorted(key["name"] for key in known) == ["k", "new"]
        assert [rule["rule"] for rule in api.fwrules()] == [RULE.format("new")]
        assert [volume["name"] for volume in api.volumes()] == ["new"]
        assert [snapshot["name"] for snapshot in api.list_snapshots(web["id"])] == ["new"]
        assert len(api.nics(web["id"])) == 2
